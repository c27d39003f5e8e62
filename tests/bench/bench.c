/* bench: makes one kind of call over and over, in one or more threads, and prints the nanoseconds that a round took. Or starts a
 * program over and over, and prints the microseconds from its start to its end: the tenth of them that was fastest took no more.
 *
 *   bench CALL THREADS ROUNDS             "12.34"
 *   bench start ROUNDS PROGRAM ARG...     "512.3"
 *
 * The driver runs it bare and under the shim in turns; the difference is what the shim adds. */
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

/* One write for each round, made inside libc. */
static void stdio_rounds(void) {
    FILE *f = fopen("/dev/null", "w");
    for (long i = 0; i < rounds; i++)
        if (fputs("x", f) < 0 || fflush(f))
            abort();
    fclose(f);
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

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

extern char **environ;

/* The shim is for the program, not for this one: BENCH_PRELOAD is its LD_PRELOAD. */
static int start(int n, char **program) {
    double *took = malloc((size_t)n * sizeof *took);
    char *preload = getenv("BENCH_PRELOAD");
    if (!took || (preload && setenv("LD_PRELOAD", preload, 1)))
        return 1;
    for (int i = 0; i < n; i++) {
        double begin = now();
        pid_t pid;
        int status = -1;
        if (posix_spawnp(&pid, program[0], NULL, NULL, program, environ) || waitpid(pid, &status, 0) != pid || status != 0)
            return 1;
        took[i] = now() - begin;
    }
    qsort(took, (size_t)n, sizeof *took, by_size);
    printf("%.1f\n", took[n / 10] / 1000);
    free(took);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 3 && !strcmp(argv[1], "start") && atoi(argv[2]) > 0)
        return start(atoi(argv[2]), argv + 3);
    static const struct {
        const char *name;
        void (*body)(void);
    } calls[] = {{"clock_gettime", clock_gettime_rounds}, {"malloc", malloc_rounds}, {"write-null", write_null_rounds},
                 {"write-file", write_file_rounds},       {"stdio", stdio_rounds},   {"send", send_rounds}};
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
