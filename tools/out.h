/* out.h: what the commands say, and how: errors, texts of unknown origin, the fault of a decision in words. */
#ifndef FSH_OUT_H
#define FSH_OUT_H

#include <stdarg.h>
#include <stdio.h>

#include "plan.h"
#include "reader.h"

/* "faultshim: …" on stderr, one line; returns `status`. */
int fsh_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fsh_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Flushes stdout: `status`, or 1 with a message if something could not be written. A closed pipe is no news. */
int fsh_out_finish(int status);

/* Text from a trace or a file: control characters are shown, not sent to the terminal. */
void fsh_put_safe(FILE *out, const char *text);
/* Length of the UTF-8 character at `p`, 0 if there is none. */
unsigned fsh_utf8_length(const unsigned char *p);
/* As a JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. */
void fsh_put_json(FILE *out, const char *text);
/* As the text of an XML element or attribute; what XML can't hold becomes U+FFFD. */
void fsh_put_xml(FILE *out, const char *text);
/* As a JSON string in a json-c object. json-c alone would pass bytes that are no UTF-8 on. */
struct json_object;
struct json_object *fsh_json_text(const char *text);
/* Prints a json-c object on one line, and gives it back. */
void fsh_put_object(FILE *out, struct json_object *object);
/* "4 decisions", "1 decision" */
const char *fsh_plural(uint64_t n);
/* ns as "1.5ms". */
void fsh_put_time(FILE *out, uint64_t ns);
/* A share as it is written, 2 for 2%. */
double fsh_share_percent(const struct fsh_share *share);
/* "EIO", "EAI_AGAIN", or the number. The buffer is used for numbers only. */
const char *fsh_errno_text(int e, char buf[16]);
/* "error EIO", "short 17", "delay 1.5ms". */
/* What JSON and CSV say of an amount: a number, below 0 for a clock that is put back. */
int64_t fsh_amount_of(const struct fsh_reader *reader, const struct fsh_decision *d, bool *is_signed);
void fsh_put_outcome(FILE *out, const struct fsh_reader *reader, const struct fsh_decision *fault);
/* Name of the resource of a decision, "" if it has none. */
const char *fsh_resource_name(const struct fsh_reader *reader, uint64_t number);
/* A word as an argument for the shell. */
void fsh_put_shell(FILE *out, const char *word);

#endif
