/* cmd_merge.c: faultshim merge: parts of an exploration, made by several machines, as one.
 *
 * A result that is there already is one of the parts, so that parts can be added as they come. Findings are copied first, then the
 * lines are put in place, each file whole or not at all: what a crash leaves behind is a result that can be merged again. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "merging.h"
#include "options.h"
#include "out.h"

enum { COPY_AT_ONCE = 1 << 16 };

static const struct fsh_option own_options[] = {
    {'o', "folder", "FOLDER", "where the result goes; what is there already is kept and joined too"},
};

static const struct fsh_usage usage = {
    .name = "merge",
    .operands = "FOLDER...",
    .summary = "Joins what several machines have explored (faultshim explore --shard) into one folder, in any order. To merge a\n"
               "folder twice changes nothing.",
    .common = COMMON_JSON | COMMON_QUIET,
    .options = own_options,
    .n_options = sizeof own_options / sizeof *own_options,
};

struct joining {
    struct fsh_common common;
    const char *folder;
    struct fsh_merging merging;
};

static bool take(void *arg, int id, const char *value) {
    (void)id;
    ((struct joining *)arg)->folder = value;
    return true;
}

/* --- opening --- */

static int complain(const struct fsh_exploration *x) {
    return fsh_fail(EXIT_TROUBLE, "%s", x->wrong);
}

static bool has(const struct fsh_merging *m, const char *path) {
    for (unsigned i = 0; i < m->n_parts; i++)
        if (!strcmp(m->parts[i].path, path))
            return true;
    return false;
}

/* Each folder once, however it is spelled. */
static int open_part(struct fsh_merging *m, const char *path, bool write) {
    char real[PATH_MAX];
    if (realpath(path, real) && has(m, real))
        return 0;
    struct fsh_exploration *x = &m->parts[m->n_parts++];
    if (fsh_exploration_open(x, path, write) != 0)
        return complain(x);
    if (x->torn)
        fsh_warn("%s: a line that was cut off is left out", x->path);
    return 0;
}

static bool is_there(const char *folder) {
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/explore.json", folder);
    return access(path, F_OK) == 0;
}

static int open_all(struct joining *j, char **folders, unsigned n) {
    struct fsh_merging *m = &j->merging;
    m->parts = calloc(n + 1ul, sizeof *m->parts);
    int status = m->parts ? 0 : fsh_fail(EXIT_TROUBLE, "out of memory");
    if (!status && is_there(j->folder))
        status = open_part(m, j->folder, true);
    bool old = m->n_parts > 0;
    for (unsigned i = 0; i < n && !status; i++)
        status = open_part(m, folders[i], false);
    if (!status && !fsh_merging_fits(m))
        status = EXIT_TROUBLE;
    if (status || old)
        return status;
    struct fsh_exploration *x = &m->parts[m->n_parts++];
    return fsh_exploration_create(x, j->folder, &m->parts[0].asked) == 0 ? 0 : complain(x);
}

/* The one that is written to; merging has sorted them. */
static struct fsh_exploration *result_of(struct fsh_merging *m) {
    unsigned i = 0;
    while (!m->parts[i].writes)
        i++;
    return &m->parts[i];
}

/* --- files of findings --- */

static int copy_bytes(int from, int to) {
    static char data[COPY_AT_ONCE];
    for (ssize_t n; (n = TEMP_FAILURE_RETRY(read(from, data, sizeof data))) != 0;) {
        if (n < 0)
            return -errno;
        for (ssize_t at = 0, done; at < n; at += done) {
            done = TEMP_FAILURE_RETRY(write(to, data + at, (size_t)(n - at)));
            if (done <= 0)
                return done < 0 ? -errno : -ENOSPC;
        }
    }
    return 0;
}

/* What is no regular file has no business there and is stepped over. */
static int copy_file(int from_folder, int to_folder, const char *name) {
    static const char temporary[] = ".new";
    struct stat st;
    int from = openat(from_folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (from < 0)
        return errno == ELOOP ? 0 : -errno;
    if (fstat(from, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(from);
        return 0;
    }
    int to = openat(to_folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int e = to < 0 ? -errno : copy_bytes(from, to);
    close(from);
    if (to >= 0 && close(to) != 0 && !e)
        e = -errno;
    if (!e && renameat(to_folder, temporary, to_folder, name) != 0)
        e = -errno;
    if (e)
        unlinkat(to_folder, temporary, 0);
    return e;
}

static bool is_file_of_finding(const struct dirent *entry) {
    return entry->d_name[0] != '.' && strcmp(entry->d_name, "finding.json") != 0;
}

/* Files that the other folder does not have belonged to another run. */
static void remove_others(DIR *to, int from_folder) {
    for (struct dirent *entry; (entry = readdir(to));)
        if (is_file_of_finding(entry) && faccessat(from_folder, entry->d_name, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
            unlinkat(dirfd(to), entry->d_name, 0);
}

static int copy_folder(const char *from_path, const char *to_path) {
    DIR *from = opendir(from_path), *to = opendir(to_path);
    int e = from && to ? 0 : -errno;
    if (!e)
        remove_others(to, dirfd(from));
    for (struct dirent *entry; !e && (entry = readdir(from));)
        if (is_file_of_finding(entry))
            e = copy_file(dirfd(from), dirfd(to), entry->d_name);
    if (from)
        closedir(from);
    if (to)
        closedir(to);
    return e;
}

static int put_finding(struct joining *j, struct fsh_exploration *result, const struct fsh_merged_finding *f) {
    struct fsh_exploration *part = &j->merging.parts[f->part];
    char from[PATH_MAX], to[PATH_MAX];
    if (fsh_exploration_file(result, f->finding.id, "", to) != 0)
        return complain(result);
    if (part != result) {
        if (fsh_exploration_file(part, f->finding.id, "", from) != 0)
            return complain(part);
        int e = copy_folder(from, to);
        if (e)
            return fsh_fail(EXIT_TROUBLE, "copying %s to %s: %s", from, to, strerror(-e));
    }
    struct fsh_finding finding = f->finding;
    char *replay = fsh_exploration_replay(j->folder, finding.id);
    finding.replay = replay ? replay : finding.replay;
    int e = fsh_exploration_put_finding(result, &finding);
    free(replay);
    return e ? complain(result) : 0;
}

static int put_lines(struct fsh_merging *m, struct fsh_exploration *result) {
    struct fsh_explored_run *runs = calloc(m->n_runs + 1, sizeof *runs);
    if (!runs)
        return fsh_fail(EXIT_TROUBLE, "out of memory");
    for (size_t i = 0; i < m->n_runs; i++)
        runs[i] = m->runs[i].run;
    const struct fsh_content content = {m->asked, runs, m->points, m->n_runs, m->n_points};
    int e = fsh_exploration_replace(result, &content);
    free(runs);
    return e ? complain(result) : 0;
}

/* --- what is said --- */

static void put(json_object *o, const char *key, uint64_t value) {
    json_object_object_add(o, key, json_object_new_uint64(value));
}

static void show(const struct joining *j, unsigned n_folders) {
    const struct fsh_merging *m = &j->merging;
    size_t failed = 0;
    for (size_t i = 0; i < m->n_runs; i++)
        failed += m->runs[i].run.failed;
    if (j->common.json) {
        json_object *o = json_object_new_object(), *missing = json_object_new_array();
        put(o, "folders", n_folders);
        put(o, "runs", m->n_runs);
        put(o, "failed", failed);
        put(o, "points", m->n_points);
        put(o, "findings", m->n_findings);
        put(o, "twice", m->twice);
        put(o, "superseded", m->superseded);
        for (size_t i = 0; i < m->asked.parts.n; i++)
            json_object_array_add(missing, json_object_new_string(m->asked.parts.v[i]));
        json_object_object_add(o, "parts", missing);
        fsh_put_object(stdout, o);
        return;
    }
    if (j->common.quiet)
        return;
    printf("faultshim: %u folder%s joined in ", n_folders, fsh_plural(n_folders));
    fsh_put_safe(stdout, j->folder);
    printf(": %zu run%s, %zu failed, %zu point%s, %zu finding%s\n", m->n_runs, fsh_plural(m->n_runs), failed, m->n_points,
           fsh_plural(m->n_points), m->n_findings, fsh_plural(m->n_findings));
    if (m->superseded)
        printf("faultshim: %zu run%s left out: made again behind faults that the whole would not have taken\n", m->superseded,
               fsh_plural(m->superseded));
    if (m->asked.parts.n) {
        fputs("faultshim: not all parts are there yet, only", stdout);
        for (size_t i = 0; i < m->asked.parts.n; i++) {
            fputs(i ? ", " : " ", stdout);
            fsh_put_safe(stdout, m->asked.parts.v[i]);
        }
        putchar('\n');
    }
}

static int join(struct joining *j, char **folders, unsigned n) {
    struct fsh_merging *m = &j->merging;
    int status = open_all(j, folders, n);
    if (status)
        return status;
    if (fsh_merge(m) != 0)
        return fsh_fail(EXIT_TROUBLE, "out of memory");
    struct fsh_exploration *result = result_of(m);
    for (size_t i = 0; i < m->n_findings && !status; i++)
        status = put_finding(j, result, &m->findings[i]);
    status = status ? status : put_lines(m, result);
    if (!status)
        show(j, n);
    return status;
}

int fsh_cmd_merge(int argc, char **argv) {
    struct joining j = {.folder = NULL};
    int status, at = fsh_options(argc, argv, &usage, &j.common, take, &j, &status);
    if (at >= 0 && at == argc)
        status = fsh_fail(EXIT_TROUBLE, "name the folders to join: faultshim merge part1 part2 -o whole");
    else if (at >= 0 && !j.folder)
        status = fsh_fail(EXIT_TROUBLE, "say where the result goes: faultshim merge part1 part2 -o whole");
    else if (at >= 0)
        status = fsh_out_finish(join(&j, argv + at, (unsigned)(argc - at)));
    for (unsigned i = 0; i < j.merging.n_parts; i++)
        fsh_exploration_close(&j.merging.parts[i]);
    free(j.merging.parts);
    fsh_merging_free(&j.merging);
    fsh_common_free(&j.common);
    return status;
}
