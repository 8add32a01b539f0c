/* What came of a sweep's trials, in its folder:
 *
 *   sweep.yaml     the trials and the settings that they share: whose folder this is
 *   trials.jsonl   one JSON object for each trial that is over
 *   trial-001/     the output folder of a trial, and so on
 *   best           a link to the best trial's folder
 *
 * Each is written whole or not at all, so that a sweep that was killed at any moment finds what it
 * had done.
 */
#ifndef DROVER_CLI_SWEEP_RESULTS_H
#define DROVER_CLI_SWEEP_RESULTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/args.h"
#include "base/err.h"
#include "cli/run.h"
#include "cli/sweep.h"

typedef struct sweep_results sweep_results_t;

/* Takes the folder for this sweep (made if it is not there, locked while this process lives) and
 * reads what was done before. All borrowed. NULL with *err when another sweep is in it. */
sweep_results_t *sweep_results_open(const sweep_t *sweep, const args_t *args, const char *folder,
                                    err_t *err);
void sweep_results_destroy(sweep_results_t **self_p);

/* The output folder of trial t, from 0 on; the caller's. */
char *sweep_results_folder(const sweep_results_t *self, uint32_t t);

bool sweep_results_has(const sweep_results_t *self, uint32_t t);
uint32_t sweep_results_done(const sweep_results_t *self);

/* Records that trial t is done, or that it failed and why (NULL: it did not), and what is the best
 * now. Returns 0 or -1. */
int sweep_results_add(sweep_results_t *self, uint32_t t, const run_outcome_t *outcome,
                      double seconds, const char *why_failed, err_t *err);

/* Of trial t, which is over; NaN when it failed. */
double sweep_results_objective(const sweep_results_t *self, uint32_t t);

/* All trials, the best first and those that failed last: a table, or one JSON object. */
void sweep_results_print(const sweep_results_t *self, bool json, FILE *out);

#endif
