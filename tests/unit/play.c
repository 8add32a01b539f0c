#include "play.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

const model_t play_model = {
    .n_inputs = PLAY_INPUTS,
    .n_layers = 2,
    .layers = {{.units = 3, .activation = ACTIVATION_TANH},
               {.units = 2, .activation = ACTIVATION_SIGMOID}},
};

int play_live;

static void s_release(void *hint)
{
    play_live--;
    free(hint);
}

partial_t play_partial(node_t node)
{
    uint32_t first, end;
    node_range(node, PLAY_BLOCKS, &first, &end);
    size_t n = model_params(&play_model);
    partial_t partial = {.cost = first + 0.5, .rows = (end - first) * PLAY_BLOCK_ROWS};
    partial.gradient = malloc(n * sizeof(float));
    for (size_t i = 0; i < n; i++)
        partial.gradient[i] = 1.0f / (float)(first + 1 + i);
    partial.release = s_release;
    partial.hint = partial.gradient;
    play_live++;
    return partial;
}

dataset_t *play_data(uint8_t salt)
{
    uint8_t *images = malloc(PLAY_ROWS * PLAY_INPUTS);
    uint8_t *labels = malloc(PLAY_ROWS);
    for (int i = 0; i < PLAY_ROWS * PLAY_INPUTS; i++)
        images[i] = (uint8_t)(i * 7 + salt);
    for (int i = 0; i < PLAY_ROWS; i++)
        labels[i] = (uint8_t)(i % 2);
    return dataset_new(&images, &labels, PLAY_ROWS, PLAY_INPUTS);
}

static bool s_can_run(const char *kernel)
{
    return strcmp(kernel, "dense/Haswell") == 0 || strcmp(kernel, "dense/SkylakeX") == 0;
}

session_t *play_new(const dataset_t *data, uint32_t n_threads)
{
    wire_hello_t hello = {.name = "w", .host = "h", .kernel = "dense/SkylakeX", .threads = 1};
    if (data)
        memcpy(hello.digest, dataset_digest(data), sizeof(hello.digest));
    return session_new(&hello, s_can_run, data, n_threads);
}

wire_t play_welcome(const dataset_t *data)
{
    wire_t message = {.type = WIRE_WELCOME, .run = PLAY_RUN, .incarnation = 1};
    message.welcome = (wire_welcome_t){
        .worker = PLAY_ME,
        .model = play_model,
        .sampler = {.seed = 1, .fraction = 1, .n_rows = PLAY_ROWS, .block_rows = PLAY_BLOCK_ROWS},
        .kernel = "dense/SkylakeX",
        .heartbeat_ms = PLAY_HEARTBEAT,
        .data = ":1",
        .weights = ":2",
        .gradients = ":3",
    };
    (void)strcpy(message.welcome.digest, data ? dataset_digest(data) : "d");
    return message;
}

wire_t play_asked(wire_type_t type, uint32_t step, wire_range_t *ranges, uint32_t n_ranges)
{
    return (wire_t){.type = type,
                    .run = PLAY_RUN,
                    .incarnation = 1,
                    .step = step,
                    .ranges = ranges,
                    .n_ranges = n_ranges};
}

size_t play_weights_bytes(void)
{
    return model_params(&play_model) * sizeof(float);
}

session_action_t play_expect(session_t *session, int64_t now_ms, session_action_kind_t kind)
{
    session_action_t action;
    session_action_kind_t seen = session_next(session, now_ms, &action);
    assert_int_equal(seen, kind);
    assert_int_equal(action.kind, kind);
    return action;
}

void play_expect_send(session_t *session, int64_t now_ms, wire_type_t type)
{
    session_action_t action = play_expect(session, now_ms, SESSION_SEND);
    assert_string_equal(wire_type_name(action.message->type), wire_type_name(type));
}

void play_join(session_t *session, const dataset_t *data, int64_t now_ms)
{
    play_expect_send(session, now_ms, WIRE_HELLO);
    wire_t welcome = play_welcome(data);
    assert_false(session_message(session, &welcome, 0, now_ms));
    play_expect(session, now_ms, SESSION_CANCEL);
    play_expect(session, now_ms, SESSION_SET_UP);
    session_ready(session, now_ms);
    play_expect_send(session, now_ms, WIRE_READY);
    play_expect(session, now_ms, SESSION_NOTHING);
}

void play_step(session_t *session, uint32_t step, uint32_t first, uint32_t end)
{
    wire_range_t range = {PLAY_ME, first, end};
    wire_t message = play_asked(WIRE_STEP, step, &range, 1);
    assert_true(session_message(session, &message, play_weights_bytes(), 0));
    play_expect(session, 0, SESSION_CANCEL);
}

void play_assign(session_t *session, uint32_t step, uint32_t first, uint32_t end)
{
    wire_range_t range = {PLAY_ME, first, end};
    wire_t message = play_asked(WIRE_ASSIGN, step, &range, 1);
    assert_false(session_message(session, &message, 0, 0));
}

void play_expect_compute(session_t *session, uint32_t step, uint32_t level, uint32_t index)
{
    session_action_t action = play_expect(session, 0, SESSION_COMPUTE);
    assert_int_equal(action.step, step);
    assert_int_equal(action.node.level, level);
    assert_int_equal(action.node.index, index);
}

void play_done(session_t *session, uint32_t step, uint32_t level, uint32_t index)
{
    node_t node = {level, index};
    partial_t partial = play_partial(node);
    session_result(session, step, node, &partial);
}

void play_expect_push(session_t *session, uint32_t step, uint32_t level, uint32_t index)
{
    session_action_t action = play_expect(session, 0, SESSION_PUSH);
    const wire_t *message = action.message;
    assert_int_equal(message->type, WIRE_PARTIAL);
    assert_int_equal(message->run, PLAY_RUN);
    assert_int_equal(message->incarnation, 1);
    assert_int_equal(message->step, step);
    assert_int_equal(message->partial.worker, PLAY_ME);
    assert_int_equal(message->partial.node.level, level);
    assert_int_equal(message->partial.node.index, index);
    uint32_t first, end;
    node_range(message->partial.node, PLAY_BLOCKS, &first, &end);
    assert_int_equal(message->partial.rows, (end - first) * PLAY_BLOCK_ROWS);
    assert_int_equal(action.partial.rows, message->partial.rows);
    assert_non_null(action.partial.gradient);
    partial_release(&action.partial);
}

void play_end(session_t **session, dataset_t **data)
{
    session_destroy(session);
    session_destroy(session); /* twice is fine */
    dataset_destroy(data);
    assert_int_equal(play_live, 0);
}
