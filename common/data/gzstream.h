/* A stream of bytes from a plain or a gzipped file, told apart by the gzip magic 1f 8b.
 *
 * The end of the data is reported only when it is certain: a gzip file must hold whole members
 * with the right checksums and lengths and nothing behind the last one. ISA-L is used here only.
 */
#ifndef DROVER_DATA_GZSTREAM_H
#define DROVER_DATA_GZSTREAM_H

#include <stddef.h>

#include "base/err.h"

typedef struct gzstream gzstream_t;

/* Opens the file; NULL with *err set when it cannot be read. Every text of the stream begins with
 * the path. */
gzstream_t *gzstream_open(const char *path, err_t *err);

/* As gzstream_open, over `size` bytes in memory, which are borrowed until gzstream_destroy; `name`
 * (copied) stands for the path. */
gzstream_t *gzstream_open_memory(const char *name, const void *bytes, size_t size, err_t *err);

void gzstream_destroy(gzstream_t **self_p);

/* Reads `size` bytes; *n_read < size only at the end of the data. Returns 0, or -1 when reading
 * fails or the gzip data are truncated, corrupt, or followed by other bytes. */
int gzstream_read(gzstream_t *self, void *buffer, size_t size, size_t *n_read, err_t *err);

/* As gzstream_read for up to GZSTREAM_PEEK bytes, which stay in the stream. */
#define GZSTREAM_PEEK 64
int gzstream_peek(gzstream_t *self, void *buffer, size_t size, size_t *n_read, err_t *err);

/* The path that it was opened with; borrowed. */
const char *gzstream_path(const gzstream_t *self);

#endif
