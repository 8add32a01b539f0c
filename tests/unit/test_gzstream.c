/* gzstream: plain and gzipped input, and every way in which gzip data can be wrong. */
#include "unit.h"

#include <isa-l/igzip_lib.h>

#include "data/gzstream.h"
#include "scratch.h"

#define N_BYTES 300000

/* Bytes that do not compress to nothing. */
static uint8_t *s_make_bytes(void)
{
    uint8_t *bytes = malloc(N_BYTES);
    uint32_t x = 1;
    for (size_t i = 0; i < N_BYTES; i++) {
        x = x * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(x >> 28);
    }
    bytes[0] = 'x';
    return bytes;
}

/* One gzip member; the caller frees it. */
static uint8_t *s_gzip(const uint8_t *bytes, size_t size, size_t *n_packed)
{
    struct isal_zstream *z = malloc(sizeof(*z));
    size_t room = size + 1000;
    uint8_t *packed = malloc(room);
    isal_deflate_stateless_init(z);
    z->gzip_flag = IGZIP_GZIP;
    z->next_in = (uint8_t *)bytes;
    z->avail_in = (uint32_t)size;
    z->end_of_stream = 1;
    z->next_out = packed;
    z->avail_out = (uint32_t)room;
    assert_int_equal(isal_deflate_stateless(z), COMP_OK);
    *n_packed = z->total_out;
    free(z);
    return packed;
}

/* Reads everything in pieces of `piece` bytes. Returns the count, or -1. */
static long s_read_all(gzstream_t *in, uint8_t *out, size_t room, size_t piece, err_t *err)
{
    size_t used = 0;
    for (;;) {
        size_t n = 0;
        size_t wanted = piece < room - used ? piece : room - used;
        if (gzstream_read(in, out + used, wanted, &n, err) != 0)
            return -1;
        used += n;
        if (n < wanted || wanted == 0)
            return (long)used;
    }
}

static void test_plain_and_gzip_give_the_same(void **state)
{
    const char *folder = *state;
    err_t err = {{0}};
    uint8_t *bytes = s_make_bytes();
    uint8_t *out = malloc(2 * N_BYTES + 1);
    size_t n_packed = 0;
    uint8_t *packed = s_gzip(bytes, N_BYTES, &n_packed);
    char *paths[2] = {scratch_write(folder, "plain", bytes, N_BYTES),
                      scratch_write(folder, "packed", packed, n_packed)};
    const size_t pieces[] = {7777, N_BYTES - 1, N_BYTES + 1};
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 3; k++) {
            gzstream_t *in = gzstream_open(paths[i], &err);
            assert_non_null(in);
            assert_string_equal(gzstream_path(in), paths[i]);
            assert_int_equal(s_read_all(in, out, 2 * N_BYTES, pieces[k], &err), N_BYTES);
            assert_memory_equal(out, bytes, N_BYTES);
            size_t n = 9;
            assert_int_equal(gzstream_read(in, out, 10, &n, &err), 0); /* the end stays the end */
            assert_int_equal(n, 0);
            gzstream_destroy(&in);
            assert_null(in);
        }
        free(paths[i]);
    }
    gzstream_t *none = NULL;
    gzstream_destroy(&none);
    free(packed);
    free(out);
    free(bytes);
}

static void test_peek_leaves_the_bytes(void **state)
{
    (void)state;
    err_t err = {{0}};
    char out[32] = {0};
    size_t n = 0;
    gzstream_t *in = gzstream_open_memory("m", "0123456789", 10, &err);
    assert_int_equal(gzstream_peek(in, out, 4, &n, &err), 0);
    assert_int_equal(n, 4);
    assert_memory_equal(out, "0123", 4);
    assert_int_equal(gzstream_read(in, out, 2, &n, &err), 0);
    assert_memory_equal(out, "01", 2);
    assert_int_equal(gzstream_peek(in, out, 20, &n, &err), 0);
    assert_int_equal(n, 8);
    assert_memory_equal(out, "23456789", 8);
    assert_int_equal(gzstream_peek(in, out, 3, &n, &err), 0);
    assert_int_equal(n, 3);
    assert_int_equal(gzstream_read(in, out, 20, &n, &err), 0);
    assert_int_equal(n, 8);
    assert_memory_equal(out, "23456789", 8);
    gzstream_destroy(&in);
}

static void test_members_are_joined(void **state)
{
    (void)state;
    err_t err = {{0}};
    uint8_t all[200];
    uint8_t out[20] = {0};
    size_t n1 = 0, n2 = 0, n = 0;
    uint8_t *first = s_gzip((const uint8_t *)"abc", 3, &n1);
    uint8_t *second = s_gzip((const uint8_t *)"defg", 4, &n2);
    memcpy(all, first, n1);
    memcpy(all + n1, second, n2);
    gzstream_t *in = gzstream_open_memory("m", all, n1 + n2, &err);
    assert_int_equal(gzstream_read(in, out, 20, &n, &err), 0);
    assert_int_equal(n, 7);
    assert_memory_equal(out, "abcdefg", 7);
    gzstream_destroy(&in);
    free(first);
    free(second);
}

/* Members, and a header, that lie across the ends of what is read from a file at a time. */
static void test_members_lie_anywhere(void **state)
{
    const char *folder = *state;
    enum {
        N_MEMBERS = 9000,
        N_NAME = 300000
    };
    err_t err = {{0}};
    size_t n_packed = 0;
    uint8_t *member = s_gzip((const uint8_t *)"abcdefg", 7, &n_packed);
    size_t size = N_MEMBERS * n_packed + N_NAME + 1;
    uint8_t *all = malloc(size);
    uint8_t *out = malloc((size_t)7 * N_MEMBERS + 1);
    assert_true(N_MEMBERS * n_packed > 256 * 1024);
    memcpy(all, member, 10);
    all[3] = 8; /* there is a name */
    memset(all + 10, 'n', N_NAME);
    all[10 + N_NAME] = 0;
    memcpy(all + 11 + N_NAME, member + 10, n_packed - 10);
    for (size_t i = 1; i < N_MEMBERS; i++)
        memcpy(all + N_NAME + 1 + i * n_packed, member, n_packed);
    char *path = scratch_write(folder, "members.gz", all, size);
    for (size_t piece = 1; piece <= (size_t)7 * N_MEMBERS; piece *= 7) {
        gzstream_t *in = gzstream_open(path, &err);
        assert_int_equal(s_read_all(in, out, (size_t)7 * N_MEMBERS + 1, piece, &err),
                         7 * N_MEMBERS);
        for (size_t i = 0; i < N_MEMBERS; i++)
            assert_memory_equal(out + 7 * i, "abcdefg", 7);
        gzstream_destroy(&in);
    }
    free(path);
    free(all);
    free(out);
    free(member);
}

static void test_damage_is_told(void **state)
{
    const char *folder = *state;
    uint8_t *bytes = s_make_bytes();
    uint8_t *out = malloc(N_BYTES + 100);
    size_t n = 0;
    uint8_t *packed = s_gzip(bytes, N_BYTES, &n);
    uint8_t *roomy = realloc(packed, n + 100);
    assert_non_null(roomy);
    packed = roomy;
    const struct {
        size_t size;    /* of the file: so many of the packed bytes */
        size_t flipped; /* byte to damage; 0: none */
        const char *extra;
        const char *expected;
    } cases[] = {
        {n - 1, 0, "", "f.gz: truncated"},
        {n - 8, 0, "", "f.gz: truncated"},
        {n / 2, 0, "", "f.gz: truncated"},
        {11, 0, "", "f.gz: truncated"},
        {2, 0, "", "f.gz: truncated"},
        {n, n - 8, "", "f.gz: corrupt gzip data: incorrect checksum or length"},
        {n, n - 1, "", "f.gz: corrupt gzip data: incorrect checksum or length"},
        {n, 2, "", "f.gz: corrupt gzip data: unknown compression method"},
        {n, n / 2, "", "f.gz: corrupt gzip data: "},
        {n, 0, "garbage", "f.gz: bytes behind the end of the gzip data"},
        {n, 0, "\x1f", "f.gz: bytes behind the end of the gzip data"},
        {n, 0, "\x1f\x8b", "f.gz: truncated"},
        {n, 0, "\x1f\x8b\x09zzzzzzzzzzzzzz", "f.gz: corrupt gzip data: "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        err_t err = {{0}};
        uint8_t *copy = malloc(n + 100);
        memcpy(copy, packed, n);
        if (cases[i].flipped)
            copy[cases[i].flipped] ^= 0x55;
        memcpy(copy + cases[i].size, cases[i].extra, strlen(cases[i].extra));
        char *path = scratch_write(folder, "f.gz", copy, cases[i].size + strlen(cases[i].extra));
        gzstream_t *in = gzstream_open(path, &err);
        assert_non_null(in);
        if (s_read_all(in, out, N_BYTES + 100, 5000, &err) != -1)
            fail_msg("case %zu was read without an error", i);
        scratch_assert_contains(err.text, cases[i].expected);
        gzstream_destroy(&in);
        free(path);
        free(copy);
    }
    free(packed);
    free(out);
    free(bytes);
}

static void test_unreadable_paths(void **state)
{
    const char *folder = *state;
    err_t err = {{0}};
    char *path = file_join(folder, "missing");
    assert_null(gzstream_open(path, &err));
    scratch_assert_contains(err.text, "missing: cannot open: No such file");
    assert_null(gzstream_open(folder, &err));
    scratch_assert_contains(err.text, "cannot read: Is a directory");
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_plain_and_gzip_give_the_same),
        cmocka_unit_test(test_peek_leaves_the_bytes),
        cmocka_unit_test(test_members_are_joined),
        scratch_test(test_members_lie_anywhere),
        scratch_test(test_damage_is_told),
        scratch_test(test_unreadable_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
