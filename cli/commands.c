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

int command_settings(const args_t *args, const char *resume, settings_t *settings, err_t *err)
{
    char *left = resume ? file_join(resume, "config.yaml") : NULL;
    const char *config = args->n_words ? args->words[0] : left;
    int r = settings_load(settings, config, args->overrides, args->n_overrides, err);
    if (r == 0 && resume) {
        free(settings->output.path);
        settings->output.path = strdup(resume);
    }
    free(left);
    return r;
}

int command_fail(const args_command_t *command, const err_t *err, int status)
{
    (void)fprintf(stderr, "drover %s: %s\n", command->name, err->text);
    return status;
}
