/* See pass.h. */
#include "math/pass.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "math/blas.h"
#include "math/fma.h"
#include "math/rng.h"
#include "math/simd.h"
#include "math/vec.h"
#include "math/window.h"

/* Patches of so many floats at a time, which stay in the second cache; at least those of one image.
 * Part of what fixes the bits. */
#define PATCH_FLOATS ((size_t)128 * 1024)

/* Rows and columns that are transposed at a time. */
#define TRANSPOSE_TILE 16

struct pass {
    model_t model;
    kernel_t kernel;
    size_t max_rows;
    bool sparse;
    /* All arrays below are owned and NULL where a layer has no need of them. */
    float *input;                         /* (max_rows, D) */
    float *outputs[MODEL_MAX_LAYERS];     /* of each layer */
    float *keep[MODEL_MAX_LAYERS];        /* what dropout multiplies them with */
    float *dropped[MODEL_MAX_LAYERS];     /* the product, which the next layer takes */
    float *slope[MODEL_MAX_LAYERS];       /* activation_has_slope */
    uint32_t *which[MODEL_MAX_LAYERS];    /* window_max */
    float *delta[2];                      /* dE/dz or dE/da of two neighbouring layers */
    float *patches;                       /* of a convolution */
    float *deltas;                        /* dE/dpatches */
    float *sum;                           /* a convolution's dE/dW over some images */
    float *transposed;                    /* a W */
    const sparse_t *by_rows, *by_columns; /* borrowed, as is `rows` */
    const uint32_t *rows;
    sparse_t bytes; /* owned; of pass_set_bytes */
};

static float *s_floats(size_t n)
{
    return array_aligned(n, sizeof(float));
}

static window_t s_window(const model_t *model, uint32_t l)
{
    const model_layer_t *layer = &model->layers[l];
    model_shape_t in = model_shape(model, l), out = model_shape(model, l + 1);
    return (window_t){
        .height = in.height,
        .width = in.width,
        .channels = in.channels,
        .size = layer->size,
        .stride = layer->stride,
        .padding = layer->padding,
        .rows = out.height,
        .columns = out.width,
    };
}

/* Floats of the patches of one image. */
static size_t s_image_patches(const model_t *model, uint32_t l)
{
    model_shape_t out = model_shape(model, l + 1);
    return (size_t)out.height * out.width * model_fan_in(model, l);
}

/* Images whose patches are there at a time. */
static size_t s_images_at_once(const model_t *model, uint32_t l)
{
    size_t n = PATCH_FLOATS / s_image_patches(model, l);
    return n > 0 ? n : 1;
}

static size_t s_most(size_t a, size_t b)
{
    return a > b ? a : b;
}

bool pass_is_sparse(const model_t *model, kernel_t kernel)
{
    return kernel == KERNEL_SPARSE && model->layers[0].kind == LAYER_DENSE;
}

pass_t *pass_new(const model_t *model, kernel_t kernel, size_t max_rows)
{
    pass_t *self = calloc(1, sizeof(*self));
    size_t widest = 0, patches = 0, weights = 0;
    if (!self)
        abort();
    self->model = *model;
    self->kernel = kernel;
    self->max_rows = max_rows;
    self->sparse = pass_is_sparse(model, kernel);
    if (!self->sparse)
        self->input = s_floats(max_rows * model->n_inputs);
    for (uint32_t l = 0; l < model->n_layers; l++) {
        const model_layer_t *layer = &model->layers[l];
        size_t n = max_rows * model_layer_outputs(model, l);
        self->outputs[l] = s_floats(n);
        widest = s_most(widest, n);
        if (layer->dropout > 0) {
            self->keep[l] = s_floats(n);
            self->dropped[l] = s_floats(n);
        }
        if (layer->kind != LAYER_MAX_POOL && activation_has_slope(layer->activation))
            self->slope[l] = s_floats(n);
        if (layer->kind == LAYER_MAX_POOL)
            self->which[l] = array_aligned(n, sizeof(uint32_t));
        if (layer->kind == LAYER_CONV)
            patches = s_most(patches, s_images_at_once(model, l) * s_image_patches(model, l));
        if (layer->kind == LAYER_CONV || l > 0)
            weights = s_most(weights, model_fan_in(model, l) * layer->units);
    }
    self->delta[0] = s_floats(widest);
    self->delta[1] = s_floats(widest);
    if (patches > 0) {
        self->patches = s_floats(patches);
        self->deltas = s_floats(patches);
        self->sum = s_floats(weights);
    }
    if (kernel == KERNEL_SPARSE)
        self->transposed = s_floats(weights);
    return self;
}

void pass_destroy(pass_t **self_p)
{
    pass_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    for (int l = 0; l < MODEL_MAX_LAYERS; l++) {
        free(self->outputs[l]);
        free(self->keep[l]);
        free(self->dropped[l]);
        free(self->slope[l]);
        free(self->which[l]);
    }
    free(self->input);
    free(self->delta[0]);
    free(self->delta[1]);
    free(self->patches);
    free(self->deltas);
    free(self->sum);
    free(self->transposed);
    sparse_clear(&self->bytes);
    free(self);
}

void pass_set_model(pass_t *self, const model_t *model)
{
    self->model = *model;
}

float *pass_input(pass_t *self)
{
    return self->input;
}

void pass_set_sparse(pass_t *self, const sparse_t *by_rows, const sparse_t *by_columns,
                     const uint32_t *rows)
{
    self->by_rows = by_rows;
    self->by_columns = by_columns;
    self->rows = rows;
}

void pass_set_bytes(pass_t *self, const uint8_t *images, size_t B)
{
    size_t D = self->model.n_inputs;
    if (!self->sparse) {
        vec_from_bytes(self->input, images, B * D);
        return;
    }
    sparse_set(&self->bytes, B, D, images, D);
    pass_set_sparse(self, &self->bytes, NULL, NULL);
}

/* C(m,n) = A(m,k) B(k,n), neighbours in rows; with transpose_a A is stored as (k,m). */
static void s_gemm(const pass_t *self, bool transpose_a, size_t m, size_t n, size_t k,
                   const float *a, const float *b, float *c)
{
    if (self->kernel == KERNEL_DENSE)
        blas_gemm(transpose_a, false, m, n, k, a, transpose_a ? m : k, b, n, c, n);
    else
        fma_gemm(m, n, k, a, transpose_a ? 1 : k, transpose_a ? m : 1, b, n, c, n);
}

/* to(k,n) = the transpose of from(n,k), by tiles: whole cache lines at both ends. */
static void s_transpose(float *to, const float *from, size_t n, size_t k)
{
    for (size_t i0 = 0; i0 < n; i0 += TRANSPOSE_TILE)
        for (size_t j0 = 0; j0 < k; j0 += TRANSPOSE_TILE)
            for (size_t j = j0; j < k && j < j0 + TRANSPOSE_TILE; j++)
                for (size_t i = i0; i < n && i < i0 + TRANSPOSE_TILE; i++)
                    to[j * n + i] = from[i * k + j];
}

/* C(m,n) = A(m,k) times the transpose of B(n,k). */
static void s_gemm_transposed(const pass_t *self, size_t m, size_t n, size_t k, const float *a,
                              const float *b, float *c)
{
    if (self->kernel == KERNEL_DENSE) {
        blas_gemm(false, true, m, n, k, a, k, b, k, c, n);
        return;
    }
    s_transpose(self->transposed, b, n, k);
    fma_gemm(m, n, k, a, k, 1, self->transposed, n, c, n);
}

/* What layer l takes: with dropout, what it left. */
static const float *s_input(const pass_t *self, uint32_t l, bool training)
{
    if (l == 0)
        return self->input;
    return training && self->dropped[l - 1] ? self->dropped[l - 1] : self->outputs[l - 1];
}

/* One layer of a pass: its images of B rows, D inputs and H units a window. */
typedef struct {
    uint32_t l;
    size_t B, D, H;
    window_t window;
    size_t n_windows; /* of an image; 1 of a dense layer */
    const float *x;   /* what it takes */
    const float *W;
} work_t;

static work_t s_work(const pass_t *self, const float *params, uint32_t l, size_t B, bool training)
{
    const model_t *model = &self->model;
    model_shape_t out = model_shape(model, l + 1);
    return (work_t){
        .l = l,
        .B = B,
        .D = model_fan_in(model, l),
        .H = model->layers[l].units,
        .window = s_window(model, l),
        .n_windows = (size_t)out.height * out.width,
        .x = s_input(self, l, training),
        .W = params + model_weight_offset(model, l),
    };
}

/* z(B,H) = x(B,D) W(D,H) */
static void s_dense_forward(const pass_t *self, const work_t *work, float *z)
{
    if (work->l == 0 && self->sparse)
        sparse_gemm_rows(self->by_rows, self->rows, work->B, work->H, work->W, work->H, z, work->H);
    else
        s_gemm(self, false, work->B, work->H, work->D, work->x, work->W, z);
}

/* G(D,H) = the transpose of x(B,D) times delta(B,H); below(B,D), unless it is NULL, = delta times
 * the transpose of W(D,H). */
static void s_dense_backward(const pass_t *self, const work_t *work, const float *delta, float *G,
                             float *below)
{
    if (work->l == 0 && self->sparse)
        sparse_gemm_columns(self->by_columns, self->rows, work->B, work->H, delta, work->H, G,
                            work->H);
    else
        s_gemm(self, true, work->D, work->H, work->B, work->x, delta, G);
    if (below)
        s_gemm_transposed(self, work->B, work->D, work->H, delta, work->W, below);
}

/* Some of a layer's images: `first` and how many from there on, which is false behind the last. */
static bool s_next_images(const pass_t *self, const work_t *work, size_t *first, size_t *n)
{
    size_t left;
    *first += *n;
    left = work->B - *first;
    *n = s_images_at_once(&self->model, work->l);
    *n = *n < left ? *n : left;
    return left > 0;
}

static size_t s_image_floats(const work_t *work)
{
    return (size_t)work->window.height * work->window.width * work->window.channels;
}

/* z = patches W, a patch a row. */
static void s_conv_forward(const pass_t *self, const work_t *work, float *z)
{
    size_t first = 0, n = 0;
    while (s_next_images(self, work, &first, &n)) {
        window_gather(&work->window, work->x + first * s_image_floats(work), n, self->patches);
        s_gemm(self, false, n * work->n_windows, work->H, work->D, self->patches, work->W,
               z + first * work->n_windows * work->H);
    }
}

/* As s_dense_backward, patches being the rows. */
static void s_conv_backward(const pass_t *self, const work_t *work, const float *delta, float *G,
                            float *below)
{
    size_t first = 0, n = 0;
    while (s_next_images(self, work, &first, &n)) {
        const float *here = delta + first * work->n_windows * work->H;
        window_gather(&work->window, work->x + first * s_image_floats(work), n, self->patches);
        s_gemm(self, true, work->D, work->H, n * work->n_windows, self->patches, here,
               first == 0 ? G : self->sum);
        if (first > 0)
            vec_add(G, self->sum, work->D * work->H);
        if (!below)
            continue;
        s_gemm_transposed(self, n * work->n_windows, work->D, work->H, here, work->W, self->deltas);
        window_scatter(&work->window, self->deltas, n, below + first * s_image_floats(work));
    }
}

#define DROPS 512 /* outputs whose bits are drawn at a time */

SIMD_BODY float s_kept(uint32_t bits16, uint32_t threshold, float scale)
{
    return bits16 < threshold ? 0.0F : scale;
}

/* keep(2 n) of n words: the low 16 bits of each, then the high ones. */
SIMD_BODY void s_keep_body(const uint32_t *bits, size_t n, uint32_t threshold, float scale,
                           float *restrict keep)
{
    for (size_t i = 0; i < n; i++) {
        keep[2 * i] = s_kept(bits[i] & 0xffff, threshold, scale);
        keep[2 * i + 1] = s_kept(bits[i] >> 16, threshold, scale);
    }
}
SIMD_VARIANTS(static void, s_keep,
              (const uint32_t *bits, size_t n, uint32_t threshold, float scale, float *keep),
              (bits, n, threshold, scale, keep))

/* Inverted dropout (Srivastava et al. 2014): an output is dropped with probability p, to 2^-16, and
 * multiplied by 1 / (1 - p) else. */
static void s_drop(const pass_t *self, const pass_draw_t *draw, uint32_t l, size_t B)
{
    uint32_t bits[DROPS / 2];
    size_t n = model_layer_outputs(&self->model, l);
    uint32_t threshold = (uint32_t)(self->model.layers[l].dropout * 65536.0);
    float scale = (float)(65536.0 / (65536.0 - threshold));
    float *keep = self->keep[l];
    for (size_t r = 0; r < B; r++) {
        uint64_t index = (uint64_t)draw->rows[r] << 32 | (uint64_t)l << 27;
        for (size_t i = 0, some; i < n; i += some, keep += some) {
            some = n - i < DROPS ? n - i : DROPS;
            rng_fill(draw->seed, RNG_DROPOUT, draw->step, index + i / 2, (some + 1) / 2, bits);
            s_keep(bits, some / 2, threshold, scale, keep);
            if (some % 2 > 0)
                keep[some - 1] = s_kept(bits[some / 2] & 0xffff, threshold, scale);
        }
    }
    vec_multiply(self->dropped[l], self->outputs[l], self->keep[l], B * n);
}

/* All layers; the activation of the last one is left out if `raw`. A draw: as in training. */
static void s_forward(pass_t *self, const float *params, const pass_draw_t *draw, size_t B,
                      bool raw)
{
    const model_t *model = &self->model;
    assert(B <= self->max_rows);
    for (uint32_t l = 0; l < model->n_layers && B > 0; l++) {
        work_t work = s_work(self, params, l, B, draw != NULL);
        float *z = self->outputs[l];
        switch (model->layers[l].kind) {
        case LAYER_MAX_POOL:
            window_max(&work.window, work.x, B, z, self->which[l]);
            continue;
        case LAYER_DENSE:
            s_dense_forward(self, &work, z);
            break;
        case LAYER_CONV:
            s_conv_forward(self, &work, z);
            break;
        }
        vec_add_to_rows(z, params + model_bias_offset(model, l), B * work.n_windows, work.H);
        if (!raw || l + 1 < model->n_layers)
            activation_forward(model->layers[l].activation, z, B * work.n_windows, work.H,
                               draw ? self->slope[l] : NULL);
        if (draw && self->keep[l])
            s_drop(self, draw, l, B);
    }
}

const float *pass_forward(pass_t *self, const float *params, size_t B)
{
    s_forward(self, params, NULL, B, false);
    return self->outputs[self->model.n_layers - 1];
}

/* Cost and dE/d of what the loss takes: the last layer's z for cross-entropy, else its output. */
static double s_cost(pass_t *self, const float *params, const pass_draw_t *draw,
                     const uint8_t *labels, size_t B, uint32_t *n_correct)
{
    const model_t *model = &self->model;
    const float *weights = model->weighted ? model->class_weights : NULL;
    float *y = self->outputs[model->n_layers - 1];
    uint32_t C = model_classes(model);
    s_forward(self, params, draw, B, model->loss == LOSS_CROSS_ENTROPY);
    return model->loss == LOSS_CROSS_ENTROPY
               ? loss_cross_entropy(y, labels, weights, B, C, self->delta[0], n_correct)
               : loss_sse(y, labels, weights, B, C, self->delta[0], n_correct);
}

const float *pass_evaluate(pass_t *self, const float *params, const uint8_t *labels, size_t B,
                           double *cost, uint32_t *n_correct)
{
    *cost = s_cost(self, params, NULL, labels, B, n_correct);
    return self->outputs[self->model.n_layers - 1];
}

double pass_gradient(pass_t *self, const float *params, const pass_draw_t *draw,
                     const uint8_t *labels, size_t B, float *gradient, uint32_t *n_correct)
{
    const model_t *model = &self->model;
    assert(draw);
    *n_correct = 0;
    if (B == 0) {
        memset(gradient, 0, model_params(model) * sizeof(float));
        return 0.0;
    }
    double cost = s_cost(self, params, draw, labels, B, n_correct);
    float *delta = self->delta[0], *below = self->delta[1];
    for (uint32_t l = model->n_layers; l-- > 0;) {
        const model_layer_t *layer = &model->layers[l];
        work_t work = s_work(self, params, l, B, true);
        float *G = gradient + model_weight_offset(model, l);
        size_t n_rows = B * work.n_windows;
        if (layer->kind == LAYER_MAX_POOL) {
            if (l > 0)
                window_max_scatter(&work.window, delta, self->which[l], B, below);
        } else {
            if (self->keep[l])
                vec_multiply(delta, delta, self->keep[l], n_rows * work.H);
            if (l + 1 < model->n_layers || model->loss != LOSS_CROSS_ENTROPY)
                activation_backward(layer->activation, delta, self->outputs[l], self->slope[l],
                                    n_rows, work.H);
            vec_sum_rows(gradient + model_bias_offset(model, l), delta, n_rows, work.H);
            if (layer->kind == LAYER_DENSE)
                s_dense_backward(self, &work, delta, G, l > 0 ? below : NULL);
            else
                s_conv_backward(self, &work, delta, G, l > 0 ? below : NULL);
        }
        float *swap = delta;
        delta = below;
        below = swap;
    }
    return cost;
}
