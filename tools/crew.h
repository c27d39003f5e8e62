/* crew.h: the workers of an exploration: long-lived processes that make runs of one program, each with faults of its own, judge
 * them and say what was met. A worker owns the supervision of its runs and everything that they start. What has come of a run is
 * told in one message; its trace and its output are kept only where they show something that the worker has not seen before. */
#ifndef FSH_CREW_H
#define FSH_CREW_H

#include <signal.h>

#include "crash.h"
#include "idmap.h"
#include "judge.h"
#include "script.h"

enum { FSH_SPOTS = 16, FSH_JOBS_MOST = 256, FSH_FAULTED_MOST = 1024 };

/* What all runs have in common. */
struct fsh_runs {
    char **argv;
    const struct fsh_loaded *loaded;       /* for runs at places, and for seeds; with call stacks as they need them */
    const struct fsh_condition *condition; /* NULL: what fsh_judge takes for a failure by itself */
    const char *setup;
    bool copy;
    bool leaks;        /* descriptors that are left open are a failure */
    const char *usual; /* what the run without faults leaves open, for fsh_judge_leaks; NULL in that run */
    uint64_t timeout;
    const char *work;       /* folder for what comes and goes */
    const char *folder;     /* of the exploration: not in copies of the working directory */
    const char *findings;   /* folder for what is kept */
    struct fsh_idmap known; /* points that need not be told any more */
    struct fsh_idmap told;  /* points whose call stacks need not be told any more */
    struct fsh_idmap found; /* findings that need not be kept any more */
};

enum fsh_task_kind {
    TASK_PLACES, /* faults at some call stacks; none: the run without faults */
    TASK_SEED,   /* the profile with a seed */
    TASK_SWARM,  /* rules and strengths drawn from the seed too */
    TASK_AGAIN   /* the recorded faults of a finding */
};

struct fsh_task {
    enum fsh_task_kind kind;
    uint64_t n, seed;
    unsigned n_spots;
    struct fsh_spot spots[FSH_SPOTS];
    char trace[4096]; /* TASK_AGAIN */
};

/* A point that was met: a call at a call stack. */
struct fsh_met {
    uint64_t point;
    struct fsh_spot spot;
    uint16_t rule; /* the first that considered it */
    bool failed;   /* it was, when it was met first */
    uint32_t n_frames;
    const char *frames; /* for fsh_met_frame; none if they have been told already */
};

struct fsh_sent_frame {
    uint64_t offset;
    const char *module, *path; /* path: "" if not known */
    struct fsh_text build_id;
};

struct fsh_ran {
    uint64_t n;
    int status; /* 0, or the exit status of trouble that has been told */
    enum fsh_end end;
    int value;
    bool failed, kept;
    char why[96], where[96];
    uint64_t finding; /* 0: none */
    uint64_t decisions, faults, ns;
    char call[40], error[24]; /* of the fault that led to it, "" if not known */
    uint64_t culprit;         /* its point */
    uint32_t n_faulted, n_met, n_frames;
    uint64_t faulted[FSH_FAULTED_MOST]; /* points, in order, each once */
    uint32_t n_open;
    struct fsh_met *met;            /* points that were not known, in order */
    struct fsh_crash_frame *frames; /* where it crashed */
    const char *open;               /* what was open at the end, with `leaks` */
    char *bytes;                    /* what these stand in */
};

struct fsh_crew_member {
    pid_t pid; /* 0: none */
    int socket;
    bool busy;
};

struct fsh_crew {
    struct fsh_runs *runs;
    unsigned jobs, busy;
    struct fsh_crew_member v[FSH_JOBS_MOST];
};

/* The frame at *at, which goes on to the next. */
struct fsh_sent_frame fsh_met_frame(const char **at);
uint64_t fsh_point_of(const struct fsh_spot *spot);

/* Each returns false after a message. */
bool fsh_crew_start(struct fsh_crew *crew, struct fsh_runs *runs, unsigned jobs);
bool fsh_crew_give(struct fsh_crew *crew, const struct fsh_task *task);
/* Waits for the end of a run, `ns` at most: 1 and the run (to be freed with fsh_ran_free), 0 if none ended, -1 after a message. */
int fsh_crew_take(struct fsh_crew *crew, uint64_t ns, struct fsh_ran *ran);
void fsh_ran_free(struct fsh_ran *ran);
/* Runs that go on are ended. */
void fsh_crew_end(struct fsh_crew *crew);

#endif
