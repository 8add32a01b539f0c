/* See plot.h. The colours are Okabe and Ito's, which people with any colour vision can tell
 * apart. */
#include "cli/plot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "math/confusion.h"

#define BLUE           "#0072B2"
#define VERMILION      "#D55E00"
#define INK            "#333333"
#define DIGITS_COLUMNS 5

/* A script that is being written. */
typedef struct {
    FILE *out;
    char *text;
    size_t size;
} script_t;

/* Terminal and colours of all pictures. */
static void s_prepare(FILE *out)
{
    (void)fputs("set encoding utf8\n"
                "set terminal pngcairo size 900,600 font 'DejaVu Sans,12' background '#FFFFFF'\n"
                "set border linecolor rgb '" INK "'\n"
                "set tics textcolor rgb '" INK "'\n"
                "set xlabel textcolor rgb '" INK "'\n"
                "set ylabel textcolor rgb '" INK "'\n"
                "set title font ',15' textcolor rgb '" INK "'\n",
                out);
}

static int s_begin(script_t *self, const char *folder, const char *name, err_t *err)
{
    *self = (script_t){0};
    self->out = open_memstream(&self->text, &self->size);
    if (!self->out)
        return err_set_errno(err, "%s/plots/%s.gp: cannot write", folder, name);
    (void)fprintf(
        self->out,
        "# %s.png of a drover run. Draw it again with `drover plot` on its folder, or with\n"
        "#   gnuplot %s.gp > %s.png\n",
        name, name, name);
    s_prepare(self->out);
    return 0;
}

/* Closes the script and puts it in its place. */
static int s_end(script_t *self, const char *folder, const char *name, err_t *err)
{
    int r = -1;
    char *path = NULL;
    char *plots = file_join(folder, "plots");
    bool failed = fclose(self->out) != 0;
    if (file_make_folder(plots, err) != 0)
        goto out;
    if (asprintf(&path, "%s/%s.gp", plots, name) < 0 || failed) {
        err_set(err, "%s/%s.gp: out of memory", plots, name);
        goto out;
    }
    file_part_t part = {self->text, self->size};
    r = file_write_atomic(path, &part, 1, err);
out:
    free(path);
    free(plots);
    free(self->text);
    return r;
}

/* What the two histories differ in. */
typedef struct {
    const char *name;
    const char *settings; /* titles and the vertical axis */
    int scale;            /* the values are drawn times this */
    const char *label;    /* how the last value is written beside its end */
} curve_t;

static int s_curve(const char *folder, const curve_t *curve, const double *values, int n,
                   err_t *err)
{
    script_t script;
    char text[32];
    double last = (double)NAN;
    for (int i = 0; i < n; i++)
        if (isfinite(values[i]))
            last = values[i] * curve->scale;
    if (!isfinite(last))
        return err_set(err, "%s: nothing to plot in %s, no step has a value", folder, curve->name);
    if (s_begin(&script, folder, curve->name, err) != 0)
        return -1;
    FILE *out = script.out;
    (void)fputs("$data << END\n", out);
    for (int i = 0; i < n; i++)
        (void)fprintf(out, "%d %s\n", i + 1, text_python_repr(values[i], text));
    (void)fprintf(out,
                  "END\n"
                  "%s"
                  "set border 3 linecolor rgb '#888888'\n"
                  "set tics nomirror out scale 0.6\n"
                  "set grid linecolor rgb '#DDDDDD' linetype 1 linewidth 1\n"
                  "set key off\n"
                  "set xlabel 'step'\n"
                  "set xrange [%d:%d]\n"
                  "set xtics %s\n"
                  "set rmargin 10\n"
                  "set datafile missing 'nan'\n"
                  "last = %s\n"
                  "set label sprintf('%s', last) at graph 1.01, first last left "
                  "textcolor rgb '" BLUE "'\n"
                  "plot $data using 1:(%d*$2) with lines linewidth 2.5 linecolor rgb '" BLUE "'",
                  curve->settings, n > 1 ? 1 : 0, n > 1 ? n : 2, n <= 12 ? "1" : "add (1)",
                  text_python_repr(last, text), curve->label, curve->scale);
    if (n <= 30) /* few enough to see each */
        (void)fprintf(out,
                      ", \\\n     $data using 1:(%d*$2) with points pointtype 7 pointsize 0.9 "
                      "linecolor rgb '" BLUE "'",
                      curve->scale);
    (void)fputc('\n', out);
    return s_end(&script, folder, curve->name, err);
}

int plot_cost_history(const char *folder, const double *costs, int n, err_t *err)
{
    static const curve_t curve = {"cost_history",
                                  "set title 'Cost of the batch by step'\n"
                                  "set ylabel 'cost'\n"
                                  "set yrange [0:*]\n",
                                  1, "%.4g"};
    return s_curve(folder, &curve, costs, n, err);
}

int plot_accuracy_history(const char *folder, const double *accuracies, int n, err_t *err)
{
    static const curve_t curve = {"accuracy_history",
                                  "set title 'Accuracy on the batch by step'\n"
                                  "set ylabel 'accuracy'\n"
                                  "set yrange [0:100]\n"
                                  "set ytics 10 format '%g %%'\n",
                                  100, "%.1f %%"};
    return s_curve(folder, &curve, accuracies, n, err);
}

int plot_confusion(const char *folder, const uint32_t *counts, int n_classes, err_t *err)
{
    script_t script;
    if (s_begin(&script, folder, "confusion", err) != 0)
        return -1;
    FILE *out = script.out;
    size_t C = (size_t)n_classes;
    uint32_t most = 0;
    (void)fputs("# truth, prediction, count, part of the class's rows\n$data << END\n", out);
    for (size_t t = 0; t < C; t++) {
        uint32_t support = confusion_class(counts, (uint32_t)C, (uint32_t)t).support;
        for (size_t p = 0; p < C; p++) {
            uint32_t count = counts[t * C + p];
            most = count > most ? count : most;
            (void)fprintf(out, "%zu %zu %u %.4f\n", t, p, count,
                          support > 0 ? (double)count / support : 0.0);
        }
        (void)fputc('\n', out);
    }
    (void)fprintf(
        out,
        "END\n"
        "set title 'Confusion: accuracy %.1f %% of the test set'\n"
        "set xlabel 'predicted class'\n"
        "set ylabel 'true class'\n"
        "set xrange [-0.5:%zu.5]\n"
        "set yrange [%zu.5:-0.5]\n"
        "set tics out nomirror scale 0\n"
        "set xtics 0,%d\n"
        "set ytics 0,%d\n"
        "set key off\n"
        "set cbrange [0:1]\n"
        "set cblabel 'part of the true class' textcolor rgb '" INK "'\n"
        "set mxtics 2\nset mytics 2\n"
        "set grid noxtics noytics mxtics mytics front linecolor rgb '#E4E4E4' linetype 1\n"
        "set cbtics 0.25 format '%%.2f'\n"
        "set palette defined (0 '#FFFFFF', 0.15 '#D3E6F3', 0.5 '#5BA3CF', 1 '#08456E')\n"
        "plot $data using 2:1:4 with image pixels",
        100 * confusion_accuracy(counts, (uint32_t)C), C - 1, C - 1, (int)(C / 25 + 1),
        (int)(C / 25 + 1));
    if (C <= 20) /* in more cells no number can be read */
        (void)fprintf(out,
                      ", \\\n  $data using 2:1:($4 < 0.5 ? sprintf('%%d', $3) : '') with labels "
                      "font ',%d' textcolor rgb '" INK "', \\\n  $data using 2:1:($4 < 0.5 ? '' : "
                      "sprintf('%%d', $3)) with labels font ',%d' textcolor rgb '#FFFFFF'",
                      C <= 12 ? 11 : 8, C <= 12 ? 11 : 8);
    (void)fputc('\n', out);
    return s_end(&script, folder, "confusion", err);
}

/* The images in a grid under a title. */
static void s_digits(FILE *out, const plot_digits_t *digits, bool with_rows, const char *title)
{
    size_t height = digits->height, width = digits->width;
    int shown = digits->n < PLOT_DIGITS ? digits->n : PLOT_DIGITS;
    for (int i = 0; i < shown; i++) {
        (void)fprintf(out, "$image%d << END\n", i);
        const uint8_t *image = digits->images + (size_t)i * height * width;
        for (size_t y = 0; y < height; y++)
            for (size_t x = 0; x < width; x++)
                (void)fprintf(out, "%u%c", image[y * width + x], x + 1 < width ? ' ' : '\n');
        (void)fputs("END\n", out);
    }
    int n_rows = (shown + DIGITS_COLUMNS - 1) / DIGITS_COLUMNS;
    (void)fprintf(out,
                  "unset key\nunset tics\nunset colorbox\n"
                  "set palette gray negative\n"
                  "set cbrange [0:255]\n"
                  "set size ratio -1\n"
                  "set xrange [-0.5:%zu.5]\nset yrange [%zu.5:-0.5]\n"
                  "set multiplot layout %d,%d title '%s' "
                  "font ',15' textcolor rgb '" INK "' "
                  "margins 0.0389,0.9611,0.0300,0.8667 spacing 0.0389,0.0733\n",
                  width - 1, height - 1, n_rows > 0 ? n_rows : 1, DIGITS_COLUMNS, title);
    for (int i = 0; i < shown; i++) {
        char row[32] = "";
        bool right = digits->predictions[i] == digits->labels[i];
        const char *colour = right ? BLUE : VERMILION;
        if (with_rows)
            (void)snprintf(row, sizeof(row), "%u: ", digits->rows[i]);
        (void)fprintf(out,
                      "set border 15 linewidth %d linecolor rgb '%s'\n"
                      "set title '%spredicted %d, is %d' font ',%d%s' textcolor rgb '%s'"
                      " offset 0,-0.6\n"
                      "plot $image%d matrix with image\n",
                      right ? 1 : 3, right ? "#BBBBBB" : colour, row, digits->predictions[i],
                      digits->labels[i], with_rows ? 10 : 12, right ? "" : ":Bold", colour, i);
    }
    if (shown == 0) /* a page with nothing but its title */
        (void)fputs("unset border\nplot NaN notitle\n", out);
    (void)fputs("unset multiplot\n", out);
}

int plot_digits(const char *folder, const plot_digits_t *digits, err_t *err)
{
    script_t script;
    char title[64];
    int shown = digits->n < PLOT_DIGITS ? digits->n : PLOT_DIGITS;
    int correct = 0;
    for (int i = 0; i < shown; i++)
        correct += digits->predictions[i] == digits->labels[i];
    (void)snprintf(title, sizeof(title), "Sampled test rows: %d of %d right", correct, shown);
    if (s_begin(&script, folder, "digits", err) != 0)
        return -1;
    s_digits(script.out, digits, false, title);
    return s_end(&script, folder, "digits", err);
}

static void s_mistakes(FILE *out, const plot_digits_t *digits, uint32_t n_wrong, uint32_t n_rows)
{
    char title[96];
    (void)snprintf(title, sizeof(title), "Most confident mistakes, by row: %u of %u rows are wrong",
                   n_wrong, n_rows);
    s_digits(out, digits, true, title);
}

int plot_mistakes(const char *folder, const plot_digits_t *digits, uint32_t n_wrong,
                  uint32_t n_rows, err_t *err)
{
    script_t script;
    if (s_begin(&script, folder, "mistakes", err) != 0)
        return -1;
    s_mistakes(script.out, digits, n_wrong, n_rows);
    return s_end(&script, folder, "mistakes", err);
}

/* Runs gnuplot on the script, the file of that path or, when it is "-", what stands in `input`.
 * Returns its exit status, or -1 with errno set when it could not start. */
static int s_gnuplot(const char *script, int input, int picture, int messages)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (input >= 0)
        posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    else
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, picture, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, messages, STDERR_FILENO);
    char name[] = "gnuplot";
    char no_rc[] = "-d"; /* the user's own .gnuplot would change the pictures */
    char *path = strdup(script);
    char *argv[] = {name, no_rc, path, NULL};
    pid_t pid;
    int status;
    int r = posix_spawnp(&pid, name, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    free(path);
    if (r != 0) {
        errno = r;
        return -1;
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The line of gnuplot's messages that says what is wrong: `"x.gp" line 3: undefined variable`. */
static void s_complaint(int messages, char *out, size_t size)
{
    char text[4096];
    ssize_t n = pread(messages, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    (void)snprintf(out, size, "no message");
    for (char *line = text; line;) {
        char *next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        const char *at = strstr(line, " line ");
        if (at) {
            (void)snprintf(out, size, "%s", at + 1);
            return;
        }
        line = next;
    }
}

/* Draws one script, as s_gnuplot takes it; `name` is it in errors. The old picture stays when that
 * fails. */
static int s_render(const char *script, int input, const char *name, const char *picture,
                    err_t *err)
{
    int r = -1;
    int status;
    char complaint[300];
    int picture_fd = -1;
    int messages_fd = memfd_create("messages", MFD_CLOEXEC);
    bool stream;
    char *temporary = NULL;
    char *target = file_target(picture, &stream);
    if (asprintf(&temporary, "%s%s", target, stream ? "" : ".partial") < 0)
        abort();
    picture_fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (picture_fd < 0 || messages_fd < 0) {
        err_set_errno(err, "%s: cannot create", temporary);
        goto out;
    }
    status = s_gnuplot(script, input, picture_fd, messages_fd);
    if (status < 0 && errno == ENOENT) {
        err_set(err, "%s: cannot draw it, there is no program 'gnuplot' (Debian: gnuplot-nox)",
                name);
    } else if (status < 0) {
        err_set_errno(err, "%s: cannot run gnuplot", name);
    } else if (status != 0) {
        s_complaint(messages_fd, complaint, sizeof(complaint));
        err_set(err, "%s: gnuplot failed with status %d: %s", name, status, complaint);
    } else if (!stream && rename(temporary, target) != 0) {
        err_set_errno(err, "%s: cannot write", picture);
    } else {
        r = 0;
    }
out:
    if (r != 0 && picture_fd >= 0 && !stream)
        unlink(temporary);
    if (picture_fd >= 0)
        close(picture_fd);
    if (messages_fd >= 0)
        close(messages_fd);
    free(temporary);
    free(target);
    return r;
}

int plot_mistakes_picture(const char *picture, const plot_digits_t *digits, uint32_t n_wrong,
                          uint32_t n_rows, err_t *err)
{
    int r = -1;
    int script = memfd_create("script", MFD_CLOEXEC);
    FILE *out = script >= 0 ? fdopen(script, "w") : NULL;
    if (!out) {
        err_set_errno(err, "%s: cannot write its script", picture);
        if (script >= 0)
            close(script);
        return -1;
    }
    s_prepare(out);
    s_mistakes(out, digits, n_wrong, n_rows);
    if (fflush(out) != 0 || lseek(script, 0, SEEK_SET) != 0)
        err_set_errno(err, "%s: cannot write its script", picture);
    else
        r = s_render("-", script, picture, picture, err);
    (void)fclose(out);
    return r;
}

static int s_is_script(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return n > 3 && entry->d_name[0] != '.' && strcmp(entry->d_name + n - 3, ".gp") == 0;
}

int plot_render(const char *folder, err_t *err)
{
    int n_drawn = 0;
    char *plots = file_join(folder, "plots");
    struct dirent **entries = NULL;
    int n_entries = scandir(plots, &entries, s_is_script, alphasort);
    if (n_entries < 0 && errno != ENOENT)
        n_drawn = err_set_errno(err, "%s: cannot list the scripts", plots);
    for (int i = 0; i < n_entries; i++) {
        char *script = file_join(plots, entries[i]->d_name);
        char *picture = NULL;
        if (asprintf(&picture, "%s/%.*s.png", folder, (int)strlen(entries[i]->d_name) - 3,
                     entries[i]->d_name) < 0)
            abort();
        if (n_drawn >= 0)
            n_drawn = s_render(script, -1, script, picture, err) == 0 ? n_drawn + 1 : -1;
        free(picture);
        free(script);
        free(entries[i]);
    }
    free(entries);
    free(plots);
    return n_drawn;
}
