/* trial.h: runs of one program side by side, each in a process of its own, judged by a condition. */
#ifndef FSH_TRIAL_H
#define FSH_TRIAL_H

#include <signal.h>

#include "condition.h"

/* What all runs have in common. */
struct fsh_trials {
    const struct fsh_reader *recorded;
    const char *path; /* of the recorded trace */
    const struct fsh_loaded *loaded;
    char **argv;
    const struct fsh_condition *condition;
    const char *setup; /* shell command before each run; NULL for none */
    bool copy;         /* each in a fresh copy of the working directory */
    unsigned jobs, runs;
    uint64_t timeout;
    char folder[4096]; /* for what they leave */
    uint64_t done;     /* runs so far */
};

/* A question: does the program fail with this? */
struct fsh_trial {
    const uint8_t *excluded; /* faults of the recorded trace that are left out */
    const char *profile;     /* or a profile in its place, and its seed */
    size_t profile_len;
    uint64_t seed;
    unsigned runs;         /* how often to ask; 0: as often as usual */
    bool whole;            /* no matter what is settled before */
    const char *keep;      /* where to put the trace of a run that failed; NULL: nowhere */
    bool settled;          /* known already */
    unsigned made, failed; /* the answer */
};

extern volatile sig_atomic_t fsh_trials_stopped;

/* A signal to end lets the runs end and sets fsh_trials_stopped. False after a message. */
bool fsh_trials_begin(struct fsh_trials *trials);
void fsh_trials_end(struct fsh_trials *trials);
/* Asks them all. 0, or an exit status after a message; when stopped, some may not be settled. */
int fsh_trials_ask(struct fsh_trials *trials, struct fsh_trial *v, size_t n);
/* At least half of the runs fail. */
bool fsh_trial_fails(const struct fsh_trial *trial);

#endif
