/* sites.h: doors at the `syscall` instructions of libc, ld.so and other libraries: what they do inside themselves is met there, and
 * what the program asks of them too. Where they are in use, the symbol doors of plain system calls step aside. */
#ifndef FSH_SITES_H
#define FSH_SITES_H

#include "gate.h"

enum { FSH_SYSCALLS = 512 }; /* numbers below it have an entry in fsh_site_watch; sites_x86_64.S knows it too */

enum {
    SITE_CONSIDER = 1,
    SITE_SPECIAL = 2,
    SITE_BEFORE = 4 /* kept track of, before */,
    SITE_AFTER = 8,
    SITE_ARGS = 16,
    SITE_SETTLE = 32 /* as WATCH_… */,
    SITE_CLOCK = 64 /* the same */,
    SITE_RANDOM = 128 /* the same */
};
/* For every system call number: whether its sites leave the quick way. All zero: nothing is armed. */
extern uint8_t fsh_site_watch[FSH_SYSCALLS];

/* One door. Read by sites_x86_64.S: the order counts. */
struct fsh_site {
    const void *back; /* the `syscall` */
    const void *skip; /* behind it */
    uint64_t loader;  /* in ld.so */
};

/* Puts doors into the modules that are loaded and that `doors-in` names. Called once, by the constructor. Returns NULL, or why
 * there are none. */
const char *fsh_sites_start(char *const *env);
/* After dlopen: into what has come. */
void fsh_sites_loaded(void);
/* From here on the sites decide, and the symbol doors of what they meet step aside. */
void fsh_sites_arm(void);

/* By syscall(2): see fsh_note_caller. */
void fsh_sites_note_caller(long nr, const void *caller);
/* These go to the vDSO, where there is no site: their symbol doors decide. */
bool fsh_reads_clock(long nr);
/* Nothing is done at any site any more. */
void fsh_sites_retire(void);

#endif
