/* See narrow.h. The inputs that are left in are kept as runs of neighbours: pictures have few. */
#include "workers/narrow.h"

#include <stdlib.h>
#include <string.h>

#include "math/vec.h"

#define MIN_GAP 4 /* zero inputs between two others that are worth a run's end */

typedef struct {
    uint32_t first;
    uint32_t n;
} run_t;

struct narrow {
    model_t wide;
    model_t model; /* with the inputs that are left in */
    size_t n_tail; /* parameters behind the first layer's weights */
    uint8_t *any;  /* owned, as all that follows; (D) */
    run_t *runs;
    uint32_t n_runs;
    float *params;
    float *gradient;
};

narrow_t *narrow_new(const model_t *model)
{
    narrow_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->wide = *model;
    self->model = *model;
    self->n_tail = model_params(model) - model_bias_offset(model, 0);
    self->any = calloc(model->n_inputs, 1);
    self->runs = calloc(model->n_inputs / MIN_GAP + 1, sizeof(run_t));
    self->params = malloc(model_params(model) * sizeof(float));
    self->gradient = malloc(model_params(model) * sizeof(float));
    if (!self->any || !self->runs || !self->params || !self->gradient)
        abort();
    return self;
}

void narrow_destroy(narrow_t **self_p)
{
    narrow_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    free(self->any);
    free(self->runs);
    free(self->params);
    free(self->gradient);
    free(self);
}

bool narrow_begin(narrow_t *self, const uint8_t *images, const uint32_t *rows, uint32_t B)
{
    uint32_t D = self->wide.n_inputs;
    uint32_t left = 0;
    memset(self->any, 0, D);
    for (uint32_t r = 0; r < B; r++)
        vec_or_bytes(self->any, images + (size_t)rows[r] * D, D);
    self->n_runs = 0;
    for (uint32_t i = 0; i < D; i++) {
        run_t *last = self->n_runs ? &self->runs[self->n_runs - 1] : NULL;
        if (!self->any[i])
            continue;
        if (last && i - (last->first + last->n) < MIN_GAP)
            last->n = i + 1 - last->first;
        else
            self->runs[self->n_runs++] = (run_t){i, 1};
    }
    for (uint32_t i = 0; i < self->n_runs; i++)
        left += self->runs[i].n;
    self->model.n_inputs = left;
    return left > 0 && left <= D - D / 8;
}

void narrow_inputs(const narrow_t *self, const uint8_t *images, const uint32_t *rows, uint32_t B,
                   float *x)
{
    for (uint32_t r = 0; r < B; r++) {
        const uint8_t *row = images + (size_t)rows[r] * self->wide.n_inputs;
        for (uint32_t i = 0; i < self->n_runs; x += self->runs[i].n, i++)
            vec_from_bytes(x, row + self->runs[i].first, self->runs[i].n);
    }
}

const model_t *narrow_model(const narrow_t *self)
{
    return &self->model;
}

const float *narrow_params(narrow_t *self, const float *params)
{
    size_t H = self->wide.layers[0].units;
    float *to = self->params;
    for (uint32_t i = 0; i < self->n_runs; to += self->runs[i].n * H, i++)
        memcpy(to, params + self->runs[i].first * H, self->runs[i].n * H * sizeof(float));
    memcpy(to, params + model_bias_offset(&self->wide, 0), self->n_tail * sizeof(float));
    return self->params;
}

float *narrow_gradient(narrow_t *self)
{
    return self->gradient;
}

void narrow_widen(const narrow_t *self, float *gradient)
{
    size_t H = self->wide.layers[0].units;
    const float *from = self->gradient;
    size_t at = 0;
    for (uint32_t i = 0; i < self->n_runs; i++) {
        size_t first = self->runs[i].first * H, n = self->runs[i].n * H;
        memset(gradient + at, 0, (first - at) * sizeof(float));
        memcpy(gradient + first, from, n * sizeof(float));
        from += n;
        at = first + n;
    }
    size_t tail = model_bias_offset(&self->wide, 0);
    memset(gradient + at, 0, (tail - at) * sizeof(float));
    memcpy(gradient + tail, from, self->n_tail * sizeof(float));
}
