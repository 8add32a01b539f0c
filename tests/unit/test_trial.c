/* trial: blocks of validation and test rows, sums in their order whatever the order they come in,
 * and what early stopping makes of the validation cost. */
#include "unit.h"

#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "parameter_server/trial.h"

static trial_config_t s_config(void)
{
    return (trial_config_t){.n_train = 100,
                            .n_validation = 25,
                            .n_test = 20,
                            .block_rows = 10,
                            .every = 3,
                            .patience = 2};
}

static float *s_model(float value)
{
    pool_t *pool = pool_new(sizeof(float));
    float *model = pool_take(pool);
    *model = value;
    pool_destroy(&pool); /* its buffer lives on */
    return model;
}

static const double s_costs[] = {1e16, 1, 3, 1, 0.1}; /* the order of a sum shows */

static wire_score_t s_score(const trial_t *trial, uint32_t step, uint32_t i)
{
    wire_score_t score = {.step = step, .cost = s_costs[i], .correct = i + 1};
    assert_true(trial_block(trial, i, &score.first, &score.end));
    return score;
}

static void test_blocks_and_sums(void **state)
{
    (void)state;
    static const uint32_t ranges[5][2] = {
        {100, 110}, {110, 120}, {120, 125}, {125, 135}, {135, 145}};
    static const uint32_t orders[3][5] = {{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {2, 4, 1, 0, 3}};
    trial_config_t config = s_config();
    trial_state_t none = {0};
    trial_t *trial = trial_new(&config, &none);
    uint32_t first, end;
    for (uint32_t i = 0; i < 5; i++) {
        assert_true(trial_block(trial, i, &first, &end));
        assert_int_equal(first, ranges[i][0]);
        assert_int_equal(end, ranges[i][1]);
    }
    assert_false(trial_block(trial, 5, &first, &end));
    for (int k = 0; k < 3; k++) {
        trial_result_t result = {0};
        trial_begin(trial, 3, s_model(1));
        for (uint32_t i = 0; i < 5; i++) {
            wire_score_t score = s_score(trial, 3, orders[k][i]);
            assert_int_equal(trial_score(trial, &score, &result), i == 4);
            assert_false(trial_score(trial, &score, &result)); /* again */
        }
        assert_int_equal(result.step, 3);
        assert_int_equal(result.validation.rows, 25);
        assert_true(result.validation.cost == ((1e16 + 1) + 3) / 25);
        assert_true(result.validation.accuracy == 6.0 / 25);
        assert_true(result.test.cost == (1 + 0.1) / 20);
        assert_true(result.test.accuracy == 9.0 / 20);
    }
    trial_destroy(&trial);
    /* blocks are never larger than what takes little time */
    config.block_rows = 65536;
    config.n_validation = 600;
    config.n_test = 0;
    trial = trial_new(&config, &none);
    assert_true(trial_block(trial, 0, &first, &end));
    assert_int_equal(end - first, 512);
    assert_true(trial_block(trial, 1, &first, &end));
    assert_int_equal(end - first, 88);
    assert_false(trial_block(trial, 2, &first, &end));
    trial_destroy(&trial);
}

/* The trial of a step, with such a validation cost. */
static void s_try(trial_t *trial, uint32_t step, double cost)
{
    trial_result_t result;
    assert_true(trial_due(trial, step));
    assert_false(trial_due(trial, step + 1));
    trial_begin(trial, step, s_model((float)step));
    for (uint32_t i = 0; i < 5; i++) {
        bool stop;
        assert_false(trial_decide(trial, &stop)); /* blocks are missing */
        wire_score_t score = s_score(trial, step, i);
        score.cost = i == 0 ? cost : 0;
        (void)trial_score(trial, &score, &result);
    }
}

static void test_early_stopping(void **state)
{
    (void)state;
    /* not lower is worse: equal, too, and what is no number */
    static const struct {
        double cost;
        uint32_t best_step, n_worse;
        bool stop;
    } cases[] = {{5, 3, 0, false},  {4, 6, 0, false},    {4, 6, 1, false},
                 {3, 12, 0, false}, {NAN, 12, 1, false}, {3.5, 12, 2, true}};
    trial_config_t config = s_config();
    trial_state_t held = {0};
    trial_t *trial = trial_new(&config, &held);
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t step = 3 * (i + 1);
        bool stop;
        s_try(trial, step, cases[i].cost);
        assert_false(trial_awaited(trial, step + 1, false));
        assert_false(trial_awaited(trial, step + 2, false));
        assert_true(trial_awaited(trial, step + 3, false));
        assert_true(trial_awaited(trial, step + 1, true)); /* there is no step any more */
        /* a run that goes on from a checkpoint now does the trial once more */
        held = trial_state_share(trial_state(trial));
        assert_int_equal(held.pending_step, step);
        assert_true(*held.pending == (float)step);
        trial_destroy(&trial);
        trial = trial_new(&config, &held);
        assert_null(held.pending);
        s_try(trial, step, cases[i].cost);
        assert_true(trial_decide(trial, &stop));
        assert_int_equal(stop, cases[i].stop);
        assert_false(trial_awaited(trial, step + 3, true));
        const trial_state_t *now = trial_state(trial);
        assert_int_equal(now->best_step, cases[i].best_step);
        assert_true(*now->best == (float)cases[i].best_step);
        assert_int_equal(now->n_worse, cases[i].n_worse);
        assert_int_equal(now->pending_step, 0);
        assert_null(now->pending);
    }
    trial_destroy(&trial);
}

static void test_without_early_stopping_nothing_is_kept(void **state)
{
    (void)state;
    trial_config_t config = s_config();
    config.patience = 0;
    trial_state_t none = {0};
    trial_t *trial = trial_new(&config, &none);
    for (uint32_t step = 3; step < 30; step += 3) {
        bool stop;
        s_try(trial, step, step);
        assert_true(trial_decide(trial, &stop));
        assert_false(stop);
        assert_null(trial_state(trial)->best);
    }
    trial_destroy(&trial);
    config.every = 0;
    trial = trial_new(&config, &none);
    assert_false(trial_due(trial, 3));
    trial_destroy(&trial);
}

/* Without early stopping a run may go on with evaluations at other steps than before. */
static void test_a_trial_is_not_lost_to_the_next(void **state)
{
    (void)state;
    static const struct {
        uint32_t every, next;
    } cases[] = {{1, 11}, {3, 12}, {7, 14}, {10, 20}, {11, 11}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        trial_config_t config = s_config();
        config.patience = 0;
        config.every = cases[i].every;
        trial_state_t held = {.pending_step = 10, .pending = s_model(1)};
        trial_t *trial = trial_new(&config, &held);
        for (uint32_t step = 11; step <= cases[i].next; step++) {
            assert_int_equal(trial_due(trial, step), step == cases[i].next);
            assert_int_equal(trial_awaited(trial, step, false), step == cases[i].next);
        }
        trial_destroy(&trial);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_and_sums),
        cmocka_unit_test(test_early_stopping),
        cmocka_unit_test(test_without_early_stopping_nothing_is_kept),
        cmocka_unit_test(test_a_trial_is_not_lost_to_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
