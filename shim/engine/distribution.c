/* distribution.c: see distribution.h. Fixed point throughout; the unit stands in the name of each helper. */
#include "distribution.h"

#include "draw.h"

typedef unsigned __int128 u128;

int64_t fsh_draw_normal(uint64_t word) {
    uint64_t sum = 0;
    for (int i = 0; i < 6; i++) {
        word = fsh_next_word(word);
        sum += (word >> 32) + (word & UINT32_MAX);
    }
    return (int64_t)sum - (INT64_C(6) << 32);
}

uint64_t fsh_draw_normal_in(uint64_t mean, uint64_t sigma, uint64_t lo, uint64_t hi, uint64_t word) {
    __int128 x = (__int128)mean + (((__int128)sigma * fsh_draw_normal(word)) >> 32);
    return x < (__int128)lo ? lo : x > (__int128)hi ? hi : (uint64_t)x;
}

/* floor(sqrt(v)) */
static uint64_t root(u128 v) {
    u128 r = 0;
    for (u128 bit = (u128)1 << 126; bit; bit >>= 2) {
        if (v >= r + bit) {
            v -= r + bit;
            r = (r >> 1) + bit;
        } else {
            r >>= 1;
        }
    }
    return (uint64_t)r;
}

/* The inverse of the distribution function: lo / sqrt(1 - u (1 - (lo/hi)^2)). */
uint64_t fsh_draw_pareto(uint64_t lo, uint64_t hi, uint64_t word) {
    uint64_t ratio = hi > lo ? (uint64_t)(((u128)lo << 64) / hi) : UINT64_MAX; /* lo/hi, in 1/2^64 */
    uint64_t span = ~(uint64_t)(((u128)ratio * ratio) >> 64);                  /* 1 - (lo/hi)^2, in 1/2^64 */
    uint64_t left = ~fsh_below(word, span);                                    /* 1 - u span, in 1/2^64; never 0 */
    uint64_t below = root((u128)left << 64);                                   /* its root, in 1/2^64 */
    u128 x = below ? ((u128)lo << 64) / below : hi;
    return x > hi ? hi : (uint64_t)x;
}

/* 2^(2^-i) for i = 1, 2, …, in 1/2^63. */
static const uint64_t roots_of_two[32] = {
    UINT64_C(0xb504f333f9de6484), UINT64_C(0x9837f0518db8a96f), UINT64_C(0x8b95c1e3ea8bd6e7), UINT64_C(0x85aac367cc487b15),
    UINT64_C(0x82cd8698ac2ba1d7), UINT64_C(0x8164d1f3bc030773), UINT64_C(0x80b1ed4fd999ab6c), UINT64_C(0x8058d7d2d5e5f6b1),
    UINT64_C(0x802c6436d0e04f51), UINT64_C(0x8016302f17467628), UINT64_C(0x800b179c82028fd1), UINT64_C(0x80058baf7fee3b5d),
    UINT64_C(0x8002c5d00fdcfcb7), UINT64_C(0x800162e61bed4a49), UINT64_C(0x8000b17292f702a4), UINT64_C(0x800058b92abbae02),
    UINT64_C(0x80002c5c8dade4d7), UINT64_C(0x8000162e44eaf636), UINT64_C(0x80000b1721fa7c19), UINT64_C(0x8000058b90de7e4d),
    UINT64_C(0x800002c5c8678f37), UINT64_C(0x80000162e431dba0), UINT64_C(0x800000b1721872d1), UINT64_C(0x80000058b90c1aa9),
    UINT64_C(0x8000002c5c8605a4), UINT64_C(0x800000162e4300e6), UINT64_C(0x8000000b17217ff8), UINT64_C(0x800000058b90bfdd),
    UINT64_C(0x80000002c5c85fe7), UINT64_C(0x8000000162e42ff2), UINT64_C(0x80000000b17217f8), UINT64_C(0x8000000058b90bfc),
};

/* log2 in 1/2^32, a bit at a time: squaring doubles the logarithm. */
static uint64_t log2_of(uint64_t x) {
    unsigned whole = 63 - (unsigned)__builtin_clzll(x);
    uint64_t m = x << (63 - whole), part = 0; /* 1 ≤ m < 2, in 1/2^63 */
    for (int bit = 31; bit >= 0; bit--) {
        u128 square = ((u128)m * m) >> 63;
        if (square >> 64) {
            part |= UINT64_C(1) << bit;
            square >>= 1;
        }
        m = (uint64_t)square;
    }
    return (uint64_t)whole << 32 | part;
}

static uint64_t power_of_two(uint64_t log) {
    uint64_t m = UINT64_C(1) << 63;
    for (unsigned i = 0; i < 32; i++)
        if (log >> (31 - i) & 1)
            m = (uint64_t)(((u128)m * roots_of_two[i]) >> 63);
    return m >> (63 - (log >> 32));
}

uint64_t fsh_draw_log_uniform(uint64_t lo, uint64_t hi, uint64_t word) {
    uint64_t from = log2_of(lo), to = log2_of(hi);
    uint64_t x = power_of_two(from + fsh_below(word, to - from + 1));
    return x < lo ? lo : x > hi ? hi : x;
}
