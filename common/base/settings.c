/* See settings.h. */
#include "base/settings.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"

void settings_init(settings_t *self)
{
    conf_init(settings_table(), self);
}

void settings_clear(settings_t *self)
{
    conf_clear(settings_table(), self);
}

/* What the file has for a value of a key of type CONF_ENUM. */
static const char *s_word(const char *key, int value)
{
    return conf_find(settings_table(), key)->choices[value];
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
                       s_word("training.optimizer", self->training.optimizer));
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
                       s_word("training.schedule.kind", self->training.schedule.kind));
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
    int r = path ? conf_load_file(settings_table(), &fresh, path, err) : 0;
    for (int i = 0; r == 0 && i < n_overrides; i++)
        r = conf_override(settings_table(), &fresh, &overrides[i], err);
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
    conf_write(settings_table(), self, out);
    int r = fclose(out);
    file_part_t part = {text, size};
    if (r != 0)
        err_set_errno(err, "%s: cannot write", path);
    else
        r = file_write_atomic(path, &part, 1, err);
    free(text);
    return r == 0 ? 0 : -1;
}
