/* Images of a training altered at random: shifted, turned, scaled, slanted and bent.
 *
 * Simard, Steinkraus, Platt: "Best practices for convolutional neural networks applied to visual
 * document analysis", ICDAR 2003. What becomes of a row is a function of (seed, step, row): whoever
 * computes the row, on whatever CPU, makes the same bytes of it.
 *
 * An image is (height, width, channels) bytes. The point p = (x, y) of the new image, columns to
 * the right and rows downwards from its middle, shows what the old one has at
 *
 *     q = S^-1 K^-1 R^-1 (p - t) + alpha d(p)
 *
 * between the pixels by bilinear interpolation, rounded to bytes, and zero beyond the image. t is
 * the shift, R turns by an angle, K = (1 k; 0 1) slants, S = diag(sx, sy) scales: so the old image
 * is scaled, slanted, turned and shifted, in this order. d are two fields, one for x and one for
 * y, of draws from [-1, 1), one a pixel, smoothed by a Gaussian kernel that is cut off at 3 sigma
 * and whose elements sum up to 1; beyond the image they are 0.
 */
#ifndef DROVER_MATH_AUGMENT_H
#define DROVER_MATH_AUGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* A plain value; all 0: images stay as they are. Draws are uniform and independent. */
typedef struct {
    double shift;    /* pixels: tx and ty from [-shift, shift) */
    double rotation; /* degrees: the angle from [-rotation, rotation) */
    double scale;    /* sx and sy from [1 - scale, 1 + scale) */
    double shear;    /* pixels sideways a pixel downwards: k from [-shear, shear) */
    double alpha;    /* how many times the smoothed fields, in pixels */
    double sigma;    /* pixels: of the Gaussian; 0 with alpha 0 only */
} augment_t;

/* The fields in their order, by number, and the keys of their settings ("augmentation.shift"). */
#define AUGMENT_N_FIELDS 6
const char *augment_key(int i);
double augment_get(const augment_t *self, int i);
void augment_set(augment_t *self, int i, double value);

/* Does it alter anything? */
bool augment_any(const augment_t *self);

/* The key of the first field in which they differ; NULL: they are the same. */
const char *augment_difference(const augment_t *a, const augment_t *b);

/* Can rows of n_inputs bytes be altered so? Returns 0, or -1 with *err naming the setting. */
int augment_check(const augment_t *self, uint32_t n_inputs, err_t *err);

/* What one image undergoes besides the fields. */
typedef struct {
    double shift_x, shift_y; /* pixels, to the right and downwards */
    double angle;            /* degrees, clockwise as the image is seen; -180 to 180 */
    double scale_x, scale_y;
    double shear;
} augment_map_t;

typedef struct augmenter augmenter_t;

/* One a thread, for rows of n_inputs bytes; checked by augment_check. Never NULL. */
augmenter_t *augmenter_new(const augment_t *augment, uint64_t seed, uint32_t n_inputs);
void augmenter_destroy(augmenter_t **self_p);

/* to(n_inputs) = row `row` of the training set, whose bytes are from(n_inputs), in this step. */
void augmenter_row(augmenter_t *self, uint32_t step, uint32_t row, const uint8_t *from,
                   uint8_t *to);

/* For tests, as is the next: to = `from` by this map and, unless NULL, what x(height,width) and
 * y(height,width) add to q, in pixels. */
void augmenter_warp(augmenter_t *self, const augment_map_t *map, const float *x, const float *y,
                    const uint8_t *from, uint8_t *to);

/* What step and row draw: the map and, with alpha, alpha d: *x(height,width) and *y(height,width),
 * borrowed until the next call; else NULL. */
augment_map_t augmenter_draw(augmenter_t *self, uint32_t step, uint32_t row, const float **x,
                             const float **y);

#endif
