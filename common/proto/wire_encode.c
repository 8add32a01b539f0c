/* A message as the bytes of its header; see wire.h. */
#include <assert.h>
#include <string.h>

#include "proto/wire_codec.h"

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
        const model_layer_t *layer = &model->layers[l];
        msgpack_pack_array(p, WIRE_N_LAYER);
        s_put_text(p, model_kind_name(layer->kind));
        s_put_uint(p, layer->units);
        s_put_text(p, activation_name(layer->activation));
        msgpack_pack_double(p, layer->dropout);
        s_put_uint(p, layer->size);
        s_put_uint(p, layer->stride);
        s_put_uint(p, layer->padding);
    }
}

static void s_put_loss(msgpack_packer *p, const model_t *model)
{
    uint32_t n = model->weighted ? model_classes(model) : 0;
    s_put_text(p, loss_name(model->loss));
    msgpack_pack_array(p, n);
    for (uint32_t c = 0; c < n; c++)
        msgpack_pack_double(p, (double)model->class_weights[c]);
}

static void s_put_augment(msgpack_packer *p, const augment_t *augment)
{
    int n = augment_any(augment) ? AUGMENT_N_FIELDS : 0;
    msgpack_pack_array(p, (size_t)n);
    for (int i = 0; i < n; i++)
        msgpack_pack_double(p, augment_get(augment, i));
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
    msgpack_pack_double(p, welcome->audit);
    s_put_loss(p, &welcome->model);
    s_put_uint(p, welcome->sampler.batch_rows);
    s_put_uint(p, welcome->evaluation_rows);
    s_put_text(p, welcome->rows);
    s_put_augment(p, &welcome->sampler.augment);
}

static void s_put_member(msgpack_packer *p, const wire_member_t *member)
{
    msgpack_pack_array(p, WIRE_N_MEMBER);
    s_put_uint(p, member->number);
    s_put_text(p, member->name);
    s_put_text(p, member->host);
    s_put_text(p, member->kernel);
    s_put_uint(p, member->threads);
    s_put_uint(p, member->relay);
    s_put_text(p, member->state);
    msgpack_pack_double(p, member->rows_per_s);
    s_put_uint(p, member->seen_ms);
    s_put_uint(p, member->owed);
    s_put_uint(p, member->assigned);
    s_put_uint(p, member->reissued);
    s_put_uint(p, member->refused);
}

static void s_put_report(msgpack_packer *p, const wire_t *message)
{
    const wire_report_t *report = &message->report;
    s_put_text(p, report->role);
    s_put_text(p, report->upstream);
    s_put_uint(p, report->step);
    s_put_uint(p, report->n_steps);
    msgpack_pack_double(p, report->rows_per_s);
    msgpack_pack_double(p, report->eta_s);
    msgpack_pack_double(p, report->cost);
    msgpack_pack_double(p, report->accuracy);
    msgpack_pack_double(p, report->learning_rate);
    msgpack_pack_double(p, report->elapsed_s);
    s_put_uint(p, report->evaluation);
    msgpack_pack_double(p, report->evaluation_cost);
    msgpack_pack_double(p, report->evaluation_accuracy);
    s_put_text(p, report->waiting_for);
    s_put_uint(p, report->n_members);
    msgpack_pack_array(p, message->n_members);
    for (uint32_t i = 0; i < message->n_members; i++)
        s_put_member(p, &message->members[i]);
    msgpack_pack_array(p, message->n_quarantined);
    for (uint32_t i = 0; i < message->n_quarantined; i++) {
        msgpack_pack_array(p, 2);
        s_put_text(p, message->quarantined[i].name);
        s_put_text(p, message->quarantined[i].host);
    }
}

static void s_put_ranges(msgpack_packer *p, const wire_t *message)
{
    msgpack_pack_array(p, message->n_ranges * 3);
    for (uint32_t i = 0; i < message->n_ranges; i++) {
        s_put_uint(p, message->ranges[i].worker);
        s_put_uint(p, message->ranges[i].first);
        s_put_uint(p, message->ranges[i].end);
    }
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
        s_put_uint(p, message->hello.relays);
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
        s_put_ranges(p, message);
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
    case WIRE_REPORT:
        s_put_report(p, message);
        break;
    case WIRE_EVALUATE:
        s_put_uint(p, message->evaluate.step);
        s_put_ranges(p, message);
        break;
    case WIRE_EVALUATED:
        s_put_uint(p, message->score.step);
        s_put_uint(p, message->score.first);
        s_put_uint(p, message->score.end);
        msgpack_pack_double(p, message->score.cost);
        s_put_uint(p, message->score.correct);
        break;
    case WIRE_BYE:
    case WIRE_REJOIN:
    case WIRE_END:
    case WIRE_STATUS:
        break;
    }
}

void wire_encode(wire_buffer_t *buffer, const wire_t *message, const uint64_t *frame_digest,
                 const void **header, size_t *header_size)
{
    assert(wire_is_type(message->type));
    assert(wire_has_frame(message->type) == (frame_digest != NULL));
    msgpack_packer *p = &buffer->packer;
    msgpack_sbuffer_clear(&buffer->bytes);
    msgpack_pack_array(p, WIRE_N_HEADER);
    s_put_text(p, WIRE_MAGIC);
    s_put_uint(p, WIRE_VERSION);
    s_put_uint(p, message->type);
    s_put_uint(p, message->run);
    s_put_uint(p, message->incarnation);
    s_put_uint(p, message->step);
    s_put_uint(p, frame_digest ? *frame_digest : 0);
    msgpack_pack_array(p, wire_n_fields(message->type));
    s_put_fields(p, message);
    uint64_t digest = wire_digest(buffer->bytes.data, buffer->bytes.size);
    char behind[WIRE_DIGEST_BYTES];
    for (int i = 0; i < WIRE_DIGEST_BYTES; i++)
        behind[i] = (char)(digest >> 8 * i);
    msgpack_sbuffer_write(&buffer->bytes, behind, sizeof(behind));
    *header = buffer->bytes.data;
    *header_size = buffer->bytes.size;
}
