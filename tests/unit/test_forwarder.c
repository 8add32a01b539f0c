/* A relay's decisions: messages in from above and below, a clock by hand, and what it sends. */
#include "unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "workers/forwarder.h"

enum {
    RUN = 7,
    ABOVE = 3 /* incarnation */
};

static const wire_peer_t s_worker = {3, {0, 1, 2}};

/* The clock, and the last message that was sent each way. */
typedef struct {
    double now_ms;
    wire_t above;
    wire_t below;
    int n_set_up;
} outside_t;

static double s_now_ms(void *context)
{
    return ((outside_t *)context)->now_ms;
}

static bool s_below(void *context, const wire_peer_t *peer, const wire_t *message, frame_t *frame)
{
    (void)peer;
    ((outside_t *)context)->below = *message;
    if (frame)
        frame_clear(frame);
    return true;
}

static void s_data_below(void *context, const wire_peer_t *peer, const wire_t *message,
                         frame_t *frame)
{
    (void)s_below(context, peer, message, frame);
}

static void s_weights_below(void *context, const wire_t *message, frame_t *frame)
{
    (void)context;
    (void)message;
    frame_clear(frame);
}

static void s_above(void *context, const wire_t *message)
{
    ((outside_t *)context)->above = *message;
}

static void s_gradient_above(void *context, const wire_t *message, frame_t *frame)
{
    (void)context;
    (void)message;
    frame_clear(frame);
}

static int s_set_up(void *context, const wire_welcome_t *job, dispatch_planes_t *planes, err_t *err)
{
    (void)job;
    (void)err;
    memset(planes, 0, sizeof(*planes));
    ((outside_t *)context)->n_set_up++;
    return 0;
}

static forwarder_t *s_new(outside_t *outside)
{
    wire_hello_t hello = {.name = "relay", .host = "here"};
    forwarder_ports_t ports = {
        {outside, s_now_ms, s_below, s_data_below, s_weights_below},
        outside,
        s_above,
        s_above,
        s_gradient_above,
        s_set_up,
    };
    memset(outside, 0, sizeof(*outside));
    return forwarder_new(&hello, "above", NULL, 100, &ports);
}

static void s_from_above(forwarder_t *forwarder, wire_type_t type, const wire_welcome_t *job)
{
    frame_t none = {.present = false};
    wire_t message = {.type = type, .run = RUN, .incarnation = ABOVE};
    if (job)
        message.welcome = *job;
    forwarder_above(forwarder, &message, &none);
}

/* A message of the worker, of the run and incarnation that it was told last. */
static void s_from_below(forwarder_t *forwarder, const outside_t *outside, wire_type_t type)
{
    wire_t message = {.type = type, .run = RUN, .incarnation = outside->below.incarnation};
    if (type == WIRE_HELLO)
        message.hello = (wire_hello_t){.name = "worker", .host = "there", .kernel = "dense/X"};
    if (type == WIRE_READY) {
        message.ready.n_params = model_params(&outside->below.welcome.model);
        memcpy(message.ready.digest, outside->below.welcome.digest, WIRE_DIGEST_SIZE);
    }
    forwarder_control(forwarder, &s_worker, WIRE_OK, &message);
}

static wire_welcome_t s_job(uint32_t hidden, uint32_t n_rows)
{
    wire_welcome_t job = {
        .worker = 1,
        .model = {.n_inputs = 4,
                  .n_layers = 2,
                  .layers = {{.units = hidden, .activation = ACTIVATION_TANH},
                             {.units = 2, .activation = ACTIVATION_SIGMOID}}},
        .sampler = {.seed = 1, .fraction = 1, .n_rows = n_rows, .block_rows = 2},
        .heartbeat_ms = 100,
    };
    (void)snprintf(job.digest, sizeof(job.digest), "%032u", n_rows);
    (void)snprintf(job.kernel, sizeof(job.kernel), "dense/X");
    return job;
}

/* A worker says HELLO, the relay is let in above, and the worker is told to say READY. */
static void s_admit(forwarder_t *forwarder, outside_t *outside)
{
    wire_welcome_t job = s_job(3, 16);
    s_from_below(forwarder, outside, WIRE_HELLO);
    forwarder_tick(forwarder);
    assert_int_equal(outside->above.type, WIRE_HELLO);
    assert_int_equal(outside->above.hello.relays, 1);
    s_from_above(forwarder, WIRE_WELCOME, &job);
    forwarder_tick(forwarder);
    assert_int_equal(outside->n_set_up, 1);
    assert_string_equal(forwarder_waits_for(forwarder), "workers");
    assert_int_equal(outside->below.type, WIRE_WELCOME); /* it need not say HELLO again */
}

/* The worker is not let in anew when the relay is, unless the job is not what it was: nothing that
 * was made for the one fits the other then, whatever its number says. */
static void test_goes_on_with_its_workers(void **state)
{
    (void)state;
    static const struct {
        uint32_t hidden, n_rows;
        bool same;
    } cases[] = {{3, 16, true}, {5, 16, false}, {3, 8, false}};
    for (int i = 0; i < 3; i++) {
        outside_t outside;
        forwarder_t *forwarder = s_new(&outside);
        s_admit(forwarder, &outside);
        uint32_t incarnation = outside.below.incarnation;
        s_from_below(forwarder, &outside, WIRE_READY);
        forwarder_tick(forwarder);
        assert_int_equal(outside.above.type, WIRE_READY);
        s_from_above(forwarder, WIRE_REJOIN, NULL);
        forwarder_tick(forwarder);
        assert_int_equal(outside.above.type, WIRE_HELLO);
        wire_welcome_t job = s_job(cases[i].hidden, cases[i].n_rows);
        outside.below.type = WIRE_END;
        s_from_above(forwarder, WIRE_WELCOME, &job);
        forwarder_tick(forwarder);
        assert_int_equal(outside.n_set_up, 2);
        if (!cases[i].same) {
            assert_int_equal(outside.below.type, WIRE_REJOIN);
            s_from_below(forwarder, &outside, WIRE_HELLO);
            assert_int_equal(outside.below.type, WIRE_WELCOME);
            assert_int_equal(outside.below.incarnation, incarnation + 1);
            assert_int_equal(outside.below.welcome.sampler.n_rows, cases[i].n_rows);
            s_from_below(forwarder, &outside, WIRE_READY);
        } else
            assert_int_equal(outside.below.type, WIRE_END); /* nothing was said */
        forwarder_tick(forwarder);
        forwarder_tick(forwarder);
        assert_int_equal(outside.above.type, WIRE_READY);
        forwarder_destroy(&forwarder);
    }
}

/* What it says above is what it hears below: each time there is one more relay. */
static void test_refuses_itself(void **state)
{
    (void)state;
    outside_t outside;
    forwarder_t *forwarder = s_new(&outside);
    s_from_below(forwarder, &outside, WIRE_HELLO);
    for (uint32_t n = 1; n <= 9; n++) {
        forwarder_tick(forwarder);
        assert_int_equal(outside.above.type, WIRE_HELLO);
        assert_int_equal(outside.above.hello.relays, n);
        assert_int_equal(outside.below.type, 0);
        wire_t hello = outside.above;
        forwarder_control(forwarder, &s_worker, WIRE_OK, &hello);
        outside.now_ms += 250;
    }
    assert_int_equal(outside.below.type, WIRE_REFUSED);
    assert_int_equal(outside.below.refusal.reason, WIRE_REFUSED_RELAYS);
    wire_t refused = outside.below;
    frame_t none = {.present = false};
    forwarder_above(forwarder, &refused, &none);
    forwarder_tick(forwarder);
    assert_int_equal(forwarder_state(forwarder), FORWARDER_FAILED);
    assert_string_equal(forwarder_error(forwarder),
                        "above: what is above refuses this relay: 9 relays one below the other, "
                        "expected at most 8: do they lead in a circle?");
    forwarder_destroy(&forwarder);
}

static void test_refuses_another_version_before_it_has_a_job(void **state)
{
    (void)state;
    outside_t outside;
    forwarder_t *forwarder = s_new(&outside);
    wire_t message = {.version = WIRE_VERSION + 1};
    forwarder_control(forwarder, &s_worker, WIRE_BAD_VERSION, &message);
    assert_int_equal(outside.below.type, WIRE_REFUSED);
    assert_int_equal(outside.below.refusal.reason, WIRE_REFUSED_VERSION);
    assert_string_equal(outside.below.refusal.text, "protocol version 2, expected 1");
    forwarder_tick(forwarder);
    assert_int_equal(outside.above.type, 0); /* it does not join for that one */
    forwarder_destroy(&forwarder);
}

/* Told to leave at the very moment when its first worker is ready. */
static void test_leaves_although_a_worker_is_ready(void **state)
{
    (void)state;
    for (int drained = 0; drained < 2; drained++) {
        outside_t outside;
        forwarder_t *forwarder = s_new(&outside);
        s_admit(forwarder, &outside);
        s_from_below(forwarder, &outside, WIRE_READY);
        if (drained)
            forwarder_drain(forwarder);
        else
            s_from_above(forwarder, WIRE_END, NULL);
        forwarder_tick(forwarder);
        assert_int_equal(forwarder_state(forwarder), FORWARDER_OVER);
        assert_int_equal(outside.above.type, drained ? WIRE_BYE : WIRE_HELLO);
        assert_int_equal(outside.below.type, drained ? WIRE_WELCOME : WIRE_END);
        forwarder_destroy(&forwarder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goes_on_with_its_workers),
        cmocka_unit_test(test_refuses_itself),
        cmocka_unit_test(test_refuses_another_version_before_it_has_a_job),
        cmocka_unit_test(test_leaves_although_a_worker_is_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
