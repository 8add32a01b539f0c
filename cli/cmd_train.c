/* drover train: a server and local workers, each a process of its own, over ipc.
 *
 * This process only starts them, passes Ctrl-C on to the server, and sees to it that nobody is left
 * behind: children die with it (PR_SET_PDEATHSIG), and it ends when the server has.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/settings.h"
#include "cli/commands.h"
#include "cli/signals.h"

#define MAX_WORKERS 1024
#define RELEASE_MS  500 /* for workers to end once the server has; they have nothing to lose */

typedef struct {
    const char *resume; /* borrowed; NULL for a new run */
    char program[4096];
    char folder[64]; /* of the private sockets; "" when there is none */
    char endpoint[256];
    pid_t server;
    int server_status; /* as waitpid gave it */
    pid_t *workers;    /* owned; 0 for one that has ended */
    int n_workers;
    int n_alive;
    bool released; /* a worker has ended with success: the server let it go, or the user */
    int signals;
    int stopped_by;
} cluster_t;

/* Starts this program with other words. The child dies with this process. */
static pid_t s_spawn(const cluster_t *self, const char *const *words)
{
    pid_t parent = getpid();
    pid_t child = fork();
    if (child != 0)
        return child;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_IGN); /* a terminal's Ctrl-C comes through the parent */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(STATUS_FAILURE);
    execv(self->program, (char *const *)words);
    (void)fprintf(stderr, "drover train: %s: cannot execute: %s\n", self->program, strerror(errno));
    _exit(STATUS_FAILURE);
}

/* The server gets this command's configuration and overrides, word for word. */
static pid_t s_spawn_server(const cluster_t *self, const args_t *args)
{
    int n = 0;
    const char **words = calloc(10 + 2 * (size_t)args->n_overrides, sizeof(char *));
    char **texts = calloc(1 + (size_t)args->n_overrides, sizeof(char *));
    if (!words || !texts)
        abort();
    words[n++] = "drover";
    words[n++] = "server";
    if (self->folder[0]) {
        words[n++] = "--ipc";
        words[n++] = self->folder;
    }
    if (self->resume) {
        words[n++] = "--resume";
        words[n++] = self->resume;
    }
    for (int i = 0; i < args->n_overrides; i++) {
        const conf_override_t *override = &args->overrides[i];
        if (asprintf(&texts[i], "%s%s%s", override->key ? override->key : "",
                     override->key ? "=" : "", override->text) < 0)
            abort();
        words[n++] = "--set";
        words[n++] = texts[i];
    }
    words[n++] = "--";
    if (args->n_words)
        words[n++] = args->words[0];
    pid_t pid = s_spawn(self, words);
    for (int i = 0; i < args->n_overrides; i++)
        free(texts[i]);
    free(texts);
    free(words);
    return pid;
}

static pid_t s_spawn_worker(const cluster_t *self, int number, const settings_t *settings)
{
    char name[32], threads[16];
    (void)snprintf(name, sizeof(name), "local-%d", number);
    (void)snprintf(threads, sizeof(threads), "%d", settings->worker.threads);
    const char *words[] = {
        "drover", "worker",      self->endpoint,
        "--name", name,          "--threads",
        threads,  "--log-level", settings->log.level == LOG_LEVEL_INFO ? "warn" : "info",
        NULL};
    if (settings->log.level == LOG_LEVEL_DEBUG)
        words[8] = "debug";
    return s_spawn(self, words);
}

static void s_remove_folder(const cluster_t *self)
{
    static const char *const names[] = {"control", "control.data", "control.weights",
                                        "control.gradients"};
    char path[128];
    if (!self->folder[0])
        return;
    for (int i = 0; i < 4; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", self->folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(self->folder);
}

static int s_start(cluster_t *self, const args_t *args, const settings_t *settings, err_t *err)
{
    ssize_t n = readlink("/proc/self/exe", self->program, sizeof(self->program) - 1);
    if (n < 0)
        return err_set_errno(err, "/proc/self/exe: cannot read");
    if (strcmp(settings->server.bind, "auto") == 0) {
        (void)snprintf(self->folder, sizeof(self->folder), "/tmp/drover-XXXXXX");
        if (!mkdtemp(self->folder)) {
            self->folder[0] = '\0';
            return err_set_errno(err, "/tmp: cannot make a folder for the sockets");
        }
        (void)snprintf(self->endpoint, sizeof(self->endpoint), "ipc://%s/control", self->folder);
    } else
        (void)snprintf(self->endpoint, sizeof(self->endpoint), "%s", settings->server.bind);
    self->server = s_spawn_server(self, args);
    if (self->server < 0)
        return err_set_errno(err, "cannot start the server");
    for (int i = 0; i < self->n_workers; i++) {
        self->workers[i] = s_spawn_worker(self, i + 1, settings);
        if (self->workers[i] < 0) {
            self->workers[i] = 0;
            return err_set_errno(err, "cannot start a worker");
        }
        self->n_alive++;
    }
    return 0;
}

/* Notes every child that has ended. */
static void s_reap(cluster_t *self)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == self->server) {
            self->server = 0;
            self->server_status = status;
            continue;
        }
        for (int i = 0; i < self->n_workers; i++) {
            if (self->workers[i] != pid)
                continue;
            self->workers[i] = 0;
            self->n_alive--;
            self->released |= WIFEXITED(status) && WEXITSTATUS(status) == STATUS_OK;
            if (self->server == 0)
                continue; /* ended with the server, by us or by itself */
            if (WIFSIGNALED(status))
                log_warn("worker.died", "name=local-%d signal=%d", i + 1, WTERMSIG(status));
            else if (WEXITSTATUS(status) != 0)
                log_warn("worker.failed", "name=local-%d status=%d", i + 1, WEXITSTATUS(status));
        }
    }
}

static void s_kill_all(const cluster_t *self, int signal)
{
    if (self->server > 0)
        kill(self->server, signal);
    for (int i = 0; i < self->n_workers; i++)
        if (self->workers[i] > 0)
            kill(self->workers[i], signal);
}

/* Waits for a signal, at most timeout_ms (-1: without end), and does what it asks for. */
static void s_wait(cluster_t *self, int timeout_ms)
{
    struct pollfd item = {self->signals, POLLIN, 0};
    (void)poll(&item, 1, timeout_ms);
    int signal;
    while ((signal = signals_take(self->signals)) != 0) {
        if (signal == SIGCHLD)
            continue;
        if (self->stopped_by)
            s_kill_all(self, SIGKILL); /* asked twice */
        else if (self->server > 0)
            kill(self->server, SIGTERM); /* it writes its checkpoint and releases the workers */
        self->stopped_by = signal;
    }
    s_reap(self);
}

/* Until the server has ended, and then the workers. */
static int s_supervise(cluster_t *self, err_t *err)
{
    while (self->server > 0) {
        s_wait(self, -1);
        if (self->n_alive > 0 || self->released || !self->folder[0] || self->server == 0 ||
            self->stopped_by)
            continue;
        /* nobody else can reach private sockets */
        err_set(err, "all %d local workers have failed before the training was done",
                self->n_workers);
        kill(self->server, SIGTERM);
        self->stopped_by = SIGTERM;
    }
    int64_t until_ms = clock_ms() + RELEASE_MS;
    while (self->n_alive > 0 && clock_ms() < until_ms && WIFEXITED(self->server_status) &&
           WEXITSTATUS(self->server_status) != STATUS_FAILURE)
        s_wait(self, (int)(until_ms - clock_ms()) + 1);
    if (err->text[0])
        return STATUS_FAILURE;
    if (WIFSIGNALED(self->server_status) && !self->stopped_by) {
        err_set(err, "the server was killed by signal %d", WTERMSIG(self->server_status));
        return STATUS_FAILURE;
    }
    int status =
        WIFSIGNALED(self->server_status) ? STATUS_FAILURE : WEXITSTATUS(self->server_status);
    return self->stopped_by && status != STATUS_FAILURE ? signals_status(self->stopped_by) : status;
}

int cmd_train(int argc, char **argv)
{
    int n_workers = 1;
    const char *resume = NULL;
    const args_option_t options[] = {
        {.name = "workers",
         .metavar = "N",
         .help = "Local worker processes (default 1).",
         .integer = &n_workers,
         .min = 1,
         .max = MAX_WORKERS},
        {.name = "threads", .metavar = "T", .key = "worker.threads"},
        {.name = "data", .metavar = "DIR", .key = "data.path"},
        {.name = "output", .metavar = "DIR", .key = "output.path"},
        {.name = "steps", .metavar = "N", .key = "training.steps"},
        {.name = "resume",
         .metavar = "DIR",
         .help = "Go on with the run in DIR, from its newest checkpoint, bit for bit; its "
                 "config.yaml is the default CONFIG.",
         .text = &resume},
    };
    const args_command_t command = {
        .name = "train",
        .words = "[CONFIG]",
        .summary = "Trains with a parameter server and N local workers, all on this machine. With\n"
                   "server.bind set to tcp://..., workers of other machines may join as well.",
        .options = options,
        .n_options = sizeof(options) / sizeof(options[0]),
        .settings = settings_table(),
        .max_words = 1,
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    settings_t settings;
    cluster_t cluster = {.resume = resume, .n_workers = n_workers, .signals = signals_open(true)};
    cluster.workers = calloc((size_t)n_workers, sizeof(pid_t));
    if (!cluster.workers)
        abort();
    settings_init(&settings);
    status = STATUS_USAGE;
    if (command_settings(&args, cluster.resume, &settings, &err) != 0)
        goto out;
    status = STATUS_FAILURE;
    log_set_level(settings.log.level);
    if (s_start(&cluster, &args, &settings, &err) == 0)
        status = s_supervise(&cluster, &err);
out:
    s_kill_all(&cluster, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    s_remove_folder(&cluster);
    free(cluster.workers);
    settings_clear(&settings);
    close(cluster.signals);
    args_clear(&args);
    return err.text[0] ? command_fail(&command, &err, status) : status;
}
