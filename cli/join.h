/* What the commands that join a server have in common: who they are, a local copy of the data, and
 * the life of their actor.
 */
#ifndef DROVER_CLI_JOIN_H
#define DROVER_CLI_JOIN_H

#include "base/args.h"
#include "base/err.h"
#include "cli/commands.h"
#include "data/dataset.h"
#include "proto/wire.h"
#include "workers/actor.h"

/* As the command line gave them. */
typedef struct {
    const char *name;   /* NULL: HOST-PID */
    const char *folder; /* of the data; NULL: fetched from the server */
    const char *level;
    const char *chaos; /* faults to rehearse; NULL: none */
    int rows;
    int patience_s; /* 0: no end */
} join_options_t;

/* The options of these commands, as elements of an array of args_option_t. */
#define JOIN_OPTIONS(o)                                                                            \
    {.name = "name",                                                                               \
     .metavar = "NAME",                                                                            \
     .help = "How the server names it in its log (default: HOST-PID).",                            \
     .text = &(o)->name},                                                                          \
        {.name = "data",                                                                           \
         .metavar = "DIR",                                                                         \
         .help = "A local copy of the training data, instead of fetching rows from the server, "   \
                 "which checks that it is the same.",                                              \
         .text = &(o)->folder},                                                                    \
        {.name = "rows",                                                                           \
         .metavar = "N",                                                                           \
         .help = "Only the first N rows of --data, where the server's data.train_rows is N.",      \
         .integer = &(o)->rows,                                                                    \
         .min = 1,                                                                                 \
         .max = INT_MAX},                                                                          \
        {.name = "patience",                                                                       \
         .metavar = "SECONDS",                                                                     \
         .help = "End with status 1 when the server was silent for so long (default: wait for "    \
                 "ever).",                                                                         \
         .integer = &(o)->patience_s,                                                              \
         .min = 1,                                                                                 \
         .max = 1000000},                                                                          \
        {.name = "log-level",                                                                      \
         .metavar = "LEVEL",                                                                       \
         .help = "debug, info, warn or error (default info).",                                     \
         .text = &(o)->level},                                                                     \
        command_chaos_option(&(o)->chaos)

/* Sets the log level and the faults to rehearse, fills the name and loads the data (NULL when there
 * is none to load; else the caller's). Returns a status of commands.h: STATUS_OK, or another with
 * *err. */
int join_begin(const join_options_t *options, char name[WIRE_NAME_SIZE], dataset_t **data,
               err_t *err);

/* Runs the actor to its end, on a signal (signals_open's descriptor) by telling it to leave.
 * Returns the command's status, with *err after a failure. */
int join_run(actor_t *actor, int signals, err_t *err);

#endif
