/* Site maps: what is found in the libc that is there, and what is made of files and maps that are damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <Zydis/Zydis.h>

#include "draw.h"
#include "sitecache.h"

static const struct fsh_decoder decoder = {(void *)ZydisDecoderInit, (void *)ZydisDecoderDecodeInstruction};

static int find_libc(struct dl_phdr_info *info, size_t size, void *path) {
    (void)size;
    if (strstr(info->dlpi_name, "/libc.so.6"))
        *(const char **)path = info->dlpi_name;
    return 0;
}

static const uint8_t *libc_file(size_t *size) {
    const char *path = NULL;
    dl_iterate_phdr(find_libc, &path);
    assert_non_null(path);
    const uint8_t *file = fsh_file_map(path, size);
    assert_non_null(file);
    return file;
}

static struct fsh_sitemap *scan(const uint8_t *file, size_t size, int *result) {
    size_t room = fsh_sitemap_room(file, size);
    struct fsh_sitemap *map = test_malloc(room);
    *result = fsh_sitemap_scan(map, room, file, size, &decoder);
    return map;
}

static unsigned count(const struct fsh_sitemap *map, uint32_t nr) {
    unsigned n = 0;
    for (uint32_t i = 0; i < map->n; i++)
        n += map->entries[i].nr == nr;
    return n;
}

/* glibc 2.36 has 526 sites, of which only the loops of exit have no room; others differ a little. */
static void libc_has_its_sites(void **state) {
    size_t size;
    int result;
    const uint8_t *file = libc_file(&size);
    struct fsh_sitemap *map = scan(file, size, &result);
    (void)state;
    assert_int_equal(result, 0);
    assert_true(map->n > 300 && map->closed < 20 && map->id_size > 0);
    static const uint32_t numbers[] = {SYS_read, SYS_write, SYS_openat, SYS_close, SYS_sendto, SYS_connect, SYS_fsync, SYS_execve};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_true(count(map, numbers[i]) > 0);
    assert_int_equal(count(map, SYS_rt_sigreturn), 0);
    test_free(map);
    munmap((void *)file, size);
}

/* Windows lie in the file as the map says, with the `syscall` at its place, and none reaches into the next. */
static void windows_are_what_stands_there(void **state) {
    size_t size;
    int result;
    const uint8_t *file = libc_file(&size);
    struct fsh_sitemap *map = scan(file, size, &result);
    const ElfW(Ehdr) *header = (const void *)file;
    const ElfW(Phdr) *text = NULL;
    (void)state;
    for (int i = 0; i < header->e_phnum; i++) {
        const ElfW(Phdr) *p = (const ElfW(Phdr) *)(file + header->e_phoff) + i;
        if (p->p_type == PT_LOAD && p->p_flags & PF_X)
            text = p;
    }
    assert_non_null(text);
    for (uint32_t i = 0; i < map->n; i++) {
        const struct fsh_site_entry *e = &map->entries[i];
        const uint8_t *at = file + text->p_offset + (e->at - text->p_vaddr);
        assert_memory_equal(at, "\x0f\x05", 2);
        assert_memory_equal(at - e->before, e->bytes, e->size);
        assert_true(e->size >= FSH_JUMP_SIZE && (e->size == e->before || e->size >= e->before + 2));
        if (i)
            assert_true(map->entries[i - 1].at + 2 <= e->at - e->before);
    }
    test_free(map);
    munmap((void *)file, size);
}

/* A file that is no ELF file, or a damaged one: an answer, or an error, and nothing read beyond its end. */
static void damaged_files_are_survived(void **state) {
    size_t size, head = 64 * 1024;
    int result;
    const uint8_t *file = libc_file(&size);
    uint8_t *copy = test_malloc(size);
    uint64_t word = 1;
    (void)state;
    for (int run = 0; run < 60; run++) {
        memcpy(copy, file, size);
        for (int i = 0; i < 1 + run % 8; i++) {
            word = fsh_next_word(word);
            copy[fsh_below(word, run % 2 ? 1024 : head)] = (uint8_t)word;
        }
        size_t cut = run % 3 ? size : fsh_below(fsh_next_word(word), size);
        test_free(scan(copy, cut, &result));
        assert_true(result == 0 || result == -ENOEXEC || result == -ENOSPC);
    }
    test_free(scan((const uint8_t *)"#!/bin/sh\n", 10, &result));
    assert_int_equal(result, -ENOEXEC);
    test_free(copy);
    munmap((void *)file, size);
}

/* What was kept is found by its build id only, and only while it is whole. */
static void kept_maps_are_checked(void **state) {
    enum { MAGIC = sizeof FSH_SITEMAP_MAGIC - 1 };
    size_t size;
    int result;
    const uint8_t *file = libc_file(&size);
    struct fsh_sitemap *map = scan(file, size, &result);
    size_t all = MAGIC + map->size;
    char *kept = test_malloc(all + 8), *data = kept; /* malloc's alignment, and that of a mapped file */
    uint8_t other[FSH_BUILD_ID_MAX] = {1};
    uint64_t word = 7;
    (void)state;
    memcpy(data, FSH_SITEMAP_MAGIC, MAGIC);
    memcpy(data + MAGIC, map, map->size);
    const struct fsh_sitemap *found = fsh_sitemap_find(data, all, map->id, map->id_size);
    assert_non_null(found);
    assert_int_equal(found->n, map->n);
    assert_null(fsh_sitemap_find(data, all, other, map->id_size));
    assert_null(fsh_sitemap_find(data, all, map->id, 0));
    for (size_t cut = 0; cut < all; cut += 977)
        assert_null(fsh_sitemap_find(data, cut, map->id, map->id_size));
    for (int run = 0; run < 500; run++) {
        size_t at = MAGIC + fsh_below(word = fsh_next_word(word), all - MAGIC);
        char was = data[at];
        data[at] ^= (char)(1 + run % 255);
        found = fsh_sitemap_find(data, all, map->id, map->id_size);
        /* but for what is not looked at: the count of closed sites, and the padding */
        assert_true(!found || at - MAGIC < sizeof *map);
        data[at] = was;
    }
    test_free(kept);
    test_free(map);
    munmap((void *)file, size);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libc_has_its_sites),
        cmocka_unit_test(windows_are_what_stands_there),
        cmocka_unit_test(damaged_files_are_survived),
        cmocka_unit_test(kept_maps_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
