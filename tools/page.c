/* page.c: see page.h. */
#include "page.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"

#include "report_parts.inc"

void fsh_put_html(FILE *out, const char *text) {
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        unsigned len = fsh_utf8_length(p);
        if (*p == '&' || *p == '<' || *p == '>' || *p == '"' || *p == '\'')
            fprintf(out, "&#%u;", *p);
        else if ((*p < 0x20 && *p != '\n' && *p != '\t') || *p == 0x7f)
            fprintf(out, "\\x%02x", *p);
        else if (len)
            fwrite_unlocked(p, 1, len, out);
        else
            fputs("\xef\xbf\xbd", out);
        p += len ? len : 1;
    }
}

void fsh_put_tag(FILE *out, const char *tag, const char *text) {
    fprintf(out, "<%s>", tag);
    fsh_put_html(out, text);
    fprintf(out, "</%.*s>", (int)strcspn(tag, " "), tag);
}

void fsh_put_tagf(FILE *out, const char *tag, const char *format, ...) {
    char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    fsh_put_tag(out, tag, text ? text : "");
    free(text);
}

void fsh_put_command(FILE *out, const char *command) {
    fputs("<div class=\"command\">", out);
    fsh_put_tag(out, "code", command);
    fputs("<button type=\"button\" data-copy hidden>Copy</button></div>\n", out);
}

void fsh_put_figure(FILE *out, const char *name, unsigned long long n) {
    char digits[32];
    int len = snprintf(digits, sizeof digits, "%llu", n);
    fputs("<div><b>", out);
    for (int i = 0; i < len; i++)
        fprintf(out, "%s%c", i && (len - i) % 3 == 0 ? "," : "", digits[i]);
    fputs("</b>", out);
    fsh_put_tag(out, "span", name);
    fputs("</div>\n", out);
}

char *fsh_text_of(void (*put)(FILE *out, void *arg), void *arg) {
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return strdup("");
    put(out, arg);
    return fclose(out) == 0 && text ? text : strdup("");
}

/* --- the template --- */

/* In JSON a '<' can only stand in a string; spelled out, no name in it can end the element that it stands in. */
static void put_data(FILE *out, const struct fsh_page *page) {
    char *json = fsh_text_of(page->data, page->arg);
    for (const char *p = json; p && *p;) {
        size_t n = strcspn(p, "<");
        fwrite_unlocked(p, 1, n, out);
        p += n;
        if (*p) {
            fputs("\\u003c", out);
            p++;
        }
    }
    free(json);
}

static void put_part(FILE *out, const struct fsh_page *page, const char *name, size_t len) {
    static const struct {
        const char *name, *text;
        size_t len;
    } parts[] = {{"STYLE", report_css, sizeof report_css}, {"SCRIPT", report_js, sizeof report_js}};
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strlen(parts[i].name) == len && !memcmp(parts[i].name, name, len))
            fwrite(parts[i].text, 1, parts[i].len, out);
    if (len == 5 && !memcmp(name, "TITLE", len))
        fsh_put_html(out, page->title);
    if (len == 4 && !memcmp(name, "BODY", len))
        page->body(out, page->arg);
    if (len == 4 && !memcmp(name, "DATA", len))
        put_data(out, page);
}

int fsh_page_print(FILE *out, const struct fsh_page *page) {
    const char *p = report_html, *end = report_html + sizeof report_html;
    while (p < end) {
        const char *at = memchr(p, '@', (size_t)(end - p)), *close = at ? memchr(at + 1, '@', (size_t)(end - at - 1)) : NULL;
        if (!close) {
            fwrite(p, 1, (size_t)(end - p), out);
            break;
        }
        fwrite(p, 1, (size_t)(at - p), out);
        put_part(out, page, at + 1, (size_t)(close - at - 1));
        p = close + 1;
    }
    return fflush(out) || ferror(out) ? (errno ? -errno : -EIO) : 0;
}
