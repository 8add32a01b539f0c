/* image: PNG and PGM become the same bytes; damaged ones are refused. */
#include "unit.h"

#include <png.h>

#include "data/image.h"
#include "scratch.h"

/* A PNG of the given format in memory; the caller frees it. */
static void *s_make_png(png_uint_32 format, png_uint_32 width, png_uint_32 height,
                        const void *pixels, size_t *size)
{
    png_image image = {.version = PNG_IMAGE_VERSION, .width = width, .height = height};
    png_alloc_size_t n = 0;
    image.format = format;
    assert_true(png_image_write_get_memory_size(image, n, 0, pixels, 0, NULL));
    void *bytes = malloc(n);
    assert_true(png_image_write_to_memory(&image, bytes, &n, 0, pixels, 0, NULL));
    *size = n;
    return bytes;
}

static void s_expect(const char *name, const void *bytes, size_t size, const uint8_t *expected,
                     size_t width, size_t height)
{
    err_t err = {{0}};
    uint8_t *pixels = NULL;
    size_t w = 0, h = 0;
    if (image_parse(name, bytes, size, &pixels, &w, &h, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(w, width);
    assert_int_equal(h, height);
    for (size_t i = 0; i < width * height; i++)
        if (pixels[i] != expected[i])
            fail_msg("%s: pixel %zu: saw %d, expected %d", name, i, pixels[i], expected[i]);
    free(pixels);
}

static void s_expect_bad(const char *bytes, size_t size, const char *expected)
{
    err_t err = {{0}};
    uint8_t *pixels = NULL;
    size_t w, h;
    if (image_parse("FILE", bytes, size, &pixels, &w, &h, &err) != -1)
        fail_msg("was read without \"%s\"", expected);
    assert_null(pixels);
    scratch_assert_contains(err.text, expected);
}

static void test_png(void **state)
{
    (void)state;
    const uint8_t gray[6] = {0, 1, 127, 128, 254, 255};
    const uint8_t color[18] = {0,   0,   0,   1,   1,   1,   127, 127, 127,
                               128, 128, 128, 254, 254, 254, 255, 255, 255};
    const uint8_t alpha[12] = {0, 255, 1, 255, 127, 255, 128, 255, 254, 255, 255, 0};
    const uint8_t on_black[6] = {0, 1, 127, 128, 254, 0};
    size_t size;
    void *png = s_make_png(PNG_FORMAT_GRAY, 3, 2, gray, &size);
    s_expect("gray", png, size, gray, 3, 2);
    free(png);
    png = s_make_png(PNG_FORMAT_RGB, 3, 2, color, &size);
    s_expect("color", png, size, gray, 3, 2);
    free(png);
    png = s_make_png(PNG_FORMAT_GA, 3, 2, alpha, &size);
    s_expect("alpha", png, size, on_black, 3, 2);
    free(png);
}

static void test_bad_png(void **state)
{
    (void)state;
    uint8_t gray[28 * 28];
    size_t size;
    for (size_t i = 0; i < sizeof(gray); i++)
        gray[i] = (uint8_t)(i * i);
    char *png = s_make_png(PNG_FORMAT_GRAY, 28, 28, gray, &size);
    s_expect("whole", png, size, gray, 28, 28);
    s_expect_bad(png, 8, "FILE: damaged PNG: ");
    s_expect_bad(png, 30, "FILE: damaged PNG: ");
    s_expect_bad(png, size / 2, "FILE: damaged PNG: ");
    png[size / 2] ^= 0x10;
    s_expect_bad(png, size, "FILE: damaged PNG: ");
    free(png);
    uint8_t *wide = calloc(4097, 1);
    png = s_make_png(PNG_FORMAT_GRAY, 4097, 1, wide, &size);
    s_expect_bad(png, size, "FILE: picture of 4097 x 1 pixels, expected 1 x 1 to 4096 x 4096");
    free(png);
    free(wide);
}

typedef struct {
    const char *bytes;
    size_t size;
    uint8_t pixels[6]; /* 3 x 2 */
    const char *expected;
} pgm_t;

#define GOOD(bytes, ...)                                                                           \
    {                                                                                              \
        bytes, sizeof(bytes) - 1, {__VA_ARGS__}, NULL                                              \
    }
#define BAD(bytes, expected)                                                                       \
    {                                                                                              \
        bytes, sizeof(bytes) - 1, {0}, expected                                                    \
    }

static void test_pgm(void **state)
{
    (void)state;
    static const pgm_t cases[] = {
        GOOD("P2\n3 2\n255\n0 1 2\n3 4 255\n", 0, 1, 2, 3, 4, 255),
        GOOD("P2 # drawn\n#by hand\n3 2 255 0 1 2 3 #four\n4 255", 0, 1, 2, 3, 4, 255),
        GOOD("P5\n3 2\n255\n\0\1\n\3\4\xff", 0, 1, 10, 3, 4, 255),
        GOOD("P5 3 2 255 abcdef", 'a', 'b', 'c', 'd', 'e', 'f'),
        GOOD("P2 3 2 1 0 1 1 0 0 1", 0, 255, 255, 0, 0, 255),
        GOOD("P2 3 2 15 0 1 2 3 4 15", 0, 17, 34, 51, 68, 255),
        GOOD("P5 3 2 65535 \0\0\0\x80\1\1\x80\x80\xff\0\xff\xff", 0, 0, 1, 128, 254, 255),
        BAD("P2", "FILE: neither PNG nor PGM"),
        BAD("", "FILE: neither PNG nor PGM"),
        BAD("P6 1 1 255 abc", "FILE: neither PNG nor PGM"),
        BAD("GIF89a", "FILE: neither PNG nor PGM"),
        BAD("P2\n", "FILE: damaged PGM: no width in its header"),
        BAD("P2 x", "FILE: damaged PGM: no width in its header"),
        BAD("P2 3", "FILE: damaged PGM: no height in its header"),
        BAD("P2 3 -2", "FILE: damaged PGM: no height in its header"),
        BAD("P2 3 2", "FILE: damaged PGM: no maximum in its header"),
        BAD("P2 3 2 1000000", "FILE: damaged PGM: no maximum in its header"),
        BAD("P2 0 2 255", "FILE: picture of 0 x 2 pixels, expected 1 x 1 to 4096 x 4096"),
        BAD("P2 3 5000 255", "FILE: picture of 3 x 5000 pixels, expected 1 x 1 to 4096 x 4096"),
        BAD("P2 3 2 0 0", "FILE: PGM with maximum 0, expected 1 to 65535"),
        BAD("P2 3 2 65536 0", "FILE: PGM with maximum 65536, expected 1 to 65535"),
        BAD("P2 3 2 255 0 1 2 3 4", "FILE: truncated PGM: 5 pixels, expected 6"),
        BAD("P2 3 2 255 0 1 2 3 4 256", "FILE: pixel 6 of the PGM is not a number from 0 to 255"),
        BAD("P2 3 2 255 0 1 x 3 4 5", "FILE: pixel 3 of the PGM is not a number from 0 to 255"),
        BAD("P2 3 2 255 0 1 2 3 4 5 6", "FILE: PGM with more than the expected 6 pixels"),
        BAD("P5 3 2 255 abcde", "FILE: truncated PGM: 5 bytes of pixels, expected 6"),
        BAD("P5 3 2 255", "FILE: truncated PGM: 0 bytes of pixels, expected 6"),
        BAD("P5 3 2 255 abcdefg", "FILE: PGM with bytes behind it: 7 bytes of pixels, expected 6"),
        BAD("P5 3 2 256 abcdef", "FILE: truncated PGM: 6 bytes of pixels, expected 12"),
        BAD("P5 3 2 100 abcdef", "FILE: pixel 5 of the PGM is not a number from 0 to 100"),
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (cases[i].expected)
            s_expect_bad(cases[i].bytes, cases[i].size, cases[i].expected);
        else
            s_expect(cases[i].bytes, cases[i].bytes, cases[i].size, cases[i].pixels, 3, 2);
    }
}

static void test_read_from_file(void **state)
{
    const char *folder = *state;
    err_t err = {{0}};
    uint8_t *pixels = NULL;
    size_t w = 0, h = 0;
    char *path = scratch_write_text(folder, "a.pgm", "P2 1 2 255 7 9");
    assert_int_equal(image_read(path, &pixels, &w, &h, &err), 0);
    assert_int_equal(w, 1);
    assert_int_equal(h, 2);
    assert_memory_equal(pixels, "\7\x09", 2);
    free(pixels);
    free(path);
    path = file_join(folder, "missing.png");
    assert_int_equal(image_read(path, &pixels, &w, &h, &err), -1);
    scratch_assert_contains(err.text, "missing.png: cannot open: No such file");
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png),
        cmocka_unit_test(test_bad_png),
        cmocka_unit_test(test_pgm),
        scratch_test(test_read_from_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
