/* Blocks without their zeros: listed once, kept within a bound, shared by threads. */
#include "unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tiny.h"
#include "workers/blocks.h"

enum {
    ROWS = 8 * 7 - 3,
    BLOCKS = 7,
    THREADS = 4
};

/* The block's rows, and so their transpose, byte for byte. */
static void s_assert_lists(const block_t *block, uint32_t index, const uint8_t *images)
{
    sparse_t by_rows = {.picks = NULL}, by_columns = {.picks = NULL};
    size_t n = index == BLOCKS - 1 ? ROWS % TINY_BLOCK_ROWS : TINY_BLOCK_ROWS;
    const uint8_t *rows = images + (size_t)index * TINY_BLOCK_ROWS * TINY_INPUTS;
    sparse_set(&by_rows, n, TINY_INPUTS, rows, TINY_INPUTS);
    sparse_set_transposed(&by_columns, TINY_INPUTS, n, rows, TINY_INPUTS);
    assert_int_equal(block->by_rows.m, n);
    assert_int_equal(block->by_columns.m, TINY_INPUTS);
    assert_memory_equal(block->by_rows.starts, by_rows.starts, (n + 1) * sizeof(uint32_t));
    assert_memory_equal(block->by_rows.picks, by_rows.picks, by_rows.starts[n] * sizeof(uint16_t));
    assert_memory_equal(block->by_columns.starts, by_columns.starts,
                        (TINY_INPUTS + 1) * sizeof(uint32_t));
    assert_memory_equal(block->by_columns.picks, by_columns.picks,
                        by_columns.starts[TINY_INPUTS] * sizeof(uint16_t));
    sparse_clear(&by_rows);
    sparse_clear(&by_columns);
}

static void test_kept_within_the_bound(void **state)
{
    (void)state;
    dataset_t *data = tiny_data(ROWS);
    const uint8_t *images = dataset_images(data);
    sampler_t sampler = tiny_sampler(ROWS);
    block_t own = {.by_rows.picks = NULL};
    blocks_t *all = blocks_new(&sampler, TINY_INPUTS, SIZE_MAX);
    const block_t *last = blocks_get(all, BLOCKS - 1, images, &own);
    size_t bytes = sparse_bytes(&last->by_rows) + sparse_bytes(&last->by_columns);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        const block_t *block = blocks_get(all, i, images, &own);
        s_assert_lists(block, i, images);
        assert_ptr_not_equal(block, &own);
        assert_ptr_equal(blocks_get(all, i, images, &own), block);
    }
    blocks_destroy(&all);
    blocks_destroy(&all);

    blocks_t *one = blocks_new(&sampler, TINY_INPUTS, bytes);
    assert_ptr_equal(blocks_get(one, 0, images, &own), &own); /* a whole block is larger */
    s_assert_lists(&own, 0, images);
    block_clear(&own); /* its room is a whole block's */
    assert_ptr_not_equal(blocks_get(one, BLOCKS - 1, images, &own), &own);
    for (uint32_t i = 0; i < BLOCKS - 1; i++) {
        assert_ptr_equal(blocks_get(one, i, images, &own), &own);
        s_assert_lists(&own, i, images);
    }
    blocks_destroy(&one);
    block_clear(&own);
    dataset_destroy(&data);
}

typedef struct {
    blocks_t *blocks;
    const uint8_t *images;
    const block_t *seen[BLOCKS];
} reader_t;

static void *s_read_all(void *argument)
{
    reader_t *self = argument;
    block_t own = {.by_rows.picks = NULL};
    for (uint32_t i = 0; i < BLOCKS; i++)
        self->seen[i] = blocks_get(self->blocks, i, self->images, &own);
    block_clear(&own);
    return NULL;
}

static void test_threads_share_them(void **state)
{
    (void)state;
    dataset_t *data = tiny_data(ROWS);
    sampler_t sampler = tiny_sampler(ROWS);
    blocks_t *blocks = blocks_new(&sampler, TINY_INPUTS, SIZE_MAX);
    reader_t readers[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        readers[i] = (reader_t){.blocks = blocks, .images = dataset_images(data)};
        assert_int_equal(pthread_create(&threads[i], NULL, s_read_all, &readers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        s_assert_lists(readers[0].seen[i], i, dataset_images(data));
        for (int j = 1; j < THREADS; j++)
            assert_ptr_equal(readers[j].seen[i], readers[0].seen[i]);
    }
    blocks_destroy(&blocks);
    dataset_destroy(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept_within_the_bound),
        cmocka_unit_test(test_threads_share_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
