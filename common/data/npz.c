/* See npz.h. A member is an .npy: magic, version, length of the header, the header, which is the
 * text of a Python dict, and the values. */
#include "data/npz.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zip.h>

#define MAGIC            "\x93NUMPY"
#define MAX_HEADER_BYTES 65536
#define MAX_VALUES       (((size_t)1 << 31) - 1)
#define CHUNK_VALUES     8192

/* A member cannot unpack to more times its file's size: deflate's best is 1032. */
#define MAX_RATIO 1040

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values are copied as they lie");

typedef struct {
    size_t value_bytes; /* 4 or 8 */
    bool fortran;
    size_t n_dims;
    size_t shape[SAFETENSORS_MAX_DIMS];
    size_t n_values;
} array_t;

bool npz_is(const void *bytes, size_t size)
{
    return size >= 4 && memcmp(bytes, "PK", 2) == 0;
}

/* Reads exactly `size` bytes of a member. Returns 0 or -1. */
static int s_read(zip_file_t *in, const char *what, void *buffer, size_t size, err_t *err)
{
    for (size_t done = 0; done < size;) {
        zip_int64_t n = zip_fread(in, (char *)buffer + done, size - done);
        if (n < 0)
            return err_set(err, "%s: damaged: %s", what, zip_file_strerror(in));
        if (n == 0)
            return err_set(err, "%s: truncated: %zu bytes, expected %zu", what, done, size);
        done += (size_t)n;
    }
    return 0;
}

static void s_skip_space(const char **at)
{
    *at += strspn(*at, " \t\n");
}

/* Goes behind `token` and the space around it; false when something else is there. */
static bool s_accept(const char **at, const char *token)
{
    s_skip_space(at);
    size_t n = strlen(token);
    if (strncmp(*at, token, n) != 0)
        return false;
    *at += n;
    s_skip_space(at);
    return true;
}

/* A text in quotes, without escapes. */
static bool s_word(const char **at, char *word, size_t size)
{
    s_skip_space(at);
    char quote = **at;
    if (quote != '\'' && quote != '"')
        return false;
    const char *end = strchr(*at + 1, quote);
    if (!end || (size_t)(end - *at) > size)
        return false;
    memcpy(word, *at + 1, (size_t)(end - *at) - 1);
    word[end - *at - 1] = '\0';
    *at = end + 1;
    s_skip_space(at);
    return true;
}

/* "(784, 64)", "(64,)" or "()" */
static bool s_shape(const char **at, array_t *array)
{
    array->n_dims = 0;
    array->n_values = 1;
    if (!s_accept(at, "("))
        return false;
    while (!s_accept(at, ")")) {
        if (array->n_dims == SAFETENSORS_MAX_DIMS || **at < '0' || **at > '9')
            return false;
        char *end;
        unsigned long long n = strtoull(*at, &end, 10);
        *at = end;
        if (n > MAX_VALUES || __builtin_mul_overflow(array->n_values, n, &array->n_values) ||
            array->n_values > MAX_VALUES)
            return false;
        array->shape[array->n_dims++] = n;
        if (!s_accept(at, ",") && **at != ')')
            return false;
    }
    return true;
}

static int s_parse_header(const char *what, const char *text, array_t *array, err_t *err)
{
    char key[16], dtype[16] = "";
    bool has_order = false, has_shape = false;
    const char *at = text;
    bool ok = s_accept(&at, "{");
    while (ok && *at != '}') {
        ok = s_word(&at, key, sizeof(key)) && s_accept(&at, ":");
        if (ok && strcmp(key, "descr") == 0) {
            if (*at == '[')
                return err_set(err, "%s: an array of records, expected one of numbers", what);
            ok = s_word(&at, dtype, sizeof(dtype));
        } else if (ok && strcmp(key, "fortran_order") == 0) {
            array->fortran = s_accept(&at, "True");
            ok = has_order = array->fortran || s_accept(&at, "False");
        } else if (ok && strcmp(key, "shape") == 0) {
            ok = has_shape = s_shape(&at, array);
        } else {
            ok = false;
        }
        ok = ok && (s_accept(&at, ",") || *at == '}');
    }
    if (!ok || !dtype[0] || !has_order || !has_shape)
        return err_set(err, "%s: header '%.80s', expected that of an array of numbers", what, text);
    if (strcmp(dtype, "<f4") != 0 && strcmp(dtype, "<f8") != 0)
        return err_set(err, "%s: numbers of type '%s', expected '<f4' or '<f8'", what, dtype);
    array->value_bytes = dtype[2] == '4' ? 4 : 8;
    return 0;
}

/* The header of a member of `size` bytes; *left gets how many come behind it. */
static int s_read_header(zip_file_t *in, const char *what, uint64_t size, array_t *array,
                         uint64_t *left, err_t *err)
{
    uint8_t head[12];
    char *text = NULL;
    int r = -1;
    if (size < sizeof(head))
        return err_set(err, "%s: %llu bytes, expected an array", what, (unsigned long long)size);
    if (s_read(in, what, head, 10, err) != 0)
        return -1;
    if (memcmp(head, MAGIC, 6) != 0 || head[6] < 1 || head[6] > 3)
        return err_set(err, "%s: no array of NumPy's format 1 to 3", what);
    size_t n_head = head[6] == 1 ? 10 : 12;
    if (n_head == 12 && s_read(in, what, head + 10, 2, err) != 0)
        return -1;
    size_t n_text = (size_t)head[8] | (size_t)head[9] << 8;
    if (n_head == 12)
        n_text |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
    if (n_text > MAX_HEADER_BYTES || n_text > size - n_head)
        return err_set(err,
                       "%s: header of %zu bytes, expected at most %d and no more than there "
                       "are",
                       what, n_text, MAX_HEADER_BYTES);
    text = calloc(1, n_text + 1);
    if (!text)
        return err_set(err, "%s: out of memory", what);
    if (s_read(in, what, text, n_text, err) == 0 && s_parse_header(what, text, array, err) == 0)
        r = 0;
    *left = size - n_head - n_text;
    free(text);
    return r;
}

/* The values in the order of the file into values(n_values). */
static int s_read_values(zip_file_t *in, const char *what, const array_t *array, float *values,
                         err_t *err)
{
    if (array->value_bytes == 4)
        return s_read(in, what, values, array->n_values * sizeof(float), err);
    double chunk[CHUNK_VALUES];
    for (size_t done = 0; done < array->n_values;) {
        size_t n = array->n_values - done < CHUNK_VALUES ? array->n_values - done : CHUNK_VALUES;
        if (s_read(in, what, chunk, n * sizeof(double), err) != 0)
            return -1;
        for (size_t i = 0; i < n; i++)
            values[done++] = (float)chunk[i];
    }
    return 0;
}

/* Row-major values of an array in Fortran's order, whose first index runs fastest. */
static float *s_row_major(const array_t *array, const float *from)
{
    size_t index[SAFETENSORS_MAX_DIMS] = {0};
    float *to = malloc(array->n_values * sizeof(float) + 1);
    for (size_t i = 0; to && i < array->n_values; i++) {
        size_t at = 0;
        for (size_t d = 0; d < array->n_dims; d++)
            at = at * array->shape[d] + index[d];
        to[at] = from[i];
        for (size_t d = 0; d < array->n_dims && ++index[d] == array->shape[d]; d++)
            index[d] = 0;
    }
    return to;
}

/* Adds the array of a member that is open; `what` names it in errors. */
static int s_add_array(safetensors_t *self, zip_file_t *in, const char *what, const char *name,
                       uint64_t size, err_t *err)
{
    array_t array = {0};
    uint64_t left = 0;
    uint8_t end;
    if (s_read_header(in, what, size, &array, &left, err) != 0)
        return -1;
    if (left != array.n_values * array.value_bytes)
        return err_set(err, "%s: %llu bytes of values, expected %zu", what,
                       (unsigned long long)left, array.n_values * array.value_bytes);
    float *values = malloc(array.n_values * sizeof(float) + 1); /* not NULL for none either */
    if (!values)
        return err_set(err, "%s: out of memory for %zu values", what, array.n_values);
    if (s_read_values(in, what, &array, values, err) != 0) {
        free(values);
        return -1;
    }
    /* the checksum is compared behind the last byte */
    if (zip_fread(in, &end, 1) != 0) {
        free(values);
        return err_set(err, "%s: damaged: its checksum or its length is not what was written",
                       what);
    }
    if (array.fortran && array.n_dims > 1) {
        float *turned = s_row_major(&array, values);
        free(values);
        if (!(values = turned))
            return err_set(err, "%s: out of memory for %zu values", what, array.n_values);
    }
    safetensors_add_owned(self, name, array.shape, array.n_dims, &values);
    return 0;
}

static int s_add_member(safetensors_t *self, zip_t *zip, const char *path, zip_uint64_t index,
                        size_t file_bytes, err_t *err)
{
    zip_stat_t stat;
    char name[256], what[768];
    if (zip_stat_index(zip, index, 0, &stat) != 0)
        return err_set(err, "%s: damaged zip: %s", path, zip_strerror(zip));
    const zip_uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD;
    size_t n = (stat.valid & needed) == needed ? strlen(stat.name) : 0;
    if (n < 4 || strcmp(stat.name + n - 4, ".npy") != 0 || n - 4 >= sizeof(name))
        return err_set(err, "%s: member '%.60s', expected an array, NAME.npy", path,
                       n > 0 ? stat.name : "");
    memcpy(name, stat.name, n - 4);
    name[n - 4] = '\0';
    (void)snprintf(what, sizeof(what), "%s: array '%s'", path, name);
    if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE)
        return err_set(err, "%s: packed by method %u, expected 0 or 8 (stored, deflated)", what,
                       stat.comp_method);
    if (stat.size / MAX_RATIO > file_bytes)
        return err_set(err, "%s: damaged: %llu bytes in a file of %zu", what,
                       (unsigned long long)stat.size, file_bytes);
    if (safetensors_tensor(self, name, NULL, NULL) || strcmp(name, "__metadata__") == 0)
        return err_set(err, "%s: there twice or under a name that is taken", what);
    zip_file_t *in = zip_fopen_index(zip, index, 0);
    if (!in)
        return err_set(err, "%s: %s", what, zip_strerror(zip));
    int r = s_add_array(self, in, what, name, stat.size, err);
    (void)zip_fclose(in);
    return r;
}

safetensors_t *npz_parse(const char *name, const void *bytes, size_t size, err_t *err)
{
    zip_error_t why;
    zip_t *zip = NULL;
    safetensors_t *self = NULL;
    zip_error_init(&why);
    zip_source_t *source = zip_source_buffer_create(bytes, size, 0, &why);
    if (source && !(zip = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &why)))
        zip_source_free(source);
    if (!zip) {
        err_set(err, "%s: damaged or truncated npz: %s", name, zip_error_strerror(&why));
        goto out;
    }
    zip_int64_t n = zip_get_num_entries(zip, 0);
    if (n < 1 || n > SAFETENSORS_MAX_TENSORS) {
        err_set(err, "%s: npz of %lld arrays, expected 1 to %d", name, (long long)n,
                SAFETENSORS_MAX_TENSORS);
        goto out;
    }
    self = safetensors_new();
    for (zip_int64_t i = 0; i < n && self; i++)
        if (s_add_member(self, zip, name, (zip_uint64_t)i, size, err) != 0)
            safetensors_destroy(&self);
out:
    if (zip)
        zip_discard(zip);
    zip_error_fini(&why);
    return self;
}
