/* types.h: the system's declarations and the macros that unpack a row of calls.def.
 * _FORTIFY_SOURCE and _FILE_OFFSET_BITS would rename what we declare: both are refused. */
#ifndef FSH_TYPES_H
#define FSH_TYPES_H

#ifdef _FORTIFY_SOURCE
#error "the shim is built without _FORTIFY_SOURCE: it would turn open into __open_2"
#endif
#ifdef _FILE_OFFSET_BITS
#error "the shim is built without _FILE_OFFSET_BITS: it would turn open into open64"
#endif

#include <aio.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <malloc.h>
#include <mqueue.h>
#include <net/if.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#include "calls.h"
#include "sys.h"

typedef void *(*fsh_start)(void *);
typedef int (*fsh_entry)(void *);
struct open_how;

#define PARAMS_A0                                                         (void)
#define PARAMS_A1(t1, a1)                                                 (t1 a1)
#define PARAMS_A2(t1, a1, t2, a2)                                         (t1 a1, t2 a2)
#define PARAMS_A3(t1, a1, t2, a2, t3, a3)                                 (t1 a1, t2 a2, t3 a3)
#define PARAMS_A4(t1, a1, t2, a2, t3, a3, t4, a4)                         (t1 a1, t2 a2, t3 a3, t4 a4)
#define PARAMS_A5(t1, a1, t2, a2, t3, a3, t4, a4, t5, a5)                 (t1 a1, t2 a2, t3 a3, t4 a4, t5 a5)
#define PARAMS_A6(t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, t6, a6)         (t1 a1, t2 a2, t3 a3, t4 a4, t5 a5, t6 a6)
#define PARAMS_A7(t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, t6, a6, t7, a7) (t1 a1, t2 a2, t3 a3, t4 a4, t5 a5, t6 a6, t7 a7)
#define PARAMS_A8(t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, t6, a6, t7, a7, t8, a8)                                                  \
    (t1 a1, t2 a2, t3 a3, t4 a4, t5 a5, t6 a6, t7 a7, t8 a8)

#define NAMES_A0                                                                 ()
#define NAMES_A1(t1, a1)                                                         (a1)
#define NAMES_A2(t1, a1, t2, a2)                                                 (a1, a2)
#define NAMES_A3(t1, a1, t2, a2, t3, a3)                                         (a1, a2, a3)
#define NAMES_A4(t1, a1, t2, a2, t3, a3, t4, a4)                                 (a1, a2, a3, a4)
#define NAMES_A5(t1, a1, t2, a2, t3, a3, t4, a4, t5, a5)                         (a1, a2, a3, a4, a5)
#define NAMES_A6(t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, t6, a6)                 (a1, a2, a3, a4, a5, a6)
#define NAMES_A7(t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, t6, a6, t7, a7)         (a1, a2, a3, a4, a5, a6, a7)
#define NAMES_A8(t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, t6, a6, t7, a7, t8, a8) (a1, a2, a3, a4, a5, a6, a7, a8)

/* Arguments as the array of longs that gate and effects work on, and back. */
#define PACK_A0                                                                                                                    \
    { 0 }
#define PACK_A1(t1, a1)                                                                                                            \
    { (long)a1 }
#define PACK_A2(t1, a1, t2, a2)                                                                                                    \
    { (long)a1, (long)a2 }
#define PACK_A3(t1, a1, t2, a2, t3, a3)                                                                                            \
    { (long)a1, (long)a2, (long)a3 }
#define PACK_A4(t1, a1, t2, a2, t3, a3, t4, a4)                                                                                    \
    { (long)a1, (long)a2, (long)a3, (long)a4 }
#define PACK_A5(t1, a1, t2, a2, t3, a3, t4, a4, t5, a5)                                                                            \
    { (long)a1, (long)a2, (long)a3, (long)a4, (long)a5 }
#define PACK_A6(t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, t6, a6)                                                                    \
    { (long)a1, (long)a2, (long)a3, (long)a4, (long)a5, (long)a6 }

#define UNPACK_A0                                                 ()
#define UNPACK_A1(t1, a1)                                         ((t1)a[0])
#define UNPACK_A2(t1, a1, t2, a2)                                 ((t1)a[0], (t2)a[1])
#define UNPACK_A3(t1, a1, t2, a2, t3, a3)                         ((t1)a[0], (t2)a[1], (t3)a[2])
#define UNPACK_A4(t1, a1, t2, a2, t3, a3, t4, a4)                 ((t1)a[0], (t2)a[1], (t3)a[2], (t4)a[3])
#define UNPACK_A5(t1, a1, t2, a2, t3, a3, t4, a4, t5, a5)         ((t1)a[0], (t2)a[1], (t3)a[2], (t4)a[3], (t5)a[4])
#define UNPACK_A6(t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, t6, a6) ((t1)a[0], (t2)a[1], (t3)a[2], (t4)a[3], (t5)a[4], (t6)a[5])
/* More than six: by hand, with an array of FSH_ARGS. */
#define UNPACK_A7(t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, t6, a6, t7, a7)                                                          \
    ((t1)a[0], (t2)a[1], (t3)a[2], (t4)a[3], (t5)a[4], (t6)a[5], (t7)a[6])
#define UNPACK_A8(t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, t6, a6, t7, a7, t8, a8)                                                  \
    ((t1)a[0], (t2)a[1], (t3)a[2], (t4)a[3], (t5)a[4], (t6)a[5], (t7)a[6], (t8)a[7])

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define COLD        __attribute__((cold, noinline))
#define INLINE      static inline __attribute__((always_inline))

/* An exported symbol. The C name differs, so that no declaration of libc's (transparent unions, nonnull, builtins) gets in the way.
 */
#define DOOR(symbol) __asm__(#symbol) __attribute__((visibility("default"), used))

#endif
