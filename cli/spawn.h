/* This program, started again with other words. */
#ifndef DROVER_CLI_SPAWN_H
#define DROVER_CLI_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/* Where this program's file is. Returns 0, or -1 with *err. */
int spawn_program(char *path, size_t size, err_t *err);

/* Starts it with these words, which end with NULL, beginning with its name. The child dies with
 * this process, and leaves Ctrl-C to it. `output`: where it prints, standard error too; -1: where
 * this process does. Returns its id, or -1 with errno. */
pid_t spawn(const char *program, const char *const *words, int output);

#endif
