/* cdd.h: counter-based delta debugging: the smallest part of a list that still has a property, by leaving parts out. */
#ifndef FSH_CDD_H
#define FSH_CDD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Up to `room` parts that might be left out, tried at once: `excluded` for each, `n` bytes. Sets fails[i]. Nonzero stops. */
typedef int fsh_cdd_test(void *arg, const uint8_t *const *excluded, size_t parts, bool *fails);

struct fsh_cdd {
    size_t n;
    uint8_t *excluded; /* by element: 1 once it has been left out for good */
    size_t left;
    size_t batch; /* parts to try at once, at least 1 */
    fsh_cdd_test *test;
    void (*changed)(void *arg);
    void *arg;
};

/* 0, or what `test` returned, or -ENOMEM. The result does not depend on `batch`. */
int fsh_cdd(struct fsh_cdd *cdd);
/* Elements that are left out at once in a round. */
size_t fsh_cdd_size(unsigned round, size_t n);

#endif
