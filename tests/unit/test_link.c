/* Messages from socket to socket: whole, aligned, or refused. */
#include "unit.h"

#include <czmq.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pair.h"
#include "scratch.h"
#include "wire_samples.h"

static bool s_send_sample(link_t *link, const wire_peer_t *peer, wire_type_t type,
                          const void *bytes, size_t size)
{
    wire_t message = wire_sample(type);
    frame_t frame = {.present = false};
    if (bytes)
        frame_copy_of(&frame, bytes, size);
    bool sent = link_send(link, peer, &message, &frame);
    assert_false(frame.present);
    return sent;
}

static void test_frames_keep_their_digest(void **state)
{
    (void)state;
    pair_t pair;
    const float floats[4] = {1, 2, 3, 4};
    frame_t frame = {.present = false}, other = {.present = false};
    frame_copy_of(&frame, floats, sizeof(floats));
    assert_false(frame.digested);
    assert_true(frame_digest(&frame) == wire_digest(floats, sizeof(floats)));
    frame_share(&other, &frame);
    frame_clear(&frame);
    frame_move(&frame, &other);
    assert_true(frame.digested && frame.digest == wire_digest(floats, sizeof(floats)));
    pair_open(&pair, LINK_GRADIENTS_SERVER, LINK_GRADIENTS_WORKER, "inproc://digests");
    wire_t message = wire_sample(WIRE_PARTIAL);
    for (int lie = 0; lie < 2; lie++) { /* what is said is what is sent, right or wrong */
        frame_t sent = {.present = false};
        frame_copy_of(&sent, floats, sizeof(floats));
        frame_set_digest(&sent, frame.digest + (uint64_t)lie);
        assert_true(link_send(pair.worker, NULL, &message, &sent));
        pair_receive(&pair, pair.server);
        assert_int_equal(pair.status, lie ? WIRE_BAD_FRAME : WIRE_OK);
        assert_int_equal(pair.frame.present, !lie);
        if (!lie)
            assert_true(pair.frame.digested && pair.frame.digest == frame.digest);
    }
    frame_clear(&frame);
    pair_close(&pair);
}

/* Has the machine the address ::1? */
static bool s_has_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
    if (fd >= 0)
        assert_int_equal(close(fd), 0);
    return has;
}

static void test_messages_pass(void **state)
{
    char ipc[128];
    (void)snprintf(ipc, sizeof(ipc), "ipc://%s/s", (const char *)*state);
    const char *endpoints[] = {"inproc://test-link", ipc, "tcp://127.0.0.1:*", "tcp://[::1]:*"};
    int n = s_has_ipv6() ? 4 : 3;
    if (n == 3)
        print_message("SKIPPED: messages over IPv6, this machine has no ::1\n");
    for (int i = 0; i < n; i++) {
        pair_t pair;
        pair_open(&pair, LINK_CONTROL_SERVER, LINK_CONTROL_WORKER, endpoints[i]);
        for (wire_type_t type = WIRE_HELLO; type <= WIRE_EVALUATED; type++) {
            const char *bytes = wire_has_frame(type) ? WIRE_SAMPLES_FRAME : NULL;
            size_t size = bytes ? strlen(bytes) : 0;
            assert_true(s_send_sample(pair.worker, NULL, type, bytes, size));
            pair_receive(&pair, pair.server);
            assert_int_equal(pair.status, WIRE_OK);
            assert_int_equal(pair.message.type, type);
            assert_int_equal(pair.message.step, 1000);
            assert_int_equal(pair.frame.present, bytes != NULL);
            assert_int_equal(frame_size(&pair.frame), size);
            if (bytes)
                assert_memory_equal(frame_data(&pair.frame), bytes, size);
            /* and back to who sent it */
            assert_true(s_send_sample(pair.server, &pair.peer, type, bytes, size));
            pair_receive(&pair, pair.worker);
            assert_int_equal(pair.status, WIRE_OK);
            assert_int_equal(pair.message.type, type);
            assert_int_equal(frame_size(&pair.frame), size);
        }
        wire_peer_t stranger = {5, {0, 9, 9, 9, 9}};
        assert_false(s_send_sample(pair.server, &stranger, WIRE_END, NULL, 0));
        assert_false(s_send_sample(pair.server, &stranger, WIRE_STEP, "x", 1));
        assert_true(s_send_sample(pair.server, &pair.peer, WIRE_END, NULL, 0));
        pair_receive(&pair, pair.worker);
        assert_int_equal(pair.message.type, WIRE_END);
        frame_clear(&pair.frame);
        assert_false(link_receive(pair.worker, &pair.peer, &pair.message, &pair.frame,
                                  &pair.status)); /* and nothing else */
        pair_close(&pair);
    }
}

static void test_traffic_is_counted(void **state)
{
    (void)state;
    pair_t pair;
    pair_open(&pair, LINK_CONTROL_SERVER, LINK_CONTROL_WORKER, "tcp://127.0.0.1:*");
    assert_true(s_send_sample(pair.worker, NULL, WIRE_HELLO, NULL, 0));
    pair_receive(&pair, pair.server);
    for (int i = 0; i < 2; i++) {
        assert_true(s_send_sample(pair.server, &pair.peer, WIRE_STEP, "weights", 7));
        pair_receive(&pair, pair.worker);
    }
    wire_peer_t stranger = {5, {0, 9, 9, 9, 9}};
    assert_false(s_send_sample(pair.server, &stranger, WIRE_END, NULL, 0)); /* does not count */
    link_traffic_t server = {0}, worker = {0}, both = {0};
    link_traffic(pair.server, &server);
    link_traffic(pair.worker, &worker);
    assert_int_equal(server.messages_in, 1);
    assert_int_equal(server.messages_out, 2);
    assert_int_equal(worker.messages_in, 2);
    assert_int_equal(worker.messages_out, 1);
    assert_int_equal(server.bytes_in, worker.bytes_out);
    assert_int_equal(server.bytes_out, worker.bytes_in);
    wire_t step = wire_sample(WIRE_STEP);
    wire_buffer_t *buffer = wire_buffer_new();
    const void *header;
    size_t size;
    uint64_t digest = wire_digest("weights", 7);
    wire_encode(buffer, &step, &digest, &header, &size);
    assert_int_equal(server.bytes_out, 2 * (size + 7));
    link_traffic(pair.server, &both);
    link_traffic(pair.worker, &both);
    assert_int_equal(both.bytes_in, both.bytes_out);
    wire_buffer_destroy(&buffer);
    pair_close(&pair);
}

static void test_gradients_pass_and_are_aligned(void **state)
{
    (void)state;
    /* small messages lie in libzmq's receive buffer, one behind the other at any address */
    pair_t pair;
    pair_open(&pair, LINK_GRADIENTS_SERVER, LINK_GRADIENTS_WORKER, "tcp://127.0.0.1:*");
    zmq_pollitem_t connected = {link_socket(pair.worker), 0, ZMQ_POLLOUT, 0};
    assert_int_equal(zmq_poll(&connected, 1, 10000), 1);
    for (size_t n = 1; n <= 60; n++) {
        float values[60];
        for (size_t i = 0; i < n; i++)
            values[i] = (float)(i + n) / 3;
        wire_t message = wire_sample(WIRE_PARTIAL);
        message.partial.rows = (uint64_t)1 << n; /* headers of many lengths */
        for (int copy = 0; copy < 3; copy++) {
            frame_t frame = {.present = false};
            frame_copy_of(&frame, values, n * sizeof(float));
            assert_true(link_send(pair.worker, NULL, &message, &frame));
        }
        for (int copy = 0; copy < 3; copy++) {
            pair_receive(&pair, pair.server);
            assert_int_equal(pair.status, WIRE_OK);
            assert_int_equal(pair.message.partial.rows, (uint64_t)1 << n);
            assert_int_equal((uintptr_t)frame_data(&pair.frame) % sizeof(float), 0);
            assert_int_equal(frame_size(&pair.frame), n * sizeof(float));
            assert_memory_equal(frame_data(&pair.frame), values, n * sizeof(float));
        }
    }
    pair_close(&pair);
}

/* One message of these parts. */
static void s_send_raw(void *socket, const char *const *parts, const size_t *sizes, int n_parts)
{
    for (int i = 0; i < n_parts; i++)
        assert_int_equal(zmq_send(socket, parts[i], sizes[i], i + 1 < n_parts ? ZMQ_SNDMORE : 0),
                         sizes[i]);
}

static void s_flood(pair_t *pair, void *socket, bool router)
{
    wire_t good = wire_sample(WIRE_PARTIAL);
    wire_buffer_t *buffer = wire_buffer_new();
    const void *header;
    size_t size;
    uint64_t digest = wire_digest(WIRE_SAMPLES_FRAME, strlen(WIRE_SAMPLES_FRAME));
    wire_encode(buffer, &good, &digest, &header, &size);
    const char *big = calloc(1, 100000);
    wire_t leaving = wire_sample(WIRE_BYE);
    wire_buffer_t *other = wire_buffer_new();
    const void *bye;
    size_t bye_size;
    wire_encode(other, &leaving, NULL, &bye, &bye_size);
    char *damaged = malloc(size);
    memcpy(damaged, header, size);
    damaged[size - 20] ^= 1;
    const struct {
        const char *parts[5];
        size_t sizes[5];
        int n;
        wire_status_t status;
    } cases[] = {
        {{""}, {0}, 1, WIRE_BAD_BYTES},
        {{"", ""}, {0, 0}, 2, WIRE_BAD_BYTES},
        {{"\xc1"}, {1}, 1, WIRE_BAD_BYTES},
        {{"garbage"}, {7}, 1, WIRE_BAD_MAGIC},
        {{big}, {100000}, 1, WIRE_BAD_MAGIC},
        {{header}, {size}, 1, WIRE_BAD_FRAME},             /* the frame is missing */
        {{header, "other"}, {size, 5}, 2, WIRE_BAD_FRAME}, /* another one */
        {{header, ""}, {size, 0}, 2, WIRE_BAD_FRAME},
        {{bye}, {bye_size}, 1, WIRE_OK},
        {{bye, "x"}, {bye_size, 1}, 2, WIRE_BAD_FRAME}, /* one too many */
        {{damaged, WIRE_SAMPLES_FRAME}, {size, strlen(WIRE_SAMPLES_FRAME)}, 2, WIRE_BAD_DIGEST},
        {{header, WIRE_SAMPLES_FRAME}, {size - 8, strlen(WIRE_SAMPLES_FRAME)}, 2, WIRE_BAD_DIGEST},
        {{header, WIRE_SAMPLES_FRAME, "x"},
         {size, strlen(WIRE_SAMPLES_FRAME), 1},
         3,
         WIRE_BAD_BYTES},
        {{"a", "b", "c", "d", big}, {1, 1, 1, 1, 100000}, 5, WIRE_BAD_BYTES},
        {{"", header, WIRE_SAMPLES_FRAME},
         {0, size, strlen(WIRE_SAMPLES_FRAME)},
         3,
         WIRE_BAD_BYTES}, /* as a REQ socket would */
    };
    size_t n_cases = sizeof(cases) / sizeof(cases[0]);
    for (size_t i = 0; i < n_cases; i++) {
        s_send_raw(socket, cases[i].parts, cases[i].sizes, cases[i].n);
        pair_receive(pair, pair->server);
        if (pair->status != cases[i].status)
            fail_msg("case %zu: saw '%s', expected '%s'", i, wire_status_text(pair->status),
                     wire_status_text(cases[i].status));
        assert_false(pair->frame.present);
        /* the next one is whole again */
        const char *parts[] = {header, WIRE_SAMPLES_FRAME};
        size_t sizes[] = {size, strlen(WIRE_SAMPLES_FRAME)};
        s_send_raw(socket, parts, sizes, 2);
        pair_receive(pair, pair->server);
        assert_int_equal(pair->status, WIRE_OK);
        assert_int_equal(pair->message.type, WIRE_PARTIAL);
        assert_true(!router || pair->peer.size > 0);
    }
    memcpy(damaged, header, size);
    damaged[8] = 9; /* the version, ... */
    size_t newer_size = size - 8;
    char *newer = (char *)wire_sealed(damaged, &newer_size); /* ... on purpose */
    const char *parts[] = {newer};
    s_send_raw(socket, parts, &newer_size, 1);
    pair_receive(pair, pair->server);
    assert_int_equal(pair->status, WIRE_BAD_VERSION);
    assert_int_equal(pair->message.version, 9);
    free(newer);
    free(damaged);
    free((void *)big);
    wire_buffer_destroy(&buffer);
    wire_buffer_destroy(&other);
}

static void test_garbage_is_refused_and_forgotten(void **state)
{
    (void)state;
    static const struct {
        link_role_t server, worker;
        int type;
    } cases[] = {
        {LINK_CONTROL_SERVER, LINK_CONTROL_WORKER, ZMQ_DEALER},
        {LINK_DATA_SERVER, LINK_DATA_WORKER, ZMQ_DEALER},
        {LINK_GRADIENTS_SERVER, LINK_GRADIENTS_WORKER, ZMQ_PUSH},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pair_t pair;
        pair_open(&pair, cases[i].server, cases[i].worker, "tcp://127.0.0.1:*");
        zsock_t *raw = zsock_new(cases[i].type);
        assert_int_equal(zsock_connect(raw, "%s", link_endpoint(pair.server)), 0);
        s_flood(&pair, zsock_resolve(raw), cases[i].type == ZMQ_DEALER);
        zsock_destroy(&raw);
        pair_close(&pair);
    }
}

static int s_option(link_t *link, int option)
{
    int value = -1;
    size_t size = sizeof(value);
    assert_int_equal(zmq_getsockopt(link_socket(link), option, &value, &size), 0);
    return value;
}

/* On both sides: either may be the only one that has something to send. What it is worth is
 * measured by tests/cluster/measure_heal.bash. */
static void test_a_dead_network_is_noticed_soon(void **state)
{
    (void)state;
    pair_t pair;
    pair_open(&pair, LINK_WEIGHTS_SERVER, LINK_WEIGHTS_WORKER, "tcp://127.0.0.1:*");
    link_t *links[] = {pair.server, pair.worker};
    for (int i = 0; i < 2; i++) {
        assert_in_range(s_option(links[i], ZMQ_TCP_MAXRT), 1, 3000);
        assert_int_equal(s_option(links[i], ZMQ_TCP_KEEPALIVE), 1);
        assert_in_range(s_option(links[i], ZMQ_TCP_KEEPALIVE_IDLE), 1, 1);
        assert_in_range(s_option(links[i], ZMQ_TCP_KEEPALIVE_INTVL), 1, 1);
        assert_in_range(s_option(links[i], ZMQ_CONNECT_TIMEOUT), 1, 1000);
        assert_in_range(s_option(links[i], ZMQ_RECONNECT_IVL_MAX), 1, 500);
    }
    pair_close(&pair);
}

static void test_small_weights_are_queued_longer(void **state)
{
    (void)state;
    static const struct {
        size_t frame_bytes;
        int queue;
    } cases[] = {{0, 4}, {200000, 64}, {1 << 20, 16}, {24000000, 4}, {SIZE_MAX, 4}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        err_t err = {{0}};
        size_t bytes = cases[i].frame_bytes;
        link_t *server = link_bind(LINK_WEIGHTS_SERVER, "tcp://127.0.0.1:*", bytes, &err);
        assert_non_null(server);
        link_t *worker = link_connect(LINK_WEIGHTS_WORKER, link_endpoint(server), bytes, &err);
        assert_non_null(worker);
        assert_int_equal(s_option(server, ZMQ_SNDHWM), cases[i].queue);
        assert_int_equal(s_option(worker, ZMQ_RCVHWM), cases[i].queue);
        link_destroy(&worker);
        link_destroy(&server);
    }
}

#define N_HELD 300

/* link_held_t */
static const float *s_held(void *context, const wire_t *message, size_t frame_size)
{
    assert_int_equal(message->type, WIRE_PARTIAL);
    return frame_size == N_HELD * sizeof(float) ? context : NULL;
}

static void s_send_values(link_t *link, float first, size_t n, bool damaged)
{
    wire_t message = wire_sample(WIRE_PARTIAL);
    frame_t frame = {.present = false};
    frame_new(&frame, n * sizeof(float));
    for (size_t i = 0; i < n; i++)
        ((float *)frame_data(&frame))[i] = first + (float)i;
    if (damaged)
        frame_set_digest(&frame, frame_digest(&frame) ^ 1);
    assert_true(link_send(link, NULL, &message, &frame));
}

static void test_frames_are_added_to_what_is_held(void **state)
{
    (void)state;
    pair_t pair;
    float held[N_HELD], kept[N_HELD];
    pair_open(&pair, LINK_GRADIENTS_SERVER, LINK_GRADIENTS_WORKER, "tcp://127.0.0.1:*");
    zmq_pollitem_t connected = {link_socket(pair.worker), 0, ZMQ_POLLOUT, 0};
    assert_int_equal(zmq_poll(&connected, 1, DEADLINE_MS), 1);
    for (size_t i = 0; i < N_HELD; i++)
        kept[i] = held[i] = 0.25F * (float)i;
    link_add_to(pair.server, s_held, held);
    for (int damaged = 0; damaged < 2; damaged++) {
        s_send_values(pair.worker, 3, N_HELD, damaged);
        pair_receive(&pair, pair.server);
        assert_int_equal(pair.status, damaged ? WIRE_BAD_FRAME : WIRE_OK);
        assert_int_equal(pair.frame.present, !damaged);
        assert_memory_equal(held, kept, sizeof(held)); /* whatever came */
        for (size_t i = 0; i < N_HELD && !damaged; i++)
            assert_true(((float *)frame_data(&pair.frame))[i] == kept[i] + (3 + (float)i));
        assert_true(damaged || (pair.message.added && pair.message.finite));
        assert_true(damaged || !pair.frame.digested); /* it holds the sum */
    }
    s_send_values(pair.worker, 3, N_HELD - 1, false);
    pair_receive(&pair, pair.server);
    assert_int_equal(pair.status, WIRE_OK);
    assert_true(!pair.message.added && pair.frame.digested);
    assert_true(((float *)frame_data(&pair.frame))[5] == 8);
    link_add_to(pair.server, NULL, NULL);
    s_send_values(pair.worker, 3, N_HELD, false);
    pair_receive(&pair, pair.server);
    assert_true(pair.status == WIRE_OK && !pair.message.added);
    pair_close(&pair);
}

static void test_a_quiet_link_is_woken(void **state)
{
    (void)state;
    pair_t pair;
    pair_open(&pair, LINK_CONTROL_SERVER, LINK_CONTROL_WORKER, "tcp://127.0.0.1:*");
    assert_true(s_send_sample(pair.worker, NULL, WIRE_HELLO, NULL, 0));
    pair_receive(&pair, pair.server);
    assert_false(pair_try_receive(&pair, pair.worker));
    assert_true(link_quiet(pair.worker));
    assert_int_equal(pair_poll(pair.worker, 0), 0);
    for (int i = 0; i < 3; i++) {
        assert_true(s_send_sample(pair.server, &pair.peer, WIRE_END, NULL, 0));
        assert_int_equal(pair_poll(pair.worker, DEADLINE_MS), 1);
        assert_false(link_quiet(pair.worker));
        assert_int_equal(pair_poll(pair.worker, DEADLINE_MS), 1); /* it is still there */
        assert_true(pair_try_receive(&pair, pair.worker));
        assert_false(pair_try_receive(&pair, pair.worker));
        assert_true(link_quiet(pair.worker));
    }
    pair_close(&pair);
}

/* Then its descriptor tells of it no more. */
static void test_a_send_takes_the_news_of_a_message(void **state)
{
    (void)state;
    pair_t pair;
    pair_open(&pair, LINK_CONTROL_SERVER, LINK_CONTROL_WORKER, "tcp://127.0.0.1:*");
    assert_true(s_send_sample(pair.worker, NULL, WIRE_HELLO, NULL, 0));
    pair_receive(&pair, pair.server);
    assert_false(pair_try_receive(&pair, pair.worker));
    assert_true(s_send_sample(pair.server, &pair.peer, WIRE_END, NULL, 0));
    zmq_pollitem_t item = {NULL, link_fd(pair.worker), ZMQ_POLLIN, 0};
    int events = 0;
    while (!(events & ZMQ_POLLIN)) { /* what a send does now and then */
        assert_int_equal(zmq_poll(&item, 1, DEADLINE_MS), 1);
        events = s_option(pair.worker, ZMQ_EVENTS);
    }
    assert_true(s_send_sample(pair.worker, NULL, WIRE_BYE, NULL, 0));
    assert_int_equal(pair_poll(pair.worker, DEADLINE_MS), 1);
    assert_true(pair_try_receive(&pair, pair.worker));
    pair_close(&pair);
}

int main(void)
{
    link_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_keep_their_digest),
        scratch_test(test_messages_pass),
        cmocka_unit_test(test_traffic_is_counted),
        cmocka_unit_test(test_gradients_pass_and_are_aligned),
        cmocka_unit_test(test_garbage_is_refused_and_forgotten),
        cmocka_unit_test(test_a_dead_network_is_noticed_soon),
        cmocka_unit_test(test_frames_are_added_to_what_is_held),
        cmocka_unit_test(test_small_weights_are_queued_longer),
        cmocka_unit_test(test_a_quiet_link_is_woken),
        cmocka_unit_test(test_a_send_takes_the_news_of_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
