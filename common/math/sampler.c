/* See sampler.h. */
#include "math/sampler.h"

#include "math/rng.h"

uint32_t sampler_blocks(const sampler_t *self)
{
    return (uint32_t)(((uint64_t)self->n_rows + self->block_rows - 1) / self->block_rows);
}

void sampler_range(const sampler_t *self, uint32_t block, uint32_t *first, uint32_t *end)
{
    uint64_t begin = (uint64_t)block * self->block_rows;
    uint64_t behind = begin + self->block_rows;
    *first = (uint32_t)begin;
    *end = behind < self->n_rows ? (uint32_t)behind : self->n_rows;
}

uint32_t sampler_rows(const sampler_t *self, uint32_t step, uint32_t block, uint32_t *rows)
{
    /* A row is in when its 32 bits, as a fraction of 2^32, are below the probability. */
    uint64_t threshold = (uint64_t)(self->fraction * 0x1p32);
    uint32_t first, end;
    sampler_range(self, block, &first, &end);
    uint32_t n = 0;
    uint32_t bits[256];
    for (uint32_t row = first; row < end;) {
        uint32_t count = end - row < 256 ? end - row : 256;
        rng_fill(self->seed, RNG_SAMPLE, step, row, count, bits);
        for (uint32_t i = 0; i < count; i++, row++) {
            rows[n] = row; /* overwritten by the next row when this one is out */
            n += bits[i] < threshold;
        }
    }
    return n;
}
