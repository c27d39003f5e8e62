/* effects_files.c: what disks and file systems do to files: torn, misdirect, twice, evict, corrupt at-rest.
 *
 * Data is written by system calls of our own, at a place that is found out first: between the two, another thread may move the
 * descriptor's position, as it may for any program that shares one. Context: see effects.h. */
#include "effects.h"

#include <stdatomic.h>
#include <sys/stat.h>

#include "losses.h"

#include "poison.h"

enum { MAX_RW_COUNT = 0x7ffff000 }; /* write(2): "on Linux, write() will transfer at most 0x7ffff000 bytes" */

/* --- where a call acts --- */

/* copy_file_range(2), splice(2): where `off_out` points, if it is given. */
static bool offset_of(enum fsh_call call, const long *a, long *at) {
    const struct fsh_roles *r = &fsh_calls[call].roles;
    if (call == CALL_copy_file_range || call == CALL_splice) {
        const off64_t *out = (const off64_t *)a[3];
        if (!out || !fsh_can_read(out, sizeof *out))
            return false;
        *at = *out;
        return true;
    }
    if (!r->offset || ((call == CALL_pwritev2 || call == CALL_preadv2) && a[r->offset - 1] == -1))
        return false;
    *at = a[r->offset - 1];
    return true;
}

bool fsh_find_place(enum fsh_call call, int fd, const long *a, bool writes, struct fsh_place *p) {
    long flags = fsh_sys2(SYS_fcntl, fd, F_GETFL), at = 0;
    struct stat st;
    if (flags < 0 || (flags & O_PATH) || (flags & O_ACCMODE) == (writes ? O_RDONLY : O_WRONLY) ||
        fsh_sys2(SYS_fstat, fd, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    p->size = (uint64_t)st.st_size;
    p->appends = writes && flags & O_APPEND; /* pwrite(2), "BUGS": it appends then whatever its offset is */
    p->positioned = offset_of(call, a, &at);
    if (p->appends)
        at = st.st_size;
    else if (!p->positioned)
        at = fsh_sys3(SYS_lseek, fd, 0, SEEK_CUR);
    p->at = (uint64_t)at;
    return at >= 0;
}

int fsh_open_again(int fd, int flags) {
    char path[32] = "/proc/self/fd/", digits[12], *d = digits + sizeof digits;
    size_t len = 14;
    do
        *--d = (char)('0' + fd % 10);
    while (fd /= 10);
    memcpy(path + len, d, (size_t)(digits + sizeof digits - d));
    path[len + (size_t)(digits + sizeof digits - d)] = 0;
    long again = fsh_sys4(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0);
    return again < 0 ? -1 : (int)again;
}

/* Bytes from..from+len of the buffers, to `offset`. Returns what the kernel says of the first piece that fails, or `len`. */
static long write_piece(int fd, const struct fsh_buffers *b, uint64_t from, uint64_t len, uint64_t offset) {
    uint64_t done = 0;
    for (int i = 0; i < b->n && done < len; i++) {
        uint64_t have = b->v[i].iov_len;
        if (from >= have) {
            from -= have;
            continue;
        }
        uint64_t n = have - from < len - done ? have - from : len - done;
        long r = fsh_sys4(SYS_pwrite64, fd, (char *)b->v[i].iov_base + from, n, offset + done);
        if (r < 0)
            return r;
        done += (uint64_t)r;
        if ((uint64_t)r < n)
            break;
        from = 0;
    }
    return (long)done;
}

static bool find_place(const struct fsh_action *x, bool writes, struct fsh_place *p) {
    return fsh_find_place(x->hit->call, x->hit->fd, x->a, writes, p);
}

static bool readable(const struct fsh_buffers *b) {
    for (int i = 0; i < b->n; i++)
        if (!fsh_can_read(b->v[i].iov_base, b->v[i].iov_len))
            return false;
    return true;
}

static uint64_t transfer(const struct fsh_action *x) {
    return x->hit->size < MAX_RW_COUNT ? x->hit->size : MAX_RW_COUNT;
}

/* --- torn --- */

/* Whether sector `i` of `n` is lost, where `losses` of the sectors from here on are: each choice of them is as likely as any other.
 */
static bool lose(uint64_t *word, uint64_t i, uint64_t n, uint64_t *losses) {
    *word = fsh_next_word(*word);
    bool lost = fsh_below(*word, n - i) < *losses;
    *losses -= lost;
    return lost;
}

struct sectors {
    uint64_t n, first; /* number; bytes in the first one */
    uint64_t size;
};

static struct sectors sectors_of(const struct fsh_action *x, const struct fsh_place *p, uint64_t len) {
    long flags = fsh_sys2(SYS_fcntl, x->hit->fd, F_GETFL);
    uint64_t size = flags & O_DIRECT && x->spec->limit < 4096 ? 4096 : x->spec->limit;
    uint64_t first = size - p->at % size;
    if (first > len)
        first = len;
    return (struct sectors){1 + (len - first + size - 1) / size, first, size};
}

/* Sector i: its start in the write and its length. */
static uint64_t sector_at(const struct sectors *s, uint64_t i, uint64_t len, uint64_t *n) {
    uint64_t at = i ? s->first + (i - 1) * s->size : 0;
    uint64_t end = s->first + i * s->size;
    *n = (end < len ? end : len) - at;
    return at;
}

/* An append is one step for others that append: what is lost of it goes out as zeros, as which a hole would be read. */
static long append_torn(const struct fsh_action *x, const struct fsh_buffers *b, const struct sectors *s, uint64_t len) {
    long p = fsh_sys6(SYS_mmap, 0, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p < 0 && p > -4096)
        return fsh_real_call(x);
    uint64_t losses = x->verdict->amount, word = ~x->verdict->word, done = 0, n;
    for (int i = 0; i < b->n && done < len; i++) {
        n = b->v[i].iov_len < len - done ? b->v[i].iov_len : len - done;
        memcpy((char *)p + done, b->v[i].iov_base, n);
        done += n;
    }
    for (uint64_t i = 0; i < s->n; i++) {
        uint64_t at = sector_at(s, i, len, &n);
        if (lose(&word, i, s->n, &losses))
            memset((char *)p + at, 0, n);
    }
    struct iovec copy = {(void *)p, len};
    long result = fsh_call_with(x, &copy, 1);
    fsh_sys2(SYS_munmap, p, len);
    return result;
}

static long write_torn(const struct fsh_action *x, const struct fsh_buffers *b, const struct sectors *s, const struct fsh_place *p,
                       uint64_t len) {
    uint64_t losses = x->verdict->amount, word = ~x->verdict->word;
    for (uint64_t i = 0; i < s->n; i++) {
        uint64_t n, at = sector_at(s, i, len, &n);
        long r = lose(&word, i, s->n, &losses) ? 0 : write_piece(x->hit->fd, b, at, n, p->at + at);
        if (r < 0)
            return fsh_fail(x->row, x->a, (int)-r);
    }
    if (p->at + len > p->size) /* the file is as long as the program believes */
        fsh_sys2(SYS_ftruncate, x->hit->fd, p->at + len);
    if (!p->positioned)
        fsh_sys3(SYS_lseek, x->hit->fd, p->at + len, SEEK_SET);
    return (long)len;
}

long fsh_effect_torn(const struct fsh_action *x) {
    struct iovec one;
    struct fsh_buffers b = fsh_buffers_of(x, &one);
    struct fsh_place p;
    uint64_t len = transfer(x);
    if (!find_place(x, true, &p) || !readable(&b))
        return fsh_real_call(x);
    struct sectors s = sectors_of(x, &p, len);
    long result = p.appends ? append_torn(x, &b, &s, len) : write_torn(x, &b, &s, &p, len);
    if (x->spec->dies)
        fsh_die(x->spec);
    return result;
}

/* --- quota --- */

/* What fits is written; where nothing does, the call fails. */
long fsh_effect_quota(const struct fsh_action *x) {
    return x->verdict->amount ? fsh_partial(x, x->verdict->amount) : fsh_fail(x->row, x->a, x->verdict->error);
}

/* --- misdirect --- */

/* The next file that this process has open for writing and that the pattern names, counted from `skip`; -1 if there are no more. */
static int open_file_like(const struct fsh_action *x, unsigned skip) {
    for (unsigned fd = 3; fd < fsh_fds.n; fd++) {
        const struct fsh_resource *r = (void *)(atomic_load_explicit(&fsh_fds.v[fd], memory_order_acquire) & ~(uintptr_t)1);
        if (!r || r == x->hit->resource || r->kind != FSH_ON_FILE || !fsh_glob(x->spec->to, r->name, false))
            continue;
        long flags = fsh_sys2(SYS_fcntl, fd, F_GETFL);
        if (flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && skip-- == 0)
            return (int)fd;
    }
    return -1;
}

/* One of the open files drawn, or the file of that very name. */
static int other_file(const struct fsh_action *x) {
    unsigned n = 0;
    while (open_file_like(x, n) >= 0)
        n++;
    if (n)
        return fsh_open_again(open_file_like(x, (unsigned)fsh_below(fsh_next_word(~x->verdict->word), n)), O_WRONLY);
    long fd = fsh_sys4(SYS_openat, AT_FDCWD, x->spec->to, O_WRONLY | O_CLOEXEC, 0);
    return fd < 0 ? -1 : (int)fd;
}

static uint64_t moved(const struct fsh_action *x, uint64_t at) {
    uint64_t by = x->verdict->amount;
    if (x->spec->back)
        return at > by ? at - by : 0;
    return at + by <= INT64_MAX ? at + by : at;
}

long fsh_effect_misdirect(const struct fsh_action *x) {
    struct iovec one;
    struct fsh_buffers b = fsh_buffers_of(x, &one);
    struct fsh_place p;
    uint64_t len = transfer(x);
    if (!find_place(x, true, &p) || !readable(&b))
        return fsh_real_call(x);
    int fd = x->spec->to ? other_file(x) : fsh_open_again(x->hit->fd, O_WRONLY);
    if (fd < 0)
        return fsh_real_call(x);
    long r = write_piece(fd, &b, 0, len, x->spec->to ? p.at : moved(x, p.at));
    fsh_sys1(SYS_close, fd);
    if (r < 0)
        return fsh_fail(x->row, x->a, (int)-r);
    if (!p.positioned && !p.appends)
        fsh_sys3(SYS_lseek, x->hit->fd, p.at + (uint64_t)r, SEEK_SET);
    return r;
}

/* --- twice --- */

long fsh_effect_twice(const struct fsh_action *x) {
    long result = fsh_real_call(x);
    int e = errno;
    if (result == (long)x->hit->size)
        fsh_real_call(x);
    errno = e;
    return result;
}

/* --- evict --- */

/* posix_fadvise(2): "pages that have not yet been written out will be unaffected, so if the application wishes to guarantee that
 * pages will be released, it should call fsync or fdatasync first". */
long fsh_effect_evict(const struct fsh_action *x) {
    fsh_losses_evict(x->hit->fd);
    fsh_sys1(SYS_fdatasync, x->hit->fd);
    fsh_sys4(SYS_fadvise64, x->hit->fd, 0, 0, POSIX_FADV_DONTNEED);
    return fsh_real_call(x);
}

/* --- corrupt at-rest --- */

static void change_byte(const struct fsh_action *x, int fd, uint64_t at, uint64_t bit, uint64_t word) {
    uint8_t byte;
    if (fsh_sys4(SYS_pread64, fd, &byte, 1, at) != 1)
        return;
    if (x->spec->how == CORRUPT_BITS)
        byte ^= (uint8_t)(1u << bit);
    else
        byte ^= (uint8_t)(1 + fsh_below(word, 255));
    fsh_sys4(SYS_pwrite64, fd, &byte, 1, at);
}

static void change_all(const struct fsh_action *x, int fd, uint64_t at, uint64_t len, uint64_t word) {
    uint8_t block[FSH_SECTOR];
    memset(block, 0, sizeof block);
    for (uint64_t done = 0; done < len; done += sizeof block) {
        for (unsigned i = 0; x->spec->how == CORRUPT_JUNK && i < sizeof block; i++) {
            word = fsh_next_word(word);
            block[i] = (uint8_t)word;
        }
        fsh_sys4(SYS_pwrite64, fd, block, len - done < sizeof block ? len - done : sizeof block, at + done);
    }
}

/* Within at..at+len of the file. */
static void rot(const struct fsh_action *x, int fd, uint64_t at, uint64_t len) {
    uint64_t word = fsh_next_word(~x->verdict->word), n = x->verdict->amount;
    uint64_t total = x->spec->how == CORRUPT_BITS ? len * 8 : len, start = fsh_below(word, total);
    if (x->spec->how == CORRUPT_ZERO || x->spec->how == CORRUPT_JUNK) {
        if (n > len)
            n = len;
        change_all(x, fd, at + fsh_below(word, len - n + 1), n, word);
        return;
    }
    if (n > total)
        n = total;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t place = (start + (uint64_t)((unsigned __int128)i * total / n)) % total; /* spread evenly: none is hit twice */
        word = fsh_next_word(word);
        change_byte(x, fd, at + (x->spec->how == CORRUPT_BITS ? place / 8 : place), place % 8, word);
    }
}

/* A medium that rots leaves no time stamp. */
static void rot_quietly(const struct fsh_action *x, int fd, uint64_t at, uint64_t len) {
    struct stat st;
    if (fsh_sys2(SYS_fstat, fd, &st) < 0 || !S_ISREG(st.st_mode) || at >= (uint64_t)st.st_size)
        return;
    if (len > (uint64_t)st.st_size - at)
        len = (uint64_t)st.st_size - at;
    rot(x, fd, at, len);
    const struct timespec times[2] = {st.st_atim, st.st_mtim};
    fsh_sys4(SYS_utimensat, fd, 0, times, 0);
}

static int open_for_rot(const struct fsh_action *x) {
    const struct fsh_roles *r = &x->row->roles;
    if (r->fd)
        return fsh_open_again(x->hit->fd, O_RDWR);
    int dirfd = r->dirfd ? (int)x->a[r->dirfd - 1] : AT_FDCWD;
    return (int)fsh_sys4(SYS_openat, dirfd, x->a[r->path - 1], O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
}

/* Reads and opens find the damage, what is written is damaged afterwards. */
long fsh_corrupt_at_rest(const struct fsh_action *x) {
    const struct fsh_roles *r = &x->row->roles;
    bool writes = fsh_call_writes(x->hit->call), whole = !r->fd || (!writes && !fsh_call_reads(x->hit->call));
    struct fsh_place p = {0};
    bool found = whole || find_place(x, writes, &p);
    long result = writes ? fsh_real_call(x) : 0;
    int e = errno;
    uint64_t len = whole ? INT64_MAX : writes && result > 0 ? (uint64_t)result : x->hit->size;
    int fd = found && !(writes && result <= 0) ? open_for_rot(x) : -1;
    if (fd >= 0) {
        rot_quietly(x, fd, p.at, len);
        fsh_sys1(SYS_close, fd);
    }
    errno = e;
    return writes ? result : fsh_real_call(x);
}
