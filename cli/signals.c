/* See signals.h. */
#include "cli/signals.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/commands.h"

#define SAME_MS 1000

int signals_open(bool children)
{
    signal(SIGPIPE, SIG_IGN); /* a reader of our output that leaves does not end a training */
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a full disk, not the end */
    sigset_t set;
    struct sigaction now;
    sigemptyset(&set);
    sigaction(SIGINT, NULL, &now);
    if (now.sa_handler != SIG_IGN)
        sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaction(SIGHUP, NULL, &now);
    if (now.sa_handler != SIG_IGN)
        sigaddset(&set, SIGHUP); /* the terminal or ssh session is gone */
    if (children)
        sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        abort();
    return fd;
}

int signals_take(int fd)
{
    struct signalfd_siginfo info;
    return read(fd, &info, sizeof(info)) == sizeof(info) ? (int)info.ssi_signo : 0;
}

int signals_status(int signal)
{
    return signal == SIGINT ? STATUS_INTERRUPTED : 128 + signal;
}

signals_request_t signals_request(signals_stop_t *self, int signal, int64_t now_ms)
{
    if (self->by)
        return now_ms - self->at_ms < SAME_MS ? SIGNALS_SAME : SIGNALS_AT_ONCE;
    *self = (signals_stop_t){signal, now_ms};
    return SIGNALS_STOP;
}
