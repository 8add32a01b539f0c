/* The real server from its start to its end, against workers that this test plays: which jobs can
 * be, how one follows another, the rows that it serves, and evaluations at the end. */
#include "unit/unit.h"

#include <czmq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "math/blas.h"
#include "unit/tiny.h"
#include "world.h"

static void s_fetch(peer_t *peer, uint64_t run, uint32_t first, uint32_t n_rows)
{
    wire_t fetch = {.type = WIRE_FETCH, .run = run};
    fetch.fetch = (wire_fetch_t){first, n_rows};
    peer_send(peer, peer->data, fetch, NULL, 0);
}

static void test_serves_rows(void **state)
{
    (void)state;
    world_t *world = world_start(NULL, 1, 2);
    peer_t *peer = &world->peers[0];
    peer_join(world, peer, "a", false);
    /* what cannot be served has no answer: the next one is that of the next request */
    s_fetch(peer, peer->run + 1, 0, 10);
    s_fetch(peer, peer->run, 0, 0);
    s_fetch(peer, peer->run, WORLD_ROWS, 1);
    s_fetch(peer, peer->run, WORLD_ROWS - 1, 2);
    s_fetch(peer, peer->run, UINT32_MAX, 4096);
    peer_send(peer, peer->data, (wire_t){.type = WIRE_HEARTBEAT}, NULL, 0);
    s_fetch(peer, peer->run, 5, WORLD_ROWS - 5);
    peer_expect(peer, WIRE_ROWS);
    assert_int_equal(peer->in.rows.first, 5);
    assert_int_equal(peer->in.rows.n_rows, WORLD_ROWS - 5);
    assert_memory_equal(peer->in.rows.labels, dataset_labels(world->data) + 5, WORLD_ROWS - 5);
    assert_int_equal(frame_size(&peer->frame), (WORLD_ROWS - 5) * TINY_INPUTS);
    assert_memory_equal(frame_data(&peer->frame), dataset_images(world->data) + 5 * TINY_INPUTS,
                        (WORLD_ROWS - 5) * TINY_INPUTS);
    /* the very bytes of the data set, which may go before the message */
    assert_ptr_equal(frame_data(&peer->frame), dataset_images(world->data) + 5 * TINY_INPUTS);
    frame_t kept = {.present = false};
    frame_move(&kept, &peer->frame);
    uint8_t first = dataset_images(world->data)[5 * TINY_INPUTS];
    server_stop(world->server);
    assert_int_equal(world_wait(world), SERVER_DONE);
    server_release(world->server, false);
    peer_expect(peer, WIRE_END);
    world_end(world);
    assert_int_equal(*(const uint8_t *)frame_data(&kept), first);
    frame_clear(&kept);
}

static void test_stopped_and_destroyed_at_any_time(void **state)
{
    (void)state;
    world_t *world = world_start(NULL, 1000, 1);
    server_stop(world->server); /* with nobody there */
    assert_int_equal(world_wait(world), SERVER_DONE);
    world_end(world);
    for (int stop = 0; stop < 2; stop++) {
        world = world_start(NULL, 1000, 1);
        peer_t *peer = &world->peers[0];
        peer_join(world, peer, "a", true);
        peer_ready(peer);
        peer_expect_step(peer, 1);
        peer_push_asked(world, peer, 0);
        assert_int_equal(world_wait(world), SERVER_STEP);
        peer_expect_step(peer, 2);
        peer_push_asked(world, peer, 0);
        if (stop) {
            server_stop(world->server);
            while (world_wait(world) == SERVER_STEP) /* the second may be done before */
                ;
            server_release(world->server, false);
            peer_expect(peer, WIRE_END);
        } /* else destroyed with an event that nobody took */
        world_end(world);
    }
}

static void test_jobs_that_cannot_be(void **state)
{
    (void)state;
    dataset_t *data = tiny_data(WORLD_ROWS);
    server_job_t good = {
        .model = tiny_model(),
        .sampler = tiny_sampler(WORLD_ROWS),
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
    dataset_t *data = tiny_data(WORLD_ROWS);
    uint32_t seen[3];
    for (int i = 0; i < 3; i++) {
        server_job_t job = {
            .model = tiny_model(),
            .sampler = tiny_sampler(WORLD_ROWS),
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
        peer_connect(&peer, server_endpoint(server));
        peer_hello(&peer, "one");
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
    dataset_t *data = tiny_data(WORLD_ROWS);
    server_links_t links = {.control = NULL};
    peer_t peer = {.run = 0};
    wire_welcome_t first = {.worker = 0};
    for (int i = 0; i < 3; i++) {
        bool more = i < 2;
        server_job_t job = {
            .model = tiny_model(),
            .sampler = tiny_sampler(WORLD_ROWS),
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
            peer_connect(&peer, server_endpoint(server));
            peer_hello(&peer, "one");
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
            peer_hello(&peer, "one");
    }
    peer_close(&peer);
    server_links_destroy(&links);
    assert_null(links.control);
    dataset_destroy(&data);
}

/* Answers a range of the last EVALUATE that asks this peer: it costs the number of its first row
 * and a half, and one row of it is right. Returns the number of its rows. */
static uint32_t s_answer_range(peer_t *peer, uint32_t i)
{
    const wire_range_t *range = &peer->in.ranges[i];
    wire_t message = {.type = WIRE_EVALUATED};
    assert_true(i < peer->in.n_ranges);
    assert_int_equal(range->worker, peer->job.worker);
    message.score =
        (wire_score_t){peer->in.evaluate.step, range->first, range->end, range->first + 0.5, 1};
    peer_send(peer, peer->control, message, NULL, 0);
    peer_send(peer, peer->control, message, NULL, 0); /* once more: it counts once */
    return range->end - range->first;
}

/* The next EVALUATE, which brings the model as it is. */
static void s_expect_evaluate(const world_t *world, peer_t *peer)
{
    peer_expect(peer, WIRE_EVALUATE);
    assert_int_equal(peer->in.evaluate.step, 2);
    assert_int_equal(frame_size(&peer->frame), world->n_params * sizeof(float));
    assert_memory_equal(frame_data(&peer->frame), world->weights, world->n_params * sizeof(float));
}

/* The end waits for the evaluation; what one who leaves has not done is asked of another. */
static void test_evaluations_change_hands_and_are_waited_for(void **state)
{
    (void)state;
    enum {
        TEST_ROWS = 20 /* blocks of 8, 8 and 4 */
    };
    dataset_t *test = tiny_data(TEST_ROWS);
    world_t *world = world_start_evaluated(NULL, 2, 1, test, 2);
    peer_t *one = &world->peers[0], *two = &world->peers[1], *guest = &world->peers[2];
    peer_join(world, one, "one", true);
    peer_ready(one);
    assert_int_equal(one->job.evaluation_rows, TEST_ROWS);
    assert_string_not_equal(one->job.rows, "");
    for (uint32_t step = 1; step <= 2; step++) {
        peer_expect_step(one, step);
        assert_int_equal(peer_push_asked(world, one, 0), WORLD_BLOCKS);
        assert_int_equal(world_wait(world), SERVER_STEP);
    }
    /* rows on both sides of the end of the training set, in one answer */
    peer_join(world, two, "two", true);
    wire_t fetch = {.type = WIRE_FETCH};
    fetch.fetch = (wire_fetch_t){WORLD_ROWS - 2, 2 + TEST_ROWS};
    peer_send(two, two->data, fetch, NULL, 0);
    peer_expect(two, WIRE_ROWS);
    const uint8_t *images = frame_data(&two->frame);
    assert_int_equal(frame_size(&two->frame), (2 + TEST_ROWS) * TINY_INPUTS);
    assert_memory_equal(images, dataset_images(world->data) + (WORLD_ROWS - 2) * TINY_INPUTS,
                        2 * TINY_INPUTS);
    assert_memory_equal(images + 2 * TINY_INPUTS, dataset_images(test), TEST_ROWS * TINY_INPUTS);
    assert_memory_equal(two->in.rows.labels + 2, dataset_labels(test), TEST_ROWS);
    /* one who has not said READY is not heard */
    peer_join(world, guest, "guest", true);
    wire_t bad = {.type = WIRE_EVALUATED};
    bad.score = (wire_score_t){2, WORLD_ROWS, WORLD_ROWS + 8, 1, 1};
    peer_send(guest, guest->control, bad, NULL, 0);
    peer_send(guest, guest->control, (wire_t){.type = WIRE_STATUS}, NULL, 0);
    peer_expect(guest, WIRE_REPORT);
    /* nor is nonsense; its sender does a part of it all, and goes */
    s_expect_evaluate(world, one);
    assert_int_equal(one->in.n_ranges, 3);
    bad.score.correct = 9;
    peer_send(one, one->control, bad, NULL, 0);
    uint32_t n_rows = s_answer_range(one, 1), n_left = 0;
    peer_ready(two);
    peer_send(one, one->control, (wire_t){.type = WIRE_BYE}, NULL, 0);
    s_expect_evaluate(world, two);
    for (uint32_t i = 0; i < two->in.n_ranges; i++)
        n_left += s_answer_range(two, i);
    /* more than what was left, should one have been too slow for the server's patience */
    assert_in_range(n_left, TEST_ROWS - n_rows, TEST_ROWS);
    assert_int_equal(world_wait(world), SERVER_EVALUATED);
    const trial_result_t *result = server_evaluation(world->server);
    assert_int_equal(result->step, 2);
    assert_int_equal(result->validation.rows, 0);
    assert_int_equal(result->test.rows, TEST_ROWS);
    assert_true(result->test.cost == (3 * WORLD_ROWS + 8 + 16 + 1.5) / TEST_ROWS);
    assert_true(result->test.accuracy == 3.0 / TEST_ROWS);
    assert_int_equal(world_wait(world), SERVER_DONE);
    world_assert_weights(world);
    world_end(world);
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
        cmocka_unit_test(test_serves_rows),
        cmocka_unit_test(test_stopped_and_destroyed_at_any_time),
        cmocka_unit_test(test_jobs_that_cannot_be),
        cmocka_unit_test(test_each_start_is_told_from_the_others),
        cmocka_unit_test(test_jobs_follow_on_the_same_sockets),
        cmocka_unit_test(test_evaluations_change_hands_and_are_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
