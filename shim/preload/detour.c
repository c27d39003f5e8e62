/* detour.c: see detour.h. System calls only, none of which waits; signals are blocked meanwhile, because a handler that meets the
 * same connection must not find it half moved. */
#include "detour.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include "effects.h"
#include "phases.h"

#include "poison.h"

enum { NUMBERS = 1 << 16, HOLES = 64, WATCHES = 8, TEXT = 4096, CHUNK = 1 << 16, OUT_OF_THE_WAY = 960 };

_Atomic uint32_t fsh_holes;
bool fsh_threaded;
static struct fsh_link *_Atomic holes[HOLES];

static struct {
    _Atomic uint32_t lock;
    uint64_t mask; /* of the thread that holds the lock */
} moving;

static void lock(void) {
    uint64_t mask = fsh_block_signals();
    while (atomic_exchange_explicit(&moving.lock, 1, memory_order_acquire))
        fsh_sys0(SYS_sched_yield);
    moving.mask = mask;
}

static void unlock(void) {
    uint64_t mask = moving.mask;
    atomic_store_explicit(&moving.lock, 0, memory_order_release);
    fsh_restore_signals(mask);
}

void fsh_detour_fork(void) {
    atomic_store(&moving.lock, 0);
    fsh_held_fork();
}

/* --- numbers --- */

static long duplicate(int fd) {
    long high = fsh_sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
    return high >= 0 ? high : fsh_sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3);
}

static uint64_t inode_of(int fd) {
    struct stat st;
    return fsh_sys2(SYS_fstat, fd, &st) == 0 ? st.st_ino : 0;
}

/* Whether the number still is what was put there: a program may close every descriptor that it finds. */
static bool is_there(int fd, uint64_t inode) {
    return fd >= 0 && inode_of(fd) == inode;
}

/* --- epoll: the kernel's own list of who waits for a descriptor --- */

struct watch {
    int epfd;
    struct epoll_event event;
};

struct watches {
    struct watch v[WATCHES];
    unsigned n;
};

static const char *number(const char *p, unsigned base, uint64_t *out) {
    uint64_t v = 0;
    while (*p == ' ' || *p == '\t')
        p++;
    for (;; p++) {
        unsigned digit = *p >= '0' && *p <= '9' ? (unsigned)(*p - '0') : *p >= 'a' && *p <= 'f' ? (unsigned)(*p - 'a' + 10) : 99;
        if (digit >= base)
            break;
        v = v * base + digit;
    }
    *out = v;
    return p;
}

/* "tfd:        5 events:       19 data:     122334455667788  pos:0 ino:3b42 sdev:8": proc(5) */
static void read_watch(const char *line, int epfd, int fd, uint64_t inode, struct watches *watches) {
    uint64_t tfd, events, data, pos, ino;
    const char *p = number(line + 4, 10, &tfd);
    if (strncmp(p, " events:", 8) != 0)
        return;
    p = number(p + 8, 16, &events);
    if (strncmp(p, " data:", 6) != 0)
        return;
    p = number(p + 6, 16, &data);
    const char *at = strstr(p, "ino:");
    if (!at)
        return;
    (void)pos;
    number(at + 4, 16, &ino);
    if ((int)tfd != fd || ino != inode || watches->n == WATCHES)
        return;
    watches->v[watches->n++] = (struct watch){epfd, {.events = (uint32_t)events, .data.u64 = data}};
}

static void text_of(char *to, const char *before, unsigned n) {
    size_t len = strlen(before);
    char digits[12], *p = digits + sizeof digits;
    *--p = 0;
    do
        *--p = (char)('0' + n % 10);
    while (n /= 10);
    memcpy(to, before, len);
    memcpy(to + len, p, strlen(p) + 1);
}

static bool is_epoll(unsigned fd) {
    static const char wanted[] = "anon_inode:[eventpoll]";
    char path[40], target[64];
    text_of(path, "/proc/self/fd/", fd);
    long n = fsh_sys4(SYS_readlinkat, AT_FDCWD, path, target, sizeof target);
    return n == (long)sizeof wanted - 1 && !memcmp(target, wanted, sizeof wanted - 1);
}

/* Line by line: the list may be longer than any buffer. */
static void read_watches(unsigned epfd, int fd, uint64_t inode, struct watches *watches) {
    char path[48], text[TEXT];
    size_t have = 0;
    text_of(path, "/proc/self/fdinfo/", epfd);
    long info = fsh_sys4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (info < 0)
        return;
    for (long n; (n = fsh_sys3(SYS_read, info, text + have, TEXT - 1 - have)) > 0;) {
        char *line = text, *end;
        have += (size_t)n;
        text[have] = 0;
        for (; (end = strchr(line, '\n')); line = end + 1) {
            *end = 0;
            if (!strncmp(line, "tfd:", 4))
                read_watch(line, (int)epfd, fd, inode, watches);
        }
        have -= (size_t)(line - text);
        memmove(text, line, have);
        if (have == TEXT - 1)
            break;
    }
    fsh_sys1(SYS_close, info);
}

static void find_watches(int fd, struct watches *watches) {
    struct entry {
        uint64_t ino, off;
        unsigned short len;
        unsigned char type;
        char name[];
    };
    char room[TEXT] __attribute__((aligned(8)));
    uint64_t inode = inode_of(fd);
    long dir = fsh_sys4(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    watches->n = 0;
    if (dir < 0)
        return;
    for (long n; (n = fsh_sys3(SYS_getdents64, dir, room, sizeof room)) > 0;)
        for (long at = 0; at < n; at += ((struct entry *)(room + at))->len) {
            const char *name = ((struct entry *)(room + at))->name;
            uint64_t epfd;
            if (*number(name, 10, &epfd) == 0 && *name != '.' && is_epoll((unsigned)epfd))
                read_watches((unsigned)epfd, fd, inode, watches);
        }
    fsh_sys1(SYS_close, dir);
}

/* --- moving --- */

/* The number `fd` becomes the file behind `to`. */
static void move_number(int fd, int to) {
    struct watches watches;
    find_watches(fd, &watches);
    long flags = fsh_sys2(SYS_fcntl, fd, F_GETFD);
    for (unsigned i = 0; i < watches.n; i++)
        fsh_sys4(SYS_epoll_ctl, watches.v[i].epfd, EPOLL_CTL_DEL, fd, 0);
    fsh_sys3(SYS_dup3, to, fd, flags > 0 && flags & FD_CLOEXEC ? O_CLOEXEC : 0);
    for (unsigned i = 0; i < watches.n; i++)
        fsh_sys4(SYS_epoll_ctl, watches.v[i].epfd, EPOLL_CTL_ADD, fd, &watches.v[i].event);
}

/* All numbers that the program has for it. */
static void move_all(const struct fsh_link *link, int to) {
    for (unsigned fd = 3; fd < fsh_fds.n && fd < NUMBERS; fd++)
        if ((atomic_load_explicit(&fsh_fds.v[fd], memory_order_acquire) & ~(uintptr_t)1) == (uintptr_t)link->resource)
            move_number((int)fd, to);
}

/* O_NONBLOCK and the like belong to the file, not to its number. */
static void copy_mode(int from, int to) {
    enum { MODES = O_NONBLOCK | O_ASYNC };
    long flags = fsh_sys2(SYS_fcntl, from, F_GETFL), have = fsh_sys2(SYS_fcntl, to, F_GETFL);
    if (flags >= 0 && have >= 0)
        fsh_sys3(SYS_fcntl, to, F_SETFL, (have & ~MODES) | (flags & MODES));
}

static void copy_times(int from, int to) {
    static const int options[] = {SO_RCVTIMEO, SO_SNDTIMEO};
    for (int i = 0; i < 2; i++) {
        struct timeval tv;
        socklen_t len = sizeof tv;
        if (fsh_sys5(SYS_getsockopt, from, SOL_SOCKET, options[i], &tv, &len) == 0)
            fsh_sys5(SYS_setsockopt, to, SOL_SOCKET, options[i], &tv, len);
    }
}

static void close_number(int *fd, uint64_t inode) {
    if (is_there(*fd, inode))
        fsh_sys1(SYS_close, *fd);
    *fd = -1;
}

bool fsh_detour_begin(struct fsh_link *link, int fd) {
    int pair[2];
    lock();
    if (link->detoured) {
        unlock();
        return true;
    }
    if (fsh_sys4(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        unlock();
        return false;
    }
    close_number(&link->helper, link->helper_inode); /* of an earlier detour */
    link->hidden = (int)duplicate(fd);
    link->helper = (int)duplicate(pair[1]);
    link->inode = inode_of(fd);
    link->helper_inode = inode_of(pair[1]);
    fsh_sys1(SYS_close, pair[1]);
    if (link->hidden >= 0 && link->helper >= 0) {
        copy_mode(fd, pair[0]);
        copy_times(fd, pair[0]);
        move_all(link, pair[0]);
        link->detoured = true;
    } else {
        close_number(&link->hidden, link->inode);
        close_number(&link->helper, link->helper_inode);
    }
    fsh_sys1(SYS_close, pair[0]);
    unlock();
    return link->detoured;
}

static int some_number(const struct fsh_link *link) {
    for (unsigned fd = 3; fd < fsh_fds.n && fd < NUMBERS; fd++)
        if ((atomic_load_explicit(&fsh_fds.v[fd], memory_order_acquire) & ~(uintptr_t)1) == (uintptr_t)link->resource)
            return (int)fd;
    return -1;
}

/* The helper stays: who still waits on the other end of the pair would take its closing for an end of the connection. */
static void move_back(struct fsh_link *link) {
    int fd = some_number(link);
    if (!link->detoured)
        return;
    if (fd >= 0 && is_there(link->hidden, link->inode)) {
        copy_mode(fd, link->hidden);
        move_all(link, link->hidden);
        close_number(&link->hidden, link->inode);
    }
    link->detoured = false;
}

void fsh_detour_end(struct fsh_link *link) {
    lock();
    move_back(link);
    unlock();
}

/* --- what arrives is dropped --- */

void fsh_filter_begin(struct fsh_link *link, int fd) {
    struct sock_filter drop = {.code = BPF_RET | BPF_K, .k = 0};
    struct sock_fprog program = {.len = 1, .filter = &drop};
    char byte;
    link->filtered = fsh_sys5(SYS_setsockopt, fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
    /* datagrams that came before it */
    for (int i = 0; link->resource->kind == FSH_ON_DGRAM && i < CHUNK; i++)
        if (fsh_sys6(SYS_recvfrom, fd, &byte, 0, MSG_DONTWAIT, 0, 0) < 0)
            break;
}

void fsh_filter_end(struct fsh_link *link, int fd) {
    int nothing = 0;
    if (link->filtered)
        fsh_sys5(SYS_setsockopt, fd, SOL_SOCKET, SO_DETACH_FILTER, &nothing, sizeof nothing);
    link->filtered = false;
}

/* --- holes --- */

void fsh_hole_begin(struct fsh_link *link) {
    for (unsigned i = 0; i < HOLES; i++) {
        struct fsh_link *none = NULL;
        if (atomic_load(&holes[i]) == link)
            return;
        if (atomic_compare_exchange_strong(&holes[i], &none, link)) {
            atomic_fetch_add(&fsh_holes, 1);
            return;
        }
    }
}

static void hole_ends(struct fsh_link *link) {
    for (unsigned i = 0; i < HOLES; i++) {
        struct fsh_link *there = link;
        if (atomic_compare_exchange_strong(&holes[i], &there, NULL))
            atomic_fetch_sub(&fsh_holes, 1);
    }
}

/* What went into the hole comes out at the other end, as TCP would send it again. A connection that does not take it is given up.
 */
static void send_on(int from, int to) {
    enum { PATIENCE = 20, PATIENT_MS = 100 };
    long room = fsh_sys6(SYS_mmap, 0, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room < 0 && room > -4096)
        return;
    long n;
    while ((n = fsh_sys6(SYS_recvfrom, from, room, CHUNK, MSG_DONTWAIT, 0, 0)) > 0)
        for (long done = 0, tries = 0; done < n;) {
            long sent = fsh_sys6(SYS_sendto, to, room + done, n - done, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
            struct pollfd p = {.fd = to, .events = POLLOUT};
            if (sent > 0)
                done += sent;
            else if (sent != -EAGAIN || tries++ == PATIENCE)
                break;
            else
                fsh_sys3(SYS_poll, &p, 1, PATIENT_MS);
        }
    fsh_sys2(SYS_munmap, room, CHUNK);
}

void fsh_hole_heal(struct fsh_link *link) {
    lock();
    int fd = some_number(link);
    struct pollfd p = {.fd = link->helper, .events = POLLRDHUP};
    bool was_shut = link->detoured && fsh_sys3(SYS_poll, &p, 1, 0) > 0 && p.revents & POLLRDHUP;
    if (link->state == LINK_HOLE || link->state == LINK_CONNECTING) {
        move_back(link);
        if (fd >= 0)
            fsh_filter_end(link, fd);
        if (fd >= 0 && is_there(link->helper, link->helper_inode))
            send_on(link->helper, fd);
        if (fd >= 0 && was_shut)
            fsh_sys2(SYS_shutdown, fd, SHUT_WR);
        link->state = LINK_WHOLE;
        hole_ends(link);
    }
    unlock();
}

void fsh_holes_heal(void) {
    for (unsigned i = 0; i < HOLES && atomic_load_explicit(&fsh_holes, memory_order_relaxed); i++) {
        struct fsh_link *link = atomic_load(&holes[i]);
        if (link && !fsh_rule_is_on(link->rule))
            fsh_hole_heal(link);
    }
}

void fsh_detour_drop(struct fsh_link *link) {
    hole_ends(link);
    close_number(&link->hidden, link->inode);
    close_number(&link->helper, link->helper_inode);
    link->detoured = link->filtered = false;
}
