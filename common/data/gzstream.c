/* See gzstream.h. ISA-L, since it unpacks about twice as fast as zlib. */
#include "data/gzstream.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <isa-l/igzip_lib.h>

#define INPUT_BYTES (128 * 1024)

/* Unpacked at a time; its counts have 32 bits. */
#define PART_BYTES ((uint32_t)1 << 30)

typedef enum {
    IN_HEADER, /* of a member */
    IN_BODY,   /* of a member, with its trailer */
    AT_END,
} place_t;

struct gzstream {
    char *path;          /* owned */
    int fd;              /* -1 when the input lies in memory */
    uint8_t *input;      /* owned; NULL when the input lies in memory */
    const uint8_t *next; /* not yet used input: into `input` or into the borrowed bytes */
    size_t n_next;
    bool input_ended;              /* nothing comes behind `next` */
    struct inflate_state *inflate; /* owned; NULL for a plain file */
    struct isal_gzip_header header;
    place_t at; /* of a gzip file */
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

static void s_begin_member(gzstream_t *self)
{
    isal_inflate_init(self->inflate);
    self->inflate->crc_flag = ISAL_GZIP_NO_HDR_VER; /* checks the trailer */
    isal_gzip_header_init(&self->header);
    self->at = IN_HEADER;
}

static gzstream_t *s_begin(gzstream_t *self, err_t *err)
{
    if (s_refill(self, 2, err) != 0)
        goto fail;
    if (s_at_magic(self)) {
        self->inflate = malloc(sizeof(*self->inflate));
        if (!self->inflate)
            abort();
        s_begin_member(self);
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
    if (self->fd >= 0)
        close(self->fd);
    free(self->inflate);
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

/* Behind a member: begins the next one, or is at the end. ISA-L has not read beyond the member: it
 * is at most 8 bytes ahead, as many as the trailer has. */
static int s_next_member(gzstream_t *self, err_t *err)
{
    self->at = AT_END;
    if (s_refill(self, 2, err) != 0)
        return -1;
    if (self->n_next == 0)
        return 0;
    if (!s_at_magic(self))
        return err_set(err, "%s: bytes behind the end of the gzip data, expected the end of file",
                       self->path);
    s_begin_member(self);
    return 0;
}

static const char *s_text(int code)
{
    switch (code) {
    case ISAL_INVALID_BLOCK:
        return "invalid block";
    case ISAL_INVALID_SYMBOL:
        return "invalid code";
    case ISAL_INVALID_LOOKBACK:
        return "invalid distance too far back";
    case ISAL_UNSUPPORTED_METHOD:
        return "unknown compression method";
    case ISAL_INCORRECT_CHECKSUM:
        return "incorrect checksum or length";
    default:
        return "invalid header";
    }
}

static int s_read_gzip(gzstream_t *self, uint8_t *buffer, size_t size, size_t *n_read, err_t *err)
{
    struct inflate_state *z = self->inflate;
    size_t n = 0;
    while (self->at != AT_END && n < size) {
        if (s_refill(self, 1, err) != 0)
            return -1;
        uint32_t n_in = self->n_next < PART_BYTES ? (uint32_t)self->n_next : PART_BYTES;
        uint32_t n_out = size - n < PART_BYTES ? (uint32_t)(size - n) : PART_BYTES;
        z->next_in = (uint8_t *)self->next;
        z->avail_in = n_in;
        z->next_out = buffer + n;
        z->avail_out = n_out;
        /* inflate would take a header too, but only one that is in its input as a whole */
        int r = self->at == IN_HEADER ? isal_read_gzip_header(z, &self->header) : isal_inflate(z);
        if (r < 0)
            return err_set(err, "%s: corrupt gzip data: %s", self->path, s_text(r));
        n += n_out - z->avail_out;
        self->next += n_in - z->avail_in;
        self->n_next -= n_in - z->avail_in;
        if (self->at == IN_HEADER && r == ISAL_DECOMP_OK) {
            self->at = IN_BODY;
        } else if (self->at == IN_BODY && z->block_state == ISAL_BLOCK_FINISH) {
            if (s_next_member(self, err) != 0)
                return -1;
        } else if (n_in == 0 && z->avail_out == n_out) {
            return err_set(err, "%s: truncated: the gzip data end too early", self->path);
        }
    }
    *n_read = n;
    return 0;
}

static int s_read(gzstream_t *self, uint8_t *buffer, size_t size, size_t *n_read, err_t *err)
{
    if (self->inflate)
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
