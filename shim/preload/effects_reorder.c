/* effects_reorder.c: datagrams are held back until others have overtaken them.
 *
 * Nothing is held while the program waits: before it receives or polls, before the socket is closed and when the program ends by
 * exit, what is held goes out. So an answer never waits for a question that is still here. */
#include <stdatomic.h>

#include "detour.h"
#include "effects_net.h"
#include "phases.h"

#include "poison.h"

enum { HOLDERS = 64 };

struct fsh_kept {
    struct fsh_kept *next;
    size_t size; /* of this memory */
    int fd, mflags;
    uint32_t after; /* datagrams that overtake it yet */
    socklen_t addr_len;
    struct sockaddr_storage addr;
    size_t n;
    char bytes[];
};

_Atomic uint32_t fsh_holders;
static struct fsh_link *_Atomic holders[HOLDERS];

/* In a window of few, so a thread that spins does it for a moment only. */
static _Atomic uint32_t ordering;

static uint64_t lock(void) {
    uint64_t mask = fsh_block_signals();
    while (atomic_exchange_explicit(&ordering, 1, memory_order_acquire))
        fsh_sys0(SYS_sched_yield);
    return mask;
}

static void unlock(uint64_t mask) {
    atomic_store_explicit(&ordering, 0, memory_order_release);
    fsh_restore_signals(mask);
}

void fsh_held_fork(void) {
    atomic_store(&ordering, 0);
}

/* --- holding and letting go --- */

static bool is_known(struct fsh_link *link) {
    for (unsigned i = 0; i < HOLDERS; i++)
        if (atomic_load(&holders[i]) == link)
            return true;
    for (unsigned i = 0; i < HOLDERS; i++) {
        struct fsh_link *none = NULL;
        if (atomic_compare_exchange_strong(&holders[i], &none, link)) {
            atomic_fetch_add(&fsh_holders, 1);
            return true;
        }
    }
    return false;
}

static void forget(struct fsh_link *link) {
    for (unsigned i = 0; i < HOLDERS; i++) {
        struct fsh_link *there = link;
        if (atomic_compare_exchange_strong(&holders[i], &there, NULL))
            atomic_fetch_sub(&fsh_holders, 1);
    }
}

static void let_go(struct fsh_kept *held) {
    fsh_sys6(SYS_sendto, held->fd, held->bytes, held->n, held->mflags | MSG_DONTWAIT | MSG_NOSIGNAL,
             held->addr_len ? &held->addr : NULL, held->addr_len);
    fsh_sys2(SYS_munmap, held, held->size);
}

/* One more has overtaken them. With `all`, they go whatever is still to come. */
static void advance(struct fsh_link *link, bool all) {
    for (struct fsh_kept **at = &link->held; *at;) {
        struct fsh_kept *held = *at;
        if (!all && --held->after) {
            at = &held->next;
            continue;
        }
        *at = held->next;
        link->n_held--;
        let_go(held);
    }
}

void fsh_held_flush(struct fsh_link *link) {
    uint64_t mask = lock();
    advance(link, true);
    forget(link);
    unlock(mask);
}

void fsh_held_flush_all(void) {
    for (unsigned i = 0; i < HOLDERS && atomic_load_explicit(&fsh_holders, memory_order_relaxed); i++) {
        struct fsh_link *link = atomic_load(&holders[i]);
        if (link)
            fsh_held_flush(link);
    }
}

/* Those whose rule has gone off. */
void fsh_held_released(void) {
    for (unsigned i = 0; i < HOLDERS && atomic_load_explicit(&fsh_holders, memory_order_relaxed); i++) {
        struct fsh_link *link = atomic_load(&holders[i]);
        if (link && !fsh_rule_is_on(link->rule))
            fsh_held_flush(link);
    }
}

/* What exit(3) finds still held. */
__attribute__((destructor)) static void flush_at_exit(void) {
    fsh_held_flush_all();
}

unsigned fsh_held_due(const struct fsh_link *link) {
    unsigned due = 0;
    uint64_t mask = lock();
    for (const struct fsh_kept *held = link->held; held; held = held->next)
        due += held->after == 1;
    unlock(mask);
    return due;
}

/* --- reorder --- */

/* A copy, with where it goes. NULL for what can't be held: with control messages, or what the kernel would refuse. */
static struct fsh_kept *copy_of(const struct fsh_action *x) {
    const struct fsh_roles *r = &x->row->roles;
    const struct msghdr *msg = r->msg_in ? (const struct msghdr *)x->a[r->msg_in - 1] : NULL;
    const void *addr = msg ? msg->msg_name : r->addr ? (const void *)x->a[r->addr - 1] : NULL;
    socklen_t len = !addr ? 0 : msg ? msg->msg_namelen : (socklen_t)x->a[r->addrlen - 1];
    struct iovec one;
    if ((msg && msg->msg_controllen) || len > sizeof(struct sockaddr_storage) || !fsh_can_be_sent(x))
        return NULL;
    struct fsh_buffers b = fsh_buffers_of(x, &one);
    for (int i = 0; i < b.n; i++)
        if (!fsh_can_read(b.v[i].iov_base, b.v[i].iov_len))
            return NULL;
    size_t size = sizeof(struct fsh_kept) + x->hit->size;
    long p = fsh_sys6(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p < 0 && p > -4096)
        return NULL;
    struct fsh_kept *held = (struct fsh_kept *)p;
    *held = (struct fsh_kept){.size = size, .fd = x->hit->fd, .after = (uint32_t)x->verdict->amount, .addr_len = len};
    held->mflags = r->mflags ? (int)x->a[r->mflags - 1] : 0;
    if (len)
        memcpy(&held->addr, addr, len);
    for (int i = 0; i < b.n; i++) {
        memcpy(held->bytes + held->n, b.v[i].iov_base, b.v[i].iov_len);
        held->n += b.v[i].iov_len;
    }
    return held;
}

static bool hold(const struct fsh_action *x, struct fsh_link *link) {
    struct fsh_kept *held = link->n_held < x->spec->net.limit ? copy_of(x) : NULL;
    if (!held)
        return false;
    uint64_t mask = lock();
    struct fsh_kept **at = &link->held;
    bool known = is_known(link);
    while (*at)
        at = &(*at)->next;
    if (known) {
        *at = held;
        link->n_held++;
    } else {
        fsh_sys2(SYS_munmap, held, held->size);
    }
    unlock(mask);
    return known;
}

static long overtake(const struct fsh_action *x, struct fsh_link *link) {
    long result = fsh_real_call(x);
    if (result < 0)
        return result;
    int e = errno;
    uint64_t mask = lock();
    advance(link, false);
    if (!link->held)
        forget(link);
    unlock(mask);
    errno = e;
    return result;
}

long fsh_effect_reorder(const struct fsh_action *x) {
    struct fsh_link *link = x->verdict->lasting ? fsh_link_of(x->hit->resource) : fsh_leave_behind(x, LINK_HOLDS);
    if (!link || link->state != LINK_HOLDS)
        return fsh_real_call(x);
    int e = errno;
    if (!fsh_call_writes((enum fsh_call)x->hit->call)) {
        fsh_held_flush(link);
        errno = e;
        return fsh_real_call(x);
    }
    if (x->verdict->lasting && !fsh_rule_is_on(link->rule))
        fsh_held_flush(link);
    bool held = !x->verdict->lasting && hold(x, link);
    errno = e;
    return held ? (long)x->hit->size : overtake(x, link);
}
