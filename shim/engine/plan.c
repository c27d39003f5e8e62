/* plan.c: rules against the tables, and rules compiled to one list of candidates for each call and kind.
 *
 * Everything that can be known before the program runs is settled here: what fits, which errnos are legal, whose ordinals
 * are counted. What is left for the hot path is a short list. Runs in the victim before main: memory from the arena only. */
#include <errno.h>
#include <string.h>

#include "decide.h"
#include "draw.h"
#include "text.h"

/* Memory. */

void *fsh_arena_get(struct fsh_arena *arena, size_t size) {
    size_t at = arena->used + (-((uintptr_t)arena->base + arena->used) & 15);
    if (at > arena->size || size > arena->size - at)
        return NULL;
    arena->used = at + size;
    return arena->is_zeroed ? arena->base + at : memset(arena->base + at, 0, size);
}

char *fsh_arena_text(struct fsh_arena *arena, const char *text, size_t len) {
    if (arena->used > arena->size || len >= arena->size - arena->used)
        return NULL;
    char *copy = arena->base + arena->used;
    arena->used += len + 1;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

size_t fsh_arena_need(size_t len) {
    /* The parser's scratch space, an array of candidates for each call and kind, names of sources, alignment. */
    size_t fixed = 288 * 1024 + sizeof(struct fsh_candidate) * FSH_CANDIDATES_MAX * FSH_CALLS * 4;
    size_t sections = len / 2 + 1; /* "[\n" */
    size_t rules = (sections < FSH_RULES_MAX ? sections : FSH_RULES_MAX) * sizeof(struct fsh_rule);
    /* The dearest two bytes of a profile are a selector such as "*,"; the dearest line is a fault or the start of a rule. */
    return fixed + rules + len * (sizeof(struct fsh_selector) / 2 + 24);
}

/* What a fault line can do on one pair of call and kind. */

bool fsh_rule_allows(const struct fsh_rule *rule, unsigned call, unsigned kind, int e) {
    const struct fsh_call_row *row = &fsh_calls[call];
    if (fsh_call_allows(call, kind, e))
        return true;
    return rule->any_errno && row->class_of[kind] != C_NONE && row->fail != F_REST && (e < 0) == fsh_fails_by_eai(row->fail);
}

static bool allows_any(const struct fsh_rule *rule, const struct fsh_fault_spec *spec, unsigned call, unsigned kind) {
    for (unsigned i = 0; i < spec->n_errnos; i++)
        if (fsh_rule_allows(rule, call, kind, spec->errnos[i]))
            return true;
    return false;
}

bool fsh_names_random(const char *pattern) {
    return !strcmp(pattern, "/dev/urandom") || !strcmp(pattern, "/dev/random") || !strcmp(pattern, "/dev/*random");
}

static bool reads_random_only(const struct fsh_rule *rule) {
    for (unsigned i = 0; i < rule->path.n; i++)
        if (!fsh_names_random(rule->path.v[i]))
            return false;
    return rule->path.n > 0;
}

/* In the file itself: before it is opened, or while it is open. */
static bool acts_at_rest(unsigned call, unsigned kind) {
    const struct fsh_roles *roles = &fsh_calls[call].roles;
    if (kind != FSH_ON_FILE || roles->observed || roles->write)
        return false;
    switch (fsh_calls[call].class_of[kind]) {
    case C_FILE_OPEN:
        return call == CALL_open || call == CALL_openat || call == CALL_openat2 || call == CALL_fopen;
    case C_FILE_READ:
    case C_FILE_WRITE:
    case C_FILE_SYNC:
    case C_FILE_MAP:
        return roles->fd;
    default:
        return false;
    }
}

static bool acts_by_replacing(const struct fsh_fault_spec *spec, unsigned kind) {
    return kind != FSH_ON_FILE || spec->n_from == spec->n_to; /* what follows in a file would not stand in its place */
}

/* Whether the kind of fault, with its arguments but without its errnos, can act there. */
static bool acts(const struct fsh_rule *rule, const struct fsh_fault_spec *spec, unsigned call, unsigned kind) {
    if (spec->kind == FAULT_CORRUPT && spec->where == CORRUPT_AT_REST)
        return acts_at_rest(call, kind);
    if (!fsh_fault_fits(spec->kind, call, kind))
        return false;
    if (spec->kind == FAULT_CRASH && spec->when == WHEN_DURING)
        return fsh_fault_fits(FAULT_SHORT, call, kind);
    if (spec->kind == FAULT_REPLACE && call != CALL_uname)
        return spec->names->v[call == CALL_gethostname ? FSH_NAME_NODE : FSH_NAME_DOMAIN];
    if (spec->kind == FAULT_SEEDED && kind == FSH_ON_FILE)
        return reads_random_only(rule);
    if (spec->kind == FAULT_CORRUPT && spec->how == CORRUPT_REPLACE && !acts_by_replacing(spec, kind))
        return false;
    if (spec->kind == FAULT_CORRUPT && spec->where != CORRUPT_EITHER)
        return spec->where == CORRUPT_STORED ? fsh_call_writes(call) : fsh_call_reads(call);
    if (spec->kind == FAULT_EARLY && fsh_calls[call].roles.waits)
        return rule->any_errno || fsh_calls[call].roles.spurious || fsh_call_allows(call, kind, EINTR);
    if (spec->kind == FAULT_LOSS)
        return kind == FSH_ON_DGRAM || spec->net.as != AS_NOTHING;
    return true;
}

static bool fits(const struct fsh_rule *rule, const struct fsh_fault_spec *spec, unsigned call, unsigned kind) {
    return acts(rule, spec, call, kind) && (spec->n_errnos == 0 || allows_any(rule, spec, call, kind));
}

/* Selection. */

struct selection {
    uint8_t on[FSH_CALLS];
};

static void select_calls(const struct fsh_rule *rule, struct selection *selection) {
    memset(selection, 0, sizeof *selection);
    for (unsigned c = 0; c < FSH_CALLS; c++) {
        for (unsigned i = 0; i < rule->n_calls; i++)
            selection->on[c] |= rule->calls[i].on[c];
        for (unsigned i = 0; i < rule->n_except; i++)
            selection->on[c] &= (uint8_t)~rule->except[i].on[c];
    }
}

static bool empty(const struct selection *selection) {
    for (unsigned c = 0; c < FSH_CALLS; c++)
        if (selection->on[c])
            return false;
    return true;
}

/* Filters: what a call must have to meet one at all. */

static bool has_path(const struct fsh_rule *rule, unsigned call, unsigned kind) {
    (void)rule;
    (void)call;
    return kind == FSH_ON_FILE || kind == FSH_ON_PIPE; /* FIFOs and terminals have paths too */
}

static bool has_descriptor(const struct fsh_rule *rule, unsigned call, unsigned kind) {
    (void)rule;
    (void)kind;
    return fsh_call_takes_descriptor((enum fsh_call)call);
}

static bool has_size(const struct fsh_rule *rule, unsigned call, unsigned kind) {
    const struct fsh_roles *roles = &fsh_calls[call].roles;
    (void)rule;
    (void)kind;
    return roles->len || roles->iov_in || roles->iov_out || roles->msg_in || roles->msg_out || roles->nfds || roles->sleeps;
}

static bool is_socket(unsigned kind) {
    return kind == FSH_ON_STREAM || kind == FSH_ON_DGRAM;
}

static bool has_peer(const struct fsh_rule *rule, unsigned call, unsigned kind) {
    if (is_socket(kind))
        return true;
    if (!fsh_calls[call].roles.host)
        return false;
    for (unsigned i = 0; i < rule->peer.n; i++)
        if (strncmp(rule->peer.v[i], "host:", 5) == 0)
            return true;
    return false;
}

static bool has_local(const struct fsh_rule *rule, unsigned call, unsigned kind) {
    (void)rule;
    (void)call;
    return is_socket(kind);
}

/* Takes out the calls that can never pass the filter. False if none is left. */
static bool keep_if(const struct fsh_rule *rule, struct selection *selection,
                    bool (*can_pass)(const struct fsh_rule *, unsigned, unsigned)) {
    for (unsigned c = 0; c < FSH_CALLS; c++)
        for (unsigned k = 0; k < FSH_KINDS; k++)
            if (!can_pass(rule, c, k))
                selection->on[c] &= (uint8_t) ~(1u << k);
    return !empty(selection);
}

#define refuse(error, rule, line, ...) (fsh_error_at(error, (rule)->file, line, __VA_ARGS__), -EINVAL)

static int filter_calls(const struct fsh_rule *rule, struct selection *selection, struct fsh_error *error) {
    static const struct {
        const char *key, *what, *instead;
        bool (*can_pass)(const struct fsh_rule *, unsigned, unsigned);
    } filters[] = {
        {"path", "acts on a path or a file", "choose calls of @file", has_path},
        {"fd", "is made on a descriptor", "choose calls such as read or write", has_descriptor},
        {"size", "has a size", "choose calls such as read, write or malloc", has_size},
        {"peer", "has a peer", "choose calls of @net (getaddrinfo takes host:NAME)", has_peer},
        {"local", "has a local address", "choose calls on sockets, as in @net.recv", has_local},
    };
    const bool set[] = {rule->path.n, rule->fd.n, rule->has_size, rule->peer.n, rule->local.n};
    if (empty(selection))
        return refuse(error, rule, rule->calls[0].line, "rule %s can match no call: except leaves nothing of calls; leave out less",
                      rule->name);
    for (unsigned i = 0; i < sizeof set / sizeof *set; i++)
        if (set[i] && !keep_if(rule, selection, filters[i].can_pass))
            return refuse(error, rule, rule->calls[0].line, "rule %s can match no call: %s is given, and none of its calls %s; %s",
                          rule->name, filters[i].key, filters[i].what, filters[i].instead);
    return 0;
}

/* Checks. */

static const char *error_name(int e) {
    const char *name = fsh_errno_name(e);
    return name ? name : "that error";
}

static bool selected(const struct selection *selection, unsigned call, unsigned kind) {
    return selection->on[call] & (1u << kind);
}

/* Some selected kind of the call satisfies the fault, or one errno of it (e != 0). */
static bool call_fits(const struct fsh_rule *rule, const struct fsh_fault_spec *spec, int e, const struct selection *selection,
                      unsigned call) {
    for (unsigned k = 0; k < FSH_KINDS; k++)
        if (selected(selection, call, k) && acts(rule, spec, call, k) && (e == 0 || fsh_rule_allows(rule, call, k, e)))
            return true;
    return false;
}

static bool any_fits(const struct fsh_rule *rule, const struct fsh_fault_spec *spec, int e, const struct selection *selection) {
    for (unsigned c = 0; c < FSH_CALLS; c++)
        if (call_fits(rule, spec, e, selection, c))
            return true;
    return false;
}

static int wrong_errno(const struct fsh_rule *rule, const struct fsh_fault_spec *spec, const char *who, int e,
                       struct fsh_error *error) {
    if (e < 0)
        return refuse(error, rule, spec->line, "%s comes from getaddrinfo only, and %s never returns it; write an errno, as in EIO",
                      error_name(e), who);
    return refuse(error, rule, spec->line, "%s never returns %s; write an error that its manual page allows, or any-errno = yes",
                  who, error_name(e));
}

/* What no selected call can take is an error: nothing inapplicable is ever drawn. */
static int check_reach(const struct fsh_rule *rule, const struct fsh_fault_spec *spec, const struct selection *selection,
                       struct fsh_error *error) {
    if (!any_fits(rule, spec, 0, selection))
        return refuse(error, rule, spec->line, "%s fits none of the calls of rule %s; write a fault that does, or other calls",
                      fsh_faults[spec->kind].name, rule->name);
    for (unsigned i = 0; i < spec->n_errnos; i++)
        if (!any_fits(rule, spec, spec->errnos[i], selection))
            return wrong_errno(rule, spec, rule->n_calls == 1 ? rule->calls[0].text : "any call of this rule", spec->errnos[i],
                               error);
    return 0;
}

/* A call that was named must take every fault and every errno. */
static int check_named(const struct fsh_rule *rule, const struct fsh_fault_spec *spec, const struct selection *selection,
                       unsigned call, struct fsh_error *error) {
    const char *name = fsh_calls[call].name;
    if (fsh_calls[call].roles.observed)
        return refuse(error, rule, rule->calls[0].line, "%s is only observed, no fault fits it; leave it out", name);
    if (!call_fits(rule, spec, 0, selection, call) && spec->kind == FAULT_EARLY && fsh_calls[call].roles.waits)
        return refuse(error, rule, spec->line,
                      "%s never ends before its time, by its manual page; write any-errno = yes for a time-out that comes too soon",
                      name);
    if (!call_fits(rule, spec, 0, selection, call))
        return refuse(error, rule, spec->line, "%s%s can't act on %s, which rule %s names; write a rule of its own for it",
                      fsh_faults[spec->kind].name,
                      spec->kind == FAULT_CRASH && spec->when == WHEN_DURING            ? " during"
                      : spec->kind == FAULT_CORRUPT && spec->where == CORRUPT_AT_REST   ? " at-rest"
                      : spec->kind == FAULT_CORRUPT && spec->where == CORRUPT_STORED    ? " stored"
                      : spec->kind == FAULT_CORRUPT && spec->where == CORRUPT_TRANSIENT ? " transient"
                                                                                        : "",
                      name, rule->name);
    for (unsigned i = 0; i < spec->n_errnos; i++)
        if (!call_fits(rule, spec, spec->errnos[i], selection, call))
            return wrong_errno(rule, spec, name, spec->errnos[i], error);
    return 0;
}

static bool named(const struct fsh_rule *rule, unsigned call) {
    for (unsigned i = 0; i < rule->n_calls; i++)
        if (rule->calls[i].exact && rule->calls[i].on[call])
            return true;
    return false;
}

/* These decide for the whole rule. */
static int check_model(const struct fsh_rule *rule, struct fsh_error *error) {
    const char *model = rule->burst.on ? "gemodel" : "first";
    if (!rule->burst.on && !rule->first)
        return 0;
    if (rule->n_faults > 1)
        return refuse(error, rule, rule->faults[1].line,
                      "loss %s leaves no choice to rule %s; write other faults in a rule of their own", model, rule->name);
    if (!rule->probability.always || rule->nth.n || rule->has_interval || rule->has_skip || rule->has_space)
        return refuse(error, rule, rule->faults[0].line,
                      "loss %s says when rule %s fires; leave out probability, nth, interval, skip and space", model, rule->name);
    return 0;
}

/* A word for each candidate that fires, and nothing else that settles whether one does. */
static int check_draw(const struct fsh_rule *rule, struct fsh_error *error) {
    uint64_t n = 0;
    if (!rule->draw.n)
        return 0;
    for (unsigned i = 0; i < rule->nth.n; i++) {
        const struct fsh_step *s = &rule->nth.v[i];
        uint64_t more = (s->last - s->first) / s->step;
        n = more < FSH_LINE_MAX ? n + more + 1 : FSH_LINE_MAX;
    }
    if (n != rule->draw.n)
        return refuse(error, rule, rule->line, "rule %s has %u words in draw and %s numbers in nth; write one for each", rule->name,
                      rule->draw.n,
                      !n                 ? "no"
                      : n < rule->draw.n ? "fewer"
                                         : "more");
    if (!rule->probability.always || rule->phases || rule->events || rule->sticky != STICKY_NO)
        return refuse(error, rule, rule->line,
                      "draw and nth settle when rule %s fires; leave out probability, phase, on and sticky", rule->name);
    return 0;
}

static bool selects_waits(const struct selection *selection) {
    for (unsigned c = 0; c < FSH_CALLS; c++)
        if (selection->on[c] && fsh_calls[c].roles.waits)
            return true;
    return false;
}

static int check_state(const struct fsh_rule *rule, const struct selection *selection, struct fsh_error *error) {
    for (unsigned i = 0; i < rule->n_faults; i++) {
        const struct fsh_fault_spec *spec = &rule->faults[i];
        const char *name = fsh_faults[spec->kind].name;
        if (fsh_fault_has_state(spec->kind) && rule->n_faults > 1)
            return refuse(error, rule, spec->line,
                          "%s goes by what happened before, and can't be one of several faults of a rule; "
                          "write a rule of its own for it",
                          name);
        if (spec->kind == FAULT_CORRUPT && spec->where == CORRUPT_AT_REST && !rule->path.n)
            return refuse(error, rule, spec->line,
                          "corrupt at-rest damages files for good, and rule %s may meet any of the machine; write path = PATTERN, "
                          "as in path = /var/lib/app/*.db",
                          rule->name);
        if (fsh_fault_stays(spec->kind) && rule->sticky != STICKY_NO)
            return refuse(error, rule, spec->line, "%s stays by itself until it is mended; leave sticky out", name);
        if (fsh_fault_keeps_time(spec->kind) && rule->n_faults > 1)
            return refuse(error, rule, spec->line,
                          "%s changes a clock, and can't be one of several faults of a rule; write a rule of its own for it", name);
        if (fsh_fault_has_state(spec->kind) && rule->has_space)
            return refuse(error, rule, spec->line, "%s keeps an account of its own, and rule %s has space; leave space out", name,
                          rule->name);
        if (spec->kind == FAULT_EARLY && rule->has_space && selects_waits(selection))
            return refuse(error, rule, spec->line, "rule %s has space, and waits move no bytes; leave space out", rule->name);
    }
    return 0;
}

static int check_faults(const struct fsh_rule *rule, const struct selection *selection, struct fsh_error *error) {
    int model = check_model(rule, error);
    model = model < 0 ? model : check_draw(rule, error);
    if (model < 0)
        return model;
    for (unsigned i = 0; i < rule->n_faults; i++) {
        const struct fsh_fault_spec *spec = &rule->faults[i];
        for (unsigned c = 0; c < FSH_CALLS; c++) {
            int r = selection->on[c] && named(rule, c) ? check_named(rule, spec, selection, c, error) : 0;
            if (r < 0)
                return r;
        }
        int r = check_reach(rule, spec, selection, error);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Keys. */

/* A descriptor, a path or a host name: what ordinals of key = resource stand on. */
static bool has_resource(unsigned call, unsigned kind) {
    return kind != FSH_ON_NONE || fsh_calls[call].roles.host;
}

static uint8_t key_of(const struct fsh_rule *rule, unsigned call, unsigned kind) {
    if (rule->key == KEY_DEFAULT && (rule->nth.n || rule->has_interval || rule->has_skip || rule->has_space))
        return KEY_RUN;
    if (rule->key == KEY_DEFAULT || rule->key == KEY_RESOURCE)
        return has_resource(call, kind) ? KEY_RESOURCE : KEY_THREAD;
    return rule->key;
}

static int check_key(const struct fsh_rule *rule, const struct selection *selection, struct fsh_error *error) {
    if (rule->key != KEY_RESOURCE && rule->sticky != STICKY_RESOURCE)
        return 0;
    for (unsigned c = 0; c < FSH_CALLS; c++)
        for (unsigned k = 0; k < FSH_KINDS; k++)
            if (selected(selection, c, k) && has_resource(c, k))
                return 0;
    return refuse(error, rule, rule->line,
                  "rule %s counts by resource, and none of its calls has one; write key = thread or key = run", rule->name);
}

/* Compilation. */

struct reach {
    uint32_t alternatives[FSH_CALLS][FSH_KINDS]; /* bit i: fault line i fits */
    uint16_t calls[FSH_CALLS];                   /* those that have some, in order */
    unsigned n;
};

static void reach_of(const struct fsh_rule *rule, const struct selection *selection, struct reach *reach) {
    for (unsigned i = 0; i < reach->n; i++)
        memset(reach->alternatives[reach->calls[i]], 0, sizeof reach->alternatives[0]);
    reach->n = 0;
    for (unsigned c = 0; c < FSH_CALLS; c++) {
        uint32_t all = 0;
        for (unsigned k = 0; selection->on[c] && k < FSH_KINDS; k++) {
            for (unsigned i = 0; selected(selection, c, k) && i < rule->n_faults; i++)
                if (fits(rule, &rule->faults[i], c, k))
                    reach->alternatives[c][k] |= 1u << i;
            all |= reach->alternatives[c][k];
        }
        if (all)
            reach->calls[reach->n++] = (uint16_t)c;
    }
}

static int compile(const struct fsh_rule *rule, struct reach *reach, struct fsh_error *error) {
    struct selection selection;
    select_calls(rule, &selection);
    int r = filter_calls(rule, &selection, error);
    if (r == 0)
        r = check_faults(rule, &selection, error);
    if (r == 0 && rule->depth && !rule->stack.n && !rule->not_stack.n)
        r = refuse(error, rule, rule->line, "rule %s has depth, and neither stack nor not-stack; write one of them", rule->name);
    if (r == 0)
        r = check_state(rule, &selection, error);
    if (r == 0)
        r = check_key(rule, &selection, error);
    if (r == 0)
        reach_of(rule, &selection, reach);
    return r;
}

/* Whether the fault line can act or not by the size or O_DIRECT. */
static bool depends_on_size(const struct fsh_fault_spec *spec, unsigned call) {
    switch (spec->kind) {
    case FAULT_CRASH:
        return spec->when == WHEN_DURING;
    case FAULT_LOST:
        return !fsh_calls[call].roles.sync && !fsh_calls[call].roles.signo;
    case FAULT_CORRUPT:
        return spec->where != CORRUPT_AT_REST || spec->how == CORRUPT_REPLACE;
    case FAULT_SEEDED:
        return fsh_calls[call].roles.out || fsh_calls[call].roles.iov_out; /* or it returns them */
    case FAULT_SHORT:
    case FAULT_TORN:
    case FAULT_QUOTA:
    case FAULT_BAD_SECTOR:
    case FAULT_FSYNC_FAIL:
    case FAULT_BUDGET:
    case FAULT_ONCE_PER_STACK:
    case FAULT_DESCRIPTORS:
    case FAULT_MISDIRECT:
    case FAULT_TWICE:
    case FAULT_EARLY:
    case FAULT_STORM:
    case FAULT_REPLY:
        return true;
    default:
        return false;
    }
}

/* Looks at the errnos of one fault line that are legal there: is one of them for non-blocking descriptors, and one for all? */
static void ask_mode(const struct fsh_rule *rule, const struct fsh_fault_spec *spec, unsigned call, unsigned kind,
                     bool *nonblocking, bool *blocking) {
    *nonblocking = false;
    *blocking = spec->n_errnos == 0;
    for (unsigned i = 0; i < spec->n_errnos; i++) {
        int e = spec->errnos[i];
        if (!fsh_rule_allows(rule, call, kind, e))
            continue;
        bool needs = kind >= FSH_ON_STREAM && !rule->any_errno && fsh_needs_nonblocking(e);
        *nonblocking |= needs;
        *blocking |= !needs;
    }
}

static bool meets(const struct reach *reach, unsigned call) {
    uint32_t all = 0;
    for (unsigned k = 0; k < FSH_KINDS; k++)
        all |= reach->alternatives[call][k];
    return all != 0;
}

static bool looks_at_stack(const struct fsh_rule *rule) {
    return rule->stack.n || rule->not_stack.n;
}

/* How long it would wait is not its size. */
static bool needs_time(const struct fsh_fault_spec *spec, unsigned call) {
    return spec->kind == FAULT_EARLY && fsh_calls[call].roles.waits;
}

static struct fsh_candidate candidate(const struct fsh_rule *rule, unsigned call, unsigned kind, const struct reach *reach) {
    const uint32_t alternatives = reach->alternatives[call][kind];
    struct fsh_candidate cand = {
        .threshold = rule->probability.always ? UINT64_MAX : rule->probability.threshold,
        .alternatives = alternatives,
        .rule = (uint16_t)rule->index,
        .key = key_of(rule, call, kind),
    };
    if (rule->path.n || rule->not_path.n || rule->peer.n || rule->local.n || rule->fd.n || rule->has_size || rule->caller.n ||
        looks_at_stack(rule) || rule->process.n || rule->thread.n)
        cand.flags |= CAND_FILTER;
    if (rule->fd.n || rule->has_size || rule->caller.n || looks_at_stack(rule))
        cand.flags |= CAND_CALL;
    if (rule->nth.n || rule->has_skip || rule->has_interval || rule->has_space || rule->has_times || rule->first ||
        rule->burst.on || rule->sticky != STICKY_NO)
        cand.flags |= CAND_COUNT;
    if (rule->cont)
        cand.flags |= CAND_CONTINUE;
    if (rule->phases || rule->events)
        cand.flags |= CAND_PHASED;
    if (fsh_calls[call].roles.over && meets(reach, fsh_calls[call].roles.over - 1u))
        cand.flags |= CAND_BELOW;
    for (unsigned i = 0; i < rule->n_faults; i++) {
        bool nonblocking, blocking;
        if (!(alternatives & (1u << i)))
            continue;
        ask_mode(rule, &rule->faults[i], call, kind, &nonblocking, &blocking);
        cand.blocking |= (uint32_t)blocking << i;
        cand.flags |= fsh_fault_has_state(rule->faults[i].kind) || needs_time(&rule->faults[i], call) ? CAND_STATE : 0;
        cand.flags |= rule->faults[i].kind == FAULT_STORM ? CAND_ALIVE : 0;
        cand.sized |= (uint32_t)depends_on_size(&rule->faults[i], call) << i;
        cand.flags |= nonblocking ? CAND_FACTS | CAND_NONBLOCK : 0;
    }
    cand.flags |= cand.sized ? CAND_FACTS : 0;
    return cand;
}

bool fsh_fault_leaves_traces(const struct fsh_fault_spec *spec) {
    switch (spec->kind) {
    case FAULT_RESET:
    case FAULT_CLOSE:
    case FAULT_BLACKHOLE:
    case FAULT_REPLY:
    case FAULT_REORDER:
        return true;
    case FAULT_LOSS:
        return spec->net.as == AS_RESET;
    default:
        return false;
    }
}

static void note_needs(struct fsh_plan *plan, const struct fsh_rule *rule, unsigned call, unsigned kind, uint8_t key) {
    plan->armed[call] = true;
    uint8_t fault = rule->faults[0].kind; /* one that has state is alone */
    bool files = fault == FAULT_QUOTA || fault == FAULT_BAD_SECTOR || fault == FAULT_FSYNC_FAIL;
    plan->needs_descriptors |= kind != FSH_ON_NONE;
    for (unsigned i = 0; i < rule->n_faults; i++) {
        plan->limits_connections |= rule->faults[i].kind == FAULT_STORM;
        plan->needs_links |= fsh_fault_leaves_traces(&rule->faults[i]);
        plan->has_detours |=
            rule->faults[i].kind == FAULT_BLACKHOLE || rule->faults[i].kind == FAULT_REPLY || rule->faults[i].kind == FAULT_REORDER;
        plan->moves_links |= rule->faults[i].kind == FAULT_REPLY || rule->faults[i].kind == FAULT_BLACKHOLE;
    }
    plan->needs_stacks |=
        plan->profile->options.stacks != STACKS_OFF || key == KEY_SITE || looks_at_stack(rule) || fault == FAULT_ONCE_PER_STACK;
    plan->loses_data |= fault == FAULT_FSYNC_FAIL && !rule->faults[0].keeps;
    plan->needs_files_settled |= fault == FAULT_QUOTA || fault == FAULT_BAD_SECTOR || plan->loses_data;
    plan->needs_live_bytes |= fault == FAULT_BUDGET;
    plan->has_clocks |= fsh_fault_keeps_time(fault);
    plan->needs_shared_keys |= files || key == KEY_SITE || key == KEY_RESOURCE || rule->sticky == STICKY_RESOURCE;
}

static bool drawn_active(const struct fsh_rule *rule, uint64_t seed) {
    return rule->active.always || fsh_draw(fsh_stream(seed, rule->hash, fsh_hash("active", 6)), 0) < rule->active.threshold;
}

/* Checks a rule and counts the pairs that it considers. `room` counts enabled rules whatever was drawn for `active`, so
 * that a profile is right or wrong for every seed alike. */
static int count_rule(struct fsh_plan *plan, struct fsh_rule *rule, struct reach *reach, uint16_t room[FSH_CALLS][FSH_KINDS],
                      struct fsh_error *error) {
    int r = compile(rule, reach, error);
    rule->n_pairs = 0;
    for (unsigned i = 0; r == 0 && i < reach->n; i++)
        for (unsigned c = reach->calls[i], k = 0; k < FSH_KINDS; k++) {
            if (!reach->alternatives[c][k])
                continue;
            rule->n_pairs++;
            plan->on[c][k].n += rule->in_run;
            room[c][k] = (uint16_t)(room[c][k] + rule->enabled);
            if (room[c][k] > FSH_CANDIDATES_MAX)
                return refuse(error, rule, rule->calls[0].line,
                              "more than %u rules consider %s; write fewer, or choose calls more narrowly",
                              (unsigned)FSH_CANDIDATES_MAX, fsh_calls[c].name);
        }
    return r;
}

/* Counters in resources for the rules that count there. */
static int give_slots(struct fsh_plan *plan, struct fsh_arena *arena) {
    unsigned n = plan->profile->n_rules;
    plan->slots = fsh_arena_get(arena, n * sizeof *plan->slots);
    if (!plan->slots)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++)
        plan->slots[i] = FSH_NO_SLOT;
    for (unsigned c = 0; c < FSH_CALLS; c++)
        for (unsigned k = 0; k < FSH_KINDS; k++)
            for (unsigned i = 0; i < plan->on[c][k].n; i++) {
                struct fsh_candidate *cand = (struct fsh_candidate *)&plan->on[c][k].v[i];
                unsigned rule = cand->rule - plan->profile->rules_before;
                bool counts = cand->key == KEY_RESOURCE || plan->profile->rules[rule].sticky == STICKY_RESOURCE;
                if (counts && plan->slots[rule] == FSH_NO_SLOT)
                    plan->slots[rule] = (uint16_t)plan->n_slots++;
                cand->slot = plan->slots[rule];
            }
    return 0;
}

/* A rule that always fires has nothing to gain from a short way. */
static bool all_are(const struct fsh_candidates *list, enum fsh_key key, unsigned flags) {
    for (unsigned i = 0; i < list->n; i++)
        if (list->v[i].key != key || list->v[i].flags & ~flags || list->v[i].threshold == UINT64_MAX)
            return false;
    return list->n > 0;
}

/* Where calls are met that no rule of the profile asks for, it may be at a door above another. */
static void give_shapes(struct fsh_plan *plan) {
    const bool meets_more = plan->profile->load || plan->profile->options.control == REACH_FULL;
    for (unsigned c = 0; c < FSH_CALLS; c++)
        for (unsigned k = 0; k < FSH_KINDS; k++) {
            struct fsh_candidates *list = &plan->on[c][k];
            bool polls = plan->has_detours && fsh_call_polls(c);
            bool long_way = polls || (plan->moves_links && fsh_calls[c].class_of[k] == C_NET_RECV);
            unsigned below = 0;
            for (unsigned i = 0; i < list->n; i++)
                below += (list->v[i].flags & CAND_BELOW) != 0;
            list->is_mixed = below > 0 && (below < list->n || meets_more);
            list->shape = long_way || plan->profile->options.stacks == STACKS_ALL || list->is_mixed ? SHAPE_MIXED
                          : all_are(list, KEY_THREAD, CAND_CONTINUE | CAND_BELOW)                   ? SHAPE_THREAD
                          : all_are(list, KEY_RESOURCE, CAND_CONTINUE | CAND_FILTER | CAND_BELOW)   ? SHAPE_RESOURCE
                                                                                                    : SHAPE_MIXED;
        }
}

/* control = full: a later profile may ask for anything that can be prepared at the start. */
static void prepare_for_all(struct fsh_plan *plan) {
    for (unsigned c = 0; c < FSH_CALLS; c++)
        for (unsigned k = 0; k < FSH_KINDS; k++)
            plan->armed[c] |= fsh_calls[c].class_of[k] != C_NONE && !fsh_calls[c].roles.observed;
    plan->needs_descriptors = plan->needs_stacks = plan->needs_files_settled = plan->needs_shared_keys = true;
    plan->limits_connections = true;
}

int fsh_plan_build(struct fsh_plan *plan, const struct fsh_profile *profile, uint64_t seed, struct fsh_arena *arena,
                   struct fsh_error *error) {
    uint16_t(*room)[FSH_KINDS] = fsh_arena_get(arena, sizeof(uint16_t[FSH_CALLS][FSH_KINDS]));
    struct reach *reach = fsh_arena_get(arena, sizeof *reach);
    memset(plan, 0, sizeof *plan);
    plan->profile = profile;
    plan->seed = seed;
    if (!room || !reach)
        return -ENOMEM;
    for (unsigned i = 0; i < profile->n_rules; i++) {
        struct fsh_rule *rule = &profile->rules[i];
        rule->of = profile;
        rule->counters = profile->rules_before ? fsh_fold(rule->hash, profile->rules_before) : rule->hash;
        rule->index = profile->rules_before + i;
        rule->in_run = rule->enabled && drawn_active(rule, seed);
        int r = count_rule(plan, rule, reach, room, error);
        if (r < 0)
            return r;
    }
    struct fsh_candidate *list[FSH_CALLS][FSH_KINDS];
    for (unsigned c = 0; c < FSH_CALLS; c++)
        for (unsigned k = 0; k < FSH_KINDS; k++) {
            if (!plan->on[c][k].n)
                continue;
            list[c][k] = fsh_arena_get(arena, plan->on[c][k].n * sizeof ***list);
            plan->on[c][k].v = list[c][k];
            if (!list[c][k])
                return -ENOMEM;
        }
    for (unsigned i = 0; i < profile->n_rules; i++) {
        const struct fsh_rule *rule = &profile->rules[i];
        if (!rule->in_run)
            continue;
        compile(rule, reach, error);
        for (unsigned j = 0; j < reach->n; j++)
            for (unsigned c = reach->calls[j], k = 0; k < FSH_KINDS; k++)
                if (reach->alternatives[c][k]) {
                    *list[c][k] = candidate(rule, c, k, reach);
                    note_needs(plan, rule, c, k, list[c][k]->key);
                    list[c][k]++;
                }
    }
    if (profile->options.control == REACH_FULL && !profile->load)
        prepare_for_all(plan);
    give_shapes(plan);
    return give_slots(plan, arena);
}

/* A profile that is loaded into a run. */

void fsh_plan_follow(struct fsh_plan *plan, const struct fsh_plan *before) {
    for (unsigned i = 0; i < plan->profile->n_rules; i++)
        if (plan->slots[i] != FSH_NO_SLOT)
            plan->slots[i] = (uint16_t)(plan->slots[i] + before->n_slots);
    for (unsigned c = 0; c < FSH_CALLS; c++)
        for (unsigned k = 0; k < FSH_KINDS; k++)
            for (unsigned i = 0; i < plan->on[c][k].n; i++) {
                struct fsh_candidate *cand = (struct fsh_candidate *)&plan->on[c][k].v[i];
                cand->slot = plan->slots[cand->rule - plan->profile->rules_before];
            }
    plan->n_slots += before->n_slots;
    plan->needs_descriptors |= before->needs_descriptors;
    plan->needs_stacks |= before->needs_stacks;
    plan->needs_links |= before->needs_links;
    plan->has_detours |= before->has_detours;
    plan->moves_links |= before->moves_links;
    plan->needs_files_settled |= before->needs_files_settled;
    plan->limits_connections |= before->limits_connections;
    plan->loses_data |= before->loses_data;
    plan->needs_live_bytes |= before->needs_live_bytes;
    plan->has_clocks |= before->has_clocks;
    give_shapes(plan);
}

/* Of a rule, the first fault line of that kind; NULL if it has none. */
static const struct fsh_fault_spec *fault_like(const struct fsh_rule *rule, bool (*is)(const struct fsh_fault_spec *)) {
    for (unsigned i = 0; i < rule->n_faults; i++)
        if (is(&rule->faults[i]))
            return &rule->faults[i];
    return NULL;
}

static bool keeps_time(const struct fsh_fault_spec *spec) {
    return fsh_fault_keeps_time(spec->kind);
}
static bool counts_heap(const struct fsh_fault_spec *spec) {
    return spec->kind == FAULT_BUDGET;
}
static bool settles_files(const struct fsh_fault_spec *spec) {
    return spec->kind == FAULT_QUOTA || spec->kind == FAULT_BAD_SECTOR;
}
static bool loses_data(const struct fsh_fault_spec *spec) {
    return spec->kind == FAULT_FSYNC_FAIL && !spec->keeps;
}
static bool follows_descriptions(const struct fsh_fault_spec *spec) {
    return spec->kind == FAULT_FSYNC_FAIL;
}
static bool limits_connections(const struct fsh_fault_spec *spec) {
    return spec->kind == FAULT_STORM;
}
static bool goes_by_stack(const struct fsh_fault_spec *spec) {
    return spec->kind == FAULT_ONCE_PER_STACK;
}

static bool some_rule_has(const struct fsh_plan *plan, bool (*is)(const struct fsh_fault_spec *)) {
    for (unsigned i = 0; i < plan->profile->n_rules; i++)
        if (plan->profile->rules[i].in_run && fault_like(&plan->profile->rules[i], is))
            return true;
    return false;
}

/* The clocks that rules of the plan act on. */
static uint8_t clocks_of(const struct fsh_plan *plan) {
    uint8_t clocks = 0;
    for (unsigned i = 0; i < plan->profile->n_rules; i++)
        if (plan->profile->rules[i].in_run && keeps_time(&plan->profile->rules[i].faults[0]))
            clocks |= plan->profile->rules[i].faults[0].clocks;
    return clocks;
}

static bool some_rule_asks(const struct fsh_plan *plan, bool (*asks)(const struct fsh_rule *)) {
    for (unsigned i = 0; i < plan->profile->n_rules; i++)
        if (plan->profile->rules[i].in_run && asks(&plan->profile->rules[i]))
            return true;
    return false;
}

static bool names_address(const struct fsh_rule *rule) {
    return rule->peer.n || rule->local.n;
}

/* A call that is met at its own door, not only at the one below it. */
static bool is_met_above(const struct fsh_plan *plan, unsigned call) {
    for (unsigned k = 0; k < FSH_KINDS; k++)
        for (unsigned i = 0; i < plan->on[call][k].n; i++)
            if (!(plan->on[call][k].v[i].flags & CAND_BELOW))
                return true;
    return false;
}

static int needs_more(const struct fsh_rule *rule, unsigned line, const char *what, bool full_helps, struct fsh_error *error) {
    return refuse(error, rule, line, "rule %s %s, and nothing in this run was prepared for that; start it with %s", rule->name,
                  what,
                  full_helps ? "control = full in its profile" : "such a rule in its profile, at probability = 0% if need be");
}

static bool looks_at_caller(const struct fsh_rule *rule) {
    return rule->caller.n || looks_at_stack(rule);
}

/* Some rule on that call looks at who makes it. */
static bool is_caller_noted(const struct fsh_plan *plan, unsigned call) {
    for (unsigned k = 0; k < FSH_KINDS; k++)
        for (unsigned i = 0; i < plan->on[call][k].n; i++)
            if (looks_at_caller(&plan->profile->rules[plan->on[call][k].v[i].rule]))
                return true;
    return false;
}

/* Some fault on that call goes by what is more than its size. */
static bool has_state_on(const struct fsh_plan *plan, unsigned call) {
    for (unsigned k = 0; k < FSH_KINDS; k++)
        for (unsigned i = 0; i < plan->on[call][k].n; i++)
            if (plan->on[call][k].v[i].flags & CAND_STATE)
                return true;
    return false;
}

static int check_calls_met(const struct fsh_plan *first, const struct fsh_plan *later, struct fsh_error *error) {
    for (unsigned c = 0; c < FSH_CALLS; c++)
        for (unsigned k = 0; k < FSH_KINDS; k++)
            for (unsigned i = 0; i < later->on[c][k].n; i++) {
                const struct fsh_candidate *cand = &later->on[c][k].v[i];
                const struct fsh_rule *rule = &later->profile->rules[cand->rule - later->profile->rules_before];
                bool above = !(cand->flags & CAND_BELOW) && fsh_calls[c].roles.over;
                if (!first->armed[c] || (above && !is_met_above(first, c)))
                    return refuse(error, rule, rule->calls[0].line,
                                  "rule %s selects %s, which no rule selects that the run began with, so it is not met; "
                                  "start the run with control = full in its profile",
                                  rule->name, fsh_calls[c].name);
                if (cand->flags & CAND_STATE && fsh_calls[c].roles.waits && !has_state_on(first, c))
                    return refuse(error, rule, rule->faults[0].line,
                                  "rule %s asks how long %s waits, which no rule does that the run began with; "
                                  "start the run with control = full in its profile",
                                  rule->name, fsh_calls[c].name);
                if (looks_at_caller(rule) && !is_caller_noted(first, c))
                    return refuse(error, rule, rule->line,
                                  "rule %s looks at who calls %s, which no rule does that the run began with; "
                                  "start the run with control = full in its profile",
                                  rule->name, fsh_calls[c].name);
            }
    return 0;
}

int fsh_plan_within(const struct fsh_plan *first, const struct fsh_plan *later, struct fsh_error *error) {
    const bool full = first->profile->options.control == REACH_FULL;
    static const struct {
        bool (*is)(const struct fsh_fault_spec *);
        const char *what;
        bool full_helps;
    } faults[] = {
        {counts_heap, "keeps account of the heap from the start of the program", false},
        {keeps_time, "changes a clock", false},
        {goes_by_stack, "looks at call stacks", true},
        {settles_files, "keeps account of files", true},
        {follows_descriptions, "remembers which descriptors have failed", true},
        {loses_data, "keeps what was written until it is synced", false},
        {limits_connections, "counts open connections", true},
    };
    static const struct {
        bool (*asks)(const struct fsh_rule *);
        const char *what;
    } filters[] = {{looks_at_stack, "looks at call stacks"}, {names_address, "names an address"}};
    int e = full ? 0 : check_calls_met(first, later, error);
    for (unsigned i = 0; e == 0 && i < later->profile->n_rules; i++) {
        const struct fsh_rule *rule = &later->profile->rules[i];
        if (!rule->in_run)
            continue;
        for (unsigned j = 0; e == 0 && j < sizeof faults / sizeof *faults; j++) {
            const struct fsh_fault_spec *spec = fault_like(rule, faults[j].is);
            if (spec && !(full && faults[j].full_helps) && !some_rule_has(first, faults[j].is))
                e = needs_more(rule, spec->line, faults[j].what, faults[j].full_helps, error);
        }
        for (unsigned j = 0; e == 0 && !full && j < sizeof filters / sizeof *filters; j++)
            if (filters[j].asks(rule) && !some_rule_asks(first, filters[j].asks))
                e = needs_more(rule, rule->line, filters[j].what, true, error);
        if (e == 0 && keeps_time(&rule->faults[0]) && rule->faults[0].clocks & ~clocks_of(first))
            e = needs_more(rule, rule->faults[0].line, "changes another clock", false, error);
        if (e == 0 && !full && rule->key == KEY_SITE && !first->needs_stacks)
            e = needs_more(rule, rule->line, "counts by call site", true, error);
    }
    if (e == 0 && !full && later->needs_shared_keys && !first->needs_shared_keys)
        e = needs_more(&later->profile->rules[0], later->profile->rules[0].line, "or another counts by file or connection", true,
                       error);
    if (e == 0 && !full && later->needs_descriptors && !first->needs_descriptors)
        e = needs_more(&later->profile->rules[0], later->profile->rules[0].line, "or another looks at descriptors", true, error);
    return e;
}
