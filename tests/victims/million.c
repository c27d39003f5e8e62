/* million: makes calls in four threads as fast as it can, keeps its own count of them where a kill can't reach it, and kills
 * itself in the midst of them when there are enough.
 *
 *   million COUNTS [CALLS]     works; COUNTS is a file that gets the counts
 *   million --print COUNTS     prints, for each thread, the calls it began and the calls that were over: "1 250003 250002"
 *
 * A call that was begun and not over at the kill may or may not be in the trace. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "victim.h"

enum { THREADS = 4 };

struct count {
    _Alignas(64) _Atomic uint64_t begun;
    _Atomic uint64_t over;
};

static struct count *counts;
static int null_fd;

static void *work(void *arg) {
    struct count *count = arg;
    struct timespec t;
    for (uint64_t i = 0;; i++) {
        atomic_store_explicit(&count->begun, i + 1, memory_order_release);
        if (i % 3)
            clock_gettime(CLOCK_MONOTONIC, &t);
        else
            CHECK(write(null_fd, "x", 1 + i % 2) > 0);
        atomic_store_explicit(&count->over, i + 1, memory_order_release);
    }
    return NULL;
}

static struct count *map(const char *path, int flags) {
    int fd = open(path, flags, 0600);
    CHECK(fd >= 0 && ftruncate(fd, sizeof(struct count) * THREADS) == 0);
    void *p = mmap(NULL, sizeof(struct count) * THREADS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    close(fd);
    return p;
}

int main(int argc, char **argv) {
    CHECK(argc >= 2);
    if (!strcmp(argv[1], "--print")) {
        CHECK(argc == 3);
        counts = map(argv[2], O_RDWR);
        for (int i = 0; i < THREADS; i++)
            printf("%d %lu %lu\n", i + 1, (unsigned long)counts[i].begun, (unsigned long)counts[i].over);
        return 0;
    }
    uint64_t enough = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    counts = map(argv[1], O_RDWR | O_CREAT | O_TRUNC);
    null_fd = open("sink", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, &counts[i]) == 0);
    for (;;) {
        uint64_t sum = 0;
        for (int i = 0; i < THREADS; i++)
            sum += counts[i].over;
        if (sum >= enough)
            syscall(SYS_kill, getpid(), SIGKILL);
        syscall(SYS_nanosleep, &(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}
