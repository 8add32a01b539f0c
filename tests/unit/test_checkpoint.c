/* Checkpoints: what is written is read back, what is damaged is not. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/pool.h"
#include "parameter_server/checkpoint.h"
#include "parameter_server/optimizer_file.h"
#include "scratch.h"

static const checkpoint_info_t s_info = {
    .model = {.n_inputs = 3,
              .n_layers = 2,
              .layers = {{.units = 4, .activation = ACTIVATION_TANH},
                         {.units = 2, .activation = ACTIVATION_SIGMOID}}},
    .step = 12,
    .seed = UINT64_MAX,
    .digest = "00112233445566778899aabbccddeeff",
    .kernel = "dense/SkylakeX",
};
enum {
    P = 4 * 4 + 5 * 2
};

static void s_fill(float *values, float first)
{
    for (int i = 0; i < P; i++)
        values[i] = first + (float)i / 7.0f;
}

static checkpoint_state_t s_state(pool_t *pool)
{
    checkpoint_state_t state = {
        .fraction = 0.7,
        .learning_rate = 0.1,
        .block_rows = 512,
        .run = 0xfedcba9876543210,
        .optimizer = {.driver = bold_driver_new(0.1, 1.05, 0.5, true), .kept_rows = 41999},
    };
    bold_driver_next(&state.optimizer.driver, 1.0 / 3.0);
    state.optimizer.kept_weights = pool_take(pool);
    state.optimizer.kept_gradient = pool_take(pool);
    s_fill(state.optimizer.kept_weights, 10.0f);
    s_fill(state.optimizer.kept_gradient, 20.0f);
    return state;
}

static void test_state_survives_bit_for_bit(void **state)
{
    err_t err = {{0}};
    float params[P];
    s_fill(params, 1.0f);
    pool_t *pool = pool_new(P * sizeof(float));
    checkpoint_state_t written = s_state(pool), found;
    checkpoint_info_t info;
    float *values;
    assert_int_equal(checkpoint_write_numbered(*state, &s_info, params, &written, &err), 0);
    assert_int_equal(checkpoint_read_newest(*state, &info, &values, &found, &err), 1);
    assert_memory_equal(values, params, sizeof(params));
    assert_memory_equal(&info.model.layers, &s_info.model.layers, 2 * sizeof(model_layer_t));
    assert_int_equal(info.step, 12);
    assert_true(info.seed == UINT64_MAX);
    assert_string_equal(info.digest, s_info.digest);
    assert_string_equal(info.kernel, s_info.kernel);
    assert_true(found.run == written.run && found.block_rows == 512);
    assert_true(found.learning_rate == 0.1);
    assert_true(found.fraction == 0.7 && found.optimizer.kept_rows == 41999);
    const bold_driver_t *a = &found.optimizer.driver, *b = &written.optimizer.driver;
    assert_true(a->rate == b->rate && a->safe_rate == b->safe_rate && a->cost == b->cost);
    assert_true(a->up == 1.05 && a->down == 0.5 && a->rollback && a->has_cost);
    assert_memory_equal(found.optimizer.kept_weights, written.optimizer.kept_weights,
                        sizeof(params));
    assert_memory_equal(found.optimizer.kept_gradient, written.optimizer.kept_gradient,
                        sizeof(params));
    free(values);
    optimizer_state_clear(&found.optimizer);
    optimizer_state_clear(&written.optimizer);
    pool_destroy(&pool);
}

/* Without its vectors, which may be anything. */
static optimizer_state_t s_adam(pool_t *pool)
{
    optimizer_state_t state = {
        .config = {.kind = OPTIMIZER_ADAMW,
                   .schedule = {.kind = SCHEDULE_COSINE, .warmup_steps = 3, .steps = 90},
                   .learning_rate = 0.1,
                   .beta1 = 0.9,
                   .beta2 = 0.999,
                   .epsilon = 1e-8,
                   .weight_decay = 0.01,
                   .l1 = 1e-5,
                   .clip_norm = 5,
                   .ema = 0.99},
        .n_updates = 12,
        .driver = bold_driver_new(0.1, 1.05, 0.5, false),
        .moment1 = pool_take(pool),
        .moment2 = pool_take(pool),
        .average = pool_take(pool),
    };
    s_fill(state.moment1, 30.0f);
    s_fill(state.moment2, 40.0f);
    s_fill(state.average, 50.0f);
    return state;
}

static void test_an_optimizer_survives_bit_for_bit(void **state)
{
    err_t err = {{0}};
    float params[P], average[P];
    s_fill(params, 1.0f);
    s_fill(average, 50.0f);
    pool_t *pool = pool_new(P * sizeof(float));
    checkpoint_state_t written = {.fraction = 0.7, .learning_rate = 0.1, .run = 1}, found;
    written.optimizer = s_adam(pool);
    checkpoint_info_t info;
    float *values;
    char *path = file_join(*state, "adam.safetensors");
    assert_int_equal(checkpoint_write(path, &s_info, params, &written, &err), 0);
    assert_int_equal(checkpoint_read(path, &info, &values, &found, &err), 0);
    assert_memory_equal(values, params, sizeof(params));
    free(values);
    const optimizer_state_t *a = &written.optimizer, *b = &found.optimizer;
    assert_null(optimizer_file_difference(&a->config, &b->config));
    assert_true(b->config.learning_rate == 0.1 && b->n_updates == 12);
    assert_memory_equal(a->moment1, b->moment1, sizeof(params));
    assert_memory_equal(a->moment2, b->moment2, sizeof(params));
    assert_memory_equal(a->average, b->average, sizeof(params));
    optimizer_state_clear(&found.optimizer);

    /* what is not to be trained on is the average */
    assert_int_equal(checkpoint_read(path, &info, &values, NULL, &err), 0);
    assert_memory_equal(values, average, sizeof(params));
    free(values);

    /* every part of it counts for the digest */
    char *bytes;
    size_t size;
    assert_int_equal(file_read(path, 1 << 20, &bytes, &size, &err), 0);
    static const char *const metadata[] = {
        "training.ema\":\"0x1.f",       "training.schedule.warmup_steps\":\"",
        "training.schedule.steps\":\"", "optimizer.updates\":\"",
        "training.clip_norm\":\"0x1.",
    };
    for (size_t i = 0; i < 8; i++) {
        char *at = i < 5 ? (char *)memmem(bytes, size, metadata[i], strlen(metadata[i]))
                         : bytes + size - 10 * sizeof(float) - 4 * (i - 5) * P;
        assert_non_null(at);
        at += i < 5 ? strlen(metadata[i]) : 0;
        char before = *at;
        if (i < 5)
            *at = before == '1' ? '2' : '1';
        else
            *at ^= 1;
        file_part_t part = {bytes, size};
        assert_int_equal(file_write_atomic(path, &part, 1, &err), 0);
        assert_int_equal(checkpoint_read(path, &info, &values, &found, &err), -1);
        assert_non_null(strstr(err.text, "damaged"));
        *at = before;
    }
    free(bytes);

    /* and a vector must be there when the optimizer has one */
    pool_give(written.optimizer.moment2);
    written.optimizer.moment2 = NULL;
    assert_int_equal(checkpoint_write(path, &s_info, params, &written, &err), 0);
    assert_int_equal(checkpoint_read(path, &info, &values, &found, &err), -1);
    assert_non_null(strstr(err.text, "tensor 'optimizer.moment2' is missing, expected ("));
    free(path);
    optimizer_state_clear(&written.optimizer);
    pool_destroy(&pool);
}

static void test_settings_that_differ_are_named(void **state)
{
    (void)state;
    optimizer_config_t a = {.kind = OPTIMIZER_MOMENTUM, .momentum = 0.9}, b = a;
    assert_null(optimizer_file_difference(&a, &b));
    b.schedule.factor = 0.5;
    assert_string_equal(optimizer_file_difference(&a, &b), "training.schedule.factor");
    b.momentum = 0.8;
    assert_string_equal(optimizer_file_difference(&a, &b), "training.momentum");
    b.kind = OPTIMIZER_ADAM;
    assert_string_equal(optimizer_file_difference(&a, &b), "training.optimizer");
}

static void test_two_newest_are_kept_and_a_damaged_one_is_passed_over(void **state)
{
    err_t err = {{0}};
    float params[P];
    pool_t *pool = pool_new(P * sizeof(float));
    checkpoint_state_t written = s_state(pool), found;
    checkpoint_info_t info = s_info;
    float *values;
    for (uint32_t step = 9; step <= 11; step++) {
        info.step = step;
        s_fill(params, (float)step);
        assert_int_equal(checkpoint_write_numbered(*state, &info, params, &written, &err), 0);
    }
    char *oldest = file_join(*state, "step-0000000009.safetensors");
    char *older = file_join(*state, "step-0000000010.safetensors");
    char *newest = file_join(*state, "step-0000000011.safetensors");
    assert_false(file_exists(oldest));

    char *bytes;
    size_t size;
    assert_int_equal(file_read(newest, 1 << 20, &bytes, &size, &err), 0);
    for (int damage = 0; damage < 4; damage++) {
        file_part_t part = {bytes, damage == 0 ? 0 : damage == 1 ? size - 1 : size};
        if (damage == 3) { /* whole tensors, but another learning rate */
            bytes[size - 5] ^= 1;
            char *rate = memmem(bytes, size, "bold_driver.rate\":\"0x1.", 23);
            assert_non_null(rate);
            rate[23] = rate[23] == '1' ? '2' : '1';
        }
        if (damage == 2)
            bytes[size - 5] ^= 1; /* whole, but not what was written */
        assert_int_equal(file_write_atomic(newest, &part, 1, &err), 0);
        assert_int_equal(checkpoint_read_newest(*state, &info, &values, &found, &err), 1);
        assert_int_equal(info.step, 10);
        s_fill(params, 10.0f);
        assert_memory_equal(values, params, sizeof(params));
        free(values);
        optimizer_state_clear(&found.optimizer);
    }
    assert_int_equal(checkpoint_read(newest, &info, &values, &found, &err), -1);
    assert_non_null(strstr(err.text, "damaged: it does not hold what was written"));
    assert_int_equal(unlink(older), 0);
    assert_int_equal(checkpoint_read_newest(*state, &info, &values, &found, &err), -1);
    assert_int_equal(unlink(newest), 0);
    assert_int_equal(checkpoint_read_newest(*state, &info, &values, &found, &err), 0);
    free(bytes);
    free(oldest);
    free(older);
    free(newest);
    optimizer_state_clear(&written.optimizer);
    pool_destroy(&pool);
}

static void test_two_are_kept_without_descriptors(void **state)
{
    err_t err = {{0}};
    float params[P];
    s_fill(params, 1.0f);
    pool_t *pool = pool_new(P * sizeof(float));
    checkpoint_state_t written = s_state(pool);
    checkpoint_info_t info = s_info;
    scratch_descriptors_t descriptors;
    int failed = 0;
    scratch_take_descriptors(&descriptors);
    for (info.step = 9; info.step <= 11; info.step++)
        failed |= checkpoint_write_numbered(*state, &info, params, &written, &err);
    scratch_give_descriptors(&descriptors);
    assert_int_equal(failed, 0);
    char *oldest = file_join(*state, "step-0000000009.safetensors");
    char *newest = file_join(*state, "step-0000000011.safetensors");
    assert_false(file_exists(oldest));
    assert_true(file_exists(newest));
    free(newest);
    free(oldest);
    optimizer_state_clear(&written.optimizer);
    pool_destroy(&pool);
}

static void test_a_model_is_no_checkpoint(void **state)
{
    err_t err = {{0}};
    float params[P];
    s_fill(params, 1.0f);
    checkpoint_info_t info;
    checkpoint_state_t found;
    float *values;
    char *path = file_join(*state, "model.safetensors");
    assert_int_equal(checkpoint_write(path, &s_info, params, NULL, &err), 0);
    assert_int_equal(checkpoint_read(path, &info, &values, NULL, &err), 0);
    assert_memory_equal(values, params, sizeof(params));
    free(values);
    assert_int_equal(checkpoint_read(path, &info, &values, &found, &err), -1);
    assert_non_null(strstr(err.text, "a model, expected a checkpoint"));
    free(path);
}

static void test_evaluations_survive_bit_for_bit(void **state)
{
    err_t err = {{0}};
    float params[P];
    s_fill(params, 1.0f);
    pool_t *pool = pool_new(P * sizeof(float));
    checkpoint_state_t written = s_state(pool), found;
    checkpoint_info_t info;
    float *values;
    written.validation = 0.1;
    written.trial = (trial_file_t){
        .every = 7,
        .patience = 3,
        .state = {.pending_step = 21,
                  .pending = pool_take(pool),
                  .best_step = 14,
                  .best_cost = 1.0 / 3,
                  .best = pool_take(pool),
                  .n_worse = 2},
    };
    s_fill(written.trial.state.pending, 30.0f);
    s_fill(written.trial.state.best, 40.0f);
    char *path = file_join(*state, "step-0000000001.safetensors");
    assert_int_equal(checkpoint_write(path, &s_info, params, &written, &err), 0);
    assert_int_equal(checkpoint_read(path, &info, &values, &found, &err), 0);
    assert_memory_equal(values, params, sizeof(params));
    free(values);
    const trial_state_t *a = &found.trial.state, *b = &written.trial.state;
    assert_true(found.validation == 0.1 && found.trial.every == 7 && found.trial.patience == 3);
    assert_true(a->pending_step == 21 && a->best_step == 14 && a->n_worse == 2);
    assert_true(a->best_cost == 1.0 / 3);
    assert_memory_equal(a->pending, b->pending, sizeof(params));
    assert_memory_equal(a->best, b->best, sizeof(params));
    checkpoint_state_clear(&found);
    /* without a state they are those of the best evaluation */
    assert_int_equal(checkpoint_read(path, &info, &values, NULL, &err), 0);
    assert_memory_equal(values, b->best, sizeof(params));
    free(values);
    /* each of it is under the digest: one bit of the best model */
    safetensors_t *file = safetensors_read(path, &err);
    uint8_t *best = (uint8_t *)safetensors_tensor(file, "evaluation.best", NULL, NULL);
    best[3] ^= 1;
    assert_int_equal(checkpoint_parse(file, path, &info, &values, &found, &err), -1);
    assert_non_null(strstr(err.text, "damaged"));
    safetensors_destroy(&file);
    /* a model that is said to be there, and is not */
    pool_give(written.trial.state.best);
    written.trial.state.best = NULL;
    assert_int_equal(checkpoint_write(path, &s_info, params, &written, &err), 0);
    assert_int_equal(checkpoint_read(path, &info, &values, &found, &err), -1);
    assert_non_null(strstr(err.text, "tensor 'evaluation.best' is missing, expected ("));
    free(path);
    checkpoint_state_clear(&written);
    pool_destroy(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_state_survives_bit_for_bit),
        scratch_test(test_an_optimizer_survives_bit_for_bit),
        cmocka_unit_test(test_settings_that_differ_are_named),
        scratch_test(test_two_newest_are_kept_and_a_damaged_one_is_passed_over),
        scratch_test(test_two_are_kept_without_descriptors),
        scratch_test(test_a_model_is_no_checkpoint),
        scratch_test(test_evaluations_survive_bit_for_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
