/* waits.h: for how long a wait for something may last, and the same call with another time. */
#ifndef FSH_WAITS_H
#define FSH_WAITS_H

#include "effects.h"

static const uint64_t fsh_for_ever = UINT64_MAX;

struct fsh_wait_limit {
    uint8_t how; /* enum fsh_wait */
    uint8_t at;  /* the argument, from 0 */
    uint64_t ns; /* from now on; fsh_for_ever for no end */
};

/* What a call says of its time. What can't be read has no end: the call itself finds out. Any context. */
struct fsh_wait_limit fsh_wait_limit(enum fsh_call call, const long *a);

/* Room for what the argument points to. */
union fsh_wait_room {
    struct timespec ts;
    struct timeval tv;
};
/* The arguments of a call that lasts no longer than `ns`. They stay in the caller's frame, with `room`. */
void fsh_wait_shorten(const struct fsh_wait_limit *limit, const long *a, uint64_t ns, long *b, union fsh_wait_room *room);
/* What is left of its time is told where Linux tells it: select(2), "Linux: the timeout is updated". */
void fsh_wait_tell(const struct fsh_action *action, const struct fsh_wait_limit *limit, uint64_t left);
/* Whether the result says that the time was over. */
bool fsh_wait_is_over(const struct fsh_action *action, long result);

/* select(2) writes over its sets. */
struct fsh_wait_sets {
    size_t size;
    uint64_t v[3][64];
};
/* True also where there are none. */
bool fsh_wait_keep_sets(const struct fsh_action *action, struct fsh_wait_sets *sets);
void fsh_wait_put_sets_back(const struct fsh_action *action, const struct fsh_wait_sets *sets);

#endif
