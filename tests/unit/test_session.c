/* A worker's session: every message and result in, the actions that follow, a clock by hand. */
#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "play.h"

static void test_joins(void **state)
{
    (void)state;
    dataset_t *data = play_data(0);
    session_t *session = play_new(data, 1);
    session_action_t action = play_expect(session, 1000, SESSION_SEND);
    assert_int_equal(action.message->type, WIRE_HELLO);
    assert_string_equal(action.message->hello.name, "w");
    assert_string_equal(action.message->hello.host, "h");
    assert_string_equal(action.message->hello.kernel, "dense/SkylakeX");
    assert_string_equal(action.message->hello.digest, dataset_digest(data));
    assert_string_equal(session_waits_for(session, 1001), "welcome");
    assert_null(session_waits_for(session, 1000));
    play_expect(session, 1000, SESSION_NOTHING);
    int64_t due_ms = session_deadline_ms(session);
    assert_true(due_ms > 1000 && due_ms <= 1500);
    play_expect(session, due_ms - 1, SESSION_NOTHING);
    play_expect_send(session, due_ms, WIRE_HELLO); /* nobody answered */

    wire_t welcome = play_welcome(data);
    assert_false(session_message(session, &welcome, 0, due_ms));
    play_expect(session, due_ms, SESSION_CANCEL);
    play_expect(session, due_ms, SESSION_SET_UP);
    play_expect(session, due_ms, SESSION_NOTHING); /* the actor is at it */
    welcome.welcome.worker = PLAY_ME - 1;          /* the answer to the other HELLO */
    assert_false(session_message(session, &welcome, 0, due_ms));
    assert_int_equal(session_job(session)->worker, PLAY_ME);
    play_expect(session, due_ms, SESSION_NOTHING);
    session_ready(session, due_ms);
    assert_false(session_message(session, &welcome, 0, due_ms));
    assert_int_equal(session_job(session)->worker, PLAY_ME);

    play_expect_send(session, due_ms, WIRE_READY); /* until a step shows that it was heard */
    play_expect(session, due_ms + 9, SESSION_NOTHING);
    play_expect_send(session, due_ms + 10,
                     WIRE_READY); /* soon: the subscription may have been late */
    play_expect(session, due_ms + 10 + PLAY_HEARTBEAT - 1, SESSION_NOTHING);
    play_expect_send(session, due_ms + 10 + PLAY_HEARTBEAT, WIRE_READY);
    assert_int_equal(session_deadline_ms(session), due_ms + 10 + 2 * PLAY_HEARTBEAT);
    assert_null(session_waits_for(session, due_ms + 1000));
    assert_string_equal(session_waits_for(session, due_ms + 1001), "server");
    action = play_expect(session, due_ms + 10 * PLAY_HEARTBEAT, SESSION_SEND);
    assert_int_equal(action.message->type, WIRE_READY);
    assert_int_equal(action.message->run, PLAY_RUN);
    assert_int_equal(action.message->ready.n_params, model_params(&play_model));
    assert_string_equal(action.message->ready.digest, dataset_digest(data));

    wire_t step = play_asked(WIRE_STEP, 3, NULL, 0);
    assert_true(
        session_message(session, &step, play_weights_bytes(), due_ms + 10 * PLAY_HEARTBEAT));
    play_expect(session, due_ms + 10 * PLAY_HEARTBEAT, SESSION_CANCEL);
    play_expect(session, due_ms + 10 * PLAY_HEARTBEAT, SESSION_NOTHING);
    action = play_expect(session, due_ms + 11 * PLAY_HEARTBEAT, SESSION_SEND);
    assert_int_equal(action.message->type, WIRE_HEARTBEAT);
    assert_int_equal(action.message->heartbeat.newest_step, 3);
    assert_int_equal(session_bye(session)->type, WIRE_BYE);
    play_end(&session, &data);
}

static void test_drains(void **state)
{
    (void)state;
    dataset_t *data = play_data(0);
    session_t *session = play_new(data, 1);
    play_join(session, data, 0);
    play_step(session, 1, 0, 3);
    play_expect_compute(session, 1, 1, 0);
    play_expect_compute(session, 1, 0, 2);
    session_drain(session);
    play_assign(session, 1, 3, 4); /* takes no more */
    play_expect(session, 0, SESSION_NOTHING);
    play_done(session, 1, 0, 2);
    play_expect_push(session, 1, 0, 2);
    play_expect(session, 0, SESSION_NOTHING); /* the other node is still being computed */
    play_done(session, 1, 1, 0);
    play_expect_push(session, 1, 1, 0);
    play_expect_send(session, 0, WIRE_BYE);
    play_expect(session, 0, SESSION_LEAVE);
    play_end(&session, &data);

    data = play_data(0); /* one that is asked for nothing, and one that was lost meanwhile */
    for (int lost = 0; lost < 2; lost++) {
        session = play_new(data, 1);
        play_join(session, data, 0);
        if (lost) {
            wire_t rejoin = {.type = WIRE_REJOIN};
            play_step(session, 1, 0, 3);
            play_expect_compute(session, 1, 1, 0);
            session_drain(session);
            (void)session_message(session, &rejoin, 0, 0);
            play_expect(session, 0, SESSION_CANCEL);
        } else {
            session_drain(session);
            play_expect_send(session, 0, WIRE_BYE);
        }
        play_expect(session, 0, SESSION_LEAVE);
        session_destroy(&session);
    }
    session = play_new(data, 1); /* one that has not joined yet */
    session_drain(session);
    play_expect_send(session, 0, WIRE_BYE);
    play_expect(session, 0, SESSION_LEAVE);
    play_end(&session, &data);
}

static void test_goes_by_its_newest_number(void **state)
{
    (void)state;
    dataset_t *data = play_data(0);
    session_t *session = play_new(data, 1);
    play_join(session, data, 0);
    play_step(session, 1, 0, 2);
    play_expect_compute(session, 1, 1, 0);
    wire_t welcome = play_welcome(data);
    (void)session_message(session, &welcome, 0, 0); /* said again */
    welcome.welcome.worker = PLAY_ME + 1;
    welcome.incarnation = 2;
    (void)session_message(session, &welcome, 0, 0); /* another server's */
    play_expect(session, 0, SESSION_NOTHING);
    welcome.incarnation = 1;
    (void)session_message(session, &welcome, 0, 0);
    play_expect(session, 0, SESSION_CANCEL);
    play_expect_send(session, 0, WIRE_READY);
    wire_range_t range = {PLAY_ME + 1, 0, 2};
    wire_t step = play_asked(WIRE_STEP, 1, &range, 1);
    assert_true(session_message(session, &step, play_weights_bytes(), 0)); /* its weights again */
    play_expect(session, 0, SESSION_CANCEL);
    play_expect_compute(session, 1, 1, 0);
    play_done(session, 1, 1, 0);
    session_action_t action = play_expect(session, 0, SESSION_PUSH);
    assert_int_equal(action.message->partial.worker, PLAY_ME + 1);
    partial_release(&action.partial);
    welcome.welcome.worker = PLAY_ME; /* an old one, late */
    (void)session_message(session, &welcome, 0, 0);
    play_expect(session, 0, SESSION_NOTHING);
    play_end(&session, &data);
}

static void test_pauses(void **state)
{
    (void)state;
    dataset_t *data = play_data(0);
    session_t *session = play_new(data, 1);
    session_pause(session);
    play_expect(session, 0, SESSION_CANCEL);
    play_expect(session, 1000000, SESSION_NOTHING); /* no HELLO, no BYE: it never joined */
    assert_string_equal(session_waits_for(session, 0), "workers");
    assert_int_equal(session_silence_ms(session, 1000000), 0); /* nobody is to be heard */
    session_resume(session, "dense/Haswell", 5);
    assert_int_equal(session_silence_ms(session, 7), 2);
    play_expect(session, 5, SESSION_CANCEL);
    session_action_t action = play_expect(session, 5, SESSION_SEND);
    assert_int_equal(action.message->type, WIRE_HELLO);
    assert_string_equal(action.message->hello.kernel, "dense/Haswell");
    wire_t welcome = play_welcome(data);
    (void)session_message(session, &welcome, 0, 5);
    play_expect(session, 5, SESSION_CANCEL);
    assert_null(session_waits_for(session, 5));
    play_expect(session, 5, SESSION_SET_UP);
    assert_string_equal(session_waits_for(session, 5), "workers");
    assert_int_equal(session_silence_ms(session, 1000000), 0);
    session_ready(session, 5);
    assert_int_equal(session_silence_ms(session, 8), 3);
    assert_null(session_waits_for(session, 5));
    play_expect_send(session, 5, WIRE_READY);
    play_step(session, 1, 0, 2);
    play_expect_compute(session, 1, 1, 0);
    session_pause(session);
    play_expect(session, 5, SESSION_CANCEL);
    play_expect_send(session, 5, WIRE_BYE);
    play_done(session, 1, 1, 0); /* too late */
    play_expect(session, 1000000, SESSION_NOTHING);
    session_resume(session, "dense/SkylakeX", 7);
    play_expect(session, 7, SESSION_CANCEL);
    play_expect_send(session, 7, WIRE_HELLO);
    play_end(&session, &data);

    data = play_data(0);
    session = play_new(data, 1); /* it was about to leave: nobody will do what it waits for */
    play_join(session, data, 0);
    play_step(session, 1, 0, 2);
    play_expect_compute(session, 1, 1, 0);
    session_drain(session);
    play_expect(session, 0, SESSION_NOTHING);
    session_pause(session);
    play_expect(session, 0, SESSION_CANCEL);
    play_expect_send(session, 0, WIRE_BYE);
    play_expect(session, 0, SESSION_LEAVE);
    play_end(&session, &data);
}

/* What is above and what is below happens at the same time, and leaving goes before. */
static void test_neither_readies_nor_resumes_what_leaves(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        dataset_t *data = play_data(0);
        session_t *session = play_new(data, 1);
        play_expect_send(session, 0, WIRE_HELLO);
        wire_t welcome = play_welcome(data);
        wire_t end = {.type = WIRE_END, .run = PLAY_RUN};
        (void)session_message(session, &welcome, 0, 0);
        play_expect(session, 0, SESSION_CANCEL);
        play_expect(session, 0, SESSION_SET_UP);
        if (how == 0) {
            session_drain(session);
            session_ready(session, 0);
            play_expect_send(session, 0, WIRE_BYE);
        } else if (how == 1) {
            (void)session_message(session, &end, 0, 0);
            session_ready(session, 0);
        } else {
            session_pause(session);
            play_expect(session, 0, SESSION_CANCEL);
            play_expect_send(session, 0, WIRE_BYE);
            session_drain(session);
            session_resume(session, "dense/Haswell", 0);
        }
        play_expect(session, 0, SESSION_LEAVE);
        play_end(&session, &data);
    }
}

static void test_rejoins(void **state)
{
    (void)state;
    dataset_t *data = play_data(0);
    session_t *session = play_new(data, 1);
    play_join(session, data, 0);
    play_step(session, 9, 0, 8);
    play_expect_compute(session, 9, 3, 0);
    wire_t rejoin = {.type = WIRE_REJOIN, .run = PLAY_RUN + 1, .incarnation = 1};
    session_message(session, &rejoin, 0, 50);
    play_done(session, 9, 3, 0); /* nobody wants it any more */
    assert_int_equal(play_live, 0);
    play_expect(session, 50, SESSION_CANCEL);
    play_expect_send(session, 50, WIRE_HELLO);
    session_message(session, &rejoin, 0, 51); /* said twice */
    play_expect(session, 51, SESSION_NOTHING);
    wire_t welcome = play_welcome(data);
    welcome.run = PLAY_RUN + 1;
    welcome.incarnation = 2;
    welcome.welcome.worker = 1;
    session_message(session, &welcome, 0, 60);
    play_expect(session, 60, SESSION_CANCEL);
    play_expect(session, 60, SESSION_SET_UP);
    session_ready(session, 60);
    play_expect_send(session, 60, WIRE_READY);
    /* step 1 of the new run is newer than step 9 of the old one */
    wire_range_t range = {1, 0, 1};
    wire_t step = play_asked(WIRE_STEP, 1, &range, 1);
    step.run = PLAY_RUN + 1;
    step.incarnation = 2;
    assert_true(session_message(session, &step, play_weights_bytes(), 60));
    play_expect(session, 60, SESSION_CANCEL);
    play_expect_compute(session, 1, 0, 0);
    play_end(&session, &data);
}

/* An ASSIGN comes to one worker only: when it names others, the server knows us by a number that we
 * never got. */
static void test_asks_for_its_number(void **state)
{
    (void)state;
    dataset_t *data = play_data(0);
    session_t *session = play_new(data, 1);
    play_join(session, data, 0);
    play_step(session, 1, 0, 4);
    play_expect_compute(session, 1, 2, 0);
    wire_range_t ranges[] = {{PLAY_ME + 1, 4, 8}, {PLAY_ME, 0, 4}};
    wire_t message = play_asked(WIRE_ASSIGN, 1, ranges, 2);
    session_message(session, &message, 0, 9);
    message.n_ranges = 0;
    session_message(session, &message, 0, 9);
    message.type = WIRE_STEP; /* for all */
    message.n_ranges = 1;
    session_message(session, &message, play_weights_bytes(), 9);
    play_expect(session, 9, SESSION_NOTHING);
    message = play_asked(WIRE_ASSIGN, 1, ranges, 1);
    session_message(session, &message, 0, 9);
    play_expect(session, 9, SESSION_CANCEL);
    play_expect_send(session, 9, WIRE_HELLO);
    wire_t welcome = play_welcome(data);
    welcome.welcome.worker = PLAY_ME + 1;
    session_message(session, &welcome, 0, 20);
    play_expect(session, 20, SESSION_CANCEL);
    play_expect(session, 20, SESSION_SET_UP);
    session_ready(session, 20);
    assert_int_equal(session_job(session)->worker, PLAY_ME + 1);
    play_end(&session, &data);
}

static void test_takes_another_kernel(void **state)
{
    (void)state;
    session_t *session = play_new(NULL, 1);
    wire_t refused = {.type = WIRE_REFUSED};
    refused.refusal = (wire_refusal_t){WIRE_REFUSED_KERNEL, "dense/Haswell", "other kernel"};
    play_expect_send(session, 0, WIRE_HELLO);
    play_expect_send(session, 500, WIRE_HELLO); /* both are answered late */
    session_message(session, &refused, 0, 600);
    play_expect(session, 600, SESSION_CANCEL);
    session_action_t action = play_expect(session, 600, SESSION_SEND);
    assert_int_equal(action.message->type, WIRE_HELLO);
    assert_string_equal(action.message->hello.kernel, "dense/Haswell");
    assert_string_equal(session_kernel(session), "dense/Haswell");
    session_message(session, &refused, 0, 601); /* the answer to the second HELLO */
    play_expect(session, 601, SESSION_NOTHING);
    wire_t welcome = play_welcome(NULL);
    session_message(session, &welcome, 0, 602);
    play_expect(session, 602, SESSION_CANCEL);
    play_expect(session, 602, SESSION_SET_UP);
    /* the next job is asked with its own again */
    session_ready(session, 602);
    wire_t rejoin = {.type = WIRE_REJOIN};
    session_message(session, &rejoin, 0, 603);
    play_expect(session, 603, SESSION_CANCEL);
    action = play_expect(session, 603, SESSION_SEND);
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
            session_t *session = play_new(NULL, 1);
            if (joined)
                play_join(session, NULL, 0);
            wire_t message = {.type = WIRE_REFUSED};
            message.refusal = refusals[i];
            session_message(session, &message, 0, 0);
            play_expect(session, 0, SESSION_REFUSED);
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
        dataset_t *data = play_data(0);
        dataset_t *other = play_data(1);
        session_t *session = play_new(data, 1);
        play_expect_send(session, 0, WIRE_HELLO);
        wire_t welcome = play_welcome(i == 0 ? other : data);
        if (i == 1)
            welcome.welcome.sampler.n_rows = PLAY_ROWS + 1;
        if (i == 2)
            welcome.welcome.model.n_inputs = PLAY_INPUTS + 1;
        session_message(session, &welcome, 0, 0);
        session_action_t action;
        while (session_next(session, 0, &action) == SESSION_CANCEL)
            ;
        assert_int_equal(action.kind, SESSION_REFUSED);
        assert_int_equal(session_refusal(session)->reason, WIRE_REFUSED_DIGEST);
        assert_true(session_refusal(session)->text[0] != '\0');
        dataset_destroy(&other);
        play_end(&session, &data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joins),
        cmocka_unit_test(test_drains),
        cmocka_unit_test(test_goes_by_its_newest_number),
        cmocka_unit_test(test_pauses),
        cmocka_unit_test(test_neither_readies_nor_resumes_what_leaves),
        cmocka_unit_test(test_rejoins),
        cmocka_unit_test(test_asks_for_its_number),
        cmocka_unit_test(test_takes_another_kernel),
        cmocka_unit_test(test_refusals_are_final),
        cmocka_unit_test(test_a_job_over_other_data_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
