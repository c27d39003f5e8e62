/* condition.h: what counts as a failure of a run: how the program ended, what it wrote, what an oracle says of what it left. */
#ifndef FSH_CONDITION_H
#define FSH_CONDITION_H

#include <regex.h>
#include <stdio.h>

#include "options.h"
#include "reader.h"
#include "session_run.h"

struct fsh_condition {
    bool by_exit, any_exit, by_signal, any_signal, by_hang;
    int exit, signal;
    const char *output, *oracle;
    regex_t pattern; /* compiled with `output` */
};

enum { CONDITION_EXIT = 500, CONDITION_SIGNAL, CONDITION_HANG, CONDITION_OUTPUT, CONDITION_ORACLE };

#define CONDITION_OPTIONS                                                                                                          \
    {CONDITION_EXIT, "exit", "STATUS", "a failure is this exit status, or nonzero"},                                               \
        {CONDITION_SIGNAL, "signal", "NAME", "a failure is an end by this signal, or any"},                                        \
        {CONDITION_HANG, "hang", NULL, "a failure is a run that --timeout ends"},                                                  \
        {CONDITION_OUTPUT, "output", "REGEX", "a failure is output with such a line"}, {                                           \
        CONDITION_ORACLE, "oracle", "COMMAND", "a failure is a run that this shell command, run after it, does not end with 0"     \
    }

bool fsh_condition_is_option(int id);
/* False after a message. */
bool fsh_condition_take(struct fsh_condition *condition, int id, const char *value);
/* With nothing asked for: as the recorded run ended. False after a message if that was no failure. */
bool fsh_condition_complete(struct fsh_condition *condition, const struct fsh_reader *reader);
/* `output`: the file that the program wrote to. Runs in the run's directory. */
bool fsh_condition_holds(const struct fsh_condition *condition, const struct fsh_run *run, const char *output);
void fsh_condition_put(FILE *out, const struct fsh_condition *condition);
void fsh_condition_free(struct fsh_condition *condition);

#endif
