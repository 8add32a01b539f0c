/* See checkpoint.h. */
#include "parameter_server/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "parameter_server/field.h"
#include "parameter_server/model_file.h"
#include "parameter_server/optimizer_file.h"
#include "proto/wire.h"

#define FORMAT_VERSION "1"
#define N_KEPT         2

/* What is not said is 0. */
static void s_set_augment(safetensors_t *file, const augment_t *augment)
{
    for (int i = 0; i < AUGMENT_N_FIELDS; i++)
        if (augment_get(augment, i) > 0)
            field_set_real(file, augment_key(i), augment_get(augment, i));
}

static int s_read_augment(const safetensors_t *file, const char *path, augment_t *augment,
                          err_t *err)
{
    double value;
    for (int i = 0; i < AUGMENT_N_FIELDS; i++) {
        if (!safetensors_meta(file, augment_key(i)))
            continue;
        if (field_real(file, path, augment_key(i), &value, err) != 0)
            return -1;
        augment_set(augment, i, value);
    }
    return 0;
}

void checkpoint_state_clear(checkpoint_state_t *self)
{
    optimizer_state_clear(&self->optimizer);
    trial_state_clear(&self->trial.state);
}

#define KEPT_WEIGHTS  "bold_driver.kept_weights"
#define KEPT_GRADIENT "bold_driver.kept_gradient"

static void s_set_state(safetensors_t *file, const checkpoint_state_t *state, size_t n_params)
{
    const optimizer_state_t *optimizer = &state->optimizer;
    field_set_real(file, "sample", state->fraction);
    field_set_real(file, "learning_rate", state->learning_rate);
    field_set_number(file, "block_rows", state->block_rows);
    field_set_number(file, "batch_rows", state->batch_rows);
    if (state->validation > 0)
        field_set_real(file, "validation", state->validation);
    s_set_augment(file, &state->augment);
    field_set_number(file, "run", state->run);
    field_set_real(file, "bold_driver.up", optimizer->driver.up);
    field_set_real(file, "bold_driver.down", optimizer->driver.down);
    field_set_real(file, "bold_driver.rate", optimizer->driver.rate);
    field_set_real(file, "bold_driver.safe_rate", optimizer->driver.safe_rate);
    field_set_real(file, "bold_driver.cost", optimizer->driver.cost);
    field_set_number(file, "bold_driver.has_cost", optimizer->driver.has_cost);
    field_set_number(file, "bold_driver.rollback", optimizer->driver.rollback);
    field_set_number(file, "bold_driver.kept_rows", optimizer->kept_rows);
    if (optimizer->kept_weights) {
        safetensors_add(file, KEPT_WEIGHTS, &n_params, 1, optimizer->kept_weights);
        safetensors_add(file, KEPT_GRADIENT, &n_params, 1, optimizer->kept_gradient);
    }
    optimizer_file_add(file, optimizer, n_params);
    trial_file_add(file, &state->trial, n_params);
}

/* A file may be whole and its bytes not those that were written: a digest over the tensors and over
 * all that the metadata say, in the exact form of their values. */
static uint64_t s_digest(const checkpoint_info_t *info, const float *params,
                         const checkpoint_state_t *state)
{
    size_t bytes = model_params(&info->model) * sizeof(float);
    char shape[512], text[1536 + OPTIMIZER_FILE_TEXT_SIZE + TRIAL_FILE_TEXT_SIZE];
    char rest[OPTIMIZER_FILE_TEXT_SIZE], trial[TRIAL_FILE_TEXT_SIZE];
    model_describe(&info->model, shape, sizeof(shape));
    int n = snprintf(text, sizeof(text), "%s %u %" PRIu64 " %s %s %" PRIx64, shape, info->step,
                     info->seed, info->digest, info->kernel, wire_digest(params, bytes));
    if (info->init[0])
        n += snprintf(text + n, sizeof(text) - (size_t)n, " %s", info->init);
    if (state) {
        const optimizer_state_t *optimizer = &state->optimizer;
        const bold_driver_t *driver = &optimizer->driver;
        n += snprintf(text + n, sizeof(text) - (size_t)n,
                      " %a %a %u %u %" PRIu64 " %a %a %d %a %a %a %d %" PRIu64, state->fraction,
                      state->learning_rate, state->block_rows, state->batch_rows, state->run,
                      driver->up, driver->down, driver->rollback, driver->rate, driver->safe_rate,
                      driver->cost, driver->has_cost, optimizer->kept_rows);
        if (optimizer->kept_weights)
            n += snprintf(text + n, sizeof(text) - (size_t)n, " %" PRIx64 " %" PRIx64,
                          wire_digest(optimizer->kept_weights, bytes),
                          wire_digest(optimizer->kept_gradient, bytes));
        if (state->validation > 0)
            n += snprintf(text + n, sizeof(text) - (size_t)n, " validation %a", state->validation);
        for (int i = 0; i < AUGMENT_N_FIELDS && augment_any(&state->augment); i++)
            n += snprintf(text + n, sizeof(text) - (size_t)n, " %a",
                          augment_get(&state->augment, i));
        optimizer_file_print(optimizer, model_params(&info->model), rest);
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%s", rest);
        trial_file_print(&state->trial, model_params(&info->model), trial);
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%s", trial);
    }
    return wire_digest(text, (size_t)n);
}

int checkpoint_write(const char *path, const checkpoint_info_t *info, const float *params,
                     const checkpoint_state_t *state, err_t *err)
{
    const model_t *model = &info->model;
    size_t n_params = model_params(model);
    safetensors_t *file = safetensors_new();
    safetensors_set_meta(file, "format", "drover");
    safetensors_set_meta(file, "format_version", FORMAT_VERSION);
    safetensors_set_meta(file, "data_digest", info->digest);
    safetensors_set_meta(file, "kernel", info->kernel);
    if (info->init[0])
        safetensors_set_meta(file, "init_digest", info->init);
    field_set_number(file, "step", info->step);
    field_set_number(file, "seed", info->seed);
    field_set_number(file, "digest", s_digest(info, params, state));
    if (state)
        s_set_state(file, state, n_params);
    model_file_add(file, model, params);
    int r = safetensors_write(file, path, err);
    safetensors_destroy(&file);
    return r;
}

static int s_newest_first(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*b)->d_name, (*a)->d_name); /* numbers are padded with zeros */
}

static int s_is_ours(const struct dirent *entry)
{
    if (strncmp(entry->d_name, "step-", 5) != 0)
        return 0;
    const char *digits = entry->d_name + 5;
    size_t n_digits = strspn(digits, "0123456789");
    return n_digits > 0 && strcmp(digits + n_digits, ".safetensors") == 0;
}

/* Returns 0 or an errno. */
static int s_remove_old(const void *context)
{
    const char *folder = context;
    struct dirent **entries;
    int n = scandir(folder, &entries, s_is_ours, s_newest_first);
    for (int i = 0; i < n; i++) {
        if (i >= N_KEPT) {
            char *path = file_join(folder, entries[i]->d_name);
            (void)unlink(path);
            free(path);
        }
        free(entries[i]);
    }
    if (n < 0)
        return errno;
    free(entries);
    return 0;
}

int checkpoint_write_numbered(const char *folder, const checkpoint_info_t *info,
                              const float *params, const checkpoint_state_t *state, err_t *err)
{
    if (file_make_folder(folder, err) != 0)
        return -1;
    char name[48];
    (void)snprintf(name, sizeof(name), "step-%010u.safetensors", info->step);
    char *path = file_join(folder, name);
    int r = checkpoint_write(path, info, params, state, err);
    free(path);
    if (r == 0 && s_remove_old(folder) == EMFILE)
        (void)file_apart(s_remove_old, folder);
    return r;
}

static int s_get_text(const safetensors_t *file, const char *path, const char *key, char *text,
                      size_t size, err_t *err)
{
    const char *value = safetensors_meta(file, key);
    if (!value || strlen(value) >= size)
        return err_set(err, "%s: metadata '%s' is %s, expected a model of drover", path, key,
                       value ? "too long" : "missing");
    memcpy(text, value, strlen(value) + 1);
    return 0;
}

static int s_read_info(const safetensors_t *file, const char *path, checkpoint_info_t *info,
                       err_t *err)
{
    memset(info, 0, sizeof(*info));
    const char *version = safetensors_meta(file, "format_version");
    if (version && strcmp(version, FORMAT_VERSION) != 0)
        return err_set(err, "%s: metadata 'format_version' is '%.40s', expected " FORMAT_VERSION,
                       path, version);
    if (model_file_model(file, path, &info->model, err) != 0 ||
        field_u32(file, path, "step", &info->step, err) != 0 ||
        field_number(file, path, "seed", UINT64_MAX, &info->seed, err) != 0 ||
        s_get_text(file, path, "data_digest", info->digest, sizeof(info->digest), err) != 0 ||
        s_get_text(file, path, "kernel", info->kernel, sizeof(info->kernel), err) != 0 ||
        (safetensors_meta(file, "init_digest") &&
         s_get_text(file, path, "init_digest", info->init, sizeof(info->init), err) != 0))
        return -1;
    return 0;
}

static int s_read_state(const safetensors_t *file, const char *path, size_t n_params,
                        checkpoint_state_t *state, err_t *err)
{
    optimizer_state_t *optimizer = &state->optimizer;
    bold_driver_t *driver = &optimizer->driver;
    uint64_t has_cost, rollback;
    memset(state, 0, sizeof(*state));
    if (field_real(file, path, "sample", &state->fraction, err) != 0 ||
        field_real(file, path, "learning_rate", &state->learning_rate, err) != 0 ||
        field_u32(file, path, "block_rows", &state->block_rows, err) != 0 ||
        field_u32(file, path, "batch_rows", &state->batch_rows, err) != 0 ||
        (safetensors_meta(file, "validation") &&
         field_real(file, path, "validation", &state->validation, err) != 0) ||
        s_read_augment(file, path, &state->augment, err) != 0 ||
        field_number(file, path, "run", UINT64_MAX, &state->run, err) != 0 ||
        field_real(file, path, "bold_driver.up", &driver->up, err) != 0 ||
        field_real(file, path, "bold_driver.down", &driver->down, err) != 0 ||
        field_real(file, path, "bold_driver.rate", &driver->rate, err) != 0 ||
        field_real(file, path, "bold_driver.safe_rate", &driver->safe_rate, err) != 0 ||
        field_real(file, path, "bold_driver.cost", &driver->cost, err) != 0 ||
        field_number(file, path, "bold_driver.has_cost", 1, &has_cost, err) != 0 ||
        field_number(file, path, "bold_driver.rollback", 1, &rollback, err) != 0 ||
        field_number(file, path, "bold_driver.kept_rows", UINT64_MAX, &optimizer->kept_rows, err) !=
            0)
        return -1;
    driver->has_cost = has_cost;
    driver->rollback = rollback;
    bool kept = driver->rollback && driver->has_cost;
    int r = 0;
    if (field_vector(file, path, KEPT_WEIGHTS, n_params, kept, &optimizer->kept_weights, err) !=
            0 ||
        field_vector(file, path, KEPT_GRADIENT, n_params, kept, &optimizer->kept_gradient, err) !=
            0 ||
        optimizer_file_read(file, path, n_params, optimizer, err) != 0 ||
        trial_file_read(file, path, n_params, &state->trial, err) != 0)
        r = -1;
    if (optimizer->config.schedule.kind != SCHEDULE_BOLD_DRIVER)
        optimizer->config.learning_rate = state->learning_rate;
    if (r != 0)
        checkpoint_state_clear(state);
    return r;
}

int checkpoint_parse(const safetensors_t *file, const char *path, checkpoint_info_t *info,
                     float **params, checkpoint_state_t *state, err_t *err)
{
    int r = -1;
    float *values = NULL;
    uint64_t digest = 0;
    bool is_checkpoint = safetensors_meta(file, "run") != NULL;
    bool has_digest = is_checkpoint || safetensors_meta(file, "digest") != NULL;
    if (s_read_info(file, path, info, err) != 0 ||
        (has_digest && field_number(file, path, "digest", UINT64_MAX, &digest, err) != 0))
        goto out;
    if (model_file_params(file, path, &info->model, NULL, err) != 0)
        goto out;
    size_t n_params = model_params(&info->model);
    values = malloc(n_params * sizeof(float));
    if (!values) {
        err_set(err, "%s: out of memory", path);
        goto out;
    }
    checkpoint_state_t found = {0};
    if (model_file_params(file, path, &info->model, values, err) != 0)
        goto out;
    if (state && !is_checkpoint) {
        err_set(err, "%s: a model, expected a checkpoint", path);
        goto out;
    }
    if (is_checkpoint && s_read_state(file, path, n_params, &found, err) != 0)
        goto out;
    if (has_digest && s_digest(info, values, is_checkpoint ? &found : NULL) != digest)
        err_set(err, "%s: damaged: it does not hold what was written", path);
    else
        r = 0;
    const float *best = found.trial.state.best;
    const float *used = best ? best : found.optimizer.average;
    if (r == 0 && !state && used)
        memcpy(values, used, n_params * sizeof(float));
    if (r == 0 && state)
        *state = found;
    else
        checkpoint_state_clear(&found);
    if (r == 0) {
        *params = values;
        values = NULL;
    }
out:
    free(values);
    return r;
}

int checkpoint_read(const char *path, checkpoint_info_t *info, float **params,
                    checkpoint_state_t *state, err_t *err)
{
    safetensors_t *file = safetensors_read(path, err);
    int r = file ? checkpoint_parse(file, path, info, params, state, err) : -1;
    safetensors_destroy(&file);
    return r;
}

int checkpoint_read_newest(const char *folder, checkpoint_info_t *info, float **params,
                           checkpoint_state_t *state, err_t *err)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, s_is_ours, s_newest_first);
    int r = 0;
    for (int i = 0; i < n; i++) {
        char *path = file_join(folder, entries[i]->d_name);
        if (r <= 0) {
            r = checkpoint_read(path, info, params, state, err) == 0 ? 1 : -1;
            if (r < 0)
                log_error("checkpoint.damaged", "%s", err->text);
        }
        free(path);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return r;
}
