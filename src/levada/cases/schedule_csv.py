"""schedule.csv: what each pump does in each step, and each valve's choice. Written so that reading it gives back the same bits.

    time,step_s,P1.on,P1.speed,V1.choice
    2026-03-01T00:00:00Z,3600,1,0.95,open

`P.speed` may be left out for a pump of fixed speed, `P.on` where the speed says it (0 is off). `time` as in all CSVs of a case.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from levada.cases.table import Rows, read_rows, time_of
from levada.domain.errors import FileError
from levada.domain.network import Network
from levada.domain.pumping import Bools, Ints, PumpingProblem, PumpSchedule
from levada.domain.pumping_terms import ControllableValve, ValveSetting
from levada.domain.series import Floats
from levada.domain.time import from_np, isoformat_z
from levada.domain.timeline import Timeline

__all__ = ["PreviousPlan", "choice_text", "previous_plan", "read_schedule", "write_schedule"]


def choice_text(choice: ValveSetting) -> str:
    """A valve's choice as files have it: `open`, `closed` or a number."""
    return choice if isinstance(choice, str) else repr(float(choice))


def write_schedule(problem: PumpingProblem, schedule: PumpSchedule) -> str:
    """The text of schedule.csv."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    pumps = [p.name for p in problem.network.pumps]
    writer.writerow(["time", "step_s", *(c for p in pumps for c in (f"{p}.on", f"{p}.speed")), *(f"{v.link}.choice" for v in problem.valves)])
    for k, (time, duration) in enumerate(zip(problem.steps.times, problem.steps.durations_s, strict=True)):
        states = [c for j in range(len(pumps)) for c in (int(schedule.on[k, j]), repr(float(schedule.speed[k, j])))]
        choices = [choice_text(v.choices[int(schedule.valve_choice[k, i])]) for i, v in enumerate(problem.valves)]
        writer.writerow([isoformat_z(from_np(time)), duration, *states, *choices])
    return out.getvalue()


def read_schedule(path: Path, problem: PumpingProblem, timeline: Timeline) -> tuple[PumpingProblem, PumpSchedule]:
    """Read a schedule for the case's own steps: the problem and the schedule. Where pumps may be switched within steps, rows may begin at any multiple of
    the resolution and hold until the next one; the problem is then that on the steps that edges and rows make. Raises FileError and RowError for what does not fit.

    Speeds out of a pump's range and pumps that must not run are read as they are: they are the audit's to judge.
    """
    rows = read_rows(path)
    _has_time(rows)
    times, n = time_of(rows, timeline), len(problem.steps)
    if problem.switch_resolution_s is not None:
        return _on_instants(rows, times, problem, problem.switch_resolution_s)
    if len(times) != n:
        raise FileError(file=str(path), problem=f"has {len(times)} rows, the case has {n} steps", remedy="give one row per step of the case")
    for (line, cells), found, wanted in zip(rows.rows, times, problem.steps.times, strict=True):
        if found != from_np(wanted):
            raise rows.fault(line, "time", cells[rows.header.index("time")], f"{isoformat_z(from_np(wanted))}, the start of the case's step")
    if "step_s" in rows.header:
        for (line, text), wanted_s in zip(rows.column("step_s"), problem.steps.durations_s, strict=True):
            if text != str(wanted_s):
                raise rows.fault(line, "step_s", text, f"{wanted_s}, the length of the case's step")
    return problem, _schedule(rows, problem.network, problem.valves, problem.max_speed, problem.min_speed)


def _on_instants(rows: Rows, times: list[datetime], problem: PumpingProblem, resolution_s: int) -> tuple[PumpingProblem, PumpSchedule]:
    start, end_s = problem.steps.start, int(problem.steps.offsets_s[-1])
    begins = [(t - start).total_seconds() for t in times]
    place = rows.header.index("time")
    for (line, cells), at_s, before in zip(rows.rows, begins, [-1.0, *begins[:-1]], strict=True):
        if before < 0 and at_s:
            raise rows.fault(line, "time", cells[place], f"{isoformat_z(start)}, the start of the case")
        if at_s <= before or at_s >= end_s or at_s % resolution_s:
            raise rows.fault(line, "time", cells[place], f"a time after the row before, before the case's end, a multiple of {resolution_s} s from its start")
    if "step_s" in rows.header:
        for (line, text), at_s, until_s in zip(rows.column("step_s"), begins, [*begins[1:], float(end_s)], strict=True):
            if text != str(int(until_s - at_s)):
                raise rows.fault(line, "step_s", text, f"{int(until_s - at_s)}, the seconds until the next row")
    found = _schedule(rows, problem.network, problem.valves, problem.max_speed, problem.min_speed)
    on_steps = problem.on_steps(np.array(begins, np.int64))
    row = np.searchsorted(np.array(begins), on_steps.steps.offsets_s[:-1], side="right") - 1
    return on_steps, PumpSchedule(on=found.on[row], speed=found.speed[row], valve_choice=found.valve_choice[row] if problem.valves else found.valve_choice)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreviousPlan:
    """An earlier plan over a case's steps: `covered` (n,) says which of them it covers; elsewhere pumps are off in it."""

    on: Bools
    covered: Bools
    schedule: PumpSchedule


def previous_plan(
    path: Path, network: Network, valves: tuple[ControllableValve, ...], max_speed: Floats, min_speed: Floats, timeline: Timeline
) -> PreviousPlan:
    """Read an earlier schedule.csv, whose steps may be others: in each step what it says of the step's start. Raises FileError and RowError."""
    rows = read_rows(path)
    _has_time(rows)
    if "step_s" not in rows.header:
        raise FileError(file=str(path), problem="has no column `step_s`", remedy="give the length of each step in seconds")
    times = time_of(rows, timeline)
    line, text = list(rows.column("step_s"))[-1]
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 10**7):
        raise rows.fault(line, "step_s", text, "a whole number of seconds")
    schedule = _schedule(rows, network, valves, max_speed, min_speed)
    row = timeline.row_of_minute(times, int(text))[timeline.steps.offsets_s[:-1] // 60]
    covered = row >= 0
    on = schedule.on[row] & covered[:, None]
    speed = np.where(on, np.clip(schedule.speed[row], min_speed, max_speed), 0.0)
    return PreviousPlan(on=on, covered=covered, schedule=PumpSchedule(on=on, speed=speed, valve_choice=schedule.valve_choice[row] if valves else schedule.valve_choice))


def _has_time(rows: Rows) -> None:
    if "time" not in rows.header:
        raise FileError(file=str(rows.path), problem=f"has no column `time`; found {', '.join(rows.header[:8])}", remedy="it must be a schedule.csv")


def _schedule(rows: Rows, network: Network, valves: tuple[ControllableValve, ...], max_speed: Floats, min_speed: Floats) -> PumpSchedule:
    known = {"time", "step_s", *(f"{p.name}.{w}" for p in network.pumps for w in ("on", "speed")), *(f"{v.link}.choice" for v in valves)}
    for name in rows.header:
        if name not in known:
            raise FileError(file=str(rows.path), problem=f"the column {name!r} is unknown", remedy="columns are time, step_s, PUMP.on, PUMP.speed and VALVE.choice, with the case's names")
    speeds = [_speeds(rows, p.name, float(max_speed[j]), is_fixed=bool(min_speed[j] == max_speed[j])) for j, p in enumerate(network.pumps)]
    speed = np.stack(speeds, axis=1)
    choices = np.stack([_choices(rows, v) for v in valves], axis=1) if valves else np.zeros((0, 0), np.int64)
    return PumpSchedule(on=speed > 0, speed=speed, valve_choice=choices)


def _speeds(rows: Rows, pump: str, usual: float, *, is_fixed: bool) -> Floats:
    on_column, speed_column = f"{pump}.on", f"{pump}.speed"
    if speed_column not in rows.header:
        if on_column not in rows.header:
            raise FileError(file=str(rows.path), problem=f"has no column {on_column!r}", remedy="give each pump of the case its columns")
        if not is_fixed:
            raise FileError(file=str(rows.path), problem=f"has no column {speed_column!r}", remedy="give the speeds of a pump of variable speed")
    on = [_is_on(rows, line, on_column, text) for line, text in rows.column(on_column)] if on_column in rows.header else None
    if speed_column not in rows.header:
        return np.where(np.array(on), usual, 0.0)
    speeds = rows.numbers(speed_column)
    for k, (line, text) in enumerate(rows.column(speed_column)):
        if not 0 <= speeds[k] <= 10:
            raise rows.fault(line, speed_column, text, "a relative speed from 0 (off) up, such as 0.95")
        if on is not None and on[k] != (speeds[k] > 0):
            raise rows.fault(line, speed_column, text, f"{'a speed above 0, for it is on' if on[k] else '0, for it is off'} by {on_column!r}")
    return speeds


def _is_on(rows: Rows, line: int, column: str, text: str) -> bool:
    if text not in ("0", "1"):
        raise rows.fault(line, column, text, "1 (on) or 0 (off)")
    return text == "1"


def _choices(rows: Rows, valve: ControllableValve) -> Ints:
    column = f"{valve.link}.choice"
    if column not in rows.header:
        raise FileError(file=str(rows.path), problem=f"has no column {column!r}", remedy="give each valve of the case its column")
    found = []
    for line, text in rows.column(column):
        try:
            value: ValveSetting = float(text)
        except ValueError:
            value = "open" if text == "open" else "closed" if text == "closed" else math.nan
        if value not in valve.choices:
            raise rows.fault(line, column, text, f"one of {', '.join(choice_text(c) for c in valve.choices)}")
        found.append(valve.choices.index(value))
    return np.array(found, np.int64)
