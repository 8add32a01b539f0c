/* What the dispatcher is made of; for dispatcher*.c only. */
#ifndef DROVER_DISPATCH_DISPATCHER_SELF_H
#define DROVER_DISPATCH_DISPATCHER_SELF_H

#include "base/pool.h"
#include "dispatch/aggregate.h"
#include "dispatch/audit.h"
#include "dispatch/dispatcher.h"
#include "dispatch/membership.h"
#include "dispatch/round.h"
#include "dispatch/scoring.h"

struct dispatcher {
    dispatch_job_t job;
    dispatch_ports_t ports;
    dispatch_planes_t planes;
    size_t n_params;
    membership_t *members;   /* owned */
    aggregate_t *aggregate;  /* owned */
    audit_t *audit;          /* owned */
    round_t *round;          /* owned */
    scoring_t *scoring;      /* owned */
    pool_t *frames_pool;     /* owned; frame_t of the partials that the tree holds */
    frame_t current;         /* the weights of the step */
    frame_t evaluated;       /* the weights of the evaluation ... */
    uint32_t evaluation;     /* ... and its step */
    wire_t out;              /* reused */
    round_worker_t *workers; /* owned; the active ones, for round */
    uint32_t workers_room;
    scoring_worker_t *scorers; /* owned; the same for scoring */
    uint32_t scorers_room;
    audit_worker_t *auditors; /* owned; the same for audit, with the silent */
    uint32_t auditors_room;
    wire_range_t *asked; /* owned; ranges of one message */
    uint32_t asked_room;
    wire_member_t *reported; /* owned; the members of a REPORT */
    uint32_t reported_room;
    bool running; /* a step is under way */
    bool changed; /* something happened that round_tick may react to */
    uint32_t step;
    double published_ms; /* when its weights were handed out */
    double progress_ms;  /* when it last came forward */
    double say_ms;       /* when to speak of a wait again */
    double probe_ms;     /* when to look at the silent again */
    /* Who first sent a partial of the step that is not finite; "" when nobody has. */
    uint32_t wild_worker;
    char wild_name[WIRE_NAME_SIZE];
    char wild_host[WIRE_NAME_SIZE];
    bool wild;    /* others did, too: it is true of the model */
    bool counted; /* a partial has counted, of any step */
    dispatch_figures_t figures;
};

static inline double s_now_ms(const dispatcher_t *self)
{
    return self->ports.now_ms(self->ports.context);
}

/* self->out with the header of a message of that type; its fields are left. */
wire_t *dispatcher_message(dispatcher_t *self, wire_type_t type);

/* Sends what self->out holds of that type. The frame may be NULL. */
void dispatcher_send(dispatcher_t *self, const wire_peer_t *peer, wire_type_t type, frame_t *frame);

/* Logs what a step waits for, now and then. */
void dispatcher_say_waits(dispatcher_t *self);

/* Says REFUSED to the peer, and why in the log. */
void dispatcher_send_refusal(dispatcher_t *self, const wire_peer_t *peer,
                             const wire_refusal_t *refusal, const char *name);

/* The workers to plan with: those that are heard and have sent finite numbers in this step; when
 * there are none, all that are heard; when there are none, all. Borrowed. */
const round_worker_t *dispatcher_workers(dispatcher_t *self, uint32_t *n);

/* Sends what is to be asked for an evaluation. */
void dispatcher_plan_evaluation(dispatcher_t *self);

/* An EVALUATED of the member. */
void dispatcher_score(dispatcher_t *self, const member_t *member, const wire_score_t *score);

/* Rows to serve, in all. */
uint32_t dispatcher_rows(const dispatcher_t *self);

/* Others are asked for what the member owes. */
void dispatcher_orphan(dispatcher_t *self, uint32_t id);

/* What the audit has decided counts, and has its consequences. */
void dispatcher_settle_audit(dispatcher_t *self);

#endif
