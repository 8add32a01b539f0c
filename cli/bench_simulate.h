/* One run of `drover bench simulate`: a server, relays and simulated workers on this machine, and
 * what a step of theirs costs.
 *
 * The server is a process of its own, as is each relay; the workers share a few. So the server's
 * CPU time is what a server with so many workers needs, whoever computes elsewhere. It trains with
 * everything but the writing of files.
 */
#ifndef DROVER_CLI_BENCH_SIMULATE_H
#define DROVER_CLI_BENCH_SIMULATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "math/model.h"

typedef struct {
    uint32_t n_workers;
    uint32_t a_process; /* at most so many workers in one; at most 500 */
    uint32_t n_relays;  /* 0: all workers join the server; at most n_workers */
    uint32_t n_steps;
    uint32_t n_warm; /* of these, steps at the beginning that are not measured */
    uint32_t n_blocks;
    model_t model;    /* with one input */
    bool fixed;       /* workers make their gradients once and send them in every step */
    const char *bind; /* tcp://ADDRESS:* or ipc://PATH; relays take PATH.1 and so on */
} bench_plan_t;

/* Of the steps that are measured. Bytes are those of headers and frames. */
typedef struct {
    double step_ms;       /* median */
    double server_cpu_ms; /* a step; as all that follows */
    double relays_cpu_ms; /* of all relays */
    double all_cpu_ms;    /* of all processes */
    double sent_bytes;    /* by the server; as all that follows */
    double received_bytes;
    double sent_messages;
    double received_messages;
    double reissued; /* blocks */
    double duplicates;
    uint64_t digest; /* of the weights at the end */
} bench_result_t;

/* The network of one input that comes nearest to so many parameters. */
model_t bench_model(uint32_t n_params);

/* Returns 0, or -1 with *err. */
int bench_simulate(const bench_plan_t *plan, bench_result_t *result, err_t *err);

#endif
