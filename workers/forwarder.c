/* See forwarder.h. */
#include "workers/forwarder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "dispatch/membership.h"
#include "workers/session.h"

#define RELAYS_MS 1000 /* in which all that wait below say HELLO again */

struct forwarder {
    forwarder_ports_t ports;
    session_t *session;       /* owned; to what is above */
    dispatcher_t *dispatcher; /* owned; to what is below; NULL before the first job */
    wire_welcome_t job;       /* the dispatcher's, its run ... */
    uint64_t run;
    uint32_t above;       /* ... and its incarnation above */
    uint32_t incarnation; /* below */
    bool resumed;         /* the session joins or has joined */
    bool joining;         /* it was set up, and waits for a worker to be ready ... */
    bool working;         /* ... and has had one since */
    bool draining;
    wire_peer_t first_peer;   /* size 0: none; who it joined for, before there was a job ... */
    wire_hello_t first_hello; /* ... and has no answer yet */
    frame_t current;          /* the newest step's weights */
    uint32_t step;
    bool fresh;     /* they have not been passed on yet */
    node_t *wanted; /* owned; asked for above, not given out yet */
    uint32_t n_wanted;
    uint32_t wanted_room;
    uint32_t relays; /* the most that were said to it lately, while there is no dispatcher */
    double relays_ms;
    char endpoint[256];
    double born_ms;
    forwarder_state_t state;
    err_t err;
};

static double s_now_ms(const forwarder_t *self)
{
    return self->ports.below.now_ms(self->ports.below.context);
}

/* A relay takes part in any kernel: it only sums. */
static bool s_can_run(const char *kernel)
{
    (void)kernel;
    return true;
}

forwarder_t *forwarder_new(const wire_hello_t *hello, const char *above, const dataset_t *data,
                           uint32_t incarnation, const forwarder_ports_t *ports)
{
    forwarder_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->ports = *ports;
    self->incarnation = incarnation;
    (void)snprintf(self->endpoint, sizeof(self->endpoint), "%s", above);
    self->born_ms = s_now_ms(self);
    self->session = session_new(hello, s_can_run, data, 1);
    session_pause(self->session);
    return self;
}

void forwarder_destroy(forwarder_t **self_p)
{
    forwarder_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    session_destroy(&self->session);
    dispatcher_destroy(&self->dispatcher);
    frame_clear(&self->current);
    free(self->wanted);
    free(self);
}

static bool s_has_rows(const void *context, uint32_t first, uint32_t end)
{
    return rowcache_has(context, first, end);
}

/* Has the dispatcher the trees, gradients and rows of that job? Those of one run always have. */
static bool s_fits(const forwarder_t *self, const wire_welcome_t *job)
{
    const sampler_t *a = &self->job.sampler, *b = &job->sampler;
    return model_same(&self->job.model, &job->model) && a->seed == b->seed &&
           a->fraction == b->fraction && a->n_rows == b->n_rows && a->block_rows == b->block_rows &&
           a->batch_rows == b->batch_rows && !augment_difference(&a->augment, &b->augment) &&
           self->job.evaluation_rows == job->evaluation_rows &&
           strcmp(self->job.digest, job->digest) == 0 && strcmp(self->job.rows, job->rows) == 0;
}

/* A job. The dispatcher of the same one goes on with its workers. */
static int s_set_up(forwarder_t *self)
{
    const wire_welcome_t *job = session_job(self->session);
    dispatch_planes_t planes;
    uint32_t above;
    uint64_t run = session_run(self->session, &above);
    if (self->ports.set_up(self->ports.context, job, &planes, &self->err) != 0)
        return -1;
    self->joining = true;
    self->working = false;
    if (self->dispatcher && run == self->run && above == self->above && s_fits(self, job))
        return 0;
    if (self->dispatcher)
        dispatcher_release(self->dispatcher, WIRE_REJOIN);
    dispatcher_destroy(&self->dispatcher);
    self->job = *job;
    self->run = run;
    self->above = above;
    const rowcache_t *rows = session_rowcache(self->session);
    dispatch_job_t work = {
        .run = run,
        .incarnation = ++self->incarnation,
        .model = job->model,
        .sampler = job->sampler,
        .strict = true,
        .audit = job->audit,
        .rows[0] = {NULL, rowcache_images(rows), rowcache_labels(rows),
                    job->sampler.n_rows + job->evaluation_rows},
        .has = s_has_rows,
        .has_context = rows,
    };
    memcpy(work.digest, job->digest, sizeof(work.digest));
    memcpy(work.rows_name, job->rows, sizeof(work.rows_name));
    (void)snprintf(work.kernel, sizeof(work.kernel), "%s", session_kernel(self->session));
    self->dispatcher = dispatcher_new(&work, &self->ports.below, &planes);
    wire_t hello = {.type = WIRE_HELLO, .hello = self->first_hello};
    if (self->first_peer.size > 0)
        dispatcher_control(self->dispatcher, &self->first_peer, WIRE_OK, &hello);
    self->first_peer.size = 0;
    return 0;
}

/* Nothing of what was asked for above is wanted any more. */
static void s_cancel(forwarder_t *self)
{
    self->n_wanted = 0;
    if (self->dispatcher)
        dispatcher_end(self->dispatcher);
}

static void s_push(forwarder_t *self, session_action_t *action)
{
    frame_t gradient = {.present = false};
    dispatcher_move_gradient(&action->partial, &gradient);
    self->ports.gradient(self->ports.context, action->message, &gradient);
}

/* Does one thing that the session wants; false when there is nothing to do. */
static bool s_act(forwarder_t *self)
{
    session_action_t action;
    switch (session_next(self->session, (int64_t)s_now_ms(self), &action)) {
    case SESSION_NOTHING:
        return false;
    case SESSION_SEND:
        self->ports.control(self->ports.context, action.message);
        break;
    case SESSION_SET_UP:
        if (s_set_up(self) != 0) {
            self->ports.control(self->ports.context, session_bye(self->session));
            self->state = FORWARDER_FAILED;
        }
        break;
    case SESSION_FETCH:
        self->ports.data(self->ports.context, action.message);
        break;
    case SESSION_COMPUTE:
        self->wanted =
            array_room(self->wanted, self->n_wanted + 1, &self->wanted_room, sizeof(node_t));
        self->wanted[self->n_wanted++] = action.node;
        break;
    case SESSION_EVALUATE:
        dispatcher_evaluate_rows(self->dispatcher, action.first, action.end);
        break;
    case SESSION_CANCEL:
        s_cancel(self);
        break;
    case SESSION_PUSH:
        s_push(self, &action);
        break;
    case SESSION_LEAVE:
        self->state = FORWARDER_OVER;
        break;
    case SESSION_REFUSED:
        err_set(&self->err, "%s: what is above refuses this relay: %s", self->endpoint,
                session_refusal(self->session)->text);
        self->state = FORWARDER_FAILED;
        break;
    }
    return self->state == FORWARDER_GOES_ON;
}

/* Gives out below what the session was asked for above. */
static void s_give_out(forwarder_t *self)
{
    if (!self->dispatcher)
        return;
    if (self->fresh)
        dispatcher_begin(self->dispatcher, self->step, &self->current, self->wanted,
                         self->n_wanted);
    else
        for (uint32_t i = 0; i < self->n_wanted; i++)
            dispatcher_want(self->dispatcher, self->wanted[i]);
    self->fresh = false;
    self->n_wanted = 0;
    dispatcher_tick(self->dispatcher);
}

/* There are workers below, or there are none any more. */
static void s_follow_workers(forwarder_t *self)
{
    uint32_t n_active = self->dispatcher ? dispatcher_active(self->dispatcher) : 0;
    if (n_active > 0 && !self->resumed) {
        session_resume(self->session, dispatcher_kernel(self->dispatcher), (int64_t)s_now_ms(self));
        self->resumed = true;
    }
    if (n_active > 0 && self->joining) {
        session_ready(self->session, (int64_t)s_now_ms(self));
        self->joining = false;
        self->working = true;
    }
    if (n_active == 0 && self->working) {
        log_info("relay.idle", "no worker is left");
        session_pause(self->session);
        self->resumed = self->working = false;
    }
}

/* Hands sums that are complete to the session; those of a step that is over are not wanted. */
static void s_collect(forwarder_t *self)
{
    node_t node;
    partial_t partial;
    while (!self->fresh && dispatcher_take(self->dispatcher, &node, &partial))
        session_result(self->session, self->step, node, &partial);
    wire_score_t score;
    while (dispatcher_take_score(self->dispatcher, &score))
        session_score(self->session, &score);
}

void forwarder_tick(forwarder_t *self)
{
    if (self->dispatcher) {
        dispatcher_tick(self->dispatcher); /* some may be lost */
        s_collect(self);
    }
    s_follow_workers(self);
    session_relays(self->session,
                   self->dispatcher ? dispatcher_relays(self->dispatcher) : self->relays);
    while (s_act(self))
        ;
    if (self->state == FORWARDER_GOES_ON)
        s_give_out(self);
    else if (self->dispatcher && self->state == FORWARDER_OVER && !self->draining)
        dispatcher_release(self->dispatcher, WIRE_END);
}

long forwarder_timeout_ms(const forwarder_t *self)
{
    double left = (double)session_deadline_ms(self->session) - s_now_ms(self);
    double below = self->dispatcher ? (double)dispatcher_timeout_ms(self->dispatcher) : 1000;
    left = fmin(left, below);
    return left > 0 ? (long)ceil(left) : 0;
}

void forwarder_above(forwarder_t *self, const wire_t *message, frame_t *frame)
{
    if (!session_message(self->session, message, frame_size(frame), (int64_t)s_now_ms(self)))
        return;
    if (message->type == WIRE_EVALUATE) {
        dispatcher_evaluate(self->dispatcher, message->evaluate.step, frame);
        return;
    }
    frame_clear(&self->current);
    frame_move(&self->current, frame);
    self->step = message->step;
    self->fresh = true;
    forwarder_tick(self); /* a STEP that follows must not meet this one */
}

bool forwarder_rows(forwarder_t *self, const wire_t *message, const uint8_t *images,
                    size_t image_bytes)
{
    return session_rows(self->session, message, images, image_bytes);
}

/* Without a dispatcher that would do it. */
static void s_refuse(forwarder_t *self, const wire_peer_t *peer, const wire_refusal_t *refusal,
                     const char *name)
{
    wire_t out = {.type = WIRE_REFUSED, .refusal = *refusal};
    log_warn_limited("worker.refused", name, "name=%s %s", name, refusal->text);
    (void)self->ports.below.control(self->ports.below.context, peer, &out, NULL);
}

/* Joins above, for a worker below. Others are let in when they say HELLO again. */
static void s_join_for(forwarder_t *self, const wire_peer_t *peer, const wire_hello_t *hello)
{
    wire_refusal_t refusal;
    if (membership_refuse_relays(hello, &refusal)) {
        s_refuse(self, peer, &refusal, hello->name);
        return;
    }
    if (hello->relays >= self->relays || s_now_ms(self) > self->relays_ms + RELAYS_MS) {
        self->relays = hello->relays;
        self->relays_ms = s_now_ms(self);
    }
    if (self->resumed)
        return;
    self->first_peer = *peer;
    self->first_hello = *hello;
    log_info("relay.joins", "name=%s kernel=%s", hello->name, hello->kernel);
    session_resume(self->session, hello->kernel, (int64_t)s_now_ms(self));
    self->resumed = true;
}

static void s_report(forwarder_t *self, const wire_peer_t *peer)
{
    double now_ms = s_now_ms(self);
    const char *waits_for = forwarder_waits_for(self);
    wire_t out = {.type = WIRE_REPORT, .run = self->run, .step = self->step};
    wire_report_t *report = &out.report;
    *report = (wire_report_t){
        .role = "relay",
        .step = self->step,
        .rows_per_s = NAN,
        .eta_s = NAN,
        .cost = NAN,
        .accuracy = NAN,
        .learning_rate = NAN,
        .evaluation_cost = NAN,
        .evaluation_accuracy = NAN,
        .elapsed_s = (now_ms - self->born_ms) / 1000,
    };
    (void)snprintf(report->upstream, sizeof(report->upstream), "%s", self->endpoint);
    if (waits_for)
        (void)snprintf(report->waiting_for, sizeof(report->waiting_for), "%s", waits_for);
    if (self->dispatcher)
        dispatcher_report(self->dispatcher, peer, report);
    else
        (void)self->ports.below.control(self->ports.below.context, peer, &out, NULL);
}

void forwarder_control(forwarder_t *self, const wire_peer_t *peer, wire_status_t status,
                       const wire_t *in)
{
    wire_refusal_t refusal;
    if (status == WIRE_OK && in->type == WIRE_STATUS)
        s_report(self, peer);
    else if (self->dispatcher)
        dispatcher_control(self->dispatcher, peer, status, in);
    else if (status == WIRE_BAD_VERSION) {
        membership_refuse_version(in->version, &refusal);
        s_refuse(self, peer, &refusal, "?");
    } else if (status == WIRE_OK && in->type == WIRE_HELLO)
        s_join_for(self, peer, &in->hello);
    else if (status == WIRE_OK && in->type != WIRE_BYE) {
        wire_t rejoin = {.type = WIRE_REJOIN};
        (void)self->ports.below.control(self->ports.below.context, peer, &rejoin, NULL);
    }
}

void forwarder_fetch(forwarder_t *self, const wire_peer_t *peer, wire_status_t status,
                     const wire_t *in)
{
    if (!self->dispatcher)
        return;
    if (status == WIRE_OK && in->type == WIRE_FETCH && in->run == self->run)
        session_want_rows(self->session, in->fetch.first, in->fetch.n_rows);
    dispatcher_fetch(self->dispatcher, peer, status, in);
}

const float *forwarder_held(const forwarder_t *self, const wire_t *in, size_t frame_bytes)
{
    return self->dispatcher ? dispatcher_held(self->dispatcher, in, frame_bytes) : NULL;
}

void forwarder_partial(forwarder_t *self, wire_status_t status, const wire_t *in, frame_t *frame)
{
    if (!self->dispatcher)
        return;
    dispatcher_partial(self->dispatcher, status, in, frame);
    s_collect(self);
}

void forwarder_drain(forwarder_t *self)
{
    self->draining = true;
    session_drain(self->session);
}

forwarder_state_t forwarder_state(const forwarder_t *self)
{
    return self->state;
}

const char *forwarder_error(const forwarder_t *self)
{
    return self->err.text;
}

int64_t forwarder_silence_ms(const forwarder_t *self)
{
    return session_silence_ms(self->session, (int64_t)s_now_ms(self));
}

const char *forwarder_waits_for(const forwarder_t *self)
{
    return session_waits_for(self->session, (int64_t)s_now_ms(self));
}
