/* See upstream.h. */
#include "workers/upstream.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "proto/host.h"

int upstream_open(upstream_t *self, const char *endpoint, err_t *err)
{
    (void)snprintf(self->endpoint, sizeof(self->endpoint), "%s", endpoint);
    /* control may bring the weights of a step that was missed */
    self->say_ms = clock_ms() + LOG_FIRST_WAIT_MS;
    self->control = link_connect(LINK_CONTROL_WORKER, self->endpoint, SIZE_MAX, err);
    return self->control ? 0 : -1;
}

void upstream_close(upstream_t *self)
{
    upstream_close_job(self);
    link_destroy(&self->control);
    wire_clear(&self->in);
}

int upstream_open_job(upstream_t *self, const wire_welcome_t *job, err_t *err)
{
    char data[LINK_ENDPOINT_SIZE], weights[LINK_ENDPOINT_SIZE], gradients[LINK_ENDPOINT_SIZE];
    upstream_close_job(self);
    if (link_plane_endpoint(self->endpoint, job->data, data, err) != 0 ||
        link_plane_endpoint(self->endpoint, job->weights, weights, err) != 0 ||
        link_plane_endpoint(self->endpoint, job->gradients, gradients, err) != 0)
        return -1;
    size_t weights_bytes = model_params(&job->model) * sizeof(float);
    size_t rows_bytes =
        job->model.n_inputs > WIRE_MAX_ROWS_BYTES ? job->model.n_inputs : WIRE_MAX_ROWS_BYTES;
    if (!(self->weights = link_connect(LINK_WEIGHTS_WORKER, weights, weights_bytes, err)) ||
        !(self->data = link_connect(LINK_DATA_WORKER, data, rows_bytes, err)) ||
        !(self->gradients = link_connect(LINK_GRADIENTS_WORKER, gradients, 0, err)))
        return -1;
    return 0;
}

void upstream_close_job(upstream_t *self)
{
    link_destroy(&self->data);
    link_destroy(&self->weights);
    link_destroy(&self->gradients);
}

upstream_event_t upstream_receive(upstream_t *self, frame_t *frame, err_t *err)
{
    link_t *const links[] = {self->control, self->weights, self->data};
    wire_peer_t nobody;
    wire_status_t status;
    for (int i = 0; i < 3; i++) {
        while (links[i] && !link_quiet(links[i]) &&
               link_receive(links[i], &nobody, &self->in, frame, &status)) {
            self->heard = true;
            if (status == WIRE_OK)
                return links[i] == self->data ? UPSTREAM_ROWS : UPSTREAM_MESSAGE;
            frame_clear(frame);
            if (status == WIRE_BAD_VERSION) {
                err_set(err, "%s: the server speaks protocol version %u, expected %u",
                        self->endpoint, self->in.version, WIRE_VERSION);
                return UPSTREAM_FAILED;
            }
            log_warn_limited("message.bad", self->endpoint, "from=%s %s", self->endpoint,
                             wire_status_text(status));
        }
    }
    return UPSTREAM_NOTHING;
}

static bool s_is_unknown(const upstream_t *self, err_t *why)
{
    return !self->heard && host_lookup(self->endpoint, why) != 0;
}

/* A name that is not known may be later: it is looked up on and on. */
void upstream_say_waits(upstream_t *self, const char *event, const char *what)
{
    err_t why;
    int64_t now_ms = clock_ms();
    if (!what || now_ms < self->say_ms)
        return;
    self->say_ms = now_ms + LOG_WAIT_MS;
    if (s_is_unknown(self, &why))
        log_warn(event, "for=%s endpoint=%s: %s", what, self->endpoint, why.text);
    else
        log_info(event, "for=%s endpoint=%s", what, self->endpoint);
}

int upstream_patience(const upstream_t *self, int64_t patience_ms, int64_t silence_ms, err_t *err)
{
    if (patience_ms == 0 || silence_ms < patience_ms)
        return 0;
    err_t why;
    bool unknown = s_is_unknown(self, &why);
    return err_set(err, "%s: no word from the server for %lld s%s%s", self->endpoint,
                   (long long)(patience_ms / 1000), unknown ? ": " : "", unknown ? why.text : "");
}

int upstream_items(const upstream_t *self, zmq_pollitem_t items[UPSTREAM_ITEMS],
                   link_t *links[UPSTREAM_ITEMS])
{
    link_t *const all[] = {self->control, self->weights, self->data};
    int n = 0;
    for (int i = 0; i < UPSTREAM_ITEMS; i++) {
        if (!all[i])
            continue;
        items[n] = (zmq_pollitem_t){link_socket(all[i]), 0, ZMQ_POLLIN, 0};
        links[n++] = all[i];
    }
    return n;
}

void upstream_send_control(upstream_t *self, const wire_t *message)
{
    if (!link_send(self->control, NULL, message, NULL))
        log_debug("control.dropped", "type=%s", wire_type_name(message->type));
}

void upstream_send_data(upstream_t *self, const wire_t *message)
{
    (void)link_send(self->data, NULL, message, NULL); /* it is asked for again */
}

void upstream_send_gradient(upstream_t *self, const wire_t *message, frame_t *frame)
{
    node_t node = message->partial.node;
    if (!link_send(self->gradients, NULL, message, frame))
        log_warn_limited("partial.dropped", self->endpoint,
                         "step=%u node=%u,%u: the server does not take partials", message->step,
                         node.level, node.index);
}

void upstream_push(upstream_t *self, const wire_t *message, float *gradient, size_t n_params)
{
    frame_t frame = {.present = false};
    frame_from_pool(&frame, gradient, n_params * sizeof(float));
    upstream_send_gradient(self, message, &frame);
}

wire_hello_t upstream_hello(const char *name, const dataset_t *data)
{
    wire_hello_t hello = {.threads = 0};
    (void)snprintf(hello.name, sizeof(hello.name), "%s", name);
    if (gethostname(hello.host, sizeof(hello.host) - 1) != 0)
        (void)snprintf(hello.host, sizeof(hello.host), "?");
    if (data)
        (void)snprintf(hello.digest, sizeof(hello.digest), "%s", dataset_digest(data));
    return hello;
}
