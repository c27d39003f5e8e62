/* tables.c: prints what the tables know, for people. Run at build time, never installed.
 *
 *   tables page IN OUT     copies a manual page; a line `@TABLE name@` becomes that table in mdoc, `@LAYOUT struct@` the fields
 *                          of a struct of the trace, and `@VALUE name@` within a line one number
 *
 *   tables check           fails if a struct of the trace has a field that layout.def does not describe: a test
 *
 * The tables are included here once more instead of being read through the engine, because errno names and argument texts are
 * wanted as they are written. A struct of the trace is printed with the offsets that the compiler gives it. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay.h"
#include "trace.h"

/* errno.h has made numbers of the names; the tables' own spelling is wanted. E() keeps its arguments unexpanded. */
#define E(...) #__VA_ARGS__
#define E0     ""

struct call {
    const char *name, *errs[3], *page;
    int classes[3];
    bool observed, maps;
    int made, failure;
};

#define R(...) ((struct fsh_roles){__VA_ARGS__})
#define L      R
#define B      R
#define L0     ((struct fsh_roles){0})

static const char *const class_names[][3] = {
    [C_NONE] = {"", "", ""},
#define CLASS(id, family, class, what) [id] = {family, class, what},
#include "calls.def"
};

struct alias {
    const char *symbol, *call;
};

static const struct alias aliases[] = {
#define ALIAS(symbol, name, file) {#symbol, #name},
#include "calls.def"
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct call calls[FSH_CALLS];

static const char *const observed[FSH_CALLS] = {
#define OBSERVED(name, why) [CALL_##name] = why,
#include "calls.def"
};

static void fill_calls(void) {
    size_t n = 0;
#define CALL(name_, file, sock, pipe, nr, door, ret, fail, args, roles, errs_, errs_sock, errs_pipe, page_)                        \
    calls[n++] = (struct call){.name = #name_,                                                                                     \
                               .errs = {errs_, errs_sock, errs_pipe},                                                              \
                               .page = page_,                                                                                      \
                               .classes = {file, sock, pipe},                                                                      \
                               .observed = roles.observed,                                                                         \
                               .maps = roles.maps,                                                                                 \
                               .made = DOOR_##door,                                                                                \
                               .failure = fail};
#include "calls.def"
}

/* --- mdoc --- */

/* Text inside a line: what mdoc would take for its own is escaped, and what is not ASCII gets its roff name. */
static void put(FILE *out, const char *text) {
    for (const char *p = text; *p; p++) {
        if (*p == '\\')
            fputs("\\e", out);
        else if (!strncmp(p, "±", strlen("±")))
            fputs("\\(+-", out), p += strlen("±") - 1;
        else if (*p == '"')
            fputs("\\(dq", out);
        else
            fputc(*p, out);
    }
}

/* A line of text: may begin with anything. */
static void put_line(FILE *out, const char *text) {
    if (*text == '.' || *text == '\'')
        fputs("\\&", out);
    put(out, text);
    fputc('\n', out);
}

static void put_xr(FILE *out, const char *page, const char *after) {
    int name = (int)strcspn(page, "(");
    fprintf(out, ".Xr %.*s %c%s\n", name, page, page[name + 1], after);
}

static void put_class(FILE *out, int class) {
    if (class == C_NONE)
        fputs("\\(en", out);
    else
        fprintf(out, "@%s.%s", class_names[class][0], class_names[class][1]);
}

static void calls_table(FILE *out) {
    fputs(".Bl -column \"copy_file_range\" \"@process.thread\" \"@net.connect\" \"@pipe.write\"\n"
          ".It Sy call Ta Sy files or none Ta Sy sockets Ta Sy pipes\n",
          out);
    for (size_t i = 0; i < COUNT(calls); i++) {
        fprintf(out, ".It Cm %s Ta ", calls[i].name);
        for (int kind = 0; kind < 3; kind++) {
            if (kind)
                fputs(" Ta ", out);
            if (!kind && calls[i].maps) {
                put_class(out, C_MEMORY_MAP);
                fputs(", ", out);
            }
            put_class(out, calls[i].classes[kind]);
        }
        fputc('\n', out);
    }
    fputs(".El\n", out);
}

static void put_errnos(FILE *out, const char *where, const char *names) {
    if (!*names)
        return;
    fprintf(out, "%s: ", where);
    put(out, names);
    fputs(".\n", out);
}

static void put_symbols(FILE *out, const struct call *c) {
    if (c->made == DOOR_RAW) {
        fputs("No symbol: met through\n.Xr syscall 2 .\n", out);
        return;
    }
    if (c->made == DOOR_PART) {
        fputs("Symbols: those of fcntl, when the command is one about locks.\n", out);
        return;
    }
    fprintf(out, "Symbols: %s", c->name);
    for (size_t a = 0; a < COUNT(aliases); a++)
        if (!strcmp(aliases[a].call, c->name))
            fprintf(out, ", %s", aliases[a].symbol);
    fputs(".\n", out);
}

static void call_details(FILE *out) {
    static const char *const where[] = {"On sockets", "On pipes"};
    fputs(".Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < COUNT(calls); i++) {
        const struct call *c = &calls[i];
        fprintf(out, ".It Cm %s\n", c->name);
        put_xr(out, c->page, " .");
        put_symbols(out, c);
        if (c->observed)
            fprintf(out, "Observed, no rule considers it: %s.\n", observed[i]);
        else if (c->failure == F_SURE || c->failure == F_NEVER)
            fputs("It can be late, or the last thing that the process does, but it does not fail.\n", out);
        bool many = c->errs[1][0] || c->errs[2][0];
        put_errnos(out, many && c->classes[0] != C_NONE ? "On files" : "Errors", c->errs[0]);
        for (int kind = 1; kind < 3; kind++)
            put_errnos(out, c->errs[0][0] || c->errs[1 + (kind == 1)][0] ? where[kind - 1] : "Errors", c->errs[kind]);
    }
    fputs(".El\n", out);
}

/* Calls of a class, in the table's order, each once. */
static void class_table(FILE *out) {
    fputs(".Bl -tag -width Ds\n", out);
    for (int class = C_NONE + 1; class < FSH_CLASSES; class ++) {
        fputs(".It Cm ", out);
        put_class(out, class);
        fputc('\n', out);
        put(out, class_names[class][2]);
        fputs(":\n", out);
        const char *comma = "";
        for (size_t i = 0; i < COUNT(calls); i++)
            if (calls[i].classes[0] == class || calls[i].classes[1] == class || calls[i].classes[2] == class ||
                (calls[i].maps && class == C_MEMORY_MAP)) {
                fprintf(out, "%s%s", comma, calls[i].name);
                comma = ", ";
            }
        fputs(".\n", out);
    }
    fputs(".El\n", out);
}

static void errnos_table(FILE *out) {
    const char *comma = "";
    fputs(".Pp\n", out);
#define ERRNO(name) fprintf(out, "%s%s", comma, #name), comma = ", ";
#include "errnos.def"
    fputs(".\n", out);
}

static void eai_table(FILE *out) {
    const char *comma = "";
    fputs(".Pp\n", out);
#define EAI(name) fprintf(out, "%s%s", comma, #name), comma = ", ";
#include "errnos.def"
    fputs(".\n", out);
}

static void words_table(FILE *out) {
    fputs(".Bl -column \"connection_refused\" \"ECONNREFUSED\"\n", out);
#define ERRNO_WORD(word, name) fprintf(out, ".It Cm %s Ta %s\n", #word, #name);
#include "errnos.def"
    fputs(".El\n", out);
}

static void faults_table(FILE *out) {
    fputs(".Bl -tag -width Ds\n", out);
#define FAULT(id, name, fit, arguments, summary)                                                                                   \
    fputs(".It Cm " name, out);                                                                                                    \
    if (*arguments)                                                                                                                \
        fputs(" Ar \"", out), put(out, arguments), fputc('"', out);                                                                \
    fputc('\n', out);                                                                                                              \
    put_line(out, summary ".");
#include "faults.def"
    fputs(".El\n", out);
}

static void aliases_table(FILE *out) {
    fputs(".Bl -tag -width Ds\n", out);
#define FAULT_ALIAS(name, calls, path, faults, summary)                                                                            \
    fputs(".It Cm " name "\n", out);                                                                                               \
    put_line(out, summary ":");                                                                                                    \
    fputs(".Li \"", out);                                                                                                          \
    put(out, faults);                                                                                                              \
    fputs("\"\non\n.Li \"" calls "\"\n", out);                                                                                     \
    if (*path)                                                                                                                     \
        fputs("and paths\n.Li \"" path "\"\n", out);
#include "aliases.def"
    fputs(".El\n", out);
}

static void later_aliases_table(FILE *out) {
    fputs(".Bl -tag -width \"storage_unflushed_loss\" -compact\n", out);
#define FAULT_ALIAS_LATER(name, kinds) fputs(".It Cm " name "\n" kinds "\n", out);
#include "aliases.def"
    fputs(".El\n", out);
}

static void planned_table(FILE *out) {
    const char *comma = "";
#define PLANNED(name) fprintf(out, "%s%s", comma, name), comma = ",\n";
#include "faults.def"
    fputs(".\n", out);
}

enum { SESSION, RULE, PHASE, ONCE, MANY };

static void keys_table(FILE *out, int wanted) {
    fputs(".Bl -tag -width \"probability\"\n", out);
#define KEY(section, name, type, field, many, summary)                                                                             \
    if (section == wanted) {                                                                                                       \
        fputs(".It Cm " name "\n", out);                                                                                           \
        put_line(out, summary ".");                                                                                                \
        if (many == MANY)                                                                                                          \
            fputs("May stand more than once.\n", out);                                                                             \
    }
#include "keys.def"
    fputs(".El\n", out);
}

static void session_keys(FILE *out) {
    keys_table(out, SESSION);
}

static void rule_keys(FILE *out) {
    keys_table(out, RULE);
}

static void phase_keys(FILE *out) {
    keys_table(out, PHASE);
}

static void put_later(FILE *out, int wanted) {
    const char *comma = "";
#define LATER(section, name)                                                                                                       \
    if (section == wanted)                                                                                                         \
        fprintf(out, "%s%s", comma, name), comma = ",\n";
#include "keys.def"
    fputs(".\n", out);
}

static void later_session(FILE *out) {
    put_later(out, SESSION);
}

static void later_rule(FILE *out) {
    put_later(out, RULE);
}

static const struct {
    const char *name;
    void (*print)(FILE *out);
} tables[] = {
    {"calls", calls_table},
    {"call-details", call_details},
    {"classes", class_table},
    {"errnos", errnos_table},
    {"eai", eai_table},
    {"words", words_table},
    {"faults", faults_table},
    {"planned", planned_table},
    {"aliases", aliases_table},
    {"later-aliases", later_aliases_table},
    {"session-keys", session_keys},
    {"rule-keys", rule_keys},
    {"phase-keys", phase_keys},
    {"later-session", later_session},
    {"later-rule", later_rule},
};

/* --- structs of the trace --- */

struct field {
    const char *of, *name, *what;
    size_t offset, size, total;
};

static const struct field fields[] = {
#define FIELD(type, member, text)                                                                                                  \
    {#type, #member, text, offsetof(struct type, member), sizeof(((struct type *)0)->member), sizeof(struct type)},
#include "layout.def"
};

/* Where the described fields of a struct end: each must start where the one before it ended. Returns whether that is its end. */
static bool described(const char *type, size_t *next) {
    size_t total = 0;
    *next = 0;
    for (size_t i = 0; i < COUNT(fields); i++) {
        if (strcmp(fields[i].of, type))
            continue;
        total = fields[i].total;
        if (fields[i].offset != *next)
            return false;
        *next += fields[i].size;
    }
    return total && *next == total;
}

static int layout(FILE *out, const char *type) {
    bool any = false;
    fputs(".Bl -column \"offset\" \"size\" \"headstart_calls\" \"what it holds and some words more\"\n"
          ".It Sy offset Ta Sy size Ta Sy name Ta Sy meaning\n",
          out);
    for (size_t i = 0; i < COUNT(fields); i++) {
        const struct field *f = &fields[i];
        if (strcmp(f->of, type))
            continue;
        any = true;
        fprintf(out, ".It %zu Ta %zu Ta Va %s Ta ", f->offset, f->size, f->name);
        put(out, f->what);
        fputc('\n', out);
    }
    fputs(".El\n", out);
    if (!any)
        fprintf(stderr, "layout.def describes no struct %s\n", type);
    return any ? 0 : -1;
}

/* The test that layout.def has all fields of the structs that it describes. */
static int check_layout(void) {
    int missing = 0;
    for (size_t i = 0; i < COUNT(fields); i++) {
        size_t next;
        if ((i && !strcmp(fields[i].of, fields[i - 1].of)) || described(fields[i].of, &next))
            continue;
        fprintf(stderr, "man/layout.def: struct %s: the field at offset %zu is not described\n", fields[i].of, next);
        missing = 1;
    }
    return missing;
}

#define VALUE(name)                                                                                                                \
    { #name, (unsigned long)(name) }
static const struct {
    const char *name;
    unsigned long value;
} values[] = {
    VALUE(FSH_TRACE_VERSION),
    VALUE(FSH_PAGE),
    VALUE(FSH_RING_DATA),
    VALUE(FSH_PROCESSES),
    VALUE(FSH_KEYS),
    VALUE(FSH_RINGS),
    VALUE(FSH_DEPARTURES),
    VALUE(FSH_AUDITED),
    VALUE(FSH_SLOTS),
    VALUE(FSH_LOADED_RULES),
    VALUE(FSH_LOADS),
    VALUE(FSH_MARKS),
    VALUE(FSH_OUTCOMES),
    VALUE(FSH_JOURNAL_FILES),
    VALUE(FSH_CONNECTIONS),
    VALUE(FSH_JOURNAL_PAGES),
    VALUE(FSH_RECORD_MAX),
    VALUE(FSH_TEXT_MAX),
    VALUE(FSH_MARK_EVERY),
    VALUE(FSH_RULES_MAX),
    VALUE(FSH_FAULTS_MAX),
    VALUE(FSH_NAME_MAX),
    VALUE(FSH_CANDIDATES_MAX),
    VALUE(FSH_LINE_MAX),
    VALUE(FSH_PROFILE_MAX),
    {"fsh_unit", sizeof(struct fsh_unit)},
    {"fsh_header", sizeof(struct fsh_header)},
};

/* --- filling a page --- */

static bool marker(const char *line, const char *kind, char *name, size_t size) {
    size_t skip = strlen(kind), len = strlen(line);
    if (strncmp(line, kind, skip) || len < skip + 2 || strcmp(line + len - 2, "@\n") || len - skip - 2 >= size)
        return false;
    memcpy(name, line + skip, len - skip - 2);
    name[len - skip - 2] = '\0';
    return true;
}

static int print_table(FILE *out, const char *name) {
    for (size_t i = 0; i < COUNT(tables); i++)
        if (!strcmp(tables[i].name, name))
            return tables[i].print(out), 0;
    fprintf(stderr, "there is no table \"%s\"\n", name);
    return -1;
}

static int put_values(FILE *out, const char *line) {
    const char *at;
    while ((at = strstr(line, "@VALUE "))) {
        fwrite(line, 1, (size_t)(at - line), out);
        const char *name = at + strlen("@VALUE ");
        size_t len = strcspn(name, "@"), i = 0;
        while (i < COUNT(values) && (strlen(values[i].name) != len || strncmp(values[i].name, name, len)))
            i++;
        if (i == COUNT(values)) {
            fprintf(stderr, "there is no value \"%.*s\"\n", (int)len, name);
            return -1;
        }
        fprintf(out, "%lu", values[i].value);
        line = name + len + 1;
    }
    fputs(line, out);
    return 0;
}

static int fill(FILE *in, FILE *out) {
    char line[1024], name[64];
    int bad = 0;
    while (!bad && fgets(line, sizeof line, in)) {
        if (marker(line, "@TABLE ", name, sizeof name))
            bad = print_table(out, name);
        else if (marker(line, "@LAYOUT ", name, sizeof name))
            bad = layout(out, name);
        else
            bad = put_values(out, line);
    }
    return bad;
}

static int page(const char *from, const char *to) {
    FILE *in = fopen(from, "r"), *out = in ? fopen(to, "w") : NULL;
    if (!out) {
        fprintf(stderr, "%s: %s\n", in ? to : from, strerror(errno));
        return 1;
    }
    int bad = fill(in, out);
    fclose(in);
    if (fclose(out) != 0 || bad) {
        fprintf(stderr, "%s: not written\n", to);
        remove(to);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    fill_calls();
    if (argc == 4 && !strcmp(argv[1], "page"))
        return page(argv[2], argv[3]);
    if (argc == 2 && !strcmp(argv[1], "check"))
        return check_layout();
    fputs("usage: tables page IN OUT\n       tables check\n", stderr);
    return 2;
}
