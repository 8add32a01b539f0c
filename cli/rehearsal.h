/* A plan of faults done to child processes: kill -9, and SIGSTOP with SIGCONT a while later.
 *
 * Once in CHAOS_TICK_MS each process is looked at; what happens to it is a function of the plan,
 * its name and the tick's number. All functions take NULL, a run without a plan, and do nothing
 * then.
 */
#ifndef DROVER_CLI_REHEARSAL_H
#define DROVER_CLI_REHEARSAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/chaos.h"

typedef struct rehearsal rehearsal_t;

/* Of that plan (borrowed) for processes [0, n_processes), none of which runs yet; logs the plan.
 * NULL when the plan is. */
rehearsal_t *rehearsal_new(const chaos_t *plan, int n_processes);
void rehearsal_destroy(rehearsal_t **self_p);

/* The --chaos of the next start of a process: the plan's faults of messages, with a seed of that
 * start's own, since else the same message would be lost after each. "" when there are none. */
void rehearsal_messages(const rehearsal_t *self, int process, char text[CHAOS_TEXT_SIZE]);

/* It was started; `name` (borrowed) is what it is called. */
void rehearsal_started(rehearsal_t *self, int process, const char *name, pid_t pid);

/* It has ended, by a signal or not. True when that was the plan's. */
bool rehearsal_ended(rehearsal_t *self, int process, bool by_signal);

/* Does what is due. Ticks that were missed are left out. */
void rehearsal_tick(rehearsal_t *self);

/* When the next tick is due, in clock_ms; -1 for never. */
int64_t rehearsal_due_ms(const rehearsal_t *self);

/* No more faults: lets the stopped go on, and logs how many there were. Once. */
void rehearsal_end(rehearsal_t *self);

#endif
