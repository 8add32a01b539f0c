/* A training run as the server's process sees it: settings in, job out, and everything that is
 * written while and after the steps. */
#ifndef DROVER_CLI_RUN_H
#define DROVER_CLI_RUN_H

#include <stdbool.h>

#include "base/err.h"
#include "base/settings.h"
#include "cli/run_result.h"
#include "parameter_server/server.h"

typedef struct run run_t;

/* output.path, or a folder below runs/ named by the time; the caller's. */
char *run_folder(const settings_t *settings);

/* Loads the data that the settings name, and the weights to begin with, and checks them against the
 * network. settings is borrowed for the run's life. With `resume` the run goes on from the newest
 * whole checkpoint in its output folder, which must be of the same training; a folder without any
 * begins anew. NULL with *err. */
run_t *run_new(const settings_t *settings, bool resume, err_t *err);
void run_destroy(run_t **self_p);

/* The job for server_new, which takes over what it holds; `bind` is its endpoint. */
server_job_t run_job(const run_t *self, const char *bind);

/* Makes the output folder, takes away what an earlier run left in it (with resume: what it left
 * behind its checkpoint), opens the histories, writes config.yaml. Returns 0 or -1. */
int run_open(run_t *self, err_t *err);

/* A step is done: histories, metrics, checkpoint, progress. Takes the record. Returns 0, or -1 when
 * the run cannot be recorded any more. */
int run_step(run_t *self, server_record_t **record, err_t *err);

/* Before run_open: without progress, summary and drawn pictures, as a trial of a sweep. */
void run_quiet(run_t *self);

/* Behind run_finish. */
run_outcome_t run_outcome(const run_t *self);

/* So is an evaluation: metrics, progress. Returns 0 or -1. */
int run_evaluated(run_t *self, const trial_result_t *result, err_t *err);

/* All steps are done, or it was stopped early: writes checkpoint and model; *trial says what the
 * evaluations have come to. Returns 0 or -1. */
int run_save(run_t *self, const trial_state_t *trial, err_t *err);

/* Behind run_save: evaluation, pictures, summary. Returns 0 or -1. */
int run_finish(run_t *self, err_t *err);

/* The training cannot go on: says so, and where it could begin again. Returns -1. */
int run_failed(run_t *self, const char *why, err_t *err);

/* Stopped before the end: writes a checkpoint of the last step. Returns 0 or -1. */
int run_interrupted(run_t *self, err_t *err);

#endif
