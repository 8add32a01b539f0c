/* A worker's part of an evaluation: which rows it was asked for, and what it has found out and not
 * sent yet. Only the newest evaluation counts. */
#ifndef DROVER_WORKERS_SCORECARD_H
#define DROVER_WORKERS_SCORECARD_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire.h"
#include "workers/rowcache.h"

typedef struct {
    uint32_t first, end;
    bool handed_out;
} scorecard_rows_t;

/* Zero it before its first use. */
typedef struct {
    uint32_t evaluation;    /* the newest, by its step; 0: none of this membership */
    scorecard_rows_t *rows; /* owned; what is asked for of it and has no result yet */
    uint32_t n_rows, rows_room;
    uint32_t n_computing; /* handed out, of any evaluation, without a result */
    wire_score_t *scores; /* owned; not sent yet */
    uint32_t n_scores, scores_room;
} scorecard_t;

void scorecard_clear(scorecard_t *self);

/* Of another membership, or another evaluation: all is asked for anew. */
void scorecard_forget(scorecard_t *self);

/* Rows [first, end) of the newest evaluation are asked for. False: they are already. */
bool scorecard_ask(scorecard_t *self, uint32_t first, uint32_t end);

/* Hands out rows that were asked for and are there; false when there are none. */
bool scorecard_hand_out(scorecard_t *self, const rowcache_t *there, uint32_t *first, uint32_t *end);

/* A result of what was handed out; it is kept unless it is of an evaluation, or a membership, that
 * is over. */
void scorecard_result(scorecard_t *self, const wire_score_t *score);

/* Takes a result that is to be sent; false when there is none. */
bool scorecard_take(scorecard_t *self, wire_score_t *score);

#endif
