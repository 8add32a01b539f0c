/* A model's forward pass over a whole data set: cost, predictions and confusion. */
#ifndef DROVER_CLI_EVALUATE_H
#define DROVER_CLI_EVALUATE_H

#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "data/dataset.h"
#include "math/model.h"
#include "parameter_server/checkpoint.h"

#define EVALUATE_MAX_CLASSES 256 /* labels are bytes */

typedef struct {
    uint32_t n_rows;
    uint32_t n_classes;
    uint32_t n_wrong;
    double cost;          /* the loss, the mean over the rows */
    double accuracy;      /* part of the rows whose largest output is the label's */
    uint32_t *confusion;  /* owned, (classes, classes), rows = truth */
    uint8_t *predictions; /* owned, (rows) */
    float
        *margins; /* owned, (rows): the prediction's output less the label's; 0 where it is right */
} evaluation_t;

/* Evaluates params(P) on all rows by the sparse kernel, whatever that of the training was. Returns
 * 0, or -1 with *err set when the data do not fit the network; *out is then empty. */
int evaluate(const model_t *model, const float *params, const dataset_t *dataset, evaluation_t *out,
             err_t *err);
void evaluation_clear(evaluation_t *self);

/* The n rows to show of a run with this seed, each once as long as there are enough; the same for
 * the same seed and number of rows. */
void evaluate_pick(uint64_t seed, uint32_t n_rows, int n, uint32_t *rows);

/* The at most n rows that were taken for another class with the largest margins, the largest first
 * and the first of equals; `labels` are the data set's. Returns how many. */
int evaluate_mistakes(const evaluation_t *self, const uint8_t *labels, int n, uint32_t *rows);

/* The measures as a table for people. */
void evaluation_print(const evaluation_t *self, FILE *out);

/* One object and a newline: rows, cost, accuracy, confusion, classes[{precision, recall, f1,
 * support}], macro and weighted {precision, recall, f1}. */
void evaluation_print_json(const evaluation_t *self, FILE *out);

/* Reads a model for the commands that use one. `path` is a file or the output folder of a run,
 * where it means model.safetensors. The caller frees *params. Returns 0 or -1. */
int evaluate_read_model(const char *path, checkpoint_info_t *info, float **params, err_t *err);

#endif
