/* plans.c: see plans.h.
 *
 * No thread waits for another here: if several need a plan at the same time, each compiles it, and the first to be done has made
 * the one that all take. What follows from a plan for the whole process is either the same whoever writes it, or done by that one.
 */
#include "plans.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "clock.h"
#include "detour.h"
#include "effects.h"
#include "phases.h"
#include "session.h"
#include "state.h"

#include "poison.h"

enum { PLAN_ROOM = 1 << 20, STACK_SIZE = 256 * 1024 };

static _Atomic(const struct fsh_plan *) plans[FSH_LOADS + 1];

/* --- memory --- */

static void *allocate(size_t size) {
    long p = fsh_sys6(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p < 0 && p > -4096 ? NULL : (void *)p;
}

static void give_back(void *p, size_t size) {
    if (p)
        fsh_sys2(SYS_munmap, p, size);
}

/* --- what follows from a plan for the process --- */

static void raise_to(_Atomic uint32_t *number, uint32_t to) {
    uint32_t have = atomic_load(number);
    while (have < to && !atomic_compare_exchange_weak(number, &have, to))
        ;
}

/* The same whoever does it. The generation of descriptors comes last: from there on, resources are looked at anew. */
static void publish(const struct fsh_plan *plan) {
    const struct fsh_profile *profile = plan->profile;
    for (unsigned i = 0; i < profile->n_rules; i++) {
        unsigned number = profile->rules_before + i;
        fsh_shim.run_stream[number] = fsh_stream(plan->seed, profile->rules[i].hash, FSH_KEY_OF_RUN);
        fsh_shim.slots[number] = plan->slots[i];
        fsh_shim.rules[number] = &profile->rules[i];
    }
    raise_to(&fsh_shim.n_slots, plan->n_slots);
    raise_to(&fsh_shim.n_rules, profile->rules_before + profile->n_rules);
    fsh_facts_loaded(profile->load);
}

int fsh_plans_start(const struct fsh_plan *plan) {
    unsigned room = fsh_shim.session.header->rules_room;
    fsh_shim.rules = allocate(room * (sizeof *fsh_shim.rules + sizeof *fsh_shim.run_stream + sizeof *fsh_shim.slots));
    if (!fsh_shim.rules)
        return -ENOMEM;
    fsh_shim.run_stream = (uint64_t *)(fsh_shim.rules + room);
    fsh_shim.slots = (uint16_t *)(fsh_shim.run_stream + room);
    fsh_shim.plan = plan;
    publish(plan);
    atomic_store(&plans[0], plan);
    return 0;
}

/* --- compiling --- */

struct job {
    unsigned load;
    const struct fsh_plan *before;
    const struct fsh_plan *plan; /* what came of it */
    void *memory;
    size_t size;
};

/* The session's file, if the program has closed it under its number. */
static int open_session(void) {
    return (int)fsh_sys4(SYS_openat, AT_FDCWD, fsh_session_path(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0);
}

static int read_load(struct fsh_load *out, unsigned load, void *memory) {
    int e = fsh_session_read_load(out, &fsh_shim.session, fsh_shim.session.fd, load, memory);
    int fd = e ? open_session() : -1;
    if (fd < 0)
        return e;
    e = fsh_session_read_load(out, &fsh_shim.session, fd, load, memory);
    fsh_sys1(SYS_close, fd);
    return e;
}

/* The command has compiled the same text before it was loaded, so nothing is wrong with it. */
static bool compile(struct job *job, struct fsh_arena *arena, struct fsh_text text) {
    struct fsh_error error;
    struct fsh_profile *profile = fsh_arena_get(arena, sizeof *profile);
    struct fsh_plan *plan = fsh_arena_get(arena, sizeof *plan);
    if (!profile || !plan || fsh_profile_parse(profile, arena, text.data, text.len, "profile", &error))
        return false;
    profile->load = job->load;
    profile->rules_before = fsh_load_first_rule(&fsh_shim.session, job->load);
    profile->phases_before = fsh_load_first_phase(&fsh_shim.session, job->load);
    if (profile->n_rules > fsh_shim.session.header->rules_room - profile->rules_before ||
        fsh_plan_build(plan, profile, job->before->seed, arena, &error))
        return false;
    fsh_plan_follow(plan, job->before);
    job->plan = plan;
    return true;
}

static void work(void *argument) {
    struct job *job = argument;
    struct fsh_load load;
    size_t n = fsh_session_load_size(&fsh_shim.session, job->load);
    size_t size = fsh_arena_need(n) + sizeof(struct fsh_plan) + sizeof(struct fsh_profile) + PLAN_ROOM;
    char *text = n ? allocate(n) : NULL, *memory = text ? allocate(size) : NULL;
    struct fsh_arena arena = {.base = memory, .size = size, .is_zeroed = true};
    bool good =
        memory && !read_load(&load, job->load, text) && compile(job, &arena, load.profile) && !fsh_state_add(job->plan->profile);
    if (good)
        fsh_replies_load(job->plan->profile);
    give_back(text, n);
    if (!good) {
        give_back(memory, size);
        job->plan = NULL;
    }
    job->memory = memory;
    job->size = size;
}

/* The parser wants more stack than a thread, or a signal handler, may have left. */
static void work_elsewhere(void *argument) {
    char *stack = allocate(STACK_SIZE);
    if (!stack)
        return;
    fsh_call_on(work, argument, stack + STACK_SIZE);
    give_back(stack, STACK_SIZE);
}

static const struct fsh_plan *make(unsigned load, const struct fsh_plan *before) {
    const struct fsh_plan *none = NULL;
    struct job job = {.load = load, .before = before};
    fsh_keep_vectors(work_elsewhere, &job);
    if (!job.plan)
        return NULL;
    if (!atomic_compare_exchange_strong(&plans[load], &none, job.plan)) {
        give_back(job.memory, job.size);
        return none;
    }
    fsh_clock_add(job.plan);
    return job.plan;
}

/* One after the other, so that numbers and slots follow each other. Signals are blocked: a handler could leave by siglongjmp, or
 * want more stack than there is. */
static COLD const struct fsh_plan *make_up_to(unsigned load) {
    uint64_t mask = fsh_block_signals();
    const struct fsh_plan *plan = atomic_load(&plans[0]);
    for (unsigned i = 1; i <= load && plan; i++) {
        const struct fsh_plan *next = atomic_load(&plans[i]);
        plan = next ? next : make(i, plan);
        if (plan)
            publish(plan);
    }
    fsh_session_took(load, plan != NULL);
    fsh_restore_signals(mask);
    return plan;
}

const struct fsh_plan *fsh_plans_get(unsigned load) {
    if (load > FSH_LOADS)
        return NULL;
    const struct fsh_plan *plan = atomic_load_explicit(&plans[load], memory_order_acquire);
    if (!plan)
        return make_up_to(load);
    publish(plan); /* whoever made it may not have come to that */
    return plan;
}

unsigned fsh_plans_last(void) {
    unsigned load = 0;
    for (unsigned i = 1; i <= FSH_LOADS && atomic_load(&plans[i]); i++)
        load = i;
    return load;
}

void fsh_plans_get_all(void) {
    fsh_plans_get(atomic_load(&fsh_shim.session.control->loads));
}

const struct fsh_plan *fsh_plans_with(unsigned rule) {
    for (unsigned i = 0; i <= FSH_LOADS; i++) {
        const struct fsh_plan *plan = atomic_load(&plans[i]);
        if (plan && plan->profile == fsh_shim.rules[rule]->of)
            return plan;
    }
    return fsh_shim.plan;
}

const struct fsh_candidates *fsh_plans_any(enum fsh_call call, enum fsh_kind kind) {
    for (unsigned i = FSH_LOADS; i > 0; i--) {
        const struct fsh_plan *plan = atomic_load(&plans[i]);
        if (plan && plan->on[call][kind].n)
            return &plan->on[call][kind];
    }
    return &fsh_shim.plan->on[call][kind];
}
