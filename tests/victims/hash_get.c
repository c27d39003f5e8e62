/* hash_get: a program that exports names which an interposer might use itself. Its own functions must be the ones called,
 * here and by the libraries that it loads. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

#include "victim.h"

static int called;

#define OWN(name)                                                                                                                  \
    int name(void);                                                                                                                \
    int name(void) {                                                                                                               \
        return ++called;                                                                                                           \
    }
OWN(hash_get)
OWN(ini_parse)
OWN(ini_parse_stream)
OWN(fsh_mix)
OWN(fsh_glob)
OWN(fsh_plan_build)
OWN(fsh_session_map)
OWN(gate)
OWN(real)
OWN(decide)
OWN(init)
OWN(session)

int main(void) {
    static const char *const names[] = {
        "hash_get", "ini_parse", "ini_parse_stream", "fsh_mix", "fsh_glob", "fsh_plan_build", "fsh_session_map",
        "gate",     "real",      "decide",           "init",    "session"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int before = called;
        int (*function)(void) = (int (*)(void))(uintptr_t)dlsym(RTLD_DEFAULT, names[i]);
        void *volatile p = malloc(100);
        CHECK(p);
        free(p);
        CHECK(function && called == before && function() == before + 1);
    }
    puts("own functions");
    return 0;
}
