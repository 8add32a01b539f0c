/* See conf_walk.h. */
#include "base/conf_walk.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf_space.h"
#include "base/conf_value.h"
#include "base/text.h"

int conf_walk_line(const yaml_node_t *node)
{
    return (int)node->start_mark.line + 1;
}

int conf_walk_fail(conf_walk_t *walk, const yaml_node_t *node, const char *format, ...)
{
    err_t message;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message.text, sizeof(message.text), format, args);
    va_end(args);
    if (walk->is_file && node)
        return err_set(walk->err, "%s:%d: %s", walk->name, conf_walk_line(node), message.text);
    return err_set(walk->err, "%s: %s", walk->name, message.text);
}

int conf_walk_fail_at(conf_walk_t *walk, const yaml_node_t *node, const char *path,
                      const char *format, ...)
{
    err_t message;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message.text, sizeof(message.text), format, args);
    va_end(args);
    if (walk->said_key && strcmp(path, walk->said_key) == 0)
        return conf_walk_fail(walk, node, "%s", message.text);
    return conf_walk_fail(walk, node, "%.255s: %s", path, message.text);
}

yaml_node_t *conf_walk_node(conf_walk_t *walk, int index)
{
    return yaml_document_get_node(walk->document, index);
}

int conf_walk_reach(conf_walk_t *walk, const yaml_node_t *node)
{
    size_t index = (size_t)(node - walk->document->nodes.start);
    if (walk->reached[index])
        return conf_walk_fail(walk, node,
                              "this node is used again through a YAML alias (*name); "
                              "write the value out instead");
    walk->reached[index] = true;
    return 0;
}

static bool s_is_null(const yaml_node_t *node)
{
    const char *text = (const char *)node->data.scalar.value;
    return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

const char *conf_walk_kind(const yaml_node_t *node)
{
    return node->type == YAML_MAPPING_NODE    ? "a mapping"
           : node->type == YAML_SEQUENCE_NODE ? "a list"
                                              : "a single value";
}

bool conf_walk_is_section(const conf_table_t *table, const char *path)
{
    size_t n = strlen(path);
    for (int i = 0; i < table->n_keys; i++)
        if (strncmp(table->keys[i].key, path, n) == 0 && table->keys[i].key[n] == '.')
            return true;
    return false;
}

/* An unknown section is named with its first key, since the nearest key is then the better one. */
int conf_walk_unknown(conf_walk_t *walk, const conf_frame_t *frame, const char *path,
                      const yaml_node_t *key, const yaml_node_t *value)
{
    char whole[CONF_PATH_ROOM];
    (void)snprintf(whole, sizeof(whole), "%s", path);
    for (int depth = 0; depth < 4 && value->type == YAML_MAPPING_NODE; depth++) {
        const yaml_node_pair_t *pair = value->data.mapping.pairs.start;
        if (pair == value->data.mapping.pairs.top)
            break;
        const yaml_node_t *below = conf_walk_node(walk, pair->key);
        if (below->type != YAML_SCALAR_NODE)
            break;
        size_t used = strlen(whole);
        (void)snprintf(whole + used, sizeof(whole) - used, ".%s",
                       (const char *)below->data.scalar.value);
        key = below;
        value = conf_walk_node(walk, pair->value);
    }
    const char *nearest = conf_nearest(frame->table, whole);
    char shown[72];
    char full[2 * CONF_PATH_ROOM];
    (void)snprintf(full, sizeof(full), "%s%s", frame->shown, whole);
    text_quote(full, shown);
    if (!nearest)
        return conf_walk_fail(walk, key, "unknown key %s", shown);
    return conf_walk_fail(walk, key, "unknown key %s; did you mean '%s%s'?", shown, frame->shown,
                          nearest);
}

/* Fills an item of a list, zeroed, with its defaults and then from the node. `shown` is its key in
 * messages. */
static int s_item(conf_walk_t *walk, const conf_table_t *table, char *item, const char *shown,
                  yaml_node_t *node)
{
    conf_frame_t *frame = calloc(1, sizeof(*frame));
    if (!frame)
        return conf_walk_fail(walk, node, "out of memory");
    frame->table = table;
    frame->target = item;
    (void)snprintf(frame->shown, sizeof(frame->shown), "%s.", shown);
    for (int k = 0; k < table->n_keys; k++) {
        const char *initial = table->keys[k].initial;
        if (initial || table->keys[k].type == CONF_STRING)
            conf_value_set(&table->keys[k], item, initial ? initial : "",
                           initial ? strlen(initial) : 0, false, NULL);
    }
    int r = conf_walk_reach(walk, node) == 0 ? conf_walk_mapping(walk, frame, "", node) : -1;
    for (int k = 0; k < table->n_keys && r == 0; k++)
        if (frame->lines[k] == 0 && !table->keys[k].initial)
            r = conf_walk_fail_at(walk, node, shown, "'%.60s' is missing", table->keys[k].key);
    free(frame);
    return r;
}

/* Fills a fresh array from a sequence and puts it in the place of the old one. */
static int s_list(conf_walk_t *walk, conf_frame_t *frame, const conf_key_t *key, yaml_node_t *node)
{
    char path[2 * CONF_PATH_ROOM];
    (void)snprintf(path, sizeof(path), "%s%s", frame->shown, key->key);
    if (node->type != YAML_SEQUENCE_NODE)
        return conf_walk_fail_at(walk, node, path, "%s where a list of 1 to %.0f items is expected",
                                 conf_walk_kind(node), key->max);
    long n_items = node->data.sequence.items.top - node->data.sequence.items.start;
    if (n_items < 1 || n_items > (long)key->max)
        return conf_walk_fail_at(walk, node, path, "%ld items; expected 1 to %.0f", n_items,
                                 key->max);
    const conf_table_t *table = key->items;
    char *items = calloc((size_t)n_items, table->size);
    if (!items)
        return conf_walk_fail(walk, node, "out of memory");
    int r = 0;
    for (long i = 0; i < n_items && r == 0; i++) {
        char shown[CONF_PATH_ROOM - 1];
        (void)snprintf(shown, sizeof(shown), "%.200s[%ld]", path, i);
        r = s_item(walk, table, items + (size_t)i * table->size, shown,
                   conf_walk_node(walk, node->data.sequence.items.start[i]));
    }
    if (r != 0) {
        for (long i = 0; i < n_items; i++)
            conf_clear(table, items + (size_t)i * table->size);
        free(items);
        return -1;
    }
    conf_value_clear(key, frame->target);
    int count = (int)n_items;
    memcpy((char *)frame->target + key->offset, &items, sizeof(items));
    memcpy((char *)frame->target + key->count_offset, &count, sizeof(count));
    return 0;
}

int conf_walk_value(conf_walk_t *walk, conf_frame_t *frame, const conf_key_t *key,
                    const yaml_node_t *key_node, yaml_node_t *node)
{
    char path[2 * CONF_PATH_ROOM];
    (void)snprintf(path, sizeof(path), "%s%s", frame->shown, key->key);
    int *line = &frame->lines[key - frame->table->keys];
    if (*line != 0)
        return conf_walk_fail(walk, key_node, "duplicate key '%.100s'; first set on line %d", path,
                              *line);
    *line = conf_walk_line(key_node);
    if (frame->space)
        return conf_space_dimension(walk, frame, key, node);
    if (key->type == CONF_SPACE)
        return conf_space_walk(walk, frame, key, node);
    if (key->type == CONF_LIST)
        return s_list(walk, frame, key, node);
    if (node->type != YAML_SCALAR_NODE) {
        char expected[CONF_PATH_ROOM];
        conf_value_expected(key, false, expected, sizeof(expected));
        return conf_walk_fail_at(walk, node, path, "%s is no value; expected %s",
                                 conf_walk_kind(node), expected);
    }
    err_t reason = {{0}};
    if (conf_value_set(key, frame->target, (const char *)node->data.scalar.value,
                       node->data.scalar.length, node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE,
                       &reason) != 0)
        return conf_walk_fail_at(walk, node, path, "%s", reason.text);
    return 0;
}

/* One key of a mapping: a value, a section to go into, or unknown. */
static int s_pair(conf_walk_t *walk, conf_frame_t *frame, const char *prefix,
                  const yaml_node_t *key_node, yaml_node_t *node)
{
    if (conf_walk_reach(walk, key_node) != 0)
        return -1;
    if (key_node->type != YAML_SCALAR_NODE)
        return conf_walk_fail(walk, key_node, "a key must be a single word");
    const char *name = (const char *)key_node->data.scalar.value;
    if (strlen(name) != key_node->data.scalar.length)
        return conf_walk_fail(walk, key_node, "a key has a NUL byte in it");
    char path[CONF_PATH_ROOM];
    (void)snprintf(path, sizeof(path), "%s%s%s", prefix, prefix[0] ? "." : "", name);
    const conf_key_t *key = conf_find(frame->table, path);
    if (key || conf_walk_is_section(frame->table, path)) {
        if (conf_walk_reach(walk, node) != 0)
            return -1;
        return key ? conf_walk_value(walk, frame, key, key_node, node)
                   : conf_walk_mapping(walk, frame, path, node);
    }
    return conf_walk_unknown(walk, frame, path, key_node, node);
}

int conf_walk_mapping(conf_walk_t *walk, conf_frame_t *frame, const char *prefix, yaml_node_t *node)
{
    if (s_is_null(node)) /* a section with all its keys commented out */
        return 0;
    if (node->type != YAML_MAPPING_NODE) {
        char path[2 * CONF_PATH_ROOM];
        static const char format[] = "%s where keys with values are expected";
        (void)snprintf(path, sizeof(path), "%s%s", frame->shown, prefix);
        size_t n = strlen(path);
        if (n == 0)
            return conf_walk_fail(walk, node, format, conf_walk_kind(node));
        if (path[n - 1] == '.')
            path[n - 1] = '\0';
        return conf_walk_fail_at(walk, node, path, format, conf_walk_kind(node));
    }
    const yaml_node_pair_t *pairs = node->data.mapping.pairs.start;
    long n_pairs = node->data.mapping.pairs.top - pairs;
    for (long i = 0; i < n_pairs; i++) {
        const yaml_node_t *key = conf_walk_node(walk, pairs[i].key);
        for (long j = 0; j < i; j++) { /* at most as many as the table has keys: others fail */
            const yaml_node_t *other = conf_walk_node(walk, pairs[j].key);
            if (key->type == YAML_SCALAR_NODE && key != other &&
                strcmp((char *)key->data.scalar.value, (char *)other->data.scalar.value) == 0)
                return conf_walk_fail(walk, key,
                                      "duplicate key '%.40s%.80s%s%.80s'; first set on line %d",
                                      frame->shown, prefix, prefix[0] ? "." : "",
                                      (const char *)key->data.scalar.value, conf_walk_line(other));
        }
        if (s_pair(walk, frame, prefix, key, conf_walk_node(walk, pairs[i].value)) != 0)
            return -1;
    }
    return 0;
}
