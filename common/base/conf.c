/* See conf.h. Text into documents, which conf_walk goes through. */
#include "base/conf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf_value.h"
#include "base/conf_walk.h"
#include "base/file.h"
#include "base/text.h"

static int s_parser_failed(conf_walk_t *walk, const yaml_parser_t *parser, const char *text,
                           size_t size)
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

/* Walks the tree of a document; `root` is NULL in an empty one. */
static int s_walk_root(const conf_table_t *table, void *target, conf_walk_t *walk,
                       const char *below, yaml_node_t *root)
{
    const conf_key_t *key = conf_find(table, below);
    if (!root)
        return key ? conf_walk_fail(walk, NULL, "the value is missing") : 0;
    if (conf_walk_reach(walk, root) != 0)
        return -1;
    conf_frame_t *frame = calloc(1, sizeof(*frame));
    if (!frame)
        return conf_walk_fail(walk, NULL, "out of memory");
    frame->table = table;
    frame->target = target;
    int r;
    if (key)
        r = conf_walk_value(walk, frame, key, root, root);
    else if (below[0] == '\0' || conf_walk_is_section(table, below))
        r = conf_walk_mapping(walk, frame, below, root);
    else
        r = conf_walk_unknown(walk, frame, below, root, root);
    free(frame);
    return r;
}

int conf_walk_text(const conf_table_t *table, void *target, conf_walk_t *walk, const char *below,
                   const char *text, size_t size)
{
    int r = -1;
    yaml_parser_t parser;
    yaml_document_t document;
    yaml_document_t second;
    bool have_document = false;
    bool have_second = false;
    assert(table->n_keys <= CONF_MAX_KEYS);
    if (!yaml_parser_initialize(&parser))
        return conf_walk_fail(walk, NULL, "out of memory");
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
        conf_walk_fail(walk, NULL, "out of memory");
        goto out;
    }
    if (root) {
        have_second = yaml_parser_load(&parser, &second);
        if (!have_second) {
            s_parser_failed(walk, &parser, text, size);
            goto out;
        }
        if (yaml_document_get_root_node(&second)) {
            conf_walk_fail(walk, yaml_document_get_root_node(&second),
                           "a second YAML document; expected one");
            goto out;
        }
    }
    r = s_walk_root(table, target, walk, below, root);
out:
    free(walk->reached);
    walk->reached = NULL;
    walk->document = NULL;
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
    conf_walk_t walk = {.name = name, .is_file = true, .err = err};
    if (size > CONF_MAX_FILE_BYTES)
        return err_set(err, "%s: %zu bytes; expected at most %zu", name, size, CONF_MAX_FILE_BYTES);
    return conf_walk_text(table, target, &walk, "", text, size);
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
    conf_walk_t walk = {.name = name, .said_key = override->key, .err = err};
    if (key->type == CONF_LIST)
        return conf_walk_text(table, target, &walk, key->key, override->text,
                              strlen(override->text));
    err_t reason = {{0}};
    if (conf_value_set(key, target, override->text, strlen(override->text),
                       key->type == CONF_STRING, &reason) != 0)
        return conf_walk_fail(&walk, NULL, "%s", reason.text);
    return 0;
}

int conf_override(const conf_table_t *table, void *target, const conf_override_t *override,
                  err_t *err)
{
    if (override->key)
        return s_override_option(table, target, override, err);
    const char *equals = strchr(override->text, '=');
    char name[200];
    char key[CONF_PATH_ROOM];
    (void)snprintf(name, sizeof(name), "--%.70s %.120s", override->option, override->text);
    if (!equals || equals == override->text)
        return err_set(err, "%s: expected key=value", name);
    if (strlen(equals + 1) > CONF_MAX_FILE_BYTES)
        return err_set(err, "%s: the value has more than %zu bytes", name, CONF_MAX_FILE_BYTES);
    (void)snprintf(key, sizeof(key), "%.*s", (int)(equals - override->text), override->text);
    conf_walk_t walk = {.name = name, .said_key = key, .err = err};
    const conf_key_t *found = conf_find(table, key);
    if (equals[1] == '\0' && found && found->type == CONF_STRING) {
        err_t reason = {{0}};
        return conf_value_set(found, target, "", 0, true, &reason);
    }
    return conf_walk_text(table, target, &walk, key, equals + 1, strlen(equals + 1));
}
