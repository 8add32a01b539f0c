/* See decimal.h. strtod would follow the locale's decimal point and is slower. */
#include "data/decimal.h"

#include <string.h>

#include "base/array.h"

/* Beyond this an exponent only says "huge" or "tiny". */
#define MAX_EXPONENT 100000

static const uint64_t s_powers[] = {
    1ull,
    10ull,
    100ull,
    1000ull,
    10000ull,
    100000ull,
    1000000ull,
    10000000ull,
    100000000ull,
    1000000000ull,
    10000000000ull,
    100000000000ull,
    1000000000000ull,
    10000000000000ull,
    100000000000000ull,
    1000000000000000ull,
    10000000000000000ull,
    100000000000000000ull,
    1000000000000000000ull,
};
#define N_POWERS ARRAY_COUNT(s_powers)

static bool s_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes one more digit of the mantissa. Zeros wait in *n_zeros for a digit that needs them, so that
 * ->digits never ends in one. */
static void s_take(decimal_t *number, int *n_zeros, char c)
{
    if (number->digits == 0 && !number->longer) {
        number->digits = (uint64_t)(c - '0');
        return;
    }
    if (c == '0' || number->longer) {
        ++*n_zeros;
        return;
    }
    int shift = *n_zeros + 1;
    if (shift >= N_POWERS || number->digits > (UINT64_MAX - 9) / s_powers[shift]) {
        number->longer = true;
        *n_zeros = shift;
        return;
    }
    number->digits = number->digits * s_powers[shift] + (uint64_t)(c - '0');
    *n_zeros = 0;
}

int decimal_parse(const char *text, const char *end, decimal_t *number)
{
    const char *p = text;
    int n_digits = 0;
    int n_zeros = 0;
    *number = (decimal_t){0};
    if (p < end && (*p == '-' || *p == '+'))
        number->negative = *p++ == '-';
    for (; p < end && s_is_digit(*p); p++, n_digits++)
        s_take(number, &n_zeros, *p);
    if (p < end && *p == '.') {
        number->pointed = true;
        p++;
        while (p < end && s_is_digit(*p)) {
            if (end - p >= 8 && memcmp(p, "00000000", 8) == 0) {
                /* numpy.savetxt writes zeros by the dozen */
                n_zeros += number->digits != 0 ? 8 : 0;
                number->exponent -= 8;
                n_digits += 8;
                p += 8;
                continue;
            }
            s_take(number, &n_zeros, *p++);
            number->exponent--;
            n_digits++;
        }
    }
    if (n_digits == 0)
        return -1;
    if (p < end && (*p == 'e' || *p == 'E')) {
        number->pointed = true;
        p++;
        bool down = p < end && *p == '-';
        if (p < end && (*p == '-' || *p == '+'))
            p++;
        if (p == end)
            return -1;
        int exponent = 0;
        for (; p < end && s_is_digit(*p); p++)
            if (exponent < MAX_EXPONENT)
                exponent = exponent * 10 + (*p - '0');
        number->exponent += down ? -exponent : exponent;
    }
    if (p != end)
        return -1;
    number->exponent += n_zeros;
    if (number->digits == 0)
        number->exponent = 0;
    return 0;
}

bool decimal_is_whole(const decimal_t *number, uint32_t max, uint32_t *value)
{
    if (number->longer || number->exponent < 0 || number->exponent > 9)
        return false;
    uint64_t whole = number->digits;
    for (int i = 0; i < number->exponent && whole <= max; i++)
        whole *= 10;
    if (whole > max)
        return false;
    *value = (uint32_t)whole;
    return true;
}

double decimal_abs(const decimal_t *number)
{
    double value = (double)number->digits;
    int n = number->exponent < 0 ? -number->exponent : number->exponent;
    double power = 1.0;
    for (int i = 0; i < n && i < 400; i++)
        power *= 10.0; /* becomes infinity, and the quotient 0 */
    if (number->digits == 0)
        return 0.0;
    return number->exponent < 0 ? value / power : value * power;
}
