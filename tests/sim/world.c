/* See world.h. */
#include "sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/network.h"
#include "sim/worker.h"

#define FAIR_MS 120000.0 /* from then on no process dies, stalls or is cut off */

uint64_t world_random(world_t *self)
{
    uint64_t z = (self->random += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

double world_uniform(world_t *self)
{
    return (double)(world_random(self) >> 11) * 0x1p-53;
}

bool world_chance(world_t *self, double probability)
{
    return world_uniform(self) < probability;
}

void world_fail(const world_t *self, const char *what)
{
    (void)fprintf(stderr,
                  "seed %" PRIu64 " fails at %.3f ms, step %u: %s; replay: sim --first %" PRIu64
                  " --count 1 --verbose\n",
                  self->seed, self->now_ms, self->n_done, what, self->seed);
    exit(1);
}

static int s_n_peers(const world_t *self)
{
    return self->n_workers + self->n_relays;
}

/* What the server and the relays say to those below them */

static double s_now_ms(void *context)
{
    return ((place_t *)context)->world->now_ms;
}

/* Is it the liar, or a relay? What is below a relay speaks through it. */
static bool s_passes_lies(const world_t *self, const peer_t *peer)
{
    return self->lie > 0 && (peer->relay || peer->place.index == LIAR);
}

static bool s_control_below(void *context, const wire_peer_t *to, const wire_t *message,
                            frame_t *frame)
{
    const place_t *place = context;
    world_t *self = place->world;
    uint32_t connection;
    memcpy(&connection, to->bytes, sizeof(connection));
    bool quarantined =
        message->type == WIRE_REFUSED && message->refusal.reason == WIRE_REFUSED_QUARANTINE;
    for (int i = 0; i < s_n_peers(self); i++) {
        const peer_t *peer = &self->peers[i];
        if (peer->alive && peer->parent == place->index && peer->connection == connection) {
            if (quarantined && !s_passes_lies(self, peer))
                world_fail(self, "an honest worker in quarantine");
            self->n_exposed += quarantined;
            network_send(self, EVENT_TO_PEER, i, message, frame);
            return true;
        }
    }
    if (frame)
        frame_clear(frame);
    return false;
}

static void s_data_below(void *context, const wire_peer_t *to, const wire_t *message,
                         frame_t *frame)
{
    (void)s_control_below(context, to, message, frame);
}

static void s_weights_below(void *context, const wire_t *message, frame_t *frame)
{
    const place_t *place = context;
    world_t *self = place->world;
    for (int i = 0; i < s_n_peers(self); i++) {
        if (!self->peers[i].alive || self->peers[i].parent != place->index)
            continue;
        frame_t copy = {.present = false};
        frame_share(&copy, frame);
        network_send(self, EVENT_TO_PEER, i, message, &copy);
    }
    frame_clear(frame);
}

/* Whoever is below `place` has to connect again. */
static void s_reconnect_below(world_t *self, int place)
{
    for (int i = 0; i < s_n_peers(self); i++)
        if (self->peers[i].parent == place)
            self->peers[i].connection = ++self->next_connection;
}

/* The server */

static void s_step_done(void *context, server_record_t *record)
{
    world_t *self = ((place_t *)context)->world;
    if (record->step != self->n_done + 1)
        world_fail(self, "a step out of order");
    if ((double)record->rows != self->rows[record->step])
        world_fail(self, "a step that does not count each row once");
    self->n_done = record->step;
    self->unaudited[record->step] = record->unaudited > 0;
    if (self->last != self->kept)
        server_record_destroy(&self->last);
    self->last = record;
    if (record->step % self->checkpoint_every == 0) {
        server_record_destroy(&self->kept);
        self->kept = record;
    }
}

static bool s_same_score(const trial_score_t *a, const trial_score_t *b)
{
    return a->rows == b->rows && a->cost == b->cost && a->accuracy == b->accuracy;
}

static void s_evaluated(void *context, const trial_result_t *result)
{
    world_t *self = ((place_t *)context)->world;
    const trial_result_t *expected = &self->results[result->step];
    for (uint32_t step = 1; self->lie > 0 && step <= result->step; step++)
        if (self->unaudited[step])
            return; /* a lie may have counted */
    if (expected->step != result->step ||
        !s_same_score(&result->validation, &expected->validation) ||
        !s_same_score(&result->test, &expected->test))
        world_fail(self, "another evaluation than the calm run's");
}

static void s_start_server(world_t *self)
{
    static const dispatch_planes_t planes = {"simulated", ".data", ".weights", ".gradients"};
    coordinator_ports_t ports = {
        {&self->place, s_now_ms, s_control_below, s_data_below, s_weights_below},
        s_step_done,
        s_evaluated,
    };
    server_job_t job = self->job;
    if (self->kept) { /* as cli/run.c goes on from a checkpoint */
        job.step = self->kept->step;
        job.weights = frame_data(&self->kept->weights);
        job.optimizer = optimizer_state_share(&self->kept->optimizer);
        job.trial = trial_state_share(&self->kept->trial);
        memcpy(job.kernel, self->kept->kernel, sizeof(job.kernel));
    }
    job.incarnation = (uint32_t)world_random(self);
    self->n_done = job.step;
    self->server = coordinator_new(&job, &ports, &planes);
    s_reconnect_below(self, SERVER);
}

static void s_kill_server(world_t *self)
{
    coordinator_destroy(&self->server);
    if (self->last != self->kept)
        server_record_destroy(&self->last);
    self->last = self->kept;
    self->server_back_ms = self->now_ms + 10 + world_uniform(self) * 500;
    self->n_kills++;
}

/* Relays */

static void s_control_above(void *context, const wire_t *message)
{
    const place_t *place = context;
    network_send(place->world, EVENT_CONTROL, place->index, message, NULL);
}

static void s_data_above(void *context, const wire_t *message)
{
    const place_t *place = context;
    network_send(place->world, EVENT_DATA, place->index, message, NULL);
}

static void s_gradient_above(void *context, const wire_t *message, frame_t *frame)
{
    const place_t *place = context;
    network_send(place->world, EVENT_GRADIENT, place->index, message, frame);
}

static int s_set_up_relay(void *context, const wire_welcome_t *job, dispatch_planes_t *planes,
                          err_t *err)
{
    (void)context;
    (void)job;
    (void)err;
    *planes = (dispatch_planes_t){"simulated", ".data", ".weights", ".gradients"};
    return 0;
}

static void s_start_relay(world_t *self, peer_t *peer)
{
    wire_hello_t hello = {.threads = 1};
    (void)snprintf(hello.name, sizeof(hello.name), "r%d-%u", peer->place.index, peer->life);
    forwarder_ports_t ports = {
        {&peer->place, s_now_ms, s_control_below, s_data_below, s_weights_below},
        &peer->place,
        s_control_above,
        s_data_above,
        s_gradient_above,
        s_set_up_relay,
    };
    peer->forwarder = forwarder_new(&hello, "above", NULL, (uint32_t)world_random(self), &ports);
    s_reconnect_below(self, peer->place.index);
}

/* Both */

static void s_start(world_t *self, peer_t *peer)
{
    peer->alive = true;
    peer->life++;
    peer->connection = ++self->next_connection;
    peer->stalled_until_ms = 0;
    if (peer->relay)
        s_start_relay(self, peer);
    else
        worker_start(self, peer);
}

static void s_end(peer_t *peer)
{
    if (!peer->alive)
        return;
    peer->alive = false;
    peer->connection = 0;
    forwarder_destroy(&peer->forwarder);
    session_destroy(&peer->session);
    gradient_destroy(&peer->gradient);
    frame_clear(&peer->weights);
    frame_clear(&peer->evaluated);
}

/* A new process takes its place. */
static void s_replace(world_t *self, peer_t *peer)
{
    s_end(peer);
    peer->reborn_ms = self->now_ms + 50;
}

/* Events */

static void s_act(world_t *self, peer_t *peer)
{
    if (!worker_act(self, peer))
        s_replace(self, peer);
}

static void s_tick_relay(world_t *self, peer_t *peer)
{
    forwarder_tick(peer->forwarder);
    if (forwarder_state(peer->forwarder) != FORWARDER_GOES_ON)
        s_replace(self, peer);
}

static void s_to_peer(world_t *self, const event_t *event)
{
    peer_t *peer = &self->peers[event->peer];
    if (!peer->alive || event->life != peer->life || event->connection != peer->connection)
        return; /* its connection is gone */
    frame_t frame;
    bool ok = network_open(self, event, NULL, NULL, &frame) == WIRE_OK;
    bool rows = self->in.type == WIRE_ROWS;
    if (ok && peer->relay && rows)
        (void)forwarder_rows(peer->forwarder, &self->in, frame_data(&frame), frame_size(&frame));
    else if (ok && peer->relay)
        forwarder_above(peer->forwarder, &self->in, &frame);
    else if (ok && rows)
        (void)session_rows(peer->session, &self->in, frame_data(&frame), frame_size(&frame));
    else if (ok &&
             session_message(peer->session, &self->in, frame_size(&frame), (int64_t)self->now_ms)) {
        frame_t *kept = self->in.type == WIRE_EVALUATE ? &peer->evaluated : &peer->weights;
        frame_clear(kept);
        frame_move(kept, &frame);
    }
    frame_clear(&frame);
    if (peer->relay)
        s_tick_relay(self, peer);
    else
        s_act(self, peer);
}

static void s_to_server(world_t *self, event_kind_t kind, const wire_peer_t *from,
                        wire_status_t status, frame_t *frame)
{
    if (kind == EVENT_CONTROL)
        coordinator_control(self->server, from, status, &self->in);
    else if (kind == EVENT_DATA)
        coordinator_fetch(self->server, from, status, &self->in);
    else
        coordinator_partial(self->server, status, &self->in, frame);
    coordinator_tick(self->server);
}

static void s_to_relay(world_t *self, peer_t *relay, event_kind_t kind, const wire_peer_t *from,
                       wire_status_t status, frame_t *frame)
{
    if (kind == EVENT_CONTROL)
        forwarder_control(relay->forwarder, from, status, &self->in);
    else if (kind == EVENT_DATA)
        forwarder_fetch(relay->forwarder, from, status, &self->in);
    else
        forwarder_partial(relay->forwarder, status, &self->in, frame);
    s_tick_relay(self, relay);
}

/* link_held_t */
static const float *s_held_by_server(void *context, const wire_t *message, size_t frame_size)
{
    return coordinator_held(context, message, frame_size);
}

static const float *s_held_by_relay(void *context, const wire_t *message, size_t frame_size)
{
    return forwarder_held(context, message, frame_size);
}

static void s_to_parent(world_t *self, const event_t *event)
{
    const peer_t *peer = &self->peers[event->peer];
    peer_t *relay = peer->parent == SERVER ? NULL : &self->peers[peer->parent];
    wire_peer_t from = {.size = 4};
    if (event->life != peer->life || (relay ? !relay->alive : !self->server))
        return;
    memcpy(from.bytes, &peer->connection, 4); /* that of now: a queue outlives a reconnection */
    frame_t frame;
    wire_status_t status =
        event->kind != EVENT_GRADIENT ? network_open(self, event, NULL, NULL, &frame)
        : relay ? network_open(self, event, s_held_by_relay, relay->forwarder, &frame)
                : network_open(self, event, s_held_by_server, self->server, &frame);
    if (relay)
        s_to_relay(self, relay, event->kind, &from, status, &frame);
    else
        s_to_server(self, event->kind, &from, status, &frame);
    frame_clear(&frame);
}

/* Faults that come with time: every 5 ms of the simulation. */
static void s_misfortune(world_t *self)
{
    for (int i = 0; i < s_n_peers(self); i++) {
        peer_t *peer = &self->peers[i];
        if (!peer->alive) {
            if (self->now_ms >= peer->reborn_ms)
                s_start(self, peer);
            continue;
        }
        if (self->now_ms > FAIR_MS)
            continue;
        if (world_chance(self, self->stall))
            peer->stalled_until_ms = self->now_ms + world_uniform(self) * 5000;
        if (world_chance(self, self->cut))
            peer->cut_until_ms = self->now_ms + world_uniform(self) * 8000;
        if (world_chance(self, self->kill)) {
            s_end(peer);
            peer->reborn_ms = self->now_ms + world_uniform(self) * 1000;
            self->n_kills++;
        }
    }
    if (!self->server && self->now_ms >= self->server_back_ms)
        s_start_server(self);
    else if (self->server && self->now_ms <= FAIR_MS && world_chance(self, self->kill_server))
        s_kill_server(self);
}

/* What waits: a stalled process's events until it goes on, half of a dead parent's until it is
 * back. */
static bool s_put_off(world_t *self, event_t *event)
{
    if (event->kind == EVENT_TIME)
        return false;
    const peer_t *peer = &self->peers[event->peer];
    bool for_peer = event->kind == EVENT_TO_PEER || event->kind == EVENT_COMPUTED;
    const peer_t *target = for_peer                 ? peer
                           : peer->parent == SERVER ? NULL
                                                    : &self->peers[peer->parent];
    double until_ms = 0;
    if (target && target->alive)
        until_ms = target->stalled_until_ms;
    else if (!for_peer && (target || !self->server) && world_chance(self, 0.5))
        until_ms = (target ? target->reborn_ms : self->server_back_ms) + 5;
    if (self->now_ms >= until_ms)
        return false;
    queue_put(self->queue, until_ms, event);
    return true;
}

static void s_time(world_t *self)
{
    s_misfortune(self);
    if (self->server)
        coordinator_tick(self->server);
    for (int i = 0; i < s_n_peers(self); i++) {
        peer_t *peer = &self->peers[i];
        if (!peer->alive || self->now_ms < peer->stalled_until_ms)
            continue;
        if (peer->relay)
            s_tick_relay(self, peer);
        else
            s_act(self, peer);
    }
    queue_put(self->queue, self->now_ms + 5, event_new(EVENT_TIME, 0, NULL, 0, NULL, 0));
}

void world_advance(world_t *self)
{
    event_t *event = queue_take(self->queue, &self->now_ms);
    if (s_put_off(self, event))
        return;
    switch (event->kind) {
    case EVENT_TO_PEER:
        s_to_peer(self, event);
        break;
    case EVENT_COMPUTED:
        if (!worker_computed(self, event))
            s_replace(self, &self->peers[event->peer]);
        break;
    case EVENT_CONTROL:
    case EVENT_DATA:
    case EVENT_GRADIENT:
        s_to_parent(self, event);
        break;
    case EVENT_TIME:
        s_time(self);
        break;
    }
    event_destroy(&event);
}

void world_open(world_t *self)
{
    self->queue = queue_new();
    self->codec = wire_buffer_new();
    self->buffers = pool_new(model_params(&self->job.model) * sizeof(float));
    self->place = (place_t){self, SERVER};
    for (int i = 0; i < s_n_peers(self); i++) {
        peer_t *peer = &self->peers[i];
        peer->place = (place_t){self, i};
        peer->relay = i >= self->n_workers;
        /* relays stack: each may be below one before it */
        int n_above = peer->relay ? i - self->n_workers : self->n_relays;
        int above = (int)(world_random(self) % (uint64_t)(n_above + 1));
        bool honest = self->lie > 0 && i > LIAR && i <= LIAR + 2; /* two that are heard directly */
        peer->parent = above == 0 || honest ? SERVER : self->n_workers + above - 1;
        /* some come later */
        peer->reborn_ms = world_chance(self, 0.3) ? world_uniform(self) * 1000 : 0;
    }
    s_start_server(self);
    queue_put(self->queue, 0, event_new(EVENT_TIME, 0, NULL, 0, NULL, 0));
}

void world_close(world_t *self)
{
    coordinator_destroy(&self->server);
    for (int i = 0; i < s_n_peers(self); i++)
        s_end(&self->peers[i]);
    if (self->kept != self->last)
        server_record_destroy(&self->kept);
    server_record_destroy(&self->last);
    queue_destroy(&self->queue);
    wire_buffer_destroy(&self->codec);
    wire_clear(&self->in);
    pool_destroy(&self->buffers);
}
