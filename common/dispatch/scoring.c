/* See scoring.h. */
#include "dispatch/scoring.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

#define LATE_MS      500.0 /* without a result, while no step is computed; twice that the next time */
#define LATE_FACTOR  3     /* times the longest that one has taken, if that is more */
#define MOST_LATE_MS 30000.0

typedef enum {
    BLOCK_WANTED,
    BLOCK_ASKED,
    BLOCK_DONE,
    BLOCK_TAKEN,
} block_state_t;

typedef struct {
    block_state_t state;
    uint32_t worker; /* who was asked; 0: nobody */
    wire_score_t score;
} block_t;

struct scoring {
    uint32_t step;
    block_t *blocks; /* owned */
    uint32_t n_blocks;
    uint32_t blocks_room;
    uint32_t n_wanted;
    uint32_t n_asked;
    uint32_t n_done;
    double progress_ms; /* the last result, or when workers had nothing else to do */
    double slowest_ms;  /* between two results */
    double late_ms;
    wire_range_t *plan; /* owned, as the next */
    uint32_t plan_room;
    scoring_worker_t *able;
    uint32_t able_room;
};

scoring_t *scoring_new(void)
{
    scoring_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    return self;
}

void scoring_destroy(scoring_t **self_p)
{
    scoring_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    free(self->blocks);
    free(self->plan);
    free(self->able);
    free(self);
}

void scoring_begin(scoring_t *self, uint32_t step)
{
    self->step = step;
    self->n_blocks = self->n_wanted = self->n_asked = self->n_done = 0;
    self->late_ms = LATE_MS;
}

static block_t *s_find(scoring_t *self, uint32_t first)
{
    for (uint32_t i = 0; i < self->n_blocks; i++)
        if (self->blocks[i].score.first == first)
            return &self->blocks[i];
    return NULL;
}

void scoring_want(scoring_t *self, uint32_t first, uint32_t end)
{
    bool behind = self->n_blocks == 0 || first > self->blocks[self->n_blocks - 1].score.first;
    block_t *block = behind ? NULL : s_find(self, first); /* mostly they come in order */
    if (block) {
        if (block->state == BLOCK_TAKEN) {
            block->state = BLOCK_DONE;
            self->n_done++;
        }
        return;
    }
    self->blocks =
        array_room(self->blocks, self->n_blocks + 1, &self->blocks_room, sizeof(*self->blocks));
    self->blocks[self->n_blocks++] = (block_t){
        .state = BLOCK_WANTED,
        .score = {.step = self->step, .first = first, .end = end},
    };
    self->n_wanted++;
}

static void s_ask_again(scoring_t *self, block_t *block)
{
    block->state = BLOCK_WANTED;
    self->n_asked--;
    self->n_wanted++;
}

void scoring_lost(scoring_t *self, uint32_t worker)
{
    for (uint32_t i = 0; i < self->n_blocks && self->n_asked > 0; i++) {
        block_t *block = &self->blocks[i];
        if (block->worker != worker)
            continue;
        if (block->state == BLOCK_ASKED)
            s_ask_again(self, block);
        block->worker = 0;
    }
}

static bool s_owes(const scoring_t *self, uint32_t worker)
{
    for (uint32_t i = 0; i < self->n_blocks; i++)
        if (self->blocks[i].state <= BLOCK_ASKED && self->blocks[i].worker == worker)
            return true;
    return false;
}

/* Wants again what has not come for long. Who still owes it is asked only if all do. */
static void s_check_late(scoring_t *self, bool busy, double now_ms)
{
    double patience_ms = LATE_FACTOR * self->slowest_ms;
    if (busy || self->n_asked == 0)
        self->progress_ms = now_ms;
    if (patience_ms < self->late_ms)
        patience_ms = self->late_ms;
    if (patience_ms > MOST_LATE_MS)
        patience_ms = MOST_LATE_MS;
    if (now_ms - self->progress_ms < patience_ms)
        return;
    self->progress_ms = now_ms;
    self->late_ms *= 2;
    for (uint32_t i = 0; i < self->n_blocks; i++)
        if (self->blocks[i].state == BLOCK_ASKED)
            s_ask_again(self, &self->blocks[i]);
}

/* Those who owe nothing; all, when there is none. */
static uint32_t s_choose(scoring_t *self, const scoring_worker_t *workers, uint32_t n)
{
    uint32_t n_able = 0;
    self->able = array_room(self->able, n, &self->able_room, sizeof(*self->able));
    for (uint32_t i = 0; i < n; i++)
        if (!s_owes(self, workers[i].worker))
            self->able[n_able++] = workers[i];
    if (n_able > 0 || n == 0)
        return n_able;
    memcpy(self->able, workers, n * sizeof(*workers));
    return n;
}

/* The one of the chosen whose part of all speed the i-th of n lies in. */
static uint32_t s_deal(const scoring_t *self, uint32_t n_able, uint32_t i, uint32_t n)
{
    double total = 0, so_far = 0;
    for (uint32_t k = 0; k < n_able; k++)
        total += self->able[k].speed;
    for (uint32_t k = 0; k + 1 < n_able; k++) {
        so_far += self->able[k].speed;
        if ((i + 0.5) / n < so_far / total)
            return self->able[k].worker;
    }
    return self->able[n_able - 1].worker;
}

const wire_range_t *scoring_plan(scoring_t *self, const scoring_worker_t *workers, uint32_t n,
                                 bool busy, double now_ms, uint32_t *n_ranges)
{
    uint32_t n_able, n_wanted;
    *n_ranges = 0;
    s_check_late(self, busy, now_ms);
    if (self->n_wanted == 0 || (n_able = s_choose(self, workers, n)) == 0)
        return self->plan;
    n_wanted = self->n_wanted;
    self->plan = array_room(self->plan, n_wanted, &self->plan_room, sizeof(*self->plan));
    for (uint32_t i = 0; i < self->n_blocks; i++) {
        block_t *block = &self->blocks[i];
        if (block->state != BLOCK_WANTED)
            continue;
        block->state = BLOCK_ASKED;
        block->worker = s_deal(self, n_able, *n_ranges, n_wanted);
        self->plan[(*n_ranges)++] =
            (wire_range_t){block->worker, block->score.first, block->score.end};
    }
    self->n_wanted = 0;
    self->n_asked += n_wanted;
    return self->plan;
}

bool scoring_owed(const scoring_t *self)
{
    return self->n_wanted > 0 || self->n_asked > 0;
}

bool scoring_result(scoring_t *self, const wire_score_t *score, double now_ms)
{
    block_t *block = score->step == self->step ? s_find(self, score->first) : NULL;
    if (score->step < self->step)
        return true; /* of one that is over */
    if (!block || block->score.end != score->end || score->correct > score->end - score->first ||
        score->cost < 0)
        return false;
    if (block->state >= BLOCK_DONE)
        return true;
    if (block->state == BLOCK_WANTED)
        self->n_wanted--;
    else
        self->n_asked--;
    block->state = BLOCK_DONE;
    block->score = *score;
    self->n_done++;
    if (now_ms - self->progress_ms > self->slowest_ms)
        self->slowest_ms = now_ms - self->progress_ms;
    self->progress_ms = now_ms;
    return true;
}

bool scoring_take(scoring_t *self, wire_score_t *score)
{
    for (uint32_t i = 0; i < self->n_blocks && self->n_done > 0; i++) {
        if (self->blocks[i].state != BLOCK_DONE)
            continue;
        self->blocks[i].state = BLOCK_TAKEN;
        self->n_done--;
        *score = self->blocks[i].score;
        return true;
    }
    return false;
}
