/* See worker.h. */
#include "workers/worker.h"

#include <czmq.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "base/pool.h"
#include "math/kernel.h"
#include "workers/compute.h"
#include "workers/session.h"
#include "workers/upstream.h"

typedef struct {
    upstream_t above;
    int64_t patience_ms; /* 0: no end */
    uint32_t n_threads;
    session_t *session; /* owned, as all that follows */
    compute_t *compute;
    pool_t *weights;   /* of buffers for `current` */
    frame_t current;   /* the newest step's weights */
    frame_t evaluated; /* those of the newest evaluation */
    bool stopping;
    int end; /* an actor_event_t; 0 while it goes on */
    err_t err;
} worker_t;

static void s_close_job(worker_t *self)
{
    compute_destroy(&self->compute); /* its threads read the session's rows */
    upstream_close_job(&self->above);
    frame_clear(&self->current);
    frame_clear(&self->evaluated);
    pool_destroy(&self->weights);
}

static void s_destroy(void *worker)
{
    worker_t *self = worker;
    s_close_job(self);
    upstream_close(&self->above);
    session_destroy(&self->session);
    free(self);
}

static const char *s_error(const void *worker)
{
    return ((const worker_t *)worker)->err.text;
}

/* Opens what the job needs. */
static int s_set_up(worker_t *self)
{
    const wire_welcome_t *job = session_job(self->session);
    s_close_job(self);
    if (upstream_open_job(&self->above, job, &self->err) != 0 ||
        kernel_open(session_kernel(self->session), &self->err) != 0)
        return -1;
    self->weights = pool_new(model_params(&job->model) * sizeof(float));
    self->compute =
        compute_new(self->n_threads, &job->model, &job->sampler,
                    kernel_of(session_kernel(self->session)), session_rowcache(self->session));
    char shape[256];
    model_describe(&job->model, shape, sizeof(shape));
    log_info("worker.job", "model=%s rows=%u kernel=%s threads=%u", shape, job->sampler.n_rows,
             session_kernel(self->session), self->n_threads);
    return 0;
}

/* Does one thing that the session wants; false when there is nothing to do. */
static bool s_act(worker_t *self)
{
    session_action_t action;
    switch (session_next(self->session, clock_ms(), &action)) {
    case SESSION_NOTHING:
        return false;
    case SESSION_SEND:
        upstream_send_control(&self->above, action.message);
        break;
    case SESSION_SET_UP:
        if (s_set_up(self) != 0) {
            upstream_send_control(&self->above, session_bye(self->session));
            self->end = ACTOR_FAILED;
        } else
            session_ready(self->session, clock_ms());
        break;
    case SESSION_FETCH:
        upstream_send_data(&self->above, action.message);
        break;
    case SESSION_COMPUTE:
        compute_submit(self->compute, action.step, action.node, &self->current);
        break;
    case SESSION_EVALUATE:
        compute_evaluate(self->compute, action.step, action.first, action.end, &self->evaluated);
        break;
    case SESSION_CANCEL:
        if (self->compute)
            compute_cancel(self->compute);
        break;
    case SESSION_PUSH:
        upstream_push(&self->above, action.message, action.partial.gradient,
                      model_params(&session_job(self->session)->model));
        break;
    case SESSION_LEAVE:
        self->end = self->stopping ? ACTOR_STOPPED : ACTOR_RELEASED;
        break;
    case SESSION_REFUSED:
        err_set(&self->err, "%s: the server refuses this worker: %s", self->above.endpoint,
                session_refusal(self->session)->text);
        self->end = ACTOR_FAILED;
        break;
    }
    return true;
}

/* A message's bytes start anywhere, and vectors that straddle cache lines take twice as long to
 * load: the one copy of the weights, for all threads. */
static void s_keep_weights(const worker_t *self, frame_t *frame, frame_t *kept)
{
    size_t bytes = frame_size(frame);
    float *weights = pool_take(self->weights);
    memcpy(weights, frame_data(frame), bytes);
    frame_clear(kept);
    frame_from_pool(kept, weights, bytes);
}

static void s_drain_above(worker_t *self)
{
    frame_t frame = {.present = false};
    upstream_event_t event;
    while ((event = upstream_receive(&self->above, &frame, &self->err)) != UPSTREAM_NOTHING) {
        wire_t *in = &self->above.in;
        if (event == UPSTREAM_FAILED)
            self->end = ACTOR_FAILED;
        else if (event == UPSTREAM_ROWS) {
            if (!session_rows(self->session, in, frame_data(&frame), frame_size(&frame)))
                log_warn_limited("rows.bad", self->above.endpoint,
                                 "from=%s not rows that were asked for", self->above.endpoint);
        } else if (session_message(self->session, in, frame_size(&frame), clock_ms()))
            s_keep_weights(self, &frame,
                           in->type == WIRE_EVALUATE ? &self->evaluated : &self->current);
        frame_clear(&frame);
    }
}

static void s_drain_results(worker_t *self)
{
    uint32_t step;
    node_t node;
    partial_t partial;
    while (self->compute && compute_take(self->compute, &step, &node, &partial))
        session_result(self->session, step, node, &partial);
    wire_score_t score;
    while (self->compute && compute_take_score(self->compute, &score))
        session_score(self->session, &score);
}

/* Since the server's last word, or since this worker started. */
static int64_t s_silence_ms(const worker_t *self, int64_t started_ms)
{
    int64_t now_ms = clock_ms();
    int64_t silence_ms = session_silence_ms(self->session, now_ms);
    return silence_ms < now_ms - started_ms ? silence_ms : now_ms - started_ms;
}

static void s_obey(worker_t *self, actor_order_t order)
{
    self->stopping = true;
    if (order == ACTOR_DRAIN)
        session_drain(self->session);
    else {
        upstream_send_control(&self->above, session_bye(self->session));
        self->end = ACTOR_STOPPED;
    }
}

static actor_event_t s_run(void *worker, actor_t *actor)
{
    worker_t *self = worker;
    int64_t started_ms = clock_ms();
    for (;;) {
        while (self->end == 0 && s_act(self))
            ;
        if (self->end != 0)
            return (actor_event_t)self->end;
        zmq_pollitem_t items[2 + UPSTREAM_ITEMS] = {{actor_socket(actor), 0, ZMQ_POLLIN, 0}};
        link_t *links[2 + UPSTREAM_ITEMS] = {NULL};
        int n = 1 + upstream_items(&self->above, items + 1, links + 1);
        if (self->compute)
            items[n++] = (zmq_pollitem_t){NULL, compute_fd(self->compute), ZMQ_POLLIN, 0};
        int64_t left_ms = session_deadline_ms(self->session) - clock_ms();
        long timeout_ms = left_ms < 0 ? 0 : left_ms > 250 ? 250 : (long)left_ms;
        if (link_poll(items, links, n, timeout_ms) < 0 && zmq_errno() != EINTR)
            return ACTOR_STOPPED; /* the context is gone */
        if (items[0].revents)
            s_obey(self, actor_order(actor));
        s_drain_above(self);
        s_drain_results(self);
        upstream_say_waits(&self->above, "worker.waiting",
                           session_waits_for(self->session, clock_ms()));
        if (upstream_patience(&self->above, self->patience_ms, s_silence_ms(self, started_ms),
                              &self->err) != 0)
            self->end = ACTOR_FAILED;
    }
}

actor_t *worker_new(const worker_config_t *config, err_t *err)
{
    static const actor_class_t kind = {s_run, s_error, s_destroy};
    wire_hello_t hello = upstream_hello(config->name, config->data);
    hello.threads = config->n_threads;
    if (kernel_default(hello.kernel, sizeof(hello.kernel), err) != 0)
        return NULL;
    worker_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->n_threads = config->n_threads;
    self->patience_ms = config->patience_ms;
    self->session = session_new(&hello, kernel_can_run, config->data, config->n_threads);
    if (upstream_open(&self->above, config->endpoint, err) != 0) {
        s_destroy(self);
        return NULL;
    }
    return actor_new(&kind, self);
}
