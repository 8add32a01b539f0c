/* The program: one table of subcommands. Each lives in its own cmd_<name>.c. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/log_limit.h"
#include "cli/commands.h"

static int s_help(int argc, char **argv);
static int s_version(int argc, char **argv);

static const command_entry_t s_entries[] = {
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

static const command_table_t s_table = {
    .name = "drover",
    .summary = "Trains neural networks on many machines, with the same bits for any number of "
               "them.\n\n",
    .entries = s_entries,
    .n_entries = ARRAY_COUNT(s_entries),
};

static int s_help(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "version") == 0 ||
        argv[1][0] == '-') {
        command_table_print(&s_table, stdout);
        return STATUS_OK;
    }
    const command_entry_t *entry = command_table_find(&s_table, argv[1]);
    if (!entry)
        return STATUS_USAGE;
    char option[] = "--help";
    char *words[] = {argv[1], option, NULL};
    return entry->run(2, words);
}

static int s_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    (void)puts("drover " DROVER_VERSION);
    return STATUS_OK;
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

static char s_out_of_memory[64];

static void s_on_abort(int signal)
{
    (void)signal;
    if (errno == ENOMEM && write(STDERR_FILENO, s_out_of_memory, strlen(s_out_of_memory)) < 0)
        return; /* nobody to tell */
}

/* What finds no memory calls abort(), which says nothing. */
static void s_name_aborts(const char *command)
{
    struct sigaction action = {.sa_handler = s_on_abort};
    (void)snprintf(s_out_of_memory, sizeof(s_out_of_memory), "drover %.20s: out of memory\n",
                   command);
    sigaction(SIGABRT, &action, NULL);
}

int main(int argc, char **argv)
{
    s_open_standard_streams();
    s_name_aborts(argc > 1 ? argv[1] : "");
    bool version = argc > 1 && strcmp(argv[1], "--version") == 0;
    int status = version ? s_version(1, argv + 1) : command_table_run(&s_table, argc, argv);
    log_limit_flush();
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == STATUS_OK) {
        perror("drover: cannot write to standard output");
        return STATUS_FAILURE;
    }
    return status;
}
