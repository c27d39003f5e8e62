/* real.c: finding the next definitions.
 *
 * dlsym(RTLD_NEXT) on a symbol that is missing allocates an error message, which ends in a deadlock when the allocator behind us
 * is still starting (jemalloc preloaded). So the dynamic symbol tables of the link map are read directly: no allocation, no lock,
 * and usable before any constructor has run. Every pointer starts as a function that looks for its own and calls it:
 * also in a signal handler, or while another thread loads a library, for only what the program started with is looked at.
 */
#include "real.h"

#include <elf.h>
#include <link.h>
#include <stdatomic.h>

static void *answer_of_missing(uint8_t fail);

/* Looked up at the first call: most programs use few of all these. */
#define CALL(name, file, sock, pipe, nr, door, ret, fail, args, roles, errs, errs_sock, errs_pipe, page)                           \
    static COLD ret first_##name PARAMS_##args {                                                                                   \
        void *p = fsh_real_next(#name);                                                                                            \
        fsh_real.name = (__typeof__(fsh_real.name))(p ? p : answer_of_missing(fail));                                              \
        return fsh_real.name NAMES_##args;                                                                                         \
    }
#include "calls.def"

struct fsh_real fsh_real = {
#define CALL(name, ...) .name = first_##name,
#include "calls.def"
};

/* --- what a missing function answers --- */

static long no_such_call(void) {
    errno = ENOSYS;
    return -1;
}
static long no_such_pointer(void) {
    errno = ENOSYS;
    return 0;
}
static long no_such_number(void) {
    return ENOSYS;
}

static void *answer_of_missing(uint8_t fail) {
    switch (fail) {
    case F_NULL:
        return (void *)no_such_pointer;
    case F_NUMBER:
        return (void *)no_such_number;
    default:
        return (void *)no_such_call;
    }
}

/* --- the link map --- */

extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));

struct tables {
    const ElfW(Sym) * symbols;
    const char *strings;
    const ElfW(Half) * versions;
    const uint32_t *hash;
};

/* glibc relocates these addresses in place; where it does not (the vDSO's), they are offsets. */
static const void *address(const struct link_map *map, ElfW(Addr) p) {
    return (const void *)(p < map->l_addr ? p + map->l_addr : p);
}

static bool read_tables(const struct link_map *map, struct tables *t) {
    *t = (struct tables){0};
    for (const ElfW(Dyn) *d = map->l_ld; d && d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_SYMTAB)
            t->symbols = address(map, d->d_un.d_ptr);
        else if (d->d_tag == DT_STRTAB)
            t->strings = address(map, d->d_un.d_ptr);
        else if (d->d_tag == DT_VERSYM)
            t->versions = address(map, d->d_un.d_ptr);
        else if (d->d_tag == DT_GNU_HASH)
            t->hash = address(map, d->d_un.d_ptr);
    }
    return t->symbols && t->strings && t->hash;
}

static uint32_t gnu_hash(const char *name) {
    uint32_t h = 5381;
    for (; *name; name++)
        h = h * 33 + (unsigned char)*name;
    return h;
}

/* A default version (or none): the hidden bit marks the old ones, whose layouts may differ. */
static bool is_default(const struct tables *t, uint32_t i) {
    return !t->versions || !(t->versions[i] & 0x8000);
}

static bool defines(const struct tables *t, uint32_t i, const char *name) {
    const ElfW(Sym) *s = &t->symbols[i];
    unsigned type = s->st_info & 15;
    return s->st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE) && is_default(t, i) &&
           !strcmp(t->strings + s->st_name, name);
}

/* The DT_GNU_HASH table: header, Bloom filter, buckets, chains. */
static const ElfW(Sym) * find(const struct tables *t, const char *name, uint32_t hash) {
    const uint32_t n_buckets = t->hash[0], first = t->hash[1], n_bloom = t->hash[2], shift = t->hash[3];
    const ElfW(Addr) *bloom = (const void *)(t->hash + 4);
    const uint32_t *buckets = (const void *)(bloom + n_bloom), *chains = buckets + n_buckets;
    const unsigned bits = sizeof *bloom * 8;
    if (!n_buckets || !n_bloom)
        return NULL;
    ElfW(Addr) word = bloom[hash / bits % n_bloom];
    if (!(word >> (hash % bits) & word >> ((hash >> shift) % bits) & 1))
        return NULL;
    uint32_t i = buckets[hash % n_buckets];
    if (i < first)
        return NULL;
    for (;; i++) {
        uint32_t h = chains[i - first];
        if ((h | 1) == (hash | 1) && defines(t, i, name))
            return &t->symbols[i];
        if (h & 1)
            return NULL;
    }
}

static void *value(const struct link_map *map, const ElfW(Sym) * symbol) {
    void *p = (void *)(map->l_addr + symbol->st_value);
    if ((symbol->st_info & 15) == STT_GNU_IFUNC)
        p = ((void *(*)(void))p)();
    return p;
}

static const struct link_map *own_map(void) {
    for (const struct link_map *m = _r_debug.r_map; m; m = m->l_next)
        if (m->l_ld == _DYNAMIC)
            return m;
    return NULL;
}

/* What the program started with, after ourselves: it stays where it is, so that a look-up meets no library that is being unloaded.
 */
enum { MAPS = 1024 };
static struct {
    const struct link_map *map;
    struct tables tables;
} behind[MAPS];
static unsigned n_behind;
static _Atomic bool known;

/* Two threads may do so at once: both write the same. */
static void look_behind(void) {
    const struct link_map *own = own_map();
    unsigned n = 0;
    for (const struct link_map *m = own ? own->l_next : NULL; m && n < MAPS; m = m->l_next) {
        struct tables t;
        if (!read_tables(m, &t))
            continue;
        behind[n].map = m;
        behind[n++].tables = t;
    }
    n_behind = n;
    atomic_store_explicit(&known, true, memory_order_release);
}

void *fsh_real_next(const char *name) {
    uint32_t hash = gnu_hash(name);
    if (!atomic_load_explicit(&known, memory_order_acquire))
        look_behind();
    for (unsigned i = 0; i < n_behind; i++) {
        const ElfW(Sym) *s = find(&behind[i].tables, name, hash);
        if (s)
            return value(behind[i].map, s);
    }
    return NULL;
}

void fsh_real_resolve_all(void) {
    void *p;
    look_behind();
#define EXTRA(name, ret, params)                                                                                                   \
    if (!fsh_real.name) {                                                                                                          \
        p = fsh_real_next(#name);                                                                                                  \
        fsh_real.name = (__typeof__(fsh_real.name))(p ? p : (void *)no_such_call);                                                 \
    }
#include "extras.def"
}
