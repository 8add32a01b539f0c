/* Windows over images: what convolution and pooling see.
 *
 * Images are (B, height, width, channels), and a square window of size x size moves over the image
 * and its padding of zeros by `stride`.
 */
#ifndef DROVER_MATH_WINDOW_H
#define DROVER_MATH_WINDOW_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t height, width, channels;
    uint32_t size, stride, padding;
    uint32_t rows, columns; /* how many windows there are, one below and beside the other */
} window_t;

/* patches(B rows columns, size size channels) = what each window sees (im2col: Chellapilla, Puri,
 * Simard 2006). */
void window_gather(const window_t *self, const float *images, size_t B, float *patches);

/* The transpose of window_gather: images = for each element the sum, in the windows' order, of what
 * patches say of it. */
void window_scatter(const window_t *self, const float *patches, size_t B, float *images);

/* out(B, rows, columns, channels) = the largest of each window and channel, which(as out) where it
 * is within the window: the first of equals. Without padding. */
void window_max(const window_t *self, const float *images, size_t B, float *out, uint32_t *which);

/* The transpose of window_max for these maxima: images gets each delta where its maximum was. */
void window_max_scatter(const window_t *self, const float *delta, const uint32_t *which, size_t B,
                        float *images);

#endif
