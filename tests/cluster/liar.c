/* drover worker as a liar: in one partial of ONE_IN (environment) it flips a bit of the gradient,
 * before the digests are made. Everything else is the product's own: it is linked with this
 * link_send in front of the one of proto/link.c (ld --wrap).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli/commands.h"
#include "proto/link.h"

/* The names that --wrap asks for. NOLINTBEGIN(bugprone-reserved-identifier) */
bool __real_link_send(link_t *self, const wire_peer_t *peer, const wire_t *message, frame_t *frame);
bool __wrap_link_send(link_t *self, const wire_peer_t *peer, const wire_t *message, frame_t *frame);
/* NOLINTEND(bugprone-reserved-identifier) */

static unsigned s_n_partials;

/* In the upper half of the mantissa of a number that is not zero, so that it does something. */
static void s_flip(float *gradient, size_t n)
{
    static uint64_t state = 1;
    uint32_t bits = 0;
    size_t at = 0;
    while ((bits & 0x7fffffff) == 0) {
        state = state * 6364136223846793005 + 1442695040888963407; /* Knuth's */
        at = (size_t)(state >> 33) % n;
        memcpy(&bits, &gradient[at], sizeof(bits));
    }
    bits ^= 1u << (12 + s_n_partials % 11);
    memcpy(&gradient[at], &bits, sizeof(bits));
}

bool __wrap_link_send(link_t *self, const wire_peer_t *peer, const wire_t *message, frame_t *frame)
{
    const char *one_in = getenv("ONE_IN");
    unsigned long n = one_in ? strtoul(one_in, NULL, 10) : 0;
    if (message->type == WIRE_PARTIAL && n > 0 && ++s_n_partials % n == 0) {
        s_flip(frame_data(frame), frame_size(frame) / sizeof(float));
        log_info("liar.lies", "step=%u node=(%u,%u) partials=%u", message->step,
                 message->partial.node.level, message->partial.node.index, s_n_partials);
    }
    return __real_link_send(self, peer, message, frame);
}

int main(int argc, char **argv)
{
    return cmd_worker(argc, argv);
}
