/* frames.c: see frames.h. */
#include "frames.h"

#include <inttypes.h>
#include <string.h>

#include "out.h"

bool fsh_frame_is_libc(const struct fsh_explored_frame *f) {
    return !strncmp(f->module, "libc.so", 7) || !strncmp(f->module, "ld-linux", 8);
}

const struct fsh_explored_frame *fsh_frame_origin(const struct fsh_explored_frames *stack) {
    for (size_t i = 0; i < stack->n; i++)
        if (!fsh_frame_is_libc(&stack->v[i]))
            return &stack->v[i];
    return stack->n ? stack->v : NULL;
}

void fsh_put_frame(FILE *out, const struct fsh_explored_frame *f) {
    if (f->function) {
        fsh_put_safe(out, f->function);
    } else {
        fsh_put_safe(out, f->module);
        fprintf(out, "+0x%" PRIx64, f->offset);
    }
    if (f->file) {
        const char *slash = strrchr(f->file, '/');
        fputs(" (", out);
        fsh_put_safe(out, slash ? slash + 1 : f->file);
        if (f->line)
            fprintf(out, ":%" PRIu64, f->line);
        fputc(')', out);
    }
}
