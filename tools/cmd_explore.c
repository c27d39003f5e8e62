/* cmd_explore.c: faultshim explore: many runs of one program, each with other faults, until everything has been tried, time is up
 * or something is found.
 *
 * A strategy says which run comes next, workers make the runs, and everything that was learned stands in a folder before the next
 * run is given out: a run that stands there is never made again. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "explore.h"
#include "out.h"
#include "place.h"

enum {
    ID_STRATEGY = 300,
    ID_BUDGET,
    ID_RUNS,
    ID_RESUME,
    ID_RANGE,
    ID_TIMEOUT,
    ID_SETUP,
    ID_COPY,
    ID_SHRINK,
    ID_STOP,
    ID_EVERY,
    ID_LEAKS,
    ID_SHARD
};
enum { NS_PER_S = 1000000000, SEEDS = 1000, SHORTEST_TIMEOUT = 10, MEMORY_ENOUGH = 256 << 20 };

static const struct fsh_option own_options[] = {
    {ID_STRATEGY, "strategy", "NAME", "each-once (default), pairs, random, swarm"},
    {'o', "folder", "FOLDER", "where everything is kept (default " FSH_DEFAULT_EXPLORATION ")"},
    CONDITION_OPTIONS,
    {ID_LEAKS, "leaks", NULL, "a failure is also a descriptor left open that the run without faults closes"},
    {ID_TIMEOUT, "timeout", "DURATION", "end each run after this time (default: ten times a run without faults, 10s at least)"},
    {ID_BUDGET, "budget", "DURATION", "start no run after this time"},
    {ID_RUNS, "runs", "N", "make at most N runs in all"},
    {ID_RANGE, "seed-range", "A..B", "random, swarm: the seeds (default 1..1000)"},
    {'j', "jobs", "N", "runs side by side (default: as many as there are processors)"},
    {ID_EVERY, "every-fault", NULL, "each-once: every fault line of a rule, not one that is drawn"},
    {ID_SETUP, "setup", "COMMAND", "a shell command before each run"},
    {ID_COPY, "copy", NULL, "each run in a fresh copy of the working directory"},
    {ID_SHRINK, "shrink", NULL, "shrink what is found"},
    {ID_STOP, "stop-on-finding", NULL, "start no run after something new was found"},
    {ID_RESUME, "resume", NULL, "go on with an exploration that was stopped"},
    {ID_SHARD, "shard", "I/N", SHARD_HELP},
};

static const struct fsh_usage usage = {
    .name = "explore",
    .operands = "[--] PROGRAM [ARGUMENT]...",
    .summary =
        "Runs a program many times, each time with other faults, and keeps what makes it fail, with the command that brings it\n"
        "back. Without a profile or a rule, memory allocations fail. Without another condition, a failure is death by a\n"
        "signal, no end in time, or a report of a sanitizer or of valgrind.",
    .common = COMMON_PROFILE | COMMON_SEED | COMMON_JSON | COMMON_QUIET,
    .program = true,
    .options = own_options,
    .n_options = sizeof own_options / sizeof *own_options,
};

static volatile sig_atomic_t stopped;

static void on_signal(int sig) {
    stopped = sig;
}

/* --- options --- */

static bool take_strategy(struct fsh_explore *e, const char *value) {
    static const char *const names[] = {
        [STRATEGY_EACH_ONCE] = "each-once", [STRATEGY_RANDOM] = "random", [STRATEGY_SWARM] = "swarm", [STRATEGY_PAIRS] = "pairs"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i], value)) {
            e->strategy.kind = i;
            return true;
        }
    fsh_warn("--strategy '%s' is unknown; write each-once, pairs, random or swarm", value);
    return false;
}

/* "17..99", or "17.." without an end. */
static bool take_range(struct fsh_explore *e, const char *value) {
    char *end = NULL;
    uint64_t from = strtoull(value, &end, 10), to = 0;
    bool good = end != value && !strncmp(end, "..", 2) && *value != '-';
    const char *last = good ? end + 2 : "";
    if (*last) {
        to = strtoull(last, &end, 10);
        good &= *end == 0 && *last >= '0' && *last <= '9' && to >= from;
    }
    if (!good || from < 1) {
        fsh_warn("--seed-range '%s': write the first and the last seed, as in 1..1000, or 1.. without an end", value);
        return false;
    }
    e->strategy.from = from;
    e->strategy.to = to;
    return e->has_range = true;
}

static const char *option_name(int id) {
    for (unsigned i = 0; i < usage.n_options; i++)
        if (usage.options[i].id == id)
            return usage.options[i].name;
    return "";
}

/* Kept for shrink, which asks the same. */
static bool take_condition(struct fsh_explore *e, int id, const char *value) {
    char **text = &e->condition_texts[id - CONDITION_EXIT];
    e->has_condition = true;
    free(*text);
    if (asprintf(text, value ? "--%s=%s" : "--%s", option_name(id), value) < 0) {
        *text = NULL;
        fsh_warn("out of memory");
        return false;
    }
    return fsh_condition_take(&e->condition, id, value);
}

static bool take(void *arg, int id, const char *value) {
    struct fsh_explore *e = arg;
    if (fsh_condition_is_option(id))
        return take_condition(e, id, value);
    switch (id) {
    case ID_STRATEGY:
        return take_strategy(e, value);
    case ID_RANGE:
        return take_range(e, value);
    case ID_TIMEOUT:
        return fsh_option_time("--timeout", value, &e->runs.timeout);
    case ID_BUDGET:
        return fsh_option_time("--budget", value, &e->budget);
    case ID_RUNS:
        return fsh_option_count("--runs", value, &e->most);
    case 'j':
        return fsh_option_count("--jobs", value, &e->jobs);
    case 'o':
        e->folder = value;
        return true;
    case ID_SETUP:
        e->runs.setup = value;
        return true;
    case ID_SHARD:
        e->shard_option = value;
        return true;
    case ID_COPY:
        return e->runs.copy = true;
    case ID_SHRINK:
        return e->shrink = true;
    case ID_STOP:
        return e->stop_on_finding = true;
    case ID_LEAKS:
        return e->runs.leaks = true;
    case ID_EVERY:
        return e->strategy.every_line = true;
    default:
        return e->resume = true;
    }
}

static bool by_seed(const struct fsh_explore *e) {
    return e->strategy.kind == STRATEGY_RANDOM || e->strategy.kind == STRATEGY_SWARM;
}

static bool is_sensible(struct fsh_explore *e) {
    if (e->jobs < 1 || e->jobs > FSH_JOBS_MOST) {
        fsh_warn("write --jobs from 1 to %d", FSH_JOBS_MOST);
        return false;
    }
    if (e->has_range && !by_seed(e)) {
        fsh_warn("--seed-range goes with the strategies random and swarm");
        return false;
    }
    if (e->strategy.every_line && e->strategy.kind != STRATEGY_EACH_ONCE) {
        fsh_warn("--every-fault goes with the strategy each-once");
        return false;
    }
    if (!e->has_range)
        e->strategy = (struct fsh_strategy){.kind = e->strategy.kind,
                                            .every_line = e->strategy.every_line,
                                            .from = 1,
                                            .to = e->most     ? e->most
                                                  : e->budget ? 0
                                                              : SEEDS};
    return fsh_shard_read(e->shard_option, &e->strategy.shard);
}

/* --- the profile --- */

static bool add_text(const char ***list, unsigned *n, const char *text) {
    const char **more = reallocarray(*list, *n + 1, sizeof *more);
    if (!more) {
        fsh_warn("out of memory");
        return false;
    }
    more[(*n)++] = text;
    *list = more;
    return true;
}

/* Faults by seed are told apart by their call stacks too; at places the shim takes the stacks by itself. */
static bool load(struct fsh_explore *e) {
    struct fsh_common *c = &e->common;
    const char *rule =
        by_seed(e) ? "calls=@memory.alloc fault=error:ENOMEM probability=1%" : "calls=@memory.alloc fault=error:ENOMEM";
    if (!c->n_profiles && !c->n_rules && !add_text(&c->rules, &c->n_rules, rule))
        return false;
    if (!c->has_seed) {
        c->has_seed = true; /* an exploration is the same each time */
        c->seed = 1;
    }
    if (!fsh_load_options_whole(&e->loaded, c))
        return false;
    if (!by_seed(e) || e->loaded.profile.options.stacks != STACKS_OFF)
        return true;
    fsh_loaded_free(&e->loaded);
    return add_text(&c->keys, &c->n_keys, "stacks=faults") && fsh_load_options_whole(&e->loaded, c);
}

static char *words_of_condition(const struct fsh_explore *e) {
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return NULL;
    if (e->has_condition)
        fsh_condition_put(out, &e->condition);
    else
        fputs("death by a signal, no end in time, a report of a sanitizer or of valgrind", out);
    fclose(out);
    return text;
}

static bool add_option(struct fsh_asked *a, const char *text) {
    const char **more = reallocarray(a->options.v, a->options.n + 1, sizeof *more);
    if (!more)
        return false;
    more[a->options.n++] = text;
    a->options.v = more;
    return true;
}

static bool describe(struct fsh_explore *e, char **argv) {
    static const char *const names[] = {"each-once", "random", "swarm", "pairs"};
    static char start[32];
    struct fsh_asked *a = &e->asked;
    const struct fsh_shard *shard = &e->strategy.shard;
    time_t now = time(NULL);
    struct tm tm;
    strftime(start, sizeof start, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    *a = (struct fsh_asked){.version = FSH_VERSION,
                            .command = {(const char **)argv, 0},
                            .cwd = getcwd(NULL, 0),
                            .profile = e->loaded.text,
                            .strategy = names[e->strategy.kind],
                            .oracles = words_of_condition(e),
                            .seed = e->loaded.seed,
                            .from = by_seed(e) ? e->strategy.from : 0,
                            .timeout = e->runs.timeout,
                            .shard = shard->count > 1 ? shard->index : 0,
                            .shards = shard->count > 1 ? shard->count : 0,
                            .start = start};
    while (argv[a->command.n])
        a->command.n++;
    bool good = a->cwd && a->oracles;
    good = good && (!e->runs.copy || add_option(a, "--copy")) && (!e->strategy.every_line || add_option(a, "--every-fault"));
    good = good && (!e->runs.leaks || add_option(a, "--leaks"));
    good = good && (!e->runs.setup || (add_option(a, "--setup") && add_option(a, e->runs.setup)));
    if (!good)
        fsh_warn("out of memory");
    return good;
}

/* --- the folder --- */

static bool has_exploration(const struct fsh_explore *e) {
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%s/explore.json", e->folder) < PATH_MAX && access(path, F_OK) == 0;
}

/* What a worker had not handed over when it was killed goes. With `again`, findings that had gone come back, to be looked at: what
 * was mended may break. Nobody else is at it: the lock is ours. */
static void tidy_findings(const struct fsh_explore *e, bool again) {
    char folder[PATH_MAX + 16], path[2 * PATH_MAX], name[2 * PATH_MAX];
    snprintf(folder, sizeof folder, "%s/findings", e->x.path);
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        size_t n = strlen(entry->d_name);
        bool gone = n > 5 && !strcmp(entry->d_name + n - 5, ".gone");
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        snprintf(name, sizeof name, "%s/%.*s", folder, (int)(n > 5 ? n - 5 : 0), entry->d_name);
        if (*entry->d_name == '.' && isdigit((unsigned char)entry->d_name[1]))
            fsh_remove_folder(path);
        else if (again && gone && rename(path, name) != 0)
            fsh_warn("%s: %s", name, strerror(errno));
    }
    if (dir)
        closedir(dir);
}

static bool open_again(struct fsh_explore *e) {
    if (fsh_exploration_open(&e->x, e->folder, true) == 0)
        return true;
    fsh_warn("%s", e->x.wrong);
    return false;
}

static bool go_on(struct fsh_explore *e) {
    if (!has_exploration(e)) {
        fsh_warn("%s has no exploration in it; there is nothing to go on with", e->folder);
        return false;
    }
    if (!open_again(e))
        return false;
    const char *other = fsh_asked_difference(&e->asked, &e->x.asked);
    if (!other && (e->asked.shard != e->x.asked.shard || e->asked.shards != e->x.asked.shards))
        other = "shard";
    if (!other)
        tidy_findings(e, false);
    else
        fsh_warn("%s is an exploration with another %s; ask the same as then, or start again without --resume", e->folder, other);
    return !other;
}

/* Of an exploration that was there before, the findings stay. */
static bool start_anew(struct fsh_explore *e) {
    static const char *const files[] = {"explore.json", "runs.jsonl", "points.jsonl"};
    char path[PATH_MAX];
    bool old = has_exploration(e);
    if (old && !open_again(e)) /* somebody may be at it, or it is something else */
        return false;
    if (old) {
        tidy_findings(e, true);
        fsh_exploration_close(&e->x);
    }
    for (unsigned i = 0; old && i < 3; i++)
        if (snprintf(path, sizeof path, "%s/%s", e->folder, files[i]) < PATH_MAX)
            unlink(path);
    int wrong = fsh_exploration_create(&e->x, e->folder, &e->asked);
    if (wrong)
        fsh_warn("%s", e->x.wrong);
    fsh_exploration_close(&e->x);
    return !wrong && open_again(e);
}

static bool open_folder(struct fsh_explore *e) {
    if (!(e->resume ? go_on(e) : start_anew(e)))
        return false;
    snprintf(e->findings, sizeof e->findings, "%.*s/findings", PATH_MAX - 64, e->x.path);
    if (mkdir(e->findings, 0700) != 0 && errno != EEXIST) {
        fsh_warn("%s: %s", e->findings, strerror(errno));
        return false;
    }
    e->runs.findings = e->findings;
    e->runs.folder = e->x.path;
    e->tally.known = e->x.n_runs;
    for (size_t i = 0; i < e->x.n_findings; i++)
        fsh_idmap_put(&e->runs.found, strtoull(e->x.findings[i].id, NULL, 16), 1);
    return true;
}

/* --- where runs leave what comes and goes --- */

/* In memory, if there is room: what a run costs is then not what a disk costs. */
static const char *fast_folder(void) {
    struct statvfs fs;
    const char *temp = getenv("TMPDIR");
    if (temp && *temp)
        return NULL;
    bool room = statvfs("/dev/shm", &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize > MEMORY_ENOUGH;
    return room && access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : NULL;
}

/* A link says where, so that the next exploration here removes what a killed one has left. */
static bool make_work(struct fsh_explore *e) {
    char link[PATH_MAX + 16], old[4096];
    snprintf(link, sizeof link, "%s/work", e->x.path);
    ssize_t n = readlink(link, old, sizeof old - 1);
    old[n > 0 ? n : 0] = 0;
    const char *name = strrchr(old, '/');
    struct stat st;
    if (name && !strncmp(name, "/faultshim.", 11) && lstat(old, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid())
        fsh_remove_folder(old);
    if (n > 0)
        unlink(link);
    if (!fsh_make_folder(e->work, sizeof e->work, fast_folder()))
        return false;
    e->runs.work = e->work;
    if (symlink(e->work, link) == 0)
        return true;
    fsh_warn("%s: %s", link, strerror(errno));
    return false;
}

static void remove_work(const struct fsh_explore *e) {
    char link[PATH_MAX + 16];
    if (!*e->work)
        return;
    snprintf(link, sizeof link, "%s/work", e->x.path);
    fsh_remove_folder(e->work);
    unlink(link);
}

/* --- runs --- */

static bool start_crew(struct fsh_explore *e, unsigned jobs) {
    fsh_crew_end(&e->crew);
    return fsh_crew_start(&e->crew, &e->runs, jobs);
}

/* The end of one run that was given out, or a signal. */
static int take_one(struct fsh_explore *e, struct fsh_ran *ran, struct fsh_given **given) {
    int n = fsh_crew_take(&e->crew, NS_PER_S / 5, ran);
    *given = NULL;
    for (unsigned i = 0; n > 0 && i < e->crew.jobs; i++)
        if (e->given[i].open && e->given[i].task.n == ran->n)
            *given = &e->given[i];
    if (*given)
        (*given)->open = false;
    return n;
}

static struct fsh_given *free_place(struct fsh_explore *e) {
    struct fsh_given *given = e->given;
    while (given->open)
        given++;
    return given;
}

static bool give(struct fsh_explore *e, const struct fsh_task *task, const char *key) {
    struct fsh_given *given = free_place(e);
    given->task = *task;
    snprintf(given->key, sizeof given->key, "%s", key);
    given->open = fsh_crew_give(&e->crew, task);
    return given->open;
}

/* Tasks that stand alone: one after the other, on one worker. 0, or an exit status. */
static int run_alone(struct fsh_explore *e, const struct fsh_task *task, const char *key, struct fsh_ran *ran) {
    struct fsh_given *given;
    int n = give(e, task, key) ? 0 : -1;
    while (!n && !stopped)
        n = take_one(e, ran, &given);
    if (n < 0)
        return EXIT_TROUBLE;
    return stopped ? 128 + stopped : ran->status;
}

static void choose_timeout(struct fsh_explore *e, uint64_t ns) {
    const uint64_t least = UINT64_C(1) * SHORTEST_TIMEOUT * NS_PER_S;
    if (!e->asked.timeout)
        e->runs.timeout = 10 * ns > least ? 10 * ns : least;
}

/* The run without faults: it must be one that can be learned from. */
static int look_first(struct fsh_explore *e) {
    struct fsh_ran ran = {.n = 0};
    struct fsh_task task = {.kind = TASK_PLACES, .seed = e->loaded.seed};
    struct fsh_given given = {.key = "none"};
    if (!e->asked.timeout)
        e->runs.timeout = UINT64_C(60) * NS_PER_S;
    int status = start_crew(e, 1) ? run_alone(e, &task, "none", &ran) : EXIT_TROUBLE;
    if (!status && ran.failed)
        status = fsh_fail(EXIT_TROUBLE, "the program fails without any fault (%s); nothing can be learned from faults%s", ran.why,
                          ran.end == END_TIMEOUT ? "; give it more time with --timeout" : "");
    else if (!status && ran.end == END_TIMEOUT)
        status = fsh_fail(EXIT_TROUBLE, "the program does not end by itself; give it something that ends, or more --timeout");
    else if (!status && !ran.n_met)
        status = fsh_fail(EXIT_VACUOUS, "no rule considered any call of %s: there is nothing to explore", e->runs.argv[0]);
    if (!status)
        status = fsh_explore_record(e, &given, &ran);
    if (!status && e->runs.leaks && !(e->runs.usual = strdup(ran.open)))
        status = fsh_fail(EXIT_TROUBLE, "out of memory");
    fsh_ran_free(&ran);
    return status;
}

static int begin(struct fsh_explore *e) {
    int status = fsh_exploration_run(&e->x, "none") && !e->runs.leaks ? 0 : look_first(e);
    const struct fsh_explored_run *none = fsh_exploration_run(&e->x, "none");
    if (status || !none)
        return status;
    choose_timeout(e, (uint64_t)(none->ms * 1e6));
    e->strategy.x = &e->x;
    e->strategy.loaded = &e->loaded;
    struct fsh_hashes points = none->reached;
    if (!fsh_strategy_begin(&e->strategy, &points))
        return EXIT_TROUBLE;
    for (size_t i = 0; i < e->x.n_points; i++)
        if (!fsh_idmap_put(&e->runs.told, e->x.points[i].point, 1) ||
            (by_seed(e) && !fsh_idmap_put(&e->runs.known, e->x.points[i].point, 1)))
            return fsh_fail(EXIT_TROUBLE, "out of memory");
    return 0;
}

/* --- what was found before --- */

static bool list_old(struct fsh_explore *e) {
    e->old = calloc(e->x.n_findings + 1, sizeof *e->old);
    e->old_state = calloc(e->x.n_findings + 1, 1);
    bool good = e->old && e->old_state;
    for (size_t i = 0; good && i < e->x.n_findings; i++)
        good = (e->old[i] = strdup(e->x.findings[i].id)) != NULL;
    if (!good)
        fsh_warn("out of memory");
    return good;
}

static int set_gone(struct fsh_explore *e, const char *id) {
    char from[PATH_MAX + 32], to[PATH_MAX + 32];
    snprintf(from, sizeof from, "%s/%s", e->findings, id);
    snprintf(to, sizeof to, "%s/%s.gone", e->findings, id);
    fsh_remove_folder(to);
    return rename(from, to) == 0 ? 0 : fsh_fail(EXIT_TROUBLE, "%s: %s", to, strerror(errno));
}

static int try_again(struct fsh_explore *e, unsigned i) {
    struct fsh_ran ran = {.n = 0};
    struct fsh_given given = {.task = {.kind = TASK_AGAIN, .n = i + 1}};
    char path[PATH_MAX];
    snprintf(given.key, sizeof given.key, "again:%s", e->old[i]);
    if (fsh_exploration_file(&e->x, e->old[i], "run.trace", path) != 0)
        return fsh_fail(EXIT_TROUBLE, "%s", e->x.wrong);
    snprintf(given.task.trace, sizeof given.task.trace, "%s", path);
    int status = run_alone(e, &given.task, given.key, &ran);
    if (!status) {
        e->old_state[i] = ran.failed ? OLD_AGAIN : OLD_GONE;
        e->tally.again += ran.failed;
        e->tally.gone += !ran.failed;
        ran.finding = ran.failed ? strtoull(e->old[i], NULL, 16) : 0;
        status = fsh_explore_record(e, &given, &ran);
    }
    if (!status && !ran.failed)
        status = set_gone(e, e->old[i]);
    fsh_ran_free(&ran);
    return status;
}

static int try_old(struct fsh_explore *e) {
    if (e->resume || !e->x.n_findings)
        return 0;
    int status = list_old(e) && start_crew(e, 1) ? 0 : EXIT_TROUBLE;
    for (unsigned i = 0; !status && e->old[i]; i++)
        status = try_again(e, i);
    /* what is gone may come back by another way, and is then new */
    fsh_idmap_free(&e->runs.found);
    for (unsigned i = 0; !status && e->old[i]; i++)
        if (e->old_state[i] != OLD_GONE && !fsh_idmap_put(&e->runs.found, strtoull(e->old[i], NULL, 16), 1))
            status = fsh_fail(EXIT_TROUBLE, "out of memory");
    return status;
}

/* --- the loop --- */

static bool is_over(struct fsh_explore *e) {
    struct fsh_tally *t = &e->tally;
    if (stopped)
        t->stopped = "by a signal; --resume goes on from here";
    else if (e->stop_on_finding && t->fresh)
        t->stopped = "by a finding";
    else if (e->budget && fsh_monotonic() - t->started >= e->budget)
        t->stopped = "by --budget";
    else if (e->most && e->x.n_runs + e->crew.busy >= e->most && (e->has_range || !by_seed(e)))
        t->stopped = "by --runs";
    return t->stopped;
}

/* Made before: what it has met is known. */
static bool recall(struct fsh_explore *e, const struct fsh_task *task, const struct fsh_explored_run *run) {
    struct fsh_hashes reached = run->reached;
    return fsh_strategy_heard(&e->strategy, task, &reached);
}

/* Workers know what was known when their level began. */
static bool prepare_level(struct fsh_explore *e, unsigned *level) {
    if (*level == e->strategy.level && e->crew.jobs)
        return true;
    *level = e->strategy.level;
    for (size_t i = 0; i < e->strategy.n_points; i++)
        if (!fsh_idmap_put(&e->runs.known, e->strategy.points[i].point, 1))
            return false;
    return start_crew(e, (unsigned)e->jobs);
}

static int fill(struct fsh_explore *e, unsigned *level) {
    struct fsh_task task;
    char key[64];
    while (!is_over(e) && (!e->crew.jobs || e->crew.busy < e->crew.jobs)) {
        enum fsh_next next = fsh_strategy_next(&e->strategy, &task, key);
        if (next != NEXT_RUN)
            break;
        const struct fsh_explored_run *run = fsh_exploration_run(&e->x, key);
        if (run && !recall(e, &task, run))
            return EXIT_TROUBLE;
        if (run)
            continue;
        if (!prepare_level(e, level) || !give(e, &task, key))
            return EXIT_TROUBLE;
    }
    return 0;
}

static int loop(struct fsh_explore *e) {
    unsigned level = 0;
    int status = start_crew(e, 0) ? 0 : EXIT_TROUBLE;
    while (!status) {
        struct fsh_ran ran;
        struct fsh_given *given;
        status = fill(e, &level);
        if (status || !e->crew.busy || stopped)
            break;
        int n = take_one(e, &ran, &given);
        if (n < 0)
            return EXIT_TROUBLE;
        if (n) {
            e->tally.runs++;
            status = fsh_explore_record(e, given, &ran);
            fsh_ran_free(&ran);
        }
        fsh_explore_progress(e, false);
    }
    return status;
}

/* --- what is found is made smaller --- */

static const char *condition_for(const struct fsh_finding *f, char *room, size_t size) {
    static const char *const tools[] = {"asan", "lsan", "tsan", "msan", "ubsan", "valgrind"};
    static const char *const words[] = {
        "AddressSanitizer", "LeakSanitizer", "ThreadSanitizer",
        "MemorySanitizer",  "runtime error", "== (Invalid|Mismatched|Conditional|Use of|Syscall|Source|Jump|.*definitely lost)"};
    for (unsigned i = 0; i < sizeof tools / sizeof *tools; i++)
        if (!strncmp(f->why, tools[i], strlen(tools[i])) && f->why[strlen(tools[i])] == ':') {
            snprintf(room, size, "--output=%s", words[i]);
            return room;
        }
    return NULL;
}

/* In a process of its own, as anybody would. */
static void shrink_one(struct fsh_explore *e, const struct fsh_finding *f) {
    char trace[PATH_MAX], out[PATH_MAX], timeout[48], condition[128], self[PATH_MAX];
    char *argv[24] = {self, "shrink", "-q", "-o", out, timeout};
    unsigned n = 6;
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len > 0 ? len : 0] = 0;
    snprintf(timeout, sizeof timeout, "--timeout=%" PRIu64 "ms", e->runs.timeout / 1000000 + 1);
    if (fsh_exploration_file(&e->x, f->id, "run.trace", trace) || fsh_exploration_file(&e->x, f->id, "shrunk.trace", out))
        return;
    for (unsigned i = 0; i < sizeof e->condition_texts / sizeof *e->condition_texts; i++)
        if (e->condition_texts[i])
            argv[n++] = e->condition_texts[i];
    if (!strcmp(f->why, "leaked descriptor"))
        return; /* shrink has no such condition */
    if (n == 6 && condition_for(f, condition, sizeof condition))
        argv[n++] = condition;
    if (e->runs.setup) {
        argv[n++] = "--setup";
        argv[n++] = (char *)(uintptr_t)e->runs.setup;
    }
    if (e->runs.copy)
        argv[n++] = "--copy";
    argv[n] = trace;
    if (fsh_command(argv) != 0)
        fsh_warn("%s could not be shrunk; 'faultshim shrink %s' says why", f->id, trace);
}

static void shrink_all(struct fsh_explore *e) {
    char path[PATH_MAX];
    for (size_t i = 0; i < e->x.n_findings && !stopped; i++)
        if (!fsh_explore_is_gone(e, e->x.findings[i].id) &&
            fsh_exploration_file(&e->x, e->x.findings[i].id, "shrunk.trace", path) == 0 && access(path, F_OK) != 0)
            shrink_one(e, &e->x.findings[i]);
}

/* --- the command --- */

static void count_all(struct fsh_explore *e) {
    for (size_t i = 0; i < e->x.n_runs; i++) {
        e->tally.failed += e->x.runs[i].failed;
        e->tally.faults += e->x.runs[i].faults;
        e->tally.faultless += e->x.runs[i].n > 0 && !e->x.runs[i].faults;
    }
}

/* How often each was found, and by which run first, is known now. */
static int complete_findings(struct fsh_explore *e) {
    for (size_t i = 0; i < e->x.n_findings; i++) {
        const struct fsh_finding finding = e->x.findings[i];
        if (!fsh_explore_is_gone(e, finding.id) && fsh_exploration_add_finding(&e->x, &finding) != 0)
            return fsh_fail(EXIT_TROUBLE, "%s", e->x.wrong);
    }
    return 0;
}

/* Findings that stand in the folder, without those that are gone. */
static bool has_findings(const struct fsh_explore *e) {
    return e->x.n_findings > e->tally.gone;
}

static int explore(struct fsh_explore *e) {
    e->tally.started = fsh_monotonic();
    int status = begin(e);
    if (!status)
        status = try_old(e);
    if (!status)
        status = loop(e);
    fsh_crew_end(&e->crew);
    fsh_explore_progress(e, true);
    if (!status && e->shrink)
        shrink_all(e);
    if (!status)
        status = complete_findings(e);
    if (status)
        return status;
    count_all(e);
    fsh_explore_card(e);
    /* of few runs, a part may get none */
    bool idle = e->asked.shards > 1 && e->x.n_runs <= 1;
    if (!stopped && !has_findings(e) && !e->tally.faults && !idle)
        return fsh_fail(EXIT_VACUOUS, "nothing was injected in any run");
    return stopped ? 128 + stopped : has_findings(e) ? EXIT_DIFFERENT : 0;
}

/* Workers would find out too late. */
static int look_for_program(char **argv) {
    struct fsh_run run = {.argv = argv};
    int status = fsh_run_find(&run);
    if (!status)
        status = fsh_run_library(&run);
    fsh_run_finish(&run);
    return status;
}

static int prepare(struct fsh_explore *e, char **argv) {
    struct sigaction action = {.sa_handler = on_signal};
    int status = look_for_program(argv);
    if (status)
        return status;
    if (!is_sensible(e) || !load(e) || !describe(e, argv) || !open_folder(e) || !make_work(e))
        return EXIT_TROUBLE;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (!(e->symbols = fsh_symbols_new()))
        return fsh_fail(EXIT_TROUBLE, "out of memory");
    e->runs.argv = argv;
    e->runs.loaded = &e->loaded;
    e->runs.condition = e->has_condition ? &e->condition : NULL;
    return explore(e);
}

static void free_all(struct fsh_explore *e) {
    remove_work(e);
    for (unsigned i = 0; e->old && e->old[i]; i++)
        free(e->old[i]);
    free(e->old);
    free(e->old_state);
    for (unsigned i = 0; i < sizeof e->condition_texts / sizeof *e->condition_texts; i++)
        free(e->condition_texts[i]);
    free(e->asked.options.v);
    free((char *)(uintptr_t)e->asked.cwd);
    free((char *)(uintptr_t)e->asked.oracles);
    free((char *)(uintptr_t)e->runs.usual);
    fsh_idmap_free(&e->runs.known);
    fsh_idmap_free(&e->runs.told);
    fsh_idmap_free(&e->runs.found);
    fsh_symbols_free(e->symbols);
    fsh_strategy_free(&e->strategy);
    fsh_exploration_close(&e->x);
    fsh_loaded_free(&e->loaded);
    fsh_condition_free(&e->condition);
    fsh_common_free(&e->common);
    free(e);
}

int fsh_cmd_explore(int argc, char **argv) {
    struct fsh_explore *e = calloc(1, sizeof *e);
    int status;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (!e)
        return fsh_fail(EXIT_TROUBLE, "out of memory");
    e->folder = FSH_DEFAULT_EXPLORATION;
    e->jobs = cores < 1 ? 1 : cores > FSH_JOBS_MOST ? FSH_JOBS_MOST : (uint64_t)cores;
    e->x.folder = e->x.runs_fd = e->x.points_fd = -1;
    int at = fsh_options(argc, argv, &usage, &e->common, take, e, &status);
    if (at >= 0 && at == argc)
        status = fsh_fail(EXIT_TROUBLE, "no program is named; see 'faultshim explore --help'");
    else if (at >= 0)
        status = fsh_out_finish(prepare(e, argv + at));
    free_all(e);
    return status;
}
