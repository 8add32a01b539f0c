/* See worker.h. */
#include "sim/worker.h"

#include <stdio.h>
#include <string.h>

#include "sim/network.h"

static bool s_can_run(const char *kernel)
{
    return strcmp(kernel, KERNEL) == 0;
}

void worker_start(world_t *self, peer_t *peer)
{
    wire_hello_t hello = {.threads = 1, .kernel = KERNEL};
    (void)snprintf(hello.name, sizeof(hello.name), "w%d-%u", peer->place.index, peer->life);
    peer->block_ms = 0.2 + world_uniform(self) * (world_chance(self, 0.2) ? 20 : 2);
    peer->session = session_new(&hello, s_can_run, NULL, 1 + (uint32_t)(world_random(self) % 2));
    peer->gradient =
        gradient_new(&self->job.model, &self->job.sampler, KERNEL_DENSE, self->buffers, NULL);
}

static void s_compute(world_t *self, const peer_t *peer, const session_action_t *action)
{
    uint32_t first, end;
    node_range(action->node, sampler_blocks(&self->job.sampler), &first, &end);
    event_t *event = event_new(EVENT_COMPUTED, peer->place.index, NULL, 0, NULL, 0);
    event->life = peer->life;
    event->epoch = peer->epoch;
    event->step = action->step;
    event->node = action->node;
    queue_put(self->queue, self->now_ms + (end - first) * peer->block_ms, event);
}

static void s_evaluate(world_t *self, const peer_t *peer, const session_action_t *action)
{
    event_t *event = event_new(EVENT_COMPUTED, peer->place.index, NULL, 0, NULL, 0);
    event->life = peer->life;
    event->score = (wire_score_t){.step = action->step, .first = action->first, .end = action->end};
    queue_put(self->queue, self->now_ms + peer->block_ms, event);
}

/* Flips a bit low in a number; not the same one soon again, so that no two lies ever agree, not
 * even those that come through one relay and another. */
static void s_lie(world_t *self, float *gradient)
{
    uint32_t bits, n_params = (uint32_t)model_params(&self->job.model);
    float *value = &gradient[self->n_lies % n_params];
    memcpy(&bits, value, sizeof(bits));
    bits ^= 1u << (self->n_lies / n_params % 23);
    memcpy(value, &bits, sizeof(bits));
    self->n_lies++;
}

bool worker_act(world_t *self, peer_t *peer)
{
    session_action_t action;
    int number = peer->place.index;
    for (;;) {
        switch (session_next(peer->session, (int64_t)self->now_ms, &action)) {
        case SESSION_NOTHING:
            return true;
        case SESSION_SEND:
            network_send(self, EVENT_CONTROL, number, action.message, NULL);
            break;
        case SESSION_SET_UP:
            peer->epoch++;
            session_ready(peer->session, (int64_t)self->now_ms);
            break;
        case SESSION_FETCH:
            network_send(self, EVENT_DATA, number, action.message, NULL);
            break;
        case SESSION_COMPUTE:
            s_compute(self, peer, &action);
            break;
        case SESSION_EVALUATE:
            s_evaluate(self, peer, &action);
            break;
        case SESSION_CANCEL:
            peer->epoch++;
            break;
        case SESSION_PUSH: {
            if (self->lie > 0 && number == LIAR && world_chance(self, self->lie))
                s_lie(self, action.partial.gradient);
            frame_t frame = {.present = false};
            frame_from_pool(&frame, action.partial.gradient,
                            model_params(&self->job.model) * sizeof(float));
            network_send(self, EVENT_GRADIENT, number, action.message, &frame);
            break;
        }
        case SESSION_LEAVE:
        case SESSION_REFUSED: /* damaged too often */
            return false;
        }
    }
}

static void s_evaluated_rows(peer_t *peer, const event_t *event)
{
    const rowcache_t *rows = session_rowcache(peer->session);
    wire_score_t score = event->score;
    size_t n_inputs = session_job(peer->session)->model.n_inputs;
    uint32_t n_correct;
    if (!peer->evaluated.present)
        return; /* of the membership before */
    score.cost =
        gradient_evaluate(peer->gradient, frame_data(&peer->evaluated),
                          rowcache_images(rows) + score.first * n_inputs,
                          rowcache_labels(rows) + score.first, score.end - score.first, &n_correct);
    score.correct = n_correct;
    session_score(peer->session, &score);
}

bool worker_computed(world_t *self, const event_t *event)
{
    static const _Atomic uint64_t never = 0;
    peer_t *peer = &self->peers[event->peer];
    if (!peer->alive || event->life != peer->life)
        return true;
    if (event->score.end > 0) {
        s_evaluated_rows(peer, event);
    } else if (event->epoch == peer->epoch) {
        const rowcache_t *rows = session_rowcache(peer->session);
        partial_t partial;
        (void)gradient_node(peer->gradient, frame_data(&peer->weights), rowcache_images(rows),
                            rowcache_labels(rows), event->step, event->node, &never, 0, &partial);
        session_result(peer->session, event->step, event->node, &partial);
    } else {
        return true;
    }
    return worker_act(self, peer);
}
