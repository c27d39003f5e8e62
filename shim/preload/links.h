/* links.h: what a fault leaves behind on a socket: a connection that is to be cut, that was cut, that has ended, that leads
 * nowhere. Later calls on its descriptors meet it (the gate asks), are recorded under the rule that left it, and are carried out by
 * the fault's own effect. */
#ifndef FSH_LINKS_H
#define FSH_LINKS_H

#include "decide.h"
#include "facts.h"

enum fsh_link_state {
    LINK_WHOLE,      /* nothing */
    LINK_CUT,        /* will be cut after so many bytes more */
    LINK_RESET,      /* was reset; the kernel says so to every call */
    LINK_UNSAID,     /* the same where the kernel has no word for it: the next call is told */
    LINK_ENDED,      /* reads return 0 */
    LINK_HOLE,       /* sends go nowhere, nothing comes */
    LINK_REPLY,      /* a reply of ours is read */
    LINK_HOLDS,      /* datagrams are held back */
    LINK_CONNECTING, /* nothing comes for a connection that is still being made */
};

/* Bytes that are still to be given to the program. */
struct fsh_feed {
    char *bytes;
    size_t at, n, room;
};

/* How far the request that is being swallowed has come: see effects_reply.c. */
struct fsh_request {
    uint8_t state;
    bool chunked, expects;
    uint8_t n;     /* of the line */
    uint64_t left; /* bytes of the body or chunk */
    char line[64]; /* the beginning of a line is enough */
};

struct fsh_link {
    uint16_t rule;
    uint8_t line, fault;
    uint8_t state;         /* enum fsh_link_state */
    bool counts_out;       /* LINK_CUT: what is sent counts, not what is received */
    _Atomic uint64_t left; /* LINK_CUT: bytes that still pass */
    struct fsh_resource *resource;

    /* see detour.h */
    bool filtered;                /* the kernel drops what arrives */
    bool detoured;                /* the program's descriptors lead to our pair of sockets */
    int hidden;                   /* the connection itself meanwhile */
    int helper;                   /* our end of the pair */
    uint64_t inode, helper_inode; /* of what they must be: a program may close every number that it finds */

    struct fsh_feed feed; /* LINK_REPLY */
    struct fsh_request request;

    struct fsh_kept *held; /* LINK_HOLDS: in the order in which they were sent */
    unsigned n_held;
};

static inline struct fsh_link *fsh_link_of(const struct fsh_resource *r) {
    return r->link ? r->link : r->socket ? r->socket->link : NULL;
}
/* For the gate: whether a call meets what was left, and how that is recorded. */
bool fsh_link_meets(const struct fsh_link *link, enum fsh_call call, enum fsh_kind kind);
struct fsh_verdict fsh_link_verdict(const struct fsh_link *link, enum fsh_call call, uint64_t key, uint64_t size);
/* The same for calls that ask or tell the connection something while its descriptor leads elsewhere. */
bool fsh_link_is_asked(const struct fsh_link *link, enum fsh_call call);
/* The last descriptor is gone. With the gate closed. */
void fsh_link_drop(struct fsh_link *link);

#endif
