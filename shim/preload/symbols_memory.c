/* symbols_memory.c: doors of the allocator, and mremap. The hottest and the earliest of all: malloc is called before any
 * constructor and after every destructor; the real one is found in the link map at the first call, so nothing is ever allocated by
 * us.
 *
 * malloc(3): a failed realloc leaves the old block alone; posix_memalign returns the error and leaves errno alone. */
#include "doors.h"
#include "state.h"

#include <stdarg.h>
#include <stdatomic.h>

/* ld.so allocates for new threads and libraries, and nobody could handle a failure there: its calls are never considered. */
static inline bool by_loader(const void *caller) {
    return (uintptr_t)caller - fsh_shim.loader < fsh_shim.loader_size;
}

static inline struct fsh_hit *consider(enum fsh_call call, uint64_t size, const void *caller) {
    return UNLIKELY(fsh_watch[call] & WATCH_CONSIDER) && !by_loader(caller) ? fsh_consider(call, size, caller) : NULL;
}

/* For a budget every block counts, whoever asked for it: it may be given back by anybody. */
static inline bool counts_live(enum fsh_call call) {
    return UNLIKELY(fsh_watch[call] & WATCH_SETTLE);
}

static COLD void *gained(void *p, size_t before, bool freed) {
    int e = errno;
    if (p || freed)
        atomic_fetch_add_explicit(&fsh_live_bytes, (int64_t)(fsh_usable_size(p) - before), memory_order_relaxed);
    errno = e;
    return p;
}

void *fsh_door_malloc(size_t size) {
    struct fsh_hit *hit = consider(CALL_malloc, size, CALLER());
    if (UNLIKELY(hit)) {
        const long a[6] = {(long)size};
        void *p = (void *)fsh_apply(hit, fsh_invoke_malloc, a);
        return counts_live(CALL_malloc) ? gained(p, 0, false) : p;
    }
    if (counts_live(CALL_malloc))
        return gained(fsh_real.malloc(size), 0, false);
    return fsh_real.malloc(size);
}

void *fsh_door_calloc(size_t n, size_t size) {
    uint64_t all;
    if (__builtin_mul_overflow(n, size, &all))
        all = UINT64_MAX;
    struct fsh_hit *hit = consider(CALL_calloc, all, CALLER());
    if (UNLIKELY(hit)) {
        const long a[6] = {(long)n, (long)size};
        void *p = (void *)fsh_apply(hit, fsh_invoke_calloc, a);
        return counts_live(CALL_calloc) ? gained(p, 0, false) : p;
    }
    if (counts_live(CALL_calloc))
        return gained(fsh_real.calloc(n, size), 0, false);
    return fsh_real.calloc(n, size);
}

/* realloc(p, 0) frees p in glibc: failing it would leak, and no caller looks at its result. */
void *fsh_door_realloc(void *old, size_t size) {
    size_t had = counts_live(CALL_realloc) ? fsh_usable_size(old) : 0;
    struct fsh_hit *hit = old && !size ? NULL : consider(CALL_realloc, size, CALLER());
    if (UNLIKELY(hit)) {
        const long a[6] = {(long)old, (long)size};
        void *p = (void *)fsh_apply(hit, fsh_invoke_realloc, a);
        return counts_live(CALL_realloc) ? gained(p, had, old && !size) : p;
    }
    if (counts_live(CALL_realloc))
        return gained(fsh_real.realloc(old, size), had, old && !size);
    return fsh_real.realloc(old, size);
}

/* glibc's goes through realloc's door: the product is checked here and realloc is asked, so that it counts once. */
void *fsh_door_reallocarray(void *old, size_t n, size_t size) {
    uint64_t all;
    if (__builtin_mul_overflow(n, size, &all)) {
        errno = ENOMEM;
        return NULL;
    }
    size_t had = counts_live(CALL_reallocarray) ? fsh_usable_size(old) : 0;
    struct fsh_hit *hit = old && !all ? NULL : consider(CALL_reallocarray, all, CALLER());
    if (UNLIKELY(hit)) {
        const long a[6] = {(long)old, (long)all};
        void *p = (void *)fsh_apply(hit, fsh_invoke_realloc, a);
        return counts_live(CALL_reallocarray) ? gained(p, had, old && !all) : p;
    }
    if (counts_live(CALL_reallocarray))
        return gained(fsh_real.realloc(old, all), had, old && !all);
    return fsh_real.realloc(old, all);
}

int fsh_door_posix_memalign(void **out, size_t alignment, size_t size) {
    struct fsh_hit *hit = consider(CALL_posix_memalign, size, CALLER());
    if (UNLIKELY(hit)) {
        const long a[6] = {(long)out, (long)alignment, (long)size};
        int e = (int)fsh_apply(hit, fsh_invoke_posix_memalign, a);
        if (counts_live(CALL_posix_memalign) && e == 0)
            gained(*out, 0, false);
        return e;
    }
    int e = fsh_real.posix_memalign(out, alignment, size);
    if (counts_live(CALL_posix_memalign) && e == 0)
        gained(*out, 0, false);
    return e;
}

void *fsh_door_aligned_alloc(size_t alignment, size_t size) {
    struct fsh_hit *hit = consider(CALL_aligned_alloc, size, CALLER());
    if (UNLIKELY(hit)) {
        const long a[6] = {(long)alignment, (long)size};
        void *p = (void *)fsh_apply(hit, fsh_invoke_aligned_alloc, a);
        return counts_live(CALL_aligned_alloc) ? gained(p, 0, false) : p;
    }
    if (counts_live(CALL_aligned_alloc))
        return gained(fsh_real.aligned_alloc(alignment, size), 0, false);
    return fsh_real.aligned_alloc(alignment, size);
}

void *fsh_door_memalign(size_t alignment, size_t size) {
    struct fsh_hit *hit = consider(CALL_memalign, size, CALLER());
    if (UNLIKELY(hit)) {
        const long a[6] = {(long)alignment, (long)size};
        void *p = (void *)fsh_apply(hit, fsh_invoke_memalign, a);
        return counts_live(CALL_memalign) ? gained(p, 0, false) : p;
    }
    if (counts_live(CALL_memalign))
        return gained(fsh_real.memalign(alignment, size), 0, false);
    return fsh_real.memalign(alignment, size);
}

void *fsh_door_valloc(size_t size) {
    struct fsh_hit *hit = consider(CALL_valloc, size, CALLER());
    if (UNLIKELY(hit)) {
        const long a[6] = {(long)size};
        void *p = (void *)fsh_apply(hit, fsh_invoke_valloc, a);
        return counts_live(CALL_valloc) ? gained(p, 0, false) : p;
    }
    if (counts_live(CALL_valloc))
        return gained(fsh_real.valloc(size), 0, false);
    return fsh_real.valloc(size);
}

void *fsh_door_pvalloc(size_t size) {
    struct fsh_hit *hit = consider(CALL_pvalloc, size, CALLER());
    if (UNLIKELY(hit)) {
        const long a[6] = {(long)size};
        void *p = (void *)fsh_apply(hit, fsh_invoke_pvalloc, a);
        return counts_live(CALL_pvalloc) ? gained(p, 0, false) : p;
    }
    if (counts_live(CALL_pvalloc))
        return gained(fsh_real.pvalloc(size), 0, false);
    return fsh_real.pvalloc(size);
}

/* Observed: memory can always be given back. */
void fsh_door_free(void *p) {
    if (counts_live(CALL_free) && p)
        atomic_fetch_sub_explicit(&fsh_live_bytes, (int64_t)fsh_usable_size(p), memory_order_relaxed);
    fsh_real.free(p);
}

/* mremap(2): the fifth argument is there with MREMAP_FIXED; it stands in its register either way. */
void *fsh_door_mremap(void *old, size_t old_size, size_t new_size, int flags, void *addr) {
    struct fsh_hit *hit = consider(CALL_mremap, new_size, CALLER());
    if (UNLIKELY(hit)) {
        const long a[6] = {(long)old, (long)old_size, (long)new_size, flags, (long)addr};
        return (void *)fsh_apply(hit, fsh_invoke_mremap, a);
    }
    return fsh_real.mremap(old, old_size, new_size, flags, addr);
}

#define FSH_ALIASES_MEMORY
#include "aliases.h"
