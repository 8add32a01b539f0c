/* An immutable data set: rows of bytes with a class label each.
 *
 * Bytes stay bytes; a byte b enters a network as the float nearest b/255 (math/model.h). The same
 * images and labels give the same digest, whichever file format they came in.
 */
#ifndef DROVER_DATA_DATASET_H
#define DROVER_DATA_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DATASET_DIGEST_HEX 33 /* 32 hex digits and the '\0' */

typedef struct dataset dataset_t;

/* Takes ownership of *images (n_rows x n_inputs bytes, row-major) and *labels (n_rows bytes), both
 * from malloc, and nulls them. n_rows and n_inputs are at least 1. Never NULL. */
dataset_t *dataset_new(uint8_t **images, uint8_t **labels, size_t n_rows, size_t n_inputs);

/* The same data set, which now has one owner more and goes with the last one's dataset_destroy.
 * Both from any thread. */
dataset_t *dataset_share(const dataset_t *self);
void dataset_destroy(dataset_t **self_p);

/* Loads images and labels; each file is IDX or CSV, plain or gzipped, told by its contents.
 * labels_path may be NULL when images_path is a CSV whose first column is the label.
 * max_rows > 0 keeps only the first max_rows rows. Returns NULL with *err set. */
dataset_t *dataset_load(const char *images_path, const char *labels_path, size_t max_rows,
                        err_t *err);

/* Loads images alone, IDX or CSV without labels, as dataset_load does. The caller frees *images,
 * (*n_rows, *n_inputs). Returns 0 or -1. */
int dataset_load_images(const char *path, size_t max_rows, uint8_t **images, size_t *n_rows,
                        size_t *n_inputs, err_t *err);

/* Moves the rows with held(rows) 1, some of them and not all, to a data set of their own, in their
 * order. Both keep the digest of the whole: it names the data, and not which part. Never NULL. */
dataset_t *dataset_cut(dataset_t *self, const uint8_t *held);

size_t dataset_rows(const dataset_t *self);
size_t dataset_inputs(const dataset_t *self);         /* bytes a row */
size_t dataset_classes(const dataset_t *self);        /* largest label + 1 */
double dataset_density(const dataset_t *self);        /* part of the bytes that is not zero */
const uint8_t *dataset_images(const dataset_t *self); /* borrowed, (rows, inputs) */
const uint8_t *dataset_labels(const dataset_t *self); /* borrowed, (rows) */

/* XXH3-128 over rows, inputs, images and labels, as hex; the identity that a worker is held to. */
const char *dataset_digest(const dataset_t *self);

/* The four files of a data folder, or four files given by role; owned strings, NULL when absent. */
typedef struct {
    char *train_images;
    char *train_labels;
    char *test_images;
    char *test_labels;
} data_files_t;

/* Finds the four files in `folder`: MNIST's IDX names (train-images-idx3-ubyte, and t10k-...; also
 * with '.' for '-' before idx) or the names that `drover data to-csv` writes (train_images.csv,
 * ...), plain or .gz; all four of one kind. *files is cleared first. Returns 0, or -1 with *err
 * naming the folder and the first name that is missing. */
int data_files_find(const char *folder, data_files_t *files, err_t *err);
void data_files_clear(data_files_t *files);

#endif
