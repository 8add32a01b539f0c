/* See status_view.h. */
#include "cli/status_view.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "cli/json.h"

enum {
    NAME,
    HOST,
    THREADS,
    KERNEL,
    ROLE,
    STATE,
    SPEED,
    SEEN,
    OWED,
    ASSIGNED,
    REISSUED,
    REFUSED,
    N_COLUMNS
};

static const struct {
    const char *title;
    bool number; /* to the right */
} s_columns[N_COLUMNS] = {
    [NAME] = {"name", false},         [HOST] = {"host", false},
    [THREADS] = {"threads", true},    [KERNEL] = {"kernel", false},
    [ROLE] = {"role", false},         [STATE] = {"state", false},
    [SPEED] = {"rows/s", true},       [SEEN] = {"seen", true},
    [OWED] = {"owed", true},          [ASSIGNED] = {"assigned", true},
    [REISSUED] = {"re-issued", true}, [REFUSED] = {"refused", true},
};

/* A number with so many decimals and its unit, or "-". */
static const char *s_number(double value, int decimals, const char *unit, char text[WIRE_NAME_SIZE])
{
    if (!isfinite(value))
        return "-";
    int n = snprintf(text, WIRE_NAME_SIZE, "%.*f%s", decimals, value, unit);
    if (n >= WIRE_NAME_SIZE)
        (void)snprintf(text, WIRE_NAME_SIZE, "%.*e%s", decimals, value, unit);
    return text;
}

/* A number of any size, or "-". */
static const char *s_short(double value, char text[WIRE_NAME_SIZE])
{
    if (!isfinite(value))
        return "-";
    (void)snprintf(text, WIRE_NAME_SIZE, "%.4g", value);
    return text;
}

/* What stands in a column; in the member or in `text`. */
static const char *s_cell(const wire_member_t *member, int column, char text[WIRE_NAME_SIZE])
{
    uint64_t count = 0;
    switch (column) {
    case NAME:
        return member->name;
    case HOST:
        return member->host;
    case KERNEL:
        return member->kernel;
    case ROLE:
        return member->relay ? "relay" : "worker";
    case STATE:
        return member->state;
    case SPEED:
        return s_number(member->rows_per_s, 0, "", text);
    case SEEN:
        return s_number(member->seen_ms / 1000.0, 1, " s", text);
    case THREADS:
        count = member->threads;
        break;
    case OWED:
        count = member->owed;
        break;
    case ASSIGNED:
        count = member->assigned;
        break;
    case REISSUED:
        count = member->reissued;
        break;
    case REFUSED:
        count = member->refused;
        break;
    }
    (void)snprintf(text, WIRE_NAME_SIZE, "%" PRIu64, count);
    return text;
}

static void s_print_row(const wire_member_t *member, const int widths[N_COLUMNS], FILE *out)
{
    for (int c = 0; c < N_COLUMNS; c++) {
        char text[WIRE_NAME_SIZE];
        const char *cell = member ? s_cell(member, c, text) : s_columns[c].title;
        (void)fprintf(out, "%s%*s", c > 0 ? "  " : "", s_columns[c].number ? widths[c] : -widths[c],
                      cell);
    }
    (void)fputc('\n', out);
}

static void s_print_members(const wire_t *message, FILE *out)
{
    int widths[N_COLUMNS];
    for (int c = 0; c < N_COLUMNS; c++) {
        widths[c] = (int)strlen(s_columns[c].title);
        for (uint32_t i = 0; i < message->n_members; i++) {
            char text[WIRE_NAME_SIZE];
            int width = (int)strlen(s_cell(&message->members[i], c, text));
            widths[c] = width > widths[c] ? width : widths[c];
        }
    }
    s_print_row(NULL, widths, out);
    for (uint32_t i = 0; i < message->n_members; i++)
        s_print_row(&message->members[i], widths, out);
}

static void s_print_head(const wire_report_t *report, FILE *out)
{
    char a[WIRE_NAME_SIZE], b[WIRE_NAME_SIZE], c[WIRE_NAME_SIZE], d[WIRE_NAME_SIZE];
    (void)fprintf(out, "%s%s%s, step %" PRIu32, report->role, report->upstream[0] ? " of " : "",
                  report->upstream, report->step);
    if (report->n_steps > 0)
        (void)fprintf(out, "/%" PRIu32, report->n_steps);
    (void)fprintf(out, ", elapsed %s, ETA %s\n", s_number(report->elapsed_s, 0, " s", a),
                  s_number(report->eta_s, 0, " s", b));
    (void)fprintf(out, "cost %s, accuracy %s, learning rate %s, rows/s %s\n",
                  s_number(report->cost, 5, "", a), s_number(report->accuracy, 4, "", b),
                  s_short(report->learning_rate, c), s_number(report->rows_per_s, 0, "", d));
    if (report->evaluation > 0)
        (void)fprintf(out, "evaluation of step %" PRIu32 ": cost %s, accuracy %s\n",
                      report->evaluation, s_number(report->evaluation_cost, 5, "", a),
                      s_number(report->evaluation_accuracy, 4, "", b));
    if (report->waiting_for[0])
        (void)fprintf(out, "waiting for %s\n", report->waiting_for);
}

void status_view_print(const wire_t *message, FILE *out)
{
    s_print_head(&message->report, out);
    (void)fputc('\n', out);
    if (message->n_members > 0)
        s_print_members(message, out);
    uint32_t left = message->report.n_members - message->n_members;
    if (left > 0)
        (void)fprintf(out, "and %" PRIu32 " more\n", left);
    else if (message->n_members == 0)
        (void)fputs("no members\n", out);
    for (uint32_t i = 0; i < message->n_quarantined; i++)
        (void)fprintf(out, "%squarantined: %s on %s\n", i == 0 ? "\n" : "",
                      message->quarantined[i].name, message->quarantined[i].host);
}

/* Members of an object, each behind another one. */
static void s_json_text(FILE *out, const char *name, const char *text)
{
    (void)fprintf(out, ", \"%s\": ", name);
    json_print_string(out, text);
}

static void s_json_double(FILE *out, const char *name, double value)
{
    (void)fprintf(out, ", \"%s\": ", name);
    json_print_number(out, value);
}

static void s_json_count(FILE *out, const char *name, uint64_t count)
{
    (void)fprintf(out, ", \"%s\": %" PRIu64, name, count);
}

static void s_json_member(FILE *out, const wire_member_t *member)
{
    (void)fprintf(out, "{\"number\": %" PRIu32, member->number);
    s_json_text(out, "name", member->name);
    s_json_text(out, "host", member->host);
    s_json_text(out, "kernel", member->kernel);
    s_json_count(out, "threads", member->threads);
    (void)fprintf(out, ", \"relay\": %s", member->relay ? "true" : "false");
    s_json_text(out, "state", member->state);
    s_json_double(out, "rows_per_s", member->rows_per_s);
    s_json_count(out, "seen_ms", member->seen_ms);
    s_json_count(out, "owed", member->owed);
    s_json_count(out, "assigned", member->assigned);
    s_json_count(out, "reissued", member->reissued);
    s_json_count(out, "refused", member->refused);
    (void)fputc('}', out);
}

void status_view_print_json(const wire_t *message, FILE *out)
{
    const wire_report_t *report = &message->report;
    (void)fputs("{\"role\": ", out);
    json_print_string(out, report->role);
    s_json_text(out, "upstream", report->upstream);
    s_json_count(out, "step", report->step);
    if (report->n_steps > 0)
        s_json_count(out, "n_steps", report->n_steps);
    else
        s_json_double(out, "n_steps", (double)NAN);
    s_json_double(out, "rows_per_s", report->rows_per_s);
    s_json_double(out, "eta_s", report->eta_s);
    s_json_double(out, "cost", report->cost);
    s_json_double(out, "accuracy", report->accuracy);
    s_json_double(out, "learning_rate", report->learning_rate);
    s_json_double(out, "elapsed_s", report->elapsed_s);
    if (report->evaluation > 0)
        s_json_count(out, "evaluation_step", report->evaluation);
    else
        s_json_double(out, "evaluation_step", (double)NAN);
    s_json_double(out, "evaluation_cost", report->evaluation_cost);
    s_json_double(out, "evaluation_accuracy", report->evaluation_accuracy);
    s_json_text(out, "waiting_for", report->waiting_for);
    s_json_count(out, "n_members", report->n_members);
    (void)fputs(", \"members\": [", out);
    for (uint32_t i = 0; i < message->n_members; i++) {
        (void)fputs(i > 0 ? ", " : "", out);
        s_json_member(out, &message->members[i]);
    }
    (void)fputs("], \"quarantined\": [", out);
    for (uint32_t i = 0; i < message->n_quarantined; i++) {
        (void)fprintf(out, "%s{\"name\": ", i > 0 ? ", " : "");
        json_print_string(out, message->quarantined[i].name);
        s_json_text(out, "host", message->quarantined[i].host);
        (void)fputc('}', out);
    }
    (void)fputs("]}\n", out);
}
