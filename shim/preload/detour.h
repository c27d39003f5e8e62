/* detour.h: a connection whose descriptors lead elsewhere for a while.
 *
 * The descriptor's number is given to one end of a pair of sockets (dup3), the connection itself is kept under a hidden number. So
 * the kernel itself knows what there is to read: blocking and non-blocking calls, poll, select and epoll, by level and by edge,
 * need no imitation. What epoll knows of the descriptor belongs to the old file: it is moved along. */
#ifndef FSH_DETOUR_H
#define FSH_DETOUR_H

#include "links.h"

/* The program's descriptors of that stream lead to our pair. False if that can't be done; then all is as it was. Any gate. */
bool fsh_detour_begin(struct fsh_link *link, int fd);
/* And back to the connection. */
void fsh_detour_end(struct fsh_link *link);

/* What arrives for the socket is dropped by the kernel, as on a dead line (not on Unix streams, which have no packets). */
void fsh_filter_begin(struct fsh_link *link, int fd);
void fsh_filter_end(struct fsh_link *link, int fd);

/* Links that lead nowhere, in this process. */
extern _Atomic uint32_t fsh_holes;
void fsh_hole_begin(struct fsh_link *link);
/* Those whose rule has gone off lead where they should again, and what was sent meanwhile goes there. Gate open. */
void fsh_holes_heal(void);
void fsh_hole_heal(struct fsh_link *link);

/* The last descriptor is gone. Gate closed. */
void fsh_detour_drop(struct fsh_link *link);
/* Whether more of a request is expected that is being swallowed. */
bool fsh_reply_waits(const struct fsh_link *link);
void fsh_feed_end(struct fsh_feed *feed);
/* Reads the files that replies are in, before main. */
struct fsh_profile;
void fsh_replies_load(const struct fsh_profile *profile);
/* The process has had several threads. */
extern bool fsh_threaded;

/* Sockets that hold datagrams back, in this process: see effects_reorder.c. Any gate. */
extern _Atomic uint32_t fsh_holders;
void fsh_held_flush(struct fsh_link *link);
void fsh_held_flush_all(void);
void fsh_held_released(void);
unsigned fsh_held_due(const struct fsh_link *link);
void fsh_held_fork(void);

/* In a forked child: another thread of the parent may have been in the middle of it. */
void fsh_detour_fork(void);

#endif
