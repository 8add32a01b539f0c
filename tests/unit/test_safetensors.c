/* safetensors: exact bytes, round trips, and damaged or foreign files. */
#include "unit.h"

#include <stdbool.h>

#include "data/safetensors.h"
#include "scratch.h"

static const float s_matrix[6] = {1.0f, -2.0f, 0.5f, 3e-45f, 1e38f, -0.0f};
static const float s_vector[1] = {42.0f};

static safetensors_t *s_make(bool reversed)
{
    safetensors_t *file = safetensors_new();
    safetensors_set_meta(file, reversed ? "step" : "a\"b", reversed ? "7" : "first\nline");
    if (reversed)
        safetensors_add(file, "w", (size_t[]){2, 3}, 2, s_matrix);
    safetensors_add(file, "b", (size_t[]){1}, 1, s_vector);
    if (!reversed)
        safetensors_add(file, "w", (size_t[]){2, 3}, 2, s_matrix);
    safetensors_set_meta(file, "step", "8");
    safetensors_set_meta(file, "step", "9");
    safetensors_set_meta(file, "a\"b", "first\nline");
    return file;
}

static void test_write_is_deterministic(void **state)
{
    const char *folder = *state;
    static const char header[] =
        "{\"__metadata__\":{\"a\\\"b\":\"first\\nline\",\"step\":\"9\"},"
        "\"b\":{\"data_offsets\":[0,4],\"dtype\":\"F32\",\"shape\":[1]},"
        "\"w\":{\"data_offsets\":[4,28],\"dtype\":\"F32\",\"shape\":[2,3]}}";
    for (int i = 0; i < 2; i++) {
        err_t err = {{0}};
        char *path = file_join(folder, "model");
        safetensors_t *file = s_make(i == 1);
        assert_int_equal(safetensors_write(file, path, &err), 0);
        safetensors_destroy(&file);
        assert_null(file);
        char *bytes;
        size_t size;
        assert_int_equal(file_read(path, 1000, &bytes, &size, &err), 0);
        size_t n_header = (uint8_t)bytes[0];
        assert_int_equal(n_header % 8, 0);
        assert_memory_equal(bytes + 1, "\0\0\0\0\0\0", 7);
        assert_memory_equal(bytes + 8, header, sizeof(header) - 1);
        for (size_t k = sizeof(header) - 1; k < n_header; k++)
            assert_int_equal(bytes[8 + k], ' ');
        assert_memory_equal(bytes + 8 + n_header, s_vector, 4);
        assert_memory_equal(bytes + 8 + n_header + 4, s_matrix, 24);
        assert_int_equal(size, 8 + n_header + 28);
        free(bytes);
        free(path);
    }
}

static void test_round_trip(void **state)
{
    const char *folder = *state;
    err_t err = {{0}};
    char *path = file_join(folder, "model");
    safetensors_t *file = s_make(false);
    safetensors_add(file, "scalar", NULL, 0, s_vector);
    safetensors_add(file, "empty", (size_t[]){0, 5}, 2, s_vector);
    safetensors_set_meta(file, "utf", "Zürich ✓");
    assert_int_equal(safetensors_write(file, path, &err), 0);
    safetensors_destroy(&file);
    file = safetensors_read(path, &err);
    if (!file)
        fail_msg("%s", err.text);
    size_t n_dims = 9;
    const size_t *shape = NULL;
    const float *data = safetensors_tensor(file, "w", &n_dims, &shape);
    assert_int_equal(n_dims, 2);
    assert_int_equal(shape[0], 2);
    assert_int_equal(shape[1], 3);
    assert_memory_equal(data, s_matrix, sizeof(s_matrix));
    data = safetensors_tensor(file, "scalar", &n_dims, NULL);
    assert_int_equal(n_dims, 0);
    assert_true(data[0] == 42.0f);
    assert_non_null(safetensors_tensor(file, "empty", NULL, &shape));
    assert_int_equal(shape[0], 0);
    assert_null(safetensors_tensor(file, "none", &n_dims, &shape));
    assert_string_equal(safetensors_meta(file, "step"), "9");
    assert_string_equal(safetensors_meta(file, "a\"b"), "first\nline");
    assert_string_equal(safetensors_meta(file, "utf"), "Zürich ✓");
    assert_null(safetensors_meta(file, "none"));
    assert_int_equal(safetensors_count(file), 4);
    static const char *const names[] = {"b", "empty", "scalar", "w"};
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(safetensors_name(file, i), names[i]);
    /* what was read can be written again, to the same bytes */
    char *again = file_join(folder, "again");
    assert_int_equal(safetensors_write(file, again, &err), 0);
    char *first;
    char *second;
    size_t n_first, n_second;
    assert_int_equal(file_read(path, 10000, &first, &n_first, &err), 0);
    assert_int_equal(file_read(again, 10000, &second, &n_second, &err), 0);
    assert_int_equal(n_first, n_second);
    assert_memory_equal(first, second, n_first);
    free(first);
    free(second);
    free(again);
    free(path);
    safetensors_destroy(&file);
    safetensors_destroy(&file);
}

static void test_write_fails_cleanly(void **state)
{
    const char *folder = *state;
    err_t err = {{0}};
    char *path = file_join(folder, "model");
    safetensors_t *file = s_make(false);
    safetensors_set_meta(file, "host", "\xff\xfe");
    assert_int_equal(safetensors_write(file, path, &err), -1);
    scratch_assert_contains(err.text, "model: metadata 'host' is not UTF-8");
    assert_false(file_exists(path));
    safetensors_destroy(&file);
    file = s_make(false);
    safetensors_add(file, "\xff", (size_t[]){1}, 1, s_vector);
    assert_int_equal(safetensors_write(file, path, &err), -1);
    scratch_assert_contains(err.text, "is not UTF-8");
    assert_false(file_exists(path));
    safetensors_destroy(&file);
    char *nowhere = file_join(folder, "no/folder");
    file = s_make(false);
    assert_int_equal(safetensors_write(file, nowhere, &err), -1);
    scratch_assert_contains(err.text, "no/folder: cannot create: No such file");
    safetensors_destroy(&file);
    free(nowhere);
    free(path);
}

/* Parses `header` and n_data bytes of data behind it. */
static safetensors_t *s_parse(const char *header, size_t n_data, err_t *err)
{
    size_t n = strlen(header);
    uint8_t *bytes = calloc(8 + n + n_data, 1);
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)n >> (8 * i));
    memcpy(bytes + 8, header, n);
    safetensors_t *file = safetensors_parse("FILE", bytes, 8 + n + n_data, err);
    free(bytes);
    return file;
}

#define ENTRY(dtype, shape, offsets)                                                               \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void test_bad_headers(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t n_data;
        const char *expected;
    } cases[] = {
        {"", 0, "FILE: damaged safetensors: header is not a JSON object: "},
        {"[]", 0, "FILE: damaged safetensors: header is not a JSON object: another type"},
        {"{", 0, "FILE: damaged safetensors: header is not a JSON object: "},
        {"{\"a\":1,\"a\":2}", 0, "header is not a JSON object: duplicate object key"},
        {"{\"\xff\":1}", 0, "header is not a JSON object: "},
        {"{} x", 0, "header is not a JSON object: "},
        {"{\"a\":1}", 0, "FILE: damaged safetensors: tensor 'a' has no proper dtype, shape and "},
        {"{\"a\":{}}", 0, "tensor 'a' has no proper dtype"},
        {"{\"a\":" ENTRY("F32", "1", "[0,4]") "}", 4, "tensor 'a' has no proper dtype"},
        {"{\"a\":" ENTRY("F32", "[1]", "[0]") "}", 4, "tensor 'a' has no proper dtype"},
        {"{\"a\":" ENTRY("F32", "[1]", "[0,4,8]") "}", 8, "tensor 'a' has no proper dtype"},
        {"{\"a\":" ENTRY("F32", "[1]", "[0,4.0]") "}", 4, "tensor 'a' has no proper dtype"},
        {"{\"a\":" ENTRY("F32", "[1]", "[-4,0]") "}", 4, "tensor 'a' has no proper dtype"},
        {"{\"a\":" ENTRY("F16", "[2]", "[0,4]") "}", 4,
         "FILE: tensor 'a' has dtype F16, expected F32"},
        {"{\"a\":" ENTRY("F32", "[1]", "[4,0]") "}", 4, "tensor 'a' has bytes 4 to 0, expected"},
        {"{\"a\":" ENTRY("F32", "[2]", "[0,8]") "}", 4,
         "FILE: truncated or damaged safetensors: tensor 'a' has bytes 0 to 8, expected them "
         "within the 4 bytes of data"},
        {"{\"a\":" ENTRY("F32", "[2]", "[0,4]") "}", 4,
         "tensor 'a' has a shape of 2 values and 4 bytes of data"},
        {"{\"a\":" ENTRY("F32", "[1]", "[0,5]") "}", 5, "has a shape of 1 values and 5 bytes"},
        {"{\"a\":" ENTRY("F32", "[]", "[0,0]") "}", 0, "has a shape of 1 values and 0 bytes"},
        {"{\"a\":" ENTRY("F32", "[-1,-1]", "[0,4]") "}", 4, "tensor 'a' has an impossible shape"},
        {"{\"a\":" ENTRY("F32", "[\"1\"]", "[0,4]") "}", 4, "tensor 'a' has an impossible shape"},
        {"{\"a\":" ENTRY("F32", "[4294967296,4294967296]", "[0,0]") "}", 0,
         "tensor 'a' has an impossible shape"},
        {"{\"a\":" ENTRY("F32", "[4611686018427387904]", "[0,0]") "}", 0,
         "tensor 'a' has a shape of 4611686018427387904 values and 0 bytes"},
        {"{\"a\":" ENTRY("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4,
         "tensor 'a' has 9 dimensions, expected at most 8"},
        {"{\"a\":" ENTRY("F32", "[2]", "[0,8]") ",\"b\":" ENTRY("F32", "[2]", "[4,12]") "}", 12,
         "the data of tensor 'b' begin at byte 4, expected 8 (overlap)"},
        {"{\"a\":" ENTRY("F32", "[1]", "[0,4]") ",\"b\":" ENTRY("F32", "[1]", "[8,12]") "}", 12,
         "the data of tensor 'b' begin at byte 8, expected 4 (hole)"},
        {"{\"a\":" ENTRY("F32", "[1]", "[0,4]") "}", 5,
         "FILE: damaged safetensors: 5 bytes of data, expected 4"},
        {"{}", 1, "FILE: damaged safetensors: 1 bytes of data, expected 0"},
        {"{\"__metadata__\":[]}", 0, "__metadata__ is not an object"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "metadata 'a' is not a text"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        err_t err = {{0}};
        safetensors_t *file = s_parse(cases[i].header, cases[i].n_data, &err);
        if (file)
            fail_msg("case %zu was read", i);
        scratch_assert_contains(err.text, cases[i].expected);
    }
    err_t err = {{0}};
    assert_null(safetensors_parse("FILE", "1234567", 7, &err));
    scratch_assert_contains(err.text, "FILE: 7 bytes, expected a safetensors file");
    assert_null(safetensors_parse("FILE", "\x10\0\0\0\0\0\0\0{}", 10, &err));
    scratch_assert_contains(err.text, "FILE: truncated safetensors: 2 bytes, expected a header of "
                                      "16");
    assert_null(safetensors_parse("FILE", "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, &err));
    scratch_assert_contains(err.text,
                            "FILE: not safetensors: header of 18446744073709551615 bytes");
}

/* Every file that ends too early is refused, and none with a flipped bit breaks the reader. */
static void test_cut_and_flipped(void **state)
{
    const char *folder = *state;
    err_t err = {{0}};
    char *path = file_join(folder, "model");
    safetensors_t *file = s_make(false);
    assert_int_equal(safetensors_write(file, path, &err), 0);
    safetensors_destroy(&file);
    char *bytes;
    size_t size;
    assert_int_equal(file_read(path, 1000, &bytes, &size, &err), 0);
    for (size_t n = 0; n < size; n++) {
        char *copy = malloc(n + 1); /* exact but for one byte: a read past it is seen */
        memcpy(copy, bytes, n);
        assert_null(safetensors_parse("FILE", copy, n, &err));
        free(copy);
    }
    for (size_t i = 0; i < 8 * size; i++) {
        bytes[i / 8] = (char)(bytes[i / 8] ^ 1 << i % 8);
        file = safetensors_parse("FILE", bytes, size, &err);
        safetensors_destroy(&file);
        bytes[i / 8] = (char)(bytes[i / 8] ^ 1 << i % 8);
    }
    free(bytes);
    free(path);
}

/* A file as another writer may lay it out: spaces, another order, data not sorted by name. */
static void test_foreign_layout(void **state)
{
    (void)state;
    err_t err = {{0}};
    safetensors_t *file =
        s_parse("{ \"z\": " ENTRY("F32", "[1]", "[0,4]") ", \"a\" : " ENTRY(
                    "F32", "[2]", "[4,12]") ",\"e\":" ENTRY("F32", "[0]", "[4,4]") "} ",
                12, &err);
    if (!file)
        fail_msg("%s", err.text);
    assert_int_equal(safetensors_count(file), 3);
    assert_string_equal(safetensors_name(file, 0), "a");
    safetensors_destroy(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_write_is_deterministic), scratch_test(test_round_trip),
        scratch_test(test_write_fails_cleanly),    cmocka_unit_test(test_bad_headers),
        scratch_test(test_cut_and_flipped),        cmocka_unit_test(test_foreign_layout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
