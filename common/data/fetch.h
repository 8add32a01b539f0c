/* Download of MNIST from public mirrors into a folder. libcurl, which is opened at run time, and
 * libsodium are used here only.
 *
 * A file counts when the sha256 of its unzipped bytes is right; mirrors may pack it differently. It
 * appears in the folder whole or not at all. Without network a fetch fails within seconds.
 */
#ifndef DROVER_DATA_FETCH_H
#define DROVER_DATA_FETCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef enum {
    FETCH_KEPT,    /* the file is there already and right */
    FETCH_LOADING, /* n_bytes of n_total (0: unknown) have come */
    FETCH_DONE,    /* the file is there now */
    FETCH_FAILED,  /* this mirror failed, `text` says why; the next one is tried */
} fetch_event_t;

/* What is told about `name`; `text` is the URL (the path for FETCH_KEPT) or the reason. */
typedef void fetch_progress_fn(void *context, fetch_event_t event, const char *name,
                               const char *text, int64_t n_bytes, int64_t n_total);

/* A file to fetch: its name on the mirrors and in the folder, and what it must unzip to. */
typedef struct {
    const char *name;
    const char *sha256; /* 64 hex digits */
} fetch_file_t;

/* Fetches the four files of MNIST into `folder`, which is made if need be. `mirror` replaces the
 * public ones: a URL (https, http, file) to which "/NAME" is appended; NULL for the public ones.
 * progress may be NULL. Returns 0, or -1 with *err naming what failed last. */
int fetch_mnist(const char *folder, const char *mirror, fetch_progress_fn *progress, void *context,
                err_t *err);

/* As fetch_mnist, for any files and mirrors, tried in order. */
int fetch_files(const char *folder, const fetch_file_t *files, size_t n_files,
                const char *const *mirrors, size_t n_mirrors, fetch_progress_fn *progress,
                void *context, err_t *err);

#endif
