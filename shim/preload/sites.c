/* sites.c: see sites.h and design.md, section 3. Two parts: putting the doors in (once, before main; after dlopen), and what a door
 * does when a call comes through it.
 *
 * Context of the second part: anything that makes a system call inside libc, with libc's locks held, in signal handlers, with
 * cancellation enabled, in the child of a vfork. Vector registers are the program's (README.md): what might touch them goes through
 * fsh_with_vectors. */
#include "sites.h"

#include <cpuid.h>
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/single_threaded.h>

#include "clock.h"
#include "doors.h"
#include "record.h"
#include "session.h"
#include "sitecache.h"
#include "state.h"

uint8_t fsh_site_watch[FSH_SYSCALLS] __attribute__((visibility("hidden")));

/* What sites_x86_64.S keeps of a call. */
struct fsh_site_frame {
    long nr;
    long a[6];
    const struct fsh_site *site;
    const void *pc, *sp;
    long result;            /* SKIP: what the program sees; after ISSUE: what the kernel said */
    long before;            /* SITE_SETTLE */
    struct fsh_timed timed; /* SITE_CLOCK */
};
_Static_assert(sizeof(struct fsh_site_frame) == 152, "sites_x86_64.S knows the frame");

enum way { BACK, SKIP, ISSUE }; /* sites_x86_64.S knows these too */

int fsh_site_call(struct fsh_site_frame *f) __attribute__((visibility("hidden"), used));
int fsh_site_after(struct fsh_site_frame *f) __attribute__((visibility("hidden"), used));
int fsh_site_personality(int version, int actions, uint64_t class, void *exception, void *context)
    __attribute__((visibility("hidden"), used));
extern const char fsh_site_entry[] __attribute__((visibility("hidden")));

/* --- a call comes through --- */

typedef struct fsh_hit *(*consider)(const long *a, const void *caller);
#define CALL(name, file, sock, pipe, nr, door, ret, fail, args, roles, errs, errs_sock, errs_pipe, page)                           \
    static struct fsh_hit *consider_##name(const long *a, const void *caller) {                                                    \
        static const struct fsh_roles r = roles;                                                                                   \
        return fsh_consider_call(CALL_##name, &r, a, caller);                                                                      \
    }
#include "calls.def"
static const consider considers[FSH_CALLS] = {
#define CALL(name, ...) [CALL_##name] = consider_##name,
#include "calls.def"
};

static uint16_t call_of[FSH_SYSCALLS]; /* the row of a number, FSH_CALLS for none */
static bool tells_by_arguments(long nr) {
    return nr == SYS_fcntl;
}

static enum fsh_call call_at(const struct fsh_site_frame *f) {
    return tells_by_arguments(f->nr) ? (enum fsh_call)fsh_call_by_syscall(f->nr, f->a) : (enum fsh_call)call_of[f->nr];
}

static uint8_t loader_watch[FSH_SYSCALLS]; /* some rule names its caller, which may be ld.so */

/* How libc would report it, and back. */
static long for_libc(const struct fsh_call_row *row, long r) {
    if (r >= 0 || r < -4095)
        return r;
    if (row->fail == F_NUMBER)
        return -r;
    errno = (int)-r;
    return -1;
}

static long for_kernel(const struct fsh_call_row *row, long r) {
    if (row->fail == F_NUMBER)
        return -r;
    return r == -1 ? -errno : r;
}

static __thread long number_now __attribute__((tls_model("initial-exec")));

static long invoke_number(const long *a) {
    long nr = number_now, b[6], result;
    const int call = call_of[nr];
    struct fsh_timed timed;
    memcpy(b, a, sizeof b);
    const bool is_timed = fsh_site_watch[nr] & SITE_CLOCK && fsh_clock_before(call, b, &timed);
    do
        result = fsh_sys(nr, b[0], b[1], b[2], b[3], b[4], b[5]);
    while (is_timed && fsh_clock_after(b, &result, &timed));
    result = for_libc(&fsh_calls[call], result);
    if (fsh_site_watch[nr] & SITE_RANDOM && fsh_reads_random((enum fsh_call)call, a))
        fsh_record_bytes((enum fsh_call)call, a, &result);
    return result;
}

/* errno is libc's to set, from what it finds in rax. */
static enum way apply(struct fsh_site_frame *f, struct fsh_hit *hit, fsh_invoke invoke) {
    int e = errno;
    const long outer = number_now; /* of a call that this signal handler has interrupted */
    const struct fsh_call_row *row = &fsh_calls[hit->call];
    number_now = f->nr;
    /* brk(2): the kernel says no by leaving the break where it was, not by an error */
    const long old_break = f->nr == SYS_brk ? fsh_sys1(SYS_brk, 0) : 0;
    f->result = for_kernel(row, fsh_apply(hit, invoke, f->a));
    if (f->nr == SYS_brk && f->result < 0)
        f->result = fsh_sys1(SYS_brk, old_break);
    number_now = outer;
    errno = e;
    return SKIP;
}

/* --- descriptors --- */

static bool is_ours(long fd) {
    return fd >= 0 && (int)fd == fsh_shim.session.fd;
}

static enum way answer(struct fsh_site_frame *f, long result) {
    f->result = result;
    return SKIP;
}

/* In two pieces around the session's descriptor. */
static enum way close_range_around(struct fsh_site_frame *f) {
    const unsigned first = (unsigned)f->a[0], last = (unsigned)f->a[1], own = (unsigned)fsh_shim.session.fd;
    if (fsh_shim.session.fd < 0 || own < first || own > last)
        return BACK;
    long low = own > first ? fsh_sys3(SYS_close_range, first, own - 1, f->a[2]) : 0;
    long high = own < last ? fsh_sys3(SYS_close_range, own + 1, last, f->a[2]) : 0;
    return answer(f, low ? low : high);
}

static void forget_range(const struct fsh_site_frame *f) {
    if (f->a[2] & CLOSE_RANGE_CLOEXEC || !fsh_shim.tracks || !fsh_gate_close())
        return;
    fsh_fd_forget_range((unsigned)f->a[0], (unsigned)f->a[1]);
    fsh_gate_open();
}

/* --- processes --- */

/* The child runs on this thread's memory, TLS and all: until this thread itself comes back, nothing is decided. With CLONE_VFORK
 * the parent waits; without, both go on at once, and this thread's state is left alone for good. */
static void share_memory(uint64_t flags) {
    struct fsh_tls *tls = &fsh_tls;
    if (tls->in_vfork)
        return; /* the symbol door of vfork, or a child of its child */
    if (!tls->has_child && flags & CLONE_VFORK) {
        fsh_fork_before();
        tls->child_by_site = true;
    }
    tls->owner = flags & CLONE_VFORK ? (uint32_t)fsh_sys0(SYS_gettid) : 0;
    tls->in_vfork = true;
    if (!tls->owner)
        atomic_fetch_add(&fsh_shim.session.header->untraced, 1);
    tls->thread->gate = 0;
}

/* What fork(2) is made of, where no symbol door has seen it: daemon(3), forkpty(3), _Fork(3). */
static long fork_by_number(const long *a) {
    uint64_t mask = fsh_block_signals();
    fsh_fork_before();
    long pid = fsh_sys(number_now, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (pid == 0)
        fsh_fork_child();
    else
        fsh_fork_parent((int)pid);
    fsh_restore_signals(mask);
    return for_libc(&fsh_calls[CALL_fork], pid);
}

static enum way forks(struct fsh_site_frame *f, uint64_t flags, bool on_new_stack) {
    if (flags & CLONE_VM) {
        if (!(flags & CLONE_SETTLS))
            share_memory(flags);
        return BACK;
    }
    if (fsh_tls.has_child || on_new_stack)
        return BACK;
    struct fsh_hit *hit = fsh_watch[CALL_fork] & WATCH_CONSIDER ? fsh_consider(CALL_fork, 0, f->site->back) : NULL;
    if (hit)
        return apply(f, hit, fork_by_number);
    int e = errno;
    const long outer = number_now;
    number_now = f->nr;
    f->result = for_kernel(&fsh_calls[CALL_fork], fork_by_number(f->a));
    number_now = outer;
    errno = e;
    return SKIP;
}

struct clone3 {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

static enum way clones(struct fsh_site_frame *f) {
    if (f->nr == SYS_fork)
        return forks(f, 0, false);
    if (f->nr == SYS_clone)
        return forks(f, (uint64_t)f->a[0], f->a[1] != 0);
    const struct clone3 *args = (const void *)f->a[0];
    return f->a[1] >= (long)sizeof *args && fsh_can_read(args, sizeof *args) ? forks(f, args->flags, args->stack != 0) : BACK;
}

/* The environment that exec is given, with the preload put back, in memory of its own: the child of system(3) runs on its parent's.
 */
static enum way execs(struct fsh_site_frame *f, bool in_child) {
    const int at = f->nr == SYS_execveat ? 3 : 2;
    size_t size;
    char *const *made = fsh_env_in_memory((char *const *)f->a[at], in_child, &size);
    if (!made)
        return BACK;
    if (in_child) {
        fsh_tls.child_env = (void *)made;
        fsh_tls.child_env_size = size;
        f->a[at] = (long)made;
        return BACK;
    }
    long a[6];
    memcpy(a, f->a, sizeof a);
    a[at] = (long)made;
    long r = fsh_sys(f->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    fsh_sys2(SYS_munmap, made, size);
    return answer(f, r);
}

/* --- what is more than a decision --- */

static bool is_handled(long nr) {
    static const uint16_t numbers[] = {SYS_close,    SYS_close_range, SYS_dup2,   SYS_dup3,     SYS_clone,
                                       SYS_clone3,   SYS_fork,        SYS_execve, SYS_execveat, SYS_io_uring_setup,
                                       SYS_io_setup, SYS_seccomp,     SYS_prctl};
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i] == nr)
            return true;
    return false;
}

/* In the child of a vfork only our descriptor is kept, and the run's name handed on. */
static enum way in_child(struct fsh_site_frame *f) {
    switch (f->nr) {
    case SYS_close:
        return is_ours(f->a[0]) ? answer(f, -EBADF) : BACK;
    case SYS_close_range:
        return close_range_around(f);
    case SYS_execve:
    case SYS_execveat:
        return execs(f, true);
    default:
        return BACK;
    }
}

/* Before the rules are asked. True: *way says how it ends. */
static bool is_special(struct fsh_site_frame *f, enum way *way) {
    *way = BACK;
    switch (f->nr) {
    case SYS_close:
        if (!is_ours(f->a[0]))
            return false;
        *way = answer(f, -EBADF);
        return true;
    case SYS_close_range:
        forget_range(f);
        *way = close_range_around(f);
        return true;
    case SYS_dup2:
    case SYS_dup3:
        if (f->a[0] != f->a[1])
            fsh_session_make_way((int)f->a[1]);
        return false;
    case SYS_clone:
    case SYS_clone3:
    case SYS_fork:
        *way = clones(f);
        return true;
    case SYS_io_uring_setup:
    case SYS_io_setup:
        if (!fsh_shim.refuses_io_uring)
            return false;
        *way = answer(f, -ENOSYS);
        return true;
    default:
        return false;
    }
}

static bool locks_in(const struct fsh_site_frame *f) {
    return f->nr == SYS_seccomp ? f->a[0] <= SECCOMP_SET_MODE_FILTER : f->nr == SYS_prctl && f->a[0] == PR_SET_SECCOMP;
}

static bool is_exec(long nr) {
    return nr == SYS_execve || nr == SYS_execveat;
}

static enum way decide(struct fsh_site_frame *f, uint8_t watch) {
    const enum fsh_call call = call_at(f);
    f->timed.form = 0;
    if (watch & SITE_CONSIDER) {
        const void *caller = f->site->back;
        if (fsh_tls.caller) {
            caller = fsh_tls.caller_of == call ? fsh_tls.caller : caller;
            fsh_tls.caller = NULL;
        }
        struct fsh_hit *hit = watch & SITE_ARGS ? fsh_consider_args(call, f->a, caller) : considers[call](f->a, caller);
        if (UNLIKELY(hit))
            return apply(f, hit, invoke_number);
    }
    if (f->nr == SYS_close && fsh_shim.tracks)
        fsh_track_close((int)f->a[0]);
    if (watch & SITE_BEFORE)
        fsh_track(call, f->a, 0);
    if (is_exec(f->nr))
        return execs(f, false);
    if (call == CALL_fcntl_lock)
        return BACK;
    if (watch & SITE_CLOCK && fsh_clock_before(f->nr == SYS_futex ? -1 : (int)call, f->a, &f->timed))
        return ISSUE;
    if (watch & SITE_SETTLE) {
        f->before = (long)fsh_settle_before(call, f->a);
        return ISSUE;
    }
    if (watch & SITE_RANDOM && fsh_reads_random(call, f->a))
        return ISSUE;
    return watch & SITE_AFTER || (watch & SITE_SPECIAL && locks_in(f)) ? ISSUE : BACK;
}

int fsh_site_call(struct fsh_site_frame *f) {
    const uint8_t watch = fsh_site_watch[f->nr];
    if (UNLIKELY(!fsh_shim.ready))
        return is_ours(f->a[0]) && f->nr == SYS_close ? (int)answer(f, -EBADF) : BACK;
    if (UNLIKELY(fsh_in_vfork()))
        return (int)in_child(f);
    if (UNLIKELY(f->site->loader))
        return loader_watch[f->nr] ? (int)decide(f, SITE_CONSIDER) : BACK;
    enum way way;
    if (watch & SITE_SPECIAL && is_special(f, &way))
        return (int)way;
    return (int)decide(f, watch);
}

/* The call was made here. Not 0: it is to be made again. */
int fsh_site_after(struct fsh_site_frame *f) {
    if (f->timed.form && fsh_clock_after(f->a, &f->result, &f->timed))
        return 1;
    const enum fsh_call call = call_at(f);
    int e = errno;
    const uint8_t watch = fsh_site_watch[f->nr];
    if (f->result >= 0 && locks_in(f))
        fsh_retire();
    if (call == FSH_CALLS || !fsh_shim.ready)
        return 0;
    long result = for_libc(&fsh_calls[call], f->result);
    if (watch & SITE_SETTLE)
        fsh_settle_after(call, f->a, result, (uint64_t)f->before);
    if (watch & SITE_RANDOM && fsh_reads_random(call, f->a))
        fsh_record_bytes(call, f->a, &result);
    if (watch & SITE_AFTER)
        fsh_track(call, f->a, result);
    errno = e;
    return 0;
}

/* A thread is cancelled, or an exception passes, while it is on our side: what the handler had closed is opened again. The
 * unwinder's own numbers (Itanium C++ ABI): _UA_CLEANUP_PHASE, _URC_CONTINUE_UNWIND. */
int fsh_site_personality(int version, int actions, uint64_t class, void *exception, void *context) {
    enum { CLEANUP_PHASE = 2, CONTINUE_UNWIND = 8 };
    if (actions & CLEANUP_PHASE)
        fsh_gate_abandoned();
    return CONTINUE_UNWIND;
}

/* --- vector registers --- */

void fsh_with_vectors(void (*function)(void *), void *argument, uint64_t size) __attribute__((visibility("hidden")));
static uint64_t vector_size;

/* Of x87, SSE, AVX and AVX-512 in the standard layout: leaf 0xd of cpuid (Intel SDM, volume 1, chapter 13). */
static bool learn_vector_size(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return false;
    uint64_t size = 512 + 64;
    static const uint8_t components[] = {2, 5, 6, 7};
    for (unsigned i = 0; i < sizeof components; i++)
        if (__get_cpuid_count(0xd, components[i], &a, &b, &c, &d) && a && (uint64_t)a + b > size)
            size = (uint64_t)a + b;
    vector_size = (size + 63) & ~UINT64_C(63);
    return true;
}

void fsh_keep_vectors(void (*function)(void *), void *argument) {
    fsh_tls.calls_libc = true;
    if (fsh_shim.sites)
        fsh_with_vectors(function, argument, vector_size);
    else
        function(argument);
    fsh_tls.calls_libc = false;
}

/* --- putting doors in --- */

enum { STUB = 80 };

struct module {
    const char *name;
    uintptr_t base, text; /* of the segment that can be executed */
    size_t text_size;
    uint8_t id[FSH_BUILD_ID_MAX];
    unsigned id_size;
    bool is_program, is_libc, is_loader, is_go;
};

static struct fsh_sitecache cache; /* opened when it is needed */
static const char *cache_xdg, *cache_home;
static bool looked_for_cache;
static struct fsh_decoder decoder;
static bool looked_for_decoder;

static bool put_jump(uint8_t *at, const uint8_t *from, const void *to) {
    int64_t distance = (const uint8_t *)to - (from + FSH_JUMP_SIZE);
    int32_t narrow = (int32_t)distance;
    at[0] = 0xe9;
    memcpy(at + 1, &narrow, sizeof narrow);
    return narrow == distance;
}

/* Moves the window's instructions from `at` to `stub`; those that depend on their place are changed. Returns the end, NULL if the
 * distance is too far. `site`: where the `syscall` of the window came to stand, if it was moved too. */
static uint8_t *move(const struct fsh_site_entry *e, const uint8_t *at, uint8_t *stub, unsigned from, unsigned to) {
    for (unsigned i = from, fix = 0; i < to;) {
        while (fix < e->n_fixes && e->fixes[fix].at < i)
            fix++;
        if (fix == e->n_fixes || e->fixes[fix].at != i) {
            *stub++ = e->bytes[i++];
            continue;
        }
        const struct fsh_site_fix *f = &e->fixes[fix];
        const uint8_t *next = at + i + f->size;
        int64_t distance;
        int32_t narrow;
        if (f->jumps == 1) { /* jcc rel8 becomes jcc rel32 */
            stub[0] = 0x0f;
            stub[1] = (uint8_t)(e->bytes[i] + 0x10);
            distance = next + (int8_t)e->bytes[i + 1] - (stub + 6);
            narrow = (int32_t)distance;
            memcpy(stub + 2, &narrow, sizeof narrow);
            stub += 6;
        } else {
            unsigned field = f->jumps ? f->size - 4u : f->field;
            memcpy(&narrow, e->bytes + i + field, sizeof narrow);
            memcpy(stub, e->bytes + i, f->size);
            distance = next + narrow - (stub + f->size);
            narrow = (int32_t)distance;
            memcpy(stub + field, &narrow, sizeof narrow);
            stub += f->size;
        }
        if (narrow != distance)
            return NULL;
        i += f->size;
    }
    return stub;
}

/* lea site(%rip),%r11; jmp *entry(%rip) */
static uint8_t *put_call(uint8_t *stub, const struct fsh_site *site, const void *const *entry) {
    int32_t distance = (int32_t)((const uint8_t *)site - (stub + 7));
    memcpy(stub, "\x4c\x8d\x1d", 3);
    memcpy(stub + 3, &distance, 4);
    stub += 7;
    distance = (int32_t)((const uint8_t *)entry - (stub + 6));
    memcpy(stub, "\xff\x25", 2);
    memcpy(stub + 2, &distance, 4);
    return stub + 6;
}

/* Returns the end of the stub, NULL if it is too far away. */
static uint8_t *make_stub(const struct fsh_site_entry *e, const struct module *m, uint8_t *stub, struct fsh_site *site,
                          const void *const *entry) {
    const uint8_t *window = (const uint8_t *)m->base + e->at - e->before;
    uint8_t *p = move(e, window, stub, 0, e->before);
    if (!p)
        return NULL;
    p = put_call(p, site, entry);
    site->back = window + e->before;
    site->skip = window + e->before + 2;
    site->loader = m->is_loader;
    if (e->size == e->before)
        return p;
    /* over the `syscall`: it is made in the stub */
    site->back = p;
    *p++ = 0x0f;
    *p++ = 0x05;
    site->skip = p;
    p = move(e, window, p, e->before + 2u, e->size);
    return p && put_jump(p, p, window + e->size) ? p + FSH_JUMP_SIZE : NULL;
}

static bool is_met[FSH_SYSCALLS]; /* numbers that have something to do in this run */

/* Every page that is written to is copied, so doors are opened only where something may come through. */
static bool is_wanted(const struct fsh_site_entry *e) {
    return e->nr == FSH_NR_UNKNOWN || (e->nr < FSH_SYSCALLS && is_met[e->nr]);
}

/* The map is a proposal: whatever does not lie in the text, or differs from what stands there, is left alone. */
static bool is_right(const struct fsh_site_entry *e, const struct module *m) {
    uintptr_t window = m->base + e->at - e->before;
    bool fits = e->size >= FSH_JUMP_SIZE && e->size <= FSH_WINDOW_MAX && e->before <= e->size &&
                (e->size == e->before || e->size >= e->before + 2) && e->n_fixes <= FSH_FIXES_MAX && e->at >= e->before;
    for (unsigned i = 0; fits && i < e->n_fixes; i++)
        fits = e->fixes[i].size >= 2 && e->fixes[i].at + e->fixes[i].size <= e->size && e->fixes[i].jumps <= 2 &&
               (e->fixes[i].jumps == 1 || e->fixes[i].size >= 6) &&
               e->fixes[i].field + 4 <= e->fixes[i].size + 4 * (e->fixes[i].jumps == 1);
    return fits && window >= m->text && window + e->size + 2 <= m->text + m->text_size &&
           !memcmp((const void *)window, e->bytes, e->size) && !memcmp((const void *)(window + e->before), "\x0f\x05", 2);
}

/* Near enough for a jump of 32 bits in both directions. */
static void *allocate_near(const struct module *m, size_t size) {
    enum { FAR = 1 << 30, STEP = 1 << 24 };
    for (int i = 0; i < 64; i++) {
        uintptr_t hint = i == 0  ? 0
                         : i % 2 ? m->base - (uintptr_t)(i / 2 + 1) * STEP - size
                                 : m->base + m->text_size + (uintptr_t)i * STEP;
        long p = fsh_sys6(SYS_mmap, hint & ~4095ul, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p < 0 && p > -4096)
            return NULL;
        int64_t away = p - (int64_t)m->base;
        if (away > -FAR && away < FAR)
            return (void *)p;
        fsh_sys2(SYS_munmap, p, size);
    }
    return NULL;
}

static size_t whole_pages(size_t n) {
    return (n + FSH_PAGE - 1) & ~(size_t)(FSH_PAGE - 1);
}

/* Opens the doors of a map in a module: stubs first, then all jumps while the text can be written. NULL or what went wrong. */
static const char *install(const struct fsh_sitemap *map, const struct module *m) {
    unsigned n = 0;
    uintptr_t low = UINTPTR_MAX, high = 0;
    for (uint32_t i = 0; i < map->n; i++) {
        const struct fsh_site_entry *e = &map->entries[i];
        if (!is_wanted(e) || !is_right(e, m))
            continue;
        uintptr_t window = m->base + e->at - e->before;
        low = window < low ? window : low;
        high = window + e->size > high ? window + e->size : high;
        n++;
    }
    if (!n)
        return NULL;
    const size_t code = whole_pages((size_t)n * STUB), data = whole_pages(n * sizeof(struct fsh_site) + sizeof(void *));
    uint8_t *memory = allocate_near(m, code + data);
    if (!memory)
        return "no memory near libc";
    const void **entry = (void *)(memory + code);
    struct fsh_site *site = (void *)(entry + 1);
    uint8_t *stub = memory;
    *entry = fsh_site_entry;
    low &= ~(uintptr_t)(FSH_PAGE - 1);
    high = whole_pages(high);
    if (fsh_sys3(SYS_mprotect, low, high - low, PROT_READ | PROT_WRITE | PROT_EXEC) < 0) {
        fsh_sys2(SYS_munmap, memory, code + data);
        return "its text cannot be made writable";
    }
    for (uint32_t i = 0; i < map->n; i++) {
        const struct fsh_site_entry *e = &map->entries[i];
        uint8_t *window = (uint8_t *)m->base + e->at - e->before;
        uint8_t *end = is_wanted(e) && is_right(e, m) ? make_stub(e, m, stub, site, entry) : NULL;
        if (!end)
            continue;
        put_jump(window, window, stub);
        memset(window + FSH_JUMP_SIZE, 0xcc, e->size - (size_t)FSH_JUMP_SIZE);
        stub = end;
        site++;
    }
    fsh_sys3(SYS_mprotect, memory, code, PROT_READ | PROT_EXEC);
    fsh_sys3(SYS_mprotect, low, high - low, PROT_READ | PROT_EXEC);
    return NULL;
}

/* --- modules --- */

static bool ends_in(const char *path, const char *name) {
    const char *last = strrchr(path, '/');
    last = last ? last + 1 : path;
    return !strncmp(last, name, strlen(name));
}

/* Runtimes that replace the system's functions make their own calls raw, and take no failure. */
static bool is_left_alone(const char *path) {
    static const char *const names[] = {"libfaultshim.so", "linux-vdso.so", "libasan.so",   "libtsan.so",
                                        "libubsan.so",     "liblsan.so",    "libhwasan.so", "libunwind.so",
                                        "libZydis.so",     "libZycore.so",  "vgpreload_"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (ends_in(path, names[i]))
            return true;
    return false;
}

/* The Go linker's build id: a note of its own name. */
static bool has_go_note(const char *p, size_t size) {
    while (size >= sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *note = (const void *)p;
        size_t all = sizeof *note + ((note->n_namesz + 3ul) & ~3ul) + ((note->n_descsz + 3ul) & ~3ul);
        if (note->n_namesz == 4 && size >= sizeof *note + 4 && !memcmp(note + 1, "Go\0", 4))
            return true;
        if (all > size)
            return false;
        p += all;
        size -= all;
    }
    return false;
}

/* Whatever rules a profile that is loaded later has. */
static bool meets_all(void) {
    return fsh_shim.plan->profile->options.control == REACH_FULL;
}

/* Only a rule that names its callers meets what ld.so does. */
static bool some_rule_names_callers(void) {
    for (unsigned i = 0; i < fsh_shim.n_rules; i++)
        if (fsh_shim.rules[i]->caller.n)
            return true;
    return meets_all();
}

static bool is_asked_for(const struct module *m) {
    const uint8_t in = fsh_shim.plan->profile->options.doors_in;
    if (m->is_go) /* the stacks of its routines have no room for a handler */
        return false;
    if (m->is_loader && !some_rule_names_callers())
        return false;
    return in & (m->is_libc ? DOORS_IN_LIBC : m->is_loader ? DOORS_IN_LD : m->is_program ? DOORS_IN_PROGRAM : DOORS_IN_LIBRARIES);
}

static void find_decoder(void) {
    void *lib = fsh_real.dlopen("libZydis.so.4.0", RTLD_NOW | RTLD_LOCAL);
    if (lib) {
        decoder.init = dlsym(lib, "ZydisDecoderInit");
        decoder.decode = dlsym(lib, "ZydisDecoderDecodeInstruction");
    }
    looked_for_decoder = true;
}

/* What is done to the modules, and what came of it. */
struct search {
    bool libc;      /* libc, or all others */
    bool may_learn; /* the decoder has been looked for */
    bool has_libc;
    bool is_installed; /* libc has its doors */
    bool lacks_map;    /* of some module */
    const char *wrong; /* about libc */
};

/* The session brings the maps of libc and ld.so: for programs that have become another user, or have no home. */
static const struct fsh_sitemap *find_map(const struct module *m) {
    const struct fsh_text text = fsh_session_meta(&fsh_shim.session, META_SITES);
    const struct fsh_sitemap *map = fsh_sitemap_find(text.data, text.len, m->id, m->id_size);
    if (map)
        return map;
    if (!looked_for_cache)
        fsh_sitecache_open(&cache, cache_xdg, cache_home);
    looked_for_cache = true;
    return fsh_sitemap_find(cache.data, cache.size, m->id, m->id_size);
}

static void open_module(struct search *s, const struct module *m) {
    const struct fsh_sitemap *map = m->id_size ? find_map(m) : NULL;
    if (!map && m->id_size) {
        s->lacks_map = true;
        if (!s->may_learn)
            return;
        if (decoder.init && decoder.decode)
            map = fsh_sitecache_learn(&cache, m->name, m->id, m->id_size, &decoder);
    }
    const char *wrong = !m->id_size              ? "it has no build id"
                        : map                    ? install(map, m)
                        : decoder.decode != NULL ? "its file cannot be read, or is another one by now"
                                                 : "there is no map of it, and no libZydis to make one";
    if (m->is_libc) {
        s->wrong = wrong;
        s->is_installed = !wrong;
    } else if (wrong && map) {
        fsh_say(m->name, ": no syscall doors: ", wrong);
    }
}

/* With ld.so's list of modules locked: one thread at a time, and no module goes away meanwhile. */
static int visit_module(struct dl_phdr_info *info, size_t size, void *data) {
    struct search *s = data;
    struct module m = {.name = info->dlpi_name && *info->dlpi_name ? info->dlpi_name : fsh_program_path(), .base = info->dlpi_addr};
    m.is_program = !info->dlpi_name || !*info->dlpi_name;
    m.is_libc = ends_in(m.name, "libc.so.6") || ends_in(m.name, "libc-2.");
    s->has_libc |= m.is_libc;
    if (m.is_libc != s->libc)
        return 0;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && p->p_flags & PF_X && !m.text_size) {
            m.text = m.base + p->p_vaddr;
            m.text_size = p->p_memsz;
        }
        if (p->p_type == PT_NOTE)
            m.is_go |= has_go_note((const void *)(m.base + p->p_vaddr), p->p_memsz);
        if (p->p_type == PT_NOTE && !m.id_size)
            m.id_size = fsh_build_id((const void *)(m.base + p->p_vaddr), p->p_memsz, m.id);
    }
    m.is_loader = m.text >= fsh_shim.loader && m.text < fsh_shim.loader + fsh_shim.loader_size;
    if (m.text_size && !is_left_alone(m.name) && is_asked_for(&m))
        open_module(s, &m);
    return 0;
}

/* libc first: without it, none. */
static void visit_modules(struct search *s) {
    s->libc = true;
    dl_iterate_phdr(visit_module, s);
    s->libc = false;
    if (s->is_installed)
        dl_iterate_phdr(visit_module, s);
}

/* What is new among the loaded modules. Windows that hold our jump differ from the map, so nothing is done twice. */
static const char *open_modules(void) {
    struct search s = {.may_learn = looked_for_decoder};
    visit_modules(&s);
    if (s.lacks_map && !s.may_learn) {
        find_decoder(); /* by dlopen, which takes the list's lock itself */
        s = (struct search){.may_learn = true};
        visit_modules(&s);
    }
    return !s.has_libc ? "no libc.so.6 is loaded" : s.wrong;
}

/* --- start --- */

/* Valgrind runs a translation of the program, made before the text was changed. Its client request 0x1001 (RUNNING_ON_VALGRIND) is
 * a sequence of rotations that does nothing elsewhere (valgrind.h). */
static bool runs_under_valgrind(void) {
    volatile uint64_t request[6] = {0x1001};
    uint64_t result = 0;
    __asm__ volatile("rolq $3, %%rdi; rolq $13, %%rdi; rolq $61, %%rdi; rolq $51, %%rdi; xchgq %%rbx, %%rbx"
                     : "+d"(result)
                     : "a"(request)
                     : "cc", "memory");
    return result != 0;
}

static void learn_numbers(void) {
    for (unsigned nr = 0; nr < FSH_SYSCALLS; nr++) {
        int call = fsh_call_by_number(nr);
        call_of[nr] = (uint16_t)(call < 0 ? FSH_CALLS : call);
    }
    for (int call = 0; call < FSH_CALLS; call++)
        if (fsh_armed[call] && fsh_calls[call].sysno >= 0 && fsh_calls[call].sysno < FSH_SYSCALLS)
            is_met[fsh_calls[call].sysno] = true;
    for (unsigned nr = 0; nr < FSH_SYSCALLS; nr++)
        is_met[nr] |= is_handled((long)nr) && (nr != SYS_close || fsh_shim.tracks);
    is_met[SYS_futex] = fsh_clock_moves();
    is_met[SYS_fcntl] |= fsh_armed[CALL_fcntl_lock] || fsh_shim.tracks;
    /* never: their frames or threads end there, or they come back twice. Forks are looked at, and decided at their symbols. */
    static const uint16_t never[] = {SYS_rt_sigreturn, SYS_exit, SYS_exit_group, SYS_vfork, SYS_fork, SYS_clone, SYS_clone3};
    for (unsigned i = 0; i < sizeof never / sizeof *never; i++)
        call_of[never[i]] = FSH_CALLS;
}

const char *fsh_sites_start(char *const *env) {
    if (runs_under_valgrind())
        return "the program runs under valgrind";
    if (!__libc_single_threaded)
        return "threads are running already";
    if (!learn_vector_size())
        return "the processor has no XSAVE";
    learn_numbers();
    cache_xdg = fsh_env(env, "XDG_CACHE_HOME");
    cache_home = fsh_env(env, "HOME");
    const char *wrong = open_modules();
    fsh_shim.sites = !wrong;
    return wrong;
}

void fsh_sites_loaded(void) {
    if (!fsh_shim.sites || fsh_shim.retired)
        return;
    int e = errno;
    open_modules();
    errno = e;
}

/* --- arming --- */

bool fsh_reads_clock(long nr) {
    return nr == SYS_clock_gettime || nr == SYS_gettimeofday || nr == SYS_time || nr == SYS_clock_getres || nr == SYS_getcpu ||
           nr == SYS_times || nr == SYS_getcwd /* libc makes a success of what the kernel refuses */;
}

/* The system call that a call is met at, -1 for none. */
static int number_of(enum fsh_call call) {
    int nr = call == CALL_fcntl_lock ? SYS_fcntl : fsh_calls[call].sysno;
    return nr >= 0 && nr < FSH_SYSCALLS && call_of[nr] < FSH_CALLS && !fsh_reads_clock(nr) ? nr : -1;
}

/* These wait: they are named by their symbol doors, after they have come back. */
static bool waits(enum fsh_call call) {
    return call == CALL_accept || call == CALL_accept4;
}

static bool names_caller(const struct fsh_rule *rule) {
    return rule->caller.n;
}

static bool looks_at_caller(const struct fsh_rule *rule) {
    return rule->caller.n || rule->stack.n || rule->not_stack.n;
}

static bool asks(enum fsh_call call, bool (*what)(const struct fsh_rule *)) {
    for (int kind = 0; kind < FSH_KINDS; kind++)
        for (unsigned i = 0; i < fsh_shim.plan->on[call][kind].n; i++)
            if (what(fsh_shim.rules[fsh_shim.plan->on[call][kind].v[i].rule]))
                return true;
    return meets_all();
}

/* From glibc 2.41 on a blocked thread can be cancelled at libc's own `syscall` only. An open may block, so there files are named
 * when they are first used. */
static bool can_be_issued(enum fsh_call call) {
    static int is_old = -1;
    if (is_old < 0) {
        const char *version = gnu_get_libc_version();
        is_old = version[0] == '2' && version[1] == '.' && version[2] <= '4' && version[2] >= '1' &&
                 (version[2] < '4' || version[3] == '0');
    }
    return is_old || !fsh_calls[call].roles.oflags;
}

static uint8_t watch_of(enum fsh_call call, uint8_t at_symbol) {
    uint8_t watch = (at_symbol & WATCH_CONSIDER ? SITE_CONSIDER : 0) | (at_symbol & WATCH_ARGS ? SITE_ARGS : 0) |
                    (at_symbol & WATCH_SETTLE ? SITE_SETTLE : 0) | (at_symbol & WATCH_CLOCK ? SITE_CLOCK : 0) |
                    (at_symbol & WATCH_RANDOM ? SITE_RANDOM : 0);
    if (!(at_symbol & WATCH_TRACK) || waits(call))
        return watch;
    if (call == CALL_connect || call == CALL_bind)
        return watch & SITE_CONSIDER ? watch : watch | SITE_BEFORE;
    return can_be_issued(call) ? watch | SITE_AFTER : watch;
}

/* A symbol door decides what no site sees, and what only rules ask for that do not meet the call below it. */
static bool stays_at_symbol(enum fsh_call call) {
    if (!fsh_calls[call].roles.over)
        return number_of(call) < 0;
    for (int kind = 0; kind < FSH_KINDS; kind++)
        for (unsigned i = 0; i < fsh_shim.plan->on[call][kind].n; i++)
            if (!(fsh_shim.plan->on[call][kind].v[i].flags & CAND_BELOW))
                return true;
    return meets_all();
}

void fsh_sites_note_caller(long nr, const void *caller) {
    if (nr >= 0 && nr < FSH_SYSCALLS && call_of[nr] < FSH_CALLS && fsh_watch[call_of[nr]] & WATCH_CALLER)
        fsh_note_caller((enum fsh_call)call_of[nr], caller);
}

void fsh_sites_arm(void) {
    for (unsigned nr = 0; nr < FSH_SYSCALLS; nr++)
        fsh_site_watch[nr] = is_handled((long)nr) ? SITE_SPECIAL : 0;
    for (int i = 0; i < FSH_CALLS; i++) {
        const enum fsh_call call = (enum fsh_call)i;
        int nr = number_of(call);
        if (nr < 0)
            continue;
        fsh_site_watch[nr] |= watch_of(call, fsh_watch[call]);
        loader_watch[nr] |= fsh_watch[call] & WATCH_CONSIDER && asks(call, names_caller);
    }
    if (fsh_shim.tracks)
        fsh_site_watch[SYS_fcntl] |= SITE_AFTER;
    if (fsh_clock_moves())
        fsh_site_watch[SYS_futex] |= SITE_CLOCK;
    for (int i = 0; i < FSH_CALLS; i++) {
        const enum fsh_call call = (enum fsh_call)i;
        bool noted = number_of(call) >= 0 && fsh_watch[call] & WATCH_CONSIDER && asks(call, looks_at_caller);
        if (!stays_at_symbol(call))
            fsh_watch[call] &= (uint8_t) ~(WATCH_CONSIDER | WATCH_ARGS);
        if (number_of(call) >= 0 || fsh_calls[call].roles.over)
            fsh_watch[call] &= (uint8_t) ~(WATCH_SETTLE | WATCH_RANDOM);
        if (fsh_calls[call].class_of[FSH_ON_NONE] != C_TIME_READ)
            fsh_watch[call] &= (uint8_t)~WATCH_CLOCK;
        if (fsh_calls[call].sysno >= 0 && !waits(call))
            fsh_watch[call] &= (uint8_t)~WATCH_TRACK;
        if (noted)
            fsh_watch[call] |= WATCH_CALLER;
    }
}

void fsh_sites_retire(void) {
    for (unsigned nr = 0; nr < FSH_SYSCALLS; nr++)
        fsh_site_watch[nr] = 0;
}
