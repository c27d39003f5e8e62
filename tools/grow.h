/* grow.h: arrays that double. */
#ifndef FSH_GROW_H
#define FSH_GROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/* Makes sure that `array` (the address of a pointer to items of `item` bytes) has room for one more than `n`. False if there is no
 * memory; the array is then as it was. */
static inline bool fsh_grow(void *array, size_t *room, size_t n, size_t item) {
    if (n < *room)
        return true;
    size_t more = *room ? *room * 2 : 256;
    void *bigger = reallocarray(*(void **)array, more, item);
    if (!bigger)
        return false;
    *(void **)array = bigger;
    *room = more;
    return true;
}

#endif
