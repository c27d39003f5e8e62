/* functions.h: names of functions, from the symbol tables in the files of the program and its libraries. */
#ifndef FSH_FUNCTIONS_H
#define FSH_FUNCTIONS_H

#include <stdint.h>

struct link_map;

/* The function of `module` that `address` lies in, as the linker spells it; NULL if its tables don't say. With the gate closed; any
 * context. What has been found once is found again without a system call. */
const char *fsh_function_at(const struct link_map *module, uintptr_t address);

#endif
