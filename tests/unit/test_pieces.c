/* One node in pieces: the same bits by any cut, each block once. */
#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "math/pieces.h"
#include "partials.h"

static bool s_add(pieces_t *pieces, node_t node, uint32_t n_blocks)
{
    partial_t partial = partials_sum(node, n_blocks);
    bool taken = pieces_add(pieces, node, &partial, P);
    assert_null(partial.gradient); /* in any case */
    return taken;
}

static void s_assert_whole(const pieces_t *pieces, node_t whole, uint32_t n_blocks)
{
    const partial_t *seen = pieces_whole(pieces);
    assert_non_null(seen);
    partial_t expected = partials_sum(whole, n_blocks);
    assert_memory_equal(seen->gradient, expected.gradient, P * sizeof(float));
    assert_true(seen->cost == expected.cost && seen->correct == expected.correct);
    assert_int_equal(seen->rows, expected.rows);
    partial_release(&expected);
}

static void test_any_cut_in_any_order_gives_the_same_bits(void **state)
{
    (void)state;
    pieces_t pieces = {0};
    srand(4);
    for (int round = 0; round < 3000; round++) {
        uint32_t n_blocks = 1 + (uint32_t)rand() % 40;
        uint32_t level = (uint32_t)rand() % (node_root_level(n_blocks) + 1);
        node_t whole = {level, (uint32_t)rand() % (((n_blocks - 1) >> level) + 1)};
        uint32_t first, end, cut_first, cut_end;
        node_range(whole, n_blocks, &first, &end);
        pieces_begin(&pieces, whole, n_blocks);
        while (!pieces_whole(&pieces)) { /* nodes of any range; some come twice or overlap */
            cut_first = first + (uint32_t)rand() % (end - first);
            cut_end = cut_first + 1 + (uint32_t)rand() % (end - cut_first);
            s_add(&pieces, node_largest(cut_first, cut_end, n_blocks), n_blocks);
        }
        s_assert_whole(&pieces, whole, n_blocks);
        assert_false(s_add(&pieces, whole, n_blocks));
    }
    pieces_clear(&pieces);
    pieces_clear(&pieces);
    assert_int_equal(partials_live, 0);
}

static void test_each_block_counts_once(void **state)
{
    (void)state;
    pieces_t pieces = {0};
    node_t whole = {2, 1};
    pieces_begin(&pieces, whole, 8);
    assert_null(pieces_whole(&pieces));
    assert_true(s_add(&pieces, (node_t){0, 5}, 8));
    assert_false(s_add(&pieces, (node_t){0, 5}, 8));
    assert_true(s_add(&pieces, (node_t){1, 2}, 8)); /* covers it: the same sum */
    assert_false(s_add(&pieces, (node_t){0, 4}, 8));
    assert_null(pieces_whole(&pieces));
    assert_true(s_add(&pieces, (node_t){0, 7}, 8));
    assert_true(s_add(&pieces, (node_t){0, 6}, 8));
    s_assert_whole(&pieces, whole, 8);
    pieces_begin(&pieces, (node_t){0, 0}, 8); /* lets all go */
    assert_int_equal(partials_live, 0);
    assert_null(pieces_whole(&pieces));
    assert_true(s_add(&pieces, (node_t){0, 0}, 8));
    pieces_clear(&pieces);
    assert_int_equal(partials_live, 0);
}

/* At the end of the tree nodes of several levels are the same blocks. */
static void test_a_node_by_another_name(void **state)
{
    (void)state;
    pieces_t pieces = {0};
    static const node_t names[] = {{0, 8}, {1, 4}, {2, 2}, {3, 1}};
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++) {
            pieces_begin(&pieces, names[i], 9);
            assert_true(s_add(&pieces, names[j], 9));
            s_assert_whole(&pieces, names[i], 9);
        }
    pieces_clear(&pieces);
    assert_int_equal(partials_live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_cut_in_any_order_gives_the_same_bits),
        cmocka_unit_test(test_each_block_counts_once),
        cmocka_unit_test(test_a_node_by_another_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
