"""From an input bundle to a plan: the one caller of the algorithms. Pure: the same bundle and code give the same bytes.

forecast -> problem -> schedule -> EPANET's audit (or a lower rung of the ladder) -> indicators -> the result as canonical JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta

import numpy as np

from levada.domain.bundle import Bundle, canonical_json
from levada.domain.calendar import holidays_in
from levada.domain.network import Network
from levada.domain.plan import (
    AuditReport,
    BillReport,
    ForecastReport,
    Indicator,
    Ladder,
    Plan,
    PlanResult,
    PumpPlan,
    Reason,
    TankPlan,
    ValvePlan,
    ViolationReport,
)
from levada.domain.plan_input import PlanInput
from levada.domain.pumping import PumpingProblem, Violation
from levada.domain.series import Floats
from levada.domain.time import Steps, Window, floor_to, from_np, isoformat_z
from levada.forecast import ForecastInput, forecast
from levada.hydraulics.audit import audit
from levada.hydraulics.inp import pattern_demands, read_network
from levada.kpi import plan_indicators
from levada.runs.demand import local_clock_s
from levada.runs.ladder import Rung, best_rung
from levada.runs.problem import StatedProblem, state_problem
from levada.runs.steps import MODEL_HISTORY_DAYS, forecast_count, plan_steps
from levada.runs.stored_models import used_models, with_models
from levada.runs.zones import zone_demands
from levada.schedule import Progress, SwitchReason, follow_rules

__all__ = ["compute"]


def compute(bundle: Bundle, tell: Callable[[Progress], None] | None = None) -> bytes:
    """Compute a planning run: canonical JSON of a PlanResult. `tell` hears how the schedule gets on; nothing depends on it.

    Raises BundleError for a bundle that is no plan's, and DocumentError, NetworkError, ProblemError or InputGap for an input with which no
    plan can be made; an input for which only the lower rungs of the ladder can be reached is no error.
    """
    inputs = PlanInput.of(bundle)
    network = read_network(inputs.inp, inputs.operation.network)
    steps = plan_steps(inputs.issue_time, inputs.operation)
    holidays = holidays_in(inputs.utility, Window(inputs.issue_time - timedelta(days=MODEL_HISTORY_DAYS), inputs.issue_time + timedelta(hours=inputs.operation.forecast_hours + 24)))
    expected, paths, model_flags = _forecast(inputs, network, holidays, bundle.seed)
    stated = state_problem(inputs, network, steps, expected, holidays, paths=paths)
    rung = best_rung(stated.problem, inputs.previous_plan, inputs.issue_time, tell)
    plan = _plan(inputs, stated, rung, [*_forecast_flags(expected), *model_flags])
    result = PlanResult(plan=plan, forecast=expected, indicators=_indicators(inputs, rung))
    return canonical_json(result.model_dump(mode="json"))


def _forecast(inputs: PlanInput, network: Network, holidays: Mapping[date, str], seed: int) -> tuple[ForecastReport, Floats, list[str]]:
    """Demand ahead; its paths (paths, zones, steps); and what is to be said of stored models that were left out."""
    operation = inputs.operation
    step, count = timedelta(minutes=operation.step_minutes), forecast_count(operation)
    steps = Steps.even(floor_to(inputs.issue_time, step), step, count)
    by_pattern = pattern_demands(network, steps, start_clock_s=local_clock_s(steps.start, inputs.utility.time_zone))
    # A junction that the model feeds in has no part in what a zone draws; a flow meter's zone draws no less than nothing.
    fallback = {
        name: np.maximum(by_pattern[:, [network.junction_index[j] for j in area.junctions]].sum(axis=1), 0.0) for name, area in operation.zones.items()
    }
    asked, left_out = with_models(
        ForecastInput(
            issue_time=inputs.issue_time,
            step_s=int(step.total_seconds()),
            count=count,
            time_zone=inputs.utility.time_zone,
            holidays=holidays,
            local_days=inputs.utility.local_days,
            zones=zone_demands(operation, network, inputs.readings, steps.start),
            fallback=fallback,
            scenarios=0 if operation.scenarios is None else operation.scenarios.count,
            seed=seed,
        ),
        inputs.models,
    )
    found = forecast(asked)
    return used_models(found.report(), asked, inputs.models), found.scenarios_m3_per_s, left_out


def _plan(inputs: PlanInput, stated: StatedProblem, rung: Rung, forecast_flags: list[str]) -> Plan:
    problem, trajectory = rung.problem, rung.audit.trajectory
    steps, n = problem.steps, len(problem.steps)
    starts = rung.schedule.starts(problem.count_starts, problem.initial_on)
    valid_until = min(steps.start + timedelta(hours=inputs.operation.plan_valid_hours), steps.window.end)
    # Cost by step from the audit: its flows and powers are the ones shown.
    step_cost = trajectory.bill.energy.sum(axis=1) + trajectory.bill.water.sum(axis=1)
    return Plan(
        tenant_id=inputs.tenant_id,
        issue_time=inputs.issue_time,
        starts_at=steps.start,
        expires_at=rung.expires_at or valid_until,
        ladder=rung.ladder,
        ladder_reason=rung.reason,
        currency=inputs.utility.currency,
        step_starts=[from_np(t) for t in steps.times],
        step_seconds=list(steps.durations_s),
        price_per_kwh=_floats(stated.prices.per_kwh[:n]),
        price_period=list(stated.prices.period[:n]),
        price_assumed=list(stated.prices.assumed[:n]),
        pumps=[
            PumpPlan(
                name=pump.name,
                on=[bool(v) for v in rung.schedule.on[:, i]],
                speed=_floats(rung.schedule.speed[:, i]),
                flow_m3_per_s=_floats(trajectory.flow_m3_per_s[:, i]),
                power_w=_floats(trajectory.power_w[:, i]),
                starts=int(starts[i]),
            )
            for i, pump in enumerate(problem.network.pumps)
        ],
        tanks=[
            TankPlan(
                name=tank.name,
                level_m=_floats(trajectory.level_m[:, i]),
                min_level_m=float(problem.min_level_m[i]),
                max_level_m=float(problem.max_level_m[i]),
                end_level_m=float(problem.end_level_m[i]),
                end_level_max_m=None if problem.end_level_max_m is None else float(problem.end_level_max_m[i]),
                reserve_level_m=_where_it_counts(problem.reserve_level_m, i, problem.min_level_m),
                ceiling_level_m=_where_it_counts(problem.ceiling_level_m, i, problem.max_level_m),
            )
            for i, tank in enumerate(problem.network.tanks)
        ],
        valves=[ValvePlan(link=v.link, choice=[v.choices[c] for c in rung.schedule.valve_choice[:, i]]) for i, v in enumerate(problem.valves)],
        demand_m3_per_s=_floats(problem.demand_m3_per_s.sum(axis=1)),
        cost=rung.certificate.cost,
        energy_kwh=trajectory.energy_kwh,
        step_cost=_floats(step_cost),
        bill=BillReport.of(trajectory.bill),
        certificate=rung.certificate,
        audit=AuditReport(
            accepted=rung.audit.accepted,
            cost=trajectory.cost,
            energy_kwh=trajectory.energy_kwh,
            engine=rung.audit.engine,
            hydraulic_step_s=rung.audit.hydraulic_step_s,
            violations=[_violation(v, problem) for v in trajectory.violations],
        ),
        reasons=[_reason(r, problem) for r in rung.reasons],
        flags=[*stated.flags, *rung.flags, *forecast_flags],
    )


def _indicators(inputs: PlanInput, rung: Rung) -> list[Indicator]:
    """Of the plan, beside what rule-based control would do over the same steps (which is what the lowest rung is itself)."""
    baseline = None
    if rung.ladder is not Ladder.RULES:
        baseline = audit(rung.problem, follow_rules(rung.problem)).trajectory
    return plan_indicators(rung.problem, rung.schedule, rung.audit.trajectory, baseline, currency=inputs.utility.currency)


def _floats(values: Floats) -> list[float]:
    return [float(v) for v in values]


def _where_it_counts(limit: Floats | None, i: int, always: Floats) -> list[float] | None:
    """A tank's limit by step; None where it says no more than the one that always holds."""
    return None if limit is None or (limit[:, i] == always[i]).all() else _floats(limit[:, i])


def _violation(violation: Violation, problem: PumpingProblem) -> ViolationReport:
    at, until = (None if s is None else problem.steps.start + timedelta(seconds=s) for s in (violation.at_s, violation.until_s))
    return ViolationReport(
        limit=violation.limit, element=violation.element, at=at, amount=violation.amount, unit=violation.unit, text=violation.text, kind=violation.kind, until=until
    )


def _reason(reason: SwitchReason, problem: PumpingProblem) -> Reason:
    pump = problem.network.pump_index[reason.pump]
    if reason.action == "off" and not problem.available[reason.step, pump]:
        cause = "out of service"
    elif reason.action == "on" and problem.forced_on is not None and problem.forced_on[reason.step, pump]:
        cause = "must run"
    else:
        cause = "water" if {"pumping_cost_per_m3", "water_value_per_m3"} <= reason.figures.keys() else "price"
    limit, _, element = reason.binding.partition(" of ")
    return Reason(
        pump=reason.pump, time=from_np(problem.steps.times[reason.step]), action=reason.action, text=reason.text, figures=dict(reason.figures), cause=cause,
        binding_limit=limit, binding_element=element,
    )  # fmt: skip


def _forecast_flags(expected: ForecastReport) -> list[str]:
    """What a reader of the plan must know of the forecast: zones that could not be forecast as they should be, and why; lasting changes of demand."""
    flags = []
    for area in expected.zones:
        flags += [f"zone {area.zone}: since {isoformat_z(c.since)} demand is {c.ratio:.2f} times what it was; the forecast follows it" for c in area.changes]
        if area.method != "ensemble":
            flags.append(f"zone {area.zone}: demand is by {area.method}{f' ({area.notes[0]})' if area.notes else ''}")
    return flags
