/* records.c: the records of a stream, one by one (the layout stands in trace.h). Every length is checked against what is there,
 * every number against the tables of the file; what makes no sense ends the stream. */
#include <string.h>

#include "reader_parts.h"

/* --- fields --- */

uint64_t fsh_get_u64(struct fsh_get *get) {
    uint64_t v = 0;
    if (get->bad || get->end - get->p < 8) {
        get->bad = true;
        return 0;
    }
    memcpy(&v, get->p, 8);
    get->p += 8;
    return v;
}

uint64_t fsh_get_varint(struct fsh_get *get) {
    uint64_t v = 0;
    for (unsigned i = 0; i < 10 && get->p < get->end && !get->bad; i++) {
        uint8_t byte = *get->p++;
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80))
            return v;
    }
    get->bad = true;
    return 0;
}

struct fsh_text fsh_get_text(struct fsh_get *get) {
    uint64_t len = fsh_get_varint(get);
    if (get->bad || len > (uint64_t)(get->end - get->p)) {
        get->bad = true;
        return (struct fsh_text){"", 0};
    }
    struct fsh_text text = {(const char *)get->p, (size_t)len};
    get->p += len;
    return text;
}

struct fsh_stack_frame fsh_get_frame(struct fsh_get *get) {
    struct fsh_stack_frame frame = {.module = fsh_get_text(get)};
    frame.offset = fsh_get_varint(get);
    return frame;
}

uint64_t fsh_get_below(struct fsh_get *get, uint64_t limit) {
    uint64_t v = fsh_get_varint(get);
    if (v >= limit)
        get->bad = true;
    return v;
}

/* --- records --- */

static void get_context(const struct fsh_reader *r, struct fsh_get *get, struct context *c) {
    c->call = (uint16_t)fsh_get_below(get, FSH_CALLS_MAX + 1);
    c->kind = (uint8_t)fsh_get_below(get, FSH_KINDS);
    c->resource = fsh_get_varint(get);
    c->site = fsh_get_varint(get);
    c->size = fsh_get_varint(get);
    c->n_rules = (uint8_t)fsh_get_below(get, FSH_CANDIDATES_MAX + 1);
    c->rules = get->p;
    for (unsigned i = 0; i < c->n_rules && !get->bad; i++)
        fsh_get_below(get, r->header.rules_room);
    c->rules_end = get->p;
}

bool fsh_next_record(const struct fsh_reader *r, struct fsh_get *get, struct record *rec) {
    if (get->p >= get->end)
        return false;
    uint8_t op = *get->p++;
    rec->op = op >= OP_SAME ? op & 0xC0 : op;
    rec->slot = op & (FSH_SLOTS - 1);
    if (rec->op == OP_SAME)
        return true;
    if (rec->op == OP_SIZED) {
        rec->value = fsh_get_varint(get);
    } else if (rec->op == OP_NEW) {
        get_context(r, get, &rec->context);
    } else if (op == OP_TIME) {
        rec->value = fsh_get_u64(get);
    } else {
        if (op == OP_END || get->end - get->p < 2)
            return false;
        memcpy(&rec->len, get->p, 2);
        rec->fields = get->p + 2;
        if (get->end - rec->fields < rec->len)
            return false;
        get->p += 2 + rec->len;
    }
    return !get->bad;
}

bool fsh_get_fault(const struct fsh_reader *r, struct fsh_get get, struct fsh_decision *d, struct fsh_considered *rules) {
    d->time = fsh_get_u64(&get);
    d->key = fsh_get_u64(&get);
    d->ordinal = fsh_get_u64(&get);
    d->word = fsh_get_u64(&get);
    d->bytes = fsh_get_u64(&get);
    d->flags = (unsigned)fsh_get_below(&get, 1 << 16);
    d->call = (uint16_t)fsh_get_below(&get, FSH_CALLS_MAX + 1);
    d->kind = (uint8_t)fsh_get_below(&get, FSH_KINDS);
    d->resource = fsh_get_varint(&get);
    d->site = fsh_get_varint(&get);
    d->size = fsh_get_varint(&get);
    d->rule = (uint16_t)fsh_get_varint(&get);
    d->line = (uint8_t)fsh_get_below(&get, FSH_FAULTS_MAX);
    d->fault_kind = (uint8_t)fsh_get_below(&get, 256);
    uint64_t zigzag = fsh_get_below(&get, UINT64_C(1) << 32);
    d->error = (int)((int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1));
    d->amount = fsh_get_varint(&get);
    d->n_rules = (unsigned)fsh_get_below(&get, FSH_CANDIDATES_MAX + 1);
    d->rules = rules;
    for (unsigned i = 0; i < d->n_rules && !get.bad; i++) {
        rules[i].rule = (uint16_t)fsh_get_below(&get, r->header.rules_room);
        rules[i].ordinal = fsh_get_varint(&get);
    }
    d->fault = !(d->flags & FAULT_PASSED);
    return !get.bad && (d->rule < r->header.rules_room || !d->fault);
}
