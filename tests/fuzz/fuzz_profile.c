/* libFuzzer: any bytes as a profile, then as a one-liner. What is accepted must compile into a plan within the memory that
 * fsh_arena_need promised, and decide without harm; what is refused must say so in one line. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "decide.h"
#include "draw.h"
#include "schedule.h"

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
                (void)fsh_fires(rule, rule->probability.threshold, c, k, facts.size, word);
                if (able & ~cand->alternatives)
                    abort();
                if (able)
                    fsh_choose(rule, able, &facts, word, &verdict);
            }
}

/* Positions near every edge: a level has its bounds, and a change lies ahead. */
static void look_at_phases(const struct fsh_profile *profile) {
    struct fsh_levels levels;
    const struct fsh_override override = {0};
    fsh_levels_reset(&levels);
    for (unsigned i = 0; i < profile->n_phases; i++) {
        const struct fsh_phase *phase = &profile->phases[i];
        const uint64_t at[] = {0, phase->from - 1, phase->from, phase->from + phase->span, phase->to - 1, phase->to, UINT64_MAX};
        for (size_t k = 0; k < sizeof at / sizeof *at; k++) {
            uint64_t next = fsh_phase_next(phase, at[k]);
            levels.level[i] = fsh_phase_level(phase, at[k]);
            if (levels.level[i] > FSH_LEVEL_FULL || (next <= at[k] && next != UINT64_MAX))
                abort();
        }
    }
    for (unsigned i = 0; i < profile->n_rules; i++)
        (void)fsh_rule_threshold(profile, &profile->rules[i], &levels, &override);
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
        decide(&plan), look_at_phases(&profile);
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
