/* One backward step of the dynamic programme of volume_bound.py.

   A state is (history h, cell, starts used u): a history is the last configurations (joint.py), a cell a range of stored volume (a) and one of a second
   coordinate (b). `after` holds the least cost to go of the next instant, (histories, cells_a, cells_b, used); `before` takes that of this one.
   For the group of h, a configuration c and a cell: the cells that may be reached are a0..a1 by b0..b1 (none where a0 > a1), at a cost of
   at least `cost`. next_used[l, c, u] is u after going from l, the last of h, to c, or -1 where that is not allowed; extra[l, c] is a cost of the switch. */

#include <math.h>
#include <stddef.h>

#define MOST_USED 4096

typedef struct {
    int configurations, cells_a, cells_b, used;
    const int *last, *group, *target;             /* by history; target by history and configuration */
    const short *a0, *a1;                         /* by group, configuration and cell, as all below */
    const signed char *b0, *b1;
    const float *cost;
    const int *next_used;                         /* by last configuration, configuration, used */
    const float *extra;
    const float *after;
} Step;

/* Histories from..to - 1. */
int levada_cost_to_go(const Step *p, int from_history, int to_history, float *before)
{
    float best[MOST_USED];
    int used = p->used;
    size_t cells = (size_t)p->cells_a * p->cells_b;
    if (used > MOST_USED) return -1;
    for (int h = from_history; h < to_history; h++) {
        float *row = before + (size_t)h * cells * used;
        for (size_t i = 0; i < cells * used; i++) row[i] = INFINITY;
        for (int c = 0; c < p->configurations; c++) {
            size_t pair = (size_t)p->last[h] * p->configurations + c, turn = (size_t)h * p->configurations + c;
            const int *next = p->next_used + pair * used;
            const float *w = p->after + (size_t)p->target[turn] * cells * used;
            size_t table = ((size_t)p->group[h] * p->configurations + c) * cells;
            float more = p->extra[pair];
            int any = 0;
            for (int u = 0; u < used; u++) any |= next[u] >= 0;
            if (!any) continue;
            for (size_t i = 0; i < cells; i++) {
                int from = p->a0[table + i], to = p->a1[table + i];
                if (from > to) continue;
                for (int u = 0; u < used; u++) best[u] = INFINITY;
                for (int a = from; a <= to; a++)
                    for (int b = p->b0[table + i]; b <= p->b1[table + i]; b++) {
                        const float *value = w + ((size_t)a * p->cells_b + b) * used;
                        for (int u = 0; u < used; u++) best[u] = value[u] < best[u] ? value[u] : best[u];
                    }
                float add = p->cost[table + i] + more;
                float *out = row + i * used;
                for (int u = 0; u < used; u++)
                    if (next[u] >= 0 && best[next[u]] + add < out[u]) out[u] = best[next[u]] + add;
            }
        }
    }
    return 0;
}

/* The same bound for single rows: from history h, cell and starts used u, going to c, the least cost to the end. */
void levada_going_to(const Step *p, int rows, const int *h, const int *c, const int *cell, const int *u, float *found)
{
    size_t cells = (size_t)p->cells_a * p->cells_b;
    for (int r = 0; r < rows; r++) {
        size_t table = ((size_t)p->group[h[r]] * p->configurations + c[r]) * cells + cell[r];
        size_t pair = (size_t)p->last[h[r]] * p->configurations + c[r];
        int next = p->next_used[pair * p->used + u[r]];
        float least = INFINITY;
        const float *w = p->after + (size_t)p->target[(size_t)h[r] * p->configurations + c[r]] * cells * p->used;
        if (next >= 0)
            for (int a = p->a0[table]; a <= p->a1[table]; a++)
                for (int b = p->b0[table]; b <= p->b1[table]; b++) {
                    float value = w[((size_t)a * p->cells_b + b) * p->used + next];
                    if (value < least) least = value;
                }
        found[r] = least + p->cost[table] + p->extra[pair];
    }
}
