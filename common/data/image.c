/* See image.h. */
#include "data/image.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "base/file.h"

#define MAX_FILE_BYTES ((size_t)64 << 20)
#define MAX_SIDE       4096

static int s_check_size(const char *name, size_t width, size_t height, err_t *err)
{
    if (width >= 1 && width <= MAX_SIDE && height >= 1 && height <= MAX_SIDE)
        return 0;
    return err_set(err, "%s: picture of %zu x %zu pixels, expected 1 x 1 to %d x %d", name, width,
                   height, MAX_SIDE, MAX_SIDE);
}

static int s_parse_png(const char *name, const void *bytes, size_t size, uint8_t **pixels,
                       size_t *width, size_t *height, err_t *err)
{
    int r = -1;
    uint8_t *gray = NULL;
    png_image image = {.version = PNG_IMAGE_VERSION};
    const png_color black = {0, 0, 0};
    if (!png_image_begin_read_from_memory(&image, bytes, size))
        goto bad;
    if (s_check_size(name, image.width, image.height, err) != 0)
        goto out;
    image.format = PNG_FORMAT_GRAY;
    gray = malloc(PNG_IMAGE_SIZE(image));
    if (!gray) {
        err_set(err, "%s: out of memory", name);
        goto out;
    }
    if (!png_image_finish_read(&image, &black, gray, 0, NULL))
        goto bad;
    *pixels = gray;
    *width = image.width;
    *height = image.height;
    gray = NULL;
    r = 0;
    goto out;
bad:
    err_set(err, "%s: damaged PNG: %s", name, image.message);
out:
    png_image_free(&image);
    free(gray);
    return r;
}

/* What is left of a PGM. */
typedef struct {
    const char *at;
    const char *end;
} text_t;

static bool s_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void s_skip_space(text_t *text)
{
    while (text->at < text->end && (s_is_space(*text->at) || *text->at == '#')) {
        if (*text->at == '#')
            while (text->at < text->end && *text->at != '\n')
                text->at++;
        else
            text->at++;
    }
}

/* The next number behind white space and comments; -1 when there is none or it is above 99999. */
static long s_number(text_t *text)
{
    s_skip_space(text);
    const char *from = text->at;
    long value = 0;
    while (text->at < text->end && *text->at >= '0' && *text->at <= '9' && value <= 9999)
        value = value * 10 + (*text->at++ - '0');
    bool cut = text->at < text->end && !s_is_space(*text->at) && *text->at != '#';
    return text->at == from || cut ? -1 : value;
}

/* The pixels of a PGM whose header ends at text->at; gray has n_pixels. */
static int s_parse_pixels(const char *name, text_t *text, bool plain, long max, uint8_t *gray,
                          size_t n_pixels, err_t *err)
{
    size_t n_bytes = max > 255 ? 2 : 1;
    size_t n_left = (size_t)(text->end - text->at);
    if (!plain && n_left != n_pixels * n_bytes)
        return err_set(err, "%s: %s: %zu bytes of pixels, expected %zu", name,
                       n_left < n_pixels * n_bytes ? "truncated PGM" : "PGM with bytes behind it",
                       n_left, n_pixels * n_bytes);
    for (size_t i = 0; i < n_pixels; i++) {
        long value;
        if (plain) {
            value = s_number(text);
        } else {
            value = (uint8_t)*text->at++;
            if (n_bytes == 2)
                value = value << 8 | (uint8_t)*text->at++;
        }
        if (value < 0 && text->at == text->end)
            return err_set(err, "%s: truncated PGM: %zu pixels, expected %zu", name, i, n_pixels);
        if (value < 0 || value > max)
            return err_set(err, "%s: pixel %zu of the PGM is not a number from 0 to %ld", name,
                           i + 1, max);
        gray[i] = (uint8_t)((value * 255 * 2 + max) / (2 * max));
    }
    s_skip_space(text);
    if (plain && text->at != text->end)
        return err_set(err, "%s: PGM with more than the expected %zu pixels", name, n_pixels);
    return 0;
}

static int s_parse_pgm(const char *name, const char *bytes, size_t size, uint8_t **pixels,
                       size_t *width, size_t *height, err_t *err)
{
    text_t text = {bytes + 2, bytes + size};
    bool plain = bytes[1] == '2';
    long header[3]; /* width, height, maximum */
    for (int i = 0; i < 3; i++) {
        header[i] = s_number(&text);
        if (header[i] < 0)
            return err_set(err, "%s: damaged PGM: no %s in its header", name,
                           i == 0   ? "width"
                           : i == 1 ? "height"
                                    : "maximum");
    }
    if (s_check_size(name, (size_t)header[0], (size_t)header[1], err) != 0)
        return -1;
    if (header[2] < 1 || header[2] > 65535)
        return err_set(err, "%s: PGM with maximum %ld, expected 1 to 65535", name, header[2]);
    if (text.at < text.end)
        text.at++; /* the one white space in front of the pixels */
    size_t n_pixels = (size_t)header[0] * (size_t)header[1];
    uint8_t *gray = malloc(n_pixels);
    if (!gray)
        return err_set(err, "%s: out of memory", name);
    if (s_parse_pixels(name, &text, plain, header[2], gray, n_pixels, err) != 0) {
        free(gray);
        return -1;
    }
    *pixels = gray;
    *width = (size_t)header[0];
    *height = (size_t)header[1];
    return 0;
}

int image_parse(const char *name, const void *bytes, size_t size, uint8_t **pixels, size_t *width,
                size_t *height, err_t *err)
{
    const char *text = bytes;
    if (size >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0)
        return s_parse_png(name, bytes, size, pixels, width, height, err);
    if (size >= 3 && text[0] == 'P' && (text[1] == '2' || text[1] == '5') &&
        (s_is_space(text[2]) || text[2] == '#'))
        return s_parse_pgm(name, bytes, size, pixels, width, height, err);
    return err_set(err, "%s: neither PNG nor PGM (P2, P5)", name);
}

int image_read(const char *path, uint8_t **pixels, size_t *width, size_t *height, err_t *err)
{
    char *bytes = NULL;
    size_t size = 0;
    if (file_read(path, MAX_FILE_BYTES, &bytes, &size, err) != 0)
        return -1;
    int r = image_parse(path, bytes, size, pixels, width, height, err);
    free(bytes);
    return r;
}
