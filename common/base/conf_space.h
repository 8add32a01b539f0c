/* Reading of CONF_SPACE: a mapping of keys to values to try. Only for conf's own files. */
#ifndef DROVER_BASE_CONF_SPACE_H
#define DROVER_BASE_CONF_SPACE_H

#include "base/conf.h"
#include "base/conf_walk.h"

/* Reads the mapping of a key of that type. Every value is checked as the searched key's own, each
 * by itself. Returns 0 or -1. */
int conf_space_walk(conf_walk_t *walk, conf_frame_t *frame, const conf_key_t *key,
                    yaml_node_t *node);

/* Adds a key of the searched table to frame->space; its frame fills a scratch struct. */
int conf_space_dimension(conf_walk_t *walk, conf_frame_t *frame, const conf_key_t *key,
                         yaml_node_t *node);

void conf_space_clear(conf_space_t *self);

#endif
