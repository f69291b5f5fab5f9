"""What came of plans: the plant simulated in EPANET with the demand and the prices that really came, the plans followed as they were made.

Pure: a bundle of kind `outcome` in, canonical JSON of an Outcome out. Each plan is followed from its issue until the next one is there or until it expires;
where no plan is valid, tank levels switch the pumps, as the lowest rung of the ladder says. Levels are carried through all of it. What is then
judged and billed is the whole stretch at once, so that starts are counted by the day and a peak is charged once. The level that a plan has to
end at is let go: it is a promise to a day that another plan has dealt with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
from pydantic import BaseModel

from levada.domain.bundle import Bundle, BundleError, canonical_json, readings_from_bytes, readings_to_bytes
from levada.domain.calendar import holidays_in
from levada.domain.errors import InputGap
from levada.domain.network import Network
from levada.domain.plan import ForecastReport, Plan, ZoneForecast
from levada.domain.plan_input import PlanInput
from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.domain.series import Floats, Readings
from levada.domain.time import Steps, Window, floor_to, from_np, isoformat_z, parse_instant
from levada.forecast.grid import even_steps, usual_interval_s
from levada.hydraulics.audit import audit
from levada.hydraulics.inp import read_network
from levada.kpi.volumes import tank_volume_m3
from levada.runs.problem import state_problem
from levada.runs.rest import between_steps, plan_over_steps
from levada.runs.steps import start_grid
from levada.schedule import follow_rules

__all__ = ["KIND", "Followed", "Outcome", "OutcomeViolation", "compute", "outcome_bundle"]

KIND = "outcome"
_MOST_UNKNOWN = 0.5
"""Where more of a zone's demand is not known, nothing can be said of what came of a plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """From this instant on pumps go by this plan; None where there was none."""

    since: datetime
    plan: Plan | None


class OutcomeViolation(BaseModel):
    """A limit that did not hold. `amount` in `unit`."""

    limit: str
    element: str
    amount: float
    unit: str
    text: str


class Outcome(BaseModel):
    """What came of plans between two instants. Costs in the utility's currency, by the tariff and prices that came, with demand charges.

    `step_starts` and, at the end, `until`: n + 1 instants; `level_m` by tank at each of them; `on`, `speed` by pump in each step. `stored_m3`: what the tanks
    gained. `demand_m3`: all that was drawn. `by_rules_s`: for how long no plan was valid.
    """

    step_starts: list[datetime]
    until: datetime
    cost: float
    energy_kwh: float
    demand_m3: float
    stored_m3: float
    starts: int
    by_rules_s: int
    violations: list[OutcomeViolation]
    level_m: dict[str, list[float]]
    on: dict[str, list[bool]]
    speed: dict[str, list[float]]
    flags: list[str]


def outcome_bundle(inputs: PlanInput, demand: Mapping[str, Readings], followed: Sequence[Followed], until: datetime) -> Bundle:
    """`inputs`: how things stood at its issue time, and the prices as they came. `demand`: what each zone drew, m3/s. `followed`: in order, the first at the issue time."""
    told = {
        "until": isoformat_z(until),
        "followed": [{"since": isoformat_z(f.since), "plan": None if f.plan is None else f.plan.model_dump(mode="json")} for f in followed],
    }
    return Bundle(KIND, {**inputs.to_bundle().parts, **{f"demand/{zone}": readings_to_bytes(r) for zone, r in demand.items()}, "followed.json": canonical_json(told)})


def compute(bundle: Bundle) -> bytes:
    """Canonical JSON of an Outcome.

    Raises BundleError for a bundle that is of another kind, InputGap where too little of the demand was measured, and what a planning run's input may raise.
    """
    if bundle.kind != KIND:
        raise BundleError(bundle.bundle_id, f"is a bundle for {bundle.kind!r}, not for what came of plans")
    told = json.loads(bundle.parts["followed.json"])
    inputs = PlanInput.of(Bundle("plan", {name: part for name, part in bundle.parts.items() if not name.startswith("demand/") and name != "followed.json"}))
    demand = {name.removeprefix("demand/"): readings_from_bytes(part) for name, part in bundle.parts.items() if name.startswith("demand/")}
    followed = [Followed(since=parse_instant(f["since"]), plan=None if f["plan"] is None else Plan.model_validate(f["plan"])) for f in told["followed"]]
    return canonical_json(_lived(inputs, demand, followed, parse_instant(told["until"])).model_dump(mode="json"))


def _lived(inputs: PlanInput, demand: Mapping[str, Readings], followed: Sequence[Followed], until: datetime) -> Outcome:
    network, grid = read_network(inputs.inp, inputs.operation.network), start_grid(inputs.operation)
    start = floor_to(inputs.issue_time, grid)
    steps = Steps.even(start, grid, max(1, -int((start - floor_to(until, grid)) // grid)))
    holidays = holidays_in(inputs.utility, Window(start - timedelta(days=1), steps.window.end + timedelta(days=1)))
    drawn, flags = _drawn(inputs, demand, steps)
    stated = state_problem(inputs, network, steps, drawn, holidays)
    # Of a promise to the next day, of what plans are worth for not changing, and of what water is worth there is nothing to be judged here.
    problem = replace(
        stated.problem, end_level_m=stated.problem.min_level_m.copy(), end_level_max_m=None, scenarios=None, stored_value_per_m3=None, deviation_cost_per_h=None, previous_on=None,
    )  # fmt: skip
    schedule, by_rules_s = _schedule(problem, network, followed)
    verdict = audit(problem, schedule).trajectory
    gained = sum(float(np.diff(tank_volume_m3(tank, verdict.level_m[[0, -1], i]))[0]) for i, tank in enumerate(network.tanks))
    return Outcome(
        step_starts=[from_np(t) for t in steps.times],
        until=steps.window.end,
        cost=verdict.cost,
        energy_kwh=verdict.energy_kwh,
        demand_m3=float((problem.demand_m3_per_s * np.array(steps.durations_s)[:, None]).sum()),
        stored_m3=gained,
        starts=int(schedule.starts(problem.count_starts, problem.initial_on).sum()),
        by_rules_s=by_rules_s,
        violations=[OutcomeViolation(limit=v.limit, element=v.element, amount=v.amount, unit=v.unit, text=v.text) for v in verdict.violations],
        level_m={tank.name: [float(v) for v in verdict.level_m[:, i]] for i, tank in enumerate(network.tanks)},
        on={pump.name: [bool(v) for v in schedule.on[:, j]] for j, pump in enumerate(network.pumps)},
        speed={pump.name: [float(v) for v in schedule.speed[:, j]] for j, pump in enumerate(network.pumps)},
        flags=[*flags, *stated.flags],
    )


def _drawn(inputs: PlanInput, demand: Mapping[str, Readings], steps: Steps) -> tuple[ForecastReport, list[str]]:
    """What each zone drew in each step, in the form of a forecast that came true; and where it is not known."""
    step_s, zones, flags = steps.durations_s[0], [], list[str]()
    for name in inputs.operation.zones:
        readings = demand.get(name, Readings.empty()).usable()
        flow = np.full(len(steps), np.nan)
        found: Floats = even_steps(readings, usual_interval_s(readings), steps.window.end, step_s)[-len(steps) :]
        flow[len(flow) - len(found) :] = found
        unknown = np.isnan(flow)
        if unknown.mean() > _MOST_UNKNOWN:
            raise InputGap(
                f"zone {name}: what it drew is known for {int((~unknown).sum())} of {len(steps)} steps from {steps.start:%Y-%m-%d %H:%M} UTC",
                "deliver the flows of that time, or leave the day out",
            )
        if unknown.any():
            at = np.arange(len(flow))
            flow[unknown] = np.interp(at[unknown], at[~unknown], flow[~unknown])
            flags.append(f"zone {name}: what it drew is not known for {int(unknown.sum())} of {len(steps)} steps; the steps around them stand in")
        values = [float(v) for v in np.maximum(flow, 0.0)]
        zones.append(ZoneForecast(zone=name, method="measured", q10_m3_per_s=values, q50_m3_per_s=values, q90_m3_per_s=values))
    return ForecastReport(issue_time=inputs.issue_time, step_s=step_s, times=[from_np(t) for t in steps.times], zones=zones), flags


def _schedule(problem: PumpingProblem, network: Network, followed: Sequence[Followed]) -> tuple[PumpSchedule, int]:
    """What the pumps do in each step, and for how many seconds no plan was valid."""
    steps, n = problem.steps, len(problem.steps)
    on, speed = np.zeros(problem.available.shape, bool), np.zeros(problem.available.shape)
    choice = np.zeros((n, len(problem.valves)), np.int64)
    covered = np.zeros(n, bool)
    for f, following in pairwise([*followed, None]):
        assert f is not None
        mine = steps.times >= np.datetime64(floor_to(f.since, timedelta(seconds=steps.durations_s[0])).replace(tzinfo=None))
        if following is not None:
            mine &= steps.times < np.datetime64(floor_to(following.since, timedelta(seconds=steps.durations_s[0])).replace(tzinfo=None))
        given = None if f.plan is None else plan_over_steps(f.plan, network, problem.valves, steps)
        if given is None or f.plan is None:
            continue
        mine &= given.is_covered & (steps.times < np.datetime64(f.plan.expires_at.replace(tzinfo=None)))
        for into, said in ((on, given.schedule.on), (speed, given.schedule.speed), (choice, given.schedule.valve_choice)):
            into[mine] = said[mine]
        covered |= mine
    for first, end in _runs(~covered):
        before = audit(between_steps(problem, 0, first), PumpSchedule(on=on[:first], speed=speed[:first], valve_choice=choice[:first])).trajectory if first else None
        part = replace(
            between_steps(problem, first, end),
            initial_level_m=problem.initial_level_m if before is None else np.clip(before.level_m[-1], problem.min_level_m, problem.max_level_m),
            initial_on=problem.initial_on if first == 0 else on[first - 1],
        )
        rules = follow_rules(part)
        on[first:end], speed[first:end], choice[first:end] = rules.on, rules.speed, rules.valve_choice
    return PumpSchedule(on=on, speed=speed, valve_choice=choice), int(np.array(steps.durations_s)[~covered].sum())


def _runs(of: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[tuple[int, int]]:
    """Stretches [first, end) in which it holds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], of, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
