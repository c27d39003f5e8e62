/* cmd_shrink.c: faultshim shrink: from a trace whose run failed to the smallest set of its faults that still makes it fail.
 *
 * A run of the search is a replay in the mode `set` with some of the faults left out, so that leaving one out does not move the
 * others. Answers are written down as they come, by a hash of what was left out; a search that goes on later asks the same
 * questions in the same order and finds them answered. */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "as_profile.h"
#include "cdd.h"
#include "commands.h"
#include "draw.h"
#include "grow.h"
#include "options.h"
#include "out.h"
#include "recorded.h"
#include "trace_open.h"
#include "trial.h"

enum { ID_TIMEOUT = 300, ID_RUNS, ID_CONFIRM, ID_SETUP, ID_COPY, ID_RESUME, JOBS_MOST = 64, WIDEN_MAX = 16, ERRNOS_TRIED = 4 };
enum { NS_PER_S = 1000000000 };

static const struct fsh_option own_options[] = {
    CONDITION_OPTIONS,
    {ID_TIMEOUT, "timeout", "DURATION", "end each run after this time (default: ten times the recorded one, 10s at least)"},
    {ID_RUNS, "runs", "N", "ask each question N times; half of the runs must fail (default 1)"},
    {ID_CONFIRM, "confirm", "N", "run what is found N times (default 8)"},
    {'j', "jobs", "N", "runs side by side, each in a copy of the working directory"},
    {ID_SETUP, "setup", "COMMAND", "a shell command before each run"},
    {ID_COPY, "copy", NULL, "each run in a fresh copy of the working directory"},
    {ID_RESUME, "resume", NULL, "go on with a search that was stopped"},
};

static const struct fsh_usage usage = {
    .name = "shrink",
    .operands = "[TRACE] [-- PROGRAM [ARGUMENT]...]",
    .summary = "Finds the smallest set of the recorded faults with which the program still fails, by running it again and again.\n"
               "Without another condition, a failure is what the recorded run ended with. The result is a trace (--trace, or\n"
               "TRACE with .shrunk.trace at its end) and beside it a profile that reproduces the failure by itself.",
    .common = COMMON_TRACE | COMMON_JSON | COMMON_QUIET,
    .options = own_options,
    .n_options = sizeof own_options / sizeof *own_options,
};

struct answer {
    uint64_t question;
    unsigned failed, made;
};

struct shrink {
    struct fsh_common common;
    struct fsh_condition condition;
    struct fsh_trials trials;
    uint64_t runs, confirm, jobs;
    bool resume;
    char **command; /* behind --; NULL: the recorded one */
    char *argv_text;
    struct fsh_reader *reader;
    struct fsh_loaded loaded;
    char path[PATH_MAX], trace[PATH_MAX], profile[PATH_MAX], state[PATH_MAX];

    size_t n, before; /* decisions that fired; those of them that can be left out */
    uint8_t *excluded;
    struct fsh_cdd cdd;
    struct answer *answers;
    size_t n_answers, answers_room;
    FILE *log;
    unsigned asked, known;
    struct fsh_trial final, by_profile;
    struct fsh_exact_profile exact;
    bool has_profile, widened;
};

static bool take(void *arg, int id, const char *value) {
    struct shrink *s = arg;
    if (fsh_condition_is_option(id))
        return fsh_condition_take(&s->condition, id, value);
    switch (id) {
    case ID_TIMEOUT:
        return fsh_option_time("--timeout", value, &s->trials.timeout);
    case ID_RUNS:
        return fsh_option_count("--runs", value, &s->runs);
    case ID_CONFIRM:
        return fsh_option_count("--confirm", value, &s->confirm);
    case 'j':
        return fsh_option_count("--jobs", value, &s->jobs);
    case ID_SETUP:
        s->trials.setup = value;
        return true;
    case ID_COPY:
        return s->trials.copy = true;
    default:
        return s->resume = true;
    }
}

static bool is_sensible(const struct shrink *s) {
    if (s->runs >= 1 && s->runs <= 1000 && s->confirm >= 1 && s->confirm <= 1000 && s->jobs >= 1 && s->jobs <= JOBS_MOST)
        return true;
    fsh_warn("write --runs and --confirm from 1 to 1000, and --jobs from 1 to %d", JOBS_MOST);
    return false;
}

/* --- what is known already --- */

static uint64_t question_of(const struct shrink *s, const uint8_t *excluded) {
    return fsh_hash(excluded, s->n);
}

static const struct answer *find_answer(const struct shrink *s, uint64_t question) {
    for (size_t i = 0; i < s->n_answers; i++)
        if (s->answers[i].question == question)
            return &s->answers[i];
    return NULL;
}

static bool keep_answer(struct shrink *s, const struct answer *a, bool write) {
    if (!fsh_grow(&s->answers, &s->answers_room, s->n_answers, sizeof *a))
        return false;
    s->answers[s->n_answers++] = *a;
    if (write && s->log) {
        fprintf(s->log, "%016" PRIx64 " %u %u\n", a->question, a->failed, a->made);
        fflush(s->log);
    }
    return true;
}

/* What a search depends on: with another, what was found before is worth nothing. */
static uint64_t nature_of(const struct shrink *s) {
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return 0;
    fsh_condition_put(out, &s->condition);
    fprintf(out, "|%" PRIx64 "|%" PRIu64 "|%d|%s", fsh_reader_header(s->reader)->nonce, s->runs, s->trials.copy,
            s->trials.setup ? s->trials.setup : "");
    for (char **p = s->trials.argv; *p; p++)
        fprintf(out, "|%s", *p);
    fclose(out);
    uint64_t h = fsh_hash(text, len);
    free(text);
    return h;
}

static bool open_state(struct shrink *s) {
    char head[64], line[128];
    snprintf(head, sizeof head, "faultshim shrink %016" PRIx64 "\n", nature_of(s));
    FILE *old = s->resume ? fopen(s->state, "re") : NULL;
    if (s->resume && !old) {
        fsh_warn("%s: %s; there is nothing to go on with", s->state, strerror(errno));
        return false;
    }
    if (old && (!fgets(line, sizeof line, old) || strcmp(line, head) != 0)) {
        fsh_warn("%s belongs to a search for something else; start again without --resume", s->state);
        fclose(old);
        return false;
    }
    struct answer a;
    while (old && fgets(line, sizeof line, old) && strchr(line, '\n') &&
           sscanf(line, "%" SCNx64 " %u %u", &a.question, &a.failed, &a.made) == 3)
        keep_answer(s, &a, false);
    if (old)
        fclose(old);
    s->log = fopen(s->state, "we");
    if (!s->log) {
        fsh_warn("%s: %s", s->state, strerror(errno));
        return false;
    }
    fputs(head, s->log);
    for (size_t i = 0; i < s->n_answers; i++)
        fprintf(s->log, "%016" PRIx64 " %u %u\n", s->answers[i].question, s->answers[i].failed, s->answers[i].made);
    fflush(s->log);
    return true;
}

/* --- the search --- */

static void show_progress(const struct shrink *s) {
    static size_t said = SIZE_MAX;
    bool live = isatty(2);
    if (s->common.quiet || s->common.json || (!live && said == s->cdd.left))
        return;
    said = s->cdd.left;
    fprintf(stderr, "%sfaultshim: %zu → %zu fault%s, %" PRIu64 " run%s%s", live ? "\r\033[K" : "", s->before, s->cdd.left,
            fsh_plural(s->cdd.left), s->trials.done, fsh_plural(s->trials.done), live ? "" : "\n");
    fflush(stderr);
}

static void end_progress(const struct shrink *s) {
    if (!s->common.quiet && !s->common.json && isatty(2))
        fputc('\n', stderr);
}

/* 0, or an exit status. Answers that are known are not asked for again. */
static int ask(struct shrink *s, struct fsh_trial *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct answer *a = find_answer(s, question_of(s, v[i].excluded));
        s->asked++;
        if (!a)
            continue;
        v[i].settled = true;
        v[i].failed = a->failed;
        v[i].made = a->made;
        s->known++;
    }
    int status = fsh_trials_ask(&s->trials, v, n);
    if (status)
        return status;
    if (fsh_trials_stopped)
        return 128 + fsh_trials_stopped;
    for (size_t i = 0; i < n; i++)
        if (!v[i].settled && !keep_answer(s, &(struct answer){question_of(s, v[i].excluded), v[i].failed, v[i].made}, true))
            return fsh_fail(EXIT_TROUBLE, "out of memory");
    return 0;
}

static int test_parts(void *arg, const uint8_t *const *excluded, size_t parts, bool *fails) {
    struct shrink *s = arg;
    struct fsh_trial v[JOBS_MOST] = {0};
    for (size_t i = 0; i < parts; i++)
        v[i].excluded = excluded[i];
    int status = ask(s, v, parts);
    for (size_t i = 0; i < parts && !status; i++)
        fails[i] = fsh_trial_fails(&v[i]);
    if (!status)
        show_progress(s);
    return status;
}

static void show_change(void *arg) {
    show_progress(arg);
}

/* Numbers of faults as fsh_script_compile counts them. */
static int count_fault(void *arg, const struct fsh_decision *d) {
    struct shrink *s = arg;
    if (d->again || !d->fault)
        return 0;
    if (s->excluded) {
        s->excluded[s->n] = (d->flags & FAULT_LASTING) != 0;
        s->before += !s->excluded[s->n];
    }
    s->n++;
    return 0;
}

static bool find_faults(struct shrink *s) {
    struct fsh_visitor visitor = {s, count_fault, NULL};
    int e = fsh_reader_walk(s->reader, &visitor);
    s->excluded = e ? NULL : calloc(s->n + 1, 1);
    s->n = 0;
    e = e ? e : s->excluded ? fsh_reader_walk(s->reader, &visitor) : -ENOMEM;
    if (e)
        fsh_warn("reading the trace failed: %s", strerror(-e));
    else if (!s->before)
        fsh_warn("%s has no faults", s->path);
    return !e && s->before;
}

/* The failure must come with all faults, and must not come with none. */
static int test_start(struct shrink *s) {
    uint8_t *none = malloc(s->n + 1);
    struct fsh_trial all = {.excluded = s->excluded, .runs = s->runs > 3 ? (unsigned)s->runs : 3, .whole = true},
                     nothing = {.excluded = none, .runs = all.runs, .whole = true};
    if (!none)
        return fsh_fail(EXIT_TROUBLE, "out of memory");
    memset(none, 1, s->n);
    int status = ask(s, &all, 1);
    if (!status && !fsh_trial_fails(&all))
        status = fsh_fail(EXIT_DIFFERENT,
                          "the failure does not repeat: %u of %u runs with all %zu faults fail; try more --runs, --setup "
                          "for what the run needs, or --copy for what it leaves behind",
                          all.failed, all.made, s->before);
    if (!status)
        status = ask(s, &nothing, 1);
    if (!status && nothing.failed)
        status = fsh_fail(EXIT_DIFFERENT, "%u of %u runs fail without any fault; nothing can be learned from the faults",
                          nothing.failed, nothing.made);
    free(none);
    return status;
}

/* --- what was found --- */

/* At least so many of the runs fail, with a confidence of 95 %. */
static double at_least(const struct fsh_trial *q) {
    const double z = 1.645;
    double n = q->made, p = q->made ? q->failed / n : 0;
    if (q->made && q->failed == q->made)
        return pow(0.05, 1 / n);
    return q->made ? (p + z * z / (2 * n) - z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n) : 0;
}

static char *text_of_profile(const struct fsh_exact_profile *p, size_t *len) {
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    if (!out)
        return NULL;
    fsh_exact_print(out, p);
    fclose(out);
    return text;
}

/* Asks whether the profile, as it is now, still makes the program fail. */
static int ask_profile(struct shrink *s, struct fsh_trial *q) {
    size_t len = 0;
    char *text = text_of_profile(&s->exact, &len);
    if (!text)
        return fsh_fail(EXIT_TROUBLE, "out of memory");
    q->profile = text;
    q->profile_len = len;
    int status = fsh_trials_ask(&s->trials, q, 1);
    free(text);
    q->profile = NULL;
    return status ? status : fsh_trials_stopped ? 128 + fsh_trials_stopped : 0;
}

static int fails_now(struct shrink *s, bool *fails, uint64_t seed) {
    struct fsh_trial q = {.seed = seed};
    int status = ask_profile(s, &q);
    *fails = !status && fsh_trial_fails(&q);
    return status;
}

static void note(struct fsh_exact *x, const char *what) {
    size_t n = strlen(x->comment);
    snprintf(x->comment + n, sizeof x->comment - n, "; %s", what);
}

/* How much is as good as what was drawn: two other seeds say so. */
static int widen_amount(struct shrink *s, struct fsh_exact *x) {
    bool one = false, two = false;
    if (!x->has_words)
        return 0;
    x->has_words = false;
    int status = fails_now(s, &one, 1);
    if (!status && one)
        status = fails_now(s, &two, 2);
    x->has_words = !(one && two);
    if (one && two)
        note(x, "any amount");
    return status;
}

static int widen_errno(struct shrink *s, struct fsh_exact *x) {
    bool is_after = x->fault_kind == FAULT_ERROR_AFTER, fails;
    char words[256], *before = x->fault, number[16];
    unsigned tried = 0, good = 0;
    int status = 0;
    if (x->fault_kind != FAULT_ERROR && !is_after)
        return 0;
    size_t n = (size_t)snprintf(words, sizeof words, "%s", before);
    const int16_t *errnos = fsh_call_errnos((enum fsh_call)x->own_call, (enum fsh_kind)x->kind);
    for (; *errnos && tried < ERRNOS_TRIED && !status; errnos++) {
        if (*errnos == x->error || *errnos == EINTR || *errnos == EAGAIN)
            continue;
        const char *name = fsh_errno_text(*errnos, number);
        if (asprintf(&x->fault, "%s %s", is_after ? "error-after" : "error", name) < 0)
            x->fault = before;
        status = fails_now(s, &fails, 1);
        if (x->fault != before)
            free(x->fault);
        x->fault = before;
        tried++;
        good += fails;
        if (fails && n < sizeof words)
            n += (size_t)snprintf(words + n, sizeof words - n, " %s", name);
    }
    if (good && n < sizeof words) {
        note(x, good == tried ? "any errno" : "some errnos");
        x->fault = strdup(words);
        if (x->fault)
            free(before);
        else
            x->fault = before;
    }
    return status;
}

/* Another one in its place, and then every one from it on: told, but the profile keeps the one that was found. */
static int widen_place(struct shrink *s, struct fsh_exact *x) {
    bool next = false, last = false, open = false;
    uint64_t at = x->nth[0];
    int status = 0;
    if (x->n != 1 || x->has_words)
        return 0;
    if (x->seen > at) {
        x->nth[0] = at + 1;
        status = fails_now(s, &next, 1);
        x->nth[0] = x->seen;
        if (!status && next)
            status = fails_now(s, &last, 1);
        x->nth[0] = at;
        if (next && last)
            note(x, "any later one in its place");
    }
    x->open = true;
    if (!status)
        status = fails_now(s, &open, 1);
    x->open = false;
    if (open)
        note(x, "also if all later ones fail");
    return status;
}

static int widen(struct shrink *s) {
    int status = 0;
    for (size_t i = 0; i < s->exact.n && i < WIDEN_MAX && !status; i++) {
        struct fsh_exact *x = &s->exact.v[i];
        status = widen_amount(s, x);
        status = status ? status : widen_errno(s, x);
        status = status ? status : widen_place(s, x);
    }
    return status;
}

static bool read_exact(struct shrink *s) {
    struct fsh_reader *reader = fsh_trace_open(s->trace);
    fsh_exact_free(&s->exact);
    memset(&s->exact, 0, sizeof s->exact);
    bool good = reader && fsh_exact_read(&s->exact, reader, s->trace, NULL, NULL);
    if (reader)
        fsh_reader_close(reader);
    return good;
}

static int write_profile(const struct shrink *s) {
    FILE *out = fopen(s->profile, "we");
    if (out)
        fsh_exact_print(out, &s->exact);
    if (!out || fclose(out) != 0)
        return fsh_fail(EXIT_TROUBLE, "%s: %s", s->profile, strerror(errno));
    return 0;
}

/* The wider profile if it holds, otherwise the exact one; none if not even that does. */
static int make_profile(struct shrink *s) {
    const struct fsh_trial question = {.seed = s->loaded.seed, .runs = (unsigned)s->confirm, .whole = true};
    bool exact;
    s->by_profile = question;
    if (!read_exact(s))
        return 0;
    int status = ask_profile(s, &s->by_profile);
    exact = !status && fsh_trial_fails(&s->by_profile);
    if (status || !exact)
        return status;
    status = widen(s);
    if (status)
        return status;
    struct fsh_trial wide = question;
    status = ask_profile(s, &wide);
    s->widened = !status && wide.failed >= s->by_profile.failed;
    if (s->widened)
        s->by_profile = wide;
    else if (!status && !read_exact(s))
        return EXIT_TROUBLE;
    s->has_profile = !status;
    return status ? status : write_profile(s);
}

static int confirm(struct shrink *s) {
    s->final = (struct fsh_trial){.excluded = s->excluded, .runs = (unsigned)s->confirm, .whole = true, .keep = s->trace};
    int status = fsh_trials_ask(&s->trials, &s->final, 1);
    if (!status && fsh_trials_stopped)
        return 128 + fsh_trials_stopped;
    if (!status && !s->final.failed)
        return fsh_fail(EXIT_DIFFERENT, "what was found does not repeat: 0 of %u runs with these %zu faults fail; try more --runs",
                        s->final.made, s->cdd.left);
    return status;
}

static int search(struct shrink *s) {
    int status = test_start(s);
    if (status)
        return status;
    s->cdd = (struct fsh_cdd){.n = s->n,
                              .excluded = s->excluded,
                              .left = s->before,
                              .batch = s->jobs,
                              .test = test_parts,
                              .changed = show_change,
                              .arg = s};
    int e = fsh_cdd(&s->cdd);
    end_progress(s);
    if (e)
        return e < 0 ? fsh_fail(EXIT_TROUBLE, "out of memory") : e;
    status = confirm(s);
    return status ? status : make_profile(s);
}

/* --- what is said --- */

struct shown {
    const struct shrink *s;
    const struct fsh_reader *reader;
    FILE *out;
    json_object *list;
    size_t n;
};

static int show_fault(void *arg, const struct fsh_decision *d) {
    struct shown *shown = arg;
    if (!d->fault || d->flags & FAULT_LASTING)
        return 0;
    if (shown->list) {
        json_object_array_add(shown->list, fsh_decision_json(shown->reader, d));
        return 0;
    }
    const struct fsh_thread_info *t = fsh_reader_thread(shown->reader, d->thread);
    const char *resource = fsh_resource_name(shown->reader, d->resource);
    fprintf(shown->out, "faultshim:   %s/%s %s", t->process, t->name, fsh_reader_call_name(shown->reader, d->call));
    if (*resource) {
        fputc(' ', shown->out);
        fsh_put_safe(shown->out, resource);
    }
    fputs(" = ", shown->out);
    fsh_put_outcome(shown->out, shown->reader, d);
    fputc('\n', shown->out);
    return 0;
}

static void show_faults(const struct shrink *s, FILE *out, json_object *list) {
    struct shown shown = {.s = s, .reader = fsh_trace_open(s->trace), .out = out, .list = list};
    struct fsh_visitor visitor = {&shown, show_fault, NULL};
    if (!shown.reader)
        return;
    fsh_reader_walk(shown.reader, &visitor);
    fsh_reader_close((struct fsh_reader *)(uintptr_t)shown.reader);
}

static void show_text(const struct shrink *s) {
    printf("faultshim: %zu → %zu fault%s, %" PRIu64 " runs, %u of %u fail (at least %.0f%% of all, with a confidence of 95%%)\n",
           s->before, s->cdd.left, fsh_plural(s->cdd.left), s->trials.done, s->final.failed, s->final.made,
           100 * at_least(&s->final));
    show_faults(s, stdout, NULL);
    for (size_t i = 0; s->widened && i < s->exact.n; i++)
        if (strchr(s->exact.v[i].comment, ';'))
            printf("faultshim:   %s%s\n", s->exact.v[i].name, strchr(s->exact.v[i].comment, ';'));
    printf("faultshim: trace %s\n", s->trace);
    if (s->has_profile)
        printf("faultshim: profile %s, with it %u of %u fail\n", s->profile, s->by_profile.failed, s->by_profile.made);
    else
        puts("faultshim: no profile of exact rules reproduces it; replay the trace with --mode set");
}

static void put(json_object *o, const char *key, json_object *value) {
    json_object_object_add(o, key, value);
}

static void show_json(const struct shrink *s) {
    json_object *o = json_object_new_object(), *list = json_object_new_array(), *wider = json_object_new_array();
    put(o, "faults_before", json_object_new_uint64(s->before));
    put(o, "faults", json_object_new_uint64(s->cdd.left));
    put(o, "runs", json_object_new_uint64(s->trials.done));
    put(o, "questions", json_object_new_uint64(s->asked));
    put(o, "known", json_object_new_uint64(s->known));
    put(o, "confirmed", json_object_new_uint64(s->final.failed));
    put(o, "confirm_runs", json_object_new_uint64(s->final.made));
    put(o, "fails_at_least", json_object_new_double(at_least(&s->final)));
    show_faults(s, NULL, list);
    put(o, "remaining", list);
    for (size_t i = 0; s->widened && i < s->exact.n; i++) {
        const char *more = strchr(s->exact.v[i].comment, ';');
        json_object_array_add(wider, json_object_new_string(more ? more + 2 : ""));
    }
    put(o, "wider", wider);
    put(o, "trace", json_object_new_string(s->trace));
    put(o, "profile", s->has_profile ? json_object_new_string(s->profile) : NULL);
    put(o, "profile_fails", json_object_new_uint64(s->by_profile.failed));
    fsh_put_object(stdout, o);
}

/* --- the command --- */

/* Absolute, because the runs have another working directory. */
static bool make_absolute(char out[PATH_MAX], const char *path) {
    char cwd[PATH_MAX] = "";
    if (*path != '/' && !getcwd(cwd, sizeof cwd)) {
        fsh_warn("the working directory: %s", strerror(errno));
        return false;
    }
    if (snprintf(out, PATH_MAX, "%s%s%s", cwd, *cwd ? "/" : "", path) < PATH_MAX - 64)
        return true;
    fsh_warn("%s: the path is too long", path);
    return false;
}

static bool choose_names(struct shrink *s, const char *path) {
    char base[PATH_MAX];
    if (!make_absolute(s->path, path) || !make_absolute(base, s->common.trace ? s->common.trace : path))
        return false;
    size_t n = strlen(base);
    if (n > 6 && !strcmp(base + n - 6, ".trace"))
        base[n - 6] = 0;
    const char *more = s->common.trace ? "" : ".shrunk";
    int a = snprintf(s->trace, sizeof s->trace, "%s%s.trace", base, more);
    if (s->common.trace)
        make_absolute(s->trace, s->common.trace);
    int b = snprintf(s->profile, sizeof s->profile, "%s%s.ini", base, more);
    int c = snprintf(s->state, sizeof s->state, "%s%s.state", base, more);
    return a < PATH_MAX && b < PATH_MAX && c < PATH_MAX;
}

static void choose_timeout(struct shrink *s) {
    const struct fsh_header *h = fsh_reader_header(s->reader);
    uint64_t ns = h->end_monotonic > h->start_monotonic ? h->end_monotonic - h->start_monotonic : 0;
    uint64_t factor = h->end == END_TIMEOUT ? 1 : 10;
    if (!s->trials.timeout)
        s->trials.timeout = factor * ns > UINT64_C(10) * NS_PER_S ? factor * ns : UINT64_C(10) * NS_PER_S;
}

static int run_search(struct shrink *s) {
    s->trials.recorded = s->reader;
    s->trials.path = s->path;
    s->trials.loaded = &s->loaded;
    s->trials.condition = &s->condition;
    s->trials.runs = (unsigned)s->runs;
    s->trials.jobs = (unsigned)s->jobs;
    s->trials.copy |= s->jobs > 1;
    choose_timeout(s);
    if (!find_faults(s) || !open_state(s) || !fsh_trials_begin(&s->trials))
        return EXIT_TROUBLE;
    int status = search(s);
    fsh_trials_end(&s->trials);
    if (fsh_trials_stopped)
        fsh_warn("stopped after %" PRIu64 " run%s; --resume goes on from here", s->trials.done, fsh_plural(s->trials.done));
    else if (!status)
        unlink(s->state);
    if (!status && s->common.json)
        show_json(s);
    else if (!status && !s->common.quiet)
        show_text(s);
    return status;
}

static int shrink_trace(struct shrink *s, const char *path) {
    int status = EXIT_TROUBLE;
    if (!choose_names(s, path) || !(s->reader = fsh_trace_open(s->path)))
        return status;
    s->trials.argv = s->command;
    if (!s->command)
        s->trials.argv = fsh_recorded_command(s->reader, s->path, &s->argv_text);
    if (s->trials.argv && fsh_recorded_whole(s->reader, s->path) && fsh_condition_complete(&s->condition, s->reader) &&
        fsh_load_trace(&s->loaded, s->reader, s->path) && fsh_recorded_environment(s->reader) && fsh_recorded_directory(s->reader))
        status = run_search(s);
    if (s->log)
        fclose(s->log);
    if (!s->command)
        free(s->trials.argv);
    free(s->argv_text);
    free(s->excluded);
    free(s->answers);
    fsh_exact_free(&s->exact);
    fsh_loaded_free(&s->loaded);
    fsh_reader_close(s->reader);
    return status;
}

int fsh_cmd_shrink(int argc, char **argv) {
    struct shrink *s = calloc(1, sizeof *s);
    int status, n = 1;
    if (!s)
        return fsh_fail(EXIT_TROUBLE, "out of memory");
    s->runs = s->jobs = 1;
    s->confirm = 8;
    /* what stands behind `--` is the command; getopt would mix it with our own operands */
    while (n < argc && strcmp(argv[n], "--") != 0)
        n++;
    if (n + 1 < argc)
        s->command = argv + n + 1;
    int at = fsh_options(n, argv, &usage, &s->common, take, s, &status);
    if (at >= 0 && n - at > 1)
        status = fsh_fail(EXIT_TROUBLE, "shrink reads one trace; put a command behind --");
    else if (at >= 0)
        status = is_sensible(s) ? fsh_out_finish(shrink_trace(s, n > at ? argv[at] : FSH_DEFAULT_TRACE)) : EXIT_TROUBLE;
    fsh_condition_free(&s->condition);
    fsh_common_free(&s->common);
    free(s);
    return status;
}
