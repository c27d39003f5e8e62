/* audit.c: see audit.h.
 *
 * A call that a rule considers has gone past the gate if no door told of it. The gate writes each call that it sees into the
 * thread's entry of the session; the system call that follows, made by libc after the door has let it pass, takes it out here.
 * System calls of the shim's own (their instruction is in libfaultshim.so) are none of the program's, and before main nothing is
 * decided. */
#include "audit.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <limits.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "code.h"
#include "grow.h"
#include "out.h"

enum { NUMBERS = 512, PAST_SHOWN = 12, SYSCALL_STOP = SIGTRAP | 0x80 };

/* System calls that glibc makes for a function beside those that the table of calls tells. `many`: several for one call of it. */
static const struct {
    int call, number;
    bool many;
} made_of[] = {
    {CALL_creat, SYS_openat, false},
    {CALL_epoll_wait, SYS_epoll_pwait, false},
    {CALL_poll, SYS_ppoll, false},
    {CALL_fork, SYS_clone3, false},
    {CALL_posix_spawn, SYS_clone3, false},
    {CALL_posix_spawn, SYS_clone, false},
    {CALL_posix_spawnp, SYS_clone3, false},
    {CALL_posix_spawnp, SYS_clone, false},
    {CALL_pthread_create, SYS_clone3, false},
    {CALL_pthread_create, SYS_clone, false},
    {CALL_posix_fallocate, SYS_pwrite64, true},
    {CALL_getentropy, SYS_getrandom, true},
    {CALL_realpath, SYS_readlink, true},
    {CALL_execvp, SYS_execve, true}, /* one for each folder of PATH */
    {CALL_execvpe, SYS_execve, true},
    {CALL_execlp, SYS_execve, true},
    {CALL_mkstemp, SYS_openat, true}, /* until a name is free */
    {CALL_mkostemp, SYS_openat, true},
    {CALL_mkstemps, SYS_openat, true},
    {CALL_mkostemps, SYS_openat, true},
    {CALL_mkdtemp, SYS_mkdir, true},
};

struct module {
    char path[PATH_MAX]; /* as /proc/PID/maps has it */
    struct fsh_functions *functions;
    bool looked;
};

struct mapping {
    uint64_t start, end, offset;
    unsigned module; /* index, from 1; 0 is memory without a file */
};

struct process {
    pid_t pid;
    bool started;  /* this program was started by exec, not by fork */
    bool ready;    /* main has begun under the shim, in this program or in the one that it was forked from */
    bool borrowed; /* child of vfork: the memory is its parent's */
    bool had_entry;
    uint32_t image; /* of the entry, before this program */
    const struct fsh_process_state *entry;
    uint64_t early; /* system calls while not ready */
    char path[PATH_MAX], why[256];
    struct mapping *maps;
    size_t n_maps, maps_room;
};

struct place {
    uint64_t ip, sp, number;
};

struct thread {
    pid_t tid;
    struct process *process;
    bool told;                  /* its parent's event has been seen, or it needs none */
    bool waits;                 /* it has stopped, and its parent's event has not been seen */
    struct place last, restart; /* the last call, and one that the kernel may begin anew: ip 0 is none */
};

struct past {
    long number;
    unsigned module;
    char function[64];
    uint64_t n;
};

struct fsh_audit {
    struct fsh_run *run;
    bool watched[NUMBERS];
    struct process **processes;
    size_t n_processes, processes_room;
    struct thread *threads;
    size_t n_threads, threads_room;
    struct module **modules;
    size_t n_modules, modules_room;
    struct past *past;
    size_t n_past, past_room;
    uint64_t all, early, own, seen, gone_past, others, borrowed, lost, foreign, rings, restarts;
};

/* --- what is watched --- */

struct fsh_audit *fsh_audit_new(struct fsh_run *run) {
    struct fsh_audit *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->run = run;
    for (int nr = 0; nr < NUMBERS; nr++)
        for (int call = 0; call < FSH_CALLS; call++)
            a->watched[nr] |= fsh_calls[call].sysno == nr && run->loaded->plan.armed[call];
    return a;
}

/* Whether a call that the gate has seen is the one that now makes this system call. */
static bool covers(unsigned call, long number, bool *many) {
    *many = false;
    if (call >= FSH_CALLS)
        return false;
    for (size_t i = 0; i < sizeof made_of / sizeof *made_of; i++)
        if (made_of[i].call == (int)call && made_of[i].number == number) {
            *many = made_of[i].many;
            return true;
        }
    for (unsigned at = call, steps = 0; steps < 4; at = fsh_calls[at].roles.over - 1u, steps++) {
        if (fsh_calls[at].sysno == number)
            return true;
        if (!fsh_calls[at].roles.over)
            break;
    }
    return false;
}

/* What a descriptor of another process may be for the rules, as bits by kind. */
static unsigned kinds_of(pid_t tid, int fd) {
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", tid, fd);
    if (stat(path, &st))
        return ~0u;
    switch (st.st_mode & S_IFMT) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFBLK:
        return 1u << FSH_ON_FILE;
    case S_IFSOCK:
        return 1u << FSH_ON_STREAM | 1u << FSH_ON_DGRAM;
    case S_IFIFO:
        return 1u << FSH_ON_PIPE;
    case S_IFCHR: /* terminals are pipes, other devices files */
        return 1u << FSH_ON_FILE | 1u << FSH_ON_PIPE;
    default:
        return 1u << FSH_ON_EVENT;
    }
}

static bool takes_fd(const struct fsh_rule *rule, int fd) {
    for (unsigned i = 0; i < rule->fd.n; i++)
        if (fd >= 0 && (uint64_t)fd >= rule->fd.v[i].lo && (uint64_t)fd <= rule->fd.v[i].hi)
            return true;
    return !rule->fd.n && (fd < 0 || fd > 2);
}

/* Whether some rule would have considered a system call of a watched number: on descriptors of its kind, with its number. Names are
 * not looked at. */
static bool is_considered_as(const struct fsh_audit *a, int call, pid_t tid, const uint64_t *args) {
    int at = fsh_calls[call].roles.fd;
    unsigned kinds = at ? kinds_of(tid, (int)args[at - 1]) : ~0u;
    for (unsigned k = 0; k < FSH_KINDS; k++) {
        const struct fsh_candidates *list = &a->run->loaded->plan.on[call][k];
        for (unsigned i = 0; kinds >> k & 1 && i < list->n; i++)
            if (!at || takes_fd(&a->run->loaded->profile.rules[list->v[i].rule], (int)args[at - 1]))
                return true;
    }
    return false;
}

static bool is_considered(const struct fsh_audit *a, pid_t tid, long number, const uint64_t *args) {
    for (int call = 0; call < FSH_CALLS; call++)
        if (fsh_calls[call].sysno == number && is_considered_as(a, call, tid, args))
            return true;
    return false;
}

/* Takes the call out of the thread's entry, and with it what was put in later: that made no system call. */
static bool take_seen(struct fsh_audit *a, pid_t tid, long number) {
    struct fsh_audited *entry = fsh_session_audited(&a->run->session, (uint32_t)tid, false);
    uint64_t calls = entry ? entry->calls : 0;
    bool many;
    for (; calls; calls >>= 16)
        if (calls & 0xffff && covers((unsigned)(calls & 0xffff) - 1, number, &many)) {
            entry->calls = many ? calls : calls >> 16;
            return true;
        }
    return false;
}

/* --- where a call comes from --- */

static unsigned find_module(struct fsh_audit *a, const char *path) {
    for (size_t i = 0; i < a->n_modules; i++)
        if (!strcmp(a->modules[i]->path, path))
            return (unsigned)i + 1;
    struct module *m = calloc(1, sizeof *m);
    if (!m || !fsh_grow(&a->modules, &a->modules_room, a->n_modules, sizeof *a->modules)) {
        free(m);
        return 0;
    }
    snprintf(m->path, sizeof m->path, "%s", path);
    a->modules[a->n_modules++] = m;
    return (unsigned)a->n_modules;
}

/* Of a thread: where the first one has ended, the process has none to show. */
static void read_maps(struct fsh_audit *a, struct process *p, pid_t tid) {
    char path[64], *line = NULL;
    size_t room = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", tid);
    FILE *in = fopen(path, "re");
    p->n_maps = 0;
    while (in && getline(&line, &room, in) > 0) {
        struct mapping m = {0};
        char flags[8];
        int at = 0;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*s %*s %n", &m.start, &m.end, flags, &m.offset, &at) < 4 ||
            flags[2] != 'x' || !fsh_grow(&p->maps, &p->maps_room, p->n_maps, sizeof *p->maps))
            continue;
        line[strcspn(line, "\n")] = 0;
        m.module = line[at] ? find_module(a, line + at) : 0;
        p->maps[p->n_maps++] = m;
    }
    free(line);
    if (in)
        fclose(in);
}

static const struct mapping *find_mapping(struct fsh_audit *a, struct process *p, pid_t tid, uint64_t ip) {
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < p->n_maps; i++)
            if (ip >= p->maps[i].start && ip < p->maps[i].end)
                return &p->maps[i];
        if (pass == 0)
            read_maps(a, p, tid);
    }
    return NULL;
}

static bool is_shim(const struct fsh_audit *a, const struct mapping *m) {
    return m && m->module && !strcmp(a->modules[m->module - 1]->path, a->run->library);
}

static const char *function_at(struct fsh_audit *a, const struct mapping *m, uint64_t ip) {
    uint64_t from;
    if (!m || !m->module)
        return "";
    struct module *module = a->modules[m->module - 1];
    if (!module->looked && *module->path == '/')
        module->functions = fsh_functions_of(module->path);
    module->looked = true;
    return module->functions ? fsh_function_at(module->functions, ip - m->start + m->offset, &from) : "";
}

/* `ip` stands behind the instruction. */
static void count_past(struct fsh_audit *a, long number, const struct mapping *m, uint64_t ip) {
    const char *function = function_at(a, m, ip - 2);
    unsigned module = m ? m->module : 0;
    a->gone_past++;
    for (size_t i = 0; i < a->n_past; i++)
        if (a->past[i].number == number && a->past[i].module == module && !strcmp(a->past[i].function, function)) {
            a->past[i].n++;
            return;
        }
    if (!fsh_grow(&a->past, &a->past_room, a->n_past, sizeof *a->past))
        return;
    struct past *past = &a->past[a->n_past++];
    *past = (struct past){.number = number, .module = module, .n = 1};
    snprintf(past->function, sizeof past->function, "%s", function);
}

/* --- processes and threads --- */

static struct process *find_process(struct fsh_audit *a, pid_t pid) {
    for (size_t i = 0; i < a->n_processes; i++)
        if (a->processes[i]->pid == pid)
            return a->processes[i];
    return NULL;
}

static void status_of(pid_t tid, pid_t *tgid, pid_t *parent) {
    char path[64], line[256];
    *tgid = tid;
    *parent = 0;
    snprintf(path, sizeof path, "/proc/%d/status", tid);
    FILE *in = fopen(path, "re");
    while (in && fgets(line, sizeof line, in))
        if (sscanf(line, "Tgid: %d", tgid) == 0)
            sscanf(line, "PPid: %d", parent);
    if (in)
        fclose(in);
}

static struct process *add_process(struct fsh_audit *a, pid_t pid, const struct process *parent) {
    struct process *p = calloc(1, sizeof *p);
    if (!p || !fsh_grow(&a->processes, &a->processes_room, a->n_processes, sizeof *a->processes)) {
        free(p);
        return NULL;
    }
    p->pid = pid;
    p->ready = parent && parent->ready;
    a->processes[a->n_processes++] = p;
    return p;
}

static struct thread *find_thread(struct fsh_audit *a, pid_t tid) {
    for (size_t i = 0; i < a->n_threads; i++)
        if (a->threads[i].tid == tid)
            return &a->threads[i];
    return NULL;
}

static struct thread *add_thread(struct fsh_audit *a, pid_t tid) {
    pid_t pid, parent;
    status_of(tid, &pid, &parent);
    struct process *p = find_process(a, pid);
    if (!p)
        p = add_process(a, pid, find_process(a, parent));
    if (!p || !fsh_grow(&a->threads, &a->threads_room, a->n_threads, sizeof *a->threads))
        return NULL;
    struct thread *t = &a->threads[a->n_threads++];
    *t = (struct thread){.tid = tid, .process = p};
    return t;
}

static void drop_thread(struct fsh_audit *a, struct thread *t) {
    struct fsh_audited *entry = fsh_session_audited(&a->run->session, (uint32_t)t->tid, false);
    if (entry)
        entry->tid = FSH_TID_GONE;
    *t = a->threads[--a->n_threads];
}

/* Whether the shim has started in the present program of the process, and whether main has begun there. */
static bool has_joined(struct fsh_audit *a, struct process *p) {
    const struct fsh_process_state *table = a->run->session.processes;
    for (int i = 0; !p->entry && i < FSH_PROCESSES; i++)
        if (table[i].pid == (uint32_t)p->pid)
            p->entry = &table[i];
    if (!p->entry || p->entry->pid != (uint32_t)p->pid)
        return false;
    return !p->had_entry || p->entry->image > p->image;
}

static bool is_ready(struct fsh_audit *a, struct process *p) {
    if (!p->ready && has_joined(a, p) && p->entry->ready == p->entry->image + 1) {
        p->ready = true;
        a->early += p->early;
        p->early = 0;
    }
    return p->ready;
}

/* --- programs that lost the shim --- */

static bool file_has(pid_t pid, const char *file, const char *text) {
    char path[64], *data = NULL;
    size_t room = 0;
    bool found = false;
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    FILE *in = fopen(path, "re");
    ssize_t n;
    while (in && !found && (n = getdelim(&data, &room, 0, in)) > 0)
        found = strstr(data, text) != NULL;
    free(data);
    if (in)
        fclose(in);
    return found;
}

static bool is_secure(pid_t pid) {
    char path[64];
    Elf64_auxv_t entry;
    bool secure = false;
    snprintf(path, sizeof path, "/proc/%d/auxv", pid);
    FILE *in = fopen(path, "re");
    while (in && fread(&entry, sizeof entry, 1, in) == 1)
        secure |= entry.a_type == AT_SECURE && entry.a_un.a_val;
    if (in)
        fclose(in);
    return secure;
}

/* A new program: what could keep the shim from it is known best now. */
static void note_start(struct process *p) {
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/exe", p->pid);
    ssize_t n = readlink(link, p->path, sizeof p->path - 1);
    p->path[n > 0 ? n : 0] = 0;
    snprintf(p->why, sizeof p->why, "%s",
             !file_has(p->pid, "environ", "libfaultshim.so") ? "LD_PRELOAD is not in its environment"
             : is_secure(p->pid)                             ? "it has more rights than its parent: the loader dropped LD_PRELOAD"
                                                             : "it ended before the shim could start");
}

/* The program of a process ends, or goes on when the run does. */
static void conclude(struct fsh_audit *a, struct process *p, bool is_last) {
    bool skips = a->run->loaded->profile.options.children == CHILDREN_SKIP;
    if (p->ready || has_joined(a, p)) {
        a->early += p->early;
    } else {
        a->lost += p->early;
        if (p->started && (!skips || p->pid == a->run->pid))
            fsh_run_add_lost(a->run, &(struct fsh_lost_process){p->pid, is_last, p->path, p->why, p->early});
    }
    p->early = 0;
}

static void forget_process(struct fsh_audit *a, struct process *p) {
    for (size_t i = 0; i < a->n_processes; i++)
        if (a->processes[i] == p)
            a->processes[i] = a->processes[--a->n_processes];
    free(p->maps);
    free(p);
}

static void leave(struct fsh_audit *a, struct thread *t) {
    struct process *p = t->process;
    drop_thread(a, t);
    for (size_t i = 0; i < a->n_threads; i++)
        if (a->threads[i].process == p)
            return;
    conclude(a, p, true);
    forget_process(a, p);
}

/* --- stops --- */

static void go_on(pid_t tid, int signal) {
    ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(long)signal);
}

/* The other threads are gone, and the one that called exec has the number of the first. */
static void on_exec(struct fsh_audit *a, pid_t tid) {
    unsigned long former = 0;
    ptrace(PTRACE_GETEVENTMSG, tid, NULL, &former);
    struct thread *t = find_thread(a, tid);
    struct process *p = t ? t->process : NULL;
    for (size_t i = a->n_threads; p && i-- > 0;)
        if (a->threads[i].process == p && a->threads[i].tid != tid)
            drop_thread(a, &a->threads[i]);
    if (!p)
        return;
    struct fsh_audited *entry = fsh_session_audited(&a->run->session, (uint32_t)tid, false);
    if (entry)
        entry->calls = 0;
    conclude(a, p, false);
    p->n_maps = 0;
    p->borrowed = p->ready = false;
    p->started = true;
    p->had_entry = p->entry != NULL || has_joined(a, p);
    p->image = p->entry ? p->entry->image : 0;
    note_start(p);
}

/* A thread that nobody has announced is left waiting until its parent's event tells what it is. */
static void on_birth(struct fsh_audit *a, pid_t parent, int event) {
    unsigned long child = 0;
    ptrace(PTRACE_GETEVENTMSG, parent, NULL, &child);
    struct thread *t = find_thread(a, (pid_t)child);
    if (!t)
        t = add_thread(a, (pid_t)child);
    if (!t)
        return;
    struct thread *from = find_thread(a, parent);
    if (from && from->process != t->process) {
        t->process->ready = from->process->ready;
        t->process->borrowed = event == PTRACE_EVENT_VFORK || from->process->borrowed;
    }
    t->told = true;
    if (t->waits)
        go_on(t->tid, 0);
    t->waits = false;
}

static bool changes_maps(long number) {
    return number == SYS_mmap || number == SYS_munmap || number == SYS_mprotect || number == SYS_mremap;
}

/* Whether the kernel begins a call anew that a signal has interrupted. */
static bool is_restart(struct thread *t) {
    bool is = t->restart.ip && !memcmp(&t->restart, &t->last, sizeof t->last);
    if (is)
        t->restart.ip = 0;
    return is;
}

static void on_call(struct fsh_audit *a, struct thread *t, const struct __ptrace_syscall_info *info) {
    struct process *p = t->process;
    long number = (long)info->entry.nr;
    const struct mapping *m = find_mapping(a, p, t->tid, info->instruction_pointer);
    t->last = (struct place){info->instruction_pointer, info->stack_pointer, info->entry.nr};
    bool again = is_restart(t);
    a->all++;
    if (changes_maps(number))
        p->n_maps = 0;
    if (info->arch != AUDIT_ARCH_X86_64) {
        a->foreign++;
        return;
    }
    a->rings += number == SYS_io_uring_enter;
    if (!is_ready(a, p)) {
        p->early++;
    } else if (is_shim(a, m)) {
        a->own++;
    } else if (number < 0 || number >= NUMBERS || !a->watched[number]) {
        take_seen(a, t->tid, number);
        a->others++;
    } else if (take_seen(a, t->tid, number)) {
        a->seen++;
    } else if (!is_considered(a, t->tid, number, info->entry.args)) {
        a->others++;
    } else if (p->borrowed) {
        a->borrowed++;
    } else if (again) {
        a->restarts++;
    } else {
        count_past(a, number, m, info->instruction_pointer);
    }
}

/* What the kernel keeps from programs: ERESTARTSYS and its kin. */
static bool may_restart(int64_t result) {
    return result <= -512 && result >= -516;
}

static void on_syscall_stop(struct fsh_audit *a, struct thread *t) {
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, (void *)sizeof info, &info) <= 0)
        return;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
        on_call(a, t, &info);
    else if (info.op == PTRACE_SYSCALL_INFO_EXIT && may_restart(info.exit.rval))
        t->restart = t->last;
}

static bool is_group_stop(int signal) {
    return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

void fsh_audit_event(struct fsh_audit *a, pid_t tid, int status) {
    struct thread *t = find_thread(a, tid);
    if (!WIFSTOPPED(status)) {
        if (t)
            leave(a, t);
        return;
    }
    if (!t && !(t = add_thread(a, tid))) {
        go_on(tid, 0);
        return;
    }
    int signal = WSTOPSIG(status), event = status >> 16, deliver = 0;
    if (signal == SYSCALL_STOP) {
        on_syscall_stop(a, t);
    } else if (event == PTRACE_EVENT_EXEC) {
        on_exec(a, tid);
    } else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
        on_birth(a, tid, event);
    } else if (event == PTRACE_EVENT_STOP && is_group_stop(signal)) {
        ptrace(PTRACE_LISTEN, tid, NULL, NULL);
        return;
    } else if (event == PTRACE_EVENT_STOP && !t->told) {
        t->waits = true;
        return;
    } else if (event == 0) {
        deliver = signal;
    }
    go_on(tid, deliver);
}

int fsh_audit_follow(struct fsh_audit *a, pid_t child) {
    const long options =
        PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
    if (ptrace(PTRACE_SEIZE, child, NULL, (void *)options))
        return -errno;
    struct thread *t = add_thread(a, child);
    if (!t)
        return -ENOMEM;
    t->told = true;
    return 0;
}

void fsh_audit_end(struct fsh_audit *a) {
    for (size_t i = 0; i < a->n_processes; i++)
        conclude(a, a->processes[i], true);
}

void fsh_audit_free(struct fsh_audit *a) {
    if (!a)
        return;
    while (a->n_processes)
        forget_process(a, a->processes[0]);
    for (size_t i = 0; i < a->n_modules; i++) {
        fsh_functions_free(a->modules[i]->functions);
        free(a->modules[i]);
    }
    free(a->processes);
    free(a->threads);
    free(a->modules);
    free(a->past);
    free(a);
}

/* --- what is told --- */

uint64_t fsh_audit_past(const struct fsh_audit *a) {
    return a->gone_past;
}

static int compare_past(const void *pa, const void *pb) {
    const struct past *a = pa, *b = pb;
    if (a->n != b->n)
        return a->n > b->n ? -1 : 1;
    return a->number != b->number ? (a->number < b->number ? -1 : 1) : strcmp(a->function, b->function);
}

static const char *module_name(const struct fsh_audit *a, unsigned module) {
    return module ? a->modules[module - 1]->path : "memory without a file";
}

static void show_past(const struct fsh_audit *a, FILE *out) {
    struct past *sorted = calloc(a->n_past + 1, sizeof *sorted);
    char text[32];
    if (!sorted)
        return;
    memcpy(sorted, a->past, a->n_past * sizeof *sorted);
    qsort(sorted, a->n_past, sizeof *sorted, compare_past);
    for (size_t i = 0; i < a->n_past && i < PAST_SHOWN; i++) {
        const struct past *p = &sorted[i];
        fprintf(out, "faultshim:   %s %" PRIu64 " from ", fsh_sysname_text(p->number, text), p->n);
        fsh_put_safe(out, module_name(a, p->module));
        if (*p->function)
            fprintf(out, " (%s)", p->function);
        fputc('\n', out);
    }
    if (a->n_past > PAST_SHOWN)
        fprintf(out, "faultshim:   and from %zu more places\n", a->n_past - PAST_SHOWN);
    free(sorted);
}

void fsh_audit_show(const struct fsh_audit *a, FILE *out) {
    fprintf(out,
            "faultshim: audit: %" PRIu64 " system call%s: %" PRIu64 " before main, %" PRIu64 " of the shim, %" PRIu64
            " that no rule considers, %" PRIu64 " that the gate saw, %" PRIu64 " that went past it\n",
            a->all, fsh_plural(a->all), a->early, a->own, a->others, a->seen, a->gone_past);
    show_past(a, out);
    if (a->borrowed)
        fprintf(out, "faultshim: audit: %" PRIu64 " made between vfork and exec, where nothing is decided\n", a->borrowed);
    if (a->lost)
        fprintf(out, "faultshim: audit: %" PRIu64 " made by processes without the shim\n", a->lost);
    if (a->foreign)
        fprintf(out, "faultshim: audit: %" PRIu64 " made the 32-bit way\n", a->foreign);
    if (a->rings)
        fprintf(out, "faultshim: audit: io_uring_enter was called %" PRIu64 " time%s: what rings do is not seen\n", a->rings,
                fsh_plural(a->rings));
    if (a->run->session.header->unaudited)
        fprintf(out, "faultshim: audit: %" PRIu64 " threads could not be followed\n", a->run->session.header->unaudited);
}

json_object *fsh_audit_json(const struct fsh_audit *a) {
    const struct {
        const char *name;
        uint64_t n;
    } counts[] = {{"system_calls", a->all},
                  {"before_main", a->early},
                  {"of_the_shim", a->own},
                  {"not_considered", a->others},
                  {"seen", a->seen},
                  {"past", a->gone_past},
                  {"after_vfork", a->borrowed},
                  {"restarted", a->restarts},
                  {"without_the_shim", a->lost},
                  {"foreign", a->foreign},
                  {"io_uring_enter", a->rings},
                  {"unaudited", a->run->session.header->unaudited}};
    json_object *o = json_object_new_object(), *list = json_object_new_array();
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        json_object_object_add(o, counts[i].name, json_object_new_uint64(counts[i].n));
    for (size_t i = 0; i < a->n_past; i++) {
        const struct past *p = &a->past[i];
        const char *name = fsh_sysname(p->number);
        json_object *one = json_object_new_object();
        json_object_object_add(one, "call", name ? json_object_new_string(name) : NULL);
        json_object_object_add(one, "number", json_object_new_int64(p->number));
        json_object_object_add(one, "module", p->module ? json_object_new_string(module_name(a, p->module)) : NULL);
        json_object_object_add(one, "function", *p->function ? json_object_new_string(p->function) : NULL);
        json_object_object_add(one, "count", json_object_new_uint64(p->n));
        json_object_array_add(list, one);
    }
    json_object_object_add(o, "past_calls", list);
    return o;
}
