/* cmd_pack.c: faultshim pack: a trace, and the program with it if asked for, in one file that can be sent to somebody else. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "binary.h"
#include "commands.h"
#include "grow.h"
#include "options.h"
#include "out.h"
#include "pack.h"
#include "recorded.h"
#include "trace_open.h"

enum { ID_WITH_PROGRAM = 300 };

static const struct fsh_option own_options[] = {
    {'o', "output", "FILE", "the packed file (default: TRACE with " FSH_PACK_SUFFIX " in the place of .trace)"},
    {ID_WITH_PROGRAM, "with-program", NULL, "the program and its libraries too"},
};

static const struct fsh_usage usage = {
    .name = "pack",
    .operands = "[TRACE]",
    .summary = "Puts a trace into one compressed file, with all that a replay needs: replay, log, stats, verify, diff and shrink\n"
               "read it as it is.",
    .common = COMMON_QUIET,
    .options = own_options,
    .n_options = sizeof own_options / sizeof *own_options,
};

struct request {
    struct fsh_common common;
    const char *output;
    bool with_program;
    struct fsh_packed *files;
    size_t n, room;
};

static bool take(void *arg, int id, const char *value) {
    struct request *r = arg;
    if (id == 'o')
        r->output = value;
    r->with_program |= id == ID_WITH_PROGRAM;
    return true;
}

/* --- the program and its libraries --- */

/* Each file once; what can't be resolved is not there. */
static bool add_file(struct request *r, const char *path, bool program) {
    char *real = realpath(path, NULL);
    if (!real)
        return true;
    for (size_t i = 0; i < r->n; i++)
        if (!strcmp(r->files[i].path, real) || !strcmp(r->files[i].path, path)) {
            free(real);
            return true;
        }
    free(real);
    char *copy = strdup(path);
    if (!copy || !fsh_grow(&r->files, &r->room, r->n, sizeof *r->files)) {
        free(copy);
        return !fsh_fail(1, "out of memory");
    }
    r->files[r->n++] = (struct fsh_packed){copy, program};
    return true;
}

/* They belong to ld.so, which is the machine's own. */
static bool is_of_libc(const char *path) {
    static const char *const names[] = {"libc.so.",  "ld-linux",   "libm.so.",    "libpthread.so.",
                                        "libdl.so.", "librt.so.",  "libutil.so.", "libresolv.so.",
                                        "libnss_",   "libanl.so.", "libmvec.so.", "libthread_db.so."};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strncmp(name, names[i], strlen(names[i])))
            return true;
    return false;
}

/* "\tlibz.so.1 => /lib/libz.so.1 (0x7f...)" */
static bool take_line(struct request *r, char *line) {
    char *path = strstr(line, " => /");
    if (!path)
        return true;
    path += 4;
    path[strcspn(path, " \n")] = 0;
    return is_of_libc(path) || add_file(r, path, false);
}

/* As ld.so finds them; nothing of the program itself is run. */
static bool add_libraries(struct request *r, const char *loader, const char *program) {
    int ends[2], status;
    char *line = NULL;
    size_t room = 0;
    bool good = true;
    if (pipe(ends))
        return !fsh_fail(1, "%s: %s", loader, strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        execl(loader, loader, "--list", program, (char *)NULL);
        _exit(EXIT_NOT_FOUND);
    }
    close(ends[1]);
    FILE *in = fdopen(ends[0], "r");
    while (good && in && getline(&line, &room, in) > 0)
        good = take_line(r, line);
    free(line);
    if (in)
        fclose(in);
    else
        close(ends[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return good;
}

static bool add_program(struct request *r, const char *path) {
    struct fsh_binary binary;
    int e = fsh_binary_inspect(&binary, path);
    if (e)
        return !fsh_fail(1, "%s: %s", path, strerror(-e));
    bool good = add_file(r, path, true);
    if (good && binary.form == BINARY_ELF && binary.dynamic && *binary.interpreter)
        good = add_libraries(r, binary.interpreter, path);
    fsh_binary_free(&binary);
    return good;
}

/* First what was started, then what it became and what it started. From here on, directory and variables are those of the run. */
static bool add_programs(struct request *r, const struct fsh_reader *reader, const char *path) {
    char *text, found[4096];
    char **argv = fsh_recorded_command(reader, path, &text);
    bool good = argv && fsh_recorded_environment(reader) && fsh_recorded_directory(reader);
    int e = good ? fsh_find_program(found, sizeof found, argv[0]) : 0;
    char *real = good && !e ? realpath(found, NULL) : NULL;
    if (good && !real)
        good = !fsh_fail(1, "%s: there is no such program", argv[0]);
    good = good && add_program(r, real);
    for (unsigned i = 0; good && i < fsh_reader_processes(reader); i++) {
        const char *program = fsh_reader_process(reader, i)->program;
        if (*program == '/' && access(program, R_OK) == 0)
            good = add_program(r, program);
    }
    free(real);
    if (argv)
        free(text);
    free(argv);
    return good;
}

/* --- the command --- */

static char *absolute(const char *path) {
    char *cwd = *path == '/' ? strdup("") : getcwd(NULL, 0), *out = NULL;
    if (cwd && asprintf(&out, "%s%s%s", cwd, *cwd ? "/" : "", path) < 0)
        out = NULL;
    free(cwd);
    return out;
}

static char *output_for(const struct request *r, const char *trace) {
    char *name = NULL;
    size_t n = strlen(trace);
    if (n > 6 && !strcmp(trace + n - 6, ".trace"))
        n -= 6;
    if (r->output)
        return absolute(r->output);
    char *full = asprintf(&name, "%.*s" FSH_PACK_SUFFIX, (int)n, trace) < 0 ? NULL : absolute(name);
    free(name);
    return full;
}

static int pack(struct request *r, const char *path) {
    if (fsh_pack_is(path))
        return fsh_fail(EXIT_TROUBLE, "%s is packed already", path);
    struct fsh_reader *reader = fsh_trace_open(path);
    char *to = output_for(r, path), *from = absolute(path);
    uint64_t size = 0;
    bool good = reader && to && from;
    if (reader && !good)
        fsh_warn("out of memory");
    if (good && r->with_program)
        good = add_programs(r, reader, path);
    good = good && fsh_pack_write(to, from, r->files, r->n, &size);
    if (good && !r->common.quiet) {
        fputs("faultshim: ", stderr);
        fsh_put_safe(stderr, to);
        fprintf(stderr, ": %" PRIu64 " bytes, with the trace", size);
        if (r->n)
            fprintf(stderr, " and %zu file%s of the program", r->n, fsh_plural(r->n));
        fputc('\n', stderr);
    }
    fsh_reader_close(reader);
    free(to);
    free(from);
    return good ? 0 : EXIT_TROUBLE;
}

int fsh_cmd_pack(int argc, char **argv) {
    struct request request = {.output = NULL};
    int status, at = fsh_options(argc, argv, &usage, &request.common, take, &request, &status);
    const char *path = at < 0 ? NULL : fsh_option_trace(argc, argv, at, &usage, &request.common, &status);
    if (path)
        status = pack(&request, path);
    for (size_t i = 0; i < request.n; i++)
        free(request.files[i].path);
    free(request.files);
    fsh_common_free(&request.common);
    return status;
}
