/* text.c: see text.h. Everything here is pure. */
#include "text.h"

#include <stdarg.h>
#include <string.h>

bool fsh_is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool fsh_is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool fsh_word_is(struct fsh_word word, const char *text) {
    return strlen(text) == word.n && memcmp(word.p, text, word.n) == 0;
}

bool fsh_word_begins(struct fsh_word word, const char *text) {
    size_t n = strlen(text);
    return word.n >= n && memcmp(word.p, text, n) == 0;
}

struct fsh_word fsh_trim(struct fsh_word word) {
    while (word.n && fsh_is_blank(*word.p)) {
        word.p++;
        word.n--;
    }
    while (word.n && fsh_is_blank(word.p[word.n - 1]))
        word.n--;
    return word;
}

int fsh_next_token(struct fsh_word *rest, bool commas, struct fsh_word *token) {
    const char *p = rest->p, *end = rest->p + rest->n;
    while (p < end && (fsh_is_blank(*p) || (commas && *p == ',')))
        p++;
    if (p == end) {
        *rest = (struct fsh_word){end, 0};
        return 0;
    }
    const char *start = p;
    if (*p == '"' || *p == '\'') {
        const char *close = memchr(p + 1, *p, (size_t)(end - p - 1));
        if (!close)
            return -1;
        *token = (struct fsh_word){start + 1, (size_t)(close - start - 1)};
        p = close + 1;
    } else {
        while (p < end && !fsh_is_blank(*p) && !(commas && *p == ','))
            p++;
        *token = (struct fsh_word){start, (size_t)(p - start)};
    }
    *rest = (struct fsh_word){p, (size_t)(end - p)};
    return 1;
}

bool fsh_split_range(struct fsh_word word, struct fsh_word *lo, struct fsh_word *hi) {
    for (size_t i = 0; i + 1 < word.n; i++)
        if (word.p[i] == '.' && word.p[i + 1] == '.') {
            *lo = (struct fsh_word){word.p, i};
            *hi = (struct fsh_word){word.p + i + 2, word.n - i - 2};
            return true;
        }
    return false;
}

static bool times(uint64_t a, uint64_t b, uint64_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}

static bool digits(struct fsh_word word, uint64_t *out) {
    uint64_t v = 0;
    for (size_t i = 0; i < word.n; i++)
        if (!times(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(word.p[i] - '0'), &v))
            return false;
    *out = v;
    return true;
}

static size_t count_digits(struct fsh_word word) {
    size_t n = 0;
    while (n < word.n && fsh_is_digit(word.p[n]))
        n++;
    return n;
}

/* A decimal at the front of *word, as num / den; *word is left at what follows it. */
enum decimal { DECIMAL_OK, DECIMAL_NONE, DECIMAL_LARGE };

static enum decimal read_decimal(struct fsh_word *word, uint64_t *num, uint64_t *den) {
    size_t whole = count_digits(*word), part = 0;
    struct fsh_word tail = {word->p + whole, word->n - whole};
    if (tail.n && *tail.p == '.') {
        tail = (struct fsh_word){tail.p + 1, tail.n - 1};
        part = count_digits(tail);
        if (part == 0)
            return DECIMAL_NONE;
    }
    if (whole + part == 0)
        return DECIMAL_NONE;
    uint64_t fraction = 0;
    *den = 1;
    if (part > 18 || !digits((struct fsh_word){word->p, whole}, num) || !digits((struct fsh_word){tail.p, part}, &fraction))
        return DECIMAL_LARGE;
    for (size_t i = 0; i < part; i++)
        *den *= 10;
    if (!times(*num, *den, num) || __builtin_add_overflow(*num, fraction, num))
        return DECIMAL_LARGE;
    *word = (struct fsh_word){tail.p + part, tail.n - part};
    return DECIMAL_OK;
}

const char *fsh_value_count(struct fsh_word word, uint64_t *out) {
    if (word.n == 0 || count_digits(word) != word.n)
        return "is no whole number; write digits only, as in 7";
    return digits(word, out) ? NULL : "is too large; write a number below 2^64";
}

const char *fsh_value_seed(struct fsh_word word, uint64_t *out) {
    if (!fsh_word_begins(word, "0x"))
        return fsh_value_count(word, out) ? "is no seed; write a number below 2^64, as in 42 or 0x2a" : NULL;
    uint64_t v = 0;
    for (size_t i = 2; i < word.n; i++) {
        char c = word.p[i];
        unsigned d = fsh_is_digit(c)        ? (unsigned)(c - '0')
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                     : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                            : 16;
        if (d == 16 || v >> 60)
            return "is no seed; write a number below 2^64, as in 42 or 0x2a";
        v = v << 4 | d;
    }
    if (word.n == 2)
        return "is no seed; write a number below 2^64, as in 42 or 0x2a";
    *out = v;
    return NULL;
}

struct unit {
    const char *name;
    uint64_t value;
};

static const struct unit size_units[] = {
    {"", 1}, {"B", 1}, {"KB", 1000}, {"MB", 1000000}, {"GB", 1000000000}, {"KiB", 1u << 10}, {"MiB", 1u << 20}, {"GiB", 1u << 30},
};

static const struct unit time_units[] = {
    {"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}, {"m", UINT64_C(60000000000)}, {"h", UINT64_C(3600000000000)},
};

/* num / den of a unit as a whole number. */
static const char *scale(uint64_t num, uint64_t den, uint64_t unit, uint64_t most, const char *fine, const char *large,
                         uint64_t *out) {
    unsigned __int128 whole = (unsigned __int128)num * unit;
    if (whole % den)
        return fine;
    if (whole / den > most)
        return large;
    *out = (uint64_t)(whole / den);
    return NULL;
}

static const struct unit *find_unit(struct fsh_word name, const struct unit *units, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (fsh_word_is(name, units[i].name))
            return &units[i];
    return NULL;
}

const char *fsh_value_size(struct fsh_word word, uint64_t *out) {
    uint64_t num = 0, den = 1;
    enum decimal got = read_decimal(&word, &num, &den);
    if (got == DECIMAL_NONE)
        return "is no size; write bytes or a number with KB, MB, GB, KiB, MiB or GiB, as in 4KiB";
    if (got == DECIMAL_LARGE)
        return "is too large; write a size below 2^63";
    const struct unit *unit = find_unit(word, size_units, sizeof size_units / sizeof *size_units);
    if (!unit)
        return "has an unknown unit; write B, KB, MB, GB, KiB, MiB or GiB, as in 4KiB";
    return scale(num, den, unit->value, INT64_MAX, "is no whole number of bytes; write one, as in 1536",
                 "is too large; write a size below 2^63", out);
}

const char *fsh_value_time(struct fsh_word word, uint64_t *out) {
    uint64_t num = 0, den = 1;
    enum decimal got = read_decimal(&word, &num, &den);
    if (got == DECIMAL_NONE)
        return "is no time; write a number with ns, us, ms, s, m or h, as in 20ms";
    if (got == DECIMAL_LARGE)
        return "is too large or too fine; write a time below 100 years";
    if (word.n == 0 && num == 0) {
        *out = 0;
        return NULL;
    }
    if (word.n == 0)
        return "has no unit; write ns, us, ms, s, m or h, as in 20ms";
    const struct unit *unit = find_unit(word, time_units, sizeof time_units / sizeof *time_units);
    if (!unit)
        return "has an unknown unit; write ns, us, ms, s, m or h, as in 20ms";
    return scale(num, den, unit->value, UINT64_C(3155760000000000000), "is finer than a nanosecond; write whole ones, as in 15ns",
                 "is too large; write a time below 100 years", out);
}

const char *fsh_value_rate(struct fsh_word word, uint64_t *out) {
    uint64_t num = 0, den = 1;
    enum decimal got = read_decimal(&word, &num, &den);
    if (got == DECIMAL_NONE || (got == DECIMAL_OK && word.n))
        return "is no rate; write a number, as in 1.5";
    unsigned __int128 scaled = (unsigned __int128)num * 1000000000 / den;
    if (got == DECIMAL_LARGE || scaled > INT64_MAX)
        return "is too large or too fine; write a number, as in 1.5";
    *out = (uint64_t)scaled;
    return NULL;
}

const char *fsh_value_share(struct fsh_word word, struct fsh_share *out) {
    uint64_t num = 0, den = 1;
    enum decimal got = read_decimal(&word, &num, &den);
    bool percent = fsh_word_is(word, "%");
    if (got == DECIMAL_NONE || (got == DECIMAL_OK && word.n && !percent))
        return "is no share; write a percentage or a fraction, as in 2% or 0.02";
    if (got == DECIMAL_LARGE || (percent && !times(den, 100, &den)))
        return "has too many digits; write at most 16, as in 2% or 0.02";
    if (num > den)
        return "is above 100%; write 0%..100%, or a fraction from 0 to 1";
    out->always = num == den;
    out->threshold = out->always ? UINT64_MAX : (uint64_t)(((unsigned __int128)num << 64) / den);
    return NULL;
}

struct writer {
    char *p, *end;
};

static void put(struct writer *out, const char *text, size_t n) {
    for (size_t i = 0; i < n && out->p < out->end; i++)
        *out->p++ = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
}

static void put_number(struct writer *out, uint64_t v) {
    char digit[20];
    size_t n = 0;
    do
        digit[n++] = (char)('0' + v % 10);
    while (v /= 10);
    while (n)
        put(out, &digit[--n], 1);
}

/* The profile's own text, shortened between characters of UTF-8. */
static void put_excerpt(struct writer *out, const char *text, size_t n) {
    enum { SHOWN = 60 };
    size_t shown = n;
    if (n > SHOWN)
        for (shown = SHOWN; shown > SHOWN - 3 && ((unsigned char)text[shown] & 0xc0) == 0x80;)
            shown--;
    put(out, text, shown);
    if (shown < n)
        put(out, "...", 3);
}

static void put_format(struct writer *out, const char *format, va_list args) {
    for (const char *f = format; *f; f++) {
        if (*f != '%') {
            put(out, f, 1);
        } else if (f[1] == 's') {
            const char *text = va_arg(args, const char *);
            put(out, text, strlen(text));
            f++;
        } else if (f[1] == 'u') {
            put_number(out, va_arg(args, unsigned));
            f++;
        } else if (f[1] == 'c') {
            char c = (char)va_arg(args, int);
            put(out, &c, 1);
            f++;
        } else if (strncmp(f, "%.*s", 4) == 0) {
            int n = va_arg(args, int);
            put_excerpt(out, va_arg(args, const char *), (size_t)n);
            f += 3;
        } else if (strncmp(f, "%llu", 4) == 0) {
            put_number(out, va_arg(args, unsigned long long));
            f += 3;
        } else {
            put(out, f + 1, 1);
            f += f[1] != 0;
        }
    }
}

void fsh_error_at(struct fsh_error *error, const char *file, unsigned line, const char *format, ...) {
    enum { FILE_SHOWN = 240 };
    struct writer out = {error->text, error->text + sizeof error->text - 1};
    size_t n = strlen(file);
    if (n > FILE_SHOWN) {
        put(&out, "...", 3);
        file += n - FILE_SHOWN;
        n = FILE_SHOWN;
    }
    put(&out, file, n);
    put(&out, ":", 1);
    put_number(&out, line);
    put(&out, ": ", 2);
    va_list args;
    va_start(args, format);
    put_format(&out, format, args);
    va_end(args);
    *out.p = '\0';
}
