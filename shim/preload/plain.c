/* plain.c: the functions of <string.h> that this object uses, for this object alone (hidden). libc's use vector registers, and
 * what runs at a syscall door must not: libc keeps live values in them over a system call. Built without loop idioms, or the
 * compiler would make each of these a call to itself. */
#include <stddef.h>
#include <stdint.h>

#define PLAIN __attribute__((visibility("hidden"), used))

PLAIN void *memcpy(void *restrict to, const void *restrict from, size_t n);
PLAIN void *memmove(void *to, const void *from, size_t n);
PLAIN void *memset(void *to, int byte, size_t n);
PLAIN int memcmp(const void *a, const void *b, size_t n);
PLAIN void *memchr(const void *p, int byte, size_t n);
PLAIN size_t strlen(const char *s);
PLAIN size_t strnlen(const char *s, size_t n);
PLAIN int strcmp(const char *a, const char *b);
PLAIN int strncmp(const char *a, const char *b, size_t n);
PLAIN char *strcpy(char *restrict to, const char *restrict from);
PLAIN char *strcat(char *restrict to, const char *restrict from);
PLAIN char *strchr(const char *s, int byte);
PLAIN char *strrchr(const char *s, int byte);
PLAIN char *strstr(const char *s, const char *part);
PLAIN size_t strcspn(const char *s, const char *reject);

void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    void *p = to;
    __asm__ volatile("rep movsb" : "+D"(p), "+S"(from), "+c"(n) : : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t n) {
    unsigned char *t = to;
    const unsigned char *f = from;
    if ((uintptr_t)t - (uintptr_t)f >= n)
        return memcpy(to, from, n);
    while (n--)
        t[n] = f[n];
    return to;
}

void *memset(void *to, int byte, size_t n) {
    void *p = to;
    __asm__ volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(byte) : "memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t n) {
    const unsigned char *p = a, *q = b;
    for (size_t i = 0; i < n; i++)
        if (p[i] != q[i])
            return p[i] < q[i] ? -1 : 1;
    return 0;
}

void *memchr(const void *p, int byte, size_t n) {
    const unsigned char *s = p;
    for (size_t i = 0; i < n; i++)
        if (s[i] == (unsigned char)byte)
            return (void *)(s + i);
    return NULL;
}

size_t strlen(const char *s) {
    const char *p = s;
    while (*p)
        p++;
    return (size_t)(p - s);
}

size_t strnlen(const char *s, size_t n) {
    size_t i = 0;
    while (i < n && s[i])
        i++;
    return i;
}

int strncmp(const char *a, const char *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned char p = (unsigned char)a[i], q = (unsigned char)b[i];
        if (p != q || !p)
            return (p > q) - (p < q);
    }
    return 0;
}

int strcmp(const char *a, const char *b) {
    return strncmp(a, b, SIZE_MAX);
}

char *strcpy(char *restrict to, const char *restrict from) {
    return memcpy(to, from, strlen(from) + 1);
}

char *strcat(char *restrict to, const char *restrict from) {
    strcpy(to + strlen(to), from);
    return to;
}

char *strchr(const char *s, int byte) {
    for (;; s++) {
        if (*s == (char)byte)
            return (char *)s;
        if (!*s)
            return NULL;
    }
}

char *strrchr(const char *s, int byte) {
    char *last = NULL;
    for (;; s++) {
        if (*s == (char)byte)
            last = (char *)s;
        if (!*s)
            return last;
    }
}

char *strstr(const char *s, const char *part) {
    size_t n = strlen(part);
    for (;; s++) {
        if (!strncmp(s, part, n))
            return (char *)s;
        if (!*s)
            return NULL;
    }
}

size_t strcspn(const char *s, const char *reject) {
    size_t n = 0;
    while (s[n] && !strchr(reject, s[n]))
        n++;
    return n;
}
