/* drover evaluate: cost, accuracy and confusion of a model on a data set. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/file.h"
#include "cli/commands.h"
#include "cli/evaluate.h"
#include "cli/plot.h"
#include "cli/shown.h"
#include "data/dataset.h"

/* The data set that the words behind MODEL name; NULL with *err set. */
static dataset_t *s_load(const char *const *words, int n_words, bool train, err_t *err)
{
    if (!file_is_folder(words[0]))
        return dataset_load(words[0], n_words > 1 ? words[1] : NULL, 0, err);
    if (n_words > 1) {
        err_set(err, "%s is a folder and has its own labels; expected no '%s' behind it", words[0],
                words[1]);
        return NULL;
    }
    data_files_t files;
    if (data_files_find(words[0], &files, err) != 0)
        return NULL;
    dataset_t *dataset = train ? dataset_load(files.train_images, files.train_labels, 0, err)
                               : dataset_load(files.test_images, files.test_labels, 0, err);
    data_files_clear(&files);
    return dataset;
}

/* The picture of the most confident mistakes. */
static int s_draw(const char *picture, const dataset_t *dataset, const evaluation_t *evaluation,
                  err_t *err)
{
    shown_t shown;
    plot_digits_t digits;
    if (shown_mistakes(&shown, dataset, evaluation, err) != 0)
        return -1;
    int r =
        shown_digits(&shown, &digits)
            ? plot_mistakes_picture(picture, &digits, evaluation->n_wrong, evaluation->n_rows, err)
            : err_set(err,
                      "%s: images of %zu bytes are no square pictures, expected 28 x 28 "
                      "or the like",
                      picture, shown.n_inputs);
    shown_clear(&shown);
    return r;
}

int cmd_evaluate(int argc, char **argv)
{
    bool json = false;
    bool train = false;
    const char *mistakes = NULL;
    const args_option_t options[] = {
        {.name = "train",
         .help = "Use the folder's training set, not its test set",
         .flag = &train},
        {.name = "json", .help = "Print one JSON object", .flag = &json},
        {.name = "mistakes",
         .metavar = "FILE",
         .help = "Draw a picture, PNG, of the rows that were taken most confidently for another "
                 "class, with their numbers",
         .text = &mistakes},
    };
    const args_command_t command = {
        .name = "evaluate",
        .words = "MODEL DATA | MODEL IMAGES LABELS",
        .summary = "Runs the network in MODEL, a model.safetensors or the output folder of a run, "
                   "over a\ndata set and prints cost, accuracy, precision, recall and F1 of each "
                   "class and\ntheir averages, and the confusion matrix. DATA is a folder, whose "
                   "test set is used, or\na CSV with the label first; IMAGES and LABELS are files, "
                   "IDX or CSV, plain or .gz.",
        .options = options,
        .n_options = ARRAY_COUNT(options),
        .min_words = 2,
        .max_words = 3,
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    checkpoint_info_t info;
    float *params = NULL;
    dataset_t *dataset = NULL;
    evaluation_t evaluation = {0};
    status = STATUS_FAILURE;
    if (evaluate_read_model(args.words[0], &info, &params, &err) != 0 ||
        !(dataset = s_load(args.words + 1, args.n_words - 1, train, &err)))
        goto out;
    if (evaluate(&info.model, params, dataset, &evaluation, &err) != 0) {
        err_prefix(&err, "%s", args.words[1]);
        goto out;
    }
    if (mistakes && s_draw(mistakes, dataset, &evaluation, &err) != 0)
        goto out;
    if (json)
        evaluation_print_json(&evaluation, stdout);
    else
        evaluation_print(&evaluation, stdout);
    status = STATUS_OK;
out:
    evaluation_clear(&evaluation);
    dataset_destroy(&dataset);
    free(params);
    return command_end(&command, &args, status, &err);
}
