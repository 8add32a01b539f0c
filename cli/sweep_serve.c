/* See sweep_serve.h. */
#include "cli/sweep_serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/run.h"
#include "cli/run_data.h"
#include "cli/serve.h"
#include "cli/signals.h"
#include "cli/sweep_results.h"
#include "parameter_server/server.h"
#include "proto/host.h"

/* Do all trials have the data of the first? What is held out of it does not count. */
static bool s_one_data(const sweep_t *sweep)
{
    for (int d = 0; d < sweep->keys.n_dimensions; d++) {
        const char *key = sweep->keys.dimensions[d].key->key;
        if (strncmp(key, "data.", 5) == 0 && strcmp(key, "data.validation") != 0)
            return false;
    }
    return true;
}

/* Do a trial's batches, blocks and augmentation fit the rows that are not held out? */
static int s_check_job(const settings_t *settings, const model_t *model, const dataset_t *train,
                       err_t *err)
{
    uint32_t n_held;
    if (run_data_held(settings, train, &n_held, err) != 0)
        return -1;
    server_job_t job = {
        .model = *model,
        .sampler = {.n_rows = (uint32_t)dataset_rows(train) - n_held,
                    .block_rows = (uint32_t)settings->training.block_rows,
                    .batch_rows = (uint32_t)settings->training.batch_rows,
                    .augment = run_data_augment(settings)},
        .data = train,
    };
    return server_job_check(&job, err);
}

/* Each trial's settings must go together and its network fit the data, before the first begins.
 * *most_params: of the largest network. Returns a status, with *err. */
static int s_check(const sweep_serve_t *self, size_t *most_params, err_t *err)
{
    dataset_t *train = NULL, *test = NULL;
    int status = STATUS_OK;
    for (uint32_t t = 0; t < self->sweep->n_trials && status == STATUS_OK; t++) {
        settings_t settings;
        model_t model;
        settings_init(&settings);
        if (sweep_settings(self->sweep, self->args, t, self->folder, &settings, err) != 0)
            status = STATUS_USAGE;
        else if (!train && run_data_load(&settings, &train, &test, err) != 0)
            status = STATUS_FAILURE;
        else if (sweep_validates(self->sweep) && settings.data.validation == 0) {
            err_set(err,
                    "trial %u: objective %s with data.validation 0; expected a part of the rows",
                    t + 1, sweep_objective_name(self->sweep));
            status = STATUS_USAGE;
        } else if (!sweep_validates(self->sweep) && !test) {
            err_set(err,
                    "objective %s: there are no test data; expected them in data.path or "
                    "data.test_images",
                    sweep_objective_name(self->sweep));
            status = STATUS_FAILURE;
        } else if (run_data_model(&settings, train, &model, err) != 0 ||
                   (s_one_data(self->sweep) && s_check_job(&settings, &model, train, err) != 0)) {
            err_prefix(err, "trial %u", t + 1);
            status = STATUS_FAILURE;
        } else if (model_params(&model) > *most_params)
            *most_params = model_params(&model);
        settings_clear(&settings);
    }
    dataset_destroy(&train);
    dataset_destroy(&test);
    return status;
}

static void s_describe(const sweep_t *sweep, uint32_t t, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (int d = 0; d < sweep->keys.n_dimensions && used < size; d++) {
        char *value = sweep_value(sweep, t, d);
        used += (size_t)snprintf(out + used, size - used, "%s%s=%s", d > 0 ? " " : "",
                                 sweep->keys.dimensions[d].key->key, value);
        free(value);
    }
}

/* Runs one trial, or what is left of it, and records it. Returns the exit status. */
static int s_trial(sweep_serve_t *self, sweep_results_t *results, uint32_t t, size_t most_params,
                   server_links_t *links, int signals, err_t *err)
{
    const sweep_t *sweep = self->sweep;
    settings_t settings;
    run_t *run = NULL;
    server_t *server = NULL;
    int64_t begun_ms = clock_ms();
    char *folder = sweep_results_folder(results, t);
    bool more = sweep_results_done(results) + 1 < sweep->n_trials;
    int status = STATUS_FAILURE;
    char shown[200], why[sizeof(err->text)] = "";
    settings_init(&settings);
    s_describe(sweep, t, shown, sizeof(shown));
    log_info("trial.begun", "trial=%u of=%u %s", t + 1, sweep->n_trials, shown);
    if (sweep_settings(sweep, self->args, t, folder, &settings, err) != 0 ||
        !(run = run_new(&settings, file_exists(folder), err)))
        goto out;
    run_quiet(run);
    server_job_t job = run_job(run, self->bind);
    bool bound = links->data != NULL;
    job.most_params = most_params;
    if (model_params(&job.model) > most_params) { /* keys of the data are searched over, too */
        err_set(err, "its data make a larger network than those of trial 1");
        optimizer_state_clear(&job.optimizer);
        goto out;
    }
    job.links = *links;
    *links = (server_links_t){.control = NULL};
    if (!(server = server_new(&job, err)) || run_open(run, err) != 0)
        goto out;
    if (!bound)
        host_say_bound("server", server_endpoint(server));
    status = serve(run, server, signals, more, err);
    bool failed = status == STATUS_FAILURE && server_failure(server);
    if (failed)
        (void)snprintf(why, sizeof(why), "%s", server_failure(server));
    if (status != STATUS_OK && !failed)
        goto out;
    double seconds = (double)(clock_ms() - begun_ms) / 1000.0;
    run_outcome_t outcome = run_outcome(run);
    err->text[0] = '\0';
    status = STATUS_FAILURE;
    if (sweep_results_add(results, t, &outcome, seconds, failed ? why : NULL, err) != 0)
        goto out;
    status = STATUS_OK;
    if (failed)
        log_warn("trial.failed", "trial=%u of=%u %s", t + 1, sweep->n_trials, why);
    else
        log_info("trial.done", "trial=%u of=%u %s=%.5g seconds=%.1f", t + 1, sweep->n_trials,
                 sweep_objective_name(sweep), sweep_results_objective(results, t), seconds);
out:
    if (status == STATUS_FAILURE)
        err_prefix(err, "trial %u", t + 1);
    server_end(&server, links);
    run_destroy(&run);
    settings_clear(&settings);
    free(folder);
    return status;
}

int sweep_serve(sweep_serve_t *self, int signals, err_t *err)
{
    const sweep_t *sweep = self->sweep;
    server_links_t links = {.control = self->control};
    size_t most_params = 0;
    int status = s_check(self, &most_params, err);
    sweep_results_t *results = NULL;
    self->control = NULL;
    if (status != STATUS_OK)
        goto out;
    results = sweep_results_open(sweep, self->args, self->folder, err);
    status = results ? STATUS_OK : STATUS_FAILURE;
    if (results)
        log_info("sweep.begun", "folder=%s trials=%u done=%u", self->folder, sweep->n_trials,
                 sweep_results_done(results));
    for (uint32_t t = 0; t < sweep->n_trials && status == STATUS_OK; t++) {
        if (sweep_results_has(results, t))
            continue;
        status = s_trial(self, results, t, most_params, &links, signals, err);
        if (status > STATUS_USAGE)
            (void)printf("interrupted in trial %u of %u; the same command with --output %s goes "
                         "on\n",
                         t + 1, sweep->n_trials, self->folder);
    }
    if (status == STATUS_OK)
        sweep_results_print(results, self->json, stdout);
out:
    sweep_results_destroy(&results);
    server_links_destroy(&links);
    return status;
}
