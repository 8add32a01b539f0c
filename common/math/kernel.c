/* See kernel.h. */
#include "math/kernel.h"

#include <stdio.h>
#include <string.h>

#include "math/blas.h"
#include "math/simd.h"

#define DENSE_PREFIX "dense/"

/* Where both take the same time (docs/benchmarks.md), less a margin. */
#define MOST_DENSITY 0.5

kernel_t kernel_of(const char *name)
{
    return strcmp(name, KERNEL_NAME_SPARSE) == 0 ? KERNEL_SPARSE : KERNEL_DENSE;
}

/* The core type of a dense kernel; NULL for other names. */
static const char *s_core(const char *name)
{
    size_t n = strlen(DENSE_PREFIX);
    return strncmp(name, DENSE_PREFIX, n) == 0 ? name + n : NULL;
}

bool kernel_can_run(const char *name)
{
    const char *core = s_core(name);
    return kernel_of(name) == KERNEL_SPARSE || (core && blas_can_run(simd_cpu(), core));
}

int kernel_open(const char *name, err_t *err)
{
    return kernel_of(name) == KERNEL_SPARSE ? 0 : blas_open(s_core(name), err);
}

int kernel_default(char *name, size_t size, err_t *err)
{
    const char *core = blas_default_core(err);
    if (!core)
        return -1;
    (void)snprintf(name, size, DENSE_PREFIX "%s", core);
    return 0;
}

bool kernel_sparse_pays(double density)
{
    return density < MOST_DENSITY;
}
