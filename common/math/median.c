/* See median.h. */
#include "math/median.h"

#include <stdlib.h>

static int s_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median_of(double *values, uint32_t n)
{
    qsort(values, n, sizeof(double), s_compare);
    return (values[(n - 1) / 2] + values[n / 2]) / 2;
}
