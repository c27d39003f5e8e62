/* generate.h: profiles by chance, out of the engine's own tables: the same number gives the same profile. */
#ifndef GENERATE_H
#define GENERATE_H

#include <stddef.h>
#include <stdint.h>

#include "plan.h"

struct dice {
    uint64_t state;
};
uint64_t roll(struct dice *dice, uint64_t sides);

/* What a profile may hold that keeps a run from being repeated exactly: phases by time, and the like, are left out. */
struct generator {
    struct dice dice;
    char *out;
    size_t size, used;
    unsigned n_rules, n_phases;
    const char *folder; /* what `path` patterns begin with */
};

/* Writes profile number `number` of `seed` to `out` and returns its length. Each time it is called with another `attempt` it is
 * another one: not every profile is one that the loader takes. */
size_t generate(char *out, size_t size, uint64_t seed, uint64_t number, unsigned attempt, const char *folder);

#endif
