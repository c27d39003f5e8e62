/* stack.h: call stacks, by libunwind. It is loaded with RTLD_LOCAL and only when a rule asks for stacks: linked, it would
 * interpose backtrace and _Unwind_* in the whole program. */
#ifndef FSH_STACK_H
#define FSH_STACK_H

#include "gate.h"

/* Loads libunwind and makes one capture, so that nothing is loaded later. False if it can't be loaded. Called by the
 * constructor. */
bool fsh_stack_start(void);
/* The key of the call site: module and offset of the frames above ours, hashed. Written to the trace when this thread meets it
 * for the first time. 0 if there is no libunwind, and in signal handlers. */
uint64_t fsh_stack_site(struct fsh_thread *t);

/* In a child, before anything else of this. */
void fsh_stack_fork(void);

/* Whether the frames above the call let the rule in (stack, not-stack, depth); `caller` is where the call was made. No in signal
 * handlers and without libunwind. */
bool fsh_stack_matches(const struct fsh_rule *rule, const void *caller);

#endif
