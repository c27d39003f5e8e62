/* profile_load.h: from -p and -r, or from a trace, to a plan: the same parser and the same plan as in the shim. */
#ifndef FSH_PROFILE_LOAD_H
#define FSH_PROFILE_LOAD_H

#include "options.h"
#include "plan.h"
#include "reader.h"
#include "trace.h"

struct fsh_loaded {
    char *text; /* all profiles and one-liners, joined */
    size_t len;
    struct fsh_profile profile;
    struct fsh_plan plan;
    uint64_t seed;
    enum fsh_seed_from seed_from;
    char *names, *phases; /* of rules and phases, NUL-separated */
    size_t names_len, phases_len;
    void *memory;
    struct fsh_loaded *loads; /* profiles that were loaded into the run, by number from 1 */
    unsigned n_loads;
};

/* Each returns true, or false after a message. fsh_loaded_free takes any struct that one of these has seen. */
bool fsh_load_options(struct fsh_loaded *loaded, const struct fsh_common *common);
/* The same with every enabled rule in it, whatever is drawn for `active`: what the profile can do. */
bool fsh_load_options_whole(struct fsh_loaded *loaded, const struct fsh_common *common);
/* A profile's text, as a session holds it; `name` stands in messages. */
bool fsh_load_text(struct fsh_loaded *loaded, struct fsh_text text, uint64_t seed, enum fsh_seed_from seed_from, const char *name);
bool fsh_load_trace(struct fsh_loaded *loaded, const struct fsh_reader *reader, const char *path);
void fsh_loaded_free(struct fsh_loaded *loaded);

/* One more profile that was loaded into the run: its rules are numbered on. False after a message. */
bool fsh_loaded_add(struct fsh_loaded *loaded, struct fsh_text text);
/* The profile of a load, 0 for the first; NULL for none. */
const struct fsh_loaded *fsh_loaded_at(const struct fsh_loaded *loaded, unsigned load);
/* The profile that has a rule, by its number in the run; NULL for none. */
const struct fsh_loaded *fsh_loaded_with(const struct fsh_loaded *loaded, unsigned rule);
const struct fsh_rule *fsh_loaded_rule(const struct fsh_loaded *loaded, unsigned rule);
/* How many rules there are in all. */
unsigned fsh_loaded_rules(const struct fsh_loaded *loaded);

/* Whether anything can be injected at all. */
bool fsh_loaded_can_inject(const struct fsh_loaded *loaded);

/* Folders where profiles are looked up by name, in order; ended by NULL. */
const char *const *fsh_profile_folders(void);
/* The folder of the running executable, "" if it is unknown. */
const char *fsh_own_folder(void);

#endif
