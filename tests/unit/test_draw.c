/* The random numbers: published outputs of SplitMix64, and statistics over fixed seeds, so a run is like every other.
 * Bounds of chi-square tests are about four standard deviations wide. */
#include <math.h>

#include "draw.h"
#include "engine_test.h"

enum { BINS = 256, SAMPLES = 1 << 18 };

static void published_outputs(void **state) {
    static const uint64_t expected[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973), UINT64_C(9817491932198370423),
                                        UINT64_C(4593380528125082431), UINT64_C(16408922859458223821)};
    uint64_t s = 1234567;
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(fsh_draw(1234567, i), expected[i]);
        assert_int_equal(fsh_mix(s += FSH_GAMMA), expected[i]);
    }
}

static void published_outputs_of_seed_zero(void **state) {
    (void)state;
    assert_int_equal(fsh_draw(0, 0), UINT64_C(0xe220a8397b1dcdaf));
    assert_int_equal(fsh_draw(0, 1), UINT64_C(0x6e789e6aa1b965f4));
    assert_int_equal(fsh_draw(0, 2), UINT64_C(0x06c45d188009454f));
    assert_int_equal(fsh_draw(0, 3), UINT64_C(0xf88bb8a8724c81ec));
}

static double chi_square(const unsigned *bins, unsigned n, unsigned samples) {
    double expected = (double)samples / n, sum = 0;
    for (unsigned i = 0; i < n; i++)
        sum += (bins[i] - expected) * (bins[i] - expected) / expected;
    return sum;
}

static void assert_uniform(const unsigned *bins, const char *what) {
    double chi = chi_square(bins, BINS, SAMPLES);
    double mean = BINS - 1, deviation = sqrt(2.0 * (BINS - 1));
    if (fabs(chi - mean) > 4.0 * deviation)
        fail_msg("%s: chi-square %.1f is not near %.0f", what, chi, mean);
}

/* The sample number i of a test, as one of 256 bins. */
typedef unsigned binned(unsigned i);

static void check(binned *bin, const char *what) {
    unsigned *bins = test_calloc(BINS, sizeof *bins);
    for (unsigned i = 0; i < SAMPLES; i++)
        bins[bin(i)]++;
    assert_uniform(bins, what);
    test_free(bins);
}

static const uint64_t seed = 42, rule = UINT64_C(0x1234567890abcdef);

static uint64_t by_ordinal(unsigned i) {
    return fsh_draw(fsh_stream(seed, rule, 7), i);
}

static uint64_t by_key(unsigned i) {
    return fsh_draw(fsh_stream(seed, rule, i), 0);
}

static uint64_t by_rule(unsigned i) {
    return fsh_draw(fsh_stream(seed, rule + i, 7), 0);
}

static uint64_t by_seed(unsigned i) {
    return fsh_draw(fsh_stream(i, rule, 7), 0);
}

static uint64_t by_name(unsigned i) {
    char name[] = "r00000000";
    for (unsigned j = 8; i; j--, i /= 10)
        name[j] = (char)('0' + i % 10);
    return fsh_draw(fsh_stream(seed, fsh_hash(name, 9), 7), 0);
}

/* Two words as one bin: 16 × 16 cells, from their high bits or from their low ones. */
static unsigned high_pair(uint64_t a, uint64_t b) {
    return (unsigned)(a >> 60 << 4 | b >> 60);
}

static unsigned low_pair(uint64_t a, uint64_t b) {
    return (unsigned)((a & 15) << 4 | (b & 15));
}

#define DIMENSION(name)                                                                                                            \
    static unsigned name##_high(unsigned i) {                                                                                      \
        return (unsigned)(name(i) >> 56);                                                                                          \
    }                                                                                                                              \
    static unsigned name##_middle(unsigned i) {                                                                                    \
        return (unsigned)(name(i) >> 28 & 255);                                                                                    \
    }                                                                                                                              \
    static unsigned name##_low(unsigned i) {                                                                                       \
        return (unsigned)(name(i) & 255);                                                                                          \
    }                                                                                                                              \
    static unsigned name##_neighbours_high(unsigned i) {                                                                           \
        return high_pair(name(i), name(i + 1));                                                                                    \
    }                                                                                                                              \
    static unsigned name##_neighbours_low(unsigned i) {                                                                            \
        return low_pair(name(i), name(i + 1));                                                                                     \
    }                                                                                                                              \
    static unsigned name##_difference(unsigned i) {                                                                                \
        return (unsigned)((name(i + 1) - name(i)) >> 56);                                                                          \
    }                                                                                                                              \
    static void uniform_and_independent_##name(void **state) {                                                                     \
        (void)state;                                                                                                               \
        check(name##_high, #name ": high bits");                                                                                   \
        check(name##_middle, #name ": middle bits");                                                                               \
        check(name##_low, #name ": low bits");                                                                                     \
        check(name##_neighbours_high, #name ": neighbours, high bits");                                                            \
        check(name##_neighbours_low, #name ": neighbours, low bits");                                                              \
        check(name##_difference, #name ": differences of neighbours");                                                             \
    }

DIMENSION(by_ordinal)
DIMENSION(by_key)
DIMENSION(by_rule)
DIMENSION(by_seed)
DIMENSION(by_name)

static unsigned first_and_second(unsigned i) {
    uint64_t word = by_ordinal(i);
    return high_pair(word, fsh_next_word(word));
}

static unsigned second_and_third(unsigned i) {
    uint64_t word = fsh_next_word(by_ordinal(i));
    return high_pair(word, fsh_next_word(word));
}

static void words_of_a_draw_are_independent(void **state) {
    (void)state;
    check(first_and_second, "first and second word");
    check(second_and_third, "second and third word");
}

/* What is chosen must not depend on that something fired: the second word, given a small first one. */
static void choice_is_uniform_when_two_percent_fire(void **state) {
    unsigned *bins = test_calloc(BINS, sizeof *bins), n = 0;
    (void)state;
    for (uint64_t i = 0; n < SAMPLES; i++) {
        uint64_t word = fsh_draw(fsh_stream(seed, rule, 9), i);
        if (word < UINT64_MAX / 50) {
            bins[fsh_below(fsh_next_word(word), BINS)]++;
            n++;
        }
    }
    assert_uniform(bins, "second word of those that fire");
    test_free(bins);
}

/* Every bit of a word is 1 half of the time, and flips half of the time between neighbours. */
static void every_bit_counts(void **state) {
    enum { N = 1 << 16 };
    (void)state;
    for (unsigned b = 0; b < 64; b++) {
        unsigned ones = 0, flips = 0, key_flips = 0;
        for (unsigned i = 0; i < N; i++) {
            ones += by_ordinal(i) >> b & 1;
            flips += (by_ordinal(i) ^ by_ordinal(i + 1)) >> b & 1;
            key_flips += (by_key(i) ^ by_key(i + 1)) >> b & 1;
        }
        assert_in_range(ones, N / 2 - 640, N / 2 + 640); /* five standard deviations of 128 */
        assert_in_range(flips, N / 2 - 640, N / 2 + 640);
        assert_in_range(key_flips, N / 2 - 640, N / 2 + 640);
    }
}

static double as_unit(uint64_t word) {
    return (double)(word >> 11) * 0x1p-53;
}

static double correlation(uint64_t (*word)(unsigned), unsigned lag) {
    double x = 0, xx = 0, xy = 0;
    for (unsigned i = 0; i < SAMPLES; i++) {
        double a = as_unit(word(i)), b = as_unit(word(i + lag));
        x += a;
        xx += a * a;
        xy += a * b;
    }
    double mean = x / SAMPLES;
    return (xy / SAMPLES - mean * mean) / (xx / SAMPLES - mean * mean);
}

static void no_serial_correlation(void **state) {
    static uint64_t (*const words[])(unsigned) = {by_ordinal, by_key, by_rule, by_seed};
    double bound = 4.0 / sqrt(SAMPLES);
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        for (unsigned lag = 1; lag <= 4; lag++)
            assert_true(fabs(correlation(words[i], lag)) < bound);
}

static void share_of_fires_is_the_probability(void **state) {
    (void)state;
    for (unsigned percent = 1; percent <= 99; percent += 7) {
        uint64_t threshold = (uint64_t)(((unsigned __int128)percent << 64) / 100);
        unsigned fired = 0;
        for (unsigned i = 0; i < SAMPLES; i++)
            fired += fsh_draw(fsh_stream(percent, rule, 3), i) < threshold;
        double p = percent / 100.0, deviation = sqrt(SAMPLES * p * (1 - p));
        assert_true(fabs(fired - SAMPLES * p) < 4 * deviation);
    }
}

static void fold_tells_its_sides_apart(void **state) {
    (void)state;
    assert_true(fsh_fold(1, 2) != fsh_fold(2, 1));
    assert_true(fsh_stream(1, 2, 3) != fsh_stream(1, 3, 2));
    assert_true(fsh_stream(1, 2, 3) != fsh_stream(2, 1, 3));
    assert_true(fsh_stream(0, 0, 0) != fsh_stream(0, 0, 1));
}

static void below_stays_below(void **state) {
    (void)state;
    assert_int_equal(fsh_below(UINT64_MAX, 1), 0);
    assert_int_equal(fsh_below(UINT64_MAX, 10), 9);
    assert_int_equal(fsh_below(0, 10), 0);
    assert_int_equal(fsh_below(UINT64_MAX, UINT64_MAX), UINT64_MAX - 1);
}

static void positions_tell_their_ordinals(void **state) {
    const uint64_t stream = fsh_stream(1, 2, 3);
    uint64_t position = stream;
    (void)state;
    for (uint64_t n = 0; n < 1000; n++) {
        assert_int_equal(fsh_ordinal_at(stream, position), n);
        position += FSH_GAMMA;
        assert_int_equal(fsh_mix(position), fsh_draw(stream, n));
    }
    assert_int_equal(fsh_ordinal_at(stream, stream + UINT64_C(123456789012345) * FSH_GAMMA), UINT64_C(123456789012345));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_tell_their_ordinals),
        cmocka_unit_test(published_outputs),
        cmocka_unit_test(published_outputs_of_seed_zero),
        cmocka_unit_test(uniform_and_independent_by_ordinal),
        cmocka_unit_test(uniform_and_independent_by_key),
        cmocka_unit_test(uniform_and_independent_by_rule),
        cmocka_unit_test(uniform_and_independent_by_seed),
        cmocka_unit_test(uniform_and_independent_by_name),
        cmocka_unit_test(words_of_a_draw_are_independent),
        cmocka_unit_test(choice_is_uniform_when_two_percent_fire),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(no_serial_correlation),
        cmocka_unit_test(share_of_fires_is_the_probability),
        cmocka_unit_test(fold_tells_its_sides_apart),
        cmocka_unit_test(below_stays_below),
    };
    return cmocka_run_group_tests_name("draw", tests, NULL, NULL);
}
