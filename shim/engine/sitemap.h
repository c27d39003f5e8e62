/* sitemap.h: where the `syscall` instructions of a module stand, and how each can be led through a door.
 *
 * A door at a `syscall` instruction is a jump in the place of the instructions before it (the window); these are moved into a stub,
 * which asks the gate and comes back to the `syscall` itself. Where there are too few bytes before it that can be moved, the window
 * goes over the `syscall` and beyond, and the stub makes the call. Finding the windows takes a decoder (Zydis) and some
 * milliseconds, so maps are kept in a file, by the module's build id. A map from there is a proposal: before a byte is changed, the
 * whole window is compared with what stands in memory. */
#ifndef FSH_SITEMAP_H
#define FSH_SITEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FSH_WINDOW_MAX = 28, /* bytes of a window */
    FSH_FIXES_MAX = 2,   /* instructions of a window that depend on where they stand */
    FSH_BUILD_ID_MAX = 32,
    FSH_JUMP_SIZE = 5
};
enum { FSH_NR_UNKNOWN = 0xffffffff }; /* the number is not a constant there */

/* An instruction of the window that has to be changed when it is moved: a displacement from the instruction pointer, or a
 * conditional jump. */
struct fsh_site_fix {
    uint8_t at, size; /* of the instruction, within the window */
    uint8_t jumps;    /* 0: 32-bit displacement, `field` bytes into the instruction; 1: conditional jump of 8, 2: of 32 bits */
    uint8_t field;
};

struct fsh_site_entry {
    uint32_t at;          /* of the `syscall` instruction: offset from where the module is loaded */
    uint32_t nr;          /* the system call, FSH_NR_UNKNOWN where that depends */
    uint8_t before, size; /* bytes of the window before the `syscall`, and in all */
    uint8_t n_fixes, unused;
    struct fsh_site_fix fixes[FSH_FIXES_MAX];
    uint8_t bytes[FSH_WINDOW_MAX];
};

/* One module. In the file, one stands behind the other. */
struct fsh_sitemap {
    uint32_t size; /* in bytes, with the entries */
    uint32_t n;
    uint32_t closed; /* sites that have no window */
    uint8_t id_size;
    uint8_t id[FSH_BUILD_ID_MAX];
    uint8_t unused[3];
    uint64_t sum; /* of the entries */
    struct fsh_site_entry entries[];
};

/* The build id (NT_GNU_BUILD_ID) in a note segment; its size, 0 if there is none. */
unsigned fsh_build_id(const void *notes, size_t size, uint8_t id[FSH_BUILD_ID_MAX]);

/* The decoder: ZydisDecoderInit and ZydisDecoderDecodeInstruction, wherever they come from. */
struct fsh_decoder {
    void *init, *decode;
};

/* Finds the sites in an ELF file of x86-64 that lies in memory. `out` has room for `room` bytes. Takes its working memory with mmap
 * and gives it back. Returns 0; -ENOEXEC for what is no such file, -ENOSPC, -ENOMEM. */
int fsh_sitemap_scan(struct fsh_sitemap *out, size_t room, const uint8_t *file, size_t size, const struct fsh_decoder *decoder);
/* Room that is enough for any module of `size` bytes. */
size_t fsh_sitemap_room(const uint8_t *file, size_t size);

/* The map of a module among the maps in `data`, checked; NULL if there is none. */
const struct fsh_sitemap *fsh_sitemap_find(const void *data, size_t size, const uint8_t *id, unsigned id_size);

/* The first eight bytes of a file of maps. */
#define FSH_SITEMAP_MAGIC "fshmap01"

#endif
