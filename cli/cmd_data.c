/* drover data: fetch MNIST, draw digits, describe a data set, turn one into text. */
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "data/csv_write.h"
#include "data/dataset.h"
#include "data/fetch.h"
#include "data/synth.h"

/* ${XDG_CACHE_HOME:-$HOME/.cache}/drover/mnist, the caller's; NULL with *err set. */
static char *s_cache_folder(err_t *err)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    if (cache && cache[0])
        return file_join(cache, "drover/mnist");
    if (home && home[0])
        return file_join(home, ".cache/drover/mnist");
    err_set(err, "neither XDG_CACHE_HOME nor HOME is set, expected --to DIR");
    return NULL;
}

/* Lines on stderr; on a terminal also a line of progress. */
static void s_on_fetch(void *context, fetch_event_t event, const char *name, const char *text,
                       int64_t n_bytes, int64_t n_total)
{
    bool terminal = *(const bool *)context;
    const char *begin = terminal ? "\r\033[K" : "";
    switch (event) {
    case FETCH_KEPT:
        (void)fprintf(stderr, "%s: is there already\n", name);
        break;
    case FETCH_LOADING:
        if (terminal && n_total > 0)
            (void)fprintf(stderr, "%s%s: %.1f of %.1f MB", begin, name, (double)n_bytes / 1e6,
                          (double)n_total / 1e6);
        else if (terminal)
            (void)fprintf(stderr, "%s%s: %.1f MB", begin, name, (double)n_bytes / 1e6);
        break;
    case FETCH_DONE:
        (void)fprintf(stderr, "%s%s: %.1f MB from %s\n", begin, name, (double)n_bytes / 1e6, text);
        break;
    case FETCH_FAILED:
        (void)fprintf(stderr, "%s%s: %s; trying the next mirror\n", begin, name, text);
        break;
    }
}

static int s_fetch(int argc, char **argv)
{
    const char *to = NULL;
    const char *mirror = NULL;
    const args_option_t options[] = {
        {.name = "to",
         .metavar = "DIR",
         .help = "The folder to put the files in, instead of the cache",
         .text = &to},
        {.name = "mirror",
         .metavar = "URL",
         .help = "Fetch from here (https, http, file) and not from the public mirrors",
         .text = &mirror},
    };
    const args_command_t command = {
        .name = "data fetch",
        .words = "[DIR]",
        .summary = "Downloads MNIST's four files into DIR, or into "
                   "${XDG_CACHE_HOME:-~/.cache}/drover/mnist, and\nchecks the sha256 of each. "
                   "Files that are there and right are kept. Prints the folder.",
        .options = options,
        .n_options = ARRAY_COUNT(options),
        .max_words = 1,
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    bool terminal = isatty(STDERR_FILENO) == 1;
    char *folder = NULL;
    char shown[72];
    status = STATUS_USAGE;
    if (to && args.n_words > 0) {
        err_set(&err, "both %s and --to %s, expected one folder", args.words[0], to);
        goto out;
    }
    if (mirror && !strstr(mirror, "://")) {
        err_set(&err, "--mirror: %s, expected a URL such as https://host/folder or file:///folder",
                text_quote(mirror, shown));
        goto out;
    }
    status = STATUS_FAILURE;
    to = args.n_words > 0 ? args.words[0] : to;
    folder = to ? strdup(to) : s_cache_folder(&err);
    if (!folder || fetch_mnist(folder, mirror, s_on_fetch, &terminal, &err) != 0)
        goto out;
    (void)printf("%s\n", folder);
    status = STATUS_OK;
out:
    free(folder);
    return command_end(&command, &args, status, &err);
}

static int s_synth(int argc, char **argv)
{
    int n_train_rows = 60000;
    int n_test_rows = 10000;
    int seed = 1;
    const int most = 10000000;
    const args_option_t options[] = {
        {.name = "train-rows",
         .metavar = "N",
         .help = "Rows of the training set (default 60000)",
         .integer = &n_train_rows,
         .min = 1,
         .max = most},
        {.name = "test-rows",
         .metavar = "N",
         .help = "Rows of the test set (default 10000)",
         .integer = &n_test_rows,
         .min = 1,
         .max = most},
        {.name = "seed",
         .metavar = "S",
         .help = "Another seed draws other digits (default 1)",
         .integer = &seed,
         .min = 0,
         .max = INT_MAX},
    };
    const args_command_t command = {
        .name = "data synth",
        .words = "DIR",
        .summary = "Draws digits, 28 x 28 bytes as in MNIST, and writes the four MNIST-named IDX "
                   "files into DIR.\nThe same seed gives the same files on every machine.",
        .options = options,
        .n_options = ARRAY_COUNT(options),
        .min_words = 1,
        .max_words = 1,
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    if (synth_write_folder(args.words[0], (size_t)n_train_rows, (size_t)n_test_rows, (uint64_t)seed,
                           &err) != 0)
        status = STATUS_FAILURE;
    else {
        (void)printf("%d training and %d test rows of drawn digits in %s\n", n_train_rows,
                     n_test_rows, args.words[0]);
        status = STATUS_OK;
    }
    return command_end(&command, &args, status, &err);
}

/* What `info` tells of one data set. */
typedef struct {
    const char *name;   /* "train", "test" or "data" */
    const char *images; /* the file, borrowed */
    dataset_t *dataset; /* owned */
    size_t counts[256]; /* rows by label */
} info_t;

static int s_info_load(info_t *info, const char *name, const char *images, const char *labels,
                       err_t *err)
{
    *info = (info_t){.name = name, .images = images};
    info->dataset = dataset_load(images, labels, 0, err);
    if (!info->dataset)
        return -1;
    for (size_t i = 0; i < dataset_rows(info->dataset); i++)
        info->counts[dataset_labels(info->dataset)[i]]++;
    return 0;
}

static void s_info_print(const info_t *info)
{
    (void)printf("%s: %s\n", info->name, info->images);
    (void)printf("  rows     %zu\n", dataset_rows(info->dataset));
    (void)printf("  inputs   %zu\n", dataset_inputs(info->dataset));
    (void)printf("  classes  %zu\n", dataset_classes(info->dataset));
    (void)printf("  density  %.4f of the bytes are not 0\n", dataset_density(info->dataset));
    (void)printf("  digest   %s\n", dataset_digest(info->dataset));
    (void)printf("  labels  ");
    for (size_t i = 0; i < dataset_classes(info->dataset); i++)
        (void)printf(" %zu:%zu", i, info->counts[i]);
    (void)printf("\n");
}

static void s_info_print_json(const info_t *info)
{
    (void)printf("\"%s\": {\"images\": ", info->name);
    json_print_string(stdout, info->images);
    (void)printf(", \"rows\": %zu, \"inputs\": %zu, \"classes\": %zu, \"density\": ",
                 dataset_rows(info->dataset), dataset_inputs(info->dataset),
                 dataset_classes(info->dataset));
    json_print_number(stdout, dataset_density(info->dataset));
    (void)printf(", \"digest\": \"%s\", \"histogram\": [", dataset_digest(info->dataset));
    for (size_t i = 0; i < dataset_classes(info->dataset); i++)
        (void)printf("%s%zu", i > 0 ? ", " : "", info->counts[i]);
    (void)printf("]}");
}

static int s_info(int argc, char **argv)
{
    bool json = false;
    const args_option_t options[] = {
        {.name = "json", .help = "Print one JSON object", .flag = &json},
    };
    const args_command_t command = {
        .name = "data info",
        .words = "DATA [LABELS]",
        .summary = "Prints rows, inputs, classes, the count of each label, the density of non-zero "
                   "bytes and the\ndigest. DATA is a folder with a training and a test set, or a "
                   "file of images, IDX or CSV,\nwith its LABELS, or a CSV with the label first.",
        .options = options,
        .n_options = ARRAY_COUNT(options),
        .min_words = 1,
        .max_words = 2,
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    data_files_t files = {0};
    info_t infos[2] = {0};
    int n_infos = 1;
    const char *data = args.words[0];
    const char *labels = args.n_words > 1 ? args.words[1] : NULL;
    int r;
    if (!file_is_folder(data)) {
        r = s_info_load(&infos[0], "data", data, labels, &err);
    } else if (labels) {
        r = err_set(&err, "%s is a folder and has its own labels; expected no '%s' behind it", data,
                    labels);
    } else {
        n_infos = 2;
        r = data_files_find(data, &files, &err);
        if (r == 0)
            r = s_info_load(&infos[0], "train", files.train_images, files.train_labels, &err);
        if (r == 0)
            r = s_info_load(&infos[1], "test", files.test_images, files.test_labels, &err);
    }
    for (int i = 0; r == 0 && i < n_infos; i++) {
        if (json) {
            (void)fputs(i == 0 ? "{" : ", ", stdout);
            s_info_print_json(&infos[i]);
            (void)fputs(i + 1 == n_infos ? "}\n" : "", stdout);
        } else {
            s_info_print(&infos[i]);
        }
    }
    for (int i = 0; i < 2; i++)
        dataset_destroy(&infos[i].dataset);
    data_files_clear(&files);
    return command_end(&command, &args, r == 0 ? STATUS_OK : STATUS_FAILURE, &err);
}

/* Writes one set as two text files. */
static int s_write_csv(const dataset_t *set, size_t n_columns, const char *folder,
                       const char *images_name, const char *labels_name, err_t *err)
{
    char *images = file_join(folder, images_name);
    char *labels = file_join(folder, labels_name);
    int r =
        csv_write_images(images, dataset_images(set), dataset_rows(set), dataset_inputs(set), err);
    if (r == 0)
        r = csv_write_labels(labels, dataset_labels(set), dataset_rows(set), n_columns, err);
    free(labels);
    free(images);
    return r;
}

static int s_to_csv(int argc, char **argv)
{
    const args_command_t command = {
        .name = "data to-csv",
        .words = "DATA OUT",
        .summary = "Writes the training and the test set of the folder DATA as text into the "
                   "folder OUT:\ntrain_images.csv and test_images.csv, an image a line, numbers "
                   "separated by spaces;\ntrain_labels.csv and test_labels.csv, one-hot.",
        .min_words = 2,
        .max_words = 2,
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    data_files_t files = {0};
    dataset_t *train = NULL;
    dataset_t *test = NULL;
    const char *out = args.words[1];
    status = STATUS_FAILURE;
    if (data_files_find(args.words[0], &files, &err) != 0 ||
        !(train = dataset_load(files.train_images, files.train_labels, 0, &err)) ||
        !(test = dataset_load(files.test_images, files.test_labels, 0, &err)) ||
        file_make_folder(out, &err) != 0)
        goto out;
    size_t n_columns = dataset_classes(train);
    if (n_columns < dataset_classes(test))
        n_columns = dataset_classes(test);
    if (n_columns < 2)
        n_columns = 2;
    if (s_write_csv(train, n_columns, out, "train_images.csv", "train_labels.csv", &err) != 0 ||
        s_write_csv(test, n_columns, out, "test_images.csv", "test_labels.csv", &err) != 0)
        goto out;
    (void)printf("%zu training and %zu test rows as text in %s\n", dataset_rows(train),
                 dataset_rows(test), out);
    status = STATUS_OK;
out:
    dataset_destroy(&train);
    dataset_destroy(&test);
    data_files_clear(&files);
    return command_end(&command, &args, status, &err);
}

int cmd_data(int argc, char **argv)
{
    static const command_entry_t entries[] = {
        {"fetch", "download MNIST from its public mirrors", s_fetch},
        {"synth", "draw digits, for a machine without data or network", s_synth},
        {"info", "rows, labels, density and digest of a data set", s_info},
        {"to-csv", "write a data set as text", s_to_csv},
    };
    static const command_table_t table = {"drover data", "", entries, ARRAY_COUNT(entries)};
    return command_table_run(&table, argc, argv);
}
