/* site_maps.c: see site_maps.h. */
#include "site_maps.h"

#include <link.h>
#include <stdlib.h>
#include <string.h>

#include <Zydis/Zydis.h>

#include "sitecache.h"

static bool is_named(const char *path, const char *name) {
    const char *last = strrchr(path, '/');
    return !strncmp(last ? last + 1 : path, name, strlen(name));
}

static int learn(struct dl_phdr_info *info, size_t size, void *data) {
    struct fsh_sitecache *cache = data;
    uint8_t id[FSH_BUILD_ID_MAX];
    unsigned n = 0;
    (void)size;
    if (!is_named(info->dlpi_name, "libc.so.6") && !is_named(info->dlpi_name, "ld-linux-x86-64.so.2"))
        return 0;
    for (unsigned i = 0; i < info->dlpi_phnum && !n; i++)
        if (info->dlpi_phdr[i].p_type == PT_NOTE)
            n = fsh_build_id((const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr), info->dlpi_phdr[i].p_memsz, id);
    const struct fsh_decoder decoder = {(void *)ZydisDecoderInit, (void *)ZydisDecoderDecodeInstruction};
    if (n && !fsh_sitemap_find(cache->data, cache->size, id, n))
        fsh_sitecache_learn(cache, info->dlpi_name, id, n, &decoder);
    return 0;
}

void fsh_make_site_maps(void) {
    struct fsh_sitecache cache;
    fsh_sitecache_open(&cache, getenv("XDG_CACHE_HOME"), getenv("HOME"));
    if (cache.path[0])
        dl_iterate_phdr(learn, &cache);
    fsh_sitecache_close(&cache);
}
