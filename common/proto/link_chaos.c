/* See link_chaos.h. */
#include "proto/link_chaos.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* A process says what was injected so far after so many faults, or so much time with any: it may be
 * killed before its end. */
#define SAY_FAULTS 50
#define SAY_MS     5000

typedef struct held {
    int64_t due_ms;
    link_raw_t raw;
    struct held *next;
} held_t;

struct link_chaos {
    uint32_t stream;
    unsigned slot;
    held_t *held; /* owned list, by due_ms */
};

/* What was injected, by kind. */
enum {
    DROPS,
    DELAYS,
    DUPLICATES,
    CORRUPTIONS,
    N_KINDS
};

/* Of the process; written before the first socket but for the counts. */
static bool s_active;
static chaos_t s_plan;
static char s_process[WIRE_NAME_SIZE];
static _Atomic uint64_t s_numbers[LINK_CHAOS_SLOTS]; /* of each socket's next message */
static _Atomic uint64_t s_counts[N_KINDS];
static _Atomic uint64_t s_n_faults; /* their sum */
static _Atomic int64_t s_say_ms;

static void s_say(const char *event)
{
    log_warn(event,
             "process=%s pid=%d drops=%" PRIu64 " delays=%" PRIu64 " duplicates=%" PRIu64
             " corruptions=%" PRIu64,
             s_process, (int)getpid(), s_counts[DROPS], s_counts[DELAYS], s_counts[DUPLICATES],
             s_counts[CORRUPTIONS]);
}

static void s_count(int kind, int64_t now_ms)
{
    s_counts[kind]++;
    uint64_t n = ++s_n_faults;
    if (n % SAY_FAULTS != 0 && now_ms < s_say_ms)
        return;
    s_say_ms = now_ms + SAY_MS;
    s_say("chaos.counts");
}

void link_chaos_begin(const chaos_t *plan, const char *process)
{
    s_plan = *plan;
    s_active = true;
    for (int slot = 0; slot < LINK_CHAOS_SLOTS; slot++)
        s_numbers[slot] = 0;
    for (int kind = 0; kind < N_KINDS; kind++)
        s_counts[kind] = 0;
    s_n_faults = 0;
    s_say_ms = clock_ms() + SAY_MS;
    (void)snprintf(s_process, sizeof(s_process), "%s", process);
}

void link_chaos_end(void)
{
    if (s_active)
        s_say("chaos.done");
    s_active = false;
}

link_chaos_t *link_chaos_new(unsigned slot)
{
    char label[WIRE_NAME_SIZE + 16];
    if (!s_active)
        return NULL;
    assert(slot < LINK_CHAOS_SLOTS);
    link_chaos_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    (void)snprintf(label, sizeof(label), "%s/%u", s_process, slot);
    self->stream = chaos_stream(label);
    self->slot = slot;
    return self;
}

static void s_clear(link_raw_t *raw)
{
    frame_clear(&raw->header);
    frame_clear(&raw->frame);
}

void link_chaos_destroy(link_chaos_t **self_p)
{
    link_chaos_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    while (self->held) {
        held_t *held = self->held;
        self->held = held->next;
        s_clear(&held->raw);
        free(held);
    }
    free(self);
}

/* *to (which must hold nothing) takes over what *from held. */
static void s_move(link_raw_t *to, link_raw_t *from)
{
    to->peer = from->peer;
    to->whole = from->whole;
    frame_move(&to->header, &from->header);
    frame_move(&to->frame, &from->frame);
}

/* Behind those that are due at the same time. */
static void s_hold(link_chaos_t *self, link_raw_t *raw, int64_t due_ms)
{
    held_t *held = calloc(1, sizeof(*held));
    if (!held)
        abort();
    held->due_ms = due_ms;
    s_move(&held->raw, raw);
    held_t **at = &self->held;
    while (*at && (*at)->due_ms <= due_ms)
        at = &(*at)->next;
    held->next = *at;
    *at = held;
}

/* A copy of the bytes: those that came may be shared with others, the sender even. */
static void s_copy_frame(frame_t *to, frame_t *from)
{
    if (from->present)
        frame_copy_of(to, frame_data(from), frame_size(from));
}

static void s_flip(frame_t *frame, uint32_t place)
{
    frame_t copy = {.present = false};
    uint64_t bit = (uint64_t)place * 8 * frame_size(frame) >> 32;
    s_copy_frame(&copy, frame);
    ((uint8_t *)frame_data(&copy))[bit / 8] ^= (uint8_t)(1u << bit % 8);
    frame_clear(frame);
    frame_move(frame, &copy);
}

/* One bit, of the frame or of the header. */
static void s_corrupt(link_raw_t *raw, const uint32_t place[2], int64_t now_ms)
{
    bool in_frame = frame_size(&raw->frame) > 0 && place[0] % 2;
    frame_t *part = in_frame ? &raw->frame : &raw->header;
    if (frame_size(part) == 0)
        return;
    s_flip(part, place[1]);
    s_count(CORRUPTIONS, now_ms);
}

/* Does to a message what is planned: true when it is to be had at once. */
static bool s_suffer(link_chaos_t *self, link_raw_t *raw, int64_t now_ms)
{
    chaos_fate_t fate = chaos_fate(&s_plan, self->stream, s_numbers[self->slot]++);
    if (fate.drop) {
        s_clear(raw);
        s_count(DROPS, now_ms);
        return false;
    }
    if (fate.corrupt)
        s_corrupt(raw, fate.place, now_ms);
    if (fate.duplicate) {
        link_raw_t copy = {.peer = raw->peer, .whole = raw->whole};
        s_copy_frame(&copy.header, &raw->header);
        s_copy_frame(&copy.frame, &raw->frame);
        s_hold(self, &copy, now_ms);
        s_count(DUPLICATES, now_ms);
    }
    if (fate.delay_ms == 0)
        return true;
    s_hold(self, raw, now_ms + fate.delay_ms);
    s_count(DELAYS, now_ms);
    return false;
}

static bool s_take_due(link_chaos_t *self, int64_t now_ms, link_raw_t *raw)
{
    held_t *held = self->held;
    if (!held || held->due_ms > now_ms)
        return false;
    self->held = held->next;
    s_move(raw, &held->raw);
    free(held);
    return true;
}

bool link_chaos_receive(link_chaos_t *self, bool (*next)(void *context, link_raw_t *raw),
                        void *context, link_raw_t *raw)
{
    int64_t now_ms = clock_ms();
    if (s_take_due(self, now_ms, raw))
        return true;
    while (next(context, raw))
        if (s_suffer(self, raw, now_ms))
            return true;
    return s_take_due(self, now_ms, raw); /* a copy, of one that is held back itself */
}

int64_t link_chaos_due_ms(const link_chaos_t *self)
{
    return self->held ? self->held->due_ms : INT64_MAX;
}
