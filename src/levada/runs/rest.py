"""What is left of a plan: whether it is followed, what it says for other steps, and a problem cut to its first steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from levada.domain.network import Network
from levada.domain.plan import Ladder, Plan
from levada.domain.pumping import Bools, Ints, PumpingProblem, PumpSchedule
from levada.domain.pumping_terms import ControllableValve, Scenarios
from levada.domain.time import Steps, from_np

__all__ = ["PlanOverSteps", "between_steps", "carried_on", "first_steps", "is_followed", "plan_over_steps"]

_OVER_STEPS = (
    "demand_m3_per_s", "price_per_kwh", "available", "reserve_level_m", "ceiling_level_m", "co2_kg_per_kwh", "day", "forced_on", "previous_on",
    "deviation_cost_per_h",
)  # fmt: skip
"""Fields of a PumpingProblem with a row for each step."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlanOverSteps:
    """What a plan says for other steps than its own: the schedule, in each step what it says for the step's beginning; and which steps
    lie within it, (n,). Outside of it all is off and each valve at its first choice."""

    schedule: PumpSchedule
    is_covered: Bools


def is_followed(plan: Plan, at: datetime) -> bool:
    """Do the pumps go by this plan at that instant? Not by one that has expired, nor by a description of what rules will do."""
    return plan.ladder is not Ladder.RULES and plan.starts_at <= at < plan.expires_at


def plan_over_steps(plan: Plan, network: Network, valves: Sequence[ControllableValve], steps: Steps) -> PlanOverSteps | None:
    """None where the plan is of other pumps or valves, or sets a valve to what is no choice any more."""
    if not _is_of(plan, network, valves):
        return None
    given = Steps(plan.step_starts[0], tuple(plan.step_seconds))
    at = np.searchsorted(given.times, steps.times, side="right") - 1
    covered = (at >= 0) & (steps.edges[1:] <= given.edges[-1])
    told, inside = _said(plan, network, valves, np.where(covered, at, 0)), covered[:, None]
    schedule = PumpSchedule(on=told.on & inside, speed=np.where(inside, told.speed, 0.0), valve_choice=np.where(inside, told.valve_choice, 0))
    return PlanOverSteps(schedule=schedule, is_covered=covered)


def carried_on(plan: Plan, network: Network, valves: Sequence[ControllableValve], steps: Steps) -> PumpSchedule | None:
    """A schedule over all the steps to begin a search from: in each what the plan says for its beginning, or, where that lies beyond the
    plan's end, for the fewest whole days before it.

    None where `plan_over_steps` gives none, or the plan says nothing of some step's beginning nor of the same time on any day before.
    """
    if not _is_of(plan, network, valves):
        return None
    given = Steps(plan.step_starts[0], tuple(plan.step_seconds))
    day = np.timedelta64(1, "D")
    days_beyond = np.maximum((steps.times - given.edges[-1]) // day + 1, 0)
    at = np.searchsorted(given.times, steps.times - days_beyond * day, side="right") - 1
    return _said(plan, network, valves, at) if at.min() >= 0 else None


def _is_of(plan: Plan, network: Network, valves: Sequence[ControllableValve]) -> bool:
    """Is the plan of these pumps and valves, each valve always at one of its choices?"""
    settings, choices = {valve.link: valve.choice for valve in plan.valves}, {valve.link: valve.choices for valve in valves}
    return (
        {pump.name for pump in plan.pumps} == set(network.pump_index)
        and set(settings) == set(choices)
        and all(choice in choices[link] for link in choices for choice in settings[link])
    )


def _said(plan: Plan, network: Network, valves: Sequence[ControllableValve], at: Ints) -> PumpSchedule:
    """What a plan of this network says in its steps `at`, in that order."""
    pumps, settings = {pump.name: pump for pump in plan.pumps}, {valve.link: valve.choice for valve in plan.valves}
    on = np.array([[pumps[p.name].on[i] for p in network.pumps] for i in at], bool)
    speed = np.array([[pumps[p.name].speed[i] for p in network.pumps] for i in at], np.float64)
    choice = np.array([[v.choices.index(settings[v.link][i]) for v in valves] for i in at], np.int64)
    return PumpSchedule(on=on, speed=np.where(on, speed, 0.0), valve_choice=choice.reshape(len(at), len(valves)))


def first_steps(problem: PumpingProblem, count: int) -> PumpingProblem:
    """The same problem over its first `count` steps only."""
    return between_steps(problem, 0, count)


def between_steps(problem: PumpingProblem, first: int, end: int) -> PumpingProblem:
    """The same problem over the steps [first, end) only. How it begins is still told of the first step of all: levels, what runs, starts made."""
    if (first, end) == (0, len(problem.steps)):
        return problem
    part = slice(first, end)
    meters = tuple(
        replace(
            meter,
            own_power_kw=None if meter.own_power_kw is None else meter.own_power_kw[part],
            export_price_per_kwh=None if meter.export_price_per_kwh is None else meter.export_price_per_kwh[part],
        )
        for meter in problem.meters
    )
    sources = tuple(replace(source, cost_per_m3=None if source.cost_per_m3 is None else source.cost_per_m3[part]) for source in problem.sources)
    scenarios = problem.scenarios
    return replace(
        problem,
        steps=Steps(from_np(problem.steps.times[first]), problem.steps.durations_s[part]),
        meters=meters,
        sources=sources,
        scenarios=None if scenarios is None else Scenarios(demand_m3_per_s=scenarios.demand_m3_per_s[:, part], share=scenarios.share),
        **{name: getattr(problem, name)[part] for name in _OVER_STEPS if getattr(problem, name) is not None},
    )
