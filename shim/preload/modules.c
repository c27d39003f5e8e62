/* modules.c: see modules.h. Runs with the gate closed, once for each thread and module. The build id is read where the loader has
 * mapped it: the file may be another one by now. Asking the loader by dl_iterate_phdr would take its lock. */
#include "modules.h"

#include <elf.h>
#include <string.h>

#include "session.h"
#include "sitemap.h"

#include "poison.h"

const char *fsh_module_name(const struct link_map *map) {
    const char *path = map->l_name && *map->l_name ? map->l_name : "program";
    const char *last = strrchr(path, '/');
    return last ? last + 1 : path;
}

/* Where an address that the file gives is mapped: `start` is the page of the first segment. */
static const char *mapped(const char *start, const Elf64_Phdr *segments, unsigned n, uint64_t address) {
    for (unsigned i = 0; i < n; i++)
        if (segments[i].p_type == PT_LOAD)
            return start + (address - (segments[i].p_vaddr & ~(uint64_t)(FSH_PAGE - 1)));
    return NULL;
}

static unsigned id_of(const char *start, uint8_t id[FSH_BUILD_ID_MAX]) {
    const Elf64_Ehdr *head = (const void *)start;
    if (!fsh_can_read(head, sizeof *head) || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 || head->e_ident[EI_CLASS] != ELFCLASS64 ||
        head->e_phentsize != sizeof(Elf64_Phdr) || head->e_phoff % 8)
        return 0;
    const Elf64_Phdr *segments = (const void *)(start + head->e_phoff);
    if (!fsh_can_read(segments, head->e_phnum * sizeof *segments))
        return 0;
    for (unsigned i = 0; i < head->e_phnum; i++) {
        const char *notes = segments[i].p_type == PT_NOTE ? mapped(start, segments, head->e_phnum, segments[i].p_vaddr) : NULL;
        unsigned n = notes && fsh_can_read(notes, segments[i].p_memsz) ? fsh_build_id(notes, segments[i].p_memsz, id) : 0;
        if (n)
            return n;
    }
    return 0;
}

/* By path and place: another library may come to the place of one that was unloaded. */
static bool is_known(struct fsh_thread *t, const char *path, const char *start) {
    uint64_t key = fsh_fold(fsh_hash(path, strlen(path)), (uintptr_t)start);
    uint64_t *seen = &t->modules[key % FSH_MODULES_SEEN];
    bool known = *seen == key;
    *seen = key;
    return known;
}

void fsh_module_tell(struct fsh_thread *t, const struct link_map *map, const char *start) {
    uint8_t id[FSH_BUILD_ID_MAX];
    const char *path = map->l_name && *map->l_name ? map->l_name : fsh_program_path(), *name = fsh_module_name(map);
    if (is_known(t, path, start))
        return;
    size_t len = strlen(path);
    struct fsh_fields f = {.len = 0};
    fsh_put_text(&f, name, strlen(name));
    fsh_put_text(&f, path, len <= FSH_TEXT_MAX - 1 ? len : 0); /* cut, it would name another file */
    fsh_put_text(&f, (const char *)id, id_of(start, id));
    fsh_pen_record(&t->pen, &fsh_shim.session, OP_MODULE, f.bytes, f.len);
}
