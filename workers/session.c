/* See session.h. */
#include "workers/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "math/kernel.h"
#include "workers/scorecard.h"
#include "workers/worklist.h"

#define HELLO_MS 250 /* between two HELLOs that nobody answers */
#define READY_MS 10  /* from READY to the next, for when a step came before the subscription */

typedef enum {
    STATE_PAUSED,
    STATE_JOINING,  /* HELLO until WELCOME */
    STATE_ADMITTED, /* WELCOME came; the actor sets up */
    STATE_WORKING,  /* READY was said */
    STATE_OVER,
    STATE_REFUSED,
} state_t;

struct session {
    state_t state;
    wire_hello_t hello;
    char own_kernel[sizeof(
        ((wire_hello_t *)0)->kernel)]; /* before a job had us take the sparse one */
    bool (*can_run)(const char *kernel);
    const dataset_t *data; /* borrowed */
    bool setting_up;       /* SESSION_SET_UP was handed out */
    bool cancel;           /* SESSION_CANCEL is due */
    bool bye;              /* BYE is due */
    bool draining;
    uint64_t run;
    uint32_t incarnation;
    wire_welcome_t job;
    wire_refusal_t refusal;
    rowcache_t *rows;     /* owned */
    rowcache_t *old_rows; /* owned; of the job before, whose threads may read them until ready */
    uint32_t step;        /* the newest whose weights came; they count from 1 */
    bool heard_step;      /* of this membership: the server knows that we are ready */
    bool said_ready;      /* of this membership */
    worklist_t work;
    scorecard_t card;
    int64_t hello_due_ms;
    int64_t heartbeat_due_ms;
    int64_t heard_ms;
    wire_t out; /* reused */
};

session_t *session_new(const wire_hello_t *hello, bool (*can_run)(const char *kernel),
                       const dataset_t *data, uint32_t n_threads)
{
    session_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->hello = *hello;
    memcpy(self->own_kernel, hello->kernel, sizeof(self->own_kernel));
    self->can_run = can_run;
    self->data = data;
    self->work.n_threads = n_threads;
    self->state = STATE_JOINING;
    return self;
}

static void s_drop_work(session_t *self)
{
    worklist_forget(&self->work);
    self->cancel = true;
}

void session_destroy(session_t **self_p)
{
    session_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    worklist_clear(&self->work);
    rowcache_destroy(&self->rows);
    rowcache_destroy(&self->old_rows);
    scorecard_clear(&self->card);
    free(self);
}

static void s_rejoin(session_t *self, int64_t now_ms)
{
    s_drop_work(self);
    scorecard_forget(&self->card);
    self->state = self->draining ? STATE_OVER : STATE_JOINING;
    self->hello_due_ms = now_ms;
}

/* The rows that have numbers: the training set's and those to evaluate on. */
static uint32_t s_n_rows(const wire_welcome_t *job)
{
    return job->sampler.n_rows + job->evaluation_rows;
}

/* May rows of one job serve another? */
static bool s_same_rows(const wire_welcome_t *a, const wire_welcome_t *b)
{
    return strcmp(a->digest, b->digest) == 0 && strcmp(a->rows, b->rows) == 0 &&
           a->sampler.n_rows == b->sampler.n_rows && a->evaluation_rows == b->evaluation_rows &&
           a->model.n_inputs == b->model.n_inputs &&
           model_classes(&a->model) == model_classes(&b->model);
}

/* Our own copy of the data is read by the job's shape: is it what the job is over? */
static bool s_has_data_of(const session_t *self, const wire_welcome_t *job)
{
    return strcmp(job->digest, dataset_digest(self->data)) == 0 &&
           job->sampler.n_rows <= dataset_rows(self->data) &&
           job->model.n_inputs == dataset_inputs(self->data) &&
           model_classes(&job->model) >= dataset_classes(self->data);
}

/* The same data as before keeps its rows; the caller's actor opens the planes anew. */
static void s_on_welcome(session_t *self, const wire_t *message, int64_t now_ms)
{
    const wire_welcome_t *job = &message->welcome;
    s_drop_work(self);
    scorecard_forget(&self->card);
    self->card.n_computing = 0; /* the compute threads are others */
    if (self->data && !s_has_data_of(self, job)) {
        self->refusal = (wire_refusal_t){.reason = WIRE_REFUSED_DIGEST};
        (void)snprintf(self->refusal.text, sizeof(self->refusal.text),
                       "its job is over data with digest %s, expected %s of this worker's data",
                       job->digest, dataset_digest(self->data));
        self->state = STATE_REFUSED;
        return;
    }
    if (self->rows && !s_same_rows(job, &self->job)) {
        rowcache_destroy(&self->old_rows);
        self->old_rows = self->rows;
        self->rows = NULL;
    }
    uint32_t n_rows = s_n_rows(job);
    /* else its rows have other numbers than ours, or there are more of them */
    bool own = self->data && !job->rows[0] && job->evaluation_rows == 0;
    if (!self->rows)
        self->rows =
            own ? rowcache_of(self->data, n_rows) : rowcache_new(n_rows, job->model.n_inputs);
    if (!self->rows) {
        self->refusal = (wire_refusal_t){.reason = WIRE_REFUSED_SHAPE};
        (void)snprintf(self->refusal.text, sizeof(self->refusal.text),
                       "its job has %u rows of %u bytes, more than can be mapped into memory",
                       n_rows, job->model.n_inputs);
        self->state = STATE_REFUSED;
        return;
    }
    self->job = *job;
    self->run = message->run;
    self->incarnation = message->incarnation;
    self->step = 0;
    self->heard_step = false;
    worklist_open(&self->work, sampler_blocks(&job->sampler), model_params(&job->model));
    self->state = STATE_ADMITTED;
    self->setting_up = false;
    if (strcmp(job->kernel, self->hello.kernel) != 0 && kernel_of(job->kernel) == KERNEL_SPARSE &&
        self->can_run(job->kernel)) {
        /* a fast run would take ours, but its own is faster, and the same for all */
        memcpy(self->hello.kernel, job->kernel, sizeof(self->hello.kernel));
        self->bye = true;
        s_rejoin(self, now_ms);
    }
}

/* The server forgot us and has let us in again, on a HELLO from before: it knows us by another
 * number now. */
static void s_on_number(session_t *self, uint32_t worker, int64_t now_ms)
{
    s_drop_work(self);
    scorecard_forget(&self->card);
    self->job.worker = worker;
    self->step = 0;
    self->heard_step = false;
    self->heartbeat_due_ms = now_ms;
}

static void s_on_refused(session_t *self, const wire_refusal_t *refusal, int64_t now_ms)
{
    bool kernel = refusal->reason == WIRE_REFUSED_KERNEL;
    if (kernel && strcmp(refusal->kernel, self->hello.kernel) == 0)
        return; /* the answer to a HELLO from before we took that kernel */
    if (kernel && self->state == STATE_JOINING && self->can_run(refusal->kernel)) {
        memcpy(self->hello.kernel, refusal->kernel, sizeof(self->hello.kernel));
        s_rejoin(self, now_ms);
        return;
    }
    self->refusal = *refusal;
    self->state = STATE_REFUSED;
}

static void s_on_ranges(session_t *self, const wire_t *message)
{
    for (uint32_t i = 0; i < message->n_ranges && !self->draining; i++) {
        const wire_range_t *range = &message->ranges[i];
        if (range->worker == self->job.worker && range->end <= self->work.n_blocks)
            worklist_ask(&self->work, &self->job.sampler, self->rows, range->first, range->end);
    }
}

static bool s_is_ours(const session_t *self, const wire_t *message)
{
    return self->state == STATE_WORKING && message->run == self->run &&
           message->incarnation == self->incarnation;
}

static bool s_on_step(session_t *self, const wire_t *message, size_t frame_size)
{
    if (!s_is_ours(self, message) || message->step < self->step || message->step == 0 ||
        frame_size != model_params(&self->job.model) * sizeof(float))
        return false;
    bool newer = message->step > self->step;
    if (newer) {
        s_drop_work(self);
        self->step = message->step;
    }
    self->heard_step = true;
    s_on_ranges(self, message);
    return newer;
}

/* Ranges of rows are taken one by one; what is asked for and under way already goes on. True for
 * the weights of an evaluation that is new. */
static bool s_on_evaluate(session_t *self, const wire_t *message, size_t frame_size)
{
    uint32_t step = message->evaluate.step;
    if (!s_is_ours(self, message) || step < self->card.evaluation || step == 0 ||
        frame_size != model_params(&self->job.model) * sizeof(float))
        return false;
    bool newer = step > self->card.evaluation;
    if (newer)
        scorecard_forget(&self->card);
    self->card.evaluation = step;
    for (uint32_t i = 0; i < message->n_ranges && !self->draining; i++) {
        const wire_range_t *range = &message->ranges[i];
        if (range->worker == self->job.worker && range->end <= s_n_rows(&self->job) &&
            range->end - range->first <= self->job.sampler.block_rows &&
            scorecard_ask(&self->card, range->first, range->end))
            rowcache_want(self->rows, range->first, range->end);
    }
    return newer;
}

/* Is it, though it was sent to us alone, for another number? A WELCOME was overtaken: the server
 * knows us by a newer one. */
static bool s_is_for_others(const session_t *self, const wire_t *message)
{
    for (uint32_t i = 0; i < message->n_ranges; i++)
        if (message->ranges[i].worker == self->job.worker)
            return false;
    return message->n_ranges > 0;
}

bool session_message(session_t *self, const wire_t *message, size_t frame_size, int64_t now_ms)
{
    self->heard_ms = now_ms;
    switch (message->type) {
    case WIRE_WELCOME:
        if (self->state == STATE_JOINING)
            s_on_welcome(self, message, now_ms);
        else if ((self->state == STATE_WORKING || self->state == STATE_ADMITTED) &&
                 message->run == self->run && message->incarnation == self->incarnation &&
                 message->welcome.worker > self->job.worker)
            s_on_number(self, message->welcome.worker, now_ms);
        return false;
    case WIRE_REFUSED:
        s_on_refused(self, &message->refusal, now_ms);
        return false;
    case WIRE_REJOIN:
        if (self->state == STATE_WORKING) {
            /* the next job may be another, whose kernel must not depend on who took part in this */
            memcpy(self->hello.kernel, self->own_kernel, sizeof(self->hello.kernel));
            s_rejoin(self, now_ms);
        }
        return false;
    case WIRE_ASSIGN:
        if (s_is_ours(self, message) && s_is_for_others(self, message))
            s_rejoin(self, now_ms);
        else if (s_is_ours(self, message) && message->step == self->step && self->step > 0)
            s_on_ranges(self, message);
        else if (s_is_ours(self, message))
            self->heartbeat_due_ms = now_ms; /* tells the server that we lack the weights */
        return false;
    case WIRE_STEP:
        return s_on_step(self, message, frame_size);
    case WIRE_EVALUATE:
        return s_on_evaluate(self, message, frame_size);
    case WIRE_END:
        if (message->run == self->run)
            self->state = STATE_OVER;
        return false;
    default:
        return false; /* HEARTBEAT was heard; the rest is not for workers */
    }
}

void session_ready(session_t *self, int64_t now_ms)
{
    if (self->state != STATE_ADMITTED)
        return; /* it was told to leave meanwhile */
    rowcache_destroy(&self->old_rows);
    self->state = STATE_WORKING;
    self->said_ready = false;
    self->heartbeat_due_ms = now_ms;
    self->heard_ms = now_ms;
}

void session_want_rows(session_t *self, uint32_t first, uint32_t n_rows)
{
    if (self->rows && n_rows > 0 && (uint64_t)first + n_rows <= s_n_rows(&self->job))
        rowcache_want(self->rows, first, first + n_rows);
}

bool session_rows(session_t *self, const wire_t *message, const uint8_t *images, size_t image_bytes)
{
    return message->type == WIRE_ROWS && self->rows && message->run == self->run &&
           rowcache_store(self->rows, message->rows.first, message->rows.n_rows, images,
                          image_bytes, message->rows.labels, model_classes(&self->job.model));
}

void session_result(session_t *self, uint32_t step, node_t node, partial_t *partial)
{
    if (step == self->step)
        worklist_result(&self->work, node, partial);
    else
        partial_release(partial);
}

void session_score(session_t *self, const wire_score_t *score)
{
    scorecard_result(&self->card, score);
}

static const wire_t *s_message(session_t *self, wire_type_t type)
{
    self->out.type = type;
    self->out.run = self->run;
    self->out.incarnation = self->incarnation;
    self->out.step = self->step;
    return &self->out;
}

/* A promised node that is complete: true, and it is promised no more. */
static bool s_take_complete(session_t *self, session_action_t *action)
{
    node_t node;
    if (!worklist_take(&self->work, &node, &action->partial))
        return false;
    self->out.partial = (wire_partial_t){
        .worker = self->job.worker,
        .node = node,
        .cost = action->partial.cost,
        .correct = action->partial.correct,
        .rows = action->partial.rows,
    };
    action->message = s_message(self, WIRE_PARTIAL);
    return true;
}

/* Rows of an evaluation for a thread that has nothing else to do; a relay, which only passes them
 * on, takes all: true, with action->first and end. */
static bool s_take_evaluation(session_t *self, session_action_t *action)
{
    if (self->draining ||
        (self->work.n_threads > 0 &&
         self->work.n_computing + self->card.n_computing >= self->work.n_threads) ||
        !scorecard_hand_out(&self->card, self->rows, &action->first, &action->end))
        return false;
    action->step = self->card.evaluation;
    return true;
}

static session_action_kind_t s_next_working(session_t *self, int64_t now_ms,
                                            session_action_t *action)
{
    if (worklist_hand_out(&self->work, &self->job.sampler, self->rows, &action->node))
        return SESSION_COMPUTE;
    if (s_take_complete(self, action))
        return SESSION_PUSH;
    if (self->draining && self->work.n_computing == 0) {
        self->state = STATE_OVER;
        action->message = s_message(self, WIRE_BYE);
        return SESSION_SEND;
    }
    if (rowcache_next(self->rows, now_ms, &self->out.fetch.first, &self->out.fetch.n_rows)) {
        action->message = s_message(self, WIRE_FETCH);
        return SESSION_FETCH;
    }
    if (scorecard_take(&self->card, &self->out.score)) {
        action->message = s_message(self, WIRE_EVALUATED);
        return SESSION_SEND;
    }
    if (s_take_evaluation(self, action))
        return SESSION_EVALUATE;
    if (now_ms < self->heartbeat_due_ms)
        return SESSION_NOTHING;
    bool first_ready = !self->heard_step && !self->said_ready;
    int64_t pause_ms = self->job.heartbeat_ms;
    self->heartbeat_due_ms = now_ms + (first_ready && pause_ms > READY_MS ? READY_MS : pause_ms);
    if (self->heard_step) {
        self->out.heartbeat.newest_step = self->step;
        action->message = s_message(self, WIRE_HEARTBEAT);
    } else {
        /* until a step shows that it arrived */
        self->out.ready.n_params = model_params(&self->job.model);
        memcpy(self->out.ready.digest, self->job.digest, sizeof(self->out.ready.digest));
        action->message = s_message(self, WIRE_READY);
        self->said_ready = true;
    }
    return SESSION_SEND;
}

session_action_kind_t session_next(session_t *self, int64_t now_ms, session_action_t *action)
{
    memset(action, 0, sizeof(*action));
    action->step = self->step;
    if (self->cancel) {
        self->cancel = false;
        return action->kind = SESSION_CANCEL;
    }
    if (self->bye) {
        self->bye = false;
        action->message = s_message(self, WIRE_BYE);
        return action->kind = SESSION_SEND;
    }
    switch (self->state) {
    case STATE_PAUSED:
        break;
    case STATE_JOINING:
        if (now_ms < self->hello_due_ms)
            break;
        self->hello_due_ms = now_ms + HELLO_MS;
        self->out.hello = self->hello;
        action->message = s_message(self, WIRE_HELLO);
        return action->kind = SESSION_SEND;
    case STATE_ADMITTED:
        if (self->setting_up)
            break;
        self->setting_up = true;
        return action->kind = SESSION_SET_UP;
    case STATE_WORKING:
        return action->kind = s_next_working(self, now_ms, action);
    case STATE_OVER:
        return action->kind = SESSION_LEAVE;
    case STATE_REFUSED:
        return action->kind = SESSION_REFUSED;
    }
    return action->kind = SESSION_NOTHING;
}

void session_drain(session_t *self)
{
    self->draining = true;
    worklist_drain(&self->work); /* what waits for rows will not be done */
    if (self->state == STATE_WORKING)
        return; /* until nothing is being computed */
    self->bye = self->state == STATE_JOINING || self->state == STATE_ADMITTED;
    self->state = STATE_OVER;
}

void session_pause(session_t *self)
{
    s_drop_work(self);
    scorecard_forget(&self->card);
    self->bye = self->state == STATE_WORKING || self->state == STATE_ADMITTED;
    self->state = self->draining ? STATE_OVER : STATE_PAUSED;
}

void session_relays(session_t *self, uint32_t n_below)
{
    self->hello.relays = n_below + 1;
    self->work.n_threads = 0;
}

void session_resume(session_t *self, const char *kernel, int64_t now_ms)
{
    if (self->state != STATE_PAUSED)
        return; /* the same */
    (void)snprintf(self->hello.kernel, sizeof(self->hello.kernel), "%s", kernel);
    if (kernel_of(kernel) != KERNEL_SPARSE)
        memcpy(self->own_kernel, self->hello.kernel, sizeof(self->own_kernel));
    self->heard_ms = now_ms;
    s_rejoin(self, now_ms);
}

int64_t session_deadline_ms(const session_t *self)
{
    if (self->state == STATE_PAUSED)
        return INT64_MAX;
    return self->state == STATE_JOINING ? self->hello_due_ms : self->heartbeat_due_ms;
}

const wire_t *session_bye(session_t *self)
{
    return s_message(self, WIRE_BYE);
}

const wire_welcome_t *session_job(const session_t *self)
{
    return &self->job;
}

uint64_t session_run(const session_t *self, uint32_t *incarnation)
{
    *incarnation = self->incarnation;
    return self->run;
}

const rowcache_t *session_rowcache(const session_t *self)
{
    return self->rows;
}

const wire_refusal_t *session_refusal(const session_t *self)
{
    return &self->refusal;
}

const char *session_kernel(const session_t *self)
{
    return self->hello.kernel;
}

/* Where set up and not ready, it is a relay. */
static bool s_waits_for_workers(const session_t *self)
{
    return self->state == STATE_PAUSED || (self->state == STATE_ADMITTED && self->setting_up);
}

int64_t session_silence_ms(const session_t *self, int64_t now_ms)
{
    return s_waits_for_workers(self) ? 0 : now_ms - self->heard_ms;
}

const char *session_waits_for(const session_t *self, int64_t now_ms)
{
    bool silent = session_silence_ms(self, now_ms) > LOG_FIRST_WAIT_MS;
    if (s_waits_for_workers(self))
        return "workers";
    if (self->state == STATE_JOINING)
        return silent ? "welcome" : NULL;
    if (self->state == STATE_WORKING && silent)
        return "server";
    return self->state == STATE_WORKING && rowcache_stuck(self->rows) ? "rows" : NULL;
}
