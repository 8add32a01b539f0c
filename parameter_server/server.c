/* See server.h. */
#include "parameter_server/server.h"

#include <czmq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/handover.h"
#include "parameter_server/coordinator.h"
#include "proto/link.h"

struct server {
    zactor_t *actor; /* owned, as all that follows; NULL until it is started */
    coordinator_t *coordinator;
    server_links_t links;
    zsock_t *pipe;              /* the actor's end; borrowed while it runs */
    server_record_t *done;      /* of a step that nobody was told of yet */
    trial_result_t evaluation;  /* the last one that was taken */
    wire_t in;                  /* reused */
    link_traffic_t published;   /* of `weights`, up to the last step ... */
    link_traffic_t distributed; /* ... and what came of it: a copy for each worker */
    bool ended;                 /* SERVER_DONE was taken */
};

/* The coordinator's ports */

static double s_now_ms(void *context)
{
    (void)context;
    return (double)clock_us() / 1000.0;
}

static bool s_send_control(void *context, const wire_peer_t *peer, const wire_t *message,
                           frame_t *frame)
{
    server_t *self = context;
    return link_send(self->links.control, peer, message, frame);
}

static void s_send_data(void *context, const wire_peer_t *peer, const wire_t *message,
                        frame_t *frame)
{
    server_t *self = context;
    /* a worker asks again for what is lost */
    (void)link_send(self->links.data, peer, message, frame);
}

static void s_send_weights(void *context, const wire_t *message, frame_t *frame)
{
    server_t *self = context;
    (void)link_send(self->links.weights, NULL, message, frame);
}

static void s_count_traffic(server_t *self, server_record_t *record)
{
    link_traffic_t published = {0};
    link_traffic(self->links.weights, &published);
    self->distributed.messages_out +=
        (published.messages_out - self->published.messages_out) * record->workers;
    self->distributed.bytes_out +=
        (published.bytes_out - self->published.bytes_out) * record->workers;
    self->published = published;
    record->traffic = self->distributed;
    link_traffic(self->links.control, &record->traffic);
    link_traffic(self->links.data, &record->traffic);
    link_traffic(self->links.gradients, &record->traffic);
}

static void s_step_done(void *context, server_record_t *record)
{
    server_t *self = context;
    s_count_traffic(self, record);
    self->done = record;
}

static void s_evaluated(void *context, const trial_result_t *result)
{
    server_t *self = context;
    trial_result_t *copy = malloc(sizeof(*copy));
    if (!copy)
        abort();
    *copy = *result;
    handover_give(copy);
    zsock_send(self->pipe, "ip", (int)SERVER_EVALUATED, (void *)copy);
}

/* link_held_t */
static const float *s_held(void *context, const wire_t *message, size_t frame_size)
{
    return coordinator_held(((server_t *)context)->coordinator, message, frame_size);
}

/* After the coordinator has begun the next step: nobody waits for it then. */
static void s_tell(server_t *self)
{
    if (!self->done)
        return;
    handover_give(self->done);
    zsock_send(self->pipe, "ip", (int)SERVER_STEP, (void *)self->done);
    self->done = NULL;
}

link_t *server_bind(const char *bind, err_t *err)
{
    char planes[4][LINK_ENDPOINT_SIZE];
    link_t *control = NULL;
    if (link_planes(bind, planes, err) != 0 ||
        !(control = link_bind(LINK_CONTROL_SERVER, planes[0], 0, err)))
        err_prefix(err, "server.bind");
    return control;
}

/* Binds what is not bound yet, for weights and gradients of at most so many bytes. */
static int s_bind(server_links_t *links, const char *bind, size_t frame_bytes, err_t *err)
{
    char planes[4][LINK_ENDPOINT_SIZE];
    if (!links->control && !(links->control = server_bind(bind, err)))
        return -1;
    if (link_planes(bind, planes, err) != 0 ||
        (!links->data && !(links->data = link_bind(LINK_DATA_SERVER, planes[1], 0, err))) ||
        (!links->weights &&
         !(links->weights = link_bind(LINK_WEIGHTS_SERVER, planes[2], frame_bytes, err))) ||
        (!links->gradients &&
         !(links->gradients = link_bind(LINK_GRADIENTS_SERVER, planes[3], frame_bytes, err))))
        return err_prefix(err, "server.bind");
    return 0;
}

server_t *server_new(server_job_t *job, err_t *err)
{
    server_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->links = job->links;
    job->links = (server_links_t){.control = NULL};
    size_t params = model_params(&job->model);
    size_t most_params = params > job->most_params ? params : job->most_params;
    if (server_job_check(job, err) != 0 ||
        s_bind(&self->links, job->bind, most_params * sizeof(float), err) != 0) {
        optimizer_state_clear(&job->optimizer);
        trial_state_clear(&job->trial);
        server_destroy(&self);
        return NULL;
    }
    uint64_t drawn[2];
    if (getrandom(drawn, sizeof(drawn), 0) != sizeof(drawn))
        drawn[0] = drawn[1] = (uint64_t)clock_us(); /* they only have to differ from others */
    if (!job->run)
        job->run = drawn[0];
    if (!job->incarnation)
        job->incarnation = (uint32_t)drawn[1];
    coordinator_ports_t ports = {
        {self, s_now_ms, s_send_control, s_send_data, s_send_weights},
        s_step_done,
        s_evaluated,
    };
    dispatch_planes_t planes;
    const char *control = link_endpoint(self->links.control);
    (void)snprintf(planes.control, sizeof(planes.control), "%s", control);
    link_plane_name(control, link_endpoint(self->links.data), planes.data);
    link_plane_name(control, link_endpoint(self->links.weights), planes.weights);
    link_plane_name(control, link_endpoint(self->links.gradients), planes.gradients);
    self->coordinator = coordinator_new(job, &ports, &planes);
    link_traffic(self->links.weights, &self->published); /* of earlier jobs */
    link_add_to(self->links.gradients, s_held, self);
    return self;
}

/* Records that nobody took go with the server. */
static void s_end_actor(server_t *self)
{
    server_record_t *record = NULL;
    if (!self->ended)
        server_stop(self);
    while (!self->ended) {
        (void)server_wait(self, -1, &record);
        server_record_destroy(&record);
    }
    zactor_destroy(&self->actor);
    handover_take(self); /* it has released the workers since */
}

void server_end(server_t **self_p, server_links_t *links)
{
    server_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    if (self->actor)
        s_end_actor(self);
    if (self->links.gradients)
        link_add_to(self->links.gradients, NULL, NULL);
    coordinator_destroy(&self->coordinator);
    wire_clear(&self->in);
    *links = self->links;
    free(self);
}

void server_destroy(server_t **self_p)
{
    server_links_t links = {.control = NULL};
    server_end(self_p, &links);
    server_links_destroy(&links);
}

const char *server_endpoint(const server_t *self)
{
    return link_endpoint(self->links.control);
}

/* Hands all messages that are there to the coordinator. */

static void s_drain_gradients(server_t *self)
{
    frame_t frame = {.present = false};
    wire_peer_t nobody;
    wire_status_t status;
    while (link_receive(self->links.gradients, &nobody, &self->in, &frame, &status)) {
        coordinator_partial(self->coordinator, status, &self->in, &frame);
        s_tell(self);
        frame_clear(&frame);
    }
}

static void s_drain(server_t *self, link_t *link,
                    void (*handle)(coordinator_t *, const wire_peer_t *, wire_status_t,
                                   const wire_t *))
{
    frame_t frame = {.present = false};
    wire_peer_t peer;
    wire_status_t status;
    while (link_receive(link, &peer, &self->in, &frame, &status)) {
        handle(self->coordinator, &peer, status, &self->in);
        frame_clear(&frame);
    }
}

static void s_actor(zsock_t *pipe, void *argument)
{
    server_t *self = argument;
    zsock_signal(pipe, 0);
    self->pipe = pipe;
    bool stopping = false;
    enum {
        PIPE,
        CONTROL,
        DATA,
        GRADIENTS,
        N_ITEMS
    };
    zmq_pollitem_t items[N_ITEMS] = {
        [PIPE] = {zsock_resolve(pipe), 0, ZMQ_POLLIN, 0},
        [CONTROL] = {link_socket(self->links.control), 0, ZMQ_POLLIN, 0},
        [DATA] = {link_socket(self->links.data), 0, ZMQ_POLLIN, 0},
        [GRADIENTS] = {link_socket(self->links.gradients), 0, ZMQ_POLLIN, 0},
    };
    link_t *const links[N_ITEMS] = {
        [CONTROL] = self->links.control,
        [DATA] = self->links.data,
        [GRADIENTS] = self->links.gradients,
    };
    while (!stopping && !coordinator_finished(self->coordinator)) {
        if (link_poll(items, links, N_ITEMS, coordinator_timeout_ms(self->coordinator)) < 0 &&
            zmq_errno() != EINTR)
            break; /* the context is gone */
        if (items[PIPE].revents) {
            char *word = zstr_recv(pipe); /* $TERM is all that it says */
            zstr_free(&word);
            stopping = true;
        }
        if (items[GRADIENTS].revents)
            s_drain_gradients(self);
        if (items[CONTROL].revents)
            s_drain(self, self->links.control, coordinator_control);
        if (items[DATA].revents)
            s_drain(self, self->links.data, coordinator_fetch);
        coordinator_tick(self->coordinator);
        s_tell(self);
    }
    handover_give(self);
    zsock_send(pipe, "ip", (int)SERVER_DONE, NULL);
    char *word = zstr_recv(pipe); /* server_release's, or $TERM */
    coordinator_release_workers(self->coordinator, word && strcmp(word, "NEXT") == 0);
    zstr_free(&word);
    handover_give(self);
}

void server_start(server_t *self)
{
    self->actor = zactor_new(s_actor, self);
    if (!self->actor)
        abort();
}

void server_stop(server_t *self)
{
    zstr_send(self->actor, "$TERM");
}

const char *server_failure(const server_t *self)
{
    return coordinator_failure(self->coordinator);
}

const trial_result_t *server_evaluation(const server_t *self)
{
    return &self->evaluation;
}

const trial_state_t *server_trial(const server_t *self)
{
    return coordinator_trial(self->coordinator);
}

void server_release(server_t *self, bool more)
{
    zstr_send(self->actor, more ? "NEXT" : "RELEASE");
}

server_event_t server_wait(server_t *self, int other_fd, server_record_t **record)
{
    zmq_pollitem_t items[2] = {
        {zsock_resolve(self->actor), 0, ZMQ_POLLIN, 0},
        {NULL, other_fd, ZMQ_POLLIN, 0},
    };
    while (zmq_poll(items, 2, -1) < 0 && zmq_errno() == EINTR)
        ;
    if (!items[0].revents)
        return SERVER_OTHER;
    int event = SERVER_DONE;
    void *pointer = NULL;
    zsock_recv(self->actor, "ip", &event, &pointer);
    handover_take(pointer ? pointer : self);
    *record = event == SERVER_STEP ? pointer : NULL;
    if (event == SERVER_EVALUATED && pointer) {
        self->evaluation = *(trial_result_t *)pointer;
        free(pointer);
    }
    self->ended = event == SERVER_DONE;
    return (server_event_t)event;
}
