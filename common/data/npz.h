/* NumPy's .npz: a zip of arrays, as numpy.savez and savez_compressed write it. libzip is used here
 * only.
 *
 * Arrays are float32 or float64 ('<f4', '<f8', rounded to float32), row-major or Fortran's order,
 * up to SAFETENSORS_MAX_DIMS dimensions; everything else is refused with a reason. The format:
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
#ifndef DROVER_DATA_NPZ_H
#define DROVER_DATA_NPZ_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "data/safetensors.h"

/* Do the bytes begin as a zip does? */
bool npz_is(const void *bytes, size_t size);

/* The arrays of a file in memory as tensors of their names, without ".npy"; `name` stands for the
 * path in errors. NULL with *err set. */
safetensors_t *npz_parse(const char *name, const void *bytes, size_t size, err_t *err);

#endif
