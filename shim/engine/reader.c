/* reader.c: see reader.h. Reads what trace.c writes, and whatever else is put before it: every length is checked against what
 * is there, every number against the tables of the file, and what makes no sense ends that part of the stream.
 *
 * Runs in the tools, never in the victim. Blocks are read where they are mapped: nobody changes them once they stand. Rings may
 * be written to while we look, so they are copied first, front to back, and blocks are looked for afterwards: a ring
 * that was emptied during the copy then has its block already. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader_parts.h"

enum { CHUNK = 1 << 16 };

struct chunk {
    struct chunk *next;
    size_t used;
    char text[CHUNK];
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

/* --- opening: the header and its texts --- */

static bool header_is_sound(const struct fsh_header *h) {
    return h->header_size == sizeof *h && h->units % FSH_PAGE == 0 && h->units >= FSH_PAGE && h->n_rules <= FSH_RULES_MAX &&
           h->rules_room == h->n_rules + FSH_LOADED_RULES && h->n_calls <= FSH_CALLS_MAX && h->n_faults <= 256 &&
           h->ring_data == fsh_ring_data_offset(h->rules_room, h->n_calls) &&
           h->ring_pages == fsh_ring_pages(h->rules_room, h->n_calls);
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
static int split_list(struct fsh_reader *r, enum fsh_meta tag, const char ***out, unsigned *n, unsigned limit, unsigned room) {
    struct fsh_text list = fsh_reader_meta(r, tag);
    const char **names = calloc(room + 1ul, sizeof *names);
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
    int e = split_list(r, META_CALLS, &r->calls, &r->n_calls, r->header.n_calls, r->header.n_calls);
    e = e ? e : split_list(r, META_FAULTS, &r->faults, &r->n_faults, r->header.n_faults, r->header.n_faults);
    e = e ? e : split_list(r, META_PHASES, &r->phases, &r->n_phases, FSH_PHASES_MAX, FSH_PHASE_STATES);
    return e ? e : split_list(r, META_RULES, &r->rules, &r->n_rules, r->header.n_rules, r->header.rules_room);
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
        .faults = u->faults,
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
        } else if (unit_at(r, at, UNIT_PROFILE)) {
            pages = unit_at(r, at, UNIT_PROFILE)->pages;
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

/* --- opening: profiles that were loaded --- */

/* The texts of a load, checked; false if they are not whole. */
static bool texts_of_load(const struct fsh_reader *r, const struct fsh_load_state *state, unsigned number, struct fsh_load *out) {
    struct fsh_load_head head;
    if (state->offset < sizeof(struct fsh_unit) || state->offset % 8 || state->offset - sizeof(struct fsh_unit) >= r->len)
        return false;
    const struct fsh_unit *u = unit_at(r, state->offset - sizeof *u, UNIT_PROFILE);
    if (!u || u->thread != number || u->data != sizeof *u || u->size != state->size || u->size < sizeof head)
        return false;
    const char *text = (const char *)u + u->data + sizeof head;
    uint64_t left = u->size - sizeof head;
    memcpy(&head, (const char *)u + u->data, sizeof head);
    if (head.profile > left || head.rules > left - head.profile || head.phases > left - head.profile - head.rules)
        return false;
    *out = (struct fsh_load){.profile = {text, head.profile},
                             .rules = {text + head.profile, head.rules},
                             .phases = {text + head.profile + head.rules, head.phases},
                             .n_rules = state->n_rules,
                             .n_phases = state->n_phases};
    return true;
}

/* Behind the names there are, each with the number of its load: "NAME@1". */
static void add_names(struct fsh_reader *r, struct fsh_text list, unsigned count, unsigned load, const char **names, unsigned *n) {
    char name[FSH_TEXT_MAX];
    for (const char *p = list.data, *end = list.data + list.len; count > 0; count--) {
        size_t len = strnlen(p, (size_t)(end - p));
        int size = snprintf(name, sizeof name, "%.*s@%u", (int)(len < FSH_TEXT_MAX / 2 ? len : FSH_TEXT_MAX / 2), p, load);
        names[(*n)++] = keep(r, (struct fsh_text){name, (size_t)size});
        p = len < (size_t)(end - p) ? p + len + 1 : end;
    }
}

/* Only what follows without a gap. */
static void read_loads(struct fsh_reader *r) {
    const struct fsh_control *control = fsh_reader_control(r);
    r->n_rules = r->n_rules < r->header.n_rules ? r->n_rules : r->header.n_rules;
    for (unsigned i = 0; control && i < control->loads && i < FSH_LOADS; i++) {
        struct fsh_load_state state = control->load[i];
        struct fsh_load *load = &r->loads[r->n_loads];
        if (state.first_rule != r->n_rules || state.first_phase != r->n_phases ||
            state.n_rules > r->header.rules_room - r->n_rules || state.n_phases > FSH_PHASE_STATES - r->n_phases ||
            !texts_of_load(r, &state, i + 1, load))
            return;
        r->load_times[r->n_loads++] = state.time;
        add_names(r, load->rules, state.n_rules, i + 1, r->rules, &r->n_rules);
        add_names(r, load->phases, state.n_phases, i + 1, r->phases, &r->n_phases);
    }
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
    res.kind = (enum fsh_kind)fsh_get_below(&get, FSH_KINDS);
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
    site.n_frames = (unsigned)fsh_get_below(&get, FSH_RECORD_MAX);
    if (get.bad)
        return 0;
    site.frames = get.p;
    site.end = get.end;
    for (unsigned i = 0; i < site.n_frames && !get.bad; i++)
        fsh_get_frame(&get);
    if (get.bad)
        return 0;
    if (!grow(&r->sites, &r->sites_room, r->n_sites, sizeof site))
        return -ENOMEM;
    r->sites[r->n_sites++] = site;
    return 0;
}

static int add_module(struct fsh_reader *r, const struct fsh_thread_info *info, struct fsh_get get) {
    struct fsh_module_info m = {.process_key = info->process_key, .image = info->image};
    struct fsh_text name = fsh_get_text(&get), path = fsh_get_text(&get);
    m.build_id = fsh_get_text(&get);
    if (get.bad)
        return 0;
    if (!grow(&r->modules, &r->modules_room, r->n_modules, sizeof m))
        return -ENOMEM;
    m.name = keep(r, name);
    m.path = keep(r, path);
    r->modules[r->n_modules++] = m;
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
        return add_process(r, fsh_fields_of(rec));
    case OP_RESOURCE:
        return add_resource(r, fsh_fields_of(rec));
    case OP_SITE:
        return add_site(r, fsh_fields_of(rec));
    case OP_MODULE:
        return add_module(r, info, fsh_fields_of(rec));
    case OP_THREAD:
        name_thread(r, info, fsh_fields_of(rec));
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
        if (!fsh_get_fault(r, fsh_fields_of(rec), &d, rules))
            return 0;
        s->decisions += !s->more;
        s->faults += d.fault;
        s->more = d.flags & FAULT_MORE;
        return 1;
    case OP_COUNTED: {
        struct fsh_get get = fsh_fields_of(rec);
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
    while (fsh_next_record(r, &get, &rec)) {
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
    if (last->faults > info->faults)
        info->faults = last->faults;
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

/* In order of process and name; what is equal was told by several threads. */
static int compare_modules(const void *a, const void *b) {
    const struct fsh_module_info *x = a, *y = b;
    if (x->process_key != y->process_key)
        return x->process_key < y->process_key ? -1 : 1;
    if (x->image != y->image)
        return x->image < y->image ? -1 : 1;
    int c = strcmp(x->name, y->name);
    c = c ? c : strcmp(x->path, y->path);
    if (c || x->build_id.len != y->build_id.len)
        return c ? c : x->build_id.len < y->build_id.len ? -1 : 1;
    return x->build_id.len ? memcmp(x->build_id.data, y->build_id.data, x->build_id.len) : 0;
}

static void order_modules(struct fsh_reader *r) {
    size_t n = 0;
    if (r->n_modules)
        qsort(r->modules, r->n_modules, sizeof *r->modules, compare_modules);
    for (size_t i = 0; i < r->n_modules; i++)
        if (!n || compare_modules(&r->modules[n - 1], &r->modules[i]) != 0)
            r->modules[n++] = r->modules[i];
    r->n_modules = n;
}

/* Each thread tells the sites that it meets. */
static void drop_known_sites(struct fsh_reader *r) {
    size_t n = 0;
    for (size_t i = 0; i < r->n_sites; i++)
        if (!n || r->sites[n - 1].number != r->sites[i].number)
            r->sites[n++] = r->sites[i];
    r->n_sites = n;
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
    drop_known_sites(r);
    order_modules(r);
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
    if (!e)
        read_loads(r);
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
    free(r->modules);
    free(r->calls);
    free(r->faults);
    free(r->rules);
    free(r->phases);
    free(r->meta);
    free(r);
}

/* --- what is known --- */

const struct fsh_header *fsh_reader_header(const struct fsh_reader *r) {
    return &r->header;
}

const struct fsh_control *fsh_reader_control(const struct fsh_reader *r) {
    struct fsh_text control = region(r, &r->header.control);
    return control.len >= sizeof(struct fsh_control) && r->header.control.offset % 8 == 0 ? (const void *)control.data : NULL;
}

const struct fsh_outcome_state *fsh_reader_outcomes(const struct fsh_reader *r, unsigned *n) {
    struct fsh_text outcomes = region(r, &r->header.outcomes);
    size_t entries = outcomes.len / sizeof(struct fsh_outcome_state);
    *n = r->header.outcomes.offset % 8 ? 0 : entries < FSH_OUTCOMES ? (unsigned)entries : FSH_OUTCOMES;
    return (const void *)outcomes.data;
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

const char *fsh_reader_phase_name(const struct fsh_reader *r, unsigned phase) {
    return phase < r->n_phases ? r->phases[phase] : "?";
}

unsigned fsh_reader_phases(const struct fsh_reader *r) {
    return r->n_phases;
}

unsigned fsh_reader_rules(const struct fsh_reader *r) {
    return r->n_rules;
}

unsigned fsh_reader_loads(const struct fsh_reader *r) {
    return r->n_loads;
}

const struct fsh_load *fsh_reader_load(const struct fsh_reader *r, unsigned load, uint64_t *time) {
    *time = r->load_times[load - 1];
    return &r->loads[load - 1];
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

static int compare_place(const struct fsh_module_info *m, const struct fsh_thread_info *t, struct fsh_text name) {
    if (m->process_key != t->process_key)
        return m->process_key < t->process_key ? -1 : 1;
    if (m->image != t->image)
        return m->image < t->image ? -1 : 1;
    size_t len = strlen(m->name);
    int c = memcmp(m->name, name.data, len < name.len ? len : name.len);
    return c ? c : (len > name.len) - (len < name.len);
}

unsigned fsh_reader_modules(const struct fsh_reader *r) {
    return (unsigned)r->n_modules;
}

const struct fsh_module_info *fsh_reader_module_at(const struct fsh_reader *r, unsigned index) {
    return index < r->n_modules ? &r->modules[index] : NULL;
}

const struct fsh_module_info *fsh_reader_module(const struct fsh_reader *r, unsigned thread, struct fsh_text name) {
    const struct fsh_thread_info *t = fsh_reader_thread(r, thread);
    size_t lo = 0, hi = r->n_modules;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (compare_place(&r->modules[mid], t, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == r->n_modules || compare_place(&r->modules[lo], t, name) != 0)
        return NULL;
    bool alone = lo + 1 == r->n_modules || compare_place(&r->modules[lo + 1], t, name) != 0;
    return alone ? &r->modules[lo] : NULL;
}

int fsh_reader_totals(const struct fsh_reader *r, struct fsh_totals *totals) {
    unsigned n_rules = r->header.rules_room, n_calls = r->header.n_calls;
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
