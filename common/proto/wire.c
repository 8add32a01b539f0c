/* See wire.h. The only file that knows MessagePack. */
#include "proto/wire.h"

#include <assert.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/array.h"
#include "proto/wire_bounds.h"

#define MAGIC     "drover"
#define N_HEADER  8
#define MAX_DEPTH 4

struct wire_buffer {
    msgpack_sbuffer bytes; /* owned */
    msgpack_packer packer;
    msgpack_unpacked unpacked; /* owned; keeps a decoded header's objects until the next decode */
};

wire_buffer_t *wire_buffer_new(void)
{
    wire_buffer_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    msgpack_sbuffer_init(&self->bytes);
    msgpack_packer_init(&self->packer, &self->bytes, msgpack_sbuffer_write);
    msgpack_unpacked_init(&self->unpacked);
    return self;
}

void wire_buffer_destroy(wire_buffer_t **self_p)
{
    wire_buffer_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    msgpack_sbuffer_destroy(&self->bytes);
    msgpack_unpacked_destroy(&self->unpacked);
    free(self);
}

void wire_clear(wire_t *self)
{
    free(self->ranges);
    memset(self, 0, sizeof(*self));
}

const char *wire_status_text(wire_status_t status)
{
    switch (status) {
    case WIRE_OK:
        return "ok";
    case WIRE_BAD_BYTES:
        return "not a well-formed MessagePack header";
    case WIRE_BAD_MAGIC:
        return "not a message of drover";
    case WIRE_BAD_VERSION:
        return "another protocol version";
    case WIRE_BAD_TYPE:
        return "unknown message type";
    case WIRE_BAD_FIELD:
        return "a field is missing, of another type or out of bounds";
    case WIRE_BAD_FRAME:
        return "the frame is not what the header says";
    }
    return "?";
}

/* The flat table of message types: name, number of fields, frame. */
static const struct {
    const char *name;
    uint32_t n_fields;
    bool has_frame;
} s_types[] = {
    [WIRE_HELLO] = {"HELLO", 5, false},
    [WIRE_WELCOME] = {"WELCOME", 13, false},
    [WIRE_REFUSED] = {"REFUSED", 3, false},
    [WIRE_READY] = {"READY", 2, false},
    [WIRE_HEARTBEAT] = {"HEARTBEAT", 1, false},
    [WIRE_BYE] = {"BYE", 0, false},
    [WIRE_REJOIN] = {"REJOIN", 0, false},
    [WIRE_ASSIGN] = {"ASSIGN", 1, false},
    [WIRE_END] = {"END", 0, false},
    [WIRE_STEP] = {"STEP", 1, true},
    [WIRE_PARTIAL] = {"PARTIAL", 6, true},
    [WIRE_FETCH] = {"FETCH", 2, false},
    [WIRE_ROWS] = {"ROWS", 3, true},
};
#define N_TYPES (sizeof(s_types) / sizeof(s_types[0]))

const char *wire_type_name(wire_type_t type)
{
    return (size_t)type < N_TYPES && s_types[type].name ? s_types[type].name : "?";
}

bool wire_has_frame(wire_type_t type)
{
    return s_types[type].has_frame;
}

/* Encoding */

static void s_put_uint(msgpack_packer *p, uint64_t value)
{
    msgpack_pack_uint64(p, value);
}

static void s_put_text(msgpack_packer *p, const char *text)
{
    msgpack_pack_str_with_body(p, text, strlen(text));
}

static void s_put_model(msgpack_packer *p, const model_t *model)
{
    s_put_uint(p, model->n_inputs);
    msgpack_pack_array(p, model->n_layers);
    for (uint32_t l = 0; l < model->n_layers; l++) {
        msgpack_pack_array(p, 2);
        s_put_uint(p, model->layers[l].units);
        s_put_text(p, activation_name(model->layers[l].activation));
    }
}

static void s_put_welcome(msgpack_packer *p, const wire_welcome_t *welcome)
{
    s_put_uint(p, welcome->worker);
    s_put_model(p, &welcome->model);
    s_put_uint(p, welcome->sampler.seed);
    msgpack_pack_double(p, welcome->sampler.fraction);
    s_put_uint(p, welcome->sampler.n_rows);
    s_put_uint(p, welcome->sampler.block_rows);
    s_put_text(p, welcome->digest);
    s_put_text(p, welcome->kernel);
    s_put_uint(p, welcome->heartbeat_ms);
    s_put_text(p, welcome->data);
    s_put_text(p, welcome->weights);
    s_put_text(p, welcome->gradients);
}

static void s_put_fields(msgpack_packer *p, const wire_t *message)
{
    switch (message->type) {
    case WIRE_HELLO:
        s_put_text(p, message->hello.name);
        s_put_text(p, message->hello.host);
        s_put_text(p, message->hello.kernel);
        s_put_uint(p, message->hello.threads);
        s_put_text(p, message->hello.digest);
        break;
    case WIRE_WELCOME:
        s_put_welcome(p, &message->welcome);
        break;
    case WIRE_REFUSED:
        s_put_uint(p, message->refusal.reason);
        s_put_text(p, message->refusal.kernel);
        s_put_text(p, message->refusal.text);
        break;
    case WIRE_READY:
        s_put_uint(p, message->ready.n_params);
        s_put_text(p, message->ready.digest);
        break;
    case WIRE_HEARTBEAT:
        s_put_uint(p, message->heartbeat.newest_step);
        break;
    case WIRE_STEP:
    case WIRE_ASSIGN:
        msgpack_pack_array(p, message->n_ranges * 3);
        for (uint32_t i = 0; i < message->n_ranges; i++) {
            s_put_uint(p, message->ranges[i].worker);
            s_put_uint(p, message->ranges[i].first);
            s_put_uint(p, message->ranges[i].end);
        }
        break;
    case WIRE_PARTIAL:
        s_put_uint(p, message->partial.worker);
        s_put_uint(p, message->partial.node.level);
        s_put_uint(p, message->partial.node.index);
        msgpack_pack_double(p, message->partial.cost);
        s_put_uint(p, message->partial.correct);
        s_put_uint(p, message->partial.rows);
        break;
    case WIRE_FETCH:
        s_put_uint(p, message->fetch.first);
        s_put_uint(p, message->fetch.n_rows);
        break;
    case WIRE_ROWS:
        s_put_uint(p, message->rows.first);
        s_put_uint(p, message->rows.n_rows);
        msgpack_pack_bin_with_body(p, message->rows.labels, message->rows.n_rows);
        break;
    case WIRE_BYE:
    case WIRE_REJOIN:
    case WIRE_END:
        break;
    }
}

void wire_encode(wire_buffer_t *buffer, const wire_t *message, const void *frame, size_t frame_size,
                 const void **header, size_t *header_size)
{
    assert((size_t)message->type < N_TYPES && s_types[message->type].name);
    assert(wire_has_frame(message->type) == (frame != NULL));
    msgpack_packer *p = &buffer->packer;
    msgpack_sbuffer_clear(&buffer->bytes);
    msgpack_pack_array(p, N_HEADER);
    s_put_text(p, MAGIC);
    s_put_uint(p, WIRE_VERSION);
    s_put_uint(p, message->type);
    s_put_uint(p, message->run);
    s_put_uint(p, message->incarnation);
    s_put_uint(p, message->step);
    s_put_uint(p, frame ? wire_digest(frame, frame_size) : 0);
    msgpack_pack_array(p, s_types[message->type].n_fields);
    s_put_fields(p, message);
    *header = buffer->bytes.data;
    *header_size = buffer->bytes.size;
}

/* Decoding: a reader takes an array's elements one after the other. Any that does not fit sets
 * `bad`, and what follows reads as nothing, so that it is enough to ask once at the end. */
typedef struct {
    const msgpack_object *at;
    uint32_t left;
    bool bad;
} reader_t;

static const msgpack_object *s_take(reader_t *reader, msgpack_object_type type)
{
    if (reader->bad || reader->left == 0 || reader->at->type != type) {
        reader->bad = true;
        return NULL;
    }
    reader->left--;
    return reader->at++;
}

static reader_t s_take_array(reader_t *reader)
{
    const msgpack_object *object = s_take(reader, MSGPACK_OBJECT_ARRAY);
    if (!object)
        return (reader_t){NULL, 0, true};
    return (reader_t){object->via.array.ptr, object->via.array.size, false};
}

static uint64_t s_take_uint(reader_t *reader, uint64_t max)
{
    const msgpack_object *object = s_take(reader, MSGPACK_OBJECT_POSITIVE_INTEGER);
    if (!object)
        return 0;
    if (object->via.u64 > max) {
        reader->bad = true;
        return 0;
    }
    return object->via.u64;
}

static uint32_t s_take_u32(reader_t *reader)
{
    return (uint32_t)s_take_uint(reader, UINT32_MAX);
}

static double s_take_double(reader_t *reader)
{
    const msgpack_object *object = s_take(reader, MSGPACK_OBJECT_FLOAT64);
    return object ? object->via.f64 : 0.0;
}

/* Texts go into logs: anything but printable ASCII becomes '?'. */
static void s_take_text(reader_t *reader, char *text, size_t size)
{
    text[0] = '\0';
    const msgpack_object *object = s_take(reader, MSGPACK_OBJECT_STR);
    if (!object)
        return;
    if (object->via.str.size >= size) {
        reader->bad = true;
        return;
    }
    for (uint32_t i = 0; i < object->via.str.size; i++) {
        char c = object->via.str.ptr[i];
        text[i] = (char)(c >= 0x20 && c < 0x7f ? c : '?');
    }
    text[object->via.str.size] = '\0';
}

static void s_take_model(reader_t *reader, model_t *model)
{
    memset(model, 0, sizeof(*model));
    model->n_inputs = s_take_u32(reader);
    reader_t layers = s_take_array(reader);
    if (layers.bad || layers.left > MODEL_MAX_LAYERS) {
        reader->bad = true;
        return;
    }
    model->n_layers = layers.left;
    for (uint32_t l = 0; l < model->n_layers; l++) {
        reader_t layer = s_take_array(&layers);
        char name[16];
        model->layers[l].units = s_take_u32(&layer);
        s_take_text(&layer, name, sizeof(name));
        if (layer.bad || layer.left > 0 ||
            activation_parse(name, &model->layers[l].activation) != 0) {
            reader->bad = true;
            return;
        }
    }
    if (model_check(model, NULL) != 0)
        reader->bad = true;
}

static void s_take_welcome(reader_t *reader, wire_welcome_t *welcome)
{
    welcome->worker = s_take_u32(reader);
    s_take_model(reader, &welcome->model);
    welcome->sampler.seed = s_take_uint(reader, UINT64_MAX);
    welcome->sampler.fraction = s_take_double(reader);
    welcome->sampler.n_rows = s_take_u32(reader);
    welcome->sampler.block_rows = s_take_u32(reader);
    s_take_text(reader, welcome->digest, sizeof(welcome->digest));
    s_take_text(reader, welcome->kernel, sizeof(welcome->kernel));
    welcome->heartbeat_ms = s_take_u32(reader);
    s_take_text(reader, welcome->data, sizeof(welcome->data));
    s_take_text(reader, welcome->weights, sizeof(welcome->weights));
    s_take_text(reader, welcome->gradients, sizeof(welcome->gradients));
    if (!(welcome->sampler.fraction > 0 && welcome->sampler.fraction <= 1) ||
        welcome->sampler.n_rows < 1 || welcome->sampler.block_rows < 1 ||
        welcome->sampler.block_rows > 65536 || welcome->heartbeat_ms < 1 ||
        sampler_blocks(&welcome->sampler) > WIRE_MAX_BLOCKS)
        reader->bad = true;
}

static void s_take_ranges(reader_t *reader, wire_t *message)
{
    reader_t ranges = s_take_array(reader);
    uint32_t n = ranges.left / 3;
    if (ranges.bad || ranges.left % 3 != 0 || n > WIRE_MAX_ASSIGNMENTS) {
        reader->bad = true;
        return;
    }
    message->ranges =
        array_room(message->ranges, n, &message->ranges_room, sizeof(*message->ranges));
    message->n_ranges = n;
    for (uint32_t i = 0; i < n; i++) {
        message->ranges[i].worker = s_take_u32(&ranges);
        message->ranges[i].first = s_take_u32(&ranges);
        message->ranges[i].end = s_take_u32(&ranges);
        if (message->ranges[i].first >= message->ranges[i].end)
            reader->bad = true;
    }
    reader->bad |= ranges.bad;
}

static void s_take_rows(reader_t *reader, wire_rows_t *rows)
{
    rows->first = s_take_u32(reader);
    rows->n_rows = (uint32_t)s_take_uint(reader, WIRE_MAX_ROWS);
    const msgpack_object *labels = s_take(reader, MSGPACK_OBJECT_BIN);
    if (!labels || labels->via.bin.size != rows->n_rows || rows->n_rows == 0) {
        reader->bad = true;
        return;
    }
    rows->labels = (const uint8_t *)labels->via.bin.ptr;
}

static void s_take_fields(reader_t *reader, wire_t *message)
{
    switch (message->type) {
    case WIRE_HELLO:
        s_take_text(reader, message->hello.name, sizeof(message->hello.name));
        s_take_text(reader, message->hello.host, sizeof(message->hello.host));
        s_take_text(reader, message->hello.kernel, sizeof(message->hello.kernel));
        message->hello.threads = (uint32_t)s_take_uint(reader, 65536);
        s_take_text(reader, message->hello.digest, sizeof(message->hello.digest));
        break;
    case WIRE_WELCOME:
        s_take_welcome(reader, &message->welcome);
        break;
    case WIRE_REFUSED:
        message->refusal.reason = (wire_refused_t)s_take_uint(reader, WIRE_REFUSED_QUARANTINE);
        reader->bad |= message->refusal.reason < WIRE_REFUSED_VERSION;
        s_take_text(reader, message->refusal.kernel, sizeof(message->refusal.kernel));
        s_take_text(reader, message->refusal.text, sizeof(message->refusal.text));
        break;
    case WIRE_READY:
        message->ready.n_params = s_take_uint(reader, UINT64_MAX);
        s_take_text(reader, message->ready.digest, sizeof(message->ready.digest));
        break;
    case WIRE_HEARTBEAT:
        message->heartbeat.newest_step = s_take_u32(reader);
        break;
    case WIRE_STEP:
    case WIRE_ASSIGN:
        s_take_ranges(reader, message);
        break;
    case WIRE_PARTIAL:
        message->partial.worker = s_take_u32(reader);
        message->partial.node.level = (uint32_t)s_take_uint(reader, 32);
        message->partial.node.index = s_take_u32(reader);
        message->partial.cost = s_take_double(reader);
        message->partial.correct = s_take_uint(reader, UINT64_MAX);
        message->partial.rows = s_take_uint(reader, UINT64_MAX);
        break;
    case WIRE_FETCH:
        message->fetch.first = s_take_u32(reader);
        message->fetch.n_rows = (uint32_t)s_take_uint(reader, WIRE_MAX_ROWS);
        break;
    case WIRE_ROWS:
        s_take_rows(reader, &message->rows);
        break;
    case WIRE_BYE:
    case WIRE_REJOIN:
    case WIRE_END:
        break;
    }
}

wire_status_t wire_decode(wire_buffer_t *buffer, const void *header, size_t header_size,
                          wire_t *message)
{
    if (header_size > WIRE_MAX_HEADER_BYTES || !wire_bounds_ok(header, header_size, MAX_DEPTH))
        return WIRE_BAD_BYTES;
    size_t offset = 0;
    if (msgpack_unpack_next(&buffer->unpacked, header, header_size, &offset) !=
        MSGPACK_UNPACK_SUCCESS)
        return WIRE_BAD_BYTES;
    const msgpack_object *root = &buffer->unpacked.data;
    if (root->type != MSGPACK_OBJECT_ARRAY || root->via.array.size < 2)
        return WIRE_BAD_MAGIC;
    reader_t reader = {root->via.array.ptr, root->via.array.size, false};
    char magic[sizeof(MAGIC)];
    s_take_text(&reader, magic, sizeof(magic));
    if (reader.bad || strcmp(magic, MAGIC) != 0)
        return WIRE_BAD_MAGIC;
    message->version = s_take_u32(&reader);
    if (reader.bad)
        return WIRE_BAD_FIELD;
    if (message->version != WIRE_VERSION)
        return WIRE_BAD_VERSION;
    uint64_t type = s_take_uint(&reader, UINT64_MAX);
    if (reader.bad)
        return WIRE_BAD_FIELD;
    if (type >= N_TYPES || !s_types[type].name)
        return WIRE_BAD_TYPE;
    message->type = (wire_type_t)type;
    message->run = s_take_uint(&reader, UINT64_MAX);
    message->incarnation = s_take_u32(&reader);
    message->step = s_take_u32(&reader);
    message->frame_digest = s_take_uint(&reader, UINT64_MAX);
    reader_t fields = s_take_array(&reader);
    if (reader.bad || reader.left > 0 || fields.left != s_types[type].n_fields)
        return WIRE_BAD_FIELD;
    message->n_ranges = 0;
    s_take_fields(&fields, message);
    return fields.bad || fields.left > 0 ? WIRE_BAD_FIELD : WIRE_OK;
}

uint64_t wire_digest(const void *bytes, size_t size)
{
    return XXH3_64bits(bytes, size);
}

wire_status_t wire_check_frame(const wire_t *message, const void *frame, size_t frame_size,
                               bool present)
{
    if (present != wire_has_frame(message->type))
        return WIRE_BAD_FRAME;
    if (present && wire_digest(frame, frame_size) != message->frame_digest)
        return WIRE_BAD_FRAME;
    return WIRE_OK;
}
