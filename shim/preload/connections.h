/* connections.h: connections that count against the limit of a rule (storm), in all processes of the run.
 *
 * They stand in the session, once for each process that has them open: what is inherited counts once, and what a process had open
 * that is gone no longer counts. Context: any, gate open or closed; no lock. */
#ifndef FSH_CONNECTIONS_H
#define FSH_CONNECTIONS_H

#include "facts.h"

void fsh_connection_opened(int fd, struct fsh_resource *resource, enum fsh_counted how);
/* Rules from that number on have come since it was opened: it counts for those that it matches. */
void fsh_connection_matched(const struct fsh_resource *resource, unsigned from);
void fsh_connection_closed(const struct fsh_resource *resource);
/* How many are open that the rule counts, but for `resource`. */
uint64_t fsh_open_connections(unsigned rule, const struct fsh_resource *resource);

/* A program starts: what it has open is counted when it is met. */
void fsh_connections_start(void);
/* In the parent, and in the child, which has what its parent had. */
void fsh_connections_fork_before(void);
void fsh_connections_fork(void);

#endif
