/* Functions of one number for which the C library's bits would depend on the library: here of
 * double additions, multiplications and comparisons only, so that they are the same everywhere. */
#ifndef DROVER_MATH_SCALAR_H
#define DROVER_MATH_SCALAR_H

#include <stdint.h>

/* base^n by squaring, for 0 <= base <= 1; off by at most n 2^-52 of itself. */
double scalar_power(double base, uint64_t n);

/* The n-th root of x, 0 < x <= 1 and n >= 1: the r that scalar_power takes back to x, by bisection;
 * off by at most 2^-51 of itself. */
double scalar_root(double x, uint64_t n);

/* cos(pi x) for 0 <= x <= 1, by its series around 0; off by at most 2^-51. */
double scalar_cos_pi(double x);

#endif
