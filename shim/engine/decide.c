/* decide.c: pure decisions. Runs on the hot path's slow side, at every considered call whose rule looks at more than its
 * draw, in any context (signal handlers, after fork): no state, no call. `faultshim verify` runs the same code. */
#include "decide.h"

#include "distribution.h"
#include "draw.h"

/* tcp(7): the shortest time after which Linux sends again, in ns. */
enum { RETRANSMISSION = 200000000 };
enum { DIRECT_ALIGN = 4096, PIPE_ATOMIC = 4096 /* PIPE_BUF: pipe(7) */ };

static bool legal(const struct fsh_rule *rule, const struct fsh_facts *facts, int e) {
    if (facts->kind >= FSH_ON_STREAM && !facts->nonblocking && !rule->any_errno && fsh_needs_nonblocking(e))
        return false;
    return fsh_rule_allows(rule, facts->call, facts->kind, e);
}

static unsigned count_legal(const struct fsh_rule *rule, const struct fsh_fault_spec *spec, const struct fsh_facts *facts) {
    unsigned n = 0;
    for (unsigned i = 0; i < spec->n_errnos; i++)
        n += legal(rule, facts, spec->errnos[i]);
    return n;
}

/* Whether a part of the transfer can be done that is neither nothing nor all. */
static bool can_be_partial(const struct fsh_facts *facts) {
    if (facts->direct)
        return facts->size >= 2 * DIRECT_ALIGN;
    if (facts->kind == FSH_ON_PIPE && facts->size <= PIPE_ATOMIC && fsh_call_writes(facts->call))
        return false; /* pipe(7): writes of up to PIPE_BUF bytes are atomic */
    return facts->size >= 2;
}

static uint64_t sector_of(const struct fsh_fault_spec *spec, const struct fsh_facts *facts) {
    return facts->direct && spec->limit < DIRECT_ALIGN ? DIRECT_ALIGN : spec->limit;
}

/* A sleep's size, or what a wait lasts at most. */
static uint64_t time_of(const struct fsh_facts *facts) {
    return fsh_calls[facts->call].roles.sleeps ? facts->size : facts->room;
}

/* Only for what the plan found to depend on the size. */
static bool can_act(const struct fsh_fault_spec *spec, const struct fsh_facts *facts) {
    if (spec->kind == FAULT_STORM)
        return facts->alive >= spec->net.limit;
    if (spec->kind == FAULT_SHORT || spec->kind == FAULT_CRASH)
        return can_be_partial(facts);
    switch (spec->kind) {
    case FAULT_TORN:
        return facts->size > sector_of(spec, facts);
    case FAULT_QUOTA:
        return facts->room < (facts->size ? facts->size : 1);
    case FAULT_BUDGET:
        return facts->room < facts->size;
    case FAULT_DESCRIPTORS:
    case FAULT_ONCE_PER_STACK:
        return facts->room == 0;
    case FAULT_BAD_SECTOR:
        return facts->size > 0 && (facts->room > 0 || facts->forced);
    case FAULT_FSYNC_FAIL:
        return true;
    case FAULT_EARLY:
        return time_of(facts) > 0;
    default:
        break;
    }
    return facts->size > 0;
}

uint32_t fsh_alternatives(const struct fsh_rule *rule, const struct fsh_candidate *cand, const struct fsh_facts *facts) {
    uint32_t able = facts->nonblocking ? cand->alternatives : cand->blocking;
    for (uint32_t left = able & cand->sized; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctz(left);
        if (!can_act(&rule->faults[i], facts))
            able &= ~(1u << i);
    }
    return able;
}

static bool in_steps(const struct fsh_steps *steps, uint64_t n) {
    for (unsigned i = 0; i < steps->n; i++) {
        const struct fsh_step *step = &steps->v[i];
        if (n >= step->first && n <= step->last && (n - step->first) % step->step == 0)
            return true;
    }
    return false;
}

/* The state of the chain at `ordinal`. Each draw takes good to bad if it is below `worsens`, and bad to good if it is at `heals` or
 * more from the top; so most draws settle the state whatever it was before, and looking back ends soon. It begins good. */
static bool in_burst(const struct fsh_burst *burst, uint64_t ordinal, uint64_t word) {
    enum { FAR_BACK = 1 << 16 };
    bool flipped = false;
    for (uint64_t i = 0; i <= ordinal && i < FAR_BACK; i++) {
        bool to_bad = word < burst->worsens, stays_bad = word < UINT64_MAX - burst->heals;
        if (to_bad == stays_bad)
            return to_bad != flipped;
        flipped ^= to_bad; /* both states change, or neither does */
        word = fsh_earlier_word(word);
    }
    return flipped;
}

bool fsh_fires(const struct fsh_rule *rule, uint64_t threshold, uint64_t ordinal, uint64_t bytes, uint64_t size, uint64_t word) {
    if (word >= threshold && threshold != UINT64_MAX)
        return false;
    if ((rule->first && ordinal >= rule->first) || (rule->burst.on && !in_burst(&rule->burst, ordinal, word)))
        return false;
    if (rule->has_skip && ordinal < rule->skip)
        return false;
    if (rule->has_interval && (ordinal - (rule->has_skip ? rule->skip : 0)) % rule->interval != rule->interval - 1)
        return false;
    if (rule->nth.n && !in_steps(&rule->nth, ordinal + 1))
        return false;
    /* The call that would go past the space fires, and so does every one after the space is used up. */
    return !rule->has_space || bytes >= rule->space || size > rule->space - bytes;
}

uint64_t fsh_rule_word(const struct fsh_rule *rule, uint64_t ordinal, uint64_t word) {
    uint64_t n = ordinal + 1, at = 0;
    for (unsigned i = 0; rule->draw.n && i < rule->nth.n; i++) {
        const struct fsh_step *s = &rule->nth.v[i];
        if (n >= s->first && n <= s->last && (n - s->first) % s->step == 0) {
            at += (n - s->first) / s->step;
            return at < rule->draw.n ? rule->draw.v[at] : word;
        }
        at += (s->last - s->first) / s->step + 1;
    }
    return word;
}

static unsigned pick(const struct fsh_rule *rule, uint32_t alternatives, uint64_t word) {
    uint64_t sum = 0;
    for (uint32_t left = alternatives; left; left &= left - 1)
        sum += rule->faults[__builtin_ctz(left)].weight;
    uint64_t at = fsh_below(word, sum);
    uint32_t left = alternatives;
    while (at >= rule->faults[__builtin_ctz(left)].weight) {
        at -= rule->faults[__builtin_ctz(left)].weight;
        left &= left - 1;
    }
    return (unsigned)__builtin_ctz(left);
}

static int pick_errno(const struct fsh_rule *rule, const struct fsh_fault_spec *spec, const struct fsh_facts *facts,
                      uint64_t word) {
    unsigned n = count_legal(rule, spec, facts);
    if (n == 0)
        return 0;
    uint64_t at = fsh_below(word, n);
    for (unsigned i = 0;; i++)
        if (legal(rule, facts, spec->errnos[i]) && at-- == 0)
            return spec->errnos[i];
}

/* What a full server and a full client say. */
static int refusal(const struct fsh_facts *facts) {
    return fsh_calls[facts->call].class_of[facts->kind] == C_NET_ACCEPT ? EMFILE : ECONNREFUSED;
}

/* Neither nothing nor all; whole blocks under O_DIRECT. */
static uint64_t draw_part(const struct fsh_facts *facts, uint64_t word) {
    uint64_t unit = facts->direct ? DIRECT_ALIGN : 1;
    uint64_t most = facts->size > 0 ? (facts->size - 1) / unit : 0;
    return most ? (1 + fsh_below(word, most)) * unit : 0;
}

/* The same where no slice is longer than the rule says. */
static uint64_t draw_slice(const struct fsh_fault_spec *spec, const struct fsh_facts *facts, uint64_t word) {
    uint64_t most = facts->size - 1;
    if (!spec->net.limit || facts->direct)
        return draw_part(facts, word);
    return 1 + fsh_below(word, spec->net.limit < most ? spec->net.limit : most);
}

static uint64_t draw_range(struct fsh_range range, uint64_t word) {
    return range.lo + fsh_below(word, range.hi - range.lo + 1);
}

static uint64_t draw_normal(const struct fsh_fault_spec *spec, uint64_t word) {
    uint64_t lo = spec->amount.lo, hi = spec->amount.hi;
    if (lo == hi) /* D±SIGMA */
        return fsh_draw_normal_in(lo, spec->jitter, 0, UINT64_MAX, word);
    return fsh_draw_normal_in(lo + (hi - lo) / 2, (hi - lo) / 6, lo, hi, word);
}

static uint64_t draw_delay(const struct fsh_fault_spec *spec, uint64_t word, uint64_t jitter_word) {
    switch ((enum fsh_dist)spec->dist) {
    case DIST_NORMAL:
        return draw_normal(spec, word);
    case DIST_PARETO:
        return fsh_draw_pareto(spec->amount.lo, spec->amount.hi, word);
    case DIST_LOG_UNIFORM:
        return fsh_draw_log_uniform(spec->amount.lo, spec->amount.hi, word);
    case DIST_UNIFORM:
        break;
    }
    uint64_t ns = draw_range(spec->amount, word);
    uint64_t moved = ns + fsh_below(jitter_word, 2 * spec->jitter + 1);
    return moved > spec->jitter ? moved - spec->jitter : 0;
}

/* The parser has seen to it that the product is no more than a hundred years. */
static uint64_t with_spike(const struct fsh_fault_spec *spec, uint64_t ns, uint64_t word) {
    return spec->spike_factor && word < spec->spike ? ns * spec->spike_factor : ns;
}

/* Half of them give the processor away (0), the others sleep. */
static uint64_t draw_yield(const struct fsh_fault_spec *spec, uint64_t word, uint64_t coin) {
    return coin >> 63 ? draw_range(spec->amount, word) : 0;
}

/* Bits or bytes of the buffer that are changed; zero and junk change all of it. */
static uint64_t draw_changes(const struct fsh_fault_spec *spec, const struct fsh_facts *facts, uint64_t word) {
    if (spec->how == CORRUPT_REPLACE)
        return spec->n_to;
    uint64_t n = draw_range(spec->amount, word);
    uint64_t most = facts->size;
    if (spec->where == CORRUPT_AT_REST && most == 0) /* a call that names no part of the file */
        return spec->how == CORRUPT_ZERO || spec->how == CORRUPT_JUNK ? FSH_SECTOR : n;
    if (spec->how == CORRUPT_ZERO || spec->how == CORRUPT_JUNK)
        return most;
    if (spec->how == CORRUPT_BITS)
        most = most > UINT64_MAX / 8 ? UINT64_MAX : most * 8;
    return n < most ? n : most;
}

/* Sectors that are lost: neither none nor all. */
static uint64_t draw_sectors(const struct fsh_fault_spec *spec, const struct fsh_facts *facts, uint64_t word) {
    uint64_t sectors = (facts->size - 1) / sector_of(spec, facts); /* one less than there are */
    return sectors ? 1 + fsh_below(word, sectors) : 0;
}

/* What fits is written; when nothing does, the write fails. Calls without a length fit or fail. */
static uint64_t draw_quota(const struct fsh_facts *facts) {
    uint64_t unit = facts->direct ? DIRECT_ALIGN : 1;
    return facts->room < facts->size ? facts->room / unit * unit : 0;
}

/* Bytes that are read before the sector that can't be. */
static uint64_t draw_bad_sector(const struct fsh_facts *facts, uint64_t word) {
    uint64_t unit = facts->direct ? DIRECT_ALIGN : FSH_SECTOR, room = facts->room < facts->size ? facts->room : facts->size;
    return facts->forced ? room / (facts->direct ? DIRECT_ALIGN : 1) * (facts->direct ? DIRECT_ALIGN : 1)
                         : fsh_below(word, room) / unit * unit;
}

void fsh_choose(const struct fsh_rule *rule, uint32_t alternatives, const struct fsh_facts *facts, uint64_t word,
                struct fsh_verdict *verdict) {
    uint64_t word1 = fsh_next_word(word), word2 = fsh_next_word(word1), word3 = fsh_next_word(word2), word4 = fsh_next_word(word3);
    unsigned i = pick(rule, alternatives, word1);
    const struct fsh_fault_spec *spec = &rule->faults[i];
    verdict->rule = (uint16_t)rule->index;
    verdict->alternative = (uint8_t)i;
    verdict->fault = spec->kind;
    verdict->error = 0;
    verdict->amount = 0;
    verdict->word = word;
    switch (spec->kind) {
    case FAULT_ERROR:
    case FAULT_ERROR_AFTER:
        verdict->error = pick_errno(rule, spec, facts, word2);
        break;
    case FAULT_DELAY:
        verdict->amount = with_spike(spec, draw_delay(spec, word3, word4), fsh_next_word(word4));
        break;
    case FAULT_STALL:
        verdict->error = pick_errno(rule, spec, facts, word2);
        verdict->amount = spec->limit == UINT64_MAX ? 0 : spec->limit;
        break;
    case FAULT_SIGNAL:
        verdict->amount = (uint64_t)spec->signal;
        break;
    case FAULT_PAUSE:
    case FAULT_CPU:
    case FAULT_MEMORY:
        verdict->amount = draw_range(spec->amount, word3);
        break;
    case FAULT_YIELD:
        verdict->amount = draw_yield(spec, word3, word4);
        break;
    case FAULT_CRASH:
        verdict->amount = spec->when == WHEN_DURING ? draw_part(facts, word3) : 0;
        break;
    case FAULT_SHORT:
        verdict->amount = draw_slice(spec, facts, word3);
        break;
    case FAULT_LOSS:
        verdict->amount = facts->kind == FSH_ON_DGRAM ? 1 : spec->net.as == AS_DELAY ? RETRANSMISSION : 0;
        break;
    case FAULT_DUPLICATE:
        verdict->amount = facts->size;
        break;
    case FAULT_RESET:
    case FAULT_CLOSE:
        verdict->amount = spec->net.after;
        break;
    case FAULT_BLACKHOLE:
        verdict->amount = fsh_call_writes(facts->call) ? facts->size : 0;
        break;
    case FAULT_REPLY:
        verdict->amount = spec->net.path ? 0 : spec->net.n_text; /* what a file holds is not known everywhere */
        break;
    case FAULT_REORDER:
        verdict->amount = 1 + fsh_below(word3, spec->net.limit);
        break;
    case FAULT_STORM:
        verdict->error = spec->n_errnos ? pick_errno(rule, spec, facts, word2) : refusal(facts);
        verdict->amount = spec->net.limit;
        break;
    case FAULT_CORRUPT:
        verdict->amount = draw_changes(spec, facts, word3);
        break;
    case FAULT_QUOTA:
        verdict->amount = draw_quota(facts);
        verdict->error = verdict->amount ? 0 : pick_errno(rule, spec, facts, word2);
        break;
    case FAULT_BAD_SECTOR:
        verdict->amount = draw_bad_sector(facts, word3);
        verdict->error = verdict->amount ? 0 : EIO;
        break;
    case FAULT_FSYNC_FAIL:
        verdict->error = EIO;
        break;
    case FAULT_BUDGET:
        verdict->error = ENOMEM;
        verdict->amount = facts->room;
        break;
    case FAULT_ONCE_PER_STACK:
        verdict->error = pick_errno(rule, spec, facts, word2);
        break;
    case FAULT_EXIT_STATUS:
        verdict->amount = spec->limit;
        break;
    case FAULT_DESCRIPTORS:
        verdict->error = EMFILE;
        verdict->amount = spec->limit;
        break;
    case FAULT_TORN:
        verdict->amount = facts->size ? draw_sectors(spec, facts, word3) : 0;
        break;
    case FAULT_MISDIRECT:
        verdict->amount = spec->to ? 0 : draw_range(spec->amount, word3);
        break;
    case FAULT_TWICE:
    case FAULT_SEEDED:
    case FAULT_FILL:
    case FAULT_LOST:
        verdict->amount = facts->size;
        break;
    case FAULT_SKEW:
    case FAULT_DRIFT:
    case FAULT_JUMP:
    case FAULT_FREEZE:
    case FAULT_STROBE:
    case FAULT_LATE:
        verdict->amount = draw_range(spec->amount, word3);
        if (spec->back)
            verdict->amount = -verdict->amount;
        break;
    case FAULT_EARLY:
        verdict->amount = (uint64_t)(((unsigned __int128)time_of(facts) * draw_range(spec->amount, word3)) >> 32);
        break;
    }
}
