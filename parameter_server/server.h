/* The parameter server: moves frames between the four sockets and the policy modules.
 *
 * Weights after step t are a function of (data, config, seed, kernel): everything that the sum
 * depends on goes through the canonical tree (aggregate, math/reduce), everything that time and
 * peers decide (membership, round) only chooses who computes what.
 */
#ifndef DROVER_PARAMETER_SERVER_SERVER_H
#define DROVER_PARAMETER_SERVER_SERVER_H

#include "base/err.h"
#include "parameter_server/job.h"

typedef enum {
    SERVER_STEP = 1,  /* a step is done */
    SERVER_DONE,      /* all steps are done, server_stop was obeyed, or see server_failure; now
                         server_release */
    SERVER_EVALUATED, /* so is an evaluation: server_evaluation */
    SERVER_OTHER,     /* the other descriptor is readable */
} server_event_t;

typedef struct server server_t;

/* Binds the control plane alone, for server_job_t's links: workers may connect and ask, and are
 * answered once there is a server. NULL with *err, which names server.bind. */
link_t *server_bind(const char *bind, err_t *err);

/* Checks the job and binds what is not bound. NULL with *err. job->optimizer, job->trial and
 * job->links are emptied in any case. */
server_t *server_new(server_job_t *job, err_t *err);

/* Stops the actor if it runs. */
void server_destroy(server_t **self_p);

/* As server_destroy, but *links, which held none, get the sockets, for the next job. */
void server_end(server_t **self_p, server_links_t *links);

/* The control endpoint, as workers may connect to it. Borrowed. */
const char *server_endpoint(const server_t *self);

/* Starts the actor: from now on only the calls below. */
void server_start(server_t *self);

/* Asks the actor to end; SERVER_DONE follows. */
void server_stop(server_t *self);

/* After SERVER_DONE: why the training cannot go on; NULL when it can or is done. Borrowed. */
const char *server_failure(const server_t *self);

/* After SERVER_EVALUATED, until the next server_wait. Borrowed. */
const trial_result_t *server_evaluation(const server_t *self);

/* After SERVER_DONE: what the evaluations have come to. Borrowed. */
const trial_state_t *server_trial(const server_t *self);

/* After SERVER_DONE, when what was trained is safe: lets the workers go, for which there would be
 * no others if this process died and the next had to train on. With `more` they are to
 * join the next job at this endpoint (server_end). server_destroy lets them go at the latest. */
void server_release(server_t *self, bool more);

/* Waits for the actor's next event, or until other_fd is readable. With SERVER_STEP *record is the
 * caller's. */
server_event_t server_wait(server_t *self, int other_fd, server_record_t **record);

#endif
