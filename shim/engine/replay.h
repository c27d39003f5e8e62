/* replay.h: the script of a replay: what every thread is expected to do and what it then gets. `faultshim replay` compiles it
 * from a trace and puts it into the new session; the shim follows it. Read-only in the shim.
 *
 * Layout of the script region (little-endian, 8-byte aligned parts, offsets from the region's start):
 *   struct fsh_script
 *   struct fsh_script_thread[n_threads]     sorted by process key, thread key, image
 *   struct fsh_script_context[n_contexts]
 *   struct fsh_script_fault[n_faults]
 *   uint32_t steps[]                        one a decision: number of its context, FSH_STEP_FAULT set if faults follow;
 *                                           then the number of its first fault (one word more). Of several faults (continue)
 *                                           all but the last have FAULT_MORE. */
#ifndef FSH_REPLAY_H
#define FSH_REPLAY_H

#include <stdint.h>

#define FSH_STEP_FAULT 0x80000000u

struct fsh_script {
    uint32_t n_threads, n_contexts, n_faults, pad;
    uint64_t threads, contexts, faults, steps; /* offsets */
    uint64_t n_steps;                          /* words */
    uint32_t mode;                             /* 0 exact */
    uint32_t stop;                             /* 1: at the first divergence nothing more is injected in that thread */
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

struct fsh_script_fault {
    uint16_t rule;
    uint8_t line, fault;
    int32_t error;
    uint32_t flags, pad;
    uint64_t amount, key, ordinal, word, bytes;
    uint64_t held; /* ns after which its rule went off and released the call; UINT64_MAX: it did not */
};

#endif
