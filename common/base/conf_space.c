/* See conf_space.h. */
#include "base/conf_space.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/conf_value.h"
#include "base/text.h"

#define MOST_DEPTH 16 /* of a value in lists and mappings */

/* A range as the file has it. */
typedef struct {
    double min, max;
    int scale; /* 1: logarithmic */
} range_t;

static const char *const s_scales[] = {"linear", "log", NULL};
static const conf_key_t s_range_keys[] = {
    {.key = "min",
     .type = CONF_REAL,
     .offset = offsetof(range_t, min),
     .min = -1e300,
     .max = 1e300},
    {.key = "max",
     .type = CONF_REAL,
     .offset = offsetof(range_t, max),
     .min = -1e300,
     .max = 1e300},
    {.key = "scale",
     .type = CONF_ENUM,
     .offset = offsetof(range_t, scale),
     .choices = s_scales,
     .initial = "linear"},
};
static const conf_table_t s_range_table = {s_range_keys, ARRAY_COUNT(s_range_keys),
                                           sizeof(range_t)};

/* Prints a node as YAML on one line. */
static int s_print(conf_walk_t *walk, yaml_node_t *node, int depth, FILE *out)
{
    if (conf_walk_reach(walk, node) != 0)
        return -1;
    if (depth == MOST_DEPTH)
        return conf_walk_fail(walk, node, "lists in lists, deeper than any value has them");
    if (node->type == YAML_SCALAR_NODE) {
        const char *text = (const char *)node->data.scalar.value;
        bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        if (!plain)
            (void)fputc('"', out);
        for (size_t i = 0; i < node->data.scalar.length; i++)
            (void)fprintf(out, !plain && strchr("\"\\", text[i]) ? "\\%c" : "%c", text[i]);
        if (!plain)
            (void)fputc('"', out);
        return 0;
    }
    bool list = node->type == YAML_SEQUENCE_NODE;
    const yaml_node_item_t *items = node->data.sequence.items.start;
    const yaml_node_pair_t *pairs = node->data.mapping.pairs.start;
    long n = list ? node->data.sequence.items.top - items : node->data.mapping.pairs.top - pairs;
    int r = 0;
    (void)fputc(list ? '[' : '{', out);
    for (long i = 0; i < n && r == 0; i++) {
        (void)fputs(i > 0 ? ", " : "", out);
        if (list) {
            r = s_print(walk, conf_walk_node(walk, items[i]), depth + 1, out);
            continue;
        }
        r = s_print(walk, conf_walk_node(walk, pairs[i].key), depth + 1, out);
        (void)fputs(": ", out);
        if (r == 0)
            r = s_print(walk, conf_walk_node(walk, pairs[i].value), depth + 1, out);
    }
    (void)fputc(list ? ']' : '}', out);
    return r;
}

/* A value of a list as text, or its text as it stands. NULL after an error. */
static char *s_text(conf_walk_t *walk, yaml_node_t *node)
{
    char *text = NULL;
    size_t size;
    if (node->type == YAML_SCALAR_NODE) {
        const char *value = (const char *)node->data.scalar.value;
        if (conf_walk_reach(walk, node) != 0)
            return NULL;
        if (strlen(value) == node->data.scalar.length)
            return strdup(value);
        conf_walk_fail(walk, node, "the value has a NUL byte in it");
        return NULL;
    }
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    int r = s_print(walk, node, 0, out);
    (void)fclose(out);
    if (r != 0) {
        free(text);
        text = NULL;
    }
    return text;
}

/* One value to try for a key of type CONF_LIST: a list, or text that is one. */
static char *s_try_list(conf_walk_t *walk, const conf_frame_t *frame, const conf_key_t *key,
                        yaml_node_t *node)
{
    char *text = s_text(walk, node);
    char name[CONF_PATH_ROOM];
    (void)snprintf(name, sizeof(name), "%.200s:%d", walk->name, conf_walk_line(node));
    conf_walk_t inner = {.name = name, .err = walk->err};
    if (text && conf_walk_text(frame->table, frame->target, &inner, key->key, text, strlen(text))) {
        free(text);
        return NULL;
    }
    return text;
}

/* One value to try for another key. Returns its text, or NULL after an error. */
static char *s_try(conf_walk_t *walk, const conf_frame_t *frame, const conf_key_t *key,
                   const yaml_node_t *node)
{
    err_t reason = {{0}};
    char expected[CONF_PATH_ROOM];
    if (conf_walk_reach(walk, node) != 0)
        return NULL;
    if (node->type != YAML_SCALAR_NODE) {
        conf_value_expected(key, false, expected, sizeof(expected));
        conf_walk_fail_at(walk, node, key->key, "%s is no value; expected %s", conf_walk_kind(node),
                          expected);
        return NULL;
    }
    const char *value = (const char *)node->data.scalar.value;
    if (conf_value_set(key, frame->target, value, node->data.scalar.length,
                       node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE, &reason) != 0) {
        conf_walk_fail_at(walk, node, key->key, "%s", reason.text);
        return NULL;
    }
    if (key->type == CONF_STRING) /* null is "" */
        memcpy(&value, (const char *)frame->target + key->offset, sizeof(value));
    return strdup(value);
}

static int s_values(conf_walk_t *walk, const conf_frame_t *frame, const conf_key_t *key,
                    yaml_node_t *node, conf_dimension_t *dimension)
{
    const yaml_node_item_t *items = node->data.sequence.items.start;
    long n = node->data.sequence.items.top - items;
    if (n < 1)
        return conf_walk_fail_at(walk, node, key->key, "an empty list; expected the values to try");
    dimension->values = calloc((size_t)n, sizeof(char *));
    if (!dimension->values)
        abort();
    for (long i = 0; i < n; i++) {
        yaml_node_t *item = conf_walk_node(walk, items[i]);
        char *text = key->type == CONF_LIST ? s_try_list(walk, frame, key, item)
                                            : s_try(walk, frame, key, item);
        if (!text)
            return -1;
        dimension->values[dimension->n_values++] = text;
    }
    return 0;
}

/* Is the bound one that the key may have? Returns 0 or -1. */
static int s_bound(conf_walk_t *walk, const conf_frame_t *frame, const conf_key_t *key,
                   const yaml_node_t *node, const char *which, double value)
{
    err_t reason = {{0}};
    char text[32], path[CONF_PATH_ROOM];
    if (key->type != CONF_REAL && value == floor(value) && fabs(value) < 0x1p53)
        (void)snprintf(text, sizeof(text), "%.0f", value);
    else
        text_python_repr(value, text);
    if (conf_value_set(key, frame->target, text, strlen(text), false, &reason) == 0)
        return 0;
    (void)snprintf(path, sizeof(path), "%.200s.%s", key->key, which);
    return conf_walk_fail_at(walk, node, path, "%s", reason.text);
}

static int s_range(conf_walk_t *walk, const conf_frame_t *frame, const conf_key_t *key,
                   yaml_node_t *node, conf_dimension_t *dimension)
{
    range_t range = {0};
    conf_frame_t *inner = calloc(1, sizeof(*inner));
    if (!inner)
        abort();
    inner->table = &s_range_table;
    inner->target = &range;
    (void)snprintf(inner->shown, sizeof(inner->shown), "%.200s.", key->key);
    int r = conf_walk_mapping(walk, inner, "", node);
    bool both = inner->lines[0] && inner->lines[1];
    free(inner);
    if (r != 0)
        return -1;
    if (!both)
        return conf_walk_fail_at(walk, node, key->key, "a range needs 'min' and 'max'");
    if (s_bound(walk, frame, key, node, "min", range.min) != 0 ||
        s_bound(walk, frame, key, node, "max", range.max) != 0)
        return -1;
    if (range.min > range.max)
        return conf_walk_fail_at(walk, node, key->key, "min %g is above max %g", range.min,
                                 range.max);
    if (range.scale == 1 && range.min <= 0)
        return conf_walk_fail_at(walk, node, key->key,
                                 "min %g with scale log; expected one above 0", range.min);
    dimension->min = range.min;
    dimension->max = range.max;
    dimension->log_scale = range.scale == 1;
    return 0;
}

int conf_space_dimension(conf_walk_t *walk, conf_frame_t *frame, const conf_key_t *key,
                         yaml_node_t *node)
{
    conf_space_t *space = frame->space;
    bool number = key->type == CONF_INT || key->type == CONF_U64 || key->type == CONF_REAL;
    space->dimensions =
        realloc(space->dimensions, (size_t)(space->n_dimensions + 1) * sizeof(conf_dimension_t));
    if (!space->dimensions)
        abort();
    conf_dimension_t *dimension = &space->dimensions[space->n_dimensions++];
    *dimension = (conf_dimension_t){.key = key, .line = conf_walk_line(node)};
    if (node->type == YAML_SEQUENCE_NODE)
        return s_values(walk, frame, key, node, dimension);
    if (node->type == YAML_MAPPING_NODE && number)
        return s_range(walk, frame, key, node, dimension);
    return conf_walk_fail_at(walk, node, key->key,
                             "%s where a list of the values to try%s is expected",
                             conf_walk_kind(node), number ? ", or a range {min, max}," : "");
}

int conf_space_walk(conf_walk_t *walk, conf_frame_t *frame, const conf_key_t *key,
                    yaml_node_t *node)
{
    const conf_table_t *table = key->items;
    conf_frame_t *inner = calloc(1, sizeof(*inner));
    void *scratch = calloc(1, table->size);
    if (!inner || !scratch)
        abort();
    conf_init(table, scratch);
    inner->table = table;
    inner->target = scratch;
    inner->space = (conf_space_t *)(void *)((char *)frame->target + key->offset);
    conf_space_clear(inner->space);
    int r = conf_walk_mapping(walk, inner, "", node);
    conf_clear(table, scratch);
    free(scratch);
    free(inner);
    return r;
}

void conf_space_clear(conf_space_t *self)
{
    for (int d = 0; d < self->n_dimensions; d++) {
        for (int i = 0; i < self->dimensions[d].n_values; i++)
            free(self->dimensions[d].values[i]);
        free(self->dimensions[d].values);
    }
    free(self->dimensions);
    *self = (conf_space_t){NULL, 0};
}
