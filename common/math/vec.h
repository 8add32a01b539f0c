/* Elementwise float vectors. Same bits on every CPU: no reassociation, no FMA. */
#ifndef DROVER_MATH_VEC_H
#define DROVER_MATH_VEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* a += b; both (n). */
void vec_add(float *a, const float *b, size_t n);

/* out = w - scale * g; all (n). out may be w. */
void vec_descend(float *out, const float *w, const float *g, float scale, size_t n);

/* out[i] = the float nearest bytes[i] / 255. */
void vec_from_bytes(float *out, const uint8_t *bytes, size_t n);

/* any |= bytes; both (n). */
void vec_or_bytes(uint8_t *any, const uint8_t *bytes, size_t n);

/* a(n_rows, n_cols)[r][c] += b(n_cols)[c]. */
void vec_add_to_rows(float *a, const float *b, size_t n_rows, size_t n_cols);

/* out = a * b; all (n). out may be a. */
void vec_multiply(float *out, const float *a, const float *b, size_t n);

/* out(n_cols)[c] = sum over r, in order of r, of a(n_rows, n_cols)[r][c]. */
void vec_sum_rows(float *out, const float *a, size_t n_rows, size_t n_cols);

/* No NaN and no infinity among the n values? */
bool vec_all_finite(const float *a, size_t n);

#endif
