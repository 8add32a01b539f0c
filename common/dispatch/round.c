/* See round.h. */
#include "dispatch/round.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "dispatch/assign.h"

/* Late is what takes longer than this many times the expected duration and a scheduler's whim. */
#define LATE_FACTOR 3.0
#define LATE_MS     30.0
/* Before it is late its worker is reminded of it, in case a message was lost: when it is overdue by
 * so much, and again when it has taken twice as long. */
#define REMIND_FACTOR 1.25
#define REMIND_MS     10.0
#define REMIND_NEW_MS 250.0
/* Of a worker whose speed is not known, with the data still on its way: when others' are, and when
 * nobody's is. */
#define LATE_NEW_MS     1000.0
#define LATE_UNKNOWN_MS 5000.0

typedef struct {
    wire_range_t range;
    double issued_ms;
    double late_ms; /* the time from which it is late */
    double remind_ms;
    bool late;
    bool first; /* of round_begin: its duration measures the worker */
} assignment_t;

struct round {
    uint32_t n_blocks;
    double node_cost;
    assignment_t *open; /* owned */
    uint32_t n_open;
    uint32_t open_room;
    wire_range_t *plan; /* owned */
    uint32_t n_plan;
    uint32_t plan_room;
    wire_range_t *reminders; /* owned */
    uint32_t n_reminders;
    uint32_t reminders_room;
    round_closed_t *closed; /* owned */
    uint32_t n_closed;
    uint32_t closed_room;
    double *speeds; /* owned; scratch, one a worker */
    uint32_t *ends;
    uint32_t speeds_room;
    uint32_t ends_room;
    bool *asked; /* owned; (n_blocks): was somebody asked for the block in this step? */
    bool any_speed_known;
    bool covered; /* for each missing block somebody is on time, and nothing has changed that */
    uint32_t n_reissued;
};

round_t *round_new(uint32_t n_blocks, double node_cost)
{
    round_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->n_blocks = n_blocks;
    self->node_cost = node_cost;
    self->asked = calloc(n_blocks, sizeof(bool));
    if (!self->asked)
        abort();
    return self;
}

void round_destroy(round_t **self_p)
{
    round_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    free(self->open);
    free(self->plan);
    free(self->reminders);
    free(self->closed);
    free(self->speeds);
    free(self->ends);
    free(self->asked);
    free(self);
}

/* Everything that one worker owes has to be done before what it is asked for now. */
static double s_expected_ms(const round_t *self, const round_worker_t *worker, uint32_t n_blocks)
{
    double blocks = n_blocks;
    for (uint32_t i = 0; i < self->n_open; i++)
        if (self->open[i].range.worker == worker->worker)
            blocks += self->open[i].range.end - self->open[i].range.first;
    return blocks / worker->speed;
}

static void s_issue(round_t *self, const round_worker_t *worker, uint32_t first, uint32_t end,
                    bool is_first, double now_ms)
{
    double expected_ms = s_expected_ms(self, worker, end - first);
    self->open = array_room(self->open, self->n_open + 1, &self->open_room, sizeof(assignment_t));
    assignment_t *assignment = &self->open[self->n_open++];
    assignment->range = (wire_range_t){worker->worker, first, end};
    assignment->issued_ms = now_ms;
    assignment->late_ms = now_ms + LATE_FACTOR * expected_ms + LATE_MS;
    assignment->remind_ms = now_ms + REMIND_FACTOR * expected_ms + REMIND_MS;
    if (!worker->speed_known) {
        assignment->late_ms = now_ms + (self->any_speed_known ? LATE_NEW_MS : LATE_UNKNOWN_MS);
        assignment->remind_ms = now_ms + REMIND_NEW_MS;
    }
    assignment->late = false;
    assignment->first = is_first;
    self->plan = array_room(self->plan, self->n_plan + 1, &self->plan_room, sizeof(wire_range_t));
    self->plan[self->n_plan++] = assignment->range;
    for (uint32_t block = first; block < end; block++) {
        self->n_reissued += self->asked[block];
        self->asked[block] = true;
    }
}

static void s_note_speeds(round_t *self, const round_worker_t *workers, uint32_t n_workers)
{
    self->any_speed_known = false;
    for (uint32_t i = 0; i < n_workers; i++)
        self->any_speed_known |= workers[i].speed_known;
}

/* Blocks [first, end) over the workers. */
static void s_issue_range(round_t *self, const round_worker_t *workers, uint32_t n_workers,
                          uint32_t first, uint32_t end, bool is_first, double now_ms)
{
    self->speeds = array_room(self->speeds, n_workers, &self->speeds_room, sizeof(double));
    self->ends = array_room(self->ends, n_workers, &self->ends_room, sizeof(uint32_t));
    for (uint32_t i = 0; i < n_workers; i++)
        self->speeds[i] = workers[i].speed * (1 - workers[i].doubt);
    assign_ranges(first, end, self->speeds, n_workers, self->node_cost, self->ends);
    for (uint32_t i = 0; i < n_workers; first = self->ends[i], i++)
        if (self->ends[i] > first)
            s_issue(self, &workers[i], first, self->ends[i], is_first, now_ms);
}

void round_begin(round_t *self, const reduce_t *tree, const round_worker_t *workers,
                 uint32_t n_workers, double now_ms)
{
    self->n_open = 0;
    self->n_plan = 0;
    self->n_reminders = 0;
    self->n_closed = 0;
    self->n_reissued = 0;
    memset(self->asked, 0, self->n_blocks * sizeof(bool));
    s_note_speeds(self, workers, n_workers);
    uint32_t first, end;
    for (uint32_t from = 0; n_workers > 0 && reduce_missing(tree, from, &first, &end); from = end)
        s_issue_range(self, workers, n_workers, first, end, true, now_ms);
    self->covered = n_workers > 0;
}

const wire_range_t *round_plan(const round_t *self, uint32_t *n)
{
    *n = self->n_plan;
    return self->plan;
}

static void s_drop(round_t *self, uint32_t i)
{
    memmove(&self->open[i], &self->open[i + 1], (self->n_open - i - 1) * sizeof(assignment_t));
    self->n_open--;
}

void round_wanted(round_t *self)
{
    self->covered = false;
}

void round_lost(round_t *self, uint32_t worker)
{
    self->covered = false;
    for (uint32_t i = self->n_open; i-- > 0;)
        if (self->open[i].range.worker == worker)
            s_drop(self, i);
}

const wire_range_t *round_owed(round_t *self, uint32_t worker, uint32_t *n)
{
    self->n_plan = 0;
    for (uint32_t i = 0; i < self->n_open; i++) {
        if (self->open[i].range.worker != worker)
            continue;
        self->plan =
            array_room(self->plan, self->n_plan + 1, &self->plan_room, sizeof(wire_range_t));
        self->plan[self->n_plan++] = self->open[i].range;
    }
    return round_plan(self, n);
}

/* Is the block in one of the first n open assignments, a worker's? */
static bool s_owed_before(const round_t *self, uint32_t n, uint32_t worker, uint32_t block)
{
    for (uint32_t i = 0; i < n; i++)
        if (self->open[i].range.worker == worker && self->open[i].range.first <= block &&
            block < self->open[i].range.end)
            return true;
    return false;
}

uint32_t round_owed_blocks(const round_t *self, const reduce_t *tree, uint32_t worker)
{
    uint32_t n = 0;
    bool asked_before = false; /* then some blocks may have been asked for twice */
    for (uint32_t i = 0; i < self->n_open; i++) {
        const wire_range_t *range = &self->open[i].range;
        uint32_t first, end;
        if (range->worker != worker)
            continue;
        for (uint32_t from = range->first;
             from < range->end && reduce_missing(tree, from, &first, &end) && first < range->end;
             from = end) {
            end = end < range->end ? end : range->end;
            for (uint32_t block = first; asked_before && block < end; block++)
                n -= s_owed_before(self, i, worker, block);
            n += end - first;
        }
        asked_before = true;
    }
    return n;
}

/* Notes what an assignment says of its worker. */
static void s_report(round_t *self, const assignment_t *assignment, double now_ms)
{
    self->closed =
        array_room(self->closed, self->n_closed + 1, &self->closed_room, sizeof(round_closed_t));
    self->closed[self->n_closed++] =
        (round_closed_t){assignment->range.worker, assignment->range.end - assignment->range.first,
                         now_ms - assignment->issued_ms, assignment->late};
}

static void s_close_complete(round_t *self, const reduce_t *tree, double now_ms)
{
    for (uint32_t i = self->n_open; i-- > 0;) {
        const assignment_t *assignment = &self->open[i];
        uint32_t missing;
        if (reduce_missing(tree, assignment->range.first, &missing, NULL) &&
            missing < assignment->range.end)
            continue;
        if (assignment->first && !assignment->late)
            s_report(self, assignment, now_ms);
        s_drop(self, i);
    }
}

/* The end of the open, not late assignments that `block` lies in, or 0 when it lies in none. */
static uint32_t s_covered_until(const round_t *self, uint32_t block)
{
    uint32_t until = 0;
    for (uint32_t i = 0; i < self->n_open; i++) {
        const assignment_t *assignment = &self->open[i];
        if (!assignment->late && assignment->range.first <= block &&
            block < assignment->range.end && assignment->range.end > until)
            until = assignment->range.end;
    }
    return until;
}

/* The next run of blocks at or after *from that nobody is on time with. */
static bool s_uncovered(const round_t *self, const reduce_t *tree, uint32_t from, uint32_t *first,
                        uint32_t *end)
{
    while (reduce_missing(tree, from, first, NULL)) {
        uint32_t until = s_covered_until(self, *first);
        if (until > 0) {
            from = until;
            continue;
        }
        (void)reduce_missing(tree, *first, first, end);
        for (uint32_t block = *first + 1; block < *end; block++)
            if (s_covered_until(self, block) > 0)
                *end = block;
        return true;
    }
    return false;
}

static bool s_owes(const round_t *self, uint32_t worker, bool also_late)
{
    for (uint32_t i = 0; i < self->n_open; i++)
        if (self->open[i].range.worker == worker && (also_late || !self->open[i].late))
            return true;
    return false;
}

static bool s_is_owed(const round_t *self, uint32_t block)
{
    for (uint32_t i = 0; i < self->n_open; i++)
        if (self->open[i].range.first <= block && block < self->open[i].range.end)
            return true;
    return false;
}

/* Is there a block in [first, end) that nobody was asked for, or nobody who is still there? */
static bool s_has_orphan(const round_t *self, uint32_t first, uint32_t end)
{
    for (uint32_t block = first; block < end; block++)
        if (!s_is_owed(self, block))
            return true;
    return false;
}

/* Gives blocks that nobody is on time with to the idle. When there are none, late blocks wait for
 * those who will be idle soon; orphans do not, nor does anything when nobody is on time: a message
 * may have been lost, and everybody is asked again. */
static void s_issue_uncovered(round_t *self, const reduce_t *tree, const round_worker_t *workers,
                              uint32_t n_workers, round_worker_t *idle, double now_ms)
{
    uint32_t n_idle = 0;
    bool on_time = false;
    for (uint32_t i = 0; i < n_workers; i++) {
        if (!s_owes(self, workers[i].worker, true))
            idle[n_idle++] = workers[i];
        on_time |= s_owes(self, workers[i].worker, false);
    }
    uint32_t first, end;
    for (uint32_t from = 0; s_uncovered(self, tree, from, &first, &end); from = end) {
        if (n_idle > 0)
            s_issue_range(self, idle, n_idle, first, end, false, now_ms);
        else if (!on_time || s_has_orphan(self, first, end))
            s_issue_range(self, workers, n_workers, first, end, false, now_ms);
    }
}

/* What is missing of an assignment goes to the reminders. */
static void s_remind(round_t *self, const reduce_t *tree, const assignment_t *assignment)
{
    wire_range_t range = assignment->range;
    for (uint32_t from = range.first, first, end;
         from < range.end && reduce_missing(tree, from, &first, &end) && first < range.end;
         from = end) {
        self->reminders = array_room(self->reminders, self->n_reminders + 1, &self->reminders_room,
                                     sizeof(wire_range_t));
        self->reminders[self->n_reminders++] =
            (wire_range_t){range.worker, first, end < range.end ? end : range.end};
    }
}

void round_tick(round_t *self, const reduce_t *tree, const round_worker_t *workers,
                uint32_t n_workers, double now_ms)
{
    self->n_plan = 0;
    self->n_reminders = 0;
    s_note_speeds(self, workers, n_workers);
    s_close_complete(self, tree, now_ms);
    for (uint32_t i = 0; i < self->n_open; i++) {
        assignment_t *assignment = &self->open[i];
        if (!assignment->late && now_ms >= assignment->remind_ms) {
            s_remind(self, tree, assignment);
            assignment->remind_ms += assignment->remind_ms - assignment->issued_ms;
        }
        if (assignment->late || now_ms < assignment->late_ms)
            continue;
        assignment->late = true;
        self->covered = false;
        if (assignment->first)
            s_report(self, assignment, now_ms);
    }
    uint32_t first, end;
    self->covered = self->covered || !s_uncovered(self, tree, 0, &first, &end);
    if (n_workers == 0 || self->covered)
        return;
    round_worker_t *idle = malloc(n_workers * sizeof(*idle));
    if (!idle)
        abort();
    s_issue_uncovered(self, tree, workers, n_workers, idle, now_ms);
    free(idle);
}

const wire_range_t *round_reminders(const round_t *self, uint32_t *n)
{
    *n = self->n_reminders;
    return self->reminders;
}

bool round_take_closed(round_t *self, round_closed_t *closed)
{
    if (self->n_closed == 0)
        return false;
    *closed = self->closed[0];
    memmove(self->closed, self->closed + 1, --self->n_closed * sizeof(*self->closed));
    return true;
}

double round_deadline_ms(const round_t *self)
{
    double deadline = INFINITY;
    for (uint32_t i = 0; i < self->n_open; i++)
        if (!self->open[i].late)
            deadline = fmin(deadline, fmin(self->open[i].late_ms, self->open[i].remind_ms));
    return deadline;
}

uint32_t round_reissued(const round_t *self)
{
    return self->n_reissued;
}
