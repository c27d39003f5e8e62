/* script.h: from a trace to the script of a replay (engine/replay.h). */
#ifndef FSH_SCRIPT_H
#define FSH_SCRIPT_H

#include <stdbool.h>

#include "reader.h"

struct fsh_script_text {
    char *data;
    size_t len;
};

/* False after a message. `stop`: a thread that diverges gets nothing more. */
bool fsh_script_compile(struct fsh_script_text *out, const struct fsh_reader *reader, bool stop);

#endif
