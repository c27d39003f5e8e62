/* audit.h: what the kernel saw of a run, held against what the gate saw. Every thread of the run is followed with ptrace(2); at
 * each system call it is asked from where it was made, and whether the gate has seen that very call (struct fsh_audited). */
#ifndef FSH_AUDIT_H
#define FSH_AUDIT_H

#include <stdio.h>
#include <sys/types.h>

#include "session_run.h"

struct fsh_audit;
struct json_object;

/* NULL if there is no memory. */
struct fsh_audit *fsh_audit_new(struct fsh_run *run);
/* Follows a child that waits to be followed: 0 or -errno. */
int fsh_audit_follow(struct fsh_audit *audit, pid_t child);
/* What waitpid has told of a thread: it stopped, or it is gone. */
void fsh_audit_event(struct fsh_audit *audit, pid_t tid, int status);
/* The run is over: names the processes that lost the shim, those that go on included. */
void fsh_audit_end(struct fsh_audit *audit);
void fsh_audit_free(struct fsh_audit *audit);

/* Calls that a rule considers and that went past the gate. */
uint64_t fsh_audit_past(const struct fsh_audit *audit);
void fsh_audit_show(const struct fsh_audit *audit, FILE *out);
struct json_object *fsh_audit_json(const struct fsh_audit *audit);

#endif
