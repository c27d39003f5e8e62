/* stack.c: see stack.h. Frames are named by module and offset: the same in every run, whatever the address layout. */
#include "stack.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>

#include "functions.h"
#include "modules.h"
#include "script.h"
#include "session.h"

#include "poison.h"

enum { FRAMES = FSH_DEPTH_MAX, MODULE_NAME = 256 };

static int (*backtrace_of)(void **, int);

/* libunwind takes a lock. A child of a program with threads has only the thread that forked: with the lock held by another one at
 * that moment it would wait for ever at its first capture. So fork waits for captures, and captures for fork. */
static _Atomic uint32_t capturing, forking;

static void begin_capture(void) {
    for (;;) {
        atomic_fetch_add(&capturing, 1);
        if (!atomic_load(&forking))
            return;
        atomic_fetch_sub(&capturing, 1);
        fsh_sys0(SYS_sched_yield);
    }
}

/* Not for ever: a handler may fork in the middle of a capture, or have left one by a jump. */
static void before_fork(void) {
    const uint64_t patience = 50 * 1000 * 1000, until = fsh_monotonic() + patience;
    atomic_fetch_add(&forking, 1);
    while (atomic_load(&capturing) && fsh_monotonic() < until)
        fsh_sys0(SYS_sched_yield);
}

static void after_fork(void) {
    atomic_fetch_sub(&forking, 1);
}

/* Of threads that fork at the same time the child knows nothing. */
static void in_child(void) {
    atomic_store(&forking, 0);
}

void fsh_stack_fork(void) {
    in_child();
    if (atomic_load(&capturing)) /* it was made by clone, or we were not patient enough: the lock may be nobody's */
        backtrace_of = NULL;
    atomic_store(&capturing, 0);
}

bool fsh_stack_start(void) {
    void *lib = fsh_real.dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
    if (lib)
        backtrace_of = (int (*)(void **, int))dlsym(lib, "unw_backtrace");
    void *frames[FRAMES];
    if (backtrace_of)
        backtrace_of(frames, FRAMES);
    if (backtrace_of)
        pthread_atfork(before_fork, after_fork, in_child);
    return backtrace_of != NULL;
}

struct frame {
    const struct link_map *map;
    uint64_t offset;
    uintptr_t address;
};

static struct frame frame_of(void *address) {
    struct dl_find_object o;
    /* a return address: the call stands before it */
    if (_dl_find_object((char *)address - 1, &o) != 0 || !o.dlfo_link_map)
        return (struct frame){NULL, 0, 0};
    return (struct frame){o.dlfo_link_map, (uint64_t)((char *)address - (char *)o.dlfo_map_start), (uintptr_t)address};
}

static bool is_ours(const struct frame *f) {
    struct dl_find_object own;
    return f->map && _dl_find_object((void *)fsh_stack_site, &own) == 0 && own.dlfo_link_map == f->map;
}

/* Where a signal handler returns to: mov $SYS_rt_sigreturn, %rax; syscall. */
static bool is_signal_frame(const void *address) {
    static const unsigned char code[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
    const unsigned char *p = address;
    unsigned n = 0;
    while (n < sizeof code && p[n] == code[n]) /* no farther than that: the code may end here */
        n++;
    return n == sizeof code;
}

/* What is the same in another build. */
static uint64_t function_of(const struct frame *f) {
    const char *name = fsh_function_at(f->map, f->address - 1);
    return name ? fsh_hash(name, strlen(name)) : 0;
}

static void record(struct fsh_thread *t, uint64_t key, const struct frame *frames, int n) {
    uint64_t *seen = &t->sites[key % FSH_SITES_SEEN];
    if (*seen == key)
        return;
    *seen = key;
    for (int i = 0; i < n; i++)
        fsh_module_tell(t, frames[i].map, (const char *)frames[i].address - frames[i].offset);
    struct fsh_fields f = {.len = 0};
    fsh_put_varint(&f, key);
    fsh_put_u64(&f, key);
    fsh_put_varint(&f, (uint64_t)n);
    for (int i = 0; i < n; i++) {
        const char *name = fsh_module_name(frames[i].map);
        fsh_put_text(&f, name, strlen(name));
        fsh_put_varint(&f, frames[i].offset);
    }
    for (int i = 0; i < n; i++)
        fsh_put_u64(&f, function_of(&frames[i]));
    fsh_pen_record(&t->pen, &fsh_shim.session, OP_SITE, f.bytes, f.len);
}

struct capture {
    struct frame frames[FRAMES];
    int n;
};

static void capture(void *result) {
    struct capture *c = result;
    void *addresses[FRAMES];
    int e = errno, got = 0;
    begin_capture();
    if (backtrace_of)
        got = backtrace_of(addresses, FRAMES);
    atomic_fetch_sub(&capturing, 1);
    errno = e; /* libunwind asks the kernel which memory it can read */
    c->n = 0;
    for (int i = 0; i < got; i++) {
        struct frame f = frame_of(addresses[i]);
        if (f.map && is_signal_frame(addresses[i])) { /* its caller is whatever was interrupted */
            c->n = 0;
            return;
        }
        if (f.map && (c->n || !is_ours(&f)))
            c->frames[c->n++] = f;
    }
}

/* For a replay on another build. */
static COLD void find_by_function(struct fsh_thread *t, uint64_t site, const struct frame *frames, int n) {
    uint64_t key = 0;
    if (!fsh_shim.replays || fsh_replay_is_exact() || !fsh_replay_script() || !fsh_replay_script()->n_rebuilt)
        return;
    for (int i = 0; i < n; i++) {
        const char *name = fsh_module_name(frames[i].map);
        const uint64_t module = fsh_hash(name, strlen(name));
        const bool rebuilt = fsh_replay_is_rebuilt(module);
        key = fsh_fold_frame(key, module, rebuilt, rebuilt ? function_of(&frames[i]) : 0, frames[i].offset);
    }
    t->site = site;
    t->site_by_function = key | 1;
}

uint64_t fsh_stack_site(struct fsh_thread *t) {
    struct capture c;
    fsh_keep_vectors(capture, &c);
    const struct frame *frames = c.frames;
    const int n = c.n;
    uint64_t key = 0;
    for (int i = 0; i < n; i++) {
        const char *name = fsh_module_name(frames[i].map);
        key = fsh_fold_frame(key, fsh_hash(name, strlen(name)), false, 0, frames[i].offset);
    }
    if (n)
        record(t, key | 1, frames, n);
    if (UNLIKELY(n && fsh_shim.replays))
        find_by_function(t, key | 1, frames, n);
    return n ? key | 1 : 0;
}

/* --- stack, not-stack --- */

/* "libc.so.6+0x26d68"; the program by its own name. */
static void put_offset(char out[MODULE_NAME], const struct frame *f) {
    const char *program = strrchr(fsh_program_path(), '/');
    const char *name = *f->map->l_name || !program ? fsh_module_name(f->map) : program + 1;
    size_t n = strlen(name), at;
    if (n > MODULE_NAME - 20)
        n = MODULE_NAME - 20;
    memcpy(out, name, n);
    memcpy(out + n, "+0x", 3);
    at = n + 3;
    unsigned digits = f->offset ? (67 - (unsigned)__builtin_clzll(f->offset)) / 4 : 1;
    for (unsigned i = digits; i-- > 0;)
        out[at++] = "0123456789abcdef"[f->offset >> 4 * i & 15];
    out[at] = 0;
}

static bool any_names(const struct fsh_texts *patterns, const struct frame *f) {
    char offset[MODULE_NAME];
    if (!patterns->n || !f->map)
        return false;
    put_offset(offset, f);
    if (fsh_any_glob(patterns, offset, true))
        return true;
    const char *function = fsh_function_at(f->map, f->address - 1);
    return function && fsh_any_glob(patterns, function, true);
}

/* The caller is looked at first: often it is all that is needed. Doors at system calls have frames of libc before it. */
bool fsh_stack_matches(const struct fsh_rule *rule, const void *caller) {
    struct frame first = frame_of((void *)(uintptr_t)caller);
    unsigned depth = rule->depth ? (unsigned)rule->depth : FRAMES, from = 0;
    if (depth == 1)
        return first.map && !any_names(&rule->not_stack, &first) && (!rule->stack.n || any_names(&rule->stack, &first));
    struct capture c;
    fsh_keep_vectors(capture, &c);
    for (int i = 0; i < c.n; i++)
        if (c.frames[i].address == first.address)
            from = (unsigned)i;
    bool found = !rule->stack.n;
    for (unsigned i = from; i < (unsigned)c.n && i - from < depth; i++) {
        if (any_names(&rule->not_stack, &c.frames[i]))
            return false;
        found = found || any_names(&rule->stack, &c.frames[i]);
    }
    return found && c.n;
}
