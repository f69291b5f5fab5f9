"""Which tank states can be reached by each instant: zones of levels and level differences.

A zone bounds each tank's level and the difference of each two. Tanks that hang on one network pull each other together, so differences stay
small, and over a small zone the plant is nearly linear: this is what makes the bound tight.
A zone is propagated through the response surfaces of every configuration and by true steps, widened by a safety share, and cut at the tank limits.
Surfaces are smooth: that others rise much faster once a tank is full and shut, only the true steps know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np

from levada.domain.series import Floats
from levada.schedule.plant import Ints, Plant
from levada.schedule.relaxation_samples import draw_speeds, pump_speeds, run_steps
from levada.schedule.surface import Sampler, Surface, joined

__all__ = ["MOST_TANKS_WITH_DIFFERENCES", "Zone", "draw_each", "ranges", "reach", "reach_by_rates", "whole"]

_WIDEN = 0.1
"""Share by which a step's reach is widened on both sides: surfaces are not EPANET."""

_TRUE_STEPS = 8
"""True steps from each state, at most, at configurations in turn."""

MOST_TANKS_WITH_DIFFERENCES = 4
"""With more tanks, corners of a zone are those of the box of its levels."""

_ORDERS = 8
"""Orders in which the tanks of drawn levels are drawn."""


@dataclass(frozen=True)
class Zone:
    """Bounds y_i - y_j <= d[i, j] on levels y (m, of head), with y_0 = 0; shape (tanks + 1, tanks + 1), closed under shortest paths."""

    d: Floats

    @classmethod
    def closed(cls, d: Floats) -> Zone:
        d = d.copy()
        for k in range(len(d)):
            d = np.minimum(d, d[:, k : k + 1] + d[k : k + 1, :])
        return cls(d)

    @property
    def is_empty(self) -> bool:
        return bool((np.diag(self.d) < -1e-9).any())

    def draw(self, count: int, rng: np.random.Generator) -> Floats:
        """Random levels (count, tanks) inside, corners and edges favoured."""
        return draw_each([self], [count], rng)

    def vertices(self, tanks: tuple[int, ...]) -> Floats:
        """Corner points of the zone's shadow on some tanks, (vertices, len(tanks)). The shadow of a closed zone is its sub-matrix."""
        keep = [0, *(t + 1 for t in tanks)]
        d, m = self.d[np.ix_(keep, keep)], len(tanks)
        if m == 0:
            return np.zeros((1, 0))
        low, high = -d[0, 1:], d[1:, 0]
        if m > MOST_TANKS_WITH_DIFFERENCES:
            grid = np.array(np.meshgrid(*[[a, b] for a, b in zip(low, high, strict=True)], indexing="ij"))
            return grid.reshape(m, -1).T
        a, chosen, inverse = _bases(m)
        b = d[~np.eye(m + 1, dtype=bool)]
        points = np.einsum("nij,nj->ni", inverse, b[chosen])
        inside = (points @ a.T <= b + 1e-9).all(axis=1)
        return np.unique(np.round(points[inside], 9), axis=0)


@cache
def _bases(m: int) -> tuple[Floats, Ints, Floats]:
    """Of all bounds y_i - y_j <= d_ij of m tanks, by i and j: their left sides (bounds, m); each choice of m of them that meets in a point (choices, m),
    and the inverse of its matrix."""
    unit = np.vstack([np.zeros(m), np.eye(m)])
    a = (unit[:, None] - unit[None, :])[~np.eye(m + 1, dtype=bool)]
    chosen = np.array(list(combinations(range(len(a)), m)))
    chosen = chosen[np.abs(np.linalg.det(a[chosen])) > 0.5]  # entries are -1, 0, 1 of a difference system: determinants are -1, 0 or 1
    return a, chosen, np.linalg.inv(a[chosen])


def draw_each(zones: Sequence[Zone], counts: Sequence[int], rng: np.random.Generator) -> Floats:
    """So many random levels inside each zone, one after the other, (sum of counts, tanks); corners and edges favoured."""
    d = np.repeat(np.array([zone.d for zone in zones]), counts, axis=0)
    total, size = d.shape[:2]
    y = np.zeros((total, size))
    # Tanks are drawn one after the other, each within what those before leave: in several orders, lest the last be always the least free.
    for rows in (np.arange(first, total, _ORDERS) for first in range(min(total, _ORDERS))):
        known = [0]
        for i in rng.permutation(np.arange(1, size)).tolist():
            high = (y[rows][:, known] + d[rows, i][:, known]).min(axis=1)
            low = (y[rows][:, known] - d[rows][:, known, i]).max(axis=1)
            u = rng.random(len(rows))
            share = np.where(u < 0.25, 0.0, np.where(u > 0.75, 1.0, rng.random(len(rows))))
            y[rows, i] = low + share * np.maximum(high - low, 0.0)
            known.append(i)
    return y[:, 1:]


def ranges(plant: Plant, zone: Zone) -> tuple[Floats, Floats]:
    """Least and greatest state of each tank in a zone, (tanks,) each."""
    return (-zone.d[0, 1:] - plant.floor_m) / plant.rise_m, (zone.d[1:, 0] - plant.floor_m) / plant.rise_m


def whole(plant: Plant) -> Zone:
    """All levels within the limits, or as far out as the initial ones."""
    low = plant.floor_m + plant.rise_m * np.minimum(0.0, plant.x0)
    high = plant.floor_m + plant.rise_m * np.maximum(1.0, plant.x0)
    d = np.zeros((plant.tanks + 1, plant.tanks + 1))
    d[1:, 0], d[0, 1:] = high, -low
    d[1:, 1:] = high[:, None] - low[None, :]
    np.fill_diagonal(d, 0.0)
    return Zone.closed(d)


def _start(plant: Plant) -> Zone:
    y = np.concatenate([[0.0], plant.floor_m + plant.rise_m * plant.x0])
    return Zone(y[:, None] - y[None, :])


def reach(plant: Plant, surfaces: list[Surface], sampler: Sampler, points: int, true_points: int) -> list[Zone]:
    """Zones at the n + 1 instants: by surfaces from `points` states drawn in each, by true steps from `true_points`, 0 for none."""
    problem, limit = plant.problem, whole(plant)
    zones = [_start(plant)]
    h = problem.hydraulic_step_s
    for k in range(plant.n):
        sampler.pause()
        zone = zones[-1]
        duration = int(problem.steps.durations_s[k])
        for at_s in range(0, duration, h):
            zone = _forward(plant, surfaces, k, min(h, duration - at_s), zone, limit, sampler.rng, points)
        if true_points:
            zone = Zone.closed(np.minimum(np.maximum(zone.d, _true(plant, surfaces, k, zones[-1], sampler.rng, true_points)), limit.d))
        zones.append(zone)
    return zones


def reach_by_rates(plant: Plant, rise_m_per_h: Floats) -> list[Zone]:
    """Zones at the n + 1 instants by the most that levels, and the difference of each two, rise by in any of these (N, tanks): wider than by surfaces, for plants that have none."""
    rise = np.concatenate([np.zeros((len(rise_m_per_h), 1)), rise_m_per_h], axis=1)
    most = (1.0 + _WIDEN) * (rise[:, :, None] - rise[:, None, :]).max(axis=0, initial=0.0)
    limit, zones = whole(plant), [_start(plant)]
    for hours in plant.problem.steps.hours.tolist():
        zones.append(Zone.closed(np.minimum(zones[-1].d + most * hours, limit.d)))
    return zones


def _forward(plant: Plant, surfaces: list[Surface], k: int, h: int, zone: Zone, limit: Zone, rng: np.random.Generator, points: int) -> Zone:
    y = zone.draw(points, rng)
    x = (y - plant.floor_m) / plant.rise_m
    size = plant.tanks + 1
    up = np.zeros((points, size, size))
    for s in surfaces:
        tanks = list(s.component.tanks)
        if not tanks:
            continue
        phi = s.state_features(x[:, tanks])
        moves: list[Floats] = []
        for c in range(len(s.counts)):
            if not s.usable[s.group[k], c] or (s.counts[c] > plant.available[k, list(s.component.classes)]).any():
                continue
            speeds = [s.low[c]] if (s.low[c] == s.high[c]).all() else [s.low[c], (s.low[c] + s.high[c]) / 2, s.high[c]]
            moves.extend(phi @ s.at(k, c, v)[:, : len(tanks)] for v in speeds)
        if not moves:
            continue
        dy = np.zeros((len(moves), points, size))
        dy[:, :, [t + 1 for t in tanks]] = np.array(moves) * h / plant.span[tanks] * plant.rise_m[tanks]
        differences = dy[:, :, :, None] - dy[:, :, None, :]
        spread = differences.max(axis=0) - differences.min(axis=0)
        up += differences.max(axis=0) + _WIDEN * spread
    y0 = np.concatenate([np.zeros((points, 1)), y], axis=1)
    d = (y0[:, :, None] - y0[:, None, :] + up).max(axis=0)
    np.fill_diagonal(d, 0.0)
    # Levels rest at a limit at worst, and so does the difference to a tank that goes on moving: cut levels only after all has moved.
    closed = Zone.closed(np.minimum(d, limit.d))
    return limit if closed.is_empty else closed


def _true(plant: Plant, surfaces: list[Surface], k: int, zone: Zone, rng: np.random.Generator, points: int) -> Floats:
    """What bounds the states after true steps from some states of a zone, as `Zone.d`; -inf where no step holds all limits."""
    each = min(_TRUE_STEPS, max(len(s.counts) for s in surfaces))
    y = zone.draw(points, rng)
    rows, size = len(y) * each, plant.tanks + 1
    ready = [s.ready(plant, k) for s in surfaces]
    if not all(len(c) for c in ready):
        return np.full((size, size), -np.inf)
    joint = joined(plant, surfaces, [np.concatenate([rng.permutation(np.resize(rng.permutation(c), each)) for _ in y]) for c in ready])
    speed = pump_speeds(plant, rng, joint.counts, draw_speeds(rng, joint.counts, joint.low, joint.high), unequal=False)
    runs = run_steps(plant, np.full(rows, k), (np.repeat(y, each, axis=0) - plant.floor_m) / plant.rise_m, speed, joint.choices)
    y0 = np.concatenate([np.zeros((len(y), 1)), y], axis=1)
    d = y0[:, :, None] - y0[:, None, :]
    for m in range(len(surfaces)):
        # What components do adds up: from each point the most that each can do, whichever else the others do.
        dy = np.concatenate([np.zeros((rows, 1)), runs.inflow[:, m] / plant.span * plant.rise_m], axis=1)
        moves = (dy[:, :, None] - dy[:, None, :]).reshape(len(y), each, size, size)
        holds = runs.holds[:, m].reshape(len(y), each, 1, 1)
        top, bottom = np.where(holds, moves, -np.inf).max(axis=1), np.where(holds, moves, np.inf).min(axis=1)
        d += np.where(np.isfinite(top), top + _WIDEN * (top - bottom), -np.inf)
    return np.asarray(d.max(axis=0), np.float64)
