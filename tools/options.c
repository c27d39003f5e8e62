/* options.c: see options.h. */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "out.h"
#include "text.h"

enum { ID_HELP = 1000, ID_VERSION, OPTIONS_MAX = 48 };

static const struct {
    struct fsh_option option;
    unsigned common;
} shared[] = {
    {{'p', "profile", "PROFILE", "a profile: a path, or the name of one that comes with faultshim; may be repeated"},
     COMMON_PROFILE},
    {{'r', "rule", "RULE", "a rule in one argument: 'calls=@file.sync fault=error:EIO'; may be repeated"}, COMMON_PROFILE},
    {{257, "set", "KEY=VALUE", "a key of [faultshim], as in stacks=faults; may be repeated"}, COMMON_PROFILE},
    {{'s', "seed", "SEED", "the seed of all draws; drawn and recorded if absent"}, COMMON_SEED},
    {{'o', "trace", "FILE", "the trace (default " FSH_DEFAULT_TRACE ")"}, COMMON_TRACE},
    {{256, "json", NULL, "output for machines"}, COMMON_JSON},
    {{'q', "quiet", NULL, "nothing but errors"}, COMMON_QUIET},
    {{ID_HELP, "help", NULL, "show this help"}, 0},
    {{ID_VERSION, "version", NULL, "show the version"}, 0},
};

enum { ID_JSON = 256, ID_SET, SHARED = sizeof shared / sizeof *shared };

static const struct fsh_option *shared_option(const struct fsh_usage *usage, unsigned i) {
    unsigned need = shared[i].common;
    return need == 0 || usage->common & need ? &shared[i].option : NULL;
}

static void show_option(const struct fsh_option *o) {
    char left[64];
    char letter[8] = "    ";
    if (o->id < 256)
        snprintf(letter, sizeof letter, "-%c, ", o->id);
    snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name, o->argument ? "=" : "", o->argument ? o->argument : "");
    printf("  %-26s %s\n", left, o->help);
}

static void show_help(const struct fsh_usage *usage) {
    printf("usage: faultshim %s [OPTION]... %s\n\n%s\n\noptions:\n", usage->name, usage->operands, usage->summary);
    for (unsigned i = 0; i < usage->n_options; i++)
        show_option(&usage->options[i]);
    for (unsigned i = 0; i < SHARED; i++)
        if (shared_option(usage, i))
            show_option(shared_option(usage, i));
}

/* The tables in the form that getopt_long wants. */
struct forms {
    struct option longs[OPTIONS_MAX + 1];
    char shorts[2 * OPTIONS_MAX + 4];
    unsigned n;
};

static void add_form(struct forms *f, const struct fsh_option *o) {
    f->longs[f->n++] = (struct option){o->name, o->argument ? required_argument : no_argument, NULL, o->id};
    if (o->id < 256) {
        char letter[3] = {(char)o->id, o->argument ? ':' : 0, 0};
        strcat(f->shorts, letter);
    }
}

static void make_forms(struct forms *f, const struct fsh_usage *usage) {
    memset(f, 0, sizeof *f);
    strcpy(f->shorts, usage->program ? "+:" : ":");
    for (unsigned i = 0; i < usage->n_options; i++)
        add_form(f, &usage->options[i]);
    for (unsigned i = 0; i < SHARED; i++)
        if (shared_option(usage, i))
            add_form(f, shared_option(usage, i));
}

static bool append(const char ***list, unsigned *n, const char *value) {
    const char **more = reallocarray(*list, *n + 1, sizeof *more);
    if (!more) {
        fsh_warn("out of memory");
        return false;
    }
    more[(*n)++] = value;
    *list = more;
    return true;
}

static bool take_seed(struct fsh_common *common, const char *value) {
    const char *wrong = fsh_value_seed((struct fsh_word){value, strlen(value)}, &common->seed);
    common->has_seed = !wrong;
    if (wrong)
        fsh_warn("--seed '%s' %s", value, wrong);
    return !wrong;
}

static bool take_shared(struct fsh_common *common, int id, const char *value) {
    switch (id) {
    case 'p':
        return append(&common->profiles, &common->n_profiles, value);
    case 'r':
        return append(&common->rules, &common->n_rules, value);
    case ID_SET:
        return append(&common->keys, &common->n_keys, value);
    case 's':
        return take_seed(common, value);
    case 'o':
        common->trace = value;
        return true;
    case ID_JSON:
        common->json = true;
        return true;
    default:
        common->quiet = true;
        return true;
    }
}

static bool is_own(const struct fsh_usage *usage, int id) {
    for (unsigned i = 0; i < usage->n_options; i++)
        if (usage->options[i].id == id)
            return true;
    return false;
}

static void refuse(const struct fsh_usage *usage, int id, char **argv) {
    const char *word = argv[optind - 1];
    char letter[3] = {'-', (char)optopt, 0};
    if (optopt && optopt < 256 && strncmp(word, "--", 2) != 0)
        word = letter;
    fsh_warn(id == ':' ? "%s needs a value; see 'faultshim %s --help'"
                       : "%s is no option of this command; see 'faultshim %s --help'",
             word, usage->name);
}

int fsh_options(int argc, char **argv, const struct fsh_usage *usage, struct fsh_common *common,
                bool (*take)(void *arg, int id, const char *value), void *arg, int *status) {
    struct forms forms;
    make_forms(&forms, usage);
    memset(common, 0, sizeof *common);
    opterr = 0;
    optind = 1;
    for (int id; (id = getopt_long(argc, argv, forms.shorts, forms.longs, NULL)) != -1;) {
        bool good = true;
        *status = 0;
        if (id == ID_HELP) {
            show_help(usage);
            *status = fsh_out_finish(0);
            return -1;
        }
        if (id == ID_VERSION) {
            puts("faultshim " FSH_VERSION);
            *status = fsh_out_finish(0);
            return -1;
        }
        if (id == '?' || id == ':') {
            refuse(usage, id, argv);
            good = false;
        } else if (is_own(usage, id)) {
            good = take(arg, id, optarg);
        } else {
            good = take_shared(common, id, optarg);
        }
        if (!good) {
            *status = EXIT_TROUBLE;
            return -1;
        }
    }
    return optind;
}

void fsh_common_free(struct fsh_common *common) {
    free(common->profiles);
    free(common->rules);
    free(common->keys);
}

bool fsh_option_count(const char *what, const char *value, uint64_t *out) {
    const char *wrong = fsh_value_count((struct fsh_word){value, strlen(value)}, out);
    if (wrong)
        fsh_warn("%s '%s' %s", what, value, wrong);
    return !wrong;
}

bool fsh_option_time(const char *what, const char *value, uint64_t *ns) {
    const char *wrong = fsh_value_time((struct fsh_word){value, strlen(value)}, ns);
    if (wrong)
        fsh_warn("%s '%s' %s", what, value, wrong);
    return !wrong;
}

const char *fsh_option_trace(int argc, char **argv, int at, const struct fsh_usage *usage, const struct fsh_common *common,
                             int *status) {
    if (argc - at > 1) {
        *status = fsh_fail(EXIT_TROUBLE, "%s reads one trace; '%s' is too much", usage->name, argv[at + 1]);
        return NULL;
    }
    return argc > at ? argv[at] : common->trace ? common->trace : FSH_DEFAULT_TRACE;
}
