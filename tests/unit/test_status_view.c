/* status_view: what a REPORT looks like to people and to programs. */
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/status_view.h"

static wire_member_t s_members[] = {
    {.number = 1,
     .name = "node-7",
     .host = "a",
     .kernel = "dense/SkylakeX",
     .threads = 8,
     .state = "active",
     .rows_per_s = 70123.4,
     .seen_ms = 49,
     .owed = 3,
     .assigned = 1ull << 40,
     .reissued = 7},
    {.number = 2,
     .name = "a-rack-of-many",
     .host = "b.example",
     .kernel = "dense/Zen",
     .threads = 64,
     .relay = true,
     .state = "late",
     .rows_per_s = NAN,
     .seen_ms = 4294967295u,
     .assigned = 9,
     .refused = 2},
};

static wire_quarantined_t s_quarantined[] = {{"bad", "c"}, {"\"worse\"", ""}};

static wire_t s_full(void)
{
    wire_t message = {.type = WIRE_REPORT};
    message.report = (wire_report_t){.role = "relay",
                                     .upstream = "tcp://10.0.0.1:5570",
                                     .step = 120,
                                     .n_steps = 6000,
                                     .rows_per_s = 70123.6,
                                     .eta_s = 588.4,
                                     .cost = 0.148284,
                                     .accuracy = 0.83114,
                                     .learning_rate = 1e-5,
                                     .elapsed_s = 12,
                                     .evaluation = 110,
                                     .evaluation_cost = 0.2515,
                                     .evaluation_accuracy = 0.92,
                                     .waiting_for = "weights",
                                     .n_members = 4};
    message.members = s_members;
    message.n_members = 2;
    message.quarantined = s_quarantined;
    message.n_quarantined = 2;
    return message;
}

static wire_t s_unknown(void)
{
    wire_t message = {.type = WIRE_REPORT};
    message.report = (wire_report_t){.role = "server",
                                     .rows_per_s = NAN,
                                     .eta_s = INFINITY,
                                     .cost = NAN,
                                     .accuracy = -NAN,
                                     .learning_rate = NAN,
                                     .elapsed_s = NAN,
                                     .evaluation_cost = NAN,
                                     .evaluation_accuracy = NAN};
    return message;
}

static void s_assert_shown(void (*show)(const wire_t *, FILE *), const wire_t *message,
                           const char *expected)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    show(message, stream);
    assert_int_equal(fclose(stream), 0);
    assert_string_equal(text, expected);
    free(text);
}

static void test_table(void **state)
{
    (void)state;
    wire_t full = s_full();
    s_assert_shown(
        status_view_print, &full,
        "relay of tcp://10.0.0.1:5570, step 120/6000, elapsed 12 s, ETA 588 s\n"
        "cost 0.14828, accuracy 0.8311, learning rate 1e-05, rows/s 70124\n"
        "evaluation of step 110: cost 0.25150, accuracy 0.9200\n"
        "waiting for weights\n"
        "\n"
        "name            host       threads  kernel          role    state   rows/s         seen  "
        "owed       assigned  re-issued  refused\n"
        "node-7          a                8  dense/SkylakeX  worker  active   70123        0.0 s  "
        "   3  1099511627776          7        0\n"
        "a-rack-of-many  b.example       64  dense/Zen       relay   late         -  4294967.3 s  "
        "   0              9          0        2\n"
        "and 2 more\n"
        "\n"
        "quarantined: bad on c\n"
        "quarantined: \"worse\" on \n");
    wire_t unknown = s_unknown();
    s_assert_shown(status_view_print, &unknown,
                   "server, step 0, elapsed -, ETA -\n"
                   "cost -, accuracy -, learning rate -, rows/s -\n"
                   "\n"
                   "no members\n");
    /* no number is too large for its place */
    unknown.report.cost = 1e300;
    unknown.report.n_members = 1;
    s_assert_shown(status_view_print, &unknown,
                   "server, step 0, elapsed -, ETA -\n"
                   "cost 1.00000e+300, accuracy -, learning rate -, rows/s -\n"
                   "\n"
                   "and 1 more\n");
}

static void test_json(void **state)
{
    (void)state;
    wire_t full = s_full();
    s_assert_shown(
        status_view_print_json, &full,
        "{\"role\": \"relay\", \"upstream\": \"tcp://10.0.0.1:5570\", \"step\": 120, "
        "\"n_steps\": 6000, \"rows_per_s\": 70123.6, \"eta_s\": 588.4, \"cost\": 0.148284, "
        "\"accuracy\": 0.83114, \"learning_rate\": 1e-05, \"elapsed_s\": 12.0, "
        "\"evaluation_step\": 110, \"evaluation_cost\": 0.2515, \"evaluation_accuracy\": 0.92, "
        "\"waiting_for\": \"weights\", \"n_members\": 4, \"members\": ["
        "{\"number\": 1, \"name\": \"node-7\", \"host\": \"a\", \"kernel\": \"dense/SkylakeX\", "
        "\"threads\": 8, \"relay\": false, \"state\": \"active\", \"rows_per_s\": 70123.4, "
        "\"seen_ms\": 49, \"owed\": 3, \"assigned\": 1099511627776, \"reissued\": 7, "
        "\"refused\": 0}, "
        "{\"number\": 2, \"name\": \"a-rack-of-many\", \"host\": \"b.example\", "
        "\"kernel\": \"dense/Zen\", \"threads\": 64, \"relay\": true, \"state\": \"late\", "
        "\"rows_per_s\": null, \"seen_ms\": 4294967295, \"owed\": 0, \"assigned\": 9, "
        "\"reissued\": 0, \"refused\": 2}], \"quarantined\": ["
        "{\"name\": \"bad\", \"host\": \"c\"}, {\"name\": \"\\\"worse\\\"\", \"host\": \"\"}]}\n");
    wire_t unknown = s_unknown();
    s_assert_shown(
        status_view_print_json, &unknown,
        "{\"role\": \"server\", \"upstream\": \"\", \"step\": 0, \"n_steps\": null, "
        "\"rows_per_s\": null, \"eta_s\": null, \"cost\": null, \"accuracy\": null, "
        "\"learning_rate\": null, \"elapsed_s\": null, \"evaluation_step\": null, "
        "\"evaluation_cost\": null, \"evaluation_accuracy\": null, \"waiting_for\": \"\", "
        "\"n_members\": 0, \"members\": [], \"quarantined\": []}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
