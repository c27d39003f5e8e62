/* form.c: see form.h. */
#include "form.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"

/* Any of the lists. */
struct list {
    void *v;
    size_t n;
};

struct reading {
    struct fsh_pool *pool;
    char *wrong;
};

static int wrong(const struct reading *r, const struct fsh_field *f, const char *what) {
    snprintf(r->wrong, FSH_WRONG_ROOM, "'%s' must be %s", f->name, what);
    return -EBADMSG;
}

/* --- one value --- */

static int read_text(const struct reading *r, const struct fsh_field *f, json_object *v, const char **out) {
    const char *text = json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
    size_t n = text ? (size_t)json_object_get_string_len(v) : 0;
    if (!text || n > FSH_TEXT_MOST || memchr(text, 0, n))
        return wrong(r, f, "a text");
    const char *copy = fsh_pool_text(r->pool, text, n);
    if (!copy)
        return -ENOMEM;
    *out = copy;
    return 0;
}

static int read_count(const struct reading *r, const struct fsh_field *f, json_object *v, uint64_t *out) {
    if (!json_object_is_type(v, json_type_int) || (json_object_get_int64(v) < 0 && json_object_get_uint64(v) == 0))
        return wrong(r, f, "a number from 0 on");
    *out = json_object_get_uint64(v);
    return 0;
}

static int read_number(const struct reading *r, const struct fsh_field *f, json_object *v, int *out) {
    int64_t n = json_object_get_int64(v);
    if (!json_object_is_type(v, json_type_int) || n < INT32_MIN || n > INT32_MAX)
        return wrong(r, f, "a small number");
    *out = (int)n;
    return 0;
}

static int read_real(const struct reading *r, const struct fsh_field *f, json_object *v, double *out) {
    double x = json_object_get_double(v);
    if ((!json_object_is_type(v, json_type_double) && !json_object_is_type(v, json_type_int)) || !isfinite(x))
        return wrong(r, f, "a number");
    *out = x;
    return 0;
}

static int read_hash(const struct reading *r, const struct fsh_field *f, json_object *v, uint64_t *out) {
    const char *text = json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
    if (strlen(text) != 16 || text[strspn(text, "0123456789abcdef")])
        return wrong(r, f, "a hash of 16 hexadecimal digits");
    *out = strtoull(text, NULL, 16);
    return 0;
}

static int read_word(const struct reading *r, const struct fsh_field *f, json_object *v, unsigned *out) {
    const char *const *words = f->more;
    const char *text = json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
    for (unsigned i = 0; words[i]; i++)
        if (!strcmp(words[i], text)) {
            *out = i;
            return 0;
        }
    return wrong(r, f, "one of the words that stand for it");
}

static int read_object(const struct reading *r, const struct fsh_form *form, json_object *object, void *out);

static size_t item_size(const struct fsh_field *f) {
    switch (f->type) {
    case FIELD_TEXTS:
        return sizeof(const char *);
    case FIELD_HASHES:
        return sizeof(uint64_t);
    default:
        return ((const struct fsh_form *)f->more)->size;
    }
}

static int read_item(const struct reading *r, const struct fsh_field *f, json_object *v, void *out) {
    switch (f->type) {
    case FIELD_TEXTS:
        return read_text(r, f, v, out);
    case FIELD_HASHES:
        return read_hash(r, f, v, out);
    default:
        return read_object(r, f->more, v, out);
    }
}

static int read_list(const struct reading *r, const struct fsh_field *f, json_object *v, struct list *out) {
    size_t size = item_size(f), n = json_object_is_type(v, json_type_array) ? json_object_array_length(v) : SIZE_MAX;
    if (n > FSH_ITEMS_MOST)
        return wrong(r, f, "a list");
    char *items = n ? fsh_pool_take(r->pool, n * size) : NULL;
    if (n && !items)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        int e = read_item(r, f, json_object_array_get_idx(v, i), items + i * size);
        if (e)
            return e;
    }
    *out = (struct list){items, n};
    return 0;
}

static int read_value(const struct reading *r, const struct fsh_field *f, json_object *v, void *at) {
    switch (f->type) {
    case FIELD_TEXT:
        return read_text(r, f, v, at);
    case FIELD_COUNT:
        return read_count(r, f, v, at);
    case FIELD_NUMBER:
        return read_number(r, f, v, at);
    case FIELD_REAL:
        return read_real(r, f, v, at);
    case FIELD_HASH:
        return read_hash(r, f, v, at);
    case FIELD_WORD:
        return read_word(r, f, v, at);
    default:
        return read_list(r, f, v, at);
    }
}

static int read_object(const struct reading *r, const struct fsh_form *form, json_object *object, void *out) {
    memset(out, 0, form->size);
    if (!json_object_is_type(object, json_type_object)) {
        snprintf(r->wrong, FSH_WRONG_ROOM, "no JSON object");
        return -EBADMSG;
    }
    for (unsigned i = 0; i < form->n; i++) {
        const struct fsh_field *f = &form->fields[i];
        json_object *v = NULL;
        json_object_object_get_ex(object, f->name, &v);
        if (!v && f->need == FIELD_NEEDED) {
            snprintf(r->wrong, FSH_WRONG_ROOM, "'%s' is missing", f->name);
            return -EBADMSG;
        }
        int e = v ? read_value(r, f, v, (char *)out + f->offset) : 0;
        if (e)
            return e;
    }
    return 0;
}

int fsh_form_read(const struct fsh_form *form, json_object *object, void *out, struct fsh_pool *pool, char what[FSH_WRONG_ROOM]) {
    struct reading r = {pool, what};
    return read_object(&r, form, object, out);
}

/* --- and back --- */

static bool is_empty(const struct fsh_field *f, const void *at) {
    switch (f->type) {
    case FIELD_TEXT:
        return !*(const char *const *)at;
    case FIELD_COUNT:
    case FIELD_HASH:
        return !*(const uint64_t *)at;
    case FIELD_TEXTS:
    case FIELD_HASHES:
    case FIELD_LIST:
        return ((const struct list *)at)->n == 0;
    default:
        return false;
    }
}

static void print_item(const struct fsh_field *f, const void *at, FILE *out) {
    if (f->type == FIELD_TEXTS)
        fsh_put_json(out, *(const char *const *)at);
    else if (f->type == FIELD_HASHES)
        fprintf(out, "\"%016" PRIx64 "\"", *(const uint64_t *)at);
    else
        fsh_form_print(f->more, at, out);
}

static void print_list(const struct fsh_field *f, const struct list *list, FILE *out) {
    putc('[', out);
    for (size_t i = 0; i < list->n; i++) {
        if (i)
            putc(',', out);
        print_item(f, (const char *)list->v + i * item_size(f), out);
    }
    putc(']', out);
}

static void print_value(const struct fsh_field *f, const void *at, FILE *out) {
    switch (f->type) {
    case FIELD_TEXT:
        fsh_put_json(out, *(const char *const *)at ? *(const char *const *)at : "");
        break;
    case FIELD_COUNT:
        fprintf(out, "%" PRIu64, *(const uint64_t *)at);
        break;
    case FIELD_NUMBER:
        fprintf(out, "%d", *(const int *)at);
        break;
    case FIELD_REAL:
        fprintf(out, "%.6g", *(const double *)at);
        break;
    case FIELD_HASH:
        fprintf(out, "\"%016" PRIx64 "\"", *(const uint64_t *)at);
        break;
    case FIELD_WORD:
        fsh_put_json(out, ((const char *const *)f->more)[*(const unsigned *)at]);
        break;
    default:
        print_list(f, at, out);
    }
}

void fsh_form_print(const struct fsh_form *form, const void *in, FILE *out) {
    const char *between = "";
    putc('{', out);
    for (unsigned i = 0; i < form->n; i++) {
        const struct fsh_field *f = &form->fields[i];
        const void *at = (const char *)in + f->offset;
        bool empty = f->need != FIELD_NEEDED && is_empty(f, at);
        if (empty && f->need == FIELD_OR_ABSENT)
            continue;
        fprintf(out, "%s\"%s\":", between, f->name);
        between = ",";
        if (empty)
            fputs("null", out);
        else
            print_value(f, at, out);
    }
    putc('}', out);
}

static char *printed(const struct fsh_field *f, const void *in) {
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    if (!out)
        return NULL;
    print_value(f, (const char *)in + f->offset, out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* As they are printed: what is no UTF-8 does not survive the file, and must not look like a difference. */
const char *fsh_form_difference(const struct fsh_form *form, const void *a, const void *b) {
    const char *name = NULL;
    for (unsigned i = 0; i < form->n && !name; i++) {
        char *x = printed(&form->fields[i], a), *y = printed(&form->fields[i], b);
        if (!x || !y || strcmp(x, y) != 0)
            name = form->fields[i].name;
        free(x);
        free(y);
    }
    return name;
}

/* --- copies --- */

static int copy_text(const char **text, struct fsh_pool *pool) {
    const char *copy = *text ? fsh_pool_text(pool, *text, strlen(*text)) : NULL;
    if (*text && !copy)
        return -ENOMEM;
    *text = copy;
    return 0;
}

static int copy_list(const struct fsh_field *f, struct list *list, struct fsh_pool *pool) {
    size_t size = item_size(f);
    const char *from = list->v;
    char *to = list->n ? fsh_pool_take(pool, list->n * size) : NULL;
    if (list->n && !to)
        return -ENOMEM;
    int e = 0;
    if (list->n)
        memcpy(to, from, list->n * size);
    for (size_t i = 0; i < list->n && !e; i++) {
        if (f->type == FIELD_TEXTS)
            e = copy_text((const char **)(void *)(to + i * size), pool);
        else if (f->type == FIELD_LIST)
            e = fsh_form_copy(f->more, from + i * size, to + i * size, pool);
    }
    list->v = to;
    return e;
}

int fsh_form_copy(const struct fsh_form *form, const void *in, void *out, struct fsh_pool *pool) {
    memmove(out, in, form->size);
    for (unsigned i = 0; i < form->n; i++) {
        const struct fsh_field *f = &form->fields[i];
        void *at = (char *)out + f->offset;
        int e = 0;
        if (f->type == FIELD_TEXT)
            e = copy_text(at, pool);
        else if (f->type >= FIELD_TEXTS)
            e = copy_list(f, at, pool);
        if (e)
            return e;
    }
    return 0;
}
