/* The tables of calls, faults and errors hold together. */
#include <fcntl.h>
#include <netdb.h>
#include <sys/syscall.h>

#include "engine_test.h"

static void every_call_is_found_by_its_name(void **state) {
    (void)state;
    for (int i = 0; i < FSH_CALLS; i++)
        assert_int_equal(fsh_call_by_name(fsh_calls[i].name, strlen(fsh_calls[i].name)), i);
    assert_int_equal(fsh_call_by_name("pread64", 7), CALL_pread);
    assert_int_equal(fsh_call_by_name("pread64x", 8), -1);
    assert_int_equal(fsh_call_by_name("", 0), -1);
    assert_int_equal(fsh_call_by_number(SYS_write), CALL_write);
    assert_int_equal(fsh_call_by_number(-1), -1);
    assert_int_equal(fsh_call_by_number(99999), -1);
}

static void kinds_follow_from_roles(void **state) {
    (void)state;
    for (unsigned i = 0; i < FSH_CALLS; i++) {
        const struct fsh_call_row *row = &fsh_calls[i];
        bool lone = !row->roles.fd && !row->roles.path;
        bool any = false;
        for (unsigned k = 0; k < FSH_KINDS; k++)
            any |= row->class_of[k] != C_NONE;
        lone |= row->roles.maps;
        if (!any || (row->class_of[FSH_ON_NONE] != C_NONE) != lone)
            fail_msg("%s: roles and kinds disagree", row->name);
        if (!row->roles.fd && !row->roles.dirfd) /* with an empty path they act on that descriptor */
            for (unsigned k = FSH_ON_STREAM; k < FSH_KINDS; k++)
                assert_int_equal(row->class_of[k], C_NONE);
        assert_int_equal(row->class_of[FSH_ON_STREAM], row->class_of[FSH_ON_DGRAM]);
        assert_int_equal(row->class_of[FSH_ON_PIPE], row->class_of[FSH_ON_EVENT]);
    }
}

static void roles_stay_within_the_arguments(void **state) {
    (void)state;
    for (unsigned i = 0; i < FSH_CALLS; i++) {
        const struct fsh_roles *r = &fsh_calls[i].roles;
        const uint8_t places[] = {r->fd,      r->dirfd, r->path,  r->host,   r->in,   r->out,     r->iov_in, r->iov_out, r->msg_in,
                                  r->msg_out, r->len,   r->count, r->offset, r->addr, r->addrlen, r->oflags, r->mflags,  r->nfds};
        for (unsigned j = 0; j < sizeof places; j++)
            assert_true(places[j] <= fsh_calls[i].arity);
    }
}

static void every_listed_error_has_a_name(void **state) {
    (void)state;
    for (unsigned i = 0; i < FSH_CALLS; i++)
        for (unsigned k = 0; k < FSH_KINDS; k++)
            for (const int16_t *e = fsh_call_errnos(i, k); *e; e++) {
                if (!fsh_errno_name(*e))
                    fail_msg("%s: error %d has no name", fsh_calls[i].name, *e);
                assert_true((*e < 0) == fsh_fails_by_eai(fsh_calls[i].fail));
            }
}

static void what_can_fail_says_how(void **state) {
    (void)state;
    for (unsigned i = 0; i < FSH_CALLS; i++)
        for (unsigned k = 0; k < FSH_KINDS; k++)
            if (fsh_fault_fits(FAULT_ERROR, i, k) && !fsh_call_errnos(i, k)[0])
                fail_msg("%s on %s can fail and lists no error", fsh_calls[i].name, fsh_kind_names[k]);
}

static void errors_by_name(void **state) {
    int e = 0;
    (void)state;
    assert_int_equal(fsh_errno_by_name("EIO", 3, &e), 0);
    assert_int_equal(e, EIO);
    assert_int_equal(fsh_errno_by_name("EAI_AGAIN", 9, &e), 0);
    assert_int_equal(e, EAI_AGAIN);
    assert_int_equal(fsh_errno_by_name("connection_refused", 18, &e), 0);
    assert_int_equal(e, ECONNREFUSED);
    assert_int_equal(fsh_errno_by_name("EI", 2, &e), -1);
    assert_string_equal(fsh_errno_name(EAGAIN), "EAGAIN");
    assert_string_equal(fsh_errno_name(EOPNOTSUPP), "EOPNOTSUPP");
    assert_null(fsh_errno_name(0));
    assert_null(fsh_errno_name(9999));
}

static void allowed_errors(void **state) {
    (void)state;
    assert_true(fsh_call_allows(CALL_write, FSH_ON_FILE, ENOSPC));
    assert_false(fsh_call_allows(CALL_write, FSH_ON_STREAM, ENOSPC));
    assert_true(fsh_call_allows(CALL_write, FSH_ON_STREAM, ECONNRESET));
    assert_false(fsh_call_allows(CALL_write, FSH_ON_FILE, ECONNRESET));
    assert_false(fsh_call_allows(CALL_fsync, FSH_ON_STREAM, EIO));
    assert_true(fsh_call_allows(CALL_getaddrinfo, FSH_ON_NONE, EAI_AGAIN));
}

static void faults_by_name(void **state) {
    (void)state;
    for (int i = 0; i < FSH_FAULTS; i++)
        assert_int_equal(fsh_fault_by_name(fsh_faults[i].name, strlen(fsh_faults[i].name)), i);
    assert_int_equal(fsh_fault_by_name("power-loss", 10), -2);
    assert_int_equal(fsh_fault_by_name("nonsense", 8), -1);
}

static const struct {
    enum fsh_fault_kind fault;
    enum fsh_call call;
    enum fsh_kind kind;
    bool fits;
} fitting[] = {
    {FAULT_SHORT, CALL_read, FSH_ON_FILE, true},
    {FAULT_SHORT, CALL_read, FSH_ON_PIPE, true},
    {FAULT_SHORT, CALL_read, FSH_ON_EVENT, false},
    {FAULT_SHORT, CALL_recv, FSH_ON_DGRAM, false},
    {FAULT_SHORT, CALL_recvmmsg, FSH_ON_DGRAM, true},
    {FAULT_SHORT, CALL_sendmsg, FSH_ON_STREAM, true},
    {FAULT_SHORT, CALL_copy_file_range, FSH_ON_FILE, true},
    {FAULT_SHORT, CALL_getrandom, FSH_ON_NONE, true},
    {FAULT_SHORT, CALL_getentropy, FSH_ON_NONE, false},
    {FAULT_SHORT, CALL_ftruncate, FSH_ON_FILE, false},
    {FAULT_SHORT, CALL_malloc, FSH_ON_NONE, false},
    {FAULT_SHORT, CALL_poll, FSH_ON_NONE, false},
    {FAULT_SHORT, CALL_connect, FSH_ON_STREAM, false},
    {FAULT_CORRUPT, CALL_pwrite, FSH_ON_FILE, true},
    {FAULT_CORRUPT, CALL_sendfile, FSH_ON_FILE, false},
    {FAULT_LOST, CALL_write, FSH_ON_FILE, true},
    {FAULT_LOST, CALL_write, FSH_ON_STREAM, false},
    {FAULT_LOST, CALL_splice, FSH_ON_FILE, false},
    {FAULT_LOST, CALL_fsync, FSH_ON_FILE, true},
    {FAULT_LOST, CALL_sync, FSH_ON_NONE, true},
    {FAULT_LOST, CALL_msync, FSH_ON_NONE, true},
    {FAULT_TORN, CALL_pwrite, FSH_ON_FILE, true},
    {FAULT_TORN, CALL_write, FSH_ON_STREAM, false},
    {FAULT_TORN, CALL_sendfile, FSH_ON_FILE, false},
    {FAULT_MISDIRECT, CALL_writev, FSH_ON_FILE, true},
    {FAULT_MISDIRECT, CALL_ftruncate, FSH_ON_FILE, false},
    {FAULT_TWICE, CALL_write, FSH_ON_FILE, true},
    {FAULT_TWICE, CALL_pwrite, FSH_ON_FILE, false},
    {FAULT_EVICT, CALL_fsync, FSH_ON_FILE, true},
    {FAULT_EVICT, CALL_open, FSH_ON_FILE, false},
    {FAULT_SEEDED, CALL_getrandom, FSH_ON_NONE, true},
    {FAULT_SEEDED, CALL_recv, FSH_ON_STREAM, false},
    {FAULT_FILL, CALL_malloc, FSH_ON_NONE, true},
    {FAULT_FILL, CALL_calloc, FSH_ON_NONE, false},
    {FAULT_FILL, CALL_mmap, FSH_ON_NONE, false},
    {FAULT_PAUSE, CALL_free, FSH_ON_NONE, false},
    {FAULT_EARLY, CALL_sleep, FSH_ON_NONE, true},
    {FAULT_EARLY, CALL_poll, FSH_ON_NONE, true},
    {FAULT_EARLY, CALL_pthread_cond_clockwait, FSH_ON_NONE, true},
    {FAULT_EARLY, CALL_pthread_cond_wait, FSH_ON_NONE, false},
    {FAULT_EARLY, CALL_mq_timedsend, FSH_ON_NONE, true},
    {FAULT_LATE, CALL_epoll_pwait2, FSH_ON_NONE, true},
    {FAULT_LATE, CALL_mq_receive, FSH_ON_NONE, false},
    {FAULT_ERROR, CALL_sync, FSH_ON_NONE, false},
    {FAULT_ERROR, CALL_free, FSH_ON_NONE, false},
    {FAULT_DELAY, CALL_free, FSH_ON_NONE, false},
    {FAULT_DELAY, CALL_vfork, FSH_ON_NONE, false},
    {FAULT_DELAY, CALL_sync, FSH_ON_NONE, true},
    {FAULT_ERROR_AFTER, CALL_open, FSH_ON_FILE, true},
    {FAULT_ERROR_AFTER, CALL_mmap, FSH_ON_NONE, true},
    {FAULT_ERROR_AFTER, CALL_mremap, FSH_ON_NONE, false},
    {FAULT_ERROR_AFTER, CALL_malloc, FSH_ON_NONE, false},
    {FAULT_ERROR_AFTER, CALL_fork, FSH_ON_NONE, false},
    {FAULT_ERROR_AFTER, CALL_pthread_create, FSH_ON_NONE, false},
    {FAULT_ERROR, CALL_bind, FSH_ON_FILE, false},
    {FAULT_ERROR, CALL_bind, FSH_ON_STREAM, true},
    {FAULT_ERROR, CALL_execve, FSH_ON_FILE, true},
    {FAULT_ERROR, CALL_execvp, FSH_ON_NONE, true},
};

static void faults_fit_where_they_make_sense(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof fitting / sizeof *fitting; i++)
        if (fsh_fault_fits(fitting[i].fault, fitting[i].call, fitting[i].kind) != fitting[i].fits)
            fail_msg("%s on %s (%s) is not %d", fsh_faults[fitting[i].fault].name, fsh_calls[fitting[i].call].name,
                     fsh_kind_names[fitting[i].kind], fitting[i].fits);
}

static void observed_calls_fit_nothing(void **state) {
    (void)state;
    for (unsigned i = 0; i < FSH_CALLS; i++)
        if (fsh_calls[i].roles.observed != (fsh_observed[i] != NULL))
            fail_msg("%s: observed, and why not", fsh_calls[i].name);
    for (unsigned i = 0; i < FSH_CALLS; i++)
        for (unsigned f = 0; fsh_calls[i].roles.observed && f < FSH_FAULTS; f++)
            for (unsigned k = 0; k < FSH_KINDS; k++)
                assert_false(fsh_fault_fits(f, i, k));
}

static void directions(void **state) {
    (void)state;
    assert_true(fsh_call_writes(CALL_write) && !fsh_call_reads(CALL_write) && fsh_call_has_data(CALL_write));
    assert_true(fsh_call_reads(CALL_recvmsg) && !fsh_call_writes(CALL_recvmsg));
    assert_true(fsh_call_writes(CALL_sendmmsg) && !fsh_call_reads(CALL_sendmmsg) && !fsh_call_has_data(CALL_sendmmsg));
    assert_true(fsh_call_reads(CALL_recvmmsg) && !fsh_call_writes(CALL_recvmmsg));
    assert_true(fsh_call_writes(CALL_sendfile) && !fsh_call_has_data(CALL_sendfile));
    assert_false(fsh_call_writes(CALL_fsync) || fsh_call_reads(CALL_fsync));
}

/* libc makes a call of the other's system call: that one has a number, and is not made of a third's (but fcntl's locks are
 * fcntl's). */
static void what_is_over_another_ends_there(void **state) {
    (void)state;
    for (unsigned i = 0; i < FSH_CALLS; i++) {
        unsigned over = fsh_calls[i].roles.over;
        if (!over--)
            continue;
        assert_true(over < FSH_CALLS && over != i);
        if ((fsh_calls[over].sysno < 0 && over != CALL_fcntl_lock) || fsh_calls[over].roles.over)
            fail_msg("%s over %s", fsh_calls[i].name, fsh_calls[over].name);
    }
}

/* What is left out has no row: a row that went would be taken for left out. */
static void left_out_is_not_in_the_table(void **state) {
    static const char *const patterns[] = {
#define LEFT_OUT(pattern, why) pattern,
#include "left_out.def"
    };
    static const char *const symbols[] = {
#define CALL(name, ...)           #name,
#define ALIAS(symbol, name, file) #symbol,
#include "calls.def"
    };
    (void)state;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        for (size_t j = 0; j < sizeof symbols / sizeof *symbols; j++)
            if (fsh_glob(patterns[i], symbols[j], true))
                fail_msg("%s is left out by %s", symbols[j], patterns[i]);
}

static void numbers_are_found(void **state) {
    const long lock[6] = {3, F_SETLK}, other[6] = {3, F_GETFL};
    (void)state;
    for (unsigned i = 0; i < FSH_CALLS; i++)
        if (fsh_calls[i].sysno >= 0)
            assert_int_equal(fsh_call_by_number(fsh_calls[i].sysno), i);
    assert_int_equal(fsh_call_by_syscall(SYS_fcntl, lock), CALL_fcntl_lock);
    assert_int_equal(fsh_call_by_syscall(SYS_fcntl, other), CALL_fcntl);
    assert_int_equal(fsh_call_by_syscall(SYS_write, other), CALL_write);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_is_found_by_its_name),
        cmocka_unit_test(kinds_follow_from_roles),
        cmocka_unit_test(roles_stay_within_the_arguments),
        cmocka_unit_test(every_listed_error_has_a_name),
        cmocka_unit_test(what_can_fail_says_how),
        cmocka_unit_test(errors_by_name),
        cmocka_unit_test(allowed_errors),
        cmocka_unit_test(faults_by_name),
        cmocka_unit_test(faults_fit_where_they_make_sense),
        cmocka_unit_test(observed_calls_fit_nothing),
        cmocka_unit_test(directions),
        cmocka_unit_test(what_is_over_another_ends_there),
        cmocka_unit_test(numbers_are_found),
        cmocka_unit_test(left_out_is_not_in_the_table),
    };
    return cmocka_run_group_tests_name("tables", tests, NULL, NULL);
}
