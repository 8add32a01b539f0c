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
    if (self->follower)
        follower_wait(self->follower); /* the bytes may move */
    uint8_t *grown = realloc(self->bytes, room);
    if (!grown)
        return -1;
    s_advise(grown, room);
    self->bytes = grown;
    self->room_bytes = room;
    return 0;
}

void rows_keep(rows_t *self, size_t n_rows)
{
    self->n_kept += n_rows;
    if (self->follower)
        follower_tell(self->follower, self->n_kept * self->row_bytes);
}

void rows_populate(const rows_t *self)
{
#ifdef MADV_POPULATE_WRITE
    uint8_t *bytes = self->bytes + (HUGE_BYTES - (uintptr_t)self->bytes % HUGE_BYTES) % HUGE_BYTES;
    for (size_t n = self->room_bytes / HUGE_BYTES; n-- > 1;)
        if (madvise(bytes + (n - 1) * HUGE_BYTES, HUGE_BYTES, MADV_POPULATE_WRITE) != 0)
            return; /* an older system */
#else
    (void)self;
#endif
}

void rows_clear(rows_t *self)
{
    free(self->bytes);
    *self = (rows_t){0};
}
