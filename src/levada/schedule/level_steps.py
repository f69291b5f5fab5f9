"""What each action does to the one tank of a plant, by its level: EPANET is asked at a few levels, and between them interpolated.

An action is how many pumps of each class run and at which of a few speeds. `Actions` says which are beside which, so that speeds between can be had too.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from levada.domain.billing import StepCosts
from levada.domain.pumping import Bools
from levada.domain.series import Floats
from levada.schedule.plant import Ints, Plant

__all__ = ["Actions", "LevelSteps", "Outcome", "speeds_within"]

_MOST_ACTIONS = 400
_SPEEDS = (9, 33)
"""Least and most speeds tried of a class, evenly over its range: as many as the actions allow."""

_LEVELS, _MANY, _LEVELS_OF_MANY = 25, 150, 13
"""Levels at which EPANET is asked what each action does, and how many where there are more actions than the second."""

_BEGINS = 129
"""Levels from which whole steps are walked."""

_UNSOLVED = (1, 2)
_PRESSURE_M = 1e-6


@dataclass(frozen=True)
class Actions:
    """Counts and common speeds (A, classes) of all actions of a step, pumps' speeds (A, pumps), and the actions beside each (A, directions): the same pumps
    at the next speeds, -1 for none."""

    counts: Ints
    mean: Floats
    speed: Floats
    beside: Ints


@dataclass(frozen=True)
class Outcome:
    """What actions lead to: cost, state at the end, and whether they may be taken; each of one shape."""

    cost: Floats
    end: Floats
    works: Bools


def speeds_within(plant: Plant) -> int | None:
    """How many speeds of each class can be tried; None where there would be too many actions for too few."""
    sizes = [[(1 + len(c.pumps) * (s if c.is_variable else 1)) for c in plant.classes] for s in range(_SPEEDS[1] + 1)]
    speeds = max((s for s, c in enumerate(sizes) if np.prod(c, dtype=np.float64) <= _MOST_ACTIONS), default=0)
    return None if speeds < _SPEEDS[0] else speeds


def _actions_of(plant: Plant, k: int, speeds: int) -> Actions:
    """All actions of step k with so many speeds of each class."""
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
    return Actions(counts, mean, _speeds_of(plant, k, counts, mean), np.stack(beside, axis=1))


def _speeds_of(plant: Plant, k: int, counts: Ints, mean: Floats) -> Floats:
    """Speeds of pumps (N, pumps) for counts and common speeds (N, classes) in step k."""
    on_at = [plant.pumps_on(k, c, s) for c, s in zip(counts, mean, strict=True)]
    return np.array([np.where(on, speed, 0.0) for on, speed in on_at]).reshape(len(counts), plant.pumps)


class LevelSteps:
    """What the actions of step k, of so many speeds a class, do at any level."""

    def __init__(self, plant: Plant, k: int, speeds: int, costs: StepCosts) -> None:
        self.plant, self.k, self.speeds = plant, k, speeds
        self.actions = actions = _actions_of(plant, k, speeds)
        self._costs = costs
        count = len(actions.counts)
        self._levels = np.linspace(
            float(min(plant.x_least[k, 0], 0.0)), float(max(plant.x_most[k, 0], 1.0)), _LEVELS if count <= _MANY else _LEVELS_OF_MANY
        )
        # The last level is EPANET's answer at a tank that is full.
        asked = np.append(self._levels, 1.0)
        asked[:-1] = np.minimum(asked[:-1], 1.0 - 1e-9) if plant.problem.may_stand_full[0] else asked[:-1]
        rows = count * len(asked)
        volume = plant.volume(np.tile(asked, count)[:, None])
        s = plant.simulator.solves_at(np.full(rows, k), volume, np.repeat(actions.speed, len(asked), axis=0), np.repeat(plant.first_choice, rows, axis=0))
        running = np.repeat(actions.speed, len(asked), axis=0) > 0
        solved = (s.warning < 100) & ~np.isin(s.warning, _UNSOLVED)
        works = solved & (s.delivers | ~running).all(axis=1) & (s.pressure >= plant.simulator.floors - _PRESSURE_M).all(axis=1)
        shape = (count, len(asked))
        self._inflow = s.inflow[:, 0].reshape(shape)
        self._power, self._source = s.power.reshape(*shape, -1), s.source.reshape(*shape, -1)
        self._works = works.reshape(shape)
        self.is_solved: Bools = np.asarray(solved.reshape(shape).all(axis=1), np.bool_)
        """Which actions EPANET has an answer for, whether they may be taken or not, (A,)."""
        self._begins = np.linspace(self._levels[0], self._levels[-1], _BEGINS)
        self._walked = self._walk(self._begins)
        self.full_cost = float(np.abs(self._walked.cost).max())
        """What the dearest action costs, or earns."""

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
        full = (x >= 1.0 - 1e-9) & self.plant.problem.may_stand_full[0]

        def between(table: Floats) -> Floats:
            w = share if table.ndim == 2 else share[..., None]
            found = table[rows, i] * (1 - w) + table[rows, i + 1] * w
            at_full = table[rows, np.full_like(i, len(levels))]
            return np.asarray(np.where(full if table.ndim == 2 else full[..., None], at_full, found), np.float64)

        works = np.where(full, self._works[rows, np.full_like(i, len(levels))], works_a | works_b)
        return between(self._inflow), between(self._power), between(self._source), works

    def run(self, x: Floats) -> Outcome:
        """What each action does from states x (N,), all (A, N)."""
        u = np.clip((x - self._begins[0]) / (self._begins[-1] - self._begins[0]) * (_BEGINS - 1), 0.0, _BEGINS - 1)
        i = np.minimum(u.astype(np.int64), _BEGINS - 2)
        a, b = self._walked.works[:, i], self._walked.works[:, i + 1]
        # Where an action works at one end only, that end stands for what lies between.
        share = np.where(a == b, u - i, np.where(a, 0.0, 1.0))
        cost, moved = (t[:, i] * (1 - share) + t[:, i + 1] * share for t in (self._walked.cost, self._walked.end - self._begins))
        return Outcome(cost=cost, end=x + moved, works=a | b)

    def _walk(self, x: Floats) -> Outcome:
        """The same by hydraulic steps, as the simulator takes them."""
        plant, k = self.plant, self.k
        duration, span = int(plant.problem.steps.durations_s[k]), float(plant.span[0])
        count = len(self.actions.counts)
        state = np.repeat(x[None], count, axis=0)
        power, source = np.zeros((count, len(x), plant.pumps)), np.zeros((count, len(x), self._source.shape[2]))
        works = np.ones(state.shape, bool)
        for at_s in range(0, duration, plant.problem.hydraulic_step_s):
            h = min(plant.problem.hydraulic_step_s, duration - at_s)
            inflow, watts, drawn, here = self._rates(state)
            works &= here
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
        return Outcome(cost=cost, end=state, works=works)
