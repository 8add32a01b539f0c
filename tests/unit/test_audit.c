/* Copies of a node: who is asked, what decides, who is named. */
#include "unit.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch/audit.h"
#include "math/rng.h"
#include "partials.h"

enum {
    BLOCKS = 40, /* units are of two blocks */
    STEP = 4
};

static const node_t s_node = {1, 3}; /* blocks 6 and 7 */

/* A node's partial; `wrong` is 0 for the right one, and which number is off. */
static partial_t s_partial(node_t node, int wrong)
{
    partial_t partial = partials_leaf(node.index);
    partial.rows = 9;
    uint32_t bits;
    memcpy(&bits, &partial.gradient[1], sizeof(bits));
    bits ^= (uint32_t)wrong; /* the last bits of one number */
    memcpy(&partial.gradient[1], &bits, sizeof(bits));
    return partial;
}

typedef struct {
    audit_t *audit;
    audit_worker_t workers[6];
    uint32_t n_workers;
    double now_ms;
    wire_range_t asks[64]; /* of the last s_ask */
    uint32_t n_asks;
} world_t;

static const char *const s_names[] = {"ann", "bob", "cat", "dan", "eve", "fay"};

/* Workers 1 to n, and all is audited of `node`. */
static world_t s_new(uint32_t n_workers, node_t node)
{
    world_t world = {.audit = audit_new(7, 1, BLOCKS, P), .n_workers = n_workers};
    for (uint32_t i = 0; i < n_workers; i++)
        world.workers[i] =
            (audit_worker_t){.worker = i + 1, .name = s_names[i], .host = "here", .speed = 1.0};
    audit_begin(world.audit, STEP, 2);
    audit_want(world.audit, node, world.workers, n_workers);
    return world;
}

static void s_end(world_t *world)
{
    audit_event_t event;
    assert_false(audit_take_event(world->audit, &event)); /* each one was expected */
    audit_destroy(&world->audit);
    audit_destroy(&world->audit);
    assert_int_equal(partials_live, 0);
}

static void s_ask(world_t *world)
{
    const wire_range_t *asks =
        audit_ask(world->audit, world->workers, world->n_workers, world->now_ms, &world->n_asks);
    assert_true(world->n_asks <= 64);
    for (uint32_t i = 0; i < world->n_asks; i++) {
        world->asks[i] = asks[i];
        assert_true(audit_awaits(world->audit, asks[i].worker, asks[i].first));
    }
}

/* Asks, and of so many workers for s_node. */
static void s_ask_n(world_t *world, uint32_t n)
{
    s_ask(world);
    assert_int_equal(world->n_asks, n);
    for (uint32_t i = 0; i < n; i++)
        assert_true(world->asks[i].first == 6 && world->asks[i].end == 8);
}

static bool s_asked(const world_t *world, uint32_t worker)
{
    for (uint32_t i = 0; i < world->n_asks; i++)
        if (world->asks[i].worker == worker)
            return true;
    return false;
}

static bool s_offer(world_t *world, uint32_t worker, node_t node, int wrong)
{
    partial_t partial = s_partial(node, wrong);
    bool taken = audit_offer(world->audit, worker, node, &partial);
    assert_null(partial.gradient); /* in any case */
    return taken;
}

static void s_remove(world_t *world, uint32_t worker)
{
    for (uint32_t i = 0; i < world->n_workers; i++)
        if (world->workers[i].worker == worker)
            world->workers[i--] = world->workers[--world->n_workers];
    audit_lost(world->audit, worker);
}

static void s_expect(world_t *world, audit_event_kind_t kind, const char *name, const char *other)
{
    audit_event_t event;
    assert_true(audit_take_event(world->audit, &event));
    assert_int_equal(event.kind, kind);
    assert_string_equal(event.name, name);
    assert_string_equal(event.host, "here");
    assert_string_equal(event.other, other);
    assert_true(event.node.level == s_node.level && event.node.index == s_node.index);
}

static void s_expect_undecided(world_t *world)
{
    node_t node;
    partial_t partial;
    assert_false(audit_take(world->audit, &node, &partial));
    assert_true(audit_undecided(world->audit, 6));
    assert_true(audit_undecided(world->audit, 7));
}

/* s_node is decided by the right copies, or such wrong ones. */
static void s_expect_decided(world_t *world, int wrong)
{
    node_t node;
    partial_t partial, expected = s_partial(s_node, wrong);
    assert_true(audit_take(world->audit, &node, &partial));
    assert_true(node.level == s_node.level && node.index == s_node.index);
    assert_memory_equal(partial.gradient, expected.gradient, P * sizeof(float));
    assert_true(partial.cost == expected.cost && partial.correct == expected.correct &&
                partial.rows == expected.rows);
    partial_release(&partial);
    partial_release(&expected);
    assert_false(audit_take(world->audit, &node, &partial));
    assert_false(audit_undecided(world->audit, 6));
    s_ask(world);
    assert_int_equal(world->n_asks, 0);
    assert_false(audit_awaits(world->audit, 1, 6));
}

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
    world_t world = s_new(2, (node_t){2, 3}); /* blocks 12 to 15 in units of two */
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
    s_end(&world);
}

static void test_two_that_agree_decide(void **state)
{
    (void)state;
    world_t world = s_new(2, s_node);
    s_ask_n(&world, 2);
    assert_true(s_asked(&world, 1) && s_asked(&world, 2));
    s_ask_n(&world, 0); /* both are on time */
    assert_true(s_offer(&world, 2, s_node, 0));
    assert_false(audit_awaits(world.audit, 2, 6));
    assert_true(audit_awaits(world.audit, 1, 7));
    assert_false(s_offer(&world, 2, s_node, 0)); /* twice */
    assert_false(s_offer(&world, 3, s_node, 0)); /* not asked */
    s_expect_undecided(&world);
    s_ask_n(&world, 0);
    assert_true(s_offer(&world, 1, s_node, 0));
    s_expect_decided(&world, 0);
    assert_false(s_offer(&world, 1, s_node, 0));                              /* too late */
    assert_int_equal(audit_place(world.audit, (node_t){2, 1}), AUDIT_ACROSS); /* for all the step */
    assert_int_equal(audit_compared(world.audit), 1);
    assert_int_equal(audit_unchecked(world.audit), 0);
    audit_begin(world.audit, STEP + 1, 2);
    assert_int_equal(audit_compared(world.audit), 0);
    s_end(&world);
}

/* A worker may cut finer than it was asked. */
static void test_copies_in_pieces(void **state)
{
    (void)state;
    world_t world = s_new(2, s_node);
    s_ask_n(&world, 2);
    node_t left = {0, 6}, right = {0, 7};
    assert_true(s_offer(&world, 1, right, 0));
    assert_false(s_offer(&world, 1, right, 0));
    assert_true(s_offer(&world, 2, left, 0));
    assert_true(audit_awaits(world.audit, 1, 6));
    assert_true(s_offer(&world, 2, right, 0));
    assert_false(audit_awaits(world.audit, 2, 6));
    s_expect_undecided(&world);
    assert_true(s_offer(&world, 1, left, 0));
    node_t node;
    partial_t partial, expected = s_partial(left, 0), other = s_partial(right, 0);
    partial_add(&expected, &other, P);
    assert_true(audit_take(world.audit, &node, &partial));
    assert_memory_equal(partial.gradient, expected.gradient, P * sizeof(float));
    assert_true(partial.cost == expected.cost);
    partial_release(&partial);
    partial_release(&expected);
    s_end(&world);
}

static void test_a_third_decides(void **state)
{
    (void)state;
    for (int liar = 1; liar <= 2; liar++) {
        world_t world = s_new(4, s_node);
        s_ask_n(&world, 2);
        uint32_t bad = world.asks[liar - 1].worker, good = world.asks[2 - liar].worker;
        assert_true(s_offer(&world, bad, s_node, 1));
        assert_true(s_offer(&world, good, s_node, 0));
        s_expect(&world, AUDIT_DIFFERS, s_names[bad - 1], s_names[good - 1]);
        s_expect_undecided(&world);
        s_ask_n(&world, 1);
        uint32_t third = world.asks[0].worker;
        assert_true(third != bad && third != good);
        s_ask_n(&world, 0);
        assert_true(s_offer(&world, third, s_node, 0));
        s_expect(&world, AUDIT_LIAR, s_names[bad - 1], "");
        s_expect_decided(&world, 0);
        assert_int_equal(audit_compared(world.audit), 1);
        s_end(&world);
    }
}

/* Whatever it is that differs. */
static void test_all_numbers_are_compared(void **state)
{
    (void)state;
    for (int which = 0; which < 5; which++) {
        world_t world = s_new(2, s_node);
        s_ask_n(&world, 2);
        partial_t partial = s_partial(s_node, 0);
        if (which < 3)
            partial.gradient[which] = -partial.gradient[which];
        else if (which == 3)
            partial.cost = nextafter(partial.cost, 1);
        else
            partial.correct++;
        assert_true(audit_offer(world.audit, 1, s_node, &partial));
        assert_true(s_offer(&world, 2, s_node, 0));
        s_expect(&world, AUDIT_DIFFERS, "ann", "bob");
        s_expect_undecided(&world);
        s_end(&world);
    }
}

static void test_three_that_differ_need_a_fourth(void **state)
{
    (void)state;
    world_t world = s_new(4, s_node);
    s_ask_n(&world, 2);
    uint32_t first = world.asks[0].worker, second = world.asks[1].worker;
    s_offer(&world, first, s_node, 1);
    s_offer(&world, second, s_node, 2);
    s_ask_n(&world, 1);
    uint32_t third = world.asks[0].worker;
    s_offer(&world, third, s_node, 0);
    s_expect(&world, AUDIT_DIFFERS, s_names[first - 1], s_names[second - 1]); /* said once */
    s_expect_undecided(&world);
    s_ask_n(&world, 1);
    s_offer(&world, world.asks[0].worker, s_node, 2);
    s_expect(&world, AUDIT_LIAR, s_names[first - 1], "");
    s_expect(&world, AUDIT_LIAR, s_names[third - 1], ""); /* the most are right, so it seems */
    s_expect_decided(&world, 2);
    s_end(&world);
}

/* Two alone are asked again: the error may have passed. Who made it is known all the same. */
static void test_an_error_that_passes(void **state)
{
    (void)state;
    world_t world = s_new(2, s_node);
    s_ask_n(&world, 2);
    s_offer(&world, 1, s_node, 1);
    s_offer(&world, 2, s_node, 0);
    s_expect(&world, AUDIT_DIFFERS, "ann", "bob");
    s_ask_n(&world, 2);
    assert_true(s_offer(&world, 1, s_node, 0));
    s_expect(&world, AUDIT_LIAR, "ann", "");
    s_expect_decided(&world, 0);
    s_end(&world);
}

/* Between the two. */
static bool s_is_between(const audit_event_t *event)
{
    bool ann_first = strcmp(event->name, "ann") == 0;
    return (ann_first || strcmp(event->name, "bob") == 0) &&
           strcmp(event->other, ann_first ? "bob" : "ann") == 0;
}

static void s_expect_between(world_t *world, audit_event_kind_t kind)
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
    world_t world = s_new(2, s_node);
    audit_event_t dispute;
    s_ask_n(&world, 2);
    for (int time = 0; time < 4; time++) {
        s_offer(&world, 1, s_node, 1);
        s_offer(&world, 2, s_node, 0);
        if (time == 0)
            s_expect_between(&world, AUDIT_DIFFERS);
        s_expect_undecided(&world);
        assert_true(audit_dispute(world.audit, &dispute) && dispute.kind == AUDIT_WAITS);
        assert_true(s_is_between(&dispute));
        s_ask_n(&world, time < 3 ? 2 : 0);
        assert_int_equal(audit_dispute(world.audit, &dispute), time == 3);
    }
    world.now_ms = audit_deadline_ms(world.audit); /* now and then once more, and it is said */
    assert_true(world.now_ms >= 1000 && world.now_ms <= 10000);
    s_ask_n(&world, 2);
    s_expect_between(&world, AUDIT_WAITS);
    s_offer(&world, 1, s_node, 1);
    s_offer(&world, 2, s_node, 0);
    s_ask_n(&world, 0);
    double next_ms = audit_deadline_ms(world.audit);
    assert_true(next_ms > world.now_ms && next_ms < world.now_ms + 10000);

    s_remove(&world, 2); /* comes back by another number: still one voice */
    world.workers[world.n_workers++] = (audit_worker_t){5, "bob", "here", 1.0, 0, false};
    s_ask_n(&world, 0);
    world.now_ms = next_ms;
    s_ask_n(&world, 2);
    s_expect_between(&world, AUDIT_WAITS);
    assert_true(s_asked(&world, 1) && s_asked(&world, 5));
    assert_false(s_offer(&world, 2, s_node, 0));
    assert_true(s_offer(&world, 5, s_node, 0));
    s_expect_undecided(&world);

    world.workers[world.n_workers++] = (audit_worker_t){6, "bob", "there", 1.0, 0, false};
    s_offer(&world, 1, s_node, 1);
    s_ask_n(&world, 1); /* another host: another one */
    assert_true(s_asked(&world, 6));
    s_offer(&world, 6, s_node, 0);
    s_expect(&world, AUDIT_LIAR, "ann", "");
    s_expect_decided(&world, 0);
    assert_true(isinf(audit_deadline_ms(world.audit)));
    s_end(&world);
}

/* What it owed was given up, since it sent something that could not count; it is still there. */
static void test_a_suspect_whose_work_was_given_up(void **state)
{
    (void)state;
    world_t world = s_new(2, s_node);
    s_ask_n(&world, 2);
    s_offer(&world, 1, s_node, 1);
    s_offer(&world, 2, s_node, 0);
    s_expect_between(&world, AUDIT_DIFFERS);
    audit_lost(world.audit, 1);
    s_ask_n(&world, 2);
    assert_true(s_asked(&world, 1) && s_asked(&world, 2));
    s_offer(&world, 1, s_node, 0);
    s_expect(&world, AUDIT_LIAR, "ann", "");
    s_expect_decided(&world, 0);
    s_end(&world);
}

static void test_late_copies(void **state)
{
    (void)state;
    world_t world = s_new(3, s_node);
    s_ask_n(&world, 2);
    uint32_t slow = world.asks[0].worker, good = world.asks[1].worker, third = 6 - slow - good;
    s_offer(&world, good, s_node, 0);
    audit_late(world.audit, slow, 6);
    audit_late(world.audit, slow, 6);
    audit_late(world.audit, third, 6); /* was not asked */
    s_ask_n(&world, 1);
    assert_true(s_asked(&world, third));
    audit_late(world.audit, third, 7);
    s_ask_n(&world, 1); /* nobody new is left: one of them again */
    assert_true(s_asked(&world, slow) || s_asked(&world, third));
    assert_true(s_offer(&world, slow, s_node, 0)); /* late or not */
    s_expect_decided(&world, 0);
    s_end(&world);

    world = s_new(2, s_node); /* all are late: all are asked again, as long as it takes */
    s_ask_n(&world, 2);
    for (int time = 0; time < 20; time++) {
        audit_late(world.audit, 1, 6);
        audit_late(world.audit, 2, 6);
        s_ask_n(&world, 2);
        world.now_ms += 10000;
    }
    s_end(&world);
}

static void test_lost_workers(void **state)
{
    (void)state;
    world_t world = s_new(3, s_node);
    s_ask_n(&world, 2);
    uint32_t gone = world.asks[0].worker, good = world.asks[1].worker;
    s_remove(&world, gone);
    assert_false(audit_awaits(world.audit, gone, 6));
    s_ask_n(&world, 1);
    assert_true(s_asked(&world, 6 - gone - good));
    assert_true(s_offer(&world, gone, s_node, 0)); /* had been sent */
    assert_true(s_offer(&world, good, s_node, 0));
    s_expect_decided(&world, 0);
    s_end(&world);

    world = s_new(2, s_node); /* what it owed was given up, but it is still there */
    s_ask_n(&world, 2);
    audit_lost(world.audit, 1);
    s_ask_n(&world, 1);
    assert_true(s_asked(&world, 1));
    s_offer(&world, 1, s_node, 0);
    s_offer(&world, 2, s_node, 0);
    s_expect_decided(&world, 0);
    s_end(&world);

    world = s_new(2, s_node); /* all leave, another one comes */
    s_ask_n(&world, 2);
    s_remove(&world, 1);
    s_offer(&world, 2, s_node, 0);
    s_remove(&world, 2);
    s_ask_n(&world, 0);
    s_expect_undecided(&world);
    world.workers[world.n_workers++] = (audit_worker_t){3, "cat", "here", 1.0, 0, false};
    s_ask_n(&world, 1);
    s_offer(&world, 3, s_node, 0);
    s_expect_decided(&world, 0);
    s_end(&world);
}

/* A worker that comes back is asked anew, but what it sent before and now is of one voice. */
static void test_one_that_came_back(void **state)
{
    (void)state;
    world_t world = s_new(2, s_node);
    s_ask_n(&world, 2);
    s_remove(&world, 2);
    world.workers[world.n_workers++] = (audit_worker_t){5, "bob", "here", 1.0, 0, false};
    s_ask_n(&world, 1);
    assert_true(s_asked(&world, 5));
    assert_true(s_offer(&world, 5, s_node, 1));
    assert_true(s_offer(&world, 2, s_node, 1)); /* was on its way */
    s_expect_undecided(&world);
    s_ask_n(&world, 0);
    assert_true(s_offer(&world, 1, s_node, 1));
    s_expect_decided(&world, 1);
    s_end(&world);
}

/* One worker alone goes on without an audit. */
static void test_alone(void **state)
{
    (void)state;
    world_t world = s_new(1, s_node);
    assert_false(audit_undecided(world.audit, 6));
    assert_int_equal(audit_unchecked(world.audit), 1);
    s_end(&world);

    world = s_new(2, (node_t){6, 0});
    assert_int_equal(audit_unchecked(world.audit), 0);
    world.workers[1].silent = true;
    audit_begin(world.audit, STEP, 1);
    audit_want(world.audit, s_node, world.workers, 2);
    world.workers[1].silent = false;
    world.workers[1].name = "ann"; /* on the same host: no other */
    audit_want(world.audit, (node_t){1, 5}, world.workers, 2);
    assert_int_equal(audit_unchecked(world.audit), 2);
    assert_false(audit_undecided(world.audit, 6) || audit_undecided(world.audit, 10));
    s_end(&world);

    world = s_new(2, s_node);
    s_ask_n(&world, 2);
    s_offer(&world, 1, s_node, 3);
    s_remove(&world, 2);
    s_ask_n(&world, 0);
    s_expect(&world, AUDIT_ALONE, "ann", "");
    s_expect_decided(&world, 3);
    assert_int_equal(audit_compared(world.audit), 0);
    assert_int_equal(audit_unchecked(world.audit), 1);
    s_end(&world);
}

/* One that is there and sends nothing does not hold the step up for ever. */
static void test_patience_has_an_end(void **state)
{
    (void)state;
    world_t world = s_new(2, s_node);
    s_ask_n(&world, 2);
    s_offer(&world, 1, s_node, 0);
    int n_asked = 1;
    for (; audit_undecided(world.audit, 6); n_asked += (int)world.n_asks) {
        assert_true(n_asked < 100);
        audit_late(world.audit, 2, 6);
        world.now_ms += 500;
        s_ask(&world);
    }
    assert_true(n_asked >= 5 && world.now_ms >= 3000 && world.now_ms < 10000);
    s_expect(&world, AUDIT_ALONE, "ann", "");
    s_expect_decided(&world, 0);
    s_end(&world);
}

static void test_distrust(void **state)
{
    (void)state;
    world_t world = s_new(3, s_node);
    s_ask_n(&world, 2);
    uint32_t liar = world.asks[0].worker, good = world.asks[1].worker;
    s_offer(&world, liar, s_node, 1);
    audit_distrust(world.audit, s_names[liar - 1], "here");
    assert_false(s_offer(&world, liar, s_node, 1));
    s_remove(&world, liar);
    s_offer(&world, good, s_node, 0);
    s_expect_undecided(&world);
    s_ask_n(&world, 1);
    s_offer(&world, world.asks[0].worker, s_node, 0);
    s_expect_decided(&world, 0);
    s_end(&world);
}

/* Everybody is asked and so is found out, the more the more it computes; the silent are not. */
static void test_whom_it_asks(void **state)
{
    (void)state;
    world_t world = s_new(5, s_node);
    world.workers[1].speed = 0.25;
    world.workers[4].silent = true;
    int n[6] = {0}, n_steps = 4000;
    for (uint32_t step = 1; step <= (uint32_t)n_steps; step++) {
        audit_begin(world.audit, step, 4);
        audit_want(world.audit, (node_t){0, step % BLOCKS}, world.workers, 5);
        s_ask(&world);
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
    s_ask(&world);
    assert_int_equal(world.n_asks, 64);
    for (uint32_t i = 0; i < world.n_asks; i++)
        copies[world.asks[i].worker]++;
    assert_true(copies[2] >= 2 && copies[2] <= 9);
    for (int worker = 1; worker <= 4; worker++)
        assert_true(worker == 2 || (copies[worker] >= 15 && copies[worker] <= 25));
    s_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_what_is_drawn),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_two_that_agree_decide),
        cmocka_unit_test(test_copies_in_pieces),
        cmocka_unit_test(test_a_third_decides),
        cmocka_unit_test(test_all_numbers_are_compared),
        cmocka_unit_test(test_three_that_differ_need_a_fourth),
        cmocka_unit_test(test_an_error_that_passes),
        cmocka_unit_test(test_nobody_decides_alone),
        cmocka_unit_test(test_a_suspect_whose_work_was_given_up),
        cmocka_unit_test(test_late_copies),
        cmocka_unit_test(test_lost_workers),
        cmocka_unit_test(test_one_that_came_back),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_patience_has_an_end),
        cmocka_unit_test(test_distrust),
        cmocka_unit_test(test_whom_it_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
