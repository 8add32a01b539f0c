/* See loss.h. */
#include "math/loss.h"

size_t loss_argmax(const float *y, size_t C)
{
    size_t best = 0;
    for (size_t c = 1; c < C; c++)
        if (y[c] > y[best])
            best = c;
    return best;
}

double loss_sse(const float *y, const uint8_t *labels, size_t B, size_t C, float *delta,
                uint32_t *n_correct)
{
    double cost = 0.0;
    uint32_t correct = 0;
    for (size_t r = 0; r < B; r++) {
        const float *out = y + r * C;
        float *d = delta + r * C;
        double row = 0.0;
        for (size_t c = 0; c < C; c++) {
            d[c] = out[c] - (c == labels[r] ? 1.0f : 0.0f);
            row += (double)d[c] * (double)d[c];
        }
        cost += 0.5 * row;
        correct += loss_argmax(out, C) == labels[r];
    }
    *n_correct = correct;
    return cost;
}
