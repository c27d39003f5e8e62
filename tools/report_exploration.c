/* report_exploration.c: see report.h: the page of an exploration: what was asked, what it found, which fault points it met. Needs
 * no script but for the buttons that copy a command. */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "exploration.h"
#include "out.h"
#include "page.h"

enum {
    OPEN_FINDINGS = 3, /* that are not folded up */
    FAULTS_MOST = 20,  /* of a finding's run */
    FINDINGS_MOST = 500,
    POINTS_MOST = 2000,   /* rows of the coverage */
    ENDS_MOST = 100,      /* rows of how runs ended */
    TEXT_MOST = 16 * 1024 /* of a file of a finding: its end */
};

/* What became of the runs in which a point was faulted. */
struct point {
    const struct fsh_point *point;
    uint64_t faulted, failed;
};

/* Runs that ended alike. */
struct ending {
    const struct fsh_explored_run *run;
    uint64_t n;
};

struct report {
    struct fsh_exploration x;
    struct point *points;
    struct ending *endings;
    size_t n_endings;
    uint64_t failed, most;
};

/* --- counting --- */

static bool ends_alike(const struct fsh_explored_run *a, const struct fsh_explored_run *b) {
    return a->end == b->end && a->value == b->value && a->failed == b->failed &&
           !strcmp(a->why ? a->why : "", b->why ? b->why : "");
}

static void count_ending(struct report *r, const struct fsh_explored_run *run) {
    size_t i = 0;
    while (i < r->n_endings && !ends_alike(r->endings[i].run, run))
        i++;
    if (i == ENDS_MOST)
        return;
    if (i == r->n_endings)
        r->endings[r->n_endings++] = (struct ending){run, 0};
    r->endings[i].n++;
}

/* A point counts once for a run, however often it was faulted there. */
static void count_points(struct report *r, const struct fsh_explored_run *run) {
    for (size_t i = 0; i < run->points.n; i++) {
        const struct fsh_point *p = fsh_exploration_point(&r->x, run->points.v[i]);
        bool before = false;
        for (size_t k = 0; k < i && !before; k++)
            before = run->points.v[k] == run->points.v[i];
        if (!p || before)
            continue;
        r->points[p - r->x.points].faulted++;
        r->points[p - r->x.points].failed += run->failed;
    }
}

static int compare_endings(const void *a, const void *b) {
    const struct ending *x = a, *y = b;
    return x->n > y->n ? -1 : x->n < y->n;
}

/* Those that made the program fail first, then those that were never faulted. */
static int compare_points(const void *a, const void *b) {
    const struct point *x = a, *y = b;
    if ((x->failed != 0) != (y->failed != 0))
        return x->failed ? -1 : 1;
    if ((x->faulted != 0) != (y->faulted != 0))
        return x->faulted ? 1 : -1;
    return x->point < y->point ? -1 : x->point > y->point;
}

static bool count(struct report *r) {
    r->points = calloc(r->x.n_points + 1, sizeof *r->points);
    r->endings = calloc(ENDS_MOST + 1, sizeof *r->endings);
    if (!r->points || !r->endings)
        return false;
    for (size_t i = 0; i < r->x.n_points; i++)
        r->points[i].point = &r->x.points[i];
    for (size_t i = 0; i < r->x.n_runs; i++) {
        r->failed += r->x.runs[i].failed;
        count_ending(r, &r->x.runs[i]);
        count_points(r, &r->x.runs[i]);
    }
    qsort(r->points, r->x.n_points, sizeof *r->points, compare_points);
    qsort(r->endings, r->n_endings, sizeof *r->endings, compare_endings);
    return true;
}

/* --- the page: what was asked --- */

static void put_command(FILE *out, void *arg) {
    const struct report *r = arg;
    const struct fsh_strings *words = &r->x.asked.command;
    for (size_t i = 0; i < words->n; i++) {
        fputs(i ? " " : "", out);
        fsh_put_shell(out, words->v[i]);
    }
}

static void put_fact(FILE *out, const char *name, const char *value) {
    if (!value || !*value)
        return;
    fsh_put_tag(out, "dt", name);
    fsh_put_tag(out, "dd class=\"code\"", value);
}

static void put_facts(FILE *out, const struct report *r) {
    const struct fsh_asked *a = &r->x.asked;
    fputs("<dl class=\"facts\">\n", out);
    put_fact(out, "strategy", a->strategy);
    put_fact(out, "fails if", a->oracles);
    for (size_t i = 0; i < a->options.n; i++)
        put_fact(out, i ? "" : "options", a->options.v[i]);
    fsh_put_tag(out, "dt", "seed");
    fsh_put_tagf(out, "dd class=\"code\"", "%" PRIu64, a->seed);
    if (a->shards) {
        fsh_put_tag(out, "dt", "shard");
        fsh_put_tagf(out, "dd class=\"code\"", "%" PRIu64 " of %" PRIu64, a->shard, a->shards);
    }
    put_fact(out, "working directory", a->cwd);
    put_fact(out, "began", a->start);
    put_fact(out, "folder", r->x.path);
    put_fact(out, "by faultshim", a->version);
    fputs("</dl>\n<details><summary>Profile</summary>", out);
    fsh_put_tag(out, "pre", a->profile);
    fputs("</details>\n", out);
}

static void put_figures(FILE *out, const struct report *r) {
    size_t faulted = 0;
    for (size_t i = 0; i < r->x.n_points; i++)
        faulted += r->points[i].faulted != 0;
    fputs("<div class=\"figures\">\n", out);
    fsh_put_figure(out, "findings", r->x.n_findings);
    fsh_put_figure(out, "runs", r->x.n_runs);
    fsh_put_figure(out, "failed", r->failed);
    fsh_put_figure(out, "fault points met", r->x.n_points);
    fsh_put_figure(out, "of them faulted", faulted);
    fputs("</div>\n", out);
    if (r->x.torn)
        fsh_put_tag(out, "p class=\"note\"", "The last line of a file of the folder was cut off, and is left out.");
    if (!r->x.n_points && r->x.n_runs)
        fsh_put_tag(out, "p class=\"note\"", "No fault point was met: this exploration proves nothing.");
}

/* --- the page: findings --- */

static void put_frame(FILE *out, const struct fsh_explored_frame *f) {
    if (f->function)
        fputs(f->function, out);
    else
        fprintf(out, "%s+0x%" PRIx64, f->module, f->offset);
    if (f->file)
        fprintf(out, " at %s:%" PRIu64, f->file, f->line);
    else if (f->function)
        fprintf(out, " in %s", f->module);
}

static void put_frames(FILE *out, void *arg) {
    const struct fsh_explored_frames *frames = arg;
    for (size_t i = 0; i < frames->n; i++) {
        put_frame(out, &frames->v[i]);
        fputc('\n', out);
    }
}

static void put_stack(FILE *out, const struct fsh_explored_frames *frames) {
    char *text = fsh_text_of(put_frames, (void *)frames);
    fsh_put_tag(out, "pre", text);
    free(text);
}

/* The end of a file of the finding, if it is there: a regular file, whoever made the folder. */
static void put_file(FILE *out, struct report *r, const char *id, const char *name, const char *title) {
    char path[PATH_MAX], *text;
    struct stat st;
    if (fsh_exploration_file(&r->x, id, name, path))
        return;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return;
    off_t skip = 0;
    ssize_t n = -1;
    text = malloc(TEXT_MOST + 1);
    if (text && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        skip = st.st_size > TEXT_MOST ? st.st_size - TEXT_MOST : 0;
        n = pread(fd, text, TEXT_MOST, skip);
    }
    close(fd);
    if (n > 0) {
        for (ssize_t i = 0; i < n; i++)
            text[i] = text[i] ? text[i] : ' ';
        text[n] = 0;
        fsh_put_tagf(out, "h3", skip ? "%s (its last %d KiB)" : "%s", title, TEXT_MOST / 1024);
        fsh_put_tag(out, "pre", text);
    }
    free(text);
}

static bool has_file(struct report *r, const char *id, const char *name, char path[PATH_MAX]) {
    return !fsh_exploration_file(&r->x, id, name, path) && access(path, R_OK) == 0;
}

/* By the path of the folder as it is now, not as whoever explored named it. */
static void put_replay(FILE *out, void *arg) {
    fputs("faultshim replay ", out);
    fsh_put_shell(out, arg);
}

static void put_finding(FILE *out, struct report *r, const struct fsh_finding *f, bool open) {
    char trace[PATH_MAX], path[PATH_MAX];
    bool has_trace = has_file(r, f->id, "run.trace", trace);
    char *replay = has_trace ? fsh_text_of(put_replay, trace) : NULL;
    fprintf(out, "<details id=\"finding-%zu\"%s><summary>", (size_t)(f - r->x.findings), open ? " open" : "");
    fsh_put_tag(out, "b", f->title);
    fsh_put_tagf(out, "span class=\"dim\"", " %s, %" PRIu64 " run%s", f->why, f->runs, fsh_plural(f->runs));
    fputs("</summary>\n", out);
    fsh_put_command(out, replay ? replay : f->replay);
    free(replay);
    fputs("<dl class=\"facts\">\n", out);
    put_fact(out, "call", f->call);
    put_fact(out, "fault", f->error);
    put_fact(out, "first run", f->first);
    put_fact(out, "finding", f->id);
    fputs("</dl>\n", out);
    if (has_file(r, f->id, "backtrace.txt", path)) {
        put_file(out, r, f->id, "backtrace.txt", "Where it ended");
    } else if (f->stack.n) {
        fsh_put_tag(out, "h3", "Call stack, innermost first");
        put_stack(out, &f->stack);
    }
    if (has_trace) {
        fsh_put_tag(out, "h3", "Faults of the run");
        fsh_report_faults(out, trace, r->most < FAULTS_MOST ? r->most : FAULTS_MOST);
    }
    put_file(out, r, f->id, "output", "Output of the program");
    put_file(out, r, f->id, "shrunk.ini", "The smallest profile that does it");
    fputs("</details>\n", out);
}

/* --- the page: coverage, and how runs ended --- */

static bool is_libc(const char *module) {
    return !strcmp(module, "libc.so.6") || !strncmp(module, "ld-linux", 8) || !strcmp(module, "libfaultshim.so");
}

static void put_place(FILE *out, void *arg) {
    const struct fsh_explored_frames *frames = arg;
    size_t i = 0;
    while (i < frames->n && is_libc(frames->v[i].module))
        i++;
    if (frames->n)
        put_frame(out, &frames->v[i < frames->n ? i : 0]);
}

static void put_point(FILE *out, const struct point *p) {
    char *place = fsh_text_of(put_place, (void *)&p->point->stack);
    uint64_t survived = p->faulted - p->failed;
    fputs("<tr>", out);
    fsh_put_tag(out, "td class=\"code\"", p->point->call);
    fsh_put_tag(out, "td class=\"code\"", p->point->kind);
    fputs("<td class=\"code path\">", out);
    if (p->point->stack.n > 1) {
        fputs("<details><summary>", out);
        fsh_put_html(out, place);
        fputs("</summary>", out);
        put_stack(out, &p->point->stack);
        fputs("</details>", out);
    } else {
        fsh_put_html(out, place);
    }
    fprintf(out, "</td><td class=\"n\">%" PRIu64 "</td><td class=\"n\">%" PRIu64 "</td><td class=\"n\">%" PRIu64 "</td><td>",
            p->faulted, survived, p->failed);
    if (p->faulted)
        fprintf(out, "<div class=\"bars\"><i style=\"flex:%" PRIu64 "\"></i><i style=\"flex:%" PRIu64 "\"></i></div>", survived,
                p->failed);
    else
        fsh_put_tag(out, "span class=\"dim\"", "never faulted");
    fputs("</td></tr>\n", out);
}

static void put_coverage(FILE *out, const struct report *r) {
    size_t n = r->x.n_points < POINTS_MOST ? r->x.n_points : POINTS_MOST;
    if (!n)
        return;
    fputs("<h2>Coverage of fault points</h2>\n", out);
    if (n < r->x.n_points)
        fsh_put_tagf(out, "p class=\"note\"", "The first %zu of %zu fault points.", n, r->x.n_points);
    fputs("<div class=\"scroll\"><table id=\"points\"><thead><tr><th>call</th><th>on</th><th>from</th><th class=\"n\">faulted</th>"
          "<th class=\"n\">survived</th><th class=\"n\">failed</th><th></th></tr></thead><tbody>\n",
          out);
    for (size_t i = 0; i < n; i++)
        put_point(out, &r->points[i]);
    fputs("</tbody></table></div>\n", out);
}

static void put_ending(FILE *out, const struct ending *e) {
    static const char *const words[] = {[EXPLORED_EXITED] = "exited with status %d",
                                        [EXPLORED_SIGNALED] = "killed by signal %d",
                                        [EXPLORED_TIMEOUT] = "took too long"};
    char text[64];
    snprintf(text, sizeof text, words[e->run->end], e->run->value);
    fprintf(out, "<tr><td class=\"n\">%" PRIu64 "</td>", e->n);
    fsh_put_tag(out, "td", text);
    fsh_put_tag(out, e->run->failed ? "td class=\"bad\"" : "td class=\"good\"", e->run->failed ? "failed" : "ok");
    fsh_put_tag(out, "td class=\"code\"", e->run->why ? e->run->why : "");
    fputs("</tr>\n", out);
}

static void put_endings(FILE *out, const struct report *r) {
    if (!r->n_endings)
        return;
    fputs("<h2>How runs ended</h2>\n<div class=\"scroll\"><table id=\"endings\"><thead><tr><th "
          "class=\"n\">runs</th><th>program</th><th>outcome</th>"
          "<th>because</th></tr></thead><tbody>\n",
          out);
    for (size_t i = 0; i < r->n_endings; i++)
        put_ending(out, &r->endings[i]);
    fputs("</tbody></table></div>\n", out);
}

static void put_body(FILE *out, void *arg) {
    struct report *r = arg;
    char *command = fsh_text_of(put_command, r);
    fsh_put_tag(out, "h1 class=\"code\"", command);
    put_figures(out, r);
    put_facts(out, r);
    fputs("<h2>Findings</h2>\n", out);
    if (!r->x.n_findings)
        fsh_put_tag(out, "p class=\"dim\"", "None.");
    if (r->x.n_findings > FINDINGS_MOST)
        fsh_put_tagf(out, "p class=\"note\"", "The first %d of %zu findings.", FINDINGS_MOST, r->x.n_findings);
    for (size_t i = 0; i < r->x.n_findings && i < FINDINGS_MOST; i++)
        put_finding(out, r, &r->x.findings[i], i < OPEN_FINDINGS);
    put_coverage(out, r);
    put_endings(out, r);
    free(command);
}

static void put_data(FILE *out, void *arg) {
    (void)arg;
    fputs("{}\n", out);
}

int fsh_report_exploration(FILE *out, const char *path, uint64_t most) {
    struct report r = {.most = most};
    int e = fsh_exploration_open(&r.x, path, false), status = 0;
    if (e)
        status = fsh_fail(EXIT_TROUBLE, "%s", r.x.wrong);
    else if (!count(&r))
        status = fsh_fail(EXIT_TROUBLE, "out of memory");
    if (!status) {
        char *command = fsh_text_of(put_command, &r), *title = NULL;
        if (asprintf(&title, "faultshim explored: %s", command) < 0)
            title = NULL;
        struct fsh_page page = {title ? title : "faultshim", put_body, put_data, &r};
        e = fsh_page_print(out, &page);
        status = e ? fsh_fail(EXIT_TROUBLE, "writing the report failed: %s", strerror(-e)) : 0;
        free(title);
        free(command);
    }
    free(r.points);
    free(r.endings);
    fsh_exploration_close(&r.x);
    return status;
}
