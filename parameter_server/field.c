/* See field.h. */
#include "parameter_server/field.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"

void field_set_number(safetensors_t *file, const char *key, uint64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    safetensors_set_meta(file, key, text);
}

void field_set_real(safetensors_t *file, const char *key, double value)
{
    char text[40];
    (void)snprintf(text, sizeof(text), "%a", value);
    safetensors_set_meta(file, key, text);
}

/* The text of a key, borrowed; NULL with *err. */
static const char *s_text(const safetensors_t *file, const char *path, const char *key, err_t *err)
{
    const char *text = safetensors_meta(file, key);
    if (!text)
        err_set(err, "%s: no '%s' in the metadata, expected a model of drover", path, key);
    return text;
}

int field_number(const safetensors_t *file, const char *path, const char *key, uint64_t max,
                 uint64_t *value, err_t *err)
{
    const char *text = s_text(file, path, key, err);
    if (!text)
        return -1;
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || number > max)
        return err_set(err, "%s: metadata '%s' is '%.40s', expected a number up to %" PRIu64, path,
                       key, text, max);
    *value = number;
    return 0;
}

int field_u32(const safetensors_t *file, const char *path, const char *key, uint32_t *value,
              err_t *err)
{
    uint64_t number = 0;
    if (field_number(file, path, key, UINT32_MAX, &number, err) != 0)
        return -1;
    *value = (uint32_t)number;
    return 0;
}

int field_real(const safetensors_t *file, const char *path, const char *key, double *value,
               err_t *err)
{
    const char *text = s_text(file, path, key, err);
    if (!text)
        return -1;
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end || !isfinite(number))
        return err_set(err, "%s: metadata '%s' is '%.40s', expected a number", path, key, text);
    *value = number;
    return 0;
}

int field_vector(const safetensors_t *file, const char *path, const char *name, size_t n,
                 bool expected, float **vector, err_t *err)
{
    size_t n_dims;
    const size_t *shape;
    const float *data = safetensors_tensor(file, name, &n_dims, &shape);
    if (!expected && data)
        return err_set(err, "%s: tensor '%s' is there, expected none with these metadata", path,
                       name);
    if (!expected)
        return 0;
    if (!data || n_dims != 1 || shape[0] != n)
        return err_set(err, "%s: tensor '%s' is %s, expected (%zu)", path, name,
                       data ? "of another shape" : "missing", n);
    pool_t *pool = pool_new(n * sizeof(float));
    *vector = pool_take(pool);
    memcpy(*vector, data, n * sizeof(float));
    pool_destroy(&pool); /* its buffer lives on */
    return 0;
}
