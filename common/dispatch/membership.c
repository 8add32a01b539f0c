/* See membership.h. */
#include "dispatch/membership.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

#define MAX_BAD_PARTIALS 3
#define MAX_RELAYS       8 /* one below the other */
#define SILENT_MS        250
#define MIN_TRUST        1e-4
#define SPEED_WEIGHT     0.3 /* of the newest measurement */

struct membership {
    membership_job_t job;
    bool kernel_stands; /* the job named it, or a worker of it was active: there are bits of it */
    int64_t liveness_ms;
    member_t *members; /* owned */
    uint32_t n_members;
    uint32_t n_active;
    uint32_t room;
    uint32_t last_id;
    uint32_t *places; /* owned; (n_places): ids by a hash of their peers, 0 where none is */
    uint32_t n_places;
    uint32_t n_taken;                /* places with an id, also those of members that are gone */
    wire_quarantined_t *quarantined; /* owned */
    uint32_t n_quarantined;
    uint32_t quarantined_room;
    uint32_t *quarantined_ids; /* owned; that they had */
    uint32_t n_quarantined_ids;
    uint32_t quarantined_ids_room;
};

membership_t *membership_new(const membership_job_t *job, int64_t liveness_ms)
{
    membership_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->job = *job;
    self->kernel_stands = job->kernel[0] != '\0';
    self->liveness_ms = liveness_ms;
    return self;
}

void membership_destroy(membership_t **self_p)
{
    membership_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    free(self->members);
    free(self->places);
    free(self->quarantined);
    free(self->quarantined_ids);
    free(self);
}

/* Where to look for a peer first; n_places is a power of two. */
static uint32_t s_first_place(const membership_t *self, const wire_peer_t *peer)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (uint8_t i = 0; i < peer->size; i++)
        hash = (hash ^ peer->bytes[i]) * 16777619u;
    return (hash ^ hash >> 16) & (self->n_places - 1);
}

static void s_take_place(membership_t *self, const member_t *member)
{
    uint32_t place = s_first_place(self, &member->peer);
    while (self->places[place])
        place = (place + 1) & (self->n_places - 1);
    self->places[place] = member->id;
    self->n_taken++;
}

/* A place for the newest member; at least every second place stays free. */
static void s_enter(membership_t *self)
{
    if (2 * (self->n_taken + 1) <= self->n_places) {
        s_take_place(self, &self->members[self->n_members - 1]);
        return;
    }
    self->n_places = 16;
    while (self->n_places < 4 * self->n_members)
        self->n_places *= 2;
    free(self->places);
    self->places = calloc(self->n_places, sizeof(uint32_t));
    if (!self->places)
        abort();
    self->n_taken = 0;
    for (uint32_t i = 0; i < self->n_members; i++)
        s_take_place(self, &self->members[i]);
}

member_t *membership_by_peer(membership_t *self, const wire_peer_t *peer)
{
    if (self->n_places == 0)
        return NULL;
    for (uint32_t i = s_first_place(self, peer); self->places[i];
         i = (i + 1) & (self->n_places - 1)) {
        member_t *member = membership_by_id(self, self->places[i]);
        if (member && member->peer.size == peer->size &&
            memcmp(member->peer.bytes, peer->bytes, peer->size) == 0)
            return member;
    }
    return NULL;
}

member_t *membership_by_id(membership_t *self, uint32_t id)
{
    uint32_t low = 0, high = self->n_members; /* they are in the order of their ids */
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (self->members[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < self->n_members && self->members[low].id == id ? &self->members[low] : NULL;
}

bool membership_knew(const membership_t *self, uint32_t id)
{
    return id >= 1 && id <= self->last_id;
}

bool membership_quarantined(const membership_t *self, uint32_t id)
{
    for (uint32_t i = 0; i < self->n_quarantined_ids; i++)
        if (self->quarantined_ids[i] == id)
            return true;
    return false;
}

member_t *membership_list(membership_t *self, uint32_t *n)
{
    *n = self->n_members;
    return self->members;
}

uint32_t membership_active(const membership_t *self)
{
    return self->n_active;
}

uint32_t membership_relays(const membership_t *self)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < self->n_members; i++)
        if (self->members[i].relays > most)
            most = self->members[i].relays;
    return most;
}

uint32_t membership_lacking(const membership_t *self, uint32_t step)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < self->n_members; i++)
        n += self->members[i].state == MEMBER_ACTIVE && self->members[i].newest_step < step;
    return n;
}

const char *membership_kernel(const membership_t *self)
{
    return self->job.kernel;
}

static void s_refuse(wire_refusal_t *refusal, wire_refused_t reason, const char *seen,
                     const char *expected)
{
    static const char *const what[] = {
        [WIRE_REFUSED_VERSION] = "protocol version",
        [WIRE_REFUSED_DIGEST] = "data digest",
        [WIRE_REFUSED_KERNEL] = "kernel",
        [WIRE_REFUSED_SHAPE] = "number of parameters",
        [WIRE_REFUSED_QUARANTINE] = "partials",
    };
    memset(refusal, 0, sizeof(*refusal));
    refusal->reason = reason;
    (void)snprintf(refusal->text, sizeof(refusal->text), "%s %.80s, expected %.80s", what[reason],
                   seen, expected);
}

void membership_refuse_version(uint32_t version, wire_refusal_t *refusal)
{
    char seen[16], expected[16];
    (void)snprintf(seen, sizeof(seen), "%u", version);
    (void)snprintf(expected, sizeof(expected), "%u", WIRE_VERSION);
    s_refuse(refusal, WIRE_REFUSED_VERSION, seen, expected);
}

bool membership_refuse_relays(const wire_hello_t *hello, wire_refusal_t *refusal)
{
    if (hello->relays <= MAX_RELAYS)
        return false;
    *refusal = (wire_refusal_t){.reason = WIRE_REFUSED_RELAYS};
    (void)snprintf(refusal->text, sizeof(refusal->text),
                   "%u relays one below the other, expected at most %d: do they lead in a circle?",
                   hello->relays, MAX_RELAYS);
    return true;
}

static bool s_in_quarantine(const membership_t *self, const char *name, const char *host)
{
    for (uint32_t i = 0; i < self->n_quarantined; i++)
        if (strcmp(self->quarantined[i].name, name) == 0 &&
            strcmp(self->quarantined[i].host, host) == 0)
            return true;
    return false;
}

static bool s_may_join(const membership_t *self, const wire_hello_t *hello, wire_refusal_t *refusal)
{
    if (s_in_quarantine(self, hello->name, hello->host)) {
        s_refuse(refusal, WIRE_REFUSED_QUARANTINE, "bad before", "good ones");
        return false;
    }
    if (membership_refuse_relays(hello, refusal))
        return false;
    if (hello->digest[0] && strcmp(hello->digest, self->job.digest) != 0) {
        s_refuse(refusal, WIRE_REFUSED_DIGEST, hello->digest, self->job.digest);
        return false;
    }
    if (self->job.strict && self->job.kernel[0] && strcmp(hello->kernel, self->job.kernel) != 0) {
        s_refuse(refusal, WIRE_REFUSED_KERNEL, hello->kernel, self->job.kernel);
        (void)snprintf(refusal->kernel, sizeof(refusal->kernel), "%s", self->job.kernel);
        return false;
    }
    return true;
}

member_t *membership_hello(membership_t *self, const wire_peer_t *peer, const wire_hello_t *hello,
                           int64_t now_ms, wire_refusal_t *refusal)
{
    member_t *member = membership_by_peer(self, peer);
    if (member && !membership_refuse_relays(hello, refusal)) {
        member->last_seen_ms = now_ms;
        member->relays = hello->relays;
        return member;
    }
    if (member || !s_may_join(self, hello, refusal))
        return NULL;
    if (!self->job.kernel[0])
        memcpy(self->job.kernel, hello->kernel, sizeof(self->job.kernel));
    self->members = array_room(self->members, self->n_members + 1, &self->room, sizeof(member_t));
    member = &self->members[self->n_members++];
    memset(member, 0, sizeof(*member));
    member->id = ++self->last_id;
    member->peer = *peer;
    memcpy(member->name, hello->name, sizeof(member->name));
    memcpy(member->host, hello->host, sizeof(member->host));
    memcpy(member->kernel, hello->kernel, sizeof(member->kernel));
    member->threads = hello->threads;
    member->relays = hello->relays;
    member->last_seen_ms = now_ms;
    member->hello_ms = (double)now_ms;
    s_enter(self);
    return member;
}

bool membership_ready(membership_t *self, member_t *member, const wire_ready_t *ready,
                      wire_refusal_t *refusal)
{
    char seen[32], expected[32];
    (void)snprintf(seen, sizeof(seen), "%llu", (unsigned long long)ready->n_params);
    (void)snprintf(expected, sizeof(expected), "%llu", (unsigned long long)self->job.n_params);
    if (ready->n_params != self->job.n_params)
        s_refuse(refusal, WIRE_REFUSED_SHAPE, seen, expected);
    else if (strcmp(ready->digest, self->job.digest) != 0)
        s_refuse(refusal, WIRE_REFUSED_DIGEST, ready->digest, self->job.digest);
    else {
        self->n_active += member->state != MEMBER_ACTIVE;
        member->state = MEMBER_ACTIVE;
        self->kernel_stands = true;
        return true;
    }
    membership_remove(self, member->id);
    return false;
}

void membership_measure(member_t *member, uint32_t n_blocks, double elapsed_ms)
{
    member->doubt *= 0.5;
    if (n_blocks == 0 || elapsed_ms <= 0)
        return;
    double speed = n_blocks / elapsed_ms;
    if (member->n_measured == 1)
        member->blocks_per_ms = speed;
    else if (member->n_measured > 1)
        member->blocks_per_ms += SPEED_WEIGHT * (speed - member->blocks_per_ms);
    member->n_measured++;
}

void membership_late(member_t *member, uint32_t n_blocks)
{
    member->n_late += n_blocks;
    double trust = (1 - member->doubt) / 4;
    member->doubt = trust < MIN_TRUST ? 1 - MIN_TRUST : 1 - trust;
}

void membership_rested(member_t *member)
{
    member->doubt = 1 - (1 - member->doubt) * 1.02; /* from a tenth back to all in 120 steps */
    if (member->doubt < 0)
        member->doubt = 0;
}

double membership_speed(const membership_t *self, const member_t *member)
{
    if (member->blocks_per_ms > 0)
        return member->blocks_per_ms;
    double sum = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < self->n_members; i++) {
        sum += self->members[i].blocks_per_ms;
        n += self->members[i].blocks_per_ms > 0;
    }
    return n ? sum / n : 1.0;
}

bool membership_last_chance(const member_t *member)
{
    return member->n_refused + 1 >= MAX_BAD_PARTIALS;
}

bool membership_bad_partial(membership_t *self, member_t *member)
{
    if (++member->n_refused < MAX_BAD_PARTIALS)
        return false;
    member_t gone = *member;
    membership_exclude(self, gone.id, gone.name, gone.host);
    return true;
}

void membership_exclude(membership_t *self, uint32_t id, const char *name, const char *host)
{
    self->quarantined_ids = array_room(self->quarantined_ids, self->n_quarantined_ids + 1,
                                       &self->quarantined_ids_room, sizeof(uint32_t));
    self->quarantined_ids[self->n_quarantined_ids++] = id;
    if (!s_in_quarantine(self, name, host)) {
        self->quarantined = array_room(self->quarantined, self->n_quarantined + 1,
                                       &self->quarantined_room, sizeof(*self->quarantined));
        wire_quarantined_t *entry = &self->quarantined[self->n_quarantined++];
        (void)snprintf(entry->name, sizeof(entry->name), "%s", name);
        (void)snprintf(entry->host, sizeof(entry->host), "%s", host);
    }
    membership_remove(self, id);
}

wire_quarantined_t *membership_quarantine(membership_t *self, uint32_t *n)
{
    *n = self->n_quarantined;
    return self->quarantined;
}

void membership_remove(membership_t *self, uint32_t id)
{
    for (uint32_t i = 0; i < self->n_members; i++) {
        if (self->members[i].id != id)
            continue;
        self->n_active -= self->members[i].state == MEMBER_ACTIVE;
        memmove(&self->members[i], &self->members[i + 1],
                (self->n_members - i - 1) * sizeof(member_t));
        self->n_members--;
        if (self->n_members == 0 && !self->kernel_stands)
            self->job.kernel[0] = '\0';
        return;
    }
}

bool membership_silent(const member_t *member, int64_t now_ms)
{
    return now_ms - member->last_seen_ms > SILENT_MS;
}

uint32_t membership_expired(const membership_t *self, int64_t now_ms)
{
    for (uint32_t i = 0; i < self->n_members; i++)
        if (now_ms - self->members[i].last_seen_ms > self->liveness_ms)
            return self->members[i].id;
    return 0;
}
