/* The four planes towards what is above: a server, or a relay that stands for it. */
#ifndef DROVER_WORKERS_UPSTREAM_H
#define DROVER_WORKERS_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

#include "base/err.h"
#include "data/dataset.h"
#include "proto/frame.h"
#include "proto/link.h"
#include "proto/wire.h"

#define UPSTREAM_ITEMS 3

typedef struct {
    char endpoint[LINK_ENDPOINT_SIZE];
    link_t *control; /* owned, as all that follows; the others are there while there is a job */
    link_t *data;
    link_t *weights;
    link_t *gradients;
    wire_t in;      /* the last message */
    bool heard;     /* anything, ever */
    int64_t say_ms; /* not before, what is waited for */
} upstream_t;

typedef enum {
    UPSTREAM_NOTHING,
    UPSTREAM_MESSAGE, /* of control or weights */
    UPSTREAM_ROWS,    /* of data */
    UPSTREAM_FAILED,  /* it speaks another version: *err says so */
} upstream_event_t;

/* Connects the control plane. Returns 0, or -1 with *err. */
int upstream_open(upstream_t *self, const char *endpoint, err_t *err);
void upstream_close(upstream_t *self);

/* Connects the planes that a job names; closes them. */
int upstream_open_job(upstream_t *self, const wire_welcome_t *job, err_t *err);
void upstream_close_job(upstream_t *self);

/* The next well-formed message: in `in` and *frame, which must hold nothing. Others are logged. */
upstream_event_t upstream_receive(upstream_t *self, frame_t *frame, err_t *err);

/* To be called again and again: logs as `event`, now and then, what is waited for (NULL: nothing)
 * and, while nothing was ever heard, that the host is not known. */
void upstream_say_waits(upstream_t *self, const char *event, const char *what);

/* Nothing was heard for silence_ms: -1 with *err when that is too long; patience_ms 0: it never is.
 */
int upstream_patience(const upstream_t *self, int64_t patience_ms, int64_t silence_ms, err_t *err);

/* What to poll: fills items and links (as link_poll wants them); returns how many. */
int upstream_items(const upstream_t *self, zmq_pollitem_t items[UPSTREAM_ITEMS],
                   link_t *links[UPSTREAM_ITEMS]);

/* Sends; what is dropped is logged. The frame is taken in any case. */
void upstream_send_control(upstream_t *self, const wire_t *message);
void upstream_send_data(upstream_t *self, const wire_t *message);
void upstream_send_gradient(upstream_t *self, const wire_t *message, frame_t *frame);

/* As upstream_send_gradient, of gradient(P) in a pool's buffer, which is taken over. */
void upstream_push(upstream_t *self, const wire_t *message, float *gradient, size_t n_params);

/* What one says of itself on joining: the name, this host, the digest of data it has itself (NULL:
 * of none). */
wire_hello_t upstream_hello(const char *name, const dataset_t *data);

#endif
