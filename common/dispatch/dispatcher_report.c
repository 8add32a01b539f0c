/* How the members are doing, and what a step waits for. See dispatcher.h. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "dispatch/dispatcher_self.h"

#define MAX_NAMED 3
#define LATE      0.5 /* doubt from which a member is called late */

static void s_append(char text[WIRE_TEXT_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void s_append(char text[WIRE_TEXT_SIZE], const char *format, ...)
{
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text + used, WIRE_TEXT_SIZE - used, format, arguments);
    va_end(arguments);
}

bool dispatcher_waits_for(dispatcher_t *self, char text[WIRE_TEXT_SIZE])
{
    double now_ms = s_now_ms(self);
    uint32_t n_missing = 0, first, end, n_members, n_named = 0, n_owing = 0;
    text[0] = '\0';
    if (!self->running || now_ms - self->progress_ms < LOG_FIRST_WAIT_MS)
        return false;
    const reduce_t *tree = aggregate_tree(self->aggregate);
    for (uint32_t from = 0; reduce_missing(tree, from, &first, &end); from = end)
        n_missing += end - first;
    if (n_missing == 0)
        return false; /* it is above that something is waited for */
    s_append(text, "%u blocks of step %u", n_missing, self->step);
    const member_t *members = membership_list(self->members, &n_members);
    for (uint32_t i = 0; i < n_members; i++) {
        uint32_t owed = round_owed_blocks(self->round, members[i].id);
        n_owing += owed > 0;
        if (owed == 0 || n_named == MAX_NAMED)
            continue;
        s_append(text, "%s %.40s (%u blocks, heard %.1f s ago)", n_named++ ? "," : ":",
                 members[i].name, owed, (now_ms - (double)members[i].last_seen_ms) / 1000);
    }
    if (n_owing > n_named)
        s_append(text, " and %u more", n_owing - n_named);
    audit_event_t dispute;
    if (audit_dispute(self->audit, &dispute))
        s_append(text, "; a third worker to decide between %.40s and %.40s about node (%u,%u)",
                 dispute.name, dispute.other, dispute.node.level, dispute.node.index);
    else if (n_owing == 0)
        s_append(text, ": nobody is there to compute them");
    return true;
}

void dispatcher_say_waits(dispatcher_t *self)
{
    char text[WIRE_TEXT_SIZE];
    double now_ms = s_now_ms(self);
    if (now_ms < self->say_ms || !dispatcher_waits_for(self, text))
        return;
    log_info("step.waiting", "for=%s", text);
    self->say_ms = now_ms + LOG_WAIT_MS;
}

static double s_rows_per_s(const dispatcher_t *self, double blocks_per_ms)
{
    return blocks_per_ms * 1000 * sampler_step_rows(&self->job.sampler) /
           sampler_blocks(&self->job.sampler);
}

static const char *s_state(const member_t *member, int64_t now_ms)
{
    if (member->state == MEMBER_JOINING)
        return "joining";
    if (membership_silent(member, now_ms))
        return "silent";
    return member->doubt >= LATE ? "late" : "active";
}

static wire_member_t s_describe(const dispatcher_t *self, const member_t *member)
{
    int64_t now_ms = (int64_t)s_now_ms(self);
    wire_member_t row = {
        .number = member->id,
        .threads = member->threads,
        .relay = member->relays > 0,
        .rows_per_s = member->blocks_per_ms > 0 ? s_rows_per_s(self, member->blocks_per_ms) : NAN,
        .seen_ms = (uint32_t)(now_ms - member->last_seen_ms),
        .owed = self->running ? round_owed_blocks(self->round, member->id) : 0,
        .assigned = member->n_assigned,
        .reissued = member->n_late,
        .refused = member->n_refused,
    };
    memcpy(row.name, member->name, sizeof(row.name));
    memcpy(row.host, member->host, sizeof(row.host));
    memcpy(row.kernel, member->kernel, sizeof(row.kernel));
    (void)snprintf(row.state, sizeof(row.state), "%s", s_state(member, now_ms));
    return row;
}

void dispatcher_report(dispatcher_t *self, const wire_peer_t *peer, const wire_report_t *report)
{
    wire_t *out = &self->out;
    uint32_t n;
    const member_t *members = membership_list(self->members, &n);
    double blocks_per_ms = 0;
    out->report = *report;
    out->report.n_members = n;
    out->n_members = n < WIRE_MAX_MEMBERS ? n : WIRE_MAX_MEMBERS;
    self->reported =
        array_room(self->reported, out->n_members, &self->reported_room, sizeof(*self->reported));
    out->members = self->reported;
    for (uint32_t i = 0; i < out->n_members; i++)
        self->reported[i] = s_describe(self, &members[i]);
    for (uint32_t i = 0; i < n; i++)
        blocks_per_ms += members[i].blocks_per_ms;
    if (isnan(report->rows_per_s) && blocks_per_ms > 0)
        out->report.rows_per_s = s_rows_per_s(self, blocks_per_ms);
    if (!report->waiting_for[0])
        (void)dispatcher_waits_for(self, out->report.waiting_for);
    out->quarantined = membership_quarantine(self->members, &n);
    out->n_quarantined = n < WIRE_MAX_QUARANTINED ? n : WIRE_MAX_QUARANTINED;
    dispatcher_send(self, peer, WIRE_REPORT, NULL);
}
