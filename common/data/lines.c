/* See lines.h. */
#include "data/lines.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM_BYTES ((size_t)256 * 1024)

struct lines {
    gzstream_t *in; /* borrowed */
    char *buffer;   /* owned */
    size_t room;
    size_t at, end; /* buffer[at, end) has not been given yet */
    bool ended;     /* nothing comes behind it */
    size_t number;  /* of the line given last */
};

lines_t *lines_new(gzstream_t *in)
{
    lines_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->in = in;
    self->room = FIRST_ROOM_BYTES;
    self->buffer = malloc(self->room);
    if (!self->buffer)
        abort();
    return self;
}

void lines_destroy(lines_t **self_p)
{
    lines_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    free(self->buffer);
    free(self);
}

/* Reads more text behind buffer[at, end), which it moves to the front. */
static int s_refill(lines_t *self, err_t *err)
{
    assert(self->room >= FIRST_ROOM_BYTES);
    size_t n_left = self->end - self->at;
    memmove(self->buffer, self->buffer + self->at, n_left);
    self->at = 0;
    self->end = n_left;
    if (n_left == self->room) {
        if (self->room >= LINES_MAX_BYTES)
            return err_set(err, "%s: line %zu: longer than %zu bytes, expected a line of numbers",
                           gzstream_path(self->in), self->number + 1, LINES_MAX_BYTES);
        size_t room = self->room * 2;
        char *grown = realloc(self->buffer, room);
        if (!grown)
            return err_set(err, "%s: line %zu: out of memory", gzstream_path(self->in),
                           self->number + 1);
        self->buffer = grown;
        self->room = room;
    }
    size_t n_wanted = self->room - n_left;
    size_t n = 0;
    if (gzstream_read(self->in, self->buffer + n_left, n_wanted, &n, err) != 0)
        return -1;
    self->end += n;
    self->ended = n < n_wanted;
    return 0;
}

static bool s_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next line, blank or not; *text is NULL at the end of the data. */
static int s_next(lines_t *self, const char **text, const char **end, err_t *err)
{
    size_t n_searched = 0;
    char *newline = NULL;
    for (;;) {
        size_t n = self->end - self->at;
        if (n > n_searched)
            newline = memchr(self->buffer + self->at + n_searched, '\n', n - n_searched);
        if (newline || self->ended)
            break;
        n_searched = n;
        if (s_refill(self, err) != 0)
            return -1;
    }
    *text = NULL;
    if (self->at == self->end)
        return 0;
    const char *p = self->buffer + self->at;
    const char *q = newline ? newline : self->buffer + self->end;
    self->at = (size_t)(q - self->buffer) + (newline ? 1 : 0);
    self->number++;
    if (self->number == 1 && q - p >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
        p += 3; /* byte-order mark of UTF-8 */
    while (p < q && s_is_blank(*p))
        p++;
    while (p < q && s_is_blank(q[-1]))
        q--;
    *text = p;
    *end = q;
    return 0;
}

int lines_next(lines_t *self, const char **text, const char **end, err_t *err)
{
    size_t blank = 0;
    do {
        if (s_next(self, text, end, err) != 0)
            return -1;
        if (*text && *text == *end && blank == 0)
            blank = self->number;
    } while (*text && *text == *end);
    if (*text && blank > 0)
        return err_set(err, "%s: line %zu: blank, expected a line of numbers",
                       gzstream_path(self->in), blank);
    return 0;
}

size_t lines_number(const lines_t *self)
{
    return self->number;
}
