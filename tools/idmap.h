/* idmap.h: numbers by 64-bit keys that are hashes themselves. */
#ifndef FSH_IDMAP_H
#define FSH_IDMAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct fsh_idmap {
    struct fsh_idmap_slot {
        uint64_t key; /* 0: free */
        uint64_t value;
    } * v;
    size_t n, size;
};

static inline struct fsh_idmap_slot *fsh_idmap_slot(const struct fsh_idmap *map, uint64_t key) {
    size_t i = (key ^ key >> 32) & (map->size - 1);
    while (map->v[i].key && map->v[i].key != key)
        i = (i + 1) & (map->size - 1);
    return &map->v[i];
}

/* NULL if the key is not in it. */
static inline uint64_t *fsh_idmap_find(const struct fsh_idmap *map, uint64_t key) {
    struct fsh_idmap_slot *slot = map->size ? fsh_idmap_slot(map, key) : NULL;
    return slot && slot->key ? &slot->value : NULL;
}

/* False if there is no memory. Key 0 can't be kept. */
static inline bool fsh_idmap_put(struct fsh_idmap *map, uint64_t key, uint64_t value) {
    if (map->n * 2 >= map->size) {
        struct fsh_idmap bigger = {.size = map->size ? 2 * map->size : 1024};
        bigger.v = calloc(bigger.size, sizeof *bigger.v);
        if (!bigger.v)
            return false;
        for (size_t i = 0; i < map->size; i++)
            if (map->v[i].key)
                *fsh_idmap_slot(&bigger, map->v[i].key) = map->v[i];
        bigger.n = map->n;
        free(map->v);
        *map = bigger;
    }
    struct fsh_idmap_slot *slot = fsh_idmap_slot(map, key);
    map->n += !slot->key;
    *slot = (struct fsh_idmap_slot){key, value};
    return true;
}

static inline void fsh_idmap_free(struct fsh_idmap *map) {
    free(map->v);
    *map = (struct fsh_idmap){.n = 0};
}

#endif
