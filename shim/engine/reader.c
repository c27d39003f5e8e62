/* reader.c: see reader.h. Reads what trace.c writes, and whatever else is put before it: every length is checked against what
 * is there, every number against the tables of the file, and what makes no sense ends that part of the stream.
 *
 * Runs in the tools, never in the victim. Blocks are read where they are mapped: nobody changes them once they stand. Rings may
 * be written to while we look, so they are copied first, front to back, and blocks are looked for afterwards: a ring
 * that was emptied during the copy then has its block already. */
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CALLS_MAX = 4095, RULES_IN_LIST_MAX = FSH_CANDIDATES_MAX, CHUNK = 1 << 16 };

/* One piece of a thread's stream: a block, or what stands in a ring. */
struct part {
    const uint8_t *data;
    uint32_t size; /* of what is whole */
    uint32_t room; /* what more a ring could have held */
    uint32_t thread, seq, image;
    uint64_t process_key, thread_key, first_n, counted;
    bool ring;
    bool whole;   /* all of it could be read */
    bool follows; /* nothing is missing between the part before and this one */
};

struct thread {
    struct fsh_thread_info info;
    const struct part *parts;
    unsigned n_parts;
};

struct chunk {
    struct chunk *next;
    size_t used;
    char text[CHUNK];
};

struct fsh_reader {
    struct fsh_header header;
    const uint8_t *bytes;
    size_t len;
    bool mapped;
    int fd;
    char *meta; /* a copy, ended by NUL */
    size_t meta_len;
    const char **calls, **faults, **rules;
    unsigned n_calls, n_faults, n_rules;

    uint8_t **rings;
    size_t n_rings, rings_room;
    struct part *parts;
    size_t n_parts, parts_room;
    struct thread *threads;
    size_t n_threads;
    struct fsh_process_info *processes;
    size_t n_processes, processes_room;
    unsigned *by_key; /* processes in order of key and image */
    struct fsh_resource_info *resources;
    size_t n_resources, resources_room;
    struct fsh_site_info *sites;
    size_t n_sites, sites_room;
    struct chunk *chunks;
};

/* --- memory --- */

/* Room for one more; false if memory is out. */
static bool grow(void *array, size_t *room, size_t n, size_t item) {
    if (n < *room)
        return true;
    size_t more = *room ? *room * 2 : 16;
    void *bigger = reallocarray(*(void **)array, more, item);
    if (!bigger)
        return false;
    *(void **)array = bigger;
    *room = more;
    return true;
}

/* A copy that ends in NUL and lives as long as the reader; "" if memory is out. */
static const char *keep(struct fsh_reader *r, struct fsh_text text) {
    size_t need = text.len + 1;
    if (need > CHUNK)
        return "";
    if (!r->chunks || CHUNK - r->chunks->used < need) {
        struct chunk *fresh = malloc(sizeof *fresh);
        if (!fresh)
            return "";
        fresh->next = r->chunks;
        fresh->used = 0;
        r->chunks = fresh;
    }
    char *to = r->chunks->text + r->chunks->used;
    if (text.len)
        memcpy(to, text.data, text.len);
    to[text.len] = 0;
    r->chunks->used += need;
    return to;
}

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

/* A varint that must be below `limit`. */
static uint64_t get_below(struct fsh_get *get, uint64_t limit) {
    uint64_t v = fsh_get_varint(get);
    if (v >= limit)
        get->bad = true;
    return v;
}

/* --- records --- */

struct context {
    uint16_t call;
    uint8_t kind, n_rules;
    uint64_t resource, site, size;
    const uint8_t *rules, *rules_end; /* the numbers as they stand in the stream */
};

/* One record as it stands in the stream. */
struct record {
    uint8_t op; /* OP_SAME, OP_SIZED and OP_NEW without their slot */
    uint8_t slot;
    const uint8_t *fields; /* records with a length */
    uint16_t len;
    uint64_t value; /* time, size */
    struct context context;
};

static void get_context(const struct fsh_reader *r, struct fsh_get *get, struct context *c) {
    c->call = (uint16_t)get_below(get, CALLS_MAX + 1);
    c->kind = (uint8_t)get_below(get, FSH_KINDS);
    c->resource = fsh_get_varint(get);
    c->site = fsh_get_varint(get);
    c->size = fsh_get_varint(get);
    c->n_rules = (uint8_t)get_below(get, RULES_IN_LIST_MAX + 1);
    c->rules = get->p;
    for (unsigned i = 0; i < c->n_rules && !get->bad; i++)
        get_below(get, r->header.n_rules);
    c->rules_end = get->p;
}

/* The record at get->p; false at the end, and where it is not whole. */
static bool next_record(const struct fsh_reader *r, struct fsh_get *get, struct record *rec) {
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

static struct fsh_get fields_of(const struct record *rec) {
    return (struct fsh_get){.p = rec->fields, .end = rec->fields + rec->len};
}

/* What OP_FAULT holds, into a decision; `rules` takes FSH_CANDIDATES_MAX. Returns whether it made sense. */
static bool get_fault(const struct fsh_reader *r, struct fsh_get get, struct fsh_decision *d, struct fsh_considered *rules) {
    d->time = fsh_get_u64(&get);
    d->key = fsh_get_u64(&get);
    d->ordinal = fsh_get_u64(&get);
    d->word = fsh_get_u64(&get);
    d->bytes = fsh_get_u64(&get);
    d->flags = (unsigned)get_below(&get, 1 << 16);
    d->call = (uint16_t)get_below(&get, CALLS_MAX + 1);
    d->kind = (uint8_t)get_below(&get, FSH_KINDS);
    d->resource = fsh_get_varint(&get);
    d->site = fsh_get_varint(&get);
    d->size = fsh_get_varint(&get);
    d->rule = (uint16_t)fsh_get_varint(&get);
    d->line = (uint8_t)get_below(&get, FSH_FAULTS_MAX);
    d->fault_kind = (uint8_t)get_below(&get, 256);
    uint64_t zigzag = get_below(&get, UINT64_C(1) << 32);
    d->error = (int)((int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1));
    d->amount = fsh_get_varint(&get);
    d->n_rules = (unsigned)get_below(&get, RULES_IN_LIST_MAX + 1);
    d->rules = rules;
    for (unsigned i = 0; i < d->n_rules && !get.bad; i++) {
        rules[i].rule = (uint16_t)get_below(&get, r->header.n_rules);
        rules[i].ordinal = fsh_get_varint(&get);
    }
    d->fault = !(d->flags & FAULT_PASSED);
    return !get.bad && (d->rule < r->header.n_rules || !d->fault);
}

/* --- opening: the header and its texts --- */

static bool header_is_sound(const struct fsh_header *h) {
    return h->header_size == sizeof *h && h->units % FSH_PAGE == 0 && h->units >= FSH_PAGE && h->n_rules <= FSH_RULES_MAX &&
           h->n_calls <= CALLS_MAX && h->n_faults <= 256 && h->ring_data == fsh_ring_data_offset(h->n_rules, h->n_calls) &&
           h->ring_pages == fsh_ring_pages(h->n_rules, h->n_calls);
}

static int read_header(struct fsh_reader *r) {
    if (r->len < sizeof r->header)
        return -EBADMSG;
    memcpy(&r->header, r->bytes, sizeof r->header);
    if (memcmp(r->header.magic, FSH_TRACE_MAGIC, sizeof r->header.magic) != 0)
        return -EBADMSG;
    if (r->header.version != FSH_TRACE_VERSION)
        return -EPROTONOSUPPORT;
    return header_is_sound(&r->header) ? 0 : -EBADMSG;
}

static struct fsh_text region(const struct fsh_reader *r, const struct fsh_region *where) {
    if (where->offset > r->len || where->size > r->len - where->offset)
        return (struct fsh_text){"", 0};
    return (struct fsh_text){(const char *)r->bytes + where->offset, (size_t)where->size};
}

struct fsh_text fsh_reader_meta(const struct fsh_reader *r, enum fsh_meta tag) {
    const char *p = r->meta, *end = r->meta + r->meta_len;
    while ((size_t)(end - p) >= 8) {
        uint32_t head[2];
        memcpy(head, p, sizeof head);
        size_t left = (size_t)(end - p) - 8, len = head[1];
        if (head[0] == META_END || len > left)
            break;
        if (head[0] == (uint32_t)tag)
            return (struct fsh_text){p + 8, len};
        size_t step = (len + 7) & ~(size_t)7;
        if (step > left)
            break;
        p += 8 + step;
    }
    return (struct fsh_text){"", 0};
}

/* A NUL-separated list as an array; each string ends inside the list, or at the NUL behind the meta copy. */
static int split_list(struct fsh_reader *r, enum fsh_meta tag, const char ***out, unsigned *n, unsigned limit) {
    struct fsh_text list = fsh_reader_meta(r, tag);
    const char **names = calloc(limit + 1, sizeof *names);
    if (!names)
        return -ENOMEM;
    *out = names;
    *n = 0;
    const char *p = list.data, *end = list.data + list.len;
    while (p < end && *n < limit) {
        size_t len = strnlen(p, (size_t)(end - p));
        names[(*n)++] = keep(r, (struct fsh_text){p, len});
        p += len + 1;
    }
    return 0;
}

static int read_meta(struct fsh_reader *r) {
    struct fsh_text meta = region(r, &r->header.meta);
    r->meta = malloc(meta.len + 1);
    if (!r->meta)
        return -ENOMEM;
    if (meta.len)
        memcpy(r->meta, meta.data, meta.len);
    r->meta[meta.len] = 0;
    r->meta_len = meta.len;
    int e = split_list(r, META_CALLS, &r->calls, &r->n_calls, r->header.n_calls);
    e = e ? e : split_list(r, META_FAULTS, &r->faults, &r->n_faults, r->header.n_faults);
    return e ? e : split_list(r, META_RULES, &r->rules, &r->n_rules, r->header.n_rules);
}

/* --- opening: units --- */

/* The unit at `at`, checked; NULL if none of that kind begins there. */
static const struct fsh_unit *unit_at(const struct fsh_reader *r, uint64_t at, enum fsh_unit_kind kind) {
    if (r->len - at < sizeof(struct fsh_unit))
        return NULL;
    const struct fsh_unit *u = (const void *)(r->bytes + at);
    if (u->magic != fsh_unit_magic(r->header.nonce, kind) || u->kind != (uint32_t)kind || u->pages == 0 ||
        u->pages > (r->len - at) / FSH_PAGE)
        return NULL;
    uint64_t size = (uint64_t)u->pages * FSH_PAGE;
    if (u->data < sizeof *u || u->data > size || u->size > size - u->data)
        return NULL;
    return u;
}

static bool is_ring(const struct fsh_reader *r, const struct fsh_unit *u) {
    return u->pages == r->header.ring_pages && u->data == r->header.ring_data;
}

static bool is_whole_block(const struct fsh_reader *r, const struct fsh_unit *u) {
    uint64_t size = (uint64_t)u->pages * FSH_PAGE, seal;
    memcpy(&seal, (const uint8_t *)u + size - sizeof seal, sizeof seal);
    return u->thread != 0 && u->size <= size - u->data - sizeof seal && seal == fsh_block_seal(r->header.nonce, u->thread, u->seq);
}

/* Front to back, each word after the one before it: a record's first byte, written last, is then read before the rest. */
static void copy_live(uint8_t *to, const uint8_t *from, size_t len) {
    for (size_t i = 0; i + 8 <= len; i += 8) {
        uint64_t word = __atomic_load_n((const uint64_t *)(const void *)(from + i), __ATOMIC_ACQUIRE);
        memcpy(to + i, &word, 8);
    }
}

static int add_part(struct fsh_reader *r, const struct fsh_unit *u, bool ring) {
    if (!grow(&r->parts, &r->parts_room, r->n_parts, sizeof *r->parts))
        return -ENOMEM;
    r->parts[r->n_parts++] = (struct part){
        .data = (const uint8_t *)u + u->data,
        .size = u->size,
        .thread = u->thread,
        .seq = u->seq,
        .image = u->owner_image,
        .process_key = u->process_key,
        .thread_key = u->thread_key,
        .first_n = u->first_n,
        .counted = u->counted,
        .ring = ring,
    };
    return 0;
}

static int add_ring(struct fsh_reader *r, const struct fsh_unit *u) {
    if (!grow(&r->rings, &r->rings_room, r->n_rings, sizeof *r->rings))
        return -ENOMEM;
    size_t size = (size_t)u->pages * FSH_PAGE;
    uint8_t *copy = malloc(size);
    if (!copy)
        return -ENOMEM;
    copy_live(copy, (const uint8_t *)u, size);
    r->rings[r->n_rings++] = copy;
    /* checked again: what was copied may differ from what was looked at */
    const struct fsh_unit *c = (const void *)copy;
    if (c->data != u->data || c->data != r->header.ring_data || c->size > size - c->data || c->thread == 0)
        return 0;
    return add_part(r, c, true);
}

/* Units follow each other; behind a hole (space that was reserved and never written) the next one begins at some page. */
static int scan(struct fsh_reader *r, enum fsh_unit_kind wanted) {
    uint64_t at = r->header.units;
    while (at < r->len && r->len - at >= sizeof(struct fsh_unit)) {
        const struct fsh_unit *ring = unit_at(r, at, UNIT_RING), *block = unit_at(r, at, UNIT_BLOCK);
        uint64_t pages = 1;
        int e = 0;
        if (ring && is_ring(r, ring)) {
            pages = ring->pages;
            e = wanted == UNIT_RING ? add_ring(r, ring) : 0;
        } else if (block && is_whole_block(r, block)) {
            pages = block->pages;
            e = wanted == UNIT_BLOCK ? add_part(r, block, false) : 0;
        }
        if (e)
            return e;
        at += pages * FSH_PAGE;
    }
    return 0;
}

/* --- opening: definitions --- */

static int add_process(struct fsh_reader *r, struct fsh_get get) {
    struct fsh_process_info p = {.key = fsh_get_u64(&get)};
    struct fsh_text name = fsh_get_text(&get);
    p.pid = (uint32_t)fsh_get_varint(&get);
    p.parent_pid = (uint32_t)fsh_get_varint(&get);
    p.image = (uint32_t)fsh_get_varint(&get);
    struct fsh_text program = fsh_get_text(&get), comm = fsh_get_text(&get);
    if (get.bad)
        return 0;
    if (!grow(&r->processes, &r->processes_room, r->n_processes, sizeof p))
        return -ENOMEM;
    p.name = keep(r, name);
    p.program = keep(r, program);
    p.comm = keep(r, comm);
    r->processes[r->n_processes++] = p;
    return 0;
}

static int add_resource(struct fsh_reader *r, struct fsh_get get) {
    struct fsh_resource_info res = {.number = fsh_get_varint(&get)};
    res.kind = (enum fsh_kind)get_below(&get, FSH_KINDS);
    res.key = fsh_get_u64(&get);
    struct fsh_text name = fsh_get_text(&get), other = fsh_get_text(&get);
    if (get.bad)
        return 0;
    if (!grow(&r->resources, &r->resources_room, r->n_resources, sizeof res))
        return -ENOMEM;
    res.name = keep(r, name);
    res.other = keep(r, other);
    r->resources[r->n_resources++] = res;
    return 0;
}

static int add_site(struct fsh_reader *r, struct fsh_get get) {
    struct fsh_site_info site = {.number = fsh_get_varint(&get)};
    site.key = fsh_get_u64(&get);
    if (get.bad)
        return 0;
    if (!grow(&r->sites, &r->sites_room, r->n_sites, sizeof site))
        return -ENOMEM;
    r->sites[r->n_sites++] = site;
    return 0;
}

static void name_thread(struct fsh_reader *r, struct fsh_thread_info *info, struct fsh_get get) {
    fsh_get_u64(&get);
    fsh_get_u64(&get);
    struct fsh_text process = fsh_get_text(&get), name = fsh_get_text(&get);
    uint32_t tid = (uint32_t)fsh_get_varint(&get);
    struct fsh_text comm = fsh_get_text(&get);
    if (get.bad)
        return;
    info->process = keep(r, process);
    info->name = keep(r, name);
    info->comm = keep(r, comm);
    info->tid = tid;
}

static int define(struct fsh_reader *r, struct fsh_thread_info *info, const struct record *rec) {
    switch (rec->op) {
    case OP_PROCESS:
        return add_process(r, fields_of(rec));
    case OP_RESOURCE:
        return add_resource(r, fields_of(rec));
    case OP_SITE:
        return add_site(r, fields_of(rec));
    case OP_THREAD:
        name_thread(r, info, fields_of(rec));
        return 0;
    default:
        return 0;
    }
}

/* What one pass over a part learns. */
struct survey {
    uint64_t decisions, faults, counted;
    bool set[FSH_SLOTS];
    bool more; /* the fault before belongs to a decision that goes on */
};

/* Returns 1 and counts if the record makes sense here, 0 if the stream ends before it, or -errno. */
static int survey_record(struct fsh_reader *r, struct fsh_thread_info *info, const struct record *rec, struct survey *s) {
    struct fsh_considered rules[FSH_CANDIDATES_MAX];
    struct fsh_decision d;
    switch (rec->op) {
    case OP_SAME:
    case OP_SIZED:
        if (!s->set[rec->slot])
            return 0;
        s->decisions++;
        return 1;
    case OP_NEW:
        s->set[rec->slot] = true;
        s->decisions++;
        return 1;
    case OP_FAULT:
        if (!get_fault(r, fields_of(rec), &d, rules))
            return 0;
        s->decisions += !s->more;
        s->faults += d.fault;
        s->more = d.flags & FAULT_MORE;
        return 1;
    case OP_COUNTED: {
        struct fsh_get get = fields_of(rec);
        s->counted += fsh_get_varint(&get);
        return 1;
    }
    default: {
        int e = define(r, info, rec);
        return e ? e : 1;
    }
    }
}

/* Finds where the part's stream ends, and collects what it defines. */
static int survey_part(struct fsh_reader *r, struct fsh_thread_info *info, struct part *part, bool *more) {
    struct fsh_get get = {.p = part->data, .end = part->data + part->size};
    struct survey s = {.more = *more};
    struct record rec;
    const uint8_t *whole = get.p;
    while (next_record(r, &get, &rec)) {
        int kept = survey_record(r, info, &rec, &s);
        if (kept < 0)
            return kept;
        if (!kept)
            break;
        whole = get.p;
    }
    /* a block was cut to its stream when it was written; zeros end a ring's */
    part->whole = whole == part->data + part->size || (part->ring && *whole == OP_END);
    info->complete = info->complete && part->whole;
    part->room = part->size - (uint32_t)(whole - part->data);
    part->size = (uint32_t)(whole - part->data);
    info->decisions += s.decisions;
    info->faults += s.faults;
    info->counted += s.counted;
    *more = s.more;
    return 0;
}

/* --- opening: threads --- */

static int compare_parts(const void *a, const void *b) {
    const struct part *x = a, *y = b;
    if (x->thread != y->thread)
        return x->thread < y->thread ? -1 : 1;
    if (x->seq != y->seq)
        return x->seq < y->seq ? -1 : 1;
    return (int)x->ring - (int)y->ring;
}

/* One part for each thread and number: of a block and a ring the block is whole. Empty rings say nothing. */
static void drop_doubles(struct fsh_reader *r) {
    size_t n = 0;
    for (size_t i = 0; i < r->n_parts; i++) {
        const struct part *p = &r->parts[i];
        if (p->ring && (p->size == 0 || p->data[0] == OP_END))
            continue;
        if (n && r->parts[n - 1].thread == p->thread && r->parts[n - 1].seq == p->seq)
            continue;
        r->parts[n++] = *p;
    }
    r->n_parts = n;
}

/* The last thing a ring can take is followed by less room than this: beyond it the writer gave up (trace.c, make_room). */
enum { RING_SLACK = FSH_RECORD_MAX + 64 };

static int survey_thread(struct fsh_reader *r, struct thread *t, struct part *parts, unsigned n) {
    struct fsh_thread_info *info = &t->info;
    *info = (struct fsh_thread_info){.number = parts[0].thread,
                                     .key = parts[0].thread_key,
                                     .process_key = parts[0].process_key,
                                     .image = parts[0].image,
                                     .complete = parts[0].seq == 0};
    t->parts = parts;
    t->n_parts = n;
    bool more = false;
    for (unsigned i = 0; i < n; i++) {
        if (i && parts[i].seq != parts[i - 1].seq + 1)
            info->complete = false;
        parts[i].follows = i && parts[i].seq == parts[i - 1].seq + 1 && parts[i - 1].whole;
        int e = survey_part(r, info, &parts[i], &more);
        if (e)
            return e;
    }
    const struct part *last = &parts[n - 1];
    if (r->header.stopped && last->ring && last->room < RING_SLACK)
        info->complete = false;
    if (last->counted > info->counted)
        info->counted = last->counted;
    return 0;
}

static int survey_threads(struct fsh_reader *r) {
    if (r->n_parts)
        qsort(r->parts, r->n_parts, sizeof *r->parts, compare_parts);
    drop_doubles(r);
    size_t n = 0;
    for (size_t i = 0; i < r->n_parts; i++)
        n += i == 0 || r->parts[i].thread != r->parts[i - 1].thread;
    r->threads = calloc(n + 1, sizeof *r->threads);
    if (!r->threads)
        return -ENOMEM;
    for (size_t i = 0; i < r->n_parts;) {
        size_t j = i;
        while (j < r->n_parts && r->parts[j].thread == r->parts[i].thread)
            j++;
        int e = survey_thread(r, &r->threads[r->n_threads++], r->parts + i, (unsigned)(j - i));
        if (e)
            return e;
        i = j;
    }
    return 0;
}

/* --- opening: order --- */

static int compare_resources(const void *a, const void *b) {
    const struct fsh_resource_info *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int compare_sites(const void *a, const void *b) {
    const struct fsh_site_info *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int compare_identities(const struct fsh_process_info *x, const struct fsh_process_info *y) {
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->image < y->image ? -1 : x->image > y->image;
}

static int compare_by_key(const void *a, const void *b, void *arg) {
    const struct fsh_process_info *all = arg;
    unsigned i = *(const unsigned *)a, j = *(const unsigned *)b;
    int c = compare_identities(&all[i], &all[j]);
    return c ? c : (i < j ? -1 : i > j);
}

static int put_in_order(struct fsh_reader *r) {
    if (r->n_resources)
        qsort(r->resources, r->n_resources, sizeof *r->resources, compare_resources);
    if (r->n_sites)
        qsort(r->sites, r->n_sites, sizeof *r->sites, compare_sites);
    r->by_key = calloc(r->n_processes + 1, sizeof *r->by_key);
    if (!r->by_key)
        return -ENOMEM;
    for (unsigned i = 0; i < r->n_processes; i++)
        r->by_key[i] = i;
    if (r->n_processes)
        qsort_r(r->by_key, r->n_processes, sizeof *r->by_key, compare_by_key, r->processes);
    return 0;
}

const struct fsh_process_info *fsh_reader_process_by_key(const struct fsh_reader *r, uint64_t key, uint32_t image) {
    struct fsh_process_info wanted = {.key = key, .image = image};
    size_t lo = 0, hi = r->n_processes;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (compare_identities(&r->processes[r->by_key[mid]], &wanted) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == r->n_processes || compare_identities(&r->processes[r->by_key[lo]], &wanted) != 0)
        return NULL;
    return &r->processes[r->by_key[lo]];
}

/* A thread whose own record was lost still has a process, or at least the process's key. */
static void name_the_nameless(struct fsh_reader *r) {
    for (size_t i = 0; i < r->n_threads; i++) {
        struct fsh_thread_info *info = &r->threads[i].info;
        const struct fsh_process_info *p = fsh_reader_process_by_key(r, info->process_key, info->image);
        if (!info->process)
            info->process = p ? p->name : "?";
        if (!info->name)
            info->name = info->key ? "?" : "0";
        if (!info->comm)
            info->comm = p ? p->comm : "";
    }
}

/* --- opening and closing --- */

/* The file may have grown since: blocks are looked for in all of it. */
static int map_file(struct fsh_reader *r) {
    struct stat st;
    if (fstat(r->fd, &st))
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size <= 0)
        return -EBADMSG;
    if (r->mapped && (size_t)st.st_size <= r->len)
        return 0;
    if (r->mapped)
        munmap((void *)r->bytes, r->len);
    r->mapped = false;
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, r->fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    r->bytes = p;
    r->len = (size_t)st.st_size;
    r->mapped = true;
    return 0;
}

static int load(struct fsh_reader *r) {
    int e = r->fd >= 0 ? map_file(r) : 0;
    e = e ? e : read_header(r);
    e = e ? e : read_meta(r);
    e = e ? e : scan(r, UNIT_RING);
    e = e || r->fd < 0 ? e : map_file(r);
    e = e ? e : scan(r, UNIT_BLOCK);
    e = e ? e : survey_threads(r);
    e = e ? e : put_in_order(r);
    if (!e)
        name_the_nameless(r);
    return e;
}

static int open_reader(struct fsh_reader **out, int fd, const void *bytes, size_t len) {
    struct fsh_reader *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    r->fd = fd;
    r->bytes = bytes;
    r->len = len;
    int e = load(r);
    if (e) {
        fsh_reader_close(r);
        return e;
    }
    *out = r;
    return 0;
}

int fsh_reader_open(struct fsh_reader **reader, const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    int e = open_reader(reader, fd, NULL, 0);
    close(fd);
    if (!e)
        (*reader)->fd = -1;
    return e;
}

int fsh_reader_open_memory(struct fsh_reader **reader, const void *bytes, size_t len) {
    return open_reader(reader, -1, bytes, len);
}

void fsh_reader_close(struct fsh_reader *r) {
    if (!r)
        return;
    for (size_t i = 0; i < r->n_rings; i++)
        free(r->rings[i]);
    while (r->chunks) {
        struct chunk *next = r->chunks->next;
        free(r->chunks);
        r->chunks = next;
    }
    if (r->mapped)
        munmap((void *)r->bytes, r->len);
    free(r->rings);
    free(r->parts);
    free(r->threads);
    free(r->processes);
    free(r->by_key);
    free(r->resources);
    free(r->sites);
    free(r->calls);
    free(r->faults);
    free(r->rules);
    free(r->meta);
    free(r);
}

/* --- what is known --- */

const struct fsh_header *fsh_reader_header(const struct fsh_reader *r) {
    return &r->header;
}

const char *fsh_reader_call_name(const struct fsh_reader *r, unsigned call) {
    return call < r->n_calls ? r->calls[call] : "?";
}

const char *fsh_reader_fault_name(const struct fsh_reader *r, unsigned fault) {
    return fault < r->n_faults ? r->faults[fault] : "?";
}

const char *fsh_reader_rule_name(const struct fsh_reader *r, unsigned rule) {
    return rule < r->n_rules ? r->rules[rule] : "?";
}

unsigned fsh_reader_rules(const struct fsh_reader *r) {
    return r->header.n_rules;
}

unsigned fsh_reader_threads(const struct fsh_reader *r) {
    return (unsigned)r->n_threads;
}

const struct fsh_thread_info *fsh_reader_thread(const struct fsh_reader *r, unsigned index) {
    return &r->threads[index].info;
}

unsigned fsh_reader_processes(const struct fsh_reader *r) {
    return (unsigned)r->n_processes;
}

const struct fsh_process_info *fsh_reader_process(const struct fsh_reader *r, unsigned index) {
    return &r->processes[index];
}

const struct fsh_resource_info *fsh_reader_resource(const struct fsh_reader *r, uint64_t number) {
    struct fsh_resource_info wanted = {.number = number};
    if (!number || !r->n_resources)
        return NULL;
    /* numbers are given out one by one, so it mostly stands in its own place */
    if (number <= r->n_resources && r->resources[number - 1].number == number)
        return &r->resources[number - 1];
    return bsearch(&wanted, r->resources, r->n_resources, sizeof wanted, compare_resources);
}

const struct fsh_site_info *fsh_reader_site(const struct fsh_reader *r, uint64_t number) {
    struct fsh_site_info wanted = {.number = number};
    if (!number || !r->n_sites)
        return NULL;
    return bsearch(&wanted, r->sites, r->n_sites, sizeof wanted, compare_sites);
}

int fsh_reader_totals(const struct fsh_reader *r, struct fsh_totals *totals) {
    unsigned n_rules = r->header.n_rules, n_calls = r->header.n_calls;
    uint64_t *sums = calloc(2ul * n_rules + n_calls + 1, sizeof *sums);
    if (!sums)
        return -ENOMEM;
    *totals = (struct fsh_totals){.considered = sums, .fired = sums + n_rules, .calls = sums + 2ul * n_rules};
    for (size_t i = 0; i < r->n_rings; i++) {
        const uint64_t *counters = fsh_ring_counters((struct fsh_unit *)(void *)r->rings[i]);
        for (unsigned j = 0; j < 2 * n_rules + n_calls; j++)
            sums[j] += counters[j];
    }
    for (unsigned i = 0; i < n_rules; i++)
        totals->faults += totals->fired[i];
    for (unsigned i = 0; i < n_calls; i++)
        totals->decisions += totals->calls[i];
    return 0;
}

void fsh_totals_free(struct fsh_totals *totals) {
    free(totals->considered);
    *totals = (struct fsh_totals){0};
}

/* --- walking --- */

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
};

/* The time that a record tells, if it does. */
static bool time_of(const struct record *rec, uint64_t *time) {
    if (rec->op == OP_TIME) {
        *time = rec->value;
        return true;
    }
    if ((rec->op == OP_FAULT || rec->op == OP_EXEC || rec->op == OP_FORK || rec->op == OP_DIVERGE) && rec->len >= 8) {
        memcpy(time, rec->fields, 8);
        return true;
    }
    return false;
}

static uint64_t counted_in(const struct record *rec) {
    struct fsh_get get = fields_of(rec);
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
    struct fsh_get get = fields_of(rec);
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
    while (next_record(r, &get, &rec)) {
        uint64_t step = decisions_in(&rec, &more);
        if (time_of(&rec, &time))
            /* a mark stands before the decision it was made for, a fault is that decision */
            return (struct anchor){n + (rec.op == OP_FAULT ? step : 1), time};
        n += step;
    }
    if (c->part + 1 < c->thread->n_parts) {
        const struct part *next = &c->thread->parts[c->part + 1];
        get = stream_of(next);
        if (next_record(r, &get, &rec) && rec.op == OP_TIME)
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
        if (!next_record(r, &c->get, &c->rec)) {
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
    get_fault(show->reader, fields_of(&c->rec), &d, show->rules);
    return show->visitor->decision(show->visitor->arg, &d);
}

static int show_record(struct show *show, const struct cursor *c) {
    const struct fsh_visitor *visitor = show->visitor;
    if (c->rec.op >= OP_SAME)
        return visitor->decision ? show_pass(show, c) : 0;
    if (c->rec.op == OP_FAULT)
        return visitor->decision ? show_fault(show, c) : 0;
    struct fsh_event event = {
        .thread = c->index, .op = c->rec.op, .n = c->n, .time = c->order, .fields = c->rec.fields, .len = c->rec.len};
    return visitor->event ? visitor->event(visitor->arg, &event) : 0;
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
