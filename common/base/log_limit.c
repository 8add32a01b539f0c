/* See log_limit.h. */
#include "base/log_limit.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define MAX_EVENTS 16 /* of the program; what is beyond shares the last one's limits */
#define N_SLOTS    32 /* of an event */

typedef struct {
    log_limit_t limit;
    char peer[64]; /* of the last line */
} slot_t;

typedef struct {
    char name[32];
    slot_t slots[N_SLOTS];
} event_t;

static pthread_mutex_t s_lock = PTHREAD_MUTEX_INITIALIZER;
static event_t s_events[MAX_EVENTS]; /* in the order of their first lines */

bool log_limit_pass(log_limit_t *self, int64_t now_ms, uint64_t *n_held)
{
    if (now_ms < self->next_ms) {
        self->n_held++;
        return false;
    }
    *n_held = self->n_held;
    *self = (log_limit_t){.next_ms = now_ms + LOG_LIMIT_MS};
    return true;
}

static event_t *s_event(const char *name)
{
    int i = 0;
    while (i < MAX_EVENTS - 1 && s_events[i].name[0] && strcmp(s_events[i].name, name) != 0)
        i++;
    if (!s_events[i].name[0])
        (void)snprintf(s_events[i].name, sizeof(s_events[i].name), "%s", name);
    return &s_events[i];
}

/* The peer's own, else one whose last line is long ago. When a flood of names holds all of them,
 * what is one name more is held back with the one that comes free first. */
static slot_t *s_slot(event_t *event, const char *peer)
{
    slot_t *oldest = &event->slots[0];
    for (slot_t *slot = event->slots; slot < event->slots + N_SLOTS; slot++) {
        if (strncmp(slot->peer, peer, sizeof(slot->peer) - 1) == 0 && slot->limit.next_ms > 0)
            return slot;
        if (slot->limit.next_ms < oldest->limit.next_ms)
            oldest = slot;
    }
    return oldest;
}

void log_warn_limited(const char *event, const char *peer, const char *format, ...)
{
    uint64_t n_held;
    pthread_mutex_lock(&s_lock);
    slot_t *slot = s_slot(s_event(event), peer);
    bool pass = log_limit_pass(&slot->limit, clock_ms(), &n_held);
    if (pass)
        (void)snprintf(slot->peer, sizeof(slot->peer), "%s", peer);
    pthread_mutex_unlock(&s_lock);
    if (!pass)
        return;
    char text[1024];
    char held[40] = "";
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n_held > 0)
        (void)snprintf(held, sizeof(held), " suppressed=%" PRIu64, n_held);
    log_warn(event, "%s%s", text, held);
}

void log_limit_flush(void)
{
    pthread_mutex_lock(&s_lock);
    for (int i = 0; i < MAX_EVENTS * N_SLOTS; i++) {
        const event_t *event = &s_events[i / N_SLOTS];
        slot_t *slot = &s_events[i / N_SLOTS].slots[i % N_SLOTS];
        if (slot->limit.n_held > 0)
            log_warn(event->name, "peer=%s suppressed=%" PRIu64, slot->peer, slot->limit.n_held);
        slot->limit.n_held = 0;
    }
    pthread_mutex_unlock(&s_lock);
}
