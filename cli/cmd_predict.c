/* drover predict: classifies single images. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "cli/commands.h"
#include "cli/evaluate.h"
#include "cli/json.h"
#include "data/dataset.h"
#include "data/image.h"
#include "math/loss.h"
#include "math/pass.h"

/* What the command was asked for and what it needs for each image. */
typedef struct {
    model_t model;
    float *params; /* owned */
    pass_t *pass;  /* owned, for one row */
    bool json;
    bool invert;
    int index;   /* -1 = all images of a file */
    int n_shown; /* images printed so far */
    FILE *out;
} predict_t;

/* Pictures are told by how they begin; everything else is for the data set's reader, as is a pipe,
 * since what it begins with would be gone. */
static int s_is_picture(const char *path, bool *is_picture, err_t *err)
{
    unsigned char head[4] = {0};
    struct stat st;
    *is_picture = false;
    if (stat(path, &st) == 0 && S_ISFIFO(st.st_mode))
        return 0;
    FILE *in = fopen(path, "rb");
    if (!in)
        return err_set_errno(err, "%s: cannot open", path);
    size_t n = fread(head, 1, sizeof(head), in);
    bool failed = ferror(in) != 0;
    if (failed)
        err_set_errno(err, "%s: cannot read", path);
    (void)fclose(in);
    *is_picture = (n == 4 && memcmp(head, "\x89PNG", 4) == 0) ||
                  (n >= 2 && head[0] == 'P' && (head[1] == '2' || head[1] == '5'));
    return failed ? -1 : 0;
}

/* "784 (28 x 28)" for a network that square images fit. */
static void s_inputs(const model_t *model, char *text, size_t size)
{
    unsigned side = (unsigned)lround(sqrt(model->n_inputs));
    if (side * side == model->n_inputs)
        (void)snprintf(text, size, "%u (%u x %u)", model->n_inputs, side, side);
    else
        (void)snprintf(text, size, "%u", model->n_inputs);
}

/* Classifies one image of as many bytes as the network has inputs (which it may invert in place).
 * row < 0: the file has no other. */
static void s_image(predict_t *self, const char *path, long row, uint8_t *image)
{
    size_t D = self->model.n_inputs;
    size_t C = model_classes(&self->model);
    for (size_t i = 0; self->invert && i < D; i++)
        image[i] = (uint8_t)(255 - image[i]);
    pass_set_bytes(self->pass, image, 1);
    const float *y = pass_forward(self->pass, self->params, 1);
    size_t predicted = loss_argmax(y, C);
    if (self->json) {
        (void)fputs(self->n_shown > 0 ? ",\n {\"file\": " : "{\"file\": ", self->out);
        json_print_string(self->out, path);
        if (row >= 0)
            (void)fprintf(self->out, ", \"index\": %ld", row);
        (void)fprintf(self->out, ", \"class\": %zu, \"scores\": [", predicted);
        for (size_t c = 0; c < C; c++) {
            (void)fputs(c > 0 ? ", " : "", self->out);
            json_print_number(self->out, (double)y[c]);
        }
        (void)fputs("]}", self->out);
    } else {
        (void)fputs(path, self->out);
        if (row >= 0)
            (void)fprintf(self->out, "[%ld]", row);
        (void)fprintf(self->out, ": %zu  (", predicted);
        for (size_t c = 0; c < C; c++)
            (void)fprintf(self->out, "%s%zu: %.3f", c > 0 ? ", " : "", c, (double)y[c]);
        (void)fputs(")\n", self->out);
    }
    self->n_shown++;
}

static int s_picture(predict_t *self, const char *path, err_t *err)
{
    uint8_t *pixels;
    size_t width, height;
    char inputs[64];
    if (self->index >= 0)
        return err_set(err, "%s: a picture has no --index; expected an IDX or CSV file", path);
    if (image_read(path, &pixels, &width, &height, err) != 0)
        return -1;
    s_inputs(&self->model, inputs, sizeof(inputs));
    int r = 0;
    if (width * height != self->model.n_inputs)
        r = err_set(err, "%s: %zu x %zu pixels; expected %s, the network's inputs", path, width,
                    height, inputs);
    else
        s_image(self, path, -1, pixels);
    free(pixels);
    return r;
}

static int s_images(predict_t *self, const char *path, err_t *err)
{
    int r = -1;
    uint8_t *images = NULL;
    size_t n_rows, n_inputs;
    char inputs[64];
    size_t wanted = self->index >= 0 ? (size_t)self->index + 1 : 0;
    if (dataset_load_images(path, wanted, &images, &n_rows, &n_inputs, err) != 0)
        return -1;
    s_inputs(&self->model, inputs, sizeof(inputs));
    if (n_inputs != self->model.n_inputs) {
        err_set(err, "%s: images of %zu bytes; expected %s, the network's inputs", path, n_inputs,
                inputs);
        goto out;
    }
    if (wanted > n_rows) {
        err_set(err, "%s: no image %d; expected an index from 0 to %zu", path, self->index,
                n_rows - 1);
        goto out;
    }
    for (size_t row = wanted > 0 ? wanted - 1 : 0; row < n_rows; row++)
        s_image(self, path, (long)row, images + row * n_inputs);
    r = 0;
out:
    free(images);
    return r;
}

/* All files into self->out; 0 or -1. */
static int s_predict(predict_t *self, const char *const *paths, int n_paths, err_t *err)
{
    (void)fputs(self->json ? "[" : "", self->out);
    for (int i = 0; i < n_paths; i++) {
        bool is_picture = false;
        if (s_is_picture(paths[i], &is_picture, err) != 0)
            return -1;
        int r = is_picture ? s_picture(self, paths[i], err) : s_images(self, paths[i], err);
        if (r != 0)
            return -1;
    }
    (void)fputs(self->json ? "]\n" : "", self->out);
    return 0;
}

int cmd_predict(int argc, char **argv)
{
    predict_t self = {.index = -1};
    const args_option_t options[] = {
        {.name = "index",
         .metavar = "I",
         .help = "Only image I of an IDX or CSV file, counted from 0",
         .integer = &self.index,
         .min = 0,
         .max = 2147483646},
        {.name = "invert",
         .help = "For black on white: the network learned white on black",
         .flag = &self.invert},
        {.name = "json", .help = "Print a JSON array", .flag = &self.json},
    };
    const args_command_t command = {
        .name = "predict",
        .words = "MODEL IMAGE...",
        .summary =
            "Classifies images with the network in MODEL, a model.safetensors or the output "
            "folder\n"
            "of a run, and prints the class of each with the scores of all classes. IMAGE is a PNG "
            "or\nPGM picture, or a file of images, IDX or CSV, plain or .gz.",
        .options = options,
        .n_options = ARRAY_COUNT(options),
        .min_words = 2,
        .max_words = argc,
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    checkpoint_info_t info;
    char *text = NULL;
    size_t size;
    status = STATUS_FAILURE;
    self.out = open_memstream(&text, &size); /* nothing is printed unless all of it is */
    if (!self.out) {
        err_set_errno(&err, "cannot print");
        goto out;
    }
    if (evaluate_read_model(args.words[0], &info, &self.params, &err) != 0)
        goto out;
    self.model = info.model;
    self.pass = pass_new(&self.model, KERNEL_SPARSE, 1);
    if (s_predict(&self, args.words + 1, args.n_words - 1, &err) == 0)
        status = STATUS_OK;
out:
    if (self.out)
        (void)fclose(self.out);
    if (status == STATUS_OK)
        (void)fputs(text, stdout);
    free(text);
    pass_destroy(&self.pass);
    free(self.params);
    return command_end(&command, &args, status, &err);
}
