/* trace_open.c: see trace_open.h. */
#include "trace_open.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>
#include <unistd.h>

#include "out.h"
#include "pack.h"

/* Unpacked into a file that has no name and ends with the reader. */
static int open_packed(struct fsh_reader **reader, const char *path) {
    char name[64];
    int fd = fsh_pack_open_trace(path);
    if (fd < 0)
        return -ECANCELED;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    int e = fsh_reader_open(reader, name);
    close(fd);
    return e;
}

struct fsh_reader *fsh_trace_open(const char *path) {
    struct fsh_reader *reader = NULL;
    int e = fsh_pack_is(path) ? open_packed(&reader, path) : fsh_reader_open(&reader, path);
    if (e == -ECANCELED)
        return NULL; /* it has been said why */
    if (e == -EBADMSG)
        fsh_warn("%s is no trace of faultshim", path);
    else if (e == -EPROTONOSUPPORT)
        fsh_warn("%s was written by another version of faultshim, which this one can't read", path);
    else if (e)
        fsh_warn("%s: %s", path, strerror(-e));
    return e ? NULL : reader;
}

bool fsh_trace_complete(const struct fsh_reader *reader, bool say) {
    const struct fsh_header *h = fsh_reader_header(reader);
    uint64_t counted = 0;
    unsigned cut = 0, n = fsh_reader_threads(reader);
    for (unsigned i = 0; i < n; i++) {
        const struct fsh_thread_info *t = fsh_reader_thread(reader, i);
        counted += t->counted;
        cut += !t->complete;
    }
    if (say && h->trace_mode == TRACE_OFF)
        fsh_warn("the run had trace = off: only its totals were kept");
    if (say && counted)
        fsh_warn("%" PRIu64 " decision%s passed and %s only counted", counted, fsh_plural(counted), counted == 1 ? "was" : "were");
    if (say && cut)
        fsh_warn("parts of the streams of %u thread%s are missing", cut, fsh_plural(cut));
    if (say && h->untraced)
        fsh_warn("%" PRIu64 " thread%s could not be traced", h->untraced, fsh_plural(h->untraced));
    return h->trace_mode == TRACE_ALL && !counted && !cut && !h->untraced;
}

static void put(json_object *o, const char *key, json_object *value) {
    json_object_object_add(o, key, value);
}

static json_object *hex(uint64_t v) {
    char text[24];
    snprintf(text, sizeof text, "0x%016" PRIx64, v);
    return json_object_new_string(text);
}

/* Seconds with six digits, as everywhere in the log. */
static json_object *seconds(uint64_t ns) {
    char text[40];
    snprintf(text, sizeof text, "%" PRIu64 ".%06" PRIu64, ns / 1000000000, ns % 1000000000 / 1000);
    return json_object_new_double_s((double)ns / 1e9, text);
}

static void put_fault(json_object *o, const struct fsh_reader *reader, const struct fsh_decision *d) {
    char number[16];
    put(o, "rule", fsh_json_text(fsh_reader_rule_name(reader, d->rule)));
    put(o, "fault", fsh_json_text(fsh_reader_fault_name(reader, d->fault_kind)));
    put(o, "errno", d->error ? json_object_new_string(fsh_errno_text(d->error, number)) : NULL);
    bool is_signed;
    int64_t amount = fsh_amount_of(reader, d, &is_signed);
    put(o, "amount", is_signed ? json_object_new_int64(amount) : json_object_new_uint64(d->amount));
    put(o, "key", hex(d->key));
    put(o, "ordinal", json_object_new_uint64(d->ordinal));
    put(o, "draw", hex(d->word));
}

json_object *fsh_decision_json(const struct fsh_reader *reader, const struct fsh_decision *d) {
    const struct fsh_thread_info *t = fsh_reader_thread(reader, d->thread);
    json_object *o = json_object_new_object();
    put(o, "process", fsh_json_text(t->process));
    put(o, "thread", fsh_json_text(t->name));
    put(o, "n", json_object_new_uint64(d->n));
    put(o, "time", seconds(d->time));
    put(o, "call", fsh_json_text(fsh_reader_call_name(reader, d->call)));
    put(o, "resource", d->resource ? fsh_json_text(fsh_resource_name(reader, d->resource)) : NULL);
    put(o, "size", json_object_new_uint64(d->size));
    put(o, "outcome", json_object_new_string(d->fault ? "fault" : "pass"));
    if (d->fault)
        put_fault(o, reader, d);
    return o;
}

int fsh_compare_threads(const void *a, const void *b, void *arg) {
    const struct fsh_reader *reader = arg;
    const struct fsh_thread_info *x = fsh_reader_thread(reader, *(const unsigned *)a),
                                 *y = fsh_reader_thread(reader, *(const unsigned *)b);
    if (x->process_key != y->process_key)
        return x->process_key < y->process_key ? -1 : 1;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    if (x->image != y->image)
        return x->image < y->image ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}
