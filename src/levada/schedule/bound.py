"""A lower bound: what no schedule of the problem can undercut.

For step k, component and configuration c the plant over the whole step is modelled as linear in the states x at its start and the flows
q of its variable-speed classes, with margins:

    inflow   a + B x + C q - d_low  <=  true inflow of each tank over the step  <=  a + B x + C q + d_high
    cost     true cost of the component's energy  >=  a' + b' x + c' q - d'
    flow     f + F x - d''  <=  q  <=  g + G x + d''

(Flows, not speeds: the network feels only what a station delivers, however its pumps share it; speeds that differ within a class are
sampled too.) The models hold

for each tank and also for sums over several tanks (whose margins are far smaller: what a model gets wrong of the flow between two
tanks cancels in their sum), on the zone of states that can be reached (reach.py). The relaxation lets each step mix configurations: with weights mu >= 0 on the corners v of
(zone x flow range), sum over c, v of mu = 1, the states are x = sum mu v, the inflows and costs the same mixture. This is the convex hull of
the union of the linear pieces (Balas), as exact as a linear programme over them can be. States are linked from step to step by the storage
balance. Every true schedule gives a point of it, so its optimum is a lower bound, up to the margins: they are the largest deviations
of the surfaces from the linear models at many points, plus the largest deviations of EPANET from the surfaces in independent samples,
times a safety factor. That makes the certificate `sampled`, never `exact`.

The duals of the storage balances are the value of water in each tank. With integer choices of configuration and start limits the same model
gives a tighter bound by branch and bound, on a node limit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations, product

import highspy
import numpy as np
from highspy._core import _Highs
from numpy.typing import NDArray

from levada.domain.series import Floats
from levada.schedule.plant import Ints, Plant
from levada.schedule.reach import Zone
from levada.schedule.surface import Sampler, Surface

__all__ = ["Models", "Relaxation", "balances", "by_flow", "fit_models", "inputs", "relax"]

_SAFETY = 1.25
"""Factor on the largest deviation of EPANET from the surfaces that the samples found."""

_MOST_TANKS_FOR_SUBSETS = 4

_MOST_COLUMNS = 60_000
_MOST_ROWS_A_STEP = 4000

_FLOOR_SLACK_M = 0.5
"""A configuration is struck out where all samples fall below a pressure floor by more than this."""


@dataclass
class Models:
    """Linear models with margins of one component over every step: index [k, c].

    Inputs are [1, x of its tanks, flow of its classes in m3/s where the speed varies, else 0]. `inflow` (n, configurations, inputs, balances) in m3 per step,
    `cost` (n, configurations, inputs), `power` likewise in kW (mean over the step), `floor` (n, configurations, inputs, floors) in m.
    Margins lack the inputs' axis. `possible` says which configurations may run at all.
    """

    surface: Surface
    sums: Floats
    """(balances, tanks of the component): which of its tanks are in each balance, times their volume in m3."""
    inflow: Floats
    inflow_low: Floats
    inflow_high: Floats
    cost: Floats
    cost_low: Floats
    power: Floats
    power_low: Floats
    floor: Floats
    floor_high: Floats
    binding: NDArray[np.bool_]
    """(n, configurations, floors): the floor fails at some of the samples."""
    possible: NDArray[np.bool_]
    flow_least: Floats
    """(n, configurations, 1 + tanks, classes): the least flow as a linear function of [1, x], margin taken off."""
    flow_most: Floats
    is_refuted: bool = False
    """A configuration struck out as impossible was seen to run: nothing can be concluded from these models."""
    is_flat: bool = False
    """The models do not depend on x (their margins span the zone): where corners times configurations would be too many."""
    samples: int = 0


def balances(plant: Plant) -> Floats:
    """Which sums of tanks the bound keeps a balance of, (balances, tanks) of 0 and 1: each tank, each component's tanks, all; all
    subsets where there are few tanks."""
    t = plant.tanks
    rows = [np.eye(t, dtype=bool)[i] for i in range(t)]
    if t <= _MOST_TANKS_FOR_SUBSETS:
        rows += [np.isin(np.arange(t), c) for size in range(2, t) for c in combinations(range(t), size)]
    rows += [np.isin(np.arange(t), c.tanks) for c in plant.components if len(c.tanks) > 1]
    rows.append(np.ones(t, bool))
    return np.array(list(dict.fromkeys(tuple(r.tolist()) for r in rows)), np.float64)


@dataclass(frozen=True)
class _Run:
    """Steps run on surfaces or in EPANET, of one component: per row the totals over the step."""

    inflow: Floats
    cost: Floats
    power: Floats
    slack: Floats
    flow: Floats
    usable: NDArray[np.bool_]


def _run_on_surfaces(plant: Plant, surfaces: list[Surface], step: int, x: Floats, chosen: list[Ints], speeds: list[Floats]) -> list[_Run]:
    """Planning step `step` from states x (N, tanks) with configuration chosen[m] (N,) of each component m at speeds[m] (N, classes)."""
    problem, h = plant.problem, plant.problem.hydraulic_step_s
    parts = int(problem.steps.durations_s[step]) // h
    steps = np.full(len(x), step)
    x = x.copy()
    totals: list[_Run] = []
    for _ in range(parts):
        dx = np.zeros_like(x)
        runs = []
        for m, s in enumerate(surfaces):
            tanks, k = list(s.component.tanks), len(s.component.classes)
            out = s.evaluate(steps, chosen[m], x[:, tanks], speeds[m])
            t = len(tanks)
            inflow = out[:, :t] * h / plant.span[tanks]
            power = out[:, t : t + k]
            cost = power @ plant.class_price[step, list(s.component.classes)] * h / 3.6e6
            usable = np.asarray((out[:, t + k : t + 2 * k] > 0).all(axis=1), bool)
            dx[:, tanks] += inflow
            runs.append(_Run(inflow, cost, power.sum(axis=1) / 1000.0 / parts, out[:, t + 3 * k :], out[:, t + 2 * k : t + 3 * k] / parts, usable))
        totals = runs if not totals else [_add(a, b) for a, b in zip(totals, runs, strict=True)]
        x += dx
        x = np.where(problem.may_stand_full, np.minimum(x, 1.0), x)
    return totals


def _add(a: _Run, b: _Run) -> _Run:
    return _Run(a.inflow + b.inflow, a.cost + b.cost, a.power + b.power, np.minimum(a.slack, b.slack), a.flow + b.flow, a.usable & b.usable)


def _run_in_epanet(plant: Plant, sampler: Sampler, step: int, x: Floats, chosen: list[tuple[int, Floats]]) -> list[_Run]:
    """The same for one row in EPANET, speeds within a class spread about their mean. Rows come back with N = 1."""
    problem, h = plant.problem, plant.problem.hydraulic_step_s
    on, speed = sampler.pumps(chosen, unequal=True)
    x = x.copy()
    totals: list[_Run] = []
    duration, t = int(problem.steps.durations_s[step]), 0
    while t < duration:
        solved = plant.solve(step, x, on, speed)
        net = solved.inflow / plant.span
        dt = float(min(h - t % h, duration - t))
        for i in np.flatnonzero(problem.may_stand_full & (net > 0) & (x < 1)):
            room = round(float((1 - x[i]) / net[i]))
            if 0 < room < dt:
                dt = room
        runs = []
        for m, (row, delivers) in enumerate(sampler.rows(solved, chosen)):
            c = plant.components[m]
            tanks, k = list(c.tanks), len(c.classes)
            n = len(tanks)
            power = row[None, n : n + k]
            cost = power @ plant.class_price[step, list(c.classes)] * dt / 3.6e6
            runs.append(_Run(row[None, :n] * dt / plant.span[tanks], cost, power.sum(axis=1) / 1000.0 * dt / duration, row[None, n + 3 * k :], row[None, n + 2 * k : n + 3 * k] * dt / duration, np.array([delivers])))
        totals = runs if not totals else [_add(a, b) for a, b in zip(totals, runs, strict=True)]
        x = x + net * dt
        x = np.where(problem.may_stand_full, np.minimum(x, 1.0), x)
        t += int(dt)
    return totals


def fit_models(plant: Plant, surfaces: list[Surface], zones: list[Zone], sampler: Sampler, audit_samples: int) -> list[Models]:
    """Linear models of every component, step and configuration, with margins measured on surfaces and in EPANET."""
    rng = sampler.rng
    models = []
    of = balances(plant) * plant.span
    for s in surfaces:
        n, kinds, f = plant.n, len(s.counts), len(s.component.floors) + 1
        inputs = 1 + len(s.component.tanks) + len(s.component.classes)
        sums = of[:, list(s.component.tanks)]
        t = len(sums)
        linear = (n, kinds, 1 + len(s.component.tanks), len(s.component.classes))
        models.append(Models(
                surface=s, sums=sums, inflow=np.zeros((n, kinds, inputs, t)), inflow_low=np.zeros((n, kinds, t)), inflow_high=np.zeros((n, kinds, t)), is_flat=n * kinds * _corner_count(s) > _MOST_COLUMNS,
                cost=np.zeros((n, kinds, inputs)), cost_low=np.zeros((n, kinds)), power=np.zeros((n, kinds, inputs)),
                power_low=np.zeros((n, kinds)), floor=np.zeros((n, kinds, inputs, f)), floor_high=np.zeros((n, kinds, f)),
                binding=np.zeros((n, kinds, f), bool), flow_least=np.zeros(linear), flow_most=np.zeros(linear),
                possible=np.zeros((n, kinds), bool), samples=audit_samples,
        ))  # fmt: skip
    most = max(len(s.counts) for s in surfaces)
    for k in range(plant.n):
        per = max(5 * max(m.inflow.shape[2] for m in models), 40)
        total = min(per * most, max(_MOST_ROWS_A_STEP, 10 * most))
        x = (zones[k].draw(min(total, 400), rng) - plant.floor_m) / plant.rise_m
        x = x[np.arange(total) % len(x)]
        chosen, speeds = [], []
        for s in surfaces:
            c = rng.permutation(np.arange(total) % len(s.counts))
            u = np.clip(rng.uniform(-0.25, 1.25, (total, len(s.component.classes))), 0, 1)
            chosen.append(c)
            speeds.append(s.low[c] + u * (s.high[c] - s.low[c]))
        for m, run in zip(models, _run_on_surfaces(plant, surfaces, k, x, chosen, speeds), strict=True):
            _fit_step(plant, m, k, x, chosen[surfaces.index(m.surface)], speeds[surfaces.index(m.surface)], run)
    _measure(plant, models, zones, sampler, audit_samples)
    return models


def _corner_count(s: Surface) -> int:
    """About how many corners the zones of a component's tanks have, times those of its speed ranges."""
    t = len(s.component.tanks)
    free = int((s.high > s.low).sum(axis=1).max(initial=0))
    return ((1, 2, 6, 20, 70)[t] if t <= 4 else 1 << t) * (1 << free)


def inputs(m: Models, configuration: Ints, x: Floats, flow: Floats) -> Floats:
    """Inputs of the linear models, (N, inputs), at states x (N, tanks) and flows of the component's classes (N, classes)."""
    s = m.surface
    free = s.high[configuration] > s.low[configuration]
    states = x[:, list(s.component.tanks)] * (0.0 if m.is_flat else 1.0)
    return np.concatenate([np.ones((len(x), 1)), states, np.where(free, flow, 0.0)], axis=1)


def _fit_step(plant: Plant, m: Models, k: int, x: Floats, configuration: Ints, speed: Floats, run: _Run) -> None:
    s = m.surface
    a = inputs(m, configuration, x, run.flow)
    slow = (speed == s.low[configuration]).all(axis=1)
    fast = (speed == s.high[configuration]).all(axis=1)
    out = np.concatenate([run.inflow @ m.sums.T, run.cost[:, None], run.power[:, None], run.slack], axis=1)
    t, x_size = len(m.sums), len(s.component.tanks)
    ready = plant.available[k, list(s.component.classes)]
    order = np.argsort(configuration, kind="stable")
    bounds = np.searchsorted(configuration[order], np.arange(len(s.counts) + 1))
    for c in range(len(s.counts)):
        if not s.usable[s.group[k], c] or (s.counts[c] > ready).any():
            continue
        rows = order[bounds[c] : bounds[c + 1]]
        rows = rows[run.usable[rows]]
        if not len(rows) or (run.slack[rows].max(axis=0) < -_FLOOR_SLACK_M).any():
            continue
        m.possible[k, c] = True
        b = np.linalg.lstsq(np.vstack([a[rows], 1e-5 * np.eye(a.shape[1])]), np.vstack([out[rows], np.zeros((a.shape[1], out.shape[1]))]), rcond=None)[0]
        deviation = out[rows] - a[rows] @ b
        m.inflow[k, c], m.cost[k, c], m.power[k, c], m.floor[k, c] = b[:, :t], b[:, t], b[:, t + 1], b[:, t + 2 :]
        high, low = deviation.max(axis=0), -deviation.min(axis=0)
        m.inflow_low[k, c], m.inflow_high[k, c] = low[:t], high[:t]
        m.cost_low[k, c], m.power_low[k, c], m.floor_high[k, c] = low[t], low[t + 1], high[t + 2 :]
        for i in np.flatnonzero(s.high[c] > s.low[c]).tolist():
            m.flow_least[k, c, :, i] = _side(a[:, : 1 + x_size], run.flow[:, i], rows[slow[rows]], rows, -1.0)
            m.flow_most[k, c, :, i] = _side(a[:, : 1 + x_size], run.flow[:, i], rows[fast[rows]], rows, 1.0)
        m.binding[k, c] = run.slack[rows].min(axis=0) < 0


def _side(a: Floats, flow: Floats, at_end: Ints, rows: Ints, sign: float) -> Floats:
    """The least (sign -1) or most (1) flow as a linear function of [1, x]: fitted to the samples at that end, moved until it bounds all."""
    fit = at_end if len(at_end) > a.shape[1] else rows
    b: Floats = np.linalg.lstsq(np.vstack([a[fit], 1e-6 * np.eye(a.shape[1])]), np.concatenate([flow[fit], np.zeros(a.shape[1])]), rcond=None)[0]
    b[0] += sign * float(np.max(sign * (flow[rows] - a[rows] @ b)))
    return b


def _measure(plant: Plant, models: list[Models], zones: list[Zone], sampler: Sampler, count: int) -> None:
    """Widen the margins by what EPANET exceeds them in independent samples: the worst of each component and configuration, at every step."""
    rng = sampler.rng
    kinds = [len(m.surface.counts) for m in models]
    shape = [(kinds[i], m.inflow.shape[3], m.floor.shape[3]) for i, m in enumerate(models)]
    low = [np.zeros((c, t)) for c, t, _ in shape]
    high = [np.zeros((c, t)) for c, t, _ in shape]
    cost, power, floor = [np.zeros(c) for c in kinds], [np.zeros(c) for c in kinds], [np.zeros((c, f)) for c, _, f in shape]
    slow = [np.zeros((c, len(m.surface.component.classes))) for c, m in zip(kinds, models, strict=True)]
    fast = [v.copy() for v in slow]
    hours = plant.problem.steps.hours
    price = np.maximum(np.abs(plant.class_price).max(axis=1), 1e-9)
    for step in np.sort(rng.integers(plant.n, size=count)).tolist():
        chosen = []
        for m in models:
            ready = np.flatnonzero(m.possible[step])
            c = int(rng.choice(ready)) if len(ready) else 0
            chosen.append((c, sampler.speeds(m.surface.component, c)))
        x = ((zones[step].draw(1, rng) - plant.floor_m) / plant.rise_m)[0]
        for i, run in enumerate(_run_in_epanet(plant, sampler, step, x, chosen)):
            m, c = models[i], chosen[i][0]
            if not run.usable[0] or not m.possible[step, c]:
                continue
            c = by_flow(m, step, c, x, run.flow[0])
            at = np.concatenate([[1.0], x[list(m.surface.component.tanks)] * (0.0 if m.is_flat else 1.0)])
            slow[i][c] = np.maximum(slow[i][c], at @ m.flow_least[step, c] - run.flow[0])
            fast[i][c] = np.maximum(fast[i][c], run.flow[0] - at @ m.flow_most[step, c])
            a = inputs(m, np.array([c]), x[None], run.flow)[0]
            scale = hours[step]
            d = (m.sums @ run.inflow[0] - a @ m.inflow[step, c]) / scale
            low[i][c] = np.maximum(low[i][c], -d - m.inflow_low[step, c] / scale)
            high[i][c] = np.maximum(high[i][c], d - m.inflow_high[step, c] / scale)
            short = (a @ m.cost[step, c] - run.cost[0] - m.cost_low[step, c]) / (scale * price[step])
            cost[i][c] = max(cost[i][c], short)
            power[i][c] = max(power[i][c], a @ m.power[step, c] - run.power[0] - m.power_low[step, c])
            floor[i][c] = np.maximum(floor[i][c], run.slack[0] - a @ m.floor[step, c] - m.floor_high[step, c])
    for i, m in enumerate(models):
        m.inflow_low += _SAFETY * low[i][None] * hours[:, None, None]
        m.inflow_high += _SAFETY * high[i][None] * hours[:, None, None]
        m.cost_low += _SAFETY * cost[i][None] * (hours * price)[:, None]
        m.power_low += _SAFETY * power[i][None]
        m.flow_least[:, :, 0] -= _SAFETY * slow[i][None]
        m.flow_most[:, :, 0] += _SAFETY * fast[i][None]
        m.floor_high += _SAFETY * floor[i][None]


def by_flow(m: Models, step: int, c: int, x: Floats, flow: Floats) -> int:
    """The configuration whose flow range holds this flow, of those with the same counts: speeds that differ within a class can give a flow
    that another bin of mean speed covers."""
    s = m.surface
    free = s.high[c] > s.low[c]
    if not free.any():
        return c
    alike = np.flatnonzero((s.counts == s.counts[c]).all(axis=1) & m.possible[step])
    at = np.concatenate([[1.0], x[list(s.component.tanks)] * (0.0 if m.is_flat else 1.0)])
    least, most = np.einsum("i,cij->cj", at, m.flow_least[step, alike]), np.einsum("i,cij->cj", at, m.flow_most[step, alike])
    outside = np.where(free, np.maximum(least - flow, 0) + np.maximum(flow - most, 0), 0.0).sum(axis=1)
    return c if outside[alike == c][0] == 0 else int(alike[np.argmin(outside)])


@dataclass
class Relaxation:
    """The bound: `value` (None where the relaxation is infeasible or was not solved), whether it shows the problem `infeasible`,
    value of stored water (n + 1, tanks) in currency per unit of state x, reduced cost (n, configurations) per component, work spent."""

    value: float | None
    infeasible: bool
    water: Floats
    reduced: list[Floats]
    weight: list[Floats]
    work: dict[str, int] = field(default_factory=dict)


class _Builder:
    """Columns, rows and entries of a linear programme, gathered as arrays."""

    def __init__(self) -> None:
        self.cost: list[Floats] = []
        self.low: list[Floats] = []
        self.high: list[Floats] = []
        self.row_low: list[Floats] = []
        self.row_high: list[Floats] = []
        self.entries: list[tuple[NDArray[np.int64], NDArray[np.int64], Floats]] = []
        self.columns = self.rows = 0
        self.integer: list[int] = []

    def add_columns(self, cost: Floats, low: float | Floats = 0.0, high: float | Floats = np.inf) -> Ints:
        n = len(cost)
        self.cost.append(np.asarray(cost, np.float64))
        self.low.append(np.broadcast_to(low, n).astype(np.float64))
        self.high.append(np.broadcast_to(high, n).astype(np.float64))
        self.columns += n
        return np.arange(self.columns - n, self.columns)

    def add_rows(self, low: Floats, high: Floats) -> Ints:
        self.row_low.append(np.asarray(low, np.float64))
        self.row_high.append(np.asarray(high, np.float64))
        self.rows += len(low)
        return np.arange(self.rows - len(low), self.rows)

    def put(self, rows: Ints, columns: Ints, values: Floats) -> None:
        rows, columns, values = np.broadcast_arrays(rows, columns, values)
        keep = values != 0
        self.entries.append((rows[keep].ravel(), columns[keep].ravel(), values[keep].ravel()))

    def model(self) -> highspy.HighsLp:
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = self.columns, self.rows
        lp.col_cost_ = np.concatenate(self.cost)
        lp.col_lower_, lp.col_upper_ = np.concatenate(self.low), np.concatenate(self.high)
        lp.row_lower_, lp.row_upper_ = np.concatenate(self.row_low), np.concatenate(self.row_high)
        rows, columns, values = (np.concatenate([e[i] for e in self.entries]) for i in range(3))
        order = np.lexsort((rows, columns))
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_ = np.searchsorted(columns[order], np.arange(self.columns + 1)).astype(np.int32)
        lp.a_matrix_.index_, lp.a_matrix_.value_ = rows[order].astype(np.int32), values[order]
        if self.integer:
            kinds = [highspy.HighsVarType.kContinuous] * self.columns
            for i in self.integer:
                kinds[i] = highspy.HighsVarType.kInteger
            lp.integrality_ = kinds
        return lp


def solver() -> _Highs:
    """HiGHS, silent, on one thread, its random seed fixed: it stops on work, never on seconds."""
    # The class behind highspy.Highs: that one prints a banner while it is made, before any option can silence it.
    h = _Highs()
    for option, value in (("output_flag", False), ("threads", 1), ("random_seed", 0), ("parallel", "off")):
        h.setOptionValue(option, value)
    return h


def relax(plant: Plant, models: list[Models], zones: list[Zone], *, nodes: int = 0) -> Relaxation:
    """Solve the relaxation; with `nodes` > 0 as a mixed-integer programme, for so many branch-and-bound nodes."""
    problem, n, tanks = plant.problem, plant.n, plant.tanks
    b = _Builder()
    states = []
    for k in range(n + 1):
        low, high = np.minimum(0.0, plant.x0), np.maximum(1.0, plant.x0)
        if k == 0:
            low = high = plant.x0
        if k == n:
            low = np.maximum(low, plant.x_end)
        states.append(b.add_columns(np.zeros(tanks), low, high))
    # Storage balances as two inequalities each, since inflows have margins; a tank that may stand full may also take less.
    of = balances(plant)
    spill = (of[:, problem.may_stand_full] > 0).any(axis=1)
    less = [b.add_rows(np.full(len(of), -np.inf), np.zeros(len(of))) for _ in range(n)]
    more = [b.add_rows(np.where(spill, -np.inf, 0.0), np.full(len(of), np.inf)) for _ in range(n)]
    for k in range(n):
        for rows in (less[k], more[k]):
            b.put(rows[:, None], states[k + 1][None, :], of * plant.span)
            b.put(rows[:, None], states[k][None, :], -of * plant.span)
    counts: dict[int, list[tuple[Ints, Floats]]] = {c: [(np.zeros(0, np.int64), np.zeros(0))] * n for c in range(len(plant.classes))}
    power_rows = b.add_rows(np.full(n, -np.inf), np.full(n, problem.max_power_kw)) if problem.max_power_kw is not None else None
    pick_rows, pieces = [], []
    for m in models:
        component = m.surface.component
        own = list(component.tanks)
        pick = b.add_rows(np.ones(n), np.ones(n))
        pick_rows.append(pick)
        mine = []
        for k in range(n):
            link = b.add_rows(np.zeros(len(own)), np.zeros(len(own)))
            if m.is_flat:
                link = link[:0]
            else:
                b.put(link, states[k][own], -np.ones(len(own)))
            corners = np.zeros((1, len(own))) if m.is_flat else (zones[k].vertices(component.tanks) - plant.floor_m[own]) / plant.rise_m[own]
            ready = np.flatnonzero(m.possible[k])
            columns, which = [], []
            for c in ready.tolist():
                a = _corners(m, k, c, corners)
                mu = b.add_columns(a @ m.cost[k, c] - m.cost_low[k, c])
                b.put(pick[k : k + 1], mu, np.ones(len(mu)))
                b.put(link[None, :], mu[:, None], a[:, 1 : 1 + len(link)])
                inflow = a @ m.inflow[k, c]
                b.put(less[k][None, :], mu[:, None], -(inflow + m.inflow_high[k, c]))
                b.put(more[k][None, :], mu[:, None], -(inflow - m.inflow_low[k, c]))
                if power_rows is not None:
                    b.put(power_rows[k : k + 1], mu, a @ m.power[k, c] - m.power_low[k, c])
                for f in np.flatnonzero(m.binding[k, c]):
                    row = b.add_rows(np.zeros(1), np.full(1, np.inf))
                    b.put(row, mu, a @ m.floor[k, c][:, f] + m.floor_high[k, c, f])
                if nodes:
                    whole = b.add_columns(np.zeros(1), 0.0, 1.0)
                    b.integer.append(int(whole[0]))
                    tie = b.add_rows(np.zeros(1), np.zeros(1))
                    b.put(tie, mu, np.ones(len(mu)))
                    b.put(tie, whole, -np.ones(1))
                columns.append(mu)
                which.append(np.full(len(mu), c))
            mine.append((np.concatenate(columns) if columns else np.zeros(0, np.int64), np.concatenate(which) if which else np.zeros(0, np.int64)))
            for i, cls in enumerate(component.classes):
                counts[cls][k] = (mine[k][0], m.surface.counts[mine[k][1], i].astype(np.float64))
        pieces.append(mine)
    _limit_starts(plant, b, counts)
    return _solve(plant, models, b, nodes, of, less, more, pieces)


def _corners(m: Models, k: int, c: int, corners: Floats) -> Floats:
    """Inputs of the linear model at the corners of (zone x flow range): (corners, inputs). The flow range moves with x."""
    free = np.flatnonzero(m.surface.high[c] > m.surface.low[c])
    at = np.concatenate([np.ones((len(corners), 1)), corners], axis=1)
    found = []
    for pick in product((0, 1), repeat=len(free)):
        flow = np.zeros((len(corners), len(m.surface.component.classes)))
        for i, end in zip(free.tolist(), pick, strict=True):
            flow[:, i] = at @ (m.flow_most if end else m.flow_least)[k, c, :, i]
        found.append(np.concatenate([at, flow], axis=1))
    return np.concatenate(found)


def _limit_starts(plant: Plant, b: _Builder, counts: dict[int, list[tuple[Ints, Floats]]]) -> None:
    """Starts of each class: the rise of its count from step to step, at most the sum of its pumps' limits."""
    for c in range(len(plant.classes)):
        limit = float(plant.class_starts[c])
        if limit >= plant.n * plant.class_size[c] / 2:
            continue
        starts = b.add_columns(np.zeros(plant.n))
        total = b.add_rows(np.full(1, -np.inf), np.full(1, limit))
        b.put(total, starts, np.ones(plant.n))
        window = plant.problem.count_starts == "window"
        for k in range(plant.n):
            # starts >= count now - count before
            before = float(plant.initial_count[c]) if k == 0 and window else 0.0
            row = b.add_rows(np.full(1, -before), np.full(1, np.inf))
            b.put(row, starts[k : k + 1], np.ones(1))
            b.put(row, counts[c][k][0], -counts[c][k][1])
            if k > 0 or not window:
                b.put(row, counts[c][k - 1][0], counts[c][k - 1][1])


def _solve(
    plant: Plant, models: list[Models], b: _Builder, nodes: int, of: Floats, less: list[Ints], more: list[Ints], pieces: list[list[tuple[Ints, Ints]]]
) -> Relaxation:
    h = solver()
    if nodes:
        h.setOptionValue("mip_max_nodes", nodes)
        h.setOptionValue("mip_rel_gap", 1e-4)
    h.passModel(b.model())
    run = h.run()
    status = h.getModelStatus()
    info = h.getInfo()
    n = plant.n
    empty = Relaxation(None, status == highspy.HighsModelStatus.kInfeasible, np.zeros((n + 1, plant.tanks)), [], [])
    work = {"columns": b.columns, "rows": b.rows, "iterations": int(info.simplex_iteration_count), "nodes": max(int(info.mip_node_count), 0)}
    empty.work = work
    if run == highspy.HighsStatus.kError:
        return empty
    if nodes:
        if status in {highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kSolutionLimit} and np.isfinite(info.mip_dual_bound):
            empty.value = float(info.mip_dual_bound)
        return empty
    if status != highspy.HighsModelStatus.kOptimal:
        return empty
    solution = h.getSolution()
    value, dual, column_dual = np.array(solution.col_value), np.array(solution.row_dual), np.array(solution.col_dual)
    water = np.zeros((n + 1, plant.tanks))
    for k in range(n):
        # The worth of a unit more in the balance of step k is the worth of water at its end.
        water[k + 1] = -(dual[less[k]] + dual[more[k]]) @ of * plant.span
    water[0] = water[1]
    reduced, weight = [], []
    for m, mine in zip(models, pieces, strict=True):
        r, w = np.full((n, len(m.surface.counts)), np.inf), np.zeros((n, len(m.surface.counts)))
        for k, (columns, which) in enumerate(mine):
            np.minimum.at(r[k], which, column_dual[columns])
            np.add.at(w[k], which, value[columns])
        reduced.append(r)
        weight.append(w)
    objective = float(info.objective_function_value)
    return Relaxation(objective - 1e-6 * abs(objective), False, water, reduced, weight, work)
