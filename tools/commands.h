/* commands.h: one function for each row of commands.def. */
#ifndef FSH_COMMANDS_H
#define FSH_COMMANDS_H

#define COMMAND(name, summary) int fsh_cmd_##name(int argc, char **argv);
#include "commands.def"

/* Exit statuses of faultshim's own; faultshim(1) has the table. */
enum {
    EXIT_DIFFERENT = 1,
    EXIT_BLIND = 2,
    EXIT_VACUOUS = 120,
    EXIT_NOT_ATTACHED = 121,
    EXIT_DIVERGED = 122,
    EXIT_UNSEEN = 123,
    EXIT_TIMEOUT = 124,
    EXIT_TROUBLE = 125,
    EXIT_CANNOT_START = 126,
    EXIT_NOT_FOUND = 127
};

#endif
