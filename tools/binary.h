/* binary.h: what can be known of a program before it is started: whether it can be preloaded, and what it imports. */
#ifndef FSH_BINARY_H
#define FSH_BINARY_H

#include <stdbool.h>
#include <stddef.h>

#include "trace.h"

enum fsh_binary_form { BINARY_OTHER, BINARY_ELF, BINARY_SCRIPT };

struct fsh_binary {
    enum fsh_binary_form form;
    bool dynamic;          /* has an interpreter, or is one's library */
    bool foreign;          /* for another machine or word size */
    const char *rights;    /* set-user-ID, set-group-ID or file capabilities, in words; NULL for none */
    const char *privilege; /* the same, if they are more than the caller has */
    char obstacle[128];
    bool own_malloc;      /* defines malloc itself, or brings an allocator along */
    bool exports_malloc;  /* …for its libraries as well */
    const char *built_in; /* the allocator that is linked in, if it is known by name */
    bool go;
    bool uring;            /* has liburing, itself or as a library */
    bool musl;             /* its loader or its libc is musl's */
    char interpreter[256]; /* ELF: the loader; script: its program */
    char argument[128];    /* script: the interpreter's one argument */
    char allocator[128];   /* library that brings the allocator along */
    char asan[128];        /* the address sanitizer's library, which wants to be first */
    char **imports;        /* names of undefined dynamic symbols */
    size_t n_imports;
    char **needed;
    size_t n_needed;
};

/* 0 or -errno. */
int fsh_binary_inspect(struct fsh_binary *binary, const char *path);
void fsh_binary_free(struct fsh_binary *binary);
/* Whether the file has this GNU build id. */
bool fsh_has_build_id(const char *path, struct fsh_text id);
/* The path that execvp would start for `name`: 0, or -errno (-ENOENT not found, -EACCES found and not to be run). */
int fsh_find_program(char *out, size_t size, const char *name);
/* Why the shim can't start in it, or NULL. */
const char *fsh_binary_obstacle(const struct fsh_binary *binary);
/* What to do about that. */
const char *fsh_binary_advice(const struct fsh_binary *binary);

#endif
