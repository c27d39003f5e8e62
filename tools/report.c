/* report.c: see report.h: the page of one trace. All is read in one walk; then the page is printed front to back: a summary that
 * needs no script, and what the script makes its timeline and its table of. */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "commands.h"
#include "events.h"
#include "grow.h"
#include "out.h"
#include "page.h"
#include "symbolize.h"
#include "trace_open.h"

enum {
    BUCKETS = 512,       /* of a thread's activity */
    STATIC_FAULTS = 100, /* rows of the table that need no script */
    THREADS_MOST = 4096, /* whose activity is counted */
    ROWS_MOST = 500,     /* threads of the timeline */
    EVENTS_MOST = 500,
    LINES_MOST = 500,
    SAID_MOST = 1 << 21, /* bytes of the program's output */
    PROFILE_MOST = 1 << 16
};

/* Texts that many rows share, by number. */
struct names {
    struct lh_table *table;
    FILE *json; /* the list so far */
    char *text;
    size_t len;
};

/* Something beside decisions. */
struct note {
    uint64_t time;
    uint32_t thread;
    char *text;
};

/* A piece of what the program said. */
struct said {
    uint64_t time;
    uint32_t thread;
    int fd;
    char *text;
};

struct report {
    const char *path;
    struct fsh_reader *reader;
    struct fsh_symbols *symbols;
    struct fsh_totals totals;
    uint64_t most;
    struct fsh_decision *faults;
    size_t n_faults, faults_room;
    uint64_t all_faults; /* in the trace */
    struct note *notes;
    size_t n_notes, notes_room;
    uint64_t all_notes;
    struct note *lines; /* of them, what the whole run met: marks, begin and end of phases, changes */
    size_t n_lines, lines_room;
    uint64_t last_mark;
    bool phase_on[FSH_PHASES_MAX];
    struct said *said;
    size_t n_said, said_room, said_bytes;
    bool said_more;     /* there was more of it */
    uint64_t last;      /* time of the last record */
    uint64_t bucket;    /* ns */
    uint32_t *activity; /* [thread][bucket]: decisions */
    unsigned n_active;  /* threads of that */
    struct names resources, outcomes, stacks, sites, kinds;
};

/* --- reading --- */

/* Twice as long a time in the same room. */
static void fold(struct report *r) {
    for (unsigned t = 0; t < r->n_active; t++) {
        uint32_t *v = r->activity + (size_t)t * BUCKETS;
        for (unsigned i = 0; i < BUCKETS / 2; i++)
            v[i] = v[2 * i] + v[2 * i + 1];
        memset(v + BUCKETS / 2, 0, BUCKETS / 2 * sizeof *v);
    }
    r->bucket *= 2;
}

static void note_time(struct report *r, uint64_t time) {
    if (time > r->last)
        r->last = time;
    while (time / r->bucket >= BUCKETS)
        fold(r);
}

static int take_decision(void *arg, const struct fsh_decision *d) {
    struct report *r = arg;
    note_time(r, d->time);
    if (!d->again && d->thread < r->n_active)
        r->activity[(size_t)d->thread * BUCKETS + d->time / r->bucket]++;
    if (!d->fault)
        return 0;
    r->all_faults++;
    if (r->n_faults == r->most)
        return 0;
    if (!fsh_grow(&r->faults, &r->faults_room, r->n_faults, sizeof *r->faults))
        return -ENOMEM;
    r->faults[r->n_faults] = *d;
    r->faults[r->n_faults++].rules = NULL;
    return 0;
}

struct event_words {
    const struct report *report;
    const struct fsh_event *event;
};

static void put_event(FILE *out, void *arg) {
    const struct event_words *w = arg;
    fputs(fsh_event_name(w->event), out);
    fsh_put_event(out, w->report->reader, w->event, false);
}

/* A zero in it would end it. */
static char *text_of(struct fsh_text text) {
    char *copy = malloc(text.len + 1);
    for (size_t i = 0; copy && i < text.len; i++)
        copy[i] = text.data[i] ? text.data[i] : ' ';
    if (copy)
        copy[text.len] = 0;
    return copy;
}

static int take_output(struct report *r, const struct fsh_event *e) {
    struct fsh_get get = {.p = e->fields, .end = e->fields + e->len};
    fsh_get_u64(&get);
    struct said said = {.time = e->time, .thread = e->thread, .fd = (int)fsh_get_varint(&get)};
    r->said_more |= fsh_get_varint(&get) != 0;
    struct fsh_text text = fsh_get_text(&get);
    if (get.bad)
        return 0;
    if (r->said_bytes + text.len > SAID_MOST) {
        r->said_more = true;
        return 0;
    }
    said.text = text_of(text);
    if (!said.text || !fsh_grow(&r->said, &r->said_room, r->n_said, sizeof said)) {
        free(said.text);
        return -ENOMEM;
    }
    r->said_bytes += text.len;
    r->said[r->n_said++] = said;
    return 0;
}

/* Every thread tells of it, when it meets it: the first one counts. */
static bool is_news(struct report *r, const struct fsh_event *e, const char *text) {
    struct fsh_get get = {.p = e->fields, .end = e->fields + e->len};
    fsh_get_u64(&get);
    uint64_t number = fsh_get_varint(&get);
    if (e->op == OP_MARK) {
        bool news = number > r->last_mark;
        r->last_mark = news ? number : r->last_mark;
        return news;
    }
    if (e->op == OP_PHASE && number < FSH_PHASES_MAX) {
        bool on = fsh_get_varint(&get) != 0, news = on != r->phase_on[number];
        r->phase_on[number] = on;
        return news;
    }
    if (e->op != OP_CONTROL)
        return false;
    size_t what = (size_t)(strrchr(text, ' ') - text); /* the last word is the value */
    for (size_t i = r->n_lines; i-- > 0;)
        if (!strncmp(r->lines[i].text, text, what + 1))
            return strcmp(r->lines[i].text, text) != 0;
    return true;
}

static int take_line(struct report *r, const struct fsh_event *e, const char *text) {
    if (r->n_lines == LINES_MOST || !is_news(r, e, text))
        return 0;
    if (!fsh_grow(&r->lines, &r->lines_room, r->n_lines, sizeof *r->lines))
        return -ENOMEM;
    struct note *line = &r->lines[r->n_lines];
    *line = (struct note){e->time, e->thread, strdup(text)};
    r->n_lines += line->text != NULL;
    return line->text ? 0 : -ENOMEM;
}

static int take_event(void *arg, const struct fsh_event *e) {
    struct report *r = arg;
    struct event_words words = {r, e};
    note_time(r, e->time);
    if (e->op == OP_OUTPUT)
        return take_output(r, e);
    if (!fsh_event_name(e) || e->op == OP_COUNTED)
        return 0; /* the numbers stand above */
    r->all_notes++;
    char *text = fsh_text_of(put_event, &words);
    int error = take_line(r, e, text);
    if (!error && r->n_notes < EVENTS_MOST) {
        if (fsh_grow(&r->notes, &r->notes_room, r->n_notes, sizeof *r->notes)) {
            r->notes[r->n_notes++] = (struct note){e->time, e->thread, text};
            return 0;
        }
        error = -ENOMEM;
    }
    free(text);
    return error;
}

/* --- texts by number --- */

static void free_key(struct lh_entry *entry) {
    free((char *)lh_entry_k(entry));
}

static bool names_begin(struct names *n) {
    n->table = lh_kchar_table_new(256, free_key);
    n->json = open_memstream(&n->text, &n->len);
    return n->table && n->json;
}

static void names_end(struct names *n) {
    if (n->table)
        lh_table_free(n->table);
    if (n->json)
        fclose(n->json);
    free(n->text);
}

/* -1 if it is new. */
static int number_of(const struct names *n, const char *text) {
    void *found;
    return lh_table_lookup_ex(n->table, text, &found) ? (int)(intptr_t)found : -1;
}

static void set_number(struct names *n, const char *text, int number) {
    char *key = strdup(text);
    if (key)
        lh_table_insert(n->table, key, (void *)(intptr_t)number);
}

static int intern(struct names *n, const char *text) {
    int number = number_of(n, text);
    if (number >= 0)
        return number;
    number = lh_table_length(n->table);
    set_number(n, text, number);
    if (number)
        fputc(',', n->json);
    fsh_put_json(n->json, text);
    return number;
}

static void put_names(FILE *out, const char *key, struct names *n) {
    fflush(n->json);
    fprintf(out, ",\"%s\":[%s]", key, n->text);
}

/* --- one fault --- */

struct fault_words {
    const struct report *report;
    const struct fsh_decision *d;
};

static void put_outcome(FILE *out, void *arg) {
    const struct fault_words *w = arg;
    fsh_put_outcome(out, w->report->reader, w->d);
}

static void put_stack(FILE *out, void *arg) {
    const struct fault_words *w = arg;
    fsh_put_stack(out, w->report->symbols, w->report->reader, w->d->thread, w->d->site, "");
}

/* Call stacks are many times the same: they are spelled out once for each process that has them, and kept once for all. */
static int number_of_stack(struct report *r, const struct fsh_decision *d) {
    const struct fsh_thread_info *t = fsh_reader_thread(r->reader, d->thread);
    struct fault_words words = {r, d};
    char key[64];
    if (!d->site || !fsh_reader_site(r->reader, d->site))
        return -1;
    snprintf(key, sizeof key, "%" PRIx64 "/%" PRIx64 "/%" PRIx32, d->site, t->process_key, t->image);
    int number = number_of(&r->sites, key);
    if (number < 0) {
        char *text = fsh_text_of(put_stack, &words);
        size_t len = strlen(text);
        if (len)
            text[len - 1] = 0; /* the last end of line */
        number = intern(&r->stacks, text);
        set_number(&r->sites, key, number);
        free(text);
    }
    return number;
}

/* --- data for the script --- */

static const char *words_of(const struct fsh_reader *reader, const struct fsh_thread_info *t) {
    const struct fsh_process_info *p = fsh_reader_process_by_key(reader, t->process_key, t->image);
    return p ? p->program : "";
}

static void put_thread(FILE *out, const struct report *r, unsigned i) {
    const struct fsh_thread_info *t = fsh_reader_thread(r->reader, i);
    const struct fsh_process_info *p = fsh_reader_process_by_key(r->reader, t->process_key, t->image);
    fputs(i ? ",{\"process\":" : "{\"process\":", out);
    fsh_put_json(out, t->process);
    fputs(",\"thread\":", out);
    fsh_put_json(out, t->name);
    fputs(",\"comm\":", out);
    fsh_put_json(out, t->comm);
    fputs(",\"program\":", out);
    fsh_put_json(out, words_of(r->reader, t));
    fprintf(out, ",\"pid\":%" PRIu32 ",\"tid\":%" PRIu32 "}", p ? p->pid : 0, t->tid);
}

static void put_activity(FILE *out, const struct report *r) {
    const char *sep = "";
    unsigned shown = 0;
    fputs(",\"activity\":{", out);
    for (unsigned t = 0; t < r->n_active && shown < ROWS_MOST; t++) {
        const uint32_t *v = r->activity + (size_t)t * BUCKETS;
        unsigned first = 0, last = BUCKETS;
        while (first < BUCKETS && !v[first])
            first++;
        while (last > first && !v[last - 1])
            last--;
        if (first == last)
            continue;
        fprintf(out, "%s\"%u\":{\"first\":%u,\"n\":[", sep, t, first);
        for (unsigned i = first; i < last; i++)
            fprintf(out, i == first ? "%" PRIu32 : ",%" PRIu32, v[i]);
        fputs("]}", out);
        sep = ",";
        shown++;
    }
    fputc('}', out);
}

/* As report.js numbers them. What is beyond a number of JavaScript (a call for all memory there is) is a text. */
static void put_fault(FILE *out, struct report *r, const struct fsh_decision *d) {
    struct fault_words words = {r, d};
    char *outcome = fsh_text_of(put_outcome, &words);
    int resource = d->resource ? intern(&r->resources, fsh_resource_name(r->reader, d->resource)) : -1;
    fprintf(out, "[%" PRIu64 ",%" PRIu32 ",%u,%d,", d->time, d->thread, d->call, resource);
    fprintf(out, d->size >> 53 ? "\"%" PRIu64 "\"" : "%" PRIu64, d->size);
    fprintf(out, ",%d,%u,%" PRIu64 ",%d,%u,%" PRIu64 ",%d]", intern(&r->outcomes, outcome), d->rule, d->ordinal,
            number_of_stack(r, d), d->flags, d->n, intern(&r->kinds, fsh_reader_fault_name(r->reader, d->fault_kind)));
    free(outcome);
}

static void put_list(FILE *out, const char *key, const struct fsh_reader *reader, unsigned n,
                     const char *(*name)(const struct fsh_reader *, unsigned)) {
    fprintf(out, ",\"%s\":[", key);
    for (unsigned i = 0; i < n; i++) {
        fputs(i ? "," : "", out);
        fsh_put_json(out, name(reader, i));
    }
    fputc(']', out);
}

static uint64_t duration_of(const struct report *r) {
    const struct fsh_header *h = fsh_reader_header(r->reader);
    uint64_t ns = h->end_monotonic > h->start_monotonic ? h->end_monotonic - h->start_monotonic : 0;
    return ns > r->last ? ns : r->last;
}

static void put_said(FILE *out, const struct report *r) {
    fputs(",\"output\":[", out);
    for (size_t i = 0; i < r->n_said; i++) {
        fprintf(out, "%s[%" PRIu64 ",%" PRIu32 ",%d,", i ? ",\n" : "", r->said[i].time, r->said[i].thread, r->said[i].fd);
        fsh_put_json(out, r->said[i].text);
        fputc(']', out);
    }
    fputc(']', out);
}

/* What a line over the whole timeline stands for. */
static void put_lines(FILE *out, const struct report *r) {
    fputs(",\"lines\":[", out);
    for (size_t i = 0; i < r->n_lines; i++) {
        fprintf(out, "%s[%" PRIu64 ",", i ? "," : "", r->lines[i].time);
        fsh_put_json(out, r->lines[i].text);
        fputc(']', out);
    }
    fputc(']', out);
}

static void put_data(FILE *out, void *arg) {
    struct report *r = arg;
    fputs("{\"threads\":[", out);
    for (unsigned i = 0; i < fsh_reader_threads(r->reader); i++)
        put_thread(out, r, i);
    fprintf(out, "],\"duration\":%" PRIu64 ",\"bucket\":%" PRIu64 ",\"rowsMost\":%d", duration_of(r), r->bucket, ROWS_MOST);
    put_list(out, "calls", r->reader, fsh_reader_header(r->reader)->n_calls, fsh_reader_call_name);
    put_list(out, "rules", r->reader, fsh_reader_rules(r->reader), fsh_reader_rule_name);
    fputs(",\"faults\":[\n", out);
    for (size_t i = 0; i < r->n_faults; i++) {
        fputs(i ? ",\n" : "", out);
        put_fault(out, r, &r->faults[i]);
    }
    fputs("]", out);
    put_names(out, "resources", &r->resources);
    put_names(out, "outcomes", &r->outcomes);
    put_names(out, "stacks", &r->stacks);
    put_names(out, "kinds", &r->kinds);
    put_activity(out, r);
    put_said(out, r);
    put_lines(out, r);
    fputs("}\n", out);
}

/* --- the page: summary --- */

static void put_words(FILE *out, struct fsh_text list) {
    for (size_t at = 0; at < list.len;) {
        size_t n = strnlen(list.data + at, list.len - at);
        char *word = strndup(list.data + at, n);
        fputs(at ? " " : "", out);
        fsh_put_shell(out, word ? word : "");
        free(word);
        at += n + 1;
    }
}

static void put_command_line(FILE *out, void *arg) {
    const struct report *r = arg;
    put_words(out, fsh_reader_meta(r->reader, META_COMMAND));
}

static void put_replay(FILE *out, void *arg) {
    const struct report *r = arg;
    fputs("faultshim replay ", out);
    fsh_put_shell(out, r->path);
}

static char *meta_of(const struct report *r, enum fsh_meta tag) {
    struct fsh_text text = fsh_reader_meta(r->reader, tag);
    char *copy = strndup(text.data, text.len);
    return copy ? copy : strdup("");
}

static void put_fact(FILE *out, const char *name, const char *value) {
    if (!*value)
        return;
    fsh_put_tag(out, "dt", name);
    fsh_put_tag(out, "dd class=\"code\"", value);
}

static void put_meta(FILE *out, const struct report *r, const char *name, enum fsh_meta tag) {
    char *text = meta_of(r, tag);
    put_fact(out, name, text);
    free(text);
}

static void put_end(FILE *out, const struct report *r) {
    const struct fsh_header *h = fsh_reader_header(r->reader);
    char text[128] = "not recorded: the run is going on, or was killed";
    if (h->end == END_EXITED)
        snprintf(text, sizeof text, "exited with status %" PRId32, h->end_value);
    else if (h->end == END_SIGNALED)
        snprintf(text, sizeof text, "killed by signal %" PRId32 " (%s)", h->end_value, strsignal(h->end_value));
    else if (h->end == END_TIMEOUT)
        snprintf(text, sizeof text, "ended by faultshim: it took too long");
    put_fact(out, "program", text);
}

static void put_facts(FILE *out, const struct report *r) {
    static const char *const origins[] = {"drawn", "from the profile", "from FAULTSHIM_SEED", "from --seed"};
    const struct fsh_header *h = fsh_reader_header(r->reader);
    char text[128], when[64] = "";
    time_t start = (time_t)(h->start_realtime / 1000000000);
    struct tm tm;
    if (localtime_r(&start, &tm))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S %Z", &tm);
    snprintf(text, sizeof text, "%" PRIu64 " (%s)", h->seed, h->seed_from < 4 ? origins[h->seed_from] : "?");
    fputs("<dl class=\"facts\">\n", out);
    put_end(out, r);
    put_fact(out, "seed", text);
    put_fact(out, "started", when);
    put_meta(out, r, "working directory", META_CWD);
    put_meta(out, r, "replay of", META_REPLAYED);
    put_fact(out, "trace", r->path);
    put_meta(out, r, "recorded by faultshim", META_VERSION);
    fputs("</dl>\n", out);
}

static unsigned processes_of(const struct report *r) {
    unsigned n = 0;
    for (unsigned i = 0; i < fsh_reader_processes(r->reader); i++)
        n += fsh_reader_process(r->reader, i)->image == 0;
    return n;
}

static void put_figures(FILE *out, const struct report *r) {
    fputs("<div class=\"figures\">\n", out);
    fsh_put_figure(out, "decisions", r->totals.decisions);
    fsh_put_figure(out, "faults", r->totals.faults);
    fsh_put_figure(out, "processes", processes_of(r));
    fsh_put_figure(out, "threads", fsh_reader_threads(r->reader));
    fprintf(out, "<div><b>%.3f s</b><span>from start to end</span></div>\n</div>\n", (double)duration_of(r) / 1e9);
}

/* What the reader has to know before the rest is believed. */
static void put_warnings(FILE *out, const struct report *r) {
    const struct fsh_header *h = fsh_reader_header(r->reader);
    uint64_t counted = 0;
    unsigned cut = 0;
    for (unsigned i = 0; i < fsh_reader_threads(r->reader); i++) {
        counted += fsh_reader_thread(r->reader, i)->counted;
        cut += !fsh_reader_thread(r->reader, i)->complete;
    }
    if (!r->totals.faults)
        fsh_put_tag(out, "p class=\"note\"", "Nothing was injected: this run proves nothing.");
    if (r->all_faults > r->n_faults)
        fsh_put_tagf(out, "p class=\"note\"", "The first %zu of %" PRIu64 " faults are shown; --faults sets how many.", r->n_faults,
                     r->all_faults);
    if (h->trace_mode == TRACE_OFF)
        fsh_put_tag(out, "p class=\"note\"", "The run had trace = off: only its totals were kept.");
    if (counted)
        fsh_put_tagf(out, "p class=\"note\"", "%" PRIu64 " decision%s passed and %s only counted.", counted, fsh_plural(counted),
                     counted == 1 ? "was" : "were");
    if (cut)
        fsh_put_tagf(out, "p class=\"note\"", "Parts of the streams of %u thread%s are missing.", cut, fsh_plural(cut));
    if (h->untraced)
        fsh_put_tagf(out, "p class=\"note\"", "%" PRIu64 " thread%s could not be traced.", h->untraced, fsh_plural(h->untraced));
}

static void put_rule(FILE *out, const struct report *r, unsigned i) {
    uint64_t considered = r->totals.considered[i], fired = r->totals.fired[i];
    fputs("<tr>", out);
    fsh_put_tag(out, "td class=\"code\"", fsh_reader_rule_name(r->reader, i));
    fprintf(out, "<td class=\"n\">%" PRIu64 "</td><td class=\"n\">%" PRIu64 "</td>", considered, fired);
    if (considered)
        fprintf(out, "<td class=\"n\">%.4g%%</td>", 100 * (double)fired / (double)considered);
    else
        fputs("<td></td>", out);
    fsh_put_tag(out, "td class=\"bad\"", fired ? "" : considered ? "never fired" : "never matched a call");
    fputs("</tr>\n", out);
}

static void put_rules(FILE *out, const struct report *r) {
    char *profile = meta_of(r, META_PROFILE);
    fputs("<h2>Rules</h2>\n<div class=\"scroll\"><table><thead><tr><th>rule</th><th class=\"n\">considered</th><th "
          "class=\"n\">fired</th>"
          "<th class=\"n\">share</th><th></th></tr></thead><tbody>\n",
          out);
    for (unsigned i = 0; i < fsh_reader_rules(r->reader); i++)
        put_rule(out, r, i);
    fputs("</tbody></table></div>\n", out);
    if (strlen(profile) > PROFILE_MOST)
        profile[PROFILE_MOST] = 0;
    fputs("<details><summary>Profile</summary>", out);
    fsh_put_tag(out, "pre", profile);
    fputs("</details>\n", out);
    free(profile);
}

/* --- the page: faults --- */

static void put_timeline(FILE *out) {
    fputs(
        "<section data-script hidden>\n<h2>Timeline</h2>\n"
        "<div class=\"bar\"><span id=\"legend\" class=\"bar\"></span><span class=\"grow\"></span><span id=\"span\" class=\"dim "
        "code\"></span>"
        "<button type=\"button\" id=\"out\" title=\"zoom out\">&minus;</button><button type=\"button\" id=\"in\" title=\"zoom "
        "in\">+</button>"
        "<button type=\"button\" id=\"whole\">Whole run</button>"
        "<label><input type=\"checkbox\" id=\"all\"> threads without faults too</label></div>\n"
        "<div id=\"timeline\"><canvas id=\"axis\"></canvas><div id=\"rows\" tabindex=\"0\"><canvas id=\"lanes\" role=\"img\" "
        "aria-label=\"faults by process and thread over time; the table below has the same\"></canvas></div></div>\n"
        "<p class=\"dim\">Drag to move; Ctrl and wheel, double click or + and &minus; to zoom; the wheel over the axis zooms too. "
        "Bars are decisions, each row by its own scale; marks are faults: click one.</p>\n"
        "<div id=\"tip\" hidden></div>\n</section>\n",
        out);
}

static void put_row(FILE *out, const struct report *r, const struct fsh_decision *d) {
    struct fault_words words = {r, d};
    const struct fsh_thread_info *t = fsh_reader_thread(r->reader, d->thread);
    char *outcome = fsh_text_of(put_outcome, &words);
    fprintf(out, "<tr><td class=\"n code\">%" PRIu64 ".%06" PRIu64 "</td>", d->time / 1000000000, d->time % 1000000000 / 1000);
    fsh_put_tagf(out, "td class=\"code nowrap\"", "%s/%s", t->process, t->name);
    fsh_put_tag(out, "td class=\"code\"", fsh_reader_call_name(r->reader, d->call));
    fsh_put_tag(out, "td class=\"code path\"", fsh_resource_name(r->reader, d->resource));
    fprintf(out, "<td class=\"n code\">%" PRIu64 "</td>", d->size);
    fsh_put_tag(out, "td class=\"code\"", outcome);
    fsh_put_tagf(out, "td class=\"code\"", "%s #%" PRIu64, fsh_reader_rule_name(r->reader, d->rule), d->ordinal);
    fputs("</tr>\n", out);
    free(outcome);
}

static void put_origin(FILE *out, void *arg) {
    const struct fault_words *w = arg;
    fsh_put_origin(out, w->report->symbols, w->report->reader, w->d, "from ");
}

/* Below its row, folded up: where there is no script to show it. */
static void put_stack_row(FILE *out, const struct report *r, const struct fsh_decision *d) {
    struct fault_words words = {r, d};
    char *origin = fsh_text_of(put_origin, &words), *stack = fsh_text_of(put_stack, &words);
    if (*stack) {
        fputs("<tr><td></td><td colspan=\"6\" class=\"code\"><details>", out);
        fsh_put_tag(out, "summary", origin);
        fsh_put_tag(out, "pre", stack);
        fputs("</details></td></tr>\n", out);
    }
    free(origin);
    free(stack);
}

static void put_table(FILE *out, const struct report *r, size_t n, bool with_stacks) {
    fprintf(out, "<div class=\"scroll\"><table%s>", with_stacks ? "" : " id=\"faults\"");
    fputs("<thead><tr><th class=\"n\">time, "
          "s</th><th>thread</th><th>call</th><th>resource</th>"
          "<th class=\"n\">size</th><th>fault</th><th>rule</th></tr></thead><tbody>\n",
          out);
    for (size_t i = 0; i < n; i++) {
        put_row(out, r, &r->faults[i]);
        if (with_stacks)
            put_stack_row(out, r, &r->faults[i]);
    }
    fputs("</tbody></table></div>\n", out);
}

static void put_faults(FILE *out, const struct report *r) {
    size_t n = r->n_faults < STATIC_FAULTS ? r->n_faults : STATIC_FAULTS;
    fputs("<div id=\"detail\" hidden></div>\n<h2>Faults</h2>\n<div class=\"bar\" data-script hidden><input type=\"search\" "
          "id=\"search\" placeholder=\"words: EIO "
          "fsync wal\" "
          "aria-label=\"words to look for\"><select id=\"rule\" aria-label=\"rule\"><option value=\"\">every rule</option></select>"
          "<select id=\"call\" aria-label=\"call\"><option value=\"\">every call</option></select><span id=\"found\" "
          "class=\"dim\"></span>"
          "<span class=\"grow\"></span><button type=\"button\" id=\"first\">First</button><button type=\"button\" "
          "id=\"back\">Back</button>"
          "<span id=\"place\" class=\"dim\"></span><button type=\"button\" id=\"next\">Next</button>"
          "<button type=\"button\" id=\"last\">Last</button></div>\n",
          out);
    if (r->n_faults > n)
        fsh_put_tagf(out, "p class=\"note\" data-static", "The first %zu of %zu faults; the others need JavaScript.", n,
                     r->n_faults);
    put_table(out, r, n, false);
}

static void put_notes(FILE *out, const struct report *r) {
    if (!r->n_notes)
        return;
    fputs("<details><summary>Processes, threads, phases, changes and marks</summary>", out);
    if (r->all_notes > r->n_notes)
        fsh_put_tagf(out, "p class=\"note\"", "The first %zu of %" PRIu64 ".", r->n_notes, r->all_notes);
    fputs("<pre>", out);
    for (size_t i = 0; i < r->n_notes; i++) {
        const struct fsh_thread_info *t = fsh_reader_thread(r->reader, r->notes[i].thread);
        char who[128];
        snprintf(who, sizeof who, "%s/%s", t->process, t->name);
        fprintf(out, "<span class=\"time\">%" PRIu64 ".%06" PRIu64 "  ", r->notes[i].time / 1000000000,
                r->notes[i].time % 1000000000 / 1000);
        fsh_put_html(out, who);
        fputs("</span>  ", out);
        fsh_put_html(out, r->notes[i].text);
        fputc('\n', out);
    }
    fputs("</pre></details>\n", out);
}

static void put_output(FILE *out, const struct report *r) {
    if (!r->n_said)
        return;
    fputs("<details id=\"output\"><summary>Output of the program</summary>", out);
    if (r->said_more)
        fsh_put_tag(out, "p class=\"note\"", "Not all of it was kept.");
    fputs("<pre>", out);
    for (size_t i = 0; i < r->n_said; i++) {
        fputs(r->said[i].fd == 2 ? "<span class=\"err\">" : "<span>", out);
        fsh_put_html(out, r->said[i].text);
        fputs("</span>", out);
    }
    fputs("</pre></details>\n", out);
}

static void put_body(FILE *out, void *arg) {
    struct report *r = arg;
    char *command = fsh_text_of(put_command_line, r), *replay = fsh_text_of(put_replay, r);
    fsh_put_tag(out, "h1 class=\"code\"", command);
    put_warnings(out, r);
    put_figures(out, r);
    put_facts(out, r);
    fsh_put_command(out, replay);
    put_rules(out, r);
    if (r->n_faults)
        put_timeline(out);
    put_faults(out, r);
    put_output(out, r);
    put_notes(out, r);
    free(command);
    free(replay);
}

/* --- a trace from begin to end --- */

static int read_all(struct report *r) {
    struct names *all[] = {&r->resources, &r->outcomes, &r->stacks, &r->sites, &r->kinds};
    struct fsh_visitor visitor = {r, take_decision, take_event};
    bool good = true;
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        good = names_begin(all[i]) && good;
    r->bucket = 1000;
    r->n_active = fsh_reader_threads(r->reader) < THREADS_MOST ? fsh_reader_threads(r->reader) : THREADS_MOST;
    r->activity = calloc((size_t)r->n_active * BUCKETS + 1, sizeof *r->activity);
    r->symbols = fsh_symbols_new();
    if (!good || !r->activity || !r->symbols || fsh_reader_totals(r->reader, &r->totals))
        return fsh_fail(EXIT_TROUBLE, "out of memory");
    int e = fsh_reader_walk(r->reader, &visitor);
    return e ? fsh_fail(EXIT_TROUBLE, "reading %s failed: %s", r->path, strerror(-e)) : 0;
}

static void finish(struct report *r) {
    struct names *all[] = {&r->resources, &r->outcomes, &r->stacks, &r->sites, &r->kinds};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        names_end(all[i]);
    for (size_t i = 0; i < r->n_notes; i++)
        free(r->notes[i].text);
    for (size_t i = 0; i < r->n_said; i++)
        free(r->said[i].text);
    free(r->said);
    free(r->notes);
    for (size_t i = 0; i < r->n_lines; i++)
        free(r->lines[i].text);
    free(r->lines);
    free(r->faults);
    free(r->activity);
    fsh_symbols_free(r->symbols);
    fsh_totals_free(&r->totals);
    fsh_reader_close(r->reader);
}

int fsh_report_trace(FILE *out, const char *path, uint64_t most) {
    struct report r = {.path = path, .most = most, .reader = fsh_trace_open(path)};
    if (!r.reader)
        return EXIT_TROUBLE;
    char *absolute = realpath(path, NULL); /* the command to copy works from any directory */
    r.path = absolute ? absolute : path;
    int status = read_all(&r);
    if (!status) {
        char *command = fsh_text_of(put_command_line, &r);
        char *title = NULL;
        if (asprintf(&title, "faultshim: %s", command) < 0)
            title = NULL;
        struct fsh_page page = {title ? title : "faultshim", put_body, put_data, &r};
        int e = fsh_page_print(out, &page);
        if (e)
            status = fsh_fail(EXIT_TROUBLE, "writing the report failed: %s", strerror(-e));
        free(title);
        free(command);
    }
    finish(&r);
    free(absolute);
    return status;
}

/* For a page that is not about this trace alone: with their stacks, since no script will show them. */
void fsh_report_faults(FILE *out, const char *path, uint64_t most) {
    struct report r = {.path = path, .most = most};
    if (fsh_reader_open(&r.reader, path))
        return;
    if (!read_all(&r) && r.n_faults) {
        put_table(out, &r, r.n_faults, true);
        if (r.all_faults > r.n_faults)
            fsh_put_tagf(out, "p class=\"dim\"", "The first %zu of %" PRIu64 ".", r.n_faults, r.all_faults);
    }
    finish(&r);
}
