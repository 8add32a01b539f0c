/* Shared libraries that are opened when they are first needed. To link one costs every command its
 * start, with all the libraries that it is built on itself (docs/benchmarks.md).
 */
#ifndef DROVER_BASE_LIBRARY_H
#define DROVER_BASE_LIBRARY_H

#include <stddef.h>

#include "base/err.h"

typedef struct {
    const char *name;
    void *place; /* of a pointer to such a function */
} library_function_t;

/* Opens `file`, as in "libcurl.so.4", and fills the places of n functions. It stays open. Returns
 * 0, or -1 with *err, which calls it `what`; the places are then of no use. */
int library_open(const char *what, const char *file, const library_function_t *functions, size_t n,
                 err_t *err);

#endif
