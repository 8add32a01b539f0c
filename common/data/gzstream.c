/* See gzstream.h.
 *
 * inflate() is driven by hand and not through gzread(): gzread takes a stream that ends early for a
 * short read, passes over bytes behind the last member in silence, and reports some errors at
 * gzclose only.
 */
#include "data/gzstream.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#define INPUT_BYTES (128 * 1024)

struct gzstream {
    char *path;          /* owned */
    int fd;              /* -1 when the input lies in memory */
    uint8_t *input;      /* owned; NULL when the input lies in memory */
    const uint8_t *next; /* not yet used input: into `input` or into the borrowed bytes */
    size_t n_next;
    bool input_ended; /* nothing comes behind `next` */
    bool gzip;
    bool in_member; /* inflate has begun a member and not seen its end */
    bool inflating; /* `z` is initialised */
    z_stream z;
    uint8_t peeked[GZSTREAM_PEEK];
    size_t peek_at, peek_end; /* peeked[peek_at, peek_end) is still to be read */
};

/* Reads more input behind what is left of it, until at least n_wanted bytes are there or the input
 * has ended. */
static int s_refill(gzstream_t *self, size_t n_wanted, err_t *err)
{
    if (self->n_next >= n_wanted || self->input_ended)
        return 0;
    assert(n_wanted <= INPUT_BYTES);
    if (self->n_next > 0)
        memmove(self->input, self->next, self->n_next);
    self->next = self->input;
    while (self->n_next < n_wanted) {
        ssize_t n = read(self->fd, self->input + self->n_next, INPUT_BYTES - self->n_next);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set_errno(err, "%s: cannot read", self->path);
        if (n == 0) {
            self->input_ended = true;
            break;
        }
        self->n_next += (size_t)n;
    }
    return 0;
}

static bool s_at_magic(const gzstream_t *self)
{
    return self->n_next >= 2 && self->next[0] == 0x1f && self->next[1] == 0x8b;
}

static gzstream_t *s_begin(gzstream_t *self, err_t *err)
{
    if (s_refill(self, 2, err) != 0)
        goto fail;
    self->gzip = s_at_magic(self);
    if (self->gzip) {
        if (inflateInit2(&self->z, 15 + 16) != Z_OK) { /* 16: gzip header and trailer */
            err_set(err, "%s: out of memory", self->path);
            goto fail;
        }
        self->inflating = true;
        self->in_member = true;
    }
    return self;
fail:
    gzstream_destroy(&self);
    return NULL;
}

static gzstream_t *s_new(const char *path)
{
    gzstream_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->fd = -1;
    self->path = strdup(path);
    if (!self->path)
        abort();
    return self;
}

gzstream_t *gzstream_open(const char *path, err_t *err)
{
    gzstream_t *self = s_new(path);
    self->input = malloc(INPUT_BYTES);
    if (!self->input)
        abort();
    self->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (self->fd < 0) {
        err_set_errno(err, "%s: cannot open", path);
        gzstream_destroy(&self);
        return NULL;
    }
    return s_begin(self, err);
}

gzstream_t *gzstream_open_memory(const char *name, const void *bytes, size_t size, err_t *err)
{
    gzstream_t *self = s_new(name);
    self->next = bytes;
    self->n_next = size;
    self->input_ended = true;
    return s_begin(self, err);
}

void gzstream_destroy(gzstream_t **self_p)
{
    gzstream_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    if (self->inflating)
        inflateEnd(&self->z);
    if (self->fd >= 0)
        close(self->fd);
    free(self->input);
    free(self->path);
    free(self);
}

static int s_read_plain(gzstream_t *self, uint8_t *buffer, size_t size, size_t *n_read, err_t *err)
{
    size_t n = 0;
    while (n < size) {
        if (s_refill(self, 1, err) != 0)
            return -1;
        if (self->n_next == 0)
            break;
        size_t part = self->n_next < size - n ? self->n_next : size - n;
        memcpy(buffer + n, self->next, part);
        self->next += part;
        self->n_next -= part;
        n += part;
    }
    *n_read = n;
    return 0;
}

/* Between two members: begins the next one, or leaves in_member false at the end of the input. */
static int s_next_member(gzstream_t *self, err_t *err)
{
    if (s_refill(self, 2, err) != 0)
        return -1;
    if (self->n_next == 0)
        return 0;
    if (!s_at_magic(self))
        return err_set(err, "%s: bytes behind the end of the gzip data, expected the end of file",
                       self->path);
    if (inflateReset(&self->z) != Z_OK)
        return err_set(err, "%s: cannot restart zlib", self->path);
    self->in_member = true;
    return 0;
}

static int s_read_gzip(gzstream_t *self, uint8_t *buffer, size_t size, size_t *n_read, err_t *err)
{
    size_t n = 0;
    while (self->in_member && n < size) {
        if (s_refill(self, 1, err) != 0)
            return -1;
        uInt n_in = self->n_next < UINT_MAX ? (uInt)self->n_next : UINT_MAX;
        uInt n_out = size - n < UINT_MAX ? (uInt)(size - n) : UINT_MAX;
        self->z.next_in = (z_const Bytef *)self->next;
        self->z.avail_in = n_in;
        self->z.next_out = buffer + n;
        self->z.avail_out = n_out;
        int r = inflate(&self->z, Z_NO_FLUSH);
        n += n_out - self->z.avail_out;
        self->next += n_in - self->z.avail_in;
        self->n_next -= n_in - self->z.avail_in;
        if (r == Z_STREAM_END) {
            self->in_member = false;
            if (s_next_member(self, err) != 0)
                return -1;
        } else if ((r == Z_OK || r == Z_BUF_ERROR) && self->z.avail_out > 0 && self->n_next == 0 &&
                   self->input_ended) {
            return err_set(err, "%s: truncated: the gzip data end too early", self->path);
        } else if (r != Z_OK) {
            return err_set(err, "%s: corrupt gzip data: %s", self->path,
                           self->z.msg ? self->z.msg : zError(r));
        }
    }
    *n_read = n;
    return 0;
}

static int s_read(gzstream_t *self, uint8_t *buffer, size_t size, size_t *n_read, err_t *err)
{
    if (self->gzip)
        return s_read_gzip(self, buffer, size, n_read, err);
    return s_read_plain(self, buffer, size, n_read, err);
}

int gzstream_read(gzstream_t *self, void *buffer, size_t size, size_t *n_read, err_t *err)
{
    size_t n = self->peek_end - self->peek_at;
    if (n > size)
        n = size;
    memcpy(buffer, self->peeked + self->peek_at, n);
    self->peek_at += n;
    size_t n_more = 0;
    if (n < size && s_read(self, (uint8_t *)buffer + n, size - n, &n_more, err) != 0)
        return -1;
    *n_read = n + n_more;
    return 0;
}

int gzstream_peek(gzstream_t *self, void *buffer, size_t size, size_t *n_read, err_t *err)
{
    assert(size <= GZSTREAM_PEEK);
    size_t n = self->peek_end - self->peek_at;
    if (n < size) {
        memmove(self->peeked, self->peeked + self->peek_at, n);
        self->peek_at = 0;
        self->peek_end = n;
        size_t n_more = 0;
        if (s_read(self, self->peeked + n, size - n, &n_more, err) != 0)
            return -1;
        self->peek_end += n_more;
        n = self->peek_end;
    }
    if (n > size)
        n = size;
    memcpy(buffer, self->peeked + self->peek_at, n);
    *n_read = n;
    return 0;
}

const char *gzstream_path(const gzstream_t *self)
{
    return self->path;
}
