/* put_back.h: what failed syncs did away with goes when the run is over: the files show then what a machine shows that was started
 * anew. */
#ifndef FSH_PUT_BACK_H
#define FSH_PUT_BACK_H

#include <stdio.h>

#include <json-c/json.h>

#include "trace.h"

struct fsh_gone {
    char path[FSH_JOURNAL_NAME];
    uint64_t pages;
    char why[128]; /* it is there all the same; empty if it is gone */
};

struct fsh_losses {
    struct fsh_gone *v;
    size_t n, room;
    uint64_t unkept; /* pages that the journal had no room for */
};

/* Puts it back; or, with processes `left` that may still use the files, says why not. */
void fsh_put_back(const struct fsh_session *session, unsigned left, struct fsh_losses *losses);
void fsh_losses_show(const struct fsh_losses *losses, FILE *out);
json_object *fsh_losses_json(const struct fsh_losses *losses);
void fsh_losses_free(struct fsh_losses *losses);

#endif
