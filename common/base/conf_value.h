/* One value of a conf table: read from text, printed as YAML. Only for conf's own files. */
#ifndef DROVER_BASE_CONF_VALUE_H
#define DROVER_BASE_CONF_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/conf.h"
#include "base/err.h"

/* Sets the value at key->offset of *target from text of n bytes (with a '\0' behind them). A
 * quoted scalar is text and never a number, a truth value or a choice. Not for lists. Returns 0,
 * or -1 with *err saying value and expectation, without the key; the old value then stays. */
int conf_value_set(const conf_key_t *key, void *target, const char *text, size_t n, bool quoted,
                   err_t *err);

/* Frees what the value owns, lists and their items included, and zeroes it. */
void conf_value_clear(const conf_key_t *key, void *target);

/* Prints a value (not a list) as a YAML scalar. */
void conf_value_print(const conf_key_t *key, const void *target, FILE *out);

/* What the key takes: "a whole number, 1 to 100", "true or false", "tanh or sigmoid". With
 * `bounds_only`, the part for a message that has named the type already: "1 to 100". */
void conf_value_expected(const conf_key_t *key, bool bounds_only, char *out, size_t size);

/* The array and the number of items of a list. */
void *conf_value_items(const conf_key_t *key, const void *target, int *n_items);

#endif
