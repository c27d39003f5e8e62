/* cmd_ctl.c: faultshim ctl: shows runs that are going on, and changes them. What it writes stands in the session, word by word, and
 * then the generation is raised: every decision looks at that first, so none that begins later is made by the old state. */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "commands.h"
#include "live.h"
#include "out.h"
#include "text.h"

enum { ID_PID = 300, ID_TIMEOUT };

static const struct fsh_option own_options[] = {
    {ID_PID, "pid", "PID", "the run that this process belongs to"},
    {ID_TIMEOUT, "timeout", "DURATION", "how long 'wait' waits (status 124), and 'load' for the processes (default 1s)"},
};

static const struct fsh_usage usage = {
    .name = "ctl",
    .operands = "[ACTION [ARGUMENT]...]",
    .summary =
        "Shows or changes a run that is going on: the one with --pid, or with the trace --trace, or the only one there is.\n\n"
        "actions:\n"
        "  list                   the runs of this user (default)\n"
        "  status                 rules, phases, counts\n"
        "  set intensity SHARE    multiply the probabilities of all rules\n"
        "  set RULE KEY=VALUE...  probability=SHARE, times=N, enabled=yes|no\n"
        "  disable RULE...        turn rules off; what they hold goes on\n"
        "  enable RULE...         turn them on again\n"
        "  reset [RULE...]        undo what was set, for rules or for all\n"
        "  phase NAME             begin a phase now\n"
        "  load PROFILE           put another profile in the place of the one that holds\n"
        "  mark TEXT              put a mark into the trace\n"
        "  wait RULE N            until the rule has fired N times",
    .common = COMMON_TRACE | COMMON_JSON | COMMON_QUIET,
    .options = own_options,
    .n_options = sizeof own_options / sizeof *own_options,
};

struct ctl {
    struct fsh_common common;
    uint64_t pid, timeout;
    struct fsh_lives lives;
    struct fsh_live opened;
    const struct fsh_live *live;
    struct fsh_loaded loaded;     /* all profiles of the run */
    const struct fsh_loaded *now; /* the one that holds */
    char **argv;                  /* the action's arguments */
    int argc;
};

/* --- which run --- */

static void put(json_object *o, const char *key, json_object *value) {
    json_object_object_add(o, key, value);
}

static double seconds_of(const struct fsh_live *live) {
    return (double)fsh_session_now(&live->session) / 1e9;
}

static void put_command(FILE *out, const struct fsh_live *live) {
    struct fsh_text command = fsh_session_meta(&live->session, META_COMMAND);
    for (const char *p = command.data, *end = p + command.len; p < end; p += strnlen(p, (size_t)(end - p)) + 1) {
        fputs(p == command.data ? "" : " ", out);
        fsh_put_shell(out, p);
    }
}

enum { BRIEF = 60 };

/* The beginning of it, on one line. */
static void put_brief(FILE *out, const struct fsh_live *live) {
    struct fsh_text command = fsh_session_meta(&live->session, META_COMMAND);
    char text[BRIEF + 1];
    size_t n = command.len ? command.len - 1 : 0; /* the last NUL */
    n = n < BRIEF ? n : BRIEF;
    for (size_t i = 0; i < n; i++)
        text[i] = command.data[i] && command.data[i] != '\n' ? command.data[i] : ' ';
    text[n] = 0;
    fsh_put_safe(out, text);
    fputs(command.len > n + 1 ? "..." : "", out);
}

static const char *name_of(const struct fsh_live *live) {
    return *live->trace ? live->trace : "(no file)";
}

static json_object *live_json(const struct fsh_live *live) {
    json_object *o = json_object_new_object(), *command = json_object_new_array();
    struct fsh_text list = fsh_session_meta(&live->session, META_COMMAND);
    for (const char *p = list.data, *end = p + list.len; p < end; p += strnlen(p, (size_t)(end - p)) + 1)
        json_object_array_add(command, json_object_new_string(p));
    put(o, "trace", *live->trace ? json_object_new_string(live->trace) : NULL);
    put(o, "pid", live->pid ? json_object_new_int64(live->pid) : NULL);
    put(o, "processes", json_object_new_uint64(live->processes));
    put(o, "seconds", json_object_new_double(seconds_of(live)));
    put(o, "seed", json_object_new_uint64(live->session.header->seed));
    put(o, "command", command);
    return o;
}

static void list_text(FILE *out, const struct fsh_lives *lives) {
    for (size_t i = 0; i < lives->n; i++) {
        const struct fsh_live *live = &lives->v[i];
        fprintf(out, "%-8d %8.0fs %4u process%s  ", (int)live->pid, seconds_of(live), live->processes,
                live->processes == 1 ? "  " : "es");
        fsh_put_safe(out, name_of(live));
        fputs("  ", out);
        put_brief(out, live);
        fputc('\n', out);
    }
}

static int list(struct ctl *c) {
    if (!c->common.json) {
        list_text(stdout, &c->lives);
        return 0;
    }
    json_object *runs = json_object_new_array();
    for (size_t i = 0; i < c->lives.n; i++)
        json_object_array_add(runs, live_json(&c->lives.v[i]));
    fsh_put_object(stdout, runs);
    return 0;
}

static const struct fsh_live *find_live(struct ctl *c) {
    const struct fsh_live *found = c->pid ? fsh_lives_with(&c->lives, c->pid) : c->lives.n == 1 ? &c->lives.v[0] : NULL;
    if (found)
        return found;
    if (c->pid)
        fsh_warn("process %" PRIu64 " belongs to no run that you can control", c->pid);
    else if (c->lives.n == 0)
        fsh_warn("there is no run that you can control");
    else
        fsh_warn("there are several runs; choose one with --pid or --trace:");
    if (!c->pid && c->lives.n)
        list_text(stderr, &c->lives);
    return NULL;
}

/* A trace that is named, and the processes of its run. */
static const struct fsh_live *open_live(struct ctl *c) {
    if (!fsh_live_open(&c->opened, c->common.trace))
        return NULL;
    for (size_t i = 0; i < c->lives.n; i++)
        if (c->lives.v[i].device == c->opened.device && c->lives.v[i].inode == c->opened.inode) {
            c->opened.pid = c->lives.v[i].pid;
            c->opened.processes = c->lives.v[i].processes;
        }
    return &c->opened;
}

static bool is_over(const struct fsh_live *live) {
    return live->session.header->state == TRACE_SEALED;
}

/* --- names --- */

/* Its number in the run; -1 after a message. */
static int rule_named(const struct ctl *c, const char *name) {
    const struct fsh_profile *profile = &c->now->profile;
    const char *known[FSH_RULES_MAX];
    for (unsigned i = 0; i < profile->n_rules; i++) {
        known[i] = profile->rules[i].name;
        if (!strcmp(name, known[i]))
            return (int)profile->rules[i].index;
    }
    const char *near = fsh_nearest(name, strlen(name), known, profile->n_rules);
    fsh_warn(near ? "the run has no rule '%s'; did you mean '%s'?" : "the run has no rule '%s'; 'faultshim ctl status' names them",
             name, near);
    return -1;
}

/* Rules that were left out of the run can't be brought in: nothing counts their candidates. */
static int changeable_rule(const struct ctl *c, const char *name) {
    int number = rule_named(c, name);
    const struct fsh_rule *rule = number < 0 ? NULL : fsh_loaded_rule(&c->loaded, (unsigned)number);
    if (!rule || rule->in_run)
        return number;
    fsh_warn("rule %s was left out of this run (%s); load a profile that has it", name,
             rule->enabled ? "by its active" : "enabled = no");
    return -1;
}

static struct fsh_rule_state *state_of(const struct ctl *c, int rule) {
    return &c->live->session.rules[rule];
}

/* --- status --- */

struct now {
    struct fsh_live_counts counts;
    struct fsh_standing standings[FSH_PHASES_MAX];
    uint32_t levels[FSH_PHASES_MAX];
};

static void look(const struct ctl *c, struct now *now) {
    const struct fsh_profile *profile = &c->now->profile;
    uint64_t time = fsh_session_coarse(&c->live->session);
    for (unsigned i = 0; i < profile->n_phases; i++) {
        now->standings[i] = fsh_phase_stands(&c->live->session, profile, i, time, UINT64_MAX);
        now->levels[i] = fsh_standing_level(&profile->phases[i], &now->standings[i]);
    }
}

static double share_of(uint64_t threshold) {
    return threshold == UINT64_MAX ? 1 : ldexp((double)threshold, -64);
}

static uint64_t threshold_of(const struct ctl *c, unsigned rule) {
    return fsh_rule_threshold_now(&c->live->session, &c->now->profile, &c->now->profile.rules[rule]);
}

/* Of the marks that are kept, the oldest. */
static uint32_t first_mark(const struct fsh_control *control) {
    return control->marks > FSH_MARKS ? control->marks - FSH_MARKS : 0;
}

static void put_position(const struct fsh_phase *phase, const struct fsh_standing *s) {
    if (!s->begun)
        fputs("not begun", stdout);
    else if (phase->unit == UNIT_OPS)
        printf("at %" PRIu64 " ops", s->at);
    else
        printf("at %.3fs", (double)s->at / 1e9);
}

static void status_text(const struct ctl *c, const struct now *now) {
    const struct fsh_profile *profile = &c->now->profile;
    const struct fsh_control *control = c->live->session.control;
    fputs("command   ", stdout);
    put_command(stdout, c->live);
    fputs("\ntrace     ", stdout);
    fsh_put_safe(stdout, name_of(c->live));
    printf("\nseed      %" PRIu64 "\nrunning   %.3fs, %u process%s, %u thread%s\n", c->live->session.header->seed,
           seconds_of(c->live), c->live->processes, c->live->processes == 1 ? "" : "es", now->counts.threads,
           fsh_plural(now->counts.threads));
    printf("decisions %" PRIu64 "\nfaults    %" PRIu64 "\nintensity %.4g%%\n", now->counts.decisions, now->counts.faults,
           100.0 * control->intensity / FSH_LEVEL_FULL);
    printf("changes   %u, met by %u of the threads\n", control->generation - 1, now->counts.met);
    if (c->now->profile.load)
        printf("profile   number %u of those that were loaded, at %.3fs\n", c->now->profile.load,
               (double)control->load[c->now->profile.load - 1].time / 1e9);
    printf("\n%-24s %11s %12s %10s  %s\n", "rule", "probability", "considered", "fired", "set");
    for (unsigned i = 0; i < profile->n_rules; i++) {
        uint32_t set = c->live->session.rules[profile->rules[i].index].set;
        printf("%-24s %10.4g%% %12" PRIu64 " %10" PRIu64 " %s%s%s%s\n", profile->rules[i].name, 100 * share_of(threshold_of(c, i)),
               now->counts.considered[profile->rules[i].index], now->counts.fired[profile->rules[i].index],
               set & CONTROL_OFF ? " disabled" : "", set & CONTROL_CHANCE ? " probability" : "",
               set & CONTROL_TIMES ? " times" : "", profile->rules[i].in_run ? "" : " not in this run");
    }
    if (profile->n_phases)
        printf("\n%-24s %11s %8s  %s\n", "phase", "intensity", "begun", "position");
    for (unsigned i = 0; i < profile->n_phases; i++) {
        const struct fsh_phase *phase = &profile->phases[i];
        printf("%s%-*s %10.4g%% %8u  ", phase->of_rule ? "on " : "", phase->of_rule ? 21 : 24, phase->name,
               100.0 * now->levels[i] / FSH_LEVEL_FULL, now->standings[i].runs);
        put_position(phase, &now->standings[i]);
        putchar('\n');
    }
    if (control->marks)
        puts("\nmarks");
    for (uint32_t i = first_mark(control); i != control->marks; i++) {
        const struct fsh_mark_state *mark = &control->mark[i % FSH_MARKS];
        printf("%11.6fs  ", (double)(mark->time ? mark->time - 1 : 0) / 1e9);
        fsh_put_safe(stdout, mark->text);
        putchar('\n');
    }
}

static json_object *rule_json(const struct ctl *c, const struct now *now, unsigned i) {
    const struct fsh_rule *rule = &c->now->profile.rules[i];
    const struct fsh_rule_state *state = state_of(c, (int)rule->index);
    uint32_t set = state->set;
    json_object *o = json_object_new_object();
    put(o, "name", json_object_new_string(rule->name));
    put(o, "in_run", json_object_new_boolean(rule->in_run));
    put(o, "enabled", json_object_new_boolean(!(set & CONTROL_OFF)));
    put(o, "probability", json_object_new_double(share_of(threshold_of(c, i))));
    put(o, "set_probability", set & CONTROL_CHANCE ? json_object_new_double(share_of(state->chance)) : NULL);
    put(o, "set_times", set & CONTROL_TIMES ? json_object_new_uint64(state->times) : NULL);
    put(o, "considered", json_object_new_uint64(now->counts.considered[rule->index]));
    put(o, "fired", json_object_new_uint64(now->counts.fired[rule->index]));
    return o;
}

static json_object *phase_json(const struct ctl *c, const struct now *now, unsigned i) {
    const struct fsh_phase *phase = &c->now->profile.phases[i];
    json_object *o = json_object_new_object();
    put(o, "name", json_object_new_string(phase->name));
    put(o, "of_rule", json_object_new_boolean(phase->of_rule));
    put(o, "intensity", json_object_new_double((double)now->levels[i] / FSH_LEVEL_FULL));
    put(o, "begun", json_object_new_uint64(now->standings[i].runs));
    put(o, "position", now->standings[i].begun ? json_object_new_uint64(now->standings[i].at) : NULL);
    put(o, "unit", json_object_new_string(phase->unit == UNIT_OPS ? "ops" : "ns"));
    return o;
}

static void status_json(const struct ctl *c, const struct now *now) {
    const struct fsh_control *control = c->live->session.control;
    json_object *o = live_json(c->live), *rules = json_object_new_array(), *phases = json_object_new_array(),
                *marks = json_object_new_array();
    for (unsigned i = 0; i < c->now->profile.n_rules; i++)
        json_object_array_add(rules, rule_json(c, now, i));
    for (unsigned i = 0; i < c->now->profile.n_phases; i++)
        json_object_array_add(phases, phase_json(c, now, i));
    for (uint32_t i = first_mark(control); i != control->marks; i++) {
        const struct fsh_mark_state *mark = &control->mark[i % FSH_MARKS];
        json_object *m = json_object_new_object();
        put(m, "time", json_object_new_double((double)(mark->time ? mark->time - 1 : 0) / 1e9));
        put(m, "text", json_object_new_string(mark->text));
        json_object_array_add(marks, m);
    }
    put(o, "over", json_object_new_boolean(is_over(c->live)));
    put(o, "decisions", json_object_new_uint64(now->counts.decisions));
    put(o, "faults", json_object_new_uint64(now->counts.faults));
    put(o, "intensity", json_object_new_double((double)control->intensity / FSH_LEVEL_FULL));
    put(o, "profile", json_object_new_uint64(c->now->profile.load));
    put(o, "changes", json_object_new_uint64(control->generation - 1));
    put(o, "threads", json_object_new_uint64(now->counts.threads));
    put(o, "met", json_object_new_uint64(now->counts.met));
    put(o, "rules", rules);
    put(o, "phases", phases);
    put(o, "marks", marks);
    fsh_put_object(stdout, o);
}

static int status(struct ctl *c) {
    struct now now = {0};
    int e = fsh_live_count(&now.counts, c->live);
    if (e)
        return fsh_fail(EXIT_TROUBLE, "the session cannot be read: %s", strerror(-e));
    look(c, &now);
    if (c->common.json)
        status_json(c, &now);
    else
        status_text(c, &now);
    free(now.counts.considered);
    return 0;
}

/* --- changes --- */

/* Threads that are held, and those that decide, look again. */
static int done(const struct ctl *c) {
    fsh_session_changed(&c->live->session);
    return 0;
}

static void set_bits(struct fsh_rule_state *state, uint32_t bits) {
    atomic_fetch_or(&state->set, bits);
}
static void clear_bits(struct fsh_rule_state *state, uint32_t bits) {
    atomic_fetch_and(&state->set, ~bits);
}

/* Values first, then the bits that say that they count. */
static void set_chance(struct fsh_rule_state *state, const struct fsh_share *share) {
    atomic_store(&state->chance, share->always ? UINT64_MAX : share->threshold);
    set_bits(state, CONTROL_CHANCE);
}
static void set_times(struct fsh_rule_state *state, uint64_t times) {
    atomic_store(&state->times, times);
    set_bits(state, CONTROL_TIMES);
}

static bool read_share(const char *what, const char *text, struct fsh_share *share) {
    const char *wrong = fsh_value_share((struct fsh_word){text, strlen(text)}, share);
    if (wrong)
        fsh_warn("%s '%s' %s", what, text, wrong);
    return !wrong;
}

/* What is set, checked whole before any of it is written. */
struct change {
    bool has_chance, has_times, has_enabled, enabled;
    struct fsh_share chance;
    uint64_t times;
};

static bool read_change(struct change *change, const char *word) {
    static const char *const keys[] = {"probability", "times", "enabled"};
    const char *equals = strchr(word, '=');
    size_t n = equals ? (size_t)(equals - word) : strlen(word);
    if (equals && n == 11 && !memcmp(word, "probability", n)) {
        change->has_chance = true;
        return read_share("probability", equals + 1, &change->chance);
    }
    if (equals && n == 5 && !memcmp(word, "times", n)) {
        change->has_times = true;
        return fsh_option_count("times", equals + 1, &change->times);
    }
    if (equals && n == 7 && !memcmp(word, "enabled", n)) {
        change->has_enabled = true;
        change->enabled = !strcmp(equals + 1, "yes");
        if (!change->enabled && strcmp(equals + 1, "no") != 0)
            fsh_warn("enabled '%s' is neither yes nor no", equals + 1);
        return change->enabled || !strcmp(equals + 1, "no");
    }
    const char *near = fsh_nearest(word, n, keys, 3);
    if (!equals)
        fsh_warn("'%s' is no KEY=VALUE; write one, as in probability=5%%", word);
    else
        fsh_warn("%.*s can't be set in a run; %s%s", (int)n, word,
                 near ? "did you mean " : "change it in the profile, and load that", near ? near : "");
    return false;
}

static int set_intensity(struct ctl *c) {
    struct fsh_share share;
    if (c->argc != 2)
        return fsh_fail(EXIT_TROUBLE, "write set intensity SHARE, as in set intensity 50%%");
    if (!read_share("intensity", c->argv[1], &share))
        return EXIT_TROUBLE;
    atomic_store(&c->live->session.control->intensity, share.always ? FSH_LEVEL_FULL : (uint32_t)(share.threshold >> 48));
    return done(c);
}

static int set(struct ctl *c) {
    struct change change = {0};
    if (c->argc && !strcmp(c->argv[0], "intensity"))
        return set_intensity(c);
    if (c->argc < 2)
        return fsh_fail(EXIT_TROUBLE, "write set RULE KEY=VALUE, or set intensity SHARE");
    int rule = changeable_rule(c, c->argv[0]);
    for (int i = 1; i < c->argc; i++)
        if (rule < 0 || !read_change(&change, c->argv[i]))
            return EXIT_TROUBLE;
    if (change.has_chance)
        set_chance(state_of(c, rule), &change.chance);
    if (change.has_times)
        set_times(state_of(c, rule), change.times);
    if (change.has_enabled)
        (change.enabled ? clear_bits : set_bits)(state_of(c, rule), CONTROL_OFF);
    return done(c);
}

static int for_each_rule(struct ctl *c, void (*act)(struct fsh_rule_state *)) {
    for (int i = 0; i < c->argc; i++)
        if (changeable_rule(c, c->argv[i]) < 0)
            return EXIT_TROUBLE;
    for (int i = 0; i < c->argc; i++)
        act(state_of(c, changeable_rule(c, c->argv[i])));
    return done(c);
}

static void act_disable(struct fsh_rule_state *state) {
    set_bits(state, CONTROL_OFF);
}
static void act_enable(struct fsh_rule_state *state) {
    clear_bits(state, CONTROL_OFF);
}
static void act_reset(struct fsh_rule_state *state) {
    clear_bits(state, CONTROL_OFF | CONTROL_CHANCE | CONTROL_TIMES);
}

static int disable(struct ctl *c) {
    return c->argc ? for_each_rule(c, act_disable) : fsh_fail(EXIT_TROUBLE, "write disable RULE");
}

static int enable(struct ctl *c) {
    return c->argc ? for_each_rule(c, act_enable) : fsh_fail(EXIT_TROUBLE, "write enable RULE");
}

static int reset(struct ctl *c) {
    if (c->argc)
        return for_each_rule(c, act_reset);
    for (unsigned i = 0; i < c->now->profile.n_rules; i++)
        act_reset(state_of(c, (int)c->now->profile.rules[i].index));
    atomic_store(&c->live->session.control->intensity, FSH_LEVEL_FULL);
    return done(c);
}

static int phase(struct ctl *c) {
    const struct fsh_profile *profile = &c->now->profile;
    const char *known[FSH_PHASES_MAX];
    unsigned n = 0;
    if (c->argc != 1)
        return fsh_fail(EXIT_TROUBLE, "write phase NAME");
    for (unsigned i = 0; i < profile->n_phases; i++) {
        if (profile->phases[i].of_rule)
            continue;
        known[n++] = profile->phases[i].name;
        if (strcmp(c->argv[0], profile->phases[i].name) != 0)
            continue;
        fsh_phase_start_now(&c->live->session, profile, i);
        return done(c);
    }
    const char *near = fsh_nearest(c->argv[0], strlen(c->argv[0]), known, n);
    return fsh_fail(EXIT_TROUBLE, near ? "the run has no phase '%s'; did you mean '%s'?" : "the run has no phase '%s'", c->argv[0],
                    near);
}

static int mark(struct ctl *c) {
    struct fsh_control *control = c->live->session.control;
    if (c->argc != 1 || !*c->argv[0])
        return fsh_fail(EXIT_TROUBLE, "write mark TEXT, in one argument");
    if (strlen(c->argv[0]) > FSH_MARK_MAX)
        return fsh_fail(EXIT_TROUBLE, "a mark has at most %d bytes; write a shorter one", FSH_MARK_MAX);
    struct fsh_mark_state *m = &control->mark[control->marks % FSH_MARKS];
    atomic_store(&m->time, 0);
    snprintf(m->text, sizeof m->text, "%s", c->argv[0]);
    atomic_store(&m->time, fsh_session_now(&c->live->session) + 1);
    atomic_fetch_add(&control->marks, 1);
    const struct fsh_profile *profile = &c->now->profile;
    for (unsigned i = 0; i < profile->n_phases; i++)
        if (profile->phases[i].event == EVENT_MARK && !strcmp(profile->phases[i].event_name, c->argv[0]))
            fsh_phase_start(&c->live->session, profile, i);
    return done(c);
}

/* --- load --- */

/* Whether there is room for its rules and phases. */
static bool has_room(const struct ctl *c, const struct fsh_profile *p) {
    if (p->rules_before + p->n_rules > c->live->session.header->rules_room)
        fsh_warn("the profiles that are loaded into a run can have %d rules together, and with this one they have %u",
                 FSH_LOADED_RULES, p->rules_before + p->n_rules - c->loaded.profile.n_rules);
    else if (p->phases_before + p->n_phases > FSH_PHASE_STATES)
        fsh_warn("the profiles of a run can have %d phases and events together, and with this one they have %u", FSH_PHASE_STATES,
                 p->phases_before + p->n_phases);
    else
        return true;
    return false;
}

/* A process of the run that has not taken the profile over. */
static bool is_awaited(const struct fsh_process_state *p, unsigned load) {
    return p->pid && p->ready && p->plan < load && p->failed != load && (kill((pid_t)p->pid, 0) == 0 || errno == EPERM);
}

static bool has_failed(const struct fsh_process_state *p, unsigned load) {
    return p->pid && p->failed == load;
}

static const struct fsh_process_state *first_that(const struct ctl *c, unsigned load,
                                                  bool (*is)(const struct fsh_process_state *, unsigned)) {
    for (unsigned i = 0; i < FSH_PROCESSES; i++)
        if (is(&c->live->session.processes[i], load))
            return &c->live->session.processes[i];
    return NULL;
}

static void say_awaited(const struct ctl *c, unsigned load) {
    for (unsigned i = 0; i < FSH_PROCESSES && !c->common.quiet; i++) {
        const struct fsh_process_state *p = &c->live->session.processes[i];
        if (is_awaited(p, load))
            fsh_warn("process %.*s (%u) has made no decision since; it takes the profile over before its next one",
                     (int)sizeof p->name, p->name, p->pid);
    }
}

/* A process that makes no call that is met takes nothing over, and decides nothing: it is named, and not waited for. */
static int wait_for_processes(const struct ctl *c, unsigned load) {
    enum { A_SECOND = 1000000000 };
    const uint64_t start = fsh_monotonic(), most = c->timeout ? c->timeout : A_SECOND;
    while (first_that(c, load, is_awaited) && fsh_monotonic() - start < most)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    const struct fsh_process_state *failed = first_that(c, load, has_failed);
    if (failed)
        return fsh_fail(EXIT_DIFFERENT, "process %.*s (%u) can't take the profile over, and decides by the old one",
                        (int)sizeof failed->name, failed->name, failed->pid);
    say_awaited(c, load);
    return 0;
}

static int put_in_place(struct ctl *c, const struct fsh_loaded *l) {
    const struct fsh_session *session = &c->live->session;
    const struct fsh_load load = {.profile = {l->text, l->len},
                                  .rules = {l->names, l->names_len},
                                  .phases = {l->phases, l->phases_len},
                                  .n_rules = l->profile.n_rules,
                                  .n_phases = l->profile.n_phases};
    int number = fsh_session_add_load(session, &load);
    if (number < 0)
        return fsh_fail(EXIT_TROUBLE, "%s: the profile cannot be written there: %s", name_of(c->live), strerror(-number));
    fsh_plan_starts(session, &l->profile);
    done(c);
    return wait_for_processes(c, (unsigned)number);
}

static int load(struct ctl *c) {
    struct fsh_loaded other;
    struct fsh_error error;
    if (c->argc != 1)
        return fsh_fail(EXIT_TROUBLE, "write load PROFILE");
    if (c->live->session.header->script.size)
        return fsh_fail(EXIT_TROUBLE, "%s: a replay does what was recorded; load into a run", name_of(c->live));
    const char *names[] = {c->argv[0]};
    struct fsh_common common = {.profiles = names, .n_profiles = 1, .has_seed = true, .seed = c->live->session.header->seed};
    if (c->loaded.n_loads == FSH_LOADS)
        return fsh_fail(EXIT_TROUBLE, "%d profiles have been loaded into this run, and it takes no more; start it anew", FSH_LOADS);
    /* by itself, before it is numbered behind the profiles there are */
    bool good = fsh_load_options(&other, &common) && fsh_loaded_add(&c->loaded, (struct fsh_text){other.text, other.len});
    fsh_loaded_free(&other);
    if (!good)
        return EXIT_TROUBLE;
    const struct fsh_loaded *l = fsh_loaded_at(&c->loaded, c->loaded.n_loads);
    if (!has_room(c, &l->profile))
        return EXIT_TROUBLE;
    if (fsh_plan_within(&c->loaded.plan, &l->plan, &error))
        return fsh_fail(EXIT_TROUBLE, "%s", error.text);
    return put_in_place(c, l);
}

/* --- wait --- */

/* Whether a process of the run is left that could fire. */
static bool goes_on(const struct fsh_live *live) {
    if (is_over(live))
        return false;
    for (unsigned i = 0; i < FSH_PROCESSES; i++) {
        pid_t pid = (pid_t)live->session.processes[i].pid;
        if (pid && (kill(pid, 0) == 0 || errno == EPERM))
            return true;
    }
    return live->session.header->attached == 0; /* none has begun */
}

static int wait_for(struct ctl *c) {
    uint64_t n, start = fsh_monotonic();
    if (c->argc != 2)
        return fsh_fail(EXIT_TROUBLE, "write wait RULE N");
    int rule = changeable_rule(c, c->argv[0]);
    if (rule < 0 || !fsh_option_count("wait", c->argv[1], &n))
        return EXIT_TROUBLE;
    for (;;) {
        bool last = !goes_on(c->live);
        uint64_t fired = state_of(c, rule)->fired;
        if (fired >= n)
            return 0;
        if (!fsh_rule_holds(&c->live->session, (unsigned)rule))
            return fsh_fail(EXIT_DIFFERENT, "another profile was loaded, and rule %s has fired %" PRIu64 " time%s", c->argv[0],
                            fired, fsh_plural(fired));
        if (last)
            return fsh_fail(EXIT_DIFFERENT, "the run has ended, and rule %s has fired %" PRIu64 " time%s", c->argv[0], fired,
                            fsh_plural(fired));
        if (c->timeout && fsh_monotonic() - start >= c->timeout)
            return fsh_fail(EXIT_TIMEOUT, "rule %s has fired %" PRIu64 " time%s so far", c->argv[0], fired, fsh_plural(fired));
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
}

/* --- the command --- */

static const struct action {
    const char *name;
    int (*run)(struct ctl *c);
    bool changes;
} actions[] = {
    {"status", status, false}, {"set", set, true},   {"enable", enable, true}, {"disable", disable, true}, {"reset", reset, true},
    {"phase", phase, true},    {"load", load, true}, {"mark", mark, true},     {"wait", wait_for, false},
};

/* What holds now. */
static int act_now(struct ctl *c, const struct action *action) {
    int result = EXIT_TROUBLE;
    if (fsh_live_load(&c->loaded, c->live)) {
        c->now = fsh_loaded_at(&c->loaded, c->live->session.control->plan);
        result = c->now ? action->run(c) : fsh_fail(EXIT_TROUBLE, "%s: the session makes no sense", name_of(c->live));
    }
    fsh_loaded_free(&c->loaded);
    return result;
}

/* Changes come one after the other. */
static int act(struct ctl *c, const struct action *action) {
    if (!action->changes)
        return act_now(c, action);
    if (is_over(c->live))
        return fsh_fail(EXIT_TROUBLE, "%s: the run is over", name_of(c->live));
    if (flock(c->live->session.fd, LOCK_EX))
        return fsh_fail(EXIT_TROUBLE, "%s: %s", name_of(c->live), strerror(errno));
    int result = act_now(c, action);
    flock(c->live->session.fd, LOCK_UN);
    return result;
}

static int perform(struct ctl *c, const char *name) {
    const struct action *action = NULL;
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (!strcmp(actions[i].name, name))
            action = &actions[i];
    if (!action) {
        const char *known[sizeof actions / sizeof *actions + 1] = {"list"};
        for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
            known[i + 1] = actions[i].name;
        const char *near = fsh_nearest(name, strlen(name), known, sizeof known / sizeof *known);
        return fsh_fail(EXIT_TROUBLE,
                        near ? "ctl has no action '%s'; did you mean '%s'?" : "ctl has no action '%s'; see 'faultshim ctl --help'",
                        name, near);
    }
    c->live = c->common.trace ? open_live(c) : find_live(c);
    if (!c->live)
        return EXIT_TROUBLE;
    return act(c, action);
}

static bool take(void *arg, int id, const char *value) {
    struct ctl *c = arg;
    return id == ID_PID ? fsh_option_count("--pid", value, &c->pid) : fsh_option_time("--timeout", value, &c->timeout);
}

int fsh_cmd_ctl(int argc, char **argv) {
    struct ctl c = {.pid = 0};
    int result, at = fsh_options(argc, argv, &usage, &c.common, take, &c, &result);
    if (at >= 0) {
        const char *name = at < argc ? argv[at] : "list";
        c.argv = argv + at + 1;
        c.argc = at < argc ? argc - at - 1 : 0;
        result = !fsh_lives_find(&c.lives) ? EXIT_TROUBLE : !strcmp(name, "list") ? list(&c) : perform(&c, name);
        result = fsh_out_finish(result);
    }
    fsh_live_close(&c.opened);
    fsh_lives_free(&c.lives);
    fsh_common_free(&c.common);
    return result;
}
