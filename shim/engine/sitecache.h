/* sitecache.h: the file in which site maps are kept from one process to the next, $XDG_CACHE_HOME/faultshim/sites or
 * ~/.cache/faultshim/sites. Used by the shim and by the command. It is believed only if it belongs to this user or to root and
 * nobody else may write to it, and then only as far as sitemap.h says. */
#ifndef FSH_SITECACHE_H
#define FSH_SITECACHE_H

#include "sitemap.h"

struct fsh_sitecache {
    char path[4096];  /* empty: nothing is kept */
    const void *data; /* mapped; NULL: nothing is there */
    size_t size;
};

/* `xdg` and `home`: values of XDG_CACHE_HOME and HOME, or NULL. */
void fsh_sitecache_open(struct fsh_sitecache *cache, const char *xdg, const char *home);
void fsh_sitecache_close(struct fsh_sitecache *cache);
/* A file as a whole, mapped for reading; NULL if that can't be. */
const uint8_t *fsh_file_map(const char *path, size_t *size);
/* Finds the sites of the module in the file at `path`, whose build id is `id`, and keeps them. The map stands in memory of its own
 * that stays. NULL if the file is another one by now, or is no module. */
const struct fsh_sitemap *fsh_sitecache_learn(struct fsh_sitecache *cache, const char *path, const uint8_t *id, unsigned id_size,
                                              const struct fsh_decoder *decoder);

#endif
