/* out.c: see out.h. */
#include "out.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"

static void complain(const char *format, va_list args) {
    fflush(stdout);
    fputs("faultshim: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

int fsh_fail(int status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    complain(format, args);
    va_end(args);
    return status;
}

void fsh_warn(const char *format, ...) {
    va_list args;
    va_start(args, format);
    complain(format, args);
    va_end(args);
}

int fsh_out_finish(int status) {
    bool bad = fflush(stdout) != 0;
    if (!bad && !ferror(stdout))
        return status;
    int e = errno;
    if (bad && e == EPIPE)
        return status ? status : 1;
    fprintf(stderr, "faultshim: writing the output failed%s%s\n", bad ? ": " : "", bad ? strerror(e) : "");
    return 1;
}

void fsh_put_safe(FILE *out, const char *text) {
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p < 0x20 || *p == 0x7f)
            fprintf(out, "\\x%02x", *p);
        else
            putc_unlocked(*p, out);
    }
}

unsigned fsh_utf8_length(const unsigned char *p) {
    static const struct {
        unsigned char mask, lead, len;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 1, 0}, {0xE0, 0xC0, 2, 0x80}, {0xF0, 0xE0, 3, 0x800}, {0xF8, 0xF0, 4, 0x10000}};
    for (unsigned i = 0; i < 4; i++) {
        if ((*p & forms[i].mask) != forms[i].lead)
            continue;
        uint32_t c = *p & ~forms[i].mask & 0xff;
        for (unsigned j = 1; j < forms[i].len; j++) {
            if ((p[j] & 0xC0) != 0x80)
                return 0;
            c = c << 6 | (p[j] & 0x3f);
        }
        return c >= forms[i].least && c <= 0x10ffff && (c & 0xfffff800) != 0xd800 ? forms[i].len : 0;
    }
    return 0;
}

/* Controls above ASCII and U+FFFE, U+FFFF: JSON allows them, YAML and terminals do not like them. */
static unsigned unprintable(const unsigned char *p, unsigned len) {
    if (len == 2 && p[0] == 0xc2 && p[1] < 0xa0)
        return p[1];
    return len == 3 && p[0] == 0xef && p[1] == 0xbf && p[2] >= 0xbe ? 0xff00u + p[2] + 0x40 : 0;
}

void fsh_put_json(FILE *out, const char *text) {
    putc_unlocked('"', out);
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        unsigned len = fsh_utf8_length(p);
        if (*p == '"' || *p == '\\')
            fprintf(out, "\\%c", *p);
        else if (*p < 0x20 || *p == 0x7f)
            fprintf(out, "\\u%04x", *p);
        else if (len == 0)
            fputs("\xef\xbf\xbd", out);
        else if (unprintable(p, len))
            fprintf(out, "\\u%04x", unprintable(p, len));
        else
            fwrite_unlocked(p, 1, len, out);
        p += len ? len : 1;
    }
    putc_unlocked('"', out);
}

json_object *fsh_json_text(const char *text) {
    char *clean = malloc(3 * strlen(text) + 1), *to = clean;
    if (!clean)
        return NULL;
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        unsigned len = fsh_utf8_length(p);
        memcpy(to, len ? (const char *)p : "\xef\xbf\xbd", len ? len : 3);
        to += len ? len : 3;
        p += len ? len : 1;
    }
    json_object *o = json_object_new_string_len(clean, (int)(to - clean));
    free(clean);
    return o;
}

/* XML 1.0 has no control characters but these three, not even escaped, and neither U+FFFE nor U+FFFF. */
static bool is_no_xml(const unsigned char *p, unsigned len) {
    return len == 0 || (*p < 0x20 && *p != '\t' && *p != '\n' && *p != '\r') ||
           (len == 3 && p[0] == 0xef && p[1] == 0xbf && p[2] >= 0xbe);
}

void fsh_put_xml(FILE *out, const char *text) {
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        unsigned len = fsh_utf8_length(p);
        if (is_no_xml(p, len))
            fputs("\xef\xbf\xbd", out);
        else if (strchr("<>&\"\r\n\t", *p))
            fprintf(out, "&#%d;", *p);
        else
            fwrite_unlocked(p, 1, len, out);
        p += len ? len : 1;
    }
}

void fsh_put_object(FILE *out, struct json_object *object) {
    fputs(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE), out);
    fputc('\n', out);
    json_object_put(object);
}

const char *fsh_plural(uint64_t n) {
    return n == 1 ? "" : "s";
}

void fsh_put_time(FILE *out, uint64_t ns) {
    static const struct {
        uint64_t unit;
        const char *name;
    } units[] = {{1000000000, "s"}, {1000000, "ms"}, {1000, "us"}};
    for (unsigned i = 0; i < sizeof units / sizeof *units; i++)
        if (ns >= units[i].unit) {
            fprintf(out, "%.6g%s", (double)ns / (double)units[i].unit, units[i].name);
            return;
        }
    fprintf(out, "%" PRIu64 "ns", ns);
}

const char *fsh_errno_text(int e, char buf[16]) {
    const char *name = fsh_errno_name(e);
    if (name)
        return name;
    snprintf(buf, 16, "%d", e);
    return buf;
}

static bool is_time(int kind) {
    return kind == FAULT_DELAY || kind == FAULT_EARLY || kind == FAULT_STALL || kind == FAULT_PAUSE || kind == FAULT_CPU ||
           kind == FAULT_YIELD || kind == FAULT_FREEZE || kind == FAULT_LATE;
}

int64_t fsh_amount_of(const struct fsh_reader *reader, const struct fsh_decision *d, bool *is_signed) {
    const char *name = fsh_reader_fault_name(reader, d->fault_kind);
    int kind = fsh_fault_by_name(name, strlen(name));
    *is_signed = kind >= 0 && fsh_fault_is_signed((enum fsh_fault_kind)kind);
    return (int64_t)d->amount;
}

void fsh_put_outcome(FILE *out, const struct fsh_reader *reader, const struct fsh_decision *d) {
    char number[16];
    const char *name = fsh_reader_fault_name(reader, d->fault_kind);
    fsh_put_safe(out, name);
    if (d->error)
        fprintf(out, " %s", fsh_errno_text(d->error, number));
    int kind = fsh_fault_by_name(name, strlen(name));
    if (kind == FAULT_DRIFT) {
        fprintf(out, " %+.6g ppm", (double)(int64_t)d->amount / 1e3);
    } else if (kind >= 0 && fsh_fault_is_signed((enum fsh_fault_kind)kind)) {
        bool back = (int64_t)d->amount < 0;
        fputs(back ? " -" : " +", out);
        fsh_put_time(out, back ? -d->amount : d->amount);
    } else if (kind == FAULT_SIGNAL) {
        fprintf(out, " SIG%s", sigabbrev_np((int)d->amount));
    } else if (is_time(kind) && (d->amount || kind == FAULT_DELAY || kind == FAULT_EARLY)) {
        putc_unlocked(' ', out);
        fsh_put_time(out, d->amount);
    } else if (d->amount) {
        fprintf(out, " %" PRIu64, d->amount);
    }
}

const char *fsh_resource_name(const struct fsh_reader *reader, uint64_t number) {
    const struct fsh_resource_info *info = fsh_reader_resource(reader, number);
    return info ? info->name : number ? "?" : "";
}

void fsh_put_shell(FILE *out, const char *word) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@%+,";
    if (*word && word[strspn(word, plain)] == 0) {
        fputs(word, out);
        return;
    }
    fputc('\'', out);
    for (const char *p = word; *p; p++)
        if (*p == '\'')
            fputs("'\\''", out);
        else
            fputc(*p, out);
    fputc('\'', out);
}

double fsh_share_percent(const struct fsh_share *share) {
    return share->always ? 100 : 100 * ((double)share->threshold / 0x1p64);
}
