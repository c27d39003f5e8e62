/* effects_net.c: faults on datagrams and connections: loss, duplicate, reset, close.
 *
 * What can be done to the kernel's own socket is done to it: then poll, select, epoll, other threads and the other end see the same
 * as the call that met the fault. */

#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include "detour.h"
#include "doors.h"
#include "effects_net.h"
#include "phases.h"

#include "poison.h"

enum { MILLISECOND = 1000000, DATAGRAM_MAX = 65507 /* udp(7) over IPv4 */ };

/* --- the link of a resource --- */

/* What stays as it is, whatever comes after it. */
static bool is_final(const struct fsh_link *link) {
    return link->state == LINK_RESET || link->state == LINK_UNSAID || link->state == LINK_ENDED;
}

/* What is there already goes on. Otherwise it is over: the new fault finds the connection itself. */
static bool goes_on(const struct fsh_action *x, struct fsh_link *link) {
    bool hole = link->state == LINK_HOLE || link->state == LINK_CONNECTING,
         cuts = x->spec->kind != FAULT_BLACKHOLE && x->spec->kind != FAULT_REPLY;
    if (is_final(link) || (hole && !cuts) || (link->state == LINK_REPLY && x->spec->kind == FAULT_REPLY) ||
        (link->state == LINK_HOLDS && x->spec->kind == FAULT_REORDER))
        return true;
    if (hole)
        fsh_hole_heal(link);
    else if (link->state == LINK_REPLY)
        fsh_reply_end(link);
    else if (link->state == LINK_HOLDS)
        fsh_held_flush(link);
    if (link->state != LINK_CUT || !cuts)
        return false;
    if (x->verdict->amount < link->left)
        link->left = x->verdict->amount;
    return true;
}

static struct fsh_link *room_for(struct fsh_resource *r) {
    if (r->link_room || !(r->link_room = fsh_facts_memory(sizeof *r->link_room)))
        return r->link_room;
    *r->link_room = (struct fsh_link){.resource = r, .hidden = -1, .helper = -1};
    return r->link_room;
}

struct fsh_link *fsh_leave_behind(const struct fsh_action *x, enum fsh_link_state state) {
    struct fsh_resource *r = x->hit->resource;
    if (r && r->socket && state == LINK_HOLDS)
        r = (struct fsh_resource *)r->socket; /* its peers share one order */
    if (r && r->link && goes_on(x, r->link))
        return r->link;
    if (!r || !fsh_gate_close())
        return NULL;
    struct fsh_link *link = room_for(r);
    if (link) {
        link->rule = x->verdict->rule;
        link->line = x->verdict->alternative;
        link->fault = x->verdict->fault;
        link->state = (uint8_t)state;
        link->counts_out = fsh_call_writes((enum fsh_call)x->hit->call);
        link->left = x->verdict->amount;
        fsh_resource_link(r, link);
    }
    fsh_gate_open();
    return link;
}

static struct fsh_link *left_behind(const struct fsh_action *x) {
    return x->hit->resource ? fsh_link_of(x->hit->resource) : NULL;
}

/* --- cutting a connection --- */

/* What was sent before the cut is to arrive before it. */
static void flush_out(int fd) {
    enum { TRIES = 200 };
    int unsent = 0;
    for (int i = 0; i < TRIES && fsh_sys3(SYS_ioctl, fd, SIOCOUTQ, &unsent) == 0 && unsent > 0; i++)
        fsh_hold(MILLISECOND);
}

/* A thread that waits in a read is to see the end of the file, and not that the socket was taken from it (EPIPE). */
static void let_readers_go(int fd) {
    fsh_sys2(SYS_shutdown, fd, SHUT_RD);
    fsh_hold(MILLISECOND);
}

/* connect(2): "TCP sockets may be disconnected by connecting to AF_UNSPEC". Linux sends RST then, and leaves ECONNRESET for the
 * next call; shutdown makes what follows as it is after a reset from the other end: end of file, and EPIPE. False: not TCP. */
static bool reset_tcp(int fd) {
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    bool done = fsh_sys3(SYS_connect, fd, &nowhere, sizeof nowhere) == 0;
    fsh_sys2(SYS_shutdown, fd, SHUT_RDWR);
    return done;
}

static void cut(const struct fsh_action *x, struct fsh_link *link) {
    int e = errno, fd = x->hit->fd;
    if (x->spec->kind == FAULT_CLOSE) {
        fsh_sys2(SYS_shutdown, fd, SHUT_RD); /* wakes who waits, and makes it readable for good */
        link->state = LINK_ENDED;
    } else {
        if (link->counts_out)
            flush_out(fd);
        if (x->row->class_of[x->hit->kind] != C_NET_CONNECT)
            let_readers_go(fd);
        link->state = reset_tcp(fd) ? LINK_RESET : LINK_UNSAID;
    }
    errno = e;
}

/* recvmsg(2): what the header says of a message that isn't there. */
static long end_of_file(const struct fsh_action *x) {
    const struct fsh_roles *r = &x->row->roles;
    if (r->msg_out) {
        struct msghdr *msg = (struct msghdr *)x->a[r->msg_out - 1], asked = {0};
        if (fsh_can_read(msg, sizeof *msg))
            asked = *msg;
        if (!fsh_can_write(msg, sizeof *msg))
            return fsh_fail(x->row, x->a, EFAULT);
        *msg = asked;
        msg->msg_namelen = 0;
        msg->msg_controllen = 0;
        msg->msg_flags = 0;
    }
    return 0;
}

static long after_cut(const struct fsh_action *x, struct fsh_link *link) {
    if (link->state == LINK_ENDED && !fsh_call_writes((enum fsh_call)x->hit->call))
        return end_of_file(x);
    if (link->state != LINK_UNSAID)
        return fsh_real_call(x);
    link->state = LINK_RESET;
    return fsh_fail(x->row, x->a, ECONNRESET);
}

/* No more than what is left of the bytes before the cut. */
static long up_to_cut(const struct fsh_action *x, struct fsh_link *link) {
    uint64_t left = link->left;
    if (fsh_call_writes((enum fsh_call)x->hit->call) != link->counts_out)
        return fsh_real_call(x);
    bool part =
        x->hit->size > left && fsh_fault_fits(FAULT_SHORT, (enum fsh_call)x->hit->call, FSH_ON_STREAM) && !x->row->roles.messages;
    long result = part ? fsh_partial(x, left) : fsh_real_call(x);
    if (result <= 0 || x->row->roles.messages)
        return result;
    link->left = (uint64_t)result < left ? left - (uint64_t)result : 0;
    if (!link->left)
        cut(x, link);
    return result;
}

/* A connection that is made, and gone at once. One that is still being made is gone when the program looks. */
static long cut_when_made(const struct fsh_action *x, struct fsh_link *link) {
    long result = fsh_real_call(x);
    if (result < 0 && errno != EINPROGRESS)
        return result;
    cut(x, link);
    return result < 0 ? result : fsh_fail(x->row, x->a, ECONNRESET);
}

static long cut_connection(const struct fsh_action *x) {
    struct fsh_link *link = x->verdict->lasting ? left_behind(x) : fsh_leave_behind(x, LINK_CUT);
    if (!link)
        return fsh_real_call(x);
    if (x->row->class_of[x->hit->kind] == C_NET_CONNECT)
        return cut_when_made(x, link);
    if (link->state == LINK_CUT && link->left)
        return up_to_cut(x, link);
    if (link->state == LINK_CUT)
        cut(x, link);
    return after_cut(x, link);
}

long fsh_effect_reset(const struct fsh_action *x) {
    return cut_connection(x);
}

long fsh_effect_close(const struct fsh_action *x) {
    return cut_connection(x);
}

/* --- loss --- */

/* What the kernel would refuse can't be lost: memory that can't be read, nobody to send to, more than fits. */
bool fsh_can_be_sent(const struct fsh_action *x) {
    const struct fsh_roles *r = &x->row->roles;
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    bool named = (r->addr && x->a[r->addr - 1]) || (r->msg_in && ((const struct msghdr *)x->a[r->msg_in - 1])->msg_name);
    if (x->hit->size > DATAGRAM_MAX || (r->in && !fsh_can_read((const void *)x->a[r->in - 1], x->hit->size)))
        return false;
    return named || r->messages || fsh_sys3(SYS_getpeername, x->hit->fd, &peer, &len) == 0;
}

/* sendmmsg: the first message is lost, the others go. */
static long lose_first(const struct fsh_action *x) {
    struct mmsghdr *first = (struct mmsghdr *)x->a[1];
    long a[6];
    if (!x->hit->size || !fsh_can_read(first, sizeof *first))
        return fsh_real_call(x);
    const struct mmsghdr asked = *first;
    if (!fsh_can_write(first, sizeof *first))
        return fsh_real_call(x);
    *first = asked;
    first->msg_len = (unsigned)fsh_message_size(&first->msg_hdr);
    if (x->hit->size == 1)
        return 1;
    memcpy(a, x->a, sizeof a);
    a[1] = (long)(first + 1);
    a[2]--;
    long result = x->invoke(a);
    return result < 0 ? 1 : result + 1;
}

/* What the kernel writes over although it asks for it: the next receive wants it as it was. */
struct asked {
    struct msghdr msg;
    socklen_t len;
};

static void *address_length(const struct fsh_action *x) {
    return x->hit->call == CALL_recvfrom ? (void *)x->a[5] : NULL;
}

static void remember(const struct fsh_action *x, struct asked *asked) {
    const struct fsh_roles *r = &x->row->roles;
    const struct msghdr *msg = r->msg_out ? (const struct msghdr *)x->a[r->msg_out - 1] : NULL;
    const socklen_t *len = address_length(x);
    if (msg && fsh_can_read(msg, sizeof *msg))
        asked->msg = *msg;
    if (len && fsh_can_read(len, sizeof *len))
        asked->len = *len;
}

static void put_back(const struct fsh_action *x, const struct asked *asked) {
    const struct fsh_roles *r = &x->row->roles;
    socklen_t *len = address_length(x);
    if (r->msg_out)
        *(struct msghdr *)x->a[r->msg_out - 1] = asked->msg;
    if (len)
        *len = asked->len;
}

/* The next datagram that comes is thrown away. 0, or what the call says instead. */
static long throw_away(const struct fsh_action *x, int mflags) {
    char byte;
    struct asked asked = {0};
    long a[6];
    memcpy(a, x->a, sizeof a);
    if (x->row->roles.messages)
        a[2] = 1;
    remember(x, &asked);
    long result = x->invoke(a);
    if (result < 0)
        return result;
    if (mflags & MSG_PEEK)
        fsh_sys6(SYS_recvfrom, x->hit->fd, &byte, 0, MSG_DONTWAIT, 0, 0);
    put_back(x, &asked);
    return 0;
}

/* The call goes on waiting, and what comes next is decided for itself. */
static long lose_received(const struct fsh_action *x) {
    const struct fsh_roles *r = &x->row->roles;
    int mflags = r->mflags ? (int)x->a[r->mflags - 1] : 0;
    if (mflags & MSG_ERRQUEUE)
        return fsh_real_call(x);
    for (;;) {
        long result = throw_away(x, mflags);
        if (result < 0)
            return result;
        struct fsh_hit *again = fsh_consider_call((enum fsh_call)x->hit->call, r, x->a, x->hit->caller);
        if (!again)
            return fsh_real_call(x);
        if (again->n > 1 || again->verdicts[0].fault != FAULT_LOSS)
            return fsh_apply(again, x->invoke, x->a);
        fsh_gate_open();
    }
}

static long lose_datagram(const struct fsh_action *x) {
    if (!fsh_call_writes((enum fsh_call)x->hit->call))
        return lose_received(x);
    if (x->row->roles.messages)
        return lose_first(x);
    return fsh_can_be_sent(x) ? (long)x->hit->size : fsh_real_call(x);
}

long fsh_effect_loss(const struct fsh_action *x) {
    if (x->hit->kind == FSH_ON_DGRAM)
        return lose_datagram(x);
    if (x->spec->net.as == AS_RESET)
        return cut_connection(x);
    fsh_hold_while_on(x->verdict->rule, x->verdict->amount, false);
    return fsh_real_call(x);
}

/* --- duplicate --- */

/* What was sent goes once more, if there is room for it. */
long fsh_effect_duplicate(const struct fsh_action *x) {
    long result = fsh_real_call(x);
    int e = errno;
    if (result > 0 && x->hit->kind == FSH_ON_STREAM && (uint64_t)result < x->hit->size)
        fsh_partial(x, (uint64_t)result);
    else if (result >= 0)
        fsh_real_call(x);
    errno = e;
    return result;
}
