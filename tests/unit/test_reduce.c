/* The canonical tree: order of sums, ledger, ranges. */
#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "math/reduce.h"
#include "partials.h"

/* The definition, read off the header: parent = left + right. */
static partial_t s_sum(node_t node, uint32_t n_blocks)
{
    if (node.level == 0)
        return partials_leaf(node.index);
    node_t left = {node.level - 1, node.index * 2};
    node_t right = {node.level - 1, node.index * 2 + 1};
    partial_t sum = s_sum(left, n_blocks);
    if (node_valid(right, n_blocks)) {
        partial_t other = s_sum(right, n_blocks);
        for (int i = 0; i < P; i++)
            sum.gradient[i] += other.gradient[i];
        sum.cost += other.cost;
        sum.correct += other.correct;
        sum.rows += other.rows;
        partial_release(&other);
    }
    return sum;
}

static node_t s_root(uint32_t n_blocks)
{
    return (node_t){node_root_level(n_blocks), 0};
}

static reduce_t *s_new(uint32_t n_blocks)
{
    reduce_t *reduce = reduce_new(n_blocks, P);
    reduce_want(reduce, s_root(n_blocks));
    return reduce;
}

/* The lowest wanted node that is complete is this one, with the bits of the definition. */
static void s_assert_taken(reduce_t *reduce, node_t node, uint32_t n_blocks)
{
    partial_t expected = s_sum(node, n_blocks);
    node_t taken;
    partial_t sum;
    assert_true(reduce_take(reduce, &taken, &sum));
    assert_true(taken.level == node.level && taken.index == node.index);
    assert_memory_equal(sum.gradient, expected.gradient, P * sizeof(float));
    assert_memory_equal(&sum.cost, &expected.cost, sizeof(double));
    assert_int_equal(sum.correct, expected.correct);
    assert_int_equal(sum.rows, expected.rows);
    partial_release(&sum);
    partial_release(&expected);
}

static void s_assert_root(reduce_t *reduce, uint32_t n_blocks)
{
    assert_int_equal(reduce_blocks_done(reduce), n_blocks);
    s_assert_taken(reduce, s_root(n_blocks), n_blocks);
    assert_int_equal(reduce_blocks_done(reduce), n_blocks); /* taken stays done */
}

static void test_any_order_and_any_cut_give_the_same_bits(void **state)
{
    (void)state;
    srand(7);
    uint32_t n_added = 0;
    for (uint32_t n_blocks = 1; n_blocks <= 70; n_blocks++) {
        reduce_t *reduce = reduce_new(n_blocks, P);
        for (int round = 0; round < 20; round++) {
            /* random nodes, many of them covered already or covering others */
            uint32_t n_inserted = 0;
            reduce_want(reduce, s_root(n_blocks));
            while (!reduce_complete(reduce, s_root(n_blocks))) {
                uint32_t level = (uint32_t)rand() % (node_root_level(n_blocks) + 1);
                node_t node = {round % 2 ? 0 : level, 0};
                node.index = (uint32_t)rand() % n_blocks >> node.level;
                bool complete = reduce_complete(reduce, node);
                partial_t partial = s_sum(node, n_blocks);
                const float *held = round % 4 < 2 ? reduce_held(reduce, node) : NULL;
                assert_true(!held || !complete);
                n_added += held != NULL;
                for (size_t i = 0; i < P && held; i++)
                    partial.gradient[i] = held[i] + partial.gradient[i];
                if (held)
                    reduce_insert_added(reduce, node, &partial);
                else
                    assert_true(reduce_insert(reduce, node, &partial) == !complete);
                assert_null(partial.gradient);
                assert_true(reduce_complete(reduce, node));
                assert_true(++n_inserted < 100000);
            }
            s_assert_root(reduce, n_blocks);
            reduce_reset(reduce);
            assert_int_equal(partials_live, 0);
        }
        reduce_destroy(&reduce);
    }
    assert_true(n_added > 1000);
}

static void test_duplicates_and_larger_nodes(void **state)
{
    (void)state;
    reduce_t *reduce = s_new(6);
    partial_t leaf = s_sum((node_t){0, 1}, 6);
    assert_true(reduce_insert(reduce, (node_t){0, 1}, &leaf));
    leaf = s_sum((node_t){0, 1}, 6);
    assert_false(reduce_insert(reduce, (node_t){0, 1}, &leaf)); /* itself */
    assert_int_equal(reduce_blocks_done(reduce), 1);
    partial_t four = s_sum((node_t){2, 0}, 6);
    assert_true(reduce_insert(reduce, (node_t){2, 0}, &four)); /* replaces the leaf below it */
    assert_int_equal(reduce_blocks_done(reduce), 4);
    leaf = s_sum((node_t){0, 3}, 6);
    assert_false(reduce_insert(reduce, (node_t){0, 3}, &leaf)); /* an ancestor is complete */
    partial_t cut = s_sum((node_t){1, 2}, 6);
    assert_true(reduce_insert(reduce, (node_t){1, 2}, &cut)); /* rises as (2,1), cut off at 6 */
    s_assert_root(reduce, 6);
    reduce_destroy(&reduce);
    assert_int_equal(partials_live, 0);
}

static void test_missing_ranges(void **state)
{
    (void)state;
    reduce_t *reduce = s_new(11);
    uint32_t first, end;
    assert_true(reduce_missing(reduce, 0, &first, &end));
    assert_true(first == 0 && end == 11);
    partial_t partial = s_sum((node_t){1, 1}, 11);
    reduce_insert(reduce, (node_t){1, 1}, &partial);
    partial = s_sum((node_t){0, 7}, 11);
    reduce_insert(reduce, (node_t){0, 7}, &partial);
    assert_true(reduce_missing(reduce, 0, &first, &end));
    assert_true(first == 0 && end == 2);
    assert_true(reduce_missing(reduce, 2, &first, &end));
    assert_true(first == 4 && end == 7);
    assert_true(reduce_missing(reduce, 7, &first, &end));
    assert_true(first == 8 && end == 11);
    partial = s_sum((node_t){3, 1}, 11);
    reduce_insert(reduce, (node_t){3, 1}, &partial);
    assert_false(reduce_missing(reduce, 7, &first, &end));
    reduce_destroy(&reduce);
    assert_int_equal(partials_live, 0);
}

static void s_insert(reduce_t *reduce, node_t node, uint32_t n_blocks)
{
    partial_t partial = s_sum(node, n_blocks);
    assert_true(reduce_insert(reduce, node, &partial));
}

static void test_wanted_nodes(void **state)
{
    (void)state;
    reduce_t *reduce = reduce_new(16, P);
    uint32_t first, end;
    node_t node;
    partial_t out;
    assert_false(reduce_missing(reduce, 0, &first, &end)); /* nothing is wanted */
    partial_t leaf = partials_leaf(0);
    assert_false(reduce_insert(reduce, (node_t){0, 0}, &leaf));
    reduce_want(reduce, (node_t){1, 1}); /* [2, 4) */
    reduce_want(reduce, (node_t){1, 0}); /* [0, 2) */
    reduce_want(reduce, (node_t){2, 2}); /* [8, 12) */
    assert_true(reduce_missing(reduce, 0, &first, &end));
    assert_true(first == 0 && end == 2); /* not beyond one wanted node */
    assert_true(reduce_missing(reduce, 2, &first, &end));
    assert_true(first == 2 && end == 4);
    assert_true(reduce_missing(reduce, 4, &first, &end));
    assert_true(first == 8 && end == 12);
    assert_false(reduce_missing(reduce, 12, &first, &end));
    static const uint32_t cuts[][3] = {{0, 16, 2}, {1, 16, 2},  {2, 16, 4},   {2, 3, 3},
                                       {4, 16, 8}, {8, 16, 12}, {12, 16, 16}, {5, 7, 7}};
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
        assert_int_equal(reduce_cut(reduce, cuts[i][0], cuts[i][1]), cuts[i][2]);
    assert_true(reduce_pending(reduce, 3) && reduce_pending(reduce, 11));
    assert_false(reduce_pending(reduce, 4) || reduce_pending(reduce, 12));
    leaf = s_sum((node_t){2, 0}, 16); /* more than is wanted */
    assert_false(reduce_insert(reduce, (node_t){2, 0}, &leaf));
    leaf = partials_leaf(5);
    assert_false(reduce_insert(reduce, (node_t){0, 5}, &leaf));

    s_insert(reduce, (node_t){0, 1}, 16);
    s_insert(reduce, (node_t){1, 1}, 16);
    s_insert(reduce, (node_t){0, 0}, 16);
    assert_int_equal(reduce_blocks_done(reduce), 4);
    assert_true(reduce_pending(reduce, 0));     /* complete, not taken */
    s_assert_taken(reduce, (node_t){1, 0}, 16); /* not summed with its sibling */
    s_assert_taken(reduce, (node_t){1, 1}, 16);
    assert_false(reduce_take(reduce, &node, &out));
    assert_false(reduce_pending(reduce, 0));
    assert_true(reduce_complete(reduce, (node_t){0, 3}));
    leaf = partials_leaf(3);
    assert_false(reduce_insert(reduce, (node_t){0, 3}, &leaf));
    assert_true(reduce_missing(reduce, 0, &first, &end));
    assert_true(first == 8 && end == 12);

    reduce_want(reduce, (node_t){2, 0}); /* again, cut in another way */
    assert_int_equal(reduce_blocks_done(reduce), 0);
    assert_true(reduce_missing(reduce, 0, &first, &end));
    assert_true(first == 0 && end == 4);
    s_insert(reduce, (node_t){0, 2}, 16);
    assert_true(reduce_missing(reduce, 1, &first, &end));
    assert_true(first == 1 && end == 2);
    s_insert(reduce, (node_t){1, 0}, 16);
    s_insert(reduce, (node_t){0, 3}, 16);
    s_assert_taken(reduce, (node_t){2, 0}, 16);
    s_insert(reduce, (node_t){0, 9}, 16);
    reduce_destroy(&reduce); /* with what nobody took */
    assert_int_equal(partials_live, 0);
}

/* Any cut into wanted nodes, each summed in any order, gives each node's own bits. */
static void test_any_wanted_nodes(void **state)
{
    (void)state;
    srand(11);
    for (uint32_t n_blocks = 1; n_blocks <= 40; n_blocks++) {
        reduce_t *reduce = reduce_new(n_blocks, P);
        for (int round = 0; round < 20; round++) {
            bool wanted[64] = {false};
            uint32_t n_wanted = 0;
            reduce_reset(reduce);
            for (uint32_t at = 0; at < n_blocks;) {
                uint32_t end = at + 1 + (uint32_t)rand() % (n_blocks - at);
                node_t node = node_largest(at, end, n_blocks);
                node_range(node, n_blocks, &at, &end);
                if (rand() % 2) {
                    reduce_want(reduce, node);
                    for (; at < end; at++, n_wanted++)
                        wanted[at] = true;
                }
                at = end;
            }
            uint32_t first, end, n_missing = 0;
            for (uint32_t from = 0; reduce_missing(reduce, from, &first, &end); from = end)
                for (; first < end; first++, n_missing++)
                    assert_true(wanted[first]);
            assert_int_equal(n_missing, n_wanted);
            while (reduce_missing(reduce, 0, &first, &end)) {
                first += (uint32_t)rand() % (end - first);
                node_t node =
                    node_largest(first, first + 1 + (uint32_t)rand() % (end - first), n_blocks);
                partial_t partial = s_sum(node, n_blocks);
                (void)reduce_insert(reduce, node, &partial); /* it may reach beyond a wanted one */
            }
            node_t node;
            partial_t sum;
            while (reduce_take(reduce, &node, &sum)) {
                partial_t expected = s_sum(node, n_blocks);
                assert_memory_equal(sum.gradient, expected.gradient, P * sizeof(float));
                assert_memory_equal(&sum.cost, &expected.cost, sizeof(double));
                n_wanted -= (uint32_t)sum.rows;
                partial_release(&expected);
                partial_release(&sum);
            }
            assert_int_equal(n_wanted, 0);
        }
        reduce_destroy(&reduce);
        assert_int_equal(partials_live, 0);
    }
}

static void test_ranges_fall_into_few_nodes(void **state)
{
    (void)state;
    for (uint32_t n_blocks = 1; n_blocks <= 130; n_blocks++) {
        for (uint32_t first = 0; first < n_blocks; first++) {
            for (uint32_t end = first + 1; end <= n_blocks; end++) {
                uint32_t at = first;
                uint32_t n_nodes = 0;
                while (at < end) {
                    node_t node = node_largest(at, end, n_blocks);
                    uint32_t node_first, node_end;
                    assert_true(node_valid(node, n_blocks));
                    node_range(node, n_blocks, &node_first, &node_end);
                    assert_int_equal(node_first, at);
                    assert_true(node_end <= end);
                    at = node_end;
                    n_nodes++;
                }
                assert_int_equal(at, end);
                assert_true(n_nodes <= 2 * (node_root_level(n_blocks) + 1));
            }
        }
        node_t root = node_largest(0, n_blocks, n_blocks);
        assert_int_equal(root.level, node_root_level(n_blocks));
    }
    assert_false(node_valid((node_t){0, 5}, 5));
    assert_false(node_valid((node_t){4, 0}, 5));
    assert_false(node_valid((node_t){3, 0xffffffffu}, 5));
    assert_true(node_valid((node_t){3, 0}, 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order_and_any_cut_give_the_same_bits),
        cmocka_unit_test(test_duplicates_and_larger_nodes),
        cmocka_unit_test(test_missing_ranges),
        cmocka_unit_test(test_wanted_nodes),
        cmocka_unit_test(test_any_wanted_nodes),
        cmocka_unit_test(test_ranges_fall_into_few_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
