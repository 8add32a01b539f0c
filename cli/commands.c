/* See commands.h. */
#include "cli/commands.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "proto/link_chaos.h"

#define MAX_ENTRIES 32   /* of a table */
#define MAX_WORKERS 1024 /* local ones */

void command_table_print(const command_table_t *table, FILE *out)
{
    (void)fprintf(out, "usage: %s COMMAND ...\n\n%sCommands:\n", table->name, table->summary);
    for (int i = 0; i < table->n_entries; i++)
        (void)fprintf(out, "  %-8s  %s\n", table->entries[i].name, table->entries[i].help);
    (void)fprintf(out, "\n`%s COMMAND --help` shows what a command takes.\n", table->name);
}

const command_entry_t *command_table_find(const command_table_t *table, const char *name)
{
    const char *names[MAX_ENTRIES];
    char shown[72];
    assert(table->n_entries <= MAX_ENTRIES);
    for (int i = 0; i < table->n_entries; i++) {
        names[i] = table->entries[i].name;
        if (strcmp(names[i], name) == 0)
            return &table->entries[i];
    }
    const char *nearest = text_nearest(name, names, table->n_entries);
    (void)fprintf(stderr, "%s: unknown command %s", table->name, text_quote(name, shown));
    if (nearest)
        (void)fprintf(stderr, "; did you mean '%s'?", nearest);
    (void)fprintf(stderr, " (see %s --help)\n", table->name);
    return NULL;
}

int command_table_run(const command_table_t *table, int argc, char **argv)
{
    if (argc < 2) {
        command_table_print(table, stderr);
        return STATUS_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        command_table_print(table, stdout);
        return STATUS_OK;
    }
    const command_entry_t *entry = command_table_find(table, argv[1]);
    return entry ? entry->run(argc - 1, argv + 1) : STATUS_USAGE;
}

bool command_begin(const args_command_t *command, int argc, char **argv, args_t *args, int *status)
{
    err_t err = {{0}};
    if (args_parse(command, argc, argv, args, &err) != 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        *status = STATUS_USAGE;
        return false;
    }
    if (args->help) {
        args_help(command, stdout);
        args_clear(args);
        *status = STATUS_OK;
        return false;
    }
    return true;
}

int command_end(const args_command_t *command, args_t *args, int status, const err_t *err)
{
    args_clear(args);
    if (err->text[0])
        (void)fprintf(stderr, "drover %s: %s\n", command->name, err->text);
    return status;
}

static bool s_is_output(const conf_override_t *override)
{
    return override->key ? strcmp(override->key, "output.path") == 0
                         : strncmp(override->text, "output.path=", strlen("output.path=")) == 0;
}

static int s_check_data(const settings_t *settings, err_t *err)
{
    if (!settings->data.path[0] && !settings->data.train_images[0])
        return err_set(err, "no data: give --data DIR, or data.train_images and its like");
    return 0;
}

int command_settings(const args_t *args, const char *resume, settings_t *settings, err_t *err)
{
    char *left = resume ? file_join(resume, "config.yaml") : NULL;
    const char *config = args->n_words ? args->words[0] : left;
    int r = settings_load(settings, config, args->overrides, args->n_overrides, err);
    for (int i = 0; resume && i < args->n_overrides && r == 0; i++)
        if (strcmp(args->overrides[i].option, "init") == 0)
            r = err_set(err,
                        "--init %s begins a training and --resume %s goes on with one; expected "
                        "one of the two",
                        args->overrides[i].text, resume);
    for (int i = 0; resume && i < args->n_overrides && r == 0; i++)
        if (s_is_output(&args->overrides[i]) && strcmp(settings->output.path, resume) != 0)
            r = err_set(err, "--resume %s goes on in that folder; expected no other output",
                        resume);
    if (r == 0 && resume) {
        free(settings->output.path);
        settings->output.path = strdup(resume);
    }
    free(left);
    return r == 0 ? s_check_data(settings, err) : -1;
}

int command_sweep(const args_t *args, const char *path, sweep_t *sweep, settings_t *settings,
                  err_t *err)
{
    if (sweep_load(sweep, path, err) != 0 ||
        sweep_settings(sweep, args, 0, NULL, settings, err) != 0)
        return -1;
    return s_check_data(settings, err);
}

args_option_t command_workers_option(int *n_workers)
{
    return (args_option_t){
        .name = "workers",
        .metavar = "N",
        .help = "Local worker processes (default 1); 0: only those of other machines.",
        .integer = n_workers,
        .min = 0,
        .max = MAX_WORKERS,
    };
}

args_option_t command_resume_option(const char **folder)
{
    return (args_option_t){
        .name = "resume",
        .metavar = "DIR",
        .help = "Go on with the run in DIR, from its newest checkpoint, bit for bit; its "
                "config.yaml is the default CONFIG.",
        .text = folder,
    };
}

args_option_t command_chaos_option(const char **text)
{
    return (args_option_t){
        .name = "chaos",
        .metavar = "PLAN",
        .help = "Rehearse faults: a list, without spaces, of seed=7, drop=0.02, delay=0.05:200ms, "
                "duplicate=0.02 and corrupt=0.01 (the chance of each message that comes in to be "
                "lost, held back, doubled or damaged). See docs/operations.md.",
        .text = text,
    };
}

int command_chaos(const char *text, const char *process, err_t *err)
{
    chaos_t plan;
    char normal[CHAOS_TEXT_SIZE];
    if (!text)
        return 0;
    if (chaos_parse(text, &plan, err) != 0)
        return err_prefix(err, "--chaos");
    if (chaos_of_processes(&plan))
        return err_set(err,
                       "--chaos: %s is done by drover train, which starts its processes again; "
                       "expected drop, delay, duplicate or corrupt",
                       plan.kill > 0 ? "kill" : "stall");
    chaos_format(&plan, normal);
    log_info("chaos.plan", "process=%s plan=%s", process, normal);
    link_chaos_begin(&plan, process);
    return 0;
}
