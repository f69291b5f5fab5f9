"""Starts in the relaxation: the mixture is told apart by how many pumps of a class run, and each part moves from step to step with its own states.

Were only the mean count limited, half of the mixture could run all day and half never, which no tank would stand. So for each class whose starts are limited or
priced, and of step k and count c, let M_c be the mass and X_c the share of the states, E_c what it has become at the end: its own component is known by its
columns, others within the range of what they can give. Flows T_cc' of mass and Y_cc' of states lead to the counts of step k + 1:

    sum over c' of T = M_c,   sum over c of T = M'_c',   sum over c' of Y = E_c,   sum over c of Y = X'_c',   T x_least <= Y <= T x_most,

and starts are the sum of T (c' - c) where c' > c. A true schedule has one count at a time, so it is a point of this.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levada.domain.series import Floats
from levada.hydraulics.operation import days_of
from levada.schedule.linear import Builder
from levada.schedule.models import Models
from levada.schedule.plant import Ints, Plant
from levada.schedule.relaxation_patches import Patch

__all__ = ["Columns", "Limited", "add_starts", "limit_starts", "limited_classes"]

_TIGHT = 8
"""Counts are told apart where a pump may start no more than once in so many steps of a day: elsewhere the mean count says as much."""

_MOST_CLASSES = 8
"""With more such classes, only their mean counts are limited."""

_ROUNDING = 1e-8


@dataclass(frozen=True)
class Columns:
    """Columns `mu` of a patch, and the least and most of its outputs at its corners, (corners, outputs)."""

    mu: Ints
    patch: Patch
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Limited:
    """A class whose starts are limited or priced, by `wear`: class `of_class`, at `place` among those of component `component`; so many starts a day at most; whether that is tight, so that counts are told apart."""

    component: int
    place: int
    of_class: int
    wear: float
    limit: float
    is_tight: bool


def limited_classes(plant: Plant) -> list[Limited]:
    """The classes whose starts are limited or priced."""
    problem, longest = plant.problem, int(np.bincount(days_of(plant.problem)).max())
    found = []
    for i, component in enumerate(plant.components):
        for place, c in enumerate(component.classes):
            pumps = list(plant.classes[c].pumps)
            wear = 0.0 if problem.wear_cost_per_start is None else float(problem.wear_cost_per_start[pumps].min())
            limit = float(plant.class_starts[c])
            if limit < (longest + 1) // 2 * len(pumps) or wear > 0:
                found.append(Limited(i, place, c, wear, limit, limit * _TIGHT <= longest * len(pumps)))
    return found


def add_starts(plant: Plant, b: Builder, limited: Limited) -> Ints:
    """Columns (n,) of the starts of a class: at most the sum of its pumps' limits in a day, each with its wear."""
    problem, days = plant.problem, days_of(plant.problem)
    starts = b.add_columns(np.full(plant.n, limited.wear))
    pumps = list(plant.classes[limited.of_class].pumps)
    made = 0 if problem.starts_made is None else int(np.minimum(problem.starts_made, problem.max_starts)[pumps].sum())
    for day in np.unique(days).tolist():
        total = b.add_rows(np.full(1, -np.inf), np.full(1, limited.limit - (made if day == 0 else 0)))
        b.put(total, starts[days == day], np.ones(1))
    return starts


def limit_starts(plant: Plant, models: list[Models], b: Builder, columns: list[list[list[Columns]]]) -> None:
    """Starts of each class, at most as many as there may be. `columns` by component and step."""
    limited = limited_classes(plant)
    few = sum(c.is_tight for c in limited) <= _MOST_CLASSES
    for c in limited:
        _count(plant, models, b, columns, c.component, c.place, add_starts(plant, b, c), float(plant.initial_count[c.of_class]), c.is_tight and few)


def _count(
    plant: Plant, models: list[Models], b: Builder, columns: list[list[list[Columns]]], i: int, place: int, starts: Ints, initial: float, apart: bool
) -> None:
    """Rows by which `starts` (n,) are no fewer than the mixture makes."""
    counts = models[i].surface.counts[:, place]
    groups = [_by_count(columns[i][k], counts) for k in range(plant.n)]
    for k in range(plant.n):
        first = k == 0 and plant.problem.count_starts == "window"
        row = b.add_rows(np.full(1, -initial if first else 0.0), np.full(1, np.inf))
        b.put(row, starts[k : k + 1], np.ones(1))
        for at, sign in ((k, -1.0), (k - 1, 1.0)) if not first else ((k, -1.0),):
            for count, mine in groups[at].items():
                for c in mine:
                    b.put(row, c.mu, np.full(len(c.mu), sign * count))
        if apart and not first and plant.n > 1:
            _lead(plant, models, b, columns, i, (k - 1) % plant.n, groups[k - 1], groups[k], starts[k : k + 1])


def _by_count(columns: list[Columns], counts: Ints) -> dict[int, list[Columns]]:
    found: dict[int, list[Columns]] = {}
    for c in columns:
        found.setdefault(int(counts[c.patch.configuration]), []).append(c)
    return found


def _lead(
    plant: Plant, models: list[Models], b: Builder, columns: list[list[list[Columns]]], i: int, k: int, before: dict[int, list[Columns]],
    after: dict[int, list[Columns]], start: Ints,
) -> None:  # fmt: skip
    """Flows of mass and states from the counts of step k to those of the next; from the last step to the first of mass alone."""
    tanks = models[i].tanks if k < plant.n - 1 and not models[i].of_solves else []
    low, high = _others(plant, columns, i, k, tanks)
    span = plant.span[tanks]
    leaving = {c: b.add_rows(np.zeros(1), np.zeros(1)) for c in before}
    coming = {c: b.add_rows(np.zeros(1), np.zeros(1)) for c in after}
    end_low = {c: b.add_rows(np.zeros(len(tanks)), np.full(len(tanks), np.inf)) for c in before}
    end_high = {c: b.add_rows(np.full(len(tanks), -np.inf), np.zeros(len(tanks))) for c in before}
    begin = {c: b.add_rows(np.zeros(len(tanks)), np.zeros(len(tanks))) for c in after}
    for c, mine in before.items():
        for m in mine:
            x = m.patch.corners[:, 1 : 1 + len(tanks)]
            b.put(leaving[c], m.mu, -np.ones(len(m.mu)))
            b.put(end_low[c][None, :], m.mu[:, None], -(x + m.low[:, tanks] / span + low))
            b.put(end_high[c][None, :], m.mu[:, None], -(x + m.high[:, tanks] / span + high))
    for c, mine in after.items():
        for m in mine:
            b.put(coming[c], m.mu, -np.ones(len(m.mu)))
            b.put(begin[c][None, :], m.mu[:, None], -m.patch.corners[:, 1 : 1 + len(tanks)])
    made = b.add_rows(np.zeros(1), np.full(1, np.inf))
    b.put(made, start, np.ones(1))
    for c in before:
        for to in after:
            mass = b.add_columns(np.zeros(1))
            b.put(leaving[c], mass, np.ones(1))
            b.put(coming[to], mass, np.ones(1))
            if to > c:
                b.put(made, mass, np.full(1, -float(to - c)))
            if not tanks:
                continue
            state = b.add_columns(np.zeros(len(tanks)), -np.inf)
            one = np.ones(len(tanks))
            for rows in (end_low[c], end_high[c], begin[to]):
                b.put(rows, state, one)
            under, over = b.add_rows(0 * one, np.inf * one), b.add_rows(-np.inf * one, 0 * one)
            for rows, limit in ((under, plant.x_least[k + 1, tanks] - _ROUNDING), (over, plant.x_most[k + 1, tanks] + _ROUNDING)):
                b.put(rows, state, one)
                b.put(rows, np.repeat(mass, len(tanks)), -limit)


def _others(plant: Plant, columns: list[list[list[Columns]]], i: int, k: int, tanks: list[int]) -> tuple[Floats, Floats]:
    """The least and most that other components give to tanks in step k, as shares of them."""
    low, high = np.zeros(len(tanks)), np.zeros(len(tanks))
    for j, component in enumerate(plant.components):
        if j == i or not columns[j][k]:
            continue
        for place, t in enumerate(tanks):
            if t in component.tanks:
                low[place] += min(float(c.low[:, t].min()) for c in columns[j][k]) / plant.span[t]
                high[place] += max(float(c.high[:, t].max()) for c in columns[j][k]) / plant.span[t]
    return low, high
