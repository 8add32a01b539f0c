/* Deterministic simulation: the coordinator and the sessions of several workers in one process,
 * with a simulated clock and a seeded network that loses, delays, duplicates, reorders and damages
 * messages, workers that are slow, stall, die and come back, and a server that is killed and goes
 * on from its last checkpoint. The tree and the gradients are real, only tiny.
 *
 * Each schedule must end, within bounds on time and messages, with the weights of the calm run, bit
 * for bit, each step counted once over all its rows. A seed that fails is printed and replays.
 *
 * Usage: sim [--first SEED] [--count N] [--verbose]
 */
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/pool.h"
#include "math/blas.h"
#include "math/optimizer.h"
#include "parameter_server/coordinator.h"
#include "sim/queue.h"
#include "workers/gradient.h"
#include "workers/session.h"

#define N_ROWS       45
#define N_INPUTS     4
#define N_STEPS      6
#define MAX_WORKERS  5
#define MAX_MS       300000.0 /* of simulated time: five minutes for six steps */
#define MAX_MESSAGES 20000
#define KERNEL       "dense/simulated"

typedef struct {
    bool alive;
    uint32_t connection; /* by which the server knows it; another after each reconnection */
    uint32_t life;       /* tasks and messages of an earlier one are void */
    uint32_t epoch;      /* tasks of an earlier one are cancelled */
    double block_ms;     /* how slow it is */
    double stalled_until_ms;
    double reborn_ms; /* when it comes back, while it is dead */
    session_t *session;
    gradient_t *gradient;
    frame_t weights;
} sim_worker_t;

typedef struct {
    uint64_t random;
    double now_ms;
    queue_t *queue;
    wire_buffer_t *codec;
    wire_t in;
    /* the plan of this schedule */
    int n_workers;
    double drop, delay_ms, duplicate, damage, stall, kill, kill_server;
    /* what is trained */
    const dataset_t *data; /* borrowed */
    server_job_t job;
    pool_t *buffers;
    coordinator_t *server; /* NULL while it is down */
    double server_back_ms;
    uint32_t next_connection;
    server_record_t *last; /* the newest step */
    server_record_t *kept; /* the newest checkpoint, or NULL */
    uint32_t checkpoint_every;
    uint32_t n_done; /* steps of the history that stands */
    uint64_t n_messages;
    uint64_t n_kills;
    double longest_ms; /* of all schedules, as is the next */
    uint64_t most_messages;
    sim_worker_t workers[MAX_WORKERS];
} sim_t;

static double s_rows[N_STEPS + 1]; /* that each step samples */
static uint64_t s_seed;            /* of the schedule that runs */
static char s_seed_text[48];       /* the same, for when it aborts */

/* splitmix64 (Steele, Lea, Flood 2014): one stream a schedule. */
static uint64_t s_random(sim_t *self)
{
    uint64_t z = (self->random += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static double s_uniform(sim_t *self)
{
    return (double)(s_random(self) >> 11) * 0x1p-53;
}

static bool s_chance(sim_t *self, double probability)
{
    return s_uniform(self) < probability;
}

/* The network */

static void s_flip_bit(sim_t *self, uint8_t *bytes, size_t size)
{
    size_t at = s_random(self) % size;
    bytes[at] ^= (uint8_t)(1 << s_random(self) % 8);
}

static void s_send(sim_t *self, event_kind_t kind, int worker, const wire_t *message,
                   frame_t *frame)
{
    const void *header;
    size_t header_size;
    bool has_frame = frame && frame->present;
    self->n_messages++;
    wire_encode(self->codec, message, has_frame ? frame_data(frame) : NULL,
                has_frame ? frame_size(frame) : 0, &header, &header_size);
    int n_copies = s_chance(self, self->drop) ? 0 : s_chance(self, self->duplicate) ? 2 : 1;
    for (int copy = 0; copy < n_copies; copy++) {
        event_t *event =
            event_new(kind, worker, header, header_size, has_frame ? frame_data(frame) : NULL,
                      has_frame ? frame_size(frame) : 0);
        event->life = self->workers[worker].life;
        event->connection = self->workers[worker].connection;
        if (s_chance(self, self->damage))
            s_flip_bit(self, event->header, header_size);
        if (has_frame && s_chance(self, self->damage))
            s_flip_bit(self, event->frame, event->frame_size);
        queue_put(self->queue, self->now_ms + 0.05 + s_uniform(self) * self->delay_ms, event);
    }
    if (frame)
        frame_clear(frame);
}

static wire_status_t s_open(sim_t *self, const event_t *event, frame_t *frame)
{
    wire_status_t status = wire_decode(self->codec, event->header, event->header_size, &self->in);
    frame->present = false;
    if (event->frame)
        frame_copy_of(frame, event->frame, event->frame_size);
    if (status == WIRE_OK)
        status = wire_check_frame(&self->in, frame_data(frame), frame_size(frame), frame->present);
    return status;
}

/* The server's ports */

static double s_now_ms(void *context)
{
    return ((sim_t *)context)->now_ms;
}

static int s_worker_of(const sim_t *self, const wire_peer_t *peer)
{
    uint32_t connection;
    memcpy(&connection, peer->bytes, sizeof(connection));
    for (int i = 0; i < self->n_workers; i++)
        if (self->workers[i].alive && self->workers[i].connection == connection)
            return i;
    return -1;
}

static bool s_server_control(void *context, const wire_peer_t *peer, const wire_t *message,
                             frame_t *frame)
{
    sim_t *self = context;
    int worker = s_worker_of(self, peer);
    if (worker >= 0)
        s_send(self, EVENT_TO_WORKER, worker, message, frame);
    else if (frame)
        frame_clear(frame);
    return worker >= 0;
}

static void s_server_data(void *context, const wire_peer_t *peer, const wire_t *message,
                          frame_t *frame)
{
    (void)s_server_control(context, peer, message, frame);
}

static void s_server_weights(void *context, const wire_t *message, frame_t *frame)
{
    sim_t *self = context;
    for (int i = 0; i < self->n_workers; i++) {
        if (!self->workers[i].alive)
            continue;
        frame_t copy = {.present = false};
        frame_share(&copy, frame);
        s_send(self, EVENT_TO_WORKER, i, message, &copy);
    }
    frame_clear(frame);
}

static void s_fail(const sim_t *self, const char *what)
{
    (void)fprintf(stderr,
                  "seed %" PRIu64 " fails at %.3f ms, step %u: %s; replay: sim --first %" PRIu64
                  " --count 1 --verbose\n",
                  s_seed, self->now_ms, self->n_done, what, s_seed);
    exit(1);
}

static void s_server_step(void *context, server_record_t *record)
{
    sim_t *self = context;
    if (record->step != self->n_done + 1)
        s_fail(self, "a step out of order");
    if ((double)record->rows != s_rows[record->step])
        s_fail(self, "a step over other rows than its sample");
    self->n_done = record->step;
    if (self->kept != self->last)
        server_record_destroy(&self->last);
    self->last = record;
    if (record->step % self->checkpoint_every == 0) {
        server_record_destroy(&self->kept);
        self->kept = record;
    }
}

static void s_start_server(sim_t *self)
{
    static const dispatch_planes_t planes = {"simulated", ".data", ".weights", ".gradients"};
    coordinator_ports_t ports = {
        {self, s_now_ms, s_server_control, s_server_data, s_server_weights},
        s_server_step,
    };
    server_job_t job = self->job;
    if (self->kept) { /* as cli/run.c goes on from a checkpoint */
        job.step = self->kept->step;
        job.weights = frame_data(&self->kept->weights);
        job.optimizer = optimizer_state_share(&self->kept->optimizer);
        job.incarnation = self->kept->incarnation;
        memcpy(job.kernel, self->kept->kernel, sizeof(job.kernel));
    }
    self->job.incarnation = job.incarnation + 1;
    self->n_done = job.step;
    self->server = coordinator_new(&job, &ports, &planes);
    for (int i = 0; i < self->n_workers; i++)
        self->workers[i].connection = ++self->next_connection;
}

static void s_kill_server(sim_t *self)
{
    coordinator_destroy(&self->server);
    if (self->last != self->kept)
        server_record_destroy(&self->last);
    self->last = self->kept;
    self->server_back_ms = self->now_ms + 10 + s_uniform(self) * 500;
    self->n_kills++;
}

/* The workers */

static bool s_can_run(const char *kernel)
{
    return strcmp(kernel, KERNEL) == 0;
}

static void s_start_worker(sim_t *self, int number)
{
    sim_worker_t *worker = &self->workers[number];
    wire_hello_t hello = {.threads = 1, .kernel = KERNEL};
    (void)snprintf(hello.name, sizeof(hello.name), "w%d-%u", number, worker->life);
    worker->alive = true;
    worker->life++;
    worker->connection = ++self->next_connection;
    worker->block_ms = 0.2 + s_uniform(self) * (s_chance(self, 0.2) ? 20 : 2);
    worker->stalled_until_ms = 0;
    worker->session = session_new(&hello, s_can_run, NULL, 1 + (uint32_t)(s_random(self) % 2));
    worker->gradient = gradient_new(&self->job.model, &self->job.sampler, self->buffers);
}

static void s_end_worker(sim_worker_t *worker)
{
    if (!worker->alive)
        return;
    worker->alive = false;
    worker->connection = 0;
    session_destroy(&worker->session);
    gradient_destroy(&worker->gradient);
    frame_clear(&worker->weights);
}

static void s_compute(sim_t *self, int number, const session_action_t *action)
{
    sim_worker_t *worker = &self->workers[number];
    uint32_t first, end;
    node_range(action->node, sampler_blocks(&self->job.sampler), &first, &end);
    event_t *event = event_new(EVENT_COMPUTED, number, NULL, 0, NULL, 0);
    event->life = worker->life;
    event->epoch = worker->epoch;
    event->step = action->step;
    event->node = action->node;
    queue_put(self->queue, self->now_ms + (end - first) * worker->block_ms, event);
}

/* Does all that a session wants now, and looks again at its deadline. */
static void s_act(sim_t *self, int number)
{
    sim_worker_t *worker = &self->workers[number];
    session_action_t action;
    for (;;) {
        switch (session_next(worker->session, (int64_t)self->now_ms, &action)) {
        case SESSION_NOTHING:
            return;
        case SESSION_SEND:
            s_send(self, EVENT_CONTROL, number, action.message, NULL);
            break;
        case SESSION_SET_UP:
            worker->epoch++;
            session_ready(worker->session, (int64_t)self->now_ms);
            break;
        case SESSION_FETCH:
            s_send(self, EVENT_DATA, number, action.message, NULL);
            break;
        case SESSION_COMPUTE:
            s_compute(self, number, &action);
            break;
        case SESSION_CANCEL:
            worker->epoch++;
            break;
        case SESSION_PUSH: {
            frame_t frame = {.present = false};
            frame_from_pool(&frame, action.partial.gradient,
                            model_params(&self->job.model) * sizeof(float));
            s_send(self, EVENT_GRADIENT, number, action.message, &frame);
            break;
        }
        case SESSION_LEAVE:
        case SESSION_REFUSED: /* damaged too often: a new process takes its place */
            s_end_worker(worker);
            worker->reborn_ms = self->now_ms + 50;
            return;
        }
    }
}

static void s_to_worker(sim_t *self, event_t *event)
{
    sim_worker_t *worker = &self->workers[event->worker];
    if (!worker->alive || event->life != worker->life || event->connection != worker->connection)
        return; /* its connection is gone */
    frame_t frame;
    if (s_open(self, event, &frame) == WIRE_OK) {
        if (self->in.type == WIRE_ROWS)
            (void)session_rows(worker->session, &self->in, frame_data(&frame), frame_size(&frame));
        else if (session_message(worker->session, &self->in, frame_size(&frame),
                                 (int64_t)self->now_ms)) {
            frame_clear(&worker->weights);
            frame_move(&worker->weights, &frame);
        }
    }
    frame_clear(&frame);
    s_act(self, event->worker);
}

static void s_computed(sim_t *self, const event_t *event)
{
    sim_worker_t *worker = &self->workers[event->worker];
    if (!worker->alive || event->life != worker->life || event->epoch != worker->epoch)
        return;
    const rowcache_t *rows = session_rowcache(worker->session);
    static const _Atomic uint64_t never = 0;
    partial_t partial;
    (void)gradient_node(worker->gradient, frame_data(&worker->weights), rowcache_images(rows),
                        rowcache_labels(rows), event->step, event->node, &never, 0, &partial);
    session_result(worker->session, event->step, event->node, &partial);
    s_act(self, event->worker);
}

static void s_to_server(sim_t *self, event_t *event)
{
    const sim_worker_t *worker = &self->workers[event->worker];
    wire_peer_t peer = {.size = 4};
    if (!self->server || event->life != worker->life)
        return;
    memcpy(peer.bytes, &worker->connection, 4); /* that of now: a queue outlives a reconnection */
    frame_t frame;
    wire_status_t status = s_open(self, event, &frame);
    if (event->kind == EVENT_CONTROL)
        coordinator_control(self->server, &peer, status, &self->in);
    else if (event->kind == EVENT_DATA)
        coordinator_fetch(self->server, &peer, status, &self->in);
    else
        coordinator_partial(self->server, status, &self->in, &frame);
    frame_clear(&frame);
    coordinator_tick(self->server);
}

/* Faults that come with time: every 5 ms of the simulation. */
static void s_misfortune(sim_t *self)
{
    for (int i = 0; i < self->n_workers; i++) {
        sim_worker_t *worker = &self->workers[i];
        if (!worker->alive) {
            if (self->now_ms >= worker->reborn_ms)
                s_start_worker(self, i);
            continue;
        }
        if (s_chance(self, self->stall))
            worker->stalled_until_ms = self->now_ms + s_uniform(self) * 5000;
        if (s_chance(self, self->kill)) {
            s_end_worker(worker);
            worker->reborn_ms = self->now_ms + s_uniform(self) * 1000;
            self->n_kills++;
        }
    }
    if (!self->server && self->now_ms >= self->server_back_ms)
        s_start_server(self);
    else if (self->server && s_chance(self, self->kill_server))
        s_kill_server(self);
}

/* What waits: a stalled worker's events until it goes on, half of a dead server's until it is back.
 */
static bool s_put_off(sim_t *self, event_t *event)
{
    const sim_worker_t *worker = &self->workers[event->worker];
    bool for_worker = event->kind == EVENT_TO_WORKER || event->kind == EVENT_COMPUTED;
    if (for_worker && worker->alive && self->now_ms < worker->stalled_until_ms) {
        queue_put(self->queue, worker->stalled_until_ms, event);
        return true;
    }
    if (!for_worker && event->kind != EVENT_TIME && !self->server && s_chance(self, 0.5)) {
        queue_put(self->queue, self->server_back_ms + 1, event);
        return true;
    }
    return false;
}

static void s_handle(sim_t *self, event_t *event)
{
    switch (event->kind) {
    case EVENT_TO_WORKER:
        s_to_worker(self, event);
        break;
    case EVENT_COMPUTED:
        s_computed(self, event);
        break;
    case EVENT_CONTROL:
    case EVENT_DATA:
    case EVENT_GRADIENT:
        s_to_server(self, event);
        break;
    case EVENT_TIME:
        s_misfortune(self);
        if (self->server)
            coordinator_tick(self->server);
        for (int i = 0; i < self->n_workers; i++)
            if (self->workers[i].alive && self->now_ms >= self->workers[i].stalled_until_ms)
                s_act(self, i);
        queue_put(self->queue, self->now_ms + 5, event_new(EVENT_TIME, 0, NULL, 0, NULL, 0));
        break;
    }
}

static void s_plan(sim_t *self, uint64_t seed)
{
    self->random = seed * 0x9e3779b97f4a7c15 + 1;
    bool calm = s_chance(self, 0.05);
    double worst = calm ? 0 : s_uniform(self);
    self->n_workers = 1 + (int)(s_random(self) % MAX_WORKERS);
    self->drop = s_chance(self, 0.5) ? 0.2 * worst : 0;
    self->duplicate = s_chance(self, 0.5) ? 0.3 * worst : 0;
    self->damage = s_chance(self, 0.3) ? 0.02 * worst : 0;
    self->delay_ms = s_chance(self, 0.5) ? 100 * worst : 1;
    self->stall = s_chance(self, 0.5) ? 0.005 * worst : 0;
    self->kill = s_chance(self, 0.5) ? 0.01 * worst : 0;
    self->kill_server = s_chance(self, 0.4) ? 0.004 * worst : 0;
    self->checkpoint_every = 1 + (uint32_t)(s_random(self) % 3);
}

/* One schedule; exits with 1 when it does not end as the calm run does. */
static void s_run(uint64_t seed, const server_job_t *job, const float *expected, sim_t *total)
{
    sim_t sim = {.job = *job, .data = job->data};
    s_plan(&sim, seed);
    sim.queue = queue_new();
    sim.codec = wire_buffer_new();
    sim.buffers = pool_new(model_params(&job->model) * sizeof(float));
    s_start_server(&sim);
    for (int i = 0; i < sim.n_workers; i++) /* some come later */
        sim.workers[i].reborn_ms = s_chance(&sim, 0.3) ? s_uniform(&sim) * 1000 : 0;
    queue_put(sim.queue, 0, event_new(EVENT_TIME, 0, NULL, 0, NULL, 0));
    while (!sim.server || !coordinator_finished(sim.server)) {
        event_t *event = queue_take(sim.queue, &sim.now_ms);
        if (sim.now_ms > MAX_MS || sim.n_messages > MAX_MESSAGES)
            s_fail(&sim, "does not end");
        if (s_put_off(&sim, event))
            continue;
        s_handle(&sim, event);
        event_destroy(&event);
    }
    if (memcmp(frame_data(&sim.last->weights), expected,
               model_params(&job->model) * sizeof(float)) != 0)
        s_fail(&sim, "other weights than the calm run's");
    total->n_messages += sim.n_messages;
    total->n_kills += sim.n_kills;
    total->now_ms += sim.now_ms;
    if (sim.now_ms > total->longest_ms)
        total->longest_ms = sim.now_ms;
    if (sim.n_messages > total->most_messages)
        total->most_messages = sim.n_messages;
    coordinator_destroy(&sim.server);
    for (int i = 0; i < sim.n_workers; i++)
        s_end_worker(&sim.workers[i]);
    if (sim.kept != sim.last)
        server_record_destroy(&sim.kept);
    server_record_destroy(&sim.last);
    queue_destroy(&sim.queue);
    wire_buffer_destroy(&sim.codec);
    wire_clear(&sim.in);
    pool_destroy(&sim.buffers);
}

/* The same training without a protocol: gradient of the whole, update, next step. */
static void s_calm(const server_job_t *job, float *weights)
{
    size_t n_params = model_params(&job->model);
    pool_t *buffers = pool_new(n_params * sizeof(float));
    gradient_t *gradient = gradient_new(&job->model, &job->sampler, buffers);
    optimizer_state_t state = job->optimizer;
    optimizer_t *optimizer = optimizer_new(n_params, &state, buffers);
    static const _Atomic uint64_t never = 0;
    float *now = pool_take(buffers);
    model_init_uniform(&job->model, job->sampler.seed, now);
    node_t root = {node_root_level(sampler_blocks(&job->sampler)), 0};
    for (uint32_t step = 1; step <= N_STEPS; step++) {
        partial_t sum;
        (void)gradient_node(gradient, now, dataset_images(job->data), dataset_labels(job->data),
                            step, root, &never, 0, &sum);
        s_rows[step] = (double)sum.rows;
        float *next = pool_take(buffers);
        optimizer_step(optimizer, now, sum.gradient, sum.rows, sum.cost / (double)sum.rows, next);
        pool_give(now);
        now = next;
        partial_release(&sum);
    }
    memcpy(weights, now, n_params * sizeof(float));
    pool_give(now);
    optimizer_destroy(&optimizer);
    gradient_destroy(&gradient);
    pool_destroy(&buffers);
}

static server_job_t s_job(const dataset_t *data, bool rollback)
{
    return (server_job_t){
        .model = {N_INPUTS, 2, {{3, ACTIVATION_TANH}, {2, ACTIVATION_SIGMOID}}},
        .sampler = {.seed = 5, .fraction = 0.7, .n_rows = N_ROWS, .block_rows = 4},
        .n_steps = N_STEPS,
        .optimizer.driver = bold_driver_new(rollback ? 8.0 : 0.5, 1.05, 0.5, rollback),
        .strict = true,
        .min_workers = 1,
        .data = data,
        .run = 77,
    };
}

/* An assertion in the product names its seed too. */
static void s_on_abort(int number)
{
    (void)number;
    (void)!write(STDERR_FILENO, s_seed_text, strlen(s_seed_text));
}

static dataset_t *s_data(void)
{
    uint8_t *images = malloc(N_ROWS * N_INPUTS), *labels = malloc(N_ROWS);
    if (!images || !labels)
        abort();
    for (int i = 0; i < N_ROWS * N_INPUTS; i++)
        images[i] = (uint8_t)(i * 37);
    for (int i = 0; i < N_ROWS; i++)
        labels[i] = (uint8_t)(i * 7 % 3 == 0);
    return dataset_new(&images, &labels, N_ROWS, N_INPUTS);
}

int main(int argc, char **argv)
{
    uint64_t first = 1, count = 1000;
    signal(SIGABRT, s_on_abort);
    log_set_level(LOG_LEVEL_ERROR + 1);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--first") == 0 && i + 1 < argc)
            first = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--count") == 0 && i + 1 < argc)
            count = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--verbose") == 0)
            log_set_level(LOG_LEVEL_DEBUG);
        else {
            (void)fprintf(stderr, "usage: sim [--first SEED] [--count N] [--verbose]\n");
            return 2;
        }
    }
    err_t err;
    if (blas_open(NULL, &err) != 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    dataset_t *data = s_data();
    server_job_t jobs[2] = {s_job(data, false), s_job(data, true)};
    float expected[2][64];
    sim_t total = {0};
    for (int i = 1; i >= 0; i--) /* both sample the same rows */
        s_calm(&jobs[i], expected[i]);
    for (uint64_t seed = first; seed < first + count; seed++) {
        s_seed = seed;
        (void)snprintf(s_seed_text, sizeof(s_seed_text), "seed %" PRIu64 " aborts\n", seed);
        s_run(seed, &jobs[seed % 2], expected[seed % 2], &total);
    }
    (void)printf("%" PRIu64 " schedules from seed %" PRIu64 ": %" PRIu64 " messages, %" PRIu64
                 " kills, %.0f simulated seconds; at most %" PRIu64 " messages and %.1f s\n",
                 count, first, total.n_messages, total.n_kills, total.now_ms / 1000,
                 total.most_messages, total.longest_ms / 1000);
    dataset_destroy(&data);
    return 0;
}
