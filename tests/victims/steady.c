/* steady: threads that write, each to a file of its own, byte by byte and without end, until the time is over or SIGTERM comes.
 *
 *   steady MILLISECONDS THREADS [PAUSE-US [CHILDREN]]
 *
 * Between two writes a thread sleeps for PAUSE-US (1000 if not given, 0 for no pause at all). CHILDREN are forked first and do the
 * same. At the end each process prints what it has written and what has failed: "1234 written, 5 failed"; children first. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#include "victim.h"

enum { MOST = 64 };

static volatile sig_atomic_t over;
static _Atomic uint64_t written, failed;
static uint64_t end, pause_us = 1000;

static void on_term(int number) {
    over = 1;
}

static uint64_t now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void *work(void *arg) {
    char name[64];
    snprintf(name, sizeof name, "steady.%d.%d", (int)getpid(), (int)(intptr_t)arg);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    while (!over && now() < end) {
        if (write(fd, "x", 1) == 1)
            written++;
        else
            failed++;
        if (pause_us)
            nanosleep(&(struct timespec){0, (long)pause_us * 1000}, NULL);
    }
    close(fd);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[MOST];
    CHECK(argc >= 3);
    int n = atoi(argv[2]), children = argc > 4 ? atoi(argv[4]) : 0;
    CHECK(n >= 1 && n <= MOST);
    end = now() + strtoull(argv[1], NULL, 10);
    if (argc > 3)
        pause_us = strtoull(argv[3], NULL, 10);
    signal(SIGTERM, on_term);
    bool is_child = false;
    for (int i = 0; i < children && !is_child; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        is_child = pid == 0;
    }
    for (int i = 1; i < n; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i) == 0);
    work(NULL);
    for (int i = 1; i < n; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    while (!is_child && wait(NULL) > 0)
        ;
    printf("%llu written, %llu failed\n", (unsigned long long)written, (unsigned long long)failed);
    return 0;
}
