/* identity.h: names and keys of processes, threads and resources: what makes "the same" thread or file the same in the next run,
 * on another machine, under another process id. Pure; used by the shim to decide and by the tools to decide again. */
#ifndef FSH_IDENTITY_H
#define FSH_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "draw.h"

enum { FSH_PATH_MAX = 4096, FSH_ID_MAX = 88 };

/* A process: named by its parent's name and the count of forks in the thread that forked; the root is "1".
 * The count goes on over exec, whose program has the main thread alone.
 * Children that no door saw being made are counted apart, as "1.u1". */
struct fsh_identity {
    char name[FSH_ID_MAX]; /* cut at its end when the tree is very deep; the key stays exact */
    uint64_t key;
};

void fsh_identity_root(struct fsh_identity *process);
void fsh_identity_main_thread(struct fsh_identity *thread);
/* `count` from 1. */
void fsh_identity_child(struct fsh_identity *child, const struct fsh_identity *process, const struct fsh_identity *thread,
                        uint32_t count);
void fsh_identity_unseen(struct fsh_identity *child, const struct fsh_identity *process, uint32_t count);
void fsh_identity_thread(struct fsh_identity *child, const struct fsh_identity *thread, uint32_t count);
/* From a name alone (as found in the environment or in the session): the key is that of the name. */
void fsh_identity_parse(struct fsh_identity *identity, const char *name, size_t len);

/* Stream keys, one for each enum fsh_key. Resources and sites have their own. */
static inline uint64_t fsh_key_of_thread(uint64_t process_key, uint64_t thread_key) {
    return fsh_fold(process_key, thread_key);
}
enum { FSH_KEY_OF_RUN = 0 };

/* `path` as an absolute path without `.`, `..` and doubled slashes, starting from directory `base` if it is relative.
 * Lexical: no symbolic link is followed. Returns its length, or -1 if it does not fit in FSH_PATH_MAX. */
int fsh_path_absolute(char out[FSH_PATH_MAX], const char *base, const char *path);

/* What a path is the same under. Directories may be NULL or empty. */
struct fsh_places {
    const char *run;  /* working directory that the run started in */
    const char *home; /* $HOME */
    const char *temp; /* $TMPDIR, or /tmp */
    uint32_t pids[4]; /* ids of this process and its parents: drawn by the system, so they count as one name */
};
/* The key of a file: of its absolute path with the places above taken out, so that another checkout or user gets the same. */
uint64_t fsh_key_of_path(const struct fsh_places *places, const char *path);
/* Whether a file made with O_EXCL at that path has a drawn name: directly in the directory for temporary files. */
bool fsh_path_is_temporary(const struct fsh_places *places, const char *path);

#endif
