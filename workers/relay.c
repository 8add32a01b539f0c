/* See relay.h. */
#include "workers/relay.h"

#include <czmq.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "proto/host.h"
#include "workers/forwarder.h"
#include "workers/upstream.h"

#define MAX_WAIT_MS 250

typedef struct {
    upstream_t above;
    link_t *control; /* owned, as all that follows; below */
    link_t *data;
    link_t *weights;
    link_t *gradients;
    wire_t in;
    forwarder_t *forwarder;
    int64_t patience_ms; /* 0: no end */
    bool stopping;
    bool failed;
    err_t err;
} relay_t;

/* The forwarder's ports */

static double s_now_ms(void *context)
{
    (void)context;
    return (double)clock_us() / 1000.0;
}

static bool s_control_below(void *context, const wire_peer_t *peer, const wire_t *message,
                            frame_t *frame)
{
    relay_t *self = context;
    return link_send(self->control, peer, message, frame);
}

static void s_data_below(void *context, const wire_peer_t *peer, const wire_t *message,
                         frame_t *frame)
{
    relay_t *self = context;
    (void)link_send(self->data, peer, message, frame); /* a worker asks again for what is lost */
}

static void s_weights_below(void *context, const wire_t *message, frame_t *frame)
{
    relay_t *self = context;
    (void)link_send(self->weights, NULL, message, frame);
}

static void s_control_above(void *context, const wire_t *message)
{
    upstream_send_control(&((relay_t *)context)->above, message);
}

static void s_data_above(void *context, const wire_t *message)
{
    upstream_send_data(&((relay_t *)context)->above, message);
}

static void s_gradient_above(void *context, const wire_t *message, frame_t *frame)
{
    upstream_send_gradient(&((relay_t *)context)->above, message, frame);
}

static int s_set_up(void *context, const wire_welcome_t *job, dispatch_planes_t *planes, err_t *err)
{
    relay_t *self = context;
    if (upstream_open_job(&self->above, job, err) != 0)
        return -1;
    const char *control = link_endpoint(self->control);
    (void)snprintf(planes->control, sizeof(planes->control), "%s", control);
    link_plane_name(control, link_endpoint(self->data), planes->data);
    link_plane_name(control, link_endpoint(self->weights), planes->weights);
    link_plane_name(control, link_endpoint(self->gradients), planes->gradients);
    char shape[256];
    model_describe(&job->model, shape, sizeof(shape));
    log_info("relay.job", "model=%s rows=%u kernel=%s", shape, job->sampler.n_rows, job->kernel);
    return 0;
}

static void s_destroy(void *relay)
{
    relay_t *self = relay;
    forwarder_destroy(&self->forwarder);
    upstream_close(&self->above);
    link_destroy(&self->control);
    link_destroy(&self->data);
    link_destroy(&self->weights);
    link_destroy(&self->gradients);
    wire_clear(&self->in);
    free(self);
}

static const char *s_error(const void *relay)
{
    const relay_t *self = relay;
    return self->failed ? self->err.text : forwarder_error(self->forwarder);
}

static void s_drain_above(relay_t *self)
{
    frame_t frame = {.present = false};
    upstream_event_t event;
    while ((event = upstream_receive(&self->above, &frame, &self->err)) != UPSTREAM_NOTHING) {
        const wire_t *in = &self->above.in;
        if (event == UPSTREAM_FAILED)
            self->failed = true;
        else if (event == UPSTREAM_MESSAGE)
            forwarder_above(self->forwarder, in, &frame);
        else if (!forwarder_rows(self->forwarder, in, frame_data(&frame), frame_size(&frame)))
            log_warn_limited("rows.bad", self->above.endpoint,
                             "from=%s not rows that were asked for", self->above.endpoint);
        frame_clear(&frame);
    }
}

static void s_drain_below(relay_t *self)
{
    frame_t frame = {.present = false};
    wire_peer_t peer;
    wire_status_t status;
    while (!link_quiet(self->gradients) &&
           link_receive(self->gradients, &peer, &self->in, &frame, &status)) {
        forwarder_partial(self->forwarder, status, &self->in, &frame);
        frame_clear(&frame);
    }
    while (!link_quiet(self->control) &&
           link_receive(self->control, &peer, &self->in, &frame, &status)) {
        forwarder_control(self->forwarder, &peer, status, &self->in);
        frame_clear(&frame);
    }
    while (!link_quiet(self->data) && link_receive(self->data, &peer, &self->in, &frame, &status)) {
        forwarder_fetch(self->forwarder, &peer, status, &self->in);
        frame_clear(&frame);
    }
}

/* link_held_t */
static const float *s_held(void *context, const wire_t *message, size_t frame_size)
{
    return forwarder_held(((relay_t *)context)->forwarder, message, frame_size);
}

static actor_event_t s_run(void *relay, actor_t *actor)
{
    relay_t *self = relay;
    for (;;) {
        forwarder_tick(self->forwarder);
        if (self->failed || forwarder_state(self->forwarder) == FORWARDER_FAILED)
            return ACTOR_FAILED;
        if (forwarder_state(self->forwarder) == FORWARDER_OVER)
            return self->stopping ? ACTOR_STOPPED : ACTOR_RELEASED;
        zmq_pollitem_t items[4 + UPSTREAM_ITEMS] = {
            {actor_socket(actor), 0, ZMQ_POLLIN, 0},
            {link_socket(self->control), 0, ZMQ_POLLIN, 0},
            {link_socket(self->data), 0, ZMQ_POLLIN, 0},
            {link_socket(self->gradients), 0, ZMQ_POLLIN, 0},
        };
        link_t *links[4 + UPSTREAM_ITEMS] = {NULL, self->control, self->data, self->gradients};
        int n = 4 + upstream_items(&self->above, items + 4, links + 4);
        long timeout_ms = forwarder_timeout_ms(self->forwarder);
        if (timeout_ms > MAX_WAIT_MS)
            timeout_ms = MAX_WAIT_MS;
        if (link_poll(items, links, n, timeout_ms) < 0 && zmq_errno() != EINTR)
            return ACTOR_STOPPED; /* the context is gone */
        if (items[0].revents) {
            self->stopping = true;
            if (actor_order(actor) == ACTOR_STOP)
                return ACTOR_STOPPED;
            forwarder_drain(self->forwarder);
        }
        s_drain_below(self);
        s_drain_above(self);
        upstream_say_waits(&self->above, "relay.waiting", forwarder_waits_for(self->forwarder));
        if (!self->stopping &&
            upstream_patience(&self->above, self->patience_ms,
                              forwarder_silence_ms(self->forwarder), &self->err) != 0)
            self->failed = true;
    }
}

/* How long a gradient is nobody knows yet. */
static int s_bind(relay_t *self, const char *bind, err_t *err)
{
    char planes[4][LINK_ENDPOINT_SIZE];
    size_t longest = MODEL_MAX_PARAMS * sizeof(float);
    if (link_planes(bind, planes, err) != 0 ||
        !(self->control = link_bind(LINK_CONTROL_SERVER, planes[0], 0, err)) ||
        !(self->data = link_bind(LINK_DATA_SERVER, planes[1], 0, err)) ||
        !(self->weights = link_bind(LINK_WEIGHTS_SERVER, planes[2], 0, err)) ||
        !(self->gradients = link_bind(LINK_GRADIENTS_SERVER, planes[3], longest, err)))
        return err_prefix(err, "--bind");
    host_say_bound("relay", link_endpoint(self->control));
    return 0;
}

actor_t *relay_new(const relay_config_t *config, char bound[LINK_ENDPOINT_SIZE], err_t *err)
{
    static const actor_class_t kind = {s_run, s_error, s_destroy};
    relay_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    if (s_bind(self, config->bind, err) != 0 ||
        upstream_open(&self->above, config->endpoint, err) != 0) {
        s_destroy(self);
        return NULL;
    }
    self->patience_ms = config->patience_ms;
    if (bound)
        (void)snprintf(bound, LINK_ENDPOINT_SIZE, "%s", link_endpoint(self->control));
    wire_hello_t hello = upstream_hello(config->name, config->data);
    uint32_t incarnation;
    if (getrandom(&incarnation, sizeof(incarnation), 0) != sizeof(incarnation))
        incarnation = (uint32_t)clock_us(); /* it only has to differ from an earlier life's */
    forwarder_ports_t ports = {
        {self, s_now_ms, s_control_below, s_data_below, s_weights_below},
        self,
        s_control_above,
        s_data_above,
        s_gradient_above,
        s_set_up,
    };
    self->forwarder = forwarder_new(&hello, config->endpoint, config->data, incarnation, &ports);
    link_add_to(self->gradients, s_held, self);
    return actor_new(&kind, self);
}
