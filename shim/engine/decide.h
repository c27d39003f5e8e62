/* decide.h: pure decisions: (rule, facts, ordinal) to verdict. No state, no clock, no system call: the shim decides with it
 * while the program runs, and `faultshim verify` decides again from the trace with the same code. */
#ifndef FSH_DECIDE_H
#define FSH_DECIDE_H

#include <errno.h>

#include "plan.h"

/* What an alternative may depend on. */
struct fsh_facts {
    uint16_t call;
    uint8_t kind;
    bool nonblocking; /* EAGAIN and EINPROGRESS are only legal then */
    bool direct;      /* O_DIRECT: lengths keep their alignment */
    bool forced;      /* bad-sector, fsync-fail: because of what happened before, not by a draw */
    uint64_t alive;   /* connections that are open already: for storm */
    uint64_t size;    /* bytes asked for; messages, descriptors, or ns to sleep where the call has no bytes */
    /* What the state of the fault lets pass, in CAND_STATE candidates: bytes for quota and budget, 0 or 1 for descriptors and
     * once-per-stack, bytes that can be read for bad-sector, ns that a wait lasts at most for early. A fault record has it in the
     * place of `bytes`. */
    uint64_t room;
};

struct fsh_verdict {
    uint16_t rule;
    uint8_t alternative; /* fault line in the rule */
    uint8_t fault;       /* enum fsh_fault_kind */
    int error;           /* errno or EAI_ code, 0 if the fault has none */
    uint64_t amount;     /* bytes, ns, bits: as the fault has it */
    uint64_t key, ordinal, word;
    bool lasting; /* nothing fired: the call meets what an earlier fault left behind */
};

/* Errors that a descriptor in blocking mode never reports: the call would have waited. */
static inline bool fsh_needs_nonblocking(int e) {
    return e == EAGAIN || e == EWOULDBLOCK || e == EINPROGRESS || e == EALREADY;
}

/* Fault lines of the candidate that can act on these facts, as bits: 0 means that the rule does not match. */
uint32_t fsh_alternatives(const struct fsh_rule *rule, const struct fsh_candidate *cand, const struct fsh_facts *facts);

/* Whether skip, nth, interval, space and probability let the candidate number `ordinal` (from 0) fire. `threshold` is the
 * probability (fsh_rule_threshold), `bytes` what passed before it under the same key, `word` its draw. `times` and `sticky` are the
 * caller's. */
bool fsh_fires(const struct fsh_rule *rule, uint64_t threshold, uint64_t ordinal, uint64_t bytes, uint64_t size, uint64_t word);

/* The word that choice and amounts come from: `word`, or what the rule gives in its place. */
uint64_t fsh_rule_word(const struct fsh_rule *rule, uint64_t ordinal, uint64_t word);

/* Chooses among `alternatives` and draws the amounts, from the words after `word`. */
void fsh_choose(const struct fsh_rule *rule, uint32_t alternatives, const struct fsh_facts *facts, uint64_t word,
                struct fsh_verdict *verdict);

#endif
