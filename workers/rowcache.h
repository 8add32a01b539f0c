/* The rows that a worker has, and which to fetch next. Pure: time comes as an argument.
 *
 * Rows are fetched in chunks, with so many requests under way at once and no more (credit): the
 * server never has more to send than a worker asked for. Bytes of a row that was stored do not
 * change or move, so compute threads read them while further rows arrive.
 */
#ifndef DROVER_WORKERS_ROWCACHE_H
#define DROVER_WORKERS_ROWCACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/dataset.h"

typedef struct rowcache rowcache_t;

/* For n_rows rows of n_inputs bytes, none of them there; memory is used as rows arrive. NULL when
 * there cannot be so much. */
rowcache_t *rowcache_new(uint32_t n_rows, uint32_t n_inputs);

/* All rows there: those of a data set that is borrowed for the cache's life. */
rowcache_t *rowcache_of(const dataset_t *data, uint32_t n_rows);
void rowcache_destroy(rowcache_t **self_p);

/* Are all rows [first, end) there? */
bool rowcache_has(const rowcache_t *self, uint32_t first, uint32_t end);

/* Rows [first, end) will be needed. */
void rowcache_want(rowcache_t *self, uint32_t first, uint32_t end);

/* A request to send now: wanted rows, while there is credit, and those that were asked for so long
 * ago that the answer must have been lost. False when there is nothing to ask. */
bool rowcache_next(rowcache_t *self, int64_t now_ms, uint32_t *first, uint32_t *n_rows);

/* Rows arrived: images is (n_rows, n_inputs), labels (n_rows), both copied. False when they are not
 * a chunk that was asked for, or not image_bytes long, or a label is not below n_classes. */
bool rowcache_store(rowcache_t *self, uint32_t first, uint32_t n_rows, const uint8_t *images,
                    size_t image_bytes, const uint8_t *labels, uint32_t n_classes);

/* Was a request lost, or nobody answered it, and none since? */
bool rowcache_stuck(const rowcache_t *self);

/* The whole (n_rows, n_inputs) and (n_rows), borrowed; only rows that are there may be read. */
const uint8_t *rowcache_images(const rowcache_t *self);
const uint8_t *rowcache_labels(const rowcache_t *self);

#endif
