/* The real server against workers that this test plays: whatever they send, in whatever order, the
 * weights are those that a computation by definition gives. */
#include "unit/unit.h"

#include <czmq.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "math/blas.h"
#include "unit/tiny.h"
#include "unit/wire_samples.h"
#include "world.h"

static void test_weights_are_those_by_definition(void **state)
{
    (void)state;
    static const char *const binds[] = {NULL, "tcp://127.0.0.1:*", "ipc"};
    for (int i = 0; i < 3; i++) {
        world_t *world = world_start(binds[i], WORLD_STEPS, 1);
        peer_t *peer = &world->peers[0];
        peer_join(world, peer, "a", true);
        peer_ready(peer);
        for (uint32_t step = 1; step <= WORLD_STEPS; step++) {
            peer_expect_step(peer, step);
            if (world->weights)
                assert_memory_equal(frame_data(&peer->frame), world->weights,
                                    world->n_params * sizeof(float));
            assert_int_equal(peer_push_asked(world, peer, step % 3), WORLD_BLOCKS);
            assert_int_equal(world_wait(world), SERVER_STEP);
            world_assert_weights(world);
        }
        assert_int_equal(world_wait(world), SERVER_DONE);
        while (peer_receive(peer, 50)) /* not before its files are safe */
            assert_int_not_equal(peer->in.type, WIRE_END);
        server_release(world->server, false);
        peer_expect(peer, WIRE_END);
        assert_int_equal(world->refused, 0);
        assert_int_equal(world->duplicates, 0);
        world_end(world);
    }
}

/* Whoever writes metrics and checkpoints may be as slow as it likes. */
static void test_steps_wait_for_no_one_who_writes(void **state)
{
    (void)state;
    world_t *world = world_start(NULL, WORLD_STEPS, 1);
    peer_t *peer = &world->peers[0];
    peer_join(world, peer, "a", true);
    peer_ready(peer);
    for (uint32_t step = 1; step <= WORLD_STEPS; step++) {
        peer_expect_step(peer, step);
        free(world->weights); /* what is computed at */
        world->weights = malloc(world->n_params * sizeof(float));
        memcpy(world->weights, frame_data(&peer->frame), world->n_params * sizeof(float));
        assert_int_equal(peer_push_asked(world, peer, 0), WORLD_BLOCKS);
    }
    for (uint32_t step = 1; step <= WORLD_STEPS; step++) {
        assert_int_equal(world_wait(world), SERVER_STEP);
        world_assert_weights(world);
    }
    assert_int_equal(world_wait(world), SERVER_DONE);
    world_end(world);
}

static void test_several_workers_and_duplicates(void **state)
{
    (void)state;
    world_t *world = world_start(NULL, WORLD_STEPS, 3);
    for (int i = 0; i < 3; i++) {
        char name[] = {(char)('a' + i), '\0'};
        peer_join(world, &world->peers[i], name, true);
        peer_ready(&world->peers[i]);
    }
    uint32_t n_duplicates = 0;
    for (uint32_t step = 1; step <= WORLD_STEPS; step++) {
        uint32_t n_blocks = 0;
        for (int i = 2; i >= 0; i--) {
            peer_t *peer = &world->peers[i];
            peer_expect_step(peer, step);
            n_blocks += peer_push_asked(world, peer, 0);
            if (i > 0) { /* what is counted already, sent again in pieces */
                for (uint32_t k = 0; k < peer->in.n_ranges; k++) {
                    const wire_range_t *range = &peer->in.ranges[k];
                    for (uint32_t block = range->first;
                         range->worker == peer->job.worker && block < range->end; block++) {
                        peer_push(world, peer, (node_t){0, block});
                        n_duplicates++;
                    }
                }
            }
        }
        assert_true(n_blocks >= WORLD_BLOCKS);
        assert_int_equal(world_wait(world), SERVER_STEP);
        world_assert_weights(world);
    }
    assert_int_equal(world_wait(world), SERVER_DONE);
    /* those of the last step may come when it is over */
    assert_true(world->duplicates > 0 && world->duplicates <= n_duplicates);
    assert_int_equal(world->refused, 0);
    world_end(world);
}

typedef enum {
    BAD_NODE,
    BAD_LENGTH,
    BAD_NAN,
    BAD_ROWS,
    BAD_COST,
    BAD_STEP_AHEAD,
    BAD_RUN,
    BAD_WORKER,
    BAD_DIGEST,
    BAD_NO_FRAME,
    BAD_TYPE,
    LATE_STEP,
    LATE_INCARNATION,
    OTHER_INCARNATION,
    N_BAD
} bad_t;

/* A message whose frame is not what its header says; NULL for none. */
static void s_send_broken(peer_t *peer, const wire_t *message, const void *digested,
                          const void *frame, size_t size)
{
    wire_buffer_t *buffer = wire_buffer_new();
    const void *header;
    size_t header_size;
    uint64_t digest = wire_digest(digested, size);
    wire_encode(buffer, message, &digest, &header, &header_size);
    void *socket = link_socket(peer->gradients);
    assert_true(zmq_send(socket, header, header_size, frame ? ZMQ_SNDMORE : 0) > 0);
    if (frame)
        assert_true(zmq_send(socket, frame, size, 0) > 0);
    wire_buffer_destroy(&buffer);
}

/* A partial that must not count, in this way. */
static void s_push_bad(world_t *world, peer_t *peer, bad_t how)
{
    node_t node = {0, 3};
    partial_t sum = world_compute(world, peer->step, node);
    wire_t message = peer_partial_of(peer, node, &sum);
    size_t size = world->n_params * sizeof(float);
    float *other = malloc(size);
    memcpy(other, sum.gradient, size);
    for (size_t i = 0; i < world->n_params; i++) /* were it to count, the weights would tell */
        sum.gradient[i] = 1000;
    message.run = peer->run;
    message.incarnation = peer->incarnation;
    message.step = peer->step;
    switch (how) {
    case BAD_NODE:
        message.partial.node = (node_t){0, WORLD_BLOCKS};
        break;
    case BAD_LENGTH:
        size -= sizeof(float);
        break;
    case BAD_NAN:
        sum.gradient[7] = NAN;
        break;
    case BAD_ROWS:
        message.partial.rows++;
        break;
    case BAD_COST:
        message.partial.cost = -1;
        break;
    case BAD_STEP_AHEAD:
        message.step++;
        break;
    case BAD_RUN:
        message.run++;
        break;
    case OTHER_INCARNATION:
        message.incarnation++;
        break;
    case BAD_WORKER:
        message.partial.worker = 4711;
        break;
    case BAD_DIGEST:
        s_send_broken(peer, &message, other, sum.gradient, size);
        break;
    case BAD_NO_FRAME:
        s_send_broken(peer, &message, other, NULL, size);
        break;
    case BAD_TYPE:
        message.type = WIRE_STEP;
        message.n_ranges = 0;
        break;
    case LATE_STEP:
        message.step--;
        break;
    case LATE_INCARNATION:
        message.incarnation--;
        break;
    case N_BAD:
        fail();
    }
    if (how != BAD_DIGEST && how != BAD_NO_FRAME)
        peer_send(peer, peer->gradients, message, sum.gradient, size);
    free(other);
    partial_release(&sum);
}

static void test_bad_partials_do_not_count(void **state)
{
    (void)state;
    for (bad_t how = 0; how < N_BAD; how++) {
        world_t *world = world_start(NULL, 2, 1);
        peer_t *peer = &world->peers[0];
        peer_join(world, peer, "a", true);
        peer_ready(peer);
        peer_expect_step(peer, 1);
        peer_push_asked(world, peer, 0);
        assert_int_equal(world_wait(world), SERVER_STEP);
        peer_expect_step(peer, 2);
        s_push_bad(world, peer, how);
        if (how < BAD_STEP_AHEAD) /* its own: it is asked for all of it again */
            peer_expect(peer, WIRE_ASSIGN);
        if (how == BAD_STEP_AHEAD) /* nor does that one say that it has this step's weights */
            peer_expect(peer, WIRE_STEP);
        assert_int_equal(peer_push_asked(world, peer, 0), WORLD_BLOCKS);
        assert_int_equal(world_wait(world), SERVER_STEP);
        world_assert_weights(world);
        assert_int_equal(world->refused, how < LATE_STEP);
        assert_int_equal(world->duplicates, how >= LATE_STEP);
        assert_int_equal(world_wait(world), SERVER_DONE);
        world_end(world);
    }
}

static void test_who_sends_bad_ones_is_sent_away(void **state)
{
    (void)state;
    world_t *world = world_start(NULL, 2, 2);
    peer_t *good = &world->peers[0];
    peer_t *bad = &world->peers[1];
    peer_join(world, good, "good", true);
    peer_join(world, bad, "bad", true);
    peer_ready(good);
    peer_ready(bad);
    peer_expect_step(bad, 1);
    s_push_bad(world, bad, BAD_NODE);
    s_push_bad(world, bad, BAD_NAN);
    s_push_bad(world, bad, BAD_LENGTH);
    peer_expect(bad, WIRE_REFUSED);
    assert_int_equal(bad->in.refusal.reason, WIRE_REFUSED_QUARANTINE);
    peer_heartbeat(bad, 1);
    peer_expect(bad, WIRE_REJOIN);
    peer_hello(bad, "bad");
    peer_expect(bad, WIRE_REFUSED);
    assert_int_equal(bad->in.refusal.reason, WIRE_REFUSED_QUARANTINE);
    peer_push(world, bad, (node_t){0, 3}); /* even a good one does not count any more */
    peer_expect_step(good, 1);
    peer_work_until(world, good, 2);
    assert_int_equal(world_wait(world), SERVER_STEP);
    world_assert_weights(world);
    assert_int_equal(world->refused, 3);
    assert_int_equal(peer_push_asked(world, good, 0), WORLD_BLOCKS);
    assert_int_equal(world_wait(world), SERVER_STEP);
    world_assert_weights(world);
    assert_int_equal(world_wait(world), SERVER_DONE);
    world_end(world);
}

static void test_a_model_that_has_diverged_ends_it(void **state)
{
    (void)state;
    world_t *world = world_start(NULL, 2, 2);
    for (int i = 0; i < 2; i++) {
        peer_join(world, &world->peers[i], i ? "b" : "a", true);
        peer_ready(&world->peers[i]);
    }
    for (uint32_t step = 1; step <= 2; step++) {
        for (int i = 0; i < 2; i++)
            peer_expect_step(&world->peers[i], step);
        if (step == 2)
            for (int i = 0; i < 2; i++)
                s_push_bad(world, &world->peers[i], BAD_NAN); /* block 3 */
        for (uint32_t block = 0; block < WORLD_BLOCKS; block++)
            if (step == 1 || block != 3)
                peer_push(world, &world->peers[block % 2], (node_t){0, block});
        if (step == 1)
            assert_int_equal(world_wait(world), SERVER_STEP);
    }
    assert_int_equal(world_wait(world), SERVER_DONE);
    assert_string_equal(server_failure(world->server),
                        "step 2: diverged at learning rate 0.105: layer 1 is the first whose "
                        "gradient or update is not finite");
    world_end(world);
}

static void test_lost_weights_are_said_again(void **state)
{
    (void)state;
    world_t *world = world_start(NULL, WORLD_STEPS, 1);
    peer_t *deaf = &world->peers[0];
    peer_join(world, deaf, "deaf", false); /* never subscribes */
    peer_ready(deaf);
    int64_t begun_ms = clock_ms();
    for (uint32_t step = 1; step <= WORLD_STEPS; step++) {
        assert_ptr_equal(peer_expect_step(deaf, step), deaf->control);
        if (world->weights)
            assert_memory_equal(frame_data(&deaf->frame), world->weights,
                                world->n_params * sizeof(float));
        assert_true(peer_push_asked(world, deaf, 0) >= WORLD_BLOCKS);
        assert_int_equal(world_wait(world), SERVER_STEP);
        world_assert_weights(world);
    }
    assert_true(clock_ms() - begun_ms < 4500); /* nobody waited for the blocks to be late */
    assert_int_equal(world_wait(world), SERVER_DONE);
    world_end(world);
}

static void test_a_worker_leaves_and_another_appears(void **state)
{
    (void)state;
    world_t *world = world_start(NULL, 2, 1);
    peer_t *first = &world->peers[0];
    peer_t *second = &world->peers[1];
    peer_join(world, first, "first", true);
    peer_ready(first);
    peer_expect_step(first, 1);
    peer_push(world, first, (node_t){2, 1}); /* a part of it, */
    peer_send(first, first->control, (wire_t){.type = WIRE_BYE}, NULL, 0);
    peer_join(world, second, "second", true);
    peer_ready(second);
    peer_expect_step(second, 1);
    peer_work_until(world, second, 2); /* the rest is asked of who comes next */
    assert_int_equal(world_wait(world), SERVER_STEP);
    world_assert_weights(world);
    assert_int_equal(peer_push_asked(world, second, 0), WORLD_BLOCKS);
    assert_int_equal(world_wait(world), SERVER_STEP);
    world_assert_weights(world);
    assert_int_equal(world_wait(world), SERVER_DONE);
    world_end(world);
}

static void test_admission(void **state)
{
    (void)state;
    world_t *world = world_start(NULL, 1, 1);
    peer_t *stranger = &world->peers[0];
    peer_connect(stranger, world->endpoint);
    peer_heartbeat(stranger, 0); /* who is unknown is told to say HELLO */
    peer_expect(stranger, WIRE_REJOIN);
    stranger->job.model = tiny_model();
    peer_ready(stranger);
    peer_expect(stranger, WIRE_REJOIN);
    peer_send(stranger, stranger->control, (wire_t){.type = WIRE_BYE}, NULL, 0); /* no answer */
    wire_t hello = {.type = WIRE_HELLO};
    hello.hello = (wire_hello_t){"other data", "test", "dense/test", 1, "0123", false};
    peer_send(stranger, stranger->control, hello, NULL, 0);
    assert_ptr_equal(peer_receive(stranger, PEER_DEADLINE_MS), stranger->control);
    assert_int_equal(stranger->in.type, WIRE_REFUSED);
    assert_int_equal(stranger->in.refusal.reason, WIRE_REFUSED_DIGEST);

    /* another protocol version is told which one is spoken here */
    wire_buffer_t *buffer = wire_buffer_new();
    const void *header;
    size_t size;
    char newer[512];
    wire_encode(buffer, &hello, NULL, &header, &size);
    memcpy(newer, header, size);
    newer[8] = 77;
    size -= 8;
    uint8_t *sealed = wire_sealed(newer, &size);
    assert_true(zmq_send(link_socket(stranger->control), sealed, size, 0) > 0);
    free(sealed);
    wire_buffer_destroy(&buffer);
    peer_expect(stranger, WIRE_REFUSED);
    assert_int_equal(stranger->in.refusal.reason, WIRE_REFUSED_VERSION);
    assert_string_equal(stranger->in.refusal.text, "protocol version 77, expected 1");

    /* a worker that has not understood the job */
    peer_t *odd = &world->peers[1];
    peer_join(world, odd, "odd", false);
    odd->job.model.layers[0].units++;
    peer_ready(odd);
    peer_expect(odd, WIRE_REFUSED);
    assert_int_equal(odd->in.refusal.reason, WIRE_REFUSED_SHAPE);
    peer_heartbeat(odd, 0);
    peer_expect(odd, WIRE_REJOIN);

    /* one whose READY was lost: it has heard a step of others since, and would not say it again */
    peer_t *mute = &world->peers[3];
    peer_join(world, mute, "mute", false);
    uint32_t number = mute->job.worker;
    peer_heartbeat(mute, 1);
    peer_expect(mute, WIRE_REJOIN);
    peer_hello(mute, "mute");
    peer_expect(mute, WIRE_WELCOME);
    assert_int_equal(mute->in.welcome.worker, number);
    peer_send(mute, mute->control, (wire_t){.type = WIRE_BYE}, NULL, 0);

    /* one that says HELLO more than once is still one */
    peer_t *peer = &world->peers[2];
    peer_join(world, peer, "a", true);
    peer_hello(peer, "a");
    peer_expect(peer, WIRE_WELCOME);
    assert_int_equal(peer->in.welcome.worker, peer->job.worker);
    peer_ready(peer);
    hello.hello = (wire_hello_t){"another kernel", "test", "dense/other", 1, "", false};
    peer_send(stranger, stranger->control, hello, NULL, 0);
    peer_expect(stranger, WIRE_REFUSED);
    assert_int_equal(stranger->in.refusal.reason, WIRE_REFUSED_KERNEL);
    assert_string_equal(stranger->in.refusal.kernel, "dense/test");
    peer_expect_step(peer, 1);
    peer_push_asked(world, peer, 0);
    assert_int_equal(world_wait(world), SERVER_STEP);
    world_assert_weights(world);
    assert_int_equal(world_wait(world), SERVER_DONE);
    world_end(world);
}

/* Random parts, and parts of real messages, on a plane of the server's. */
static void s_garbage(const world_t *world, int type, const char *endpoint)
{
    zsock_t *raw = zsock_new(type);
    assert_int_equal(zsock_connect(raw, "%s", endpoint), 0);
    wire_buffer_t *buffer = wire_buffer_new();
    (void)world;
    for (int i = 0; i < 300; i++) {
        int n_parts = 1 + rand() % 4;
        for (int part = 0; part < n_parts; part++) {
            uint8_t bytes[600];
            size_t size = (size_t)rand() % sizeof(bytes);
            for (size_t k = 0; k < size; k++)
                bytes[k] = (uint8_t)rand();
            if (rand() % 2) {
                wire_t sample = wire_sample((wire_type_t)(WIRE_HELLO + rand() % WIRE_EVALUATED));
                const void *header;
                const uint64_t digest = 1;
                wire_encode(buffer, &sample, wire_has_frame(sample.type) ? &digest : NULL, &header,
                            &size);
                memcpy(bytes, header, size);
                if (rand() % 2)
                    bytes[(size_t)rand() % size] ^= (uint8_t)(1 << rand() % 8);
            }
            assert_true(zmq_send(zsock_resolve(raw), bytes, size,
                                 part + 1 < n_parts ? ZMQ_SNDMORE : 0) >= 0);
        }
    }
    wire_buffer_destroy(&buffer);
    zsock_set_linger(raw, 1000);
    zsock_destroy(&raw);
}

static void test_garbage_stops_nothing(void **state)
{
    (void)state;
    srand(8);
    world_t *world = world_start("tcp://127.0.0.1:*", WORLD_STEPS, 1);
    peer_t *peer = &world->peers[0];
    peer_join(world, peer, "a", true);
    peer_ready(peer);
    for (uint32_t step = 1; step <= WORLD_STEPS; step++) {
        peer_expect_step(peer, step);
        s_garbage(world, ZMQ_DEALER, world->endpoint);
        s_garbage(world, ZMQ_DEALER, link_endpoint(peer->data));
        s_garbage(world, ZMQ_PUSH, link_endpoint(peer->gradients));
        assert_int_equal(peer_push_asked(world, peer, 0), WORLD_BLOCKS);
        assert_int_equal(world_wait(world), SERVER_STEP);
        world_assert_weights(world);
    }
    assert_int_equal(world_wait(world), SERVER_DONE);
    world_end(world);
}

int main(void)
{
    err_t err;
    link_init();
    log_set_level(getenv("DROVER_TEST_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
    if (blas_open(NULL, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights_are_those_by_definition),
        cmocka_unit_test(test_steps_wait_for_no_one_who_writes),
        cmocka_unit_test(test_several_workers_and_duplicates),
        cmocka_unit_test(test_bad_partials_do_not_count),
        cmocka_unit_test(test_who_sends_bad_ones_is_sent_away),
        cmocka_unit_test(test_a_model_that_has_diverged_ends_it),
        cmocka_unit_test(test_lost_weights_are_said_again),
        cmocka_unit_test(test_a_worker_leaves_and_another_appears),
        cmocka_unit_test(test_admission),
        cmocka_unit_test(test_garbage_stops_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
