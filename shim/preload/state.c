/* state.c: see state.h. Runs with the gate closed but where the header says otherwise: no lock, nothing allocated after the start.
 */
#include "state.h"

#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "effects.h"
#include "losses.h"
#include "output.h"
#include "phases.h"
#include "session.h"
#include "stack.h"
#include "waits.h"

#include "poison.h"

enum { BAD_SECTORS = 0x626164, SYNC_ERRORS = 0x73796e63, SYNC_SEEN = 0x7365656e, SECTORS_LOOKED_AT = 1 << 16 };

/* --- files --- */

static uint64_t file_key(const struct stat *st) {
    return fsh_fold(st->st_dev, st->st_ino);
}

static bool stat_fd(int fd, struct stat *st) {
    return fsh_sys2(SYS_fstat, fd, st) == 0 && S_ISREG(st->st_mode);
}

static bool stat_path(int dirfd, const char *path, struct stat *st) {
    return fsh_can_read_path(path) && fsh_sys4(SYS_newfstatat, dirfd, path, st, 0) == 0 && S_ISREG(st->st_mode);
}

static bool matches(const struct fsh_resource *r, unsigned rule) {
    return r && r->kind == FSH_ON_FILE && rule < r->n_rules && r->matches[rule / 64] >> rule % 64 & 1;
}

static uint8_t fault_of(const struct fsh_rule *rule) {
    return rule->faults[0].kind; /* a fault with state is alone in its rule */
}

/* --- quota --- */

/* The file's size as the account has it. */
static struct fsh_key_state *charged(const struct fsh_rule *rule, const struct stat *st) {
    struct fsh_key_state *k = fsh_shared_counters(rule->counters, file_key(st), true);
    uint64_t none = 0;
    if (k && atomic_compare_exchange_strong(&k->ordinal, &none, 1))
        atomic_store(&k->bytes, (uint64_t)st->st_size);
    return k;
}

static _Atomic int64_t *account_of(const struct fsh_rule *rule) {
    return &fsh_shim.session.rules[rule->index].account;
}

static void settle_size(const struct fsh_rule *rule, const struct stat *st, uint64_t size) {
    struct fsh_key_state *k = charged(rule, st);
    if (k)
        atomic_fetch_add(account_of(rule), (int64_t)(size - atomic_exchange(&k->bytes, size)));
}

/* Where the file will end if the call is carried out. False if it won't be. */
static bool end_of(enum fsh_call call, int fd, const long *a, uint64_t size, struct stat *st, uint64_t *end) {
    struct fsh_place place;
    if (call == CALL_truncate) {
        *end = (uint64_t)a[1];
        return stat_path(AT_FDCWD, (const char *)a[0], st);
    }
    if (!stat_fd(fd, st))
        return false;
    if (call == CALL_ftruncate)
        *end = (uint64_t)a[1];
    else if (call == CALL_posix_fallocate)
        *end = (uint64_t)a[1] + (uint64_t)a[2];
    else if (call == CALL_fallocate)
        *end = a[1] & ~0x50 ? 0 : (uint64_t)a[2] + (uint64_t)a[3]; /* ZERO_RANGE and UNSHARE may grow it, the other modes don't */
    else if (fsh_find_place(call, fd, a, true, &place))
        *end = place.at + size;
    else
        return false;
    return true;
}

/* What fits is taken at once, so that threads that write together don't take it twice; fsh_settle_after puts the true number in its
 * place. */
static uint64_t quota_room(struct fsh_thread *t, const struct fsh_rule *rule, enum fsh_call call, int fd, const long *a,
                           uint64_t size) {
    struct stat st;
    uint64_t end;
    if (!end_of(call, fd, a, size, &st, &end) || st.st_nlink == 0 || end <= (uint64_t)st.st_size)
        return UINT64_MAX;
    int64_t growth = (int64_t)(end - (uint64_t)st.st_size), limit = (int64_t)rule->faults[0].limit;
    int64_t before = atomic_fetch_add(account_of(rule), growth), left = limit > before ? limit - before : 0;
    bool fits = growth <= left;
    if (!fits)
        atomic_fetch_sub(account_of(rule), growth - left);
    t->bytes[rule->index] += (uint64_t)(fits ? growth : left);
    uint64_t missing = (uint64_t)(growth - left);
    return fits ? UINT64_MAX : size > missing ? size - missing : 0;
}

static void give_back_reserved(const struct fsh_rule *rule) {
    struct fsh_thread *t = fsh_tls.thread;
    uint64_t reserved = t->bytes[rule->index];
    t->bytes[rule->index] = 0;
    atomic_fetch_sub(account_of(rule), (int64_t)reserved);
}

/* --- bad sectors --- */

static struct fsh_key_state *bad_sector(uint64_t file, uint64_t sector, bool make) {
    return fsh_shared_counters(BAD_SECTORS, fsh_fold(file, sector + 1), make);
}

/* How many of the file's sectors are bad. */
static struct fsh_key_state *bad_sectors(uint64_t file, bool make) {
    return fsh_shared_counters(BAD_SECTORS, file, make);
}

static bool has_bad(uint64_t file) {
    struct fsh_key_state *k = bad_sectors(file, false);
    return k && atomic_load(&k->ordinal);
}

static bool is_bad(uint64_t file, uint64_t sector) {
    struct fsh_key_state *k = bad_sector(file, sector, false);
    return k && atomic_load(&k->stuck);
}

static void set_bad(uint64_t file, uint64_t sector, bool bad) {
    struct fsh_key_state *k = bad_sector(file, sector, bad), *all = bad_sectors(file, bad);
    if (k && all && atomic_exchange(&k->stuck, bad) != bad)
        atomic_fetch_add(&all->ordinal, bad ? 1 : UINT64_MAX);
}

static struct fsh_state sector_state(enum fsh_call call, int fd, const long *a, uint64_t size) {
    struct fsh_place p;
    struct stat st;
    if (!stat_fd(fd, &st) || !fsh_find_place(call, fd, a, false, &p) || p.at >= p.size)
        return (struct fsh_state){0, false};
    uint64_t there = size < p.size - p.at ? size : p.size - p.at, file = file_key(&st), first = p.at / FSH_SECTOR;
    if (there == 0 || !has_bad(file))
        return (struct fsh_state){there, false};
    for (uint64_t i = 0; i < SECTORS_LOOKED_AT && (first + i) * FSH_SECTOR < p.at + there; i++)
        if (is_bad(file, first + i))
            return (struct fsh_state){i ? (first + i) * FSH_SECTOR - p.at : 0, true};
    return (struct fsh_state){there, false};
}

/* A short read up to it; the read that begins in it fails. */
long fsh_effect_bad_sector(const struct fsh_action *x) {
    struct fsh_place p;
    struct stat st;
    if (stat_fd(x->hit->fd, &st) && fsh_find_place(x->hit->call, x->hit->fd, x->a, false, &p))
        set_bad(file_key(&st), (p.at + x->verdict->amount) / FSH_SECTOR, true);
    return x->verdict->amount ? fsh_partial(x, x->verdict->amount) : fsh_fail(x->row, x->a, EIO);
}

/* Sectors that at..at+n covers wholly. */
static void heal(const struct stat *st, uint64_t at, uint64_t n) {
    uint64_t file = file_key(st), first = (at + FSH_SECTOR - 1) / FSH_SECTOR, end = (at + n) / FSH_SECTOR;
    for (uint64_t i = first; i < end && i - first < SECTORS_LOOKED_AT && has_bad(file); i++)
        if (is_bad(file, i))
            set_bad(file, i, false);
}

/* --- syncs that fail --- */

static _Atomic uint64_t *descriptions; /* by descriptor; 0: not known yet */
static _Atomic uint64_t last_description;

static uint64_t new_description(void) {
    return fsh_fold(fsh_shim.process.key, atomic_fetch_add(&last_description, 1)) | 1;
}

static uint64_t description_of(int fd) {
    if ((unsigned)fd >= fsh_fds.n)
        return (uint64_t)fd | 1;
    uint64_t none = 0, made = new_description();
    return atomic_compare_exchange_strong(&descriptions[fd], &none, made) ? made : none;
}

static uint64_t errors_of(int fd) {
    struct stat st;
    struct fsh_key_state *k = stat_fd(fd, &st) ? fsh_shared_counters(SYNC_ERRORS, file_key(&st), false) : NULL;
    return k ? atomic_load(&k->ordinal) : 0;
}

static void set_seen(int fd, uint64_t errors) {
    struct fsh_key_state *k = fsh_shared_counters(SYNC_SEEN, description_of(fd), true);
    if (k)
        atomic_store(&k->ordinal, errors);
}

static bool is_unseen(int fd) {
    uint64_t errors = errors_of(fd);
    struct fsh_key_state *k = errors ? fsh_shared_counters(SYNC_SEEN, description_of(fd), false) : NULL;
    return errors && (!k || atomic_load(&k->ordinal) < errors);
}

/* Errors from before it was opened are none of its own. */
void fsh_description_opened(int fd) {
    if (!descriptions || (unsigned)fd >= fsh_fds.n)
        return;
    atomic_store(&descriptions[fd], new_description());
    uint64_t errors = errors_of(fd);
    if (errors)
        set_seen(fd, errors);
}

void fsh_description_copied(int from, int to) {
    if (descriptions && (unsigned)from < fsh_fds.n && (unsigned)to < fsh_fds.n)
        atomic_store(&descriptions[to], description_of(from));
}

void fsh_description_forgotten(int fd) {
    if (descriptions && (unsigned)fd < fsh_fds.n)
        atomic_store_explicit(&descriptions[fd], 0, memory_order_relaxed);
}

/* fsync(2): "…the error is reported to all open file descriptions": to this one now, to the others when they sync. */
long fsh_effect_fsync_fail(const struct fsh_action *x) {
    struct stat st;
    int fd = x->hit->fd;
    if (!stat_fd(fd, &st))
        return fsh_real_call(x);
    const bool is_new = !is_unseen(fd);
    if (is_new) {
        struct fsh_key_state *k = fsh_shared_counters(SYNC_ERRORS, file_key(&st), true);
        if (k)
            atomic_fetch_add(&k->ordinal, 1);
    }
    set_seen(fd, errors_of(fd));
    if (is_new && !x->spec->keeps)
        fsh_losses_fail(fd);
    return fsh_fail(x->row, x->a, EIO);
}

/* --- the heap --- */

_Atomic int64_t fsh_live_bytes;

/* malloc_usable_size(3), of the allocator behind our doors. */
size_t fsh_usable_size(void *p) {
    static size_t (*ask)(void *);
    if (!ask)
        ask = (size_t(*)(void *))fsh_real_next("malloc_usable_size");
    return p && ask ? ask(p) : 0;
}

static uint64_t budget_room(const struct fsh_rule *rule) {
    int64_t left = (int64_t)rule->faults[0].limit - atomic_load_explicit(&fsh_live_bytes, memory_order_relaxed);
    return left > 0 ? (uint64_t)left : 0;
}

/* --- descriptors --- */

/* Whether `wanted` descriptors below `limit` are free: new ones would get the lowest numbers. */
static bool has_free_descriptors(uint64_t limit, unsigned wanted) {
    struct pollfd fds[128];
    for (uint64_t first = 0; first < limit; first += 128) {
        unsigned n = limit - first < 128 ? (unsigned)(limit - first) : 128;
        for (unsigned i = 0; i < n; i++)
            fds[i] = (struct pollfd){.fd = (int)(first + i)};
        if (fsh_sys3(SYS_poll, fds, n, 0) < 0)
            return true;
        for (unsigned i = 0; i < n; i++)
            if (fds[i].revents & POLLNVAL && --wanted == 0)
                return true;
    }
    return false;
}

/* --- call stacks --- */

enum { STACKS = 1 << 16 };

/* The file of once-per-stack: numbers of stacks that have failed, in an open hash table. */
struct stacks {
    char magic[8];
    uint64_t reserved[7];
    _Atomic uint64_t v[STACKS];
};
static const char stacks_magic[8] = "FSHSTACK";
static struct stacks **stacks; /* by rule */

/* True if it is there already, or no room is left for it. */
static bool find_stack(struct stacks *s, uint64_t site, bool add) {
    for (unsigned i = 0; i < 64; i++) {
        uint64_t have = atomic_load_explicit(&s->v[(site + i) % STACKS], memory_order_relaxed);
        if (have == site)
            return true;
        if (have)
            continue;
        if (!add)
            return false;
        if (atomic_compare_exchange_strong(&s->v[(site + i) % STACKS], &have, site))
            return false;
        if (have == site)
            return true;
    }
    return true;
}

static uint64_t stack_room(struct fsh_thread *t, const struct fsh_rule *rule, uint64_t *site) {
    if (!*site)
        *site = fsh_stack_site(t);
    return !*site || find_stack(stacks[rule->index], *site, false);
}

bool fsh_state_take(const struct fsh_rule *rule, uint64_t site) {
    return fault_of(rule) != FAULT_ONCE_PER_STACK || !find_stack(stacks[rule->index], site, true);
}

/* --- looking --- */

struct fsh_state fsh_state_look(struct fsh_thread *t, const struct fsh_rule *rule, enum fsh_call call, int fd, const long *a,
                                uint64_t size, uint64_t *site) {
    switch (fault_of(rule)) {
    case FAULT_QUOTA:
        return (struct fsh_state){a ? quota_room(t, rule, call, fd, a, size) : UINT64_MAX, false};
    case FAULT_BAD_SECTOR:
        return a ? sector_state(call, fd, a, size) : (struct fsh_state){0, false};
    case FAULT_FSYNC_FAIL:
        return (struct fsh_state){0, is_unseen(fd)};
    case FAULT_BUDGET:
        return (struct fsh_state){budget_room(rule), false};
    case FAULT_DESCRIPTORS:
        return (struct fsh_state){has_free_descriptors(rule->faults[0].limit, fsh_calls[call].roles.makes_pair ? 2 : 1), false};
    case FAULT_ONCE_PER_STACK:
        return (struct fsh_state){stack_room(t, rule, site), false};
    default: { /* early, which may be one of several faults */
        const uint64_t ns = a ? fsh_wait_limit(call, a).ns : 0;
        return (struct fsh_state){ns == fsh_for_ever ? 0 : ns, false};
    }
    }
}

/* --- settling --- */

/* How a call changes files. */
enum change { CHANGE_NONE, CHANGE_FD, CHANGE_PATH, CHANGE_REMOVES, CHANGE_SYNCS, CHANGE_MAPS };

static enum change change_of(enum fsh_call call, const long *a, int *dirfd, const char **path) {
    const struct fsh_roles *r = &fsh_calls[call].roles;
    uint8_t class = fsh_calls[call].class_of[FSH_ON_FILE];
    *dirfd = r->dirfd ? (int)a[r->dirfd - 1] : AT_FDCWD;
    *path = r->path ? (const char *)a[r->path - 1] : NULL;
    if (class == C_FILE_WRITE && (r->fd || r->path))
        return r->fd ? CHANGE_FD : CHANGE_PATH;
    if (class == C_FILE_OPEN && r->path)
        return CHANGE_PATH;
    switch (call) {
    case CALL_fsync:
    case CALL_fdatasync:
    case CALL_syncfs:
    case CALL_sync:
        return fsh_shim.plan->loses_data ? CHANGE_SYNCS : CHANGE_NONE;
    case CALL_mmap:
        return fsh_shim.plan->loses_data ? CHANGE_MAPS : CHANGE_NONE;
    case CALL_unlink:
    case CALL_unlinkat:
    case CALL_remove:
        return CHANGE_REMOVES;
    case CALL_rename: /* what it replaces is gone */
        *path = (const char *)a[1];
        return CHANGE_REMOVES;
    case CALL_renameat:
    case CALL_renameat2:
        *dirfd = (int)a[2];
        *path = (const char *)a[3];
        return CHANGE_REMOVES;
    default:
        return CHANGE_NONE;
    }
}

static bool is_quota(unsigned rule, const struct fsh_resource *r) {
    return fsh_rule_holds(&fsh_shim.session, rule) && fsh_shim.rules[rule]->in_run &&
           fault_of(fsh_shim.rules[rule]) == FAULT_QUOTA && matches(r, rule);
}

static struct fsh_resource *resource_of(enum change change, enum fsh_call call, const long *a, int dirfd, const char *path) {
    bool direct;
    if (change == CHANGE_FD)
        return fsh_resource_of_fd((int)a[fsh_calls[call].roles.fd - 1], &direct);
    return fsh_can_read_path(path) ? fsh_resource_of_path(dirfd, path, 0) : NULL;
}

static bool renames(enum fsh_call call) {
    return call == CALL_rename || call == CALL_renameat || call == CALL_renameat2;
}

static bool cuts(enum fsh_call call) {
    return call == CALL_ftruncate || call == CALL_truncate || fsh_calls[call].class_of[FSH_ON_FILE] == C_FILE_OPEN;
}

/* The number of a file that is about to lose its last name; where a write goes. */
static uint64_t look_before(enum fsh_call call, const long *a) {
    const char *path;
    int dirfd, fd = -1;
    struct stat st;
    struct fsh_place place;
    enum change change = change_of(call, a, &dirfd, &path);
    if (change == CHANGE_NONE)
        return 0;
    if (change == CHANGE_SYNCS)
        return fsh_losses_before_sync();
    if (change == CHANGE_MAPS) {
        fsh_losses_mapped(a);
        return 0;
    }
    struct fsh_resource *r = resource_of(change, call, a, dirfd, path);
    if (change == CHANGE_FD)
        fd = (int)a[fsh_calls[call].roles.fd - 1];
    if (!r || !(change == CHANGE_FD ? stat_fd(fd, &st) : stat_path(dirfd, path, &st)))
        return 0;
    for (unsigned i = 0; i < fsh_shim.n_rules; i++) {
        if (!is_quota(i, r))
            continue;
        charged(fsh_shim.rules[i], &st);
    }
    if (change == CHANGE_FD) {
        fsh_losses_before_write(call, a, r, &st);
        return fsh_find_place(call, fd, a, true, &place) ? place.at : 0;
    }
    if (change == CHANGE_REMOVES && st.st_nlink == 1)
        fsh_losses_gone(&st);
    return change == CHANGE_REMOVES && st.st_nlink == 1 ? file_key(&st) : 0;
}

static void look_after(enum fsh_call call, const long *a, long result, uint64_t before) {
    const char *path;
    int dirfd, fd = -1;
    struct stat st;
    enum change change = change_of(call, a, &dirfd, &path);
    if (change == CHANGE_NONE)
        return;
    bool done = fsh_succeeded(&fsh_calls[call], result);
    if (change == CHANGE_SYNCS && done)
        fsh_losses_after_sync(call, a, before);
    if (change == CHANGE_SYNCS || change == CHANGE_MAPS)
        return;
    struct fsh_resource *r = resource_of(change, call, a, dirfd, path);
    if (change == CHANGE_FD)
        fd = (int)a[fsh_calls[call].roles.fd - 1];
    bool there = change != CHANGE_REMOVES && (change == CHANGE_FD ? stat_fd(fd, &st) : stat_path(dirfd, path, &st));
    for (unsigned i = 0; i < fsh_shim.n_rules; i++) {
        const struct fsh_rule *rule = fsh_shim.rules[i];
        if (!is_quota(i, r))
            continue;
        if (there && st.st_nlink)
            settle_size(rule, &st, (uint64_t)st.st_size);
        struct fsh_key_state *k = before && change == CHANGE_REMOVES ? fsh_shared_counters(rule->counters, before, false) : NULL;
        if (k && done)
            atomic_fetch_sub(account_of(rule), (int64_t)atomic_exchange(&k->bytes, 0));
        give_back_reserved(rule);
    }
    if (there && change == CHANGE_FD && done)
        fsh_losses_after_write(call, a, r, &st, result);
    if (there && done && cuts(call))
        fsh_losses_resized(&st);
    if (done && renames(call) && r && stat_path(dirfd, path, &st))
        fsh_losses_named(&st, r->name);
    if (there && change == CHANGE_FD && done && result > 0)
        heal(&st, before, (uint64_t)result);
}

bool fsh_settles(enum fsh_call call) {
    static const long none[6];
    const char *path;
    int dirfd;
    return change_of(call, none, &dirfd, &path) != CHANGE_NONE;
}

uint64_t fsh_settle_before(enum fsh_call call, const long *a) {
    uint64_t before = 0;
    if (fsh_shim.settles_files && fsh_gate_close()) {
        before = look_before(call, a);
        fsh_gate_open();
    }
    return before;
}

void fsh_settle_after(enum fsh_call call, const long *a, long result, uint64_t before) {
    int e = errno;
    if (fsh_gate_close()) {
        if (fsh_shim.settles_files)
            look_after(call, a, result, before);
        if (fsh_keeps_output(call))
            fsh_output_keep(call, a, result);
        fsh_gate_open();
    }
    errno = e;
}

/* --- start --- */

static void *map_anonymous(size_t size) {
    long p = fsh_sys6(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p < 0 && p > -4096 ? NULL : (void *)p;
}

/* Growing past RLIMIT_FSIZE would send SIGXFSZ to the program. */
static bool may_have(size_t size) {
    struct rlimit limit;
    return fsh_sys4(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, &limit) < 0 || limit.rlim_cur >= size;
}

/* Another process may be making it at the same time: both write the same. */
static int open_stacks(const char *path, struct stacks **out) {
    long fd = fsh_sys4(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600), p = -EBADMSG;
    struct stat st = {0};
    char magic[8];
    if (fd < 0)
        return (int)fd;
    if (stat_fd((int)fd, &st) && st.st_size == 0 && may_have(sizeof **out)) {
        fsh_sys4(SYS_pwrite64, fd, stacks_magic, sizeof stacks_magic, 0);
        fsh_sys2(SYS_ftruncate, fd, sizeof **out);
    }
    if (fsh_sys4(SYS_pread64, fd, magic, sizeof magic, 0) == sizeof magic && !memcmp(magic, stacks_magic, sizeof magic) &&
        stat_fd((int)fd, &st) && (size_t)st.st_size >= sizeof **out)
        p = fsh_sys6(SYS_mmap, 0, sizeof **out, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    fsh_sys1(SYS_close, fd);
    if (p < 0 && p > -4096)
        return (int)p;
    *out = (struct stacks *)p;
    return 0;
}

static int start_stacks(const struct fsh_rule *rule, const char **file) {
    char path[FSH_PATH_MAX];
    struct fsh_text cwd = fsh_session_meta(&fsh_shim.session, META_CWD);
    char base[FSH_PATH_MAX] = "/";
    if (cwd.len && cwd.len < sizeof base) {
        memcpy(base, cwd.data, cwd.len);
        base[cwd.len] = 0;
    }
    /* a replay does what was recorded, whatever is known by now, and learns nothing */
    if (fsh_shim.replays) {
        stacks[rule->index] = map_anonymous(sizeof *stacks[rule->index]);
        return stacks[rule->index] ? 0 : -ENOMEM;
    }
    *file = rule->faults[0].to ? rule->faults[0].to : "faultshim.stacks";
    if (fsh_path_absolute(path, base, *file) < 0)
        return -ENAMETOOLONG;
    return open_stacks(path, &stacks[rule->index]);
}

static int start_rule(const struct fsh_rule *rule, const char **file) {
    if (!rule->in_run)
        return 0;
    fsh_shim.settles_files |= fault_of(rule) == FAULT_QUOTA || fault_of(rule) == FAULT_BAD_SECTOR ||
                              (fault_of(rule) == FAULT_FSYNC_FAIL && !rule->faults[0].keeps);
    if (fault_of(rule) != FAULT_ONCE_PER_STACK)
        return 0;
    if (!stacks && !(stacks = map_anonymous(fsh_shim.session.header->rules_room * sizeof *stacks)))
        return -ENOMEM;
    return start_stacks(rule, file);
}

static bool remembers_failures(const struct fsh_profile *profile) {
    bool remembers = profile->options.control == REACH_FULL;
    for (unsigned i = 0; i < profile->n_rules; i++)
        remembers |= profile->rules[i].in_run && fault_of(&profile->rules[i]) == FAULT_FSYNC_FAIL;
    return remembers;
}

int fsh_state_start(const char **file) {
    const struct fsh_profile *profile = fsh_shim.plan->profile;
    int e = 0;
    *file = "";
    if (remembers_failures(profile) && !(descriptions = map_anonymous(fsh_fds.n * sizeof *descriptions)))
        return -ENOMEM;
    if (profile->options.control == REACH_FULL && !(stacks = map_anonymous(fsh_shim.session.header->rules_room * sizeof *stacks)))
        return -ENOMEM;
    for (unsigned i = 0; i < profile->n_rules && !e; i++)
        e = start_rule(&profile->rules[i], file);
    return e;
}

int fsh_state_add(const struct fsh_profile *profile) {
    const char *file;
    int e = 0;
    for (unsigned i = 0; i < profile->n_rules && !e; i++)
        e = start_rule(&profile->rules[i], &file);
    return e;
}
