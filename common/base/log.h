/* Log lines on stderr: `12:03:04.567 info  worker.joined name=a host=b`.
 *
 * An event has a stable id (the first word) that users may match; the rest is key=value. Safe to
 * call from any thread: a line is written with one write(2). Metrics are not logs.
 */
#ifndef DROVER_BASE_LOG_H
#define DROVER_BASE_LOG_H

#include <stdbool.h>

/* Whatever waits says so: after the first of these, and then again and again after the second. */
#define LOG_FIRST_WAIT_MS 1000
#define LOG_WAIT_MS       5000

typedef enum {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR,
} log_level_t;

/* Lines below the level are dropped; the default is LOG_LEVEL_INFO. */
void log_set_level(log_level_t level);

/* Parses "debug", "info", "warn" or "error"; returns 0, or -1 when it is none of these. */
int log_level_parse(const char *text, log_level_t *level);

/* While a progress line stands on the terminal, a log line first clears it. */
void log_set_progress(bool on_terminal);

#define log_debug(event, ...) log_write(LOG_LEVEL_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...)  log_write(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_warn(event, ...)  log_write(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_error(event, ...) log_write(LOG_LEVEL_ERROR, event, __VA_ARGS__)

void log_write(log_level_t level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
