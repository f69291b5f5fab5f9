"""Room for demands other than the expected one: tanks are held further from their limits until a schedule holds in enough scenarios."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from levada.domain.pumping import Bools, PumpingProblem, PumpSchedule, Violation
from levada.domain.series import Floats
from levada.hydraulics.engine import Engine

__all__ = ["Held", "Margins", "hold_in_scenarios", "level_limits", "scenario_violations", "solve_with_scenarios"]

_TANK_LIMITS = frozenset({"level", "saturation", "reserve"})
_ROUNDS = 5
_MORE = 1.1
"""Margins are made larger by what is missing in the scenarios that must still hold, and a little more."""

_LEAST_M = 0.02
_MOST_SHARE = 0.3
"""Margins at each side take at most this share of a tank's range."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Margins:
    """By how much, m, levels keep above their least and below their most in each step, (n, tanks)."""

    low_m: Floats
    high_m: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held:
    """In how many of `count` scenarios the tank limits hold, and how far beyond the limits levels go, m, by scenario, step and tank:
    `low_m`, `high_m` (scenarios, n, tanks); `holds` (scenarios,)."""

    holds: Bools
    low_m: Floats
    high_m: Floats

    @property
    def count(self) -> int:
        return len(self.holds)

    def is_enough(self, share: float) -> bool:
        return int(self.holds.sum()) >= share * self.count - 1e-9


def hold_in_scenarios(problem: PumpingProblem, schedule: PumpSchedule, engine: Callable[[PumpingProblem], Engine]) -> Held:
    """Follow the schedule as it is in each demand scenario. Raises ValueError where the problem has none."""
    if problem.scenarios is None:
        raise ValueError("the problem has no scenarios")
    holds, low, high = [], [], []
    for demand in problem.scenarios.demand_m3_per_s:
        found = engine(replace(problem, demand_m3_per_s=demand, scenarios=None)).run(schedule)
        faults = [v for v in found.violations if v.limit in _TANK_LIMITS or v.limit == "supply"]
        holds.append(not faults)
        under, over = _beyond(problem, found.level_m)
        # Levels at the ends of steps show most of it; what lies between, and saturation, is a fault of the step all the same.
        for v in faults:
            if v.at_s is None or v.element not in problem.network.tank_index:
                continue
            i = problem.network.tank_index[v.element]
            k = int(np.clip(np.searchsorted(problem.steps.offsets_s, v.at_s, side="right") - 1, 0, len(problem.steps) - 1))
            side = under if found.level_m[k + 1, i] < (problem.min_level_m[i] + problem.max_level_m[i]) / 2 else over
            side[k, i] = max(side[k, i], v.amount if v.unit == "m" else 0.0, _LEAST_M)
        low.append(under)
        high.append(over)
    return Held(holds=np.array(holds), low_m=np.array(low), high_m=np.array(high))


def scenario_violations(problem: PumpingProblem, schedule: PumpSchedule, engine: Callable[[PumpingProblem], Engine]) -> tuple[Violation, ...]:
    """What is to be said where a schedule holds in fewer scenarios than asked for; nothing where it holds in enough or none are given."""
    if problem.scenarios is None:
        return ()
    held, share = hold_in_scenarios(problem, schedule, engine), problem.scenarios.share
    if held.is_enough(share):
        return ()
    worst = np.unravel_index(int(np.argmax(np.maximum(held.low_m, held.high_m))), held.low_m.shape)
    amount, tank = float(np.maximum(held.low_m, held.high_m)[worst]), problem.network.tanks[int(worst[2])].name
    kept = int(held.holds.sum())
    text = (
        f"the tanks keep their limits in {kept} of {held.count} demand scenarios, asked for are {share:.0%}; "
        f"the worst is scenario {int(worst[0]) + 1}, where tank {tank} goes {amount:.2f} m beyond"
    )  # fmt: skip
    return (Violation(limit="scenario", element="demand scenarios", at_s=None, amount=share - kept / held.count, unit="1", text=text),)


def solve_with_scenarios(
    problem: PumpingProblem, solve_once: Callable[[PumpingProblem], PumpSchedule], engine: Callable[[PumpingProblem], Engine]
) -> PumpSchedule:
    """A schedule that keeps the tank limits in the share of scenarios asked for, or of those tried the one that keeps them in most.

    `solve_once` solves a problem without scenarios. Where too few hold, reserve and ceiling are tightened in the steps before levels were beyond
    their limits, by what is missing in the scenarios that are nearest to holding, and it is asked again, a few times. Of schedules that hold in
    enough scenarios the first is the best, for it keeps the smallest margins; one that breaks limits of the expected day is never taken over
    one that does not.
    """
    scenarios = problem.scenarios
    expected = replace(problem, scenarios=None)
    if scenarios is None:
        return solve_once(problem)
    judge = engine(expected)
    margins = Margins(low_m=np.zeros((len(problem.steps), len(problem.network.tanks))), high_m=np.zeros((len(problem.steps), len(problem.network.tanks))))
    best: tuple[tuple[int, int, float], PumpSchedule] | None = None
    for _ in range(_ROUNDS):
        schedule = solve_once(_tightened(expected, margins))
        held = hold_in_scenarios(problem, schedule, engine)
        trajectory = judge.run(schedule)
        enough = held.is_enough(scenarios.share)
        order = (len(trajectory.violations), 0 if enough else held.count - int(held.holds.sum()), trajectory.cost)
        if best is None or order < best[0]:
            best = order, schedule
        if enough:
            break
        wider = _wider(problem, margins, held, scenarios.share)
        if (wider.low_m == margins.low_m).all() and (wider.high_m == margins.high_m).all():
            break
        margins = wider
    assert best is not None
    return best[1]


def level_limits(problem: PumpingProblem) -> tuple[Floats, Floats]:
    """Least and greatest level in each step, (n, tanks), at its end."""
    shape = (len(problem.steps), len(problem.network.tanks))
    low, high = np.broadcast_to(problem.min_level_m, shape), np.broadcast_to(problem.max_level_m, shape)
    if problem.reserve_level_m is not None:
        low = np.maximum(low, problem.reserve_level_m)
    if problem.ceiling_level_m is not None:
        high = np.minimum(high, problem.ceiling_level_m)
    return low, high


def _beyond(problem: PumpingProblem, level_m: Floats) -> tuple[Floats, Floats]:
    low, high = level_limits(problem)
    return np.maximum(low - level_m[1:], 0.0), np.maximum(level_m[1:] - high, 0.0)


def _wider(problem: PumpingProblem, margins: Margins, held: Held, share: float) -> Margins:
    """Margins that would have kept as many more scenarios as are lacking, those that lack least."""
    lacking = int(np.ceil(share * held.count - 1e-9)) - int(held.holds.sum())
    size = np.maximum(held.low_m, held.high_m).max(axis=(1, 2))
    nearest = [s for s in np.argsort(size, kind="stable").tolist() if not held.holds[s]][:lacking]
    most = _MOST_SHARE * (problem.max_level_m - problem.min_level_m)
    widened = []
    for before, beyond in ((margins.low_m, held.low_m), (margins.high_m, held.high_m)):
        missing = beyond[nearest].max(axis=0)
        missing = np.where(missing > 0, np.maximum(_MORE * missing, _LEAST_M), 0.0)
        # What is missing in a step must have been there before it: the margin holds from the start, growing towards that step.
        ahead = np.maximum.accumulate(missing[::-1], axis=0)[::-1]
        grown = ahead * _growth(missing)
        widened.append(np.minimum(before + grown, most))
    return Margins(low_m=widened[0], high_m=widened[1])


def _growth(missing: Floats) -> Floats:
    """The share of the margin by step (n, tanks): rising evenly from the start to the last step where something is missing."""
    n = len(missing)
    last = np.where((missing > 0).any(axis=0), n - 1 - (missing[::-1] > 0).argmax(axis=0), 0)
    return np.minimum((np.arange(n)[:, None] + 1.0) / (last[None] + 1.0), 1.0)


def _tightened(problem: PumpingProblem, margins: Margins) -> PumpingProblem:
    """The problem with reserves and ceilings by the margins, never so that the initial level would break one at the start."""
    if not margins.low_m.any() and not margins.high_m.any():
        return problem
    low, high = level_limits(problem)
    reserve, ceiling = low + margins.low_m, high - margins.high_m
    reserve[0], ceiling[0] = np.minimum(reserve[0], np.maximum(low[0], problem.initial_level_m)), np.maximum(ceiling[0], np.minimum(high[0], problem.initial_level_m))
    return replace(problem, reserve_level_m=reserve, ceiling_level_m=np.maximum(ceiling, reserve))
