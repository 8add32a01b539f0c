/* See run_result.h. */
#include "cli/run_result.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/evaluate.h"
#include "cli/output.h"
#include "cli/plot.h"
#include "cli/shown.h"
#include "math/confusion.h"
#include "parameter_server/model_file.h"

static int s_write_tables(const run_result_t *self, const evaluation_t *evaluation, err_t *err)
{
    int r = -1;
    char *json = NULL;
    size_t size;
    confusion_class_t classes[EVALUATE_MAX_CLASSES];
    for (uint32_t c = 0; c < evaluation->n_classes; c++)
        classes[c] = confusion_class(evaluation->confusion, evaluation->n_classes, c);
    FILE *out = open_memstream(&json, &size);
    if (!out)
        return err_set(err, "out of memory");
    evaluation_print_json(evaluation, out);
    (void)fclose(out);
    if (output_write_metrics(self->folder, classes, (int)evaluation->n_classes, err) == 0 &&
        output_write_evaluation(self->folder, json, err) == 0)
        r = 0;
    free(json);
    return r;
}

/* The sampled test rows: the origin's (prediction, label) lines and the picture of digits. */
static int s_write_samples(const run_result_t *self, const evaluation_t *evaluation, err_t *err)
{
    uint32_t rows[PLOT_DIGITS];
    shown_t shown;
    plot_digits_t digits;
    evaluate_pick(self->seed, evaluation->n_rows, PLOT_DIGITS, rows);
    if (shown_rows(&shown, self->test, evaluation, rows, PLOT_DIGITS, err) != 0)
        return -1;
    int r = output_write_tests(self->folder, shown.predictions, shown.labels, shown.n, err);
    if (r == 0 && shown_digits(&shown, &digits)) /* other data are no square pictures */
        r = plot_digits(self->folder, &digits, err);
    shown_clear(&shown);
    return r;
}

static int s_write_mistakes(const run_result_t *self, const evaluation_t *evaluation, err_t *err)
{
    shown_t shown;
    plot_digits_t digits;
    if (shown_mistakes(&shown, self->test, evaluation, err) != 0)
        return -1;
    int r = shown_digits(&shown, &digits)
                ? plot_mistakes(self->folder, &digits, evaluation->n_wrong, evaluation->n_rows, err)
                : 0;
    shown_clear(&shown);
    return r;
}

static int s_evaluate(const run_result_t *self, evaluation_t *evaluation, err_t *err)
{
    if (evaluate(self->model, self->params, self->test, evaluation, err) != 0)
        return -1;
    if (s_write_tables(self, evaluation, err) != 0 || s_write_samples(self, evaluation, err) != 0 ||
        s_write_mistakes(self, evaluation, err) != 0 ||
        plot_confusion(self->folder, evaluation->confusion, (int)evaluation->n_classes, err) != 0)
        return -1;
    return 0;
}

static void s_summary(const run_result_t *self, const evaluation_t *evaluation,
                      const evaluation_t *validation)
{
    static const char *const files[] = {
        MODEL_FILE_NAME, "metrics.jsonl", "cost_history.png", "accuracy_history.png",
        "confusion.png", "digits.png",    "mistakes.png",
    };
    const server_record_t *last = self->last;
    char shape[256];
    model_describe(self->model, shape, sizeof(shape));
    (void)printf("\n  network         %s\n  kernel          %s\n  steps           %u\n", shape,
                 last->kernel, last->step);
    (void)printf("  batch cost      %.5f\n  batch accuracy  %.4f\n", last->cost, last->accuracy);
    if (self->best_step > 0)
        (void)printf("  model of step   %u, of the lowest validation cost\n", self->best_step);
    if (self->validation)
        (void)printf("  validation cost %.5f\n  its accuracy    %.4f\n", validation->cost,
                     validation->accuracy);
    if (self->test)
        (void)printf("  test cost       %.5f\n  test accuracy   %.4f\n", evaluation->cost,
                     evaluation->accuracy);
    if (self->step_ms > 0)
        (void)printf("  median step     %.1f ms (%.0f rows/s)\n  training        %.2f s\n\n",
                     self->step_ms, (double)last->rows / self->step_ms * 1000.0,
                     (double)(clock_ms() - self->opened_ms) / 1000.0);
    else
        (void)printf("  nothing was left to do: the run had ended with step %u\n\n", last->step);
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        char *path = file_join(self->folder, files[i]);
        if (file_exists(path))
            (void)printf("  %s\n", path);
        free(path);
    }
}

int run_result_write(const run_result_t *self, run_outcome_t *outcome, err_t *err)
{
    int r = -1;
    evaluation_t evaluation = {0}, validation = {0};
    if (self->validation &&
        evaluate(self->model, self->params, self->validation, &validation, err) != 0)
        goto out;
    if (self->test && s_evaluate(self, &evaluation, err) != 0)
        goto out;
    err_t failed;
    if (plot_cost_history(self->folder, self->costs, (int)self->n_steps, &failed) != 0 ||
        plot_accuracy_history(self->folder, self->accuracies, (int)self->n_steps, &failed) != 0 ||
        (!self->quiet && plot_render(self->folder, &failed) < 0))
        log_error("plot.failed", "%s", failed.text); /* the model is there all the same */
    double none = (double)NAN;
    *outcome = (run_outcome_t){
        .cost = self->last->cost,
        .accuracy = self->last->accuracy,
        .validation_cost = self->validation ? validation.cost : none,
        .validation_accuracy = self->validation ? validation.accuracy : none,
        .test_cost = self->test ? evaluation.cost : none,
        .test_accuracy = self->test ? evaluation.accuracy : none,
    };
    if (!self->quiet)
        s_summary(self, &evaluation, &validation);
    r = 0;
out:
    evaluation_clear(&evaluation);
    evaluation_clear(&validation);
    return r;
}
