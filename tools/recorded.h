/* recorded.h: what a trace says of its run, put back for another one: command, environment, directory. */
#ifndef FSH_RECORDED_H
#define FSH_RECORDED_H

#include <stdbool.h>

#include "reader.h"

/* The recorded command; *text holds its words. NULL after a message. Both are freed by the caller. */
char **fsh_recorded_command(const struct fsh_reader *reader, const char *path, char **text);
/* Each returns false after a message. */
bool fsh_recorded_environment(const struct fsh_reader *reader);
bool fsh_recorded_directory(const struct fsh_reader *reader);
/* Whether every decision stands in it. */
bool fsh_recorded_whole(const struct fsh_reader *reader, const char *path);

#endif
