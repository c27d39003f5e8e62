/* place.h: where a run is made: in the working directory, or in a fresh copy of it, after a command that prepares it. */
#ifndef FSH_PLACE_H
#define FSH_PLACE_H

#include <stdbool.h>

/* Runs a command that hears and says nothing, and waits; its status, -1 if it could not be run. */
int fsh_command(char *const argv[]);
/* With what is in it. */
void fsh_remove_folder(const char *path);
/* A new folder in `parent` or, with NULL, in TMPDIR or /tmp. False after a message. */
bool fsh_make_folder(char *out, unsigned size, const char *parent);
/* Makes `copy` (NULL: none) of the working directory, without the folder `except` in it (NULL: whole), and goes there; then runs
 * the shell command `setup` (NULL: none). False after a message. */
bool fsh_place_prepare(const char *copy, const char *except, const char *setup);

#endif
