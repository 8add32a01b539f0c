/* drover status: how a server or a relay is doing, asked on its control plane. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/signals.h"
#include "cli/status_view.h"
#include "proto/host.h"
#include "proto/link.h"

#define ASK_MS   250  /* messages may be lost */
#define WATCH_MS 1000 /* between an answer and the next question */

typedef struct {
    const char *endpoint;
    int timeout_s;
    bool watch;
    bool json;
    bool terminal; /* --watch draws over what it drew before */
} options_t;

/* The text's lines that fit into the window, from its upper left corner on. */
static void s_redraw(const char *text)
{
    struct winsize window = {0};
    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &window);
    int lines = window.ws_row > 1 ? window.ws_row - 1 : 24;
    int columns = window.ws_col > 0 ? window.ws_col : 80;
    (void)fputs("\033[H", stdout);
    for (int i = 0; i < lines && *text; i++) {
        int length = (int)strcspn(text, "\n");
        (void)printf("%.*s\033[K\n", length < columns ? length : columns, text);
        text += length + (text[length] == '\n');
    }
    (void)fputs("\033[J", stdout);
}

/* Returns 0, or -1 when nobody reads standard output any more. */
static int s_show(const options_t *options, const wire_t *report)
{
    if (options->json) {
        status_view_print_json(report, stdout);
    } else if (!options->terminal) {
        status_view_print(report, stdout);
        (void)fputs(options->watch ? "\n" : "", stdout);
    } else {
        char *text = NULL;
        size_t size = 0;
        FILE *stream = open_memstream(&text, &size);
        if (!stream)
            abort();
        status_view_print(report, stream);
        if (fclose(stream) != 0)
            abort();
        s_redraw(text);
        free(text);
    }
    return fflush(stdout);
}

/* Nobody answered as expected; `other` says what came instead, if anything. */
static int s_no_report(const options_t *options, const char *other, err_t *err)
{
    err_t unknown;
    if (!other && host_lookup(options->endpoint, &unknown) != 0)
        other = unknown.text;
    err_set(err,
            "%s: no report within %d s%s%s; expected the control endpoint of a running server "
            "or relay",
            options->endpoint, options->timeout_s, other ? ", but " : "", other ? other : "");
    return STATUS_FAILURE;
}

/* Returns the exit status; with a failure also *err. */
static int s_run(const options_t *options, link_t *link, int signals, wire_t *in, err_t *err)
{
    const wire_t status = {.type = WIRE_STATUS};
    const char *other = NULL;
    bool asked = false; /* and not answered */
    int64_t ask_ms = clock_ms();
    int64_t deadline_ms = ask_ms + options->timeout_s * 1000;
    for (;;) {
        int signal = signals_take(signals);
        if (signal)
            return signals_status(signal);
        int64_t now_ms = clock_ms();
        if (now_ms >= deadline_ms)
            return s_no_report(options, other, err);
        if (now_ms >= ask_ms) {
            (void)link_send(link, NULL, &status, NULL);
            asked = true;
            ask_ms = now_ms + ASK_MS;
        }
        link_wait(link, signals, (int)(ask_ms - now_ms));
        wire_peer_t peer;
        frame_t frame = {.present = false};
        wire_status_t seen;
        if (!link_receive(link, &peer, in, &frame, &seen))
            continue;
        frame_clear(&frame);
        if (seen == WIRE_BAD_VERSION) {
            err_set(err, "%s: speaks protocol version %u, expected %u", options->endpoint,
                    in->version, WIRE_VERSION);
            return STATUS_FAILURE;
        }
        if (seen != WIRE_OK || in->type != WIRE_REPORT) {
            other = seen != WIRE_OK ? wire_status_text(seen) : wire_type_name(in->type);
            continue;
        }
        if (!asked)
            continue; /* a second answer to what was asked twice */
        if (s_show(options, in) != 0 || !options->watch)
            return STATUS_OK;
        asked = false;
        other = NULL;
        ask_ms = clock_ms() + WATCH_MS;
        deadline_ms = ask_ms + options->timeout_s * 1000;
    }
}

int cmd_status(int argc, char **argv)
{
    options_t asked = {.timeout_s = 5};
    const args_option_t options[] = {
        {.name = "watch",
         .help = "Go on, once a second, until Ctrl-C or until there is no answer.",
         .flag = &asked.watch},
        {.name = "json",
         .help = "Print one JSON object, with --watch one a line.",
         .flag = &asked.json},
        {.name = "timeout",
         .metavar = "SECONDS",
         .help = "How long to wait for an answer (default 5).",
         .integer = &asked.timeout_s,
         .min = 1,
         .max = 86400},
    };
    const args_command_t command = {
        .name = "status",
        .words = "ENDPOINT",
        .summary = "Asks the server or relay at ENDPOINT, its control endpoint, how the training "
                   "is going, and\nprints it with a table of its members: workers, and relays that "
                   "stand for workers of their own.",
        .options = options,
        .n_options = ARRAY_COUNT(options),
        .min_words = 1,
        .max_words = 1,
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    wire_t in = {0};
    int signals = signals_open(false);
    asked.endpoint = args.words[0];
    asked.terminal = asked.watch && !asked.json && isatty(STDOUT_FILENO);
    link_init();
    link_t *link = link_connect(LINK_CONTROL_GUEST, asked.endpoint, 0, &err);
    status = link ? s_run(&asked, link, signals, &in, &err) : STATUS_FAILURE;
    link_destroy(&link);
    wire_clear(&in);
    close(signals);
    return command_end(&command, &args, status, &err);
}
