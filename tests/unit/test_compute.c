/* The compute threads: tasks in, the bits of the definition out, in any order; cancelling. */
#include "unit.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "math/blas.h"
#include "tiny.h"
#include "workers/compute.h"

enum {
    ROWS = 8 * 37 - 5,
    DEADLINE_MS = 20000
};

typedef struct {
    model_t model;
    sampler_t sampler;
    dataset_t *data;
    rowcache_t *rows;
    compute_t *compute;
    frame_t weights;
    size_t n_params;
} fixture_t;

static void s_open(fixture_t *self, uint32_t n_threads)
{
    memset(self, 0, sizeof(*self));
    self->model = tiny_model();
    self->sampler = tiny_sampler(ROWS);
    self->data = tiny_data(ROWS);
    self->rows = rowcache_of(self->data, ROWS);
    self->n_params = model_params(&self->model);
    float *params = malloc(self->n_params * sizeof(float));
    model_init(&self->model, MODEL_INIT_UNIFORM, 1, params);
    frame_copy_of(&self->weights, params, self->n_params * sizeof(float));
    free(params);
    self->compute = compute_new(n_threads, &self->model, &self->sampler, KERNEL_DENSE, self->rows);
}

static void s_close(fixture_t *self)
{
    compute_destroy(&self->compute);
    compute_destroy(&self->compute);
    frame_clear(&self->weights);
    rowcache_destroy(&self->rows);
    dataset_destroy(&self->data);
}

/* Waits for one result. */
static partial_t s_take(fixture_t *self, uint32_t *step, node_t *node)
{
    partial_t partial;
    while (!compute_take(self->compute, step, node, &partial)) {
        struct pollfd fd = {compute_fd(self->compute), POLLIN, 0};
        assert_int_equal(poll(&fd, 1, DEADLINE_MS), 1);
    }
    return partial;
}

static void s_assert_by_definition(fixture_t *self, uint32_t step, node_t node, partial_t *seen)
{
    partial_t expected =
        tiny_sum(&self->sampler, dataset_images(self->data), dataset_labels(self->data),
                 frame_data(&self->weights), step, node);
    assert_memory_equal(seen->gradient, expected.gradient, self->n_params * sizeof(float));
    assert_memory_equal(&seen->cost, &expected.cost, sizeof(double));
    assert_int_equal(seen->correct, expected.correct);
    assert_int_equal(seen->rows, expected.rows);
    partial_release(&expected);
    partial_release(seen);
}

static void test_any_number_of_threads_gives_the_same_bits(void **state)
{
    (void)state;
    for (uint32_t n_threads = 1; n_threads <= 4; n_threads++) {
        fixture_t self;
        s_open(&self, n_threads);
        uint32_t n_blocks = sampler_blocks(&self.sampler);
        for (uint32_t round = 1; round <= 3; round++) {
            uint32_t n_tasks = 0;
            for (uint32_t level = 0; level <= node_root_level(n_blocks); level++)
                for (node_t node = {level, 0}; node_valid(node, n_blocks); node.index++, n_tasks++)
                    compute_submit(self.compute, round, node, &self.weights);
            for (; n_tasks > 0; n_tasks--) {
                uint32_t step;
                node_t node;
                partial_t partial = s_take(&self, &step, &node);
                assert_int_equal(step, round);
                s_assert_by_definition(&self, step, node, &partial);
            }
            uint32_t step;
            node_t node;
            partial_t none;
            assert_false(compute_take(self.compute, &step, &node, &none));
        }
        s_close(&self);
    }
}

static void test_a_task_keeps_its_weights(void **state)
{
    (void)state;
    fixture_t self;
    s_open(&self, 2);
    frame_t other = {.present = false};
    frame_copy_of(&other, frame_data(&self.weights), frame_size(&self.weights));
    for (uint32_t i = 0; i < 20; i++)
        compute_submit(self.compute, 1, (node_t){1, i % 18}, &other);
    frame_clear(&other); /* the next step's weights take its place */
    for (int i = 0; i < 20; i++) {
        uint32_t step;
        node_t node;
        partial_t partial = s_take(&self, &step, &node);
        s_assert_by_definition(&self, step, node, &partial);
    }
    s_close(&self);
}

static void test_cancelled_tasks_leave_nothing_behind(void **state)
{
    (void)state;
    for (uint32_t n_threads = 1; n_threads <= 4; n_threads++) {
        fixture_t self;
        s_open(&self, n_threads);
        uint32_t n_blocks = sampler_blocks(&self.sampler);
        node_t root = {node_root_level(n_blocks), 0};
        for (uint32_t round = 1; round <= 50; round++) {
            for (int i = 0; i < 6; i++)
                compute_submit(self.compute, round, root, &self.weights);
            compute_cancel(self.compute);
            compute_submit(self.compute, 1000 + round, root, &self.weights);
            uint32_t step;
            node_t node;
            partial_t partial = s_take(&self, &step, &node);
            while (step < 1000) { /* past its last block when it was cancelled */
                assert_true(step <= round);
                partial_release(&partial);
                partial = s_take(&self, &step, &node);
            }
            assert_int_equal(step, 1000 + round);
            if (round % 10 == 0)
                s_assert_by_definition(&self, step, node, &partial);
            else
                partial_release(&partial);
            while (compute_take(self.compute, &step, &node, &partial))
                partial_release(&partial);
        }
        s_close(&self);
    }
}

static void test_destroyed_in_the_middle(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        fixture_t self;
        s_open(&self, 3);
        for (uint32_t i = 0; i < 30; i++)
            compute_submit(self.compute, 1, (node_t){0, i}, &self.weights);
        if (round % 2) { /* some results are out, and nobody takes them */
            struct pollfd fd = {compute_fd(self.compute), POLLIN, 0};
            assert_int_equal(poll(&fd, 1, DEADLINE_MS), 1);
        }
        s_close(&self);
    }
}

int main(void)
{
    err_t err;
    if (blas_open(NULL, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(test_a_task_keeps_its_weights),
        cmocka_unit_test(test_cancelled_tasks_leave_nothing_behind),
        cmocka_unit_test(test_destroyed_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
