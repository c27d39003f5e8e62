/* cmd_stats.c: faultshim stats: how much of what a run did, by rule, call, outcome and process, of runs that are over and of those
 * that go on. Totals and outcomes come from the run's counters, which hold what the trace may not; processes from the threads'
 * streams. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "live.h"
#include "options.h"
#include "out.h"
#include "trace_open.h"

enum { ID_PROMETHEUS = 300, ID_PID };

static const struct fsh_option own_options[] = {
    {ID_PROMETHEUS, "prometheus", NULL, "as metrics in the text format of Prometheus"},
    {ID_PID, "pid", "PID", "of the run that this process belongs to"},
};

static const struct fsh_usage usage = {
    .name = "stats",
    .operands = "[TRACE]",
    .summary = "Counts the decisions and faults of a run, by rule, call, outcome and process; the run may be going on.",
    .common = COMMON_TRACE | COMMON_JSON | COMMON_QUIET,
    .options = own_options,
    .n_options = sizeof own_options / sizeof *own_options,
};

/* Faults of one kind with one errno; of one rule and call, or of all. */
struct outcome {
    uint16_t rule, call;
    uint8_t fault;
    int error;
    uint64_t n, amount;
};

struct process {
    const char *name, *program;
    uint64_t decisions, faults;
    unsigned threads;
};

struct stats {
    struct fsh_reader *reader;
    struct fsh_totals totals;
    struct outcome *outcomes, *kinds; /* by rule and call too; of all rules and calls */
    unsigned n_outcomes, n_kinds;
    struct process *processes;
    unsigned n_processes;
    uint64_t last; /* time of the last decision */
};

/* --- gathering --- */

static bool add(struct outcome **list, unsigned *n, struct outcome o) {
    unsigned i = 0;
    struct outcome *v = *list;
    while (i < *n && (v[i].fault != o.fault || v[i].error != o.error || v[i].rule != o.rule || v[i].call != o.call))
        i++;
    if (i == *n) {
        v = reallocarray(v, i + 1ul, sizeof *v);
        if (!v)
            return false;
        *list = v;
        v[(*n)++] = (struct outcome){.rule = o.rule, .call = o.call, .fault = o.fault, .error = o.error};
    }
    v[i].n += o.n;
    v[i].amount += o.amount;
    return true;
}

static int compare_outcomes(const void *a, const void *b) {
    const struct outcome *x = a, *y = b;
    if (x->rule != y->rule)
        return x->rule < y->rule ? -1 : 1;
    if (x->call != y->call)
        return x->call < y->call ? -1 : 1;
    if (x->fault != y->fault)
        return x->fault < y->fault ? -1 : 1;
    return x->error < y->error ? -1 : x->error > y->error;
}

/* Names may be missing in a trace that is damaged: they are then shown as "?". */
static bool gather_outcomes(struct stats *s) {
    unsigned n;
    const struct fsh_outcome_state *table = fsh_reader_outcomes(s->reader, &n);
    for (unsigned i = 0; i < n; i++) {
        uint64_t what = table[i].what;
        struct outcome o = {.rule = (uint16_t)(what >> 36),
                            .call = (uint16_t)(what >> 24 & 0xfff),
                            .fault = (uint8_t)(what >> 16),
                            .error = (int16_t)(uint16_t)what,
                            .n = table[i].n,
                            .amount = table[i].amount};
        if (!what || !o.n)
            continue;
        if (!add(&s->outcomes, &s->n_outcomes, o))
            return false;
        o.rule = o.call = 0;
        if (!add(&s->kinds, &s->n_kinds, o))
            return false;
    }
    if (s->n_outcomes)
        qsort(s->outcomes, s->n_outcomes, sizeof *s->outcomes, compare_outcomes);
    if (s->n_kinds)
        qsort(s->kinds, s->n_kinds, sizeof *s->kinds, compare_outcomes);
    return true;
}

static int see(void *arg, const struct fsh_decision *d) {
    struct stats *s = arg;
    if (d->time > s->last)
        s->last = d->time;
    return 0;
}

/* Images of one process (execs) are counted apart: they are other programs. */
static bool add_thread(struct stats *s, unsigned index) {
    const struct fsh_thread_info *t = fsh_reader_thread(s->reader, index);
    const struct fsh_process_info *info = fsh_reader_process_by_key(s->reader, t->process_key, t->image);
    const char *program = info ? info->program : "?";
    unsigned i = 0;
    while (i < s->n_processes && (strcmp(s->processes[i].name, t->process) != 0 || strcmp(s->processes[i].program, program) != 0))
        i++;
    if (i == s->n_processes) {
        struct process *more = reallocarray(s->processes, i + 1, sizeof *more);
        if (!more)
            return false;
        more[i] = (struct process){.name = t->process, .program = program};
        s->processes = more;
        s->n_processes++;
    }
    s->processes[i].threads++;
    s->processes[i].decisions += t->decisions + t->counted;
    s->processes[i].faults += t->faults;
    return true;
}

static bool gather(struct stats *s, bool times) {
    struct fsh_visitor visitor = {s, see, NULL};
    bool good = fsh_reader_totals(s->reader, &s->totals) == 0 && gather_outcomes(s);
    for (unsigned i = 0; good && i < fsh_reader_threads(s->reader); i++)
        good = add_thread(s, i);
    return good && (!times || fsh_reader_walk(s->reader, &visitor) == 0);
}

static const char *end_of(const struct fsh_header *h, char buf[64]) {
    if (h->state != TRACE_SEALED)
        return "open: still running, or killed together with faultshim";
    if (h->end == END_EXITED)
        snprintf(buf, 64, "exited with status %d", h->end_value);
    else if (h->end == END_SIGNALED)
        snprintf(buf, 64, "killed by signal %d", h->end_value);
    else
        snprintf(buf, 64, "%s", h->end == END_TIMEOUT ? "killed after its timeout" : "unknown");
    return buf;
}

/* --- showing --- */

static void show_text(const struct stats *s) {
    const struct fsh_header *h = fsh_reader_header(s->reader);
    char buf[64], number[16];
    struct fsh_text command = fsh_reader_meta(s->reader, META_COMMAND);
    fputs("command   ", stdout);
    for (const char *p = command.data; p < command.data + command.len;
         p += strnlen(p, (size_t)(command.data + command.len - p)) + 1) {
        char word[FSH_LINE_MAX];
        snprintf(word, sizeof word, "%.*s", (int)strnlen(p, (size_t)(command.data + command.len - p)), p);
        fputs(p == command.data ? "" : " ", stdout);
        fsh_put_shell(stdout, word);
    }
    printf("\nseed      %" PRIu64 "\nend       %s\n", h->seed, end_of(h, buf));
    printf("decisions %" PRIu64 "\nfaults    %" PRIu64 "\n", s->totals.decisions, s->totals.faults);
    printf("\n%-24s %12s %10s\n", "rule", "considered", "fired");
    for (unsigned i = 0; i < fsh_reader_rules(s->reader); i++)
        printf("%-24s %12" PRIu64 " %10" PRIu64 "\n", fsh_reader_rule_name(s->reader, i), s->totals.considered[i],
               s->totals.fired[i]);
    printf("\n%-24s %12s\n", "call", "decisions");
    for (unsigned i = 0; i < h->n_calls; i++)
        if (s->totals.calls[i])
            printf("%-24s %12" PRIu64 "\n", fsh_reader_call_name(s->reader, i), s->totals.calls[i]);
    if (s->n_kinds)
        printf("\n%-24s %12s\n", "fault", "times");
    for (unsigned i = 0; i < s->n_kinds; i++) {
        const struct outcome *o = &s->kinds[i];
        char name[64];
        snprintf(name, sizeof name, "%s%s%s", fsh_reader_fault_name(s->reader, o->fault), o->error ? " " : "",
                 o->error ? fsh_errno_text(o->error, number) : "");
        printf("%-24s %12" PRIu64 "\n", name, o->n);
    }
    printf("\n%-24s %12s %10s %8s  %s\n", "process", "decisions", "faults", "threads", "program");
    for (unsigned i = 0; i < s->n_processes; i++) {
        const struct process *p = &s->processes[i];
        printf("%-24s %12" PRIu64 " %10" PRIu64 " %8u  ", p->name, p->decisions, p->faults, p->threads);
        fsh_put_safe(stdout, p->program);
        putchar('\n');
    }
}

static void put(json_object *o, const char *key, json_object *value) {
    json_object_object_add(o, key, value);
}

static json_object *rules_json(const struct stats *s) {
    json_object *list = json_object_new_array();
    for (unsigned i = 0; i < fsh_reader_rules(s->reader); i++) {
        json_object *o = json_object_new_object();
        put(o, "name", json_object_new_string(fsh_reader_rule_name(s->reader, i)));
        put(o, "considered", json_object_new_uint64(s->totals.considered[i]));
        put(o, "fired", json_object_new_uint64(s->totals.fired[i]));
        json_object_array_add(list, o);
    }
    return list;
}

static json_object *calls_json(const struct stats *s) {
    json_object *o = json_object_new_object();
    for (unsigned i = 0; i < fsh_reader_header(s->reader)->n_calls; i++)
        if (s->totals.calls[i])
            put(o, fsh_reader_call_name(s->reader, i), json_object_new_uint64(s->totals.calls[i]));
    return o;
}

static json_object *outcomes_json(const struct stats *s, const struct outcome *v, unsigned n, bool whose) {
    json_object *list = json_object_new_array();
    char number[16];
    for (unsigned i = 0; i < n; i++) {
        json_object *o = json_object_new_object();
        if (whose) {
            put(o, "rule", json_object_new_string(fsh_reader_rule_name(s->reader, v[i].rule)));
            put(o, "call", json_object_new_string(fsh_reader_call_name(s->reader, v[i].call)));
        }
        put(o, "fault", json_object_new_string(fsh_reader_fault_name(s->reader, v[i].fault)));
        put(o, "errno", v[i].error ? json_object_new_string(fsh_errno_text(v[i].error, number)) : NULL);
        put(o, "times", json_object_new_uint64(v[i].n));
        put(o, "amount", json_object_new_uint64(v[i].amount));
        json_object_array_add(list, o);
    }
    return list;
}

static json_object *processes_json(const struct stats *s) {
    json_object *list = json_object_new_array();
    for (unsigned i = 0; i < s->n_processes; i++) {
        json_object *o = json_object_new_object();
        put(o, "name", json_object_new_string(s->processes[i].name));
        put(o, "program", json_object_new_string(s->processes[i].program));
        put(o, "threads", json_object_new_uint64(s->processes[i].threads));
        put(o, "decisions", json_object_new_uint64(s->processes[i].decisions));
        put(o, "faults", json_object_new_uint64(s->processes[i].faults));
        json_object_array_add(list, o);
    }
    return list;
}

static void show_json(const struct stats *s) {
    const struct fsh_header *h = fsh_reader_header(s->reader);
    char buf[64];
    json_object *o = json_object_new_object();
    put(o, "seed", json_object_new_uint64(h->seed));
    put(o, "sealed", json_object_new_boolean(h->state == TRACE_SEALED));
    put(o, "end", json_object_new_string(end_of(h, buf)));
    put(o, "complete", json_object_new_boolean(fsh_trace_complete(s->reader, false)));
    put(o, "seconds", json_object_new_double((double)s->last / 1e9));
    put(o, "decisions", json_object_new_uint64(s->totals.decisions));
    put(o, "faults", json_object_new_uint64(s->totals.faults));
    put(o, "rules", rules_json(s));
    put(o, "calls", calls_json(s));
    put(o, "outcomes", outcomes_json(s, s->kinds, s->n_kinds, false));
    put(o, "faults_of_rules", outcomes_json(s, s->outcomes, s->n_outcomes, true));
    put(o, "processes", processes_json(s));
    fsh_put_object(stdout, o);
}

/* --- Prometheus --- */

static void metric(const char *name, const char *type, const char *help) {
    printf("# HELP faultshim_%s %s\n# TYPE faultshim_%s %s\n", name, help, name, type);
}

/* One label; bytes that are no UTF-8 stay as they are. */
static void put_label(const char *before, const char *name, const char *value) {
    printf("%s%s=\"", before, name);
    for (; *value; value++)
        if (*value == '\n')
            fputs("\\n", stdout);
        else if (*value == '"' || *value == '\\')
            printf("\\%c", *value);
        else
            putchar(*value);
    putchar('"');
}

static void put_value(const char *name, const char *label, const char *value, uint64_t n) {
    printf("faultshim_%s", name);
    put_label("{", label, value);
    printf("} %" PRIu64 "\n", n);
}

static void rule_metrics(const struct stats *s) {
    metric("rule_considered_total", "counter", "Calls that the rule has considered.");
    for (unsigned i = 0; i < fsh_reader_rules(s->reader); i++)
        put_value("rule_considered_total", "rule", fsh_reader_rule_name(s->reader, i), s->totals.considered[i]);
    metric("rule_fired_total", "counter", "Faults that the rule has injected.");
    for (unsigned i = 0; i < fsh_reader_rules(s->reader); i++)
        put_value("rule_fired_total", "rule", fsh_reader_rule_name(s->reader, i), s->totals.fired[i]);
}

static void fault_metrics(const struct stats *s) {
    char number[16];
    metric("faults_total", "counter", "Faults by rule, call, kind and errno.");
    for (unsigned i = 0; i < s->n_outcomes; i++) {
        const struct outcome *o = &s->outcomes[i];
        fputs("faultshim_faults_total", stdout);
        put_label("{", "rule", fsh_reader_rule_name(s->reader, o->rule));
        put_label(",", "call", fsh_reader_call_name(s->reader, o->call));
        put_label(",", "fault", fsh_reader_fault_name(s->reader, o->fault));
        put_label(",", "errno", o->error ? fsh_errno_text(o->error, number) : "");
        printf("} %" PRIu64 "\n", o->n);
    }
}

/* A process that has gone on as another program by exec has a line for each. */
static void process_metric(const struct stats *s, const char *name, bool faults) {
    for (unsigned i = 0; i < s->n_processes; i++) {
        printf("faultshim_%s", name);
        put_label("{", "process", s->processes[i].name);
        put_label(",", "program", s->processes[i].program);
        printf("} %" PRIu64 "\n", faults ? s->processes[i].faults : s->processes[i].decisions);
    }
}

static void show_prometheus(const struct stats *s) {
    const struct fsh_header *h = fsh_reader_header(s->reader);
    metric("run_info", "gauge", "The run, by its seed.");
    printf("faultshim_run_info{seed=\"%" PRIu64 "\",version=\"" FSH_VERSION "\"} 1\n", h->seed);
    metric("run_start_time_seconds", "gauge", "When the run began, since 1970.");
    printf("faultshim_run_start_time_seconds %" PRIu64 ".%09" PRIu64 "\n", h->start_realtime / 1000000000,
           h->start_realtime % 1000000000);
    metric("run_over", "gauge", "1 if the run is over.");
    printf("faultshim_run_over %d\n", h->state == TRACE_SEALED);
    metric("decisions_total", "counter", "Calls that were decided, by call.");
    for (unsigned i = 0; i < h->n_calls; i++)
        if (s->totals.calls[i])
            put_value("decisions_total", "call", fsh_reader_call_name(s->reader, i), s->totals.calls[i]);
    rule_metrics(s);
    fault_metrics(s);
    metric("process_decisions_total", "counter", "Calls that were decided, by process.");
    process_metric(s, "process_decisions_total", false);
    metric("process_faults_total", "counter", "Faults, by process.");
    process_metric(s, "process_faults_total", true);
    const struct fsh_control *control = fsh_reader_control(s->reader);
    if (control) {
        metric("intensity_ratio", "gauge", "What multiplies the probabilities of all rules.");
        printf("faultshim_intensity_ratio %.6g\n", (double)control->intensity / FSH_LEVEL_FULL);
    }
}

/* --- the command --- */

struct options {
    bool prometheus;
    uint64_t pid;
};

static void show(const struct stats *s, const struct fsh_common *common, const struct options *options) {
    if (options->prometheus) {
        show_prometheus(s);
    } else if (common->json) {
        show_json(s);
    } else {
        show_text(s);
        fflush(stdout);
        if (!common->quiet)
            fsh_trace_complete(s->reader, true);
    }
}

static int count(const char *path, const struct fsh_common *common, const struct options *options) {
    struct stats s = {.reader = fsh_trace_open(path)};
    if (!s.reader)
        return EXIT_TROUBLE;
    int status = 0;
    if (gather(&s, common->json))
        show(&s, common, options);
    else
        status = fsh_fail(EXIT_TROUBLE, "out of memory");
    free(s.outcomes);
    free(s.kinds);
    free(s.processes);
    fsh_totals_free(&s.totals);
    fsh_reader_close(s.reader);
    return fsh_out_finish(status);
}

/* Of a run that is found by one of its processes, wherever its trace is. */
static int count_live(const struct fsh_common *common, const struct options *options) {
    struct fsh_lives lives;
    char path[64];
    if (!fsh_lives_find(&lives))
        return EXIT_TROUBLE;
    const struct fsh_live *live = fsh_lives_with(&lives, options->pid);
    int status = EXIT_TROUBLE;
    if (live) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", live->session.fd);
        status = count(path, common, options);
    } else {
        fsh_warn("process %" PRIu64 " belongs to no run that you can look into", options->pid);
    }
    fsh_lives_free(&lives);
    return status;
}

static bool take(void *arg, int id, const char *value) {
    struct options *options = arg;
    options->prometheus |= id == ID_PROMETHEUS;
    return id != ID_PID || fsh_option_count("--pid", value, &options->pid);
}

int fsh_cmd_stats(int argc, char **argv) {
    struct fsh_common common;
    struct options options = {.pid = 0};
    int status, at = fsh_options(argc, argv, &usage, &common, take, &options, &status);
    const char *path = at < 0 ? NULL : fsh_option_trace(argc, argv, at, &usage, &common, &status);
    if (path)
        status = options.pid ? count_live(&common, &options) : count(path, &common, &options);
    fsh_common_free(&common);
    return status;
}
