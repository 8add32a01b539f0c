/* Partials: which of them count. See dispatcher.h. */
#include <math.h>
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

/* While nobody has sent anything right, a worker that sends numbers that are not finite is alone
 * for so long before it is believed: others that are about to come can tell. */
#define ALONE_MS 3000

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
    dispatcher_orphan(self, id);
}

/* Whoever sent other bits than two others agree on is let in no more. */
static void s_expose(dispatcher_t *self, const audit_event_t *liar)
{
    self->figures.n_refused++;
    log_warn("audit.liar", "name=%s host=%s step=%u node=(%u,%u): two others agree on other bits",
             liar->name, liar->host, self->step, liar->node.level, liar->node.index);
    wire_refusal_t refusal = {.reason = WIRE_REFUSED_QUARANTINE};
    (void)snprintf(refusal.text, sizeof(refusal.text),
                   "quarantined: of node (%u,%u) of step %u two others sent the same bits, this "
                   "worker did not",
                   liar->node.level, liar->node.index, self->step);
    uint32_t n;
    const member_t *members = membership_list(self->members, &n);
    for (uint32_t i = n; i-- > 0;) {
        if (strcmp(members[i].name, liar->name) != 0 || strcmp(members[i].host, liar->host) != 0)
            continue;
        uint32_t id = members[i].id;
        dispatcher_send_refusal(self, &members[i].peer, &refusal, liar->name);
        membership_exclude(self->members, id, liar->name, liar->host);
        dispatcher_orphan(self, id);
    }
    if (!membership_quarantined(self->members, liar->worker)) /* it has left, or come back anew */
        membership_exclude(self->members, liar->worker, liar->name, liar->host);
    audit_distrust(self->audit, liar->name, liar->host);
}

void dispatcher_settle_audit(dispatcher_t *self)
{
    node_t node;
    partial_t partial;
    audit_event_t event;
    while (audit_take(self->audit, &node, &partial)) {
        (void)aggregate_insert(self->aggregate, node, &partial);
        self->changed = true;
    }
    while (audit_take_event(self->audit, &event)) {
        node = event.node;
        switch (event.kind) {
        case AUDIT_DIFFERS:
            log_warn("audit.differs", "step=%u node=(%u,%u) between=%s,%s", self->step, node.level,
                     node.index, event.name, event.other);
            break;
        case AUDIT_LIAR:
            s_expose(self, &event);
            break;
        case AUDIT_WAITS:
            log_warn("audit.waiting", "for=a third worker step=%u node=(%u,%u) between=%s,%s",
                     self->step, node.level, node.index, event.name, event.other);
            break;
        case AUDIT_ALONE:
            log_warn_limited("audit.alone", event.name,
                             "step=%u node=(%u,%u) name=%s: nobody else computes it", self->step,
                             node.level, node.index, event.name);
            break;
        }
    }
}

/* The first partial of a member that counts. */
static void s_note_first(dispatcher_t *self, member_t *member)
{
    if (member->counts)
        return;
    member->counts = true;
    self->counted = true;
    log_info("worker.counts", "name=%s ms=%.0f since it was let in", member->name,
             s_now_ms(self) - member->hello_ms);
}

/* A partial that is fit to count: into the tree, or to the other copies of its node. */
static void s_take(dispatcher_t *self, const wire_partial_t *sent, bool added, partial_t *partial)
{
    bool counts = added;
    switch (audit_place(self->audit, sent->node)) {
    case AUDIT_OUTSIDE:
        if (added)
            aggregate_insert_added(self->aggregate, sent->node, partial);
        else
            counts = aggregate_insert(self->aggregate, sent->node, partial);
        break;
    case AUDIT_INSIDE:
        counts = audit_offer(self->audit, sent->worker, sent->node, partial);
        dispatcher_settle_audit(self);
        break;
    case AUDIT_ACROSS: /* it was asked for, if at all, in ranges that end there */
        partial_release(partial);
        log_warn_limited("partial.across", "?",
                         "step=%u worker=%u node=(%u,%u): more than it was asked for in one range",
                         self->step, sent->worker, sent->node.level, sent->node.index);
        break;
    }
    if (!counts) {
        self->figures.n_duplicates++;
        return;
    }
    self->changed = true;
    self->progress_ms = s_now_ms(self);
    member_t *member = membership_by_id(self->members, sent->worker);
    if (member)
        s_note_first(self, member);
}

/* Is there another worker that has sent nothing in this step that is not finite? Then it is asked.
 */
static bool s_others_can_tell(dispatcher_t *self, const member_t *member)
{
    uint32_t n;
    const member_t *members = membership_list(self->members, &n);
    for (uint32_t i = 0; i < n; i++)
        if (members[i].state == MEMBER_ACTIVE && members[i].id != member->id &&
            members[i].wild_step != self->step)
            return true;
    return false;
}

/* A partial that is not finite is one of a broken worker, or of a model that has diverged: then all
 * workers have such ones. So it counts when another one has sent one of the same step, or when
 * nobody else can tell, and this worker has been asked again and again. A worker that has sent
 * nothing right before is not heard; while nobody has, all are that are there together: the model
 * may have begun so. A sum that is not finite then ends the training (math/optimizer.h). */
static bool s_believe_wild(dispatcher_t *self, const member_t *member)
{
    if (self->wild)
        return true;
    if (!member || (self->counted && !member->counts))
        return false;
    bool gone = !self->counted && !membership_by_id(self->members, self->wild_worker);
    if (!self->wild_name[0] || gone) {
        self->wild_worker = member->id;
        memcpy(self->wild_name, member->name, sizeof(self->wild_name));
        memcpy(self->wild_host, member->host, sizeof(self->wild_host));
    }
    bool another =
        strcmp(self->wild_name, member->name) != 0 || strcmp(self->wild_host, member->host) != 0;
    bool alone = membership_last_chance(member) && !s_others_can_tell(self, member) &&
                 (self->counted || s_now_ms(self) - member->hello_ms >= ALONE_MS);
    self->wild = another || alone;
    if (self->wild)
        log_warn("partial.diverged", "step=%u %s", self->step,
                 another ? "two workers have sent numbers that are not finite"
                         : "there is nobody who sends numbers that are finite");
    return self->wild;
}

/* One that is not believed. In a step a worker does wrong once, as long as there are others to ask;
 * and not for the last time before they have had a chance to come. */
static void s_refuse_wild(dispatcher_t *self, member_t *member, const char *why)
{
    bool again = member && member->wild_step == self->step;
    bool offence = !member || (s_others_can_tell(self, member)
                                   ? !again
                                   : self->counted || !membership_last_chance(member));
    if (member)
        member->wild_step = self->step;
    if (offence) {
        s_refuse_partial(self, member, why);
        return;
    }
    self->figures.n_refused++;
    log_warn_limited("partial.refused", member->name, "step=%u worker=%s: %s", self->step,
                     member->name, why);
    dispatcher_orphan(self, member->id);
}

const float *dispatcher_held(const dispatcher_t *self, const wire_t *in, size_t frame_bytes)
{
    node_t node = in->partial.node;
    uint32_t n_blocks = sampler_blocks(&self->job.sampler);
    if (in->type != WIRE_PARTIAL || in->run != self->job.run ||
        in->incarnation != self->job.incarnation || in->step != self->step || !self->running ||
        frame_bytes != self->n_params * sizeof(float) || !node_valid(node, n_blocks) ||
        audit_place(self->audit, node) != AUDIT_OUTSIDE)
        return NULL;
    return aggregate_held(self->aggregate, node);
}

/* Is it a PARTIAL of the step that runs, of somebody who may take part? What is not is counted, and
 * logged unless that is no fault of its sender. */
static bool s_is_expected(dispatcher_t *self, wire_status_t status, const wire_t *in)
{
    if (status != WIRE_OK || in->type != WIRE_PARTIAL) {
        self->figures.n_refused++;
        log_warn_limited("partial.refused", "?", "%s",
                         status != WIRE_OK ? wire_status_text(status) : "not a PARTIAL");
        return false;
    }
    if (in->run != self->job.run) {
        self->figures.n_refused++;
        log_warn_limited("partial.refused", "?", "of another run");
        return false;
    }
    if (in->incarnation != self->job.incarnation) {
        self->figures.n_duplicates++; /* asked for by a server or relay that has died since */
        return false;
    }
    uint32_t worker = in->partial.worker;
    if (membership_quarantined(self->members, worker)) {
        self->figures.n_duplicates++; /* others were asked for its blocks */
        return false;
    }
    if (!membership_knew(self->members, worker)) {
        self->figures.n_refused++;
        log_warn_limited("partial.refused", "?", "of a worker that has not joined: %u", worker);
        return false;
    }
    member_t *member = membership_by_id(self->members, worker);
    if (member)
        member->last_seen_ms = (int64_t)s_now_ms(self);
    if (!self->running || in->step < self->step) {
        self->figures.n_duplicates++; /* late: its step is done */
        return false;
    }
    if (in->step > self->step) {
        s_refuse_partial(self, member, "of a step that has not begun");
        return false;
    }
    if (member)
        member->newest_step = self->step;
    return true;
}

/* One partial into the tree, or why not. */
void dispatcher_partial(dispatcher_t *self, wire_status_t status, const wire_t *in, frame_t *frame)
{
    if (!s_is_expected(self, status, in))
        return;
    const wire_partial_t *sent = &in->partial;
    member_t *member = membership_by_id(self->members, sent->worker);
    double begun_ms = s_now_ms(self);
    frame_t *kept = pool_take(self->frames_pool);
    memset(kept, 0, sizeof(*kept));
    frame_move(kept, frame);
    kept->digested = false; /* others are added to it in place */
    partial_t partial = {
        .gradient = frame_data(kept),
        .cost = sent->cost,
        .correct = sent->correct,
        .rows = sent->rows,
        .release = s_release_frame,
        .hint = kept,
    };
    bool finite = in->finite && isfinite(partial.cost);
    err_t err;
    if (aggregate_check(self->aggregate, sent->node, &partial, frame_size(kept), &err) != 0) {
        partial_release(&partial);
        s_refuse_partial(self, member, err.text);
    } else if (finite || s_believe_wild(self, member))
        s_take(self, sent, in->added, &partial);
    else {
        err_set(&err, "node (%u,%u) has a cost or gradient that is not finite", sent->node.level,
                sent->node.index);
        partial_release(&partial);
        s_refuse_wild(self, member, err.text);
    }
    self->figures.sum_ms += s_now_ms(self) - begun_ms;
}
