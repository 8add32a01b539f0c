/* See conf_walk.h. */
#include "base/conf_walk.h"

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

/* Puts file:line or the option in front of `text`. */
int conf_walk_fail(conf_walk_t *walk, const yaml_node_t *node, const char *text)
{
    if (walk->is_file && node)
        return err_set(walk->err, "%s:%d: %s", walk->name, conf_walk_line(node), text);
    return err_set(walk->err, "%s: %s", walk->name, text);
}

/* As conf_walk_fail, naming the key, too, unless it is said already. */
int conf_walk_fail_at(conf_walk_t *walk, const yaml_node_t *node, const char *path,
                      const char *text)
{
    if (walk->said_key && strcmp(path, walk->said_key) == 0)
        return conf_walk_fail(walk, node, text);
    char with_path[sizeof(err_t)];
    (void)snprintf(with_path, sizeof(with_path), "%.255s: %.500s", path, text);
    return conf_walk_fail(walk, node, with_path);
}

yaml_node_t *conf_walk_node(conf_walk_t *walk, int index)
{
    return yaml_document_get_node(walk->document, index);
}

/* Marks the node; a second visit means an alias. */
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
    char text[2 * CONF_PATH_ROOM + 256];
    char full[2 * CONF_PATH_ROOM];
    (void)snprintf(full, sizeof(full), "%s%s", frame->shown, whole);
    (void)snprintf(text, sizeof(text),
                   nearest ? "unknown key %s; did you mean '%s%s'?" : "unknown key %s",
                   text_quote(full, shown), frame->shown, nearest ? nearest : "");
    return conf_walk_fail(walk, key, text);
}

/* Fills a fresh array from a sequence and puts it in the place of the old one. */
static int s_list(conf_walk_t *walk, conf_frame_t *frame, const conf_key_t *key, yaml_node_t *node)
{
    int r = -1;
    char text[128];
    char path[2 * CONF_PATH_ROOM];
    (void)snprintf(path, sizeof(path), "%s%s", frame->shown, key->key);
    if (node->type != YAML_SEQUENCE_NODE) {
        (void)snprintf(text, sizeof(text), "%s where a list of 1 to %.0f items is expected",
                       conf_walk_kind(node), key->max);
        return conf_walk_fail_at(walk, node, path, text);
    }
    long n_items = node->data.sequence.items.top - node->data.sequence.items.start;
    if (n_items < 1 || n_items > (long)key->max) {
        (void)snprintf(text, sizeof(text), "%ld items; expected 1 to %.0f", n_items, key->max);
        return conf_walk_fail_at(walk, node, path, text);
    }
    const conf_table_t *table = key->items;
    char *items = calloc((size_t)n_items, table->size);
    conf_frame_t *inner = calloc(1, sizeof(*inner));
    if (!items || !inner) {
        conf_walk_fail(walk, node, "out of memory");
        goto out;
    }
    for (long i = 0; i < n_items; i++) {
        yaml_node_t *item = conf_walk_node(walk, node->data.sequence.items.start[i]);
        memset(inner, 0, sizeof(*inner));
        inner->table = table;
        inner->target = items + (size_t)i * table->size;
        for (int k = 0; k < table->n_keys; k++)
            if (table->keys[k].initial || table->keys[k].type == CONF_STRING)
                conf_value_set(&table->keys[k], inner->target,
                               table->keys[k].initial ? table->keys[k].initial : "",
                               table->keys[k].initial ? strlen(table->keys[k].initial) : 0, false,
                               NULL);
        (void)snprintf(inner->shown, sizeof(inner->shown), "%.200s[%ld].", path, i);
        if (conf_walk_reach(walk, item) != 0 || conf_walk_mapping(walk, inner, "", item) != 0)
            goto out;
        for (int k = 0; k < table->n_keys; k++) {
            if (inner->lines[k] == 0 && !table->keys[k].initial) {
                (void)snprintf(text, sizeof(text), "'%.60s' is missing", table->keys[k].key);
                inner->shown[strlen(inner->shown) - 1] = '\0';
                conf_walk_fail_at(walk, item, inner->shown, text);
                goto out;
            }
        }
    }
    conf_value_clear(key, frame->target);
    int count = (int)n_items;
    memcpy((char *)frame->target + key->offset, &items, sizeof(items));
    memcpy((char *)frame->target + key->count_offset, &count, sizeof(count));
    items = NULL;
    r = 0;
out:
    for (long i = 0; items && i < n_items; i++)
        conf_clear(table, items + (size_t)i * table->size);
    free(items);
    free(inner);
    return r;
}

int conf_walk_value(conf_walk_t *walk, conf_frame_t *frame, const conf_key_t *key,
                    const yaml_node_t *key_node, yaml_node_t *node)
{
    char text[CONF_PATH_ROOM];
    char path[2 * CONF_PATH_ROOM];
    (void)snprintf(path, sizeof(path), "%s%s", frame->shown, key->key);
    int *line = &frame->lines[key - frame->table->keys];
    if (*line != 0) {
        (void)snprintf(text, sizeof(text), "duplicate key '%.100s'; first set on line %d", path,
                       *line);
        return conf_walk_fail(walk, key_node, text);
    }
    *line = conf_walk_line(key_node);
    if (frame->space)
        return conf_space_dimension(walk, frame, key, node);
    if (key->type == CONF_SPACE)
        return conf_space_walk(walk, frame, key, node);
    if (key->type == CONF_LIST)
        return s_list(walk, frame, key, node);
    if (node->type != YAML_SCALAR_NODE) {
        char expected[CONF_PATH_ROOM - 40];
        conf_value_expected(key, false, expected, sizeof(expected));
        (void)snprintf(text, sizeof(text), "%s is no value; expected %s", conf_walk_kind(node),
                       expected);
        return conf_walk_fail_at(walk, node, path, text);
    }
    err_t reason = {{0}};
    if (conf_value_set(key, frame->target, (const char *)node->data.scalar.value,
                       node->data.scalar.length, node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE,
                       &reason) != 0)
        return conf_walk_fail_at(walk, node, path, reason.text);
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
        char text[128];
        (void)snprintf(path, sizeof(path), "%s%s", frame->shown, prefix);
        size_t n = strlen(path);
        if (n > 0 && path[n - 1] == '.')
            path[n - 1] = '\0';
        (void)snprintf(text, sizeof(text), "%s where keys with values are expected",
                       conf_walk_kind(node));
        return n > 0 ? conf_walk_fail_at(walk, node, path, text) : conf_walk_fail(walk, node, text);
    }
    const yaml_node_pair_t *pairs = node->data.mapping.pairs.start;
    long n_pairs = node->data.mapping.pairs.top - pairs;
    for (long i = 0; i < n_pairs; i++) {
        const yaml_node_t *key = conf_walk_node(walk, pairs[i].key);
        for (long j = 0; j < i; j++) { /* at most as many as the table has keys: others fail */
            const yaml_node_t *other = conf_walk_node(walk, pairs[j].key);
            if (key->type == YAML_SCALAR_NODE && key != other &&
                strcmp((char *)key->data.scalar.value, (char *)other->data.scalar.value) == 0) {
                char text[CONF_PATH_ROOM];
                (void)snprintf(text, sizeof(text),
                               "duplicate key '%.40s%.80s%s%.80s'; first set on line %d",
                               frame->shown, prefix, prefix[0] ? "." : "",
                               (const char *)key->data.scalar.value, conf_walk_line(other));
                return conf_walk_fail(walk, key, text);
            }
        }
        if (s_pair(walk, frame, prefix, key, conf_walk_node(walk, pairs[i].value)) != 0)
            return -1;
    }
    return 0;
}
