/* cmd_report.c: faultshim report: a trace, or an exploration, as one HTML file that needs nothing else. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "options.h"
#include "out.h"
#include "report.h"

enum { ID_FAULTS = 300, FAULTS_MOST = 100000 };
#define DEFAULT_OUTPUT "faultshim.html"

static const struct fsh_option own_options[] = {
    {'o', "output", "FILE", "where to put it (default " DEFAULT_OUTPUT "); - for the standard output"},
    {ID_FAULTS, "faults", "N", "so many faults at most (default 100000)"},
};

static const struct fsh_usage usage = {
    .name = "report",
    .operands = "[TRACE | FOLDER]",
    .summary = "Writes what a trace holds, or the folder of an exploration, as one HTML file that loads nothing from anywhere:\n"
               "summary, rules, timeline of the faults, their call stacks, findings, coverage.",
    .common = COMMON_QUIET,
    .options = own_options,
    .n_options = sizeof own_options / sizeof *own_options,
};

struct asked {
    struct fsh_common common;
    const char *output;
    uint64_t faults;
};

static bool take(void *arg, int id, const char *value) {
    struct asked *asked = arg;
    if (id == ID_FAULTS)
        return fsh_option_count("--faults", value, &asked->faults);
    asked->output = value;
    return true;
}

static int print(FILE *out, const struct asked *asked, const char *path) {
    struct stat st;
    bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    return (folder ? fsh_report_exploration : fsh_report_trace)(out, path, asked->faults);
}

/* Beside its place first: a report that was there is whole until the new one is. */
static int write_file(const struct asked *asked, const char *path) {
    char *beside = NULL;
    if (asprintf(&beside, "%s.XXXXXX", asked->output) < 0)
        return fsh_fail(EXIT_TROUBLE, "out of memory");
    int fd = mkstemp(beside), status;
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    mode_t mask = umask(0);
    umask(mask);
    if (!out) {
        status = fsh_fail(EXIT_TROUBLE, "%s: %s", asked->output, strerror(errno));
    } else {
        fchmod(fd, 0666 & ~mask);
        status = print(out, asked, path);
        bool bad = fclose(out) != 0;
        if (!status && (bad || rename(beside, asked->output)))
            status = fsh_fail(EXIT_TROUBLE, "%s: %s", asked->output, strerror(errno));
        if (status)
            unlink(beside);
    }
    if (!status && !asked->common.quiet)
        fprintf(stderr, "faultshim: wrote %s\n", asked->output);
    free(beside);
    return status;
}

int fsh_cmd_report(int argc, char **argv) {
    struct asked asked = {.output = DEFAULT_OUTPUT, .faults = FAULTS_MOST};
    int status, at = fsh_options(argc, argv, &usage, &asked.common, take, &asked, &status);
    const char *path = at < 0 ? NULL : fsh_option_trace(argc, argv, at, &usage, &asked.common, &status);
    if (path && !strcmp(asked.output, "-"))
        status = fsh_out_finish(print(stdout, &asked, path));
    else if (path)
        status = write_file(&asked, path);
    fsh_common_free(&asked.common);
    return status;
}
