/* Simulated annealing of the choices near a schedule (anneal.py): which option of each lever in each step.

   States follow the base's with the options' effects added and carried on by the drift, as near.py says; water that a full tank does not take is lost or
   sent elsewhere. A move changes a few choices; what follows from the first changed step on is computed anew. Limits of states, power, pressure, supply and
   totals may give way at a price, which rises while the search cools down; starts, least times and the number of changes may not get worse.

   Arrays are in C order. A place is lever * n + step; an option is counted over all places; a kind is what an option has its lever do, the same in every step. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MOST_PARTS 8

typedef struct {
    int n, tanks, levers, caps, totals, places, classes, kinds, days, is_periodic, most_changes;
    double level_price, end_price, supply_price, pressure_price, pressure_room_m;
    const double *x;                                    /* states of the base, (n + 1, tanks) */
    const double *after, *drift;                        /* (n, tanks), (n, tanks, tanks) */
    const double *state_cost;                           /* (n + 1, tanks) */
    const double *low, *high;                           /* (n + 1, tanks) */
    const signed char *full;                            /* (n, tanks): 0 cannot stand full, 1 what is not taken is lost, 2 is sent elsewhere */
    const double *diverted, *diverted_cost;             /* (n, tanks, tanks), (n, tanks) */
    const double *kw, *kw_slope, *own_kw;               /* (n, caps), (n, caps, tanks), (n, caps) */
    const double *most_kw, *kw_price;                   /* (caps,) */
    const double *charge_per_kw, *peak_so_far_kw;       /* (caps,) */
    const double *amiss;                                /* (n,) */
    const double *pressure, *pressure_slope;            /* (n, places), (n, places, tanks) */
    const signed char *watched;                         /* (n, places) */
    const double *total_room, *total_price;             /* (totals,) */
    const int *first_option;                            /* (levers * n + 1,) */
    const double *option_state, *option_cost, *option_kw, *option_amiss, *option_pressure, *option_total;
    const signed char *option_differs;                  /* whether it is a change */
    const int *option_kind;
    const int *option_of_kind;                          /* (levers * n, kinds), or -1 */
    const int *lever_of_class;                          /* (classes,), or -1 */
    const int *count_of_kind, *base_count;              /* (classes, kinds), (classes, n) */
    const int *pumps, *count_before;                    /* (classes,) */
    const int *most_starts, *starts_made;               /* (classes,), -1 for no limit; those made on the first day */
    const double *wear;                                 /* (classes,) */
    const int *day;                                     /* (n,) */
    const int *on_since, *off_since;                    /* (classes, n): the first step whose start (stop) still binds in a step */
} Near;

/* A way through the steps: states, and cost, price of what is amiss and greatest power so far. */
typedef struct { double *x, *cost, *amiss, *peak; } Way;

typedef struct { int too_many; double wear; } Turns;

static uint64_t next_random(uint64_t *s)
{
    uint64_t x = *s;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *s = x;
}

static int below(uint64_t *s, int n) { return (int)((next_random(s) >> 33) % (uint64_t)n); }

static double share(uint64_t *s) { return (double)(next_random(s) >> 11) * (1.0 / 9007199254740992.0); }

static double along(const double *slope, const double *d, int n)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++) sum += slope[i] * d[i];
    return sum;
}

/* Steps from..n - 1; `scratch` holds tanks + caps + places. */
static void follow(const Near *p, const int *choice, int from, Way *w, double *scratch)
{
    int tanks = p->tanks, caps = p->caps, places = p->places;
    double *d = scratch, *kw = d + tanks, *pressure = kw + caps;
    for (int k = from; k < p->n; k++) {
        const double *x = w->x + (size_t)k * tanks;
        double *y = w->x + (size_t)(k + 1) * tanks, cost = w->cost[k], amiss = w->amiss[k], supply = p->amiss[k];
        for (int t = 0; t < tanks; t++) d[t] = x[t] - p->x[k * tanks + t];
        if (k > 0) cost += along(p->state_cost + (size_t)k * tanks, d, tanks);
        for (int t = 0; t < tanks; t++) y[t] = p->after[k * tanks + t] + along(p->drift + ((size_t)k * tanks + t) * tanks, d, tanks);
        for (int i = 0; i < caps; i++) kw[i] = p->kw[k * caps + i] + along(p->kw_slope + ((size_t)k * caps + i) * tanks, d, tanks);
        for (int j = 0; j < places; j++)
            if (p->watched[k * places + j]) pressure[j] = p->pressure[k * places + j] + along(p->pressure_slope + ((size_t)k * places + j) * tanks, d, tanks);
        for (int g = 0; g < p->levers; g++) {
            size_t o = (size_t)choice[g * p->n + k];
            for (int t = 0; t < tanks; t++) y[t] += p->option_state[o * tanks + t];
            for (int i = 0; i < caps; i++) kw[i] += p->option_kw[o * caps + i];
            for (int j = 0; j < places; j++)
                if (p->watched[k * places + j]) pressure[j] += p->option_pressure[o * places + j];
            cost += p->option_cost[o];
            supply += p->option_amiss[o];
        }
        for (int t = 0; t < tanks; t++) {
            int full = p->full[k * tanks + t];
            double spilt = y[t] - 1.0;
            if (!full || spilt <= 0.0) continue;
            if (full == 2) {
                cost += p->diverted_cost[k * tanks + t] * spilt;
                for (int u = 0; u < tanks; u++) y[u] += p->diverted[((size_t)k * tanks + u) * tanks + t] * spilt;
            } else
                y[t] = 1.0;
        }
        double price = k + 1 == p->n ? p->end_price : p->level_price;
        for (int t = 0; t < tanks; t++) {
            double lacks = p->low[(k + 1) * tanks + t] - y[t], over = y[t] - p->high[(k + 1) * tanks + t];
            if (lacks > 0.0) amiss += price * lacks;
            if (over > 0.0) amiss += price * over;
        }
        if (supply > 0.0) amiss += p->supply_price * supply;
        for (int i = 0; i < caps; i++) {
            double before = w->peak[(size_t)k * caps + i], drawn = kw[i] - p->own_kw[k * caps + i];
            if (kw[i] > p->most_kw[i]) amiss += p->kw_price[i] * (kw[i] - p->most_kw[i]);
            w->peak[(size_t)(k + 1) * caps + i] = drawn > before ? drawn : before;
        }
        for (int j = 0; j < places; j++)
            if (p->watched[k * places + j] && pressure[j] < p->pressure_room_m) amiss += p->pressure_price * (p->pressure_room_m - pressure[j]);
        w->cost[k + 1] = cost;
        w->amiss[k + 1] = amiss;
    }
}

/* Cost and price of what is amiss of a whole way, wear apart. */
static void sum_up(const Near *p, const int *choice, const Way *w, double *cost, double *amiss)
{
    const double *end = w->x + (size_t)p->n * p->tanks;
    *cost = w->cost[p->n];
    *amiss = w->amiss[p->n];
    for (int t = 0; t < p->tanks; t++) *cost += p->state_cost[(size_t)p->n * p->tanks + t] * (end[t] - p->x[(size_t)p->n * p->tanks + t]);
    for (int i = 0; i < p->caps; i++) *cost += p->charge_per_kw[i] * fmax(w->peak[(size_t)p->n * p->caps + i] - p->peak_so_far_kw[i], 0.0);
    for (int q = 0; q < p->totals; q++) {
        double over = -p->total_room[q];
        for (int i = 0; i < p->levers * p->n; i++) over += p->option_total[(size_t)choice[i] * p->totals + q];
        if (over > 0.0) *amiss += p->total_price[q] * over;
    }
}

static int count(const Near *p, const int *choice, int c, int k)
{
    int g = p->lever_of_class[c];
    return g < 0 ? p->base_count[c * p->n + k] : p->count_of_kind[c * p->kinds + p->option_kind[choice[g * p->n + k]]];
}

/* Starts beyond the limit, pumps that do not stay on or off for as long as they must, and wear of one class; `scratch` holds n + days. */
static Turns turns(const Near *p, const int *choice, int c, int *scratch)
{
    Turns found = {0, 0.0};
    int n = p->n, *now = scratch, *made = scratch + n;
    const int *on_since = p->on_since + (size_t)c * n, *off_since = p->off_since + (size_t)c * n;
    for (int k = 0; k < n; k++) now[k] = count(p, choice, c, k);
    for (int d = 0; d < p->days; d++) made[d] = d ? 0 : p->starts_made[c];
    int before = p->is_periodic ? now[n - 1] : p->count_before[c];
    for (int k = 0; k < n; k++) {
        int started = 0, stopped = 0;
        for (int j = on_since[k]; j <= k; j++) {
            int rise = now[j] - (j ? now[j - 1] : before);
            if (rise > 0) started += rise;
        }
        for (int j = off_since[k]; j <= k; j++) {
            int fall = (j ? now[j - 1] : before) - now[j];
            if (fall > 0) stopped += fall;
        }
        if (started > now[k]) found.too_many += started - now[k];
        if (stopped > p->pumps[c] - now[k]) found.too_many += stopped - (p->pumps[c] - now[k]);
        int rise = now[k] - (k ? now[k - 1] : before);
        if (rise > 0) {
            made[p->day[k]] += rise;
            found.wear += p->wear[c] * rise;
        }
    }
    for (int d = 0; d < p->days && p->most_starts[c] >= 0; d++)
        if (made[d] > p->most_starts[c]) found.too_many += made[d] - p->most_starts[c];
    return found;
}

typedef struct { int n, place[MOST_PARTS], was[MOST_PARTS]; } Move;

static void put(int *choice, Move *m, int place, int option)
{
    if (option < 0 || choice[place] == option || m->n == MOST_PARTS) return;
    m->place[m->n] = place;
    m->was[m->n++] = choice[place];
    choice[place] = option;
}

/* Another option in one step; what two steps do exchanged; or a switch some steps earlier or later. */
static void try_out(const Near *p, int *choice, Move *m, uint64_t *s)
{
    int n = p->n, g = below(s, p->levers), k = below(s, n), which = below(s, 100), place = g * n + k;
    const int *kind = p->option_kind, *of_kind = p->option_of_kind;
    if (which < 30) {
        int options = p->first_option[place + 1] - p->first_option[place], option = p->first_option[place] + below(s, options);
        for (int steps = which < 15 ? 1 : 1 + below(s, 4), at = k; at < n && at < k + steps; at++)
            put(choice, m, g * n + at, of_kind[(size_t)(g * n + at) * p->kinds + kind[option]]);
    } else if (which < 65) {
        int other = g * n + below(s, n), a = kind[choice[place]], b = kind[choice[other]];
        int here = of_kind[(size_t)place * p->kinds + b], there = of_kind[(size_t)other * p->kinds + a];
        if (a == b || here < 0 || there < 0) return;
        put(choice, m, place, here);
        put(choice, m, other, there);
    } else {
        int steps = 1 + below(s, 2);
        for (int i = 0; i < n; i++, k = (k + 1) % n) {
            int last = (k + n - 1) % n, a = kind[choice[g * n + last]], b = kind[choice[g * n + k]];
            if (a == b) continue;
            for (int j = 0; j < steps; j++) {
                int at = which & 1 ? k + j : last - j;
                if (at >= 0 && at < n) put(choice, m, g * n + at, of_kind[(size_t)(g * n + at) * p->kinds + (which & 1 ? a : b)]);
            }
            return;
        }
    }
}

/* Changes that a move adds; a place may be in it twice. */
static int changes_of(const Near *p, const int *choice, const Move *m)
{
    int more = 0;
    for (int i = 0; i < m->n; i++) {
        int seen = 0;
        for (int j = 0; j < i; j++) seen |= m->place[j] == m->place[i];
        if (!seen) more += p->option_differs[choice[m->place[i]]] - p->option_differs[m->was[i]];
    }
    return more;
}

/* `choice` (levers * n), the base's at first, becomes the best found; its objective in `value`. Temperatures and `softly`, the share of prices at first, are positive.
   Returns starts and times that are amiss in it, or -1 where there is no memory. */
int levada_anneal(const Near *p, long moves, double hot, double cold, double softly, uint64_t seed, int *choice, double *value)
{
    int n = p->n, tanks = p->tanks, caps = p->caps, places = p->levers * n, too_many = 0, changes = 0;
    size_t states = (size_t)(n + 1) * tanks, peaks = (size_t)(n + 1) * caps, way = states + 2 * (size_t)(n + 1) + peaks;
    double *room = calloc(2 * way + tanks + caps + p->places, sizeof *room);
    int *best = malloc(((size_t)places + n + p->days + 1) * sizeof *best), *counted = best ? best + places : NULL;
    Turns *now = calloc(2 * (size_t)p->classes + 1, sizeof *now), *then = now ? now + p->classes : NULL;
    if (!room || !best || !now) {
        free(room);
        free(best);
        free(now);
        return -1;
    }
    Way at, next;
    at.x = room, at.cost = at.x + states, at.amiss = at.cost + n + 1, at.peak = at.amiss + n + 1;
    next.x = room + way, next.cost = next.x + states, next.amiss = next.cost + n + 1, next.peak = next.amiss + n + 1;
    double *scratch = room + 2 * way, cost, amiss, wear = 0.0;
    for (int i = 0; i < caps; i++) at.peak[i] = p->peak_so_far_kw[i];
    memcpy(at.x, p->x, tanks * sizeof *at.x);
    memcpy(next.x, at.x, tanks * sizeof *at.x);
    memcpy(next.peak, at.peak, caps * sizeof *at.peak);
    follow(p, choice, 0, &at, scratch);
    sum_up(p, choice, &at, &cost, &amiss);
    for (int c = 0; c < p->classes; c++) {
        now[c] = turns(p, choice, c, counted);
        too_many += now[c].too_many;
        wear += now[c].wear;
    }
    for (int i = 0; i < places; i++) changes += p->option_differs[choice[i]];
    double least = cost + wear + amiss;
    int fewest = too_many;
    memcpy(best, choice, places * sizeof *best);
    uint64_t s = seed * 2654435769u + 88172645463325252u;
    for (long i = 0; i < moves; i++) {
        double gone = (double)i / (double)moves, temperature = hot * pow(cold / hot, gone), price = softly * pow(1.0 / softly, fmin(gone / 0.7, 1.0));
        Move m = {0};
        for (int parts = 1 + (below(&s, 3) == 0); parts > 0; parts--) try_out(p, choice, &m, &s);
        if (!m.n) continue;
        int more = changes_of(p, choice, &m), is_taken = more <= 0 || changes + more <= p->most_changes, wrong = 0;
        double worn = 0.0;
        for (int c = 0; c < p->classes && is_taken; c++) {
            int is_moved = 0;
            for (int j = 0; j < m.n; j++) is_moved |= m.place[j] / n == p->lever_of_class[c];
            then[c] = is_moved ? turns(p, choice, c, counted) : now[c];
            wrong += then[c].too_many;
            worn += then[c].wear;
        }
        if (is_taken && wrong <= too_many) {
            int from = n;
            double new_cost, new_amiss;
            for (int j = 0; j < m.n; j++) from = m.place[j] % n < from ? m.place[j] % n : from;
            memcpy(next.x + (size_t)from * tanks, at.x + (size_t)from * tanks, tanks * sizeof *at.x);
            memcpy(next.peak + (size_t)from * caps, at.peak + (size_t)from * caps, caps * sizeof *at.peak);
            next.cost[from] = at.cost[from];
            next.amiss[from] = at.amiss[from];
            follow(p, choice, from, &next, scratch);
            sum_up(p, choice, &next, &new_cost, &new_amiss);
            double worse = new_cost + worn - cost - wear + price * (new_amiss - amiss);
            is_taken = wrong < too_many || worse <= 0.0 || share(&s) < exp(-worse / temperature);
            if (is_taken) {
                memcpy(at.x + (size_t)from * tanks, next.x + (size_t)from * tanks, (states - (size_t)from * tanks) * sizeof *at.x);
                memcpy(at.peak + (size_t)from * caps, next.peak + (size_t)from * caps, (peaks - (size_t)from * caps) * sizeof *at.peak);
                memcpy(at.cost + from, next.cost + from, (size_t)(n + 1 - from) * sizeof *at.cost);
                memcpy(at.amiss + from, next.amiss + from, (size_t)(n + 1 - from) * sizeof *at.amiss);
                memcpy(now, then, p->classes * sizeof *now);
                cost = new_cost;
                amiss = new_amiss;
                wear = worn;
                too_many = wrong;
                changes += more;
                if (too_many < fewest || (too_many == fewest && cost + wear + amiss < least)) {
                    fewest = too_many;
                    least = cost + wear + amiss;
                    memcpy(best, choice, places * sizeof *best);
                }
            }
        } else
            is_taken = 0;
        if (!is_taken)
            while (m.n--) choice[m.place[m.n]] = m.was[m.n];
    }
    memcpy(choice, best, places * sizeof *best);
    *value = least;
    free(room);
    free(best);
    free(now);
    return fewest;
}
