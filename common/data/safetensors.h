/* The safetensors format: named float32 tensors and a table of texts, in one file.
 *
 * The same content gives the same bytes: tensors and texts are sorted by name, the JSON header is
 * compact and padded with spaces so that the data begin at a multiple of 8. The reader takes any
 * file of the format that holds F32 tensors only, and refuses every other with a reason. jansson is
 * used here only.
 */
#ifndef DROVER_DATA_SAFETENSORS_H
#define DROVER_DATA_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SAFETENSORS_MAX_DIMS         8
#define SAFETENSORS_MAX_TENSORS      10000
#define SAFETENSORS_MAX_HEADER_BYTES ((size_t)16 << 20)

typedef struct safetensors safetensors_t;

/* An empty one, to be filled and written. Never NULL. */
safetensors_t *safetensors_new(void);
void safetensors_destroy(safetensors_t **self_p);

/* Sets the text `key` of the metadata, both copied; a second call replaces the first one's. Both
 * must be UTF-8, or safetensors_write fails. */
void safetensors_set_meta(safetensors_t *self, const char *key, const char *value);

/* Adds a tensor, row-major, whose data are borrowed until the last safetensors_write. The name is
 * not taken yet and not "__metadata__"; n_dims is 0 (a scalar) to SAFETENSORS_MAX_DIMS. */
void safetensors_add(safetensors_t *self, const char *name, const size_t *shape, size_t n_dims,
                     const float *data);

/* The same with data from malloc that the file takes over. */
void safetensors_add_owned(safetensors_t *self, const char *name, const size_t *shape,
                           size_t n_dims, float **data_p);

/* Writes the file atomically. Returns 0 or -1. */
int safetensors_write(const safetensors_t *self, const char *path, err_t *err);

/* Reads a file; NULL with *err set when it is damaged or holds anything but F32. */
safetensors_t *safetensors_read(const char *path, err_t *err);

/* As safetensors_read, from memory; `name` stands for the path in errors. */
safetensors_t *safetensors_parse(const char *name, const void *bytes, size_t size, err_t *err);

/* The text `key` of the metadata, borrowed; NULL when there is none. */
const char *safetensors_meta(const safetensors_t *self, const char *key);

/* The data of a tensor, borrowed, and its shape; NULL when there is none of this name. n_dims and
 * shape may be NULL; *shape is borrowed. */
const float *safetensors_tensor(const safetensors_t *self, const char *name, size_t *n_dims,
                                const size_t **shape);

/* The tensors by number, from 0, in order of their names. */
size_t safetensors_count(const safetensors_t *self);
const char *safetensors_name(const safetensors_t *self, size_t index);

#endif
