/* Patterns and nearest words. */
#include <time.h>

#include "engine_test.h"

static const struct {
    const char *pattern, *text;
    bool path, flat; /* matches as a path; matches flat */
} cases[] = {
    {"/a/b", "/a/b", true, true},
    {"/a/b", "/a/bc", false, false},
    {"/a/b", "/a", false, false},
    {"/var/*.wal", "/var/x.wal", true, true},
    {"/var/*.wal", "/var/lib/x.wal", false, true},
    {"/var/**.wal", "/var/lib/x.wal", true, true},
    {"/var/**/x.wal", "/var/lib/app/x.wal", true, true},
    {"/var/**/x.wal", "/var/x.wal", true, false},
    {"/var/**/x.wal", "/var/ax.wal", false, false},
    {"**/x.wal", "/var/x.wal", true, true},
    {"**/x.wal", "/var/ax.wal", false, false},
    {"**/x*/y", "/x1/z/x2/y", true, true},
    {"**/x*/y", "/x1/z/y", false, true},
    {"/data/**", "/data/a/b", true, true},
    {"/data/**", "/data", false, false},
    {"/data/*", "/data/a/b", false, true},
    {"*.wal", "/var/lib/x.wal", true, true},
    {"*.wal", "/var/x.wal/y", false, false},
    {"x.wal", "/var/x.wal", true, false},
    {"x.wal", "x.wal", true, true},
    {"??.wal", "/v/ab.wal", true, false},
    {"/v?/a", "/v//a", false, true},
    {"/v/[abc]", "/v/b", true, true},
    {"/v/[a-c]x", "/v/bx", true, true},
    {"/v/[!a-c]x", "/v/bx", false, false},
    {"/v/[^a-c]x", "/v/dx", true, true},
    {"/v/[]a]", "/v/]", true, true},
    {"/v/[a", "/v/[a", true, true},
    {"/v[!x]a", "/v/a", false, true},
    {"/v/\\*", "/v/*", true, true},
    {"/v/\\*", "/v/x", false, false},
    {"/v/[\\]a]", "/v/]", true, true},
    {"\\[::1]:*", "[::1]:6379", true, true},
    {"*:443", "10.0.0.1:443", true, true},
    {"*:443", "[2001:db8::1]:443", true, true},
    {"*:443", "10.0.0.1:4433", false, false},
    {"*", "", true, true},
    {"*", "/a/b", true, true},
    {"?", "", false, false},
    {"", "", true, true},
    {"", "a", false, false},
    {"*a*b*c", "xxaxxbxxc", true, true},
    {"*a*b*c", "xxaxxcxxb", false, false},
    {"/a*/b*/c", "/ax/by/c", true, true},
    {"/a*/b*/c", "/ax/y/by/c", false, true},
    {"**/b*/c/*", "/a/b1/c/b2/c/d", true, true},
    {"1.2", "1.2", true, true},
    {"1.*", "1.2.1", true, true},
};

static void patterns(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (fsh_glob(cases[i].pattern, cases[i].text, false) != cases[i].path)
            fail_msg("'%s' on path '%s' is not %d", cases[i].pattern, cases[i].text, cases[i].path);
        if (fsh_glob(cases[i].pattern, cases[i].text, true) != cases[i].flat)
            fail_msg("'%s' on flat '%s' is not %d", cases[i].pattern, cases[i].text, cases[i].flat);
    }
}

static void any_of_several(void **state) {
    const char *v[] = {"*.wal", "/etc/**"};
    struct fsh_texts patterns = {v, 2}, none = {NULL, 0};
    (void)state;
    assert_true(fsh_any_glob(&patterns, "/var/x.wal", false));
    assert_true(fsh_any_glob(&patterns, "/etc/a/b", false));
    assert_false(fsh_any_glob(&patterns, "/var/x", false));
    assert_false(fsh_any_glob(&none, "/var/x", false));
}

/* A pattern that makes a recursive matcher try 2^n ways. */
static void hostile_patterns_end_soon(void **state) {
    char text[1000], pattern[101];
    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (unsigned i = 0; i < 98; i += 2)
        memcpy(pattern + i, "*a", 2);
    memcpy(pattern + 98, "*b", 3);
    clock_t start = clock();
    assert_false(fsh_glob(pattern, text, true));
    assert_false(fsh_glob(pattern, text, false));
    assert_true(clock() - start < CLOCKS_PER_SEC);
}

static const char *nearest(const char *text) {
    static const char *const words[] = {"probability", "path", "peer", "EIO", "ENOSPC", "fsync", "fdatasync", "@file.sync"};
    return fsh_nearest(text, strlen(text), words, sizeof words / sizeof *words);
}

static void nearest_words(void **state) {
    (void)state;
    assert_string_equal(nearest("probabilty"), "probability");
    assert_string_equal(nearest("porbability"), "probability");
    assert_string_equal(nearest("prob"), "probability");
    assert_string_equal(nearest("pathh"), "path");
    assert_string_equal(nearest("eio"), "EIO");
    assert_string_equal(nearest("EOI"), "EIO");
    assert_string_equal(nearest("enospace"), "ENOSPC");
    assert_string_equal(nearest("fsnyc"), "fsync");
    assert_string_equal(nearest("@file.snyc"), "@file.sync");
    assert_null(nearest("zebra"));
    assert_null(nearest("xy"));
    assert_null(nearest(""));
}

static void long_words_have_no_neighbours(void **state) {
    char text[5000];
    (void)state;
    memset(text, 'p', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_null(nearest(text));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns),
        cmocka_unit_test(any_of_several),
        cmocka_unit_test(nearest_words),
        cmocka_unit_test(hostile_patterns_end_soon),
        cmocka_unit_test(long_words_have_no_neighbours),
    };
    return cmocka_run_group_tests_name("glob", tests, NULL, NULL);
}
