/* See optimizer_file.h. */
#include "parameter_server/optimizer_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "parameter_server/model_file.h"
#include "proto/wire.h"

#define UPDATES "optimizer.updates"

typedef struct {
    const char *key;
    size_t offset; /* in optimizer_config_t */
    enum {
        WORD,  /* an enum */
        COUNT, /* uint32_t */
        REAL   /* double */
    } type;
    const char *const *words; /* WORD; ends with NULL */
} field_t;

static const char *const s_kinds[] = {
    "gradient_descent", "momentum", "nesterov", "adam", "adamw", NULL};
static const char *const s_schedules[] = {"bold_driver", "constant", "step",
                                          "exponential", "cosine",   NULL};

#define AT(field) offsetof(optimizer_config_t, field)

static const field_t s_fields[] = {
    {"training.optimizer", AT(kind), WORD, s_kinds},
    {"training.momentum", AT(momentum), REAL, NULL},
    {"training.beta1", AT(beta1), REAL, NULL},
    {"training.beta2", AT(beta2), REAL, NULL},
    {"training.epsilon", AT(epsilon), REAL, NULL},
    {"training.weight_decay", AT(weight_decay), REAL, NULL},
    {"training.l1", AT(l1), REAL, NULL},
    {"training.l2", AT(l2), REAL, NULL},
    {"training.clip_norm", AT(clip_norm), REAL, NULL},
    {"training.ema", AT(ema), REAL, NULL},
    {"training.schedule.kind", AT(schedule.kind), WORD, s_schedules},
    {"training.schedule.warmup_steps", AT(schedule.warmup_steps), COUNT, NULL},
    {"training.schedule.every_steps", AT(schedule.every_steps), COUNT, NULL},
    {"training.schedule.factor", AT(schedule.factor), REAL, NULL},
    {"training.schedule.steps", AT(schedule.steps), COUNT, NULL},
    {"training.schedule.final_rate", AT(schedule.final_rate), REAL, NULL},
};
#define N_FIELDS (sizeof(s_fields) / sizeof(s_fields[0]))

_Static_assert(sizeof(optimizer_kind_t) == sizeof(uint32_t), "enums are 32 bits");
_Static_assert(sizeof(schedule_kind_t) == sizeof(uint32_t), "enums are 32 bits");

static const struct {
    const char *name;
    size_t offset; /* of a float * in optimizer_state_t */
} s_vectors[] = {
    {"optimizer.moment1", offsetof(optimizer_state_t, moment1)},
    {"optimizer.moment2", offsetof(optimizer_state_t, moment2)},
    {"optimizer.average", offsetof(optimizer_state_t, average)},
};
#define N_VECTORS (sizeof(s_vectors) / sizeof(s_vectors[0]))

static float *s_vector(const optimizer_state_t *state, size_t i)
{
    float *vector;
    memcpy(&vector, (const char *)state + s_vectors[i].offset, sizeof(vector));
    return vector;
}

/* As the metadata have it; hexadecimal floats read back to the same bits. */
static void s_text(const optimizer_config_t *config, const field_t *field, char text[40])
{
    const char *at = (const char *)config + field->offset;
    uint32_t count;
    double real;
    if (field->type == REAL) {
        memcpy(&real, at, sizeof(real));
        (void)snprintf(text, 40, "%a", real);
        return;
    }
    memcpy(&count, at, sizeof(count));
    if (field->type == WORD)
        (void)snprintf(text, 40, "%s", field->words[count]);
    else
        (void)snprintf(text, 40, "%u", count);
}

const char *optimizer_file_difference(const optimizer_config_t *a, const optimizer_config_t *b)
{
    for (size_t i = 0; i < N_FIELDS; i++) {
        char texts[2][40];
        s_text(a, &s_fields[i], texts[0]);
        s_text(b, &s_fields[i], texts[1]);
        if (strcmp(texts[0], texts[1]) != 0)
            return s_fields[i].key;
    }
    return NULL;
}

static bool s_is_plain(const optimizer_state_t *state)
{
    static const optimizer_config_t plain = {.kind = OPTIMIZER_GRADIENT_DESCENT};
    return !optimizer_file_difference(&state->config, &plain);
}

void optimizer_file_add(safetensors_t *file, const optimizer_state_t *state, size_t n_params)
{
    char text[40];
    if (s_is_plain(state))
        return;
    for (size_t i = 0; i < N_FIELDS; i++) {
        s_text(&state->config, &s_fields[i], text);
        safetensors_set_meta(file, s_fields[i].key, text);
    }
    (void)snprintf(text, sizeof(text), "%" PRIu64, state->n_updates);
    safetensors_set_meta(file, UPDATES, text);
    for (size_t i = 0; i < N_VECTORS; i++)
        if (s_vector(state, i))
            safetensors_add(file, s_vectors[i].name, &n_params, 1, s_vector(state, i));
}

void optimizer_file_print(const optimizer_state_t *state, size_t n_params,
                          char text[OPTIMIZER_FILE_TEXT_SIZE])
{
    int n = 0;
    char value[40];
    text[0] = '\0';
    if (s_is_plain(state))
        return;
    for (size_t i = 0; i < N_FIELDS; i++) {
        s_text(&state->config, &s_fields[i], value);
        n += snprintf(text + n, OPTIMIZER_FILE_TEXT_SIZE - (size_t)n, " %s", value);
    }
    n += snprintf(text + n, OPTIMIZER_FILE_TEXT_SIZE - (size_t)n, " %" PRIu64, state->n_updates);
    for (size_t i = 0; i < N_VECTORS; i++) {
        const float *vector = s_vector(state, i);
        n += snprintf(text + n, OPTIMIZER_FILE_TEXT_SIZE - (size_t)n, " %" PRIx64,
                      vector ? wire_digest(vector, n_params * sizeof(float)) : 0);
    }
}

static int s_read_field(const safetensors_t *file, const char *path, const field_t *field,
                        optimizer_config_t *config, err_t *err)
{
    char *at = (char *)config + field->offset;
    uint64_t number;
    uint32_t count = 0;
    double real;
    const char *text = safetensors_meta(file, field->key);
    switch (field->type) {
    case REAL:
        if (model_file_real(file, path, field->key, &real, err) != 0)
            return -1;
        memcpy(at, &real, sizeof(real));
        return 0;
    case COUNT:
        if (model_file_number(file, path, field->key, UINT32_MAX, &number, err) != 0)
            return -1;
        count = (uint32_t)number;
        break;
    case WORD:
        while (text && field->words[count] && strcmp(field->words[count], text) != 0)
            count++;
        if (!text || !field->words[count])
            return err_set(err, "%s: metadata '%s' is '%.40s', expected a word of this drover's",
                           path, field->key, text ? text : "");
        break;
    }
    memcpy(at, &count, sizeof(count));
    return 0;
}

/* A vector is there when the optimizer has one. */
static int s_read_vector(const safetensors_t *file, const char *path, size_t i, size_t n_params,
                         bool expected, optimizer_state_t *state, err_t *err)
{
    size_t n_dims;
    const size_t *shape;
    const float *data = safetensors_tensor(file, s_vectors[i].name, &n_dims, &shape);
    if (!data != !expected || (data && (n_dims != 1 || shape[0] != n_params)))
        return err_set(err, "%s: tensor '%s' does not fit the optimizer's state", path,
                       s_vectors[i].name);
    if (!data)
        return 0;
    pool_t *pool = pool_new(n_params * sizeof(float));
    float *vector = pool_take(pool);
    memcpy(vector, data, n_params * sizeof(float));
    memcpy((char *)state + s_vectors[i].offset, &vector, sizeof(vector));
    pool_destroy(&pool); /* its buffer lives on */
    return 0;
}

int optimizer_file_read(const safetensors_t *file, const char *path, size_t n_params,
                        optimizer_state_t *state, err_t *err)
{
    optimizer_config_t *config = &state->config;
    if (!safetensors_meta(file, s_fields[0].key))
        return 0;
    for (size_t i = 0; i < N_FIELDS; i++)
        if (s_read_field(file, path, &s_fields[i], config, err) != 0)
            return -1;
    if (model_file_number(file, path, UPDATES, UINT64_MAX, &state->n_updates, err) != 0)
        return -1;
    bool updated = state->n_updates > 0;
    const bool expected[N_VECTORS] = {
        updated && optimizer_has_moment1(config->kind),
        updated && optimizer_has_moment2(config->kind),
        updated && config->ema > 0,
    };
    for (size_t i = 0; i < N_VECTORS; i++)
        if (s_read_vector(file, path, i, n_params, expected[i], state, err) != 0)
            return -1;
    return 0;
}
