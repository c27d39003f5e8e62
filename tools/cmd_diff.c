/* cmd_diff.c: faultshim diff: where two runs part. */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "compare.h"
#include "options.h"
#include "out.h"
#include "trace_open.h"

enum { ID_FAULTS = 300, SHOWN = 20 };

static const struct fsh_option own_options[] = {
    {ID_FAULTS, "faults", NULL, "compare faults only, as sets"},
};

static const struct fsh_usage usage = {
    .name = "diff",
    .operands = "TRACE OTHER",
    .summary = "Compares two traces thread by thread: call, resource, size and outcome of each decision.\n"
               "The status is 0 if they are equal, 1 if they differ, 125 in case of trouble.",
    .common = COMMON_JSON | COMMON_QUIET,
    .options = own_options,
    .n_options = sizeof own_options / sizeof *own_options,
};

struct diff {
    struct fsh_common common;
    bool faults;
    const char *paths[2];
    struct fsh_reader *readers[2];
};

/* --- decision by decision --- */

struct side {
    const struct fsh_reader *reader;
    json_object *object; /* NULL: text */
    bool found;
};

static int show_decision(void *arg, const struct fsh_decision *d) {
    struct side *side = arg;
    side->found = true;
    if (side->object) {
        json_object_put(side->object);
        side->object = fsh_decision_json(side->reader, d);
        return 1;
    }
    const char *resource = fsh_resource_name(side->reader, d->resource);
    printf("%s ", fsh_reader_call_name(side->reader, d->call));
    fsh_put_safe(stdout, *resource ? resource : "-");
    printf(" %" PRIu64, d->size);
    if (d->fault) {
        fputs(" = ", stdout);
        fsh_put_outcome(stdout, side->reader, d);
        printf(" [rule %s #%" PRIu64 "]", fsh_reader_rule_name(side->reader, d->rule), d->ordinal);
    }
    putchar('\n');
    return 1;
}

static void show_side(const struct diff *diff, int which, int64_t thread, uint64_t n) {
    struct side side = {.reader = diff->readers[which]};
    printf("  %c ", which ? '+' : '-');
    if (thread >= 0)
        fsh_find_decision(side.reader, (unsigned)thread, n, show_decision, &side);
    if (!side.found)
        puts(thread < 0 ? "no such thread" : "no such decision");
}

static json_object *side_json(const struct diff *diff, int which, int64_t thread, uint64_t n) {
    struct side side = {.reader = diff->readers[which], .object = json_object_new_object()};
    if (thread >= 0)
        fsh_find_decision(side.reader, (unsigned)thread, n, show_decision, &side);
    if (side.found)
        return side.object;
    json_object_put(side.object);
    return NULL;
}

static const struct fsh_thread_info *thread_of(const struct diff *diff, const struct fsh_pair *pair) {
    return pair->a >= 0 ? fsh_reader_thread(diff->readers[0], (unsigned)pair->a)
                        : fsh_reader_thread(diff->readers[1], (unsigned)pair->b);
}

static void show_text(const struct diff *diff, const struct fsh_comparison *c) {
    unsigned differing = 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct fsh_pair *pair = &c->pairs[i];
        if (!pair->first || differing++ >= SHOWN)
            continue;
        const struct fsh_thread_info *t = thread_of(diff, pair);
        printf("%s/%s differs at decision %" PRIu64 " (of %" PRIu64 " and %" PRIu64 ", %" PRIu64 " agree)\n", t->process, t->name,
               pair->first, pair->n_a, pair->n_b, pair->same);
        show_side(diff, 0, pair->a, pair->first);
        show_side(diff, 1, pair->b, pair->first);
    }
    if (differing > SHOWN)
        printf("and %u more threads\n", differing - SHOWN);
    printf("%" PRIu64 " and %" PRIu64 " decisions, %" PRIu64 " agree: %s\n", c->decisions_a, c->decisions_b, c->same,
           differing ? "the traces differ" : "the traces are equal");
    if (c->recorded_a || c->recorded_b)
        printf("%" PRIu64 " and %" PRIu64 " recorded readings and bytes, %" PRIu64 " agree\n", c->recorded_a, c->recorded_b,
               c->same_recorded);
}

static void put(json_object *o, const char *key, json_object *value) {
    json_object_object_add(o, key, value);
}

static void show_json(const struct diff *diff, const struct fsh_comparison *c) {
    json_object *o = json_object_new_object(), *threads = json_object_new_array();
    for (size_t i = 0; i < c->n; i++) {
        const struct fsh_pair *pair = &c->pairs[i];
        if (!pair->first)
            continue;
        const struct fsh_thread_info *t = thread_of(diff, pair);
        json_object *p = json_object_new_object();
        put(p, "process", json_object_new_string(t->process));
        put(p, "thread", json_object_new_string(t->name));
        put(p, "decisions", json_object_new_uint64(pair->n_a));
        put(p, "other_decisions", json_object_new_uint64(pair->n_b));
        put(p, "agree", json_object_new_uint64(pair->same));
        put(p, "first", json_object_new_uint64(pair->first));
        put(p, "decision", side_json(diff, 0, pair->a, pair->first));
        put(p, "other", side_json(diff, 1, pair->b, pair->first));
        json_object_array_add(threads, p);
    }
    put(o, "equal", json_object_new_boolean(json_object_array_length(threads) == 0));
    put(o, "decisions", json_object_new_uint64(c->decisions_a));
    put(o, "other_decisions", json_object_new_uint64(c->decisions_b));
    put(o, "agree", json_object_new_uint64(c->same));
    if (c->recorded_a || c->recorded_b) {
        put(o, "recorded", json_object_new_uint64(c->recorded_a));
        put(o, "other_recorded", json_object_new_uint64(c->recorded_b));
        put(o, "recorded_agree", json_object_new_uint64(c->same_recorded));
    }
    put(o, "threads", threads);
    fsh_put_object(stdout, o);
}

static int compare_decisions(const struct diff *diff) {
    struct fsh_comparison c;
    int status = 0;
    int e = fsh_compare(&c, diff->readers[0], diff->readers[1], COMPARE_SIZES);
    if (e) {
        status = fsh_fail(EXIT_TROUBLE, "comparing failed: %s", strerror(-e));
    } else {
        for (size_t i = 0; i < c.n; i++)
            status |= c.pairs[i].first ? EXIT_DIFFERENT : 0;
        if (diff->common.json)
            show_json(diff, &c);
        else if (!diff->common.quiet)
            show_text(diff, &c);
    }
    fsh_comparison_free(&c);
    return status;
}

/* --- faults as sets --- */

/* A fault as a line: `id` is compared, `shown` is for people. */
struct line {
    char *id, *shown;
};

struct lines {
    const struct fsh_reader *reader;
    struct line *v;
    size_t n, room;
};

/* What a fault is: who, what, and what came of it; not when. */
static int keep_fault(void *arg, const struct fsh_decision *d) {
    struct lines *lines = arg;
    char number[16];
    if (!d->fault)
        return 0;
    if (lines->n == lines->room) {
        size_t room = lines->room ? lines->room * 2 : 64;
        struct line *more = reallocarray(lines->v, room, sizeof *more);
        if (!more)
            return -ENOMEM;
        lines->v = more;
        lines->room = room;
    }
    const struct fsh_thread_info *t = fsh_reader_thread(lines->reader, d->thread);
    const struct fsh_resource_info *r = fsh_reader_resource(lines->reader, d->resource);
    struct line *line = &lines->v[lines->n];
    *line = (struct line){NULL, NULL};
    char *what;
    if (asprintf(&what, "rule %s ordinal %" PRIu64 " = %s%s%s amount %" PRIu64, fsh_reader_rule_name(lines->reader, d->rule),
                 d->ordinal, fsh_reader_fault_name(lines->reader, d->fault_kind), d->error ? " " : "",
                 d->error ? fsh_errno_text(d->error, number) : "", d->amount) < 0)
        return -ENOMEM;
    const char *call = fsh_reader_call_name(lines->reader, d->call);
    int a = asprintf(&line->id, "%s/%s %s %" PRIx64 " %s", t->process, t->name, call, r ? r->key : 0, what);
    int b = asprintf(&line->shown, "%s/%s %s %s %s", t->process, t->name, call, r ? r->name : "-", what);
    free(what);
    if (a < 0 || b < 0)
        return -ENOMEM;
    lines->n++;
    return 0;
}

static int compare_lines(const void *a, const void *b) {
    return strcmp(((const struct line *)a)->id, ((const struct line *)b)->id);
}

static int read_faults(struct lines *lines, const struct fsh_reader *reader) {
    struct fsh_visitor visitor = {lines, keep_fault, NULL};
    lines->reader = reader;
    int e = fsh_reader_walk(reader, &visitor);
    if (lines->n)
        qsort(lines->v, lines->n, sizeof *lines->v, compare_lines);
    return e;
}

static void show_line(const struct diff *diff, json_object *list, int which, const char *line) {
    if (list) {
        json_object_array_add(list, json_object_new_string(line));
    } else if (!diff->common.quiet) {
        printf("%c ", which ? '+' : '-');
        fsh_put_safe(stdout, line);
        putchar('\n');
    }
}

static uint64_t compare_sets(const struct diff *diff, const struct lines *a, const struct lines *b, json_object *lists[2]) {
    size_t i = 0, j = 0;
    uint64_t different = 0;
    while (i < a->n || j < b->n) {
        int order = i == a->n ? 1 : j == b->n ? -1 : strcmp(a->v[i].id, b->v[j].id);
        if (order < 0)
            show_line(diff, lists[0], 0, a->v[i].shown);
        if (order > 0)
            show_line(diff, lists[1], 1, b->v[j].shown);
        different += order != 0;
        i += order <= 0;
        j += order >= 0;
    }
    return different;
}

static void free_lines(struct lines *lines) {
    for (size_t i = 0; i < lines->n; i++) {
        free(lines->v[i].id);
        free(lines->v[i].shown);
    }
    free(lines->v);
}

static int compare_faults(const struct diff *diff) {
    struct lines a = {0}, b = {0};
    json_object *lists[2] = {NULL, NULL};
    uint64_t different = 0;
    int e = read_faults(&a, diff->readers[0]);
    if (!e)
        e = read_faults(&b, diff->readers[1]);
    for (int i = 0; i < 2 && diff->common.json; i++)
        lists[i] = json_object_new_array();
    if (!e)
        different = compare_sets(diff, &a, &b, lists);
    if (diff->common.json) {
        json_object *o = json_object_new_object();
        put(o, "equal", json_object_new_boolean(different == 0));
        put(o, "faults", json_object_new_uint64(a.n));
        put(o, "other_faults", json_object_new_uint64(b.n));
        put(o, "only", lists[0]);
        put(o, "only_other", lists[1]);
        fsh_put_object(stdout, o);
    } else if (!diff->common.quiet) {
        printf("%zu and %zu faults: %s\n", a.n, b.n, different ? "the sets differ" : "the sets are equal");
    }
    free_lines(&a);
    free_lines(&b);
    return e ? fsh_fail(EXIT_TROUBLE, "comparing failed: %s", strerror(-e)) : different ? EXIT_DIFFERENT : 0;
}

/* --- the command --- */

static bool take(void *arg, int id, const char *value) {
    ((struct diff *)arg)->faults = true;
    return true;
}

static int compare(struct diff *diff) {
    int status = EXIT_TROUBLE;
    diff->readers[0] = fsh_trace_open(diff->paths[0]);
    diff->readers[1] = diff->readers[0] ? fsh_trace_open(diff->paths[1]) : NULL;
    if (diff->readers[1])
        status = diff->faults ? compare_faults(diff) : compare_decisions(diff);
    fsh_reader_close(diff->readers[0]);
    fsh_reader_close(diff->readers[1]);
    return fsh_out_finish(status);
}

int fsh_cmd_diff(int argc, char **argv) {
    struct diff diff = {.faults = false};
    int status, at = fsh_options(argc, argv, &usage, &diff.common, take, &diff, &status);
    if (at >= 0 && argc - at != 2) {
        status = fsh_fail(EXIT_TROUBLE, "diff compares two traces; see 'faultshim diff --help'");
    } else if (at >= 0) {
        diff.paths[0] = argv[at];
        diff.paths[1] = argv[at + 1];
        status = compare(&diff);
    }
    fsh_common_free(&diff.common);
    return status;
}
