/* See window.h. */
#include "math/window.h"

#include <stdbool.h>
#include <string.h>

#include "math/simd.h"
#include "math/vec.h"

static size_t s_image_floats(const window_t *self)
{
    return (size_t)self->height * self->width * self->channels;
}

/* The part of a window's row that lies within the image: columns [*first, *end) of it, from image
 * column *x on. */
static void s_inside(const window_t *self, uint32_t column, uint32_t *first, uint32_t *end,
                     uint32_t *x)
{
    uint32_t left = column * self->stride; /* of the padded image */
    *first = left < self->padding ? self->padding - left : 0;
    *x = left + *first - self->padding;
    uint32_t room = self->padding + self->width - left;
    *end = room < self->size ? room : self->size;
    if (*end < *first)
        *end = *first;
}

/* Is row y of the padded image one of the image's? */
static bool s_is_row(const window_t *self, uint32_t y)
{
    return y >= self->padding && y < self->padding + self->height;
}

/* Few floats at a time: a call of memcpy would take longer than they do. */
static inline void s_copy(float *restrict to, const float *restrict from, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        memcpy(to + i, from + i, 8 * sizeof(float));
    for (; i < n; i++)
        to[i] = from[i];
}

static inline void s_zero(float *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = 0.0F;
}

static void s_gather_patch(const window_t *self, const float *image, uint32_t row, uint32_t column,
                           float *patch)
{
    uint32_t first, end, x, C = self->channels;
    s_inside(self, column, &first, &end, &x);
    for (uint32_t i = 0; i < self->size; i++, patch += (size_t)self->size * C) {
        uint32_t y = row * self->stride + i;
        if (!s_is_row(self, y)) {
            s_zero(patch, (size_t)self->size * C);
            continue;
        }
        const float *from = image + ((size_t)(y - self->padding) * self->width + x) * C;
        s_zero(patch, (size_t)first * C);
        s_copy(patch + (size_t)first * C, from, (size_t)(end - first) * C);
        s_zero(patch + (size_t)end * C, (size_t)(self->size - end) * C);
    }
}

void window_gather(const window_t *self, const float *images, size_t B, float *patches)
{
    size_t n = (size_t)self->size * self->size * self->channels;
    for (size_t b = 0; b < B; b++, images += s_image_floats(self))
        for (uint32_t row = 0; row < self->rows; row++)
            for (uint32_t column = 0; column < self->columns; column++, patches += n)
                s_gather_patch(self, images, row, column, patches);
}

static void s_scatter_patch(const window_t *self, const float *patch, uint32_t row, uint32_t column,
                            float *image)
{
    uint32_t first, end, x, C = self->channels;
    s_inside(self, column, &first, &end, &x);
    for (uint32_t i = 0; i < self->size; i++, patch += (size_t)self->size * C) {
        uint32_t y = row * self->stride + i;
        if (s_is_row(self, y))
            vec_add(image + ((size_t)(y - self->padding) * self->width + x) * C,
                    patch + (size_t)first * C, (size_t)(end - first) * C);
    }
}

void window_scatter(const window_t *self, const float *patches, size_t B, float *images)
{
    size_t n = (size_t)self->size * self->size * self->channels;
    memset(images, 0, B * s_image_floats(self) * sizeof(float));
    for (size_t b = 0; b < B; b++, images += s_image_floats(self))
        for (uint32_t row = 0; row < self->rows; row++)
            for (uint32_t column = 0; column < self->columns; column++, patches += n)
                s_scatter_patch(self, patches, row, column, images);
}

/* What a window's first element is at; those of the window at (row, column) follow from it. */
SIMD_BODY size_t s_corner(const window_t *self, uint32_t row, uint32_t column)
{
    return ((size_t)row * self->width + column) * self->stride * self->channels;
}

/* From the first element of a window to its element (i, j). */
SIMD_BODY size_t s_within(const window_t *self, uint32_t i, uint32_t j)
{
    return ((size_t)i * self->width + j) * self->channels;
}

/* out(C), which(C): the maxima of a window whose first element is at `from`. */
SIMD_BODY void s_max(const window_t *self, const float *restrict from, float *restrict out,
                     uint32_t *restrict which)
{
    uint32_t C = self->channels, at = 0;
    for (uint32_t i = 0; i < self->size; i++) {
        for (uint32_t j = 0; j < self->size; j++, at++) {
            const float *next = from + s_within(self, i, j);
            for (uint32_t c = 0; c < C; c++) {
                int more = at == 0 || next[c] > out[c];
                out[c] = more ? next[c] : out[c];
                which[c] = more ? at : which[c];
            }
        }
    }
}

SIMD_BODY void window_max_body(const window_t *self, const float *images, size_t B, float *out,
                               uint32_t *which)
{
    uint32_t C = self->channels;
    for (size_t b = 0; b < B; b++, images += s_image_floats(self))
        for (uint32_t row = 0; row < self->rows; row++)
            for (uint32_t column = 0; column < self->columns; column++, out += C, which += C)
                s_max(self, images + s_corner(self, row, column), out, which);
}
SIMD_VARIANTS(void, window_max,
              (const window_t *self, const float *images, size_t B, float *out, uint32_t *which),
              (self, images, B, out, which))

/* image += delta(C) where the maxima of a window were whose first element is at `image`. */
SIMD_BODY void s_give(const window_t *self, const float *restrict delta,
                      const uint32_t *restrict which, float *restrict image)
{
    uint32_t C = self->channels, at = 0;
    for (uint32_t i = 0; i < self->size; i++) {
        for (uint32_t j = 0; j < self->size; j++, at++) {
            float *to = image + s_within(self, i, j);
            for (uint32_t c = 0; c < C; c++)
                to[c] += which[c] == at ? delta[c] : 0.0F;
        }
    }
}

SIMD_BODY void window_max_scatter_body(const window_t *self, const float *delta,
                                       const uint32_t *which, size_t B, float *images)
{
    uint32_t C = self->channels;
    memset(images, 0, B * s_image_floats(self) * sizeof(float));
    for (size_t b = 0; b < B; b++, images += s_image_floats(self))
        for (uint32_t row = 0; row < self->rows; row++)
            for (uint32_t column = 0; column < self->columns; column++, delta += C, which += C)
                s_give(self, delta, which, images + s_corner(self, row, column));
}
SIMD_VARIANTS(void, window_max_scatter,
              (const window_t *self, const float *delta, const uint32_t *which, size_t B,
               float *images),
              (self, delta, which, B, images))
