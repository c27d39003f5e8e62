/* cmd_log.c: faultshim log: the decisions of a trace, merged by time. A trace holds millions, so a line is put together by hand
 * and nothing is allocated for one. */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "as_profile.h"
#include "commands.h"
#include "events.h"
#include "out.h"
#include "perfetto.h"
#include "select.h"
#include "symbolize.h"
#include "trace_open.h"

enum { ID_HEAD = 300, ID_TAIL, ID_EVENTS, ID_CSV, ID_AS_PROFILE, ID_STACKS, ID_EXPORT, OUT_BUFFER = 1 << 20 };

static const struct fsh_option own_options[] = {
    SELECT_OPTIONS,
    {ID_HEAD, "head", "N", "only the first N lines"},
    {ID_TAIL, "tail", "N", "only the last N lines"},
    {ID_EVENTS, "events", NULL, "processes, threads, forks, execs, phases, changes, marks and what was recorded of clocks too"},
    {'c', "count", NULL, "a table of counts instead"},
    {ID_CSV, "csv", NULL, "comma-separated values"},
    {ID_STACKS, "stacks", NULL, "call stacks too, by function, file and line, where the trace has them"},
    {ID_EXPORT, "export", "FORMAT", "perfetto: for ui.perfetto.dev, processes, threads and events included"},
    {ID_AS_PROFILE, "as-profile", NULL, "the faults as a profile of exact rules, which brings them back"},
};

static const struct fsh_usage usage = {
    .name = "log",
    .operands = "[TRACE]",
    .summary = "Shows the decisions of a trace: time, process/thread, call, resource, size, and the fault if one was injected.\n"
               "With --json one object a line.",
    .common = COMMON_TRACE | COMMON_JSON | COMMON_QUIET,
    .options = own_options,
    .n_options = sizeof own_options / sizeof *own_options,
};

enum form { FORM_TEXT, FORM_JSON, FORM_CSV, FORM_PERFETTO };

struct count {
    uint64_t decisions, faults;
};

struct log {
    struct fsh_common common;
    struct fsh_select select;
    struct fsh_reader *reader;
    bool has_head, has_tail, events, counts, csv, as_profile, stacks, perfetto;
    uint64_t head, tail;
    enum form form;
    uint64_t lines; /* selected so far */
    uint64_t skip;  /* lines that are left out before the tail */
    FILE *out;
    struct fsh_symbols *symbols; /* NULL without --stacks */
    bool has_stacks;             /* some line had one */

    struct count *by_call;
    uint64_t *by_error; /* [call][error]: see error_column */
};

/* --- text --- */

static void put_number(FILE *out, uint64_t v) {
    char digits[20];
    size_t n = sizeof digits;
    do
        digits[--n] = (char)('0' + v % 10);
    while (v /= 10);
    fwrite_unlocked(digits + n, 1, sizeof digits - n, out);
}

static void pad(FILE *out, size_t have, size_t want) {
    do
        putc_unlocked(' ', out);
    while (++have < want);
}

/* Seconds with six digits. */
static void put_seconds(FILE *out, uint64_t ns, unsigned width) {
    char text[32];
    uint64_t us = ns / 1000, s = us / 1000000;
    size_t n = sizeof text;
    us %= 1000000;
    for (int i = 0; i < 6; i++, us /= 10)
        text[--n] = (char)('0' + us % 10);
    text[--n] = '.';
    do
        text[--n] = (char)('0' + s % 10);
    while (s /= 10);
    for (size_t have = sizeof text - n; have < width; have++)
        putc_unlocked(' ', out);
    fwrite_unlocked(text + n, 1, sizeof text - n, out);
}

static void put_who(FILE *out, const struct fsh_thread_info *t) {
    fputs_unlocked(t->process, out);
    putc_unlocked('/', out);
    fputs_unlocked(t->name, out);
    pad(out, strlen(t->process) + 1 + strlen(t->name), 8);
}

static void text_line(const struct log *log, const struct fsh_decision *d) {
    FILE *out = log->out;
    const char *call = fsh_reader_call_name(log->reader, d->call), *resource = fsh_resource_name(log->reader, d->resource);
    put_seconds(out, d->time, 12);
    putc_unlocked(' ', out);
    put_who(out, fsh_reader_thread(log->reader, d->thread));
    fputs_unlocked(call, out);
    pad(out, strlen(call), 10);
    fsh_put_safe(out, *resource ? resource : "-");
    putc_unlocked(' ', out);
    put_number(out, d->size);
    if (d->fault) {
        fputs_unlocked(" = ", out);
        fsh_put_outcome(out, log->reader, d);
        fprintf(out, " [rule %s #%" PRIu64 "]", fsh_reader_rule_name(log->reader, d->rule), d->ordinal);
        if (d->flags & FAULT_REPLAYED)
            fputs_unlocked(" replayed", out);
        if (d->flags & FAULT_STUCK)
            fputs_unlocked(" sticky", out);
        if (d->flags & FAULT_LASTING)
            fputs_unlocked(" lasting", out);
    }
    putc_unlocked('\n', out);
    if (log->symbols)
        fsh_put_stack(out, log->symbols, log->reader, d->thread, d->site, "             | ");
}

/* --- JSON lines, CSV --- */

/* NULL without --stacks, and without a stack. */
static json_object *stack_json(const struct log *log, const struct fsh_decision *d) {
    return log->symbols ? fsh_stack_json(log->symbols, log->reader, d->thread, d->site) : NULL;
}

static void json_line(const struct log *log, const struct fsh_decision *d) {
    FILE *out = log->out;
    const struct fsh_thread_info *t = fsh_reader_thread(log->reader, d->thread);
    json_object *stack = stack_json(log, d);
    if (d->fault) {
        json_object *o = fsh_decision_json(log->reader, d);
        if (stack)
            json_object_object_add(o, "stack", stack);
        fsh_put_object(out, o);
        return;
    }
    fputs_unlocked("{\"process\":", out);
    fsh_put_json(out, t->process);
    fputs_unlocked(",\"thread\":", out);
    fsh_put_json(out, t->name);
    fputs_unlocked(",\"n\":", out);
    put_number(out, d->n);
    fputs_unlocked(",\"time\":", out);
    put_seconds(out, d->time, 0);
    fputs_unlocked(",\"call\":", out);
    fsh_put_json(out, fsh_reader_call_name(log->reader, d->call));
    fputs_unlocked(",\"resource\":", out);
    if (d->resource)
        fsh_put_json(out, fsh_resource_name(log->reader, d->resource));
    else
        fputs_unlocked("null", out);
    fputs_unlocked(",\"size\":", out);
    put_number(out, d->size);
    fputs_unlocked(",\"outcome\":\"pass\"", out);
    if (stack) {
        fputs_unlocked(",\"stack\":", out);
        fputs_unlocked(json_object_to_json_string_ext(stack, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE), out);
        json_object_put(stack);
    }
    fputs_unlocked("}\n", out);
}

static void csv_text(FILE *out, const char *text) {
    putc_unlocked('"', out);
    for (; *text; text++) {
        if (*text == '"')
            putc_unlocked('"', out);
        putc_unlocked(*text, out);
    }
    putc_unlocked('"', out);
}

static void csv_line(const struct log *log, const struct fsh_decision *d) {
    FILE *out = log->out;
    const struct fsh_thread_info *t = fsh_reader_thread(log->reader, d->thread);
    char number[16], amount[24];
    put_seconds(out, d->time, 0);
    fprintf(out, ",%s,%s,%" PRIu64 ",%s,", t->process, t->name, d->n, fsh_reader_call_name(log->reader, d->call));
    csv_text(out, fsh_resource_name(log->reader, d->resource));
    fprintf(out, ",%" PRIu64 ",%s", d->size, d->fault ? "fault" : "pass");
    if (d->fault) {
        bool is_signed;
        int64_t there = fsh_amount_of(log->reader, d, &is_signed);
        snprintf(amount, sizeof amount, is_signed ? "%" PRId64 : "%" PRIu64, there);
        fprintf(out, ",%s,%s,%s,%s,0x%016" PRIx64 ",%" PRIu64 ",0x%016" PRIx64 "\n", fsh_reader_rule_name(log->reader, d->rule),
                fsh_reader_fault_name(log->reader, d->fault_kind), d->error ? fsh_errno_text(d->error, number) : "", amount, d->key,
                d->ordinal, d->word);
    } else
        fputs_unlocked(",,,,,,,\n", out);
}

static struct fsh_perfetto perfetto_of(const struct log *log) {
    return (struct fsh_perfetto){log->out, log->reader, log->symbols};
}

static void perfetto_line(const struct log *log, const struct fsh_decision *d) {
    struct fsh_perfetto p = perfetto_of(log);
    fsh_perfetto_decision(&p, d);
}

static void (*const line_of[])(const struct log *, const struct fsh_decision *) = {
    [FORM_TEXT] = text_line, [FORM_JSON] = json_line, [FORM_CSV] = csv_line, [FORM_PERFETTO] = perfetto_line};

/* --- the walk --- */

/* Whether the line at hand is shown; `stop` says that none after it will be. */
static bool is_shown(struct log *log, int *stop) {
    uint64_t number = log->lines++;
    *stop = log->has_head && log->lines >= log->head;
    if (log->has_head && number >= log->head)
        return false;
    return number >= log->skip;
}

static int show_decision(void *arg, const struct fsh_decision *d) {
    struct log *log = arg;
    int stop = 0;
    if (!fsh_selected(&log->select, d))
        return 0;
    if (is_shown(log, &stop)) {
        line_of[log->form](log, d);
        log->has_stacks |= d->site != 0;
    }
    return stop || ferror_unlocked(log->out) ? 1 : 0;
}

static int show_event(void *arg, const struct fsh_event *e) {
    struct log *log = arg;
    int stop = 0;
    const struct fsh_thread_info *t = fsh_reader_thread(log->reader, e->thread);
    const char *name = fsh_event_name(e);
    if (!name || !fsh_selected_event(&log->select, e) || !is_shown(log, &stop))
        return stop;
    if (log->form == FORM_PERFETTO) {
        struct fsh_perfetto p = perfetto_of(log);
        fsh_perfetto_event(&p, e);
        return stop || ferror_unlocked(log->out) ? 1 : 0;
    }
    if (log->form == FORM_JSON) {
        fputs("{\"process\":", log->out);
        fsh_put_json(log->out, t->process);
        fputs(",\"thread\":", log->out);
        fsh_put_json(log->out, t->name);
        fprintf(log->out, ",\"n\":%" PRIu64 ",\"time\":", e->n);
        put_seconds(log->out, e->time, 0);
        fprintf(log->out, ",\"event\":\"%s\"", name);
    } else {
        put_seconds(log->out, e->time, 12);
        putc(' ', log->out);
        put_who(log->out, t);
        fprintf(log->out, "* %s", name);
    }
    fsh_put_event(log->out, log->reader, e, log->form == FORM_JSON);
    fputs(log->form == FORM_JSON ? "}\n" : "\n", log->out);
    return stop || ferror_unlocked(log->out) ? 1 : 0;
}

static int count_line(void *arg, const struct fsh_decision *d) {
    struct log *log = arg;
    log->lines += fsh_selected(&log->select, d);
    return 0;
}

static int count_event(void *arg, const struct fsh_event *e) {
    struct log *log = arg;
    log->lines += fsh_event_name(e) && fsh_selected_event(&log->select, e);
    return 0;
}

static int show_lines(struct log *log) {
    bool with_events = (log->events && log->form != FORM_CSV) || log->form == FORM_PERFETTO;
    struct fsh_perfetto perfetto = perfetto_of(log);
    if (log->has_tail) {
        struct fsh_visitor counter = {log, count_line, with_events ? count_event : NULL};
        fsh_reader_walk(log->reader, &counter);
        uint64_t all = log->has_head && log->head < log->lines ? log->head : log->lines;
        log->skip = all > log->tail ? all - log->tail : 0;
        log->lines = 0;
    }
    if (log->form == FORM_CSV)
        fputs("time,process,thread,n,call,resource,size,outcome,rule,fault,errno,amount,key,ordinal,draw\n", log->out);
    if (log->form == FORM_PERFETTO)
        fsh_perfetto_begin(&perfetto);
    struct fsh_visitor visitor = {log, show_decision, with_events ? show_event : NULL};
    int e = log->has_head && log->head == 0 ? 0 : fsh_reader_walk(log->reader, &visitor);
    if (log->form == FORM_PERFETTO)
        fsh_perfetto_end(&perfetto);
    if (log->symbols && !log->has_stacks && !log->common.quiet)
        fsh_warn("nothing that is shown has a call stack; record with --set stacks=faults, or =all");
    return e < 0 ? fsh_fail(EXIT_TROUBLE, "reading the trace failed: %s", strerror(-e)) : 0;
}

/* --- counts --- */

enum { ERRORS = 256 }; /* columns of by_error: errnos, and EAI_ codes from the end */

static unsigned error_column(int e) {
    return (unsigned)e & (ERRORS - 1);
}

static int tally(void *arg, const struct fsh_decision *d) {
    struct log *log = arg;
    if (!fsh_selected(&log->select, d) || d->call >= log->select.n_calls)
        return 0;
    struct count *c = &log->by_call[d->call];
    c->decisions += !d->again;
    c->faults += d->fault;
    if (d->fault && d->error)
        log->by_error[d->call * ERRORS + error_column(d->error)]++;
    return 0;
}

static const struct count *sort_base;

static int compare_counts(const void *a, const void *b) {
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    const struct count *p = &sort_base[x], *q = &sort_base[y];
    if (p->decisions != q->decisions)
        return p->decisions > q->decisions ? -1 : 1;
    return x < y ? -1 : x > y;
}

static int error_of(unsigned column) {
    return column < ERRORS / 2 + 32 ? (int)column : (int)column - ERRORS;
}

static void show_errors(const struct log *log, unsigned call) {
    char number[16];
    const char *sep = " ";
    for (unsigned i = 0; i < ERRORS; i++) {
        uint64_t n = log->by_error[call * ERRORS + i];
        if (n) {
            fprintf(log->out, "%s%s %" PRIu64, sep, fsh_errno_text(error_of(i), number), n);
            sep = ", ";
        }
    }
}

static void counts_text(const struct log *log, const unsigned *order) {
    struct count all = {0, 0};
    fprintf(log->out, "%12s %10s  %-16s %s\n", "decisions", "faults", "call", "errors");
    for (unsigned i = 0; i < log->select.n_calls; i++) {
        const struct count *c = &log->by_call[order[i]];
        if (!c->decisions && !c->faults)
            break;
        fprintf(log->out, "%12" PRIu64 " %10" PRIu64 "  %-16s", c->decisions, c->faults,
                fsh_reader_call_name(log->reader, order[i]));
        show_errors(log, order[i]);
        fputc('\n', log->out);
        all.decisions += c->decisions;
        all.faults += c->faults;
    }
    fprintf(log->out, "%12" PRIu64 " %10" PRIu64 "  total\n", all.decisions, all.faults);
}

static void counts_json(const struct log *log, const unsigned *order) {
    json_object *list = json_object_new_array();
    char number[16];
    for (unsigned i = 0; i < log->select.n_calls && log->by_call[order[i]].decisions; i++) {
        const struct count *c = &log->by_call[order[i]];
        json_object *o = json_object_new_object(), *errors = json_object_new_object();
        json_object_object_add(o, "call", json_object_new_string(fsh_reader_call_name(log->reader, order[i])));
        json_object_object_add(o, "decisions", json_object_new_uint64(c->decisions));
        json_object_object_add(o, "faults", json_object_new_uint64(c->faults));
        for (unsigned e = 0; e < ERRORS; e++)
            if (log->by_error[order[i] * ERRORS + e])
                json_object_object_add(errors, fsh_errno_text(error_of(e), number),
                                       json_object_new_uint64(log->by_error[order[i] * ERRORS + e]));
        json_object_object_add(o, "errors", errors);
        json_object_array_add(list, o);
    }
    fsh_put_object(log->out, list);
}

static int show_counts(struct log *log) {
    unsigned n = log->select.n_calls;
    unsigned *order = calloc(n + 1, sizeof *order);
    log->by_call = calloc(n + 1, sizeof *log->by_call);
    log->by_error = calloc((n + 1ul) * ERRORS, sizeof *log->by_error);
    int status = 0;
    if (!order || !log->by_call || !log->by_error) {
        status = fsh_fail(EXIT_TROUBLE, "out of memory");
    } else {
        struct fsh_visitor visitor = {log, tally, NULL};
        fsh_reader_walk(log->reader, &visitor);
        for (unsigned i = 0; i < n; i++)
            order[i] = i;
        sort_base = log->by_call;
        qsort(order, n, sizeof *order, compare_counts);
        (log->form == FORM_JSON ? counts_json : counts_text)(log, order);
    }
    free(order);
    free(log->by_call);
    free(log->by_error);
    return status;
}

/* --- as a profile --- */

static bool is_wanted(void *arg, const struct fsh_decision *d) {
    struct log *log = arg;
    return fsh_selected(&log->select, d);
}

/* A profile that would be refused is worse than none. */
static int check_text(char *text, size_t len, uint64_t seed) {
    struct fsh_loaded loaded;
    bool good = fsh_load_text(&loaded, (struct fsh_text){text, len}, seed, SEED_PROFILE, "the profile of exact rules");
    fsh_loaded_free(&loaded);
    return good ? 0 : EXIT_TROUBLE;
}

static int show_profile(struct log *log, const char *path) {
    struct fsh_exact_profile profile;
    char *text = NULL;
    size_t len = 0;
    FILE *out;
    int status = EXIT_TROUBLE;
    if (!fsh_trace_complete(log->reader, false))
        return fsh_fail(EXIT_TROUBLE, "%s does not hold all decisions, and exact rules count them", path);
    bool good = fsh_exact_read(&profile, log->reader, path, is_wanted, log);
    if (good && !profile.faults) {
        status = fsh_fail(EXIT_TROUBLE, "%s has no such faults", path);
    } else if (good && (out = open_memstream(&text, &len))) {
        fsh_exact_print(out, &profile);
        fclose(out);
        status = check_text(text, len, fsh_reader_header(log->reader)->seed);
        if (!status)
            fwrite(text, 1, len, log->out);
    }
    free(text);
    fsh_exact_free(&profile);
    return status;
}

/* --- the command --- */

static bool take(void *arg, int id, const char *value) {
    struct log *log = arg;
    if (fsh_select_is_option(id))
        return fsh_select_take(&log->select, id, value);
    switch (id) {
    case ID_HEAD:
        log->has_head = true;
        return fsh_option_count("--head", value, &log->head);
    case ID_TAIL:
        log->has_tail = true;
        return fsh_option_count("--tail", value, &log->tail);
    case ID_EVENTS:
        log->events = true;
        return true;
    case 'c':
        log->counts = true;
        return true;
    case ID_AS_PROFILE:
        log->as_profile = true;
        return true;
    case ID_EXPORT:
        log->perfetto = !strcmp(value, "perfetto");
        if (!log->perfetto)
            fsh_warn("--export '%s' is unknown; write perfetto", value);
        return log->perfetto;
    case ID_STACKS:
        log->stacks = true;
        return true;
    default:
        log->csv = true;
        return true;
    }
}

static int show(struct log *log, const char *path) {
    log->reader = fsh_trace_open(path);
    if (!log->reader)
        return EXIT_TROUBLE;
    int status = EXIT_TROUBLE;
    setvbuf(stdout, NULL, _IOFBF, OUT_BUFFER);
    log->out = stdout;
    log->form = log->perfetto ? FORM_PERFETTO : log->common.json ? FORM_JSON : log->csv ? FORM_CSV : FORM_TEXT;
    if (!log->common.quiet)
        fsh_trace_complete(log->reader, true);
    if (log->stacks && !(log->symbols = fsh_symbols_new()))
        fsh_warn("out of memory");
    else if (fsh_select_prepare(&log->select, log->reader))
        status = log->as_profile ? show_profile(log, path) : log->counts ? show_counts(log) : show_lines(log);
    fsh_select_free(&log->select);
    fsh_symbols_free(log->symbols);
    fsh_reader_close(log->reader);
    return fsh_out_finish(status);
}

int fsh_cmd_log(int argc, char **argv) {
    struct log log = {.head = 0};
    int status, at = fsh_options(argc, argv, &usage, &log.common, take, &log, &status);
    const char *path = at < 0 ? NULL : fsh_option_trace(argc, argv, at, &usage, &log.common, &status);
    if (path)
        status = show(&log, path);
    fsh_common_free(&log.common);
    return status;
}
