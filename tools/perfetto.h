/* perfetto.h: a trace in Chrome's trace-event format (JSON), which ui.perfetto.dev and chrome://tracing open. */
#ifndef FSH_PERFETTO_H
#define FSH_PERFETTO_H

#include <stdio.h>

#include "reader.h"

struct fsh_symbols;

struct fsh_perfetto {
    FILE *out;
    const struct fsh_reader *reader;
    struct fsh_symbols *symbols; /* NULL: call stacks are left out */
};

/* Everything goes between begin and end; begin names processes and threads. */
void fsh_perfetto_begin(const struct fsh_perfetto *p);
void fsh_perfetto_decision(const struct fsh_perfetto *p, const struct fsh_decision *decision);
void fsh_perfetto_event(const struct fsh_perfetto *p, const struct fsh_event *event);
void fsh_perfetto_end(const struct fsh_perfetto *p);

#endif
