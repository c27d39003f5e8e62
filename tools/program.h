/* program.h: what will be seen of a program, before it is started: by its file, by the libraries that it needs, by their code. */
#ifndef FSH_PROGRAM_H
#define FSH_PROGRAM_H

#include <stdbool.h>

#include "profile_load.h"

struct json_object;

/* 1 for an ELF file or a script, 0 for anything else, or -errno. */
int fsh_is_program(const char *path);
/* Prints (or fills `report`) and returns an exit status: 0, EXIT_DIFFERENT if the shim can't start in it, EXIT_BLIND if it can and
 * something will not be seen. `loaded`: the profile whose rules are to be looked for in it, or NULL. */
int fsh_program_check(const char *path, const struct fsh_loaded *loaded, struct json_object *report, bool quiet);

#endif
