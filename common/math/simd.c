/* See simd.h. */
#include "math/simd.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

simd_path_t simd_cpu(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
                       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                       __builtin_cpu_supports("avx512vl")
                   ? SIMD_AVX512
                   : SIMD_AVX2;
#endif
    return SIMD_C;
}

static simd_path_t s_choose(void)
{
    static const char *const names[] = {
        [SIMD_C] = "c", [SIMD_AVX2] = "avx2", [SIMD_AVX512] = "avx512"};
    simd_path_t path = simd_cpu();
    const char *wanted = getenv("DROVER_SIMD");
    for (int i = 0; wanted && i < (int)path; i++)
        if (strcmp(wanted, names[i]) == 0)
            return (simd_path_t)i;
    return path;
}

static _Atomic int s_path = -1;

simd_path_t simd_path(void)
{
    int path = atomic_load_explicit(&s_path, memory_order_relaxed);
    if (path < 0) {
        path = s_choose(); /* the same whoever chooses */
        atomic_store_explicit(&s_path, path, memory_order_relaxed);
    }
    return (simd_path_t)path;
}

simd_path_t simd_limit(simd_path_t most)
{
    simd_path_t best = simd_cpu();
    simd_path_t path = most < best ? most : best;
    atomic_store_explicit(&s_path, (int)path, memory_order_relaxed);
    return path;
}
