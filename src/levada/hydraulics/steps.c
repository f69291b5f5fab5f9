/* Planning steps of pump schedules in EPANET, many in one call: the part of simulate.py that runs a million times.

   A row is a planning step, the tank volumes at its start, what the pumps and valves do. Its result depends on nothing else: every solve
   begins from EPANET's initial flows. simulate.py says by which rules a step runs, prepares Plant and reads the results.
   Quantities are SI unless a name says `file`: those are in the units of the EPANET file. EPANET's functions are found when the library is
   loaded, since simulate.py's `native` has loaded EPANET before. */

#include <math.h>
#include <stddef.h>
#include <string.h>

typedef void *EN_Project;
extern int EN_initH(EN_Project, int);
extern int EN_runH(EN_Project, long *);
extern int EN_setnodevalue(EN_Project, int, int, double);
extern int EN_setlinkvalue(EN_Project, int, int, double);
extern int EN_setbasedemand(EN_Project, int, int, double);
extern int EN_getnodevalue(EN_Project, int, int, double *);
extern int EN_getlinkvalue(EN_Project, int, int, double *);
extern int EN_getstatistic(EN_Project, int, double *);
extern int EN_getcount(EN_Project, int, int *);
extern int EN_getoption(EN_Project, int, double *);
extern int EN_setoption(EN_Project, int, double);

/* Codes of EPANET's header (epanet2_enums.h). */
enum { TANKLEVEL = 8, DEMAND = 9, HEAD = 10, PRESSURE_HEAD = 11 };                     /* of nodes */
enum { INITSTATUS = 4, INITSETTING = 5, FLOW = 8, ENERGY = 13, PUMP_STATE = 16 };      /* of links */
enum { PUMP_OPEN = 3, CANNOT_DELIVER = 6 };                                            /* states of links */
enum { LINK_COUNT = 2, RELATIVE_ERROR = 1, TRIALS = 0, DAMP_LIMIT = 17, INIT_FLOWS = 10 };
enum { UNBALANCED = 1, UNSTABLE = 2, CUT_OFF = 3, VALVE = 5, NEGATIVE = 6 };           /* warnings */
enum { ERROR = 100 }; /* EPANET's codes from here on are errors, those below are warnings */

/* Kinds of severity, in the order of simulate.SEVERITIES. */
enum { LEVEL, SATURATION, PRESSURE, LINK_FLOW, POWER, SOURCE, SUPPLY, RESERVE, KINDS };

#define AT_LIMIT_M3 1e-6
#define PATIENT_TRIALS 200
#define PATIENT_DAMP_LIMIT 0.1 /* accuracy from which on steps are smaller and valves may change their state */
#define STILL_M3_PER_S 1e-6 /* a tank's flow below this is none */
#define FULL_FILE 1e-6      /* this near to its maximum, a tank that may stand full is put on it: only then EPANET shuts its inlet */

typedef struct {
    EN_Project project;
    int tanks, pumps, valves, nodes, links, sources, demands, caps, ports, groups;
    int hydraulic_step;
    double length, flow, engine_flow, room, tolerance;
    double balanced; /* change of flow, as a share of all flow, below which a solve that was left unbalanced is balanced all the same */
    const int *tank_node, *pump_link, *valve_link, *node, *link, *source_node, *demand_node, *port_link;
    const double *area;                              /* (tanks) m2; 0 where the tank has a curve */
    const int *curve_start;                          /* (tanks + 1) into the curves */
    const double *curve_level, *curve_volume;
    const double *min_volume, *max_volume;           /* (tanks) */
    const int *may_stand_full;                       /* (tanks) */
    const double *level_low_file, *level_high_file;  /* (tanks) what may be set */
    const double *ground, *floor, *ceiling;          /* (nodes) m */
    const double *least_flow, *most_flow;            /* (links) */
    const double *most_source;                       /* (sources) */
    const double *demand_file;                       /* (steps, demands) */
    const int *duration;                             /* (steps) */
    const double *reserve, *reserve_most;            /* (steps, tanks) volumes, infinite where there is no limit */
    const int *cap_of;                               /* (caps, pumps) 1 where the pump counts */
    const double *cap_kw;                            /* (caps) */
    const int *choice_start;                         /* (valves) into the choices */
    const int *choice_status;                        /* 0 closed, 1 open, 2 by its setting */
    const double *choice_setting_file;
    const double *port_sign;                         /* (ports) */
    const int *group_start, *group_node;             /* (groups + 1), junctions whose least pressure is wanted */
    const double *group_ground;
    double *pump_state;                              /* (pumps) speed in force in EPANET, -1 unknown */
    int *valve_state;                                /* (valves) choice in force, -1 unknown */
    int step_now;
    long solves;
} Plant;

/* What one solve says. */
typedef struct {
    double *inflow, *pressure, *link_flow, *pump_flow, *power_kw, *delivers, *source;
} Solved;

static double level_of(const Plant *p, int i, double volume)
{
    int a = p->curve_start[i], b = p->curve_start[i + 1], j;
    const double *v = p->curve_volume, *z = p->curve_level;
    if (a == b) return volume / p->area[i];
    for (j = a + 1; j < b - 1 && v[j] < volume; j++) {}
    return z[j - 1] + (volume - v[j - 1]) * (z[j] - z[j - 1]) / (v[j] - v[j - 1]);
}

static void set_controls(Plant *p, const double *speed, const int *choice)
{
    for (int j = 0; j < p->pumps; j++) {
        if (p->pump_state[j] == speed[j]) continue;
        /* Both: a status alone would leave the speed of the file, a setting alone a pump that is closed. */
        EN_setlinkvalue(p->project, p->pump_link[j], INITSETTING, speed[j] > 0 ? speed[j] : 1.0);
        EN_setlinkvalue(p->project, p->pump_link[j], INITSTATUS, speed[j] > 0 ? 1.0 : 0.0);
        p->pump_state[j] = speed[j];
    }
    for (int j = 0; j < p->valves; j++) {
        if (p->valve_state[j] == choice[j]) continue;
        int c = p->choice_start[j] + choice[j];
        if (p->choice_status[c] == 2)
            EN_setlinkvalue(p->project, p->valve_link[j], INITSETTING, p->choice_setting_file[c]);
        else
            EN_setlinkvalue(p->project, p->valve_link[j], INITSTATUS, p->choice_status[c]);
        p->valve_state[j] = choice[j];
    }
}

static void set_step(Plant *p, int step)
{
    if (p->step_now == step) return;
    const double *row = p->demand_file + (size_t)step * p->demands;
    for (int i = 0; i < p->demands; i++) EN_setbasedemand(p->project, p->demand_node[i], 1, row[i]);
    p->step_now = step;
}

/* The code of a solve that EPANET left unbalanced. Of all that it could warn of it says this alone, so where flows are near enough to their balance the rest is looked for here:
   water drawn at a pressure below zero, valves that cannot deliver. */
static int of_unbalanced(const Plant *p)
{
    int links;
    double value, drawn;
    if (EN_getstatistic(p->project, RELATIVE_ERROR, &value) != 0 || value > p->balanced) return UNBALANCED;
    for (int i = 0; i < p->demands; i++) {
        EN_getnodevalue(p->project, p->demand_node[i], DEMAND, &drawn);
        EN_getnodevalue(p->project, p->demand_node[i], PRESSURE_HEAD, &value);
        if (drawn > 0 && value < 0) return NEGATIVE;
    }
    EN_getcount(p->project, LINK_COUNT, &links);
    for (int i = 1; i <= links; i++) {
        EN_getlinkvalue(p->project, i, PUMP_STATE, &value); /* of any link its state; a pump's are below these */
        if (value >= CANNOT_DELIVER) return VALVE;
    }
    return 0;
}

/* EPANET's solve, from its initial flows, and its code. */
static int once(Plant *p)
{
    long t;
    EN_initH(p->project, INIT_FLOWS);
    int code = EN_runH(p->project, &t);
    p->solves++;
    return code == UNBALANCED ? of_unbalanced(p) : code;
}

/* A solve and its code. Where flows do not come into balance it is done once more with smaller steps, and more of them. */
static int run(Plant *p)
{
    double trials, damp_limit;
    int code = once(p);
    if (code != UNBALANCED && code != UNSTABLE) return code;
    EN_getoption(p->project, TRIALS, &trials);
    EN_getoption(p->project, DAMP_LIMIT, &damp_limit);
    EN_setoption(p->project, TRIALS, fmax(trials, PATIENT_TRIALS));
    EN_setoption(p->project, DAMP_LIMIT, PATIENT_DAMP_LIMIT);
    code = once(p);
    EN_setoption(p->project, TRIALS, trials);
    EN_setoption(p->project, DAMP_LIMIT, damp_limit);
    return code;
}

/* One solve at these volumes. Returns EPANET's code. Where EPANET has no solution nothing moves and nothing is delivered. */
static int solve(Plant *p, const double *volume, const double *speed, Solved *s)
{
    double value;
    for (int i = 0; i < p->tanks; i++) {
        double level = (level_of(p, i, volume[i]) + p->room) / p->length, high = p->level_high_file[i], low = p->level_low_file[i];
        if (level > high - FULL_FILE) level = high;
        if (level < low) level = low;
        EN_setnodevalue(p->project, p->tank_node[i], TANKLEVEL, level);
    }
    int code = run(p), lost = code >= ERROR;
    for (int i = 0; i < p->tanks; i++) {
        EN_getnodevalue(p->project, p->tank_node[i], DEMAND, &value);
        s->inflow[i] = lost ? 0.0 : value * p->engine_flow;
    }
    for (int i = 0; i < p->nodes; i++) {
        EN_getnodevalue(p->project, p->node[i], HEAD, &value);
        s->pressure[i] = lost ? 0.0 : value * p->length - p->ground[i];
    }
    for (int i = 0; i < p->links; i++) {
        EN_getlinkvalue(p->project, p->link[i], FLOW, &value);
        s->link_flow[i] = lost ? 0.0 : value * p->flow;
    }
    for (int i = 0; i < p->sources; i++) {
        EN_getnodevalue(p->project, p->source_node[i], DEMAND, &value);
        s->source[i] = lost ? 0.0 : -value * p->flow;
    }
    for (int j = 0; j < p->pumps; j++) {
        s->pump_flow[j] = s->power_kw[j] = 0.0;
        s->delivers[j] = 1.0;
        if (!(speed[j] > 0)) continue;
        if (lost) { s->delivers[j] = 0.0; continue; }
        EN_getlinkvalue(p->project, p->pump_link[j], FLOW, &value);
        s->pump_flow[j] = value * p->flow;
        EN_getlinkvalue(p->project, p->pump_link[j], ENERGY, &s->power_kw[j]);
        EN_getlinkvalue(p->project, p->pump_link[j], PUMP_STATE, &value);
        s->delivers[j] = value == PUMP_OPEN;
    }
    return code;
}

static void look_at_levels(const Plant *p, int step, const double *volume, double *severity)
{
    for (int i = 0; i < p->tanks; i++) {
        double size = p->max_volume[i] - p->min_volume[i];
        double over = volume[i] - p->max_volume[i], under = p->min_volume[i] - volume[i], worst = over > under ? over : under;
        if (worst > AT_LIMIT_M3) severity[LEVEL] += worst / size;
        over = volume[i] - p->reserve_most[(size_t)step * p->tanks + i];
        under = p->reserve[(size_t)step * p->tanks + i] - volume[i];
        worst = over > under ? over : under;
        if (worst > AT_LIMIT_M3) severity[RESERVE] += worst / size;
    }
}

static void look(const Plant *p, int step, const double *volume, const Solved *s, int code, double *severity)
{
    look_at_levels(p, step, volume, severity);
    for (int i = 0; i < p->tanks; i++) {
        double q = s->inflow[i], size = p->max_volume[i] - p->min_volume[i];
        if (fabs(q) < STILL_M3_PER_S) continue;
        int full = q > 0 && p->max_volume[i] - volume[i] <= q && !p->may_stand_full[i];
        int empty = q < 0 && volume[i] - p->min_volume[i] <= -q;
        if (full || empty) severity[SATURATION] += fabs(q) * p->hydraulic_step / size;
    }
    for (int i = 0; i < p->nodes; i++) {
        double short_m = p->floor[i] - s->pressure[i], over_m = s->pressure[i] - p->ceiling[i];
        if (short_m > 0) severity[PRESSURE] += short_m / 10.0;
        if (over_m > 0) severity[PRESSURE] += over_m / 10.0;
    }
    for (int i = 0; i < p->links; i++) {
        double q = s->link_flow[i], beyond = fmax(p->least_flow[i] - q, q - p->most_flow[i]);
        if (beyond > p->tolerance) severity[LINK_FLOW] += beyond / (fabs(q) + beyond);
    }
    for (int i = 0; i < p->sources; i++) {
        double beyond = s->source[i] - p->most_source[i];
        if (beyond > p->tolerance) severity[SOURCE] += beyond / s->source[i];
    }
    for (int c = 0; c < p->caps; c++) {
        double total = 0.0;
        for (int j = 0; j < p->pumps; j++) if (p->cap_of[c * p->pumps + j]) total += s->power_kw[j];
        if (total > p->cap_kw[c]) severity[POWER] += (total - p->cap_kw[c]) / fmax(p->cap_kw[c], 1.0);
    }
    /* Not balanced, unstable, cut off, a valve that cannot deliver, pressure below zero where water is drawn, or no solution at all. */
    if (code == UNBALANCED || code == UNSTABLE || code == CUT_OFF || code == VALVE || code == NEGATIVE || code >= ERROR) severity[SUPPLY] += 0.1;
    for (int j = 0; j < p->pumps; j++) if (!s->delivers[j]) { severity[SUPPLY] += 0.05; break; }
}

/* Volumes after up to `dt` seconds of constant inflow, cut short where a tank reaches a limit. Returns the seconds gone. */
static int advance(const Plant *p, double *volume, const double *inflow, int dt)
{
    for (int i = 0; i < p->tanks; i++) {
        double q = inflow[i], v = volume[i], room;
        if (q > 0 && v < p->max_volume[i]) room = (p->max_volume[i] - v) / q;
        else if (q < 0 && v > p->min_volume[i]) room = (p->min_volume[i] - v) / q;
        else continue;
        if (room < dt) {
            int event = (int)(room + 0.5);
            if (0 < event && event < dt) dt = event;
        }
    }
    for (int i = 0; i < p->tanks; i++) {
        double q = inflow[i], v = volume[i], after = v + q * dt, high = p->max_volume[i], low = p->min_volume[i];
        if (q > 0 && v < high && after + q >= high) after = high;
        else if (q < 0 && v > low && after + q <= low) after = low;
        volume[i] = after;
    }
    return dt;
}

/* Single solves by row: inflow (tanks), flow, power W, delivers (pumps), pressure (nodes), port flow into the tank (ports), least pressure of each
   group (groups), drawn from each source (sources) m3/s, and EPANET's code. */
typedef struct {
    double *inflow, *flow, *power, *delivers, *pressure, *port_flow, *lowest, *source;
    int *code;
} Solves;

/* What a solve that was just made found, as row r. */
static void keep(Plant *p, int r, const Solved *s, int code, const Solves *out)
{
    int lost = code >= ERROR;
    double value;
    memcpy(out->inflow + (size_t)r * p->tanks, s->inflow, p->tanks * sizeof(double));
    memcpy(out->flow + (size_t)r * p->pumps, s->pump_flow, p->pumps * sizeof(double));
    memcpy(out->delivers + (size_t)r * p->pumps, s->delivers, p->pumps * sizeof(double));
    memcpy(out->pressure + (size_t)r * p->nodes, s->pressure, p->nodes * sizeof(double));
    memcpy(out->source + (size_t)r * p->sources, s->source, p->sources * sizeof(double));
    for (int j = 0; j < p->pumps; j++) out->power[(size_t)r * p->pumps + j] = s->power_kw[j] * 1000.0;
    for (int i = 0; i < p->ports; i++) {
        EN_getlinkvalue(p->project, p->port_link[i], FLOW, &value);
        out->port_flow[(size_t)r * p->ports + i] = lost ? 0.0 : value * p->port_sign[i];
    }
    for (int g = 0; g < p->groups; g++) {
        double least = INFINITY;
        for (int i = p->group_start[g]; i < p->group_start[g + 1]; i++) {
            EN_getnodevalue(p->project, p->group_node[i], HEAD, &value);
            if (value * p->length - p->group_ground[i] < least) least = value * p->length - p->group_ground[i];
        }
        out->lowest[(size_t)r * p->groups + g] = lost ? 0.0 : least;
    }
    out->code[r] = code;
}

/* Run rows. Arrays by row: step, volume (tanks), speed (pumps; 0 is off), choice (valves); `lasts`, NULL for whole steps, how many seconds of the step are
   run, its solves counted from their beginning. Out, by row: volume (tanks), mean flow (pumps) m3/s, mean
   power (pumps) W, drawn (sources) m3, severity (KINDS), least pressure (nodes). `trace`, for a single row or NULL, takes a record
   a solve of [t, code, volume, inflow, pressure, link flow, pump flow, power kW, delivers, source]; at most `room` records.
   `first`, or NULL, takes the solve that each row begins with. Returns the number of records. */
int levada_steps(Plant *p, int rows, const int *step, const double *volume, const double *speed, const int *choice, const int *lasts, double *after,
                 double *flow, double *power, double *drawn, double *severity, double *pressure, double *trace, int room, const Solves *first)
{
    double space[4096];
    int width = 2 + 2 * p->tanks + p->nodes + p->links + 3 * p->pumps + p->sources, records = 0;
    if (width > 4096) return -1;
    for (int r = 0; r < rows; r++) {
        int k = step[r], duration = lasts ? lasts[r] : p->duration[k], t = 0;
        const double *u = speed + (size_t)r * p->pumps;
        double *v = after + (size_t)r * p->tanks, *q = flow + (size_t)r * p->pumps, *w = power + (size_t)r * p->pumps;
        double *d = drawn + (size_t)r * p->sources, *bad = severity + (size_t)r * KINDS, *least = pressure + (size_t)r * p->nodes;
        set_step(p, k);
        set_controls(p, u, choice + (size_t)r * p->valves);
        for (int i = 0; i < p->tanks; i++) v[i] = volume[(size_t)r * p->tanks + i];
        for (int j = 0; j < p->pumps; j++) q[j] = w[j] = 0.0;
        for (int i = 0; i < p->sources; i++) d[i] = 0.0;
        for (int i = 0; i < KINDS; i++) bad[i] = 0.0;
        for (int i = 0; i < p->nodes; i++) least[i] = INFINITY;
        while (t < duration) {
            double *record = trace && records < room ? trace + (size_t)records++ * width : space;
            Solved s;
            record[0] = t;
            double *at = record + 2;
            for (int i = 0; i < p->tanks; i++) *at++ = v[i];
            s.inflow = at; at += p->tanks;
            s.pressure = at; at += p->nodes;
            s.link_flow = at; at += p->links;
            s.pump_flow = at; at += p->pumps;
            s.power_kw = at; at += p->pumps;
            s.delivers = at; at += p->pumps;
            s.source = at;
            int code = solve(p, v, u, &s);
            record[1] = code;
            if (first && t == 0) keep(p, r, &s, code, first);
            look(p, k, v, &s, code, bad);
            int dt = p->hydraulic_step - t % p->hydraulic_step;
            if (dt > duration - t) dt = duration - t;
            dt = advance(p, v, s.inflow, dt);
            for (int j = 0; j < p->pumps; j++) { q[j] += s.pump_flow[j] * dt; w[j] += s.power_kw[j] * dt; }
            for (int i = 0; i < p->sources; i++) d[i] += s.source[i] * dt;
            for (int i = 0; i < p->nodes; i++) if (s.pressure[i] < least[i]) least[i] = s.pressure[i];
            t += dt;
        }
        look_at_levels(p, k, v, bad);
        for (int j = 0; j < p->pumps; j++) { q[j] /= duration; w[j] *= 1000.0 / duration; }
    }
    return records;
}

/* Rows of single solves, for sampling. */
int levada_solves(Plant *p, int rows, const int *step, const double *volume, const double *speed, const int *choice, const Solves *out)
{
    double space[4096];
    if (p->tanks + p->nodes + p->links + 3 * p->pumps + p->sources > 4096) return -1;
    for (int r = 0; r < rows; r++) {
        const double *u = speed + (size_t)r * p->pumps;
        Solved s;
        s.inflow = space;
        s.pressure = s.inflow + p->tanks;
        s.link_flow = s.pressure + p->nodes;
        s.pump_flow = s.link_flow + p->links;
        s.power_kw = s.pump_flow + p->pumps;
        s.delivers = s.power_kw + p->pumps;
        s.source = s.delivers + p->pumps;
        set_step(p, step[r]);
        set_controls(p, u, choice + (size_t)r * p->valves);
        keep(p, r, &s, solve(p, volume + (size_t)r * p->tanks, u, &s), out);
    }
    return 0;
}
