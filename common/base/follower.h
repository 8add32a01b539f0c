/* Work on bytes while they come: by a thread of its own, behind the one that brings them. */
#ifndef DROVER_BASE_FOLLOWER_H
#define DROVER_BASE_FOLLOWER_H

#include <stddef.h>

typedef struct follower follower_t;

/* Bytes [first, end) are to be worked on. */
typedef void follower_work_t(void *context, size_t first, size_t end);

/* Never NULL. */
follower_t *follower_new(follower_work_t *work, void *context);

/* Waits for the work. */
void follower_destroy(follower_t **self_p);

/* Bytes [0, end) are there, no fewer than before: `work` gets each once, from the first to the
 * last. */
void follower_tell(follower_t *self, size_t end);

/* Until all that it was told of is worked on. */
void follower_wait(follower_t *self);

#endif
