"""The best schedules of small problems by means that share nothing with the search: all of them, a table of volumes, many at random.

`enumerate_schedules` tries every sequence of pump states and is exact. `table_of_volumes` goes forward over steps and keeps the cheapest
way to each small interval of the tanks' volumes: every cost it names is a true schedule's, and with one tank and fine intervals the best of
them is all but the optimum. `sample_schedules` draws schedules whose every step holds the limits. All three use only the engine's steps; starts and
run times are looked at in whole schedules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from levada.domain.pumping import Audit, PumpingProblem, PumpSchedule
from levada.domain.series import Floats
from levada.hydraulics.engine import Engine

__all__ = ["Found", "enumerate_schedules", "sample_schedules", "states_of", "table_of_volumes"]

Judge = Callable[[PumpingProblem, PumpSchedule], Audit]

MOST_NODES = 2_000_000
"""Enumeration gives up where a step would have more."""
_ENOUGH_M3 = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A true schedule, and its cost as audited; `tried` is how many whole schedules were compared."""

    cost: float
    schedule: PumpSchedule
    tried: int


def states_of(problem: PumpingProblem, speeds: int = 1) -> Floats:
    """All states of all pumps as relative speeds, (states, pumps), 0 for off; `speeds` even steps of those that vary.

    Raises ValueError for a problem with valves that are set: these are not tried here.
    """
    if problem.valves:
        raise ValueError("schedules of a problem with valves that are set are not tried here")
    choices = []
    for low, high in zip(problem.min_speed.tolist(), problem.max_speed.tolist(), strict=True):
        choices.append([0.0, *(np.linspace(low, high, speeds).tolist() if low < high and speeds > 1 else [high])])
    return np.array(list(product(*choices)))


def _twins(problem: PumpingProblem) -> list[list[int]]:
    """Groups of pumps that can be swapped throughout the horizon."""
    kinds: dict[object, list[int]] = {}
    for j, p in enumerate(problem.network.pumps):
        limits = (float(problem.min_speed[j]), float(problem.max_speed[j]), problem.available[:, j].tobytes(), problem.price_per_kwh[:, j].tobytes())
        kinds.setdefault((p.start_node, p.end_node, p.head_curve, p.efficiency_curve, *limits), []).append(j)
    return list(kinds.values())


def _without_twins(problem: PumpingProblem, states: Floats) -> Floats:
    """One state of each set that differ only by which of identical pumps run."""
    key = np.hstack([-np.sort(-states[:, members], axis=1) for members in _twins(problem)])
    return states[np.sort(np.unique(key, axis=0, return_index=True)[1])]


def _shared_out(problem: PumpingProblem, speed: Floats) -> Floats:
    """The same speeds (n, pumps) dealt out among identical pumps so that starts are shared: who stopped first starts first, who started
    first stops first."""
    dealt = np.zeros_like(speed)
    for members in _twins(problem):
        running: list[int] = [j for j in members if problem.initial_on[j]]
        resting = [j for j in members if j not in running]
        for k in range(len(speed)):
            wanted = sorted(speed[k, members][speed[k, members] > 0], reverse=True)
            while len(running) > len(wanted):
                resting.append(running.pop(0))
            while len(running) < len(wanted):
                running.append(resting.pop(0))
            dealt[k, running] = wanted
    return dealt


def _advance(engine: Engine, step: int, volume: Floats, speed: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Volumes after a step, its cost, and whether it holds all limits, by row."""
    rows = engine.steps(np.full(len(volume), step, np.int64), volume, speed, np.zeros((len(volume), 0), np.int64))
    allowed = ~((speed > 0) & ~engine.problem.available[step]).any(axis=1)
    return rows.volume, rows.cost, (rows.severity <= 0) & allowed


def _ends_well(engine: Engine, volume: Floats) -> NDArray[np.bool_]:
    return np.asarray((volume >= engine.end_volume - _ENOUGH_M3).all(axis=1))


def _first_accepted(engine: Engine, judge: Judge, speeds: Floats, cost: Floats, most: int) -> tuple[PumpSchedule, float] | None:
    """The cheapest of whole schedules (N, n, pumps) that the judge accepts, looking at `most` of them in the order of `cost`."""
    for i in np.argsort(cost, kind="stable")[:most].tolist():
        for speed in (speeds[i], _shared_out(engine.problem, speeds[i])):
            schedule = PumpSchedule(on=speed > 0, speed=speed)
            verdict = judge(engine.problem, schedule)
            if verdict.accepted:
                return schedule, verdict.trajectory.cost
    return None


def enumerate_schedules(engine: Engine, judge: Judge, *, speeds: int = 1, twins: bool = False) -> Found | None:
    """The cheapest schedule that the judge accepts, of all. None where there is none. Raises ValueError where there are too many.

    Identical pumps are told apart only with `twins`: needed where start limits can bind, as then it matters which of them runs.
    Energy costs only: terms of the bill that are not of single steps are in the judge's figure but not in the order of trial.
    """
    problem = engine.problem
    states = states_of(problem, speeds)
    if not twins:
        states = _without_twins(problem, states)
    n = len(problem.steps)
    volume = engine.volumes(problem.initial_level_m)[None]
    cost, path = np.zeros(1), np.zeros((1, 0), np.int64)
    for k in range(n):
        if len(volume) * len(states) > MOST_NODES:
            raise ValueError(f"step {k} of {n} has {len(volume)} x {len(states)} ways, more than {MOST_NODES}")
        kind = np.tile(np.arange(len(states)), len(volume))
        parent = np.repeat(np.arange(len(volume)), len(states))
        after, paid, holds = _advance(engine, k, volume[parent], states[kind])
        keep = holds & (_ends_well(engine, after) if k == n - 1 else True)
        volume, cost = after[keep], (cost[parent] + paid)[keep]
        path = np.hstack([path[parent[keep]], kind[keep][:, None]])
    best = _first_accepted(engine, judge, states[path], cost, len(cost)) if len(cost) else None
    return None if best is None else Found(cost=best[1], schedule=best[0], tried=len(cost))


def table_of_volumes(engine: Engine, judge: Judge, *, interval_m3: float = 0.01, worth_per_m3: float = 0.0, states: Floats | None = None, most: int = 200) -> Found | None:
    """The best schedule over a table of the tanks' volumes in intervals of `interval_m3`; starts and run times do not steer it.
    Within an interval the cheapest is kept, what it holds more counted at `worth_per_m3`: that makes coarse intervals harmless.
    `states` (states, pumps) are the speeds to choose from, by default on or off. For one tank or two: the table grows with each.

    None where no schedule in the table is accepted by the judge among the `most` cheapest.
    """
    problem = engine.problem
    states = _without_twins(problem, states_of(problem) if states is None else states)
    n = len(problem.steps)
    volume, cost = engine.volumes(problem.initial_level_m)[None], np.zeros(1)
    parents: list[NDArray[np.int64]] = []
    kinds: list[NDArray[np.int64]] = []
    for k in range(n):
        kind = np.tile(np.arange(len(states)), len(volume))
        parent = np.repeat(np.arange(len(volume)), len(states))
        after, paid, holds = _advance(engine, k, volume[parent], states[kind])
        rows = np.flatnonzero(holds & (_ends_well(engine, after) if k == n - 1 else True))
        total = (cost[parent] + paid)[rows]
        if k < n - 1:
            # The cheapest of each interval. At the end all stay: their order is that of trial.
            place = np.floor(after[rows] / interval_m3)
            order = np.lexsort((total - worth_per_m3 * after[rows].sum(axis=1), *place.T))
            place = place[order]
            first = np.concatenate([[True], (place[1:] != place[:-1]).any(axis=1)]) if len(order) else np.zeros(0, bool)
            rows, total = rows[order[first]], total[order[first]]
        volume, cost = after[rows], total
        parents.append(parent[rows])
        kinds.append(kind[rows])
    if not len(cost):
        return None
    chosen = np.argsort(cost, kind="stable")[:most]
    path = np.empty((len(chosen), n), np.int64)
    at = chosen
    for k in range(n - 1, -1, -1):
        path[:, k] = kinds[k][at]
        at = parents[k][at]
    best = _first_accepted(engine, judge, states[path], cost[chosen], most)
    return None if best is None else Found(cost=best[1], schedule=best[0], tried=len(chosen))


def sample_schedules(engine: Engine, judge: Judge, rng: np.random.Generator, *, count: int, stay: float = 0.75, speeds: int = 3, most: int = 50) -> Found | None:
    """The cheapest accepted of about `count` random schedules whose steps hold the limits.

    `count` walkers go step by step; each keeps its pumps' state with probability `stay` or draws another, more often fewer pumps where
    energy is dear. Walkers that break a limit go on as copies of those that do not. None where all die, or none is accepted.
    """
    problem = engine.problem
    n = len(problem.steps)
    states = states_of(problem, speeds)
    running = (states > 0).sum(axis=1)
    price = problem.price_per_kwh.mean(axis=1)
    spread = float(price.std()) or 1.0
    volume = np.repeat(engine.volumes(problem.initial_level_m)[None], count, axis=0)
    cost, path = np.zeros(count), np.zeros((count, n), np.int64)
    kind = np.array([int(np.abs((states > 0) - problem.initial_on.astype(int)).sum(axis=1).argmin())] * count)
    tilt = rng.normal(0.4, 0.4, count)
    for k in range(n):
        appeal = np.exp(-tilt[:, None] * running[None] * (price[k] - price.mean()) / spread)
        drawn = (rng.random(count)[:, None] * appeal.sum(axis=1)[:, None] > np.cumsum(appeal, axis=1)).sum(axis=1).clip(0, len(states) - 1)
        kind = np.where(rng.random(count) < stay, kind, drawn)
        after, paid, holds = _advance(engine, k, volume, states[kind])
        if not holds.any():
            return None
        alive = np.flatnonzero(holds)
        source = np.where(holds, np.arange(count), alive[rng.integers(0, len(alive), count)])
        path[:, k] = kind
        volume, cost, path, kind, tilt = after[source], (cost + paid)[source], path[source], kind[source], tilt[source]
    good = np.flatnonzero(_ends_well(engine, volume))
    good = good[np.unique(path[good], axis=0, return_index=True)[1]] if len(good) else good
    best = _first_accepted(engine, judge, states[path[good]], cost[good], most) if len(good) else None
    return None if best is None else Found(cost=best[1], schedule=best[0], tried=len(good))
