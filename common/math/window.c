/* See window.h. */
#include "math/window.h"

#include <string.h>

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
static int s_is_row(const window_t *self, uint32_t y)
{
    return y >= self->padding && y < self->padding + self->height;
}

static void s_gather_patch(const window_t *self, const float *image, uint32_t row, uint32_t column,
                           float *patch)
{
    uint32_t first, end, x, C = self->channels;
    s_inside(self, column, &first, &end, &x);
    for (uint32_t i = 0; i < self->size; i++, patch += (size_t)self->size * C) {
        uint32_t y = row * self->stride + i;
        if (!s_is_row(self, y)) {
            memset(patch, 0, (size_t)self->size * C * sizeof(float));
            continue;
        }
        const float *from = image + ((size_t)(y - self->padding) * self->width + x) * C;
        memset(patch, 0, (size_t)first * C * sizeof(float));
        memcpy(patch + (size_t)first * C, from, (size_t)(end - first) * C * sizeof(float));
        memset(patch + (size_t)end * C, 0, (size_t)(self->size - end) * C * sizeof(float));
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

/* out(C), which(C): the maxima of a window whose first element is at `from`. */
static void s_max(const window_t *self, const float *from, float *out, uint16_t *which)
{
    uint32_t C = self->channels;
    memcpy(out, from, C * sizeof(float));
    memset(which, 0, C * sizeof(*which));
    for (uint32_t at = 1; at < self->size * self->size; at++) {
        const float *next = from + ((size_t)(at / self->size) * self->width + at % self->size) * C;
        for (uint32_t c = 0; c < C; c++) {
            int more = next[c] > out[c];
            out[c] = more ? next[c] : out[c];
            which[c] = more ? (uint16_t)at : which[c];
        }
    }
}

void window_max(const window_t *self, const float *images, size_t B, float *out, uint16_t *which)
{
    uint32_t C = self->channels;
    for (size_t b = 0; b < B; b++, images += s_image_floats(self))
        for (uint32_t row = 0; row < self->rows; row++)
            for (uint32_t column = 0; column < self->columns; column++, out += C, which += C)
                s_max(self,
                      images + ((size_t)row * self->stride * self->width +
                                (size_t)column * self->stride) *
                                   C,
                      out, which);
}

void window_max_scatter(const window_t *self, const float *delta, const uint16_t *which, size_t B,
                        float *images)
{
    uint32_t C = self->channels;
    memset(images, 0, B * s_image_floats(self) * sizeof(float));
    for (size_t b = 0; b < B; b++, images += s_image_floats(self)) {
        for (uint32_t row = 0; row < self->rows; row++) {
            for (uint32_t column = 0; column < self->columns; column++, delta += C, which += C) {
                for (uint32_t c = 0; c < C; c++) {
                    size_t y = (size_t)row * self->stride + which[c] / self->size;
                    size_t x = (size_t)column * self->stride + which[c] % self->size;
                    images[(y * self->width + x) * C + c] += delta[c];
                }
            }
        }
    }
}
