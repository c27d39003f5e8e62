/* live.h: runs that are going on: finding them among the processes of this user, opening their sessions, counting. */
#ifndef FSH_LIVE_H
#define FSH_LIVE_H

#include <sys/types.h>

#include "control.h"
#include "profile_load.h"

struct fsh_live {
    struct fsh_session session;
    dev_t device;
    ino_t inode;
    char trace[4096];   /* "" for a run without a file */
    pid_t pid;          /* of its first process that is there */
    unsigned processes; /* that are there now */
};

struct fsh_lives {
    struct fsh_live *v;
    size_t n, room;
};

/* All runs of which a process can be seen whose memory this user may look into. False if memory is out. */
bool fsh_lives_find(struct fsh_lives *lives);
void fsh_lives_free(struct fsh_lives *lives);

/* The run that a process belongs to; NULL if none of them does. */
const struct fsh_live *fsh_lives_with(const struct fsh_lives *lives, uint64_t pid);

/* The session in a trace, whether or not processes of it can be seen. False after a message. */
bool fsh_live_open(struct fsh_live *live, const char *path);
void fsh_live_close(struct fsh_live *live);

/* The rules that the run began with, and those that were loaded since. False after a message. */
bool fsh_live_load(struct fsh_loaded *loaded, const struct fsh_live *live);

/* Over all rings. Arrays of rules_room and n_calls; free `considered`. */
struct fsh_live_counts {
    uint64_t decisions, faults;
    uint64_t *considered, *fired, *calls;
    unsigned threads; /* that are there now */
    unsigned met;     /* of these, threads that have met all changes */
};
/* 0 or -errno. */
int fsh_live_count(struct fsh_live_counts *counts, const struct fsh_live *live);

#endif
