/* cmd_list.c: faultshim list: the tables, as the parser and the shim have them. */
#include <dirent.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "coverage.h"
#include "faults.h"
#include "options.h"
#include "out.h"
#include "profile_load.h"
#include "session_run.h"

enum { OPTION_COVERAGE = 300 };

static const struct fsh_option own_options[] = {
    {OPTION_COVERAGE, "coverage", NULL, "of calls: every function of libc and number of the kernel, and what stands for it"},
};

static const struct fsh_usage usage = {
    .name = "list",
    .operands = "calls|faults|keys|errnos|aliases|profiles",
    .summary = "Lists what profiles are made of.",
    .common = COMMON_JSON | COMMON_QUIET,
    .options = own_options,
    .n_options = 1,
};

/* A row: its columns in order; the JSON object has the same names. */
enum { COLUMNS = 4 };

struct list {
    const char *columns[COLUMNS];
    int width[COLUMNS];
    json_object *rows; /* NULL: text */
};

static void row(struct list *list, const char *const values[COLUMNS]) {
    if (list->rows) {
        json_object *o = json_object_new_object();
        for (int i = 0; i < COLUMNS && list->columns[i]; i++)
            json_object_object_add(o, list->columns[i], json_object_new_string(values[i]));
        json_object_array_add(list->rows, o);
        return;
    }
    for (int i = 0; i < COLUMNS && list->columns[i]; i++) {
        bool last = i + 1 == COLUMNS || !list->columns[i + 1];
        if (last)
            fsh_put_safe(stdout, values[i]);
        else
            printf("%-*s ", list->width[i], values[i]);
    }
    putchar('\n');
}

/* --- calls --- */

/* "file.read net.recv pipe.read" */
static void classes_of(int call, char *out, size_t size) {
    size_t len = 0;
    *out = 0;
    for (int k = 0; k < FSH_KINDS; k++) {
        uint8_t class = fsh_calls[call].class_of[k];
        bool seen = class == C_NONE;
        for (int j = 0; j < k; j++)
            seen |= fsh_calls[call].class_of[j] == class;
        if (!seen && len < size)
            len += (size_t)snprintf(out + len, size - len, "%s@%s.%s", len ? " " : "", fsh_classes[class].family,
                                    fsh_classes[class].name);
    }
}

static void list_calls(struct list *list) {
    *list = (struct list){{"call", "page", "classes", "observed"}, {26, 28, 38}, list->rows};
    for (int i = 0; i < FSH_CALLS; i++) {
        char classes[256];
        classes_of(i, classes, sizeof classes);
        row(list, (const char *[COLUMNS]){fsh_calls[i].name, fsh_calls[i].page, classes, fsh_observed[i] ? fsh_observed[i] : ""});
    }
}

/* --- calls --coverage --- */

struct covering {
    struct list list;
    bool quiet;
    size_t n[COVER_UNKNOWN + 1];
};

static void cover(void *arg, const struct fsh_covered *c) {
    static const char *const words[] = {[COVER_DOOR] = "met", [COVER_LEFT_OUT] = "left out", [COVER_UNKNOWN] = "UNKNOWN"};
    struct covering *covering = arg;
    covering->n[c->how]++;
    if (!covering->quiet || c->how == COVER_UNKNOWN)
        row(&covering->list, (const char *[COLUMNS]){c->kind, c->name, words[c->how], c->what});
}

static int show_coverage(bool json, bool quiet) {
    static struct fsh_run run;
    struct covering covering = {.list = {{"kind", "name", "how", "what"}, {7, 32, 9}, NULL}, .quiet = quiet};
    char path[4096];
    int status = fsh_run_library(&run);
    if (status)
        return status;
    covering.list.rows = json ? json_object_new_array() : NULL;
    int e = fsh_coverage(run.library, cover, &covering, path);
    if (e) {
        json_object_put(covering.list.rows);
        return fsh_fail(EXIT_TROUBLE, "%s: %s", path, strerror(-e));
    }
    if (json)
        fsh_put_object(stdout, covering.list.rows);
    else if (!quiet)
        printf("%zu met, %zu left out, %zu unknown\n", covering.n[COVER_DOOR], covering.n[COVER_LEFT_OUT],
               covering.n[COVER_UNKNOWN]);
    return fsh_out_finish(covering.n[COVER_UNKNOWN] ? EXIT_DIFFERENT : 0);
}

/* --- faults, keys, errnos, aliases --- */

static void list_faults(struct list *list) {
    *list = (struct list){{"fault", "arguments", "summary"}, {12, 62}, list->rows};
    for (int i = 0; i < FSH_FAULTS; i++)
        row(list, (const char *[COLUMNS]){fsh_faults[i].name, fsh_faults[i].arguments, fsh_faults[i].summary});
}

static void list_keys(struct list *list) {
    *list = (struct list){{"section", "key", "repeats", "summary"}, {12, 12, 5}, list->rows};
#define SECTION_SESSION "[faultshim]"
#define SECTION_RULE    "[rule NAME]"
#define SECTION_PHASE   "[phase NAME]"
#define REPEATS_MANY    "many"
#define REPEATS_ONCE    "once"
#define KEY(section, name, type, field, many, summary)                                                                             \
    row(list, (const char *[COLUMNS]){SECTION_##section, name, REPEATS_##many, summary});
#include "keys.def"
}

static void list_errnos(struct list *list) {
    *list = (struct list){{"errno", "text"}, {16}, list->rows};
#define ERRNO(name) row(list, (const char *[COLUMNS]){#name, strerror(name)});
#define EAI(name)   row(list, (const char *[COLUMNS]){#name, "of getaddrinfo"});
#include "errnos.def"
}

static void list_aliases(struct list *list) {
    *list = (struct list){{"alias", "stands for", "calls", "summary"}, {32, 44, 44}, list->rows};
#define ALIAS(symbol, name, file) row(list, (const char *[COLUMNS]){#symbol, #name, "", "another name of the call"});
#include "calls.def"
#define ERRNO_WORD(word, name) row(list, (const char *[COLUMNS]){"error " #word, #name, "", "another name of the error"});
#include "errnos.def"
#define FAULT_ALIAS(name, calls, path, faults, summary)                                                                            \
    row(list, (const char *[COLUMNS]){name, faults, *path ? calls " on " path : calls, summary});
#define FAULT_ALIAS_LATER(name, kinds) row(list, (const char *[COLUMNS]){name, kinds, "", "not yet supported"});
#include "aliases.def"
}

/* --- profiles --- */

/* The first line says what a profile is for: "; full-disk: writes that fail with ENOSPC". */
static void read_purpose(const char *path, char *out, size_t size) {
    FILE *file = fopen(path, "re");
    *out = 0;
    if (file && fgets(out, (int)size, file)) {
        out[strcspn(out, "\n")] = 0;
        size_t skip = strspn(out, ";# ");
        memmove(out, out + skip, strlen(out + skip) + 1);
    } else {
        *out = 0;
    }
    if (file)
        fclose(file);
}

static int is_profile(const struct dirent *entry) {
    size_t n = strlen(entry->d_name);
    return n > 4 && *entry->d_name != '.' && !strcmp(entry->d_name + n - 4, ".ini");
}

static void list_folder(struct list *list, const char *folder) {
    struct dirent **entries;
    int n = scandir(folder, &entries, is_profile, alphasort);
    for (int i = 0; i < n; i++) {
        char path[4096], name[256], purpose[512];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        snprintf(name, sizeof name, "%.*s", (int)strlen(entries[i]->d_name) - 4, entries[i]->d_name);
        read_purpose(path, purpose, sizeof purpose);
        size_t len = strlen(name);
        const char *words = !strncmp(purpose, name, len) && purpose[len] == ':' ? purpose + len + 1 : purpose;
        row(list, (const char *[COLUMNS]){name, path, words + strspn(words, " ")});
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

static void list_profiles(struct list *list) {
    *list = (struct list){{"profile", "path", "purpose"}, {16, 40}, list->rows};
    for (const char *const *folder = fsh_profile_folders(); *folder; folder++)
        list_folder(list, *folder);
}

/* --- the command --- */

static const struct {
    const char *name;
    void (*show)(struct list *list);
} lists[] = {
    {"calls", list_calls},   {"faults", list_faults},   {"keys", list_keys},
    {"errnos", list_errnos}, {"aliases", list_aliases}, {"profiles", list_profiles},
};

static int show(const char *what, bool json) {
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        if (strcmp(what, lists[i].name) != 0)
            continue;
        struct list list = {.rows = json ? json_object_new_array() : NULL};
        lists[i].show(&list);
        if (json)
            fsh_put_object(stdout, list.rows);
        return fsh_out_finish(0);
    }
    return fsh_fail(EXIT_TROUBLE, "there is no list of '%s'; write calls, faults, keys, errnos, aliases or profiles", what);
}

static bool take(void *arg, int id, const char *value) {
    *(bool *)arg = true;
    return true;
}

int fsh_cmd_list(int argc, char **argv) {
    struct fsh_common common;
    bool coverage = false;
    int status, at = fsh_options(argc, argv, &usage, &common, take, &coverage, &status);
    if (at >= 0 && argc - at != 1)
        status = fsh_fail(EXIT_TROUBLE, "list needs one of calls, faults, keys, errnos, aliases, profiles");
    else if (at >= 0 && coverage && strcmp(argv[at], "calls") != 0)
        status = fsh_fail(EXIT_TROUBLE, "--coverage is of calls; write list calls --coverage");
    else if (at >= 0)
        status = coverage ? show_coverage(common.json, common.quiet) : show(argv[at], common.json);
    fsh_common_free(&common);
    return status;
}
