/* conf: every kind of value, every way to get one wrong, and printing that loads back. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"

typedef struct {
    char *name;
    int kind;
    double weight;
} item_t;

typedef struct {
    int count;
    uint64_t seed;
    double rate;
    bool on;
    char *path;
    int mode;
    item_t *items;
    int n_items;
} plain_t;

static const char *const s_kinds[] = {"round", "square", NULL};
static const char *const s_modes[] = {"strict", "fast", "mixed", NULL};

static const conf_key_t s_item_keys[] = {
    {.key = "name", .type = CONF_STRING, .offset = offsetof(item_t, name), .help = "Its name"},
    {.key = "kind",
     .type = CONF_ENUM,
     .offset = offsetof(item_t, kind),
     .choices = s_kinds,
     .initial = "square",
     .help = "Its kind"},
    {.key = "weight",
     .type = CONF_REAL,
     .offset = offsetof(item_t, weight),
     .min = -1,
     .max = 1,
     .below_max = true,
     .initial = "0.5",
     .help = "Its weight"},
};
static const conf_table_t s_item_table = {s_item_keys, 3, sizeof(item_t)};

static const conf_key_t s_keys[] = {
    {.key = "training.count",
     .type = CONF_INT,
     .offset = offsetof(plain_t, count),
     .min = 1,
     .max = 1000000000,
     .unit = "things",
     .initial = "100",
     .help = "How many"},
    {.key = "training.seed",
     .type = CONF_U64,
     .offset = offsetof(plain_t, seed),
     .initial = "1",
     .help = "Seed"},
    {.key = "training.driver.rate",
     .type = CONF_REAL,
     .offset = offsetof(plain_t, rate),
     .min = 0,
     .above_min = true,
     .max = 1,
     .initial = "0.7",
     .help = "Rate"},
    {.key = "training.driver.on",
     .type = CONF_BOOL,
     .offset = offsetof(plain_t, on),
     .initial = "false",
     .help = "Whether"},
    {.key = "output.path",
     .type = CONF_STRING,
     .offset = offsetof(plain_t, path),
     .initial = "",
     .help = "Folder"},
    {.key = "output.mode",
     .type = CONF_ENUM,
     .offset = offsetof(plain_t, mode),
     .choices = s_modes,
     .initial = "fast",
     .help = "Mode"},
    {.key = "output.items",
     .type = CONF_LIST,
     .offset = offsetof(plain_t, items),
     .count_offset = offsetof(plain_t, n_items),
     .items = &s_item_table,
     .max = 3,
     .initial = "[{name: first}]",
     .help = "Items"},
};
static const conf_table_t s_table = {s_keys, 7, sizeof(plain_t)};

static int s_load(plain_t *plain, const char *text, err_t *err)
{
    conf_init(&s_table, plain);
    return conf_load_text(&s_table, plain, "f.yaml", text, strlen(text), err);
}

static void test_defaults(void **state)
{
    (void)state;
    plain_t plain;
    conf_init(&s_table, &plain);
    assert_int_equal(plain.count, 100);
    assert_int_equal(plain.seed, 1);
    assert_true(plain.rate == 0.7);
    assert_false(plain.on);
    assert_string_equal(plain.path, "");
    assert_int_equal(plain.mode, 1);
    assert_int_equal(plain.n_items, 1);
    assert_string_equal(plain.items[0].name, "first");
    assert_int_equal(plain.items[0].kind, 1);
    assert_true(plain.items[0].weight == 0.5);
    conf_clear(&s_table, &plain);
    conf_clear(&s_table, &plain);
    assert_null(plain.path);
}

static void test_all_kinds_of_values(void **state)
{
    (void)state;
    err_t err = {{0}};
    plain_t plain;
    const char *text = "# a comment\n"
                       "training:\n"
                       "  count: 7\n"
                       "  seed: 18446744073709551615\n"
                       "  driver: {rate: 1e-3, on: True}\n"
                       "output.path: 123\n" /* dotted, and text all the same */
                       "output:\n"
                       "  mode: \"mixed\"\n"
                       "  items:\n"
                       "    - name: 'it''s'\n"
                       "      kind: round\n"
                       "    - {name: \"b \\u20ac\", weight: -1}\n";
    if (s_load(&plain, text, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(plain.count, 7);
    assert_true(plain.seed == UINT64_MAX);
    assert_true(plain.rate == 1e-3);
    assert_true(plain.on);
    assert_string_equal(plain.path, "123");
    assert_int_equal(plain.mode, 2);
    assert_int_equal(plain.n_items, 2);
    assert_string_equal(plain.items[0].name, "it's");
    assert_int_equal(plain.items[0].kind, 0);
    assert_string_equal(plain.items[1].name, "b \xe2\x82\xac");
    assert_true(plain.items[1].weight == -1);
    conf_clear(&s_table, &plain);
}

static void test_nothing_to_set(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "# only a comment\n", "---\n", "training:\n", "training: ~\noutput:\n  path:\n", "{}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        err_t err = {{0}};
        plain_t plain;
        if (s_load(&plain, texts[i], &err) != 0)
            fail_msg("'%s': %s", texts[i], err.text);
        assert_int_equal(plain.count, 100);
        assert_string_equal(plain.path, "");
        conf_clear(&s_table, &plain);
    }
}

static void test_bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *expected;
    } rows[] = {
        /* unknown keys */
        {"trainig:\n  count: 5\n",
         "f.yaml:2: unknown key 'trainig.count'; did you mean 'training.count'?"},
        {"\ntraining:\n  cuont: 5\n",
         "f.yaml:3: unknown key 'training.cuont'; did you mean 'training.count'?"},
        {"count: 5\n", "f.yaml:1: unknown key 'count'; did you mean 'training.count'?"},
        {"training: {driver: {up: 5}}\n", "f.yaml:1: unknown key 'training.driver.up'; did you "
                                          "mean 'training.driver.on'?"},
        {"zebra: 1\n", "f.yaml:1: unknown key 'zebra'"},
        {"<<: {training: {count: 3}}\n", "f.yaml:1: unknown key '<<.training.count'; did you mean "
                                         "'training.count'?"},
        {"output:\n  items:\n    - name: a\n      wieght: 1\n",
         "f.yaml:4: unknown key 'output.items[0].wieght'; did you mean "
         "'output.items[0].weight'?"},
        /* mistyped */
        {"training:\n  count: ten\n",
         "f.yaml:2: training.count: 'ten' is not a whole number; expected 1 to 1000000000"},
        {"training:\n  count: \"10\"\n",
         "f.yaml:2: training.count: '\"10\"' is not a whole number; expected 1 to 1000000000"},
        {"training:\n  count: 1.5\n",
         "f.yaml:2: training.count: '1.5' is not a whole number; expected 1 to 1000000000"},
        {"training:\n  count:\n",
         "f.yaml:2: training.count: '' is not a whole number; expected 1 to 1000000000"},
        {"training:\n  count: [1]\n", "f.yaml:2: training.count: a list is no value; expected a "
                                      "whole number, 1 to 1000000000"},
        {"training:\n  count: {a: 1}\n", "f.yaml:2: training.count: a mapping is no value; "
                                         "expected a whole number, 1 to 1000000000"},
        {"training:\n  driver:\n    on: yes\n", "f.yaml:3: training.driver.on: 'yes' is neither "
                                                "true nor false; expected true or false"},
        {"training:\n  driver:\n    rate: 0x1p-1\n", "f.yaml:3: training.driver.rate: '0x1p-1' is "
                                                     "not a number; expected above 0, at most 1"},
        {"training:\n  driver:\n    rate: .nan\n", "f.yaml:3: training.driver.rate: '.nan' is not "
                                                   "a number; expected above 0, at most 1"},
        {"output: {mode: fsat}\n", "f.yaml:1: output.mode: 'fsat' is not a choice; expected "
                                   "strict, fast or mixed; did you mean 'fast'?"},
        {"output: {mode: purple}\n",
         "f.yaml:1: output.mode: 'purple' is not a choice; expected strict, fast or mixed"},
        {"training: 5\n", "f.yaml:1: training: a single value where keys with values are expected"},
        {"training: [1, 2]\n", "f.yaml:1: training: a list where keys with values are expected"},
        {"- a\n", "f.yaml:1: a list where keys with values are expected"},
        {"just words\n", "f.yaml:1: a single value where keys with values are expected"},
        {"[a, b]: 1\n", "f.yaml:1: a key must be a single word"},
        {"\"training\\0x\": 1\n", "f.yaml:1: a key has a NUL byte in it"},
        {"training: {count: \"1\\0\"}\n",
         "f.yaml:1: training.count: the value has a NUL byte in it"},
        {"output: {path: \"a\\0b\"}\n",
         "f.yaml:1: output.path: 'a' has a NUL byte behind it; expected text"},
        /* out of range */
        {"training: {count: 0}\n",
         "f.yaml:1: training.count: '0' is out of range; expected 1 to 1000000000"},
        {"training: {count: 99999999999999999999}\n",
         "f.yaml:1: training.count: '99999999999999999999' is out of range; expected 1 to "
         "1000000000"},
        {"training: {seed: -1}\n", "f.yaml:1: training.seed: '-1' is out of range; expected 0 to "
                                   "18446744073709551615"},
        {"training: {seed: 18446744073709551616}\n",
         "f.yaml:1: training.seed: '18446744073709551616' is out of range; expected 0 to "
         "18446744073709551615"},
        {"training: {driver: {rate: 0}}\n", "f.yaml:1: training.driver.rate: '0' is out of range; "
                                            "expected above 0, at most 1"},
        {"training: {driver: {rate: 1e999}}\n", "f.yaml:1: training.driver.rate: '1e999' is out of "
                                                "range; expected above 0, at most 1"},
        {"output: {items: [{name: a, weight: 1}]}\n",
         "f.yaml:1: output.items[0].weight: '1' is out of range; expected at least -1 and below 1"},
        /* lists */
        {"output: {items: 5}\n", "f.yaml:1: output.items: a single value where a list of 1 to 3 "
                                 "items is expected"},
        {"output: {items: []}\n", "f.yaml:1: output.items: 0 items; expected 1 to 3"},
        {"output: {items: [{name: a}, {name: b}, {name: c}, {name: d}]}\n",
         "f.yaml:1: output.items: 4 items; expected 1 to 3"},
        {"output:\n  items:\n  - name: a\n  - kind: round\n",
         "f.yaml:4: output.items[1]: 'name' is missing"},
        {"output: {items: [5]}\n",
         "f.yaml:1: output.items[0]: a single value where keys with values are expected"},
        {"output: {items: [{name: a, name: b}]}\n",
         "f.yaml:1: duplicate key 'output.items[0].name'; first set on line 1"},
        /* duplicates */
        {"training:\n  count: 1\n  seed: 2\n  count: 1\n",
         "f.yaml:4: duplicate key 'training.count'; first set on line 2"},
        {"training:\n  count: 1\ntraining:\n  seed: 2\n",
         "f.yaml:3: duplicate key 'training'; first set on line 1"},
        {"training.count: 1\ntraining:\n  count: 2\n",
         "f.yaml:3: duplicate key 'training.count'; first set on line 1"},
        /* bad YAML */
        {"training:\n  count: [1\n", "f.yaml:3: bad YAML: did not find expected ',' or ']' while "
                                     "parsing a flow sequence"},
        {"training:\n\tcount: 1\n", "f.yaml:2: bad YAML: found character that cannot start any "
                                    "token while scanning for the next token"},
        {"a: b\n\x01", "f.yaml:2: bad YAML: control characters are not allowed"},
        {"a: b\n# \xff", "f.yaml:2: bad YAML: invalid leading UTF-8 octet"},
        {"training: {count: 1}\n---\ntraining: {count: 2}\n",
         "f.yaml:3: a second YAML document; expected one"},
        {"training: {count: 1}\n...\n%",
         "f.yaml:3: bad YAML: could not find expected directive name while scanning a directive"},
        /* aliases, also those that go in circles */
        {"output: {items: [&a {name: x}, *a]}\n",
         "f.yaml:1: this node is used again through a YAML alias (*name); write the value out "
         "instead"},
        {"training: &t\n  driver: *t\n", "f.yaml:1: this node is used again through a YAML alias "
                                         "(*name); write the value out instead"},
        {"training:\n  count: *c\n", "f.yaml:2: bad YAML: found undefined alias"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        err_t err = {{0}};
        plain_t plain;
        assert_int_equal(s_load(&plain, rows[i].text, &err), -1);
        assert_string_equal(err.text, rows[i].expected);
        conf_clear(&s_table, &plain);
        conf_init(&s_table, &plain); /* and without anyone to read the message */
        assert_int_equal(
            conf_load_text(&s_table, &plain, "f.yaml", rows[i].text, strlen(rows[i].text), NULL),
            -1);
        conf_clear(&s_table, &plain);
    }
}

/* Deep nesting, many aliases, large files and long words end in an error, not in a crash. */
static void test_hostile_files(void **state)
{
    (void)state;
    size_t size = CONF_MAX_FILE_BYTES;
    char *text = malloc(size + 2);
    static const char *const fills[] = {"[", "{a: ", "- ", "? ", "a", "&a ", "!a "};
    for (size_t f = 0; f < sizeof(fills) / sizeof(fills[0]); f++) {
        size_t n = strlen(fills[f]);
        for (size_t i = 0; i < 20000; i++)
            text[i] = fills[f][i % n];
        text[20000] = '\0';
        err_t err = {{0}};
        plain_t plain;
        assert_int_equal(s_load(&plain, text, &err), -1);
        assert_true(strncmp(err.text, "f.yaml", 6) == 0);
        conf_clear(&s_table, &plain);
    }
    char *at = text + sprintf(text, "a0: &a0 [x, x]\n");
    for (int i = 1; i < 60; i++)
        at += sprintf(at, "a%d: &a%d [*a%d, *a%d]\n", i, i, i - 1, i - 1);
    err_t err = {{0}};
    plain_t plain;
    assert_int_equal(s_load(&plain, text, &err), -1);
    assert_string_equal(err.text, "f.yaml:1: unknown key 'a0'");
    conf_clear(&s_table, &plain);
    memset(text, '#', size + 1);
    text[size + 1] = '\0';
    assert_int_equal(s_load(&plain, text, &err), -1);
    assert_string_equal(err.text, "f.yaml: 262145 bytes; expected at most 262144");
    conf_clear(&s_table, &plain);
    free(text);
}

static void test_missing_file(void **state)
{
    (void)state;
    err_t err = {{0}};
    plain_t plain;
    conf_init(&s_table, &plain);
    assert_int_equal(conf_load_file(&s_table, &plain, "/nonexistent/f.yaml", &err), -1);
    assert_string_equal(err.text, "/nonexistent/f.yaml: cannot open: No such file or directory");
    conf_clear(&s_table, &plain);
}

static void test_overrides(void **state)
{
    (void)state;
    static const struct {
        const char *option;
        const char *key;
        const char *text;
        const char *expected; /* NULL: taken */
    } rows[] = {
        {"set", NULL, "training.count=5", NULL},
        {"set", NULL, "training={count: 6, seed: 2}", NULL},
        {"set", NULL, "output.path=", NULL},
        {"set", NULL, "output.path=a b", NULL},
        {"set", NULL, "output.items=[{name: x}, {name: y}]", NULL},
        {"count", "training.count", "8", NULL},
        {"output", "output.path", "a: [b", NULL}, /* an option's text is not YAML */
        {"items", "output.items", "[{name: x}]", NULL},
        {"set", NULL, "training.count", "--set training.count: expected key=value"},
        {"set", NULL, "=5", "--set =5: expected key=value"},
        {"set", NULL, "training.cuont=5",
         "--set training.cuont=5: unknown key 'training.cuont'; did you mean 'training.count'?"},
        {"set", NULL, "training.count=ten",
         "--set training.count=ten: 'ten' is not a whole number; expected 1 to 1000000000"},
        {"set", NULL, "training.count=", "--set training.count=: the value is missing"},
        {"set", NULL, "training={count: ten}",
         "--set training={count: ten}: training.count: 'ten' is not a whole number; expected 1 to "
         "1000000000"},
        {"set", NULL, "training.count=[1",
         "--set training.count=[1: bad YAML: did not find expected ',' or ']' while parsing a flow "
         "sequence"},
        {"set", NULL, "training=5",
         "--set training=5: a single value where keys with values are expected"},
        {"set", NULL, "output.items=[{}]",
         "--set output.items=[{}]: output.items[0]: 'name' is "
         "missing"},
        {"count", "training.count", "ten",
         "--count: 'ten' is not a whole number; expected 1 to 1000000000"},
        {"count", "training.count", "0", "--count: '0' is out of range; expected 1 to 1000000000"},
        {"output", "output.path", "\xff", "--output: '\xff' is not valid UTF-8 at byte 0"},
        {"items", "output.items", "", "--items: the value is missing"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        err_t err = {{0}};
        plain_t plain;
        conf_init(&s_table, &plain);
        conf_override_t override = {rows[i].option, rows[i].key, rows[i].text};
        int r = conf_override(&s_table, &plain, &override, &err);
        assert_string_equal(err.text, rows[i].expected ? rows[i].expected : "");
        assert_int_equal(r, rows[i].expected ? -1 : 0);
        conf_clear(&s_table, &plain);
    }
}

static char *s_printed(const plain_t *plain)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    conf_write(&s_table, plain, out);
    (void)fclose(out);
    return text;
}

static void test_printed_text(void **state)
{
    (void)state;
    plain_t plain;
    conf_init(&s_table, &plain);
    char *text = s_printed(&plain);
    assert_string_equal(text, "training:\n"
                              "  # How many (1 to 1000000000 things; default 100)\n"
                              "  count: 100\n"
                              "  # Seed (default 1)\n"
                              "  seed: 1\n"
                              "  driver:\n"
                              "    # Rate (above 0, at most 1; default 0.7)\n"
                              "    rate: 0.7\n"
                              "    # Whether (true or false; default false)\n"
                              "    on: false\n"
                              "\n"
                              "output:\n"
                              "  # Folder\n"
                              "  path: \"\"\n"
                              "  # Mode (strict, fast or mixed; default fast)\n"
                              "  mode: fast\n"
                              "  # Items (default [{name: first}])\n"
                              "  items:\n"
                              "    - {name: first, kind: square, weight: 0.5}\n");
    free(text);
    conf_clear(&s_table, &plain);
}

/* What is printed loads back to the same values, whatever stands in a string. */
static void test_printed_loads_back(void **state)
{
    (void)state;
    static const char *const strings[] = {
        "",
        " ",
        "a",
        "/data/mnist",
        "tcp://127.0.0.1:5570",
        "ends:",
        "a: b",
        "a #b",
        "~",
        "null",
        "Null",
        "true",
        "-",
        "- a",
        "---",
        "...",
        "'",
        "\"",
        "\\",
        "a\\nb",
        "a\nb",
        "a\tb\r\n ",
        " lead and trail ",
        "\x01\x1f\x7f",
        "\xc2\x80\xc2\x85\xc2\xa0",
        "\xe2\x80\xa8\xe2\x80\xa9",
        "\xef\xbb\xbf",
        "\xef\xbf\xbf",
        "\xf0\x9f\x99\x82 \xe2\x82\xac",
        "{a}",
        "[b]",
        "%d",
        "@x",
        "`",
        "*a",
        "&a",
        "!t",
        "|",
        ">",
        "?",
        ",",
        "1e5",
        "0x10",
    };
    static const double reals[] = {1.0, 0.1, 1e-300, 5e-324, 0.30000000000000004, 1.0 / 3.0};
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        err_t err = {{0}};
        plain_t plain;
        plain_t back;
        conf_init(&s_table, &plain);
        conf_override_t path = {"p", "output.path", strings[i]};
        assert_int_equal(conf_override(&s_table, &plain, &path, &err), 0);
        free(plain.items[0].name);
        plain.items[0].name = strdup(strings[i]);
        plain.rate = reals[i % 6];
        plain.seed = UINT64_MAX - i;
        char *text = s_printed(&plain);
        if (s_load(&back, text, &err) != 0)
            fail_msg("%s\nin:\n%s", err.text, text);
        assert_string_equal(back.path, strings[i]);
        assert_string_equal(back.items[0].name, strings[i]);
        assert_true(back.rate == plain.rate);
        assert_true(back.seed == plain.seed);
        free(text);
        conf_clear(&s_table, &plain);
        conf_clear(&s_table, &back);
    }
}

static void test_help_names_every_key(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    conf_help(&s_table, out);
    (void)fclose(out);
    assert_non_null(strstr(
        text, "  training.count=N                How many (1 to 1000000000 things; default 100)"));
    for (int i = 0; i < s_table.n_keys; i++)
        assert_non_null(strstr(text, s_table.keys[i].key));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),           cmocka_unit_test(test_all_kinds_of_values),
        cmocka_unit_test(test_nothing_to_set),     cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_hostile_files),      cmocka_unit_test(test_missing_file),
        cmocka_unit_test(test_overrides),          cmocka_unit_test(test_printed_text),
        cmocka_unit_test(test_printed_loads_back), cmocka_unit_test(test_help_names_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
