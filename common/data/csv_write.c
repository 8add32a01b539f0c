/* See csv_write.h. A file is put together in memory: at most 4 bytes a number. */
#include "data/csv_write.h"

#include <assert.h>
#include <stdlib.h>

#include "base/file.h"

/* Appends the number's digits; returns the end. */
static char *s_put_byte(char *p, uint8_t byte)
{
    if (byte >= 100)
        *p++ = (char)('0' + byte / 100);
    if (byte >= 10)
        *p++ = (char)('0' + byte / 10 % 10);
    *p++ = (char)('0' + byte % 10);
    return p;
}

static int s_write(const char *path, const char *text, const char *end, err_t *err)
{
    file_part_t part = {text, (size_t)(end - text)};
    return file_write_atomic(path, &part, 1, err);
}

int csv_write_images(const char *path, const uint8_t *images, size_t n_rows, size_t n_inputs,
                     err_t *err)
{
    char *text = malloc(n_rows * n_inputs * 4);
    if (!text)
        return err_set(err, "%s: out of memory for %zu rows", path, n_rows);
    char *p = text;
    for (size_t i = 0; i < n_rows; i++) {
        for (size_t k = 0; k < n_inputs; k++) {
            p = s_put_byte(p, images[i * n_inputs + k]);
            *p++ = k + 1 < n_inputs ? ' ' : '\n';
        }
    }
    int r = s_write(path, text, p, err);
    free(text);
    return r;
}

int csv_write_labels(const char *path, const uint8_t *labels, size_t n_rows, size_t n_columns,
                     err_t *err)
{
    assert(n_columns >= 2);
    char *text = malloc(n_rows * n_columns * 2);
    if (!text)
        return err_set(err, "%s: out of memory for %zu rows", path, n_rows);
    char *p = text;
    for (size_t i = 0; i < n_rows; i++) {
        assert(labels[i] < n_columns);
        for (size_t k = 0; k < n_columns; k++) {
            *p++ = labels[i] == k ? '1' : '0';
            *p++ = k + 1 < n_columns ? ' ' : '\n';
        }
    }
    int r = s_write(path, text, p, err);
    free(text);
    return r;
}
