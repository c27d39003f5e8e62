/* losses.h: data that a failed sync does away with: what stood in files before it was written to is kept in the session's journal
 * (journal.h). The supervisor puts it back when the run is over; the fault `evict` does at once.
 *
 * Gate closed, but where it says otherwise. Nothing happens in a run without a journal. */
#ifndef FSH_LOSSES_H
#define FSH_LOSSES_H

#include <sys/stat.h>

#include "facts.h"
#include "gate.h"

/* Around a call that changes the file behind a descriptor. */
void fsh_losses_before_write(enum fsh_call call, const long *a, const struct fsh_resource *r, const struct stat *st);
void fsh_losses_after_write(enum fsh_call call, const long *a, const struct fsh_resource *r, const struct stat *st, long result);
/* Around a sync: `before` is what fsh_losses_before_sync said. */
uint64_t fsh_losses_before_sync(void);
void fsh_losses_after_sync(enum fsh_call call, const long *a, uint64_t before);
/* A shared mapping to be written to: what goes through it is not seen. */
void fsh_losses_mapped(const long *a);
/* The file has this size, or this name, or is gone. */
void fsh_losses_resized(const struct stat *st);
void fsh_losses_named(const struct stat *st, const char *name);
void fsh_losses_gone(const struct stat *st);

/* A sync of the file has failed. Any gate. */
void fsh_losses_fail(int fd);
/* The file is read from its medium again: what is lost is gone, and the rest is written out. Any gate. */
void fsh_losses_evict(int fd);

#endif
