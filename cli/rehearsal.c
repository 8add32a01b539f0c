/* See rehearsal.h. */
#include "cli/rehearsal.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

typedef struct {
    pid_t pid; /* 0 while it does not run */
    const char *name;
    uint32_t n_starts;
    bool killed;        /* by us; not reaped yet */
    int64_t stalled_ms; /* stopped by us until then; 0 when it is not */
} process_t;

struct rehearsal {
    const chaos_t *plan;  /* borrowed */
    process_t *processes; /* owned */
    int n_processes;
    bool ended;
    int64_t began_ms;
    uint64_t tick; /* the last that was done */
    uint32_t n_kills;
    uint32_t n_stalls;
};

rehearsal_t *rehearsal_new(const chaos_t *plan, int n_processes)
{
    char text[CHAOS_TEXT_SIZE];
    if (!plan)
        return NULL;
    rehearsal_t *self = calloc(1, sizeof(*self));
    if (!self || !(self->processes = calloc((size_t)n_processes, sizeof(process_t))))
        abort();
    self->plan = plan;
    self->n_processes = n_processes;
    self->began_ms = clock_ms();
    chaos_format(plan, text);
    log_warn("chaos.plan", "process=train plan=%s", text);
    return self;
}

void rehearsal_destroy(rehearsal_t **self_p)
{
    rehearsal_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    free(self->processes);
    free(self);
}

void rehearsal_messages(const rehearsal_t *self, int process, char text[CHAOS_TEXT_SIZE])
{
    text[0] = '\0';
    if (!self || !chaos_of_messages(self->plan))
        return;
    chaos_t plan = *self->plan;
    plan.seed += self->processes[process].n_starts;
    plan.kill = plan.stall = 0;
    chaos_format(&plan, text);
}

void rehearsal_started(rehearsal_t *self, int process, const char *name, pid_t pid)
{
    if (!self)
        return;
    self->processes[process].pid = pid;
    self->processes[process].name = name;
    self->processes[process].n_starts++;
}

bool rehearsal_ended(rehearsal_t *self, int process, bool by_signal)
{
    if (!self)
        return false;
    process_t *ended = &self->processes[process];
    bool planned = ended->killed && by_signal;
    ended->pid = 0;
    ended->killed = false;
    ended->stalled_ms = 0;
    if (planned) {
        self->n_kills++;
        log_warn("chaos.kill", "name=%s tick=%" PRIu64, ended->name, self->tick);
    }
    return planned;
}

static void s_continue(process_t *process)
{
    if (process->pid > 0 && process->stalled_ms > 0)
        kill(process->pid, SIGCONT);
    process->stalled_ms = 0;
}

/* What is planned for a process in this tick. */
static void s_inject(rehearsal_t *self, process_t *process, int64_t now_ms)
{
    if (process->pid == 0 || process->killed)
        return;
    chaos_tick_t fault = chaos_tick(self->plan, chaos_stream(process->name), self->tick);
    if (fault.kill) {
        process->killed = true;
        kill(process->pid, SIGKILL);
    } else if (fault.stall_ms > 0 && process->stalled_ms == 0) {
        process->stalled_ms = now_ms + fault.stall_ms;
        kill(process->pid, SIGSTOP);
        self->n_stalls++;
        log_warn("chaos.stall", "name=%s tick=%" PRIu64 " ms=%u", process->name, self->tick,
                 fault.stall_ms);
    }
}

void rehearsal_tick(rehearsal_t *self)
{
    if (!self || self->ended)
        return;
    int64_t now_ms = clock_ms();
    uint64_t tick = (uint64_t)(now_ms - self->began_ms) / CHAOS_TICK_MS;
    if (tick <= self->tick)
        return;
    self->tick = tick;
    for (int i = 0; i < self->n_processes; i++) {
        if (now_ms >= self->processes[i].stalled_ms)
            s_continue(&self->processes[i]);
        s_inject(self, &self->processes[i], now_ms);
    }
}

int64_t rehearsal_due_ms(const rehearsal_t *self)
{
    if (!self || self->ended || !chaos_of_processes(self->plan))
        return -1;
    return self->began_ms + (int64_t)(self->tick + 1) * CHAOS_TICK_MS;
}

void rehearsal_end(rehearsal_t *self)
{
    if (!self || self->ended)
        return;
    for (int i = 0; i < self->n_processes; i++)
        s_continue(&self->processes[i]);
    self->ended = true;
    log_warn("chaos.done", "process=train kills=%u stalls=%u", self->n_kills, self->n_stalls);
}
