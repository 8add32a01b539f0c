/* See bench_children.h. */
#include "cli/bench_children.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/commands.h"

#define SERVER 0 /* list[0] */

typedef enum {
    NEXT_NOTHING, /* all have ended, or the time is over */
    NEXT_REPORT,
    NEXT_END,
} next_t;

void child_say(int fd, const report_t *report)
{
    (void)send(fd, report, sizeof(*report), MSG_NOSIGNAL);
}

void child_say_text(int fd, report_kind_t kind, const char *text)
{
    report_t report = {.kind = kind};
    size_t n = strlen(text);
    memcpy(report.text, text, n < sizeof(report.text) ? n : sizeof(report.text) - 1);
    child_say(fd, &report);
}

int child_wait_go(int fd, err_t *err)
{
    char go;
    return recv(fd, &go, 1, 0) == 1 ? 0 : err_set(err, "no parent");
}

int children_spawn(children_t *self, const char *what, uint32_t number, child_main_t *main,
                   const void *context, err_t *err)
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
        self->list[self->n++] = (child_t){.what = what, .pid = pid, .fd = pair[0]};
        return 0;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(STATUS_FAILURE);
    close(pair[0]);
    for (uint32_t i = 0; i < self->n; i++)
        close(self->list[i].fd);
    log_set_level(LOG_LEVEL_ERROR);
    err_t failed = {{0}};
    int r = main(context, number, pair[1], &failed);
    if (r != 0)
        child_say_text(pair[1], REPORT_FAILED, failed.text);
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
static int s_next(children_t *self, int64_t until_ms, report_t *report, next_t *next, err_t *err)
{
    struct pollfd items[MOST_CHILDREN];
    uint32_t n_open = 0;
    for (uint32_t i = 0; i < self->n; i++) {
        items[i] = (struct pollfd){self->list[i].fd, POLLIN, 0};
        n_open += self->list[i].fd >= 0;
    }
    int64_t left_ms = until_ms - clock_ms();
    int timeout_ms = until_ms < 0 ? -1 : left_ms < 0 ? 0 : (int)left_ms;
    *next = NEXT_NOTHING;
    if (n_open == 0)
        return 0;
    if (poll(items, self->n, timeout_ms) < 0 && errno != EINTR)
        return err_set_errno(err, "poll");
    for (uint32_t i = 0; i < self->n; i++)
        if (self->list[i].fd >= 0 && items[i].revents)
            return s_hear(&self->list[i], report, next, err);
    return 0;
}

int children_receive(children_t *self, report_kind_t kind, report_t *report, err_t *err)
{
    next_t next;
    do
        if (s_next(self, -1, report, &next, err) != 0)
            return -1;
    while (next == NEXT_NOTHING && self->list[SERVER].fd >= 0);
    if (next != NEXT_REPORT)
        return err_set(err, "a process has ended before the steps were done");
    if (report->kind != kind)
        return err_set(err, "a process says %d, expected %d", (int)report->kind, (int)kind);
    return 0;
}

void children_go(children_t *self, uint32_t first)
{
    for (uint32_t i = first; i < self->n; i++)
        (void)send(self->list[i].fd, "g", 1, MSG_NOSIGNAL);
}

int children_wait_end(children_t *self, int release_ms, err_t *err)
{
    report_t report;
    next_t next = NEXT_END;
    while (self->list[SERVER].fd >= 0)
        if (s_next(self, -1, &report, &next, err) != 0)
            return -1;
    int64_t until_ms = clock_ms() + release_ms;
    while (next != NEXT_NOTHING)
        if (s_next(self, until_ms, &report, &next, err) != 0)
            return -1;
    return 0;
}

double child_cpu_s(const child_t *child)
{
    clockid_t clock;
    struct timespec time;
    if (clock_getcpuclockid(child->pid, &clock) != 0 || clock_gettime(clock, &time) != 0)
        return child->cpu_s;
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

void children_clear(children_t *self)
{
    for (uint32_t i = 0; i < self->n; i++) {
        child_t *child = &self->list[i];
        if (child->fd < 0)
            continue;
        kill(child->pid, SIGKILL);
        (void)waitpid(child->pid, NULL, 0);
        close(child->fd);
    }
    self->n = 0;
}
