/* See scalar.h. */
#include "math/scalar.h"

double scalar_power(double base, uint64_t n)
{
    double power = 1.0;
    for (; n > 0; n >>= 1) {
        if (n & 1)
            power *= base;
        base *= base;
    }
    return power;
}

double scalar_root(double x, uint64_t n)
{
    double low = 0.0, high = 1.0;
    if (n == 1)
        return x;
    for (;;) { /* low^n < x <= high^n */
        double middle = low + (high - low) * 0.5;
        if (middle <= low || middle >= high)
            return high;
        if (scalar_power(middle, n) < x)
            low = middle;
        else
            high = middle;
    }
}

double scalar_cos_pi(double x)
{
    double angle = 3.14159265358979323846 * (x > 0.5 ? 1.0 - x : x);
    double square = angle * angle;
    double sum = 1.0;
    for (int k = 22; k > 0; k -= 2) /* the next term is below 2^-61 */
        sum = 1.0 - square / (double)(k * (k - 1)) * sum;
    return x > 0.5 ? -sum : sum;
}
