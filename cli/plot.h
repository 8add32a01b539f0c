/* The pictures of a run, drawn by gnuplot.
 *
 * Each picture NAME is a script folder/plots/NAME.gp with its data inside, which users may edit;
 * plot_render turns every script into folder/NAME.png.
 */
#ifndef DROVER_CLI_PLOT_H
#define DROVER_CLI_PLOT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define PLOT_DIGITS 15 /* most images that a picture shows */

/* Write the scripts cost_history.gp and accuracy_history.gp from a value for each of n steps; NaN
 * is a gap. Return 0, or -1, also when there is not a single value. */
int plot_cost_history(const char *folder, const double *costs, int n, err_t *err);
int plot_accuracy_history(const char *folder, const double *accuracies, int n, err_t *err);

/* Writes confusion.gp from counts (n_classes, n_classes), rows = truth. Returns 0 or -1. */
int plot_confusion(const char *folder, const uint32_t *counts, int n_classes, err_t *err);

/* Images with what was predicted and what is true; at most PLOT_DIGITS are shown. All borrowed. */
typedef struct {
    const uint8_t *images; /* (n, height, width), 0 = black */
    size_t height, width;
    const uint8_t *predictions; /* (n) */
    const uint8_t *labels;      /* (n) */
    const uint32_t *rows;       /* (n) their numbers in the data set, for mistakes */
    int n;
} plot_digits_t;

/* Writes digits.gp. Returns 0 or -1. */
int plot_digits(const char *folder, const plot_digits_t *digits, err_t *err);

/* Writes mistakes.gp, whose title says how many of how many rows are wrong. Returns 0 or -1. */
int plot_mistakes(const char *folder, const plot_digits_t *digits, uint32_t n_wrong,
                  uint32_t n_rows, err_t *err);

/* Draws the same as the file `picture`, without a script. Returns 0, or -1 as plot_render does. */
int plot_mistakes_picture(const char *picture, const plot_digits_t *digits, uint32_t n_wrong,
                          uint32_t n_rows, err_t *err);

/* Draws every folder/plots/NAME.gp as folder/NAME.png with gnuplot. Returns how many (0 when there
 * is none), or -1 with *err naming the script and gnuplot's first complaint, or that gnuplot is
 * missing. */
int plot_render(const char *folder, err_t *err);

#endif
