/* See run.h. */
#include "cli/run.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/pool.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/run_data.h"
#include "cli/run_optimizer.h"
#include "cli/run_result.h"
#include "data/dataset.h"
#include "math/kernel.h"
#include "math/median.h"
#include "math/pass.h"
#include "parameter_server/checkpoint.h"
#include "parameter_server/metrics.h"
#include "parameter_server/model_file.h"
#include "parameter_server/weights.h"

struct run {
    const settings_t *settings; /* borrowed */
    char *folder;               /* owned, as all that follows */
    dataset_t *train;
    dataset_t *validation; /* NULL when there is none, as the next */
    dataset_t *test;
    model_t model;
    output_t *output;
    progress_t *progress;
    float *init; /* (P) to begin with, of model.init_file; NULL when drawn or not needed any more */
    char init_digest[WEIGHTS_DIGEST_SIZE]; /* of what the run began with; "" when it was drawn */
    float *best;                           /* of base/pool.h; see s_result; NULL before run_save */
    uint32_t best_step;
    server_record_t *last; /* of the newest step, or what the checkpoint says of it; or NULL */
    double *costs;         /* (n_done) */
    double *accuracies;    /* (n_done) */
    double *step_ms;       /* (n_timed); of this process's steps */
    uint32_t n_done;
    uint32_t n_timed;
    uint32_t costs_room;
    uint32_t accuracies_room;
    uint32_t step_ms_room;
    int64_t opened_ms;
    bool quiet;
    run_outcome_t outcome; /* zero before run_finish */
    int lock;              /* of the folder; -1 before run_open */
};

char *run_folder(const settings_t *settings)
{
    if (settings->output.path[0])
        return strdup(settings->output.path);
    char name[64];
    struct tm parts;
    time_t now = time(NULL);
    localtime_r(&now, &parts);
    (void)strftime(name, sizeof(name), "runs/%Y%m%d-%H%M%S", &parts);
    return strdup(name);
}

/* May a run with this setting go on with the kernel of that name? */
static bool s_fits_kernel(settings_kernel_t setting, const char *name)
{
    return setting == SETTINGS_KERNEL_AUTO ||
           (setting == SETTINGS_KERNEL_SPARSE) == (kernel_of(name) == KERNEL_SPARSE);
}

/* Is the checkpoint one of this training? Returns 0, or -1 with *err naming what differs. */
static int s_check_checkpoint(const run_t *self, const checkpoint_info_t *info,
                              const checkpoint_state_t *state, err_t *err)
{
    const settings_t *settings = self->settings;
    const char *what = NULL;
    augment_t now = run_data_augment(settings);
    const char *key = augment_difference(&now, &state->augment);
    char another[80];
    if (!key)
        key = run_optimizer_difference(settings, state->learning_rate, &state->optimizer);
    if (!model_same(&info->model, &self->model))
        what = "another network";
    else if (strcmp(info->digest, dataset_digest(self->train)) != 0)
        what = "other training data";
    else if (info->seed != settings->training.seed)
        what = "another training.seed";
    else if (state->fraction != settings->training.sample)
        what = "another training.sample";
    else if (state->block_rows != (uint32_t)settings->training.block_rows)
        what = "another training.block_rows";
    else if (state->batch_rows != (uint32_t)settings->training.batch_rows)
        what = "another training.batch_rows";
    else if (state->validation != settings->data.validation)
        what = "another data.validation";
    else if (state->trial.patience != (uint32_t)settings->training.early_stopping.patience)
        what = "another training.early_stopping.patience";
    else if (state->trial.patience > 0 &&
             state->trial.every != (uint32_t)settings->evaluation.every_steps)
        what = "another evaluation.every_steps";
    else if (key) {
        (void)snprintf(another, sizeof(another), "another %s", key);
        what = another;
    } else if (!settings->model.init_file[0] != !info->init[0])
        what = "another model.init_file";
    else if (!s_fits_kernel(settings->numerics.kernel, info->kernel))
        what = "another numerics.kernel";
    if (!what && info->step > (uint32_t)settings->training.steps)
        return err_set(err, "%s: its checkpoint is of step %u, expected at most training.steps, %d",
                       self->folder, info->step, settings->training.steps);
    if (what)
        return err_set(err, "%s: its checkpoint is of %s than this run's", self->folder, what);
    return 0;
}

/* Room for the figures of n steps: as steps are done, since most of many may never be. */
static void s_make_room(run_t *self, uint32_t n)
{
    self->costs = array_room(self->costs, n, &self->costs_room, sizeof(double));
    self->accuracies = array_room(self->accuracies, n, &self->accuracies_room, sizeof(double));
    self->step_ms = array_room(self->step_ms, n, &self->step_ms_room, sizeof(double));
}

/* The first n values of a history of the run that goes on; gaps where it has fewer. */
static int s_read_history(const run_t *self, const char *name, uint32_t n, double *values,
                          err_t *err)
{
    double *found = NULL;
    char *path = file_join(self->folder, name);
    int n_found = file_exists(path) ? output_read_history(path, &found, err) : 0;
    for (uint32_t i = 0; i < n && n_found >= 0; i++)
        values[i] = i < (uint32_t)n_found ? found[i] : (double)NAN;
    free(found);
    free(path);
    return n_found < 0 ? -1 : 0;
}

static int s_resume(run_t *self, err_t *err)
{
    checkpoint_info_t info;
    checkpoint_state_t state = {0};
    float *params = NULL;
    int r = -1;
    char *folder = file_join(self->folder, "checkpoint");
    int found = checkpoint_read_newest(folder, &info, &params, &state, err);
    free(folder);
    if (found <= 0) {
        if (found == 0)
            log_info("run.resumed", "folder=%s step=0: there is no checkpoint yet", self->folder);
        return found;
    }
    server_record_t *last = calloc(1, sizeof(*last));
    if (!last)
        abort();
    self->last = last;
    last->optimizer = state.optimizer;
    last->trial = state.trial.state;
    if (self->settings->evaluation.every_steps == 0)
        trial_state_clear(&last->trial);
    if (s_check_checkpoint(self, &info, &state, err) != 0)
        goto out;
    s_make_room(self, info.step);
    if (s_read_history(self, OUTPUT_COST_HISTORY, info.step, self->costs, err) != 0 ||
        s_read_history(self, OUTPUT_ACCURACY_HISTORY, info.step, self->accuracies, err) != 0)
        goto out;
    last->step = info.step;
    last->run = state.run;
    last->learning_rate = optimizer_rate(&state.optimizer);
    memcpy(last->kernel, info.kernel, sizeof(last->kernel));
    memcpy(self->init_digest, info.init, sizeof(self->init_digest));
    frame_copy_of(&last->weights, params, model_params(&self->model) * sizeof(float));
    self->n_done = info.step;
    if (info.step > 0) {
        last->cost = self->costs[info.step - 1];
        last->accuracy = self->accuracies[info.step - 1];
    }
    log_info("run.resumed", "folder=%s step=%u", self->folder, info.step);
    r = 0;
out:
    free(params);
    return r;
}

/* Is the file, or the folder, in that one? */
static bool s_is_within(const char *path, const char *folder)
{
    char *real_path = realpath(path, NULL);
    char *real_folder = realpath(folder, NULL);
    size_t n = real_folder ? strlen(real_folder) : 0;
    bool within = real_path && real_folder && strncmp(real_path, real_folder, n) == 0 &&
                  (real_path[n] == '/' || real_path[n] == '\0');
    free(real_path);
    free(real_folder);
    return within;
}

/* What the training begins with. One that goes on has its weights from the checkpoint and needs the
 * file no more; but where it still is, it must be the one that it began with. */
static int s_init(run_t *self, err_t *err)
{
    const char *path = self->settings->model.init_file;
    char digest[WEIGHTS_DIGEST_SIZE];
    if (!path[0] || (self->last && !file_exists(path)))
        return 0;
    if (s_is_within(path, self->folder))
        return err_set(err,
                       "model.init_file: %s is in the run's own folder, %s, which it clears; "
                       "expected another",
                       path, self->folder);
    safetensors_t *file = weights_open(path, err);
    float *params = malloc(model_params(&self->model) * sizeof(float));
    int r = -1;
    if (!params)
        abort();
    if (!file || weights_take(file, path, &self->model, params, digest, err) != 0)
        err_prefix(err, "model.init_file");
    else if (self->last && strcmp(digest, self->init_digest) != 0)
        err_set(err, "%s: its checkpoint is of another model.init_file than %s is now",
                self->folder, path);
    else
        r = 0;
    if (r == 0 && !self->last) {
        self->init = params;
        params = NULL;
        memcpy(self->init_digest, digest, sizeof(digest));
        log_info("run.init", "file=%s digest=%s", path, digest);
    }
    safetensors_destroy(&file);
    free(params);
    return r;
}

run_t *run_new(const settings_t *settings, bool resume, err_t *err)
{
    run_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->settings = settings;
    self->lock = -1;
    if (run_data_load(settings, &self->train, &self->test, err) != 0 ||
        run_data_split(settings, self->train, &self->validation, err) != 0 ||
        run_data_model(settings, self->train, &self->model, err) != 0 ||
        (self->test && run_data_check(&self->model, self->test, "test", err) != 0))
        goto fail;
    if (settings->evaluation.every_steps > 0 && !self->validation && !self->test) {
        err_set(err,
                "evaluation.every_steps is %d and there is nothing to evaluate on, expected test "
                "data or data.validation above 0",
                settings->evaluation.every_steps);
        goto fail;
    }
    self->folder = run_folder(settings);
    if (!self->folder)
        abort();
    if ((resume && s_resume(self, err) != 0) || s_init(self, err) != 0)
        goto fail;
    return self;
fail:
    run_destroy(&self);
    return NULL;
}

void run_destroy(run_t **self_p)
{
    run_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    progress_destroy(&self->progress);
    output_close(&self->output);
    if (self->lock >= 0)
        close(self->lock);
    server_record_destroy(&self->last);
    pool_give(self->best);
    dataset_destroy(&self->train);
    dataset_destroy(&self->validation);
    dataset_destroy(&self->test);
    free(self->folder);
    free(self->init);
    free(self->costs);
    free(self->accuracies);
    free(self->step_ms);
    free(self);
}

server_job_t run_job(const run_t *self, const char *bind)
{
    const settings_t *settings = self->settings;
    server_job_t job = {
        .model = self->model,
        .sampler = {.seed = settings->training.seed,
                    .fraction = settings->training.sample,
                    .n_rows = (uint32_t)dataset_rows(self->train),
                    .block_rows = (uint32_t)settings->training.block_rows,
                    .batch_rows = (uint32_t)settings->training.batch_rows,
                    .augment = run_data_augment(settings)},
        .n_steps = (uint32_t)settings->training.steps,
        .optimizer = run_optimizer(settings),
        .strict = settings->numerics.mode == SETTINGS_STRICT,
        .min_workers = (uint32_t)settings->server.min_workers,
        .audit = settings->server.audit,
        .bind = bind,
        .data = self->train,
        .validation = self->validation,
        .test = self->test,
        .evaluate_every = (uint32_t)settings->evaluation.every_steps,
        .patience = (uint32_t)settings->training.early_stopping.patience,
        .weights = self->init,
        .init = (model_init_t)settings->model.init,
    };
    settings_kernel_t kernel = settings->numerics.kernel;
    if (kernel == SETTINGS_KERNEL_SPARSE ||
        (kernel == SETTINGS_KERNEL_AUTO && pass_is_sparse(&self->model, KERNEL_SPARSE) &&
         kernel_sparse_pays(dataset_density(self->train))))
        (void)strcpy(job.kernel, KERNEL_NAME_SPARSE);
    if (self->last) {
        job.step = self->last->step;
        job.weights = frame_data(&self->last->weights);
        job.optimizer = optimizer_state_share(&self->last->optimizer);
        job.trial = trial_state_share(&self->last->trial);
        job.run = self->last->run;
        memcpy(job.kernel, self->last->kernel, sizeof(job.kernel));
    }
    return job;
}

void run_quiet(run_t *self)
{
    self->quiet = true;
}

run_outcome_t run_outcome(const run_t *self)
{
    return self->outcome;
}

/* What an earlier run wrote would pass for this one's. */
static int s_remove(const char *folder, const char *name, err_t *err)
{
    char *path = file_join(folder, name);
    int r = 0;
    if (unlink(path) != 0 && file_exists(path))
        r = err_set_errno(err, "%s: cannot remove what an earlier run left", path);
    free(path);
    return r;
}

static int s_remove_earlier(const char *folder, err_t *err)
{
    static const char *const names[] = {
        MODEL_FILE_NAME,   OUTPUT_METRICS,     OUTPUT_TESTS,
        OUTPUT_EVALUATION, "cost_history.png", "accuracy_history.png",
        "confusion.png",   "digits.png",       "mistakes.png",
    };
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (s_remove(folder, names[i], err) != 0)
            return -1;
    return 0;
}

static int s_remove_checkpoints(const char *folder, err_t *err)
{
    char *checkpoints = file_join(folder, "checkpoint");
    int r = 0;
    DIR *dir = opendir(checkpoints);
    const struct dirent *entry;
    while (dir && r == 0 && (entry = readdir(dir)))
        if (strncmp(entry->d_name, "step-", 5) == 0)
            r = s_remove(checkpoints, entry->d_name, err);
    if (dir)
        closedir(dir);
    free(checkpoints);
    return r;
}

int run_open(run_t *self, err_t *err)
{
    char *config = file_join(self->folder, "config.yaml");
    int n_missing = 0;
    int r = -1;
    /* The config comes behind the removal: a run that finds it there may go on with what is there.
     */
    if (file_make_folder(self->folder, err) == 0 &&
        (self->lock = file_lock_folder(self->folder, err)) >= 0 &&
        s_remove_earlier(self->folder, err) == 0 &&
        (self->last || s_remove_checkpoints(self->folder, err) == 0) &&
        settings_write(self->settings, config, err) == 0 &&
        (!self->last || output_forget(self->folder, self->last->trial.pending_step, err) == 0) &&
        (self->output = output_open(self->folder, (int)self->n_done, &n_missing, err)))
        r = 0;
    if (n_missing > 0)
        log_warn("run.gap", "folder=%s the histories lack %d of %u steps", self->folder, n_missing,
                 self->n_done);
    self->progress = self->quiet ? NULL : progress_new((uint32_t)self->settings->training.steps);
    self->opened_ms = clock_ms();
    free(config);
    return r;
}

/* What the run leaves: the model of the best evaluation, where early stopping has one, else the
 * weights' average, where it keeps one. */
static const float *s_result(const run_t *self)
{
    if (self->best)
        return self->best;
    const float *average = self->last->optimizer.average;
    return average ? average : frame_data(&self->last->weights);
}

static checkpoint_info_t s_info(const run_t *self)
{
    checkpoint_info_t info = {
        .model = self->model,
        .step = self->last->step,
        .seed = self->settings->training.seed,
    };
    (void)snprintf(info.digest, sizeof(info.digest), "%s", dataset_digest(self->train));
    (void)snprintf(info.kernel, sizeof(info.kernel), "%s", self->last->kernel);
    memcpy(info.init, self->init_digest, sizeof(info.init));
    return info;
}

static int s_checkpoint(const run_t *self, err_t *err)
{
    checkpoint_info_t info = s_info(self);
    char *folder = file_join(self->folder, "checkpoint");
    checkpoint_state_t state = {
        .fraction = self->settings->training.sample,
        .learning_rate = self->settings->training.learning_rate,
        .block_rows = (uint32_t)self->settings->training.block_rows,
        .batch_rows = (uint32_t)self->settings->training.batch_rows,
        .validation = self->settings->data.validation,
        .augment = run_data_augment(self->settings),
        .run = self->last->run,
        .optimizer = self->last->optimizer, /* borrowed for the call, as the next */
        .trial = {.every = (uint32_t)self->settings->evaluation.every_steps,
                  .patience = (uint32_t)self->settings->training.early_stopping.patience,
                  .state = self->last->trial},
    };
    int r = checkpoint_write_numbered(folder, &info, frame_data(&self->last->weights), &state, err);
    free(folder);
    return r;
}

int run_step(run_t *self, server_record_t **record, err_t *err)
{
    server_record_destroy(&self->last);
    self->last = *record;
    *record = NULL;
    const server_record_t *last = self->last;
    s_make_room(self, self->n_done + 1);
    self->costs[self->n_done] = last->cost;
    self->accuracies[self->n_done] = last->accuracy;
    self->step_ms[self->n_timed++] = last->step_ms;
    self->n_done++;
    char line[METRICS_LINE_SIZE];
    metrics_line(last, line);
    if (output_step(self->output, last->cost, last->accuracy, line, err) != 0)
        return -1;
    progress_step(self->progress, last);
    uint32_t every = (uint32_t)self->settings->checkpoint.every_steps;
    if (every > 0 && last->step % every == 0) {
        err_t failed;
        if (s_checkpoint(self, &failed) != 0) /* the training is worth more than the checkpoint */
            log_error("checkpoint.failed", "step=%u %s", last->step, failed.text);
    }
    return 0;
}

int run_evaluated(run_t *self, const trial_result_t *result, err_t *err)
{
    char line[METRICS_LINE_SIZE];
    metrics_evaluation(result, line);
    progress_evaluation(self->progress, result);
    return output_evaluation(self->output, line, err);
}

int run_save(run_t *self, const trial_state_t *trial, err_t *err)
{
    char *path = file_join(self->folder, MODEL_FILE_NAME);
    checkpoint_info_t info = s_info(self);
    if (trial->best) {
        self->best = pool_share(trial->best);
        self->best_step = info.step = trial->best_step;
    }
    progress_end(self->progress);
    int r = s_checkpoint(self, err);
    if (r == 0)
        r = checkpoint_write(path, &info, s_result(self), NULL, err);
    free(path);
    return r;
}

int run_finish(run_t *self, err_t *err)
{
    run_result_t result = {
        .folder = self->folder,
        .seed = self->settings->training.seed,
        .model = &self->model,
        .params = s_result(self),
        .best_step = self->best_step,
        .validation = self->validation,
        .test = self->test,
        .last = self->last,
        .costs = self->costs,
        .accuracies = self->accuracies,
        .n_steps = self->n_done,
        .step_ms = self->n_timed > 0 ? median_of(self->step_ms, self->n_timed) : 0,
        .opened_ms = self->opened_ms,
        .quiet = self->quiet,
    };
    return run_result_write(&result, &self->outcome, err);
}

int run_interrupted(run_t *self, err_t *err)
{
    progress_end(self->progress);
    if (!self->last) {
        if (!self->quiet)
            (void)printf("interrupted before the first step was done\n");
        return 0;
    }
    if (s_checkpoint(self, err) != 0)
        return -1;
    if (!self->quiet)
        (void)printf("interrupted after step %u; its checkpoint is in %s/checkpoint\n",
                     self->last->step, self->folder);
    return 0;
}

/* The checkpoints stay as they are: the newer the weights, the nearer to what went wrong. */
int run_failed(run_t *self, const char *why, err_t *err)
{
    char *folder = file_join(self->folder, "checkpoint");
    progress_end(self->progress);
    if (file_exists(folder))
        err_set(err, "%s; the last checkpoints before are in %s", why, folder);
    else
        err_set(err, "%s; there is no checkpoint yet", why);
    free(folder);
    return -1;
}
