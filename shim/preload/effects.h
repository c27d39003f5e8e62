/* effects.h: one function for each fault. It runs with the gate open (the program's signal handlers go on being decided), with no
 * lock held, and returns what the caller of the door sees; errno is set last. */
#ifndef FSH_EFFECTS_H
#define FSH_EFFECTS_H

#include "clock.h"
#include "gate.h"
#include "record.h"

/* A fault about to be carried out. */
struct fsh_action {
    const struct fsh_hit *hit;
    const struct fsh_verdict *verdict;
    const struct fsh_fault_spec *spec;
    const struct fsh_call_row *row;
    fsh_invoke invoke;
    const long *a;
};

long fsh_effect_error(const struct fsh_action *action);
long fsh_effect_error_after(const struct fsh_action *action);
long fsh_effect_delay(const struct fsh_action *action);
long fsh_effect_stall(const struct fsh_action *action);
long fsh_effect_signal(const struct fsh_action *action);
long fsh_effect_pause(const struct fsh_action *action);
long fsh_effect_cpu(const struct fsh_action *action);
long fsh_effect_memory(const struct fsh_action *action);
long fsh_effect_yield(const struct fsh_action *action);
long fsh_effect_crash(const struct fsh_action *action);
long fsh_effect_short(const struct fsh_action *action);
long fsh_effect_corrupt(const struct fsh_action *action);
long fsh_effect_lost(const struct fsh_action *action);
long fsh_effect_clock(const struct fsh_action *action);
long fsh_effect_late(const struct fsh_action *action);
long fsh_effect_early(const struct fsh_action *action);
long fsh_effect_torn(const struct fsh_action *action);
long fsh_effect_misdirect(const struct fsh_action *action);
long fsh_effect_twice(const struct fsh_action *action);
long fsh_effect_evict(const struct fsh_action *action);
long fsh_effect_seeded(const struct fsh_action *action);
long fsh_effect_fill(const struct fsh_action *action);
long fsh_effect_exit_status(const struct fsh_action *action);
long fsh_effect_replace(const struct fsh_action *action);
long fsh_effect_quota(const struct fsh_action *action);
long fsh_effect_bad_sector(const struct fsh_action *action);
long fsh_effect_fsync_fail(const struct fsh_action *action);
/* The part of fsh_effect_lost that is about signals. */
long fsh_lose_signal(const struct fsh_action *action);
/* The part of fsh_effect_corrupt that acts on the file itself. */
long fsh_corrupt_at_rest(const struct fsh_action *action);
long fsh_effect_loss(const struct fsh_action *action);
long fsh_effect_duplicate(const struct fsh_action *action);
long fsh_effect_reset(const struct fsh_action *action);
long fsh_effect_close(const struct fsh_action *action);
long fsh_effect_blackhole(const struct fsh_action *action);
long fsh_effect_reply(const struct fsh_action *action);
long fsh_effect_reorder(const struct fsh_action *action);

/* The real call. */
static inline long fsh_real_call(const struct fsh_action *action) {
    if (UNLIKELY(fsh_watch[action->hit->call] & WATCH_RANDOM))
        return fsh_random_invoke((enum fsh_call)action->hit->call, action->invoke, action->a);
    if (UNLIKELY(fsh_watch[action->hit->call] & WATCH_CLOCK))
        return fsh_clock_invoke((enum fsh_call)action->hit->call, action->invoke, action->a);
    return action->invoke(action->a);
}
/* The call's own way of saying that it failed with `e`. */
long fsh_fail(const struct fsh_call_row *row, const long *a, int e);
/* Where a call acts in its file. */
struct fsh_place {
    uint64_t at;     /* offset in the file */
    uint64_t size;   /* of the file */
    bool positioned; /* the call names its offset, and the descriptor's position stays */
    bool appends;
};
/* False for what the kernel will refuse, and for what is no regular file. Any context, gate open or closed. */
bool fsh_find_place(enum fsh_call call, int fd, const long *a, bool writes, struct fsh_place *place);
/* Another descriptor of the same file, of no shared position and without O_APPEND; -1 if there is no /proc, or no permission. */
int fsh_open_again(int fd, int flags);
/* Where the call's data stands in the program's memory. `one` is room for calls with a single buffer. */
struct fsh_buffers {
    struct iovec *v;
    int n;
};
struct fsh_buffers fsh_buffers_of(const struct fsh_action *action, struct iovec *one);
/* The same call on other buffers. */
long fsh_call_with(const struct fsh_action *action, struct iovec *v, int n);
/* The process dies as `crash` says it. Returns only from a SIGTERM that the program handles. */
void fsh_die(const struct fsh_fault_spec *spec);
/* The call with only the first `amount` bytes (or messages). */
long fsh_partial(const struct fsh_action *action, uint64_t amount);
/* Whether the call's result says that it succeeded. */
bool fsh_succeeded(const struct fsh_call_row *row, long result);
/* Gives back what the fault `memory` has taken and whose time is over. Any context, gate open or closed. */
void fsh_memory_return(void);
extern _Atomic uint32_t fsh_memory_blocks; /* that are held */
/* Holds the thread for `ns`, whatever signals come. */
void fsh_hold(uint64_t ns);

#endif
