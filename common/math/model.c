/* See model.h. The formulas are those of Rumelhart, Hinton, Williams 1986 in matrix form. */
#include "math/model.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "math/blas.h"
#include "math/fma.h"
#include "math/loss.h"
#include "math/rng.h"
#include "math/vec.h"

#define MAX_UNITS 65536u

struct model_room {
    float *a[MODEL_MAX_LAYERS + 1]; /* owned; a[0] the input, a[l + 1] layer l's output */
    float *delta[2];                /* owned; dE/dz of two neighbouring layers */
    size_t max_rows;
    /* Of the sparse kernel only. */
    bool sparse;
    const sparse_t *by_rows, *by_columns; /* borrowed */
    const uint32_t *rows;                 /* borrowed */
    float *transposed;                    /* owned; the largest W but the first layer's */
};

int model_check(const model_t *self, err_t *err)
{
    if (self->n_layers < 1 || self->n_layers > MODEL_MAX_LAYERS)
        return err_set(err, "network of %u layers, expected 1 to %d", self->n_layers,
                       MODEL_MAX_LAYERS);
    if (self->n_inputs < 1 || self->n_inputs > MAX_UNITS)
        return err_set(err, "network of %u inputs, expected 1 to %u", self->n_inputs, MAX_UNITS);
    size_t params = 0;
    for (uint32_t l = 0; l < self->n_layers; l++) {
        if (self->layers[l].units < 1 || self->layers[l].units > MAX_UNITS)
            return err_set(err, "layer %u of %u units, expected 1 to %u", l + 1,
                           self->layers[l].units, MAX_UNITS);
        if ((uint32_t)self->layers[l].activation >= ACTIVATION_COUNT)
            return err_set(err, "layer %u has an unknown activation %d", l + 1,
                           (int)self->layers[l].activation);
        params += (model_layer_inputs(self, l) + 1) * self->layers[l].units;
    }
    if (params > MODEL_MAX_PARAMS)
        return err_set(err, "network of %zu parameters, expected at most %zu", params,
                       MODEL_MAX_PARAMS);
    if (model_classes(self) > 256)
        return err_set(err, "network of %u classes, expected at most 256 (labels are bytes)",
                       model_classes(self));
    return 0;
}

uint32_t model_classes(const model_t *self)
{
    return self->layers[self->n_layers - 1].units;
}

size_t model_layer_inputs(const model_t *self, uint32_t l)
{
    return l == 0 ? self->n_inputs : self->layers[l - 1].units;
}

size_t model_weight_offset(const model_t *self, uint32_t l)
{
    size_t offset = 0;
    for (uint32_t i = 0; i < l; i++)
        offset += (model_layer_inputs(self, i) + 1) * self->layers[i].units;
    return offset;
}

size_t model_bias_offset(const model_t *self, uint32_t l)
{
    return model_weight_offset(self, l) + model_layer_inputs(self, l) * self->layers[l].units;
}

size_t model_params(const model_t *self)
{
    return model_weight_offset(self, self->n_layers);
}

void model_describe(const model_t *self, char *text, size_t size)
{
    int used = snprintf(text, size, "%u", self->n_inputs);
    for (uint32_t l = 0; l < self->n_layers && used > 0 && (size_t)used < size; l++)
        used += snprintf(text + used, size - (size_t)used, "-%u %s", self->layers[l].units,
                         activation_name(self->layers[l].activation));
}

void model_init_uniform(const model_t *self, uint64_t seed, float *params)
{
    size_t n = model_params(self);
    uint32_t bits[256];
    for (size_t i = 0; i < n;) {
        size_t count = n - i < 256 ? n - i : 256;
        rng_fill(seed, RNG_INIT, 0, i, count, bits);
        for (size_t j = 0; j < count; j++)
            params[i++] = (float)(bits[j] >> 8) * 0x1p-24f - 0.5f;
    }
}

static float *s_matrix(size_t rows, size_t columns)
{
    size_t bytes = (rows * columns * sizeof(float) + 63) / 64 * 64;
    float *a = aligned_alloc(64, bytes ? bytes : 64);
    if (!a)
        abort();
    return a;
}

static void *s_array(size_t n, size_t size)
{
    void *a = calloc(n, size);
    if (!a)
        abort();
    return a;
}

static model_room_t *s_room_new(const model_t *self, size_t max_rows)
{
    model_room_t *room = s_array(1, sizeof(*room));
    room->max_rows = max_rows;
    uint32_t widest = 0;
    for (uint32_t l = 0; l < self->n_layers; l++) {
        uint32_t units = self->layers[l].units;
        room->a[l + 1] = s_matrix(max_rows, units);
        widest = units > widest ? units : widest;
    }
    room->delta[0] = s_matrix(max_rows, widest);
    room->delta[1] = s_matrix(max_rows, widest);
    return room;
}

model_room_t *model_room_new(const model_t *self, size_t max_rows)
{
    model_room_t *room = s_room_new(self, max_rows);
    room->a[0] = s_matrix(max_rows, self->n_inputs);
    return room;
}

model_room_t *model_room_new_sparse(const model_t *self, size_t max_rows)
{
    model_room_t *room = s_room_new(self, max_rows);
    size_t largest = 0;
    for (uint32_t l = 1; l < self->n_layers; l++) {
        size_t weights = model_layer_inputs(self, l) * self->layers[l].units;
        largest = weights > largest ? weights : largest;
    }
    room->sparse = true;
    room->transposed = s_matrix(largest, 1);
    return room;
}

void model_room_set_sparse(model_room_t *room, const sparse_t *by_rows, const sparse_t *by_columns,
                           const uint32_t *rows)
{
    room->by_rows = by_rows;
    room->by_columns = by_columns;
    room->rows = rows;
}

void model_room_destroy(model_room_t **self_p)
{
    model_room_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    for (int i = 0; i <= MODEL_MAX_LAYERS; i++)
        free(self->a[i]);
    free(self->delta[0]);
    free(self->delta[1]);
    free(self->transposed);
    free(self);
}

float *model_room_input(model_room_t *room)
{
    return room->a[0];
}

/* z(B,H) = a(B,D) W(D,H), a being the output of the layer below. */
static void s_forward(const model_room_t *room, uint32_t l, const float *W, size_t B, size_t D,
                      size_t H)
{
    float *z = room->a[l + 1];
    if (!room->sparse)
        blas_gemm(false, false, B, H, D, room->a[l], D, W, H, z, H);
    else if (l == 0)
        sparse_gemm_rows(room->by_rows, room->rows, B, H, W, H, z, H);
    else
        fma_gemm(B, H, D, room->a[l], D, 1, W, H, z, H);
}

/* G(D,H) = the transpose of a(B,D) times delta(B,H). */
static void s_weights(const model_room_t *room, uint32_t l, const float *delta, size_t B, size_t D,
                      size_t H, float *G)
{
    if (!room->sparse) {
        blas_gemm(true, false, D, H, B, room->a[l], D, delta, H, G, H);
    } else if (l == 0) {
        sparse_gemm_columns(room->by_columns, room->rows, B, H, delta, H, G, H);
    } else {
        fma_gemm(D, H, B, room->a[l], 1, D, delta, H, G, H);
    }
}

/* below(B,D) = delta(B,H) times the transpose of W(D,H). */
static void s_below(const model_room_t *room, const float *delta, const float *W, size_t B,
                    size_t D, size_t H, float *below)
{
    if (!room->sparse) {
        blas_gemm(false, true, B, D, H, delta, H, W, H, below, D);
        return;
    }
    for (size_t d = 0; d < D; d++)
        for (size_t h = 0; h < H; h++)
            room->transposed[h * D + d] = W[d * H + h];
    fma_gemm(B, D, H, delta, H, 1, room->transposed, D, below, D);
}

const float *model_forward(const model_t *self, const float *params, model_room_t *room, size_t B)
{
    assert(B <= room->max_rows);
    for (uint32_t l = 0; l < self->n_layers && B > 0; l++) {
        size_t D = model_layer_inputs(self, l);
        size_t H = self->layers[l].units;
        s_forward(room, l, params + model_weight_offset(self, l), B, D, H);
        activation_forward(self->layers[l].activation, room->a[l + 1],
                           params + model_bias_offset(self, l), B, H);
    }
    return room->a[self->n_layers];
}

double model_gradient(const model_t *self, const float *params, model_room_t *room,
                      const uint8_t *labels, size_t B, float *gradient, uint32_t *n_correct)
{
    *n_correct = 0;
    if (B == 0) {
        memset(gradient, 0, model_params(self) * sizeof(float));
        return 0.0;
    }
    const float *y = model_forward(self, params, room, B);
    float *delta = room->delta[0];
    float *below = room->delta[1];
    double cost = loss_sse(y, labels, B, model_classes(self), delta, n_correct);
    for (uint32_t l = self->n_layers; l-- > 0;) {
        size_t D = model_layer_inputs(self, l);
        size_t H = self->layers[l].units;
        const float *W = params + model_weight_offset(self, l);
        activation_backward(self->layers[l].activation, delta, room->a[l + 1], B * H);
        s_weights(room, l, delta, B, D, H, gradient + model_weight_offset(self, l));
        vec_sum_rows(gradient + model_bias_offset(self, l), delta, B, H);
        if (l == 0)
            break;
        s_below(room, delta, W, B, D, H, below);
        float *swap = delta;
        delta = below;
        below = swap;
    }
    return cost;
}
