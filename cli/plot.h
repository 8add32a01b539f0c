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

#define PLOT_DIGITS 15 /* most that digits.png shows */

/* Write the scripts cost_history.gp and accuracy_history.gp from a value for each of n steps; NaN
 * is a gap. Return 0, or -1, also when there is not a single value. */
int plot_cost_history(const char *folder, const double *costs, int n, err_t *err);
int plot_accuracy_history(const char *folder, const double *accuracies, int n, err_t *err);

/* Writes confusion.gp from counts (n_classes, n_classes), rows = truth. Returns 0 or -1. */
int plot_confusion(const char *folder, const uint32_t *counts, int n_classes, err_t *err);

/* Writes digits.gp from n images (n, height, width) of bytes, 0 = black, with what was predicted
 * and what is true; at most PLOT_DIGITS are shown. Returns 0 or -1. */
int plot_digits(const char *folder, const uint8_t *images, size_t height, size_t width,
                const uint8_t *predictions, const uint8_t *labels, int n, err_t *err);

/* Draws every folder/plots/NAME.gp as folder/NAME.png with gnuplot. Returns how many (0 when there
 * is none), or -1 with *err naming the script and gnuplot's first complaint, or that gnuplot is
 * missing. */
int plot_render(const char *folder, err_t *err);

#endif
