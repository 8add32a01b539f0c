/* What a run leaves in its folder behind its last step, besides the model: the evaluation on the
 * test data in tables, samples and mistakes, the pictures; and its summary on standard output. */
#ifndef DROVER_CLI_RUN_RESULT_H
#define DROVER_CLI_RUN_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "data/dataset.h"
#include "math/model.h"
#include "parameter_server/server.h"

/* All borrowed. */
typedef struct {
    const char *folder;
    uint64_t seed; /* which test rows are shown */
    const model_t *model;
    const float *params;         /* (P) what the run leaves */
    uint32_t best_step;          /* whose model that is, of the best evaluation; 0: the last's */
    const dataset_t *validation; /* NULL when there is none, as the next */
    const dataset_t *test;
    const server_record_t *last; /* of the last step */
    const double *costs;         /* (n_steps) */
    const double *accuracies;    /* (n_steps) */
    uint32_t n_steps;
    double step_ms;    /* median of this process's steps; 0 without any */
    int64_t opened_ms; /* clock_ms when the training began */
    bool quiet;        /* no summary, and pictures are left to drover plot */
} run_result_t;

/* What came of a run, NaN where there is none: on the last batch and on other data. */
typedef struct {
    double cost;
    double accuracy;
    double validation_cost;
    double validation_accuracy;
    double test_cost;
    double test_accuracy;
} run_outcome_t;

/* Evaluates where there are test data and writes everything. A picture that cannot be drawn is an
 * error in the log only. Returns 0 with *outcome, or -1 with *err. */
int run_result_write(const run_result_t *self, run_outcome_t *outcome, err_t *err);

#endif
