/* See follower.h. */
#include "base/follower.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct follower {
    follower_work_t *work;
    void *context; /* borrowed */
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t change;
    size_t n_there;
    size_t n_done;
    bool stopping;
};

static void *s_thread(void *argument)
{
    follower_t *self = argument;
    pthread_mutex_lock(&self->lock);
    while (!self->stopping || self->n_done < self->n_there) {
        size_t first = self->n_done, end = self->n_there;
        if (first == end) {
            pthread_cond_wait(&self->change, &self->lock);
            continue;
        }
        pthread_mutex_unlock(&self->lock);
        self->work(self->context, first, end);
        pthread_mutex_lock(&self->lock);
        self->n_done = end;
        pthread_cond_broadcast(&self->change);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

follower_t *follower_new(follower_work_t *work, void *context)
{
    follower_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->work = work;
    self->context = context;
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->change, NULL);
    if (pthread_create(&self->thread, NULL, s_thread, self) != 0)
        abort();
    return self;
}

void follower_destroy(follower_t **self_p)
{
    follower_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    pthread_mutex_lock(&self->lock);
    self->stopping = true;
    pthread_cond_broadcast(&self->change);
    pthread_mutex_unlock(&self->lock);
    pthread_join(self->thread, NULL);
    pthread_cond_destroy(&self->change);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

void follower_tell(follower_t *self, size_t end)
{
    pthread_mutex_lock(&self->lock);
    assert(end >= self->n_there);
    self->n_there = end;
    pthread_cond_broadcast(&self->change);
    pthread_mutex_unlock(&self->lock);
}

void follower_wait(follower_t *self)
{
    pthread_mutex_lock(&self->lock);
    while (self->n_done < self->n_there)
        pthread_cond_wait(&self->change, &self->lock);
    pthread_mutex_unlock(&self->lock);
}
