"""Linear models of the plant over each step, with margins measured in EPANET: what the bound stands on (bound.py has the equations).

Margins have two parts: the largest deviation of the response surfaces from the linear model over many points of the zone, and, times a safety
factor, the largest deviation of EPANET beyond that in independent samples, pooled over the steps of a configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from levada.domain.series import Floats
from levada.schedule.plant import Ints, Plant
from levada.schedule.reach import Zone
from levada.schedule.surface import Sampler, Surface

__all__ = ["Models", "balances", "by_flow", "fit_models", "inputs"]

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
    if c not in alike:
        return c
    at = np.concatenate([[1.0], x[list(s.component.tanks)] * (0.0 if m.is_flat else 1.0)])
    least, most = np.einsum("i,cij->cj", at, m.flow_least[step, alike]), np.einsum("i,cij->cj", at, m.flow_most[step, alike])
    outside = np.where(free, np.maximum(least - flow, 0) + np.maximum(flow - most, 0), 0.0).sum(axis=1)
    return c if outside[alike == c][0] == 0 else int(alike[np.argmin(outside)])
