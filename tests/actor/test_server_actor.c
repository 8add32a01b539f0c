/* The real server against workers that this test plays: whatever they send, in whatever order, the
 * weights are those that a computation by definition gives. */
#include "unit/unit.h"

#include <czmq.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/log.h"
#include "math/blas.h"
#include "parameter_server/server.h"
#include "peer.h"
#include "unit/tiny.h"
#include "unit/wire_samples.h"

enum {
    ROWS = 8 * 21 - 3,
    BLOCKS = 21,
    STEPS = 4
};

/* A server with its data, and the workers of the script. */
typedef struct {
    dataset_t *data;
    server_t *server;
    sampler_t sampler;
    size_t n_params;
    int alarm; /* readable when a step takes too long */
    char endpoint[LINK_ENDPOINT_SIZE];
    float *weights; /* after the last step; NULL before */
    uint32_t step;
    uint32_t refused; /* over all steps */
    uint32_t duplicates;
    peer_t peers[4];
} world_t;

/* bind NULL: some inproc endpoint, a new one each time, since libzmq frees a name some time after
 * the socket is closed. */
static world_t *s_start_evaluated(const char *bind, uint32_t n_steps, uint32_t min_workers,
                                  const dataset_t *test, uint32_t evaluate_every)
{
    static int s_n_started;
    char unique[64];
    (void)snprintf(unique, sizeof(unique), "%sserver-actor-%d-%d", bind ? "ipc://@" : "inproc://",
                   (int)getpid(), s_n_started++);
    world_t *world = calloc(1, sizeof(*world));
    err_t err = {{0}};
    world->data = tiny_data(ROWS);
    world->sampler = tiny_sampler(ROWS);
    server_job_t job = {
        .model = tiny_model(),
        .sampler = world->sampler,
        .n_steps = n_steps,
        .optimizer = {.driver = tiny_driver()},
        .strict = true,
        .min_workers = min_workers,
        .bind = bind && strcmp(bind, "ipc") != 0 ? bind : unique,
        .data = world->data,
        .test = test,
        .evaluate_every = evaluate_every,
        .incarnation = 4, /* so that tests can name others */
    };
    world->n_params = model_params(&job.model);
    world->server = server_new(&job, &err);
    if (!world->server)
        fail_msg("%s", err.text);
    (void)snprintf(world->endpoint, sizeof(world->endpoint), "%s", server_endpoint(world->server));
    world->alarm = timerfd_create(CLOCK_MONOTONIC, 0);
    server_start(world->server);
    return world;
}

static world_t *s_start(const char *bind, uint32_t n_steps, uint32_t min_workers)
{
    return s_start_evaluated(bind, n_steps, min_workers, NULL, 0);
}

static server_event_t s_wait(world_t *world)
{
    server_record_t *record = NULL;
    struct itimerspec limit = {.it_value = {.tv_sec = PEER_DEADLINE_MS / 1000}};
    timerfd_settime(world->alarm, 0, &limit, NULL);
    server_event_t event = server_wait(world->server, world->alarm, &record);
    assert_int_not_equal(event, SERVER_OTHER); /* the deadline */
    if (event != SERVER_STEP)
        return event;
    assert_int_equal(record->step, ++world->step);
    assert_int_equal(record->blocks, BLOCKS);
    world->refused += record->refused;
    world->duplicates += record->duplicates;
    free(world->weights);
    world->weights = malloc(world->n_params * sizeof(float));
    memcpy(world->weights, frame_data(&record->weights), world->n_params * sizeof(float));
    server_record_destroy(&record);
    return event;
}

/* Every step must have come out as by definition. */
static void s_assert_weights(const world_t *world)
{
    float *expected = tiny_train(world->data, world->step);
    assert_memory_equal(world->weights, expected, world->n_params * sizeof(float));
    free(expected);
}

static void s_end(world_t *world)
{
    for (int i = 0; i < 4; i++)
        peer_close(&world->peers[i]);
    server_destroy(&world->server);
    dataset_destroy(&world->data);
    close(world->alarm);
    free(world->weights);
    free(world);
}

/* Workers */

static void s_connect(peer_t *peer, const char *endpoint)
{
    err_t err;
    peer->control = link_connect(LINK_CONTROL_WORKER, endpoint, 1 << 20, &err);
    assert_non_null(peer->control);
}

static void s_hello(peer_t *peer, const char *name)
{
    wire_t hello = {.type = WIRE_HELLO};
    hello.hello = (wire_hello_t){.host = "test", .kernel = "dense/test", .threads = 1};
    (void)snprintf(hello.hello.name, sizeof(hello.hello.name), "%s", name);
    peer_send(peer, peer->control, hello, NULL, 0);
}

/* Connects, says HELLO and takes the job; not READY yet. */
static void s_join(world_t *world, peer_t *peer, const char *name, bool subscribe)
{
    err_t err;
    char endpoint[LINK_ENDPOINT_SIZE];
    s_connect(peer, world->endpoint);
    s_hello(peer, name);
    peer_expect(peer, WIRE_WELCOME);
    const wire_welcome_t *job = &peer->in.welcome;
    peer->job = *job;
    peer->run = peer->in.run;
    peer->incarnation = peer->in.incarnation;
    model_t model = tiny_model();
    assert_memory_equal(&job->model, &model, sizeof(model));
    assert_int_equal(job->sampler.seed, world->sampler.seed);
    assert_true(job->sampler.fraction == world->sampler.fraction);
    assert_int_equal(job->sampler.n_rows, ROWS);
    assert_int_equal(job->sampler.block_rows, TINY_BLOCK_ROWS);
    assert_string_equal(job->digest, dataset_digest(world->data));
    assert_string_equal(job->kernel, "dense/test");
    if (subscribe) {
        assert_int_equal(link_plane_endpoint(world->endpoint, job->weights, endpoint, &err), 0);
        peer->weights = link_connect(LINK_WEIGHTS_WORKER, endpoint, 1 << 20, &err);
    }
    assert_int_equal(link_plane_endpoint(world->endpoint, job->gradients, endpoint, &err), 0);
    peer->gradients = link_connect(LINK_GRADIENTS_WORKER, endpoint, 0, &err);
    assert_int_equal(link_plane_endpoint(world->endpoint, job->data, endpoint, &err), 0);
    peer->data = link_connect(LINK_DATA_WORKER, endpoint, 1 << 20, &err);
}

static void s_ready(peer_t *peer)
{
    wire_t ready = {.type = WIRE_READY};
    ready.ready.n_params = model_params(&peer->job.model);
    memcpy(ready.ready.digest, peer->job.digest, sizeof(ready.ready.digest));
    peer_send(peer, peer->control, ready, NULL, 0);
}

static void s_heartbeat(peer_t *peer, uint32_t newest_step)
{
    wire_t heartbeat = {.type = WIRE_HEARTBEAT};
    heartbeat.heartbeat.newest_step = newest_step;
    peer_send(peer, peer->control, heartbeat, NULL, 0);
}

/* Waits for the weights of `step`, reminding the server as a worker does: READY until a first step
 * was heard, heartbeats then. Assignments stay in peer->in. Returns the plane that they came on. */
static link_t *s_expect_step(peer_t *peer, uint32_t step)
{
    int64_t until_ms = clock_ms() + PEER_DEADLINE_MS;
    while (clock_ms() < until_ms) {
        link_t *link = peer_receive(peer, 60);
        if (link && peer->in.type == WIRE_STEP && peer->in.step == step) {
            peer->step = step;
            return link;
        }
        if (!link && peer->step == 0)
            s_ready(peer);
        else if (!link)
            s_heartbeat(peer, peer->step);
    }
    fail_msg("no step %u came", step);
    return NULL;
}

static wire_t s_partial_of(const peer_t *peer, node_t node, const partial_t *sum)
{
    wire_t message = {.type = WIRE_PARTIAL};
    message.partial = (wire_partial_t){peer->job.worker, node, sum->cost, sum->correct, sum->rows};
    return message;
}

static partial_t s_compute(const world_t *world, uint32_t step, node_t node)
{
    float *first = NULL;
    const float *weights = world->weights;
    if (!weights) {
        model_t model = tiny_model();
        first = malloc(world->n_params * sizeof(float));
        model_init(&model, MODEL_INIT_UNIFORM, world->sampler.seed, first);
        weights = first;
    }
    partial_t sum = tiny_sum(&world->sampler, dataset_images(world->data),
                             dataset_labels(world->data), weights, step, node);
    free(first);
    return sum;
}

/* Sends the partial of a node of the peer's step, as it should be. */
static void s_push(world_t *world, peer_t *peer, node_t node)
{
    partial_t sum = s_compute(world, peer->step, node);
    peer_send(peer, peer->gradients, s_partial_of(peer, node, &sum), sum.gradient,
              world->n_params * sizeof(float));
    partial_release(&sum);
}

/* Sends all that the last STEP or ASSIGN asks this peer for, from the last node to the first, the
 * nodes cut by `cut` levels. Returns the number of blocks. */
static uint32_t s_push_asked(world_t *world, peer_t *peer, uint32_t cut)
{
    uint32_t n_blocks = 0;
    for (uint32_t i = peer->in.n_ranges; i-- > 0;) {
        const wire_range_t *range = &peer->in.ranges[i];
        node_t nodes[BLOCKS];
        uint32_t n = 0;
        if (range->worker != peer->job.worker)
            continue;
        assert_true(range->end <= BLOCKS);
        n_blocks += range->end - range->first;
        for (uint32_t at = range->first; at < range->end; n++) {
            nodes[n] = node_largest(at, range->end, BLOCKS);
            node_range(nodes[n], BLOCKS, &at, &at);
        }
        while (n-- > 0) {
            uint32_t down = nodes[n].level < cut ? nodes[n].level : cut;
            for (uint32_t k = 1u << down; k-- > 0;) {
                node_t piece = {nodes[n].level - down, (nodes[n].index << down) + k};
                if (node_valid(piece, BLOCKS))
                    s_push(world, peer, piece);
            }
        }
    }
    return n_blocks;
}

static void test_weights_are_those_by_definition(void **state)
{
    (void)state;
    static const char *const binds[] = {NULL, "tcp://127.0.0.1:*", "ipc"};
    for (int i = 0; i < 3; i++) {
        world_t *world = s_start(binds[i], STEPS, 1);
        peer_t *peer = &world->peers[0];
        s_join(world, peer, "a", true);
        s_ready(peer);
        for (uint32_t step = 1; step <= STEPS; step++) {
            s_expect_step(peer, step);
            if (world->weights)
                assert_memory_equal(frame_data(&peer->frame), world->weights,
                                    world->n_params * sizeof(float));
            assert_int_equal(s_push_asked(world, peer, step % 3), BLOCKS);
            assert_int_equal(s_wait(world), SERVER_STEP);
            s_assert_weights(world);
        }
        assert_int_equal(s_wait(world), SERVER_DONE);
        while (peer_receive(peer, 50)) /* not before its files are safe */
            assert_int_not_equal(peer->in.type, WIRE_END);
        server_release(world->server, false);
        peer_expect(peer, WIRE_END);
        assert_int_equal(world->refused, 0);
        assert_int_equal(world->duplicates, 0);
        s_end(world);
    }
}

/* Whoever writes metrics and checkpoints may be as slow as it likes. */
static void test_steps_wait_for_no_one_who_writes(void **state)
{
    (void)state;
    world_t *world = s_start(NULL, STEPS, 1);
    peer_t *peer = &world->peers[0];
    s_join(world, peer, "a", true);
    s_ready(peer);
    for (uint32_t step = 1; step <= STEPS; step++) {
        s_expect_step(peer, step);
        free(world->weights); /* what is computed at */
        world->weights = malloc(world->n_params * sizeof(float));
        memcpy(world->weights, frame_data(&peer->frame), world->n_params * sizeof(float));
        assert_int_equal(s_push_asked(world, peer, 0), BLOCKS);
    }
    for (uint32_t step = 1; step <= STEPS; step++) {
        assert_int_equal(s_wait(world), SERVER_STEP);
        s_assert_weights(world);
    }
    assert_int_equal(s_wait(world), SERVER_DONE);
    s_end(world);
}

static void test_several_workers_and_duplicates(void **state)
{
    (void)state;
    world_t *world = s_start(NULL, STEPS, 3);
    for (int i = 0; i < 3; i++) {
        char name[] = {(char)('a' + i), '\0'};
        s_join(world, &world->peers[i], name, true);
        s_ready(&world->peers[i]);
    }
    uint32_t n_duplicates = 0;
    for (uint32_t step = 1; step <= STEPS; step++) {
        uint32_t n_blocks = 0;
        for (int i = 2; i >= 0; i--) {
            peer_t *peer = &world->peers[i];
            s_expect_step(peer, step);
            n_blocks += s_push_asked(world, peer, 0);
            if (i > 0) { /* what is counted already, sent again in pieces */
                for (uint32_t k = 0; k < peer->in.n_ranges; k++) {
                    const wire_range_t *range = &peer->in.ranges[k];
                    for (uint32_t block = range->first;
                         range->worker == peer->job.worker && block < range->end; block++) {
                        s_push(world, peer, (node_t){0, block});
                        n_duplicates++;
                    }
                }
            }
        }
        assert_true(n_blocks >= BLOCKS);
        assert_int_equal(s_wait(world), SERVER_STEP);
        s_assert_weights(world);
    }
    assert_int_equal(s_wait(world), SERVER_DONE);
    /* those of the last step may come when it is over */
    assert_true(world->duplicates > 0 && world->duplicates <= n_duplicates);
    assert_int_equal(world->refused, 0);
    s_end(world);
}

/* Sends whatever this peer is asked for, from the last message on, until the weights of the next
 * step come. */
static void s_work_until(world_t *world, peer_t *peer, uint32_t step)
{
    int64_t until_ms = clock_ms() + PEER_DEADLINE_MS;
    s_push_asked(world, peer, 0);
    for (;;) {
        assert_true(clock_ms() < until_ms);
        if (!peer_receive(peer, 60))
            s_heartbeat(peer, peer->step);
        else if (peer->in.type != WIRE_STEP && peer->in.type != WIRE_ASSIGN)
            continue;
        else if (peer->in.step == peer->step)
            s_push_asked(world, peer, 0);
        else
            break;
    }
    assert_int_equal(peer->in.step, step);
    peer->step = step;
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
    partial_t sum = s_compute(world, peer->step, node);
    wire_t message = s_partial_of(peer, node, &sum);
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
        message.partial.node = (node_t){0, BLOCKS};
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
        world_t *world = s_start(NULL, 2, 1);
        peer_t *peer = &world->peers[0];
        s_join(world, peer, "a", true);
        s_ready(peer);
        s_expect_step(peer, 1);
        s_push_asked(world, peer, 0);
        assert_int_equal(s_wait(world), SERVER_STEP);
        s_expect_step(peer, 2);
        s_push_bad(world, peer, how);
        if (how < BAD_STEP_AHEAD) /* its own: it is asked for all of it again */
            peer_expect(peer, WIRE_ASSIGN);
        if (how == BAD_STEP_AHEAD) /* nor does that one say that it has this step's weights */
            peer_expect(peer, WIRE_STEP);
        assert_int_equal(s_push_asked(world, peer, 0), BLOCKS);
        assert_int_equal(s_wait(world), SERVER_STEP);
        s_assert_weights(world);
        assert_int_equal(world->refused, how < LATE_STEP);
        assert_int_equal(world->duplicates, how >= LATE_STEP);
        assert_int_equal(s_wait(world), SERVER_DONE);
        s_end(world);
    }
}

static void test_who_sends_bad_ones_is_sent_away(void **state)
{
    (void)state;
    world_t *world = s_start(NULL, 2, 2);
    peer_t *good = &world->peers[0];
    peer_t *bad = &world->peers[1];
    s_join(world, good, "good", true);
    s_join(world, bad, "bad", true);
    s_ready(good);
    s_ready(bad);
    s_expect_step(bad, 1);
    s_push_bad(world, bad, BAD_NODE);
    s_push_bad(world, bad, BAD_NAN);
    s_push_bad(world, bad, BAD_LENGTH);
    peer_expect(bad, WIRE_REFUSED);
    assert_int_equal(bad->in.refusal.reason, WIRE_REFUSED_QUARANTINE);
    s_heartbeat(bad, 1);
    peer_expect(bad, WIRE_REJOIN);
    s_hello(bad, "bad");
    peer_expect(bad, WIRE_REFUSED);
    assert_int_equal(bad->in.refusal.reason, WIRE_REFUSED_QUARANTINE);
    s_push(world, bad, (node_t){0, 3}); /* even a good one does not count any more */
    s_expect_step(good, 1);
    s_work_until(world, good, 2);
    assert_int_equal(s_wait(world), SERVER_STEP);
    s_assert_weights(world);
    assert_int_equal(world->refused, 3);
    assert_int_equal(s_push_asked(world, good, 0), BLOCKS);
    assert_int_equal(s_wait(world), SERVER_STEP);
    s_assert_weights(world);
    assert_int_equal(s_wait(world), SERVER_DONE);
    s_end(world);
}

static void test_a_model_that_has_diverged_ends_it(void **state)
{
    (void)state;
    world_t *world = s_start(NULL, 2, 2);
    for (int i = 0; i < 2; i++) {
        s_join(world, &world->peers[i], i ? "b" : "a", true);
        s_ready(&world->peers[i]);
    }
    for (uint32_t step = 1; step <= 2; step++) {
        for (int i = 0; i < 2; i++)
            s_expect_step(&world->peers[i], step);
        if (step == 2)
            for (int i = 0; i < 2; i++)
                s_push_bad(world, &world->peers[i], BAD_NAN); /* block 3 */
        for (uint32_t block = 0; block < BLOCKS; block++)
            if (step == 1 || block != 3)
                s_push(world, &world->peers[block % 2], (node_t){0, block});
        if (step == 1)
            assert_int_equal(s_wait(world), SERVER_STEP);
    }
    assert_int_equal(s_wait(world), SERVER_DONE);
    assert_string_equal(server_failure(world->server),
                        "step 2: diverged at learning rate 0.105: layer 1 is the first whose "
                        "gradient or update is not finite");
    s_end(world);
}

static void test_lost_weights_are_said_again(void **state)
{
    (void)state;
    world_t *world = s_start(NULL, STEPS, 1);
    peer_t *deaf = &world->peers[0];
    s_join(world, deaf, "deaf", false); /* never subscribes */
    s_ready(deaf);
    int64_t begun_ms = clock_ms();
    for (uint32_t step = 1; step <= STEPS; step++) {
        assert_ptr_equal(s_expect_step(deaf, step), deaf->control);
        if (world->weights)
            assert_memory_equal(frame_data(&deaf->frame), world->weights,
                                world->n_params * sizeof(float));
        assert_true(s_push_asked(world, deaf, 0) >= BLOCKS);
        assert_int_equal(s_wait(world), SERVER_STEP);
        s_assert_weights(world);
    }
    assert_true(clock_ms() - begun_ms < 4500); /* nobody waited for the blocks to be late */
    assert_int_equal(s_wait(world), SERVER_DONE);
    s_end(world);
}

static void test_a_worker_leaves_and_another_appears(void **state)
{
    (void)state;
    world_t *world = s_start(NULL, 2, 1);
    peer_t *first = &world->peers[0];
    peer_t *second = &world->peers[1];
    s_join(world, first, "first", true);
    s_ready(first);
    s_expect_step(first, 1);
    s_push(world, first, (node_t){2, 1}); /* a part of it, */
    peer_send(first, first->control, (wire_t){.type = WIRE_BYE}, NULL, 0);
    s_join(world, second, "second", true);
    s_ready(second);
    s_expect_step(second, 1);
    s_work_until(world, second, 2); /* the rest is asked of who comes next */
    assert_int_equal(s_wait(world), SERVER_STEP);
    s_assert_weights(world);
    assert_int_equal(s_push_asked(world, second, 0), BLOCKS);
    assert_int_equal(s_wait(world), SERVER_STEP);
    s_assert_weights(world);
    assert_int_equal(s_wait(world), SERVER_DONE);
    s_end(world);
}

static void test_admission(void **state)
{
    (void)state;
    world_t *world = s_start(NULL, 1, 1);
    peer_t *stranger = &world->peers[0];
    s_connect(stranger, world->endpoint);
    s_heartbeat(stranger, 0); /* who is unknown is told to say HELLO */
    peer_expect(stranger, WIRE_REJOIN);
    stranger->job.model = tiny_model();
    s_ready(stranger);
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
    s_join(world, odd, "odd", false);
    odd->job.model.layers[0].units++;
    s_ready(odd);
    peer_expect(odd, WIRE_REFUSED);
    assert_int_equal(odd->in.refusal.reason, WIRE_REFUSED_SHAPE);
    s_heartbeat(odd, 0);
    peer_expect(odd, WIRE_REJOIN);

    /* one whose READY was lost: it has heard a step of others since, and would not say it again */
    peer_t *mute = &world->peers[3];
    s_join(world, mute, "mute", false);
    uint32_t number = mute->job.worker;
    s_heartbeat(mute, 1);
    peer_expect(mute, WIRE_REJOIN);
    s_hello(mute, "mute");
    peer_expect(mute, WIRE_WELCOME);
    assert_int_equal(mute->in.welcome.worker, number);
    peer_send(mute, mute->control, (wire_t){.type = WIRE_BYE}, NULL, 0);

    /* one that says HELLO more than once is still one */
    peer_t *peer = &world->peers[2];
    s_join(world, peer, "a", true);
    s_hello(peer, "a");
    peer_expect(peer, WIRE_WELCOME);
    assert_int_equal(peer->in.welcome.worker, peer->job.worker);
    s_ready(peer);
    hello.hello = (wire_hello_t){"another kernel", "test", "dense/other", 1, "", false};
    peer_send(stranger, stranger->control, hello, NULL, 0);
    peer_expect(stranger, WIRE_REFUSED);
    assert_int_equal(stranger->in.refusal.reason, WIRE_REFUSED_KERNEL);
    assert_string_equal(stranger->in.refusal.kernel, "dense/test");
    s_expect_step(peer, 1);
    s_push_asked(world, peer, 0);
    assert_int_equal(s_wait(world), SERVER_STEP);
    s_assert_weights(world);
    assert_int_equal(s_wait(world), SERVER_DONE);
    s_end(world);
}

static void s_fetch(peer_t *peer, uint64_t run, uint32_t first, uint32_t n_rows)
{
    wire_t fetch = {.type = WIRE_FETCH, .run = run};
    fetch.fetch = (wire_fetch_t){first, n_rows};
    peer_send(peer, peer->data, fetch, NULL, 0);
}

static void test_serves_rows(void **state)
{
    (void)state;
    world_t *world = s_start(NULL, 1, 2);
    peer_t *peer = &world->peers[0];
    s_join(world, peer, "a", false);
    /* what cannot be served has no answer: the next one is that of the next request */
    s_fetch(peer, peer->run + 1, 0, 10);
    s_fetch(peer, peer->run, 0, 0);
    s_fetch(peer, peer->run, ROWS, 1);
    s_fetch(peer, peer->run, ROWS - 1, 2);
    s_fetch(peer, peer->run, UINT32_MAX, 4096);
    peer_send(peer, peer->data, (wire_t){.type = WIRE_HEARTBEAT}, NULL, 0);
    s_fetch(peer, peer->run, 5, ROWS - 5);
    peer_expect(peer, WIRE_ROWS);
    assert_int_equal(peer->in.rows.first, 5);
    assert_int_equal(peer->in.rows.n_rows, ROWS - 5);
    assert_memory_equal(peer->in.rows.labels, dataset_labels(world->data) + 5, ROWS - 5);
    assert_int_equal(frame_size(&peer->frame), (ROWS - 5) * TINY_INPUTS);
    assert_memory_equal(frame_data(&peer->frame), dataset_images(world->data) + 5 * TINY_INPUTS,
                        (ROWS - 5) * TINY_INPUTS);
    /* the very bytes of the data set, which may go before the message */
    assert_ptr_equal(frame_data(&peer->frame), dataset_images(world->data) + 5 * TINY_INPUTS);
    frame_t kept = {.present = false};
    frame_move(&kept, &peer->frame);
    uint8_t first = dataset_images(world->data)[5 * TINY_INPUTS];
    server_stop(world->server);
    assert_int_equal(s_wait(world), SERVER_DONE);
    server_release(world->server, false);
    peer_expect(peer, WIRE_END);
    s_end(world);
    assert_int_equal(*(const uint8_t *)frame_data(&kept), first);
    frame_clear(&kept);
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
    world_t *world = s_start("tcp://127.0.0.1:*", STEPS, 1);
    peer_t *peer = &world->peers[0];
    s_join(world, peer, "a", true);
    s_ready(peer);
    for (uint32_t step = 1; step <= STEPS; step++) {
        s_expect_step(peer, step);
        s_garbage(world, ZMQ_DEALER, world->endpoint);
        s_garbage(world, ZMQ_DEALER, link_endpoint(peer->data));
        s_garbage(world, ZMQ_PUSH, link_endpoint(peer->gradients));
        assert_int_equal(s_push_asked(world, peer, 0), BLOCKS);
        assert_int_equal(s_wait(world), SERVER_STEP);
        s_assert_weights(world);
    }
    assert_int_equal(s_wait(world), SERVER_DONE);
    s_end(world);
}

static void test_stopped_and_destroyed_at_any_time(void **state)
{
    (void)state;
    world_t *world = s_start(NULL, 1000, 1);
    server_stop(world->server); /* with nobody there */
    assert_int_equal(s_wait(world), SERVER_DONE);
    s_end(world);
    for (int stop = 0; stop < 2; stop++) {
        world = s_start(NULL, 1000, 1);
        peer_t *peer = &world->peers[0];
        s_join(world, peer, "a", true);
        s_ready(peer);
        s_expect_step(peer, 1);
        s_push_asked(world, peer, 0);
        assert_int_equal(s_wait(world), SERVER_STEP);
        s_expect_step(peer, 2);
        s_push_asked(world, peer, 0);
        if (stop) {
            server_stop(world->server);
            while (s_wait(world) == SERVER_STEP) /* the second may be done before */
                ;
            server_release(world->server, false);
            peer_expect(peer, WIRE_END);
        } /* else destroyed with an event that nobody took */
        s_end(world);
    }
}

static void test_jobs_that_cannot_be(void **state)
{
    (void)state;
    dataset_t *data = tiny_data(ROWS);
    server_job_t good = {
        .model = tiny_model(),
        .sampler = tiny_sampler(ROWS),
        .n_steps = 1,
        .optimizer = {.driver = tiny_driver()},
        .min_workers = 1,
        .bind = "tcp://127.0.0.1:*",
        .data = data,
    };
    err_t err = {{0}};
    server_job_t job = good;
    job.model.n_inputs++;
    assert_null(server_new(&job, &err));
    assert_string_equal(err.text, "the network has 13 inputs, the data 12 a row");
    job = good;
    job.model.layers[1].units = 2;
    assert_null(server_new(&job, &err));
    assert_string_equal(err.text,
                        "the data has labels up to 2, the network 2 outputs (model.layers)");
    job = good;
    job.model.n_layers = 0;
    assert_null(server_new(&job, &err));
    assert_int_equal(strncmp(err.text, "model.layers: ", 14), 0);
    job = good;
    job.bind = "somewhere";
    assert_null(server_new(&job, &err));
    assert_int_equal(strncmp(err.text, "server.bind: 'somewhere' is no endpoint", 39), 0);
    job = good;
    job.sampler.n_rows = UINT32_MAX;
    job.sampler.block_rows = 1;
    assert_null(server_new(&job, &err));
    assert_int_equal(strncmp(err.text, "training.block_rows: ", 21), 0);
    job = good;
    server_t *server = server_new(&job, &err);
    assert_non_null(server);
    server_job_t second = good;
    second.bind = server_endpoint(server);
    assert_null(server_new(&second, &err));
    assert_non_null(strstr(err.text, "cannot bind the control plane: Address already in use"));
    server_destroy(&server);
    server_destroy(&server);
    dataset_destroy(&data);
}

/* A server may be killed again before its first checkpoint: the one after that goes on from the
 * same one, and must not be taken for it. */
static void test_each_start_is_told_from_the_others(void **state)
{
    (void)state;
    err_t err;
    dataset_t *data = tiny_data(ROWS);
    uint32_t seen[3];
    for (int i = 0; i < 3; i++) {
        server_job_t job = {
            .model = tiny_model(),
            .sampler = tiny_sampler(ROWS),
            .n_steps = 9,
            .optimizer = {.driver = tiny_driver()},
            .strict = true,
            .min_workers = 1,
            .bind = "tcp://127.0.0.1:*",
            .data = data,
            .run = 77,
        };
        server_t *server = server_new(&job, &err);
        assert_non_null(server);
        server_start(server);
        peer_t peer = {.run = 0};
        s_connect(&peer, server_endpoint(server));
        s_hello(&peer, "one");
        peer_expect(&peer, WIRE_WELCOME);
        assert_int_equal(peer.in.run, 77);
        seen[i] = peer.in.incarnation;
        peer_close(&peer);
        server_destroy(&server);
    }
    assert_true(seen[0] != seen[1] && seen[0] != seen[2] && seen[1] != seen[2]);
    dataset_destroy(&data);
}

/* A worker that is told to join the next job asks on the connection that it has, and its HELLO
 * waits for who will answer it; the planes stay where they were. */
static void test_jobs_follow_on_the_same_sockets(void **state)
{
    (void)state;
    err_t err;
    dataset_t *data = tiny_data(ROWS);
    server_links_t links = {.control = NULL};
    peer_t peer = {.run = 0};
    wire_welcome_t first = {.worker = 0};
    for (int i = 0; i < 3; i++) {
        bool more = i < 2;
        server_job_t job = {
            .model = tiny_model(),
            .sampler = tiny_sampler(ROWS),
            .n_steps = 9,
            .optimizer = {.driver = tiny_driver()},
            .strict = true,
            .min_workers = 1,
            .links = links,
            .bind = "tcp://127.0.0.1:*",
            .data = data,
        };
        server_t *server = server_new(&job, &err);
        assert_non_null(server);
        assert_null(job.links.control);
        server_start(server);
        if (i == 0) {
            s_connect(&peer, server_endpoint(server));
            s_hello(&peer, "one");
        }
        peer_expect(&peer, WIRE_WELCOME);
        assert_true(peer.in.run != peer.run);
        peer.run = peer.in.run;
        if (i == 0)
            first = peer.in.welcome;
        assert_memory_equal(peer.in.welcome.data, first.data, sizeof(first.data));
        assert_memory_equal(peer.in.welcome.weights, first.weights, sizeof(first.weights));
        assert_memory_equal(peer.in.welcome.gradients, first.gradients, sizeof(first.gradients));
        server_record_t *record = NULL;
        server_stop(server);
        assert_int_equal(server_wait(server, -1, &record), SERVER_DONE);
        server_release(server, more);
        peer_expect(&peer, more ? WIRE_REJOIN : WIRE_END);
        server_end(&server, &links);
        assert_null(server);
        assert_non_null(links.gradients);
        if (more)
            s_hello(&peer, "one");
    }
    peer_close(&peer);
    server_links_destroy(&links);
    assert_null(links.control);
    dataset_destroy(&data);
}

/* Answers what the last EVALUATE asks this peer for: a range costs the number of its first row and
 * a half, and one row of it is right. Returns the number of rows. */
static uint32_t s_answer_evaluate(const world_t *world, peer_t *peer)
{
    uint32_t n_rows = 0;
    wire_t message = {.type = WIRE_EVALUATED};
    assert_int_equal(frame_size(&peer->frame), world->n_params * sizeof(float));
    assert_memory_equal(frame_data(&peer->frame), world->weights, world->n_params * sizeof(float));
    for (uint32_t i = 0; i < peer->in.n_ranges; i++) {
        const wire_range_t *range = &peer->in.ranges[i];
        assert_int_equal(range->worker, peer->job.worker);
        message.score =
            (wire_score_t){peer->in.evaluate.step, range->first, range->end, range->first + 0.5, 1};
        n_rows += range->end - range->first;
        peer_send(peer, peer->control, message, NULL, 0);
        peer_send(peer, peer->control, message, NULL, 0); /* once more: it counts once */
    }
    return n_rows;
}

/* The end waits for the evaluation; what one of two has not done is asked of the other. */
static void test_evaluations_are_shared_and_waited_for(void **state)
{
    (void)state;
    enum {
        TEST_ROWS = 20 /* blocks of 8, 8 and 4 */
    };
    dataset_t *test = tiny_data(TEST_ROWS);
    world_t *world = s_start_evaluated(NULL, 2, 2, test, 2);
    peer_t *one = &world->peers[0], *two = &world->peers[1], *guest = &world->peers[2];
    s_join(world, one, "one", true);
    s_join(world, two, "two", true);
    s_ready(one);
    s_ready(two);
    assert_int_equal(one->job.evaluation_rows, TEST_ROWS);
    assert_string_not_equal(one->job.rows, "");
    for (uint32_t step = 1; step <= 2; step++) {
        uint32_t n_blocks = 0;
        for (int i = 0; i < 2; i++) {
            s_expect_step(&world->peers[i], step);
            n_blocks += s_push_asked(world, &world->peers[i], 0);
        }
        assert_int_equal(n_blocks, BLOCKS);
        assert_int_equal(s_wait(world), SERVER_STEP);
    }
    /* rows on both sides of the end of the training set, in one answer */
    wire_t fetch = {.type = WIRE_FETCH};
    fetch.fetch = (wire_fetch_t){ROWS - 2, 2 + TEST_ROWS};
    peer_send(two, two->data, fetch, NULL, 0);
    peer_expect(two, WIRE_EVALUATE);
    assert_int_equal(two->in.evaluate.step, 2);
    uint32_t n_rows = s_answer_evaluate(world, two);
    assert_in_range(n_rows, 4, TEST_ROWS - 4);
    peer_expect(two, WIRE_ROWS);
    const uint8_t *images = frame_data(&two->frame);
    assert_int_equal(frame_size(&two->frame), (2 + TEST_ROWS) * TINY_INPUTS);
    assert_memory_equal(images, dataset_images(world->data) + (ROWS - 2) * TINY_INPUTS,
                        2 * TINY_INPUTS);
    assert_memory_equal(images + 2 * TINY_INPUTS, dataset_images(test), TEST_ROWS * TINY_INPUTS);
    assert_memory_equal(two->in.rows.labels + 2, dataset_labels(test), TEST_ROWS);
    /* the other one says nonsense, which is not heard, and goes */
    peer_expect(one, WIRE_EVALUATE);
    wire_t bad = {.type = WIRE_EVALUATED};
    bad.score = (wire_score_t){2, one->in.ranges[0].first, one->in.ranges[0].end, 1, 9};
    peer_send(one, one->control, bad, NULL, 0);
    /* nor is one who has not said READY */
    s_join(world, guest, "guest", true);
    bad.score.correct = 1;
    peer_send(guest, guest->control, bad, NULL, 0);
    peer_send(guest, guest->control, (wire_t){.type = WIRE_STATUS}, NULL, 0);
    peer_expect(guest, WIRE_REPORT);
    peer_send(one, one->control, (wire_t){.type = WIRE_BYE}, NULL, 0);
    peer_expect(two, WIRE_EVALUATE);
    assert_int_equal(n_rows + s_answer_evaluate(world, two), TEST_ROWS);
    assert_int_equal(s_wait(world), SERVER_EVALUATED);
    const trial_result_t *result = server_evaluation(world->server);
    assert_int_equal(result->step, 2);
    assert_int_equal(result->validation.rows, 0);
    assert_int_equal(result->test.rows, TEST_ROWS);
    assert_true(result->test.cost == (3 * ROWS + 8 + 16 + 1.5) / TEST_ROWS);
    assert_true(result->test.accuracy == 3.0 / TEST_ROWS);
    assert_int_equal(s_wait(world), SERVER_DONE);
    s_assert_weights(world);
    s_end(world);
    dataset_destroy(&test);
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
        cmocka_unit_test(test_serves_rows),
        cmocka_unit_test(test_garbage_stops_nothing),
        cmocka_unit_test(test_stopped_and_destroyed_at_any_time),
        cmocka_unit_test(test_jobs_that_cannot_be),
        cmocka_unit_test(test_each_start_is_told_from_the_others),
        cmocka_unit_test(test_jobs_follow_on_the_same_sockets),
        cmocka_unit_test(test_evaluations_are_shared_and_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
