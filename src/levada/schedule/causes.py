"""What an outage has to do with a limit that does not hold: said in the violation's own words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from levada.domain.pumping import Bools, PumpSchedule, Trajectory, Violation
from levada.domain.series import Floats
from levada.schedule.plant import Plant

__all__ = ["with_causes"]

_BY_THEMSELVES = frozenset({"starts", "simultaneous starts", "on time", "off time", "availability", "scenario"})
"""Kinds of limits that no pump more would mend."""

_MENDED = 0.5
"""A violation that comes down to at most this share of itself is put down to what is missing."""


def with_causes(plant: Plant, schedule: PumpSchedule, trajectory: Trajectory) -> tuple[Violation, ...]:
    """The trajectory's violations in order, each that a pump out of service would mend with `because ... is out of service` added.

    For each pump that is not available in some steps, the schedule is simulated once with it running in all those steps at full speed; limits that
    do not fail on then (or by half as much at most), at times no earlier than the pump is missing, are put down to it; those that no pump mends
    by itself are tried with all of them. Nothing is solved again.
    """
    missing = [j for j in range(plant.pumps) if not plant.problem.available[:, j].all()]
    hydraulic = [v for v in trajectory.violations if v.limit not in _BY_THEMSELVES]
    if not missing or not hydraulic:
        return trajectory.violations
    blamed: dict[int, tuple[str, ...]] = {}
    # One pump by itself first; what no single one would mend, all of them together may.
    for pumps in [*((j,) for j in missing), *([tuple(missing)] if len(missing) > 1 else [])]:
        out = ~plant.problem.available & ~schedule.on
        out[:, [j for j in range(plant.pumps) if j not in pumps]] = False
        if not out.any() or (len(pumps) > 1 and len(blamed) == len(hydraulic)):
            continue
        since_s = int(plant.problem.steps.offsets_s[int(np.argmax(out.any(axis=1)))])
        left = _worst(_run_with(plant, schedule, out).violations)
        for i, v in enumerate(trajectory.violations):
            if v.limit in _BY_THEMSELVES or (v.at_s is not None and v.at_s < since_s) or (len(pumps) > 1 and i in blamed):
                continue
            if left.get((v.limit, v.element), 0.0) <= _MENDED * v.amount and v.amount > 0:
                blamed[i] = (*blamed.get(i, ()), *(plant.problem.network.pumps[j].name for j in pumps))
    return tuple(replace(v, text=f"{v.text}, because {_names(blamed[i])} out of service") if i in blamed else v for i, v in enumerate(trajectory.violations))


def _run_with(plant: Plant, schedule: PumpSchedule, out: Bools) -> Trajectory:
    """The schedule with the pumps running too where they are `out` (n, pumps)."""
    on = schedule.on | out
    speed: Floats = np.where(out, plant.problem.max_speed, schedule.speed)
    return plant.simulator.run(PumpSchedule(on=on, speed=speed, valve_choice=schedule.valve_choice))


def _worst(violations: tuple[Violation, ...]) -> dict[tuple[str, str], float]:
    """The greatest amount of each limit and element."""
    found: dict[tuple[str, str], float] = {}
    for v in violations:
        found[v.limit, v.element] = max(v.amount, found.get((v.limit, v.element), 0.0))
    return found


def _names(pumps: tuple[str, ...]) -> str:
    if len(pumps) == 1:
        return f"{pumps[0]} is"
    return f"{', '.join(pumps[:-1])} and {pumps[-1]} are"
