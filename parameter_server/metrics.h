/* metrics.jsonl: one JSON object a step, and one an evaluation. */
#ifndef DROVER_PARAMETER_SERVER_METRICS_H
#define DROVER_PARAMETER_SERVER_METRICS_H

#include <stddef.h>

#include "parameter_server/server.h"

#define METRICS_LINE_SIZE 1024

/* The line of a step, with its newline. */
void metrics_line(const server_record_t *record, char line[METRICS_LINE_SIZE]);

/* The line of an evaluation: what there is of validation and test. */
void metrics_evaluation(const trial_result_t *result, char line[METRICS_LINE_SIZE]);

#endif
