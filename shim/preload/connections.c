/* connections.c: see connections.h. */
#include "connections.h"

#include <stdatomic.h>
#include <sys/stat.h>

#include "plans.h"
#include "session.h"

#include "poison.h"

enum { TRIED = 128 };

static uint64_t last_before_fork;

static struct fsh_connection_state *slot(uint64_t inode, unsigned i) {
    return &fsh_shim.session.connections[(fsh_mix(inode) + i) % FSH_CONNECTIONS];
}

/* Whether a rule limits calls that make such connections. */
static bool limits(unsigned rule, enum fsh_counted how) {
    const uint8_t class = how == COUNTED_ACCEPTED ? C_NET_ACCEPT : C_NET_CONNECT;
    const struct fsh_rule *r = fsh_shim.rules[rule];
    const struct fsh_plan *plan = fsh_plans_with(rule);
    bool storms = false;
    for (unsigned i = 0; i < r->n_faults; i++)
        storms |= r->faults[i].kind == FAULT_STORM;
    for (unsigned call = 0; storms && how != COUNTED_NOT && call < FSH_CALLS; call++)
        for (unsigned i = 0; fsh_calls[call].class_of[FSH_ON_STREAM] == class && i < plan->on[call][FSH_ON_STREAM].n; i++)
            if (plan->on[call][FSH_ON_STREAM].v[i].rule == rule)
                return true;
    return false;
}

/* Without room it does not count. */
static void enter(unsigned rule, uint64_t inode, uint64_t number) {
    for (unsigned i = 0; i < TRIED; i++) {
        struct fsh_connection_state *c = slot(inode, i);
        uint32_t none = 0;
        if (!atomic_compare_exchange_strong(&c->pid, &none, fsh_shim.owner.pid))
            continue;
        c->rule = rule;
        c->inode = inode;
        c->number = number;
        c->ns_inode = fsh_shim.owner.ns_inode;
        return;
    }
}

void fsh_connection_opened(int fd, struct fsh_resource *r, enum fsh_counted how) {
    struct stat st;
    if (!fsh_shim.session.connections || fsh_sys2(SYS_fstat, fd, &st) < 0)
        return;
    r->counted = (uint8_t)how;
    r->inode = st.st_ino;
    fsh_connection_matched(r, 0);
}

void fsh_connection_matched(const struct fsh_resource *r, unsigned from) {
    const enum fsh_counted how = (enum fsh_counted)r->counted;
    for (unsigned i = from; fsh_shim.session.connections && how != COUNTED_NOT && i < r->n_rules; i++)
        if (r->matches[i / 64] >> i % 64 & 1 && limits(i, how))
            enter(i, r->inode, atomic_fetch_add(&fsh_shim.session.header->connection, 1) + 1);
}

void fsh_connection_closed(const struct fsh_resource *r) {
    for (unsigned i = 0; fsh_shim.session.connections && i < TRIED; i++) {
        struct fsh_connection_state *c = slot(r->inode, i);
        if (atomic_load(&c->pid) == fsh_shim.owner.pid && c->inode == r->inode && c->ns_inode == fsh_shim.owner.ns_inode)
            atomic_store(&c->pid, 0);
    }
}

/* A process in another namespace can't be asked for. */
static bool is_open(struct fsh_connection_state *c, uint32_t *alive) {
    uint32_t pid = atomic_load(&c->pid);
    if (!pid || pid == fsh_shim.owner.pid || pid == *alive || c->ns_inode != fsh_shim.owner.ns_inode)
        return pid != 0;
    if (fsh_sys2(SYS_kill, pid, 0) != -ESRCH) {
        *alive = pid;
        return true;
    }
    atomic_compare_exchange_strong(&c->pid, &pid, 0);
    return false;
}

/* Another process's entry for the same connection stands before it. */
static bool is_again(const struct fsh_connection_state *c, uint32_t *alive) {
    for (unsigned i = 0; i < TRIED; i++) {
        struct fsh_connection_state *before = slot(c->inode, i);
        if (before == c)
            return false;
        if (before->inode == c->inode && before->rule == c->rule && is_open(before, alive))
            return true;
    }
    return false;
}

uint64_t fsh_open_connections(unsigned rule, const struct fsh_resource *r) {
    struct fsh_connection_state *v = fsh_shim.session.connections;
    const uint64_t own = r && r->counted ? r->inode : 0;
    uint64_t n = 0;
    uint32_t alive = 0;
    for (unsigned i = 0; v && i < FSH_CONNECTIONS; i++)
        if (atomic_load_explicit(&v[i].pid, memory_order_relaxed) && v[i].rule == rule && v[i].inode != own &&
            is_open(&v[i], &alive) && !is_again(&v[i], &alive))
            n++;
    return n;
}

static void forget_own(void) {
    for (unsigned i = 0; fsh_shim.session.connections && i < FSH_CONNECTIONS; i++) {
        struct fsh_connection_state *c = &fsh_shim.session.connections[i];
        if (atomic_load(&c->pid) == fsh_shim.owner.pid && c->ns_inode == fsh_shim.owner.ns_inode)
            atomic_store(&c->pid, 0);
    }
}

void fsh_connections_start(void) {
    forget_own();
}

/* One that nobody waits for is dead, and still there to be asked for. */
__attribute__((destructor)) static void forget_at_exit(void) {
    if (fsh_shim.ready)
        forget_own();
}

void fsh_connections_fork_before(void) {
    last_before_fork = fsh_shim.session.connections ? atomic_load(&fsh_shim.session.header->connection) : 0;
}

/* Not what the parent has opened since. */
void fsh_connections_fork(void) {
    const uint32_t parent = fsh_shim.places.pids[1];
    for (unsigned i = 0; fsh_shim.session.connections && i < FSH_CONNECTIONS; i++) {
        const struct fsh_connection_state *c = &fsh_shim.session.connections[i];
        if (atomic_load(&c->pid) == parent && c->ns_inode == fsh_shim.owner.ns_inode && c->number <= last_before_fork)
            enter(c->rule, c->inode, c->number);
    }
}
