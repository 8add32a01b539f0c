/* Kernels: which code computes the products, and so which bits come out (docs/determinism.md).
 *
 * "dense/CORE" takes OpenBLAS's products of that core type (blas.h), "sparse" our own (fma.h), the
 * same on every CPU.
 */
#ifndef DROVER_MATH_KERNEL_H
#define DROVER_MATH_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define KERNEL_NAME_SPARSE "sparse"

typedef enum {
    KERNEL_DENSE,
    KERNEL_SPARSE,
} kernel_t;

/* The kind of a kernel's name. */
kernel_t kernel_of(const char *name);

/* Can this machine compute by the kernel of that name? */
bool kernel_can_run(const char *name);

/* Makes the kernel that kernel_can_run usable, in this process and for all of its life: only one
 * core type is. Returns 0, or -1 with *err. */
int kernel_open(const char *name, err_t *err);

/* The name of the dense kernel that this machine takes when it may choose. Returns 0, or -1 with
 * *err. */
int kernel_default(char *name, size_t size, err_t *err);

/* Is the sparse kernel the faster one for data of which so large a part is not zero? */
bool kernel_sparse_pays(double density);

#endif
