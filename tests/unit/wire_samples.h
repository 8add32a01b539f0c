/* One valid message of every type, for tests of the codec and of links. */
#ifndef DROVER_TESTS_WIRE_SAMPLES_H
#define DROVER_TESTS_WIRE_SAMPLES_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"

#define WIRE_SAMPLES_FRAME "frame of bytes 0123456789" /* what samples with a frame carry */

static inline wire_t wire_sample(wire_type_t type)
{
    static wire_range_t ranges[] = {{1, 0, 7}, {2, 7, 9}, {4000000000u, 9, 4294967295u}};
    static const uint8_t labels[] = {3, 0, 9, 255};
    static wire_member_t members[] = {
        {12, "node-7", "host.example", "dense/Zen", 8, false, "active", 7e4, 12, 3, 1ull << 40, 1,
         0},
        {13, "rack-2", "a", "k", 64, true, "late", NAN, 4294967295u, 0, 7, 1ull << 33, 2},
    };
    static wire_quarantined_t quarantined[] = {{"bad", "host.example"}, {"", ""}};
    wire_t message = {.type = type, .run = 0xfedcba9876543210u, .incarnation = 3, .step = 1000};
    switch (type) {
    case WIRE_HELLO:
        message.hello =
            (wire_hello_t){"node-7", "host.example", "dense/SkylakeX", 8, "0123abcd", true};
        break;
    case WIRE_WELCOME:
        message.welcome = (wire_welcome_t){
            .worker = 12,
            .model = {.n_inputs = 784,
                      .n_layers = 3,
                      .layers = {{.units = 64, .activation = ACTIVATION_TANH},
                                 {.units = 300, .activation = ACTIVATION_SIGMOID},
                                 {.units = 10, .activation = ACTIVATION_SIGMOID}}},
            .sampler = {.seed = UINT64_MAX,
                        .fraction = 0.7,
                        .n_rows = 60000,
                        .block_rows = 512,
                        .batch_rows = 999,
                        .augment = {.shift = 2, .rotation = 15, .alpha = 34, .sigma = 4}},
            .digest = "0123456789abcdef0123456789abcdef",
            .kernel = "dense/Haswell",
            .heartbeat_ms = 100,
            .data = ":5571",
            .weights = ":5572",
            .gradients = ".gradients",
            .audit = 0.05,
            .evaluation_rows = 16000,
            .rows = "fedcba98",
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
    case WIRE_REPORT:
        message.report = (wire_report_t){"relay", "tcp://10.0.0.1:5570",
                                         1000,    6000,
                                         1e5,     60.5,
                                         0.1,     NAN,
                                         2.5,     99,
                                         990,     0.2,
                                         0.9,     "weights",
                                         7};
        message.members = members;
        message.n_members = sizeof(members) / sizeof(members[0]);
        message.quarantined = quarantined;
        message.n_quarantined = sizeof(quarantined) / sizeof(quarantined[0]);
        break;
    case WIRE_EVALUATE:
        message.evaluate.step = 990;
        message.ranges = ranges;
        message.n_ranges = sizeof(ranges) / sizeof(ranges[0]);
        break;
    case WIRE_EVALUATED:
        message.score = (wire_score_t){990, 60000, 60512, 12.5, 1ull << 33};
        break;
    case WIRE_BYE:
    case WIRE_REJOIN:
    case WIRE_END:
    case WIRE_STATUS:
        break;
    }
    return message;
}

/* A header from its array and what belongs behind it; the caller frees it, *size grows by the
 * digest's. */
static inline uint8_t *wire_sealed(const void *array, size_t *size)
{
    uint8_t *header = malloc(*size + 8);
    uint64_t digest = wire_digest(array, *size);
    memcpy(header, array, *size);
    for (int i = 0; i < 8; i++)
        header[(*size)++] = (uint8_t)(digest >> 8 * i);
    return header;
}

#endif
