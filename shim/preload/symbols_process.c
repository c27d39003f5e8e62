/* symbols_process.c: doors of what makes processes, programs and threads.
 *
 * Children keep their names (identity.h): fork's child is named by its door, those of vfork and posix_spawn by FAULTSHIM_CHILD in
 * their environment, and exec keeps the name. The exec family puts the preload back for `children = follow`, whatever the program
 * has done to its environment. The child of vfork runs on its parent's memory: there, nothing is decided and nothing is written. */
#include "departures.h"
#include "doors.h"
#include "session.h"
#include "sites.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/prctl.h>

#define EXTRA(name, ret, params) ret fsh_door_##name params DOOR(name);
#include "extras.def"

#define REAL(name) (fsh_real.name ? fsh_real.name : (fsh_real_resolve_all(), fsh_real.name))

extern char **environ;

/* --- fork, vfork --- */

/* By the child of vfork: its own child has memory of its own again, and is named like one that nobody saw being made. */
static pid_t fork_in_vfork(void) {
    pid_t pid = fsh_real.fork();
    if (pid == 0) {
        fsh_tls.in_vfork = fsh_tls.has_child = false;
        fsh_fork_child();
    }
    return pid;
}

static pid_t forked(void) {
    if (fsh_in_vfork())
        return fork_in_vfork();
    /* a signal handler that forks would take the name for its own child */
    uint64_t mask = fsh_block_signals();
    fsh_fork_before();
    pid_t pid = fsh_real.fork();
    int e = errno;
    if (pid == 0)
        fsh_fork_child();
    else
        fsh_fork_parent(pid);
    fsh_restore_signals(mask);
    errno = e;
    return pid;
}

static long invoke_fork(const long *a) {
    return forked();
}

pid_t fsh_door_fork(void) {
    if (!fsh_shim.ready)
        return fsh_real.fork();
    struct fsh_hit *hit = fsh_watch[CALL_fork] & WATCH_CONSIDER ? fsh_consider(CALL_fork, 0, CALLER()) : NULL;
    const long a[6] = {0};
    return hit ? (pid_t)fsh_apply(hit, invoke_fork, a) : forked();
}

/* The child has the parent's memory, and may call vfork itself: only what is the outermost call's is undone after it. */
enum { VFORK_NESTED = 1, VFORK_GATE = 2 };

__attribute__((visibility("hidden"), used)) long fsh_vfork_before(void) {
    if (fsh_in_vfork())
        return VFORK_NESTED;
    if (fsh_shim.ready)
        fsh_fork_before();
    fsh_tls.in_vfork = true;
    if (!fsh_tls.thread->gate)
        return 0;
    fsh_tls.thread->gate = 0;
    return VFORK_GATE;
}

__attribute__((visibility("hidden"), used)) long fsh_vfork_after(long result, long before) {
    if (!(before & VFORK_NESTED)) {
        fsh_tls.in_vfork = false;
        if (before & VFORK_GATE)
            fsh_tls.thread->gate = 1;
        if (fsh_shim.ready)
            fsh_fork_parent((int)result);
    }
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

/* --- exec --- */

enum { ENV_MAX = 16384, ENV_TEXT_MAX = 65536 }; /* entries, bytes; a larger environment is passed on as it is */

/* A child's environment on the caller's stack: in the child of vfork there is no other memory to use. */
#define CHILD_ENV(env, child)                                                                                                      \
    char *const *given = (env);                                                                                                    \
    size_t entries, size;                                                                                                          \
    bool edit = fsh_children_follow() && fsh_env_measure(given, &entries, &size) && entries < ENV_MAX && size < ENV_TEXT_MAX;      \
    char **made = __builtin_alloca(edit ? (entries + FSH_ENV_EXTRA + 1) * sizeof(char *) : 1);                                     \
    char *text = __builtin_alloca(edit ? size : 1);                                                                                \
    if (edit)                                                                                                                      \
        fsh_env_for_child(given, (child), made, text, size);                                                                       \
    char *const *use = edit ? made : given

static const struct fsh_identity *child_of_vfork(void) {
    return fsh_in_vfork() && fsh_tls.has_child ? &fsh_tls.child : NULL;
}

static void note_exec(const char *path) {
    if (fsh_in_vfork() || !fsh_shim.ready || !fsh_can_read_path(path) || !fsh_gate_close())
        return;
    struct fsh_fields f = {.len = 0};
    fsh_put_u64(&f, fsh_session_now(&fsh_shim.session));
    fsh_put_text(&f, path, strlen(path));
    fsh_pen_record(&fsh_tls.thread->pen, &fsh_shim.session, OP_EXEC, f.bytes, f.len);
    fsh_gate_open();
}

/* A process that goes on as another program, or one made by vfork that does. */
static int depart(bool edited, int dirfd, const char *path) {
    const struct fsh_identity *child = child_of_vfork();
    if (!edited || (fsh_tls.in_vfork && !child))
        return 0;
    return fsh_depart(child ? child->key : fsh_shim.process.key, (uint32_t)fsh_sys0(SYS_getpid), dirfd, path);
}

/* Only a failure returns. */
static long stayed(int departure, long result) {
    fsh_depart_failed(departure);
    return result;
}

static struct fsh_hit *consider_exec(enum fsh_call call, int dirfd, const char *path, const void *caller) {
    if (!(fsh_watch[call] & WATCH_CONSIDER))
        return NULL;
    return fsh_calls[call].roles.path ? fsh_consider_path(call, dirfd, path, 0, 0, caller) : fsh_consider(call, 0, caller);
}

static long invoke_execve(const long *a) {
    CHILD_ENV((char *const *)a[2], child_of_vfork());
    note_exec((const char *)a[0]);
    int departure = depart(edit, AT_FDCWD, (const char *)a[0]);
    return stayed(departure, fsh_real.execve((const char *)a[0], (char *const *)a[1], use));
}

static long invoke_execvpe(const long *a) {
    CHILD_ENV((char *const *)a[2], child_of_vfork());
    note_exec((const char *)a[0]);
    int departure = depart(edit, AT_FDCWD, (const char *)a[0]);
    return stayed(departure, fsh_real.execvpe((const char *)a[0], (char *const *)a[1], use));
}

static long invoke_execveat(const long *a) {
    CHILD_ENV((char *const *)a[3], child_of_vfork());
    note_exec((const char *)a[1]);
    int departure = depart(edit, (int)a[0], (const char *)a[1]);
    return stayed(departure, fsh_real.execveat((int)a[0], (const char *)a[1], (char *const *)a[2], use, (int)a[4]));
}

static long invoke_fexecve(const long *a) {
    CHILD_ENV((char *const *)a[2], child_of_vfork());
    note_exec("(descriptor)");
    int departure = depart(edit, (int)a[0], NULL);
    return stayed(departure, fsh_real.fexecve((int)a[0], (char *const *)a[1], use));
}

/* `a` is packed for `invoke`, whatever `call` the program used. */
static int exec_by(enum fsh_call call, fsh_invoke invoke, const long *a, const char *path, const void *caller) {
    struct fsh_hit *hit = consider_exec(call, AT_FDCWD, path, caller);
    return (int)(hit ? fsh_apply(hit, invoke, a) : invoke(a));
}

static int exec_path(enum fsh_call call, const char *path, char *const *argv, char *const *env, const void *caller) {
    const long a[6] = {(long)path, (long)argv, (long)env};
    return exec_by(call, invoke_execve, a, path, caller);
}

static int exec_search(enum fsh_call call, const char *file, char *const *argv, char *const *env, const void *caller) {
    const long a[6] = {(long)file, (long)argv, (long)env};
    return exec_by(call, invoke_execvpe, a, file, caller);
}

int fsh_door_execve(const char *path, char *const *argv, char *const *envp) {
    return exec_path(CALL_execve, path, argv, envp, CALLER());
}

int fsh_door_execv(const char *path, char *const *argv) {
    return exec_path(CALL_execv, path, argv, environ, CALLER());
}

int fsh_door_execvp(const char *file, char *const *argv) {
    return exec_search(CALL_execvp, file, argv, environ, CALLER());
}

int fsh_door_execvpe(const char *file, char *const *argv, char *const *envp) {
    return exec_search(CALL_execvpe, file, argv, envp, CALLER());
}

int fsh_door_execveat(int dirfd, const char *path, char *const *argv, char *const *envp, int flags) {
    const long a[6] = {dirfd, (long)path, (long)argv, (long)envp, flags};
    struct fsh_hit *hit = consider_exec(CALL_execveat, dirfd, path, CALLER());
    return (int)(hit ? fsh_apply(hit, invoke_execveat, a) : invoke_execveat(a));
}

int fsh_door_fexecve(int fd, char *const *argv, char *const *envp) {
    const long a[6] = {fd, (long)argv, (long)envp};
    struct fsh_hit *hit = fsh_watch[CALL_fexecve] & WATCH_CONSIDER ? fsh_consider_fd(CALL_fexecve, fd, 0, 0, CALLER()) : NULL;
    return (int)(hit ? fsh_apply(hit, invoke_fexecve, a) : invoke_fexecve(a));
}

/* The list forms: the arguments up to NULL become an array on the stack (exec(3)). `list` stands at the second argument. */
static size_t count_list(va_list list) {
    size_t n = 1;
    while (va_arg(list, char *))
        n++;
    return n;
}

static void copy_list(char **argv, const char *first, va_list list) {
    size_t n = 0;
    argv[n++] = (char *)first;
    while (argv[n - 1])
        argv[n++] = va_arg(list, char *);
}

#define GATHER(first, name)                                                                                                        \
    va_list name##_list;                                                                                                           \
    va_start(name##_list, first);                                                                                                  \
    char **name = __builtin_alloca(((first) ? count_list(name##_list) + 1 : 1) * sizeof(char *));                                  \
    va_end(name##_list);                                                                                                           \
    va_start(name##_list, first);                                                                                                  \
    copy_list(name, first, name##_list)

/* Variadic, so the declarations of doors.h (the fixed part) do not serve. */
int fsh_list_execl(const char *path, const char *arg, ...) DOOR(execl);
int fsh_list_execlp(const char *file, const char *arg, ...) DOOR(execlp);
int fsh_list_execle(const char *path, const char *arg, ...) DOOR(execle);

int fsh_list_execl(const char *path, const char *arg, ...) {
    GATHER(arg, argv);
    va_end(argv_list);
    return exec_path(CALL_execl, path, argv, environ, CALLER());
}

int fsh_list_execlp(const char *file, const char *arg, ...) {
    GATHER(arg, argv);
    va_end(argv_list);
    return exec_search(CALL_execlp, file, argv, environ, CALLER());
}

int fsh_list_execle(const char *path, const char *arg, ...) {
    GATHER(arg, argv);
    char *const *env = va_arg(argv_list, char *const *);
    va_end(argv_list);
    return exec_path(CALL_execle, path, argv, env, CALLER());
}

/* --- posix_spawn --- */

static long spawn(const long *a, __typeof__(fsh_real.posix_spawn) real) {
    bool counts = fsh_shim.ready && !fsh_in_vfork();
    struct fsh_identity child = {.key = 0};
    if (counts) {
        fsh_fork_before();
        child = fsh_tls.child;
    }
    CHILD_ENV(a[5] ? (char *const *)a[5] : environ, counts ? &child : NULL);
    int departure = counts && edit ? fsh_depart(child.key, 0, AT_FDCWD, (const char *)a[1]) : 0;
    pid_t pid = 0;
    int result = real(&pid, (const char *)a[1], (const posix_spawn_file_actions_t *)a[2], (const posix_spawnattr_t *)a[3],
                      (char *const *)a[4], use);
    if (result == 0)
        fsh_depart_as(departure, child.key, (uint32_t)pid);
    else
        fsh_depart_failed(departure);
    if (counts)
        fsh_fork_parent(result == 0 ? pid : -1);
    if (result == 0 && a[0])
        *(pid_t *)a[0] = pid;
    return result;
}

static long invoke_spawn(const long *a) {
    return spawn(a, fsh_real.posix_spawn);
}

static long invoke_spawnp(const long *a) {
    return spawn(a, fsh_real.posix_spawnp);
}

int fsh_door_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
                         char *const *argv, char *const *envp) {
    const long a[6] = {(long)pid, (long)path, (long)actions, (long)attr, (long)argv, (long)envp};
    struct fsh_hit *hit = consider_exec(CALL_posix_spawn, AT_FDCWD, path, CALLER());
    return (int)(hit ? fsh_apply(hit, invoke_spawn, a) : invoke_spawn(a));
}

int fsh_door_posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
                          char *const *argv, char *const *envp) {
    const long a[6] = {(long)pid, (long)file, (long)actions, (long)attr, (long)argv, (long)envp};
    struct fsh_hit *hit = consider_exec(CALL_posix_spawnp, AT_FDCWD, file, CALLER());
    return (int)(hit ? fsh_apply(hit, invoke_spawnp, a) : invoke_spawnp(a));
}

/* --- threads --- */

struct start {
    fsh_start routine;
    void *arg;
    struct fsh_identity id;
};

static void *run_thread(void *p) {
    struct start start = *(struct start *)p;
    fsh_thread_start(&start.id);
    fsh_real.free(p);
    return start.routine(start.arg);
}

static long invoke_pthread_create(const long *a) {
    struct start *start = fsh_real.malloc(sizeof *start);
    if (!start)
        return EAGAIN; /* pthread_create(3): insufficient resources */
    *start = (struct start){(fsh_start)a[2], (void *)a[3], {.name = ""}};
    fsh_thread_name_next(&start->id);
    int result = fsh_real.pthread_create((pthread_t *)a[0], (const pthread_attr_t *)a[1], run_thread, start);
    if (result)
        fsh_real.free(start);
    return result;
}

int fsh_door_pthread_create(pthread_t *thread, const pthread_attr_t *attr, fsh_start start, void *arg) {
    if (!fsh_shim.plan || fsh_shim.retired)
        return fsh_real.pthread_create(thread, attr, start, arg);
    const long a[6] = {(long)thread, (long)attr, (long)start, (long)arg};
    struct fsh_hit *hit = fsh_watch[CALL_pthread_create] & WATCH_CONSIDER ? fsh_consider(CALL_pthread_create, 0, CALLER()) : NULL;
    return (int)(hit ? fsh_apply(hit, invoke_pthread_create, a) : invoke_pthread_create(a));
}

int fsh_door_pthread_setname_np(pthread_t thread, const char *name) {
    int result = REAL(pthread_setname_np)(thread, name);
    if (result == 0 && fsh_shim.ready && pthread_equal(thread, pthread_self()))
        fsh_thread_renamed();
    return result;
}

/* prctl(2): as many arguments as the option takes; the others stand in their registers all the same. */
int fsh_door_prctl(int option, unsigned long b, unsigned long c, unsigned long d, unsigned long e) {
    const long a[6] = {option, (long)b, (long)c, (long)d, (long)e};
    struct fsh_hit *hit = fsh_watch[CALL_prctl] & WATCH_CONSIDER ? fsh_consider(CALL_prctl, 0, CALLER()) : NULL;
    int result = (int)(hit ? fsh_apply(hit, fsh_invoke_prctl, a) : fsh_invoke_prctl(a));
    if (result == 0 && option == PR_SET_NAME && fsh_shim.ready)
        fsh_thread_renamed();
    if (result == 0 && option == PR_SET_SECCOMP)
        fsh_retire();
    return result;
}

/* --- clone: the child begins in the caller's function, on a stack of its own --- */

int fsh_door_clone(fsh_entry fn, void *stack, int flags, void *arg, void *ptid, void *tls, void *ctid) {
    const long a[FSH_ARGS] = {(long)fn, (long)stack, flags, (long)arg, (long)ptid, (long)tls, (long)ctid};
    struct fsh_hit *hit = fsh_watch[CALL_clone] & WATCH_CONSIDER ? fsh_consider(CALL_clone, 0, CALLER()) : NULL;
    return (int)(hit ? fsh_apply(hit, fsh_invoke_clone, a) : fsh_invoke_clone(a));
}

/* --- longjmp out of a signal handler that has interrupted us --- */

#define JUMP(name)                                                                                                                 \
    void fsh_door_##name(struct __jmp_buf_tag *env, int value) {                                                                   \
        fsh_gate_abandoned();                                                                                                      \
        REAL(name)(env, value);                                                                                                    \
    }
JUMP(longjmp)
JUMP(_longjmp)
JUMP(siglongjmp)
JUMP(__longjmp_chk)

/* --- dlopen: RTLD_DEEPBIND would hide every symbol from us --- */

void *fsh_call_as(const char *path, int flags, void *(*real)(const char *, int), const void *gadget)
    __attribute__((visibility("hidden")));

/* A `ret` in the module that calls: a function that is made to return to it sees that module as its caller. */
static const void *return_in_module(const void *caller) {
    struct dl_find_object object;
    if (_dl_find_object((void *)caller, &object) != 0)
        return NULL;
    const uint8_t *p = caller, *end = object.dlfo_map_end;
    size_t page = (size_t)FSH_PAGE - (uintptr_t)p % FSH_PAGE; /* of this page it is known that it can be executed */
    if ((size_t)(end - p) > page)
        end = p + page;
    while (p < end && *p != 0xc3)
        p++;
    return p < end ? p : NULL;
}

void *fsh_door_dlopen(const char *path, int flags) {
    if (flags & RTLD_DEEPBIND && fsh_shim.ready) {
        flags &= ~RTLD_DEEPBIND;
        atomic_fetch_add_explicit(&fsh_shim.session.header->deepbind, 1, memory_order_relaxed);
    }
    const long a[6] = {(long)path, flags};
    struct fsh_hit *hit = fsh_watch[CALL_dlopen] & WATCH_CONSIDER ? fsh_consider(CALL_dlopen, 0, CALLER()) : NULL;
    if (hit)
        return (void *)fsh_apply(hit, fsh_invoke_dlopen, a);
    /* dlopen looks at its caller for $ORIGIN and the namespace: a tail call, or one that seems to come from there */
    const void *gadget = fsh_shim.sites ? return_in_module(CALLER()) : NULL;
    if (!gadget)
        return fsh_real.dlopen(path, flags);
    void *result = fsh_call_as(path, flags, fsh_real.dlopen, gadget);
    fsh_sites_loaded();
    return result;
}

#define FSH_ALIASES_PROCESS
#include "aliases.h"
