/* card.c: see card.h. Counts come from the rings' counters, which hold what the trace itself may not: they are right with
 * trace = off too. */
#include "card.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "commands.h"
#include "out.h"
#include "symbolize.h"
#include "trace_open.h"

static const char *const seed_origins[] = {[SEED_DRAWN] = "drawn",
                                           [SEED_PROFILE] = "from the profile",
                                           [SEED_ENVIRONMENT] = "from FAULTSHIM_SEED",
                                           [SEED_COMMAND_LINE] = "from --seed"};
static const char *const seed_words[] = {
    [SEED_DRAWN] = "drawn", [SEED_PROFILE] = "profile", [SEED_ENVIRONMENT] = "environment", [SEED_COMMAND_LINE] = "command-line"};

/* --- banner --- */

static void show_sources(const struct fsh_common *common, FILE *out) {
    const char *sep = "";
    for (unsigned i = 0; i < common->n_profiles; i++, sep = ", ")
        fprintf(out, "%s%s", sep, common->profiles[i]);
    if (common->n_rules)
        fprintf(out, "%s%u rule%s from the command line", sep, common->n_rules, fsh_plural(common->n_rules));
    else if (!common->n_profiles)
        fputs("none", out);
}

void fsh_banner(const struct fsh_run *run, const struct fsh_common *common, FILE *out) {
    const struct fsh_loaded *l = run->loaded;
    fprintf(out, "faultshim: seed %" PRIu64 " (%s), profile ", l->seed, seed_origins[l->seed_from]);
    show_sources(common, out);
    fprintf(out, ", %u rule%s, trace %s\n", l->profile.n_rules, fsh_plural(l->profile.n_rules), run->trace);
    for (unsigned i = 0; i < l->profile.n_rules; i++) {
        const struct fsh_rule *rule = &l->profile.rules[i];
        if (rule->enabled && !rule->in_run)
            fprintf(out, "faultshim: rule %s is not in this run: active = %g%% was drawn\n", rule->name,
                    fsh_share_percent(&rule->active));
    }
    fflush(out);
}

/* --- reading --- */

static int keep_fault(void *arg, const struct fsh_decision *d) {
    struct fsh_card *card = arg;
    if (!d->fault)
        return 0;
    struct fsh_decision *kept = &card->first[card->n_first++];
    *kept = *d;
    kept->rules = NULL;
    return card->n_first == CARD_FAULTS;
}

int fsh_card_read(struct fsh_card *card, const struct fsh_run *run, const struct fsh_common *common, FILE *out) {
    char path[64];
    memset(card, 0, sizeof *card);
    card->run = run;
    card->common = common;
    card->out = out;
    /* by descriptor: the program may have moved the file away */
    snprintf(path, sizeof path, "/proc/self/fd/%d", run->session.fd);
    int e = fsh_reader_open(&card->reader, path);
    if (e)
        return fsh_fail(EXIT_TROUBLE, "the trace %s cannot be read: %s", run->trace, strerror(-e));
    unsigned n = fsh_reader_rules(card->reader);
    card->symbols = fsh_symbols_new();
    card->fired = calloc(n + 1, sizeof *card->fired);
    if (!card->fired || fsh_reader_totals(card->reader, &card->totals))
        return fsh_fail(EXIT_TROUBLE, "out of memory");
    for (unsigned i = 0; i < n; i++) {
        /* threads without a ring count in the rule's own counter only */
        uint64_t shared = run->session.rules[i].fired, summed = card->totals.fired[i];
        card->fired[i] = shared > summed ? shared : summed;
        card->faults += card->fired[i];
    }
    struct fsh_visitor visitor = {card, keep_fault, NULL};
    if (card->faults)
        fsh_reader_walk(card->reader, &visitor);
    return 0;
}

void fsh_card_free(struct fsh_card *card) {
    free(card->fired);
    fsh_totals_free(&card->totals);
    fsh_symbols_free(card->symbols);
    fsh_reader_close(card->reader);
}

/* --- judging --- */

static int complain_unattached(const struct fsh_card *card) {
    const struct fsh_run *run = card->run;
    const struct fsh_lost *lost = fsh_run_lost_program(run);
    const char *why = fsh_binary_obstacle(&run->binary);
    if (run->session.header->attached && lost)
        return fsh_fail(EXIT_NOT_ATTACHED, "the shim did not start in %s, which the program became: %s", lost->path, lost->why);
    if (why)
        return fsh_fail(EXIT_NOT_ATTACHED, "the shim did not start in %s: %s", run->argv[0], why);
    return fsh_fail(EXIT_NOT_ATTACHED, "the shim did not start in %s; 'faultshim check %s' may tell why", run->argv[0],
                    run->program);
}

void fsh_card_judge(struct fsh_card *card, const struct fsh_expected *expected) {
    const struct fsh_run *run = card->run;
    enum fsh_expect expect = expected->faults;
    int status = fsh_run_status(run);
    card->can_inject = fsh_loaded_can_inject(run->loaded) || fsh_reader_loads(card->reader);
    card->vacuous = card->faults == 0 && card->can_inject;
    card->status = status;
    if (run->end == END_TIMEOUT)
        return;
    if (run->session.header->attached == 0 || fsh_run_lost_program(run))
        card->status = complain_unattached(card);
    else if (expected->seen && (run->n_lost || run->lost_unnamed || (run->auditor && fsh_audit_past(run->auditor))))
        card->status = EXIT_UNSEEN;
    else if (expect == EXPECT_NONE)
        card->status = card->faults ? EXIT_VACUOUS : status;
    else if (expect == EXPECT_FAULT)
        card->status = card->faults ? status : EXIT_VACUOUS;
    else if (expect == EXPECT_DEFAULT && card->vacuous && status == 0)
        card->status = EXIT_VACUOUS;
}

/* A process that execs goes on as the same, under another image. With trace = off no process is named in the trace. */
static unsigned processes_of(const struct fsh_card *card) {
    unsigned named = 0;
    for (unsigned i = 0; i < fsh_reader_processes(card->reader); i++)
        named += fsh_reader_process(card->reader, i)->image == 0;
    return named ? named : card->run->session.header->attached;
}

/* The main thread likewise: its key is 0. */
static unsigned threads_of(const struct fsh_card *card) {
    unsigned threads = 0;
    for (unsigned i = 0; i < fsh_reader_threads(card->reader); i++) {
        const struct fsh_thread_info *t = fsh_reader_thread(card->reader, i);
        threads += t->key != 0 || t->image == 0;
    }
    return threads;
}

/* --- in words --- */

static void line(const struct fsh_card *card, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line(const struct fsh_card *card, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("faultshim: ", card->out);
    vfprintf(card->out, format, args);
    fputc('\n', card->out);
    va_end(args);
}

static void show_end(const struct fsh_card *card) {
    const struct fsh_run *run = card->run;
    fputs("faultshim: ", card->out);
    fsh_put_safe(card->out, run->argv[0]);
    if (run->end == END_TIMEOUT) {
        fputs(" did not end within ", card->out);
        fsh_put_time(card->out, run->timeout);
        fputs(" and was killed with all its children\n", card->out);
        return;
    }
    if (run->end == END_SIGNALED)
        fprintf(card->out, " was killed by signal %d (%s)", run->value, strsignal(run->value));
    else
        fprintf(card->out, " exited with status %d", run->value);
    fputs(" after ", card->out);
    fsh_put_time(card->out, run->ns / 1000000 * 1000000 + (run->ns < 1000000 ? run->ns : 0));
    fputc('\n', card->out);
}

/* Of a rule that the run began with: why it could do nothing. */
static const char *why_silent(const struct fsh_card *card, unsigned number) {
    const struct fsh_profile *profile = &card->run->loaded->profile;
    const struct fsh_rule *rule = number < profile->n_rules ? &profile->rules[number] : NULL;
    if (rule && !rule->enabled)
        return " (not enabled)";
    if (rule && !rule->in_run)
        return " (not in this run: see active)";
    return card->fired[number] ? "" : card->totals.considered[number] ? " - never fired" : " - never matched a call";
}

static void show_rules(const struct fsh_card *card) {
    const unsigned n = fsh_reader_rules(card->reader);
    int width = 0;
    for (unsigned i = 0; i < n; i++)
        if ((int)strlen(fsh_reader_rule_name(card->reader, i)) > width)
            width = (int)strlen(fsh_reader_rule_name(card->reader, i));
    for (unsigned i = 0; i < n; i++)
        line(card, "  rule %-*s considered %" PRIu64 ", fired %" PRIu64 "%s", width, fsh_reader_rule_name(card->reader, i),
             card->totals.considered[i], card->fired[i], why_silent(card, i));
}

static void show_fault(const struct fsh_card *card, const struct fsh_decision *d) {
    const struct fsh_thread_info *t = fsh_reader_thread(card->reader, d->thread);
    const char *resource = fsh_resource_name(card->reader, d->resource);
    fprintf(card->out, "faultshim:   at %.6f %s/%s %s", (double)d->time / 1e9, t->process, t->name,
            fsh_reader_call_name(card->reader, d->call));
    if (*resource) {
        fputc(' ', card->out);
        fsh_put_safe(card->out, resource);
    }
    fputs(" = ", card->out);
    fsh_put_outcome(card->out, card->reader, d);
    fprintf(card->out, " (rule %s, ordinal %" PRIu64 ")\n", fsh_reader_rule_name(card->reader, d->rule), d->ordinal);
    if (d->site) {
        fsh_put_origin(card->out, card->symbols, card->reader, d, "faultshim:     from ");
        fputc('\n', card->out);
    }
}

static void show_lost(const struct fsh_card *card) {
    const struct fsh_run *run = card->run;
    for (size_t i = 0; i < run->n_lost && i < CARD_LOST; i++) {
        const struct fsh_lost *lost = &run->lost[i];
        fputs("faultshim: without the shim: ", card->out);
        fsh_put_safe(card->out, lost->path);
        if (lost->pid)
            fprintf(card->out, " (process %d)", lost->pid);
        fprintf(card->out, ": %s", lost->why);
        if (lost->calls)
            fprintf(card->out, "; it made %" PRIu64 " system call%s", lost->calls, fsh_plural(lost->calls));
        fputc('\n', card->out);
    }
    uint64_t more = run->lost_unnamed + (run->n_lost > CARD_LOST ? run->n_lost - CARD_LOST : 0);
    if (more)
        line(card, "and %" PRIu64 " more process%s without the shim", more, more == 1 ? "" : "es");
}

static void show_losses(const struct fsh_card *card) {
    const struct fsh_header *h = card->run->session.header;
    char number[16];
    if (h->lost_blocks)
        line(card, "the trace is not complete: it could not be written any further (%s)", fsh_errno_text((int)h->stopped, number));
    if (h->untraced)
        line(card, "%" PRIu64 " thread%s could not be traced", h->untraced, fsh_plural(h->untraced));
    if (h->late_calls)
        line(card, "%" PRIu64 " call%s came when their thread was ending and passed undecided", h->late_calls,
             fsh_plural(h->late_calls));
    if (h->nested_calls)
        line(card, "%" PRIu64 " call%s from signal handlers inside the shim passed undecided", h->nested_calls,
             fsh_plural(h->nested_calls));
    if (h->without_sites)
        line(card, "%" PRIu64 " program%s ran without syscall doors: what libc does inside itself was not seen there",
             h->without_sites, fsh_plural(h->without_sites));
    if (h->deepbind)
        line(card, "RTLD_DEEPBIND was taken from %" PRIu64 " dlopen call%s", h->deepbind, fsh_plural(h->deepbind));
    if (h->keys_full)
        line(card, "%" PRIu64 " resource%s counted by each process alone: the table of shared counters was full", h->keys_full,
             h->keys_full == 1 ? " was" : "s were");
    if (card->run->left)
        line(card, "%u process%s of the run still running", card->run->left, card->run->left == 1 ? " is" : "es are");
}

static void show_verdict(const struct fsh_card *card) {
    const struct fsh_profile *profile = &card->run->loaded->profile;
    if (card->run->session.header->attached == 0)
        return;
    if (card->vacuous)
        line(card, "nothing was injected: this run proves nothing");
    else if (card->faults == 0 && profile->n_rules)
        line(card, "nothing could be injected: no rule of this run has a probability");
    fputs("faultshim: replay with: faultshim replay ", card->out);
    fsh_put_shell(card->out, card->run->trace);
    fputc('\n', card->out);
}

void fsh_card_show(const struct fsh_card *card) {
    unsigned processes = processes_of(card), threads = threads_of(card);
    show_end(card);
    line(card, "%" PRIu64 " decision%s and %" PRIu64 " fault%s in %u process%s and %u thread%s", card->totals.decisions,
         fsh_plural(card->totals.decisions), card->faults, fsh_plural(card->faults), processes, processes == 1 ? "" : "es", threads,
         fsh_plural(threads));
    show_rules(card);
    if (card->n_first)
        line(card, card->faults > card->n_first ? "the first faults:" : card->faults == 1 ? "the fault:" : "the faults:");
    for (unsigned i = 0; i < card->n_first; i++)
        show_fault(card, &card->first[i]);
    if (card->run->auditor)
        fsh_audit_show(card->run->auditor, card->out);
    fsh_losses_show(&card->run->losses, card->out);
    show_lost(card);
    show_losses(card);
    show_verdict(card);
    fflush(card->out);
}

/* --- as JSON --- */

static void put(json_object *o, const char *key, json_object *value) {
    json_object_object_add(o, key, value);
}

static json_object *list_of(const char **v, unsigned n) {
    json_object *list = json_object_new_array();
    for (unsigned i = 0; i < n; i++)
        json_object_array_add(list, json_object_new_string(v[i]));
    return list;
}

static json_object *rules_json(const struct fsh_card *card) {
    const struct fsh_profile *profile = &card->run->loaded->profile;
    json_object *list = json_object_new_array();
    for (unsigned i = 0; i < fsh_reader_rules(card->reader); i++) {
        json_object *o = json_object_new_object();
        put(o, "name", json_object_new_string(fsh_reader_rule_name(card->reader, i)));
        if (i < profile->n_rules) {
            put(o, "enabled", json_object_new_boolean(profile->rules[i].enabled));
            put(o, "in_run", json_object_new_boolean(profile->rules[i].in_run));
        }
        put(o, "considered", json_object_new_uint64(card->totals.considered[i]));
        put(o, "fired", json_object_new_uint64(card->fired[i]));
        json_object_array_add(list, o);
    }
    return list;
}

static json_object *faults_json(const struct fsh_card *card) {
    json_object *list = json_object_new_array();
    for (unsigned i = 0; i < card->n_first; i++) {
        const struct fsh_decision *d = &card->first[i];
        json_object *o = fsh_decision_json(card->reader, d),
                    *stack = card->symbols ? fsh_stack_json(card->symbols, card->reader, d->thread, d->site) : NULL;
        if (stack)
            put(o, "stack", stack);
        json_object_array_add(list, o);
    }
    return list;
}

static json_object *end_json(const struct fsh_run *run) {
    static const char *const words[] = {"unknown", "exited", "signaled", "timeout"};
    json_object *o = json_object_new_object();
    put(o, "how", json_object_new_string(words[run->end]));
    if (run->end == END_EXITED)
        put(o, "status", json_object_new_int(run->value));
    if (run->end == END_SIGNALED)
        put(o, "signal", json_object_new_int(run->value));
    return o;
}

static json_object *lost_json(const struct fsh_run *run) {
    json_object *list = json_object_new_array();
    for (size_t i = 0; i < run->n_lost; i++) {
        const struct fsh_lost *lost = &run->lost[i];
        json_object *o = json_object_new_object();
        put(o, "pid", lost->pid ? json_object_new_int(lost->pid) : NULL);
        put(o, "path", json_object_new_string(lost->path));
        put(o, "why", json_object_new_string(lost->why));
        if (run->auditor)
            put(o, "system_calls", json_object_new_uint64(lost->calls));
        json_object_array_add(list, o);
    }
    return list;
}

static json_object *losses_json(const struct fsh_card *card) {
    const struct fsh_header *h = card->run->session.header;
    json_object *o = json_object_new_object();
    put(o, "lost_blocks", json_object_new_uint64(h->lost_blocks));
    put(o, "untraced", json_object_new_uint64(h->untraced));
    put(o, "late_calls", json_object_new_uint64(h->late_calls));
    put(o, "nested_calls", json_object_new_uint64(h->nested_calls));
    put(o, "without_syscall_doors", json_object_new_uint64(h->without_sites));
    put(o, "deepbind", json_object_new_uint64(h->deepbind));
    put(o, "keys_full", json_object_new_uint64(h->keys_full));
    put(o, "processes_left", json_object_new_uint64(card->run->left));
    put(o, "lost_unnamed", json_object_new_uint64(card->run->lost_unnamed));
    return o;
}

json_object *fsh_card_json(const struct fsh_card *card) {
    const struct fsh_run *run = card->run;
    unsigned n = 0;
    while (run->argv[n])
        n++;
    json_object *o = json_object_new_object();
    put(o, "version", json_object_new_string(FSH_VERSION));
    put(o, "command", list_of((const char **)run->argv, n));
    put(o, "seed", json_object_new_uint64(run->loaded->seed));
    put(o, "seed_from", json_object_new_string(seed_words[run->loaded->seed_from]));
    put(o, "profiles", list_of(card->common->profiles, card->common->n_profiles));
    put(o, "one_liners", list_of(card->common->rules, card->common->n_rules));
    put(o, "trace", json_object_new_string(run->trace));
    put(o, "end", end_json(run));
    put(o, "seconds", json_object_new_double((double)run->ns / 1e9));
    put(o, "attached", json_object_new_uint64(run->session.header->attached));
    put(o, "decisions", json_object_new_uint64(card->totals.decisions));
    put(o, "faults", json_object_new_uint64(card->faults));
    put(o, "processes", json_object_new_uint64(processes_of(card)));
    put(o, "threads", json_object_new_uint64(threads_of(card)));
    put(o, "rules", rules_json(card));
    put(o, "first_faults", faults_json(card));
    put(o, "audit", run->auditor ? fsh_audit_json(run->auditor) : NULL);
    put(o, "lost", lost_json(run));
    put(o, "gone", fsh_losses_json(&run->losses));
    put(o, "missing", losses_json(card));
    put(o, "vacuous", json_object_new_boolean(card->vacuous));
    put(o, "status", json_object_new_int(card->status));
    return o;
}
