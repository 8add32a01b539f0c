/* Shares of a block range: exact, contiguous, in proportion, in few nodes. */
#include "unit.h"

#include <math.h>
#include <stdlib.h>

#include "math/reduce.h"
#include "dispatch/assign.h"

enum {
    MAX_WORKERS = 70
};

static uint32_t s_nodes(uint32_t first, uint32_t end, uint32_t n_blocks)
{
    uint32_t n = 0;
    while (first < end) {
        node_t node = node_largest(first, end, n_blocks);
        node_range(node, n_blocks, &first, &first);
        n++;
    }
    return n;
}

static double s_random(void)
{
    return (double)rand() / RAND_MAX;
}

static void test_covers_the_range_exactly(void **state)
{
    (void)state;
    srand(5);
    for (int round = 0; round < 20000; round++) {
        double speeds[MAX_WORKERS];
        uint32_t ends[MAX_WORKERS + 1];
        uint32_t n = 1 + (uint32_t)rand() % MAX_WORKERS;
        uint32_t first = round % 3 ? (uint32_t)rand() % 1000 : 0;
        uint32_t end = first + 1 + (uint32_t)rand() % (round % 2 ? 8 : 5000);
        double node_cost = round % 5 ? s_random() * 3 : 1e9;
        for (uint32_t i = 0; i < n; i++)
            speeds[i] = round % 7 ? 0.01 + s_random() : pow(10, s_random() * 12 - 6);
        ends[n] = 0xabcdefu;
        assign_ranges(first, end, speeds, n, node_cost, ends);
        uint32_t at = first;
        for (uint32_t i = 0; i < n; i++) {
            assert_true(ends[i] >= at);
            at = ends[i];
        }
        assert_int_equal(at, end);
        assert_int_equal(ends[n], 0xabcdefu);
    }
}

static void test_shares_are_in_proportion_to_speed(void **state)
{
    (void)state;
    srand(6);
    for (int round = 0; round < 2000; round++) {
        double speeds[8];
        uint32_t ends[8];
        uint32_t n = 1 + (uint32_t)rand() % 8;
        uint32_t n_blocks = 1 + (uint32_t)rand() % 4000;
        double total = 0;
        for (uint32_t i = 0; i < n; i++)
            total += speeds[i] = 0.1 + s_random();
        assign_ranges(0, n_blocks, speeds, n, 0, ends); /* nodes cost nothing: nearest block */
        double ideal = 0;
        for (uint32_t i = 0; i < n; i++) {
            ideal += n_blocks * speeds[i] / total;
            assert_true(fabs(ends[i] - ideal) <= 1.0 + 1e-6);
        }
        /* a cut is moved by no more than the nodes that it saves are worth */
        assign_ranges(0, n_blocks, speeds, n, 0.02, ends);
        ideal = 0;
        for (uint32_t i = 0; i + 1 < n; i++) {
            ideal += n_blocks * speeds[i] / total;
            assert_true(fabs(ends[i] - ideal) <= 1.0 + 0.02 * 14);
        }
    }
}

static void test_a_dear_node_makes_few_of_them(void **state)
{
    (void)state;
    double speeds[] = {1.0, 1.07, 0.96, 1.02};
    uint32_t ends[4];
    for (uint32_t n_blocks = 16; n_blocks < 300; n_blocks++) {
        uint32_t n_nodes[3];
        static const double costs[] = {0, 1, 1e6};
        for (int c = 0; c < 3; c++) {
            assign_ranges(0, n_blocks, speeds, 4, costs[c], ends);
            n_nodes[c] = 0;
            for (int i = 0; i < 4; i++)
                n_nodes[c] += s_nodes(i ? ends[i - 1] : 0, ends[i], n_blocks);
        }
        assert_true(n_nodes[1] <= n_nodes[0]);
        assert_true(n_nodes[2] <= n_nodes[1]);
        assert_int_equal(n_nodes[2], 1); /* everything to one worker beats any cut */
    }
}

static void test_a_power_of_two_is_cut_into_one_node_each(void **state)
{
    (void)state;
    /* nearly equal speeds, as measured: no share is worth a handful of nodes */
    double speeds[] = {1.0, 1.01, 0.99, 1.0};
    uint32_t ends[4];
    assign_ranges(0, 128, speeds, 4, 0.5, ends);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(ends[i], 32 * (i + 1));
}

static void test_more_workers_than_blocks(void **state)
{
    (void)state;
    double speeds[10] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    uint32_t ends[10];
    assign_ranges(5, 8, speeds, 10, 0.02, ends);
    uint32_t n_busy = 0, at = 5;
    for (int i = 0; i < 10; i++) {
        assert_true(ends[i] - at <= 1);
        n_busy += ends[i] > at;
        at = ends[i];
    }
    assert_int_equal(at, 8);
    assert_int_equal(n_busy, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_covers_the_range_exactly),
        cmocka_unit_test(test_shares_are_in_proportion_to_speed),
        cmocka_unit_test(test_a_dear_node_makes_few_of_them),
        cmocka_unit_test(test_a_power_of_two_is_cut_into_one_node_each),
        cmocka_unit_test(test_more_workers_than_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
