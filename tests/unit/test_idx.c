/* idx: what is written is read back; every wrong file has its line. */
#include "unit.h"

#include <stdbool.h>

#include "data/idx.h"
#include "scratch.h"

#define HEAD_IMAGES "\0\0\x08\x03"
#define HEAD_LABELS "\0\0\x08\x01"

static void test_write_and_read_back(void **state)
{
    const char *folder = *state;
    err_t err = {{0}};
    uint8_t images[3 * 2 * 4];
    const uint8_t labels[3] = {7, 0, 255};
    for (size_t i = 0; i < sizeof(images); i++)
        images[i] = (uint8_t)(i * 11);
    char *images_path = file_join(folder, "images");
    char *labels_path = file_join(folder, "labels");
    assert_int_equal(idx_write_images(images_path, images, 3, 2, 4, &err), 0);
    assert_int_equal(idx_write_labels(labels_path, labels, 3, &err), 0);
    char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(file_read(images_path, 1000, &bytes, &size, &err), 0);
    assert_int_equal(size, 16 + 24);
    assert_memory_equal(bytes, HEAD_IMAGES "\0\0\0\x03\0\0\0\x02\0\0\0\x04", 16);
    free(bytes);
    const size_t max_rows[] = {0, 1, 2, 3, 4};
    for (int i = 0; i < 5; i++) {
        size_t n_kept = max_rows[i] == 0 || max_rows[i] > 3 ? 3 : max_rows[i];
        rows_t rows = {0};
        gzstream_t *in = gzstream_open(images_path, &err);
        assert_int_equal(idx_read_images(in, max_rows[i], &rows, &err), 0);
        assert_int_equal(rows.row_bytes, 8);
        assert_int_equal(rows.n_in_file, 3);
        assert_int_equal(rows.n_kept, n_kept);
        assert_memory_equal(rows.bytes, images, n_kept * 8);
        gzstream_destroy(&in);
        rows_clear(&rows);
        in = gzstream_open(labels_path, &err);
        assert_int_equal(idx_read_labels(in, max_rows[i], &rows, &err), 0);
        assert_int_equal(rows.n_kept, n_kept);
        assert_memory_equal(rows.bytes, labels, n_kept);
        gzstream_destroy(&in);
        rows_clear(&rows);
    }
    free(images_path);
    free(labels_path);
}

/* More rows than one piece holds, and only some of them kept. */
static void test_many_rows(void **state)
{
    (void)state;
    err_t err = {{0}};
    size_t n_rows = 3000000;
    uint8_t *file = malloc(8 + n_rows);
    memcpy(file, HEAD_LABELS "\0\x2d\xc6\xc0", 8);
    for (size_t i = 0; i < n_rows; i++)
        file[8 + i] = (uint8_t)(i / 1000);
    const size_t max_rows[] = {0, 1, 1048576, 1500000};
    for (int i = 0; i < 4; i++) {
        rows_t rows = {0};
        gzstream_t *in = gzstream_open_memory("m", file, 8 + n_rows, &err);
        assert_int_equal(idx_read_labels(in, max_rows[i], &rows, &err), 0);
        assert_int_equal(rows.n_kept, max_rows[i] ? max_rows[i] : n_rows);
        assert_int_equal(rows.n_in_file, n_rows);
        assert_memory_equal(rows.bytes, file + 8, rows.n_kept);
        gzstream_destroy(&in);
        rows_clear(&rows);
    }
    free(file);
}

typedef struct {
    const char *bytes;
    size_t size;
    const char *expected;
} bad_t;

#define BAD(bytes, expected)                                                                       \
    {                                                                                              \
        bytes, sizeof(bytes) - 1, expected                                                         \
    }

static void s_expect_bad(const bad_t *bad, size_t n_bad, size_t max_rows, bool images)
{
    for (size_t i = 0; i < n_bad; i++) {
        err_t err = {{0}};
        rows_t rows = {0};
        gzstream_t *in = gzstream_open_memory("FILE", bad[i].bytes, bad[i].size, &err);
        int r = images ? idx_read_images(in, max_rows, &rows, &err)
                       : idx_read_labels(in, max_rows, &rows, &err);
        assert_int_equal(r, -1);
        assert_string_equal(err.text, bad[i].expected);
        gzstream_destroy(&in);
        rows_clear(&rows);
    }
}

static void test_bad_images(void **state)
{
    (void)state;
    static const bad_t bad[] = {
        BAD("", "FILE: truncated: 0 bytes, expected a header of 16 (IDX images)"),
        BAD("\0\0\x08", "FILE: truncated: 3 bytes, expected a header of 16 (IDX images)"),
        BAD(HEAD_IMAGES "\0\0\0\1\0\0\0\1",
            "FILE: truncated: 12 bytes, expected a header of 16 (IDX images)"),
        BAD(HEAD_LABELS "\0\0\0\1\7",
            "FILE: magic 0x00000801 (IDX labels), expected 0x00000803 (IDX images)"),
        BAD("\0\0\x0d\x03\0\0\0\1\0\0\0\1\0\0\0\1abcd",
            "FILE: magic 0x00000d03, expected 0x00000803 (IDX images)"),
        BAD(HEAD_IMAGES "\0\0\0\0\0\0\0\2\0\0\0\2", "FILE: 0 rows, expected at least 1"),
        BAD(HEAD_IMAGES "\xff\xff\xff\xff\0\0\0\2\0\0\0\2",
            "FILE: 4294967295 rows, expected at most 2147483648"),
        BAD(HEAD_IMAGES "\0\0\0\1\0\0\0\0\0\0\0\2",
            "FILE: images of 0 x 2 pixels, expected 1 to 1048576 pixels"),
        BAD(HEAD_IMAGES "\0\0\0\1\xff\xff\xff\xff\xff\xff\xff\xff",
            "FILE: images of 4294967295 x 4294967295 pixels, expected 1 to 1048576 pixels"),
        BAD(HEAD_IMAGES "\0\0\0\2\0\0\0\2\0\0\0\2abcdefg",
            "FILE: truncated: 7 bytes behind the header, expected 8 (2 rows of 4)"),
        BAD(HEAD_IMAGES "\0\0\0\2\0\0\0\2\0\0\0\2abcdefghi",
            "FILE: more than 8 bytes behind the header, expected no more (2 rows of 4)"),
        /* claims 2 TiB: fails for its size, not for want of memory */
        BAD(HEAD_IMAGES "\x7f\xff\xff\xff\0\0\4\0\0\0\4\0abc",
            "FILE: truncated: 3 bytes behind the header, expected 2251799812636672 "
            "(2147483647 rows of 1048576)"),
    };
    s_expect_bad(bad, sizeof(bad) / sizeof(bad[0]), 0, true);
    s_expect_bad(bad, sizeof(bad) / sizeof(bad[0]), 1, true); /* checked beyond max_rows too */
}

static void test_bad_labels(void **state)
{
    (void)state;
    static const bad_t bad[] = {
        BAD("\0\0\x08\x01\0\0", "FILE: truncated: 6 bytes, expected a header of 8 (IDX labels)"),
        BAD(HEAD_IMAGES "\0\0\0\1\0\0\0\1\0\0\0\1a",
            "FILE: magic 0x00000803 (IDX images), expected 0x00000801 (IDX labels)"),
        BAD(HEAD_LABELS "\0\0\0\0", "FILE: 0 rows, expected at least 1"),
        BAD(HEAD_LABELS "\0\0\0\3\1\2",
            "FILE: truncated: 2 bytes behind the header, expected 3 (3 rows of 1)"),
        BAD(HEAD_LABELS "\0\0\0\1\1\2",
            "FILE: more than 1 bytes behind the header, expected no more (1 rows of 1)"),
    };
    s_expect_bad(bad, sizeof(bad) / sizeof(bad[0]), 0, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_write_and_read_back),
        cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_bad_images),
        cmocka_unit_test(test_bad_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
