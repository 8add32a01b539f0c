#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "math/model.h"
#include "unit/tiny.h"

world_t *world_start_evaluated(const char *bind, uint32_t n_steps, uint32_t min_workers,
                               const dataset_t *test, uint32_t evaluate_every)
{
    static int s_n_started;
    char unique[64];
    (void)snprintf(unique, sizeof(unique), "%sserver-actor-%d-%d", bind ? "ipc://@" : "inproc://",
                   (int)getpid(), s_n_started++);
    world_t *world = calloc(1, sizeof(*world));
    err_t err = {{0}};
    world->data = tiny_data(WORLD_ROWS);
    world->sampler = tiny_sampler(WORLD_ROWS);
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

world_t *world_start(const char *bind, uint32_t n_steps, uint32_t min_workers)
{
    return world_start_evaluated(bind, n_steps, min_workers, NULL, 0);
}

server_event_t world_wait(world_t *world)
{
    server_record_t *record = NULL;
    struct itimerspec limit = {.it_value = {.tv_sec = PEER_DEADLINE_MS / 1000}};
    timerfd_settime(world->alarm, 0, &limit, NULL);
    server_event_t event = server_wait(world->server, world->alarm, &record);
    assert_int_not_equal(event, SERVER_OTHER); /* the deadline */
    if (event != SERVER_STEP)
        return event;
    assert_int_equal(record->step, ++world->step);
    assert_int_equal(record->blocks, WORLD_BLOCKS);
    world->refused += record->refused;
    world->duplicates += record->duplicates;
    free(world->weights);
    world->weights = malloc(world->n_params * sizeof(float));
    memcpy(world->weights, frame_data(&record->weights), world->n_params * sizeof(float));
    server_record_destroy(&record);
    return event;
}

void world_assert_weights(const world_t *world)
{
    float *expected = tiny_train(world->data, world->step);
    assert_memory_equal(world->weights, expected, world->n_params * sizeof(float));
    free(expected);
}

void world_end(world_t *world)
{
    for (int i = 0; i < 4; i++)
        peer_close(&world->peers[i]);
    server_destroy(&world->server);
    dataset_destroy(&world->data);
    close(world->alarm);
    free(world->weights);
    free(world);
}

partial_t world_compute(const world_t *world, uint32_t step, node_t node)
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

void peer_connect(peer_t *peer, const char *endpoint)
{
    err_t err;
    peer->control = link_connect(LINK_CONTROL_WORKER, endpoint, 1 << 20, &err);
    assert_non_null(peer->control);
}

void peer_hello(peer_t *peer, const char *name)
{
    wire_t hello = {.type = WIRE_HELLO};
    hello.hello = (wire_hello_t){.host = "test", .kernel = "dense/test", .threads = 1};
    (void)snprintf(hello.hello.name, sizeof(hello.hello.name), "%s", name);
    peer_send(peer, peer->control, hello, NULL, 0);
}

void peer_join(world_t *world, peer_t *peer, const char *name, bool subscribe)
{
    err_t err;
    char endpoint[LINK_ENDPOINT_SIZE];
    peer_connect(peer, world->endpoint);
    peer_hello(peer, name);
    peer_expect(peer, WIRE_WELCOME);
    const wire_welcome_t *job = &peer->in.welcome;
    peer->job = *job;
    peer->run = peer->in.run;
    peer->incarnation = peer->in.incarnation;
    model_t model = tiny_model();
    assert_memory_equal(&job->model, &model, sizeof(model));
    assert_int_equal(job->sampler.seed, world->sampler.seed);
    assert_true(job->sampler.fraction == world->sampler.fraction);
    assert_int_equal(job->sampler.n_rows, WORLD_ROWS);
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

void peer_ready(peer_t *peer)
{
    wire_t ready = {.type = WIRE_READY};
    ready.ready.n_params = model_params(&peer->job.model);
    memcpy(ready.ready.digest, peer->job.digest, sizeof(ready.ready.digest));
    peer_send(peer, peer->control, ready, NULL, 0);
}

void peer_heartbeat(peer_t *peer, uint32_t newest_step)
{
    wire_t heartbeat = {.type = WIRE_HEARTBEAT};
    heartbeat.heartbeat.newest_step = newest_step;
    peer_send(peer, peer->control, heartbeat, NULL, 0);
}

link_t *peer_expect_step(peer_t *peer, uint32_t step)
{
    int64_t until_ms = clock_ms() + PEER_DEADLINE_MS;
    while (clock_ms() < until_ms) {
        link_t *link = peer_receive(peer, 60);
        if (link && peer->in.type == WIRE_STEP && peer->in.step == step) {
            peer->step = step;
            return link;
        }
        if (!link && peer->step == 0)
            peer_ready(peer);
        else if (!link)
            peer_heartbeat(peer, peer->step);
    }
    fail_msg("no step %u came", step);
    return NULL;
}

wire_t peer_partial_of(const peer_t *peer, node_t node, const partial_t *sum)
{
    wire_t message = {.type = WIRE_PARTIAL};
    message.partial = (wire_partial_t){peer->job.worker, node, sum->cost, sum->correct, sum->rows};
    return message;
}

void peer_push(world_t *world, peer_t *peer, node_t node)
{
    partial_t sum = world_compute(world, peer->step, node);
    peer_send(peer, peer->gradients, peer_partial_of(peer, node, &sum), sum.gradient,
              world->n_params * sizeof(float));
    partial_release(&sum);
}

uint32_t peer_push_asked(world_t *world, peer_t *peer, uint32_t cut)
{
    uint32_t n_blocks = 0;
    for (uint32_t i = peer->in.n_ranges; i-- > 0;) {
        const wire_range_t *range = &peer->in.ranges[i];
        node_t nodes[WORLD_BLOCKS];
        uint32_t n = 0;
        if (range->worker != peer->job.worker)
            continue;
        assert_true(range->end <= WORLD_BLOCKS);
        n_blocks += range->end - range->first;
        for (uint32_t at = range->first; at < range->end; n++) {
            nodes[n] = node_largest(at, range->end, WORLD_BLOCKS);
            node_range(nodes[n], WORLD_BLOCKS, &at, &at);
        }
        while (n-- > 0) {
            uint32_t down = nodes[n].level < cut ? nodes[n].level : cut;
            for (uint32_t k = 1u << down; k-- > 0;) {
                node_t piece = {nodes[n].level - down, (nodes[n].index << down) + k};
                if (node_valid(piece, WORLD_BLOCKS))
                    peer_push(world, peer, piece);
            }
        }
    }
    return n_blocks;
}

void peer_work_until(world_t *world, peer_t *peer, uint32_t step)
{
    int64_t until_ms = clock_ms() + PEER_DEADLINE_MS;
    peer_push_asked(world, peer, 0);
    for (;;) {
        assert_true(clock_ms() < until_ms);
        if (!peer_receive(peer, 60))
            peer_heartbeat(peer, peer->step);
        else if (peer->in.type != WIRE_STEP && peer->in.type != WIRE_ASSIGN)
            continue;
        else if (peer->in.step == peer->step)
            peer_push_asked(world, peer, 0);
        else
            break;
    }
    assert_int_equal(peer->in.step, step);
    peer->step = step;
}
