/* pool.h: texts and arrays that are read once and freed together. Equal texts are kept once. */
#ifndef FSH_POOL_H
#define FSH_POOL_H

#include <stddef.h>

struct fsh_pool {
    struct fsh_pool_block *blocks;
    struct lh_table *texts;
};

/* Zeroed memory, aligned for anything; NULL if there is none. */
void *fsh_pool_take(struct fsh_pool *pool, size_t size);
/* The pool's copy of `n` bytes, ended by a zero; NULL if there is no memory. */
const char *fsh_pool_text(struct fsh_pool *pool, const char *text, size_t n);
void fsh_pool_free(struct fsh_pool *pool);

#endif
