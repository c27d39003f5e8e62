/* facts.c: descriptors, paths and addresses as resources.
 *
 * Runs with the gate closed, in any thread, also in signal handlers: no libc call with a door, no lock that a handler could meet
 * again (a handler's calls pass while the gate is closed, so the one spin lock below is never taken twice by a thread).
 *
 * A descriptor that nobody saw being opened (inherited, or made inside libc) is looked up when it is first used. */
#include "facts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "connections.h"
#include "detour.h"
#include "gate.h"
#include "links.h"
#include "state.h"
#include "sys.h"

#include "poison.h"

enum { BUCKETS = 1 << 14, CHUNK = 256 * 1024, FDS_MAX = 1 << 20, FDS_MIN = 1 << 12, HOSTS = 64 };

struct fsh_fds fsh_fds;
static struct fsh_resource *_Atomic buckets[BUCKETS];

static struct {
    _Atomic uint32_t lock;
    uint64_t mask; /* of the thread that holds the lock */
    char *at, *end;
    struct fsh_resource *spare;
} pool;

static bool wants_peers; /* some rule looks at peer or local */

/* Addresses that getaddrinfo gave for the names of `host:` patterns. */
static struct {
    _Atomic uint32_t n;
    struct {
        char name[64];
        uint8_t addr[16];
        uint8_t len;
    } v[HOSTS];
} hosts;

/* --- memory --- */

/* Signals are blocked meanwhile: a handler may leave by siglongjmp and would never unlock. */
static void lock(void) {
    uint64_t mask = fsh_block_signals();
    while (atomic_exchange_explicit(&pool.lock, 1, memory_order_acquire))
        fsh_sys0(SYS_sched_yield);
    pool.mask = mask;
}

static void unlock(void) {
    uint64_t mask = pool.mask;
    atomic_store_explicit(&pool.lock, 0, memory_order_release);
    fsh_restore_signals(mask);
}

static void *take(size_t size) {
    size = (size + 15) & ~(size_t)15;
    if ((size_t)(pool.end - pool.at) < size) {
        size_t chunk = size > CHUNK ? size : CHUNK;
        long p = fsh_sys6(SYS_mmap, 0, chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p < 0 && p > -4096)
            return NULL;
        pool.at = (char *)p;
        pool.end = pool.at + chunk;
    }
    void *p = pool.at;
    pool.at += size;
    return p;
}

void *fsh_facts_memory(size_t size) {
    lock();
    void *p = take(size);
    unlock();
    return p;
}

static size_t match_words(uint32_t n_rules) {
    return (n_rules + 63) / 64;
}

enum { NAME_ROOM = 160 }; /* names of connections and pipes fit; paths get their own memory */

/* What is kept for each slot and rule. */
static size_t size_of_room(uint32_t slots, uint32_t rules) {
    return slots * (sizeof(struct fsh_keyed) + sizeof(struct fsh_key_state)) + match_words(rules) * 8;
}

static void divide_room(struct fsh_resource *r, char *p, uint32_t slots) {
    r->own = (void *)p;
    r->keyed = (void *)(p + slots * sizeof(struct fsh_key_state));
    r->matches = (void *)(r->keyed + slots);
    r->n_slots = slots;
}

static struct fsh_resource *build(uint32_t slots, uint32_t rules) {
    const size_t head = (sizeof(struct fsh_resource) + 31) & ~(size_t)31, room = size_of_room(slots, rules);
    char *p = take(head + room + NAME_ROOM + 64);
    if (!p)
        return NULL;
    struct fsh_resource *r = (void *)p;
    divide_room(r, p + head, slots);
    r->n_rules = rules;
    r->name_room = p + head + room;
    return r;
}

/* More room, when rules have come since. Locked. Another thread may still be counting in the old one, which stays. */
static bool widen(struct fsh_resource *r, uint32_t slots, uint32_t rules) {
    if (r->n_slots >= slots && match_words(r->n_rules) >= match_words(rules))
        return true;
    const struct fsh_resource old = *r;
    char *p = take(size_of_room(slots, rules));
    if (!p)
        return false;
    divide_room(r, p, slots);
    memcpy(r->keyed, old.keyed, old.n_slots * sizeof *r->keyed);
    memcpy(r->matches, old.matches, match_words(old.n_rules) * 8);
    return true;
}

static struct fsh_resource *obtain(void) {
    const uint32_t rules = atomic_load(&fsh_shim.n_rules), slots = atomic_load(&fsh_shim.n_slots);
    lock();
    struct fsh_resource *r = pool.spare;
    if (!r)
        r = build(slots, rules);
    else if (widen(r, slots, rules))
        pool.spare = r->next;
    else
        r = NULL;
    if (r) {
        r->is_spare = false;
        r->n_rules = rules;
    }
    unlock();
    return r;
}

static char *keep_text(const char *text, size_t len) {
    lock();
    char *p = take(len + 1);
    unlock();
    if (p) {
        memcpy(p, text, len);
        p[len] = 0;
    }
    return p;
}

static void release(struct fsh_resource *r) {
    bool is_last = atomic_fetch_sub(&r->users, 1) == 1;
    if (is_last && r->link) {
        fsh_link_drop(r->link);
        r->link = NULL;
    }
    if (r->named || !is_last || r->hash)
        return;
    if (r->counted)
        fsh_connection_closed(r);
    r->counted = COUNTED_NOT;
    lock();
    /* a descriptor that is closed while it is being copied is released twice */
    if (!r->is_spare) {
        r->next = pool.spare;
        pool.spare = r;
        r->is_spare = true;
        r->life++;
    }
    unlock();
}

/* --- small texts --- */

struct text {
    char *p;
    size_t len, size;
};

static void add(struct text *t, const char *s) {
    for (; *s && t->len + 1 < t->size; s++)
        t->p[t->len++] = *s;
    t->p[t->len] = 0;
}

static void add_number(struct text *t, uint64_t v) {
    char digits[24], *p = digits + sizeof digits;
    *--p = 0;
    do
        *--p = (char)('0' + v % 10);
    while (v /= 10);
    add(t, p);
}

static void add_hex(struct text *t, unsigned v) {
    char digits[8], *p = digits + sizeof digits;
    *--p = 0;
    do
        *--p = "0123456789abcdef"[v % 16];
    while (v /= 16);
    add(t, p);
}

/* RFC 5952: lower case, no leading zeros, the longest run of zeros as "::". */
static void add_ipv6(struct text *t, const uint8_t a[16]) {
    int best = -1, best_len = 1;
    for (int i = 0; i < 8; i++) {
        int n = 0;
        while (i + n < 8 && a[2 * (i + n)] == 0 && a[2 * (i + n) + 1] == 0)
            n++;
        if (n > best_len) {
            best = i;
            best_len = n;
        }
    }
    for (int i = 0; i < 8;) {
        if (i == best) {
            add(t, "::");
            i += best_len;
            continue;
        }
        if (i && i != best + best_len)
            add(t, ":");
        add_hex(t, (unsigned)a[2 * i] << 8 | a[2 * i + 1]);
        i++;
    }
}

static bool is_v4_mapped(const uint8_t a[16]) {
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return !memcmp(a, prefix, sizeof prefix);
}

static void add_ipv4(struct text *t, const uint8_t a[4]) {
    for (int i = 0; i < 4; i++) {
        if (i)
            add(t, ".");
        add_number(t, a[i]);
    }
}

/* "10.0.0.7:6379", "[::1]:443", "unix:/run/x.sock"; false if the address has no name. */
static bool add_address(struct text *t, const void *addr, unsigned len) {
    const struct sockaddr *sa = addr;
    if ((uintptr_t)addr < 4096 || len < sizeof sa->sa_family)
        return false;
    if (sa->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
        const struct sockaddr_in *in = addr;
        add_ipv4(t, (const uint8_t *)&in->sin_addr);
        add(t, ":");
        add_number(t, ntohs(in->sin_port));
        return true;
    }
    if (sa->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
        const struct sockaddr_in6 *in = addr;
        const uint8_t *a = (const uint8_t *)&in->sin6_addr;
        if (is_v4_mapped(a)) {
            add_ipv4(t, a + 12);
        } else {
            add(t, "[");
            add_ipv6(t, a);
            add(t, "]");
        }
        add(t, ":");
        add_number(t, ntohs(in->sin6_port));
        return true;
    }
    if (sa->sa_family == AF_UNIX && len > offsetof(struct sockaddr_un, sun_path)) {
        const struct sockaddr_un *un = addr;
        size_t n = len - offsetof(struct sockaddr_un, sun_path), from = un->sun_path[0] ? 0 : 1;
        char path[sizeof un->sun_path + 1];
        if (n > sizeof un->sun_path)
            n = sizeof un->sun_path;
        memcpy(path, un->sun_path + from, n - from);
        path[n - from] = 0;
        add(t, from ? "unix:@" : "unix:");
        add(t, path);
        return path[0] != 0;
    }
    return false;
}

static unsigned port_of(const void *addr) {
    const struct sockaddr *sa = addr;
    return sa->sa_family == AF_INET    ? ntohs(((const struct sockaddr_in *)addr)->sin_port)
           : sa->sa_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)addr)->sin6_port)
                                       : 1;
}

/* --- matching --- */

static void set_match(struct fsh_resource *r, unsigned rule, bool is_match) {
    const uint64_t bit = UINT64_C(1) << rule % 64;
    r->matches[rule / 64] = is_match ? r->matches[rule / 64] | bit : r->matches[rule / 64] & ~bit;
}

static bool path_matches(const struct fsh_rule *rule, const struct fsh_resource *r) {
    if (!rule->path.n && !rule->not_path.n)
        return true;
    if (r->name[0] != '/' && r->kind != FSH_ON_FILE)
        return !rule->path.n; /* nothing with a path: only a rule that asks for one leaves it out */
    const char *other = r->other ? r->other : r->name;
    if (rule->path.n && !fsh_any_glob(&rule->path, r->name, false) && !fsh_any_glob(&rule->path, other, false))
        return false;
    return !fsh_any_glob(&rule->not_path, r->name, false) && !fsh_any_glob(&rule->not_path, other, false);
}

static void note_host(const char *name, const uint8_t *addr, uint8_t len) {
    lock();
    uint32_t n = hosts.n;
    size_t size = strlen(name);
    bool known = size >= sizeof hosts.v[0].name;
    for (uint32_t i = 0; i < n && !known; i++)
        known = hosts.v[i].len == len && !memcmp(hosts.v[i].addr, addr, len) && !strcmp(hosts.v[i].name, name);
    if (!known && n < HOSTS) {
        memcpy(hosts.v[n].name, name, size + 1);
        memcpy(hosts.v[n].addr, addr, len);
        hosts.v[n].len = len;
        atomic_store_explicit(&hosts.n, n + 1, memory_order_release);
    }
    unlock();
}

void fsh_host_resolved(const char *name, const struct addrinfo *list) {
    for (int i = 0; name && list && i < HOSTS; list = list->ai_next, i++) {
        if (list->ai_family == AF_INET)
            note_host(name, (const uint8_t *)&((struct sockaddr_in *)list->ai_addr)->sin_addr, 4);
        else if (list->ai_family == AF_INET6)
            note_host(name, (const uint8_t *)&((struct sockaddr_in6 *)list->ai_addr)->sin6_addr, 16);
    }
}

/* "host:db.example" or "host:db.example:5432" against an address that getaddrinfo gave for that name. */
static bool host_matches(const char *pattern, const struct sockaddr *sa) {
    char name[64];
    size_t n = 0;
    const char *port = strchr(pattern, ':');
    for (; pattern[n] && pattern[n] != ':' && n + 1 < sizeof name; n++)
        name[n] = pattern[n];
    name[n] = 0;
    const uint8_t *addr = sa->sa_family == AF_INET    ? (const uint8_t *)&((const struct sockaddr_in *)sa)->sin_addr
                          : sa->sa_family == AF_INET6 ? (const uint8_t *)&((const struct sockaddr_in6 *)sa)->sin6_addr
                                                      : NULL;
    if (!addr)
        return false;
    if (port) {
        char digits[24];
        struct text t = {digits, 0, sizeof digits};
        add_number(&t, port_of(sa));
        if (!fsh_glob(port + 1, digits, true))
            return false;
    }
    uint32_t known = atomic_load_explicit(&hosts.n, memory_order_acquire);
    uint8_t len = sa->sa_family == AF_INET ? 4 : 16;
    for (uint32_t i = 0; i < known; i++)
        if (hosts.v[i].len == len && !memcmp(hosts.v[i].addr, addr, len) && fsh_glob(name, hosts.v[i].name, true))
            return true;
    return false;
}

static bool address_matches(const struct fsh_texts *patterns, const void *addr, unsigned len) {
    char buf[192] = "";
    struct text t = {buf, 0, sizeof buf};
    if (!addr || !add_address(&t, addr, len))
        return false;
    for (unsigned i = 0; i < patterns->n; i++) {
        const char *p = patterns->v[i];
        if (!strncmp(p, "host:", 5) ? host_matches(p + 5, addr) : fsh_glob(p, buf, true))
            return true;
    }
    return false;
}

struct ends {
    const void *peer, *local;
    unsigned peer_len, local_len;
    const char *host; /* of getaddrinfo */
};

static bool ends_match(const struct fsh_rule *rule, const struct ends *ends) {
    if (rule->peer.n) {
        bool hit = address_matches(&rule->peer, ends->peer, ends->peer_len);
        for (unsigned i = 0; i < rule->peer.n && !hit && ends->host; i++)
            hit = !strncmp(rule->peer.v[i], "host:", 5) && fsh_glob(rule->peer.v[i] + 5, ends->host, true);
        if (!hit)
            return false;
    }
    return !rule->local.n || address_matches(&rule->local, ends->local, ends->local_len);
}

static void match_rules(struct fsh_resource *r, const struct ends *ends, unsigned from) {
    for (unsigned i = from; i < r->n_rules; i++)
        set_match(r, i, path_matches(fsh_shim.rules[i], r) && ends_match(fsh_shim.rules[i], ends));
}

/* --- counters --- */

/* The session's counters for one rule and key, shared by all processes; NULL when the table is full. */
struct fsh_key_state *fsh_shared_counters(uint64_t rule_hash, uint64_t key, bool make) {
    uint64_t want = fsh_fold(rule_hash, key) | 1;
    struct fsh_key_state *table = fsh_shim.session.keys;
    for (unsigned i = 0; table && i < 64; i++) {
        struct fsh_key_state *k = &table[(want + i) % FSH_KEYS];
        uint64_t have = atomic_load_explicit(&k->key, memory_order_relaxed);
        if (have == 0 && !make)
            return NULL;
        if (have == want || (have == 0 && atomic_compare_exchange_strong(&k->key, &have, want)) || have == want)
            return k;
    }
    if (make)
        atomic_fetch_add(&fsh_shim.session.header->keys_full, 1);
    return NULL;
}

/* Counters of a call site: a hash table in the session only; a full one counts by rule and process (NULL). */
struct fsh_key_state *fsh_site_counters(unsigned rule, uint64_t key) {
    return fsh_shared_counters(fsh_shim.rules[rule]->counters, key, true);
}

static void attach_counters(struct fsh_resource *r, unsigned from) {
    for (unsigned i = from; i < r->n_rules; i++) {
        unsigned slot = fsh_shim.slots[i];
        if (slot == FSH_NO_SLOT)
            continue;
        memset(&r->own[slot], 0, sizeof r->own[slot]);
        struct fsh_key_state *shared = NULL;
        if (r->named && (r->matches[i / 64] >> i % 64 & 1))
            shared = fsh_shared_counters(fsh_shim.rules[i]->counters, r->key, true);
        r->keyed[slot].counters = shared ? shared : &r->own[slot];
        r->keyed[slot].stream = fsh_stream(fsh_shim.plan->seed, fsh_shim.rules[i]->hash, r->key);
    }
}

void fsh_resource_tell(struct fsh_resource *r) {
    if (r->is_told)
        return;
    r->is_told = true;
    struct fsh_thread *t = fsh_tls.thread;
    struct fsh_fields f = {.len = 0};
    const char *other = r->other ? r->other : "";
    fsh_put_varint(&f, r->number);
    fsh_put_varint(&f, r->kind);
    fsh_put_u64(&f, r->key);
    fsh_put_text(&f, r->name, strlen(r->name));
    fsh_put_text(&f, other, strlen(other));
    fsh_pen_record(&t->pen, &fsh_shim.session, OP_RESOURCE, f.bytes, f.len);
}

/* It has a new number. */
static void introduce(struct fsh_resource *r) {
    r->is_told = false;
    if (!fsh_tls.thread->pen.counting)
        fsh_resource_tell(r);
}

/* Everything but name and key, which the caller has set. */
static struct fsh_resource *finish(struct fsh_resource *r, enum fsh_kind kind, bool named, const struct ends *ends) {
    r->kind = (uint8_t)kind;
    r->named = named;
    /* rules that have come meanwhile are looked at when it is used next */
    r->generation = fsh_fds.generation - (r->n_rules < atomic_load(&fsh_shim.n_rules));
    r->is_random = kind == FSH_ON_FILE && (!strcmp(r->name, "/dev/urandom") || !strcmp(r->name, "/dev/random"));
    r->number = atomic_fetch_add_explicit(&fsh_shim.session.header->resources, 1, memory_order_relaxed) + 1;
    match_rules(r, ends, 0);
    attach_counters(r, 0);
    introduce(r);
    return r;
}

/* But for its place in a list. */
static void clear(struct fsh_resource *r) {
    r->name = r->name_room;
    r->name[0] = 0;
    r->other = NULL;
    r->socket = NULL;
    r->connections = 0;
    r->is_fresh = r->is_connection = false;
    r->counted = COUNTED_NOT;
    r->link = NULL;
    atomic_store(&r->users, 0);
}

static struct fsh_resource *blank(void) {
    struct fsh_resource *r = obtain();
    if (!r)
        return NULL;
    clear(r);
    r->next = NULL;
    r->hash = 0;
    return r;
}

/* --- what has no name: the thread that made it (or first used it), and the count there --- */

static struct text name_of(struct fsh_resource *r) {
    return (struct text){r->name, strlen(r->name), NAME_ROOM};
}

static void number_unnamed(struct fsh_resource *r, const char *what) {
    uint32_t count = ++fsh_tls.unnamed;
    struct text t = name_of(r);
    add(&t, what);
    add(&t, "#");
    add(&t, fsh_shim.process.name);
    add(&t, "/");
    add(&t, fsh_tls.id.name);
    add(&t, ":");
    add_number(&t, count);
    r->key = fsh_fold(fsh_fold(fsh_tls.thread->key, fsh_hash(what, strlen(what))), count);
}

static struct fsh_resource *unnamed(enum fsh_kind kind, const char *what, const struct ends *ends) {
    struct fsh_resource *r = blank();
    if (!r)
        return NULL;
    number_unnamed(r, what);
    return finish(r, kind, false, ends);
}

static const struct ends no_ends;

/* Rules that have come since it was last looked at. Locked. */
static bool match_more(struct fsh_resource *r, const struct ends *ends) {
    const uint32_t rules = atomic_load(&fsh_shim.n_rules), before = r->n_rules;
    if (!widen(r, atomic_load(&fsh_shim.n_slots), rules))
        return false;
    r->n_rules = rules;
    match_rules(r, ends, before);
    attach_counters(r, before);
    fsh_connection_matched(r, before);
    return true;
}

/* A child that uses what its parent numbered counts for itself. NULL: there is no memory. */
static struct fsh_resource *renew(struct fsh_resource *old, const struct ends *ends) {
    const uint32_t now = __atomic_load_n(&fsh_fds.generation, __ATOMIC_ACQUIRE);
    bool good = true;
    if ((old->generation & ~FSH_LINKED) == now)
        return old;
    lock();
    const uint32_t then = old->generation & ~FSH_LINKED;
    if (then != now && old->n_rules < atomic_load(&fsh_shim.n_rules))
        good = match_more(old, ends);
    if (good && then / FSH_FORK != now / FSH_FORK && !old->named) {
        old->key = fsh_fold(old->key, fsh_shim.process.key);
        old->number = atomic_fetch_add_explicit(&fsh_shim.session.header->resources, 1, memory_order_relaxed) + 1;
        attach_counters(old, 0);
        introduce(old);
    }
    if (good) /* last: from here on the short way takes it as it is */
        __atomic_store_n(&old->generation, now | (old->link ? FSH_LINKED : 0), __ATOMIC_RELEASE);
    unlock();
    return good ? old : NULL;
}

void fsh_resource_link(struct fsh_resource *r, struct fsh_link *link) {
    r->link = link;
    r->generation = (fsh_fds.generation - (r->n_rules < atomic_load(&fsh_shim.n_rules))) | FSH_LINKED;
}

/* --- the table by name --- */

static struct fsh_resource *look_up(uint64_t hash, const char *name, const struct ends *ends) {
    struct fsh_resource *r = atomic_load_explicit(&buckets[hash % BUCKETS], memory_order_acquire);
    for (; r; r = r->next)
        if (r->hash == hash && (!strcmp(r->name, name) || (r->other && !strcmp(r->other, name))))
            return renew(r, ends);
    return NULL;
}

static void insert(struct fsh_resource *r, uint64_t hash) {
    struct fsh_resource *head = atomic_load_explicit(&buckets[hash % BUCKETS], memory_order_relaxed);
    r->hash = hash;
    do
        r->next = head;
    while (!atomic_compare_exchange_weak_explicit(&buckets[hash % BUCKETS], &head, r, memory_order_release, memory_order_relaxed));
}

/* --- files --- */

static const char *fd_link(int fd, char out[FSH_PATH_MAX]) {
    char path[40] = "/proc/self/fd/";
    struct text t = {path, 14, sizeof path};
    add_number(&t, (uint64_t)fd);
    long n = fsh_sys4(SYS_readlinkat, AT_FDCWD, path, out, FSH_PATH_MAX - 1);
    if (n <= 0)
        return NULL;
    out[n] = 0;
    return out;
}

/* Where the paths of a look-up stand: the name asked for, what it starts from or what the kernel calls it, its directory. */
enum { SCRATCH_NAME, SCRATCH_OTHER, SCRATCH_DIR };
static char *scratch(unsigned which) {
    return fsh_tls.thread->scratch[which];
}

/* The kernel's name for a path: links followed. For what does not exist, that of its directory and the last component. Names below
 * /proc stay as they are: the kernel puts the process id in the place of "self". */
static bool canonical(const char *path, char out[FSH_PATH_MAX]) {
    if (!strncmp(path, "/proc/", 6))
        return false;
    long fd = fsh_sys4(SYS_openat, AT_FDCWD, path, O_PATH | O_CLOEXEC, 0);
    if (fd >= 0) {
        bool ok = fd_link((int)fd, out) && out[0] == '/';
        fsh_sys1(SYS_close, fd);
        return ok;
    }
    const char *last = strrchr(path, '/');
    if (fd != -ENOENT || !last || last == path)
        return false;
    char *dir = scratch(SCRATCH_DIR);
    memcpy(dir, path, (size_t)(last - path));
    dir[last - path] = 0;
    fd = fsh_sys4(SYS_openat, AT_FDCWD, dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool ok = fd_link((int)fd, out) && out[0] == '/';
    fsh_sys1(SYS_close, fd);
    size_t n = ok ? strlen(out) : 0;
    if (!ok || n + strlen(last) + 1 > FSH_PATH_MAX)
        return false;
    if (n == 1)
        n = 0;
    memcpy(out + n, last, strlen(last) + 1);
    return true;
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

/* What is the same under its name for all processes and runs. */
static struct fsh_resource *named(enum fsh_kind kind, const struct text *name, const struct ends *ends) {
    uint64_t hash = fsh_hash(name->p, name->len) | 1;
    struct fsh_resource *r = look_up(hash, name->p, ends);
    if (r || !(r = blank()))
        return r;
    memcpy(r->name, name->p, name->len + 1);
    r->key = hash;
    finish(r, kind, true, ends);
    insert(r, hash);
    return r;
}

enum { FILES_MAX = 1 << 18 }; /* known by name in this process; all further ones are one resource, so that memory has a bound */
static _Atomic uint32_t n_files;

static struct fsh_resource *other_files(void) {
    char name[] = "(other files)";
    const struct text t = {name, sizeof name - 1, sizeof name};
    return named(FSH_ON_FILE, &t, &no_ends);
}

/* `name` is absolute. `drawn`: its name comes from a generator, so it counts as unnamed. */
static struct fsh_resource *new_file(const char *name, bool drawn, uint64_t hash) {
    char *real = scratch(SCRATCH_OTHER);
    if (atomic_fetch_add_explicit(&n_files, 1, memory_order_relaxed) >= FILES_MAX)
        return other_files();
    struct fsh_resource *r = blank();
    if (!r)
        return NULL;
    bool other = !drawn && canonical(name, real) && strcmp(real, name) != 0 && !ends_with(real, " (deleted)");
    const char *shown = other ? real : name;
    if (drawn)
        number_unnamed(r, "file");
    else
        r->key = fsh_key_of_path(&fsh_shim.places, shown);
    r->name = keep_text(shown, strlen(shown));
    r->other = other ? keep_text(name, strlen(name)) : NULL;
    if (!r->name || (other && !r->other))
        return NULL;
    finish(r, FSH_ON_FILE, !drawn, &no_ends);
    insert(r, hash);
    return r;
}

static bool absolute(int dirfd, const char *path, char out[FSH_PATH_MAX]) {
    char *base = scratch(SCRATCH_OTHER);
    if (*path != '/') {
        if (dirfd == AT_FDCWD) {
            long n = fsh_sys2(SYS_getcwd, base, FSH_PATH_MAX);
            if (n <= 0)
                return false;
        } else if (!fd_link(dirfd, base)) {
            return false;
        }
    }
    return fsh_path_absolute(out, base, path) > 0;
}

struct fsh_resource *fsh_resource_of_path(int dirfd, const char *path, int oflags) {
    char *name = scratch(SCRATCH_NAME);
    if ((uintptr_t)path < 4096 || !*path || !absolute(dirfd, path, name))
        return NULL;
    if ((oflags & O_TMPFILE) == O_TMPFILE)
        return unnamed(FSH_ON_FILE, "file", &no_ends);
    uint64_t hash = fsh_hash(name, strlen(name)) | 1;
    struct fsh_resource *r = look_up(hash, name, &no_ends);
    bool drawn = oflags & FSH_DRAWN || fsh_tls.draws ||
                 ((oflags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) && fsh_path_is_temporary(&fsh_shim.places, name));
    return r ? r : new_file(name, drawn, hash);
}

struct fsh_resource *fsh_resource_of_host(const char *host) {
    char name[NAME_ROOM - 8] = "host:";
    struct text t = {name, 5, sizeof name};
    if ((uintptr_t)host < 4096)
        return NULL;
    add(&t, host);
    const struct ends ends = {.host = host};
    return named(FSH_ON_NONE, &t, &ends);
}

/* --- sockets --- */

static bool is_datagram(int fd) {
    int type = 0;
    socklen_t len = sizeof type;
    fsh_sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &len);
    return type != SOCK_STREAM;
}

static const char *protocol(const void *addr, bool datagram) {
    int family = ((const struct sockaddr *)addr)->sa_family;
    return family == AF_UNIX ? "" : datagram ? "udp:" : "tcp:";
}

struct address {
    struct sockaddr_storage addr;
    socklen_t len;
};

static bool ask(long nr, int fd, struct address *a) {
    a->len = sizeof a->addr;
    return fsh_sys3(nr, fd, &a->addr, &a->len) == 0 && a->len > sizeof(sa_family_t) && a->len <= sizeof a->addr;
}

static const void *address_or_null(bool ok, const struct address *a) {
    return ok ? (const void *)&a->addr : NULL;
}

static struct fsh_resource *counted(int fd, struct fsh_resource *r, enum fsh_counted how) {
    if (r->kind == FSH_ON_STREAM && fsh_shim.plan->limits_connections)
        fsh_connection_opened(fd, r, how);
    return r;
}

/* The connection to `peer`, numbered in this thread. */
static struct fsh_resource *connection(int fd, const void *peer, unsigned len) {
    struct fsh_resource *r = blank();
    if (!r)
        return NULL;
    bool datagram = is_datagram(fd);
    struct text t = name_of(r);
    add(&t, protocol(peer, datagram));
    if (!add_address(&t, peer, len))
        add(&t, "socket");
    uint64_t base = fsh_hash(r->name, t.len);
    add(&t, "#");
    uint32_t count = ++fsh_tls.unnamed;
    add(&t, fsh_shim.process.name);
    add(&t, "/");
    add(&t, fsh_tls.id.name);
    add(&t, ":");
    add_number(&t, count);
    r->key = fsh_fold(fsh_fold(fsh_tls.thread->key, base), count);
    r->is_connection = true;
    struct address local;
    bool has_local = wants_peers && ask(SYS_getsockname, fd, &local);
    const struct ends ends = {peer, address_or_null(has_local, &local), len, has_local ? local.len : 0, NULL};
    finish(r, datagram ? FSH_ON_DGRAM : FSH_ON_STREAM, false, &ends);
    return counted(fd, r, COUNTED_CONNECTED);
}

/* A socket bound to an address: named by it, unless the kernel draws the port. */
static struct fsh_resource *bound(int fd, const void *local, unsigned len) {
    bool datagram = is_datagram(fd);
    char name[NAME_ROOM] = "";
    struct text t = {name, 0, sizeof name};
    add(&t, protocol(local, datagram));
    const struct ends ends = {.local = local, .local_len = len};
    enum fsh_kind kind = datagram ? FSH_ON_DGRAM : FSH_ON_STREAM;
    if (!add_address(&t, local, len) || port_of(local) == 0)
        return unnamed(kind, datagram ? "datagrams" : "listener", &ends);
    return named(kind, &t, &ends);
}

enum { PEERS_MAX = 1 << 16 }; /* of one socket; datagrams to those beyond count as the socket's */

/* A peer whose socket is gone, in that bucket: it stays in its place and becomes another. Programs with a socket for each question
 * would leave one behind each time. */
static struct fsh_resource *take_orphan(uint64_t hash) {
    lock();
    struct fsh_resource *r = atomic_load_explicit(&buckets[hash % BUCKETS], memory_order_acquire);
    while (r && !(r->hash && r->socket && r->socket->life != r->socket_life))
        r = r->next;
    const uint32_t rules = atomic_load(&fsh_shim.n_rules);
    if (r && widen(r, atomic_load(&fsh_shim.n_slots), rules)) {
        r->n_rules = rules;
        r->hash = 0; /* found by nobody until it is whole */
    } else {
        r = NULL;
    }
    unlock();
    if (r)
        clear(r);
    return r;
}

/* One peer of an unconnected datagram socket: the same for all datagrams that go there. */
static struct fsh_resource *datagram_peer(struct fsh_resource *socket, const void *peer, unsigned len) {
    char name[NAME_ROOM] = "";
    struct text t = {name, 0, sizeof name};
    add(&t, protocol(peer, true));
    if (!add_address(&t, peer, len))
        return socket;
    const char *of = strrchr(socket->name, '#');
    add(&t, of ? "" : "<-");
    add(&t, of ? of : socket->name);
    uint64_t hash = fsh_fold(socket->key, fsh_hash(name, t.len)) | 1;
    const struct ends ends = {.peer = peer, .peer_len = len};
    struct fsh_resource *r = look_up(hash, name, &ends);
    if (r)
        return r;
    if (__atomic_add_fetch(&socket->connections, 1, __ATOMIC_RELAXED) > PEERS_MAX)
        return socket;
    struct fsh_resource *orphan = take_orphan(hash);
    r = orphan ? orphan : blank();
    if (!r)
        return socket;
    memcpy(r->name, name, t.len + 1);
    r->socket = socket;
    r->socket_life = socket->life;
    char bare[NAME_ROOM] = "";
    struct text b = {bare, 0, sizeof bare};
    add_address(&b, peer, len);
    r->key = fsh_fold(socket->key, fsh_hash(bare, b.len));
    finish(r, socket->kind, false, &ends);
    if (orphan)
        __atomic_store_n(&r->hash, hash, __ATOMIC_RELEASE);
    else
        insert(r, hash);
    return r;
}

/* connect is called again when it was interrupted or has not finished: that is still the same connection. */
static bool is_connection_to(const struct fsh_resource *socket, const void *peer, unsigned len) {
    char name[NAME_ROOM] = "";
    struct text t = {name, 0, sizeof name};
    add(&t, protocol(peer, socket->kind == FSH_ON_DGRAM));
    return socket->is_connection && add_address(&t, peer, len) && !strncmp(socket->name, name, t.len) && socket->name[t.len] == '#';
}

struct fsh_resource *fsh_resource_of_address(enum fsh_call call, int fd, const void *addr, unsigned len) {
    bool direct;
    struct fsh_resource *socket = fsh_resource_of_fd(fd, &direct);
    if (!socket || (socket->kind != FSH_ON_STREAM && socket->kind != FSH_ON_DGRAM) || len < sizeof(sa_family_t) ||
        !fsh_can_read(addr, len < sizeof(struct sockaddr_storage) ? len : sizeof(struct sockaddr_storage)))
        return socket;
    /* connecting to AF_UNSPEC dissolves the association: connect(2) */
    if (((const struct sockaddr *)addr)->sa_family == AF_UNSPEC)
        return socket;
    if (call != CALL_connect && call != CALL_bind)
        return datagram_peer(socket, addr, len);
    /* bind is called again with another address when the first was taken */
    bool known = call == CALL_bind ? !socket->is_fresh && (socket->is_connection || !socket->named || !port_of(addr))
                                   : is_connection_to(socket, addr, len);
    if (known)
        return socket;
    struct fsh_resource *r = call == CALL_bind ? bound(fd, addr, len) : connection(fd, addr, len);
    if (!r || r == socket)
        return socket;
    fsh_fd_opened(fd, r, false);
    return r;
}

static struct fsh_resource *accepted(struct fsh_resource *listener, int fd) {
    struct fsh_resource *r = blank();
    if (!r)
        return NULL;
    struct text t = name_of(r);
    uint32_t count = __atomic_add_fetch(&listener->connections, 1, __ATOMIC_RELAXED);
    add(&t, listener->name);
    add(&t, "<-");
    add_number(&t, count);
    r->key = fsh_fold(fsh_fold(listener->key, fsh_shim.process.key), count);
    struct address peer, local;
    bool has_peer = wants_peers && ask(SYS_getpeername, fd, &peer), has_local = wants_peers && ask(SYS_getsockname, fd, &local);
    const struct ends ends = {address_or_null(has_peer, &peer), address_or_null(has_local, &local), has_peer ? peer.len : 0,
                              has_local ? local.len : 0, NULL};
    finish(r, is_datagram(fd) ? FSH_ON_DGRAM : FSH_ON_STREAM, false, &ends);
    return counted(fd, r, COUNTED_ACCEPTED);
}

void fsh_fd_accepted(int listener_fd, int fd) {
    bool direct;
    fsh_fd_forget(fd);
    struct fsh_resource *listener = fsh_resource_of_fd(listener_fd, &direct), *r = listener ? accepted(listener, fd) : NULL;
    if (r)
        fsh_fd_opened(fd, r, false);
}

/* A socket found open: connected, listening, or neither. */
static struct fsh_resource *found_socket(int fd) {
    struct address a;
    int listens = 0;
    socklen_t len = sizeof listens;
    if (ask(SYS_getpeername, fd, &a) && (a.addr.ss_family != AF_UNIX || a.len > 2))
        return connection(fd, &a.addr, a.len);
    fsh_sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len);
    if (ask(SYS_getsockname, fd, &a) && (listens || (port_of(&a.addr) && a.addr.ss_family != AF_UNIX)))
        return bound(fd, &a.addr, a.len);
    struct fsh_resource *r = unnamed(is_datagram(fd) ? FSH_ON_DGRAM : FSH_ON_STREAM, "socket", &no_ends);
    if (r)
        r->is_fresh = true;
    return r;
}

/* --- descriptors --- */

static bool is_terminal(int fd) {
    char termios[64];
    return fsh_sys3(SYS_ioctl, fd, 0x5401 /* TCGETS */, termios) == 0;
}

static struct fsh_resource *found_file(int fd, bool is_char) {
    char *path = scratch(SCRATCH_NAME);
    if (is_char && is_terminal(fd))
        return unnamed(FSH_ON_PIPE, "terminal", &no_ends);
    if (!fd_link(fd, path) || path[0] != '/' || ends_with(path, " (deleted)"))
        return unnamed(FSH_ON_FILE, "file", &no_ends);
    uint64_t hash = fsh_hash(path, strlen(path)) | 1;
    struct fsh_resource *r = look_up(hash, path, &no_ends);
    return r ? r : new_file(path, false, hash);
}

static struct fsh_resource *found_pipe(int fd) {
    char *path = scratch(SCRATCH_NAME);
    if (!fd_link(fd, path) || path[0] != '/')
        return unnamed(FSH_ON_PIPE, "pipe", &no_ends);
    uint64_t hash = fsh_hash(path, strlen(path)) | 1;
    struct fsh_resource *r = look_up(hash, path, &no_ends);
    if (r && r->kind == FSH_ON_PIPE)
        return r;
    if (!(r = blank()))
        return NULL;
    r->name = keep_text(path, strlen(path));
    r->key = fsh_key_of_path(&fsh_shim.places, path);
    if (!r->name)
        return NULL;
    finish(r, FSH_ON_PIPE, true, &no_ends);
    insert(r, hash);
    return r;
}

static struct fsh_resource *discover(int fd, bool *direct) {
    struct stat st;
    if (fsh_sys2(SYS_fstat, fd, &st) < 0)
        return NULL;
    *direct = false;
    switch (st.st_mode & S_IFMT) {
    case S_IFSOCK:
        return found_socket(fd);
    case S_IFIFO:
        return found_pipe(fd);
    case S_IFREG:
    case S_IFDIR:
    case S_IFBLK:
    case S_IFCHR: {
        long flags = fsh_sys2(SYS_fcntl, fd, F_GETFL);
        *direct = flags >= 0 && (flags & O_DIRECT);
        return found_file(fd, (st.st_mode & S_IFMT) == S_IFCHR);
    }
    default:
        return unnamed(FSH_ON_EVENT, "event", &no_ends);
    }
}

/* Its addresses are asked for again, where rules have come that may look at them. */
static struct fsh_resource *renew_socket(struct fsh_resource *r, int fd) {
    struct address peer, local;
    if ((r->kind != FSH_ON_STREAM && r->kind != FSH_ON_DGRAM) || !wants_peers || r->n_rules == atomic_load(&fsh_shim.n_rules))
        return renew(r, &no_ends);
    bool has_peer = ask(SYS_getpeername, fd, &peer), has_local = ask(SYS_getsockname, fd, &local);
    const struct ends ends = {address_or_null(has_peer, &peer), address_or_null(has_local, &local), has_peer ? peer.len : 0,
                              has_local ? local.len : 0, NULL};
    return renew(r, &ends);
}

struct fsh_resource *fsh_resource_found(int fd, bool *direct) {
    *direct = false;
    if (fd < 0 || fd == fsh_shim.session.fd)
        return NULL;
    uintptr_t word = (unsigned)fd < fsh_fds.n ? atomic_load_explicit(&fsh_fds.v[fd], memory_order_acquire) : 0;
    if (word) {
        *direct = word & 1;
        return renew_socket((struct fsh_resource *)(word & ~(uintptr_t)1), fd);
    }
    struct fsh_resource *r = discover(fd, direct);
    if (r)
        fsh_fd_opened(fd, r, *direct);
    return r;
}

void fsh_fd_opened(int fd, struct fsh_resource *r, bool direct) {
    if (fd < 0 || (unsigned)fd >= fsh_fds.n)
        return;
    atomic_fetch_add(&r->users, 1);
    uintptr_t old = atomic_exchange(&fsh_fds.v[fd], (uintptr_t)r | direct);
    if (old)
        release((struct fsh_resource *)(old & ~(uintptr_t)1));
}

void fsh_fd_forget(int fd) {
    if (fd < 0 || (unsigned)fd >= fsh_fds.n || !atomic_load_explicit(&fsh_fds.v[fd], memory_order_relaxed))
        return;
    uintptr_t old = atomic_exchange(&fsh_fds.v[fd], 0);
    fsh_description_forgotten(fd);
    if (old)
        release((struct fsh_resource *)(old & ~(uintptr_t)1));
}

void fsh_fd_forget_range(unsigned first, unsigned last) {
    for (unsigned fd = first; fd <= last && fd < fsh_fds.n; fd++)
        fsh_fd_forget((int)fd);
}

void fsh_fd_copied(int from, int to) {
    bool direct;
    if (from == to)
        return;
    fsh_fd_forget(to);
    fsh_description_copied(from, to);
    struct fsh_resource *r = fsh_resource_of_fd(from, &direct);
    if (r)
        fsh_fd_opened(to, r, direct);
}

void fsh_fd_set_direct(int fd, bool direct) {
    if (fd < 0 || (unsigned)fd >= fsh_fds.n)
        return;
    uintptr_t word = atomic_load(&fsh_fds.v[fd]);
    if (word)
        atomic_compare_exchange_strong(&fsh_fds.v[fd], &word, (word & ~(uintptr_t)1) | direct);
}

void fsh_fd_socket(int fd) {
    struct fsh_resource *r = unnamed(is_datagram(fd) ? FSH_ON_DGRAM : FSH_ON_STREAM, "socket", &no_ends);
    if (!r)
        return;
    r->is_fresh = true;
    fsh_fd_opened(fd, r, false);
}

void fsh_fd_opened_path(int fd, int dirfd, const char *path, int oflags) {
    fsh_fd_forget(fd);
    struct stat st;
    /* FIFOs, terminals and deleted files are told apart when they are first used */
    if ((oflags & (O_TMPFILE | O_PATH)) || fsh_sys2(SYS_fstat, fd, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
        return;
    struct fsh_resource *r = fsh_resource_of_path(dirfd, path, oflags);
    if (r)
        fsh_fd_opened(fd, r, oflags & O_DIRECT);
    fsh_description_opened(fd);
}

void fsh_fd_made_pair(const int fds[2]) {
    bool direct;
    for (int i = 0; i < 2; i++) {
        fsh_fd_forget(fds[i]);
        fsh_resource_of_fd(fds[i], &direct);
    }
}

/* --- start and fork --- */

static _Atomic uintptr_t *map_fds(size_t n) {
    long p =
        fsh_sys6(SYS_mmap, 0, n * sizeof *fsh_fds.v, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p < 0 && p > -4096 ? NULL : (_Atomic uintptr_t *)p;
}

void fsh_facts_loaded(unsigned load) {
    uint32_t have = __atomic_load_n(&fsh_fds.generation, __ATOMIC_ACQUIRE);
    while (have % FSH_FORK < load && !__atomic_compare_exchange_n(&fsh_fds.generation, &have, have - have % FSH_FORK + load, false,
                                                                  __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        ;
}

int fsh_facts_start(void) {
    struct rlimit limit = {FDS_MIN, FDS_MIN};
    fsh_sys4(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, &limit);
    size_t n = limit.rlim_max < FDS_MAX ? limit.rlim_max : FDS_MAX;
    n = n < FDS_MIN ? FDS_MIN : n;
    fsh_fds.v = map_fds(n);
    if (!fsh_fds.v) {
        n = FDS_MIN;
        fsh_fds.v = map_fds(n);
    }
    static _Atomic uintptr_t fewest[3]; /* those that are never looked up quickly */
    fsh_fds.n = fsh_fds.v ? (unsigned)n : 3;
    if (!fsh_fds.v)
        fsh_fds.v = fewest;
    wants_peers = fsh_shim.plan->profile->options.control == REACH_FULL;
    for (unsigned i = 0; i < fsh_shim.n_rules; i++)
        wants_peers |= fsh_shim.rules[i]->peer.n || fsh_shim.rules[i]->local.n;
    fsh_connections_start();
    return 0;
}

void fsh_facts_fork(void) {
    fsh_fds.generation += FSH_FORK;
    /* another thread of the parent may have been in the middle of it */
    if (atomic_exchange(&pool.lock, 0)) {
        pool.at = pool.end = NULL;
        pool.spare = NULL;
    }
    fsh_detour_fork();
    fsh_connections_fork();
}
