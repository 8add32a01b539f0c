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
    wire_range_t range; /* audited nodes in it are not asked for ... */
    bool copy;          /* ... but when it is one itself */
    uint32_t n_blocks;  /* asked for */
    double issued_ms;
    double late_ms; /* the time from which it is late */
    double remind_ms;
    bool late;
    bool first; /* made when the step began: its duration measures the worker */
} assignment_t;

/* To be asked for. */
typedef struct {
    wire_range_t *ranges; /* owned */
    uint32_t n;
    uint32_t room;
} ranges_t;

/* All that a worker was asked for when the step began. */
typedef struct {
    uint32_t worker;
    uint32_t n_blocks;
    uint32_t n_open; /* assignments */
    bool late;
} tally_t;

struct round {
    uint32_t n_blocks;
    double node_cost;
    audit_t *audit;       /* borrowed; NULL for none */
    const reduce_t *tree; /* borrowed; of this step */
    assignment_t *open;   /* owned */
    uint32_t n_open;
    uint32_t open_room;
    ranges_t plan;
    ranges_t reminders;
    round_closed_t *closed; /* owned */
    uint32_t n_closed;
    uint32_t closed_room;
    double *speeds; /* owned, as the next two: scratch, one a worker */
    uint32_t *ends;
    round_worker_t *idle;
    uint32_t speeds_room;
    uint32_t ends_room;
    uint32_t idle_room;
    bool *asked;      /* owned; (n_blocks): was somebody asked for the block in this step? */
    tally_t *tallies; /* owned */
    uint32_t n_tallies;
    uint32_t tallies_room;
    bool beginning; /* what is asked for now is part of the tallies */
    bool any_speed_known;
    bool covered; /* for each missing block somebody is on time, and nothing has changed that */
    uint32_t n_reissued;
};

round_t *round_new(uint32_t n_blocks, double node_cost, audit_t *audit)
{
    round_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->n_blocks = n_blocks;
    self->node_cost = node_cost;
    self->audit = audit;
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
    free(self->plan.ranges);
    free(self->reminders.ranges);
    free(self->closed);
    free(self->speeds);
    free(self->ends);
    free(self->idle);
    free(self->asked);
    free(self->tallies);
    free(self);
}

static bool s_undecided(const round_t *self, uint32_t block)
{
    return self->audit && audit_undecided(self->audit, block);
}

/* The end of the run from `first`, at most `end`, that is asked for in one piece or, being audited,
 * not at all: a worker may send any node of a range as one sum. */
static uint32_t s_cut(const round_t *self, uint32_t first, uint32_t end, bool *audited)
{
    *audited = false;
    end = reduce_cut(self->tree, first, end);
    return self->audit ? audit_cut(self->audit, first, end, audited) : end;
}

/* Appends what a worker is to be asked for of a range, and returns how many blocks that is. */
static uint32_t s_append(const round_t *self, ranges_t *to, wire_range_t range, bool copy)
{
    uint32_t n = 0;
    for (uint32_t first = range.first, until; first < range.end; first = until) {
        bool audited;
        until = s_cut(self, first, range.end, &audited);
        if (audited != copy)
            continue;
        n += until - first;
        to->ranges = array_room(to->ranges, to->n + 1, &to->room, sizeof(wire_range_t));
        to->ranges[to->n++] = (wire_range_t){range.worker, first, until};
    }
    return n;
}

static uint32_t s_asked_of(const round_t *self, uint32_t worker)
{
    uint32_t n_blocks = 0;
    for (uint32_t i = 0; i < self->n_open; i++)
        if (self->open[i].range.worker == worker)
            n_blocks += self->open[i].n_blocks;
    return n_blocks;
}

static tally_t *s_tally(const round_t *self, uint32_t worker)
{
    for (uint32_t i = self->n_tallies; i-- > 0;)
        if (self->tallies[i].worker == worker)
            return &self->tallies[i];
    return NULL;
}

static void s_count(round_t *self, const assignment_t *assignment)
{
    tally_t *tally = s_tally(self, assignment->range.worker);
    if (!tally) {
        self->tallies =
            array_room(self->tallies, self->n_tallies + 1, &self->tallies_room, sizeof(tally_t));
        tally = &self->tallies[self->n_tallies++];
        *tally = (tally_t){.worker = assignment->range.worker};
    }
    tally->n_blocks += assignment->n_blocks;
    tally->n_open++;
}

/* Asks for blocks [first, end) but those that are audited, or for one audited node. All that the
 * worker owes has to be done before. */
static void s_issue(round_t *self, const round_worker_t *worker, uint32_t first, uint32_t end,
                    bool copy, double now_ms)
{
    wire_range_t range = {worker->worker, first, end};
    double owed = s_asked_of(self, worker->worker);
    uint32_t n_blocks = s_append(self, &self->plan, range, copy);
    if (n_blocks == 0)
        return;
    self->open = array_room(self->open, self->n_open + 1, &self->open_room, sizeof(assignment_t));
    assignment_t *assignment = &self->open[self->n_open++];
    *assignment = (assignment_t){.range = range,
                                 .copy = copy,
                                 .n_blocks = n_blocks,
                                 .issued_ms = now_ms,
                                 .first = self->beginning};
    double expected_ms = (owed + n_blocks) / worker->speed;
    assignment->late_ms = now_ms + LATE_FACTOR * expected_ms + LATE_MS;
    assignment->remind_ms = now_ms + REMIND_FACTOR * expected_ms + REMIND_MS;
    if (!worker->speed_known) {
        assignment->late_ms = now_ms + (self->any_speed_known ? LATE_NEW_MS : LATE_UNKNOWN_MS);
        assignment->remind_ms = now_ms + REMIND_NEW_MS;
    }
    if (self->beginning)
        s_count(self, assignment);
    for (uint32_t block = first; block < end && !copy; block++) {
        self->n_reissued += self->asked[block] && !s_undecided(self, block);
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
                          uint32_t first, uint32_t end, double now_ms)
{
    self->speeds = array_room(self->speeds, n_workers, &self->speeds_room, sizeof(double));
    self->ends = array_room(self->ends, n_workers, &self->ends_room, sizeof(uint32_t));
    for (uint32_t i = 0; i < n_workers; i++)
        self->speeds[i] = workers[i].speed * (1 - workers[i].doubt);
    assign_ranges(first, end, self->speeds, n_workers, self->node_cost, self->ends);
    for (uint32_t i = 0; i < n_workers; first = self->ends[i], i++)
        if (self->ends[i] > first)
            s_issue(self, &workers[i], first, self->ends[i], false, now_ms);
}

void round_begin(round_t *self, const reduce_t *tree, const round_worker_t *workers,
                 uint32_t n_workers, double now_ms)
{
    self->tree = tree;
    self->n_open = 0;
    self->plan.n = 0;
    self->reminders.n = 0;
    self->n_closed = 0;
    self->n_reissued = 0;
    self->n_tallies = 0;
    self->beginning = true;
    memset(self->asked, 0, self->n_blocks * sizeof(bool));
    s_note_speeds(self, workers, n_workers);
    uint32_t first, end, next, next_end;
    for (uint32_t from = 0; n_workers > 0 && reduce_missing(tree, from, &first, &end); from = end) {
        /* nodes side by side are shared out as one, and asked for each by itself */
        while (reduce_missing(tree, end, &next, &next_end) && next == end)
            end = next_end;
        s_issue_range(self, workers, n_workers, first, end, now_ms);
    }
    self->covered = n_workers > 0;
}

const wire_range_t *round_plan(const round_t *self, uint32_t *n)
{
    *n = self->plan.n;
    return self->plan.ranges;
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

void round_ask_copy(round_t *self, const round_worker_t *worker, uint32_t first, uint32_t end,
                    double now_ms)
{
    for (uint32_t i = self->n_open; i-- > 0;) {
        const assignment_t *assignment = &self->open[i];
        if (assignment->copy && assignment->range.worker == worker->worker &&
            assignment->range.first == first)
            s_drop(self, i); /* it was late, or its answer is asked for once more */
    }
    s_issue(self, worker, first, end, true, now_ms);
}

const wire_range_t *round_owed(round_t *self, uint32_t worker, uint32_t *n)
{
    self->plan.n = 0;
    for (uint32_t i = 0; i < self->n_open; i++)
        if (self->open[i].range.worker == worker)
            (void)s_append(self, &self->plan, self->open[i].range, self->open[i].copy);
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

/* How many blocks that open[i] asks for are still to come; `once`: but those that its worker was
 * asked for before. */
static uint32_t s_missing_blocks(const round_t *self, uint32_t i, bool once)
{
    const wire_range_t *range = &self->open[i].range;
    if (self->open[i].copy)
        return audit_awaits(self->audit, range->worker, range->first) ? self->open[i].n_blocks : 0;
    uint32_t n = 0, first, end;
    for (uint32_t from = range->first;
         from < range->end && reduce_missing(self->tree, from, &first, &end) && first < range->end;
         from = end)
        for (; first < end && first < range->end; first++)
            n += !s_undecided(self, first) &&
                 !(once && s_owed_before(self, i, range->worker, first));
    return n;
}

uint32_t round_owed_blocks(const round_t *self, uint32_t worker)
{
    uint32_t n = 0;
    bool asked_before = false; /* then some blocks may have been asked for twice */
    for (uint32_t i = 0; i < self->n_open; i++) {
        if (self->open[i].range.worker != worker)
            continue;
        n += s_missing_blocks(self, i, asked_before);
        asked_before = true;
    }
    return n;
}

/* Notes what the step's beginning says of a worker: all is done, or one thing is late. */
static void s_report(round_t *self, const assignment_t *assignment, bool late, double now_ms)
{
    tally_t *tally = assignment->first ? s_tally(self, assignment->range.worker) : NULL;
    if (!tally || tally->late)
        return;
    if (!late && --tally->n_open > 0)
        return;
    tally->late = late;
    self->closed =
        array_room(self->closed, self->n_closed + 1, &self->closed_room, sizeof(round_closed_t));
    self->closed[self->n_closed++] =
        (round_closed_t){tally->worker, tally->n_blocks, now_ms - assignment->issued_ms, late};
}

/* Is some of what was asked for still to come? */
static bool s_is_awaited(const round_t *self, const assignment_t *assignment)
{
    const wire_range_t *range = &assignment->range;
    if (assignment->copy)
        return audit_awaits(self->audit, range->worker, range->first);
    uint32_t missing;
    bool audited;
    for (uint32_t from = range->first;
         reduce_missing(self->tree, from, &missing, NULL) && missing < range->end;
         from = s_cut(self, missing, range->end, &audited))
        if (!s_undecided(self, missing))
            return true;
    return false;
}

static void s_close_complete(round_t *self, double now_ms)
{
    for (uint32_t i = self->n_open; i-- > 0;) {
        if (s_is_awaited(self, &self->open[i]))
            continue;
        s_report(self, &self->open[i], false, now_ms);
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
static bool s_uncovered(const round_t *self, uint32_t from, uint32_t *first, uint32_t *end)
{
    while (reduce_missing(self->tree, from, first, NULL)) {
        bool audited;
        uint32_t until = s_covered_until(self, *first);
        if (until == 0 && s_undecided(self, *first))
            until = s_cut(self, *first, self->n_blocks, &audited);
        if (until > 0) {
            from = until;
            continue;
        }
        (void)reduce_missing(self->tree, *first, first, end);
        for (uint32_t block = *first + 1; block < *end; block++)
            if (s_covered_until(self, block) > 0 || s_undecided(self, block))
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
static void s_issue_uncovered(round_t *self, const round_worker_t *workers, uint32_t n_workers,
                              double now_ms)
{
    uint32_t n_idle = 0;
    bool on_time = false;
    self->idle = array_room(self->idle, n_workers, &self->idle_room, sizeof(*self->idle));
    for (uint32_t i = 0; i < n_workers; i++) {
        if (!s_owes(self, workers[i].worker, true))
            self->idle[n_idle++] = workers[i];
        on_time |= s_owes(self, workers[i].worker, false);
    }
    uint32_t first, end;
    for (uint32_t from = 0; s_uncovered(self, from, &first, &end); from = end) {
        if (n_idle > 0)
            s_issue_range(self, self->idle, n_idle, first, end, now_ms);
        else if (!on_time || s_has_orphan(self, first, end))
            s_issue_range(self, workers, n_workers, first, end, now_ms);
    }
}

/* What is missing of an assignment goes to the reminders. */
static void s_remind(round_t *self, const assignment_t *assignment)
{
    wire_range_t range = assignment->range;
    if (assignment->copy) {
        (void)s_append(self, &self->reminders, range, true);
        return;
    }
    for (uint32_t from = range.first, first, end;
         from < range.end && reduce_missing(self->tree, from, &first, &end) && first < range.end;
         from = end)
        (void)s_append(self, &self->reminders,
                       (wire_range_t){range.worker, first, end < range.end ? end : range.end},
                       false);
}

void round_tick(round_t *self, const round_worker_t *workers, uint32_t n_workers, double now_ms)
{
    self->plan.n = 0;
    self->reminders.n = 0;
    self->beginning = false;
    s_note_speeds(self, workers, n_workers);
    s_close_complete(self, now_ms);
    for (uint32_t i = 0; i < self->n_open; i++) {
        assignment_t *assignment = &self->open[i];
        if (!assignment->late && now_ms >= assignment->remind_ms) {
            s_remind(self, assignment);
            assignment->remind_ms += assignment->remind_ms - assignment->issued_ms;
        }
        if (assignment->late || now_ms < assignment->late_ms)
            continue;
        assignment->late = true;
        self->covered = false;
        s_report(self, assignment, true, now_ms);
        if (assignment->copy)
            audit_late(self->audit, assignment->range.worker, assignment->range.first);
    }
    uint32_t first, end;
    self->covered = self->covered || !s_uncovered(self, 0, &first, &end);
    if (n_workers > 0 && !self->covered)
        s_issue_uncovered(self, workers, n_workers, now_ms);
}

const wire_range_t *round_reminders(const round_t *self, uint32_t *n)
{
    *n = self->reminders.n;
    return self->reminders.ranges;
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
