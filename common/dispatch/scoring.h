/* An evaluation given out to workers: who was asked for which blocks of rows, and what came back.
 *
 * Pure: time comes as an argument. Each block counts once, whoever sends it. It is asked for again
 * when its worker is lost, or when nothing has come for a while; of others, where there are some
 * that owe nothing.
 */
#ifndef DROVER_DISPATCH_SCORING_H
#define DROVER_DISPATCH_SCORING_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire.h"

typedef struct {
    uint32_t worker;
    double speed; /* above 0, in any one unit */
} scoring_worker_t;

typedef struct scoring scoring_t;

/* Never NULL. */
scoring_t *scoring_new(void);
void scoring_destroy(scoring_t **self_p);

/* Begins the evaluation of a step's model; what is left of the one before is dropped. */
void scoring_begin(scoring_t *self, uint32_t step);

/* Rows [first, end), a block, are wanted; again: what is known of it is to be taken once more. */
void scoring_want(scoring_t *self, uint32_t first, uint32_t end);

/* The worker is gone, with what it owes. */
void scoring_lost(scoring_t *self, uint32_t worker);

/* What to ask whom, borrowed, the ranges of a worker one behind the other: blocks that nobody is
 * asked for, and those that are late. `busy`: workers compute a step, for which they may leave an
 * evaluation. */
const wire_range_t *scoring_plan(scoring_t *self, const scoring_worker_t *workers, uint32_t n,
                                 bool busy, double now_ms, uint32_t *n_ranges);

/* Is there anything that scoring_plan may have to ask? */
bool scoring_owed(const scoring_t *self);

/* Something that a worker sent: false when it cannot be so of this evaluation. What is
 * known already is dropped. */
bool scoring_result(scoring_t *self, const wire_score_t *score, double now_ms);

/* A block that is done and was not taken yet. */
bool scoring_take(scoring_t *self, wire_score_t *score);

#endif
