/* See safetensors.h. Layout: header size (u64, little-endian), JSON header, data. The header maps
 * a tensor's name to {"dtype", "shape", "data_offsets": [begin, end)}, offsets from the data's
 * begin. The data must be covered without holes or overlaps, as the format demands. */
#include "data/safetensors.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/file.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are copied as they lie");
_Static_assert(sizeof(float) == 4, "F32");

#define MAX_FILE_BYTES ((size_t)16 << 30)
#define META_KEY       "__metadata__"

typedef struct {
    char *name; /* owned */
    size_t n_dims;
    size_t shape[SAFETENSORS_MAX_DIMS];
    size_t n_values;
    size_t begin;      /* offset in the data; used while reading */
    const float *data; /* borrowed, or `owned` */
    float *owned;
} tensor_t;

typedef struct {
    char *key;   /* owned */
    char *value; /* owned */
} text_t;

struct safetensors {
    tensor_t *tensors; /* owned, sorted by name */
    size_t n_tensors;
    text_t *texts; /* owned */
    size_t n_texts;
};

static void *s_need(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

safetensors_t *safetensors_new(void)
{
    return s_need(calloc(1, sizeof(safetensors_t)));
}

void safetensors_destroy(safetensors_t **self_p)
{
    safetensors_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    for (size_t i = 0; i < self->n_tensors; i++) {
        free(self->tensors[i].name);
        free(self->tensors[i].owned);
    }
    for (size_t i = 0; i < self->n_texts; i++) {
        free(self->texts[i].key);
        free(self->texts[i].value);
    }
    free(self->tensors);
    free(self->texts);
    free(self);
}

void safetensors_set_meta(safetensors_t *self, const char *key, const char *value)
{
    for (size_t i = 0; i < self->n_texts; i++) {
        if (strcmp(self->texts[i].key, key) == 0) {
            free(self->texts[i].value);
            self->texts[i].value = s_need(strdup(value));
            return;
        }
    }
    self->texts = s_need(realloc(self->texts, (self->n_texts + 1) * sizeof(*self->texts)));
    self->texts[self->n_texts++] =
        (text_t){.key = s_need(strdup(key)), .value = s_need(strdup(value))};
}

/* The tensor of that name, or NULL with *at (if not NULL) where it would be inserted. */
static tensor_t *s_find(const safetensors_t *self, const char *name, size_t *at)
{
    size_t low = 0;
    size_t high = self->n_tensors;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(self->tensors[middle].name, name);
        if (order == 0)
            return &self->tensors[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (at)
        *at = low;
    return NULL;
}

static tensor_t *s_insert(safetensors_t *self, const char *name)
{
    size_t at = 0;
    tensor_t *there = s_find(self, name, &at);
    assert(!there && strcmp(name, META_KEY) != 0 && self->n_tensors < SAFETENSORS_MAX_TENSORS);
    (void)there;
    self->tensors = s_need(realloc(self->tensors, (self->n_tensors + 1) * sizeof(tensor_t)));
    memmove(self->tensors + at + 1, self->tensors + at, (self->n_tensors - at) * sizeof(tensor_t));
    self->n_tensors++;
    self->tensors[at] = (tensor_t){.name = s_need(strdup(name)), .n_values = 1};
    return &self->tensors[at];
}

void safetensors_add(safetensors_t *self, const char *name, const size_t *shape, size_t n_dims,
                     const float *data)
{
    assert(n_dims <= SAFETENSORS_MAX_DIMS);
    tensor_t *tensor = s_insert(self, name);
    tensor->data = data;
    tensor->n_dims = n_dims;
    for (size_t i = 0; i < n_dims; i++) {
        tensor->shape[i] = shape[i];
        tensor->n_values *= shape[i];
    }
}

void safetensors_add_owned(safetensors_t *self, const char *name, const size_t *shape,
                           size_t n_dims, float **data_p)
{
    safetensors_add(self, name, shape, n_dims, *data_p);
    s_find(self, name, NULL)->owned = *data_p;
    *data_p = NULL;
}

/* The header's JSON in a new string; NULL with *err set. */
static char *s_make_header(const safetensors_t *self, const char *path, err_t *err)
{
    char *text = NULL;
    json_t *root = s_need(json_object());
    json_t *meta = s_need(json_object());
    for (size_t i = 0; i < self->n_texts; i++) {
        if (json_object_set_new(meta, self->texts[i].key, json_string(self->texts[i].value)) != 0) {
            err_set(err, "%s: metadata '%s' is not UTF-8", path, self->texts[i].key);
            json_decref(meta);
            goto out;
        }
    }
    if (self->n_texts > 0)
        json_object_set(root, META_KEY, meta);
    json_decref(meta);
    size_t offset = 0;
    for (size_t i = 0; i < self->n_tensors; i++) {
        const tensor_t *tensor = &self->tensors[i];
        json_t *shape = s_need(json_array());
        for (size_t k = 0; k < tensor->n_dims; k++)
            json_array_append_new(shape, json_integer((json_int_t)tensor->shape[k]));
        size_t end = offset + tensor->n_values * sizeof(float);
        json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape,
                                  "data_offsets", (json_int_t)offset, (json_int_t)end);
        if (!entry || json_object_set_new(root, tensor->name, entry) != 0) {
            err_set(err, "%s: tensor name '%s' is not UTF-8", path, tensor->name);
            goto out;
        }
        offset = end;
    }
    text = s_need(json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS));
out:
    json_decref(root);
    return text;
}

int safetensors_write(const safetensors_t *self, const char *path, err_t *err)
{
    int r = -1;
    file_part_t *parts = NULL;
    char *header = s_make_header(self, path, err);
    if (!header)
        return -1;
    size_t n_header = strlen(header);
    size_t n_padded = (n_header + 7) / 8 * 8;
    uint8_t prefix[8];
    for (int i = 0; i < 8; i++)
        prefix[i] = (uint8_t)((uint64_t)n_padded >> (8 * i));
    if (n_padded > SAFETENSORS_MAX_HEADER_BYTES) {
        err_set(err, "%s: header of %zu bytes, expected at most %zu", path, n_padded,
                SAFETENSORS_MAX_HEADER_BYTES);
        goto out;
    }
    parts = s_need(calloc(self->n_tensors + 3, sizeof(*parts)));
    parts[0] = (file_part_t){prefix, sizeof(prefix)};
    parts[1] = (file_part_t){header, n_header};
    parts[2] = (file_part_t){"       ", n_padded - n_header};
    for (size_t i = 0; i < self->n_tensors; i++)
        parts[3 + i] =
            (file_part_t){self->tensors[i].data, self->tensors[i].n_values * sizeof(float)};
    r = file_write_atomic(path, parts, (int)self->n_tensors + 3, err);
out:
    free(parts);
    free(header);
    return r;
}

/* A JSON integer that is a size; -1 when it is anything else. */
static int s_get_size(const json_t *value, size_t *size)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return -1;
    *size = (size_t)json_integer_value(value);
    return 0;
}

static int s_parse_meta(safetensors_t *self, const char *path, json_t *meta, err_t *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(meta))
        return err_set(err, "%s: damaged safetensors: " META_KEY " is not an object", path);
    json_object_foreach(meta, key, value)
    {
        if (!json_is_string(value))
            return err_set(err, "%s: damaged safetensors: metadata '%s' is not a text", path, key);
        self->texts = s_need(realloc(self->texts, (self->n_texts + 1) * sizeof(*self->texts)));
        self->texts[self->n_texts++] =
            (text_t){s_need(strdup(key)), s_need(strdup(json_string_value(value)))};
    }
    return 0;
}

/* Checks a tensor's entry against the n_data bytes of data and adds it, data not yet copied. */
static int s_parse_entry(safetensors_t *self, const char *path, const char *name, json_t *entry,
                         size_t n_data, err_t *err)
{
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    const json_t *shape = json_object_get(entry, "shape");
    const json_t *offsets = json_object_get(entry, "data_offsets");
    size_t begin = 0;
    size_t end = 0;
    if (!dtype || !json_is_array(shape) || !json_is_array(offsets) ||
        json_array_size(offsets) != 2 || s_get_size(json_array_get(offsets, 0), &begin) != 0 ||
        s_get_size(json_array_get(offsets, 1), &end) != 0)
        return err_set(err,
                       "%s: damaged safetensors: tensor '%s' has no proper dtype, shape and "
                       "data_offsets",
                       path, name);
    if (strcmp(dtype, "F32") != 0)
        return err_set(err, "%s: tensor '%s' has dtype %s, expected F32", path, name, dtype);
    size_t n_dims = json_array_size(shape);
    if (n_dims > SAFETENSORS_MAX_DIMS)
        return err_set(err, "%s: tensor '%s' has %zu dimensions, expected at most %d", path, name,
                       n_dims, SAFETENSORS_MAX_DIMS);
    if (begin > end || end > n_data)
        return err_set(err,
                       "%s: truncated or damaged safetensors: tensor '%s' has bytes %zu to %zu, "
                       "expected them within the %zu bytes of data",
                       path, name, begin, end, n_data);
    tensor_t tensor = {.n_values = 1, .n_dims = n_dims, .begin = begin};
    for (size_t i = 0; i < n_dims; i++)
        if (s_get_size(json_array_get(shape, i), &tensor.shape[i]) != 0 ||
            __builtin_mul_overflow(tensor.n_values, tensor.shape[i], &tensor.n_values))
            return err_set(err, "%s: damaged safetensors: tensor '%s' has an impossible shape",
                           path, name);
    if (tensor.n_values > SIZE_MAX / sizeof(float) ||
        tensor.n_values * sizeof(float) != end - begin)
        return err_set(err,
                       "%s: damaged safetensors: tensor '%s' has a shape of %zu values and %zu "
                       "bytes of data, expected 4 bytes a value",
                       path, name, tensor.n_values, end - begin);
    if (self->n_tensors == SAFETENSORS_MAX_TENSORS)
        return err_set(err, "%s: more than %d tensors", path, SAFETENSORS_MAX_TENSORS);
    tensor_t *added = s_insert(self, name);
    tensor.name = added->name;
    *added = tensor;
    return 0;
}

static int s_compare_begin(const void *a, const void *b)
{
    const tensor_t *left = *(tensor_t *const *)a;
    const tensor_t *right = *(tensor_t *const *)b;
    if (left->begin != right->begin)
        return left->begin < right->begin ? -1 : 1;
    return (left->n_values > 0) - (right->n_values > 0); /* empty tensors first */
}

/* The tensors in the order of their data cover [0, n_data) once, without a hole. */
static int s_check_cover(const safetensors_t *self, const char *path, size_t n_data, err_t *err)
{
    int r = 0;
    size_t at = 0;
    tensor_t **order = s_need(calloc(self->n_tensors + 1, sizeof(tensor_t *)));
    for (size_t i = 0; i < self->n_tensors; i++)
        order[i] = &self->tensors[i];
    qsort(order, self->n_tensors, sizeof(tensor_t *), s_compare_begin);
    for (size_t i = 0; r == 0 && i < self->n_tensors; i++) {
        if (order[i]->begin != at)
            r = err_set(err,
                        "%s: damaged safetensors: the data of tensor '%s' begin at byte %zu, "
                        "expected %zu (%s)",
                        path, order[i]->name, order[i]->begin, at,
                        order[i]->begin < at ? "overlap" : "hole");
        at += order[i]->n_values * sizeof(float);
    }
    free(order);
    if (r == 0 && at != n_data)
        r = err_set(err, "%s: damaged safetensors: %zu bytes of data, expected %zu", path, n_data,
                    at);
    return r;
}

static int s_parse(safetensors_t *self, const char *path, const uint8_t *bytes, size_t size,
                   err_t *err)
{
    int r = -1;
    json_t *root = NULL;
    uint64_t n_header = 0;
    if (size < 8)
        return err_set(err, "%s: %zu bytes, expected a safetensors file", path, size);
    for (int i = 0; i < 8; i++)
        n_header |= (uint64_t)bytes[i] << (8 * i);
    if (n_header > SAFETENSORS_MAX_HEADER_BYTES)
        return err_set(err, "%s: not safetensors: header of %llu bytes, expected at most %zu", path,
                       (unsigned long long)n_header, SAFETENSORS_MAX_HEADER_BYTES);
    if (n_header > size - 8)
        return err_set(err, "%s: truncated safetensors: %zu bytes, expected a header of %llu", path,
                       size - 8, (unsigned long long)n_header);
    json_error_t reason;
    root = json_loadb((const char *)bytes + 8, n_header, JSON_REJECT_DUPLICATES, &reason);
    if (!json_is_object(root)) {
        err_set(err, "%s: damaged safetensors: header is not a JSON object: %s", path,
                root ? "another type" : reason.text);
        goto out;
    }
    const uint8_t *data = bytes + 8 + n_header;
    size_t n_data = size - 8 - n_header;
    const char *name;
    json_t *entry;
    json_object_foreach(root, name, entry)
    {
        if ((strcmp(name, META_KEY) == 0
                 ? s_parse_meta(self, path, entry, err)
                 : s_parse_entry(self, path, name, entry, n_data, err)) != 0)
            goto out;
    }
    if (s_check_cover(self, path, n_data, err) != 0)
        goto out;
    for (size_t i = 0; i < self->n_tensors; i++) {
        tensor_t *tensor = &self->tensors[i];
        size_t n_bytes = tensor->n_values * sizeof(float);
        tensor->owned = malloc(n_bytes + 1); /* not NULL for an empty one either */
        if (!tensor->owned) {
            err_set(err, "%s: out of memory for %zu bytes", path, n_bytes);
            goto out;
        }
        memcpy(tensor->owned, data + tensor->begin, n_bytes);
        tensor->data = tensor->owned;
    }
    r = 0;
out:
    json_decref(root);
    return r;
}

safetensors_t *safetensors_parse(const char *name, const void *bytes, size_t size, err_t *err)
{
    safetensors_t *self = safetensors_new();
    if (s_parse(self, name, bytes, size, err) != 0)
        safetensors_destroy(&self);
    return self;
}

safetensors_t *safetensors_read(const char *path, err_t *err)
{
    char *bytes = NULL;
    size_t size = 0;
    if (file_read(path, MAX_FILE_BYTES, &bytes, &size, err) != 0)
        return NULL;
    safetensors_t *self = safetensors_parse(path, bytes, size, err);
    free(bytes);
    return self;
}

const char *safetensors_meta(const safetensors_t *self, const char *key)
{
    for (size_t i = 0; i < self->n_texts; i++)
        if (strcmp(self->texts[i].key, key) == 0)
            return self->texts[i].value;
    return NULL;
}

const float *safetensors_tensor(const safetensors_t *self, const char *name, size_t *n_dims,
                                const size_t **shape)
{
    const tensor_t *tensor = s_find(self, name, NULL);
    if (!tensor)
        return NULL;
    if (n_dims)
        *n_dims = tensor->n_dims;
    if (shape)
        *shape = tensor->shape;
    return tensor->data;
}

size_t safetensors_count(const safetensors_t *self)
{
    return self->n_tensors;
}

const char *safetensors_name(const safetensors_t *self, size_t index)
{
    assert(index < self->n_tensors);
    return self->tensors[index].name;
}
