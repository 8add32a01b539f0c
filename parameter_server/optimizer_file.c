/* See optimizer_file.h. */
#include "parameter_server/optimizer_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/settings.h"
#include "parameter_server/field.h"
#include "proto/wire.h"

#define UPDATES "optimizer.updates"

typedef struct {
    const char *key;
    size_t offset; /* in optimizer_config_t */
    enum {
        WORD,  /* an enum, in the order of the setting's choices */
        COUNT, /* uint32_t */
        REAL   /* double */
    } type;
} field_t;

#define AT(field) offsetof(optimizer_config_t, field)

static const field_t s_fields[] = {
    {"training.optimizer", AT(kind), WORD},
    {"training.momentum", AT(momentum), REAL},
    {"training.beta1", AT(beta1), REAL},
    {"training.beta2", AT(beta2), REAL},
    {"training.epsilon", AT(epsilon), REAL},
    {"training.weight_decay", AT(weight_decay), REAL},
    {"training.l1", AT(l1), REAL},
    {"training.l2", AT(l2), REAL},
    {"training.clip_norm", AT(clip_norm), REAL},
    {"training.ema", AT(ema), REAL},
    {"training.schedule.kind", AT(schedule.kind), WORD},
    {"training.schedule.warmup_steps", AT(schedule.warmup_steps), COUNT},
    {"training.schedule.every_steps", AT(schedule.every_steps), COUNT},
    {"training.schedule.factor", AT(schedule.factor), REAL},
    {"training.schedule.steps", AT(schedule.steps), COUNT},
    {"training.schedule.final_rate", AT(schedule.final_rate), REAL},
};
#define N_FIELDS ARRAY_COUNT(s_fields)

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
#define N_VECTORS ARRAY_COUNT(s_vectors)

static float *s_vector(const optimizer_state_t *state, int i)
{
    float *vector;
    memcpy(&vector, (const char *)state + s_vectors[i].offset, sizeof(vector));
    return vector;
}

static const char *const *s_words(const field_t *field)
{
    return conf_find(settings_table(), field->key)->choices;
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
        (void)snprintf(text, 40, "%s", s_words(field)[count]);
    else
        (void)snprintf(text, 40, "%u", count);
}

const char *optimizer_file_difference(const optimizer_config_t *a, const optimizer_config_t *b)
{
    for (int i = 0; i < N_FIELDS; i++) {
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
    for (int i = 0; i < N_FIELDS; i++) {
        s_text(&state->config, &s_fields[i], text);
        safetensors_set_meta(file, s_fields[i].key, text);
    }
    field_set_number(file, UPDATES, state->n_updates);
    for (int i = 0; i < N_VECTORS; i++)
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
    for (int i = 0; i < N_FIELDS; i++) {
        s_text(&state->config, &s_fields[i], value);
        n += snprintf(text + n, OPTIMIZER_FILE_TEXT_SIZE - (size_t)n, " %s", value);
    }
    n += snprintf(text + n, OPTIMIZER_FILE_TEXT_SIZE - (size_t)n, " %" PRIu64, state->n_updates);
    for (int i = 0; i < N_VECTORS; i++) {
        const float *vector = s_vector(state, i);
        n += snprintf(text + n, OPTIMIZER_FILE_TEXT_SIZE - (size_t)n, " %" PRIx64,
                      vector ? wire_digest(vector, n_params * sizeof(float)) : 0);
    }
}

static int s_read_field(const safetensors_t *file, const char *path, const field_t *field,
                        optimizer_config_t *config, err_t *err)
{
    char *at = (char *)config + field->offset;
    uint32_t count = 0;
    double real;
    if (field->type == REAL) {
        if (field_real(file, path, field->key, &real, err) != 0)
            return -1;
        memcpy(at, &real, sizeof(real));
        return 0;
    }
    if (field->type == COUNT) {
        if (field_u32(file, path, field->key, &count, err) != 0)
            return -1;
    } else {
        const char *text = safetensors_meta(file, field->key);
        const char *const *words = s_words(field);
        while (text && words[count] && strcmp(words[count], text) != 0)
            count++;
        if (!text || !words[count])
            return err_set(err, "%s: metadata '%s' is '%.40s', expected a word of this drover's",
                           path, field->key, text ? text : "");
    }
    memcpy(at, &count, sizeof(count));
    return 0;
}

int optimizer_file_read(const safetensors_t *file, const char *path, size_t n_params,
                        optimizer_state_t *state, err_t *err)
{
    optimizer_config_t *config = &state->config;
    if (!safetensors_meta(file, s_fields[0].key))
        return 0;
    for (int i = 0; i < N_FIELDS; i++)
        if (s_read_field(file, path, &s_fields[i], config, err) != 0)
            return -1;
    if (field_number(file, path, UPDATES, UINT64_MAX, &state->n_updates, err) != 0)
        return -1;
    bool updated = state->n_updates > 0;
    const bool expected[N_VECTORS] = {
        updated && optimizer_has_moment1(config->kind),
        updated && optimizer_has_moment2(config->kind),
        updated && config->ema > 0,
    };
    for (int i = 0; i < N_VECTORS; i++) {
        float *vector = NULL;
        if (field_vector(file, path, s_vectors[i].name, n_params, expected[i], &vector, err) != 0)
            return -1;
        memcpy((char *)state + s_vectors[i].offset, &vector, sizeof(vector));
    }
    return 0;
}
