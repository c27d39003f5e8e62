/* init.c: the beginning. The constructor joins or creates the run; the door of __libc_start_main opens the gate when main begins,
 * so that no call of ld.so's or of a library's constructor is ever decided. */
#include "doors.h"
#include "session.h"

#define EXTRA(name, ret, params) ret fsh_door_##name params DOOR(name);
#include "extras.def"

static int (*program_main)(int, char **, char **);

static int clock_by_vdso(int clock, void *ts) {
    return fsh_real.clock_gettime(clock, ts);
}

__attribute__((constructor(101))) static void start(int argc, char **argv, char **env) {
    int e = errno;
    fsh_real_resolve_all();
    fsh_clock = clock_by_vdso;
    fsh_session_start(env);
    errno = e;
}

static int begin_main(int argc, char **argv, char **env) {
    fsh_session_ready();
    return program_main(argc, argv, env);
}

int fsh_door___libc_start_main(int (*main_)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*fini)(void),
                               void (*rtld_fini)(void), void *stack_end) {
    if (!fsh_real.__libc_start_main)
        fsh_real_resolve_all();
    program_main = main_;
    return fsh_real.__libc_start_main(begin_main, argc, argv, init, fini, rtld_fini, stack_end);
}

/* AddressSanitizer ends a program that has another library before its own. That is no mistake here: our doors lead to its
 * interceptors. The command puts it first, but cannot for programs that a shell starts. Defaults of the program's own come first.
 */
const char *fsh_door___asan_default_options(void) {
    return "verify_asan_link_order=0";
}
