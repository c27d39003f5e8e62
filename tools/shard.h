/* shard.h: which part of an exploration this process makes, when several share it: said by --shard, or by the variables that Slurm,
 * Kubernetes and GNU parallel set for each of their jobs. */
#ifndef FSH_SHARD_H
#define FSH_SHARD_H

#include <stdbool.h>
#include <stdint.h>

struct fsh_shard {
    uint64_t index, count; /* from 1; 1 of 1: all of it */
    const char *from;      /* what said so: "--shard" or the name of a variable; NULL: nothing did */
};

/* `option` is the value of --shard, NULL if it was not given. False after a message. */
bool fsh_shard_read(const char *option, struct fsh_shard *shard);
/* Units, runs by their number, are dealt out one by one: each belongs to exactly one shard, however many there will be. */
bool fsh_shard_has(const struct fsh_shard *shard, uint64_t unit);
/* The first unit of the shard from this one on. */
uint64_t fsh_shard_next(const struct fsh_shard *shard, uint64_t unit);

#define SHARD_HELP "make the Ith of N parts, as in 2/4; without it, the variables of Slurm, Kubernetes and GNU parallel are read"

#endif
