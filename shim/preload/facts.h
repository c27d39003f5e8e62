/* facts.h: what a rule can match: the resource behind a descriptor, path, host or address.
 *
 * A resource is a file, a connection, a pipe…: its name, its key, which rules its name matches, and its counters. Resources live in
 * memory of this process, are never unmapped, and are found without a lock. All functions run with the gate closed. */
#ifndef FSH_FACTS_H
#define FSH_FACTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "calls.h"
#include "trace.h"

/* What a resource keeps for one rule. */
struct fsh_keyed {
    struct fsh_key_state *counters;
    uint64_t stream; /* start of the rule's stream for this resource */
};

struct fsh_link;

struct fsh_resource {
    uint64_t number; /* in the trace */
    uint64_t key;
    uint64_t hash;             /* of what it is looked up by; 0: not looked up */
    struct fsh_resource *next; /* in its bucket, or in the free list */
    struct fsh_keyed *keyed;   /* by slot */
    struct fsh_key_state *own; /* by slot: counters that are this process's alone */
    uint64_t *matches;         /* by rule, as bits: path, peer, local */
    char *name, *other, *name_room;
    _Atomic uint32_t users; /* descriptors */
    uint32_t generation;    /* of fsh_fds, when it was last looked at */
    uint32_t n_rules;       /* that it was matched with */
    uint32_t n_slots;       /* that there is memory for */
    uint32_t connections;   /* accepted so far; peers of datagrams */
    uint32_t life;          /* how often this memory was released: tells peers that their socket is gone */
    uint32_t socket_life;   /* of a datagram's peer: its socket's life */
    const struct fsh_resource *socket;
    struct fsh_link *link;      /* what faults have left behind here; NULL for nothing */
    struct fsh_link *link_room; /* its memory */
    uint8_t kind;
    uint8_t counted;    /* against limits of connections: enum fsh_counted */
    uint64_t inode;     /* of a socket that is counted so */
    bool named;         /* the same for all processes and runs */
    bool is_fresh;      /* a socket without an address yet */
    bool is_connection; /* a socket that was connected */
    bool is_spare;      /* in the free list */
    bool is_told;       /* the trace has its name */
    bool is_random;     /* reads of it are random bytes */
};

enum fsh_counted { COUNTED_NOT, COUNTED_CONNECTED, COUNTED_ACCEPTED };

/* Before the trace says more of it than how many calls passed: those that are only counted name nothing. */
void fsh_resource_tell(struct fsh_resource *resource);

/* Memory that is never given back; NULL if there is none. */
void *fsh_facts_memory(size_t size);
/* From here on every call on the resource's descriptors goes the long way, where its link is looked at. */
void fsh_resource_link(struct fsh_resource *resource, struct fsh_link *link);
/* Set in the generation of a resource with a link, so that the short way needs no test of its own. */
enum { FSH_LINKED = 1u << 31 };

int fsh_facts_start(void);
/* Rules have come with that load: resources are matched with them before they are looked at again. */
void fsh_facts_loaded(unsigned load);
/* In a forked child: what is counted for each process starts anew. */
void fsh_facts_fork(void);

/* A word for each descriptor: its resource, with bit 0 for O_DIRECT; 0 if it is not known. */
struct fsh_fds {
    _Atomic uintptr_t *v;
    unsigned n;
    uint32_t generation; /* forks, by FSH_FORK, and the profile that was loaded last */
};
enum { FSH_FORK = FSH_LOADS + 1 };
extern struct fsh_fds fsh_fds;

/* A descriptor that is not known yet, or whose resource stems from before a fork. */
struct fsh_resource *fsh_resource_found(int fd, bool *direct);
/* The resource behind an open descriptor; NULL for ours and for what is not open. *direct is set for O_DIRECT. */
static inline struct fsh_resource *fsh_resource_of_fd(int fd, bool *direct) {
    uintptr_t word = (unsigned)fd < fsh_fds.n ? atomic_load_explicit(&fsh_fds.v[fd], memory_order_acquire) : 0;
    struct fsh_resource *r = (struct fsh_resource *)(word & ~(uintptr_t)1);
    *direct = word & 1;
    return __builtin_expect(r && r->generation == fsh_fds.generation, 1) ? r : fsh_resource_found(fd, direct);
}
/* The file at `path`; `oflags` as given to open, or 0. NULL if there is no usable path. */
struct fsh_resource *fsh_resource_of_path(int dirfd, const char *path, int oflags);
struct fsh_resource *fsh_resource_of_host(const char *host);
/* What a call on `fd` naming `addr` acts on: the connection that connect makes, the listening address that bind gives,
 * or the peer of one datagram. */
struct fsh_resource *fsh_resource_of_address(enum fsh_call call, int fd, const void *addr, unsigned len);

struct addrinfo;
/* Addresses that getaddrinfo gave for a name: what `host:` patterns match. */
void fsh_host_resolved(const char *name, const struct addrinfo *list);
/* Counters in the session that all processes share; NULL if the table is full, or if there are none and `make` is false. */
struct fsh_key_state *fsh_shared_counters(uint64_t rule_hash, uint64_t key, bool make);
/* The session's counters of a rule for one call site; NULL if the table is full. */
struct fsh_key_state *fsh_site_counters(unsigned rule, uint64_t key);

/* Keeping descriptors known. */
void fsh_fd_opened(int fd, struct fsh_resource *resource, bool direct);
void fsh_fd_forget(int fd);
void fsh_fd_forget_range(unsigned first, unsigned last);
void fsh_fd_copied(int from, int to);
void fsh_fd_accepted(int listener, int fd);
void fsh_fd_set_direct(int fd, bool direct);
void fsh_fd_socket(int fd);
/* FSH_DRAWN, with flags of open(2): the name was drawn, it will be another one in the next run. */
enum { FSH_DRAWN = 1 << 30 };
void fsh_fd_opened_path(int fd, int dirfd, const char *path, int oflags);
/* Pipes and pairs of sockets are named by the thread that makes them. */
void fsh_fd_made_pair(const int fds[2]);

#endif
