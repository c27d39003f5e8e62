/* pack.h: a trace and what belongs to it in one file: a tar archive, compressed with zstd.
 *
 *     manifest.json     {"format": 1, "faultshim": VERSION, "trace": FILE, "program": [FILE, ...]}
 *     run.trace         the trace as it is
 *     program/0 ...     the program and its libraries, if they were asked for
 *
 * A FILE in the manifest has `name` (in the archive), `size` and `sha256`; those of the program also `path`, where they stood, and
 * `program`, true for what was started. An archive may come from anywhere: nothing in it is believed before its size and its hash
 * have been checked, and no name of it becomes a path. */
#ifndef FSH_PACK_H
#define FSH_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FSH_PACK_SUFFIX ".fsz"

/* A file to be packed. */
struct fsh_packed {
    char *path;
    bool program;
};

/* Whether this is one: by its first bytes. */
bool fsh_pack_is(const char *path);
/* Writes it; the file appears when it is whole. True, or false after a message. `size` is what it has become. */
bool fsh_pack_write(const char *to, const char *trace, const struct fsh_packed *files, size_t n, uint64_t *size);
/* The trace in it, unpacked into a file without a name: its descriptor, or -1 after a message. */
int fsh_pack_open_trace(const char *path);

/* The program in it. */
struct fsh_unpacked {
    bool there;         /* there is one */
    char folder[2048];  /* of its own; "" if nothing had to be unpacked */
    char program[4096]; /* what is to be started: where it stood, if that is the same file, or in the folder */
};

/* Unpacks the program where it is not the same any more where it stood. False after a message. */
bool fsh_pack_program(struct fsh_unpacked *unpacked, const char *path);
/* Removes the folder. */
void fsh_unpacked_free(struct fsh_unpacked *unpacked);

#endif
