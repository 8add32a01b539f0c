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

/* The part that row *first is of; *first then counts from the part's own first row. */
static const dispatch_rows_t *s_part(const dispatcher_t *self, uint32_t *first)
{
    const dispatch_rows_t *part = self->job.rows;
    for (; *first >= part->n_rows; part++)
        *first -= part->n_rows;
    return part;
}

/* Rows [first, first + n_rows), which may be of several parts: a copy. */
static void s_copy(const dispatcher_t *self, uint32_t first, uint32_t n_rows, frame_t *images,
                   uint8_t *labels)
{
    size_t D = self->job.model.n_inputs;
    frame_new(images, n_rows * D);
    for (uint8_t *to = frame_data(images); n_rows > 0;) {
        uint32_t at = first;
        const dispatch_rows_t *part = s_part(self, &at);
        uint32_t n = part->n_rows - at < n_rows ? part->n_rows - at : n_rows;
        memcpy(to, part->images + at * D, n * D);
        memcpy(labels, part->labels + at, n);
        to += n * D;
        labels += n;
        first += n;
        n_rows -= n;
    }
}

/* The same without a copy of the images where that can be. */
static void s_read(const dispatcher_t *self, uint32_t first, uint32_t n_rows, frame_t *images,
                   uint8_t *labels)
{
    uint32_t at = first;
    const dispatch_rows_t *part = s_part(self, &at);
    if (!part->data || part->n_rows - at < n_rows) {
        s_copy(self, first, n_rows, images, labels);
        return;
    }
    frame_from_rows(images, part->data, at, n_rows);
    memcpy(labels, part->labels + at, n_rows);
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
    s_read(self, (uint32_t)first, (uint32_t)n_rows, &rows, labels);
    self->ports.data(self->ports.context, peer, out, &rows);
}
