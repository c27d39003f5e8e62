/* stdio: what libc does on a program's behalf. Nearly none of it goes through a symbol of a system call: buffered files, names,
 * children, directories. `all` does some of everything; the other parts each meet one failure below a function of libc, say what it
 * answered, and check that nothing is lost and nothing is there twice. What they say goes straight to descriptor 1. */
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>

#include "victim.h"

extern char **environ;

static const char *error_name(int e) {
    return e ? strerrorname_np(e) : "0";
}

/* "what result errno"; errno only where the result says that there is one. */
static void say(const char *what, long result, bool failed) {
    int e = errno;
    if (failed)
        dprintf(1, "%s %ld %s\n", what, result, error_name(e));
    else
        dprintf(1, "%s %ld\n", what, result);
    errno = e;
}

/* Line n of a file of lines, 40 bytes. */
enum { LINE = 40 };
static void line_of(char *out, int n) {
    snprintf(out, LINE + 1, "line %08d %.*s\n", n, LINE - 15, "abcdefghijklmnopqrstuvwxyz");
}

static void make_lines(const char *path, int n) {
    char line[LINE + 1];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    CHECK(fd >= 0);
    for (int i = 0; i < n; i++) {
        line_of(line, i);
        CHECK(write(fd, line, LINE) == LINE);
    }
    CHECK(close(fd) == 0);
}

/* How many lines the file is made of, all in their places; -1 for anything else. */
static long lines_in(const char *path) {
    char line[LINE + 1], want[LINE + 1];
    int fd = open(path, O_RDONLY);
    long n = 0;
    CHECK(fd >= 0);
    for (ssize_t got; (got = pread(fd, line, LINE, n * LINE)) != 0; n++) {
        line_of(want, (int)n);
        if (got != LINE || memcmp(line, want, LINE))
            return -1;
    }
    close(fd);
    return n;
}

/* --- some of everything --- */

static void streams(const char *name) {
    char *line = NULL, block[5000];
    size_t room = 0;
    long n = 0;
    FILE *f = fopen(name, "w+");
    CHECK(f);
    for (int i = 0; i < 500; i++)
        CHECK(fprintf(f, "%d %s\n", i, "words") > 0);
    CHECK(fputs("the end\n", f) >= 0 && fflush(f) == 0);
    memset(block, 'b', sizeof block);
    block[sizeof block - 1] = '\n';
    CHECK(fwrite(block, 1, sizeof block, f) == sizeof block);
    rewind(f);
    while (getline(&line, &room, f) > 0)
        n++;
    CHECK(n == 502 && feof(f) && !ferror(f));
    free(line);
    CHECK(fseek(f, 100, SEEK_SET) == 0 && fgetc(f) != EOF && ftell(f) == 101);
    CHECK(freopen(name, "a", f) && setvbuf(f, NULL, _IONBF, 0) == 0 && fputc('x', f) == 'x' && fclose(f) == 0);
    CHECK(remove(name) == 0);
}

static void *in_thread(void *arg) {
    char name[64];
    snprintf(name, sizeof name, "stdio-thread-%d", (int)(intptr_t)arg);
    for (int i = 0; i < 5; i++)
        streams(name);
    dprintf(2, "%s\n", "a thread");
    return NULL;
}

static void names(void) {
    static const struct {
        const char *host, *service;
        int flags;
    } asked[] = {
        {"127.0.0.1", "80", AI_NUMERICHOST | AI_NUMERICSERV},
        {"::1", "53", AI_NUMERICHOST | AI_NUMERICSERV},
        {"localhost", "80", AI_NUMERICSERV},
        {"localhost", NULL, AI_CANONNAME},
        {NULL, "4711", AI_PASSIVE | AI_NUMERICSERV},
    };
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct addrinfo hints = {.ai_flags = asked[i].flags, .ai_socktype = SOCK_STREAM}, *found;
        CHECK(getaddrinfo(asked[i].host, asked[i].service, &hints, &found) == 0 && found);
        char host[NI_MAXHOST];
        CHECK(getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST) == 0);
        freeaddrinfo(found);
    }
    CHECK(getpwuid(0) && getgrgid(0) && getservbyname("domain", "udp") != (void *)1);
}

static int ended(pid_t pid) {
    int status = -1;
    while (waitpid(pid, &status, 0) < 0)
        CHECK(errno == EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void children(void) {
    char line[100];
    CHECK(WEXITSTATUS(system("exit 3")) == 3);
    FILE *f = popen("echo some words", "r");
    CHECK(f && fgets(line, sizeof line, f) && !strcmp(line, "some words\n") && pclose(f) == 0);
    CHECK((f = popen("cat >stdio-cat", "w")) && fputs("more words\n", f) >= 0 && pclose(f) == 0 && remove("stdio-cat") == 0);
    pid_t pid;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t some;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR2);
    CHECK(posix_spawn_file_actions_init(&actions) == 0 && posix_spawnattr_init(&attributes) == 0);
    CHECK(posix_spawn_file_actions_addopen(&actions, 1, "stdio-spawned", O_WRONLY | O_CREAT | O_TRUNC, 0600) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, 1, 2) == 0 && posix_spawn_file_actions_addclose(&actions, 0) == 0);
    CHECK(posix_spawnattr_setsigmask(&attributes, &some) == 0 && posix_spawnattr_setsigdefault(&attributes, &some) == 0);
    CHECK(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP) == 0);
    char *const args[] = {(char *)"sh", (char *)"-c", (char *)"echo spawned; exit 5", NULL};
    CHECK(posix_spawnp(&pid, "sh", &actions, &attributes, args, environ) == 0 && ended(pid) == 5);
    struct stat st;
    CHECK(stat("stdio-spawned", &st) == 0 && st.st_size == 8 && remove("stdio-spawned") == 0);
    char *const none[] = {(char *)"/none", NULL};
    CHECK(posix_spawn(&pid, "/none", NULL, NULL, none, environ) == ENOENT);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
}

static void places(void) {
    char name[] = "stdio-XXXXXX", folder[] = "stdio-XXXXXX";
    int fd = mkstemp(name);
    CHECK(fd > 2 && dprintf(fd, "%s\n", name) == (int)sizeof name && close(fd) == 0 && remove(name) == 0);
    CHECK(mkdtemp(folder));
    FILE *f = tmpfile();
    CHECK(f && fputs("temporary", f) >= 0 && fflush(f) == 0 && fclose(f) == 0);
    DIR *dir = opendir(".");
    CHECK(dir);
    while (readdir(dir))
        ;
    CHECK(closedir(dir) == 0 && remove(folder) == 0);
    struct dirent **list;
    int n = scandir("/etc", &list, NULL, alphasort);
    CHECK(n > 2);
    for (int i = 0; i < n; i++)
        free(list[i]);
    free(list);
    char *path = realpath(".", NULL);
    CHECK(path);
    free(path);
}

static int all(int argc, char **argv) {
    pthread_t threads[4];
    (void)argc;
    (void)argv;
    puts("stdio");
    fflush(stdout);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, in_thread, (void *)(intptr_t)i) == 0);
    streams("stdio-main");
    names();
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    children();
    places();
    errno = ENOENT;
    perror("perror");
    openlog("faultshim-victim", LOG_NDELAY, LOG_USER);
    closelog();
    sleep(0);
    usleep(1000);
    time_t now = 86400;
    struct tm tm;
    CHECK(localtime_r(&now, &tm));
    pid_t pid = fork();
    if (pid == 0) {
        streams("stdio-child");
        fflush(stdout);
        _exit(7);
    }
    CHECK(pid > 0 && ended(pid) == 7);
    puts("done");
    return 0;
}

/* --- writing --- */

/* fill PATH LINES: fprintf, over errors; then what ferror, fclose and the file say. */
static int fill(int argc, char **argv) {
    char line[LINE + 1];
    CHECK(argc == 3);
    FILE *f = fopen(argv[1], "w");
    CHECK(f);
    int n = (int)strtol(argv[2], NULL, 10), failed = 0, error = 0;
    for (int i = 0; i < n; i++) {
        line_of(line, i);
        errno = 0;
        if (fprintf(f, "%s", line) < 0 && !failed++)
            error = errno;
    }
    dprintf(1, "fprintf %d %s\n", failed ? -1 : 0, error_name(error));
    say("ferror", ferror(f) != 0, false);
    errno = 0;
    int closed = fclose(f);
    say("fclose", closed, closed != 0);
    return 0;
}

/* flush PATH: fflush until it succeeds; every line is there once. */
static int flush(int argc, char **argv) {
    char line[LINE + 1];
    CHECK(argc == 2);
    FILE *f = fopen(argv[1], "w");
    CHECK(f);
    for (int i = 0; i < 10; i++) {
        line_of(line, i);
        CHECK(fputs(line, f) >= 0);
    }
    for (int i = 0; i < 4; i++) {
        errno = 0;
        int result = fflush(f);
        say("fflush", result, result != 0);
        say("ferror", ferror(f) != 0, false);
        clearerr(f);
        if (!result)
            break;
    }
    errno = 0;
    int closed = fclose(f);
    say("fclose", closed, closed != 0);
    say("lines", lines_in(argv[1]), false);
    return 0;
}

/* block PATH LINES: fwrite in one piece, larger than any buffer. */
static int block(int argc, char **argv) {
    CHECK(argc == 3);
    long n = strtol(argv[2], NULL, 10);
    char *bytes = malloc((size_t)n * LINE + 1);
    FILE *f = fopen(argv[1], "w");
    CHECK(f && bytes);
    for (long i = 0; i < n; i++)
        line_of(bytes + i * LINE, (int)i);
    errno = 0;
    size_t done = fwrite(bytes, LINE, (size_t)n, f);
    say("fwrite", (long)done, done != (size_t)n);
    say("ferror", ferror(f) != 0, false);
    errno = 0;
    int closed = fclose(f);
    say("fclose", closed, closed != 0);
    if (done == (size_t)n)
        say("lines", lines_in(argv[1]), false);
    free(bytes);
    return 0;
}

/* Each by its own way to write(2). */
static int others(int argc, char **argv) {
    CHECK(argc == 2);
    int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0666);
    CHECK(fd > 2);
    int saved = dup(1);
    errno = 0;
    int result = dprintf(fd, "some %s\n", "words");
    dprintf(saved, "dprintf %d %s\n", result, error_name(errno));
    /* stdout and stderr are that file now */
    CHECK(dup2(fd, 1) == 1 && dup2(fd, 2) == 2);
    errno = 0;
    result = puts("some words");
    dprintf(saved, "puts %d %s\n", result < 0 ? -1 : 0, error_name(errno));
    errno = 0;
    result = fflush(stdout);
    dprintf(saved, "fflush %d %s ferror %d\n", result, error_name(errno), ferror(stdout) != 0);
    clearerr(stdout);
    errno = EDOM;
    perror("perror");
    dprintf(saved, "perror %d\n", ferror(stderr) != 0);
    errno = 0;
    result = fputc('x', stderr);
    dprintf(saved, "fputc %d %s\n", result, result < 0 ? error_name(errno) : "0");
    setvbuf(stdout, NULL, _IOLBF, 0);
    errno = 0;
    result = printf("%s\n", "line");
    dprintf(saved, "printf %d %s\n", result, result < 0 ? error_name(errno) : "0");
    _exit(0);
}

/* --- reading --- */

/* lines PATH LINES: getline to the end, over errors. It hands out what it has of a line when an error comes in the midst of it. */
static int lines(int argc, char **argv) {
    CHECK(argc == 3);
    int n = (int)strtol(argv[2], NULL, 10);
    make_lines(argv[1], n);
    FILE *f = fopen(argv[1], "r");
    char *line = NULL, want[LINE + 1];
    size_t room = 0;
    long at = 0;
    CHECK(f);
    for (int errors = 0; errors < 100 && !feof(f);) {
        errno = 0;
        ssize_t got = getline(&line, &room, f);
        for (ssize_t i = 0; i < got; i++, at++) {
            line_of(want, (int)(at / LINE));
            CHECK(line[i] == want[at % LINE]);
        }
        if (ferror(f)) {
            dprintf(1, "getline %s\n", error_name(errno));
            errors++;
            clearerr(f);
        }
    }
    say("feof", feof(f) != 0, false);
    say("lines", at % LINE ? -1 : at / LINE, false);
    CHECK(fclose(f) == 0);
    free(line);
    return 0;
}

/* blocks PATH LINES: fread, with what it answers and what is left to read after it. */
static int blocks(int argc, char **argv) {
    CHECK(argc == 3);
    int n = (int)strtol(argv[2], NULL, 10);
    make_lines(argv[1], n);
    char *bytes = malloc((size_t)n * LINE), want[LINE + 1];
    FILE *f = fopen(argv[1], "r");
    CHECK(f && bytes);
    long at = 0;
    for (int i = 0; i < 100 && at < n; i++) {
        errno = 0;
        size_t got = fread(bytes + at * LINE, LINE, (size_t)(n - at), f);
        at += (long)got;
        if (at < n) {
            say("fread", ferror(f) != 0, true);
            clearerr(f);
            CHECK(fseek(f, at * LINE, SEEK_SET) == 0);
        }
    }
    for (int i = 0; i < n; i++) {
        line_of(want, i);
        CHECK(!memcmp(bytes + i * LINE, want, LINE));
    }
    say("lines", at, false);
    CHECK(fclose(f) == 0);
    free(bytes);
    return 0;
}

/* --- opening, closing, places --- */

static int opening(int argc, char **argv) {
    CHECK(argc == 2);
    make_lines(argv[1], 3);
    errno = 0;
    FILE *f = fopen(argv[1], "r");
    say("fopen", f != NULL, !f);
    errno = 0;
    DIR *dir = opendir(".");
    say("opendir", dir != NULL, !dir);
    errno = 0;
    FILE *t = tmpfile();
    say("tmpfile", t != NULL, !t);
    char name[] = "stdio-XXXXXX";
    errno = 0;
    int fd = mkstemp(name);
    say("mkstemp", fd >= 0, fd < 0);
    errno = 0;
    char *path = realpath(argv[1], NULL);
    say("realpath", path != NULL, !path);
    return 0;
}

static int closing(int argc, char **argv) {
    CHECK(argc == 2);
    FILE *f = fopen(argv[1], "w");
    CHECK(f && fputs("words", f) >= 0);
    errno = 0;
    int result = fclose(f);
    say("fclose", result, result != 0);
    struct stat st;
    CHECK(stat(argv[1], &st) == 0);
    say("bytes", st.st_size, false);
    /* the descriptor is free again in any case */
    int fd = open(argv[1], O_RDONLY);
    say("next", fd, false);
    return 0;
}

static int listing(int argc, char **argv) {
    (void)argc;
    (void)argv;
    for (int i = 0; i < 500; i++) {
        char name[64];
        snprintf(name, sizeof name, "stdio-%03d-%040d", i, i);
        int fd = open(name, O_WRONLY | O_CREAT, 0666);
        CHECK(fd >= 0 && close(fd) == 0);
    }
    DIR *dir = opendir(".");
    CHECK(dir);
    int n = 0;
    errno = 0;
    for (const struct dirent *e; (e = readdir(dir));)
        n += !strncmp(e->d_name, "stdio-", 6);
    say("readdir", errno != 0, errno != 0);
    say("all", n == 500, false);
    closedir(dir);
    return 0;
}

/* --- memory: what malloc asks the kernel for --- */

static int memory(int argc, char **argv) {
    static const size_t sizes[] = {1000, 100000, 10000000};
    (void)argc;
    (void)argv;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *volatile p = NULL;
        int e = 0;
        for (size_t n = 0; n < 1000 && n * sizes[i] < 100000000 && !e; n++) {
            errno = 0;
            p = malloc(sizes[i]);
            if (p)
                p[0] = 'm'; /* kept: the room that malloc has by now comes to an end */
            else
                e = errno;
        }
        dprintf(1, "malloc %zu %s %s\n", sizes[i], e ? "NULL" : "ok", error_name(e));
    }
    return 0;
}

/* --- names --- */

static int resolve(int argc, char **argv) {
    CHECK(argc >= 2);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET}, *found = NULL;
    errno = 0;
    int result = getaddrinfo(argv[1], "80", &hints, &found);
    if (result == EAI_SYSTEM)
        dprintf(1, "getaddrinfo EAI_SYSTEM %s\n", error_name(errno));
    else if (result)
        dprintf(1, "getaddrinfo %s\n",
                result == EAI_AGAIN     ? "EAI_AGAIN"
                : result == EAI_NONAME  ? "EAI_NONAME"
                : result == EAI_FAIL    ? "EAI_FAIL"
                : result == EAI_MEMORY  ? "EAI_MEMORY"
                : result == EAI_SERVICE ? "EAI_SERVICE"
                                        : "other");
    else
        dprintf(1, "getaddrinfo ok\n");
    if (!result)
        freeaddrinfo(found);
    return 0;
}

/* --- children --- */

static int waiting(int argc, char **argv) {
    (void)argc;
    (void)argv;
    errno = 0;
    int status = system("exit 3");
    say("system", status == -1 ? -1 : WEXITSTATUS(status), status == -1);
    FILE *f = popen("exit 4", "r");
    say("popen", f != NULL, !f);
    if (f) {
        errno = 0;
        status = pclose(f);
        say("pclose", status == -1 ? -1 : WEXITSTATUS(status), status == -1);
    }
    return 0;
}

static const struct victim_part parts[] = {
    {"all", all},       {"fill", fill},       {"flush", flush},     {"block", block},     {"others", others},
    {"lines", lines},   {"blocks", blocks},   {"opening", opening}, {"closing", closing}, {"listing", listing},
    {"memory", memory}, {"resolve", resolve}, {"waiting", waiting},
};

int main(int argc, char **argv) {
    return victim_main(parts, sizeof parts / sizeof *parts, argc, argv);
}
