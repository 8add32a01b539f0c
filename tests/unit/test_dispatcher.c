/* The dispatcher under a clock by hand: when weights are said again, and whose numbers are
 * believed that are not finite. */
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch/dispatcher.h"

enum {
    N_WORKERS = 4,
    RUN = 7,
    INCARNATION = 3,
    START_MS = 10000
};

static const sampler_t s_sampler = {.seed = 1, .fraction = 0.5, .n_rows = 64, .block_rows = 8};
static const char s_digest[] = "0123456789abcdef0123456789abcdef";

typedef struct {
    double now_ms;
    int n_repeated[N_WORKERS]; /* STEPs on control */
    int n_asked[N_WORKERS];    /* ASSIGNs */
} world_t;

static double s_now_ms(void *context)
{
    return ((world_t *)context)->now_ms;
}

static bool s_control(void *context, const wire_peer_t *peer, const wire_t *message, frame_t *frame)
{
    world_t *world = context;
    world->n_repeated[peer->bytes[0]] += message->type == WIRE_STEP;
    world->n_asked[peer->bytes[0]] += message->type == WIRE_ASSIGN;
    if (frame)
        frame_clear(frame);
    return true;
}

static void s_data(void *context, const wire_peer_t *peer, const wire_t *message, frame_t *frame)
{
    (void)s_control(context, peer, message, frame);
}

static void s_weights(void *context, const wire_t *message, frame_t *frame)
{
    (void)context;
    (void)message;
    frame_clear(frame);
}

/* Whose weights are so large that each copy takes 40 ms at 1 Gbit/s. */
static model_t s_model(void)
{
    return (model_t){.n_inputs = 999,
                     .n_layers = 1,
                     .layers = {{.units = 1000, .activation = ACTIVATION_SIGMOID}}};
}

static void s_say(dispatcher_t *dispatcher, int worker, wire_t message)
{
    wire_peer_t peer = {1, {(uint8_t)worker}};
    message.run = RUN;
    message.incarnation = INCARNATION;
    dispatcher_control(dispatcher, &peer, WIRE_OK, &message);
}

static void s_heartbeat(dispatcher_t *dispatcher, int worker, uint32_t newest_step)
{
    s_say(dispatcher, worker,
          (wire_t){.type = WIRE_HEARTBEAT, .heartbeat.newest_step = newest_step});
}

static void s_begin(dispatcher_t *dispatcher, uint32_t step)
{
    model_t model = s_model();
    frame_t weights = {.present = false};
    size_t bytes = model_params(&model) * sizeof(float);
    float *zeros = calloc(1, bytes);
    frame_copy_of(&weights, zeros, bytes);
    dispatcher_begin(dispatcher, step, &weights, &(node_t){3, 0}, 1);
    frame_clear(&weights);
    free(zeros);
}

static void s_join(dispatcher_t *dispatcher, int worker)
{
    model_t model = s_model();
    wire_t ready = {.type = WIRE_READY, .ready.n_params = model_params(&model)};
    memcpy(ready.ready.digest, s_digest, sizeof(ready.ready.digest));
    wire_t hello = {.type = WIRE_HELLO, .hello = {.host = "host", .kernel = "k", .threads = 1}};
    (void)snprintf(hello.hello.name, sizeof(hello.hello.name), "w%d", worker);
    s_say(dispatcher, worker, hello);
    s_say(dispatcher, worker, ready);
}

/* All workers have joined, and the first step begins. */
static dispatcher_t *s_new(world_t *world)
{
    dispatch_job_t job = {
        .run = RUN,
        .incarnation = INCARNATION,
        .model = s_model(),
        .sampler = s_sampler,
        .strict = true,
    };
    memcpy(job.digest, s_digest, sizeof(job.digest));
    dispatch_ports_t ports = {world, s_now_ms, s_control, s_data, s_weights};
    dispatch_planes_t planes = {"inproc://x", ".data", ".weights", ".gradients"};
    dispatcher_t *dispatcher = dispatcher_new(&job, &ports, &planes);
    for (int i = 0; i < N_WORKERS; i++)
        s_join(dispatcher, i);
    assert_int_equal(dispatcher_active(dispatcher), N_WORKERS);
    s_begin(dispatcher, 1);
    return dispatcher;
}

static void test_weights_are_said_again_to_one_who_lacks_them(void **state)
{
    (void)state;
    world_t world = {.now_ms = START_MS};
    dispatcher_t *dispatcher = s_new(&world);
    world.now_ms = START_MS + 100;
    s_heartbeat(dispatcher, 0, 0);
    assert_int_equal(world.n_repeated[0], 0); /* as far as is known all four are on their way */
    for (int i = 1; i < N_WORKERS; i++)
        s_heartbeat(dispatcher, i, 1);
    s_heartbeat(dispatcher, 0, 0);
    assert_int_equal(world.n_repeated[0], 1); /* all others have them: its own were lost */
    world.now_ms = START_MS + 200;
    s_heartbeat(dispatcher, 0, 0);
    assert_int_equal(world.n_repeated[0], 1); /* on their way again */
    world.now_ms = START_MS + 501;
    s_heartbeat(dispatcher, 0, 0);
    assert_int_equal(world.n_repeated[0], 2);
    for (int i = 1; i < N_WORKERS; i++)
        assert_int_equal(world.n_repeated[i], 0);
    dispatcher_destroy(&dispatcher);
}

static void test_weights_are_said_again_when_nobody_has_them(void **state)
{
    (void)state;
    world_t world = {.now_ms = START_MS};
    dispatcher_t *dispatcher = s_new(&world);
    world.now_ms = START_MS + 209; /* 50, and 40 for each of them */
    for (int i = 0; i < N_WORKERS; i++)
        s_heartbeat(dispatcher, i, 0);
    world.now_ms = START_MS + 211;
    assert_int_equal(world.n_repeated[0] + world.n_repeated[3], 0);
    for (int i = 0; i < N_WORKERS; i++)
        s_heartbeat(dispatcher, i, 0);
    for (int i = 0; i < N_WORKERS; i++)
        assert_int_equal(world.n_repeated[i], 1);
    dispatcher_destroy(&dispatcher);
}

/* One that has shown to have them and then says READY again, as after a restart, has none. */
static void test_a_worker_that_begins_again_lacks_them(void **state)
{
    (void)state;
    world_t world = {.now_ms = START_MS};
    dispatcher_t *dispatcher = s_new(&world);
    model_t model = s_model();
    world.now_ms = START_MS + 100;
    for (int i = 0; i < N_WORKERS; i++)
        s_heartbeat(dispatcher, i, 1);
    wire_t ready = {.type = WIRE_READY, .ready.n_params = model_params(&model)};
    memcpy(ready.ready.digest, s_digest, sizeof(ready.ready.digest));
    s_say(dispatcher, 2, ready);
    assert_int_equal(world.n_repeated[2], 1);
    dispatcher_destroy(&dispatcher);
}

/* The weights came before its subscription: it says READY again, and gets them as soon as they
 * could have travelled. */
static void test_a_worker_that_no_step_has_reached_need_not_wait(void **state)
{
    (void)state;
    world_t world = {.now_ms = START_MS};
    dispatcher_t *dispatcher = s_new(&world);
    model_t model = s_model();
    wire_t ready = {.type = WIRE_READY, .ready.n_params = model_params(&model)};
    memcpy(ready.ready.digest, s_digest, sizeof(ready.ready.digest));
    world.now_ms = START_MS + 159; /* 40 for each of them */
    s_say(dispatcher, 2, ready);
    assert_int_equal(world.n_repeated[2], 0);
    world.now_ms = START_MS + 161;
    s_heartbeat(dispatcher, 1, 0);
    s_say(dispatcher, 2, ready);
    assert_int_equal(world.n_repeated[1], 0); /* may have crossed the weights */
    assert_int_equal(world.n_repeated[2], 1);
    dispatcher_destroy(&dispatcher);
}

/* A partial of that node and step from the worker that joined as that one. */
static void s_push_node(dispatcher_t *dispatcher, int worker, uint32_t step, node_t node,
                        double cost, float value)
{
    model_t model = s_model();
    uint32_t rows[8], first, end;
    size_t n_params = model_params(&model);
    float *gradient = calloc(n_params, sizeof(float));
    wire_t message = {.type = WIRE_PARTIAL, .run = RUN, .incarnation = INCARNATION, .step = step};
    message.partial.worker = (uint32_t)worker + 1;
    message.partial.node = node;
    message.partial.cost = cost;
    node_range(node, 8, &first, &end);
    for (uint32_t block = first; block < end; block++)
        message.partial.rows += sampler_rows(&s_sampler, step, block, rows);
    gradient[5] = value;
    message.finite = isfinite(value);
    frame_t frame = {.present = false};
    frame_copy_of(&frame, gradient, n_params * sizeof(float));
    dispatcher_partial(dispatcher, WIRE_OK, &message, &frame);
    frame_clear(&frame);
    free(gradient);
}

static void s_push(dispatcher_t *dispatcher, int worker, double cost, float value)
{
    s_push_node(dispatcher, worker, 2, (node_t){3, 0}, cost, value);
}

/* Is the step's sum there, and is it finite? */
static bool s_take(dispatcher_t *dispatcher, bool *finite)
{
    node_t node;
    partial_t sum;
    if (!dispatcher_take(dispatcher, &node, &sum))
        return false;
    *finite = isfinite(sum.cost) && isfinite(sum.gradient[5]);
    partial_release(&sum);
    return true;
}

/* The second step, behind a first one to which workers 0 and on to n_good have added. */
static dispatcher_t *s_new_second(world_t *world, int n_good)
{
    bool finite;
    dispatcher_t *dispatcher = s_new(world);
    for (int i = 0; i < N_WORKERS; i++)
        s_push_node(dispatcher, i < n_good ? i : 0, 1, (node_t){1, (uint32_t)i}, 1.0, 1.0f);
    assert_true(s_take(dispatcher, &finite) && finite);
    dispatcher_end(dispatcher);
    s_begin(dispatcher, 2);
    return dispatcher;
}

/* Once a step it does wrong, in which others are asked instead. */
static void test_one_worker_that_sends_nan_is_sent_away(void **state)
{
    (void)state;
    static const double costs[] = {1.0, (double)INFINITY, 1.0};
    static const float values[] = {NAN, 0, -INFINITY};
    bool finite;
    world_t world = {.now_ms = START_MS};
    dispatcher_t *dispatcher = s_new_second(&world, N_WORKERS);
    for (uint32_t i = 0; i < 3; i++) {
        memset(world.n_asked, 0, sizeof(world.n_asked));
        s_push_node(dispatcher, 1, i + 2, (node_t){3, 0}, costs[i], values[i]);
        s_push_node(dispatcher, 1, i + 2, (node_t){2, 0}, costs[i], values[i]);
        assert_int_equal(dispatcher_active(dispatcher), i < 2 ? N_WORKERS : N_WORKERS - 1);
        /* behind the third offence it is no member, and what it sends is late */
        assert_int_equal(dispatcher_figures(dispatcher).n_refused, i < 2 ? 2 : 1);
        dispatcher_tick(dispatcher);
        assert_int_equal(world.n_asked[1], 0);
        assert_false(s_take(dispatcher, &finite));
        s_push_node(dispatcher, 2, i + 2, (node_t){3, 0}, 1.0, 2.0f);
        assert_true(s_take(dispatcher, &finite) && finite);
        dispatcher_end(dispatcher);
        s_begin(dispatcher, i + 3);
    }
    dispatcher_destroy(&dispatcher);
}

static void test_two_workers_that_send_nan_are_right(void **state)
{
    (void)state;
    bool finite;
    world_t world = {.now_ms = START_MS};
    dispatcher_t *dispatcher = s_new_second(&world, N_WORKERS);
    s_push(dispatcher, 1, 1.0, NAN);
    assert_false(s_take(dispatcher, &finite));
    s_push(dispatcher, 3, -1.0, NAN); /* not for that */
    assert_false(s_take(dispatcher, &finite));
    s_push(dispatcher, 3, (double)NAN, 0);
    assert_true(s_take(dispatcher, &finite) && !finite);
    assert_int_equal(dispatcher_figures(dispatcher).n_refused, 2);
    dispatcher_destroy(&dispatcher);
}

static void test_strangers_that_send_nan_are_not_heard(void **state)
{
    (void)state;
    bool finite;
    world_t world = {.now_ms = START_MS};
    dispatcher_t *dispatcher = s_new_second(&world, 2);
    s_push(dispatcher, 2, 1.0, NAN);
    s_push(dispatcher, 3, 1.0, NAN);
    s_push(dispatcher, 1, 1.0, NAN); /* the first that is */
    assert_int_equal(dispatcher_figures(dispatcher).n_refused, 3);
    assert_false(s_take(dispatcher, &finite));
    s_push(dispatcher, 0, 1.0, NAN);
    assert_true(s_take(dispatcher, &finite) && !finite);
    dispatcher_destroy(&dispatcher);
}

/* The model may have begun so; but one broken worker after another is no proof. */
static void test_two_strangers_are_heard_while_nobody_has_counted(void **state)
{
    (void)state;
    bool finite;
    world_t world = {.now_ms = START_MS};
    dispatcher_t *dispatcher = s_new(&world);
    for (int i = 0; i < 3; i++) /* all that it had been asked for already */
        s_push_node(dispatcher, 0, 1, (node_t){3, 0}, 1.0, NAN);
    assert_int_equal(dispatcher_active(dispatcher), N_WORKERS);
    s_say(dispatcher, 0, (wire_t){.type = WIRE_BYE});
    s_push_node(dispatcher, 1, 1, (node_t){3, 0}, 1.0, NAN);
    assert_false(s_take(dispatcher, &finite));
    s_push_node(dispatcher, 2, 1, (node_t){3, 0}, 1.0, NAN);
    assert_true(s_take(dispatcher, &finite) && !finite);
    assert_int_equal(dispatcher_active(dispatcher), N_WORKERS - 1);
    dispatcher_destroy(&dispatcher);
}

/* One that is alone from the beginning goes on being asked: others may come, and can tell. */
static void test_a_stranger_that_stays_alone_is_right(void **state)
{
    (void)state;
    for (int others_come = 0; others_come < 2; others_come++) {
        bool finite;
        world_t world = {.now_ms = START_MS};
        dispatcher_t *dispatcher = s_new(&world);
        for (int i = 1; i < N_WORKERS; i++)
            s_say(dispatcher, i, (wire_t){.type = WIRE_BYE});
        for (int i = 0; i < 5; i++) {
            s_push_node(dispatcher, 0, 1, (node_t){3, 0}, 1.0, NAN);
            world.now_ms += 740;
            assert_false(s_take(dispatcher, &finite));
            assert_int_equal(dispatcher_active(dispatcher), 1);
            dispatcher_tick(dispatcher);
            assert_int_equal(world.n_asked[0], i + 1);
        }
        if (others_come) {
            s_join(dispatcher, 1);
            world.now_ms += START_MS;
            s_heartbeat(dispatcher, 0, 1);
            s_heartbeat(dispatcher, 1, 1);
            s_push_node(dispatcher, 0, 1, (node_t){3, 0}, 1.0, NAN);
            assert_false(s_take(dispatcher, &finite));
            s_push_node(dispatcher, N_WORKERS, 1, (node_t){3, 0}, 1.0, 1.0f);
            assert_true(s_take(dispatcher, &finite) && finite);
        } else {
            world.now_ms = START_MS + 3000;
            s_push_node(dispatcher, 0, 1, (node_t){3, 0}, 1.0, NAN);
            assert_true(s_take(dispatcher, &finite) && !finite);
        }
        dispatcher_destroy(&dispatcher);
    }
}

static void test_the_only_worker_is_right_in_the_end(void **state)
{
    (void)state;
    bool finite;
    world_t world = {.now_ms = START_MS};
    dispatcher_t *dispatcher = s_new_second(&world, N_WORKERS);
    for (int i = 1; i < N_WORKERS; i++)
        s_say(dispatcher, i, (wire_t){.type = WIRE_BYE});
    for (int i = 0; i < 2; i++) {
        s_push(dispatcher, 0, 1.0, NAN);
        assert_false(s_take(dispatcher, &finite));
    }
    s_push(dispatcher, 0, 1.0, NAN);
    assert_true(s_take(dispatcher, &finite) && !finite);
    assert_int_equal(dispatcher_active(dispatcher), 1); /* nor is it sent away */
    dispatcher_destroy(&dispatcher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights_are_said_again_to_one_who_lacks_them),
        cmocka_unit_test(test_weights_are_said_again_when_nobody_has_them),
        cmocka_unit_test(test_a_worker_that_begins_again_lacks_them),
        cmocka_unit_test(test_a_worker_that_no_step_has_reached_need_not_wait),
        cmocka_unit_test(test_one_worker_that_sends_nan_is_sent_away),
        cmocka_unit_test(test_two_workers_that_send_nan_are_right),
        cmocka_unit_test(test_strangers_that_send_nan_are_not_heard),
        cmocka_unit_test(test_two_strangers_are_heard_while_nobody_has_counted),
        cmocka_unit_test(test_a_stranger_that_stays_alone_is_right),
        cmocka_unit_test(test_the_only_worker_is_right_in_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
