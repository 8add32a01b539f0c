/* What the tests of a worker's session share: its server, its data and its compute threads, played
 * by the test, with a clock by hand. */
#ifndef DROVER_TESTS_PLAY_H
#define DROVER_TESTS_PLAY_H

#include "unit.h"

#include <stddef.h>
#include <stdint.h>

#include "workers/session.h"

enum {
    PLAY_ROWS = 128,
    PLAY_BLOCK_ROWS = 2,
    PLAY_BLOCKS = PLAY_ROWS / PLAY_BLOCK_ROWS,
    PLAY_INPUTS = 4,
    PLAY_RUN = 7,
    PLAY_ME = 5,
    PLAY_HEARTBEAT = 100
};

extern const model_t play_model;
extern int play_live; /* partials handed out and not released */

/* What the compute threads would say of a node: its rows; the gradient tells the order of sums. */
partial_t play_partial(node_t node);

/* Rows and labels; others for another salt. The caller destroys them with the session: play_end. */
dataset_t *play_data(uint8_t salt);

/* A session of a worker that has `data` of its own, or NULL, and can run two dense kernels. */
session_t *play_new(const dataset_t *data, uint32_t n_threads);

/* The job, over the bytes of `data` if it is not NULL. */
wire_t play_welcome(const dataset_t *data);

/* A message of this job that names ranges, which stay the caller's. */
wire_t play_asked(wire_type_t type, uint32_t step, wire_range_t *ranges, uint32_t n_ranges);

/* The size of a STEP's frame. */
size_t play_weights_bytes(void);

/* The session's next action must be this one, or to send a message of this type. */
session_action_t play_expect(session_t *session, int64_t now_ms, session_action_kind_t kind);
void play_expect_send(session_t *session, int64_t now_ms, wire_type_t type);

/* HELLO, WELCOME, set-up, READY, all at `now_ms`. */
void play_join(session_t *session, const dataset_t *data, int64_t now_ms);

/* A STEP that asks this worker for one range, and what must follow it before any work. */
void play_step(session_t *session, uint32_t step, uint32_t first, uint32_t end);

/* An ASSIGN of one range. */
void play_assign(session_t *session, uint32_t step, uint32_t first, uint32_t end);

/* The session must ask for this node next; its result comes; and it must be sent next. */
void play_expect_compute(session_t *session, uint32_t step, uint32_t level, uint32_t index);
void play_done(session_t *session, uint32_t step, uint32_t level, uint32_t index);
void play_expect_push(session_t *session, uint32_t step, uint32_t level, uint32_t index);

/* Destroys both; all partials must have been released. */
void play_end(session_t **session, dataset_t **data);

#endif
