/* See confusion.h. */
#include "math/confusion.h"

#include <assert.h>
#include <stdbool.h>
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

static uint64_t s_predicted(const uint32_t *counts, uint32_t C, size_t k)
{
    uint64_t predicted = 0;
    for (size_t c = 0; c < C; c++)
        predicted += counts[c * C + k];
    return predicted;
}

confusion_class_t confusion_class(const uint32_t *counts, uint32_t C, uint32_t class_index)
{
    assert(class_index < C);
    size_t k = class_index;
    uint64_t support = 0;
    for (size_t c = 0; c < C; c++)
        support += counts[k * C + c];
    double hits = counts[k * C + k];
    confusion_class_t out = {.precision = s_ratio(hits, (double)s_predicted(counts, C, k)),
                             .recall = s_ratio(hits, (double)support),
                             .support = (uint32_t)support};
    out.f1 = s_ratio(2 * out.precision * out.recall, out.precision + out.recall);
    return out;
}

static confusion_class_t s_average(const uint32_t *counts, uint32_t C, bool weighted)
{
    confusion_class_t sum = {0};
    double weights = 0;
    for (uint32_t c = 0; c < C; c++) {
        confusion_class_t one = confusion_class(counts, C, c);
        bool there = one.support > 0 || s_predicted(counts, C, c) > 0;
        double weight = weighted ? one.support : there;
        sum.precision += weight * one.precision;
        sum.recall += weight * one.recall;
        sum.f1 += weight * one.f1;
        sum.support += one.support;
        weights += weight;
    }
    sum.precision = s_ratio(sum.precision, weights);
    sum.recall = s_ratio(sum.recall, weights);
    sum.f1 = s_ratio(sum.f1, weights);
    return sum;
}

confusion_class_t confusion_macro(const uint32_t *counts, uint32_t C)
{
    return s_average(counts, C, false);
}

confusion_class_t confusion_weighted(const uint32_t *counts, uint32_t C)
{
    return s_average(counts, C, true);
}
