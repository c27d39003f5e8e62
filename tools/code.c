/* code.c: see code.h.
 *
 * A function is decoded from its start, instruction by instruction, so that the bytes of a `syscall` instruction inside another one
 * do not count. Where functions start is known from the symbols and, in stripped files, from the search table of .eh_frame_hdr;
 * only functions that hold the bytes at all are decoded. */
#include "code.h"

#include <Zydis/Zydis.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { URING_FIRST = SYS_io_uring_setup, URING_LAST = SYS_io_uring_register };

static const char *const names[] = {
#include "sysnames.inc"
};

const char *fsh_sysname(long nr) {
    return nr >= 0 && nr < (long)(sizeof names / sizeof *names) ? names[nr] : NULL;
}

const char *fsh_sysname_text(long nr, char buf[32]) {
    const char *name = fsh_sysname(nr);
    if (name)
        return name;
    snprintf(buf, 32, "system call %ld", nr);
    return buf;
}

/* --- where functions start --- */

struct function {
    uint64_t address, size; /* 0: not known, up to the next one */
    const char *name;       /* in the file's own string table; NULL for none */
    bool local;
};

struct fsh_functions {
    int fd;
    Elf *elf;
    struct function *v;
    size_t n, room;
};

static int add_function(struct fsh_functions *f, uint64_t address, uint64_t size, const char *name, bool local) {
    if (f->n == f->room) {
        size_t room = f->room ? 2 * f->room : 1024;
        struct function *more = reallocarray(f->v, room, sizeof *more);
        if (!more)
            return -ENOMEM;
        f->v = more;
        f->room = room;
    }
    f->v[f->n++] = (struct function){address, size, name, local};
    return 0;
}

static int add_symbols(struct fsh_functions *f, Elf_Scn *scn, const GElf_Shdr *sh) {
    Elf_Data *data = elf_getdata(scn, NULL);
    size_t n = data && sh->sh_entsize ? data->d_size / sh->sh_entsize : 0;
    int e = 0;
    for (size_t i = 1; !e && i < n; i++) {
        GElf_Sym sym;
        if (!gelf_getsym(data, (int)i, &sym))
            break;
        int type = GELF_ST_TYPE(sym.st_info);
        if (sym.st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_GNU_IFUNC))
            e = add_function(f, sym.st_value, sym.st_size, elf_strptr(f->elf, sh->sh_link, sym.st_name),
                             GELF_ST_BIND(sym.st_info) == STB_LOCAL);
    }
    return e;
}

/* Size of a function from its entry in .eh_frame, where the compiler wrote that in 32-bit offsets; 0 if not. */
static uint64_t size_by_unwind(const GElf_Shdr *frames, const Elf_Data *data, uint64_t entry, uint64_t start) {
    int32_t begin;
    uint32_t size;
    if (!data || !data->d_buf || entry < frames->sh_addr || entry - frames->sh_addr + 16 > data->d_size)
        return 0;
    const unsigned char *p = (const unsigned char *)data->d_buf + (entry - frames->sh_addr);
    memcpy(&begin, p + 8, sizeof begin);
    memcpy(&size, p + 12, sizeof size);
    return entry + 8 + (uint64_t)(int64_t)begin == start ? size : 0;
}

static Elf_Scn *section_named(Elf *elf, size_t section_names, const char *name, GElf_Shdr *sh) {
    for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));) {
        const char *there = gelf_getshdr(scn, sh) ? elf_strptr(elf, section_names, sh->sh_name) : NULL;
        if (there && !strcmp(there, name) && sh->sh_type != SHT_NOBITS)
            return scn;
    }
    return NULL;
}

/* .eh_frame_hdr in the one form that linkers write: version 1, a count, pairs of 32-bit offsets from its own start. */
static int add_unwind(struct fsh_functions *f, size_t section_names) {
    GElf_Shdr table, frames;
    Elf_Scn *scn = section_named(f->elf, section_names, ".eh_frame_hdr", &table);
    Elf_Scn *scn_frames = section_named(f->elf, section_names, ".eh_frame", &frames);
    Elf_Data *data = scn ? elf_getdata(scn, NULL) : NULL, *entries = scn_frames ? elf_getdata(scn_frames, NULL) : NULL;
    const unsigned char *p = data ? data->d_buf : NULL;
    uint32_t n;
    int e = 0;
    if (!p || data->d_size < 12 || p[0] != 1 || p[1] != 0x1b || p[2] != 0x03 || p[3] != 0x3b)
        return 0;
    memcpy(&n, p + 8, sizeof n);
    for (size_t i = 0; !e && i < n && 12 + (i + 1) * 8 <= data->d_size; i++) {
        int32_t pair[2];
        memcpy(pair, p + 12 + i * 8, sizeof pair);
        uint64_t start = table.sh_addr + (uint64_t)(int64_t)pair[0], entry = table.sh_addr + (uint64_t)(int64_t)pair[1];
        e = add_function(f, start, size_by_unwind(&frames, entries, entry, start), NULL, false);
    }
    return e;
}

/* By address; of several names for one address, the one to show comes first: public ones, then short ones. */
static int compare_functions(const void *pa, const void *pb) {
    const struct function *a = pa, *b = pb;
    if (a->address != b->address)
        return a->address < b->address ? -1 : 1;
    if (!a->name || !b->name)
        return (a->name == NULL) - (b->name == NULL);
    if (a->local != b->local)
        return a->local - b->local;
    size_t under_a = strspn(a->name, "_"), under_b = strspn(b->name, "_");
    if (under_a != under_b)
        return under_a < under_b ? -1 : 1;
    return strcmp(a->name, b->name);
}

static int find_functions(struct fsh_functions *f) {
    size_t section_names;
    if (elf_getshdrstrndx(f->elf, &section_names))
        return 0;
    int e = add_unwind(f, section_names);
    for (Elf_Scn *scn = NULL; !e && (scn = elf_nextscn(f->elf, scn));) {
        GElf_Shdr sh;
        if (!gelf_getshdr(scn, &sh))
            continue;
        if (sh.sh_type == SHT_SYMTAB || sh.sh_type == SHT_DYNSYM)
            e = add_symbols(f, scn, &sh);
        if (!e && sh.sh_flags & SHF_EXECINSTR && sh.sh_type != SHT_NOBITS)
            e = add_function(f, sh.sh_addr, 0, NULL, false);
    }
    if (f->n)
        qsort(f->v, f->n, sizeof *f->v, compare_functions);
    size_t kept = 0;
    for (size_t i = 0; i < f->n; i++) {
        if (kept == 0 || f->v[i].address != f->v[kept - 1].address)
            f->v[kept++] = f->v[i];
        else if (!f->v[kept - 1].size)
            f->v[kept - 1].size = f->v[i].size;
    }
    f->n = kept;
    return e;
}

struct fsh_functions *fsh_functions_of(const char *path) {
    struct fsh_functions *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    f->elf = f->fd >= 0 && elf_version(EV_CURRENT) != EV_NONE ? elf_begin(f->fd, ELF_C_READ_MMAP, NULL) : NULL;
    if (!f->elf || elf_kind(f->elf) != ELF_K_ELF || find_functions(f)) {
        fsh_functions_free(f);
        return NULL;
    }
    return f;
}

void fsh_functions_free(struct fsh_functions *f) {
    if (!f)
        return;
    free(f->v);
    elf_end(f->elf);
    if (f->fd >= 0)
        close(f->fd);
    free(f);
}

/* The last that starts at or before the address; NULL if none does. */
static const struct function *around(const struct fsh_functions *f, uint64_t address) {
    size_t lo = 0, hi = f->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (f->v[mid].address <= address)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo ? &f->v[lo - 1] : NULL;
}

const char *fsh_function_at(const struct fsh_functions *f, uint64_t offset, uint64_t *from) {
    size_t n = 0;
    elf_getphdrnum(f->elf, &n);
    for (size_t i = 0; i < n; i++) {
        GElf_Phdr ph;
        if (gelf_getphdr(f->elf, (int)i, &ph) && ph.p_type == PT_LOAD && offset >= ph.p_offset &&
            offset - ph.p_offset < ph.p_filesz) {
            uint64_t address = ph.p_vaddr + (offset - ph.p_offset);
            const struct function *at = around(f, address);
            if (!at || !at->name || (at->size && address - at->address > at->size))
                break;
            *from = address - at->address;
            return at->name;
        }
    }
    *from = offset;
    return "";
}

/* --- what they do --- */

static int keep_site(struct fsh_code *code, const struct function *function, uint64_t address, int number) {
    struct fsh_site *more = reallocarray(code->sites, code->n_sites + 1, sizeof *more);
    if (!more)
        return -ENOMEM;
    code->sites = more;
    struct fsh_site *site = &more[code->n_sites++];
    *site = (struct fsh_site){.address = address, .number = number};
    site->offset = address - function->address;
    snprintf(site->function, sizeof site->function, "%s", function->name ? function->name : "");
    return 0;
}

/* What a register is known to hold, from the instructions before; -1 if it is not. */
struct known {
    int rax, rdi;
};

static void note_register(int *known, ZydisRegister wanted, const ZydisDecodedInstruction *in, const ZydisDecodedOperand *ops) {
    for (unsigned i = 0; i < in->operand_count; i++) {
        const ZydisDecodedOperand *op = &ops[i];
        if (op->type != ZYDIS_OPERAND_TYPE_REGISTER || !(op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) ||
            ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, op->reg.value) != wanted)
            continue;
        *known = -1;
        if (i == 0 && in->mnemonic == ZYDIS_MNEMONIC_MOV && ops[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
            ops[1].imm.value.u < 4096)
            *known = (int)ops[1].imm.value.u;
        else if (i == 0 && in->mnemonic == ZYDIS_MNEMONIC_XOR && ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                 ops[1].reg.value == op->reg.value)
            *known = 0;
    }
    if (in->meta.category == ZYDIS_CATEGORY_CALL)
        *known = -1;
}

static bool is_uring(int number) {
    return number >= URING_FIRST && number <= URING_LAST;
}

static int decode(struct fsh_code *code, const ZydisDecoder *decoder, const struct function *function, const unsigned char *bytes,
                  size_t size) {
    struct known known = {-1, -1};
    int e = 0;
    for (size_t at = 0; !e && at < size;) {
        ZydisDecodedInstruction in;
        ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder, bytes + at, size - at, &in, ops))) {
            at++;
            known = (struct known){-1, -1};
            continue;
        }
        if (in.mnemonic == ZYDIS_MNEMONIC_SYSCALL) {
            e = keep_site(code, function, function->address + at, known.rax);
            code->uring |= is_uring(known.rax);
        } else if (in.meta.category == ZYDIS_CATEGORY_CALL && is_uring(known.rdi)) {
            code->uring = true; /* syscall(SYS_io_uring_setup, ...) */
        }
        note_register(&known.rax, ZYDIS_REGISTER_RAX, &in, ops);
        note_register(&known.rdi, ZYDIS_REGISTER_RDI, &in, ops);
        at += in.length;
    }
    return e;
}

static bool is_worth_it(const unsigned char *bytes, size_t size) {
    static const unsigned char syscall_bytes[] = {0x0f, 0x05},
                               mov_edi[] = {0xbf, SYS_io_uring_setup & 255, SYS_io_uring_setup >> 8, 0, 0};
    return memmem(bytes, size, syscall_bytes, sizeof syscall_bytes) || memmem(bytes, size, mov_edi, sizeof mov_edi);
}

static int read_section(struct fsh_code *code, const ZydisDecoder *decoder, const struct fsh_functions *f, Elf_Scn *scn,
                        const GElf_Shdr *sh) {
    Elf_Data *data = elf_getdata(scn, NULL);
    const unsigned char *bytes = data ? data->d_buf : NULL;
    const struct function *at = around(f, sh->sh_addr), *end = f->v + f->n;
    int e = 0;
    for (; bytes && !e && at && at < end; at++) {
        if (at->address < sh->sh_addr)
            continue;
        uint64_t from = at->address - sh->sh_addr;
        uint64_t to = at + 1 < end ? at[1].address - sh->sh_addr : data->d_size;
        if (from >= data->d_size)
            break;
        if (at->size && at->size < to - from)
            to = from + at->size; /* tables may follow */
        if (to > data->d_size)
            to = data->d_size;
        if (is_worth_it(bytes + from, to - from))
            e = decode(code, decoder, at, bytes + from, to - from);
    }
    return e;
}

int fsh_code_read(struct fsh_code *code, const char *path) {
    ZydisDecoder decoder;
    memset(code, 0, sizeof *code);
    struct fsh_functions *f = fsh_functions_of(path);
    if (!f)
        return -ENOEXEC;
    int e = ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)) ? 0 : -ENOSYS;
    for (Elf_Scn *scn = NULL; !e && (scn = elf_nextscn(f->elf, scn));) {
        GElf_Shdr sh;
        if (gelf_getshdr(scn, &sh) && sh.sh_flags & SHF_EXECINSTR && sh.sh_type != SHT_NOBITS)
            e = read_section(code, &decoder, f, scn, &sh);
    }
    fsh_functions_free(f);
    if (e)
        fsh_code_free(code);
    return e;
}

void fsh_code_free(struct fsh_code *code) {
    free(code->sites);
    memset(code, 0, sizeof *code);
}
