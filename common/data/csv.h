/* Text files of images and labels.
 *
 * One image a line, its pixels separated by spaces (the form of numpy.savetxt) or by commas. A
 * comma-separated file may have the label in front of the pixels, and a header line of words.
 * Labels are one whole number a line, or one-hot: as many columns as classes, exactly one of
 * them 1. Lines may end in CRLF, and blank lines may stand at the end of the file.
 *
 * Pixels become bytes without loss or the file is refused. It is either of
 * - bytes: whole numbers from 0 to 255 (`255`, `2.55e+02`), or
 * - scaled: at least one value with a fraction, all from 0 to 1, and each within CSV_TOLERANCE of
 *   b/255 for a byte b.
 * A file with no value but 0 and 1 is scaled if it writes some 1 with a point or an exponent
 * (`1.0`: white is 255), and bytes otherwise, which is what `drover data to-csv` writes.
 */
#ifndef DROVER_DATA_CSV_H
#define DROVER_DATA_CSV_H

#include <stddef.h>

#include "base/err.h"
#include "data/gzstream.h"
#include "data/rows.h"

/* Four printed decimals are enough; three are not. */
#define CSV_TOLERANCE 1e-4

/* Reads a whole file of images into *images, which is empty. With `labels` (empty too) the file
 * must be comma-separated and its first column is the label; NULL when all columns are pixels.
 * max_rows > 0 keeps only the first max_rows; the rest of the file is checked all the same. Returns
 * 0, or -1 with the file, line and column, the value seen and what was expected. */
int csv_read_images(gzstream_t *in, size_t max_rows, rows_t *images, rows_t *labels, err_t *err);

/* Reads a whole file of labels into *rows, which is empty. Returns as csv_read_images. */
int csv_read_labels(gzstream_t *in, size_t max_rows, rows_t *rows, err_t *err);

#endif
