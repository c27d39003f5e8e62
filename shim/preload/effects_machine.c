/* effects_machine.c: the machine gets in the way of a call: stall, signal, pause, cpu, memory, yield. The call itself is then
 * carried out. Context: see effects.h. */
#include "effects.h"

#include <stdatomic.h>
#include <time.h>

#include "phases.h"

#include "poison.h"

/* --- stall --- */

static long after_errno(const struct fsh_action *x) {
    return x->verdict->error ? fsh_fail(x->row, x->a, x->verdict->error) : fsh_real_call(x);
}

long fsh_effect_stall(const struct fsh_action *x) {
    uint64_t ns = x->verdict->amount ? x->verdict->amount : UINT64_MAX;
    return fsh_hold_while_on(x->verdict->rule, ns, false) == HELD_OFF ? fsh_real_call(x) : after_errno(x);
}

/* --- signal --- */

/* To this thread: unless it is blocked, its handler has run when the system call returns. */
long fsh_effect_signal(const struct fsh_action *x) {
    fsh_sys3(SYS_tgkill, fsh_sys0(SYS_getpid), fsh_sys0(SYS_gettid), x->verdict->amount);
    return fsh_real_call(x);
}

/* --- pause --- */

enum { RUNGS = 8, FIRST_RUNG = 10 * 1000 * 1000 }; /* ns */

static bool arm(uint64_t ns, int *timer) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGCONT};
    struct itimerspec at = {{0, 0}, {(time_t)(ns / 1000000000), (long)(ns % 1000000000)}};
    if (fsh_sys3(SYS_timer_create, CLOCK_MONOTONIC, &event, timer) < 0)
        return false;
    if (fsh_sys4(SYS_timer_settime, *timer, 0, &at, 0) == 0)
        return true;
    fsh_sys1(SYS_timer_delete, *timer);
    return false;
}

/* Timers of the kernel go on while the process stands still, and their SIGCONT lets the process go on even where the signal is
 * blocked or handled. The first one may come before the process has stopped, where the time is short or the thread has to wait for
 * a processor: others come later and later, up to minutes. One timer that repeats itself would not do: the kernel does not set it
 * again before its signal has been taken, and SIGSTOP throws a SIGCONT away that has not been. Returns how many there are. */
static unsigned arm_continue(uint64_t ns, int *timers) {
    unsigned n = 0;
    for (uint64_t later = 0; n < RUNGS && arm(ns + later, &timers[n]); n++)
        later = later ? 4 * later : FIRST_RUNG;
    return n;
}

/* SIGSTOP to the thread itself: when the system call returns, the whole process has stood still. What is left of the time (the
 * first process of a pid namespace can't be stopped from inside) is waited for. */
long fsh_effect_pause(const struct fsh_action *x) {
    uint64_t left = fsh_rule_until(x->verdict->rule), ns = x->verdict->amount < left ? x->verdict->amount : left;
    uint64_t end = fsh_monotonic() + ns, now;
    int timers[RUNGS];
    uint64_t mask = fsh_block_signals(); /* a handler that jumps away would leave the timers behind */
    unsigned n = ns ? arm_continue(ns, timers) : 0;
    if (n == RUNGS) /* with fewer it might be for good */
        fsh_sys3(SYS_tgkill, fsh_sys0(SYS_getpid), fsh_sys0(SYS_gettid), SIGSTOP);
    while (n > 0)
        fsh_sys1(SYS_timer_delete, timers[--n]);
    fsh_restore_signals(mask);
    now = fsh_monotonic();
    if (now < end)
        fsh_hold(end - now);
    return fsh_real_call(x);
}

/* --- cpu --- */

static uint64_t cpu_time(void) {
    struct timespec ts = {0};
    fsh_sys2(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

long fsh_effect_cpu(const struct fsh_action *x) {
    uint64_t end = cpu_time() + x->verdict->amount;
    while (cpu_time() < end && fsh_rule_is_on(x->verdict->rule))
        for (volatile unsigned i = 0; i < 2000; i++)
            ;
    return fsh_real_call(x);
}

/* --- memory --- */

enum { BLOCKS = 64, TOUCH = 4096 };

/* A block is free, being changed by one thread, or held. */
enum { BLOCK_FREE, BLOCK_BUSY, BLOCK_HELD };

static struct {
    _Atomic uint32_t state;
    uint32_t rule;
    uint64_t at, size, until;
} blocks[BLOCKS];
_Atomic uint32_t fsh_memory_blocks;

static bool change(unsigned i, uint32_t from, uint32_t to) {
    return atomic_compare_exchange_strong(&blocks[i].state, &from, to);
}

void fsh_memory_return(void) {
    uint64_t now = fsh_monotonic();
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (!change(i, BLOCK_HELD, BLOCK_BUSY))
            continue;
        bool over = now >= blocks[i].until || !fsh_rule_is_on(blocks[i].rule);
        if (over) {
            fsh_sys2(SYS_munmap, blocks[i].at, blocks[i].size);
            atomic_fetch_sub(&fsh_memory_blocks, 1);
        }
        atomic_store(&blocks[i].state, over ? BLOCK_FREE : BLOCK_HELD);
    }
}

/* With every block in use nothing more is taken. */
static void take(unsigned rule, uint64_t size, uint64_t ns) {
    unsigned i = 0;
    while (i < BLOCKS && !change(i, BLOCK_FREE, BLOCK_BUSY))
        i++;
    if (i == BLOCKS)
        return;
    size = (size + TOUCH - 1) & ~(uint64_t)(TOUCH - 1);
    long p = fsh_sys6(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool taken = !(p < 0 && p > -4096);
    for (uint64_t at = 0; taken && at < size; at += TOUCH)
        *(volatile char *)(p + (long)at) = 1;
    blocks[i].rule = rule;
    blocks[i].at = (uint64_t)p;
    blocks[i].size = size;
    blocks[i].until = fsh_monotonic() + ns;
    if (taken)
        atomic_fetch_add(&fsh_memory_blocks, 1);
    atomic_store(&blocks[i].state, taken ? BLOCK_HELD : BLOCK_FREE);
}

long fsh_effect_memory(const struct fsh_action *x) {
    fsh_memory_return();
    take(x->verdict->rule, x->verdict->amount, x->spec->limit);
    return fsh_real_call(x);
}

/* --- yield --- */

long fsh_effect_yield(const struct fsh_action *x) {
    if (x->verdict->amount)
        fsh_hold_while_on(x->verdict->rule, x->verdict->amount, false);
    else
        fsh_sys0(SYS_sched_yield);
    return fsh_real_call(x);
}
