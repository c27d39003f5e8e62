/* The level of a phase at each position, where it changes next, and what becomes of a rule's probability. */
#include "engine_test.h"
#include "schedule.h"

#include <stdio.h>

#define RULES "[rule a]\ncalls = write\nfault = error EIO\nprobability = 50%\nphase = p\n[phase p]\n"

static const struct fsh_phase *first_phase(const struct loaded *loaded) {
    assert_true(loaded->profile.n_phases >= 1);
    return &loaded->profile.phases[0];
}

/* One character for each of 24 operations: '.' off, '#' full, a digit for tenths. */
static void assert_levels(const char *lines, const char *wanted) {
    char text[512], got[25] = "";
    snprintf(text, sizeof text, "%s%s", RULES, lines);
    struct loaded *loaded = load(text);
    for (unsigned i = 0; i < 24; i++) {
        uint32_t level = fsh_phase_level(first_phase(loaded), i);
        got[i] = level == 0 ? '.' : level == FSH_LEVEL_FULL ? '#' : (char)('0' + level * 10 / FSH_LEVEL_FULL);
    }
    assert_string_equal(got, wanted);
    unload(loaded);
}

static void a_phase_is_on_between_its_ends(void **state) {
    assert_levels("", "########################");
    assert_levels("from = 5 ops\n", ".....###################");
    assert_levels("to = 5 ops\n", "#####...................");
    assert_levels("from = 5 ops\nto = 7 ops\n", ".....##.................");
    assert_levels("from = 2 ops\nintensity = 30%\n", "..2222222222222222222222");
}

static void bursts_repeat(void **state) {
    assert_levels("every = 5 ops for 2 ops\n", "##...##...##...##...##..");
    assert_levels("from = 3 ops\nto = 12 ops\nevery = 5 ops for 2 ops\n", "...##...##..............");
}

static void a_ramp_has_both_of_its_ends(void **state) {
    assert_levels("to = 24 ops\nintensity = 0%..100%\n", ".00112223344555667778899");
    struct loaded *loaded = load(RULES "from = 1s\nto = 11s\nintensity = 100%..0%\n");
    const struct fsh_phase *phase = first_phase(loaded);
    const uint64_t s = 1000000000;
    assert_int_equal(fsh_phase_level(phase, s - 1), 0);
    assert_int_equal(fsh_phase_level(phase, s), FSH_LEVEL_FULL);
    assert_int_equal(fsh_phase_level(phase, 11 * s - 1), 0);
    unload(loaded);
}

/* Nothing changes before the position that fsh_phase_next gives, and something may there. */
static void assert_next_is_right(const char *lines) {
    char text[512];
    snprintf(text, sizeof text, "%s%s", RULES, lines);
    struct loaded *loaded = load(text);
    const struct fsh_phase *phase = first_phase(loaded);
    uint64_t next = 0;
    uint32_t level = 0;
    for (uint64_t at = 0; at < 3000; at++) {
        uint32_t here = fsh_phase_level(phase, at);
        if (at < next && here != level)
            fail_msg("%s: the level changes at %u, before %u", lines, (unsigned)at, (unsigned)next);
        level = here;
        if (at >= next || at == 0) {
            next = fsh_phase_next(phase, at);
            assert_true(next > at);
        }
    }
    unload(loaded);
}

static void the_next_change_is_never_too_late(void **state) {
    assert_next_is_right("");
    assert_next_is_right("from = 100 ops\nto = 2000 ops\n");
    assert_next_is_right("from = 100 ops\nto = 2000 ops\nintensity = 10%..90%\n");
    assert_next_is_right("from = 7 ops\nto = 40 ops\nintensity = 90%..10%\n");
    assert_next_is_right("every = 50 ops for 20 ops\n");
    assert_next_is_right("from = 33 ops\nevery = 333 ops for 100 ops\nintensity = 0%..100%\n");
    assert_next_is_right("from = 33 ops\nto = 2900 ops\nevery = 333 ops for 100 ops\nintensity = 1%..100%\n");
}

static void positions_do_not_overflow(void **state) {
    struct loaded *loaded =
        load(RULES "from = 1000000000000000000 ops\nevery = 18446744073709551615 ops for 18446744073709551614 ops\n");
    const struct fsh_phase *phase = first_phase(loaded);
    assert_int_equal(fsh_phase_level(phase, UINT64_MAX), 0); /* to is not in it, even where there is none */
    assert_int_equal(fsh_phase_level(phase, UINT64_MAX - 1), FSH_LEVEL_FULL);
    assert_true(fsh_phase_next(phase, UINT64_MAX - 2) == UINT64_MAX);
    unload(loaded);
}

/* --- rules --- */

static uint64_t half(void) {
    return UINT64_C(1) << 63;
}

static struct fsh_levels nothing(void) {
    struct fsh_levels levels;
    fsh_levels_reset(&levels);
    return levels;
}

static void a_rule_has_its_phase_and_the_run(void **state) {
    struct loaded *loaded = load(RULES "from = 1s\n");
    const struct fsh_rule *rule = loaded->profile.rules;
    struct fsh_levels levels = nothing();
    struct fsh_override set = {0};
    assert_int_equal(fsh_rule_threshold(&loaded->profile, rule, &levels, &set), 0);
    levels.level[0] = FSH_LEVEL_FULL;
    assert_true(fsh_rule_threshold(&loaded->profile, rule, &levels, &set) == half());
    levels.level[0] = FSH_LEVEL_FULL / 2;
    assert_true(fsh_rule_threshold(&loaded->profile, rule, &levels, &set) == half() / 2);
    levels.intensity = FSH_LEVEL_FULL / 4;
    assert_true(fsh_rule_threshold(&loaded->profile, rule, &levels, &set) == half() / 8);
    set = (struct fsh_override){.has_chance = true, .chance = UINT64_MAX};
    assert_true(fsh_rule_threshold(&loaded->profile, rule, &levels, &set) == half() / 4);
    levels.intensity = levels.level[0] = FSH_LEVEL_FULL;
    assert_true(fsh_rule_threshold(&loaded->profile, rule, &levels, &set) == UINT64_MAX);
    set.off = true;
    assert_int_equal(fsh_rule_threshold(&loaded->profile, rule, &levels, &set), 0);
    unload(loaded);
}

static void of_several_phases_the_strongest_counts(void **state) {
    struct loaded *loaded = load("[rule a]\ncalls = write\nfault = error EIO\nphase = p q\n[phase p]\n[phase q]\n");
    struct fsh_levels levels = nothing();
    const struct fsh_override set = {0};
    levels.level[0] = FSH_LEVEL_FULL / 8;
    levels.level[1] = FSH_LEVEL_FULL / 2;
    assert_true(fsh_rule_threshold(&loaded->profile, loaded->profile.rules, &levels, &set) == half());
    unload(loaded);
}

static void events_open_or_raise(void **state) {
    static const struct {
        const char *on;
        uint32_t runs; /* 0: not on */
        double wanted;
    } cases[] = {
        {"on = mark x\n", 0, 0},
        {"on = mark x\n", 1, 0.25},
        {"on = mark x raises to 50%\n", 0, 0.25},
        {"on = mark x raises to 50%\n", 3, 0.5},
        {"on = mark x raises to 10%\n", 3, 0.25},
        {"on = mark x raises by 25%\n", 1, 0.5},
        {"on = mark x raises by 25%\n", 2, 0.75},
        {"on = mark x raises by 25%\n", 4000000000u, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        snprintf(text, sizeof text, "[rule a]\ncalls = write\nfault = error EIO\nprobability = 25%%\n%s", cases[i].on);
        struct loaded *loaded = load(text);
        struct fsh_levels levels = nothing();
        const struct fsh_override set = {0};
        levels.runs[0] = cases[i].runs;
        levels.level[0] = cases[i].runs ? FSH_LEVEL_FULL : 0;
        uint64_t got = fsh_rule_threshold(&loaded->profile, loaded->profile.rules, &levels, &set);
        uint64_t wanted = cases[i].wanted == 1 ? UINT64_MAX : (uint64_t)(cases[i].wanted * 0x1p64);
        if (got != wanted)
            fail_msg("%s with %u events", cases[i].on, cases[i].runs);
        unload(loaded);
    }
}

static void names_become_numbers(void **state) {
    struct loaded *loaded =
        load("[rule a]\ncalls = write\nfault = error EIO\nphase = q\non = rule b fired raises by 5% for 10 ops\n"
             "[phase q]\nto = 5s\non = rule a fired\n[rule b]\ncalls = read\nfault = error EIO\n");
    const struct fsh_rule *a = &loaded->profile.rules[0], *b = &loaded->profile.rules[1];
    const struct fsh_phase *on = &loaded->profile.phases[0], *q = &loaded->profile.phases[1];
    assert_int_equal(loaded->profile.n_phases, 2);
    assert_true(on->of_rule && on->unit == UNIT_OPS && on->to == 10 && on->raise == RAISE_BY);
    assert_true(!q->of_rule && q->unit == UNIT_TIME && q->event == EVENT_FIRED && q->event_rule == 0);
    assert_true(a->phases == 2 && a->events == 1 && a->starts == 2 && a->by_time && a->by_ops);
    assert_true(b->phases == 0 && b->events == 0 && b->starts == 1 && !b->by_time && !b->by_ops);
    assert_true(loaded->plan.on[CALL_write][FSH_ON_FILE].v[0].flags & CAND_PHASED);
    assert_false(loaded->plan.on[CALL_read][FSH_ON_FILE].v[0].flags & CAND_PHASED);
    unload(loaded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_phase_is_on_between_its_ends),
        cmocka_unit_test(bursts_repeat),
        cmocka_unit_test(a_ramp_has_both_of_its_ends),
        cmocka_unit_test(the_next_change_is_never_too_late),
        cmocka_unit_test(positions_do_not_overflow),
        cmocka_unit_test(a_rule_has_its_phase_and_the_run),
        cmocka_unit_test(of_several_phases_the_strongest_counts),
        cmocka_unit_test(events_open_or_raise),
        cmocka_unit_test(names_become_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
