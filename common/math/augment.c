/* See augment.h. H rows of W pixels, and N = H W of them.
 *
 * Every number is made by IEEE operations that are rounded one by one, elementwise: the bits do not
 * depend on how many of them the compiler does at a time. */
#include "math/augment.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "math/elementary.h"
#include "math/model.h"
#include "math/rng.h"
#include "math/scalar.h"
#include "math/simd.h"

#define MAP_DRAWS 8 /* of which six are used; those of pixels come behind them */
#define TAPS      4
/* 180 degrees are a half turn; what has shrunk to a tenth, or is slanted by more, is nothing to
 * learn from. */
static const struct {
    const char *key;
    size_t offset;
    double max;
} s_fields[AUGMENT_N_FIELDS] = {
    {"augmentation.shift", offsetof(augment_t, shift), 256},
    {"augmentation.rotation", offsetof(augment_t, rotation), 180},
    {"augmentation.scale", offsetof(augment_t, scale), 0.9},
    {"augmentation.shear", offsetof(augment_t, shear), 2},
    {"augmentation.elastic.alpha", offsetof(augment_t, alpha), 10000},
    {"augmentation.elastic.sigma", offsetof(augment_t, sigma), 32},
};
#define MIN_SIGMA  0.5
#define MAX_RADIUS 96 /* 3 times the largest sigma */

const char *augment_key(int i)
{
    return s_fields[i].key;
}

double augment_get(const augment_t *self, int i)
{
    double value;
    memcpy(&value, (const char *)self + s_fields[i].offset, sizeof(value));
    return value;
}

void augment_set(augment_t *self, int i, double value)
{
    memcpy((char *)self + s_fields[i].offset, &value, sizeof(value));
}

bool augment_any(const augment_t *self)
{
    return self->shift > 0 || self->rotation > 0 || self->scale > 0 || self->shear > 0 ||
           self->alpha > 0;
}

const char *augment_difference(const augment_t *a, const augment_t *b)
{
    for (int i = 0; i < AUGMENT_N_FIELDS; i++)
        if (augment_get(a, i) != augment_get(b, i))
            return augment_key(i);
    return NULL;
}

int augment_check(const augment_t *self, uint32_t n_inputs, err_t *err)
{
    model_t model = {.n_inputs = n_inputs};
    for (int i = 0; i < AUGMENT_N_FIELDS; i++) {
        double value = augment_get(self, i);
        if (!(value >= 0 && value <= s_fields[i].max))
            return err_set(err, "%s: %g, expected 0 to %g", augment_key(i), value, s_fields[i].max);
    }
    if (self->alpha > 0 && self->sigma < MIN_SIGMA)
        return err_set(err, "augmentation.elastic.sigma: %g, expected %g or more with an alpha",
                       self->sigma, MIN_SIGMA);
    if (augment_any(self) && model_shape(&model, 0).height < 2)
        return err_set(err,
                       "augmentation: rows of %u bytes are no images; expected square ones of 1 "
                       "or 3 channels, such as 784 = 28 x 28",
                       n_inputs);
    return 0;
}

struct augmenter {
    augment_t augment;
    uint64_t seed;
    model_shape_t shape;
    size_t n_pixels;
    int radius;                   /* of the kernel */
    float kernel[MAX_RADIUS + 1]; /* [k]: for pixels that are k away */
    /* All that follows is owned; x and y are (N). */
    float *column, *row; /* of each pixel, from the middle */
    float *fraction_x, *fraction_y;
    int32_t *at;       /* the corner of q in `corners` */
    uint32_t *picked;  /* corners[at] */
    uint8_t *padded;   /* (H + 3, W + 3): a channel with zeros, one before and two behind */
    uint32_t *corners; /* as padded: a pixel and its neighbours to the right and below */
    uint32_t *draws;   /* (MAP_DRAWS + N) */
    float *above;      /* (H + 2 radius, W): draws with zeros above and below */
    float *beside;     /* (H, W + radius) and zeros before them: smoothed downwards */
    float *smoothed;   /* (H, W + radius): smoothed both ways */
    float *x, *y;      /* displacements */
};

static void *s_array(size_t n, size_t size)
{
    return memset(array_aligned(n, size), 0, n * size);
}

static void s_set_kernel(augmenter_t *self)
{
    double sigma = self->augment.sigma, sum = 0;
    double elements[MAX_RADIUS + 1];
    int radius = (int)(3.0 * sigma + 0.5);
    self->radius = (radius + TAPS - 1) / TAPS * TAPS; /* the last elements may be 0 */
    assert(radius >= 1 && self->radius <= MAX_RADIUS);
    for (int k = 0; k <= radius; k++) {
        elements[k] = (double)elementary_exp((float)(-(double)(k * k) / (2.0 * sigma * sigma)));
        sum += k == 0 ? elements[k] : 2.0 * elements[k];
    }
    for (int k = 0; k <= radius; k++)
        self->kernel[k] = (float)(elements[k] / sum);
}

augmenter_t *augmenter_new(const augment_t *augment, uint64_t seed, uint32_t n_inputs)
{
    model_t model = {.n_inputs = n_inputs};
    augmenter_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->augment = *augment;
    self->seed = seed;
    self->shape = model_shape(&model, 0);
    size_t H = self->shape.height, W = self->shape.width, N = H * W;
    size_t n_padded = (H + 3) * (W + 3);
    self->n_pixels = N;
    self->column = s_array(N, sizeof(float));
    self->row = s_array(N, sizeof(float));
    self->fraction_x = s_array(N, sizeof(float));
    self->fraction_y = s_array(N, sizeof(float));
    self->at = s_array(N, sizeof(int32_t));
    self->picked = s_array(N, sizeof(uint32_t));
    self->padded = s_array(n_padded, 1);
    self->corners = s_array(n_padded, sizeof(uint32_t));
    self->draws = s_array(MAP_DRAWS + N, sizeof(uint32_t));
    for (size_t y = 0; y < H; y++) {
        for (size_t x = 0; x < W; x++) {
            self->column[y * W + x] = (float)x - 0.5F * (float)(W - 1);
            self->row[y * W + x] = (float)y - 0.5F * (float)(H - 1);
        }
    }
    if (augment->alpha > 0) {
        s_set_kernel(self);
        size_t R = (size_t)self->radius;
        self->above = s_array(2 * R * W + N, sizeof(float));
        self->beside = s_array(2 * R + H * (W + R), sizeof(float));
        self->smoothed = s_array(H * (W + R), sizeof(float));
        self->x = s_array(N, sizeof(float));
        self->y = s_array(N, sizeof(float));
    }
    return self;
}

void augmenter_destroy(augmenter_t **self_p)
{
    augmenter_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    free(self->column);
    free(self->row);
    free(self->fraction_x);
    free(self->fraction_y);
    free(self->at);
    free(self->picked);
    free(self->padded);
    free(self->corners);
    free(self->draws);
    free(self->above);
    free(self->beside);
    free(self->smoothed);
    free(self->x);
    free(self->y);
    free(self);
}

/* Four elements of the kernel, behind the first `done`: out[i] += kernel[k] (in[i - k stride] +
 * in[i + k stride]). */
SIMD_BODY void s_add_taps_body(const float *kernel, ptrdiff_t stride, ptrdiff_t done, size_t n,
                               const float *in, float *restrict out)
{
    const float *before = in - (done + 1) * stride, *behind = in + (done + 1) * stride;
    float k0 = kernel[0], k1 = kernel[1], k2 = kernel[2], k3 = kernel[3];
    for (ptrdiff_t i = 0; i < (ptrdiff_t)n; i++) {
        float sum = out[i];
        sum += k0 * (before[i] + behind[i]);
        sum += k1 * (before[i - stride] + behind[i + stride]);
        sum += k2 * (before[i - 2 * stride] + behind[i + 2 * stride]);
        sum += k3 * (before[i - 3 * stride] + behind[i + 3 * stride]);
        out[i] = sum;
    }
}
SIMD_VARIANTS(static void, s_add_taps,
              (const float *kernel, ptrdiff_t stride, ptrdiff_t done, size_t n, const float *in,
               float *out),
              (kernel, stride, done, n, in, out))

SIMD_BODY void s_scale_body(float factor, size_t n, const float *in, float *restrict out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = factor * in[i];
}
SIMD_VARIANTS(static void, s_scale, (float factor, size_t n, const float *in, float *out),
              (factor, n, in, out))

/* out(n) = `in`, smoothed along lines whose pixels are `stride` apart; from the middle outwards. */
static void s_smooth(const augmenter_t *self, size_t stride, size_t n, const float *in, float *out)
{
    s_scale(self->kernel[0], n, in, out);
    for (int k = 0; k < self->radius; k += TAPS)
        s_add_taps(self->kernel + k + 1, (ptrdiff_t)stride, k, n, in, out);
}

/* 16 bits, the low ones or the high ones, as a number in [-1, 1) times alpha. */
SIMD_BODY void s_uniform_body(const uint32_t *bits, int shift, float scale, size_t n,
                              float *restrict out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(int16_t)(bits[i] >> shift) * scale;
}
SIMD_VARIANTS(static void, s_uniform,
              (const uint32_t *bits, int shift, float scale, size_t n, float *out),
              (bits, shift, scale, n, out))

/* field(N) = alpha times the smoothed draws. */
static void s_field(augmenter_t *self, int shift, float *field)
{
    size_t H = self->shape.height, W = self->shape.width, N = self->n_pixels;
    size_t R = (size_t)self->radius, wide = W + R;
    float *above = self->above + R * W, *beside = self->beside + R;
    s_uniform(self->draws + MAP_DRAWS, shift, (float)(self->augment.alpha * 0x1p-15), N, above);
    s_smooth(self, W, N, above, self->smoothed);
    for (size_t y = 0; y < H; y++)
        memcpy(beside + y * wide, self->smoothed + y * W, W * sizeof(float));
    s_smooth(self, 1, H * wide, beside, self->smoothed);
    for (size_t y = 0; y < H; y++)
        memcpy(field + y * W, self->smoothed + y * wide, W * sizeof(float));
}

/* From [-1, 1). */
static double s_signed(uint32_t bits)
{
    return (double)(int32_t)bits * 0x1p-31;
}

augment_map_t augmenter_draw(augmenter_t *self, uint32_t step, uint32_t row, const float **x,
                             const float **y)
{
    const augment_t *augment = &self->augment;
    const uint32_t *draws = self->draws;
    bool elastic = augment->alpha > 0;
    rng_fill(self->seed, RNG_AUGMENT, step, (uint64_t)row << 32,
             MAP_DRAWS + (elastic ? self->n_pixels : 0), self->draws);
    if (elastic) {
        s_field(self, 0, self->x);
        s_field(self, 16, self->y);
    }
    *x = self->x;
    *y = self->y;
    return (augment_map_t){
        .shift_x = augment->shift * s_signed(draws[0]),
        .shift_y = augment->shift * s_signed(draws[1]),
        .angle = augment->rotation * s_signed(draws[2]),
        .scale_x = 1.0 + augment->scale * s_signed(draws[3]),
        .scale_y = 1.0 + augment->scale * s_signed(draws[4]),
        .shear = augment->shear * s_signed(draws[5]),
    };
}

/* q = (xx px + xy py + x, yx px + yy py + y), from the corner of the padded image. */
typedef struct {
    float xx, xy, x;
    float yx, yy, y;
} affine_t;

/* The inverse of what the map does. */
static affine_t s_affine(const augmenter_t *self, const augment_map_t *map)
{
    double turn = map->angle / 180.0, part = turn < 0 ? -turn : turn;
    double c = scalar_cos_pi(part), s = scalar_cos_pi(part < 0.5 ? 0.5 - part : part - 0.5);
    s = turn < 0 ? -s : s;
    /* R^-1 = (c s; -s c), with y downwards; then K^-1 = (1 -k; 0 1) */
    double xx = (c + map->shear * s) / map->scale_x, xy = (s - map->shear * c) / map->scale_x;
    double yx = -s / map->scale_y, yy = c / map->scale_y;
    double middle_x = 0.5 * (self->shape.width - 1) + 1.0;
    double middle_y = 0.5 * (self->shape.height - 1) + 1.0;
    return (affine_t){
        .xx = (float)xx,
        .xy = (float)xy,
        .x = (float)(middle_x - (xx * map->shift_x + xy * map->shift_y)),
        .yx = (float)yx,
        .yy = (float)yy,
        .y = (float)(middle_y - (yx * map->shift_x + yy * map->shift_y)),
    };
}

/* Where each pixel comes from: the corner, and how far q is from it. What lies beyond the image is
 * brought to its rim of zeros. */
SIMD_BODY void s_locate_body(const affine_t *map, const float *px, const float *py, const float *dx,
                             const float *dy, size_t n, float width, float height, int32_t stride,
                             int32_t *restrict at, float *restrict fx, float *restrict fy)
{
    affine_t m = *map;
    for (size_t i = 0; i < n; i++) {
        float x = m.xx * px[i] + m.xy * py[i] + m.x, y = m.yx * px[i] + m.yy * py[i] + m.y;
        if (dx) {
            x += dx[i];
            y += dy[i];
        }
        x = x < 0.0F ? 0.0F : x;
        y = y < 0.0F ? 0.0F : y;
        x = x > width ? width : x;
        y = y > height ? height : y;
        int32_t left = (int32_t)x, top = (int32_t)y;
        fx[i] = x - (float)left;
        fy[i] = y - (float)top;
        at[i] = top * stride + left;
    }
}
SIMD_VARIANTS(static void, s_locate,
              (const affine_t *map, const float *px, const float *py, const float *dx,
               const float *dy, size_t n, float width, float height, int32_t stride, int32_t *at,
               float *fx, float *fy),
              (map, px, py, dx, dy, n, width, height, stride, at, fx, fy))

/* corners[i] = the four pixels that q lies between, in one word. */
SIMD_BODY void s_join_body(const uint8_t *padded, size_t stride, size_t n,
                           uint32_t *restrict corners)
{
    for (size_t i = 0; i < n; i++)
        corners[i] = (uint32_t)padded[i] | (uint32_t)padded[i + 1] << 8 |
                     (uint32_t)padded[i + stride] << 16 | (uint32_t)padded[i + stride + 1] << 24;
}
SIMD_VARIANTS(static void, s_join,
              (const uint8_t *padded, size_t stride, size_t n, uint32_t *corners),
              (padded, stride, n, corners))

SIMD_BODY void s_pick_body(const uint32_t *corners, const int32_t *at, size_t n,
                           uint32_t *restrict picked)
{
    for (size_t i = 0; i < n; i++)
        picked[i] = corners[at[i]];
}
SIMD_VARIANTS(static void, s_pick,
              (const uint32_t *corners, const int32_t *at, size_t n, uint32_t *picked),
              (corners, at, n, picked))

SIMD_BODY float s_byte(uint32_t word, int shift)
{
    return (float)(int32_t)(word >> shift & 0xff);
}

SIMD_BODY void s_blend_body(const uint32_t *picked, const float *fx, const float *fy, size_t n,
                            uint8_t *restrict to)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t word = picked[i];
        float a = s_byte(word, 0), b = s_byte(word, 8), c = s_byte(word, 16), d = s_byte(word, 24);
        float top = a + fx[i] * (b - a), bottom = c + fx[i] * (d - c);
        to[i] = (uint8_t)(int32_t)(top + fy[i] * (bottom - top) + 0.5F);
    }
}
SIMD_VARIANTS(static void, s_blend,
              (const uint32_t *picked, const float *fx, const float *fy, size_t n, uint8_t *to),
              (picked, fx, fy, n, to))

/* One channel of `from` into the middle of `padded`. */
static void s_pad(augmenter_t *self, const uint8_t *from, size_t channel)
{
    size_t H = self->shape.height, W = self->shape.width, C = self->shape.channels;
    for (size_t y = 0; y < H; y++) {
        uint8_t *row = self->padded + (y + 1) * (W + 3) + 1;
        if (C == 1)
            memcpy(row, from + y * W, W);
        for (size_t x = 0; x < W && C > 1; x++)
            row[x] = from[(y * W + x) * C + channel];
    }
}

void augmenter_warp(augmenter_t *self, const augment_map_t *map, const float *x, const float *y,
                    const uint8_t *from, uint8_t *to)
{
    size_t H = self->shape.height, W = self->shape.width, C = self->shape.channels;
    size_t N = self->n_pixels, stride = W + 3;
    affine_t affine = s_affine(self, map);
    s_locate(&affine, self->column, self->row, x, y, N, (float)(W + 1), (float)(H + 1),
             (int32_t)stride, self->at, self->fraction_x, self->fraction_y);
    for (size_t channel = 0; channel < C; channel++) {
        uint8_t *out = C == 1 ? to : (uint8_t *)self->draws;
        s_pad(self, from, channel);
        s_join(self->padded, stride, (H + 2) * stride - 1, self->corners);
        s_pick(self->corners, self->at, N, self->picked);
        s_blend(self->picked, self->fraction_x, self->fraction_y, N, out);
        for (size_t i = 0; i < N && C > 1; i++)
            to[i * C + channel] = out[i];
    }
}

void augmenter_row(augmenter_t *self, uint32_t step, uint32_t row, const uint8_t *from, uint8_t *to)
{
    const float *x, *y;
    augment_map_t map = augmenter_draw(self, step, row, &x, &y);
    augmenter_warp(self, &map, x, y, from, to);
}
