/* The real worker against a server that this test plays. */
#include "unit/unit.h"

#include <czmq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/log.h"
#include "math/blas.h"
#include "peer.h"
#include "unit/tiny.h"
#include "unit/wire_samples.h"
#include "workers/worker.h"

enum {
    ROWS = 8 * 21 - 3,
    BLOCKS = 21,
    ME = 3
};

typedef struct {
    dataset_t *data;
    sampler_t sampler;
    size_t n_params;
    peer_t server; /* the script */
    actor_t *worker;
    int alarm;
    char endpoint[LINK_ENDPOINT_SIZE];
    char kernel[WIRE_KERNEL_SIZE]; /* that the worker names */
    float *weights;
} world_t;

static void s_bind(peer_t *server, const char *bind)
{
    err_t err;
    char planes[4][LINK_ENDPOINT_SIZE];
    assert_int_equal(link_planes(bind, planes, &err), 0);
    server->control = link_bind(LINK_CONTROL_SERVER, planes[0], 0, &err);
    server->data = link_bind(LINK_DATA_SERVER, planes[1], 0, &err);
    server->weights = link_bind(LINK_WEIGHTS_SERVER, planes[2], 0, &err);
    server->gradients = link_bind(LINK_GRADIENTS_SERVER, planes[3], 1 << 20, &err);
    assert_true(server->control && server->data && server->weights && server->gradients);
}

/* A server that listens and a worker that has been started; bind NULL: some inproc endpoint, "ipc":
 * some abstract one, new ones each time, since libzmq frees a name some time after it is closed. */
static world_t *s_start(const char *bind, uint32_t n_threads, bool local_data)
{
    static int s_n_started;
    world_t *world = calloc(1, sizeof(*world));
    err_t err = {{0}};
    char unique[64];
    (void)snprintf(unique, sizeof(unique), "%sworker-actor-%d-%d", bind ? "ipc://@" : "inproc://",
                   (int)getpid(), s_n_started++);
    world->data = tiny_data(ROWS);
    world->sampler = tiny_sampler(ROWS);
    model_t model = tiny_model();
    world->n_params = model_params(&model);
    world->weights = malloc(world->n_params * sizeof(float));
    model_init(&model, MODEL_INIT_UNIFORM, 77, world->weights);
    s_bind(&world->server, bind && strcmp(bind, "ipc") != 0 ? bind : unique);
    (void)snprintf(world->endpoint, sizeof(world->endpoint), "%s",
                   link_endpoint(world->server.control));
    world->server.run = 99;
    world->server.incarnation = 2;
    world->alarm = timerfd_create(CLOCK_MONOTONIC, 0);
    worker_config_t config = {.endpoint = world->endpoint,
                              .name = "w",
                              .n_threads = n_threads,
                              .data = local_data ? world->data : NULL};
    world->worker = worker_new(&config, &err);
    if (!world->worker)
        fail_msg("%s", err.text);
    actor_start(world->worker);
    return world;
}

static void s_end(world_t *world)
{
    actor_destroy(&world->worker);
    peer_close(&world->server);
    dataset_destroy(&world->data);
    close(world->alarm);
    free(world->weights);
    free(world);
}

static actor_event_t s_wait(world_t *world)
{
    struct itimerspec limit = {.it_value = {.tv_sec = PEER_DEADLINE_MS / 1000}};
    timerfd_settime(world->alarm, 0, &limit, NULL);
    actor_event_t event = actor_wait(world->worker, world->alarm);
    assert_int_not_equal(event, ACTOR_OTHER); /* the deadline */
    return event;
}

static void s_send(world_t *world, wire_t message)
{
    peer_send(&world->server, world->server.control, message, NULL, 0);
}

static wire_t s_welcome(const world_t *world)
{
    wire_t message = {.type = WIRE_WELCOME};
    wire_welcome_t *job = &message.welcome;
    const char *control = link_endpoint(world->server.control);
    job->worker = ME;
    job->model = tiny_model();
    job->sampler = world->sampler;
    (void)strcpy(job->digest, dataset_digest(world->data));
    (void)strcpy(job->kernel, world->kernel);
    job->heartbeat_ms = 50;
    link_plane_name(control, link_endpoint(world->server.data), job->data);
    link_plane_name(control, link_endpoint(world->server.weights), job->weights);
    link_plane_name(control, link_endpoint(world->server.gradients), job->gradients);
    return message;
}

/* HELLO, WELCOME, READY. */
static void s_admit(world_t *world)
{
    peer_t *server = &world->server;
    peer_expect(server, WIRE_HELLO);
    assert_string_equal(server->in.hello.name, "w");
    assert_true(server->in.hello.host[0] != '\0');
    (void)strcpy(world->kernel, server->in.hello.kernel);
    s_send(world, s_welcome(world));
    peer_expect(server, WIRE_READY);
    assert_int_equal(server->in.run, server->run);
    assert_int_equal(server->in.ready.n_params, world->n_params);
    assert_string_equal(server->in.ready.digest, dataset_digest(world->data));
}

static wire_t s_asked(wire_type_t type, wire_range_t *range)
{
    return (wire_t){.type = type, .ranges = range, .n_ranges = range ? 1 : 0};
}

/* STEP on a plane, asking for one range. */
static void s_step(world_t *world, link_t *link, uint32_t step, uint32_t first, uint32_t end)
{
    wire_range_t range = {ME, first, end};
    world->server.step = step;
    peer_send(&world->server, link, s_asked(WIRE_STEP, &range), world->weights,
              world->n_params * sizeof(float));
}

static void s_assign(world_t *world, uint32_t first, uint32_t end)
{
    wire_range_t range = {ME, first, end};
    s_send(world, s_asked(WIRE_ASSIGN, &range));
}

static void s_answer_fetch(world_t *world)
{
    peer_t *server = &world->server;
    uint32_t first = server->in.fetch.first, n_rows = server->in.fetch.n_rows;
    wire_t rows = {.type = WIRE_ROWS};
    assert_true(n_rows >= 1 && first + n_rows <= ROWS);
    rows.rows = (wire_rows_t){first, n_rows, dataset_labels(world->data) + first};
    peer_send(server, server->data, rows, dataset_images(world->data) + first * TINY_INPUTS,
              (size_t)n_rows * TINY_INPUTS);
}

/* Waits for a partial, serving rows meanwhile, and checks it against the definition; marks its
 * blocks in done[BLOCKS], which must not have been done. */
static void s_expect_partial(world_t *world, bool *done)
{
    peer_t *server = &world->server;
    int64_t until_ms = clock_ms() + PEER_DEADLINE_MS;
    for (;;) {
        assert_true(clock_ms() < until_ms);
        if (!peer_receive(server, until_ms - clock_ms()))
            continue;
        if (server->in.type == WIRE_FETCH)
            s_answer_fetch(world);
        if (server->in.type == WIRE_PARTIAL && server->in.run + 1 != server->run)
            break; /* not one for the server before, still on its way */
    }
    const wire_partial_t *partial = &server->in.partial;
    assert_int_equal(server->in.run, server->run);
    assert_int_equal(server->in.incarnation, server->incarnation);
    assert_int_equal(server->in.step, server->step);
    assert_int_equal(partial->worker, ME);
    assert_true(node_valid(partial->node, BLOCKS));
    partial_t expected =
        tiny_sum(&world->sampler, dataset_images(world->data), dataset_labels(world->data),
                 world->weights, server->step, partial->node);
    assert_int_equal(frame_size(&server->frame), world->n_params * sizeof(float));
    assert_memory_equal(frame_data(&server->frame), expected.gradient,
                        world->n_params * sizeof(float));
    assert_memory_equal(&partial->cost, &expected.cost, sizeof(double));
    assert_int_equal(partial->correct, expected.correct);
    assert_int_equal(partial->rows, expected.rows);
    partial_release(&expected);
    uint32_t first, end;
    for (node_range(partial->node, BLOCKS, &first, &end); first < end; first++) {
        assert_false(done[first]);
        done[first] = true;
    }
}

/* Waits for partials of exactly the blocks [first, end). */
static void s_expect_blocks(world_t *world, uint32_t first, uint32_t end)
{
    bool done[BLOCKS] = {false};
    for (uint32_t n_done = 0; n_done < end - first;) {
        s_expect_partial(world, done);
        n_done = 0;
        for (uint32_t block = 0; block < BLOCKS; block++) {
            n_done += done[block];
            assert_true(!done[block] || (block >= first && block < end));
        }
    }
}

static void s_change_weights(world_t *world)
{
    for (size_t i = 0; i < world->n_params; i++)
        world->weights[i] *= 0.9f;
}

static void test_partials_are_those_by_definition(void **state)
{
    (void)state;
    static const char *const binds[] = {NULL, "tcp://127.0.0.1:*", "ipc"};
    for (uint32_t n_threads = 1; n_threads <= 3; n_threads++) {
        for (int local = 0; local < 2; local++) {
            world_t *world = s_start(binds[n_threads - 1], n_threads, local);
            s_admit(world);
            for (uint32_t step = 1; step <= 6; step++) {
                s_step(world, world->server.control, step, step % 3, BLOCKS - step % 2);
                s_expect_blocks(world, step % 3, BLOCKS - step % 2);
                s_change_weights(world);
            }
            s_send(world, (wire_t){.type = WIRE_END});
            assert_int_equal(s_wait(world), ACTOR_RELEASED);
            s_end(world);
        }
    }
}

static void test_weights_by_broadcast(void **state)
{
    (void)state;
    world_t *world = s_start(NULL, 2, true);
    s_admit(world);
    /* READY is said until a step was heard: by then the subscription stands */
    world->server.step = 1;
    do
        peer_send(&world->server, world->server.weights, s_asked(WIRE_STEP, NULL), world->weights,
                  world->n_params * sizeof(float));
    while (peer_receive(&world->server, PEER_DEADLINE_MS) && world->server.in.type == WIRE_READY);
    assert_int_equal(world->server.in.type, WIRE_HEARTBEAT);
    assert_int_equal(world->server.in.heartbeat.newest_step, 1);
    for (uint32_t step = 2; step <= 5; step++) {
        s_change_weights(world);
        s_step(world, world->server.weights, step, 0, BLOCKS);
        s_expect_blocks(world, 0, BLOCKS);
    }
    s_end(world); /* destroyed as it runs */
}

static void test_assignments_during_a_step(void **state)
{
    (void)state;
    for (uint32_t n_threads = 1; n_threads <= 3; n_threads++) {
        world_t *world = s_start(NULL, n_threads, true);
        s_admit(world);
        for (uint32_t step = 1; step <= 20; step++) {
            bool done[BLOCKS] = {false};
            s_step(world, world->server.control, step, 0, 4);
            s_assign(world, 4, 8); /* siblings, asked for one after the other */
            s_assign(world, 8, 16);
            s_assign(world, 20, 21);
            for (int n = 0; n < 17;) {
                s_expect_partial(world, done);
                n = 0;
                for (int block = 0; block < BLOCKS; block++)
                    n += done[block];
            }
            assert_false(done[16] || done[17] || done[18] || done[19]);
            s_assign(world, 8, 10); /* pushed already: it was lost, so it comes again */
            s_expect_blocks(world, 8, 10);
        }
        s_end(world);
    }
}

static void test_what_is_not_for_it_is_ignored(void **state)
{
    (void)state;
    world_t *world = s_start(NULL, 1, true);
    peer_t *server = &world->server;
    s_admit(world);
    wire_range_t range = {ME, 0, BLOCKS}, others = {ME + 1, 0, BLOCKS};
    size_t bytes = world->n_params * sizeof(float);
    wire_t step = s_asked(WIRE_STEP, &range);
    step.run = 1;
    step.step = 9;
    peer_send(server, server->control, step, world->weights, bytes); /* another run */
    step.run = 0;
    step.incarnation = 1;
    peer_send(server, server->control, step, world->weights, bytes); /* another incarnation */
    step.incarnation = 0;
    peer_send(server, server->control, step, world->weights, bytes - 4); /* other weights */
    step = s_asked(WIRE_STEP, &others);
    step.step = 5;
    server->step = 0;
    wire_range_t first = {ME, 0, 1};
    s_send(world, s_asked(WIRE_ASSIGN, &first)); /* of no step, without weights */
    peer_send(server, server->control, s_asked(WIRE_STEP, &first), world->weights, bytes);
    peer_send(server, server->control, step, world->weights, bytes); /* for others */
    server->step = 4;
    s_send(world, s_asked(WIRE_ASSIGN, &first)); /* of a step that is over */
    s_send(world, (wire_t){.type = WIRE_END, .run = 1});
    s_send(world, (wire_t){.type = WIRE_HEARTBEAT});
    /* parts that make no message */
    void *socket = link_socket(server->control);
    for (int i = 0; i < 50; i++) {
        assert_true(zmq_send(socket, server->control_peer.bytes, server->control_peer.size,
                             ZMQ_SNDMORE) > 0);
        for (int part = 0; part < i % 4; part++)
            assert_int_equal(zmq_send(socket, "garbage", 7, ZMQ_SNDMORE), 7);
        assert_int_equal(zmq_send(socket, "", 0, 0), 0);
        assert_int_equal(zmq_send(link_socket(server->weights), "garbage", 7, 0), 7);
    }
    s_step(world, server->control, 6, 2, 5);
    s_expect_blocks(world, 2, 5); /* and no partial before that was of anything else */
    s_end(world);
}

static void test_rejoins(void **state)
{
    (void)state;
    for (uint32_t n_threads = 1; n_threads <= 2; n_threads++) {
        world_t *world = s_start(NULL, n_threads, false);
        s_admit(world);
        s_step(world, world->server.control, 7, 0, BLOCKS);
        s_expect_blocks(world, 0, BLOCKS);
        for (int round = 0; round < 10; round++) { /* a server that was started again */
            s_step(world, world->server.control, 8, 0, BLOCKS);
            s_send(world, (wire_t){.type = WIRE_REJOIN});
            if (round % 2 == 0)
                s_send(world, (wire_t){.type = WIRE_REJOIN});
            world->server.run++;
            world->server.incarnation++;
            s_admit(world);
            while (peer_receive(&world->server, 0))
                assert_int_not_equal(world->server.in.type, WIRE_FETCH); /* rows are kept */
            s_change_weights(world);
            s_step(world, world->server.control, 1, 0, 8);
            s_expect_blocks(world, 0, 8);
        }
        s_end(world);
    }
}

static void test_rows_that_get_lost_or_come_wrong(void **state)
{
    (void)state;
    world_t *world = s_start(NULL, 1, false);
    peer_t *server = &world->server;
    s_admit(world);
    s_step(world, server->control, 1, 0, BLOCKS);
    peer_expect(server, WIRE_FETCH); /* lost */
    wire_t rows = {.type = WIRE_ROWS, .run = 1};
    rows.rows = (wire_rows_t){0, ROWS, dataset_labels(world->data)};
    peer_send(server, server->data, rows, dataset_images(world->data), ROWS * TINY_INPUTS);
    rows.run = 0;
    peer_send(server, server->data, rows, dataset_images(world->data), ROWS * TINY_INPUTS - 1);
    uint8_t labels[ROWS] = {TINY_CLASSES};
    rows.rows.labels = labels;
    peer_send(server, server->data, rows, dataset_images(world->data), ROWS * TINY_INPUTS);
    assert_true(zmq_send(link_socket(server->data), server->data_peer.bytes, server->data_peer.size,
                         ZMQ_SNDMORE) > 0);
    assert_int_equal(zmq_send(link_socket(server->data), "x", 1, 0), 1);
    peer_expect(server, WIRE_FETCH); /* asked again */
    s_answer_fetch(world);
    s_expect_blocks(world, 0, BLOCKS);
    s_end(world);
}

static void test_refusals(void **state)
{
    (void)state;
    world_t *world = s_start(NULL, 1, false);
    peer_expect(&world->server, WIRE_HELLO);
    wire_t refused = {.type = WIRE_REFUSED};
    refused.refusal = (wire_refusal_t){WIRE_REFUSED_DIGEST, "", "data digest a, expected b"};
    s_send(world, refused);
    assert_int_equal(s_wait(world), ACTOR_FAILED);
    char expected[512];
    (void)snprintf(expected, sizeof(expected),
                   "%s: the server refuses this worker: data digest a, expected b",
                   world->endpoint);
    assert_string_equal(actor_error(world->worker), expected);
    s_end(world);

    world = s_start(NULL, 1, false); /* a kernel that it can run as well */
    peer_expect(&world->server, WIRE_HELLO);
    const char *other =
        strcmp(world->server.in.hello.kernel, "dense/Haswell") ? "dense/Haswell" : "dense/Prescott";
    if (blas_can_run(simd_cpu(), other + strlen("dense/"))) {
        refused.refusal = (wire_refusal_t){WIRE_REFUSED_KERNEL, "", "kernel"};
        (void)strcpy(refused.refusal.kernel, other);
        s_send(world, refused);
        s_send(world, refused); /* as if it had said HELLO twice */
        do
            peer_expect(&world->server, WIRE_HELLO);
        while (strcmp(world->server.in.hello.kernel, other) != 0);
    }
    refused.refusal = (wire_refusal_t){WIRE_REFUSED_KERNEL, "dense/Unknown", "kernel x"};
    s_send(world, refused);
    assert_int_equal(s_wait(world), ACTOR_FAILED);
    assert_non_null(strstr(actor_error(world->worker), "kernel x"));
    s_end(world);

    world = s_start(NULL, 1, true); /* a server that takes it for one with other data */
    peer_expect(&world->server, WIRE_HELLO);
    assert_string_equal(world->server.in.hello.digest, dataset_digest(world->data));
    wire_t welcome = s_welcome(world);
    (void)strcpy(welcome.welcome.digest, "other");
    s_send(world, welcome);
    assert_int_equal(s_wait(world), ACTOR_FAILED);
    assert_non_null(strstr(actor_error(world->worker), "digest other"));
    s_end(world);

    world = s_start(NULL, 1, false); /* more rows than anybody has memory for */
    peer_expect(&world->server, WIRE_HELLO);
    welcome = s_welcome(world);
    welcome.welcome.sampler =
        (sampler_t){.seed = 1, .fraction = 1, .n_rows = UINT32_MAX, .block_rows = 65536};
    welcome.welcome.model.n_inputs = 65536;
    s_send(world, welcome);
    assert_int_equal(s_wait(world), ACTOR_FAILED);
    (void)snprintf(expected, sizeof(expected),
                   "%s: the server refuses this worker: its job has 4294967295 rows of 65536 "
                   "bytes, more than can be mapped into memory",
                   world->endpoint);
    assert_string_equal(actor_error(world->worker), expected);
    s_end(world);

    world = s_start(NULL, 1, false); /* another protocol version */
    peer_expect(&world->server, WIRE_HELLO);
    size_t size = 9;
    uint8_t *newer = wire_sealed("\x92\xa6"
                                 "drover\x07",
                                 &size);
    void *socket = link_socket(world->server.control);
    const wire_peer_t *peer = &world->server.control_peer;
    assert_true(zmq_send(socket, peer->bytes, peer->size, ZMQ_SNDMORE) > 0);
    assert_true(zmq_send(socket, newer, size, 0) > 0);
    free(newer);
    assert_int_equal(s_wait(world), ACTOR_FAILED);
    (void)snprintf(expected, sizeof(expected),
                   "%s: the server speaks protocol version 7, expected 1", world->endpoint);
    assert_string_equal(actor_error(world->worker), expected);
    s_end(world);

    world = s_start("tcp://127.0.0.1:*", 1, false); /* planes that it cannot reach */
    peer_expect(&world->server, WIRE_HELLO);
    welcome = s_welcome(world);
    (void)strcpy(welcome.welcome.weights, ".weights");
    s_send(world, welcome);
    assert_int_equal(s_wait(world), ACTOR_FAILED);
    assert_non_null(strstr(actor_error(world->worker), "names a plane '.weights'"));
    s_end(world);
}

static void test_stops_when_told(void **state)
{
    (void)state;
    for (int when = 0; when < 3; when++) {
        world_t *world = s_start(NULL, 2, false);
        if (when == 0)
            peer_expect(&world->server, WIRE_HELLO);
        else
            s_admit(world);
        if (when == 2) {
            s_step(world, world->server.control, 1, 0, BLOCKS);
            peer_expect(&world->server, WIRE_FETCH);
            s_answer_fetch(world); /* so that it may compute as it is stopped */
        }
        actor_stop(world->worker);
        assert_int_equal(s_wait(world), ACTOR_STOPPED);
        peer_expect(&world->server, WIRE_BYE);
        s_end(world);
    }
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
        cmocka_unit_test(test_partials_are_those_by_definition),
        cmocka_unit_test(test_weights_by_broadcast),
        cmocka_unit_test(test_assignments_during_a_step),
        cmocka_unit_test(test_what_is_not_for_it_is_ignored),
        cmocka_unit_test(test_rejoins),
        cmocka_unit_test(test_rows_that_get_lost_or_come_wrong),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_stops_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
