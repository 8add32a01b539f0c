/* args: taking a command line apart, every way to get it wrong, and --help. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "base/settings.h"

#define MAX_WORDS 12
#define ROWS      "expected up to 32 numbers from 1 to 64 with commas between them"

typedef struct {
    bool json;
    int workers;
    args_numbers_t rows;
    const char *resume;
} values_t;

/* Parses words (ended by NULL) as `drover train ...`. */
static int s_parse(const char *const *words, values_t *values, args_t *args, err_t *err)
{
    const args_option_t options[] = {
        {.name = "workers",
         .metavar = "N",
         .help = "Local workers",
         .integer = &values->workers,
         .min = 0,
         .max = 64},
        {.name = "rows",
         .metavar = "N,...",
         .help = "Rows",
         .numbers = &values->rows,
         .min = 1,
         .max = 64},
        {.name = "threads", .metavar = "T", .key = "worker.threads"},
        {.name = "steps", .metavar = "N", .key = "training.steps"},
        {.name = "output", .metavar = "DIR", .key = "output.path"},
        {.name = "rollback", .key = "training.bold_driver.rollback"},
        {.name = "resume", .metavar = "DIR", .help = "Resume", .text = &values->resume},
        {.name = "json", .help = "Print JSON", .flag = &values->json},
    };
    const args_command_t command = {
        .name = "train",
        .words = "[CONFIG]",
        .summary = "Trains.",
        .options = options,
        .n_options = (int)(sizeof(options) / sizeof(options[0])),
        .settings = settings_table(),
        .min_words = 0,
        .max_words = 1,
    };
    char *argv[MAX_WORDS + 1] = {(char *)"train"};
    int argc = 1;
    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)words[argc - 1];
    *values = (values_t){.workers = -1};
    return args_parse(&command, argc, argv, args, err);
}

static void test_all_forms(void **state)
{
    (void)state;
    err_t err = {{0}};
    values_t values;
    args_t args;
    const char *words[] = {"--workers", "3",        "c.yaml", "--threads=2", "--set", "a=b",
                           "--json",    "--resume", "-",      "--rollback",  NULL};
    assert_int_equal(s_parse(words, &values, &args, &err), 0);
    assert_int_equal(values.workers, 3);
    assert_true(values.json);
    assert_string_equal(values.resume, "-");
    assert_false(args.help);
    assert_int_equal(args.n_words, 1);
    assert_string_equal(args.words[0], "c.yaml");
    assert_int_equal(args.n_overrides, 3);
    assert_string_equal(args.overrides[0].option, "threads");
    assert_string_equal(args.overrides[0].key, "worker.threads");
    assert_string_equal(args.overrides[0].text, "2");
    assert_string_equal(args.overrides[1].option, "set");
    assert_null(args.overrides[1].key);
    assert_string_equal(args.overrides[1].text, "a=b");
    assert_string_equal(args.overrides[2].text, "true");
    args_clear(&args);
    args_clear(&args);
}

static void test_end_of_options(void **state)
{
    (void)state;
    err_t err = {{0}};
    values_t values;
    args_t args;
    const char *words[] = {"--workers=1", "--", "--json", NULL};
    assert_int_equal(s_parse(words, &values, &args, &err), 0);
    assert_false(values.json);
    assert_int_equal(args.n_words, 1);
    assert_string_equal(args.words[0], "--json");
    args_clear(&args);
}

static void test_numbers(void **state)
{
    (void)state;
    err_t err = {{0}};
    values_t values;
    args_t args;
    const char *words[] = {"--rows", "5", "--rows=64,1,30", NULL}; /* the last one counts */
    assert_int_equal(s_parse(words, &values, &args, &err), 0);
    assert_int_equal(values.rows.n, 3);
    assert_int_equal(values.rows.values[0], 64);
    assert_int_equal(values.rows.values[1], 1);
    assert_int_equal(values.rows.values[2], 30);
    args_clear(&args);
}

static void test_no_words_at_all(void **state)
{
    (void)state;
    err_t err = {{0}};
    values_t values;
    args_t args;
    const char *words[] = {NULL};
    assert_int_equal(s_parse(words, &values, &args, &err), 0);
    assert_int_equal(values.workers, -1);
    assert_int_equal(args.n_words, 0);
    assert_int_equal(args.n_overrides, 0);
    args_clear(&args);
}

static void test_help_goes_before_later_mistakes(void **state)
{
    (void)state;
    static const char *const words[][3] = {{"--help", "--bogus", NULL}, {"-h", NULL, NULL}};
    for (int i = 0; i < 2; i++) {
        err_t err = {{0}};
        values_t values;
        args_t args;
        assert_int_equal(s_parse(words[i], &values, &args, &err), 0);
        assert_true(args.help);
        args_clear(&args);
    }
}

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *words[4];
        const char *expected;
    } rows[] = {
        {{"--wrokers", "2"}, "unknown option '--wrokers'; did you mean '--workers'?"},
        {{"--wrokers=2"}, "unknown option '--wrokers'; did you mean '--workers'?"},
        {{"--hlep"}, "unknown option '--hlep'; did you mean '--help'?"},
        {{"--sett", "a=b"}, "unknown option '--sett'; did you mean '--set'?"},
        {{"--banana"}, "unknown option '--banana'"},
        {{"--training.steps", "5"},
         "unknown option '--training.steps'; did you mean '--set training.steps=...'?"},
        {{"-w", "2"}, "unknown option '-w'"},
        {{"-workers", "2"}, "unknown option '-workers'; did you mean '--workers'?"},
        {{"--=5"}, "unknown option '--'"},
        {{"--workers"}, "option '--workers' needs a value N"},
        {{"--json=yes"}, "option '--json' takes no value"},
        {{"--help=me"}, "option '--help' takes no value"},
        {{"--rollback=maybe"}, "option '--rollback' takes no value"},
        {{"--workers", "two"}, "--workers: 'two' is not a whole number; expected 0 to 64"},
        {{"--workers", ""}, "--workers: '' is not a whole number; expected 0 to 64"},
        {{"--workers", " 2"}, "--workers: ' 2' is not a whole number; expected 0 to 64"},
        {{"--workers", "65"}, "--workers: '65' is out of range; expected 0 to 64"},
        {{"--workers=-1"}, "--workers: '-1' is out of range; expected 0 to 64"},
        {{"--workers=99999999999999999999"},
         "--workers: '99999999999999999999' is out of range; expected 0 to 64"},
        {{"--rows", "1,,2"}, "--rows: '1,,2', " ROWS},
        {{"--rows", "1,"}, "--rows: '1,', " ROWS},
        {{"--rows", "1;2"}, "--rows: '1;2', " ROWS},
        {{"--rows", ""}, "--rows: '', " ROWS},
        {{"--rows", "0"}, "--rows: '0', " ROWS},
        {{"--rows", "2,65"}, "--rows: '2,65', " ROWS},
        {{"--rows=-1"}, "--rows: '-1', " ROWS},
        {{"--rows=99999999999999999999"}, "--rows: '99999999999999999999', " ROWS},
        {{"--rows", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"},
         "--rows: '1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1...', " ROWS},
        {{"a.yaml", "b.yaml"}, "unexpected word 'b.yaml'; expected [CONFIG]"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        err_t err = {{0}};
        values_t values;
        args_t args;
        char expected[256];
        (void)snprintf(expected, sizeof(expected), "drover train: %s (see drover train --help)",
                       rows[i].expected);
        assert_int_equal(s_parse(rows[i].words, &values, &args, &err), -1);
        assert_string_equal(err.text, expected);
        assert_null(args.words);
    }
}

static void test_too_few_words(void **state)
{
    (void)state;
    err_t err = {{0}};
    args_t args;
    const args_command_t command = {
        .name = "plot", .words = "DIR", .summary = "Plots.", .min_words = 1, .max_words = 1};
    char *argv[] = {(char *)"plot", (char *)"--set", (char *)"a=b", NULL};
    assert_int_equal(args_parse(&command, 1, argv, &args, &err), -1);
    assert_string_equal(err.text,
                        "drover plot: too few words; expected DIR (see drover plot --help)");
    assert_int_equal(args_parse(&command, 3, argv, &args, &err), -1);
    assert_string_equal(err.text, "drover plot: unknown option '--set' (see drover plot --help)");
}

static void test_help_text(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    bool json;
    const args_option_t options[] = {
        {.name = "threads", .metavar = "T", .key = "worker.threads"},
        {.name = "json", .help = "Print JSON", .flag = &json},
        {.name = "a-very-long-option", .metavar = "SOMETHING", .help = "Is long", .flag = &json},
    };
    const args_command_t command = {.name = "worker",
                                    .words = "ENDPOINT",
                                    .summary = "Works.",
                                    .options = options,
                                    .n_options = 3,
                                    .settings = settings_table()};
    args_help(&command, out);
    (void)fclose(out);
    const char *expected =
        "usage: drover worker ENDPOINT [options]\n"
        "\n"
        "Works.\n"
        "\n"
        "Options:\n"
        "  --threads T             Compute threads of each local worker; 0 = the CPUs of this "
        "machine,\n"
        "                          shared out among them (0 to 1024 threads; default 0)\n"
        "  --json                  Print JSON\n"
        "  --a-very-long-option SOMETHING\n"
        "                          Is long\n"
        "  --set KEY=VALUE         Set any key below; may be repeated\n"
        "  --help                  Show this help\n"
        "\n"
        "Settings, in a YAML file or by --set (default < file < --set and "
        "options):\n"
        "  model.layers=";
    if (strncmp(text, expected, strlen(expected)) != 0)
        assert_string_equal(text, expected);
    for (int i = 0; i < settings_table()->n_keys; i++)
        assert_non_null(strstr(text, settings_table()->keys[i].key));
    for (const char *line = text; line && *line;) { /* no line is wider than a terminal */
        const char *end = strchr(line, '\n');
        assert_true(end - line <= 100);
        line = end + 1;
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_forms),
        cmocka_unit_test(test_end_of_options),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_no_words_at_all),
        cmocka_unit_test(test_help_goes_before_later_mistakes),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_too_few_words),
        cmocka_unit_test(test_help_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
