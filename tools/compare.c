/* compare.c: see compare.h. A thread's decisions of one trace are kept as hashes while the other's are walked. */
#include "compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "draw.h"
#include "grow.h"

struct items {
    const struct fsh_reader *reader;
    struct fsh_item *v;
    size_t n, room;
    uint64_t *recorded; /* readings with their source; bytes one by one */
    size_t n_recorded, recorded_room;
};

static uint64_t hash_text(const char *text) {
    return fsh_hash(text, strlen(text));
}

static uint64_t hash_what(const struct fsh_reader *reader, const struct fsh_decision *d) {
    const struct fsh_resource_info *r = fsh_reader_resource(reader, d->resource);
    uint64_t call = hash_text(fsh_reader_call_name(reader, d->call));
    /* by its key, which is the same in the next run; numbers are given out anew, and names may hold process ids */
    return fsh_fold(fsh_fold(call, d->kind), r ? r->key : d->resource != 0);
}

static uint64_t hash_outcome(const struct fsh_reader *reader, const struct fsh_decision *d) {
    if (!d->fault)
        return 0;
    uint64_t h = hash_text(fsh_reader_rule_name(reader, d->rule));
    h = fsh_fold(h, hash_text(fsh_reader_fault_name(reader, d->fault_kind)));
    return fsh_fold(fsh_fold(h, (uint64_t)(int64_t)d->error), d->amount) | 1;
}

static int collect(void *arg, const struct fsh_decision *d) {
    struct items *items = arg;
    if (d->again && items->n) {
        struct fsh_item *item = &items->v[items->n - 1];
        item->outcome = fsh_fold(item->outcome, hash_outcome(items->reader, d)) | 1;
        return 0;
    }
    if (!fsh_grow(&items->v, &items->room, items->n, sizeof *items->v))
        return -ENOMEM;
    items->v[items->n++] = (struct fsh_item){.thread = d->thread,
                                             .n = d->n,
                                             .what = hash_what(items->reader, d),
                                             .size = d->size,
                                             .outcome = hash_outcome(items->reader, d)};
    return 0;
}

static int keep_recorded(struct items *items, uint64_t what) {
    if (!fsh_grow(&items->recorded, &items->recorded_room, items->n_recorded, sizeof *items->recorded))
        return -ENOMEM;
    items->recorded[items->n_recorded++] = what;
    return 0;
}

static int collect_recorded(void *arg, const struct fsh_event *event) {
    struct items *items = arg;
    int e = 0;
    if (event->op == OP_VALUE)
        return keep_recorded(items, fsh_fold(event->source, event->value));
    for (size_t i = 0; event->op == OP_BYTES && i < event->len && !e; i++)
        e = keep_recorded(items, event->fields[i]);
    return e;
}

static int read_items(struct items *items, const struct fsh_reader *reader, int64_t thread) {
    struct fsh_visitor visitor = {items, collect, collect_recorded};
    items->reader = reader;
    items->n = items->n_recorded = 0;
    return thread < 0 ? 0 : fsh_reader_walk_thread(reader, (unsigned)thread, &visitor);
}

/* Decisions are matched by their numbers, which have gaps where blocks are missing. */
static void compare_pair(struct fsh_pair *pair, const struct items *a, const struct items *b, unsigned flags) {
    size_t i = 0, j = 0;
    pair->n_a = a->n;
    pair->n_b = b->n;
    while (i < a->n || j < b->n) {
        const struct fsh_item *x = i < a->n ? &a->v[i] : NULL, *y = j < b->n ? &b->v[j] : NULL;
        bool both = x && y && x->n == y->n;
        bool same = both && x->what == y->what && (flags & COMPARE_CALLS || x->outcome == y->outcome) &&
                    (!(flags & COMPARE_SIZES) || x->size == y->size);
        bool take_x = x && (!y || x->n <= y->n), take_y = y && (!x || y->n <= x->n);
        if (!same && !pair->first)
            pair->first = take_x ? x->n : y->n;
        pair->same += same;
        if (take_x && x->outcome) {
            pair->faults_a++;
            pair->same_faults += both && x->what == y->what && x->outcome == y->outcome;
        }
        i += take_x;
        j += take_y;
    }
}

static uint64_t same_recorded(const struct items *a, const struct items *b) {
    uint64_t same = 0;
    for (size_t i = 0; i < a->n_recorded && i < b->n_recorded; i++)
        same += a->recorded[i] == b->recorded[i];
    return same;
}

static int64_t find_partner(const struct fsh_reader *reader, const struct fsh_thread_info *t, const uint8_t *taken) {
    for (unsigned i = 0; i < fsh_reader_threads(reader); i++) {
        const struct fsh_thread_info *o = fsh_reader_thread(reader, i);
        if (!taken[i] && o->key == t->key && o->process_key == t->process_key && o->image == t->image)
            return i;
    }
    return -1;
}

static int pair_up(struct fsh_comparison *c, const struct fsh_reader *a, const struct fsh_reader *b) {
    unsigned n_a = fsh_reader_threads(a), n_b = fsh_reader_threads(b);
    uint8_t *taken = calloc(n_b + 1ul, 1);
    c->pairs = calloc((size_t)n_a + n_b + 1, sizeof *c->pairs);
    if (!taken || !c->pairs) {
        free(taken);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < n_a; i++) {
        int64_t partner = find_partner(b, fsh_reader_thread(a, i), taken);
        if (partner >= 0)
            taken[partner] = 1;
        c->pairs[c->n++] = (struct fsh_pair){.a = i, .b = partner};
    }
    for (unsigned i = 0; i < n_b; i++)
        if (!taken[i])
            c->pairs[c->n++] = (struct fsh_pair){.a = -1, .b = i};
    free(taken);
    return 0;
}

int fsh_compare(struct fsh_comparison *c, const struct fsh_reader *a, const struct fsh_reader *b, unsigned flags) {
    struct items x = {0}, y = {0};
    memset(c, 0, sizeof *c);
    int e = pair_up(c, a, b);
    for (size_t i = 0; i < c->n && !e; i++) {
        struct fsh_pair *pair = &c->pairs[i];
        e = read_items(&x, a, pair->a);
        if (!e)
            e = read_items(&y, b, pair->b);
        if (!e)
            compare_pair(pair, &x, &y, flags);
        c->same += pair->same;
        c->decisions_a += pair->n_a;
        c->decisions_b += pair->n_b;
        c->faults_a += pair->faults_a;
        c->same_faults += pair->same_faults;
        c->recorded_a += x.n_recorded;
        c->recorded_b += y.n_recorded;
        c->same_recorded += same_recorded(&x, &y);
    }
    free(x.v);
    free(y.v);
    free(x.recorded);
    free(y.recorded);
    return e;
}

void fsh_comparison_free(struct fsh_comparison *c) {
    free(c->pairs);
}

struct find {
    uint64_t n;
    int (*visit)(void *arg, const struct fsh_decision *decision);
    void *arg;
};

static int is_it(void *arg, const struct fsh_decision *d) {
    const struct find *find = arg;
    if (d->n < find->n)
        return 0;
    return d->n == find->n && !d->again ? find->visit(find->arg, d) : 1;
}

int fsh_find_decision(const struct fsh_reader *reader, unsigned thread, uint64_t n,
                      int (*visit)(void *arg, const struct fsh_decision *decision), void *arg) {
    struct find find = {n, visit, arg};
    struct fsh_visitor visitor = {&find, is_it, NULL};
    return fsh_reader_walk_thread(reader, thread, &visitor);
}
