/* crew.c: see crew.h. A run costs its worker a session, a fork, an exec and a wait: programs, libraries and maps of system calls
 * are looked up once, no list of processes is read while the worker has no child, and a trace is read no farther than it must be.
 */
#include "crew.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands.h"
#include "draw.h"
#include "grow.h"
#include "out.h"
#include "place.h"
#include "site_maps.h"
#include "swarm.h"
#include "trace_open.h"

enum { MESSAGE_MOST = 256 << 20, OUTPUT_MOST = 64 << 20, PATIENCE_MS = 3000 };

uint64_t fsh_point_of(const struct fsh_spot *spot) {
    const char *call = fsh_calls[spot->call].name;
    return fsh_fold(fsh_fold(spot->site, fsh_hash(call, strlen(call))), spot->kind) | 1;
}

/* --- what a run has met --- */

struct worker {
    struct fsh_runs *runs;
    struct fsh_run base;      /* what all of its runs begin with */
    struct fsh_idmap crashes; /* where the program crashed, by reason and faulty point */
    char trace[4200], output[4200], place[4200];
    int socket;
};

struct look {
    struct worker *w;
    struct fsh_ran *ran;
    const struct fsh_reader *reader;
    bool all; /* passes too */
    struct fsh_met *met;
    size_t n_met, room;
    struct fsh_idmap seen, faulted; /* points of this run */
    FILE *out;                      /* call stacks */
};

static struct fsh_spot spot_of(const struct look *l, const struct fsh_decision *d) {
    const char *call = fsh_reader_call_name(l->reader, d->call);
    int own = fsh_call_by_name(call, strlen(call));
    return (struct fsh_spot){.site = d->site, .call = (uint16_t)(own < 0 ? 0 : own), .kind = d->kind};
}

static void note_fault(struct look *l, const struct fsh_decision *d, uint64_t point) {
    struct fsh_ran *ran = l->ran;
    char number[16];
    snprintf(ran->call, sizeof ran->call, "%s", fsh_reader_call_name(l->reader, d->call));
    snprintf(ran->error, sizeof ran->error, "%s",
             d->error ? fsh_errno_text(d->error, number) : fsh_reader_fault_name(l->reader, d->fault_kind));
    ran->culprit = point;
    if (point && !fsh_idmap_find(&l->faulted, point) && ran->n_faulted < FSH_FAULTED_MOST && fsh_idmap_put(&l->faulted, point, 1))
        ran->faulted[ran->n_faulted++] = point;
}

static void put_text(FILE *out, struct fsh_text text) {
    fwrite(text.data ? text.data : "", 1, text.len, out);
    fputc(0, out);
}

static void tell_stack(struct look *l, struct fsh_met *met, unsigned thread) {
    const struct fsh_site_info *site = fsh_reader_site(l->reader, met->spot.site);
    struct fsh_get get = {.p = site ? site->frames : NULL, .end = site ? site->end : NULL};
    for (; site && met->n_frames < site->n_frames && met->n_frames < FSH_DEPTH_MAX; met->n_frames++) {
        struct fsh_stack_frame frame = fsh_get_frame(&get);
        const struct fsh_module_info *module = fsh_reader_module(l->reader, thread, frame.module);
        const struct fsh_text id = module ? module->build_id : (struct fsh_text){"", 0};
        const uint8_t id_len = (uint8_t)(id.len < 255 ? id.len : 0);
        fwrite(&frame.offset, sizeof frame.offset, 1, l->out);
        put_text(l->out, frame.module);
        fputs(module ? module->path : "", l->out);
        fputc(0, l->out);
        fwrite(&id_len, 1, 1, l->out);
        fwrite(id.data ? id.data : "", 1, id_len, l->out);
    }
}

static int look_at(void *arg, const struct fsh_decision *d) {
    struct look *l = arg;
    if (!d->fault && (!l->all || d->again))
        return 0;
    struct fsh_spot spot = spot_of(l, d);
    uint64_t point = d->site ? fsh_point_of(&spot) : 0;
    if (d->fault && !(d->flags & FAULT_LASTING))
        note_fault(l, d, point);
    if (!point || fsh_idmap_find(&l->w->runs->known, point) || fsh_idmap_find(&l->seen, point))
        return 0;
    if (!fsh_idmap_put(&l->seen, point, 1) || !fsh_grow(&l->met, &l->room, l->n_met, sizeof *l->met))
        return -ENOMEM;
    struct fsh_met *met = &l->met[l->n_met++];
    *met = (struct fsh_met){.point = point, .spot = spot, .rule = d->n_rules ? d->rules[0].rule : 0, .failed = d->fault};
    if (!fsh_idmap_find(&l->w->runs->told, point))
        tell_stack(l, met, d->thread);
    return 0;
}

static int look_through(struct look *l) {
    struct fsh_totals totals = {0};
    const struct fsh_visitor visitor = {l, look_at, NULL};
    int e = fsh_reader_totals(l->reader, &totals);
    l->ran->decisions = totals.decisions;
    l->ran->faults = totals.faults;
    fsh_totals_free(&totals);
    if (!e && (l->all || l->ran->faults))
        e = fsh_reader_walk(l->reader, &visitor);
    l->ran->n_met = (uint32_t)l->n_met;
    return e;
}

/* In runs by seed each point is told once, in runs at places by every run that meets it: the order of the runs is not the order in
 * which they are heard of. */
static bool is_by_place(const struct fsh_task *task) {
    return task->kind == TASK_PLACES;
}

static void remember(struct look *l) {
    for (size_t i = 0; i < l->n_met; i++)
        fsh_idmap_put(&l->w->runs->known, l->met[i].point, 1);
}

/* --- one run --- */

struct attempt {
    struct fsh_run run;
    struct fsh_loaded own; /* of this run alone */
    struct fsh_script_text script;
    struct fsh_reader *again;
    char *cwd;
    char *open; /* what was open at the end; with `leaks` alone */
    size_t open_len;
    struct fsh_crash watch;
};

static bool load_again(struct attempt *a, const struct fsh_task *task) {
    a->again = fsh_trace_open(task->trace);
    if (!a->again || !fsh_load_trace(&a->own, a->again, task->trace) ||
        !fsh_script_compile(&a->script, a->again, &(struct fsh_script_wish){.mode = REPLAY_SET}))
        return false;
    a->run.replayed = (struct fsh_text){task->trace, strlen(task->trace)};
    return true;
}

static bool load_swarm(struct attempt *a, const struct fsh_runs *runs, uint64_t seed) {
    size_t len;
    char *text = fsh_swarm(runs->loaded, seed, &len);
    bool good = text && fsh_load_text(&a->own, (struct fsh_text){text, len}, seed, SEED_COMMAND_LINE, "the profile");
    free(text);
    return good;
}

static bool load(struct attempt *a, const struct fsh_runs *runs, const struct fsh_task *task) {
    a->run.loaded = &a->own;
    if (task->kind == TASK_AGAIN)
        return load_again(a, task);
    if (task->kind == TASK_SWARM)
        return load_swarm(a, runs, task->seed);
    a->own = *runs->loaded;
    if (task->kind == TASK_SEED) {
        a->own.seed = task->seed;
        a->own.seed_from = SEED_COMMAND_LINE;
        return true;
    }
    return fsh_script_place(&a->script, task->spots, task->n_spots);
}

static void unload(struct attempt *a, const struct fsh_task *task) {
    fsh_run_close(&a->run);
    if (task->kind == TASK_AGAIN || task->kind == TASK_SWARM)
        fsh_loaded_free(&a->own);
    if (a->again)
        fsh_reader_close(a->again);
    free(a->script.data);
    free(a->cwd);
    free(a->open);
}

/* 0, or an exit status after a message. What the run leaves is at w->trace and w->output. */
static int make_run(struct worker *w, const struct fsh_task *task, struct attempt *a, struct fsh_crash *crash) {
    const struct fsh_runs *runs = w->runs;
    *a = (struct attempt){.run = w->base};
    bool good = load(a, runs, task);
    a->run.script = (struct fsh_text){a->script.data, a->script.len};
    if (runs->copy)
        a->run.cwd = a->cwd = getcwd(NULL, 0);
    FILE *open = !crash && runs->leaks ? open_memstream(&a->open, &a->open_len) : NULL;
    if (crash || open)
        fsh_crash_watch(crash ? crash : &a->watch, &a->run, open);
    unlink(w->output);
    int status = good && fsh_place_prepare(runs->copy ? w->place : NULL, runs->folder, runs->setup) ? 0 : EXIT_TROUBLE;
    if (!status)
        status = fsh_run_prepare(&a->run);
    if (!status)
        status = fsh_run_supervise(&a->run);
    if (open)
        fclose(open);
    if (!status && a->run.session.header->attached == 0)
        status = fsh_fail(EXIT_NOT_ATTACHED, "the shim did not start in %s", runs->argv[0]);
    return status;
}

static void leave_place(const struct worker *w, const struct attempt *a) {
    if (!w->runs->copy)
        return;
    if (a->cwd && chdir(a->cwd) == 0)
        fsh_remove_folder(w->place);
}

/* --- what is kept --- */

static bool copy_file(const char *from, const char *folder, const char *name) {
    char to[4400], block[65536];
    snprintf(to, sizeof to, "%s/%s", folder, name);
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t n = -1;
    bool good = out >= 0;
    while (good && in >= 0 && (n = read(in, block, sizeof block)) > 0)
        good = write(out, block, (size_t)n) == n;
    good = good && (in < 0 || n == 0); /* a program that says nothing may leave no output */
    if (!good)
        fsh_warn("%s: %s", to, strerror(errno ? errno : ENOSPC));
    if (in >= 0)
        close(in);
    if (out >= 0 && close(out) != 0)
        good = false;
    return good;
}

static bool write_backtrace(const struct fsh_crash *crash, const char *folder) {
    char to[4400];
    if (!crash->n)
        return true;
    snprintf(to, sizeof to, "%s/backtrace.txt", folder);
    FILE *out = fopen(to, "we");
    if (out)
        fsh_crash_print(out, crash);
    if (out && fclose(out) == 0)
        return true;
    fsh_warn("%s: %s", to, strerror(errno));
    return false;
}

/* A folder that the number of the run names, until the explorer has looked at it. */
static bool keep(const struct worker *w, struct fsh_ran *ran, const struct fsh_crash *crash) {
    char folder[4300];
    snprintf(folder, sizeof folder, "%s/.%ju", w->runs->findings, (uintmax_t)ran->n);
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        fsh_warn("%s: %s", folder, strerror(errno));
        return false;
    }
    ran->kept =
        copy_file(w->trace, folder, "run.trace") && copy_file(w->output, folder, "output") && write_backtrace(crash, folder);
    if (!ran->kept)
        fsh_remove_folder(folder);
    return ran->kept;
}

/* Once more, and slower, for the stack; which is that of the same run only if it ends in the same way. */
static void find_crash(struct worker *w, const struct fsh_task *task, struct fsh_ran *ran, struct fsh_crash *crash) {
    struct attempt a;
    char trace[4300];
    snprintf(trace, sizeof trace, "%s.kept", w->trace);
    if (rename(w->trace, trace) != 0)
        return;
    char output[4300];
    snprintf(output, sizeof output, "%s.kept", w->output);
    bool spoke = rename(w->output, output) == 0;
    if (make_run(w, task, &a, crash) != 0 || a.run.end != END_SIGNALED || a.run.value != ran->value || crash->signal != ran->value)
        crash->n = 0;
    leave_place(w, &a);
    unload(&a, task);
    rename(trace, w->trace);
    if (spoke)
        rename(output, w->output);
}

/* What tells a finding from others: why it failed, and where; or, if that is not known, what was faulty before. */
static int name_finding(struct worker *w, const struct fsh_task *task, struct fsh_ran *ran, const struct fsh_judgement *j,
                        struct fsh_crash *crash) {
    uint64_t why = fsh_hash(j->why, strlen(j->why)), by_fault = fsh_fold(why, ran->culprit) | 1, stack = j->stack;
    uint64_t *known = fsh_idmap_find(&w->crashes, by_fault);
    if (!stack && j->crashed && !known) {
        find_crash(w, task, ran, crash);
        stack = fsh_crash_hash(crash);
        fsh_idmap_put(&w->crashes, by_fault, stack);
        const struct fsh_crash_frame *origin = fsh_crash_origin(crash);
        if (origin)
            snprintf(ran->where, sizeof ran->where, "%.95s", *origin->function ? origin->function : origin->module);
    } else if (!stack && known) {
        stack = *known;
    }
    ran->finding = stack ? fsh_fold(why, stack) | 1 : by_fault;
    if (fsh_idmap_find(&w->runs->found, ran->finding))
        return 0;
    ran->n_frames = crash->n;
    fsh_idmap_put(&w->runs->found, ran->finding, 1);
    return keep(w, ran, crash) ? 0 : EXIT_TROUBLE;
}

/* --- the message --- */

static bool send_all(int fd, const void *data, size_t n) {
    const char *p = data;
    while (n) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

static bool receive_all(int fd, void *data, size_t n) {
    char *p = data;
    while (n) {
        ssize_t got = recv(fd, p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        p += got;
        n -= (size_t)got;
    }
    return true;
}

static bool tell(const struct worker *w, const struct fsh_ran *ran, const struct look *l, const char *stacks, size_t len,
                 const struct fsh_crash *crash) {
    size_t met = ran->n_met * sizeof *l->met, frames = ran->n_frames * sizeof *crash->v;
    const uint64_t rest = met + frames + len;
    return send_all(w->socket, ran, sizeof *ran) && send_all(w->socket, &rest, sizeof rest) &&
           (!met || send_all(w->socket, l->met, met)) && (!frames || send_all(w->socket, crash->v, frames)) &&
           (!len || send_all(w->socket, stacks, len));
}

static void read_run(struct worker *w, const struct fsh_task *task, struct fsh_ran *ran, struct look *l) {
    struct fsh_reader *reader = fsh_trace_open(w->trace);
    l->reader = reader;
    int e = reader && l->out ? look_through(l) : -ENOMEM;
    if (e) {
        fsh_warn("%s can't be read: %s", w->trace, strerror(-e));
        ran->status = EXIT_TROUBLE;
    }
    if (!is_by_place(task))
        remember(l);
    if (reader)
        fsh_reader_close(reader);
}

static bool serve(struct worker *w, const struct fsh_task *task) {
    struct fsh_ran ran = {.n = task->n};
    struct attempt a;
    struct fsh_crash crash = {.n = 0};
    char *stacks = NULL;
    size_t len = 0;
    struct look l = {.w = w, .ran = &ran, .all = is_by_place(task), .out = open_memstream(&stacks, &len)};
    ran.status = make_run(w, task, &a, NULL);
    if (!ran.status) {
        struct fsh_judgement j;
        ran.end = a.run.end;
        ran.value = a.run.value;
        ran.ns = a.run.ns;
        fsh_judge(&j, w->runs->condition, &a.run, w->output);
        if (!j.failed && w->runs->usual && a.open)
            fsh_judge_leaks(&j, &a.run, a.open, w->runs->usual);
        ran.failed = j.failed;
        memcpy(ran.why, j.why, sizeof ran.why);
        memcpy(ran.where, j.where, sizeof ran.where);
        leave_place(w, &a);
        read_run(w, task, &ran, &l);
        if (ran.failed && !ran.status && task->kind != TASK_AGAIN)
            ran.status = name_finding(w, task, &ran, &j, &crash);
    } else {
        leave_place(w, &a);
    }
    if (l.out && a.open)
        fwrite(a.open, 1, ran.n_open = (uint32_t)a.open_len, l.out);
    if (l.out)
        fclose(l.out);
    bool good = tell(w, &ran, &l, stacks, len, &crash);
    unload(&a, task);
    free(stacks);
    free(l.met);
    fsh_idmap_free(&l.seen);
    fsh_idmap_free(&l.faulted);
    return good;
}

/* A program that talks without end would fill the disk, or memory: its output begins anew. */
static void limit_output(void *arg) {
    const struct worker *w = arg;
    struct stat st;
    if (stat(w->output, &st) == 0 && st.st_size > OUTPUT_MOST && truncate(w->output, 0) != 0)
        fsh_warn("%s: %s", w->output, strerror(errno));
}

/* --- the worker --- */

static _Noreturn void work(struct fsh_runs *runs, unsigned number, int socket, pid_t parent) {
    struct worker w = {.runs = runs, .socket = socket};
    struct fsh_task task;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_TROUBLE);
    snprintf(w.trace, sizeof w.trace, "%s/%u.trace", runs->work, number);
    snprintf(w.output, sizeof w.output, "%s/%u.out", runs->work, number);
    snprintf(w.place, sizeof w.place, "%s/%u", runs->work, number);
    w.base = (struct fsh_run){.argv = runs->argv,
                              .timeout = runs->timeout,
                              .trace = w.trace,
                              .output = w.output,
                              .look = limit_output,
                              .look_arg = &w,
                              .alone = true,
                              .childless = true};
    if (runs->loaded->profile.options.doors != DOORS_SYMBOLS)
        w.base.sites = fsh_site_maps();
    if (fsh_run_find(&w.base) || fsh_run_library(&w.base))
        _exit(EXIT_TROUBLE);
    while (receive_all(socket, &task, sizeof task) && serve(&w, &task))
        ;
    _exit(0);
}

/* What a worker holds, its programs must not. */
static bool start_member(struct fsh_crew *crew, unsigned number) {
    int ends[2];
    pid_t parent = getpid();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return false;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        /* a group of its own: what ends it ends all that it has started */
        setpgid(0, 0);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        close(ends[0]);
        for (unsigned i = 0; i < number; i++)
            close(crew->v[i].socket);
        close_range(3, ~0u, CLOSE_RANGE_CLOEXEC); /* libdw's files, too */
        work(crew->runs, number, ends[1], parent);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return false;
    }
    setpgid(pid, pid);
    crew->v[number] = (struct fsh_crew_member){.pid = pid, .socket = ends[0]};
    return true;
}

bool fsh_crew_start(struct fsh_crew *crew, struct fsh_runs *runs, unsigned jobs) {
    *crew = (struct fsh_crew){.runs = runs};
    for (; crew->jobs < jobs; crew->jobs++)
        if (!start_member(crew, crew->jobs)) {
            fsh_warn("no worker can be started: %s", strerror(errno));
            fsh_crew_end(crew);
            return false;
        }
    return true;
}

bool fsh_crew_give(struct fsh_crew *crew, const struct fsh_task *task) {
    struct fsh_crew_member *m = crew->v;
    while (m->busy)
        m++;
    m->busy = send_all(m->socket, task, sizeof *task);
    crew->busy += m->busy;
    if (!m->busy)
        fsh_warn("a worker has ended by itself");
    return m->busy;
}

/* --- what the explorer hears --- */

/* Where the frame after this one begins; NULL if the message is cut. */
static const char *skip_frame(const char *p, const char *end) {
    p = (size_t)(end - p) > sizeof(uint64_t) ? p + sizeof(uint64_t) : NULL;
    for (int i = 0; i < 2 && p; i++) {
        const char *zero = memchr(p, 0, (size_t)(end - p));
        p = zero ? zero + 1 : NULL;
    }
    return p && p < end && (size_t)(end - p) > (uint8_t)*p ? p + 1 + (uint8_t)*p : NULL;
}

static bool spread_stacks(struct fsh_ran *ran, const char *p, const char *end) {
    for (uint32_t i = 0; i < ran->n_met && p; i++) {
        ran->met[i].frames = p;
        for (uint32_t k = 0; k < ran->met[i].n_frames && p; k++)
            p = skip_frame(p, end);
    }
    return p != NULL;
}

struct fsh_sent_frame fsh_met_frame(const char **at) {
    struct fsh_sent_frame f = {.module = *at + sizeof f.offset};
    memcpy(&f.offset, *at, sizeof f.offset);
    f.path = f.module + strlen(f.module) + 1;
    const char *id = f.path + strlen(f.path) + 1;
    f.build_id = (struct fsh_text){id + 1, (uint8_t)*id};
    *at = id + 1 + (uint8_t)*id;
    return f;
}

static bool hear(int fd, struct fsh_ran *ran) {
    uint64_t rest = 0;
    if (!receive_all(fd, ran, sizeof *ran) || !receive_all(fd, &rest, sizeof rest) || rest > MESSAGE_MOST)
        return false;
    size_t met = ran->n_met * sizeof *ran->met, frames = ran->n_frames * sizeof *ran->frames;
    ran->met = NULL;
    ran->frames = NULL;
    ran->bytes = malloc(rest + 1);
    if (!ran->bytes || met + frames + ran->n_open > rest || !receive_all(fd, ran->bytes, rest))
        return false;
    ran->bytes[rest] = 0; /* behind what is open */
    ran->open = ran->bytes + rest - ran->n_open;
    ran->met = (void *)ran->bytes;
    ran->frames = (void *)(ran->bytes + met);
    return spread_stacks(ran, ran->bytes + met + frames, ran->open);
}

int fsh_crew_take(struct fsh_crew *crew, uint64_t ns, struct fsh_ran *ran) {
    struct pollfd v[FSH_JOBS_MOST];
    for (unsigned i = 0; i < crew->jobs; i++)
        v[i] = (struct pollfd){.fd = crew->v[i].busy ? crew->v[i].socket : -1, .events = POLLIN};
    int n = poll(v, crew->jobs, (int)(ns / 1000000));
    memset(ran, 0, sizeof *ran);
    for (unsigned i = 0; n > 0 && i < crew->jobs; i++) {
        if (!v[i].revents)
            continue;
        crew->v[i].busy = false;
        crew->busy--;
        if (hear(crew->v[i].socket, ran))
            return 1;
        fsh_ran_free(ran);
        fsh_warn("a worker has ended by itself");
        return -1;
    }
    return 0;
}

void fsh_ran_free(struct fsh_ran *ran) {
    free(ran->bytes);
    ran->bytes = NULL;
}

/* --- the end --- */

/* Whether all have gone. */
static bool reap(struct fsh_crew *crew) {
    bool gone = true;
    for (unsigned i = 0; i < crew->jobs; i++) {
        struct fsh_crew_member *m = &crew->v[i];
        if (m->pid && waitpid(m->pid, NULL, WNOHANG) != 0)
            m->pid = 0;
        gone &= !m->pid;
    }
    return gone;
}

static void signal_all(const struct fsh_crew *crew, int sig) {
    for (unsigned i = 0; i < crew->jobs; i++)
        if (crew->v[i].pid)
            kill(-crew->v[i].pid, sig);
}

/* A worker that waits for a task ends as its socket closes; one that supervises a run passes the signal on. */
void fsh_crew_end(struct fsh_crew *crew) {
    bool gone = false;
    for (unsigned i = 0; i < crew->jobs; i++)
        shutdown(crew->v[i].socket, SHUT_RDWR);
    if (crew->busy)
        signal_all(crew, SIGTERM);
    for (int ms = 0; !(gone = reap(crew)) && ms < PATIENCE_MS; ms += 2)
        poll(NULL, 0, 2);
    if (!gone)
        signal_all(crew, SIGKILL);
    for (unsigned i = 0; i < crew->jobs; i++) {
        if (crew->v[i].pid)
            waitpid(crew->v[i].pid, NULL, 0);
        close(crew->v[i].socket);
    }
    *crew = (struct fsh_crew){.runs = crew->runs};
}
