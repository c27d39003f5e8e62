/* session_run.h: one run of a program under the shim: its session, its environment, its supervision to the end. */
#ifndef FSH_SESSION_RUN_H
#define FSH_SESSION_RUN_H

#include "binary.h"
#include "profile_load.h"
#include "put_back.h"

/* A process of the run that the shim did not start in. */
struct fsh_lost {
    int pid;         /* 0: not known */
    bool last;       /* it ended, or goes on, as this program */
    char path[4096]; /* what it was to run, made absolute */
    char why[256];
    uint64_t calls; /* system calls that it made unseen, with --audit */
};

struct fsh_run {
    /* what is asked for */
    char **argv;
    const struct fsh_loaded *loaded;
    const char *trace;                /* path */
    struct fsh_text script, replayed; /* replays only */
    struct fsh_text files;            /* the same: those that the recorded profile names */
    uint64_t timeout;                 /* ns, 0 for none */
    bool audit;
    bool mute;               /* the program has no input, and its output is thrown away */
    const char *output;      /* the same, but its output goes to this file */
    void (*look)(void *arg); /* called now and then while the program runs; NULL for nothing */
    void *look_arg;
    void (*stopped)(void *arg, int pid, int status); /* the program is traced (ptrace(2)): called at each stop; NULL: it is not */
    void *stopped_arg;
    bool alone;     /* what outlives the program is ended too */
    bool childless; /* this process has no other children: nobody has to be told apart. The program ends with it, however it ends */
    const char *cwd;       /* the working directory is a copy of this one; NULL: it is none */
    struct fsh_text sites; /* fsh_site_maps, if it is at hand already */

    /* what becomes of it */
    char program[4096]; /* path of what is started */
    struct fsh_binary binary;
    char library[4096];
    struct fsh_session session;
    char trace_path[4096]; /* absolute */
    char *own_variables[2];
    enum fsh_end end;
    int value;                 /* exit status or signal */
    bool dumped;               /* its core, too */
    uint64_t ns;               /* from start to end */
    unsigned left;             /* processes of the run that outlive it */
    int pid;                   /* of the program */
    struct fsh_audit *auditor; /* NULL without --audit */
    struct fsh_lost *lost;
    size_t n_lost, lost_room;
    uint64_t lost_unnamed;    /* there was no room to note them */
    struct fsh_losses losses; /* of data */
};

/* Each returns 0, or an exit status after a message. */

/* Finds the program: 126 or 127 if there is nothing to start. Creates nothing. */
int fsh_run_find(struct fsh_run *run);
/* Finds the library: its path in run->library. */
int fsh_run_library(struct fsh_run *run);
/* Finds the library and creates the session. */
int fsh_run_prepare(struct fsh_run *run);
/* Starts the program, waits for its end and seals the session. */
int fsh_run_supervise(struct fsh_run *run);
/* Status of `faultshim run` for a program that ended like that. */
int fsh_run_status(const struct fsh_run *run);
/* Whether the program itself, or what it became by exec, is among the lost. */
const struct fsh_lost *fsh_run_lost_program(const struct fsh_run *run);
/* Adds a process that lost the shim, with the reason that its file tells, or `why`. */
struct fsh_lost_process {
    int pid;
    bool last;
    const char *path, *why;
    uint64_t calls;
};
void fsh_run_add_lost(struct fsh_run *run, const struct fsh_lost_process *process);
void fsh_run_finish(struct fsh_run *run);
/* The same, but what fsh_run_find and fsh_run_library have found stays, for another run. */
void fsh_run_close(struct fsh_run *run);
/* No input for this process, and nobody that hears it. */
void fsh_run_mute(void);

#endif
