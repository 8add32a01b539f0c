/* A step's blocks given out to workers, and their partials summed: what the server does for the
 * whole tree and a relay for the nodes that it is asked for.
 *
 * Pure but for the ports that its owner gives it. Weights after step t are a function of (data,
 * config, seed, kernel): everything that the sum depends on goes through the canonical tree
 * (aggregate, math/reduce), everything that time and peers decide (membership, round) only chooses
 * who computes what.
 */
#ifndef DROVER_DISPATCH_DISPATCHER_H
#define DROVER_DISPATCH_DISPATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "math/model.h"
#include "math/reduce.h"
#include "math/sampler.h"
#include "proto/frame.h"
#include "proto/wire.h"

#define DISPATCH_PARTS 3 /* of the rows to serve: training, validation, test */

/* Where messages go. A port takes the frame in any case. */
typedef struct {
    void *context;
    double (*now_ms)(void *context);
    /* False when the peer cannot be reached any more. frame may be NULL. */
    bool (*control)(void *context, const wire_peer_t *peer, const wire_t *message, frame_t *frame);
    void (*data)(void *context, const wire_peer_t *peer, const wire_t *message, frame_t *frame);
    void (*weights)(void *context, const wire_t *message, frame_t *frame); /* to all */
} dispatch_ports_t;

/* What WELCOME says of the other planes, and the control endpoint for the log. */
typedef struct {
    char control[256];
    char data[WIRE_PLANE_SIZE];
    char weights[WIRE_PLANE_SIZE];
    char gradients[WIRE_PLANE_SIZE];
} dispatch_planes_t;

/* Rows, borrowed: images(n_rows, n_inputs), labels(n_rows). */
typedef struct {
    const dataset_t *data; /* whose they are, and are sent without a copy; NULL: nobody's */
    const uint8_t *images;
    const uint8_t *labels;
    uint32_t n_rows;
} dispatch_rows_t;

/* What workers are let in for. */
typedef struct {
    uint64_t run;
    uint32_t incarnation; /* partials of another one do not count */
    model_t model;
    sampler_t sampler;
    char digest[WIRE_DIGEST_SIZE]; /* of the training set */
    char kernel[WIRE_KERNEL_SIZE]; /* empty: that of the first worker let in */
    bool strict;                   /* one kernel for all */
    double audit;                  /* part of the blocks, 0 to 1, that two workers compute */
    /* The rows to serve, by their numbers: the training set's, and behind them those to evaluate
     * on. [first, end) are there when `has` says so; all of them when that is NULL. */
    dispatch_rows_t rows[DISPATCH_PARTS];
    char rows_name[WIRE_DIGEST_SIZE]; /* WELCOME's `rows` */
    bool (*has)(const void *context, uint32_t first, uint32_t end);
    const void *has_context;
} dispatch_job_t;

/* Of the step that runs, or ran last. */
typedef struct {
    double broadcast_ms; /* planning, encoding and handing out the weights */
    double sum_ms;       /* checks and sums of partials */
    uint32_t n_reissued; /* blocks asked for a second time */
    uint32_t n_duplicates;
    uint32_t n_refused;
    uint32_t n_audited;   /* nodes that two workers computed, to the same bits */
    uint32_t n_unaudited; /* and such as should have been, but there was only one worker */
} dispatch_figures_t;

typedef struct dispatcher dispatcher_t;

/* Never NULL. */
dispatcher_t *dispatcher_new(const dispatch_job_t *job, const dispatch_ports_t *ports,
                             const dispatch_planes_t *planes);
void dispatcher_destroy(dispatcher_t **self_p);

/* A message arrived on the control, data or gradients plane; `in` as link_receive left it for this
 * status. dispatcher_partial may take the frame's bytes over. */
void dispatcher_control(dispatcher_t *self, const wire_peer_t *peer, wire_status_t status,
                        const wire_t *in);
void dispatcher_fetch(dispatcher_t *self, const wire_peer_t *peer, wire_status_t status,
                      const wire_t *in);
void dispatcher_partial(dispatcher_t *self, wire_status_t status, const wire_t *in, frame_t *frame);

/* The vector that the partial of this header would be added to at once, which is as long as its
 * frame; NULL when there is none. Where the frame holds that sum already `in` says so (see
 * link_add_to): then dispatcher_partial must be the next call. */
const float *dispatcher_held(const dispatcher_t *self, const wire_t *in, size_t frame_bytes);

/* Begins a step: the n wanted nodes are planned over the active workers, and all of these get the
 * weights, whose frame is shared. What is left of the step before is dropped. */
void dispatcher_begin(dispatcher_t *self, uint32_t step, frame_t *weights, const node_t *wanted,
                      uint32_t n);

/* More of the step that runs: sent with the next dispatcher_tick. Nodes as in reduce_want. */
void dispatcher_want(dispatcher_t *self, node_t node);

/* A wanted node that is complete, after dispatcher_partial or dispatcher_tick: see reduce_take. */
bool dispatcher_take(dispatcher_t *self, node_t *node, partial_t *partial);

/* The frame of a partial's gradient that dispatcher_take handed out, moved to *frame; the partial
 * is then released. */
void dispatcher_move_gradient(partial_t *partial, frame_t *frame);

/* Begins an evaluation of the model of a step, whose weights' frame is shared; on rows, by their
 * numbers (see dispatch_job_t), that are wanted block by block. It is sent with the next
 * dispatcher_tick. What is left of the evaluation before is dropped. */
void dispatcher_evaluate(dispatcher_t *self, uint32_t step, frame_t *weights);
void dispatcher_evaluate_rows(dispatcher_t *self, uint32_t first, uint32_t end);

/* A block of it that is done, after dispatcher_control. */
bool dispatcher_take_score(dispatcher_t *self, wire_score_t *score);

/* Nothing of the step is wanted any more: partials of it come too late. */
void dispatcher_end(dispatcher_t *self);

/* After messages were handed in, and when dispatcher_timeout_ms is over: lets members expire, gives
 * orphaned and late blocks to others. */
void dispatcher_tick(dispatcher_t *self);

/* Milliseconds until the next dispatcher_tick, at most. */
long dispatcher_timeout_ms(const dispatcher_t *self);

/* Sends END (the job is over) or REJOIN (this dispatcher is) to all members. */
void dispatcher_release(dispatcher_t *self, wire_type_t type);

/* What the step has been waiting for longer than a second, for people; false when for nothing. */
bool dispatcher_waits_for(dispatcher_t *self, char text[WIRE_TEXT_SIZE]);

/* Answers a STATUS: *report says what the owner knows; where it says nothing of a wait (empty) or
 * of rows a second (NaN), the dispatcher does. */
void dispatcher_report(dispatcher_t *self, const wire_peer_t *peer, const wire_report_t *report);

uint32_t dispatcher_active(const dispatcher_t *self);
uint32_t dispatcher_relays(const dispatcher_t *self);    /* membership_relays */
const char *dispatcher_kernel(const dispatcher_t *self); /* empty before the first worker */
dispatch_figures_t dispatcher_figures(const dispatcher_t *self);

#endif
