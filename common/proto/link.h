/* One socket of one plane: the four planes' options in one table, whole messages in and out. */
#ifndef DROVER_PROTO_LINK_H
#define DROVER_PROTO_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proto/frame.h"
#include "proto/wire.h"

#define LINK_ENDPOINT_SIZE 256

typedef enum {
    LINK_CONTROL_SERVER,   /* ROUTER */
    LINK_DATA_SERVER,      /* ROUTER */
    LINK_WEIGHTS_SERVER,   /* PUB */
    LINK_GRADIENTS_SERVER, /* PULL */
    LINK_CONTROL_WORKER,   /* DEALER */
    LINK_DATA_WORKER,      /* DEALER */
    LINK_WEIGHTS_WORKER,   /* SUB */
    LINK_GRADIENTS_WORKER, /* PUSH */
    LINK_CONTROL_GUEST,    /* DEALER that joins nothing: asks for the status */
} link_role_t;

typedef struct link link_t;

/* Whole messages that went through links, and the bytes of their headers and frames. */
typedef struct {
    uint64_t messages_in;
    uint64_t bytes_in;
    uint64_t messages_out; /* one that is published counts once, however many subscribe */
    uint64_t bytes_out;
} link_traffic_t;

/* Before the first socket of the process: leaves signals to the program, and raises the limit of
 * file descriptors as far as it goes. */
void link_init(void);

/* After link_init: as many sockets as libzmq can have (65535) in this process, instead of 1024. */
void link_many(void);

/* A bound or connected socket. A frame larger than max_frame_bytes closes the peer's connection; a
 * server's weights go out with frames of so many. The smaller weights are, the more are queued.
 * NULL with *err naming the endpoint. Sockets belong to the thread that uses them; one made here
 * may be handed to an actor before its first use. */
link_t *link_bind(link_role_t role, const char *endpoint, size_t max_frame_bytes, err_t *err);
link_t *link_connect(link_role_t role, const char *endpoint, size_t max_frame_bytes, err_t *err);
void link_destroy(link_t **self_p);

/* The libzmq socket, for polling. */
void *link_socket(link_t *self);

/* A descriptor for epoll, where there are too many sockets for link_poll: when it is readable,
 * link_wake, and link_receive until the link is quiet. Also after each link_send, which may have
 * used the event up. */
int link_fd(const link_t *self);
void link_wake(link_t *self);

/* Is there certainly no message? After link_receive has found none nothing can be there before the
 * descriptor is readable, but for a link_send, or what the link holds back (proto/link_chaos.h).
 * To ask libzmq costs two system calls, to ask this none. */
bool link_quiet(const link_t *self);

/* Adds to *sum what went through the link since it was made. */
void link_traffic(const link_t *self, link_traffic_t *sum);

/* zmq_poll for ZMQ_POLLIN over items[0..n), at most LINK_POLL_MOST; links[i] is the link of
 * items[i], or NULL when it is no link's. A message that a link holds back (proto/link_chaos.h) and
 * that is due by then counts as readable. Of links that are quiet it asks the descriptors alone:
 * zmq_poll asks libzmq for each socket, twice where it waits, which is most of a small step. */
#define LINK_POLL_MOST 8
int link_poll(zmq_pollitem_t *items, link_t *const *links, int n, long timeout_ms);

/* What a frame of floats is to be added to: a vector as long, or NULL. Asked for with a message's
 * header, and the frame's size, before the frame is checked; the sum then stands in the frame. So a
 * vector is gone over once and not twice. The vector is only read, and a frame that turns out to
 * be damaged is thrown away as ever. NULL: nothing. */
typedef const float *link_held_t(void *context, const wire_t *message, size_t frame_size);
void link_add_to(link_t *self, link_held_t *held, void *context);

/* Where a bound socket is: the real port for ':*', the address of an interface, all zeros for all
 * addresses. Borrowed. */
const char *link_endpoint(const link_t *self);

/* Sends without waiting; takes the frame in any case. `peer` for the ROUTER roles, else NULL. False
 * when the message was dropped: peer gone or queue full. The protocol survives any loss. */
bool link_send(link_t *self, const wire_peer_t *peer, const wire_t *message, frame_t *frame);

/* A message if one is there: true. *status says whether it is one of ours; with anything but
 * WIRE_OK only peer, and with WIRE_BAD_VERSION message->version, are set. *frame must hold nothing
 * before; float frames are aligned. The header's bytes (rows.labels) last until the next call. */
bool link_receive(link_t *self, wire_peer_t *peer, wire_t *message, frame_t *frame,
                  wire_status_t *status);

/* Waits until a message is there, the descriptor `other` is readable, or timeout_ms are over. May
 * return for nothing. */
void link_wait(link_t *self, int other, int timeout_ms);

/* The endpoints of the four planes from where a server or relay is to be bound: tcp://host:p gives
 * p to p + 3 ('*' stays '*'), ipc://path and inproc://name get suffixes. `planes` in the order
 * control, data, weights, gradients. Returns 0, or -1 with *err, which names no option. */
int link_planes(const char *bind, char planes[4][LINK_ENDPOINT_SIZE], err_t *err);

/* How WELCOME names a plane: ":port" or ".suffix" of its endpoint. */
void link_plane_name(const char *control, const char *endpoint, char name[WIRE_PLANE_SIZE]);

/* A plane's endpoint from the control endpoint that the worker reached and the plane's name.
 * Returns 0, or -1 with *err. */
int link_plane_endpoint(const char *control, const char *name, char endpoint[LINK_ENDPOINT_SIZE],
                        err_t *err);

#endif
