"""What a schedule breaks by itself, without hydraulics or after them: starts, run times, availability, end levels, daily sources, emissions.

The search's own reading of these rules; the audit has another.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from levada.domain.billing import Bill
from levada.domain.pumping import Bools, Ints, PumpingProblem, PumpSchedule, Violation
from levada.domain.series import Floats
from levada.hydraulics.findings import clock

__all__ = ["days_of", "operation_violations", "result_violations", "short_runs"]


def days_of(problem: PumpingProblem) -> Ints:
    """Number of the day of each step, (n,)."""
    return np.zeros(len(problem.steps), np.int64) if problem.day is None else problem.day


def operation_violations(problem: PumpingProblem, schedule: PumpSchedule) -> tuple[Violation, ...]:
    """Starts, simultaneous starts, least times on and off, availability."""
    return (*_starts(problem, schedule), *_together(problem, schedule), *_times(problem, schedule), *_availability(problem, schedule))


def _started(problem: PumpingProblem, schedule: PumpSchedule) -> Bools:
    on = schedule.on
    before = np.vstack([on[-1] if problem.count_starts == "periodic" else problem.initial_on, on[:-1]])
    return np.asarray(on & ~before, np.bool_)


def _starts(problem: PumpingProblem, schedule: PumpSchedule) -> list[Violation]:
    found = []
    days, started = days_of(problem), _started(problem, schedule)
    for day in range(int(days[-1]) + 1):
        made = started[days == day].sum(axis=0)
        if day == 0 and problem.starts_made is not None:
            made = made + problem.starts_made
        for j, pump in enumerate(problem.network.pumps):
            more = int(made[j] - problem.max_starts[j])
            # Starts made before the horizon cannot be taken back: only what the schedule adds is a fault of it.
            if more > 0 and started[days == day][:, j].any():
                at_s = int(problem.steps.offsets_s[int(np.argmax(days == day))])
                on_day = f" in the day from {clock(problem, at_s)} UTC" if days[-1] > 0 else ""
                text = f"pump {pump.name} starts {int(made[j])} times{on_day}, {more} more than the {problem.max_starts[j]} allowed"
                found.append(Violation(limit="starts", element=pump.name, at_s=at_s if days[-1] > 0 else None, amount=float(more), unit="starts", text=text))
        total = problem.max_starts_total
        if total is not None and (over := int(made.sum()) - total) > 0 and started[days == day].any():
            at_s = int(problem.steps.offsets_s[int(np.argmax(days == day))])
            on_day = f" in the day from {clock(problem, at_s)} UTC" if days[-1] > 0 else ""
            text = f"the pumps start {int(made.sum())} times in all{on_day}, {over} more than the {total} allowed"
            found.append(Violation(limit="starts", element="all pumps", at_s=at_s if days[-1] > 0 else None, amount=float(over), unit="starts", text=text))
    return found


def _together(problem: PumpingProblem, schedule: PumpSchedule) -> list[Violation]:
    if problem.max_simultaneous_starts is None:
        return []
    count = _started(problem, schedule).sum(axis=1)
    found = []
    for k in np.flatnonzero(count > problem.max_simultaneous_starts).tolist():
        at_s = int(problem.steps.offsets_s[k])
        text = f"{count[k]} pumps start together at {clock(problem, at_s)} UTC, {problem.max_simultaneous_starts} may"
        found.append(Violation(limit="simultaneous starts", element="pumps", at_s=at_s, amount=float(count[k] - problem.max_simultaneous_starts), unit="starts", text=text))
    return found


def short_runs(on: Bools, durations_s: Floats, min_on_s: float, min_off_s: float, initial_on: bool, held_s: float, *, periodic: bool) -> list[tuple[int, bool, float]]:
    """Runs and pauses of one pump that are too short: (first step, is a run, seconds lacking). What the horizon's end cuts may be short;
    counted periodically, the end goes on at the beginning."""
    n = len(on)
    changes = [k for k in range(1, n) if on[k] != on[k - 1]]
    if not changes:
        if periodic or on[0] == initial_on:
            return []
        lack = (min_off_s if not initial_on else min_on_s) - held_s
        return [(0, bool(initial_on), lack)] if lack > 0 else []
    edges = [0, *changes, n]
    found = []
    for a, b in pairwise(edges):
        seconds = float(durations_s[a:b].sum())
        state = bool(on[a])
        if periodic:
            if a == 0 and on[-1] == on[0]:
                continue  # counted with the last
            if b == n and on[-1] == on[0]:
                seconds += float(durations_s[: changes[0]].sum())
        else:
            if a == 0 and state == initial_on:
                seconds += held_s
            if b == n:
                continue
        lack = (min_on_s if state else min_off_s) - seconds
        if lack > 0:
            found.append((a, state, lack))
    if not periodic and bool(on[0]) != initial_on:
        lack = (min_on_s if initial_on else min_off_s) - held_s
        if lack > 0:
            found.append((0, bool(initial_on), lack))
    return found


def _times(problem: PumpingProblem, schedule: PumpSchedule) -> list[Violation]:
    if problem.min_on_s is None and problem.min_off_s is None:
        return []
    pumps = len(problem.network.pumps)
    least_on = np.zeros(pumps) if problem.min_on_s is None else problem.min_on_s
    least_off = np.zeros(pumps) if problem.min_off_s is None else problem.min_off_s
    held = np.full(pumps, np.inf) if problem.held_s is None else problem.held_s
    durations = np.asarray(problem.steps.durations_s, np.float64)
    found = []
    for j, pump in enumerate(problem.network.pumps):
        short = short_runs(
            schedule.on[:, j], durations, float(least_on[j]), float(least_off[j]), bool(problem.initial_on[j]), float(held[j]),
            periodic=problem.count_starts == "periodic",
        )  # fmt: skip
        for k, is_run, lack in short:
            at_s = int(problem.steps.offsets_s[k])
            least = float(least_on[j] if is_run else least_off[j])
            text = f"pump {pump.name} is {'on' if is_run else 'off'} for {(least - lack) / 60:.0f} min from {clock(problem, at_s)} UTC, {least / 60:.0f} min are the least"
            found.append(Violation(limit="on time" if is_run else "off time", element=pump.name, at_s=at_s, amount=lack, unit="s", text=text))
    return found


def _availability(problem: PumpingProblem, schedule: PumpSchedule) -> list[Violation]:
    found = []
    for j, pump in enumerate(problem.network.pumps):
        barred = schedule.on[:, j] & ~problem.available[:, j]
        missing = np.zeros_like(barred) if problem.forced_on is None else problem.forced_on[:, j] & ~schedule.on[:, j]
        for steps, what in ((barred, "runs {:.2f} h while it is not available"), (missing, "is off {:.2f} h while it must run")):
            if steps.any():
                k = int(np.argmax(steps))
                hours = float(problem.steps.hours[steps].sum())
                found.append(Violation(limit="availability", element=pump.name, at_s=int(problem.steps.offsets_s[k]), amount=hours, unit="h", text=f"pump {pump.name} {what.format(hours)}"))
    return found


def result_violations(problem: PumpingProblem, final_level_m: Floats, source_m3: Floats, bill: Bill) -> tuple[Violation, ...]:
    """End levels, daily volumes of sources, emissions: what only the whole simulation shows."""
    found = []
    end_s = int(problem.steps.offsets_s[-1])
    for i, tank in enumerate(problem.network.tanks):
        missing = float(problem.end_level_m[i] - final_level_m[i])
        if missing > 1e-9:
            text = f"tank {tank.name} ends {missing:.3f} m below the {problem.end_level_m[i]:.3f} m asked for"
            found.append(Violation(limit="end level", element=tank.name, at_s=end_s, amount=missing, unit="m", text=text))
        if problem.end_level_max_m is not None and (over := float(final_level_m[i] - problem.end_level_max_m[i])) > 1e-9:
            text = f"tank {tank.name} ends {over:.3f} m above the {problem.end_level_max_m[i]:.3f} m that it may have"
            found.append(Violation(limit="end level", element=tank.name, at_s=end_s, amount=over, unit="m", text=text))
    days = days_of(problem)
    for i, source in enumerate(problem.sources):
        if source.max_volume_m3_per_day is None:
            continue
        for day in range(int(days[-1]) + 1):
            over = float(np.maximum(source_m3[days == day, i], 0.0).sum()) - source.max_volume_m3_per_day
            if over > 1e-6 * max(source.max_volume_m3_per_day, 1.0):
                at_s = int(problem.steps.offsets_s[int(np.argmax(days == day))])
                text = f"source {source.reservoir} gives {over:.1f} m3 more than the {source.max_volume_m3_per_day:.1f} m3 allowed in the day from {clock(problem, at_s)} UTC"
                found.append(Violation(limit="source", element=source.reservoir, at_s=at_s, amount=over, unit="m3", text=text))
    if problem.max_co2_kg is not None and (over := bill.co2_kg - problem.max_co2_kg) > 1e-9 * max(problem.max_co2_kg, 1.0):
        text = f"energy from the grid causes {bill.co2_kg:.1f} kg of CO2, {over:.1f} kg more than the {problem.max_co2_kg:.1f} kg allowed"
        found.append(Violation(limit="co2", element="horizon", at_s=None, amount=over, unit="kg", text=text))
    return tuple(found)
