/* sys.h: system calls made directly. Inside the preloaded object the names of libc resolve to our own doors, so engine
 * and shim use these instead. Each returns what the kernel returns: -errno on failure. No cancellation point. */
#ifndef FSH_SYS_H
#define FSH_SYS_H

#include <stdint.h>
#include <sys/syscall.h>

static inline long fsh_sys(long nr, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
    long ret;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    return ret;
#else
#error "faultshim knows the system calls of x86-64 only"
#endif
}

#define fsh_sys0(nr)                   fsh_sys(nr, 0, 0, 0, 0, 0, 0)
#define fsh_sys1(nr, a)                fsh_sys(nr, (long)(a), 0, 0, 0, 0, 0)
#define fsh_sys2(nr, a, b)             fsh_sys(nr, (long)(a), (long)(b), 0, 0, 0, 0)
#define fsh_sys3(nr, a, b, c)          fsh_sys(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define fsh_sys4(nr, a, b, c, d)       fsh_sys(nr, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define fsh_sys5(nr, a, b, c, d, e)    fsh_sys(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define fsh_sys6(nr, a, b, c, d, e, f) fsh_sys(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* Around the few steps that a signal handler must not leave by siglongjmp. The mask is the kernel's: 64 signals. */
static inline uint64_t fsh_block_signals(void) {
    uint64_t all = ~UINT64_C(0), old = 0;
    fsh_sys4(SYS_rt_sigprocmask, 0 /* SIG_BLOCK */, &all, &old, sizeof all);
    return old;
}

static inline void fsh_restore_signals(uint64_t old) {
    fsh_sys4(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &old, 0, sizeof old);
}

#endif
