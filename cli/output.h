/* The output folder of a run, in the files and line formats of the origin:
 *
 *   cost_history/part-00000      one number a step, as Python writes a float
 *   accuracy_history/part-00000  the same
 *   metrics.jsonl                one JSON object a step, and one an evaluation
 *   metrics/part-00000           (precision, recall, F1) a class
 *   tests/part-00000             (prediction, label) of sampled test rows
 *   evaluation.json              what `drover evaluate --json` prints
 *
 * A step's line is with the system as soon as output_step returns, so a killed run keeps its
 * histories. The pictures are plot.h's.
 */
#ifndef DROVER_CLI_OUTPUT_H
#define DROVER_CLI_OUTPUT_H

#include <stdint.h>

#include "base/err.h"
#include "math/confusion.h"

#define OUTPUT_COST_HISTORY     "cost_history/part-00000"
#define OUTPUT_ACCURACY_HISTORY "accuracy_history/part-00000"
#define OUTPUT_STEPS            "metrics.jsonl"
#define OUTPUT_METRICS          "metrics/part-00000"
#define OUTPUT_TESTS            "tests/part-00000"
#define OUTPUT_EVALUATION       "evaluation.json"

/* For a run that goes on, before output_open: takes the evaluations of step `from` and later ones
 * out of metrics.jsonl, since they are done again; 0: none. Returns 0 or -1. */
int output_forget(const char *folder, uint32_t from, err_t *err);

/* A run's histories, open for appending. */
typedef struct output output_t;

/* Makes the folder and opens its histories. The lines of the first `steps_done` steps are kept and
 * those behind them, from before a resume, are cut off; a step without a line gets 'nan', and
 * *n_missing (may be NULL) says how many had none. 0 starts anew. Returns NULL with *err set. */
output_t *output_open(const char *folder, int steps_done, int *n_missing, err_t *err);

/* Appends the next step's line to the histories; `metrics` is that of metrics.jsonl, with its
 * newline. Returns 0 or -1. */
int output_step(output_t *self, double cost, double accuracy, const char *metrics, err_t *err);

/* Appends an evaluation's line to metrics.jsonl. Returns 0 or -1. */
int output_evaluation(output_t *self, const char *metrics, err_t *err);

/* Closes the histories. */
void output_close(output_t **self_p);

/* Writes metrics: a line for each of n classes. Returns 0 or -1. */
int output_write_metrics(const char *folder, const confusion_class_t *classes, int n, err_t *err);

/* Writes tests: a line for each of n rows. Returns 0 or -1. */
int output_write_tests(const char *folder, const uint8_t *predictions, const uint8_t *labels, int n,
                       err_t *err);

/* Writes evaluation.json. Returns 0 or -1. */
int output_write_evaluation(const char *folder, const char *json, err_t *err);

/* Reads a file of one number a line; the caller frees *values. `path` is named in errors, with the
 * line of what is not a number; an incomplete last line is left out. Returns how many, or -1. */
int output_read_history(const char *path, double **values, err_t *err);

#endif
