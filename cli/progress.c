/* See progress.h. */
#include "cli/progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define REDRAW_MS   100 /* on a terminal */
#define PLAIN_LINES 10  /* in a run, otherwise; and one every PLAIN_MS */
#define PLAIN_MS    10000
#define SMOOTHING   0.1 /* of the newest step in the mean step time */

struct progress {
    uint32_t n_steps;
    bool terminal;
    bool standing; /* an unfinished line is on the terminal */
    int64_t drawn_ms;
    double step_ms; /* smoothed */
    char evaluation[64];
};

progress_t *progress_new(uint32_t n_steps)
{
    progress_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->n_steps = n_steps;
    self->terminal = isatty(STDOUT_FILENO);
    return self;
}

void progress_destroy(progress_t **self_p)
{
    progress_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    progress_end(self);
    free(self);
}

static bool s_due(const progress_t *self, const server_record_t *record, int64_t now_ms)
{
    if (record->step == 1 || record->step == self->n_steps)
        return true;
    if (self->terminal)
        return now_ms - self->drawn_ms >= REDRAW_MS;
    uint32_t every = self->n_steps / PLAIN_LINES;
    return (every > 0 && record->step % every == 0) || now_ms - self->drawn_ms >= PLAIN_MS;
}

/* Of the terminal, now. A longer line would go on in the next one and stay there. */
static int s_columns(void)
{
    struct winsize window = {0};
    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &window);
    return window.ws_col > 0 ? window.ws_col : 80;
}

void progress_step(progress_t *self, const server_record_t *record)
{
    if (!self)
        return;
    int64_t now_ms = clock_ms();
    self->step_ms = record->step == 1 || self->step_ms == 0
                        ? record->step_ms
                        : self->step_ms + SMOOTHING * (record->step_ms - self->step_ms);
    if (!s_due(self, record, now_ms))
        return;
    self->drawn_ms = now_ms;
    double left_s = self->step_ms * (self->n_steps - record->step) / 1000.0;
    char line[320];
    (void)snprintf(line, sizeof(line),
                   "step %u/%u  cost %.5f  accuracy %.4f  rate %.4g  %.0f rows/s  %u worker%s  "
                   "ETA %.0f s%s",
                   record->step, self->n_steps, record->cost, record->accuracy,
                   record->learning_rate,
                   (double)record->rows / (record->step_ms > 0 ? record->step_ms : 1) * 1000.0,
                   record->workers, record->workers == 1 ? "" : "s", left_s, self->evaluation);
    if (self->terminal)
        (void)printf("\r\033[K%.*s", s_columns() - 1, line);
    else
        (void)printf("%s\n", line);
    (void)fflush(stdout);
    self->standing = self->terminal;
    log_set_progress(self->standing);
}

void progress_evaluation(progress_t *self, const trial_result_t *result)
{
    bool validation = result->validation.rows > 0;
    if (!self)
        return;
    (void)snprintf(self->evaluation, sizeof(self->evaluation), "  %s accuracy %.4f (step %u)",
                   validation ? "validation" : "test",
                   validation ? result->validation.accuracy : result->test.accuracy, result->step);
}

void progress_end(progress_t *self)
{
    if (!self)
        return;
    if (self->standing)
        (void)printf("\n");
    (void)fflush(stdout);
    self->standing = false;
    log_set_progress(false);
}
