/* See worker.h. */
#include "workers/worker.h"

#include <czmq.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/handover.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "base/pool.h"
#include "math/blas.h"
#include "proto/link.h"
#include "workers/compute.h"
#include "workers/session.h"

#define KERNEL_PREFIX "dense/"
#define SAY_MS        5000 /* between two log lines on the same wait */
#define SILENCE_MS    1000 /* of the server, worth a log line */

struct worker {
    zactor_t *actor; /* owned; NULL until it is started */
    worker_config_t config;
    char endpoint[LINK_ENDPOINT_SIZE];
    session_t *session; /* owned, as all that follows */
    link_t *control;
    link_t *data;
    link_t *weights;
    link_t *gradients;
    compute_t *compute;
    frame_t current; /* the newest step's weights */
    wire_t in;
    int64_t say_ms;
    bool stopping; /* worker_stop was called: what is being computed is still pushed */
    int end;       /* a worker_event_t; 0 while it goes on */
    err_t err;
};

static bool s_can_run(const char *kernel)
{
    size_t n = strlen(KERNEL_PREFIX);
    return strncmp(kernel, KERNEL_PREFIX, n) == 0 && blas_can_run(blas_cpu(), kernel + n);
}

worker_t *worker_new(const worker_config_t *config, err_t *err)
{
    wire_hello_t hello = {.threads = config->n_threads};
    const char *core = blas_default_core(err);
    if (!core)
        return NULL;
    worker_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->config = *config;
    (void)snprintf(self->endpoint, sizeof(self->endpoint), "%s", config->endpoint);
    self->config.endpoint = self->endpoint;
    memcpy(hello.name, config->name, sizeof(hello.name));
    if (gethostname(hello.host, sizeof(hello.host) - 1) != 0)
        (void)snprintf(hello.host, sizeof(hello.host), "?");
    (void)snprintf(hello.kernel, sizeof(hello.kernel), KERNEL_PREFIX "%s", core);
    if (config->data)
        (void)snprintf(hello.digest, sizeof(hello.digest), "%s", dataset_digest(config->data));
    self->session = session_new(&hello, s_can_run, config->data, config->n_threads);
    /* control may bring the weights of a step that was missed */
    self->control = link_connect(LINK_CONTROL_WORKER, self->endpoint, SIZE_MAX, err);
    if (!self->control)
        worker_destroy(&self);
    return self;
}

static void s_close_job(worker_t *self)
{
    compute_destroy(&self->compute); /* its threads read the session's rows */
    link_destroy(&self->data);
    link_destroy(&self->weights);
    link_destroy(&self->gradients);
    frame_clear(&self->current);
}

void worker_destroy(worker_t **self_p)
{
    worker_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    zactor_destroy(&self->actor);
    handover_take(self); /* whatever it did, nobody may have waited for it */
    s_close_job(self);
    link_destroy(&self->control);
    session_destroy(&self->session);
    wire_clear(&self->in);
    free(self);
}

const char *worker_error(const worker_t *self)
{
    return self->err.text;
}

static void s_fail(worker_t *self)
{
    self->end = WORKER_FAILED;
}

/* Opens what the job needs. */
static int s_set_up(worker_t *self)
{
    const wire_welcome_t *job = session_job(self->session);
    char data[LINK_ENDPOINT_SIZE], weights[LINK_ENDPOINT_SIZE], gradients[LINK_ENDPOINT_SIZE];
    err_t *err = &self->err;
    s_close_job(self);
    if (link_plane_endpoint(self->endpoint, job->data, data, err) != 0 ||
        link_plane_endpoint(self->endpoint, job->weights, weights, err) != 0 ||
        link_plane_endpoint(self->endpoint, job->gradients, gradients, err) != 0 ||
        blas_open(session_kernel(self->session) + strlen(KERNEL_PREFIX), err) != 0)
        return -1;
    size_t weights_bytes = model_params(&job->model) * sizeof(float);
    size_t rows_bytes =
        job->model.n_inputs > WIRE_MAX_ROWS_BYTES ? job->model.n_inputs : WIRE_MAX_ROWS_BYTES;
    if (!(self->weights = link_connect(LINK_WEIGHTS_WORKER, weights, weights_bytes, err)) ||
        !(self->data = link_connect(LINK_DATA_WORKER, data, rows_bytes, err)) ||
        !(self->gradients = link_connect(LINK_GRADIENTS_WORKER, gradients, 0, err)))
        return -1;
    self->compute = compute_new(self->config.n_threads, &job->model, &job->sampler,
                                session_rowcache(self->session));
    char shape[256];
    model_describe(&job->model, shape, sizeof(shape));
    log_info("worker.job", "model=%s rows=%u kernel=%s threads=%u", shape, job->sampler.n_rows,
             session_kernel(self->session), self->config.n_threads);
    return 0;
}

static void s_push(worker_t *self, session_action_t *action)
{
    frame_t gradient = {.present = false};
    size_t bytes = model_params(&session_job(self->session)->model) * sizeof(float);
    frame_from_pool(&gradient, action->partial.gradient, bytes); /* takes the buffer over */
    if (!link_send(self->gradients, NULL, action->message, &gradient))
        log_warn_limited("partial.dropped", self->endpoint,
                         "step=%u node=%u,%u: the server does not take partials", action->step,
                         action->message->partial.node.level, action->message->partial.node.index);
}

/* Does one thing that the session wants; false when there is nothing to do. */
static bool s_act(worker_t *self)
{
    session_action_t action;
    switch (session_next(self->session, clock_ms(), &action)) {
    case SESSION_NOTHING:
        return false;
    case SESSION_SEND:
        if (!link_send(self->control, NULL, action.message, NULL))
            log_debug("control.dropped", "type=%s", wire_type_name(action.message->type));
        break;
    case SESSION_SET_UP:
        if (s_set_up(self) != 0) {
            link_send(self->control, NULL, session_bye(self->session), NULL);
            s_fail(self);
        } else
            session_ready(self->session, clock_ms());
        break;
    case SESSION_FETCH:
        link_send(self->data, NULL, action.message, NULL);
        break;
    case SESSION_COMPUTE:
        compute_submit(self->compute, action.step, action.node, &self->current);
        break;
    case SESSION_CANCEL:
        if (self->compute)
            compute_cancel(self->compute);
        break;
    case SESSION_PUSH:
        s_push(self, &action);
        break;
    case SESSION_LEAVE:
        self->end = self->stopping ? WORKER_STOPPED : WORKER_RELEASED;
        break;
    case SESSION_REFUSED:
        err_set(&self->err, "%s: the server refuses this worker: %s", self->endpoint,
                session_refusal(self->session)->text);
        s_fail(self);
        break;
    }
    return self->end == 0;
}

static void s_drain_messages(worker_t *self, link_t *link)
{
    frame_t frame = {.present = false};
    wire_peer_t nobody;
    wire_status_t status;
    while (link_receive(link, &nobody, &self->in, &frame, &status)) {
        if (status == WIRE_BAD_VERSION) {
            err_set(&self->err, "%s: the server speaks protocol version %u, expected %u",
                    self->endpoint, self->in.version, WIRE_VERSION);
            s_fail(self);
        } else if (status != WIRE_OK)
            log_warn_limited("message.bad", self->endpoint, "from=%s %s", self->endpoint,
                             wire_status_text(status));
        else if (session_message(self->session, &self->in, frame_size(&frame), clock_ms())) {
            frame_clear(&self->current);
            frame_move(&self->current, &frame);
        }
        frame_clear(&frame);
    }
}

static void s_drain_rows(worker_t *self)
{
    frame_t frame = {.present = false};
    wire_peer_t nobody;
    wire_status_t status;
    while (link_receive(self->data, &nobody, &self->in, &frame, &status)) {
        if (status != WIRE_OK)
            log_warn_limited("rows.bad", self->endpoint, "from=%s %s", self->endpoint,
                             wire_status_text(status));
        else if (!session_rows(self->session, &self->in, frame_data(&frame), frame_size(&frame)))
            log_warn_limited("rows.bad", self->endpoint, "from=%s not rows that were asked for",
                             self->endpoint);
        frame_clear(&frame);
    }
}

static void s_drain_results(worker_t *self)
{
    uint32_t step;
    node_t node;
    partial_t partial;
    while (compute_take(self->compute, &step, &node, &partial))
        session_result(self->session, step, node, &partial);
}

static void s_say_waits(worker_t *self)
{
    int64_t now_ms = clock_ms();
    if (session_silence_ms(self->session, now_ms) < SILENCE_MS || now_ms < self->say_ms)
        return;
    log_info("worker.waiting", "for=%s endpoint=%s", session_waits_for(self->session),
             self->endpoint);
    self->say_ms = now_ms + SAY_MS;
}

static void s_actor(zsock_t *pipe, void *argument)
{
    worker_t *self = argument;
    zsock_signal(pipe, 0);
    self->say_ms = clock_ms() + SILENCE_MS;
    while (self->end == 0) {
        while (s_act(self))
            ;
        if (self->end != 0)
            break;
        zmq_pollitem_t items[6] = {
            {zsock_resolve(pipe), 0, ZMQ_POLLIN, 0},
            {link_socket(self->control), 0, ZMQ_POLLIN, 0},
        };
        link_t *const links[6] = {NULL, self->control, self->weights, self->data};
        int n_items = 2;
        if (self->compute) {
            items[n_items++] = (zmq_pollitem_t){link_socket(self->weights), 0, ZMQ_POLLIN, 0};
            items[n_items++] = (zmq_pollitem_t){link_socket(self->data), 0, ZMQ_POLLIN, 0};
            items[n_items++] = (zmq_pollitem_t){NULL, compute_fd(self->compute), ZMQ_POLLIN, 0};
        }
        int64_t left_ms = session_deadline_ms(self->session) - clock_ms();
        long timeout_ms = left_ms < 0 ? 0 : left_ms > 250 ? 250 : (long)left_ms;
        if (link_poll(items, links, n_items, timeout_ms) < 0 && zmq_errno() != EINTR)
            break; /* the context is gone */
        if (items[0].revents) {
            char *word = zstr_recv(pipe);
            bool at_once = self->stopping || !word || strcmp(word, "DRAIN") != 0;
            zstr_free(&word);
            if (at_once) {
                link_send(self->control, NULL, session_bye(self->session), NULL);
                self->end = WORKER_STOPPED;
                break;
            }
            self->stopping = true;
            session_drain(self->session);
        }
        s_drain_messages(self, self->control);
        if (self->compute) {
            s_drain_messages(self, self->weights);
            s_drain_rows(self);
            s_drain_results(self);
        }
        s_say_waits(self);
    }
    handover_give(self);
    zsock_send(pipe, "i", self->end);
}

void worker_start(worker_t *self)
{
    self->actor = zactor_new(s_actor, self);
    if (!self->actor)
        abort();
}

void worker_stop(worker_t *self)
{
    zstr_send(self->actor, "DRAIN");
}

worker_event_t worker_wait(worker_t *self, int other_fd)
{
    zmq_pollitem_t items[2] = {
        {zsock_resolve(self->actor), 0, ZMQ_POLLIN, 0},
        {NULL, other_fd, ZMQ_POLLIN, 0},
    };
    while (zmq_poll(items, 2, -1) < 0 && zmq_errno() == EINTR)
        ;
    if (!items[0].revents)
        return WORKER_OTHER;
    int event = WORKER_FAILED;
    zsock_recv(self->actor, "i", &event);
    handover_take(self);
    return (worker_event_t)event;
}
