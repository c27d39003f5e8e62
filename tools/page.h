/* page.h: an HTML page that stands for itself, from report.html, report.css and report.js. */
#ifndef FSH_PAGE_WRITER_H
#define FSH_PAGE_WRITER_H

#include <stdio.h>

/* What a page holds. `data` prints JSON. */
struct fsh_page {
    const char *title;
    void (*body)(FILE *out, void *arg);
    void (*data)(FILE *out, void *arg);
    void *arg;
};

/* 0 or -errno. */
int fsh_page_print(FILE *out, const struct fsh_page *page);

/* Text of any origin between tags or in an attribute: nothing of it is markup, and what can't be seen is shown as \x0d. */
void fsh_put_html(FILE *out, const char *text);
/* <tag>text</tag>; `tag` may have attributes. */
void fsh_put_tag(FILE *out, const char *tag, const char *text);
/* The same with a format; what comes of it is escaped. */
void fsh_put_tagf(FILE *out, const char *tag, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A command with a button that copies it. */
void fsh_put_command(FILE *out, const char *command);
/* "12,345" */
void fsh_put_figure(FILE *out, const char *name, unsigned long long n);
/* What `put` prints, as a string of its own; "" if memory is out. To be freed. */
char *fsh_text_of(void (*put)(FILE *out, void *arg), void *arg);

#endif
