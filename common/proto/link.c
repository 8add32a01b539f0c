/* See link.h. */
#include "proto/link.h"

#include <assert.h>
#include <czmq.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/handover.h"
#include "proto/link_chaos.h"

/* Connections that the system holds for a bound socket until libzmq takes them: a server that is
 * started again has all its workers back at once. The system may allow less. */
#define BACKLOG 4096

struct link {
    link_role_t role;
    zsock_t *socket;       /* owned */
    int fd;                /* the socket's, readable when libzmq has news of it */
    bool quiet;            /* all news was looked at, and there was no message */
    wire_buffer_t *buffer; /* owned */
    link_chaos_t *chaos;   /* owned; NULL without a plan of faults */
    frame_t header;        /* the last received */
    link_held_t *held;     /* NULL for none */
    void *held_context;    /* borrowed */
    link_traffic_t traffic;
    char endpoint[LINK_ENDPOINT_SIZE];
    char path[LINK_ENDPOINT_SIZE]; /* of a bound ipc socket; "" for others */
};

/* libzmq's threads: those of a server send to one worker while they hear from another
 * (docs/benchmarks.md). */
#define IO_THREADS 2

/* Queues in messages, by role. Weights and partials are large and a late one is worthless: short
 * queues, and what they drop is sent again by the protocol. But of small weights more are queued:
 * whoever takes one from a queue wakes the other side when half a queue has been taken, which with
 * the least of queues is each time. Rows are bounded by a worker's credit;
 * their queue is longer, since libzmq takes messages for queued until half a queue was read. */
static const struct {
    const char *plane;
    int type;
    int send_queue;
    int receive_queue;
    int linger_ms;
} s_roles[] = {
    [LINK_CONTROL_SERVER] = {"control", ZMQ_ROUTER, 1000, 10000, 1000},
    [LINK_DATA_SERVER] = {"data", ZMQ_ROUTER, 32, 1000, 0},
    [LINK_WEIGHTS_SERVER] = {"weights", ZMQ_PUB, 4, 1, 0},
    [LINK_GRADIENTS_SERVER] = {"gradients", ZMQ_PULL, 1, 64, 0},
    [LINK_CONTROL_WORKER] = {"control", ZMQ_DEALER, 1000, 1000, 1000},
    [LINK_DATA_WORKER] = {"data", ZMQ_DEALER, 64, 64, 0},
    [LINK_WEIGHTS_WORKER] = {"weights", ZMQ_SUB, 1, 4, 0},
    [LINK_GRADIENTS_WORKER] = {"gradients", ZMQ_PUSH, 64, 1, 1000},
    [LINK_CONTROL_GUEST] = {"control", ZMQ_DEALER, 1, 4, 0},
};

#define WEIGHTS_BYTES ((size_t)16 << 20)
#define WEIGHTS_QUEUE 64

/* How many of a role's weights to queue, of so many bytes. */
static int s_queue(int least, size_t frame_bytes)
{
    size_t n = frame_bytes ? WEIGHTS_BYTES / frame_bytes : 0;
    return n <= (size_t)least ? least : n < WEIGHTS_QUEUE ? (int)n : WEIGHTS_QUEUE;
}

static bool s_is_router(const link_t *self)
{
    return s_roles[self->role].type == ZMQ_ROUTER;
}

void link_init(void)
{
    struct rlimit limit;
    void *context = zsys_init();
    zsys_handler_set(NULL);
    /* not by zsys_set_io_threads, whose lock ThreadSanitizer takes for one of ours */
    (void)zmq_ctx_set(context, ZMQ_IO_THREADS, IO_THREADS);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max; /* every peer takes a descriptor on each plane */
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

void link_many(void)
{
    void *context = zsys_init();
    (void)zmq_ctx_set(context, ZMQ_MAX_SOCKETS, zmq_ctx_get(context, ZMQ_SOCKET_LIMIT));
}

/* A network that fails and heals is to be used again at once. TCP alone pauses for as long as the
 * failure has lasted already, notices nothing on a connection that it has nothing to send on, and
 * takes minutes to give up. ZMTP's heartbeats are no help: they close a connection on which one
 * large frame takes longer than their timeout, whereas these count from what the peer's system last
 * took, however slow the network. What is lost on the way the protocol repeats. */
static void s_tune(zsock_t *socket)
{
    zsock_set_backlog(socket, BACKLOG);
    zsock_set_tcp_maxrt(socket, 3000); /* ms, as long as the server waits for a sign of life */
    zsock_set_tcp_keepalive(socket, 1);
    zsock_set_tcp_keepalive_idle(socket, 1); /* s */
    zsock_set_tcp_keepalive_intvl(socket, 1);
    zsock_set_connect_timeout(socket, 1000); /* ms */
    zsock_set_reconnect_ivl(socket, 10);
    zsock_set_reconnect_ivl_max(socket, 500);
}

static bool s_starts(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static link_t *s_new(link_role_t role, const char *endpoint, size_t max_frame_bytes)
{
    link_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->role = role;
    self->buffer = wire_buffer_new();
    self->chaos = link_chaos_new((unsigned)role);
    self->socket = zsock_new(s_roles[role].type);
    if (!self->socket)
        abort(); /* out of sockets or memory: nothing can go on */
    int send_queue = s_roles[role].send_queue, receive_queue = s_roles[role].receive_queue;
    size_t largest =
        max_frame_bytes > WIRE_MAX_HEADER_BYTES ? max_frame_bytes : WIRE_MAX_HEADER_BYTES;
    if (role == LINK_WEIGHTS_SERVER) {
        send_queue = s_queue(send_queue, max_frame_bytes);
        largest = WIRE_MAX_HEADER_BYTES; /* of a subscription */
    } else if (role == LINK_WEIGHTS_WORKER)
        receive_queue = s_queue(receive_queue, max_frame_bytes);
    zsock_set_sndhwm(self->socket, send_queue);
    zsock_set_rcvhwm(self->socket, receive_queue);
    zsock_set_linger(self->socket, s_roles[role].linger_ms);
    int64_t limit = largest > INT64_MAX ? -1 : (int64_t)largest; /* CZMQ takes an int */
    (void)zmq_setsockopt(link_socket(self), ZMQ_MAXMSGSIZE, &limit, sizeof(limit));
    s_tune(self->socket);
    /* Names are of IPv4: of a host's addresses libzmq would try one alone, maybe the wrong kind. */
    zsock_set_ipv6(self->socket, s_starts(endpoint, "tcp://["));
    if (s_roles[role].type == ZMQ_ROUTER)
        zsock_set_router_mandatory(self->socket, 1);
    if (s_roles[role].type == ZMQ_SUB)
        zsock_set_subscribe(self->socket, "");
    self->fd = zsock_fd(self->socket);
    return self;
}

static bool s_is_local(const char *endpoint)
{
    return s_starts(endpoint, "ipc://") || s_starts(endpoint, "inproc://");
}

/* The port of tcp://host:port, which follows *colon: up to `most`, or '*', which is 0, if `any`. -1
 * with *err for all else. */
static long s_port(const char *endpoint, long most, bool any, const char **colon, err_t *err)
{
    char *rest = NULL;
    *colon = strrchr(endpoint, ':');
    if (!s_starts(endpoint, "tcp://") || !*colon || *colon <= endpoint + 6)
        return err_set(err, "'%s' is no endpoint, expected tcp://HOST:PORT or ipc://PATH",
                       endpoint);
    if (endpoint[6] != '[' && memchr(endpoint + 6, ':', (size_t)(*colon - endpoint) - 6))
        return err_set(err, "'%s' has more than one ':', expected [ADDRESS] for one of IPv6",
                       endpoint);
    if (any && strcmp(*colon + 1, "*") == 0)
        return 0;
    long port = strtol(*colon + 1, &rest, 10);
    if (rest == *colon + 1 || *rest || port < 1 || port > most)
        return err_set(err, "'%s' has port '%s', expected 1 to %ld%s", endpoint, *colon + 1, most,
                       any ? " or *" : "");
    return port;
}

/* The path of an ipc endpoint, "" for others. */
static const char *s_path(const char *endpoint)
{
    return s_starts(endpoint, "ipc://") && endpoint[6] != '@' ? endpoint + 6 : "";
}

/* Does a process listen on the socket of that path? libzmq would take it away from it. */
static bool s_is_taken(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool taken = false;
    if (fd < 0)
        return false;
    if (path[0] && strlen(path) < sizeof(address.sun_path)) {
        memcpy(address.sun_path, path, strlen(path));
        taken = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ||
                errno == EAGAIN; /* and others wait for it already */
    }
    (void)close(fd);
    return taken;
}

link_t *link_bind(link_role_t role, const char *endpoint, size_t max_frame_bytes, err_t *err)
{
    link_t *self = s_new(role, endpoint, max_frame_bytes);
    bool taken = s_is_taken(s_path(endpoint));
    if (taken || zsock_bind(self->socket, "%s", endpoint) < 0) {
        errno = taken ? EADDRINUSE : zmq_errno();
        err_set(err, "%s: cannot bind the %s plane: %s%s", endpoint, s_roles[role].plane,
                zmq_strerror(errno),
                errno == ENODEV ? ", expected an address or interface of this machine, or *" : "");
        link_destroy(&self);
        return NULL;
    }
    size_t size = sizeof(self->endpoint);
    (void)zmq_getsockopt(link_socket(self), ZMQ_LAST_ENDPOINT, self->endpoint, &size);
    (void)snprintf(self->path, sizeof(self->path), "%s", s_path(endpoint));
    return self;
}

link_t *link_connect(link_role_t role, const char *endpoint, size_t max_frame_bytes, err_t *err)
{
    const char *colon;
    if (!s_is_local(endpoint) && s_port(endpoint, 65535, false, &colon, err) < 0)
        return NULL;
    link_t *self = s_new(role, endpoint, max_frame_bytes);
    if (zsock_connect(self->socket, "%s", endpoint) < 0) {
        err_set(err, "%s: cannot connect the %s plane: %s", endpoint, s_roles[role].plane,
                zmq_strerror(zmq_errno()));
        link_destroy(&self);
        return NULL;
    }
    (void)snprintf(self->endpoint, sizeof(self->endpoint), "%s", endpoint);
    return self;
}

void link_destroy(link_t **self_p)
{
    link_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    frame_clear(&self->header);
    link_chaos_destroy(&self->chaos);
    zsock_destroy(&self->socket);
    if (self->path[0])
        (void)unlink(self->path); /* libzmq leaves it */
    wire_buffer_destroy(&self->buffer);
    free(self);
}

void *link_socket(link_t *self)
{
    return zsock_resolve(self->socket);
}

void link_add_to(link_t *self, link_held_t *held, void *context)
{
    self->held = held;
    self->held_context = context;
}

int link_fd(const link_t *self)
{
    return self->fd;
}

void link_wake(link_t *self)
{
    self->quiet = false;
}

bool link_quiet(const link_t *self)
{
    return self->quiet && !self->chaos;
}

void link_traffic(const link_t *self, link_traffic_t *sum)
{
    sum->messages_in += self->traffic.messages_in;
    sum->bytes_in += self->traffic.bytes_in;
    sum->messages_out += self->traffic.messages_out;
    sum->bytes_out += self->traffic.bytes_out;
}

static int64_t s_held_due_ms(const link_t *self)
{
    return self && self->chaos ? link_chaos_due_ms(self->chaos) : INT64_MAX;
}

/* Is there a message? Looks at all news: afterwards the descriptor is readable when there is more.
 * -1 when the context is gone. */
static int s_readable(void *socket)
{
    int events = 0;
    size_t size = sizeof(events);
    if (zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) != 0)
        return zmq_errno() == EINTR ? 1 : -1;
    return (events & ZMQ_POLLIN) != 0;
}

static int s_fd(const zmq_pollitem_t *item, const link_t *link)
{
    int fd = item->fd;
    size_t size = sizeof(fd);
    if (link)
        return link->fd;
    if (item->socket)
        (void)zmq_getsockopt(item->socket, ZMQ_FD, &fd, &size);
    return fd;
}

/* Asks libzmq whether there is a message for the item. */
static int s_look(zmq_pollitem_t *item, link_t *link)
{
    int readable = s_readable(item->socket);
    if (readable > 0)
        item->revents = ZMQ_POLLIN;
    if (link)
        link->quiet = readable == 0;
    return readable;
}

static int s_poll(zmq_pollitem_t *items, link_t *const *links, int n, long timeout_ms)
{
    struct pollfd fds[LINK_POLL_MOST];
    int n_ready = 0;
    assert(n <= LINK_POLL_MOST);
    for (int i = 0; i < n; i++) {
        fds[i] = (struct pollfd){s_fd(&items[i], links[i]), POLLIN, 0};
        items[i].revents = 0;
        if (!items[i].socket || (links[i] && links[i]->quiet))
            continue;
        int readable = s_look(&items[i], links[i]);
        if (readable < 0)
            return -1;
        n_ready += readable;
    }
    if (poll(fds, (nfds_t)n, n_ready > 0 ? 0 : (int)timeout_ms) < 0)
        return n_ready > 0 ? n_ready : -1;
    for (int i = 0; i < n; i++) {
        if (fds[i].revents == 0 || items[i].revents != 0)
            continue;
        if (!items[i].socket)
            items[i].revents = ZMQ_POLLIN;
        else if (s_look(&items[i], links[i]) < 0)
            return -1;
        n_ready += items[i].revents != 0;
    }
    return n_ready;
}

int link_poll(zmq_pollitem_t *items, link_t *const *links, int n, long timeout_ms)
{
    bool faults = false;
    int64_t due_ms = INT64_MAX;
    for (int i = 0; i < n; i++) {
        faults |= links[i] && links[i]->chaos;
        due_ms = s_held_due_ms(links[i]) < due_ms ? s_held_due_ms(links[i]) : due_ms;
    }
    if (!faults)
        return s_poll(items, links, n, timeout_ms);
    if (due_ms == INT64_MAX)
        return zmq_poll(items, n, timeout_ms);
    int64_t left_ms = due_ms - clock_ms();
    if (timeout_ms < 0 || left_ms < timeout_ms)
        timeout_ms = left_ms < 0 ? 0 : (long)left_ms;
    int n_ready = zmq_poll(items, n, timeout_ms);
    for (int i = 0; n_ready >= 0 && i < n; i++) {
        if (s_held_due_ms(links[i]) > clock_ms() || items[i].revents & ZMQ_POLLIN)
            continue;
        n_ready += items[i].revents == 0;
        items[i].revents |= ZMQ_POLLIN;
    }
    return n_ready;
}

const char *link_endpoint(const link_t *self)
{
    return self->endpoint;
}

/* Sends the first part of a message. A socket may hold a queue for full until it has looked at what
 * its other threads tell it, which a send that does not wait does not do each time; asking for its
 * events does. */
static bool s_send_first(void *socket, const void *bytes, size_t size, int more)
{
    if (zmq_send(socket, bytes, size, more | ZMQ_DONTWAIT) >= 0)
        return true;
    int events;
    size_t events_size = sizeof(events);
    if (zmq_errno() != EAGAIN || zmq_getsockopt(socket, ZMQ_EVENTS, &events, &events_size) != 0)
        return false;
    return zmq_send(socket, bytes, size, more | ZMQ_DONTWAIT) >= 0;
}

bool link_send(link_t *self, const wire_peer_t *peer, const wire_t *message, frame_t *frame)
{
    assert(s_is_router(self) == (peer != NULL));
    bool sent = false;
    void *socket = link_socket(self);
    bool has_frame = frame && frame->present;
    size_t frame_bytes = has_frame ? frame_size(frame) : 0;
    const void *header;
    size_t size;
    uint64_t digest = has_frame ? frame_digest(frame) : 0;
    wire_encode(self->buffer, message, has_frame ? &digest : NULL, &header, &size);
    self->quiet = false; /* to send takes news of what came, too */
    /* Once a first part is taken, libzmq takes the others too. */
    int more = has_frame ? ZMQ_SNDMORE : 0;
    if (peer && (!s_send_first(socket, peer->bytes, peer->size, ZMQ_SNDMORE) ||
                 zmq_send(socket, header, size, more | ZMQ_DONTWAIT) < 0))
        goto out;
    if (!peer && !s_send_first(socket, header, size, more))
        goto out;
    if (has_frame) {
        handover_give(frame_data(frame)); /* over inproc the receiver gets the very same bytes */
        if (zmq_msg_send(&frame->message, socket, ZMQ_DONTWAIT) < 0)
            goto out;
        frame->present = false; /* libzmq has it now, and left an empty message behind */
    }
    sent = true;
    self->traffic.messages_out++;
    self->traffic.bytes_out += size + frame_bytes;
out:
    if (frame)
        frame_clear(frame);
    return sent;
}

/* Reads one more part of a message into *part, which must hold nothing. */
static bool s_next_part(void *socket, frame_t *part)
{
    zmq_msg_init(&part->message);
    part->present = zmq_msg_recv(&part->message, socket, ZMQ_DONTWAIT) >= 0;
    part->digested = false;
    if (!part->present)
        zmq_msg_close(&part->message);
    else
        handover_take(frame_data(part));
    return part->present;
}

static bool s_has_more(const frame_t *part)
{
    return zmq_msg_more(&part->message);
}

/* Drops the parts that no message of ours has. */
static void s_drain(void *socket)
{
    frame_t part = {.present = false};
    bool more = true;
    while (more && s_next_part(socket, &part)) {
        more = s_has_more(&part);
        frame_clear(&part);
    }
}

/* Reads a message as it came: link_chaos_receive's `next`. */
static bool s_next(void *context, link_raw_t *raw)
{
    link_t *self = context;
    void *socket = link_socket(self);
    raw->whole = false;
    raw->peer.size = 0;
    if (!s_next_part(socket, &raw->header)) {
        self->quiet = zmq_errno() == EAGAIN; /* not a signal */
        return false;
    }
    if (s_is_router(self)) {
        bool more = s_has_more(&raw->header);
        raw->peer.size = (uint8_t)frame_size(&raw->header);
        memcpy(raw->peer.bytes, frame_data(&raw->header), raw->peer.size);
        frame_clear(&raw->header);
        if (!more || !s_next_part(socket, &raw->header))
            return true;
    }
    raw->whole =
        !s_has_more(&raw->header) || !s_next_part(socket, &raw->frame) || !s_has_more(&raw->frame);
    if (!raw->whole)
        s_drain(socket);
    return true;
}

/* Gradients and weights are read as floats in place; libzmq may hand out small messages at odd
 * addresses within its receive buffer. */
static void s_align(frame_t *frame)
{
    if (!frame->present || (uintptr_t)frame_data(frame) % sizeof(float) == 0)
        return;
    frame_t aligned = {.present = false};
    frame_copy_of(&aligned, frame_data(frame), frame_size(frame));
    frame_clear(frame);
    frame_move(frame, &aligned);
}

/* Is the frame what the header says? Adds it to what is held for it. */
static wire_status_t s_check(link_t *self, wire_t *message, frame_t *frame)
{
    const float *held = NULL;
    if (self->held && frame->present)
        held = self->held(self->held_context, message, frame_size(frame));
    return held ? wire_check_and_add(message, frame_data(frame), frame_size(frame), held)
                : wire_check_frame(message, frame_data(frame), frame_size(frame), frame->present);
}

bool link_receive(link_t *self, wire_peer_t *peer, wire_t *message, frame_t *frame,
                  wire_status_t *status)
{
    assert(!frame->present);
    link_raw_t raw;
    raw.header.present = raw.frame.present = false;
    if (self->chaos ? !link_chaos_receive(self->chaos, s_next, self, &raw) : !s_next(self, &raw))
        return false;
    if (s_is_router(self))
        *peer = raw.peer;
    frame_clear(&self->header);
    frame_move(&self->header, &raw.header);
    frame_move(frame, &raw.frame);
    self->traffic.messages_in++;
    self->traffic.bytes_in += frame_size(&self->header) + frame_size(frame);
    *status = raw.whole ? wire_decode(self->buffer, frame_data(&self->header),
                                      frame_size(&self->header), message)
                        : WIRE_BAD_BYTES;
    s_align(frame);
    if (*status == WIRE_OK)
        *status = s_check(self, message, frame);
    if (*status != WIRE_OK)
        frame_clear(frame);
    else if (frame->present && !message->added)
        frame_set_digest(frame, message->frame_digest);
    return true;
}

void link_wait(link_t *self, int other, int timeout_ms)
{
    zmq_pollitem_t items[2] = {
        {link_socket(self), 0, ZMQ_POLLIN, 0},
        {NULL, other, ZMQ_POLLIN, 0},
    };
    (void)zmq_poll(items, 2, timeout_ms);
    self->quiet = false;
}

static const char *const s_suffixes[4] = {"", ".data", ".weights", ".gradients"};

int link_planes(const char *bind, char planes[4][LINK_ENDPOINT_SIZE], err_t *err)
{
    const char *colon;
    size_t room = LINK_ENDPOINT_SIZE - 16;
    if (strlen(bind) > room)
        return err_set(err, "%s: longer than %zu characters", bind, room);
    if (s_is_local(bind)) {
        for (int i = 0; i < 4; i++)
            (void)snprintf(planes[i], LINK_ENDPOINT_SIZE, "%s%s", bind, s_suffixes[i]);
        return 0;
    }
    long port = s_port(bind, 65532, true, &colon, err);
    if (port < 0)
        return -1;
    for (int i = 0; i < 4; i++) {
        if (port == 0)
            (void)snprintf(planes[i], LINK_ENDPOINT_SIZE, "%s", bind);
        else
            (void)snprintf(planes[i], LINK_ENDPOINT_SIZE, "%.*s:%ld", (int)(colon - bind), bind,
                           port + i);
    }
    return 0;
}

void link_plane_name(const char *control, const char *endpoint, char name[WIRE_PLANE_SIZE])
{
    const char *tail =
        s_starts(endpoint, "tcp://") ? strrchr(endpoint, ':') : endpoint + strlen(control);
    (void)snprintf(name, WIRE_PLANE_SIZE, "%s", tail);
}

int link_plane_endpoint(const char *control, const char *name, char endpoint[LINK_ENDPOINT_SIZE],
                        err_t *err)
{
    const char *colon = strrchr(control, ':');
    size_t stem = strlen(control);
    if (s_starts(control, "tcp://") && colon)
        stem = (size_t)(colon - control);
    if (name[0] != (stem == strlen(control) ? '.' : ':'))
        return err_set(err, "%s: the server names a plane '%s', expected '%s'", control, name,
                       stem == strlen(control) ? ".suffix" : ":port");
    int n = snprintf(endpoint, LINK_ENDPOINT_SIZE, "%.*s%s", (int)stem, control, name);
    if (n < 0 || n >= LINK_ENDPOINT_SIZE)
        return err_set(err, "%s: too long an endpoint", control);
    return 0;
}
