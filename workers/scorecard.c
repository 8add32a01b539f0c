/* See scorecard.h. */
#include "workers/scorecard.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

void scorecard_clear(scorecard_t *self)
{
    free(self->rows);
    free(self->scores);
    memset(self, 0, sizeof(*self));
}

void scorecard_forget(scorecard_t *self)
{
    self->evaluation = 0;
    self->n_rows = 0;
    self->n_scores = 0;
}

static scorecard_rows_t *s_find(scorecard_t *self, uint32_t first)
{
    for (uint32_t i = 0; i < self->n_rows; i++)
        if (self->rows[i].first == first)
            return &self->rows[i];
    return NULL;
}

bool scorecard_ask(scorecard_t *self, uint32_t first, uint32_t end)
{
    if (s_find(self, first))
        return false;
    self->rows = array_room(self->rows, self->n_rows + 1, &self->rows_room, sizeof(*self->rows));
    self->rows[self->n_rows++] = (scorecard_rows_t){first, end, false};
    return true;
}

bool scorecard_hand_out(scorecard_t *self, const rowcache_t *there, uint32_t *first, uint32_t *end)
{
    for (uint32_t i = 0; i < self->n_rows; i++) {
        scorecard_rows_t *rows = &self->rows[i];
        if (rows->handed_out || !rowcache_has(there, rows->first, rows->end))
            continue;
        rows->handed_out = true;
        self->n_computing++;
        *first = rows->first;
        *end = rows->end;
        return true;
    }
    return false;
}

void scorecard_result(scorecard_t *self, const wire_score_t *score)
{
    scorecard_rows_t *rows = score->step == self->evaluation ? s_find(self, score->first) : NULL;
    self->n_computing -= self->n_computing > 0;
    if (!rows)
        return;
    *rows = self->rows[--self->n_rows];
    self->scores =
        array_room(self->scores, self->n_scores + 1, &self->scores_room, sizeof(*self->scores));
    self->scores[self->n_scores++] = *score;
}

bool scorecard_take(scorecard_t *self, wire_score_t *score)
{
    if (self->n_scores == 0)
        return false;
    *score = self->scores[--self->n_scores];
    return true;
}
