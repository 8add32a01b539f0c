/* A simulated cluster: a server, relays and workers as their pure modules, with a clock and a
 * seeded network between them that loses, delays, duplicates, reorders, damages and cuts. One
 * worker may be a liar.
 */
#ifndef DROVER_TESTS_SIM_WORLD_H
#define DROVER_TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/pool.h"
#include "parameter_server/coordinator.h"
#include "sim/queue.h"
#include "workers/forwarder.h"
#include "workers/gradient.h"
#include "workers/session.h"

#define N_STEPS     6
#define MAX_WORKERS 5
#define MAX_RELAYS  3
#define MAX_PEERS   (MAX_WORKERS + MAX_RELAYS)
#define LIAR        0    /* the worker that is one, when there is one */
#define SERVER      (-1) /* as a peer's parent, and as a place */
#define KERNEL      "dense/simulated"

typedef struct world world_t;

/* The server or a relay, as what its dispatcher's ports are told. */
typedef struct {
    world_t *world;
    int index; /* of the peer; or SERVER */
} place_t;

/* A worker or a relay: whoever has something above. */
typedef struct {
    place_t place;
    bool relay;
    int parent; /* a relay's index, or SERVER */
    bool alive;
    uint32_t connection; /* by which the parent knows it; another after each reconnection */
    uint32_t life;       /* tasks and messages of an earlier one are void */
    double stalled_until_ms;
    double cut_until_ms;    /* nothing goes through between it and its parent */
    double reborn_ms;       /* when it comes back, while it is dead */
    forwarder_t *forwarder; /* of a relay; what follows is a worker's */
    session_t *session;
    gradient_t *gradient;
    frame_t weights;
    frame_t evaluated; /* those of an evaluation */
    uint32_t epoch;    /* tasks of an earlier one are cancelled */
    double block_ms;   /* how slow it is */
} peer_t;

struct world {
    uint64_t seed;
    uint64_t random;
    double now_ms;
    queue_t *queue;
    wire_buffer_t *codec;
    wire_t in;
    /* the plan of this schedule */
    int n_workers, n_relays;
    double drop, delay_ms, duplicate, damage, stall, cut, kill, kill_server;
    double lie; /* the liar sends such a part of its partials with a bit flipped */
    uint32_t checkpoint_every;
    /* what is trained */
    server_job_t job;
    const double *rows;            /* borrowed; (N_STEPS + 1) that each step samples */
    const trial_result_t *results; /* borrowed; (N_STEPS + 1) of each evaluation */
    pool_t *buffers;
    place_t place;         /* the server's */
    coordinator_t *server; /* NULL while it is down */
    double server_back_ms;
    uint32_t next_connection;
    server_record_t *last;       /* the newest step */
    server_record_t *kept;       /* the newest checkpoint, or NULL */
    uint32_t n_done;             /* steps of the history that stands */
    bool unaudited[N_STEPS + 1]; /* does it have nodes of such a step that one worker alone did? */
    uint64_t n_messages;
    uint64_t n_kills;
    uint64_t n_lies;
    uint64_t n_exposed;      /* times that the liar was refused for what it had sent */
    peer_t peers[MAX_PEERS]; /* workers first, then relays */
};

/* splitmix64 (Steele, Lea, Flood 2014): one stream a schedule. */
uint64_t world_random(world_t *self);
double world_uniform(world_t *self);
bool world_chance(world_t *self, double probability);

/* The world's job, seed and plan are set. */
void world_open(world_t *self);
void world_close(world_t *self);

/* Takes the next event and lets it happen. */
void world_advance(world_t *self);

/* Prints the seed and what is wrong, and ends the program. */
void world_fail(const world_t *self, const char *what) __attribute__((noreturn));

#endif
