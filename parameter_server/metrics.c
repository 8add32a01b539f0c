/* See metrics.h. Numbers only, so that no JSON library is needed to write it. */
#include "parameter_server/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/text.h"

void metrics_line(const server_record_t *record, char line[METRICS_LINE_SIZE])
{
    char cost[32], accuracy[32], rate[32];
    text_python_repr(record->cost, cost);
    text_python_repr(record->accuracy, accuracy);
    text_python_repr(record->learning_rate, rate);
    (void)snprintf(line, METRICS_LINE_SIZE,
                   "{\"step\": %u, \"cost\": %s, \"accuracy\": %s, \"learning_rate\": %s, "
                   "\"rows\": %" PRIu64 ", \"workers\": %u, \"blocks\": %u, \"reissued\": %u, "
                   "\"duplicates\": %u, \"refused\": %u, \"audited\": %u, "
                   "\"unaudited\": %u, \"step_ms\": %.3f, "
                   "\"broadcast_ms\": %.3f, \"compute_ms\": %.3f, \"sum_ms\": %.3f}\n",
                   record->step, cost, accuracy, rate, record->rows, record->workers,
                   record->blocks, record->reissued, record->duplicates, record->refused,
                   record->audited, record->unaudited, record->step_ms, record->broadcast_ms,
                   record->compute_ms, record->sum_ms);
}

static int s_score(const char *name, const trial_score_t *score, char *text, size_t size)
{
    char cost[32], accuracy[32];
    text_python_repr(score->cost, cost);
    text_python_repr(score->accuracy, accuracy);
    if (score->rows == 0)
        return 0;
    /* the weights are finite, and what they come to may not be */
    return snprintf(text, size, ", \"%s_cost\": %s, \"%s_accuracy\": %s", name,
                    isfinite(score->cost) ? cost : "null", name, accuracy);
}

void metrics_evaluation(const trial_result_t *result, char line[METRICS_LINE_SIZE])
{
    int n = snprintf(line, METRICS_LINE_SIZE, "{\"step\": %u", result->step);
    n += s_score("validation", &result->validation, line + n, METRICS_LINE_SIZE - (size_t)n);
    n += s_score("test", &result->test, line + n, METRICS_LINE_SIZE - (size_t)n);
    (void)snprintf(line + n, METRICS_LINE_SIZE - (size_t)n, "}\n");
}
