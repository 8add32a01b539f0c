/* The table itself: defaults, clearing, looking up keys. See conf.h. */
#include <assert.h>
#include <string.h>

#include "base/conf.h"
#include "base/conf_value.h"
#include "base/text.h"

void conf_init(const conf_table_t *table, void *target)
{
    memset(target, 0, table->size);
    for (int i = 0; i < table->n_keys; i++) {
        const conf_key_t *key = &table->keys[i];
        if (key->type == CONF_SPACE)
            continue;         /* empty */
        assert(key->initial); /* of a whole struct every key has a default */
        const conf_override_t initial = {
            .option = "default", .key = key->key, .text = key->initial};
        int r = conf_override(table, target, &initial, NULL);
        assert(r == 0); /* the table is ours; test_settings loads it */
        (void)r;
    }
}

void conf_clear(const conf_table_t *table, void *target)
{
    for (int i = 0; i < table->n_keys; i++)
        conf_value_clear(&table->keys[i], target);
    memset(target, 0, table->size);
}

const conf_key_t *conf_find(const conf_table_t *table, const char *key)
{
    for (int i = 0; i < table->n_keys; i++)
        if (strcmp(table->keys[i].key, key) == 0)
            return &table->keys[i];
    return NULL;
}

/* The part behind the last dot. */
static const char *s_last_word(const char *key)
{
    const char *dot = strrchr(key, '.');
    return dot ? dot + 1 : key;
}

const char *conf_nearest(const conf_table_t *table, const char *key)
{
    const char *words[CONF_MAX_KEYS];
    assert(table->n_keys <= CONF_MAX_KEYS);
    for (int i = 0; i < table->n_keys; i++)
        words[i] = table->keys[i].key;
    const char *nearest = text_nearest(key, words, table->n_keys);
    if (nearest)
        return nearest;
    for (int i = 0; i < table->n_keys; i++)
        words[i] = s_last_word(table->keys[i].key);
    nearest = text_nearest(s_last_word(key), words, table->n_keys);
    for (int i = 0; nearest && i < table->n_keys; i++)
        if (words[i] == nearest)
            return table->keys[i].key;
    return NULL;
}
