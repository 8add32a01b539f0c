/* See elementary.h. */
#include "math/elementary.h"

/* x = m 2^e with m in [sqrt 1/2, sqrt 2); ln m = 2 artanh s = 2 (s + s^3/3 + s^5/5 + ...) for
 * s = (m - 1) / (m + 1), of which |s| < 0.172. */
double elementary_log(double x)
{
    const double high = 0x1.62e42fee00000p-1; /* ln 2, its last 21 bits zero: times e it is exact */
    const double low = 0x1.a39ef35793c76p-33;
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    int64_t e = (int64_t)(bits >> 52) - 1023;
    bits = (bits & 0xfffffffffffffu) | 0x3ff0000000000000u;
    double m;
    memcpy(&m, &bits, sizeof(m));
    if (m > 0x1.6a09e667f3bcdp+0) {
        m *= 0.5;
        e++;
    }
    double f = m - 1.0;
    double s = f / (2.0 + f);
    double s2 = s * s;
    double p = 1.0 / 23.0;
    for (int k = 21; k >= 3; k -= 2)
        p = p * s2 + 1.0 / (double)k;
    /* 2 s = f - s f, so that the largest part is exact */
    return (double)e * high + ((f - s * (f - 2.0 * s2 * p)) + (double)e * low);
}
