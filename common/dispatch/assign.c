/* See assign.h. */
#include "dispatch/assign.h"

#include <math.h>

/* How many nodes a cut at this block leaves on its two sides, more or less: a cut at a multiple of
 * 2^k splits every node above level k that it lies in. */
static double s_nodes_of_cut(uint32_t cut, uint32_t span)
{
    int lowest = __builtin_ctz(cut);
    int top = 32 - __builtin_clz(span);
    return top > lowest ? top - lowest : 0;
}

static uint32_t s_best_cut(double ideal, uint32_t low, uint32_t high, uint32_t span,
                           double node_cost)
{
    uint32_t best = low;
    double best_cost = INFINITY;
    for (int level = 0; level < 31; level++) {
        double size = (double)(1u << level);
        for (int side = 0; side < 2; side++) {
            double cut = (side ? ceil(ideal / size) : floor(ideal / size)) * size;
            if (cut < low || cut > high)
                continue;
            double cost = fabs(cut - ideal);
            if (cut > low && cut < high)
                cost += node_cost * s_nodes_of_cut((uint32_t)cut, span);
            if (cost < best_cost) {
                best_cost = cost;
                best = (uint32_t)cut;
            }
        }
        if (size > span)
            break;
    }
    return best;
}

void assign_ranges(uint32_t first, uint32_t end, const double *speeds, uint32_t n, double node_cost,
                   uint32_t *ends)
{
    double total = 0;
    for (uint32_t i = 0; i < n; i++)
        total += speeds[i];
    double so_far = 0;
    uint32_t low = first;
    for (uint32_t i = 0; i + 1 < n; i++) {
        so_far += speeds[i];
        double ideal = first + (end - first) * (so_far / total);
        ends[i] = s_best_cut(ideal, low, end, end - first, node_cost);
        low = ends[i];
    }
    ends[n - 1] = end;
}
