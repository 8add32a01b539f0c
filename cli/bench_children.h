/* The processes of a benchmark, and what they say to their parent. The parent has no sockets but a
 * pair to each child: libzmq does not live through a fork. */
#ifndef DROVER_CLI_BENCH_CHILDREN_H
#define DROVER_CLI_BENCH_CHILDREN_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "proto/link.h"

#define MOST_CHILDREN 2049

typedef enum {
    REPORT_BOUND = 1, /* `text`: where */
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

typedef struct {
    const char *what; /* "server", "relay" or "worker": for messages */
    pid_t pid;
    int fd; /* -1 once it has ended */
    double cpu_s;
} child_t;

typedef struct {
    child_t list[MOST_CHILDREN]; /* the first is the server */
    uint32_t n;
} children_t;

/* What a child runs: `number` of its kind, `fd` to its parent. 0, or -1 with *err. */
typedef int child_main_t(const void *context, uint32_t number, int fd, err_t *err);

/* In the children */
void child_say(int fd, const report_t *report);
void child_say_text(int fd, report_kind_t kind, const char *text);

/* Waits for children_go; 0, or -1 with *err when there is no parent any more. */
int child_wait_go(int fd, err_t *err);

/* In the parent. Starts a child, which dies with it: 0, or -1 with *err. */
int children_spawn(children_t *self, const char *what, uint32_t number, child_main_t *main,
                   const void *context, err_t *err);

/* The next report, which has to be of that kind: 0, or -1 with *err. */
int children_receive(children_t *self, report_kind_t kind, report_t *report, err_t *err);

/* Lets those from the first-th on go. */
void children_go(children_t *self, uint32_t first);

/* Waits until the server has ended, and then for all others that do so within release_ms: 0, or -1
 * with *err when one has failed. */
int children_wait_end(children_t *self, int release_ms, err_t *err);

/* CPU seconds of the child so far; those that it has had when it has ended. */
double child_cpu_s(const child_t *child);

/* Kills those that are left. */
void children_clear(children_t *self);

#endif
