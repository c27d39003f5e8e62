/* effects_data.c: faults on transfers: short, corrupt, lost.
 *
 * Buffers of the program's are never written to where the call takes them as const: what is to be changed on its way out is
 * copied first, into memory from mmap. */
#include "effects.h"

#include <time.h>

#include "poison.h"

/* --- the same call on other buffers --- */

static const struct msghdr *message(const struct fsh_action *x) {
    const struct fsh_roles *r = &x->row->roles;
    return (const struct msghdr *)x->a[(r->msg_in ? r->msg_in : r->msg_out) - 1];
}

struct fsh_buffers fsh_buffers_of(const struct fsh_action *x, struct iovec *one) {
    const struct fsh_roles *r = &x->row->roles;
    if (r->in || r->out) {
        *one = (struct iovec){(void *)x->a[(r->in ? r->in : r->out) - 1], (size_t)x->a[r->len - 1]};
        return (struct fsh_buffers){one, 1};
    }
    if (r->iov_in || r->iov_out) {
        int i = r->iov_in ? r->iov_in : r->iov_out;
        return (struct fsh_buffers){(struct iovec *)x->a[i - 1], (int)x->a[i]};
    }
    return (struct fsh_buffers){message(x)->msg_iov, (int)message(x)->msg_iovlen};
}

long fsh_call_with(const struct fsh_action *x, struct iovec *v, int n) {
    const struct fsh_roles *r = &x->row->roles;
    long a[6];
    memcpy(a, x->a, sizeof a);
    struct msghdr msg;
    if (r->in || r->out) {
        a[(r->in ? r->in : r->out) - 1] = (long)v->iov_base;
        a[r->len - 1] = (long)v->iov_len;
    } else if (r->iov_in || r->iov_out) {
        int i = r->iov_in ? r->iov_in : r->iov_out;
        a[i - 1] = (long)v;
        a[i] = n;
    } else {
        struct msghdr *original = (struct msghdr *)message(x);
        msg = *original;
        msg.msg_iov = v;
        msg.msg_iovlen = (size_t)n;
        a[(r->msg_in ? r->msg_in : r->msg_out) - 1] = (long)&msg;
        long result = x->invoke(a);
        if (r->msg_out) { /* what the kernel says in the header is the caller's to see */
            msg.msg_iov = original->msg_iov;
            msg.msg_iovlen = original->msg_iovlen;
            *original = msg;
        }
        return result;
    }
    return x->invoke(a);
}

/* --- short --- */

static long with_length(const struct fsh_action *x, uint64_t amount) {
    long a[6];
    memcpy(a, x->a, sizeof a);
    a[x->row->roles.len - 1] = (long)amount;
    return x->invoke(a);
}

long fsh_partial(const struct fsh_action *x, uint64_t amount) {
    const struct fsh_roles *r = &x->row->roles;
    if (r->len)
        return with_length(x, amount);
    struct fsh_buffers b = fsh_buffers_of(x, NULL);
    int n = 0;
    for (uint64_t have = 0; n < b.n && have < amount; n++)
        have += b.v[n].iov_len;
    struct iovec *cut = __builtin_alloca(sizeof *cut * (size_t)(n + 1));
    for (int i = 0; i < n; i++) {
        cut[i] = b.v[i];
        if (cut[i].iov_len > amount)
            cut[i].iov_len = amount;
        amount -= cut[i].iov_len;
    }
    return fsh_call_with(x, cut, n);
}

long fsh_effect_short(const struct fsh_action *x) {
    return fsh_partial(x, x->verdict->amount);
}

/* --- corrupt --- */

/* Byte number `at` of the buffers. */
static uint8_t *byte_at(const struct fsh_buffers *b, uint64_t at) {
    for (int i = 0; i < b->n; i++) {
        if (at < b->v[i].iov_len)
            return (uint8_t *)b->v[i].iov_base + at;
        at -= b->v[i].iov_len;
    }
    return NULL;
}

/* Spread evenly from a drawn start, so that no place is hit twice. */
static uint64_t place(uint64_t start, uint64_t i, uint64_t n, uint64_t total) {
    return (start + (uint64_t)((unsigned __int128)i * total / n)) % total;
}

static void spoil(const struct fsh_action *x, const struct fsh_buffers *b, uint64_t len) {
    enum fsh_corrupt_how how = x->spec->how;
    uint64_t word = fsh_next_word(~x->verdict->word), total = how == CORRUPT_BITS ? len * 8 : len;
    uint64_t n = how == CORRUPT_BITS || how == CORRUPT_BYTES ? x->verdict->amount : total, start = fsh_below(word, total);
    if (n > total)
        n = total;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t at = place(start, i, n, total);
        uint8_t *p = byte_at(b, how == CORRUPT_BITS ? at / 8 : at);
        word = fsh_next_word(word);
        if (!p)
            return;
        if (how == CORRUPT_BITS)
            *p ^= (uint8_t)(1u << at % 8);
        else if (how == CORRUPT_BYTES)
            *p ^= (uint8_t)(1 + fsh_below(word, 255));
        else
            *p = how == CORRUPT_ZERO ? 0 : (uint8_t)word;
    }
}

/* Puts `to` in the place of every `from`; what would go beyond `room` is cut off. Returns the new length. */
static uint64_t replace_all(const struct fsh_fault_spec *spec, const uint8_t *in, uint64_t len, uint8_t *out, uint64_t room) {
    uint64_t made = 0;
    for (uint64_t at = 0; at < len;) {
        bool found = len - at >= spec->n_from && !memcmp(in + at, spec->from, spec->n_from);
        const void *piece = found ? (const void *)spec->to : in + at;
        uint64_t n = found ? spec->n_to : 1;
        if (n > room - made)
            n = room - made;
        memcpy(out + made, piece, n);
        made += n;
        at += found ? spec->n_from : 1;
    }
    return made;
}

static void gather(const struct fsh_buffers *b, uint8_t *to, uint64_t len) {
    for (int i = 0; i < b->n && len; i++) {
        uint64_t n = b->v[i].iov_len < len ? b->v[i].iov_len : len;
        memcpy(to, b->v[i].iov_base, n);
        to += n;
        len -= n;
    }
}

static void scatter(const struct fsh_buffers *b, const uint8_t *from, uint64_t len) {
    for (int i = 0; i < b->n && len; i++) {
        uint64_t n = b->v[i].iov_len < len ? b->v[i].iov_len : len;
        memcpy(b->v[i].iov_base, from, n);
        from += n;
        len -= n;
    }
}

static uint8_t *take_room(uint64_t size) {
    long p = size ? fsh_sys6(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : -1;
    return p < 0 && p > -4096 ? NULL : (uint8_t *)p;
}

/* A text that grows by as much as it can: one byte of each `from` at least. */
static uint64_t grown(const struct fsh_fault_spec *spec, uint64_t len) {
    uint64_t more = spec->n_to > spec->n_from ? spec->n_to - spec->n_from : 0;
    return len + len / spec->n_from * more;
}

/* The program hears that its own bytes are out, however long the text has become. */
static long replace_out(const struct fsh_action *x, const struct fsh_buffers *b, uint64_t len) {
    uint64_t room = grown(x->spec, len);
    uint8_t *in = take_room(len), *out = take_room(room);
    long result;
    if (in && out) {
        gather(b, in, len);
        struct iovec changed = {out, replace_all(x->spec, in, len, out, room)};
        result = fsh_call_with(x, &changed, 1);
        if (result >= 0 && ((uint64_t)result >= changed.iov_len || (uint64_t)result > len))
            result = (long)len;
    } else {
        result = fsh_real_call(x);
    }
    if (in)
        fsh_sys2(SYS_munmap, in, len);
    if (out)
        fsh_sys2(SYS_munmap, out, room);
    return result;
}

/* No more than fits into the program's buffers. */
static long replace_in(const struct fsh_action *x, const struct fsh_buffers *b, uint64_t len, long result) {
    uint8_t *in = take_room(len), *out = take_room(x->hit->size);
    if (in && out) {
        gather(b, in, len);
        uint64_t made = replace_all(x->spec, in, len, out, x->hit->size);
        scatter(b, out, made);
        if (result > 0)
            result = (long)made;
    }
    if (in)
        fsh_sys2(SYS_munmap, in, len);
    if (out)
        fsh_sys2(SYS_munmap, out, x->hit->size);
    return result;
}

/* What a write stores: a changed copy goes out. */
static long corrupt_out(const struct fsh_action *x) {
    struct iovec one, copy;
    struct fsh_buffers b = fsh_buffers_of(x, &one);
    uint64_t len = x->hit->size, at = 0;
    if (!len)
        return fsh_real_call(x);
    for (int i = 0; i < b.n; i++)
        if (!fsh_can_read(b.v[i].iov_base, b.v[i].iov_len))
            return fsh_real_call(x); /* EFAULT, or what came before */
    if (x->spec->how == CORRUPT_REPLACE)
        return replace_out(x, &b, len);
    long p = fsh_sys6(SYS_mmap, 0, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p < 0 && p > -4096)
        return fsh_real_call(x);
    copy = (struct iovec){(void *)p, len};
    for (int i = 0; i < b.n; i++) {
        memcpy((char *)p + at, b.v[i].iov_base, b.v[i].iov_len);
        at += b.v[i].iov_len;
    }
    const struct fsh_buffers changed = {&copy, 1};
    spoil(x, &changed, len);
    long result = fsh_call_with(x, &copy, 1);
    fsh_sys2(SYS_munmap, p, len);
    return result;
}

/* What a read returns: the caller's buffer only; what is stored stays as it is. */
static long corrupt_in(const struct fsh_action *x) {
    struct iovec one;
    struct fsh_buffers b = fsh_buffers_of(x, &one);
    long result = fsh_real_call(x);
    int e = errno;
    uint64_t len = x->row->fail == F_NEVER           ? x->hit->size
                   : x->hit->call == CALL_getentropy ? (result == 0 ? x->hit->size : 0)
                   : result > 0                      ? (uint64_t)result
                                                     : 0;
    if (len > x->hit->size)
        len = x->hit->size; /* MSG_TRUNC: the length of the message, not of what is in the buffer */
    if (len && x->spec->how == CORRUPT_REPLACE)
        result = replace_in(x, &b, len, result);
    else if (len)
        spoil(x, &b, len);
    errno = e;
    return result;
}

long fsh_effect_corrupt(const struct fsh_action *x) {
    const struct fsh_roles *r = &x->row->roles;
    if (x->spec->where == CORRUPT_AT_REST)
        return fsh_corrupt_at_rest(x);
    return r->in || r->iov_in || r->msg_in ? corrupt_out(x) : corrupt_in(x);
}

/* --- seeded --- */

/* The kernel's bytes come first, so that lengths, errors and bad pointers are its own; then they are written over. */
long fsh_effect_seeded(const struct fsh_action *x) {
    struct iovec one;
    if (x->row->fail == F_SURE) { /* arc4random(3): the number is its result */
        uint64_t drawn = fsh_draw(fsh_next_word(x->verdict->word), 0);
        return (long)(x->hit->call == CALL_arc4random_uniform ? fsh_below(drawn, (uint32_t)x->a[0]) : (uint32_t)drawn);
    }
    struct fsh_buffers b = fsh_buffers_of(x, &one);
    long result = fsh_real_call(x);
    bool counts = x->row->fail == F_ERRNO && x->hit->call != CALL_getentropy;
    uint64_t len = counts ? (result > 0 ? (uint64_t)result : 0) : fsh_succeeded(x->row, result) ? x->hit->size : 0, word = 0;
    if (len > x->hit->size)
        len = x->hit->size;
    for (uint64_t at = 0; at < len; at++) {
        if (at % 8 == 0)
            word = fsh_draw(fsh_next_word(x->verdict->word), at / 8);
        *byte_at(&b, at) = (uint8_t)(word >> at % 8 * 8);
    }
    return result;
}

/* --- lost --- */

enum { MAX_RW_COUNT = 0x7ffff000 }; /* write(2): "on Linux, write() will transfer at most 0x7ffff000 bytes" */

/* A write that moves the file's position moves it all the same: the program believes in its bytes. */
long fsh_effect_lost(const struct fsh_action *x) {
    const struct fsh_roles *r = &x->row->roles;
    if (r->sync)
        return 0;
    if (r->signo)
        return fsh_lose_signal(x);
    bool positioned = r->offset && !(x->hit->call == CALL_pwritev2 && x->a[r->offset - 1] == -1);
    long flags = fsh_sys2(SYS_fcntl, x->hit->fd, F_GETFL);
    /* EBADF and EINVAL: what can't be written can't be lost */
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || (positioned && x->a[r->offset - 1] < 0))
        return fsh_real_call(x);
    if (!positioned && !(flags & O_APPEND))
        fsh_sys3(SYS_lseek, x->hit->fd, x->hit->size, SEEK_CUR);
    return x->hit->size < MAX_RW_COUNT ? (long)x->hit->size : MAX_RW_COUNT;
}
