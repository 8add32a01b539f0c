/* Text, a line at a time, out of a stream. */
#ifndef DROVER_DATA_LINES_H
#define DROVER_DATA_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "data/gzstream.h"

typedef struct lines lines_t;

/* Begins with the stream's next byte; the stream is borrowed. */
lines_t *lines_new(gzstream_t *in);
void lines_destroy(lines_t **self_p);

/* The next line that is not blank: [*text, *end) is borrowed until the next call, without its line
 * end and the blanks around it. *text is NULL at the end of the data. A blank line in front of a
 * line that is not is an error, as is a line of more than LINES_MAX_BYTES. Returns 0 or -1. */
#define LINES_MAX_BYTES ((size_t)32 << 20)
int lines_next(lines_t *self, const char **text, const char **end, err_t *err);

/* The number of the line that lines_next gave last, from 1. */
size_t lines_number(const lines_t *self);

#endif
