/* Faults of messages: what a link does is what its plan says, and nothing that others share is
 * touched. */
#include "unit.h"

#include <czmq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "pair.h"
#include "proto/link_chaos.h"
#include "wire_samples.h"

enum {
    N_MESSAGES = 400
};

/* Over tcp, or inproc by a name of its own: libzmq may let go of one later than it is closed. */
static void s_open(pair_t *pair, link_role_t server, link_role_t worker, bool tcp)
{
    static int n_opened;
    char endpoint[32] = "tcp://127.0.0.1:*";
    if (!tcp)
        (void)snprintf(endpoint, sizeof(endpoint), "inproc://pair-%d", n_opened++);
    pair_open(pair, server, worker, endpoint);
}

static chaos_t s_begin(const char *text)
{
    chaos_t plan;
    err_t err = {{0}};
    if (chaos_parse(text, &plan, &err) != 0)
        fail_msg("%s", err.text);
    link_chaos_begin(&plan, "test");
    return plan;
}

/* A PARTIAL that is known by its number of rows. */
static bool s_send_numbered(link_t *link, uint64_t number)
{
    wire_t message = wire_sample(WIRE_PARTIAL);
    frame_t frame = {.present = false};
    message.partial.rows = number;
    frame_copy_of(&frame, WIRE_SAMPLES_FRAME, strlen(WIRE_SAMPLES_FRAME));
    return link_send(link, NULL, &message, &frame);
}

/* What came of each message, and of what they should have become. */
typedef struct {
    int64_t sent_ms[N_MESSAGES];
    int n_whole[N_MESSAGES];
    int n_damaged;
} arrivals_t;

static void s_note(const pair_t *pair, const chaos_t *plan, uint32_t stream, arrivals_t *arrivals)
{
    if (pair->status != WIRE_OK) {
        arrivals->n_damaged++;
        return;
    }
    uint64_t i = pair->message.partial.rows;
    assert_in_range(i, 0, N_MESSAGES - 1);
    chaos_fate_t fate = chaos_fate(plan, stream, i);
    arrivals->n_whole[i]++;
    assert_memory_equal(frame_data((frame_t *)&pair->frame), WIRE_SAMPLES_FRAME,
                        strlen(WIRE_SAMPLES_FRAME));
    if (!fate.duplicate && fate.delay_ms > 0)
        assert_true(clock_ms() - arrivals->sent_ms[i] >= fate.delay_ms);
}

/* Each message suffers just what chaos_fate says of its number. */
static void s_check_fates(const char *text, bool tcp)
{
    chaos_t plan = s_begin(text);
    uint32_t stream = chaos_stream("test/3"); /* LINK_GRADIENTS_SERVER */
    pair_t pair;
    arrivals_t *arrivals = calloc(1, sizeof(*arrivals));
    s_open(&pair, LINK_GRADIENTS_SERVER, LINK_GRADIENTS_WORKER, tcp);
    zmq_pollitem_t writable = {link_socket(pair.worker), 0, ZMQ_POLLOUT, 0};
    int n_expected = 0, n_arrived = 0, n_damaged = 0;
    for (uint64_t i = 0; i < N_MESSAGES; i++) {
        assert_int_equal(zmq_poll(&writable, 1, DEADLINE_MS), 1);
        arrivals->sent_ms[i] = clock_ms();
        assert_true(s_send_numbered(pair.worker, i));
        chaos_fate_t fate = chaos_fate(&plan, stream, i);
        n_expected += fate.drop ? 0 : 1 + fate.duplicate;
        for (; pair_try_receive(&pair, pair.server); n_arrived++)
            s_note(&pair, &plan, stream, arrivals);
    }
    for (; n_arrived < n_expected; n_arrived++) {
        pair_receive(&pair, pair.server);
        s_note(&pair, &plan, stream, arrivals);
    }
    assert_false(pair_try_receive(&pair, pair.server));
    for (uint64_t i = 0; i < N_MESSAGES; i++) {
        chaos_fate_t fate = chaos_fate(&plan, stream, i);
        int n_copies = fate.drop ? 0 : 1 + fate.duplicate;
        n_damaged += fate.corrupt ? n_copies : 0;
        assert_int_equal(arrivals->n_whole[i], fate.corrupt ? 0 : n_copies);
    }
    assert_int_equal(arrivals->n_damaged, n_damaged);
    pair_close(&pair);
    free(arrivals);
    link_chaos_end();
}

static void test_messages_suffer_what_is_planned(void **state)
{
    (void)state;
    static const char *const plans[] = {
        "seed=3,drop=0.3",
        "seed=3,duplicate=0.3",
        "seed=3,corrupt=0.3",
        "seed=3,delay=0.3:30ms",
        "seed=4,drop=0.2,duplicate=0.3,corrupt=0.3,delay=0.3:30ms",
        "duplicate=1,corrupt=1,delay=1:5ms",
        "duplicate=1",
    };
    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        s_check_fates(plans[i], true);
        s_check_fates(plans[i], false);
    }
}

static void test_all_is_lost(void **state)
{
    (void)state;
    s_begin("drop=1");
    pair_t pair;
    s_open(&pair, LINK_GRADIENTS_SERVER, LINK_GRADIENTS_WORKER, false);
    for (uint64_t i = 0; i < 10; i++) {
        assert_true(s_send_numbered(pair.worker, i));
        assert_int_equal(pair_poll(pair.server, DEADLINE_MS), 1);
        assert_false(pair_try_receive(&pair, pair.server));
        assert_int_equal(pair_poll(pair.server, 0), 0);
    }
    pair_close(&pair);
    link_chaos_end();
}

static void test_later_messages_overtake(void **state)
{
    (void)state;
    chaos_t plan = s_begin("seed=9,delay=0.5:200ms");
    uint32_t stream = chaos_stream("test/3");
    pair_t pair;
    s_open(&pair, LINK_GRADIENTS_SERVER, LINK_GRADIENTS_WORKER, false);
    uint64_t late = 0;
    while (chaos_fate(&plan, stream, late).delay_ms < 100 ||
           chaos_fate(&plan, stream, late + 1).delay_ms > 0)
        late++;
    for (uint64_t i = 0; i <= late + 1; i++)
        assert_true(s_send_numbered(pair.worker, i));
    bool late_came = false, next_came = false;
    while (!late_came || !next_came) {
        pair_receive(&pair, pair.server);
        late_came |= pair.message.partial.rows == late;
        next_came |= pair.message.partial.rows == late + 1;
        assert_true(next_came || !late_came);
    }
    pair_close(&pair); /* with others still held back */
    link_chaos_end();
}

static void test_a_poll_wakes_for_what_is_held_back(void **state)
{
    (void)state;
    s_begin("delay=1:50ms");
    pair_t pair;
    s_open(&pair, LINK_GRADIENTS_SERVER, LINK_GRADIENTS_WORKER, false);
    assert_int_equal(pair_poll(pair.server, 0), 0);
    assert_true(s_send_numbered(pair.worker, 5));
    assert_int_equal(pair_poll(pair.server, DEADLINE_MS), 1);
    assert_false(pair_try_receive(&pair, pair.server)); /* taken, and held back */
    zmq_pollitem_t items[2] = {{link_socket(pair.worker), 0, ZMQ_POLLIN, 0},
                               {link_socket(pair.server), 0, ZMQ_POLLIN, 0}};
    link_t *const links[2] = {pair.worker, pair.server};
    assert_int_equal(link_poll(items, links, 2, -1), 1); /* without it, never */
    assert_int_equal(items[0].revents, 0);
    assert_int_equal(items[1].revents, ZMQ_POLLIN);
    assert_true(pair_try_receive(&pair, pair.server));
    assert_int_equal(pair.status, WIRE_OK);
    assert_int_equal(pair.message.partial.rows, 5);
    assert_int_equal(pair_poll(pair.server, 0), 0);
    pair_close(&pair);
    link_chaos_end();
}

static void test_what_the_sender_keeps_is_left_alone(void **state)
{
    (void)state;
    /* over inproc the receiver gets the sender's very bytes */
    s_begin("corrupt=1,duplicate=1");
    pair_t pair;
    s_open(&pair, LINK_WEIGHTS_SERVER, LINK_WEIGHTS_WORKER, false);
    char bytes[1000];
    memset(bytes, 'x', sizeof(bytes));
    frame_t kept = {.present = false};
    frame_copy_of(&kept, bytes, sizeof(bytes));
    for (int i = 0; i < 20; i++) {
        wire_t message = wire_sample(WIRE_STEP);
        do { /* until the subscription is there */
            frame_t frame = {.present = false};
            frame_share(&frame, &kept);
            assert_true(link_send(pair.server, NULL, &message, &frame));
        } while (pair_poll(pair.worker, 10) == 0);
        pair_receive(&pair, pair.worker);
        assert_int_not_equal(pair.status, WIRE_OK);
    }
    assert_memory_equal(frame_data(&kept), bytes, sizeof(bytes));
    frame_clear(&kept);
    pair_close(&pair);
    link_chaos_end();
}

static void test_the_peer_is_no_part_of_the_message(void **state)
{
    (void)state;
    s_begin("seed=2,corrupt=1,duplicate=0.5,delay=0.5:3ms");
    pair_t pair;
    s_open(&pair, LINK_CONTROL_SERVER, LINK_CONTROL_WORKER, true);
    wire_peer_t first = {.size = 0};
    for (int i = 0; i < 50; i++) {
        wire_t message = wire_sample(WIRE_STEP);
        frame_t frame = {.present = false};
        frame_copy_of(&frame, "bytes", 5);
        assert_true(link_send(pair.worker, NULL, &message, &frame));
        pair_receive(&pair, pair.server);
        assert_int_not_equal(pair.status, WIRE_OK);
        assert_true(pair.peer.size > 0);
        if (first.size == 0)
            first = pair.peer;
        assert_int_equal(pair.peer.size, first.size);
        assert_memory_equal(pair.peer.bytes, first.bytes, first.size);
    }
    pair_close(&pair);
    link_chaos_end();
}

static void test_a_socket_goes_on_counting_where_the_last_one_stopped(void **state)
{
    (void)state;
    chaos_t plan = s_begin("seed=6,drop=0.5");
    uint32_t stream = chaos_stream("test/3");
    for (uint64_t number = 0; number < 40;) {
        pair_t pair;
        s_open(&pair, LINK_GRADIENTS_SERVER, LINK_GRADIENTS_WORKER, true);
        for (int i = 0; i < 5; i++, number++) {
            assert_true(s_send_numbered(pair.worker, number));
            assert_int_equal(pair_poll(pair.server, DEADLINE_MS), 1);
            assert_int_equal(pair_try_receive(&pair, pair.server),
                             !chaos_fate(&plan, stream, number).drop);
        }
        pair_close(&pair);
    }
    link_chaos_end();
}

static void test_without_a_plan_nothing_is_done(void **state)
{
    (void)state;
    assert_null(link_chaos_new(0));
    link_chaos_t *none = NULL;
    link_chaos_destroy(&none);
    link_chaos_end();
}

int main(void)
{
    link_init();
    log_set_level(LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_suffer_what_is_planned),
        cmocka_unit_test(test_all_is_lost),
        cmocka_unit_test(test_later_messages_overtake),
        cmocka_unit_test(test_a_poll_wakes_for_what_is_held_back),
        cmocka_unit_test(test_what_the_sender_keeps_is_left_alone),
        cmocka_unit_test(test_the_peer_is_no_part_of_the_message),
        cmocka_unit_test(test_a_socket_goes_on_counting_where_the_last_one_stopped),
        cmocka_unit_test(test_without_a_plan_nothing_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
