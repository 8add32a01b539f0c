/* See compute.h. */
#include "workers/compute.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "workers/gradient.h"

typedef struct task {
    struct task *next;
    uint32_t step;
    node_t node;
    uint64_t epoch; /* of the submission */
    frame_t weights;
    partial_t partial;
    bool done;          /* the partial is there; false: given up */
    wire_score_t score; /* end 0: a node; else rows to evaluate */
} task_t;

/* First in, first out. */
typedef struct {
    task_t *head;
    task_t *tail;
} queue_t;

struct compute {
    model_t model;
    sampler_t sampler;
    kernel_t kernel;
    const rowcache_t *rows; /* borrowed */
    pool_t *buffers;        /* owned */
    blocks_t *blocks;       /* owned */
    uint32_t n_threads;
    pthread_t *threads; /* owned */
    int fd;
    _Atomic uint64_t epoch; /* changes with every cancel */
    pthread_mutex_t lock;   /* guards what follows */
    pthread_cond_t wake;
    bool stopping;
    queue_t todo;
    queue_t results;
    queue_t scores;
    queue_t idle; /* tasks to be used again */
};

static void s_put(queue_t *queue, task_t *task)
{
    task->next = NULL;
    if (queue->tail)
        queue->tail->next = task;
    else
        queue->head = task;
    queue->tail = task;
}

static task_t *s_get(queue_t *queue)
{
    task_t *task = queue->head;
    if (!task)
        return NULL;
    queue->head = task->next;
    if (!queue->head)
        queue->tail = NULL;
    return task;
}

static void s_signal_result(const compute_t *self)
{
    uint64_t one = 1;
    ssize_t n = write(self->fd, &one, sizeof(one));
    (void)n; /* it only fails when the counter is full, and then it is readable anyway */
}

static void s_evaluate(const compute_t *self, gradient_t *gradient, task_t *task)
{
    wire_score_t *score = &task->score;
    uint32_t n_correct;
    score->cost = gradient_evaluate(
        gradient, frame_data(&task->weights),
        rowcache_images(self->rows) + (size_t)score->first * self->model.n_inputs,
        rowcache_labels(self->rows) + score->first, score->end - score->first, &n_correct);
    score->correct = n_correct;
}

static void *s_thread(void *argument)
{
    compute_t *self = argument;
    gradient_t *gradient =
        gradient_new(&self->model, &self->sampler, self->kernel, self->buffers, self->blocks);
    pthread_mutex_lock(&self->lock);
    for (;;) {
        task_t *task;
        while (!self->stopping && !self->todo.head)
            pthread_cond_wait(&self->wake, &self->lock);
        if (self->stopping)
            break;
        task = s_get(&self->todo);
        pthread_mutex_unlock(&self->lock);
        bool scored = task->score.end > 0;
        if (scored)
            s_evaluate(self, gradient, task);
        else
            task->done =
                gradient_node(gradient, frame_data(&task->weights), rowcache_images(self->rows),
                              rowcache_labels(self->rows), task->step, task->node, &self->epoch,
                              task->epoch, &task->partial);
        frame_clear(&task->weights);
        pthread_mutex_lock(&self->lock);
        s_put(scored ? &self->scores : task->done ? &self->results : &self->idle, task);
        if (scored || task->done)
            s_signal_result(self);
    }
    pthread_mutex_unlock(&self->lock);
    gradient_destroy(&gradient);
    return NULL;
}

compute_t *compute_new(uint32_t n_threads, const model_t *model, const sampler_t *sampler,
                       kernel_t kernel, const rowcache_t *rows)
{
    compute_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->model = *model;
    self->sampler = *sampler;
    self->kernel = kernel;
    self->rows = rows;
    self->buffers = pool_new(model_params(model) * sizeof(float));
    self->blocks =
        blocks_new(sampler, model->n_inputs, blocks_most_bytes(model, sampler, n_threads));
    self->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    self->threads = calloc(n_threads, sizeof(pthread_t));
    if (self->fd < 0 || !self->threads)
        abort();
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->wake, NULL);
    /* Signals are for the program's main thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    for (; self->n_threads < n_threads; self->n_threads++)
        if (pthread_create(&self->threads[self->n_threads], NULL, s_thread, self) != 0)
            abort();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return self;
}

static void s_free_all(queue_t *queue)
{
    task_t *task;
    while ((task = s_get(queue))) {
        frame_clear(&task->weights);
        if (task->done)
            partial_release(&task->partial);
        free(task);
    }
}

void compute_destroy(compute_t **self_p)
{
    compute_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    compute_cancel(self);
    pthread_mutex_lock(&self->lock);
    self->stopping = true;
    pthread_cond_broadcast(&self->wake);
    pthread_mutex_unlock(&self->lock);
    for (uint32_t i = 0; i < self->n_threads; i++)
        pthread_join(self->threads[i], NULL);
    s_free_all(&self->todo);
    s_free_all(&self->results);
    s_free_all(&self->scores);
    s_free_all(&self->idle);
    pthread_cond_destroy(&self->wake);
    pthread_mutex_destroy(&self->lock);
    pool_destroy(&self->buffers);
    blocks_destroy(&self->blocks);
    close(self->fd);
    free(self->threads);
    free(self);
}

/* A task with a reference of its own to the weights. */
static task_t *s_task(compute_t *self, frame_t *weights)
{
    pthread_mutex_lock(&self->lock);
    task_t *task = s_get(&self->idle);
    pthread_mutex_unlock(&self->lock);
    if (!task)
        task = malloc(sizeof(*task));
    if (!task)
        abort();
    memset(task, 0, sizeof(*task));
    frame_share(&task->weights, weights);
    return task;
}

static void s_submit(compute_t *self, task_t *task)
{
    pthread_mutex_lock(&self->lock);
    s_put(&self->todo, task);
    pthread_cond_signal(&self->wake);
    pthread_mutex_unlock(&self->lock);
}

void compute_submit(compute_t *self, uint32_t step, node_t node, frame_t *weights)
{
    task_t *task = s_task(self, weights);
    task->step = step;
    task->node = node;
    task->epoch = atomic_load(&self->epoch);
    s_submit(self, task);
}

void compute_evaluate(compute_t *self, uint32_t step, uint32_t first, uint32_t end,
                      frame_t *weights)
{
    task_t *task = s_task(self, weights);
    task->score = (wire_score_t){.step = step, .first = first, .end = end};
    s_submit(self, task);
}

void compute_cancel(compute_t *self)
{
    task_t *task;
    queue_t kept = {NULL, NULL};
    atomic_fetch_add(&self->epoch, 1);
    pthread_mutex_lock(&self->lock);
    while ((task = s_get(&self->todo))) {
        if (task->score.end > 0) {
            s_put(&kept, task);
            continue;
        }
        frame_clear(&task->weights);
        s_put(&self->idle, task);
    }
    self->todo = kept;
    pthread_mutex_unlock(&self->lock);
}

int compute_fd(const compute_t *self)
{
    return self->fd;
}

bool compute_take(compute_t *self, uint32_t *step, node_t *node, partial_t *partial)
{
    uint64_t count;
    ssize_t n = read(self->fd, &count, sizeof(count)); /* before looking: a later result sets it */
    (void)n;
    pthread_mutex_lock(&self->lock);
    task_t *task = s_get(&self->results);
    if (task) {
        *step = task->step;
        *node = task->node;
        *partial = task->partial;
        task->done = false;
        s_put(&self->idle, task);
    }
    pthread_mutex_unlock(&self->lock);
    return task != NULL;
}

bool compute_take_score(compute_t *self, wire_score_t *score)
{
    pthread_mutex_lock(&self->lock);
    task_t *task = s_get(&self->scores);
    if (task) {
        *score = task->score;
        s_put(&self->idle, task);
    }
    pthread_mutex_unlock(&self->lock);
    return task != NULL;
}
