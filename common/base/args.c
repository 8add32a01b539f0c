/* See args.h. */
#include "base/args.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define OPTION_COLUMN 26
#define LINE_WIDTH    98

/* What every command has, behind its own options. */
static const args_option_t s_set = {
    .name = "set", .metavar = "KEY=VALUE", .help = "Set any key below; may be repeated"};
static const args_option_t s_help = {.name = "help", .help = "Show this help"};

static bool s_is(const args_option_t *option, const char *name, size_t n)
{
    return strlen(option->name) == n && strncmp(option->name, name, n) == 0;
}

static const args_option_t *s_find(const args_command_t *command, const char *name, size_t n)
{
    for (int i = 0; i < command->n_options; i++)
        if (s_is(&command->options[i], name, n))
            return &command->options[i];
    if (command->settings && s_is(&s_set, name, n))
        return &s_set;
    return s_is(&s_help, name, n) ? &s_help : NULL;
}

__attribute__((format(printf, 3, 4))) static int s_fail(const args_command_t *command, err_t *err,
                                                        const char *format, ...)
{
    err_t message;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message.text, sizeof(message.text), format, args);
    va_end(args);
    return err_set(err, "drover %s: %s (see drover %s --help)", command->name, message.text,
                   command->name);
}

static int s_unknown(const args_command_t *command, const char *word, size_t n, err_t *err)
{
    const char *names[ARGS_MAX_OPTIONS + 2];
    int n_names = 0;
    assert(command->n_options <= ARGS_MAX_OPTIONS);
    for (int i = 0; i < command->n_options; i++)
        names[n_names++] = command->options[i].name;
    if (command->settings)
        names[n_names++] = s_set.name;
    names[n_names++] = s_help.name;

    char name[80];
    char shown[72];
    (void)snprintf(name, sizeof(name), "%.*s", (int)(n < 70 ? n : 70), word);
    const char *bare = name + strspn(name, "-");
    const char *nearest = text_nearest(bare, names, n_names);
    /* --training.steps is a settings key, not an option */
    const conf_key_t *key = command->settings ? conf_find(command->settings, bare) : NULL;
    text_quote(name, shown);
    if (key)
        return s_fail(command, err, "unknown option %s; did you mean '--set %s=...'?", shown,
                      key->key);
    if (nearest)
        return s_fail(command, err, "unknown option %s; did you mean '--%s'?", shown, nearest);
    return s_fail(command, err, "unknown option %s", shown);
}

static int s_take_integer(const args_command_t *command, const args_option_t *option,
                          const char *value, err_t *err)
{
    char shown[72];
    char *end;
    long number = strtol(value, &end, 10); /* clamps what a long cannot hold */
    bool whole = end != value && !*end && strspn(value, "+-0123456789") == strlen(value);
    if (!whole || number < option->min || number > option->max)
        return s_fail(command, err, "--%s: %s is %s; expected %d to %d", option->name,
                      text_quote(value, shown), whole ? "out of range" : "not a whole number",
                      option->min, option->max);
    *option->integer = (int)number;
    return 0;
}

static int s_take_numbers(const args_command_t *command, const args_option_t *option,
                          const char *value, err_t *err)
{
    char shown[72];
    char *end;
    int n = 0;
    for (const char *at = value;; at = end + 1) {
        long number = strtol(at, &end, 10);
        if (end == at || at[0] < '0' || at[0] > '9' || number < option->min ||
            number > option->max || (*end && *end != ',') || n == ARGS_MAX_NUMBERS)
            return s_fail(command, err,
                          "--%s: %s, expected up to %d numbers from %d to %d with commas between "
                          "them",
                          option->name, text_quote(value, shown), ARGS_MAX_NUMBERS, option->min,
                          option->max);
        option->numbers->values[n++] = (uint32_t)number;
        if (!*end)
            break;
    }
    option->numbers->n = n;
    return 0;
}

/* Takes an option's value; `value` is NULL for those without. */
static int s_take(const args_command_t *command, const args_option_t *option, const char *value,
                  args_t *args, err_t *err)
{
    if (option == &s_set) {
        args->overrides[args->n_overrides++] =
            (conf_override_t){.option = s_set.name, .text = value};
    } else if (option->key) {
        args->overrides[args->n_overrides++] = (conf_override_t){
            .option = option->name, .key = option->key, .text = value ? value : "true"};
    } else if (option->flag) {
        *option->flag = true;
    } else if (option->integer) {
        assert(value); /* an option with an integer has a metavar, as one with numbers */
        return s_take_integer(command, option, value, err);
    } else if (option->numbers) {
        assert(value);
        return s_take_numbers(command, option, value, err);
    } else {
        *option->text = value;
    }
    return 0;
}

/* Handles the option at argv[*at]; leaves *at on its last word. */
static int s_option(const args_command_t *command, int argc, char **argv, int *at, args_t *args,
                    err_t *err)
{
    const char *word = argv[*at];
    const char *equals = strchr(word, '=');
    size_t n = equals ? (size_t)(equals - word) : strlen(word);
    if (strcmp(word, "-h") == 0) {
        args->help = true;
        return 0;
    }
    const args_option_t *option = n > 2 && word[1] == '-' ? s_find(command, word + 2, n - 2) : NULL;
    if (!option)
        return s_unknown(command, word, n, err);
    if (!option->metavar && equals)
        return s_fail(command, err, "option '--%s' takes no value", option->name);
    if (option == &s_help) {
        args->help = true;
        return 0;
    }
    const char *value = equals ? equals + 1 : NULL;
    if (option->metavar && !value) {
        if (*at + 1 >= argc)
            return s_fail(command, err, "option '--%s' needs a value %s", option->name,
                          option->metavar);
        value = argv[++*at];
    }
    return s_take(command, option, value, args, err);
}

int args_parse(const args_command_t *command, int argc, char **argv, args_t *args, err_t *err)
{
    int r = -1;
    char shown[72];
    memset(args, 0, sizeof(*args));
    args->overrides = calloc((size_t)argc + 1, sizeof(*args->overrides));
    args->words = calloc((size_t)argc + 1, sizeof(*args->words));
    if (!args->overrides || !args->words) {
        s_fail(command, err, "out of memory");
        goto out;
    }
    bool options_ended = false;
    for (int i = 1; i < argc && !args->help; i++) {
        if (!options_ended && strcmp(argv[i], "--") == 0) {
            options_ended = true;
        } else if (options_ended || argv[i][0] != '-' || argv[i][1] == '\0') {
            args->words[args->n_words++] = argv[i];
        } else if (s_option(command, argc, argv, &i, args, err) != 0) {
            goto out;
        }
    }
    if (!args->help && args->n_words > command->max_words) {
        s_fail(command, err, "unexpected word %s; expected %s",
               text_quote(args->words[command->max_words], shown),
               command->max_words == 0 ? "only options" : command->words);
        goto out;
    }
    if (!args->help && args->n_words < command->min_words) {
        s_fail(command, err, "too few words; expected %s", command->words);
        goto out;
    }
    r = 0;
out:
    if (r != 0)
        args_clear(args);
    return r;
}

void args_clear(args_t *args)
{
    free(args->overrides);
    free(args->words);
    memset(args, 0, sizeof(*args));
}

static void s_help_option(const args_command_t *command, const args_option_t *option, FILE *out)
{
    char text[768];
    char head[128];
    char lead[OPTION_COLUMN + 1];
    if (option->help)
        (void)snprintf(text, sizeof(text), "%s", option->help);
    else
        conf_describe(conf_find(command->settings, option->key), text, sizeof(text));
    (void)snprintf(lead, sizeof(lead), "%*s", OPTION_COLUMN, "");
    (void)snprintf(head, sizeof(head), "--%s%s%s", option->name, option->metavar ? " " : "",
                   option->metavar ? option->metavar : "");
    (void)fprintf(out, "  %-*s", OPTION_COLUMN - 2, head);
    if (strlen(head) >= OPTION_COLUMN - 2)
        (void)fprintf(out, "\n%s", lead);
    text_wrap(out, text, OPTION_COLUMN, lead, LINE_WIDTH);
    (void)fputc('\n', out);
}

void args_help(const args_command_t *command, FILE *out)
{
    (void)fprintf(out, "usage: drover %s%s%s [options]\n\n%s\n\nOptions:\n", command->name,
                  command->words[0] ? " " : "", command->words, command->summary);
    for (int i = 0; i < command->n_options; i++)
        s_help_option(command, &command->options[i], out);
    if (command->settings)
        s_help_option(command, &s_set, out);
    s_help_option(command, &s_help, out);
    if (command->settings) {
        (void)fputs(
            "\nSettings, in a YAML file or by --set (default < file < --set and options):\n", out);
        conf_help(command->settings, out);
    }
}
