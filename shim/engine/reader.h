/* reader.h: reading a trace. Bounds-checked: a hostile or cut-off file gives an error or an early end, never a crash.
 * Used by the tools only; allocates with malloc. Reads sealed, open, killed and still growing files alike. */
#ifndef FSH_READER_H
#define FSH_READER_H

#include "trace.h"

struct fsh_reader; /* one opened trace */

struct fsh_process_info {
    uint64_t key;
    const char *name;    /* "1.2" */
    const char *program; /* path of the executable */
    const char *comm;
    uint32_t pid, parent_pid, image;
};

struct fsh_thread_info {
    uint32_t number; /* in the trace */
    uint64_t key, process_key;
    const char *process, *name; /* "1.2", "3"; the main thread is "0" */
    const char *comm;
    uint32_t tid;
    uint32_t image;
    uint64_t decisions; /* recorded */
    uint64_t counted;   /* passed, counted only */
    uint64_t faults;
    bool complete; /* false: a part of the stream is missing */
};

struct fsh_resource_info {
    uint64_t number, key;
    enum fsh_kind kind;
    const char *name, *other;
};

struct fsh_site_info {
    uint64_t number, key;
    unsigned n_frames;
    const uint8_t *frames, *end; /* as they stand in the stream: for fsh_get_frame */
};

/* One frame of a call stack: where it returns to. */
struct fsh_stack_frame {
    struct fsh_text module;
    uint64_t offset;
};

struct fsh_module_info {
    uint64_t process_key;
    uint32_t image;
    const char *name, *path; /* path: "" if it is not known */
    struct fsh_text build_id;
};

/* A rule that considered a decision. `ordinal` is known for faults only. */
struct fsh_considered {
    uint16_t rule;
    uint64_t ordinal;
};

struct fsh_decision {
    uint32_t thread; /* index for fsh_reader_thread */
    uint64_t n;      /* in the thread, from 1 */
    uint64_t time;   /* ns since the start; between two time marks it is interpolated */
    uint16_t call;   /* index for fsh_reader_call_name: numbers of the trace, not of this build */
    uint8_t kind;
    uint64_t resource; /* number, 0 for none */
    uint64_t site;
    uint64_t size;
    const struct fsh_considered *rules;
    unsigned n_rules;

    bool again;     /* belongs to the decision before it, which fired with `continue` */
    unsigned flags; /* FAULT_; a record with FAULT_PASSED is no fault, it closes such a decision */
    bool fault;     /* the rest only then */
    uint16_t rule;
    uint8_t line, fault_kind; /* fault line in its rule; index for fsh_reader_fault_name */
    int error;
    uint64_t amount, key, ordinal, word, bytes;
};

/* Something in a stream that is no decision: the op, its fields, the thread it stands in and when. */
struct fsh_event {
    uint32_t thread;
    uint8_t op;
    uint64_t n, time;
    const uint8_t *fields;
    size_t len;
    unsigned source; /* OP_VALUE: enum fsh_source, or SOURCES for one that is not known, and what was read */
    uint64_t value;
};

struct fsh_visitor {
    void *arg;
    /* Return nonzero to stop; the walk returns it. Either may be NULL. */
    int (*decision)(void *arg, const struct fsh_decision *decision);
    int (*event)(void *arg, const struct fsh_event *event);
};

/* Opens and indexes. Returns 0 or -errno: -EBADMSG if it is not a trace, -EPROTONOSUPPORT for another version. */
int fsh_reader_open(struct fsh_reader **reader, const char *path);
/* The same on bytes in memory, which must outlive the reader. */
int fsh_reader_open_memory(struct fsh_reader **reader, const void *bytes, size_t len);
void fsh_reader_close(struct fsh_reader *reader);

const struct fsh_header *fsh_reader_header(const struct fsh_reader *reader);
/* As it stood when the trace was opened; NULL if the file is too short for it. */
const struct fsh_control *fsh_reader_control(const struct fsh_reader *reader);
/* The table of outcomes, *n entries. */
const struct fsh_outcome_state *fsh_reader_outcomes(const struct fsh_reader *reader, unsigned *n);
struct fsh_text fsh_reader_meta(const struct fsh_reader *reader, enum fsh_meta tag);
const char *fsh_reader_call_name(const struct fsh_reader *reader, unsigned call); /* "?" if unknown */
const char *fsh_reader_fault_name(const struct fsh_reader *reader, unsigned fault);
const char *fsh_reader_rule_name(const struct fsh_reader *reader, unsigned rule);
/* "on NAME" for the `on` of a rule. */
const char *fsh_reader_phase_name(const struct fsh_reader *reader, unsigned phase);
unsigned fsh_reader_phases(const struct fsh_reader *reader);
/* Those of profiles that were loaded included: their names have the number of the load behind them, as in NAME@1. */
unsigned fsh_reader_rules(const struct fsh_reader *reader);
/* Profiles that were loaded, by number from 1; when, in ns since the start of the run. */
unsigned fsh_reader_loads(const struct fsh_reader *reader);
const struct fsh_load *fsh_reader_load(const struct fsh_reader *reader, unsigned load, uint64_t *time);

unsigned fsh_reader_threads(const struct fsh_reader *reader);
const struct fsh_thread_info *fsh_reader_thread(const struct fsh_reader *reader, unsigned index);
unsigned fsh_reader_processes(const struct fsh_reader *reader);
const struct fsh_process_info *fsh_reader_process(const struct fsh_reader *reader, unsigned index);
const struct fsh_process_info *fsh_reader_process_by_key(const struct fsh_reader *reader, uint64_t key, uint32_t image);
/* NULL if its record was lost. */
const struct fsh_resource_info *fsh_reader_resource(const struct fsh_reader *reader, uint64_t number);
const struct fsh_site_info *fsh_reader_site(const struct fsh_reader *reader, uint64_t number);
unsigned fsh_reader_modules(const struct fsh_reader *reader);
const struct fsh_module_info *fsh_reader_module_at(const struct fsh_reader *reader, unsigned index);
/* The module of that name in the process that the thread (an index) belongs to. NULL if it was not told, or if there are two. */
const struct fsh_module_info *fsh_reader_module(const struct fsh_reader *reader, unsigned thread, struct fsh_text name);

/* All of one thread, in order. */
int fsh_reader_walk_thread(const struct fsh_reader *reader, unsigned index, const struct fsh_visitor *visitor);
/* All threads, merged by time. */
int fsh_reader_walk(const struct fsh_reader *reader, const struct fsh_visitor *visitor);

/* Totals from the rings' counters, which hold even what was not written: arrays of fsh_reader_rules() and header n_calls. */
struct fsh_totals {
    uint64_t decisions, faults;
    uint64_t *considered, *fired, *calls;
};
int fsh_reader_totals(const struct fsh_reader *reader, struct fsh_totals *totals);
void fsh_totals_free(struct fsh_totals *totals);

/* Reading fields of an event: false at the end. */
struct fsh_get {
    const uint8_t *p, *end;
    bool bad;
};
uint64_t fsh_get_u64(struct fsh_get *get);
uint64_t fsh_get_varint(struct fsh_get *get);
struct fsh_text fsh_get_text(struct fsh_get *get);
/* The frames of a site, innermost first: from {.p = site->frames, .end = site->end}, n_frames times. */
struct fsh_stack_frame fsh_get_frame(struct fsh_get *get);

#endif
