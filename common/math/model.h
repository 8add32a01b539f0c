/* A network of dense layers over one flat parameter vector.
 *
 * Shapes: B rows; layer l maps D_l inputs to H_l outputs, D_0 = n_inputs, D_l = H_(l-1), and the
 * last H is the number of classes. Parameters lie in the vector layer by layer: W (D_l, H_l)
 * row-major, then b (H_l). a_l = f_l(a_(l-1) W + b), E = 1/2 sum (a_last - y*)^2.
 */
#ifndef DROVER_MATH_MODEL_H
#define DROVER_MATH_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "math/activation.h"
#include "math/sparse.h"

#define MODEL_MAX_LAYERS 32
#define MODEL_MAX_PARAMS (((size_t)1 << 31) - 1)

typedef struct {
    uint32_t units;
    activation_t activation;
} model_layer_t;

/* The shape of a network: a plain value, copied freely. */
typedef struct {
    uint32_t n_inputs;
    uint32_t n_layers;
    model_layer_t layers[MODEL_MAX_LAYERS];
} model_t;

/* Checks bounds: 1 to MODEL_MAX_LAYERS layers, every width 1 to 65536, at most MODEL_MAX_PARAMS.
 * Returns 0 or -1. */
int model_check(const model_t *self, err_t *err);

uint32_t model_classes(const model_t *self);
size_t model_params(const model_t *self);

/* Where layer l's W and b start in the parameter vector, and its number of inputs. */
size_t model_weight_offset(const model_t *self, uint32_t l);
size_t model_bias_offset(const model_t *self, uint32_t l);
size_t model_layer_inputs(const model_t *self, uint32_t l);

/* "784-64-10" and activations, for messages: "784-64 tanh-10 sigmoid". */
void model_describe(const model_t *self, char *text, size_t size);

/* params(P) uniform in [-0.5, 0.5), a function of the seed alone. */
void model_init_uniform(const model_t *self, uint64_t seed, float *params);

/* Room for the activations and deltas of up to max_rows rows; one a compute thread. */
typedef struct model_room model_room_t;
model_room_t *model_room_new(const model_t *self, size_t max_rows);
void model_room_destroy(model_room_t **self_p);

/* The input matrix (max_rows, D) for the caller to fill. */
float *model_room_input(model_room_t *room);

/* The same for the sparse kernel (kernel.h): products by fma.h, and inputs that are bytes, which
 * stand elsewhere. */
model_room_t *model_room_new_sparse(const model_t *self, size_t max_rows);

/* Row r of the input is row rows[r] (ascending; r when rows is NULL) of by_rows(n,D), byte / 255.
 * by_columns(D,n), the transpose, is for model_gradient alone. All are borrowed until the room is
 * used for others. */
void model_room_set_sparse(model_room_t *room, const sparse_t *by_rows, const sparse_t *by_columns,
                           const uint32_t *rows);

/* Forward pass of the B rows in the room's input; returns (B, classes), borrowed from the room.
 * Needs blas_open unless the room is for the sparse kernel. */
const float *model_forward(const model_t *self, const float *params, model_room_t *room, size_t B);

/* Forward and backward pass: gradient(P) = dE/dparams summed over the B rows (B may be 0: zeros).
 * labels(B), each below the number of classes. Returns the cost E; *n_correct as in loss.h. */
double model_gradient(const model_t *self, const float *params, model_room_t *room,
                      const uint8_t *labels, size_t B, float *gradient, uint32_t *n_correct);

#endif
