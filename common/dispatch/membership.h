/* Who takes part: admission, life signs, speed, quarantine. Pure: time comes as an argument. */
#ifndef DROVER_DISPATCH_MEMBERSHIP_H
#define DROVER_DISPATCH_MEMBERSHIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

typedef enum {
    MEMBER_JOINING, /* has a WELCOME, has not said READY */
    MEMBER_ACTIVE,
} member_state_t;

/* A worker as the server knows it; borrowed, valid until the next membership call that may remove
 * or add one. */
typedef struct {
    uint32_t id; /* from 1, never reused within a run */
    member_state_t state;
    wire_peer_t peer;
    char name[WIRE_NAME_SIZE];
    char host[WIRE_NAME_SIZE];
    char kernel[WIRE_KERNEL_SIZE];
    uint32_t threads;
    int64_t last_seen_ms;
    uint32_t newest_step; /* whose weights it has */
    double repeated_ms;   /* when weights were last sent to it alone */
    double blocks_per_ms; /* measured; 0 while unknown */
    uint32_t n_measured;
    double hello_ms;     /* when it was let in */
    bool counts;         /* a partial of it was accepted */
    bool planned;        /* it was asked for blocks when the step began */
    double doubt;        /* 0 to 1: the part of its share that it is not trusted with */
    uint32_t n_refused;  /* bad partials */
    uint32_t wild_step;  /* the last of which it sent one that is not finite */
    uint32_t relays;     /* that stand one below the other there; 0: a worker */
    uint64_t n_assigned; /* blocks that it was asked for */
    uint64_t n_late;     /* of these, those that it was late with */
} member_t;

/* What a worker must match to be let in. */
typedef struct {
    char digest[WIRE_DIGEST_SIZE];
    uint64_t n_params;
    bool strict;                   /* one kernel for all */
    char kernel[WIRE_KERNEL_SIZE]; /* the job's; empty: that of the first worker let in */
} membership_job_t;

typedef struct membership membership_t;

/* Never NULL. A member that says nothing for liveness_ms is lost. */
membership_t *membership_new(const membership_job_t *job, int64_t liveness_ms);
void membership_destroy(membership_t **self_p);

/* Why a peer that speaks another version of the protocol is not let in. */
void membership_refuse_version(uint32_t version, wire_refusal_t *refusal);

/* So many relays one below the other that they must lead in a circle: true, with *refusal. */
bool membership_refuse_relays(const wire_hello_t *hello, wire_refusal_t *refusal);

/* A HELLO: the member, new or (said again) the old one, or NULL with *refusal filled in. */
member_t *membership_hello(membership_t *self, const wire_peer_t *peer, const wire_hello_t *hello,
                           int64_t now_ms, wire_refusal_t *refusal);

/* A READY of a joining member: true, and it is active; or false with *refusal, and it is gone. */
bool membership_ready(membership_t *self, member_t *member, const wire_ready_t *ready,
                      wire_refusal_t *refusal);

member_t *membership_by_peer(membership_t *self, const wire_peer_t *peer);
member_t *membership_by_id(membership_t *self, uint32_t id);

/* Was there ever a member of that id? It may have left. */
bool membership_knew(const membership_t *self, uint32_t id);

/* Was the member of that id sent away for what it did? */
bool membership_quarantined(const membership_t *self, uint32_t id);

/* All members, joining ones too, in the order of their ids. */
member_t *membership_list(membership_t *self, uint32_t *n);
uint32_t membership_active(const membership_t *self);

/* The most relays of a member, one below the other; 0 when all are workers. */
uint32_t membership_relays(const membership_t *self);

/* Active members that have not shown to have the weights of a step. */
uint32_t membership_lacking(const membership_t *self, uint32_t step);

/* The job's kernel; empty before the first worker, and again when that one left before it was
 * active: no bits of its kernel are there that others would have to match. */
const char *membership_kernel(const membership_t *self);

/* It computed n_blocks in elapsed_ms. The first time, with data on the way, does not count. */
void membership_measure(member_t *member, uint32_t n_blocks, double elapsed_ms);

/* It is late with n_blocks: it gets less of the next step, and less and less as long
 * as it stays late, down to nothing. One that answers in time gets its share back in a few steps.
 */
void membership_late(member_t *member, uint32_t n_blocks);

/* It was not planned with in a step: by and by it will be tried again. */
void membership_rested(member_t *member);

/* The speeds to plan with: measured, or the mean of those measured (1 when there is none). */
double membership_speed(const membership_t *self, const member_t *member);

/* Would one more bad partial be one too many? */
bool membership_last_chance(const member_t *member);

/* A bad partial: true when that was one too many; it is then gone and will not be let in again. */
bool membership_bad_partial(membership_t *self, member_t *member);

/* Who will not be let in again; borrowed. */
wire_quarantined_t *membership_quarantine(membership_t *self, uint32_t *n);

/* Whoever joins by this name and host is not let in again; the member of this id, which was of that
 * name and host and may have left, is gone. */
void membership_exclude(membership_t *self, uint32_t id, const char *name, const char *host);

void membership_remove(membership_t *self, uint32_t id);

/* Has it missed so many heartbeats that it is better not planned with? */
bool membership_silent(const member_t *member, int64_t now_ms);

/* The id of a member that is silent for too long; 0 when there is none. */
uint32_t membership_expired(const membership_t *self, int64_t now_ms);

#endif
