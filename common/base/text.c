/* See text.h. */
#include "base/text.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 95

int text_distance(const char *a, const char *b)
{
    int n_a = (int)strnlen(a, WORD_MAX);
    int n_b = (int)strnlen(b, WORD_MAX);
    int rows[3][WORD_MAX + 1]; /* the last three rows of the table, by i % 3 */
    for (int j = 0; j <= n_b; j++)
        rows[0][j] = j;
    for (int i = 1; i <= n_a; i++) {
        int *now = rows[i % 3];
        const int *last = rows[(i - 1) % 3];
        const int *before = rows[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= n_b; j++) {
            int best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[n_a % 3][n_b];
}

const char *text_nearest(const char *word, const char *const *candidates, int n_candidates)
{
    const char *nearest = NULL;
    int limit = (int)(strlen(word) / 3);
    int best = (limit > 2 ? limit : 2) + 1;
    for (int i = 0; i < n_candidates; i++) {
        int distance = text_distance(word, candidates[i]);
        if (distance < best && distance < (int)strlen(candidates[i])) {
            best = distance;
            nearest = candidates[i];
        }
    }
    return nearest;
}

/* The shortest digits d1 d2 ... of |value| and the exponent of d1; returns how many digits. The
 * doubles below a power of two lie closer than those above it, so there the n digits above can
 * read back where the nearest n digits do not. */
static int s_shortest_digits(double value, char digits[20], int *exponent)
{
    char text[64];
    double size = fabs(value);
    for (int n = 1;; n++) {
        (void)snprintf(text, sizeof(text), "%.*e", n - 1, size);
        if (n == 17 || strtod(text, NULL) == size)
            break;
        char above[64];
        unsigned long long number = 0;
        const char *p = text;
        for (; *p != 'e'; p++)
            if (*p != '.')
                number = 10 * number + (unsigned)(*p - '0');
        (void)snprintf(above, sizeof(above), "%llue%ld", number + 1,
                       strtol(p + 1, NULL, 10) - (n - 1));
        if (strtod(above, NULL) == size) {
            (void)snprintf(digits, 20, "%llu", (number + 1) % 100000000000000000u);
            *exponent = (int)strtol(p + 1, NULL, 10);
            return n;
        }
    }
    int n_digits = 0;
    const char *p = text;
    for (; *p != 'e'; p++)
        if (*p != '.')
            digits[n_digits++] = *p;
    *exponent = (int)strtol(p + 1, NULL, 10);
    while (n_digits > 1 && digits[n_digits - 1] == '0')
        n_digits--;
    digits[n_digits] = '\0';
    return n_digits;
}

char *text_python_repr(double value, char text[32])
{
    if (isnan(value) || isinf(value)) {
        (void)snprintf(text, 32, "%s", isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
        return text;
    }
    char digits[20];
    int exponent;
    int n = s_shortest_digits(value, digits, &exponent);
    const char *sign = signbit(value) ? "-" : "";
    if (exponent < -4 || exponent >= 16) {
        (void)snprintf(text, 32, "%s%c%s%se%c%02d", sign, digits[0], n > 1 ? "." : "", digits + 1,
                       exponent < 0 ? '-' : '+', abs(exponent) % 1000);
    } else if (exponent < 0) {
        (void)snprintf(text, 32, "%s0.%.*s%s", sign, -exponent - 1, "000", digits);
    } else if (n > exponent + 1) {
        (void)snprintf(text, 32, "%s%.*s.%s", sign, exponent + 1, digits, digits + exponent + 1);
    } else {
        memset(digits + n, '0', (size_t)(exponent + 1 - n));
        (void)snprintf(text, 32, "%s%.*s.0", sign, exponent + 1, digits);
    }
    return text;
}

int text_decode_utf8(const char *bytes, size_t size, unsigned *code)
{
    if (size == 0)
        return 0;
    const unsigned char *b = (const unsigned char *)bytes;
    if (b[0] < 0x80) {
        *code = b[0];
        return 1;
    }
    int n = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
    if (b[0] < 0xc2 || b[0] > 0xf4 || size < (size_t)n)
        return 0;
    unsigned value = b[0] & (0xffu >> (n + 1));
    for (int i = 1; i < n; i++) {
        if ((b[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (b[i] & 0x3f);
    }
    static const unsigned smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < smallest[n] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return 0;
    *code = value;
    return n;
}

char *text_quote(const char *value, char out[72])
{
    size_t n = strlen(value);
    (void)snprintf(out, 72, "'%.*s%s'", n > 60 ? 57 : 60, value, n > 60 ? "..." : "");
    return out;
}

void text_wrap(FILE *out, const char *text, int at, const char *lead, int width)
{
    int column = at;
    bool line_is_new = true;
    while (*text) {
        int n = (int)strcspn(text, " ");
        if (!line_is_new && column + 1 + n > width) {
            (void)fprintf(out, "\n%s", lead);
            column = (int)strlen(lead);
            line_is_new = true;
        }
        (void)fprintf(out, "%s%.*s", line_is_new ? "" : " ", n, text);
        column += n + !line_is_new;
        line_is_new = false;
        text += n;
        text += strspn(text, " ");
    }
}
