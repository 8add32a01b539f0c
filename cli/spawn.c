/* See spawn.h. */
#include "cli/spawn.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cli/commands.h"

int spawn_program(char *path, size_t size, err_t *err)
{
    ssize_t n = readlink("/proc/self/exe", path, size - 1);
    if (n < 0)
        return err_set_errno(err, "/proc/self/exe: cannot read");
    path[n] = '\0';
    return 0;
}

pid_t spawn(const char *program, const char *const *words, int output)
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
    if (output >= 0 && (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0))
        _exit(STATUS_FAILURE);
    execv(program, (char *const *)words);
    (void)fprintf(stderr, "drover: %s: cannot execute: %s\n", program, strerror(errno));
    _exit(STATUS_FAILURE);
}
