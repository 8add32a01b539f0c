/* How far a training is: one line that changes on a terminal, some plain lines otherwise. */
#ifndef DROVER_CLI_PROGRESS_H
#define DROVER_CLI_PROGRESS_H

#include "parameter_server/server.h"

typedef struct progress progress_t;

/* On standard output. Never NULL. */
progress_t *progress_new(uint32_t n_steps);
void progress_destroy(progress_t **self_p);

void progress_step(progress_t *self, const server_record_t *record);

/* From now on the lines name its accuracy: on validation data, where there are any. */
void progress_evaluation(progress_t *self, const trial_result_t *result);

/* Leaves the last line standing. */
void progress_end(progress_t *self);

#endif
