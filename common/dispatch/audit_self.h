/* What the audit is made of; for audit*.c only. */
#ifndef DROVER_DISPATCH_AUDIT_SELF_H
#define DROVER_DISPATCH_AUDIT_SELF_H

#include "dispatch/audit.h"
#include "dispatch/ballot.h"

/* An audited node. */
typedef struct {
    ballot_t ballot; /* owned */
    bool decided;
    bool ready;        /* decided, and not taken yet */
    partial_t partial; /* owned while ready */
    bool due;          /* audit_ask has to look at it */
    uint32_t n_again;  /* times that those who differ were asked again */
    double next_ms;    /* when they are asked once more */
    double single_ms;  /* since when a second copy is missing; 0 for not */
} entry_t;

struct audit {
    uint64_t seed;
    uint64_t threshold; /* a unit is drawn when its 32 bits are below */
    uint32_t n_blocks;
    size_t n_params;
    uint32_t unit_level;
    uint32_t step;
    uint32_t level;    /* of audited nodes in this step, at most */
    entry_t **entries; /* owned; those of this step in the order of their blocks, then spare ones */
    uint32_t n_entries;
    uint32_t n_made;
    uint32_t entries_room;
    uint32_t n_undecided;
    uint32_t n_ready;
    wire_range_t *asks; /* owned */
    uint32_t n_asks;
    uint32_t asks_room;
    double *loads; /* owned; blocks asked of each worker by this audit_ask */
    uint32_t loads_room;
    audit_event_t *events; /* owned */
    uint32_t n_events;
    uint32_t events_room;
    uint32_t n_compared;
    uint32_t n_unchecked;
};

/* The node is decided: its partial is this copy's. */
void audit_decide(audit_t *self, entry_t *entry, copy_t *copy);

/* For audit_take_event; `other` may be NULL. */
void audit_note(audit_t *self, audit_event_kind_t kind, const entry_t *entry, const copy_t *copy,
                const copy_t *other);

#endif
