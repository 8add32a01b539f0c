/* One loop, three instruction sets, the same bits.
 *
 * SIMD_VARIANTS(void, name, (declared arguments), (arguments)) defines `name` (`static void` for a
 * file-local one) from a static inline `name_body`: compiled for AVX-512, AVX2 and the base
 * instruction set, chosen once at run time. The bodies only use operations whose IEEE result does
 * not depend on the vector width, and contraction to FMA is off, so the choice does not show in the
 * bits (tests/unit/test_math.c).
 */
#ifndef DROVER_MATH_SIMD_H
#define DROVER_MATH_SIMD_H

typedef enum {
    SIMD_C,
    SIMD_AVX2,   /* and FMA */
    SIMD_AVX512, /* F, CD, BW, DQ, VL */
} simd_path_t;

/* The best that the CPU has. */
simd_path_t simd_cpu(void);

/* The one that loops take: the best that the CPU has, or, for tests, what DROVER_SIMD (c, avx2,
 * avx512) says, if it has it.
 */
simd_path_t simd_path(void);

/* For tests: from now on at most this one. Returns what is taken. */
simd_path_t simd_limit(simd_path_t most);

#define SIMD_BODY static inline __attribute__((always_inline))

#if defined(__x86_64__)
#if defined(__clang__) /* knows no vector width as a target */
#define SIMD_AVX512_TARGET "avx512f"
#else
#define SIMD_AVX512_TARGET "avx512f,prefer-vector-width=512"
#endif
#define SIMD_VARIANTS(linkage, name, declared, arguments)                                          \
    __attribute__((target(SIMD_AVX512_TARGET))) static void name##_avx512 declared                 \
    {                                                                                              \
        name##_body arguments;                                                                     \
    }                                                                                              \
    __attribute__((target("avx2"))) static void name##_avx2 declared                               \
    {                                                                                              \
        name##_body arguments;                                                                     \
    }                                                                                              \
    static void name##_base declared                                                               \
    {                                                                                              \
        name##_body arguments;                                                                     \
    }                                                                                              \
    linkage name declared                                                                          \
    {                                                                                              \
        if (simd_path() == SIMD_AVX512)                                                            \
            name##_avx512 arguments;                                                               \
        else if (simd_path() == SIMD_AVX2)                                                         \
            name##_avx2 arguments;                                                                 \
        else                                                                                       \
            name##_base arguments;                                                                 \
    }
#else
#define SIMD_VARIANTS(linkage, name, declared, arguments)                                          \
    linkage name declared                                                                          \
    {                                                                                              \
        name##_body arguments;                                                                     \
    }
#endif

#endif
