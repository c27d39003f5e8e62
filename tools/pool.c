/* pool.c: see pool.h. A pool of zeroes is an empty one. */
#include "pool.h"

#include <json-c/linkhash.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1 << 16, TEXTS_FIRST = 1024 };

struct fsh_pool_block {
    struct fsh_pool_block *next;
    size_t used, size;
    _Alignas(max_align_t) char data[];
};

void *fsh_pool_take(struct fsh_pool *pool, size_t size) {
    const size_t align = _Alignof(max_align_t);
    struct fsh_pool_block *b = pool->blocks;
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + align - 1) / align * align;
    if (!b || b->size - b->used < size) {
        size_t room = size > BLOCK ? size : BLOCK;
        b = calloc(1, sizeof *b + room);
        if (!b)
            return NULL;
        b->size = room;
        b->next = pool->blocks;
        pool->blocks = b;
    }
    void *taken = b->data + b->used;
    b->used += size;
    return taken;
}

const char *fsh_pool_text(struct fsh_pool *pool, const char *text, size_t n) {
    if (!pool->texts)
        pool->texts = lh_kchar_table_new(TEXTS_FIRST, NULL);
    char *copy = pool->texts ? fsh_pool_take(pool, n + 1) : NULL;
    if (!copy)
        return NULL;
    memcpy(copy, text, n);
    struct lh_entry *known = lh_table_lookup_entry(pool->texts, copy);
    if (known) {
        /* it was the last to be taken */
        const size_t align = _Alignof(max_align_t);
        pool->blocks->used -= (n + align) / align * align;
        memset(copy, 0, n + 1);
        return lh_entry_k(known);
    }
    return lh_table_insert(pool->texts, copy, NULL) ? NULL : copy;
}

void fsh_pool_free(struct fsh_pool *pool) {
    if (pool->texts)
        lh_table_free(pool->texts);
    while (pool->blocks) {
        struct fsh_pool_block *next = pool->blocks->next;
        free(pool->blocks);
        pool->blocks = next;
    }
    *pool = (struct fsh_pool){0};
}
