/* The codec of drover's messages: docs/protocol.md is the normative text.
 *
 * A message is a small header and, for some types, one raw frame behind it. The header is a
 * MessagePack array of eight (magic, version, type, run, incarnation, step, digest of the frame,
 * and the type's own fields as an array) and the digest of that array's bytes. Digests are XXH3-64.
 * What comes from a peer is bounded by a walk over its bytes before MessagePack may allocate for
 * it.
 */
#ifndef DROVER_PROTO_WIRE_H
#define DROVER_PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "math/model.h"
#include "math/reduce.h"
#include "math/sampler.h"

#define WIRE_VERSION          1u
#define WIRE_MAX_HEADER_BYTES (1u << 20)
#define WIRE_MAX_ROWS         4096u      /* rows in one ROWS message ... */
#define WIRE_MAX_ROWS_BYTES   (1u << 20) /* ... and their image bytes, but one row always may */
#define WIRE_MAX_ASSIGNMENTS  65536u     /* in one STEP message */
#define WIRE_MAX_BLOCKS       (1u << 24) /* of a job: both sides hold a tree over them */
#define WIRE_NAME_SIZE        64
#define WIRE_KERNEL_SIZE      32
#define WIRE_DIGEST_SIZE      33
#define WIRE_PLANE_SIZE       64
#define WIRE_TEXT_SIZE        256
#define WIRE_STATE_SIZE       16
#define WIRE_MAX_MEMBERS      4096u /* in one REPORT message ... */
#define WIRE_MAX_QUARANTINED  256u  /* ... and names and hosts that are let in no more */

typedef enum {
    WIRE_HELLO = 1,      /* control, worker to server: who I am */
    WIRE_WELCOME = 2,    /* control, server to worker: the job */
    WIRE_REFUSED = 3,    /* control, server to worker: why not */
    WIRE_READY = 4,      /* control, worker to server: the job understood */
    WIRE_HEARTBEAT = 5,  /* control, both ways */
    WIRE_BYE = 6,        /* control, worker to server: leaving */
    WIRE_REJOIN = 7,     /* control, server to worker: you are unknown here, say HELLO again */
    WIRE_ASSIGN = 8,     /* control, server to worker: more blocks of a step */
    WIRE_END = 9,        /* control, server to worker: the job is over */
    WIRE_STEP = 10,      /* weights (or control, repeated): plan and weights */
    WIRE_PARTIAL = 11,   /* gradients, worker to server: one node */
    WIRE_FETCH = 12,     /* data, worker to server: rows wanted */
    WIRE_ROWS = 13,      /* data, server to worker: rows */
    WIRE_STATUS = 14,    /* control, anyone to server: how is it going? */
    WIRE_REPORT = 15,    /* control, server to who asked: its members and how far it is */
    WIRE_EVALUATE = 16,  /* control, server to worker: rows to evaluate, and the weights */
    WIRE_EVALUATED = 17, /* control, worker to server: what came of it */
} wire_type_t;

typedef enum {
    WIRE_REFUSED_VERSION = 1,
    WIRE_REFUSED_DIGEST = 2,
    WIRE_REFUSED_KERNEL = 3,
    WIRE_REFUSED_SHAPE = 4,
    WIRE_REFUSED_QUARANTINE = 5,
    WIRE_REFUSED_RELAYS = 6,
} wire_refused_t;

/* What was wrong with a message; the answer depends on it. */
typedef enum {
    WIRE_OK = 0,
    WIRE_BAD_BYTES,   /* not MessagePack, too long, too deep, or cut off */
    WIRE_BAD_MAGIC,   /* not drover's */
    WIRE_BAD_VERSION, /* drover's, of another version: wire_t.version says which */
    WIRE_BAD_DIGEST,  /* the header's bytes are not those that were sent */
    WIRE_BAD_TYPE,    /* an unknown type */
    WIRE_BAD_FIELD,   /* a field missing, of another type or out of bounds */
    WIRE_BAD_FRAME,   /* frame missing, unexpected, or not what the digest says */
} wire_status_t;

const char *wire_status_text(wire_status_t status);
const char *wire_type_name(wire_type_t type);

/* Who a message came from or goes to: what a ROUTER socket knows a peer by. */
typedef struct {
    uint8_t size;
    uint8_t bytes[255];
} wire_peer_t;

/* Blocks [first, end) that a worker is asked for. */
typedef struct {
    uint32_t worker;
    uint32_t first;
    uint32_t end;
} wire_range_t;

typedef struct {
    char name[WIRE_NAME_SIZE];
    char host[WIRE_NAME_SIZE];
    char kernel[WIRE_KERNEL_SIZE]; /* "dense/SkylakeX" */
    uint32_t threads;
    char digest[WIRE_DIGEST_SIZE]; /* of the data it brings; empty when it has none */
    uint32_t relays;               /* one below the other, itself the first; 0: a worker */
} wire_hello_t;

typedef struct {
    uint32_t worker; /* the number that assignments and partials name it by */
    model_t model;
    sampler_t sampler;
    char digest[WIRE_DIGEST_SIZE];
    char kernel[WIRE_KERNEL_SIZE];
    uint32_t heartbeat_ms;
    char data[WIRE_PLANE_SIZE]; /* where the other planes are: ":port" or ".suffix" */
    char weights[WIRE_PLANE_SIZE];
    char gradients[WIRE_PLANE_SIZE];
    double audit;                /* part of the nodes, 0 to 1, that a relay has computed twice */
    uint32_t evaluation_rows;    /* of numbers behind the training set's */
    char rows[WIRE_DIGEST_SIZE]; /* tells which rows have which numbers, when they are not just
                                    those of the digest; empty when they are */
} wire_welcome_t;

typedef struct {
    wire_refused_t reason;
    char kernel[WIRE_KERNEL_SIZE]; /* the job's, when that was the reason */
    char text[WIRE_TEXT_SIZE];
} wire_refusal_t;

typedef struct {
    uint64_t n_params;
    char digest[WIRE_DIGEST_SIZE];
} wire_ready_t;

typedef struct {
    uint32_t newest_step; /* from a worker: the newest whose weights it has seen; 0 for none */
} wire_heartbeat_t;

typedef struct {
    uint32_t worker;
    node_t node;
    double cost;
    uint64_t correct;
    uint64_t rows;
} wire_partial_t;

typedef struct {
    uint32_t step; /* whose model it is: names the evaluation */
} wire_evaluate_t;

/* What the evaluation of rows [first, end), one range of an EVALUATE, has come to. */
typedef struct {
    uint32_t step;
    uint32_t first;
    uint32_t end;
    double cost; /* summed up over the rows */
    uint64_t correct;
} wire_score_t;

typedef struct {
    uint32_t first;
    uint32_t n_rows;
} wire_fetch_t;

typedef struct {
    uint32_t first;
    uint32_t n_rows;
    const uint8_t *labels; /* (n_rows); decoded: borrowed from the message's header */
} wire_rows_t;

/* How a server or a relay is doing. A double that is not known is NaN. Its members and who is in
 * quarantine are arrays of wire_t. */
typedef struct {
    char role[WIRE_STATE_SIZE];    /* "server" or "relay" */
    char upstream[WIRE_TEXT_SIZE]; /* a relay's: the endpoint above it; else empty */
    uint32_t step;
    uint32_t n_steps; /* 0 for unknown */
    double rows_per_s;
    double eta_s;
    double cost;
    double accuracy;
    double learning_rate;
    double elapsed_s;
    uint32_t evaluation;    /* the step of the newest evaluation, 0 for none: ... */
    double evaluation_cost; /* ... on validation data or, where there are none, test data */
    double evaluation_accuracy;
    char waiting_for[WIRE_TEXT_SIZE]; /* empty: for nothing longer than a second */
    uint32_t n_members;               /* all, also those that `members` had no room for */
} wire_report_t;

/* One member in a REPORT. */
typedef struct {
    uint32_t number; /* that WELCOME gave */
    char name[WIRE_NAME_SIZE];
    char host[WIRE_NAME_SIZE];
    char kernel[WIRE_KERNEL_SIZE];
    uint32_t threads;
    bool relay;
    char state[WIRE_STATE_SIZE]; /* "joining", "active", "silent" or "late" */
    double rows_per_s;           /* NaN for unknown */
    uint32_t seen_ms;            /* since it was last heard */
    uint32_t owed;               /* blocks assigned and not back */
    uint64_t assigned;           /* blocks, in all */
    uint64_t reissued;           /* blocks of those that were given to others */
    uint32_t refused;            /* partials */
} wire_member_t;

typedef struct {
    char name[WIRE_NAME_SIZE];
    char host[WIRE_NAME_SIZE];
} wire_quarantined_t;

/* One message, without its raw frame. Plain but for the arrays, which wire_clear frees. Encoding
 * borrows them; decoding fills and grows them, and keeps them between messages. */
typedef struct {
    wire_type_t type;
    uint32_t version; /* decoded only */
    uint64_t run;
    uint32_t incarnation;
    uint32_t step;
    uint64_t frame_digest; /* decoded only */
    bool finite;           /* wire_check_frame's: no NaN and no infinity among the frame's floats */
    bool added;            /* the same: another vector was added to them since */
    union {
        wire_hello_t hello;
        wire_welcome_t welcome;
        wire_refusal_t refusal;
        wire_ready_t ready;
        wire_heartbeat_t heartbeat;
        wire_partial_t partial;
        wire_fetch_t fetch;
        wire_rows_t rows;
        wire_report_t report;
        wire_evaluate_t evaluate;
        wire_score_t score; /* EVALUATED */
    };
    wire_range_t *ranges; /* STEP and ASSIGN: of blocks; EVALUATE: of rows */
    uint32_t n_ranges;
    uint32_t ranges_room;
    wire_member_t *members; /* REPORT */
    uint32_t n_members;     /* of this array; report.n_members counts all */
    uint32_t members_room;
    wire_quarantined_t *quarantined; /* REPORT */
    uint32_t n_quarantined;
    uint32_t quarantined_room;
} wire_t;

void wire_clear(wire_t *self);

/* Does a message of this type carry a frame? */
bool wire_has_frame(wire_type_t type);

/* A reused buffer of encoded bytes. */
typedef struct wire_buffer wire_buffer_t;
wire_buffer_t *wire_buffer_new(void);
void wire_buffer_destroy(wire_buffer_t **self_p);

/* Encodes the header of `message`, whose frame has this digest (NULL without a frame). The bytes
 * stay in the buffer until the next call. */
void wire_encode(wire_buffer_t *buffer, const wire_t *message, const uint64_t *frame_digest,
                 const void **header, size_t *header_size);

/* Decodes a header; what `frame` must hold is checked by wire_check_frame. On anything but WIRE_OK
 * and WIRE_BAD_VERSION the fields of *message are undefined (but wire_clear-able). Texts are
 * NUL-terminated and printable. */
wire_status_t wire_decode(wire_buffer_t *buffer, const void *header, size_t header_size,
                          wire_t *message);

/* XXH3-64 of bytes: what a header says of its frame, and of itself. */
uint64_t wire_digest(const void *bytes, size_t size);

/* Is a frame there just when the type has one, and is it the bytes that were sent? Sets
 * message->finite of floats, which must be aligned, and message->added: false. */
wire_status_t wire_check_frame(wire_t *message, const void *frame, size_t frame_size, bool present);

/* The same for a frame of floats, to which `held`, as many, is added on the way: message->added is
 * true. With a status other than WIRE_OK the frame is spoilt; `held` is never written to. */
wire_status_t wire_check_and_add(wire_t *message, float *frame, size_t frame_size,
                                 const float *held);

#endif
