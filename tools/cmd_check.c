/* cmd_check.c: faultshim check: of a profile, what each rule will do; of a program, what will be seen of it. */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "binary.h"
#include "commands.h"
#include "options.h"
#include "out.h"
#include "profile_load.h"

static const struct fsh_usage usage = {
    .name = "check",
    .operands = "[FILE]...",
    .summary =
        "Says what the rules of a profile will do, or whether a program can be met and which of its calls will be seen.\n"
        "The status is 0 if all is well, 1 if the profile is not valid or the program will not be met, 125 in case of trouble.",
    .common = COMMON_PROFILE | COMMON_SEED | COMMON_JSON | COMMON_QUIET,
};

static void put(json_object *o, const char *key, json_object *value) {
    json_object_object_add(o, key, value);
}

/* Text that is put together: what a JSON member and a line have in common. */
struct words {
    char *text;
    size_t len;
    FILE *out;
};

static FILE *begin(struct words *w) {
    w->text = NULL;
    w->out = open_memstream(&w->text, &w->len);
    return w->out ? w->out : stderr;
}

static const char *end(struct words *w) {
    if (w->out)
        fclose(w->out);
    return w->text ? w->text : "";
}

/* --- rules in words --- */

static void say_globs(FILE *out, const char *what, const struct fsh_texts *texts) {
    for (unsigned i = 0; i < texts->n; i++)
        fprintf(out, "%s%s", i == 0 ? what : " or ", texts->v[i]);
    if (texts->n)
        fputs("; ", out);
}

static void say_range(FILE *out, struct fsh_range range) {
    if (range.hi == UINT64_MAX)
        fprintf(out, "%" PRIu64 " and more", range.lo);
    else if (range.lo == range.hi)
        fprintf(out, "%" PRIu64, range.lo);
    else
        fprintf(out, "%" PRIu64 " to %" PRIu64, range.lo, range.hi);
}

static void say_where(FILE *out, const struct fsh_rule *r) {
    say_globs(out, "path ", &r->path);
    say_globs(out, "path not ", &r->not_path);
    say_globs(out, "peer ", &r->peer);
    say_globs(out, "local ", &r->local);
    say_globs(out, "called from ", &r->caller);
    say_globs(out, "process ", &r->process);
    say_globs(out, "thread ", &r->thread);
    for (unsigned i = 0; i < r->fd.n; i++) {
        fputs(i ? " or " : "descriptor ", out);
        say_range(out, r->fd.v[i]);
    }
    if (r->fd.n)
        fputs("; ", out);
    if (r->has_size) {
        fputs("size ", out);
        say_range(out, r->size);
        fputs("; ", out);
    }
}

static void say_nth(FILE *out, const struct fsh_steps *nth) {
    for (unsigned i = 0; i < nth->n; i++) {
        const struct fsh_step *s = &nth->v[i];
        fprintf(out, "%snumber %" PRIu64, i ? ", " : "", s->first);
        if (s->last == UINT64_MAX)
            fputs(" and all after it", out);
        else if (s->last != s->first)
            fprintf(out, " to %" PRIu64, s->last);
        if (s->step > 1 && s->last != s->first)
            fprintf(out, " in steps of %" PRIu64, s->step);
    }
    if (nth->n)
        fputs("; ", out);
}

static void say_when(FILE *out, const struct fsh_rule *r) {
    if (r->has_skip)
        fprintf(out, "not the first %" PRIu64 "; ", r->skip);
    if (r->has_interval)
        fprintf(out, "every %" PRIu64 ".; ", r->interval);
    say_nth(out, &r->nth);
    if (r->has_space)
        fprintf(out, "once %" PRIu64 " bytes have passed; ", r->space);
    if (r->has_times)
        fprintf(out, "at most %" PRIu64 " time%s in the run; ", r->times, fsh_plural(r->times));
    if (r->sticky != STICKY_NO)
        fprintf(out, "once fired, always%s; ", r->sticky == STICKY_RESOURCE ? " on that resource" : "");
    if (r->active.value < 1)
        fprintf(out, "in %g%% of the runs; ", 100 * r->active.value);
    if (r->cont)
        fputs("later rules are looked at too; ", out);
    if (r->probability.always)
        fputs("always", out);
    else
        fprintf(out, "with probability %g%%", 100 * r->probability.value);
}

static void say_arguments(FILE *out, const struct fsh_fault_spec *f) {
    static const char *const whens[] = {"before", "after", "during"};
    static const char *const hows[] = {"bits", "bytes", "to zeros", "to junk"};
    switch (f->kind) {
    case FAULT_DELAY:
        fputc(' ', out);
        fsh_put_time(out, f->amount.lo);
        if (f->amount.hi != f->amount.lo) {
            fputs(" to ", out);
            fsh_put_time(out, f->amount.hi);
        }
        if (f->jitter) {
            fputs(" give or take ", out);
            fsh_put_time(out, f->jitter);
        }
        fprintf(out, " %s the call", whens[f->when]);
        break;
    case FAULT_CRASH:
        fprintf(out, " %s the call, ", whens[f->when]);
        if (f->exits)
            fprintf(out, "with exit status %d", f->status);
        else
            fprintf(out, "by SIG%s", sigabbrev_np(f->signal ? f->signal : SIGKILL));
        fputs(f->tree ? ", the whole run" : "", out);
        break;
    case FAULT_CORRUPT:
        fputs(f->where == CORRUPT_TRANSIENT ? " what is read" : f->where == CORRUPT_STORED ? " what is written" : "", out);
        if (f->how <= CORRUPT_BYTES) {
            fputc(' ', out);
            say_range(out, f->amount);
        }
        fprintf(out, " %s", hows[f->how]);
        break;
    default:
        break;
    }
}

static void say_fault(FILE *out, const struct fsh_rule *r, unsigned line) {
    const struct fsh_fault_spec *f = &r->faults[line];
    char number[16];
    uint64_t sum = 0;
    for (unsigned i = 0; i < r->n_faults; i++)
        sum += r->faults[i].weight;
    fputs(fsh_faults[f->kind].name, out);
    for (unsigned i = 0; i < f->n_errnos; i++)
        fprintf(out, "%s%s", i ? " or " : " ", fsh_errno_text(f->errnos[i], number));
    say_arguments(out, f);
    if (r->n_faults > 1)
        fprintf(out, " (%.3g%%)", 100.0 * f->weight / (double)sum);
}

/* Kinds of descriptors on which the rule considers the call, as bits; the key that it counts by there. */
static unsigned kinds_of(const struct fsh_plan *plan, const struct fsh_rule *r, int call, unsigned *keys) {
    unsigned kinds = 0;
    for (int k = 0; k < FSH_KINDS; k++)
        for (unsigned i = 0; i < plan->on[call][k].n; i++)
            if (plan->on[call][k].v[i].rule == r->index) {
                kinds |= 1u << k;
                *keys |= 1u << plan->on[call][k].v[i].key;
            }
    return kinds;
}

static unsigned say_calls(FILE *out, const struct fsh_plan *plan, const struct fsh_rule *r, json_object *list) {
    unsigned keys = 0;
    const char *sep = "";
    for (int c = 0; c < FSH_CALLS; c++) {
        if (!kinds_of(plan, r, c, &keys))
            continue;
        fprintf(out, "%s%s", sep, fsh_calls[c].name);
        sep = " ";
        if (list)
            json_object_array_add(list, json_object_new_string(fsh_calls[c].name));
    }
    return keys;
}

static void say_keys(FILE *out, unsigned keys) {
    static const char *const names[] = {
        [KEY_THREAD] = "thread", [KEY_RESOURCE] = "resource", [KEY_SITE] = "call site", [KEY_RUN] = "the whole run"};
    const char *sep = "";
    for (unsigned k = KEY_THREAD; k <= KEY_RUN; k++)
        if (keys >> k & 1) {
            fprintf(out, "%s%s", sep, names[k]);
            sep = " or ";
        }
}

static void trim(struct words *w) {
    while (w->text && w->len && strchr("; ", w->text[w->len - 1]))
        w->text[--w->len] = 0;
}

/* The rule as lines, or as a JSON object. */
static json_object *show_rule(const struct fsh_plan *plan, const struct fsh_rule *r, bool json) {
    struct words calls, where, when, key;
    json_object *list = json ? json_object_new_array() : NULL;
    unsigned keys = say_calls(begin(&calls), plan, r, list);
    end(&calls);
    say_where(begin(&where), r);
    end(&where);
    trim(&where);
    say_when(begin(&when), r);
    end(&when);
    say_keys(begin(&key), keys);
    end(&key);
    json_object *o = NULL, *faults = NULL;
    if (json) {
        o = json_object_new_object();
        faults = json_object_new_array();
        put(o, "name", json_object_new_string(r->name));
        put(o, "file", json_object_new_string(r->file));
        put(o, "line", json_object_new_int((int)r->line));
        put(o, "enabled", json_object_new_boolean(r->enabled));
        put(o, "calls", list);
        put(o, "where", json_object_new_string(where.text));
        put(o, "when", json_object_new_string(when.text));
        put(o, "counts_by", json_object_new_string(key.text));
        put(o, "faults", faults);
    } else {
        printf("rule %s (%s:%u)%s\n", r->name, r->file, r->line, r->enabled ? "" : ": not enabled");
        printf("  on     %s\n", r->enabled ? calls.text : "nothing");
        if (*where.text)
            printf("  where  %s\n", where.text);
        printf("  when   %s%s%s\n", when.text, *key.text ? "; counted by " : "", key.text);
        if (r->message)
            printf("  note   %s\n", r->message);
    }
    for (unsigned i = 0; i < r->n_faults; i++) {
        struct words fault;
        say_fault(begin(&fault), r, i);
        end(&fault);
        if (json)
            json_object_array_add(faults, json_object_new_string(fault.text));
        else
            printf("  %s  %s\n", i ? "  or " : "fault", fault.text);
        free(fault.text);
    }
    free(calls.text);
    free(where.text);
    free(when.text);
    free(key.text);
    return o;
}

static int check_profile(const struct fsh_common *common, json_object *report) {
    struct fsh_loaded loaded;
    bool good = fsh_load_options_whole(&loaded, common);
    json_object *rules = report ? json_object_new_array() : NULL;
    for (unsigned i = 0; good && i < loaded.profile.n_rules; i++) {
        if (report)
            json_object_array_add(rules, show_rule(&loaded.plan, &loaded.profile.rules[i], true));
        else if (!common->quiet)
            show_rule(&loaded.plan, &loaded.profile.rules[i], false);
    }
    if (report) {
        put(report, "valid", json_object_new_boolean(good));
        put(report, "rules", rules);
    }
    fsh_loaded_free(&loaded);
    return good ? 0 : EXIT_DIFFERENT;
}

/* --- programs --- */

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

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void show_imports(struct fsh_binary *b, json_object *report) {
    json_object *list = report ? json_object_new_array() : NULL;
    bool seen[FSH_CALLS] = {false};
    unsigned n = 0;
    if (b->n_imports)
        qsort(b->imports, b->n_imports, sizeof *b->imports, compare_names);
    for (size_t i = 0; i < b->n_imports; i++) {
        int call = call_of(b->imports[i]);
        if (call < 0)
            continue;
        n += !seen[call];
        seen[call] = true;
        if (report) {
            json_object *o = json_object_new_object();
            put(o, "symbol", json_object_new_string(b->imports[i]));
            put(o, "call", json_object_new_string(fsh_calls[call].name));
            json_object_array_add(list, o);
        } else {
            printf("%s%s", i && n > 1 ? " " : "  imports   ", b->imports[i]);
        }
    }
    if (report)
        put(report, "imports", list);
    else
        puts(n ? "" : "  imports   none of the calls that rules can name; its libraries may");
}

static void show_elf(struct fsh_binary *b, json_object *report) {
    const char *obstacle = fsh_binary_obstacle(b);
    if (report) {
        put(report, "form", json_object_new_string("elf"));
        put(report, "static", json_object_new_boolean(!b->dynamic));
        put(report, "interpreter", *b->interpreter ? json_object_new_string(b->interpreter) : NULL);
        put(report, "privilege", b->privilege ? json_object_new_string(b->privilege) : NULL);
        put(report, "own_allocator", json_object_new_boolean(b->own_malloc));
        put(report, "allocator", *b->allocator ? json_object_new_string(b->allocator) : NULL);
        put(report, "asan", *b->asan ? json_object_new_string(b->asan) : NULL);
        put(report, "go", json_object_new_boolean(b->go));
        put(report, "obstacle", obstacle ? json_object_new_string(obstacle) : NULL);
        show_imports(b, report);
        return;
    }
    if (obstacle)
        printf("  will not be met: %s\n", obstacle);
    else
        printf("  dynamic, with %s: it will be met\n", b->interpreter);
    if (b->own_malloc)
        puts("  allocator its own, linked in: rules on @memory.alloc see only what other libraries ask of libc's malloc");
    else if (*b->allocator)
        printf("  allocator %s: a shared library, so that its calls are met\n", b->allocator);
    if (b->go)
        puts("  Go        makes its system calls by itself: only what it calls in C libraries is seen");
    if (*b->asan)
        printf("  asan      %s is put before libfaultshim.so\n", b->asan);
    if (!obstacle)
        show_imports(b, NULL);
}

static bool is_elf_or_script(const char *path, bool *trouble) {
    struct fsh_binary b;
    int e = fsh_binary_inspect(&b, path);
    bool program = !e && b.form != BINARY_OTHER;
    *trouble = e != 0;
    if (e)
        fsh_warn("%s: %s", path, strerror(-e));
    else
        fsh_binary_free(&b);
    return program;
}

/* A script is what its interpreter is. "/usr/bin/env python3" is looked through. */
static int check_program(const char *path, json_object *report, bool quiet, unsigned depth) {
    struct fsh_binary b;
    char next[4096];
    int e = fsh_binary_inspect(&b, path);
    if (e)
        return fsh_fail(EXIT_TROUBLE, "%s: %s", path, strerror(-e));
    if (report)
        put(report, "path", json_object_new_string(path));
    else if (!quiet)
        printf("%s\n", path);
    if (b.form == BINARY_ELF) {
        int status = fsh_binary_obstacle(&b) ? EXIT_DIFFERENT : 0;
        if (report || !quiet)
            show_elf(&b, report);
        fsh_binary_free(&b);
        return status;
    }
    if (b.form != BINARY_SCRIPT || depth == 5)
        return fsh_fail(EXIT_TROUBLE, "%s is neither a program nor a script", path);
    const char *last = strrchr(b.interpreter, '/');
    snprintf(next, sizeof next, "%s", b.interpreter);
    if (last && !strcmp(last, "/env") && *b.argument && *b.argument != '-')
        e = fsh_find_program(next, sizeof next, b.argument);
    json_object *inner = NULL;
    if (report) {
        inner = json_object_new_object();
        put(report, "form", json_object_new_string("script"));
        put(report, "interpreter", inner);
    } else if (!quiet) {
        printf("  a script, run by %s\n", next);
    }
    if (e)
        return fsh_fail(EXIT_TROUBLE, "%s: %s", b.argument, strerror(-e));
    return check_program(next, inner, quiet, depth + 1);
}

/* --- the command --- */

/* A file is a program if it looks like one, else a profile. */
static int check_file(const char *path, struct fsh_common *common, json_object *report) {
    bool trouble;
    struct fsh_common one = {.profiles = &path, .n_profiles = 1, .quiet = common->quiet, .seed = 1, .has_seed = true};
    if (is_elf_or_script(path, &trouble))
        return check_program(path, report, common->quiet, 0);
    return trouble ? EXIT_TROUBLE : check_profile(&one, report);
}

static int worse(int a, int b) {
    return a > b ? a : b;
}

static int check(char **files, int n, struct fsh_common *common) {
    json_object *reports = common->json ? json_object_new_array() : NULL;
    int status = 0;
    if (!n && !common->n_profiles && !common->n_rules) {
        json_object_put(reports);
        return fsh_fail(EXIT_TROUBLE, "check needs a file, a profile or a rule; see 'faultshim check --help'");
    }
    if (!common->has_seed) {
        common->seed = 1;
        common->has_seed = true;
    }
    for (int i = common->n_profiles || common->n_rules ? -1 : 0; i < n; i++) {
        json_object *report = reports ? json_object_new_object() : NULL;
        int s = i < 0 ? check_profile(common, report) : check_file(files[i], common, report);
        status = worse(status, s);
        if (report)
            json_object_array_add(reports, report);
    }
    if (reports)
        fsh_put_object(stdout, reports);
    return fsh_out_finish(status);
}

static bool take_nothing(void *arg, int id, const char *value) {
    return false;
}

int fsh_cmd_check(int argc, char **argv) {
    struct fsh_common common;
    int status, at = fsh_options(argc, argv, &usage, &common, take_nothing, NULL, &status);
    if (at >= 0)
        status = check(argv + at, argc - at, &common);
    fsh_common_free(&common);
    return status;
}
