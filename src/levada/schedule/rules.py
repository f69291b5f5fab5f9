"""Rule-based control: tank levels switch pumps, as float switches do. The lowest rung of the ladder, and what the optimum is compared to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.domain.series import Floats
from levada.hydraulics.engine import Engine
from levada.hydraulics.simulate import Simulator
from levada.schedule.plant import Ints, Plant
from levada.schedule.problem import check

__all__ = ["follow_rules", "watched_tanks"]

_MARKS = ((0.35, 0.85), (0.5, 0.9), (0.65, 0.95), (0.2, 0.7), (0.8, 0.98))
"""Pairs of marks, as shares of the range between a tank's limits: on below the first, off above the second."""


def follow_rules(problem: PumpingProblem, engine: Callable[[PumpingProblem], Engine] = Simulator) -> PumpSchedule:
    """The schedule that level switches would give, simulated step by step from the initial levels.

    Each pump watches the tank that it fills most (found by one solve with it and one without). It goes on when that tank is below the low mark
    and off above the high mark; identical pumps have marks a little apart, so that they follow one another. Variable-speed pumps run
    at full speed. A pump that is not available stays off, one out of starts runs on. Of a few pairs of marks the one with the fewest and
    smallest violations is taken, then the cheapest. The result may violate limits: that is what rules do.
    Raises ProblemError as `solve` does.
    """
    check(problem)
    plant = Plant(problem, engine)
    watched = watched_tanks(plant)
    best: tuple[float, float] | None = None
    chosen: PumpSchedule | None = None
    for low, high in _MARKS:
        schedule, severity, cost = _run(plant, watched, low, high)
        if best is None or (severity, cost) < best:
            best, chosen = (severity, cost), schedule
    assert chosen is not None
    return chosen


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


def _run(plant: Plant, watched: Ints, low: float, high: float) -> tuple[PumpSchedule, float, float]:
    problem, n = plant.problem, plant.n
    on = np.zeros((n, plant.pumps), bool)
    state = problem.initial_on.copy()
    starts = np.zeros(plant.pumps, np.int64)
    place = {j: i for c in plant.classes for i, j in enumerate(c.pumps)}
    volume: Floats = plant.simulator.volumes(problem.initial_level_m)
    fastest = problem.max_speed
    severity = cost = 0.0
    for k in range(n):
        x = plant.state(volume)
        for j in range(plant.pumps):
            level = float(x[watched[j]]) if watched[j] >= 0 else 0.0
            apart = 0.08 * place[j]
            if state[j] and level > high - apart / 2 and starts[j] < problem.max_starts[j]:
                state[j] = False
            elif not state[j] and level < low - apart and starts[j] < problem.max_starts[j] and problem.available[k, j]:
                state[j] = True
                starts[j] += 1
            state[j] &= bool(problem.available[k, j])
        on[k] = state
        result = plant.simulator.steps(np.array([k]), volume[None], np.where(state, fastest, 0.0)[None], plant.first_choice)[0]
        volume, cost, severity = result.volume, cost + result.cost, severity + result.severity
    severity += float(np.maximum(plant.x_end - plant.state(volume), 0.0).sum())
    return PumpSchedule(on=on, speed=np.where(on, fastest, 0.0)), severity, cost
