/* effects_reply.c: reply: the request is swallowed, and the given bytes are what the program reads next.
 *
 * The descriptor is led to a pair of sockets (detour.h), whose other end the reply is written into; when the program has read it,
 * the descriptor leads to its connection again. What had arrived before the request comes before the reply. Requests that no rule
 * swallows go to the connection meanwhile, so that pipelined ones get their answers.
 *
 * For a reply of HTTP requests are told apart: one send may hold several, and one may come in several sends. For any other, each
 * send is a request. */
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "detour.h"
#include "effects_net.h"
#include "files.h"
#include "phases.h"
#include "session.h"

#include "poison.h"

enum { PIECE = 1 << 16, SLICE_MS = 20 };

/* --- memory that grows --- */

static bool grow(struct fsh_feed *feed, size_t more) {
    size_t left = feed->n - feed->at, room = feed->room ? feed->room : PIECE;
    if (feed->n + more <= feed->room)
        return true;
    while (room < left + more)
        room *= 2;
    long p = fsh_sys6(SYS_mmap, 0, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p < 0 && p > -4096)
        return false;
    if (left)
        memcpy((char *)p, feed->bytes + feed->at, left);
    if (feed->room)
        fsh_sys2(SYS_munmap, feed->bytes, feed->room);
    *feed = (struct fsh_feed){(char *)p, 0, left, room};
    return true;
}

void fsh_feed_end(struct fsh_feed *feed) {
    if (feed->room)
        fsh_sys2(SYS_munmap, feed->bytes, feed->room);
    *feed = (struct fsh_feed){0};
}

/* As much as the pair takes now; the rest when the program has read some. */
static void pump(struct fsh_link *link) {
    struct fsh_feed *feed = &link->feed;
    while (feed->at < feed->n) {
        long n = fsh_sys6(SYS_sendto, link->helper, feed->bytes + feed->at, feed->n - feed->at, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
        if (n <= 0)
            return;
        feed->at += (size_t)n;
    }
    feed->at = feed->n = 0;
}

/* The program has read everything. */
static bool is_read(const struct fsh_link *link) {
    int unread = 0;
    return link->feed.at == link->feed.n && fsh_sys3(SYS_ioctl, link->helper, SIOCOUTQ, &unread) == 0 && unread == 0;
}

/* What arrived before the request. */
static void take_over(struct fsh_link *link) {
    while (grow(&link->feed, PIECE)) {
        long n = fsh_sys6(SYS_recvfrom, link->hidden, link->feed.bytes + link->feed.n, PIECE, MSG_DONTWAIT, 0, 0);
        if (n <= 0)
            return;
        link->feed.n += (size_t)n;
    }
}

/* --- requests of HTTP --- */

enum { IN_FIRST, IN_HEADER, IN_BODY, IN_SIZE, IN_CHUNK, IN_TRAILER };

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static const char *value_of(const struct fsh_request *r, const char *name) {
    size_t n = 0;
    for (; name[n]; n++)
        if (lower(r->line[n]) != name[n])
            return NULL;
    while (r->line[n] == ' ')
        n++;
    return r->line + n;
}

static uint64_t digits(const char *p, unsigned base) {
    uint64_t v = 0;
    for (;; p++) {
        char c = lower(*p);
        unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10) : 99;
        if (digit >= base || v > UINT64_MAX / 32)
            return v;
        v = v * base + digit;
    }
}

/* The header ends: true if the request does. Whoever expects "100 Continue" sends no more before it has an answer. */
static bool header_ends(struct fsh_request *r) {
    r->state = r->expects ? IN_FIRST : r->chunked ? IN_SIZE : r->left ? IN_BODY : IN_FIRST;
    return r->state == IN_FIRST;
}

static bool line_ends(struct fsh_request *r) {
    const char *value;
    if (r->state == IN_SIZE) {
        r->left = digits(r->line, 16) + 2; /* with its line's end */
        r->state = r->left == 2 ? IN_TRAILER : IN_CHUNK;
        return false;
    }
    if (!*r->line && r->state == IN_TRAILER) {
        r->state = IN_FIRST;
        return true;
    }
    if (!*r->line)
        return r->state == IN_HEADER && header_ends(r); /* empty lines before a request: RFC 9112, 2.2 */
    if (r->state == IN_FIRST) {
        r->state = IN_HEADER;
        r->left = 0;
        r->chunked = r->expects = false;
    } else if ((value = value_of(r, "content-length:"))) {
        r->left = digits(value, 10);
    } else if ((value = value_of(r, "transfer-encoding:"))) {
        r->chunked = lower(*value) == 'c';
    } else if ((value = value_of(r, "expect:"))) {
        r->expects = *value == '1';
    }
    return false;
}

static bool take_line(struct fsh_request *r, char c) {
    if (c != '\n') {
        if (c != '\r' && r->n + 1u < sizeof r->line)
            r->line[r->n++] = c;
        return false;
    }
    r->line[r->n] = 0;
    r->n = 0;
    return line_ends(r);
}

/* How many requests end in these bytes. */
static unsigned requests_in(struct fsh_request *r, const char *p, size_t n) {
    unsigned ended = 0;
    for (size_t i = 0; i < n; i++) {
        bool counts = r->state == IN_BODY || r->state == IN_CHUNK;
        if (!counts) {
            ended += take_line(r, p[i]);
            continue;
        }
        uint64_t skip = r->left < n - i ? r->left : n - i;
        r->left -= skip;
        i += skip - 1;
        if (r->left == 0) {
            ended += r->state == IN_BODY;
            r->state = r->state == IN_BODY ? IN_FIRST : IN_SIZE;
        }
    }
    return ended;
}

static bool is_http(const struct fsh_net_spec *net) {
    return net->n_text > 5 && !memcmp(net->text, "HTTP/", 5);
}

bool fsh_reply_waits(const struct fsh_link *link) {
    return link->state == LINK_REPLY && (link->request.state != IN_FIRST || link->request.n);
}

/* --- swallowing --- */

static long swallow(const struct fsh_action *x, struct fsh_link *link) {
    const struct fsh_net_spec *net = &x->spec->net;
    struct iovec one;
    struct fsh_buffers b = fsh_buffers_of(x, &one);
    uint64_t left = x->hit->size;
    unsigned ended = !is_http(net);
    for (int i = 0; i < b.n; i++)
        if (!fsh_can_read(b.v[i].iov_base, b.v[i].iov_len))
            return fsh_real_call(x);
    for (int i = 0; is_http(net) && i < b.n && left; i++) {
        size_t n = b.v[i].iov_len < left ? b.v[i].iov_len : left;
        ended += requests_in(&link->request, b.v[i].iov_base, n);
        left -= n;
    }
    while (ended-- > 0 && grow(&link->feed, net->n_text)) {
        memcpy(link->feed.bytes + link->feed.n, net->text, net->n_text);
        link->feed.n += net->n_text;
    }
    pump(link);
    return (long)x->hit->size;
}

/* --- and reading --- */

void fsh_reply_end(struct fsh_link *link) {
    fsh_detour_end(link);
    fsh_feed_end(&link->feed);
    link->state = LINK_WHOLE;
}

static void come_back(struct fsh_link *link) {
    if (is_read(link) && !fsh_reply_waits(link))
        fsh_reply_end(link);
}

static long read_reply(const struct fsh_action *x, struct fsh_link *link) {
    come_back(link); /* it may have been read by calls that are not met */
    long result = fsh_real_call(x);
    int e = errno;
    if (link->state == LINK_REPLY && link->detoured) {
        pump(link);
        come_back(link);
    }
    errno = e;
    return result;
}

/* A request of its own, which no rule swallows. */
static long send_behind(const struct fsh_action *x, struct fsh_link *link) {
    long a[6];
    come_back(link);
    if (link->state != LINK_REPLY || !link->detoured)
        return fsh_real_call(x);
    memcpy(a, x->a, sizeof a);
    a[x->row->roles.fd - 1] = link->hidden;
    return x->invoke(a);
}

/* Another thread may send the request, or fall into a hole that ends: that must be found by who waits for it already, on what was
 * the connection when the wait began. */
static long read_in_pieces(const struct fsh_action *x) {
    struct pollfd p = {.fd = x->hit->fd, .events = POLLIN};
    uint64_t ns = fsh_receive_time(x), end = ns == UINT64_MAX ? ns : fsh_monotonic() + ns;
    bool waits = fsh_call_waits(x);
    while (waits && fsh_monotonic() < end) {
        struct timespec slice = {0, SLICE_MS * 1000000L};
        long n = fsh_sys5(SYS_ppoll, &p, 1, &slice, 0, 8);
        if (n == -EINTR && (ns != UINT64_MAX || fsh_interrupted()))
            return fsh_fail(x->row, x->a, EINTR);
        waits = n == 0 || n == -EINTR;
        fsh_holes_heal();
    }
    struct fsh_link *link = x->hit->resource->link;
    return link && link->state == LINK_REPLY ? read_reply(x, link) : fsh_real_call(x);
}

long fsh_effect_reply(const struct fsh_action *x) {
    struct fsh_link *link = x->hit->resource ? x->hit->resource->link : NULL;
    bool writes = fsh_call_writes((enum fsh_call)x->hit->call);
    if (x->verdict->lasting && (!link || link->state != LINK_REPLY))
        return writes ? fsh_real_call(x) : read_in_pieces(x);
    if (x->verdict->lasting)
        return !writes ? read_reply(x, link) : fsh_reply_waits(link) ? swallow(x, link) : send_behind(x, link);
    if (!x->spec->net.n_text || !(link = fsh_leave_behind(x, LINK_REPLY)) || link->state != LINK_REPLY)
        return fsh_real_call(x);
    int e = errno;
    if (!link->detoured) {
        if (!fsh_detour_begin(link, x->hit->fd)) {
            link->state = LINK_WHOLE;
            return fsh_real_call(x);
        }
        link->request = (struct fsh_request){0};
        take_over(link);
    }
    errno = e;
    return swallow(x, link);
}

/* --- replies that stand in files --- */

/* From the folder where the run began, whatever the program's own is. */
static long open_reply(const char *path) {
    char absolute[FSH_PATH_MAX];
    if (fsh_path_absolute(absolute, fsh_shim.places.run, path) <= 0)
        return -ENAMETOOLONG;
    return fsh_sys4(SYS_openat, AT_FDCWD, absolute, O_RDONLY | O_CLOEXEC, 0);
}

/* As it stands in the session; composed in memory of its own. */
static bool load_kept(struct fsh_net_spec *net) {
    const struct fsh_text kept = fsh_files_find(fsh_session_meta(&fsh_shim.session, META_FILES), net->path);
    if (!kept.data)
        return false;
    net->text = kept.data;
    net->n_text = (uint32_t)kept.len;
    if (!net->auto_length)
        return true;
    long p = fsh_sys6(SYS_mmap, 0, kept.len + FSH_REPLY_ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    net->n_text = p > 0 ? (uint32_t)fsh_reply_compose((char *)p, kept.data, kept.len) : 0;
    net->text = p > 0 ? (const char *)p : net->text;
    return true;
}

static void load(struct fsh_net_spec *net) {
    struct stat st;
    if (load_kept(net))
        return;
    long fd = open_reply(net->path), p = -1;
    if (fd < 0)
        return;
    if (fsh_sys2(SYS_fstat, fd, &st) == 0 && st.st_size > 0 && st.st_size < INT32_MAX / 2)
        p = fsh_sys6(SYS_mmap, 0, (size_t)st.st_size * 2 + FSH_REPLY_ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                     0);
    if (p > 0) {
        char *file = (char *)p + st.st_size + FSH_REPLY_ROOM, *text = (char *)p;
        long n = fsh_sys3(SYS_read, fd, file, st.st_size);
        net->n_text = n <= 0 ? 0 : net->auto_length ? (uint32_t)fsh_reply_compose(text, file, (size_t)n) : (uint32_t)n;
        net->text = net->auto_length ? text : file;
    }
    fsh_sys1(SYS_close, fd);
}

void fsh_replies_load(const struct fsh_profile *profile) {
    for (unsigned i = 0; i < profile->n_rules; i++)
        for (unsigned k = 0; k < profile->rules[i].n_faults; k++) {
            struct fsh_net_spec *net = &profile->rules[i].faults[k].net;
            if (net->path && profile->rules[i].in_run)
                load(net);
        }
}
