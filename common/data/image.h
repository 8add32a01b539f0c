/* One picture as grayscale bytes: PNG or PGM (P2, P5), told by the contents. libpng is used here
 * only.
 *
 * A colour PNG becomes its luminance, a transparent one lies on black. A PGM with a maximum other
 * than 255 (at most 65535) is scaled to it, to the nearest byte. Limits: 64 MiB, 4096 x 4096.
 */
#ifndef DROVER_DATA_IMAGE_H
#define DROVER_DATA_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Reads the picture; the caller frees *pixels, (height, width). Returns 0 or -1. */
int image_read(const char *path, uint8_t **pixels, size_t *width, size_t *height, err_t *err);

/* As image_read, from memory; `name` stands for the path in errors. */
int image_parse(const char *name, const void *bytes, size_t size, uint8_t **pixels, size_t *width,
                size_t *height, err_t *err);

#endif
