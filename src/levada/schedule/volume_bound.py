"""The cost to go over stored volume: a bound below every way to the end, by dynamic programming from the horizon's end.

A cell is a range of the volume a stored in all tanks and a range of the coordinate b (volume_models.py). From a cell, under configuration c, the
models with their margins say which cells can be reached and what the step costs at least; the least over those cells of the cost to go there, plus
that cost, bounds the cost to go from here. No order of volumes is assumed: water may be worth less than nothing when prices are negative. Starts are
counted by class of identical pumps, a day at a time; where starts are counted periodically, the programme is run once for each last configuration.

What it leaves out, so that it stays below the truth: limits of single tanks save at the start and end, which of the identical pumps runs, least times on and
off, demand charges. It is valid up to the models' margins, which samples measured: a `sampled` bound.
"""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from levada.domain.billing import MeterTerms, metered
from levada.domain.series import Floats
from levada.hydraulics.compiled import library, pointer
from levada.hydraulics.operation import days_of
from levada.schedule.joint import JointConfigurations
from levada.schedule.plant import Ints, Plant
from levada.schedule.reach import Zone
from levada.schedule.volume_models import VolumeModels

__all__ = ["COMPILED", "CostToGo", "Starts", "Tables", "least_deviation", "tables_of"]

COMPILED = Path(__file__).with_name("cost_to_go.compiled")

_WORTH_CELLS = 20
_MOST_USED = 600
"""More combinations of starts used are not counted: classes with the loosest limits first."""


class Starts:
    """Counting starts by class: `used` numbers the combinations of starts used in the day, `next` (n, J, J, used) says what follows, -1 where
    the limit forbids it."""

    def __init__(self, plant: Plant, joint: JointConfigurations) -> None:
        problem, days = plant.problem, days_of(plant.problem)
        total = problem.max_starts_total
        limits = plant.class_starts.astype(np.int64)
        longest = int(np.bincount(days).max())
        counted = [i for i in np.argsort(limits, kind="stable").tolist() if limits[i] < (longest + 1) // 2 * plant.class_size[i]]
        while int(np.prod([limits[i] + 1 for i in counted])) > _MOST_USED:
            counted.pop()
        states = list(product(*(range(int(limits[i]) + 1) for i in counted)))
        if total is not None:
            states = [s for s in states if sum(s) <= total]
        self.used = len(states)
        place = {s: r for r, s in enumerate(states)}
        made = np.zeros(len(limits), np.int64)
        if problem.starts_made is not None:
            made = np.array([int(np.minimum(problem.starts_made, problem.max_starts)[list(c.pumps)].sum()) for c in plant.classes])
        if total is not None and made.sum() > total:
            made = np.minimum(made, total * (np.arange(len(made)) == int(made.argmax())))  # few or none are left; that is no more than a bound needs
        self.first = place[tuple(int(made[i]) for i in counted)]
        rise = np.maximum(joint.counts[None, :, :] - joint.counts[:, None, :], 0)
        allowed = np.ones((len(joint), len(joint)), bool)
        if problem.max_simultaneous_starts is not None:
            allowed = rise.sum(axis=2) <= problem.max_simultaneous_starts
        within = np.full((len(joint), len(joint), self.used), -1, np.int32)
        fresh = within.copy()
        for p, c in product(range(len(joint)), repeat=2):
            if not allowed[p, c]:
                continue
            more = [int(rise[p, c, i]) for i in counted]
            for r, s in enumerate(states):
                within[p, c, r] = place.get(tuple(x + m for x, m in zip(s, more, strict=True)), -1)
                fresh[p, c, r] = place.get(tuple(more), -1)
        turns = np.concatenate([[False], np.diff(days) > 0])
        self.next = [np.ascontiguousarray(fresh if turn else within) for turn in turns.tolist()]
        wear = problem.wear_cost_per_start
        least = np.zeros(len(limits)) if wear is None else np.array([float(wear[list(c.pumps)].min()) for c in plant.classes])
        self.wear: Floats = (rise * least).sum(axis=2)


@dataclass(frozen=True)
class Tables:
    """Of one step: cells reached and least cost, (groups, J, cells_a, cells_b)."""

    a0: Any
    a1: Any
    b0: Any
    b1: Any
    cost: Any


@dataclass(frozen=True)
class _Grid:
    """Cells: edges in a are the same at every instant; in b they span the zone of the instant and group, `b_low`, `b_step` (n + 1, groups)."""

    a_low: float
    a_step: float
    cells_a: int
    cells_b: int
    b_low: Floats
    b_step: Floats
    b_vector: Floats

    def cell(self, k: int, g: Ints, a: Floats, b: Floats) -> Ints:
        """Flat cell of states at instant k in groups g; -1 outside."""
        i = np.floor((a - self.a_low) / self.a_step + 1e-9).astype(np.int64)
        i = np.where(i == self.cells_a, self.cells_a - 1, i)
        j = np.floor((b - self.b_low[k, g]) / self.b_step[k, g] + 1e-9).astype(np.int64)
        j = np.where(j == self.cells_b, self.cells_b - 1, j)
        inside = (i >= 0) & (i < self.cells_a) & (j >= 0) & (j < self.cells_b)
        return np.where(inside, i * self.cells_b + j, -1)


def _grid(models: VolumeModels, corners: list[list[Floats]], cells_a: int, cells_b: int) -> _Grid:
    vector = models.direction - models.weight * models.direction.sum()
    low = np.array([[float((v @ vector).min()) for v in row] for row in corners])
    high = np.array([[float((v @ vector).max()) for v in row] for row in corners])
    room = 1e-6 + 1e-3 * (high - low)
    step = np.maximum(high - low + 2 * room, 1e-6) / cells_b
    span = models.a_high - models.a_low
    return _Grid(models.a_low, span * (1 + 1e-9) / cells_a, cells_a, cells_b, low - room, step, vector)


def tables_of(plant: Plant, joint: JointConfigurations, models: VolumeModels, cells_a: int, cells_b: int) -> tuple[_Grid, list[Tables], list[Any]]:
    """The grid, the tables of every step, and which cells are possible at every instant, (groups, cells)."""
    everything = tuple(range(plant.tanks))
    seen: dict[int, Floats] = {}

    def corner(zone: Zone | None) -> Floats:
        if zone is None:
            return np.zeros((1, plant.tanks))  # no state is there: any grid will do
        if id(zone) not in seen:
            seen[id(zone)] = zone.vertices(everything)
        return seen[id(zone)]

    corners = [[corner(z) for z in row] for row in models.zones]
    grid = _grid(models, corners, cells_a, cells_b if plant.tanks > 1 else 1)
    possible = [np.array([_possible_cells(plant, models, grid, k, g, v) for g, v in enumerate(row)]) for k, row in enumerate(corners)]
    return grid, [_table(plant, joint, models, grid, k, corners[k]) for k in range(plant.n)], possible


def _table(plant: Plant, joint: JointConfigurations, models: VolumeModels, grid: _Grid, k: int, corners: list[Floats]) -> Tables:
    groups, kinds = models.possible.shape[1:]
    na, nb = grid.cells_a, grid.cells_b
    edges: Floats = np.asarray(grid.a_low + grid.a_step * np.arange(na + 1), np.float64)
    s = models.scaled(edges)
    powers = np.stack([np.ones_like(s), s, s * s, s * s * s], axis=1)
    a0, a1 = np.zeros((groups, kinds, na, nb), np.int16), np.full((groups, kinds, na, nb), -1, np.int16)
    b0, b1 = np.zeros((groups, kinds, na, nb), np.int8), np.full((groups, kinds, na, nb), -1, np.int8)
    cost = np.full((groups, kinds, na, nb), np.inf, np.float32)
    norm = float(grid.b_vector @ grid.b_vector) or 1.0
    meters = metered(plant.problem)
    w = models.weight
    for g in range(groups):
        b_edges = grid.b_low[k, g] + grid.b_step[k, g] * np.arange(nb + 1)
        b_points = grid.b_low[k, g] + grid.b_step[k, g] / 2 * np.arange(2 * nb + 1)
        v = corners[g]
        for c in np.flatnonzero(models.possible[k, g] & joint.ready[k]).tolist():
            low, high = [], []
            for o in range(models.poly.shape[3]):
                # Linear in heads: what d contributes, split into b's part and the rest, whose range over the zone is added.
                parts = [m[k, g, c, o] - w * m[k, g, c, o].sum() for m in (models.slope, models.tilt)]
                along = [float(p @ grid.b_vector) / norm for p in parts]
                rest = [v @ (p - x * grid.b_vector) for p, x in zip(parts, along, strict=True)]
                spread = rest[0][None, :] + s[:, None] * rest[1][None, :]
                base = powers @ models.poly[k, g, c, o] + (edges if o == 0 else 0.0)
                slope = along[0] + s * along[1]
                bend = models.bend[k, g, c, o]
                points = slope[:, None] * b_points[None, :] + (bend[0] * b_points**2 + bend[1] * b_points**3)[None, :]
                first, middle, second = points[:, :-2:2], points[:, 1:-1:2], points[:, 2::2]
                # Between three points a curve can leave their range by so much at most.
                beyond = (np.abs(bend[0]) + 3 * np.abs(bend[1]) * np.abs(b_edges).max()) * (grid.b_step[k, g] / 2) ** 2 / 4
                bottom = base[:, None] + spread.min(axis=1)[:, None] + np.minimum(np.minimum(first, second), middle) - beyond
                top = base[:, None] + spread.max(axis=1)[:, None] + np.maximum(np.maximum(first, second), middle) + beyond
                low.append(np.minimum(bottom[:-1], bottom[1:]) - models.low[k, g, c, o])
                high.append(np.maximum(top[:-1], top[1:]) + models.high[k, g, c, o])
            from_a, to_a = (low[0] - grid.a_low) / grid.a_step, (high[0] - grid.a_low) / grid.a_step
            outside = (to_a < 0) | (from_a > na)
            a0[g, c] = np.where(outside, 0, np.clip(np.floor(from_a - 1e-9), 0, na - 1)).astype(np.int16)
            a1[g, c] = np.where(outside, -1, np.clip(np.floor(to_a + 1e-9), 0, na - 1)).astype(np.int16)
            after = int(models.histories.group_after[g, c])
            from_b = (low[1] - grid.b_low[k + 1, after]) / grid.b_step[k + 1, after]
            to_b = (high[1] - grid.b_low[k + 1, after]) / grid.b_step[k + 1, after]
            b0[g, c] = np.clip(np.floor(from_b - 1e-9), 0, nb - 1).astype(np.int8)
            b1[g, c] = np.clip(np.floor(to_b + 1e-9), 0, nb - 1).astype(np.int8)
            total = np.zeros((na, nb))
            for i, m in enumerate(meters):
                total += _least_cost(plant, m, k, low[2 + i], high[2 + i])
            for i, source in enumerate(plant.problem.sources):
                if source.cost_per_m3 is not None:
                    drawn = low if source.cost_per_m3[k] >= 0 else high
                    total += source.cost_per_m3[k] * np.maximum(drawn[2 + len(meters) + i], 0.0)
            total += least_deviation(plant, joint, k, c)
            cost[g, c] = np.nextafter(total.astype(np.float32), np.float32(-np.inf))
    return Tables(a0, a1, b0, b1, cost)


def _least_cost(plant: Plant, m: MeterTerms, k: int, low_kwh: Floats, high_kwh: Floats) -> Floats:
    """Least cost of energy anywhere between: at an end, or where own power just suffices."""
    extra = 0.0 if plant.problem.co2_kg_per_kwh is None else float(plant.problem.co2_kg_per_kwh[k]) * plant.problem.co2_price_per_kg
    price, export, own = m.price_per_kwh[k] + extra, m.export_price_per_kwh[k], m.own_power_kw[k] * plant.problem.steps.hours[k]

    def cost(kwh: Floats) -> Floats:
        return np.asarray(np.maximum(kwh - own, 0.0) * price - np.maximum(own - kwh, 0.0) * export, np.float64)

    low_kwh = np.maximum(low_kwh, 0.0)
    high_kwh = np.maximum(high_kwh, low_kwh)
    return np.minimum(np.minimum(cost(low_kwh), cost(high_kwh)), cost(np.clip(own, low_kwh, high_kwh)))


def least_deviation(plant: Plant, joint: JointConfigurations, k: int, c: int) -> float:
    """Least cost of running other pumps than the previous plan: each class differs at least by its change of count."""
    previous, price = plant.problem.previous_on, plant.problem.deviation_cost_per_h
    if previous is None or price is None:
        return 0.0
    total = 0.0
    for i, cls in enumerate(plant.classes):
        own = list(cls.pumps)
        total += abs(int(joint.counts[c, i]) - int(previous[k, own].sum())) * float(price[k, own].min())
    return total * float(plant.problem.steps.hours[k])


class _Step(ctypes.Structure):
    """Step of cost_to_go.c."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("configurations", "cells_a", "cells_b", "used")),
        *((name, ctypes.c_void_p) for name in ("last", "group", "target", "a0", "a1", "b0", "b1", "cost", "next_used", "extra", "after")),
    )


def _possible_cells(plant: Plant, models: VolumeModels, grid: _Grid, k: int, g: int, v: Floats) -> Any:
    """Cells (cells_a * cells_b) that hold a state at instant k after group g in which every tank keeps its limits; at the end, its end level.

    A tank's head is the mean plus its deviation, which is linear in b up to what the zone (corners `v`) leaves.
    """
    least, most = np.maximum(plant.x_least[k], 0.0), np.minimum(plant.x_most[k], 1.0)
    na, nb = grid.cells_a, grid.cells_b
    area = plant.span / plant.rise_m
    edges = grid.a_low + grid.a_step * np.arange(na + 1)
    # The mean head is linear in the volume of all tanks.
    mean = float(models.weight @ plant.floor_m) + (edges - plant.simulator.min_volume.sum()) / area.sum()
    b_edges = grid.b_low[k, g] + grid.b_step[k, g] * np.arange(nb + 1)
    norm = float(grid.b_vector @ grid.b_vector) or 1.0
    possible = np.ones((na, nb), bool)
    for i in range(plant.tanks):
        functional = np.eye(plant.tanks)[i] - models.weight
        along = float(functional @ grid.b_vector) / norm
        rest = v @ (functional - along * grid.b_vector)
        ends = along * b_edges
        low = mean[:-1, None] + (np.minimum(ends[:-1], ends[1:]) + rest.min())[None, :]
        high = mean[1:, None] + (np.maximum(ends[:-1], ends[1:]) + rest.max())[None, :]
        room = 1e-6 * plant.rise_m[i]
        possible &= (high >= plant.floor_m[i] + plant.rise_m[i] * least[i] - room) & (low <= plant.floor_m[i] + plant.rise_m[i] * most[i] + room)
    return possible.reshape(-1)


class CostToGo:
    """W at every instant, (n + 1)(histories, cells, used), for one last configuration (`ends_with`) or any (None)."""

    def __init__(
        self, plant: Plant, joint: JointConfigurations, models: VolumeModels, starts: Starts, grid: _Grid, tables: list[Tables], possible: list[Any], ends_with: int | None
    ) -> None:
        self.grid, self.models, self.starts, self.tables = grid, models, starts, tables
        h = models.histories
        self._kinds = len(joint)
        self._last, self._group, self._target = (np.ascontiguousarray(x, np.int32) for x in (h.last, h.group, h.after))
        self._wear = np.ascontiguousarray(starts.wear, np.float32)
        self.value: list[Any] = [None] * (plant.n + 1)
        histories = len(h.last)
        shape = (histories, grid.cells_a * grid.cells_b, starts.used)
        last = np.full(shape, np.inf, np.float32)
        last[slice(None) if ends_with is None else h.last == ends_with] = self._at_end(plant)[:, None]
        last[~possible[plant.n][h.group]] = np.inf
        self.value[plant.n] = last
        for k in range(plant.n - 1, -1, -1):
            before = np.empty(shape, np.float32)
            step = self._step(k)
            half = histories // 2
            backwards = library(COMPILED).levada_cost_to_go
            with ThreadPoolExecutor(2) as threads:
                done = list(threads.map(lambda part: backwards(ctypes.byref(step), *part, pointer(before)), ((0, half), (half, histories))))  # noqa: B023  awaited within the turn
            if any(done):
                raise AssertionError("too many combinations of starts")
            before[~possible[k][h.group]] = np.inf
            self.value[k] = before

    def _step(self, k: int) -> _Step:
        t = self.tables[k]
        arrays = (self._last, self._group, self._target, t.a0, t.a1, t.b0, t.b1, t.cost, self.starts.next[k], self._wear, self.value[k + 1])
        return _Step(self._kinds, self.grid.cells_a, self.grid.cells_b, self.starts.used, *(pointer(x) for x in arrays))

    def _at_end(self, plant: Plant) -> Any:
        """Cost to go at the end, by cell: none where the end's volume can be met, less what the stored water is worth at most."""
        grid, problem = self.grid, plant.problem
        bottom = np.repeat(grid.a_low + grid.a_step * np.arange(grid.cells_a), grid.cells_b)
        top = bottom + grid.a_step
        value = np.where(top >= float(plant.simulator.end_volume.sum()) - 1e-6, 0.0, np.inf)
        if problem.end_level_max_m is not None:
            value = np.where(bottom <= float(plant.simulator.volumes(problem.end_level_max_m).sum()) + 1e-6, value, np.inf)
        if problem.stored_value_per_m3 is not None:
            worth, start = problem.stored_value_per_m3, plant.simulator.volumes(problem.initial_level_m)
            value = value + float(worth @ start) - _most_worth(worth, plant.simulator.min_volume, plant.simulator.max_volume, bottom, top)
        return np.nextafter(value.astype(np.float32), np.float32(-np.inf))

    def at(self, k: int, history: Ints, a: Floats, b: Floats, used: Ints) -> Floats:
        """Least cost to go of states at instant k; infinite where there is no way, NaN outside the zone."""
        cell = self.grid.cell(k, self.models.histories.group[history], a, b)
        return np.where(cell >= 0, self.value[k][history, np.maximum(cell, 0), used], np.nan)

    def worth(self, k: int, history: int, a: float, b: float, used: int) -> float:
        """What a cubic metre more is worth at a state: the fall of the cost to go over a few cells around it."""
        around = a + _WORTH_CELLS * self.grid.a_step * np.array([-1.0, 1.0])
        low, high = self.at(k, np.full(2, history), around, np.full(2, b), np.full(2, used))
        return float((low - high) / (around[1] - around[0])) if np.isfinite(low) and np.isfinite(high) else 0.0

    def going_to(self, k: int, history: Ints, kind: Ints, cell: Ints, used: Ints) -> Floats:
        """Least cost to the end from states (rows) at instant k that go on with configuration `kind`."""
        arrays = [np.ascontiguousarray(x, np.int32) for x in (history, kind, cell, used)]
        found = np.empty(len(history), np.float32)
        library(COMPILED).levada_going_to(ctypes.byref(self._step(k)), len(history), *(pointer(x) for x in arrays), pointer(found))
        return found.astype(np.float64)


def _most_worth(worth: Floats, least: Floats, most: Floats, bottom: Floats, top: Floats) -> Floats:
    """The most that volumes between `bottom` and `top` in all tanks together can be worth: the dearest tanks filled first."""
    found = np.full(len(bottom), -np.inf)
    for total in (bottom, top):
        left = total - least.sum()
        value = np.full(len(total), float(worth @ least))
        for i in np.argsort(-worth, kind="stable").tolist():
            take = np.clip(left, 0.0, most[i] - least[i])
            value += worth[i] * take
            left = left - take
        found = np.maximum(found, value)
    return found
