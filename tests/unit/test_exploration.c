/* The folder of an exploration: what is written is read back, cut files lose the cut line only, hostile ones give a message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exploration.h"
#include "shard.h"

static const char *command[] = {"./prog", "a \"quoted\"\n\x01 word", "\xff\xfe"};
static struct fsh_explored_frame frames[] = {{"prog", 4660, "parse", "parse.c", 12}, {"libc.so.6", 77, NULL, NULL, 0}};
static uint64_t hashes[] = {0x0123456789abcdef, 1};
static const struct fsh_asked asked = {.version = "0.1.0",
                                       .command = {command, 3},
                                       .cwd = "/tmp",
                                       .profile = "[rule a]\ncalls = malloc\n",
                                       .strategy = "each-once",
                                       .oracles = "a signal",
                                       .seed = UINT64_MAX,
                                       .start = "2026-11-26T12:00:00Z"};
static const struct fsh_point point = {0x0123456789abcdef, "malloc", "none", {frames, 2}, 77, "a", "none"};
static const struct fsh_explored_run run = {.key = "once:0123456789abcdef",
                                            .n = 1,
                                            .seed = 7,
                                            .end = EXPLORED_SIGNALED,
                                            .value = 11,
                                            .failed = 1,
                                            .why = "SIGSEGV",
                                            .finding = "00000000000000aa",
                                            .points = {hashes, 2},
                                            .decisions = 512,
                                            .faults = 2,
                                            .ms = 5.125};
static const struct fsh_finding finding = {.id = "00000000000000aa",
                                           .why = "SIGSEGV",
                                           .title = "SIGSEGV after malloc in parse",
                                           .stack = {frames, 1},
                                           .call = "malloc",
                                           .error = "ENOMEM",
                                           .runs = 1,
                                           .first = "once:0123456789abcdef",
                                           .replay = "faultshim replay run.trace",
                                           .command = {command, 1}};

static char folder[64];

static int new_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/faultshim-exploration.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    char command_line[128];
    (void)state;
    snprintf(command_line, sizeof command_line, "rm -rf %s", folder);
    return system(command_line);
}

static char *path_of(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static long size_of(const char *name) {
    struct stat st;
    return stat(path_of(name), &st) == 0 ? (long)st.st_size : -1;
}

static void put(const char *name, const char *flags, const char *text) {
    FILE *out = fopen(path_of(name), flags);
    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

static void fill(void) {
    struct fsh_exploration x;
    assert_int_equal(fsh_exploration_create(&x, folder, &asked), 0);
    assert_int_equal(fsh_exploration_add_point(&x, &point), 0);
    assert_int_equal(fsh_exploration_add_finding(&x, &finding), 0);
    assert_int_equal(fsh_exploration_add_run(&x, &run), 0);
    assert_int_equal(fsh_exploration_add_run(&x, &run), -EEXIST);
    assert_int_equal(fsh_exploration_add_point(&x, &point), -EEXIST);
    fsh_exploration_close(&x);
}

static struct fsh_exploration reread(void) {
    struct fsh_exploration x;
    assert_int_equal(fsh_exploration_open(&x, folder, false), 0);
    return x;
}

static void what_is_written_is_read(void **state) {
    (void)state;
    fill();
    struct fsh_exploration x = reread();
    assert_null(fsh_asked_difference(&x.asked, &asked));
    assert_int_equal(x.asked.command.n, 3);
    assert_string_equal(x.asked.command.v[1], command[1]);
    assert_string_equal(x.asked.command.v[2], "\xef\xbf\xbd\xef\xbf\xbd");
    assert_true(x.asked.seed == UINT64_MAX && x.asked.to == 0 && x.asked.shards == 0);
    assert_int_equal(x.n_runs, 1);
    assert_int_equal(x.n_points, 1);
    assert_int_equal(x.n_findings, 1);
    assert_null(fsh_form_difference(&fsh_explored_run_form, &x.runs[0], &run));
    assert_null(fsh_form_difference(&fsh_point_form, &x.points[0], &point));
    assert_null(fsh_form_difference(&fsh_finding_form, &x.findings[0], &finding));
    assert_ptr_equal(fsh_exploration_run(&x, run.key), &x.runs[0]);
    assert_ptr_equal(fsh_exploration_point(&x, point.point), &x.points[0]);
    assert_ptr_equal(fsh_exploration_finding(&x, finding.id), &x.findings[0]);
    assert_null(fsh_exploration_run(&x, "once:1"));
    fsh_exploration_close(&x);
    assert_int_equal(fsh_exploration_create(&x, folder, &asked), -EEXIST);
    assert_non_null(strstr(x.wrong, "has an exploration in it"));
    fsh_exploration_close(&x);
}

static void many_are_found_again(void **state) {
    struct fsh_exploration x;
    char key[32];
    (void)state;
    assert_int_equal(fsh_exploration_create(&x, folder, &asked), 0);
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "seed:%u", i);
        struct fsh_explored_run r = {.key = key, .n = i, .seed = i};
        struct fsh_point p = {.point = i, .call = "read", .kind = "file", .first = key};
        assert_int_equal(fsh_exploration_add_run(&x, &r), 0);
        assert_int_equal(fsh_exploration_add_point(&x, &p), 0);
    }
    fsh_exploration_close(&x);
    x = reread();
    assert_int_equal(x.n_runs, 5000);
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "seed:%u", i);
        assert_true(fsh_exploration_run(&x, key)->n == i);
        assert_string_equal(fsh_exploration_point(&x, i)->first, key);
    }
    fsh_exploration_close(&x);
}

/* As after kill -9 in the middle of a line: a reader drops it, the next writer cuts it off. */
static void a_torn_line_is_dropped(void **state) {
    struct fsh_exploration x;
    (void)state;
    fill();
    long whole = size_of("runs.jsonl");
    put("runs.jsonl", "a", "{\"key\":\"once:2\",\"n\":2,");
    put("points.jsonl", "a", "{\"po");
    x = reread();
    assert_true(x.torn);
    assert_int_equal(x.n_runs, 1);
    fsh_exploration_close(&x);
    assert_true(size_of("runs.jsonl") > whole);
    assert_int_equal(fsh_exploration_open(&x, folder, true), 0);
    assert_true(x.torn);
    assert_int_equal(size_of("runs.jsonl"), whole);
    struct fsh_explored_run next = {.key = "once:2", .n = 2};
    assert_int_equal(fsh_exploration_add_run(&x, &next), 0);
    fsh_exploration_close(&x);
    x = reread();
    assert_false(x.torn);
    assert_int_equal(x.n_runs, 2);
    fsh_exploration_close(&x);
}

static void a_full_disk_takes_nothing_back(void **state) {
    struct fsh_exploration x;
    struct rlimit old, small;
    (void)state;
    fill();
    assert_int_equal(fsh_exploration_open(&x, folder, true), 0);
    long runs = size_of("runs.jsonl");
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = (rlim_t)runs + 10;
    struct fsh_explored_run next = {.key = "once:2", .n = 2, .why = "a text", .finding = "00000000000000bb", .failed = 1};
    struct fsh_finding other = finding;
    other.id = next.finding;
    setrlimit(RLIMIT_FSIZE, &small);
    int a = fsh_exploration_add_run(&x, &next);
    small.rlim_cur = 10;
    setrlimit(RLIMIT_FSIZE, &small);
    int b = fsh_exploration_add_finding(&x, &other);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_true(a == -ENOSPC || a == -EFBIG);
    assert_true(b == -ENOSPC || b == -EFBIG);
    assert_int_equal(size_of("runs.jsonl"), runs);
    assert_int_equal(x.n_runs, 1);
    assert_int_equal(x.n_findings, 1);
    /* with room again, it goes on */
    assert_int_equal(fsh_exploration_add_finding(&x, &other), 0);
    assert_int_equal(fsh_exploration_add_run(&x, &next), 0);
    fsh_exploration_close(&x);
    x = reread();
    assert_int_equal(x.n_runs, 2);
    assert_int_equal(x.n_findings, 2);
    fsh_exploration_close(&x);
}

static void one_process_writes(void **state) {
    struct fsh_exploration x, y;
    (void)state;
    fill();
    assert_int_equal(fsh_exploration_open(&x, folder, true), 0);
    assert_int_equal(fsh_exploration_open(&y, folder, true), -EBUSY);
    fsh_exploration_close(&y);
    assert_int_equal(fsh_exploration_open(&y, folder, false), 0);
    fsh_exploration_close(&y);
    fsh_exploration_close(&x);
}

static void runs_say_how_often_and_where_first(void **state) {
    struct fsh_exploration x;
    (void)state;
    assert_int_equal(fsh_exploration_create(&x, folder, &asked), 0);
    assert_int_equal(fsh_exploration_add_finding(&x, &finding), 0);
    for (uint64_t n = 9; n > 5; n--) {
        char key[2] = {(char)('0' + n), 0};
        struct fsh_explored_run r = {.key = key, .n = n, .failed = 1, .why = "x", .finding = finding.id};
        assert_int_equal(fsh_exploration_add_run(&x, &r), 0);
    }
    fsh_exploration_close(&x);
    x = reread();
    assert_int_equal(x.findings[0].runs, 4);
    assert_string_equal(x.findings[0].first, "6");
    fsh_exploration_close(&x);
}

static void wrong_folders_give_a_message(void **state) {
    static const struct {
        const char *name, *text, *message;
    } cases[] = {
        {"runs.jsonl", "{}\n", "runs.jsonl:1: 'key' is missing"},
        {"runs.jsonl", "[]\n", "runs.jsonl:1: no JSON object"},
        {"runs.jsonl", "\n\nnull\n", "runs.jsonl:3: "},
        {"runs.jsonl", "{\"key\":17}\n", "runs.jsonl:1: 'key' must be a text"},
        {"runs.jsonl", "{\"key\":\"a\\u0000b\"}\n", "'key' must be a text"},
        {"runs.jsonl", "{\"key\":\"a\",\"n\":-1}\n", "'n' must be a number from 0 on"},
        {"runs.jsonl", "{\"key\":\"a\",\"n\":1,\"seed\":1,\"end\":\"tired\"}\n", "'end' must be one of"},
        {"runs.jsonl", "{\"key\":\"a\"} {\n", "runs.jsonl:1: "},
        {"runs.jsonl", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n", "runs.jsonl:1: "},
        {"runs.jsonl", "{\"key\":\"\xff\"}\n", "runs.jsonl:1: "},
        {"points.jsonl", "{\"point\":\"../../etc/passwd0\"}\n", "'point' must be a hash"},
        {"points.jsonl", "{\"point\":\"0123456789abcdef\",\"call\":\"a\",\"kind\":\"b\",\"stack\":[1]}\n", "no JSON object"},
        {"explore.json", "", "explore.json:1: it is empty"},
        {"explore.json", "{\"version\":\"0.1.0\"}\n", "explore.json:1: 'command' is missing"},
        {"findings/00000000000000aa/finding.json", "{", "finding.json:1: the text ends too early"},
        {"findings/00000000000000aa/finding.json",
         "{\"id\":\"00000000000000ab\",\"why\":\"\",\"title\":\"\",\"stack\":[],\"runs\":0,\"first\":\"\",\"replay\":\"\","
         "\"command\":[]}",
         "it says that it is '00000000000000ab'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fsh_exploration x;
        remove_folder(NULL);
        new_folder(NULL);
        fill();
        put(cases[i].name, "w", cases[i].text);
        int e = fsh_exploration_open(&x, folder, false);
        if (e != -EBADMSG || !strstr(x.wrong, cases[i].message))
            fail_msg("%s with %s: %d, %s", cases[i].name, cases[i].text, e, x.wrong);
        fsh_exploration_close(&x);
    }
}

static void what_is_no_folder_is_refused(void **state) {
    struct fsh_exploration x;
    (void)state;
    assert_int_equal(fsh_exploration_open(&x, path_of("nothing"), false), -ENOENT);
    fsh_exploration_close(&x);
    assert_int_equal(fsh_exploration_open(&x, folder, false), -ENOENT);
    assert_non_null(strstr(x.wrong, "no folder of an exploration"));
    fsh_exploration_close(&x);
    assert_int_equal(fsh_exploration_open(&x, "/dev/null", false), -ENOTDIR);
    fsh_exploration_close(&x);
    fill();
    unlink(path_of("runs.jsonl"));
    assert_int_equal(symlink("/etc/passwd", path_of("runs.jsonl")), 0);
    assert_int_equal(fsh_exploration_open(&x, folder, false), -ELOOP);
    fsh_exploration_close(&x);
    unlink(path_of("runs.jsonl"));
    assert_int_equal(mkfifo(path_of("runs.jsonl"), 0600), 0);
    assert_int_equal(fsh_exploration_open(&x, folder, false), -EINVAL);
    assert_non_null(strstr(x.wrong, "no regular file"));
    fsh_exploration_close(&x);
}

/* Bytes changed anywhere: read, or a message. */
static void damaged_folders_are_survived(void **state) {
    static const char *const names[] = {"explore.json", "runs.jsonl", "points.jsonl", "findings/00000000000000aa/finding.json"};
    uint64_t word = 1;
    (void)state;
    fill();
    for (size_t f = 0; f < 4; f++) {
        long n = size_of(names[f]);
        for (int i = 0; i < 300; i++) {
            struct fsh_exploration x;
            char was;
            word = word * 6364136223846793005 + 1442695040888963407;
            off_t at = (off_t)(word >> 33) % n;
            int fd = open(path_of(names[f]), O_RDWR);
            assert_int_equal(pread(fd, &was, 1, at), 1);
            char now = (char)(word >> 20);
            assert_int_equal(pwrite(fd, &now, 1, at), 1);
            int e = fsh_exploration_open(&x, folder, false);
            assert_true(e == 0 || x.wrong[0]);
            fsh_exploration_close(&x);
            assert_int_equal(pwrite(fd, &was, 1, at), 1);
            close(fd);
        }
    }
}

static void file_names_stay_in_the_folder(void **state) {
    struct fsh_exploration x;
    char path[PATH_MAX];
    struct stat st;
    (void)state;
    assert_int_equal(fsh_exploration_create(&x, folder, &asked), 0);
    assert_int_equal(fsh_exploration_file(&x, "../../00000000000", "run.trace", path), -EINVAL);
    assert_int_equal(fsh_exploration_file(&x, finding.id, "run.trace", path), 0);
    assert_string_equal(path, path_of("findings/00000000000000aa/run.trace"));
    *strrchr(path, '/') = 0;
    assert_int_equal(stat(path, &st), 0);
    struct fsh_finding bad = finding;
    bad.id = "../x";
    assert_int_equal(fsh_exploration_add_finding(&x, &bad), -EINVAL);
    fsh_exploration_close(&x);
    /* its finding.json never came: it is none */
    x = reread();
    assert_int_equal(x.n_findings, 0);
    fsh_exploration_close(&x);
}

static void explorations_are_told_apart(void **state) {
    struct fsh_asked other = asked;
    (void)state;
    other.start = "later";
    other.shard = 2;
    other.shards = 4;
    assert_null(fsh_asked_difference(&asked, &other));
    other = asked;
    other.command.n = 2;
    assert_string_equal(fsh_asked_difference(&asked, &other), "command");
    other = asked;
    other.seed = 1;
    assert_string_equal(fsh_asked_difference(&asked, &other), "seed");
}

static void each_unit_belongs_to_one_shard(void **state) {
    (void)state;
    for (uint64_t count = 1; count < 9; count++)
        for (uint64_t unit = 0; unit < 50; unit++) {
            unsigned owners = 0;
            for (uint64_t index = 1; index <= count; index++) {
                struct fsh_shard s = {index, count, NULL};
                owners += fsh_shard_has(&s, unit);
                uint64_t next = fsh_shard_next(&s, unit);
                assert_true(next >= unit && next < unit + count && fsh_shard_has(&s, next));
                assert_true(!fsh_shard_has(&s, unit) || next == unit);
            }
            assert_int_equal(owners, 1);
        }
}

/* Settings "NAME=VALUE …" and an option: "index/count", or "" if refused. */
static const char *shard_of(const char *settings, const char *option) {
    static char said[64];
    static const char *const names[] = {"SLURM_ARRAY_TASK_ID",  "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN",
                                        "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_STEP",  "JOB_COMPLETION_INDEX",
                                        "PARALLEL_SEQ",         "FAULTSHIM_SHARDS"};
    struct fsh_shard s;
    char copy[256], *rest = copy;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    snprintf(copy, sizeof copy, "%s", settings);
    for (char *word; (word = strsep(&rest, " "));) {
        char *value = strchr(word, '=');
        if (value) {
            *value = 0;
            setenv(word, value + 1, 1);
        }
    }
    if (!fsh_shard_read(option, &s))
        return "";
    snprintf(said, sizeof said, "%d/%d", (int)s.index, (int)s.count);
    return said;
}

#define SLURM(id, count, min, max)                                                                                                 \
    "SLURM_ARRAY_TASK_ID=" #id " SLURM_ARRAY_TASK_COUNT=" #count " SLURM_ARRAY_TASK_MIN=" #min " SLURM_ARRAY_TASK_MAX=" #max

static void shards_are_read(void **state) {
    static const struct {
        const char *settings, *option, *is;
    } cases[] = {
        {"", NULL, "1/1"},
        {"", "2/4", "2/4"},
        {"", "4/4", "4/4"},
        {"", "0/4", ""},
        {"", "5/4", ""},
        {"", "1/0", ""},
        {"", "4", ""},
        {"", "a/4", ""},
        {"", "1/4x", ""},
        {"", "-1/4", ""},
        {"", "/", ""},
        {"", "1/99999999999999999999", ""},
        {"", "1/10000000", ""},
        {SLURM(0, 4, 0, 3), NULL, "1/4"},
        {SLURM(4, 4, 1, 4), NULL, "4/4"},
        {SLURM(4, 4, 1, 4), "1/2", "1/2"},
        {SLURM(6, 4, 0, 6) " SLURM_ARRAY_TASK_STEP=2", NULL, "4/4"},
        {SLURM(7, 3, 1, 7), NULL, ""},
        {SLURM(5, 4, 1, 4), NULL, ""},
        {"SLURM_ARRAY_TASK_ID=1", NULL, ""},
        {SLURM(x, 4, 1, 4), NULL, ""},
        {"JOB_COMPLETION_INDEX=0 FAULTSHIM_SHARDS=3", NULL, "1/3"},
        {"JOB_COMPLETION_INDEX=2 FAULTSHIM_SHARDS=3", NULL, "3/3"},
        {"JOB_COMPLETION_INDEX=3 FAULTSHIM_SHARDS=3", NULL, ""},
        {"JOB_COMPLETION_INDEX=0", NULL, ""},
        {"JOB_COMPLETION_INDEX=0", "1/1", "1/1"},
        {"PARALLEL_SEQ=3", NULL, "1/1"},
        {"PARALLEL_SEQ=3 FAULTSHIM_SHARDS=4", NULL, "3/4"},
        {"PARALLEL_SEQ=5 FAULTSHIM_SHARDS=4", NULL, ""},
        {"PARALLEL_SEQ=1 FAULTSHIM_SHARDS=many", NULL, ""},
        {"PARALLEL_SEQ=1 JOB_COMPLETION_INDEX=0 FAULTSHIM_SHARDS=4", NULL, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(shard_of(cases[i].settings, cases[i].option), cases[i].is) != 0)
            fail_msg("%s %s is %s", cases[i].settings, cases[i].option ? cases[i].option : "",
                     shard_of(cases[i].settings, cases[i].option));
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, new_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        CASE(what_is_written_is_read),
        CASE(many_are_found_again),
        CASE(a_torn_line_is_dropped),
        CASE(a_full_disk_takes_nothing_back),
        CASE(one_process_writes),
        CASE(runs_say_how_often_and_where_first),
        CASE(wrong_folders_give_a_message),
        CASE(what_is_no_folder_is_refused),
        CASE(damaged_folders_are_survived),
        CASE(file_names_stay_in_the_folder),
        cmocka_unit_test(explorations_are_told_apart),
        cmocka_unit_test(each_unit_belongs_to_one_shard),
        cmocka_unit_test(shards_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
