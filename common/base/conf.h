/* Settings from one table.
 *
 * A table describes the fields of a plain struct: dotted key, type, where the value lies, its
 * default, its bounds and a line of help. The table drives the reading of YAML files, `--set
 * key=value`, --help and the printing of the effective configuration, so that these never differ.
 *
 * YAML is a tree of sections (`training:` / `  steps: 100`); a key may also be written dotted.
 * Aliases, several documents and duplicate keys are refused. Errors are one line that begins with
 * file:line or with the option.
 */
#ifndef DROVER_BASE_CONF_H
#define DROVER_BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

#define CONF_MAX_KEYS       96                   /* of one table */
#define CONF_MAX_FILE_BYTES ((size_t)256 * 1024) /* of one YAML file */

typedef enum {
    CONF_INT,    /* int, min to max */
    CONF_U64,    /* uint64_t, the whole range */
    CONF_REAL,   /* double, min to max, finite */
    CONF_BOOL,   /* bool */
    CONF_STRING, /* char *, owned, never NULL, valid UTF-8 */
    CONF_ENUM,   /* int or an enum of its size: the index of the choice */
    CONF_LIST,   /* pointer to a malloc'ed array of structs, owned; 1 to max items */
    CONF_SPACE, /* conf_space_t, owned: values to try for keys of the table `items`; from files only
                 */
} conf_type_t;

typedef struct conf_table conf_table_t;

typedef struct {
    const char *key; /* dotted, such as "training.steps" */
    conf_type_t type;
    size_t offset;       /* of the value in the struct */
    const char *initial; /* the default as YAML; NULL in a list's table: the key must be given */
    double min, max;     /* CONF_INT and CONF_REAL; max of CONF_LIST: the most items */
    bool above_min;      /* min itself is out of range */
    bool below_max;      /* max itself is out of range */
    const char *const *choices; /* CONF_ENUM; ends with NULL */
    const conf_table_t *items;  /* CONF_LIST: the table of one item; CONF_SPACE: of the keys */
    size_t count_offset;        /* CONF_LIST: of the int that holds the number of items */
    const char *unit;           /* "rows", "steps"; may be NULL */
    const char *help;           /* a sentence, without the bounds and the default */
} conf_key_t;

struct conf_table {
    const conf_key_t *keys;
    int n_keys;
    size_t size; /* of the struct */
};

/* What a key may be in a search: one of some values, or any number of a range. */
typedef struct {
    const conf_key_t *key; /* borrowed from its table */
    int line;              /* of the file */
    char **values;         /* (n_values) owned; each as conf_override takes it for the key */
    int n_values;          /* 0: a range */
    double min, max;       /* each a value of the key */
    bool log_scale;        /* uniform in the logarithm; min is above 0 */
} conf_dimension_t;

typedef struct {
    conf_dimension_t *dimensions; /* owned, in the file's order */
    int n_dimensions;
} conf_space_t;

/* A value from the command line. All strings borrowed. */
typedef struct {
    const char *option; /* "set", or the option that stands for a key: "steps"; no dashes */
    const char *key;    /* of an option; NULL for --set */
    const char *text;   /* of --set: key=value, the value being YAML; else the value itself */
} conf_override_t;

/* Fills *target (table->size bytes, any contents) with the defaults. */
void conf_init(const conf_table_t *table, void *target);

/* Frees what the values own and zeroes *target. */
void conf_clear(const conf_table_t *table, void *target);

/* Reads YAML over what *target holds already. `name` stands for the file in messages. Returns 0,
 * or -1 with *err set; *target may then hold some of the new values and is still to be cleared. */
int conf_load_text(const conf_table_t *table, void *target, const char *name, const char *text,
                   size_t size, err_t *err);
int conf_load_file(const conf_table_t *table, void *target, const char *path, err_t *err);

/* Applies one value from the command line; as conf_load_text. */
int conf_override(const conf_table_t *table, void *target, const conf_override_t *override,
                  err_t *err);

/* Writes every key with its value and help as commented YAML that loads back to equal values. */
void conf_write(const conf_table_t *table, const void *target, FILE *out);

/* Writes the keys with help, bounds and defaults for --help. */
void conf_help(const conf_table_t *table, FILE *out);

/* "Its help (1 to 65536 rows; default 512)", cut to `size`. Returns `out`. */
char *conf_describe(const conf_key_t *key, char *out, size_t size);

/* The descriptor of a key; NULL if there is none. */
const conf_key_t *conf_find(const conf_table_t *table, const char *key);

/* The key that was probably meant: nearest as a whole, else one with the same last word. NULL if
 * none is near. */
const char *conf_nearest(const conf_table_t *table, const char *key);

#endif
