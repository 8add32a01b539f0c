/* IDX, the format of MNIST: a big-endian magic, the dimensions, then unsigned bytes. */
#ifndef DROVER_DATA_IDX_H
#define DROVER_DATA_IDX_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "data/gzstream.h"
#include "data/rows.h"

/* Reads a whole file of images (rows x height x width) or of labels (rows), from its first byte,
 * into *rows, which is empty. max_rows > 0 keeps only the first max_rows; the rest of the file is
 * checked all the same. Memory grows with the bytes that are there, not with the counts that the
 * header claims. Returns 0 or -1: wrong magic, no rows, absurd dimensions, too few or too many
 * bytes. */
int idx_read_images(gzstream_t *in, size_t max_rows, rows_t *rows, err_t *err);
int idx_read_labels(gzstream_t *in, size_t max_rows, rows_t *rows, err_t *err);

/* Writes a plain IDX file atomically; images is (n_rows, height, width). Returns 0 or -1. */
int idx_write_images(const char *path, const uint8_t *images, size_t n_rows, size_t height,
                     size_t width, err_t *err);
int idx_write_labels(const char *path, const uint8_t *labels, size_t n_rows, err_t *err);

#endif
