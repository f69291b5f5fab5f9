"""Finding a good schedule: a beam over states that EPANET itself has computed, steered by surfaces and the value of water.

In each step every kept state is continued by every sensible action on the response surfaces at once; the most promising continuations,
spread over starts used and volumes stored, are then simulated in EPANET and become the states of the next step. Costs, levels and
violations of what is kept are therefore EPANET's own. What is promising: cost so far, plus a heavy price on violations, minus the value
of the water stored, from the duals of the bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from levada.domain.series import Floats
from levada.schedule.bound import Relaxation
from levada.schedule.models import Models
from levada.schedule.plant import Ints, Plant
from levada.schedule.surface import Surface

__all__ = ["Actions", "Candidate", "Forecast", "beam", "simulate"]

_MOST_ACTIONS = 48
_FREE_SHARE = 0.01
"""Surfaces may be wrong by this share of a tank before a predicted overflow counts."""

_FREE_METRES = 0.2
_MOST_PARTS = 2
"""A forecast cuts a step into at most so many parts of constant flow: it only has to rank."""

_BINS = (1000, 100, 30, 12, 6)
"""Cells a tank's range may be cut into, to keep only the best of like states."""

_CROWD = 1
"""Cells are made coarser until so many times the width are left."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A schedule by classes: counts, speeds (n, classes); EPANET's cost and severity (end levels included), states (n + 1, tanks)."""

    counts: Ints
    speeds: Floats
    cost: float
    severity: float
    volume: Floats

    def objective(self, price: float) -> float:
        """Cost with violations priced: each unit of severity, and a twentieth of a unit for there being any at all."""
        return self.cost + price * (self.severity + (0.05 if self.severity > 0 else 0.0))


@dataclass(frozen=True)
class Actions:
    """What may be done in one step: counts, speeds (actions, classes), and the configuration of each component (actions, components)."""

    counts: Ints
    speeds: Floats
    configuration: Ints


def simulate(plant: Plant, counts: Ints, speeds: Floats, *, worse_than: float = np.inf, price: float = 0.0) -> Candidate | None:
    """Simulate a schedule of classes in EPANET. Gives up (None) once violations alone cost more than `worse_than` at `price`."""
    v = plant.simulator.volumes(plant.problem.initial_level_m)
    volume = np.empty((plant.n + 1, plant.tanks))
    volume[0] = v
    cost = severity = 0.0
    for k in range(plant.n):
        r = plant.step(k, v, counts[k], speeds[k])
        cost, severity, v = cost + r.cost, severity + r.severity, r.volume
        volume[k + 1] = v
        if price * severity > worse_than:
            return None
    severity += shortage(plant, v)
    return Candidate(counts, speeds, cost, severity, volume)


def shortage(plant: Plant, volume: Floats) -> float:
    """Severity of ending below the levels asked for: the sum of missing shares of tanks."""
    return float(np.maximum(plant.x_end - plant.state(volume) - 1e-9, 0.0).sum())


def actions_of(plant: Plant, models: list[Models], relaxation: Relaxation) -> list[Actions]:
    """For each step the sensible actions: products over components of configurations and speeds, those of least reduced cost."""
    found = []
    for k in range(plant.n):
        parts: list[list[tuple[float, int, tuple[float, ...]]]] = []
        for m, model in enumerate(models):
            s = model.surface
            mine: list[tuple[float, int, tuple[float, ...]]] = []
            for c in range(len(s.counts)):
                if not model.possible[k, c]:
                    continue
                reduced = float(relaxation.reduced[m][k, c]) if relaxation.reduced else 0.0
                if relaxation.weight and relaxation.weight[m][k, c] > 1e-9:
                    reduced = 0.0
                choices = [
                    [low] if low == high else [low, high] if low == plant.classes[cls].bins[0][0] else [high]
                    for low, high, cls in zip(s.low[c].tolist(), s.high[c].tolist(), s.component.classes, strict=True)
                ]
                mine.extend((reduced, c, speed) for speed in product(*choices))
            if not mine:
                # Nothing possible by the models (say, a floor that no configuration holds): let the pumps that may run all be tried.
                ready = plant.available[k, list(s.component.classes)]
                mine = [(0.0, c, tuple(s.high[c].tolist())) for c in range(len(s.counts)) if (s.counts[c] <= ready).all()]
            mine.sort(key=lambda item: item[0])
            parts.append(mine[:_MOST_ACTIONS])
        joint = sorted(product(*parts), key=lambda items: sum(i[0] for i in items))[:_MOST_ACTIONS] if len(parts) <= 3 else _join(parts)
        counts = np.zeros((len(joint), len(plant.classes)), np.int64)
        speeds = np.zeros((len(joint), len(plant.classes)))
        configuration = np.zeros((len(joint), len(models)), np.int64)
        for a, items in enumerate(joint):
            for m, (_, c, speed) in enumerate(items):
                own = list(models[m].surface.component.classes)
                counts[a, own] = models[m].surface.counts[c]
                speeds[a, own] = np.where(models[m].surface.counts[c] > 0, speed, 0.0)
                configuration[a, m] = c
        found.append(Actions(counts, speeds, configuration))
    return found


def _join(parts: list[list[tuple[float, int, tuple[float, ...]]]]) -> list[tuple[tuple[float, int, tuple[float, ...]], ...]]:
    """The joint actions of least reduced cost without forming the whole product: component by component, the best so far kept."""
    joint: list[tuple[tuple[float, int, tuple[float, ...]], ...]] = [()]
    for part in parts:
        joint = sorted(((*j, p) for j in joint for p in part), key=lambda items: sum(i[0] for i in items))[:_MOST_ACTIONS]
    return joint


class Forecast:
    """One step of the plant on surfaces, for many states and actions at once."""

    def __init__(self, plant: Plant, surfaces: list[Surface]) -> None:
        self.plant, self.surfaces = plant, surfaces

    def step(self, k: int, x: Floats, configuration: Ints, speeds: Floats) -> tuple[Floats, Floats, Floats]:
        """States after step k, cost, and severity of all but levels, from states x (N, tanks), configuration (N, components), speeds (N, classes)."""
        plant, problem = self.plant, self.plant.problem
        duration = int(problem.steps.durations_s[k])
        parts = min(duration // problem.hydraulic_step_s, _MOST_PARTS)
        h = duration / parts
        steps = np.full(len(x), k)
        cost, severity = np.zeros(len(x)), np.zeros(len(x))
        for _ in range(parts):
            dx, power = np.zeros_like(x), np.zeros(len(x))
            for m, s in enumerate(self.surfaces):
                tanks, own = list(s.component.tanks), list(s.component.classes)
                t, q = len(tanks), len(own)
                out = s.evaluate(steps, configuration[:, m], x[:, tanks], speeds[:, own])
                dx[:, tanks] += out[:, :t] * h / plant.span[tanks]
                watts = out[:, t : t + q]
                power += watts.sum(axis=1)
                cost += watts @ plant.class_price[k, own] * h / 3.6e6
                severity += 0.05 * (out[:, t + q : t + 2 * q] <= 0).sum(axis=1)
                severity += np.maximum(-_FREE_METRES - out[:, t + 3 * q :], 0.0).sum(axis=1) / 10.0
            x = x + dx
            x = np.where(problem.may_stand_full, np.minimum(x, 1.0), x)
            if problem.max_power_kw is not None:
                severity += np.maximum(power / 1000.0 / problem.max_power_kw - 1.005, 0.0)
        return x, cost, severity

    def beyond(self, x: Floats, free: float = _FREE_SHARE) -> Floats:
        """Severity of levels beyond their limits by more than a share `free`, at states (..., tanks)."""
        low = np.minimum(0.0, self.plant.x0) - free
        return np.asarray((np.maximum(x - 1.0 - free, 0.0) + np.maximum(low - x, 0.0)).sum(axis=-1), np.float64)

    def configuration(self, counts: Ints, speeds: Floats) -> Ints:
        """Configuration of each component (N, components) that counts, speeds (N, classes) fall into."""
        found = np.zeros((len(counts), len(self.surfaces)), np.int64)
        for m, s in enumerate(self.surfaces):
            code = np.zeros(len(counts), np.int64)
            for cls in s.component.classes:
                bins = self.plant.classes[cls].bins
                edges = np.array([b[1] for b in bins[:-1]])
                b = np.searchsorted(edges, speeds[:, cls])
                # The states of a class are off, then counts in order, each with its bins; components list their product in order.
                code = code * (1 + self.plant.class_size[cls] * len(bins)) + np.where(counts[:, cls] > 0, 1 + (counts[:, cls] - 1) * len(bins) + b, 0)
            found[:, m] = s.component.place[code]
        return found


def beam(
    plant: Plant, forecast: Forecast, actions: list[Actions], water: Floats, price: float, width: int
) -> list[Candidate]:
    """The schedules of the states left at the end, best first. `price` is what a unit of severity costs; `width` states are kept."""
    problem, classes = plant.problem, len(plant.classes)
    periodic = problem.count_starts == "periodic"
    limited = plant.class_starts < plant.n * plant.class_size / 2
    volume = plant.simulator.volumes(problem.initial_level_m)[None]
    cost, severity = np.zeros(1), np.zeros(1)
    counts = plant.initial_count[None].copy()
    starts, first = np.zeros((1, classes), np.int64), np.zeros((1, classes), np.int64)
    trail: list[tuple[Ints, Ints]] = []
    for k in range(plant.n):
        a, x = actions[k], plant.state(volume)
        m = len(a.counts)
        begun = np.maximum(a.counts[None] - counts[:, None], 0)
        if k == 0 and periodic:
            begun[:] = 0
        used = starts[:, None] + begun
        allowed = (used <= plant.class_starts).all(axis=2).ravel()
        if not allowed.any():
            allowed[:] = True
        rows = np.flatnonzero(allowed)
        i, j = rows // m, rows % m
        x2, c2, s2 = forecast.step(k, x[i], a.configuration[j], a.speeds[j])
        total = cost[i] + c2 + price * (severity[i] + s2 + forecast.beyond(x2))
        over = np.maximum(used[i, j] - plant.class_starts, 0).sum(axis=1)
        score = total + price * 0.1 * over - x2 @ water[k + 1]
        if k == plant.n - 1:
            score = total + price * np.maximum(plant.x_end - x2 - _FREE_SHARE, 0.0).sum(axis=1)
        origin = first[i] if k else a.counts[j]
        kept = _keep(score, x2, a.counts[j], used[i, j], origin if periodic else np.zeros_like(origin), limited, width)
        i, j = i[kept], j[kept]
        starts, first, counts = used[i, j], origin[kept], a.counts[j]
        new_volume, new_cost, new_severity = np.empty((len(i), plant.tanks)), np.empty(len(i)), np.empty(len(i))
        for r, (state, action) in enumerate(zip(i.tolist(), j.tolist(), strict=True)):
            result = plant.step(k, volume[state], a.counts[action], a.speeds[action])
            new_volume[r], new_cost[r], new_severity[r] = result.volume, cost[state] + result.cost, severity[state] + result.severity
        volume, cost, severity = new_volume, new_cost, new_severity
        trail.append((i, j))
    ends = np.array([shortage(plant, v) for v in volume])
    objective = cost + price * (severity + ends)
    found = []
    for r in np.lexsort((np.arange(len(cost)), objective)).tolist():
        taken, state = [], r
        for i, j in reversed(trail):
            taken.append(int(j[state]))
            state = int(i[state])
        taken.reverse()
        chosen = np.array([actions[k].counts[action] for k, action in enumerate(taken)])
        speeds = np.array([actions[k].speeds[action] for k, action in enumerate(taken)])
        found.append(Candidate(chosen, speeds, float(cost[r]), float(severity[r] + ends[r]), np.zeros((0, plant.tanks))))
    return found


def _keep(score: Floats, x: Floats, counts: Ints, starts: Ints, first: Ints, limited: NDArray[np.bool_], width: int) -> Ints:
    """Rows to keep: of states alike (counts, starts, first counts, cell of volumes) the best, and of those `width`, spread over starts
    used and volume stored."""
    best_first = np.lexsort((np.arange(len(score)), score))
    labels = np.concatenate([np.zeros((len(score), 0), np.int64)] + [v[:, limited] for v in (counts, starts, first)], axis=1)
    for bins in _BINS:
        # Cells as fine as the width can hold: few states need no cells at all.
        cell = np.clip((x * bins).astype(np.int64), -bins, 2 * bins)
        _, where = np.unique(np.concatenate([cell, labels], axis=1)[best_first], axis=0, return_index=True)
        if len(where) <= _CROWD * width:
            break
    order = best_first[np.sort(where)]
    spent = starts[:, limited].sum(axis=1)[order] if limited.any() else np.zeros(len(order), np.int64)
    stratum = spent * 16 + np.clip(x[order].mean(axis=1) * 8, 0, 15).astype(np.int64)
    by_stratum = np.argsort(stratum, kind="stable")
    edges = np.flatnonzero(np.diff(stratum[by_stratum], prepend=-1))
    rank = np.empty(len(order), np.int64)
    rank[by_stratum] = np.arange(len(order)) - np.repeat(edges, np.diff(np.append(edges, len(order))))
    return np.asarray(order[np.lexsort((np.arange(len(order)), rank))[:width]], np.int64)
