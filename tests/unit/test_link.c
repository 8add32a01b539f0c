/* Endpoints of the planes, and messages from socket to socket: whole, aligned, or refused. */
#include "unit.h"

#include <czmq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/link.h"
#include "scratch.h"
#include "wire_samples.h"

enum {
    DEADLINE_MS = 20000
};

static void test_planes_of_an_endpoint(void **state)
{
    (void)state;
    static const struct {
        const char *bind;
        const char *planes[4]; /* or, when the first is NULL, the error's text */
    } cases[] = {
        {"tcp://127.0.0.1:5570",
         {"tcp://127.0.0.1:5570", "tcp://127.0.0.1:5571", "tcp://127.0.0.1:5572",
          "tcp://127.0.0.1:5573"}},
        {"tcp://*:65532", {"tcp://*:65532", "tcp://*:65533", "tcp://*:65534", "tcp://*:65535"}},
        {"tcp://[::1]:1", {"tcp://[::1]:1", "tcp://[::1]:2", "tcp://[::1]:3", "tcp://[::1]:4"}},
        {"tcp://127.0.0.1:*",
         {"tcp://127.0.0.1:*", "tcp://127.0.0.1:*", "tcp://127.0.0.1:*", "tcp://127.0.0.1:*"}},
        {"ipc:///tmp/x",
         {"ipc:///tmp/x", "ipc:///tmp/x.data", "ipc:///tmp/x.weights", "ipc:///tmp/x.gradients"}},
        {"inproc://a:b",
         {"inproc://a:b", "inproc://a:b.data", "inproc://a:b.weights", "inproc://a:b.gradients"}},
        {"127.0.0.1:5570",
         {NULL, "'127.0.0.1:5570' is no endpoint, expected tcp://HOST:PORT or "
                "ipc://PATH"}},
        {"tcp://127.0.0.1",
         {NULL, "'tcp://127.0.0.1' is no endpoint, expected tcp://HOST:PORT or "
                "ipc://PATH"}},
        {"udp://127.0.0.1:5570",
         {NULL, "'udp://127.0.0.1:5570' is no endpoint, expected tcp://HOST:PORT or "
                "ipc://PATH"}},
        {"", {NULL, "'' is no endpoint, expected tcp://HOST:PORT or ipc://PATH"}},
        {"tcp://h:0", {NULL, "'tcp://h:0' has port '0', expected 1 to 65532 or *"}},
        {"tcp://h:65533", {NULL, "'tcp://h:65533' has port '65533', expected 1 to 65532 or *"}},
        {"tcp://h:99999999999999999999",
         {NULL, "'tcp://h:99999999999999999999' has port '99999999999999999999', "
                "expected 1 to 65532 or *"}},
        {"tcp://h:-1", {NULL, "'tcp://h:-1' has port '-1', expected 1 to 65532 or *"}},
        {"tcp://h:", {NULL, "'tcp://h:' has port '', expected 1 to 65532 or *"}},
        {"tcp://h:5x", {NULL, "'tcp://h:5x' has port '5x', expected 1 to 65532 or *"}},
        {"tcp://h:http", {NULL, "'tcp://h:http' has port 'http', expected 1 to 65532 or *"}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char planes[4][LINK_ENDPOINT_SIZE];
        err_t err = {{0}};
        int r = link_planes(cases[i].bind, planes, &err);
        if (!cases[i].planes[0]) {
            assert_int_equal(r, -1);
            assert_string_equal(err.text, cases[i].planes[1]);
            continue;
        }
        assert_int_equal(r, 0);
        for (int p = 0; p < 4; p++)
            assert_string_equal(planes[p], cases[i].planes[p]);
    }
    char longest[400] = "ipc://";
    memset(longest + 6, 'a', 300);
    char planes[4][LINK_ENDPOINT_SIZE];
    err_t err = {{0}};
    assert_int_equal(link_planes(longest, planes, &err), -1);
    scratch_assert_contains(err.text, "longer than 240 characters");
    longest[240] = '\0';
    assert_int_equal(link_planes(longest, planes, &err), 0);
    assert_int_equal(strlen(planes[3]), 240 + strlen(".gradients"));
}

static void test_names_of_planes(void **state)
{
    (void)state;
    static const struct {
        const char *control, *plane, *name; /* at the server */
        const char *reached, *found;        /* at the worker */
    } cases[] = {
        {"tcp://0.0.0.0:5570", "tcp://0.0.0.0:5571", ":5571", "tcp://10.0.0.7:5570",
         "tcp://10.0.0.7:5571"},
        {"tcp://[::]:40000", "tcp://[::]:41111", ":41111", "tcp://[fe80::1]:40000",
         "tcp://[fe80::1]:41111"},
        {"ipc:///run/s", "ipc:///run/s.data", ".data", "ipc:///run/s", "ipc:///run/s.data"},
        {"inproc://s", "inproc://s.weights", ".weights", "inproc://s", "inproc://s.weights"},
    };
    err_t err = {{0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[WIRE_PLANE_SIZE], endpoint[LINK_ENDPOINT_SIZE];
        link_plane_name(cases[i].control, cases[i].plane, name);
        assert_string_equal(name, cases[i].name);
        assert_int_equal(link_plane_endpoint(cases[i].reached, name, endpoint, &err), 0);
        assert_string_equal(endpoint, cases[i].found);
    }
    static const struct {
        const char *control, *name, *text;
    } bad[] = {
        {"tcp://h:1", ".data", "tcp://h:1: the server names a plane '.data', expected ':port'"},
        {"tcp://h:1", "", "tcp://h:1: the server names a plane '', expected ':port'"},
        {"tcp://h:1", "tcp://evil:1",
         "tcp://h:1: the server names a plane 'tcp://evil:1', expected ':port'"},
        {"ipc:///x", ":5571", "ipc:///x: the server names a plane ':5571', expected '.suffix'"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char endpoint[LINK_ENDPOINT_SIZE];
        assert_int_equal(link_plane_endpoint(bad[i].control, bad[i].name, endpoint, &err), -1);
        assert_string_equal(err.text, bad[i].text);
    }
    char longest[LINK_ENDPOINT_SIZE], endpoint[LINK_ENDPOINT_SIZE];
    memset(longest, 'a', sizeof(longest));
    memcpy(longest, "ipc://", 6);
    longest[sizeof(longest) - 3] = '\0';
    assert_int_equal(link_plane_endpoint(longest, ".data", endpoint, &err), -1);
}

static void test_an_endpoint_in_use(void **state)
{
    (void)state;
    err_t err = {{0}};
    link_t *first = link_bind(LINK_CONTROL_SERVER, "tcp://127.0.0.1:*", 0, &err);
    assert_non_null(first);
    const char *endpoint = link_endpoint(first);
    scratch_assert_contains(endpoint, "tcp://127.0.0.1:");
    assert_null(strchr(endpoint, '*'));
    assert_null(link_bind(LINK_GRADIENTS_SERVER, endpoint, 0, &err));
    char expected[512];
    (void)snprintf(expected, sizeof(expected),
                   "%s: cannot bind the gradients plane: Address already in use", endpoint);
    assert_string_equal(err.text, expected);
    assert_null(link_bind(LINK_DATA_SERVER, "tcp://no.such.host.invalid:1", 0, &err));
    scratch_assert_contains(err.text, "tcp://no.such.host.invalid:1: cannot bind the data plane: ");
    assert_null(link_bind(LINK_DATA_SERVER, "ipc:///no/such/folder/x", 0, &err));
    scratch_assert_contains(err.text, "ipc:///no/such/folder/x: cannot bind the data plane: ");
    link_destroy(&first);
    link_destroy(&first);
}

static void test_endpoints_that_cannot_be_connected_to(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"10.0.0.1:5570", "'10.0.0.1:5570' is no endpoint, expected tcp://HOST:PORT or ipc://PATH"},
        {"tcp://h:*", "'tcp://h:*' has port '*', expected 1 to 65535"},
        {"tcp://h:65536", "'tcp://h:65536' has port '65536', expected 1 to 65535"},
        {"tcp://*:1", "tcp://*:1: cannot connect the control plane: Invalid argument"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        err_t err = {{0}};
        assert_null(link_connect(LINK_CONTROL_WORKER, cases[i][0], 0, &err));
        assert_string_equal(err.text, cases[i][1]);
    }
}

/* A socket of the file system belongs to who listens on it; what a dead process left is replaced.
 */
static void test_takes_no_ipc_endpoint_away(void **state)
{
    char ipc[128];
    err_t err = {{0}};
    (void)snprintf(ipc, sizeof(ipc), "ipc://%s/taken", (const char *)*state);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = ipc + strlen("ipc://");
    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path));
    int left = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(left, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(close(left), 0);
    link_t *first = link_bind(LINK_CONTROL_SERVER, ipc, 0, &err);
    assert_non_null(first);
    assert_null(link_bind(LINK_CONTROL_SERVER, ipc, 0, &err));
    scratch_assert_contains(err.text,
                            "/taken: cannot bind the control plane: Address already in use");
    assert_int_equal(access(address.sun_path, F_OK), 0);
    link_destroy(&first);
    first = link_bind(LINK_CONTROL_SERVER, ipc, 0, &err);
    assert_non_null(first);
    link_destroy(&first);
}

static void test_raises_the_limit_of_descriptors(void **state)
{
    (void)state;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    link_init();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(limit.rlim_cur, limit.rlim_max);
}

/* Two ends of a plane and what the last message brought. */
typedef struct {
    link_t *server;
    link_t *worker;
    wire_peer_t peer;
    wire_t message;
    frame_t frame;
    wire_status_t status;
} pair_t;

static void s_open(pair_t *pair, link_role_t server, link_role_t worker, const char *endpoint)
{
    err_t err = {{0}};
    memset(pair, 0, sizeof(*pair));
    pair->server = link_bind(server, endpoint, 1 << 20, &err);
    assert_non_null(pair->server);
    pair->worker = link_connect(worker, link_endpoint(pair->server), 1 << 20, &err);
    assert_non_null(pair->worker);
}

static void s_close(pair_t *pair)
{
    link_destroy(&pair->server);
    link_destroy(&pair->worker);
    frame_clear(&pair->frame);
    wire_clear(&pair->message);
}

/* Waits for a message. */
static void s_receive(pair_t *pair, link_t *link)
{
    frame_clear(&pair->frame);
    zmq_pollitem_t item = {link_socket(link), 0, ZMQ_POLLIN, 0};
    while (!link_receive(link, &pair->peer, &pair->message, &pair->frame, &pair->status))
        assert_int_equal(zmq_poll(&item, 1, DEADLINE_MS), 1);
}

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
    s_open(&pair, LINK_GRADIENTS_SERVER, LINK_GRADIENTS_WORKER, "inproc://digests");
    wire_t message = wire_sample(WIRE_PARTIAL);
    for (int lie = 0; lie < 2; lie++) { /* what is said is what is sent, right or wrong */
        frame_t sent = {.present = false};
        frame_copy_of(&sent, floats, sizeof(floats));
        frame_set_digest(&sent, frame.digest + (uint64_t)lie);
        assert_true(link_send(pair.worker, NULL, &message, &sent));
        s_receive(&pair, pair.server);
        assert_int_equal(pair.status, lie ? WIRE_BAD_FRAME : WIRE_OK);
        assert_int_equal(pair.frame.present, !lie);
        if (!lie)
            assert_true(pair.frame.digested && pair.frame.digest == frame.digest);
    }
    frame_clear(&frame);
    s_close(&pair);
}

static void test_messages_pass(void **state)
{
    char ipc[128];
    (void)snprintf(ipc, sizeof(ipc), "ipc://%s/s", (const char *)*state);
    const char *endpoints[] = {"inproc://test-link", ipc, "tcp://127.0.0.1:*"};
    for (int i = 0; i < 3; i++) {
        pair_t pair;
        s_open(&pair, LINK_CONTROL_SERVER, LINK_CONTROL_WORKER, endpoints[i]);
        for (wire_type_t type = WIRE_HELLO; type <= WIRE_EVALUATED; type++) {
            const char *bytes = wire_has_frame(type) ? WIRE_SAMPLES_FRAME : NULL;
            size_t size = bytes ? strlen(bytes) : 0;
            assert_true(s_send_sample(pair.worker, NULL, type, bytes, size));
            s_receive(&pair, pair.server);
            assert_int_equal(pair.status, WIRE_OK);
            assert_int_equal(pair.message.type, type);
            assert_int_equal(pair.message.step, 1000);
            assert_int_equal(pair.frame.present, bytes != NULL);
            assert_int_equal(frame_size(&pair.frame), size);
            if (bytes)
                assert_memory_equal(frame_data(&pair.frame), bytes, size);
            /* and back to who sent it */
            assert_true(s_send_sample(pair.server, &pair.peer, type, bytes, size));
            s_receive(&pair, pair.worker);
            assert_int_equal(pair.status, WIRE_OK);
            assert_int_equal(pair.message.type, type);
            assert_int_equal(frame_size(&pair.frame), size);
        }
        wire_peer_t stranger = {5, {0, 9, 9, 9, 9}};
        assert_false(s_send_sample(pair.server, &stranger, WIRE_END, NULL, 0));
        assert_false(s_send_sample(pair.server, &stranger, WIRE_STEP, "x", 1));
        assert_true(s_send_sample(pair.server, &pair.peer, WIRE_END, NULL, 0));
        s_receive(&pair, pair.worker);
        assert_int_equal(pair.message.type, WIRE_END);
        frame_clear(&pair.frame);
        assert_false(link_receive(pair.worker, &pair.peer, &pair.message, &pair.frame,
                                  &pair.status)); /* and nothing else */
        s_close(&pair);
    }
}

static void test_traffic_is_counted(void **state)
{
    (void)state;
    pair_t pair;
    s_open(&pair, LINK_CONTROL_SERVER, LINK_CONTROL_WORKER, "tcp://127.0.0.1:*");
    assert_true(s_send_sample(pair.worker, NULL, WIRE_HELLO, NULL, 0));
    s_receive(&pair, pair.server);
    for (int i = 0; i < 2; i++) {
        assert_true(s_send_sample(pair.server, &pair.peer, WIRE_STEP, "weights", 7));
        s_receive(&pair, pair.worker);
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
    s_close(&pair);
}

static void test_gradients_pass_and_are_aligned(void **state)
{
    (void)state;
    /* small messages lie in libzmq's receive buffer, one behind the other at any address */
    pair_t pair;
    s_open(&pair, LINK_GRADIENTS_SERVER, LINK_GRADIENTS_WORKER, "tcp://127.0.0.1:*");
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
            s_receive(&pair, pair.server);
            assert_int_equal(pair.status, WIRE_OK);
            assert_int_equal(pair.message.partial.rows, (uint64_t)1 << n);
            assert_int_equal((uintptr_t)frame_data(&pair.frame) % sizeof(float), 0);
            assert_int_equal(frame_size(&pair.frame), n * sizeof(float));
            assert_memory_equal(frame_data(&pair.frame), values, n * sizeof(float));
        }
    }
    s_close(&pair);
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
        s_receive(pair, pair->server);
        if (pair->status != cases[i].status)
            fail_msg("case %zu: saw '%s', expected '%s'", i, wire_status_text(pair->status),
                     wire_status_text(cases[i].status));
        assert_false(pair->frame.present);
        /* the next one is whole again */
        const char *parts[] = {header, WIRE_SAMPLES_FRAME};
        size_t sizes[] = {size, strlen(WIRE_SAMPLES_FRAME)};
        s_send_raw(socket, parts, sizes, 2);
        s_receive(pair, pair->server);
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
    s_receive(pair, pair->server);
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
        s_open(&pair, cases[i].server, cases[i].worker, "tcp://127.0.0.1:*");
        zsock_t *raw = zsock_new(cases[i].type);
        assert_int_equal(zsock_connect(raw, "%s", link_endpoint(pair.server)), 0);
        s_flood(&pair, zsock_resolve(raw), cases[i].type == ZMQ_DEALER);
        zsock_destroy(&raw);
        s_close(&pair);
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
    s_open(&pair, LINK_WEIGHTS_SERVER, LINK_WEIGHTS_WORKER, "tcp://127.0.0.1:*");
    link_t *links[] = {pair.server, pair.worker};
    for (int i = 0; i < 2; i++) {
        assert_in_range(s_option(links[i], ZMQ_TCP_MAXRT), 1, 3000);
        assert_int_equal(s_option(links[i], ZMQ_TCP_KEEPALIVE), 1);
        assert_in_range(s_option(links[i], ZMQ_TCP_KEEPALIVE_IDLE), 1, 1);
        assert_in_range(s_option(links[i], ZMQ_TCP_KEEPALIVE_INTVL), 1, 1);
        assert_in_range(s_option(links[i], ZMQ_CONNECT_TIMEOUT), 1, 1000);
        assert_in_range(s_option(links[i], ZMQ_RECONNECT_IVL_MAX), 1, 500);
    }
    s_close(&pair);
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
    s_open(&pair, LINK_GRADIENTS_SERVER, LINK_GRADIENTS_WORKER, "tcp://127.0.0.1:*");
    zmq_pollitem_t connected = {link_socket(pair.worker), 0, ZMQ_POLLOUT, 0};
    assert_int_equal(zmq_poll(&connected, 1, DEADLINE_MS), 1);
    for (size_t i = 0; i < N_HELD; i++)
        kept[i] = held[i] = 0.25F * (float)i;
    link_add_to(pair.server, s_held, held);
    for (int damaged = 0; damaged < 2; damaged++) {
        s_send_values(pair.worker, 3, N_HELD, damaged);
        s_receive(&pair, pair.server);
        assert_int_equal(pair.status, damaged ? WIRE_BAD_FRAME : WIRE_OK);
        assert_int_equal(pair.frame.present, !damaged);
        assert_memory_equal(held, kept, sizeof(held)); /* whatever came */
        for (size_t i = 0; i < N_HELD && !damaged; i++)
            assert_true(((float *)frame_data(&pair.frame))[i] == kept[i] + (3 + (float)i));
        assert_true(damaged || (pair.message.added && pair.message.finite));
        assert_true(damaged || !pair.frame.digested); /* it holds the sum */
    }
    s_send_values(pair.worker, 3, N_HELD - 1, false);
    s_receive(&pair, pair.server);
    assert_int_equal(pair.status, WIRE_OK);
    assert_true(!pair.message.added && pair.frame.digested);
    assert_true(((float *)frame_data(&pair.frame))[5] == 8);
    link_add_to(pair.server, NULL, NULL);
    s_send_values(pair.worker, 3, N_HELD, false);
    s_receive(&pair, pair.server);
    assert_true(pair.status == WIRE_OK && !pair.message.added);
    s_close(&pair);
}

static int s_poll(link_t *link, long timeout_ms)
{
    zmq_pollitem_t item = {link_socket(link), 0, ZMQ_POLLIN, 0};
    int n = link_poll(&item, &link, 1, timeout_ms);
    assert_int_equal(item.revents, n ? ZMQ_POLLIN : 0);
    return n;
}

static bool s_try_receive(pair_t *pair, link_t *link)
{
    frame_clear(&pair->frame);
    return link_receive(link, &pair->peer, &pair->message, &pair->frame, &pair->status);
}

static void test_a_quiet_link_is_woken(void **state)
{
    (void)state;
    pair_t pair;
    s_open(&pair, LINK_CONTROL_SERVER, LINK_CONTROL_WORKER, "tcp://127.0.0.1:*");
    assert_true(s_send_sample(pair.worker, NULL, WIRE_HELLO, NULL, 0));
    s_receive(&pair, pair.server);
    assert_false(s_try_receive(&pair, pair.worker));
    assert_true(link_quiet(pair.worker));
    assert_int_equal(s_poll(pair.worker, 0), 0);
    for (int i = 0; i < 3; i++) {
        assert_true(s_send_sample(pair.server, &pair.peer, WIRE_END, NULL, 0));
        assert_int_equal(s_poll(pair.worker, DEADLINE_MS), 1);
        assert_false(link_quiet(pair.worker));
        assert_int_equal(s_poll(pair.worker, DEADLINE_MS), 1); /* it is still there */
        assert_true(s_try_receive(&pair, pair.worker));
        assert_false(s_try_receive(&pair, pair.worker));
        assert_true(link_quiet(pair.worker));
    }
    s_close(&pair);
}

/* Then its descriptor tells of it no more. */
static void test_a_send_takes_the_news_of_a_message(void **state)
{
    (void)state;
    pair_t pair;
    s_open(&pair, LINK_CONTROL_SERVER, LINK_CONTROL_WORKER, "tcp://127.0.0.1:*");
    assert_true(s_send_sample(pair.worker, NULL, WIRE_HELLO, NULL, 0));
    s_receive(&pair, pair.server);
    assert_false(s_try_receive(&pair, pair.worker));
    assert_true(s_send_sample(pair.server, &pair.peer, WIRE_END, NULL, 0));
    zmq_pollitem_t item = {NULL, link_fd(pair.worker), ZMQ_POLLIN, 0};
    int events = 0;
    while (!(events & ZMQ_POLLIN)) { /* what a send does now and then */
        assert_int_equal(zmq_poll(&item, 1, DEADLINE_MS), 1);
        events = s_option(pair.worker, ZMQ_EVENTS);
    }
    assert_true(s_send_sample(pair.worker, NULL, WIRE_BYE, NULL, 0));
    assert_int_equal(s_poll(pair.worker, DEADLINE_MS), 1);
    assert_true(s_try_receive(&pair, pair.worker));
    s_close(&pair);
}

int main(void)
{
    link_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_planes_of_an_endpoint),
        cmocka_unit_test(test_names_of_planes),
        cmocka_unit_test(test_an_endpoint_in_use),
        cmocka_unit_test(test_endpoints_that_cannot_be_connected_to),
        scratch_test(test_takes_no_ipc_endpoint_away),
        cmocka_unit_test(test_raises_the_limit_of_descriptors),
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
