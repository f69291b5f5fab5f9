"""Bringing the run hours of identical pumps together: two of them trade places for a while where that costs nothing and breaks nothing."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from levada.domain.pumping import Bools, PumpingProblem, PumpSchedule
from levada.domain.series import Floats
from levada.hydraulics.operation import operation_violations
from levada.schedule.plant import Plant

__all__ = ["balanced"]

_TRADES, _ROUNDS = 12, 20
"""Trades tried in a round, those first that bring hours nearest; rounds."""


def balanced(plant: Plant, schedule: PumpSchedule) -> PumpSchedule:
    """The schedule with identical pumps swapped for a while where that brings their run hours together, costs nothing and breaks nothing."""
    problem = plant.problem
    assert problem.run_hours_h is not None
    hours = problem.steps.hours
    worth = _worth(problem, schedule)
    for _ in range(_ROUNDS):
        total = problem.run_hours_h + hours @ schedule.on
        trades = [trade for c in plant.classes for pair in combinations(c.pumps, 2) for trade in _trades(schedule.on, hours, total, pair)]
        for _, i, j, a, b in sorted(trades)[:_TRADES]:
            on, speed = schedule.on.copy(), schedule.speed.copy()
            on[a:b, [i, j]] = on[a:b, [j, i]]
            speed[a:b, [i, j]] = speed[a:b, [j, i]]
            other = PumpSchedule(on=on, speed=speed, valve_choice=schedule.valve_choice)
            if _worth(problem, other) <= worth:
                schedule = other
                break
        else:
            return schedule
    return schedule


def _trades(on: Bools, hours: Floats, total_h: Floats, pair: tuple[int, int]) -> list[tuple[float, int, int, int, int]]:
    """Times [a, b) in which two pumps may trade places without a start more, those first that bring their hours nearest: (change of the
    hours' squares, i, j, a, b)."""
    i, j = pair
    gained = np.concatenate([[0.0], np.cumsum(hours * (on[:, i].astype(float) - on[:, j]))])
    alike = np.concatenate([[True], on[:, i] == on[:, j]])
    edges = np.flatnonzero(alike)
    ends = np.union1d(edges, [len(on)])
    gap = float(total_h[i] - total_h[j])
    after = gap - 2.0 * (gained[ends][None] - gained[edges][:, None])
    better = (ends[None] > edges[:, None]) & (np.abs(after) < abs(gap) - 1e-9)
    rows, columns = np.nonzero(better)
    gain = after[rows, columns] ** 2 - gap**2
    order = np.lexsort((columns, rows, gain))[:_TRADES]
    return [(float(gain[r]), i, j, int(edges[rows[r]]), int(ends[columns[r]])) for r in order]


def _worth(problem: PumpingProblem, schedule: PumpSchedule) -> tuple[float, float, int, float]:
    """What a schedule breaks and costs by itself, rounded: whether one is no worse than another."""
    broken = sum(v.amount for v in operation_violations(problem, schedule))
    starts = schedule.starts(problem.count_starts, problem.initial_on)
    money = 0.0 if problem.wear_cost_per_start is None else float(problem.wear_cost_per_start @ starts)
    away = 0.0
    if problem.previous_on is not None:
        other = schedule.on != problem.previous_on
        away = float((other * problem.steps.hours[:, None]).sum())
        if problem.deviation_cost_per_h is not None:
            money += float((other * problem.deviation_cost_per_h * problem.steps.hours[:, None]).sum())
    return round(broken, 6), round(money, 9), int(starts.sum()), round(away, 6)
