/* See coordinator.h. */
#include "parameter_server/coordinator.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/pool.h"
#include "math/optimizer.h"

#define NEWEST_WEIGHT 0.2 /* of the newest step in what status says of speed */

struct coordinator {
    server_job_t job;
    coordinator_ports_t ports;
    char endpoint[256]; /* control, for the log */
    size_t n_params;
    node_t root;
    dispatcher_t *dispatcher; /* owned */
    optimizer_t *optimizer;   /* owned */
    trial_t *trial;           /* owned */
    pool_t *models;           /* owned; of buffers for it */
    frame_t current;          /* the weights of the step that runs */
    bool running;             /* a step is under way */
    bool stopped;             /* early */
    bool awaiting;            /* the next step waits for an evaluation */
    uint32_t step;
    double started_ms; /* of the step */
    double born_ms;
    double step_ms;    /* smoothed; 0 before the first step */
    double rows_per_s; /* the same */
    double cost;       /* of the last step, as the next two */
    double accuracy;
    double learning_rate;
    trial_result_t evaluated; /* the last one; step 0: none */
    double say_ms;            /* when to speak of a wait again */
    err_t failure;            /* why it does not go on; empty while it does */
};

static double s_now_ms(const coordinator_t *self)
{
    return self->ports.dispatch.now_ms(self->ports.dispatch.context);
}

static dispatch_rows_t s_rows_of(const dataset_t *data)
{
    return (dispatch_rows_t){data, dataset_images(data), dataset_labels(data),
                             (uint32_t)dataset_rows(data)};
}

/* What is held out is a function of data, seed and how many rows it is. */
static void s_name_rows(const server_job_t *job, char name[WIRE_DIGEST_SIZE])
{
    char text[128];
    bool tested = job->evaluate_every > 0 && job->test;
    name[0] = '\0';
    if (!job->validation && !tested)
        return;
    int n = snprintf(text, sizeof(text), "%" PRIu64 " %zu %s", job->sampler.seed,
                     job->validation ? dataset_rows(job->validation) : 0,
                     tested ? dataset_digest(job->test) : "");
    (void)snprintf(name, WIRE_DIGEST_SIZE, "%016" PRIx64, wire_digest(text, (size_t)n));
}

/* Has the model that is on trial evaluated, if there is one. */
static void s_evaluate(coordinator_t *self)
{
    uint32_t first, end;
    const trial_state_t *state = trial_state(self->trial);
    frame_t model = {.present = false};
    if (state->pending_step == 0)
        return;
    frame_from_pool(&model, pool_share(state->pending), self->n_params * sizeof(float));
    dispatcher_evaluate(self->dispatcher, state->pending_step, &model);
    frame_clear(&model);
    for (uint32_t i = 0; trial_block(self->trial, i, &first, &end); i++)
        dispatcher_evaluate_rows(self->dispatcher, first, end);
}

/* The model that the run would leave now: the weights' average where there is one. */
static void s_put_on_trial(coordinator_t *self)
{
    float *model = optimizer_state(self->optimizer)->average;
    if (!trial_due(self->trial, self->step))
        return;
    if (model)
        pool_share(model);
    else {
        model = pool_take(self->models);
        memcpy(model, frame_data(&self->current), self->n_params * sizeof(float));
    }
    trial_begin(self->trial, self->step, model);
    s_evaluate(self);
}

coordinator_t *coordinator_new(server_job_t *job, const coordinator_ports_t *ports,
                               const dispatch_planes_t *planes)
{
    coordinator_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->job = *job;
    memset(&job->optimizer, 0, sizeof(job->optimizer));
    memset(&job->trial, 0, sizeof(job->trial));
    self->ports = *ports;
    memcpy(self->endpoint, planes->control, sizeof(self->endpoint));
    self->n_params = model_params(&job->model);
    self->root.level = node_root_level(sampler_blocks(&job->sampler));
    dispatch_job_t work = {
        .run = job->run,
        .incarnation = job->incarnation, /* partials of another one do not count */
        .model = job->model,
        .sampler = job->sampler,
        .strict = job->strict,
        .audit = job->audit,
        .rows[0] = s_rows_of(job->data),
    };
    s_name_rows(job, work.rows_name);
    if (job->evaluate_every > 0 && job->validation)
        work.rows[1] = s_rows_of(job->validation);
    if (job->evaluate_every > 0 && job->test)
        work.rows[2] = s_rows_of(job->test);
    memcpy(work.kernel, job->kernel, sizeof(work.kernel));
    (void)snprintf(work.digest, sizeof(work.digest), "%s", dataset_digest(job->data));
    self->dispatcher = dispatcher_new(&work, &ports->dispatch, planes);
    self->optimizer = optimizer_new(&job->model, &self->job.optimizer);
    size_t bytes = self->n_params * sizeof(float);
    if (job->weights)
        frame_copy_of(&self->current, job->weights, bytes);
    else {
        frame_new(&self->current, bytes);
        model_init(&job->model, job->init, job->sampler.seed, frame_data(&self->current));
    }
    self->step = job->step;
    self->born_ms = s_now_ms(self);
    self->say_ms = self->born_ms + LOG_FIRST_WAIT_MS;
    self->cost = self->accuracy = self->learning_rate = NAN;
    trial_config_t trial = {
        .n_train = work.rows[0].n_rows,
        .n_validation = work.rows[1].n_rows,
        .n_test = work.rows[2].n_rows,
        .block_rows = job->sampler.block_rows,
        .every = job->evaluate_every,
        .patience = job->patience,
    };
    self->models = pool_new(bytes);
    self->trial = trial_new(&trial, &self->job.trial);
    s_evaluate(self);
    return self;
}

void coordinator_destroy(coordinator_t **self_p)
{
    coordinator_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    dispatcher_destroy(&self->dispatcher);
    frame_clear(&self->current);
    optimizer_destroy(&self->optimizer);
    trial_destroy(&self->trial);
    pool_destroy(&self->models);
    free(self);
}

/* For status. */
static void s_note_figures(coordinator_t *self, const server_record_t *record)
{
    double rows_per_s = (double)record->rows * 1000 / fmax(record->step_ms, 1e-3);
    double weight = self->step_ms > 0 ? NEWEST_WEIGHT : 1;
    self->step_ms += weight * (record->step_ms - self->step_ms);
    self->rows_per_s += weight * (rows_per_s - self->rows_per_s);
    self->cost = record->cost;
    self->accuracy = record->accuracy;
    self->learning_rate = record->learning_rate;
}

/* The weights after the step's, from its sum, which is released. Returns 0, or -1 with the failure.
 */
static int s_update(coordinator_t *self, partial_t *sum, double *cost)
{
    uint64_t digest;
    if (optimizer_step(self->optimizer, frame_data(&self->current), sum->gradient, sum->rows, cost,
                       sum->gradient, &digest, &self->failure) != 0) {
        partial_release(sum);
        return err_prefix(&self->failure, "step %u", self->step);
    }
    frame_clear(&self->current);
    dispatcher_move_gradient(sum, &self->current);
    frame_set_digest(&self->current, digest);
    return 0;
}

static void s_end_step(coordinator_t *self, partial_t *sum)
{
    double summed_ms = s_now_ms(self);
    dispatcher_end(self->dispatcher);
    dispatch_figures_t figures = dispatcher_figures(self->dispatcher);
    server_record_t *record = calloc(1, sizeof(*record));
    if (!record)
        abort();
    record->step = self->step;
    record->rows = sum->rows;
    record->workers = dispatcher_active(self->dispatcher);
    record->blocks = sampler_blocks(&self->job.sampler);
    record->reissued = figures.n_reissued;
    record->duplicates = figures.n_duplicates;
    record->refused = figures.n_refused;
    record->audited = figures.n_audited;
    record->unaudited = figures.n_unaudited;
    record->cost = sum->rows ? sum->cost / (double)sum->rows : 0.0;
    record->accuracy = sum->rows ? (double)sum->correct / (double)sum->rows : 0.0;
    self->running = false;
    if (!sum->rows)
        partial_release(sum);
    else if (s_update(self, sum, &record->cost) != 0) {
        server_record_destroy(&record);
        return;
    }
    memcpy(record->kernel, dispatcher_kernel(self->dispatcher), sizeof(record->kernel));
    record->run = self->job.run;
    record->optimizer = optimizer_state_share(optimizer_state(self->optimizer));
    record->learning_rate = optimizer_rate(&record->optimizer);
    frame_share(&record->weights, &self->current);
    s_put_on_trial(self);
    record->trial = trial_state_share(trial_state(self->trial));
    double now_ms = s_now_ms(self);
    record->step_ms = now_ms - self->started_ms;
    record->broadcast_ms = figures.broadcast_ms;
    record->sum_ms = figures.sum_ms + (now_ms - summed_ms);
    record->compute_ms = record->step_ms - record->broadcast_ms - record->sum_ms;
    s_note_figures(self, record);
    self->ports.step_done(self->ports.dispatch.context, record);
}

bool coordinator_finished(const coordinator_t *self)
{
    bool over = self->stopped || self->step == self->job.n_steps;
    return !self->running &&
           (self->failure.text[0] || (over && trial_state(self->trial)->pending_step == 0));
}

const char *coordinator_failure(const coordinator_t *self)
{
    return self->failure.text[0] ? self->failure.text : NULL;
}

const trial_state_t *coordinator_trial(const coordinator_t *self)
{
    return trial_state(self->trial);
}

static bool s_awaits_trial(const coordinator_t *self)
{
    return !self->running && !self->failure.text[0] &&
           trial_awaited(self->trial, self->step + 1, self->step == self->job.n_steps);
}

/* Decides the trial that the next step waits for; false while it is not done. */
static bool s_decide(coordinator_t *self)
{
    double now_ms = s_now_ms(self);
    const trial_state_t *state = trial_state(self->trial);
    uint32_t step = state->pending_step;
    if (!s_awaits_trial(self))
        return true;
    if (!trial_decide(self->trial, &self->stopped)) {
        if (!self->awaiting)
            self->say_ms = now_ms + LOG_FIRST_WAIT_MS;
        self->awaiting = true;
        if (now_ms >= self->say_ms) {
            log_info("server.waiting", "for=evaluation step=%u", step);
            self->say_ms = now_ms + LOG_WAIT_MS;
        }
        return false;
    }
    self->awaiting = false;
    if (self->stopped)
        log_info("server.stopped", "step=%u early: best=%u validation_cost=%.6g worse=%u",
                 self->step, state->best_step, state->best_cost, state->n_worse);
    return true;
}

/* Workers to begin with. Once training has begun it goes on with any number of them. */
static uint32_t s_needed(const coordinator_t *self)
{
    return self->step == self->job.step ? self->job.min_workers : 1;
}

/* Begins the next step if there are workers for it. */
static void s_advance(coordinator_t *self)
{
    if (!s_decide(self))
        return;
    uint32_t needed = s_needed(self);
    uint32_t n_active = dispatcher_active(self->dispatcher);
    double now_ms = s_now_ms(self);
    if (self->running || coordinator_finished(self))
        return;
    if (n_active >= needed) {
        self->started_ms = now_ms;
        self->running = true;
        dispatcher_begin(self->dispatcher, ++self->step, &self->current, &self->root, 1);
    } else if (now_ms >= self->say_ms) {
        log_info("server.waiting", "for=workers there=%u needed=%u endpoint=%s", n_active, needed,
                 self->endpoint);
        self->say_ms = now_ms + LOG_WAIT_MS;
    }
}

static void s_report(coordinator_t *self, const wire_peer_t *peer)
{
    uint32_t n_done = self->running ? self->step - 1 : self->step;
    bool known = self->step_ms > 0;
    double now_ms = s_now_ms(self);
    const trial_score_t *score =
        self->evaluated.validation.rows > 0 ? &self->evaluated.validation : &self->evaluated.test;
    bool scored = self->evaluated.step > 0;
    wire_report_t report = {
        .role = "server",
        .step = self->step,
        .n_steps = self->job.n_steps,
        .rows_per_s = known ? self->rows_per_s : NAN,
        .eta_s = known ? (self->job.n_steps - n_done) * self->step_ms / 1000 : NAN,
        .cost = self->cost,
        .accuracy = self->accuracy,
        .learning_rate = self->learning_rate,
        .elapsed_s = (now_ms - self->born_ms) / 1000,
        .evaluation = self->evaluated.step,
        .evaluation_cost = scored ? score->cost : NAN,
        .evaluation_accuracy = scored ? score->accuracy : NAN,
    };
    if (s_awaits_trial(self))
        (void)snprintf(report.waiting_for, sizeof(report.waiting_for), "the evaluation of step %u",
                       trial_state(self->trial)->pending_step);
    else if (!self->running && !coordinator_finished(self))
        (void)snprintf(report.waiting_for, sizeof(report.waiting_for), "workers: %u of %u there",
                       dispatcher_active(self->dispatcher), s_needed(self));
    dispatcher_report(self->dispatcher, peer, &report);
}

/* Ends the step if its sum is there, and begins the next one. */
static void s_collect(coordinator_t *self)
{
    node_t root;
    partial_t sum;
    if (!dispatcher_take(self->dispatcher, &root, &sum))
        return;
    s_end_step(self, &sum);
    s_advance(self);
}

static void s_say_score(const char *set, uint32_t step, const trial_score_t *score)
{
    if (score->rows > 0)
        log_info("evaluation.done", "step=%u set=%s cost=%.6g accuracy=%.4f", step, set,
                 score->cost, score->accuracy);
}

static void s_collect_scores(coordinator_t *self)
{
    wire_score_t score;
    trial_result_t result;
    while (dispatcher_take_score(self->dispatcher, &score)) {
        if (!trial_score(self->trial, &score, &result))
            continue;
        self->evaluated = result;
        s_say_score("validation", result.step, &result.validation);
        s_say_score("test", result.step, &result.test);
        self->ports.evaluated(self->ports.dispatch.context, &result);
    }
}

void coordinator_control(coordinator_t *self, const wire_peer_t *peer, wire_status_t status,
                         const wire_t *in)
{
    if (status == WIRE_OK && in->type == WIRE_STATUS)
        s_report(self, peer);
    else
        dispatcher_control(self->dispatcher, peer, status, in);
    s_collect_scores(self);
}

void coordinator_fetch(coordinator_t *self, const wire_peer_t *peer, wire_status_t status,
                       const wire_t *in)
{
    dispatcher_fetch(self->dispatcher, peer, status, in);
}

const float *coordinator_held(const coordinator_t *self, const wire_t *in, size_t frame_bytes)
{
    return dispatcher_held(self->dispatcher, in, frame_bytes);
}

void coordinator_partial(coordinator_t *self, wire_status_t status, const wire_t *in,
                         frame_t *frame)
{
    dispatcher_partial(self->dispatcher, status, in, frame);
    s_collect(self);
}

void coordinator_tick(coordinator_t *self)
{
    dispatcher_tick(self->dispatcher);
    s_collect(self);
    s_advance(self);
}

long coordinator_timeout_ms(const coordinator_t *self)
{
    return dispatcher_timeout_ms(self->dispatcher);
}

void coordinator_release_workers(coordinator_t *self, bool more)
{
    dispatcher_release(self->dispatcher, more ? WIRE_REJOIN : WIRE_END);
}
