/* scoring: blocks of an evaluation given out by speed, each counted once; workers that are lost or
 * late, messages that come twice, or come wrong. */
#include "unit.h"

#include <math.h>

#include "dispatch/scoring.h"

enum {
    BLOCKS = 12,
    ROWS = 10,
    FIRST = 1000,
    STEP = 5
};

static const scoring_worker_t s_workers[] = {{1, 1}, {2, 2}, {3, 1}};

static scoring_t *s_new(void)
{
    scoring_t *self = scoring_new();
    scoring_begin(self, STEP);
    for (uint32_t i = 0; i < BLOCKS; i++)
        scoring_want(self, FIRST + i * ROWS, FIRST + (i + 1) * ROWS);
    return self;
}

static wire_score_t s_score(uint32_t block)
{
    return (wire_score_t){STEP, FIRST + block * ROWS, FIRST + (block + 1) * ROWS, block + 0.5,
                          block % ROWS};
}

/* How many blocks each worker is asked for: of 1, 2, 3. */
static uint32_t s_plan(scoring_t *self, uint32_t first_worker, uint32_t n_workers, bool busy,
                       double now_ms, uint32_t asked[3])
{
    uint32_t n, last = 0;
    const wire_range_t *plan =
        scoring_plan(self, s_workers + first_worker, n_workers, busy, now_ms, &n);
    asked[0] = asked[1] = asked[2] = 0;
    for (uint32_t i = 0; i < n; i++) {
        assert_in_range(plan[i].worker, 1, 3);
        assert_true(plan[i].worker >= last); /* a worker's ranges are one message */
        last = plan[i].worker;
        assert_int_equal(plan[i].end - plan[i].first, ROWS);
        asked[plan[i].worker - 1]++;
    }
    return n;
}

static void s_answer(scoring_t *self, uint32_t first, uint32_t end, double now_ms)
{
    for (uint32_t i = first; i < end; i++) {
        wire_score_t score = s_score(i), taken;
        assert_true(scoring_result(self, &score, now_ms));
        assert_true(scoring_take(self, &taken));
        assert_int_equal(taken.first, score.first);
        assert_true(taken.cost == score.cost);
        assert_int_equal(taken.correct, score.correct);
        assert_false(scoring_take(self, &taken));
    }
}

static void test_blocks_are_dealt_by_speed_and_asked_for_once(void **state)
{
    (void)state;
    uint32_t asked[3];
    scoring_t *self = s_new();
    assert_int_equal(s_plan(self, 0, 0, false, 0, asked), 0); /* nobody is there */
    assert_true(scoring_owed(self));
    assert_int_equal(s_plan(self, 0, 3, true, 0, asked), BLOCKS); /* a step may be under way */
    assert_int_equal(asked[0], 3);
    assert_int_equal(asked[1], 6);
    assert_int_equal(asked[2], 3);
    assert_int_equal(s_plan(self, 0, 3, false, 1, asked), 0);
    s_answer(self, 0, BLOCKS, 2);
    assert_false(scoring_owed(self));
    assert_int_equal(s_plan(self, 0, 3, false, 1e9, asked), 0);
    scoring_destroy(&self);
}

static void test_what_a_lost_worker_owes_is_given_to_others(void **state)
{
    (void)state;
    uint32_t asked[3];
    scoring_t *self = s_new();
    (void)s_plan(self, 0, 3, false, 0, asked); /* 1: 0-2, 2: 3-8, 3: 9-11 */
    s_answer(self, 3, 5, 1);
    s_answer(self, 9, 12, 1); /* 3 owes nothing */
    scoring_lost(self, 2);
    assert_int_equal(s_plan(self, 0, 1, false, 2, asked), 4); /* 1 is the only one */
    scoring_lost(self, 1);
    assert_int_equal(s_plan(self, 2, 1, false, 3, asked), 7);
    assert_int_equal(asked[2], 7);
    s_answer(self, 0, 3, 4);
    s_answer(self, 5, 9, 4); /* whoever it was */
    assert_false(scoring_owed(self));
    scoring_destroy(&self);
}

static void test_what_is_late_is_given_to_who_owes_nothing(void **state)
{
    (void)state;
    uint32_t asked[3];
    scoring_t *self = s_new();
    (void)s_plan(self, 0, 3, false, 0, asked);
    s_answer(self, 3, 9, 10);
    assert_int_equal(s_plan(self, 0, 3, true, 100000, asked), 0); /* busy with a step */
    assert_int_equal(s_plan(self, 0, 3, false, 100499, asked), 0);
    assert_int_equal(s_plan(self, 0, 3, false, 100501, asked), 6);
    assert_int_equal(asked[1], 6);
    /* less and less soon */
    assert_int_equal(s_plan(self, 0, 3, false, 101400, asked), 0);
    assert_int_equal(s_plan(self, 0, 3, false, 101502, asked), 6);
    assert_int_equal(asked[0] + asked[2], 6); /* 2 has taken all over: it is its turn to be late */
    s_answer(self, 0, 3, 101503);
    s_answer(self, 9, 12, 101503);
    /* copies, of before and of now, do not count again */
    wire_score_t again = s_score(1), taken;
    assert_true(scoring_result(self, &again, 101504));
    assert_false(scoring_take(self, &taken));
    scoring_destroy(&self);
}

static void test_a_worker_alone_is_asked_again(void **state)
{
    (void)state;
    uint32_t asked[3];
    scoring_t *self = s_new();
    assert_int_equal(s_plan(self, 1, 1, false, 0, asked), BLOCKS);
    s_answer(self, 0, 4, 100);
    assert_int_equal(s_plan(self, 1, 1, false, 599, asked), 0);
    assert_int_equal(s_plan(self, 1, 1, false, 601, asked), BLOCKS - 4);
    scoring_destroy(&self);
}

static void test_what_was_not_asked_for_does_not_count(void **state)
{
    (void)state;
    scoring_t *self = s_new();
    wire_score_t bad, taken;
    bad = s_score(0), bad.first++;
    assert_false(scoring_result(self, &bad, 0));
    bad = s_score(0), bad.end++;
    assert_false(scoring_result(self, &bad, 0));
    bad = s_score(BLOCKS);
    assert_false(scoring_result(self, &bad, 0));
    bad = s_score(0), bad.correct = ROWS + 1;
    assert_false(scoring_result(self, &bad, 0));
    bad = s_score(0), bad.cost = -1e-9;
    assert_false(scoring_result(self, &bad, 0));
    bad = s_score(0), bad.step = STEP + 1;
    assert_false(scoring_result(self, &bad, 0));
    bad = s_score(0), bad.step = STEP - 1; /* too late, and no offence */
    assert_true(scoring_result(self, &bad, 0));
    assert_false(scoring_take(self, &taken));
    bad = s_score(0), bad.cost = NAN; /* a model may be so bad */
    assert_true(scoring_result(self, &bad, 0));
    assert_true(scoring_take(self, &taken));
    scoring_destroy(&self);
}

static void test_a_relay_that_is_asked_again_says_it_again(void **state)
{
    (void)state;
    uint32_t asked[3];
    scoring_t *self = s_new();
    wire_score_t taken;
    (void)s_plan(self, 0, 1, false, 0, asked);
    s_answer(self, 2, 3, 1);
    scoring_want(self, FIRST + 2 * ROWS, FIRST + 3 * ROWS); /* what went up was lost */
    assert_true(scoring_take(self, &taken));
    assert_true(taken.cost == 2.5);
    scoring_want(self, FIRST, FIRST + ROWS); /* under way */
    assert_false(scoring_take(self, &taken));
    assert_int_equal(s_plan(self, 0, 1, false, 2, asked), 0);
    /* another evaluation knows nothing of it */
    scoring_begin(self, STEP + 1);
    assert_false(scoring_owed(self));
    scoring_want(self, FIRST + 2 * ROWS, FIRST + 3 * ROWS);
    assert_false(scoring_take(self, &taken));
    assert_int_equal(s_plan(self, 0, 1, false, 2, asked), 1);
    scoring_destroy(&self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_dealt_by_speed_and_asked_for_once),
        cmocka_unit_test(test_what_a_lost_worker_owes_is_given_to_others),
        cmocka_unit_test(test_what_is_late_is_given_to_who_owes_nothing),
        cmocka_unit_test(test_a_worker_alone_is_asked_again),
        cmocka_unit_test(test_what_was_not_asked_for_does_not_count),
        cmocka_unit_test(test_a_relay_that_is_asked_again_says_it_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
