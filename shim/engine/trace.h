/* trace.h: the trace file's layout, its writer and its reader. faultshim-trace(5) describes the same bytes; change both.
 *
 * The file is also the session of a run: every process of the run maps its head, so that counters and rings survive
 * SIGKILL. Everything is little-endian and in units of FSH_PAGE bytes:
 *
 *     header page | meta (texts) | state (counters, processes, keys) | script (replays only) | units …
 *
 * A unit is a ring (a thread writes to it through a mapping) or a block (a full ring, appended with one write). A thread's
 * stream is its blocks in order of `seq`, then its ring. In a stream, the first byte of a record is written last and
 * unwritten space is zero, so a reader finds the end after SIGKILL and never takes half a record for a whole one.
 *
 * Raise FSH_TRACE_VERSION when an old reader would misread a new file: a field moved or changed its meaning, an opcode was
 * given another form. New record types with a length (below 0x40) do not need it: readers step over what they don't know. */
#ifndef FSH_TRACE_H
#define FSH_TRACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "calls.h"
#include "journal.h"
#include "plan.h"

#define FSH_TRACE_MAGIC "FSHTRACE"

enum {
    FSH_TRACE_VERSION = 3,
    FSH_PAGE = 4096,
    FSH_RING_DATA = 60 * 1024, /* at least this much of a ring is stream */
    FSH_PROCESSES = 1024,      /* entries of the process table */
    FSH_KEYS = 1 << 14,        /* entries of the table of shared keys */
    FSH_RINGS = 4096,          /* entries of the table of rings; further rings are never taken over */
    FSH_DEPARTURES = 128,      /* programs at a time that have been started and have not joined */
    FSH_AUDITED = 1 << 14,     /* threads at a time, with --audit */
    FSH_MARKS = 64,            /* marks that are kept; a run may have more */
    FSH_CONNECTIONS = 1 << 13, /* that count against limits, by process */
    FSH_LOADS = 32,            /* profiles that can be loaded into a run */
    FSH_LOADED_RULES = 256,    /* rules that all of them can have together */
    FSH_PHASE_STATES = 256,    /* phases and events of all profiles of a run */
    FSH_OUTCOMES = 2048,       /* kinds of faults that are counted, by rule, call and error */
    FSH_SLOTS = 64,            /* contexts that one byte can name */
    FSH_RECORD_MAX = 2048,     /* bytes of one record */
    FSH_TEXT_MAX = 1024,       /* bytes of a name in a record; longer ones are cut */
    FSH_MARK_EVERY = 256       /* bytes of stream between time marks */
};

/* Where the seed came from. */
enum fsh_seed_from { SEED_DRAWN, SEED_PROFILE, SEED_ENVIRONMENT, SEED_COMMAND_LINE };
enum fsh_trace_state { TRACE_OPEN = 1, TRACE_SEALED = 2 };
enum fsh_end { END_UNKNOWN, END_EXITED, END_SIGNALED, END_TIMEOUT };

struct fsh_region {
    uint64_t offset, size;
};

struct fsh_header {
    char magic[8];
    uint32_t version;
    uint32_t header_size;
    uint64_t nonce; /* drawn at creation; part of every unit's magic */
    uint32_t state; /* enum fsh_trace_state */
    uint32_t seed_from;
    uint64_t seed;
    uint64_t start_monotonic, start_realtime; /* ns */
    uint64_t end_monotonic;                   /* ns, when sealed */
    uint32_t n_rules, n_calls, n_faults;
    uint32_t trace_mode; /* enum fsh_trace_mode */
    uint64_t trace_limit;
    struct fsh_region meta, processes, rules, keys, rings, script, control;
    uint64_t units;                 /* offset of the first unit */
    uint32_t ring_pages, ring_data; /* pages of a ring; where its stream starts */
    uint32_t end;                   /* enum fsh_end, when sealed by a supervisor */
    int32_t end_value;              /* exit status or signal */

    /* live */
    _Atomic uint64_t file_end;  /* where the next unit goes; always a multiple of FSH_PAGE */
    _Atomic uint64_t resources; /* numbers given out, from 1 */
    _Atomic uint32_t threads;   /* numbers given out, from 1 */
    _Atomic uint32_t attached;  /* processes that started under the shim, execs counted again */
    _Atomic uint32_t headstart; /* 1 once the head start is over */
    _Atomic uint32_t stopped;   /* errno that stopped the writing of blocks, 0 if none did */
    _Atomic uint64_t headstart_calls;
    _Atomic uint64_t lost_blocks;   /* blocks that could not be written: their decisions are missing */
    _Atomic uint64_t untraced;      /* threads and processes that got no ring */
    _Atomic uint64_t late_calls;    /* calls that came with no thread state: undecided, passed through */
    _Atomic uint64_t nested_calls;  /* calls that a signal handler made inside our own code: undecided */
    _Atomic uint64_t deepbind;      /* dlopen calls that had RTLD_DEEPBIND taken away */
    _Atomic uint64_t without_sites; /* process images in which no syscall door could be opened */
    _Atomic uint64_t keys_full;     /* resources counted by each process alone: the table of shared keys was full */
    struct fsh_region departures, audit;
    _Atomic uint32_t departed;  /* entries of the table of departures that were ever used */
    _Atomic uint32_t unnoted;   /* departures that found the table full */
    _Atomic uint64_t unaudited; /* threads that found the table of audited threads full */
    struct fsh_region outcomes;
    _Atomic uint64_t uncounted; /* faults that found the table of outcomes full */
    struct fsh_region journal;  /* journal.h; of no size if no rule loses data */
    struct fsh_region connections;
    _Atomic uint64_t connection; /* number of the last one that was counted */
    uint32_t rules_room;         /* numbers of rules that counters have room for: more than n_rules, for profiles that are loaded */
    uint32_t pad;
};

/* Counters of one rule for the whole run: a cache line, so that rules do not disturb each other. */
struct fsh_rule_state {
    _Atomic uint64_t fired;   /* against `times` */
    _Atomic uint64_t ordinal; /* key = run */
    _Atomic uint64_t bytes;   /* key = run, for `space` */
    _Atomic uint32_t stuck;   /* sticky = rule: it has fired */
    _Atomic uint32_t set;     /* CONTROL_ bits: what `faultshim ctl` has set */
    _Atomic uint64_t chance;  /* a probability, as a threshold */
    _Atomic uint64_t times;   /* another `times` */
    _Atomic int64_t account;  /* of a quota: bytes that the matching files have grown by; of a clock: ns that it is off by */
    _Atomic uint64_t since;   /* of a clock: ns since the start of the run; 0: the rule has not fired */
};
enum { CONTROL_OFF = 1, CONTROL_CHANCE = 2, CONTROL_TIMES = 4 };

/* One phase, or one `on` of a rule. */
struct fsh_phase_state {
    _Atomic uint64_t began;     /* ns since the start of the run, plus 1; 0: not started by an event */
    _Atomic uint64_t ops;       /* operations of its rules so far */
    _Atomic uint64_t began_ops; /* of these, before it was started */
    _Atomic uint32_t runs;      /* how often it was started */
    uint32_t pad[9];
};

struct fsh_mark_state {
    _Atomic uint64_t time; /* ns since the start of the run, plus 1; 0: not yet whole */
    char text[FSH_MARK_MAX + 8];
};

/* A profile that was loaded, or that a replay may come to. Its text stands in a unit of its own. */
struct fsh_load_state {
    uint64_t offset, size; /* of the unit's content: struct fsh_load_head, then the texts */
    uint64_t time;         /* ns since the start of the run */
    uint32_t first_rule, n_rules, first_phase, n_phases;
};
struct fsh_load_head {
    uint64_t profile, rules, phases; /* lengths: the text, names of its rules, names of its phases (lists) */
};

/* What changes while the run goes on: by its own events, and by `faultshim ctl`. Each word stands for itself; `generation` is
 * raised when one has changed, and every thread looks at it before it decides. */
struct fsh_control {
    _Atomic uint32_t generation; /* from 1 */
    _Atomic uint32_t held;       /* threads that wait for it to change */
    uint32_t pad[14];
    _Atomic uint32_t intensity; /* of FSH_LEVEL_FULL */
    _Atomic uint32_t marks;     /* set so far: the last FSH_MARKS are kept */
    _Atomic uint32_t plan;      /* the profile that holds: number of a load; 0: the one that the run began with */
    _Atomic uint32_t loads;     /* profiles that are there beside the first */
    uint64_t pad2[6];
    struct fsh_phase_state phases[FSH_PHASE_STATES];
    struct fsh_mark_state mark[FSH_MARKS];
    struct fsh_load_state load[FSH_LOADS];
};

/* Faults of one rule on one call with one result. */
struct fsh_outcome_state {
    _Atomic uint64_t what; /* fsh_outcome; 0 is free */
    _Atomic uint64_t n, amount;
};

static inline uint64_t fsh_outcome(unsigned rule, unsigned call, unsigned fault, int error) {
    return UINT64_C(1) << 63 | (uint64_t)rule << 36 | (uint64_t)call << 24 | (uint64_t)fault << 16 | (uint16_t)error;
}

/* Counters of one rule and key (a file, a call site) shared by all processes of the run. */
struct fsh_key_state {
    _Atomic uint64_t key; /* mix of rule and key; 0 is free */
    _Atomic uint64_t ordinal;
    _Atomic uint64_t bytes;
    _Atomic uint32_t stuck;
    uint32_t pad;
};

struct fsh_process_state {
    _Atomic uint32_t pid; /* 0 is free */
    uint32_t image;       /* number of execs before this program */
    uint64_t started;     /* of the process, in clock ticks since boot: tells a reused process id */
    uint64_t ns_inode;    /* pid namespace the pid belongs to */
    uint64_t key;
    _Atomic uint32_t unseen; /* children that no door of ours has seen being made */
    _Atomic uint32_t ready;  /* image + 1 once main has begun */
    _Atomic uint32_t plan;   /* the last profile that this process can decide by: number of a load; 0: the first */
    _Atomic uint32_t failed; /* the load that it could not take over; 0 for none */
    _Atomic uint32_t forks;  /* of its main thread: a program that it becomes by exec counts on */
    uint32_t pad;
    char name[72]; /* "1.2"; ends in NUL */
};

/* Where a ring stands and whose it is, so that rings of the dead are taken over instead of the file growing. */
struct fsh_ring_state {
    _Atomic uint32_t owner; /* process id; 0 for none */
    uint32_t image;
    uint64_t offset; /* 0: no ring yet */
    uint64_t ns_inode;
};

/* A program that has been started by exec or posix_spawn. It takes the entry out when it joins the run: what is left at the end of
 * the run are processes that lost the shim. */
enum fsh_departure_use { DEPARTURE_FREE, DEPARTURE_TAKEN, DEPARTURE_NOTED };
struct fsh_departure {
    _Atomic uint32_t use; /* enum fsh_departure_use */
    _Atomic uint32_t pid; /* 0 while it is not known */
    _Atomic uint64_t key; /* of the process */
    char path[240];       /* as the program gave it, made absolute where it has a slash; ends in NUL */
};

/* With --audit: the calls of a thread that the gate has seen and the kernel has not yet, 16 bits each (call + 1), the last one
 * lowest. The supervisor takes out what it sees in the kernel. */
struct fsh_audited {
    _Atomic uint32_t tid; /* 0 is free, and so is FSH_TID_GONE */
    uint32_t pad;
    _Atomic uint64_t calls;
};
#define FSH_TID_GONE UINT32_MAX

/* Meta region: entries { uint32_t tag, length; bytes; zeros to a multiple of 8 }, ended by tag 0. Lists are NUL-separated. */
enum fsh_meta {
    META_END,
    META_PROFILE, /* the profile's text, one-liners included (see fsh_profile_parse for ;@source) */
    META_COMMAND, /* argv; list */
    META_CWD,
    META_ENV,      /* chosen NAME=VALUE; list */
    META_MACHINE,  /* uname: system, release, machine; list */
    META_CALLS,    /* names by number; list */
    META_FAULTS,   /* names by number; list */
    META_RULES,    /* names by number; list */
    META_VERSION,  /* faultshim's version */
    META_REPLAYED, /* path of the trace that this run replayed */
    META_PHASES,   /* names by number, "on NAME" for the `on` of a rule; list */
    META_SITES,    /* maps of the `syscall` instructions of libc and ld.so: sitemap.h */
    META_COPY,     /* the directory that the run was made in, a copy of META_CWD; empty: in that itself */
    META_FILES,    /* files that the profile names: files.h */
    META_WHOLE_ENV /* with record = environment: all of it but what is ours; list */
};

/* A connection that counts against the limit of a rule (storm), in one of the processes that have it open. */
struct fsh_connection_state {
    _Atomic uint32_t pid; /* 0 is free */
    uint32_t rule;
    uint64_t inode; /* of the socket: the same in all processes that have it */
    uint64_t number;
    uint64_t ns_inode; /* of the process */
};

enum fsh_unit_kind { UNIT_RING = 1, UNIT_BLOCK = 2, UNIT_PROFILE = 3 };

/* First bytes of a unit. In a ring, `considered`, `fired` and `calls` follow (fsh_ring_counters); in a block the stream does. */
struct fsh_unit {
    uint64_t magic; /* fsh_unit_magic(nonce, kind) */
    uint32_t kind;
    uint32_t pages; /* length of the unit in pages */
    uint32_t data;  /* where the stream starts, from the unit's start */
    uint32_t size;  /* bytes of stream: capacity of a ring, content of a block */
    uint64_t process_key, thread_key;
    uint32_t thread;            /* number of the thread in this trace, from 1: names a stream; of a profile its load */
    uint32_t seq;               /* of this part of the stream, from 0 */
    uint64_t first_n;           /* decisions of the thread before this part */
    uint64_t counted;           /* decisions that passed and were counted without being written (trace-limit, trace = faults) */
    _Atomic uint32_t owner_pid; /* rings: process that writes; 0 for none */
    uint32_t owner_image;
    uint64_t owner_started, owner_ns;
    _Atomic uint32_t generation; /* rings: of fsh_control, as the writer has last taken it over */
    uint32_t pad;
    uint64_t faults; /* of the thread, recorded or not */
    uint64_t reserved[2];
};

/* Blocks end with this word, in the last 8 bytes of their last page: without it the block is not whole. */
static inline uint64_t fsh_block_seal(uint64_t nonce, uint32_t thread, uint32_t seq) {
    return ~nonce ^ ((uint64_t)thread << 32 | seq);
}

static inline uint64_t fsh_unit_magic(uint64_t nonce, uint32_t kind) {
    return nonce ^ (UINT64_C(0x74696e7500000000) | kind);
}

/* A ring's counters: uint64_t considered[rules_room], fired[rules_room], calls[n_calls]; decisions, faults of this thread since it
 * took the ring. Summed over all rings they are the run's totals (a ring that is taken over keeps counting on). */
static inline uint64_t *fsh_ring_counters(struct fsh_unit *ring) {
    return (uint64_t *)(ring + 1);
}
static inline uint32_t fsh_ring_data_offset(uint32_t rules_room, uint32_t n_calls) {
    return (uint32_t)((sizeof(struct fsh_unit) + (2ul * rules_room + n_calls) * sizeof(uint64_t) + 63) & ~63ul);
}
static inline uint32_t fsh_ring_pages(uint32_t rules_room, uint32_t n_calls) {
    return (fsh_ring_data_offset(rules_room, n_calls) + FSH_RING_DATA + FSH_PAGE - 1) / FSH_PAGE;
}

/* The stream.
 *
 * A decision is made in a context: call, kind of descriptor, resource, call site, the rules that considered it, and a size.
 * The last contexts of a thread stand in FSH_SLOTS slots, on both sides; the slots are empty where a unit starts.
 *
 *   0x00         end of what is written
 *   0x40 + slot  a decision that passed, in that slot's context
 *   0x80 + slot  the same with another size, which follows (varint) and stays in the slot
 *   0xC0 + slot  the same in a new context, which follows and stays in the slot:
 *                varint call, kind, resource, site, size, rules, then each rule's number
 *   0x01         time: u64, ns since the start of the run
 *   0x02…0x3F    a record: u16 length of what follows, then its fields
 *
 * varint: 7 bits a byte, least significant first, the high bit set in all but the last; at most 10 bytes.
 * text: varint length, bytes (no NUL). */
enum fsh_op {
    OP_END = 0x00,
    OP_TIME = 0x01,
    OP_FAULT = 0x02,    /* see below */
    OP_PROCESS = 0x03,  /* u64 key; text name; varint pid, parent pid, image; text program; text comm */
    OP_THREAD = 0x04,   /* u64 key, u64 process key; text process name, thread name; varint tid; text comm */
    OP_RESOURCE = 0x05, /* varint number, kind; u64 key; text name; text other name (as the program wrote it), or empty */
    OP_SITE = 0x06, /* varint number (the key); u64 key; varint frames, then each: text module, varint offset; for each: u64 hash of
                       the function's name, 0 if it is not known */
    OP_MODULE = 0x07, /* text name, as in sites of this process; text path; varint size and bytes of its build id */
    OP_DIVERGE =
        0x08,       /* replay: u64 ns; u64 n; varint expected call, kind; u64 expected resource key; varint call, kind; u64 key */
    OP_EXEC = 0x09, /* u64 ns; text path: the process goes on as another program */
    OP_FORK = 0x0A, /* u64 ns; varint pid; text name: a child was made */
    OP_COUNTED = 0x0B, /* varint decisions that passed here and were counted without being written */
    OP_PHASE = 0x0C,   /* u64 ns; varint phase, level, runs, position: from here on, for this thread */
    OP_CONTROL = 0x0D, /* u64 ns; varint what (CHANGED_ below), number; u64 value: from here on, for this thread */
    OP_MARK = 0x0E,    /* u64 ns when it was set; varint number; text */
    OP_RELEASED =
        0x0F,         /* u64 ns; varint rule, ns: its last fault in this thread held it only for so long, then the rule went off */
    OP_VALUE = 0x10,  /* clocks were read; each: varint source; zigzag: what it said more than the last one of it in this part */
    OP_BYTES = 0x11,  /* random bytes were read: as many as the record is long */
    OP_OUTPUT = 0x12, /* u64 ns; varint descriptor, bytes of this call that are left out behind these; varint length, bytes */
    OP_LAST,
    OP_SAME = 0x40,
    OP_SIZED = 0x80,
    OP_NEW = 0xC0
};

/* OP_FAULT, a decision that fired:
 *   u64 ns; u64 key, ordinal, word, bytes passed before;
 *   varint flags (FAULT_ below), call, kind, resource, site, size;
 *   varint rule, fault line, fault kind; varint errno as zigzag; varint amount;
 *   varint rules, then each: varint number, varint ordinal     (the rules that considered it) */
enum {
    FAULT_MORE = 1,     /* `continue = yes`: the next fault record belongs to the same decision */
    FAULT_STUCK = 2,    /* fired because the rule is sticky, not by its draw */
    FAULT_REPLAYED = 4, /* applied from a trace, not from a draw */
    FAULT_PASSED = 8,   /* after FAULT_MORE: no later rule fired, this record only closes the decision */
    FAULT_LASTING = 16  /* nothing fired: the call met what an earlier fault of that rule left behind on its socket */
};

/* What a value is of. Numbers below SOURCE_CLOCKS are those of clock_gettime(2). */
enum fsh_source {
    SOURCE_CLOCKS = 16,      /* ns */
    SOURCE_OTHER_CLOCK = 16, /* of a process, a thread or a device; ns */
    SOURCE_TIMESPEC_GET,     /* ns */
    SOURCE_GETTIMEOFDAY,     /* us */
    SOURCE_TIME,             /* s */
    SOURCE_CLOCK,            /* ticks */
    SOURCE_TIMES,            /* ticks; then the four fields of struct tms */
    SOURCES = SOURCE_TIMES + 5
};

/* OP_CONTROL: what `faultshim ctl` has changed. */
enum fsh_changed {
    CHANGED_INTENSITY, /* number 0, value of FSH_LEVEL_FULL */
    CHANGED_RULE,      /* number of the rule, value: CONTROL_ bits that are set now */
    CHANGED_CHANCE,    /* number of the rule, value: the threshold, with CONTROL_CHANCE */
    CHANGED_TIMES,     /* number of the rule, value: times, with CONTROL_TIMES */
    CHANGED_PLAN       /* number of the load, value: calls of this thread so far that were met and that no rule was asked about */
};

/* --- the session --- */

struct fsh_text {
    const char *data;
    size_t len;
};

/* Whether a NAME=VALUE of the environment is kept in the trace: what a program's behaviour commonly depends on, nothing secret. */
bool fsh_env_is_recorded(const char *entry);
/* The same with `record = environment`: all but what loads and tells us. */
bool fsh_env_is_the_programs(const char *entry);

/* What a new session is made of. Lists are NUL-separated. */
struct fsh_session_params {
    uint64_t seed;
    uint32_t seed_from;
    uint32_t n_rules;
    uint32_t trace_mode;
    uint64_t trace_limit;
    bool shared_keys;
    bool journal, connections;
    struct fsh_text profile, command, cwd, env, rules, phases, replayed, sites, copy, files, whole_env;
    struct fsh_text script; /* see replay.h; empty if this run is no replay */
    bool audit;
};

/* A mapped session: the head of the file up to the first unit. */
struct fsh_session {
    int fd;
    uint64_t map_size;
    struct fsh_header *header;
    struct fsh_process_state *processes;
    struct fsh_rule_state *rules;
    struct fsh_key_state *keys; /* NULL if no rule counts by shared keys */
    struct fsh_ring_state *rings;
    struct fsh_departure *departures;
    struct fsh_control *control;
    struct fsh_outcome_state *outcomes;
    struct fsh_audited *audited;              /* NULL without --audit */
    struct fsh_journal *journal;              /* NULL if no rule loses data */
    struct fsh_connection_state *connections; /* NULL if no rule limits them */
    bool is_file;                             /* false: private to this process and its forks, nothing is written */
};

/* Creates the file at `path` (0600, never through a symbolic link, never over a file that is not a trace) and maps it.
 * Returns 0 or -errno; -EEXIST for a file that is not a trace. */
int fsh_session_create(struct fsh_session *session, const char *path, const struct fsh_session_params *params);
/* The same in memory, for a run that can have no file: counters only, nothing is traced. Returns 0 or -errno. */
int fsh_session_create_private(struct fsh_session *session, const struct fsh_session_params *params);
/* Maps the session behind a descriptor (which it keeps). Returns 0, -EBADMSG if it is not a session of this version, or -errno. */
int fsh_session_map(struct fsh_session *session, int fd);
/* A profile that can take the place of the one that holds. Texts as in struct fsh_session_params. */
struct fsh_load {
    struct fsh_text profile, rules, phases;
    unsigned n_rules, n_phases;
};
/* Appends it. It does not hold yet. Returns its number, from 1, -ENOSPC when there is no room for so many (FSH_LOADS,
 * FSH_LOADED_RULES, FSH_PHASE_STATES), or -errno. One process at a time. */
int fsh_session_add_load(const struct fsh_session *session, const struct fsh_load *load);
/* Numbers that come before those of its rules and phases. */
unsigned fsh_load_first_rule(const struct fsh_session *session, unsigned load);
unsigned fsh_load_first_phase(const struct fsh_session *session, unsigned load);
/* How many bytes fsh_session_read_load needs; 0: there is no such load. */
size_t fsh_session_load_size(const struct fsh_session *session, unsigned load);
/* Reads it into `memory`, where the texts then stand. `fd`: the session's file. Returns 0, -EBADMSG if it is not whole, or -errno.
 */
int fsh_session_read_load(struct fsh_load *out, const struct fsh_session *session, int fd, unsigned load, void *memory);

/* The entry of a thread that is audited, NULL if it has none; `make` gives it one if there is room. */
struct fsh_audited *fsh_session_audited(const struct fsh_session *session, uint32_t tid, bool make);
/* The meta entry, or an empty text. */
struct fsh_text fsh_session_meta(const struct fsh_session *session, enum fsh_meta tag);

/* --- the writer --- */

struct fsh_slot {
    uint64_t what;  /* call, kind, resource */
    uint64_t rules; /* candidates of that call that considered it, as bits */
    uint64_t size;
    uint64_t site;
};

/* A thread's pen: private to the thread; `ring` is shared memory. */
struct fsh_pen {
    struct fsh_unit *ring; /* NULL: this thread is not traced */
    uint8_t *data;
    uint32_t pos;     /* next byte */
    uint32_t limit;   /* above it the slow path looks: time mark or end of the ring */
    uint64_t n;       /* decisions so far */
    uint64_t counted; /* passes not yet told by an OP_COUNTED */
    uint64_t *considered, *fired, *calls;
    struct fsh_ring_state *state; /* NULL: the ring is in no table */
    uint32_t next_mark;
    uint64_t marked; /* time of the last mark */
    bool counting;   /* passes are counted, no longer written */
    bool stopped;    /* nothing more can be written */
    struct fsh_slot slots[FSH_SLOTS];
    uint64_t values[SOURCES]; /* the last ones in this part */
    uint32_t values_end;      /* where a record of them ends that may go on; 0: none */
    uint32_t values_at;       /* that record */
};

struct fsh_owner {
    uint32_t pid, image;
    uint64_t started, ns_inode;
    uint64_t process_key, thread_key;
};

/* Gives the pen a ring: one that a dead process left, or a new one. Returns 0 or -errno; the pen is then without one. */
int fsh_pen_open(struct fsh_pen *pen, struct fsh_session *session, const struct fsh_owner *owner);
/* Gives the ring back: it is kept in the file as the end of that stream, and another thread may take it over. */
void fsh_pen_close(struct fsh_pen *pen, struct fsh_session *session);
/* A record with its fields, `len` bytes at most FSH_RECORD_MAX. */
void fsh_pen_record(struct fsh_pen *pen, struct fsh_session *session, enum fsh_op op, const void *fields, size_t len);
/* A clock was read. Nothing is written while passes are only counted. */
void fsh_pen_value(struct fsh_pen *pen, struct fsh_session *session, enum fsh_source source, uint64_t value);
/* After a writer was left in the middle of a record: nothing of it stays. */
void fsh_pen_mend(struct fsh_pen *pen);
/* The slow path of fsh_pen_pass: time mark, new context, full ring. `rules` are bits over `list`. */
void fsh_pen_pass_slow(struct fsh_pen *pen, struct fsh_session *session, const struct fsh_slot *context,
                       const struct fsh_candidates *list);
/* CLOCK_MONOTONIC in ns. A system call unless the shim has put the vDSO's reader into fsh_clock. */
extern int (*fsh_clock)(int clock, void *timespec);
uint64_t fsh_monotonic(void);
/* A few milliseconds behind, and cheaper. */
uint64_t fsh_monotonic_coarse(void);
/* ns since the start of the run. */
uint64_t fsh_session_now(const struct fsh_session *session);
/* The time that phases are measured by. */
uint64_t fsh_session_coarse(const struct fsh_session *session);

/* Fields of a record, written front to back; too much is cut off and the result is still well-formed for texts. */
struct fsh_fields {
    uint8_t bytes[FSH_RECORD_MAX];
    size_t len;
};
void fsh_put_u64(struct fsh_fields *fields, uint64_t v);
void fsh_put_varint(struct fsh_fields *fields, uint64_t v);
void fsh_put_text(struct fsh_fields *fields, const char *text, size_t len);

static inline uint64_t fsh_what(enum fsh_call call, enum fsh_kind kind, uint64_t resource) {
    return resource << 16 | (uint64_t)kind << 12 | (uint64_t)call;
}

static inline unsigned fsh_slot_of(uint64_t what, uint64_t rules) {
    return (unsigned)(((what ^ (what >> 16) * 5 ^ rules * 11) * 0x9e3779b1u) >> 13) & (FSH_SLOTS - 1);
}

/* A decision that passed, in the steady case: one byte. False: fsh_pen_pass_slow has to write it. */
static inline bool fsh_pen_pass_quick(struct fsh_pen *pen, uint64_t what, uint64_t rules, uint64_t size) {
    unsigned i = fsh_slot_of(what, rules);
    const struct fsh_slot *slot = &pen->slots[i];
    uint32_t pos = pen->pos;
    if (__builtin_expect((slot->what ^ what) | (slot->rules ^ rules) | (slot->size ^ size) | slot->site || pos >= pen->limit, 0))
        return false;
    pen->n++;
    ((volatile uint8_t *)pen->data)[pos] = (uint8_t)(OP_SAME + i);
    pen->pos = pos + 1;
    return true;
}

/* Any decision that passed. */
static inline void fsh_pen_pass(struct fsh_pen *pen, struct fsh_session *session, const struct fsh_slot *context,
                                const struct fsh_candidates *list) {
    if (context->site || !fsh_pen_pass_quick(pen, context->what, context->rules, context->size))
        fsh_pen_pass_slow(pen, session, context, list);
}

#endif
