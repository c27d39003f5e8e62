/* say.h: what the two halves of `say` share: say.c has the language and the calls that most cases use, say_calls.c the rest of the
 * table. */
#ifndef SAY_H
#define SAY_H

#include <stdint.h>
#include <sys/types.h>

enum { UNTOUCHED = 123 /* an errno that no call here returns */ };

extern int current;            /* the descriptor that operations act on */
extern char current_path[256]; /* of the file that it is */

struct say_op {
    const char *name;
    void (*run)(const char *arg);
};
/* Ended by a name that is NULL. */
extern const struct say_op more_ops[];

void print(const char *format, ...);
const char *touched(void);
void say_ok(const char *name, long n);
void say_pointer(const char *name, const void *p);
void say_number(const char *name, int e);
const char *eai_name(int e);

#endif
