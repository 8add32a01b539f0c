/* Synthetic handwritten digits, shaped like MNIST: 28 x 28 bytes, white strokes on black.
 *
 * A row's label and pixels are a function of (seed, row) alone, the same on every machine: only
 * integers and + - * / sqrt of doubles are used, never libm's sin or exp. Ten rows from a multiple
 * of ten on hold each digit once.
 */
#ifndef DROVER_DATA_SYNTH_H
#define DROVER_DATA_SYNTH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SYNTH_SIDE   28
#define SYNTH_PIXELS (SYNTH_SIDE * SYNTH_SIDE)

/* The rows of a test set begin here, so that no training set overlaps them. */
#define SYNTH_TEST_ROW ((uint64_t)1 << 40)

/* Draws rows [first_row, first_row + n_rows) into images (n_rows, SYNTH_PIXELS) and labels
 * (n_rows). */
void synth_draw(uint64_t seed, uint64_t first_row, size_t n_rows, uint8_t *images, uint8_t *labels);

/* Writes the four MNIST-named IDX files into `folder`, which is made if need be. Returns 0 or -1.
 */
int synth_write_folder(const char *folder, size_t n_train_rows, size_t n_test_rows, uint64_t seed,
                       err_t *err);

#endif
