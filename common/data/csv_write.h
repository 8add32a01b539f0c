/* Data sets as text in the origin's form: one image a line, numbers separated by spaces, and
 * one-hot labels. csv.h reads them back to the same bytes. */
#ifndef DROVER_DATA_CSV_WRITE_H
#define DROVER_DATA_CSV_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Writes images (n_rows, n_inputs) atomically, bytes as whole numbers. Returns 0 or -1. */
int csv_write_images(const char *path, const uint8_t *images, size_t n_rows, size_t n_inputs,
                     err_t *err);

/* Writes labels (n_rows), each below n_columns, atomically; n_columns is at least 2, since a single
 * column would be read as the labels themselves. Returns 0 or -1. */
int csv_write_labels(const char *path, const uint8_t *labels, size_t n_rows, size_t n_columns,
                     err_t *err);

#endif
