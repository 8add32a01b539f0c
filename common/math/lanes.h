/* 16 floats at a time, by the widest instructions that the including file is compiled for.
 *
 * LANES_512, LANES_256 or neither, which is plain C. Every operation is one correctly rounded IEEE
 * operation a lane (an fma is one), so that code over lanes gives the same bits in all three.
 */
#ifndef DROVER_MATH_LANES_H
#define DROVER_MATH_LANES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES      16
#define LANES_BODY static inline __attribute__((always_inline))

#if defined(LANES_512)
#include <immintrin.h>

typedef __m512 lanes_t;
typedef __mmask16 lanes_mask_t;

LANES_BODY lanes_t lanes_zero(void)
{
    return _mm512_setzero_ps();
}

LANES_BODY lanes_t lanes_all(float x)
{
    return _mm512_set1_ps(x);
}

/* *p in all, by way of an integer register: vector loads, of which the CPU does one or two at a
 * time, are left to others. */
LANES_BODY lanes_t lanes_all_from(const float *p)
{
    uint32_t bits;
    memcpy(&bits, p, sizeof(bits));
    __asm__("" : "+r"(bits));
    return _mm512_castsi512_ps(_mm512_set1_epi32((int)bits));
}

LANES_BODY lanes_t lanes_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

LANES_BODY void lanes_store(float *p, lanes_t x)
{
    _mm512_storeu_ps(p, x);
}

/* The first n of 16 lanes. */
LANES_BODY lanes_mask_t lanes_first(size_t n)
{
    return (lanes_mask_t)((1u << n) - 1);
}

/* Lanes that the mask leaves out are zero, and their memory is not touched. */
LANES_BODY lanes_t lanes_load_some(const float *p, lanes_mask_t mask)
{
    return _mm512_maskz_loadu_ps(mask, p);
}

LANES_BODY void lanes_store_some(float *p, lanes_mask_t mask, lanes_t x)
{
    _mm512_mask_storeu_ps(p, mask, x);
}

/* a b + c, rounded once. */
LANES_BODY lanes_t lanes_fma(lanes_t a, lanes_t b, lanes_t c)
{
    return _mm512_fmadd_ps(a, b, c);
}

#elif defined(LANES_256)
#include <immintrin.h>

typedef struct {
    __m256 low, high;
} lanes_t;
typedef struct {
    __m256i low, high;
} lanes_mask_t;

LANES_BODY lanes_t lanes_zero(void)
{
    return (lanes_t){_mm256_setzero_ps(), _mm256_setzero_ps()};
}

LANES_BODY lanes_t lanes_all(float x)
{
    __m256 all = _mm256_set1_ps(x);
    return (lanes_t){all, all};
}

LANES_BODY lanes_t lanes_all_from(const float *p)
{
    uint32_t bits;
    memcpy(&bits, p, sizeof(bits));
    __asm__("" : "+r"(bits));
    __m256 all = _mm256_castsi256_ps(_mm256_set1_epi32((int)bits));
    return (lanes_t){all, all};
}

LANES_BODY lanes_t lanes_load(const float *p)
{
    return (lanes_t){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}

LANES_BODY void lanes_store(float *p, lanes_t x)
{
    _mm256_storeu_ps(p, x.low);
    _mm256_storeu_ps(p + 8, x.high);
}

LANES_BODY lanes_mask_t lanes_first(size_t n)
{
    const __m256i eight = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256i count = _mm256_set1_epi32((int)n);
    return (lanes_mask_t){
        _mm256_cmpgt_epi32(count, eight),
        _mm256_cmpgt_epi32(count, _mm256_add_epi32(eight, _mm256_set1_epi32(8))),
    };
}

LANES_BODY lanes_t lanes_load_some(const float *p, lanes_mask_t mask)
{
    return (lanes_t){_mm256_maskload_ps(p, mask.low), _mm256_maskload_ps(p + 8, mask.high)};
}

LANES_BODY void lanes_store_some(float *p, lanes_mask_t mask, lanes_t x)
{
    _mm256_maskstore_ps(p, mask.low, x.low);
    _mm256_maskstore_ps(p + 8, mask.high, x.high);
}

LANES_BODY lanes_t lanes_fma(lanes_t a, lanes_t b, lanes_t c)
{
    return (lanes_t){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}

#else
#include <math.h>

typedef struct {
    float lane[LANES];
} lanes_t;
typedef size_t lanes_mask_t; /* how many */

LANES_BODY lanes_t lanes_all(float x)
{
    lanes_t all;
    for (int i = 0; i < LANES; i++)
        all.lane[i] = x;
    return all;
}

LANES_BODY lanes_t lanes_all_from(const float *p)
{
    return lanes_all(*p);
}

LANES_BODY lanes_t lanes_zero(void)
{
    return lanes_all(0.0f);
}

LANES_BODY lanes_mask_t lanes_first(size_t n)
{
    return n;
}

LANES_BODY lanes_t lanes_load_some(const float *p, lanes_mask_t n)
{
    lanes_t x = lanes_zero();
    for (size_t i = 0; i < n; i++)
        x.lane[i] = p[i];
    return x;
}

LANES_BODY lanes_t lanes_load(const float *p)
{
    return lanes_load_some(p, LANES);
}

LANES_BODY void lanes_store_some(float *p, lanes_mask_t n, lanes_t x)
{
    for (size_t i = 0; i < n; i++)
        p[i] = x.lane[i];
}

LANES_BODY void lanes_store(float *p, lanes_t x)
{
    lanes_store_some(p, LANES, x);
}

LANES_BODY lanes_t lanes_fma(lanes_t a, lanes_t b, lanes_t c)
{
    for (int i = 0; i < LANES; i++)
        c.lane[i] = fmaf(a.lane[i], b.lane[i], c.lane[i]);
    return c;
}

#endif
#endif
