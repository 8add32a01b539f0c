/* Partials of canonical nodes: the bits of the definition, however the tree is cut. */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "math/augment.h"
#include "math/blas.h"
#include "tiny.h"
#include "workers/gradient.h"

typedef struct {
    model_t model;
    sampler_t sampler;
    dataset_t *data;
    pool_t *pool;
    gradient_t *gradient;
    float *params;
    size_t n_params;
    _Atomic uint64_t epoch;
} fixture_t;

static void s_open(fixture_t *self, uint32_t n_rows)
{
    memset(self, 0, sizeof(*self));
    self->model = tiny_model();
    self->sampler = tiny_sampler(n_rows);
    self->data = tiny_data(n_rows);
    self->n_params = model_params(&self->model);
    self->pool = pool_new(self->n_params * sizeof(float));
    self->gradient = gradient_new(&self->model, &self->sampler, KERNEL_DENSE, self->pool, NULL);
    self->params = malloc(self->n_params * sizeof(float));
    model_init(&self->model, MODEL_INIT_UNIFORM, 1, self->params);
}

static void s_close(fixture_t *self)
{
    gradient_destroy(&self->gradient);
    gradient_destroy(&self->gradient);
    pool_destroy(&self->pool);
    dataset_destroy(&self->data);
    free(self->params);
}

static partial_t s_compute(fixture_t *self, uint32_t step, node_t node)
{
    partial_t partial = {.gradient = NULL};
    assert_true(gradient_node(self->gradient, self->params, dataset_images(self->data),
                              dataset_labels(self->data), step, node, &self->epoch, 0, &partial));
    return partial;
}

static void s_assert_same(const fixture_t *self, const partial_t *seen, const partial_t *expected)
{
    assert_memory_equal(seen->gradient, expected->gradient, self->n_params * sizeof(float));
    assert_memory_equal(&seen->cost, &expected->cost, sizeof(double));
    assert_int_equal(seen->correct, expected->correct);
    assert_int_equal(seen->rows, expected->rows);
}

static void test_every_node_is_the_sum_by_definition(void **state)
{
    (void)state;
    static const uint32_t rows[] = {1, 7, 8, 9, 40, 64, 65, 130, 8 * 23};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fixture_t self;
        s_open(&self, rows[i]);
        uint32_t n_blocks = sampler_blocks(&self.sampler);
        for (uint32_t step = 1; step <= 2; step++) {
            for (uint32_t level = 0; level <= node_root_level(n_blocks); level++) {
                for (node_t node = {level, 0}; node_valid(node, n_blocks); node.index++) {
                    partial_t seen = s_compute(&self, step, node);
                    partial_t expected =
                        tiny_sum(&self.sampler, dataset_images(self.data),
                                 dataset_labels(self.data), self.params, step, node);
                    s_assert_same(&self, &seen, &expected);
                    partial_release(&seen);
                    partial_release(&expected);
                }
            }
        }
        s_close(&self);
    }
}

static void test_any_cut_gives_the_bits_of_the_whole(void **state)
{
    (void)state;
    srand(4);
    fixture_t self;
    s_open(&self, 8 * 21 - 3);
    uint32_t n_blocks = sampler_blocks(&self.sampler);
    partial_t whole = s_compute(&self, 3, (node_t){node_root_level(n_blocks), 0});
    for (int round = 0; round < 30; round++) {
        node_t root = {node_root_level(n_blocks), 0};
        partial_t sum;
        reduce_t *tree = reduce_new(n_blocks, self.n_params);
        reduce_want(tree, root);
        while (!reduce_complete(tree, root)) {
            node_t node = {(uint32_t)rand() % node_root_level(n_blocks), 0};
            node.index = (uint32_t)rand() % n_blocks >> node.level;
            partial_t piece = s_compute(&self, 3, node);
            reduce_insert(tree, node, &piece);
        }
        assert_true(reduce_take(tree, &root, &sum));
        s_assert_same(&self, &sum, &whole);
        partial_release(&sum);
        reduce_destroy(&tree);
    }
    partial_release(&whole);
    s_close(&self);
}

static void test_gives_up_when_the_epoch_changes(void **state)
{
    (void)state;
    fixture_t self;
    s_open(&self, 100);
    partial_t partial = {.gradient = NULL};
    self.epoch = 5;
    assert_false(gradient_node(self.gradient, self.params, dataset_images(self.data),
                               dataset_labels(self.data), 1, (node_t){2, 0}, &self.epoch, 4,
                               &partial));
    assert_null(partial.gradient);
    assert_true(gradient_node(self.gradient, self.params, dataset_images(self.data),
                              dataset_labels(self.data), 1, (node_t){2, 0}, &self.epoch, 5,
                              &partial));
    partial_release(&partial);
    s_close(&self);
}

/* The rows of a step are altered, and nothing else of it: the bits are those of training on altered
 * images. By both kernels, and of samples as of batches. */
static void test_rows_are_altered(void **state)
{
    (void)state;
    static const augment_t augment = {
        .shift = 0.5, .rotation = 30, .scale = 0.1, .shear = 0.2, .alpha = 1, .sigma = 1};
    enum {
        ROWS = 8 * 5 - 3,
        STEP = 2
    };
    for (int round = 0; round < 4; round++) {
        fixture_t self;
        s_open(&self, ROWS);
        gradient_destroy(&self.gradient);
        kernel_t kernel = round % 2 ? KERNEL_SPARSE : KERNEL_DENSE;
        self.sampler.batch_rows = round / 2 ? 30 : 0;
        node_t root = {node_root_level(sampler_blocks(&self.sampler)), 0};
        blocks_t *blocks = blocks_new(&self.sampler, TINY_INPUTS, SIZE_MAX);
        uint8_t *altered = malloc((size_t)ROWS * TINY_INPUTS);
        augmenter_t *augmenter = augmenter_new(&augment, self.sampler.seed, TINY_INPUTS);
        for (uint32_t row = 0; row < ROWS; row++)
            augmenter_row(augmenter, STEP, row,
                          dataset_images(self.data) + (size_t)row * TINY_INPUTS,
                          altered + (size_t)row * TINY_INPUTS);
        assert_memory_not_equal(altered, dataset_images(self.data), (size_t)ROWS * TINY_INPUTS);
        partial_t expected, seen;
        self.gradient = gradient_new(&self.model, &self.sampler, kernel, self.pool, blocks);
        assert_true(gradient_node(self.gradient, self.params, altered, dataset_labels(self.data),
                                  STEP, root, &self.epoch, 0, &expected));
        gradient_destroy(&self.gradient);
        self.sampler.augment = augment;
        self.gradient = gradient_new(&self.model, &self.sampler, kernel, self.pool, blocks);
        seen = s_compute(&self, STEP, root);
        s_assert_same(&self, &seen, &expected);
        partial_release(&seen);
        partial_release(&expected);
        augmenter_destroy(&augmenter);
        free(altered);
        s_close(&self);
        blocks_destroy(&blocks);
    }
}

typedef struct {
    _Atomic uint64_t *epoch;
    atomic_bool over;
} canceller_t;

static void *s_cancel(void *argument)
{
    canceller_t *self = argument;
    const struct timespec pause = {0, 200000};
    while (!self->over) {
        atomic_fetch_add(self->epoch, 1);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* Cancelled at any block, it leaves no buffer behind: LeakSanitizer would tell. */
static void test_gives_up_in_the_middle(void **state)
{
    (void)state;
    fixture_t self;
    s_open(&self, 8 * 1000);
    canceller_t canceller = {.epoch = &self.epoch};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, s_cancel, &canceller), 0);
    node_t root = {node_root_level(sampler_blocks(&self.sampler)), 0};
    for (int n_given_up = 0; n_given_up < 50;) { /* each at another place */
        partial_t partial = {.gradient = NULL};
        if (gradient_node(self.gradient, self.params, dataset_images(self.data),
                          dataset_labels(self.data), 1, root, &self.epoch, self.epoch, &partial))
            partial_release(&partial);
        else
            n_given_up++;
    }
    canceller.over = true;
    pthread_join(thread, NULL);
    s_close(&self);
}

int main(void)
{
    err_t err;
    if (blas_open(NULL, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_node_is_the_sum_by_definition),
        cmocka_unit_test(test_any_cut_gives_the_bits_of_the_whole),
        cmocka_unit_test(test_rows_are_altered),
        cmocka_unit_test(test_gives_up_when_the_epoch_changes),
        cmocka_unit_test(test_gives_up_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
