/* coverage.c: libc's exported functions and the kernel's system call numbers against calls.def and left_out.def.
 *
 * A function has a door if the shim exports its name: asked of the library itself, so that a row whose door was lost shows. Old
 * versions of symbols and those for libc's own use (GLIBC_PRIVATE) are left aside: no program is linked with them today. */
#include "coverage.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "calls.h"
#include "plan.h"

static const struct {
    const char *pattern, *why;
} left_out[] = {
#define LEFT_OUT(pattern, why) {pattern, why},
#include "left_out.def"
};

static const struct {
    const char *name, *why;
} numbers_left_out[] = {
#define LEFT_OUT_NUMBER(name, why) {#name, why},
#include "left_out.def"
};

/* By number; NULL where the kernel has none. */
static const char *const numbers[] = {
#include "sysnames.inc"
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* --- the functions that an object exports --- */

struct names {
    char **v;
    size_t n;
};

static void names_free(struct names *names) {
    for (size_t i = 0; i < names->n; i++)
        free(names->v[i]);
    free(names->v);
}

static bool names_add(struct names *names, const char *name) {
    char **more = reallocarray(names->v, names->n + 1, sizeof *more);
    if (!more)
        return false;
    names->v = more;
    return (more[names->n] = strdup(name)) && ++names->n;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static Elf_Data *data_of(Elf *elf, unsigned type, GElf_Shdr *sh) {
    for (Elf_Scn *s = NULL; (s = elf_nextscn(elf, s));)
        if (gelf_getshdr(s, sh) && sh->sh_type == type)
            return elf_getdata(s, NULL);
    return NULL;
}

/* The number of the version GLIBC_PRIVATE, or -1. */
static int private_version(Elf *elf) {
    GElf_Shdr sh;
    GElf_Verdef def;
    GElf_Verdaux aux;
    Elf_Data *data = data_of(elf, SHT_GNU_verdef, &sh);
    for (int at = 0, i = 0; data && i < (int)sh.sh_info && gelf_getverdef(data, at, &def); i++, at += (int)def.vd_next) {
        const char *name = gelf_getverdaux(data, at + (int)def.vd_aux, &aux) ? elf_strptr(elf, sh.sh_link, aux.vda_name) : NULL;
        if (name && !strcmp(name, "GLIBC_PRIVATE"))
            return def.vd_ndx;
    }
    return -1;
}

static bool is_function(const GElf_Sym *sym) {
    unsigned type = GELF_ST_TYPE(sym->st_info);
    return sym->st_shndx != SHN_UNDEF && GELF_ST_BIND(sym->st_info) != STB_LOCAL && (type == STT_FUNC || type == STT_GNU_IFUNC);
}

static bool read_names(Elf *elf, struct names *names) {
    GElf_Shdr sh, version_sh;
    Elf_Data *versions = data_of(elf, SHT_GNU_versym, &version_sh), *symbols = data_of(elf, SHT_DYNSYM, &sh);
    int hidden = private_version(elf);
    for (size_t i = 0; symbols && sh.sh_entsize && i < sh.sh_size / sh.sh_entsize; i++) {
        GElf_Sym sym;
        GElf_Versym version = VER_NDX_GLOBAL;
        if (!gelf_getsym(symbols, (int)i, &sym) || !is_function(&sym))
            continue;
        if (versions && (!gelf_getversym(versions, (int)i, &version) || version & 0x8000 || version == hidden))
            continue;
        const char *name = elf_strptr(elf, sh.sh_link, sym.st_name);
        if (name && !names_add(names, name))
            return false;
    }
    qsort(names->v, names->n, sizeof *names->v, by_name);
    return names->n > 0;
}

static int exported(const char *path, struct names *names) {
    int fd = open(path, O_RDONLY | O_CLOEXEC), e = 0;
    if (fd < 0)
        return -errno;
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    if (!elf || elf_kind(elf) != ELF_K_ELF || !read_names(elf, names))
        e = -EBADMSG;
    elf_end(elf);
    close(fd);
    return e;
}

/* --- what there is to say of each --- */

static struct fsh_covered symbol(const char *name, const struct names *doors) {
    struct fsh_covered c = {"symbol", name, "", COVER_UNKNOWN};
    int call = fsh_call_by_name(name, strlen(name));
    if (bsearch(&name, doors->v, doors->n, sizeof *doors->v, by_name)) {
        c.how = COVER_DOOR;
        c.what = call >= 0 ? fsh_calls[call].name : "a door of its own";
        return c;
    }
    for (size_t i = 0; i < COUNT(left_out) && call < 0; i++)
        if (fsh_glob(left_out[i].pattern, name, true)) {
            c.how = COVER_LEFT_OUT;
            c.what = left_out[i].why;
            break;
        }
    return c;
}

static struct fsh_covered number(size_t at) {
    struct fsh_covered c = {"number", numbers[at], "", COVER_UNKNOWN};
    int call = fsh_call_by_number((long)at);
    if (call >= 0) {
        c.how = COVER_DOOR;
        c.what = fsh_calls[call].name;
    }
    for (size_t i = 0; i < COUNT(numbers_left_out) && call < 0; i++)
        if (!strcmp(numbers_left_out[i].name, numbers[at])) {
            c.how = COVER_LEFT_OUT;
            c.what = numbers_left_out[i].why;
        }
    return c;
}

/* The libc that this process runs with. */
static int find_libc(char path[4096]) {
    Dl_info info;
    if (!dladdr((void *)(uintptr_t)&getpid, &info) || !info.dli_fname || !strstr(info.dli_fname, "libc"))
        return -ENOENT;
    snprintf(path, 4096, "%s", info.dli_fname);
    return 0;
}

int fsh_coverage(const char *library, void (*tell)(void *arg, const struct fsh_covered *), void *arg, char path[4096]) {
    struct names libc = {0}, doors = {0};
    int e = find_libc(path);
    if (!e)
        e = exported(path, &libc);
    if (!e) {
        snprintf(path, 4096, "%s", library);
        e = exported(path, &doors);
    }
    for (size_t i = 0; !e && i < libc.n; i++) {
        struct fsh_covered c = symbol(libc.v[i], &doors);
        tell(arg, &c);
    }
    for (size_t i = 0; !e && i < COUNT(numbers); i++) {
        struct fsh_covered c = {0};
        if (!numbers[i])
            continue;
        c = number(i);
        tell(arg, &c);
    }
    names_free(&libc);
    names_free(&doors);
    return e;
}
