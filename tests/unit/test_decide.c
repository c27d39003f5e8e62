/* Decisions: who can act, when it fires, what is drawn. */
#include <stdio.h>

#include "decide.h"
#include "draw.h"
#include "engine_test.h"

static bool fires(const struct fsh_rule *rule, uint64_t ordinal, uint64_t bytes, uint64_t size, uint64_t word) {
    return fsh_fires(rule, rule->probability.threshold, ordinal, bytes, size, word);
}

static struct loaded *rule_of(const char *calls, const char *faults, const char *lines) {
    char text[600];
    snprintf(text, sizeof text, "[rule a]\ncalls = %s\nfault = %s\n%s", calls, faults, lines);
    return load(text);
}

static uint32_t alternatives(const struct loaded *loaded, struct fsh_facts facts) {
    const struct fsh_candidates *list = &loaded->plan.on[facts.call][facts.kind];
    return list->n ? fsh_alternatives(loaded->profile.rules, list->v, &facts) : 0;
}

static void bursts_are_the_chain_step_by_step(void **state) {
    static const char *const models[] = {"gemodel 5% 25%", "gemodel 60% 70%", "gemodel 1% 100%", "gemodel 100% 0%"};
    (void)state;
    for (unsigned m = 0; m < sizeof models / sizeof *models; m++) {
        char fault[40];
        snprintf(fault, sizeof fault, "loss %s", models[m]);
        struct loaded *loaded = rule_of("send", fault, "");
        const struct fsh_rule *rule = loaded->profile.rules;
        bool bad = false;
        for (unsigned i = 0; i < 3000; i++) {
            uint64_t word = fsh_draw(9, i);
            bad = bad ? word < UINT64_MAX - rule->burst.heals : word < rule->burst.worsens;
            assert_int_equal(fsh_fires(rule, UINT64_MAX, i, 0, 10, word), bad);
            if (i)
                assert_true(fsh_earlier_word(word) == fsh_draw(9, i - 1));
        }
        unload(loaded);
    }
}

static void short_needs_two_bytes(void **state) {
    struct loaded *loaded = rule_of("read write", "short", "");
    (void)state;
    assert_int_equal(alternatives(loaded, (struct fsh_facts){.call = CALL_write, .kind = FSH_ON_FILE, .size = 0}), 0);
    assert_int_equal(alternatives(loaded, (struct fsh_facts){.call = CALL_write, .kind = FSH_ON_FILE, .size = 1}), 0);
    assert_int_equal(alternatives(loaded, (struct fsh_facts){.call = CALL_write, .kind = FSH_ON_FILE, .size = 2}), 1);
    unload(loaded);
}

static void pipe_writes_of_pipe_buf_are_atomic(void **state) {
    struct loaded *loaded = rule_of("read write", "short", "");
    (void)state;
    assert_int_equal(alternatives(loaded, (struct fsh_facts){.call = CALL_write, .kind = FSH_ON_PIPE, .size = 4096}), 0);
    assert_int_equal(alternatives(loaded, (struct fsh_facts){.call = CALL_write, .kind = FSH_ON_PIPE, .size = 4097}), 1);
    assert_int_equal(alternatives(loaded, (struct fsh_facts){.call = CALL_read, .kind = FSH_ON_PIPE, .size = 2}), 1);
    unload(loaded);
}

static void direct_transfers_keep_their_alignment(void **state) {
    struct loaded *loaded = rule_of("write", "short", "");
    struct fsh_facts facts = {.call = CALL_write, .kind = FSH_ON_FILE, .direct = true, .size = 8191};
    struct fsh_verdict verdict = {0};
    (void)state;
    assert_int_equal(alternatives(loaded, facts), 0);
    facts.size = 16 * 4096;
    assert_int_equal(alternatives(loaded, facts), 1);
    for (unsigned i = 0; i < 1000; i++) {
        fsh_choose(loaded->profile.rules, 1, &facts, fsh_draw(5, i), &verdict);
        assert_true(verdict.amount % 4096 == 0 && verdict.amount > 0 && verdict.amount < facts.size);
    }
    unload(loaded);
}

static void eagain_needs_a_nonblocking_descriptor(void **state) {
    struct loaded *loaded = rule_of("recv", "error EAGAIN", "");
    struct fsh_facts facts = {.call = CALL_recv, .kind = FSH_ON_STREAM, .size = 10};
    struct fsh_verdict verdict = {0};
    (void)state;
    assert_int_equal(alternatives(loaded, facts), 0);
    facts.nonblocking = true;
    assert_int_equal(alternatives(loaded, facts), 1);
    unload(loaded);
    loaded = rule_of("recv", "error EAGAIN ECONNRESET", "");
    facts.nonblocking = false;
    assert_int_equal(alternatives(loaded, facts), 1);
    for (unsigned i = 0; i < 100; i++) {
        fsh_choose(loaded->profile.rules, 1, &facts, fsh_draw(5, i), &verdict);
        assert_int_equal(verdict.error, ECONNRESET);
    }
    unload(loaded);
    loaded = rule_of("fork", "error EAGAIN", "");
    facts = (struct fsh_facts){.call = CALL_fork, .kind = FSH_ON_NONE};
    assert_int_equal(alternatives(loaded, facts), 1);
    unload(loaded);
    loaded = rule_of("connect", "error EINPROGRESS", "any-errno = yes\n");
    facts = (struct fsh_facts){.call = CALL_connect, .kind = FSH_ON_STREAM};
    assert_int_equal(alternatives(loaded, facts), 1);
    unload(loaded);
}

static void errnos_are_drawn_only_where_legal(void **state) {
    struct loaded *loaded = rule_of("write", "error ENOSPC ECONNRESET EPIPE", "");
    struct fsh_verdict verdict = {0};
    unsigned reset = 0, pipe = 0;
    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        struct fsh_facts facts = {.call = CALL_write, .kind = FSH_ON_FILE, .size = 10};
        fsh_choose(loaded->profile.rules, 1, &facts, fsh_draw(5, i), &verdict);
        assert_int_equal(verdict.error, ENOSPC);
        facts.kind = FSH_ON_STREAM;
        fsh_choose(loaded->profile.rules, 1, &facts, fsh_draw(5, i), &verdict);
        reset += verdict.error == ECONNRESET;
        pipe += verdict.error == EPIPE;
    }
    assert_int_equal(reset + pipe, 10000);
    assert_in_range(reset, 4800, 5200);
    unload(loaded);
}

static void nothing_to_lose_or_corrupt_in_empty_calls(void **state) {
    struct loaded *loaded = rule_of("write fsync", "lost", "");
    (void)state;
    assert_int_equal(alternatives(loaded, (struct fsh_facts){.call = CALL_write, .kind = FSH_ON_FILE, .size = 0}), 0);
    assert_int_equal(alternatives(loaded, (struct fsh_facts){.call = CALL_write, .kind = FSH_ON_FILE, .size = 1}), 1);
    assert_int_equal(alternatives(loaded, (struct fsh_facts){.call = CALL_fsync, .kind = FSH_ON_FILE, .size = 0}), 1);
    unload(loaded);
    loaded = rule_of("read", "corrupt", "");
    assert_int_equal(alternatives(loaded, (struct fsh_facts){.call = CALL_read, .kind = FSH_ON_FILE, .size = 0}), 0);
    unload(loaded);
    loaded = rule_of("write", "crash during\nfault = crash", "");
    assert_int_equal(alternatives(loaded, (struct fsh_facts){.call = CALL_write, .kind = FSH_ON_FILE, .size = 1}), 2);
    assert_int_equal(alternatives(loaded, (struct fsh_facts){.call = CALL_write, .kind = FSH_ON_FILE, .size = 9}), 3);
    unload(loaded);
}

/* Which of the first 20 candidates fire, as text: the nth character for the nth candidate. */
static void assert_fires(const char *lines, const char *expected) {
    struct loaded *loaded = rule_of("write", "error EIO", lines);
    char fired[21] = "";
    for (unsigned i = 0; i < 20; i++)
        fired[i] = fires(loaded->profile.rules, i, i * 100, 100, fsh_draw(3, i)) ? 'x' : '.';
    if (strcmp(fired, expected) != 0)
        fail_msg("%s: %s is not %s", lines, fired, expected);
    unload(loaded);
}

static void when_rules_fire(void **state) {
    (void)state;
    assert_fires("", "xxxxxxxxxxxxxxxxxxxx");
    assert_fires("probability = 0%\n", "....................");
    assert_fires("nth = 7\n", "......x.............");
    assert_fires("nth = 3,9,12\n", "..x.....x..x........");
    assert_fires("nth = 5..10\n", "....xxxxxx..........");
    assert_fires("nth = 5..10+2\n", "....x.x.x...........");
    assert_fires("nth = 15+\n", "..............xxxxxx");
    assert_fires("interval = 4\n", "...x...x...x...x...x");
    assert_fires("skip = 5\n", ".....xxxxxxxxxxxxxxx");
    assert_fires("skip = 5\ninterval = 4\n", "........x...x...x...");
    assert_fires("skip = 5\nnth = 3,9\n", "........x...........");
    assert_fires("space = 500\n", ".....xxxxxxxxxxxxxxx");
    assert_fires("space = 550\n", ".....xxxxxxxxxxxxxxx");
    assert_fires("space = 0\n", "xxxxxxxxxxxxxxxxxxxx");
    assert_fires("nth = 18446744073709551615\n", "....................");
}

static void space_counts_calls_without_bytes_after_it(void **state) {
    struct loaded *loaded = rule_of("write", "error EIO", "space = 100\n");
    const struct fsh_rule *rule = loaded->profile.rules;
    (void)state;
    assert_false(fires(rule, 0, 0, 100, 0));
    assert_true(fires(rule, 0, 0, 101, 0));
    assert_false(fires(rule, 0, 99, 0, 0));
    assert_true(fires(rule, 0, 100, 0, 0));
    assert_true(fires(rule, 0, 1, UINT64_MAX, 0));
    unload(loaded);
}

static void always_means_every_word(void **state) {
    struct loaded *loaded = rule_of("write", "error EIO", "probability = 100%\n");
    (void)state;
    assert_true(fires(loaded->profile.rules, 0, 0, 0, UINT64_MAX));
    unload(loaded);
    loaded = rule_of("write", "error EIO", "probability = 50%\n");
    assert_true(fires(loaded->profile.rules, 0, 0, 0, UINT64_MAX / 2));
    assert_false(fires(loaded->profile.rules, 0, 0, 0, UINT64_MAX / 2 + 1));
    unload(loaded);
}

static void alternatives_go_by_weight(void **state) {
    struct loaded *loaded = rule_of("write", "error EIO weight=3\nfault = short\nfault = delay 1ms weight=6", "");
    struct fsh_facts facts = {.call = CALL_write, .kind = FSH_ON_FILE, .size = 10};
    struct fsh_verdict verdict = {0};
    unsigned count[3] = {0};
    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        fsh_choose(loaded->profile.rules, 7, &facts, fsh_draw(5, i), &verdict);
        count[verdict.alternative]++;
    }
    assert_in_range(count[0], 2800, 3200);
    assert_in_range(count[1], 850, 1150);
    assert_in_range(count[2], 5800, 6200);
    for (unsigned i = 0; i < 1000; i++) {
        fsh_choose(loaded->profile.rules, 5, &facts, fsh_draw(6, i), &verdict);
        assert_int_not_equal(verdict.alternative, 1);
    }
    unload(loaded);
}

struct bounds {
    uint64_t lo, hi;
};

static struct bounds amounts(const char *calls, const char *fault, struct fsh_facts facts) {
    struct loaded *loaded = rule_of(calls, fault, "");
    struct bounds bounds = {UINT64_MAX, 0};
    struct fsh_verdict verdict = {0};
    for (unsigned i = 0; i < 20000; i++) {
        fsh_choose(loaded->profile.rules, 1, &facts, fsh_draw(5, i), &verdict);
        if (verdict.amount < bounds.lo)
            bounds.lo = verdict.amount;
        if (verdict.amount > bounds.hi)
            bounds.hi = verdict.amount;
    }
    unload(loaded);
    return bounds;
}

static void assert_bounds(struct bounds bounds, uint64_t lo, uint64_t hi) {
    assert_int_equal(bounds.lo, lo);
    assert_int_equal(bounds.hi, hi);
}

static void amounts_fill_their_ranges(void **state) {
    struct fsh_facts write = {.call = CALL_write, .kind = FSH_ON_FILE, .size = 100};
    struct fsh_facts sleep = {.call = CALL_nanosleep, .kind = FSH_ON_NONE, .size = 1000};
    (void)state;
    assert_bounds(amounts("write", "short", write), 1, 99);
    assert_bounds(amounts("write", "crash during", write), 1, 99);
    assert_bounds(amounts("write", "crash after", write), 0, 0);
    assert_bounds(amounts("write", "delay 5ns", write), 5, 5);
    assert_bounds(amounts("write", "delay 5ns..50ns", write), 5, 50);
    assert_bounds(amounts("write", "delay 10ns±4ns", write), 6, 14);
    assert_bounds(amounts("write", "delay 3ns±10ns", write), 0, 13);
    assert_bounds(amounts("write", "corrupt", write), 1, 1);
    assert_bounds(amounts("write", "corrupt bits=1..8", write), 1, 8);
    assert_bounds(amounts("write", "corrupt bits=1000..2000", write), 800, 800);
    assert_bounds(amounts("write", "corrupt bytes=1..200", write), 1, 100);
    assert_bounds(amounts("write", "corrupt zero", write), 100, 100);
    assert_bounds(amounts("write", "lost", write), 100, 100);
    assert_bounds(amounts("nanosleep", "early", sleep), 0, 999);
    assert_bounds(amounts("nanosleep", "early 50%", sleep), 500, 500);
    assert_bounds(amounts("nanosleep", "early 100%", sleep), 1000, 1000);
    assert_bounds(amounts("nanosleep", "early 25%..75%", sleep), 250, 749);
    const struct fsh_facts wait = {.call = CALL_poll, .kind = FSH_ON_NONE, .size = 3, .room = 1000};
    assert_bounds(amounts("poll", "early 25%..75%", wait), 250, 749);
}

static void huge_sizes_do_not_overflow(void **state) {
    struct fsh_facts facts = {.call = CALL_write, .kind = FSH_ON_FILE, .size = UINT64_MAX};
    (void)state;
    struct bounds bounds = amounts("write", "short", facts);
    assert_true(bounds.lo >= 1 && bounds.hi < UINT64_MAX);
    assert_bounds(amounts("write", "corrupt bits=8", facts), 8, 8);
    facts = (struct fsh_facts){.call = CALL_nanosleep, .kind = FSH_ON_NONE, .size = UINT64_MAX};
    assert_bounds(amounts("nanosleep", "early 100%", facts), UINT64_MAX, UINT64_MAX);
}

static void a_verdict_is_a_function_of_its_word(void **state) {
    struct loaded *loaded = rule_of("write", "error EIO ENOSPC\nfault = short\nfault = delay 1ms..9ms±1ms", "");
    struct fsh_facts facts = {.call = CALL_write, .kind = FSH_ON_FILE, .size = 1000};
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        struct fsh_verdict one = {.key = 1}, two = {.key = 1};
        uint64_t word = fsh_draw(5, i);
        fsh_choose(loaded->profile.rules, 7, &facts, word, &one);
        fsh_choose(loaded->profile.rules, 7, &facts, word, &two);
        assert_true(one.alternative == two.alternative && one.error == two.error && one.amount == two.amount);
        assert_true(one.word == word && one.key == 1 && one.rule == 0);
        assert_int_equal(one.fault, loaded->profile.rules[0].faults[one.alternative].kind);
    }
    unload(loaded);
}

/* The words of a draw and what they settle are part of the trace's format: replays of old traces rely on them. */
static void words_have_fixed_meanings(void **state) {
    struct loaded *loaded = rule_of("write", "error EIO ENOSPC EINTR", "");
    struct fsh_facts facts = {.call = CALL_write, .kind = FSH_ON_FILE, .size = 1000};
    struct fsh_verdict verdict = {0};
    uint64_t word = fsh_draw(fsh_stream(42, loaded->profile.rules[0].hash, 7), 0);
    static const int errnos[] = {EIO, ENOSPC, EINTR};
    (void)state;
    fsh_choose(loaded->profile.rules, 1, &facts, word, &verdict);
    assert_int_equal(verdict.error, errnos[fsh_below(fsh_next_word(fsh_next_word(word)), 3)]);
    unload(loaded);
    loaded = rule_of("write", "short", "");
    fsh_choose(loaded->profile.rules, 1, &facts, word, &verdict);
    assert_int_equal(verdict.amount, 1 + fsh_below(fsh_next_word(fsh_next_word(fsh_next_word(word))), 999));
    unload(loaded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bursts_are_the_chain_step_by_step),
        cmocka_unit_test(short_needs_two_bytes),
        cmocka_unit_test(pipe_writes_of_pipe_buf_are_atomic),
        cmocka_unit_test(direct_transfers_keep_their_alignment),
        cmocka_unit_test(eagain_needs_a_nonblocking_descriptor),
        cmocka_unit_test(errnos_are_drawn_only_where_legal),
        cmocka_unit_test(nothing_to_lose_or_corrupt_in_empty_calls),
        cmocka_unit_test(when_rules_fire),
        cmocka_unit_test(space_counts_calls_without_bytes_after_it),
        cmocka_unit_test(always_means_every_word),
        cmocka_unit_test(alternatives_go_by_weight),
        cmocka_unit_test(amounts_fill_their_ranges),
        cmocka_unit_test(huge_sizes_do_not_overflow),
        cmocka_unit_test(a_verdict_is_a_function_of_its_word),
        cmocka_unit_test(words_have_fixed_meanings),
    };
    return cmocka_run_group_tests_name("decide", tests, NULL, NULL);
}
