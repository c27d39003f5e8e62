/* events.c: see events.h. */
#include "events.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "out.h"

struct sink {
    FILE *out;
    const struct fsh_reader *reader;
    bool json;
};

struct event_form {
    const char *name;
    void (*show)(const struct sink *, struct fsh_get);
};

static void put_field(const struct sink *s, const char *key, struct fsh_text text) {
    char copy[FSH_TEXT_MAX + 1];
    snprintf(copy, sizeof copy, "%.*s", (int)text.len, text.data);
    if (s->json) {
        fprintf(s->out, ",\"%s\":", key);
        fsh_put_json(s->out, copy);
    } else {
        fprintf(s->out, " %s ", key);
        fsh_put_safe(s->out, copy);
    }
}

static void put_count(const struct sink *s, const char *key, uint64_t v) {
    fprintf(s->out, s->json ? ",\"%s\":%" PRIu64 : " %s %" PRIu64, key, v);
}

static void show_process(const struct sink *s, struct fsh_get get) {
    fsh_get_u64(&get);
    put_field(s, "name", fsh_get_text(&get));
    put_count(s, "pid", fsh_get_varint(&get));
    put_count(s, "parent", fsh_get_varint(&get));
    put_count(s, "image", fsh_get_varint(&get));
    put_field(s, "program", fsh_get_text(&get));
}

static void show_thread(const struct sink *s, struct fsh_get get) {
    fsh_get_u64(&get);
    fsh_get_u64(&get);
    fsh_get_text(&get);
    put_field(s, "name", fsh_get_text(&get));
    put_count(s, "tid", fsh_get_varint(&get));
    put_field(s, "comm", fsh_get_text(&get));
}

static void show_exec(const struct sink *s, struct fsh_get get) {
    fsh_get_u64(&get);
    put_field(s, "program", fsh_get_text(&get));
}

static void show_fork(const struct sink *s, struct fsh_get get) {
    fsh_get_u64(&get);
    put_count(s, "pid", fsh_get_varint(&get));
    put_field(s, "child", fsh_get_text(&get));
}

static void show_counted(const struct sink *s, struct fsh_get get) {
    put_count(s, "passed", fsh_get_varint(&get));
}

static void show_diverge(const struct sink *s, struct fsh_get get) {
    fsh_get_u64(&get);
    put_count(s, "at", fsh_get_u64(&get));
    const char *expected = fsh_reader_call_name(s->reader, (unsigned)fsh_get_varint(&get));
    fsh_get_varint(&get);
    fsh_get_u64(&get);
    const char *found = fsh_reader_call_name(s->reader, (unsigned)fsh_get_varint(&get));
    put_field(s, "expected", (struct fsh_text){expected, strlen(expected)});
    put_field(s, "found", (struct fsh_text){found, strlen(found)});
}

static void put_name(const struct sink *s, const char *key, const char *name) {
    put_field(s, key, (struct fsh_text){name, strlen(name)});
}

/* A share of `whole` as "12.5%". */
static void put_share(const struct sink *s, const char *key, double share) {
    char text[32];
    snprintf(text, sizeof text, "%.4g%%", 100 * share);
    put_name(s, key, text);
}

static void show_phase(const struct sink *s, struct fsh_get get) {
    fsh_get_u64(&get);
    put_name(s, "name", fsh_reader_phase_name(s->reader, (unsigned)fsh_get_varint(&get)));
    put_share(s, "intensity", (double)fsh_get_varint(&get) / FSH_LEVEL_FULL);
    put_count(s, "runs", fsh_get_varint(&get));
    put_count(s, "position", fsh_get_varint(&get));
}

static void show_control(const struct sink *s, struct fsh_get get) {
    fsh_get_u64(&get);
    uint64_t what = fsh_get_varint(&get), number = fsh_get_varint(&get), value = fsh_get_u64(&get);
    const char *rule = fsh_reader_rule_name(s->reader, (unsigned)number);
    if (what == CHANGED_INTENSITY) {
        put_share(s, "intensity", (double)value / FSH_LEVEL_FULL);
        return;
    }
    if (what == CHANGED_PLAN) {
        put_count(s, "profile", number);
        return;
    }
    put_name(s, "rule", rule);
    if (what == CHANGED_RULE)
        put_name(s, "enabled", value & CONTROL_OFF ? "no" : "yes");
    else if (what == CHANGED_CHANCE)
        put_share(s, "probability", value == UINT64_MAX ? 1 : (double)value / 0x1p64);
    else if (what == CHANGED_TIMES)
        put_count(s, "times", value);
}

static void show_mark(const struct sink *s, struct fsh_get get) {
    fsh_get_u64(&get);
    put_count(s, "number", fsh_get_varint(&get));
    put_field(s, "text", fsh_get_text(&get));
}

static void show_released(const struct sink *s, struct fsh_get get) {
    fsh_get_u64(&get);
    put_name(s, "rule", fsh_reader_rule_name(s->reader, (unsigned)fsh_get_varint(&get)));
    put_count(s, "held", fsh_get_varint(&get));
}

static void show_output(const struct sink *s, struct fsh_get get) {
    fsh_get_u64(&get);
    put_count(s, "fd", fsh_get_varint(&get));
    put_count(s, "left-out", fsh_get_varint(&get));
    put_field(s, "text", fsh_get_text(&get));
}

static const char *const sources[SOURCES] = {[CLOCK_REALTIME] = "CLOCK_REALTIME",
                                             [CLOCK_MONOTONIC] = "CLOCK_MONOTONIC",
                                             [CLOCK_PROCESS_CPUTIME_ID] = "CLOCK_PROCESS_CPUTIME_ID",
                                             [CLOCK_THREAD_CPUTIME_ID] = "CLOCK_THREAD_CPUTIME_ID",
                                             [CLOCK_MONOTONIC_RAW] = "CLOCK_MONOTONIC_RAW",
                                             [CLOCK_REALTIME_COARSE] = "CLOCK_REALTIME_COARSE",
                                             [CLOCK_MONOTONIC_COARSE] = "CLOCK_MONOTONIC_COARSE",
                                             [CLOCK_BOOTTIME] = "CLOCK_BOOTTIME",
                                             [CLOCK_REALTIME_ALARM] = "CLOCK_REALTIME_ALARM",
                                             [CLOCK_BOOTTIME_ALARM] = "CLOCK_BOOTTIME_ALARM",
                                             [CLOCK_TAI] = "CLOCK_TAI",
                                             [SOURCE_OTHER_CLOCK] = "clock_gettime",
                                             [SOURCE_TIMESPEC_GET] = "timespec_get",
                                             [SOURCE_GETTIMEOFDAY] = "gettimeofday",
                                             [SOURCE_TIME] = "time",
                                             [SOURCE_CLOCK] = "clock",
                                             [SOURCE_TIMES] = "times",
                                             [SOURCE_TIMES + 1] = "tms_utime",
                                             [SOURCE_TIMES + 2] = "tms_stime",
                                             [SOURCE_TIMES + 3] = "tms_cutime",
                                             [SOURCE_TIMES + 4] = "tms_cstime"};

/* What a clock said: its value does not stand in the fields alone. */
static void show_value(const struct sink *s, const struct fsh_event *e) {
    const char *name = e->source < SOURCES ? sources[e->source] : NULL;
    put_name(s, "source", name ? name : "?");
    fprintf(s->out, s->json ? ",\"value\":%" PRId64 : " value %" PRId64, (int64_t)e->value);
}

static void show_bytes(const struct sink *s, struct fsh_get get) {
    fputs(s->json ? ",\"bytes\":\"" : " bytes ", s->out);
    for (; get.p < get.end; get.p++)
        fprintf(s->out, "%02x", *get.p);
    if (s->json)
        putc('"', s->out);
}

static const struct event_form events[] = {
    [OP_PROCESS] = {"process", show_process},
    [OP_THREAD] = {"thread", show_thread},
    [OP_EXEC] = {"exec", show_exec},
    [OP_FORK] = {"fork", show_fork},
    [OP_COUNTED] = {"counted", show_counted},
    [OP_DIVERGE] = {"diverged", show_diverge},
    [OP_PHASE] = {"phase", show_phase},
    [OP_CONTROL] = {"control", show_control},
    [OP_MARK] = {"mark", show_mark},
    [OP_RELEASED] = {"released", show_released},
    [OP_VALUE] = {"clock", NULL},
    [OP_BYTES] = {"random", show_bytes},
    [OP_OUTPUT] = {"output", show_output},
};

static const struct event_form *form_of(const struct fsh_event *e) {
    return e->op < sizeof events / sizeof *events && events[e->op].name ? &events[e->op] : NULL;
}

const char *fsh_event_name(const struct fsh_event *e) {
    const struct event_form *form = form_of(e);
    return form ? form->name : NULL;
}

void fsh_put_event(FILE *out, const struct fsh_reader *reader, const struct fsh_event *e, bool json) {
    const struct event_form *form = form_of(e);
    struct sink s = {out, reader, json};
    if (form && e->op == OP_VALUE)
        show_value(&s, e);
    else if (form)
        form->show(&s, (struct fsh_get){.p = e->fields, .end = e->fields + e->len});
}
