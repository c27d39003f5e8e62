/* plan.h: a profile as rules, and rules compiled to what the hot path reads.
 *
 * profile.c fills struct fsh_profile from INI text; plan.c checks that rules and calls go together and compiles one list of
 * candidates for each (call, kind). Both take their memory from an arena that the caller supplies, so that they run in a
 * program whose malloc must not be called. Nothing here changes after fsh_plan_build, so threads read it freely. */
#ifndef FSH_PLAN_H
#define FSH_PLAN_H

#include "calls.h"
#include "faults.h"

enum {
    FSH_STORM_MAX = 4096,     /* connections that a rule may limit them to */
    FSH_RULES_MAX = 1024,     /* rules in a profile */
    FSH_FAULTS_MAX = 32,      /* fault lines in a rule */
    FSH_CANDIDATES_MAX = 64,  /* rules that consider one call on one kind of descriptor */
    FSH_PHASES_MAX = 64,      /* phases, and events that rules wait for */
    FSH_LEVEL_FULL = 1 << 16, /* an intensity of 100 % */
    FSH_MARK_MAX = 48,        /* bytes of a mark */
    FSH_NAME_MAX = 64,        /* bytes of a rule's name */
    FSH_LINE_MAX = 4096,      /* bytes of a line in a profile */
    FSH_PROFILE_MAX = 1 << 20 /* bytes of a profile */
};

/* The texts of a `replace`: by field, NULL where it stays. */
struct fsh_names {
    const char *v[6]; /* sysname, nodename, release, version, machine, domainname */
};
enum { FSH_NAME_SYSTEM, FSH_NAME_NODE, FSH_NAME_RELEASE, FSH_NAME_VERSION, FSH_NAME_MACHINE, FSH_NAME_DOMAIN, FSH_NAMES };

/* Memory handed out front to back and never given back one by one. */
struct fsh_arena {
    char *base;
    size_t size, used;
    bool is_zeroed; /* what is not used yet holds zeros, and need not be touched */
};
/* Zeroed memory, aligned to 16; NULL when the arena is full. */
void *fsh_arena_get(struct fsh_arena *arena, size_t size);
/* A copy of `len` bytes, ended by NUL; NULL when the arena is full. */
char *fsh_arena_text(struct fsh_arena *arena, const char *text, size_t len);
/* Enough for any profile of `len` bytes: what an arena for it must hold. */
size_t fsh_arena_need(size_t len);

/* One error, whole: "file:line: what is wrong; what to write instead". */
struct fsh_error {
    char text[640];
};

struct fsh_texts {
    const char **v;
    unsigned n;
};

struct fsh_range {
    uint64_t lo, hi; /* both included */
};

/* nth: candidates first, first + step, … up to last; counted from 1. */
struct fsh_step {
    uint64_t first, last, step;
};

struct fsh_steps {
    struct fsh_step *v;
    unsigned n;
};

/* draw: words. */
struct fsh_words {
    uint64_t *v;
    unsigned n;
};

struct fsh_ranges {
    struct fsh_range *v;
    unsigned n;
};

/* A share of 1 as a 64-bit threshold: a word fires if it is below; `always` for 100 %. */
struct fsh_share {
    uint64_t threshold;
    bool always;
};

enum fsh_key { KEY_DEFAULT, KEY_THREAD, KEY_RESOURCE, KEY_SITE, KEY_RUN };
enum fsh_sticky { STICKY_NO, STICKY_RESOURCE, STICKY_RULE };
enum fsh_when { WHEN_BEFORE, WHEN_AFTER, WHEN_DURING };
enum fsh_dist { DIST_UNIFORM, DIST_NORMAL, DIST_PARETO, DIST_LOG_UNIFORM };
enum fsh_corrupt_how { CORRUPT_BITS, CORRUPT_BYTES, CORRUPT_ZERO, CORRUPT_JUNK, CORRUPT_REPLACE };
enum fsh_corrupt_where { CORRUPT_EITHER, CORRUPT_TRANSIENT, CORRUPT_STORED, CORRUPT_AT_REST };
/* Clocks that a fault of time acts on; those that go with them (…_COARSE, …_ALARM, TAI, MONOTONIC_RAW) do too. */
enum fsh_clock_bit { CLOCK_BIT_REAL = 1, CLOCK_BIT_MONO = 2, CLOCK_BIT_BOOT = 4 };
enum fsh_as { AS_NOTHING, AS_DELAY, AS_RESET };
enum fsh_trace_mode { TRACE_ALL, TRACE_FAULTS, TRACE_OFF };
enum fsh_children { CHILDREN_FOLLOW, CHILDREN_SKIP };
enum fsh_headstart { HEADSTART_NONE, HEADSTART_TIME, HEADSTART_CALLS, HEADSTART_LISTEN };
enum fsh_io_uring { IO_URING_REFUSE, IO_URING_ALLOW };
enum { RECORD_TIME = 1, RECORD_RANDOM = 2, RECORD_ENVIRONMENT = 4 };
enum fsh_stacks { STACKS_OFF, STACKS_FAULTS, STACKS_ALL };
enum fsh_output { OUTPUT_LEAVE, OUTPUT_KEEP };
enum fsh_reach { REACH_RULES, REACH_FULL };
enum fsh_unit_of_phase { UNIT_OPEN, UNIT_TIME, UNIT_OPS };
enum fsh_event_kind { EVENT_NONE, EVENT_FIRED, EVENT_MARK };
enum fsh_raise { RAISE_NOT, RAISE_TO, RAISE_BY };
enum fsh_doors { DOORS_AUTO, DOORS_SYMBOLS, DOORS_SITES };
enum fsh_doors_in { DOORS_IN_LIBC = 1, DOORS_IN_LD = 2, DOORS_IN_LIBRARIES = 4, DOORS_IN_PROGRAM = 8 };

/* What faults of the network have beyond the others. */
struct fsh_net_spec {
    uint64_t after;   /* reset: bytes that pass before */
    uint64_t limit;   /* storm: connections; short: bytes of a slice; reorder: datagrams */
    uint8_t as;       /* enum fsh_as: loss on a stream */
    bool auto_length; /* reply: with Content-Length */
    uint32_t n_text;
    const char *text; /* reply: its bytes */
    const char *path; /* reply: the file that they stand in; NULL if the profile has them */
};

/* Losses in bursts (Gilbert, Elliott): a chain of two states, good and bad; in the bad one everything is lost. */
struct fsh_burst {
    uint64_t worsens; /* threshold of its draw: good to bad */
    uint64_t heals;   /* the same, bad to good */
    bool on;
};

/* One `fault =` line. */
struct fsh_fault_spec {
    uint8_t kind;   /* enum fsh_fault_kind */
    uint8_t when;   /* enum fsh_when: delay, crash */
    uint8_t dist;   /* enum fsh_dist: delay */
    uint8_t how;    /* enum fsh_corrupt_how; fill: CORRUPT_BYTES or CORRUPT_JUNK */
    uint8_t where;  /* enum fsh_corrupt_where */
    bool tree;      /* crash: the whole run */
    bool exits;     /* crash: by exit status, not signal */
    bool dies;      /* torn: then=crash */
    bool keeps;     /* fsync-fail: keep-data */
    bool back;      /* misdirect: towards the start; faults of clocks: backwards, slower */
    uint8_t clocks; /* faults of clocks: enum fsh_clock_bit, as bits */
    int signal;     /* crash: default SIGKILL; signal */
    int status;     /* crash: exit status */
    unsigned line;
    unsigned weight;   /* at least 1 */
    const int *errnos; /* error, error-after: at least one, in the order written */
    unsigned n_errnos;
    struct fsh_range amount; /* delay, pause, cpu, yield: ns; memory: bytes; corrupt: bits or bytes; early: share in 1/2^32;
                                skew, jump, freeze, strobe, late: ns; drift: billionths that the rate differs from 1 */
    uint64_t jitter;         /* delay: ± ns; with dist=normal sigma, in ns */
    uint64_t spike;          /* delay: a word below this multiplies it… */
    uint64_t spike_factor;   /* …by this; 0: no spikes */
    uint64_t limit; /* quota, budget: bytes; descriptors: number; stall: ns, UINT64_MAX for no end; memory: ns that it is kept;
                       torn: bytes of a sector; fill: the byte; strobe: ns that it lasts */
    const char *from, *to;         /* corrupt replace: the texts; misdirect: the glob; once-per-stack: the file */
    uint32_t n_from, n_to;         /* their lengths */
    const struct fsh_names *names; /* replace */
    uint64_t period;               /* strobe: ns between two flips */
    struct fsh_net_spec net;
};

/* [phase NAME], or the `on` of a rule: then it has the rule's name, begins with the event and lasts as long as `for` says. */
struct fsh_phase {
    const char *name;
    const char *file; /* where it was defined */
    unsigned line;
    bool of_rule;            /* an `on` */
    bool named;              /* some rule says phase = NAME */
    uint8_t unit;            /* enum fsh_unit_of_phase: what all of its positions are in, ns or operations */
    uint64_t from, to;       /* counted from its start; UINT64_MAX: no end */
    uint64_t every, span;    /* bursts; 0 for none */
    uint32_t first, last;    /* intensity at its beginning and end, of FSH_LEVEL_FULL */
    uint8_t event;           /* enum fsh_event_kind: what starts it; EVENT_NONE: the run */
    const char *event_name;  /* of the rule, or the text of the mark */
    uint16_t event_rule;     /* by number, when the profile has been read */
    uint8_t raise;           /* enum fsh_raise: of an `on` */
    struct fsh_share raised; /* to what, or by what */
};

/* `calls`: which pairs of call and kind a rule takes in. */
struct fsh_selector {
    const char *text; /* as written */
    unsigned line;
    bool exact;            /* one call by its name: what does not fit it is an error, not left out */
    uint8_t on[FSH_CALLS]; /* bit k: call on kind k */
};

struct fsh_rule {
    const char *name;
    const char *file; /* where it was defined */
    unsigned line;
    uint64_t hash; /* of the name */

    struct fsh_selector *calls, *except;
    unsigned n_calls, n_except;
    unsigned n_aliases; /* fault lines that name one */
    struct fsh_texts path, not_path, peer, local, caller, stack, not_stack, process, thread, phase;
    struct fsh_ranges fd;
    struct fsh_range size;
    bool has_size;
    uint64_t depth; /* frames that stack and not_stack look at; 0: all that there are */

    struct fsh_share probability; /* default: always */
    struct fsh_steps nth;
    struct fsh_words draw; /* one for each candidate of nth, or none */
    uint64_t interval, skip, times, space;
    bool has_interval, has_skip, has_times, has_space;
    struct fsh_share active; /* default: always */
    uint8_t sticky, key;
    struct fsh_fault_spec *faults;
    unsigned n_faults;
    struct fsh_burst burst; /* loss gemodel */
    uint64_t first;         /* loss first=N; 0 for all */
    bool cont, any_errno, enabled;
    const char *message;
    uint64_t phases;      /* those that it names, as bits */
    uint64_t events;      /* its own `on` lines, as bits over phases */
    uint64_t starts;      /* phases and `on` lines that begin when it fires */
    bool by_time, by_ops; /* some phase or event of it is measured so */

    /* by plan.c */
    const struct fsh_profile *of;
    uint64_t counters; /* what its shared counters are found by: rules of one name in two profiles count apart */
    unsigned index;    /* in the profile's order, behind the rules of all profiles before it */
    bool in_run;       /* enabled, and drawn to be active in this run */
    unsigned n_pairs;  /* pairs of call and kind that consider it */
};

struct fsh_options {
    uint64_t seed;
    bool has_seed;
    uint8_t trace, clock, children, headstart, doors, io_uring, stacks, output;
    uint8_t control;           /* enum fsh_reach: what profiles that are loaded later may do */
    uint8_t record;            /* RECORD_ */
    uint8_t doors_in;          /* DOORS_IN_ */
    uint64_t headstart_amount; /* ns or calls */
    uint64_t trace_limit;
};

struct fsh_profile {
    struct fsh_options options;
    struct fsh_rule *rules;
    unsigned n_rules;
    struct fsh_phase *phases;
    unsigned n_phases;
    /* of one that is loaded into a run, set before its plan is built */
    unsigned load;                        /* its number, from 1; 0: the run began with it */
    unsigned rules_before, phases_before; /* of all profiles before it */
};

/* INI text to rules. `name` stands in errors. A line `;@source NAME` makes what follows it stand in errors as NAME:1,
 * NAME:2…, so that profiles and one-liners can be joined into one text. All strings are copied into the arena.
 * Returns 0, -EINVAL with *error set, or -ENOMEM. */
int fsh_profile_parse(struct fsh_profile *profile, struct fsh_arena *arena, const char *text, size_t len, const char *name,
                      struct fsh_error *error);

/* A one-liner ('calls=@file.sync fault=error:EIO probability=2%') to the lines of a [rule NAME] section, in `out`.
 * Returns the length written, or -EINVAL with *error set, or -ENOSPC. */
int fsh_profile_one_liner(char *out, size_t size, const char *line, const char *name, struct fsh_error *error);

/* Names of the rules, or of the phases ("on NAME" for the `on` of a rule), NUL-separated: what the trace keeps. Returns their
 * length, which may be more than `size`: then some are missing. */
size_t fsh_profile_rule_names(const struct fsh_profile *profile, char *out, size_t size);
size_t fsh_profile_phase_names(const struct fsh_profile *profile, char *out, size_t size);

/* What a candidate needs looked at beyond its draw. */
enum {
    CAND_FILTER = 1, /* path, peer, local, fd, size, caller, thread: matched before it counts */
    CAND_COUNT = 2,  /* nth, skip, interval, space, times, sticky */
    CAND_CONTINUE = 4,
    CAND_FACTS = 8,     /* some alternative depends on the size, on O_NONBLOCK or on O_DIRECT */
    CAND_NONBLOCK = 16, /* …on O_NONBLOCK, which costs a system call to know */
    CAND_CALL = 32,     /* fd, size, caller: filters that differ from call to call, not only by resource and thread */
    CAND_PHASED = 64,   /* the threshold is not the profile's alone: it has phases or waits for events */
    CAND_STATE = 128,   /* its fault depends on what the shim has to look at: see struct fsh_facts.room */
    CAND_ALIVE = 512,   /* …on how many connections are open */
    CAND_BELOW = 256    /* the rule meets the call that this one is made of too: at a syscall door, only there */
};

/* One rule as seen from one call on one kind. */
struct fsh_candidate {
    uint64_t threshold;    /* of the probability: 0 never, UINT64_MAX always */
    uint32_t alternatives; /* bit i: fault line i fits this call */
    uint32_t blocking;     /* of these: can act on a descriptor in blocking mode */
    uint32_t sized;        /* of these: depend on the size or O_DIRECT */
    uint16_t rule;
    uint16_t slot;  /* of the rule among those that a resource keeps counters for; FSH_NO_SLOT for none */
    uint8_t key;    /* enum fsh_key, resolved */
    uint16_t flags; /* CAND_ */
};
enum { FSH_NO_SLOT = 0xffff };

/* What a list of candidates needs at most. */
enum fsh_shape {
    SHAPE_MIXED,
    SHAPE_THREAD,  /* all are draws keyed by the thread, and nothing more */
    SHAPE_RESOURCE /* all are draws keyed by the resource, filtered by what the resource and the thread settle */
};

struct fsh_candidates {
    const struct fsh_candidate *v;
    unsigned n;
    uint8_t shape; /* enum fsh_shape */
    bool is_mixed; /* some are CAND_BELOW and some are not */
};

struct fsh_plan {
    const struct fsh_profile *profile;
    uint64_t seed;
    struct fsh_candidates on[FSH_CALLS][FSH_KINDS];
    uint16_t *slots; /* by rule: see fsh_candidate.slot */
    unsigned n_slots;
    bool armed[FSH_CALLS];    /* some kind has a candidate */
    bool needs_descriptors;   /* some rule considers files, sockets or pipes: descriptors are kept track of */
    bool needs_stacks;        /* some rule is keyed by site or looks at stacks, or the trace holds them */
    bool needs_links;         /* some fault leaves something behind on a connection */
    bool has_detours;         /* some fault makes waiting for descriptors another thing */
    bool moves_links;         /* some fault leads descriptors elsewhere: waits that another thread began are to notice */
    bool needs_files_settled; /* some fault keeps account of files: calls that change one are followed up */
    bool limits_connections;  /* some fault is a storm */
    bool loses_data;          /* some fault does away with what was written: a journal is kept */
    bool needs_live_bytes;    /* some fault keeps account of the heap */
    bool has_clocks;          /* some fault changes a clock */
    bool needs_shared_keys;   /* some rule counts by resource or site: counters in the session */
};

/* Checks the rules against the tables and compiles them. `seed` settles the draws of `active`.
 * Returns 0, -EINVAL with *error set, or -ENOMEM. */
int fsh_plan_build(struct fsh_plan *plan, const struct fsh_profile *profile, uint64_t seed, struct fsh_arena *arena,
                   struct fsh_error *error);

/* The plan of a profile that is loaded after that of `before`: slots are numbered on, and what `before` may have left behind is
 * looked at by this one too. */
void fsh_plan_follow(struct fsh_plan *plan, const struct fsh_plan *before);
/* Whether a run that began with `first` meets all that `later` asks for: calls, and what was prepared at its start. Returns 0, or
 * -EINVAL with *error set. */
int fsh_plan_within(const struct fsh_plan *first, const struct fsh_plan *later, struct fsh_error *error);

/* Whether a pattern of `path` can match nothing but the devices of random bytes. */
bool fsh_names_random(const char *pattern);
enum { FSH_SECTOR = 512, FSH_DEPTH_MAX = 32 };

/* Whether the later calls on the same socket meet what the fault leaves behind there. */
bool fsh_fault_leaves_traces(const struct fsh_fault_spec *spec);

/* A reply of HTTP with its Content-Length filled in: `out` has room for n + FSH_REPLY_ROOM bytes. Returns its length. */
enum { FSH_REPLY_ROOM = 64 };
size_t fsh_reply_compose(char *out, const char *text, size_t n);

/* Whether `e` may be what the rule makes the call report: an errno of its manual page, or any of its kind with any-errno. */
bool fsh_rule_allows(const struct fsh_rule *rule, unsigned call, unsigned kind, int e);

/* Globs. `*` matches within a path component, `**` across; `?` and [a-z] as usual; a pattern without `/` is matched
 * against the last component. With `flat`, `*` matches anything and the whole text is matched. */
bool fsh_glob(const char *pattern, const char *text, bool flat);
bool fsh_any_glob(const struct fsh_texts *patterns, const char *text, bool flat);
/* The word of `words` nearest to `text` by edit distance, or NULL if none is near. */
const char *fsh_nearest(const char *text, size_t len, const char *const *words, size_t n);

#endif
