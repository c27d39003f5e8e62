/* cmd_replay.c: faultshim replay: the recorded command again, with the recorded outcomes in the place of draws. */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "card.h"
#include "commands.h"
#include "compare.h"
#include "out.h"
#include "pack.h"
#include "recorded.h"
#include "script.h"
#include "symbolize.h"
#include "trace_open.h"

enum { ID_TIMEOUT = 300, ID_DIVERGENCE, ID_MODE, ID_UNTIL, ID_GDB, ID_DIRECTORY, SHOWN = 5 };

static const struct fsh_option own_options[] = {
    {ID_TIMEOUT, "timeout", "DURATION", "end the program and its children after this time (status 124)"},
    {ID_MODE, "mode", "MODE", "which calls get the recorded faults: exact (default), set, site"},
    {ID_DIRECTORY, "directory", "DIR", "run in this directory, and not in the recorded one"},
    {ID_UNTIL, "until", "[THREAD:]N", "stop the process before decision N of THREAD, as in 1.2/3:57 (default 1/0)"},
    {ID_GDB, "gdb", NULL, "with --until: start gdb on it"},
    {ID_DIVERGENCE, "on-divergence", "WHAT", "continue: look for the next step that fits (default); stop: inject nothing more"},
};

static const char *const modes[] = {[REPLAY_EXACT] = "exact", [REPLAY_SET] = "set", [REPLAY_SITE] = "site"};

static const struct fsh_usage usage = {
    .name = "replay",
    .operands = "[TRACE] [-- PROGRAM [ARGUMENT]...]",
    .summary = "Runs the recorded command again, or PROGRAM in its place, and injects the recorded faults at the recorded calls.\n"
               "The replay has a trace of its own: --trace, or TRACE with .replay.trace at its end. The exit status is the\n"
               "program's own; 122 if it made other calls than recorded.",
    .common = COMMON_TRACE | COMMON_JSON | COMMON_QUIET,
    .options = own_options,
    .n_options = sizeof own_options / sizeof *own_options,
};

struct replay {
    struct fsh_common common;
    uint64_t timeout;
    struct fsh_script_wish wish;
    const char *path; /* of the recorded trace */
    const char *directory;
    char **command; /* NULL: the recorded one */
    struct fsh_reader *recorded;
    struct fsh_symbols *symbols; /* NULL if memory is out */
    struct fsh_loaded loaded;
    struct fsh_script_text script;
    struct fsh_unpacked unpacked; /* the program that came with the trace */
    char **argv;
    char *argv_text;
    char trace[4096];
    char until[128]; /* "1/0" */
    bool gdb, told;
};

static bool take_mode(struct replay *replay, const char *value) {
    for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(value, modes[i])) {
            replay->wish.mode = i;
            return true;
        }
    fsh_warn("--mode '%s' is unknown; write exact, set or site", value);
    return false;
}

/* "1.2/3:57", or "57" for the main thread of the first process. */
static bool take_until(struct replay *replay, const char *value) {
    const char *colon = strrchr(value, ':'), *number = colon ? colon + 1 : value;
    snprintf(replay->until, sizeof replay->until, "%.*s", colon ? (int)(colon - value) : 3, colon ? value : "1/0");
    if (!fsh_option_count("--until", number, &replay->wish.until))
        return false;
    if (!replay->wish.until)
        fsh_warn("--until counts from 1");
    return replay->wish.until;
}

/* The thread must be one of the recorded. */
static bool find_until(struct replay *replay) {
    char name[256];
    for (unsigned i = 0; replay->wish.until && i < fsh_reader_threads(replay->recorded); i++) {
        const struct fsh_thread_info *t = fsh_reader_thread(replay->recorded, i);
        snprintf(name, sizeof name, "%s/%s", t->process, t->name);
        if (strcmp(name, replay->until) != 0)
            continue;
        replay->wish.until_process = t->process_key;
        replay->wish.until_thread = t->key;
        return true;
    }
    if (replay->wish.until)
        fsh_warn("%s has no thread %s", replay->path, replay->until);
    else if (replay->gdb)
        fsh_warn("--gdb goes with --until");
    return !replay->wish.until && !replay->gdb;
}

static bool take(void *arg, int id, const char *value) {
    struct replay *replay = arg;
    if (id == ID_TIMEOUT)
        return fsh_option_time("--timeout", value, &replay->timeout);
    if (id == ID_UNTIL)
        return take_until(replay, value);
    if (id == ID_DIRECTORY)
        return (replay->directory = value) != NULL;
    if (id == ID_GDB)
        return replay->gdb = true;
    if (id == ID_MODE)
        return take_mode(replay, value);
    replay->wish.stop = !strcmp(value, "stop");
    if (!replay->wish.stop && strcmp(value, "continue") != 0) {
        fsh_warn("--on-divergence '%s' is unknown; write stop or continue", value);
        return false;
    }
    return true;
}

/* --- what was recorded --- */

static int has_site(void *arg, const struct fsh_decision *d) {
    (void)arg;
    return d->site != 0;
}

/* Without call stacks, `site` would be `set` under another name. */
static bool has_sites(const struct replay *replay) {
    struct fsh_visitor visitor = {NULL, has_site, NULL};
    for (unsigned i = 0; i < fsh_reader_threads(replay->recorded); i++)
        if (fsh_reader_walk_thread(replay->recorded, i, &visitor) > 0)
            return true;
    fsh_warn("%s has no call stacks, and can't be replayed by site; record it with stacks = all, or key = site", replay->path);
    return false;
}

/* Absolute, because the run's own working directory comes before it is opened. */
static bool choose_trace(struct replay *replay) {
    char name[4096];
    size_t n = strlen(replay->path);
    if (n > 6 && !strcmp(replay->path + n - 6, ".trace"))
        n -= 6;
    else if (n > 4 && !strcmp(replay->path + n - 4, FSH_PACK_SUFFIX))
        n -= 4;
    if (replay->common.trace)
        snprintf(name, sizeof name, "%s", replay->common.trace);
    else
        snprintf(name, sizeof name, "%.*s.replay.trace", (int)n, replay->path);
    char *cwd = *name == '/' ? strdup("") : getcwd(NULL, 0);
    int len = cwd ? snprintf(replay->trace, sizeof replay->trace, "%s%s%s", cwd, *cwd ? "/" : "", name) : -1;
    free(cwd);
    if (len > 0 && (size_t)len < sizeof replay->trace)
        return true;
    fsh_warn("the path of the new trace is too long");
    return false;
}

/* The recorded one, or the one that takes its place: files there have the same keys. */
static bool enter_directory(const struct replay *replay) {
    if (!replay->directory)
        return fsh_recorded_directory(replay->recorded);
    return chdir(replay->directory) == 0 || !fsh_fail(1, "--directory %s: %s", replay->directory, strerror(errno));
}

static bool choose_command(struct replay *replay) {
    replay->argv = replay->command ? replay->command : fsh_recorded_command(replay->recorded, replay->path, &replay->argv_text);
    return replay->argv;
}

/* --- what came of it --- */

struct described {
    FILE *out;
    const struct fsh_reader *reader;
    struct fsh_symbols *symbols;
    bool found;
};

static int describe(void *arg, const struct fsh_decision *d) {
    struct described *described = arg;
    const char *resource = fsh_resource_name(described->reader, d->resource);
    described->found = true;
    fputs(fsh_reader_call_name(described->reader, d->call), described->out);
    if (*resource) {
        fputc(' ', described->out);
        fsh_put_safe(described->out, resource);
    }
    if (d->fault) {
        fputs(" = ", described->out);
        fsh_put_outcome(described->out, described->reader, d);
    }
    fsh_put_origin(described->out, described->symbols, described->reader, d, " from ");
    return 1;
}

static void say_decision(FILE *out, const struct replay *replay, const struct fsh_reader *reader, int64_t thread, uint64_t n) {
    struct described described = {out, reader, replay->symbols, false};
    if (thread >= 0)
        fsh_find_decision(reader, (unsigned)thread, n, describe, &described);
    if (!described.found)
        fputs(thread < 0 ? "no such thread" : "no further call", out);
}

static const struct fsh_thread_info *thread_of(const struct replay *replay, const struct fsh_card *card,
                                               const struct fsh_pair *pair) {
    return pair->a >= 0 ? fsh_reader_thread(replay->recorded, (unsigned)pair->a)
                        : fsh_reader_thread(card->reader, (unsigned)pair->b);
}

static double score_of(const struct fsh_comparison *c) {
    return c->decisions_a ? (double)c->same / (double)c->decisions_a : 1;
}

static unsigned diverged_threads(const struct fsh_comparison *c) {
    unsigned n = 0;
    for (size_t i = 0; i < c->n; i++)
        n += c->pairs[i].first != 0;
    return n;
}

static void show_score(const struct replay *replay, const struct fsh_card *card, const struct fsh_comparison *c) {
    unsigned diverged = diverged_threads(c), shown = 0;
    fprintf(card->out,
            "faultshim: replayed %" PRIu64 " of %" PRIu64 " faults; %" PRIu64 " of %" PRIu64 " decisions as recorded (%.4g%%)\n",
            c->same_faults, c->faults_a, c->same, c->decisions_a, 100 * score_of(c));
    for (size_t i = 0; i < c->n && shown < SHOWN; i++) {
        const struct fsh_pair *pair = &c->pairs[i];
        if (!pair->first)
            continue;
        const struct fsh_thread_info *t = thread_of(replay, card, pair);
        fprintf(card->out, "faultshim:   %s/%s diverged at decision %" PRIu64 ": expected ", t->process, t->name, pair->first);
        say_decision(card->out, replay, replay->recorded, pair->a, pair->first);
        fputs(", found ", card->out);
        say_decision(card->out, replay, card->reader, pair->b, pair->first);
        fputc('\n', card->out);
        shown++;
    }
    if (diverged > shown)
        fprintf(card->out, "faultshim:   and %u more threads\n", diverged - shown);
}

static void put(json_object *o, const char *key, json_object *value) {
    json_object_object_add(o, key, value);
}

static json_object *text_of(const struct replay *replay, const struct fsh_reader *reader, int64_t thread, uint64_t n) {
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return NULL;
    say_decision(out, replay, reader, thread, n);
    fclose(out);
    json_object *o = json_object_new_string(text ? text : "");
    free(text);
    return o;
}

static json_object *score_json(const struct replay *replay, const struct fsh_card *card, const struct fsh_comparison *c) {
    json_object *o = json_object_new_object(), *list = json_object_new_array();
    put(o, "trace", json_object_new_string(replay->path));
    put(o, "decisions", json_object_new_uint64(c->decisions_a));
    put(o, "as_recorded", json_object_new_uint64(c->same));
    put(o, "faults", json_object_new_uint64(c->faults_a));
    put(o, "faults_again", json_object_new_uint64(c->same_faults));
    put(o, "score", json_object_new_double(score_of(c)));
    for (size_t i = 0; i < c->n; i++) {
        const struct fsh_pair *pair = &c->pairs[i];
        if (!pair->first)
            continue;
        const struct fsh_thread_info *t = thread_of(replay, card, pair);
        json_object *d = json_object_new_object();
        put(d, "process", json_object_new_string(t->process));
        put(d, "thread", json_object_new_string(t->name));
        put(d, "n", json_object_new_uint64(pair->first));
        put(d, "expected", text_of(replay, replay->recorded, pair->a, pair->first));
        put(d, "found", text_of(replay, card->reader, pair->b, pair->first));
        json_object_array_add(list, d);
    }
    put(o, "diverged", list);
    return o;
}

/* --- readings of clocks and random bytes --- */

static const char *const given_names[2] = {"clock_readings", "random_bytes"};

/* Where the shim has counted. */
static const struct fsh_script *script_of(const struct fsh_run *run) {
    return (const void *)((const char *)run->session.header + run->session.header->script.offset);
}

static void show_given(const struct fsh_card *card) {
    static const char *const words[2] = {"readings of clocks", "random bytes"};
    const struct fsh_script *s = script_of(card->run);
    const uint64_t recorded[2] = {s->n_values, s->n_bytes};
    for (int i = 0; i < 2; i++) {
        if (!recorded[i])
            continue;
        fprintf(card->out, "faultshim: gave %" PRIu64 " of %" PRIu64 " %s back", s->given[i], recorded[i], words[i]);
        if (s->beyond[i])
            fprintf(card->out, "; %" PRIu64 " more were asked for than recorded", s->beyond[i]);
        fputc('\n', card->out);
    }
}

static void put_given(json_object *o, const struct fsh_card *card) {
    const struct fsh_script *s = script_of(card->run);
    const uint64_t recorded[2] = {s->n_values, s->n_bytes};
    for (int i = 0; i < 2; i++) {
        if (!recorded[i])
            continue;
        json_object *of = json_object_new_object();
        put(of, "recorded", json_object_new_uint64(recorded[i]));
        put(of, "given", json_object_new_uint64(s->given[i]));
        put(of, "beyond", json_object_new_uint64(s->beyond[i]));
        put(o, given_names[i], of);
    }
}

/* --- what came of a replay by likeness --- */

struct likeness {
    const struct fsh_script *script;
    const struct fsh_script_point *points;
    const struct fsh_script_mark *marks;
    const struct fsh_script_fault *faults;
    uint64_t again;
};

/* Where the shim has marked what it has given. */
static struct likeness read_likeness(const struct fsh_run *run) {
    struct likeness l = {.script = script_of(run)};
    const char *base = (const char *)l.script;
    l.points = (const void *)(base + l.script->points);
    l.marks = (const void *)(base + l.script->marks);
    l.faults = (const void *)(base + l.script->faults);
    for (uint32_t i = 0; i < l.script->n_marks; i++)
        l.again += l.marks[i].met;
    return l;
}

static const char *name_of_key(const struct fsh_reader *reader, uint64_t key) {
    for (uint64_t i = 1; i <= fsh_reader_header(reader)->resources; i++) {
        const struct fsh_resource_info *r = fsh_reader_resource(reader, i);
        if (r && r->key == key)
            return r->name;
    }
    return "";
}

static void put_missing(FILE *out, const struct replay *replay, const struct likeness *l, const struct fsh_script_point *p,
                        const struct fsh_script_mark *mark) {
    char number[16];
    const struct fsh_script_fault *f = &l->faults[mark->fault];
    const struct fsh_thread_info *t = fsh_reader_thread(replay->recorded, f->thread);
    const char *name = name_of_key(replay->recorded, p->key);
    fprintf(out, "%s/%s: %s %" PRIu64 " ", t->process, t->name, fsh_calls[p->call].name, mark->ordinal + 1);
    if (*name) {
        fputs("of ", out);
        fsh_put_safe(out, name);
    }
    fprintf(out, "%s= %s%s%s, there were %" PRIu64, *name ? " " : "", fsh_faults[f->fault].name, f->error ? " " : "",
            f->error ? fsh_errno_text(f->error, number) : "", p->seen);
}

static void list_missing(const struct replay *replay, const struct likeness *l, FILE *out, json_object *list) {
    unsigned shown = 0;
    for (uint32_t i = 0; i < l->script->n_points; i++)
        for (uint32_t k = 0; k < l->points[i].n; k++) {
            const struct fsh_script_mark *mark = &l->marks[l->points[i].first + k];
            char *text = NULL;
            size_t len;
            FILE *words = mark->met ? NULL : open_memstream(&text, &len);
            if (!words)
                continue;
            put_missing(words, replay, l, &l->points[i], mark);
            fclose(words);
            if (list)
                json_object_array_add(list, json_object_new_string(text));
            else if (shown++ < SHOWN)
                fprintf(out, "faultshim:   not again: %s\n", text);
            free(text);
        }
    if (shown > SHOWN)
        fprintf(out, "faultshim:   and %u more\n", shown - SHOWN);
}

static int report_likeness(struct replay *replay, struct fsh_card *card) {
    struct likeness l = read_likeness(card->run);
    double score = l.script->n_marks ? (double)l.again / l.script->n_marks : 1;
    const char *mode = modes[replay->wish.mode];
    fsh_card_judge(card, &(struct fsh_expected){.faults = EXPECT_ANY});
    card->vacuous = false;
    if (l.again < l.script->n_marks && card->run->end != END_TIMEOUT && card->status != EXIT_NOT_ATTACHED)
        card->status = EXIT_DIVERGED;
    if (replay->common.json && !replay->common.quiet) {
        json_object *o = fsh_card_json(card), *r = json_object_new_object(), *list = json_object_new_array();
        put(r, "trace", json_object_new_string(replay->path));
        put(r, "mode", json_object_new_string(mode));
        put(r, "faults", json_object_new_uint64(l.script->n_marks));
        put(r, "faults_again", json_object_new_uint64(l.again));
        put(r, "score", json_object_new_double(score));
        list_missing(replay, &l, NULL, list);
        put(r, "missing", list);
        put_given(r, card);
        put(o, "replay", r);
        fsh_put_object(card->out, o);
    } else if (!replay->common.quiet) {
        fsh_card_show(card);
        fprintf(card->out, "faultshim: replayed %" PRIu64 " of %u faulty calls (%s, %.4g%%)\n", l.again, l.script->n_marks, mode,
                100 * score);
        list_missing(replay, &l, card->out, NULL);
        show_given(card);
    }
    return card->status;
}

static int report(struct replay *replay, struct fsh_card *card) {
    struct fsh_comparison c;
    if (replay->wish.mode != REPLAY_EXACT)
        return report_likeness(replay, card);
    /* sizes may differ without harm: the calls are the recorded ones all the same */
    int e = fsh_compare(&c, replay->recorded, card->reader, 0);
    if (e) {
        fsh_comparison_free(&c);
        return fsh_fail(EXIT_TROUBLE, "the replay can't be compared: %s", strerror(-e));
    }
    fsh_card_judge(card, &(struct fsh_expected){.faults = EXPECT_ANY});
    card->vacuous = false;
    if (diverged_threads(&c) && card->run->end != END_TIMEOUT && card->status != EXIT_NOT_ATTACHED)
        card->status = EXIT_DIVERGED;
    if (replay->common.json && !replay->common.quiet) {
        json_object *o = fsh_card_json(card);
        json_object *score = score_json(replay, card, &c);
        put_given(score, card);
        put(o, "replay", score);
        fsh_put_object(card->out, o);
    } else if (!replay->common.quiet) {
        fsh_card_show(card);
        show_score(replay, card, &c);
        show_given(card);
    }
    fsh_comparison_free(&c);
    return card->status;
}

/* --- the run --- */

/* In the foreground, and with the signals of a program of its own. */
static void start_gdb(uint32_t pid) {
    char number[16];
    sigset_t none;
    snprintf(number, sizeof number, "%" PRIu32, pid);
    pid_t gdb = fork();
    if (gdb == 0) {
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execlp("gdb", "gdb", "-p", number, (char *)NULL);
        fsh_warn("gdb: %s", strerror(errno));
        _exit(EXIT_NOT_FOUND);
    }
    while (gdb > 0 && waitpid(gdb, NULL, 0) < 0 && errno == EINTR)
        ;
    kill((pid_t)pid, SIGCONT);
}

struct looker {
    struct replay *replay;
    const struct fsh_run *run;
};

/* The process has written down that it stands. */
static void look(void *arg) {
    const struct looker *looker = arg;
    struct replay *replay = looker->replay;
    const struct fsh_header *h = looker->run->session.header;
    const struct fsh_script *s = (const void *)((const char *)h + h->script.offset);
    uint32_t pid = __atomic_load_n(&s->stopped, __ATOMIC_ACQUIRE);
    if (!pid || replay->told)
        return;
    replay->told = true;
    fprintf(stderr, "faultshim: process %" PRIu32 " stands before decision %" PRIu64 " of %s: ", pid, s->until, replay->until);
    for (unsigned i = 0; i < fsh_reader_threads(replay->recorded); i++) {
        const struct fsh_thread_info *t = fsh_reader_thread(replay->recorded, i);
        if (t->process_key == s->until_process && t->key == s->until_thread) {
            say_decision(stderr, replay, replay->recorded, i, s->until);
            break;
        }
    }
    if (replay->gdb)
        fputc('\n', stderr);
    else
        fprintf(stderr, "; look with gdb -p %" PRIu32 ", and let it go on with kill -CONT %" PRIu32 "\n", pid, pid);
    if (replay->gdb)
        start_gdb(pid);
}

/* The one that came with the trace, if it is not here any more. Its libraries come before those of this machine. */
static int find_program(const struct replay *replay, struct fsh_run *run) {
    const struct fsh_unpacked *u = &replay->unpacked;
    const char *before = getenv("LD_LIBRARY_PATH");
    char *path = NULL;
    if (!*u->folder)
        return fsh_run_find(run);
    snprintf(run->program, sizeof run->program, "%s", u->program);
    bool good = asprintf(&path, "%s/lib%s%s", u->folder, before ? ":" : "", before ? before : "") > 0 &&
                setenv("LD_LIBRARY_PATH", path, 1) == 0;
    free(path);
    fsh_binary_inspect(&run->binary, run->program);
    return good ? 0 : fsh_fail(EXIT_TROUBLE, "%s: %s", u->program, strerror(errno));
}

/* In the directory of the run, where the program is found. A program that isn't will be told later. */
static bool compile(struct replay *replay) {
    char program[4096];
    replay->wish.program = *replay->unpacked.folder                                          ? replay->unpacked.program
                           : fsh_find_program(program, sizeof program, replay->argv[0]) == 0 ? program
                                                                                             : NULL;
    bool good = fsh_script_compile(&replay->script, replay->recorded, &replay->wish);
    replay->wish.program = NULL;
    return good;
}

static int go(struct replay *replay) {
    struct fsh_run run = {.argv = replay->argv,
                          .loaded = &replay->loaded,
                          .timeout = replay->timeout,
                          .trace = replay->trace,
                          .script = {replay->script.data, replay->script.len},
                          .replayed = {replay->path, strlen(replay->path)},
                          .files = fsh_reader_meta(replay->recorded, META_FILES)};
    struct fsh_card card = {.run = NULL};
    struct looker looker = {replay, &run};
    if (replay->wish.until) {
        run.look = look;
        run.look_arg = &looker;
    }
    int status = find_program(replay, &run);
    if (!status)
        status = fsh_run_prepare(&run);
    if (!status && !replay->common.quiet && !replay->common.json)
        fprintf(stderr, "faultshim: replaying %s, trace %s\n", replay->path, run.trace);
    if (!status)
        status = fsh_run_supervise(&run);
    if (!status)
        status = fsh_card_read(&card, &run, &replay->common, stderr);
    if (!status)
        status = report(replay, &card);
    fsh_card_free(&card);
    fsh_run_finish(&run);
    return status;
}

static int replay_trace(struct replay *replay) {
    int status = EXIT_TROUBLE;
    replay->recorded = fsh_trace_open(replay->path);
    if (!replay->recorded)
        return status;
    replay->symbols = fsh_symbols_new();
    if (fsh_recorded_whole(replay->recorded, replay->path) && (replay->wish.mode != REPLAY_SITE || has_sites(replay)) &&
        find_until(replay) && fsh_load_trace(&replay->loaded, replay->recorded, replay->path) && choose_trace(replay) &&
        choose_command(replay) &&
        (replay->command || !fsh_pack_is(replay->path) || fsh_pack_program(&replay->unpacked, replay->path)) &&
        fsh_recorded_environment(replay->recorded) && enter_directory(replay) && compile(replay))
        status = go(replay);
    fsh_unpacked_free(&replay->unpacked);
    free(replay->script.data);
    if (!replay->command)
        free(replay->argv);
    free(replay->argv_text);
    fsh_loaded_free(&replay->loaded);
    fsh_symbols_free(replay->symbols);
    fsh_reader_close(replay->recorded);
    return status;
}

int fsh_cmd_replay(int argc, char **argv) {
    struct replay replay = {.timeout = 0};
    int status, n = 1;
    /* what stands behind `--` is the command; getopt would mix it with our own operands */
    while (n < argc && strcmp(argv[n], "--") != 0)
        n++;
    if (n + 1 < argc)
        replay.command = argv + n + 1;
    int at = fsh_options(n, argv, &usage, &replay.common, take, &replay, &status);
    if (at >= 0 && n - at > 1) {
        status = fsh_fail(EXIT_TROUBLE, "replay reads one trace; put a command behind --");
    } else if (at >= 0) {
        replay.path = n > at ? argv[at] : FSH_DEFAULT_TRACE;
        status = replay_trace(&replay);
    }
    fsh_common_free(&replay.common);
    return status;
}
