/* cmd_coverage.c: faultshim coverage: of the fault points that an exploration has met, which were failed, and with what outcome.
 *
 * A run that is about one point (once, always) can only blame that one, whatever it needed to get there; other runs blame all
 * points at which they injected something. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "frames.h"
#include "idmap.h"
#include "options.h"
#include "out.h"

enum { ID_STACKS = 300, FRAMES_SHOWN = 3 };

static const struct fsh_option own_options[] = {
    {ID_STACKS, "stacks", NULL, "whole call stacks"},
};

static const struct fsh_usage usage = {
    .name = "coverage",
    .operands = "[FOLDER]",
    .summary =
        "Tells for each fault point that an exploration has met, a call at a call stack, whether a fault was injected there and\n"
        "whether the program survived it. Without FOLDER, that of " FSH_DEFAULT_EXPLORATION ".",
    .common = COMMON_JSON | COMMON_QUIET,
    .options = own_options,
    .n_options = sizeof own_options / sizeof *own_options,
};

enum { FAILED, NEVER, SURVIVED };
static const char *const outcomes[] = {[FAILED] = "failed", [NEVER] = "never", [SURVIVED] = "survived", NULL};

struct covered {
    const struct fsh_point *point;
    unsigned outcome;
    uint64_t runs, failed; /* in which it was injected; of these, those that failed by it */
    /* from the point, for JSON */
    uint64_t id;
    const char *call, *kind, *first;
    struct fsh_explored_frames stack;
};

#define FIELD(name, type, member, more)                                                                                            \
    { name, type, FIELD_NEEDED, offsetof(struct covered, member), more }
static const struct fsh_field fields[] = {
    FIELD("point", FIELD_HASH, id, NULL),    FIELD("call", FIELD_TEXT, call, NULL),
    FIELD("kind", FIELD_TEXT, kind, NULL),   FIELD("outcome", FIELD_WORD, outcome, outcomes),
    FIELD("runs", FIELD_COUNT, runs, NULL),  FIELD("failed", FIELD_COUNT, failed, NULL),
    FIELD("first", FIELD_TEXT, first, NULL), FIELD("stack", FIELD_LIST, stack, &fsh_explored_frame_form),
};
static const struct fsh_form form = {fields, sizeof fields / sizeof *fields, sizeof(struct covered)};

struct coverage {
    struct fsh_common common;
    bool stacks;
    struct fsh_exploration x;
    struct covered *v;
    uint64_t counts[3]; /* by outcome */
};

static bool take(void *arg, int id, const char *value) {
    (void)id;
    (void)value;
    return ((struct coverage *)arg)->stacks = true;
}

/* The point that a run is about, 0 if it is about several. */
static uint64_t subject_of(const struct fsh_explored_run *run) {
    const char *colon = strchr(run->key, ':');
    bool about_one = !strncmp(run->key, "once:", 5) || !strncmp(run->key, "always:", 7);
    return about_one ? strtoull(colon + 1, NULL, 16) : 0;
}

static void count_run(struct coverage *c, const struct fsh_explored_run *run) {
    uint64_t subject = subject_of(run);
    for (size_t i = 0; i < run->points.n; i++) {
        const struct fsh_point *p = fsh_exploration_point(&c->x, run->points.v[i]);
        if (!p)
            continue;
        struct covered *at = &c->v[p - c->x.points];
        at->runs++;
        at->failed += run->failed && (!subject || subject == p->point);
    }
}

static bool count(struct coverage *c) {
    c->v = calloc(c->x.n_points + 1, sizeof *c->v);
    if (!c->v)
        return false;
    for (size_t i = 0; i < c->x.n_runs; i++)
        count_run(c, &c->x.runs[i]);
    for (size_t i = 0; i < c->x.n_points; i++) {
        const struct fsh_point *p = &c->x.points[i];
        struct covered *at = &c->v[i];
        at->outcome = at->failed ? FAILED : at->runs ? SURVIVED : NEVER;
        at->point = p;
        at->id = p->point;
        at->call = p->call;
        at->kind = p->kind;
        at->first = p->first;
        at->stack = p->stack;
        c->counts[at->outcome]++;
    }
    return true;
}

/* --- what is said --- */

static uint64_t faulted(const struct coverage *c) {
    return c->counts[FAILED] + c->counts[SURVIVED];
}

static void put_json(const struct coverage *c) {
    printf("{\"points\":%zu,\"faulted\":%" PRIu64 ",\"survived\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"never\":%" PRIu64
           ",\"runs\":%zu,\"list\":[",
           c->x.n_points, faulted(c), c->counts[SURVIVED], c->counts[FAILED], c->counts[NEVER], c->x.n_runs);
    for (size_t i = 0; i < c->x.n_points; i++) {
        fputs(i ? "," : "", stdout);
        fsh_form_print(&form, &c->v[i], stdout);
    }
    puts("]}");
}

/* Which place it is, and how it was come to: "xmalloc < parse (parse.c:12) < main (main.c:80)". Of what libc does inside, only the
 * function that the program called: "setlocale < main (main.c:80)". */
static void put_where(const struct fsh_explored_frames *stack) {
    const struct fsh_explored_frame *origin = fsh_frame_origin(stack);
    size_t at = origin ? (size_t)(origin - stack->v) : 0;
    bool by_libc = at && stack->v[at - 1].function;
    for (size_t i = by_libc ? at - 1 : at, n = 0; i < stack->n && n < FRAMES_SHOWN; i++)
        if (i <= at || !fsh_frame_is_libc(&stack->v[i])) {
            fputs(n++ ? " < " : "", stdout);
            fsh_put_frame(stdout, &stack->v[i]);
        }
}

static void put_row(const struct coverage *c, const struct covered *at) {
    printf("%-8s %6" PRIu64 " %6" PRIu64 "  ", outcomes[at->outcome], at->runs, at->failed);
    fsh_put_safe(stdout, at->call);
    printf("%*s ", (int)strlen(at->call) < 12 ? 12 - (int)strlen(at->call) : 0, "");
    if (!c->stacks)
        put_where(&at->stack);
    for (size_t i = 0; i < at->stack.n && c->stacks; i++) {
        if (i)
            printf("%*s", 37, "");
        fsh_put_frame(stdout, &at->stack.v[i]);
        fputs(i + 1 < at->stack.n ? "\n" : "", stdout);
    }
    putchar('\n');
}

static void put_text(const struct coverage *c) {
    uint64_t points = c->x.n_points;
    printf("faultshim: %" PRIu64 " point%s, %" PRIu64 " faulted", points, fsh_plural(points), faulted(c));
    /* 100% only if it is all of them */
    if (points)
        printf(" (%" PRIu64 "%%)", faulted(c) * 100 / points);
    printf(": %" PRIu64 " survived, %" PRIu64 " failed; %" PRIu64 " never faulted\n", c->counts[SURVIVED], c->counts[FAILED],
           c->counts[NEVER]);
    if (points)
        printf("%-8s %6s %6s  %-12s %s\n", "outcome", "runs", "failed", "call", "where");
    for (unsigned outcome = FAILED; outcome <= SURVIVED; outcome++)
        for (size_t i = 0; i < points; i++)
            if (c->v[i].outcome == outcome)
                put_row(c, &c->v[i]);
}

static int show(struct coverage *c, const char *folder) {
    if (fsh_exploration_open(&c->x, folder, false) != 0)
        return fsh_fail(EXIT_TROUBLE, "%s", c->x.wrong);
    if (!count(c))
        return fsh_fail(EXIT_TROUBLE, "out of memory");
    if (c->common.json)
        put_json(c);
    else if (!c->common.quiet)
        put_text(c);
    return 0;
}

int fsh_cmd_coverage(int argc, char **argv) {
    struct coverage c = {.stacks = false};
    int status, at = fsh_options(argc, argv, &usage, &c.common, take, &c, &status);
    if (at >= 0 && argc - at > 1)
        status = fsh_fail(EXIT_TROUBLE, "coverage reads one folder; '%s' is too much, faultshim merge joins several", argv[at + 1]);
    else if (at >= 0) {
        status = fsh_out_finish(show(&c, argc > at ? argv[at] : FSH_DEFAULT_EXPLORATION));
        fsh_exploration_close(&c.x);
    }
    free(c.v);
    fsh_common_free(&c.common);
    return status;
}
