/* The data plane: rows for workers that have none. See dispatcher.h. */
#include <string.h>

#include "base/log_limit.h"
#include "dispatch/dispatcher_self.h"

uint32_t dispatcher_rows(const dispatcher_t *self)
{
    uint32_t n = 0;
    for (int i = 0; i < DISPATCH_PARTS; i++)
        n += self->job.rows[i].n_rows;
    return n;
}

/* Rows [first, first + n_rows), of whichever parts. */
static void s_copy(const dispatcher_t *self, uint32_t first, uint32_t n_rows, uint8_t *images,
                   uint8_t *labels)
{
    size_t D = self->job.model.n_inputs;
    for (const dispatch_rows_t *part = self->job.rows; n_rows > 0; part++) {
        if (first >= part->n_rows) {
            first -= part->n_rows;
            continue;
        }
        uint32_t n = part->n_rows - first < n_rows ? part->n_rows - first : n_rows;
        memcpy(images, part->images + first * D, n * D);
        memcpy(labels, part->labels + first, n);
        images += n * D;
        labels += n;
        n_rows -= n;
        first = 0;
    }
}

void dispatcher_fetch(dispatcher_t *self, const wire_peer_t *peer, wire_status_t status,
                      const wire_t *in)
{
    size_t n_inputs = self->job.model.n_inputs;
    uint64_t first = in->fetch.first, n_rows = in->fetch.n_rows;
    if (status != WIRE_OK || in->type != WIRE_FETCH || in->run != self->job.run || n_rows == 0 ||
        n_rows > WIRE_MAX_ROWS || first + n_rows > dispatcher_rows(self) ||
        (n_rows > 1 && n_rows * n_inputs > WIRE_MAX_ROWS_BYTES)) {
        log_warn_limited("data.bad", "?", "a request for rows that cannot be served: %s",
                         status != WIRE_OK ? wire_status_text(status) : "wrong run, type or range");
        return;
    }
    if (self->job.has &&
        !self->job.has(self->job.has_context, (uint32_t)first, (uint32_t)(first + n_rows)))
        return; /* it asks again */
    wire_t *out = dispatcher_message(self, WIRE_ROWS);
    out->rows.first = (uint32_t)first;
    out->rows.n_rows = (uint32_t)n_rows;
    uint8_t labels[WIRE_MAX_ROWS];
    out->rows.labels = labels;
    frame_t rows = {.present = false};
    frame_new(&rows, n_rows * n_inputs);
    s_copy(self, (uint32_t)first, (uint32_t)n_rows, frame_data(&rows), labels);
    self->ports.data(self->ports.context, peer, out, &rows);
}
