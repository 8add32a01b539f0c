/* The command line of one subcommand, described by a table.
 *
 * Options are long: `--flag value` or `--flag=value`; `--` ends them; they may stand between the
 * other words. An option may stand for a settings key (`--steps` for training.steps): its bounds,
 * default and help come from the settings table. `--help` and `-h` are always there.
 */
#ifndef DROVER_BASE_ARGS_H
#define DROVER_BASE_ARGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/conf.h"
#include "base/err.h"

#define ARGS_MAX_OPTIONS 32 /* of one command */
#define ARGS_MAX_NUMBERS 32 /* of one option */

/* "1,10,100" */
typedef struct {
    uint32_t values[ARGS_MAX_NUMBERS];
    int n;
} args_numbers_t;

/* One option. Exactly one of key, flag, integer, numbers and text is set. When an option is given
 * several times the last one counts. */
typedef struct {
    const char *name;        /* without the dashes: "workers" */
    const char *metavar;     /* "N", "DIR"; NULL when it takes no value */
    const char *help;        /* a sentence; NULL for a key option: the key's help */
    const char *key;         /* stands for this settings key */
    bool *flag;              /* set to true; takes no value */
    int *integer;            /* a whole number, min to max */
    args_numbers_t *numbers; /* up to ARGS_MAX_NUMBERS of them, each min to max, min at least 0 */
    const char **text;       /* any text, borrowed from argv */
    int min, max;
} args_option_t;

typedef struct {
    const char *name;    /* "train"; messages begin with "drover train: " */
    const char *words;   /* what else it takes, for the usage line: "[CONFIG]" */
    const char *summary; /* what it does, in a sentence or a paragraph */
    const args_option_t *options;
    int n_options;
    const conf_table_t *settings; /* takes --set and shows the keys; NULL if it has no settings */
    int min_words, max_words;     /* how many other words it takes */
} args_command_t;

typedef struct {
    conf_override_t *overrides; /* owned array: --set and key options in the order given */
    int n_overrides;
    const char **words; /* owned array of words borrowed from argv */
    int n_words;
    bool help; /* --help was given: nothing else was checked behind it */
} args_t;

/* Parses argv[1..argc). Writes the options' values and fills *args (any contents). Returns 0, or -1
 * with *err set to a line for the user and *args empty. */
int args_parse(const args_command_t *command, int argc, char **argv, args_t *args, err_t *err);
void args_clear(args_t *args);

/* Prints usage, options and settings. */
void args_help(const args_command_t *command, FILE *out);

#endif
