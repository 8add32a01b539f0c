/* Rows of a data set, gathered for a picture of them. */
#ifndef DROVER_CLI_SHOWN_H
#define DROVER_CLI_SHOWN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "cli/evaluate.h"
#include "cli/plot.h"
#include "data/dataset.h"

typedef struct {
    uint32_t rows[PLOT_DIGITS];
    uint8_t predictions[PLOT_DIGITS];
    uint8_t labels[PLOT_DIGITS];
    uint8_t *images; /* owned, (n, inputs) */
    size_t n_inputs;
    int n;
} shown_t;

/* Of n rows, at most PLOT_DIGITS, of an evaluated data set. Returns 0, or -1 without memory. */
int shown_rows(shown_t *self, const dataset_t *dataset, const evaluation_t *evaluation,
               const uint32_t *rows, int n, err_t *err);

/* Of the most confident mistakes, as many as there are and a picture takes. */
int shown_mistakes(shown_t *self, const dataset_t *dataset, const evaluation_t *evaluation,
                   err_t *err);

void shown_clear(shown_t *self);

/* The rows as square pictures, borrowed; false when no picture is square. */
bool shown_digits(const shown_t *self, plot_digits_t *digits);

#endif
