/* script.h: from a trace to the script of a replay (engine/replay.h). */
#ifndef FSH_SCRIPT_H
#define FSH_SCRIPT_H

#include <stdbool.h>

#include "reader.h"
#include "replay.h"

struct fsh_script_text {
    char *data;
    size_t len;
};

struct fsh_script_wish {
    enum fsh_replay_mode mode;
    bool stop;      /* a thread that diverges gets nothing more */
    uint64_t until; /* stop before this decision of a thread; 0 for never */
    uint64_t until_process, until_thread;
    const char *program; /* site: what will be started; NULL: what was recorded */
    /* set and site: by number of the decision that fired, in the order of fsh_reader_walk; NULL: none is */
    const uint8_t *excluded;
};

/* A place for a fault (REPLAY_PLACE): the first time that this call is met with this call stack. */
struct fsh_spot {
    uint64_t site;
    uint16_t call;
    uint8_t kind;
    uint32_t wanted; /* FSH_PLACE_ bits */
};

/* A script that injects at these places alone; with none, it watches. False after a message. */
bool fsh_script_place(struct fsh_script_text *out, const struct fsh_spot *spots, size_t n);
/* False after a message. */
bool fsh_script_compile(struct fsh_script_text *out, const struct fsh_reader *reader, const struct fsh_script_wish *wish);

#endif
