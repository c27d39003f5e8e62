/* as_profile.h: the faults of a trace as exact rules: this call, on this file or in this thread, for the third time. */
#ifndef FSH_AS_PROFILE_H
#define FSH_AS_PROFILE_H

#include <stdio.h>

#include "profile_load.h"
#include "reader.h"

/* One rule. Its texts are lines of a profile. */
struct fsh_exact {
    char name[FSH_NAME_MAX];
    char comment[512];
    char *selectors; /* calls, path, process… */
    char *fault;     /* behind `fault =` */
    char *rest;      /* any-errno, continue, message */
    uint64_t *nth, *words;
    size_t n, nth_room, words_room;
    bool has_words; /* `draw` is written */
    bool open;      /* the last number of nth and every one after it */

    /* what it stands for */
    uint16_t rule; /* of the trace */
    uint8_t line, kind, class, fault_kind;
    uint16_t call, own_call; /* numbers of the trace, of this build */
    bool cont;
    int error;
    uint64_t amount;
    uint64_t resource; /* key of the file that it names; 0: none */
    char path[4200];   /* the glob that names it */
    uint32_t who;      /* number of the thread */
    bool other_thread, other_process;
    uint64_t seen; /* candidates so far */
};

struct fsh_exact_profile {
    struct fsh_exact *v;
    size_t n, room;
    char *head; /* comments and [faultshim] */
    char *tail; /* rules that stand as they were */
    uint64_t faults;
};

/* Of the faults that `wanted` takes (NULL: all). False after a message. */
bool fsh_exact_read(struct fsh_exact_profile *out, const struct fsh_reader *reader, const char *path,
                    bool (*wanted)(void *arg, const struct fsh_decision *decision), void *arg);
void fsh_exact_print(FILE *out, const struct fsh_exact_profile *profile);
void fsh_exact_free(struct fsh_exact_profile *profile);

#endif
