/* Evaluations on the side of steps: what scoring plans is sent, what comes back goes there. See
 * dispatcher.h. */
#include "base/array.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "dispatch/dispatcher_self.h"

void dispatcher_evaluate(dispatcher_t *self, uint32_t step, frame_t *weights)
{
    scoring_begin(self->scoring, step);
    frame_clear(&self->evaluated);
    (void)frame_digest(weights); /* made once, for all who get it */
    frame_share(&self->evaluated, weights);
    self->evaluation = step;
}

void dispatcher_evaluate_rows(dispatcher_t *self, uint32_t first, uint32_t end)
{
    scoring_want(self->scoring, first, end);
}

bool dispatcher_take_score(dispatcher_t *self, wire_score_t *score)
{
    return scoring_take(self->scoring, score);
}

void dispatcher_score(dispatcher_t *self, const member_t *member, const wire_score_t *score)
{
    if (!scoring_result(self->scoring, score, s_now_ms(self)))
        log_warn_limited("score.bad", member->name,
                         "name=%s evaluation=%u rows=%u-%u: not what it was asked for",
                         member->name, score->step, score->first, score->end);
}

/* A step's blocks go before: is any of them still to come? */
static bool s_is_busy(const dispatcher_t *self)
{
    uint32_t first, end;
    return self->running && reduce_missing(aggregate_tree(self->aggregate), 0, &first, &end);
}

void dispatcher_plan_evaluation(dispatcher_t *self)
{
    uint32_t n_workers, n, end;
    if (!scoring_owed(self->scoring))
        return;
    const round_worker_t *workers = dispatcher_workers(self, &n_workers);
    self->scorers =
        array_room(self->scorers, n_workers, &self->scorers_room, sizeof(*self->scorers));
    for (uint32_t i = 0; i < n_workers; i++)
        self->scorers[i] = (scoring_worker_t){workers[i].worker, workers[i].speed};
    const wire_range_t *plan =
        scoring_plan(self->scoring, self->scorers, n_workers, s_is_busy(self), s_now_ms(self), &n);
    for (uint32_t at = 0; at < n; at = end) {
        for (end = at; end < n && plan[end].worker == plan[at].worker; end++)
            if (end - at == WIRE_MAX_ASSIGNMENTS)
                break;
        const member_t *member = membership_by_id(self->members, plan[at].worker);
        frame_t weights = {.present = false};
        frame_share(&weights, &self->evaluated);
        self->out.evaluate.step = self->evaluation;
        self->out.ranges = (wire_range_t *)plan + at; /* encoding borrows them */
        self->out.n_ranges = end - at;
        log_debug("evaluation.asked", "step=%u worker=%s ranges=%u", self->evaluation, member->name,
                  end - at);
        dispatcher_send(self, &member->peer, WIRE_EVALUATE, &weights);
    }
}
