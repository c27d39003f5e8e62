/* output.c: see output.h. Runs after a real write, in the thread that made it. What was taken is copied from where the program had
 * it; a fault may have made the program believe that more was written than was, and it is this that is kept. */
#include "output.h"

#include "poison.h"

enum { PIECE = 1000, KEPT = 8 * PIECE }; /* bytes of a record, and of one call */

/* Past the limit of the trace only faults are recorded. */
static bool has_room(void) {
    const struct fsh_header *h = fsh_shim.session.header;
    return atomic_load_explicit(&h->file_end, memory_order_relaxed) <= h->trace_limit;
}

/* Not through the middle of a character of UTF-8. */
static size_t piece_of(const char *text, size_t n) {
    size_t cut = PIECE;
    if (n <= PIECE)
        return n;
    while (cut > PIECE - 4 && (text[cut] & 0xC0) == 0x80)
        cut--;
    return cut;
}

/* Programs write from signal handlers, whose stacks may be small. */
static void record(int fd, uint64_t left_out, const char *text, size_t n) {
    _Static_assert(sizeof(struct fsh_fields) <= FSH_PATH_MAX, "fits into scratch memory");
    struct fsh_thread *t = fsh_tls.thread;
    struct fsh_fields *f = (struct fsh_fields *)(void *)t->scratch[0];
    f->len = 0;
    fsh_put_u64(f, fsh_session_now(&fsh_shim.session));
    fsh_put_varint(f, (uint64_t)fd);
    fsh_put_varint(f, left_out);
    fsh_put_text(f, text, n);
    fsh_pen_record(&t->pen, &fsh_shim.session, OP_OUTPUT, f->bytes, f->len);
}

/* `*kept` of the call's `all` bytes are in the trace already. */
static void keep(int fd, const char *text, size_t n, uint64_t *kept, uint64_t all) {
    while (n && *kept < KEPT && fsh_can_read(text, n < PIECE ? n : PIECE)) {
        size_t piece = piece_of(text, n);
        *kept += piece;
        record(fd, *kept >= KEPT ? all - *kept : 0, text, piece);
        text += piece;
        n -= piece;
    }
}

void fsh_output_keep(enum fsh_call call, const long *a, long result) {
    int fd = (int)a[0];
    uint64_t kept = 0, left = result > 0 ? (uint64_t)result : 0;
    if ((fd != 1 && fd != 2) || !left || !fsh_tls.thread || !has_room())
        return;
    if (call == CALL_write)
        keep(fd, (const char *)a[1], left, &kept, left);
    const struct iovec *iov = (const struct iovec *)a[1];
    for (long i = 0; call == CALL_writev && i < a[2] && left && fsh_can_read(&iov[i], sizeof iov[i]); i++) {
        size_t n = iov[i].iov_len < left ? iov[i].iov_len : left;
        keep(fd, iov[i].iov_base, n, &kept, (uint64_t)result);
        left -= n;
    }
}
