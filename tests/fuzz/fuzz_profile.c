/* libFuzzer: any bytes as a profile, then as a one-liner. What is accepted must compile into a plan within the memory that
 * fsh_arena_need promised, and decide without harm; what is refused must say so in one line. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "decide.h"
#include "draw.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct fsh_error *error) {
    if (!memchr(error->text, '\0', sizeof error->text) || strchr(error->text, '\n') || !strstr(error->text, ": "))
        abort();
}

static void decide(const struct fsh_plan *plan) {
    for (unsigned c = 0; c < FSH_CALLS; c++)
        for (unsigned k = 0; k < FSH_KINDS; k++)
            for (unsigned i = 0; i < plan->on[c][k].n; i++) {
                const struct fsh_candidate *cand = &plan->on[c][k].v[i];
                const struct fsh_rule *rule = &plan->profile->rules[cand->rule];
                struct fsh_facts facts = {.call = (uint16_t)c, .kind = (uint8_t)k, .size = (c * 997) << k};
                struct fsh_verdict verdict = {0};
                uint64_t word = fsh_draw(rule->hash, c);
                uint32_t able = fsh_alternatives(rule, cand, &facts);
                (void)fsh_fires(rule, c, k, facts.size, word);
                if (able & ~cand->alternatives)
                    abort();
                if (able)
                    fsh_choose(rule, able, &facts, word, &verdict);
            }
}

static void load(const char *text, size_t len) {
    static struct fsh_plan plan;
    struct fsh_profile profile;
    struct fsh_error error;
    struct fsh_arena arena = {.size = fsh_arena_need(len)};
    arena.base = malloc(arena.size);
    if (!arena.base)
        return;
    int r = fsh_profile_parse(&profile, &arena, text, len, "fuzz.ini", &error);
    if (r == 0)
        r = fsh_plan_build(&plan, &profile, len, &arena, &error);
    if (r == -EINVAL)
        check_error(&error);
    else if (r != 0)
        abort(); /* the memory did not suffice */
    else
        decide(&plan);
    free(arena.base);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char line[FSH_LINE_MAX], section[2 * FSH_LINE_MAX];
    struct fsh_error error;
    load((const char *)data, size);
    if (size < sizeof line) {
        memcpy(line, data, size);
        line[size] = '\0';
        int n = fsh_profile_one_liner(section, sizeof section, line, "r1", &error);
        if (n >= 0)
            load(section, (size_t)n);
        else if (n == -EINVAL)
            check_error(&error);
    }
    return 0;
}
