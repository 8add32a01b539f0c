/* split: how many rows of each class are held out, that they are drawn by the seed, and the two
 * data sets that come of it. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "math/rng.h"
#include "math/split.h"

#define N_ROWS 1000

static uint8_t s_labels[N_ROWS];

/* Classes 0 to 4 of 100, 200, 1, 299 and 400 rows, one row here and one there. */
static void s_make_labels(void)
{
    static const uint32_t sizes[] = {100, 200, 1, 299, 400};
    uint32_t at = 0;
    for (uint8_t class = 0; class < 5; class ++)
        for (uint32_t i = 0; i < sizes[class]; i++, at += 7)
            s_labels[at % N_ROWS] = class; /* 7 and 1000 have no common divisor */
}

static void test_each_class_gives_its_part(void **state)
{
    (void)state;
    static const struct {
        double fraction;
        uint32_t held[5];
    } cases[] = {
        {0, {0, 0, 0, 0, 0}},
        {0.1, {10, 20, 0, 30, 40}},
        {0.29, {29, 58, 0, 87, 116}},
        {0.5, {50, 100, 0, 150, 200}},
        {0.999, {99, 199, 0, 298, 399}}, /* at least one row of each stays */
    };
    uint8_t held[N_ROWS];
    s_make_labels();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t seen[5] = {0}, n = 0;
        uint32_t n_held = split_rows(s_labels, N_ROWS, 7, cases[i].fraction, held);
        for (uint32_t row = 0; row < N_ROWS; row++) {
            assert_true(held[row] <= 1);
            seen[s_labels[row]] += held[row];
            n += held[row];
        }
        assert_memory_equal(seen, cases[i].held, sizeof(seen));
        assert_int_equal(n, n_held);
        assert_int_equal(split_count(s_labels, N_ROWS, cases[i].fraction), n_held);
    }
}

static void test_rows_are_drawn_by_the_seed(void **state)
{
    (void)state;
    uint8_t a[N_ROWS], b[N_ROWS], c[N_ROWS];
    uint32_t n_both = 0, n_held = split_rows(s_labels, N_ROWS, 7, 0.3, a);
    (void)split_rows(s_labels, N_ROWS, 7, 0.3, b);
    assert_memory_equal(a, b, N_ROWS);
    (void)split_rows(s_labels, N_ROWS, 8, 0.3, c);
    for (uint32_t row = 0; row < N_ROWS; row++)
        n_both += a[row] && c[row];
    assert_in_range(n_both, n_held / 5, n_held / 2); /* 0.3 of them, were it chance */
    /* by definition: no row that stays has a smaller draw than one of its class that is held out */
    uint32_t largest[5] = {0},
             smallest[5] = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    for (uint32_t row = 0; row < N_ROWS; row++) {
        uint32_t bits, class = s_labels[row];
        rng_fill(7, 11, 0, row, 1, &bits);
        if (a[row] && bits > largest[class])
            largest[class] = bits;
        if (!a[row] && bits < smallest[class])
            smallest[class] = bits;
    }
    for (int class = 0; class < 5; class ++)
        assert_true(largest[class] < smallest[class]);
    /* what is held out of less is held out of more */
    (void)split_rows(s_labels, N_ROWS, 7, 0.1, b);
    for (uint32_t row = 0; row < N_ROWS; row++)
        assert_true(a[row] >= b[row]);
}

static void test_two_data_sets_come_of_it(void **state)
{
    (void)state;
    enum {
        D = 3
    };
    uint8_t held[N_ROWS], *images = malloc(N_ROWS * D), *labels = malloc(N_ROWS);
    assert_non_null(images);
    assert_non_null(labels);
    for (uint32_t i = 0; i < N_ROWS * D; i++)
        images[i] = (uint8_t)(i / D * 31 + i % D);
    memcpy(labels, s_labels, N_ROWS);
    dataset_t *train = dataset_new(&images, &labels, N_ROWS, D);
    char digest[DATASET_DIGEST_HEX];
    strcpy(digest, dataset_digest(train));
    uint32_t n_held = split_rows(s_labels, N_ROWS, 7, 0.3, held), at[2] = {0};
    dataset_t *validation = dataset_cut(train, held);
    assert_int_equal(dataset_rows(validation), n_held);
    assert_int_equal(dataset_rows(train), N_ROWS - n_held);
    for (uint32_t row = 0; row < N_ROWS; row++) {
        const dataset_t *part = held[row] ? validation : train;
        uint32_t r = at[held[row]]++;
        assert_int_equal(dataset_labels(part)[r], s_labels[row]);
        for (uint32_t i = 0; i < D; i++)
            assert_int_equal(dataset_images(part)[r * D + i], (uint8_t)(row * 31 + i));
    }
    size_t n_not_zero[2] = {0};
    for (uint32_t i = 0; i < N_ROWS * D; i++)
        n_not_zero[held[i / D]] += (uint8_t)(i / D * 31 + i % D) != 0;
    assert_true(dataset_density(train) == (double)n_not_zero[0] / ((N_ROWS - n_held) * D));
    assert_true(dataset_density(validation) == (double)n_not_zero[1] / (n_held * D));
    assert_string_equal(dataset_digest(train), digest);
    assert_string_equal(dataset_digest(validation), digest);
    dataset_destroy(&train);
    dataset_destroy(&validation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_class_gives_its_part),
        cmocka_unit_test(test_rows_are_drawn_by_the_seed),
        cmocka_unit_test(test_two_data_sets_come_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
