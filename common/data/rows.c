/* See rows.h. */
#include "data/rows.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#define FIRST_ROOM_BYTES ((size_t)64 * 1024)
#define HUGE_BYTES       ((size_t)2 << 20)

/* Fresh memory comes in large pages where there are such: 47 MB in small ones take 12,000 faults.
 * The bytes are the same, so it does not matter whether the system does it. */
static void s_advise(uint8_t *bytes, size_t n)
{
    size_t skipped = (HUGE_BYTES - (uintptr_t)bytes % HUGE_BYTES) % HUGE_BYTES;
    if (n >= skipped + HUGE_BYTES)
        (void)madvise(bytes + skipped, (n - skipped) / HUGE_BYTES * HUGE_BYTES, MADV_HUGEPAGE);
}

int rows_reserve(rows_t *self, size_t n_rows)
{
    assert(self->row_bytes > 0 && self->row_bytes <= ROWS_MAX_BYTES && n_rows <= ROWS_MAX);
    size_t wanted = (self->n_kept + n_rows) * self->row_bytes;
    if (wanted <= self->room_bytes)
        return 0;
    size_t room = self->room_bytes + self->room_bytes / 2;
    if (room < FIRST_ROOM_BYTES)
        room = FIRST_ROOM_BYTES;
    if (room < wanted)
        room = wanted;
    uint8_t *grown = realloc(self->bytes, room);
    if (!grown)
        return -1;
    s_advise(grown, room);
    self->bytes = grown;
    self->room_bytes = room;
    return 0;
}

void rows_clear(rows_t *self)
{
    free(self->bytes);
    *self = (rows_t){0};
}
