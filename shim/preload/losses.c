/* losses.c: see losses.h. System calls only, none of which waits. */
#include "losses.h"

#include "effects.h"
#include "session.h"

#include "poison.h"

static struct fsh_journal *journal(void) {
    return fsh_shim.session.journal;
}

static bool is_covered(const struct fsh_resource *r) {
    for (unsigned i = 0; r && r->kind == FSH_ON_FILE && i < fsh_shim.n_rules; i++) {
        const struct fsh_rule *rule = fsh_shim.rules[i];
        if (rule->in_run && rule->faults[0].kind == FAULT_FSYNC_FAIL && !rule->faults[0].keeps && r->matches[i / 64] >> i % 64 & 1)
            return true;
    }
    return false;
}

static struct fsh_journal_file *file_of(const struct stat *st, bool make) {
    return journal() ? fsh_journal_file(journal(), st->st_dev, st->st_ino, make) : NULL;
}

static bool stat_of(int fd, struct stat *st) {
    return fsh_sys2(SYS_fstat, fd, st) == 0 && S_ISREG(st->st_mode);
}

/* --- writes --- */

/* Where a call writes. `whole`: not where the call says, or not all that it does. */
struct extent {
    uint64_t at, size;
    bool whole;
    bool through; /* it is durable when the call is over */
};

static bool extent_of(enum fsh_call call, const long *a, struct extent *e) {
    const struct fsh_roles *r = &fsh_calls[call].roles;
    const int fd = (int)a[r->fd - 1];
    struct fsh_place p;
    *e = (struct extent){.size = fsh_size(r, a)};
    if (call == CALL_fallocate) /* what it makes is zeros; what it takes away is gone at once */
        e->whole = a[1] & ~1;   /* FALLOC_FL_KEEP_SIZE */
    if (call == CALL_fallocate || call == CALL_posix_fallocate || call == CALL_ftruncate)
        return e->whole;
    if (!fsh_find_place(call, fd, a, true, &p))
        return false;
    const long flags = fsh_sys2(SYS_fcntl, fd, F_GETFL);
    e->at = p.at;
    e->through = flags & (O_DSYNC | O_DIRECT) || (call == CALL_pwritev2 && a[4] & (RWF_DSYNC | RWF_SYNC));
    return e->size > 0;
}

/* A descriptor that may only write is no way to the old bytes. */
static int open_readable(int fd) {
    const long flags = fsh_sys2(SYS_fcntl, fd, F_GETFL);
    return (flags & O_ACCMODE) == O_RDWR && !(flags & O_DIRECT) ? fd : fsh_open_again(fd, O_RDONLY);
}

static void keep_page(struct fsh_journal_file *f, struct fsh_journal_page *p, int fd) {
    long n;
    do
        n = fsh_sys4(SYS_pread64, fd, fsh_journal_bytes(journal(), p), FSH_JOURNAL_PAGE, p->number * FSH_JOURNAL_PAGE);
    while (n == -EINTR);
    fsh_journal_enter(f, p, n);
}

static void keep_pages(struct fsh_journal_file *f, int fd, uint64_t first, uint64_t end) {
    int readable = -1;
    for (uint64_t i = first; i < end && i - first < FSH_JOURNAL_PAGES; i++) {
        struct fsh_journal_page *p = fsh_journal_take(journal(), f, i);
        if (!p)
            continue;
        if (readable < 0)
            readable = open_readable(fd);
        keep_page(f, p, readable);
    }
    if (readable >= 0 && readable != fd)
        fsh_sys1(SYS_close, readable);
}

void fsh_losses_before_write(enum fsh_call call, const long *a, const struct fsh_resource *r, const struct stat *st) {
    struct extent e;
    if (!journal() || !is_covered(r) || !extent_of(call, a, &e) || e.whole || e.through)
        return;
    struct fsh_journal_file *f = file_of(st, true);
    if (!f) {
        atomic_fetch_add(&journal()->full, 1);
        return;
    }
    if (!f->name[0])
        fsh_journal_name(f, r->name);
    const uint64_t end = e.at + e.size < e.at ? UINT64_MAX - FSH_JOURNAL_PAGE : e.at + e.size;
    keep_pages(f, (int)a[fsh_calls[call].roles.fd - 1], e.at / FSH_JOURNAL_PAGE, (end + FSH_JOURNAL_PAGE - 1) / FSH_JOURNAL_PAGE);
}

void fsh_losses_after_write(enum fsh_call call, const long *a, const struct fsh_resource *r, const struct stat *st, long result) {
    struct extent e;
    struct fsh_journal_file *f = result >= 0 && is_covered(r) ? file_of(st, false) : NULL;
    if (!f || !atomic_load(&f->live) || !extent_of(call, a, &e))
        return;
    if (e.whole)
        fsh_journal_forget(journal(), f, 0, UINT64_MAX);
    else if (e.through && result > 0) { /* it may have moved the position */
        const bool positioned = fsh_calls[call].roles.offset;
        const uint64_t at = positioned || e.at < (uint64_t)result ? e.at : e.at - (uint64_t)result;
        fsh_journal_forget(journal(), f, at / FSH_JOURNAL_PAGE, (at + (uint64_t)result - 1) / FSH_JOURNAL_PAGE + 1);
    }
}

/* --- what makes it durable, and what takes it away --- */

uint64_t fsh_losses_before_sync(void) {
    return journal() ? fsh_journal_moment(journal()) : 0;
}

/* syncfs(2), sync(2): all files of a file system, or of all. */
static void all_synced(const struct stat *of, uint64_t moment) {
    for (unsigned i = 0; i < FSH_JOURNAL_FILES; i++) {
        struct fsh_journal_file *f = &journal()->files[i];
        if (atomic_load(&f->live) && (!of || f->dev == of->st_dev))
            fsh_journal_synced(journal(), f, moment);
    }
}

void fsh_losses_after_sync(enum fsh_call call, const long *a, uint64_t before) {
    struct stat st;
    if (!journal())
        return;
    if (call == CALL_sync || call == CALL_syncfs) {
        if (call == CALL_sync || fsh_sys2(SYS_fstat, a[0], &st) == 0)
            all_synced(call == CALL_sync ? NULL : &st, before);
        return;
    }
    struct fsh_journal_file *f = stat_of((int)a[0], &st) ? file_of(&st, false) : NULL;
    if (f)
        fsh_journal_synced(journal(), f, before);
}

void fsh_losses_mapped(const long *a) {
    struct stat st;
    bool direct;
    if (!journal() || a[3] & MAP_ANONYMOUS || (a[3] & MAP_TYPE) == MAP_PRIVATE || !(a[2] & PROT_WRITE) || !stat_of((int)a[4], &st))
        return;
    struct fsh_journal_file *f = is_covered(fsh_resource_of_fd((int)a[4], &direct)) ? file_of(&st, true) : NULL;
    if (f)
        atomic_store(&f->mapped, 1);
}

void fsh_losses_resized(const struct stat *st) {
    struct fsh_journal_file *f = file_of(st, false);
    if (f && atomic_load(&f->live))
        fsh_journal_cut(journal(), f, (uint64_t)st->st_size);
}

void fsh_losses_named(const struct stat *st, const char *name) {
    struct fsh_journal_file *f = file_of(st, false);
    if (f && atomic_load(&f->live))
        fsh_journal_name(f, name);
}

void fsh_losses_gone(const struct stat *st) {
    struct fsh_journal_file *f = file_of(st, false);
    if (f)
        fsh_journal_forget(journal(), f, 0, UINT64_MAX);
}

void fsh_losses_fail(int fd) {
    struct stat st;
    struct fsh_journal_file *f = stat_of(fd, &st) ? file_of(&st, false) : NULL;
    if (f && !atomic_load(&f->mapped))
        fsh_journal_failed(journal(), f);
}

void fsh_losses_evict(int fd) {
    struct stat st;
    struct fsh_journal_file *f = stat_of(fd, &st) ? file_of(&st, false) : NULL;
    if (!f || !atomic_load(&f->live) || atomic_load(&f->mapped))
        return;
    const int to = fsh_open_again(fd, O_RDWR);
    uint64_t at = 0;
    for (struct fsh_journal_page *p; to >= 0 && (p = fsh_journal_lost(journal(), f, &at));)
        fsh_journal_put_back(journal(), p, to, (uint64_t)st.st_size);
    if (to >= 0) {
        const struct timespec times[2] = {st.st_atim, st.st_mtim};
        fsh_sys4(SYS_utimensat, to, 0, times, 0);
        fsh_sys1(SYS_close, to);
    }
    fsh_journal_forget(journal(), f, 0, UINT64_MAX);
}
