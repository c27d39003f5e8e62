/* real.h: the next definition of every symbol that has a door: what the program would have called without us.
 * Usable from the first call on, before constructors: an entry that nobody has looked up yet leads to its own look-up. */
#ifndef FSH_REAL_H
#define FSH_REAL_H

#include "types.h"

struct fsh_real {
#define CALL(name, file, sock, pipe, nr, door, ret, fail, args, roles, errs, errs_sock, errs_pipe, page) ret(*name) PARAMS_##args;
#include "calls.def"
#define EXTRA(name, ret, params) ret(*name) params;
#include "extras.def"
};

extern struct fsh_real fsh_real;

/* Notes where to look, and looks up what has no row. Called by the constructor. */
void fsh_real_resolve_all(void);
/* The definition of `name` that comes after ours in the link map, or NULL. Allocates nothing, takes no lock. */
void *fsh_real_next(const char *name);

#endif
