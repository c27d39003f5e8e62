/* stack.c: see stack.h. Frames are named by module and offset: the same in every run, whatever the address layout. */
#include "stack.h"

#include <dlfcn.h>
#include <link.h>

#include "poison.h"

enum { FRAMES = 32, MODULE_NAME = 256 };

static int (*backtrace_of)(void **, int);

void fsh_stack_start(void) {
    void *lib = fsh_real.dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
    if (lib)
        backtrace_of = (int (*)(void **, int))dlsym(lib, "unw_backtrace");
    void *frames[FRAMES];
    if (backtrace_of)
        backtrace_of(frames, FRAMES);
}

struct frame {
    const struct link_map *map;
    uint64_t offset;
};

static struct frame frame_of(void *address) {
    struct dl_find_object o;
    /* a return address: the call stands before it */
    if (_dl_find_object((char *)address - 1, &o) != 0 || !o.dlfo_link_map)
        return (struct frame){NULL, 0};
    return (struct frame){o.dlfo_link_map, (uint64_t)((char *)address - (char *)o.dlfo_map_start)};
}

static const char *name_of(const struct link_map *map) {
    const char *path = map->l_name && *map->l_name ? map->l_name : "program";
    const char *last = strrchr(path, '/');
    return last ? last + 1 : path;
}

static bool is_ours(const struct frame *f) {
    struct dl_find_object own;
    return f->map && _dl_find_object((void *)fsh_stack_site, &own) == 0 && own.dlfo_link_map == f->map;
}

/* Where a signal handler returns to: mov $SYS_rt_sigreturn, %rax; syscall. */
static bool is_signal_frame(const void *address) {
    static const unsigned char code[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
    const unsigned char *p = address;
    unsigned n = 0;
    while (n < sizeof code && p[n] == code[n]) /* no farther than that: the code may end here */
        n++;
    return n == sizeof code;
}

static void record(struct fsh_thread *t, uint64_t key, const struct frame *frames, int n) {
    uint64_t *seen = &t->sites[key % FSH_SITES_SEEN];
    if (*seen == key)
        return;
    *seen = key;
    struct fsh_fields f = {.len = 0};
    fsh_put_varint(&f, key);
    fsh_put_u64(&f, key);
    fsh_put_varint(&f, (uint64_t)n);
    for (int i = 0; i < n; i++) {
        const char *name = name_of(frames[i].map);
        fsh_put_text(&f, name, strlen(name));
        fsh_put_varint(&f, frames[i].offset);
    }
    fsh_pen_record(&t->pen, &fsh_shim.session, OP_SITE, f.bytes, f.len);
}

struct capture {
    struct frame frames[FRAMES];
    int n;
};

static void capture(void *result) {
    struct capture *c = result;
    void *addresses[FRAMES];
    int e = errno, got = backtrace_of ? backtrace_of(addresses, FRAMES) : 0;
    errno = e; /* libunwind asks the kernel which memory it can read */
    c->n = 0;
    for (int i = 0; i < got; i++) {
        struct frame f = frame_of(addresses[i]);
        if (f.map && is_signal_frame(addresses[i])) { /* its caller is whatever was interrupted */
            c->n = 0;
            return;
        }
        if (f.map && (c->n || !is_ours(&f)))
            c->frames[c->n++] = f;
    }
}

uint64_t fsh_stack_site(struct fsh_thread *t) {
    struct capture c;
    fsh_keep_vectors(capture, &c);
    const struct frame *frames = c.frames;
    const int n = c.n;
    uint64_t key = 0;
    for (int i = 0; i < n; i++) {
        const char *name = name_of(frames[i].map);
        key = fsh_fold(fsh_fold(key, fsh_hash(name, strlen(name))), frames[i].offset);
    }
    if (n)
        record(t, key | 1, frames, n);
    return n ? key | 1 : 0;
}
