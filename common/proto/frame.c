/* See frame.h. */
#include "proto/frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/handover.h"
#include "base/pool.h"
#include "math/digest.h"

static void s_give(void *data, void *hint)
{
    (void)hint;
    handover_take(data);
    pool_give(data);
}

void frame_from_pool(frame_t *frame, void *buffer, size_t size)
{
    assert(!frame->present);
    handover_give(buffer);
    if (zmq_msg_init_data(&frame->message, buffer, size, s_give, NULL) != 0)
        abort(); /* out of memory is its only failure */
    frame->present = true;
    frame->digested = false;
}

static void s_let_go(void *data, void *hint)
{
    dataset_t *owned = hint;
    handover_take(data);
    dataset_destroy(&owned);
}

void frame_from_rows(frame_t *frame, const dataset_t *data, size_t first, size_t n_rows)
{
    assert(!frame->present && first + n_rows <= dataset_rows(data));
    size_t D = dataset_inputs(data);
    void *images = (uint8_t *)dataset_images(data) + first * D;
    if (zmq_msg_init_data(&frame->message, images, n_rows * D, s_let_go, dataset_share(data)) != 0)
        abort();
    frame->present = true;
    frame->digested = false;
}

void frame_new(frame_t *frame, size_t size)
{
    assert(!frame->present);
    if (zmq_msg_init_size(&frame->message, size) != 0)
        abort();
    frame->present = true;
    frame->digested = false;
}

void frame_copy_of(frame_t *frame, const void *data, size_t size)
{
    frame_new(frame, size);
    memcpy(zmq_msg_data(&frame->message), data, size);
}

void frame_share(frame_t *frame, frame_t *other)
{
    assert(!frame->present);
    zmq_msg_init(&frame->message);
    if (zmq_msg_copy(&frame->message, &other->message) != 0)
        abort();
    frame->present = true;
    frame->digested = other->digested;
    frame->digest = other->digest;
}

void frame_move(frame_t *frame, frame_t *other)
{
    assert(!frame->present);
    if (!other->present)
        return;
    zmq_msg_init(&frame->message);
    zmq_msg_move(&frame->message, &other->message);
    frame->present = true;
    frame->digested = other->digested;
    frame->digest = other->digest;
    frame_clear(other);
}

void frame_clear(frame_t *frame)
{
    if (frame->present) {
        handover_give(zmq_msg_data(&frame->message)); /* to whoever lets go last */
        zmq_msg_close(&frame->message);
    }
    frame->present = false;
}

void *frame_data(frame_t *frame)
{
    return frame->present ? zmq_msg_data(&frame->message) : NULL;
}

size_t frame_size(const frame_t *frame)
{
    return frame->present ? zmq_msg_size(&frame->message) : 0;
}

uint64_t frame_digest(frame_t *frame)
{
    assert(frame->present);
    if (!frame->digested)
        frame_set_digest(frame, digest_bytes(frame_data(frame), frame_size(frame)));
    return frame->digest;
}

void frame_set_digest(frame_t *frame, uint64_t digest)
{
    frame->digested = true;
    frame->digest = digest;
}
