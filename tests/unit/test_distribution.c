/* Distributions in whole numbers against the same laws in floating point. */
#include <math.h>

#include "distribution.h"
#include "draw.h"
#include "engine_test.h"

enum { SAMPLES = 20000 };

static void log_uniform_follows_its_law(void **state) {
    (void)state;
    const uint64_t lo = 1000, hi = UINT64_C(1000000000000);
    for (unsigned i = 0; i < SAMPLES; i++) {
        uint64_t word = fsh_draw(1, i), x = fsh_draw_log_uniform(lo, hi, word);
        double wanted = (double)lo * pow((double)hi / (double)lo, ldexp((double)word, -64));
        assert_true(x >= lo && x <= hi);
        assert_true(fabs((double)x - wanted) <= 1 + wanted * 1e-7);
    }
    assert_int_equal(fsh_draw_log_uniform(7, 7, 12345), 7);
    assert_int_equal(fsh_draw_log_uniform(1, UINT64_MAX, 0), 1);
}

static void pareto_follows_its_law(void **state) {
    (void)state;
    const uint64_t lo = 5000, hi = UINT64_C(700000000);
    for (unsigned i = 0; i < SAMPLES; i++) {
        uint64_t word = fsh_draw(2, i), x = fsh_draw_pareto(lo, hi, word);
        double ratio = (double)lo / (double)hi, u = ldexp((double)word, -64);
        double wanted = (double)lo / sqrt(1 - u * (1 - ratio * ratio));
        assert_true(x >= lo && x <= hi);
        assert_true(fabs((double)x - wanted) <= 1 + wanted * 1e-6);
    }
    assert_int_equal(fsh_draw_pareto(lo, hi, 0), lo);
    assert_true(fsh_draw_pareto(lo, hi, UINT64_MAX) > hi - hi / 100);
    assert_int_equal(fsh_draw_pareto(9, 9, UINT64_MAX / 3), 9);
    assert_true(fsh_draw_pareto(1, UINT64_MAX / 2, UINT64_MAX) <= UINT64_MAX / 2);
}

static void normal_has_its_mean_and_deviation(void **state) {
    (void)state;
    double sum = 0, squares = 0;
    unsigned inside = 0;
    for (unsigned i = 0; i < SAMPLES; i++) {
        double x = ldexp((double)fsh_draw_normal(fsh_draw(3, i)), -32);
        assert_true(fabs(x) <= 6);
        sum += x;
        squares += x * x;
        inside += fabs(x) < 1;
    }
    assert_true(fabs(sum / SAMPLES) < 0.03);
    assert_true(fabs(squares / SAMPLES - 1) < 0.05);
    assert_true(fabs((double)inside / SAMPLES - 0.6827) < 0.02);
}

static void normal_is_cut_at_its_ends(void **state) {
    (void)state;
    for (unsigned i = 0; i < SAMPLES; i++) {
        uint64_t x = fsh_draw_normal_in(100, 200, 50, 150, fsh_draw(4, i));
        assert_true(x >= 50 && x <= 150);
    }
    assert_int_equal(fsh_draw_normal_in(77, 0, 0, UINT64_MAX, 5), 77);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_uniform_follows_its_law),
        cmocka_unit_test(pareto_follows_its_law),
        cmocka_unit_test(normal_has_its_mean_and_deviation),
        cmocka_unit_test(normal_is_cut_at_its_ends),
    };
    return cmocka_run_group_tests_name("distribution", tests, NULL, NULL);
}
