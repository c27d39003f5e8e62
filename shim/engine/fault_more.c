/* fault_more.c: arguments of the faults that fault_line.c leaves to it. Context: see profile.c. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "parse.h"

static bool no_equals(struct fsh_word word) {
    return !memchr(word.p, '=', word.n);
}

static bool duration(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    return no_equals(word) ? fsh_fault_amount(p, spec, "duration", word, fsh_value_time) : fsh_fault_no_argument(p, spec, word);
}

static bool stall_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    struct fsh_word value;
    if (!fsh_fault_argument(word, "max", &value))
        return no_equals(word) ? fsh_fault_errno(p, spec, word) : fsh_fault_no_argument(p, spec, word);
    if (!fsh_parse_value(p, "max", value, &spec->limit, fsh_value_time))
        return false;
    return spec->limit ? true : fail(p, "max=0 holds nothing; write a time above 0, as in max=10s");
}

/* Not KILL and STOP: those are faults of their own. */
static const struct {
    const char *name;
    int number;
} signals[] = {{"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT},     {"ILL", SIGILL},   {"TRAP", SIGTRAP},
               {"ABRT", SIGABRT}, {"BUS", SIGBUS},   {"FPE", SIGFPE},       {"USR1", SIGUSR1}, {"SEGV", SIGSEGV},
               {"USR2", SIGUSR2}, {"PIPE", SIGPIPE}, {"ALRM", SIGALRM},     {"TERM", SIGTERM}, {"CHLD", SIGCHLD},
               {"CONT", SIGCONT}, {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN},     {"TTOU", SIGTTOU}, {"URG", SIGURG},
               {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH},
               {"IO", SIGIO},     {"POLL", SIGPOLL}, {"PWR", SIGPWR},       {"SYS", SIGSYS}};

static bool signal_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    struct fsh_word bare = fsh_word_begins(word, "SIG") ? (struct fsh_word){word.p + 3, word.n - 3} : word;
    if (spec->signal)
        return fail(p, "signal has two names; write one");
    if (fsh_word_is(bare, "KILL"))
        return fail(p, "SIGKILL leaves no call to go on with; write fault = crash");
    if (fsh_word_is(bare, "STOP"))
        return fail(p, "SIGSTOP would need somebody to end it; write fault = pause DURATION");
    for (size_t i = 0; i < COUNT(signals); i++)
        if (fsh_word_is(bare, signals[i].name))
            spec->signal = signals[i].number;
    return spec->signal ? true : fail(p, "there is no signal '%.*s'; write its name, as in USR1", FSH_WORD(word));
}

static bool memory_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    struct fsh_word value;
    if (!fsh_fault_argument(word, "for", &value))
        return no_equals(word) ? fsh_fault_amount(p, spec, "size", word, fsh_value_size) : fsh_fault_no_argument(p, spec, word);
    if (!fsh_parse_value(p, "for", value, &spec->limit, fsh_value_time))
        return false;
    return spec->limit ? true : fail(p, "for=0 gives the memory back at once; write a time above 0, as in for=5s");
}

/* --- texts --- */

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* What stands after a backslash: 0 at an end that comes too early, or for what means nothing. */
static size_t read_escape(const char *at, size_t left, char *byte) {
    static const char names[] = "nrt0\\\"'", bytes[] = "\n\r\t\0\\\"'";
    if (left >= 3 && *at == 'x' && hex_digit(at[1]) >= 0 && hex_digit(at[2]) >= 0) {
        *byte = (char)(hex_digit(at[1]) * 16 + hex_digit(at[2]));
        return 3;
    }
    const char *found = left ? memchr(names, *at, sizeof names - 1) : NULL;
    if (!found)
        return 0;
    *byte = bytes[found - names];
    return 1;
}

bool fsh_fault_text(struct parse *p, const char *what, struct fsh_word *rest, const char **text, uint32_t *n) {
    char quote = rest->n ? *rest->p : '\0', *out = NULL;
    size_t at = 1, len = 0;
    if (quote == '"' || quote == '\'')
        out = fsh_arena_get(p->arena, rest->n);
    else
        return fail(p, "replace has no quotes around its texts; write replace=\"OLD\"->\"NEW\"");
    if (!out)
        return fsh_parse_full(p);
    while (at < rest->n && rest->p[at] != quote) {
        char byte = rest->p[at++];
        size_t used = byte == '\\' ? read_escape(rest->p + at, rest->n - at, &byte) : 0;
        if (byte == '\\' && !used)
            return fail(p, "a backslash in %s stands before none of \\ \" ' n r t 0 and xHH; write one of them", what);
        at += used;
        out[len++] = byte;
    }
    if (at >= rest->n)
        return fail(p, "a quote in %s is never closed; close it (a ';' after a blank starts a comment, even between quotes)", what);
    *rest = (struct fsh_word){rest->p + at + 1, rest->n - at - 1};
    *text = out;
    *n = (uint32_t)len;
    return true;
}

bool fsh_fault_replace(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word value, struct fsh_word *rest) {
    struct fsh_word text = {value.p, (size_t)(rest->p + rest->n - value.p)};
    if (!fsh_fault_text(p, "replace", &text, &spec->from, &spec->n_from))
        return false;
    if (!fsh_word_begins(text, "->"))
        return fail(p, "replace has no '->' after its first text; write replace=\"OLD\"->\"NEW\"");
    text = (struct fsh_word){text.p + 2, text.n - 2};
    if (!fsh_fault_text(p, "replace", &text, &spec->to, &spec->n_to))
        return false;
    *rest = text;
    spec->how = CORRUPT_REPLACE;
    if (!spec->n_from || !spec->n_to)
        return fail(p, "replace needs a text on both sides; write replace=\"OLD\"->\"NEW\"");
    return true;
}

/* --- files --- */

static bool torn_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    struct fsh_word value;
    if (fsh_fault_argument(word, "then", &value)) {
        spec->dies = fsh_word_is(value, "crash");
        return spec->dies ? true : fail(p, "then has no '%.*s'; write then=crash", FSH_WORD(value));
    }
    if (!fsh_fault_argument(word, "sector", &value))
        return fsh_fault_no_argument(p, spec, word);
    if (!fsh_parse_value(p, "sector", value, &spec->limit, fsh_value_size))
        return false;
    if (spec->limit == 0 || spec->limit > INT32_MAX)
        return fail(p, "a sector of %llu bytes is out of bounds; write 1..2147483647, as in 512", (unsigned long long)spec->limit);
    return true;
}

static bool misdirect_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    struct fsh_word value;
    if (spec->to || spec->amount.hi)
        return fail(p, "misdirect is told twice where to, and '%.*s' is the second; write one of by= and to=", FSH_WORD(word));
    if (fsh_fault_argument(word, "to", &value)) {
        spec->to = fsh_arena_text(p->arena, value.p, value.n);
        spec->n_to = (uint32_t)value.n;
        if (!spec->to)
            return fsh_parse_full(p);
        return value.n ? true : fail(p, "to= names no file; write a pattern as of path, as in to=*.log");
    }
    if (!fsh_fault_argument(word, "by", &value))
        return fsh_fault_no_argument(p, spec, word);
    spec->back = value.n && *value.p == '-';
    value.p += spec->back;
    value.n -= spec->back;
    return fsh_fault_amount(p, spec, "size", value, fsh_value_size);
}

static bool add_errno(struct parse *p, struct fsh_fault_spec *spec, int e) {
    p->scratch->errnos[spec->n_errnos++] = e;
    return true;
}

static bool quota_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    if (fsh_word_is(word, "ENOSPC") || fsh_word_is(word, "EDQUOT"))
        return fsh_fault_errno(p, spec, word);
    if (!no_equals(word) || !word.n || !fsh_is_digit(*word.p))
        return fsh_fault_no_argument(p, spec, word);
    if (spec->how)
        return fail(p, "%s has two sizes, and '%.*s' is the second; write one", fsh_faults[spec->kind].name, FSH_WORD(word));
    spec->how = 1;
    return fsh_parse_value(p, "size", word, &spec->limit, fsh_value_size);
}

static bool budget_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    return word.n && *word.p == 'E' ? fsh_fault_no_argument(p, spec, word) : quota_argument(p, spec, word);
}

static bool descriptors_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    if (spec->limit)
        return fail(p, "descriptors has two numbers, and '%.*s' is the second; write one", FSH_WORD(word));
    if (!fsh_parse_value(p, "number", word, &spec->limit, fsh_value_count))
        return false;
    if (spec->limit < 3 || spec->limit > 1 << 20)
        return fail(p, "descriptors %llu is out of bounds; write 3..1048576", (unsigned long long)spec->limit);
    return true;
}

static bool exit_status_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    if (spec->how)
        return fail(p, "exit-status has two numbers, and '%.*s' is the second; write one", FSH_WORD(word));
    spec->how = 1;
    if (!fsh_parse_value(p, "status", word, &spec->limit, fsh_value_count))
        return false;
    return spec->limit <= 255 ? true : fail(p, "'%.*s' is no exit status; write 0..255", FSH_WORD(word));
}

static bool replace_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word, struct fsh_word *rest) {
    static const char *const fields[FSH_NAMES] = {"sysname", "nodename", "release", "version", "machine", "domainname"};
    enum { ROOM = 65 }; /* uname(2), with the NUL */
    struct fsh_names *names = (struct fsh_names *)spec->names;
    struct fsh_word value;
    if (!names && !(spec->names = names = fsh_arena_get(p->arena, sizeof *names)))
        return fsh_parse_full(p);
    for (size_t i = 0; i < FSH_NAMES; i++) {
        if (!fsh_fault_argument(word, fields[i], &value))
            continue;
        if (value.n && (*value.p == '"' || *value.p == '\'')) { /* it may hold blanks */
            struct fsh_word text = {value.p, (size_t)(rest->p + rest->n - value.p)};
            if (fsh_next_token(&text, false, &value) != 1)
                return fail(p, "a quote in %s is never closed; close it", fields[i]);
            *rest = text;
        }
        if (names->v[i])
            return fail(p, "replace has two texts for %s; write one", fields[i]);
        if (value.n >= ROOM)
            return fail(p, "%s is longer than 64 bytes; write a shorter one", fields[i]);
        names->v[i] = fsh_arena_text(p->arena, value.p, value.n);
        return names->v[i] ? true : fsh_parse_full(p);
    }
    return fsh_fault_no_argument(p, spec, word);
}

static bool stack_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    struct fsh_word value;
    if (!fsh_fault_argument(word, "file", &value))
        return no_equals(word) ? fsh_fault_errno(p, spec, word) : fsh_fault_no_argument(p, spec, word);
    if (!value.n)
        return fail(p, "file= names no file; write a path, as in file=stacks");
    spec->to = fsh_arena_text(p->arena, value.p, value.n);
    return spec->to ? true : fsh_parse_full(p);
}

static bool fsync_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    if (!fsh_word_is(word, "keep-data"))
        return fsh_fault_no_argument(p, spec, word);
    spec->keeps = true;
    return true;
}

static bool fill_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    struct fsh_word value;
    if (fsh_word_is(word, "junk")) {
        spec->how = CORRUPT_JUNK;
        return true;
    }
    if (!fsh_fault_argument(word, "byte", &value))
        return fsh_fault_no_argument(p, spec, word);
    if (fsh_value_seed(value, &spec->limit) || spec->limit > 255)
        return fail(p, "'%.*s' is no byte; write byte=0..255, or byte=0xff", FSH_WORD(value));
    spec->how = CORRUPT_BYTES;
    return true;
}

bool fsh_fault_more_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word, struct fsh_word *rest) {
    switch (spec->kind) {
    case FAULT_STALL:
        return stall_argument(p, spec, word);
    case FAULT_SIGNAL:
        return signal_argument(p, spec, word);
    case FAULT_PAUSE:
    case FAULT_CPU:
    case FAULT_YIELD:
        return duration(p, spec, word);
    case FAULT_MEMORY:
        return memory_argument(p, spec, word);
    case FAULT_TORN:
        return torn_argument(p, spec, word);
    case FAULT_MISDIRECT:
        return misdirect_argument(p, spec, word);
    case FAULT_FSYNC_FAIL:
        return fsync_argument(p, spec, word);
    case FAULT_FILL:
        return fill_argument(p, spec, word);
    case FAULT_QUOTA:
        return quota_argument(p, spec, word);
    case FAULT_BUDGET:
        return budget_argument(p, spec, word);
    case FAULT_EXIT_STATUS:
        return exit_status_argument(p, spec, word);
    case FAULT_REPLACE:
        return replace_argument(p, spec, word, rest);
    case FAULT_DESCRIPTORS:
        return descriptors_argument(p, spec, word);
    case FAULT_ONCE_PER_STACK:
        return stack_argument(p, spec, word);
    case FAULT_SKEW:
    case FAULT_DRIFT:
    case FAULT_JUMP:
    case FAULT_FREEZE:
    case FAULT_STROBE:
    case FAULT_LATE:
        return fsh_fault_time_argument(p, spec, word);
    default:
        return fsh_fault_net_argument(p, spec, word, rest);
    }
}

bool fsh_fault_more_finish(struct parse *p, struct fsh_fault_spec *spec) {
    static const uint64_t second = 1000000000, moment = 50000;
    const char *name = fsh_faults[spec->kind].name;
    switch (spec->kind) {
    case FAULT_STALL:
        spec->limit = spec->limit ? spec->limit : UINT64_MAX;
        return true;
    case FAULT_SIGNAL:
        return spec->signal ? true : fail(p, "signal has no name; write one, as in signal USR1");
    case FAULT_PAUSE:
    case FAULT_CPU:
        return spec->amount.hi ? true : fail(p, "%s has no duration; write one, as in %s 20ms", name, name);
    case FAULT_MEMORY:
        spec->limit = spec->limit ? spec->limit : 10 * second;
        return spec->amount.hi ? true : fail(p, "memory has no size; write one, as in memory 64MiB");
    case FAULT_TORN:
        spec->limit = spec->limit ? spec->limit : FSH_SECTOR;
        spec->signal = SIGKILL;
        return true;
    case FAULT_MISDIRECT:
        return spec->to || spec->amount.hi ? true : fail(p, "misdirect is not told where to; write by=4KiB, or to=*.log");
    case FAULT_QUOTA:
        if (!spec->how)
            return fail(p, "quota has no size; write one, as in quota 10MB");
        return spec->n_errnos ? true : add_errno(p, spec, ENOSPC);
    case FAULT_BUDGET:
        return spec->how ? true : fail(p, "budget has no size; write one, as in budget 64MiB");
    case FAULT_EXIT_STATUS:
        return spec->how ? true : fail(p, "exit-status has no number; write one, as in exit-status 1");
    case FAULT_REPLACE:
        return spec->names ? true : fail(p, "replace names no field; write one, as in machine=aarch64");
    case FAULT_DESCRIPTORS:
        return spec->limit ? true : fail(p, "descriptors has no number; write one, as in descriptors 32");
    case FAULT_ONCE_PER_STACK:
        return spec->n_errnos ? true : add_errno(p, spec, ENOMEM);
    case FAULT_FILL:
        if (spec->how == CORRUPT_BITS)
            spec->limit = 0xa5;
        return true;
    case FAULT_YIELD:
        if (!spec->amount.hi)
            spec->amount = (struct fsh_range){1000, moment};
        return true;
    case FAULT_SKEW:
    case FAULT_DRIFT:
    case FAULT_JUMP:
    case FAULT_FREEZE:
    case FAULT_STROBE:
    case FAULT_LATE:
        return fsh_fault_time_finish(p, spec);
    default:
        return fsh_fault_net_finish(p, spec);
    }
}
