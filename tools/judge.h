/* judge.h: what a run of an exploration came to: whether it failed, in a few words why, and the stack that its output tells. */
#ifndef FSH_JUDGE_H
#define FSH_JUDGE_H

#include "condition.h"

struct fsh_judgement {
    bool failed;
    bool crashed;   /* by a signal that leaves a core, and no report tells where */
    char why[96];   /* "SIGSEGV", "hang", "exit 3", "oracle", "asan: heap-use-after-free" */
    uint64_t stack; /* of the report in the output, hashed by function names; 0: there is none */
    char where[96]; /* the function that the report names first; "" if none */
};

/* What `condition` asks for or, with NULL: death by a signal, no end in time, a report of a sanitizer or of valgrind. */
void fsh_judge(struct fsh_judgement *out, const struct fsh_condition *condition, const struct fsh_run *run, const char *output);
/* A run that ended by itself with something open that `usual`, what a run without faults had open, does not have. Both are lines.
 */
void fsh_judge_leaks(struct fsh_judgement *out, const struct fsh_run *run, const char *open, const char *usual);
/* The report of a sanitizer or of valgrind in a program's output, if there is one. */
bool fsh_judge_report(struct fsh_judgement *out, FILE *in);

#endif
