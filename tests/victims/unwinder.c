/* unwinder: a program with a libunwind of its own. Its unwinding must work, and see its own functions. */
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <stdlib.h>

#include "victim.h"

static int frames(void) {
    unw_context_t context;
    unw_cursor_t cursor;
    int n = 0;
    CHECK(unw_getcontext(&context) == 0 && unw_init_local(&cursor, &context) == 0);
    while (unw_step(&cursor) > 0 && n < 100)
        n++;
    return n;
}

__attribute__((noinline)) static int deeper(int depth) {
    volatile int n = depth ? deeper(depth - 1) : frames();
    return n;
}

int main(void) {
    int base = deeper(0);
    for (int i = 1; i < 20; i++) {
        void *volatile p = malloc(100);
        CHECK(p);
        free(p);
        CHECK(deeper(i) == base + i);
    }
    puts("unwound");
    return 0;
}
