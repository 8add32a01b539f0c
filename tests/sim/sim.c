/* Deterministic simulation: the coordinator, relays (some below others) and the sessions of several
 * workers in one process, with a simulated clock and a seeded network that loses, delays,
 * duplicates, reorders, damages and cuts messages off; workers and relays that are slow, stall, die
 * and come back, and a server that is killed and goes on from its last checkpoint. The tree and the
 * gradients are real, only tiny.
 *
 * Each schedule must end, within bounds on time and messages, with the weights of the calm run, bit
 * for bit, each step counted once over all its rows. In some a part of the work is audited, in some
 * all of it and one worker is a liar: these, too, must end so, if each node was compared; and
 * nobody else is sent away. A seed that fails is printed and replays.
 *
 * Usage: sim [--first SEED] [--count N] [--verbose]
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "math/blas.h"
#include "math/optimizer.h"
#include "sim/world.h"

#define EVALUATED    2 /* of the jobs: the one with evaluations and early stopping */
#define N_ROWS       45
#define N_INPUTS     4
#define MAX_MS       300000.0 /* of simulated time: five minutes for six steps */
#define MAX_MESSAGES 40000

/* Of all schedules. */
typedef struct {
    uint64_t n_messages;
    uint64_t n_kills;
    uint64_t n_liars;   /* schedules with one */
    uint64_t n_audited; /* of these such in which each node was compared */
    uint64_t n_lies;
    uint64_t n_exposed;
    double ms;
    double longest_ms;
    uint64_t most_messages;
} total_t;

/* What a training comes to without a protocol. */
typedef struct {
    double rows[N_STEPS + 1]; /* that each step samples */
    float weights[64];        /* after the last step ... */
    float best[64];           /* ... and those of the lowest validation cost, by ... */
    uint32_t best_step;       /* ... this step; 0: without early stopping */
    trial_result_t results[N_STEPS + 1];
} calm_t;

static char s_seed_text[48]; /* of the schedule that runs, for when it aborts */

/* Draws from a stream of its own: schedules without an audit are what they would be otherwise. */
static void s_plan_audit(world_t *self)
{
    uint64_t random = self->random;
    self->random = self->seed * 0xd1342543de82ef95 + 111;
    self->job.audit = world_chance(self, 0.6)   ? 0
                      : world_chance(self, 0.7) ? 1
                                                : world_uniform(self);
    if (self->job.audit == 1 && self->n_workers > 2 && world_chance(self, 0.7)) {
        /* Who lies always is known only where there are two others: not behind relays, maybe. */
        self->lie = world_uniform(self) * (self->n_relays ? 0.5 : 1);
        self->job.min_workers = self->n_relays ? 2 : 3;
        self->kill *= 0.2;
        self->stall *= 0.2;
        self->cut *= 0.2;
    }
    self->random = random;
}

static void s_plan(world_t *self)
{
    self->random = self->seed * 0x9e3779b97f4a7c15 + 1;
    bool calm = world_chance(self, 0.05);
    double worst = calm ? 0 : world_uniform(self);
    self->n_workers = 1 + (int)(world_random(self) % MAX_WORKERS);
    self->n_relays = world_chance(self, 0.5) ? 0 : 1 + (int)(world_random(self) % MAX_RELAYS);
    self->drop = world_chance(self, 0.5) ? 0.2 * worst : 0;
    self->duplicate = world_chance(self, 0.5) ? 0.3 * worst : 0;
    self->damage = world_chance(self, 0.3) ? 0.02 * worst : 0;
    self->delay_ms = world_chance(self, 0.5) ? 100 * worst : 1;
    /* Every process on the way to the server has to be there at the same time for a while. */
    double share = self->n_relays ? 0.2 : 1;
    self->stall = world_chance(self, 0.5) ? 0.005 * worst * share : 0;
    self->cut = world_chance(self, 0.3) ? 0.002 * worst * share : 0;
    self->kill = world_chance(self, 0.5) ? 0.01 * worst * share : 0;
    self->kill_server = world_chance(self, 0.4) ? 0.004 * worst : 0;
    self->checkpoint_every = 1 + (uint32_t)(world_random(self) % 3);
    s_plan_audit(self);
}

/* Was each step compared? A lie that nobody else could find out counts. */
static bool s_all_audited(const world_t *self)
{
    for (uint32_t step = 1; step <= N_STEPS; step++)
        if (self->unaudited[step])
            return false;
    return true;
}

/* One schedule; exits with 1 when it does not end as the calm run does. */
static void s_run(uint64_t seed, const server_job_t *job, const calm_t *calm, total_t *total)
{
    world_t world = {.seed = seed, .job = *job, .rows = calm->rows, .results = calm->results};
    size_t bytes = model_params(&job->model) * sizeof(float);
    s_plan(&world);
    world_open(&world);
    while (!world.server || !coordinator_finished(world.server)) {
        world_advance(&world);
        if (world.now_ms > MAX_MS || world.n_messages > MAX_MESSAGES)
            world_fail(&world, "does not end");
    }
    bool may_be_wrong = world.lie > 0 && !s_all_audited(&world);
    const trial_state_t *trial = coordinator_trial(world.server);
    if (!may_be_wrong && memcmp(frame_data(&world.last->weights), calm->weights, bytes) != 0)
        world_fail(&world, "other weights than the calm run's");
    if (!may_be_wrong && (trial->best_step != calm->best_step ||
                          (trial->best && memcmp(trial->best, calm->best, bytes) != 0)))
        world_fail(&world, "another best model than the calm run's");
    total->n_messages += world.n_messages;
    total->n_kills += world.n_kills;
    total->n_liars += world.lie > 0;
    total->n_audited += world.lie > 0 && !may_be_wrong;
    total->n_lies += world.n_lies;
    total->n_exposed += world.n_exposed;
    total->ms += world.now_ms;
    if (world.now_ms > total->longest_ms)
        total->longest_ms = world.now_ms;
    if (world.n_messages > total->most_messages)
        total->most_messages = world.n_messages;
    world_close(&world);
}

/* Mean cost and accuracy over blocks of block_rows rows, in order. */
static trial_score_t s_score(gradient_t *gradient, const server_job_t *job, const float *weights,
                             const dataset_t *data)
{
    double cost = 0, correct = 0;
    uint32_t n_rows = (uint32_t)dataset_rows(data), n_correct;
    for (uint32_t first = 0; first < n_rows; first += job->sampler.block_rows) {
        uint32_t left = n_rows - first;
        uint32_t n = left < job->sampler.block_rows ? left : job->sampler.block_rows;
        cost +=
            gradient_evaluate(gradient, weights, dataset_images(data) + (size_t)first * N_INPUTS,
                              dataset_labels(data) + first, n, &n_correct);
        correct += n_correct;
    }
    return (trial_score_t){n_rows, cost / n_rows, correct / n_rows};
}

/* The same training without a protocol: gradient of the whole, update, next step. The evaluation of
 * step s is acted on before step s + every, as docs/training.md says. */
static void s_calm(const server_job_t *job, calm_t *calm)
{
    size_t n_params = model_params(&job->model);
    pool_t *buffers = pool_new(n_params * sizeof(float));
    gradient_t *gradient = gradient_new(&job->model, &job->sampler, KERNEL_DENSE, buffers, NULL);
    optimizer_state_t state = job->optimizer;
    optimizer_t *optimizer = optimizer_new(&job->model, &state);
    static const _Atomic uint64_t never = 0;
    float *now = pool_take(buffers);
    model_init(&job->model, MODEL_INIT_UNIFORM, job->sampler.seed, now);
    node_t root = {node_root_level(sampler_blocks(&job->sampler)), 0};
    uint32_t n_worse = 0, every = job->evaluate_every, last = N_STEPS;
    for (uint32_t step = 1; step <= last; step++) {
        partial_t sum;
        (void)gradient_node(gradient, now, dataset_images(job->data), dataset_labels(job->data),
                            step, root, &never, 0, &sum);
        calm->rows[step] = (double)sum.rows;
        uint64_t digest;
        double cost = sum.cost / (double)sum.rows;
        if (optimizer_step(optimizer, now, sum.gradient, sum.rows, &cost, now, &digest, NULL) != 0)
            abort();
        partial_release(&sum);
        if (every == 0 || step % every != 0)
            continue;
        trial_result_t *result = &calm->results[step];
        *result = (trial_result_t){step, s_score(gradient, job, now, job->validation),
                                   s_score(gradient, job, now, job->test)};
        const trial_result_t *best = &calm->results[calm->best_step];
        if (calm->best_step == 0 || result->validation.cost < best->validation.cost) {
            calm->best_step = step;
            memcpy(calm->best, now, n_params * sizeof(float));
            n_worse = 0;
        } else if (++n_worse == job->patience && step + every - 1 < last)
            last = step + every - 1;
    }
    memcpy(calm->weights, now, n_params * sizeof(float));
    pool_give(now);
    optimizer_destroy(&optimizer);
    gradient_destroy(&gradient);
    pool_destroy(&buffers);
}

static server_job_t s_job(const dataset_t *data, bool rollback)
{
    return (server_job_t){
        .model = {.n_inputs = N_INPUTS,
                  .n_layers = 2,
                  .layers = {{.units = 3, .activation = ACTIVATION_TANH},
                             {.units = 2, .activation = ACTIVATION_SIGMOID}}},
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

static dataset_t *s_data(size_t n_rows)
{
    uint8_t *images = malloc(n_rows * N_INPUTS), *labels = malloc(n_rows);
    if (!images || !labels)
        abort();
    for (size_t i = 0; i < n_rows * N_INPUTS; i++)
        images[i] = (uint8_t)(i * 37);
    for (size_t i = 0; i < n_rows; i++)
        labels[i] = (uint8_t)(i * 7 % 3 == 0);
    return dataset_new(&images, &labels, n_rows, N_INPUTS);
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
    dataset_t *data = s_data(N_ROWS), *validation = s_data(10), *test = s_data(7);
    server_job_t jobs[3] = {s_job(data, false), s_job(data, true), s_job(data, false)};
    jobs[EVALUATED].validation = validation;
    jobs[EVALUATED].test = test;
    jobs[EVALUATED].evaluate_every = 2;
    jobs[EVALUATED].patience = 1; /* it stops after step 5, and step 2 was the best */
    jobs[EVALUATED].optimizer.driver = bold_driver_new(8.0, 1.05, 0.5, false);
    calm_t calm[3] = {0};
    total_t total = {0};
    for (int i = 0; i < 3; i++)
        s_calm(&jobs[i], &calm[i]);
    for (uint64_t seed = first; seed < first + count; seed++) {
        (void)snprintf(s_seed_text, sizeof(s_seed_text), "seed %" PRIu64 " aborts\n", seed);
        uint64_t kind = seed % 4 == 3 ? EVALUATED : seed % 2;
        s_run(seed, &jobs[kind], &calm[kind], &total);
    }
    (void)printf("%" PRIu64 " schedules from seed %" PRIu64 ": %" PRIu64 " messages, %" PRIu64
                 " kills, %.0f simulated seconds; at most %" PRIu64 " messages and %.1f s\n",
                 count, first, total.n_messages, total.n_kills, total.ms / 1000,
                 total.most_messages, total.longest_ms / 1000);
    (void)printf("%" PRIu64 " with a liar, %" PRIu64 " of them audited to the last node: %" PRIu64
                 " lies, found out %" PRIu64 " times\n",
                 total.n_liars, total.n_audited, total.n_lies, total.n_exposed);
    dataset_destroy(&data);
    dataset_destroy(&validation);
    dataset_destroy(&test);
    return 0;
}
