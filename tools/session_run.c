/* session_run.c: see session_run.h. The program stays in the terminal's process group and keeps stdin, stdout and stderr; all
 * that it gets from us is two variables and one descriptor. Orphans of the run become our children (PR_SET_CHILD_SUBREAPER), so
 * that a timeout reaches all of them. */
#include "session_run.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "audit.h"
#include "commands.h"
#include "grow.h"
#include "out.h"
#include "profile_files.h"
#include "site_maps.h"

enum { NS_PER_S = 1000000000, NS_PER_MS = 1000000, GRACE_MS = 2000, LOOK_EVERY = 20 * NS_PER_MS, LIBRARY_MAX = 4096 };

/* --- program and library --- */

int fsh_run_find(struct fsh_run *run) {
    int e = fsh_find_program(run->program, sizeof run->program, run->argv[0]);
    if (e == -ENOENT || e == -ENOTDIR)
        return fsh_fail(EXIT_NOT_FOUND, "%s: there is no such program", run->argv[0]);
    if (e)
        return fsh_fail(EXIT_CANNOT_START, "%s: %s", run->argv[0], strerror(-e));
    /* what can't be read can still be started */
    fsh_binary_inspect(&run->binary, run->program);
    return 0;
}

static bool is_there(char *out, const char *folder, const char *rest) {
    snprintf(out, LIBRARY_MAX, "%s%s", folder, rest);
    return access(out, R_OK) == 0;
}

int fsh_run_library(struct fsh_run *run) {
    const char *env = getenv("FAULTSHIM_LIBRARY");
    char found[LIBRARY_MAX], *real = NULL;
    bool good = env && *env ? is_there(found, env, "")
                            : is_there(found, fsh_own_folder(), "/../shim/preload/libfaultshim.so") ||
                                  is_there(found, FSH_LIBRARY_DIR, "/libfaultshim.so") ||
                                  is_there(found, fsh_own_folder(), "/../" FSH_LIBRARY_SUBDIR "/libfaultshim.so");
    if (!good)
        return fsh_fail(EXIT_TROUBLE, "libfaultshim.so is not at %s; say where it is with FAULTSHIM_LIBRARY", found);
    real = realpath(found, NULL);
    if (!real || strpbrk(real, " \t\n:")) {
        int status = real ? fsh_fail(EXIT_TROUBLE,
                                     "%s: LD_PRELOAD can't hold a path with blanks or colons; move the library, or "
                                     "name a copy of it with FAULTSHIM_LIBRARY",
                                     real)
                          : fsh_fail(EXIT_TROUBLE, "%s: %s", found, strerror(errno));
        free(real);
        return status;
    }
    snprintf(run->library, sizeof run->library, "%s", real);
    free(real);
    return 0;
}

/* --- the session --- */

struct list {
    char *data;
    size_t len;
};

static bool add(struct list *list, const char *text) {
    size_t n = strlen(text) + 1;
    char *more = realloc(list->data, list->len + n);
    if (!more)
        return false;
    memcpy(more + list->len, text, n);
    list->data = more;
    list->len += n;
    return true;
}

static struct fsh_text text_of(const char *text) {
    return (struct fsh_text){text, strlen(text)};
}

/* A replay comes to profiles that were loaded into the run that it repeats. */
static int register_load(struct fsh_run *run, const struct fsh_loaded *l) {
    const struct fsh_load load = {.profile = {l->text, l->len},
                                  .rules = {l->names, l->names_len},
                                  .phases = {l->phases, l->phases_len},
                                  .n_rules = l->profile.n_rules,
                                  .n_phases = l->profile.n_phases};
    int number = fsh_session_add_load(&run->session, &load);
    return number < 0 ? number : 0;
}

static int create_session(struct fsh_run *run) {
    const struct fsh_loaded *l = run->loaded;
    struct list command = {0}, env = {0}, whole_env = {0};
    const bool whole = l->profile.options.record & RECORD_ENVIRONMENT;
    struct fsh_text files = {NULL, 0};
    char *cwd = getcwd(NULL, 0);
    bool good = cwd != NULL;
    for (char **p = run->argv; good && *p; p++)
        good = add(&command, *p);
    for (char **p = environ; good && *p; p++)
        good = (!fsh_env_is_recorded(*p) || add(&env, *p)) && (!whole || !fsh_env_is_the_programs(*p) || add(&whole_env, *p));
    int e = good ? fsh_profile_files(&files, l, run->files) : -errno;
    if (good && !e) {
        struct fsh_session_params params = {
            .seed = l->seed,
            .seed_from = l->seed_from,
            .n_rules = l->profile.n_rules,
            .trace_mode = l->profile.options.trace,
            .trace_limit = l->profile.options.trace_limit,
            .shared_keys = l->plan.needs_shared_keys,
            .journal = l->plan.loses_data,
            .connections = l->plan.limits_connections,
            .profile = {l->text, l->len},
            .command = {command.data, command.len},
            .cwd = run->cwd ? text_of(run->cwd) : text_of(cwd),
            .copy = text_of(run->cwd ? cwd : ""),
            .env = {env.data, env.len},
            .whole_env = {whole_env.data, whole_env.len},
            .files = files,
            .rules = {l->names, l->names_len},
            .phases = {l->phases, l->phases_len},
            .replayed = run->replayed,
            .script = run->script,
            .audit = run->audit,
        };
        struct fsh_text found = {NULL, 0};
        if (l->profile.options.doors != DOORS_SYMBOLS)
            params.sites = run->sites.len ? run->sites : (found = fsh_site_maps());
        e = fsh_session_create(&run->session, run->trace, &params);
        for (unsigned i = 0; i < l->n_loads && !e; i++)
            e = register_load(run, &l->loads[i]);
        free((char *)found.data);
    }
    free(command.data);
    free(env.data);
    free(whole_env.data);
    free((char *)files.data);
    free(cwd);
    if (e == -EEXIST)
        return fsh_fail(EXIT_TROUBLE, "%s is there and is no trace; remove it, or choose another with --trace", run->trace);
    if (e)
        return fsh_fail(EXIT_TROUBLE, "the trace %s cannot be created: %s", run->trace, strerror(-e));
    return 0;
}

int fsh_run_prepare(struct fsh_run *run) {
    int status = *run->library ? 0 : fsh_run_library(run);
    if (!status)
        status = create_session(run);
    if (status)
        return status;
    int fd = run->session.fd < 3 ? fcntl(run->session.fd, F_DUPFD_CLOEXEC, 3) : run->session.fd;
    if (fd < 0)
        return fsh_fail(EXIT_TROUBLE, "the session: %s", strerror(errno));
    if (fd != run->session.fd)
        close(run->session.fd);
    run->session.fd = fd;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", run->session.fd);
    ssize_t n = readlink(link, run->trace_path, sizeof run->trace_path - 1);
    run->trace_path[n > 0 ? n : 0] = 0;
    if (run->loaded->profile.options.headstart == HEADSTART_NONE)
        run->session.header->headstart = 1;
    return 0;
}

/* --- the child --- */

struct signals {
    sigset_t ours, before;
    struct sigaction child_before;
};

static const int forwarded[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT};

/* Our signals are waited for, so they are blocked; SIGCHLD must not be ignored, or ends would be lost. */
static void take_signals(struct signals *s) {
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    sigemptyset(&s->ours);
    sigaddset(&s->ours, SIGCHLD);
    for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++)
        sigaddset(&s->ours, forwarded[i]);
    sigaction(SIGCHLD, &dfl, &s->child_before);
    sigprocmask(SIG_BLOCK, &s->ours, &s->before);
}

static void give_signals_back(const struct signals *s) {
    sigaction(SIGCHLD, &s->child_before, NULL);
    sigprocmask(SIG_SETMASK, &s->before, NULL);
}

static void free_environment(struct fsh_run *run, char **env) {
    for (int i = 0; env && i < 2; i++)
        free(run->own_variables[i]);
    free(env);
}

static bool is_variable(const char *entry, const char *name) {
    size_t n = strlen(name);
    return !strncmp(entry, name, n) && entry[n] == '=';
}

/* Ours, and two variables. It shares the entries of ours. NULL if there is no memory. */
static char **make_environment(struct fsh_run *run) {
    const char *old = getenv("LD_PRELOAD"), *asan = run->binary.asan;
    size_t n = 0, at = 0;
    for (char **p = environ; *p; p++)
        n++;
    char **env = calloc(n + 3, sizeof *env), *preload = NULL, *session = NULL;
    /* with a musl, it could not even start */
    bool joins = !run->binary.musl;
    if (!env ||
        asprintf(&preload, "LD_PRELOAD=%s%s%s%s%s", asan, *asan ? ":" : "", run->library, old && *old ? ":" : "", old ? old : "") <
            0 ||
        asprintf(&session, "FAULTSHIM_SESSION=%d:%s", run->session.fd, run->trace_path) < 0) {
        free(env);
        free(preload);
        return NULL;
    }
    for (char **p = environ; *p; p++)
        if (!joins || !(is_variable(*p, "LD_PRELOAD") || is_variable(*p, "FAULTSHIM_SESSION")))
            env[at++] = *p;
    run->own_variables[0] = preload;
    run->own_variables[1] = session;
    for (int i = 0; joins && i < 2; i++)
        env[at++] = run->own_variables[i];
    return env;
}

void fsh_run_mute(void) {
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; fd >= 0 && i < 3; i++)
        dup2(fd, i);
}

/* In append mode, so that what several descriptors write does not overlap. */
static void keep_output(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    for (int i = 1; fd >= 0 && i < 3; i++)
        dup2(fd, i);
}

/* In a child that may share our memory (vfork): nothing is changed there but by the kernel. */
static _Noreturn void become_program(const struct fsh_run *run, const struct signals *signals, char **env, const int begin[2],
                                     int report) {
    int e = 0;
    char followed;
    give_signals_back(signals);
    close(begin[1]);
    if (run->audit && read(begin[0], &followed, 1) != 1)
        _exit(EXIT_TROUBLE);
    if (run->mute || run->output)
        fsh_run_mute();
    if (run->output)
        keep_output(run->output);
    if (run->childless) { /* who would end it? and what it sends to its group must not end us */
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        setpgid(0, 0);
    }
    if (fcntl(run->session.fd, F_SETFD, 0) == 0 && (!run->stopped || ptrace(PTRACE_TRACEME, 0, 0, 0) == 0))
        execvpe(run->program, run->argv, env);
    e = errno;
    if (write(report, &e, sizeof e) < 0)
        _exit(EXIT_TROUBLE);
    _exit(EXIT_CANNOT_START);
}

/* Without a copy of our memory, unless the child has to wait for us. */
static __attribute__((noinline)) pid_t start_program(const struct fsh_run *run, const struct signals *signals, char **env,
                                                     const int begin[2], int report) {
    pid_t pid = run->audit ? fork() : vfork();
    if (pid == 0)
        become_program(run, signals, env, begin, report);
    return pid;
}

/* --- the tree --- */

struct process {
    pid_t pid, parent;
    bool ours;
};

struct tree {
    struct process *v;
    size_t n;
};

static pid_t parent_of(pid_t pid, bool *dead) {
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
    if (fd >= 0)
        close(fd);
    line[n > 0 ? n : 0] = 0;
    char *end = strrchr(line, ')'), state = 0;
    int parent = 0;
    if (!end || sscanf(end + 1, " %c %d", &state, &parent) != 2)
        return 0;
    *dead = state == 'Z' || state == 'X';
    return parent;
}

static struct tree read_processes(void) {
    struct tree tree = {0};
    size_t room = 0;
    DIR *dir = opendir("/proc");
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        bool dead = false;
        pid_t pid = isdigit((unsigned char)*entry->d_name) ? (pid_t)atol(entry->d_name) : 0;
        pid_t parent = pid ? parent_of(pid, &dead) : 0;
        if (!parent || dead)
            continue;
        if (tree.n == room) {
            struct process *more = reallocarray(tree.v, room = room ? 2 * room : 256, sizeof *more);
            if (!more)
                break;
            tree.v = more;
        }
        tree.v[tree.n++] = (struct process){pid, parent, false};
    }
    if (dir)
        closedir(dir);
    return tree;
}

/* Processes that were our children before the run began, if the caller made us with exec: none of ours. */
struct strangers {
    pid_t v[64];
    size_t n;
};

static bool is_stranger(const struct strangers *s, pid_t pid) {
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i] == pid)
            return true;
    return false;
}

static struct strangers find_strangers(void) {
    struct strangers s = {.n = 0};
    struct tree tree = read_processes();
    for (size_t i = 0; i < tree.n; i++)
        if (tree.v[i].parent == getpid() && s.n < sizeof s.v / sizeof *s.v)
            s.v[s.n++] = tree.v[i].pid;
    free(tree.v);
    return s;
}

static bool has_our_parent(const struct tree *tree, const struct process *p, const struct strangers *strangers) {
    if (p->parent == getpid())
        return !is_stranger(strangers, p->pid);
    for (size_t i = 0; i < tree->n; i++)
        if (tree->v[i].pid == p->parent)
            return tree->v[i].ours;
    return false;
}

/* Orphans come to us: without a child there is no descendant either. */
static bool has_child(void) {
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 || errno != ECHILD;
}

/* Sends a signal (0: none) to every living process that descends from us; returns how many there are. */
static unsigned signal_tree(const struct strangers *strangers, int signal) {
    if (!has_child())
        return 0;
    struct tree tree = read_processes();
    unsigned found = 0;
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < tree.n; i++)
            if (!tree.v[i].ours && has_our_parent(&tree, &tree.v[i], strangers)) {
                tree.v[i].ours = more = true;
                found++;
                if (signal)
                    kill(tree.v[i].pid, signal);
            }
    }
    free(tree.v);
    return found;
}

/* --- waiting --- */

struct watch {
    struct fsh_run *run;
    pid_t child;
    bool ended;
    struct signals signals;
    struct strangers strangers;
};

/* Collects whoever has died. */
static void reap(struct watch *w) {
    int status;
    struct fsh_audit *auditor = w->run->auditor;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG | (auditor || w->run->stopped ? __WALL : 0))) > 0;) {
        if (auditor)
            fsh_audit_event(auditor, pid, status);
        if (w->run->stopped && WIFSTOPPED(status))
            w->run->stopped(w->run->stopped_arg, pid, status);
        if (pid != w->child || WIFSTOPPED(status))
            continue;
        w->ended = true;
        w->run->end = WIFSIGNALED(status) ? END_SIGNALED : END_EXITED;
        w->run->value = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
        w->run->dumped = WIFSIGNALED(status) && WCOREDUMP(status);
    }
}

static struct timespec span(uint64_t ns) {
    return (struct timespec){(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
}

/* Waits for a signal: whether one came before `ns` had passed (0: no limit). What the terminal sends, the program gets itself;
 * what somebody sends to us alone is passed on. */
static bool await_signal(struct watch *w, uint64_t ns) {
    siginfo_t info;
    struct timespec ts = span(ns);
    int sig = sigtimedwait(&w->signals.ours, &info, ns ? &ts : NULL);
    if (sig < 0)
        return errno != EAGAIN;
    bool from_terminal = (sig == SIGINT || sig == SIGQUIT) && info.si_code > 0;
    if (sig != SIGCHLD && !from_terminal && !w->ended)
        kill(w->child, sig);
    return true;
}

/* Gives the tree `ms` to go; whether it went. */
static bool await_tree(struct watch *w, unsigned ms) {
    uint64_t until = fsh_monotonic() + (uint64_t)ms * NS_PER_MS;
    for (;;) {
        reap(w);
        if (w->ended && signal_tree(&w->strangers, 0) == 0)
            return true;
        if (fsh_monotonic() >= until)
            return false;
        await_signal(w, 20 * NS_PER_MS);
    }
}

static void end_tree(struct watch *w) {
    signal_tree(&w->strangers, SIGTERM);
    signal_tree(&w->strangers, SIGCONT);
    bool gone = await_tree(w, GRACE_MS);
    for (int i = 0; i < 10 && !gone; i++) {
        signal_tree(&w->strangers, SIGKILL);
        gone = await_tree(w, 200);
    }
    w->run->end = END_TIMEOUT;
}

/* Whoever is left goes, at once. */
static void end_rest(struct watch *w) {
    bool gone = signal_tree(&w->strangers, 0) == 0;
    for (int i = 0; i < 10 && !gone; i++) {
        signal_tree(&w->strangers, SIGKILL);
        gone = await_tree(w, 200);
    }
}

static void await_end(struct watch *w, uint64_t start) {
    uint64_t limit = w->run->timeout;
    for (;;) {
        reap(w);
        if (w->ended)
            return;
        uint64_t past = fsh_monotonic() - start, wait = limit ? limit - past : 0;
        if (limit && past >= limit) {
            end_tree(w);
            return;
        }
        if (w->run->look) {
            w->run->look(w->run->look_arg);
            wait = limit && wait < LOOK_EVERY ? wait : LOOK_EVERY;
        }
        await_signal(w, wait);
    }
}

static void seal(struct fsh_run *run) {
    struct fsh_header *h = run->session.header;
    h->end = run->end;
    h->end_value = run->value;
    h->end_monotonic = fsh_monotonic();
    __atomic_store_n(&h->state, TRACE_SEALED, __ATOMIC_RELEASE);
}

/* The errno of an exec that failed, 0 if it worked: the pipe closes then. */
static int exec_error(int report) {
    int e = 0;
    ssize_t n;
    do
        n = read(report, &e, sizeof e);
    while (n < 0 && errno == EINTR);
    close(report);
    return n == sizeof e ? e : 0;
}

/* --- processes that lost the shim --- */

/* A script is what its interpreter is. */
static void find_reason(char *why, size_t size, const char *path, const char *otherwise) {
    struct fsh_binary b;
    char inner[256];
    int e = fsh_binary_inspect(&b, path);
    for (int depth = 0; !e && b.form == BINARY_SCRIPT && depth < 5; depth++) {
        snprintf(inner, sizeof inner, "%s", b.interpreter);
        fsh_binary_free(&b);
        e = fsh_binary_inspect(&b, inner);
    }
    const char *obstacle = e ? NULL : fsh_binary_obstacle(&b);
    snprintf(why, size, "%s", obstacle ? obstacle : otherwise);
    if (!e)
        fsh_binary_free(&b);
}

void fsh_run_add_lost(struct fsh_run *run, const struct fsh_lost_process *process) {
    if (!fsh_grow(&run->lost, &run->lost_room, run->n_lost, sizeof *run->lost)) {
        run->lost_unnamed++;
        return;
    }
    struct fsh_lost *lost = &run->lost[run->n_lost++];
    memset(lost, 0, sizeof *lost);
    lost->pid = process->pid;
    lost->last = process->last;
    lost->calls = process->calls;
    if (strchr(process->path, '/') || fsh_find_program(lost->path, sizeof lost->path, process->path))
        snprintf(lost->path, sizeof lost->path, "%s", process->path);
    find_reason(lost->why, sizeof lost->why, lost->path, process->why);
}

const struct fsh_lost *fsh_run_lost_program(const struct fsh_run *run) {
    for (size_t i = 0; i < run->n_lost; i++)
        if (run->lost[i].pid == run->pid && run->lost[i].last)
            return &run->lost[i];
    return NULL;
}

/* What was started and has not joined. */
static void find_lost(struct fsh_run *run) {
    const struct fsh_session *s = &run->session;
    if (run->auditor) {
        fsh_audit_end(run->auditor); /* it knows them all */
        return;
    }
    run->lost_unnamed = s->header->unnoted;
    for (uint32_t i = 0; i < s->header->departed && i < FSH_DEPARTURES; i++) {
        const struct fsh_departure *d = &s->departures[i];
        char path[sizeof d->path];
        if (d->use != DEPARTURE_NOTED)
            continue;
        snprintf(path, sizeof path, "%.*s", (int)sizeof d->path - 1, d->path);
        fsh_run_add_lost(run,
                         &(struct fsh_lost_process){
                             (int)d->pid, true, path,
                             "libfaultshim.so is not within its reach (another root, another user), or it ended too early", 0});
    }
}

/* The child waits for one byte. */
static int follow(struct fsh_run *run, pid_t child, int begin) {
    int e = fsh_audit_follow(run->auditor, child);
    if (!e && write(begin, "", 1) != 1)
        e = -errno;
    return e;
}

int fsh_run_supervise(struct fsh_run *run) {
    struct watch w = {.run = run};
    if (!run->childless)
        w.strangers = find_strangers();
    int report[2], begin[2];
    if (pipe2(report, O_CLOEXEC) || pipe2(begin, O_CLOEXEC))
        return fsh_fail(EXIT_TROUBLE, "the program cannot be started: %s", strerror(errno));
    if (run->audit && !(run->auditor = fsh_audit_new(run)))
        return fsh_fail(EXIT_TROUBLE, "out of memory");
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    take_signals(&w.signals);
    char **env = make_environment(run);
    uint64_t start = fsh_monotonic();
    w.child = env ? start_program(run, &w.signals, env, begin, report[1]) : -1;
    int e = w.child < 0 ? errno : 0;
    run->pid = w.child;
    free_environment(run, env);
    close(report[1]);
    close(begin[0]);
    int untraceable = !e && run->audit ? follow(run, w.child, begin[1]) : 0;
    close(begin[1]);
    if (e)
        close(report[0]);
    else if (!untraceable)
        e = exec_error(report[0]);
    if (untraceable) {
        close(report[0]);
        unlink(run->trace_path);
        return fsh_fail(EXIT_TROUBLE, "--audit needs ptrace(2), which is not allowed here: %s", strerror(-untraceable));
    }
    if (e) {
        reap(&w);
        unlink(run->trace_path);
        return fsh_fail(EXIT_CANNOT_START, "%s: %s", run->argv[0], strerror(e));
    }
    await_end(&w, start);
    run->ns = fsh_monotonic() - start;
    if (run->alone)
        end_rest(&w);
    run->left = signal_tree(&w.strangers, 0);
    find_lost(run);
    fsh_put_back(&run->session, run->left, &run->losses);
    seal(run);
    return 0;
}

int fsh_run_status(const struct fsh_run *run) {
    switch (run->end) {
    case END_EXITED:
        return run->value;
    case END_SIGNALED:
        return 128 + run->value;
    case END_TIMEOUT:
        return EXIT_TIMEOUT;
    default:
        return EXIT_TROUBLE;
    }
}

void fsh_run_close(struct fsh_run *run) {
    free(run->lost);
    fsh_losses_free(&run->losses);
    fsh_audit_free(run->auditor);
    if (run->session.header) {
        munmap(run->session.header, run->session.map_size);
        close(run->session.fd);
    }
}

void fsh_run_finish(struct fsh_run *run) {
    fsh_binary_free(&run->binary);
    fsh_run_close(run);
}
