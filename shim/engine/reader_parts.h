/* reader_parts.h: what the reader's files share: an opened trace as it is indexed, and its records one by one. Nobody else
 * includes it. reader.c opens and indexes, records.c takes the stream apart, walk.c goes through it in order. */
#ifndef FSH_READER_PARTS_H
#define FSH_READER_PARTS_H

#include "reader.h"

enum { FSH_CALLS_MAX = 4095 /* of a trace: what fits in a context */ };

/* One piece of a thread's stream: a block, or what stands in a ring. */
struct part {
    const uint8_t *data;
    uint32_t size; /* of what is whole */
    uint32_t room; /* what more a ring could have held */
    uint32_t thread, seq, image;
    uint64_t process_key, thread_key, first_n, counted, faults;
    bool ring;
    bool whole;   /* all of it could be read */
    bool follows; /* nothing is missing between the part before and this one */
};

struct thread {
    struct fsh_thread_info info;
    const struct part *parts;
    unsigned n_parts;
};

struct chunk;

struct fsh_reader {
    struct fsh_header header;
    const uint8_t *bytes;
    size_t len;
    bool mapped;
    int fd;
    char *meta; /* a copy, ended by NUL */
    size_t meta_len;
    const char **calls, **faults, **rules, **phases;
    unsigned n_calls, n_faults, n_rules, n_phases;
    struct fsh_load loads[FSH_LOADS];
    uint64_t load_times[FSH_LOADS];
    unsigned n_loads;

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
    struct fsh_module_info *modules;
    size_t n_modules, modules_room;
    struct chunk *chunks;
};

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

/* The record at get->p; false at the end, and where it is not whole. */
bool fsh_next_record(const struct fsh_reader *r, struct fsh_get *get, struct record *rec);
/* What OP_FAULT holds, into a decision; `rules` takes FSH_CANDIDATES_MAX. Returns whether it made sense. */
bool fsh_get_fault(const struct fsh_reader *r, struct fsh_get get, struct fsh_decision *d, struct fsh_considered *rules);
/* A varint that must be below `limit`. */
uint64_t fsh_get_below(struct fsh_get *get, uint64_t limit);

static inline struct fsh_get fsh_fields_of(const struct record *rec) {
    return (struct fsh_get){.p = rec->fields, .end = rec->fields + rec->len};
}

#endif
