"""Room to limits that a schedule breaks in the judge's simulation and keeps in ours.

The two agree to EPANET's own accuracy. Where a tank at its limit is cut off and let in again second by second that is not always enough: a level that
differs by a millimetre meets the next limit a second earlier, and within hours tanks may be centimetres apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from levada.domain.errors import ProblemError
from levada.domain.pumping import PumpingProblem, Violation
from levada.domain.series import Floats
from levada.schedule.scenarios import level_limits

__all__ = ["AMPLE", "SCANT", "SEARCHES", "SHIFTS", "with_room"]

SCANT, AMPLE = (1.0, 0.002), (2.0, 0.02)
"""So many times what was amiss is asked for as room, and so much of a level or a pressure besides: 2 cm of a reservoir cost percents of a day's energy,
but levels that are cut off at limits differ by more from one solve to the next."""

SEARCHES, SHIFTS = (SCANT, AMPLE, AMPLE, AMPLE), (SCANT, (1.0, 0.004), (1.5, 0.008), AMPLE)
"""Rooms to try one after another: where each try is a search of its own, and where switches are shifted, which takes seconds."""

_LEAST_SHARE = 0.002
"""Share of a power that is asked for as room at least."""


def with_room(problem: PumpingProblem, violations: Iterable[Violation], level_m: Floats, room: tuple[float, float]) -> PumpingProblem | None:
    """The problem with limits tightened by what the judge found amiss, so that schedules which keep these keep its own limits in the judge's simulation
    too. `level_m` (n + 1, tanks): levels of the schedule in our simulation; tanks are asked to be so much above or below these. `room`: from SCANT to AMPLE. None where what is amiss
    is not a matter of room."""
    for violation in violations:
        try:
            tightened = _tightened(problem, violation, level_m, *room)
        except ProblemError:
            return None  # there is no such room: what is left contradicts itself
        if tightened is None:
            return None
        problem = tightened
    return problem


def _tightened(problem: PumpingProblem, v: Violation, level_m: Floats, times: float, least_m: float) -> PumpingProblem | None:
    room_m = times * (v.amount if v.unit == "m" else 0.0) + least_m
    tank = problem.network.tank_index.get(v.element)
    match v.limit, v.kind:
        case "level" | "saturation" | "reserve", "below" | "above" if tank is not None and v.at_s is not None:
            return _within_steps(problem, tank, v, room_m, level_m[:, tank])
        case "end level", "below" if tank is not None:
            return replace(problem, end_level_m=_with(problem.end_level_m, tank, max(problem.end_level_m[tank], level_m[-1, tank]) + room_m))
        case "end level", "above" if tank is not None and problem.end_level_max_m is not None:
            return replace(problem, end_level_max_m=_with(problem.end_level_max_m, tank, min(problem.end_level_max_m[tank], level_m[-1, tank]) - room_m))
        case ("pressure", "below") | ("supply", "pressure"):
            floors = dict(problem.pressure_floors_m)
            return replace(problem, pressure_floors_m=floors | {v.element: floors.get(v.element, 0.0) + room_m})
        case "pressure", "above":
            ceilings = dict(problem.pressure_ceilings_m)
            return replace(problem, pressure_ceilings_m=ceilings | {v.element: ceilings[v.element] - room_m})
        case "power", "" if problem.max_power_kw is not None:
            return replace(problem, max_power_kw=problem.max_power_kw * (1 - _LEAST_SHARE) - times * v.amount)
    return None


def _within_steps(problem: PumpingProblem, tank: int, v: Violation, room_m: float, level_m: Floats) -> PumpingProblem:
    """Reserve or ceiling in the steps in which the limit was broken and one to each side; never beyond the level at the start. `level_m` (n + 1,)."""
    n, offsets = len(problem.steps), problem.steps.offsets_s
    assert v.at_s is not None
    first, last = np.clip(np.searchsorted(offsets, [v.at_s, v.until_s if v.until_s is not None else v.at_s], side="right") - 1, 0, n - 1)
    steps = np.arange(max(int(first) - 1, 0), min(int(last) + 2, n))
    there, start = level_m[int(first) : int(last) + 2], float(problem.initial_level_m[tank])
    low, high = (limit.copy() for limit in level_limits(problem))
    if v.kind == "below":
        low[steps, tank] = np.maximum(low[steps, tank], there.min()) + room_m
        low[0, tank] = min(low[0, tank], max(start, float(problem.min_level_m[tank])))
        return replace(problem, reserve_level_m=low)
    high[steps, tank] = np.minimum(high[steps, tank], there.max()) - room_m
    high[0, tank] = max(high[0, tank], min(start, float(problem.max_level_m[tank])))
    return replace(problem, ceiling_level_m=high)


def _with(levels: Floats, tank: int, level_m: float) -> Floats:
    changed = levels.copy()
    changed[tank] = level_m
    return changed
