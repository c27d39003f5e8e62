/* live.c: see live.h. There is no daemon and no register: whoever runs under the shim has the session mapped and open, and /proc
 * tells that to the user who runs it. So a run is found even if its trace was moved, removed or never had a name. */
#include "live.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "grow.h"
#include "out.h"

/* --- finding --- */

static bool is_trace(int fd, struct stat *st) {
    char magic[8];
    return fstat(fd, st) == 0 && S_ISREG(st->st_mode) && pread(fd, magic, sizeof magic, 0) == sizeof magic &&
           !memcmp(magic, FSH_TRACE_MAGIC, sizeof magic);
}

static struct fsh_live *known(struct fsh_lives *lives, const struct stat *st) {
    for (size_t i = 0; i < lives->n; i++)
        if (lives->v[i].device == st->st_dev && lives->v[i].inode == st->st_ino)
            return &lives->v[i];
    return NULL;
}

static bool add(struct fsh_lives *lives, int fd, const struct stat *st, pid_t pid) {
    char link[64];
    struct fsh_live *live = known(lives, st);
    if (live) {
        live->processes++;
        live->pid = pid < live->pid ? pid : live->pid;
        close(fd);
        return true;
    }
    if (!fsh_grow(&lives->v, &lives->room, lives->n, sizeof *lives->v)) {
        close(fd);
        return false;
    }
    live = &lives->v[lives->n];
    *live = (struct fsh_live){.device = st->st_dev, .inode = st->st_ino, .pid = pid, .processes = 1};
    if (fsh_session_map(&live->session, fd)) {
        close(fd); /* of another version */
        return true;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, live->trace, sizeof live->trace - 1);
    live->trace[n > 0 ? n : 0] = 0;
    if (st->st_nlink == 0)
        live->trace[0] = 0;
    lives->n++;
    return true;
}

/* One line of /proc/PID/maps: the inode of what is mapped for writing and shared; 0 for other mappings. */
static ino_t shared_inode(const char *line) {
    char mode[8];
    unsigned long inode = 0;
    return sscanf(line, "%*x-%*x %7s %*x %*x:%*x %lu", mode, &inode) == 2 && !strcmp(mode, "rw-s") ? inode : 0;
}

enum { INODES = 64 };

/* What a process under the shim has mapped and shared; 0 if it is not under the shim. */
static size_t shared_of(pid_t pid, ino_t inodes[INODES]) {
    char path[64], *line = NULL;
    size_t room = 0, n = 0;
    bool shimmed = false;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    while (maps && getline(&line, &room, maps) > 0) {
        ino_t inode = shared_inode(line);
        shimmed |= strstr(line, "libfaultshim") != NULL;
        if (inode && n < INODES && (n == 0 || inodes[n - 1] != inode))
            inodes[n++] = inode;
    }
    free(line);
    if (maps)
        fclose(maps);
    return shimmed ? n : 0;
}

static bool contains(const ino_t *inodes, size_t n, ino_t inode) {
    for (size_t i = 0; i < n; i++)
        if (inodes[i] == inode)
            return true;
    return false;
}

/* The session is open in the process. Where the program has closed it, it is still mapped, and found in another process of the run.
 */
static bool look_into(struct fsh_lives *lives, pid_t pid) {
    ino_t inodes[INODES];
    char path[64];
    struct stat st;
    bool good = true, found = false;
    size_t n = shared_of(pid, inodes);
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *dir = n ? opendir(path) : NULL;
    for (struct dirent *entry; dir && good && !found && (entry = readdir(dir));) {
        if (!isdigit((unsigned char)*entry->d_name) || fstatat(dirfd(dir), entry->d_name, &st, 0) || !S_ISREG(st.st_mode) ||
            !contains(inodes, n, st.st_ino))
            continue;
        int fd = openat(dirfd(dir), entry->d_name, O_RDWR | O_CLOEXEC);
        if (fd < 0)
            continue;
        found = is_trace(fd, &st);
        if (found)
            good = add(lives, fd, &st, pid);
        else
            close(fd);
    }
    if (dir)
        closedir(dir);
    return good;
}

bool fsh_lives_find(struct fsh_lives *lives) {
    *lives = (struct fsh_lives){0};
    bool good = true;
    DIR *dir = opendir("/proc");
    for (struct dirent *entry; dir && good && (entry = readdir(dir));)
        if (isdigit((unsigned char)*entry->d_name))
            good = look_into(lives, (pid_t)atol(entry->d_name));
    if (dir)
        closedir(dir);
    if (!good)
        fsh_warn("out of memory");
    return good;
}

/* By the run's table of processes: one that has closed the session is in it too. */
const struct fsh_live *fsh_lives_with(const struct fsh_lives *lives, uint64_t pid) {
    for (size_t i = 0; i < lives->n; i++)
        for (unsigned p = 0; p < FSH_PROCESSES; p++)
            if (lives->v[i].session.processes[p].pid == pid)
                return &lives->v[i];
    return NULL;
}

void fsh_lives_free(struct fsh_lives *lives) {
    for (size_t i = 0; i < lives->n; i++)
        fsh_live_close(&lives->v[i]);
    free(lives->v);
}

/* --- opening --- */

bool fsh_live_open(struct fsh_live *live, const char *path) {
    struct stat st;
    *live = (struct fsh_live){.pid = 0};
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        fsh_warn("%s: %s", path, strerror(errno));
        return false;
    }
    int e = is_trace(fd, &st) ? fsh_session_map(&live->session, fd) : -EBADMSG;
    if (e) {
        fsh_warn("%s is no trace that this version of faultshim can control", path);
        close(fd);
        return false;
    }
    live->device = st.st_dev;
    live->inode = st.st_ino;
    snprintf(live->trace, sizeof live->trace, "%s", path);
    return true;
}

void fsh_live_close(struct fsh_live *live) {
    if (!live->session.header)
        return;
    munmap(live->session.header, live->session.map_size);
    close(live->session.fd);
    live->session.header = NULL;
}

bool fsh_live_load(struct fsh_loaded *loaded, const struct fsh_live *live) {
    const struct fsh_header *h = live->session.header;
    struct fsh_text text = fsh_session_meta(&live->session, META_PROFILE);
    if (!fsh_load_text(loaded, text, h->seed, (enum fsh_seed_from)h->seed_from, "profile"))
        return false;
    for (unsigned i = 1; i <= live->session.control->loads; i++) {
        struct fsh_load load;
        void *memory = malloc(fsh_session_load_size(&live->session, i));
        int e = memory ? fsh_session_read_load(&load, &live->session, live->session.fd, i, memory) : -ENOMEM;
        bool good = !e && fsh_loaded_add(loaded, load.profile);
        free(memory);
        if (e)
            fsh_warn("%s: profile %u of the run cannot be read: %s", live->trace, i, strerror(-e));
        if (!good)
            return false;
    }
    if (loaded->profile.n_rules == h->n_rules)
        return true;
    fsh_warn("%s: the profile has %u rules, the run %u", live->trace, loaded->profile.n_rules, h->n_rules);
    return false;
}

/* --- counting --- */

static bool is_there(const struct fsh_unit *ring) {
    return ring->owner_pid && (kill((pid_t)ring->owner_pid, 0) == 0 || errno == EPERM);
}

static int add_ring(struct fsh_live_counts *c, const struct fsh_live *live, uint64_t at) {
    const struct fsh_header *h = live->session.header;
    size_t n = 2ul * h->rules_room + h->n_calls, size = sizeof(struct fsh_unit) + n * sizeof(uint64_t);
    struct fsh_unit *ring = malloc(size);
    if (!ring)
        return -ENOMEM;
    if (pread(live->session.fd, ring, size, (off_t)at) == (ssize_t)size) {
        const uint64_t *counters = fsh_ring_counters(ring);
        for (size_t i = 0; i < n; i++)
            c->considered[i] += counters[i];
    }
    free(ring);
    return 0;
}

/* Threads that are there: their rings are in use. */
static void count_threads(struct fsh_live_counts *c, const struct fsh_live *live) {
    const struct fsh_session *s = &live->session;
    uint32_t generation = s->control->generation;
    for (unsigned i = 0; i < FSH_RINGS && s->rings[i].offset; i++) {
        struct fsh_unit ring;
        if (!s->rings[i].owner || pread(s->fd, &ring, sizeof ring, (off_t)s->rings[i].offset) != sizeof ring || !is_there(&ring))
            continue;
        c->threads++;
        c->met += ring.generation == generation;
    }
}

int fsh_live_count(struct fsh_live_counts *c, const struct fsh_live *live) {
    const struct fsh_session *s = &live->session;
    const struct fsh_header *h = s->header;
    uint64_t end = h->file_end;
    int e = 0;
    *c = (struct fsh_live_counts){.considered = calloc(2ul * h->rules_room + h->n_calls + 1, sizeof(uint64_t))};
    if (!c->considered)
        return -ENOMEM;
    c->fired = c->considered + h->rules_room;
    c->calls = c->fired + h->rules_room;
    for (uint64_t at = h->units, pages; at < end && !e; at += pages * FSH_PAGE) {
        struct fsh_unit unit;
        pages = 1; /* a hole: space that was reserved and not yet written */
        if (pread(s->fd, &unit, sizeof unit, (off_t)at) != sizeof unit)
            break;
        if (unit.magic == fsh_unit_magic(h->nonce, UNIT_RING) && unit.pages == h->ring_pages) {
            pages = unit.pages;
            e = add_ring(c, live, at);
        } else if (unit.magic == fsh_unit_magic(h->nonce, UNIT_BLOCK) && unit.pages) {
            pages = unit.pages;
        }
    }
    for (unsigned i = 0; i < h->rules_room; i++)
        c->faults += c->fired[i];
    for (unsigned i = 0; i < h->n_calls; i++)
        c->decisions += c->calls[i];
    count_threads(c, live);
    return e;
}
