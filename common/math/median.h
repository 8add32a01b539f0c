/* The median of measured values. */
#ifndef DROVER_MATH_MEDIAN_H
#define DROVER_MATH_MEDIAN_H

#include <stdint.h>

/* Of n > 0 values, none of them NaN, which are sorted on return; of an even number the mean of the
 * middle two. */
double median_of(double *values, uint32_t n);

#endif
