/* Counter-based random numbers: Philox4x32-10.
 *
 * Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011. A draw is a
 * function of (seed, purpose, step, index) and of nothing that was drawn before, so any machine
 * can make any draw. docs/determinism.md states the layout of key and counter.
 */
#ifndef DROVER_MATH_RNG_H
#define DROVER_MATH_RNG_H

#include <stddef.h>
#include <stdint.h>

/* What a draw is for; part of the counter, and therefore of the bits: never renumber. */
typedef enum {
    RNG_INIT = 1,     /* initial weights; index = parameter */
    RNG_SAMPLE = 2,   /* rows of a step; index = row */
    RNG_SHOW = 3,     /* rows shown in pictures; index = position */
    RNG_FAULT = 4,    /* injected faults (proto/chaos.h); step = stream; no bit of a model */
    RNG_CANNED = 5,   /* partials of simulated workers; no bit of a model */
    RNG_AUDIT = 6,    /* which nodes are computed twice; index = level 2^32 + index of the node */
    RNG_AUDITOR = 7,  /* by whom; index = first block 2^32 + number of the worker */
    RNG_DROPOUT = 8,  /* 16 bits an output; index = row 2^32 + layer 2^27 + output / 2 */
    RNG_SHUFFLE = 9,  /* permutations of rows; step = epoch, index = round 2^32 + half */
    RNG_AUGMENT = 10, /* altered images (math/augment.h); index = row 2^32 + number of the draw */
    RNG_SPLIT = 11,   /* rows held out for validation; index = row */
    RNG_SWEEP = 12,   /* what a trial tries; step = trial, index = 2 key and 2 key + 1 */
} rng_purpose_t;

/* The bijection itself, as in the paper's table of known answers. */
void rng_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* out[i] = the 32 random bits of index first + i, for i in [0, n). Key = (seed low, seed high);
 * index j is word j % 4 of the counter (j / 4 low, j / 4 high, step, purpose). */
void rng_fill(uint64_t seed, rng_purpose_t purpose, uint32_t step, uint64_t first, size_t n,
              uint32_t *out);

#endif
