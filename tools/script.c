/* script.c: see script.h. Contexts are shared by all threads and found through a hash table; a step is then one word. */
#include "script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "binary.h"
#include "draw.h"
#include "faults.h"
#include "grow.h"
#include "out.h"
#include "replay.h"
#include "trace_open.h"

struct compiler {
    const struct fsh_reader *reader;
    int16_t *calls; /* of the trace to those of this build; -1 for none */
    struct fsh_script_thread *threads;
    struct fsh_script_context *contexts;
    struct fsh_script_fault *faults;
    uint32_t *steps;
    size_t n_threads, n_contexts, contexts_room, n_faults, faults_room, n_steps, steps_room;
    uint32_t *table; /* context numbers + 1, by hash */
    size_t table_size;
    size_t thread_faults; /* of the threads before the one at hand */
    const char *unknown;  /* a name that this build does not have */

    const struct fsh_script_wish *wish;
    struct fsh_script_point *points;
    struct mark *found;
    struct fsh_script_mark *marks;
    size_t n_points, points_room, n_found, found_room;
    struct fsh_script_series *series;
    uint64_t *values;
    uint8_t *bytes;
    size_t n_series, series_room, n_values, values_room, n_bytes, bytes_room;
    uint64_t *rebuilt;
    size_t n_rebuilt, rebuilt_room;
    uint64_t fired; /* decisions that fired so far */
    bool skipping;  /* the decision at hand is excluded */
};

struct mark {
    uint32_t point;
    struct fsh_script_mark mark;
};

/* --- contexts --- */

static size_t slot_of(const struct compiler *c, const struct fsh_script_context *context) {
    uint64_t h = fsh_fold((uint64_t)context->call << 8 | context->kind, context->resource_key);
    size_t i = h & (c->table_size - 1);
    while (c->table[i]) {
        const struct fsh_script_context *o = &c->contexts[c->table[i] - 1];
        if (o->call == context->call && o->kind == context->kind && o->resource_key == context->resource_key)
            break;
        i = (i + 1) & (c->table_size - 1);
    }
    return i;
}

static bool grow_table(struct compiler *c) {
    if (c->table_size && c->n_contexts * 2 < c->table_size)
        return true;
    size_t size = c->table_size ? c->table_size * 2 : 1024;
    uint32_t *table = calloc(size, sizeof *table);
    if (!table)
        return false;
    free(c->table);
    c->table = table;
    c->table_size = size;
    for (size_t i = 0; i < c->n_contexts; i++)
        c->table[slot_of(c, &c->contexts[i])] = (uint32_t)i + 1;
    return true;
}

/* The number of a context, new or known; -ENOMEM. */
static int64_t context_of(struct compiler *c, const struct fsh_decision *d) {
    const struct fsh_resource_info *r = fsh_reader_resource(c->reader, d->resource);
    struct fsh_script_context context = {.call = (uint16_t)c->calls[d->call], .kind = d->kind, .resource_key = r ? r->key : 0};
    if (!grow_table(c) || !fsh_grow(&c->contexts, &c->contexts_room, c->n_contexts, sizeof *c->contexts))
        return -ENOMEM;
    size_t i = slot_of(c, &context);
    if (!c->table[i]) {
        c->contexts[c->n_contexts++] = context;
        c->table[i] = (uint32_t)c->n_contexts;
    }
    return c->table[i] - 1;
}

/* --- steps --- */

static bool add_step(struct compiler *c, uint32_t word) {
    if (!fsh_grow(&c->steps, &c->steps_room, c->n_steps, sizeof *c->steps))
        return false;
    c->steps[c->n_steps++] = word;
    return true;
}

static int add_fault(struct compiler *c, const struct fsh_decision *d) {
    if (!d->fault) { /* closes a decision that later rules did not join */
        if (c->n_faults)
            c->faults[c->n_faults - 1].flags &= ~(uint32_t)FAULT_MORE;
        return 0;
    }
    const char *name = fsh_reader_fault_name(c->reader, d->fault_kind);
    int kind = fsh_fault_by_name(name, strlen(name));
    if (kind < 0) {
        c->unknown = name;
        return -ENOTSUP;
    }
    if (!fsh_grow(&c->faults, &c->faults_room, c->n_faults, sizeof *c->faults))
        return -ENOMEM;
    c->faults[c->n_faults++] = (struct fsh_script_fault){.rule = d->rule,
                                                         .line = d->line,
                                                         .fault = (uint8_t)kind,
                                                         .error = d->error,
                                                         .flags = d->flags & (FAULT_MORE | FAULT_STUCK | FAULT_LASTING),
                                                         .thread = d->thread,
                                                         .amount = d->amount,
                                                         .key = d->key,
                                                         .ordinal = d->ordinal,
                                                         .word = d->word,
                                                         .bytes = d->bytes,
                                                         .held = UINT64_MAX};
    return 0;
}

static int add_decision(void *arg, const struct fsh_decision *d) {
    struct compiler *c = arg;
    if (d->again)
        return add_fault(c, d);
    if (d->call >= fsh_reader_header(c->reader)->n_calls || c->calls[d->call] < 0) {
        c->unknown = fsh_reader_call_name(c->reader, d->call);
        return -ENOTSUP;
    }
    int64_t context = context_of(c, d);
    if (context < 0 || !add_step(c, (uint32_t)context | (d->fault ? FSH_STEP_FAULT : 0)))
        return -ENOMEM;
    if (!d->fault)
        return 0;
    return add_step(c, (uint32_t)c->n_faults) ? add_fault(c, d) : -ENOMEM;
}

/* Another profile holds from here on. */
static int add_turn(struct compiler *c, struct fsh_get get) {
    fsh_get_u64(&get);
    uint64_t what = fsh_get_varint(&get), load = fsh_get_varint(&get), unasked = fsh_get_u64(&get);
    if (get.bad || what != CHANGED_PLAN || load > FSH_LOADS)
        return 0;
    bool good = add_step(c, FSH_STEP_PLAN | (uint32_t)load) && add_step(c, unasked < UINT32_MAX ? (uint32_t)unasked : UINT32_MAX);
    return good ? 0 : -ENOMEM;
}

/* A call that was held did not stay so for as long as its fault says. */
static int add_event(void *arg, const struct fsh_event *e) {
    struct compiler *c = arg;
    struct fsh_get get = {.p = e->fields, .end = e->fields + e->len};
    if (e->op == OP_CONTROL)
        return add_turn(c, get);
    if (e->op != OP_RELEASED)
        return 0;
    fsh_get_u64(&get);
    uint64_t rule = fsh_get_varint(&get), held = fsh_get_varint(&get);
    for (size_t i = c->n_faults; i > c->thread_faults && !get.bad; i--)
        if (c->faults[i - 1].rule == rule) {
            c->faults[i - 1].held = held;
            break;
        }
    return 0;
}

/* --- threads --- */

static int add_threads(struct compiler *c) {
    unsigned n = fsh_reader_threads(c->reader);
    unsigned *order = calloc(n + 1ul, sizeof *order);
    c->threads = calloc(n + 1ul, sizeof *c->threads);
    int e = order && c->threads ? 0 : -ENOMEM;
    for (unsigned i = 0; i < n && !e; i++)
        order[i] = i;
    if (!e && n)
        qsort_r(order, n, sizeof *order, fsh_compare_threads, (void *)c->reader);
    for (unsigned i = 0; i < n && !e; i++) {
        const struct fsh_thread_info *t = fsh_reader_thread(c->reader, order[i]);
        struct fsh_visitor visitor = {c, add_decision, add_event};
        c->thread_faults = c->n_faults;
        struct fsh_script_thread *thread = &c->threads[c->n_threads++];
        *thread =
            (struct fsh_script_thread){.process_key = t->process_key, .thread_key = t->key, .image = t->image, .first = c->n_steps};
        e = fsh_reader_walk_thread(c->reader, order[i], &visitor);
        thread->count = c->n_steps - thread->first;
    }
    free(order);
    return e;
}

static bool map_calls(struct compiler *c) {
    unsigned n = fsh_reader_header(c->reader)->n_calls;
    c->calls = calloc(n + 1ul, sizeof *c->calls);
    for (unsigned i = 0; c->calls && i < n; i++) {
        const char *name = fsh_reader_call_name(c->reader, i);
        c->calls[i] = (int16_t)fsh_call_by_name(name, strlen(name));
    }
    return c->calls != NULL;
}

/* --- set and site --- */

static bool is_rebuilt(const struct compiler *c, uint64_t module) {
    for (size_t i = 0; i < c->n_rebuilt; i++)
        if (c->rebuilt[i] == module)
            return true;
    return false;
}

/* Modules whose files are other ones by now, as far as build ids tell. */
static int find_rebuilt(struct compiler *c) {
    for (unsigned i = 0; i < fsh_reader_modules(c->reader); i++) {
        const struct fsh_module_info *m = fsh_reader_module_at(c->reader, i);
        const uint64_t module = fsh_hash(m->name, strlen(m->name));
        const char *path = c->wish->program && !strcmp(m->name, "program") ? c->wish->program : m->path;
        if (!m->build_id.len || !*path || is_rebuilt(c, module) || fsh_has_build_id(path, m->build_id))
            continue;
        if (!fsh_grow(&c->rebuilt, &c->rebuilt_room, c->n_rebuilt, sizeof *c->rebuilt))
            return -ENOMEM;
        c->rebuilt[c->n_rebuilt++] = module;
    }
    return 0;
}

/* As the shim will find it. */
static uint64_t key_of_site(const struct compiler *c, const struct fsh_site_info *site) {
    struct fsh_get frames = {.p = site->frames, .end = site->end}, names = frames;
    uint64_t key = 0;
    if (!c->n_rebuilt)
        return site->key;
    for (unsigned i = 0; i < site->n_frames; i++)
        fsh_get_frame(&names);
    for (unsigned i = 0; i < site->n_frames; i++) {
        const struct fsh_stack_frame f = fsh_get_frame(&frames);
        const uint64_t module = fsh_hash(f.module.data, f.module.len), function = fsh_get_u64(&names);
        key = fsh_fold_frame(key, module, is_rebuilt(c, module), function, f.offset);
    }
    return key | 1;
}

static struct fsh_script_point point_of(const struct compiler *c, const struct fsh_decision *d) {
    const struct fsh_resource_info *r = fsh_reader_resource(c->reader, d->resource);
    const struct fsh_thread_info *t = fsh_reader_thread(c->reader, d->thread);
    const struct fsh_site_info *site = d->site ? fsh_reader_site(c->reader, d->site) : NULL;
    struct fsh_script_point p = {.key = r ? r->key : 0, .call = (uint16_t)c->calls[d->call], .kind = d->kind};
    if (c->wish->mode == REPLAY_SITE && d->site) {
        p.key = site ? key_of_site(c, site) : d->site;
        p.kind = 0;
    } else {
        p.owner = fsh_point_owner(d->kind, p.key, t->process_key, t->key);
    }
    return p;
}

static int compare_points(const void *a, const void *b) {
    const struct fsh_script_point *x = a, *y = b;
    if (x->owner != y->owner)
        return x->owner < y->owner ? -1 : 1;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    if (x->call != y->call)
        return x->call < y->call ? -1 : 1;
    return x->kind < y->kind ? -1 : x->kind > y->kind;
}

static bool is_free_or(const struct compiler *c, size_t slot, const struct fsh_script_point *like) {
    return !c->table[slot] || compare_points(&c->points[c->table[slot] - 1], like) == 0;
}

static size_t slot_of_point(const struct compiler *c, const struct fsh_script_point *p) {
    size_t i = fsh_fold(fsh_fold(p->owner, p->key), (uint64_t)p->call << 8 | p->kind) & (c->table_size - 1);
    while (!is_free_or(c, i, p))
        i = (i + 1) & (c->table_size - 1);
    return i;
}

static bool grow_point_table(struct compiler *c) {
    if (c->table_size && c->n_points * 2 < c->table_size)
        return true;
    size_t size = c->table_size ? c->table_size * 2 : 1024;
    uint32_t *table = calloc(size, sizeof *table);
    if (!table)
        return false;
    free(c->table);
    c->table = table;
    c->table_size = size;
    for (size_t i = 0; i < c->n_points; i++)
        c->table[slot_of_point(c, &c->points[i])] = (uint32_t)i + 1;
    return true;
}

/* What an earlier fault left behind on a connection comes by itself. */
static int add_alike(void *arg, const struct fsh_decision *d) {
    struct compiler *c = arg;
    if (d->again)
        return c->skipping ? 0 : add_fault(c, d);
    if (d->call >= fsh_reader_header(c->reader)->n_calls || c->calls[d->call] < 0) {
        c->unknown = fsh_reader_call_name(c->reader, d->call);
        return -ENOTSUP;
    }
    struct fsh_script_point like = point_of(c, d);
    if (!grow_point_table(c) || !fsh_grow(&c->points, &c->points_room, c->n_points, sizeof like) ||
        !fsh_grow(&c->found, &c->found_room, c->n_found, sizeof *c->found))
        return -ENOMEM;
    size_t i = slot_of_point(c, &like);
    if (!c->table[i]) {
        c->points[c->n_points++] = like;
        c->table[i] = (uint32_t)c->n_points;
    }
    uint32_t at = c->table[i] - 1;
    uint64_t ordinal = c->points[at].seen++;
    c->skipping = d->fault && ((d->flags & FAULT_LASTING) || (c->wish->excluded && c->wish->excluded[c->fired]));
    c->fired += d->fault;
    if (!d->fault || c->skipping)
        return 0;
    c->found[c->n_found++] = (struct mark){at, {.ordinal = ordinal, .fault = (uint32_t)c->n_faults}};
    c->points[at].n++;
    return add_fault(c, d);
}

static int compare_found(const void *a, const void *b) {
    const struct mark *x = a, *y = b;
    if (x->point != y->point)
        return x->point < y->point ? -1 : 1;
    return x->mark.ordinal < y->mark.ordinal ? -1 : x->mark.ordinal > y->mark.ordinal;
}

/* As add_event, in a walk of all threads. */
static int release_alike(void *arg, const struct fsh_event *e) {
    struct compiler *c = arg;
    if (e->op != OP_RELEASED)
        return 0;
    struct fsh_get get = {.p = e->fields, .end = e->fields + e->len};
    fsh_get_u64(&get);
    uint64_t rule = fsh_get_varint(&get), held = fsh_get_varint(&get);
    for (size_t i = c->n_faults; i > 0 && !get.bad; i--)
        if (c->faults[i - 1].rule == rule && c->faults[i - 1].thread == e->thread) {
            c->faults[i - 1].held = held;
            break;
        }
    return 0;
}

/* Only points with faults are left, each with its marks. */
static int add_points(struct compiler *c) {
    struct fsh_visitor visitor = {c, add_alike, release_alike};
    size_t n = 0;
    int e = fsh_reader_walk(c->reader, &visitor);
    if (e)
        return e;
    c->marks = calloc(c->n_found + 1, sizeof *c->marks);
    if (!c->marks)
        return -ENOMEM;
    if (c->n_found)
        qsort(c->found, c->n_found, sizeof *c->found, compare_found);
    for (size_t i = 0; i < c->n_found; i++) {
        struct fsh_script_point *p = &c->points[c->found[i].point];
        if (i == 0 || c->found[i].point != c->found[i - 1].point)
            p->first = (uint32_t)i;
        c->marks[i] = c->found[i].mark;
    }
    for (size_t i = 0; i < c->n_points; i++)
        if (c->points[i].n) {
            c->points[n] = c->points[i];
            c->points[n++].seen = 0;
        }
    c->n_points = n;
    if (n)
        qsort(c->points, n, sizeof *c->points, compare_points);
    return 0;
}

/* --- what clocks said, and random bytes --- */

/* Of one thread, and one source at a time, so that each stands in one piece. */
struct source {
    struct compiler *compiler;
    unsigned source;
    uint32_t others; /* sources of this thread that there are, as bits */
};

static int take_value(void *arg, const struct fsh_event *e) {
    struct source *s = arg;
    struct compiler *c = s->compiler;
    if (e->op == OP_BYTES && s->source == SOURCES) {
        for (size_t i = 0; i < e->len; i++) {
            if (!fsh_grow(&c->bytes, &c->bytes_room, c->n_bytes, sizeof *c->bytes))
                return -ENOMEM;
            c->bytes[c->n_bytes++] = e->fields[i];
        }
    } else if (e->op == OP_VALUE && e->source < SOURCES) {
        s->others |= 1u << e->source;
        if (e->source != s->source)
            return 0;
        if (!fsh_grow(&c->values, &c->values_room, c->n_values, sizeof *c->values))
            return -ENOMEM;
        c->values[c->n_values++] = e->value;
    }
    return 0;
}

static int add_source(struct compiler *c, unsigned thread, struct source *source) {
    const struct fsh_thread_info *t = fsh_reader_thread(c->reader, thread);
    const struct fsh_visitor visitor = {source, NULL, take_value};
    const size_t *n = source->source == SOURCES ? &c->n_bytes : &c->n_values;
    struct fsh_script_series series = {
        .process_key = t->process_key, .thread_key = t->key, .image = t->image, .source = source->source, .first = *n};
    int e = fsh_reader_walk_thread(c->reader, thread, &visitor);
    series.count = *n - series.first;
    if (e || !series.count)
        return e;
    if (!fsh_grow(&c->series, &c->series_room, c->n_series, sizeof *c->series))
        return -ENOMEM;
    c->series[c->n_series++] = series;
    return 0;
}

static int add_values(struct compiler *c) {
    int e = 0;
    for (unsigned i = 0; i < fsh_reader_threads(c->reader) && !e; i++) {
        struct source source = {c, SOURCES, 0};
        e = add_source(c, i, &source);
        const uint32_t all = source.others;
        for (source.source = 0; source.source < SOURCES && !e; source.source++)
            if (all >> source.source & 1)
                e = add_source(c, i, &source);
    }
    return e;
}

/* --- the whole --- */

static uint64_t place(uint64_t *at, size_t n, size_t item) {
    uint64_t offset = *at;
    *at += (n * item + 7) & ~(uint64_t)7;
    return offset;
}

static bool write_out(struct fsh_script_text *out, const struct compiler *c) {
    struct fsh_script head = {.n_threads = (uint32_t)c->n_threads,
                              .n_contexts = (uint32_t)c->n_contexts,
                              .n_faults = (uint32_t)c->n_faults,
                              .n_steps = c->n_steps,
                              .mode = c->wish->mode,
                              .stop = c->wish->stop,
                              .until = c->wish->until,
                              .until_process = c->wish->until_process,
                              .until_thread = c->wish->until_thread,
                              .n_points = (uint32_t)c->n_points,
                              .n_marks = (uint32_t)c->n_found,
                              .n_series = (uint32_t)c->n_series,
                              .n_values = c->n_values,
                              .n_bytes = c->n_bytes,
                              .n_rebuilt = c->n_rebuilt};
    if (c->reader) { /* places alone come from no recorded run */
        head.start_monotonic = fsh_reader_header(c->reader)->start_monotonic;
        head.start_realtime = fsh_reader_header(c->reader)->start_realtime;
    }
    const struct {
        uint64_t *offset;
        const void *from;
        size_t n, item;
    } parts[] = {
        {&head.threads, c->threads, c->n_threads, sizeof *c->threads},
        {&head.contexts, c->contexts, c->n_contexts, sizeof *c->contexts},
        {&head.faults, c->faults, c->n_faults, sizeof *c->faults},
        {&head.steps, c->steps, c->n_steps, sizeof *c->steps},
        {&head.points, c->points, c->n_points, sizeof *c->points},
        {&head.marks, c->marks, c->n_found, sizeof *c->marks},
        {&head.series, c->series, c->n_series, sizeof *c->series},
        {&head.values, c->values, c->n_values, sizeof *c->values},
        {&head.bytes, c->bytes, c->n_bytes, sizeof *c->bytes},
        {&head.rebuilt, c->rebuilt, c->n_rebuilt, sizeof *c->rebuilt},
    };
    const size_t n = sizeof parts / sizeof *parts;
    uint64_t at = sizeof head;
    for (size_t i = 0; i < n; i++)
        *parts[i].offset = place(&at, parts[i].n, parts[i].item);
    char *data = calloc(1, at);
    if (!data)
        return false;
    memcpy(data, &head, sizeof head);
    for (size_t i = 0; i < n; i++)
        if (parts[i].n)
            memcpy(data + *parts[i].offset, parts[i].from, parts[i].n * parts[i].item);
    out->data = data;
    out->len = at;
    return true;
}

bool fsh_script_place(struct fsh_script_text *out, const struct fsh_spot *spots, size_t n) {
    struct compiler c = {.wish = &(struct fsh_script_wish){.mode = REPLAY_PLACE}, .n_points = n, .n_found = n};
    c.points = calloc(n + 1, sizeof *c.points);
    c.marks = calloc(n + 1, sizeof *c.marks);
    bool good = c.points && c.marks;
    for (size_t i = 0; good && i < n; i++) {
        c.points[i] = (struct fsh_script_point){
            .key = spots[i].site, .call = spots[i].call, .kind = spots[i].kind, .first = (uint32_t)i, .n = 1};
        c.marks[i].fault = spots[i].wanted;
    }
    if (good && n)
        qsort(c.points, n, sizeof *c.points, compare_points);
    good = good && write_out(out, &c);
    if (!good)
        fsh_warn("out of memory");
    free(c.points);
    free(c.marks);
    return good;
}

bool fsh_script_compile(struct fsh_script_text *out, const struct fsh_reader *reader, const struct fsh_script_wish *wish) {
    struct compiler c = {.reader = reader, .wish = wish};
    int e = !map_calls(&c) ? -ENOMEM : wish->mode == REPLAY_SITE ? find_rebuilt(&c) : 0;
    if (!e)
        e = wish->mode == REPLAY_EXACT ? add_threads(&c) : add_points(&c);
    if (!e)
        e = add_values(&c);
    if (!e && !write_out(out, &c))
        e = -ENOMEM;
    if (e == -ENOTSUP)
        fsh_warn("the trace has '%s', which this version of faultshim does not know", c.unknown);
    else if (e)
        fsh_warn("the trace cannot be made into a replay: %s", strerror(-e));
    free(c.calls);
    free(c.threads);
    free(c.contexts);
    free(c.faults);
    free(c.steps);
    free(c.table);
    free(c.points);
    free(c.found);
    free(c.marks);
    free(c.series);
    free(c.values);
    free(c.bytes);
    free(c.rebuilt);
    return e == 0;
}
