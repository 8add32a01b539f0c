/* See commands.h. */
#include "cli/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

bool command_begin(const args_command_t *command, int argc, char **argv, args_t *args, int *status)
{
    err_t err = {{0}};
    if (args_parse(command, argc, argv, args, &err) != 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        *status = STATUS_USAGE;
        return false;
    }
    if (args->help) {
        args_help(command, stdout);
        args_clear(args);
        *status = STATUS_OK;
        return false;
    }
    return true;
}

static bool s_is_output(const conf_override_t *override)
{
    return override->key ? strcmp(override->key, "output.path") == 0
                         : strncmp(override->text, "output.path=", strlen("output.path=")) == 0;
}

int command_settings(const args_t *args, const char *resume, settings_t *settings, err_t *err)
{
    char *left = resume ? file_join(resume, "config.yaml") : NULL;
    const char *config = args->n_words ? args->words[0] : left;
    int r = settings_load(settings, config, args->overrides, args->n_overrides, err);
    for (int i = 0; resume && i < args->n_overrides && r == 0; i++)
        if (s_is_output(&args->overrides[i]) && strcmp(settings->output.path, resume) != 0)
            r = err_set(err, "--resume %s goes on in that folder; expected no other output",
                        resume);
    if (r == 0 && resume) {
        free(settings->output.path);
        settings->output.path = strdup(resume);
    }
    if (r == 0 && !settings->data.path[0] && !settings->data.train_images[0])
        r = err_set(err, "no data: give --data DIR, or data.train_images and its like");
    free(left);
    return r;
}

int command_fail(const args_command_t *command, const err_t *err, int status)
{
    (void)fprintf(stderr, "drover %s: %s\n", command->name, err->text);
    return status;
}
