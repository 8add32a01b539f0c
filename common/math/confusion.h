/* The confusion matrix and the measures that follow from it.
 *
 * C classes; counts is (C,C) row-major, rows = truth, columns = prediction. 0/0 is 0 throughout: a
 * class that never occurs, or is never predicted, has the measure 0.
 */
#ifndef DROVER_MATH_CONFUSION_H
#define DROVER_MATH_CONFUSION_H

#include <stdint.h>

typedef struct {
    double precision; /* of what was predicted as the class, the part that is */
    double recall;    /* of what is the class, the part that was predicted */
    double f1;        /* harmonic mean of both */
    uint32_t support; /* rows of the class */
} confusion_class_t;

/* Counts one row; both classes are below C. */
void confusion_add(uint32_t *counts, uint32_t C, uint32_t truth, uint32_t prediction);

/* The part of all rows that lies on the diagonal. */
double confusion_accuracy(const uint32_t *counts, uint32_t C);

/* The measures of all classes that occur or are predicted in one: their mean, or weighted by how
 * many rows a class has. support is the number of all rows. */
confusion_class_t confusion_macro(const uint32_t *counts, uint32_t C);
confusion_class_t confusion_weighted(const uint32_t *counts, uint32_t C);

/* The measures of one class. */
confusion_class_t confusion_class(const uint32_t *counts, uint32_t C, uint32_t class_index);

#endif
