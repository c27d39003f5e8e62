/* shard.c: see shard.h. What is set but makes no sense is refused: a shard too many would be made by nobody or by two. */
#include "shard.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "text.h"

enum { SHARDS_MOST = 1000000 };

static bool read_count(const char *text, size_t n, uint64_t *out) {
    return n > 0 && n < 20 && strspn(text, "0123456789") >= n && !fsh_value_count((struct fsh_word){text, n}, out);
}

static bool take(struct fsh_shard *shard, const char *from, uint64_t index, uint64_t count) {
    if (count < 1 || count > SHARDS_MOST || index < 1 || index > count) {
        fsh_warn("%s: there is no part %" PRIu64 " of %" PRIu64 "; parts go from 1 to as many as there are, %d at most", from,
                 index, count, SHARDS_MOST);
        return false;
    }
    *shard = (struct fsh_shard){index, count, from};
    return true;
}

static bool take_option(struct fsh_shard *shard, const char *option) {
    const char *slash = strchr(option, '/');
    uint64_t index, count;
    if (slash && read_count(option, (size_t)(slash - option), &index) && read_count(slash + 1, strlen(slash + 1), &count))
        return take(shard, "--shard", index, count);
    fsh_warn("--shard '%s': write which part and of how many, as in 2/4", option);
    return false;
}

/* A variable that must be a number. False after a message. */
static bool variable(const char *name, const char *with, uint64_t *out) {
    const char *text = getenv(name);
    if (text && read_count(text, strlen(text), out))
        return true;
    fsh_warn("%s is set, but %s is %s%s; write --shard I/N", with, name, text ? "no number: " : "not", text ? text : "");
    return false;
}

/* Ids need not begin at 0, and may go by steps; lists with holes do not tell their place. */
static bool take_slurm(struct fsh_shard *shard) {
    static const char id_name[] = "SLURM_ARRAY_TASK_ID";
    uint64_t id, count, min, max, step = 1;
    if (!variable(id_name, id_name, &id) || !variable("SLURM_ARRAY_TASK_COUNT", id_name, &count) ||
        !variable("SLURM_ARRAY_TASK_MIN", id_name, &min) || !variable("SLURM_ARRAY_TASK_MAX", id_name, &max) ||
        (getenv("SLURM_ARRAY_TASK_STEP") && !variable("SLURM_ARRAY_TASK_STEP", id_name, &step)))
        return false;
    if (step < 1 || id < min || id > max || (id - min) % step || (max - min) / step + 1 != count) {
        fsh_warn("SLURM_ARRAY_TASK_ID is %" PRIu64 " of %" PRIu64 " tasks from %" PRIu64 " to %" PRIu64
                 ": the array has holes; write it as a range, or write --shard I/N",
                 id, count, min, max);
        return false;
    }
    return take(shard, id_name, (id - min) / step + 1, count);
}

/* Kubernetes counts from 0, and does not tell how many there are. */
static bool take_kubernetes(struct fsh_shard *shard) {
    static const char name[] = "JOB_COMPLETION_INDEX";
    uint64_t index, count;
    return variable(name, name, &index) && variable("FAULTSHIM_SHARDS", name, &count) && take(shard, name, index + 1, count);
}

static bool take_parallel(struct fsh_shard *shard) {
    static const char name[] = "PARALLEL_SEQ";
    uint64_t index, count;
    return variable(name, name, &index) && variable("FAULTSHIM_SHARDS", name, &count) && take(shard, name, index, count);
}

bool fsh_shard_read(const char *option, struct fsh_shard *shard) {
    *shard = (struct fsh_shard){1, 1, NULL};
    if (option)
        return take_option(shard, option);
    const char *slurm = getenv("SLURM_ARRAY_TASK_ID"), *kubernetes = getenv("JOB_COMPLETION_INDEX");
    /* parallel is also used for what has nothing to do with shards */
    const char *parallel = getenv("FAULTSHIM_SHARDS") ? getenv("PARALLEL_SEQ") : NULL;
    if (!!slurm + !!kubernetes + !!parallel > 1) {
        fsh_warn("%s and %s are both set; write --shard I/N", slurm ? "SLURM_ARRAY_TASK_ID" : "JOB_COMPLETION_INDEX",
                 parallel ? "PARALLEL_SEQ" : "JOB_COMPLETION_INDEX");
        return false;
    }
    return slurm ? take_slurm(shard) : kubernetes ? take_kubernetes(shard) : parallel ? take_parallel(shard) : true;
}

bool fsh_shard_has(const struct fsh_shard *shard, uint64_t unit) {
    return unit % shard->count == shard->index - 1;
}

uint64_t fsh_shard_next(const struct fsh_shard *shard, uint64_t unit) {
    uint64_t past = (unit % shard->count + shard->count - (shard->index - 1)) % shard->count;
    return past ? unit + (shard->count - past) : unit;
}
