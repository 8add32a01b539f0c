/* See audited.h. */
#include "audited.h"

#include <string.h>

const node_t audited_node = {1, 3};
const char *const audited_names[] = {"ann", "bob", "cat", "dan", "eve", "fay"};

partial_t audited_partial(node_t node, int wrong)
{
    partial_t partial = partials_leaf(node.index);
    partial.rows = 9;
    uint32_t bits;
    memcpy(&bits, &partial.gradient[1], sizeof(bits));
    bits ^= (uint32_t)wrong; /* the last bits of one number */
    memcpy(&partial.gradient[1], &bits, sizeof(bits));
    return partial;
}

audited_t audited_new(uint32_t n_workers, node_t node)
{
    audited_t world = {.audit = audit_new(7, 1, BLOCKS, P), .n_workers = n_workers};
    for (uint32_t i = 0; i < n_workers; i++)
        world.workers[i] = (audit_worker_t){
            .worker = i + 1, .name = audited_names[i], .host = "here", .speed = 1.0};
    audit_begin(world.audit, STEP, 2);
    audit_want(world.audit, node, world.workers, n_workers);
    return world;
}

void audited_end(audited_t *world)
{
    audit_event_t event;
    assert_false(audit_take_event(world->audit, &event)); /* each one was expected */
    audit_destroy(&world->audit);
    audit_destroy(&world->audit);
    assert_int_equal(partials_live, 0);
}

void audited_ask(audited_t *world)
{
    const wire_range_t *asks =
        audit_ask(world->audit, world->workers, world->n_workers, world->now_ms, &world->n_asks);
    assert_true(world->n_asks <= 64);
    for (uint32_t i = 0; i < world->n_asks; i++) {
        world->asks[i] = asks[i];
        assert_true(audit_awaits(world->audit, asks[i].worker, asks[i].first));
    }
}

void audited_ask_n(audited_t *world, uint32_t n)
{
    audited_ask(world);
    assert_int_equal(world->n_asks, n);
    for (uint32_t i = 0; i < n; i++)
        assert_true(world->asks[i].first == 6 && world->asks[i].end == 8);
}

bool audited_asked(const audited_t *world, uint32_t worker)
{
    for (uint32_t i = 0; i < world->n_asks; i++)
        if (world->asks[i].worker == worker)
            return true;
    return false;
}

bool audited_offer(audited_t *world, uint32_t worker, node_t node, int wrong)
{
    partial_t partial = audited_partial(node, wrong);
    bool taken = audit_offer(world->audit, worker, node, &partial);
    assert_null(partial.gradient); /* in any case */
    return taken;
}

void audited_remove(audited_t *world, uint32_t worker)
{
    for (uint32_t i = 0; i < world->n_workers; i++)
        if (world->workers[i].worker == worker)
            world->workers[i--] = world->workers[--world->n_workers];
    audit_lost(world->audit, worker);
}

void audited_expect(audited_t *world, audit_event_kind_t kind, const char *name, const char *other)
{
    audit_event_t event;
    assert_true(audit_take_event(world->audit, &event));
    assert_int_equal(event.kind, kind);
    assert_string_equal(event.name, name);
    assert_string_equal(event.host, "here");
    assert_string_equal(event.other, other);
    assert_true(event.node.level == audited_node.level && event.node.index == audited_node.index);
}

void audited_expect_undecided(audited_t *world)
{
    node_t node;
    partial_t partial;
    assert_false(audit_take(world->audit, &node, &partial));
    assert_true(audit_undecided(world->audit, 6));
    assert_true(audit_undecided(world->audit, 7));
}

void audited_expect_decided(audited_t *world, int wrong)
{
    node_t node;
    partial_t partial, expected = audited_partial(audited_node, wrong);
    assert_true(audit_take(world->audit, &node, &partial));
    assert_true(node.level == audited_node.level && node.index == audited_node.index);
    assert_memory_equal(partial.gradient, expected.gradient, P * sizeof(float));
    assert_true(partial.cost == expected.cost && partial.correct == expected.correct &&
                partial.rows == expected.rows);
    partial_release(&partial);
    partial_release(&expected);
    assert_false(audit_take(world->audit, &node, &partial));
    assert_false(audit_undecided(world->audit, 6));
    audited_ask(world);
    assert_int_equal(world->n_asks, 0);
    assert_false(audit_awaits(world->audit, 1, 6));
}
