/* Warnings that a peer can cause as often as it likes, without filling the log: at most one line a
 * second for each event and peer. The next one says how many were not written in between
 * (suppressed=N). */
#ifndef DROVER_BASE_LOG_LIMIT_H
#define DROVER_BASE_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_LIMIT_MS 1000

/* Of one event and peer; {0} has written nothing yet. */
typedef struct {
    int64_t next_ms;
    uint64_t n_held; /* lines that were not written */
} log_limit_t;

/* May a line be written now? Then *n_held is how many were not since the last one. */
bool log_limit_pass(log_limit_t *self, int64_t now_ms, uint64_t *n_held);

/* log_warn, limited; `peer` names who caused it. A flood of made-up names is limited as well, to 32
 * of them a second. From any thread. */
void log_warn_limited(const char *event, const char *peer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Says what was not written and has not been counted in a later line yet; for the program's end. */
void log_limit_flush(void);

#endif
