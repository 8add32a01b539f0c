/* See idx.h. */
#include "data/idx.h"

#include <assert.h>
#include <inttypes.h>

#include "base/file.h"

#define MAGIC_IMAGES 0x00000803u
#define MAGIC_LABELS 0x00000801u

/* Rows are read in pieces of about so many bytes. */
#define PIECE_BYTES ((size_t)1 << 20)

/* Room for so many bytes of rows is made at once, where a header has announced them; more only as
 * they are read. Room takes no memory before the first rows are there. */
#define ROOM_BYTES ((size_t)64 << 20)

static uint32_t s_get(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void s_put(uint8_t *bytes, size_t value)
{
    assert(value <= UINT32_MAX);
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* Reads the magic and n_dims dimensions. */
static int s_read_header(gzstream_t *in, uint32_t magic, uint32_t *dims, size_t n_dims, err_t *err)
{
    const char *path = gzstream_path(in);
    const char *what = magic == MAGIC_IMAGES ? "IDX images" : "IDX labels";
    uint8_t header[16] = {0};
    size_t size = 4 + 4 * n_dims;
    size_t n = 0;
    if (gzstream_read(in, header, size, &n, err) != 0)
        return -1;
    if (n >= 4 && s_get(header) != magic)
        return err_set(err, "%s: magic 0x%08" PRIx32 "%s, expected 0x%08" PRIx32 " (%s)", path,
                       s_get(header),
                       s_get(header) == MAGIC_LABELS   ? " (IDX labels)"
                       : s_get(header) == MAGIC_IMAGES ? " (IDX images)"
                                                       : "",
                       magic, what);
    if (n < size)
        return err_set(err, "%s: truncated: %zu bytes, expected a header of %zu (%s)", path, n,
                       size, what);
    for (size_t i = 0; i < n_dims; i++)
        dims[i] = s_get(header + 4 + 4 * i);
    if (dims[0] == 0)
        return err_set(err, "%s: 0 rows, expected at least 1", path);
    if (dims[0] > ROWS_MAX)
        return err_set(err, "%s: %" PRIu32 " rows, expected at most %zu", path, dims[0], ROWS_MAX);
    return 0;
}

/* Reads what the header has announced: n_rows rows of rows->row_bytes, then the end. */
static int s_read_rows(gzstream_t *in, size_t n_rows, size_t max_rows, rows_t *rows, err_t *err)
{
    const char *path = gzstream_path(in);
    size_t n_keep = max_rows > 0 && max_rows < n_rows ? max_rows : n_rows;
    size_t n_piece = PIECE_BYTES / rows->row_bytes;
    size_t n_first = ROOM_BYTES / rows->row_bytes;
    rows->n_announced = n_keep;
    if (rows_reserve(rows, n_keep < n_first ? n_keep : n_first) != 0)
        return err_set(err, "%s: out of memory", path);
    for (size_t at = 0; at < n_rows;) {
        size_t n = n_rows - at < n_piece ? n_rows - at : n_piece;
        if (at < n_keep && n > n_keep - at)
            n = n_keep - at;
        /* rows beyond the last one kept are read behind it and forgotten */
        if (rows_reserve(rows, n) != 0)
            return err_set(err, "%s: out of memory after %zu rows", path, at);
        size_t n_read = 0;
        if (gzstream_read(in, rows->bytes + rows->n_kept * rows->row_bytes, n * rows->row_bytes,
                          &n_read, err) != 0)
            return -1;
        if (n_read < n * rows->row_bytes)
            return err_set(err,
                           "%s: truncated: %zu bytes behind the header, expected %zu "
                           "(%zu rows of %zu)",
                           path, at * rows->row_bytes + n_read, n_rows * rows->row_bytes, n_rows,
                           rows->row_bytes);
        if (at < n_keep)
            rows_keep(rows, n);
        at += n;
    }
    uint8_t extra;
    size_t n_extra = 0;
    if (gzstream_read(in, &extra, 1, &n_extra, err) != 0)
        return -1;
    if (n_extra > 0)
        return err_set(err,
                       "%s: more than %zu bytes behind the header, expected no more "
                       "(%zu rows of %zu)",
                       path, n_rows * rows->row_bytes, n_rows, rows->row_bytes);
    rows->n_in_file = n_rows;
    return 0;
}

int idx_read_images(gzstream_t *in, size_t max_rows, rows_t *rows, err_t *err)
{
    uint32_t dims[3] = {0};
    if (s_read_header(in, MAGIC_IMAGES, dims, 3, err) != 0)
        return -1;
    if (dims[1] == 0 || dims[2] == 0 || (uint64_t)dims[1] * dims[2] > ROWS_MAX_BYTES)
        return err_set(err,
                       "%s: images of %" PRIu32 " x %" PRIu32 " pixels, expected 1 to %zu pixels",
                       gzstream_path(in), dims[1], dims[2], ROWS_MAX_BYTES);
    rows->row_bytes = (size_t)dims[1] * dims[2];
    return s_read_rows(in, dims[0], max_rows, rows, err);
}

int idx_read_labels(gzstream_t *in, size_t max_rows, rows_t *rows, err_t *err)
{
    uint32_t n_rows = 0;
    if (s_read_header(in, MAGIC_LABELS, &n_rows, 1, err) != 0)
        return -1;
    rows->row_bytes = 1;
    return s_read_rows(in, n_rows, max_rows, rows, err);
}

int idx_write_images(const char *path, const uint8_t *images, size_t n_rows, size_t height,
                     size_t width, err_t *err)
{
    uint8_t header[16];
    s_put(header, MAGIC_IMAGES);
    s_put(header + 4, n_rows);
    s_put(header + 8, height);
    s_put(header + 12, width);
    file_part_t parts[] = {{header, sizeof(header)}, {images, n_rows * height * width}};
    return file_write_atomic(path, parts, 2, err);
}

int idx_write_labels(const char *path, const uint8_t *labels, size_t n_rows, err_t *err)
{
    uint8_t header[8];
    s_put(header, MAGIC_LABELS);
    s_put(header + 4, n_rows);
    file_part_t parts[] = {{header, sizeof(header)}, {labels, n_rows}};
    return file_write_atomic(path, parts, 2, err);
}
