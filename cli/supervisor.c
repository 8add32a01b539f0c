/* See supervisor.h. */
#include "cli/supervisor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/rehearsal.h"
#include "cli/signals.h"
#include "cli/spawn.h"
#include "proto/link.h"

#define RELEASE_MS     500  /* for workers to end once the server has; they have nothing to lose */
#define PAUSE_MS       50   /* before the first restart; doubles with each crash in a row ... */
#define LONGEST_MS     5000 /* ... up to this */
#define HEALTHY_MS     1000 /* one that lived so long begins a new row */
#define MOST_IN_A_ROW  10
#define SERVER         0 /* children[0]; the others are workers, local-1 and so on */
#define MAX_SOCKET_DIR 64

typedef struct {
    char name[32];
    pid_t pid;     /* 0 while it does not run */
    int status;    /* as waitpid gave it */
    bool over;     /* it has ended and is not started again */
    int n_crashes; /* in a row */
    int64_t started_ms;
    int64_t due_ms; /* when to start it, while it neither runs nor is over */
} child_t;

typedef struct {
    const supervisor_config_t *config;
    char program[4096];
    char folder[MAX_SOCKET_DIR]; /* of the private sockets; "" when there is none */
    char endpoint[256];
    child_t *children; /* owned */
    int n_children;
    bool released; /* a worker has ended with success: the server let it go, or the user */
    struct stat config_before; /* of the output folder's config.yaml; zero when there was none */
    rehearsal_t *rehearsal;    /* owned; NULL without a plan of faults */
    int signals;
    signals_stop_t stop;
    int64_t say_ms; /* when to speak of the wait for the server; once it was told to stop */
} supervisor_t;

/* begun: the run has written its config.yaml, where all of CONFIG and the command line is, whatever
 * has become of CONFIG since. */
static pid_t s_spawn_server(const supervisor_t *self, bool begun)
{
    char faults[CHAOS_TEXT_SIZE];
    const args_t *args = self->config->args;
    bool resume = begun || self->config->resume;
    size_t n_texts = (size_t)args->n_overrides + 1;
    const char **words = calloc(13 + 2 * n_texts, sizeof(char *));
    char **texts = calloc(n_texts, sizeof(char *));
    if (!words || !texts)
        abort();
    int n = 0;
    words[n++] = "drover";
    words[n++] = "server";
    if (self->folder[0]) {
        words[n++] = "--ipc";
        words[n++] = self->folder;
    }
    if (resume) {
        words[n++] = "--resume";
        words[n++] = self->config->output;
    }
    rehearsal_messages(self->rehearsal, SERVER, faults);
    if (faults[0]) {
        words[n++] = "--chaos";
        words[n++] = faults;
    }
    for (int i = 0; i < args->n_overrides && !begun; i++) {
        const conf_override_t *override = &args->overrides[i];
        bool theirs = strcmp(override->option, "threads") == 0; /* the server has no such option */
        if (asprintf(&texts[i], "--%s=%s", theirs ? "set=worker.threads" : override->option,
                     override->text) < 0)
            abort();
        words[n++] = texts[i];
    }
    if (!resume) {
        words[n++] = "--output";
        words[n++] = self->config->output;
    }
    if (self->config->sweep) {
        words[n++] = "--sweep";
        words[n++] = self->config->sweep;
    }
    if (self->config->json)
        words[n++] = "--json";
    words[n++] = "--";
    if (args->n_words && !self->config->sweep && !begun)
        words[n++] = args->words[0];
    pid_t pid = spawn(self->program, words, -1);
    for (size_t i = 0; i < n_texts; i++)
        free(texts[i]);
    free(texts);
    free(words);
    return pid;
}

/* Of each worker. The model does not depend on it. */
static int s_threads(const supervisor_config_t *config)
{
    cpu_set_t cpus;
    int n = config->settings->worker.threads;
    if (n == 0 && config->n_workers > 0 && sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
        n = CPU_COUNT(&cpus) / config->n_workers;
    return n > 0 ? n : 1;
}

static pid_t s_spawn_worker(const supervisor_t *self, int number)
{
    static const char *const levels[] = {
        /* workers repeat much of what the server says */
        [LOG_LEVEL_DEBUG] = "debug",
        [LOG_LEVEL_INFO] = "warn",
        [LOG_LEVEL_WARN] = "warn",
        [LOG_LEVEL_ERROR] = "error",
    };
    char threads[16], faults[CHAOS_TEXT_SIZE];
    rehearsal_messages(self->rehearsal, number, faults);
    (void)snprintf(threads, sizeof(threads), "%d", s_threads(self->config));
    const char *const words[] = {
        "drover",
        "worker",
        self->endpoint,
        "--name",
        self->children[number].name,
        "--threads",
        threads,
        "--log-level",
        levels[self->config->settings->log.level],
        faults[0] ? "--chaos" : NULL, /* the last */
        faults,
        NULL,
    };
    return spawn(self->program, words, -1);
}

static struct stat s_config_file(const supervisor_t *self)
{
    struct stat st;
    char *config = file_join(self->config->output, "config.yaml");
    if (stat(config, &st) != 0)
        memset(&st, 0, sizeof(st));
    free(config);
    return st;
}

/* Has this run, and not an earlier one, written the folder's config.yaml? It is always a new file.
 */
static bool s_run_has_begun(const supervisor_t *self)
{
    struct stat now = s_config_file(self);
    const struct stat *before = &self->config_before;
    return now.st_ino != 0 &&
           (now.st_ino != before->st_ino || now.st_ctim.tv_sec != before->st_ctim.tv_sec ||
            now.st_ctim.tv_nsec != before->st_ctim.tv_nsec);
}

/* Has workers that the server had let go before it was killed started again: the last evaluation
 * may not be in its checkpoint, and is done once more. */
static void s_recall(supervisor_t *self)
{
    for (int i = SERVER + 1; i < self->n_children; i++) {
        child_t *child = &self->children[i];
        if (child->over && WIFEXITED(child->status) && WEXITSTATUS(child->status) == STATUS_OK) {
            child->over = false;
            child->started_ms = child->due_ms = 0; /* it did not crash: as for the first time */
        }
    }
}

/* Starts what is due. A run that has begun to write its folder is gone on with. */
static int s_start_due(supervisor_t *self, err_t *err)
{
    int64_t now_ms = clock_ms();
    for (int i = 0; i < self->n_children; i++) {
        child_t *child = &self->children[i];
        if (child->pid > 0 || child->over || now_ms < child->due_ms)
            continue;
        bool again = child->started_ms > 0;
        if (i == SERVER) {
            child->pid =
                s_spawn_server(self, again && !self->config->sweep && s_run_has_begun(self));
            if (again)
                s_recall(self);
        } else
            child->pid = s_spawn_worker(self, i);
        if (child->pid < 0) {
            child->pid = 0;
            return err_set_errno(err, "cannot start a process");
        }
        child->started_ms = now_ms;
        rehearsal_started(self->rehearsal, i, child->name, child->pid);
        if (again)
            log_warn(i == SERVER ? "server.restarted" : "worker.restarted", "name=%s pid=%d",
                     child->name, (int)child->pid);
    }
    return 0;
}

/* One that a signal ended is due again after a pause, unless it crashes all the time. */
static void s_on_end(supervisor_t *self, int number, int status)
{
    child_t *child = &self->children[number];
    int64_t now_ms = clock_ms();
    const child_t *server = &self->children[SERVER];
    bool planned = rehearsal_ended(self->rehearsal, number, WIFSIGNALED(status));
    child->pid = 0;
    child->status = status;
    child->over = true;
    if (number != SERVER)
        self->released |= WIFEXITED(status) && WEXITSTATUS(status) == STATUS_OK;
    if (self->stop.by || (number != SERVER && server->over))
        return;
    if (!WIFSIGNALED(status)) {
        if (number != SERVER && WEXITSTATUS(status) != STATUS_OK)
            log_warn("worker.failed", "name=%s status=%d", child->name, WEXITSTATUS(status));
        return;
    }
    if (planned) { /* it says nothing of the program: at once, and however often */
        child->over = false;
        child->due_ms = now_ms;
        return;
    }
    child->n_crashes = now_ms - child->started_ms >= HEALTHY_MS ? 1 : child->n_crashes + 1;
    child->over = child->n_crashes > MOST_IN_A_ROW;
    int64_t pause_ms = (int64_t)PAUSE_MS << (child->n_crashes - 1);
    child->due_ms = now_ms + (pause_ms < LONGEST_MS ? pause_ms : LONGEST_MS);
    log_warn(number == SERVER ? "server.died" : "worker.died", "name=%s signal=%d %s", child->name,
             WTERMSIG(status), child->over ? "again and again: given up" : "");
}

static void s_reap(supervisor_t *self)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < self->n_children; i++)
            if (self->children[i].pid == pid)
                s_on_end(self, i, status);
}

static void s_kill(const supervisor_t *self, int number, int signal)
{
    if (self->children[number].pid > 0)
        kill(self->children[number].pid, signal);
}

static void s_kill_all(const supervisor_t *self, int signal)
{
    for (int i = 0; i < self->n_children; i++)
        s_kill(self, i, signal);
}

/* Stops the training: the server writes its checkpoint and releases the workers. */
static void s_stop(supervisor_t *self)
{
    for (int i = 0; i < self->n_children; i++)
        self->children[i].over |= self->children[i].pid == 0; /* what waits to be started again */
    s_kill(self, SERVER, SIGTERM);
    self->say_ms = clock_ms() + LOG_FIRST_WAIT_MS;
    rehearsal_end(self->rehearsal);
}

/* Waits for a signal, at most until_ms (-1: without end), and does what it asks for. */
static void s_wait(supervisor_t *self, int64_t until_ms)
{
    struct pollfd item = {self->signals, POLLIN, 0};
    int64_t left_ms = until_ms < 0 ? -1 : until_ms - clock_ms();
    (void)poll(&item, 1, until_ms < 0 ? -1 : left_ms < 0 ? 0 : (int)left_ms);
    int signal;
    while ((signal = signals_take(self->signals)) != 0) {
        if (signal == SIGCHLD)
            continue;
        signals_request_t request = signals_request(&self->stop, signal, clock_ms());
        if (request == SIGNALS_AT_ONCE)
            s_kill_all(self, SIGKILL);
        else if (request == SIGNALS_STOP)
            s_stop(self);
    }
    s_reap(self);
}

/* It writes its last checkpoint, or it is stopped or stuck. */
static void s_say_waits(supervisor_t *self)
{
    const child_t *server = &self->children[SERVER];
    int64_t now_ms = clock_ms();
    if (!self->stop.by || server->over || now_ms < self->say_ms)
        return;
    log_info("train.waiting", "for=server pid=%d to end; a second signal kills it",
             (int)server->pid);
    self->say_ms = now_ms + LOG_WAIT_MS;
}

/* The next restart, planned fault or word on a wait; -1 when none is due. */
static int64_t s_next_due_ms(const supervisor_t *self)
{
    int64_t next = rehearsal_due_ms(self->rehearsal);
    for (int i = 0; i < self->n_children; i++) {
        const child_t *child = &self->children[i];
        if (child->pid == 0 && !child->over && (next < 0 || child->due_ms < next))
            next = child->due_ms;
    }
    if (self->stop.by && (next < 0 || self->say_ms < next))
        next = self->say_ms;
    return next;
}

static int s_workers_left(const supervisor_t *self, bool running_only)
{
    int n = 0;
    for (int i = SERVER + 1; i < self->n_children; i++)
        n += running_only ? self->children[i].pid > 0 : !self->children[i].over;
    return n;
}

/* Until the server is over, and then the workers. */
static int s_supervise(supervisor_t *self, err_t *err)
{
    const child_t *server = &self->children[SERVER];
    while (!server->over) {
        if (s_start_due(self, err) != 0)
            return STATUS_FAILURE;
        s_wait(self, s_next_due_ms(self));
        rehearsal_tick(self->rehearsal);
        s_say_waits(self);
        if (self->config->n_workers == 0 || s_workers_left(self, false) > 0 || self->released ||
            server->over || self->stop.by)
            continue;
        err_set(err, "all %d local workers have failed before the training was done",
                self->n_children - 1);
        self->stop = (signals_stop_t){SIGTERM, clock_ms()};
        s_stop(self);
    }
    rehearsal_end(self->rehearsal);
    bool ended_well = WIFEXITED(server->status) && WEXITSTATUS(server->status) != STATUS_FAILURE;
    int64_t until_ms = clock_ms() + RELEASE_MS;
    while (ended_well && s_workers_left(self, true) > 0 && clock_ms() < until_ms)
        s_wait(self, until_ms);
    if (err->text[0])
        return STATUS_FAILURE;
    if (!WIFEXITED(server->status)) {
        if (!self->stop.by)
            err_set(err, "the server was killed by signal %d", WTERMSIG(server->status));
        return self->stop.by ? signals_status(self->stop.by) : STATUS_FAILURE;
    }
    int status = WEXITSTATUS(server->status);
    return self->stop.by && status != STATUS_FAILURE ? signals_status(self->stop.by) : status;
}

/* The IPv4 address of a network interface, as libzmq looks it up to bind; false if there is none.
 */
static bool s_interface_address(const char *name, size_t length, char address[INET_ADDRSTRLEN])
{
    bool found = false;
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) != 0)
        return false;
    for (const struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
        struct sockaddr_in socket;
        if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || strlen(i->ifa_name) != length ||
            strncmp(i->ifa_name, name, length) != 0)
            continue;
        memcpy(&socket, i->ifa_addr, sizeof(socket));
        found = inet_ntop(AF_INET, &socket.sin_addr, address, INET_ADDRSTRLEN) != NULL;
    }
    freeifaddrs(all);
    return found;
}

/* Where local workers reach a server that is bound to all addresses, or to an interface by name. */
static void s_local_endpoint(const char *bind, char *endpoint, size_t size)
{
    static const char *const anywhere[] = {"tcp://*:", "tcp://0.0.0.0:", "tcp://[::]:"};
    static const char *const here[] = {"tcp://127.0.0.1:", "tcp://127.0.0.1:", "tcp://[::1]:"};
    char address[INET_ADDRSTRLEN];
    const char *colon = strrchr(bind, ':');
    (void)snprintf(endpoint, size, "%s", bind);
    for (int i = 0; i < 3; i++)
        if (strncmp(bind, anywhere[i], strlen(anywhere[i])) == 0)
            (void)snprintf(endpoint, size, "%s%s", here[i], bind + strlen(anywhere[i]));
    if (strncmp(bind, "tcp://", 6) == 0 && colon > bind + 6 &&
        s_interface_address(bind + 6, (size_t)(colon - bind - 6), address))
        (void)snprintf(endpoint, size, "tcp://%s%s", address, colon);
}

static int s_open(supervisor_t *self, err_t *err)
{
    const char *bind = self->config->settings->server.bind;
    self->config_before = s_config_file(self);
    if (spawn_program(self->program, sizeof(self->program), err) != 0)
        return -1;
    if (strcmp(bind, "auto") != 0) {
        s_local_endpoint(bind, self->endpoint, sizeof(self->endpoint));
        return 0;
    }
    (void)snprintf(self->folder, sizeof(self->folder), "/tmp/drover-XXXXXX");
    if (!mkdtemp(self->folder)) {
        self->folder[0] = '\0';
        return err_set_errno(err, "/tmp: cannot make a folder for the sockets");
    }
    (void)snprintf(self->endpoint, sizeof(self->endpoint), "ipc://%s/control", self->folder);
    return 0;
}

static void s_remove_folder(const supervisor_t *self)
{
    static const char *const names[] = {"control", "control.data", "control.weights",
                                        "control.gradients"};
    char path[MAX_SOCKET_DIR + 32];
    if (!self->folder[0])
        return;
    for (int i = 0; i < 4; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", self->folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(self->folder);
}

/* What a pipe had to say this process has read, and nothing would be left for the server. */
static int s_check_file(const args_t *args, err_t *err)
{
    struct stat st;
    if (args->n_words == 0 || stat(args->words[0], &st) != 0 || S_ISREG(st.st_mode))
        return 0;
    return err_set(err, "%s: can be read once only, expected a file, since the server reads it too",
                   args->words[0]);
}

int supervisor_check(const args_t *args, const settings_t *settings, int n_workers, err_t *err)
{
    const char *bind = settings->server.bind;
    char planes[4][LINK_ENDPOINT_SIZE];
    if (s_check_file(args, err) != 0)
        return -1;
    if (strcmp(bind, "auto") == 0 && n_workers > 0)
        return 0;
    if (strcmp(bind, "auto") == 0)
        return err_set(err,
                       "server.bind: nobody but local workers can find 'auto', and with "
                       "--workers 0 there are none, expected tcp://ADDRESS:PORT or ipc://PATH");
    if (link_planes(bind, planes, err) != 0)
        return err_prefix(err, "server.bind");
    if (strncmp(bind, "inproc://", 9) == 0 || bind[strlen(bind) - 1] == '*')
        return err_set(err,
                       "server.bind: workers cannot find '%s', expected auto, "
                       "tcp://ADDRESS:PORT or ipc://PATH",
                       bind);
    return 0;
}

int supervisor_run(const supervisor_config_t *config, err_t *err)
{
    supervisor_t self = {
        .config = config,
        .n_children = config->n_workers + 1,
        .rehearsal = rehearsal_new(config->chaos, config->n_workers + 1),
        .signals = signals_open(true),
    };
    self.children = calloc((size_t)self.n_children, sizeof(child_t));
    if (!self.children)
        abort();
    (void)snprintf(self.children[SERVER].name, sizeof(self.children[SERVER].name), "server");
    for (int i = SERVER + 1; i < self.n_children; i++)
        (void)snprintf(self.children[i].name, sizeof(self.children[i].name), "local-%d", i);
    int status = STATUS_FAILURE;
    if (s_open(&self, err) == 0)
        status = s_supervise(&self, err);
    s_kill_all(&self, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    s_remove_folder(&self);
    rehearsal_destroy(&self.rehearsal);
    free(self.children);
    close(self.signals);
    return status;
}
