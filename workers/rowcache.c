/* See rowcache.h. */
#include "workers/rowcache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "proto/wire.h"

#define CREDIT      8
#define CHUNK_BYTES (256u * 1024)
/* A request is lost when it takes so many times as long as others took, but not less than
 * SOON_MS, and is then asked for again less and less often; LOST_MS before any was answered, and
 * between two repetitions at most, unless answers take longer. */
#define LOST_FACTOR 4
#define SOON_MS     100
#define LOST_MS     1000

typedef enum {
    CHUNK_ABSENT,
    CHUNK_WANTED,
    CHUNK_ASKED,
    CHUNK_THERE
} chunk_state_t;

typedef struct {
    chunk_state_t state;
    uint32_t n_asked;
    int64_t asked_ms; /* for the first time */
    int64_t again_ms; /* for the last time */
} chunk_t;

struct rowcache {
    uint32_t n_rows;
    uint32_t n_inputs;
    uint32_t chunk_rows;
    uint32_t n_chunks;
    uint32_t n_asked;
    bool stuck;        /* see rowcache_stuck */
    double answer_ms;  /* smoothed: from asking for a chunk to having it; 0 while unknown */
    bool answered;     /* since the last rowcache_next: ... */
    int64_t answer_to; /* ... one that was asked for at this time */
    uint32_t n_wanted;
    chunk_t *chunks; /* owned */
    uint8_t *memory; /* owned mapping of images, then labels; NULL when they are a data set's */
    size_t memory_bytes;
    const uint8_t *images;
    const uint8_t *labels;
};

static rowcache_t *s_new(uint32_t n_rows, uint32_t n_inputs)
{
    rowcache_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->n_rows = n_rows;
    self->n_inputs = n_inputs;
    uint32_t rows = CHUNK_BYTES / n_inputs;
    self->chunk_rows = rows < 1 ? 1 : rows > WIRE_MAX_ROWS ? WIRE_MAX_ROWS : rows;
    self->n_chunks = (n_rows - 1) / self->chunk_rows + 1;
    self->chunks = calloc(self->n_chunks, sizeof(chunk_t));
    if (!self->chunks)
        rowcache_destroy(&self);
    return self;
}

rowcache_t *rowcache_new(uint32_t n_rows, uint32_t n_inputs)
{
    size_t image_bytes = (size_t)n_rows * n_inputs;
    size_t memory_bytes = image_bytes + n_rows;
    /* In small pages: their faults pass while other rows are computed with, whereas a large one
     * waits until 2 MB are cleared, and first found where a virtual machine's host has them
     * elsewhere. */
    void *memory = mmap(NULL, memory_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    rowcache_t *self = s_new(n_rows, n_inputs);
    if (!self) {
        munmap(memory, memory_bytes);
        return NULL;
    }
    self->memory = memory;
    self->memory_bytes = memory_bytes;
    self->images = self->memory;
    self->labels = self->memory + image_bytes;
    return self;
}

rowcache_t *rowcache_of(const dataset_t *data, uint32_t n_rows)
{
    rowcache_t *self = s_new(n_rows, (uint32_t)dataset_inputs(data));
    if (!self)
        abort();
    for (uint32_t i = 0; i < self->n_chunks; i++)
        self->chunks[i].state = CHUNK_THERE;
    self->images = dataset_images(data);
    self->labels = dataset_labels(data);
    return self;
}

void rowcache_destroy(rowcache_t **self_p)
{
    rowcache_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    if (self->memory)
        munmap(self->memory, self->memory_bytes);
    free(self->chunks);
    free(self);
}

bool rowcache_has(const rowcache_t *self, uint32_t first, uint32_t end)
{
    for (uint32_t i = first / self->chunk_rows; i <= (end - 1) / self->chunk_rows; i++)
        if (self->chunks[i].state != CHUNK_THERE)
            return false;
    return true;
}

void rowcache_want(rowcache_t *self, uint32_t first, uint32_t end)
{
    for (uint32_t i = first / self->chunk_rows; i <= (end - 1) / self->chunk_rows; i++) {
        if (self->chunks[i].state != CHUNK_ABSENT)
            continue;
        self->chunks[i].state = CHUNK_WANTED;
        self->n_wanted++;
    }
}

static uint32_t s_chunk_rows(const rowcache_t *self, uint32_t i)
{
    uint32_t left = self->n_rows - i * self->chunk_rows;
    return left < self->chunk_rows ? left : self->chunk_rows;
}

static void s_measure(rowcache_t *self, int64_t now_ms)
{
    double answer_ms = (double)(now_ms - self->answer_to);
    if (!self->answered)
        return;
    self->answered = false;
    if (answer_ms < 1)
        answer_ms = 1;
    if (self->answer_ms > 0) {
        self->answer_ms += (answer_ms - self->answer_ms) / 8;
        return;
    }
    /* The first of several; the others come one after the other. */
    double others_ms = CREDIT * answer_ms;
    double most_ms = (double)LOST_MS / LOST_FACTOR;
    self->answer_ms = others_ms < most_ms ? others_ms : answer_ms > most_ms ? answer_ms : most_ms;
}

/* How long to wait for the answer to a request that was made so many times. */
static int64_t s_wait_ms(const rowcache_t *self, uint32_t n_asked)
{
    int64_t wait_ms = LOST_MS;
    if (self->answer_ms > 0)
        wait_ms = (int64_t)(LOST_FACTOR * self->answer_ms);
    if (wait_ms < SOON_MS)
        wait_ms = SOON_MS;
    int64_t longest_ms = wait_ms > LOST_MS ? wait_ms : LOST_MS;
    for (; n_asked > 1 && wait_ms < longest_ms; n_asked--)
        wait_ms *= 2;
    return wait_ms < longest_ms ? wait_ms : longest_ms;
}

bool rowcache_next(rowcache_t *self, int64_t now_ms, uint32_t *first, uint32_t *n_rows)
{
    s_measure(self, now_ms);
    if (self->n_wanted == 0 && self->n_asked == 0)
        return false;
    bool credit = self->n_asked < CREDIT;
    for (uint32_t i = 0; i < self->n_chunks; i++) {
        chunk_t *chunk = &self->chunks[i];
        bool lost = chunk->state == CHUNK_ASKED &&
                    now_ms - chunk->again_ms >= s_wait_ms(self, chunk->n_asked);
        bool wanted = chunk->state == CHUNK_WANTED && credit;
        if (!lost && !wanted)
            continue;
        if (wanted) {
            self->n_wanted--;
            self->n_asked++;
        }
        if (wanted)
            chunk->asked_ms = now_ms;
        self->stuck |= lost && now_ms - chunk->asked_ms >= LOST_MS;
        chunk->state = CHUNK_ASKED;
        chunk->again_ms = now_ms;
        chunk->n_asked++;
        *first = i * self->chunk_rows;
        *n_rows = s_chunk_rows(self, i);
        return true;
    }
    return false;
}

bool rowcache_store(rowcache_t *self, uint32_t first, uint32_t n_rows, const uint8_t *images,
                    size_t image_bytes, const uint8_t *labels, uint32_t n_classes)
{
    uint32_t i = first / self->chunk_rows;
    if (first >= self->n_rows || first % self->chunk_rows != 0 || n_rows != s_chunk_rows(self, i) ||
        image_bytes != (size_t)n_rows * self->n_inputs)
        return false;
    for (uint32_t r = 0; r < n_rows; r++)
        if (labels[r] >= n_classes)
            return false;
    if (self->chunks[i].state == CHUNK_THERE)
        return true; /* the answer to a request that was repeated */
    if (self->chunks[i].state != CHUNK_ASKED)
        return false;
    self->n_asked--;
    self->stuck = false;
    self->answered = true;
    self->answer_to = self->chunks[i].asked_ms;
    self->chunks[i].state = CHUNK_THERE;
    memcpy(self->memory + (size_t)first * self->n_inputs, images, image_bytes);
    memcpy(self->memory + (size_t)self->n_rows * self->n_inputs + first, labels, n_rows);
    return true;
}

bool rowcache_stuck(const rowcache_t *self)
{
    return self->stuck;
}

const uint8_t *rowcache_images(const rowcache_t *self)
{
    return self->images;
}

const uint8_t *rowcache_labels(const rowcache_t *self)
{
    return self->labels;
}
