/* functions.c: see functions.h. A file is mapped when the first address of it is asked for, and stays mapped; of a file without
 * .symtab only the exported names are known. No lock: two threads that map the same file at once both keep a map, of which one is
 * used. What a file says is believed within its bounds only. */
#include "functions.h"

#include <elf.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "session.h"
#include "sys.h"

#include "poison.h"

enum { TABLES = 256, KNOWN = 4096 };

struct table {
    const struct link_map *_Atomic module; /* set last */
    const Elf64_Sym *symbols;
    uint64_t n;
    const char *names;
    uint64_t size; /* of the names */
};
static struct table tables[TABLES];

static struct {
    _Atomic uintptr_t address;
    const struct link_map *_Atomic module;
    const char *_Atomic name;
} known[KNOWN];

/* --- files --- */

struct file {
    const char *p;
    uint64_t size;
};

static struct file map_file(const char *path) {
    struct stat st;
    long fd = fsh_sys4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0), p = -1;
    if (fd < 0)
        return (struct file){NULL, 0};
    if (fsh_sys2(SYS_fstat, fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > (off_t)sizeof(Elf64_Ehdr))
        p = fsh_sys6(SYS_mmap, 0, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    fsh_sys1(SYS_close, fd);
    return p < 0 && p > -4096 ? (struct file){NULL, 0} : (struct file){(const char *)p, (uint64_t)st.st_size};
}

static bool lies_in(const struct file *f, uint64_t offset, uint64_t size) {
    return offset <= f->size && size <= f->size - offset;
}

static bool take_section(const struct file *f, const Elf64_Shdr *sections, unsigned n, uint32_t type, struct table *t) {
    for (unsigned i = 0; i < n; i++) {
        const Elf64_Shdr *s = &sections[i], *names = s->sh_link < n ? &sections[s->sh_link] : NULL;
        if (s->sh_type != type || !names || s->sh_offset % 8 || !lies_in(f, s->sh_offset, s->sh_size) ||
            !lies_in(f, names->sh_offset, names->sh_size) || !names->sh_size || f->p[names->sh_offset + names->sh_size - 1])
            continue;
        t->symbols = (const Elf64_Sym *)(f->p + s->sh_offset);
        t->n = s->sh_size / sizeof *t->symbols;
        t->names = f->p + names->sh_offset;
        t->size = names->sh_size;
        return true;
    }
    return false;
}

/* Leaves a table without symbols for a file that has none. */
static void read_tables(const struct link_map *module, struct table *t) {
    const char *path = module->l_name && *module->l_name ? module->l_name : fsh_program_path();
    struct file f = map_file(path);
    const Elf64_Ehdr *head = (const void *)f.p;
    if (!f.p)
        return;
    bool sound = !memcmp(head->e_ident, ELFMAG, SELFMAG) && head->e_ident[EI_CLASS] == ELFCLASS64 &&
                 head->e_shentsize == sizeof(Elf64_Shdr) && head->e_shoff % 8 == 0 &&
                 lies_in(&f, head->e_shoff, (uint64_t)head->e_shnum * sizeof(Elf64_Shdr));
    const Elf64_Shdr *sections = sound ? (const void *)(f.p + head->e_shoff) : NULL;
    if (!sound ||
        (!take_section(&f, sections, head->e_shnum, SHT_SYMTAB, t) && !take_section(&f, sections, head->e_shnum, SHT_DYNSYM, t)))
        fsh_sys2(SYS_munmap, f.p, f.size);
}

/* Once there is no room, tables are read again each time. */
static void keep(const struct link_map *module, const struct table *with) {
    static _Atomic uint32_t taken;
    uint32_t i = atomic_fetch_add(&taken, 1);
    if (i >= TABLES)
        return;
    tables[i].symbols = with->symbols;
    tables[i].n = with->n;
    tables[i].names = with->names;
    tables[i].size = with->size;
    atomic_store_explicit(&tables[i].module, module, memory_order_release);
}

static struct table table_of(const struct link_map *module) {
    struct table found = {.n = 0};
    for (unsigned i = 0; i < TABLES; i++)
        if (atomic_load_explicit(&tables[i].module, memory_order_acquire) == module)
            return tables[i];
    read_tables(module, &found);
    keep(module, &found);
    return found;
}

/* --- symbols --- */

static const char *find(const struct link_map *module, uintptr_t address) {
    struct table t = table_of(module);
    uint64_t at = address - module->l_addr;
    for (uint64_t i = 0; i < t.n; i++) {
        const Elf64_Sym *s = &t.symbols[i];
        unsigned type = ELF64_ST_TYPE(s->st_info);
        if ((type == STT_FUNC || type == STT_GNU_IFUNC) && s->st_shndx != SHN_UNDEF &&
            at - s->st_value < (s->st_size ? s->st_size : 1) && s->st_name < t.size)
            return t.names + s->st_name;
    }
    return NULL;
}

const char *fsh_function_at(const struct link_map *module, uintptr_t address) {
    unsigned i = (unsigned)((address ^ address >> 12) % KNOWN);
    if (atomic_load_explicit(&known[i].address, memory_order_acquire) == address && atomic_load(&known[i].module) == module) {
        const char *name = atomic_load(&known[i].name);
        if (atomic_load(&known[i].address) == address)
            return name;
    }
    const char *name = find(module, address);
    atomic_store(&known[i].address, 0);
    atomic_store(&known[i].module, module);
    atomic_store(&known[i].name, name);
    atomic_store_explicit(&known[i].address, address, memory_order_release);
    return name;
}
