/* See bench_simulate.h. The parent has no sockets but a pair to each child: libzmq does not live
 * through a fork. */
#include "cli/bench_simulate.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/commands.h"
#include "data/dataset.h"
#include "math/bold_driver.h"
#include "parameter_server/server.h"
#include "proto/link.h"
#include "proto/wire.h"
#include "workers/relay.h"
#include "workers/simulated.h"

#define BLOCK_ROWS     512 /* the default of training.block_rows */
#define A_PROCESS      500 /* workers */
#define WORKER_FDS     8   /* a simulated worker's, for its four sockets */
#define MEMBER_FDS     4   /* that one costs a server or relay */
#define OTHER_FDS      64
#define MOST_RELAYS    1024
#define MOST_PROCESSES 1024
#define MOST_CHILDREN  (1 + MOST_RELAYS + MOST_PROCESSES)
#define SERVER         0    /* children[0] */
#define RELEASE_MS     2000 /* for all to end once the server has */

typedef enum {
    REPORT_BOUND = 1, /* `text`: the control endpoint */
    REPORT_ADMITTED,  /* all workers were let in */
    REPORT_STEP,
    REPORT_FAILED, /* `text` says why */
} report_kind_t;

/* What children say to their parent. */
typedef struct {
    report_kind_t kind;
    uint32_t step;
    uint32_t reissued;
    uint32_t duplicates;
    uint32_t refused;
    double step_ms;
    link_traffic_t traffic;
    uint64_t digest;
    char text[sizeof(((err_t *)NULL)->text)];
} report_t;

typedef enum {
    NEXT_NOTHING, /* all have ended, or the time is over */
    NEXT_REPORT,
    NEXT_END,
} next_t;

typedef struct {
    const char *what; /* "server", "relay" or "worker": for messages */
    pid_t pid;
    int fd; /* -1 once it has ended */
    double cpu_s;
} child_t;

typedef struct {
    const bench_plan_t *plan;
    dataset_t *data;                 /* owned */
    child_t children[MOST_CHILDREN]; /* the server, then the relays, then the workers' processes */
    uint32_t n_children;
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

static void s_say(int fd, const report_t *report)
{
    (void)send(fd, report, sizeof(*report), MSG_NOSIGNAL);
}

static void s_say_text(int fd, report_kind_t kind, const char *text)
{
    report_t report = {.kind = kind};
    size_t n = strlen(text);
    memcpy(report.text, text, n < sizeof(report.text) ? n : sizeof(report.text) - 1);
    s_say(fd, &report);
}

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
    s_say(fd, &report);
}

static int s_server(const bench_t *self, uint32_t number, int fd, err_t *err)
{
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
    s_say_text(fd, REPORT_BOUND, server_endpoint(server));
    server_start(server);
    server_record_t *record;
    while (server_wait(server, -1, &record) == SERVER_STEP) {
        s_say_step(fd, record, record->step == plan->n_steps);
        server_record_destroy(&record);
    }
    server_destroy(&server);
    return 0;
}

static int s_relay(const bench_t *self, uint32_t number, int fd, err_t *err)
{
    char bind[LINK_ENDPOINT_SIZE], bound[LINK_ENDPOINT_SIZE];
    bool ipc = strncmp(self->plan->bind, "ipc://", 6) == 0;
    (void)snprintf(bind, sizeof(bind), ipc ? "%s.%u" : "%s", self->plan->bind, number + 1);
    relay_config_t config = {.endpoint = self->endpoints[0], .bind = bind, .data = self->data};
    (void)snprintf(config.name, sizeof(config.name), "relay-%u", number);
    link_init();
    actor_t *relay = relay_new(&config, bound, err);
    if (!relay)
        return -1;
    s_say_text(fd, REPORT_BOUND, bound);
    actor_start(relay);
    int r = 0;
    if (actor_wait(relay, -1) == ACTOR_FAILED)
        r = err_set(err, "%s", actor_error(relay));
    actor_destroy(&relay);
    return r;
}

static int s_workers(const bench_t *self, uint32_t number, int fd, err_t *err)
{
    uint32_t first = number * A_PROCESS, left = self->plan->n_workers - first;
    const char *endpoints[MOST_RELAYS];
    for (uint32_t i = 0; i < self->n_endpoints; i++)
        endpoints[i] = self->endpoints[i];
    simulated_config_t config = {
        .endpoints = endpoints,
        .n_endpoints = self->n_endpoints,
        .hold_every = self->plan->n_relays ? self->plan->n_relays : self->plan->n_workers,
        .first = first,
        .n_workers = left < A_PROCESS ? left : A_PROCESS,
        .data = self->data,
    };
    char go;
    link_init();
    link_many();
    simulated_t *workers = simulated_new(&config, err);
    int r = workers ? simulated_admit(workers, err) : -1;
    if (r == 0) {
        s_say_text(fd, REPORT_ADMITTED, "");
        r = recv(fd, &go, 1, 0) == 1 ? simulated_run(workers, err) : err_set(err, "no parent");
    }
    simulated_destroy(&workers);
    return r;
}

/* In the parent */

/* Starts a child that runs main(self, number, its end of a pair of sockets). It dies with us. */
static int s_spawn(bench_t *self, const char *what, uint32_t number,
                   int (*main)(const bench_t *, uint32_t, int, err_t *), err_t *err)
{
    int pair[2];
    pid_t parent = getpid();
    (void)fflush(stdout); /* or the child prints it again */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return err_set_errno(err, "socketpair");
    pid_t pid = fork();
    if (pid < 0) {
        close(pair[0]);
        close(pair[1]);
        return err_set_errno(err, "cannot start a process");
    }
    if (pid > 0) {
        close(pair[1]);
        self->children[self->n_children++] = (child_t){.what = what, .pid = pid, .fd = pair[0]};
        return 0;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(STATUS_FAILURE);
    close(pair[0]);
    for (uint32_t i = 0; i < self->n_children; i++)
        close(self->children[i].fd);
    log_set_level(LOG_LEVEL_ERROR);
    err_t failed = {{0}};
    int r = main(self, number, pair[1], &failed);
    if (r != 0)
        s_say_text(pair[1], REPORT_FAILED, failed.text);
    exit(r == 0 ? STATUS_OK : STATUS_FAILURE);
}

/* A child has said something or has ended. */
static int s_hear(child_t *child, report_t *report, next_t *next, err_t *err)
{
    if (recv(child->fd, report, sizeof(*report), 0) == sizeof(*report)) {
        *next = NEXT_REPORT;
        return report->kind == REPORT_FAILED ? err_set(err, "a %s: %s", child->what, report->text)
                                             : 0;
    }
    int status = 0;
    close(child->fd);
    child->fd = -1;
    (void)waitpid(child->pid, &status, 0);
    *next = NEXT_END;
    return status ? err_set(err, "a %s's process has ended with status %#x", child->what,
                            (unsigned)status)
                  : 0;
}

/* Waits for the next thing that happens, at most until_ms (-1: without end). Returns 0, or -1 with
 * *err when a child has failed. */
static int s_next(bench_t *self, int64_t until_ms, report_t *report, next_t *next, err_t *err)
{
    struct pollfd items[MOST_CHILDREN];
    uint32_t n_open = 0;
    for (uint32_t i = 0; i < self->n_children; i++) {
        items[i] = (struct pollfd){self->children[i].fd, POLLIN, 0};
        n_open += self->children[i].fd >= 0;
    }
    int64_t left_ms = until_ms - clock_ms();
    int timeout_ms = until_ms < 0 ? -1 : left_ms < 0 ? 0 : (int)left_ms;
    *next = NEXT_NOTHING;
    if (n_open == 0)
        return 0;
    if (poll(items, self->n_children, timeout_ms) < 0 && errno != EINTR)
        return err_set_errno(err, "poll");
    for (uint32_t i = 0; i < self->n_children; i++)
        if (self->children[i].fd >= 0 && items[i].revents)
            return s_hear(&self->children[i], report, next, err);
    return 0;
}

/* The next report, which has to be of that kind. */
static int s_receive(bench_t *self, report_kind_t kind, report_t *report, err_t *err)
{
    next_t next;
    do
        if (s_next(self, -1, report, &next, err) != 0)
            return -1;
    while (next == NEXT_NOTHING && self->children[SERVER].fd >= 0);
    if (next != NEXT_REPORT)
        return err_set(err, "a process has ended before the training was done");
    if (report->kind != kind)
        return err_set(err, "a process says %d, expected %d", (int)report->kind, (int)kind);
    return 0;
}

/* The server has to end, and with it all others; those whom it has not told have nothing to lose.
 */
static int s_wait_end(bench_t *self, err_t *err)
{
    report_t report;
    next_t next = NEXT_END;
    while (self->children[SERVER].fd >= 0)
        if (s_next(self, -1, &report, &next, err) != 0)
            return -1;
    int64_t until_ms = clock_ms() + RELEASE_MS;
    while (next != NEXT_NOTHING)
        if (s_next(self, until_ms, &report, &next, err) != 0)
            return -1;
    return 0;
}

static int s_start(bench_t *self, err_t *err)
{
    const bench_plan_t *plan = self->plan;
    report_t report;
    if (s_spawn(self, "server", 0, s_server, err) != 0 ||
        s_receive(self, REPORT_BOUND, &report, err) != 0)
        return -1;
    memcpy(self->endpoints[0], report.text, LINK_ENDPOINT_SIZE);
    for (uint32_t i = 0; i < plan->n_relays; i++)
        if (s_spawn(self, "relay", i, s_relay, err) != 0)
            return -1;
    self->n_endpoints = plan->n_relays ? plan->n_relays : 1;
    for (uint32_t i = 0; i < plan->n_relays; i++) {
        if (s_receive(self, REPORT_BOUND, &report, err) != 0)
            return -1;
        memcpy(self->endpoints[i], report.text, LINK_ENDPOINT_SIZE);
    }
    uint32_t n_before = self->n_children;
    for (uint32_t i = 0; i * A_PROCESS < plan->n_workers; i++)
        if (s_spawn(self, "worker", i, s_workers, err) != 0)
            return -1;
    for (uint32_t i = n_before; i < self->n_children; i++)
        if (s_receive(self, REPORT_ADMITTED, &report, err) != 0)
            return -1;
    for (uint32_t i = n_before; i < self->n_children; i++)
        (void)send(self->children[i].fd, "g", 1, MSG_NOSIGNAL);
    return 0;
}

/* CPU seconds of the child so far; those that it has had when it has ended. */
static double s_cpu_s(const child_t *child)
{
    clockid_t clock;
    struct timespec time;
    if (clock_getcpuclockid(child->pid, &clock) != 0 || clock_gettime(clock, &time) != 0)
        return child->cpu_s;
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int s_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void s_conclude(bench_t *self, const report_t *last, bench_result_t *result)
{
    const bench_plan_t *plan = self->plan;
    uint32_t n = plan->n_steps - plan->n_warm;
    const link_traffic_t *from = &self->before.traffic, *to = &last->traffic;
    double *measured = self->step_ms + plan->n_warm;
    qsort(measured, n, sizeof(double), s_compare);
    *result = (bench_result_t){
        .step_ms = (measured[(n - 1) / 2] + measured[n / 2]) / 2,
        .sent_bytes = (double)(to->bytes_out - from->bytes_out) / n,
        .received_bytes = (double)(to->bytes_in - from->bytes_in) / n,
        .sent_messages = (double)(to->messages_out - from->messages_out) / n,
        .received_messages = (double)(to->messages_in - from->messages_in) / n,
        .reissued = self->reissued / n,
        .duplicates = self->duplicates / n,
        .digest = last->digest,
    };
    for (uint32_t i = 0; i < self->n_children; i++) {
        double cpu_ms = (s_cpu_s(&self->children[i]) - self->children[i].cpu_s) * 1000 / n;
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
            for (uint32_t i = 0; i < self->n_children; i++)
                self->children[i].cpu_s = s_cpu_s(&self->children[i]);
            self->before = report;
        }
        if (s_receive(self, REPORT_STEP, &report, err) != 0)
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
    return s_wait_end(self, err);
}

/* Do the processes' descriptors suffice? Raises the soft limit as far as it goes. */
static int s_check_limits(const bench_plan_t *plan, err_t *err)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return err_set_errno(err, "RLIMIT_NOFILE");
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    uint32_t a_process = plan->n_workers < A_PROCESS ? plan->n_workers : A_PROCESS;
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
    for (uint32_t i = 0; i < self->n_children; i++) {
        child_t *child = &self->children[i];
        if (child->fd < 0)
            continue;
        kill(child->pid, SIGKILL);
        (void)waitpid(child->pid, NULL, 0);
        close(child->fd);
    }
    dataset_destroy(&self->data);
    free(self->step_ms);
    free(self);
    return r;
}
