/* Endpoints of the planes: their names, and who may bind or connect to them. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/link.h"
#include "scratch.h"

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
        {"tcp://::1:5570",
         {NULL, "'tcp://::1:5570' has more than one ':', expected [ADDRESS] for one of IPv6"}},
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
    link_t *other = link_bind(LINK_CONTROL_SERVER, "tcp://lo:*", 0, &err);
    assert_non_null(other); /* said so that somebody can connect to it */
    scratch_assert_contains(link_endpoint(other), "tcp://127.0.0.1:");
    link_destroy(&other);
    assert_null(link_bind(LINK_GRADIENTS_SERVER, endpoint, 0, &err));
    char expected[512];
    (void)snprintf(expected, sizeof(expected),
                   "%s: cannot bind the gradients plane: Address already in use", endpoint);
    assert_string_equal(err.text, expected);
    assert_null(link_bind(LINK_DATA_SERVER, "tcp://no.such.host.invalid:1", 0, &err));
    scratch_assert_contains(err.text, "tcp://no.such.host.invalid:1: cannot bind the data plane: ");
    assert_null(link_bind(LINK_DATA_SERVER, "tcp://localhost:*", 0, &err));
    assert_string_equal(err.text, "tcp://localhost:*: cannot bind the data plane: No such device, "
                                  "expected an address or interface of this machine, or *");
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
