/* symbols_memory.c: doors of the allocator, and mremap. The hottest and the earliest of all: malloc is called before any
 * constructor and after every destructor; the real one is found in the link map at the first call, so nothing is ever allocated by
 * us.
 *
 * malloc(3): a failed realloc leaves the old block alone; posix_memalign returns the error and leaves errno alone. */
#include "doors.h"

#include <stdarg.h>

/* ld.so allocates for new threads and libraries, and nobody could handle a failure there: its calls are never considered. */
static inline bool by_loader(const void *caller) {
    return (uintptr_t)caller - fsh_shim.loader < fsh_shim.loader_size;
}

static inline struct fsh_hit *consider(enum fsh_call call, uint64_t size, const void *caller) {
    return UNLIKELY(fsh_watch[call]) && !by_loader(caller) ? fsh_consider(call, size, caller) : NULL;
}

void *fsh_door_malloc(size_t size) {
    struct fsh_hit *hit = consider(CALL_malloc, size, CALLER());
    if (UNLIKELY(hit)) {
        const long a[6] = {(long)size};
        return (void *)fsh_apply(hit, fsh_invoke_malloc, a);
    }
    return fsh_real.malloc(size);
}

void *fsh_door_calloc(size_t n, size_t size) {
    uint64_t all;
    if (__builtin_mul_overflow(n, size, &all))
        all = UINT64_MAX;
    struct fsh_hit *hit = consider(CALL_calloc, all, CALLER());
    if (UNLIKELY(hit)) {
        const long a[6] = {(long)n, (long)size};
        return (void *)fsh_apply(hit, fsh_invoke_calloc, a);
    }
    return fsh_real.calloc(n, size);
}

/* realloc(p, 0) frees p in glibc: failing it would leak, and no caller looks at its result. */
void *fsh_door_realloc(void *old, size_t size) {
    struct fsh_hit *hit = old && !size ? NULL : consider(CALL_realloc, size, CALLER());
    if (UNLIKELY(hit)) {
        const long a[6] = {(long)old, (long)size};
        return (void *)fsh_apply(hit, fsh_invoke_realloc, a);
    }
    return fsh_real.realloc(old, size);
}

/* glibc's goes through realloc's door: the product is checked here and realloc is asked, so that it counts once. */
void *fsh_door_reallocarray(void *old, size_t n, size_t size) {
    uint64_t all;
    if (__builtin_mul_overflow(n, size, &all)) {
        errno = ENOMEM;
        return NULL;
    }
    struct fsh_hit *hit = old && !all ? NULL : consider(CALL_reallocarray, all, CALLER());
    if (UNLIKELY(hit)) {
        const long a[6] = {(long)old, (long)all};
        return (void *)fsh_apply(hit, fsh_invoke_realloc, a);
    }
    return fsh_real.realloc(old, all);
}

int fsh_door_posix_memalign(void **out, size_t alignment, size_t size) {
    struct fsh_hit *hit = consider(CALL_posix_memalign, size, CALLER());
    if (UNLIKELY(hit)) {
        const long a[6] = {(long)out, (long)alignment, (long)size};
        return (int)fsh_apply(hit, fsh_invoke_posix_memalign, a);
    }
    return fsh_real.posix_memalign(out, alignment, size);
}

void *fsh_door_aligned_alloc(size_t alignment, size_t size) {
    struct fsh_hit *hit = consider(CALL_aligned_alloc, size, CALLER());
    if (UNLIKELY(hit)) {
        const long a[6] = {(long)alignment, (long)size};
        return (void *)fsh_apply(hit, fsh_invoke_aligned_alloc, a);
    }
    return fsh_real.aligned_alloc(alignment, size);
}

void *fsh_door_memalign(size_t alignment, size_t size) {
    struct fsh_hit *hit = consider(CALL_memalign, size, CALLER());
    if (UNLIKELY(hit)) {
        const long a[6] = {(long)alignment, (long)size};
        return (void *)fsh_apply(hit, fsh_invoke_memalign, a);
    }
    return fsh_real.memalign(alignment, size);
}

void *fsh_door_valloc(size_t size) {
    struct fsh_hit *hit = consider(CALL_valloc, size, CALLER());
    if (UNLIKELY(hit)) {
        const long a[6] = {(long)size};
        return (void *)fsh_apply(hit, fsh_invoke_valloc, a);
    }
    return fsh_real.valloc(size);
}

void *fsh_door_pvalloc(size_t size) {
    struct fsh_hit *hit = consider(CALL_pvalloc, size, CALLER());
    if (UNLIKELY(hit)) {
        const long a[6] = {(long)size};
        return (void *)fsh_apply(hit, fsh_invoke_pvalloc, a);
    }
    return fsh_real.pvalloc(size);
}

/* Observed: memory can always be given back. */
void fsh_door_free(void *p) {
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
