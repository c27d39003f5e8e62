/* code.h: the machine code of a file: which system calls it makes by itself, with instructions of its own. Decoded with Zydis. */
#ifndef FSH_CODE_H
#define FSH_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fsh_site {
    uint64_t address; /* of the instruction, as the file has it */
    uint64_t offset;  /* from the start of its function */
    int number;       /* of the system call; -1 if the code around does not tell */
    char function[64];
};

struct fsh_code {
    struct fsh_site *sites;
    size_t n_sites;
    bool uring; /* sets up an io_uring, itself or by syscall(2) */
};

/* 0 or -errno. */
int fsh_code_read(struct fsh_code *code, const char *path);
void fsh_code_free(struct fsh_code *code);

/* "write", or NULL where the kernel's headers have no name. */
const char *fsh_sysname(long nr);
/* The same, or "system call 999" in the buffer. */
const char *fsh_sysname_text(long nr, char buf[32]);

/* Names of addresses in a file: its functions, by symbols and by unwind tables. */
struct fsh_functions;
struct fsh_functions *fsh_functions_of(const char *path);
/* The function around the place `offset` bytes into the file, "" if it has no name; *from is the distance from its start. */
const char *fsh_function_at(const struct fsh_functions *functions, uint64_t offset, uint64_t *from);
void fsh_functions_free(struct fsh_functions *functions);

#endif
