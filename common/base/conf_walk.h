/* The walk through a YAML document, each mapping against a frame: the struct that it fills and what
 * has been set there already. The walk is bounded by the table: it goes down only where the table
 * has keys, and a node that is reached twice (an alias) is refused, so that nothing can expand or
 * recurse without end. Only for conf's own files, and the only header that knows the YAML library.
 */
#ifndef DROVER_BASE_CONF_WALK_H
#define DROVER_BASE_CONF_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

#include "base/conf.h"
#include "base/err.h"

#define CONF_PATH_ROOM 256

/* Where a document comes from and how its errors begin. */
typedef struct {
    yaml_document_t *document;
    bool *reached;        /* by node index */
    const char *name;     /* the file or "--set key=value" */
    bool is_file;         /* then lines are named too */
    const char *said_key; /* the key that `name` says already; may be NULL */
    err_t *err;
} conf_walk_t;

/* One struct that is being filled. */
typedef struct {
    const conf_table_t *table;
    void *target;
    char shown[CONF_PATH_ROOM]; /* stands before its keys in messages: "model.layers[1]." */
    int lines[CONF_MAX_KEYS];   /* where each key was set; 0 = not yet */
    conf_space_t *space;        /* its keys are searched over, not set; NULL: set */
} conf_frame_t;

/* Sets the walk's error: the message behind file:line of the node (NULL: of none) or the option.
 * Returns -1. */
int conf_walk_fail(conf_walk_t *walk, const yaml_node_t *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As conf_walk_fail, naming the key, too, unless it is said already. */
int conf_walk_fail_at(conf_walk_t *walk, const yaml_node_t *node, const char *path,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A node by the index that others name it with; borrowed from the document. */
yaml_node_t *conf_walk_node(conf_walk_t *walk, int index);

/* The line of the file, from 1, on which the node begins. */
int conf_walk_line(const yaml_node_t *node);

/* "a mapping", "a list", "a single value". */
const char *conf_walk_kind(const yaml_node_t *node);

/* Marks the node; a second visit means an alias, and is an error. Returns 0 or -1. */
int conf_walk_reach(conf_walk_t *walk, const yaml_node_t *node);

/* Do keys of the table stand below this one? */
bool conf_walk_is_section(const conf_table_t *table, const char *path);

/* The error of a key that the table has not: names the nearest. Returns -1. */
int conf_walk_unknown(conf_walk_t *walk, const conf_frame_t *frame, const char *path,
                      const yaml_node_t *key, const yaml_node_t *value);

/* Goes through the mapping, reached before, whose keys stand below `prefix` of the frame's table.
 * Returns 0 or -1. */
int conf_walk_mapping(conf_walk_t *walk, conf_frame_t *frame, const char *prefix,
                      yaml_node_t *node);

/* Sets the frame's key from the node, reached before. Returns 0 or -1. */
int conf_walk_value(conf_walk_t *walk, conf_frame_t *frame, const conf_key_t *key,
                    const yaml_node_t *key_node, yaml_node_t *node);

/* Parses one document and walks it with a fresh frame. `below` is the dotted key that the
 * document's root stands for; "" for a whole file. Returns 0 or -1. */
int conf_walk_text(const conf_table_t *table, void *target, conf_walk_t *walk, const char *below,
                   const char *text, size_t size);

#endif
