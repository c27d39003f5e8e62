/* test_reader.c: what the engine's writer writes, the reader reads; what it does not, the reader survives. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "identity.h"
#include "reader.h"

static char path[] = "reader-XXXXXX";

static const struct fsh_candidate candidates[] = {{.rule = 0}, {.rule = 1}};
static const struct fsh_candidates list = {.v = candidates, .n = 2};

/* --- a run, as the shim would write it --- */

struct run {
    struct fsh_session session;
    struct fsh_owner owner;
    struct fsh_pen pen;
};

static void start_run(struct run *run, uint64_t limit, uint32_t mode) {
    static const char profile[] = "[rule a]\ncalls = read\nfault = error EIO\n";
    struct fsh_session_params params = {.seed = 42,
                                        .seed_from = SEED_COMMAND_LINE,
                                        .n_rules = 2,
                                        .trace_mode = mode,
                                        .trace_limit = limit,
                                        .profile = {profile, sizeof profile - 1},
                                        .command = {"prog\0arg", 9},
                                        .cwd = {"/somewhere", 10},
                                        .rules = {"a\0b", 4}};
    memset(run, 0, sizeof *run);
    assert_int_equal(fsh_session_create(&run->session, path, &params), 0);
    run->owner = (struct fsh_owner){.pid = (uint32_t)getpid(), .process_key = 1, .thread_key = 0};
    assert_int_equal(fsh_pen_open(&run->pen, &run->session, &run->owner), 0);
}

static void define(struct run *run) {
    struct fsh_fields f = {.len = 0};
    fsh_put_u64(&f, 1);
    fsh_put_text(&f, "1", 1);
    fsh_put_varint(&f, 100);
    fsh_put_varint(&f, 99);
    fsh_put_varint(&f, 0);
    fsh_put_text(&f, "/bin/prog", 9);
    fsh_put_text(&f, "prog", 4);
    fsh_pen_record(&run->pen, &run->session, OP_PROCESS, f.bytes, f.len);

    f.len = 0;
    fsh_put_u64(&f, 0);
    fsh_put_u64(&f, 1);
    fsh_put_text(&f, "1", 1);
    fsh_put_text(&f, "0", 1);
    fsh_put_varint(&f, 100);
    fsh_put_text(&f, "main", 4);
    fsh_pen_record(&run->pen, &run->session, OP_THREAD, f.bytes, f.len);

    f.len = 0;
    fsh_put_varint(&f, 1);
    fsh_put_varint(&f, FSH_ON_FILE);
    fsh_put_u64(&f, 0xfeed);
    fsh_put_text(&f, "/data/x", 7);
    fsh_put_text(&f, "", 0);
    fsh_pen_record(&run->pen, &run->session, OP_RESOURCE, f.bytes, f.len);

    for (int i = 0; i < 2; i++) { /* as two threads would */
        f.len = 0;
        fsh_put_text(&f, "libx.so", 7);
        fsh_put_text(&f, "/lib/libx.so", 12);
        fsh_put_text(&f, "\0\1\2", 3);
        fsh_pen_record(&run->pen, &run->session, OP_MODULE, f.bytes, f.len);
        f.len = 0;
        fsh_put_varint(&f, 5);
        fsh_put_u64(&f, 0x517e);
        fsh_put_varint(&f, 2);
        fsh_put_text(&f, "libx.so", 7);
        fsh_put_varint(&f, 0x1234);
        fsh_put_text(&f, "program", 7);
        fsh_put_varint(&f, 0x5678);
        fsh_pen_record(&run->pen, &run->session, OP_SITE, f.bytes, f.len);
    }
}

static void check_site(const struct fsh_reader *r) {
    const struct fsh_site_info *site = fsh_reader_site(r, 5);
    assert_int_equal(site->key, 0x517e);
    assert_int_equal(site->n_frames, 2);
    struct fsh_get get = {.p = site->frames, .end = site->end};
    struct fsh_stack_frame frame = fsh_get_frame(&get);
    assert_int_equal(frame.offset, 0x1234);
    const struct fsh_module_info *m = fsh_reader_module(r, 0, frame.module);
    assert_string_equal(m->path, "/lib/libx.so");
    assert_int_equal(m->build_id.len, 3);
    assert_memory_equal(m->build_id.data, "\0\1\2", 3);
    frame = fsh_get_frame(&get);
    assert_int_equal(frame.offset, 0x5678);
    assert_null(fsh_reader_module(r, 0, frame.module)); /* never told */
    assert_null(fsh_reader_module(r, 0, (struct fsh_text){"libx", 4}));
    assert_null(fsh_reader_module(r, 0, (struct fsh_text){"libx.so\0x", 9}));
}

static void pass(struct run *run, uint64_t size) {
    run->pen.considered[0]++;
    run->pen.calls[CALL_read]++;
    const struct fsh_slot context = {.what = fsh_what(CALL_read, FSH_ON_FILE, 1), .rules = 3, .size = size};
    fsh_pen_pass(&run->pen, &run->session, &context, &list);
}

static void fault(struct run *run, unsigned flags) {
    struct fsh_fields f = {.len = 0};
    fsh_put_u64(&f, fsh_session_now(&run->session));
    for (uint64_t v = 10; v < 14; v++)
        fsh_put_u64(&f, v); /* key, ordinal, word, bytes */
    fsh_put_varint(&f, flags);
    fsh_put_varint(&f, CALL_read);
    fsh_put_varint(&f, FSH_ON_FILE);
    fsh_put_varint(&f, 1);
    fsh_put_varint(&f, 5);
    fsh_put_varint(&f, 4096);
    fsh_put_varint(&f, 1);
    fsh_put_varint(&f, 0);
    fsh_put_varint(&f, FAULT_ERROR);
    fsh_put_varint(&f, (uint64_t)EIO << 1);
    fsh_put_varint(&f, 17);
    fsh_put_varint(&f, 2);
    for (uint64_t rule = 0; rule < 2; rule++) {
        fsh_put_varint(&f, rule);
        fsh_put_varint(&f, 70 + rule);
    }
    fsh_pen_record(&run->pen, &run->session, OP_FAULT, f.bytes, f.len);
    run->pen.fired[1]++;
    if (!(flags & FAULT_MORE)) {
        run->pen.n++;
        run->pen.calls[CALL_read]++;
    }
}

static struct fsh_reader *open_trace(void) {
    struct fsh_reader *reader = NULL;
    assert_int_equal(fsh_reader_open(&reader, path), 0);
    return reader;
}

/* --- what a walk tells --- */

struct tally {
    uint64_t decisions, faults, last_n, last_time, jumps, events, again;
    struct fsh_decision fault;
    struct fsh_considered rules[4];
    uint64_t stop_after;
};

static int count(void *arg, const struct fsh_decision *d) {
    struct tally *t = arg;
    if (d->again) {
        t->again++;
        return 0;
    }
    t->jumps += d->n != t->last_n + 1;
    t->last_n = d->n;
    if (d->time < t->last_time)
        fail_msg("time went back at decision %ju", (uintmax_t)d->n);
    t->last_time = d->time;
    t->decisions++;
    if (d->fault) {
        t->faults++;
        t->fault = *d;
        memcpy(t->rules, d->rules, d->n_rules * sizeof *d->rules);
    } else {
        assert_int_equal(d->n_rules, 2);
        assert_int_equal(d->rules[1].rule, 1);
        assert_int_equal(d->resource, 1);
    }
    return t->decisions == t->stop_after ? 7 : 0;
}

static int count_event(void *arg, const struct fsh_event *event) {
    ((struct tally *)arg)->events++;
    return 0;
}

static struct tally walk(const struct fsh_reader *reader) {
    struct tally tally = {0};
    struct fsh_visitor visitor = {&tally, count, count_event};
    assert_int_equal(fsh_reader_walk(reader, &visitor), 0);
    return tally;
}

/* --- claims --- */

static void reads_header_and_texts(void **state) {
    struct run run;
    start_run(&run, 1 << 30, TRACE_ALL);
    struct fsh_reader *r = open_trace();
    assert_int_equal(fsh_reader_header(r)->seed, 42);
    assert_int_equal(fsh_reader_rules(r), 2);
    assert_string_equal(fsh_reader_rule_name(r, 1), "b");
    assert_string_equal(fsh_reader_rule_name(r, 2), "?");
    assert_string_equal(fsh_reader_call_name(r, CALL_read), "read");
    assert_string_equal(fsh_reader_call_name(r, 99999), "?");
    assert_string_equal(fsh_reader_fault_name(r, FAULT_ERROR), "error");
    assert_memory_equal(fsh_reader_meta(r, META_CWD).data, "/somewhere", 10);
    assert_int_equal(fsh_reader_meta(r, META_REPLAYED).len, 0);
    fsh_reader_close(r);
}

static void reads_definitions_and_a_fault(void **state) {
    struct run run;
    start_run(&run, 1 << 30, TRACE_ALL);
    define(&run);
    for (int i = 0; i < 10; i++)
        pass(&run, 100);
    fault(&run, 0);
    pass(&run, 200);
    struct fsh_reader *r = open_trace();
    assert_int_equal(fsh_reader_threads(r), 1);
    const struct fsh_thread_info *t = fsh_reader_thread(r, 0);
    assert_string_equal(t->process, "1");
    assert_string_equal(t->name, "0");
    assert_string_equal(t->comm, "main");
    assert_int_equal(t->decisions, 12);
    assert_int_equal(t->faults, 1);
    assert_true(t->complete);
    assert_int_equal(fsh_reader_processes(r), 1);
    assert_string_equal(fsh_reader_process_by_key(r, 1, 0)->program, "/bin/prog");
    assert_null(fsh_reader_process_by_key(r, 1, 1));
    assert_string_equal(fsh_reader_resource(r, 1)->name, "/data/x");
    assert_null(fsh_reader_resource(r, 2));
    check_site(r);
    struct tally w = walk(r);
    assert_int_equal(w.decisions, 12);
    assert_int_equal(w.jumps, 0);
    assert_int_equal(w.events, 7);
    assert_int_equal(w.fault.n, 11);
    assert_int_equal(w.fault.key, 10);
    assert_int_equal(w.fault.bytes, 13);
    assert_int_equal(w.fault.error, EIO);
    assert_int_equal(w.fault.amount, 17);
    assert_int_equal(w.rules[1].ordinal, 71);
    fsh_reader_close(r);
}

static void reads_a_million_decisions_over_blocks(void **state) {
    struct run run;
    start_run(&run, 1 << 30, TRACE_ALL);
    define(&run);
    for (int i = 0; i < 1000000; i++)
        pass(&run, i % 7 ? 100 : (uint64_t)i);
    struct fsh_reader *r = open_trace();
    struct tally w = walk(r);
    assert_int_equal(w.decisions, 1000000);
    assert_int_equal(w.jumps, 0);
    assert_true(fsh_reader_thread(r, 0)->complete);
    struct fsh_totals totals;
    assert_int_equal(fsh_reader_totals(r, &totals), 0);
    assert_int_equal(totals.decisions, 1000000);
    assert_int_equal(totals.considered[0], 1000000);
    assert_int_equal(totals.calls[CALL_read], 1000000);
    fsh_totals_free(&totals);
    fsh_reader_close(r);
}

static void interpolates_between_marks(void **state) {
    struct run run;
    start_run(&run, 1 << 30, TRACE_ALL);
    for (int i = 0; i < 100; i++)
        pass(&run, 100);
    usleep(2000);
    fault(&run, 0);
    struct fsh_reader *r = open_trace();
    struct tally half = {.stop_after = 50};
    struct fsh_visitor visitor = {&half, count, NULL};
    assert_int_equal(fsh_reader_walk_thread(r, 0, &visitor), 7);
    struct tally all = walk(r);
    assert_in_range(half.last_time, 900000, all.fault.time - 900000);
    fsh_reader_close(r);
}

static void keeps_a_decision_of_two_faults_together(void **state) {
    struct run run;
    start_run(&run, 1 << 30, TRACE_ALL);
    fault(&run, FAULT_MORE);
    fault(&run, 0);
    fault(&run, FAULT_MORE);
    fault(&run, FAULT_PASSED);
    struct fsh_reader *r = open_trace();
    struct tally w = walk(r);
    assert_int_equal(w.decisions, 2);
    assert_int_equal(w.again, 2);
    assert_int_equal(fsh_reader_thread(r, 0)->faults, 3);
    fsh_reader_close(r);
}

static void merges_threads_by_time(void **state) {
    struct run run;
    start_run(&run, 1 << 30, TRACE_ALL);
    struct run other = run;
    other.owner.thread_key = 77;
    assert_int_equal(fsh_pen_open(&other.pen, &other.session, &other.owner), 0);
    for (int i = 0; i < 2000; i++) {
        pass(i % 3 ? &run : &other, (uint64_t)i);
    }
    struct fsh_reader *r = open_trace();
    assert_int_equal(fsh_reader_threads(r), 2);
    struct tally w = walk(r);
    assert_int_equal(w.decisions, 2000);
    assert_true(w.jumps > 2);
    assert_string_equal(fsh_reader_thread(r, 1)->name, "?");
    fsh_reader_close(r);
}

static void counts_what_was_only_counted(void **state) {
    struct run run;
    start_run(&run, 1 << 30, TRACE_FAULTS);
    for (int i = 0; i < 30; i++)
        pass(&run, 1);
    fault(&run, 0);
    for (int i = 0; i < 5; i++)
        pass(&run, 1);
    struct fsh_reader *r = open_trace();
    const struct fsh_thread_info *t = fsh_reader_thread(r, 0);
    assert_int_equal(t->decisions, 1);
    assert_int_equal(t->counted, 35);
    struct tally w = walk(r);
    assert_int_equal(w.fault.n, 31);
    fsh_reader_close(r);
}

static void keeps_its_numbers_past_the_limit(void **state) {
    struct run run;
    start_run(&run, 300 * 1024, TRACE_ALL);
    for (int i = 0; i < 400000; i++) {
        if (i % 100 == 99)
            fault(&run, 0);
        else
            pass(&run, (uint64_t)i);
    }
    struct fsh_reader *r = open_trace();
    const struct fsh_thread_info *t = fsh_reader_thread(r, 0);
    assert_true(t->counted > 0);
    assert_int_equal(t->decisions + t->counted, 400000);
    struct tally w = walk(r);
    assert_int_equal(w.faults, 4000);
    assert_int_equal(w.last_n, 400000);
    fsh_reader_close(r);
}

static void prefers_the_block_to_the_ring_it_came_from(void **state) {
    struct run run;
    start_run(&run, 1 << 30, TRACE_ALL);
    for (int i = 0; i < 100000; i++)
        pass(&run, 100);
    /* as if killed between writing the block and emptying the ring: the ring's number goes back to the block's */
    run.pen.ring->seq--;
    struct fsh_reader *r = open_trace();
    struct tally w = walk(r);
    assert_in_range(w.decisions, 30000, 99999);
    assert_int_equal(w.jumps, 0);
    fsh_reader_close(r);
}

/* The whole file in memory. */
static uint8_t *slurp(size_t *len) {
    int fd = open(path, O_RDONLY);
    struct stat st;
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    uint8_t *bytes = malloc((size_t)st.st_size);
    *len = (size_t)st.st_size;
    assert_int_equal(read(fd, bytes, *len), *len);
    close(fd);
    return bytes;
}

static void says_what_a_lost_block_left(void **state) {
    struct run run;
    start_run(&run, 1 << 30, TRACE_ALL);
    define(&run);
    for (int i = 0; i < 300000; i++)
        pass(&run, 100);
    size_t len;
    uint8_t *bytes = slurp(&len);
    struct fsh_header *h = (void *)bytes;
    /* the first block behind the ring loses its last page, as a hole would */
    size_t block = h->units + (size_t)h->ring_pages * FSH_PAGE;
    struct fsh_unit *unit = (void *)(bytes + block);
    assert_int_equal(unit->magic, fsh_unit_magic(h->nonce, UNIT_BLOCK));
    memset(bytes + block + (unit->pages - 1ul) * FSH_PAGE, 0, FSH_PAGE);
    struct fsh_reader *r;
    assert_int_equal(fsh_reader_open_memory(&r, bytes, len), 0);
    assert_false(fsh_reader_thread(r, 0)->complete);
    struct tally w = walk(r);
    assert_in_range(w.decisions, 200000, 299999);
    assert_int_equal(w.jumps, 1);
    assert_int_equal(w.last_n, 300000);
    fsh_reader_close(r);
    free(bytes);
}

struct readings {
    uint64_t n, wrong, bytes;
};

/* As writes_readings gives them. */
static int check_reading(void *arg, const struct fsh_event *event) {
    struct readings *r = arg;
    if (event->op == OP_BYTES)
        r->bytes += event->len;
    if (event->op != OP_VALUE)
        return 0;
    uint64_t i = r->n++, source = i % SOURCES;
    r->wrong += event->source != source || event->value != (source % 2 ? i * 1000003 : -i);
    return 0;
}

/* Over many parts of the stream, among decisions, and with a writer that was left in the middle. */
static void reads_what_clocks_said(void **state) {
    enum { READINGS = 200000 };
    struct run run;
    start_run(&run, 1 << 30, TRACE_ALL);
    define(&run);
    for (uint64_t i = 0; i < READINGS; i++) {
        uint64_t source = i % SOURCES;
        fsh_pen_value(&run.pen, &run.session, (enum fsh_source)source, source % 2 ? i * 1000003 : -i);
        if (i % 7 == 0)
            pass(&run, i);
        if (i % 1000 == 0)
            fsh_pen_record(&run.pen, &run.session, OP_BYTES, "random bytes", 12);
        if (i % 5000 == 0) {
            /* its length is said, its place is not taken yet */
            if (run.pen.values_end == run.pen.pos)
                run.pen.data[run.pen.values_at + 1] += 5;
            memset(run.pen.data + run.pen.pos, 0xff, 5);
            fsh_pen_mend(&run.pen);
        }
    }
    struct fsh_reader *r = open_trace();
    struct readings readings = {0};
    struct fsh_visitor visitor = {&readings, NULL, check_reading};
    assert_int_equal(fsh_reader_walk(r, &visitor), 0);
    assert_int_equal(readings.n, READINGS);
    assert_int_equal(readings.wrong, 0);
    assert_int_equal(readings.bytes, READINGS / 1000 * 12);
    assert_int_equal(walk(r).decisions, (READINGS + 6) / 7);
    fsh_reader_close(r);
}

/* Where passes are only counted, there is nothing to replay. */
static void writes_no_readings_past_the_limit(void **state) {
    struct run run;
    start_run(&run, 1, TRACE_ALL);
    for (uint64_t i = 0; i < 100; i++)
        fsh_pen_value(&run.pen, &run.session, SOURCE_TIME, i);
    struct fsh_reader *r = open_trace();
    assert_int_equal(walk(r).events, 0);
    fsh_reader_close(r);
}

static void refuses_what_is_no_trace(void **state) {
    struct fsh_reader *r = NULL;
    static const char text[] = "this is no trace, only a text that is long enough to look at";
    assert_int_equal(fsh_reader_open_memory(&r, text, sizeof text), -EBADMSG);
    assert_int_equal(fsh_reader_open_memory(&r, "", 0), -EBADMSG);
    assert_int_equal(fsh_reader_open(&r, "/nonexistent"), -ENOENT);
    assert_int_equal(fsh_reader_open(&r, "."), -EBADMSG);
    assert_int_equal(fsh_reader_open(&r, "/dev/null"), -EBADMSG);
    struct run run;
    start_run(&run, 1 << 30, TRACE_ALL);
    run.session.header->version = 99;
    assert_int_equal(fsh_reader_open(&r, path), -EPROTONOSUPPORT);
}

static int ignore(void *arg, const struct fsh_decision *d) {
    *(uint64_t *)arg += d->n + d->n_rules + (d->n_rules ? d->rules[0].rule : 0);
    return 0;
}

/* Every cut and a few thousand flips: an error or fewer decisions, never a crash (run this with sanitizers). */
static void survives_cuts_and_flips(void **state) {
    struct run run;
    start_run(&run, 1 << 30, TRACE_ALL);
    define(&run);
    for (int i = 0; i < 3000; i++) {
        pass(&run, (uint64_t)i);
        if (i % 50 == 0)
            fault(&run, 0);
    }
    size_t len;
    uint8_t *bytes = slurp(&len);
    uint64_t sum = 0, x = 1;
    struct fsh_visitor visitor = {&sum, ignore, NULL};
    struct fsh_reader *r;
    for (size_t cut = 0; cut < len; cut += 1 + len / 50)
        if (fsh_reader_open_memory(&r, bytes, cut) == 0) {
            fsh_reader_walk(r, &visitor);
            fsh_reader_close(r);
        }
    size_t units = ((struct fsh_header *)bytes)->units;
    for (int i = 0; i < 400; i++) {
        x = fsh_mix(x + FSH_GAMMA);
        /* in turns: the header, the ring's head, its stream */
        size_t at = i % 3 == 0 ? x % sizeof(struct fsh_header) : units + x % (i % 3 == 1 ? sizeof(struct fsh_unit) : len - units);
        bytes[at] ^= (uint8_t)(1u << (x >> 40) % 8);
        if (fsh_reader_open_memory(&r, bytes, len) == 0) {
            fsh_reader_walk(r, &visitor);
            fsh_reader_close(r);
        }
        if (i % 3 != 2)
            bytes[at] ^= (uint8_t)(1u << (x >> 40) % 8);
    }
    free(bytes);
}

static int make_name(void **state) {
    strcpy(path, "reader-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 || close(fd);
}

static int remove_file(void **state) {
    return unlink(path);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_name, remove_file)
    const struct CMUnitTest tests[] = {
        TEST(reads_header_and_texts),
        TEST(reads_definitions_and_a_fault),
        TEST(reads_a_million_decisions_over_blocks),
        TEST(interpolates_between_marks),
        TEST(keeps_a_decision_of_two_faults_together),
        TEST(merges_threads_by_time),
        TEST(counts_what_was_only_counted),
        TEST(keeps_its_numbers_past_the_limit),
        TEST(prefers_the_block_to_the_ring_it_came_from),
        TEST(says_what_a_lost_block_left),
        TEST(reads_what_clocks_said),
        TEST(writes_no_readings_past_the_limit),
        TEST(refuses_what_is_no_trace),
        TEST(survives_cuts_and_flips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
