/* repeat.c: see repeat.h. All runs are compared with the first. The grades:
 *
 *   deterministic                  the same threads make the same calls, and each call has the same outcome
 *   deterministic for each thread  the same calls, but where threads share a count, faults meet another one's call
 *   chaotic                        some thread makes other calls, or there are other threads */
#include "repeat.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "compare.h"
#include "out.h"
#include "session_run.h"
#include "trace_open.h"

enum grade { GRADE_SAME, GRADE_THREADS, GRADE_CHAOTIC };
static const char *const grades[] = {"deterministic", "deterministic for each thread", "chaotic"};

/* The first difference of two runs, by time. */
struct side {
    const struct fsh_reader *reader;
    int64_t thread;
    bool there; /* there is such a decision */
    char words[512];
    uint64_t time, what, size;
    const struct fsh_call_row *row; /* NULL: not a call of this build */
    bool fault;
    uint16_t rule;
};

struct difference {
    unsigned run; /* 0: none */
    uint64_t n;
    char process[96], thread[96];
    struct side sides[2];
};

struct repeat {
    const struct fsh_loaded *loaded;
    struct fsh_reader *first, *other;
    unsigned runs, same;
    enum grade grade;
    struct difference difference;
    uint64_t decisions, faults, agree, compared;
    bool ends_differ;
    enum fsh_end end;
    int end_value;
};

/* --- one run --- */

static int run_once(char **argv, struct repeat *repeat, const char *trace, unsigned number, uint64_t timeout) {
    struct fsh_run run = {.argv = argv, .loaded = repeat->loaded, .timeout = timeout, .trace = trace, .mute = true};
    int status = fsh_run_find(&run);
    if (!status)
        status = fsh_run_prepare(&run);
    if (!status)
        status = fsh_run_supervise(&run);
    if (!status && run.session.header->attached == 0)
        status =
            fsh_fail(EXIT_NOT_ATTACHED, "the shim did not start in %s; 'faultshim check %s' may tell why", argv[0], run.program);
    if (number == 1) {
        repeat->end = run.end;
        repeat->end_value = run.value;
    }
    repeat->ends_differ |= run.end != repeat->end || run.value != repeat->end_value;
    fsh_run_finish(&run);
    return status;
}

/* --- where two runs part --- */

static int keep_side(void *arg, const struct fsh_decision *d) {
    struct side *side = arg;
    const char *call = fsh_reader_call_name(side->reader, d->call), *resource = fsh_resource_name(side->reader, d->resource);
    int number = fsh_call_by_name(call, strlen(call));
    char *words = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&words, &len);
    side->there = true;
    side->time = d->time;
    side->size = d->size;
    side->fault = d->fault;
    side->rule = d->rule;
    side->row = number >= 0 ? &fsh_calls[number] : NULL;
    if (!out)
        return 1;
    fprintf(out, "%s ", call);
    fsh_put_safe(out, *resource ? resource : "-");
    fprintf(out, " %" PRIu64, d->size);
    if (d->fault) {
        fputs(" = ", out);
        fsh_put_outcome(out, side->reader, d);
    }
    fclose(out);
    snprintf(side->words, sizeof side->words, "%s", words ? words : "");
    free(words);
    return 1;
}

static void look_at(struct side *side, const struct fsh_reader *reader, int64_t thread, uint64_t n) {
    memset(side, 0, sizeof *side);
    side->reader = reader;
    side->thread = thread;
    snprintf(side->words, sizeof side->words, "%s", thread < 0 ? "no such thread" : "no such call");
    if (thread >= 0)
        fsh_find_decision(reader, (unsigned)thread, n, keep_side, side);
}

static uint64_t time_of(const struct side sides[2]) {
    uint64_t a = sides[0].there ? sides[0].time : UINT64_MAX, b = sides[1].there ? sides[1].time : UINT64_MAX;
    return a < b ? a : b;
}

/* Later differences may follow from the first. */
static void find_first(struct repeat *r, const struct fsh_comparison *c, unsigned run) {
    uint64_t earliest = UINT64_MAX;
    for (size_t i = 0; i < c->n; i++) {
        const struct fsh_pair *pair = &c->pairs[i];
        struct side sides[2];
        if (!pair->first)
            continue;
        look_at(&sides[0], r->first, pair->a, pair->first);
        look_at(&sides[1], r->other, pair->b, pair->first);
        if (r->difference.run == run && time_of(sides) >= earliest)
            continue;
        const struct fsh_thread_info *t =
            pair->a >= 0 ? fsh_reader_thread(r->first, (unsigned)pair->a) : fsh_reader_thread(r->other, (unsigned)pair->b);
        struct difference *d = &r->difference;
        d->run = run;
        d->n = pair->first;
        memcpy(d->sides, sides, sizeof sides);
        snprintf(d->process, sizeof d->process, "%s", t->process);
        snprintf(d->thread, sizeof d->thread, "%s", t->name);
        earliest = time_of(sides);
    }
}

static bool any_differs(const struct fsh_comparison *c) {
    for (size_t i = 0; i < c->n; i++)
        if (c->pairs[i].first || c->pairs[i].a < 0 || c->pairs[i].b < 0)
            return true;
    return false;
}

static int compare_with_first(struct repeat *r, unsigned run) {
    struct fsh_comparison whole, calls;
    int e = fsh_compare(&whole, r->first, r->other, COMPARE_SIZES);
    int e2 = fsh_compare(&calls, r->first, r->other, COMPARE_SIZES | COMPARE_CALLS);
    if (!e && !e2) {
        enum grade grade = any_differs(&calls) ? GRADE_CHAOTIC : any_differs(&whole) ? GRADE_THREADS : GRADE_SAME;
        r->agree += whole.same;
        r->compared += whole.decisions_a > whole.decisions_b ? whole.decisions_a : whole.decisions_b;
        r->same += grade == GRADE_SAME;
        if (grade != GRADE_SAME && !r->difference.run)
            find_first(r, &whole, run);
        if (grade > r->grade)
            r->grade = grade;
    }
    fsh_comparison_free(&whole);
    fsh_comparison_free(&calls);
    return e ? e : e2;
}

/* --- why --- */

static bool is_of(const struct side *side, const char *family, const char *class) {
    for (int k = 0; side->row && k < FSH_KINDS; k++) {
        const struct fsh_class_row *row = &fsh_classes[side->row->class_of[k]];
        if (!strcmp(row->family, family) && (!class || !strcmp(row->name, class)))
            return true;
    }
    return false;
}

static bool is_of_either(const struct difference *d, const char *family, const char *class) {
    return is_of(&d->sides[0], family, class) || is_of(&d->sides[1], family, class);
}

/* A guess, from what is seen at the first difference. */
static const char *cause_of(const struct repeat *r) {
    const struct difference *d = &r->difference;
    const struct side *a = &d->sides[0], *b = &d->sides[1];
    if (a->thread < 0 || b->thread < 0)
        return "another tree of threads and processes";
    if (a->there && b->there && a->row == b->row && a->fault != b->fault)
        return "threads that share a count came in another order: rules with key = thread do not depend on it";
    if (is_of_either(d, "net", "poll"))
        return "what was ready when it was asked for: the order in which data arrives";
    if (is_of_either(d, "time", NULL))
        return "a call that depends on time";
    if (is_of_either(d, "random", NULL))
        return "random bytes";
    if (a->there && b->there && a->row == b->row && a->size != b->size)
        return "another amount of data: its content, or how much there was at that time";
    if (is_of_either(d, "net", NULL) || is_of_either(d, "pipe", NULL))
        return "the order in which data arrives from other processes or threads";
    if (is_of_either(d, "process", NULL))
        return "the order of processes, or of their ends";
    if (a->there != b->there)
        return "one run goes on where the other ends: something that no rule considers";
    return "something that no rule considers: time, random numbers, addresses, files that an earlier run left";
}

/* --- what is told --- */

static void show_text(const struct repeat *r) {
    const struct difference *d = &r->difference;
    printf("%u runs with seed %" PRIu64 ": %" PRIu64 " decision%s and %" PRIu64 " fault%s in the first\n", r->runs, r->loaded->seed,
           r->decisions, fsh_plural(r->decisions), r->faults, fsh_plural(r->faults));
    if (d->run) {
        printf("the first difference: run %u, %s/%s, decision %" PRIu64 "\n  1 %s\n  %u %s\n", d->run, d->process, d->thread, d->n,
               d->sides[0].words, d->run, d->sides[1].words);
        printf("likely cause: %s\n", cause_of(r));
        printf("%u of %u runs are as the first, %.4g%% of all decisions agree\n", r->same, r->runs - 1,
               r->compared ? 100.0 * (double)r->agree / (double)r->compared : 100);
    }
    if (r->ends_differ)
        puts("the program did not end in the same way each time");
    printf("%s\n", grades[r->grade]);
}

static void put(json_object *o, const char *key, json_object *value) {
    json_object_object_add(o, key, value);
}

static void show_json(const struct repeat *r) {
    const struct difference *d = &r->difference;
    json_object *o = json_object_new_object(), *first = d->run ? json_object_new_object() : NULL;
    put(o, "runs", json_object_new_int((int)r->runs));
    put(o, "seed", json_object_new_uint64(r->loaded->seed));
    put(o, "grade", json_object_new_string(grades[r->grade]));
    put(o, "decisions", json_object_new_uint64(r->decisions));
    put(o, "faults", json_object_new_uint64(r->faults));
    put(o, "same_runs", json_object_new_int((int)r->same));
    put(o, "agree", json_object_new_uint64(r->agree));
    put(o, "compared", json_object_new_uint64(r->compared));
    put(o, "ends_differ", json_object_new_boolean(r->ends_differ));
    if (first) {
        put(first, "run", json_object_new_int((int)d->run));
        put(first, "process", json_object_new_string(d->process));
        put(first, "thread", json_object_new_string(d->thread));
        put(first, "n", json_object_new_uint64(d->n));
        put(first, "first_run", json_object_new_string(d->sides[0].words));
        put(first, "other_run", json_object_new_string(d->sides[1].words));
        put(first, "likely_cause", json_object_new_string(cause_of(r)));
    }
    put(o, "first_difference", first);
    fsh_put_object(stdout, o);
}

/* --- all of them --- */

static int open_first(struct repeat *r, const char *trace) {
    struct fsh_totals totals;
    r->first = fsh_trace_open(trace);
    if (!r->first)
        return EXIT_TROUBLE;
    if (fsh_reader_totals(r->first, &totals))
        return fsh_fail(EXIT_TROUBLE, "out of memory");
    r->decisions = totals.decisions;
    r->faults = totals.faults;
    fsh_totals_free(&totals);
    return 0;
}

static int repeat_all(struct repeat *r, char **argv, const char *base, bool keep, uint64_t timeout) {
    int status = 0;
    for (unsigned i = 1; !status && i <= r->runs; i++) {
        char trace[PATH_MAX + 32];
        snprintf(trace, sizeof trace, "%s.%u", base, i);
        status = run_once(argv, r, trace, i, timeout);
        if (!status && i == 1) {
            status = open_first(r, trace);
        } else if (!status) {
            r->other = fsh_trace_open(trace);
            int e = r->other ? compare_with_first(r, i) : 0;
            status = !r->other ? EXIT_TROUBLE : e ? fsh_fail(EXIT_TROUBLE, "comparing failed: %s", strerror(-e)) : 0;
            fsh_reader_close(r->other);
        }
        if (!keep)
            unlink(trace);
    }
    fsh_reader_close(r->first);
    return status;
}

int fsh_repeat(char **argv, const struct fsh_common *common, unsigned runs, uint64_t timeout) {
    struct fsh_loaded loaded;
    struct repeat r = {.loaded = &loaded, .runs = runs};
    char folder[PATH_MAX], base[PATH_MAX + 8];
    const char *temp = getenv("TMPDIR");
    int status = 0;
    snprintf(folder, sizeof folder, "%s/faultshim.XXXXXX", temp && *temp ? temp : "/tmp");
    if (common->trace)
        snprintf(base, sizeof base, "%s", common->trace);
    else if (!mkdtemp(folder))
        return fsh_fail(EXIT_TROUBLE, "%s: %s", folder, strerror(errno));
    else
        snprintf(base, sizeof base, "%s/trace", folder);
    if (!fsh_load_options(&loaded, common))
        status = EXIT_TROUBLE;
    else if (loaded.profile.options.trace != TRACE_ALL)
        status = fsh_fail(EXIT_TROUBLE, "runs can be compared only with trace = all");
    else
        status = repeat_all(&r, argv, base, common->trace != NULL, timeout);
    if (!status && common->json)
        show_json(&r);
    else if (!status && !common->quiet)
        show_text(&r);
    if (!status && (r.grade != GRADE_SAME || r.ends_differ))
        status = EXIT_DIFFERENT;
    if (!common->trace)
        rmdir(folder);
    fsh_loaded_free(&loaded);
    return status;
}
