/* The program: one table of subcommands. Each lives in its own cmd_<name>.c. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log_limit.h"
#include "base/text.h"
#include "cli/commands.h"

typedef struct {
    const char *name;
    const char *help;
    int (*run)(int argc, char **argv);
} command_t;

static int s_help(int argc, char **argv);
static int s_version(int argc, char **argv);

static const command_t s_commands[] = {
    {"train", "train with a server and local workers, all on this machine", cmd_train},
    {"sweep", "train with many settings and find the best", cmd_sweep},
    {"server", "the parameter server alone", cmd_server},
    {"worker", "compute gradients for a server, anywhere", cmd_worker},
    {"status", "how a server or a relay and its members are doing", cmd_status},
    {"relay", "stand between a server and many workers", cmd_relay},
    {"data", "fetch MNIST, draw digits, describe or convert a data set", cmd_data},
    {"evaluate", "cost, accuracy and confusion of a model on a data set", cmd_evaluate},
    {"predict", "classify single images with a model", cmd_predict},
    {"export", "write a model as ONNX, for other programs", cmd_export},
    {"import", "make a model of weights of another program", cmd_import},
    {"bench", "measure what a step costs", cmd_bench},
    {"plot", "draw the pictures of a run again", cmd_plot},
    {"version", "print the version", s_version},
    {"help", "print this help, or that of a command", s_help},
};

#define N_COMMANDS ((int)(sizeof(s_commands) / sizeof(s_commands[0])))

static void s_usage(FILE *out)
{
    (void)fputs("usage: drover COMMAND ...\n\n"
                "Trains neural networks on many machines, with the same bits for any number of "
                "them.\n\nCommands:\n",
                out);
    for (int i = 0; i < N_COMMANDS; i++)
        (void)fprintf(out, "  %-10s  %s\n", s_commands[i].name, s_commands[i].help);
    (void)fputs("\n`drover COMMAND --help` shows what a command takes.\n", out);
}

/* The command of that name; NULL after a line on stderr that names the nearest. */
static const command_t *s_find(const char *name)
{
    const char *names[N_COMMANDS];
    for (int i = 0; i < N_COMMANDS; i++) {
        if (strcmp(s_commands[i].name, name) == 0)
            return &s_commands[i];
        names[i] = s_commands[i].name;
    }
    char shown[72];
    const char *nearest = text_nearest(name, names, N_COMMANDS);
    (void)fprintf(stderr, "drover: unknown command %s", text_quote(name, shown));
    if (nearest)
        (void)fprintf(stderr, "; did you mean '%s'?", nearest);
    (void)fputs(" (see drover --help)\n", stderr);
    return NULL;
}

static int s_help(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "version") == 0 ||
        argv[1][0] == '-') {
        s_usage(stdout);
        return STATUS_OK;
    }
    const command_t *command = s_find(argv[1]);
    if (!command)
        return STATUS_USAGE;
    char option[] = "--help";
    char *words[] = {argv[1], option, NULL};
    return command->run(2, words);
}

static int s_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    (void)puts("drover " DROVER_VERSION);
    return STATUS_OK;
}

static int s_run(int argc, char **argv)
{
    if (argc < 2) {
        s_usage(stderr);
        return STATUS_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return s_help(1, argv + 1);
    if (strcmp(argv[1], "--version") == 0)
        return s_version(1, argv + 1);
    const command_t *command = s_find(argv[1]);
    return command ? command->run(argc - 1, argv + 1) : STATUS_USAGE;
}

/* A standard stream that is closed would be the number of the next file that is opened, and that
 * file get what is meant for people. */
static void s_open_standard_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    s_open_standard_streams();
    int status = s_run(argc, argv);
    log_limit_flush();
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == STATUS_OK) {
        perror("drover: cannot write to standard output");
        return STATUS_FAILURE;
    }
    return status;
}
