/* What a network is: layers over one flat parameter vector, and what it costs to be wrong.
 *
 * Layer l maps the outputs of the one below, for the first the input, to its own. Parameters lie in
 * the vector layer by layer: W row-major, then b. A dense layer's W is (inputs, units), b (units):
 * a = f(x W + b). Images are (height, width, channels), their rows one behind the other; a
 * convolution's W is (size, size, channels, filters), b (filters), and it is the dense layer of
 * each patch of the padded image. Pooling has no parameters.
 */
#ifndef DROVER_MATH_MODEL_H
#define DROVER_MATH_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "math/activation.h"
#include "math/loss.h"

#define MODEL_MAX_LAYERS  32
#define MODEL_MAX_CLASSES 256 /* labels are bytes */
#define MODEL_MAX_PARAMS  (((size_t)1 << 31) - 1)

typedef enum {
    LAYER_DENSE = 0,
    LAYER_CONV = 1,
    LAYER_MAX_POOL = 2,
} layer_kind_t;

#define LAYER_KIND_COUNT 3

typedef struct {
    layer_kind_t kind;
    uint32_t units;                 /* dense; the filters of a convolution; 0 of pooling */
    uint32_t size, stride, padding; /* convolution, pooling (no padding): of the square window */
    activation_t activation;        /* dense, convolution */
    double dropout; /* dense, convolution: part of the outputs that training drops */
} model_layer_t;

/* A plain value, copied freely. */
typedef struct {
    uint32_t n_inputs;
    uint32_t n_layers;
    model_layer_t layers[MODEL_MAX_LAYERS];
    loss_t loss;
    bool weighted; /* class_weights(classes) count; else every class counts as 1 */
    float class_weights[MODEL_MAX_CLASSES];
} model_t;

typedef struct {
    uint32_t height, width, channels;
} model_shape_t;

typedef enum {
    MODEL_INIT_UNIFORM, /* all parameters in [-1/2, 1/2) */
    MODEL_INIT_GLOROT, /* W in [-r, r), r = sqrt(6 / (fan in + fan out)); b = 0: Glorot, Bengio 2010
                        */
    MODEL_INIT_HE,     /* W in [-r, r), r = sqrt(6 / fan in); b = 0: He, Zhang, Ren, Sun 2015 */
} model_init_t;

/* Checks all bounds and that the layers fit. Returns 0, or -1 with *err naming the layer. */
int model_check(const model_t *self, err_t *err);

/* Are two that were checked the same in all? */
bool model_same(const model_t *a, const model_t *b);

uint32_t model_classes(const model_t *self);
size_t model_params(const model_t *self);

/* Where layer l's W and b start in the parameter vector; its numbers of inputs and outputs. */
size_t model_weight_offset(const model_t *self, uint32_t l);
size_t model_bias_offset(const model_t *self, uint32_t l);
size_t model_layer_inputs(const model_t *self, uint32_t l);
size_t model_layer_outputs(const model_t *self, uint32_t l);

/* Rows of W: how many inputs a unit sees. 0 of pooling. */
size_t model_fan_in(const model_t *self, uint32_t l);

/* The images that layer l takes; l = n_layers: what the last one gives. A dense layer gives 1 x 1
 * images of `units` channels. The input is square with 1 or 3 channels if it can be, and 1 x 1 if
 * not. */
model_shape_t model_shape(const model_t *self, uint32_t l);

/* "conv", "dense", "max_pool"; and back: 0, or -1 when there is none. */
const char *model_kind_name(layer_kind_t kind);
int model_kind_parse(const char *name, layer_kind_t *kind);

/* For messages: "784-64 tanh-10 sigmoid". */
void model_describe(const model_t *self, char *text, size_t size);

/* params(P), a function of network, kind and seed alone. */
void model_init(const model_t *self, model_init_t init, uint64_t seed, float *params);

#endif
