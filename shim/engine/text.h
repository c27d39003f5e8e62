/* text.h: words, values and messages without libc's help: no locale, no allocation, no stdio, because profiles are read
 * inside the program that is tested, before its main. */
#ifndef FSH_TEXT_H
#define FSH_TEXT_H

#include "plan.h"

/* A piece of a longer text; it does not end in NUL. */
struct fsh_word {
    const char *p;
    size_t n;
};

/* printf("%.*s") of a word. */
#define FSH_WORD(word) (int)(word).n, (word).p

bool fsh_is_blank(char c);
bool fsh_is_digit(char c);
bool fsh_word_is(struct fsh_word word, const char *text);
bool fsh_word_begins(struct fsh_word word, const char *text);
struct fsh_word fsh_trim(struct fsh_word word);
/* Cuts the next word off the front of *rest: at blanks, and at commas if `commas`; "…" and '…' keep blanks and are taken
 * off. Returns 1, 0 at the end, or -1 if a quote is never closed. */
int fsh_next_token(struct fsh_word *rest, bool commas, struct fsh_word *token);
/* "a..b": true if it has the dots; either side may be empty. */
bool fsh_split_range(struct fsh_word word, struct fsh_word *lo, struct fsh_word *hi);

/* Values. Each returns NULL, or what is wrong and what to write instead, to be put after the value in a message. */
const char *fsh_value_count(struct fsh_word word, uint64_t *out);         /* 7 */
const char *fsh_value_seed(struct fsh_word word, uint64_t *out);          /* 42, 0x2a */
const char *fsh_value_size(struct fsh_word word, uint64_t *out);          /* 512, 4KiB, 1.5MB */
const char *fsh_value_time(struct fsh_word word, uint64_t *out);          /* 250us, 1.5s; in ns */
const char *fsh_value_rate(struct fsh_word word, uint64_t *out);          /* 1.5; in billionths */
const char *fsh_value_share(struct fsh_word word, struct fsh_share *out); /* 2%, 0.02 */

/* Writes "file:line: " and the message. Of printf: %s %.*s %u %llu %c. Control characters become '?', and what %.*s shows
 * of a profile's own text is cut to 60 bytes, so that there is room to say what to write instead. */
void fsh_error_at(struct fsh_error *error, const char *file, unsigned line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
