/* A model as an ONNX file (opset 13), for the runtimes of others.
 *
 * Input `images`: float (N, inputs), each number in [0, 1], a byte divided by 255. Output `scores`:
 * float (N, classes); the class is the index of the largest. Weights keep the names of the model
 * file and, but for a convolution's, their shapes. The kinds of layers are one table in onnx.c.
 */
#ifndef DROVER_CLI_ONNX_H
#define DROVER_CLI_ONNX_H

#include "base/err.h"
#include "parameter_server/checkpoint.h"

/* Writes params(P) of info's network atomically. Returns 0, or -1, also when the network is too
 * large for the format. */
int onnx_write(const char *path, const checkpoint_info_t *info, const float *params, err_t *err);

#endif
