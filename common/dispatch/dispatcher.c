/* See dispatcher.h. */
#include "dispatch/dispatcher.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "base/pool.h"
#include "dispatch/dispatcher_self.h"

#define HEARTBEAT_MS 100
#define LIVENESS_MS  3000
#define REPEAT_MS    50  /* a heartbeat may have crossed the weights that it does not know */
#define AGAIN_MS     400 /* between two repetitions to one worker: large weights take a while */
#define BYTES_PER_MS 1e5 /* that a network carries at least: about 1 Gbit/s */
#define PROBE_MS     100 /* between two looks at the silent */

/* What one more node costs, in blocks: a gradient through the socket and the sum at about 2 GB/s,
 * against some 0.2 us for the multiply-adds of a row and 1000 parameters; the parameters cancel.
 * Only balance depends on it, never the bits. */
static double s_node_cost(uint32_t block_rows)
{
    return 10.0 / block_rows;
}

dispatcher_t *dispatcher_new(const dispatch_job_t *job, const dispatch_ports_t *ports,
                             const dispatch_planes_t *planes)
{
    dispatcher_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->job = *job;
    self->ports = *ports;
    self->planes = *planes;
    self->n_params = model_params(&job->model);
    membership_job_t admission = {.n_params = self->n_params, .strict = job->strict};
    memcpy(admission.kernel, job->kernel, sizeof(admission.kernel));
    memcpy(admission.digest, job->digest, sizeof(admission.digest));
    self->members = membership_new(&admission, LIVENESS_MS);
    self->aggregate = aggregate_new(job->sampler, self->n_params);
    uint32_t n_blocks = sampler_blocks(&job->sampler);
    self->audit = audit_new(job->sampler.seed, job->audit, n_blocks, self->n_params);
    self->round = round_new(n_blocks, s_node_cost(job->sampler.block_rows), self->audit);
    self->scoring = scoring_new();
    self->frames_pool = pool_new(sizeof(frame_t));
    return self;
}

void dispatcher_destroy(dispatcher_t **self_p)
{
    dispatcher_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    aggregate_destroy(&self->aggregate); /* gives frames back, as the next does: before the pool */
    audit_destroy(&self->audit);
    frame_clear(&self->current);
    frame_clear(&self->evaluated);
    scoring_destroy(&self->scoring);
    membership_destroy(&self->members);
    round_destroy(&self->round);
    pool_destroy(&self->frames_pool);
    free(self->workers);
    free(self->auditors);
    free(self->scorers);
    free(self->asked);
    free(self->reported);
    free(self);
}

/* Sending */

wire_t *dispatcher_message(dispatcher_t *self, wire_type_t type)
{
    self->out.type = type;
    self->out.run = self->job.run;
    self->out.incarnation = self->job.incarnation;
    self->out.step = self->step;
    return &self->out;
}

void dispatcher_send(dispatcher_t *self, const wire_peer_t *peer, wire_type_t type, frame_t *frame)
{
    if (!self->ports.control(self->ports.context, peer, dispatcher_message(self, type), frame))
        log_debug("control.dropped", "type=%s", wire_type_name(type));
}

void dispatcher_send_refusal(dispatcher_t *self, const wire_peer_t *peer,
                             const wire_refusal_t *refusal, const char *name)
{
    /* a worker that can run the job's kernel comes back with it; one that cannot stops and says so
     */
    if (refusal->reason == WIRE_REFUSED_KERNEL)
        log_debug("worker.refused", "name=%s %s", name, refusal->text);
    else
        log_warn_limited("worker.refused", name, "name=%s %s", name, refusal->text);
    self->out.refusal = *refusal;
    dispatcher_send(self, peer, WIRE_REFUSED, NULL);
}

/* Asks one worker for blocks; with the weights when it does not have them yet. */
static void s_ask(dispatcher_t *self, const member_t *member, const wire_range_t *ranges,
                  uint32_t n)
{
    self->out.ranges = (wire_range_t *)ranges; /* encoding borrows them */
    self->out.n_ranges = n;
    if (member->newest_step == self->step) {
        dispatcher_send(self, &member->peer, WIRE_ASSIGN, NULL);
        return;
    }
    frame_t weights = {.present = false};
    frame_share(&weights, &self->current);
    dispatcher_send(self, &member->peer, WIRE_STEP, &weights);
}

/* Steps */

static round_worker_t s_round_worker(const dispatcher_t *self, const member_t *member)
{
    return (round_worker_t){member->id, membership_speed(self->members, member),
                            member->blocks_per_ms > 0, member->doubt};
}

const round_worker_t *dispatcher_workers(dispatcher_t *self, uint32_t *n)
{
    uint32_t n_members;
    int64_t now_ms = (int64_t)s_now_ms(self);
    member_t *members = membership_list(self->members, &n_members);
    self->workers =
        array_room(self->workers, n_members, &self->workers_room, sizeof(*self->workers));
    *n = 0;
    for (int also = 0; also < 3 && *n == 0; also++) /* from 1 on the wild, from 2 on the silent */
        for (uint32_t i = 0; i < n_members; i++)
            if (members[i].state == MEMBER_ACTIVE &&
                (also >= 1 || members[i].wild_step != self->step) &&
                (also >= 2 || !membership_silent(&members[i], now_ms)))
                self->workers[(*n)++] = s_round_worker(self, &members[i]);
    return self->workers;
}

static member_t *s_count_asked(dispatcher_t *self, const wire_range_t *range)
{
    member_t *member = membership_by_id(self->members, range->worker);
    member->n_assigned += range->end - range->first;
    return member;
}

/* All active workers, for the audit; none when it is off. */
static const audit_worker_t *s_auditors(dispatcher_t *self, uint32_t *n)
{
    uint32_t n_members;
    int64_t now_ms = (int64_t)s_now_ms(self);
    const member_t *members = membership_list(self->members, &n_members);
    self->auditors =
        array_room(self->auditors, n_members, &self->auditors_room, sizeof(*self->auditors));
    *n = 0;
    for (uint32_t i = 0; i < n_members && self->job.audit > 0; i++)
        if (members[i].state == MEMBER_ACTIVE)
            self->auditors[(*n)++] = (audit_worker_t){
                .worker = members[i].id,
                .name = members[i].name,
                .host = members[i].host,
                .speed = membership_speed(self->members, &members[i]) * (1 - members[i].doubt),
                .owed = self->running ? round_owed_blocks(self->round, members[i].id) : 0,
                .silent = membership_silent(&members[i], now_ms),
            };
    return self->auditors;
}

/* Lets the audit ask for copies: they become part of round's plan. */
static void s_audit(dispatcher_t *self, double now_ms)
{
    uint32_t n_workers, n;
    if (!audit_due(self->audit))
        return;
    const audit_worker_t *workers = s_auditors(self, &n_workers);
    const wire_range_t *asks = audit_ask(self->audit, workers, n_workers, now_ms, &n);
    for (uint32_t i = 0; i < n; i++) {
        round_worker_t worker =
            s_round_worker(self, membership_by_id(self->members, asks[i].worker));
        round_ask_copy(self->round, &worker, asks[i].first, asks[i].end, now_ms);
    }
    dispatcher_settle_audit(self);
}

/* Workers too slow for a single block of this step. */
static void s_rest_unplanned(dispatcher_t *self, const wire_range_t *plan, uint32_t n)
{
    uint32_t n_members;
    member_t *members = membership_list(self->members, &n_members);
    for (uint32_t i = 0; i < n_members; i++)
        members[i].planned = false;
    for (uint32_t i = 0; i < n; i++)
        s_count_asked(self, &plan[i])->planned = true;
    for (uint32_t i = 0; i < n_members; i++)
        if (members[i].state == MEMBER_ACTIVE && !members[i].planned)
            membership_rested(&members[i]);
}

void dispatcher_begin(dispatcher_t *self, uint32_t step, frame_t *weights, const node_t *wanted,
                      uint32_t n)
{
    uint32_t n_workers, n_ranges;
    self->step = step;
    const round_worker_t *workers = dispatcher_workers(self, &n_workers);
    double begun_ms = s_now_ms(self);
    self->figures = (dispatch_figures_t){0};
    frame_clear(&self->current);
    frame_share(&self->current, weights);
    self->running = false;
    self->wild = false;
    self->wild_name[0] = '\0';
    aggregate_begin(self->aggregate, step);
    audit_begin(self->audit, step, n_workers);
    for (uint32_t i = 0; i < n; i++)
        dispatcher_want(self, wanted[i]);
    round_begin(self->round, aggregate_tree(self->aggregate), workers, n_workers, begun_ms);
    s_audit(self, begun_ms);
    self->out.ranges = (wire_range_t *)round_plan(self->round, &n_ranges);
    self->out.n_ranges = n_ranges;
    s_rest_unplanned(self, self->out.ranges, n_ranges);
    frame_t shared = {.present = false};
    frame_share(&shared, &self->current);
    self->ports.weights(self->ports.context, dispatcher_message(self, WIRE_STEP), &shared);
    self->published_ms = s_now_ms(self);
    self->progress_ms = self->published_ms;
    self->say_ms = 0;
    self->figures.broadcast_ms = self->published_ms - begun_ms;
    aggregate_count_rows(self->aggregate); /* the workers compute meanwhile */
    self->running = true;
}

void dispatcher_want(dispatcher_t *self, node_t node)
{
    uint32_t n;
    const audit_worker_t *workers = s_auditors(self, &n);
    aggregate_want(self->aggregate, node);
    audit_want(self->audit, node, workers, n);
    round_wanted(self->round);
    self->changed = true;
}

/* Asks the worker of ranges[at] for all that is there for it from there on, in one message, unless
 * an earlier place has done so. */
static void s_ask_all(dispatcher_t *self, const wire_range_t *ranges, uint32_t at, uint32_t n)
{
    uint32_t n_asked = 0;
    for (uint32_t i = 0; i < at; i++)
        if (ranges[i].worker == ranges[at].worker)
            return;
    self->asked = array_room(self->asked, n, &self->asked_room, sizeof(*self->asked));
    for (uint32_t i = at; i < n; i++)
        if (ranges[i].worker == ranges[at].worker)
            self->asked[n_asked++] = ranges[i];
    const member_t *member = membership_by_id(self->members, ranges[at].worker);
    log_debug("blocks.asked", "step=%u worker=%s blocks=%u-%u ranges=%u", self->step, member->name,
              ranges[at].first, ranges[at].end, n_asked);
    s_ask(self, member, self->asked, n_asked);
}

/* How long the step's weights may be on their way to all who have not shown to have them: until
 * then to send them again would only make the others' later. */
static double s_travel_ms(const dispatcher_t *self)
{
    uint32_t n_lacking = membership_lacking(self->members, self->step);
    return (double)n_lacking * (double)(self->n_params * sizeof(float)) / BYTES_PER_MS;
}

/* Says again what is overdue, but not to those who have just been sent it with the weights. */
static void s_remind(dispatcher_t *self, double now_ms)
{
    uint32_t n;
    const wire_range_t *reminders = round_reminders(self->round, &n);
    double arrived_ms = n > 0 ? self->published_ms + s_travel_ms(self) : 0;
    for (uint32_t i = 0; i < n; i++) {
        member_t *member = membership_by_id(self->members, reminders[i].worker);
        bool lacks_weights = member->newest_step < self->step;
        if (lacks_weights && now_ms < fmax(arrived_ms, member->repeated_ms + AGAIN_MS))
            continue;
        s_ask_all(self, reminders, i, n);
        if (lacks_weights)
            member->repeated_ms = now_ms;
    }
}

static double s_deadline_ms(const dispatcher_t *self)
{
    return fmin(round_deadline_ms(self->round), audit_deadline_ms(self->audit));
}

/* Lets round and audit react to what happened, and sends what they plan. */
static void s_plan(dispatcher_t *self)
{
    if (!self->running)
        return;
    double now_ms = s_now_ms(self);
    if (!self->changed && now_ms < s_deadline_ms(self))
        return;
    self->changed = false;
    uint32_t n_workers, n;
    const round_worker_t *workers = dispatcher_workers(self, &n_workers);
    round_tick(self->round, workers, n_workers, now_ms);
    round_closed_t closed;
    while (round_take_closed(self->round, &closed)) {
        member_t *member = membership_by_id(self->members, closed.worker);
        if (member && closed.late) {
            log_warn("worker.late", "step=%u name=%s blocks=%u after_ms=%.0f", self->step,
                     member->name, closed.n_blocks, closed.elapsed_ms);
            membership_late(member, closed.n_blocks);
        } else if (member)
            membership_measure(member, closed.n_blocks, closed.elapsed_ms);
    }
    s_audit(self, now_ms);
    const wire_range_t *plan = round_plan(self->round, &n);
    for (uint32_t i = 0; i < n; i++) {
        (void)s_count_asked(self, &plan[i]);
        s_ask_all(self, plan, i, n);
    }
    s_remind(self, now_ms);
}

bool dispatcher_take(dispatcher_t *self, node_t *node, partial_t *partial)
{
    return self->running && aggregate_take(self->aggregate, node, partial);
}

void dispatcher_move_gradient(partial_t *partial, frame_t *frame)
{
    frame_move(frame, partial->hint);
    partial_release(partial);
}

void dispatcher_end(dispatcher_t *self)
{
    uint32_t first, end;
    if (!reduce_missing(aggregate_tree(self->aggregate), 0, &first, &end)) {
        self->changed = true;
        s_plan(self); /* closes the assignments, so that speeds are known */
    }
    self->running = false;
}

/* Members */

void dispatcher_orphan(dispatcher_t *self, uint32_t id)
{
    round_lost(self->round, id);
    audit_lost(self->audit, id);
    scoring_lost(self->scoring, id);
    self->changed = true;
}

static void s_lose(dispatcher_t *self, uint32_t id)
{
    membership_remove(self->members, id);
    dispatcher_orphan(self, id);
}

static void s_on_hello(dispatcher_t *self, const wire_peer_t *peer, const wire_t *in)
{
    wire_refusal_t refusal;
    member_t *member =
        membership_hello(self->members, peer, &in->hello, (int64_t)s_now_ms(self), &refusal);
    if (!member) {
        dispatcher_send_refusal(self, peer, &refusal, in->hello.name);
        return;
    }
    wire_welcome_t *welcome = &self->out.welcome;
    memset(welcome, 0, sizeof(*welcome));
    welcome->worker = member->id;
    welcome->model = self->job.model;
    welcome->sampler = self->job.sampler;
    welcome->heartbeat_ms = HEARTBEAT_MS;
    welcome->audit = self->job.audit;
    welcome->evaluation_rows = dispatcher_rows(self) - self->job.sampler.n_rows;
    memcpy(welcome->rows, self->job.rows_name, sizeof(welcome->rows));
    (void)snprintf(welcome->digest, sizeof(welcome->digest), "%s", self->job.digest);
    (void)snprintf(welcome->kernel, sizeof(welcome->kernel), "%s",
                   membership_kernel(self->members));
    memcpy(welcome->data, self->planes.data, sizeof(welcome->data));
    memcpy(welcome->weights, self->planes.weights, sizeof(welcome->weights));
    memcpy(welcome->gradients, self->planes.gradients, sizeof(welcome->gradients));
    dispatcher_send(self, peer, WIRE_WELCOME, NULL);
}

/* Weights that a member should have by now are said again, with what it owes. wait_ms: how long
 * the member may not have known of them when it said that it lacks them. */
static void s_repeat_missed(dispatcher_t *self, member_t *member, double wait_ms)
{
    double now_ms = s_now_ms(self);
    if (!self->running || member->state != MEMBER_ACTIVE || member->newest_step >= self->step ||
        now_ms < self->published_ms + wait_ms || now_ms < member->repeated_ms + AGAIN_MS ||
        now_ms < self->published_ms + wait_ms + s_travel_ms(self))
        return;
    member->repeated_ms = now_ms;
    uint32_t n;
    const wire_range_t *owed = round_owed(self->round, member->id, &n);
    log_debug("weights.repeated", "step=%u worker=%s", self->step, member->name);
    s_ask(self, member, owed, n);
}

static void s_on_ready(dispatcher_t *self, member_t *member, const wire_t *in)
{
    if (member->state == MEMBER_ACTIVE) {
        /* Said again: no step has reached it since it joined, most likely since its subscription
         * came later than its first READY, on another connection. */
        member->newest_step = 0;
        s_repeat_missed(self, member, 0);
        return;
    }
    wire_refusal_t refusal;
    member_t leaving = *member; /* a refused one is gone after the call */
    if (!membership_ready(self->members, member, &in->ready, &refusal)) {
        dispatcher_send_refusal(self, &leaving.peer, &refusal, leaving.name);
        return;
    }
    log_info("worker.joined", "name=%s host=%s threads=%u kernel=%s workers=%u", leaving.name,
             leaving.host, leaving.threads, leaving.kernel, membership_active(self->members));
    if (strcmp(leaving.kernel, membership_kernel(self->members)) != 0)
        log_warn("worker.kernel",
                 "name=%s kernel=%s job=%s: numerics.mode is fast, the bits "
                 "depend on who computes what",
                 leaving.name, leaving.kernel, membership_kernel(self->members));
    self->changed = true;
}

static void s_on_heartbeat(dispatcher_t *self, member_t *member, const wire_t *in)
{
    uint32_t newest = in->heartbeat.newest_step;
    if (newest <= self->step && newest > member->newest_step)
        member->newest_step = newest;
    self->out.heartbeat.newest_step = self->step;
    dispatcher_send(self, &member->peer, WIRE_HEARTBEAT, NULL);
    s_repeat_missed(self, member, REPEAT_MS);
}

void dispatcher_control(dispatcher_t *self, const wire_peer_t *peer, wire_status_t status,
                        const wire_t *in)
{
    if (status == WIRE_BAD_VERSION) {
        wire_refusal_t refusal;
        membership_refuse_version(in->version, &refusal);
        dispatcher_send_refusal(self, peer, &refusal, "?");
        return;
    }
    member_t *member = membership_by_peer(self->members, peer);
    if (status != WIRE_OK) {
        const char *name = member ? member->name : "?";
        log_warn_limited("control.bad", name, "name=%s %s", name, wire_status_text(status));
        return;
    }
    if (member)
        member->last_seen_ms = (int64_t)s_now_ms(self);
    if (in->type == WIRE_HELLO) {
        s_on_hello(self, peer, in);
        return;
    }
    /* Unknown here, or a member that has missed that this is another job than its own, or one whose
     * READY was lost and that has heard a step since: it would not say READY again. */
    if (!member || in->run != self->job.run || in->incarnation != self->job.incarnation ||
        (member->state == MEMBER_JOINING &&
         (in->type == WIRE_HEARTBEAT || in->type == WIRE_EVALUATED))) {
        if (in->type != WIRE_BYE)
            dispatcher_send(self, peer, WIRE_REJOIN, NULL);
        return;
    }
    switch (in->type) {
    case WIRE_READY:
        s_on_ready(self, member, in);
        break;
    case WIRE_HEARTBEAT:
        s_on_heartbeat(self, member, in);
        break;
    case WIRE_EVALUATED:
        dispatcher_score(self, member, &in->score);
        break;
    case WIRE_BYE:
        log_info("worker.left", "name=%s workers=%u", member->name,
                 membership_active(self->members) - (member->state == MEMBER_ACTIVE));
        s_lose(self, member->id);
        break;
    default:
        log_warn_limited("control.unexpected", member->name, "name=%s type=%s", member->name,
                         wire_type_name(in->type));
    }
}

/* A silent member may be busy, stopped, or gone. Where its connection is closed a message to it
 * cannot be routed, and it will never come back by that name: no need to wait for it to expire. */
static void s_probe(dispatcher_t *self)
{
    double now_ms = s_now_ms(self);
    if (now_ms < self->probe_ms)
        return;
    self->probe_ms = now_ms + PROBE_MS;
    uint32_t n;
    const member_t *members = membership_list(self->members, &n);
    for (uint32_t i = n; i-- > 0;) {
        if (!membership_silent(&members[i], (int64_t)now_ms))
            continue;
        self->out.heartbeat.newest_step = self->step;
        if (self->ports.control(self->ports.context, &members[i].peer,
                                dispatcher_message(self, WIRE_HEARTBEAT), NULL))
            continue;
        log_warn("worker.lost", "name=%s host=%s its connection is closed", members[i].name,
                 members[i].host);
        s_lose(self, members[i].id);
    }
}

static void s_expire(dispatcher_t *self)
{
    uint32_t id;
    s_probe(self);
    while ((id = membership_expired(self->members, (int64_t)s_now_ms(self))) != 0) {
        const member_t *member = membership_by_id(self->members, id);
        log_warn("worker.lost", "name=%s host=%s silent_ms=%d", member->name, member->host,
                 LIVENESS_MS);
        s_lose(self, id);
    }
}

void dispatcher_tick(dispatcher_t *self)
{
    s_expire(self);
    s_plan(self);
    dispatcher_plan_evaluation(self);
    dispatcher_say_waits(self);
}

long dispatcher_timeout_ms(const dispatcher_t *self)
{
    double left = self->running ? s_deadline_ms(self) - s_now_ms(self) : INFINITY;
    if (left > HEARTBEAT_MS)
        return HEARTBEAT_MS;
    return left > 0 ? (long)ceil(left) : 0;
}

void dispatcher_release(dispatcher_t *self, wire_type_t type)
{
    uint32_t n;
    member_t *members = membership_list(self->members, &n);
    for (uint32_t i = 0; i < n; i++)
        dispatcher_send(self, &members[i].peer, type, NULL);
}

uint32_t dispatcher_active(const dispatcher_t *self)
{
    return membership_active(self->members);
}

uint32_t dispatcher_relays(const dispatcher_t *self)
{
    return membership_relays(self->members);
}

const char *dispatcher_kernel(const dispatcher_t *self)
{
    return membership_kernel(self->members);
}

dispatch_figures_t dispatcher_figures(const dispatcher_t *self)
{
    dispatch_figures_t figures = self->figures;
    figures.n_reissued = round_reissued(self->round);
    figures.n_audited = audit_compared(self->audit);
    figures.n_unaudited = audit_unchecked(self->audit);
    return figures;
}
