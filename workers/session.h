/* A worker's part of the protocol: what it was asked for, what it has, what to do next.
 *
 * Pure: the actor reports what arrived and what time it is, then takes actions until there are none
 * left. The session owns the rows and the tree in which the partials of its compute threads meet.
 */
#ifndef DROVER_WORKERS_SESSION_H
#define DROVER_WORKERS_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/dataset.h"
#include "math/reduce.h"
#include "proto/wire.h"
#include "workers/rowcache.h"

typedef enum {
    SESSION_NOTHING,  /* until something happens or session_deadline_ms */
    SESSION_SEND,     /* send `message` on the control plane */
    SESSION_SET_UP,   /* a job: open planes and kernel, start compute threads, session_ready */
    SESSION_FETCH,    /* send `message` on the data plane */
    SESSION_COMPUTE,  /* hand `node` of `step` to the compute threads */
    SESSION_EVALUATE, /* hand rows [first, end) of the evaluation of `step` to them */
    SESSION_CANCEL,   /* nodes that they have are not wanted any more */
    SESSION_PUSH,     /* send `message` and `partial`, which is the actor's now, to the server */
    SESSION_LEAVE,    /* the job is over, or the session was told to leave: stop with success */
    SESSION_REFUSED,  /* the server will not have us: session_refusal; stop with failure */
} session_action_kind_t;

typedef struct {
    session_action_kind_t kind;
    const wire_t *message; /* borrowed until the next call */
    uint32_t step;
    node_t node;
    uint32_t first, end;
    partial_t partial;
} session_action_t;

typedef struct session session_t;

/* `hello` is what the worker says of itself; it may take another kernel than the one it names when
 * `can_run` says yes to the core type that the job wants. data: a local copy of the training set,
 * borrowed, or NULL. n_threads sets how fine nodes are cut for the threads. Never NULL. */
session_t *session_new(const wire_hello_t *hello, bool (*can_run)(const char *kernel),
                       const dataset_t *data, uint32_t n_threads);
void session_destroy(session_t **self_p);

/* A well-formed message arrived on the control or weights plane. True when its frame is the weights
 * of a step, or those of an evaluation, that the actor must keep until the next such message of the
 * same type, EVALUATE or STEP. */
bool session_message(session_t *self, const wire_t *message, size_t frame_size, int64_t now_ms);

/* After SESSION_SET_UP was done. Does nothing, as session_resume, for one that leaves or was
 * refused meanwhile. */
void session_ready(session_t *self, int64_t now_ms);

/* A worker below a relay asks for rows that may not have been asked for above. */
void session_want_rows(session_t *self, uint32_t first, uint32_t n_rows);

/* Rows arrived. False when they are none that were asked for. */
bool session_rows(session_t *self, const wire_t *message, const uint8_t *images,
                  size_t image_bytes);

/* A compute thread is done with a node of a step; the session takes the partial. */
void session_result(session_t *self, uint32_t step, node_t node, partial_t *partial);

/* They are done with rows of an evaluation. */
void session_score(session_t *self, const wire_score_t *score);

/* The next thing to do. */
session_action_kind_t session_next(session_t *self, int64_t now_ms, session_action_t *action);

/* The latest time for the next call of session_next. */
int64_t session_deadline_ms(const session_t *self);

/* The worker is to leave: it takes no more work, pushes what is being computed, says BYE and then
 * wants SESSION_LEAVE. */
void session_drain(session_t *self);

/* It has nobody to compute any more: says BYE, if it had joined, and waits for session_resume, or
 * leaves if it was told to. */
void session_pause(session_t *self);

/* So many relays, one below the other, stand below this one: HELLO says one more. */
void session_relays(session_t *self, uint32_t n_below);

/* Joins (again), naming that kernel. */
void session_resume(session_t *self, const char *kernel, int64_t now_ms);

/* A BYE for an actor that cannot go on. */
const wire_t *session_bye(session_t *self);

/* The job after SESSION_SET_UP; borrowed. */
const wire_welcome_t *session_job(const session_t *self);

/* Its run, and in *incarnation that of the server. */
uint64_t session_run(const session_t *self, uint32_t *incarnation);
const rowcache_t *session_rowcache(const session_t *self);

/* Why the server refused, after SESSION_REFUSED. */
const wire_refusal_t *session_refusal(const session_t *self);

/* The kernel that the worker has agreed to: "dense/SkylakeX". */
const char *session_kernel(const session_t *self);

/* Milliseconds since the server was last heard, or has had something to say: 0 for one that waits
 * for workers. */
int64_t session_silence_ms(const session_t *self, int64_t now_ms);

/* What it has been waiting for longer than a second, for the log; NULL when for nothing. */
const char *session_waits_for(const session_t *self, int64_t now_ms);

#endif
