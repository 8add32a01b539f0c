/* See loss.h. */
#include "math/loss.h"

#include <stdbool.h>
#include <string.h>

size_t loss_argmax(const float *y, size_t C)
{
    size_t best = 0;
    float most = y[0];
    for (size_t c = 1; c < C; c++) {
        bool more = y[c] > most; /* no branch: nobody can guess it */
        best = more ? c : best;
        most = more ? y[c] : most;
    }
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
        memcpy(d, out, C * sizeof(float));
        d[labels[r]] -= 1.0f;
        for (size_t c = 0; c < C; c++)
            row += (double)d[c] * (double)d[c];
        cost += 0.5 * row;
        correct += loss_argmax(out, C) == labels[r];
    }
    *n_correct = correct;
    return cost;
}
