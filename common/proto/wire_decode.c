/* The bytes of a header as a message; see wire.h. */
#include <string.h>

#include "base/array.h"
#include "proto/wire_bounds.h"
#include "proto/wire_codec.h"

#define MAX_DEPTH 4

/* A reader takes an array's elements one after the other. Any that does not fit sets
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

static bool s_take_bool(reader_t *reader)
{
    return s_take_uint(reader, 1) != 0;
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

static void s_take_layer(reader_t *layers, model_layer_t *out)
{
    reader_t layer = s_take_array(layers);
    char kind[16], activation[16];
    s_take_text(&layer, kind, sizeof(kind));
    out->units = s_take_u32(&layer);
    s_take_text(&layer, activation, sizeof(activation));
    out->dropout = s_take_double(&layer);
    out->size = s_take_u32(&layer);
    out->stride = s_take_u32(&layer);
    out->padding = s_take_u32(&layer);
    if (layer.bad || layer.left > 0 || model_kind_parse(kind, &out->kind) != 0 ||
        activation_parse(activation, &out->activation) != 0)
        layers->bad = true;
}

static void s_take_layers(reader_t *reader, model_t *model)
{
    reader_t layers = s_take_array(reader);
    if (layers.bad || layers.left < 1 || layers.left > MODEL_MAX_LAYERS) {
        reader->bad = true;
        return;
    }
    model->n_layers = layers.left;
    for (uint32_t l = 0; l < model->n_layers && !layers.bad; l++)
        s_take_layer(&layers, &model->layers[l]);
    reader->bad |= layers.bad;
}

static void s_take_loss(reader_t *reader, model_t *model)
{
    char name[16];
    s_take_text(reader, name, sizeof(name));
    reader_t weights = s_take_array(reader);
    if (reader->bad || weights.bad || loss_parse(name, &model->loss) != 0 ||
        (weights.left > 0 && weights.left != model_classes(model)) ||
        weights.left > MODEL_MAX_CLASSES) {
        reader->bad = true;
        return;
    }
    model->weighted = weights.left > 0;
    for (uint32_t c = 0; weights.left > 0; c++)
        model->class_weights[c] = (float)s_take_double(&weights);
    reader->bad |= weights.bad;
}

static void s_take_augment(reader_t *reader, uint32_t n_inputs, augment_t *augment)
{
    reader_t fields = s_take_array(reader);
    memset(augment, 0, sizeof(*augment));
    if (fields.bad || (fields.left > 0 && fields.left != AUGMENT_N_FIELDS)) {
        reader->bad = true;
        return;
    }
    for (int i = 0; fields.left > 0 && !fields.bad; i++)
        augment_set(augment, i, s_take_double(&fields));
    reader->bad |= fields.bad || augment_check(augment, n_inputs, NULL) != 0;
}

static void s_take_welcome(reader_t *reader, wire_welcome_t *welcome)
{
    welcome->worker = s_take_u32(reader);
    memset(&welcome->model, 0, sizeof(welcome->model));
    welcome->model.n_inputs = s_take_u32(reader);
    s_take_layers(reader, &welcome->model);
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
    welcome->audit = s_take_double(reader);
    s_take_loss(reader, &welcome->model);
    welcome->sampler.batch_rows = s_take_u32(reader);
    welcome->evaluation_rows = s_take_u32(reader);
    s_take_text(reader, welcome->rows, sizeof(welcome->rows));
    s_take_augment(reader, welcome->model.n_inputs, &welcome->sampler.augment);
    if (reader->bad || model_check(&welcome->model, NULL) != 0 ||
        !(welcome->sampler.fraction > 0 && welcome->sampler.fraction <= 1) ||
        !(welcome->audit >= 0 && welcome->audit <= 1) || welcome->sampler.n_rows < 1 ||
        welcome->sampler.block_rows < 1 || welcome->sampler.block_rows > 65536 ||
        welcome->sampler.batch_rows > welcome->sampler.n_rows || welcome->heartbeat_ms < 1 ||
        welcome->evaluation_rows > UINT32_MAX - welcome->sampler.n_rows ||
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

static void s_take_member(reader_t *reader, wire_member_t *member)
{
    member->number = s_take_u32(reader);
    s_take_text(reader, member->name, sizeof(member->name));
    s_take_text(reader, member->host, sizeof(member->host));
    s_take_text(reader, member->kernel, sizeof(member->kernel));
    member->threads = s_take_u32(reader);
    member->relay = s_take_bool(reader);
    s_take_text(reader, member->state, sizeof(member->state));
    member->rows_per_s = s_take_double(reader);
    member->seen_ms = s_take_u32(reader);
    member->owed = s_take_u32(reader);
    member->assigned = s_take_uint(reader, UINT64_MAX);
    member->reissued = s_take_uint(reader, UINT64_MAX);
    member->refused = s_take_u32(reader);
    reader->bad |= reader->left > 0;
}

static void s_take_members(reader_t *reader, wire_t *message)
{
    reader_t members = s_take_array(reader);
    if (members.bad || members.left > WIRE_MAX_MEMBERS ||
        members.left > message->report.n_members) {
        reader->bad = true;
        return;
    }
    message->n_members = members.left;
    message->members = array_room(message->members, message->n_members, &message->members_room,
                                  sizeof(*message->members));
    for (uint32_t i = 0; i < message->n_members; i++) {
        reader_t member = s_take_array(&members);
        s_take_member(&member, &message->members[i]);
        reader->bad |= member.bad;
    }
}

static void s_take_quarantined(reader_t *reader, wire_t *message)
{
    reader_t all = s_take_array(reader);
    if (all.bad || all.left > WIRE_MAX_QUARANTINED) {
        reader->bad = true;
        return;
    }
    message->n_quarantined = all.left;
    message->quarantined = array_room(message->quarantined, message->n_quarantined,
                                      &message->quarantined_room, sizeof(*message->quarantined));
    for (uint32_t i = 0; i < message->n_quarantined; i++) {
        reader_t one = s_take_array(&all);
        wire_quarantined_t *who = &message->quarantined[i];
        s_take_text(&one, who->name, sizeof(who->name));
        s_take_text(&one, who->host, sizeof(who->host));
        reader->bad |= one.bad || one.left > 0;
    }
}

static void s_take_report(reader_t *reader, wire_t *message)
{
    wire_report_t *report = &message->report;
    s_take_text(reader, report->role, sizeof(report->role));
    s_take_text(reader, report->upstream, sizeof(report->upstream));
    report->step = s_take_u32(reader);
    report->n_steps = s_take_u32(reader);
    report->rows_per_s = s_take_double(reader);
    report->eta_s = s_take_double(reader);
    report->cost = s_take_double(reader);
    report->accuracy = s_take_double(reader);
    report->learning_rate = s_take_double(reader);
    report->elapsed_s = s_take_double(reader);
    report->evaluation = s_take_u32(reader);
    report->evaluation_cost = s_take_double(reader);
    report->evaluation_accuracy = s_take_double(reader);
    s_take_text(reader, report->waiting_for, sizeof(report->waiting_for));
    report->n_members = s_take_u32(reader);
    s_take_members(reader, message);
    s_take_quarantined(reader, message);
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
        message->hello.relays = (uint32_t)s_take_uint(reader, 255);
        break;
    case WIRE_WELCOME:
        s_take_welcome(reader, &message->welcome);
        break;
    case WIRE_REFUSED:
        message->refusal.reason = (wire_refused_t)s_take_uint(reader, WIRE_REFUSED_RELAYS);
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
    case WIRE_REPORT:
        s_take_report(reader, message);
        break;
    case WIRE_EVALUATE:
        message->evaluate.step = s_take_u32(reader);
        s_take_ranges(reader, message);
        break;
    case WIRE_EVALUATED:
        message->score.step = s_take_u32(reader);
        message->score.first = s_take_u32(reader);
        message->score.end = s_take_u32(reader);
        message->score.cost = s_take_double(reader);
        message->score.correct = s_take_uint(reader, UINT64_MAX);
        reader->bad |= message->score.first >= message->score.end;
        break;
    case WIRE_BYE:
    case WIRE_REJOIN:
    case WIRE_END:
    case WIRE_STATUS:
        break;
    }
}

/* Is what stands behind the array of size bytes the digest of just these bytes? */
static bool s_digest_ok(const uint8_t *header, size_t header_size, size_t size)
{
    if (header_size - size != WIRE_DIGEST_BYTES)
        return false;
    uint64_t digest = 0;
    for (int i = 0; i < WIRE_DIGEST_BYTES; i++)
        digest |= (uint64_t)header[size + (size_t)i] << 8 * i;
    return digest == wire_digest(header, size);
}

wire_status_t wire_decode(wire_buffer_t *buffer, const void *header, size_t header_size,
                          wire_t *message)
{
    if (header_size > WIRE_MAX_HEADER_BYTES)
        return WIRE_BAD_BYTES;
    size_t size = wire_bounds(header, header_size, MAX_DEPTH);
    size_t offset = 0;
    if (size == 0 ||
        msgpack_unpack_next(&buffer->unpacked, header, size, &offset) != MSGPACK_UNPACK_SUCCESS)
        return WIRE_BAD_BYTES;
    const msgpack_object *root = &buffer->unpacked.data;
    if (root->type != MSGPACK_OBJECT_ARRAY || root->via.array.size < 2)
        return WIRE_BAD_MAGIC;
    reader_t reader = {root->via.array.ptr, root->via.array.size, false};
    char magic[sizeof(WIRE_MAGIC)];
    s_take_text(&reader, magic, sizeof(magic));
    if (reader.bad || strcmp(magic, WIRE_MAGIC) != 0)
        return WIRE_BAD_MAGIC;
    if (!s_digest_ok(header, header_size, size))
        return WIRE_BAD_DIGEST;
    message->version = s_take_u32(&reader);
    if (reader.bad)
        return WIRE_BAD_FIELD;
    if (message->version != WIRE_VERSION)
        return WIRE_BAD_VERSION;
    uint64_t type = s_take_uint(&reader, UINT64_MAX);
    if (reader.bad)
        return WIRE_BAD_FIELD;
    if (!wire_is_type(type))
        return WIRE_BAD_TYPE;
    message->type = (wire_type_t)type;
    message->run = s_take_uint(&reader, UINT64_MAX);
    message->incarnation = s_take_u32(&reader);
    message->step = s_take_u32(&reader);
    message->frame_digest = s_take_uint(&reader, UINT64_MAX);
    reader_t fields = s_take_array(&reader);
    if (reader.bad || reader.left > 0 || fields.left != wire_n_fields(message->type))
        return WIRE_BAD_FIELD;
    message->n_ranges = message->n_members = message->n_quarantined = 0;
    s_take_fields(&fields, message);
    return fields.bad || fields.left > 0 ? WIRE_BAD_FIELD : WIRE_OK;
}
