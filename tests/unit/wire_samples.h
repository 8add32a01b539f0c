/* One valid message of every type, for tests of the codec and of links. */
#ifndef DROVER_TESTS_WIRE_SAMPLES_H
#define DROVER_TESTS_WIRE_SAMPLES_H

#include <stdint.h>

#include "proto/wire.h"

#define WIRE_SAMPLES_FRAME "frame of bytes 0123456789" /* what samples with a frame carry */

static inline wire_t wire_sample(wire_type_t type)
{
    static wire_range_t ranges[] = {{1, 0, 7}, {2, 7, 9}, {4000000000u, 9, 4294967295u}};
    static const uint8_t labels[] = {3, 0, 9, 255};
    wire_t message = {.type = type, .run = 0xfedcba9876543210u, .incarnation = 3, .step = 1000};
    switch (type) {
    case WIRE_HELLO:
        message.hello = (wire_hello_t){"node-7", "host.example", "dense/SkylakeX", 8, "0123abcd"};
        break;
    case WIRE_WELCOME:
        message.welcome = (wire_welcome_t){
            .worker = 12,
            .model = {.n_inputs = 784,
                      .n_layers = 3,
                      .layers = {{64, ACTIVATION_TANH},
                                 {300, ACTIVATION_SIGMOID},
                                 {10, ACTIVATION_SIGMOID}}},
            .sampler = {.seed = UINT64_MAX, .fraction = 0.7, .n_rows = 60000, .block_rows = 512},
            .digest = "0123456789abcdef0123456789abcdef",
            .kernel = "dense/Haswell",
            .heartbeat_ms = 100,
            .data = ":5571",
            .weights = ":5572",
            .gradients = ".gradients",
        };
        break;
    case WIRE_REFUSED:
        message.refusal = (wire_refusal_t){WIRE_REFUSED_KERNEL, "dense/Zen", "kernel a, not b"};
        break;
    case WIRE_READY:
        message.ready = (wire_ready_t){50890, "0123456789abcdef0123456789abcdef"};
        break;
    case WIRE_HEARTBEAT:
        message.heartbeat.newest_step = 999;
        break;
    case WIRE_STEP:
    case WIRE_ASSIGN:
        message.ranges = ranges;
        message.n_ranges = sizeof(ranges) / sizeof(ranges[0]);
        break;
    case WIRE_PARTIAL:
        message.partial = (wire_partial_t){12, {3, 70000}, 1234.5678e-3, 1u << 20, 1ull << 40};
        break;
    case WIRE_FETCH:
        message.fetch = (wire_fetch_t){59904, 96};
        break;
    case WIRE_ROWS:
        message.rows = (wire_rows_t){59904, sizeof(labels), labels};
        break;
    case WIRE_BYE:
    case WIRE_REJOIN:
    case WIRE_END:
        break;
    }
    return message;
}

#endif
