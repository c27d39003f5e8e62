/* trace.c: creating and mapping a session, and the pen that a thread writes its stream with.
 *
 * Runs inside the victim: system calls are made directly (sys.h), nothing allocates but by mmap, nothing locks. A pen belongs
 * to one thread and is used with the gate closed, so a signal handler never writes into the middle of a record. */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>

#include "draw.h"
#include "sys.h"

#define ROUND(n, to) (((n) + (to)-1) / (to) * (to))

int (*fsh_clock)(int clock, void *timespec);

static uint64_t read_clock(int clock) {
    struct timespec ts = {0};
    if (fsh_clock)
        fsh_clock(clock, &ts);
    else
        fsh_sys2(SYS_clock_gettime, clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t fsh_monotonic(void) {
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t fsh_monotonic_coarse(void) {
    return read_clock(CLOCK_MONOTONIC_COARSE);
}

uint64_t fsh_session_now(const struct fsh_session *session) {
    return fsh_monotonic() - session->header->start_monotonic;
}

uint64_t fsh_session_coarse(const struct fsh_session *session) {
    uint64_t now = fsh_monotonic_coarse(), start = session->header->start_monotonic;
    return now > start ? now - start : 0;
}

/* --- the file --- */

/* Growing past RLIMIT_FSIZE would send SIGXFSZ to the program; the limit may change at any time, so ask each time. */
static bool may_grow_to(uint64_t size) {
    struct rlimit limit;
    return fsh_sys4(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY || size <= limit.rlim_cur;
}

static int write_all(int fd, const struct iovec *iov, int n, uint64_t offset) {
    uint64_t total = 0;
    for (int i = 0; i < n; i++)
        total += iov[i].iov_len;
    if (!may_grow_to(offset + total))
        return -EFBIG;
    for (;;) {
        long r = fsh_sys5(SYS_pwritev, fd, iov, n, offset, 0);
        if (r == -EINTR)
            continue;
        if (r < 0)
            return (int)r;
        return (uint64_t)r == total ? 0 : -ENOSPC;
    }
}

/* Real space behind a range, so that a full disk is an error here and not a SIGBUS in the program later. */
static int reserve(int fd, uint64_t offset, uint64_t size) {
    if (!may_grow_to(offset + size))
        return -EFBIG;
    long r;
    do
        r = fsh_sys4(SYS_fallocate, fd, 0, offset, size);
    while (r == -EINTR);
    if (r != -EOPNOTSUPP && r != -ENOSYS)
        return (int)r;
    static const char zeros[FSH_PAGE];
    for (uint64_t at = 0; at < size; at += FSH_PAGE) {
        struct iovec iov = {(void *)zeros, size - at < FSH_PAGE ? size - at : FSH_PAGE};
        int e = write_all(fd, &iov, 1, offset + at);
        if (e)
            return e;
    }
    return 0;
}

static void *map(int fd, uint64_t offset, uint64_t size) {
    long p = fsh_sys6(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, offset);
    return p < 0 && p > -4096 ? NULL : (void *)p;
}

/* A private session is shared with forked children all the same. */
static void *map_shared_anonymous(uint64_t size) {
    long p = fsh_sys6(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p < 0 && p > -4096 ? NULL : (void *)p;
}

static bool is_trace_or_empty(int fd) {
    struct stat st;
    char magic[8];
    if (fsh_sys2(SYS_fstat, fd, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    return st.st_size == 0 ||
           (fsh_sys4(SYS_pread64, fd, magic, sizeof magic, 0) == sizeof magic && !memcmp(magic, FSH_TRACE_MAGIC, sizeof magic));
}

/* A trace that is in the way is unlinked, not truncated: another run may still have it mapped. */
static int create_file(const char *path) {
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    long fd = fsh_sys4(SYS_openat, AT_FDCWD, path, flags, 0600);
    if (fd != -EEXIST)
        return (int)fd;
    long old = fsh_sys4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
    if (old < 0)
        return (int)old;
    bool ours = is_trace_or_empty((int)old);
    fsh_sys1(SYS_close, old);
    if (!ours)
        return -EEXIST;
    fsh_sys3(SYS_unlinkat, AT_FDCWD, path, 0);
    return (int)fsh_sys4(SYS_openat, AT_FDCWD, path, flags, 0600);
}

bool fsh_env_is_recorded(const char *entry) {
    static const char *const names[] = {
        "PATH=", "HOME=", "TMPDIR=", "LANG=", "LC_", "USER=", "LOGNAME=", "SHELL=", "TZ=", "TERM=", "LD_LIBRARY_PATH="};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strncmp(entry, names[i], strlen(names[i])))
            return true;
    return false;
}

bool fsh_env_is_the_programs(const char *entry) {
    return strncmp(entry, "FAULTSHIM_", 10) != 0 && strncmp(entry, "LD_PRELOAD=", 11) != 0;
}

/* --- laying out a session --- */

struct layout {
    struct fsh_region meta, processes, rules, keys, rings, script, departures, audit, control, outcomes, journal, connections;
    uint64_t units;
};

static uint64_t meta_entry_size(size_t len) {
    return ROUND(8 + len, 8);
}

static uint64_t place(struct fsh_region *region, uint64_t at, uint64_t size) {
    region->offset = size ? at : 0;
    region->size = size;
    return at + ROUND(size, 64);
}

struct meta_item {
    uint32_t tag;
    struct fsh_text text;
};

enum { META_ITEMS = 16 };

static void collect_meta(struct meta_item items[META_ITEMS], const struct fsh_session_params *params, struct fsh_text machine,
                         struct fsh_text calls, struct fsh_text faults) {
    const struct meta_item all[META_ITEMS] = {
        {META_SITES, params->sites}, /* first, so that its numbers stand aligned */
        {META_PROFILE, params->profile},
        {META_COMMAND, params->command},
        {META_CWD, params->cwd},
        {META_COPY, params->copy},
        {META_ENV, params->env},
        {META_RULES, params->rules},
        {META_REPLAYED, params->replayed},
        {META_PHASES, params->phases},
        {META_FILES, params->files},
        {META_WHOLE_ENV, params->whole_env},
        {META_MACHINE, machine},
        {META_CALLS, calls},
        {META_FAULTS, faults},
        {META_VERSION, {FSH_VERSION, strlen(FSH_VERSION)}},
        {META_END, {NULL, 0}},
    };
    memcpy(items, all, sizeof all);
}

static void append_name(char *buf, size_t size, size_t *len, const char *name) {
    size_t n = strlen(name) + 1;
    if (*len + n <= size) {
        memcpy(buf + *len, name, n);
        *len += n;
    }
}

static void lay_out(struct layout *l, const struct meta_item *items, const struct fsh_session_params *params) {
    uint64_t meta = 0;
    for (int i = 0; i < META_ITEMS; i++)
        meta += meta_entry_size(items[i].text.len);
    uint64_t at = place(&l->meta, FSH_PAGE, meta);
    at = place(&l->processes, at, FSH_PROCESSES * sizeof(struct fsh_process_state));
    at = place(&l->rules, at, (params->n_rules + FSH_LOADED_RULES) * sizeof(struct fsh_rule_state));
    at = place(&l->rings, at, FSH_RINGS * sizeof(struct fsh_ring_state));
    at = place(&l->control, at, sizeof(struct fsh_control));
    at = place(&l->outcomes, at, FSH_OUTCOMES * sizeof(struct fsh_outcome_state));
    at = place(&l->keys, at, params->shared_keys ? FSH_KEYS * sizeof(struct fsh_key_state) : 0);
    at = place(&l->departures, at, FSH_DEPARTURES * sizeof(struct fsh_departure));
    at = place(&l->audit, at, params->audit ? FSH_AUDITED * sizeof(struct fsh_audited) : 0);
    at = place(&l->connections, at, params->connections ? FSH_CONNECTIONS * sizeof(struct fsh_connection_state) : 0);
    at = place(&l->script, ROUND(at, FSH_PAGE), params->script.len);
    at = place(&l->journal, ROUND(at, FSH_PAGE), params->journal ? sizeof(struct fsh_journal) : 0);
    l->units = ROUND(at, FSH_PAGE);
}

static void write_meta(char *to, const struct meta_item *items) {
    for (int i = 0; i < META_ITEMS; i++) {
        uint32_t head[2] = {items[i].tag, (uint32_t)items[i].text.len};
        memcpy(to, head, sizeof head);
        if (items[i].text.len)
            memcpy(to + 8, items[i].text.data, items[i].text.len);
        to += meta_entry_size(items[i].text.len);
    }
}

static void locate(struct fsh_session *s) {
    char *base = (char *)s->header;
    s->processes = (void *)(base + s->header->processes.offset);
    s->rules = (void *)(base + s->header->rules.offset);
    s->rings = (void *)(base + s->header->rings.offset);
    s->departures = (void *)(base + s->header->departures.offset);
    s->audited = s->header->audit.size ? (void *)(base + s->header->audit.offset) : NULL;
    s->control = (void *)(base + s->header->control.offset);
    s->outcomes = (void *)(base + s->header->outcomes.offset);
    s->connections = s->header->connections.size ? (void *)(base + s->header->connections.offset) : NULL;
    s->journal = s->header->journal.size ? (void *)(base + s->header->journal.offset) : NULL;
    s->keys = s->header->keys.size ? (void *)(base + s->header->keys.offset) : NULL;
}

static void fill_header(struct fsh_header *h, const struct layout *l, const struct fsh_session_params *params) {
    h->version = FSH_TRACE_VERSION;
    h->header_size = sizeof *h;
    h->state = TRACE_OPEN;
    h->seed = params->seed;
    h->seed_from = params->seed_from;
    h->start_monotonic = fsh_monotonic();
    h->start_realtime = read_clock(CLOCK_REALTIME);
    h->n_rules = params->n_rules;
    h->n_calls = FSH_CALLS;
    h->n_faults = FSH_FAULTS;
    h->trace_mode = params->trace_mode;
    h->trace_limit = params->trace_limit;
    h->meta = l->meta;
    h->processes = l->processes;
    h->rules = l->rules;
    h->rings = l->rings;
    h->keys = l->keys;
    h->script = l->script;
    h->departures = l->departures;
    h->audit = l->audit;
    h->control = l->control;
    h->outcomes = l->outcomes;
    h->journal = l->journal;
    h->connections = l->connections;
    h->units = l->units;
    h->rules_room = h->n_rules + FSH_LOADED_RULES;
    h->ring_data = fsh_ring_data_offset(h->rules_room, h->n_calls);
    h->ring_pages = fsh_ring_pages(h->rules_room, h->n_calls);
    if (fsh_sys3(SYS_getrandom, &h->nonce, sizeof h->nonce, 0) != sizeof h->nonce)
        h->nonce = fsh_mix(h->start_realtime ^ (uintptr_t)h);
    h->file_end = l->units;
    memcpy(h->magic, FSH_TRACE_MAGIC, sizeof h->magic);
}

/* `fd` < 0: in anonymous memory. */
static int build(struct fsh_session *s, int fd, const struct fsh_session_params *params) {
    char calls[8192], faults[2048];
    size_t calls_len = 0, faults_len = 0, machine_len = 0;
    for (int i = 0; i < FSH_CALLS; i++)
        append_name(calls, sizeof calls, &calls_len, fsh_calls[i].name);
    for (int i = 0; i < FSH_FAULTS; i++)
        append_name(faults, sizeof faults, &faults_len, fsh_faults[i].name);
    struct utsname u;
    char machine[256];
    if (fsh_sys1(SYS_uname, &u) == 0) {
        append_name(machine, sizeof machine, &machine_len, u.sysname);
        append_name(machine, sizeof machine, &machine_len, u.release);
        append_name(machine, sizeof machine, &machine_len, u.machine);
    }

    struct meta_item items[META_ITEMS];
    collect_meta(items, params, (struct fsh_text){machine, machine_len}, (struct fsh_text){calls, calls_len},
                 (struct fsh_text){faults, faults_len});
    struct layout l = {0};
    lay_out(&l, items, params);

    if (fd >= 0) {
        int e = reserve(fd, 0, l.units);
        if (e)
            return e;
    }
    char *base = fd < 0 ? map_shared_anonymous(l.units) : map(fd, 0, l.units);
    if (!base)
        return -ENOMEM;
    *s = (struct fsh_session){.fd = fd, .map_size = l.units, .header = (void *)base, .is_file = fd >= 0};
    write_meta(base + l.meta.offset, items);
    if (params->script.len)
        memcpy(base + l.script.offset, params->script.data, params->script.len);
    fill_header(s->header, &l, params);
    locate(s);
    s->control->generation = 1;
    s->control->intensity = FSH_LEVEL_FULL;
    return 0;
}

int fsh_session_create(struct fsh_session *session, const char *path, const struct fsh_session_params *params) {
    int fd = create_file(path);
    if (fd < 0)
        return fd;
    int e = build(session, fd, params);
    if (e) {
        fsh_sys3(SYS_unlinkat, AT_FDCWD, path, 0);
        fsh_sys1(SYS_close, fd);
    }
    return e;
}

/* In a file without a name where that can be had, so that programs started by exec find it by its descriptor. */
int fsh_session_create_private(struct fsh_session *session, const struct fsh_session_params *params) {
    struct fsh_session_params untraced = *params;
    untraced.trace_mode = TRACE_OFF;
    long fd = fsh_sys2(SYS_memfd_create, "faultshim", 0);
    int e = fd < 0 ? (int)fd : build(session, (int)fd, &untraced);
    if (!e)
        return 0;
    if (fd >= 0)
        fsh_sys1(SYS_close, fd);
    return build(session, -1, &untraced);
}

static bool region_fits(const struct fsh_region *region, uint64_t limit, uint64_t need) {
    return region->offset % 8 == 0 && region->size >= need && region->offset <= limit && region->size <= limit - region->offset;
}

static bool header_is_sound(const struct fsh_header *h, uint64_t file_size) {
    return !memcmp(h->magic, FSH_TRACE_MAGIC, sizeof h->magic) && h->version == FSH_TRACE_VERSION && h->header_size == sizeof *h &&
           h->units % FSH_PAGE == 0 && h->units >= FSH_PAGE && h->units <= file_size && h->n_rules <= FSH_RULES_MAX &&
           h->rules_room == h->n_rules + FSH_LOADED_RULES && h->n_calls == FSH_CALLS && h->n_faults == FSH_FAULTS &&
           region_fits(&h->meta, h->units, 8) &&
           region_fits(&h->processes, h->units, FSH_PROCESSES * sizeof(struct fsh_process_state)) &&
           region_fits(&h->rules, h->units, h->rules_room * sizeof(struct fsh_rule_state)) &&
           region_fits(&h->rings, h->units, FSH_RINGS * sizeof(struct fsh_ring_state)) &&
           region_fits(&h->departures, h->units, FSH_DEPARTURES * sizeof(struct fsh_departure)) &&
           (h->audit.size == 0 || region_fits(&h->audit, h->units, FSH_AUDITED * sizeof(struct fsh_audited))) &&
           (h->keys.size == 0 || region_fits(&h->keys, h->units, FSH_KEYS * sizeof(struct fsh_key_state))) &&
           (h->connections.size == 0 ||
            region_fits(&h->connections, h->units, FSH_CONNECTIONS * sizeof(struct fsh_connection_state))) &&
           (h->journal.size == 0 || region_fits(&h->journal, h->units, sizeof(struct fsh_journal))) &&
           region_fits(&h->script, h->units, 0) && region_fits(&h->control, h->units, sizeof(struct fsh_control)) &&
           region_fits(&h->outcomes, h->units, FSH_OUTCOMES * sizeof(struct fsh_outcome_state)) &&
           h->ring_data == fsh_ring_data_offset(h->rules_room, h->n_calls) &&
           h->ring_pages == fsh_ring_pages(h->rules_room, h->n_calls);
}

int fsh_session_map(struct fsh_session *session, int fd) {
    struct stat st;
    struct fsh_header head;
    long r = fsh_sys2(SYS_fstat, fd, &st);
    if (r < 0)
        return (int)r;
    if (!S_ISREG(st.st_mode) || fsh_sys4(SYS_pread64, fd, &head, sizeof head, 0) != sizeof head ||
        !header_is_sound(&head, (uint64_t)st.st_size))
        return -EBADMSG;
    void *base = map(fd, 0, head.units);
    if (!base)
        return -ENOMEM;
    *session = (struct fsh_session){.fd = fd, .map_size = head.units, .header = base, .is_file = true};
    locate(session);
    return 0;
}

/* --- profiles that are loaded --- */

static unsigned count_list(struct fsh_text list) {
    unsigned n = 0;
    for (size_t i = 0; i < list.len; i++)
        n += list.data[i] == 0;
    return n;
}

unsigned fsh_load_first_rule(const struct fsh_session *s, unsigned load) {
    return load && load <= FSH_LOADS ? s->control->load[load - 1].first_rule : 0;
}

unsigned fsh_load_first_phase(const struct fsh_session *s, unsigned load) {
    return load && load <= FSH_LOADS ? s->control->load[load - 1].first_phase : 0;
}

/* Texts one behind the other, in one unit. */
static int append_profile(const struct fsh_session *s, const struct fsh_load *load, unsigned number, struct fsh_load_state *state) {
    static const char zeros[FSH_PAGE];
    struct fsh_load_head head = {load->profile.len, load->rules.len, load->phases.len};
    uint64_t content = sizeof head + head.profile + head.rules + head.phases;
    uint64_t used = sizeof(struct fsh_unit) + content, size = ROUND(used, FSH_PAGE);
    uint64_t at = atomic_fetch_add(&s->header->file_end, size);
    struct fsh_unit unit = {.magic = fsh_unit_magic(s->header->nonce, UNIT_PROFILE),
                            .kind = UNIT_PROFILE,
                            .pages = (uint32_t)(size / FSH_PAGE),
                            .data = sizeof unit,
                            .size = (uint32_t)content,
                            .thread = number};
    const struct iovec iov[] = {{&unit, sizeof unit},
                                {&head, sizeof head},
                                {(void *)load->profile.data, head.profile},
                                {(void *)load->rules.data, head.rules},
                                {(void *)load->phases.data, head.phases},
                                {(void *)zeros, size - used}};
    state->offset = at + sizeof unit;
    state->size = content;
    return write_all(s->fd, iov, 6, at);
}

int fsh_session_add_load(const struct fsh_session *s, const struct fsh_load *load) {
    struct fsh_control *c = s->control;
    unsigned n = atomic_load(&c->loads);
    const struct fsh_load_state *last = n ? &c->load[n - 1] : NULL;
    struct fsh_load_state state = {.time = fsh_session_now(s),
                                   .first_rule = last ? last->first_rule + last->n_rules : s->header->n_rules,
                                   .n_rules = load->n_rules,
                                   .first_phase =
                                       last ? last->first_phase + last->n_phases : count_list(fsh_session_meta(s, META_PHASES)),
                                   .n_phases = load->n_phases};
    if (n >= FSH_LOADS || load->n_rules > s->header->rules_room - state.first_rule ||
        load->n_phases > FSH_PHASE_STATES - state.first_phase)
        return -ENOSPC;
    int e = append_profile(s, load, n + 1, &state);
    if (e)
        return e;
    c->load[n] = state;
    atomic_store(&c->loads, n + 1);
    return (int)n + 1;
}

size_t fsh_session_load_size(const struct fsh_session *s, unsigned load) {
    return load && load <= FSH_LOADS && load <= atomic_load(&s->control->loads) ? s->control->load[load - 1].size : 0;
}

int fsh_session_read_load(struct fsh_load *out, const struct fsh_session *s, int fd, unsigned load, void *memory) {
    const struct fsh_load_state *state = &s->control->load[load - 1];
    struct fsh_unit unit;
    struct fsh_load_head head;
    uint64_t left = state->size;
    long n = fsh_sys4(SYS_pread64, fd, &unit, sizeof unit, state->offset - sizeof unit);
    if (n < 0)
        return (int)n;
    if (n != sizeof unit || unit.magic != fsh_unit_magic(s->header->nonce, UNIT_PROFILE) || unit.thread != load ||
        unit.size != state->size || left < sizeof head)
        return -EBADMSG;
    n = fsh_sys4(SYS_pread64, fd, memory, state->size, state->offset);
    if (n != (long)state->size)
        return n < 0 ? (int)n : -EBADMSG;
    memcpy(&head, memory, sizeof head);
    left -= sizeof head;
    if (head.profile > left || head.rules > left - head.profile || head.phases != left - head.profile - head.rules)
        return -EBADMSG;
    const char *text = (const char *)memory + sizeof head;
    *out = (struct fsh_load){.profile = {text, head.profile},
                             .rules = {text + head.profile, head.rules},
                             .phases = {text + head.profile + head.rules, head.phases},
                             .n_rules = state->n_rules,
                             .n_phases = state->n_phases};
    return 0;
}

struct fsh_audited *fsh_session_audited(const struct fsh_session *session, uint32_t tid, bool make) {
    struct fsh_audited *v = session->audited;
    for (uint32_t i = 0; v && i < FSH_AUDITED; i++) {
        struct fsh_audited *a = &v[(tid + i) % FSH_AUDITED];
        uint32_t there = atomic_load(&a->tid);
        if (there == tid)
            return a;
        bool is_free = there == 0 || there == FSH_TID_GONE;
        if (make && is_free && atomic_compare_exchange_strong(&a->tid, &there, tid)) {
            atomic_store(&a->calls, 0);
            return a;
        }
        if (there == 0 && !make)
            return NULL;
    }
    return NULL;
}

struct fsh_text fsh_session_meta(const struct fsh_session *session, enum fsh_meta tag) {
    const struct fsh_region *meta = &session->header->meta;
    const char *p = (const char *)session->header + meta->offset, *end = p + meta->size;
    while ((size_t)(end - p) >= 8) {
        uint32_t head[2];
        memcpy(head, p, sizeof head);
        if (head[0] == META_END || head[1] > (size_t)(end - p) - 8)
            break;
        if (head[0] == (uint32_t)tag)
            return (struct fsh_text){p + 8, head[1]};
        if (meta_entry_size(head[1]) > (size_t)(end - p))
            break;
        p += meta_entry_size(head[1]);
    }
    return (struct fsh_text){"", 0};
}

/* --- fields --- */

void fsh_put_u64(struct fsh_fields *f, uint64_t v) {
    if (f->len + 8 > sizeof f->bytes)
        return;
    memcpy(f->bytes + f->len, &v, 8);
    f->len += 8;
}

static size_t put_varint(uint8_t *to, uint64_t v) {
    size_t n = 0;
    while (v >= 0x80) {
        to[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    to[n++] = (uint8_t)v;
    return n;
}

void fsh_put_varint(struct fsh_fields *f, uint64_t v) {
    if (f->len + 10 <= sizeof f->bytes)
        f->len += put_varint(f->bytes + f->len, v);
}

/* Texts are cut at FSH_TEXT_MAX, and shorter where a record of many texts would overflow. */
void fsh_put_text(struct fsh_fields *f, const char *text, size_t len) {
    size_t room = sizeof f->bytes - f->len;
    if (len > FSH_TEXT_MAX)
        len = FSH_TEXT_MAX;
    if (room < 80)
        len = 0;
    else if (len > room - 64)
        len = room - 64;
    fsh_put_varint(f, len);
    memcpy(f->bytes + f->len, text, len);
    f->len += len;
}

/* --- the pen --- */

enum { MARK_AFTER = 50000 };               /* ns */
enum { RING_SLACK = FSH_RECORD_MAX + 64 }; /* what a slow path may write without looking again */

/* The first byte last: until it stands, a reader sees the end of the stream here. */
static void publish(struct fsh_pen *pen, uint8_t op, size_t len) {
    atomic_thread_fence(memory_order_release);
    *(volatile uint8_t *)(pen->data + pen->pos) = op;
    pen->pos += (uint32_t)(1 + len);
}

static void commit(struct fsh_pen *pen, uint8_t op, const void *payload, size_t len) {
    if (len)
        memcpy(pen->data + pen->pos + 1, payload, len);
    publish(pen, op, len);
}

static void set_limit(struct fsh_pen *pen) {
    uint32_t end = pen->ring->size - RING_SLACK;
    pen->limit = pen->counting || pen->stopped ? 0 : pen->next_mark < end ? pen->next_mark : end;
}

static void put_mark(struct fsh_pen *pen, struct fsh_session *s) {
    uint64_t now = fsh_session_now(s);
    commit(pen, OP_TIME, &now, sizeof now);
    pen->marked = now;
    pen->next_mark = pen->pos + FSH_MARK_EVERY;
    set_limit(pen);
}

static uint64_t take_space(struct fsh_session *s, uint64_t size) {
    return atomic_fetch_add_explicit(&s->header->file_end, size, memory_order_relaxed);
}

/* Appends what stands in the ring as a block. */
static int append_block(struct fsh_session *s, const struct fsh_unit *ring, const uint8_t *data, uint32_t len) {
    static const char zeros[FSH_PAGE];
    struct fsh_unit head = *ring;
    uint64_t seal = fsh_block_seal(s->header->nonce, ring->thread, ring->seq);
    uint64_t used = sizeof head + len + sizeof seal, size = ROUND(used, FSH_PAGE);
    head.magic = fsh_unit_magic(s->header->nonce, UNIT_BLOCK);
    head.kind = UNIT_BLOCK;
    head.pages = (uint32_t)(size / FSH_PAGE);
    head.data = sizeof head;
    head.size = len;
    uint64_t at = take_space(s, size);
    const struct iovec iov[] = {{&head, sizeof head}, {(void *)data, len}, {(void *)zeros, size - used}, {&seal, sizeof seal}};
    return write_all(s->fd, iov, 4, at);
}

/* Zeros where `used` bytes of a stream and perhaps a half-written record stand: nothing is ever written further on. The rest of the
 * ring is left alone, so that a short life costs no page faults. */
static void clear(uint8_t *data, uint32_t size, uint32_t used) {
    uint32_t dirty = used + FSH_RECORD_MAX + 64;
    memset(data, 0, dirty < size ? dirty : size);
    atomic_thread_fence(memory_order_release);
}

/* The ring, all zeros, takes the next part of the stream. */
static void restart(struct fsh_pen *pen, struct fsh_session *s) {
    memset(pen->slots, 0, sizeof pen->slots);
    memset(pen->values, 0, sizeof pen->values);
    pen->values_end = 0;
    pen->pos = 0;
    pen->ring->first_n = pen->n - pen->counted; /* what is counted and not told yet will be told in this part */
    atomic_thread_fence(memory_order_release);
    put_mark(pen, s);
}

static void stop(struct fsh_pen *pen, struct fsh_session *s, int e) {
    uint32_t none = 0;
    atomic_compare_exchange_strong(&s->header->stopped, &none, (uint32_t)-e);
    atomic_fetch_add(&s->header->lost_blocks, 1);
    pen->stopped = true;
    set_limit(pen);
}

/* The ring's content goes to the file, and the ring starts with the next part. */
static bool turn_over(struct fsh_pen *pen, struct fsh_session *s) {
    int e = append_block(s, pen->ring, pen->data, pen->pos);
    if (e) {
        stop(pen, s, e);
        return false;
    }
    clear(pen->data, pen->ring->size, pen->pos);
    pen->ring->seq++;
    if (atomic_load_explicit(&s->header->file_end, memory_order_relaxed) > s->header->trace_limit)
        pen->counting = true;
    restart(pen, s);
    return true;
}

/* Room for a record and a mark; false if nothing more can be written. */
static bool make_room(struct fsh_pen *pen, struct fsh_session *s) {
    if (!pen->ring || pen->stopped)
        return false;
    if (pen->pos <= pen->ring->size - RING_SLACK)
        return true;
    uint64_t mask = fsh_block_signals();
    bool room = turn_over(pen, s);
    fsh_restore_signals(mask);
    return room;
}

/* Passes that were only counted keep their place in the stream. */
static void tell_counted(struct fsh_pen *pen) {
    if (!pen->counted)
        return;
    uint8_t bytes[16];
    size_t len = put_varint(bytes + 2, pen->counted);
    uint16_t size = (uint16_t)len;
    memcpy(bytes, &size, sizeof size);
    commit(pen, OP_COUNTED, bytes, 2 + len);
    pen->counted = 0;
}

void fsh_pen_record(struct fsh_pen *pen, struct fsh_session *s, enum fsh_op op, const void *fields, size_t len) {
    if (s->header->trace_mode == TRACE_OFF || len > FSH_RECORD_MAX - 8 || !make_room(pen, s))
        return;
    tell_counted(pen);
    uint16_t size = (uint16_t)len;
    memcpy(pen->data + pen->pos + 1, &size, sizeof size); /* no copy before: stacks of signal handlers are small */
    memcpy(pen->data + pen->pos + 3, fields, len);
    publish(pen, (uint8_t)op, 2 + len);
}

/* Readings that follow each other stand in one record. Its length is below 256, so that one byte makes it longer. */
enum { VALUES_FULL = 240 };

static uint32_t put_value(struct fsh_pen *pen, uint8_t *to, enum fsh_source source, uint64_t value) {
    int64_t more = (int64_t)(value - pen->values[source]);
    *to = (uint8_t)source;
    return 1 + (uint32_t)put_varint(to + 1, (uint64_t)more << 1 ^ -(uint64_t)(more < 0));
}

static __attribute__((noinline)) void begin_values(struct fsh_pen *pen, struct fsh_session *s, enum fsh_source source,
                                                   uint64_t value) {
    if (pen->counting || s->header->trace_mode == TRACE_OFF || !make_room(pen, s))
        return;
    if (pen->pos >= pen->next_mark)
        put_mark(pen, s);
    uint8_t *to = pen->data + pen->pos + 1;
    const uint16_t size = (uint16_t)put_value(pen, to + 2, source, value);
    memcpy(to, &size, sizeof size);
    pen->values[source] = value;
    pen->values_at = pen->pos;
    publish(pen, OP_VALUE, 2u + size);
    pen->values_end = pen->pos;
}

void fsh_pen_value(struct fsh_pen *pen, struct fsh_session *s, enum fsh_source source, uint64_t value) {
    volatile uint8_t *len = pen->data + pen->values_at + 1;
    if (pen->values_end != pen->pos || *len >= VALUES_FULL) {
        begin_values(pen, s, source, value);
        return;
    }
    const uint32_t size = put_value(pen, pen->data + pen->pos, source, value);
    pen->values[source] = value;
    atomic_thread_fence(memory_order_release);
    *len = (uint8_t)(*len + size);
    pen->pos = pen->values_end += size;
}

static void put_context(struct fsh_pen *pen, unsigned slot, const struct fsh_slot *c, const struct fsh_candidates *list) {
    uint8_t bytes[64 + 3 * FSH_CANDIDATES_MAX];
    size_t len = put_varint(bytes, c->what & 0xfff);
    len += put_varint(bytes + len, c->what >> 12 & 0xf);
    len += put_varint(bytes + len, c->what >> 16);
    len += put_varint(bytes + len, c->site);
    len += put_varint(bytes + len, c->size);
    len += put_varint(bytes + len, (unsigned)__builtin_popcountll(c->rules));
    for (uint64_t left = c->rules; left; left &= left - 1)
        len += put_varint(bytes + len, list->v[__builtin_ctzll(left)].rule);
    commit(pen, (uint8_t)(OP_NEW + slot), bytes, len);
}

void fsh_pen_pass_slow(struct fsh_pen *pen, struct fsh_session *s, const struct fsh_slot *context,
                       const struct fsh_candidates *list) {
    if (pen->counting || !make_room(pen, s)) {
        pen->n++;
        if (pen->ring) {
            pen->counted++;
            pen->ring->counted++;
        }
        return;
    }
    if (pen->pos >= pen->next_mark)
        put_mark(pen, s);
    unsigned i = fsh_slot_of(context->what, context->rules);
    struct fsh_slot *slot = &pen->slots[i];
    pen->n++;
    if (slot->what == context->what && slot->rules == context->rules && slot->site == context->site) {
        if (slot->size == context->size) {
            commit(pen, (uint8_t)(OP_SAME + i), NULL, 0);
            return;
        }
        uint8_t bytes[10];
        commit(pen, (uint8_t)(OP_SIZED + i), bytes, put_varint(bytes, context->size));
    } else {
        /* dear already: the place to keep the times of a program that makes few calls */
        if (fsh_session_now(s) - pen->marked > MARK_AFTER)
            put_mark(pen, s);
        put_context(pen, i, context, list);
    }
    *slot = *context;
}

/* --- rings --- */

enum { QUESTIONS = 64 };
/* Owner of a ring whose image and namespace are not told yet: without it, a thread of the same process could take an old image for
 * the owner's, and the ring for a dead one's. No process has this id. */
#define BEING_CLAIMED UINT32_MAX

/* Whether the process that wrote a ring is gone. Process ids of another namespace tell us nothing. */
static bool owner_is_gone(const struct fsh_ring_state *state, uint32_t pid, const struct fsh_owner *me) {
    if (pid == 0)
        return true;
    if (pid == BEING_CLAIMED || state->ns_inode != me->ns_inode)
        return false;
    if (pid == me->pid)
        return state->image < me->image;
    return fsh_sys2(SYS_kill, pid, 0) == -ESRCH;
}

static uint32_t length_of_stream(const uint8_t *data, uint32_t size);

/* Claims a ring that nobody writes to any more, or an entry for a new one (offset 0). NULL: the table is full. */
static struct fsh_ring_state *claim(struct fsh_session *s, const struct fsh_owner *me) {
    unsigned questions = 0;
    uint32_t alive = BEING_CLAIMED; /* whoever was asked about last: a process has its rings side by side */
    for (unsigned i = 0; i < FSH_RINGS; i++) {
        struct fsh_ring_state *state = &s->rings[i];
        uint32_t pid = atomic_load_explicit(&state->owner, memory_order_acquire);
        bool other = pid && pid != me->pid;
        if (pid == alive || (other && questions == QUESTIONS))
            continue;
        questions += other;
        if (!owner_is_gone(state, pid, me)) {
            alive = other ? pid : alive;
            continue;
        }
        if (atomic_compare_exchange_strong(&state->owner, &pid, BEING_CLAIMED)) {
            state->image = me->image;
            state->ns_inode = me->ns_inode;
            atomic_store_explicit(&state->owner, me->pid, memory_order_release);
            return state;
        }
    }
    return NULL;
}

static int new_ring(struct fsh_session *s, uint64_t *offset) {
    uint64_t size = (uint64_t)s->header->ring_pages * FSH_PAGE;
    *offset = take_space(s, size);
    return reserve(s->fd, *offset, size);
}

/* What a dead thread left in its ring becomes a block. */
static int rescue(struct fsh_session *s, struct fsh_unit *ring) {
    uint8_t *data = (uint8_t *)ring + ring->data;
    if (ring->magic != fsh_unit_magic(s->header->nonce, UNIT_RING) || ring->thread == 0)
        return 0;
    uint32_t len = length_of_stream(data, ring->size);
    int e = len ? append_block(s, ring, data, len) : 0;
    if (!e)
        clear(data, ring->size, len);
    return e;
}

static void start_ring(struct fsh_pen *pen, struct fsh_session *s, const struct fsh_owner *me) {
    struct fsh_unit *ring = pen->ring;
    ring->pages = s->header->ring_pages;
    ring->data = s->header->ring_data;
    ring->size = ring->pages * FSH_PAGE - ring->data;
    pen->data = (uint8_t *)ring + ring->data;
    ring->kind = UNIT_RING;
    ring->process_key = me->process_key;
    ring->thread_key = me->thread_key;
    ring->thread = atomic_fetch_add(&s->header->threads, 1) + 1;
    ring->seq = 0;
    ring->counted = 0;
    ring->faults = 0;
    ring->generation = 0;
    ring->owner_pid = me->pid;
    ring->owner_image = me->image;
    ring->owner_started = me->started;
    ring->owner_ns = me->ns_inode;
    ring->magic = fsh_unit_magic(s->header->nonce, UNIT_RING);
    uint64_t *counters = fsh_ring_counters(ring);
    pen->considered = counters;
    pen->fired = counters + s->header->rules_room;
    pen->calls = counters + 2 * s->header->rules_room;
    pen->counting = s->header->trace_mode != TRACE_ALL ||
                    atomic_load_explicit(&s->header->file_end, memory_order_relaxed) > s->header->trace_limit;
    restart(pen, s);
}

/* Counters of a thread without a ring: they are needed for ordinals, and lost with the thread. */
static int without_ring(struct fsh_pen *pen, struct fsh_session *s) {
    uint64_t *counters = map(-1, 0, (2ul * s->header->rules_room + FSH_CALLS) * sizeof(uint64_t));
    if (!counters)
        return -ENOMEM;
    pen->considered = counters;
    pen->fired = counters + s->header->rules_room;
    pen->calls = counters + 2 * s->header->rules_room;
    return 0;
}

static int take_ring(struct fsh_pen *pen, struct fsh_session *s, const struct fsh_owner *me) {
    struct fsh_ring_state *state = claim(s, me);
    uint64_t size = (uint64_t)s->header->ring_pages * FSH_PAGE, offset = state ? state->offset : 0;
    bool old = offset != 0;
    int e = old ? 0 : new_ring(s, &offset);
    struct fsh_unit *ring = NULL;
    if (!e) {
        ring = map(s->fd, offset, size);
        e = ring ? 0 : -ENOMEM;
    }
    if (!e && old)
        e = rescue(s, ring);
    if (e) {
        if (ring)
            fsh_sys2(SYS_munmap, ring, size);
        if (state)
            atomic_store(&state->owner, 0);
        return e;
    }
    if (state)
        state->offset = offset;
    /* a forked child gets rings of its own; its parent's are none of its business */
    fsh_sys3(SYS_madvise, ring, size, MADV_DONTFORK);
    pen->ring = ring;
    pen->state = state;
    start_ring(pen, s, me);
    return 0;
}

int fsh_pen_open(struct fsh_pen *pen, struct fsh_session *s, const struct fsh_owner *me) {
    memset(pen, 0, sizeof *pen);
    int e = s->is_file ? take_ring(pen, s, me) : -ENODEV;
    if (!e)
        return 0;
    if (s->is_file)
        atomic_fetch_add(&s->header->untraced, 1);
    int none = without_ring(pen, s);
    return none ? none : e;
}

void fsh_pen_close(struct fsh_pen *pen, struct fsh_session *s) {
    if (!pen->ring) {
        fsh_sys2(SYS_munmap, pen->considered, (2ul * s->header->rules_room + FSH_CALLS) * sizeof(uint64_t));
        return;
    }
    struct fsh_ring_state *state = pen->state;
    if (make_room(pen, s)) {
        tell_counted(pen);
        put_mark(pen, s);
    }
    fsh_sys2(SYS_munmap, pen->ring, (uint64_t)s->header->ring_pages * FSH_PAGE);
    pen->ring = NULL;
    if (state)
        atomic_store_explicit(&state->owner, 0, memory_order_release);
}

/* --- finding the end of a stream, without understanding what it says --- */

static const uint8_t *skip_varint(const uint8_t *p, const uint8_t *end) {
    for (int i = 0; i < 10 && p < end; i++)
        if (!(*p++ & 0x80))
            return p;
    return NULL;
}

static const uint8_t *skip_context(const uint8_t *p, const uint8_t *end) {
    for (int i = 0; i < 5 && p; i++)
        p = skip_varint(p, end);
    if (!p)
        return NULL;
    const uint8_t *count = p;
    p = skip_varint(p, end);
    if (!p || *count > FSH_CANDIDATES_MAX)
        return NULL;
    for (unsigned i = 0; i < *count && p; i++)
        p = skip_varint(p, end);
    return p;
}

/* The record after `p`, or NULL if it is not whole. */
static const uint8_t *skip_record(const uint8_t *p, const uint8_t *end) {
    uint8_t op = *p++;
    if (op >= OP_NEW)
        return skip_context(p, end);
    if (op >= OP_SIZED)
        return skip_varint(p, end);
    if (op >= OP_SAME)
        return p;
    if (op == OP_TIME)
        return end - p >= 8 ? p + 8 : NULL;
    uint16_t len;
    if (op == OP_END || end - p < 2)
        return NULL;
    memcpy(&len, p, sizeof len);
    return end - p - 2 >= len ? p + 2 + len : NULL;
}

static uint32_t length_of_stream(const uint8_t *data, uint32_t size) {
    const uint8_t *p = data, *end = data + size, *next;
    while (p < end && (next = skip_record(p, end)))
        p = next;
    return (uint32_t)(p - data);
}

/* Decisions in a record: what the walk of a reader would count. */
static uint64_t decisions_in(const uint8_t *record) {
    enum { FLAGS_AT = 3 + 5 * 8 }; /* op, length, five u64: then the flags as a varint of one byte */
    uint8_t op = record[0];
    if (op >= OP_SAME)
        return 1;
    if (op == OP_FAULT)
        return !(record[FLAGS_AT] & FAULT_MORE);
    if (op != OP_COUNTED)
        return 0;
    uint64_t v = 0;
    for (unsigned i = 0; i < 10; i++) {
        v |= (uint64_t)(record[3 + i] & 0x7f) << (7 * i);
        if (!(record[3 + i] & 0x80))
            break;
    }
    return v;
}

/* What an OP_VALUE has told. */
static void values_in(struct fsh_pen *pen, const uint8_t *record, const uint8_t *next) {
    for (const uint8_t *p = record + 3; p < next;) {
        uint64_t v = 0;
        uint8_t source = *p++;
        for (unsigned i = 0; i < 10; i++, p++) {
            v |= (uint64_t)(*p & 0x7f) << (7 * i);
            if (!(*p & 0x80))
                break;
        }
        p++;
        pen->values[source] += v >> 1 ^ -(v & 1);
    }
}

void fsh_pen_mend(struct fsh_pen *pen) {
    if (!pen->ring || pen->pos >= pen->ring->size)
        return;
    memset(pen->data + pen->pos, 0, pen->ring->size - pen->pos);
    memset(pen->slots, 0, sizeof pen->slots);
    memset(pen->values, 0, sizeof pen->values);
    uint32_t last = pen->values_at + 3;
    if (pen->values_end && last + pen->data[pen->values_at + 1] > pen->pos)
        pen->data[pen->values_at + 1] = (uint8_t)(pen->pos - last);
    pen->values_end = 0;
    pen->n = pen->ring->first_n + pen->counted;
    const uint8_t *p = pen->data, *end = p + pen->pos, *next;
    for (; p < end && (next = skip_record(p, end)); p = next) {
        pen->n += decisions_in(p);
        if (*p == OP_VALUE)
            values_in(pen, p, next);
    }
}
