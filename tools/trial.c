/* trial.c: see trial.h. A worker is forked for each run: the supervision of a run owns its process's signals and children. */
#include "trial.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands.h"
#include "out.h"
#include "place.h"
#include "script.h"

enum { RUN_GOOD, RUN_FAILED, RUN_TROUBLE, JOBS_MAX = 256 };

volatile sig_atomic_t fsh_trials_stopped;

static struct sigaction before[2];
static const int ending[] = {SIGINT, SIGTERM};

static void on_signal(int sig) {
    fsh_trials_stopped = sig;
}

bool fsh_trials_begin(struct fsh_trials *t) {
    struct sigaction action = {.sa_handler = on_signal};
    if (!fsh_make_folder(t->folder, sizeof t->folder, NULL))
        return false;
    for (int i = 0; i < 2; i++)
        sigaction(ending[i], &action, &before[i]);
    return true;
}

void fsh_trials_end(struct fsh_trials *t) {
    for (int i = 0; i < 2; i++)
        sigaction(ending[i], &before[i], NULL);
    fsh_remove_folder(t->folder);
}

/* --- one run, in its worker --- */

/* The working directory may be being copied, so nothing comes and goes there. */
static void name_kept(const struct fsh_trials *t, char *out, size_t size) {
    snprintf(out, size, "%s/kept", t->folder);
}

static int judge_run(const struct fsh_trials *t, const struct fsh_trial *q, struct fsh_run *run) {
    int status = fsh_run_supervise(run);
    if (!status && run->session.header->attached == 0)
        status = fsh_fail(EXIT_NOT_ATTACHED, "the shim did not start in %s", run->argv[0]);
    if (status)
        return RUN_TROUBLE;
    bool failed = fsh_condition_holds(t->condition, run, run->output);
    char kept[4200];
    name_kept(t, kept, sizeof kept);
    if (failed && q->keep && rename(run->trace, kept) != 0) {
        fsh_warn("%s: %s", kept, strerror(errno));
        return RUN_TROUBLE;
    }
    return failed ? RUN_FAILED : RUN_GOOD;
}

static int run_one(const struct fsh_trials *t, const struct fsh_trial *q, unsigned number) {
    char trace[4200], output[4200], place[4200];
    struct fsh_script_text script = {0};
    struct fsh_loaded other = {0};
    struct fsh_run run = {.argv = t->argv, .loaded = t->loaded, .timeout = t->timeout, .alone = true};
    snprintf(trace, sizeof trace, "%s/%u.trace", t->folder, number);
    snprintf(output, sizeof output, "%s/%u.out", t->folder, number);
    snprintf(place, sizeof place, "%s/%u", t->folder, number);
    char *cwd = t->copy ? getcwd(NULL, 0) : NULL;
    run.trace = trace;
    run.output = output;
    run.cwd = cwd;
    if (t->recorded)
        run.files = fsh_reader_meta(t->recorded, META_FILES);
    bool good = fsh_place_prepare(t->copy ? place : NULL, NULL, t->setup);
    if (good && q->profile) {
        good = fsh_load_text(&other, (struct fsh_text){q->profile, q->profile_len}, q->seed, SEED_PROFILE, "the profile");
        run.loaded = &other;
    } else if (good) {
        good = fsh_script_compile(&script, t->recorded, &(struct fsh_script_wish){.mode = REPLAY_SET, .excluded = q->excluded});
        run.script = (struct fsh_text){script.data, script.len};
        run.replayed = (struct fsh_text){t->path, strlen(t->path)};
    }
    int result = good && !fsh_run_find(&run) && !fsh_run_prepare(&run) ? judge_run(t, q, &run) : RUN_TROUBLE;
    fsh_run_finish(&run);
    free(cwd);
    unlink(trace);
    unlink(output);
    if (t->copy && chdir("/") == 0)
        fsh_remove_folder(place);
    return result;
}

/* --- many of them --- */

static unsigned wanted(const struct fsh_trials *t, const struct fsh_trial *q) {
    return q->runs ? q->runs : t->runs;
}

bool fsh_trial_fails(const struct fsh_trial *q) {
    return q->failed && 2 * q->failed >= q->made;
}

/* `left`: runs that have not ended yet. Whether the answer can't change any more. */
static bool is_settled(const struct fsh_trials *t, const struct fsh_trial *q) {
    unsigned all = wanted(t, q), left = all - q->made;
    if (q->settled || !left)
        return true;
    return !q->whole && (2 * q->failed >= all || 2 * (q->failed + left) < all);
}

struct worker {
    pid_t pid; /* 0: free */
    struct fsh_trial *trial;
};

struct crew {
    struct fsh_trials *trials;
    struct fsh_trial *v;
    size_t n;
    struct worker workers[JOBS_MAX];
    unsigned busy;
    bool trouble;
};

static unsigned under_way(const struct crew *c, const struct fsh_trial *q) {
    unsigned n = 0;
    for (unsigned i = 0; i < c->trials->jobs; i++)
        n += c->workers[i].pid && c->workers[i].trial == q;
    return n;
}

/* The first question that needs one more run. */
static struct fsh_trial *next_question(const struct crew *c) {
    for (size_t i = 0; i < c->n; i++)
        if (!is_settled(c->trials, &c->v[i]) && c->v[i].made + under_way(c, &c->v[i]) < wanted(c->trials, &c->v[i]))
            return &c->v[i];
    return NULL;
}

static bool start_worker(struct crew *c, struct fsh_trial *q) {
    struct worker *w = c->workers;
    while (w->pid)
        w++;
    unsigned number = (unsigned)++c->trials->done;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        /* a group of its own: what ends it ends all that it has started */
        setpgid(0, 0);
        for (int i = 0; i < 2; i++)
            signal(ending[i], SIG_DFL);
        _exit(run_one(c->trials, q, number));
    }
    if (pid < 0) {
        fsh_warn("no run can be started: %s", strerror(errno));
        return false;
    }
    setpgid(pid, pid);
    *w = (struct worker){pid, q};
    c->busy++;
    return true;
}

/* What ends when we are stopped says nothing. */
static void end_worker(struct crew *c, pid_t pid, int status) {
    for (unsigned i = 0; i < c->trials->jobs; i++) {
        struct worker *w = &c->workers[i];
        if (w->pid != pid)
            continue;
        int result = WIFEXITED(status) ? WEXITSTATUS(status) : RUN_TROUBLE;
        w->pid = 0;
        c->busy--;
        if (fsh_trials_stopped)
            return;
        c->trouble |= result == RUN_TROUBLE;
        w->trial->made++;
        w->trial->failed += result == RUN_FAILED;
    }
}

/* Its folder may be on another file system. */
static bool move_kept(const struct fsh_trials *t, const char *to) {
    char kept[4200];
    name_kept(t, kept, sizeof kept);
    if (rename(kept, to) == 0)
        return true;
    if (errno == EXDEV && fsh_command((char *[]){"cp", "--", kept, (char *)(uintptr_t)to, NULL}) == 0)
        return unlink(kept) == 0;
    fsh_warn("%s can't be written", to);
    return false;
}

int fsh_trials_ask(struct fsh_trials *t, struct fsh_trial *v, size_t n) {
    struct crew c = {.trials = t, .v = v, .n = n};
    bool told = false;
    for (;;) {
        struct fsh_trial *q = c.trouble || fsh_trials_stopped ? NULL : next_question(&c);
        if (q && c.busy < t->jobs) {
            c.trouble |= !start_worker(&c, q);
            continue;
        }
        if (!c.busy)
            break;
        for (unsigned i = 0; fsh_trials_stopped && !told && i < t->jobs; i++)
            if (c.workers[i].pid)
                kill(-c.workers[i].pid, SIGTERM);
        told = fsh_trials_stopped;
        int status;
        pid_t pid = waitpid(-1, &status, 0);
        if (pid > 0)
            end_worker(&c, pid, status);
    }
    for (size_t i = 0; i < n && !c.trouble && !fsh_trials_stopped; i++)
        if (v[i].keep && v[i].failed)
            c.trouble |= !move_kept(t, v[i].keep);
    return c.trouble ? EXIT_TROUBLE : 0;
}
