/* symbolize.h: from a frame of a call stack (module and offset) to function, file and line, by the module's debug information or
 * its symbol table. Debug information in files of its own is found as gdb finds it (build id, .gnu_debuglink below /usr/lib/debug);
 * nothing is asked of a network. */
#ifndef FSH_SYMBOLIZE_H
#define FSH_SYMBOLIZE_H

#include <stdio.h>

#include "reader.h"

/* Modules that were opened. One for a trace, or for many. */
struct fsh_symbols;

struct fsh_place {
    const char *module;   /* the last component of its path */
    const char *function; /* the innermost, inlined or not; NULL if it has no name. C++ and Rust names as in the source */
    const char *within;   /* the function that it was inlined into, NULL if it was not */
    const char *file;     /* as the compiler wrote it; NULL without debug information */
    int line;             /* 0 likewise */
    const char *obstacle; /* why nothing is known at all: the file is gone, or of another build. NULL for none */
};

/* NULL if memory is out. */
struct fsh_symbols *fsh_symbols_new(void);
void fsh_symbols_free(struct fsh_symbols *symbols);

/* Where a call came from: `offset` is its address of return, from the first page that is mapped. `build_id` is that of the module
 * that ran, empty if it is not known. `path` may be relative to `cwd`. The texts live as long as `symbols`. */
struct fsh_place fsh_symbols_find(struct fsh_symbols *symbols, const char *path, const char *cwd, struct fsh_text build_id,
                                  uint64_t offset);
/* The same for a frame of a trace, in a thread (an index) of it. */
struct fsh_place fsh_symbols_frame(struct fsh_symbols *symbols, const struct fsh_reader *reader, unsigned thread,
                                   const struct fsh_stack_frame *frame);

/* "parse at config.c:12 (inlined in main)", "main in ls", "program+0x1234 (is of another build now)". */
void fsh_put_place(FILE *out, const struct fsh_stack_frame *frame, const struct fsh_place *place);
/* The whole stack of a site, a line for each frame, with `indent` before it. The frames of libc that a door at a system call has
 * innermost are kept. Prints nothing for a site that is not in the trace. */
void fsh_put_stack(FILE *out, struct fsh_symbols *symbols, const struct fsh_reader *reader, unsigned thread, uint64_t site,
                   const char *indent);
/* Who called libc: the first frame outside of it, the first of all if there is none. False without a stack. */
bool fsh_symbols_origin(const struct fsh_reader *reader, uint64_t site, struct fsh_stack_frame *frame);
/* That frame as fsh_put_place has it, with `before` before it; prints nothing without a stack. */
void fsh_put_origin(FILE *out, struct fsh_symbols *symbols, const struct fsh_reader *reader, const struct fsh_decision *decision,
                    const char *before);
/* A list of {"module", "offset", "function", "within", "file", "line", "obstacle"}, what is not known left out; NULL without a
 * stack. */
struct json_object;
struct json_object *fsh_stack_json(struct fsh_symbols *symbols, const struct fsh_reader *reader, unsigned thread, uint64_t site);

#endif
