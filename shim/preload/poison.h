/* poison.h: makes it a compile error to call, inside the preloaded object, a libc function that has a door or that allocates.
 * Include it last. Doors (symbols*.c) and real.c name these functions on purpose and do not include it. */
#pragma GCC poison malloc calloc realloc reallocarray free posix_memalign aligned_alloc memalign valloc pvalloc strdup strndup     \
    asprintf
#pragma GCC poison open openat creat fopen read pread readv preadv write pwrite writev pwritev close fcntl
#pragma GCC poison fsync fdatasync rename unlink unlinkat mkdir truncate ftruncate
#pragma GCC poison bind listen accept accept4 connect sendto recvfrom sendmsg recvmsg getaddrinfo
#pragma GCC poison poll select epoll_wait nanosleep usleep sleep gettimeofday
#pragma GCC poison fork vfork execve posix_spawn pthread_create getrandom getentropy syscall
#pragma GCC poison printf fprintf snprintf sprintf vsnprintf puts fputs fwrite perror dprintf
#pragma GCC poison getenv setenv strerror strtol strtoul atoi random rand setlocale getcwd readlink
