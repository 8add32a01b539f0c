/* Who owes what in random worlds: workers of any speed that stall, die unnoticed for a while, or
 * appear; orders and partials that get lost, come late or come twice. Each step completes. */
#include "unit.h"

#include <math.h>
#include <stdlib.h>

#include "dispatch/round.h"
#include "partials.h"

enum {
    MAX_WORKERS = 6,
    MAX_EVENTS = 20000
};

typedef enum {
    EVENT_PARTIAL,
    EVENT_NOTICED, /* the server takes the worker for lost */
    EVENT_DIES,
    EVENT_APPEARS
} event_kind_t;

typedef struct {
    event_kind_t kind;
    double at_ms;
    uint32_t worker;
    node_t node;
} event_t;

typedef struct {
    uint32_t n_blocks;
    round_t *round;
    reduce_t *tree;
    double now_ms;
    double loss; /* probability */
    event_t events[MAX_EVENTS];
    uint32_t n_events;
    round_worker_t workers[MAX_WORKERS]; /* as the server knows them */
    uint32_t n_workers;
    uint32_t last_id;
    struct {
        bool dead;
        double speed; /* the real one */
        double busy_until_ms;
    } real[1000]; /* by id */
} sim_t;

static double s_random(void)
{
    return (double)rand() / ((double)RAND_MAX + 1);
}

static void s_schedule(sim_t *sim, event_t event)
{
    assert_true(sim->n_events < MAX_EVENTS);
    sim->events[sim->n_events++] = event;
}

static void s_appear(sim_t *sim)
{
    if (sim->n_workers == MAX_WORKERS || sim->last_id + 1 >= 1000)
        return;
    uint32_t id = ++sim->last_id;
    double speed = pow(10, s_random() * 2 - 1);
    sim->real[id].speed = s_random() < 0.2 ? speed / 30 : speed; /* slower than it was measured */
    sim->real[id].busy_until_ms = sim->now_ms;
    sim->workers[sim->n_workers++] = (round_worker_t){id, speed, s_random() < 0.8, 0};
}

static void s_forget(sim_t *sim, uint32_t worker)
{
    for (uint32_t i = 0; i < sim->n_workers; i++)
        if (sim->workers[i].worker == worker)
            sim->workers[i] = sim->workers[--sim->n_workers];
    round_lost(sim->round, worker);
}

/* These are on their way; workers send one partial a node. */
static void s_deliver_ranges(sim_t *sim, const wire_range_t *plan, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t id = plan[i].worker;
        if (s_random() < sim->loss || sim->real[id].dead)
            continue;
        uint32_t at = plan[i].first;
        while (at < plan[i].end) {
            node_t node = node_largest(at, plan[i].end, sim->n_blocks);
            uint32_t first;
            node_range(node, sim->n_blocks, &first, &at);
            double begin_ms = fmax(sim->now_ms, sim->real[id].busy_until_ms);
            double end_ms = begin_ms + (at - first) / sim->real[id].speed;
            sim->real[id].busy_until_ms = end_ms;
            if (s_random() >= sim->loss)
                s_schedule(sim, (event_t){EVENT_PARTIAL, end_ms + s_random() * 5, id, node});
            if (s_random() < 0.05) /* twice */
                s_schedule(sim, (event_t){EVENT_PARTIAL, end_ms + s_random() * 50, id, node});
        }
    }
}

static void s_deliver(sim_t *sim)
{
    uint32_t n;
    const wire_range_t *plan = round_plan(sim->round, &n);
    s_deliver_ranges(sim, plan, n);
    plan = round_reminders(sim->round, &n);
    for (uint32_t i = 0; i < n; i++)
        if (sim->real[plan[i].worker].busy_until_ms <= sim->now_ms) /* else it is at work on it */
            s_deliver_ranges(sim, &plan[i], 1);
}

static void s_happen(sim_t *sim, event_t event)
{
    switch (event.kind) {
    case EVENT_PARTIAL:
        if (!sim->real[event.worker].dead) {
            bool complete = reduce_complete(sim->tree, event.node);
            partial_t partial = partials_sum(event.node, sim->n_blocks);
            assert_true(reduce_insert(sim->tree, event.node, &partial) == !complete);
        }
        break;
    case EVENT_DIES:
        if (sim->n_workers > 0) {
            uint32_t id = sim->workers[(uint32_t)rand() % sim->n_workers].worker;
            sim->real[id].dead = true;
            s_schedule(sim, (event_t){EVENT_NOTICED, sim->now_ms + s_random() * 300, id, {0, 0}});
        }
        break;
    case EVENT_NOTICED:
        s_forget(sim, event.worker);
        if (sim->n_workers == 0) /* or it would be the end */
            s_schedule(sim, (event_t){EVENT_APPEARS, sim->now_ms + s_random() * 500, 0, {0, 0}});
        break;
    case EVENT_APPEARS:
        s_appear(sim);
        break;
    }
}

/* Whoever is missing is owed by somebody who is there, and there is a time to look again. */
static void s_assert_owned(sim_t *sim)
{
    uint32_t first, end, n;
    if (sim->n_workers == 0 || !reduce_missing(sim->tree, 0, &first, &end))
        return;
    assert_true(round_deadline_ms(sim->round) < INFINITY);
    bool owned[64] = {false};
    for (uint32_t i = 0; i < sim->n_workers; i++) {
        const wire_range_t *owed = round_owed(sim->round, sim->workers[i].worker, &n);
        for (uint32_t k = 0; k < n; k++)
            for (uint32_t block = owed[k].first; block < owed[k].end; block++)
                owned[block] = true;
    }
    for (uint32_t from = 0; reduce_missing(sim->tree, from, &first, &end); from = end)
        for (uint32_t block = first; block < end; block++)
            assert_true(owned[block]);
}

static void s_run_step(sim_t *sim)
{
    sim->n_events = 0;
    node_t root = {node_root_level(sim->n_blocks), 0};
    reduce_reset(sim->tree);
    reduce_want(sim->tree, root);
    for (int i = 0; i < 4; i++) {
        double at_ms = sim->now_ms + s_random() * 400;
        s_schedule(sim, (event_t){i % 2 ? EVENT_DIES : EVENT_APPEARS, at_ms, 0, {0, 0}});
    }
    round_begin(sim->round, sim->tree, sim->workers, sim->n_workers, sim->now_ms);
    s_deliver(sim);
    for (int n_ticks = 0; !reduce_complete(sim->tree, root); n_ticks++) {
        assert_true(n_ticks < 10000);
        double deadline_ms = round_deadline_ms(sim->round);
        uint32_t next = sim->n_events;
        for (uint32_t i = 0; i < sim->n_events; i++)
            if (next == sim->n_events || sim->events[i].at_ms < sim->events[next].at_ms)
                next = i;
        if (next < sim->n_events && sim->events[next].at_ms <= deadline_ms) {
            event_t event = sim->events[next];
            sim->events[next] = sim->events[--sim->n_events];
            sim->now_ms = event.at_ms;
            s_happen(sim, event);
        } else {
            assert_true(deadline_ms < INFINITY); /* else nothing would ever happen again */
            sim->now_ms = fmax(sim->now_ms, deadline_ms);
        }
        round_tick(sim->round, sim->workers, sim->n_workers, sim->now_ms);
        s_deliver(sim);
        s_assert_owned(sim);
    }
    /* those that died are noticed before the next step at the latest */
    for (uint32_t i = sim->n_workers; i-- > 0;)
        if (sim->real[sim->workers[i].worker].dead)
            s_forget(sim, sim->workers[i].worker);
    if (sim->n_workers == 0)
        s_appear(sim);
}

static void test_every_step_completes(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 300; seed++) {
        srand(seed);
        sim_t *sim = calloc(1, sizeof(*sim));
        sim->n_blocks = 1 + (uint32_t)rand() % 64;
        sim->round = round_new(sim->n_blocks, 0.02, NULL);
        sim->tree = reduce_new(sim->n_blocks, P);
        sim->loss = seed % 4 * 0.15;
        for (unsigned i = 0; i < seed % (MAX_WORKERS + 1); i++)
            s_appear(sim);
        for (int step = 0; step < 8; step++) {
            s_run_step(sim);
            partial_t expected =
                partials_sum((node_t){node_root_level(sim->n_blocks), 0}, sim->n_blocks);
            node_t node;
            partial_t sum;
            assert_true(reduce_take(sim->tree, &node, &sum));
            assert_int_equal(sum.rows, sim->n_blocks); /* each block once */
            assert_memory_equal(sum.gradient, expected.gradient, P * sizeof(float));
            assert_memory_equal(&sum.cost, &expected.cost, sizeof(double));
            partial_release(&expected);
            partial_release(&sum);
        }
        round_destroy(&sim->round);
        reduce_destroy(&sim->tree);
        free(sim);
        assert_int_equal(partials_live, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_step_completes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
