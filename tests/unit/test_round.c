/* Who owes what: each reaction by hand. For all of them together see test_round_random.c. */
#include "unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch/round.h"
#include "partials.h"

/* The blocks [first, end) come back. */
static void s_done(reduce_t *tree, uint32_t first, uint32_t end, uint32_t n_blocks)
{
    while (first < end) {
        node_t node = node_largest(first, end, n_blocks);
        partial_t partial = partials_sum(node, n_blocks);
        reduce_insert(tree, node, &partial);
        node_range(node, n_blocks, &first, &first);
    }
}

static void s_assert_plan(const round_t *round, const wire_range_t *expected, uint32_t n_expected)
{
    uint32_t n = 0;
    const wire_range_t *plan = round_plan(round, &n);
    assert_int_equal(n, n_expected);
    if (n > 0)
        assert_memory_equal(plan, expected, n * sizeof(*plan));
}

#define PLAN(...)                                                                                  \
    (const wire_range_t[]){__VA_ARGS__},                                                           \
        sizeof((const wire_range_t[]){__VA_ARGS__}) / sizeof(wire_range_t)
#define NO_PLAN NULL, 0

/* One block a millisecond each; what takes longer than 3 times that and 30 ms is late. */
static const round_worker_t s_two[] = {{1, 1.0, true, 0}, {2, 1.0, true, 0}};
static const round_worker_t s_three[] = {{1, 1.0, true, 0}, {2, 1.0, true, 0}, {3, 1.0, true, 0}};

typedef struct {
    round_t *round;
    reduce_t *tree;
} world_t;

/* The whole tree is wanted. */
static world_t s_new(uint32_t n_blocks)
{
    world_t world = {round_new(n_blocks, 0.02, NULL), reduce_new(n_blocks, P)};
    reduce_want(world.tree, (node_t){node_root_level(n_blocks), 0});
    return world;
}

static void s_end(world_t *world)
{
    round_destroy(&world->round);
    round_destroy(&world->round);
    reduce_destroy(&world->tree);
    assert_int_equal(partials_live, 0);
}

/* Lets time pass, with nothing but reminders, until an assignment is late: when that was. */
static double s_until_late(world_t *world, const round_worker_t *workers, uint32_t n_workers)
{
    uint32_t n_reminders;
    round_closed_t closed;
    for (;;) {
        double now_ms = round_deadline_ms(world->round);
        assert_true(now_ms < INFINITY);
        round_tick(world->round, workers, n_workers, now_ms);
        while (round_take_closed(world->round, &closed))
            if (closed.late)
                return now_ms;
        uint32_t n_planned;
        round_plan(world->round, &n_planned);
        if (n_planned > 0)
            return now_ms;
        round_reminders(world->round, &n_reminders);
        assert_true(n_reminders > 0); /* or why was it woken */
    }
}

static void test_plans_and_closes(void **state)
{
    (void)state;
    world_t world = s_new(8);
    for (int step = 0; step < 3; step++) {
        double now_ms = step * 1000.0;
        round_closed_t closed;
        reduce_reset(world.tree);
        reduce_want(world.tree, (node_t){3, 0});
        round_begin(world.round, world.tree, s_two, 2, now_ms);
        s_assert_plan(world.round, PLAN({1, 0, 4}, {2, 4, 8}));
        assert_true(round_deadline_ms(world.round) == now_ms + 1.25 * 4 + 10);
        round_tick(world.round, s_two, 2, now_ms + 1);
        s_assert_plan(world.round, NO_PLAN);
        s_done(world.tree, 4, 8, 8);
        round_tick(world.round, s_two, 2, now_ms + 3);
        s_assert_plan(world.round, NO_PLAN); /* the idle one waits: the other is on time */
        assert_true(round_take_closed(world.round, &closed));
        assert_int_equal(closed.worker, 2);
        assert_int_equal(closed.n_blocks, 4);
        assert_true(closed.elapsed_ms == 3);
        assert_false(round_take_closed(world.round, &closed));
        s_done(world.tree, 0, 3, 8);
        round_tick(world.round, s_two, 2, now_ms + 4);
        assert_false(round_take_closed(world.round, &closed)); /* not all of it */
        s_done(world.tree, 3, 4, 8);
        round_tick(world.round, s_two, 2, now_ms + 5);
        assert_true(round_take_closed(world.round, &closed));
        assert_int_equal(closed.worker, 1);
        assert_true(closed.elapsed_ms == 5);
        assert_true(isinf(round_deadline_ms(world.round)));
        assert_int_equal(round_reissued(world.round), 0);
    }
    s_end(&world);
}

static void test_a_doubtful_worker_gets_little(void **state)
{
    (void)state;
    world_t world = s_new(8);
    round_worker_t workers[] = {{1, 1.0, true, 0.99}, {2, 1.0, true, 0}};
    round_begin(world.round, world.tree, workers, 2, 0);
    s_assert_plan(world.round, PLAN({2, 0, 8}));
    workers[0].doubt = 0.75;
    round_begin(world.round, world.tree, workers, 2, 0);
    s_assert_plan(world.round, PLAN({1, 0, 2}, {2, 2, 8}));
    s_end(&world);
}

/* The first step of one whose speed is not known may take a second, or 5 when nobody's is. */
static void test_a_newcomer_is_late_after_a_second(void **state)
{
    (void)state;
    world_t world = s_new(8);
    const round_worker_t new_and_old[] = {{1, 1.0, false, 0}, {2, 1.0, true, 0}};
    const round_worker_t new_only[] = {{1, 1.0, false, 0}};
    round_begin(world.round, world.tree, new_only, 1, 0);
    assert_true(s_until_late(&world, new_only, 1) == 5000);
    round_begin(world.round, world.tree, new_and_old, 2, 0);
    s_done(world.tree, 4, 8, 8);
    round_tick(world.round, new_and_old, 2, 10);
    assert_true(s_until_late(&world, new_and_old, 2) == 1000);
    s_end(&world);
}

/* What is overdue is said again to who was asked for it: what is missing of it, twice before it is
 * late, and nothing that came meanwhile. */
static void test_reminds_before_it_gives_away(void **state)
{
    (void)state;
    static const wire_range_t missing[] = {{1, 0, 1}, {1, 2, 4}};
    world_t world = s_new(8);
    uint32_t n;
    round_begin(world.round, world.tree, s_two, 2, 100);
    s_done(world.tree, 1, 2, 8);
    s_done(world.tree, 4, 8, 8);
    round_tick(world.round, s_two, 2, 114.9);
    round_reminders(world.round, &n);
    assert_int_equal(n, 0);
    for (int i = 0; i < 2; i++) { /* 1.25 * 4 + 10 after it was issued, and twice that */
        double now_ms = round_deadline_ms(world.round);
        assert_true(now_ms == 100 + 15 * (i + 1));
        round_tick(world.round, s_two, 2, now_ms);
        const wire_range_t *reminders = round_reminders(world.round, &n);
        assert_int_equal(n, 2);
        assert_memory_equal(reminders, missing, sizeof(missing));
        s_assert_plan(world.round, NO_PLAN);
        round_tick(world.round, s_two, 2, now_ms + 1); /* once */
        round_reminders(world.round, &n);
        assert_int_equal(n, 0);
    }
    assert_true(round_deadline_ms(world.round) == 100 + 3 * 4 + 30);
    assert_int_equal(round_reissued(world.round), 0);
    s_done(world.tree, 0, 4, 8);
    round_tick(world.round, s_two, 2, 200);
    round_reminders(world.round, &n);
    assert_int_equal(n, 0);
    assert_true(isinf(round_deadline_ms(world.round)));
    s_end(&world);
}

static void test_late_blocks_go_to_the_idle(void **state)
{
    (void)state;
    world_t world = s_new(8);
    round_closed_t closed;
    round_begin(world.round, world.tree, s_two, 2, 0);
    s_done(world.tree, 4, 8, 8);
    s_done(world.tree, 1, 2, 8);
    round_tick(world.round, s_two, 2, 41.9);
    s_assert_plan(world.round, NO_PLAN);
    assert_true(round_take_closed(world.round, &closed));
    assert_false(closed.late);
    round_tick(world.round, s_two, 2, 42);
    s_assert_plan(world.round, PLAN({2, 0, 1}, {2, 2, 4})); /* only what is missing */
    assert_int_equal(round_reissued(world.round), 3);
    assert_true(
        round_take_closed(world.round, &closed)); /* who is late is said at once, and once */
    assert_true(closed.late && closed.worker == 1 && closed.elapsed_ms == 42);
    round_tick(world.round, s_two, 2, 43);
    s_assert_plan(world.round, NO_PLAN);
    s_done(world.tree, 0, 4, 8); /* whoever sent it */
    round_tick(world.round, s_two, 2, 44);
    assert_false(round_take_closed(world.round, &closed)); /* what was late measures nobody */
    assert_true(isinf(round_deadline_ms(world.round)));
    uint32_t n;
    round_owed(world.round, 1, &n);
    assert_int_equal(n, 0);
    s_end(&world);
}

static void test_late_blocks_wait_while_all_are_busy(void **state)
{
    (void)state;
    world_t world = s_new(100);
    round_worker_t workers[] = {{1, 9.0, true, 0}, {2, 1.0, true, 0}}; /* 90 blocks and 10 */
    round_begin(world.round, world.tree, workers, 2, 0);
    round_tick(world.round, workers, 2, 59); /* 30 + 3 * 10 is not over */
    workers[1].speed = 100;                  /* whatever it is now: deadlines were set */
    round_tick(world.round, workers, 2, 60);
    uint32_t n;
    round_plan(world.round, &n);
    assert_true(n > 0); /* both are late: both are asked again */
    s_end(&world);

    world = s_new(100);
    round_worker_t mixed[] = {{1, 1.0, true, 0},
                              {2, 1.0, false, 0}}; /* nobody knows how fast 2 is */
    round_begin(world.round, world.tree, mixed, 2, 0);
    assert_true(s_until_late(&world, mixed, 2) == 30 + 3 * 50);
    round_tick(world.round, mixed, 2, 200);
    s_assert_plan(world.round, NO_PLAN); /* 1 is late, 2 will be idle soon */
    s_done(world.tree, 50, 100, 100);
    round_tick(world.round, mixed, 2, 300);
    s_assert_plan(world.round, PLAN({2, 0, 50}));
    s_end(&world);
}

static void test_orphans_are_given_away_at_once(void **state)
{
    (void)state;
    world_t world = s_new(12);
    round_begin(world.round, world.tree, s_three, 3, 0);
    s_assert_plan(world.round, PLAN({1, 0, 4}, {2, 4, 8}, {3, 8, 12}));
    round_lost(world.round, 2);
    const round_worker_t left[] = {s_three[0], s_three[2]};
    round_tick(world.round, left, 2, 1);
    s_assert_plan(world.round, PLAN({1, 4, 6}, {3, 6, 8})); /* though both are busy */
    assert_int_equal(round_reissued(world.round), 4);
    uint32_t n;
    const wire_range_t *owed = round_owed(world.round, 3, &n);
    assert_int_equal(n, 2);
    assert_true(owed[0].first == 8 && owed[0].end == 12 && owed[1].first == 6 && owed[1].end == 8);
    s_end(&world);
}

/* A late block is no reason to let another one lie that nobody is asked for. */
static void test_orphans_behind_late_blocks(void **state)
{
    (void)state;
    world_t world = s_new(12);
    const round_worker_t mixed[] = {{1, 1.0, true, 0}, {2, 1.0, false, 0}, {3, 1.0, true, 0}};
    round_begin(world.round, world.tree, mixed, 3, 0);
    round_tick(world.round, mixed, 3, 50); /* 1 and 3 are late, 2 has time */
    s_assert_plan(world.round, NO_PLAN);
    round_lost(world.round, 3);
    round_tick(world.round, mixed, 2, 51);
    uint32_t n;
    const wire_range_t *plan = round_plan(world.round, &n);
    bool asked[12] = {false};
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t block = plan[i].first; block < plan[i].end; block++)
            asked[block] = true;
    for (uint32_t block = 8; block < 12; block++)
        assert_true(asked[block]);
    s_end(&world);
}

static void test_a_single_late_worker_is_asked_again(void **state)
{
    (void)state;
    world_t world = s_new(4);
    double now_ms = 0;
    double wait_ms = 0;
    round_begin(world.round, world.tree, s_two, 1, now_ms);
    for (int i = 1; i <= 5; i++) { /* longer each time: it may just be slow */
        double late_ms = s_until_late(&world, s_two, 1);
        assert_true(late_ms - now_ms > wait_ms);
        wait_ms = late_ms - now_ms;
        now_ms = late_ms;
        s_assert_plan(world.round, PLAN({1, 0, 4}));
        assert_int_equal(round_reissued(world.round), 4 * i);
        assert_int_equal(round_owed_blocks(world.round, 1), 4); /* each once */
        assert_int_equal(round_owed_blocks(world.round, 2), 0);
    }
    s_done(world.tree, 1, 2, 4);
    assert_int_equal(round_owed_blocks(world.round, 1), 3);
    s_done(world.tree, 0, 4, 4);
    assert_int_equal(round_owed_blocks(world.round, 1), 0);
    round_tick(world.round, s_two, 1, now_ms);
    assert_true(isinf(round_deadline_ms(world.round)));
    s_end(&world);
}

static void test_nobody_there(void **state)
{
    (void)state;
    world_t world = s_new(4);
    round_begin(world.round, world.tree, NULL, 0, 0);
    s_assert_plan(world.round, NO_PLAN);
    assert_true(isinf(round_deadline_ms(world.round)));
    round_tick(world.round, NULL, 0, 10);
    s_assert_plan(world.round, NO_PLAN);
    round_tick(world.round, s_two, 1, 20); /* somebody appears */
    s_assert_plan(world.round, PLAN({1, 0, 4}));
    assert_int_equal(round_reissued(world.round), 0); /* nobody had been asked before */
    s_done(world.tree, 0, 1, 4);
    round_lost(world.round, 1); /* and leaves, */
    round_tick(world.round, NULL, 0, 30);
    s_assert_plan(world.round, NO_PLAN);
    assert_true(isinf(round_deadline_ms(world.round)));
    round_tick(world.round, &s_two[1], 1, 40); /* somebody else appears */
    s_assert_plan(world.round, PLAN({2, 1, 4}));
    assert_int_equal(round_reissued(world.round), 3);
    round_closed_t closed;
    s_done(world.tree, 1, 4, 4);
    round_tick(world.round, &s_two[1], 1, 50);
    assert_false(round_take_closed(world.round, &closed)); /* only round_begin's are measured */
    s_end(&world);
}

static void test_a_newcomer_waits_while_all_is_well(void **state)
{
    (void)state;
    world_t world = s_new(8);
    round_begin(world.round, world.tree, s_two, 2, 0);
    round_tick(world.round, s_three, 3, 1);
    s_assert_plan(world.round, NO_PLAN);
    round_tick(world.round, s_three, 3, 42); /* then it helps */
    s_assert_plan(world.round, PLAN({3, 0, 8}));
    s_end(&world);
}

/* Audited nodes are cut out of all that is asked for, and make nobody late. */
static void test_audited_nodes_are_left_to_the_audit(void **state)
{
    (void)state;
    world_t world = s_new(8);
    audit_t *audit = audit_new(1, 1, 8, P);
    const audit_worker_t auditors[] = {{1, "a", "", 1.0, 0, false}, {2, "b", "", 1.0, 0, false}};
    round_closed_t closed;
    round_destroy(&world.round);
    world.round = round_new(8, 0.02, audit);
    audit_begin(audit, 1, 2);
    audit_want(audit, (node_t){0, 2}, auditors, 2);
    audit_want(audit, (node_t){0, 3}, auditors, 2);
    audit_want(audit, (node_t){0, 6}, auditors, 2);
    round_begin(world.round, world.tree, s_two, 2, 0);
    s_assert_plan(world.round, PLAN({1, 0, 2}, {2, 4, 6}, {2, 7, 8}));
    uint32_t n;
    const wire_range_t *asks = audit_ask(audit, auditors, 2, 0, &n);
    assert_int_equal(n, 6);
    for (uint32_t i = 0; i < n; i++)
        round_ask_copy(world.round, &s_two[asks[i].worker - 1], asks[i].first, asks[i].end, 0);
    round_plan(world.round, &n);
    assert_int_equal(n, 9); /* all of it is sent together */
    round_owed(world.round, 1, &n);
    assert_int_equal(n, 4);
    round_owed(world.round, 2, &n);
    assert_int_equal(n, 5);
    assert_int_equal(round_owed_blocks(world.round, 1), 5);
    assert_int_equal(round_owed_blocks(world.round, 2), 6);

    s_done(world.tree, 0, 2, 8);
    partial_t partial = partials_leaf(2);
    assert_true(audit_offer(audit, 1, (node_t){0, 2}, &partial));
    partial = partials_leaf(3);
    assert_true(audit_offer(audit, 1, (node_t){0, 3}, &partial));
    round_tick(world.round, s_two, 2, 4);
    s_assert_plan(world.round, NO_PLAN);
    assert_int_equal(round_owed_blocks(world.round, 1), 1);
    assert_false(round_take_closed(world.round, &closed));
    partial = partials_leaf(6);
    assert_true(audit_offer(audit, 1, (node_t){0, 6}, &partial));
    round_tick(world.round, s_two, 2, 5);
    assert_true(
        round_take_closed(world.round, &closed)); /* copies count in what it is measured by */
    assert_true(closed.worker == 1 && closed.n_blocks == 5 && closed.elapsed_ms == 5);

    round_tick(world.round, s_two, 2, 30 + 3 * 3); /* 2 is late with its own blocks */
    s_assert_plan(world.round, PLAN({1, 4, 6}, {1, 7, 8}));
    assert_true(round_take_closed(world.round, &closed));
    assert_true(closed.worker == 2 && closed.late && closed.n_blocks == 6);
    (void)audit_ask(audit, auditors, 2, 39, &n);
    assert_int_equal(n, 0); /* not yet with its copies */
    round_tick(world.round, s_two, 2, 30 + 3 * 6);
    assert_false(round_take_closed(world.round, &closed)); /* late is late */
    asks = audit_ask(audit, auditors, 2, 48, &n);
    assert_int_equal(n, 3);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(asks[i].worker, 2);
        round_ask_copy(world.round, &s_two[1], asks[i].first, asks[i].end, 48);
    }
    round_owed(world.round, 2, &n);
    assert_int_equal(n, 5); /* each copy once */
    round_lost(world.round, 2);
    audit_lost(audit, 2);
    round_tick(world.round, s_two, 1, 49);
    s_assert_plan(world.round, NO_PLAN); /* 1 is on time with what others owed */
    assert_int_equal(round_owed_blocks(world.round, 2), 0);
    assert_int_equal(round_reissued(world.round), 3);
    audit_destroy(&audit);
    s_end(&world);
}

/* Nodes side by side are shared out as one run, and none is asked for together with the next. */
static void test_nodes_side_by_side(void **state)
{
    (void)state;
    world_t world = s_new(16);
    reduce_reset(world.tree);
    for (uint32_t i = 2; i < 6; i++)
        reduce_want(world.tree, (node_t){1, i});
    reduce_want(world.tree, (node_t){1, 7});
    round_begin(world.round, world.tree, s_two, 2, 0);
    s_assert_plan(world.round,
                  PLAN({1, 4, 6}, {1, 6, 8}, {2, 8, 10}, {2, 10, 12}, {1, 14, 15}, {2, 15, 16}));
    s_end(&world);
}

/* A relay's: two nodes that do not touch. */
static void test_plans_only_what_is_wanted(void **state)
{
    (void)state;
    world_t world = s_new(16);
    reduce_reset(world.tree);
    reduce_want(world.tree, (node_t){2, 0});
    reduce_want(world.tree, (node_t){1, 4});
    round_begin(world.round, world.tree, s_two, 2, 0);
    s_assert_plan(world.round, PLAN({1, 0, 2}, {2, 2, 4}, {1, 8, 9}, {2, 9, 10}));
    s_done(world.tree, 0, 4, 16);
    round_tick(world.round, s_two, 2, 1);
    s_assert_plan(world.round, NO_PLAN);
    reduce_want(world.tree, (node_t){0, 15}); /* more of the same step */
    round_wanted(world.round);
    s_done(world.tree, 8, 10, 16);
    round_tick(world.round, s_two, 2, 2);
    s_assert_plan(world.round, PLAN({2, 15, 16}));
    s_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plans_only_what_is_wanted),
        cmocka_unit_test(test_plans_and_closes),
        cmocka_unit_test(test_a_doubtful_worker_gets_little),
        cmocka_unit_test(test_a_newcomer_is_late_after_a_second),
        cmocka_unit_test(test_reminds_before_it_gives_away),
        cmocka_unit_test(test_late_blocks_go_to_the_idle),
        cmocka_unit_test(test_late_blocks_wait_while_all_are_busy),
        cmocka_unit_test(test_orphans_are_given_away_at_once),
        cmocka_unit_test(test_orphans_behind_late_blocks),
        cmocka_unit_test(test_a_single_late_worker_is_asked_again),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_audited_nodes_are_left_to_the_audit),
        cmocka_unit_test(test_nodes_side_by_side),
        cmocka_unit_test(test_a_newcomer_waits_while_all_is_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
