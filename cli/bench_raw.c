/* See bench_raw.h. */
#include "cli/bench_raw.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <zmq.h>

#include "base/clock.h"
#include "cli/bench.h"
#include "cli/bench_children.h"
#include "math/median.h"

#define RATE      0x1p-10F
#define LINGER_MS 0

typedef struct {
    const bench_raw_plan_t *plan;
    char weights[64]; /* endpoints */
    char gradients[64];
} raw_t;

typedef struct {
    void *context;
    void *weights;   /* XPUB, which hears who has subscribed; SUB */
    void *gradients; /* PULL; PUSH */
} sockets_t;

static void s_open(sockets_t *self, int weights, int gradients)
{
    const int none = 0, linger_ms = LINGER_MS;
    self->context = zmq_ctx_new();
    self->weights = zmq_socket(self->context, weights);
    self->gradients = zmq_socket(self->context, gradients);
    void *sockets[] = {self->weights, self->gradients};
    for (int i = 0; i < 2; i++) {
        zmq_setsockopt(sockets[i], ZMQ_LINGER, &linger_ms, sizeof(linger_ms));
        zmq_setsockopt(sockets[i], ZMQ_SNDHWM, &none, sizeof(none));
        zmq_setsockopt(sockets[i], ZMQ_RCVHWM, &none, sizeof(none));
    }
}

static void s_close(sockets_t *self)
{
    zmq_close(self->weights);
    zmq_close(self->gradients);
    zmq_ctx_term(self->context);
}

static void s_keep(void *data, void *hint)
{
    (void)data;
    (void)hint;
}

/* Sends floats that stay as they are until the message has gone. False when it cannot. */
static bool s_send(void *socket, float *values, size_t n)
{
    zmq_msg_t message;
    zmq_msg_init_data(&message, values, n * sizeof(float), s_keep, NULL);
    if (zmq_msg_send(&message, socket, 0) >= 0)
        return true;
    zmq_msg_close(&message);
    return false;
}

/* Floats of messages may lie anywhere. */
static float s_load(const void *values, size_t i)
{
    float value;
    memcpy(&value, (const char *)values + i * sizeof(value), sizeof(value));
    return value;
}

static void s_add(void *sum, const void *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float value = s_load(sum, i) + s_load(values, i);
        memcpy((char *)sum + i * sizeof(value), &value, sizeof(value));
    }
}

static void s_update(float *weights, const void *sum, size_t n)
{
    for (size_t i = 0; i < n; i++)
        weights[i] -= RATE * s_load(sum, i);
}

/* When all gradients are there, all have the weights: nobody still sends what the update changes.
 */
static int s_step(const bench_raw_plan_t *plan, sockets_t *sockets, float *weights, err_t *err)
{
    size_t n = plan->n_params;
    zmq_msg_t sum, other;
    if (!s_send(sockets->weights, weights, n))
        return err_set(err, "zmq_msg_send: %s", zmq_strerror(zmq_errno()));
    zmq_msg_init(&sum);
    for (uint32_t i = 0; i < plan->n_workers; i++) {
        zmq_msg_init(&other);
        if (zmq_msg_recv(i == 0 ? &sum : &other, sockets->gradients, 0) != (int)(n * sizeof(float)))
            return err_set(err, "zmq_msg_recv: %s", zmq_strerror(zmq_errno()));
        if (i > 0)
            s_add(zmq_msg_data(&sum), zmq_msg_data(&other), n);
        zmq_msg_close(&other);
    }
    s_update(weights, zmq_msg_data(&sum), n);
    zmq_msg_close(&sum);
    return 0;
}

static int s_server(const void *context, uint32_t number, int fd, err_t *err)
{
    const bench_raw_plan_t *plan = ((const raw_t *)context)->plan;
    sockets_t sockets;
    char endpoint[64];
    size_t size = sizeof(endpoint);
    (void)number;
    s_open(&sockets, ZMQ_XPUB, ZMQ_PULL);
    const int each = 1; /* subscription, also of what another one has subscribed to */
    zmq_setsockopt(sockets.weights, ZMQ_XPUB_VERBOSE, &each, sizeof(each));
    void *bound[] = {sockets.weights, sockets.gradients};
    for (int i = 0; i < 2; i++) {
        size = sizeof(endpoint);
        if (zmq_bind(bound[i], "tcp://127.0.0.1:*") != 0 ||
            zmq_getsockopt(bound[i], ZMQ_LAST_ENDPOINT, endpoint, &size) != 0)
            return err_set(err, "zmq_bind: %s", zmq_strerror(zmq_errno()));
        child_say_text(fd, REPORT_BOUND, endpoint);
    }
    for (uint32_t i = 0; i < plan->n_workers; i++) {
        char subscription[8];
        (void)zmq_recv(sockets.weights, subscription, sizeof(subscription), 0);
    }
    float *weights = calloc(plan->n_params, sizeof(float));
    if (!weights)
        abort();
    int r = 0;
    for (uint32_t step = 1; r == 0 && step <= plan->n_steps; step++) {
        double begun_ms = (double)clock_us() * 1e-3;
        r = s_step(plan, &sockets, weights, err);
        report_t report = {.kind = REPORT_STEP, .step = step};
        report.step_ms = (double)clock_us() * 1e-3 - begun_ms;
        if (r == 0)
            child_say(fd, &report);
    }
    s_close(&sockets);
    free(weights);
    return r;
}

static int s_answer(const raw_t *self, sockets_t *sockets, float *gradient, err_t *err)
{
    if (zmq_connect(sockets->weights, self->weights) != 0 ||
        zmq_connect(sockets->gradients, self->gradients) != 0)
        return err_set(err, "zmq_connect: %s", zmq_strerror(zmq_errno()));
    zmq_setsockopt(sockets->weights, ZMQ_SUBSCRIBE, "", 0);
    for (uint32_t step = 1; step <= self->plan->n_steps; step++) {
        zmq_msg_t weights;
        zmq_msg_init(&weights);
        if (zmq_msg_recv(&weights, sockets->weights, 0) < 0 ||
            !s_send(sockets->gradients, gradient, self->plan->n_params))
            return err_set(err, "a step: %s", zmq_strerror(zmq_errno()));
        zmq_msg_close(&weights);
    }
    return 0;
}

static int s_worker(const void *context, uint32_t number, int fd, err_t *err)
{
    const raw_t *self = context;
    sockets_t sockets;
    char gone;
    (void)number;
    float *gradient = malloc(self->plan->n_params * sizeof(float));
    if (!gradient)
        abort();
    for (uint32_t i = 0; i < self->plan->n_params; i++)
        gradient[i] = 1.0F; /* untouched memory would be one page of zeros over and over */
    s_open(&sockets, ZMQ_SUB, ZMQ_PUSH);
    int r = s_answer(self, &sockets, gradient, err);
    if (r == 0)
        (void)recv(fd, &gone, 1, 0); /* the last gradient is still on its way */
    s_close(&sockets);
    free(gradient);
    return r;
}

static int s_run(raw_t *self, children_t *children, double *step_ms, err_t *err)
{
    const bench_raw_plan_t *plan = self->plan;
    report_t report;
    if (children_spawn(children, "server", 0, s_server, self, err) != 0 ||
        children_receive(children, REPORT_BOUND, &report, err) != 0)
        return -1;
    memcpy(self->weights, report.text, sizeof(self->weights));
    if (children_receive(children, REPORT_BOUND, &report, err) != 0)
        return -1;
    memcpy(self->gradients, report.text, sizeof(self->gradients));
    for (uint32_t i = 0; i < plan->n_workers; i++)
        if (children_spawn(children, "worker", i, s_worker, self, err) != 0)
            return -1;
    double *steps = calloc(plan->n_steps, sizeof(double));
    if (!steps)
        abort();
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < plan->n_steps; i++) {
        r = children_receive(children, REPORT_STEP, &report, err);
        steps[i] = report.step_ms;
    }
    *step_ms = median_of(steps + plan->n_warm, plan->n_steps - plan->n_warm);
    free(steps);
    return r;
}

int bench_raw(const bench_raw_plan_t *plan, double *step_ms, err_t *err)
{
    raw_t self = {.plan = plan};
    children_t *children = calloc(1, sizeof(*children));
    if (!children)
        abort();
    int r = s_run(&self, children, step_ms, err);
    children_clear(children);
    free(children);
    return r;
}
