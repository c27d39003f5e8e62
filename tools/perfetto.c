/* perfetto.c: see perfetto.h. Times are microseconds. Processes and threads go by their numbers in the trace, not by those of the
 * kernel, which may come again, and of which each namespace has its own. */
#include "perfetto.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "events.h"
#include "faults.h"
#include "out.h"
#include "symbolize.h"

/* A process that execs goes on as the same, under another image. */
static const struct fsh_process_info *first_image(const struct fsh_perfetto *p, uint64_t key, uint32_t image) {
    const struct fsh_process_info *first = fsh_reader_process_by_key(p->reader, key, 0);
    return first ? first : fsh_reader_process_by_key(p->reader, key, image);
}

/* The number of the process that a thread belongs to, from 1; 0 if its record is lost. */
static unsigned process_of(const struct fsh_perfetto *p, const struct fsh_thread_info *t) {
    const struct fsh_process_info *info = first_image(p, t->process_key, t->image);
    return info ? (unsigned)(info - fsh_reader_process(p->reader, 0)) + 1 : 0;
}

static void put_place(const struct fsh_perfetto *p, unsigned thread) {
    const struct fsh_thread_info *t = fsh_reader_thread(p->reader, thread);
    fprintf(p->out, "\"pid\":%u,\"tid\":%u", process_of(p, t), t->number);
}

static void put_ts(const struct fsh_perfetto *p, const char *key, uint64_t ns) {
    fprintf(p->out, ",\"%s\":%" PRIu64 ".%03u", key, ns / 1000, (unsigned)(ns % 1000));
}

static void put_text(const struct fsh_perfetto *p, const char *before, const char *text) {
    fputs(before, p->out);
    fsh_put_json(p->out, text);
}

/* --- names --- */

/* By the last program that it became. */
static void name_process(const struct fsh_perfetto *p, unsigned i) {
    const struct fsh_process_info *info = fsh_reader_process(p->reader, i), *next = info;
    if (first_image(p, info->key, info->image) != info)
        return;
    for (uint32_t image = info->image; next; image++) {
        info = next;
        next = fsh_reader_process_by_key(p->reader, info->key, image + 1);
    }
    char name[FSH_TEXT_MAX + 64];
    const char *last = strrchr(info->program, '/');
    snprintf(name, sizeof name, "%s %s (pid %" PRIu32 ")", info->name, last ? last + 1 : info->program, info->pid);
    fprintf(p->out, "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%u,\"args\":{", i + 1);
    put_text(p, "\"name\":", name);
    fprintf(p->out, "}},\n{\"ph\":\"M\",\"name\":\"process_sort_index\",\"pid\":%u,\"args\":{\"sort_index\":%u}},\n", i + 1, i);
}

static void name_thread(const struct fsh_perfetto *p, unsigned i) {
    const struct fsh_thread_info *t = fsh_reader_thread(p->reader, i);
    char name[256];
    snprintf(name, sizeof name, "%s/%s %s", t->process, t->name, t->comm);
    fputs("{\"ph\":\"M\",\"name\":\"thread_name\",", p->out);
    put_place(p, i);
    put_text(p, ",\"args\":{\"name\":", name);
    fputs("}},\n", p->out);
}

void fsh_perfetto_begin(const struct fsh_perfetto *p) {
    fputs("{\"displayTimeUnit\":\"ns\",\"otherData\":{\"written by\":\"faultshim " FSH_VERSION "\"},\"traceEvents\":[\n", p->out);
    for (unsigned i = 0; i < fsh_reader_processes(p->reader); i++)
        name_process(p, i);
    for (unsigned i = 0; i < fsh_reader_threads(p->reader); i++)
        name_thread(p, i);
}

/* The last one has no comma after it. */
void fsh_perfetto_end(const struct fsh_perfetto *p) {
    fputs("{\"ph\":\"M\",\"name\":\"trace_end\",\"pid\":0,\"args\":{}}\n]}\n", p->out);
}

/* --- decisions --- */

/* ns that the fault kept the call for; 0 if it took no time of its own. */
static uint64_t length_of(const struct fsh_perfetto *p, const struct fsh_decision *d) {
    static const enum fsh_fault_kind slow[] = {FAULT_DELAY, FAULT_STALL, FAULT_PAUSE, FAULT_CPU, FAULT_YIELD};
    const char *name = fsh_reader_fault_name(p->reader, d->fault_kind);
    int kind = fsh_fault_by_name(name, strlen(name));
    for (unsigned i = 0; d->fault && i < sizeof slow / sizeof *slow; i++)
        if (kind == (int)slow[i])
            return d->amount;
    return 0;
}

static void put_fault(const struct fsh_perfetto *p, const struct fsh_decision *d) {
    char number[16];
    bool is_signed;
    put_text(p, ",\"rule\":", fsh_reader_rule_name(p->reader, d->rule));
    put_text(p, ",\"fault\":", fsh_reader_fault_name(p->reader, d->fault_kind));
    if (d->error)
        put_text(p, ",\"errno\":", fsh_errno_text(d->error, number));
    int64_t amount = fsh_amount_of(p->reader, d, &is_signed);
    fprintf(p->out, is_signed ? ",\"amount\":%" PRId64 : ",\"amount\":%" PRIu64, amount);
    fprintf(p->out, ",\"ordinal\":%" PRIu64, d->ordinal);
}

/* One line each: the pane of arguments shows them so. */
static void put_stack(const struct fsh_perfetto *p, const struct fsh_decision *d) {
    const struct fsh_site_info *site = p->symbols ? fsh_reader_site(p->reader, d->site) : NULL;
    struct fsh_get get = {.p = site ? site->frames : NULL, .end = site ? site->end : NULL};
    for (unsigned i = 0; site && i < site->n_frames; i++) {
        struct fsh_stack_frame frame = fsh_get_frame(&get);
        struct fsh_place place = fsh_symbols_frame(p->symbols, p->reader, d->thread, &frame);
        char *text = NULL;
        size_t len;
        FILE *words = open_memstream(&text, &len);
        if (!words)
            return;
        fsh_put_place(words, &frame, &place);
        fclose(words);
        fputs(i ? "," : ",\"stack\":[", p->out);
        fsh_put_json(p->out, text);
        free(text);
        if (i + 1 == site->n_frames)
            fputc(']', p->out);
    }
}

void fsh_perfetto_decision(const struct fsh_perfetto *p, const struct fsh_decision *d) {
    const char *call = fsh_reader_call_name(p->reader, d->call);
    uint64_t length = length_of(p, d);
    char name[256], number[16];
    if (d->fault)
        snprintf(name, sizeof name, "%s: %s%s%s", call, fsh_reader_fault_name(p->reader, d->fault_kind), d->error ? " " : "",
                 d->error ? fsh_errno_text(d->error, number) : "");
    put_text(p, "{\"name\":", d->fault ? name : call);
    fputs(d->fault ? ",\"cat\":\"fault\"," : ",\"cat\":\"call\",", p->out);
    put_place(p, d->thread);
    put_ts(p, "ts", d->time);
    if (length)
        put_ts(p, "dur", length);
    fputs(length ? ",\"ph\":\"X\"" : ",\"ph\":\"i\",\"s\":\"t\"", p->out);
    fprintf(p->out, ",\"args\":{\"n\":%" PRIu64 ",\"size\":%" PRIu64, d->n, d->size);
    if (d->resource)
        put_text(p, ",\"resource\":", fsh_resource_name(p->reader, d->resource));
    if (d->fault)
        put_fault(p, d);
    put_stack(p, d);
    fputs("}},\n", p->out);
}

/* --- events --- */

/* The intensity as a counter, beside the event itself. */
static void put_phase(const struct fsh_perfetto *p, const struct fsh_event *e) {
    struct fsh_get get = {.p = e->fields + 8, .end = e->fields + e->len};
    char name[128];
    snprintf(name, sizeof name, "phase %s", fsh_reader_phase_name(p->reader, (unsigned)fsh_get_varint(&get)));
    double level = (double)fsh_get_varint(&get) / FSH_LEVEL_FULL;
    if (get.bad)
        return;
    put_text(p, "{\"ph\":\"C\",\"cat\":\"phase\",\"name\":", name);
    fprintf(p->out, ",\"pid\":%u", process_of(p, fsh_reader_thread(p->reader, e->thread)));
    put_ts(p, "ts", e->time);
    fprintf(p->out, ",\"args\":{\"intensity\":%.6g}},\n", level);
}

void fsh_perfetto_event(const struct fsh_perfetto *p, const struct fsh_event *e) {
    const char *name = fsh_event_name(e);
    if (!name || e->op == OP_VALUE || e->op == OP_BYTES) /* readings may be more than all else */
        return;
    if (e->op == OP_PHASE && e->len > 8)
        put_phase(p, e);
    put_text(p, "{\"name\":", name);
    fputs(",\"cat\":\"event\",", p->out);
    put_place(p, e->thread);
    put_ts(p, "ts", e->time);
    fprintf(p->out, ",\"ph\":\"i\",\"s\":\"%s\",\"args\":{\"at\":%" PRIu64, e->op == OP_MARK ? "g" : "t", e->n);
    fsh_put_event(p->out, p->reader, e, true);
    fputs("}},\n", p->out);
}
