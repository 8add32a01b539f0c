/* See dataset.h. The only file of this layer that knows which format a file has. */
#include "data/dataset.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/file.h"
#include "data/csv.h"
#include "data/gzstream.h"
#include "data/idx.h"
#include "data/rows.h"

struct dataset {
    atomic_uint n_owners;
    uint8_t *images; /* owned, (n_rows, n_inputs) */
    uint8_t *labels; /* owned, (n_rows) */
    size_t n_rows;
    size_t n_inputs;
    size_t n_classes;
    size_t n_not_zero; /* bytes of the images */
    char digest[DATASET_DIGEST_HEX];
};

static void s_hash_size(XXH3_state_t *hash, size_t size)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)size >> (8 * i));
    XXH3_128bits_update(hash, bytes, sizeof(bytes));
}

/* What is found out about a data set's images, from the first to the last, while they come. */
typedef struct {
    XXH3_state_t *hash; /* owned; NULL before s_look_begin */
    size_t n_seen;      /* bytes */
    size_t n_not_zero;
} look_t;

static void s_look_begin(look_t *self, size_t n_rows, size_t n_inputs)
{
    self->hash = XXH3_createState();
    if (!self->hash)
        abort();
    XXH3_128bits_reset(self->hash);
    s_hash_size(self->hash, n_rows);
    s_hash_size(self->hash, n_inputs);
}

static size_t s_count(const uint8_t *bytes, size_t n)
{
    size_t there = 0;
    for (size_t i = 0; i < n;) {
        size_t end = n - i < UINT8_MAX ? n : i + UINT8_MAX;
        uint8_t some = 0; /* bytes are counted in bytes: many at a time */
        for (; i < end; i++)
            some += bytes[i] != 0;
        there += some;
    }
    return there;
}

/* Those up to `end` are there. */
static void s_look_on(look_t *self, const uint8_t *images, size_t end)
{
    XXH3_128bits_update(self->hash, images + self->n_seen, end - self->n_seen);
    self->n_not_zero += s_count(images + self->n_seen, end - self->n_seen);
    self->n_seen = end;
}

static void s_look_end(look_t *self, const uint8_t *labels, size_t n_rows,
                       char digest[DATASET_DIGEST_HEX])
{
    XXH3_128bits_update(self->hash, labels, n_rows);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(self->hash));
    for (int i = 0; i < 16; i++)
        (void)snprintf(digest + 2 * i, 3, "%02x", canonical.digest[i]);
}

/* dataset_new, of images that were looked at as far as they were. */
static dataset_t *s_new(uint8_t **images, uint8_t **labels, size_t n_rows, size_t n_inputs,
                        look_t *look)
{
    assert(n_rows >= 1 && n_inputs >= 1);
    dataset_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->n_owners = 1;
    self->images = *images;
    self->labels = *labels;
    *images = NULL;
    *labels = NULL;
    self->n_rows = n_rows;
    self->n_inputs = n_inputs;
    for (size_t i = 0; i < n_rows; i++)
        if (self->n_classes <= self->labels[i])
            self->n_classes = (size_t)self->labels[i] + 1;
    if (!look->hash)
        s_look_begin(look, n_rows, n_inputs);
    s_look_on(look, self->images, n_rows * n_inputs);
    s_look_end(look, self->labels, n_rows, self->digest);
    self->n_not_zero = look->n_not_zero;
    return self;
}

dataset_t *dataset_new(uint8_t **images, uint8_t **labels, size_t n_rows, size_t n_inputs)
{
    look_t look = {.hash = NULL};
    dataset_t *self = s_new(images, labels, n_rows, n_inputs, &look);
    XXH3_freeState(look.hash);
    return self;
}

dataset_t *dataset_share(const dataset_t *self)
{
    dataset_t *shared = (dataset_t *)self;
    atomic_fetch_add(&shared->n_owners, 1);
    return shared;
}

void dataset_destroy(dataset_t **self_p)
{
    dataset_t *self = *self_p;
    *self_p = NULL;
    if (!self || atomic_fetch_sub(&self->n_owners, 1) > 1)
        return;
    free(self->images);
    free(self->labels);
    free(self);
}

typedef enum {
    FORMAT_IDX,
    FORMAT_CSV,
} format_t;

/* IDX begins with two zero bytes, text with anything that is text. */
static int s_tell_format(gzstream_t *in, format_t *format, err_t *err)
{
    uint8_t head[16] = {0};
    size_t n = 0;
    if (gzstream_peek(in, head, sizeof(head), &n, err) != 0)
        return -1;
    if (n == 0)
        return err_set(err, "%s: empty, expected IDX or CSV data", gzstream_path(in));
    *format = head[0] == 0 && (n < 2 || head[1] == 0) ? FORMAT_IDX : FORMAT_CSV;
    if (*format == FORMAT_IDX)
        return 0;
    size_t at = n >= 3 && memcmp(head, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    for (; at < n; at++)
        if ((head[at] < 0x20 && !(head[at] >= '\t' && head[at] <= '\r')) || head[at] >= 0x7f)
            return err_set(err,
                           "%s: magic 0x%02x%02x%02x%02x, expected 0x00000803 (IDX images), "
                           "0x00000801 (IDX labels) or the text of a CSV file",
                           gzstream_path(in), head[0], head[1], head[2], head[3]);
    return 0;
}

/* Reads images and, when the labels are in the same file, labels (else NULL). */
static int s_read_images(const char *path, size_t max_rows, rows_t *images, rows_t *labels,
                         err_t *err)
{
    int r = -1;
    format_t format;
    gzstream_t *in = gzstream_open(path, err);
    if (!in || s_tell_format(in, &format, err) != 0)
        goto out;
    if (format == FORMAT_IDX && labels) {
        err_set(err, "%s: no file of labels for these images", path);
        goto out;
    }
    r = format == FORMAT_IDX ? idx_read_images(in, max_rows, images, err)
                             : csv_read_images(in, max_rows, images, labels, err);
out:
    gzstream_destroy(&in);
    return r;
}

static int s_read_labels(const char *path, size_t max_rows, rows_t *labels, err_t *err)
{
    int r = -1;
    format_t format;
    gzstream_t *in = gzstream_open(path, err);
    if (!in || s_tell_format(in, &format, err) != 0)
        goto out;
    r = format == FORMAT_IDX ? idx_read_labels(in, max_rows, labels, err)
                             : csv_read_labels(in, max_rows, labels, err);
out:
    gzstream_destroy(&in);
    return r;
}

/* The bytes of the kept rows without spare room; the caller's. */
static uint8_t *s_take(rows_t *rows)
{
    uint8_t *bytes = realloc(rows->bytes, rows->n_kept * rows->row_bytes);
    if (!bytes) /* a smaller block was refused: keep the larger one */
        bytes = rows->bytes;
    rows->bytes = NULL;
    return bytes;
}

/* Images that are looked at while they are read. */
typedef struct {
    rows_t rows; /* owned */
    look_t look;
} coming_t;

static void s_follow(void *context, size_t first, size_t end)
{
    coming_t *self = context;
    if (first == 0) {
        rows_populate(&self->rows);
        s_look_begin(&self->look, self->rows.n_announced, self->rows.row_bytes);
    }
    s_look_on(&self->look, self->rows.bytes, end);
}

dataset_t *dataset_load(const char *images_path, const char *labels_path, size_t max_rows,
                        err_t *err)
{
    dataset_t *self = NULL;
    coming_t coming = {.look = {.hash = NULL}};
    rows_t *images = &coming.rows, labels = {0};
    follower_t *follower = images->follower = follower_new(s_follow, &coming);
    int r = s_read_images(images_path, max_rows, images, labels_path ? NULL : &labels, err);
    if (r == 0 && labels_path)
        r = s_read_labels(labels_path, max_rows, &labels, err);
    follower_destroy(&follower);
    if (r != 0)
        goto out;
    if (images->n_in_file != labels.n_in_file) {
        err_set(err, "%s: %zu labels, expected %zu as there are images in %s", labels_path,
                labels.n_in_file, images->n_in_file, images_path);
        goto out;
    }
    size_t n_rows = images->n_kept;
    size_t n_inputs = images->row_bytes;
    uint8_t *image_bytes = s_take(images);
    uint8_t *label_bytes = s_take(&labels);
    self = s_new(&image_bytes, &label_bytes, n_rows, n_inputs, &coming.look);
out:
    rows_clear(images);
    rows_clear(&labels);
    XXH3_freeState(coming.look.hash);
    return self;
}

int dataset_load_images(const char *path, size_t max_rows, uint8_t **images, size_t *n_rows,
                        size_t *n_inputs, err_t *err)
{
    rows_t rows = {0};
    int r = s_read_images(path, max_rows, &rows, NULL, err);
    if (r == 0) {
        *n_rows = rows.n_kept;
        *n_inputs = rows.row_bytes;
        *images = s_take(&rows);
    }
    rows_clear(&rows);
    return r;
}

dataset_t *dataset_cut(dataset_t *self, const uint8_t *held)
{
    assert(self->n_owners == 1);
    size_t D = self->n_inputs, n_held = 0, n_left = 0;
    dataset_t *part = malloc(sizeof(*part));
    for (size_t r = 0; r < self->n_rows; r++)
        n_held += held[r];
    assert(n_held > 0 && n_held < self->n_rows);
    if (!part)
        abort();
    *part = (dataset_t){.n_owners = 1, .n_inputs = self->n_inputs, .n_classes = self->n_classes};
    memcpy(part->digest, self->digest, sizeof(part->digest));
    part->images = malloc(n_held * D);
    part->labels = malloc(n_held);
    if (!part->images || !part->labels)
        abort();
    for (size_t r = 0; r < self->n_rows; r++) {
        dataset_t *to = held[r] ? part : self;
        size_t *at = held[r] ? &part->n_rows : &n_left;
        memmove(to->images + *at * D, self->images + r * D, D);
        to->labels[*at] = self->labels[r];
        (*at)++;
    }
    self->n_rows = n_left;
    part->n_not_zero = s_count(part->images, n_held * D);
    self->n_not_zero -= part->n_not_zero;
    return part;
}

size_t dataset_rows(const dataset_t *self)
{
    return self->n_rows;
}

size_t dataset_inputs(const dataset_t *self)
{
    return self->n_inputs;
}

size_t dataset_classes(const dataset_t *self)
{
    return self->n_classes;
}

double dataset_density(const dataset_t *self)
{
    return (double)self->n_not_zero / (double)(self->n_rows * self->n_inputs);
}

const uint8_t *dataset_images(const dataset_t *self)
{
    return self->images;
}

const uint8_t *dataset_labels(const dataset_t *self)
{
    return self->labels;
}

const char *dataset_digest(const dataset_t *self)
{
    return self->digest;
}

#define N_ROLES 4

/* The path of `folder`/`name`, or the same with ".gz", whichever is there; NULL when none is. */
static char *s_find_file(const char *folder, const char *name)
{
    char packed[64];
    (void)snprintf(packed, sizeof(packed), "%s.gz", name);
    const char *names[] = {name, packed};
    for (int i = 0; i < 2; i++) {
        char *path = file_join(folder, names[i]);
        if (file_exists(path) && !file_is_folder(path))
            return path;
        free(path);
    }
    return NULL;
}

int data_files_find(const char *folder, data_files_t *files, err_t *err)
{
    /* kinds of names, preferred first; a role's file may come from either IDX spelling */
    static const char *const idx_names[N_ROLES][2] = {
        {"train-images-idx3-ubyte", "train-images.idx3-ubyte"},
        {"train-labels-idx1-ubyte", "train-labels.idx1-ubyte"},
        {"t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"},
        {"t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"},
    };
    static const char *const csv_names[N_ROLES] = {"train_images.csv", "train_labels.csv",
                                                   "test_images.csv", "test_labels.csv"};
    char *idx[N_ROLES] = {0};
    char *csv[N_ROLES] = {0};
    int n_idx = 0;
    int n_csv = 0;
    *files = (data_files_t){0};
    if (!file_is_folder(folder))
        return err_set(err, "%s: no such folder, expected one with the four MNIST-named files",
                       folder);
    for (int i = 0; i < N_ROLES; i++) {
        for (int k = 0; k < 2 && !idx[i]; k++)
            idx[i] = s_find_file(folder, idx_names[i][k]);
        csv[i] = s_find_file(folder, csv_names[i]);
        n_idx += idx[i] != NULL;
        n_csv += csv[i] != NULL;
    }
    bool use_idx = n_idx == N_ROLES || (n_idx >= n_csv && n_csv < N_ROLES);
    char **found = use_idx ? idx : csv;
    char **other = use_idx ? csv : idx;
    int r = 0;
    for (int i = 0; i < N_ROLES; i++)
        free(other[i]);
    for (int i = 0; i < N_ROLES && r == 0; i++)
        if (!found[i])
            r = err_set(err, "%s: %s is missing (plain or .gz)", folder,
                        use_idx ? idx_names[i][0] : csv_names[i]);
    *files = (data_files_t){found[0], found[1], found[2], found[3]};
    if (r != 0)
        data_files_clear(files);
    return r;
}

void data_files_clear(data_files_t *files)
{
    free(files->train_images);
    free(files->train_labels);
    free(files->test_images);
    free(files->test_labels);
    *files = (data_files_t){0};
}
