/* Plans: which rule considers which call on which kind, and by whose count. */
#include <stdio.h>

#include "draw.h"
#include "engine_test.h"

static const struct fsh_candidate *find(const struct loaded *loaded, enum fsh_call call, enum fsh_kind kind, unsigned rule) {
    const struct fsh_candidates *list = &loaded->plan.on[call][kind];
    for (unsigned i = 0; i < list->n; i++)
        if (list->v[i].rule == rule)
            return &list->v[i];
    return NULL;
}

static bool considers(const struct loaded *loaded, enum fsh_call call, enum fsh_kind kind) {
    return find(loaded, call, kind, 0) != NULL;
}

static void a_family_stays_with_its_kind(void **state) {
    struct loaded *loaded = load("[rule a]\ncalls = @file\nfault = delay 1ms\n");
    (void)state;
    assert_true(considers(loaded, CALL_read, FSH_ON_FILE));
    assert_false(considers(loaded, CALL_read, FSH_ON_STREAM));
    assert_false(considers(loaded, CALL_read, FSH_ON_PIPE));
    assert_true(considers(loaded, CALL_open, FSH_ON_FILE));
    assert_false(considers(loaded, CALL_send, FSH_ON_STREAM));
    assert_true(considers(loaded, CALL_sync, FSH_ON_NONE));
    assert_true(loaded->plan.armed[CALL_read] && !loaded->plan.armed[CALL_send]);
    unload(loaded);
}

static void a_name_takes_in_every_kind(void **state) {
    struct loaded *loaded = load("[rule a]\ncalls = read\nfault = delay 1ms\n");
    (void)state;
    for (unsigned k = FSH_ON_FILE; k < FSH_KINDS; k++)
        assert_true(considers(loaded, CALL_read, k));
    assert_false(considers(loaded, CALL_read, FSH_ON_NONE));
    assert_int_equal(loaded->profile.rules[0].n_pairs, 5);
    unload(loaded);
}

static void an_alias_stands_for_its_call(void **state) {
    struct loaded *loaded = load("[rule a]\ncalls = pread64\nfault = short\n");
    (void)state;
    assert_true(considers(loaded, CALL_pread, FSH_ON_FILE));
    unload(loaded);
}

static void except_leaves_out(void **state) {
    struct loaded *loaded = load("[rule a]\ncalls = @file @net\nexcept = @net.recv, *sync\nfault = delay 1ms\n");
    (void)state;
    assert_true(considers(loaded, CALL_read, FSH_ON_FILE));
    assert_false(considers(loaded, CALL_read, FSH_ON_STREAM));
    assert_false(considers(loaded, CALL_fsync, FSH_ON_FILE));
    assert_true(considers(loaded, CALL_send, FSH_ON_STREAM));
    unload(loaded);
}

static void families_leave_out_what_does_not_fit(void **state) {
    struct loaded *loaded = load("[rule a]\ncalls = @file @net @memory\nfault = short\nfault = error ENOSPC\n");
    const struct fsh_candidate *cand = find(loaded, CALL_write, FSH_ON_FILE, 0);
    (void)state;
    assert_int_equal(cand->alternatives, 3);
    assert_int_equal(find(loaded, CALL_write, FSH_ON_STREAM, 0)->alternatives, 1);
    assert_int_equal(find(loaded, CALL_ftruncate, FSH_ON_FILE, 0)->alternatives, 2);
    assert_false(considers(loaded, CALL_malloc, FSH_ON_NONE));
    assert_false(considers(loaded, CALL_free, FSH_ON_NONE));
    assert_false(considers(loaded, CALL_recv, FSH_ON_DGRAM));
    unload(loaded);
}

static void an_errno_of_one_kind_reaches_only_that_kind(void **state) {
    struct loaded *loaded = load("[rule a]\ncalls = write\nfault = error ENOSPC\n");
    (void)state;
    assert_true(considers(loaded, CALL_write, FSH_ON_FILE));
    assert_false(considers(loaded, CALL_write, FSH_ON_STREAM));
    assert_false(considers(loaded, CALL_write, FSH_ON_PIPE));
    unload(loaded);
}

static void any_errno_is_taken_when_told(void **state) {
    struct loaded *loaded = load("[rule a]\ncalls = fsync\nfault = error EPIPE\nany-errno = yes\n");
    (void)state;
    assert_true(considers(loaded, CALL_fsync, FSH_ON_FILE));
    unload(loaded);
}

static void filters_leave_out_what_can_never_pass(void **state) {
    struct loaded *loaded = load("[rule a]\ncalls = @file @memory @net\nfault = delay 1ms\npath = *.db\n");
    (void)state;
    assert_true(considers(loaded, CALL_open, FSH_ON_FILE));
    assert_false(considers(loaded, CALL_malloc, FSH_ON_NONE));
    assert_false(considers(loaded, CALL_send, FSH_ON_STREAM));
    assert_false(considers(loaded, CALL_sync, FSH_ON_NONE));
    assert_true(find(loaded, CALL_open, FSH_ON_FILE, 0)->flags & CAND_FILTER);
    unload(loaded);
    loaded = load("[rule a]\ncalls = @net\nfault = delay 1ms\npeer = host:db.example\n");
    assert_true(considers(loaded, CALL_getaddrinfo, FSH_ON_NONE));
    assert_true(considers(loaded, CALL_connect, FSH_ON_STREAM));
    assert_false(considers(loaded, CALL_poll, FSH_ON_NONE));
    unload(loaded);
    loaded = load("[rule a]\ncalls = @net\nfault = delay 1ms\npeer = *:443\n");
    assert_false(considers(loaded, CALL_getaddrinfo, FSH_ON_NONE));
    unload(loaded);
    loaded = load("[rule a]\ncalls = *\nfault = delay 1ms\nsize = 1KiB..\n");
    assert_true(considers(loaded, CALL_malloc, FSH_ON_NONE));
    assert_true(considers(loaded, CALL_nanosleep, FSH_ON_NONE));
    assert_true(considers(loaded, CALL_poll, FSH_ON_NONE));
    assert_false(considers(loaded, CALL_fsync, FSH_ON_FILE));
    unload(loaded);
    loaded = load("[rule a]\ncalls = *\nfault = delay 1ms\nfd = 0..2\n");
    assert_true(considers(loaded, CALL_write, FSH_ON_PIPE));
    assert_false(considers(loaded, CALL_open, FSH_ON_FILE));
    assert_false(considers(loaded, CALL_malloc, FSH_ON_NONE));
    unload(loaded);
}

static unsigned key_of(const char *lines, enum fsh_call call, enum fsh_kind kind) {
    char text[300];
    snprintf(text, sizeof text, "[rule a]\ncalls = *\nfault = delay 1ms\n%s", lines);
    struct loaded *loaded = load(text);
    unsigned key = find(loaded, call, kind, 0)->key;
    unload(loaded);
    return key;
}

static void keys_by_default(void **state) {
    (void)state;
    assert_int_equal(key_of("", CALL_write, FSH_ON_FILE), KEY_RESOURCE);
    assert_int_equal(key_of("", CALL_read, FSH_ON_PIPE), KEY_RESOURCE);
    assert_int_equal(key_of("", CALL_open, FSH_ON_FILE), KEY_RESOURCE);
    assert_int_equal(key_of("", CALL_getaddrinfo, FSH_ON_NONE), KEY_RESOURCE);
    assert_int_equal(key_of("", CALL_malloc, FSH_ON_NONE), KEY_THREAD);
    assert_int_equal(key_of("", CALL_poll, FSH_ON_NONE), KEY_THREAD);
    assert_int_equal(key_of("", CALL_socket, FSH_ON_NONE), KEY_THREAD);
    assert_int_equal(key_of("nth = 3\n", CALL_write, FSH_ON_FILE), KEY_RUN);
    assert_int_equal(key_of("interval = 3\n", CALL_malloc, FSH_ON_NONE), KEY_RUN);
    assert_int_equal(key_of("skip = 3\n", CALL_write, FSH_ON_FILE), KEY_RUN);
    assert_int_equal(key_of("space = 3\n", CALL_write, FSH_ON_FILE), KEY_RUN);
    assert_int_equal(key_of("times = 3\n", CALL_write, FSH_ON_FILE), KEY_RESOURCE);
    assert_int_equal(key_of("nth = 3\nkey = thread\n", CALL_write, FSH_ON_FILE), KEY_THREAD);
    assert_int_equal(key_of("key = site\n", CALL_malloc, FSH_ON_NONE), KEY_SITE);
    assert_int_equal(key_of("key = resource\n", CALL_malloc, FSH_ON_NONE), KEY_THREAD);
}

static void what_a_plan_needs(void **state) {
    struct loaded *loaded = load("[rule a]\ncalls = malloc\nfault = error ENOMEM\n");
    (void)state;
    assert_false(loaded->plan.needs_descriptors || loaded->plan.needs_stacks || loaded->plan.needs_shared_keys);
    unload(loaded);
    loaded = load("[rule a]\ncalls = malloc\nfault = error ENOMEM\nkey = site\n");
    assert_true(loaded->plan.needs_stacks && loaded->plan.needs_shared_keys && !loaded->plan.needs_descriptors);
    unload(loaded);
    loaded = load("[rule a]\ncalls = write\nfault = error EIO\n");
    assert_true(loaded->plan.needs_shared_keys && loaded->plan.needs_descriptors && !loaded->plan.needs_stacks);
    unload(loaded);
    loaded = load("[rule a]\ncalls = write\nfault = error EIO\nkey = run\nsticky = resource\n");
    assert_true(loaded->plan.needs_shared_keys);
    unload(loaded);
}

static unsigned flags_of(const char *calls, const char *fault, const char *lines, enum fsh_call call, enum fsh_kind kind) {
    char text[300];
    snprintf(text, sizeof text, "[rule a]\ncalls = %s\nfault = %s\n%s", calls, fault, lines);
    struct loaded *loaded = load(text);
    unsigned flags = find(loaded, call, kind, 0)->flags;
    unload(loaded);
    return flags;
}

static void flags(void **state) {
    (void)state;
    assert_int_equal(flags_of("write", "error EIO", "", CALL_write, FSH_ON_FILE), 0);
    assert_int_equal(flags_of("write", "error EAGAIN EIO", "", CALL_write, FSH_ON_STREAM), CAND_FACTS | CAND_NONBLOCK);
    assert_int_equal(flags_of("write", "short", "", CALL_write, FSH_ON_FILE), CAND_FACTS);
    assert_int_equal(flags_of("write", "crash", "", CALL_write, FSH_ON_FILE), 0);
    assert_int_equal(flags_of("write", "crash during", "", CALL_write, FSH_ON_FILE), CAND_FACTS);
    assert_int_equal(flags_of("write", "delay 1ms", "nth = 1\n", CALL_write, FSH_ON_FILE), CAND_COUNT);
    assert_int_equal(flags_of("write", "delay 1ms", "times = 1\n", CALL_write, FSH_ON_FILE), CAND_COUNT);
    assert_int_equal(flags_of("write", "delay 1ms", "sticky = rule\n", CALL_write, FSH_ON_FILE), CAND_COUNT);
    assert_int_equal(flags_of("write", "delay 1ms", "continue = yes\n", CALL_write, FSH_ON_FILE), CAND_CONTINUE);
    assert_int_equal(flags_of("write", "delay 1ms", "process = x\n", CALL_write, FSH_ON_FILE), CAND_FILTER);
    assert_int_equal(flags_of("write", "delay 1ms", "size = 1..2\n", CALL_write, FSH_ON_FILE), CAND_FILTER | CAND_CALL);
}

static void candidates_keep_the_order_of_the_file(void **state) {
    struct loaded *loaded = load("[rule a]\ncalls = fsync\nfault = error EIO\nprobability = 0%\n[rule b]\ncalls = @file.sync\n"
                                 "fault = lost\nprobability = 50%\n[rule c]\ncalls = *sync\nfault = delay 1ms\n");
    const struct fsh_candidates *list = &loaded->plan.on[CALL_fsync][FSH_ON_FILE];
    (void)state;
    assert_int_equal(list->n, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(list->v[i].rule, i);
    assert_int_equal(list->v[0].threshold, 0);
    assert_int_equal(list->v[1].threshold, UINT64_C(1) << 63);
    assert_int_equal(list->v[2].threshold, UINT64_MAX);
    unload(loaded);
}

static void disabled_rules_are_checked_and_left_out(void **state) {
    struct loaded *loaded = load("[rule a]\ncalls = fsync\nfault = error EIO\nenabled = no\n");
    int result;
    (void)state;
    assert_int_equal(loaded->plan.on[CALL_fsync][FSH_ON_FILE].n, 0);
    assert_false(loaded->plan.armed[CALL_fsync]);
    assert_int_equal(loaded->profile.rules[0].n_pairs, 1);
    unload(loaded);
    static const char wrong[] = "[rule a]\ncalls = fsync\nfault = short\nenabled = no\n";
    loaded = try_load(wrong, strlen(wrong), 1, &result);
    assert_int_equal(result, -EINVAL);
    unload(loaded);
}

static void active_is_drawn_once_from_the_seed(void **state) {
    static const char text[] = "[rule a]\ncalls = fsync\nfault = error EIO\nactive = 30%\n[rule b]\ncalls = fsync\nfault = lost\n";
    unsigned active = 0;
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct loaded *loaded = load_seeded(text, seed);
        bool in = loaded->profile.rules[0].in_run;
        bool drawn =
            fsh_draw(fsh_stream(seed, fsh_hash("a", 1), fsh_hash("active", 6)), 0) < loaded->profile.rules[0].active.threshold;
        assert_true(in == drawn && considers(loaded, CALL_fsync, FSH_ON_FILE) == in);
        assert_true(find(loaded, CALL_fsync, FSH_ON_FILE, 1) != NULL);
        active += in;
        unload(loaded);
    }
    assert_in_range(active, 84, 156); /* 120 ± four standard deviations */
}

static void names_alone_settle_a_rules_stream(void **state) {
    struct loaded *one = load("[rule b]\ncalls = fsync\nfault = error EIO\n");
    struct loaded *two = load("[rule a]\ncalls = fsync\nfault = lost\n[rule b]\ncalls = fsync\nfault = error EIO\n");
    (void)state;
    assert_int_equal(one->profile.rules[0].hash, two->profile.rules[1].hash);
    assert_int_equal(one->profile.rules[0].hash, fsh_hash("b", 1));
    unload(one);
    unload(two);
}

static void a_plan_without_active_is_the_same_for_every_seed(void **state) {
    static const char text[] = "[rule a]\ncalls = *\nfault = delay 1ms\nfault = short\n";
    struct loaded *one = load_seeded(text, 1), *two = load_seeded(text, 2);
    (void)state;
    for (unsigned c = 0; c < FSH_CALLS; c++)
        for (unsigned k = 0; k < FSH_KINDS; k++) {
            assert_int_equal(one->plan.on[c][k].n, two->plan.on[c][k].n);
            for (unsigned i = 0; i < one->plan.on[c][k].n; i++)
                assert_memory_equal(&one->plan.on[c][k].v[i], &two->plan.on[c][k].v[i], sizeof(struct fsh_candidate));
        }
    unload(one);
    unload(two);
}

/* Nothing inapplicable is ever drawn: every alternative of every candidate fits, with an errno that is legal there. */
static void every_alternative_fits(void **state) {
    struct loaded *loaded =
        load("[rule a]\ncalls = *\nfault = error EIO EINTR ENOMEM EAGAIN EAI_FAIL\nfault = short\nfault = lost\n"
             "fault = corrupt\nfault = early\nfault = delay 1ms\nfault = crash during\nfault = error-after EIO\n");
    const struct fsh_rule *rule = loaded->profile.rules;
    (void)state;
    for (unsigned c = 0; c < FSH_CALLS; c++)
        for (unsigned k = 0; k < FSH_KINDS; k++) {
            const struct fsh_candidate *cand = find(loaded, c, k, 0);
            for (unsigned i = 0; cand && i < rule->n_faults; i++) {
                const struct fsh_fault_spec *spec = &rule->faults[i];
                bool legal = spec->n_errnos == 0;
                if (!(cand->alternatives & (1u << i)))
                    continue;
                for (unsigned j = 0; j < spec->n_errnos; j++)
                    legal |= fsh_rule_allows(rule, c, k, spec->errnos[j]);
                assert_true(legal && fsh_fault_fits(spec->kind, c, k));
            }
        }
    unload(loaded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_family_stays_with_its_kind),
        cmocka_unit_test(a_name_takes_in_every_kind),
        cmocka_unit_test(an_alias_stands_for_its_call),
        cmocka_unit_test(except_leaves_out),
        cmocka_unit_test(families_leave_out_what_does_not_fit),
        cmocka_unit_test(an_errno_of_one_kind_reaches_only_that_kind),
        cmocka_unit_test(any_errno_is_taken_when_told),
        cmocka_unit_test(filters_leave_out_what_can_never_pass),
        cmocka_unit_test(keys_by_default),
        cmocka_unit_test(what_a_plan_needs),
        cmocka_unit_test(flags),
        cmocka_unit_test(candidates_keep_the_order_of_the_file),
        cmocka_unit_test(disabled_rules_are_checked_and_left_out),
        cmocka_unit_test(active_is_drawn_once_from_the_seed),
        cmocka_unit_test(names_alone_settle_a_rules_stream),
        cmocka_unit_test(a_plan_without_active_is_the_same_for_every_seed),
        cmocka_unit_test(every_alternative_fits),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
