/* See sweep_results.h. */
#include "cli/sweep_results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/json.h"

#define MOST_BYTES ((size_t)1 << 28) /* of one of our files */
#define MOST_WIDTH 40                /* of a value in the table */

typedef struct {
    char *line; /* owned: of trials.jsonl, without its newline; NULL: not over yet */
    bool failed;
    double objective; /* NaN when it failed */
} result_t;

struct sweep_results {
    const sweep_t *sweep;
    const char *folder;
    result_t *results; /* (n_trials) owned */
    int lock;
};

char *sweep_results_folder(const sweep_results_t *self, uint32_t t)
{
    char name[32];
    (void)snprintf(name, sizeof(name), "trial-%03u", t + 1);
    return file_join(self->folder, name);
}

bool sweep_results_has(const sweep_results_t *self, uint32_t t)
{
    return self->results[t].line != NULL;
}

uint32_t sweep_results_done(const sweep_results_t *self)
{
    uint32_t n = 0;
    for (uint32_t t = 0; t < self->sweep->n_trials; t++)
        n += sweep_results_has(self, t);
    return n;
}

/* Whose folder it is */

/* What the results depend on: the trials, and all settings but those that change no bit. */
static int s_describe(const sweep_t *sweep, const args_t *args, FILE *out, err_t *err)
{
    settings_t settings;
    settings_init(&settings);
    if (sweep_settings(sweep, args, 0, NULL, &settings, err) != 0) {
        settings_clear(&settings);
        return -1;
    }
    (void)fprintf(out,
                  "# A sweep of drover " DROVER_VERSION ". It goes on only as this one.\n"
                  "objective: %s\ntrials:\n",
                  sweep_objective_name(sweep));
    for (uint32_t t = 0; t < sweep->n_trials; t++)
        for (int d = 0; d < sweep->keys.n_dimensions; d++) {
            char *value = sweep_value(sweep, t, d);
            (void)fprintf(out, "%s%s: ", d == 0 ? "  - " : "    ",
                          sweep->keys.dimensions[d].key->key);
            json_print_string(out, value);
            (void)fputc('\n', out);
            free(value);
        }
    static const char *const free_keys[] = {"output.path", "server.bind", "worker.threads",
                                            "log.level"};
    for (size_t i = 0; i < ARRAY_COUNT(free_keys); i++) {
        const conf_override_t initial = {"default", free_keys[i],
                                         conf_find(settings_table(), free_keys[i])->initial};
        (void)conf_override(settings_table(), &settings, &initial, NULL);
    }
    (void)fputs("\n# The settings that they share.\n\n", out);
    conf_write(settings_table(), &settings, out);
    settings_clear(&settings);
    return 0;
}

/* The line of `text` in which it differs from `other`, cut. */
static void s_difference(const char *text, const char *other, char shown[72])
{
    size_t start = 0, i = 0;
    for (; text[i] && text[i] == other[i]; i++)
        if (text[i] == '\n')
            start = i + 1;
    char *line = strndup(text + start, strcspn(text + start, "\n"));
    text_quote(line ? line : "", shown);
    free(line);
}

/* Writes sweep.yaml, or holds what is there to this sweep. */
static int s_own(const sweep_results_t *self, const args_t *args, err_t *err)
{
    char *path = file_join(self->folder, "sweep.yaml"), *text = NULL, *there = NULL;
    size_t size = 0, there_size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    int r = s_describe(self->sweep, args, out, err);
    (void)fclose(out);
    file_part_t part = {text, size};
    if (r == 0 && !file_exists(path))
        r = file_write_atomic(path, &part, 1, err);
    else if (r == 0 && (r = file_read(path, MOST_BYTES, &there, &there_size, err)) == 0 &&
             strcmp(there, text) != 0) {
        char ours[72], theirs[72];
        s_difference(text, there, ours);
        s_difference(there, text, theirs);
        r = err_set(err,
                    "%s: another sweep is in this folder: %s there, %s here; expected a folder of "
                    "its own",
                    path, theirs, ours);
    }
    free(there);
    free(text);
    free(path);
    return r;
}

/* trials.jsonl: objects that this file has printed. */

/* Behind `name` in the line; NULL if it is not there. */
static const char *s_field(const char *line, const char *name)
{
    const char *at = strstr(line, name);
    return at ? at + strlen(name) : NULL;
}

static double s_number(const char *line, const char *name)
{
    const char *at = s_field(line, name);
    char *end;
    double number = at ? strtod(at, &end) : (double)NAN;
    return at && end > at ? number : (double)NAN; /* null */
}

static int s_read(sweep_results_t *self, err_t *err)
{
    char *path = file_join(self->folder, "trials.jsonl"), *text = NULL;
    size_t size;
    int r = 0, number = 0;
    if (file_exists(path))
        r = file_read(path, MOST_BYTES, &text, &size, err);
    for (char *line = text, *end; r == 0 && line && *line; line = end + 1) {
        end = strchr(line, '\n');
        number++;
        double t = s_number(line, "{\"trial\": ");
        if (!end || !(t >= 1 && t <= self->sweep->n_trials && t == floor(t)) ||
            self->results[(uint32_t)t - 1].line) {
            r = err_set(err, "%s:%d: expected the object of a trial of this sweep", path, number);
            break;
        }
        *end = '\0';
        result_t *result = &self->results[(uint32_t)t - 1];
        result->line = strdup(line);
        result->failed = strstr(line, "\"status\": \"failed\"") != NULL;
        result->objective = s_number(line, "\"objective\": ");
    }
    free(text);
    free(path);
    return r;
}

static int s_write(const sweep_results_t *self, err_t *err)
{
    char *path = file_join(self->folder, "trials.jsonl");
    uint32_t n = self->sweep->n_trials;
    file_part_t *parts = calloc(2 * (size_t)n, sizeof(file_part_t));
    int n_parts = 0;
    if (!parts)
        abort();
    for (uint32_t t = 0; t < n; t++) {
        if (!self->results[t].line)
            continue;
        parts[n_parts++] = (file_part_t){self->results[t].line, strlen(self->results[t].line)};
        parts[n_parts++] = (file_part_t){"\n", 1};
    }
    int r = file_write_atomic(path, parts, n_parts, err);
    free(parts);
    free(path);
    return r;
}

/* Numbers and truth values as they are, all else as strings. */
static void s_print_value(const conf_key_t *key, const char *value, FILE *out)
{
    if (key->type == CONF_INT || key->type == CONF_U64)
        (void)fputs(value, out);
    else if (key->type == CONF_REAL)
        json_print_number(out, strtod(value, NULL));
    else if (key->type == CONF_BOOL)
        (void)fputs(strchr("tT", value[0]) ? "true" : "false", out);
    else
        json_print_string(out, value);
}

static void s_print_keys(const sweep_t *sweep, uint32_t t, FILE *out)
{
    for (int d = 0; d < sweep->keys.n_dimensions; d++) {
        const conf_key_t *key = sweep->keys.dimensions[d].key;
        char *value = sweep_value(sweep, t, d);
        (void)fprintf(out, "%s\"%s\": ", d > 0 ? ", " : "", key->key);
        s_print_value(key, value, out);
        free(value);
    }
}

/* The best trial so far, the first of equals; n_trials if there is none. */
static uint32_t s_best(const sweep_results_t *self)
{
    uint32_t n = self->sweep->n_trials, best = n;
    for (uint32_t t = 0; t < n; t++)
        if (self->results[t].line && !self->results[t].failed &&
            (best == n ||
             sweep_better(self->sweep, self->results[t].objective, self->results[best].objective)))
            best = t;
    return best;
}

static int s_link_best(const sweep_results_t *self, err_t *err)
{
    uint32_t best = s_best(self);
    if (best == self->sweep->n_trials)
        return 0;
    char *path = file_join(self->folder, "best"), *fresh = file_join(self->folder, "best.partial");
    char *folder = sweep_results_folder(self, best);
    int r = 0;
    (void)unlink(fresh);
    if (symlink(strrchr(folder, '/') + 1, fresh) != 0 || rename(fresh, path) != 0)
        r = err_set_errno(err, "%s: cannot make the link to the best trial", path);
    free(folder);
    free(fresh);
    free(path);
    return r;
}

static double s_objective(const sweep_t *sweep, const run_outcome_t *outcome)
{
    switch (sweep->objective) {
    case SWEEP_TEST_ACCURACY:
        return outcome->test_accuracy;
    case SWEEP_TEST_COST:
        return outcome->test_cost;
    case SWEEP_VALIDATION_ACCURACY:
        return outcome->validation_accuracy;
    case SWEEP_VALIDATION_COST:
        return outcome->validation_cost;
    }
    return (double)NAN;
}

int sweep_results_add(sweep_results_t *self, uint32_t t, const run_outcome_t *outcome,
                      double seconds, const char *why_failed, err_t *err)
{
    result_t *result = &self->results[t];
    size_t size;
    FILE *out = open_memstream(&result->line, &size);
    if (!out)
        abort();
    result->failed = why_failed != NULL;
    result->objective = why_failed ? (double)NAN : s_objective(self->sweep, outcome);
    (void)fprintf(out, "{\"trial\": %u, \"status\": \"%s\", \"objective\": ", t + 1,
                  why_failed ? "failed" : "done");
    json_print_number(out, result->objective);
    if (why_failed) {
        (void)fputs(", \"reason\": ", out);
        json_print_string(out, why_failed);
    } else {
        const struct {
            const char *name;
            double value;
        } figures[] = {{"validation_cost", outcome->validation_cost},
                       {"validation_accuracy", outcome->validation_accuracy},
                       {"test_cost", outcome->test_cost},
                       {"test_accuracy", outcome->test_accuracy},
                       {"cost", outcome->cost},
                       {"accuracy", outcome->accuracy}};
        for (size_t i = 0; i < ARRAY_COUNT(figures); i++) {
            (void)fprintf(out, ", \"%s\": ", figures[i].name);
            json_print_number(out, figures[i].value);
        }
    }
    (void)fprintf(out, ", \"seconds\": %.3f, \"keys\": {", seconds);
    s_print_keys(self->sweep, t, out);
    (void)fputs("}}", out);
    (void)fclose(out);
    return s_write(self, err) == 0 ? s_link_best(self, err) : -1;
}

double sweep_results_objective(const sweep_results_t *self, uint32_t t)
{
    return self->results[t].objective;
}

/* Printing */

/* Trials that are over, the best first, in `order`; those without an objective last. Returns how
 * many. */
static uint32_t s_sort(const sweep_results_t *self, uint32_t *order)
{
    uint32_t n = 0;
    for (uint32_t t = 0; t < self->sweep->n_trials; t++) {
        if (!self->results[t].line)
            continue;
        uint32_t i = n++;
        for (; i > 0 && sweep_better(self->sweep, self->results[t].objective,
                                     self->results[order[i - 1]].objective);
             i--)
            order[i] = order[i - 1];
        order[i] = t;
    }
    return n;
}

static void s_print_json(const sweep_results_t *self, const uint32_t *order, uint32_t n, FILE *out)
{
    uint32_t best = s_best(self);
    (void)fprintf(out, "{\"objective\": \"%s\", \"best\": ", sweep_objective_name(self->sweep));
    (void)fprintf(out, best < self->sweep->n_trials ? "%u" : "null", best + 1);
    (void)fputs(", \"trials\": [", out);
    for (uint32_t i = 0; i < n; i++)
        (void)fprintf(out, "%s%s", i > 0 ? ", " : "", self->results[order[i]].line);
    (void)fputs("]}\n", out);
}

/* A trial's value of a key for the table; numbers short. */
static const char *s_cell(const sweep_t *sweep, uint32_t t, int d, char cell[MOST_WIDTH + 1])
{
    char *value = sweep_value(sweep, t, d);
    if (sweep->keys.dimensions[d].key->type == CONF_REAL)
        (void)snprintf(cell, MOST_WIDTH + 1, "%.6g", strtod(value, NULL));
    else
        (void)snprintf(cell, MOST_WIDTH + 1, strlen(value) > MOST_WIDTH ? "%.37s..." : "%s", value);
    free(value);
    return cell;
}

static int s_width(const sweep_t *sweep, int d)
{
    char cell[MOST_WIDTH + 1];
    size_t width = strlen(sweep->keys.dimensions[d].key->key);
    for (uint32_t t = 0; t < sweep->n_trials; t++) {
        size_t n = strlen(s_cell(sweep, t, d, cell));
        width = n > width ? n : width;
    }
    return (int)width;
}

/* A string of JSON that is ours, up to its end. */
static void s_print_unescaped(const char *at, FILE *out)
{
    for (; *at && *at != '"'; at++) {
        if (*at == '\\' && at[1])
            at++;
        (void)fputc(*at, out);
    }
}

/* What the table shows of trials.jsonl, from the third on where the objective is of the test data.
 */
typedef struct {
    const char *name;
    int width;
    int digits;
} column_t;

static const column_t s_columns[] = {
    {"validation_accuracy", 19, 4},
    {"validation_cost", 15, 5},
    {"test_accuracy", 13, 4},
    {"test_cost", 9, 5},
    {"seconds", 8, 1},
};
#define N_COLUMNS ARRAY_COUNT(s_columns)

static void s_print_figures(const result_t *result, int first, FILE *out)
{
    for (int c = first; c < N_COLUMNS; c++) {
        char name[40];
        (void)snprintf(name, sizeof(name), "\"%s\": ", s_columns[c].name);
        double figure = s_number(result->line, name);
        if (isnan(figure))
            (void)fprintf(out, "  %*s", s_columns[c].width,
                          result->failed && c == first ? "failed" : "-");
        else
            (void)fprintf(out, "  %*.*f", s_columns[c].width, s_columns[c].digits, figure);
    }
}

static void s_print_table(const sweep_results_t *self, const uint32_t *order, uint32_t n, FILE *out)
{
    const sweep_t *sweep = self->sweep;
    int n_keys = sweep->keys.n_dimensions;
    int *widths = calloc((size_t)n_keys, sizeof(int));
    if (!widths)
        abort();
    int first = sweep_validates(sweep) ? 0 : 2;
    (void)fputs("trial", out);
    for (int c = first; c < N_COLUMNS; c++)
        (void)fprintf(out, "  %*s", s_columns[c].width, s_columns[c].name);
    for (int d = 0; d < n_keys; d++) {
        widths[d] = s_width(sweep, d);
        (void)fprintf(out, "  %*s", widths[d], sweep->keys.dimensions[d].key->key);
    }
    (void)fputc('\n', out);
    for (uint32_t i = 0; i < n; i++) {
        const result_t *result = &self->results[order[i]];
        char cell[MOST_WIDTH + 1];
        (void)fprintf(out, "%5u", order[i] + 1);
        s_print_figures(result, first, out);
        for (int d = 0; d < n_keys; d++)
            (void)fprintf(out, "  %*s", widths[d], s_cell(sweep, order[i], d, cell));
        (void)fputc('\n', out);
    }
    for (uint32_t i = 0; i < n; i++)
        if (self->results[order[i]].failed) {
            (void)fprintf(out, "trial %u failed: ", order[i] + 1);
            s_print_unescaped(s_field(self->results[order[i]].line, "\"reason\": \""), out);
            (void)fputc('\n', out);
        }
    uint32_t best = s_best(self);
    if (best < sweep->n_trials)
        (void)fprintf(out, "\nbest by %s: trial %u, %s/best\n", sweep_objective_name(sweep),
                      best + 1, self->folder);
    free(widths);
}

void sweep_results_print(const sweep_results_t *self, bool json, FILE *out)
{
    uint32_t *order = calloc(self->sweep->n_trials, sizeof(*order));
    if (!order)
        abort();
    uint32_t n = s_sort(self, order);
    if (json)
        s_print_json(self, order, n, out);
    else
        s_print_table(self, order, n, out);
    free(order);
}

/* Life */

sweep_results_t *sweep_results_open(const sweep_t *sweep, const args_t *args, const char *folder,
                                    err_t *err)
{
    sweep_results_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->sweep = sweep;
    self->folder = folder;
    self->lock = -1;
    self->results = calloc(sweep->n_trials, sizeof(result_t));
    if (!self->results)
        abort();
    if (file_make_folder(folder, err) != 0 || (self->lock = file_lock_folder(folder, err)) < 0 ||
        s_own(self, args, err) != 0 || s_read(self, err) != 0 ||
        s_link_best(self, err) != 0) /* it may have been killed before */
        sweep_results_destroy(&self);
    return self;
}

void sweep_results_destroy(sweep_results_t **self_p)
{
    sweep_results_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    for (uint32_t t = 0; t < self->sweep->n_trials; t++)
        free(self->results[t].line);
    free(self->results);
    if (self->lock >= 0)
        close(self->lock);
    free(self);
}
