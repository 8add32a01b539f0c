/* The values that our files consist of: a number is a text in the metadata, a vector a tensor with
 * one dimension. `path` is only named in errors.
 */
#ifndef DROVER_PARAMETER_SERVER_FIELD_H
#define DROVER_PARAMETER_SERVER_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "data/safetensors.h"

void field_set_number(safetensors_t *file, const char *key, uint64_t value);

/* Hexadecimal, which reads back to the same bits. */
void field_set_real(safetensors_t *file, const char *key, double value);

/* A whole number, at most max. Returns 0, or -1 with *err. */
int field_number(const safetensors_t *file, const char *path, const char *key, uint64_t max,
                 uint64_t *value, err_t *err);

/* One of 32 bits. Returns 0, or -1 with *err. */
int field_u32(const safetensors_t *file, const char *path, const char *key, uint32_t *value,
              err_t *err);

/* A finite number, in any notation. Returns 0, or -1 with *err. */
int field_real(const safetensors_t *file, const char *path, const char *key, double *value,
               err_t *err);

/* A vector(n) that the file must have if `expected` and must not have if not: copied into a buffer
 * that the caller gives back with pool_give; *vector stays as it was when there is none. Returns 0,
 * or -1 with *err. */
int field_vector(const safetensors_t *file, const char *path, const char *name, size_t n,
                 bool expected, float **vector, err_t *err);

#endif
