/* Workers that do not compute, many to a thread, for benchmarks: real sessions with real sockets of
 * their own, and canned partials.
 *
 * A node's canned partial is the canonical sum of those of its blocks, which are functions of
 * (seed, step, block): the weights at the end are the same for any number of workers, directly
 * below the server or below relays, and other ones when anything is summed in another order or
 * twice. Gradients may be made once and sent in every step, so that to make them takes no time.
 */
#ifndef DROVER_WORKERS_SIMULATED_H
#define DROVER_WORKERS_SIMULATED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "data/dataset.h"

typedef struct {
    const char *const *endpoints; /* control endpoints: worker i joins endpoints[i % n_endpoints] */
    uint32_t n_endpoints;
    uint32_t hold_every; /* workers 0, hold_every, ... say READY in simulated_run and not before */
    uint32_t first;      /* the workers first to first + n_workers - 1 */
    uint32_t n_workers;
    bool fixed; /* gradients of (seed, block) alone: a worker keeps the last one that it made */
    const dataset_t *data; /* the training set: nothing is fetched */
} simulated_config_t;

typedef struct simulated simulated_t;

/* Connects all control planes. `config` is borrowed for the workers' life. Needs link_init and, for
 * some 250 workers and more, link_many. NULL with *err. */
simulated_t *simulated_new(const simulated_config_t *config, err_t *err);
void simulated_destroy(simulated_t **self_p);

/* Returns when all workers have been let in: 0, or -1 with *err. */
int simulated_admit(simulated_t *self, err_t *err);

/* Lets the held go, and takes part until all workers are released: 0, or -1 with *err. */
int simulated_run(simulated_t *self, err_t *err);

#endif
