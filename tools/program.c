/* program.c: see program.h. Nothing of the program is run: its libraries are found by the system's own loader (ld.so --list), which
 * maps them and ends. */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "binary.h"
#include "code.h"
#include "commands.h"
#include "grow.h"
#include "out.h"

#define LOADER "/lib64/ld-linux-x86-64.so.2"

enum { SITES_SHOWN = 4, SCRIPT_DEPTH = 5 };

/* The program, and after it its libraries. */
struct module {
    char path[PATH_MAX];
    const char *name; /* its last part; in `path` */
    struct fsh_binary binary;
    struct fsh_code code;
    bool of_libc; /* its system calls are the ones that doors are for */
};

struct program {
    struct module *modules;
    size_t n, room;
    int importer[FSH_CALLS]; /* the first module that imports it, -1 for none */
    json_object *report;     /* NULL: in words */
    bool quiet, blind;
};

static void put(json_object *o, const char *key, json_object *value) {
    json_object_object_add(o, key, value);
}

static json_object *text_or_null(const char *text) {
    return text && *text ? json_object_new_string(text) : NULL;
}

/* --- modules --- */

static bool is_of_libc(const char *name) {
    static const char *const names[] = {"libc.so.6",   "ld-linux-x86-64.so.2", "libpthread.so.0", "libdl.so.2",   "librt.so.1",
                                        "libm.so.6",   "libresolv.so.2",       "libanl.so.1",     "libutil.so.1", "libnsl.so.1",
                                        "libmvec.so.1"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

/* The call that an imported name stands for, fortified variants (__read_chk, __open_2) included; -1 if none. */
static int call_of(const char *symbol) {
    char name[64];
    size_t n = strlen(symbol);
    int call = fsh_call_by_name(symbol, n);
    if (call >= 0 || n < 5 || n >= sizeof name || strncmp(symbol, "__", 2) != 0)
        return call;
    memcpy(name, symbol + 2, n - 1);
    n -= 2;
    if (n > 4 && !strcmp(name + n - 4, "_chk"))
        n -= 4;
    else if (n > 2 && !strcmp(name + n - 2, "_2"))
        n -= 2;
    else
        return -1;
    return fsh_call_by_name(name, n);
}

static int add_module(struct program *p, const char *path) {
    if (!fsh_grow(&p->modules, &p->room, p->n, sizeof *p->modules))
        return -ENOMEM;
    struct module *m = &p->modules[p->n];
    memset(m, 0, sizeof *m);
    snprintf(m->path, sizeof m->path, "%s", path);
    int e = fsh_binary_inspect(&m->binary, path);
    if (e)
        return e;
    /* code for another machine is not decoded; what a stripped table hides is not there */
    if (m->binary.form == BINARY_ELF && !m->binary.foreign)
        fsh_code_read(&m->code, path);
    p->n++;
    return 0;
}

/* Paths move when the array grows. */
static void settle_modules(struct program *p) {
    for (int c = 0; c < FSH_CALLS; c++)
        p->importer[c] = -1;
    for (size_t i = 0; i < p->n; i++) {
        struct module *m = &p->modules[i];
        const char *slash = strrchr(m->path, '/');
        m->name = slash ? slash + 1 : m->path;
        m->of_libc = i > 0 && is_of_libc(m->name);
        for (size_t k = 0; !m->of_libc && k < m->binary.n_imports; k++) {
            int call = call_of(m->binary.imports[k]);
            if (call >= 0 && p->importer[call] < 0)
                p->importer[call] = (int)i;
        }
    }
}

static void list_libraries(int out, const char *path) {
    char absolute[PATH_MAX];
    if (!realpath(path, absolute) || dup2(out, STDOUT_FILENO) < 0)
        _exit(EXIT_TROUBLE);
    unsetenv("LD_PRELOAD");
    unsetenv("LD_DEBUG");
    execl(LOADER, LOADER, "--list", absolute, (char *)NULL);
    _exit(EXIT_TROUBLE);
}

/* "	libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x...)", "	libx.so => not found" */
static int take_libraries(struct program *p, FILE *in, char *missing, size_t size) {
    char *line = NULL;
    size_t room = 0;
    int e = 0;
    while (!e && getline(&line, &room, in) > 0) {
        char *arrow = strstr(line, " => "), *end = arrow ? strrchr(arrow, '(') : NULL;
        if (arrow && !strncmp(arrow + 4, "not found", 9) && !*missing)
            snprintf(missing, size, "%.*s", (int)(arrow - line - 1), line + 1);
        if (!end || end - arrow < 6)
            continue;
        end[-1] = 0;
        e = add_module(p, arrow + 4);
        if (e && e != -ENOMEM)
            e = 0; /* gone meanwhile */
    }
    free(line);
    return e;
}

static int find_libraries(struct program *p, char *missing, size_t size) {
    int pipes[2];
    *missing = 0;
    if (strcmp(p->modules[0].binary.interpreter, LOADER) != 0)
        return 0;
    if (pipe2(pipes, O_CLOEXEC))
        return -errno;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        list_libraries(pipes[1], p->modules[0].path);
    close(pipes[1]);
    FILE *in = pid > 0 ? fdopen(pipes[0], "r") : NULL;
    int e = in ? take_libraries(p, in, missing, size) : -errno;
    if (in)
        fclose(in);
    else
        close(pipes[0]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return e;
}

static void free_program(struct program *p) {
    for (size_t i = 0; i < p->n; i++) {
        fsh_binary_free(&p->modules[i].binary);
        fsh_code_free(&p->modules[i].code);
    }
    free(p->modules);
}

/* --- own system calls --- */

static void say_site(FILE *out, const struct fsh_site *site) {
    char text[32];
    if (*site->function)
        fprintf(out, "%s+%#llx", site->function, (unsigned long long)site->offset);
    else
        fprintf(out, "%#llx", (unsigned long long)site->address);
    if (site->number >= 0)
        fprintf(out, " (%s)", fsh_sysname_text(site->number, text));
}

static void say_sites(FILE *out, const struct module *m) {
    size_t n = m->code.n_sites;
    fprintf(out, "  syscalls  %zu of %s own: ", n, m->name);
    for (size_t i = 0; i < n && i < SITES_SHOWN; i++) {
        fputs(i ? ", " : "", out);
        say_site(out, &m->code.sites[i]);
    }
    if (n > SITES_SHOWN)
        fprintf(out, " and %zu more", n - SITES_SHOWN);
    fputs("; what they do passes unseen\n", out);
}

static json_object *sites_json(const struct module *m) {
    json_object *list = json_object_new_array();
    for (size_t i = 0; i < m->code.n_sites; i++) {
        const struct fsh_site *site = &m->code.sites[i];
        json_object *o = json_object_new_object();
        put(o, "address", json_object_new_uint64(site->address));
        put(o, "function", text_or_null(site->function));
        put(o, "offset", json_object_new_uint64(site->offset));
        put(o, "number", site->number >= 0 ? json_object_new_int(site->number) : NULL);
        put(o, "call", text_or_null(fsh_sysname(site->number)));
        json_object_array_add(list, o);
    }
    return list;
}

/* --- what is imported, and by which rules it is met --- */

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static json_object *imports_json(const struct module *m) {
    json_object *list = json_object_new_array();
    for (size_t i = 0; i < m->binary.n_imports; i++) {
        int call = call_of(m->binary.imports[i]);
        if (call < 0)
            continue;
        json_object *o = json_object_new_object();
        put(o, "symbol", json_object_new_string(m->binary.imports[i]));
        put(o, "call", json_object_new_string(fsh_calls[call].name));
        json_object_array_add(list, o);
    }
    return list;
}

static void say_imports(const struct program *p) {
    const struct module *m = &p->modules[0];
    unsigned n = 0, by_libraries = 0;
    for (size_t i = 0; i < m->binary.n_imports; i++)
        if (call_of(m->binary.imports[i]) >= 0)
            printf("%s%s", n++ ? " " : "  imports   ", m->binary.imports[i]);
    puts(n ? "" : "  imports   none of the calls that rules can name; its libraries may");
    for (int c = 0; c < FSH_CALLS; c++)
        if (p->importer[c] > 0)
            printf("%s%s", by_libraries++ ? " " : "            and its libraries ", fsh_calls[c].name);
    if (by_libraries)
        puts("");
}

static bool is_call_of(const struct fsh_plan *plan, unsigned rule, int call) {
    for (int k = 0; k < FSH_KINDS; k++)
        for (unsigned i = 0; i < plan->on[call][k].n; i++)
            if (plan->on[call][k].v[i].rule == rule)
                return true;
    return false;
}

static json_object *rule_json(const struct program *p, const struct fsh_plan *plan, const struct fsh_rule *r) {
    json_object *o = json_object_new_object(), *list = json_object_new_array();
    for (int c = 0; c < FSH_CALLS; c++) {
        if (p->importer[c] < 0 || !is_call_of(plan, r->index, c))
            continue;
        json_object *call = json_object_new_object();
        put(call, "call", json_object_new_string(fsh_calls[c].name));
        put(call, "module", json_object_new_string(p->modules[p->importer[c]].path));
        json_object_array_add(list, call);
    }
    put(o, "name", json_object_new_string(r->name));
    put(o, "calls", list);
    return o;
}

static void say_rule(const struct program *p, const struct fsh_plan *plan, const struct fsh_rule *r) {
    bool any = false;
    printf("  rule %s", r->name);
    for (size_t m = 0; m < p->n; m++) {
        const char *sep = any ? "; " : " could meet ";
        bool some = false;
        for (int c = 0; c < FSH_CALLS; c++)
            if (p->importer[c] == (int)m && is_call_of(plan, r->index, c)) {
                printf("%s%s", sep, fsh_calls[c].name);
                sep = " ";
                some = any = true;
            }
        if (some)
            printf(" of %s", m ? p->modules[m].name : "its own");
    }
    puts(any ? ""
             : " finds no call of its own that it or its libraries import; left is what libc does by itself, or a library loaded "
               "later");
}

static void show_rules(const struct program *p, const struct fsh_loaded *loaded) {
    json_object *list = p->report ? json_object_new_array() : NULL;
    for (unsigned i = 0; i < loaded->profile.n_rules; i++) {
        const struct fsh_rule *r = &loaded->profile.rules[i];
        if (!r->enabled)
            continue;
        if (list)
            json_object_array_add(list, rule_json(p, &loaded->plan, r));
        else
            say_rule(p, &loaded->plan, r);
    }
    if (list)
        put(p->report, "rules", list);
}

/* --- blind spots --- */

/* An allocator in a library is met at its symbols. */
static bool is_blind(const struct module *m, bool library) {
    return !m->of_libc &&
           (m->code.n_sites || m->code.uring || m->binary.uring || m->binary.go || (m->binary.own_malloc && !library));
}

static void say_allocator(const struct fsh_binary *b) {
    if (b->own_malloc)
        printf("  allocator %s, linked in: rules on @memory.alloc see %s; build it with the system's allocator, or with one in a "
               "library\n",
               b->built_in ? b->built_in : "its own",
               b->exports_malloc ? "nothing, for its libraries use it too" : "only what other libraries ask of libc's malloc");
    else if (*b->allocator)
        printf("  allocator %s: a shared library, so that its calls are met\n", b->allocator);
}

static void say_blind(const struct module *m) {
    if (m->binary.go)
        printf("  Go        %s: its system calls are its own, and only what it calls in C libraries is seen\n",
               m->binary.dynamic ? "dynamic, with cgo" : "static");
    if (m->code.uring || m->binary.uring)
        printf("  io_uring  used by %s: what goes through a ring is not seen; a rule on files or sockets refuses rings that are "
               "set up by "
               "libc's syscall(), unless the profile says io_uring = allow\n",
               m->name);
    if (m->code.n_sites)
        say_sites(stdout, m);
}

static void say_elf(const struct program *p, const char *missing) {
    const struct module *m = &p->modules[0];
    const struct fsh_binary *b = &m->binary;
    const char *obstacle = fsh_binary_obstacle(b);
    if (obstacle)
        printf("  will not be met: %s; %s\n", obstacle, fsh_binary_advice(b));
    else
        printf("  dynamic, with %s: it will be met\n", b->interpreter);
    if (b->rights && !b->privilege)
        printf("  rights    it is %s: that is no more than you have, but others will lose the shim\n", b->rights);
    if (*missing)
        printf("  libraries %s is not found: the program will not start\n", missing);
    if (!obstacle)
        say_allocator(b);
    for (size_t i = 0; i < p->n; i++)
        if (!p->modules[i].of_libc)
            say_blind(&p->modules[i]);
    if (*b->asan)
        printf("  asan      %s is put before libfaultshim.so\n", b->asan);
    if (!obstacle)
        say_imports(p);
}

static json_object *libraries_json(const struct program *p) {
    json_object *list = json_object_new_array();
    for (size_t i = 1; i < p->n; i++) {
        const struct module *m = &p->modules[i];
        json_object *o = json_object_new_object();
        put(o, "path", json_object_new_string(m->path));
        put(o, "libc", json_object_new_boolean(m->of_libc));
        put(o, "own_allocator", json_object_new_boolean(m->binary.own_malloc && !m->of_libc));
        put(o, "io_uring", json_object_new_boolean(m->code.uring || m->binary.uring));
        put(o, "own_syscalls", json_object_new_uint64(m->code.n_sites));
        put(o, "syscalls", m->of_libc ? json_object_new_array() : sites_json(m));
        put(o, "imports", imports_json(m));
        json_object_array_add(list, o);
    }
    return list;
}

static void fill_report(const struct program *p, const char *missing) {
    const struct module *m = &p->modules[0];
    const struct fsh_binary *b = &m->binary;
    json_object *report = p->report;
    put(report, "form", json_object_new_string("elf"));
    put(report, "static", json_object_new_boolean(!b->dynamic));
    put(report, "interpreter", text_or_null(b->interpreter));
    put(report, "libc", !b->dynamic || b->foreign ? NULL : json_object_new_string(b->musl ? "musl" : "glibc"));
    put(report, "rights", text_or_null(b->rights));
    put(report, "privilege", text_or_null(b->privilege));
    put(report, "own_allocator", json_object_new_boolean(b->own_malloc));
    put(report, "built_in_allocator", text_or_null(b->built_in));
    put(report, "allocator", text_or_null(b->allocator));
    put(report, "asan", text_or_null(b->asan));
    put(report, "go", json_object_new_boolean(b->go));
    put(report, "io_uring", json_object_new_boolean(m->code.uring || b->uring));
    put(report, "syscalls", sites_json(m));
    put(report, "obstacle", text_or_null(fsh_binary_obstacle(b)));
    put(report, "advice", text_or_null(fsh_binary_advice(b)));
    put(report, "blind", json_object_new_boolean(p->blind));
    put(report, "imports", imports_json(m));
    put(report, "missing", text_or_null(missing));
    put(report, "libraries", libraries_json(p));
}

static int check_elf(struct program *p, const struct fsh_loaded *loaded) {
    struct fsh_binary *b = &p->modules[0].binary;
    char missing[256] = "";
    bool met = !fsh_binary_obstacle(b);
    int e = met || b->privilege ? find_libraries(p, missing, sizeof missing) : 0;
    if (e)
        return fsh_fail(EXIT_TROUBLE, "%s: its libraries cannot be listed: %s", p->modules[0].path, strerror(-e));
    settle_modules(p);
    for (size_t i = 0; i < p->n; i++) {
        struct fsh_binary *of = &p->modules[i].binary;
        p->blind |= is_blind(&p->modules[i], i > 0);
        if (of->n_imports)
            qsort(of->imports, of->n_imports, sizeof *of->imports, compare_names);
    }
    b = &p->modules[0].binary;
    if (p->report)
        fill_report(p, missing);
    else if (!p->quiet)
        say_elf(p, missing);
    if (loaded && met && (p->report || !p->quiet))
        show_rules(p, loaded);
    return !met ? EXIT_DIFFERENT : p->blind ? EXIT_BLIND : 0;
}

/* --- scripts --- */

static int check_at(const char *path, const struct fsh_loaded *loaded, json_object *report, bool quiet, unsigned depth);

/* A script is what its interpreter is. "/usr/bin/env python3" is looked through. */
static int check_script(const struct fsh_binary *b, const struct fsh_loaded *loaded, json_object *report, bool quiet,
                        unsigned depth) {
    char next[PATH_MAX];
    const char *last = strrchr(b->interpreter, '/');
    int e = 0;
    snprintf(next, sizeof next, "%s", b->interpreter);
    if (last && !strcmp(last, "/env") && *b->argument && *b->argument != '-')
        e = fsh_find_program(next, sizeof next, b->argument);
    json_object *inner = NULL;
    if (report) {
        inner = json_object_new_object();
        put(report, "form", json_object_new_string("script"));
        put(report, "interpreter", inner);
    } else if (!quiet) {
        printf("  a script, run by %s\n", next);
    }
    if (e)
        return fsh_fail(EXIT_TROUBLE, "%s: %s", b->argument, strerror(-e));
    return check_at(next, loaded, inner, quiet, depth + 1);
}

static int check_at(const char *path, const struct fsh_loaded *loaded, json_object *report, bool quiet, unsigned depth) {
    struct program p = {.report = report, .quiet = quiet};
    int status, e = add_module(&p, path);
    if (e) {
        free_program(&p);
        return fsh_fail(EXIT_TROUBLE, "%s: %s", path, strerror(-e));
    }
    if (report)
        put(report, "path", json_object_new_string(path));
    else if (!quiet)
        printf("%s\n", path);
    if (p.modules[0].binary.form == BINARY_ELF)
        status = check_elf(&p, loaded);
    else if (p.modules[0].binary.form == BINARY_SCRIPT && depth < SCRIPT_DEPTH)
        status = check_script(&p.modules[0].binary, loaded, report, quiet, depth);
    else
        status = fsh_fail(EXIT_TROUBLE, "%s is neither a program nor a script", path);
    free_program(&p);
    return status;
}

int fsh_is_program(const char *path) {
    struct fsh_binary b;
    int e = fsh_binary_inspect(&b, path);
    if (e)
        return e;
    bool program = b.form != BINARY_OTHER;
    fsh_binary_free(&b);
    return program;
}

int fsh_program_check(const char *path, const struct fsh_loaded *loaded, json_object *report, bool quiet) {
    return check_at(path, loaded, report, quiet, 0);
}
