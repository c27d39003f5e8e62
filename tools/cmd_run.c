/* cmd_run.c: faultshim run. Nothing is created before the program is found and the profile is right. */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "card.h"
#include "commands.h"
#include "out.h"

enum { ID_TIMEOUT = 300, ID_EXPECT, ID_LOG, ID_AUDIT };

static const struct fsh_option own_options[] = {
    {ID_TIMEOUT, "timeout", "DURATION", "end the program and its children after this time (status 124)"},
    {ID_EXPECT, "expect", "WHAT",
     "any: a run without faults is fine; fault: it never is; none: a fault is not; seen: all was seen"},
    {ID_AUDIT, "audit", NULL, "follow every system call, and tell which went past us; slow"},
    {ID_LOG, "log", "FILE", "banner and card go there, not to stderr"},
};

static const struct fsh_usage usage = {
    .name = "run",
    .operands = "[--] PROGRAM [ARGUMENT]...",
    .summary = "Runs PROGRAM with the faults of a profile. The exit status is the program's own; 120 if nothing was injected,\n"
               "121 if the shim did not start, 123 if --expect=seen and something was not, 124 after --timeout, 125 for errors of "
               "faultshim's own, 126 and 127 as in env(1).",
    .common = COMMON_PROFILE | COMMON_SEED | COMMON_TRACE | COMMON_JSON | COMMON_QUIET,
    .program = true,
    .options = own_options,
    .n_options = sizeof own_options / sizeof *own_options,
};

struct request {
    struct fsh_common common;
    uint64_t timeout;
    struct fsh_expected expected;
    bool audit;
    const char *log;
};

/* One word, or several with commas. */
static bool take_expect(struct request *request, const char *value) {
    static const char *const words[] = {[EXPECT_ANY] = "any", [EXPECT_FAULT] = "fault", [EXPECT_NONE] = "none"};
    for (const char *p = value;; p++) {
        size_t n = strcspn(p, ",");
        bool known = n == 4 && !strncmp(p, "seen", n);
        request->expected.seen |= known;
        for (int i = EXPECT_ANY; i <= EXPECT_NONE; i++)
            if (strlen(words[i]) == n && !strncmp(p, words[i], n)) {
                request->expected.faults = (enum fsh_expect)i;
                known = true;
            }
        if (!known) {
            fsh_warn("--expect '%s' is unknown; write any, fault, none or seen", value);
            return false;
        }
        p += n;
        if (!*p)
            return true;
    }
}

static bool take(void *arg, int id, const char *value) {
    struct request *request = arg;
    switch (id) {
    case ID_TIMEOUT:
        return fsh_option_time("--timeout", value, &request->timeout);
    case ID_EXPECT:
        return take_expect(request, value);
    case ID_AUDIT:
        return request->audit = true;
    default:
        request->log = value;
        return true;
    }
}

static FILE *open_log(const char *path) {
    if (!path)
        return stderr;
    FILE *out = fopen(path, "we");
    if (!out)
        fsh_warn("%s: %s", path, strerror(errno));
    return out;
}

static int report(struct fsh_run *run, const struct request *request, FILE *out) {
    struct fsh_card card;
    int status = fsh_card_read(&card, run, &request->common, out);
    if (!status) {
        fsh_card_judge(&card, &request->expected);
        status = card.status;
        if (request->common.json && !request->common.quiet)
            fsh_put_object(out, fsh_card_json(&card));
        else if (!request->common.quiet)
            fsh_card_show(&card);
    }
    fsh_card_free(&card);
    return status;
}

static int go(struct fsh_run *run, const struct request *request, FILE *out) {
    int status = fsh_run_prepare(run);
    if (status)
        return status;
    if (!request->common.quiet && !request->common.json)
        fsh_banner(run, &request->common, out);
    status = fsh_run_supervise(run);
    return status ? status : report(run, request, out);
}

static int run_program(char **argv, const struct request *request) {
    struct fsh_loaded loaded;
    struct fsh_run run = {.argv = argv,
                          .loaded = &loaded,
                          .timeout = request->timeout,
                          .audit = request->audit || request->expected.seen,
                          .trace = request->common.trace ? request->common.trace : FSH_DEFAULT_TRACE};
    int status = fsh_run_find(&run);
    if (status)
        return status;
    FILE *out = NULL;
    if (!fsh_load_options(&loaded, &request->common) || !(out = open_log(request->log)))
        status = EXIT_TROUBLE;
    else
        status = go(&run, request, out);
    if (out && out != stderr && fclose(out) != 0)
        status = fsh_fail(EXIT_TROUBLE, "%s: %s", request->log, strerror(errno));
    fsh_run_finish(&run);
    fsh_loaded_free(&loaded);
    return status;
}

int fsh_cmd_run(int argc, char **argv) {
    struct request request = {.timeout = 0};
    int status, at = fsh_options(argc, argv, &usage, &request.common, take, &request, &status);
    if (at >= 0 && at == argc)
        status = fsh_fail(EXIT_TROUBLE, "run needs a program; see 'faultshim run --help'");
    else if (at >= 0)
        status = run_program(argv + at, &request);
    fsh_common_free(&request.common);
    return status;
}
