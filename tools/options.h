/* options.h: the options of a command as a table, from which getopt_long and --help are fed. */
#ifndef FSH_OPTIONS_H
#define FSH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* Which of the options that all commands share make sense for one. */
enum { COMMON_PROFILE = 1, COMMON_SEED = 2, COMMON_TRACE = 4, COMMON_JSON = 8, COMMON_QUIET = 16 };

struct fsh_option {
    int id; /* its letter, or a number above 255 */
    const char *name;
    const char *argument; /* NULL if it takes none */
    const char *help;
};

struct fsh_usage {
    const char *name;     /* of the command */
    const char *operands; /* "[TRACE]" */
    const char *summary;  /* a sentence or two */
    unsigned common;      /* COMMON_ */
    bool program;         /* what follows the first operand belongs to the program */
    const struct fsh_option *options;
    unsigned n_options;
};

struct fsh_common {
    const char **profiles, **rules, **keys; /* -p, -r and --set, in order */
    unsigned n_profiles, n_rules, n_keys;
    bool has_seed, json, quiet;
    uint64_t seed;
    const char *trace; /* NULL if not given */
};

/* Reads the options. Those of the command's own go to `take`, which returns false after a message of its own.
 * Returns the index of the first operand; or -1 and *status, and the command ends with that. */
int fsh_options(int argc, char **argv, const struct fsh_usage *usage, struct fsh_common *common,
                bool (*take)(void *arg, int id, const char *value), void *arg, int *status);
void fsh_common_free(struct fsh_common *common);

/* Values; false after a message. `what` names the option. */
bool fsh_option_count(const char *what, const char *value, uint64_t *out);
bool fsh_option_time(const char *what, const char *value, uint64_t *ns);

/* The trace to read: the operand, or -o, or the default. NULL and *status if there are more operands. */
#define FSH_DEFAULT_TRACE "faultshim.trace"
const char *fsh_option_trace(int argc, char **argv, int at, const struct fsh_usage *usage, const struct fsh_common *common,
                             int *status);

#endif
