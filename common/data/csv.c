/* See csv.h. Whole numbers of up to three digits, nearly all that such files hold, take a short
 * path; everything else goes through decimal_t. */
#include "data/csv.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "data/decimal.h"
#include "data/lines.h"

typedef enum {
    SCALE_OPEN, /* only 0 and 1 so far: stored as they are */
    SCALE_BYTES,
    SCALE_UNIT,
} scale_t;

typedef struct {
    const char *path; /* borrowed */
    lines_t *lines;   /* owned */
    char separator;   /* ',' or ' ' (blanks) */
    size_t n_columns;
    size_t first_line; /* the line that fixed n_columns */
    scale_t scale;
    size_t scale_line; /* the line that fixed the scale */
    bool saw_one;      /* a 1 while the scale was open ... */
    bool pointed_one;  /* ... and one that was written with a point */
    size_t max_rows;
} reader_t;

/* One field of a line: text without blanks around it. */
typedef struct {
    const char *text;
    const char *end;
    size_t column; /* from 1 */
} field_t;

static bool s_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Cuts the first field off [*p, end); false when there is none. A comma promises one more field, so
 * that "1," has two: *p becomes NULL behind the last one. */
static bool s_next_field(char separator, const char **p, const char *end, field_t *field)
{
    const char *from = *p;
    if (!from)
        return false;
    while (from < end && s_is_blank(*from))
        from++;
    if (separator == ' ' && from == end)
        return false;
    const char *to = from;
    if (separator == ' ') {
        while (to < end && !s_is_blank(*to))
            to++;
        *p = to < end ? to + 1 : to; /* where the short path of s_parse_image can go on */
    } else {
        while (to < end && *to != ',')
            to++;
        *p = to < end ? to + 1 : NULL;
        while (to > from && s_is_blank(to[-1]))
            to--;
    }
    field->text = from;
    field->end = to;
    field->column++;
    return true;
}

static size_t s_count_fields(char separator, const char *text, const char *end)
{
    field_t field = {0};
    while (s_next_field(separator, &text, end, &field))
        ;
    return field.column;
}

/* -1 with "FILE: line L, column C: saw 'TEXT', expected ...". */
static int s_bad_field(const reader_t *self, const field_t *field, const char *expected, err_t *err)
{
    char shown[40];
    size_t n = 0;
    for (const char *p = field->text; p < field->end && n < sizeof(shown) - 1; p++) {
        char c = *p;
        if (c < 0x20 || c >= 0x7f)
            c = '?';
        if (n >= sizeof(shown) - 4 && field->end - field->text >= (ptrdiff_t)sizeof(shown))
            c = '.'; /* cut, with three dots */
        shown[n++] = c;
    }
    shown[n] = '\0';
    return err_set(err, "%s: line %zu, column %zu: saw '%s', expected %s", self->path,
                   lines_number(self->lines), field->column, shown, expected);
}

static int s_bad_count(const reader_t *self, const char *text, const char *end, err_t *err)
{
    return err_set(err, "%s: line %zu: %zu columns, expected %zu as in line %zu", self->path,
                   lines_number(self->lines), s_count_fields(self->separator, text, end),
                   self->n_columns, self->first_line);
}

static bool s_equals(const field_t *field, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(field->end - field->text) == n && strncasecmp(field->text, word, n) == 0;
}

/* A header has no number in any column, or "label" in the first one, and begins with a letter or a
 * quote. A nan is no word. */
static bool s_is_header(char separator, const char *text, const char *end)
{
    field_t field = {0};
    decimal_t number;
    if (!((*text >= 'A' && *text <= 'Z') || (*text >= 'a' && *text <= 'z') || *text == '_' ||
          *text == '"'))
        return false;
    while (s_next_field(separator, &text, end, &field)) {
        if (field.column == 1 && (s_equals(&field, "label") || s_equals(&field, "\"label\"")))
            return true;
        if (field.text == field.end || decimal_parse(field.text, field.end, &number) == 0 ||
            s_equals(&field, "nan") || s_equals(&field, "inf") || s_equals(&field, "infinity"))
            return false;
    }
    return true;
}

/* The first line of data, behind the header if there is one; fixes separator and n_columns. */
static int s_first_line(reader_t *self, const char **text, const char **end, err_t *err)
{
    if (lines_next(self->lines, text, end, err) != 0)
        return -1;
    if (*text) {
        self->separator = memchr(*text, ',', (size_t)(*end - *text)) ? ',' : ' ';
        bool one_column = s_count_fields(self->separator, *text, *end) == 1;
        if ((self->separator == ',' || one_column) && s_is_header(self->separator, *text, *end) &&
            lines_next(self->lines, text, end, err) != 0)
            return -1;
    }
    if (!*text)
        return err_set(err, "%s: no rows, expected at least one line of numbers", self->path);
    self->n_columns = s_count_fields(self->separator, *text, *end);
    self->first_line = lines_number(self->lines);
    return 0;
}

static int s_parse_label(const reader_t *self, const field_t *field, uint8_t *label, err_t *err)
{
    decimal_t number;
    uint32_t value = 0;
    if (decimal_parse(field->text, field->end, &number) != 0 ||
        !decimal_is_whole(&number, 255, &value) || (number.negative && value > 0))
        return s_bad_field(self, field, "a label: a whole number from 0 to 255", err);
    *label = (uint8_t)value;
    return 0;
}

/* The scale turns out to be `scale`: what was stored as 0 and 1 becomes what it means. */
static void s_fix_scale(reader_t *self, scale_t scale, uint8_t *stored, size_t n_stored)
{
    assert(self->scale == SCALE_OPEN);
    self->scale = scale;
    self->scale_line = lines_number(self->lines);
    if (scale == SCALE_UNIT && self->saw_one)
        for (size_t i = 0; i < n_stored; i++)
            stored[i] = (uint8_t)(stored[i] * 255);
}

/* What the pixels must be, given the scale. */
static int s_bad_pixel(const reader_t *self, const field_t *field, err_t *err)
{
    char expected[120];
    if (self->scale == SCALE_UNIT)
        (void)snprintf(expected, sizeof(expected),
                       "a multiple of 1/255 from 0 to 1, since line %zu has a fraction",
                       self->scale_line);
    else if (self->scale == SCALE_BYTES)
        (void)snprintf(expected, sizeof(expected),
                       "a whole number from 0 to 255, since line %zu has one above 1",
                       self->scale_line);
    else
        (void)snprintf(expected, sizeof(expected),
                       "a whole number from 0 to 255 or a multiple of 1/255 from 0 to 1");
    return s_bad_field(self, field, expected, err);
}

/* A pixel in any notation; stored[n_stored] gets its byte. */
static int s_parse_pixel(reader_t *self, const field_t *field, uint8_t *stored, size_t n_stored,
                         err_t *err)
{
    decimal_t number;
    uint32_t whole = 0;
    if (decimal_parse(field->text, field->end, &number) != 0 ||
        (number.negative && number.digits > 0))
        return s_bad_pixel(self, field, err);
    if (decimal_is_whole(&number, 255, &whole)) {
        if (self->scale == SCALE_OPEN && whole > 1)
            s_fix_scale(self, SCALE_BYTES, stored, n_stored);
        if (self->scale == SCALE_OPEN && whole == 1) {
            self->saw_one = true;
            self->pointed_one |= number.pointed;
        }
        if (self->scale == SCALE_UNIT) {
            if (whole > 1)
                return s_bad_pixel(self, field, err);
            whole *= 255;
        }
        stored[n_stored] = (uint8_t)whole;
        return 0;
    }
    double value = decimal_abs(&number);
    if (self->scale == SCALE_BYTES || !(value < 1.0))
        return s_bad_pixel(self, field, err);
    uint32_t byte = (uint32_t)(value * 255.0 + 0.5);
    double off = value - byte / 255.0;
    if (off > CSV_TOLERANCE || off < -CSV_TOLERANCE)
        return s_bad_pixel(self, field, err);
    if (self->scale == SCALE_OPEN)
        s_fix_scale(self, SCALE_UNIT, stored, n_stored);
    stored[n_stored] = (uint8_t)byte;
    return 0;
}

/* One line of pixels, behind its label if `label` is not NULL, into the room behind the kept rows.
 */
static int s_parse_image(reader_t *self, const char *text, const char *end, rows_t *images,
                         uint8_t *label, err_t *err)
{
    const char *p = text;
    size_t n_stored = images->n_kept * images->row_bytes;
    size_t n_end = n_stored + images->row_bytes;
    field_t field = {0};
    if (label && (!s_next_field(self->separator, &p, end, &field) ||
                  s_parse_label(self, &field, label, err) != 0))
        return -1; /* a line is never blank, so the field was there */
    for (; n_stored < n_end; n_stored++) {
        if (self->scale == SCALE_BYTES && p && p < end) {
            /* the short path: one to three digits and a separator */
            const char *q = p;
            uint32_t value = 0;
            while (q < end && q < p + 3 && *q >= '0' && *q <= '9')
                value = value * 10 + (uint32_t)(*q++ - '0');
            if (q > p && q < end && *q == self->separator && value <= 255) {
                images->bytes[n_stored] = (uint8_t)value;
                p = q + 1;
                field.column++;
                continue;
            }
        }
        if (!s_next_field(self->separator, &p, end, &field))
            return s_bad_count(self, text, end, err);
        if (s_parse_pixel(self, &field, images->bytes, n_stored, err) != 0)
            return -1;
    }
    if (s_next_field(self->separator, &p, end, &field))
        return s_bad_count(self, text, end, err);
    return 0;
}

static int s_add_row(const reader_t *self, rows_t *rows, err_t *err)
{
    if (rows->n_in_file == ROWS_MAX)
        return err_set(err, "%s: more than %zu rows", self->path, ROWS_MAX);
    rows->n_in_file++;
    if (self->max_rows == 0 || rows->n_kept < self->max_rows)
        rows->n_kept++;
    return 0;
}

static int s_read_images(reader_t *self, rows_t *images, rows_t *labels, err_t *err)
{
    const char *text;
    const char *end;
    if (s_first_line(self, &text, &end, err) != 0)
        return -1;
    if (labels && self->separator != ',')
        return err_set(err,
                       "%s: no file of labels for it, and not comma-separated with the label in "
                       "the first column either",
                       self->path);
    size_t n_labels = labels ? 1 : 0;
    if (self->n_columns <= n_labels || self->n_columns - n_labels > ROWS_MAX_BYTES)
        return err_set(err, "%s: line %zu: %zu columns, expected %s1 to %zu pixels", self->path,
                       self->first_line, self->n_columns, labels ? "a label and " : "",
                       ROWS_MAX_BYTES);
    images->row_bytes = self->n_columns - n_labels;
    if (labels)
        labels->row_bytes = 1;
    while (text) {
        if (rows_reserve(images, 1) != 0 || (labels && rows_reserve(labels, 1) != 0))
            return err_set(err, "%s: line %zu: out of memory", self->path,
                           lines_number(self->lines));
        uint8_t *label = labels ? labels->bytes + labels->n_kept : NULL;
        if (s_parse_image(self, text, end, images, label, err) != 0 ||
            s_add_row(self, images, err) != 0 || (labels && s_add_row(self, labels, err) != 0) ||
            lines_next(self->lines, &text, &end, err) != 0)
            return -1;
    }
    if (self->scale == SCALE_OPEN && self->pointed_one)
        s_fix_scale(self, SCALE_UNIT, images->bytes, images->n_kept * images->row_bytes);
    else if (self->scale == SCALE_OPEN && self->saw_one)
        log_warn("data.faint",
                 "file=%s all pixels are 0 or 1: read as bytes, nearly black; "
                 "write 1.0 for white",
                 self->path);
    return 0;
}

int csv_read_images(gzstream_t *in, size_t max_rows, rows_t *images, rows_t *labels, err_t *err)
{
    assert(images->n_kept == 0 && (!labels || labels->n_kept == 0));
    reader_t self = {.path = gzstream_path(in), .lines = lines_new(in), .max_rows = max_rows};
    int r = s_read_images(&self, images, labels, err);
    lines_destroy(&self.lines);
    return r;
}

/* The class of a one-hot line. */
static int s_parse_one_hot(const reader_t *self, const char *text, const char *end, uint8_t *label,
                           err_t *err)
{
    const char *p = text;
    field_t field = {0};
    decimal_t number;
    uint32_t value = 0;
    size_t n_ones = 0;
    while (s_next_field(self->separator, &p, end, &field)) {
        if (decimal_parse(field.text, field.end, &number) != 0 ||
            !decimal_is_whole(&number, 1, &value) || (number.negative && value > 0))
            return s_bad_field(self, &field, "0 or 1 (one-hot labels)", err);
        if (value == 1) {
            *label = (uint8_t)(field.column - 1);
            n_ones++;
        }
    }
    if (n_ones != 1)
        return err_set(err,
                       "%s: line %zu: %zu columns are 1, expected exactly one (one-hot labels)",
                       self->path, lines_number(self->lines), n_ones);
    return 0;
}

static int s_read_labels(reader_t *self, rows_t *rows, err_t *err)
{
    const char *text;
    const char *end;
    if (s_first_line(self, &text, &end, err) != 0)
        return -1;
    if (self->n_columns > 256)
        return err_set(err,
                       "%s: line %zu: %zu columns, expected one label or up to 256 one-hot columns",
                       self->path, self->first_line, self->n_columns);
    rows->row_bytes = 1;
    while (text) {
        if (rows_reserve(rows, 1) != 0)
            return err_set(err, "%s: line %zu: out of memory", self->path,
                           lines_number(self->lines));
        if (s_count_fields(self->separator, text, end) != self->n_columns)
            return s_bad_count(self, text, end, err);
        uint8_t *label = rows->bytes + rows->n_kept;
        field_t whole = {.text = text, .end = end, .column = 1};
        int r = self->n_columns == 1 ? s_parse_label(self, &whole, label, err)
                                     : s_parse_one_hot(self, text, end, label, err);
        if (r != 0 || s_add_row(self, rows, err) != 0 ||
            lines_next(self->lines, &text, &end, err) != 0)
            return -1;
    }
    return 0;
}

int csv_read_labels(gzstream_t *in, size_t max_rows, rows_t *rows, err_t *err)
{
    assert(rows->n_kept == 0);
    reader_t self = {.path = gzstream_path(in), .lines = lines_new(in), .max_rows = max_rows};
    int r = s_read_labels(&self, rows, err);
    lines_destroy(&self.lines);
    return r;
}
