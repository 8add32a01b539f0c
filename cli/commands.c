/* See commands.h. */
#include "cli/commands.h"

#include <stdio.h>

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

int command_fail(const args_command_t *command, const err_t *err, int status)
{
    (void)fprintf(stderr, "drover %s: %s\n", command->name, err->text);
    return status;
}
