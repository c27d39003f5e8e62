/* crash.c: see crash.h. The program, its threads and its children are traced with ptrace(2) only for the signals that they get:
 * every stop is answered at once, and the first signal that leaves a core has its stack read before it is delivered. */
#include "crash.h"

#include <dirent.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "draw.h"
#include "session_run.h"

enum { TELLING = 3 }; /* frames that tell crashes apart */

static const char *last_part(const char *path) {
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path ? path : "";
}

static void describe(struct fsh_crash_frame *f, Dwfl *dwfl, Dwarf_Addr pc) {
    Dwfl_Module *module = dwfl_addrmodule(dwfl, pc);
    const char *file = NULL, *function = NULL;
    Dwarf_Addr start = 0;
    if (!module)
        return;
    snprintf(f->module, sizeof f->module, "%s", last_part(dwfl_module_info(module, NULL, &start, NULL, NULL, NULL, NULL, NULL)));
    f->offset = pc - start;
    function = dwfl_module_addrname(module, pc);
    snprintf(f->function, sizeof f->function, "%s", function ? function : "");
    Dwfl_Line *line = dwfl_module_getsrc(module, pc);
    if (line)
        file = dwfl_lineinfo(line, NULL, &f->line, NULL, NULL, NULL);
    snprintf(f->file, sizeof f->file, "%s", file ? file : "");
}

/* A frame that was called stands behind its call. */
static int take_frame(Dwfl_Frame *frame, void *arg) {
    struct fsh_crash *crash = arg;
    Dwarf_Addr pc;
    bool interrupted;
    if (crash->n == sizeof crash->v / sizeof *crash->v || !dwfl_frame_pc(frame, &pc, &interrupted))
        return DWARF_CB_ABORT;
    struct fsh_crash_frame *f = &crash->v[crash->n++];
    memset(f, 0, sizeof *f);
    describe(f, dwfl_thread_dwfl(dwfl_frame_thread(frame)), pc - (interrupted ? 0 : 1));
    return DWARF_CB_OK;
}

static pid_t process_of(pid_t thread) {
    char path[64], line[128];
    int process = thread;
    snprintf(path, sizeof path, "/proc/%d/status", thread);
    FILE *in = fopen(path, "re");
    while (in && fgets(line, sizeof line, in))
        if (sscanf(line, "Tgid: %d", &process) == 1)
            break;
    if (in)
        fclose(in);
    return process;
}

/* What is missing (debug information, a module) is missing in the frames. */
static void read_stack(struct fsh_crash *crash, pid_t thread) {
    static char *no_path;
    const Dwfl_Callbacks callbacks = {
        .find_elf = dwfl_linux_proc_find_elf, .find_debuginfo = dwfl_standard_find_debuginfo, .debuginfo_path = &no_path};
    pid_t process = process_of(thread);
    Dwfl *dwfl = dwfl_begin(&callbacks);
    unsetenv("DEBUGINFOD_URLS"); /* nothing is asked of a network */
    if (dwfl && dwfl_linux_proc_report(dwfl, process) == 0 && dwfl_report_end(dwfl, NULL, NULL) == 0 &&
        dwfl_linux_proc_attach(dwfl, process, true) == 0)
        dwfl_getthread_frames(dwfl, thread, take_frame, crash);
    dwfl_end(dwfl);
}

static bool leaves_core(int sig) {
    return sig == SIGSEGV || sig == SIGABRT || sig == SIGBUS || sig == SIGILL || sig == SIGFPE || sig == SIGSYS || sig == SIGTRAP;
}

/* "socket:[4711]" is another one in each run; a path in the working directory is named from there, which may be a copy. */
static void put_open(FILE *out, const char *name, const char *cwd) {
    size_t n = strlen(cwd), colon = strcspn(name, ":");
    if (*name == '/' && n > 1 && !strncmp(name, cwd, n) && name[n] == '/')
        name += n + 1;
    else if (!strncmp(name + colon, ":[", 2))
        n = colon;
    if (*name == '/' || !strchr(name, ':'))
        n = strlen(name);
    fprintf(out, "%.*s\n", (int)n, name);
}

static void list_open(struct fsh_crash *crash, pid_t pid) {
    char path[64], name[4096], cwd[4096];
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    bool known = getcwd(cwd, sizeof cwd) != NULL;
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        int fd = atoi(entry->d_name);
        ssize_t n = fd < 3 || fd == crash->run->session.fd ? -1 : readlinkat(dirfd(dir), entry->d_name, name, sizeof name - 1);
        if (n <= 0)
            continue;
        name[n] = 0;
        if (!strcmp(name, crash->run->trace_path)) /* the shim's own */
            continue;
        put_open(crash->open, name, known ? cwd : "");
    }
    if (dir)
        closedir(dir);
}

/* exec, a new thread and a new child stop as well; none of that is for the program. */
static void on_stop(void *arg, int pid, int status) {
    struct fsh_crash *crash = arg;
    const long follow = PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL |
                        (crash->open ? PTRACE_O_TRACEEXIT : 0);
    int sig = WSTOPSIG(status);
    siginfo_t info;
    bool group = sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
    if (ptrace(PTRACE_SETOPTIONS, pid, 0, follow) != 0)
        return; /* it has been killed meanwhile */
    bool ours = status >> 16 || sig == SIGSTOP || (group && ptrace(PTRACE_GETSIGINFO, pid, 0, &info) != 0) ||
                (sig == SIGTRAP && ptrace(PTRACE_GETSIGINFO, pid, 0, &info) == 0 && info.si_code == SI_USER);
    if (status >> 16 == PTRACE_EVENT_EXIT && pid == crash->run->pid)
        list_open(crash, pid);
    if (!ours && leaves_core(sig) && !crash->signal && !crash->open) {
        crash->signal = sig;
        read_stack(crash, pid);
    }
    ptrace(PTRACE_CONT, pid, 0, (long)(ours ? 0 : sig));
}

void fsh_crash_watch(struct fsh_crash *crash, struct fsh_run *run, FILE *open) {
    *crash = (struct fsh_crash){.open = open, .run = run};
    run->stopped = on_stop;
    run->stopped_arg = crash;
}

static bool is_libc(const struct fsh_crash_frame *f) {
    return !strncmp(f->module, "libc.so", 7) || !strncmp(f->module, "ld-linux", 8) || !strncmp(f->module, "libfaultshim", 12);
}

const struct fsh_crash_frame *fsh_crash_origin(const struct fsh_crash *crash) {
    for (unsigned i = 0; i < crash->n; i++)
        if (*crash->v[i].module && !is_libc(&crash->v[i]))
            return &crash->v[i];
    return crash->n ? &crash->v[0] : NULL;
}

uint64_t fsh_crash_hash(const struct fsh_crash *crash) {
    uint64_t h = 0;
    unsigned found = 0;
    for (unsigned i = 0; i < crash->n && found < TELLING; i++) {
        const struct fsh_crash_frame *f = &crash->v[i];
        if (!*f->module || is_libc(f))
            continue;
        h = fsh_fold(h, fsh_hash(f->module, strlen(f->module)));
        h = fsh_fold(h, *f->function ? fsh_hash(f->function, strlen(f->function)) : f->offset) | 1;
        if (!found) /* a function may have more than one place to crash at */
            h = fsh_fold(h, f->line ? (uint64_t)f->line : f->offset) | 1;
        found++;
    }
    return h;
}

void fsh_crash_print(FILE *out, const struct fsh_crash *crash) {
    for (unsigned i = 0; i < crash->n; i++) {
        const struct fsh_crash_frame *f = &crash->v[i];
        fprintf(out, "#%-2u %s", i, *f->function ? f->function : "?");
        if (*f->file)
            fprintf(out, " at %s:%d", f->file, f->line);
        fprintf(out, " (%s+0x%jx)\n", *f->module ? f->module : "?", (uintmax_t)f->offset);
    }
}
