/* A plan of faults, to rehearse them.
 *
 * What happens to a message, or to a process in a tick, is a function of (seed, stream, counter)
 * and of nothing else, so that a plan replays. Pure: who injects a fault is link_chaos.h for
 * messages and cli/supervisor.h for processes. The text of a plan:
 *
 *     seed=7,kill=0.01,stall=0.01:2s,drop=0.02,delay=0.05:200ms,duplicate=0.02,corrupt=0.01
 */
#ifndef DROVER_PROTO_CHAOS_H
#define DROVER_PROTO_CHAOS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define CHAOS_TICK_MS   100 /* of process faults */
#define CHAOS_TEXT_SIZE 256

typedef struct {
    uint64_t seed;
    double kill;  /* how often a process is killed, per second; any number >= 0 */
    double stall; /* how often it is stopped, per second, ... */
    double drop;  /* chance of a message, 0 to 1, as are the next three */
    double delay;
    double duplicate;
    double corrupt;
    uint32_t stall_ms; /* ... and for how long at most */
    uint32_t delay_ms; /* how long a message is held back at most */
} chaos_t;

/* What happens to one message. */
typedef struct {
    bool drop; /* and nothing else */
    bool duplicate;
    bool corrupt;
    uint32_t delay_ms; /* 0: none */
    uint32_t place[2]; /* random bits: where to corrupt it */
} chaos_fate_t;

/* What happens to one process in one tick. */
typedef struct {
    bool kill;
    uint32_t stall_ms; /* 0: none */
} chaos_tick_t;

/* Reads the text of a plan. What it does not name is 0, seed 1, and the times of the example above.
 * Returns 0, or -1 with *err naming the key, what was seen and what was expected. */
int chaos_parse(const char *text, chaos_t *plan, err_t *err);

/* The text that reads back to the same plan: what is 0 is left out, but not the seed. */
void chaos_format(const chaos_t *plan, char text[CHAOS_TEXT_SIZE]);

/* Does the plan have faults of processes; of messages? */
bool chaos_of_processes(const chaos_t *plan);
bool chaos_of_messages(const chaos_t *plan);

/* A number for a name: whose messages, which process. */
uint32_t chaos_stream(const char *name);

/* What happens to a stream's message of that number, counted from 0. */
chaos_fate_t chaos_fate(const chaos_t *plan, uint32_t stream, uint64_t number);

/* What happens to a process (its name's stream) in that tick of CHAOS_TICK_MS. */
chaos_tick_t chaos_tick(const chaos_t *plan, uint32_t stream, uint64_t tick);

#endif
