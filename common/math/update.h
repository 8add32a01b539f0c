/* The loops of the optimizers. Elementwise, as vec.h; sums in double, in an order that is fixed.
 *
 * A sum over a vector is eight sums, of which number j takes the elements i with i mod 8 = j one
 * after the other; update_total adds the eight. So it has the same bits with any instructions, and
 * whether a vector is handed over at once or in pieces of a multiple of 8. Squares of floats are
 * exact in double.
 */
#ifndef DROVER_MATH_UPDATE_H
#define DROVER_MATH_UPDATE_H

#include <stddef.h>

#define UPDATE_SUMS 8

/* sums += a^2, |a|; a(n). */
void update_add_squares(double sums[UPDATE_SUMS], const float *a, size_t n);
void update_add_magnitudes(double sums[UPDATE_SUMS], const float *a, size_t n);

/* ((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7)) */
double update_total(const double sums[UPDATE_SUMS]);

/* out = scale * a; all (n). out may be a. */
void update_scale(float *out, const float *a, float scale, size_t n);

/* g = g + (l2 w + l1 sign(w)); all (n). sign(0) = 0. */
void update_penalise(float *g, const float *w, float l1, float l2, size_t n);

/* out = decay * a + part * b; all (n). out may be a or b. */
void update_blend(float *out, const float *a, float decay, const float *b, float part, size_t n);

/* What an update of Adam's has as scalars. */
typedef struct {
    float beta1, rest1; /* rest = 1 - beta */
    float beta2, rest2;
    float rate;    /* learning rate / (1 - beta1^t) */
    float root;    /* sqrt(1 - beta2^t) */
    float epsilon; /* above 0 */
    float keep;    /* what decay leaves of the weights; 1 without */
} update_adam_t;

/* m = beta1 m0 + rest1 g, v = beta2 v0 + rest2 g g,
 * out = keep w - rate m / (sqrt(v) / root + epsilon); all (n). out may be w; m and v are vectors of
 * their own. */
void update_adam(const update_adam_t *adam, float *out, const float *w, const float *g, float *m,
                 const float *m0, float *v, const float *v0, size_t n);

#endif
