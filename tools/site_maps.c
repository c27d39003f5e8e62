/* site_maps.c: see site_maps.h. */
#include "site_maps.h"

#include <link.h>
#include <stdlib.h>
#include <string.h>

#include <Zydis/Zydis.h>

#include "sitecache.h"

enum { MAGIC = sizeof FSH_SITEMAP_MAGIC - 1 };

struct maps {
    struct fsh_sitecache cache;
    char *text;
    size_t len;
};

static bool is_named(const char *path, const char *name) {
    const char *last = strrchr(path, '/');
    return !strncmp(last ? last + 1 : path, name, strlen(name));
}

/* Without memory, programs find their maps themselves. */
static void append(struct maps *maps, const void *data, size_t size) {
    char *longer = realloc(maps->text, maps->len + size);
    if (!longer)
        return;
    maps->text = longer;
    memcpy(maps->text + maps->len, data, size);
    maps->len += size;
}

static int add_module(struct dl_phdr_info *info, size_t size, void *data) {
    struct maps *maps = data;
    uint8_t id[FSH_BUILD_ID_MAX];
    unsigned n = 0;
    (void)size;
    if (!is_named(info->dlpi_name, "libc.so.6") && !is_named(info->dlpi_name, "ld-linux-x86-64.so.2"))
        return 0;
    for (unsigned i = 0; i < info->dlpi_phnum && !n; i++)
        if (info->dlpi_phdr[i].p_type == PT_NOTE)
            n = fsh_build_id((const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr), info->dlpi_phdr[i].p_memsz, id);
    const struct fsh_decoder decoder = {(void *)ZydisDecoderInit, (void *)ZydisDecoderDecodeInstruction};
    const struct fsh_sitemap *map = n ? fsh_sitemap_find(maps->cache.data, maps->cache.size, id, n) : NULL;
    if (n && !map)
        map = fsh_sitecache_learn(&maps->cache, info->dlpi_name, id, n, &decoder);
    if (map)
        append(maps, map, map->size);
    return 0;
}

struct fsh_text fsh_site_maps(void) {
    struct maps maps = {.len = 0};
    fsh_sitecache_open(&maps.cache, getenv("XDG_CACHE_HOME"), getenv("HOME"));
    append(&maps, FSH_SITEMAP_MAGIC, MAGIC);
    dl_iterate_phdr(add_module, &maps);
    fsh_sitecache_close(&maps.cache);
    return (struct fsh_text){maps.text, maps.len};
}
