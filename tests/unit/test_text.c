/* text: shortest numbers, nearest words, UTF-8, wrapping. */
#include "unit.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static void test_python_repr(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {0.1, "0.1"},
        {1.0, "1.0"},
        {-1.5, "-1.5"},
        {100.0, "100.0"},
        {0.0001, "0.0001"},
        {0.00012345, "0.00012345"},
        {0.00001, "1e-05"},
        {-1.25e-7, "-1.25e-07"},
        {1e15, "1000000000000000.0"},
        {123456789012345680.0, "1.2345678901234568e+17"},
        {1e16, "1e+16"},
        {9007199254740993.0, "9007199254740992.0"},
        {1e22, "1e+22"},
        {1.0 / 3.0, "0.3333333333333333"},
        {2.0 / 3.0, "0.6666666666666666"},
        {0.1 + 0.2, "0.30000000000000004"},
        {3.141592653589793, "3.141592653589793"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {-DBL_MAX, "-1.7976931348623157e+308"},
        {DBL_MIN, "2.2250738585072014e-308"},
        {5e-324, "5e-324"},
        {0x1p-44, "5.684341886080802e-14"},
        {9.5367431640625e-07, "9.5367431640625e-07"},
        {INFINITY, "inf"},
        {-INFINITY, "-inf"},
        {NAN, "nan"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[32];
        assert_string_equal(text_python_repr(rows[i].value, text), rows[i].text);
    }
}

/* Bit patterns from a fixed generator: the text reads back to the same double. */
static void test_repr_reads_back(void **state)
{
    (void)state;
    uint64_t bits = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        double value;
        memcpy(&value, &bits, sizeof(value));
        if (isnan(value))
            continue;
        char text[32];
        assert_true(strtod(text_python_repr(value, text), NULL) == value);
        assert_true(strlen(text) <= 24);
    }
}

static void test_distance(void **state)
{
    (void)state;
    assert_int_equal(text_distance("", ""), 0);
    assert_int_equal(text_distance("abc", ""), 3);
    assert_int_equal(text_distance("", "abc"), 3);
    assert_int_equal(text_distance("kitten", "sitting"), 3);
    assert_int_equal(text_distance("wrokers", "workers"), 1);
    assert_int_equal(text_distance("trainig", "training"), 1);
    char long_word[400];
    memset(long_word, 'x', sizeof(long_word) - 1);
    long_word[sizeof(long_word) - 1] = '\0';
    assert_int_equal(text_distance(long_word, "x"), 94);
}

static void test_nearest(void **state)
{
    (void)state;
    const char *words[] = {"train", "server", "worker", "-"};
    assert_string_equal(text_nearest("trian", words, 4), "train");
    assert_string_equal(text_nearest("sever", words, 4), "server");
    assert_null(text_nearest("banana", words, 4));
    assert_null(text_nearest("", words, 4));
    assert_null(text_nearest("train", words, 0));
}

static void test_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        int length;
        unsigned code;
    } rows[] = {
        {"a", 1, 'a'},
        {"\xc3\xa9", 2, 0xe9},
        {"\xe2\x82\xac", 3, 0x20ac},
        {"\xf0\x9f\x99\x82", 4, 0x1f642},
        {"\x80", 0, 0},
        {"\xc3", 0, 0},
        {"\xc3(", 0, 0},
        {"\xc0\xaf", 0, 0},         /* overlong */
        {"\xe0\x80\xaf", 0, 0},     /* overlong */
        {"\xed\xa0\x80", 0, 0},     /* surrogate */
        {"\xf4\x90\x80\x80", 0, 0}, /* behind the last code point */
        {"\xff", 0, 0},
        {"", 0, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned code = 0;
        assert_int_equal(text_decode_utf8(rows[i].bytes, strlen(rows[i].bytes), &code),
                         rows[i].length);
        assert_int_equal(code, rows[i].code);
    }
}

static void test_quote_cuts(void **state)
{
    (void)state;
    char out[72];
    assert_string_equal(text_quote("ten", out), "'ten'");
    char word[200];
    memset(word, 'y', 199);
    word[199] = '\0';
    text_quote(word, out);
    assert_int_equal(strlen(out), 62);
    assert_string_equal(out + 56, "yy...'");
}

static void test_wrap(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    (void)fputs("> ", out);
    text_wrap(out, "one two three four-is-a-very-long-word five", 2, "> ", 12);
    (void)fclose(out);
    assert_string_equal(text, "> one two\n> three\n> four-is-a-very-long-word\n> five");
    free(text);
}

/* For tests/script/python_repr.bats: the bits of a double in hexadecimal a line, out comes its
 * text.
 */
static int s_repr_filter(void)
{
    char line[32];
    char text[32];
    while (fgets(line, sizeof(line), stdin)) {
        uint64_t bits = strtoull(line, NULL, 16);
        double value;
        memcpy(&value, &bits, sizeof(value));
        (void)puts(text_python_repr(value, text));
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--repr") == 0)
        return s_repr_filter();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_python_repr), cmocka_unit_test(test_repr_reads_back),
        cmocka_unit_test(test_distance),    cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_utf8),        cmocka_unit_test(test_quote_cuts),
        cmocka_unit_test(test_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
