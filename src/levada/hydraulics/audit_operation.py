"""What the audit judges without hydraulics: starts, times on and off, pumps that must not run or must, speeds out of range."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from levada.domain.pumping import Bools, Ints, PumpingProblem, PumpSchedule
from levada.hydraulics.audit_findings import Findings, Moment, days, span

__all__ = ["judge_operation"]


def judge_operation(problem: PumpingProblem, schedule: PumpSchedule, findings: Findings) -> None:
    """Every limit on what pumps do, whatever the water does."""
    before = np.vstack([schedule.on[-1] if problem.count_starts == "periodic" else problem.initial_on, schedule.on[:-1]])
    started = schedule.on & ~before
    _judge_starts(problem, started, findings)
    _judge_simultaneous_starts(problem, started, findings)
    for p in range(len(problem.network.pumps)):
        _judge_availability(problem, schedule, p, findings)
        _judge_stays(problem, schedule.on[:, p], p, findings)


def _judge_starts(problem: PumpingProblem, started: Bools, findings: Findings) -> None:
    for d, (steps, moment) in enumerate(days(problem)):
        planned = started[steps].sum(axis=0)
        _judge_starts_of_all(problem, planned, d, moment, findings)
        for p, pump in enumerate(problem.network.pumps):
            made = int(problem.starts_made[p]) if d == 0 and problem.starts_made is not None else 0
            more = int(planned[p]) + made - int(problem.max_starts[p])
            if more > 0 and planned[p]:  # starts made before cannot be taken back: a plan that adds none breaks nothing
                counted = ", counting the last step before the first" if problem.count_starts == "periodic" else ""
                earlier = f", {made} of them before the plan" if made else ""
                findings.observe(
                    "starts", pump.name, moment=moment, kind=f"day {d}", amount=float(more),
                    text=f"pump {pump.name} starts {planned[p] + made} times{earlier}, allowed are {problem.max_starts[p]}{counted}"
                    + (", in the day" if moment else ""),
                )  # fmt: skip


def _judge_starts_of_all(problem: PumpingProblem, planned: Ints, d: int, moment: Moment | None, findings: Findings) -> None:
    """Of all pumps together in day `d`, each pump's own starts (pumps,) being `planned`."""
    most = problem.max_starts_total
    if most is None or not planned.any():
        return
    earlier = int(problem.starts_made.sum()) if d == 0 and problem.starts_made is not None else 0
    count = earlier + int(planned.sum())
    if count > most:
        findings.observe(
            "starts", "all pumps", moment=moment, kind=f"day {d}", amount=float(count - most),
            text=f"all pumps together start {count} times{f', {earlier} of them before the plan' if earlier else ''}, allowed are {most}{', in the day' if moment else ''}",
        )  # fmt: skip


def _judge_simultaneous_starts(problem: PumpingProblem, started: Bools, findings: Findings) -> None:
    most = problem.max_simultaneous_starts
    if most is None:
        return
    for k in range(len(problem.steps)):
        names = [pump.name for p, pump in enumerate(problem.network.pumps) if started[k, p]]
        if len(names) > most:
            findings.observe(
                "simultaneous starts", "all pumps", moment=Moment(at_s=int(problem.steps.offsets_s[k]), step=k, index=k), kind=str(k), amount=float(len(names) - most),
                text=f"{len(names)} pumps start at once ({', '.join(names)}), allowed are {most},",
            )  # fmt: skip


def _judge_availability(problem: PumpingProblem, schedule: PumpSchedule, p: int, findings: Findings) -> None:
    name, edges = problem.network.pumps[p].name, problem.steps.offsets_s
    slowest, fastest = float(problem.min_speed[p]), float(problem.max_speed[p])
    for k in range(len(problem.steps)):
        moment = Moment(at_s=int(edges[k]), until_s=int(edges[k + 1]), step=k, index=k)
        if not schedule.on[k, p]:
            if problem.forced_on is not None and problem.forced_on[k, p]:
                findings.observe("availability", name, f"pump {name} stands although it must run", moment, kind="forced", amount=1.0)
            continue
        if not problem.available[k, p]:
            findings.observe("availability", name, f"pump {name} runs although it is not available", moment, amount=1.0)
        speed = float(schedule.speed[k, p])
        beyond = max(slowest - speed, speed - fastest)
        if beyond > 1e-9:
            findings.observe(
                "availability", name, f"pump {name} runs at speed {speed:.3f}, outside its range {slowest:g} to {fastest:g}",
                moment, kind="speed", amount=beyond,
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Stay:
    """A pump's unbroken time on or off. `from_s` and `to_s` lie within the horizon; `elsewhere_s` is what else it lasts, before the start
    or, counted periodically, at the beginning of the period."""

    is_on: bool
    from_s: int
    to_s: int
    elsewhere_s: float = 0.0

    @property
    def lasts_s(self) -> float:
        return self.to_s - self.from_s + self.elsewhere_s


def _judge_stays(problem: PumpingProblem, on: Bools, p: int, findings: Findings) -> None:
    name = problem.network.pumps[p].name
    stays = _around(_stays(problem, on)) if problem.count_starts == "periodic" else _in_window(problem, _stays(problem, on), p)
    for stay in stays:
        limit, leasts, does = ("on time", problem.min_on_s, "runs") if stay.is_on else ("off time", problem.min_off_s, "stands")
        least = 0.0 if leasts is None else float(leasts[p])
        short = least - stay.lasts_s
        if short > 1e-6:
            where = "at the beginning of the period" if problem.count_starts == "periodic" else "before the plan"
            part = f" ({span(stay.elsewhere_s)} of it {where})" if stay.elsewhere_s else ""
            findings.observe(
                limit, name, f"pump {name} {does} for only {span(stay.lasts_s)}{part}, at least {span(least)} are asked for",
                Moment(at_s=stay.from_s, until_s=stay.to_s), kind=str(stay.from_s), amount=short, unit="s",
            )  # fmt: skip


def _stays(problem: PumpingProblem, on: Bools) -> list[_Stay]:
    edges = problem.steps.offsets_s
    turns = [0, *(int(k) for k in np.flatnonzero(on[1:] != on[:-1]) + 1), len(on)]
    return [_Stay(bool(on[a]), int(edges[a]), int(edges[b])) for a, b in pairwise(turns)]


def _around(stays: list[_Stay]) -> list[_Stay]:
    """Counted periodically: the last goes on in the first where they are alike; one that lasts the whole period has no end."""
    if len(stays) == 1:
        return []
    first, last = stays[0], stays[-1]
    if first.is_on != last.is_on:
        return stays
    return [*stays[1:-1], _Stay(last.is_on, last.from_s, last.to_s, float(first.to_s))]


def _in_window(problem: PumpingProblem, stays: list[_Stay], p: int) -> list[_Stay]:
    """In a window: the first may go on from before, and the last may go on after the end, so it is not judged."""
    was_on = bool(problem.initial_on[p])
    held = np.inf if problem.held_s is None else float(problem.held_s[p])
    first = stays[0]
    if first.is_on == was_on:
        stays = [_Stay(was_on, first.from_s, first.to_s, held), *stays[1:]]
    else:
        stays = [_Stay(was_on, 0, 0, held), *stays]  # it ended at the start
    return stays[:-1]
