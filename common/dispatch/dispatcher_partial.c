/* Partials: which of them count. See dispatcher.h. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/log_limit.h"
#include "dispatch/dispatcher_self.h"

static void s_release_frame(void *hint)
{
    frame_clear(hint);
    pool_give(hint);
}

/* `member` is NULL for one that has left since. */
static void s_refuse_partial(dispatcher_t *self, member_t *member, const char *why)
{
    self->figures.n_refused++;
    if (!member) {
        log_warn_limited("partial.refused", "?", "step=%u worker=one that has left: %s", self->step,
                         why);
        return;
    }
    /* not limited: after the third it is not let in any more */
    log_warn("partial.refused", "step=%u worker=%s: %s", self->step, member->name, why);
    uint32_t id = member->id;
    wire_peer_t peer = member->peer;
    char name[WIRE_NAME_SIZE];
    memcpy(name, member->name, sizeof(name));
    if (membership_bad_partial(self->members, member)) {
        wire_refusal_t refusal = {.reason = WIRE_REFUSED_QUARANTINE};
        (void)snprintf(refusal.text, sizeof(refusal.text),
                       "quarantined: partials that are not fit to count, last: %.160s", why);
        dispatcher_send_refusal(self, &peer, &refusal, name);
    }
    round_lost(self->round, id); /* others are asked for its blocks */
    self->changed = true;
}

/* The first partial of a member that counts. */
static void s_note_first(const dispatcher_t *self, member_t *member)
{
    if (member->counts)
        return;
    member->counts = true;
    log_info("worker.counts", "name=%s ms=%.0f since it was let in", member->name,
             s_now_ms(self) - member->hello_ms);
}

/* One partial into the tree, or why not. */
void dispatcher_partial(dispatcher_t *self, wire_status_t status, const wire_t *in, frame_t *frame)
{
    if (status != WIRE_OK || in->type != WIRE_PARTIAL) {
        self->figures.n_refused++;
        log_warn_limited("partial.refused", "?", "%s",
                         status != WIRE_OK ? wire_status_text(status) : "not a PARTIAL");
        return;
    }
    if (in->run != self->job.run) {
        self->figures.n_refused++;
        log_warn_limited("partial.refused", "?", "of another run");
        return;
    }
    if (in->incarnation != self->job.incarnation) {
        self->figures.n_duplicates++; /* asked for by a server or relay that has died since */
        return;
    }
    const wire_partial_t *sent = &in->partial;
    member_t *member = membership_by_id(self->members, sent->worker);
    if (membership_quarantined(self->members, sent->worker)) {
        self->figures.n_duplicates++; /* others were asked for its blocks */
        return;
    }
    if (!membership_knew(self->members, sent->worker)) {
        self->figures.n_refused++;
        log_warn_limited("partial.refused", "?", "of a worker that has not joined: %u",
                         sent->worker);
        return;
    }
    if (member)
        member->last_seen_ms = (int64_t)s_now_ms(self);
    if (!self->running || in->step < self->step) {
        self->figures.n_duplicates++; /* late: its step is done */
        return;
    }
    if (in->step > self->step) {
        s_refuse_partial(self, member, "of a step that has not begun");
        return;
    }
    if (member)
        member->newest_step = self->step;
    double begun_ms = s_now_ms(self);
    frame_t *kept = pool_take(self->frames_pool);
    memset(kept, 0, sizeof(*kept));
    frame_move(kept, frame);
    partial_t partial = {
        .gradient = frame_data(kept),
        .cost = sent->cost,
        .correct = sent->correct,
        .rows = sent->rows,
        .release = s_release_frame,
        .hint = kept,
    };
    err_t err;
    switch (aggregate_offer(self->aggregate, sent->node, &partial, frame_size(kept), &err)) {
    case AGGREGATE_ACCEPTED:
        self->changed = true;
        self->progress_ms = begun_ms;
        if (member)
            s_note_first(self, member);
        break;
    case AGGREGATE_DUPLICATE:
        self->figures.n_duplicates++;
        break;
    case AGGREGATE_BAD:
        s_refuse_partial(self, member, err.text);
        break;
    }
    self->figures.sum_ms += s_now_ms(self) - begun_ms;
}
