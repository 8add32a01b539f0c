/* See bench_processes.h. */
#include "cli/bench_processes.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/bench.h"
#include "cli/commands.h"
#include "cli/signals.h"
#include "cli/spawn.h"
#include "data/synth.h"

static int s_draw_data(const bench_processes_t *self, settings_t *settings, int n_rows, err_t *err)
{
    if (settings->data.path[0] || settings->data.train_images[0])
        return 0;
    free(settings->data.path);
    if (asprintf(&settings->data.path, "%s/data", self->folder) < 0)
        abort();
    size_t n_test = (size_t)n_rows / 6 > 15 ? (size_t)n_rows / 6 : 15; /* as MNIST has */
    return synth_write_folder(settings->data.path, (size_t)n_rows, n_test, settings->training.seed,
                              err);
}

static int s_open(bench_processes_t *self, settings_t *settings, int n_rows, err_t *err)
{
    memset(self, 0, sizeof(*self));
    self->signals = signals_open(false);
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* for bench_processes_end */
    if (spawn_program(self->program, sizeof(self->program), err) != 0)
        return -1;
    const char *above = getenv("TMPDIR");
    int n = snprintf(self->folder, sizeof(self->folder), "%s/drover-bench-XXXXXX",
                     above && *above ? above : "/tmp");
    if (n >= (int)sizeof(self->folder) || !mkdtemp(self->folder)) {
        err_set_errno(err, "%s: cannot make this folder", self->folder);
        self->folder[0] = '\0';
        return -1;
    }
    (void)snprintf(self->config, sizeof(self->config), "%s/config.yaml", self->folder);
    (void)snprintf(self->output, sizeof(self->output), "%s/out", self->folder);
    free(settings->output.path);
    free(settings->server.bind);
    settings->output.path = strdup(self->output);
    if (!settings->output.path ||
        asprintf(&settings->server.bind, "ipc://%s/control", self->folder) < 0)
        abort();
    settings->log.level = LOG_LEVEL_INFO; /* some lines are waited for */
    if (s_draw_data(self, settings, n_rows, err) != 0)
        return -1;
    return settings_write(settings, self->config, err);
}

static int s_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    (void)remove(path);
    return 0;
}

/* Returns the status to exit with. */
static int s_close(bench_processes_t *self, int status, err_t *err)
{
    bench_processes_end(self);
    if (self->folder[0])
        (void)nftw(self->folder, s_remove, 16, FTW_DEPTH | FTW_PHYS);
    close(self->signals);
    if (!self->stopped_by)
        return status;
    err->text[0] = '\0'; /* who stops it knows */
    return signals_status(self->stopped_by);
}

int bench_processes_main(const args_command_t *command, args_t *args, int n_rows,
                         bench_main_t *main, void *context)
{
    err_t err = {{0}};
    settings_t settings;
    bench_processes_t processes;
    int status = STATUS_USAGE;
    settings_init(&settings);
    if (settings_load(&settings, args->n_words ? args->words[0] : NULL, args->overrides,
                      args->n_overrides, &err) == 0) {
        status = s_open(&processes, &settings, n_rows, &err) == 0 &&
                         main(context, &settings, &processes, &err) == 0
                     ? STATUS_OK
                     : STATUS_FAILURE;
        status = s_close(&processes, status, &err);
    }
    settings_clear(&settings);
    return command_end(command, args, status, &err);
}

int bench_processes_start(bench_processes_t *self, const char *const *words, err_t *err)
{
    int pair[2];
    if (self->n == BENCH_MOST_PROCESSES)
        return err_set(err, "more than %d processes", BENCH_MOST_PROCESSES);
    if (pipe2(pair, O_CLOEXEC) != 0)
        return err_set_errno(err, "pipe");
    bench_process_t *process = &self->list[self->n];
    *process = (bench_process_t){.fd = pair[0], .started_us = clock_us()};
    process->pid = spawn(self->program, words, pair[1]);
    close(pair[1]);
    if (process->pid < 0) {
        close(pair[0]);
        return err_set_errno(err, "cannot start a process");
    }
    self->n++;
    return 0;
}

/* The next whole line out of what was printed; one that is too long is cut. */
static bool s_next_line(bench_process_t *self)
{
    const char *end = memchr(self->printed, '\n', self->n_printed);
    if (!end && self->n_printed < sizeof(self->printed))
        return false;
    size_t n = end ? (size_t)(end - self->printed) : self->n_printed;
    size_t n_line = n < sizeof(self->line) ? n : sizeof(self->line) - 1;
    memcpy(self->line, self->printed, n_line);
    self->line[n_line] = '\0';
    n += end ? 1 : 0;
    memmove(self->printed, self->printed + n, self->n_printed - n);
    self->n_printed -= n;
    return true;
}

/* It prints nothing any more: it has ended, or is about to. */
static int s_on_end(bench_process_t *self, err_t *err)
{
    int status = 0;
    struct rusage usage = {.ru_maxrss = 0};
    close(self->fd);
    self->fd = -1;
    (void)wait4(self->pid, &status, 0, &usage);
    self->pid = 0;
    self->ended_us = clock_us();
    self->peak_bytes = (int64_t)usage.ru_maxrss * 1024;
    if (status == 0)
        return 0;
    while (s_next_line(self))
        ;
    return err_set(err, "%s",
                   self->line[0] ? self->line : "a process has ended without a word of why");
}

/* Waits until a process prints something or ends. */
static int s_hear(bench_processes_t *self, err_t *err)
{
    struct pollfd items[BENCH_MOST_PROCESSES + 1] = {{self->signals, POLLIN, 0}};
    for (int i = 0; i < self->n; i++)
        items[i + 1] = (struct pollfd){self->list[i].fd, POLLIN, 0};
    if (poll(items, (nfds_t)self->n + 1, -1) < 0)
        return errno == EINTR ? 0 : err_set_errno(err, "poll");
    if (items[0].revents && (self->stopped_by = signals_take(self->signals)))
        return err_set(err, "interrupted");
    for (int i = 0; i < self->n; i++) {
        bench_process_t *process = &self->list[i];
        if (process->fd < 0 || !items[i + 1].revents)
            continue;
        ssize_t n = read(process->fd, process->printed + process->n_printed,
                         sizeof(process->printed) - process->n_printed);
        if (n > 0)
            process->n_printed += (size_t)n;
        else if (s_on_end(process, err) != 0)
            return -1;
    }
    return 0;
}

/* Reads the lines that nobody waits for. */
static void s_skip(bench_processes_t *self, int but)
{
    for (int i = 0; i < self->n; i++)
        while (i != but && s_next_line(&self->list[i]))
            ;
}

int bench_processes_wait_line(bench_processes_t *self, int i, const char *text, int64_t *at_us,
                              err_t *err)
{
    bench_process_t *process = &self->list[i];
    for (;;) {
        *at_us = clock_us();
        while (s_next_line(process))
            if (strstr(process->line, text))
                return 0;
        if (process->fd < 0)
            return err_set(err, "a process has ended and did not print '%s'", text);
        s_skip(self, i);
        if (s_hear(self, err) != 0)
            return -1;
    }
}

int bench_processes_wait_end(bench_processes_t *self, int i, err_t *err)
{
    while (self->list[i].fd >= 0) {
        s_skip(self, -1);
        if (s_hear(self, err) != 0)
            return -1;
    }
    return 0;
}

void bench_processes_look(bench_processes_t *self)
{
    for (int i = 0; i < self->n; i++) {
        static const char own[] = "RssAnon:";
        char path[64], line[128];
        if (self->list[i].pid == 0)
            continue;
        (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)self->list[i].pid);
        FILE *file = fopen(path, "re");
        while (file && fgets(line, sizeof(line), file)) {
            if (strncmp(line, own, strlen(own)) != 0)
                continue;
            int64_t bytes = strtoll(line + strlen(own), NULL, 10) * 1024;
            if (bytes > self->list[i].own_bytes)
                self->list[i].own_bytes = bytes;
        }
        if (file)
            (void)fclose(file);
    }
}

void bench_processes_end(bench_processes_t *self)
{
    for (int i = 0; i < self->n; i++) {
        bench_process_t *process = &self->list[i];
        if (process->pid == 0)
            continue;
        kill(process->pid, SIGKILL);
        close(process->fd);
    }
    /* and what they had started, which dies with them, but a moment later */
    while (waitpid(-1, NULL, 0) > 0)
        ;
    self->n = 0;
}
