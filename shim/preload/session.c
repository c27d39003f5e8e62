/* session.c: see session.h.
 *
 * Context: the constructor (one thread), the start of a thread, the child of a fork. The gate is closed throughout.
 *
 * How a process learns who it is: after exec it finds its entry in the session's process table by its process id; a child made by
 * vfork or posix_spawn is told its name in FAULTSHIM_CHILD; a forked child is named by the door of fork, or, where none has seen
 * the fork, by its parent's count of unseen children. */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "clock.h"
#include "connections.h"
#include "departures.h"
#include "detour.h"
#include "files.h"
#include "output.h"
#include "plans.h"
#include "record.h"
#include "script.h"
#include "sites.h"
#include "stack.h"
#include "state.h"

#include "poison.h"

enum { EXIT_OWN_ERROR = 125, PLAN_ROOM = 1 << 20 };

static char program[FSH_PATH_MAX], library[FSH_PATH_MAX];
static char session_env[FSH_PATH_MAX + 64]; /* FAULTSHIM_SESSION=fd:path */
static char run_dir[FSH_PATH_MAX], home_dir[FSH_PATH_MAX], temp_dir[FSH_PATH_MAX];
static struct fsh_process_state *my_state;
static pthread_key_t exit_key;
static bool has_exit_key;
static _Atomic uint32_t unseen_threads;

/* --- small things --- */

const char *fsh_program_path(void) {
    return program;
}

const char *fsh_library_path(void) {
    return library;
}

void fsh_say(const char *a, const char *b, const char *c) {
    char line[1024] = "faultshim: ";
    const char *parts[] = {a, b, c, "\n"};
    size_t n = strlen(line);
    for (int i = 0; i < 4; i++)
        for (const char *p = parts[i]; p && *p && n < sizeof line - 1; p++)
            line[n++] = *p;
    line[n - 1] = '\n';
    fsh_sys3(SYS_write, 2, line, n);
}

const char *fsh_env(char *const *env, const char *name) {
    size_t n = strlen(name);
    for (; env && *env; env++)
        if (!strncmp(*env, name, n) && (*env)[n] == '=')
            return *env + n + 1;
    return NULL;
}

static size_t put_number(char *to, uint64_t v) {
    char digits[20];
    size_t n = 0, len = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    while (n)
        to[len++] = digits[--n];
    to[len] = 0;
    return len;
}

static bool get_number(const char **p, uint64_t *v) {
    *v = 0;
    const char *start = *p;
    for (; **p >= '0' && **p <= '9'; (*p)++)
        if (__builtin_mul_overflow(*v, 10, v) || __builtin_add_overflow(*v, (uint64_t)(**p - '0'), v))
            return false;
    return *p != start;
}

static void *allocate(size_t size) {
    long p = fsh_sys6(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p < 0 && p > -4096 ? NULL : (void *)p;
}

/* A whole file, at most `size` bytes; returns its length or -errno. */
static long slurp(const char *path, char *to, size_t size) {
    long fd = fsh_sys4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    size_t len = 0;
    long n = 0;
    while (len < size && (n = fsh_sys3(SYS_read, fd, to + len, size - len)) != 0) {
        if (n == -EINTR)
            continue;
        if (n < 0)
            break;
        len += (size_t)n;
    }
    fsh_sys1(SYS_close, fd);
    return n < 0 ? n : (long)len;
}

static void link_of(const char *path, char out[FSH_PATH_MAX]) {
    long n = fsh_sys4(SYS_readlinkat, AT_FDCWD, path, out, FSH_PATH_MAX - 1);
    out[n > 0 ? n : 0] = 0;
}

/* Field 22 of /proc/PID/stat: when the process started, 0 if that can't be known. The second field may hold anything, so count from
 * its end. */
static uint64_t ticks_in(const char *path) {
    char stat[1024];
    long n = slurp(path, stat, sizeof stat - 1);
    if (n <= 0)
        return 0;
    stat[n] = 0;
    const char *p = strrchr(stat, ')');
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    uint64_t ticks = 0;
    return p && get_number((p++, &p), &ticks) ? ticks : 0;
}

static uint64_t start_ticks(void) {
    return ticks_in("/proc/self/stat");
}

uint64_t fsh_process_started(uint32_t pid) {
    char path[40] = "/proc/";
    size_t n = strlen(path);
    strcpy(path + n + put_number(path + n, pid), "/stat");
    return ticks_in(path);
}

static uint64_t pid_namespace(void) {
    struct stat st;
    return fsh_sys4(SYS_newfstatat, AT_FDCWD, "/proc/self/ns/pid", &st, 0) == 0 ? st.st_ino : 0;
}

static void know_own_paths(void) {
    link_of("/proc/self/exe", program);
    struct dl_find_object object;
    const char *name = _dl_find_object((void *)fsh_session_start, &object) == 0 ? object.dlfo_link_map->l_name : "";
    if (_dl_find_object((void *)_r_debug.r_ldbase, &object) == 0) {
        fsh_shim.loader = (uintptr_t)object.dlfo_map_start;
        fsh_shim.loader_size = (size_t)((char *)object.dlfo_map_end - (char *)object.dlfo_map_start);
    }
    char dir[FSH_PATH_MAX] = "/";
    fsh_sys2(SYS_getcwd, dir, sizeof dir);
    if (fsh_path_absolute(library, dir, name) < 0)
        library[0] = 0;
}

/* --- the session's descriptor: out of the program's way --- */

static void move_fd(int minimum) {
    long fd = fsh_sys3(SYS_fcntl, fsh_shim.session.fd, F_DUPFD, minimum);
    if (fd < 0)
        return;
    int old = fsh_shim.session.fd;
    fsh_shim.session.fd = (int)fd;
    fsh_sys1(SYS_close, old);
}

static void hide_fd(void) {
    struct rlimit limit = {1024, 1024};
    fsh_sys4(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, &limit);
    int top = limit.rlim_cur > 1024 ? 1024 : (int)limit.rlim_cur;
    if (fsh_shim.session.fd >= 0 && top > 64)
        move_fd(top - 24);
}

static void write_session_env(const char *path) {
    char *p = session_env;
    strcpy(p, "FAULTSHIM_SESSION=");
    p += strlen(p);
    p += put_number(p, (uint64_t)(fsh_shim.session.fd < 0 ? 0 : fsh_shim.session.fd));
    *p++ = ':';
    strcpy(p, path);
}

const char *fsh_session_path(void) {
    const char *p = strchr(session_env, ':');
    return p ? p + 1 : "";
}

void fsh_session_make_way(int fd) {
    if (fd != fsh_shim.session.fd || fd < 0 || fsh_in_vfork())
        return;
    char path[FSH_PATH_MAX];
    strcpy(path, fsh_session_path());
    move_fd(fd + 1);
    write_session_env(path);
}

/* --- joining --- */

/* FAULTSHIM_SESSION=fd:path. The descriptor works in a chroot and as another user; the path works when it has been closed. */
static int join(const char *value) {
    uint64_t fd;
    const char *p = value;
    if (!get_number(&p, &fd) || *p != ':' || fd > INT32_MAX || strlen(p) > FSH_PATH_MAX)
        return -EINVAL;
    char path[FSH_PATH_MAX];
    strcpy(path, p + 1);
    int e = fd >= 3 ? fsh_session_map(&fsh_shim.session, (int)fd) : -EBADF;
    if (e) {
        long opened = fsh_sys4(SYS_openat, AT_FDCWD, path, O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0);
        if (opened < 0)
            return (int)opened;
        e = fsh_session_map(&fsh_shim.session, (int)opened);
        if (e) {
            fsh_sys1(SYS_close, opened);
            return e;
        }
    }
    hide_fd();
    write_session_env(path);
    return 0;
}

/* --- creating: LD_PRELOAD without the command --- */

static bool read_profile(char *const *env, const char *name, char *text, size_t size, long *len, char found[FSH_PATH_MAX]) {
    const char *dir = fsh_env(env, "FAULTSHIM_PROFILES");
    if (!dir || !*dir)
        dir = FSH_PROFILES_DIR;
    strcpy(found, strlen(name) < FSH_PATH_MAX ? name : "");
    *len = slurp(found, text, size);
    if (*len == -ENOENT && !strchr(name, '/') && strlen(dir) + strlen(name) + 6 < FSH_PATH_MAX) {
        strcpy(found, dir);
        strcat(found, "/");
        strcat(found, name);
        strcat(found, ".ini");
        *len = slurp(found, text, size);
    }
    return *len >= 0;
}

static struct fsh_text recorded_env(char *const *env, char *to, size_t size, bool (*is_recorded)(const char *entry)) {
    size_t len = 0;
    for (; *env; env++) {
        size_t n = strlen(*env) + 1;
        if (is_recorded(*env) && len + n <= size) {
            memcpy(to + len, *env, n);
            len += n;
        }
    }
    return (struct fsh_text){to, len};
}

/* --seed is FAULTSHIM_SEED is the profile's is drawn. */
static int settle_seed(char *const *env, const struct fsh_profile *profile, struct fsh_session_params *params) {
    const char *text = fsh_env(env, "FAULTSHIM_SEED");
    if (text && *text) {
        const char *p = text;
        if (!get_number(&p, &params->seed) || *p) {
            fsh_say("FAULTSHIM_SEED=", text, ": not a whole number from 0 to 18446744073709551615");
            return -EINVAL;
        }
        params->seed_from = SEED_ENVIRONMENT;
    } else if (profile->options.has_seed) {
        params->seed = profile->options.seed;
        params->seed_from = SEED_PROFILE;
    } else {
        fsh_sys3(SYS_getrandom, &params->seed, sizeof params->seed, 0);
        params->seed_from = SEED_DRAWN;
    }
    return 0;
}

/* A profile and the memory that it and its plan live in. */
struct rules {
    struct fsh_arena arena;
    struct fsh_profile *profile;
};

static int complain(int e, const struct fsh_error *error) {
    if (e)
        fsh_say(e == -ENOMEM ? "no memory for the profile" : error->text, "", "");
    return e;
}

static int parse(struct rules *rules, const char *text, size_t len, const char *name) {
    struct fsh_error error = {""};
    size_t size = fsh_arena_need(len) + sizeof(struct fsh_plan) + sizeof(struct fsh_profile) + PLAN_ROOM;
    rules->arena = (struct fsh_arena){.base = allocate(size), .size = size, .is_zeroed = true};
    rules->profile = rules->arena.base ? fsh_arena_get(&rules->arena, sizeof *rules->profile) : NULL;
    int e = rules->profile ? fsh_profile_parse(rules->profile, &rules->arena, text, len, name, &error) : -ENOMEM;
    return complain(e, &error);
}

static int settle_plan(struct rules *rules, uint64_t seed) {
    struct fsh_error error = {""};
    struct fsh_plan *plan = fsh_arena_get(&rules->arena, sizeof *plan);
    int e = plan ? fsh_plan_build(plan, rules->profile, seed, &rules->arena, &error) : -ENOMEM;
    if (!e)
        fsh_shim.plan = plan;
    return complain(e, &error);
}

static size_t add_file(char *to, size_t room, const char *cwd, const char *path) {
    char absolute[FSH_PATH_MAX];
    struct stat st;
    if (fsh_path_absolute(absolute, cwd, path) <= 0 || fsh_sys4(SYS_newfstatat, AT_FDCWD, absolute, &st, 0) != 0 ||
        !S_ISREG(st.st_mode) || st.st_size > FSH_FILE_MAX || fsh_files_size(path, (size_t)st.st_size) > room)
        return 0;
    char *content = fsh_files_put(to, path, (size_t)st.st_size);
    return slurp(absolute, content, (size_t)st.st_size) == st.st_size ? fsh_files_size(path, (size_t)st.st_size) : 0;
}

/* The files that the profile names, into `to`, which is zeroed. */
static struct fsh_text read_files(const struct fsh_profile *profile, const char *cwd, char *to, size_t size) {
    size_t len = 0;
    for (unsigned i = 0; i < profile->n_rules; i++)
        for (unsigned k = 0; k < profile->rules[i].n_faults; k++) {
            const char *path = profile->rules[i].faults[k].net.path;
            if (path && !fsh_files_find((struct fsh_text){to, len}, path).data)
                len += add_file(to + len, size - len, cwd, path);
        }
    return (struct fsh_text){to, len};
}

static void rewrite_env(char **env) {
    for (; *env; env++)
        if (!strncmp(*env, "FAULTSHIM_PROFILE=", 18))
            *env = session_env;
}

/* Nobody is there at the end of the run to put back what is lost: only this fault does. */
static bool some_rule_evicts(const struct fsh_profile *profile) {
    for (unsigned i = 0; i < profile->n_rules; i++)
        for (unsigned k = 0; k < profile->rules[i].n_faults; k++)
            if (profile->rules[i].faults[k].kind == FAULT_EVICT)
                return true;
    return false;
}

static int create(char **env, const char *profile_name) {
    enum {
        TEXT = FSH_PROFILE_MAX,
        ENV = 64 * 1024,
        NAMES = FSH_RULES_MAX * (FSH_NAME_MAX + 1),
        PHASES = FSH_PHASES_MAX * (FSH_NAME_MAX + 4),
        COMMAND = 64 * 1024,
        WHOLE = 1 << 20,
        FILES = 64 << 20
    };
    size_t size = TEXT + ENV + NAMES + PHASES + COMMAND + 3 * FSH_PATH_MAX + WHOLE + FILES;
    char *room = allocate(size);
    if (!room)
        return -ENOMEM;
    char *text = room, *envs = text + TEXT, *names = envs + ENV, *phases = names + NAMES, *command = phases + PHASES,
         *cwd = command + COMMAND, *path = cwd + FSH_PATH_MAX, *found = path + FSH_PATH_MAX, *whole = found + FSH_PATH_MAX,
         *files = whole + WHOLE;
    long len;
    struct rules rules;
    struct fsh_session_params params = {.seed_from = SEED_DRAWN};
    int e = -EINVAL;
    if (!read_profile(env, profile_name, text, TEXT, &len, found)) {
        fsh_say("FAULTSHIM_PROFILE=", profile_name, ": cannot be read");
        goto out;
    }
    e = parse(&rules, text, (size_t)len, found);
    if (!e)
        e = settle_seed(env, rules.profile, &params);
    if (!e)
        e = settle_plan(&rules, params.seed);
    if (e)
        goto out;
    const struct fsh_profile *profile = rules.profile;
    long n = slurp("/proc/self/cmdline", command, COMMAND);
    params.command = (struct fsh_text){command, n > 0 ? (size_t)n : 0};
    n = fsh_sys2(SYS_getcwd, cwd, FSH_PATH_MAX);
    params.cwd = (struct fsh_text){cwd, n > 0 ? strlen(cwd) : 0};
    params.profile = (struct fsh_text){text, (size_t)len};
    params.env = recorded_env(env, envs, ENV, fsh_env_is_recorded);
    if (profile->options.record & RECORD_ENVIRONMENT)
        params.whole_env = recorded_env(env, whole, WHOLE, fsh_env_is_the_programs);
    params.files = read_files(profile, params.cwd.len ? cwd : "/", files, FILES);
    params.rules = (struct fsh_text){names, fsh_profile_rule_names(profile, names, NAMES)};
    params.phases = (struct fsh_text){phases, fsh_profile_phase_names(profile, phases, PHASES)};
    params.n_rules = profile->n_rules;
    params.trace_mode = profile->options.trace;
    params.trace_limit = profile->options.trace_limit;
    params.shared_keys = fsh_shim.plan->needs_shared_keys;
    params.journal = fsh_shim.plan->loses_data && some_rule_evicts(profile);
    params.connections = fsh_shim.plan->limits_connections;
    const char *trace = fsh_env(env, "FAULTSHIM_TRACE");
    if (fsh_path_absolute(path, params.cwd.len ? cwd : "/", trace && *trace ? trace : "faultshim.trace") < 0)
        path[0] = 0;
    e = fsh_session_create(&fsh_shim.session, path, &params);
    if (e == -EEXIST) {
        fsh_say(path, ": exists and is not a trace; it is left alone", "");
        goto out;
    }
    if (e) {
        fsh_say(path, ": the trace cannot be created: this run is not traced", "");
        e = fsh_session_create_private(&fsh_shim.session, &params);
        path[0] = 0;
    }
    if (!e) {
        hide_fd();
        write_session_env(path);
        rewrite_env(env);
    }
out:
    fsh_sys2(SYS_munmap, room, size);
    return e;
}

/* --- who we are --- */

static void copy_identity(struct fsh_identity *to, const struct fsh_process_state *from) {
    memset(to, 0, sizeof *to);
    _Static_assert(sizeof from->name < sizeof to->name, "room for its end");
    memcpy(to->name, from->name, sizeof from->name);
    to->key = from->key;
}

static struct fsh_process_state *find_process(uint32_t pid, uint64_t started) {
    for (unsigned i = 0; i < FSH_PROCESSES; i++) {
        struct fsh_process_state *p = &fsh_shim.session.processes[i];
        if (atomic_load(&p->pid) == pid && p->ns_inode == fsh_shim.owner.ns_inode && (!started || p->started == started))
            return p;
    }
    return NULL;
}

static bool is_gone(const struct fsh_process_state *p, uint32_t pid) {
    return p->ns_inode == fsh_shim.owner.ns_inode && fsh_sys2(SYS_kill, pid, 0) == -ESRCH;
}

static struct fsh_process_state *new_process_state(void) {
    for (int pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < FSH_PROCESSES; i++) {
            struct fsh_process_state *p = &fsh_shim.session.processes[i];
            uint32_t pid = atomic_load(&p->pid);
            if ((pid == 0 || (pass && is_gone(p, pid))) && atomic_compare_exchange_strong(&p->pid, &pid, fsh_shim.owner.pid))
                return p;
        }
    return NULL;
}

static void enter_in_table(void) {
    my_state = new_process_state();
    if (!my_state)
        return;
    my_state->image = fsh_shim.owner.image;
    my_state->started = fsh_shim.owner.started;
    my_state->ns_inode = fsh_shim.owner.ns_inode;
    my_state->key = fsh_shim.process.key;
    atomic_store(&my_state->unseen, 0);
    atomic_store(&my_state->plan, fsh_plans_last());
    atomic_store(&my_state->failed, 0);
    atomic_store(&my_state->ready, fsh_shim.ready ? fsh_shim.owner.image + 1 : 0);
    atomic_store(&my_state->forks, 0);
    memcpy(my_state->name, fsh_shim.process.name, sizeof my_state->name);
    my_state->name[sizeof my_state->name - 1] = 0;
}

void fsh_session_took(unsigned load, bool good) {
    if (my_state)
        atomic_store(good ? &my_state->plan : &my_state->failed, load);
}

static void name_unseen_child(struct fsh_process_state *parent) {
    struct fsh_identity of;
    if (!parent)
        parent = &fsh_shim.session.processes[0]; /* the run's first process */
    copy_identity(&of, parent);
    fsh_identity_unseen(&fsh_shim.process, &of, atomic_fetch_add(&parent->unseen, 1) + 1);
}

static void drop_env(char **env, const char *name) {
    size_t n = strlen(name);
    char **to = env;
    for (; *env; env++)
        if (strncmp(*env, name, n) != 0 || (*env)[n] != '=')
            *to++ = *env;
    *to = NULL;
}

/* FAULTSHIM_CHILD=parent:name, as the door of vfork or posix_spawn has set it. It passes through programs that are not ours, so it
 * counts only for the child of the process that set it. */
static const char *child_name(char *const *env, uint32_t parent) {
    const char *p = fsh_env(env, "FAULTSHIM_CHILD");
    uint64_t set_by;
    return p && get_number(&p, &set_by) && *p == ':' && set_by == parent ? p + 1 : NULL;
}

static void find_identity(char **env) {
    struct fsh_owner *me = &fsh_shim.owner;
    me->pid = (uint32_t)fsh_sys0(SYS_getpid);
    me->started = start_ticks();
    me->ns_inode = pid_namespace();
    me->image = 0;
    uint32_t parent = (uint32_t)fsh_sys0(SYS_getppid);
    struct fsh_process_state *before = find_process(me->pid, me->started);
    const char *child = child_name(env, parent);
    if (before) {
        copy_identity(&fsh_shim.process, before);
        me->image = ++before->image;
        atomic_store(&before->plan, 0);
        atomic_store(&before->failed, 0);
        my_state = before;
        fsh_tls.forks = atomic_load(&before->forks);
    } else if (child) {
        fsh_identity_parse(&fsh_shim.process, child, strlen(child));
    } else if (atomic_load(&fsh_shim.session.header->attached) == 0) {
        fsh_identity_root(&fsh_shim.process);
    } else {
        name_unseen_child(find_process(parent, fsh_process_started(parent)));
    }
    drop_env(env, "FAULTSHIM_CHILD");
    if (!before)
        enter_in_table();
    fsh_arrive(fsh_shim.process.key);
    atomic_fetch_add(&fsh_shim.session.header->attached, 1);
    me->process_key = fsh_shim.process.key;
    fsh_shim.places.pids[0] = me->pid;
    fsh_shim.places.pids[1] = parent;
}

static void find_places(void) {
    struct fsh_text cwd = fsh_session_meta(&fsh_shim.session, META_COPY), env = fsh_session_meta(&fsh_shim.session, META_ENV);
    if (!cwd.len)
        cwd = fsh_session_meta(&fsh_shim.session, META_CWD);
    if (cwd.len < sizeof run_dir)
        memcpy(run_dir, cwd.data, cwd.len);
    for (size_t at = 0; at < env.len;) {
        const char *entry = env.data + at;
        size_t n = strnlen(entry, env.len - at);
        if (n > 5 && n < FSH_PATH_MAX && !memcmp(entry, "HOME=", 5))
            memcpy(home_dir, entry + 5, n - 5);
        if (n > 7 && n < FSH_PATH_MAX && !memcmp(entry, "TMPDIR=", 7))
            memcpy(temp_dir, entry + 7, n - 7);
        at += n + 1;
    }
    fsh_shim.places.run = run_dir;
    fsh_shim.places.home = home_dir;
    fsh_shim.places.temp = temp_dir[0] ? temp_dir : "/tmp";
}

/* --- the plan, bound to this process --- */

static int bind_plan(void) {
    const struct fsh_plan *plan = fsh_shim.plan;
    int e = fsh_plans_start(plan);
    if (e)
        return e;
    bool io = plan->profile->options.control == REACH_FULL;
    for (int call = 0; call < FSH_CALLS; call++)
        for (int kind = 0; kind < FSH_KINDS; kind++) {
            const char *family = fsh_classes[fsh_calls[call].class_of[kind]].family;
            io |= plan->on[call][kind].n && (!strcmp(family, "file") || !strcmp(family, "net"));
        }
    fsh_shim.records = plan->profile->options.record;
    fsh_shim.tracks = plan->needs_descriptors || fsh_shim.records & RECORD_RANDOM;
    fsh_shim.refuses_io_uring = io && plan->profile->options.io_uring == IO_URING_REFUSE;
    if (plan->profile->options.headstart == HEADSTART_NONE)
        atomic_store(&fsh_shim.session.header->headstart, 1);
    fsh_shim.replays = fsh_shim.session.header->script.size != 0;
    fsh_shim.generation = &fsh_shim.session.control->generation;
    fsh_shim.audited = fsh_shim.session.audited != NULL;
    return 0;
}

/* Whether some rule asks for how long the call would wait. */
static bool tells_time(int call) {
    for (int kind = 0; fsh_calls[call].roles.waits && kind < FSH_KINDS; kind++)
        for (unsigned i = 0; i < fsh_shim.plan->on[call][kind].n; i++)
            if (fsh_shim.plan->on[call][kind].v[i].flags & CAND_STATE)
                return true;
    return fsh_calls[call].roles.waits && fsh_shim.plan->profile->options.control == REACH_FULL;
}

/* Which calls are to be met, at whichever door. */
static void choose_calls(void) {
    for (int call = 0; call < FSH_CALLS; call++)
        fsh_armed[call] = (fsh_shim.plan->armed[call] ? WATCH_CONSIDER : 0) |
                          (fsh_shim.tracks && fsh_calls[call].roles.tracked ? WATCH_TRACK : 0);
    for (int call = 0; fsh_shim.plan->needs_links && call < FSH_CALLS; call++)
        if (fsh_calls[call].roles.fd && (fsh_calls[call].class_of[FSH_ON_STREAM] || fsh_calls[call].class_of[FSH_ON_DGRAM]))
            fsh_armed[call] |= WATCH_CONSIDER;
    for (int call = 0; fsh_shim.plan->has_detours && call < FSH_CALLS; call++)
        if (fsh_call_polls((enum fsh_call)call))
            fsh_armed[call] |= WATCH_CONSIDER;
    for (int call = 0; call < FSH_CALLS; call++) {
        bool heap = fsh_calls[call].class_of[FSH_ON_NONE] == C_MEMORY_ALLOC;
        if ((fsh_shim.plan->needs_files_settled && fsh_settles(call)) || (fsh_shim.plan->needs_live_bytes && heap) ||
            fsh_keeps_output((enum fsh_call)call))
            fsh_armed[call] |= WATCH_SETTLE;
        if (fsh_shim.plan->needs_files_settled && fsh_armed[call] & WATCH_CONSIDER &&
            fsh_calls[call].class_of[FSH_ON_FILE] != C_NONE)
            fsh_armed[call] |= WATCH_ARGS;
        if (tells_time(call))
            fsh_armed[call] |= WATCH_ARGS;
    }
    fsh_record_start();
    fsh_clock_start();
    if (fsh_shim.plan->profile->options.headstart == HEADSTART_LISTEN)
        fsh_armed[CALL_listen] |= WATCH_TRACK;
}

static void arm(void) {
    memcpy(fsh_watch, fsh_armed, sizeof fsh_watch);
    if (fsh_shim.sites)
        fsh_sites_arm();
}

/* `doors = sites` is an order; `auto` goes on with what there is, and says so. */
static int open_doors(char **env) {
    uint8_t doors = fsh_shim.plan->profile->options.doors;
    choose_calls();
    const char *wrong = doors == DOORS_SYMBOLS ? NULL : fsh_sites_start(env);
    if (!wrong)
        return 0;
    /* once in a run: its other processes mostly have the same reason */
    if (!atomic_fetch_add(&fsh_shim.session.header->without_sites, 1) || doors == DOORS_SITES)
        fsh_say(doors == DOORS_SITES ? "doors = sites: " : "no syscall doors, so what libc does inside itself is not seen: ", wrong,
                "");
    return doors == DOORS_SITES ? -ENOTSUP : 0;
}

/* --- children = skip: they start without us --- */

/* LD_PRELOAD's value without this library. */
static void preload_without_us(const char *from, char *to, size_t size) {
    size_t len = 0;
    while (*from) {
        size_t n = strcspn(from, ": ");
        bool ours = n == strlen(library) && !memcmp(from, library, n);
        bool ours_by_name = n >= 15 && !memcmp(from + n - 15, "libfaultshim.so", 15);
        if (n && !ours && !ours_by_name && len + n + 2 < size) {
            if (len)
                to[len++] = ':';
            memcpy(to + len, from, n);
            len += n;
        }
        from += n + (from[n] != 0);
    }
    to[len] = 0;
}

static void let_children_go(char **env) {
    static char entry[FSH_ENV_TEXT] = "LD_PRELOAD=";
    const char *preload = fsh_env(env, "LD_PRELOAD");
    preload_without_us(preload ? preload : "", entry + 11, sizeof entry - 11);
    for (char **e = env; *e; e++)
        if (!strncmp(*e, "LD_PRELOAD=", 11))
            *e = entry;
    if (!entry[11])
        drop_env(env, "LD_PRELOAD");
    drop_env(env, "FAULTSHIM_SESSION");
    if (fsh_shim.session.fd >= 0)
        fsh_sys3(SYS_fcntl, fsh_shim.session.fd, F_SETFD, FD_CLOEXEC);
}

/* --- threads --- */

static void write_thread(struct fsh_thread *t) {
    struct fsh_fields f = {.len = 0};
    char comm[17] = "";
    fsh_sys2(SYS_prctl, PR_GET_NAME, comm);
    fsh_put_u64(&f, fsh_tls.id.key);
    fsh_put_u64(&f, fsh_shim.process.key);
    fsh_put_text(&f, fsh_shim.process.name, strlen(fsh_shim.process.name));
    fsh_put_text(&f, fsh_tls.id.name, strlen(fsh_tls.id.name));
    fsh_put_varint(&f, (uint64_t)fsh_sys0(SYS_gettid));
    fsh_put_text(&f, comm, strlen(comm));
    fsh_pen_record(&t->pen, &fsh_shim.session, OP_THREAD, f.bytes, f.len);
}

static void write_process(struct fsh_thread *t) {
    struct fsh_fields f = {.len = 0};
    char comm[17] = "";
    fsh_sys2(SYS_prctl, PR_GET_NAME, comm);
    fsh_put_u64(&f, fsh_shim.process.key);
    fsh_put_text(&f, fsh_shim.process.name, strlen(fsh_shim.process.name));
    fsh_put_varint(&f, fsh_shim.owner.pid);
    fsh_put_varint(&f, (uint64_t)fsh_sys0(SYS_getppid));
    fsh_put_varint(&f, fsh_shim.owner.image);
    fsh_put_text(&f, program, strlen(program));
    fsh_put_text(&f, comm, strlen(comm));
    fsh_pen_record(&t->pen, &fsh_shim.session, OP_PROCESS, f.bytes, f.len);
}

static bool process_matches(const struct fsh_texts *globs, const char *comm) {
    return !globs->n || fsh_any_glob(globs, program, false) || fsh_any_glob(globs, comm, true) ||
           fsh_any_glob(globs, fsh_shim.process.name, true);
}

static bool thread_matches(const struct fsh_texts *globs, const char *comm) {
    return !globs->n || fsh_any_glob(globs, comm, true) || fsh_any_glob(globs, fsh_tls.id.name, true);
}

static void match_thread(struct fsh_thread *t, unsigned from) {
    char comm[17] = "";
    fsh_sys2(SYS_prctl, PR_GET_NAME, comm);
    for (unsigned i = from; i < t->n_rules; i++) {
        const struct fsh_rule *rule = fsh_shim.rules[i];
        bool lets = process_matches(&rule->process, comm) && thread_matches(&rule->thread, comm);
        t->matches[i / 64] = (t->matches[i / 64] & ~(UINT64_C(1) << i % 64)) | (uint64_t)lets << i % 64;
    }
}

/* Rules that have come since. */
void fsh_thread_learn_rules(struct fsh_thread *t) {
    unsigned from = t->n_rules;
    t->n_rules = atomic_load(&fsh_shim.n_rules);
    for (unsigned i = from; i < t->n_rules; i++)
        t->streams[i].position = t->streams[i].start = fsh_stream(fsh_shim.plan->seed, fsh_shim.rules[i]->hash, t->key);
    match_thread(t, from);
}

void fsh_thread_renamed(void) {
    if (!fsh_gate_close())
        return;
    match_thread(fsh_tls.thread, 0);
    write_thread(fsh_tls.thread);
    fsh_gate_open();
}

enum { SCRATCH_SIZE = FSH_SCRATCH * FSH_PATH_MAX };

static size_t thread_size(void) {
    const size_t n = fsh_shim.session.header->rules_room;
    size_t size = sizeof(struct fsh_thread) + 64 + (3 * n + (n + 63) / 64) * sizeof(uint64_t) + n * sizeof(struct fsh_rule_view);
    return ((size + 4095) & ~(size_t)4095) + SCRATCH_SIZE;
}

static void identify_thread(void) {
    struct fsh_tls *tls = &fsh_tls;
    if (tls->has_id)
        return;
    if (fsh_sys0(SYS_gettid) == (long)fsh_shim.owner.pid) {
        fsh_identity_main_thread(&tls->id);
    } else {
        /* made by a raw clone */
        uint32_t count = atomic_fetch_add(&unseen_threads, 1) + 1;
        memset(&tls->id, 0, sizeof tls->id);
        tls->id.name[0] = 'u';
        put_number(tls->id.name + 1, count);
        tls->id.key = fsh_fold(fsh_hash("u", 1), count);
    }
    tls->has_id = true;
}

/* `memory` is zeroed and wiped on fork. */
static struct fsh_thread *build_thread(void *memory, size_t size) {
    struct fsh_thread *t = memory;
    const unsigned n = fsh_shim.session.header->rules_room;
    t->size = size;
    t->plan = fsh_shim.plan;
    t->streams = (struct fsh_stream_state *)((char *)memory + ((sizeof *t + 63) & ~63ul));
    t->bytes = (uint64_t *)(t->streams + n);
    t->matches = t->bytes + n;
    t->views = (struct fsh_rule_view *)(t->matches + (n + 63) / 64);
    t->marks = atomic_load(&fsh_shim.session.control->marks);
    t->scratch = (void *)((char *)memory + size - SCRATCH_SIZE);
    t->key = fsh_key_of_thread(fsh_shim.process.key, fsh_tls.id.key);
    struct fsh_owner owner = fsh_shim.owner;
    owner.thread_key = fsh_tls.id.key;
    if (fsh_pen_open(&t->pen, &fsh_shim.session, &owner) && !t->pen.considered)
        return NULL;
    if (fsh_shim.audited) {
        t->audited = fsh_session_audited(&fsh_shim.session, (uint32_t)fsh_sys0(SYS_gettid), true);
        if (!t->audited)
            atomic_fetch_add(&fsh_shim.session.header->unaudited, 1);
    }
    fsh_tls.thread = t;
    fsh_thread_learn_rules(t);
    if (fsh_tls.id.key == 0)
        write_process(t);
    write_thread(t);
    fsh_replay_begin(t);
    fsh_record_begin(t);
    t->known = 1;
    return t;
}

static struct fsh_thread *new_thread(void) {
    identify_thread();
    size_t size = thread_size();
    void *memory = allocate(size);
    struct fsh_thread *t = NULL;
    if (memory) {
        fsh_sys3(SYS_madvise, memory, size, MADV_WIPEONFORK);
        t = build_thread(memory, size);
    }
    if (!t)
        atomic_fetch_add(&fsh_shim.session.header->untraced, 1);
    else if (has_exit_key)
        pthread_setspecific(exit_key, t);
    return t;
}

static COLD void become_child(void);

/* 1, in memory that fork wipes: the thread that forked may have had none of its own yet. */
static uint32_t *adopted;

/* With the gate closed; returns with the gate closed. */
struct fsh_thread *fsh_thread_attach(void) {
    uint64_t mask = fsh_block_signals();
    struct fsh_thread *t = fsh_tls.thread;
    if (t->known) {
        t->gate = 0; /* a signal handler came in between, and was first */
    } else {
        if (!*adopted)
            become_child();
        t = t == fsh_thread_none() ? new_thread() : build_thread(t, thread_size());
    }
    fsh_restore_signals(mask);
    return t;
}

/* Names are given by a process and a thread that know their own. */
static void know_oneself(void) {
    if (!fsh_tls.thread->known && fsh_gate_close())
        fsh_gate_open();
    identify_thread();
}

void fsh_thread_name_next(struct fsh_identity *id) {
    fsh_threaded = true;
    know_oneself();
    fsh_identity_thread(id, &fsh_tls.id, ++fsh_tls.creations);
}

void fsh_thread_start(const struct fsh_identity *id) {
    fsh_tls.id = *id;
    fsh_tls.has_id = true;
}

/* A destructor of thread-specific data: runs again until the last round, so that what other destructors do is still decided. */
static void thread_exits(void *value) {
    struct fsh_tls *tls = &fsh_tls;
    if (++tls->destructor_rounds < 4 && pthread_setspecific(exit_key, value) == 0)
        return;
    struct fsh_thread *t = tls->thread;
    if (t == fsh_thread_none() || !t->known || fsh_shim.retired)
        return;
    t->gate = 0;
    tls->late = true;
    tls->thread = fsh_thread_none();
    fsh_pen_close(&t->pen, &fsh_shim.session);
    fsh_sys2(SYS_munmap, t, t->size);
}

/* --- fork --- */

static uint64_t main_key(void) {
    struct fsh_identity main;
    fsh_identity_main_thread(&main);
    return main.key;
}

void fsh_fork_before(void) {
    struct fsh_tls *tls = &fsh_tls;
    know_oneself();
    fsh_connections_fork_before();
    fsh_identity_child(&tls->child, &fsh_shim.process, &tls->id, ++tls->forks);
    if (my_state && tls->id.key == main_key())
        atomic_store(&my_state->forks, tls->forks);
    tls->has_child = true;
}

void fsh_fork_parent(int pid) {
    fsh_tls.has_child = false;
    if (pid <= 0 || !fsh_gate_close())
        return;
    struct fsh_fields f = {.len = 0};
    fsh_put_u64(&f, fsh_session_now(&fsh_shim.session));
    fsh_put_varint(&f, (uint64_t)pid);
    fsh_put_text(&f, fsh_tls.child.name, strlen(fsh_tls.child.name));
    fsh_pen_record(&fsh_tls.thread->pen, &fsh_shim.session, OP_FORK, f.bytes, f.len);
    fsh_gate_open();
}

/* In the child, whose thread memory has been wiped. */
static COLD void become_child(void) {
    struct fsh_tls *tls = &fsh_tls;
    struct fsh_owner *me = &fsh_shim.owner;
    if (tls->has_child)
        fsh_shim.process = tls->child;
    else
        name_unseen_child(my_state);
    *adopted = 1;
    tls->has_child = false;
    tls->forks = tls->creations = tls->unnamed = 0;
    fsh_identity_main_thread(&tls->id);
    tls->has_id = true;
    atomic_store(&unseen_threads, 0);
    memmove(fsh_shim.places.pids + 1, fsh_shim.places.pids, 3 * sizeof *fsh_shim.places.pids);
    me->pid = fsh_shim.places.pids[0] = (uint32_t)fsh_sys0(SYS_getpid);
    me->started = start_ticks();
    me->image = 0;
    me->process_key = fsh_shim.process.key;
    enter_in_table();
    atomic_fetch_add(&fsh_shim.session.header->attached, 1);
    fsh_facts_fork();
    fsh_stack_fork();
}

void fsh_fork_child(void) {
    int e = errno;
    if (fsh_gate_close())
        fsh_gate_open();
    errno = e;
}

/* --- start --- */

/* The session has the profile's text: whatever happens to the file meanwhile, all processes of a run follow the same rules. */
static int read_plan(void) {
    struct fsh_text text = fsh_session_meta(&fsh_shim.session, META_PROFILE);
    struct rules rules;
    int e = parse(&rules, text.data, text.len, "profile");
    if (!e && rules.profile->n_rules != fsh_shim.session.header->n_rules)
        e = -EBADMSG;
    return e ? e : settle_plan(&rules, fsh_shim.session.header->seed);
}

static int start_run(char **env) {
    const char *session = fsh_env(env, "FAULTSHIM_SESSION"), *profile = fsh_env(env, "FAULTSHIM_PROFILE");
    if (session && *session) {
        int e = join(session);
        return e ? e : read_plan();
    }
    return profile && *profile ? create(env, profile) : 1;
}

int fsh_session_start(char **env) {
    const char *on_error = fsh_env(env, "FAULTSHIM_ON_ERROR");
    bool joins = fsh_env(env, "FAULTSHIM_SESSION") != NULL;
    know_own_paths();
    int e = start_run(env);
    if (e == 1)
        return 1;
    if (!e)
        e = bind_plan();
    if (!e)
        e = open_doors(env);
    if (e)
        fsh_shim.plan = NULL; /* main then begins without us */
    if (e && joins) {
        fsh_say("the run's session cannot be joined by ", program, ": no faults and no trace here");
        return 1;
    }
    if (e) {
        if (!on_error || strcmp(on_error, "ignore") != 0)
            fsh_sys1(SYS_exit_group, EXIT_OWN_ERROR);
        return 1;
    }
    find_places();
    adopted = allocate(FSH_PAGE);
    if (!adopted)
        return 1;
    fsh_sys3(SYS_madvise, adopted, FSH_PAGE, MADV_WIPEONFORK);
    *adopted = 1;
    find_identity(env);
    fsh_facts_start();
    fsh_replies_load(fsh_shim.plan->profile);
    if (fsh_shim.plan->profile->options.children == CHILDREN_SKIP)
        let_children_go(env);
    bool places = fsh_shim.replays && fsh_replay_is_placing();
    if ((fsh_shim.plan->needs_stacks || places) && !fsh_stack_start())
        fsh_say("libunwind.so.8 cannot be loaded: the trace has no call stacks, rules that look at them never fire", "", "");
    const char *file;
    e = fsh_state_start(&file);
    if (e) {
        fsh_say(file, ": can't be used as the memory of once-per-stack", "");
        if (!on_error || strcmp(on_error, "ignore") != 0)
            fsh_sys1(SYS_exit_group, EXIT_OWN_ERROR);
        return 1;
    }
    if (fsh_shim.replays)
        fsh_plans_get_all();
    has_exit_key = pthread_key_create(&exit_key, thread_exits) == 0;
    fsh_tls.has_id = false;
    return 0;
}

void fsh_session_ready(void) {
    if (!fsh_shim.plan || fsh_shim.ready)
        return;
    arm();
    fsh_shim.ready = true;
    if (my_state)
        atomic_store(&my_state->ready, fsh_shim.owner.image + 1);
    if (fsh_gate_close())
        fsh_gate_open();
}

/* --- the environment of children --- */

static bool is_var(const char *entry, const char *name) {
    size_t n = strlen(name);
    return !strncmp(entry, name, n) && entry[n] == '=';
}

static size_t page_of(const void *p) {
    return (uintptr_t)p / FSH_PAGE;
}

/* exec(2) answers EFAULT for what can't be read, so that is asked first: once for each page that differs from the one before. */
bool fsh_env_measure(char *const *env, size_t *entries, size_t *text) {
    size_t array = 0, strings = 0;
    *entries = 0;
    *text = strlen(library) + sizeof((struct fsh_identity *)0)->name + 64;
    for (; env; env++) {
        if (page_of(env) != array && !fsh_can_read(env, sizeof *env))
            return false;
        array = page_of(env);
        if (!*env)
            break;
        if (page_of(*env) != strings && !fsh_can_read(*env, 1))
            return false;
        strings = page_of(*env);
        if (is_var(*env, "LD_PRELOAD"))
            *text += strlen(*env);
        (*entries)++;
    }
    return true;
}

/* In another root, or as another user, there may be no way to this library any more. ld.so would say so on the program's stderr. */
static bool library_is_there(void) {
    return !library[0] || fsh_sys3(SYS_faccessat, AT_FDCWD, library, R_OK) == 0;
}

static char *put(char **p, const char *end, const char *a, const char *b, const char *c) {
    char *start = *p;
    if (strlen(a) + strlen(b) + strlen(c) + 1 > (size_t)(end - start))
        return NULL;
    strcpy(start, a);
    strcat(start, b);
    strcat(start, c);
    *p += strlen(start) + 1;
    return start;
}

void fsh_env_for_child(char *const *env, const struct fsh_identity *child, char **out, char *text, size_t size) {
    char *p = text, *end = text + size, *entry;
    size_t n = 0;
    const char *preload = "";
    for (; env && *env; env++) {
        if (is_var(*env, "LD_PRELOAD"))
            preload = *env + 11;
        else if (!is_var(*env, "FAULTSHIM_SESSION") && !is_var(*env, "FAULTSHIM_PROFILE") && !is_var(*env, "FAULTSHIM_CHILD"))
            out[n++] = *env;
    }
    if (!library_is_there()) {
        entry = put(&p, end, "LD_PRELOAD=", preload, "");
        if (entry)
            preload_without_us(preload, entry + 11, (size_t)(end - entry) - 11);
        if (entry && entry[11])
            out[n++] = entry;
        out[n] = NULL;
        return;
    }
    bool has_us = strstr(preload, library) != NULL;
    entry = has_us ? put(&p, end, "LD_PRELOAD=", preload, "") : put(&p, end, "LD_PRELOAD=", library, *preload ? ":" : "");
    if (entry && !has_us && *preload && strlen(preload) + 1 < (size_t)(end - p)) {
        p--; /* over the NUL: one string */
        strcpy(p, preload);
        p += strlen(p) + 1;
    }
    if (entry)
        out[n++] = entry;
    out[n++] = session_env;
    char name[32];
    size_t digits = put_number(name, fsh_shim.owner.pid);
    memcpy(name + digits, ":", 2);
    char set_by[64] = "FAULTSHIM_CHILD=";
    strcat(set_by, name);
    if (child && (entry = put(&p, end, set_by, child->name, "")))
        out[n++] = entry;
    out[n] = NULL;
}

bool fsh_children_follow(void) {
    return fsh_shim.plan && !fsh_shim.retired && fsh_shim.plan->profile->options.children == CHILDREN_FOLLOW;
}

/* As fsh_env_for_child leaves it: the doors of the exec family have been here. */
static bool is_made_by_us(char *const *env, bool names_child) {
    const char *preload = fsh_env(env, "LD_PRELOAD"), *session = fsh_env(env, "FAULTSHIM_SESSION");
    return preload && strstr(preload, library) && session && !strcmp(session, strchr(session_env, '=') + 1) &&
           (!names_child || fsh_env(env, "FAULTSHIM_CHILD"));
}

char *const *fsh_env_in_memory(char *const *env, bool of_child, size_t *size) {
    const struct fsh_identity *child = of_child && fsh_tls.has_child ? &fsh_tls.child : NULL;
    size_t entries, text;
    if (!fsh_children_follow() || !fsh_env_measure(env, &entries, &text) || is_made_by_us(env, child != NULL))
        return NULL;
    size_t table = (entries + FSH_ENV_EXTRA + 1) * sizeof(char *);
    *size = (table + text + FSH_PAGE - 1) & ~(size_t)(FSH_PAGE - 1);
    char *p = allocate(*size);
    if (p)
        fsh_env_for_child(env, child, (char **)p, p + table, *size - table);
    return (char *const *)p;
}
