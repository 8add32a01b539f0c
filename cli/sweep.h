/* A sweep: a file that names keys of the settings and what to try for them, and the trials that
 * follow from it. A trial is a function of the file and its number alone, so that a sweep that goes
 * on has the trials of one that never stopped.
 */
#ifndef DROVER_CLI_SWEEP_H
#define DROVER_CLI_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/args.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/settings.h"

#define SWEEP_MOST_TRIALS 10000

typedef enum {
    SWEEP_GRID,   /* all combinations, the last key changing fastest */
    SWEEP_RANDOM, /* so many, each drawn by itself */
} sweep_search_t;

typedef enum {
    SWEEP_TEST_ACCURACY, /* the largest is best */
    SWEEP_TEST_COST,     /* the smallest is; so for the next two */
    SWEEP_VALIDATION_ACCURACY,
    SWEEP_VALIDATION_COST,
} sweep_objective_t;

/* As in the file; zero is an empty one. */
typedef struct {
    char *config; /* owned; the base config, "" for none */
    sweep_search_t search;
    int trials; /* of SWEEP_RANDOM */
    uint64_t seed;
    sweep_objective_t objective;
    conf_space_t keys; /* owned */
    uint32_t n_trials;
} sweep_t;

/* Reads the file; its `config` becomes relative to the current folder. Every value was then checked
 * by itself. Returns 0, or -1 with *err and *self to be cleared. */
int sweep_load(sweep_t *self, const char *path, err_t *err);

/* The same from text; `path` stands for the file. */
int sweep_load_text(sweep_t *self, const char *path, const char *text, size_t size, err_t *err);
void sweep_clear(sweep_t *self);

/* What dimension d of self->keys is in trial t, from 0 on; the caller's. */
char *sweep_value(const sweep_t *self, uint32_t t, int d);

/* "test_accuracy" */
const char *sweep_objective_name(const sweep_t *self);

/* Is it one of data.validation's rows, not of the test data? */
bool sweep_validates(const sweep_t *self);

/* Is objective a better than b? NaN is better than nothing. */
bool sweep_better(const sweep_t *self, double a, double b);

/* Sets *settings, which must be initialised: the base config, the command line's overrides, and
 * those of trial t in the output folder (NULL: none, and t does not count). An override of a key
 * that is searched over is an error, as are settings that do not go together. Returns 0 or -1. */
int sweep_settings(const sweep_t *self, const args_t *args, uint32_t t, const char *output,
                   settings_t *settings, err_t *err);

#endif
