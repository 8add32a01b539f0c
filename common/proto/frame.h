/* The raw frame of a message: bytes that libzmq counts references to, sent and kept without a copy.
 */
#ifndef DROVER_PROTO_FRAME_H
#define DROVER_PROTO_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

#include "data/dataset.h"

/* A frame that is not `present` holds nothing; {0} is such a frame. Moved by frame_move only. */
typedef struct {
    zmq_msg_t message;
    bool present;
    bool digested; /* `digest` is that of the bytes: who changes these says false */
    uint64_t digest;
} frame_t;

/* Wraps a buffer of base/pool.h, which is given back when the last reference is gone, from any
 * thread. *frame must hold nothing. */
void frame_from_pool(frame_t *frame, void *buffer, size_t size);

/* Rows [first, first + n_rows) of a data set, which the frame owns as well until its last reference
 * is gone. Nobody may write to it. *frame must hold nothing. */
void frame_from_rows(frame_t *frame, const dataset_t *data, size_t first, size_t n_rows);

/* A frame of undefined bytes to be written. */
void frame_new(frame_t *frame, size_t size);

/* A frame with a copy of the bytes. */
void frame_copy_of(frame_t *frame, const void *data, size_t size);

/* A second reference to the same bytes; *frame must hold nothing. */
void frame_share(frame_t *frame, frame_t *other);

/* *frame (which must hold nothing) takes over what *other held. */
void frame_move(frame_t *frame, frame_t *other);

/* Lets go of the bytes; fine for a frame that holds nothing. */
void frame_clear(frame_t *frame);

void *frame_data(frame_t *frame); /* NULL when it holds nothing */
size_t frame_size(const frame_t *frame);

/* The wire's digest of its bytes, made once. *frame must hold something. */
uint64_t frame_digest(frame_t *frame);

/* Whoever made or checked the bytes knows their digest. */
void frame_set_digest(frame_t *frame, uint64_t digest);

#endif
