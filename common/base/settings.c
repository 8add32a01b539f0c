/* See settings.h. */
#include "base/settings.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"

/* conf stores the index of a choice as an int. */
_Static_assert(sizeof(settings_activation_t) == sizeof(int), "enums are ints");
_Static_assert(sizeof(log_level_t) == sizeof(int), "enums are ints");

#define AT(field)       offsetof(settings_t, field)
#define LAYER_AT(field) offsetof(settings_layer_t, field)

static const char *const s_activations[] = {"none",       "tanh", "sigmoid", "relu",
                                            "leaky_relu", "gelu", "softmax", NULL};
static const char *const s_inits[] = {"uniform", "glorot", "he", NULL};
static const char *const s_losses[] = {"sse", "cross_entropy", NULL};
static const char *const s_optimizers[] = {
    "gradient_descent", "momentum", "nesterov", "adam", "adamw", NULL};
static const char *const s_schedules[] = {"bold_driver", "constant", "step",
                                          "exponential", "cosine",   NULL};
static const char *const s_modes[] = {"strict", "fast", NULL};
static const char *const s_kernels[] = {"auto", "dense", "sparse", NULL};
static const char *const s_levels[] = {"debug", "info", "warn", "error", NULL};

static const conf_key_t s_layer_keys[] = {
    {.key = "units",
     .type = CONF_INT,
     .offset = LAYER_AT(units),
     .min = 0,
     .max = 65536,
     .initial = "0",
     .help = "Units of a dense layer"},
    {.key = "activation",
     .type = CONF_ENUM,
     .offset = LAYER_AT(activation),
     .choices = s_activations,
     .initial = "none",
     .help = "Activation function; a pool has none"},
    {.key = "dropout",
     .type = CONF_REAL,
     .offset = LAYER_AT(dropout),
     .min = 0,
     .max = 1,
     .below_max = true,
     .initial = "0",
     .help = "Part of the outputs that each step drops"},
    {.key = "conv.filters",
     .type = CONF_INT,
     .offset = LAYER_AT(conv.filters),
     .min = 0,
     .max = 65536,
     .initial = "0",
     .help = "Filters of a convolution"},
    {.key = "conv.size",
     .type = CONF_INT,
     .offset = LAYER_AT(conv.size),
     .min = 1,
     .max = 255,
     .initial = "3",
     .help = "Height and width of a filter"},
    {.key = "conv.stride",
     .type = CONF_INT,
     .offset = LAYER_AT(conv.stride),
     .min = 1,
     .max = 255,
     .initial = "1",
     .help = "How far the filter moves"},
    {.key = "conv.padding",
     .type = CONF_INT,
     .offset = LAYER_AT(conv.padding),
     .min = 0,
     .max = 254,
     .initial = "0",
     .help = "Zeros around the image"},
    {.key = "max_pool.size",
     .type = CONF_INT,
     .offset = LAYER_AT(max_pool.size),
     .min = 0,
     .max = 255,
     .initial = "0",
     .help = "Height and width of what a maximum is taken of"},
    {.key = "max_pool.stride",
     .type = CONF_INT,
     .offset = LAYER_AT(max_pool.stride),
     .min = 0,
     .max = 255,
     .initial = "0",
     .help = "How far it moves; 0: by its size"},
};

static const conf_table_t s_layer_table = {
    s_layer_keys, sizeof(s_layer_keys) / sizeof(s_layer_keys[0]), sizeof(settings_layer_t)};

static const conf_key_t s_keys[] = {
    {.key = "model.layers",
     .type = CONF_LIST,
     .offset = AT(model.layers),
     .count_offset = AT(model.n_layers),
     .items = &s_layer_table,
     .max = SETTINGS_MAX_LAYERS,
     .initial = "[{units: 64, activation: tanh}, {units: 10, activation: sigmoid}]",
     .help =
         "Layers behind the input, the last one being the output with a unit a class: {units, "
         "activation, dropout}, {conv: {filters, size, stride, padding}, activation, dropout} or "
         "{max_pool: {size, stride}}; activation: tanh, sigmoid, relu, leaky_relu, gelu or "
         "softmax"},
    {.key = "model.init",
     .type = CONF_ENUM,
     .offset = AT(model.init),
     .choices = s_inits,
     .initial = "uniform",
     .help = "How parameters start: uniform draws all from [-0.5, 0.5); glorot and he draw weights "
             "from a range that fits the layer, biases are 0"},
    {.key = "model.loss",
     .type = CONF_ENUM,
     .offset = AT(model.loss),
     .choices = s_losses,
     .initial = "sse",
     .help = "What is minimised: half the sum of squared errors, or cross-entropy behind softmax"},
    {.key = "model.class_weights",
     .type = CONF_STRING,
     .offset = AT(model.class_weights),
     .initial = "",
     .help = "What a row of each class counts in the loss: numbers with commas between them, or "
             "balanced: rare classes count as much as others in all; empty = 1 each"},
    {.key = "model.init_file",
     .type = CONF_STRING,
     .offset = AT(model.init_file),
     .initial = "",
     .help = "Weights to begin with: safetensors or .npz with the network's names and shapes, or "
             "the output folder of a run; goes before model.init"},

    {.key = "data.path",
     .type = CONF_STRING,
     .offset = AT(data.path),
     .initial = "",
     .help = "Folder with the four MNIST-named files, plain or .gz"},
    {.key = "data.train_images",
     .type = CONF_STRING,
     .offset = AT(data.train_images),
     .initial = "",
     .help = "File of training images, IDX or CSV; goes before data.path"},
    {.key = "data.train_labels",
     .type = CONF_STRING,
     .offset = AT(data.train_labels),
     .initial = "",
     .help = "File of training labels; goes before data.path"},
    {.key = "data.test_images",
     .type = CONF_STRING,
     .offset = AT(data.test_images),
     .initial = "",
     .help = "File of test images; goes before data.path"},
    {.key = "data.test_labels",
     .type = CONF_STRING,
     .offset = AT(data.test_labels),
     .initial = "",
     .help = "File of test labels; goes before data.path"},
    {.key = "data.train_rows",
     .type = CONF_INT,
     .offset = AT(data.train_rows),
     .min = 0,
     .max = 2147483647,
     .unit = "rows",
     .initial = "0",
     .help = "Train on the first rows only; 0 = all"},
    {.key = "data.validation",
     .type = CONF_REAL,
     .offset = AT(data.validation),
     .min = 0,
     .max = 1,
     .below_max = true,
     .initial = "0",
     .help = "Part of the training rows of each class that is held out for validation; 0 = none"},

    {.key = "training.steps",
     .type = CONF_INT,
     .offset = AT(training.steps),
     .min = 1,
     .max = 1000000000,
     .unit = "steps",
     .initial = "100",
     .help = "How many steps to train; a step is one update of the weights"},
    {.key = "training.sample",
     .type = CONF_REAL,
     .offset = AT(training.sample),
     .min = 0,
     .above_min = true,
     .max = 1,
     .initial = "0.7",
     .help = "Probability with which a step takes each row, without replacement"},
    {.key = "training.batch_rows",
     .type = CONF_INT,
     .offset = AT(training.batch_rows),
     .min = 0,
     .max = INT_MAX,
     .unit = "rows",
     .initial = "0",
     .help = "Rows of a step, taken in turn from a new permutation of all rows for each epoch; 0: "
             "training.sample of them"},
    {.key = "training.block_rows",
     .type = CONF_INT,
     .offset = AT(training.block_rows),
     .min = 1,
     .max = 65536,
     .unit = "rows",
     .initial = "512",
     .help = "Rows of a block, the unit of work and of the canonical sum; another value gives "
             "other bits"},
    {.key = "training.seed",
     .type = CONF_U64,
     .offset = AT(training.seed),
     .initial = "7",
     .help = "Seed of the starting weights and of the samples"},
    {.key = "training.learning_rate",
     .type = CONF_REAL,
     .offset = AT(training.learning_rate),
     .min = 0,
     .above_min = true,
     .max = 1e6,
     .initial = "0.1",
     .help = "Learning rate that the bold driver or the schedule begins with"},
    {.key = "training.bold_driver.up",
     .type = CONF_REAL,
     .offset = AT(training.bold_driver.up),
     .min = 1,
     .max = 1000,
     .initial = "1.05",
     .help = "Factor on the learning rate when the cost fell; 1 keeps it"},
    {.key = "training.bold_driver.down",
     .type = CONF_REAL,
     .offset = AT(training.bold_driver.down),
     .min = 0,
     .above_min = true,
     .max = 1,
     .below_max = true,
     .initial = "0.5",
     .help = "Factor on the learning rate when the cost did not fall"},
    {.key = "training.bold_driver.rollback",
     .type = CONF_BOOL,
     .offset = AT(training.bold_driver.rollback),
     .initial = "false",
     .help = "Undo a step that raised the cost before the next try"},
    {.key = "training.optimizer",
     .type = CONF_ENUM,
     .offset = AT(training.optimizer),
     .choices = s_optimizers,
     .initial = "gradient_descent",
     .help = "How a gradient becomes the next weights; all but gradient_descent need a "
             "training.schedule.kind other than bold_driver"},
    {.key = "training.momentum",
     .type = CONF_REAL,
     .offset = AT(training.momentum),
     .min = 0,
     .max = 1,
     .below_max = true,
     .initial = "0.9",
     .help = "Part of the earlier gradients that momentum and nesterov keep in each step"},
    {.key = "training.beta1",
     .type = CONF_REAL,
     .offset = AT(training.beta1),
     .min = 0,
     .max = 1,
     .below_max = true,
     .initial = "0.9",
     .help = "Decay of the mean of gradients of adam and adamw"},
    {.key = "training.beta2",
     .type = CONF_REAL,
     .offset = AT(training.beta2),
     .min = 0,
     .max = 1,
     .below_max = true,
     .initial = "0.999",
     .help = "Decay of the mean of squared gradients of adam and adamw"},
    {.key = "training.epsilon",
     .type = CONF_REAL,
     .offset = AT(training.epsilon),
     .min = 1e-30,
     .max = 1,
     .initial = "1e-08",
     .help = "What adam and adamw add to the root of that mean before they divide by it"},
    {.key = "training.weight_decay",
     .type = CONF_REAL,
     .offset = AT(training.weight_decay),
     .min = 0,
     .max = 1e6,
     .initial = "0.01",
     .help = "Part of all parameters, times the learning rate, that adamw takes off in each step"},
    {.key = "training.l1",
     .type = CONF_REAL,
     .offset = AT(training.l1),
     .min = 0,
     .max = 1e6,
     .initial = "0",
     .help = "Penalty on the sum of the weights' magnitudes, biases left out; a part of the cost"},
    {.key = "training.l2",
     .type = CONF_REAL,
     .offset = AT(training.l2),
     .min = 0,
     .max = 1e6,
     .initial = "0",
     .help = "Penalty on half the sum of the weights' squares, biases left out; a part of the "
             "cost"},
    {.key = "training.clip_norm",
     .type = CONF_REAL,
     .offset = AT(training.clip_norm),
     .min = 0,
     .max = 1e30,
     .initial = "0",
     .help = "Scale gradients down to this Euclidean norm; 0 = never"},
    {.key = "training.ema",
     .type = CONF_REAL,
     .offset = AT(training.ema),
     .min = 0,
     .max = 1,
     .below_max = true,
     .initial = "0",
     .help = "Decay of an average of the weights, which is then the model that a run leaves; 0 = "
             "none"},
    {.key = "training.schedule.kind",
     .type = CONF_ENUM,
     .offset = AT(training.schedule.kind),
     .choices = s_schedules,
     .initial = "bold_driver",
     .help = "How the learning rate changes: by the cost (bold_driver) or by the step"},
    {.key = "training.schedule.warmup_steps",
     .type = CONF_INT,
     .offset = AT(training.schedule.warmup_steps),
     .min = 0,
     .max = 1000000000,
     .unit = "steps",
     .initial = "0",
     .help = "First steps, in which the learning rate rises linearly to training.learning_rate"},
    {.key = "training.schedule.every_steps",
     .type = CONF_INT,
     .offset = AT(training.schedule.every_steps),
     .min = 1,
     .max = 1000000000,
     .unit = "steps",
     .initial = "30",
     .help = "Steps in which step and exponential multiply the learning rate by the factor once"},
    {.key = "training.schedule.factor",
     .type = CONF_REAL,
     .offset = AT(training.schedule.factor),
     .min = 0,
     .above_min = true,
     .max = 1,
     .initial = "0.1",
     .help = "Factor on the learning rate: of step all at once, of exponential smoothly"},
    {.key = "training.schedule.final_rate",
     .type = CONF_REAL,
     .offset = AT(training.schedule.final_rate),
     .min = 0,
     .max = 1e6,
     .initial = "0",
     .help = "Learning rate that cosine ends with"},
    {.key = "training.schedule.steps",
     .type = CONF_INT,
     .offset = AT(training.schedule.steps),
     .min = 0,
     .max = 1000000000,
     .unit = "steps",
     .initial = "0",
     .help = "Steps until cosine has ended, those of the warm-up counted; 0 = training.steps"},

    {.key = "training.early_stopping.patience",
     .type = CONF_INT,
     .offset = AT(training.early_stopping.patience),
     .min = 0,
     .max = 1000000000,
     .unit = "evaluations",
     .initial = "0",
     .help = "Stop after so many evaluations without a lower validation cost, and leave the model "
             "of the lowest; 0 = train all steps and leave the last"},

    {.key = "augmentation.shift",
     .type = CONF_REAL,
     .offset = AT(augmentation.shift),
     .min = 0,
     .max = 256,
     .unit = "pixels",
     .initial = "0",
     .help = "Shift each image of a step at random, either way along both axes, by at most this"},
    {.key = "augmentation.rotation",
     .type = CONF_REAL,
     .offset = AT(augmentation.rotation),
     .min = 0,
     .max = 180,
     .unit = "degrees",
     .initial = "0",
     .help = "Turn each image of a step at random, either way, by at most this"},
    {.key = "augmentation.scale",
     .type = CONF_REAL,
     .offset = AT(augmentation.scale),
     .min = 0,
     .max = 0.9,
     .initial = "0",
     .help =
         "Scale height and width of each image of a step by random factors, 1 - this to 1 + this"},
    {.key = "augmentation.shear",
     .type = CONF_REAL,
     .offset = AT(augmentation.shear),
     .min = 0,
     .max = 2,
     .initial = "0",
     .help = "Slant each image of a step at random, either way, by at most this: pixels sideways a "
             "pixel downwards"},
    {.key = "augmentation.elastic.alpha",
     .type = CONF_REAL,
     .offset = AT(augmentation.elastic.alpha),
     .min = 0,
     .max = 10000,
     .initial = "0",
     .help = "Bend each image of a step by smoothed random fields, times this; 0 = not at all"},
    {.key = "augmentation.elastic.sigma",
     .type = CONF_REAL,
     .offset = AT(augmentation.elastic.sigma),
     .min = 0.5,
     .max = 32,
     .unit = "pixels",
     .initial = "4",
     .help = "Deviation of the Gaussian that smooths these fields"},

    {.key = "evaluation.every_steps",
     .type = CONF_INT,
     .offset = AT(evaluation.every_steps),
     .min = 0,
     .max = 1000000000,
     .unit = "steps",
     .initial = "0",
     .help = "Have the workers evaluate the model on validation and test data after every so many "
             "steps, while the training goes on; 0 = never"},

    {.key = "checkpoint.every_steps",
     .type = CONF_INT,
     .offset = AT(checkpoint.every_steps),
     .min = 0,
     .max = 1000000000,
     .unit = "steps",
     .initial = "10",
     .help = "Write a checkpoint every so many steps; 0 = only at the end"},

    {.key = "numerics.mode",
     .type = CONF_ENUM,
     .offset = AT(numerics.mode),
     .choices = s_modes,
     .initial = "strict",
     .help = "strict refuses workers whose kernel would give other bits; fast takes them"},
    {.key = "numerics.kernel",
     .type = CONF_ENUM,
     .offset = AT(numerics.kernel),
     .choices = s_kernels,
     .initial = "auto",
     .help = "Compute path of the gradients: dense is OpenBLAS, sparse our own products, which "
             "leave out zeros and have the same bits on every CPU; auto takes what is faster for "
             "the data"},

    {.key = "server.bind",
     .type = CONF_STRING,
     .offset = AT(server.bind),
     .initial = "auto",
     .help = "Control endpoint of the server, the other planes take the three ports behind it; "
             "auto is a private ipc socket for drover train and tcp://127.0.0.1:5570 for drover "
             "server"},
    {.key = "server.min_workers",
     .type = CONF_INT,
     .offset = AT(server.min_workers),
     .min = 1,
     .max = 100000,
     .unit = "workers",
     .initial = "1",
     .help = "Wait for so many workers before the first step"},
    {.key = "server.audit",
     .type = CONF_REAL,
     .offset = AT(server.audit),
     .min = 0,
     .max = 1,
     .initial = "0",
     .help = "Part of the work that two workers do each, whose results are compared bit by bit; "
             "0 = none"},

    {.key = "worker.threads",
     .type = CONF_INT,
     .offset = AT(worker.threads),
     .min = 0,
     .max = 1024,
     .unit = "threads",
     .initial = "0",
     .help = "Compute threads of each local worker; 0 = the CPUs of this machine, shared out among "
             "them"},

    {.key = "output.path",
     .type = CONF_STRING,
     .offset = AT(output.path),
     .initial = "",
     .help = "Folder for the output of the run; empty = a new one below runs/"},

    {.key = "log.level",
     .type = CONF_ENUM,
     .offset = AT(log.level),
     .choices = s_levels,
     .initial = "info",
     .help = "Least severe log lines to show"},
};

static const conf_table_t s_table = {s_keys, sizeof(s_keys) / sizeof(s_keys[0]),
                                     sizeof(settings_t)};

const conf_table_t *settings_table(void)
{
    return &s_table;
}

void settings_init(settings_t *self)
{
    conf_init(&s_table, self);
}

void settings_clear(settings_t *self)
{
    conf_clear(&s_table, self);
}

/* Settings that are fine one by one, but not together. */
static int s_check(const settings_t *self, err_t *err)
{
    bool bold = self->training.schedule.kind == SETTINGS_BOLD_DRIVER;
    bool rollback = self->training.bold_driver.rollback;
    int warmup = self->training.schedule.warmup_steps;
    int steps =
        self->training.schedule.steps ? self->training.schedule.steps : self->training.steps;
    if (self->training.early_stopping.patience > 0 &&
        (self->data.validation == 0 || self->evaluation.every_steps == 0))
        return err_set(err,
                       "training.early_stopping.patience is %d, and %s is 0; expected it above 0, "
                       "for the validation cost that early stopping goes by",
                       self->training.early_stopping.patience,
                       self->data.validation == 0 ? "data.validation" : "evaluation.every_steps");
    if (self->server.audit > 0 && self->numerics.mode != SETTINGS_STRICT)
        return err_set(
            err,
            "server.audit is %g and numerics.mode is fast, in which workers may differ in "
            "their bits; expected strict for an audit",
            self->server.audit);
    if (bold && self->training.optimizer != SETTINGS_GRADIENT_DESCENT)
        return err_set(err,
                       "training.optimizer is %s and training.schedule.kind is bold_driver, which "
                       "goes with gradient_descent only; expected constant, step, exponential or "
                       "cosine",
                       s_optimizers[self->training.optimizer]);
    if (bold && warmup > 0)
        return err_set(err,
                       "training.schedule.warmup_steps is %d and training.schedule.kind is "
                       "bold_driver, which has no schedule beside it; expected constant, step, "
                       "exponential or cosine",
                       warmup);
    if (!bold && rollback)
        return err_set(err,
                       "training.bold_driver.rollback is true and training.schedule.kind is %s; "
                       "expected bold_driver, which undoes steps",
                       s_schedules[self->training.schedule.kind]);
    if (rollback && self->training.ema > 0)
        return err_set(err,
                       "training.ema is %g and training.bold_driver.rollback is true, so that "
                       "steps are undone which the average has in it; expected one of the two",
                       self->training.ema);
    if (self->training.schedule.kind == SETTINGS_COSINE && warmup >= steps)
        return err_set(err,
                       "training.schedule.warmup_steps is %d and cosine ends at step %d "
                       "(training.schedule.steps, or training.steps); expected a warm-up that is "
                       "shorter",
                       warmup, steps);
    return 0;
}

int settings_load(settings_t *self, const char *path, const conf_override_t *overrides,
                  int n_overrides, err_t *err)
{
    settings_t fresh;
    settings_init(&fresh);
    int r = path ? conf_load_file(&s_table, &fresh, path, err) : 0;
    for (int i = 0; r == 0 && i < n_overrides; i++)
        r = conf_override(&s_table, &fresh, &overrides[i], err);
    if (r == 0)
        r = s_check(&fresh, err);
    if (r != 0) {
        settings_clear(&fresh);
        return -1;
    }
    settings_clear(self);
    *self = fresh;
    return 0;
}

int settings_write(const settings_t *self, const char *path, err_t *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return err_set_errno(err, "%s: cannot write", path);
    (void)fprintf(out, "# Settings of drover " DROVER_VERSION ", defaults filled in.\n\n");
    conf_write(&s_table, self, out);
    int r = fclose(out);
    file_part_t part = {text, size};
    if (r != 0)
        err_set_errno(err, "%s: cannot write", path);
    else
        r = file_write_atomic(path, &part, 1, err);
    free(text);
    return r == 0 ? 0 : -1;
}
