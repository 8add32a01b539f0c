/* See conf.h.
 *
 * A YAML document is walked once, each mapping against a frame: the struct that it fills and what
 * has been set there already. The walk is bounded by the table: it goes down only where the table
 * has keys, and a node that is reached twice (an alias) is refused, so that nothing can expand or
 * recurse without end.
 */
#include "base/conf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/conf_value.h"
#include "base/file.h"
#include "base/text.h"

#define PATH_ROOM 256

/* Where a document comes from and how its errors begin. */
typedef struct {
    yaml_document_t *document;
    bool *reached;        /* by node index */
    const char *name;     /* the file or "--set key=value" */
    bool is_file;         /* then lines are named too */
    const char *said_key; /* the key that `name` says already; may be NULL */
    err_t *err;
} walk_t;

/* One struct that is being filled. */
typedef struct {
    const conf_table_t *table;
    void *target;
    char shown[PATH_ROOM];    /* stands before its keys in messages: "model.layers[1]." */
    int lines[CONF_MAX_KEYS]; /* where each key was set; 0 = not yet */
} frame_t;

static int s_mapping(walk_t *walk, frame_t *frame, const char *prefix, yaml_node_t *node);

static int s_line(const yaml_node_t *node)
{
    return (int)node->start_mark.line + 1;
}

/* Puts file:line or the option in front of `text`. */
static int s_fail(walk_t *walk, const yaml_node_t *node, const char *text)
{
    if (walk->is_file && node)
        return err_set(walk->err, "%s:%d: %s", walk->name, s_line(node), text);
    return err_set(walk->err, "%s: %s", walk->name, text);
}

/* As s_fail, naming the key, too, unless it is said already. */
static int s_fail_at(walk_t *walk, const yaml_node_t *node, const char *path, const char *text)
{
    if (walk->said_key && strcmp(path, walk->said_key) == 0)
        return s_fail(walk, node, text);
    char with_path[sizeof(err_t)];
    (void)snprintf(with_path, sizeof(with_path), "%.255s: %.500s", path, text);
    return s_fail(walk, node, with_path);
}

static yaml_node_t *s_node(walk_t *walk, int index)
{
    return yaml_document_get_node(walk->document, index);
}

/* Marks the node; a second visit means an alias. */
static int s_reach(walk_t *walk, const yaml_node_t *node)
{
    size_t index = (size_t)(node - walk->document->nodes.start);
    if (walk->reached[index])
        return s_fail(walk, node,
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

static const char *s_kind(const yaml_node_t *node)
{
    return node->type == YAML_MAPPING_NODE    ? "a mapping"
           : node->type == YAML_SEQUENCE_NODE ? "a list"
                                              : "a single value";
}

static bool s_is_section(const conf_table_t *table, const char *path)
{
    size_t n = strlen(path);
    for (int i = 0; i < table->n_keys; i++)
        if (strncmp(table->keys[i].key, path, n) == 0 && table->keys[i].key[n] == '.')
            return true;
    return false;
}

/* An unknown section is named with its first key, since the nearest key is then the better one. */
static int s_unknown(walk_t *walk, const frame_t *frame, const char *path, const yaml_node_t *key,
                     const yaml_node_t *value)
{
    char whole[PATH_ROOM];
    (void)snprintf(whole, sizeof(whole), "%s", path);
    for (int depth = 0; depth < 4 && value->type == YAML_MAPPING_NODE; depth++) {
        const yaml_node_pair_t *pair = value->data.mapping.pairs.start;
        if (pair == value->data.mapping.pairs.top)
            break;
        const yaml_node_t *below = s_node(walk, pair->key);
        if (below->type != YAML_SCALAR_NODE)
            break;
        size_t used = strlen(whole);
        (void)snprintf(whole + used, sizeof(whole) - used, ".%s",
                       (const char *)below->data.scalar.value);
        key = below;
        value = s_node(walk, pair->value);
    }
    const char *nearest = conf_nearest(frame->table, whole);
    char shown[72];
    char text[2 * PATH_ROOM + 256];
    char full[2 * PATH_ROOM];
    (void)snprintf(full, sizeof(full), "%s%s", frame->shown, whole);
    (void)snprintf(text, sizeof(text),
                   nearest ? "unknown key %s; did you mean '%s%s'?" : "unknown key %s",
                   text_quote(full, shown), frame->shown, nearest ? nearest : "");
    return s_fail(walk, key, text);
}

/* Fills a fresh array from a sequence and puts it in the place of the old one. */
static int s_list(walk_t *walk, frame_t *frame, const conf_key_t *key, yaml_node_t *node)
{
    int r = -1;
    char text[128];
    char path[2 * PATH_ROOM];
    (void)snprintf(path, sizeof(path), "%s%s", frame->shown, key->key);
    if (node->type != YAML_SEQUENCE_NODE) {
        (void)snprintf(text, sizeof(text), "%s where a list of 1 to %.0f items is expected",
                       s_kind(node), key->max);
        return s_fail_at(walk, node, path, text);
    }
    long n_items = node->data.sequence.items.top - node->data.sequence.items.start;
    if (n_items < 1 || n_items > (long)key->max) {
        (void)snprintf(text, sizeof(text), "%ld items; expected 1 to %.0f", n_items, key->max);
        return s_fail_at(walk, node, path, text);
    }
    const conf_table_t *table = key->items;
    char *items = calloc((size_t)n_items, table->size);
    frame_t *inner = calloc(1, sizeof(*inner));
    if (!items || !inner) {
        s_fail(walk, node, "out of memory");
        goto out;
    }
    for (long i = 0; i < n_items; i++) {
        yaml_node_t *item = s_node(walk, node->data.sequence.items.start[i]);
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
        if (s_mapping(walk, inner, "", item) != 0)
            goto out;
        for (int k = 0; k < table->n_keys; k++) {
            if (inner->lines[k] == 0 && !table->keys[k].initial) {
                (void)snprintf(text, sizeof(text), "'%.60s' is missing", table->keys[k].key);
                inner->shown[strlen(inner->shown) - 1] = '\0';
                s_fail_at(walk, item, inner->shown, text);
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

static int s_value(walk_t *walk, frame_t *frame, const conf_key_t *key, const yaml_node_t *key_node,
                   yaml_node_t *node)
{
    char text[PATH_ROOM];
    char path[2 * PATH_ROOM];
    (void)snprintf(path, sizeof(path), "%s%s", frame->shown, key->key);
    int *line = &frame->lines[key - frame->table->keys];
    if (*line != 0) {
        (void)snprintf(text, sizeof(text), "duplicate key '%.100s'; first set on line %d", path,
                       *line);
        return s_fail(walk, key_node, text);
    }
    *line = s_line(key_node);
    if (key->type == CONF_LIST)
        return s_list(walk, frame, key, node);
    if (node->type != YAML_SCALAR_NODE) {
        char expected[PATH_ROOM - 40];
        conf_value_expected(key, false, expected, sizeof(expected));
        (void)snprintf(text, sizeof(text), "%s is no value; expected %s", s_kind(node), expected);
        return s_fail_at(walk, node, path, text);
    }
    err_t reason = {{0}};
    if (conf_value_set(key, frame->target, (const char *)node->data.scalar.value,
                       node->data.scalar.length, node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE,
                       &reason) != 0)
        return s_fail_at(walk, node, path, reason.text);
    return 0;
}

/* One key of a mapping: a value, a section to go into, or unknown. */
static int s_pair(walk_t *walk, frame_t *frame, const char *prefix, const yaml_node_t *key_node,
                  yaml_node_t *node)
{
    if (s_reach(walk, key_node) != 0)
        return -1;
    if (key_node->type != YAML_SCALAR_NODE)
        return s_fail(walk, key_node, "a key must be a single word");
    const char *name = (const char *)key_node->data.scalar.value;
    if (strlen(name) != key_node->data.scalar.length)
        return s_fail(walk, key_node, "a key has a NUL byte in it");
    char path[PATH_ROOM];
    (void)snprintf(path, sizeof(path), "%s%s%s", prefix, prefix[0] ? "." : "", name);
    const conf_key_t *key = conf_find(frame->table, path);
    if (key)
        return s_reach(walk, node) == 0 ? s_value(walk, frame, key, key_node, node) : -1;
    if (s_is_section(frame->table, path))
        return s_mapping(walk, frame, path, node);
    return s_unknown(walk, frame, path, key_node, node);
}

/* Goes through the mapping whose keys stand below `prefix` of the frame's table. */
static int s_mapping(walk_t *walk, frame_t *frame, const char *prefix, yaml_node_t *node)
{
    if (s_reach(walk, node) != 0)
        return -1;
    if (s_is_null(node)) /* a section with all its keys commented out */
        return 0;
    if (node->type != YAML_MAPPING_NODE) {
        char path[2 * PATH_ROOM];
        char text[128];
        (void)snprintf(path, sizeof(path), "%s%s", frame->shown, prefix);
        size_t n = strlen(path);
        if (n > 0 && path[n - 1] == '.')
            path[n - 1] = '\0';
        (void)snprintf(text, sizeof(text), "%s where keys with values are expected", s_kind(node));
        return n > 0 ? s_fail_at(walk, node, path, text) : s_fail(walk, node, text);
    }
    const yaml_node_pair_t *pairs = node->data.mapping.pairs.start;
    long n_pairs = node->data.mapping.pairs.top - pairs;
    for (long i = 0; i < n_pairs; i++) {
        const yaml_node_t *key = s_node(walk, pairs[i].key);
        for (long j = 0; j < i; j++) { /* at most as many as the table has keys: others fail */
            const yaml_node_t *other = s_node(walk, pairs[j].key);
            if (key->type == YAML_SCALAR_NODE && key != other &&
                strcmp((char *)key->data.scalar.value, (char *)other->data.scalar.value) == 0) {
                char text[PATH_ROOM];
                (void)snprintf(text, sizeof(text),
                               "duplicate key '%.40s%.80s%s%.80s'; first set on line %d",
                               frame->shown, prefix, prefix[0] ? "." : "",
                               (const char *)key->data.scalar.value, s_line(other));
                return s_fail(walk, key, text);
            }
        }
        if (s_pair(walk, frame, prefix, key, s_node(walk, pairs[i].value)) != 0)
            return -1;
    }
    return 0;
}

static int s_parser_failed(walk_t *walk, const yaml_parser_t *parser, const char *text, size_t size)
{
    size_t line = parser->problem_mark.line + 1;
    if (parser->error == YAML_READER_ERROR) {
        line = 1;
        for (size_t i = 0; i < parser->problem_offset && i < size; i++)
            line += text[i] == '\n';
    }
    const char *problem = parser->problem ? parser->problem : "out of memory";
    const char *context = parser->context ? parser->context : "";
    if (!walk->is_file)
        return err_set(walk->err, "%s: bad YAML: %s%s%s", walk->name, problem,
                       context[0] ? " " : "", context);
    return err_set(walk->err, "%s:%zu: bad YAML: %s%s%s", walk->name, line, problem,
                   context[0] ? " " : "", context);
}

/* Parses one document and walks it with a fresh frame. `below` is the dotted key that the
 * document's root stands for; "" for a whole file. */
static int s_load(const conf_table_t *table, void *target, walk_t *walk, const char *below,
                  const char *text, size_t size)
{
    int r = -1;
    yaml_parser_t parser;
    yaml_document_t document;
    yaml_document_t second;
    bool have_document = false;
    bool have_second = false;
    frame_t *frame = calloc(1, sizeof(*frame));
    if (!frame || !yaml_parser_initialize(&parser)) {
        free(frame);
        return err_set(walk->err, "%s: out of memory", walk->name);
    }
    frame->table = table;
    frame->target = target;
    assert(table->n_keys <= CONF_MAX_KEYS);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    have_document = yaml_parser_load(&parser, &document);
    if (!have_document) {
        s_parser_failed(walk, &parser, text, size);
        goto out;
    }
    walk->document = &document;
    yaml_node_t *root = yaml_document_get_root_node(&document);
    walk->reached = calloc((size_t)(document.nodes.top - document.nodes.start) + 1, sizeof(bool));
    if (!walk->reached) {
        err_set(walk->err, "%s: out of memory", walk->name);
        goto out;
    }
    if (root) {
        have_second = yaml_parser_load(&parser, &second);
        if (!have_second) {
            s_parser_failed(walk, &parser, text, size);
            goto out;
        }
        if (yaml_document_get_root_node(&second)) {
            s_fail(walk, yaml_document_get_root_node(&second),
                   "a second YAML document; expected one");
            goto out;
        }
    }
    const conf_key_t *key = conf_find(table, below);
    if (!root && !key)
        r = 0;
    else if (!root)
        r = s_fail(walk, NULL, "the value is missing");
    else if (key)
        r = s_reach(walk, root) == 0 ? s_value(walk, frame, key, root, root) : -1;
    else if (below[0] == '\0' || s_is_section(table, below))
        r = s_mapping(walk, frame, below, root);
    else
        r = s_unknown(walk, frame, below, root, root);
out:
    free(walk->reached);
    walk->reached = NULL;
    walk->document = NULL;
    free(frame);
    if (have_second)
        yaml_document_delete(&second);
    if (have_document)
        yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    return r;
}

int conf_load_text(const conf_table_t *table, void *target, const char *name, const char *text,
                   size_t size, err_t *err)
{
    walk_t walk = {.name = name, .is_file = true, .err = err};
    if (size > CONF_MAX_FILE_BYTES)
        return err_set(err, "%s: %zu bytes; expected at most %zu", name, size, CONF_MAX_FILE_BYTES);
    return s_load(table, target, &walk, "", text, size);
}

int conf_load_file(const conf_table_t *table, void *target, const char *path, err_t *err)
{
    char *text;
    size_t size;
    if (file_read(path, CONF_MAX_FILE_BYTES, &text, &size, err) != 0)
        return -1;
    int r = conf_load_text(table, target, path, text, size, err);
    free(text);
    return r;
}

/* An option's value is taken as it stands; only lists are YAML. */
static int s_override_option(const conf_table_t *table, void *target,
                             const conf_override_t *override, err_t *err)
{
    const conf_key_t *key = conf_find(table, override->key);
    assert(key);
    char name[80];
    (void)snprintf(name, sizeof(name), "--%.70s", override->option);
    walk_t walk = {.name = name, .said_key = override->key, .err = err};
    if (key->type == CONF_LIST)
        return s_load(table, target, &walk, key->key, override->text, strlen(override->text));
    err_t reason = {{0}};
    if (conf_value_set(key, target, override->text, strlen(override->text),
                       key->type == CONF_STRING, &reason) != 0)
        return s_fail(&walk, NULL, reason.text);
    return 0;
}

int conf_override(const conf_table_t *table, void *target, const conf_override_t *override,
                  err_t *err)
{
    if (override->key)
        return s_override_option(table, target, override, err);
    const char *equals = strchr(override->text, '=');
    char name[200];
    char key[PATH_ROOM];
    (void)snprintf(name, sizeof(name), "--%.70s %.120s", override->option, override->text);
    if (!equals || equals == override->text)
        return err_set(err, "%s: expected key=value", name);
    if (strlen(equals + 1) > CONF_MAX_FILE_BYTES)
        return err_set(err, "%s: the value has more than %zu bytes", name, CONF_MAX_FILE_BYTES);
    (void)snprintf(key, sizeof(key), "%.*s", (int)(equals - override->text), override->text);
    walk_t walk = {.name = name, .said_key = key, .err = err};
    const conf_key_t *found = conf_find(table, key);
    if (equals[1] == '\0' && found && found->type == CONF_STRING) {
        err_t reason = {{0}};
        return conf_value_set(found, target, "", 0, true, &reason);
    }
    return s_load(table, target, &walk, key, equals + 1, strlen(equals + 1));
}
