"""What a plan says about an instant: which pumps run, until when, what is switched next, and the bars of a chart."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from levada.domain.plan import Plan, PumpPlan, Reason

__all__ = ["Bar", "PumpNow", "Switch", "bars", "plan_end", "pump_now", "step_at", "step_edges", "switches"]

_SAME_SPEED = 0.005
"""Speeds that differ by less are one speed to the eye and to a switch list."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch [start, end) in which a pump runs at one speed."""

    start: datetime
    end: datetime
    speed: float


@dataclass(frozen=True, slots=True)
class Switch:
    """A change of one pump: started, stopped or set to another speed."""

    pump: str
    time: datetime
    action: str
    """`start`, `stop` or `speed`."""
    speed: float
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class PumpNow:
    """What the plan says of a pump at an instant; `until` is when that changes or the plan ends."""

    name: str
    on: bool
    speed: float
    until: datetime
    next: Switch | None


def step_edges(plan: Plan) -> list[datetime]:
    """The n + 1 instants between which the plan's n steps lie."""
    last = plan.step_starts[-1] + timedelta(seconds=plan.step_seconds[-1])
    return [*plan.step_starts, last]


def plan_end(plan: Plan) -> datetime:
    return step_edges(plan)[-1]


def step_at(plan: Plan, instant: datetime) -> int | None:
    """Index of the step that holds the instant; None before the plan starts or after its last step."""
    if not plan.step_starts[0] <= instant < plan_end(plan):
        return None
    return bisect_right(plan.step_starts, instant) - 1


def bars(plan: Plan, pump: PumpPlan) -> list[Bar]:
    """The stretches in which the pump runs; neighbouring steps at one speed are one bar."""
    edges = step_edges(plan)
    found: list[Bar] = []
    for i, (on, speed) in enumerate(zip(pump.on, pump.speed, strict=True)):
        if not on:
            continue
        if found and found[-1].end == edges[i] and abs(found[-1].speed - speed) < _SAME_SPEED:
            found[-1] = Bar(found[-1].start, edges[i + 1], found[-1].speed)
        else:
            found.append(Bar(edges[i], edges[i + 1], speed))
    return found


def _changes(plan: Plan, pump: PumpPlan) -> list[tuple[datetime, str, float]]:
    states = list(zip(pump.on, pump.speed, strict=True))
    changes = []
    for time, ((was_on, old), (is_on, new)) in zip(plan.step_starts[1:], pairwise(states), strict=True):
        if is_on and not was_on:
            changes.append((time, "start", new))
        elif was_on and not is_on:
            changes.append((time, "stop", 0.0))
        elif is_on and abs(new - old) >= _SAME_SPEED:
            changes.append((time, "speed", new))
    return changes


def switches(plan: Plan, after: datetime) -> list[Switch]:
    """All changes later than `after`, in order of time, each with the plan's reason for it where it gives one."""
    reasons = {(r.pump, r.time): r for r in plan.reasons}
    found = [
        Switch(pump.name, time, action, speed, reasons.get((pump.name, time)))
        for pump in plan.pumps
        for time, action, speed in _changes(plan, pump)
        if time > after
    ]
    return sorted(found, key=lambda s: (s.time, s.pump))


def pump_now(plan: Plan, instant: datetime) -> list[PumpNow]:
    """Each pump's planned state at the instant; empty when the plan has no step for it."""
    step = step_at(plan, instant)
    if step is None:
        return []
    ahead = switches(plan, instant)
    states = []
    for pump in plan.pumps:
        following = next((s for s in ahead if s.pump == pump.name), None)
        until = following.time if following else plan_end(plan)
        states.append(PumpNow(pump.name, pump.on[step], pump.speed[step] if pump.on[step] else 0.0, until, following))
    return states
