/* Two ends of a plane, both of this process, and what the last message brought. */
#ifndef DROVER_TESTS_PAIR_H
#define DROVER_TESTS_PAIR_H

#include "unit.h"

#include <stdbool.h>
#include <string.h>
#include <zmq.h>

#include "base/clock.h"
#include "proto/link.h"

enum {
    DEADLINE_MS = 20000
};

typedef struct {
    link_t *server;
    link_t *worker;
    wire_peer_t peer;
    wire_t message;
    frame_t frame;
    wire_status_t status;
} pair_t;

static inline void pair_open(pair_t *pair, link_role_t server, link_role_t worker,
                             const char *endpoint)
{
    err_t err = {{0}};
    memset(pair, 0, sizeof(*pair));
    pair->server = link_bind(server, endpoint, 1 << 20, &err);
    assert_non_null(pair->server);
    pair->worker = link_connect(worker, link_endpoint(pair->server), 1 << 20, &err);
    assert_non_null(pair->worker);
}

static inline void pair_close(pair_t *pair)
{
    link_destroy(&pair->server);
    link_destroy(&pair->worker);
    frame_clear(&pair->frame);
    wire_clear(&pair->message);
}

/* link_poll of one end. */
static inline int pair_poll(link_t *link, long timeout_ms)
{
    zmq_pollitem_t item = {link_socket(link), 0, ZMQ_POLLIN, 0};
    int n = link_poll(&item, &link, 1, timeout_ms);
    assert_int_equal(item.revents, n ? ZMQ_POLLIN : 0);
    return n;
}

/* A message at one end; false when there is none. */
static inline bool pair_try_receive(pair_t *pair, link_t *link)
{
    frame_clear(&pair->frame);
    return link_receive(link, &pair->peer, &pair->message, &pair->frame, &pair->status);
}

/* Waits for one. */
static inline void pair_receive(pair_t *pair, link_t *link)
{
    int64_t until_ms = clock_ms() + DEADLINE_MS;
    while (!pair_try_receive(pair, link)) {
        assert_true(clock_ms() < until_ms);
        (void)pair_poll(link, DEADLINE_MS);
    }
}

#endif
