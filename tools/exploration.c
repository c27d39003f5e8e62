/* exploration.c: see exploration.h. */
#include "exploration.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "grow.h"
#include "out.h"

enum { LINE_MOST = 64 << 20, DEPTH_MOST = 16, INDEX_FIRST = 1024, ID_SIZE = 16 };

/* --- the forms: faultshim-exploration(5) has them in words --- */

static const char *const ends[] = {"exited", "signaled", "timeout", NULL};
static const char *const outcomes[] = {"ok", "failed", NULL};

#define FIELD(type, name, member, kind, need, more) {#name, FIELD_##kind, FIELD_##need, offsetof(struct type, member), more},
#define NOTHING(...)

static const struct fsh_field asked_fields[] = {
#define ASKED(...) FIELD(fsh_asked, __VA_ARGS__)
#define FRAME      NOTHING
#define POINT      NOTHING
#define RUN        NOTHING
#define FINDING    NOTHING
#include "exploration.def"
};
const struct fsh_form fsh_asked_form = {asked_fields, sizeof asked_fields / sizeof *asked_fields, sizeof(struct fsh_asked)};

static const struct fsh_field frame_fields[] = {
#define ASKED      NOTHING
#define FRAME(...) FIELD(fsh_explored_frame, __VA_ARGS__)
#define POINT      NOTHING
#define RUN        NOTHING
#define FINDING    NOTHING
#include "exploration.def"
};
const struct fsh_form fsh_explored_frame_form = {frame_fields, sizeof frame_fields / sizeof *frame_fields,
                                                 sizeof(struct fsh_explored_frame)};

static const struct fsh_field point_fields[] = {
#define ASKED      NOTHING
#define FRAME      NOTHING
#define POINT(...) FIELD(fsh_point, __VA_ARGS__)
#define RUN        NOTHING
#define FINDING    NOTHING
#include "exploration.def"
};
const struct fsh_form fsh_point_form = {point_fields, sizeof point_fields / sizeof *point_fields, sizeof(struct fsh_point)};

static const struct fsh_field run_fields[] = {
#define ASKED    NOTHING
#define FRAME    NOTHING
#define POINT    NOTHING
#define RUN(...) FIELD(fsh_explored_run, __VA_ARGS__)
#define FINDING  NOTHING
#include "exploration.def"
};
const struct fsh_form fsh_explored_run_form = {run_fields, sizeof run_fields / sizeof *run_fields, sizeof(struct fsh_explored_run)};

static const struct fsh_field finding_fields[] = {
#define ASKED        NOTHING
#define FRAME        NOTHING
#define POINT        NOTHING
#define RUN          NOTHING
#define FINDING(...) FIELD(fsh_finding, __VA_ARGS__)
#include "exploration.def"
};
const struct fsh_form fsh_finding_form = {finding_fields, sizeof finding_fields / sizeof *finding_fields,
                                          sizeof(struct fsh_finding)};

/* --- errors --- */

static int fail(struct fsh_exploration *x, int e, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int fail(struct fsh_exploration *x, int e, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(x->wrong, sizeof x->wrong, format, args);
    va_end(args);
    return e;
}

static int no_memory(struct fsh_exploration *x) {
    return fail(x, -ENOMEM, "out of memory");
}

/* --- the arrays and their indexes --- */

static bool begin(struct fsh_exploration *x) {
    memset(x, 0, sizeof *x);
    x->folder = x->runs_fd = x->points_fd = -1;
    x->by_key = lh_kchar_table_new(INDEX_FIRST, NULL);
    x->by_point = lh_kptr_table_new(INDEX_FIRST, NULL);
    x->by_id = lh_kchar_table_new(INDEX_FIRST, NULL);
    return x->by_key && x->by_point && x->by_id;
}

static void close_fd(int fd) {
    if (fd >= 0)
        close(fd);
}

static void free_table(struct lh_table *table) {
    if (table)
        lh_table_free(table);
}

void fsh_exploration_close(struct fsh_exploration *x) {
    close_fd(x->runs_fd);
    close_fd(x->points_fd);
    close_fd(x->folder);
    free_table(x->by_key);
    free_table(x->by_point);
    free_table(x->by_id);
    free(x->runs);
    free(x->points);
    free(x->findings);
    fsh_pool_free(&x->pool);
    memset(x, 0, sizeof *x);
    x->folder = x->runs_fd = x->points_fd = -1;
}

/* Place of an item, or -1. Indexes hold places, because arrays move. */
static ptrdiff_t place_of(struct lh_table *index, const void *key) {
    struct lh_entry *entry = lh_table_lookup_entry(index, key);
    return entry ? (ptrdiff_t)(uintptr_t)lh_entry_v(entry) : -1;
}

static const void *point_key(uint64_t point) {
    return (const void *)(uintptr_t)point;
}

const struct fsh_explored_run *fsh_exploration_run(const struct fsh_exploration *x, const char *key) {
    ptrdiff_t at = place_of(x->by_key, key);
    return at < 0 ? NULL : &x->runs[at];
}

const struct fsh_point *fsh_exploration_point(const struct fsh_exploration *x, uint64_t point) {
    ptrdiff_t at = place_of(x->by_point, point_key(point));
    return at < 0 ? NULL : &x->points[at];
}

static struct fsh_finding *find_finding(const struct fsh_exploration *x, const char *id) {
    ptrdiff_t at = place_of(x->by_id, id);
    return at < 0 ? NULL : &x->findings[at];
}

const struct fsh_finding *fsh_exploration_finding(const struct fsh_exploration *x, const char *id) {
    return find_finding(x, id);
}

/* Each keeps an item that is in the pool already. Room is made before anything is written, so that what is in the file is here too.
 */
static int keep_run(struct fsh_exploration *x, const struct fsh_explored_run *run) {
    if (lh_table_insert(x->by_key, run->key, (const void *)(uintptr_t)x->n_runs) != 0)
        return -ENOMEM;
    x->runs[x->n_runs++] = *run;
    return 0;
}

static int keep_point(struct fsh_exploration *x, const struct fsh_point *point) {
    if (lh_table_insert(x->by_point, point_key(point->point), (const void *)(uintptr_t)x->n_points) != 0)
        return -ENOMEM;
    x->points[x->n_points++] = *point;
    return 0;
}

static int keep_finding(struct fsh_exploration *x, const struct fsh_finding *finding) {
    struct fsh_finding *known = find_finding(x, finding->id);
    if (known) {
        *known = *finding;
        return 0;
    }
    if (!fsh_grow(&x->findings, &x->findings_room, x->n_findings, sizeof *finding) ||
        lh_table_insert(x->by_id, finding->id, (const void *)(uintptr_t)x->n_findings) != 0)
        return -ENOMEM;
    x->findings[x->n_findings++] = *finding;
    return 0;
}

static bool is_id(const char *id) {
    return strlen(id) == ID_SIZE && id[strspn(id, "0123456789abcdef")] == 0;
}

/* --- reading --- */

/* A line of a file, without its end; *whole says whether it had one. 1, 0 at the end, or -errno. */
static int next_line(FILE *in, char **line, size_t *room, size_t *n, bool *whole) {
    *n = 0;
    *whole = false;
    for (int c; (c = getc_unlocked(in)) != EOF;) {
        if (!fsh_grow(line, room, *n, 1))
            return -ENOMEM;
        *whole = c == '\n';
        if (*whole)
            return 1;
        if (*n == LINE_MOST)
            return -EFBIG;
        (*line)[(*n)++] = (char)c;
    }
    return ferror(in) ? -EIO : *n > 0;
}

/* Of a file in the folder: never through a symbolic link, never a device or a pipe. */
static int open_file(struct fsh_exploration *x, int folder, const char *name, int flags) {
    struct stat st;
    int fd = openat(folder, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        return fail(x, -errno, "%s/%s: %s", x->path, name, strerror(errno));
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return fd;
    close(fd);
    return fail(x, -EINVAL, "%s/%s is no regular file", x->path, name);
}

static json_object *parse(const char *text, size_t n, const char **why) {
    json_tokener *t = json_tokener_new_ex(DEPTH_MOST);
    if (!t)
        return NULL;
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    json_object *o = n < INT_MAX ? json_tokener_parse_ex(t, text, (int)n) : NULL;
    enum json_tokener_error e = json_tokener_get_error(t);
    if (e == json_tokener_continue)
        *why = "the text ends too early";
    else
        *why = json_tokener_error_desc(e);
    bool all = json_tokener_get_parse_end(t) == n;
    json_tokener_free(t);
    if (o && all)
        return o;
    json_object_put(o);
    return NULL;
}

/* One object of a form: 0, -ENOMEM, or -EBADMSG with `wrong`. */
static int read_form(struct fsh_exploration *x, const struct fsh_form *form, const char *text, size_t n, void *out,
                     char wrong[FSH_WRONG_ROOM]) {
    const char *why = "out of memory";
    json_object *o = parse(text, n, &why);
    snprintf(wrong, FSH_WRONG_ROOM, "%s", why);
    int e = o ? fsh_form_read(form, o, out, &x->pool, wrong) : -EBADMSG;
    json_object_put(o);
    return e;
}

/* A line that is a second one of its key is stepped over: the first counts. */
static int take_run(struct fsh_exploration *x, const void *item) {
    const struct fsh_explored_run *run = item;
    if (fsh_exploration_run(x, run->key))
        return 0;
    return fsh_grow(&x->runs, &x->runs_room, x->n_runs, sizeof *run) ? keep_run(x, run) : -ENOMEM;
}

static int take_point(struct fsh_exploration *x, const void *item) {
    const struct fsh_point *point = item;
    if (fsh_exploration_point(x, point->point))
        return 0;
    return fsh_grow(&x->points, &x->points_room, x->n_points, sizeof *point) ? keep_point(x, point) : -ENOMEM;
}

static const struct lines {
    const char *name;
    const struct fsh_form *form;
    int (*take)(struct fsh_exploration *x, const void *item);
} run_lines = {"runs.jsonl", &fsh_explored_run_form, take_run}, point_lines = {"points.jsonl", &fsh_point_form, take_point};

static int read_lines(struct fsh_exploration *x, const struct lines *lines, FILE *in, off_t *whole_until) {
    union {
        struct fsh_explored_run run;
        struct fsh_point point;
    } item;
    char *line = NULL, wrong[FSH_WRONG_ROOM];
    size_t room = 0, n = 0;
    bool whole = true;
    int e;
    for (uint64_t number = 1; (e = next_line(in, &line, &room, &n, &whole)) > 0 && whole; number++) {
        *whole_until += (off_t)n + 1;
        e = n ? read_form(x, lines->form, line, n, &item, wrong) : 0;
        if (e == -EBADMSG)
            fail(x, e, "%s/%s:%" PRIu64 ": %s", x->path, lines->name, number, wrong);
        e = e || !n ? e : lines->take(x, &item);
        if (e)
            break;
    }
    free(line);
    if (e < 0 && e != -EBADMSG)
        fail(x, e, "%s/%s: %s", x->path, lines->name, strerror(-e));
    x->torn |= e > 0;
    return e < 0 ? e : 0;
}

/* A writer holds the lock for as long as a descriptor of this opening lives: a child that inherits it is part of the writer. */
static int open_fd(struct fsh_exploration *x, const struct lines *lines, int *fd) {
    *fd = open_file(x, x->folder, lines->name, x->writes ? O_RDWR | O_APPEND | O_CREAT : O_RDONLY);
    if (*fd < 0)
        return *fd == -ENOENT ? 0 : *fd;
    if (!x->writes || flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    return errno == EWOULDBLOCK ? fail(x, -EBUSY, "%s: another process is writing to it", x->path)
                                : fail(x, -errno, "%s/%s: %s", x->path, lines->name, strerror(errno));
}

/* What a crash cut off is gone then, for a writer. */
static int load_lines(struct fsh_exploration *x, const struct lines *lines, int fd) {
    off_t whole_until = 0;
    if (fd < 0)
        return 0;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    FILE *in = copy < 0 ? NULL : fdopen(copy, "r");
    if (!in) {
        close_fd(copy);
        return no_memory(x);
    }
    int e = read_lines(x, lines, in, &whole_until);
    fclose(in);
    if (!e && x->writes && ftruncate(fd, whole_until) != 0)
        e = fail(x, -errno, "%s/%s: %s", x->path, lines->name, strerror(errno));
    return e;
}

static int open_all_lines(struct fsh_exploration *x) {
    int e = open_fd(x, &run_lines, &x->runs_fd);
    e = e ? e : open_fd(x, &point_lines, &x->points_fd);
    e = e ? e : load_lines(x, &point_lines, x->points_fd);
    return e ? e : load_lines(x, &run_lines, x->runs_fd);
}

/* A file that holds one object. */
static int read_file(struct fsh_exploration *x, int folder, const char *name, const struct fsh_form *form, void *out) {
    char *line = NULL, wrong[FSH_WRONG_ROOM] = "it is empty";
    size_t room = 0, n;
    bool whole;
    int fd = open_file(x, folder, name, O_RDONLY);
    if (fd < 0)
        return fd;
    FILE *in = fdopen(fd, "r");
    if (!in) {
        close(fd);
        return no_memory(x);
    }
    int e = next_line(in, &line, &room, &n, &whole);
    e = e > 0 ? read_form(x, form, line, n, out, wrong) : e == 0 ? -EBADMSG : e;
    fclose(in);
    free(line);
    if (e == -EBADMSG)
        fail(x, e, "%s/%s:1: %s", x->path, name, wrong);
    else if (e)
        fail(x, e, "%s/%s: %s", x->path, name, strerror(-e));
    return e;
}

static int filter_ids(const struct dirent *entry) {
    return is_id(entry->d_name);
}

/* A folder without its finding.json: the writer was killed before it was a finding; the run that led to it is not counted either.
 */
static int read_finding(struct fsh_exploration *x, const char *id) {
    struct fsh_finding finding;
    char name[64];
    snprintf(name, sizeof name, "findings/%.16s/finding.json", id);
    int e = read_file(x, x->folder, name, &fsh_finding_form, &finding);
    if (e)
        return e == -ENOENT || e == -ENOTDIR ? 0 : e;
    if (strcmp(finding.id, id) != 0)
        return fail(x, -EBADMSG, "%s/%s:1: it says that it is '%s'", x->path, name, finding.id);
    finding.counted = false;
    return keep_finding(x, &finding) ? no_memory(x) : 0;
}

static int read_findings(struct fsh_exploration *x) {
    struct dirent **entries = NULL;
    int e = 0, n = scandirat(x->folder, "findings", &entries, filter_ids, alphasort);
    if (n < 0)
        return errno == ENOENT ? 0 : fail(x, -errno, "%s/findings: %s", x->path, strerror(errno));
    for (int i = 0; i < n; i++) {
        e = e ? e : read_finding(x, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return e;
}

/* The runs say how often something was found, and where first. */
static void count_run(struct fsh_exploration *x, const struct fsh_explored_run *run) {
    struct fsh_finding *finding = run->finding ? find_finding(x, run->finding) : NULL;
    if (!finding)
        return;
    const struct fsh_explored_run *first = finding->counted ? fsh_exploration_run(x, finding->first) : NULL;
    if (!first || run->n < first->n)
        finding->first = run->key;
    finding->runs = finding->counted ? finding->runs + 1 : 1;
    finding->counted = true;
}

/* --- opening --- */

static int resolve(struct fsh_exploration *x, const char *path) {
    if (!realpath(path, x->path)) {
        int e = -errno;
        snprintf(x->path, sizeof x->path, "%s", path);
        return fail(x, e, "%s: %s", path, strerror(-e));
    }
    if (strlen(x->path) > sizeof x->path - 128)
        return fail(x, -ENAMETOOLONG, "%s: %s", path, strerror(ENAMETOOLONG));
    x->folder = open(x->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return x->folder >= 0 ? 0 : fail(x, -errno, "%s: %s", path, strerror(errno));
}

int fsh_exploration_open(struct fsh_exploration *x, const char *path, bool write) {
    if (!begin(x))
        return no_memory(x);
    int e = resolve(x, path);
    if (!e) {
        e = read_file(x, x->folder, "explore.json", &fsh_asked_form, &x->asked);
        if (e == -ENOENT)
            fail(x, e, "%s is no folder of an exploration: it has no explore.json", x->path);
    }
    x->writes = write;
    e = e ? e : open_all_lines(x);
    e = e ? e : read_findings(x);
    for (size_t i = 0; i < x->n_runs && !e; i++)
        count_run(x, &x->runs[i]);
    return e;
}

/* --- writing --- */

static char *text_of(const struct fsh_form *form, const void *item, size_t *n) {
    char *text = NULL;
    FILE *out = open_memstream(&text, n);
    if (!out)
        return NULL;
    fsh_form_print(form, item, out);
    putc('\n', out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* One write. What a full disk cuts off is taken back, so that nothing stands before the next line. */
static int append(struct fsh_exploration *x, const struct lines *lines, int fd, const void *item) {
    struct stat st;
    size_t n;
    char *text = text_of(lines->form, item, &n);
    if (!text)
        return no_memory(x);
    if (fstat(fd, &st) != 0) {
        free(text);
        return fail(x, -errno, "%s/%s: %s", x->path, lines->name, strerror(errno));
    }
    ssize_t done = TEMP_FAILURE_RETRY(write(fd, text, n));
    int e = done < 0 ? -errno : (size_t)done < n ? -ENOSPC : 0;
    free(text);
    if (done > 0 && e && ftruncate(fd, st.st_size) != 0)
        return fail(x, -errno, "%s/%s: half a line can't be taken back: %s", x->path, lines->name, strerror(errno));
    return e ? fail(x, e, "%s/%s: %s", x->path, lines->name, strerror(-e)) : 0;
}

int fsh_exploration_add_run(struct fsh_exploration *x, const struct fsh_explored_run *run) {
    struct fsh_explored_run copy;
    if (fsh_exploration_run(x, run->key))
        return fail(x, -EEXIST, "the run %s is there already", run->key);
    if (!fsh_grow(&x->runs, &x->runs_room, x->n_runs, sizeof copy) || fsh_form_copy(&fsh_explored_run_form, run, &copy, &x->pool))
        return no_memory(x);
    int e = append(x, &run_lines, x->runs_fd, &copy);
    if (e)
        return e;
    if (keep_run(x, &copy))
        return no_memory(x);
    count_run(x, &copy);
    return 0;
}

int fsh_exploration_add_point(struct fsh_exploration *x, const struct fsh_point *point) {
    struct fsh_point copy;
    if (fsh_exploration_point(x, point->point))
        return fail(x, -EEXIST, "the point %016" PRIx64 " is there already", point->point);
    if (!fsh_grow(&x->points, &x->points_room, x->n_points, sizeof copy) || fsh_form_copy(&fsh_point_form, point, &copy, &x->pool))
        return no_memory(x);
    int e = append(x, &point_lines, x->points_fd, &copy);
    return e ? e : keep_point(x, &copy) ? no_memory(x) : 0;
}

struct items {
    const struct fsh_form *form;
    const void *v;
    size_t n;
};

static int print_items(FILE *out, const struct items *items) {
    for (size_t i = 0; i < items->n && !ferror(out); i++) {
        fsh_form_print(items->form, (const char *)items->v + i * items->form->size, out);
        putc('\n', out);
    }
    int e = fflush(out) != 0 || ferror(out) ? errno ? -errno : -EIO : 0;
    return fclose(out) != 0 && !e ? -errno : e;
}

/* A file that is there whole or not at all. */
static int put_file(struct fsh_exploration *x, const char *name, const struct items *items) {
    char temporary[128];
    snprintf(temporary, sizeof temporary, "%s.new", name);
    int fd = open_file(x, x->folder, temporary, O_WRONLY | O_CREAT | O_TRUNC);
    if (fd < 0)
        return fd;
    FILE *out = fdopen(fd, "w");
    if (!out) {
        close(fd);
        return no_memory(x);
    }
    int e = print_items(out, items);
    if (!e && renameat(x->folder, temporary, x->folder, name) != 0)
        e = -errno;
    if (!e)
        return 0;
    unlinkat(x->folder, temporary, 0);
    return fail(x, e, "%s/%s: %s", x->path, name, strerror(-e));
}

static int make_folder(struct fsh_exploration *x, const char *name) {
    if (mkdirat(x->folder, name, 0700) == 0 || errno == EEXIST)
        return 0;
    return fail(x, -errno, "%s/%s: %s", x->path, name, strerror(errno));
}

static int make_finding_folder(struct fsh_exploration *x, const char *id) {
    char name[64];
    if (!is_id(id))
        return fail(x, -EINVAL, "'%s' is no id of a finding", id);
    snprintf(name, sizeof name, "findings/%.16s", id);
    int e = make_folder(x, "findings");
    return e ? e : make_folder(x, name);
}

int fsh_exploration_put_finding(struct fsh_exploration *x, const struct fsh_finding *finding) {
    char name[64];
    int e = make_finding_folder(x, finding->id);
    snprintf(name, sizeof name, "findings/%.16s/finding.json", finding->id);
    return e ? e : put_file(x, name, &(struct items){&fsh_finding_form, finding, 1});
}

int fsh_exploration_add_finding(struct fsh_exploration *x, const struct fsh_finding *finding) {
    struct fsh_finding copy;
    if (!is_id(finding->id))
        return fail(x, -EINVAL, "'%s' is no id of a finding", finding->id);
    if (fsh_form_copy(&fsh_finding_form, finding, &copy, &x->pool))
        return no_memory(x);
    const struct fsh_finding *known = find_finding(x, copy.id);
    copy.counted = known && known->counted;
    if (copy.counted) {
        copy.runs = known->runs;
        copy.first = known->first;
    }
    int e = fsh_exploration_put_finding(x, &copy);
    return e ? e : keep_finding(x, &copy) ? no_memory(x) : 0;
}

int fsh_exploration_file(struct fsh_exploration *x, const char *id, const char *name, char path[PATH_MAX]) {
    int e = x->writes ? make_finding_folder(x, id) : is_id(id) ? 0 : -EINVAL;
    if (!e && snprintf(path, PATH_MAX, "%s/findings/%s/%s", x->path, id, name) >= PATH_MAX)
        e = fail(x, -ENAMETOOLONG, "%s: %s", name, strerror(ENAMETOOLONG));
    return e;
}

char *fsh_exploration_replay(const char *folder, const char *id) {
    char path[PATH_MAX], *text = NULL;
    size_t n;
    FILE *out = NULL;
    if (snprintf(path, sizeof path, "%s/findings/%s/run.trace", folder, id) < PATH_MAX && access(path, F_OK) == 0)
        out = open_memstream(&text, &n);
    if (!out)
        return NULL;
    fputs("faultshim replay ", out);
    fsh_put_shell(out, path);
    fclose(out);
    return text;
}

int fsh_exploration_create(struct fsh_exploration *x, const char *path, const struct fsh_asked *asked) {
    if (!begin(x))
        return no_memory(x);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return fail(x, -errno, "%s: %s", path, strerror(errno));
    int e = resolve(x, path);
    if (!e && faccessat(x->folder, "explore.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        e = fail(x, -EEXIST, "%s has an exploration in it", x->path);
    if (!e && fsh_form_copy(&fsh_asked_form, asked, &x->asked, &x->pool))
        e = no_memory(x);
    /* explore.json comes last: a folder that has it is whole */
    x->writes = true;
    e = e ? e : open_all_lines(x);
    return e ? e : put_file(x, "explore.json", &(struct items){&fsh_asked_form, &x->asked, 1});
}

int fsh_exploration_replace(struct fsh_exploration *x, const struct fsh_content *c) {
    int e = put_file(x, "points.jsonl", &(struct items){&fsh_point_form, c->points, c->n_points});
    e = e ? e : put_file(x, "runs.jsonl", &(struct items){&fsh_explored_run_form, c->runs, c->n_runs});
    return e ? e : put_file(x, "explore.json", &(struct items){&fsh_asked_form, &c->asked, 1});
}

const char *fsh_asked_difference(const struct fsh_asked *a, const struct fsh_asked *b) {
    struct fsh_asked x = *a, y = *b;
    x.start = y.start = "";
    x.shard = x.shards = y.shard = y.shards = 0;
    x.parts = y.parts = (struct fsh_strings){NULL, 0};
    return fsh_form_difference(&fsh_asked_form, &x, &y);
}
