/* readings: what clocks say and random bytes, from all their sources, read by the main thread and by four others; prints them
 * thread by thread. Then it waits for a condition until a time of the clock that it has just read, and checks that it waited.
 *
 *   readings [N]     N rounds in each thread, 20 if it is not given */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4, WAIT = 200000000 };

static int rounds = 20;
static char *said[THREADS + 1];

static void say_bytes(FILE *out, const void *bytes, size_t n) {
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%02x", ((const unsigned char *)bytes)[i]);
    putc(' ', out);
}

static void say_clocks(FILE *out) {
    static const clockid_t clocks[] = {
        CLOCK_REALTIME,           CLOCK_MONOTONIC,         CLOCK_MONOTONIC_RAW,    CLOCK_REALTIME_COARSE,
        CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME};
    struct timespec ts;
    struct timeval tv;
    struct tms tms;
    clockid_t own;
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++)
        if (clock_gettime(clocks[i], &ts) == 0)
            fprintf(out, "%ld.%09ld ", (long)ts.tv_sec, ts.tv_nsec);
    if (pthread_getcpuclockid(pthread_self(), &own) == 0 && clock_gettime(own, &ts) == 0)
        fprintf(out, "%ld.%09ld ", (long)ts.tv_sec, ts.tv_nsec);
    if (timespec_get(&ts, TIME_UTC) == TIME_UTC)
        fprintf(out, "%ld.%09ld ", (long)ts.tv_sec, ts.tv_nsec);
    if (gettimeofday(&tv, NULL) == 0)
        fprintf(out, "%ld.%06ld ", (long)tv.tv_sec, (long)tv.tv_usec);
    fprintf(out, "%ld %ld ", (long)time(NULL), (long)clock());
    fprintf(out, "%ld ", (long)times(&tms));
    fprintf(out, "%ld %ld ", (long)tms.tms_utime, (long)tms.tms_stime);
}

static void say_random(FILE *out, int fd) {
    unsigned char a[13], b[3000];
    struct iovec iov[2] = {{b, 5}, {b + 100, 7}};
    if (getrandom(a, sizeof a, 0) == (ssize_t)sizeof a)
        say_bytes(out, a, sizeof a);
    if (getentropy(a, 9) == 0)
        say_bytes(out, a, 9);
    if (read(fd, b, sizeof b) == (ssize_t)sizeof b)
        say_bytes(out, b + sizeof b - 16, 16);
    if (readv(fd, iov, 2) == 12) {
        say_bytes(out, b, 5);
        say_bytes(out, b + 100, 7);
    }
    arc4random_buf(a, 6);
    say_bytes(out, a, 6);
    fprintf(out, "%u %u", arc4random(), arc4random_uniform(1000));
}

static void *work(void *p) {
    char **to = p;
    size_t len;
    FILE *out = open_memstream(to, &len);
    int fd = open("/dev/urandom", O_RDONLY);
    for (int i = 0; i < rounds; i++) {
        say_clocks(out);
        say_random(out, fd);
        putc('\n', out);
    }
    close(fd);
    fclose(out);
    return NULL;
}

/* By the real clock, which no replay can see, it has waited; by its own too. */
static void wait_for_nothing(void) {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t never = PTHREAD_COND_INITIALIZER;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += WAIT;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&mutex);
    printf("waited: %s\n", pthread_cond_timedwait(&never, &mutex, &until) == ETIMEDOUT ? "yes" : "no");
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    if (argc > 1)
        rounds = atoi(argv[1]);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, &said[i + 1]);
    work(&said[0]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i <= THREADS; i++)
        fputs(said[i], stdout);
    wait_for_nothing();
    return 0;
}
