/* binary.c: see binary.h. ELF files are read with libelf. */
#include "binary.h"

#include <elf.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#if defined(__x86_64__)
enum { OUR_MACHINE = EM_X86_64 };
#else
enum { OUR_MACHINE = EM_AARCH64 };
#endif

static void copy(char *to, size_t size, const char *from) {
    snprintf(to, size, "%s", from);
}

static int keep(char ***list, size_t *n, const char *name) {
    char **more = reallocarray(*list, *n + 1, sizeof *more);
    if (!more)
        return -ENOMEM;
    *list = more;
    more[*n] = strdup(name);
    if (!more[*n])
        return -ENOMEM;
    (*n)++;
    return 0;
}

static void read_segments(struct fsh_binary *b, Elf *elf) {
    size_t n = 0;
    elf_getphdrnum(elf, &n);
    for (size_t i = 0; i < n; i++) {
        GElf_Phdr ph;
        if (!gelf_getphdr(elf, (int)i, &ph) || ph.p_type != PT_INTERP)
            continue;
        size_t size;
        const char *raw = elf_rawfile(elf, &size);
        b->dynamic = true;
        if (raw && ph.p_offset < size && ph.p_filesz <= size - ph.p_offset && ph.p_filesz > 0 &&
            ph.p_filesz < sizeof b->interpreter) {
            memcpy(b->interpreter, raw + ph.p_offset, ph.p_filesz);
            b->interpreter[ph.p_filesz - 1] = 0;
        }
    }
    b->musl = strstr(b->interpreter, "/ld-musl-") != NULL;
}

static int note_needed(struct fsh_binary *b, const char *name) {
    static const char *const allocators[] = {"libjemalloc", "libtcmalloc", "libmimalloc", "libsnmalloc"};
    for (size_t i = 0; i < sizeof allocators / sizeof *allocators; i++)
        if (strncmp(name, allocators[i], strlen(allocators[i])) == 0)
            copy(b->allocator, sizeof b->allocator, name);
    if (strncmp(name, "libasan.so", 10) == 0)
        copy(b->asan, sizeof b->asan, name);
    b->uring |= strncmp(name, "liburing", 8) == 0;
    b->musl |= strncmp(name, "libc.musl-", 10) == 0;
    return keep(&b->needed, &b->n_needed, name);
}

static int read_dynamic(struct fsh_binary *b, Elf *elf, Elf_Scn *scn, const GElf_Shdr *sh) {
    Elf_Data *data = elf_getdata(scn, NULL);
    size_t n = data && sh->sh_entsize ? data->d_size / sh->sh_entsize : 0;
    for (size_t i = 0; i < n; i++) {
        GElf_Dyn dyn;
        if (!gelf_getdyn(data, (int)i, &dyn) || dyn.d_tag == DT_NULL)
            break;
        const char *name = dyn.d_tag == DT_NEEDED ? elf_strptr(elf, sh->sh_link, dyn.d_un.d_val) : NULL;
        int e = name ? note_needed(b, name) : 0;
        if (e)
            return e;
    }
    return 0;
}

static void note_defined(struct fsh_binary *b, const char *name, int type, bool exported) {
    static const char *const prefixed[] = {"je_malloc", "tc_malloc", "mi_malloc"};
    if (type == STT_FUNC && !strcmp(name, "malloc")) {
        b->own_malloc = true;
        b->exports_malloc |= exported;
    }
    for (size_t i = 0; type == STT_FUNC && i < sizeof prefixed / sizeof *prefixed; i++)
        b->own_malloc |= !strcmp(name, prefixed[i]);
    b->uring |= type == STT_FUNC && !strcmp(name, "io_uring_queue_init");
}

/* Allocators that were linked in and stripped are known by their messages. */
static void read_texts(struct fsh_binary *b, Elf_Scn *scn) {
    static const struct {
        const char *text, *name;
    } marks[] = {{"<jemalloc>: ", "jemalloc"}, {"tcmalloc: large alloc", "tcmalloc"}, {"mimalloc: error: ", "mimalloc"}};
    Elf_Data *data = elf_getdata(scn, NULL);
    for (size_t i = 0; data && data->d_buf && i < sizeof marks / sizeof *marks; i++)
        if (memmem(data->d_buf, data->d_size, marks[i].text, strlen(marks[i].text))) {
            b->own_malloc = true;
            b->built_in = marks[i].name;
        }
}

static int read_symbols(struct fsh_binary *b, Elf *elf, Elf_Scn *scn, const GElf_Shdr *sh) {
    Elf_Data *data = elf_getdata(scn, NULL);
    size_t n = data && sh->sh_entsize ? data->d_size / sh->sh_entsize : 0;
    for (size_t i = 1; i < n; i++) {
        GElf_Sym sym;
        if (!gelf_getsym(data, (int)i, &sym))
            break;
        const char *name = elf_strptr(elf, sh->sh_link, sym.st_name);
        if (!name || !*name)
            continue;
        if (sym.st_shndx != SHN_UNDEF)
            note_defined(b, name, GELF_ST_TYPE(sym.st_info), sh->sh_type == SHT_DYNSYM);
        if (sym.st_shndx == SHN_UNDEF && sh->sh_type == SHT_DYNSYM) {
            int e = keep(&b->imports, &b->n_imports, name);
            if (e)
                return e;
        }
    }
    return 0;
}

static int read_sections(struct fsh_binary *b, Elf *elf) {
    size_t names;
    int e = 0;
    if (elf_getshdrstrndx(elf, &names))
        return 0;
    for (Elf_Scn *scn = NULL; !e && (scn = elf_nextscn(elf, scn));) {
        GElf_Shdr sh;
        if (!gelf_getshdr(scn, &sh))
            continue;
        const char *name = elf_strptr(elf, names, sh.sh_name);
        if (name && (!strcmp(name, ".go.buildinfo") || !strcmp(name, ".gopclntab")))
            b->go = true;
        if (name && !strcmp(name, ".rodata") && sh.sh_type == SHT_PROGBITS)
            read_texts(b, scn);
        if (sh.sh_type == SHT_DYNAMIC)
            e = read_dynamic(b, elf, scn, &sh);
        else if (sh.sh_type == SHT_DYNSYM || sh.sh_type == SHT_SYMTAB)
            e = read_symbols(b, elf, scn, &sh);
    }
    return e;
}

static int read_elf(struct fsh_binary *b, int fd) {
    GElf_Ehdr header;
    if (elf_version(EV_CURRENT) == EV_NONE)
        return -ENOSYS;
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    if (!elf || !gelf_getehdr(elf, &header)) {
        elf_end(elf);
        return -ENOEXEC;
    }
    b->form = BINARY_ELF;
    b->foreign = gelf_getclass(elf) != ELFCLASS64 || header.e_machine != OUR_MACHINE;
    read_segments(b, elf);
    int e = read_sections(b, elf);
    elf_end(elf);
    return e;
}

static void read_script(struct fsh_binary *b, char *line) {
    b->form = BINARY_SCRIPT;
    char *p = line + 2 + strspn(line + 2, " \t");
    size_t n = strcspn(p, " \t\n");
    snprintf(b->interpreter, sizeof b->interpreter, "%.*s", (int)n, p);
    p += n + strspn(p + n, " \t");
    snprintf(b->argument, sizeof b->argument, "%.*s", (int)strcspn(p, "\n"), p);
}

/* The loader drops LD_PRELOAD where executing the file changes what the process may do: not for a user that is the owner already,
 * not for root where only capabilities are given (capabilities(7)), not on file systems that are mounted without such rights. */
static void read_privileges(struct fsh_binary *b, int fd) {
    struct stat st;
    struct statvfs fs;
    char caps[64];
    if (fstat(fd, &st) || (fstatvfs(fd, &fs) == 0 && fs.f_flag & ST_NOSUID))
        return;
    bool more = true;
    if (st.st_mode & S_ISUID) {
        b->rights = "set-user-ID";
        more = st.st_uid != getuid() || st.st_uid != geteuid();
    } else if (st.st_mode & S_ISGID && st.st_mode & S_IXGRP) {
        b->rights = "set-group-ID";
        more = st.st_gid != getgid() || st.st_gid != getegid();
    } else if (fgetxattr(fd, "security.capability", caps, sizeof caps) > 0) {
        b->rights = "given file capabilities";
        more = getuid() != 0;
    }
    if (more)
        b->privilege = b->rights;
    if (b->privilege)
        snprintf(b->obstacle, sizeof b->obstacle, "it is %s: the loader drops LD_PRELOAD where that gives it more rights",
                 b->privilege);
}

int fsh_binary_inspect(struct fsh_binary *b, const char *path) {
    char head[512];
    struct stat st;
    memset(b, 0, sizeof *b);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
        close(fd);
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    }
    ssize_t n = pread(fd, head, sizeof head - 1, 0);
    head[n > 0 ? n : 0] = 0;
    int e = n < 0 ? -errno : 0;
    if (n >= SELFMAG && !memcmp(head, ELFMAG, SELFMAG))
        e = read_elf(b, fd);
    else if (n >= 2 && !memcmp(head, "#!", 2))
        read_script(b, head);
    if (!e && b->form == BINARY_ELF)
        read_privileges(b, fd);
    close(fd);
    if (e)
        fsh_binary_free(b);
    return e;
}

static void free_list(char **list, size_t n) {
    for (size_t i = 0; i < n; i++)
        free(list[i]);
    free(list);
}

void fsh_binary_free(struct fsh_binary *b) {
    free_list(b->imports, b->n_imports);
    free_list(b->needed, b->n_needed);
    memset(b, 0, sizeof *b);
}

const char *fsh_binary_obstacle(const struct fsh_binary *b) {
    if (b->form == BINARY_ELF && b->foreign)
        return "it is for another machine or word size than libfaultshim.so";
    if (b->form == BINARY_ELF && !b->dynamic)
        return "it is static: nothing can be preloaded into it";
    if (b->form == BINARY_ELF && b->musl)
        return "it uses musl: libfaultshim.so needs glibc, and musl's loader would not start the program with it";
    if (b->privilege)
        return b->obstacle;
    return NULL;
}

const char *fsh_binary_advice(const struct fsh_binary *b) {
    if (b->form == BINARY_ELF && b->foreign)
        return "build it for x86-64";
    if (b->form == BINARY_ELF && !b->dynamic)
        return b->go ? "build it with cgo (CGO_ENABLED=1); what its Go code does stays unseen even so" : "link it dynamically";
    if (b->form == BINARY_ELF && b->musl)
        return "build it against glibc";
    return b->privilege ? "run a copy of it that has no such rights, or run it as the user that it becomes" : NULL;
}

/* --- finding programs, as execvp does --- */

static int may_run(const char *path) {
    struct stat st;
    if (stat(path, &st))
        return -errno;
    if (S_ISDIR(st.st_mode) || access(path, X_OK))
        return -EACCES;
    return 0;
}

bool fsh_has_build_id(const char *path, struct fsh_text id) {
    const void *bits;
    elf_version(EV_CURRENT);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    Elf *elf = fd >= 0 ? elf_begin(fd, ELF_C_READ, NULL) : NULL;
    ssize_t n = elf ? dwelf_elf_gnu_build_id(elf, &bits) : -1;
    bool same = n > 0 && (size_t)n == id.len && !memcmp(bits, id.data, id.len);
    elf_end(elf);
    if (fd >= 0)
        close(fd);
    return same;
}

int fsh_find_program(char *out, size_t size, const char *name) {
    if (strchr(name, '/')) {
        copy(out, size, name);
        return may_run(name);
    }
    const char *path = getenv("PATH");
    int found = -ENOENT;
    if (!path)
        path = "/bin:/usr/bin";
    for (const char *p = path; *name && *p;) {
        size_t n = strcspn(p, ":");
        int len = n ? snprintf(out, size, "%.*s/%s", (int)n, p, name) : snprintf(out, size, "./%s", name);
        int e = len > 0 && (size_t)len < size ? may_run(out) : -ENOENT;
        if (e == 0)
            return 0;
        if (e == -EACCES)
            found = -EACCES;
        p += n;
        p += *p == ':';
    }
    return found;
}
