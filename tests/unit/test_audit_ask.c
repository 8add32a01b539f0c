/* Copies of a node: what is audited, who is asked for it, and for how long. */
#include "unit.h"

#include <math.h>
#include <stdbool.h>

#include "audited.h"
#include "math/rng.h"

static void test_units(void **state)
{
    (void)state;
    static const uint32_t levels[][2] = {{1, 0},  {15, 0},  {30, 0},  {31, 1},  {60, 1},
                                         {61, 2}, {118, 2}, {120, 2}, {121, 3}, {1u << 24, 20}};
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        assert_int_equal(audit_unit_level(levels[i][0]), levels[i][1]);
}

static void test_what_is_drawn(void **state)
{
    (void)state;
    audit_t *none = audit_new(9, 0, BLOCKS, P), *all = audit_new(9, 1, BLOCKS, P);
    audit_t *some = audit_new(9, 0.1, BLOCKS, P), *other = audit_new(10, 0.1, BLOCKS, P);
    uint32_t n = 0, n_other = 0, n_units = BLOCKS / 2;
    for (uint32_t step = 1; step <= 1000; step++)
        for (uint32_t unit = 0; unit < n_units; unit++) {
            uint32_t bits;
            rng_fill(9, RNG_AUDIT, step, (1ull << 32) + unit, 1, &bits);
            assert_false(audit_draws(none, step, unit));
            assert_true(audit_draws(all, step, unit));
            assert_int_equal(audit_draws(some, step, unit), bits < (uint32_t)(0.1 * 0x1p32));
            n += audit_draws(some, step, unit);
            n_other += audit_draws(some, step, unit) != audit_draws(other, step, unit);
        }
    double expected = 0.1 * 1000 * n_units;
    assert_true(fabs(n - expected) < 5 * sqrt(expected * 0.9));
    assert_true(n_other > n); /* another seed draws others */
    audit_destroy(&none);
    audit_destroy(&all);
    audit_destroy(&some);
    audit_destroy(&other);
}

/* Audited nodes are small enough for the workers there are; they are cut out of ranges. */
static void test_cuts(void **state)
{
    (void)state;
    audited_t world = audited_new(2, (node_t){2, 3}); /* blocks 12 to 15 in units of two */
    bool audited;
    assert_int_equal(audit_cut(world.audit, 0, 40, &audited), 12);
    assert_false(audited);
    assert_int_equal(audit_cut(world.audit, 12, 40, &audited), 14);
    assert_true(audited);
    assert_int_equal(audit_cut(world.audit, 13, 40, &audited), 14);
    assert_true(audited);
    assert_int_equal(audit_cut(world.audit, 14, 15, &audited), 15);
    assert_true(audited);
    assert_int_equal(audit_cut(world.audit, 16, 40, &audited), 40);
    assert_false(audited);
    assert_int_equal(audit_place(world.audit, (node_t){2, 2}), AUDIT_OUTSIDE);
    assert_int_equal(audit_place(world.audit, (node_t){0, 16}), AUDIT_OUTSIDE);
    assert_int_equal(audit_place(world.audit, (node_t){1, 6}), AUDIT_INSIDE);
    assert_int_equal(audit_place(world.audit, (node_t){0, 15}), AUDIT_INSIDE);
    assert_int_equal(audit_place(world.audit, (node_t){2, 3}), AUDIT_ACROSS);
    assert_int_equal(audit_place(world.audit, (node_t){6, 0}), AUDIT_ACROSS);
    audit_begin(world.audit, STEP, 3); /* a share of a third: units are too large */
    audit_want(world.audit, (node_t){2, 3}, world.workers, 2);
    assert_int_equal(audit_cut(world.audit, 12, 40, &audited), 13);
    audit_want(world.audit, (node_t){1, 6}, world.workers, 2); /* again: in place of the old ones */
    assert_int_equal(audit_cut(world.audit, 12, 40, &audited), 13);
    assert_true(audit_undecided(world.audit, 12));
    assert_false(audit_undecided(world.audit, 11));
    audit_begin(world.audit, STEP, 2);
    assert_false(audit_undecided(world.audit, 12));
    audited_end(&world);
}

static void test_late_copies(void **state)
{
    (void)state;
    audited_t world = audited_new(3, audited_node);
    audited_ask_n(&world, 2);
    uint32_t slow = world.asks[0].worker, good = world.asks[1].worker, third = 6 - slow - good;
    audited_offer(&world, good, audited_node, 0);
    audit_late(world.audit, slow, 6);
    audit_late(world.audit, slow, 6);
    audit_late(world.audit, third, 6); /* was not asked */
    audited_ask_n(&world, 1);
    assert_true(audited_asked(&world, third));
    audit_late(world.audit, third, 7);
    audited_ask_n(&world, 1); /* nobody new is left: one of them again */
    assert_true(audited_asked(&world, slow) || audited_asked(&world, third));
    assert_true(audited_offer(&world, slow, audited_node, 0)); /* late or not */
    audited_expect_decided(&world, 0);
    audited_end(&world);

    world =
        audited_new(2, audited_node); /* all are late: all are asked again, as long as it takes */
    audited_ask_n(&world, 2);
    for (int time = 0; time < 20; time++) {
        audit_late(world.audit, 1, 6);
        audit_late(world.audit, 2, 6);
        audited_ask_n(&world, 2);
        world.now_ms += 10000;
    }
    audited_end(&world);
}

static void test_lost_workers(void **state)
{
    (void)state;
    audited_t world = audited_new(3, audited_node);
    audited_ask_n(&world, 2);
    uint32_t gone = world.asks[0].worker, good = world.asks[1].worker;
    audited_remove(&world, gone);
    assert_false(audit_awaits(world.audit, gone, 6));
    audited_ask_n(&world, 1);
    assert_true(audited_asked(&world, 6 - gone - good));
    assert_true(audited_offer(&world, gone, audited_node, 0)); /* had been sent */
    assert_true(audited_offer(&world, good, audited_node, 0));
    audited_expect_decided(&world, 0);
    audited_end(&world);

    world = audited_new(2, audited_node); /* what it owed was given up, but it is still there */
    audited_ask_n(&world, 2);
    audit_lost(world.audit, 1);
    audited_ask_n(&world, 1);
    assert_true(audited_asked(&world, 1));
    audited_offer(&world, 1, audited_node, 0);
    audited_offer(&world, 2, audited_node, 0);
    audited_expect_decided(&world, 0);
    audited_end(&world);

    world = audited_new(2, audited_node); /* all leave, another one comes */
    audited_ask_n(&world, 2);
    audited_remove(&world, 1);
    audited_offer(&world, 2, audited_node, 0);
    audited_remove(&world, 2);
    audited_ask_n(&world, 0);
    audited_expect_undecided(&world);
    world.workers[world.n_workers++] = (audit_worker_t){3, "cat", "here", 1.0, 0, false};
    audited_ask_n(&world, 1);
    audited_offer(&world, 3, audited_node, 0);
    audited_expect_decided(&world, 0);
    audited_end(&world);
}

/* One worker alone goes on without an audit. */
static void test_alone(void **state)
{
    (void)state;
    audited_t world = audited_new(1, audited_node);
    assert_false(audit_undecided(world.audit, 6));
    assert_int_equal(audit_unchecked(world.audit), 1);
    audited_end(&world);

    world = audited_new(2, (node_t){6, 0});
    assert_int_equal(audit_unchecked(world.audit), 0);
    world.workers[1].silent = true;
    audit_begin(world.audit, STEP, 1);
    audit_want(world.audit, audited_node, world.workers, 2);
    world.workers[1].silent = false;
    world.workers[1].name = "ann"; /* on the same host: no other */
    audit_want(world.audit, (node_t){1, 5}, world.workers, 2);
    assert_int_equal(audit_unchecked(world.audit), 2);
    assert_false(audit_undecided(world.audit, 6) || audit_undecided(world.audit, 10));
    audited_end(&world);

    world = audited_new(2, audited_node);
    audited_ask_n(&world, 2);
    audited_offer(&world, 1, audited_node, 3);
    audited_remove(&world, 2);
    audited_ask_n(&world, 0);
    audited_expect(&world, AUDIT_ALONE, "ann", "");
    audited_expect_decided(&world, 3);
    assert_int_equal(audit_compared(world.audit), 0);
    assert_int_equal(audit_unchecked(world.audit), 1);
    audited_end(&world);
}

/* One that is there and sends nothing does not hold the step up for ever. */
static void test_patience_has_an_end(void **state)
{
    (void)state;
    audited_t world = audited_new(2, audited_node);
    audited_ask_n(&world, 2);
    audited_offer(&world, 1, audited_node, 0);
    int n_asked = 1;
    for (; audit_undecided(world.audit, 6); n_asked += (int)world.n_asks) {
        assert_true(n_asked < 100);
        audit_late(world.audit, 2, 6);
        world.now_ms += 500;
        audited_ask(&world);
    }
    assert_true(n_asked >= 5 && world.now_ms >= 3000 && world.now_ms < 10000);
    audited_expect(&world, AUDIT_ALONE, "ann", "");
    audited_expect_decided(&world, 0);
    audited_end(&world);
}

/* Everybody is asked and so is found out, the more the more it computes; the silent are not. */
static void test_whom_it_asks(void **state)
{
    (void)state;
    audited_t world = audited_new(5, audited_node);
    world.workers[1].speed = 0.25;
    world.workers[4].silent = true;
    int n[6] = {0}, n_steps = 4000;
    for (uint32_t step = 1; step <= (uint32_t)n_steps; step++) {
        audit_begin(world.audit, step, 4);
        audit_want(world.audit, (node_t){0, step % BLOCKS}, world.workers, 5);
        audited_ask(&world);
        assert_int_equal(world.n_asks, 2);
        assert_true(world.asks[0].worker != world.asks[1].worker);
        n[world.asks[0].worker]++;
    }
    assert_int_equal(n[5], 0);
    for (int worker = 1; worker <= 4; worker++) { /* the first one in proportion to its speed */
        double share = (worker == 2 ? 0.25 : 1) / 3.25;
        assert_true(fabs(n[worker] - share * n_steps) < 5 * sqrt(share * (1 - share) * n_steps));
    }
    int copies[6] = {0}; /* many at once are shared out */
    audit_begin(world.audit, 1, 4);
    audit_want(world.audit, (node_t){5, 0}, world.workers, 5);
    audited_ask(&world);
    assert_int_equal(world.n_asks, 64);
    for (uint32_t i = 0; i < world.n_asks; i++)
        copies[world.asks[i].worker]++;
    assert_true(copies[2] >= 2 && copies[2] <= 9);
    for (int worker = 1; worker <= 4; worker++)
        assert_true(worker == 2 || (copies[worker] >= 15 && copies[worker] <= 25));
    audited_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_what_is_drawn),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_late_copies),
        cmocka_unit_test(test_lost_workers),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_patience_has_an_end),
        cmocka_unit_test(test_whom_it_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
