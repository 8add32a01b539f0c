/* Who computes what: contiguous block ranges in proportion to speed, cut into few canonical nodes.
 */
#ifndef DROVER_DISPATCH_ASSIGN_H
#define DROVER_DISPATCH_ASSIGN_H

#include <stdint.h>

/* Splits blocks [first, end) among n >= 1 workers: worker i gets [i == 0 ? first : ends[i - 1],
 * ends[i]), maybe empty. speeds[i] > 0 in any one unit. node_cost is what one more node costs
 * (sending and summing a gradient) in blocks of compute of an average worker: a cut moves away from
 * the ideal place when that saves more in nodes than it costs in waiting. */
void assign_ranges(uint32_t first, uint32_t end, const double *speeds, uint32_t n, double node_cost,
                   uint32_t *ends);

#endif
