/* faults.h: the table of faults (faults.def) as C, and which calls each fits. */
#ifndef FSH_FAULTS_H
#define FSH_FAULTS_H

#include "calls.h"

enum fsh_fault_kind {
#define FAULT(id, name, fit, arguments, summary) FAULT_##id,
#include "faults.def"
    FSH_FAULTS
};

enum fsh_fit {
    FIT_ANY,     /* every call that is not merely observed */
    FIT_STALL,   /* the same; with an errno, calls that can fail */
    FIT_ERRNO,   /* calls that can fail */
    FIT_UNDO,    /* calls that can fail and whose result can be given back */
    FIT_CRASH,   /* every call; `during` only where a part can be done */
    FIT_SHORT,   /* transfers that may legally be partial */
    FIT_DATA,    /* transfers through a buffer of the program's */
    FIT_LOST,    /* file writes, syncs, sending a signal */
    FIT_PLACED,  /* file writes from a buffer of the program's */
    FIT_TORN,    /* the same */
    FIT_TWICE,   /* the same, without an offset */
    FIT_FILE,    /* calls on open files */
    FIT_RANDOM,  /* random bytes; reads of /dev/urandom, where the rule's paths are no other */
    FIT_FILL,    /* allocations that do not promise zeros */
    FIT_LOSS,    /* datagrams; transfers on streams */
    FIT_SEND,    /* what is sent from a buffer of the program's */
    FIT_STREAM,  /* connecting streams, and transfers on them */
    FIT_FLOW,    /* transfers on streams */
    FIT_LINK,    /* connecting, and transfers on sockets */
    FIT_REPLY,   /* what is sent on streams from a buffer of the program's */
    FIT_ORDER,   /* datagrams that are sent from a buffer of the program's */
    FIT_CONNECT, /* connecting and accepting streams */
    FIT_GROWS,   /* calls that can make a file longer */
    FIT_READS,   /* file reads into a buffer of the program's */
    FIT_SYNCS,   /* syncs of one file */
    FIT_HEAP,    /* the allocator */
    FIT_MAKES_FD,
    FIT_WAITS, /* waiting for a child */
    FIT_CLOCK, /* clocks, sleeps, timed waits and timers */
    FIT_TIMED, /* sleeps and what waits for a time at most */
    FIT_NAMES, /* uname and what is made of it */
};

struct fsh_fault_row {
    const char *name;
    const char *arguments;
    const char *summary;
    uint8_t fit;
};

extern const struct fsh_fault_row fsh_faults[FSH_FAULTS];

/* Whether the kind can act on `call` on `kind` at all. */
bool fsh_fault_fits(enum fsh_fault_kind fault, enum fsh_call call, enum fsh_kind kind);
/* It changes a clock for all that the process does after it. */
bool fsh_fault_keeps_time(enum fsh_fault_kind fault);
/* Its amount may be below zero: it is kept as a two's complement. */
bool fsh_fault_is_signed(enum fsh_fault_kind fault);
/* Whether it depends on what happened before under its rule, not on a draw alone. */
bool fsh_fault_has_state(enum fsh_fault_kind fault);
/* It stays in the file, and later calls meet it there, whichever rule of that kind considers them. */
bool fsh_fault_stays(enum fsh_fault_kind fault);
/* A fault kind by name: its number, -1 if unknown, -2 if planned. */
int fsh_fault_by_name(const char *name, size_t len);

/* A name of aliases.def. */
struct fsh_fault_alias {
    const char *name;
    const char *calls; /* what a rule considers that gives none; NULL: its faults are not yet there */
    const char *path;
    const char *faults; /* lines with '|' between them; kinds, if they are not yet there */
    const char *summary;
};

enum {
#define FAULT_ALIAS(name, calls, path, faults, summary) +1
#define FAULT_ALIAS_LATER(name, kinds)                  +1
    FSH_FAULT_ALIASES = 0
#include "aliases.def"
};

extern const struct fsh_fault_alias fsh_fault_aliases[FSH_FAULT_ALIASES];

/* NULL if there is none of that name. */
const struct fsh_fault_alias *fsh_fault_alias(const char *name, size_t len);

/* An errno or EAI_ code by name ("EIO", "EAI_AGAIN", "timeout"): 0 and *out, or -1. EAI_ codes are negative. */
int fsh_errno_by_name(const char *name, size_t len, int *out);
/* "EIO", "EAI_AGAIN", or "errno 999" forms are never returned: NULL if the number has no name. */
const char *fsh_errno_name(int e);

#endif
