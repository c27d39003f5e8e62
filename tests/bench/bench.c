/* bench: makes one kind of call over and over, in one or more threads, and prints the nanoseconds that a round took.
 *
 *   bench CALL THREADS ROUNDS       "12.34"
 *
 * The driver runs it bare and under the shim in turns; the difference is what the shim adds. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long rounds;
static void (*body)(void);
static pthread_barrier_t barrier;

static void clock_gettime_rounds(void) {
    struct timespec t;
    for (long i = 0; i < rounds; i++)
        clock_gettime(CLOCK_MONOTONIC, &t);
}

static void malloc_rounds(void) {
    for (long i = 0; i < rounds; i++) {
        void *volatile p = malloc(64);
        free(p);
    }
}

static void write_to(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (long i = 0; i < rounds; i++)
        if (write(fd, "x", 1) != 1)
            abort();
    close(fd);
}

static void write_null_rounds(void) {
    write_to("/dev/null");
}

static void write_file_rounds(void) {
    char path[64];
    snprintf(path, sizeof path, "bench-%ld", (long)syscall(SYS_gettid));
    write_to(path);
    unlink(path);
}

/* Into a queue that is full: the whole way through the call, and nobody needs to read. */
static void send_rounds(void) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair))
        abort();
    while (send(pair[0], "x", 1, MSG_DONTWAIT) == 1)
        ;
    for (long i = 0; i < rounds; i++)
        send(pair[0], "x", 1, MSG_DONTWAIT);
    close(pair[0]);
    close(pair[1]);
}

static double now(void) {
    struct timespec t;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void *thread(void *arg) {
    (void)arg;
    pthread_barrier_wait(&barrier);
    body();
    return NULL;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*body)(void);
    } calls[] = {{"clock_gettime", clock_gettime_rounds},
                 {"malloc", malloc_rounds},
                 {"write-null", write_null_rounds},
                 {"write-file", write_file_rounds},
                 {"send", send_rounds}};
    for (size_t i = 0; argc == 4 && i < sizeof calls / sizeof *calls; i++)
        if (!strcmp(argv[1], calls[i].name))
            body = calls[i].body;
    int n = body ? atoi(argv[2]) : 0;
    pthread_t others[64];
    if (n < 1 || n > 64) {
        fprintf(stderr, "usage: %s CALL THREADS ROUNDS\n", argv[0]);
        return 2;
    }
    /* A short run first: caches are warm, addresses are bound. */
    rounds = 1000;
    body();
    rounds = atol(argv[3]);
    pthread_barrier_init(&barrier, NULL, (unsigned)n);
    for (int i = 1; i < n; i++)
        if (pthread_create(&others[i], NULL, thread, NULL))
            return 1;
    pthread_barrier_wait(&barrier);
    double start = now();
    body();
    for (int i = 1; i < n; i++)
        pthread_join(others[i], NULL);
    printf("%.2f\n", (now() - start) / (double)rounds);
    return 0;
}
