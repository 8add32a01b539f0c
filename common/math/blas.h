/* Matrix products by OpenBLAS, single-threaded, with a core type that is chosen and not guessed.
 *
 * OpenBLAS 0.3.21 does not know recent CPUs: it then falls back to SSE3 kernels that are 5 times
 * slower; and what it guesses differs between CPUs that could all run the same kernel, so that
 * their bits differ. So the library is opened at run time, after OPENBLAS_CORETYPE has been set to
 * the best type that the CPU supports (docs/determinism.md says why not by re-execution).
 */
#ifndef DROVER_MATH_BLAS_H
#define DROVER_MATH_BLAS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "math/simd.h"

/* The core type to ask for on such a CPU: "SkylakeX", "Haswell", or NULL to let OpenBLAS choose. */
const char *blas_best_core(simd_path_t cpu);

/* Can such a CPU run the kernels of this core type (as openblas_get_corename() names it)? */
bool blas_can_run(simd_path_t cpu, const char *core);

/* The core type that blas_open(NULL) gives: known without opening the library unless the choice is
 * OpenBLAS's own, as it also is for a name that is not one of its core types. NULL with *err when
 * it cannot be opened. */
const char *blas_default_core(err_t *err);

/* Opens OpenBLAS with the core type `core`, or, when NULL, with the user's OPENBLAS_CORETYPE, or,
 * without one, with the best of this CPU. Before any other function below, from one thread; once it
 * has succeeded, later calls only check that the core type is the wanted one. Returns 0, or -1 with
 * *err saying what is there and what was wanted. */
int blas_open(const char *core, err_t *err);

/* The core type in use, as OpenBLAS names it; NULL before blas_open. */
const char *blas_core(void);

/* C(m,n) = op(A)(m,k) op(B)(k,n), all row-major; op transposes when the flag is set. lda, ldb, ldc
 * are the stored matrices' row lengths. Callable from many threads at once; the same shape and core
 * type give the same bits. */
void blas_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, const float *a,
               size_t lda, const float *b, size_t ldb, float *c, size_t ldc);

#endif
