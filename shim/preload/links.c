/* links.c: see links.h. Here are the parts that run with the gate closed; what is done to a connection stands in effects_net.c,
 * effects_hole.c and detour.c. */
#include "links.h"

#include "detour.h"
#include "phases.h"

#include "poison.h"

static bool moves(enum fsh_call call, enum fsh_kind kind) {
    uint8_t class = fsh_calls[call].class_of[kind];
    return class == C_NET_SEND || class == C_NET_RECV;
}

bool fsh_link_meets(const struct fsh_link *link, enum fsh_call call, enum fsh_kind kind) {
    if (link->state == LINK_WHOLE || !moves(call, kind))
        return false;
    switch ((enum fsh_link_state)link->state) {
    case LINK_CUT:
        return fsh_call_writes(call) == link->counts_out && fsh_rule_is_on(link->rule);
    case LINK_ENDED:
        return !fsh_call_writes(call);
    case LINK_RESET:
    case LINK_UNSAID:
    case LINK_HOLE:
        return true;
    case LINK_REPLY:
        return !fsh_call_writes(call) || fsh_reply_waits(link);
    case LINK_HOLDS:
        return link->held && fsh_call_writes(call);
    case LINK_WHOLE:
    case LINK_CONNECTING:
        return false;
    }
    return false;
}

bool fsh_link_is_asked(const struct fsh_link *link, enum fsh_call call) {
    if (link->state == LINK_REPLY && moves(call, FSH_ON_STREAM))
        return true;
    if (link->state == LINK_HOLDS)
        return link->held && moves(call, FSH_ON_DGRAM) && !fsh_call_writes(call);
    return link->detoured &&
           (call == CALL_getsockopt || call == CALL_setsockopt || call == CALL_getsockname || call == CALL_getpeername);
}

static uint64_t amount_of(const struct fsh_link *link, enum fsh_call call, uint64_t size) {
    switch ((enum fsh_link_state)link->state) {
    case LINK_CUT:
        return link->left;
    case LINK_HOLDS:
        return fsh_held_due(link);
    case LINK_HOLE:
    case LINK_REPLY:
        return fsh_call_writes(call) ? size : 0;
    default:
        return 0;
    }
}

struct fsh_verdict fsh_link_verdict(const struct fsh_link *link, enum fsh_call call, uint64_t key, uint64_t size) {
    return (struct fsh_verdict){.rule = link->rule,
                                .alternative = link->line,
                                .fault = link->fault,
                                .amount = amount_of(link, call, size),
                                .key = key,
                                .lasting = true};
}

void fsh_link_drop(struct fsh_link *link) {
    fsh_detour_drop(link);
    fsh_feed_end(&link->feed);
    fsh_held_flush(link);
    link->state = LINK_WHOLE;
}
