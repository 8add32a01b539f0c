/* See simulated.h. */
#include "workers/simulated.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pool.h"
#include "math/rng.h"
#include "math/vec.h"
#include "workers/session.h"
#include "workers/upstream.h"

#define CANNED_FLOATS 64      /* of a canned gradient; the others repeat them */
#define UPDATE        0x1p19F /* large against the weights, so that these show each bit of a sum */
#define SWEEP_MS      10      /* between two looks at all workers' deadlines */
#define N_EVENTS      256

typedef struct {
    uint32_t index; /* in workers[] */
    upstream_t above;
    session_t *session; /* owned; NULL once it is released */
    bool let_in;
    bool held;       /* it says READY only when simulated_run was called */
    float *gradient; /* owned, a buffer of the pool, not written to any more: the last ... */
    node_t node;     /* ... of this node, where gradients are fixed */
} worker_t;

struct simulated {
    const simulated_config_t *config; /* borrowed */
    worker_t *workers;                /* owned, as all that follows */
    pool_t *gradients;                /* NULL before the first job */
    uint32_t *rows;                   /* (block_rows); scratch; the same */
    int epoll;
    uint32_t n_let_in;
    uint32_t n_released;
    err_t err;
};

static bool s_can_run(const char *kernel)
{
    (void)kernel;
    return true;
}

static void s_release(worker_t *worker)
{
    upstream_close(&worker->above);
    pool_give(worker->gradient);
    worker->gradient = NULL;
    session_destroy(&worker->session);
}

/* Of those that are received from. */
typedef enum {
    PLANE_CONTROL,
    PLANE_WEIGHTS,
    PLANE_DATA,
} plane_t;

static link_t *s_link(const worker_t *worker, plane_t plane)
{
    const upstream_t *above = &worker->above;
    return plane == PLANE_CONTROL ? above->control
           : plane == PLANE_DATA  ? above->data
                                  : above->weights;
}

/* An event tells of a worker, in the lower half, and a plane. */
static int s_watch(const simulated_t *self, worker_t *worker, plane_t plane, err_t *err)
{
    struct epoll_event event = {.events = EPOLLIN};
    event.data.u64 = (uint64_t)plane << 32 | worker->index;
    if (epoll_ctl(self->epoll, EPOLL_CTL_ADD, link_fd(s_link(worker, plane)), &event) != 0)
        return err_set_errno(err, "epoll");
    return 0;
}

static int s_open(simulated_t *self, worker_t *worker, err_t *err)
{
    const simulated_config_t *config = self->config;
    uint32_t number = config->first + worker->index;
    wire_hello_t hello = {.host = "simulated", .kernel = "simulated", .threads = 1};
    (void)snprintf(hello.name, sizeof(hello.name), "simulated-%u", number);
    (void)snprintf(hello.digest, sizeof(hello.digest), "%s", dataset_digest(config->data));
    worker->held = number % config->hold_every == 0;
    worker->session = session_new(&hello, s_can_run, config->data, 1);
    if (upstream_open(&worker->above, config->endpoints[number % config->n_endpoints], err) != 0)
        return -1;
    return s_watch(self, worker, PLANE_CONTROL, err);
}

simulated_t *simulated_new(const simulated_config_t *config, err_t *err)
{
    simulated_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->config = config;
    self->workers = calloc(config->n_workers, sizeof(worker_t));
    if (!self->workers)
        abort();
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (self->epoll < 0) {
        err_set_errno(err, "epoll");
        simulated_destroy(&self);
        return NULL;
    }
    for (uint32_t i = 0; i < config->n_workers; i++) {
        self->workers[i].index = i;
        if (s_open(self, &self->workers[i], err) == 0)
            continue;
        simulated_destroy(&self);
        return NULL;
    }
    return self;
}

void simulated_destroy(simulated_t **self_p)
{
    simulated_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    for (uint32_t i = 0; i < self->config->n_workers; i++)
        s_release(&self->workers[i]);
    if (self->epoll >= 0)
        close(self->epoll);
    pool_destroy(&self->gradients);
    free(self->rows);
    free(self->workers);
    free(self);
}

/* Canned partials: sums(CANNED_FLOATS), and cost, correct and rows in *partial. */

static void s_block(const simulated_t *self, const sampler_t *sampler, uint32_t step,
                    uint32_t block, float *sums, partial_t *partial)
{
    uint32_t bits[CANNED_FLOATS];
    uint64_t first = (uint64_t)block * CANNED_FLOATS;
    uint32_t drawn_step = self->config->fixed ? 0 : step;
    rng_fill(sampler->seed, RNG_CANNED, drawn_step, first, CANNED_FLOATS, bits);
    for (int i = 0; i < CANNED_FLOATS; i++)
        sums[i] = ((float)(bits[i] >> 8) * 0x1p-24F - 0.5F) * UPDATE;
    partial->rows = sampler_rows(sampler, step, block, self->rows);
    partial->correct = bits[0] % (partial->rows + 1);
    partial->cost = (double)partial->rows * bits[1] * 0x1p-32;
}

static void s_node(const simulated_t *self, const sampler_t *sampler, uint32_t step, node_t node,
                   float *sums, partial_t *partial)
{
    *partial = (partial_t){.gradient = sums};
    if (node.level == 0) {
        s_block(self, sampler, step, node.index, sums, partial);
        return;
    }
    node_t left = {node.level - 1, node.index * 2};
    node_t right = {node.level - 1, node.index * 2 + 1};
    s_node(self, sampler, step, left, sums, partial);
    if (!node_valid(right, sampler_blocks(sampler)))
        return;
    float others[CANNED_FLOATS];
    partial_t other;
    s_node(self, sampler, step, right, others, &other);
    partial_add(partial, &other, CANNED_FLOATS);
}

/* The node's gradient in a buffer that is not written to any more. */
static float *s_gradient(simulated_t *self, worker_t *worker, node_t node, const float *sums,
                         size_t n_params)
{
    if (worker->gradient && worker->node.level == node.level && worker->node.index == node.index)
        return pool_share(worker->gradient);
    float *gradient = pool_take(self->gradients);
    for (size_t i = 0; i < n_params; i += CANNED_FLOATS) {
        size_t left = n_params - i;
        memcpy(gradient + i, sums, (left < CANNED_FLOATS ? left : CANNED_FLOATS) * sizeof(float));
    }
    if (self->config->fixed) {
        pool_give(worker->gradient);
        worker->gradient = pool_share(gradient);
        worker->node = node;
    }
    return gradient;
}

static void s_compute(simulated_t *self, worker_t *worker, const session_action_t *action)
{
    const wire_welcome_t *job = session_job(worker->session);
    float sums[CANNED_FLOATS];
    partial_t partial;
    s_node(self, &job->sampler, action->step, action->node, sums, &partial);
    partial.gradient = s_gradient(self, worker, action->node, sums, model_params(&job->model));
    partial.release = pool_give;
    partial.hint = partial.gradient;
    session_result(worker->session, action->step, action->node, &partial);
}

/* Opens what the job needs; all workers have the same job. */
static int s_set_up(simulated_t *self, worker_t *worker)
{
    const wire_welcome_t *job = session_job(worker->session);
    if (upstream_open_job(&worker->above, job, &self->err) != 0 ||
        s_watch(self, worker, PLANE_DATA, &self->err) != 0 ||
        s_watch(self, worker, PLANE_WEIGHTS, &self->err) != 0)
        return -1;
    if (!self->gradients)
        self->gradients = pool_new(model_params(&job->model) * sizeof(float));
    if (!self->rows && !(self->rows = calloc(job->sampler.block_rows, sizeof(uint32_t))))
        abort();
    self->n_let_in += !worker->let_in;
    worker->let_in = true;
    if (!worker->held)
        session_ready(worker->session, clock_ms());
    return 0;
}

/* Does all that the session wants now; true when there was something. */
static bool s_act(simulated_t *self, worker_t *worker)
{
    session_action_t action;
    for (bool acted = false;; acted = true) {
        switch (session_next(worker->session, clock_ms(), &action)) {
        case SESSION_NOTHING:
            return acted;
        case SESSION_SEND:
            upstream_send_control(&worker->above, action.message);
            break;
        case SESSION_SET_UP:
            if (s_set_up(self, worker) != 0)
                return false;
            break;
        case SESSION_EVALUATE: { /* not timed: right at once */
            wire_score_t score = {action.step, action.first, action.end, 0, 0};
            session_score(worker->session, &score);
            break;
        }
        case SESSION_FETCH: /* it has all rows */
        case SESSION_CANCEL:
            break;
        case SESSION_COMPUTE:
            s_compute(self, worker, &action);
            break;
        case SESSION_PUSH:
            upstream_push(&worker->above, action.message, action.partial.gradient,
                          model_params(&session_job(worker->session)->model));
            break;
        case SESSION_LEAVE:
            s_release(worker);
            self->n_released++;
            return false;
        case SESSION_REFUSED:
            err_set(&self->err, "a simulated worker was refused: %s",
                    session_refusal(worker->session)->text);
            return false;
        }
    }
}

static void s_receive(simulated_t *self, worker_t *worker)
{
    frame_t frame = {.present = false};
    upstream_event_t event;
    while ((event = upstream_receive(&worker->above, &frame, &self->err)) != UPSTREAM_NOTHING) {
        if (event == UPSTREAM_MESSAGE)
            (void)session_message(worker->session, &worker->above.in, frame_size(&frame),
                                  clock_ms());
        frame_clear(&frame);
    }
}

/* Receives last of all: only then is epoll told of what comes next. */
static void s_drive(simulated_t *self, worker_t *worker)
{
    while (worker->session) {
        s_receive(self, worker);
        if (!s_act(self, worker))
            return;
    }
}

static void s_woken(simulated_t *self, uint64_t event)
{
    worker_t *worker = &self->workers[(uint32_t)event];
    link_t *link = s_link(worker, (plane_t)(event >> 32));
    if (link) /* or it was released by an event before this one */
        link_wake(link);
    s_drive(self, worker);
}

static void s_sweep(simulated_t *self, int64_t now_ms)
{
    for (uint32_t i = 0; i < self->config->n_workers; i++) {
        worker_t *worker = &self->workers[i];
        if (!worker->session)
            continue;
        if (session_deadline_ms(worker->session) <= now_ms)
            s_drive(self, worker);
    }
}

/* Goes on until *n is the number of workers. */
static int s_loop(simulated_t *self, const uint32_t *n, err_t *err)
{
    struct epoll_event events[N_EVENTS];
    int64_t sweep_ms = 0;
    while (*n < self->config->n_workers) {
        int64_t now_ms = clock_ms();
        if (now_ms >= sweep_ms) {
            s_sweep(self, now_ms);
            sweep_ms = now_ms + SWEEP_MS;
        }
        int n_events = epoll_wait(self->epoll, events, N_EVENTS, SWEEP_MS);
        if (n_events < 0 && errno != EINTR)
            return err_set_errno(err, "epoll_wait");
        for (int i = 0; i < n_events; i++)
            s_woken(self, events[i].data.u64);
        if (self->err.text[0]) {
            *err = self->err;
            return -1;
        }
    }
    return 0;
}

int simulated_admit(simulated_t *self, err_t *err)
{
    return s_loop(self, &self->n_let_in, err);
}

int simulated_run(simulated_t *self, err_t *err)
{
    for (uint32_t i = 0; i < self->config->n_workers; i++) {
        worker_t *worker = &self->workers[i];
        if (worker->held && worker->session)
            session_ready(worker->session, clock_ms());
        worker->held = false;
    }
    return s_loop(self, &self->n_released, err);
}
