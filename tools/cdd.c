/* cdd.c: see cdd.h.
 *
 * Probabilistic delta debugging (ProbDD) gives each element a probability of being needed, leaves out the set with the largest
 * expected gain, and raises the probabilities of what could not be left out. It was shown since that all elements keep in step, so
 * that the size of the sets follows from the number of the round alone: each round raises the probability by about e/(e-1) = 1.582,
 * and the best size at probability p is the one that makes s(1-p)^s largest, -1/ln(1-p). That is CDD: a counter in the place of
 * the probabilities. Rounds go on until single elements have been tried; then single elements again, until none can be left out
 * any more, so that the result is minimal by one.
 *
 * ProbDD starts at p = 0.1. Here faults by the hundred have few that matter: it starts at three of them, but at no more than 0.1.
 */
#include "cdd.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RAISE 1.5819767068693265 /* e/(e-1) */

size_t fsh_cdd_size(unsigned round, size_t n) {
    double p = 3.0 / (double)(n ? n : 1);
    p = (p > 0.1 ? 0.1 : p) * pow(RAISE, round);
    double size = p < 1 ? floor(-1 / log1p(-p)) : 1;
    if (size > (double)((n + 1) / 2))
        size = (double)((n + 1) / 2);
    return size < 1 ? 1 : (size_t)size;
}

struct work {
    struct fsh_cdd *cdd;
    size_t *left; /* elements at the start of the round, in order */
    uint8_t *masks;
    const uint8_t **parts;
    bool *fails;
};

/* One round with sets of `size`; *gone: elements that could be left out. A set behind one that could is tried again without it. */
static int play_round(struct work *w, size_t size, size_t *gone) {
    struct fsh_cdd *c = w->cdd;
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        if (!c->excluded[i])
            w->left[n++] = i;
    *gone = 0;
    for (size_t at = 0; at < n;) {
        size_t parts = 0;
        for (size_t from = at; from < n && parts < c->batch; from += size, parts++) {
            uint8_t *mask = w->masks + parts * c->n;
            memcpy(mask, c->excluded, c->n);
            for (size_t i = from; i < n && i < from + size; i++)
                mask[w->left[i]] = 1;
            w->parts[parts] = mask;
            w->fails[parts] = false;
        }
        int e = c->test(c->arg, w->parts, parts, w->fails);
        if (e)
            return e;
        for (size_t k = 0; k < parts; k++, at += size)
            if (w->fails[k]) {
                size_t less = at + size < n ? size : n - at;
                memcpy(c->excluded, w->parts[k], c->n);
                c->left -= less;
                *gone += less;
                at += size;
                if (c->changed)
                    c->changed(c->arg);
                break;
            }
    }
    return 0;
}

static int play(struct work *w) {
    struct fsh_cdd *c = w->cdd;
    size_t n = c->left, gone;
    for (unsigned round = 0;; round++) {
        size_t size = fsh_cdd_size(round, n);
        if (size >= c->left)
            size = c->left > 1 ? (c->left + 1) / 2 : 1;
        int e = play_round(w, size, &gone);
        if (e || c->left == 0 || (size == 1 && !gone))
            return e;
    }
}

int fsh_cdd(struct fsh_cdd *c) {
    struct work w = {.cdd = c};
    c->left = 0;
    for (size_t i = 0; i < c->n; i++)
        c->left += !c->excluded[i];
    w.left = calloc(c->n + 1, sizeof *w.left);
    w.masks = calloc(c->batch, c->n + 1);
    w.parts = calloc(c->batch, sizeof *w.parts);
    w.fails = calloc(c->batch, sizeof *w.fails);
    int e = w.left && w.masks && w.parts && w.fails ? play(&w) : -ENOMEM;
    free(w.left);
    free(w.masks);
    free(w.parts);
    free(w.fails);
    return e;
}
