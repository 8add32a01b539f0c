/* See shown.h. */
#include "cli/shown.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int shown_rows(shown_t *self, const dataset_t *dataset, const evaluation_t *evaluation,
               const uint32_t *rows, int n, err_t *err)
{
    assert(n <= PLOT_DIGITS);
    memset(self, 0, sizeof(*self));
    self->n = n;
    self->n_inputs = dataset_inputs(dataset);
    self->images = malloc((size_t)n * self->n_inputs + 1);
    if (!self->images)
        return err_set(err, "out of memory");
    for (int i = 0; i < n; i++) {
        self->rows[i] = rows[i];
        self->predictions[i] = evaluation->predictions[rows[i]];
        self->labels[i] = dataset_labels(dataset)[rows[i]];
        memcpy(self->images + (size_t)i * self->n_inputs,
               dataset_images(dataset) + rows[i] * self->n_inputs, self->n_inputs);
    }
    return 0;
}

int shown_mistakes(shown_t *self, const dataset_t *dataset, const evaluation_t *evaluation,
                   err_t *err)
{
    uint32_t rows[PLOT_DIGITS];
    int n = evaluate_mistakes(evaluation, dataset_labels(dataset), PLOT_DIGITS, rows);
    return shown_rows(self, dataset, evaluation, rows, n, err);
}

void shown_clear(shown_t *self)
{
    free(self->images);
    memset(self, 0, sizeof(*self));
}

bool shown_digits(const shown_t *self, plot_digits_t *digits)
{
    size_t side = (size_t)lround(sqrt((double)self->n_inputs));
    *digits = (plot_digits_t){.images = self->images,
                              .height = side,
                              .width = side,
                              .predictions = self->predictions,
                              .labels = self->labels,
                              .rows = self->rows,
                              .n = self->n};
    return side * side == self->n_inputs;
}
