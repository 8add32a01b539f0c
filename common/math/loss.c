/* See loss.h. */
#include "math/loss.h"

#include <stdbool.h>
#include <string.h>

#include "math/activation.h"

static const char *const s_names[LOSS_COUNT] = {
    [LOSS_SSE] = "sse",
    [LOSS_CROSS_ENTROPY] = "cross_entropy",
};

const char *loss_name(loss_t loss)
{
    return s_names[loss];
}

int loss_parse(const char *name, loss_t *loss)
{
    for (int i = 0; i < LOSS_COUNT; i++) {
        if (strcmp(name, s_names[i]) == 0) {
            *loss = (loss_t)i;
            return 0;
        }
    }
    return -1;
}

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

/* delta(C) = y - y* */
static void s_error(const float *y, uint8_t label, size_t C, float *delta)
{
    memcpy(delta, y, C * sizeof(float));
    delta[label] -= 1.0f;
}

static void s_scale(float *delta, float weight, size_t C)
{
    for (size_t c = 0; c < C; c++)
        delta[c] *= weight;
}

double loss_sse(const float *y, const uint8_t *labels, const float *weights, size_t B, size_t C,
                float *delta, uint32_t *n_correct)
{
    double cost = 0.0;
    uint32_t correct = 0;
    for (size_t r = 0; r < B; r++) {
        const float *out = y + r * C;
        float *d = delta + r * C;
        float weight = weights ? weights[labels[r]] : 1.0f;
        double row = 0.0;
        s_error(out, labels[r], C, d);
        for (size_t c = 0; c < C; c++)
            row += (double)d[c] * (double)d[c];
        s_scale(d, weight, C);
        cost += (double)weight * (0.5 * row);
        correct += loss_argmax(out, C) == labels[r];
    }
    *n_correct = correct;
    return cost;
}

double loss_cross_entropy(float *z, const uint8_t *labels, const float *weights, size_t B, size_t C,
                          float *delta, uint32_t *n_correct)
{
    double cost = 0.0;
    uint32_t correct = 0;
    for (size_t r = 0; r < B; r++) {
        float *out = z + r * C;
        float weight = weights ? weights[labels[r]] : 1.0f;
        double right = (double)out[labels[r]];
        correct += loss_argmax(out, C) == labels[r];
        cost += (double)weight * (activation_softmax(out, C) - right);
        s_error(out, labels[r], C, delta + r * C);
        s_scale(delta + r * C, weight, C);
    }
    *n_correct = correct;
    return cost;
}
