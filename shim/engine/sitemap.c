/* sitemap.c: see sitemap.h. Reads an ELF file that it does not trust: every offset is checked before it is followed. */
#include "sitemap.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <Zydis/Zydis.h>

#include "draw.h"
#include "sys.h"

/* --- the file --- */

struct elf {
    const uint8_t *data;
    size_t size;
    const Elf64_Ehdr *header;
    const Elf64_Phdr *segments;
};

static bool within(const struct elf *e, uint64_t at, uint64_t n) {
    return at <= e->size && n <= e->size - at;
}

static bool open_elf(struct elf *e, const uint8_t *data, size_t size) {
    *e = (struct elf){.data = data, .size = size, .header = (const void *)data};
    if (size < sizeof *e->header || memcmp(data, ELFMAG, SELFMAG) != 0 || data[EI_CLASS] != ELFCLASS64 ||
        e->header->e_machine != EM_X86_64 || e->header->e_phentsize != sizeof *e->segments)
        return false;
    e->segments = (const void *)(data + e->header->e_phoff);
    return e->header->e_phoff % 8 == 0 && within(e, e->header->e_phoff, (uint64_t)e->header->e_phnum * sizeof *e->segments);
}

/* Where an address of the module stands in the file, with at least `n` bytes there; NULL if nowhere. */
static const uint8_t *at_address(const struct elf *e, uint64_t address, uint64_t n) {
    for (unsigned i = 0; i < e->header->e_phnum; i++) {
        const Elf64_Phdr *s = &e->segments[i];
        if (s->p_type == PT_LOAD && address >= s->p_vaddr && address - s->p_vaddr <= s->p_filesz &&
            n <= s->p_filesz - (address - s->p_vaddr) && within(e, s->p_offset, s->p_filesz))
            return e->data + s->p_offset + (address - s->p_vaddr);
    }
    return NULL;
}

unsigned fsh_build_id(const void *notes, size_t size, uint8_t id[FSH_BUILD_ID_MAX]) {
    const uint8_t *p = notes;
    while (size >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr note;
        memcpy(&note, p, sizeof note);
        size_t name = ((size_t)note.n_namesz + 3) & ~(size_t)3, desc = ((size_t)note.n_descsz + 3) & ~(size_t)3;
        if (name > size - sizeof note || desc > size - sizeof note - name)
            return 0;
        const uint8_t *text = p + sizeof note + name;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && !memcmp(p + sizeof note, "GNU", 4) && note.n_descsz > 0 &&
            note.n_descsz <= FSH_BUILD_ID_MAX) {
            memcpy(id, text, note.n_descsz);
            return note.n_descsz;
        }
        p = text + desc;
        size -= sizeof note + name + desc;
    }
    return 0;
}

static unsigned id_of(const struct elf *e, uint8_t id[FSH_BUILD_ID_MAX]) {
    for (unsigned i = 0; i < e->header->e_phnum; i++) {
        const Elf64_Phdr *s = &e->segments[i];
        unsigned n =
            s->p_type == PT_NOTE && within(e, s->p_offset, s->p_filesz) ? fsh_build_id(e->data + s->p_offset, s->p_filesz, id) : 0;
        if (n)
            return n;
    }
    return 0;
}

/* --- functions: from the sorted table of .eh_frame_hdr (LSB, "Exception Frames") --- */

struct functions {
    const uint8_t *table; /* pairs of 32-bit offsets from the header */
    uint64_t base;
    uint32_t n;
};

static int32_t get_i32(const uint8_t *p) {
    int32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static struct functions functions_of(const struct elf *e) {
    struct functions none = {0};
    for (unsigned i = 0; i < e->header->e_phnum; i++) {
        const Elf64_Phdr *s = &e->segments[i];
        if (s->p_type != PT_GNU_EH_FRAME || s->p_filesz < 12 || !within(e, s->p_offset, s->p_filesz))
            continue;
        const uint8_t *p = e->data + s->p_offset;
        /* version 1; pointer: any 4 bytes; count: udata4; table: datarel sdata4 */
        if (p[0] != 1 || (p[1] & 15) != 11 || p[2] != 3 || p[3] != 0x3b)
            return none;
        uint32_t n = (uint32_t)get_i32(p + 8);
        return (s->p_filesz - 12) / 8 < n ? none : (struct functions){p + 12, s->p_vaddr, n};
    }
    return none;
}

static uint64_t start_of(const struct functions *f, uint32_t i) {
    return f->base + (uint64_t)(int64_t)get_i32(f->table + 8 * (size_t)i);
}

/* --- the scan --- */

enum { INSNS_MAX = 1 << 16 }; /* in one function */
enum kind { PLAIN, RELATIVE, CONDITIONAL, ENDS /* the way goes elsewhere */, SYSCALL };

struct insn {
    uint32_t at; /* within the text */
    uint8_t size, field;
    uint8_t kind;
    bool wide; /* CONDITIONAL: 32 bits */
};

struct scan {
    ZydisDecoder decoder;
    ZyanStatus (*decode)(const ZydisDecoder *, ZydisDecoderContext *, const void *, ZyanUSize, ZydisDecodedInstruction *);
    const uint8_t *text;
    uint64_t address; /* of the text */
    uint64_t size;
    uint64_t *targets; /* by byte of the text, as bits: something jumps there */
    struct insn *insns;
    uint32_t n;
    bool is_indirect; /* the function jumps where only a table says */
    struct fsh_sitemap *out;
    size_t room;
};

static void mark(struct scan *s, uint64_t at) {
    if (at < s->size)
        s->targets[at / 64] |= UINT64_C(1) << at % 64;
}

static bool is_target(const struct scan *s, uint64_t at) {
    return s->targets[at / 64] >> at % 64 & 1;
}

static enum kind kind_of(const ZydisDecodedInstruction *i) {
    switch (i->meta.category) {
    case ZYDIS_CATEGORY_COND_BR:
        /* jrcxz and loop have no form of 32 bits */
        return i->opcode_map == ZYDIS_OPCODE_MAP_0F || (i->opcode & 0xf0) == 0x70 ? CONDITIONAL : ENDS;
    case ZYDIS_CATEGORY_UNCOND_BR:
    case ZYDIS_CATEGORY_CALL:
    case ZYDIS_CATEGORY_RET:
    case ZYDIS_CATEGORY_INTERRUPT:
        return ENDS;
    default:
        break;
    }
    if (i->mnemonic == ZYDIS_MNEMONIC_SYSCALL)
        return SYSCALL;
    if (i->mnemonic == ZYDIS_MNEMONIC_HLT || i->mnemonic == ZYDIS_MNEMONIC_UD2)
        return ENDS;
    return i->attributes & ZYDIS_ATTRIB_IS_RELATIVE ? RELATIVE : PLAIN;
}

/* Decodes the function from `from` up to `to`; where it ends sooner, so does what can be known of it. */
static void decode_function(struct scan *s, uint64_t from, uint64_t to, bool keep) {
    ZydisDecodedInstruction i;
    s->n = 0;
    s->is_indirect = false;
    for (uint64_t at = from; at < to && at < s->size; at += i.length) {
        if (!ZYAN_SUCCESS(s->decode(&s->decoder, NULL, s->text + at, s->size - at, &i)) || i.length == 0)
            return;
        enum kind kind = kind_of(&i);
        bool jumps = i.meta.category == ZYDIS_CATEGORY_COND_BR || i.meta.category == ZYDIS_CATEGORY_UNCOND_BR ||
                     i.meta.category == ZYDIS_CATEGORY_CALL;
        if (jumps && i.raw.imm[0].is_relative)
            mark(s, at + i.length + (uint64_t)i.raw.imm[0].value.s);
        else if (i.meta.category == ZYDIS_CATEGORY_UNCOND_BR)
            s->is_indirect = true;
        if (keep && s->n < INSNS_MAX)
            s->insns[s->n++] = (struct insn){.at = (uint32_t)at,
                                             .size = i.length,
                                             .field = i.raw.disp.offset,
                                             .kind = (uint8_t)kind,
                                             .wide = i.opcode_map == ZYDIS_OPCODE_MAP_0F};
    }
}

/* Whether instructions first..last can be moved together; fills in the window but for its place. */
static bool can_move(const struct scan *s, uint32_t first, uint32_t last, uint32_t site, struct fsh_site_entry *e) {
    const struct insn *v = s->insns;
    uint32_t from = v[first].at, size = v[last].at + v[last].size - from;
    e->n_fixes = 0;
    if (size < FSH_JUMP_SIZE || size > FSH_WINDOW_MAX || (s->is_indirect && first != last))
        return false;
    for (uint32_t i = first; i <= last; i++) {
        if ((i > first && is_target(s, v[i].at)) || v[i].kind == ENDS || (v[i].kind == SYSCALL && i != site))
            return false;
        if (v[i].kind != RELATIVE && v[i].kind != CONDITIONAL)
            continue;
        if (e->n_fixes == FSH_FIXES_MAX)
            return false;
        e->fixes[e->n_fixes++] = (struct fsh_site_fix){.at = (uint8_t)(v[i].at - from),
                                                       .size = v[i].size,
                                                       .jumps = v[i].kind == RELATIVE ? 0
                                                                : v[i].wide           ? 2
                                                                                      : 1,
                                                       .field = v[i].field};
    }
    e->before = (uint8_t)(v[site].at - from);
    e->size = (uint8_t)size;
    memcpy(e->bytes, s->text + from, size);
    return true;
}

enum { BACK = 6 };

/* The shortest window that ends before the `syscall`, otherwise the shortest one over it. */
static bool find_window(const struct scan *s, uint32_t site, struct fsh_site_entry *e) {
    for (uint32_t k = 1; k <= BACK && k <= site; k++)
        if (s->insns[site - 1].kind != SYSCALL && can_move(s, site - k, site - 1, site, e))
            return !is_target(s, s->insns[site].at);
    for (uint32_t after = 1; after <= 3 && site + after < s->n; after++)
        for (uint32_t k = 0; k <= BACK && k <= site; k++)
            if (can_move(s, site - k, site + after, site, e))
                return true;
    return false;
}

/* The constant that eax holds at the `syscall`, looking back as long as nothing jumps in between. */
static uint32_t number_at(const struct scan *s, uint32_t site) {
    for (uint32_t k = 1; k <= 2 * BACK && k <= site; k++) {
        const struct insn *i = &s->insns[site - k];
        const uint8_t *p = s->text + i->at;
        if (is_target(s, i[1].at) || i->kind == ENDS)
            return FSH_NR_UNKNOWN;
        if (p[0] == 0xb8) /* mov $imm32,%eax */
            return (uint32_t)get_i32(p + 1);
        if ((p[0] == 0x31 || p[0] == 0x33) && p[1] == 0xc0) /* xor %eax,%eax */
            return 0;
        if (p[0] == 0x48 && p[1] == 0xc7 && p[2] == 0xc0)
            return (uint32_t)get_i32(p + 3);
        /* anything else that could write rax: give up, unless it is known not to */
        bool harmless = i->kind == CONDITIONAL || (p[0] >= 0xb9 && p[0] <= 0xbf) || (p[0] == 0x31 && (p[1] & 7) != 0) ||
                        (p[0] == 0x45 && p[1] == 0x31) || (p[0] == 0x41 && p[1] >= 0xb8 && p[1] <= 0xbf) || p[0] == 0x80 ||
                        (p[0] == 0x0f && p[1] == 0x1f) || p[0] == 0x85 || (p[0] == 0x48 && p[1] == 0x89 && (p[2] & 0xc7) != 0xc0) ||
                        (p[0] == 0x89 && (p[1] & 0xc7) != 0xc0);
        if (!harmless)
            return FSH_NR_UNKNOWN;
    }
    return FSH_NR_UNKNOWN;
}

/* What a signal handler returns to: `mov $15,%rax; syscall`, whose bytes the unwinder knows. Its entry in .eh_frame begins a byte
 * early, so that what is decoded from there is not what is run. */
static bool is_sigreturn(const struct scan *s, uint32_t site) {
    static const uint8_t bytes[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00};
    return site >= sizeof bytes && !memcmp(s->text + site - sizeof bytes, bytes, sizeof bytes);
}

static int sites_of_function(struct scan *s) {
    for (uint32_t i = 0; i < s->n; i++) {
        struct fsh_site_entry e = {.at = (uint32_t)(s->address + s->insns[i].at)};
        if (s->insns[i].kind != SYSCALL)
            continue;
        if (is_sigreturn(s, s->insns[i].at) || !find_window(s, i, &e)) {
            s->out->closed++;
            continue;
        }
        e.nr = number_at(s, i);
        if (s->out->size + sizeof e > s->room)
            return -ENOSPC;
        s->out->entries[s->out->n++] = e;
        s->out->size += (uint32_t)sizeof e;
    }
    return 0;
}

static const uint8_t *next_syscall(const uint8_t *p, const uint8_t *end) {
    while (p + 1 < end) {
        p = memchr(p, 0x0f, (size_t)(end - p) - 1);
        if (!p || p[1] == 0x05)
            return p;
        p++;
    }
    return NULL;
}

static void *take(size_t size) {
    long p = fsh_sys6(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p < 0 && p > -4096 ? NULL : (void *)p;
}

/* Of one function's text, [from, to). */
typedef int (*visitor)(struct scan *s, uint64_t from, uint64_t to);

/* The two bytes stand in data and in other instructions too: most modules hold no site, and are left at that. */
static int look_for_one(struct scan *s, uint64_t from, uint64_t to) {
    if (!next_syscall(s->text + from, s->text + to))
        return 0;
    decode_function(s, from, to, true);
    for (uint32_t i = 0; i < s->n; i++)
        if (s->insns[i].kind == SYSCALL)
            return 1;
    return 0;
}

static int learn_targets(struct scan *s, uint64_t from, uint64_t to) {
    mark(s, from);
    decode_function(s, from, to, false);
    return 0;
}

static int learn_sites(struct scan *s, uint64_t from, uint64_t to) {
    if (!next_syscall(s->text + from, s->text + to))
        return 0;
    decode_function(s, from, to, true);
    return sites_of_function(s);
}

/* All functions; text that no function is known of is one by itself. */
static int each_function(struct scan *s, const struct functions *f, visitor visit) {
    uint64_t from = 0;
    int r = 0;
    for (uint32_t i = 0; i < f->n && r == 0; i++) {
        uint64_t start = start_of(f, i) - s->address;
        if (start >= s->size || start <= from)
            continue;
        r = visit(s, from, start);
        from = start;
    }
    return r ? r : visit(s, from, s->size);
}

static int scan_segment(struct scan *s, const struct functions *f) {
    size_t bits = (s->size + 63) / 64 * 8;
    if (s->size > UINT32_MAX)
        return -ENOEXEC;
    if (!next_syscall(s->text, s->text + s->size))
        return 0;
    s->targets = take(bits);
    s->insns = take(INSNS_MAX * sizeof *s->insns);
    int r = s->targets && s->insns ? each_function(s, f, look_for_one) : -ENOMEM;
    if (r == 1) {
        r = each_function(s, f, learn_targets);
        if (r == 0)
            r = each_function(s, f, learn_sites);
    }
    if (s->targets)
        fsh_sys2(SYS_munmap, s->targets, bits);
    if (s->insns)
        fsh_sys2(SYS_munmap, s->insns, INSNS_MAX * sizeof *s->insns);
    return r;
}

static uint64_t sum_of(const struct fsh_sitemap *m) {
    uint64_t h = FSH_HASH_START, word;
    for (size_t at = 0; at + sizeof word <= m->n * sizeof *m->entries; at += sizeof word) {
        memcpy(&word, (const char *)m->entries + at, sizeof word);
        h = (h ^ word) * FSH_GAMMA;
        h ^= h >> 32;
    }
    return h;
}

size_t fsh_sitemap_room(const uint8_t *file, size_t size) {
    size_t n = 0;
    for (const uint8_t *p = file; (p = next_syscall(p, file + size)); p++)
        n++;
    return sizeof(struct fsh_sitemap) + n * sizeof(struct fsh_site_entry);
}

int fsh_sitemap_scan(struct fsh_sitemap *out, size_t room, const uint8_t *file, size_t size, const struct fsh_decoder *decoder) {
    struct elf elf;
    struct scan s = {.out = out, .room = room};
    ZyanStatus (*init)(ZydisDecoder *, ZydisMachineMode, ZydisStackWidth) = (__typeof__(init))decoder->init;
    s.decode = (__typeof__(s.decode))decoder->decode;
    if (room < sizeof *out)
        return -ENOSPC;
    if (!open_elf(&elf, file, size) || !ZYAN_SUCCESS(init(&s.decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)))
        return -ENOEXEC;
    memset(out, 0, sizeof *out);
    out->size = sizeof *out;
    out->id_size = (uint8_t)id_of(&elf, out->id);
    struct functions functions = functions_of(&elf);
    int r = 0;
    for (unsigned i = 0; i < elf.header->e_phnum && r == 0; i++) {
        const Elf64_Phdr *p = &elf.segments[i];
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
            continue;
        s.text = at_address(&elf, p->p_vaddr, p->p_filesz);
        s.address = p->p_vaddr;
        s.size = p->p_filesz;
        r = s.text ? scan_segment(&s, &functions) : -ENOEXEC;
    }
    out->sum = sum_of(out);
    return r;
}

/* --- maps that were kept --- */

const struct fsh_sitemap *fsh_sitemap_find(const void *data, size_t size, const uint8_t *id, unsigned id_size) {
    enum { MAGIC = sizeof FSH_SITEMAP_MAGIC - 1 };
    if (size < MAGIC || memcmp(data, FSH_SITEMAP_MAGIC, MAGIC) != 0)
        return NULL;
    for (size_t at = MAGIC; size - at >= sizeof(struct fsh_sitemap);) {
        const struct fsh_sitemap *m = (const void *)((const char *)data + at);
        if (m->size < sizeof *m || m->size > size - at || m->size % 8 || (m->size - sizeof *m) / sizeof *m->entries < m->n)
            return NULL;
        if (m->id_size == id_size && id_size && !memcmp(m->id, id, id_size))
            return m->sum == sum_of(m) ? m : NULL;
        at += m->size;
    }
    return NULL;
}
