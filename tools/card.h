/* card.h: banner and card of a run, in words and as JSON. */
#ifndef FSH_CARD_H
#define FSH_CARD_H

#include <stdio.h>

#include "session_run.h"

enum fsh_expect { EXPECT_DEFAULT, EXPECT_ANY, EXPECT_FAULT, EXPECT_NONE };
/* What a run must show. */
struct fsh_expected {
    enum fsh_expect faults;
    bool seen; /* nothing went past the gate, no process lost the shim */
};

enum { CARD_FAULTS = 5, CARD_LOST = 10 }; /* faults, and processes without the shim, that a card shows */

struct fsh_card {
    const struct fsh_run *run;
    const struct fsh_common *common;
    FILE *out;
    struct fsh_reader *reader;
    struct fsh_symbols *symbols; /* NULL if memory is out */
    struct fsh_totals totals;
    uint64_t *fired; /* by rule */
    uint64_t faults;
    struct fsh_decision first[CARD_FAULTS];
    unsigned n_first;
    bool can_inject, vacuous;
    int status; /* of the command */
};

void fsh_banner(const struct fsh_run *run, const struct fsh_common *common, FILE *out);
/* Reads what the run left: 0, or an exit status after a message. */
int fsh_card_read(struct fsh_card *card, const struct fsh_run *run, const struct fsh_common *common, FILE *out);
/* Judges the run: card->status is then what the command exits with. */
void fsh_card_judge(struct fsh_card *card, const struct fsh_expected *expected);
void fsh_card_show(const struct fsh_card *card);
/* The JSON object; the caller may add to it, and gives it to fsh_put_object. */
struct json_object *fsh_card_json(const struct fsh_card *card);
void fsh_card_free(struct fsh_card *card);

#endif
