/* journal.c: see journal.h. */
#include "journal.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "draw.h"
#include "identity.h"
#include "sys.h"

enum { FILES_TRIED = 64, PAGES_TRIED = 64 };

static uint64_t key_of_file(uint64_t dev, uint64_t ino) {
    return fsh_fold(dev, ino) | 1;
}

static uint64_t key_of_page(const struct fsh_journal_file *f, uint64_t number) {
    return fsh_fold(atomic_load(&f->key), number) | 1;
}

/* --- files --- */

static void begin(struct fsh_journal_file *f, uint64_t dev, uint64_t ino) {
    f->dev = dev;
    f->ino = ino;
    f->name[0] = 0;
    atomic_store(&f->low, UINT64_MAX);
    atomic_store(&f->high, 0);
    atomic_store(&f->mapped, 0);
}

/* Entries without pages are given to others when there is no other room. */
struct fsh_journal_file *fsh_journal_file(struct fsh_journal *j, uint64_t dev, uint64_t ino, bool make) {
    const uint64_t key = key_of_file(dev, ino);
    struct fsh_journal_file *spare = NULL;
    for (unsigned i = 0; i < FILES_TRIED; i++) {
        struct fsh_journal_file *f = &j->files[(fsh_mix(key) + i) % FSH_JOURNAL_FILES];
        uint64_t there = atomic_load(&f->key);
        if (there == key)
            return f;
        if (!there && !make)
            return NULL;
        if (!there && atomic_compare_exchange_strong(&f->key, &there, key)) {
            begin(f, dev, ino);
            return f;
        }
        if (there == key)
            return f;
        if (!spare && !atomic_load(&f->live))
            spare = f;
    }
    uint64_t there = spare ? atomic_load(&spare->key) : 0;
    if (!make || !spare || !atomic_compare_exchange_strong(&spare->key, &there, key))
        return NULL;
    begin(spare, dev, ino);
    return spare;
}

/* One that is too long is none: it could be another file's. */
void fsh_journal_name(struct fsh_journal_file *f, const char *name) {
    size_t n = strlen(name);
    f->name[0] = 0;
    if (n < sizeof f->name)
        memcpy(f->name, name, n + 1);
}

/* --- pages --- */

/* The pages of a file follow each other, so that all of them are found without looking at the others'. */
static struct fsh_journal_page *place(struct fsh_journal *j, const struct fsh_journal_file *f, uint64_t number, unsigned i) {
    return &j->pages[(fsh_mix(atomic_load(&f->key)) + number + i) % FSH_JOURNAL_PAGES];
}

static bool become(struct fsh_journal_page *p, uint32_t from, uint32_t to) {
    return atomic_compare_exchange_strong(&p->use, &from, to);
}

static void widen(struct fsh_journal_file *f, uint64_t number) {
    uint64_t low = atomic_load(&f->low), high = atomic_load(&f->high);
    while (number < low && !atomic_compare_exchange_weak(&f->low, &low, number))
        ;
    while (number >= high && !atomic_compare_exchange_weak(&f->high, &high, number + 1))
        ;
}

static struct fsh_journal_page *claim(struct fsh_journal *j, struct fsh_journal_file *f, struct fsh_journal_page *p,
                                      uint64_t number) {
    if (!p || !become(p, PAGE_FREE, PAGE_BUSY)) {
        atomic_fetch_add(&j->full, !p);
        return NULL;
    }
    atomic_store(&p->key, key_of_page(f, number));
    p->number = number;
    p->born = fsh_journal_moment(j);
    atomic_store(&p->written, p->born);
    atomic_fetch_add(&f->live, 1);
    widen(f, number);
    return p;
}

struct fsh_journal_page *fsh_journal_take(struct fsh_journal *j, struct fsh_journal_file *f, uint64_t number) {
    const uint64_t key = key_of_page(f, number);
    struct fsh_journal_page *room = NULL;
    for (unsigned i = 0; i < PAGES_TRIED; i++) {
        struct fsh_journal_page *p = place(j, f, number, i);
        const uint64_t there = atomic_load(&p->key);
        const uint32_t use = atomic_load(&p->use);
        if (there == key && use != PAGE_FREE) {
            atomic_store(&p->written, fsh_journal_moment(j));
            become(p, PAGE_LOST, PAGE_DIRTY);
            return NULL;
        }
        if (!room && use == PAGE_FREE)
            room = p;
        if (!there)
            break;
    }
    return claim(j, f, room, number);
}

uint8_t *fsh_journal_bytes(struct fsh_journal *j, const struct fsh_journal_page *p) {
    return j->bytes[p - j->pages];
}

static void leave(struct fsh_journal_file *f, struct fsh_journal_page *p, uint32_t from) {
    if (become(p, from, PAGE_FREE))
        atomic_fetch_sub(&f->live, 1);
}

void fsh_journal_enter(struct fsh_journal_file *f, struct fsh_journal_page *p, int64_t size) {
    p->size = size > 0 ? (uint32_t)size : 0;
    if (size < 0)
        leave(f, p, PAGE_BUSY);
    else
        become(p, PAGE_BUSY, PAGE_DIRTY);
}

uint64_t fsh_journal_moment(struct fsh_journal *j) {
    return atomic_fetch_add(&j->moment, 1) + 1;
}

/* --- all pages of a file --- */

/* The next one from *at on that is of that file and not free. */
static struct fsh_journal_page *next(struct fsh_journal *j, const struct fsh_journal_file *f, uint64_t *at) {
    const uint64_t low = atomic_load(&f->low), high = atomic_load(&f->high);
    uint64_t span = high > low ? high - low + PAGES_TRIED : 0;
    span = span < FSH_JOURNAL_PAGES ? span : FSH_JOURNAL_PAGES;
    for (; *at < span; ++*at) {
        struct fsh_journal_page *p = place(j, f, low + *at, 0);
        if (atomic_load(&p->use) != PAGE_FREE && atomic_load(&p->key) == key_of_page(f, p->number)) {
            ++*at;
            return p;
        }
    }
    return NULL;
}

void fsh_journal_synced(struct fsh_journal *j, struct fsh_journal_file *f, uint64_t moment) {
    uint64_t at = 0;
    for (struct fsh_journal_page *p; atomic_load(&f->live) && (p = next(j, f, &at));)
        if (atomic_load(&p->written) <= moment)
            leave(f, p, PAGE_DIRTY);
}

uint64_t fsh_journal_failed(struct fsh_journal *j, struct fsh_journal_file *f) {
    uint64_t at = 0, n = 0;
    for (struct fsh_journal_page *p; atomic_load(&f->live) && (p = next(j, f, &at));)
        n += become(p, PAGE_DIRTY, PAGE_LOST);
    return n;
}

void fsh_journal_forget(struct fsh_journal *j, struct fsh_journal_file *f, uint64_t first, uint64_t end) {
    uint64_t at = 0;
    for (struct fsh_journal_page *p; atomic_load(&f->live) && (p = next(j, f, &at));)
        if (p->number >= first && p->number < end) {
            leave(f, p, PAGE_DIRTY);
            leave(f, p, PAGE_LOST);
        }
}

/* What is cut off is zeros if the file grows again. */
void fsh_journal_cut(struct fsh_journal *j, struct fsh_journal_file *f, uint64_t size) {
    const uint64_t last = size / FSH_JOURNAL_PAGE;
    const uint32_t rest = size % FSH_JOURNAL_PAGE;
    uint64_t at = 0;
    fsh_journal_forget(j, f, last + (rest != 0), UINT64_MAX);
    for (struct fsh_journal_page *p; atomic_load(&f->live) && (p = next(j, f, &at));)
        if (p->number == last && p->size > rest)
            p->size = rest;
}

/* Of two that have the same number, by a race, the older one holds what stands on the disk. */
static bool has_older(struct fsh_journal *j, const struct fsh_journal_file *f, const struct fsh_journal_page *page) {
    uint64_t at = 0;
    for (const struct fsh_journal_page *p; (p = next(j, f, &at));)
        if (p != page && p->number == page->number && p->born < page->born && atomic_load(&p->use) == PAGE_LOST)
            return true;
    return false;
}

struct fsh_journal_page *fsh_journal_lost(struct fsh_journal *j, const struct fsh_journal_file *f, uint64_t *at) {
    for (struct fsh_journal_page *p; (p = next(j, f, at));)
        if (atomic_load(&p->use) == PAGE_LOST && !has_older(j, f, p))
            return p;
    return NULL;
}

/* Beyond the old end of the file the disk has zeros, as ext4 shows blocks that were never written. */
int fsh_journal_put_back(struct fsh_journal *j, const struct fsh_journal_page *p, int fd, uint64_t size) {
    static const uint8_t zeros[FSH_JOURNAL_PAGE];
    const uint64_t at = p->number * FSH_JOURNAL_PAGE;
    const size_t old = p->size < FSH_JOURNAL_PAGE ? p->size : FSH_JOURNAL_PAGE;
    const size_t there = at >= size ? 0 : size - at < FSH_JOURNAL_PAGE ? size - at : FSH_JOURNAL_PAGE;
    const size_t first = old < there ? old : there;
    const struct iovec v[2] = {{fsh_journal_bytes(j, p), first}, {(void *)zeros, there - first}};
    for (size_t i = 0, done = 0; i < 2; done += v[i++].iov_len)
        for (size_t n = 0; n < v[i].iov_len;) {
            long r = fsh_sys4(SYS_pwrite64, fd, (char *)v[i].iov_base + n, v[i].iov_len - n, at + done + n);
            if (r == -EINTR)
                continue;
            if (r <= 0)
                return r < 0 ? (int)r : -EIO;
            n += (size_t)r;
        }
    return 0;
}
