/* form.h: structs to JSON objects and back, by a table of their fields. What is read is taken for hostile: types, lengths and
 * counts are checked, members that no field names are stepped over. */
#ifndef FSH_FORM_H
#define FSH_FORM_H

#include <stdint.h>
#include <stdio.h>

#include "pool.h"

struct json_object;

struct fsh_strings {
    const char **v;
    size_t n;
};
struct fsh_hashes {
    uint64_t *v;
    size_t n;
};

enum fsh_field_type {
    FIELD_TEXT,   /* const char *: UTF-8 without a zero in it */
    FIELD_COUNT,  /* uint64_t */
    FIELD_NUMBER, /* int */
    FIELD_REAL,   /* double */
    FIELD_HASH,   /* uint64_t as 16 hexadecimal digits */
    FIELD_WORD,   /* unsigned: place in a list of words that NULL ends */
    FIELD_TEXTS,  /* struct fsh_strings */
    FIELD_HASHES, /* struct fsh_hashes */
    FIELD_LIST    /* an array of structs of another form and its length, laid out as in struct fsh_strings */
};

/* What becomes of a text that is NULL, a count of 0, an empty list. */
enum fsh_field_need { FIELD_NEEDED, FIELD_OR_NULL, FIELD_OR_ABSENT };

struct fsh_field {
    const char *name;
    enum fsh_field_type type;
    enum fsh_field_need need;
    size_t offset;
    const void *more; /* the words, or the other form */
};

struct fsh_form {
    const struct fsh_field *fields;
    unsigned n;
    size_t size; /* of the struct */
};

enum { FSH_TEXT_MOST = 1 << 20, FSH_ITEMS_MOST = 1 << 20, FSH_WRONG_ROOM = 256 };

/* 0, -ENOMEM, or -EBADMSG with what is wrong. */
int fsh_form_read(const struct fsh_form *form, struct json_object *object, void *out, struct fsh_pool *pool,
                  char wrong[FSH_WRONG_ROOM]);
/* One object on one line, without an end of line. */
void fsh_form_print(const struct fsh_form *form, const void *in, FILE *out);
/* The name of the first field that is not the same in both, NULL if there is none. */
const char *fsh_form_difference(const struct fsh_form *form, const void *a, const void *b);
/* A copy that lives in the pool, with all that it points to: 0 or -ENOMEM. */
int fsh_form_copy(const struct fsh_form *form, const void *in, void *out, struct fsh_pool *pool);

#endif
