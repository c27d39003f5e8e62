/* glob.c: patterns on paths, addresses and names, and the nearest known word for messages.
 * Pure; patterns are matched without recursion, so a hostile one costs time in proportion and no stack. */
#include "plan.h"

#include <string.h>

/* One [class] at `p`. Returns what follows it, or NULL if it has no end: then the bracket stands for itself. */
static const char *match_class(const char *p, unsigned char c, bool *hit) {
    bool negated = p[1] == '!' || p[1] == '^';
    const char *q = p + 1 + negated;
    bool in = false;
    do {
        if (*q == '\\' && q[1])
            q++;
        if (!*q)
            return NULL;
        unsigned char lo = (unsigned char)*q++, hi = lo;
        if (*q == '-' && q[1] && q[1] != ']') {
            q += q[1] == '\\' && q[2] ? 2 : 1;
            hi = (unsigned char)*q++;
        }
        in |= lo <= c && c <= hi;
    } while (*q != ']');
    *hit = in != negated;
    return q + 1;
}

/* Matches what is no star against one byte of the text. Returns the rest of the pattern, or NULL. */
static const char *match_one(const char *p, char c, bool flat) {
    bool hit = false;
    const char *after;
    switch (*p) {
    case '\0':
        return NULL;
    case '?':
        return !flat && c == '/' ? NULL : p + 1;
    case '[':
        after = match_class(p, (unsigned char)c, &hit);
        if (after)
            return hit && (flat || c != '/') ? after : NULL;
        return c == '[' ? p + 1 : NULL;
    case '\\':
        if (p[1])
            p++;
        break;
    }
    return *p == c ? p + 1 : NULL;
}

/* Where to go on after a mismatch: the latest `*` takes one byte more within its component, and when it can't, the latest
 * `**` one more (or one whole directory, if it stands between slashes). Earlier stars never need another try. */
struct retry {
    const char *pattern, *text;
    bool directories;
};

static bool take_more(struct retry *retry, bool across) {
    if (!retry->pattern)
        return false;
    if (retry->directories) {
        const char *slash = strchr(retry->text, '/');
        if (!slash)
            return false;
        retry->text = slash + 1;
        return true;
    }
    if (!*retry->text || (!across && *retry->text == '/'))
        return false;
    retry->text++;
    return true;
}

bool fsh_glob(const char *pattern, const char *text, bool flat) {
    if (!flat && !strchr(pattern, '/')) {
        const char *slash = strrchr(text, '/');
        text = slash ? slash + 1 : text;
    }
    const char *p = pattern, *t = text;
    struct retry star = {NULL, NULL, false}, stars = {NULL, NULL, false};
    for (;;) {
        if (*p == '*') {
            bool first = p == pattern || p[-1] == '/';
            bool across = flat || p[1] == '*';
            while (*p == '*')
                p++;
            if (!across) {
                star = (struct retry){p, t, false};
            } else {
                bool directories = !flat && first && *p == '/';
                p += directories;
                stars = (struct retry){p, t, directories};
                star.pattern = NULL;
            }
            continue;
        }
        if (!*t && !*p)
            return true;
        const char *rest = *t ? match_one(p, *t, flat) : NULL;
        if (rest) {
            p = rest;
            t++;
        } else if (take_more(&star, false)) {
            p = star.pattern;
            t = star.text;
        } else if (take_more(&stars, true)) {
            star.pattern = NULL;
            p = stars.pattern;
            t = stars.text;
        } else {
            return false;
        }
    }
}

bool fsh_any_glob(const struct fsh_texts *patterns, const char *text, bool flat) {
    for (unsigned i = 0; i < patterns->n; i++)
        if (fsh_glob(patterns->v[i], text, flat))
            return true;
    return false;
}

enum { WORD_MAX = 48 }; /* longer words are nobody's typing error */

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static unsigned least(unsigned a, unsigned b) {
    return a < b ? a : b;
}

/* Insertions, deletions, changes and swaps of neighbours; the case of letters is free. */
static unsigned distance(const char *a, size_t n, const char *b, size_t m) {
    unsigned row[3][WORD_MAX + 1];
    for (size_t j = 0; j <= m; j++)
        row[0][j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            bool same = lower(a[i - 1]) == lower(b[j - 1]);
            now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + !same);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
                now[j] = least(now[j], before[j - 2] + 1);
        }
    }
    return row[n % 3][m];
}

const char *fsh_nearest(const char *text, size_t len, const char *const *words, size_t n) {
    if (len == 0 || len > WORD_MAX)
        return NULL;
    const char *nearest = NULL;
    unsigned best = len < 4 ? 2 : len < 7 ? 3 : 4; /* must be nearer than this */
    for (size_t i = 0; i < n; i++) {
        size_t m = strlen(words[i]);
        if (m > WORD_MAX)
            continue;
        unsigned d = distance(text, len, words[i], m);
        if (d < best) {
            best = d;
            nearest = words[i];
        }
    }
    for (size_t i = 0; !nearest && len >= 3 && i < n; i++) /* a word cut short */
        if (strlen(words[i]) > len && distance(text, len, words[i], len) == 0)
            nearest = words[i];
    return nearest;
}
