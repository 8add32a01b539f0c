/* The table as text: the effective configuration and --help. See conf.h. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/conf.h"
#include "base/conf_value.h"
#include "base/text.h"

#define HELP_COLUMN 34
#define LINE_WIDTH  98

char *conf_describe(const conf_key_t *key, char *out, size_t size)
{
    char expected[200] = "";
    if (key->type != CONF_STRING && key->type != CONF_LIST && key->type != CONF_U64)
        conf_value_expected(key, true, expected, sizeof(expected));
    bool default_said = key->type == CONF_STRING && key->initial && key->initial[0] == '\0';
    size_t used = (size_t)snprintf(out, size, "%s", key->help);
    const char *between = " (";
    if (expected[0] && used < size) {
        used += (size_t)snprintf(out + used, size - used, "%s%s%s%s", between, expected,
                                 key->unit ? " " : "", key->unit ? key->unit : "");
        between = "; ";
    }
    if (key->initial && !default_said && used < size) {
        used += (size_t)snprintf(out + used, size - used, "%sdefault %s", between, key->initial);
        between = "; ";
    }
    if (between[0] == ';' && used < size)
        (void)snprintf(out + used, size - used, ")");
    return out;
}

static void s_write_item(const conf_table_t *table, const void *item, FILE *out)
{
    for (int k = 0; k < table->n_keys; k++) {
        (void)fprintf(out, "%s%s: ", k == 0 ? "{" : ", ", table->keys[k].key);
        conf_value_print(&table->keys[k], item, out);
    }
    (void)fputc('}', out);
}

void conf_write(const conf_table_t *table, const void *target, FILE *out)
{
    const char *last = "";
    for (int i = 0; i < table->n_keys; i++) {
        const conf_key_t *key = &table->keys[i];
        /* open the sections that this key has and the one before it has not */
        size_t same = 0;
        for (size_t p = 0; key->key[p] && key->key[p] == last[p]; p++)
            if (key->key[p] == '.')
                same = p + 1;
        int depth = 0;
        for (size_t p = 0; p < same; p++)
            depth += key->key[p] == '.';
        const char *word = key->key + same;
        for (const char *dot; (dot = strchr(word, '.')); word = dot + 1) {
            (void)fprintf(out, "%s%*s%.*s:\n", depth == 0 && i > 0 ? "\n" : "", 2 * depth, "",
                          (int)(dot - word), word);
            depth++;
        }
        char text[768];
        char lead[24];
        conf_describe(key, text, sizeof(text));
        int n_lead = snprintf(lead, sizeof(lead), "%*s# ", 2 * depth, "");
        (void)fputs(lead, out);
        text_wrap(out, text, n_lead, lead, LINE_WIDTH);
        (void)fprintf(out, "\n%*s%s:", 2 * depth, "", word);
        if (key->type == CONF_LIST) {
            int n_items;
            const char *items = conf_value_items(key, target, &n_items);
            for (int j = 0; j < n_items; j++) {
                (void)fprintf(out, "\n%*s- ", 2 * depth + 2, "");
                s_write_item(key->items, items + (size_t)j * key->items->size, out);
            }
        } else {
            (void)fputc(' ', out);
            conf_value_print(key, target, out);
        }
        (void)fputc('\n', out);
        last = key->key;
    }
}

/* What stands for a value of the key in --help. */
static const char *s_metavar(const conf_key_t *key)
{
    switch (key->type) {
    case CONF_INT:
    case CONF_U64:
        return "N";
    case CONF_REAL:
        return "X";
    case CONF_BOOL:
        return "BOOL";
    case CONF_STRING:
        return "TEXT";
    case CONF_ENUM:
        return "WORD";
    case CONF_LIST:
    case CONF_SPACE:
        return "[...]";
    }
    return "";
}

void conf_help(const conf_table_t *table, FILE *out)
{
    char lead[HELP_COLUMN + 1];
    memset(lead, ' ', HELP_COLUMN);
    lead[HELP_COLUMN] = '\0';
    for (int i = 0; i < table->n_keys; i++) {
        const conf_key_t *key = &table->keys[i];
        char text[768];
        conf_describe(key, text, sizeof(text));
        int n = fprintf(out, "  %s=%s", key->key, s_metavar(key));
        if (n >= HELP_COLUMN - 1) {
            (void)fprintf(out, "\n%s", lead);
            n = HELP_COLUMN;
        }
        (void)fprintf(out, "%*s", HELP_COLUMN - n, "");
        text_wrap(out, text, HELP_COLUMN, lead, LINE_WIDTH);
        (void)fputc('\n', out);
    }
}
