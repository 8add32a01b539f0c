/* Objects that go from one thread to another through libzmq.
 *
 * libzmq orders what a thread wrote before it sent a message before what another reads after it has
 * received it, by atomics of its own that ThreadSanitizer does not see, since libzmq is not
 * instrumented. These two tell it, so that the same rule is checked for all else that the threads
 * share. In other builds they are nothing.
 */
#ifndef DROVER_BASE_HANDOVER_H
#define DROVER_BASE_HANDOVER_H

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>

/* The giver, before it sends; `object` is any address that both sides know. */
static inline void handover_give(void *object)
{
    __tsan_release(object);
}

/* The taker, after it has received. */
static inline void handover_take(void *object)
{
    __tsan_acquire(object);
}
#else
static inline void handover_give(void *object)
{
    (void)object;
}

static inline void handover_take(void *object)
{
    (void)object;
}
#endif

#endif
