/* profile_load.c: see profile_load.h. */
#include "profile_load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "out.h"
#include "text.h"

/* --- where things are --- */

const char *fsh_own_folder(void) {
    static char folder[FSH_LINE_MAX];
    if (*folder)
        return folder;
    ssize_t n = readlink("/proc/self/exe", folder, sizeof folder - 1);
    char *slash = n > 0 ? memrchr(folder, '/', (size_t)n) : NULL;
    if (slash)
        *slash = 0;
    else
        *folder = 0;
    return folder;
}

/* An installed faultshim looks where it was installed; one that stands in its build tree takes the source's profiles. */
const char *const *fsh_profile_folders(void) {
    static const char *folders[4];
    static char relative[FSH_LINE_MAX + 32];
    unsigned n = 0;
    const char *env = getenv("FAULTSHIM_PROFILES");
    if (env && *env)
        folders[n++] = env;
    if (strcmp(fsh_own_folder(), FSH_BUILD_TOOLS) == 0)
        folders[n++] = FSH_SOURCE_PROFILES;
    snprintf(relative, sizeof relative, "%s/../share/faultshim/profiles", fsh_own_folder());
    folders[n++] = FSH_PROFILES_DIR;
    if (n < 3 && access(relative, F_OK) == 0)
        folders[n++] = relative;
    folders[n] = NULL;
    return folders;
}

/* --- joining --- */

struct text {
    char *data;
    size_t len;
};

static bool add(struct text *t, const char *data, size_t len) {
    char *more = realloc(t->data, t->len + len + 1);
    if (!more) {
        fsh_warn("out of memory");
        return false;
    }
    memcpy(more + t->len, data, len);
    more[t->len + len] = 0;
    t->data = more;
    t->len += len;
    return true;
}

static bool add_line(struct text *t, const char *a, const char *b) {
    return add(t, a, strlen(a)) && add(t, b, strlen(b)) && add(t, "\n", 1);
}

static bool add_content(struct text *t, int fd, const char *path) {
    char buf[65536];
    ssize_t n;
    while ((n = read(fd, buf, sizeof buf)) > 0) {
        if (t->len + (size_t)n > FSH_PROFILE_MAX) {
            fsh_warn("%s: profiles of more than %d bytes are not read; write a shorter one", path, FSH_PROFILE_MAX);
            return false;
        }
        if (!add(t, buf, (size_t)n))
            return false;
    }
    if (n < 0)
        fsh_warn("%s: %s", path, strerror(errno));
    return n == 0 && add(t, "\n", 1);
}

static bool add_file(struct text *t, const char *path, int fd) {
    if (strchr(path, '\n')) {
        fsh_warn("a profile's path must not contain a line break");
        return false;
    }
    return add_line(t, ";@source ", path) && add_content(t, fd, path);
}

static int open_shipped(const char *name, char *path, size_t size) {
    for (const char *const *folder = fsh_profile_folders(); *folder; folder++) {
        snprintf(path, size, "%s/%s.ini", *folder, name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            return fd;
    }
    return -1;
}

/* A path, or the name of a shipped profile. */
static bool add_profile(struct text *t, const char *name) {
    char path[FSH_LINE_MAX];
    struct stat st;
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    int e = errno;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        close(fd);
        fd = -1;
        e = EISDIR;
    }
    snprintf(path, sizeof path, "%s", name);
    if (fd < 0 && !strchr(name, '/'))
        fd = open_shipped(name, path, sizeof path);
    if (fd < 0) {
        fsh_warn("profile %s: %s%s", name, strerror(e),
                 strchr(name, '/') ? "" : "; 'faultshim list profiles' shows those that come with it");
        return false;
    }
    bool good = add_file(t, path, fd);
    close(fd);
    return good;
}

static bool add_rule(struct text *t, const char *rule, unsigned number) {
    char name[16], source[32], *section = malloc(FSH_PROFILE_MAX);
    struct fsh_error error;
    snprintf(name, sizeof name, "r%u", number);
    snprintf(source, sizeof source, "-r %u", number);
    int n = section ? fsh_profile_one_liner(section, FSH_PROFILE_MAX, rule, name, &error) : -ENOMEM;
    bool good = n >= 0 && add_line(t, ";@source ", source) && add(t, section, (size_t)n) && add(t, "\n", 1);
    if (n == -EINVAL)
        fsh_warn("%s", error.text);
    else if (n < 0)
        fsh_warn("-r %u: %s", number, n == -ENOSPC ? "the rule is too long" : strerror(-n));
    free(section);
    return good;
}

/* KEY=VALUE of [faultshim]. */
static bool add_key(struct text *t, const char *key, unsigned number) {
    char source[32];
    snprintf(source, sizeof source, "--set %u", number);
    if (!strchr(key, '=') || strpbrk(key, "\r\n;")) {
        fsh_warn("--set '%s' is no key and value; write KEY=VALUE, as in stacks=faults", key);
        return false;
    }
    return add_line(t, ";@source ", source) && add_line(t, "[faultshim]\n", key);
}

/* --- parsing --- */

static bool choose_seed(struct fsh_loaded *l, const struct fsh_common *common) {
    const char *env = getenv("FAULTSHIM_SEED");
    if (common->has_seed) {
        l->seed = common->seed;
        l->seed_from = SEED_COMMAND_LINE;
    } else if (env && *env) {
        const char *wrong = fsh_value_seed((struct fsh_word){env, strlen(env)}, &l->seed);
        if (wrong) {
            fsh_warn("FAULTSHIM_SEED '%s' %s", env, wrong);
            return false;
        }
        l->seed_from = SEED_ENVIRONMENT;
    } else if (l->profile.options.has_seed) {
        l->seed = l->profile.options.seed;
        l->seed_from = SEED_PROFILE;
    } else {
        if (getrandom(&l->seed, sizeof l->seed, 0) != sizeof l->seed) {
            fsh_warn("no seed can be drawn: %s; give one with --seed", strerror(errno));
            return false;
        }
        l->seed &= 0xffffffff; /* short enough to be typed again */
        l->seed_from = SEED_DRAWN;
    }
    return true;
}

static bool name_all(struct fsh_loaded *l) {
    l->names_len = fsh_profile_rule_names(&l->profile, NULL, 0);
    l->phases_len = fsh_profile_phase_names(&l->profile, NULL, 0);
    l->names = malloc(l->names_len + 1);
    l->phases = malloc(l->phases_len + 1);
    if (!l->names || !l->phases) {
        fsh_warn("out of memory");
        return false;
    }
    fsh_profile_rule_names(&l->profile, l->names, l->names_len);
    fsh_profile_phase_names(&l->profile, l->phases, l->phases_len);
    return true;
}

static bool complain(int e, const struct fsh_error *error) {
    if (e == -EINVAL)
        fsh_warn("%s", error->text);
    else if (e)
        fsh_warn("the profile cannot be loaded: %s", strerror(-e));
    return e == 0;
}

static bool parse(struct fsh_loaded *l, struct fsh_arena *arena, const char *name) {
    struct fsh_error error;
    size_t need = fsh_arena_need(l->len);
    l->memory = malloc(need);
    if (!l->memory)
        return complain(-ENOMEM, &error);
    *arena = (struct fsh_arena){.base = l->memory, .size = need};
    return complain(fsh_profile_parse(&l->profile, arena, l->text, l->len, name, &error), &error);
}

static bool build(struct fsh_loaded *l, struct fsh_arena *arena) {
    struct fsh_error error;
    return complain(fsh_plan_build(&l->plan, &l->profile, l->seed, arena, &error), &error) && name_all(l);
}

static bool join_and_parse(struct fsh_loaded *l, const struct fsh_common *common, struct fsh_arena *arena) {
    struct text t = {0};
    memset(l, 0, sizeof *l);
    bool good = add(&t, "", 0);
    for (unsigned i = 0; good && i < common->n_profiles; i++)
        good = add_profile(&t, common->profiles[i]);
    for (unsigned i = 0; good && i < common->n_rules; i++)
        good = add_rule(&t, common->rules[i], i + 1);
    for (unsigned i = 0; good && i < common->n_keys; i++)
        good = add_key(&t, common->keys[i], i + 1);
    l->text = t.data;
    l->len = t.len;
    return good && parse(l, arena, "profile") && choose_seed(l, common);
}

/* What a run would find missing, and could say nobody. */
static bool have_files(const struct fsh_loaded *l) {
    for (unsigned i = 0; i < l->profile.n_rules; i++)
        for (unsigned k = 0; k < l->profile.rules[i].n_faults; k++) {
            const struct fsh_rule *rule = &l->profile.rules[i];
            const struct fsh_fault_spec *f = &rule->faults[k];
            if (f->net.path && access(f->net.path, R_OK) != 0) {
                fsh_warn("%s:%u: reply's file '%s' can't be read: %s; write the path of one that can", rule->file, f->line,
                         f->net.path, strerror(errno));
                return false;
            }
        }
    return true;
}

bool fsh_load_options(struct fsh_loaded *l, const struct fsh_common *common) {
    struct fsh_arena arena;
    return join_and_parse(l, common, &arena) && build(l, &arena) && have_files(l);
}

bool fsh_load_options_whole(struct fsh_loaded *l, const struct fsh_common *common) {
    struct fsh_arena arena;
    if (!join_and_parse(l, common, &arena))
        return false;
    for (unsigned i = 0; i < l->profile.n_rules; i++)
        l->profile.rules[i].active.always = true;
    return build(l, &arena);
}

bool fsh_load_text(struct fsh_loaded *l, struct fsh_text text, uint64_t seed, enum fsh_seed_from seed_from, const char *name) {
    struct text t = {0};
    struct fsh_arena arena;
    memset(l, 0, sizeof *l);
    bool good = add(&t, text.data, text.len);
    l->text = t.data;
    l->len = t.len;
    l->seed = seed;
    l->seed_from = seed_from;
    return good && parse(l, &arena, name) && build(l, &arena);
}

/* Numbers go on behind those of the profile before it. */
static void number_on(struct fsh_loaded *l, const struct fsh_loaded *before, unsigned load) {
    l->profile.load = load;
    l->profile.rules_before = before->profile.rules_before + before->profile.n_rules;
    l->profile.phases_before = before->profile.phases_before + before->profile.n_phases;
}

bool fsh_loaded_add(struct fsh_loaded *first, struct fsh_text text) {
    struct text t = {0};
    struct fsh_arena arena;
    if (!first->loads) /* all at once: plans point to their profiles */
        first->loads = calloc(FSH_LOADS, sizeof *first->loads);
    if (!first->loads || first->n_loads == FSH_LOADS) {
        fsh_warn(first->loads ? "there are too many profiles" : "out of memory");
        return false;
    }
    const struct fsh_loaded *before = fsh_loaded_at(first, first->n_loads);
    struct fsh_loaded *l = &first->loads[first->n_loads];
    bool good = add(&t, text.data, text.len);
    l->text = t.data;
    l->len = t.len;
    l->seed = first->seed;
    l->seed_from = first->seed_from;
    first->n_loads++;
    if (!good || !parse(l, &arena, "profile"))
        return false;
    number_on(l, before, first->n_loads);
    return build(l, &arena);
}

const struct fsh_loaded *fsh_loaded_at(const struct fsh_loaded *l, unsigned load) {
    return load == 0 ? l : load <= l->n_loads ? &l->loads[load - 1] : NULL;
}

const struct fsh_loaded *fsh_loaded_with(const struct fsh_loaded *l, unsigned rule) {
    for (unsigned i = 0; i <= l->n_loads; i++) {
        const struct fsh_loaded *at = fsh_loaded_at(l, i);
        if (rule >= at->profile.rules_before && rule - at->profile.rules_before < at->profile.n_rules)
            return at;
    }
    return NULL;
}

const struct fsh_rule *fsh_loaded_rule(const struct fsh_loaded *l, unsigned rule) {
    const struct fsh_loaded *at = fsh_loaded_with(l, rule);
    return at ? &at->profile.rules[rule - at->profile.rules_before] : NULL;
}

unsigned fsh_loaded_rules(const struct fsh_loaded *l) {
    const struct fsh_loaded *last = fsh_loaded_at(l, l->n_loads);
    return last->profile.rules_before + last->profile.n_rules;
}

bool fsh_load_trace(struct fsh_loaded *l, const struct fsh_reader *reader, const char *path) {
    const struct fsh_header *header = fsh_reader_header(reader);
    if (!fsh_load_text(l, fsh_reader_meta(reader, META_PROFILE), header->seed, (enum fsh_seed_from)header->seed_from, path))
        return false;
    bool good = true;
    uint64_t time;
    for (unsigned i = 1; i <= fsh_reader_loads(reader) && good; i++)
        good = fsh_loaded_add(l, fsh_reader_load(reader, i, &time)->profile);
    return good;
}

void fsh_loaded_free(struct fsh_loaded *l) {
    free(l->text);
    free(l->names);
    free(l->phases);
    free(l->memory);
    for (unsigned i = 0; i < l->n_loads; i++)
        fsh_loaded_free(&l->loads[i]);
    free(l->loads);
}

bool fsh_loaded_can_inject(const struct fsh_loaded *l) {
    for (unsigned i = 0; i < l->profile.n_rules; i++) {
        const struct fsh_rule *rule = &l->profile.rules[i];
        if (rule->in_run && (rule->probability.always || rule->probability.threshold))
            return true;
    }
    return false;
}
