/* All settings of the product as plain values, and the one table that describes them. */
#ifndef DROVER_BASE_SETTINGS_H
#define DROVER_BASE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/log.h"

#define SETTINGS_MAX_LAYERS 32

typedef enum {
    SETTINGS_NO_ACTIVATION,
    SETTINGS_TANH,
    SETTINGS_SIGMOID,
    SETTINGS_RELU,
    SETTINGS_LEAKY_RELU,
    SETTINGS_GELU,
    SETTINGS_SOFTMAX,
} settings_activation_t;

typedef enum {
    SETTINGS_SSE,
    SETTINGS_CROSS_ENTROPY,
} settings_loss_t;

typedef enum {
    SETTINGS_INIT_UNIFORM,
    SETTINGS_INIT_GLOROT,
    SETTINGS_INIT_HE,
} settings_init_t;

typedef enum {
    SETTINGS_STRICT,
    SETTINGS_FAST,
} settings_mode_t;

typedef enum {
    SETTINGS_KERNEL_AUTO,
    SETTINGS_KERNEL_DENSE,
    SETTINGS_KERNEL_SPARSE,
} settings_kernel_t;

typedef enum {
    SETTINGS_GRADIENT_DESCENT,
    SETTINGS_MOMENTUM,
    SETTINGS_NESTEROV,
    SETTINGS_ADAM,
    SETTINGS_ADAMW,
} settings_optimizer_t;

typedef enum {
    SETTINGS_BOLD_DRIVER,
    SETTINGS_CONSTANT,
    SETTINGS_STEP,
    SETTINGS_EXPONENTIAL,
    SETTINGS_COSINE,
} settings_schedule_t;

/* One of units, conv.filters and max_pool.size is above 0 and tells the kind. */
typedef struct {
    int units;
    settings_activation_t activation;
    double dropout;
    struct {
        int filters, size, stride, padding;
    } conv;
    struct {
        int size, stride; /* stride 0: the size */
    } max_pool;
} settings_layer_t;

/* Strings are owned and never NULL; "" means not given. */
typedef struct settings {
    struct {
        settings_layer_t *layers; /* owned; behind the input, the last one is the output */
        int n_layers;
        settings_init_t init;
        settings_loss_t loss;
        char *class_weights; /* "", "balanced", or a number a class */
        char *init_file;     /* goes before `init` */
    } model;
    struct {
        char *path;
        char *train_images; /* a file by role goes before the one in `path` */
        char *train_labels;
        char *test_images;
        char *test_labels;
        int train_rows;    /* 0 = all */
        double validation; /* part of them that is held out; 0 = none */
    } data;
    struct {
        int steps;
        double sample;
        int batch_rows; /* 0: by `sample` */
        int block_rows;
        uint64_t seed;
        double learning_rate;
        struct {
            double up;
            double down;
            bool rollback;
        } bold_driver;
        settings_optimizer_t optimizer;
        double momentum; /* momentum, nesterov */
        double beta1;    /* adam, adamw, as the next two */
        double beta2;
        double epsilon;
        double weight_decay; /* adamw */
        double l1;           /* 0: none, as the next three */
        double l2;
        double clip_norm;
        double ema;
        struct {
            settings_schedule_t kind;
            int warmup_steps;
            int every_steps;   /* step, exponential */
            double factor;     /* step, exponential */
            double final_rate; /* cosine */
            int steps;         /* cosine; 0 = training.steps */
        } schedule;
        struct {
            int patience; /* evaluations; 0: none */
        } early_stopping;
    } training;
    struct {
        double shift, rotation, scale, shear; /* 0: none, as of alpha */
        struct {
            double alpha, sigma;
        } elastic;
    } augmentation;
    struct {
        int every_steps; /* 0 = only at the end, on the test data */
    } evaluation;
    struct {
        int every_steps; /* 0 = only at the end */
    } checkpoint;
    struct {
        settings_mode_t mode;
        settings_kernel_t kernel;
    } numerics;
    struct {
        char *bind;
        int min_workers;
        double audit; /* part of the work that two workers do and compare */
    } server;
    struct {
        int threads;
    } worker;
    struct {
        char *path;
    } output;
    struct {
        log_level_t level;
    } log;
} settings_t;

/* The table of all keys above, for conf_* and args_*. */
const conf_table_t *settings_table(void);

/* Fills *self (any contents) with the defaults. */
void settings_init(settings_t *self);

/* Frees what *self owns and zeroes it; fine twice. */
void settings_clear(settings_t *self);

/* Sets *self, which must be initialised, to defaults < file < overrides. path may be NULL. Returns
 * 0, or -1 with *err set and *self as it was. */
int settings_load(settings_t *self, const char *path, const conf_override_t *overrides,
                  int n_overrides, err_t *err);

/* Writes all settings to a file as commented YAML, atomically. Returns 0 or -1. */
int settings_write(const settings_t *self, const char *path, err_t *err);

#endif
