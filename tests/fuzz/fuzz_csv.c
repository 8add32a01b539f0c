/* Any bytes as a text file of images, of labelled images and of labels, plain or gzipped. */
#include "fuzz.h"

#include <stdlib.h>

#include "base/log.h"
#include "data/csv.h"
#include "data/gzstream.h"
#include "data/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    log_set_level(LOG_LEVEL_ERROR);
    for (int form = 0; form < 3; form++) {
        err_t err = {{0}};
        rows_t images = {0};
        rows_t labels = {0};
        gzstream_t *in = gzstream_open_memory("fuzz", data, size, &err);
        int r = -1;
        if (in && form < 2)
            r = csv_read_images(in, 0, &images, form == 1 ? &labels : NULL, &err);
        else if (in)
            r = csv_read_labels(in, 1, &labels, &err);
        /* what was read has at least a row, and what failed has a reason */
        if (r == 0 ? images.n_kept + labels.n_kept == 0 : err.text[0] == '\0')
            abort();
        rows_clear(&images);
        rows_clear(&labels);
        gzstream_destroy(&in);
    }
    return 0;
}
