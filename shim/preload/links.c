/* links.c: see links.h. Here are the parts that run with the gate closed; what is done to a connection stands in effects_net.c. */
#include "links.h"

#include "gate.h"

#include "poison.h"

static bool moves(enum fsh_call call, enum fsh_kind kind) {
    uint8_t class = fsh_calls[call].class_of[kind];
    return class == C_NET_SEND || class == C_NET_RECV;
}

bool fsh_link_meets(const struct fsh_link *link, enum fsh_call call, enum fsh_kind kind) {
    if (kind != FSH_ON_STREAM || !moves(call, kind))
        return false;
    switch ((enum fsh_link_state)link->state) {
    case LINK_WHOLE:
        return false;
    case LINK_CUT:
        return fsh_call_writes(call) == link->counts_out;
    case LINK_ENDED:
        return !fsh_call_writes(call);
    case LINK_RESET:
    case LINK_UNSAID:
        return true;
    }
    return false;
}

struct fsh_verdict fsh_link_verdict(const struct fsh_link *link, enum fsh_call call, uint64_t key, uint64_t size) {
    (void)call;
    (void)size;
    return (struct fsh_verdict){.rule = link->rule,
                                .alternative = link->line,
                                .fault = link->fault,
                                .amount = link->state == LINK_CUT ? link->left : 0,
                                .key = key,
                                .lasting = true};
}

void fsh_link_drop(struct fsh_link *link) {
    link->state = LINK_WHOLE;
}
