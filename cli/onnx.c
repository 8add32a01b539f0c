/* See onnx.h. The numbers of fields are those of onnx.proto, of whose messages a network needs a
 * few: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto */
#include "cli/onnx.h"

#include <inttypes.h>
#include <stdio.h>

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

    TENSOR_DIMS = 1,
    TENSOR_TYPE = 2,
    TENSOR_NAME = 8,
    TENSOR_RAW_DATA = 9,
    TENSOR_TYPE_FLOAT = 1,

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

/* The operator of an activation. */
static const char *const s_activations[ACTIVATION_COUNT] = {
    [ACTIVATION_TANH] = "Tanh",
    [ACTIVATION_SIGMOID] = "Sigmoid",
    [ACTIVATION_RELU] = "Relu",
    [ACTIVATION_LEAKY_RELU] = "LeakyRelu", /* by 0.01 if it is not said */
    [ACTIVATION_SOFTMAX] = "Softmax",      /* of the last axis if it is not said */
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

/* A node with one output and the name of that; NULL ends the inputs. */
static void s_node(protobuf_t *out, const char *operator, const char * const * inputs,
                   const char *output)
{
    size_t node = protobuf_begin(out, GRAPH_NODE);
    for (; *inputs; inputs++)
        protobuf_text(out, NODE_INPUT, *inputs);
    protobuf_text(out, NODE_OUTPUT, output);
    protobuf_text(out, NODE_NAME, output);
    protobuf_text(out, NODE_OPERATOR, operator);
    protobuf_end(out, node);
}

static void s_initializer(protobuf_t *out, const char *name, const size_t *shape, size_t n_dims,
                          const float *data)
{
    size_t n_values = 1;
    size_t tensor = protobuf_begin(out, GRAPH_INITIALIZER);
    for (size_t i = 0; i < n_dims; i++) {
        protobuf_number(out, TENSOR_DIMS, shape[i]);
        n_values *= shape[i];
    }
    protobuf_number(out, TENSOR_TYPE, TENSOR_TYPE_FLOAT);
    protobuf_text(out, TENSOR_NAME, name);
    protobuf_bytes(out, TENSOR_RAW_DATA, data, n_values * sizeof(float));
    protobuf_end(out, tensor);
}

/* f(x W + b) */
static void s_dense_nodes(protobuf_t *out, const model_t *model, uint32_t l)
{
    char input[NAME_SIZE], weight[NAME_SIZE], bias[NAME_SIZE], sum[NAME_SIZE], output[NAME_SIZE];
    s_input_name(model, l, input);
    s_name(l, "weight", weight);
    s_name(l, "bias", bias);
    s_name(l, "sum", sum);
    s_output_name(model, l, output);
    s_node(out, "Gemm", (const char *[]){input, weight, bias, NULL}, sum);
    s_node(out, s_activations[model->layers[l].activation], (const char *[]){sum, NULL}, output);
}

static void s_dense_weights(protobuf_t *out, const model_t *model, uint32_t l, const float *params)
{
    char name[NAME_SIZE];
    const size_t shape[2] = {model_layer_inputs(model, l), model->layers[l].units};
    s_name(l, "weight", name);
    s_initializer(out, name, shape, 2, params + model_weight_offset(model, l));
    s_name(l, "bias", name);
    s_initializer(out, name, shape + 1, 1, params + model_bias_offset(model, l));
}

/* A kind of layer: what it computes, from s_input_name to s_output_name, and its weights. */
typedef struct {
    void (*nodes)(protobuf_t *out, const model_t *model, uint32_t l);
    void (*weights)(protobuf_t *out, const model_t *model, uint32_t l, const float *params);
} kind_t;

static const kind_t s_kinds[LAYER_KIND_COUNT] = {
    [LAYER_DENSE] = {s_dense_nodes, s_dense_weights},
};

static const kind_t *s_kind(const model_t *model, uint32_t l)
{
    return &s_kinds[model->layers[l].kind];
}

static int s_check(const char *path, const model_t *model, err_t *err)
{
    for (uint32_t l = 0; l < model->n_layers; l++) {
        const model_layer_t *layer = &model->layers[l];
        if (!s_kind(model, l)->nodes)
            return err_set(err, "%s: layer %u is a %s, expected dense layers", path, l + 1,
                           model_kind_name(layer->kind));
        if (!s_activations[layer->activation])
            return err_set(err, "%s: layer %u has the activation %s, which ONNX %d has not", path,
                           l + 1, activation_name(layer->activation), OPSET);
    }
    return 0;
}

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
    for (uint32_t l = 0; l < model->n_layers; l++)
        s_kind(model, l)->nodes(out, model, l);
    protobuf_text(out, GRAPH_NAME, "drover");
    for (uint32_t l = 0; l < model->n_layers; l++)
        s_kind(model, l)->weights(out, model, l, params);
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
    if (s_check(path, &info->model, err) != 0)
        return -1;
    protobuf_t out = {0};
    s_model(&out, info, params);
    file_part_t part = {out.bytes, out.size};
    int r = file_write_atomic(path, &part, 1, err);
    protobuf_clear(&out);
    return r;
}
