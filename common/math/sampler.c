/* See sampler.h. */
#include "math/sampler.h"

#include "math/rng.h"

#define ROUNDS 6 /* of the permutation */

static uint32_t s_positions(const sampler_t *self)
{
    return self->batch_rows > 0 ? self->batch_rows : self->n_rows;
}

uint32_t sampler_blocks(const sampler_t *self)
{
    return (uint32_t)(((uint64_t)s_positions(self) + self->block_rows - 1) / self->block_rows);
}

void sampler_range(const sampler_t *self, uint32_t block, uint32_t *first, uint32_t *end)
{
    uint64_t begin = (uint64_t)block * self->block_rows;
    uint64_t behind = begin + self->block_rows;
    uint32_t n = s_positions(self);
    *first = (uint32_t)begin;
    *end = behind < n ? (uint32_t)behind : n;
}

void sampler_reach(const sampler_t *self, uint32_t block, uint32_t behind, uint32_t *first,
                   uint32_t *end)
{
    uint32_t unused;
    sampler_range(self, block, first, &unused);
    sampler_range(self, behind - 1, &unused, end);
    if (self->batch_rows > 0) {
        *first = 0;
        *end = self->n_rows;
    }
}

/* The positions [*first, *end) of the epoch's permutation that the block takes. */
static uint32_t s_of_epoch(const sampler_t *self, uint32_t step, uint32_t block, uint32_t *first,
                           uint32_t *end)
{
    uint32_t n_batches =
        (uint32_t)(((uint64_t)self->n_rows + self->batch_rows - 1) / self->batch_rows);
    uint64_t begin = (uint64_t)((step - 1) % n_batches) * self->batch_rows;
    uint32_t from, to;
    sampler_range(self, block, &from, &to);
    *first = (uint32_t)(begin + from < self->n_rows ? begin + from : self->n_rows);
    *end = (uint32_t)(begin + to < self->n_rows ? begin + to : self->n_rows);
    return (step - 1) / n_batches;
}

/* A bijection of [0, 2^(low + high)): a Feistel network of unequal halves by turns, whose function
 * is a draw for (round, half) of the epoch (Luby and Rackoff 1988). */
static uint32_t s_scramble(uint64_t seed, uint32_t epoch, uint32_t low, uint32_t high, uint32_t x)
{
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t bits, half = x & ((1u << low) - 1), other = x >> low, swap = low;
        rng_fill(seed, RNG_SHUFFLE, epoch, (uint64_t)round << 32 | half, 1, &bits);
        x = half << high | (other ^ (bits >> 7 & ((1u << high) - 1)));
        low = high;
        high = swap;
    }
    return x;
}

/* Row `at` of the epoch's permutation of n rows: the bijection of the next power of two, again and
 * again until it comes to one of the n (Black and Rogaway 2002, cycle walking). */
static uint32_t s_permuted(const sampler_t *self, uint32_t epoch, uint32_t at)
{
    uint32_t n_bits = self->n_rows > 1 ? 32u - (uint32_t)__builtin_clz(self->n_rows - 1) : 1;
    uint32_t low = n_bits / 2, x = at;
    do {
        x = s_scramble(self->seed, epoch, low, n_bits - low, x);
    } while (x >= self->n_rows);
    return x;
}

uint32_t sampler_rows(const sampler_t *self, uint32_t step, uint32_t block, uint32_t *rows)
{
    /* A row is in when its 32 bits, as a fraction of 2^32, are below the probability. */
    uint64_t threshold = (uint64_t)(self->fraction * 0x1p32);
    uint32_t first, end;
    uint32_t n = 0;
    uint32_t bits[256];
    if (self->batch_rows > 0) {
        uint32_t epoch = s_of_epoch(self, step, block, &first, &end);
        for (uint32_t at = first; at < end; at++)
            rows[n++] = s_permuted(self, epoch, at);
        return n;
    }
    sampler_range(self, block, &first, &end);
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

uint32_t sampler_count(const sampler_t *self, uint32_t step, uint32_t block, uint32_t *rows)
{
    uint32_t first, end;
    if (self->batch_rows == 0)
        return sampler_rows(self, step, block, rows);
    (void)s_of_epoch(self, step, block, &first, &end);
    return end - first;
}

double sampler_step_rows(const sampler_t *self)
{
    return self->batch_rows > 0 ? (double)self->batch_rows : (double)self->n_rows * self->fraction;
}
