/* A worker's session: every message and result in, the actions that follow, a clock by hand. */
#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "workers/session.h"

enum {
    ROWS = 128,
    BLOCK_ROWS = 2,
    BLOCKS = ROWS / BLOCK_ROWS,
    INPUTS = 4,
    RUN = 7,
    ME = 5,
    HEARTBEAT = 100
};

static const model_t s_model = {
    .n_inputs = INPUTS,
    .n_layers = 2,
    .layers = {{.units = 3, .activation = ACTIVATION_TANH},
               {.units = 2, .activation = ACTIVATION_SIGMOID}},
};

static int s_live; /* partials handed out and not released */

static void s_release(void *hint)
{
    s_live--;
    free(hint);
}

/* What the compute threads would say of a node: its rows; the gradient tells the order of sums. */
static partial_t s_partial(node_t node)
{
    uint32_t first, end;
    node_range(node, BLOCKS, &first, &end);
    size_t n = model_params(&s_model);
    partial_t partial = {.cost = first + 0.5, .rows = (end - first) * BLOCK_ROWS};
    partial.gradient = malloc(n * sizeof(float));
    for (size_t i = 0; i < n; i++)
        partial.gradient[i] = 1.0f / (float)(first + 1 + i);
    partial.release = s_release;
    partial.hint = partial.gradient;
    s_live++;
    return partial;
}

static dataset_t *s_data(uint8_t salt)
{
    uint8_t *images = malloc(ROWS * INPUTS);
    uint8_t *labels = malloc(ROWS);
    for (int i = 0; i < ROWS * INPUTS; i++)
        images[i] = (uint8_t)(i * 7 + salt);
    for (int i = 0; i < ROWS; i++)
        labels[i] = (uint8_t)(i % 2);
    return dataset_new(&images, &labels, ROWS, INPUTS);
}

static bool s_can_run(const char *kernel)
{
    return strcmp(kernel, "dense/Haswell") == 0 || strcmp(kernel, "dense/SkylakeX") == 0;
}

static session_t *s_new(const dataset_t *data, uint32_t n_threads)
{
    wire_hello_t hello = {.name = "w", .host = "h", .kernel = "dense/SkylakeX", .threads = 1};
    if (data)
        memcpy(hello.digest, dataset_digest(data), sizeof(hello.digest));
    return session_new(&hello, s_can_run, data, n_threads);
}

static wire_t s_welcome(const dataset_t *data)
{
    wire_t message = {.type = WIRE_WELCOME, .run = RUN, .incarnation = 1};
    message.welcome = (wire_welcome_t){
        .worker = ME,
        .model = s_model,
        .sampler = {.seed = 1, .fraction = 1, .n_rows = ROWS, .block_rows = BLOCK_ROWS},
        .kernel = "dense/SkylakeX",
        .heartbeat_ms = HEARTBEAT,
        .data = ":1",
        .weights = ":2",
        .gradients = ":3",
    };
    (void)strcpy(message.welcome.digest, data ? dataset_digest(data) : "d");
    return message;
}

static wire_t s_asked(wire_type_t type, uint32_t step, wire_range_t *ranges, uint32_t n_ranges)
{
    return (wire_t){.type = type,
                    .run = RUN,
                    .incarnation = 1,
                    .step = step,
                    .ranges = ranges,
                    .n_ranges = n_ranges};
}

static size_t s_weights_bytes(void)
{
    return model_params(&s_model) * sizeof(float);
}

static session_action_t s_expect(session_t *session, int64_t now_ms, session_action_kind_t kind)
{
    session_action_t action;
    session_action_kind_t seen = session_next(session, now_ms, &action);
    assert_int_equal(seen, kind);
    assert_int_equal(action.kind, kind);
    return action;
}

static void s_expect_send(session_t *session, int64_t now_ms, wire_type_t type)
{
    session_action_t action = s_expect(session, now_ms, SESSION_SEND);
    assert_string_equal(wire_type_name(action.message->type), wire_type_name(type));
}

/* HELLO, WELCOME, set-up, READY, all at `now_ms`. */
static void s_join(session_t *session, const dataset_t *data, int64_t now_ms)
{
    s_expect_send(session, now_ms, WIRE_HELLO);
    wire_t welcome = s_welcome(data);
    assert_false(session_message(session, &welcome, 0, now_ms));
    s_expect(session, now_ms, SESSION_CANCEL);
    s_expect(session, now_ms, SESSION_SET_UP);
    session_ready(session, now_ms);
    s_expect_send(session, now_ms, WIRE_READY);
    s_expect(session, now_ms, SESSION_NOTHING);
}

/* A STEP that asks this worker for one range, and what must follow it before any work. */
static void s_step(session_t *session, uint32_t step, uint32_t first, uint32_t end)
{
    wire_range_t range = {ME, first, end};
    wire_t message = s_asked(WIRE_STEP, step, &range, 1);
    assert_true(session_message(session, &message, s_weights_bytes(), 0));
    s_expect(session, 0, SESSION_CANCEL);
}

static void s_assign(session_t *session, uint32_t step, uint32_t first, uint32_t end)
{
    wire_range_t range = {ME, first, end};
    wire_t message = s_asked(WIRE_ASSIGN, step, &range, 1);
    assert_false(session_message(session, &message, 0, 0));
}

static void s_expect_compute(session_t *session, uint32_t step, uint32_t level, uint32_t index)
{
    session_action_t action = s_expect(session, 0, SESSION_COMPUTE);
    assert_int_equal(action.step, step);
    assert_int_equal(action.node.level, level);
    assert_int_equal(action.node.index, index);
}

static void s_done(session_t *session, uint32_t step, uint32_t level, uint32_t index)
{
    node_t node = {level, index};
    partial_t partial = s_partial(node);
    session_result(session, step, node, &partial);
}

static void s_expect_push(session_t *session, uint32_t step, uint32_t level, uint32_t index)
{
    session_action_t action = s_expect(session, 0, SESSION_PUSH);
    const wire_t *message = action.message;
    assert_int_equal(message->type, WIRE_PARTIAL);
    assert_int_equal(message->run, RUN);
    assert_int_equal(message->incarnation, 1);
    assert_int_equal(message->step, step);
    assert_int_equal(message->partial.worker, ME);
    assert_int_equal(message->partial.node.level, level);
    assert_int_equal(message->partial.node.index, index);
    uint32_t first, end;
    node_range(message->partial.node, BLOCKS, &first, &end);
    assert_int_equal(message->partial.rows, (end - first) * BLOCK_ROWS);
    assert_int_equal(action.partial.rows, message->partial.rows);
    assert_non_null(action.partial.gradient);
    partial_release(&action.partial);
}

static void s_end(session_t **session, dataset_t **data)
{
    session_destroy(session);
    session_destroy(session); /* twice is fine */
    dataset_destroy(data);
    assert_int_equal(s_live, 0);
}

static void test_joins(void **state)
{
    (void)state;
    dataset_t *data = s_data(0);
    session_t *session = s_new(data, 1);
    session_action_t action = s_expect(session, 1000, SESSION_SEND);
    assert_int_equal(action.message->type, WIRE_HELLO);
    assert_string_equal(action.message->hello.name, "w");
    assert_string_equal(action.message->hello.host, "h");
    assert_string_equal(action.message->hello.kernel, "dense/SkylakeX");
    assert_string_equal(action.message->hello.digest, dataset_digest(data));
    assert_string_equal(session_waits_for(session, 1001), "welcome");
    assert_null(session_waits_for(session, 1000));
    s_expect(session, 1000, SESSION_NOTHING);
    int64_t due_ms = session_deadline_ms(session);
    assert_true(due_ms > 1000 && due_ms <= 1500);
    s_expect(session, due_ms - 1, SESSION_NOTHING);
    s_expect_send(session, due_ms, WIRE_HELLO); /* nobody answered */

    wire_t welcome = s_welcome(data);
    assert_false(session_message(session, &welcome, 0, due_ms));
    s_expect(session, due_ms, SESSION_CANCEL);
    s_expect(session, due_ms, SESSION_SET_UP);
    s_expect(session, due_ms, SESSION_NOTHING); /* the actor is at it */
    welcome.welcome.worker = ME - 1;            /* the answer to the other HELLO */
    assert_false(session_message(session, &welcome, 0, due_ms));
    assert_int_equal(session_job(session)->worker, ME);
    s_expect(session, due_ms, SESSION_NOTHING);
    session_ready(session, due_ms);
    assert_false(session_message(session, &welcome, 0, due_ms));
    assert_int_equal(session_job(session)->worker, ME);

    s_expect_send(session, due_ms, WIRE_READY); /* until a step shows that it was heard */
    s_expect(session, due_ms + 9, SESSION_NOTHING);
    s_expect_send(session, due_ms + 10, WIRE_READY); /* soon: the subscription may have been late */
    s_expect(session, due_ms + 10 + HEARTBEAT - 1, SESSION_NOTHING);
    s_expect_send(session, due_ms + 10 + HEARTBEAT, WIRE_READY);
    assert_int_equal(session_deadline_ms(session), due_ms + 10 + 2 * HEARTBEAT);
    assert_null(session_waits_for(session, due_ms + 1000));
    assert_string_equal(session_waits_for(session, due_ms + 1001), "server");
    action = s_expect(session, due_ms + 10 * HEARTBEAT, SESSION_SEND);
    assert_int_equal(action.message->type, WIRE_READY);
    assert_int_equal(action.message->run, RUN);
    assert_int_equal(action.message->ready.n_params, model_params(&s_model));
    assert_string_equal(action.message->ready.digest, dataset_digest(data));

    wire_t step = s_asked(WIRE_STEP, 3, NULL, 0);
    assert_true(session_message(session, &step, s_weights_bytes(), due_ms + 10 * HEARTBEAT));
    s_expect(session, due_ms + 10 * HEARTBEAT, SESSION_CANCEL);
    s_expect(session, due_ms + 10 * HEARTBEAT, SESSION_NOTHING);
    action = s_expect(session, due_ms + 11 * HEARTBEAT, SESSION_SEND);
    assert_int_equal(action.message->type, WIRE_HEARTBEAT);
    assert_int_equal(action.message->heartbeat.newest_step, 3);
    assert_int_equal(session_bye(session)->type, WIRE_BYE);
    s_end(&session, &data);
}

static void test_computes_what_a_step_asks_for(void **state)
{
    (void)state;
    dataset_t *data = s_data(0);
    session_t *session = s_new(data, 1);
    s_join(session, data, 0);
    wire_range_t ranges[] = {
        {ME + 1, 0, 1}, {ME, 1, 8}, {ME - 1, 8, 60}, {ME, 60, BLOCKS}, {ME, BLOCKS - 1, BLOCKS + 1},
    };
    wire_t message = s_asked(WIRE_STEP, 1, ranges, 5); /* the last one is not in the tree */
    assert_true(session_message(session, &message, s_weights_bytes(), 0));
    s_expect(session, 0, SESSION_CANCEL);
    s_expect_compute(session, 1, 0, 1);
    s_expect_compute(session, 1, 1, 1);
    s_expect_compute(session, 1, 2, 1);
    s_expect_compute(session, 1, 2, 15);
    s_expect(session, 0, SESSION_NOTHING);
    /* results in any order are pushed as they come */
    s_done(session, 1, 2, 1);
    s_expect_push(session, 1, 2, 1);
    s_expect(session, 0, SESSION_NOTHING);
    s_done(session, 1, 2, 15);
    s_done(session, 1, 0, 1);
    s_expect_push(session, 1, 0, 1);
    s_expect_push(session, 1, 2, 15);
    s_done(session, 1, 1, 1);
    s_expect_push(session, 1, 1, 1);
    s_expect(session, 0, SESSION_NOTHING);
    s_end(&session, &data);
}

static void test_a_step_said_again_changes_nothing_that_is_under_way(void **state)
{
    (void)state;
    dataset_t *data = s_data(0);
    session_t *session = s_new(data, 1);
    s_join(session, data, 0);
    s_step(session, 1, 0, 4);
    s_expect_compute(session, 1, 2, 0);
    wire_range_t range = {ME, 0, 4};
    wire_t again = s_asked(WIRE_STEP, 1, &range, 1);
    assert_false(session_message(session, &again, s_weights_bytes(), 0));
    s_expect(session, 0, SESSION_NOTHING);
    s_done(session, 1, 2, 0);
    s_expect_push(session, 1, 2, 0);
    /* the partial was lost: the server asks again, and it is computed again */
    assert_false(session_message(session, &again, s_weights_bytes(), 0));
    s_expect_compute(session, 1, 2, 0);
    s_done(session, 1, 2, 0);
    s_expect_push(session, 1, 2, 0);
    s_expect(session, 0, SESSION_NOTHING);
    s_end(&session, &data);
}

static void test_assignments_add_what_is_not_under_way(void **state)
{
    (void)state;
    dataset_t *data = s_data(0);
    session_t *session = s_new(data, 1);
    s_join(session, data, 0);
    s_step(session, 1, 4, 8);
    s_expect_compute(session, 1, 2, 1);
    s_assign(session, 1, 4, 8);
    s_assign(session, 1, 5, 6);
    s_expect(session, 0, SESSION_NOTHING);
    s_assign(session, 1, 2, 10); /* both ends stick out */
    s_expect_compute(session, 1, 1, 1);
    s_expect_compute(session, 1, 1, 4);
    s_expect(session, 0, SESSION_NOTHING);
    s_done(session, 1, 2, 1);
    s_expect_push(session, 1, 2, 1);
    s_assign(session, 1, 4, 8); /* pushed already, so it was lost */
    s_expect_compute(session, 1, 2, 1);
    s_done(session, 1, 1, 4);
    s_expect_push(session, 1, 1, 4);
    s_done(session, 1, 2, 1);
    s_expect_push(session, 1, 2, 1);
    s_done(session, 1, 1, 1);
    s_expect_push(session, 1, 1, 1);
    s_expect(session, 0, SESSION_NOTHING);
    s_end(&session, &data);
}

/* Ranges asked for one after the other may be siblings in the tree: each node must still go out. */
static void test_siblings_asked_for_apart_are_pushed_apart(void **state)
{
    (void)state;
    dataset_t *data = s_data(0);
    session_t *session = s_new(data, 1);
    s_join(session, data, 0);
    s_step(session, 1, 0, 2);
    s_assign(session, 1, 2, 4);
    s_assign(session, 1, 4, 8);
    s_expect_compute(session, 1, 1, 0);
    s_expect_compute(session, 1, 1, 1);
    s_expect_compute(session, 1, 2, 1);
    s_done(session, 1, 2, 1); /* all of them before the actor takes any */
    s_done(session, 1, 1, 1);
    s_done(session, 1, 1, 0);
    s_expect_push(session, 1, 1, 0);
    s_expect_push(session, 1, 1, 1);
    s_expect_push(session, 1, 2, 1);
    s_expect(session, 0, SESSION_NOTHING);
    /* left lying complete, they go with the next step or with the session */
    s_assign(session, 1, 0, 2);
    s_expect_compute(session, 1, 1, 0);
    s_done(session, 1, 1, 0);
    s_step(session, 2, 0, 2);
    assert_int_equal(s_live, 0);
    s_expect_compute(session, 2, 1, 0);
    s_done(session, 2, 1, 0);
    s_end(&session, &data);
}

static void test_a_new_step_drops_the_old_one(void **state)
{
    (void)state;
    dataset_t *data = s_data(0);
    session_t *session = s_new(data, 1);
    s_join(session, data, 0);
    s_step(session, 1, 0, 8);
    s_expect_compute(session, 1, 3, 0);
    s_step(session, 2, 2, 4);
    s_done(session, 1, 3, 0); /* was on its way */
    assert_int_equal(s_live, 0);
    s_expect_compute(session, 2, 1, 1);
    s_done(session, 1, 1, 1); /* the same node, of the step before */
    assert_int_equal(s_live, 0);
    s_expect(session, 0, SESSION_NOTHING);
    s_done(session, 2, 5, 9);  /* no such node */
    s_done(session, 2, 0, 60); /* nobody asked */
    assert_int_equal(s_live, 0);
    s_assign(session, 1, 8, 9); /* late message of the old step */
    s_expect_send(session, 0, WIRE_HEARTBEAT);
    s_expect(session, 0, SESSION_NOTHING);
    s_assign(session, 3, 8, 9); /* of a step whose weights were lost: says so at once */
    session_action_t action = s_expect(session, 0, SESSION_SEND);
    assert_int_equal(action.message->type, WIRE_HEARTBEAT);
    assert_int_equal(action.message->heartbeat.newest_step, 2);
    s_expect(session, 0, SESSION_NOTHING);
    s_done(session, 2, 1, 1);
    s_expect_push(session, 2, 1, 1);
    s_end(&session, &data);
}

static void test_foreign_messages_are_ignored(void **state)
{
    (void)state;
    dataset_t *data = s_data(0);
    session_t *session = s_new(data, 1);
    wire_range_t range = {ME, 0, 8};
    wire_t step = s_asked(WIRE_STEP, 4, &range, 1);
    s_expect_send(session, 0, WIRE_HELLO);
    assert_false(session_message(session, &step, s_weights_bytes(), 0)); /* before WELCOME */
    wire_t welcome = s_welcome(data);
    session_message(session, &welcome, 0, 0);
    assert_false(session_message(session, &step, s_weights_bytes(), 0)); /* before set-up */
    s_expect(session, 0, SESSION_CANCEL);
    s_expect(session, 0, SESSION_SET_UP);
    session_ready(session, 0);
    s_expect_send(session, 0, WIRE_READY);

    wire_t foreign = step;
    foreign.run = RUN + 1;
    assert_false(session_message(session, &foreign, s_weights_bytes(), 0));
    foreign = step;
    foreign.incarnation = 2;
    assert_false(session_message(session, &foreign, s_weights_bytes(), 0));
    assert_false(session_message(session, &step, s_weights_bytes() - 4, 0));
    assert_false(session_message(session, &step, s_weights_bytes() + 4, 0));
    assert_false(session_message(session, &step, 0, 0));
    foreign = step;
    foreign.step = 0; /* steps count from 1: there are no weights yet */
    assert_false(session_message(session, &foreign, s_weights_bytes(), 0));
    foreign.type = WIRE_ASSIGN;
    assert_false(session_message(session, &foreign, 0, 0));
    wire_t end = {.type = WIRE_END, .run = RUN + 1, .incarnation = 1};
    assert_false(session_message(session, &end, 0, 0));
    static const wire_type_t not_for_workers[] = {WIRE_HELLO, WIRE_READY,  WIRE_HEARTBEAT,
                                                  WIRE_BYE,   WIRE_FETCH,  WIRE_PARTIAL,
                                                  WIRE_ROWS,  WIRE_STATUS, WIRE_REPORT};
    for (size_t i = 0; i < sizeof(not_for_workers) / sizeof(not_for_workers[0]); i++) {
        wire_t other = {.type = not_for_workers[i], .run = RUN, .incarnation = 1, .step = 1};
        assert_false(session_message(session, &other, 0, 0));
    }
    for (session_action_kind_t kind = SESSION_SEND; kind != SESSION_NOTHING;) {
        session_action_t action;
        kind = session_next(session, HEARTBEAT / 2, &action);
        assert_true(kind == SESSION_NOTHING || kind == SESSION_SEND); /* no work, no end */
    }
    assert_true(session_message(session, &step, s_weights_bytes(), 0));
    foreign = step;
    foreign.step = 3; /* weights of the past */
    assert_false(session_message(session, &foreign, s_weights_bytes(), 0));
    s_expect(session, 0, SESSION_CANCEL);
    s_expect_compute(session, 4, 3, 0);
    s_expect(session, 0, SESSION_NOTHING);
    end.run = RUN;
    session_message(session, &end, 0, 0);
    s_expect(session, 0, SESSION_LEAVE);
    s_end(&session, &data);
}

static void test_drains(void **state)
{
    (void)state;
    dataset_t *data = s_data(0);
    session_t *session = s_new(data, 1);
    s_join(session, data, 0);
    s_step(session, 1, 0, 3);
    s_expect_compute(session, 1, 1, 0);
    s_expect_compute(session, 1, 0, 2);
    session_drain(session);
    s_assign(session, 1, 3, 4); /* takes no more */
    s_expect(session, 0, SESSION_NOTHING);
    s_done(session, 1, 0, 2);
    s_expect_push(session, 1, 0, 2);
    s_expect(session, 0, SESSION_NOTHING); /* the other node is still being computed */
    s_done(session, 1, 1, 0);
    s_expect_push(session, 1, 1, 0);
    s_expect_send(session, 0, WIRE_BYE);
    s_expect(session, 0, SESSION_LEAVE);
    s_end(&session, &data);

    data = s_data(0); /* one that is asked for nothing, and one that was lost meanwhile */
    for (int lost = 0; lost < 2; lost++) {
        session = s_new(data, 1);
        s_join(session, data, 0);
        if (lost) {
            wire_t rejoin = {.type = WIRE_REJOIN};
            s_step(session, 1, 0, 3);
            s_expect_compute(session, 1, 1, 0);
            session_drain(session);
            (void)session_message(session, &rejoin, 0, 0);
            s_expect(session, 0, SESSION_CANCEL);
        } else {
            session_drain(session);
            s_expect_send(session, 0, WIRE_BYE);
        }
        s_expect(session, 0, SESSION_LEAVE);
        session_destroy(&session);
    }
    session = s_new(data, 1); /* one that has not joined yet */
    session_drain(session);
    s_expect_send(session, 0, WIRE_BYE);
    s_expect(session, 0, SESSION_LEAVE);
    s_end(&session, &data);
}

static void test_goes_by_its_newest_number(void **state)
{
    (void)state;
    dataset_t *data = s_data(0);
    session_t *session = s_new(data, 1);
    s_join(session, data, 0);
    s_step(session, 1, 0, 2);
    s_expect_compute(session, 1, 1, 0);
    wire_t welcome = s_welcome(data);
    (void)session_message(session, &welcome, 0, 0); /* said again */
    welcome.welcome.worker = ME + 1;
    welcome.incarnation = 2;
    (void)session_message(session, &welcome, 0, 0); /* another server's */
    s_expect(session, 0, SESSION_NOTHING);
    welcome.incarnation = 1;
    (void)session_message(session, &welcome, 0, 0);
    s_expect(session, 0, SESSION_CANCEL);
    s_expect_send(session, 0, WIRE_READY);
    wire_range_t range = {ME + 1, 0, 2};
    wire_t step = s_asked(WIRE_STEP, 1, &range, 1);
    assert_true(session_message(session, &step, s_weights_bytes(), 0)); /* its weights again */
    s_expect(session, 0, SESSION_CANCEL);
    s_expect_compute(session, 1, 1, 0);
    s_done(session, 1, 1, 0);
    session_action_t action = s_expect(session, 0, SESSION_PUSH);
    assert_int_equal(action.message->partial.worker, ME + 1);
    partial_release(&action.partial);
    welcome.welcome.worker = ME; /* an old one, late */
    (void)session_message(session, &welcome, 0, 0);
    s_expect(session, 0, SESSION_NOTHING);
    s_end(&session, &data);
}

static void test_pauses(void **state)
{
    (void)state;
    dataset_t *data = s_data(0);
    session_t *session = s_new(data, 1);
    session_pause(session);
    s_expect(session, 0, SESSION_CANCEL);
    s_expect(session, 1000000, SESSION_NOTHING); /* no HELLO, no BYE: it never joined */
    assert_string_equal(session_waits_for(session, 0), "workers");
    assert_int_equal(session_silence_ms(session, 1000000), 0); /* nobody is to be heard */
    session_resume(session, "dense/Haswell", 5);
    assert_int_equal(session_silence_ms(session, 7), 2);
    s_expect(session, 5, SESSION_CANCEL);
    session_action_t action = s_expect(session, 5, SESSION_SEND);
    assert_int_equal(action.message->type, WIRE_HELLO);
    assert_string_equal(action.message->hello.kernel, "dense/Haswell");
    wire_t welcome = s_welcome(data);
    (void)session_message(session, &welcome, 0, 5);
    s_expect(session, 5, SESSION_CANCEL);
    assert_null(session_waits_for(session, 5));
    s_expect(session, 5, SESSION_SET_UP);
    assert_string_equal(session_waits_for(session, 5), "workers");
    assert_int_equal(session_silence_ms(session, 1000000), 0);
    session_ready(session, 5);
    assert_int_equal(session_silence_ms(session, 8), 3);
    assert_null(session_waits_for(session, 5));
    s_expect_send(session, 5, WIRE_READY);
    s_step(session, 1, 0, 2);
    s_expect_compute(session, 1, 1, 0);
    session_pause(session);
    s_expect(session, 5, SESSION_CANCEL);
    s_expect_send(session, 5, WIRE_BYE);
    s_done(session, 1, 1, 0); /* too late */
    s_expect(session, 1000000, SESSION_NOTHING);
    session_resume(session, "dense/SkylakeX", 7);
    s_expect(session, 7, SESSION_CANCEL);
    s_expect_send(session, 7, WIRE_HELLO);
    s_end(&session, &data);

    data = s_data(0);
    session = s_new(data, 1); /* it was about to leave: nobody will do what it waits for */
    s_join(session, data, 0);
    s_step(session, 1, 0, 2);
    s_expect_compute(session, 1, 1, 0);
    session_drain(session);
    s_expect(session, 0, SESSION_NOTHING);
    session_pause(session);
    s_expect(session, 0, SESSION_CANCEL);
    s_expect_send(session, 0, WIRE_BYE);
    s_expect(session, 0, SESSION_LEAVE);
    s_end(&session, &data);
}

/* What is above and what is below happens at the same time, and leaving goes before. */
static void test_neither_readies_nor_resumes_what_leaves(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        dataset_t *data = s_data(0);
        session_t *session = s_new(data, 1);
        s_expect_send(session, 0, WIRE_HELLO);
        wire_t welcome = s_welcome(data);
        wire_t end = {.type = WIRE_END, .run = RUN};
        (void)session_message(session, &welcome, 0, 0);
        s_expect(session, 0, SESSION_CANCEL);
        s_expect(session, 0, SESSION_SET_UP);
        if (how == 0) {
            session_drain(session);
            session_ready(session, 0);
            s_expect_send(session, 0, WIRE_BYE);
        } else if (how == 1) {
            (void)session_message(session, &end, 0, 0);
            session_ready(session, 0);
        } else {
            session_pause(session);
            s_expect(session, 0, SESSION_CANCEL);
            s_expect_send(session, 0, WIRE_BYE);
            session_drain(session);
            session_resume(session, "dense/Haswell", 0);
        }
        s_expect(session, 0, SESSION_LEAVE);
        s_end(&session, &data);
    }
}

static void test_rejoins(void **state)
{
    (void)state;
    dataset_t *data = s_data(0);
    session_t *session = s_new(data, 1);
    s_join(session, data, 0);
    s_step(session, 9, 0, 8);
    s_expect_compute(session, 9, 3, 0);
    wire_t rejoin = {.type = WIRE_REJOIN, .run = RUN + 1, .incarnation = 1};
    session_message(session, &rejoin, 0, 50);
    s_done(session, 9, 3, 0); /* nobody wants it any more */
    assert_int_equal(s_live, 0);
    s_expect(session, 50, SESSION_CANCEL);
    s_expect_send(session, 50, WIRE_HELLO);
    session_message(session, &rejoin, 0, 51); /* said twice */
    s_expect(session, 51, SESSION_NOTHING);
    wire_t welcome = s_welcome(data);
    welcome.run = RUN + 1;
    welcome.incarnation = 2;
    welcome.welcome.worker = 1;
    session_message(session, &welcome, 0, 60);
    s_expect(session, 60, SESSION_CANCEL);
    s_expect(session, 60, SESSION_SET_UP);
    session_ready(session, 60);
    s_expect_send(session, 60, WIRE_READY);
    /* step 1 of the new run is newer than step 9 of the old one */
    wire_range_t range = {1, 0, 1};
    wire_t step = s_asked(WIRE_STEP, 1, &range, 1);
    step.run = RUN + 1;
    step.incarnation = 2;
    assert_true(session_message(session, &step, s_weights_bytes(), 60));
    s_expect(session, 60, SESSION_CANCEL);
    s_expect_compute(session, 1, 0, 0);
    s_end(&session, &data);
}

/* An ASSIGN comes to one worker only: when it names others, the server knows us by a number that we
 * never got. */
static void test_asks_for_its_number(void **state)
{
    (void)state;
    dataset_t *data = s_data(0);
    session_t *session = s_new(data, 1);
    s_join(session, data, 0);
    s_step(session, 1, 0, 4);
    s_expect_compute(session, 1, 2, 0);
    wire_range_t ranges[] = {{ME + 1, 4, 8}, {ME, 0, 4}};
    wire_t message = s_asked(WIRE_ASSIGN, 1, ranges, 2);
    session_message(session, &message, 0, 9);
    message.n_ranges = 0;
    session_message(session, &message, 0, 9);
    message.type = WIRE_STEP; /* for all */
    message.n_ranges = 1;
    session_message(session, &message, s_weights_bytes(), 9);
    s_expect(session, 9, SESSION_NOTHING);
    message = s_asked(WIRE_ASSIGN, 1, ranges, 1);
    session_message(session, &message, 0, 9);
    s_expect(session, 9, SESSION_CANCEL);
    s_expect_send(session, 9, WIRE_HELLO);
    wire_t welcome = s_welcome(data);
    welcome.welcome.worker = ME + 1;
    session_message(session, &welcome, 0, 20);
    s_expect(session, 20, SESSION_CANCEL);
    s_expect(session, 20, SESSION_SET_UP);
    session_ready(session, 20);
    assert_int_equal(session_job(session)->worker, ME + 1);
    s_end(&session, &data);
}

static void test_takes_another_kernel(void **state)
{
    (void)state;
    session_t *session = s_new(NULL, 1);
    wire_t refused = {.type = WIRE_REFUSED};
    refused.refusal = (wire_refusal_t){WIRE_REFUSED_KERNEL, "dense/Haswell", "other kernel"};
    s_expect_send(session, 0, WIRE_HELLO);
    s_expect_send(session, 500, WIRE_HELLO); /* both are answered late */
    session_message(session, &refused, 0, 600);
    s_expect(session, 600, SESSION_CANCEL);
    session_action_t action = s_expect(session, 600, SESSION_SEND);
    assert_int_equal(action.message->type, WIRE_HELLO);
    assert_string_equal(action.message->hello.kernel, "dense/Haswell");
    assert_string_equal(session_kernel(session), "dense/Haswell");
    session_message(session, &refused, 0, 601); /* the answer to the second HELLO */
    s_expect(session, 601, SESSION_NOTHING);
    wire_t welcome = s_welcome(NULL);
    session_message(session, &welcome, 0, 602);
    s_expect(session, 602, SESSION_CANCEL);
    s_expect(session, 602, SESSION_SET_UP);
    /* the next job is asked with its own again */
    session_ready(session, 602);
    wire_t rejoin = {.type = WIRE_REJOIN};
    session_message(session, &rejoin, 0, 603);
    s_expect(session, 603, SESSION_CANCEL);
    action = s_expect(session, 603, SESSION_SEND);
    assert_int_equal(action.message->type, WIRE_HELLO);
    assert_string_equal(action.message->hello.kernel, "dense/SkylakeX");
    session_destroy(&session);
}

static void test_refusals_are_final(void **state)
{
    (void)state;
    static const wire_refusal_t refusals[] = {
        {WIRE_REFUSED_KERNEL, "sparse/x", "a kernel that does not run here"},
        {WIRE_REFUSED_KERNEL, "", "no kernel at all"},
        {WIRE_REFUSED_VERSION, "", "version"},
        {WIRE_REFUSED_DIGEST, "", "digest"},
        {WIRE_REFUSED_SHAPE, "", "shape"},
        {WIRE_REFUSED_QUARANTINE, "", "quarantine"},
        {WIRE_REFUSED_RELAYS, "", "relays"},
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        for (int joined = 0; joined < 2; joined++) {
            session_t *session = s_new(NULL, 1);
            if (joined)
                s_join(session, NULL, 0);
            wire_t message = {.type = WIRE_REFUSED};
            message.refusal = refusals[i];
            session_message(session, &message, 0, 0);
            s_expect(session, 0, SESSION_REFUSED);
            assert_int_equal(session_refusal(session)->reason, refusals[i].reason);
            assert_string_equal(session_refusal(session)->text, refusals[i].text);
            session_destroy(&session);
        }
    }
}

/* A worker with data of its own must never read it by the shape of another data set. */
static void test_a_job_over_other_data_is_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        dataset_t *data = s_data(0);
        dataset_t *other = s_data(1);
        session_t *session = s_new(data, 1);
        s_expect_send(session, 0, WIRE_HELLO);
        wire_t welcome = s_welcome(i == 0 ? other : data);
        if (i == 1)
            welcome.welcome.sampler.n_rows = ROWS + 1;
        if (i == 2)
            welcome.welcome.model.n_inputs = INPUTS + 1;
        session_message(session, &welcome, 0, 0);
        session_action_t action;
        while (session_next(session, 0, &action) == SESSION_CANCEL)
            ;
        assert_int_equal(action.kind, SESSION_REFUSED);
        assert_int_equal(session_refusal(session)->reason, WIRE_REFUSED_DIGEST);
        assert_true(session_refusal(session)->text[0] != '\0');
        dataset_destroy(&other);
        s_end(&session, &data);
    }
}

/* ROWS by definition of the test's data set. */
static wire_t s_rows(const dataset_t *data, uint32_t first, uint32_t n_rows)
{
    wire_t message = {.type = WIRE_ROWS, .run = RUN, .incarnation = 1};
    message.rows = (wire_rows_t){first, n_rows, dataset_labels(data) + first};
    return message;
}

static void test_fetches_rows_before_it_computes(void **state)
{
    (void)state;
    dataset_t *data = s_data(0);
    session_t *session = s_new(NULL, 1);
    s_join(session, data, 0);
    assert_false(session_message(session, &(wire_t){.type = WIRE_HEARTBEAT}, 0, 0));
    s_step(session, 1, 0, 8);
    session_action_t action = s_expect(session, 0, SESSION_FETCH);
    assert_int_equal(action.message->type, WIRE_FETCH);
    assert_int_equal(action.message->run, RUN);
    uint32_t first = action.message->fetch.first, n_rows = action.message->fetch.n_rows;
    assert_int_equal(first, 0);
    assert_int_equal(n_rows, ROWS); /* one chunk */
    s_expect(session, 0, SESSION_NOTHING);

    const uint8_t *images = dataset_images(data);
    size_t bytes = (size_t)n_rows * INPUTS;
    wire_t rows = s_rows(data, first, n_rows);
    wire_t bad = rows;
    bad.run = RUN + 1;
    assert_false(session_rows(session, &bad, images, bytes));
    bad = rows;
    bad.type = WIRE_STEP;
    assert_false(session_rows(session, &bad, images, bytes));
    bad = rows;
    bad.rows.n_rows--;
    assert_false(session_rows(session, &bad, images, bytes - INPUTS));
    assert_false(session_rows(session, &rows, images, bytes - 1));
    uint8_t labels[ROWS];
    memcpy(labels, dataset_labels(data), ROWS);
    labels[ROWS - 1] = 2; /* the network has two classes */
    bad = rows;
    bad.rows.labels = labels;
    assert_false(session_rows(session, &bad, images, bytes));
    s_expect(session, 0, SESSION_NOTHING);

    assert_true(session_rows(session, &rows, images, bytes));
    for (uint32_t i = 0; i < 8; i++) /* in pieces, as rows are waited for */
        s_expect_compute(session, 1, 0, i);
    s_expect(session, 0, SESSION_NOTHING);
    assert_memory_equal(rowcache_images(session_rowcache(session)), images, bytes);
    assert_true(session_rows(session, &rows, images, bytes)); /* a repeated answer */

    /* the same job again keeps them; while it sets up, threads may still read the old ones */
    wire_t rejoin = {.type = WIRE_REJOIN};
    session_message(session, &rejoin, 0, 0);
    s_expect(session, 0, SESSION_CANCEL);
    s_join(session, data, 0);
    assert_true(rowcache_has(session_rowcache(session), 0, ROWS));
    session_message(session, &rejoin, 0, 0);
    s_expect(session, 0, SESSION_CANCEL);
    const uint8_t *old = rowcache_images(session_rowcache(session));
    dataset_t *other = s_data(1);
    s_expect_send(session, 0, WIRE_HELLO);
    wire_t welcome = s_welcome(other);
    session_message(session, &welcome, 0, 0);
    assert_memory_equal(old, images, bytes);
    s_expect(session, 0, SESSION_CANCEL);
    s_expect(session, 0, SESSION_SET_UP);
    assert_memory_equal(old, images, bytes);
    session_ready(session, 0);
    assert_false(rowcache_has(session_rowcache(session), 0, 1));
    dataset_destroy(&other);
    s_end(&session, &data);
}

/* With several threads a node is cut, and its pieces meet in the session's tree. */
static void test_pieces_of_many_threads_meet(void **state)
{
    (void)state;
    srand(3);
    for (uint32_t n_threads = 1; n_threads <= 4; n_threads++) {
        for (int round = 0; round < 20; round++) {
            dataset_t *data = s_data(0);
            session_t *session = s_new(data, n_threads);
            s_join(session, data, 0);
            uint32_t from = (uint32_t)rand() % BLOCKS;
            uint32_t to = from + 1 + (uint32_t)rand() % (BLOCKS - from);
            s_step(session, 1, from, to);
            node_t tasks[BLOCKS];
            uint32_t n_tasks = 0;
            uint32_t n_covered[BLOCKS] = {0};
            session_action_t action;
            while (session_next(session, 0, &action) == SESSION_COMPUTE) {
                uint32_t first, end;
                node_range(action.node, BLOCKS, &first, &end);
                for (; first < end; first++)
                    n_covered[first]++;
                assert_true(n_tasks < BLOCKS);
                tasks[n_tasks++] = action.node;
            }
            assert_int_equal(action.kind, SESSION_NOTHING);
            for (uint32_t block = 0; block < BLOCKS; block++)
                assert_int_equal(n_covered[block], block >= from && block < to);
            if (to - from >= 8 * n_threads)
                assert_true(n_tasks >= n_threads); /* work for every thread */
            while (n_tasks > 0) {
                uint32_t i = (uint32_t)rand() % n_tasks;
                s_done(session, 1, tasks[i].level, tasks[i].index);
                tasks[i] = tasks[--n_tasks];
            }
            uint64_t n_rows = 0;
            while (session_next(session, 0, &action) == SESSION_PUSH) {
                n_rows += action.message->partial.rows;
                partial_release(&action.partial);
            }
            assert_int_equal(n_rows, (to - from) * BLOCK_ROWS);
            s_end(&session, &data);
        }
    }
}

static wire_t s_evaluate(uint32_t evaluation, wire_range_t *ranges, uint32_t n_ranges)
{
    wire_t message = s_asked(WIRE_EVALUATE, 1, ranges, n_ranges);
    message.evaluate.step = evaluation;
    return message;
}

static void s_expect_evaluate(session_t *session, uint32_t evaluation, uint32_t first, uint32_t end)
{
    session_action_t action = s_expect(session, 0, SESSION_EVALUATE);
    assert_int_equal(action.step, evaluation);
    assert_int_equal(action.first, first);
    assert_int_equal(action.end, end);
}

static void s_score(session_t *session, uint32_t evaluation, uint32_t first)
{
    wire_score_t score = {evaluation, first, first + BLOCK_ROWS, first + 0.5, 1};
    session_score(session, &score);
}

static void s_expect_score(session_t *session, uint32_t evaluation, uint32_t first)
{
    session_action_t action = s_expect(session, 0, SESSION_SEND);
    assert_int_equal(action.message->type, WIRE_EVALUATED);
    assert_int_equal(action.message->score.step, evaluation);
    assert_int_equal(action.message->score.first, first);
    assert_true(action.message->score.cost == first + 0.5);
}

/* Its workers answer with the nodes that a range is cut into, which may be no parts of a task's. */
static void test_a_relay_hands_its_nodes_on_whole(void **state)
{
    (void)state;
    dataset_t *data = s_data(0);
    session_t *session = s_new(NULL, 1);
    session_relays(session, 0);
    s_join(session, data, 0);
    s_step(session, 1, 0, 8);
    s_expect(session, 0, SESSION_FETCH);
    wire_t rows = s_rows(data, 0, ROWS);
    assert_true(session_rows(session, &rows, dataset_images(data), ROWS * INPUTS));
    s_expect_compute(session, 1, 3, 0);
    s_expect(session, 0, SESSION_NOTHING);
    s_end(&session, &data);
}

/* Rows that a job has and our data set has not are fetched, whatever the job says that they are. */
static void test_rows_behind_our_own_data_are_never_read(void **state)
{
    (void)state;
    wire_range_t behind = {ME, ROWS, ROWS + BLOCK_ROWS};
    dataset_t *data = s_data(0);
    session_t *session = s_new(data, 1);
    s_expect_send(session, 0, WIRE_HELLO);
    wire_t welcome = s_welcome(data);
    welcome.welcome.evaluation_rows = BLOCK_ROWS;
    assert_false(session_message(session, &welcome, 0, 0));
    s_expect(session, 0, SESSION_CANCEL);
    s_expect(session, 0, SESSION_SET_UP);
    session_ready(session, 0);
    s_expect_send(session, 0, WIRE_READY);
    wire_t evaluate = s_evaluate(7, &behind, 1);
    assert_true(session_message(session, &evaluate, s_weights_bytes(), 0));
    session_action_t action = s_expect(session, 0, SESSION_FETCH);
    assert_true(action.message->fetch.first + action.message->fetch.n_rows > ROWS);
    s_expect(session, 0, SESSION_NOTHING);
    s_end(&session, &data);
}

/* One range at a time for each thread, and none while a step has something to compute; steps come
 * and go meanwhile. */
static void test_evaluations_take_what_steps_leave(void **state)
{
    (void)state;
    wire_range_t blocks[] = {{ME, 0, 1}};
    wire_range_t rows[] = {{ME, 10, 12}, {ME + 1, 12, 14}, {ME, 14, 16}, {ME, 126, 128}};
    dataset_t *data = s_data(0);
    session_t *session = s_new(data, 1);
    s_join(session, data, 0);
    wire_t step = s_asked(WIRE_STEP, 1, blocks, 1);
    wire_t evaluate = s_evaluate(7, rows, 4);
    assert_true(session_message(session, &step, s_weights_bytes(), 0));
    s_expect(session, 0, SESSION_CANCEL);
    node_t node = s_expect(session, 0, SESSION_COMPUTE).node;
    assert_false(session_message(session, &evaluate, s_weights_bytes() - 4, 0));
    assert_true(session_message(session, &evaluate, s_weights_bytes(), 0));
    s_expect(session, 0, SESSION_NOTHING); /* the thread is busy */
    partial_t partial = s_partial(node);
    session_result(session, 1, node, &partial);
    session_action_t push = s_expect(session, 0, SESSION_PUSH);
    partial_release(&push.partial);
    s_expect_evaluate(session, 7, 10, 12);
    s_expect(session, 0, SESSION_NOTHING);
    /* a step goes before; what is under way is neither dropped nor begun again */
    step.step = 2;
    assert_true(session_message(session, &step, s_weights_bytes(), 0));
    s_expect(session, 0, SESSION_CANCEL);
    s_expect(session, 0, SESSION_COMPUTE);
    assert_false(session_message(session, &evaluate, s_weights_bytes(), 0)); /* asked again */
    s_score(session, 7, 10);
    s_expect_score(session, 7, 10);
    s_expect(session, 0, SESSION_NOTHING);
    partial = s_partial(node);
    session_result(session, 2, node, &partial);
    push = s_expect(session, 0, SESSION_PUSH);
    partial_release(&push.partial);
    s_expect_evaluate(session, 7, 126, 128);
    s_score(session, 7, 126);
    s_expect_score(session, 7, 126);
    s_expect_evaluate(session, 7, 14, 16);
    s_score(session, 7, 14);
    s_expect_score(session, 7, 14);
    s_expect(session, 0, SESSION_NOTHING); /* each once */
    wire_t lost = s_evaluate(7, rows + 2, 1);
    assert_false(session_message(session, &lost, s_weights_bytes(), 0));
    s_expect_evaluate(session, 7, 14, 16); /* but when what it said was lost */
    /* another one: the older one's result is of no use */
    wire_range_t bad[] = {{ME, 127, 129}, {ME, 0, 3}, {ME, 2, 4}}; /* beyond; too many; fine */
    evaluate = s_evaluate(9, bad, 3);
    assert_true(session_message(session, &evaluate, s_weights_bytes(), 0));
    s_expect(session, 0, SESSION_NOTHING);
    s_score(session, 7, 14);
    s_expect_evaluate(session, 9, 2, 4);
    evaluate = s_evaluate(7, rows, 4);
    assert_false(session_message(session, &evaluate, s_weights_bytes(), 0)); /* late */
    s_score(session, 9, 2);
    s_expect_score(session, 9, 2);
    s_expect(session, 0, SESSION_NOTHING);
    /* what was said may have been lost: it is done again */
    evaluate = s_evaluate(9, bad, 3);
    assert_false(session_message(session, &evaluate, s_weights_bytes(), 0));
    s_expect_evaluate(session, 9, 2, 4);
    session_destroy(&session);
    dataset_destroy(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joins),
        cmocka_unit_test(test_computes_what_a_step_asks_for),
        cmocka_unit_test(test_a_step_said_again_changes_nothing_that_is_under_way),
        cmocka_unit_test(test_assignments_add_what_is_not_under_way),
        cmocka_unit_test(test_siblings_asked_for_apart_are_pushed_apart),
        cmocka_unit_test(test_a_new_step_drops_the_old_one),
        cmocka_unit_test(test_foreign_messages_are_ignored),
        cmocka_unit_test(test_drains),
        cmocka_unit_test(test_goes_by_its_newest_number),
        cmocka_unit_test(test_pauses),
        cmocka_unit_test(test_neither_readies_nor_resumes_what_leaves),
        cmocka_unit_test(test_rejoins),
        cmocka_unit_test(test_asks_for_its_number),
        cmocka_unit_test(test_takes_another_kernel),
        cmocka_unit_test(test_refusals_are_final),
        cmocka_unit_test(test_a_job_over_other_data_is_refused),
        cmocka_unit_test(test_fetches_rows_before_it_computes),
        cmocka_unit_test(test_pieces_of_many_threads_meet),
        cmocka_unit_test(test_a_relay_hands_its_nodes_on_whole),
        cmocka_unit_test(test_rows_behind_our_own_data_are_never_read),
        cmocka_unit_test(test_evaluations_take_what_steps_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
