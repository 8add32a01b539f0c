/* See output.h. */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

#define MAX_HISTORY_BYTES ((size_t)1 << 30)

typedef struct {
    char *path; /* owned */
    int fd;
} history_t;

struct output {
    history_t cost;
    history_t accuracy;
    history_t steps;
};

/* folder/name, its own folder made; owned by the caller. NULL with *err set. */
static char *s_place(const char *folder, const char *name, err_t *err)
{
    char *path = file_join(folder, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    int r = file_make_folder(path, err);
    *slash = '/';
    if (r != 0) {
        free(path);
        return NULL;
    }
    return path;
}

static int s_append(history_t *self, const char *line, err_t *err)
{
    size_t n = strlen(line);
    for (size_t done = 0; done < n;) {
        ssize_t written = write(self->fd, line + done, n - done);
        if (written < 0 && errno != EINTR)
            return err_set_errno(err, "%s: cannot write", self->path);
        if (written > 0)
            done += (size_t)written;
    }
    return 0;
}

static int s_append_number(history_t *self, double value, err_t *err)
{
    char number[32];
    char line[34];
    (void)snprintf(line, sizeof(line), "%s\n", text_python_repr(value, number));
    return s_append(self, line, err);
}

/* Is this line of metrics.jsonl an evaluation's? Only they have a validation_ or test_accuracy. */
static bool s_is_evaluation(const char *line, size_t size)
{
    return memmem(line, size, "_accuracy\"", strlen("_accuracy\"")) != NULL;
}

/* Cuts the file behind its first n lines of steps; *n_kept gets how many whole lines it then has.
 */
static int s_cut(history_t *self, int n, int *n_kept, err_t *err)
{
    char *text = NULL;
    size_t size = 0;
    *n_kept = 0;
    if (n > 0 && file_read(self->path, MAX_HISTORY_BYTES, &text, &size, err) != 0)
        return -1;
    size_t end = 0;
    while (*n_kept < n) {
        const char *newline = memchr(text + end, '\n', size - end);
        if (!newline)
            break;
        size_t begin = end;
        end = (size_t)(newline - text) + 1;
        *n_kept += !s_is_evaluation(text + begin, end - begin);
    }
    free(text);
    if (ftruncate(self->fd, (off_t)end) != 0)
        return err_set_errno(err, "%s: cannot cut to %zu bytes", self->path, end);
    return 0;
}

static int s_open(history_t *self, const char *folder, const char *name, int steps_done,
                  int *n_missing, err_t *err)
{
    int n_kept;
    self->path = s_place(folder, name, err);
    if (!self->path)
        return -1;
    self->fd = open(self->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (self->fd < 0)
        return err_set_errno(err, "%s: cannot open", self->path);
    if (s_cut(self, steps_done, &n_kept, err) != 0)
        return -1;
    *n_missing = steps_done - n_kept;
    return 0;
}

/* Steps without a line are told by a number that is none. */
static int s_fill(history_t *self, int n_missing, err_t *err)
{
    for (int i = 0; i < n_missing; i++)
        if (s_append_number(self, (double)NAN, err) != 0)
            return -1;
    return 0;
}

int output_forget(const char *folder, uint32_t from, err_t *err)
{
    static const char head[] = "{\"step\": ";
    char *text = NULL, *path = file_join(folder, OUTPUT_STEPS);
    size_t size = 0, kept = 0;
    int r = 0;
    if (from == 0 || !file_exists(path))
        goto out;
    if ((r = file_read(path, MAX_HISTORY_BYTES, &text, &size, err)) != 0)
        goto out;
    for (size_t at = 0, end; at < size; at = end) {
        const char *newline = memchr(text + at, '\n', size - at);
        end = newline ? (size_t)(newline - text) + 1 : size;
        if (newline && s_is_evaluation(text + at, end - at) &&
            strncmp(text + at, head, strlen(head)) == 0 &&
            strtoul(text + at + strlen(head), NULL, 10) >= from)
            continue;
        memmove(text + kept, text + at, end - at);
        kept += end - at;
    }
    file_part_t part = {text, kept};
    if (kept < size)
        r = file_write_atomic(path, &part, 1, err);
out:
    free(text);
    free(path);
    return r;
}

output_t *output_open(const char *folder, int steps_done, int *n_missing, err_t *err)
{
    int missing[3] = {0};
    output_t *self = calloc(1, sizeof(*self));
    if (!self) {
        err_set(err, "%s: out of memory", folder);
        return NULL;
    }
    self->cost.fd = -1;
    self->accuracy.fd = -1;
    self->steps.fd = -1;
    if (s_open(&self->cost, folder, OUTPUT_COST_HISTORY, steps_done, &missing[0], err) != 0 ||
        s_open(&self->accuracy, folder, OUTPUT_ACCURACY_HISTORY, steps_done, &missing[1], err) !=
            0 ||
        s_open(&self->steps, folder, OUTPUT_STEPS, steps_done, &missing[2], err) != 0 ||
        s_fill(&self->cost, missing[0], err) != 0 ||
        s_fill(&self->accuracy, missing[1], err) != 0) {
        output_close(&self);
        return NULL;
    }
    if (n_missing)
        *n_missing = missing[0] > missing[1] ? missing[0] : missing[1];
    return self;
}

int output_step(output_t *self, double cost, double accuracy, const char *metrics, err_t *err)
{
    if (s_append_number(&self->cost, cost, err) != 0 ||
        s_append_number(&self->accuracy, accuracy, err) != 0)
        return -1;
    return s_append(&self->steps, metrics, err);
}

int output_evaluation(output_t *self, const char *metrics, err_t *err)
{
    return s_append(&self->steps, metrics, err);
}

void output_close(output_t **self_p)
{
    output_t *self = *self_p;
    if (!self)
        return;
    history_t *histories[] = {&self->cost, &self->accuracy, &self->steps};
    for (int i = 0; i < 3; i++) {
        if (histories[i]->fd >= 0)
            close(histories[i]->fd);
        free(histories[i]->path);
    }
    free(self);
    *self_p = NULL;
}

/* Writes folder/name from an open memory stream, which it closes. */
static int s_write(const char *folder, const char *name, FILE *out, char **text, const size_t *size,
                   err_t *err)
{
    int r = -1;
    char *path = s_place(folder, name, err);
    bool failed = fclose(out) != 0;
    if (!path)
        goto out;
    if (failed) {
        err_set(err, "%s: out of memory", path);
        goto out;
    }
    file_part_t part = {*text, *size};
    r = file_write_atomic(path, &part, 1, err);
out:
    free(*text);
    free(path);
    return r;
}

int output_write_metrics(const char *folder, const confusion_class_t *classes, int n, err_t *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return err_set_errno(err, "%s/%s: cannot write", folder, OUTPUT_METRICS);
    for (int c = 0; c < n; c++) {
        char precision[32];
        char recall[32];
        char f1[32];
        (void)fprintf(out, "(%s, %s, %s)\n", text_python_repr(classes[c].precision, precision),
                      text_python_repr(classes[c].recall, recall),
                      text_python_repr(classes[c].f1, f1));
    }
    return s_write(folder, OUTPUT_METRICS, out, &text, &size, err);
}

int output_write_tests(const char *folder, const uint8_t *predictions, const uint8_t *labels, int n,
                       err_t *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return err_set_errno(err, "%s/%s: cannot write", folder, OUTPUT_TESTS);
    for (int i = 0; i < n; i++)
        (void)fprintf(out, "(%d, %d)\n", predictions[i], labels[i]);
    return s_write(folder, OUTPUT_TESTS, out, &text, &size, err);
}

int output_write_evaluation(const char *folder, const char *json, err_t *err)
{
    char *path = s_place(folder, OUTPUT_EVALUATION, err);
    if (!path)
        return -1;
    file_part_t part = {json, strlen(json)};
    int r = file_write_atomic(path, &part, 1, err);
    free(path);
    return r;
}

int output_read_history(const char *path, double **values, err_t *err)
{
    char *text;
    size_t size;
    if (file_read(path, MAX_HISTORY_BYTES, &text, &size, err) != 0)
        return -1;
    int n_lines = 0;
    for (size_t i = 0; i < size; i++)
        n_lines += text[i] == '\n';
    double *read = malloc(((size_t)n_lines + 1) * sizeof(*read));
    int r = read ? n_lines : err_set(err, "%s: out of memory", path);
    const char *line = text;
    for (int i = 0; r >= 0 && i < n_lines; i++) {
        char *end;
        size_t n = strcspn(line, "\n");
        read[i] = strtod(line, &end);
        if (n == 0 || end != line + n) {
            char word[72];
            char shown[72];
            (void)snprintf(word, sizeof(word), "%.*s", n < 70 ? (int)n : 70, line);
            r = err_set(err, "%s:%d: %s is not a number", path, i + 1, text_quote(word, shown));
        }
        line += n + 1;
    }
    free(text);
    if (r >= 0)
        *values = read;
    else
        free(read);
    return r;
}
