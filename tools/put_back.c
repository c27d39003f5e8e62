/* put_back.c: see put_back.h. */
#include "put_back.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "grow.h"
#include "out.h"

static uint64_t count_pages(struct fsh_journal *j, const struct fsh_journal_file *f) {
    uint64_t at = 0, n = 0;
    while (fsh_journal_lost(j, f, &at))
        n++;
    return n;
}

/* The file that was written to, and no other that has its name now: 0, or why not. */
static int open_file(const struct fsh_journal_file *f, const char *path, struct stat *st) {
    int fd = *path ? open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK) : -1;
    if (fd < 0)
        return *path ? -errno : -ENAMETOOLONG;
    if (fstat(fd, st) == 0 && S_ISREG(st->st_mode) && st->st_dev == f->dev && st->st_ino == f->ino)
        return fd;
    close(fd);
    return -ESTALE;
}

/* A medium that has lost something leaves no time stamp. */
static int put_file_back(struct fsh_journal *j, const struct fsh_journal_file *f, const char *path) {
    struct stat st;
    uint64_t at = 0;
    int e = 0, fd = open_file(f, path, &st);
    if (fd < 0)
        return fd;
    for (struct fsh_journal_page *p; !e && (p = fsh_journal_lost(j, f, &at));)
        e = fsh_journal_put_back(j, p, fd, (uint64_t)st.st_size);
    futimens(fd, (struct timespec[2]){st.st_atim, st.st_mtim});
    close(fd);
    return e;
}

static void lose(struct fsh_journal *j, const struct fsh_journal_file *f, unsigned left, struct fsh_losses *losses) {
    const uint64_t pages = count_pages(j, f);
    if (!pages || !fsh_grow(&losses->v, &losses->room, losses->n, sizeof *losses->v))
        return;
    struct fsh_gone *gone = &losses->v[losses->n++];
    *gone = (struct fsh_gone){.pages = pages};
    memcpy(gone->path, f->name, sizeof gone->path - 1);
    const int e = left ? 0 : atomic_load(&f->mapped) ? -EBUSY : put_file_back(j, f, gone->path);
    if (left)
        snprintf(gone->why, sizeof gone->why, "processes of the run are still there");
    else if (e)
        snprintf(gone->why, sizeof gone->why, "%s",
                 e == -EBUSY    ? "it was written to through a mapping"
                 : e == -ESTALE ? "another file has its name"
                                : strerror(-e));
}

/* The blocks of the journal are given back: nobody reads it again. */
static void drop_journal(const struct fsh_session *s) {
    const struct fsh_region *r = &s->header->journal;
    const off_t first = (off_t)(r->offset + FSH_PAGE - 1) & -FSH_PAGE, end = (off_t)(r->offset + r->size) & -FSH_PAGE;
    if (s->is_file && end > first)
        fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, first, end - first);
}

void fsh_put_back(const struct fsh_session *s, unsigned left, struct fsh_losses *losses) {
    struct fsh_journal *j = s->journal;
    if (!j)
        return;
    losses->unkept = atomic_load(&j->full);
    for (unsigned i = 0; i < FSH_JOURNAL_FILES; i++)
        if (atomic_load(&j->files[i].live))
            lose(j, &j->files[i], left, losses);
    if (!left)
        drop_journal(s);
}

void fsh_losses_show(const struct fsh_losses *losses, FILE *out) {
    for (size_t i = 0; i < losses->n; i++) {
        const struct fsh_gone *gone = &losses->v[i];
        fprintf(out, "faultshim: %s with a failed sync: %" PRIu64 " page%s of ", *gone->why ? "not gone" : "gone", gone->pages,
                fsh_plural(gone->pages));
        fsh_put_safe(out, *gone->path ? gone->path : "a file with a very long name");
        fprintf(out, *gone->why ? ": %s\n" : "%s\n", gone->why);
    }
    if (losses->unkept)
        fprintf(out, "faultshim: the journal had no room for %" PRIu64 " page%s: what was written to %s can't be lost\n",
                losses->unkept, fsh_plural(losses->unkept), losses->unkept == 1 ? "it" : "them");
}

json_object *fsh_losses_json(const struct fsh_losses *losses) {
    json_object *list = json_object_new_array();
    for (size_t i = 0; i < losses->n; i++) {
        json_object *o = json_object_new_object();
        json_object_object_add(o, "path", json_object_new_string(losses->v[i].path));
        json_object_object_add(o, "pages", json_object_new_uint64(losses->v[i].pages));
        json_object_object_add(o, "why_not", *losses->v[i].why ? json_object_new_string(losses->v[i].why) : NULL);
        json_object_array_add(list, o);
    }
    return list;
}

void fsh_losses_free(struct fsh_losses *losses) {
    free(losses->v);
    *losses = (struct fsh_losses){0};
}
