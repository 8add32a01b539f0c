/* csv and decimal: forms, scales, exactness, and a table of what is refused. */
#include "unit.h"

#include <locale.h>
#include <stdbool.h>

#include "data/csv.h"
#include "data/decimal.h"
#include "scratch.h"

static void test_decimal(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value; /* absolute; -1: no number */
        long whole;   /* -1: not a whole number up to 1000 */
    } cases[] = {
        {"0", 0, 0},
        {"7", 7, 7},
        {"+7", 7, 7},
        {"007", 7, 7},
        {"255.", 255, 255},
        {".5", 0.5, -1},
        {"1.280000000000000000e+02", 128, 128},
        {"0.0000000000000000000000000e+00", 0, 0},
        {"5.019607843137254832e-01", 0.5019607843137254832, -1},
        {"100e-2", 1, 1},
        {"1.0000000000000000", 1, 1},
        {"0.000000000000000025e17", 2.5, -1},
        {"0.00000000500000000e9", 5, 5},
        {"10.000000001", 10.000000001, -1},
        {"7.00000000000000000000000000001", 7, -1},
        {"1E3", 1000, 1000},
        {"1001", 1001, -1},
        {"10000000000000000000000000", 1e25, -1},
        {"12345678901234567890123e-20", 123.45678901234567, -1},
        {"1.00000000000000000000000000000000001", 1.0, -1},
        {"1000000000000000000000e-21", 1.0, 1},
        {"1e-999999999999", 0, -1},
        {"0e999999999999", 0, 0},
        {"", -1, 0},
        {".", -1, 0},
        {"-", -1, 0},
        {"e5", -1, 0},
        {"1e", -1, 0},
        {"1e+", -1, 0},
        {"1.2.3", -1, 0},
        {"0x10", -1, 0},
        {"1 ", -1, 0},
        {" 1", -1, 0},
        {"1,5", -1, 0},
        {"nan", -1, 0},
        {"inf", -1, 0},
        {"--1", -1, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        decimal_t number;
        uint32_t whole = 0;
        const char *text = cases[i].text;
        int r = decimal_parse(text, text + strlen(text), &number);
        if ((r == 0) != (cases[i].value >= 0))
            fail_msg("'%s': parsed is %d", text, r);
        if (r != 0)
            continue;
        double off = decimal_abs(&number) - cases[i].value;
        if (off > 1e-14 * cases[i].value || off < -1e-14 * cases[i].value)
            fail_msg("'%s': saw %.17g", text, decimal_abs(&number));
        if (decimal_is_whole(&number, 1000, &whole) != (cases[i].whole >= 0) ||
            (cases[i].whole >= 0 && (long)whole != cases[i].whole))
            fail_msg("'%s': whole is %u", text, whole);
    }
}

/* Reads `text` as images; with n_labels as labelled ones. */
static int s_read(const char *text, size_t max_rows, rows_t *images, rows_t *labels, err_t *err)
{
    gzstream_t *in = gzstream_open_memory("FILE", text, strlen(text), err);
    int r = csv_read_images(in, max_rows, images, labels, err);
    gzstream_destroy(&in);
    return r;
}

static int s_read_labels(const char *text, size_t max_rows, rows_t *labels, err_t *err)
{
    gzstream_t *in = gzstream_open_memory("FILE", text, strlen(text), err);
    int r = csv_read_labels(in, max_rows, labels, err);
    gzstream_destroy(&in);
    return r;
}

static void test_good_images(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint8_t bytes[6]; /* 2 rows of 3 */
    } cases[] = {
        {"0 128 255\n1 2 3\n", {0, 128, 255, 1, 2, 3}},
        {"0 128 255\n1 2 3", {0, 128, 255, 1, 2, 3}},
        {"0 128 255 \r\n1 2 3 \r\n\r\n", {0, 128, 255, 1, 2, 3}},
        {"  0\t128   255\n1 2 3\n\n\n", {0, 128, 255, 1, 2, 3}},
        {"0,128,255\n1,2,3\n", {0, 128, 255, 1, 2, 3}},
        {"0, 128 ,255\n 1 , 2,3\n", {0, 128, 255, 1, 2, 3}},
        {"a,b,c\n0,128,255\n1,2,3\n", {0, 128, 255, 1, 2, 3}},
        {"\"p 0\",1x2,pixel3\r\n0,128,255\r\n1,2,3\r\n", {0, 128, 255, 1, 2, 3}},
        {"\xef\xbb\xbf"
         "0 128 255\n1 2 3\n",
         {0, 128, 255, 1, 2, 3}},
        {"0.000000000000000000e+00 1.280000000000000000e+02 2.550000000000000000e+02\n"
         "1.000000000000000000e+00 2.000000000000000000e+00 3.000000000000000000e+00\n",
         {0, 128, 255, 1, 2, 3}},
        {"-0 255.0 1e2\n1 +2 003\n", {0, 255, 100, 1, 2, 3}},
        /* scaled to 1, from 4 to 18 decimals */
        {"0.0 0.5020 1.0\n0.0039 0.0078 0.0118\n", {0, 128, 255, 1, 2, 3}},
        {"0 0.50196078 1\n0.00392157 0.00784314 0.01176471\n", {0, 128, 255, 1, 2, 3}},
        {"1 1 0\n1 0 5.019607843137254832e-01\n", {255, 255, 0, 255, 0, 128}},
        {"0,0,0\n0,0,1.000000000000000000e+00\n", {0, 0, 0, 0, 0, 255}},
        /* nothing but 0 and 1: bytes if written as whole numbers, scaled if written with a point */
        {"0 1 0\n1 1 0\n", {0, 1, 0, 1, 1, 0}},
        {"0.0 1.0 0.0\n1 1.0 0.0\n", {0, 255, 0, 255, 255, 0}},
        {"0 0 0\n0 0 0\n", {0}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        err_t err = {{0}};
        rows_t rows = {0};
        if (s_read(cases[i].text, 0, &rows, NULL, &err) != 0)
            fail_msg("case %zu: %s", i, err.text);
        assert_int_equal(rows.row_bytes, 3);
        assert_int_equal(rows.n_kept, 2);
        assert_int_equal(rows.n_in_file, 2);
        if (memcmp(rows.bytes, cases[i].bytes, 6) != 0)
            fail_msg("case %zu: saw %d %d %d %d %d %d", i, rows.bytes[0], rows.bytes[1],
                     rows.bytes[2], rows.bytes[3], rows.bytes[4], rows.bytes[5]);
        rows_clear(&rows);
    }
}

/* All 256 bytes come back from their printed fractions, whatever the locale's decimal point. */
static void test_every_byte_from_its_fraction(void **state)
{
    (void)state;
    char line[256 * 26];
    for (int f = 0; f < 3; f++) {
        err_t err = {{0}};
        rows_t rows = {0};
        size_t n = 0;
        for (int b = 0; b < 256; b++) {
            char number[32];
            if (f == 0)
                (void)snprintf(number, sizeof(number), "%.4f", b / 255.0);
            else if (f == 1)
                (void)snprintf(number, sizeof(number), "%.6g", b / 255.0);
            else
                (void)snprintf(number, sizeof(number), "%.18e", b / 255.0);
            n += (size_t)snprintf(line + n, sizeof(line) - n, "%s ", number);
        }
        char *old = strdup(setlocale(LC_NUMERIC, NULL));
        (void)setlocale(LC_NUMERIC, "de_DE.UTF-8"); /* if it is there */
        assert_int_equal(s_read(line, 0, &rows, NULL, &err), 0);
        (void)setlocale(LC_NUMERIC, old);
        free(old);
        for (int b = 0; b < 256; b++)
            assert_int_equal(rows.bytes[b], b);
        rows_clear(&rows);
    }
}

static void test_labels_in_the_first_column(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "5,0,255\n0,1,2\n9,3,4\n",
        "label,pixel0,pixel1\r\n5,0,255\r\n0,1,2\r\n9,3,4\r\n",
        "label,0,1\n5,0,255\n0,1,2\n9,3,4\n",
        "5.0,0,1.0\n0.0,0.003922,0.007843\n9.0,0.011765,0.015686\n",
    };
    for (int i = 0; i < 4; i++) {
        err_t err = {{0}};
        rows_t images = {0};
        rows_t labels = {0};
        if (s_read(texts[i], 2, &images, &labels, &err) != 0)
            fail_msg("case %d: %s", i, err.text);
        assert_int_equal(images.n_kept, 2);
        assert_int_equal(labels.n_kept, 2);
        assert_int_equal(images.n_in_file, 3);
        assert_int_equal(labels.n_in_file, 3);
        assert_memory_equal(images.bytes, ((uint8_t[]){0, 255, 1, 2}), 4);
        assert_memory_equal(labels.bytes, ((uint8_t[]){5, 0}), 2);
        rows_clear(&images);
        rows_clear(&labels);
    }
}

static void test_good_labels(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "2\n0\n1\n",
        "2.0\r\n0.0\r\n1.0\r\n\r\n",
        "label\n2\n0\n1",
        "0 0 1\n1 0 0\n0 1 0\n",
        "0,0,1\n1,0,0\n0,1,0\n",
        "0.0e+00 0.0e+00 1.0e+00\n1.0 0 0\n0 1 0\n",
        "a,b,c\n0,0,1\n1,0,0\n0,1,0\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        err_t err = {{0}};
        rows_t rows = {0};
        if (s_read_labels(texts[i], 0, &rows, &err) != 0)
            fail_msg("case %zu: %s", i, err.text);
        assert_int_equal(rows.n_kept, 3);
        assert_memory_equal(rows.bytes, ((uint8_t[]){2, 0, 1}), 3);
        rows_clear(&rows);
    }
}

typedef struct {
    const char *text;
    const char *expected;
} bad_t;

static void test_bad_images(void **state)
{
    (void)state;
    static const bad_t cases[] = {
        {"", "FILE: no rows, expected at least one line of numbers"},
        {"\n\n", "FILE: no rows, expected at least one line of numbers"},
        {"a,b,c\n", "FILE: no rows, expected at least one line of numbers"},
        {"1 2 3\n4 5\n", "FILE: line 2: 2 columns, expected 3 as in line 1"},
        {"1 2 3\n4 5 6 7\n", "FILE: line 2: 4 columns, expected 3 as in line 1"},
        {"a,b,c\n1,2,3\n4,5\n", "FILE: line 3: 2 columns, expected 3 as in line 2"},
        {"1,2,3\n4,5,6,\n", "FILE: line 2: 4 columns, expected 3 as in line 1"},
        {"1,2,3\n4,5,\n", "FILE: line 2, column 3: saw '', expected a whole number from 0 to 255, "
                          "since line 1 has one above 1"},
        {"1 2 3\n\n4 5 6\n", "FILE: line 2: blank, expected a line of numbers"},
        {"\n1 2 3\n", "FILE: line 1: blank, expected a line of numbers"},
        {"1 2 3\n4 dog 6\n", "FILE: line 2, column 2: saw 'dog', expected a whole number from 0 to "
                             "255, since line 1 has one above 1"},
        {"dog 2 3\n", "FILE: line 1, column 1: saw 'dog', expected a whole number from 0 to 255 or "
                      "a multiple of 1/255 from 0 to 1"},
        {"dog,2,3\n", "FILE: line 1, column 1: saw 'dog', expected "},
        {"nan,nan\n1,2\n", "FILE: line 1, column 1: saw 'nan', expected "},
        {"0 nan 1\n", "FILE: line 1, column 2: saw 'nan', expected "},
        {"0 1 2\n3 NaN 1\n", "FILE: line 2, column 2: saw 'NaN', expected "},
        {"0 inf\n", "FILE: line 1, column 2: saw 'inf', expected "},
        {"2 -Infinity\n", "FILE: line 1, column 2: saw '-Infinity', expected "},
        {"2 -1\n", "FILE: line 1, column 2: saw '-1', expected "},
        {"0 -0.5\n", "FILE: line 1, column 2: saw '-0.5', expected "},
        {"2 256\n", "FILE: line 1, column 2: saw '256', expected "},
        {"2 256 3\n", "FILE: line 1, column 2: saw '256', expected "},
        {"2 3\n256 3\n", "FILE: line 2, column 1: saw '256', expected "},
        {"2 999 3\n", "FILE: line 1, column 2: saw '999', expected "},
        {"0 0.2002\n", "FILE: line 1, column 2: saw '0.2002', expected "},
        {"0 0.1998\n", "FILE: line 1, column 2: saw '0.1998', expected "},
        {"2 1000\n", "FILE: line 1, column 2: saw '1000', expected "},
        {"0 1e300\n", "FILE: line 1, column 2: saw '1e300', expected "},
        {"0 12.5\n", "FILE: line 1, column 2: saw '12.5', expected "},
        {"1;2;3\n", "FILE: line 1, column 1: saw '1;2;3', expected "},
        {"0 7\n1 0.5\n", "FILE: line 2, column 2: saw '0.5', expected a whole number from 0 to "
                         "255, since line 1 has one above 1"},
        {"0 1\n0 0.2\n0 2\n", "FILE: line 3, column 2: saw '2', expected a multiple of 1/255 from "
                              "0 to 1, since line 2 has a fraction"},
        {"0 0.2\n0 0.25\n", "FILE: line 2, column 2: saw '0.25', expected a multiple of 1/255"},
        {"0 0.004\n0.5 0\n", "FILE: line 2, column 1: saw '0.5', expected a multiple of 1/255"},
        {"0 1.0039\n", "FILE: line 1, column 2: saw '1.0039', expected "},
        {"2 0.99999999999999999999999\n",
         "FILE: line 1, column 2: saw '0.99999999999999999999999'"},
        {"2 1.00000000000000000000000000000000000000000001\n",
         "FILE: line 1, column 2: saw '1.0000000000000000000000000000000000...', expected "},
        {"2 \x01\xff\n", "FILE: line 1, column 2: saw '?"
                         "?', expected "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t max_rows = 0; max_rows < 2; max_rows++) { /* checked beyond max_rows too */
            err_t err = {{0}};
            rows_t rows = {0};
            if (s_read(cases[i].text, max_rows, &rows, NULL, &err) != -1)
                fail_msg("case %zu was read without an error", i);
            scratch_assert_contains(err.text, cases[i].expected);
            rows_clear(&rows);
        }
    }
}

static void test_bad_labels(void **state)
{
    (void)state;
    static const bad_t cases[] = {
        {"", "FILE: no rows, expected at least one line of numbers"},
        {"label\n", "FILE: no rows, expected at least one line of numbers"},
        {"1\n256\n", "FILE: line 2, column 1: saw '256', expected a label: a whole number from 0 "
                     "to 255"},
        {"1\n-1\n", "FILE: line 2, column 1: saw '-1', expected a label"},
        {"1\n2.5\n", "FILE: line 2, column 1: saw '2.5', expected a label"},
        {"1\nnan\n", "FILE: line 2, column 1: saw 'nan', expected a label"},
        {"nan\n1\n", "FILE: line 1, column 1: saw 'nan', expected a label"},
        {"1\ncat\n", "FILE: line 2, column 1: saw 'cat', expected a label"},
        {"1\n0 1\n", "FILE: line 2: 2 columns, expected 1 as in line 1"},
        {"0 1\n0 1 0\n", "FILE: line 2: 3 columns, expected 2 as in line 1"},
        {"0 1\n0 2\n", "FILE: line 2, column 2: saw '2', expected 0 or 1 (one-hot labels)"},
        {"0 1\n0 0.5\n", "FILE: line 2, column 2: saw '0.5', expected 0 or 1 (one-hot labels)"},
        {"0 1\n0 -1\n", "FILE: line 2, column 2: saw '-1', expected 0 or 1 (one-hot labels)"},
        {"0 1\n0 x\n", "FILE: line 2, column 2: saw 'x', expected 0 or 1 (one-hot labels)"},
        {"0 1\n0 0\n", "FILE: line 2: 0 columns are 1, expected exactly one (one-hot labels)"},
        {"0 1\n1 1\n", "FILE: line 2: 2 columns are 1, expected exactly one (one-hot labels)"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        err_t err = {{0}};
        rows_t rows = {0};
        if (s_read_labels(cases[i].text, 1, &rows, &err) != -1)
            fail_msg("case %zu was read without an error", i);
        scratch_assert_contains(err.text, cases[i].expected);
        rows_clear(&rows);
    }
    char wide[257 * 2 + 1];
    for (int i = 0; i < 257; i++)
        memcpy(wide + 2 * i, i ? ",0" : " 1", 2);
    wide[257 * 2] = '\0';
    err_t err = {{0}};
    rows_t rows = {0};
    assert_int_equal(s_read_labels(wide, 0, &rows, &err), -1);
    scratch_assert_contains(err.text, "line 1: 257 columns, expected one label or up to 256");
    rows_clear(&rows);
}

static void test_bad_labelled_images(void **state)
{
    (void)state;
    static const bad_t cases[] = {
        {"1 2 3\n", "FILE: no file of labels for it, and not comma-separated"},
        {"256,2,3\n", "FILE: line 1, column 1: saw '256', expected a label"},
        {"1,2,3\n2.5,2,3\n", "FILE: line 2, column 1: saw '2.5', expected a label"},
        {"1,2,3\n1,2\n", "FILE: line 2: 2 columns, expected 3 as in line 1"},
        {"1,2,3\n1\n", "FILE: line 2: 1 columns, expected 3 as in line 1"},
        {"1,\n", "FILE: line 1, column 2: saw '', expected "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        err_t err = {{0}};
        rows_t images = {0};
        rows_t labels = {0};
        if (s_read(cases[i].text, 0, &images, &labels, &err) != -1)
            fail_msg("case %zu was read without an error", i);
        scratch_assert_contains(err.text, cases[i].expected);
        rows_clear(&images);
        rows_clear(&labels);
    }
}

/* Lines that reach beyond the reader's first buffer, and one that is too long. */
static void test_long_lines(void **state)
{
    (void)state;
    err_t err = {{0}};
    rows_t rows = {0};
    size_t n = 300000; /* "255 " each: 1.2 MB a line */
    char *text = malloc(2 * 4 * n + 1);
    for (size_t i = 0; i < 2 * n; i++)
        memcpy(text + 4 * i, i % n == n - 1 ? "254\n" : "255 ", 4);
    text[2 * 4 * n] = '\0';
    assert_int_equal(s_read(text, 0, &rows, NULL, &err), 0);
    assert_int_equal(rows.row_bytes, n);
    assert_int_equal(rows.n_kept, 2);
    assert_int_equal(rows.bytes[n - 1], 254);
    assert_int_equal(rows.bytes[n], 255);
    rows_clear(&rows);
    free(text);
    size_t size = (size_t)33 << 20;
    text = malloc(size + 1);
    memset(text, '7', size);
    text[size] = '\0';
    assert_int_equal(s_read(text, 0, &rows, NULL, &err), -1);
    scratch_assert_contains(err.text, "FILE: line 1: longer than 33554432 bytes");
    rows_clear(&rows);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decimal),
        cmocka_unit_test(test_good_images),
        cmocka_unit_test(test_every_byte_from_its_fraction),
        cmocka_unit_test(test_labels_in_the_first_column),
        cmocka_unit_test(test_good_labels),
        cmocka_unit_test(test_bad_images),
        cmocka_unit_test(test_bad_labels),
        cmocka_unit_test(test_bad_labelled_images),
        cmocka_unit_test(test_long_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
