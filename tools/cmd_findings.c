/* cmd_findings.c: faultshim findings: what an exploration has found so far, for people and for CI systems. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "commands.h"
#include "exports.h"
#include "frames.h"
#include "options.h"
#include "out.h"

enum { ID_AS = 300 };

static const struct fsh_option own_options[] = {
    {ID_AS, "as", "FORMAT", EXPORT_NAMES},
    {'o', "to", "FILE", "write it there"},
};

static const struct fsh_usage usage = {
    .name = "findings",
    .operands = "[FOLDER]",
    .summary = "Shows what an exploration has found: each failure once, with its call stack and the command that brings it back.\n"
               "Without FOLDER, that of " FSH_DEFAULT_EXPLORATION ".",
    .common = COMMON_QUIET,
    .options = own_options,
    .n_options = sizeof own_options / sizeof *own_options,
};

struct wish {
    fsh_export *put;
    const char *file;
    bool quiet;
};

static bool take(void *arg, int id, const char *value) {
    struct wish *w = arg;
    if (id == 'o') {
        w->file = value;
        return true;
    }
    w->put = fsh_export_by_name(value);
    if (!w->put)
        fsh_warn("--as '%s' is unknown; write " EXPORT_NAMES, value);
    return w->put;
}

static void put_text(FILE *out, const struct fsh_results *r) {
    const struct fsh_exploration *x = r->x;
    fprintf(out, "faultshim: %zu finding%s in %zu run%s of ", r->n, fsh_plural(r->n), x->n_runs, fsh_plural(x->n_runs));
    for (size_t i = 0; i < x->asked.command.n; i++) {
        fputs(i ? " " : "", out);
        fsh_put_safe(out, x->asked.command.v[i]);
    }
    fputs(" (", out);
    fsh_put_safe(out, x->asked.strategy);
    fputs(")\n", out);
    for (size_t i = 0; i < r->n; i++) {
        const struct fsh_finding *f = r->findings[i];
        putc('\n', out);
        fsh_put_safe(out, f->title);
        fprintf(out, "\n  %s, %" PRIu64 " run%s, first ", f->id, f->runs, fsh_plural(f->runs));
        fsh_put_safe(out, f->first);
        for (size_t k = 0; k < f->stack.n; k++) {
            fprintf(out, "\n  #%zu ", k);
            fsh_put_frame(out, &f->stack.v[k]);
        }
        fputs("\n  ", out);
        fsh_put_safe(out, r->replays[i]);
        putc('\n', out);
    }
}

static int write_results(const struct wish *w, const struct fsh_results *r) {
    FILE *out = w->file ? fopen(w->file, "we") : stdout;
    if (!out)
        return fsh_fail(EXIT_TROUBLE, "%s: %s", w->file, strerror(errno));
    if (w->put || !w->quiet)
        (w->put ? w->put : put_text)(out, r);
    bool bad = ferror(out);
    if (w->file && (fclose(out) != 0 || bad))
        return fsh_fail(EXIT_TROUBLE, "%s: %s", w->file, strerror(errno));
    return r->n ? EXIT_DIFFERENT : 0;
}

static int show(const struct wish *w, const char *folder) {
    struct fsh_exploration x;
    struct fsh_results r = {.n = 0};
    int status = 0;
    if (fsh_exploration_open(&x, folder, false) != 0)
        status = fsh_fail(EXIT_TROUBLE, "%s", x.wrong);
    else if (!fsh_results_begin(&r, &x, folder))
        status = fsh_fail(EXIT_TROUBLE, "out of memory");
    else
        status = write_results(w, &r);
    fsh_results_end(&r);
    fsh_exploration_close(&x);
    return status;
}

int fsh_cmd_findings(int argc, char **argv) {
    struct wish w = {.put = NULL};
    struct fsh_common common;
    int status, at = fsh_options(argc, argv, &usage, &common, take, &w, &status);
    w.quiet = common.quiet;
    if (at >= 0 && argc - at > 1)
        status = fsh_fail(EXIT_TROUBLE, "findings reads one folder; '%s' is too much, faultshim merge joins several", argv[at + 1]);
    else if (at >= 0)
        status = fsh_out_finish(show(&w, argc > at ? argv[at] : FSH_DEFAULT_EXPLORATION));
    fsh_common_free(&common);
    return status;
}
