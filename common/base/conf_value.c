/* See conf_value.h. */
#include "base/conf_value.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf_space.h"
#include "base/text.h"

/* 1000000 rather than 1e+06 for whole numbers, the shortest form for others. */
static const char *s_number(double value, char text[32])
{
    if (value == floor(value) && fabs(value) < 1e15)
        (void)snprintf(text, 32, "%.0f", value);
    else
        text_python_repr(value, text);
    return text;
}

static void s_bounds(const conf_key_t *key, char *out, size_t size)
{
    char low[32];
    char high[32];
    s_number(key->min, low);
    s_number(key->max, high);
    if (key->above_min && key->below_max)
        (void)snprintf(out, size, "above %s and below %s", low, high);
    else if (key->above_min)
        (void)snprintf(out, size, "above %s, at most %s", low, high);
    else if (key->below_max)
        (void)snprintf(out, size, "at least %s and below %s", low, high);
    else
        (void)snprintf(out, size, "%s to %s", low, high);
}

static void s_choices(const conf_key_t *key, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; key->choices[i] && used < size; i++) {
        const char *between = i == 0 ? "" : key->choices[i + 1] ? ", " : " or ";
        used += (size_t)snprintf(out + used, size - used, "%s%s", between, key->choices[i]);
    }
}

void conf_value_expected(const conf_key_t *key, bool bounds_only, char *out, size_t size)
{
    char bounds[160];
    switch (key->type) {
    case CONF_INT:
        s_bounds(key, bounds, sizeof(bounds));
        (void)snprintf(out, size, "%s%s", bounds_only ? "" : "a whole number, ", bounds);
        break;
    case CONF_U64:
        (void)snprintf(out, size, "%s0 to 18446744073709551615",
                       bounds_only ? "" : "a whole number, ");
        break;
    case CONF_REAL:
        s_bounds(key, bounds, sizeof(bounds));
        (void)snprintf(out, size, "%s%s", bounds_only ? "" : "a number, ", bounds);
        break;
    case CONF_BOOL:
        (void)snprintf(out, size, "true or false");
        break;
    case CONF_STRING:
        (void)snprintf(out, size, "text");
        break;
    case CONF_ENUM:
        s_choices(key, out, size);
        break;
    case CONF_LIST:
        (void)snprintf(out, size, "a list of 1 to %.0f items", key->max);
        break;
    case CONF_SPACE:
        (void)snprintf(out, size, "keys with values to try");
        break;
    }
}

/* "'ten' is not a whole number; expected 1 to 100" and the like. */
static int s_refuse(const conf_key_t *key, const char *text, bool quoted, const char *is_what,
                    bool bounds_only, err_t *err)
{
    char expected[200];
    char shown[72];
    char in_quotes[80];
    conf_value_expected(key, bounds_only, expected, sizeof(expected));
    (void)snprintf(in_quotes, sizeof(in_quotes), quoted ? "\"%.70s\"" : "%.70s", text);
    return err_set(err, "%s %s; expected %s", text_quote(in_quotes, shown), is_what, expected);
}

static bool s_is_null(const char *text, bool quoted)
{
    return !quoted &&
           (strcmp(text, "") == 0 || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 ||
            strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0);
}

static int s_set_integer(const conf_key_t *key, void *value, const char *text, bool quoted,
                         err_t *err)
{
    const char *digits = text + (text[0] == '-' || text[0] == '+');
    if (quoted || digits[0] == '\0' || digits[strspn(digits, "0123456789")] != '\0')
        return s_refuse(key, text, quoted, "is not a whole number", true, err);
    errno = 0;
    if (key->type == CONF_U64) {
        unsigned long long number = strtoull(text, NULL, 10);
        if (errno != 0 || text[0] == '-')
            return s_refuse(key, text, quoted, "is out of range", true, err);
        *(uint64_t *)value = number;
        return 0;
    }
    long long number = strtoll(text, NULL, 10);
    if (errno != 0 || (double)number < key->min || (double)number > key->max || number < INT_MIN ||
        number > INT_MAX)
        return s_refuse(key, text, quoted, "is out of range", true, err);
    *(int *)value = (int)number;
    return 0;
}

static int s_set_real(const conf_key_t *key, void *value, const char *text, bool quoted, err_t *err)
{
    char *end;
    double number = strtod(text, &end);
    /* strtod alone would also take spaces, hexadecimal, "inf" and "nan" */
    if (quoted || end == text || *end != '\0' || text[strspn(text, "0123456789+-.eE")] != '\0')
        return s_refuse(key, text, quoted, "is not a number", true, err);
    if (!isfinite(number) || number < key->min || number > key->max ||
        (key->above_min && number == key->min) || (key->below_max && number == key->max))
        return s_refuse(key, text, quoted, "is out of range", true, err);
    *(double *)value = number;
    return 0;
}

static int s_set_bool(const conf_key_t *key, void *value, const char *text, bool quoted, err_t *err)
{
    static const char *const words[] = {"false", "true", "False", "True", "FALSE", "TRUE"};
    for (int i = 0; i < 6 && !quoted; i++) {
        if (strcmp(text, words[i]) == 0) {
            *(bool *)value = i % 2;
            return 0;
        }
    }
    return s_refuse(key, text, quoted, "is neither true nor false", false, err);
}

static int s_set_enum(const conf_key_t *key, void *value, const char *text, err_t *err)
{
    int n_choices = 0;
    for (; key->choices[n_choices]; n_choices++) {
        if (strcmp(text, key->choices[n_choices]) == 0) {
            *(int *)value = n_choices;
            return 0;
        }
    }
    const char *nearest = text_nearest(text, key->choices, n_choices);
    s_refuse(key, text, false, "is not a choice", false, err);
    if (nearest && err) {
        err_t plain = *err;
        err_set(err, "%.600s; did you mean '%s'?", plain.text, nearest);
    }
    return -1;
}

static int s_set_string(void *value, const char *text, size_t n, bool quoted, err_t *err)
{
    const char *source = s_is_null(text, quoted) ? "" : text;
    char shown[72];
    if (strlen(text) != n)
        return err_set(err, "%s has a NUL byte behind it; expected text", text_quote(text, shown));
    unsigned code;
    for (size_t i = 0; i < n;) {
        int step = text_decode_utf8(text + i, n - i, &code);
        if (step == 0)
            return err_set(err, "%s is not valid UTF-8 at byte %zu", text_quote(text, shown), i);
        i += (size_t)step;
    }
    char *copy = strdup(source);
    if (!copy)
        return err_set(err, "out of memory");
    free(*(char **)value);
    *(char **)value = copy;
    return 0;
}

int conf_value_set(const conf_key_t *key, void *target, const char *text, size_t n, bool quoted,
                   err_t *err)
{
    void *value = (char *)target + key->offset;
    if (key->type != CONF_STRING && strlen(text) != n)
        return err_set(err, "the value has a NUL byte in it");
    switch (key->type) {
    case CONF_INT:
    case CONF_U64:
        return s_set_integer(key, value, text, quoted, err);
    case CONF_REAL:
        return s_set_real(key, value, text, quoted, err);
    case CONF_BOOL:
        return s_set_bool(key, value, text, quoted, err);
    case CONF_STRING:
        return s_set_string(value, text, n, quoted, err);
    case CONF_ENUM:
        return s_set_enum(key, value, text, err);
    case CONF_LIST:
    case CONF_SPACE:
        break;
    }
    return s_refuse(key, text, quoted, "is not a list", false, err);
}

void *conf_value_items(const conf_key_t *key, const void *target, int *n_items)
{
    assert(key->type == CONF_LIST);
    void *items;
    memcpy(&items, (const char *)target + key->offset, sizeof(items));
    memcpy(n_items, (const char *)target + key->count_offset, sizeof(*n_items));
    return items;
}

void conf_value_clear(const conf_key_t *key, void *target)
{
    if (key->type == CONF_STRING) {
        char **value = (char **)(void *)((char *)target + key->offset);
        free(*value);
        *value = NULL;
    } else if (key->type == CONF_LIST) {
        int n_items;
        char *items = conf_value_items(key, target, &n_items);
        for (int i = 0; i < n_items; i++)
            conf_clear(key->items, items + (size_t)i * key->items->size);
        free(items);
        memset((char *)target + key->offset, 0, sizeof(void *));
        memset((char *)target + key->count_offset, 0, sizeof(int));
    } else if (key->type == CONF_SPACE)
        conf_space_clear((conf_space_t *)(void *)((char *)target + key->offset));
}

/* Plain where YAML reads it back as the same text, else in double quotes with escapes. */
static void s_print_string(const char *text, FILE *out)
{
    const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@+-";
    size_t n = strlen(text);
    bool first = strchr("/_", text[0]) || ((unsigned)text[0] | 32u) - 'a' < 26u ||
                 (unsigned)text[0] - '0' < 10u;
    if (n > 0 && first && strspn(text, plain) == n && text[n - 1] != ':' &&
        !s_is_null(text, false)) {
        (void)fputs(text, out);
        return;
    }
    (void)fputc('"', out);
    for (size_t i = 0; i < n;) {
        unsigned code = 0;
        int step = text_decode_utf8(text + i, n - i, &code);
        assert(step > 0); /* checked when the value was set */
        bool special = code < 0x20 || (code >= 0x7f && code <= 0xa0) || code == 0x2028 ||
                       code == 0x2029 || code == 0xfeff || code == 0xfffe || code == 0xffff;
        if (special)
            (void)fprintf(out, "\\U%08X", code);
        else
            (void)fprintf(out, "%s%.*s", code == '"' || code == '\\' ? "\\" : "", step, text + i);
        i += (size_t)step;
    }
    (void)fputc('"', out);
}

void conf_value_print(const conf_key_t *key, const void *target, FILE *out)
{
    const void *value = (const char *)target + key->offset;
    char text[32];
    switch (key->type) {
    case CONF_INT:
        (void)fprintf(out, "%d", *(const int *)value);
        break;
    case CONF_U64:
        (void)fprintf(out, "%llu", (unsigned long long)*(const uint64_t *)value);
        break;
    case CONF_REAL:
        (void)fputs(text_python_repr(*(const double *)value, text), out);
        break;
    case CONF_BOOL:
        (void)fputs(*(const bool *)value ? "true" : "false", out);
        break;
    case CONF_STRING:
        s_print_string(*(char *const *)value, out);
        break;
    case CONF_ENUM:
        (void)fputs(key->choices[*(const int *)value], out);
        break;
    case CONF_LIST:
    case CONF_SPACE:
        assert(false);
        break;
    }
}
