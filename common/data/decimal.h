/* Decimal numbers in text, exactly and independent of the locale: `7`, `-0.5`, `1.28e+02`. */
#ifndef DROVER_DATA_DECIMAL_H
#define DROVER_DATA_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

/* +-digits * 10^exponent; digits has no trailing zeros, and zero is 0 * 10^0. */
typedef struct {
    uint64_t digits;
    int exponent;
    bool negative;
    bool longer;  /* more significant digits follow that `digits` has no room for */
    bool pointed; /* written with a point or an exponent */
} decimal_t;

/* Parses all of [text, end), less than 1 GB, as one number. Returns 0, or -1 when it is anything
 * else (empty, a word, nan, inf, hexadecimal, something behind the number). */
int decimal_parse(const char *text, const char *end, decimal_t *number);

/* True when the number is whole and its absolute value at most `max`, which goes to *value. */
bool decimal_is_whole(const decimal_t *number, uint32_t max, uint32_t *value);

/* The absolute value, to within a few units in the last place. */
double decimal_abs(const decimal_t *number);

#endif
