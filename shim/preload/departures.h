/* departures.h: proof of attachment. Before a program is started by exec or posix_spawn, that is noted in the session; when the
 * shim starts in it, the note is taken out. The supervisor names what is left. */
#ifndef FSH_DEPARTURES_H
#define FSH_DEPARTURES_H

#include "gate.h"

/* Notes that `path` is about to be started as the process `key`: 0, or a number for the functions below. NULL is what
 * the descriptor stands for. Safe in the child of vfork. */
int fsh_depart(uint64_t key, uint32_t pid, int dirfd, const char *path);
/* It was not started after all. */
void fsh_depart_failed(int departure);
/* Its process id, where that was not known before. */
void fsh_depart_as(int departure, uint64_t key, uint32_t pid);
/* The shim has started in the process `key`. */
void fsh_arrive(uint64_t key);

#endif
