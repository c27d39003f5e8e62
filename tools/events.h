/* events.h: what a trace holds beside decisions, in words: forks, phases, marks. */
#ifndef FSH_EVENTS_H
#define FSH_EVENTS_H

#include <stdio.h>

#include "reader.h"

/* "fork", "mark"; NULL for events that nobody is shown. */
const char *fsh_event_name(const struct fsh_event *event);
/* Its fields, each with a blank before it: " pid 17 child 1.2"; or as members of a JSON object, each with a comma before it. */
void fsh_put_event(FILE *out, const struct fsh_reader *reader, const struct fsh_event *event, bool json);

#endif
