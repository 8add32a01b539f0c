/* Rows of bytes as a reader finds them: the rows that are kept and the count of all. */
#ifndef DROVER_DATA_ROWS_H
#define DROVER_DATA_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "base/follower.h"

/* No row may be longer, and no file may have more rows. */
#define ROWS_MAX_BYTES ((size_t)1 << 20)
#define ROWS_MAX       ((size_t)1 << 31)

/* A plain value; {0} is empty. Readers fill it, on failure too; the caller clears it. */
typedef struct {
    uint8_t *bytes;       /* owned, (n_kept, row_bytes) */
    size_t row_bytes;     /* 1 for labels */
    size_t n_kept;        /* rows in `bytes` */
    size_t n_in_file;     /* rows in the file; more than n_kept when the caller wanted fewer */
    size_t room_bytes;    /* allocated */
    size_t n_announced;   /* rows that there will be in `bytes`, where a reader knows it before */
    follower_t *follower; /* borrowed; of the bytes, by a reader that does not change them any more;
                             or NULL */
} rows_t;

/* Makes room for n_rows more rows of row_bytes; geometric growth. Returns 0, or -1 when memory is
 * out. */
int rows_reserve(rows_t *self, size_t n_rows);

/* n_rows more rows are there, as they will stay. */
void rows_keep(rows_t *self, size_t n_rows);

/* Has the system find memory for all room that there is, from its end on: for another thread than
 * the one that fills it, which need not wait for it then. */
void rows_populate(const rows_t *self);
void rows_clear(rows_t *self);

#endif
