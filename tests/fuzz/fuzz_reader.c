/* fuzz_reader.c: libFuzzer target: any bytes as a trace. The input is the units of a file whose header is sound, or, when it
 * begins with the magic, a whole file. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "reader.h"

enum { RULES = 3, CALLS = 20, UNITS = FSH_PAGE };

static uint64_t sum;

static int see(void *arg, const struct fsh_decision *d) {
    sum += d->n + d->time + d->size + d->kind;
    for (unsigned i = 0; i < d->n_rules; i++)
        sum += d->rules[i].rule + d->rules[i].ordinal;
    const struct fsh_resource_info *res = fsh_reader_resource(arg, d->resource);
    if (res)
        sum += strlen(res->name) + strlen(res->other);
    if (fsh_reader_site(arg, d->site))
        sum++;
    sum += strlen(fsh_reader_call_name(arg, d->call)) + strlen(fsh_reader_fault_name(arg, d->fault_kind));
    return 0;
}

static int see_event(void *arg, const struct fsh_event *event) {
    struct fsh_get get = {.p = event->fields, .end = event->fields + event->len};
    sum += event->source + event->value;
    sum += fsh_get_u64(&get) + fsh_get_varint(&get) + fsh_get_text(&get).len;
    return 0;
}

static void read_all(const void *bytes, size_t len) {
    struct fsh_reader *reader;
    struct fsh_totals totals;
    if (fsh_reader_open_memory(&reader, bytes, len))
        return;
    struct fsh_visitor visitor = {reader, see, see_event};
    fsh_reader_walk(reader, &visitor);
    for (unsigned i = 0; i < fsh_reader_threads(reader); i++) {
        const struct fsh_thread_info *t = fsh_reader_thread(reader, i);
        sum += strlen(t->process) + strlen(t->name) + strlen(t->comm);
        fsh_reader_walk_thread(reader, i, &visitor);
    }
    for (unsigned i = 0; i < fsh_reader_processes(reader); i++)
        sum += strlen(fsh_reader_process(reader, i)->name);
    for (int tag = META_PROFILE; tag <= META_REPLAYED; tag++)
        sum += fsh_reader_meta(reader, tag).len;
    if (!fsh_reader_totals(reader, &totals))
        fsh_totals_free(&totals);
    fsh_reader_close(reader);
}

static void put_header(uint8_t *file) {
    struct fsh_header h = {.version = FSH_TRACE_VERSION,
                           .header_size = sizeof h,
                           .n_rules = RULES,
                           .rules_room = RULES + FSH_LOADED_RULES,
                           .n_calls = CALLS,
                           .n_faults = 8};
    memcpy(h.magic, FSH_TRACE_MAGIC, sizeof h.magic);
    h.ring_data = fsh_ring_data_offset(h.rules_room, CALLS);
    h.ring_pages = fsh_ring_pages(h.rules_room, CALLS);
    h.units = UNITS;
    memcpy(file, &h, sizeof h);
}

/* A block that holds the input as its stream: fuzzing the stream needs no luck with magics. */
static size_t put_block(uint8_t *to, const uint8_t *stream, size_t len, uint32_t seq) {
    size_t used = sizeof(struct fsh_unit) + len + 8, size = (used + FSH_PAGE - 1) / FSH_PAGE * FSH_PAGE;
    struct fsh_unit u = {.magic = fsh_unit_magic(0, UNIT_BLOCK),
                         .kind = UNIT_BLOCK,
                         .pages = (uint32_t)(size / FSH_PAGE),
                         .data = sizeof u,
                         .size = (uint32_t)len,
                         .thread = 1 + seq % 2,
                         .seq = seq / 2};
    uint64_t seal = fsh_block_seal(0, u.thread, u.seq);
    memcpy(to, &u, sizeof u);
    memcpy(to + sizeof u, stream, len);
    memcpy(to + size - 8, &seal, 8);
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    if (len >= 8 && !memcmp(data, FSH_TRACE_MAGIC, 8)) {
        void *copy = aligned_alloc(64, (len + 63) & ~(size_t)63);
        memcpy(copy, data, len);
        read_all(copy, len);
        free(copy);
        return 0;
    }
    size_t room = UNITS + 4 * (len + 2 * FSH_PAGE);
    uint8_t *file = calloc(1, room);
    size_t at = UNITS, quarter = len / 4;
    put_header(file);
    for (uint32_t i = 0; i < 4; i++)
        at += put_block(file + at, data + i * quarter, quarter, i);
    read_all(file, at);
    free(file);
    return 0;
}
