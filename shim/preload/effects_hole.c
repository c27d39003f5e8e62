/* effects_hole.c: blackhole, and waiting for descriptors while there are holes.
 *
 * Reads and connects are held here, because they must see it when the rule goes off. What poll, select and epoll say comes from the
 * kernel: see detour.h. They wait in pieces, since nobody could wake them when a hole ends. */
#include "effects.h"

#include <netinet/in.h>
#include <sys/time.h>

#include "detour.h"
#include "effects_net.h"
#include "phases.h"
#include "waits.h"

#include "poison.h"

enum { SLICE = 100 * 1000 * 1000, SHORT_SLICE = 20 * 1000 * 1000 /* ns */ };
static const uint64_t for_ever = UINT64_MAX;
/* tcp(7), tcp_syn_retries: six retries "correspond to … about 127 seconds" */
static const uint64_t connect_time = UINT64_C(127) * 1000000000;

/* --- blocking or not, and for how long --- */

bool fsh_call_waits(const struct fsh_action *x) {
    const struct fsh_roles *r = &x->row->roles;
    long flags = fsh_sys2(SYS_fcntl, x->hit->fd, F_GETFL);
    int mflags = r->mflags ? (int)x->a[r->mflags - 1] : 0;
    return !(flags >= 0 && flags & O_NONBLOCK) && !(mflags & (MSG_DONTWAIT | MSG_ERRQUEUE));
}

static uint64_t time_of(const struct fsh_action *x, int option) {
    struct timeval tv = {0};
    socklen_t len = sizeof tv;
    fsh_sys5(SYS_getsockopt, x->hit->fd, SOL_SOCKET, option, &tv, &len);
    uint64_t ns = (uint64_t)tv.tv_sec * 1000000000 + (uint64_t)tv.tv_usec * 1000;
    return ns ? ns : for_ever;
}

uint64_t fsh_receive_time(const struct fsh_action *x) {
    return time_of(x, SO_RCVTIMEO);
}

/* signal(7): a call is restarted after handlers with SA_RESTART. Which handler ran is not known here: if none is without, it was
 * one. */
bool fsh_interrupted(void) {
    enum { SIGNALS = 64 };
    struct {
        void (*handler)(int);
        unsigned long flags;
        void *restorer;
        uint64_t mask;
    } act;
    for (int i = 1; i <= SIGNALS; i++)
        if (fsh_sys4(SYS_rt_sigaction, i, 0, &act, 8) == 0 && (uintptr_t)act.handler > 1 && !(act.flags & SA_RESTART))
            return true;
    return false;
}

/* Until the rule goes off (0), the time is over or a signal came (an errno). */
static int held(const struct fsh_action *x, uint64_t ns, int when_over) {
    uint64_t end = ns == for_ever ? for_ever : fsh_monotonic() + ns;
    for (;;) {
        uint64_t now = fsh_monotonic(), left = end == for_ever ? for_ever : end > now ? end - now : 0;
        switch (fsh_hold_while_on(x->verdict->rule, left, true)) {
        case HELD_OFF:
            return 0;
        case HELD_OUT:
            return when_over;
        case HELD_SIGNAL:
            if (ns != for_ever || fsh_interrupted())
                return EINTR;
        }
    }
}

/* --- the three kinds of calls --- */

static long healed(const struct fsh_action *x, struct fsh_link *link) {
    fsh_hole_heal(link);
    return fsh_real_call(x);
}

static long read_nothing(const struct fsh_action *x, struct fsh_link *link) {
    int e = fsh_call_waits(x) ? held(x, fsh_receive_time(x), EAGAIN) : EAGAIN;
    return e ? fsh_fail(x->row, x->a, e) : healed(x, link);
}

/* What a stream takes goes into the pair, as far as there is room: a dead connection takes no more than its buffer either. */
static long take_some(const struct fsh_action *x) {
    const struct fsh_roles *r = &x->row->roles;
    struct iovec one;
    if (!(r->in || r->iov_in || r->msg_in))
        return -ENOSYS;
    struct fsh_buffers b = fsh_buffers_of(x, &one);
    struct msghdr msg = {.msg_iov = b.v, .msg_iovlen = (size_t)b.n};
    return fsh_sys3(SYS_sendmsg, x->hit->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static long send_nowhere(const struct fsh_action *x, struct fsh_link *link) {
    if (x->hit->kind == FSH_ON_DGRAM)
        return (long)x->hit->size;
    if (!link->detoured)
        return fsh_real_call(x);
    long taken = take_some(x);
    if (taken == -ENOSYS)
        return fsh_real_call(x);
    if (taken != -EAGAIN)
        return taken < 0 ? fsh_fail(x->row, x->a, (int)-taken) : taken;
    int e = fsh_call_waits(x) ? held(x, time_of(x, SO_SNDTIMEO), EAGAIN) : EAGAIN;
    return e ? fsh_fail(x->row, x->a, e) : healed(x, link);
}

/* The first packet goes nowhere. A connection that is made without waiting stays in the making; on Unix sockets, and for
 * datagrams, there is nothing that could be lost: the hole comes after it. */
static long connect_nowhere(const struct fsh_action *x, struct fsh_link *link) {
    int domain = 0;
    socklen_t len = sizeof domain;
    fsh_sys5(SYS_getsockopt, x->hit->fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
    bool packets = x->hit->kind == FSH_ON_STREAM && domain != AF_UNIX;
    if (packets && fsh_call_waits(x)) {
        uint64_t ns = time_of(x, SO_SNDTIMEO);
        int e = held(x, ns < connect_time ? ns : connect_time, ns < connect_time ? EINPROGRESS : ETIMEDOUT);
        link->state = LINK_WHOLE;
        return e ? fsh_fail(x->row, x->a, e) : fsh_real_call(x);
    }
    if (packets) {
        fsh_filter_begin(link, x->hit->fd);
        link->state = LINK_CONNECTING;
        fsh_hole_begin(link);
        return fsh_real_call(x);
    }
    long result = fsh_real_call(x);
    int e = errno;
    if (result == 0)
        fsh_hole_open(link, x->hit->fd);
    errno = e;
    return result;
}

void fsh_hole_open(struct fsh_link *link, int fd) {
    link->state = LINK_HOLE;
    fsh_hole_begin(link);
    if (link->resource->socket)
        return; /* one peer of several: the others still come through */
    fsh_filter_begin(link, fd);
    if (link->resource->kind == FSH_ON_STREAM)
        fsh_detour_begin(link, fd);
}

/* --- poll, select, epoll_wait --- */

/* The call with another time. */
static long wait_for(const struct fsh_action *x, const struct fsh_wait_limit *limit, uint64_t ns) {
    union fsh_wait_room room;
    long a[6];
    fsh_wait_shorten(limit, x->a, ns, a, &room);
    return x->invoke(a);
}

static long wait_in_pieces(const struct fsh_action *x) {
    const struct fsh_wait_limit limit = fsh_wait_limit((enum fsh_call)x->hit->call, x->a);
    struct fsh_wait_sets sets;
    const uint64_t slice = fsh_tls.thread->plan->moves_links ? SHORT_SLICE : SLICE;
    uint64_t end = limit.ns == for_ever ? for_ever : fsh_monotonic() + limit.ns;
    if (limit.ns == 0 || !fsh_wait_keep_sets(x, &sets)) {
        fsh_holes_heal();
        return fsh_real_call(x);
    }
    for (;;) {
        fsh_holes_heal();
        uint64_t now = fsh_monotonic(), left = end == for_ever ? for_ever : end > now ? end - now : 0;
        long result = wait_for(x, &limit, left < slice ? left : slice);
        if (result != 0 || left <= slice) {
            fsh_wait_tell(x, &limit, result ? left : 0);
            return result;
        }
        fsh_wait_put_sets_back(x, &sets);
    }
}

/* --- asking and telling a connection whose descriptor leads elsewhere --- */

/* Options of the socket level are for both: among them are the times that it waits. */
static long ask_behind(const struct fsh_action *x) {
    long a[6];
    memcpy(a, x->a, sizeof a);
    a[0] = x->hit->resource->link->hidden;
    if (x->hit->call == CALL_setsockopt && x->a[1] == SOL_SOCKET)
        fsh_sys5(SYS_setsockopt, x->a[0], x->a[1], x->a[2], x->a[3], x->a[4]);
    return x->invoke(a);
}

/* --- blackhole --- */

long fsh_effect_blackhole(const struct fsh_action *x) {
    if (fsh_call_polls((enum fsh_call)x->hit->call)) {
        int e = errno;
        fsh_held_flush_all();
        errno = e;
        bool shared = fsh_tls.thread->plan->moves_links && fsh_threaded;
        return shared || atomic_load_explicit(&fsh_holes, memory_order_relaxed) ? wait_in_pieces(x) : fsh_real_call(x);
    }
    if (x->hit->resource && x->hit->resource->link && fsh_link_is_asked(x->hit->resource->link, (enum fsh_call)x->hit->call))
        return ask_behind(x);
    bool connects = x->row->class_of[x->hit->kind] == C_NET_CONNECT;
    struct fsh_link *link = x->verdict->lasting ? fsh_link_of(x->hit->resource) : fsh_leave_behind(x, LINK_WHOLE);
    if (!link)
        return fsh_real_call(x);
    int e = errno;
    if (connects)
        return connect_nowhere(x, link);
    if (link->state == LINK_WHOLE && !x->verdict->lasting)
        fsh_hole_open(link, x->hit->fd);
    errno = e;
    if (link->state != LINK_HOLE)
        return fsh_real_call(x);
    if (!fsh_rule_is_on(link->rule))
        return healed(x, link);
    return fsh_call_writes((enum fsh_call)x->hit->call) ? send_nowhere(x, link) : read_nothing(x, link);
}
