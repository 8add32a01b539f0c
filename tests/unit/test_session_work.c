/* What a worker's session computes, fetches and sends: steps, assignments, rows and evaluations. */
#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "play.h"

static void test_computes_what_a_step_asks_for(void **state)
{
    (void)state;
    dataset_t *data = play_data(0);
    session_t *session = play_new(data, 1);
    play_join(session, data, 0);
    wire_range_t ranges[] = {
        {PLAY_ME + 1, 0, 1},
        {PLAY_ME, 1, 8},
        {PLAY_ME - 1, 8, 60},
        {PLAY_ME, 60, PLAY_BLOCKS},
        {PLAY_ME, PLAY_BLOCKS - 1, PLAY_BLOCKS + 1},
    };
    wire_t message = play_asked(WIRE_STEP, 1, ranges, 5); /* the last one is not in the tree */
    assert_true(session_message(session, &message, play_weights_bytes(), 0));
    play_expect(session, 0, SESSION_CANCEL);
    play_expect_compute(session, 1, 0, 1);
    play_expect_compute(session, 1, 1, 1);
    play_expect(session, 0, SESSION_NOTHING); /* one is done, the next at hand */
    /* results in any order are pushed as they come */
    play_done(session, 1, 1, 1);
    play_expect_compute(session, 1, 2, 1);
    play_expect_push(session, 1, 1, 1);
    play_expect(session, 0, SESSION_NOTHING);
    play_done(session, 1, 2, 1);
    play_done(session, 1, 0, 1);
    play_expect_compute(session, 1, 2, 15);
    play_expect_push(session, 1, 0, 1);
    play_expect_push(session, 1, 2, 1);
    play_expect(session, 0, SESSION_NOTHING);
    play_done(session, 1, 2, 15);
    play_expect_push(session, 1, 2, 15);
    play_expect(session, 0, SESSION_NOTHING);
    play_end(&session, &data);
}

static void test_a_step_said_again_changes_nothing_that_is_under_way(void **state)
{
    (void)state;
    dataset_t *data = play_data(0);
    session_t *session = play_new(data, 1);
    play_join(session, data, 0);
    play_step(session, 1, 0, 4);
    play_expect_compute(session, 1, 2, 0);
    wire_range_t range = {PLAY_ME, 0, 4};
    wire_t again = play_asked(WIRE_STEP, 1, &range, 1);
    assert_false(session_message(session, &again, play_weights_bytes(), 0));
    play_expect(session, 0, SESSION_NOTHING);
    play_done(session, 1, 2, 0);
    play_expect_push(session, 1, 2, 0);
    /* the partial was lost: the server asks again, and it is computed again */
    assert_false(session_message(session, &again, play_weights_bytes(), 0));
    play_expect_compute(session, 1, 2, 0);
    play_done(session, 1, 2, 0);
    play_expect_push(session, 1, 2, 0);
    play_expect(session, 0, SESSION_NOTHING);
    play_end(&session, &data);
}

static void test_assignments_add_what_is_not_under_way(void **state)
{
    (void)state;
    dataset_t *data = play_data(0);
    session_t *session = play_new(data, 1);
    play_join(session, data, 0);
    play_step(session, 1, 4, 8);
    play_expect_compute(session, 1, 2, 1);
    play_assign(session, 1, 4, 8);
    play_assign(session, 1, 5, 6);
    play_expect(session, 0, SESSION_NOTHING);
    play_assign(session, 1, 2, 10); /* both ends stick out */
    play_expect_compute(session, 1, 1, 1);
    play_expect(session, 0, SESSION_NOTHING);
    play_done(session, 1, 2, 1);
    play_expect_compute(session, 1, 1, 4);
    play_expect_push(session, 1, 2, 1);
    play_assign(session, 1, 4, 8); /* pushed already, so it was lost */
    play_done(session, 1, 1, 4);
    play_expect_compute(session, 1, 2, 1);
    play_expect_push(session, 1, 1, 4);
    play_done(session, 1, 2, 1);
    play_expect_push(session, 1, 2, 1);
    play_done(session, 1, 1, 1);
    play_expect_push(session, 1, 1, 1);
    play_expect(session, 0, SESSION_NOTHING);
    play_end(&session, &data);
}

/* Ranges asked for one after the other may be siblings in the tree: each node must still go out. */
static void test_siblings_asked_for_apart_are_pushed_apart(void **state)
{
    (void)state;
    dataset_t *data = play_data(0);
    session_t *session = play_new(data, 1);
    play_join(session, data, 0);
    play_step(session, 1, 0, 2);
    play_assign(session, 1, 2, 4);
    play_assign(session, 1, 4, 8);
    play_expect_compute(session, 1, 1, 0);
    play_expect_compute(session, 1, 1, 1);
    play_done(session, 1, 1, 1); /* all of them before the actor sends any */
    play_expect_compute(session, 1, 2, 1);
    play_done(session, 1, 2, 1);
    play_done(session, 1, 1, 0);
    play_expect_push(session, 1, 1, 0);
    play_expect_push(session, 1, 1, 1);
    play_expect_push(session, 1, 2, 1);
    play_expect(session, 0, SESSION_NOTHING);
    /* left lying complete, they go with the next step or with the session */
    play_assign(session, 1, 0, 2);
    play_expect_compute(session, 1, 1, 0);
    play_done(session, 1, 1, 0);
    play_step(session, 2, 0, 2);
    assert_int_equal(play_live, 0);
    play_expect_compute(session, 2, 1, 0);
    play_done(session, 2, 1, 0);
    play_end(&session, &data);
}

static void test_a_new_step_drops_the_old_one(void **state)
{
    (void)state;
    dataset_t *data = play_data(0);
    session_t *session = play_new(data, 1);
    play_join(session, data, 0);
    play_step(session, 1, 0, 8);
    play_expect_compute(session, 1, 3, 0);
    play_step(session, 2, 2, 4);
    play_done(session, 1, 3, 0); /* was on its way */
    assert_int_equal(play_live, 0);
    play_expect_compute(session, 2, 1, 1);
    play_done(session, 1, 1, 1); /* the same node, of the step before */
    assert_int_equal(play_live, 0);
    play_expect(session, 0, SESSION_NOTHING);
    play_done(session, 2, 5, 9);  /* no such node */
    play_done(session, 2, 0, 60); /* nobody asked */
    assert_int_equal(play_live, 0);
    play_assign(session, 1, 8, 9); /* late message of the old step */
    play_expect_send(session, 0, WIRE_HEARTBEAT);
    play_expect(session, 0, SESSION_NOTHING);
    play_assign(session, 3, 8, 9); /* of a step whose weights were lost: says so at once */
    session_action_t action = play_expect(session, 0, SESSION_SEND);
    assert_int_equal(action.message->type, WIRE_HEARTBEAT);
    assert_int_equal(action.message->heartbeat.newest_step, 2);
    play_expect(session, 0, SESSION_NOTHING);
    play_done(session, 2, 1, 1);
    play_expect_push(session, 2, 1, 1);
    play_end(&session, &data);
}

static void test_foreign_messages_are_ignored(void **state)
{
    (void)state;
    dataset_t *data = play_data(0);
    session_t *session = play_new(data, 1);
    wire_range_t range = {PLAY_ME, 0, 8};
    wire_t step = play_asked(WIRE_STEP, 4, &range, 1);
    play_expect_send(session, 0, WIRE_HELLO);
    assert_false(session_message(session, &step, play_weights_bytes(), 0)); /* before WELCOME */
    wire_t welcome = play_welcome(data);
    session_message(session, &welcome, 0, 0);
    assert_false(session_message(session, &step, play_weights_bytes(), 0)); /* before set-up */
    play_expect(session, 0, SESSION_CANCEL);
    play_expect(session, 0, SESSION_SET_UP);
    session_ready(session, 0);
    play_expect_send(session, 0, WIRE_READY);

    wire_t foreign = step;
    foreign.run = PLAY_RUN + 1;
    assert_false(session_message(session, &foreign, play_weights_bytes(), 0));
    foreign = step;
    foreign.incarnation = 2;
    assert_false(session_message(session, &foreign, play_weights_bytes(), 0));
    assert_false(session_message(session, &step, play_weights_bytes() - 4, 0));
    assert_false(session_message(session, &step, play_weights_bytes() + 4, 0));
    assert_false(session_message(session, &step, 0, 0));
    foreign = step;
    foreign.step = 0; /* steps count from 1: there are no weights yet */
    assert_false(session_message(session, &foreign, play_weights_bytes(), 0));
    foreign.type = WIRE_ASSIGN;
    assert_false(session_message(session, &foreign, 0, 0));
    wire_t end = {.type = WIRE_END, .run = PLAY_RUN + 1, .incarnation = 1};
    assert_false(session_message(session, &end, 0, 0));
    static const wire_type_t not_for_workers[] = {WIRE_HELLO, WIRE_READY,  WIRE_HEARTBEAT,
                                                  WIRE_BYE,   WIRE_FETCH,  WIRE_PARTIAL,
                                                  WIRE_ROWS,  WIRE_STATUS, WIRE_REPORT};
    for (size_t i = 0; i < sizeof(not_for_workers) / sizeof(not_for_workers[0]); i++) {
        wire_t other = {.type = not_for_workers[i], .run = PLAY_RUN, .incarnation = 1, .step = 1};
        assert_false(session_message(session, &other, 0, 0));
    }
    for (session_action_kind_t kind = SESSION_SEND; kind != SESSION_NOTHING;) {
        session_action_t action;
        kind = session_next(session, PLAY_HEARTBEAT / 2, &action);
        assert_true(kind == SESSION_NOTHING || kind == SESSION_SEND); /* no work, no end */
    }
    assert_true(session_message(session, &step, play_weights_bytes(), 0));
    foreign = step;
    foreign.step = 3; /* weights of the past */
    assert_false(session_message(session, &foreign, play_weights_bytes(), 0));
    play_expect(session, 0, SESSION_CANCEL);
    play_expect_compute(session, 4, 3, 0);
    play_expect(session, 0, SESSION_NOTHING);
    end.run = PLAY_RUN;
    session_message(session, &end, 0, 0);
    play_expect(session, 0, SESSION_LEAVE);
    play_end(&session, &data);
}

/* PLAY_ROWS by definition of the test's data set. */
static wire_t s_rows(const dataset_t *data, uint32_t first, uint32_t n_rows)
{
    wire_t message = {.type = WIRE_ROWS, .run = PLAY_RUN, .incarnation = 1};
    message.rows = (wire_rows_t){first, n_rows, dataset_labels(data) + first};
    return message;
}

static void test_fetches_rows_before_it_computes(void **state)
{
    (void)state;
    dataset_t *data = play_data(0);
    session_t *session = play_new(NULL, 1);
    play_join(session, data, 0);
    assert_false(session_message(session, &(wire_t){.type = WIRE_HEARTBEAT}, 0, 0));
    play_step(session, 1, 0, 8);
    session_action_t action = play_expect(session, 0, SESSION_FETCH);
    assert_int_equal(action.message->type, WIRE_FETCH);
    assert_int_equal(action.message->run, PLAY_RUN);
    uint32_t first = action.message->fetch.first, n_rows = action.message->fetch.n_rows;
    assert_int_equal(first, 0);
    assert_int_equal(n_rows, PLAY_ROWS); /* one chunk */
    play_expect(session, 0, SESSION_NOTHING);

    const uint8_t *images = dataset_images(data);
    size_t bytes = (size_t)n_rows * PLAY_INPUTS;
    wire_t rows = s_rows(data, first, n_rows);
    wire_t bad = rows;
    bad.run = PLAY_RUN + 1;
    assert_false(session_rows(session, &bad, images, bytes));
    bad = rows;
    bad.type = WIRE_STEP;
    assert_false(session_rows(session, &bad, images, bytes));
    bad = rows;
    bad.rows.n_rows--;
    assert_false(session_rows(session, &bad, images, bytes - PLAY_INPUTS));
    assert_false(session_rows(session, &rows, images, bytes - 1));
    uint8_t labels[PLAY_ROWS];
    memcpy(labels, dataset_labels(data), PLAY_ROWS);
    labels[PLAY_ROWS - 1] = 2; /* the network has two classes */
    bad = rows;
    bad.rows.labels = labels;
    assert_false(session_rows(session, &bad, images, bytes));
    play_expect(session, 0, SESSION_NOTHING);

    assert_true(session_rows(session, &rows, images, bytes));
    for (uint32_t i = 0; i < 8; i++) { /* in pieces, as rows are waited for */
        play_expect_compute(session, 1, 0, i);
        play_done(session, 1, 0, i);
    }
    play_expect_push(session, 1, 3, 0);
    play_expect(session, 0, SESSION_NOTHING);
    assert_memory_equal(rowcache_images(session_rowcache(session)), images, bytes);
    assert_true(session_rows(session, &rows, images, bytes)); /* a repeated answer */

    /* the same job again keeps them; while it sets up, threads may still read the old ones */
    wire_t rejoin = {.type = WIRE_REJOIN};
    session_message(session, &rejoin, 0, 0);
    play_expect(session, 0, SESSION_CANCEL);
    play_join(session, data, 0);
    assert_true(rowcache_has(session_rowcache(session), 0, PLAY_ROWS));
    session_message(session, &rejoin, 0, 0);
    play_expect(session, 0, SESSION_CANCEL);
    const uint8_t *old = rowcache_images(session_rowcache(session));
    dataset_t *other = play_data(1);
    play_expect_send(session, 0, WIRE_HELLO);
    wire_t welcome = play_welcome(other);
    session_message(session, &welcome, 0, 0);
    assert_memory_equal(old, images, bytes);
    play_expect(session, 0, SESSION_CANCEL);
    play_expect(session, 0, SESSION_SET_UP);
    assert_memory_equal(old, images, bytes);
    session_ready(session, 0);
    assert_false(rowcache_has(session_rowcache(session), 0, 1));
    dataset_destroy(&other);
    play_end(&session, &data);
}

/* With several threads a node is cut, and its pieces meet in the session's tree. Of the pieces no
 * more are handed out than the threads do and have at hand. */
static void test_pieces_of_many_threads_meet(void **state)
{
    (void)state;
    srand(3);
    for (uint32_t n_threads = 1; n_threads <= 4; n_threads++) {
        for (int round = 0; round < 20; round++) {
            dataset_t *data = play_data(0);
            session_t *session = play_new(data, n_threads);
            play_join(session, data, 0);
            uint32_t from = (uint32_t)rand() % PLAY_BLOCKS;
            uint32_t to = from + 1 + (uint32_t)rand() % (PLAY_BLOCKS - from);
            play_step(session, 1, from, to);
            node_t open[PLAY_BLOCKS];
            uint32_t n_open = 0, most_open = 0;
            uint32_t n_covered[PLAY_BLOCKS] = {0};
            uint64_t n_rows = 0;
            session_action_t action;
            for (;;) {
                session_next(session, 0, &action);
                if (action.kind == SESSION_COMPUTE) {
                    uint32_t first, end;
                    node_range(action.node, PLAY_BLOCKS, &first, &end);
                    for (; first < end; first++)
                        n_covered[first]++;
                    assert_true(n_open < 2 * n_threads);
                    open[n_open++] = action.node;
                    most_open = n_open > most_open ? n_open : most_open;
                } else if (action.kind == SESSION_PUSH) {
                    n_rows += action.message->partial.rows;
                    partial_release(&action.partial);
                } else if (n_open > 0) {
                    uint32_t i = (uint32_t)rand() % n_open;
                    play_done(session, 1, open[i].level, open[i].index);
                    open[i] = open[--n_open];
                } else
                    break;
            }
            assert_int_equal(action.kind, SESSION_NOTHING);
            for (uint32_t block = 0; block < PLAY_BLOCKS; block++)
                assert_int_equal(n_covered[block], block >= from && block < to);
            if (n_threads > 1 && to - from >= 8 * n_threads)
                assert_int_equal(most_open, 2 * n_threads);
            assert_int_equal(n_rows, (to - from) * PLAY_BLOCK_ROWS);
            play_end(&session, &data);
        }
    }
}

static wire_t s_evaluate(uint32_t evaluation, wire_range_t *ranges, uint32_t n_ranges)
{
    wire_t message = play_asked(WIRE_EVALUATE, 1, ranges, n_ranges);
    message.evaluate.step = evaluation;
    return message;
}

static void s_expect_evaluate(session_t *session, uint32_t evaluation, uint32_t first, uint32_t end)
{
    session_action_t action = play_expect(session, 0, SESSION_EVALUATE);
    assert_int_equal(action.step, evaluation);
    assert_int_equal(action.first, first);
    assert_int_equal(action.end, end);
}

static void s_score(session_t *session, uint32_t evaluation, uint32_t first)
{
    wire_score_t score = {evaluation, first, first + PLAY_BLOCK_ROWS, first + 0.5, 1};
    session_score(session, &score);
}

static void s_expect_score(session_t *session, uint32_t evaluation, uint32_t first)
{
    session_action_t action = play_expect(session, 0, SESSION_SEND);
    assert_int_equal(action.message->type, WIRE_EVALUATED);
    assert_int_equal(action.message->score.step, evaluation);
    assert_int_equal(action.message->score.first, first);
    assert_true(action.message->score.cost == first + 0.5);
}

/* Its workers answer with the nodes that a range is cut into, which may be no parts of a task's. */
static void test_a_relay_hands_its_nodes_on_whole(void **state)
{
    (void)state;
    dataset_t *data = play_data(0);
    session_t *session = play_new(NULL, 1);
    session_relays(session, 0);
    play_join(session, data, 0);
    play_step(session, 1, 0, 8);
    play_expect(session, 0, SESSION_FETCH);
    wire_t rows = s_rows(data, 0, PLAY_ROWS);
    assert_true(session_rows(session, &rows, dataset_images(data), PLAY_ROWS * PLAY_INPUTS));
    play_expect_compute(session, 1, 3, 0);
    play_expect(session, 0, SESSION_NOTHING);
    play_step(session, 2, 1, 8); /* and all at once */
    play_expect_compute(session, 2, 0, 1);
    play_expect_compute(session, 2, 1, 1);
    play_expect_compute(session, 2, 2, 1);
    play_expect(session, 0, SESSION_NOTHING);
    play_end(&session, &data);
}

/* Rows that a job has and our data set has not are fetched, whatever the job says that they are. */
static void test_rows_behind_our_own_data_are_never_read(void **state)
{
    (void)state;
    wire_range_t behind = {PLAY_ME, PLAY_ROWS, PLAY_ROWS + PLAY_BLOCK_ROWS};
    dataset_t *data = play_data(0);
    session_t *session = play_new(data, 1);
    play_expect_send(session, 0, WIRE_HELLO);
    wire_t welcome = play_welcome(data);
    welcome.welcome.evaluation_rows = PLAY_BLOCK_ROWS;
    assert_false(session_message(session, &welcome, 0, 0));
    play_expect(session, 0, SESSION_CANCEL);
    play_expect(session, 0, SESSION_SET_UP);
    session_ready(session, 0);
    play_expect_send(session, 0, WIRE_READY);
    wire_t evaluate = s_evaluate(7, &behind, 1);
    assert_true(session_message(session, &evaluate, play_weights_bytes(), 0));
    session_action_t action = play_expect(session, 0, SESSION_FETCH);
    assert_true(action.message->fetch.first + action.message->fetch.n_rows > PLAY_ROWS);
    play_expect(session, 0, SESSION_NOTHING);
    play_end(&session, &data);
}

/* One range at a time for each thread, and none while a step has something to compute; steps come
 * and go meanwhile. */
static void test_evaluations_take_what_steps_leave(void **state)
{
    (void)state;
    wire_range_t blocks[] = {{PLAY_ME, 0, 1}};
    wire_range_t rows[] = {
        {PLAY_ME, 10, 12}, {PLAY_ME + 1, 12, 14}, {PLAY_ME, 14, 16}, {PLAY_ME, 126, 128}};
    dataset_t *data = play_data(0);
    session_t *session = play_new(data, 1);
    play_join(session, data, 0);
    wire_t step = play_asked(WIRE_STEP, 1, blocks, 1);
    wire_t evaluate = s_evaluate(7, rows, 4);
    assert_true(session_message(session, &step, play_weights_bytes(), 0));
    play_expect(session, 0, SESSION_CANCEL);
    node_t node = play_expect(session, 0, SESSION_COMPUTE).node;
    assert_false(session_message(session, &evaluate, play_weights_bytes() - 4, 0));
    assert_true(session_message(session, &evaluate, play_weights_bytes(), 0));
    play_expect(session, 0, SESSION_NOTHING); /* the thread is busy */
    partial_t partial = play_partial(node);
    session_result(session, 1, node, &partial);
    session_action_t push = play_expect(session, 0, SESSION_PUSH);
    partial_release(&push.partial);
    s_expect_evaluate(session, 7, 10, 12);
    play_expect(session, 0, SESSION_NOTHING);
    /* a step goes before; what is under way is neither dropped nor begun again */
    step.step = 2;
    assert_true(session_message(session, &step, play_weights_bytes(), 0));
    play_expect(session, 0, SESSION_CANCEL);
    play_expect(session, 0, SESSION_COMPUTE);
    assert_false(session_message(session, &evaluate, play_weights_bytes(), 0)); /* asked again */
    s_score(session, 7, 10);
    s_expect_score(session, 7, 10);
    play_expect(session, 0, SESSION_NOTHING);
    partial = play_partial(node);
    session_result(session, 2, node, &partial);
    push = play_expect(session, 0, SESSION_PUSH);
    partial_release(&push.partial);
    s_expect_evaluate(session, 7, 126, 128);
    s_score(session, 7, 126);
    s_expect_score(session, 7, 126);
    s_expect_evaluate(session, 7, 14, 16);
    s_score(session, 7, 14);
    s_expect_score(session, 7, 14);
    play_expect(session, 0, SESSION_NOTHING); /* each once */
    wire_t lost = s_evaluate(7, rows + 2, 1);
    assert_false(session_message(session, &lost, play_weights_bytes(), 0));
    s_expect_evaluate(session, 7, 14, 16); /* but when what it said was lost */
    /* another one: the older one's result is of no use */
    wire_range_t bad[] = {
        {PLAY_ME, 127, 129}, {PLAY_ME, 0, 3}, {PLAY_ME, 2, 4}}; /* beyond; too many; fine */
    evaluate = s_evaluate(9, bad, 3);
    assert_true(session_message(session, &evaluate, play_weights_bytes(), 0));
    play_expect(session, 0, SESSION_NOTHING);
    s_score(session, 7, 14);
    s_expect_evaluate(session, 9, 2, 4);
    evaluate = s_evaluate(7, rows, 4);
    assert_false(session_message(session, &evaluate, play_weights_bytes(), 0)); /* late */
    s_score(session, 9, 2);
    s_expect_score(session, 9, 2);
    play_expect(session, 0, SESSION_NOTHING);
    /* what was said may have been lost: it is done again */
    evaluate = s_evaluate(9, bad, 3);
    assert_false(session_message(session, &evaluate, play_weights_bytes(), 0));
    s_expect_evaluate(session, 9, 2, 4);
    session_destroy(&session);
    dataset_destroy(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_computes_what_a_step_asks_for),
        cmocka_unit_test(test_a_step_said_again_changes_nothing_that_is_under_way),
        cmocka_unit_test(test_assignments_add_what_is_not_under_way),
        cmocka_unit_test(test_siblings_asked_for_apart_are_pushed_apart),
        cmocka_unit_test(test_a_new_step_drops_the_old_one),
        cmocka_unit_test(test_foreign_messages_are_ignored),
        cmocka_unit_test(test_fetches_rows_before_it_computes),
        cmocka_unit_test(test_pieces_of_many_threads_meet),
        cmocka_unit_test(test_a_relay_hands_its_nodes_on_whole),
        cmocka_unit_test(test_rows_behind_our_own_data_are_never_read),
        cmocka_unit_test(test_evaluations_take_what_steps_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
