/* What the tests of an audit share: workers that are asked for copies of a node and send right ones
 * or wrong ones, by hand. */
#ifndef DROVER_TESTS_AUDITED_H
#define DROVER_TESTS_AUDITED_H

#include "unit.h"

#include <stdbool.h>
#include <stdint.h>

#include "dispatch/audit.h"
#include "partials.h"

enum {
    BLOCKS = 40, /* units are of two blocks */
    STEP = 4
};

typedef struct {
    audit_t *audit;
    audit_worker_t workers[6];
    uint32_t n_workers;
    double now_ms;
    wire_range_t asks[64]; /* of the last audited_ask */
    uint32_t n_asks;
} audited_t;

extern const node_t audited_node;         /* blocks 6 and 7 */
extern const char *const audited_names[]; /* of worker 1, 2, ... */

/* Workers 1 to n, and all is audited of `node`. */
audited_t audited_new(uint32_t n_workers, node_t node);

/* All that happened was expected, and all partials were released. */
void audited_end(audited_t *world);

/* A node's partial, which the caller releases; `wrong` is 0 for the right one, else which bits of a
 * number are off. */
partial_t audited_partial(node_t node, int wrong);

void audited_ask(audited_t *world);

/* Asks, and of so many workers for audited_node. */
void audited_ask_n(audited_t *world, uint32_t n);

/* Was the worker one of those asked last? */
bool audited_asked(const audited_t *world, uint32_t worker);

/* The worker sends a copy of the node. Returns whether it was taken. */
bool audited_offer(audited_t *world, uint32_t worker, node_t node, int wrong);

/* The worker is gone. */
void audited_remove(audited_t *world, uint32_t worker);

/* The next event, of audited_node. */
void audited_expect(audited_t *world, audit_event_kind_t kind, const char *name, const char *other);

void audited_expect_undecided(audited_t *world);

/* audited_node is decided by the right copies, or such wrong ones. */
void audited_expect_decided(audited_t *world, int wrong);

#endif
