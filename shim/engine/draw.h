/* draw.h: counter-based random numbers. A decision is a pure function of (seed, rule, key, ordinal); nothing here has a
 * state that threads could race for, and anyone can recompute a decision from the trace.
 *
 * The generator is SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014) read at a
 * position: the nth output of the stream that starts at `s` is mix(s + n·γ), so any position costs the same. */
#ifndef FSH_DRAW_H
#define FSH_DRAW_H

#include <stddef.h>
#include <stdint.h>

#define FSH_GAMMA UINT64_C(0x9e3779b97f4a7c15)

/* SplitMix64's finalizer (Stafford's variant 13). A bijection. */
static inline uint64_t fsh_mix(uint64_t z) {
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Folds `b` into `a`. Not symmetric: (a, b) and (b, a) differ. */
static inline uint64_t fsh_fold(uint64_t a, uint64_t b) {
    return fsh_mix(fsh_mix(a + FSH_GAMMA) ^ b);
}

/* The start of the stream of one rule and key. */
static inline uint64_t fsh_stream(uint64_t seed, uint64_t rule_hash, uint64_t key) {
    return fsh_fold(fsh_fold(seed, rule_hash), key);
}

/* First word of the draw at `ordinal` (from 0): SplitMix64's output number `ordinal`. */
static inline uint64_t fsh_draw(uint64_t stream, uint64_t ordinal) {
    return fsh_mix(stream + (ordinal + 1) * FSH_GAMMA);
}

/* A stream that is read in order keeps its position instead of counting: fsh_draw(stream, n) is fsh_mix of the position after n + 1
 * steps of γ from its start. γ is odd, so the count can be had back from the position. */
#define FSH_GAMMA_INVERSE UINT64_C(0xf1de83e19937733d)
static inline uint64_t fsh_ordinal_at(uint64_t stream, uint64_t position) {
    return (position - stream) * FSH_GAMMA_INVERSE;
}

/* The word after `word` of the same draw. */
static inline uint64_t fsh_next_word(uint64_t word) {
    return fsh_mix(word + FSH_GAMMA);
}

/* The first word of the draw before the one whose first word is `word`: the finalizer undone, a step back. */
static inline uint64_t fsh_earlier_word(uint64_t word) {
    uint64_t z = word ^ (word >> 31) ^ (word >> 62);
    z *= UINT64_C(0x319642b2d24d8ec3);
    z = (z ^ (z >> 27) ^ (z >> 54)) * UINT64_C(0x96de1b173f119089);
    return fsh_mix((z ^ (z >> 30) ^ (z >> 60)) - FSH_GAMMA);
}

/* A word as a whole number below `n` (n > 0), by multiplication: the bias is at most n / 2^64. */
static inline uint64_t fsh_below(uint64_t word, uint64_t n) {
    return (uint64_t)(((unsigned __int128)word * n) >> 64);
}

#define FSH_HASH_START UINT64_C(0xcbf29ce484222325)

static inline uint64_t fsh_hash_byte(uint64_t h, unsigned char byte) {
    return (h ^ byte) * UINT64_C(0x100000001b3);
}

/* A name as 64 bits: FNV-1a, then mixed so that every bit counts. */
static inline uint64_t fsh_hash(const void *data, size_t len) {
    const unsigned char *p = data;
    uint64_t h = FSH_HASH_START;
    for (size_t i = 0; i < len; i++)
        h = fsh_hash_byte(h, p[i]);
    return fsh_mix(h);
}

#endif
