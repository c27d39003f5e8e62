/* select.h: which decisions of a trace a command is asked to show. */
#ifndef FSH_SELECT_H
#define FSH_SELECT_H

#include "options.h"
#include "plan.h"
#include "reader.h"

struct fsh_select {
    const char *rule, *call, *process, *thread, *path;
    bool faults;
    bool has_since, has_until;
    uint64_t since, until; /* ns */

    /* looked up once, when the trace is open */
    const struct fsh_reader *reader;
    uint8_t *kinds; /* by call: bit k: that kind is selected */
    unsigned n_calls;
    uint8_t *threads; /* by thread: whether it is selected */
    uint16_t rule_number;
    uint64_t last_resource; /* the answer for `path` is kept for one resource */
    bool last_matches;
};

enum { SELECT_FAULTS = 400, SELECT_RULE, SELECT_CALL, SELECT_PROCESS, SELECT_THREAD, SELECT_PATH, SELECT_SINCE, SELECT_UNTIL };

#define SELECT_OPTIONS                                                                                                             \
    {SELECT_FAULTS, "faults", NULL, "faults only"}, {SELECT_RULE, "by-rule", "NAME", "only faults of this rule"},                  \
        {SELECT_CALL, "call", "CALL", "only this call, @family, @family.class, or glob"},                                          \
        {SELECT_PROCESS, "process", "GLOB", "only processes of that name in the trace, or program"},                               \
        {SELECT_THREAD, "thread", "GLOB", "only threads of that name in the trace, or of their own"},                              \
        {SELECT_PATH, "path", "GLOB", "only decisions on resources of that name"},                                                 \
        {SELECT_SINCE, "since", "TIME", "only from this time on, since the start (seconds, or 20ms)"}, {                           \
        SELECT_UNTIL, "until", "TIME", "only up to this time"                                                                      \
    }

bool fsh_select_is_option(int id);
/* False after a message. */
bool fsh_select_take(struct fsh_select *select, int id, const char *value);
bool fsh_select_prepare(struct fsh_select *select, const struct fsh_reader *reader);
bool fsh_selected(struct fsh_select *select, const struct fsh_decision *decision);
bool fsh_selected_event(const struct fsh_select *select, const struct fsh_event *event);
void fsh_select_free(struct fsh_select *select);

#endif
