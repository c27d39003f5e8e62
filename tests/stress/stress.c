/* stress: profiles by chance, each on a program that checks itself, and a judge of what came out. tests/cases/stress.bats runs a
 * few thousand of them; by hand it takes as many as you like.
 *
 *   stress [--seed S] [--from N] [--rounds N] [--seconds N] [--jobs N] [--keep] [--show] --tool FAULTSHIM --shim LIBRARY --victim
 * MIXED
 *
 * A round is a profile that the loader takes (those that it refuses are counted, and refused with file and line), a run under it,
 * and then: did the run end, was the end one that a fault made, is each complaint of the victim explained by a fault in the trace,
 * was each fault legal for its call, is the trace what its seed says, and, of a tenth, does a replay make every decision again? The
 * first round that fails is shown with the command that repeats it. The numbers of a round settle everything that can be settled.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "faults.h"
#include "generate.h"
#include "judge.h"

enum { TEXT_MAX = 1 << 16, ATTEMPTS = 200, LIMIT = 20, PATIENCE = 60, LONG_PATIENCE = 6000, FAILED_MAX = 3 };

struct stress {
    const char *tool, *shim, *victim;
    char folder[64];
    uint64_t seed, from, rounds, seconds, jobs;
    bool keep, show;
    /* counted */
    uint64_t done, failed, refused, accepted, faults, vacuous, complaints, crashed, replayed, patient;
    unsigned long by_fault[64], by_family[8];
};

struct round {
    uint64_t number;
    char text[TEXT_MAX];
    size_t len;
    struct fsh_arena arena;
    struct fsh_profile profile;
    struct fsh_plan plan;
    bool steady, bare;
    unsigned patience;
    char wrong[1400];
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int trouble(const char *what) {
    fprintf(stderr, "stress: %s: %s\n", what, strerror(errno));
    exit(99);
}

/* --- a profile that the loader takes --- */

/* "p.ini:LINE: what is wrong; what to write instead". */
static bool is_well_put(const char *error) {
    const char *p = strncmp(error, "p.ini:", 6) ? "" : error + 6;
    size_t digits = strspn(p, "0123456789");
    return digits && p[digits] == ':' && p[digits + 1] == ' ' && strstr(p, "; ") && !strchr(p, '\n');
}

static int load(struct round *r, struct fsh_error *error) {
    r->arena = (struct fsh_arena){.size = fsh_arena_need(r->len)};
    r->arena.base = malloc(r->arena.size);
    if (!r->arena.base)
        trouble("malloc");
    memset(&r->profile, 0, sizeof r->profile);
    memset(&r->plan, 0, sizeof r->plan);
    int e = fsh_profile_parse(&r->profile, &r->arena, r->text, r->len, "p.ini", error);
    return e ? e : fsh_plan_build(&r->plan, &r->profile, r->profile.options.seed, &r->arena, error);
}

/* A fault that stays in a file meets none but those of the victim's own. */
static bool is_safe(const struct stress *s, const struct fsh_profile *profile) {
    for (unsigned i = 0; i < profile->n_rules; i++)
        for (unsigned k = 0; k < profile->rules[i].n_faults; k++)
            if (profile->rules[i].faults[k].where == CORRUPT_AT_REST &&
                (profile->rules[i].path.n != 1 || strncmp(profile->rules[i].path.v[0], s->folder, strlen(s->folder)) != 0))
                return false;
    return true;
}

static bool make(struct stress *s, struct round *r) {
    struct fsh_error error;
    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        r->len = generate(r->text, sizeof r->text, s->seed, r->number, attempt, s->folder);
        if (load(r, &error) == 0) {
            if (!is_safe(s, &r->profile))
                trouble("a profile that would damage files of the machine");
            s->accepted++;
            return true;
        }
        free(r->arena.base);
        s->refused++;
        if (!is_well_put(error.text)) {
            snprintf(r->wrong, sizeof r->wrong, "refused in other words than file:line: what; what instead: %s", error.text);
            r->arena.base = NULL;
            return false;
        }
    }
    trouble("no profile was taken in 200 attempts");
    return false;
}

/* --- a run --- */

static void path_of(char *out, size_t size, const struct stress *s, const char *name) {
    snprintf(out, size, "%s/%s", s->folder, name);
}

static void remove_file(const struct stress *s, const char *name) {
    char path[96];
    path_of(path, sizeof path, s, name);
    unlink(path);
}

static void child(const struct stress *s, char *const *argv, char *const *env, const char *in) {
    char work[96], out[96], err[96];
    path_of(work, sizeof work, s, in);
    path_of(out, sizeof out, s, "out");
    path_of(err, sizeof err, s, "err");
    setpgid(0, 0);
    int zero = open("/dev/null", O_RDONLY), one = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600),
        two = open(err, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    if (zero < 0 || one < 0 || two < 0 || chdir(work) < 0)
        _exit(99);
    dup2(zero, 0);
    dup2(one, 1);
    dup2(two, 2);
    syscall(SYS_close_range, 3, ~0u, 0);
    execve(argv[0], argv, env);
    _exit(98);
}

/* Where it hangs, if there is a debugger to tell. */
static void note_stacks(const struct stress *s, pid_t group) {
    char command[300];
    snprintf(command, sizeof command,
             "for p in $(pgrep -g %d mixed); do gdb -p $p -batch -ex 'thread apply all bt 12' 2>/dev/null | grep '^[T#]'; done "
             ">%s/stacks",
             group, s->folder);
    if (system(command))
        remove_file(s, "stacks");
}

/* What becomes of it; its process group is ended if it takes too long. */
static bool start(const struct stress *s, char *const *argv, char *const *env, struct ending *ending) {
    pid_t pid = fork();
    int status = 0;
    bool ended = true;
    if (pid < 0)
        trouble("fork");
    if (pid == 0)
        child(s, argv, env, "work");
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0 || poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, LIMIT * 1000) < 1) {
        ended = false;
        note_stacks(s, pid);
    }
    kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    close(fd);
    *ending = (struct ending){WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0};
    return ended;
}

static void empty(const struct stress *s) {
    char command[200];
    snprintf(command, sizeof command, "rm -rf %s/work && mkdir %s/work", s->folder, s->folder);
    if (system(command))
        trouble("rm");
}

static void write_file(const struct stress *s, const char *name, const char *text, size_t len) {
    char path[96];
    path_of(path, sizeof path, s, name);
    FILE *out = fopen(path, "we");
    if (!out || fwrite(text, 1, len, out) != len || fclose(out))
        trouble(path);
}

static void save(const struct stress *s, const struct round *r) {
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\n\r\n";
    write_file(s, "p.ini", r->text, r->len);
    write_file(s, "FILE", answer, sizeof answer - 1);
    remove_file(s, "PATH"); /* stacks that an earlier round has failed in */
    remove_file(s, "stacks");
}

/* Half of them with the command, half with nothing but the library. */
static bool run(const struct stress *s, const struct round *r, struct ending *ending) {
    char profile[96], trace[96], patience[16], home[96], preload[600], in_profile[120], in_trace[120], library[600];
    path_of(profile, sizeof profile, s, "p.ini");
    path_of(trace, sizeof trace, s, "trace");
    snprintf(patience, sizeof patience, "%u", r->patience);
    snprintf(home, sizeof home, "HOME=%s", s->folder);
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", s->shim);
    snprintf(in_profile, sizeof in_profile, "FAULTSHIM_PROFILE=%s", profile);
    snprintf(in_trace, sizeof in_trace, "FAULTSHIM_TRACE=%s", trace);
    snprintf(library, sizeof library, "FAULTSHIM_LIBRARY=%s", s->shim);
    char *what = (char *)(r->steady ? "steady" : "3");
    char *by_tool[] = {(char *)s->tool, (char *)"run", (char *)"-q", (char *)"--expect=any", (char *)"-p",
                       profile,         (char *)"-o",  trace,        (char *)"--",           (char *)s->victim,
                       patience,        what,          NULL};
    char *by_itself[] = {(char *)s->victim, patience, what, NULL};
    char *env[] = {
        (char *)"PATH=/usr/bin:/bin", (char *)"LANG=C.UTF-8", home, library, r->bare ? preload : NULL, in_profile, in_trace, NULL};
    unlink(trace);
    bool ended = start(s, r->bare ? by_itself : by_tool, env, ending);
    if (!r->bare && ending->status > 128) /* as the command tells a signal */
        *ending = (struct ending){-1, ending->status - 128};
    return ended;
}

static bool tool(const struct stress *s, struct round *r, const char *command, int bad) {
    char trace[96], again[96];
    path_of(trace, sizeof trace, s, "trace");
    path_of(again, sizeof again, s, "again");
    char *verify[] = {(char *)s->tool, (char *)command, (char *)"-q", trace, NULL};
    char *replay[] = {(char *)s->tool, (char *)command, (char *)"-q", (char *)"-o", again, trace, NULL};
    char library[600];
    snprintf(library, sizeof library, "FAULTSHIM_LIBRARY=%s", s->shim);
    char *env[] = {(char *)"PATH=/usr/bin:/bin", (char *)"LANG=C.UTF-8", library, NULL};
    struct ending ending;
    bool is_replay = !strcmp(command, "replay"), ended = start(s, is_replay ? replay : verify, env, &ending);
    if (ended && (is_replay ? ending.status != bad && ending.status != 125 && !(ending.signal) : ending.status == 0))
        return true;
    snprintf(r->wrong, sizeof r->wrong, "faultshim %s: %s, status %d, signal %d", command,
             ended ? "not as recorded" : "never ended", ending.status, ending.signal);
    return false;
}

/* --- a round --- */

static void add_up(struct stress *s, const struct verdict *v, struct ending ending) {
    s->faults += v->faults;
    s->vacuous += v->faults == 0;
    s->complaints += v->complaints;
    s->crashed += ending.signal != 0;
    for (unsigned i = 0; i < FSH_FAULTS; i++)
        s->by_fault[i] += v->by_fault[i];
    for (unsigned i = 0; i < 8; i++)
        s->by_family[i] += v->by_family[i];
}

/* True if all is well. With little patience first, because what is silently lost is waited for in vain; who then says nothing but
 * that gets all the time in the world. */
static bool try_out(struct stress *s, struct round *r) {
    char trace[96], said[96];
    struct verdict verdict;
    struct ending ending;
    path_of(trace, sizeof trace, s, "trace");
    path_of(said, sizeof said, s, "out");
    empty(s);
    save(s, r);
    bool ended = run(s, r, &ending);
    judge(&verdict, trace, said, &r->profile, ended ? ending : (struct ending){0, 0});
    if (!ended)
        snprintf(r->wrong, sizeof r->wrong, "it hung for %d s", LIMIT);
    else
        snprintf(r->wrong, sizeof r->wrong, "%s", verdict.wrong);
    if (verdict.silent && r->patience < LONG_PATIENCE) {
        s->patient++;
        r->patience = LONG_PATIENCE;
        return try_out(s, r);
    }
    add_up(s, &verdict, ending);
    return !*r->wrong;
}

/* The whole trace is there, and nobody was ended at a moment of the kernel's choice (crash tree). */
static bool is_exact(const struct round *r) {
    for (unsigned i = 0; i < r->profile.n_rules; i++)
        for (unsigned k = 0; k < r->profile.rules[i].n_faults; k++)
            if (r->profile.rules[i].faults[k].tree)
                return false;
    return r->steady && r->profile.options.trace == TRACE_ALL && r->profile.options.trace_limit > 1 << 20;
}

static bool play(struct stress *s, struct round *r) {
    if (!make(s, r))
        return false;
    bool good = try_out(s, r) && (r->profile.options.trace == TRACE_OFF || tool(s, r, "verify", 1));
    if (good && is_exact(r)) {
        empty(s);
        good = tool(s, r, "replay", 122);
        s->replayed++;
    }
    return good;
}

static void show_file(const struct stress *s, const char *name) {
    char path[96], text[6000];
    path_of(path, sizeof path, s, name);
    FILE *in = fopen(path, "re");
    size_t n = in ? fread(text, 1, sizeof text, in) : 0;
    if (in)
        fclose(in);
    if (n)
        printf("--- %s\n%.*s\n", name, (int)n, text);
}

static void complain(const struct stress *s, const struct round *r) {
    printf("round %" PRIu64 ": %s\n--- profile\n%.*s\n", r->number, r->wrong, (int)r->len, r->text);
    show_file(s, "out");
    show_file(s, "err");
    show_file(s, "stacks");
    printf("repeat: stress --seed %" PRIu64 " --from %" PRIu64 " --rounds 1 --keep --tool %s --shim %s --victim %s\n", s->seed,
           r->number, s->tool, s->shim, s->victim);
    fflush(stdout);
}

static bool play_one(struct stress *s, uint64_t number) {
    static struct round r;
    r.number = number;
    r.steady = number % 5 == 4;
    r.bare = number % 2;
    r.patience = PATIENCE;
    *r.wrong = 0;
    bool good = play(s, &r);
    if (!good || s->show)
        complain(s, &r);
    free(r.arena.base);
    return good;
}

static void show_counts(const struct stress *s) {
    static const char *const names[] = {"file", "net", "pipe", "memory", "time", "process", "random"};
    printf("%" PRIu64 " rounds, %" PRIu64 " failed; profiles: %" PRIu64 " taken, %" PRIu64 " refused with file and line\n", s->done,
           s->failed, s->accepted, s->refused);
    printf("%" PRIu64 " faults, %" PRIu64 " rounds without any, %" PRIu64 " ended by a signal, %" PRIu64 " complaints, %" PRIu64
           " replays, %" PRIu64 " with more patience\n",
           s->faults, s->vacuous, s->crashed, s->complaints, s->replayed, s->patient);
    for (unsigned i = 0; i < FSH_FAULTS; i++)
        printf("fault %s %lu\n", fsh_faults[i].name, s->by_fault[i]);
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        printf("family %s %lu\n", names[i], s->by_family[i]);
}

static void sum_up(struct stress *s, const struct stress *job) {
    s->done += job->done;
    s->failed += job->failed;
    s->refused += job->refused;
    s->accepted += job->accepted;
    s->faults += job->faults;
    s->vacuous += job->vacuous;
    s->complaints += job->complaints;
    s->crashed += job->crashed;
    s->replayed += job->replayed;
    s->patient += job->patient;
    for (unsigned i = 0; i < FSH_FAULTS; i++)
        s->by_fault[i] += job->by_fault[i];
    for (unsigned i = 0; i < 8; i++)
        s->by_family[i] += job->by_family[i];
}

/* Runs have folders of their own. */
static char *whole(const char *path) {
    char *p = realpath(path, NULL);
    if (!p)
        trouble(path);
    return p;
}

static void take_options(struct stress *s, int argc, char **argv) {
    static const struct option options[] = {{"seed", 1, 0, 's'},
                                            {"from", 1, 0, 'f'},
                                            {"rounds", 1, 0, 'n'},
                                            {"seconds", 1, 0, 't'},
                                            {"jobs", 1, 0, 'j'},
                                            {"keep", 0, 0, 'k'},
                                            {"show", 0, 0, 'v'},
                                            {"tool", 1, 0, 'T'},
                                            {"shim", 1, 0, 'S'},
                                            {"victim", 1, 0, 'V'},
                                            {0}};
    int o;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        uint64_t n = optarg ? strtoull(optarg, NULL, 10) : 0;
        switch (o) {
        case 's':
            s->seed = n;
            break;
        case 'f':
            s->from = n;
            break;
        case 'n':
            s->rounds = n;
            break;
        case 't':
            s->seconds = n;
            break;
        case 'j':
            s->jobs = n;
            break;
        case 'k':
            s->keep = true;
            break;
        case 'v':
            s->show = true;
            break;
        case 'T':
            s->tool = whole(optarg);
            break;
        case 'S':
            s->shim = whole(optarg);
            break;
        case 'V':
            s->victim = whole(optarg);
            break;
        default:
            exit(2);
        }
    }
    if (!s->tool || !s->shim || !s->victim) {
        fputs("usage: stress [--seed S] [--from N] [--rounds N] [--seconds N] [--jobs N] [--keep] [--show] --tool FAULTSHIM "
              "--shim LIBRARY --victim MIXED\n",
              stderr);
        exit(2);
    }
}

/* Every `jobs`th round, in a folder of its own: most of a round is waiting. */
static void work(struct stress *s, uint64_t job) {
    char command[100];
    double until = now() + (double)s->seconds;
    snprintf(s->folder, sizeof s->folder, "/tmp/faultshim-stress.XXXXXX");
    if (!mkdtemp(s->folder))
        trouble(s->folder);
    for (uint64_t n = job; n < s->rounds && now() < until && s->failed < FAILED_MAX; n += s->jobs, s->done++)
        s->failed += !play_one(s, s->from + n);
    snprintf(command, sizeof command, "rm -rf %s", s->folder);
    if (s->keep)
        printf("kept: %s\n", s->folder);
    else if (system(command))
        trouble("rm");
    fflush(stdout);
}

int main(int argc, char **argv) {
    struct stress all = {.seed = 1, .rounds = 100, .seconds = 3600, .jobs = 1};
    bool broken = false;
    int status;
    take_options(&all, argc, argv);
    struct stress *jobs = mmap(NULL, all.jobs * sizeof *jobs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (jobs == MAP_FAILED)
        trouble("mmap");
    for (uint64_t i = 0; i < all.jobs; i++) {
        jobs[i] = all;
        pid_t pid = fork();
        if (pid < 0)
            trouble("fork");
        if (pid == 0) {
            work(&jobs[i], i);
            exit(0);
        }
    }
    while (wait(&status) > 0)
        broken |= status != 0;
    for (uint64_t i = 0; i < all.jobs; i++)
        sum_up(&all, &jobs[i]);
    show_counts(&all);
    free((char *)all.tool);
    free((char *)all.shim);
    free((char *)all.victim);
    return broken ? 99 : all.failed != 0;
}
