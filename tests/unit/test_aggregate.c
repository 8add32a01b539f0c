/* Which partials count. */
#include "unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch/aggregate.h"
#include "partials.h"

enum {
    ROWS = 1000,
    BLOCK_ROWS = 64,
    STEP = 3
};

static const sampler_t s_sampler = {.seed = 9, .fraction = 0.7, .n_rows = ROWS, .block_rows = 64};

static const node_t s_root = {4, 0};
static uint64_t s_rows(uint32_t step, uint32_t first, uint32_t end)
{
    uint32_t rows[BLOCK_ROWS];
    uint64_t n = 0;
    for (; first < end; first++)
        n += sampler_rows(&s_sampler, step, first, rows);
    return n;
}

static partial_t s_partial(uint32_t step, node_t node)
{
    uint32_t first, end;
    node_range(node, sampler_blocks(&s_sampler), &first, &end);
    partial_t partial = partials_new();
    partial.cost = 1.5;
    partial.rows = s_rows(step, first, end);
    partial.correct = partial.rows;
    for (int i = 0; i < P; i++)
        partial.gradient[i] = (float)(first + 1);
    return partial;
}

typedef struct {
    aggregate_t *aggregate;
    err_t err;
} fixture_t;

static int s_open(void **state)
{
    fixture_t *self = calloc(1, sizeof(*self));
    self->aggregate = aggregate_new(s_sampler, P);
    aggregate_begin(self->aggregate, STEP);
    aggregate_want(self->aggregate, s_root);
    *state = self;
    return 0;
}

static int s_close(void **state)
{
    fixture_t *self = *state;
    aggregate_destroy(&self->aggregate);
    aggregate_destroy(&self->aggregate);
    free(self);
    return partials_live;
}

typedef enum {
    ACCEPTED,
    DUPLICATE,
    BAD,
} result_t;

/* As the dispatcher does. */
static result_t s_offer(fixture_t *self, node_t node, partial_t *partial, size_t bytes)
{
    self->err.text[0] = '\0';
    if (aggregate_check(self->aggregate, node, partial, bytes, &self->err) != 0) {
        partial_release(partial);
        return BAD;
    }
    bool accepted = aggregate_insert(self->aggregate, node, partial);
    assert_null(partial->gradient); /* taken in any case */
    return accepted ? ACCEPTED : DUPLICATE;
}

static void s_assert_bad(fixture_t *self, node_t node, partial_t *partial, const char *text)
{
    uint32_t done = reduce_blocks_done(aggregate_tree(self->aggregate));
    assert_int_equal(s_offer(self, node, partial, P * sizeof(float)), BAD);
    if (!strstr(self->err.text, text))
        fail_msg("saw \"%s\", expected \"%s\" in it", self->err.text, text);
    assert_int_equal(reduce_blocks_done(aggregate_tree(self->aggregate)), done);
}

static void test_sums_a_step(void **state)
{
    fixture_t *self = *state;
    uint32_t n_blocks = sampler_blocks(&s_sampler);
    for (uint32_t step = STEP; step < STEP + 3; step++) {
        node_t node;
        partial_t sum;
        aggregate_begin(self->aggregate, step);
        assert_true(reduce_complete(aggregate_tree(self->aggregate), s_root)); /* not wanted */
        aggregate_want(self->aggregate, s_root);
        assert_false(aggregate_take(self->aggregate, &node, &sum));
        for (uint32_t block = n_blocks; block-- > 0;) {
            node = (node_t){0, block};
            partial_t partial = s_partial(step, node);
            assert_int_equal(s_offer(self, node, &partial, P * sizeof(float)), ACCEPTED);
        }
        assert_true(aggregate_take(self->aggregate, &node, &sum));
        assert_int_equal(node.level, s_root.level);
        assert_int_equal(sum.rows, s_rows(step, 0, n_blocks));
        assert_int_equal(sum.correct, sum.rows);
        assert_true(sum.cost == 1.5 * n_blocks);
        partial_release(&sum);
    }
}

static void test_counts_each_block_once(void **state)
{
    fixture_t *self = *state;
    static const struct {
        node_t node;
        result_t result;
        uint32_t n_done;
    } offers[] = {
        {{0, 3}, ACCEPTED, 1},  {{0, 3}, DUPLICATE, 1},  {{2, 0}, ACCEPTED, 4},
        {{0, 1}, DUPLICATE, 4}, {{1, 1}, DUPLICATE, 4},  {{2, 0}, DUPLICATE, 4},
        {{4, 0}, ACCEPTED, 16}, {{4, 0}, DUPLICATE, 16},
    };
    assert_int_equal(sampler_blocks(&s_sampler), 16);
    for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
        partial_t partial = s_partial(STEP, offers[i].node);
        assert_int_equal(s_offer(self, offers[i].node, &partial, P * sizeof(float)),
                         offers[i].result);
        assert_int_equal(reduce_blocks_done(aggregate_tree(self->aggregate)), offers[i].n_done);
    }
    node_t node;
    partial_t sum;
    assert_true(aggregate_take(self->aggregate, &node, &sum));
    assert_int_equal(sum.rows, s_rows(STEP, 0, 16));
    partial_release(&sum);
}

static void test_refuses_nodes_that_are_not_there(void **state)
{
    fixture_t *self = *state;
    static const node_t nodes[] = {{0, 16}, {1, 8},          {4, 1},          {5, 0},
                                   {32, 0}, {0, UINT32_MAX}, {32, UINT32_MAX}};
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        partial_t partial = s_partial(STEP, (node_t){0, 0});
        s_assert_bad(self, nodes[i], &partial, "is not in the tree");
    }
}

static void test_refuses_wrong_lengths(void **state)
{
    fixture_t *self = *state;
    static const size_t sizes[] = {0, 1, P * 4 - 4, P * 4 - 1, P * 4 + 1, P * 4 + 4};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        partial_t partial = s_partial(STEP, (node_t){0, 0});
        assert_int_equal(s_offer(self, (node_t){0, 0}, &partial, sizes[i]), BAD);
        assert_non_null(strstr(self->err.text, "expected 12"));
    }
}

static void test_refuses_wrong_numbers(void **state)
{
    fixture_t *self = *state;
    node_t node = {1, 2};
    partial_t partial = s_partial(STEP, node);
    partial.rows++;
    s_assert_bad(self, node, &partial, "rows, expected");
    partial = s_partial(STEP, node);
    partial.rows--;
    partial.correct--;
    s_assert_bad(self, node, &partial, "rows, expected");
    partial = s_partial(STEP, node);
    partial.correct++;
    s_assert_bad(self, node, &partial, "correct of");
    partial = s_partial(STEP, node);
    partial.cost = -1e-9;
    s_assert_bad(self, node, &partial, "a cost of -1e-09");
    partial = s_partial(STEP, node); /* and after all that the right one counts */
    assert_int_equal(s_offer(self, node, &partial, P * sizeof(float)), ACCEPTED);
}

#define aggregate_test(function) cmocka_unit_test_setup_teardown(function, s_open, s_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        aggregate_test(test_sums_a_step),
        aggregate_test(test_counts_each_block_once),
        aggregate_test(test_refuses_nodes_that_are_not_there),
        aggregate_test(test_refuses_wrong_lengths),
        aggregate_test(test_refuses_wrong_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
