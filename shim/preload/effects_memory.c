/* effects_memory.c: faults on allocations: fill. Context: see effects.h; the allocator itself is called by x->invoke alone. */
#include "effects.h"
#include "state.h"

#include "poison.h"

static bool resizes(enum fsh_call call) {
    return call == CALL_realloc || call == CALL_reallocarray;
}

/* What the program asked for, and of a block that grows what is new. */
long fsh_effect_fill(const struct fsh_action *x) {
    uint64_t from = resizes(x->hit->call) ? fsh_usable_size((void *)x->a[0]) : 0, word = x->verdict->word;
    long result = fsh_real_call(x);
    if (!fsh_succeeded(x->row, result))
        return result;
    uint8_t *p = x->row->fail == F_NUMBER ? *(uint8_t **)x->a[0] : (uint8_t *)result;
    for (uint64_t i = from; i < x->hit->size; i++) {
        word = x->spec->how == CORRUPT_JUNK ? fsh_next_word(word) : x->spec->limit;
        p[i] = (uint8_t)word;
    }
    return result;
}
