/* What the files of the instruction sets give to digest.c. */
#ifndef DROVER_MATH_DIGEST_TABLE_H
#define DROVER_MATH_DIGEST_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "math/digest.h"

typedef struct {
    uint64_t (*bytes)(const void *bytes, size_t size);
    uint64_t (*pieces)(digest_piece_t *piece, void *context, size_t n);
    uint64_t (*floats)(const float *a, size_t n, bool *finite);
    uint64_t (*add)(float *a, const float *held, size_t n, bool *finite);
    uint64_t (*descend)(float *out, const float *w, const float *g, float scale, size_t n,
                        bool *finite);
} digest_table_t;

extern const digest_table_t digest_table_c;
#if defined(__x86_64__)
extern const digest_table_t digest_table_avx2;
#endif

#endif
