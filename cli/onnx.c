/* See onnx.h. The numbers of fields are those of onnx.proto, of whose messages a network needs a
 * few: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto */
#include "cli/onnx.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/file.h"
#include "data/protobuf.h"

#define IR_VERSION 7 /* of ONNX 1.8, the first with opset 13 */
#define OPSET      13

#define INPUT  "images"
#define OUTPUT "scores"

/* A message of Protocol Buffers has at most 2 GiB; the rest is for all but the weights. */
#define MAX_WEIGHT_BYTES (((size_t)1 << 31) - ((size_t)1 << 20))

#define NAME_SIZE 48

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw_data is little-endian");

enum {
    MODEL_IR_VERSION = 1,
    MODEL_PRODUCER_NAME = 2,
    MODEL_PRODUCER_VERSION = 3,
    MODEL_DOC = 6,
    MODEL_GRAPH = 7,
    MODEL_OPSET = 8,
    MODEL_METADATA = 14,

    ENTRY_KEY = 1,
    ENTRY_VALUE = 2,

    OPSET_VERSION = 2,

    GRAPH_NODE = 1,
    GRAPH_NAME = 2,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,

    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_OPERATOR = 4,
    NODE_ATTRIBUTE = 5,

    ATTRIBUTE_NAME = 1,
    ATTRIBUTE_INT = 3,
    ATTRIBUTE_INTS = 8,
    ATTRIBUTE_TYPE = 20,
    ATTRIBUTE_TYPE_INT = 2,
    ATTRIBUTE_TYPE_INTS = 7,

    TENSOR_DIMS = 1,
    TENSOR_TYPE = 2,
    TENSOR_NAME = 8,
    TENSOR_RAW_DATA = 9,
    TENSOR_TYPE_FLOAT = 1,
    TENSOR_TYPE_INT64 = 7,

    VALUE_NAME = 1,
    VALUE_TYPE = 2,
    VALUE_DOC = 3,

    TYPE_TENSOR = 1,
    TYPE_TENSOR_ELEMENT = 1,
    TYPE_TENSOR_SHAPE = 2,

    SHAPE_DIM = 1,
    DIM_VALUE = 1,
    DIM_NAME = 2,
};

/* "layer3.weight" for the layer with index 2. */
static void s_name(uint32_t l, const char *what, char name[NAME_SIZE])
{
    (void)snprintf(name, NAME_SIZE, "layer%u.%s", l + 1, what);
}

/* What layer l gives, the network's own output if it is the last. */
static void s_output_name(const model_t *model, uint32_t l, char name[NAME_SIZE])
{
    if (l + 1 == model->n_layers)
        (void)snprintf(name, NAME_SIZE, OUTPUT);
    else
        s_name(l, "output", name);
}

static void s_input_name(const model_t *model, uint32_t l, char name[NAME_SIZE])
{
    if (l == 0)
        (void)snprintf(name, NAME_SIZE, INPUT);
    else
        s_output_name(model, l - 1, name);
}

/* One number if n is 1, else a list of them. */
typedef struct {
    const char *name; /* NULL ends a node's attributes */
    uint32_t n;
    uint32_t values[4];
} attribute_t;

static const attribute_t s_to_channels_first[] = {{"perm", 4, {0, 3, 1, 2}}, {NULL}};
static const attribute_t s_to_channels_last[] = {{"perm", 4, {0, 2, 3, 1}}, {NULL}};

static void s_attribute(protobuf_t *out, const attribute_t *self)
{
    bool list = self->n > 1;
    size_t attribute = protobuf_begin(out, NODE_ATTRIBUTE);
    protobuf_text(out, ATTRIBUTE_NAME, self->name);
    for (uint32_t i = 0; i < self->n; i++)
        protobuf_number(out, list ? ATTRIBUTE_INTS : ATTRIBUTE_INT, self->values[i]);
    protobuf_number(out, ATTRIBUTE_TYPE, list ? ATTRIBUTE_TYPE_INTS : ATTRIBUTE_TYPE_INT);
    protobuf_end(out, attribute);
}

/* A node with one output and the name of that; NULL ends the inputs, and is no attributes. */
static void s_node(protobuf_t *out, const char *operator, const char * const * inputs,
                   const char *output, const attribute_t *attributes)
{
    size_t node = protobuf_begin(out, GRAPH_NODE);
    for (; *inputs; inputs++)
        protobuf_text(out, NODE_INPUT, *inputs);
    protobuf_text(out, NODE_OUTPUT, output);
    protobuf_text(out, NODE_NAME, output);
    protobuf_text(out, NODE_OPERATOR, operator);
    for (; attributes && attributes->name; attributes++)
        s_attribute(out, attributes);
    protobuf_end(out, node);
}

#define INPUTS(...) ((const char *[]){__VA_ARGS__, NULL})

static void s_tensor(protobuf_t *out, const char *name, unsigned type, const size_t *shape,
                     size_t n_dims, const void *data, size_t value_size)
{
    size_t n_values = 1;
    size_t tensor = protobuf_begin(out, GRAPH_INITIALIZER);
    for (size_t i = 0; i < n_dims; i++) {
        protobuf_number(out, TENSOR_DIMS, shape[i]);
        n_values *= shape[i];
    }
    protobuf_number(out, TENSOR_TYPE, type);
    protobuf_text(out, TENSOR_NAME, name);
    protobuf_bytes(out, TENSOR_RAW_DATA, data, n_values * value_size);
    protobuf_end(out, tensor);
}

static void s_floats(protobuf_t *out, const char *name, const size_t *shape, size_t n_dims,
                     const float *data)
{
    s_tensor(out, name, TENSOR_TYPE_FLOAT, shape, n_dims, data, sizeof(float));
}

/* input(N, ...) as output(N, shape). */
static void s_reshape(protobuf_t *out, uint32_t l, const char *input, const uint32_t *shape,
                      size_t n_dims, const char *output)
{
    char name[NAME_SIZE];
    int64_t dims[4] = {0}; /* the first is 0: stays as it is */
    size_t n_values = n_dims + 1;
    for (size_t i = 0; i < n_dims; i++)
        dims[i + 1] = shape[i];
    s_name(l, "shape", name);
    s_tensor(out, name, TENSOR_TYPE_INT64, &n_values, 1, dims, sizeof(dims[0]));
    s_node(out, "Reshape", INPUTS(input, name), output, NULL);
}

/* What layer l takes, as it takes it: (N, channels, height, width) of a window, (N, inputs) of a
 * dense layer. So do layers give it, but a row has the numbers of (height, width, channels). */
static void s_take(protobuf_t *out, const model_t *model, uint32_t l, char name[NAME_SIZE])
{
    bool given = l > 0 && model->layers[l - 1].kind != LAYER_DENSE;
    bool wanted = model->layers[l].kind != LAYER_DENSE;
    const model_shape_t in = model_shape(model, l);
    char given_name[NAME_SIZE], between[NAME_SIZE];
    s_input_name(model, l, given_name);
    s_name(l, "channels_last", between);
    s_name(l, "input", name);
    if (wanted && !given) {
        s_reshape(out, l, given_name, (uint32_t[]){in.height, in.width, in.channels}, 3, between);
        s_node(out, "Transpose", INPUTS(between), name, s_to_channels_first);
    } else if (given && !wanted) {
        s_node(out, "Transpose", INPUTS(given_name), between, s_to_channels_last);
        s_reshape(out, l, between, (uint32_t[]){in.height * in.width * in.channels}, 1, name);
    } else {
        s_input_name(model, l, name);
    }
}

/* z / 2 (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))): opset 13 has no operator for it. */
static void s_gelu(protobuf_t *out, uint32_t l, const char *output)
{
    static const struct {
        const char *name;
        float value;
    } constants[] = {
        {"gelu_cubic", 0.044715f},
        {"gelu_scale", 0.79788456080286536f},
        {"gelu_one", 1.0f},
        {"gelu_half", 0.5f},
    };
    static const struct {
        const char *operator, * a, *b, *result;
    } steps[] = {
        {"Mul", "sum", "sum", "gelu_z2"},
        {"Mul", "gelu_z2", "sum", "gelu_z3"},
        {"Mul", "gelu_z3", "gelu_cubic", "gelu_bend"},
        {"Add", "sum", "gelu_bend", "gelu_bent"},
        {"Mul", "gelu_bent", "gelu_scale", "gelu_scaled"},
        {"Tanh", "gelu_scaled", NULL, "gelu_tanh"},
        {"Add", "gelu_tanh", "gelu_one", "gelu_part"},
        {"Mul", "sum", "gelu_half", "gelu_z_half"},
        {"Mul", "gelu_z_half", "gelu_part", NULL},
    };
    char a[NAME_SIZE], b[NAME_SIZE], result[NAME_SIZE];
    for (size_t i = 0; i < ARRAY_COUNT(constants); i++) {
        s_name(l, constants[i].name, a);
        s_floats(out, a, NULL, 0, &constants[i].value);
    }
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        s_name(l, steps[i].a, a);
        s_name(l, steps[i].b ? steps[i].b : "", b);
        s_name(l, steps[i].result ? steps[i].result : "", result);
        s_node(out, steps[i].operator, INPUTS(a, steps[i].b ? b : NULL),
               steps[i].result ? result : output, NULL);
    }
}

/* From the layer's sum to what it gives. */
static void s_activation(protobuf_t *out, const model_t *model, uint32_t l)
{
    /* the axis of units as of channels */
    static const attribute_t softmax[] = {{"axis", 1, {1}}, {NULL}};
    static const struct {
        const char *operator; /* NULL: s_gelu */
        const attribute_t *attributes;
    } activations[ACTIVATION_COUNT] = {
        [ACTIVATION_TANH] = {"Tanh", NULL},
        [ACTIVATION_SIGMOID] = {"Sigmoid", NULL},
        [ACTIVATION_RELU] = {"Relu", NULL},
        [ACTIVATION_LEAKY_RELU] = {"LeakyRelu", NULL}, /* by 0.01 if it is not said */
        [ACTIVATION_GELU] = {NULL, NULL},
        [ACTIVATION_SOFTMAX] = {"Softmax", softmax},
    };
    activation_t activation = model->layers[l].activation;
    char sum[NAME_SIZE], output[NAME_SIZE];
    s_name(l, "sum", sum);
    s_output_name(model, l, output);
    if (activations[activation].operator)
        s_node(out, activations[activation].operator, INPUTS(sum), output,
               activations[activation].attributes);
    else
        s_gelu(out, l, output);
}

/* f(x W + b), of images f(W * x + b): the weights (with this shape), the sum and its activation. */
static void s_sum(protobuf_t *out, const model_t *model, uint32_t l, const char *operator,
                  const attribute_t * attributes, const size_t *shape, size_t n_dims,
                  const float *weights, const float *params)
{
    char input[NAME_SIZE], weight[NAME_SIZE], bias[NAME_SIZE], sum[NAME_SIZE];
    const size_t units = model->layers[l].units;
    s_name(l, "weight", weight);
    s_name(l, "bias", bias);
    s_name(l, "sum", sum);
    s_take(out, model, l, input);
    s_floats(out, weight, shape, n_dims, weights);
    s_floats(out, bias, &units, 1, params + model_bias_offset(model, l));
    s_node(out, operator, INPUTS(input, weight, bias), sum, attributes);
    s_activation(out, model, l);
}

static void s_dense(protobuf_t *out, const model_t *model, uint32_t l, const float *params)
{
    const size_t shape[2] = {model_layer_inputs(model, l), model->layers[l].units};
    s_sum(out, model, l, "Gemm", NULL, shape, 2, params + model_weight_offset(model, l), params);
}

/* W(window, channels, filters) as (filters, channels, window), the caller's. */
static float *s_turned(const float *W, size_t window, size_t channels, size_t filters)
{
    float *turned = malloc(window * channels * filters * sizeof(float));
    if (!turned)
        abort();
    for (size_t i = 0; i < window; i++)
        for (size_t c = 0; c < channels; c++)
            for (size_t f = 0; f < filters; f++)
                turned[(f * channels + c) * window + i] = W[(i * channels + c) * filters + f];
    return turned;
}

static void s_conv(protobuf_t *out, const model_t *model, uint32_t l, const float *params)
{
    const model_layer_t *layer = &model->layers[l];
    const uint32_t size = layer->size, stride = layer->stride, padding = layer->padding;
    const attribute_t attributes[] = {{"kernel_shape", 2, {size, size}},
                                      {"strides", 2, {stride, stride}},
                                      {"pads", 4, {padding, padding, padding, padding}},
                                      {NULL}};
    const size_t shape[4] = {layer->units, model_shape(model, l).channels, size, size};
    float *weights = s_turned(params + model_weight_offset(model, l), (size_t)size * size, shape[1],
                              layer->units);
    s_sum(out, model, l, "Conv", attributes, shape, 4, weights, params);
    free(weights);
}

static void s_max_pool(protobuf_t *out, const model_t *model, uint32_t l, const float *params)
{
    (void)params;
    const model_layer_t *layer = &model->layers[l];
    const attribute_t attributes[] = {{"kernel_shape", 2, {layer->size, layer->size}},
                                      {"strides", 2, {layer->stride, layer->stride}},
                                      {NULL}};
    char input[NAME_SIZE], output[NAME_SIZE];
    s_output_name(model, l, output);
    s_take(out, model, l, input);
    s_node(out, "MaxPool", INPUTS(input), output, attributes);
}

/* What each kind of layer is: its nodes, from s_take to s_output_name, and its weights. */
static void (*const s_kinds[LAYER_KIND_COUNT])(protobuf_t *out, const model_t *model, uint32_t l,
                                               const float *params) = {
    [LAYER_DENSE] = s_dense,
    [LAYER_CONV] = s_conv,
    [LAYER_MAX_POOL] = s_max_pool,
};

/* float (N, width) */
static void s_value(protobuf_t *out, unsigned field, const char *name, size_t width,
                    const char *doc)
{
    size_t value = protobuf_begin(out, field);
    protobuf_text(out, VALUE_NAME, name);
    size_t type = protobuf_begin(out, VALUE_TYPE);
    size_t tensor = protobuf_begin(out, TYPE_TENSOR);
    protobuf_number(out, TYPE_TENSOR_ELEMENT, TENSOR_TYPE_FLOAT);
    size_t shape = protobuf_begin(out, TYPE_TENSOR_SHAPE);
    size_t dim = protobuf_begin(out, SHAPE_DIM);
    protobuf_text(out, DIM_NAME, "N");
    protobuf_end(out, dim);
    dim = protobuf_begin(out, SHAPE_DIM);
    protobuf_number(out, DIM_VALUE, width);
    protobuf_end(out, dim);
    protobuf_end(out, shape);
    protobuf_end(out, tensor);
    protobuf_end(out, type);
    protobuf_text(out, VALUE_DOC, doc);
    protobuf_end(out, value);
}

static void s_graph(protobuf_t *out, const model_t *model, const float *params)
{
    size_t graph = protobuf_begin(out, MODEL_GRAPH);
    protobuf_text(out, GRAPH_NAME, "drover");
    for (uint32_t l = 0; l < model->n_layers; l++)
        s_kinds[model->layers[l].kind](out, model, l, params);
    s_value(out, GRAPH_INPUT, INPUT, model->n_inputs,
            "A row per image, row by row from the top; each number is a byte / 255, in [0, 1]. 0 "
            "is black, the background of MNIST's digits.");
    s_value(out, GRAPH_OUTPUT, OUTPUT, model_classes(model),
            "A number per class; the class is the index of the largest.");
    protobuf_end(out, graph);
}

static void s_metadata(protobuf_t *out, const char *key, const char *value)
{
    size_t entry = protobuf_begin(out, MODEL_METADATA);
    protobuf_text(out, ENTRY_KEY, key);
    protobuf_text(out, ENTRY_VALUE, value);
    protobuf_end(out, entry);
}

static void s_metadata_number(protobuf_t *out, const char *key, uint64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    s_metadata(out, key, text);
}

static void s_model(protobuf_t *out, const checkpoint_info_t *info, const float *params)
{
    char network[512];
    model_describe(&info->model, network, sizeof(network));
    protobuf_number(out, MODEL_IR_VERSION, IR_VERSION);
    protobuf_text(out, MODEL_PRODUCER_NAME, "drover");
    protobuf_text(out, MODEL_PRODUCER_VERSION, DROVER_VERSION);
    protobuf_text(out, MODEL_DOC, "Classifies images; takes raw pixels in [0, 1].");
    s_graph(out, &info->model, params);
    size_t opset = protobuf_begin(out, MODEL_OPSET);
    protobuf_number(out, OPSET_VERSION, OPSET);
    protobuf_end(out, opset);
    s_metadata(out, "drover_version", DROVER_VERSION);
    s_metadata_number(out, "classes", model_classes(&info->model));
    s_metadata_number(out, "inputs", info->model.n_inputs);
    s_metadata(out, "input_range", "[0, 1]");
    s_metadata(out, "network", network);
    s_metadata_number(out, "step", info->step);
    s_metadata_number(out, "seed", info->seed);
    s_metadata(out, "data_digest", info->digest);
    s_metadata(out, "kernel", info->kernel);
}

int onnx_write(const char *path, const checkpoint_info_t *info, const float *params, err_t *err)
{
    size_t bytes = model_params(&info->model) * sizeof(float);
    if (bytes > MAX_WEIGHT_BYTES)
        return err_set(err, "%s: weights of %zu bytes, expected at most %zu in an ONNX file", path,
                       bytes, MAX_WEIGHT_BYTES);
    protobuf_t out = {0};
    s_model(&out, info, params);
    file_part_t part = {out.bytes, out.size};
    int r = file_write_atomic(path, &part, 1, err);
    protobuf_clear(&out);
    return r;
}
