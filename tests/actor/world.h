/* What the tests of the real server share: a server on a tiny data set, and workers that a test
 * plays and that do their part as they should, or only as much of it as the test wants. A failure
 * of any of these is the test's. */
#ifndef DROVER_TESTS_WORLD_H
#define DROVER_TESTS_WORLD_H

#include "unit/unit.h"

#include <czmq.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/dataset.h"
#include "math/reduce.h"
#include "math/sampler.h"
#include "parameter_server/server.h"
#include "peer.h"

enum {
    WORLD_ROWS = 8 * 21 - 3,
    WORLD_BLOCKS = 21,
    WORLD_STEPS = 4
};

/* A server with its data, and the workers of the script. */
typedef struct {
    dataset_t *data;
    server_t *server;
    sampler_t sampler;
    size_t n_params;
    int alarm; /* readable when a step takes too long */
    char endpoint[LINK_ENDPOINT_SIZE];
    float *weights; /* after the last step; NULL before */
    uint32_t step;
    uint32_t refused; /* over all steps */
    uint32_t duplicates;
    peer_t peers[4];
} world_t;

/* Starts a server that evaluates on `test`, which stays the caller's, every so many steps. `bind`
 * is an endpoint, "ipc" for some abstract one, or NULL for some inproc one: a new one each time,
 * since libzmq frees a name some time after the socket is closed. */
world_t *world_start_evaluated(const char *bind, uint32_t n_steps, uint32_t min_workers,
                               const dataset_t *test, uint32_t evaluate_every);

/* The same without evaluations. */
world_t *world_start(const char *bind, uint32_t n_steps, uint32_t min_workers);

/* The server's next event, with a deadline. Of a step the figures are added up and the weights
 * kept. */
server_event_t world_wait(world_t *world);

/* Every step must have come out as by definition. */
void world_assert_weights(const world_t *world);

/* Closes the peers, and destroys the server, its data and the world. */
void world_end(world_t *world);

/* What a worker sums for a node of a step from the weights of the last step waited for. The caller
 * releases it. */
partial_t world_compute(const world_t *world, uint32_t step, node_t node);

/* Workers */

/* Connects the control plane alone. */
void peer_connect(peer_t *peer, const char *endpoint);

/* Connects, says HELLO and takes the job; not READY yet. */
void peer_join(world_t *world, peer_t *peer, const char *name, bool subscribe);

/* What a worker says when it is there, when it has its data and now and then; and what it says
 * along with the gradient of a node. */
void peer_hello(peer_t *peer, const char *name);
void peer_ready(peer_t *peer);
void peer_heartbeat(peer_t *peer, uint32_t newest_step);
wire_t peer_partial_of(const peer_t *peer, node_t node, const partial_t *sum);

/* Waits for the weights of `step`, reminding the server as a worker does: READY until a first step
 * was heard, heartbeats then. Assignments stay in peer->in. Returns the plane that they came on. */
link_t *peer_expect_step(peer_t *peer, uint32_t step);

/* Sends the partial of a node of the peer's step, as it should be. */
void peer_push(world_t *world, peer_t *peer, node_t node);

/* Sends all that the last STEP or ASSIGN asks this peer for, from the last node to the first, the
 * nodes cut by `cut` levels. Returns the number of blocks. */
uint32_t peer_push_asked(world_t *world, peer_t *peer, uint32_t cut);

/* Sends whatever this peer is asked for, from the last message on, until the weights of the next
 * step come. */
void peer_work_until(world_t *world, peer_t *peer, uint32_t step);

#endif
