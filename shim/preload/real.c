/* real.c: finding the next definitions.
 *
 * dlsym(RTLD_NEXT) on a symbol that is missing allocates an error message, which ends in a deadlock when the allocator behind us
 * is still starting (jemalloc preloaded). So the dynamic symbol tables of the link map are read directly: no allocation, no lock,
 * and usable before any constructor has run. Every pointer starts as a door that looks everything up and then calls itself again.
 */
#include "real.h"

#include <elf.h>
#include <link.h>

#define CALL(name, file, sock, pipe, nr, door, ret, fail, args, roles, errs, errs_sock, errs_pipe, page)                           \
    static ret first_##name PARAMS_##args {                                                                                        \
        fsh_real_resolve_all();                                                                                                    \
        return fsh_real.name NAMES_##args;                                                                                         \
    }
#include "calls.def"

struct fsh_real fsh_real = {
#define CALL(name, ...) .name = first_##name,
#include "calls.def"
};

static bool exists[FSH_CALLS];

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

void *fsh_real_next(const char *name) {
    const struct link_map *own = own_map();
    uint32_t hash = gnu_hash(name);
    struct tables t;
    for (const struct link_map *m = own ? own->l_next : NULL; m; m = m->l_next) {
        const ElfW(Sym) *s = read_tables(m, &t) ? find(&t, name, hash) : NULL;
        if (s)
            return value(m, s);
    }
    return NULL;
}

bool fsh_real_exists(enum fsh_call call) {
    return exists[call];
}

void fsh_real_resolve_all(void) {
    void *p;
#define CALL(name, file, sock, pipe, nr, door, ret, fail, args, roles, errs, errs_sock, errs_pipe, page)                           \
    if (fsh_real.name == first_##name) {                                                                                           \
        p = fsh_real_next(#name);                                                                                                  \
        exists[CALL_##name] = p != NULL;                                                                                           \
        fsh_real.name = (__typeof__(fsh_real.name))(p ? p : answer_of_missing(fail));                                              \
    }
#include "calls.def"
#define EXTRA(name, ret, params)                                                                                                   \
    if (!fsh_real.name) {                                                                                                          \
        p = fsh_real_next(#name);                                                                                                  \
        fsh_real.name = (__typeof__(fsh_real.name))(p ? p : (void *)no_such_call);                                                 \
    }
#include "extras.def"
}
