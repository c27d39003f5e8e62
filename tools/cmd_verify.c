/* cmd_verify.c: faultshim verify: says whether a trace is the outcome of its seed and profile, and of nothing else. */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

#include "commands.h"
#include "options.h"
#include "out.h"
#include "recompute.h"
#include "repeat.h"
#include "trace_open.h"

enum { ID_RUNS = 300, ID_TIMEOUT };

static const struct fsh_option own_options[] = {
    {ID_RUNS, "runs", "N", "run PROGRAM so many times with one seed, and compare the runs"},
    {ID_TIMEOUT, "timeout", "DURATION", "with --runs: end each run after this time"},
};

static const struct fsh_usage usage = {
    .name = "verify",
    .operands = "[TRACE] | --runs=N -- PROGRAM [ARGUMENT]...",
    .summary = "Recomputes every decision of a trace from its seed and profile. The status is 0 if all is as recorded, 1 if not.\n"
               "With --runs, runs a program several times instead, and says how much of it is the same each time: 0 if all is.",
    .common = COMMON_PROFILE | COMMON_SEED | COMMON_TRACE | COMMON_JSON | COMMON_QUIET,
    .options = own_options,
    .n_options = sizeof own_options / sizeof *own_options,
};

struct request {
    uint64_t runs, timeout;
};

static void show_text(const struct fsh_recomputed *r) {
    for (unsigned i = 0; i < r->n_shown; i++)
        puts(r->shown[i]);
    if (r->problems > r->n_shown)
        printf("and %" PRIu64 " more\n", r->problems - r->n_shown);
    if (r->counted)
        printf("not checked: %" PRIu64 " decision%s that %s only counted\n", r->counted, fsh_plural(r->counted),
               r->counted == 1 ? "was" : "were");
    if (r->unplaced)
        printf("not checked: whether rules fire at %" PRIu64 " pass%s after a part of the trace that is missing\n", r->unplaced,
               r->unplaced == 1 ? "" : "es");
    if (r->unsettled)
        printf("not checked: whether faults are missing under %" PRIu64
               " shared key%s, because the trace does not hold all decisions\n",
               r->unsettled, fsh_plural(r->unsettled));
    if (r->in_flight)
        printf("not checked: %" PRIu64 " call%s that was being decided when a process died\n", r->in_flight,
               fsh_plural(r->in_flight));
    if (r->changes)
        printf("taken as given: %" PRIu64 " change%s by faultshim ctl, as threads met them\n", r->changes, fsh_plural(r->changes));
    printf("%" PRIu64 " decision%s and %" PRIu64 " fault%s of %u thread%s recomputed: ", r->decisions, fsh_plural(r->decisions),
           r->faults, fsh_plural(r->faults), r->threads, fsh_plural(r->threads));
    if (r->problems)
        printf("%" PRIu64 " difference%s\n", r->problems, fsh_plural(r->problems));
    else
        puts("all as recorded");
}

static void put(json_object *o, const char *key, json_object *value) {
    json_object_object_add(o, key, value);
}

static void show_json(const struct fsh_recomputed *r) {
    json_object *o = json_object_new_object(), *list = json_object_new_array(), *missing = json_object_new_object();
    for (unsigned i = 0; i < r->n_shown; i++)
        json_object_array_add(list, json_object_new_string(r->shown[i]));
    put(o, "as_recorded", json_object_new_boolean(r->problems == 0));
    put(o, "decisions", json_object_new_uint64(r->decisions));
    put(o, "faults", json_object_new_uint64(r->faults));
    put(o, "threads", json_object_new_uint64(r->threads));
    put(o, "differences", json_object_new_uint64(r->problems));
    put(o, "changes", json_object_new_uint64(r->changes));
    put(o, "first", list);
    put(missing, "counted", json_object_new_uint64(r->counted));
    put(missing, "unplaced", json_object_new_uint64(r->unplaced));
    put(missing, "shared_keys", json_object_new_uint64(r->unsettled));
    put(missing, "in_flight", json_object_new_uint64(r->in_flight));
    put(o, "not_checked", missing);
    fsh_put_object(stdout, o);
}

static int recompute(const char *path, const struct fsh_common *common, const struct fsh_reader *reader) {
    struct fsh_loaded loaded;
    struct fsh_recomputed result;
    int status = EXIT_TROUBLE;
    if (fsh_load_trace(&loaded, reader, path)) {
        int e = fsh_recompute(&result, reader, &loaded);
        status = e ? fsh_fail(EXIT_TROUBLE, "recomputing failed: %s", strerror(-e)) : result.problems ? EXIT_DIFFERENT : 0;
        if (!e && common->json)
            show_json(&result);
        else if (!e && (!common->quiet || result.problems))
            show_text(&result);
        fsh_recomputed_free(&result);
    }
    fsh_loaded_free(&loaded);
    return status;
}

static bool take(void *arg, int id, const char *value) {
    struct request *request = arg;
    if (id == ID_TIMEOUT)
        return fsh_option_time("--timeout", value, &request->timeout);
    if (!fsh_option_count("--runs", value, &request->runs))
        return false;
    if (request->runs >= 2 && request->runs <= REPEAT_MAX)
        return true;
    fsh_warn("--runs '%s': write a number from 2 to %d", value, REPEAT_MAX);
    return false;
}

static int verify(const char *path, const struct fsh_common *common) {
    struct fsh_reader *reader = fsh_trace_open(path);
    if (!reader)
        return EXIT_TROUBLE;
    int status = recompute(path, common, reader);
    fsh_reader_close(reader);
    return fsh_out_finish(status);
}

/* A trace has its own profile and seed. */
static bool makes_sense(const struct fsh_common *common, const struct request *request) {
    if (!common->n_profiles && !common->n_rules && !common->has_seed && !request->timeout)
        return true;
    fsh_warn("profiles, rules, seed and timeout are for --runs; a trace is verified with its own");
    return false;
}

int fsh_cmd_verify(int argc, char **argv) {
    struct fsh_common common;
    struct request request = {.runs = 0};
    int status, n = 1;
    /* what stands behind `--` is the program; getopt would mix it with our own operands */
    while (n < argc && strcmp(argv[n], "--") != 0)
        n++;
    int at = fsh_options(n, argv, &usage, &common, take, &request, &status);
    bool has_program = n + 1 < argc;
    if (at >= 0 && request.runs && (!has_program || at < n)) {
        status = fsh_fail(EXIT_TROUBLE, "verify --runs needs a program behind --; see 'faultshim verify --help'");
    } else if (at >= 0 && !request.runs && n < argc) {
        status = fsh_fail(EXIT_TROUBLE, "verify runs a program only with --runs=N");
    } else if (at >= 0 && request.runs) {
        status = fsh_out_finish(fsh_repeat(argv + n + 1, &common, (unsigned)request.runs, request.timeout));
    } else if (at >= 0 && !makes_sense(&common, &request)) {
        status = EXIT_TROUBLE;
    } else if (at >= 0) {
        const char *path = fsh_option_trace(n, argv, at, &usage, &common, &status);
        if (path)
            status = verify(path, &common);
    }
    fsh_common_free(&common);
    return status;
}
