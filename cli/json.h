/* The few pieces of JSON that the commands print. */
#ifndef DROVER_CLI_JSON_H
#define DROVER_CLI_JSON_H

#include <stdio.h>

/* A string in quotes, escaped; bytes that are not UTF-8 become U+FFFD. */
void json_print_string(FILE *out, const char *text);

/* The shortest number that reads back to the same double; null for NaN and infinity. */
void json_print_number(FILE *out, double value);

#endif
