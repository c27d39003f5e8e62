/* explore_record.c: see explore.h. What belongs to a run is written before the run's own line: a run that stands in the folder is
 * there with its points and its finding, and one that does not is made again. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "explore.h"
#include "out.h"
#include "place.h"

static int trouble(const struct fsh_explore *e) {
    return fsh_fail(EXIT_TROUBLE, "%s; what has been found is kept, --resume goes on from here", e->x.wrong);
}

/* --- points --- */

/* With the names that debug information or the symbol table have for them. */
static struct fsh_explored_frames frames_of(struct fsh_explore *e, const struct fsh_met *met, struct fsh_explored_frame *v) {
    const char *at = met->frames;
    for (uint32_t i = 0; i < met->n_frames; i++) {
        struct fsh_sent_frame f = fsh_met_frame(&at);
        struct fsh_place p = fsh_symbols_find(e->symbols, f.path, e->asked.cwd, f.build_id, f.offset);
        v[i] = (struct fsh_explored_frame){.module = !strcmp(f.module, "program") && p.module ? p.module : f.module,
                                           .offset = f.offset,
                                           .function = p.function,
                                           .file = p.file,
                                           .line = (uint64_t)(p.line > 0 ? p.line : 0)};
    }
    return (struct fsh_explored_frames){v, met->n_frames};
}

static int record_point(struct fsh_explore *e, const struct fsh_met *met, const char *key) {
    struct fsh_explored_frame frames[FSH_DEPTH_MAX];
    if (fsh_exploration_point(&e->x, met->point))
        return 0;
    const struct fsh_point point = {.point = met->point,
                                    .call = fsh_calls[met->spot.call].name,
                                    .kind = fsh_kind_names[met->spot.kind],
                                    .stack = frames_of(e, met, frames),
                                    .site = met->spot.site,
                                    .rule = met->rule < e->loaded.profile.n_rules ? e->loaded.profile.rules[met->rule].name : NULL,
                                    .first = key};
    if (fsh_exploration_add_point(&e->x, &point) != 0)
        return trouble(e);
    return fsh_idmap_put(&e->runs.told, met->point, 1) ? 0 : fsh_fail(EXIT_TROUBLE, "out of memory");
}

/* --- findings --- */

static bool is_libc(const char *module) {
    return !strncmp(module, "libc.so", 7) || !strncmp(module, "ld-linux", 8);
}

/* The frame that a person would name: the innermost that is not libc's. */
static const struct fsh_explored_frame *origin_of(const struct fsh_explored_frames *stack) {
    for (size_t i = 0; i < stack->n; i++)
        if (!is_libc(stack->v[i].module))
            return &stack->v[i];
    return stack->n ? stack->v : NULL;
}

/* Where it died, in libc or not; the ways to die on purpose tell nothing. */
static const struct fsh_explored_frame *place_of(const struct fsh_explored_frames *crash) {
    static const char *const ways[] = {"__pthread_kill", "raise",          "__GI_raise",      "abort",          "__GI_abort",
                                       "__assert",       "__libc_message", "malloc_printerr", "__fortify_fail", "__chk_fail"};
    for (size_t i = 0; i < crash->n; i++) {
        const char *function = crash->v[i].function;
        bool way = is_libc(crash->v[i].module) && !function;
        for (size_t k = 0; function && k < sizeof ways / sizeof *ways; k++)
            way |= !strncmp(function, ways[k], strlen(ways[k]));
        if (!way)
            return &crash->v[i];
    }
    return NULL;
}

static void put_frame(FILE *out, const struct fsh_explored_frame *f) {
    if (f->function)
        fsh_put_safe(out, f->function);
    else
        fprintf(out, "%s+0x%" PRIx64, f->module, f->offset);
    if (f->file) {
        const char *slash = strrchr(f->file, '/');
        fprintf(out, " (%s:%" PRIu64 ")", slash ? slash + 1 : f->file, f->line);
    }
}

/* "SIGSEGV in parse (parse.c:12) after malloc = ENOMEM in read_all (parse.c:80)" */
static char *title_of(const struct fsh_ran *ran, const struct fsh_explored_frames *crash, const struct fsh_point *culprit) {
    char *title = NULL;
    size_t len;
    FILE *out = open_memstream(&title, &len);
    if (!out)
        return NULL;
    const struct fsh_explored_frame *at = place_of(crash), *by = origin_of(crash),
                                    *from = culprit ? origin_of(&culprit->stack) : NULL;
    fsh_put_safe(out, ran->why);
    if (at || *ran->where)
        fputs(" in ", out);
    if (at)
        put_frame(out, at);
    else
        fsh_put_safe(out, ran->where);
    if (at && by && at != by) {
        fputs(" called by ", out);
        put_frame(out, by);
    }
    if (*ran->call)
        fprintf(out, " after %s = %s", ran->call, ran->error);
    if (from) {
        fputs(" in ", out);
        put_frame(out, from);
    }
    fclose(out);
    return title;
}

static struct fsh_explored_frames crash_of(const struct fsh_ran *ran, struct fsh_explored_frame *v) {
    for (uint32_t i = 0; i < ran->n_frames; i++) {
        const struct fsh_crash_frame *f = &ran->frames[i];
        v[i] = (struct fsh_explored_frame){.module = *f->module ? f->module : "?",
                                           .offset = f->offset,
                                           .function = *f->function ? f->function : NULL,
                                           .file = *f->file ? f->file : NULL,
                                           .line = (uint64_t)(f->line > 0 ? f->line : 0)};
    }
    return (struct fsh_explored_frames){v, ran->n_frames};
}

/* A path of the folder as it was given, so that the command can be typed where we were. */
static char *replay_of(const struct fsh_explore *e, const char *id) {
    char *text = NULL;
    size_t len;
    char path[PATH_MAX];
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return NULL;
    snprintf(path, sizeof path, "%s/findings/%s/run.trace", e->folder, id);
    fputs("faultshim replay ", out);
    fsh_put_shell(out, path);
    fclose(out);
    return text;
}

/* Into the finding's folder, from the one that the worker has made. */
static int take_files(struct fsh_explore *e, const char *id, uint64_t n) {
    static const char *const names[] = {"run.trace", "output", "backtrace.txt"};
    char from[PATH_MAX + 64], to[PATH_MAX];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(from, sizeof from, "%s/.%" PRIu64 "/%s", e->findings, n, names[i]);
        if (fsh_exploration_file(&e->x, id, names[i], to) != 0)
            return trouble(e);
        if (rename(from, to) != 0 && errno != ENOENT)
            return fsh_fail(EXIT_TROUBLE, "%s: %s", to, strerror(errno));
    }
    return 0;
}

static void drop_files(const struct fsh_explore *e, uint64_t n) {
    char from[PATH_MAX + 64];
    snprintf(from, sizeof from, "%s/.%" PRIu64, e->findings, n);
    fsh_remove_folder(from);
}

static int record_finding(struct fsh_explore *e, const struct fsh_given *given, const struct fsh_ran *ran, const char *id) {
    struct fsh_explored_frame frames[sizeof((struct fsh_crash *)0)->v / sizeof(struct fsh_crash_frame)];
    struct fsh_explored_frames crash = crash_of(ran, frames);
    const struct fsh_point *culprit = fsh_exploration_point(&e->x, ran->culprit);
    char *title = title_of(ran, &crash, culprit), *replay = replay_of(e, id);
    int status = title && replay ? take_files(e, id, ran->n) : fsh_fail(EXIT_TROUBLE, "out of memory");
    struct fsh_finding finding = {.id = id,
                                  .why = ran->why,
                                  .title = title,
                                  .stack = crash,
                                  .call = *ran->call ? ran->call : NULL,
                                  .error = *ran->error ? ran->error : NULL,
                                  .first = given->key,
                                  .replay = replay,
                                  .command = e->asked.command};
    if (!crash.n && culprit)
        finding.stack = culprit->stack;
    if (!status && fsh_exploration_add_finding(&e->x, &finding) != 0)
        status = trouble(e);
    free(title);
    free(replay);
    return status;
}

/* Another worker may have found it meanwhile. */
static int record_found(struct fsh_explore *e, const struct fsh_given *given, const struct fsh_ran *ran, const char *id) {
    int status = 0, old = fsh_explore_old(e, id);
    if (!fsh_exploration_finding(&e->x, id) || fsh_explore_is_gone(e, id)) {
        if (!ran->kept)
            return fsh_fail(EXIT_TROUBLE, "the trace of finding %s is lost", id);
        status = record_finding(e, given, ran, id);
        e->tally.fresh += !status;
        if (old >= 0) { /* it has come back by another way */
            e->old_state[old] = OLD_AGAIN;
            e->tally.gone--;
        }
    }
    if (ran->kept)
        drop_files(e, ran->n);
    if (!status && !fsh_idmap_put(&e->runs.found, ran->finding, 1))
        status = fsh_fail(EXIT_TROUBLE, "out of memory");
    return status;
}

/* --- the run --- */

static int record_run(struct fsh_explore *e, const struct fsh_given *given, const struct fsh_ran *ran, const char *id,
                      uint64_t *reached, size_t n_reached) {
    static const unsigned ends[] = {
        [END_EXITED] = EXPLORED_EXITED, [END_SIGNALED] = EXPLORED_SIGNALED, [END_TIMEOUT] = EXPLORED_TIMEOUT};
    const struct fsh_explored_run run = {.key = given->key,
                                         .n = given->task.n,
                                         .seed = given->task.seed,
                                         .end = ends[ran->end],
                                         .value = ran->value,
                                         .failed = ran->failed,
                                         .why = ran->failed ? ran->why : NULL,
                                         .finding = *id ? id : NULL,
                                         .points = {(uint64_t *)(uintptr_t)ran->faulted, ran->n_faulted},
                                         .reached = {reached, n_reached},
                                         .decisions = ran->decisions,
                                         .faults = ran->faults,
                                         .ms = (double)ran->ns / 1e6};
    if (fsh_exploration_run(&e->x, given->key))
        return 0;
    return fsh_exploration_add_run(&e->x, &run) == 0 ? 0 : trouble(e);
}

static int hear(struct fsh_explore *e, const struct fsh_given *given, const struct fsh_ran *ran, const char *id) {
    uint64_t *reached = calloc(ran->n_met + 1ul, sizeof *reached);
    size_t n = 0;
    int status = reached ? 0 : fsh_fail(EXIT_TROUBLE, "out of memory");
    for (uint32_t i = 0; i < ran->n_met && !status; i++) {
        status = record_point(e, &ran->met[i], given->key);
        if (given->task.kind == TASK_PLACES && !ran->met[i].failed)
            reached[n++] = ran->met[i].point;
    }
    if (!status)
        status = record_run(e, given, ran, id, reached, n);
    if (!status && given->task.n_spots && !fsh_strategy_heard(&e->strategy, &given->task, &(struct fsh_hashes){reached, n}))
        status = EXIT_TROUBLE;
    free(reached);
    return status;
}

int fsh_explore_record(struct fsh_explore *e, const struct fsh_given *given, const struct fsh_ran *ran) {
    char id[24] = "";
    int status = ran->status;
    /* the culprit's point has to be there before the finding that names it */
    for (uint32_t i = 0; i < ran->n_met && !status; i++)
        if (ran->met[i].point == ran->culprit)
            status = record_point(e, &ran->met[i], given->key);
    if (!status && ran->finding) {
        snprintf(id, sizeof id, "%016" PRIx64, ran->finding);
        status = record_found(e, given, ran, id);
    }
    return status ? status : hear(e, given, ran, id);
}
