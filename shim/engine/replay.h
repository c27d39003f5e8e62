/* replay.h: the script of a replay: what every thread is expected to do and what it then gets. `faultshim replay` compiles it
 * from a trace and puts it into the new session; the shim follows it. There are three modes:
 *   exact   the nth decision of a thread is the recorded one, and gets what that one got
 *   set     the nth decision like this one (call, kind, resource) gets it: on a file whoever makes it, on a socket or a pipe
 *           within the process, on nothing within the thread
 *   site    the same by call and call stack, where the trace has stacks
 *   place   no recorded outcome: at the marked places, by call stack, call and kind, the rules fire as if they had been drawn. This
 *           is how `faultshim explore` puts a fault where it wants one; every considered call has its call stack in the trace
 * In all modes what a thread reads of clocks and random bytes, where that was recorded, is given back to it, one read after the
 * other (record = time, random). Read-only in the shim, but for the counts of points, marks and values.
 *
 * Layout of the script region (little-endian, 8-byte aligned parts, offsets from the region's start):
 *   struct fsh_script
 *   struct fsh_script_thread[n_threads]     sorted by process key, thread key, image; exact
 *   struct fsh_script_context[n_contexts]
 *   struct fsh_script_fault[n_faults]
 *   uint32_t steps[]                        one a decision: number of its context, FSH_STEP_FAULT set if faults follow;
 *                                           then the number of its first fault (one word more). Of several faults (continue)
 *                                           all but the last have FAULT_MORE. FSH_STEP_PLAN and the number of a load: the thread
 *                                           turned to that profile, when so many calls (the next word) had been met that no rule
 *                                           was asked about
 *   struct fsh_script_point[n_points]       sorted by owner, key, call, kind; set and site
 *   struct fsh_script_mark[n_marks]         of a point: sorted by ordinal; in the mode `place`, `fault` is FSH_PLACE_ bits
 *   struct fsh_script_series[n_series]      what a thread has read of one source
 *   uint64_t values[], uint8_t bytes[]
 *   uint64_t rebuilt[n_rebuilt]             hashes of the names of modules that are another build now; site */
#ifndef FSH_REPLAY_H
#define FSH_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "calls.h"
#include "draw.h"

#define FSH_STEP_FAULT 0x80000000u
#define FSH_STEP_PLAN  0x40000000u

enum fsh_replay_mode { REPLAY_EXACT, REPLAY_SET, REPLAY_SITE, REPLAY_PLACE };

/* What is wanted at a place: a fault line of the rule, as its number + 1 (0: as it is drawn), and whether the rule goes on firing
 * at every call that it considers from then on. */
#define FSH_PLACE_LINE    0xffu
#define FSH_PLACE_LASTING 0x100u

struct fsh_script {
    uint32_t n_threads, n_contexts, n_faults, pad;
    uint64_t threads, contexts, faults, steps; /* offsets */
    uint64_t n_steps;                          /* words */
    uint32_t mode;                             /* enum fsh_replay_mode */
    uint32_t stop;                             /* 1: at the first divergence nothing more is injected in that thread */
    uint32_t n_points, n_marks;
    uint64_t points, marks;                      /* offsets */
    uint64_t until, until_process, until_thread; /* the process stops before this decision of that thread, from 1; 0 for never */
    uint32_t stopped;                            /* its process id, once it has */
    uint32_t lasting; /* place: what goes on firing, as its rule + 1 in the upper half and FSH_PLACE_ bits; 0: nothing yet */
    uint32_t n_series, pad2;
    uint64_t series, values, bytes; /* offsets */
    uint64_t n_values, n_bytes;
    uint64_t start_monotonic, start_realtime; /* of the recorded run, ns */
    uint64_t given[2], beyond[2];             /* values and bytes so far in the replay: as recorded; after the end of what was */
    uint64_t rebuilt, n_rebuilt;              /* offset; modules */
};

/* The key of a call stack, frame by frame from the innermost: of a module that has been built anew by its functions, since offsets
 * in it are other ones, and of all others by offset. `function`: hash of its name, 0 if it is not known. */
static inline uint64_t fsh_fold_frame(uint64_t key, uint64_t module, bool rebuilt, uint64_t function, uint64_t offset) {
    return fsh_fold(fsh_fold(key, module), rebuilt ? function : offset);
}

/* What one thread has read of one source: values, or bytes where source is SOURCES. */
struct fsh_script_series {
    uint64_t process_key, thread_key;
    uint32_t image, source;
    uint64_t first, count;
};

struct fsh_script_thread {
    uint64_t process_key, thread_key;
    uint32_t image, pad;
    uint64_t first, count; /* words in steps */
};

struct fsh_script_context {
    uint16_t call; /* numbers of this build */
    uint8_t kind, pad[5];
    uint64_t resource_key; /* 0 for none */
};

/* Decisions that are alike, of which some get faults. */
struct fsh_script_point {
    uint64_t owner, key; /* fsh_point_owner; of the resource, or of the call stack */
    uint16_t call;
    uint8_t kind, pad[5];
    uint32_t first, n; /* marks */
    uint64_t seen;     /* so far in the replay */
};

struct fsh_script_mark {
    uint64_t ordinal; /* from 0 */
    uint32_t fault;   /* the first of its faults */
    uint32_t met;     /* 1: it has been given */
};

/* Whose decisions are counted together: 0 for everybody's. */
static inline uint64_t fsh_point_owner(unsigned kind, uint64_t resource_key, uint64_t process_key, uint64_t thread_key) {
    if (!resource_key)
        return fsh_fold(process_key, thread_key);
    return kind == FSH_ON_FILE ? 0 : process_key;
}

struct fsh_script_fault {
    uint16_t rule;
    uint8_t line, fault;
    int32_t error;
    uint32_t flags, thread; /* index in the recorded trace */
    uint64_t amount, key, ordinal, word, bytes;
    uint64_t held; /* ns after which its rule went off and released the call; UINT64_MAX: it did not */
};

#endif
