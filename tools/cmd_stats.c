/* cmd_stats.c: faultshim stats: how much of what a run did, by rule, call, outcome and process. Totals come from the run's
 * counters, which hold what the trace may not; outcomes and processes from the decisions themselves. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "options.h"
#include "out.h"
#include "trace_open.h"

static const struct fsh_usage usage = {
    .name = "stats",
    .operands = "[TRACE]",
    .summary = "Counts the decisions and faults of a trace by rule, call, outcome and process.",
    .common = COMMON_TRACE | COMMON_JSON | COMMON_QUIET,
};

/* A fault kind with its errno, as it was injected. */
struct outcome {
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
    struct outcome *outcomes;
    unsigned n_outcomes;
    struct process *processes;
    unsigned n_processes;
    uint64_t last; /* time of the last decision */
};

/* --- gathering --- */

static int add_outcome(struct stats *s, const struct fsh_decision *d) {
    unsigned i = 0;
    while (i < s->n_outcomes && (s->outcomes[i].fault != d->fault_kind || s->outcomes[i].error != d->error))
        i++;
    if (i == s->n_outcomes) {
        struct outcome *more = reallocarray(s->outcomes, i + 1, sizeof *more);
        if (!more)
            return -1;
        more[i] = (struct outcome){d->fault_kind, d->error, 0, 0};
        s->outcomes = more;
        s->n_outcomes++;
    }
    s->outcomes[i].n++;
    s->outcomes[i].amount += d->amount;
    return 0;
}

static int see(void *arg, const struct fsh_decision *d) {
    struct stats *s = arg;
    if (d->time > s->last)
        s->last = d->time;
    return d->fault ? add_outcome(s, d) : 0;
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

static bool gather(struct stats *s) {
    struct fsh_visitor visitor = {s, see, NULL};
    bool good = fsh_reader_totals(s->reader, &s->totals) == 0;
    for (unsigned i = 0; good && i < fsh_reader_threads(s->reader); i++)
        good = add_thread(s, i);
    return good && fsh_reader_walk(s->reader, &visitor) == 0;
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
    if (s->n_outcomes)
        printf("\n%-24s %12s\n", "fault", "times");
    for (unsigned i = 0; i < s->n_outcomes; i++) {
        const struct outcome *o = &s->outcomes[i];
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

static json_object *outcomes_json(const struct stats *s) {
    json_object *list = json_object_new_array();
    char number[16];
    for (unsigned i = 0; i < s->n_outcomes; i++) {
        json_object *o = json_object_new_object();
        put(o, "fault", json_object_new_string(fsh_reader_fault_name(s->reader, s->outcomes[i].fault)));
        put(o, "errno", s->outcomes[i].error ? json_object_new_string(fsh_errno_text(s->outcomes[i].error, number)) : NULL);
        put(o, "times", json_object_new_uint64(s->outcomes[i].n));
        put(o, "amount", json_object_new_uint64(s->outcomes[i].amount));
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
    put(o, "outcomes", outcomes_json(s));
    put(o, "processes", processes_json(s));
    fsh_put_object(stdout, o);
}

/* --- the command --- */

static int count(const char *path, const struct fsh_common *common) {
    struct stats s = {.reader = fsh_trace_open(path)};
    if (!s.reader)
        return EXIT_TROUBLE;
    int status = 0;
    if (!gather(&s)) {
        status = fsh_fail(EXIT_TROUBLE, "out of memory");
    } else if (common->json) {
        show_json(&s);
    } else {
        show_text(&s);
        fflush(stdout);
        if (!common->quiet)
            fsh_trace_complete(s.reader, true);
    }
    free(s.outcomes);
    free(s.processes);
    fsh_totals_free(&s.totals);
    fsh_reader_close(s.reader);
    return fsh_out_finish(status);
}

static bool take_nothing(void *arg, int id, const char *value) {
    return false;
}

int fsh_cmd_stats(int argc, char **argv) {
    struct fsh_common common;
    int status, at = fsh_options(argc, argv, &usage, &common, take_nothing, NULL, &status);
    const char *path = at < 0 ? NULL : fsh_option_trace(argc, argv, at, &usage, &common, &status);
    if (path)
        status = count(path, &common);
    fsh_common_free(&common);
    return status;
}
