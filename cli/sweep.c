/* See sweep.h. */
#include "cli/sweep.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/text.h"
#include "math/rng.h"

static const char *const s_searches[] = {"grid", "random", NULL};
static const char *const s_objectives[] = {"test_accuracy", "test_cost", "validation_accuracy",
                                           "validation_cost", NULL};

/* What a trial does not choose: where it writes and who computes it. */
static const char *const s_not_searched[] = {"output.path", "server.bind", "worker.threads",
                                             "log.level", NULL};

static const conf_table_t *s_table(void)
{
    static conf_key_t keys[] = {
        {.key = "config", .type = CONF_STRING, .offset = offsetof(sweep_t, config), .initial = ""},
        {.key = "search",
         .type = CONF_ENUM,
         .offset = offsetof(sweep_t, search),
         .choices = s_searches,
         .initial = "grid"},
        {.key = "trials",
         .type = CONF_INT,
         .offset = offsetof(sweep_t, trials),
         .min = 0,
         .max = SWEEP_MOST_TRIALS,
         .initial = "0"},
        {.key = "seed", .type = CONF_U64, .offset = offsetof(sweep_t, seed), .initial = "7"},
        {.key = "objective",
         .type = CONF_ENUM,
         .offset = offsetof(sweep_t, objective),
         .choices = s_objectives,
         .initial = "test_accuracy"},
        {.key = "keys", .type = CONF_SPACE, .offset = offsetof(sweep_t, keys)},
    };
    static const conf_table_t table = {keys, ARRAY_COUNT(keys), sizeof(sweep_t)};
    keys[5].items = settings_table();
    return &table;
}

static int s_check(sweep_t *self, const char *path, err_t *err)
{
    uint64_t n = 1;
    if (self->keys.n_dimensions == 0)
        return err_set(err, "%s: no 'keys'; expected keys of the settings with values to try",
                       path);
    for (int d = 0; d < self->keys.n_dimensions; d++) {
        const conf_dimension_t *dimension = &self->keys.dimensions[d];
        for (int i = 0; s_not_searched[i]; i++)
            if (strcmp(dimension->key->key, s_not_searched[i]) == 0)
                return err_set(err, "%s:%d: %s: a sweep does not search over this key", path,
                               dimension->line, s_not_searched[i]);
        if (self->search == SWEEP_GRID && dimension->n_values == 0)
            return err_set(err,
                           "%s:%d: %s: a range with search grid; expected a list of values, or "
                           "search: random",
                           path, dimension->line, dimension->key->key);
        if (n <= SWEEP_MOST_TRIALS)
            n *= (uint64_t)dimension->n_values;
    }
    if (self->search == SWEEP_GRID && self->trials > 0)
        return err_set(err, "%s: trials: %d with search grid, which tries all combinations", path,
                       self->trials);
    if (self->search == SWEEP_RANDOM && self->trials == 0)
        return err_set(err, "%s: no 'trials'; expected how many search random draws", path);
    if (self->search == SWEEP_GRID && n > SWEEP_MOST_TRIALS)
        return err_set(err, "%s: a grid of more than %d trials", path, SWEEP_MOST_TRIALS);
    self->n_trials = self->search == SWEEP_GRID ? (uint32_t)n : (uint32_t)self->trials;
    return 0;
}

/* Relative to the file's folder. */
static void s_find_config(sweep_t *self, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!self->config[0] || self->config[0] == '/' || !slash)
        return;
    char *folder = strndup(path, (size_t)(slash - path) + (slash == path));
    char *config = folder ? file_join(folder, self->config) : NULL;
    if (!config)
        abort();
    free(folder);
    free(self->config);
    self->config = config;
}

int sweep_load_text(sweep_t *self, const char *path, const char *text, size_t size, err_t *err)
{
    conf_init(s_table(), self);
    if (conf_load_text(s_table(), self, path, text, size, err) != 0 ||
        s_check(self, path, err) != 0)
        return -1;
    s_find_config(self, path);
    return 0;
}

int sweep_load(sweep_t *self, const char *path, err_t *err)
{
    char *text;
    size_t size;
    memset(self, 0, sizeof(*self));
    if (file_read(path, CONF_MAX_FILE_BYTES, &text, &size, err) != 0)
        return -1;
    int r = sweep_load_text(self, path, text, size, err);
    free(text);
    return r;
}

void sweep_clear(sweep_t *self)
{
    conf_clear(s_table(), self);
}

/* ratio^u for u in [0, 1) of 53 bits: by square roots, which IEEE rounds the same everywhere, as
 * the C library's pow is not. */
static double s_power(double ratio, double u)
{
    double power = 1;
    for (int bit = 0; bit < 53; bit++) {
        ratio = sqrt(ratio);
        u *= 2;
        if (u >= 1) {
            power *= ratio;
            u -= 1;
        }
    }
    return power;
}

/* A number of the range from u in [0, 1). A whole one is drawn from [min, max + 1) and cut. */
static char *s_draw(const conf_dimension_t *dimension, double u)
{
    bool whole = dimension->key->type != CONF_REAL;
    double min = dimension->min, max = dimension->max, end = whole ? max + 1 : max;
    double value = dimension->log_scale ? min * s_power(end / min, u) : min + u * (end - min);
    char text[32];
    if (whole)
        value = floor(value);
    value = value > max ? max : value;
    if (whole)
        (void)snprintf(text, sizeof(text), "%.0f", value);
    else
        text_python_repr(value, text);
    return strdup(text);
}

char *sweep_value(const sweep_t *self, uint32_t t, int d)
{
    const conf_dimension_t *dimension = &self->keys.dimensions[d];
    if (self->search == SWEEP_GRID) {
        for (int later = self->keys.n_dimensions - 1; later > d; later--)
            t /= (uint32_t)self->keys.dimensions[later].n_values;
        return strdup(dimension->values[t % (uint32_t)dimension->n_values]);
    }
    uint32_t bits[2];
    rng_fill(self->seed, RNG_SWEEP, t, 2 * (uint64_t)d, 2, bits);
    double u = (double)(((uint64_t)bits[0] << 32 | bits[1]) >> 11) * 0x1p-53;
    if (dimension->n_values > 0)
        return strdup(dimension->values[(int)(u * dimension->n_values)]);
    return s_draw(dimension, u);
}

const char *sweep_objective_name(const sweep_t *self)
{
    return s_objectives[self->objective];
}

bool sweep_validates(const sweep_t *self)
{
    return self->objective >= SWEEP_VALIDATION_ACCURACY;
}

bool sweep_better(const sweep_t *self, double a, double b)
{
    if (isnan(a) || isnan(b))
        return !isnan(a);
    bool cost = self->objective == SWEEP_TEST_COST || self->objective == SWEEP_VALIDATION_COST;
    return cost ? a < b : a > b;
}

/* The searched key that an override sets; NULL if it sets another. */
static const conf_dimension_t *s_searched(const sweep_t *self, const conf_override_t *override)
{
    for (int d = 0; d < self->keys.n_dimensions; d++) {
        const char *key = self->keys.dimensions[d].key->key;
        size_t n = strlen(key);
        if (override->key ? strcmp(override->key, key) == 0
                          : strncmp(override->text, key, n) == 0 && override->text[n] == '=')
            return &self->keys.dimensions[d];
    }
    return NULL;
}

int sweep_settings(const sweep_t *self, const args_t *args, uint32_t t, const char *output,
                   settings_t *settings, err_t *err)
{
    int n = args->n_overrides, n_keys = output ? self->keys.n_dimensions : 0;
    conf_override_t *overrides = calloc((size_t)(n + n_keys) + 1, sizeof(*overrides));
    char **values = calloc((size_t)n_keys + 1, sizeof(char *));
    int r = 0;
    if (!overrides || !values)
        abort();
    for (int i = 0; i < n && r == 0; i++) {
        const conf_dimension_t *searched = s_searched(self, &args->overrides[i]);
        overrides[i] = args->overrides[i];
        if (searched)
            r = err_set(err, "--%s %s: the sweep searches over %s (line %d of its file)",
                        overrides[i].option, overrides[i].text, searched->key->key, searched->line);
    }
    for (int d = 0; d < n_keys; d++) {
        values[d] = sweep_value(self, t, d);
        if (!values[d])
            abort();
        overrides[n++] = (conf_override_t){"keys", self->keys.dimensions[d].key->key, values[d]};
    }
    if (output)
        overrides[n++] = (conf_override_t){"output", "output.path", output};
    const char *config = self->config[0] ? self->config : NULL;
    if (r == 0)
        r = settings_load(settings, config, overrides, n, err);
    if (r != 0 && output)
        err_prefix(err, "trial %u", t + 1);
    for (int d = 0; d < n_keys; d++)
        free(values[d]);
    free(values);
    free(overrides);
    return r;
}
