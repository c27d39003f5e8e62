/* engine_test.h: what the engine's unit tests share: cmocka, and a profile and plan on memory of their own. */
#ifndef ENGINE_TEST_H
#define ENGINE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"

struct loaded {
    struct fsh_arena arena;
    struct fsh_profile profile;
    struct fsh_plan plan;
    struct fsh_error error;
};

static inline struct loaded *load_new(size_t len) {
    struct loaded *loaded = calloc(1, sizeof *loaded);
    assert_non_null(loaded);
    loaded->arena.size = fsh_arena_need(len);
    loaded->arena.base = malloc(loaded->arena.size);
    assert_non_null(loaded->arena.base);
    return loaded;
}

static inline void unload(struct loaded *loaded) {
    free(loaded->arena.base);
    free(loaded);
}

/* Parses and compiles; the result is in *result. */
static inline struct loaded *try_load(const char *text, size_t len, uint64_t seed, int *result) {
    struct loaded *loaded = load_new(len);
    *result = fsh_profile_parse(&loaded->profile, &loaded->arena, text, len, "p.ini", &loaded->error);
    if (*result == 0)
        *result = fsh_plan_build(&loaded->plan, &loaded->profile, seed, &loaded->arena, &loaded->error);
    return loaded;
}

static inline struct loaded *load_seeded(const char *text, uint64_t seed) {
    int result;
    struct loaded *loaded = try_load(text, strlen(text), seed, &result);
    if (result != 0)
        fail_msg("%s", loaded->error.text);
    return loaded;
}

static inline struct loaded *load(const char *text) {
    return load_seeded(text, 1);
}

#endif
