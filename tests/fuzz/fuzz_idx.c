/* Any bytes as an IDX file of images and of labels, plain or gzipped. */
#include "fuzz.h"

#include "data/gzstream.h"
#include "data/idx.h"
#include "data/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int images = 0; images < 2; images++) {
        for (size_t max_rows = 0; max_rows < 2; max_rows++) {
            err_t err = {{0}};
            rows_t rows = {0};
            gzstream_t *in = gzstream_open_memory("fuzz", data, size, &err);
            if (in && images)
                (void)idx_read_images(in, max_rows, &rows, &err);
            else if (in)
                (void)idx_read_labels(in, max_rows, &rows, &err);
            rows_clear(&rows);
            gzstream_destroy(&in);
        }
    }
    return 0;
}
