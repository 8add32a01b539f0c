/* See bench_simulate.h. */
#include "cli/bench_simulate.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "cli/bench.h"
#include "cli/bench_children.h"
#include "data/dataset.h"
#include "math/bold_driver.h"
#include "math/median.h"
#include "parameter_server/server.h"
#include "proto/link.h"
#include "proto/wire.h"
#include "workers/relay.h"
#include "workers/simulated.h"

#define BLOCK_ROWS  512 /* the default of training.block_rows */
#define WORKER_FDS  8   /* a simulated worker's, for its four sockets */
#define MEMBER_FDS  4   /* that one costs a server or relay */
#define OTHER_FDS   64
#define MOST_RELAYS 1024
#define RELEASE_MS  2000 /* for all to end once the server has */

typedef struct {
    const bench_plan_t *plan;
    dataset_t *data;     /* owned */
    children_t children; /* the server, then the relays, then the workers' processes */
    char endpoints[MOST_RELAYS][LINK_ENDPOINT_SIZE]; /* that workers join */
    uint32_t n_endpoints;
    double *step_ms; /* owned; (n_steps) */
    report_t before; /* of the last step that is not measured */
    double reissued;
    double duplicates;
} bench_t;

model_t bench_model(uint32_t n_params)
{
    /* 1-a-b-1 has 2a + b(a + 2) + 1 parameters: of the nearest, the one with the widest layers. */
    model_t model = {.n_inputs = 1, .n_layers = 3};
    double best = INFINITY;
    for (uint32_t a = 1; 4 * (uint64_t)a <= n_params + 4ULL; a++) {
        double b = round(((double)n_params - 1 - 2.0 * a) / (a + 2));
        double off = fabs(2.0 * a + b * (a + 2) + 1 - n_params);
        if (b < 1 || b > 65536 || a > 65536 || off > best)
            continue;
        best = off;
        model.layers[0].units = a;
        model.layers[1].units = (uint32_t)b;
        model.layers[2].units = 1;
        if (b < a)
            break;
    }
    return model;
}

/* In the children */

static void s_say_step(int fd, server_record_t *record, bool last)
{
    report_t report = {
        .kind = REPORT_STEP,
        .step = record->step,
        .reissued = record->reissued,
        .duplicates = record->duplicates,
        .refused = record->refused,
        .step_ms = record->step_ms,
        .traffic = record->traffic,
    };
    if (last)
        report.digest = wire_digest(frame_data(&record->weights), frame_size(&record->weights));
    child_say(fd, &report);
}

static int s_server(const void *context, uint32_t number, int fd, err_t *err)
{
    const bench_t *self = context;
    (void)number;
    const bench_plan_t *plan = self->plan;
    server_job_t job = {
        .model = plan->model,
        .sampler = {.seed = 7,
                    .fraction = 0.7,
                    .n_rows = plan->n_blocks * BLOCK_ROWS,
                    .block_rows = BLOCK_ROWS},
        .n_steps = plan->n_steps,
        .optimizer.driver = bold_driver_new(0.1, 1.05, 0.5, false),
        .strict = true,
        .min_workers = plan->n_relays ? plan->n_relays : plan->n_workers,
        .bind = plan->bind,
        .data = self->data,
    };
    link_init();
    server_t *server = server_new(&job, err);
    if (!server)
        return -1;
    child_say_text(fd, REPORT_BOUND, server_endpoint(server));
    server_start(server);
    server_record_t *record;
    while (server_wait(server, -1, &record) == SERVER_STEP) {
        s_say_step(fd, record, record->step == plan->n_steps);
        server_record_destroy(&record);
    }
    server_destroy(&server);
    return 0;
}

static int s_relay(const void *context, uint32_t number, int fd, err_t *err)
{
    const bench_t *self = context;
    char bind[LINK_ENDPOINT_SIZE], bound[LINK_ENDPOINT_SIZE];
    bool ipc = strncmp(self->plan->bind, "ipc://", 6) == 0;
    (void)snprintf(bind, sizeof(bind), ipc ? "%s.%u" : "%s", self->plan->bind, number + 1);
    relay_config_t config = {.endpoint = self->endpoints[0], .bind = bind, .data = self->data};
    (void)snprintf(config.name, sizeof(config.name), "relay-%u", number);
    link_init();
    actor_t *relay = relay_new(&config, bound, err);
    if (!relay)
        return -1;
    child_say_text(fd, REPORT_BOUND, bound);
    actor_start(relay);
    int r = 0;
    if (actor_wait(relay, -1) == ACTOR_FAILED)
        r = err_set(err, "%s", actor_error(relay));
    actor_destroy(&relay);
    return r;
}

static int s_workers(const void *context, uint32_t number, int fd, err_t *err)
{
    const bench_t *self = context;
    uint32_t first = number * self->plan->a_process, left = self->plan->n_workers - first;
    const char *endpoints[MOST_RELAYS];
    for (uint32_t i = 0; i < self->n_endpoints; i++)
        endpoints[i] = self->endpoints[i];
    simulated_config_t config = {
        .endpoints = endpoints,
        .n_endpoints = self->n_endpoints,
        .hold_every = self->plan->n_relays ? self->plan->n_relays : self->plan->n_workers,
        .first = first,
        .n_workers = left < self->plan->a_process ? left : self->plan->a_process,
        .fixed = self->plan->fixed,
        .data = self->data,
    };
    link_init();
    link_many();
    simulated_t *workers = simulated_new(&config, err);
    int r = workers ? simulated_admit(workers, err) : -1;
    if (r == 0) {
        child_say_text(fd, REPORT_ADMITTED, "");
        r = child_wait_go(fd, err) == 0 ? simulated_run(workers, err) : -1;
    }
    simulated_destroy(&workers);
    return r;
}

/* In the parent */

static int s_start(bench_t *self, err_t *err)
{
    const bench_plan_t *plan = self->plan;
    children_t *children = &self->children;
    report_t report;
    if (children_spawn(children, "server", 0, s_server, self, err) != 0 ||
        children_receive(children, REPORT_BOUND, &report, err) != 0)
        return -1;
    memcpy(self->endpoints[0], report.text, LINK_ENDPOINT_SIZE);
    for (uint32_t i = 0; i < plan->n_relays; i++)
        if (children_spawn(children, "relay", i, s_relay, self, err) != 0)
            return -1;
    self->n_endpoints = plan->n_relays ? plan->n_relays : 1;
    for (uint32_t i = 0; i < plan->n_relays; i++) {
        if (children_receive(children, REPORT_BOUND, &report, err) != 0)
            return -1;
        memcpy(self->endpoints[i], report.text, LINK_ENDPOINT_SIZE);
    }
    uint32_t n_before = children->n;
    for (uint32_t i = 0; i * plan->a_process < plan->n_workers; i++)
        if (children_spawn(children, "worker", i, s_workers, self, err) != 0)
            return -1;
    for (uint32_t i = n_before; i < children->n; i++)
        if (children_receive(children, REPORT_ADMITTED, &report, err) != 0)
            return -1;
    children_go(children, n_before);
    return 0;
}

static void s_conclude(bench_t *self, const report_t *last, bench_result_t *result)
{
    const bench_plan_t *plan = self->plan;
    uint32_t n = plan->n_steps - plan->n_warm;
    const link_traffic_t *from = &self->before.traffic, *to = &last->traffic;
    *result = (bench_result_t){
        .step_ms = median_of(self->step_ms + plan->n_warm, n),
        .sent_bytes = (double)(to->bytes_out - from->bytes_out) / n,
        .received_bytes = (double)(to->bytes_in - from->bytes_in) / n,
        .sent_messages = (double)(to->messages_out - from->messages_out) / n,
        .received_messages = (double)(to->messages_in - from->messages_in) / n,
        .reissued = self->reissued / n,
        .duplicates = self->duplicates / n,
        .digest = last->digest,
    };
    for (uint32_t i = 0; i < self->children.n; i++) {
        double cpu_ms =
            (child_cpu_s(&self->children.list[i]) - self->children.list[i].cpu_s) * 1000 / n;
        result->all_cpu_ms += cpu_ms;
        if (i == 0)
            result->server_cpu_ms = cpu_ms;
        else if (i <= plan->n_relays)
            result->relays_cpu_ms += cpu_ms;
    }
}

static int s_measure(bench_t *self, bench_result_t *result, err_t *err)
{
    const bench_plan_t *plan = self->plan;
    report_t report = {.step = 0};
    while (report.step < plan->n_steps) {
        if (report.step == plan->n_warm) {
            for (uint32_t i = 0; i < self->children.n; i++)
                self->children.list[i].cpu_s = child_cpu_s(&self->children.list[i]);
            self->before = report;
        }
        if (children_receive(&self->children, REPORT_STEP, &report, err) != 0)
            return -1;
        if (report.refused > 0)
            return err_set(err, "the server refused %u partials of step %u, expected none",
                           report.refused, report.step);
        self->step_ms[report.step - 1] = report.step_ms;
        if (report.step <= plan->n_warm)
            continue;
        self->reissued += report.reissued;
        self->duplicates += report.duplicates;
    }
    s_conclude(self, &report, result);
    return children_wait_end(&self->children, RELEASE_MS, err);
}

/* Do the processes' descriptors suffice? Raises the soft limit as far as it goes. */
static int s_check_limits(const bench_plan_t *plan, err_t *err)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return err_set_errno(err, "RLIMIT_NOFILE");
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    uint32_t a_process = plan->n_workers < plan->a_process ? plan->n_workers : plan->a_process;
    uint32_t n_below =
        plan->n_relays ? (plan->n_workers + plan->n_relays - 1) / plan->n_relays : plan->n_workers;
    uint32_t n_members = plan->n_relays > n_below ? plan->n_relays : n_below;
    rlim_t most = limit.rlim_max > OTHER_FDS ? limit.rlim_max - OTHER_FDS : 0;
    if ((rlim_t)n_members * MEMBER_FDS > most)
        return err_set(err,
                       "%u workers below one server or relay need %u file descriptors there, the "
                       "limit (ulimit -Hn) is %llu: at most %llu fit",
                       n_members, n_members * MEMBER_FDS + OTHER_FDS,
                       (unsigned long long)limit.rlim_max, (unsigned long long)(most / MEMBER_FDS));
    if ((rlim_t)a_process * WORKER_FDS > most)
        return err_set(err,
                       "%u simulated workers need %u file descriptors, the limit (ulimit -Hn) is "
                       "%llu: at most %llu fit",
                       a_process, a_process * WORKER_FDS + OTHER_FDS,
                       (unsigned long long)limit.rlim_max, (unsigned long long)(most / WORKER_FDS));
    return 0;
}

/* Rows of one zero byte and label 0: partials are canned. */
static dataset_t *s_data(const bench_plan_t *plan)
{
    size_t n_rows = (size_t)plan->n_blocks * BLOCK_ROWS;
    uint8_t *images = calloc(n_rows, 1);
    uint8_t *labels = calloc(n_rows, 1);
    if (!images || !labels)
        abort();
    dataset_t *data = dataset_new(&images, &labels, n_rows, 1);
    return data;
}

int bench_simulate(const bench_plan_t *plan, bench_result_t *result, err_t *err)
{
    if (s_check_limits(plan, err) != 0)
        return -1;
    bench_t *self = calloc(1, sizeof(*self));
    double *step_ms = calloc(plan->n_steps, sizeof(double));
    if (!self || !step_ms)
        abort();
    self->plan = plan;
    self->step_ms = step_ms;
    self->data = s_data(plan);
    int r = s_start(self, err) == 0 ? s_measure(self, result, err) : -1;
    children_clear(&self->children);
    dataset_destroy(&self->data);
    free(self->step_ms);
    free(self);
    return r;
}
