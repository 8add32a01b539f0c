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
    uint64_t n_others; /* lines held back of peers for which no slot was free */
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

/* The peer's own, else one whose last line is long enough ago; NULL when a flood of names holds all
 * of them. */
static slot_t *s_slot(event_t *event, const char *peer, int64_t now_ms)
{
    slot_t *oldest = &event->slots[0];
    for (slot_t *slot = event->slots; slot < event->slots + N_SLOTS; slot++) {
        if (strncmp(slot->peer, peer, sizeof(slot->peer) - 1) == 0 && slot->limit.next_ms > 0)
            return slot;
        if (slot->limit.next_ms < oldest->limit.next_ms)
            oldest = slot;
    }
    return now_ms < oldest->limit.next_ms ? NULL : oldest;
}

static bool s_pass(event_t *event, const char *peer, int64_t now_ms, uint64_t *n_held)
{
    slot_t *slot = s_slot(event, peer, now_ms);
    if (!slot) {
        event->n_others++;
        return false;
    }
    if (strncmp(slot->peer, peer, sizeof(slot->peer) - 1) != 0) {
        event->n_others += slot->limit.n_held;
        slot->limit.n_held = 0;
        (void)snprintf(slot->peer, sizeof(slot->peer), "%s", peer);
    }
    return log_limit_pass(&slot->limit, now_ms, n_held);
}

void log_warn_limited(const char *event, const char *peer, const char *format, ...)
{
    uint64_t n_held;
    pthread_mutex_lock(&s_lock);
    bool pass = s_pass(s_event(event), peer, clock_ms(), &n_held);
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

static void s_flush(const char *event, const char *peer, uint64_t *n_held)
{
    if (*n_held > 0)
        log_warn(event, "peer=%s suppressed=%" PRIu64, peer, *n_held);
    *n_held = 0;
}

void log_limit_flush(void)
{
    pthread_mutex_lock(&s_lock);
    for (event_t *event = s_events; event < s_events + MAX_EVENTS; event++) {
        for (slot_t *slot = event->slots; slot < event->slots + N_SLOTS; slot++)
            s_flush(event->name, slot->peer, &slot->limit.n_held);
        s_flush(event->name, "others", &event->n_others);
    }
    pthread_mutex_unlock(&s_lock);
}
