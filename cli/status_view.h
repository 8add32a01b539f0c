/* A REPORT of a server or a relay, for people and for programs. */
#ifndef DROVER_CLI_STATUS_VIEW_H
#define DROVER_CLI_STATUS_VIEW_H

#include <stdio.h>

#include "proto/wire.h"

/* Some lines on the run and a table of the members. What is not known is "-". */
void status_view_print(const wire_t *message, FILE *out);

/* One object and a newline, with the names of docs/protocol.md. What is not known is null. */
void status_view_print_json(const wire_t *message, FILE *out);

#endif
