/* See evaluate.h. */
#include "cli/evaluate.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "math/confusion.h"
#include "math/loss.h"
#include "math/pass.h"
#include "math/rng.h"
#include "parameter_server/model_file.h"

#define BATCH_ROWS   512
#define MATRIX_WIDTH 20 /* classes; a wider matrix cannot be read on a terminal */

/* Does the data set fit the network? */
static int s_check(const model_t *model, const dataset_t *dataset, err_t *err)
{
    if (dataset_inputs(dataset) != model->n_inputs)
        return err_set(err, "the images have %zu bytes each; expected %u, the network's inputs",
                       dataset_inputs(dataset), model->n_inputs);
    if (dataset_classes(dataset) > model_classes(model))
        return err_set(
            err, "the labels go up to %zu; expected at most %u, the network's %u classes",
            dataset_classes(dataset) - 1, model_classes(model) - 1, model_classes(model));
    if (model_classes(model) > EVALUATE_MAX_CLASSES)
        return err_set(err, "the network has %u classes; expected at most %d", model_classes(model),
                       EVALUATE_MAX_CLASSES);
    return 0;
}

int evaluate(const model_t *model, const float *params, const dataset_t *dataset, evaluation_t *out,
             err_t *err)
{
    memset(out, 0, sizeof(*out));
    if (s_check(model, dataset, err) != 0)
        return -1;
    size_t n_rows = dataset_rows(dataset);
    size_t D = model->n_inputs;
    size_t C = model_classes(model);
    const uint8_t *labels = dataset_labels(dataset);
    double cost = 0;
    pass_t *pass = pass_new(model, KERNEL_SPARSE, BATCH_ROWS);
    out->confusion = calloc(C * C, sizeof(*out->confusion));
    out->predictions = malloc(n_rows);
    out->margins = malloc(n_rows * sizeof(*out->margins));
    if (!out->confusion || !out->predictions || !out->margins) {
        pass_destroy(&pass);
        evaluation_clear(out);
        return err_set(err, "out of memory for %zu rows", n_rows);
    }
    for (size_t first = 0; first < n_rows; first += BATCH_ROWS) {
        size_t B = n_rows - first < BATCH_ROWS ? n_rows - first : BATCH_ROWS;
        uint32_t n_correct;
        double batch_cost;
        pass_set_bytes(pass, dataset_images(dataset) + first * D, B);
        const float *y = pass_evaluate(pass, params, labels + first, B, &batch_cost, &n_correct);
        cost += batch_cost;
        for (size_t r = 0; r < B; r++) {
            size_t predicted = loss_argmax(y + r * C, C);
            out->predictions[first + r] = (uint8_t)predicted;
            out->n_wrong += predicted != labels[first + r];
            out->margins[first + r] = y[r * C + predicted] - y[r * C + labels[first + r]];
            confusion_add(out->confusion, (uint32_t)C, labels[first + r], (uint32_t)predicted);
        }
    }
    out->n_rows = (uint32_t)n_rows;
    out->n_classes = (uint32_t)C;
    out->cost = cost / (double)n_rows;
    out->accuracy = confusion_accuracy(out->confusion, out->n_classes);
    pass_destroy(&pass);
    return 0;
}

void evaluation_clear(evaluation_t *self)
{
    free(self->confusion);
    free(self->predictions);
    free(self->margins);
    memset(self, 0, sizeof(*self));
}

static bool s_has(const uint32_t *rows, int n, uint32_t row)
{
    for (int i = 0; i < n; i++)
        if (rows[i] == row)
            return true;
    return false;
}

void evaluate_pick(uint64_t seed, uint32_t n_rows, int n, uint32_t *rows)
{
    uint64_t index = 0;
    for (int i = 0; i < n;) {
        uint32_t bits;
        rng_fill(seed, RNG_SHOW, 0, index++, 1, &bits);
        uint32_t row = (uint32_t)((uint64_t)bits * n_rows >> 32);
        /* every row is drawn sooner or later; the bound only makes the end certain */
        if ((uint32_t)i < n_rows && index < 100000 && s_has(rows, i, row))
            continue;
        rows[i++] = row;
    }
}

int evaluate_mistakes(const evaluation_t *self, const uint8_t *labels, int n, uint32_t *rows)
{
    int n_found = 0;
    for (uint32_t r = 0; r < self->n_rows; r++) {
        if (self->predictions[r] == labels[r])
            continue;
        int at = n_found < n ? n_found++ : n;
        for (; at > 0 && self->margins[rows[at - 1]] < self->margins[r]; at--)
            if (at < n)
                rows[at] = rows[at - 1];
        if (at < n)
            rows[at] = r;
    }
    return n_found;
}

static void s_print_measures(FILE *out, const char *name, const confusion_class_t *m)
{
    (void)fprintf(out, "%8s     %.4f  %.4f  %.4f  %7u\n", name, m->precision, m->recall, m->f1,
                  m->support);
}

void evaluation_print(const evaluation_t *self, FILE *out)
{
    uint32_t C = self->n_classes;
    (void)fprintf(out, "rows %u, cost %.6g, accuracy %.4f\n\n", self->n_rows, self->cost,
                  self->accuracy);
    (void)fputs("   class  precision  recall      f1  support\n", out);
    for (uint32_t c = 0; c < C; c++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%u", c);
        confusion_class_t m = confusion_class(self->confusion, C, c);
        s_print_measures(out, name, &m);
    }
    confusion_class_t macro = confusion_macro(self->confusion, C);
    confusion_class_t weighted = confusion_weighted(self->confusion, C);
    s_print_measures(out, "macro", &macro);
    s_print_measures(out, "weighted", &weighted);
    if (C > MATRIX_WIDTH) {
        (void)fprintf(out, "\nThe confusion of %u classes is shown by --json.\n", C);
        return;
    }
    (void)fputs("\nconfusion: a row is a true class, a column what it was taken for\n     ", out);
    for (uint32_t c = 0; c < C; c++)
        (void)fprintf(out, " %6u", c);
    for (size_t t = 0; t < C; t++) {
        (void)fprintf(out, "\n%5zu", t);
        for (size_t p = 0; p < C; p++)
            (void)fprintf(out, " %6u", self->confusion[t * C + p]);
    }
    (void)fputc('\n', out);
}

/* Three members of an object, without its brackets. */
static void s_print_measures_json(FILE *out, const confusion_class_t *m)
{
    (void)fputs("\"precision\": ", out);
    json_print_number(out, m->precision);
    (void)fputs(", \"recall\": ", out);
    json_print_number(out, m->recall);
    (void)fputs(", \"f1\": ", out);
    json_print_number(out, m->f1);
}

void evaluation_print_json(const evaluation_t *self, FILE *out)
{
    uint32_t C = self->n_classes;
    (void)fprintf(out, "{\"rows\": %u, \"cost\": ", self->n_rows);
    json_print_number(out, self->cost);
    (void)fputs(", \"accuracy\": ", out);
    json_print_number(out, self->accuracy);
    (void)fputs(", \"confusion\": [", out);
    for (size_t t = 0; t < C; t++) {
        (void)fputs(t > 0 ? ", [" : "[", out);
        for (size_t p = 0; p < C; p++)
            (void)fprintf(out, "%s%u", p > 0 ? ", " : "", self->confusion[t * C + p]);
        (void)fputc(']', out);
    }
    (void)fputs("], \"classes\": [", out);
    for (uint32_t c = 0; c < C; c++) {
        confusion_class_t m = confusion_class(self->confusion, C, c);
        (void)fputs(c > 0 ? ", {" : "{", out);
        s_print_measures_json(out, &m);
        (void)fprintf(out, ", \"support\": %u}", m.support);
    }
    confusion_class_t macro = confusion_macro(self->confusion, C);
    confusion_class_t weighted = confusion_weighted(self->confusion, C);
    (void)fputs("], \"macro\": {", out);
    s_print_measures_json(out, &macro);
    (void)fputs("}, \"weighted\": {", out);
    s_print_measures_json(out, &weighted);
    (void)fputs("}}\n", out);
}

int evaluate_read_model(const char *path, checkpoint_info_t *info, float **params, err_t *err)
{
    char *file = model_file_path(path);
    int r = checkpoint_read(file, info, params, NULL, err);
    free(file);
    return r;
}
