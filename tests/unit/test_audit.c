/* Copies of a node: what of them counts, and who is named. */
#include "unit.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "audited.h"

static void test_two_that_agree_decide(void **state)
{
    (void)state;
    audited_t world = audited_new(2, audited_node);
    audited_ask_n(&world, 2);
    assert_true(audited_asked(&world, 1) && audited_asked(&world, 2));
    audited_ask_n(&world, 0); /* both are on time */
    assert_true(audited_offer(&world, 2, audited_node, 0));
    assert_false(audit_awaits(world.audit, 2, 6));
    assert_true(audit_awaits(world.audit, 1, 7));
    assert_false(audited_offer(&world, 2, audited_node, 0)); /* twice */
    assert_false(audited_offer(&world, 3, audited_node, 0)); /* not asked */
    audited_expect_undecided(&world);
    audited_ask_n(&world, 0);
    assert_true(audited_offer(&world, 1, audited_node, 0));
    audited_expect_decided(&world, 0);
    assert_false(audited_offer(&world, 1, audited_node, 0));                  /* too late */
    assert_int_equal(audit_place(world.audit, (node_t){2, 1}), AUDIT_ACROSS); /* for all the step */
    assert_int_equal(audit_compared(world.audit), 1);
    assert_int_equal(audit_unchecked(world.audit), 0);
    audit_begin(world.audit, STEP + 1, 2);
    assert_int_equal(audit_compared(world.audit), 0);
    audited_end(&world);
}

/* A worker may cut finer than it was asked. */
static void test_copies_in_pieces(void **state)
{
    (void)state;
    audited_t world = audited_new(2, audited_node);
    audited_ask_n(&world, 2);
    node_t left = {0, 6}, right = {0, 7};
    assert_true(audited_offer(&world, 1, right, 0));
    assert_false(audited_offer(&world, 1, right, 0));
    assert_true(audited_offer(&world, 2, left, 0));
    assert_true(audit_awaits(world.audit, 1, 6));
    assert_true(audited_offer(&world, 2, right, 0));
    assert_false(audit_awaits(world.audit, 2, 6));
    audited_expect_undecided(&world);
    assert_true(audited_offer(&world, 1, left, 0));
    node_t node;
    partial_t partial, expected = audited_partial(left, 0), other = audited_partial(right, 0);
    partial_add(&expected, &other, P);
    assert_true(audit_take(world.audit, &node, &partial));
    assert_memory_equal(partial.gradient, expected.gradient, P * sizeof(float));
    assert_true(partial.cost == expected.cost);
    partial_release(&partial);
    partial_release(&expected);
    audited_end(&world);
}

static void test_a_third_decides(void **state)
{
    (void)state;
    for (int liar = 1; liar <= 2; liar++) {
        audited_t world = audited_new(4, audited_node);
        audited_ask_n(&world, 2);
        uint32_t bad = world.asks[liar - 1].worker, good = world.asks[2 - liar].worker;
        assert_true(audited_offer(&world, bad, audited_node, 1));
        assert_true(audited_offer(&world, good, audited_node, 0));
        audited_expect(&world, AUDIT_DIFFERS, audited_names[bad - 1], audited_names[good - 1]);
        audited_expect_undecided(&world);
        audited_ask_n(&world, 1);
        uint32_t third = world.asks[0].worker;
        assert_true(third != bad && third != good);
        audited_ask_n(&world, 0);
        assert_true(audited_offer(&world, third, audited_node, 0));
        audited_expect(&world, AUDIT_LIAR, audited_names[bad - 1], "");
        audited_expect_decided(&world, 0);
        assert_int_equal(audit_compared(world.audit), 1);
        audited_end(&world);
    }
}

/* Whatever it is that differs. */
static void test_all_numbers_are_compared(void **state)
{
    (void)state;
    for (int which = 0; which < 5; which++) {
        audited_t world = audited_new(2, audited_node);
        audited_ask_n(&world, 2);
        partial_t partial = audited_partial(audited_node, 0);
        if (which < 3)
            partial.gradient[which] = -partial.gradient[which];
        else if (which == 3)
            partial.cost = nextafter(partial.cost, 1);
        else
            partial.correct++;
        assert_true(audit_offer(world.audit, 1, audited_node, &partial));
        assert_true(audited_offer(&world, 2, audited_node, 0));
        audited_expect(&world, AUDIT_DIFFERS, "ann", "bob");
        audited_expect_undecided(&world);
        audited_end(&world);
    }
}

static void test_three_that_differ_need_a_fourth(void **state)
{
    (void)state;
    audited_t world = audited_new(4, audited_node);
    audited_ask_n(&world, 2);
    uint32_t first = world.asks[0].worker, second = world.asks[1].worker;
    audited_offer(&world, first, audited_node, 1);
    audited_offer(&world, second, audited_node, 2);
    audited_ask_n(&world, 1);
    uint32_t third = world.asks[0].worker;
    audited_offer(&world, third, audited_node, 0);
    audited_expect(&world, AUDIT_DIFFERS, audited_names[first - 1],
                   audited_names[second - 1]); /* said once */
    audited_expect_undecided(&world);
    audited_ask_n(&world, 1);
    audited_offer(&world, world.asks[0].worker, audited_node, 2);
    audited_expect(&world, AUDIT_LIAR, audited_names[first - 1], "");
    audited_expect(&world, AUDIT_LIAR, audited_names[third - 1],
                   ""); /* the most are right, so it seems */
    audited_expect_decided(&world, 2);
    audited_end(&world);
}

/* Two alone are asked again: the error may have passed. Who made it is known all the same. */
static void test_an_error_that_passes(void **state)
{
    (void)state;
    audited_t world = audited_new(2, audited_node);
    audited_ask_n(&world, 2);
    audited_offer(&world, 1, audited_node, 1);
    audited_offer(&world, 2, audited_node, 0);
    audited_expect(&world, AUDIT_DIFFERS, "ann", "bob");
    audited_ask_n(&world, 2);
    assert_true(audited_offer(&world, 1, audited_node, 0));
    audited_expect(&world, AUDIT_LIAR, "ann", "");
    audited_expect_decided(&world, 0);
    audited_end(&world);
}

/* Between the two. */
static bool s_is_between(const audit_event_t *event)
{
    bool ann_first = strcmp(event->name, "ann") == 0;
    return (ann_first || strcmp(event->name, "bob") == 0) &&
           strcmp(event->other, ann_first ? "bob" : "ann") == 0;
}

static void s_expect_between(audited_t *world, audit_event_kind_t kind)
{
    audit_event_t event;
    assert_true(audit_take_event(world->audit, &event));
    assert_int_equal(event.kind, kind);
    assert_true(s_is_between(&event));
}

/* Its own copy is no second one, however often it sends it. */
static void test_nobody_decides_alone(void **state)
{
    (void)state;
    audited_t world = audited_new(2, audited_node);
    audit_event_t dispute;
    audited_ask_n(&world, 2);
    for (int time = 0; time < 4; time++) {
        audited_offer(&world, 1, audited_node, 1);
        audited_offer(&world, 2, audited_node, 0);
        if (time == 0)
            s_expect_between(&world, AUDIT_DIFFERS);
        audited_expect_undecided(&world);
        assert_true(audit_dispute(world.audit, &dispute) && dispute.kind == AUDIT_WAITS);
        assert_true(s_is_between(&dispute));
        audited_ask_n(&world, time < 3 ? 2 : 0);
        assert_int_equal(audit_dispute(world.audit, &dispute), time == 3);
    }
    world.now_ms = audit_deadline_ms(world.audit); /* now and then once more, and it is said */
    assert_true(world.now_ms >= 1000 && world.now_ms <= 10000);
    audited_ask_n(&world, 2);
    s_expect_between(&world, AUDIT_WAITS);
    audited_offer(&world, 1, audited_node, 1);
    audited_offer(&world, 2, audited_node, 0);
    audited_ask_n(&world, 0);
    double next_ms = audit_deadline_ms(world.audit);
    assert_true(next_ms > world.now_ms && next_ms < world.now_ms + 10000);

    audited_remove(&world, 2); /* comes back by another number: still one voice */
    world.workers[world.n_workers++] = (audit_worker_t){5, "bob", "here", 1.0, 0, false};
    audited_ask_n(&world, 0);
    world.now_ms = next_ms;
    audited_ask_n(&world, 2);
    s_expect_between(&world, AUDIT_WAITS);
    assert_true(audited_asked(&world, 1) && audited_asked(&world, 5));
    assert_false(audited_offer(&world, 2, audited_node, 0));
    assert_true(audited_offer(&world, 5, audited_node, 0));
    audited_expect_undecided(&world);

    world.workers[world.n_workers++] = (audit_worker_t){6, "bob", "there", 1.0, 0, false};
    audited_offer(&world, 1, audited_node, 1);
    audited_ask_n(&world, 1); /* another host: another one */
    assert_true(audited_asked(&world, 6));
    audited_offer(&world, 6, audited_node, 0);
    audited_expect(&world, AUDIT_LIAR, "ann", "");
    audited_expect_decided(&world, 0);
    assert_true(isinf(audit_deadline_ms(world.audit)));
    audited_end(&world);
}

/* What it owed was given up, since it sent something that could not count; it is still there. */
static void test_a_suspect_whose_work_was_given_up(void **state)
{
    (void)state;
    audited_t world = audited_new(2, audited_node);
    audited_ask_n(&world, 2);
    audited_offer(&world, 1, audited_node, 1);
    audited_offer(&world, 2, audited_node, 0);
    s_expect_between(&world, AUDIT_DIFFERS);
    audit_lost(world.audit, 1);
    audited_ask_n(&world, 2);
    assert_true(audited_asked(&world, 1) && audited_asked(&world, 2));
    audited_offer(&world, 1, audited_node, 0);
    audited_expect(&world, AUDIT_LIAR, "ann", "");
    audited_expect_decided(&world, 0);
    audited_end(&world);
}

/* A worker that comes back is asked anew, but what it sent before and now is of one voice. */
static void test_one_that_came_back(void **state)
{
    (void)state;
    audited_t world = audited_new(2, audited_node);
    audited_ask_n(&world, 2);
    audited_remove(&world, 2);
    world.workers[world.n_workers++] = (audit_worker_t){5, "bob", "here", 1.0, 0, false};
    audited_ask_n(&world, 1);
    assert_true(audited_asked(&world, 5));
    assert_true(audited_offer(&world, 5, audited_node, 1));
    assert_true(audited_offer(&world, 2, audited_node, 1)); /* was on its way */
    audited_expect_undecided(&world);
    audited_ask_n(&world, 0);
    assert_true(audited_offer(&world, 1, audited_node, 1));
    audited_expect_decided(&world, 1);
    audited_end(&world);
}

static void test_distrust(void **state)
{
    (void)state;
    audited_t world = audited_new(3, audited_node);
    audited_ask_n(&world, 2);
    uint32_t liar = world.asks[0].worker, good = world.asks[1].worker;
    audited_offer(&world, liar, audited_node, 1);
    audit_distrust(world.audit, audited_names[liar - 1], "here");
    assert_false(audited_offer(&world, liar, audited_node, 1));
    audited_remove(&world, liar);
    audited_offer(&world, good, audited_node, 0);
    audited_expect_undecided(&world);
    audited_ask_n(&world, 1);
    audited_offer(&world, world.asks[0].worker, audited_node, 0);
    audited_expect_decided(&world, 0);
    audited_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_that_agree_decide),
        cmocka_unit_test(test_copies_in_pieces),
        cmocka_unit_test(test_a_third_decides),
        cmocka_unit_test(test_all_numbers_are_compared),
        cmocka_unit_test(test_three_that_differ_need_a_fourth),
        cmocka_unit_test(test_an_error_that_passes),
        cmocka_unit_test(test_nobody_decides_alone),
        cmocka_unit_test(test_a_suspect_whose_work_was_given_up),
        cmocka_unit_test(test_one_that_came_back),
        cmocka_unit_test(test_distrust),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
