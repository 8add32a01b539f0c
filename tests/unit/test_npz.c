/* .npz: NumPy's own files (fuzz/corpus/npz) are read, and whatever else a zip may hold is refused
 * with a reason. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zip.h>

#include "data/npz.h"
#include "scratch.h"

static char *s_corpus(const char *name, size_t *size)
{
    err_t err = {{0}};
    char *bytes;
    char *path = file_join(TEST_SOURCE_DIR "/fuzz/corpus/npz", name);
    if (file_read(path, 1 << 20, &bytes, size, &err) != 0)
        fail_msg("%s", err.text);
    free(path);
    return bytes;
}

static safetensors_t *s_read(const char *name)
{
    err_t err = {{0}};
    size_t size;
    char *bytes = s_corpus(name, &size);
    assert_true(npz_is(bytes, size));
    safetensors_t *file = npz_parse(name, bytes, size, &err);
    if (!file)
        fail_msg("%s", err.text);
    free(bytes);
    return file;
}

static void test_stored_arrays(void **state)
{
    (void)state;
    safetensors_t *file = s_read("stored.npz");
    size_t n_dims;
    const size_t *shape;
    assert_int_equal(safetensors_count(file), 2);
    const float *weight = safetensors_tensor(file, "layer1.weight", &n_dims, &shape);
    assert_int_equal(n_dims, 2);
    assert_true(shape[0] == 2 && shape[1] == 3);
    for (int i = 0; i < 6; i++)
        assert_true(weight[i] == (float)i);
    const float *bias = safetensors_tensor(file, "layer1.bias", &n_dims, &shape); /* float64 */
    assert_true(n_dims == 1 && shape[0] == 3 && bias[0] == 1 && bias[2] == 1);
    safetensors_destroy(&file);
}

static void test_deflated_arrays_in_fortran_order(void **state)
{
    (void)state;
    safetensors_t *file = s_read("deflated.npz");
    size_t n_dims;
    const size_t *shape;
    const float *w = safetensors_tensor(file, "w", &n_dims, &shape);
    assert_true(n_dims == 2 && shape[0] == 2 && shape[1] == 3);
    for (int i = 0; i < 6; i++)
        assert_true(w[i] == (float)i);
    const float *scalar = safetensors_tensor(file, "scalar", &n_dims, &shape);
    assert_true(n_dims == 0 && scalar[0] == 3);
    assert_non_null(safetensors_tensor(file, "none", &n_dims, &shape));
    assert_true(n_dims == 2 && shape[0] == 0);
    safetensors_destroy(&file);
}

/* A zip of one stored member, from malloc. */
static char *s_zip(const char *folder, const char *member, const void *bytes, size_t size,
                   size_t *n_zip)
{
    err_t err = {{0}};
    char *path = file_join(folder, "made.npz");
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    assert_non_null(zip);
    zip_int64_t at = zip_file_add(zip, member, zip_source_buffer(zip, bytes, size, 0), 0);
    assert_true(at == 0);
    assert_int_equal(zip_set_file_compression(zip, 0, ZIP_CM_STORE, 0), 0);
    assert_int_equal(zip_close(zip), 0);
    char *made;
    assert_int_equal(file_read(path, 1 << 20, &made, n_zip, &err), 0);
    free(path);
    return made;
}

static void s_assert_refused(const char *folder, const char *member, const void *bytes, size_t size,
                             const char *text)
{
    err_t err = {{0}};
    size_t n_zip;
    char *zip = s_zip(folder, member, bytes, size, &n_zip);
    assert_null(npz_parse("f", zip, n_zip, &err));
    scratch_assert_contains(err.text, text);
    free(zip);
}

static void test_headers_that_are_none_are_refused(void **state)
{
    static const struct {
        const char *header, *text;
    } cases[] = {
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }",
         "f: array 'w': numbers of type '<i8', expected '<f4' or '<f8'"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (3,), }", "of type '>f4'"},
        {"{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (3,), }",
         "f: array 'w': an array of records, expected one of numbers"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }",
         "f: array 'w': 12 bytes of values, expected 16"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "f: array 'w': header"},
        {"{'descr': '<f4', 'fortran_order': 1, 'shape': (3,), }", "f: array 'w': header"},
        {"{'descr': '<f4', 'shape': (3,), }", "f: array 'w': header"},
        {"{'descr': '<f4', 'fortran_order': False}", "f: array 'w': header"},
        {"{'fortran_order': False, 'shape': (3,)}", "f: array 'w': header"},
        {"{'descr': '<f4', 'order': False, 'shape': (3,)}", "f: array 'w': header"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3", "f: array 'w': header"},
        {"{'descr': '<f4", "f: array 'w': header"},
        {"", "f: array 'w': header ''"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,3)}",
         "f: array 'w': header"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (65536, 65536, 65536, 65536)}",
         "f: array 'w': header"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
         "f: array 'w': header"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char npy[300] = "\x93NUMPY\x01\x00";
        size_t n = strlen(cases[i].header);
        npy[8] = (char)n;
        memcpy(npy + 10, cases[i].header, n);
        memset(npy + 10 + n, 0, 12);
        s_assert_refused(*state, "w.npy", npy, 10 + n + 12, cases[i].text);
    }
}

static void test_members_that_are_no_arrays_are_refused(void **state)
{
    static const char version[] = "\x93NUMPY\x04\x00\x00\x00\x00\x00\x00";
    static const char longer[] = "\x93NUMPY\x01\x00\x10\x00{'descr'";
    static const char huge[] = "\x93NUMPY\x02\x00\x00\x00\x00\x10{}";
    s_assert_refused(*state, "readme.txt", "hello", 5,
                     "f: member 'readme.txt', expected an array, NAME.npy");
    s_assert_refused(*state, "w.npy", "hello", 5, "f: array 'w': 5 bytes, expected an array");
    s_assert_refused(*state, "w.npy", "hello, hello, hello", 19,
                     "f: array 'w': no array of NumPy's format 1 to 3");
    s_assert_refused(*state, "w.npy", version, sizeof(version) - 1, "no array of NumPy's format");
    s_assert_refused(*state, "w.npy", longer, sizeof(longer) - 1, "header of 16 bytes");
    s_assert_refused(*state, "w.npy", huge, sizeof(huge) - 1, "header of 268435456 bytes");
    s_assert_refused(*state, "__metadata__.npy",
                     "\x93NUMPY\x01\x00\x39\x00{'descr': '<f4', 'fortran_order': False, 'shape': "
                     "(0,), }",
                     67, "a name that is taken");
}

static void test_damage_is_seen(void **state)
{
    (void)state;
    err_t err = {{0}};
    size_t size;
    char *bytes = s_corpus("stored.npz", &size);
    for (size_t n = 0; n < size; n++)
        assert_null(npz_parse("f", bytes, n, &err));
    scratch_assert_contains(err.text, "f: damaged or truncated npz: ");
    const float five = 5;
    char *value = memmem(bytes, size, &five, sizeof(five));
    assert_non_null(value);
    value[0] ^= 1;
    assert_null(npz_parse("f", bytes, size, &err));
    scratch_assert_contains(err.text, "f: array 'layer1.weight': damaged: ");
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stored_arrays),
        cmocka_unit_test(test_deflated_arrays_in_fortran_order),
        scratch_test(test_headers_that_are_none_are_refused),
        scratch_test(test_members_that_are_no_arrays_are_refused),
        cmocka_unit_test(test_damage_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
