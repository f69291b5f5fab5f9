"""A bound for plants of one tank, by dynamic programming over its level.

V_k(x) is meant to be below the cost of every way on from state x at instant k, so V_0 at the start is a lower bound. Backward from the end,

    g_k(x) = min over actions of (cost of the step + V_k+1(state after it)),        V_k below g_k,

where V_k is linear between the nodes of a fine grid, and lowered in each cell by what it lies above g_k at points between them. An action is how many
pumps of each class run and at which of a few speeds. What EPANET answers at a few levels is interpolated, and steps are taken through it as the simulator takes
them. Then Bellman's inequality V_k(x) <= cost + V_k+1(after) is held against true steps, at any speeds, unequal ones too; V_k is lowered by the most
that one of them falls short, times a factor.

Unlike the linear relaxation it does not mix: a pump runs or not, at a speed, at a level. It knows no limits of starts and nothing of what is billed or limited
over the horizon: leaving these out only lowers it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from levada.domain.billing import StepCosts
from levada.domain.series import Floats
from levada.schedule.plant import Ints, Plant
from levada.schedule.reach import Zone
from levada.schedule.relaxation_samples import pump_speeds
from levada.schedule.relaxation_tariff import has_terms

__all__ = ["VALUES", "value_bound"]

VALUES = "dynamic programming over the level of the one tank (value function on a fine grid, lowered until Bellman's inequality held in EPANET)"
"""How this bound is obtained, for the certificate."""

_MOST_ACTIONS = 400
_SPEEDS = (9, 33)
"""Least and most speeds tried of a class, evenly over its range: as many as the actions allow."""

_REFINED = 4
"""Of so many of the best actions the speeds between are tried."""

_LEVELS = 13
"""Levels at which EPANET is asked what each action does."""

_NODES = 120
"""Finer grids follow the jumps that V makes where speeds or counts change, and lose more to the checks than they gain."""

_BETWEEN = (0.25, 0.5, 0.75)
"""Where V is checked in a cell, and where speeds are tried between two that EPANET was asked for."""

_CHECKS, _BLOCKS = 1000, 12
"""True steps in each step of the horizon that V is held against, and into how many ranges of levels what is learnt from them is put."""

_SAFETY = 1.25
_SPREAD = 0.02
"""Checked actions are the best at their state but for so much of a step's cost, in the mean."""

_UNSOLVED = (1, 2)


@dataclass(frozen=True)
class _Values:
    """V at one instant: linear between `nodes` (N,) where `value` (N,) is finite, less `lowered` (N - 1,) in each cell. Infinite beyond the nodes, and in cells
    from which no way leads on."""

    nodes: Floats
    value: Floats
    lowered: Floats

    def at(self, x: Floats) -> Floats:
        u = (x - self.nodes[0]) / (self.nodes[-1] - self.nodes[0]) * (len(self.nodes) - 1)
        i = np.clip(u.astype(np.int64), 0, len(self.nodes) - 2)
        share = np.clip(u - i, 0.0, 1.0)
        a, b = self.value[i], self.value[i + 1]
        # At the edge of what can go on, the end that can stands for the cell.
        both = np.isfinite(a) & np.isfinite(b)
        inside = np.where(both, np.where(both, a, 0.0) * (1 - share) + np.where(both, b, 0.0) * share, np.minimum(a, b))
        outside = (u < -_AT_EDGE) | (u > len(self.nodes) - 1 + _AT_EDGE)
        return np.asarray(np.where(outside, np.inf, inside - self.lowered[i]), np.float64)


_AT_EDGE = 1e-3
"""Share of a cell by which a state may lie beyond the last node."""


@dataclass(frozen=True)
class _Actions:
    """Counts and mean speeds (A, classes) of all actions of a step, pumps' speeds (A, pumps), and the actions beside each (A, directions): the same pumps
    at the next speeds, -1 for none."""

    counts: Ints
    mean: Floats
    speed: Floats
    beside: Ints


def value_bound(plant: Plant, zones: list[Zone], rng: np.random.Generator) -> float | None:
    """The bound; None where there is more than one tank, where there are too many actions, or where the bill has terms that are not known here.
    `zones`: reachable levels at the n + 1 instants."""
    problem = plant.problem
    if plant.tanks != 1 or problem.valves or not has_terms(plant) or not all(c.is_complete for c in plant.components):
        return None
    counts = [[(1 + len(c.pumps) * (s if c.is_variable else 1)) for c in plant.classes] for s in range(_SPEEDS[1] + 1)]
    speeds = max((s for s, c in enumerate(counts) if np.prod(c, dtype=np.float64) <= _MOST_ACTIONS), default=0)
    if speeds < _SPEEDS[0]:
        return None
    costs = StepCosts(problem)
    after = _at_the_end(plant, zones[plant.n])
    for k in range(plant.n - 1, -1, -1):
        after = _Step(plant, k, _actions(plant, k, speeds), costs, after).back(_nodes(plant, zones[k], k), rng)
    value = float(after.at(plant.x0)[0])
    return value if np.isfinite(value) else None


def _nodes(plant: Plant, zone: Zone, k: int) -> Floats:
    low = max(float((-zone.d[0, 1] - plant.floor_m[0]) / plant.rise_m[0]), float(plant.x_least[k, 0]))
    high = min(float((zone.d[1, 0] - plant.floor_m[0]) / plant.rise_m[0]), float(plant.x_most[k, 0]))
    return np.linspace(low - 1e-9, max(high, low) + 1e-9, _NODES if k else 2)


def _at_the_end(plant: Plant, zone: Zone) -> _Values:
    nodes, worth = _nodes(plant, zone, plant.n), plant.problem.stored_value_per_m3
    stored = np.zeros(len(nodes)) if worth is None else -(nodes - plant.x0[0]) * plant.span[0] * worth[0]
    return _Values(nodes, stored, np.zeros(len(nodes) - 1))


def _actions(plant: Plant, k: int, speeds: int) -> _Actions:
    found: list[list[tuple[int, float]]] = []
    for i, c in enumerate(plant.classes):
        tried = np.linspace(c.bins[0][0], c.bins[-1][1], speeds).tolist() if c.is_variable else [c.bins[0][0]]
        least, most = int(plant.forced[k, i]), int(plant.available[k, i])
        found.append([(n, s) for n in range(least, most + 1) for s in (tried if n else [0.0])])
    chosen = list(product(*found))
    counts = np.array([[n for n, _ in a] for a in chosen], np.int64).reshape(len(chosen), len(found))
    mean = np.array([[s for _, s in a] for a in chosen], np.float64).reshape(len(chosen), len(found))
    sizes = np.array([len(f) for f in found])
    place = np.stack(np.unravel_index(np.arange(len(chosen)), sizes), axis=1)
    beside = []
    for move in product(*[(-1, 0, 1) if c.is_variable else (0,) for c in plant.classes]):
        there = place + np.array(move)
        inside = ((there >= 0) & (there < sizes)).all(axis=1)
        at = np.ravel_multi_index(tuple(np.clip(there, 0, sizes - 1).T), tuple(sizes.tolist()))
        beside.append(np.where(inside & (counts[at] == counts).all(axis=1) & any(move), at, -1))
    return _Actions(counts, mean, _speeds(plant, k, counts, mean), np.stack(beside, axis=1))


def _speeds(plant: Plant, k: int, counts: Ints, mean: Floats) -> Floats:
    on_at = [plant.pumps_on(k, c, s) for c, s in zip(counts, mean, strict=True)]
    return np.array([np.where(on, speed, 0.0) for on, speed in on_at]).reshape(len(counts), plant.pumps)


class _Step:
    """One step back in time: what actions do in step k, and V_k from V_k+1."""

    def __init__(self, plant: Plant, k: int, actions: _Actions, costs: StepCosts, after: _Values) -> None:
        self._plant, self._k, self._actions, self._costs, self._after = plant, k, actions, costs, after
        self._levels = np.linspace(float(min(plant.x_least[k, 0], 0.0)), float(max(plant.x_most[k, 0], 1.0)), _LEVELS)
        count = len(actions.counts)
        # The last level is EPANET's answer at a tank that is full.
        asked = np.append(self._levels, 1.0)
        asked[:-1] = np.minimum(asked[:-1], 1.0 - 1e-9) if plant.problem.may_stand_full[0] else asked[:-1]
        rows = count * len(asked)
        volume = plant.volume(np.tile(asked, count)[:, None])
        s = plant.simulator.solves_at(np.full(rows, k), volume, np.repeat(actions.speed, len(asked), axis=0), np.repeat(plant.first_choice, rows, axis=0))
        running = np.repeat(actions.speed, len(asked), axis=0) > 0
        works = (s.warning < 100) & ~np.isin(s.warning, _UNSOLVED) & (s.delivers | ~running).all(axis=1)
        works &= (s.pressure >= plant.simulator.floors - 1e-6).all(axis=1)
        shape = (count, len(asked))
        self._inflow = s.inflow[:, 0].reshape(shape)
        self._power, self._source = s.power.reshape(*shape, -1), s.source.reshape(*shape, -1)
        self._works = works.reshape(shape)

    def _rates(self, x: Floats) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
        """Inflow (A, N) m3/s, power (A, N, pumps) W, sources' flow and whether it may work, at states (A, N)."""
        levels = self._levels
        u = np.clip((x - levels[0]) / (levels[-1] - levels[0]) * (len(levels) - 1), 0.0, len(levels) - 1)
        i = np.minimum(u.astype(np.int64), len(levels) - 2)
        share = u - i
        rows = np.arange(len(x))[:, None]
        works_a, works_b = self._works[rows, i], self._works[rows, i + 1]
        # Where an action works at one end only, that end stands for what lies between.
        share = np.where(works_a & ~works_b, 0.0, np.where(works_b & ~works_a, 1.0, share))
        full = (x >= 1.0 - 1e-9) & self._plant.problem.may_stand_full[0]

        def between(table: Floats) -> Floats:
            w = share if table.ndim == 2 else share[..., None]
            found = table[rows, i] * (1 - w) + table[rows, i + 1] * w
            at_full = table[rows, np.full_like(i, len(levels))]
            return np.asarray(np.where(full if table.ndim == 2 else full[..., None], at_full, found), np.float64)

        works = np.where(full, self._works[rows, np.full_like(i, len(levels))], works_a | works_b)
        return between(self._inflow), between(self._power), between(self._source), works

    def _ahead(self, x: Floats) -> tuple[Floats, Floats]:
        """Cost of each action from states (N,) with all that follows, (A, N), infinite where it cannot be taken; and the least of them and of what lies between
        the best actions and those beside them, (N,)."""
        plant, k = self._plant, self._k
        h, duration, span = plant.problem.hydraulic_step_s, int(plant.problem.steps.durations_s[k]), float(plant.span[0])
        count = len(self._actions.counts)
        state = np.repeat(x[None], count, axis=0)
        power, source = np.zeros((count, len(x), plant.pumps)), np.zeros((count, len(x), self._source.shape[2]))
        fine = np.ones(state.shape, bool)
        for _ in range(duration // h):
            inflow, watts, drawn, works = self._rates(state)
            fine &= works
            moved = inflow * h / span
            if plant.problem.may_stand_full[0]:
                # A tank that fills up is shut for the rest of the hydraulic step.
                open_share = np.where(state + moved > 1.0, np.clip((1.0 - state) / np.maximum(moved, 1e-12), 0.0, 1.0), 1.0)
                _, shut_watts, shut_drawn, _ = self._rates(np.ones_like(state))
                w = open_share[..., None]
                watts, drawn = watts * w + shut_watts * (1 - w), drawn * w + shut_drawn * (1 - w)
                moved = moved * open_share
            state = state + moved
            power, source = power + watts * (h / duration), source + drawn * h
        steps = np.full(state.size, k)
        cost = self._costs.of(steps, power.reshape(state.size, -1), source.reshape(state.size, -1)).reshape(state.shape)
        total = np.where(fine, cost + self._after.at(state), np.inf)
        columns, least = np.arange(len(x)), total.min(axis=0)
        for best in np.argsort(total, axis=0, kind="stable")[:_REFINED]:
            for beside in self._actions.beside[best].T:
                possible = (beside >= 0) & fine[beside, columns] & fine[best, columns]
                for share in _BETWEEN if possible.any() else ():
                    paid = cost[best, columns] * (1 - share) + cost[beside, columns] * share
                    end = state[best, columns] * (1 - share) + state[beside, columns] * share
                    least = np.minimum(least, np.where(possible, paid + self._after.at(end), np.inf))
        return total, least

    def back(self, nodes: Floats, rng: np.random.Generator) -> _Values:
        """V_k over these nodes."""
        value = self._ahead(nodes)[1]
        share = np.array(_BETWEEN)
        points = nodes[:-1, None] + (nodes[1:] - nodes[:-1])[:, None] * share
        found = self._ahead(points.ravel())[1].reshape(points.shape)
        # A node that cannot go on beside points that can takes their least value.
        stranded = np.append(np.inf, found.min(axis=1)), np.append(found.min(axis=1), np.inf)
        value = np.where(np.isfinite(value), value, np.minimum(*stranded))
        rough = _Values(nodes, value, np.zeros(len(nodes) - 1))
        above = np.where(np.isfinite(found), rough.at(points) - np.where(np.isfinite(found), found, 0.0), 0.0)
        lowered = np.maximum(_SAFETY * above.max(axis=1), 0.0)
        return self._audited(_Values(nodes, value, lowered), rng)

    def _audited(self, values: _Values, rng: np.random.Generator) -> _Values:
        """V_k less what true steps fall short of it. A check that ends where V_k+1 is infinite, or begins where V_k is, makes V_k finite there."""
        plant, k, actions = self._plant, self._k, self._actions
        x = rng.uniform(values.nodes[0], values.nodes[-1], _CHECKS) if k else np.full(_CHECKS, plant.x0[0])
        ahead = self._ahead(x)[0]
        best = np.where(np.isfinite(ahead), ahead, 1e12)
        usual = float(np.ptp(best.min(axis=0)[best.min(axis=0) < 1e12])) if (best < 1e12).any() else 0.0
        pick = (best + rng.exponential(_SPREAD * max(usual, 1e-9), best.shape)).argmin(axis=0)
        counts, mean = actions.counts[pick], actions.mean[pick]
        for i, c in enumerate(plant.classes):
            if c.is_variable:
                low, high = c.bins[0][0], c.bins[-1][1]
                near = np.clip(mean[:, i] + rng.uniform(-1, 1, len(x)) * (high - low) / _SPEEDS[0], low, high)
                mean[:, i] = np.where(counts[:, i] > 0, near, 0.0)
        speed = pump_speeds(plant, rng, counts, mean, unequal=True)
        true = plant.simulator.steps(np.full(len(x), k), plant.volume(x[:, None]), speed, np.repeat(plant.first_choice, len(x), axis=0))
        end = plant.state(true.volume)
        holds = (true.severity == 0) & (end <= plant.x_most[k + 1] + 1e-9).all(axis=1) & (end >= plant.x_least[k + 1] - 1e-9).all(axis=1)
        ways = np.where(holds, true.cost + self._after.at(end[:, 0]), np.inf)
        short = np.where(np.isfinite(ways), values.at(x) - np.where(np.isfinite(ways), ways, 0.0), -np.inf)
        lost = np.isposinf(short)
        if lost.any():
            at = np.clip(np.searchsorted(values.nodes, x[lost]), 1, len(values.nodes) - 1)
            value = values.value.copy()
            for j, way in zip(at.tolist(), ways[lost].tolist(), strict=True):
                value[j - 1 : j + 1] = np.where(np.isfinite(value[j - 1 : j + 1]), value[j - 1 : j + 1], way)
            values = _Values(values.nodes, value, values.lowered)
            short = np.where(np.isfinite(ways), values.at(x) - np.where(np.isfinite(ways), ways, 0.0), -np.inf)
        # The most of each range of levels and the two beside it.
        cells = len(values.lowered)
        block = np.minimum(np.searchsorted(values.nodes, x, side="right") - 1, cells - 1).clip(0) * _BLOCKS // cells
        most = np.zeros(_BLOCKS + 2)
        np.maximum.at(most, block + 1, short)
        most = np.maximum(np.maximum(most[:-2], most[2:]), most[1:-1])
        return _Values(values.nodes, values.value, values.lowered + _SAFETY * most[np.arange(cells) * _BLOCKS // cells])
