/* walk.c: goes through the decisions of a trace in order: of one thread, or of all of them merged by time. Nothing is allocated
 * for a decision: a thread's place in its stream is a cursor, and all cursors together are a heap.
 *
 * Passes carry no time. It stands in marks and faults, and between two of these it is spread evenly; behind the last it
 * stands still. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reader_parts.h"

/* A place where the time is known: decision number `n` is made at `time`. */
struct anchor {
    uint64_t n, time;
};

/* Where a walk stands in one thread's stream. The record at hand has been read and not yet shown. */
struct cursor {
    const struct thread *thread;
    unsigned index;
    unsigned part;
    struct fsh_get get;
    struct anchor before, after;
    uint64_t n;     /* decisions so far, the one at hand included */
    uint64_t order; /* what threads are merged by: the time, never going back */
    bool more;
    bool again; /* the fault at hand belongs to the decision of the one before */
    struct record rec;
    struct context slots[FSH_SLOTS];
    uint64_t values[SOURCES];
};

/* The time that a record tells, if it does. */
static bool time_of(const struct record *rec, uint64_t *time) {
    if (rec->op == OP_TIME) {
        *time = rec->value;
        return true;
    }
    if ((rec->op == OP_FAULT || rec->op == OP_EXEC || rec->op == OP_FORK || rec->op == OP_DIVERGE || rec->op == OP_PHASE ||
         rec->op == OP_CONTROL || rec->op == OP_OUTPUT) &&
        rec->len >= 8) {
        memcpy(time, rec->fields, 8);
        return true;
    }
    return false;
}

static uint64_t counted_in(const struct record *rec) {
    struct fsh_get get = fsh_fields_of(rec);
    return fsh_get_varint(&get);
}

/* Decisions that a record stands for. */
static uint64_t decisions_in(const struct record *rec, bool *more) {
    if (rec->op >= OP_SAME)
        return 1;
    if (rec->op == OP_COUNTED)
        return counted_in(rec);
    if (rec->op != OP_FAULT)
        return 0;
    struct fsh_get get = fsh_fields_of(rec);
    for (int i = 0; i < 5; i++)
        fsh_get_u64(&get);
    bool again = *more;
    *more = fsh_get_varint(&get) & FAULT_MORE;
    return !again;
}

static struct fsh_get stream_of(const struct part *part) {
    return (struct fsh_get){.p = part->data, .end = part->data + part->size};
}

/* Decisions are counted on; only behind a gap the part's own number is needed. */
static uint64_t number_before(const struct part *part, uint64_t counted) {
    return part->follows ? counted : part->first_n;
}

/* Looks ahead for the next place where the time is known; without one, time stands still. */
static struct anchor look_ahead(const struct fsh_reader *r, const struct cursor *c) {
    struct fsh_get get = c->get;
    struct record rec;
    uint64_t n = c->n, time;
    bool more = c->more;
    while (fsh_next_record(r, &get, &rec)) {
        uint64_t step = decisions_in(&rec, &more);
        if (time_of(&rec, &time))
            /* a mark stands before the decision it was made for, a fault is that decision */
            return (struct anchor){n + (rec.op == OP_FAULT ? step : 1), time};
        n += step;
    }
    if (c->part + 1 < c->thread->n_parts) {
        const struct part *next = &c->thread->parts[c->part + 1];
        get = stream_of(next);
        if (fsh_next_record(r, &get, &rec) && rec.op == OP_TIME)
            return (struct anchor){number_before(next, n) + 1, rec.value};
    }
    return (struct anchor){UINT64_MAX, c->before.time};
}

static uint64_t time_at(const struct cursor *c, uint64_t n) {
    const struct anchor *a = &c->before, *b = &c->after;
    if (n <= a->n || b->time <= a->time || b->n <= a->n)
        return a->time;
    if (n >= b->n)
        return b->time;
    return a->time + (uint64_t)((unsigned __int128)(b->time - a->time) * (n - a->n) / (b->n - a->n));
}

static void enter_part(struct cursor *c, unsigned part) {
    c->part = part;
    c->get = stream_of(&c->thread->parts[part]);
    c->n = number_before(&c->thread->parts[part], c->n);
    memset(c->slots, 0, sizeof c->slots);
    memset(c->values, 0, sizeof c->values);
}

static void start(struct cursor *c, const struct fsh_reader *r, unsigned index) {
    c->thread = &r->threads[index];
    c->index = index;
    c->order = 0;
    c->more = c->again = false;
    c->before = c->after = (struct anchor){0, 0};
    enter_part(c, 0);
}

static void settle_time(const struct fsh_reader *r, struct cursor *c) {
    uint64_t time;
    if (time_of(&c->rec, &time)) {
        c->before = (struct anchor){c->n + (c->rec.op != OP_FAULT), time};
        c->after = look_ahead(r, c);
    } else {
        time = time_at(c, c->n);
    }
    if (time > c->order)
        c->order = time;
}

/* The next record that is to be shown; false at the end of the stream. */
static bool advance(const struct fsh_reader *r, struct cursor *c) {
    for (;;) {
        if (!fsh_next_record(r, &c->get, &c->rec)) {
            if (c->part + 1 == c->thread->n_parts)
                return false;
            enter_part(c, c->part + 1);
            continue;
        }
        bool more = c->more;
        c->n += decisions_in(&c->rec, &c->more);
        c->again = c->rec.op == OP_FAULT && more;
        settle_time(r, c);
        if (c->rec.op == OP_NEW)
            c->slots[c->rec.slot] = c->rec.context;
        else if (c->rec.op == OP_SIZED)
            c->slots[c->rec.slot].size = c->rec.value;
        if (c->rec.op != OP_TIME)
            return true;
    }
}

/* What is shown: one for a whole walk, so that lists of rules are spelled out once for each change of context. */
struct show {
    const struct fsh_reader *reader;
    const struct fsh_visitor *visitor;
    const uint8_t *list; /* whose numbers stand in `rules` */
    struct fsh_considered rules[FSH_CANDIDATES_MAX];
};

static void spell_rules(struct show *show, const struct context *context) {
    if (show->list == context->rules)
        return;
    struct fsh_get get = {.p = context->rules, .end = context->rules_end};
    for (unsigned i = 0; i < context->n_rules; i++)
        show->rules[i] = (struct fsh_considered){.rule = (uint16_t)fsh_get_varint(&get)};
    show->list = context->rules;
}

static int show_pass(struct show *show, const struct cursor *c) {
    const struct context *context = &c->slots[c->rec.slot];
    spell_rules(show, context);
    struct fsh_decision d = {.thread = c->index,
                             .n = c->n,
                             .time = c->order,
                             .call = context->call,
                             .kind = context->kind,
                             .resource = context->resource,
                             .site = context->site,
                             .size = context->size,
                             .rules = show->rules,
                             .n_rules = context->n_rules};
    return show->visitor->decision(show->visitor->arg, &d);
}

static int show_fault(struct show *show, const struct cursor *c) {
    struct fsh_decision d = {.thread = c->index, .n = c->n, .again = c->again};
    show->list = NULL;
    fsh_get_fault(show->reader, fsh_fields_of(&c->rec), &d, show->rules);
    return show->visitor->decision(show->visitor->arg, &d);
}

/* Readings are told by their differences, one event for each. */
static int show_values(const struct fsh_visitor *visitor, struct cursor *c, struct fsh_event *event) {
    struct fsh_get get = fsh_fields_of(&c->rec);
    int e = 0;
    while (!e && get.p < get.end) {
        uint64_t source = fsh_get_varint(&get), more = fsh_get_varint(&get);
        if (get.bad)
            break;
        event->source = source < SOURCES ? (unsigned)source : SOURCES;
        if (source < SOURCES)
            event->value = c->values[source] += more >> 1 ^ -(more & 1);
        e = visitor->event(visitor->arg, event);
    }
    return e;
}

static int show_record(struct show *show, struct cursor *c) {
    const struct fsh_visitor *visitor = show->visitor;
    if (c->rec.op >= OP_SAME)
        return visitor->decision ? show_pass(show, c) : 0;
    if (c->rec.op == OP_FAULT)
        return visitor->decision ? show_fault(show, c) : 0;
    struct fsh_event event = {
        .thread = c->index, .op = c->rec.op, .n = c->n, .time = c->order, .fields = c->rec.fields, .len = c->rec.len};
    if (!visitor->event)
        return 0;
    return event.op == OP_VALUE ? show_values(visitor, c, &event) : visitor->event(visitor->arg, &event);
}

int fsh_reader_walk_thread(const struct fsh_reader *r, unsigned index, const struct fsh_visitor *visitor) {
    struct cursor *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    struct show show = {.reader = r, .visitor = visitor};
    int e = 0;
    start(c, r, index);
    while (!e && advance(r, c))
        e = show_record(&show, c);
    free(c);
    return e;
}

/* --- walking all threads: a heap of cursors, the earliest first --- */

static bool earlier(const struct cursor *a, const struct cursor *b) {
    return a->order != b->order ? a->order < b->order : a->index < b->index;
}

static void sift_down(struct cursor **heap, size_t n, size_t i) {
    struct cursor *moving = heap[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && earlier(heap[child + 1], heap[child]))
            child++;
        if (!earlier(heap[child], moving))
            break;
        heap[i] = heap[child];
    }
    heap[i] = moving;
}

static int merge(struct show *show, struct cursor **heap, size_t n) {
    for (size_t i = n / 2; i-- > 0;)
        sift_down(heap, n, i);
    while (n) {
        int e = show_record(show, heap[0]);
        if (e)
            return e;
        if (!advance(show->reader, heap[0]))
            heap[0] = heap[--n];
        if (n)
            sift_down(heap, n, 0);
    }
    return 0;
}

int fsh_reader_walk(const struct fsh_reader *r, const struct fsh_visitor *visitor) {
    struct cursor *cursors = calloc(r->n_threads + 1, sizeof *cursors);
    struct cursor **heap = calloc(r->n_threads + 1, sizeof *heap);
    int e = cursors && heap ? 0 : -ENOMEM;
    size_t n = 0;
    for (unsigned i = 0; i < r->n_threads && !e; i++) {
        start(&cursors[i], r, i);
        if (advance(r, &cursors[i]))
            heap[n++] = &cursors[i];
    }
    if (!e) {
        struct show show = {.reader = r, .visitor = visitor};
        e = merge(&show, heap, n);
    }
    free(heap);
    free(cursors);
    return e;
}
