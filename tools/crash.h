/* crash.h: where a program dies, and what it has open at its end. It is traced (ptrace(2)); its stack is read when the signal
 * comes, through libdwfl. */
#ifndef FSH_CRASH_H
#define FSH_CRASH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct fsh_run;

struct fsh_crash_frame {
    char module[64], function[128], file[256]; /* "" for what is not known */
    int line;
    uint64_t offset; /* in the module */
};

struct fsh_crash {
    int signal; /* 0: it has not died */
    unsigned n;
    struct fsh_crash_frame v[48];
    FILE *open; /* gets what the program has open when it exits, a line for each; NULL if nobody asks */
    const struct fsh_run *run;
};

/* To be called before fsh_run_supervise: what is found out then stands in `crash`. */
void fsh_crash_watch(struct fsh_crash *crash, struct fsh_run *run, FILE *open);
/* By the innermost functions that are not libc's, and the line of the first; 0 if nothing is known. */
uint64_t fsh_crash_hash(const struct fsh_crash *crash);
/* The frame that says most: the innermost that is not libc's. NULL if there is none. */
const struct fsh_crash_frame *fsh_crash_origin(const struct fsh_crash *crash);
/* As a debugger shows it. */
void fsh_crash_print(FILE *out, const struct fsh_crash *crash);

#endif
