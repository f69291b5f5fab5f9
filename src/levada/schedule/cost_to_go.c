/* One backward step of the dynamic programme of volume_bound.py.

   A state is (last configuration l, cell, starts used u), a cell being a range of stored volume (a) and one of a second coordinate (b).
   `after` holds the least cost to go of the next instant, (configurations, cells_a, cells_b, used); `before` takes that of this one.
   For the group of l, a configuration c and a cell: the cells that may be reached are a0..a1 by b0..b1 (empty where a0 > a1), at a cost of
   at least `cost`. next_used[l, c, u] is u after going from l to c, or -1 where that is not allowed; extra[l, c] is a cost of the switch. */

#include <math.h>
#include <stddef.h>

#define MOST_USED 4096

int levada_cost_to_go(int configurations, int cells_a, int cells_b, int used, const int *group, const short *a0, const short *a1, const signed char *b0,
                      const signed char *b1, const float *cost, const int *next_used, const float *extra, const float *after, float *before)
{
    float best[MOST_USED];
    size_t cells = (size_t)cells_a * cells_b;
    if (used > MOST_USED) return -1;
    for (size_t i = 0; i < (size_t)configurations * cells * used; i++) before[i] = INFINITY;
    for (int l = 0; l < configurations; l++) {
        float *row = before + (size_t)l * cells * used;
        for (int c = 0; c < configurations; c++) {
            const int *next = next_used + ((size_t)l * configurations + c) * used;
            const float *w = after + (size_t)c * cells * used;
            size_t table = ((size_t)group[l] * configurations + c) * cells;
            float more = extra[l * configurations + c];
            int any = 0;
            for (int u = 0; u < used; u++) any |= next[u] >= 0;
            if (!any) continue;
            for (size_t i = 0; i < cells; i++) {
                int from = a0[table + i], to = a1[table + i];
                if (from > to) continue;
                for (int u = 0; u < used; u++) best[u] = INFINITY;
                for (int a = from; a <= to; a++)
                    for (int b = b0[table + i]; b <= b1[table + i]; b++) {
                        const float *value = w + ((size_t)a * cells_b + b) * used;
                        for (int u = 0; u < used; u++) best[u] = value[u] < best[u] ? value[u] : best[u];
                    }
                float add = cost[table + i] + more;
                float *out = row + i * used;
                for (int u = 0; u < used; u++)
                    if (next[u] >= 0 && best[next[u]] + add < out[u]) out[u] = best[next[u]] + add;
            }
        }
    }
    return 0;
}

/* The same bound for single rows: from last configuration l, cell and starts used u, going to c, the least cost to the end. */
void levada_going_to(int configurations, int cells_a, int cells_b, int used, const int *group, const short *a0, const short *a1, const signed char *b0,
                     const signed char *b1, const float *cost, const int *next_used, const float *extra, const float *after, int rows, const int *l,
                     const int *c, const int *cell, const int *u, float *found)
{
    size_t cells = (size_t)cells_a * cells_b;
    for (int r = 0; r < rows; r++) {
        size_t table = ((size_t)group[l[r]] * configurations + c[r]) * cells + cell[r];
        size_t pair = (size_t)l[r] * configurations + c[r];
        int next = next_used[pair * used + u[r]];
        float least = INFINITY;
        const float *w = after + (size_t)c[r] * cells * used;
        if (next >= 0)
            for (int a = a0[table]; a <= a1[table]; a++)
                for (int b = b0[table]; b <= b1[table]; b++) {
                    float value = w[((size_t)a * cells_b + b) * used + next];
                    if (value < least) least = value;
                }
        found[r] = least + cost[table] + extra[pair];
    }
}
