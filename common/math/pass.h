/* Forward and backward passes of a network (model.h) over the rows of a batch.
 *
 * B rows; D inputs, C classes, P parameters. Backpropagation: Rumelhart, Hinton, Williams 1986.
 */
#ifndef DROVER_MATH_PASS_H
#define DROVER_MATH_PASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "math/kernel.h"
#include "math/model.h"
#include "math/sparse.h"

/* Room for the activations and deltas of up to max_rows rows, and where the input stands; one a
 * compute thread. Never NULL. Its functions need kernel_open for the dense kernel. */
typedef struct pass pass_t;
pass_t *pass_new(const model_t *model, kernel_t kernel, size_t max_rows);
void pass_destroy(pass_t **self_p);

/* From now on this network, which takes no more room than the one of pass_new: its first layer may
 * have fewer inputs. */
void pass_set_model(pass_t *self, const model_t *model);

/* Does it take its input without the zeros? So it is for the sparse kernel and a dense first layer.
 */
bool pass_is_sparse(const model_t *model, kernel_t kernel);

/* The input matrix (max_rows, D) for the caller to fill, if it does not. */
float *pass_input(pass_t *self);

/* The input if it does: row r is row rows[r] (ascending; r when rows is NULL) of by_rows(n,D), byte
 * / 255. by_columns(D,n), the transpose, is for pass_gradient alone. All are borrowed until the
 * next call. */
void pass_set_sparse(pass_t *self, const sparse_t *by_rows, const sparse_t *by_columns,
                     const uint32_t *rows);

/* B rows of bytes as the input, whichever way it takes them, for pass_forward and pass_evaluate. */
void pass_set_bytes(pass_t *self, const uint8_t *images, size_t B);

/* What dropout draws by: rows(B) are the numbers of the rows in the whole training set. */
typedef struct {
    uint64_t seed;
    uint32_t step;
    const uint32_t *rows;
} pass_draw_t;

/* The output (B,C), borrowed, of a trained network: without dropout. */
const float *pass_forward(pass_t *self, const float *params, size_t B);

/* The same with the rows' cost, summed up, and how many are right, by their labels(B). */
const float *pass_evaluate(pass_t *self, const float *params, const uint8_t *labels, size_t B,
                           double *cost, uint32_t *n_correct);

/* gradient(P) = dE/dparams summed over the B rows (B may be 0: zeros); returns the cost E, as in
 * loss.h. */
double pass_gradient(pass_t *self, const float *params, const pass_draw_t *draw,
                     const uint8_t *labels, size_t B, float *gradient, uint32_t *n_correct);

#endif
