/* Which rows are asked for, when again, and which are taken. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"
#include "workers/rowcache.h"

enum {
    INPUTS = 784,
    ROWS = 20000,
    CLASSES = 10,
    MAX_ASKED = 64
};

typedef struct {
    uint32_t first;
    uint32_t n_rows;
} request_t;

static uint8_t s_byte(uint32_t row, uint32_t column)
{
    return (uint8_t)(row * 31 + column * 7);
}

static bool s_store(rowcache_t *rows, request_t request)
{
    uint8_t *images = malloc((size_t)request.n_rows * INPUTS);
    uint8_t labels[WIRE_MAX_ROWS];
    for (uint32_t r = 0; r < request.n_rows; r++) {
        for (uint32_t c = 0; c < INPUTS; c++)
            images[(size_t)r * INPUTS + c] = s_byte(request.first + r, c);
        labels[r] = (uint8_t)((request.first + r) % CLASSES);
    }
    bool taken = rowcache_store(rows, request.first, request.n_rows, images,
                                (size_t)request.n_rows * INPUTS, labels, CLASSES);
    free(images);
    return taken;
}

static uint32_t s_ask(rowcache_t *rows, int64_t now_ms, request_t *requests)
{
    uint32_t n = 0;
    while (rowcache_next(rows, now_ms, &requests[n].first, &requests[n].n_rows)) {
        assert_true(requests[n].n_rows >= 1 && requests[n].n_rows <= WIRE_MAX_ROWS);
        assert_true((size_t)requests[n].n_rows * INPUTS <= WIRE_MAX_ROWS_BYTES);
        assert_true(requests[n].first + requests[n].n_rows <= ROWS);
        assert_true(++n < MAX_ASKED);
    }
    return n;
}

static void test_fetches_everything_within_its_credit(void **state)
{
    (void)state;
    srand(2);
    rowcache_t *rows = rowcache_new(ROWS, INPUTS);
    request_t asked[MAX_ASKED];
    assert_int_equal(s_ask(rows, 0, asked), 0); /* nothing is wanted */
    assert_false(rowcache_has(rows, 0, 1));
    rowcache_want(rows, 0, ROWS);
    rowcache_want(rows, 100, 5000); /* said again */
    uint32_t n_open = s_ask(rows, 0, asked);
    uint32_t credit = n_open;
    assert_in_range(credit, 2, 16);
    uint32_t n_rows = 0;
    while (n_open > 0) {
        uint32_t i = (uint32_t)rand() % n_open; /* answers in any order */
        assert_true(s_store(rows, asked[i]));
        assert_true(rowcache_has(rows, asked[i].first, asked[i].first + asked[i].n_rows));
        n_rows += asked[i].n_rows;
        asked[i] = asked[--n_open];
        n_open += s_ask(rows, 0, asked + n_open);
        assert_true(n_open <= credit);
    }
    assert_int_equal(n_rows, ROWS); /* each row was asked for once */
    assert_true(rowcache_has(rows, 0, ROWS));
    rowcache_want(rows, 0, ROWS);
    assert_int_equal(s_ask(rows, 1 << 30, asked), 0);
    for (uint32_t row = 0; row < ROWS; row += 97) {
        assert_int_equal(rowcache_labels(rows)[row], row % CLASSES);
        for (uint32_t c = 0; c < INPUTS; c += 13)
            assert_int_equal(rowcache_images(rows)[(size_t)row * INPUTS + c], s_byte(row, c));
    }
    rowcache_destroy(&rows);
    rowcache_destroy(&rows);
}

static void test_fetches_only_what_is_wanted(void **state)
{
    (void)state;
    rowcache_t *rows = rowcache_new(ROWS, INPUTS);
    request_t asked[MAX_ASKED];
    rowcache_want(rows, 10000, 10001);
    assert_int_equal(s_ask(rows, 0, asked), 1);
    assert_true(asked[0].first <= 10000 && 10000 < asked[0].first + asked[0].n_rows);
    assert_true(s_store(rows, asked[0]));
    assert_true(rowcache_has(rows, 10000, 10001));
    uint32_t end = asked[0].first + asked[0].n_rows;
    assert_true(rowcache_has(rows, asked[0].first, end));
    assert_false(rowcache_has(rows, asked[0].first, end + 1));
    assert_false(rowcache_has(rows, asked[0].first - 1, end));
    rowcache_destroy(&rows);
}

static void test_asks_again_for_what_got_lost(void **state)
{
    (void)state;
    rowcache_t *rows = rowcache_new(ROWS, INPUTS);
    request_t first[MAX_ASKED], again[MAX_ASKED];
    rowcache_want(rows, 0, ROWS);
    uint32_t n = s_ask(rows, 0, first);
    assert_int_equal(s_ask(rows, 900, again), 0);
    assert_false(rowcache_stuck(rows));
    assert_int_equal(s_ask(rows, 1000, again), n); /* all that were asked for at 0 */
    assert_true(rowcache_stuck(rows));
    assert_memory_equal(again, first, n * sizeof(*first));
    assert_int_equal(s_ask(rows, 1999, again), 0);
    assert_int_equal(s_ask(rows, 2000, again), n);
    for (uint32_t i = 0; i < n; i++)
        assert_true(s_store(rows, first[i])); /* late answers, one of them for the second time */
    assert_true(s_store(rows, first[0]));
    rowcache_destroy(&rows);
}

/* How long a request may take follows from what others took: a lost one costs little, and a slow
 * network is not sent everything twice. */
static void test_waits_as_long_as_answers_take(void **state)
{
    (void)state;
    static const struct {
        int64_t answer_ms;
        int64_t waits_ms[6]; /* before a lost request is made again, and again; 5 % more at most */
    } cases[] = {
        {1, {100, 200, 400, 800, 1000, 1000}},
        {50, {200, 400, 800, 1000, 1000, 1000}},
        {400, {1600, 1600, 1600, 1600, 1600, 1600}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rowcache_t *rows = rowcache_new(ROWS, INPUTS);
        request_t asked[MAX_ASKED];
        int64_t now_ms = 0;
        for (uint32_t row = 0; row < ROWS - 1000; row += asked[0].n_rows) {
            rowcache_want(rows, row, row + 1);
            assert_int_equal(s_ask(rows, now_ms, asked), 1);
            now_ms += cases[i].answer_ms;
            assert_int_equal(s_ask(rows, now_ms, asked + 1), 0);
            assert_true(s_store(rows, asked[0]));
        }
        rowcache_want(rows, ROWS - 1, ROWS);
        assert_int_equal(s_ask(rows, now_ms, asked), 1); /* this one is lost */
        int64_t asked_ms = now_ms, first_ms = now_ms;
        for (int k = 0; k < 6; k++) {
            int64_t wait_ms = cases[i].waits_ms[k];
            assert_int_equal(s_ask(rows, asked_ms + wait_ms - 1, asked), 0);
            for (now_ms = asked_ms + wait_ms; s_ask(rows, now_ms, asked) == 0; now_ms++)
                assert_in_range(now_ms, 0, asked_ms + wait_ms * 105 / 100);
            asked_ms = now_ms;
            assert_int_equal(rowcache_stuck(rows), asked_ms - first_ms >= 1000);
        }
        rowcache_destroy(&rows);
    }
}

/* A request that is under way when the first answer comes is held to it, too; not so strictly,
 * since the others of the first credit come one after the other. */
static void test_the_first_answers_say_how_long_the_others_may_take(void **state)
{
    (void)state;
    rowcache_t *rows = rowcache_new(ROWS, INPUTS);
    request_t first[MAX_ASKED], again[MAX_ASKED];
    rowcache_want(rows, 0, ROWS);
    uint32_t n = s_ask(rows, 0, first);
    assert_true(s_store(rows, first[0]));
    assert_int_equal(s_ask(rows, 10, again), 1); /* the credit that came free */
    assert_int_equal(s_ask(rows, 10 * 8 * 4 - 1, again), 0);
    assert_int_equal(s_ask(rows, 10 * 8 * 4, again), n - 1);
    rowcache_destroy(&rows);
}

static void test_refuses_what_was_not_asked_for(void **state)
{
    (void)state;
    rowcache_t *rows = rowcache_new(ROWS, INPUTS);
    request_t asked[MAX_ASKED], last = {0, 0};
    rowcache_want(rows, 0, 1);
    rowcache_want(rows, ROWS - 1, ROWS);
    assert_int_equal(s_ask(rows, 0, asked), 2);
    last = asked[1];
    uint32_t chunk = asked[0].n_rows;
    assert_int_equal(last.first + last.n_rows, ROWS);
    assert_true(last.n_rows < chunk); /* cut off at the end */
    const request_t bad[] = {
        {chunk, chunk}, /* a chunk that nobody wants */
        {0, chunk - 1}, /* a part of one */
        {0, chunk + 1},
        {1, chunk},              /* not where one starts */
        {last.first, chunk},     /* past the end */
        {last.first + chunk, 1}, /* behind the end */
        {ROWS, 1},
        {UINT32_MAX, 1},
        {UINT32_MAX / chunk * chunk, chunk},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(s_store(rows, bad[i]));
    uint8_t *images = calloc(chunk + 1, INPUTS);
    uint8_t *labels = calloc(chunk, 1);
    size_t bytes = (size_t)chunk * INPUTS;
    assert_false(rowcache_store(rows, 0, chunk, images, bytes - 1, labels, CLASSES));
    assert_false(rowcache_store(rows, 0, chunk, images, bytes + 1, labels, CLASSES));
    assert_false(rowcache_store(rows, 0, chunk, images, 0, labels, CLASSES));
    labels[chunk - 1] = CLASSES;
    assert_false(rowcache_store(rows, 0, chunk, images, bytes, labels, CLASSES));
    assert_false(rowcache_has(rows, 0, 1));
    labels[chunk - 1] = CLASSES - 1;
    assert_true(rowcache_store(rows, 0, chunk, images, bytes, labels, CLASSES));
    assert_true(s_store(rows, last));
    /* rows that are there do not change */
    images[5] = 77;
    assert_true(rowcache_store(rows, 0, chunk, images, bytes, labels, CLASSES));
    assert_int_equal(rowcache_images(rows)[5], 0);
    free(images);
    free(labels);
    rowcache_destroy(&rows);
}

static void test_rows_of_any_width(void **state)
{
    (void)state;
    static const uint32_t widths[] = {1, 3, 65536, 255u * 1024, 257u * 1024, 3u << 20};
    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        rowcache_t *rows = rowcache_new(7, widths[i]);
        rowcache_want(rows, 0, 7);
        uint32_t first, n_rows, total = 0;
        while (rowcache_next(rows, 0, &first, &n_rows)) {
            assert_true(n_rows == 1 || (size_t)n_rows * widths[i] <= WIRE_MAX_ROWS_BYTES);
            uint8_t *images = calloc(n_rows, widths[i]);
            uint8_t labels[7] = {0};
            assert_true(
                rowcache_store(rows, first, n_rows, images, (size_t)n_rows * widths[i], labels, 1));
            total += n_rows;
            free(images);
        }
        assert_int_equal(total, 7);
        rowcache_destroy(&rows);
    }
}

static void test_a_local_copy_needs_no_fetching(void **state)
{
    (void)state;
    uint8_t *images = calloc(30, 2), *labels = calloc(30, 1);
    dataset_t *data = dataset_new(&images, &labels, 30, 2);
    rowcache_t *rows = rowcache_of(data, 30);
    uint32_t first, n_rows;
    assert_true(rowcache_has(rows, 0, 30));
    rowcache_want(rows, 0, 30);
    assert_false(rowcache_next(rows, 0, &first, &n_rows));
    assert_ptr_equal(rowcache_images(rows), dataset_images(data));
    assert_ptr_equal(rowcache_labels(rows), dataset_labels(data));
    /* whatever a server sends, a data set is not written to */
    uint8_t image[60] = {1}, label[30] = {0};
    assert_true(rowcache_store(rows, 0, 30, image, 60, label, 1));
    assert_int_equal(rowcache_images(rows)[0], 0);
    rowcache_destroy(&rows);
    dataset_destroy(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fetches_everything_within_its_credit),
        cmocka_unit_test(test_fetches_only_what_is_wanted),
        cmocka_unit_test(test_asks_again_for_what_got_lost),
        cmocka_unit_test(test_waits_as_long_as_answers_take),
        cmocka_unit_test(test_the_first_answers_say_how_long_the_others_may_take),
        cmocka_unit_test(test_refuses_what_was_not_asked_for),
        cmocka_unit_test(test_rows_of_any_width),
        cmocka_unit_test(test_a_local_copy_needs_no_fetching),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
