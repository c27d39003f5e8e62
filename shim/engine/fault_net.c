/* fault_net.c: arguments of the faults that act on connections and datagrams. Context: see profile.c. */
#include <string.h>

#include "parse.h"

static bool read_share(struct parse *p, struct fsh_word *rest, uint64_t *threshold) {
    struct fsh_word word;
    struct fsh_share share;
    if (fsh_next_token(rest, true, &word) != 1)
        return fail(p, "gemodel needs two shares, the draws that begin a burst and those that end it; write gemodel 1%% 25%%");
    const char *wrong = fsh_value_share(word, &share);
    if (wrong)
        return fail(p, "share '%.*s' %s", FSH_WORD(word), wrong);
    *threshold = share.always ? UINT64_MAX : share.threshold;
    return true;
}

static bool one_model(struct parse *p) {
    return p->rule->burst.on || p->rule->first ? fail(p, "loss is told twice when; write one of gemodel and first=N") : true;
}

static bool loss_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word, struct fsh_word *rest) {
    struct fsh_burst *burst = &p->rule->burst;
    struct fsh_word value;
    if (fsh_word_is(word, "gemodel")) {
        if (!one_model(p) || !read_share(p, rest, &burst->worsens) || !read_share(p, rest, &burst->heals))
            return false;
        if (!burst->worsens)
            return fail(p, "gemodel 0%% never begins a burst; write a share above 0, as in gemodel 1%% 25%%");
        return burst->on = true;
    }
    if (fsh_fault_argument(word, "first", &value)) {
        if (!one_model(p) || !fsh_parse_value(p, "first", value, &p->rule->first, fsh_value_count))
            return false;
        return p->rule->first ? true : fail(p, "first=0 loses nothing; write 1 or more");
    }
    if (!fsh_fault_argument(word, "as", &value))
        return fsh_fault_no_argument(p, spec, word);
    if (!fsh_word_is(value, "delay") && !fsh_word_is(value, "reset"))
        return fail(p, "as has no '%.*s'; write as=delay or as=reset", FSH_WORD(value));
    spec->net.as = fsh_word_is(value, "delay") ? AS_DELAY : AS_RESET;
    return true;
}

static bool after_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    struct fsh_word value;
    if (!fsh_fault_argument(word, "after", &value))
        return fsh_fault_no_argument(p, spec, word);
    return fsh_parse_value(p, "after", value, &spec->net.after, fsh_value_size);
}

static bool short_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    struct fsh_word value;
    if (!fsh_fault_argument(word, "slices", &value))
        return fsh_fault_no_argument(p, spec, word);
    if (!fsh_parse_value(p, "slices", value, &spec->net.limit, fsh_value_size))
        return false;
    return spec->net.limit ? true : fail(p, "slices=0 moves nothing; write 1 or more");
}

static bool window_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    struct fsh_word value;
    if (!fsh_fault_argument(word, "window", &value))
        return fsh_fault_no_argument(p, spec, word);
    if (!fsh_parse_value(p, "window", value, &spec->net.limit, fsh_value_count))
        return false;
    return spec->net.limit && spec->net.limit <= 64
               ? true
               : fail(p, "a window of %llu is out of bounds; write 1..64", (unsigned long long)spec->net.limit);
}

static bool storm_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    if (!word.n || !fsh_is_digit(*word.p))
        return memchr(word.p, '=', word.n) ? fsh_fault_no_argument(p, spec, word) : fsh_fault_errno(p, spec, word);
    if (spec->net.limit)
        return fail(p, "storm has two limits, and '%.*s' is the second; write one", FSH_WORD(word));
    if (!fsh_parse_value(p, "limit", word, &spec->net.limit, fsh_value_count))
        return false;
    return spec->net.limit <= FSH_STORM_MAX ? true
                                            : fail(p, "a storm of %llu is out of bounds; write 1..%u connections",
                                                   (unsigned long long)spec->net.limit, (unsigned)FSH_STORM_MAX);
}

/* The bytes of a reply, as they stand in the line: quotes and escapes; or @FILE. */
static bool reply_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word, struct fsh_word *rest) {
    struct fsh_net_spec *net = &spec->net;
    struct fsh_word value;
    bool quoted = word.p[-1] == '"' || word.p[-1] == '\'';
    if (!quoted && fsh_fault_argument(word, "length", &value)) {
        if (!fsh_word_is(value, "auto"))
            return fail(p, "length has no '%.*s'; write length=auto", FSH_WORD(value));
        return net->auto_length = true;
    }
    if (!quoted && (!word.n || *word.p != '@'))
        return fail(p, "reply has no quotes around '%.*s'; write reply \"TEXT\", or reply @FILE", FSH_WORD(word));
    if (net->text || net->path)
        return fail(p, "reply has two texts; write one");
    if (!quoted) {
        net->path = fsh_arena_text(p->arena, word.p + 1, word.n - 1);
        return net->path ? word.n > 1 || fail(p, "reply @ names no file; write reply @FILE") : fsh_parse_full(p);
    }
    struct fsh_word text = {word.p - 1, (size_t)(rest->p + rest->n - word.p) + 1};
    if (!fsh_fault_text(p, "reply", &text, &net->text, &net->n_text))
        return false;
    *rest = text;
    return true;
}

static const char *find(const char *text, size_t n, const char *what) {
    size_t len = strlen(what);
    for (size_t i = 0; i + len <= n; i++)
        if (!memcmp(text + i, what, len))
            return text + i;
    return NULL;
}

static size_t add(char *out, size_t at, const char *text, size_t n) {
    memcpy(out + at, text, n);
    return at + n;
}

static size_t add_length(char *out, size_t at, size_t length) {
    char digits[24], *p = digits + sizeof digits;
    do
        *--p = (char)('0' + length % 10);
    while (length /= 10);
    at = add(out, at, "Content-Length: ", 16);
    return add(out, at, p, (size_t)(digits + sizeof digits - p));
}

size_t fsh_reply_compose(char *out, const char *text, size_t n) {
    const char *end = find(text, n, "\r\n\r\n");
    const char *line = end ? "\r\n" : "\n";
    if (!end)
        end = find(text, n, "\n\n");
    if (!end) { /* a header that is not closed */
        while (n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
            n--;
        end = text + n;
        line = "\r\n";
    }
    size_t head = (size_t)(end - text), gap = strlen(line), body = head + 2 * gap < n ? n - head - 2 * gap : 0;
    size_t at = add(out, 0, text, head);
    at = add(out, at, line, gap);
    at = add_length(out, at, body);
    at = add(out, at, line, gap);
    at = add(out, at, line, gap);
    return add(out, at, text + n - body, body);
}

static bool finish_reply(struct parse *p, struct fsh_fault_spec *spec) {
    struct fsh_net_spec *net = &spec->net;
    if (!net->path && !net->n_text)
        return fail(p, "reply has no text; write reply \"TEXT\", or reply @FILE");
    if (!net->auto_length || net->path)
        return true;
    if (net->n_text < 5 || memcmp(net->text, "HTTP/", 5) != 0)
        return fail(p, "length=auto is for replies of HTTP, which begin with HTTP/; leave it out");
    if (find(net->text, net->n_text, "Content-Length:"))
        return fail(p, "the reply has a Content-Length already; leave out one of it and length=auto");
    char *out = fsh_arena_get(p->arena, net->n_text + FSH_REPLY_ROOM);
    if (!out)
        return fsh_parse_full(p);
    net->n_text = (uint32_t)fsh_reply_compose(out, net->text, net->n_text);
    net->text = out;
    return true;
}

bool fsh_fault_net_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word, struct fsh_word *rest) {
    switch (spec->kind) {
    case FAULT_SHORT:
        return short_argument(p, spec, word);
    case FAULT_LOSS:
        return loss_argument(p, spec, word, rest);
    case FAULT_RESET:
    case FAULT_CLOSE:
        return after_argument(p, spec, word);
    case FAULT_REPLY:
        return reply_argument(p, spec, word, rest);
    case FAULT_REORDER:
        return window_argument(p, spec, word);
    case FAULT_STORM:
        return storm_argument(p, spec, word);
    default:
        return fsh_fault_no_argument(p, spec, word);
    }
}

bool fsh_fault_net_finish(struct parse *p, struct fsh_fault_spec *spec) {
    if (spec->kind == FAULT_REPLY)
        return finish_reply(p, spec);
    if (spec->kind == FAULT_REORDER && !spec->net.limit)
        spec->net.limit = 4;
    if (spec->kind == FAULT_STORM && !spec->net.limit)
        return fail(p, "storm has no limit; write the number of connections that may be open, as in storm 10");
    return true;
}
