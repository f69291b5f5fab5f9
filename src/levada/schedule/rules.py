"""Rule-based control: tank levels switch pumps, as float switches do. The lowest rung of the ladder, and what the optimum is compared to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.domain.series import Floats
from levada.hydraulics.engine import Engine
from levada.hydraulics.operation import days_of
from levada.hydraulics.simulate import Simulator
from levada.schedule.plant import Ints, Plant
from levada.schedule.problem import check

__all__ = ["follow_rules", "rules_of", "set_valves", "watched_tanks"]

_MARKS = ((0.35, 0.85), (0.5, 0.9), (0.65, 0.95), (0.2, 0.7), (0.8, 0.98))
"""Pairs of marks, as shares of the range between a tank's limits: on below the first, off above the second."""

_LAST, _ABOVE_END, _APART, _FULL = 0.25, 0.05, 0.2, 0.95
"""In the last share of the horizon marks may be raised so that a tank is filled to above what is asked at the end, and stay so far apart where it does not get too full."""


def follow_rules(problem: PumpingProblem, engine: Callable[[PumpingProblem], Engine] = Simulator) -> PumpSchedule:
    """The schedule that level switches would give, simulated step by step from the initial levels.

    Each pump watches the tank that it fills most (found by one solve with it and one without). It goes on when that tank is below the low mark
    and off above the high mark; identical pumps have marks a little apart, so that they follow one another. Variable-speed pumps run
    at full speed. A pump that is not available stays off, one that must run runs, one out of starts runs on, and one that has not yet run or stood for
    its least time does so; valves stay at their first choice. Of a few pairs of marks the one with the fewest and
    smallest violations is taken, then the cheapest; where each breaks a limit they are also raised toward the end, so that tanks are filled as is asked there. The result may violate limits: that is what rules do.
    Raises ProblemError as `solve` does.
    """
    check(problem)
    return rules_of(Plant(problem, engine))


def rules_of(plant: Plant) -> PumpSchedule:
    """What `follow_rules` gives for a plant, with its first choice of valves."""
    return _best_by_rules(plant)[0]


def set_valves(plant: Plant) -> None:
    """Make that constant choice of each valve the plant's first choice with which level switches do best: valve by valve, the others as they are."""
    best = _best_by_rules(plant)[1:]
    for v, valve in enumerate(plant.problem.valves):
        for choice in range(len(valve.choices)):
            before = plant.first_choice
            if choice == before[0, v]:
                continue
            plant.first_choice = before.copy()
            plant.first_choice[0, v] = choice
            found = _best_by_rules(plant)[1:]
            if found < best:
                best = found
            else:
                plant.first_choice = before


def _best_by_rules(plant: Plant) -> tuple[PumpSchedule, float, float]:
    watched = watched_tanks(plant)
    runs = [_run(plant, watched, low, high, fills=False) for low, high in _MARKS]
    if all(severity > 0 for _, severity, _ in runs):
        runs += [_run(plant, watched, low, high, fills=True) for low, high in _MARKS]
    return min(runs, key=lambda run: run[1:])


def watched_tanks(plant: Plant) -> Ints:
    """For each pump the tank whose inflow it raises most, -1 where it raises none."""
    found = np.full(plant.pumps, -1, np.int64)
    x = np.full(plant.tanks, 0.5)
    for c in plant.classes:
        on, speed = np.zeros(plant.pumps, bool), np.zeros(plant.pumps)
        without = plant.solve(0, x, on, speed).inflow
        j = c.pumps[0]
        on[j], speed[j] = True, c.bins[-1][1]
        gain = plant.solve(0, x, on, speed).inflow - without
        if gain.max() > 1e-5:
            found[list(c.pumps)] = int(gain.argmax())
    return found


def _run(plant: Plant, watched: Ints, low: float, high: float, *, fills: bool) -> tuple[PumpSchedule, float, float]:
    """The schedule, its severity and the cost of its steps."""
    problem, n = plant.problem, plant.n
    on = np.zeros((n, plant.pumps), bool)
    state = problem.initial_on.copy()
    day = days_of(problem)
    starts = np.zeros(plant.pumps, np.int64) if problem.starts_made is None else problem.starts_made.copy()
    held = np.full(plant.pumps, np.inf) if problem.held_s is None else problem.held_s.astype(np.float64)
    least_on, least_off = (np.zeros(plant.pumps) if of is None else of for of in (problem.min_on_s, problem.min_off_s))
    place = {j: i for c in plant.classes for i, j in enumerate(c.pumps)}
    volume: Floats = plant.simulator.volumes(problem.initial_level_m)
    fastest = problem.max_speed
    severity = cost = 0.0
    at, asked = problem.steps.offsets_s / problem.steps.offsets_s[-1], plant.x_end + _ABOVE_END
    for k in range(n):
        if k and day[k] != day[k - 1]:
            starts[:] = 0
        x, before = plant.state(volume), state.copy()
        together = 0
        for j in range(plant.pumps):
            level = float(x[watched[j]]) if watched[j] >= 0 else 0.0
            on_below, off_above = low, high
            if fills and watched[j] >= 0 and at[k] >= 1 - _LAST:
                on_below = min(max(low, float(asked[watched[j]])), 1.0)
                off_above = max(high, min(on_below + _APART, np.inf if problem.may_stand_full[watched[j]] else _FULL))
            apart = 0.08 * place[j]
            must = problem.forced_on is not None and bool(problem.forced_on[k, j])
            if state[j] and level > off_above - apart / 2 and starts[j] < problem.max_starts[j] and held[j] >= least_on[j]:
                state[j] = False
            elif not state[j] and level < on_below - apart and problem.available[k, j]:
                crowded = problem.max_simultaneous_starts is not None and together >= problem.max_simultaneous_starts
                state[j] = starts[j] < problem.max_starts[j] and held[j] >= least_off[j] and not crowded
            state[j] = (state[j] or must) and bool(problem.available[k, j])
            started = bool(state[j] and not before[j])
            starts[j] += started
            together += started
        held = np.where(state == before, held, 0.0) + problem.steps.durations_s[k]
        on[k] = state
        result = plant.simulator.steps(np.array([k]), volume[None], np.where(state, fastest, 0.0)[None], plant.first_choice)[0]
        volume, cost, severity = result.volume, cost + result.cost, severity + result.severity
    severity += float(np.maximum(plant.x_end - plant.state(volume), 0.0).sum())
    choices = np.repeat(plant.first_choice, n, axis=0)
    return PumpSchedule(on=on, speed=np.where(on, fastest, 0.0), valve_choice=choices), severity, cost
