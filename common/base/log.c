/* See log.h. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static _Atomic int s_level = LOG_LEVEL_INFO;
static _Atomic bool s_progress;

static const char *const s_names[] = {"debug", "info", "warn", "error"};

void log_set_level(log_level_t level)
{
    s_level = (int)level;
}

int log_level_parse(const char *text, log_level_t *level)
{
    for (int i = 0; i < 4; i++) {
        if (strcmp(text, s_names[i]) == 0) {
            *level = (log_level_t)i;
            return 0;
        }
    }
    return -1;
}

void log_set_progress(bool on_terminal)
{
    s_progress = on_terminal;
}

void log_write(log_level_t level, const char *event, const char *format, ...)
{
    if ((int)level < s_level)
        return;
    char line[1200];
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &parts);
    int n = snprintf(line, sizeof(line), "%s%02d:%02d:%02d.%03ld %-5s %s ",
                     s_progress ? "\r\033[K" : "", parts.tm_hour, parts.tm_min, parts.tm_sec,
                     now.tv_nsec / 1000000, s_names[level], event);
    va_list args;
    va_start(args, format);
    int m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, args);
    va_end(args);
    size_t used = (size_t)n + (size_t)(m > 0 ? m : 0);
    if (used > sizeof(line) - 2)
        used = sizeof(line) - 2;
    for (size_t i = (size_t)n; i < used; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[used++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written; /* there is nowhere left to report a failing stderr */
}
