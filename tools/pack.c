/* pack.c: see pack.h. Reading and writing of tar and zstd is libarchive's; nettle has SHA-256. */
#include "pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "out.h"

enum { FORMAT = 1, PIECE = 1 << 16, MANIFEST_MAX = 1 << 20, FILES_MAX = 512, DIGITS = 2 * SHA256_DIGEST_SIZE };
#define FILE_MAX      (UINT64_C(16) << 30) /* no file in an archive is larger */
#define MANIFEST_NAME "manifest.json"
#define TRACE_NAME    "run.trace"

bool fsh_pack_is(const char *path) {
    static const unsigned char magic[4] = {0x28, 0xb5, 0x2f, 0xfd}; /* of zstd: RFC 8878 */
    unsigned char head[sizeof magic];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool is = fd >= 0 && pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head && !memcmp(head, magic, sizeof magic);
    if (fd >= 0)
        close(fd);
    return is;
}

/* --- hashes --- */

static void put_digest(struct sha256_ctx *sha, char out[DIGITS + 1]) {
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(sha, sizeof digest, digest);
    for (unsigned i = 0; i < sizeof digest; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

/* Reads a file from its start; -errno, or 0 with its size and hash. */
static int hash_file(int fd, uint64_t *size, char out[DIGITS + 1]) {
    uint8_t piece[PIECE];
    struct sha256_ctx sha;
    sha256_init(&sha);
    *size = 0;
    for (;;) {
        ssize_t n = pread(fd, piece, sizeof piece, (off_t)*size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        sha256_update(&sha, (size_t)n, piece);
        *size += (uint64_t)n;
    }
    put_digest(&sha, out);
    return 0;
}

static bool is_same_file(const char *path, uint64_t size, const char *digest) {
    char there[DIGITS + 1];
    uint64_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool same = fd >= 0 && hash_file(fd, &n, there) == 0 && n == size && !strcmp(there, digest);
    if (fd >= 0)
        close(fd);
    return same;
}

/* --- writing --- */

struct source {
    const char *path;
    char name[32];
    int fd;
    uint64_t size;
    char digest[DIGITS + 1];
};

static bool open_source(struct source *s, const char *path, const char *name) {
    *s = (struct source){.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC)};
    snprintf(s->name, sizeof s->name, "%s", name);
    struct stat st;
    int e = s->fd < 0              ? -errno
            : fstat(s->fd, &st)    ? -errno
            : !S_ISREG(st.st_mode) ? -EINVAL
                                   : hash_file(s->fd, &s->size, s->digest);
    if (e)
        fsh_warn("%s: %s", path, strerror(-e));
    return e == 0;
}

static json_object *describe(const struct source *s) {
    json_object *o = json_object_new_object();
    json_object_object_add(o, "name", json_object_new_string(s->name));
    json_object_object_add(o, "size", json_object_new_uint64(s->size));
    json_object_object_add(o, "sha256", json_object_new_string(s->digest));
    return o;
}

static json_object *make_manifest(const struct source *sources, const struct fsh_packed *files, size_t n) {
    json_object *o = json_object_new_object(), *list = json_object_new_array();
    json_object_object_add(o, "format", json_object_new_int(FORMAT));
    json_object_object_add(o, "faultshim", json_object_new_string(FSH_VERSION));
    json_object_object_add(o, "trace", describe(&sources[0]));
    for (size_t i = 0; i < n; i++) {
        json_object *file = describe(&sources[i + 1]);
        json_object_object_add(file, "path", json_object_new_string(files[i].path));
        if (files[i].program)
            json_object_object_add(file, "program", json_object_new_boolean(true));
        json_object_array_add(list, file);
    }
    json_object_object_add(o, "program", list);
    return o;
}

static bool begin_entry(struct archive *a, const char *name, uint64_t size) {
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, name);
    archive_entry_set_size(e, (la_int64_t)size);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0644);
    bool good = archive_write_header(a, e) == ARCHIVE_OK;
    archive_entry_free(e);
    return good;
}

static bool put_source(struct archive *a, const struct source *s) {
    char piece[PIECE];
    bool good = begin_entry(a, s->name, s->size);
    for (uint64_t at = 0; good && at < s->size;) {
        size_t want = s->size - at < sizeof piece ? (size_t)(s->size - at) : sizeof piece;
        ssize_t n = pread(s->fd, piece, want, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            archive_set_error(a, n < 0 ? errno : EIO, "%s changed while it was read", s->path);
            return false;
        }
        good = archive_write_data(a, piece, (size_t)n) == n;
        at += (uint64_t)n;
    }
    return good;
}

static bool put_all(struct archive *a, int fd, const struct source *sources, size_t n, const char *manifest) {
    bool good = archive_write_add_filter_zstd(a) == ARCHIVE_OK && archive_write_set_format_pax_restricted(a) == ARCHIVE_OK &&
                archive_write_set_bytes_in_last_block(a, 1) == ARCHIVE_OK && archive_write_open_fd(a, fd) == ARCHIVE_OK &&
                begin_entry(a, MANIFEST_NAME, strlen(manifest)) &&
                archive_write_data(a, manifest, strlen(manifest)) == (la_ssize_t)strlen(manifest);
    for (size_t i = 0; i < n && good; i++)
        good = put_source(a, &sources[i]);
    return good && archive_write_close(a) == ARCHIVE_OK;
}

/* Under another name until it is whole. */
static bool write_archive(const char *to, const struct source *sources, size_t n, const char *manifest, uint64_t *size) {
    char *other;
    struct stat st;
    if (asprintf(&other, "%s.XXXXXX", to) < 0)
        return !fsh_fail(1, "out of memory");
    int fd = mkstemp(other);
    struct archive *a = archive_write_new();
    bool good = fd >= 0 && a;
    if (!good)
        fsh_warn("%s: %s", to, strerror(errno));
    if (good && !(good = put_all(a, fd, sources, n, manifest)))
        fsh_warn("%s: %s", to, archive_error_string(a) ? archive_error_string(a) : "can't be written");
    archive_write_free(a);
    if (good && (fsync(fd) != 0 || fstat(fd, &st) != 0 || rename(other, to) != 0))
        good = !fsh_fail(1, "%s: %s", to, strerror(errno));
    else if (good)
        *size = (uint64_t)st.st_size;
    if (!good && fd >= 0)
        unlink(other);
    if (fd >= 0)
        close(fd);
    free(other);
    return good;
}

bool fsh_pack_write(const char *to, const char *trace, const struct fsh_packed *files, size_t n, uint64_t *size) {
    struct source *sources = calloc(n + 1, sizeof *sources);
    char name[32];
    size_t opened = 0;
    bool good = sources && n <= FILES_MAX;
    if (good)
        good = (opened++, open_source(&sources[0], trace, TRACE_NAME));
    for (size_t i = 0; i < n && good; i++) {
        snprintf(name, sizeof name, "program/%zu", i);
        good = (opened++, open_source(&sources[i + 1], files[i].path, name));
    }
    if (good) {
        json_object *manifest = make_manifest(sources, files, n);
        good =
            write_archive(to, sources, n + 1,
                          json_object_to_json_string_ext(manifest, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE), size);
        json_object_put(manifest);
    }
    for (size_t i = 0; i < opened; i++)
        if (sources[i].fd >= 0)
            close(sources[i].fd);
    free(sources);
    return good;
}

/* --- reading --- */

struct pack {
    const char *path;
    struct archive *archive;
    json_object *manifest;
};

static bool damaged(const struct pack *p, const char *what) {
    fsh_warn("%s is damaged: %s", p->path, what);
    return false;
}

static const char *archive_words(const struct pack *p) {
    const char *words = archive_error_string(p->archive);
    return words ? words : "it ends too soon";
}

static bool next_entry(struct pack *p, struct archive_entry **e) {
    int r = archive_read_next_header(p->archive, e);
    if (r == ARCHIVE_OK && archive_entry_filetype(*e) == AE_IFREG && archive_entry_pathname(*e))
        return true;
    return damaged(p, r == ARCHIVE_OK ? "it holds what is no file" : archive_words(p));
}

/* The manifest, which comes first. */
static bool read_manifest(struct pack *p) {
    struct archive_entry *e;
    if (!next_entry(p, &e))
        return false;
    la_int64_t size = archive_entry_size(e);
    if (strcmp(archive_entry_pathname(e), MANIFEST_NAME) != 0)
        return damaged(p, "its first file is not " MANIFEST_NAME);
    if (size <= 0 || size > MANIFEST_MAX)
        return damaged(p, "its manifest is too long");
    char *text = calloc(1, (size_t)size + 1);
    if (!text || archive_read_data(p->archive, text, (size_t)size) != size) {
        free(text);
        return damaged(p, "its manifest is cut off");
    }
    p->manifest = json_tokener_parse(text);
    free(text);
    json_object *format;
    if (!p->manifest || !json_object_object_get_ex(p->manifest, "format", &format))
        return damaged(p, "its manifest can't be read");
    if (json_object_get_int(format) != FORMAT) {
        fsh_warn("%s was packed by another version of faultshim, which this one can't read", p->path);
        return false;
    }
    return true;
}

static void close_pack(struct pack *p) {
    json_object_put(p->manifest);
    archive_read_free(p->archive);
}

static bool open_pack(struct pack *p, const char *path) {
    *p = (struct pack){.path = path, .archive = archive_read_new()};
    if (!p->archive || archive_read_support_filter_zstd(p->archive) != ARCHIVE_OK ||
        archive_read_support_format_tar(p->archive) != ARCHIVE_OK ||
        archive_read_open_filename(p->archive, path, PIECE) != ARCHIVE_OK) {
        fsh_warn("%s: %s", path, p->archive ? archive_words(p) : strerror(ENOMEM));
        archive_read_free(p->archive);
        return false;
    }
    if (read_manifest(p))
        return true;
    close_pack(p);
    return false;
}

static const char *text_in(json_object *o, const char *key) {
    json_object *v;
    return json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
}

static uint64_t size_in(json_object *o) {
    json_object *v;
    return json_object_object_get_ex(o, "size", &v) && json_object_is_type(v, json_type_int) ? json_object_get_uint64(v)
                                                                                             : UINT64_MAX;
}

static bool write_piece(int fd, const char *piece, size_t n) {
    while (n) {
        ssize_t w = write(fd, piece, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return false;
        piece += w;
        n -= (size_t)w;
    }
    return true;
}

/* The data of the entry at hand, which must be what the manifest says. `fd` < 0: it is only checked. */
static bool unpack(struct pack *p, json_object *file, int fd) {
    char piece[PIECE], digest[DIGITS + 1];
    struct sha256_ctx sha;
    const uint64_t size = size_in(file);
    uint64_t at = 0;
    la_ssize_t n;
    sha256_init(&sha);
    if (size > FILE_MAX)
        return damaged(p, "a file in it is too large");
    while ((n = archive_read_data(p->archive, piece, sizeof piece)) > 0) {
        at += (uint64_t)n;
        if (at > size)
            return damaged(p, "a file in it is longer than its manifest says");
        sha256_update(&sha, (size_t)n, (const uint8_t *)piece);
        if (fd >= 0 && !write_piece(fd, piece, (size_t)n)) {
            fsh_warn("%s can't be unpacked: %s", p->path, strerror(errno));
            return false;
        }
    }
    put_digest(&sha, digest);
    if (n < 0)
        return damaged(p, archive_words(p));
    if (at < size)
        return damaged(p, "a file in it is shorter than its manifest says");
    return !strcmp(digest, text_in(file, "sha256")) || damaged(p, "a file in it differs from its hash");
}

static const char *temporary_folder(void) {
    const char *folder = getenv("TMPDIR");
    return folder && *folder ? folder : "/tmp";
}

/* Gone with its last descriptor. */
static int open_nameless(void) {
    char path[4096];
    int fd = open(temporary_folder(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (fd >= 0 || snprintf(path, sizeof path, "%s/faultshim.XXXXXX", temporary_folder()) >= (int)sizeof path)
        return fd;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

int fsh_pack_open_trace(const char *path) {
    struct pack p;
    struct archive_entry *e;
    json_object *file;
    if (!open_pack(&p, path))
        return -1;
    int fd = open_nameless();
    bool good = fd >= 0;
    if (!good)
        fsh_warn("%s: %s", temporary_folder(), strerror(errno));
    good = good && next_entry(&p, &e);
    if (good && (strcmp(archive_entry_pathname(e), TRACE_NAME) != 0 || !json_object_object_get_ex(p.manifest, "trace", &file)))
        good = damaged(&p, "it has no trace");
    good = good && unpack(&p, file, fd);
    close_pack(&p);
    if (!good && fd >= 0)
        close(fd);
    return good ? fd : -1;
}

/* --- the program --- */

static json_object *programs_of(const struct pack *p) {
    json_object *list;
    bool there = json_object_object_get_ex(p->manifest, "program", &list) && json_object_is_type(list, json_type_array);
    return there && json_object_array_length(list) <= FILES_MAX ? list : NULL;
}

/* The last part of the path where it stood: only ever a name in our folder. */
static const char *name_of(json_object *file) {
    const char *path = text_in(file, "path"), *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    return strcmp(name, ".") != 0 && strcmp(name, "..") != 0 ? name : "";
}

static bool is_program(json_object *file) {
    json_object *v;
    return json_object_object_get_ex(file, "program", &v) && json_object_get_boolean(v);
}

static bool is_there_still(json_object *list) {
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *file = json_object_array_get_idx(list, i);
        if (is_program(file) && !is_same_file(text_in(file, "path"), size_in(file), text_in(file, "sha256")))
            return false;
    }
    return true;
}

/* Programs in bin, libraries in lib. */
static bool unpack_one(struct pack *p, json_object *file, int folder) {
    const char *name = name_of(file);
    char path[512];
    if (!*name || snprintf(path, sizeof path, "%s/%s", is_program(file) ? "bin" : "lib", name) >= (int)sizeof path)
        return damaged(p, "a file in it has no name");
    int fd = openat(folder, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0700);
    if (fd < 0 && errno != EEXIST) {
        fsh_warn("%s can't be unpacked: %s", p->path, strerror(errno));
        return false;
    }
    bool good = unpack(p, file, fd);
    if (fd >= 0 && close(fd) != 0 && good)
        good = !fsh_fail(1, "%s can't be unpacked: %s", p->path, strerror(errno));
    return good;
}

static bool unpack_programs(struct pack *p, json_object *list, int folder) {
    struct archive_entry *e;
    json_object *trace;
    bool good = next_entry(p, &e);
    if (good && !json_object_object_get_ex(p->manifest, "trace", &trace))
        good = damaged(p, "it has no trace");
    good = good && unpack(p, trace, -1);
    for (size_t i = 0; i < json_object_array_length(list) && good; i++) {
        json_object *file = json_object_array_get_idx(list, i);
        good = next_entry(p, &e);
        if (good && strcmp(archive_entry_pathname(e), text_in(file, "name")) != 0)
            good = damaged(p, "its files stand in another order than its manifest says");
        good = good && unpack_one(p, file, folder);
    }
    return good;
}

static bool unpack_into_folder(struct fsh_unpacked *u, struct pack *p, json_object *list) {
    snprintf(u->folder, sizeof u->folder, "%s/faultshim.XXXXXX", temporary_folder());
    int fd = mkdtemp(u->folder) ? open(u->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    bool good = fd >= 0 && mkdirat(fd, "bin", 0700) == 0 && mkdirat(fd, "lib", 0700) == 0;
    if (!good)
        fsh_warn("%s: %s", u->folder, strerror(errno));
    good = good && unpack_programs(p, list, fd);
    if (fd >= 0)
        close(fd);
    else
        u->folder[0] = 0;
    return good;
}

bool fsh_pack_program(struct fsh_unpacked *u, const char *path) {
    struct pack p;
    *u = (struct fsh_unpacked){.there = false};
    if (!open_pack(&p, path))
        return false;
    json_object *list = programs_of(&p);
    bool good = true;
    if (list && json_object_array_length(list)) {
        json_object *first = json_object_array_get_idx(list, 0);
        u->there = true;
        bool there = is_there_still(list);
        if (there)
            snprintf(u->program, sizeof u->program, "%s", text_in(first, "path"));
        else if ((good = unpack_into_folder(u, &p, list)))
            snprintf(u->program, sizeof u->program, "%s/bin/%s", u->folder, name_of(first));
    }
    close_pack(&p);
    if (!good)
        fsh_unpacked_free(u);
    return good;
}

static void empty(int folder, const char *name) {
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *d; dir && (d = readdir(dir));)
        unlinkat(dirfd(dir), d->d_name, 0);
    if (dir)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
    unlinkat(folder, name, AT_REMOVEDIR);
}

void fsh_unpacked_free(struct fsh_unpacked *u) {
    int fd = *u->folder ? open(u->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    empty(fd, "bin");
    empty(fd, "lib");
    close(fd);
    rmdir(u->folder);
    u->folder[0] = 0;
}
