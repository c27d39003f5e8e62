/* symbolize.c: see symbolize.h. By libdwfl, one session for each module, kept open; what was found for an offset is kept too,
 * because finding a function's scopes goes through its whole compilation unit. Paths come from a trace and are not trusted: only
 * regular files are opened, and one whose build id is not the recorded one tells nothing. */
#include "symbolize.h"

#include <dlfcn.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "out.h"

enum { KNOWN_FIRST = 64, PAGE = 4096 };

struct known {
    bool used;
    uint64_t offset;
    struct fsh_place place;
    char *function, *within; /* what of the place was allocated */
};

struct module {
    struct module *next;
    char *path, *build_id;
    size_t build_id_len;
    const char *name, *obstacle;
    Dwfl *dwfl;
    Dwfl_Module *dwfl_module;
    uint64_t start; /* address, for libdwfl, of the first page that is mapped */
    struct known *known;
    size_t n_known, room;
};

struct fsh_symbols {
    struct module *modules;
    char *(*demangle)(const char *, char *, size_t *, int *);
    bool looked_for_demangle;
};

/* --- modules --- */

/* libdwfl would ask debuginfod where the user's environment names a server. */
static int find_debuginfo(Dwfl_Module *mod, void **data, const char *name, Dwarf_Addr base, const char *file, const char *link,
                          GElf_Word crc, char **found) {
    const char *urls = getenv("DEBUGINFOD_URLS");
    char *kept = urls ? strdup(urls) : NULL;
    unsetenv("DEBUGINFOD_URLS");
    int fd = dwfl_standard_find_debuginfo(mod, data, name, base, file, link, crc, found);
    if (kept)
        setenv("DEBUGINFOD_URLS", kept, 1);
    free(kept);
    return fd;
}

static const Dwfl_Callbacks callbacks = {.find_debuginfo = find_debuginfo, .section_address = dwfl_offline_section_address};

static int open_regular(const char *path) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && (fstat(fd, &st) || !S_ISREG(st.st_mode))) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool find_start(struct module *m) {
    GElf_Addr bias;
    size_t n = 0;
    Elf *elf = dwfl_module_getelf(m->dwfl_module, &bias);
    if (!elf || elf_getphdrnum(elf, &n))
        return false;
    for (size_t i = 0; i < n; i++) {
        GElf_Phdr ph;
        if (gelf_getphdr(elf, (int)i, &ph) && ph.p_type == PT_LOAD) {
            m->start = bias + (ph.p_vaddr & ~(uint64_t)(PAGE - 1));
            return true;
        }
    }
    return false;
}

static bool is_the_recorded(const struct module *m) {
    const unsigned char *bits;
    GElf_Addr at;
    int n = dwfl_module_build_id(m->dwfl_module, &bits, &at);
    return !m->build_id_len || (n > 0 && (size_t)n == m->build_id_len && !memcmp(bits, m->build_id, m->build_id_len));
}

/* Returns why nothing can be known of it, or NULL. */
static const char *open_module(struct module *m) {
    if (!*m->path)
        return "its path is not known";
    if (!strchr(m->path, '/'))
        return "it has no file";
    int fd = open_regular(m->path);
    if (fd < 0)
        return "its file can't be opened";
    m->dwfl = dwfl_begin(&callbacks);
    if (m->dwfl)
        m->dwfl_module = dwfl_report_offline(m->dwfl, m->name, m->path, fd);
    if (!m->dwfl_module) {
        close(fd);
        return "its file is no object file";
    }
    dwfl_report_end(m->dwfl, NULL, NULL);
    if (!find_start(m))
        return "its file is no object file";
    return is_the_recorded(m) ? NULL : "its file is of another build now";
}

static void free_module(struct module *m) {
    for (size_t i = 0; i < m->room; i++) {
        free(m->known[i].function);
        free(m->known[i].within);
    }
    if (m->dwfl)
        dwfl_end(m->dwfl);
    free(m->known);
    free(m->path);
    free(m->build_id);
    free(m);
}

static char *absolute(const char *path, const char *cwd) {
    char *out = NULL;
    if (!strchr(path, '/') || *path == '/' || !cwd)
        return strdup(path);
    return asprintf(&out, "%s/%s", cwd, path) < 0 ? NULL : out;
}

static struct module *new_module(struct fsh_symbols *s, const char *path, const char *cwd, struct fsh_text build_id) {
    struct module *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->path = absolute(path, cwd);
    m->build_id = malloc(build_id.len + 1);
    m->known = calloc(KNOWN_FIRST, sizeof *m->known);
    if (!m->path || !m->build_id || !m->known) {
        free_module(m);
        return NULL;
    }
    m->room = KNOWN_FIRST;
    m->build_id_len = build_id.len;
    if (build_id.len)
        memcpy(m->build_id, build_id.data, build_id.len);
    const char *last = strrchr(m->path, '/');
    m->name = last ? last + 1 : m->path;
    m->obstacle = open_module(m);
    m->next = s->modules;
    s->modules = m;
    return m;
}

static bool is_module(const struct module *m, const char *path, const char *cwd, struct fsh_text build_id) {
    if (m->build_id_len != build_id.len || (build_id.len && memcmp(m->build_id, build_id.data, build_id.len) != 0))
        return false;
    if (!strcmp(m->path, path))
        return true;
    size_t n = cwd ? strlen(cwd) : 0;
    return n && *path != '/' && !strncmp(m->path, cwd, n) && m->path[n] == '/' && !strcmp(m->path + n + 1, path);
}

static struct module *find_module(struct fsh_symbols *s, const char *path, const char *cwd, struct fsh_text build_id) {
    for (struct module *m = s->modules; m; m = m->next)
        if (is_module(m, path, cwd, build_id))
            return m;
    return new_module(s, path, cwd, build_id);
}

/* --- names --- */

/* libstdc++ has the demangler of C++; where it is missing, names stay as they are. */
static char *readable(struct fsh_symbols *s, const char *name) {
    int status;
    if (!strncmp(name, "_Z", 2) && !s->looked_for_demangle) {
        void *lib = dlopen("libstdc++.so.6", RTLD_NOW | RTLD_LOCAL);
        s->looked_for_demangle = true;
        if (lib)
            s->demangle = (char *(*)(const char *, char *, size_t *, int *))dlsym(lib, "__cxa_demangle");
    }
    char *plain = !strncmp(name, "_Z", 2) && s->demangle ? s->demangle(name, NULL, NULL, &status) : NULL;
    return plain ? plain : strdup(name);
}

static char *name_of(struct fsh_symbols *s, Dwarf_Die *die) {
    Dwarf_Attribute attr;
    const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &attr));
    if (!name)
        name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_name, &attr));
    return name ? readable(s, name) : NULL;
}

/* The functions around an address: the innermost, and the one it was inlined into. */
static void find_functions(struct fsh_symbols *s, struct module *m, uint64_t address, struct known *k) {
    Dwarf_Addr bias;
    Dwarf_Die *unit = dwfl_module_addrdie(m->dwfl_module, address, &bias), *scopes = NULL, *nest = NULL;
    int n = unit ? dwarf_getscopes(unit, address - bias, &scopes) : 0;
    /* from the innermost outwards by where they stand, not by where inlined functions were written */
    n = n > 0 ? dwarf_getscopes_die(&scopes[0], &nest) : 0;
    for (int i = 0; i < n; i++) {
        int tag = dwarf_tag(&nest[i]);
        if (tag != DW_TAG_subprogram && tag != DW_TAG_inlined_subroutine)
            continue;
        if (!k->function)
            k->function = name_of(s, &nest[i]);
        else if (tag == DW_TAG_subprogram && !k->within)
            k->within = name_of(s, &nest[i]);
        if (tag == DW_TAG_subprogram)
            break;
    }
    /* a part of it that the compiler has put elsewhere */
    if (k->within && k->function && !strcmp(k->within, k->function)) {
        free(k->within);
        k->within = NULL;
    }
    free(scopes);
    free(nest);
}

static void find_symbol(struct fsh_symbols *s, struct module *m, uint64_t address, struct known *k) {
    GElf_Off offset;
    GElf_Sym sym;
    const char *name = dwfl_module_addrinfo(m->dwfl_module, address, &offset, &sym, NULL, NULL, NULL);
    if (name && *name)
        k->function = readable(s, name);
}

static void find_place(struct fsh_symbols *s, struct module *m, struct known *k) {
    uint64_t address = m->start + k->offset - 1; /* the call stands before its address of return */
    find_functions(s, m, address, k);
    if (!k->function)
        find_symbol(s, m, address, k);
    Dwfl_Line *line = dwfl_module_getsrc(m->dwfl_module, address);
    if (line)
        k->place.file = dwfl_lineinfo(line, NULL, &k->place.line, NULL, NULL, NULL);
    k->place.function = k->function;
    k->place.within = k->within;
}

/* --- what is known --- */

static struct known *slot_of(struct known *table, size_t room, uint64_t offset) {
    size_t i = (offset * 0x9e3779b97f4a7c15u >> 32) & (room - 1);
    while (table[i].used && table[i].offset != offset)
        i = (i + 1) & (room - 1);
    return &table[i];
}

static bool make_room(struct module *m) {
    if (m->n_known * 2 < m->room)
        return true;
    struct known *more = calloc(m->room * 2, sizeof *more);
    if (!more)
        return false;
    for (size_t i = 0; i < m->room; i++)
        if (m->known[i].used)
            *slot_of(more, m->room * 2, m->known[i].offset) = m->known[i];
    free(m->known);
    m->known = more;
    m->room *= 2;
    return true;
}

struct fsh_place fsh_symbols_find(struct fsh_symbols *s, const char *path, const char *cwd, struct fsh_text build_id,
                                  uint64_t offset) {
    struct module *m = find_module(s, path, cwd, build_id);
    if (!m || !make_room(m))
        return (struct fsh_place){.module = "?", .obstacle = "out of memory"};
    if (m->obstacle)
        return (struct fsh_place){.module = m->name, .obstacle = m->obstacle};
    struct known *k = slot_of(m->known, m->room, offset);
    if (!k->used) {
        *k = (struct known){.used = true, .offset = offset, .place = {.module = m->name}};
        m->n_known++;
        find_place(s, m, k);
    }
    return k->place;
}

struct fsh_place fsh_symbols_frame(struct fsh_symbols *s, const struct fsh_reader *reader, unsigned thread,
                                   const struct fsh_stack_frame *frame) {
    const struct fsh_module_info *m = fsh_reader_module(reader, thread, frame->module);
    struct fsh_text cwd = fsh_reader_meta(reader, META_CWD);
    char *directory = cwd.len ? strndup(cwd.data, cwd.len) : NULL;
    struct fsh_place place =
        fsh_symbols_find(s, m ? m->path : "", directory, m ? m->build_id : (struct fsh_text){"", 0}, frame->offset);
    free(directory);
    return place;
}

struct fsh_symbols *fsh_symbols_new(void) {
    elf_version(EV_CURRENT);
    return calloc(1, sizeof(struct fsh_symbols));
}

void fsh_symbols_free(struct fsh_symbols *s) {
    while (s && s->modules) {
        struct module *next = s->modules->next;
        free_module(s->modules);
        s->modules = next;
    }
    free(s);
}

/* --- stacks --- */

static bool is_libc(struct fsh_text module) {
    static const char *const names[] = {"libc.so.6", "ld-linux-x86-64.so.2", "libpthread.so.0", "libfaultshim.so"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == module.len && !memcmp(names[i], module.data, module.len))
            return true;
    return false;
}

bool fsh_symbols_origin(const struct fsh_reader *reader, uint64_t number, struct fsh_stack_frame *frame) {
    const struct fsh_site_info *site = fsh_reader_site(reader, number);
    if (!site || !site->n_frames)
        return false;
    struct fsh_get get = {.p = site->frames, .end = site->end};
    for (unsigned i = 0; i < site->n_frames; i++) {
        *frame = fsh_get_frame(&get);
        if (!is_libc(frame->module))
            return true;
    }
    get = (struct fsh_get){.p = site->frames, .end = site->end};
    *frame = fsh_get_frame(&get);
    return true;
}

/* The frame's own name of the module, where its path is not known. */
static void put_module(FILE *out, const struct fsh_stack_frame *frame, const struct fsh_place *place) {
    char name[FSH_TEXT_MAX + 1];
    snprintf(name, sizeof name, "%.*s", (int)frame->module.len, frame->module.data);
    fsh_put_safe(out, *place->module ? place->module : name);
}

void fsh_put_place(FILE *out, const struct fsh_stack_frame *frame, const struct fsh_place *place) {
    if (place->function) {
        fsh_put_safe(out, place->function);
        fputs(place->file ? " at " : " in ", out);
        if (place->file) {
            fsh_put_safe(out, place->file);
            fprintf(out, ":%d", place->line);
        } else {
            put_module(out, frame, place);
        }
        if (place->within) {
            fputs(" (inlined into ", out);
            fsh_put_safe(out, place->within);
            fputc(')', out);
        }
        return;
    }
    put_module(out, frame, place);
    fprintf(out, "+0x%" PRIx64, frame->offset);
    if (place->obstacle)
        fprintf(out, " (%s)", place->obstacle);
}

void fsh_put_stack(FILE *out, struct fsh_symbols *s, const struct fsh_reader *reader, unsigned thread, uint64_t number,
                   const char *indent) {
    const struct fsh_site_info *site = fsh_reader_site(reader, number);
    struct fsh_get get = {.p = site ? site->frames : NULL, .end = site ? site->end : NULL};
    for (unsigned i = 0; site && i < site->n_frames; i++) {
        struct fsh_stack_frame frame = fsh_get_frame(&get);
        struct fsh_place place = fsh_symbols_frame(s, reader, thread, &frame);
        fputs(indent, out);
        fsh_put_place(out, &frame, &place);
        fputc('\n', out);
    }
}

void fsh_put_origin(FILE *out, struct fsh_symbols *s, const struct fsh_reader *reader, const struct fsh_decision *d,
                    const char *before) {
    struct fsh_stack_frame frame;
    if (!s || !fsh_symbols_origin(reader, d->site, &frame))
        return;
    struct fsh_place place = fsh_symbols_frame(s, reader, d->thread, &frame);
    fputs(before, out);
    fsh_put_place(out, &frame, &place);
}

static void put_text(json_object *o, const char *key, const char *text) {
    if (text)
        json_object_object_add(o, key, fsh_json_text(text));
}

json_object *fsh_stack_json(struct fsh_symbols *s, const struct fsh_reader *reader, unsigned thread, uint64_t number) {
    const struct fsh_site_info *site = fsh_reader_site(reader, number);
    struct fsh_get get = {.p = site ? site->frames : NULL, .end = site ? site->end : NULL};
    json_object *list = site && site->n_frames ? json_object_new_array() : NULL;
    for (unsigned i = 0; list && i < site->n_frames; i++) {
        struct fsh_stack_frame frame = fsh_get_frame(&get);
        struct fsh_place place = fsh_symbols_frame(s, reader, thread, &frame);
        json_object *o = json_object_new_object();
        char name[FSH_TEXT_MAX + 1];
        snprintf(name, sizeof name, "%.*s", (int)frame.module.len, frame.module.data);
        put_text(o, "module", name);
        json_object_object_add(o, "offset", json_object_new_uint64(frame.offset));
        put_text(o, "function", place.function);
        put_text(o, "within", place.within);
        put_text(o, "file", place.file);
        if (place.file)
            json_object_object_add(o, "line", json_object_new_int(place.line));
        put_text(o, "obstacle", place.obstacle);
        json_object_array_add(list, o);
    }
    return list;
}
