/* Signals as readable events: Ctrl-C and friends never interrupt anything half-way. */
#ifndef DROVER_CLI_SIGNALS_H
#define DROVER_CLI_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

/* Blocks SIGINT, SIGTERM, SIGHUP (and SIGCHLD when `children`) in this thread and those it will
 * start, and returns a descriptor that is readable when one came. A SIGINT or SIGHUP that the
 * parent made this process ignore stays ignored; SIGPIPE is ignored from now on. Aborts only when
 * the system has no descriptors left. */
int signals_open(bool children);

/* Takes one signal; 0 when there is none. */
int signals_take(int fd);

/* The status to exit with after this signal. */
int signals_status(int signal);

/* A program that was asked to stop: by which signal (0: not yet), and when. */
typedef struct {
    int by;
    int64_t at_ms;
} signals_stop_t;

typedef enum {
    SIGNALS_STOP,    /* the first request: in order */
    SIGNALS_SAME,    /* within a second of it: launchers signal a process and its whole group */
    SIGNALS_AT_ONCE, /* asked again */
} signals_request_t;

/* A signal that asks to stop came. */
signals_request_t signals_request(signals_stop_t *self, int signal, int64_t now_ms);

#endif
