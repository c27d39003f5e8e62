/* distribution.h: amounts drawn from a range by other laws than the uniform one. Pure, and in whole numbers only: it runs where no
 * floating-point register may be touched, and gives the same numbers on every machine. */
#ifndef FSH_DISTRIBUTION_H
#define FSH_DISTRIBUTION_H

#include <stdint.h>

/* The distance of a drawn word from 0, in units of sigma / 2^32: the sum of twelve even numbers, so no farther than 6 sigma. */
int64_t fsh_draw_normal(uint64_t word);
/* mean + sigma * fsh_draw_normal, no less than `lo` and no more than `hi`. */
uint64_t fsh_draw_normal_in(uint64_t mean, uint64_t sigma, uint64_t lo, uint64_t hi, uint64_t word);
/* lo..hi (lo > 0), falling with the third power: a Pareto distribution of shape 2, cut off at hi. */
uint64_t fsh_draw_pareto(uint64_t lo, uint64_t hi, uint64_t word);
/* lo..hi (lo > 0), every power of two as likely as any other. */
uint64_t fsh_draw_log_uniform(uint64_t lo, uint64_t hi, uint64_t word);

#endif
