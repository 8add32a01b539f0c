/* See confusion.h. */
#include "math/confusion.h"

#include <assert.h>
#include <stddef.h>

static double s_ratio(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

void confusion_add(uint32_t *counts, uint32_t C, uint32_t truth, uint32_t prediction)
{
    assert(truth < C && prediction < C);
    counts[(size_t)truth * C + prediction]++;
}

double confusion_accuracy(const uint32_t *counts, uint32_t C)
{
    uint64_t correct = 0;
    uint64_t all = 0;
    for (size_t i = 0; i < (size_t)C * C; i++)
        all += counts[i];
    for (size_t c = 0; c < C; c++)
        correct += counts[c * C + c];
    return s_ratio((double)correct, (double)all);
}

confusion_class_t confusion_class(const uint32_t *counts, uint32_t C, uint32_t class_index)
{
    assert(class_index < C);
    size_t k = class_index;
    uint64_t support = 0;
    uint64_t predicted = 0;
    for (size_t c = 0; c < C; c++) {
        support += counts[k * C + c];
        predicted += counts[c * C + k];
    }
    double hits = counts[k * C + k];
    confusion_class_t out = {.precision = s_ratio(hits, (double)predicted),
                             .recall = s_ratio(hits, (double)support),
                             .support = (uint32_t)support};
    out.f1 = s_ratio(2 * out.precision * out.recall, out.precision + out.recall);
    return out;
}
