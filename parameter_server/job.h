/* What a server is to train, and what it says of each step. */
#ifndef DROVER_PARAMETER_SERVER_JOB_H
#define DROVER_PARAMETER_SERVER_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "data/dataset.h"
#include "math/model.h"
#include "math/optimizer.h"
#include "math/sampler.h"
#include "parameter_server/trial.h"
#include "proto/frame.h"
#include "proto/link.h"

/* A server's sockets; NULL where there is none (yet). All owned. */
typedef struct {
    link_t *control;
    link_t *data;
    link_t *weights;
    link_t *gradients;
} server_links_t;

typedef struct {
    model_t model;
    sampler_t sampler;
    model_init_t init; /* how the weights begin, if they are drawn */
    uint32_t n_steps;
    optimizer_state_t optimizer; /* to begin with; the server takes its buffers over */
    uint32_t incarnation;        /* tells this server from others of its run; 0: server_new draws */
    bool strict;                 /* one kernel for all workers */
    double audit;                /* part of the blocks, 0 to 1, that two workers compute */
    uint32_t min_workers;        /* training starts when so many are there */
    const char *bind;            /* borrowed, for server_new only */
    server_links_t links;  /* bound there already; owned by server_new, which binds the rest */
    size_t most_params;    /* of later jobs of the same links; 0: there are none */
    const dataset_t *data; /* the training set; borrowed for the server's life */
    const dataset_t *validation; /* what was held out of it, or NULL; borrowed likewise ... */
    const dataset_t *test;       /* ... as this */
    uint32_t evaluate_every;     /* steps; 0: no evaluations on the two */
    uint32_t patience;           /* of early stopping, in evaluations; 0: there is none */
    trial_state_t trial;         /* to begin with; the server takes its models over */
    char kernel[32];             /* for all workers; empty: that of the first */
    /* (P) to begin with, borrowed, for server_new only; NULL: drawn from the sampler's seed. */
    const float *weights;
    /* Going on from a checkpoint, whose weights those are; zero for a new run. */
    uint32_t step; /* steps that are done */
    uint64_t run;  /* of the run that goes on */
} server_job_t;

/* Do network, data and blocks fit each other? Returns 0 or -1. */
int server_job_check(const server_job_t *job, err_t *err);

/* A step that is done. */
typedef struct {
    uint32_t step;
    double cost;     /* mean over the batch */
    double accuracy; /* of the batch */
    double learning_rate;
    uint64_t rows;
    uint32_t workers;
    uint32_t blocks;
    uint32_t reissued;   /* blocks asked for a second time */
    uint32_t duplicates; /* partials whose blocks were counted already */
    uint32_t refused;    /* partials that were not fit to count */
    uint32_t audited;    /* nodes that two workers computed, to the same bits */
    uint32_t unaudited;  /* and such as should have been, but there was only one worker */
    double step_ms;
    double broadcast_ms; /* encoding and handing out the weights */
    double compute_ms;   /* waiting for the workers */
    double sum_ms;       /* checks, sums, update */
    char kernel[32];     /* that produced the bits: "dense/SkylakeX" */
    uint64_t run;
    optimizer_state_t optimizer; /* after the step; the record's own references */
    trial_state_t trial;         /* the same */
    frame_t weights;             /* (P) floats after the step; the same */
    link_traffic_t traffic;      /* of the server so far; a STEP counts once for each worker */
} server_record_t;

void server_links_destroy(server_links_t *self);

void server_record_destroy(server_record_t **self_p);

#endif
