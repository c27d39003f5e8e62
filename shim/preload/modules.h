/* modules.h: what the trace says of the modules (the program, libraries) that its call stacks name. */
#ifndef FSH_MODULES_H
#define FSH_MODULES_H

#include <link.h>

#include "gate.h"

/* The last component of its path, "program" for the program itself. */
const char *fsh_module_name(const struct link_map *map);
/* Writes path and build id to the trace when this thread meets the module for the first time. `start` is where it is mapped. */
void fsh_module_tell(struct fsh_thread *t, const struct link_map *map, const char *start);

#endif
