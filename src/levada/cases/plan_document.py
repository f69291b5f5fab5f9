"""plan.json: a case's plan with all that is known of it. SI units, times in UTC; numbers as EPANET's audit found them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from levada.cases.case_file import read_bytes
from levada.cases.load import Case
from levada.domain.errors import FileError
from levada.domain.plan import AuditReport, BillReport, Certificate, PumpPlan, Reason, ValvePlan, ViolationReport
from levada.domain.pumping import Audit, PumpingProblem, PumpSchedule, Violation
from levada.domain.series import Floats
from levada.domain.time import from_np
from levada.schedule import Solution

__all__ = ["NodePressure", "PlanDocument", "SourceDraw", "TankCourse", "audit_report", "plan_document", "read_plan", "violation_reports"]

FORMAT: Literal["levada-plan/1"] = "levada-plan/1"
_LARGEST_BYTES = 100_000_000


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TankCourse(_Part):
    """A tank. Levels in m above its elevation; `level_m` and `water_value_per_m3` have one value more than there are steps: at the start and after each step."""

    name: str
    level_m: list[float]
    min_level_m: float
    max_level_m: float
    end_level_m: Annotated[float, Field(description="Least level asked for at the end")]
    end_level_max_m: Annotated[float | None, Field(description="Greatest level allowed at the end")] = None
    reserve_level_m: Annotated[list[float] | None, Field(description="Least level by step, where the case asks for one")] = None
    ceiling_level_m: Annotated[list[float] | None, Field(description="Greatest level by step, where the case asks for one")] = None
    water_value_per_m3: Annotated[list[float], Field(description="Worth of a cubic metre more in it; zeros where unknown")]


class NodePressure(_Part):
    """A node with a pressure floor: the least pressure in each step, m of water; null where it was not simulated."""

    node: str
    floor_m: float
    pressure_m: list[float | None]


class SourceDraw(_Part):
    """A source of the case: water drawn in each step, m3."""

    reservoir: str
    volume_m3: list[float]


class PlanDocument(_Part):
    """A case's plan. Lists over time have a value per step unless they say otherwise."""

    format: Annotated[Literal["levada-plan/1"], Field(description="Of this document")] = FORMAT
    case: Annotated[str, Field(description="The case's name")]
    network_sha256: Annotated[str, Field(description="Of the INP text")]
    currency: Annotated[str, Field(description="ISO 4217 code of all money in it")]
    clock: Annotated[str, Field(description="The case's time zone, or its offset from UTC")]
    starts_at: Annotated[AwareDatetime, Field(description="Start of the horizon")]
    ends_at: Annotated[AwareDatetime, Field(description="End of the horizon")]
    step_starts: Annotated[list[AwareDatetime], Field(description="Start of each step")]
    step_seconds: Annotated[list[int], Field(description="Length of each step, s")]
    pumps: Annotated[list[PumpPlan], Field(description="What each pump does, and its flow and power")]
    price_per_kwh: Annotated[dict[str, list[float]], Field(description="Pump -> price of energy at its meter")]
    tanks: Annotated[list[TankCourse], Field(description="Levels and limits of each tank")]
    valves: Annotated[list[ValvePlan], Field(description="What each valve of the case is set to")] = []
    pressures: Annotated[list[NodePressure], Field(description="At nodes that have a floor")] = []
    sources: Annotated[list[SourceDraw], Field(description="Water drawn from each source of the case")] = []
    demand_m3_per_s: Annotated[list[float], Field(description="All junctions together")]
    energy_kwh: Annotated[float, Field(description="Of all pumps, own power not taken off")]
    bill: Annotated[BillReport, Field(description="What it costs, item by item")]
    certificate: Annotated[Certificate, Field(description="How good it provably is")]
    audit: Annotated[AuditReport, Field(description="EPANET's verdict")]
    relaxations: Annotated[list[ViolationReport], Field(description="Limits that no schedule was found to hold all of, by how much each is broken in this one")] = []
    reasons: Annotated[list[Reason], Field(description="Why each pump is switched when it is")] = []
    stopped: Annotated[bool, Field(description="The search was stopped before its end; cost and bound are those reached by then")] = False


def violation_reports(case: Case, violations: tuple[Violation, ...]) -> list[ViolationReport]:
    start = case.problem.steps.start
    return [
        ViolationReport(limit=v.limit, element=v.element, at=None if v.at_s is None else start + timedelta(seconds=v.at_s), amount=v.amount, unit=v.unit, text=v.text, kind=v.kind, until=None if v.until_s is None else start + timedelta(seconds=v.until_s))
        for v in violations
    ]


def audit_report(case: Case, audit: Audit) -> AuditReport:
    """The audit's verdict as a document."""
    found = audit.trajectory
    return AuditReport(
        accepted=audit.accepted, cost=found.cost, energy_kwh=found.energy_kwh, engine=audit.engine, hydraulic_step_s=audit.hydraulic_step_s,
        violations=violation_reports(case, found.violations),
    )  # fmt: skip


def plan_document(case: Case, solution: Solution, audit: Audit, *, stopped: bool) -> PlanDocument:
    """All of a plan in one document."""
    problem, found, schedule = solution.problem, audit.trajectory, solution.schedule
    network, steps = problem.network, problem.steps
    starts = [from_np(t) for t in steps.times]
    return PlanDocument(
        case=case.name,
        network_sha256=network.sha256,
        currency=case.currency,
        clock=str(case.clock),
        starts_at=steps.window.start,
        ends_at=steps.window.end,
        step_starts=starts,
        step_seconds=list(steps.durations_s),
        pumps=_pumps(problem, schedule, audit),
        price_per_kwh={p.name: problem.price_per_kwh[:, j].tolist() for j, p in enumerate(network.pumps)},
        tanks=[
            TankCourse(
                name=t.name, level_m=found.level_m[:, i].tolist(), min_level_m=float(problem.min_level_m[i]), max_level_m=float(problem.max_level_m[i]),
                end_level_m=float(problem.end_level_m[i]),
                end_level_max_m=None if problem.end_level_max_m is None else float(problem.end_level_max_m[i]),
                reserve_level_m=_where_it_counts(problem.reserve_level_m, i, problem.min_level_m), ceiling_level_m=_where_it_counts(problem.ceiling_level_m, i, problem.max_level_m),
                water_value_per_m3=solution.water_value_per_m3[:, i].tolist(),
            )
            for i, t in enumerate(network.tanks)
        ],
        valves=[ValvePlan(link=v.link, choice=[v.choices[c] for c in schedule.valve_choice[:, i]]) for i, v in enumerate(problem.valves)],
        pressures=[
            NodePressure(node=node, floor_m=floor, pressure_m=[float(p) if np.isfinite(p) else None for p in found.pressure_m[:, i]])
            for i, (node, floor) in enumerate(problem.pressure_floors_m.items())
        ],
        sources=[SourceDraw(reservoir=s.reservoir, volume_m3=found.source_m3[:, i].tolist()) for i, s in enumerate(problem.sources)],
        demand_m3_per_s=problem.demand_m3_per_s.sum(axis=1).tolist(),
        energy_kwh=found.energy_kwh,
        bill=BillReport.of(found.bill),
        certificate=solution.certificate,
        audit=audit_report(case, audit),
        relaxations=violation_reports(case, solution.relaxations),
        reasons=_reasons(starts, solution),
        stopped=stopped,
    )  # fmt: skip


def _pumps(problem: PumpingProblem, schedule: PumpSchedule, audit: Audit) -> list[PumpPlan]:
    found = audit.trajectory
    starts = schedule.starts(problem.count_starts, problem.initial_on)
    return [
        PumpPlan(
            name=p.name, on=schedule.on[:, j].tolist(), speed=schedule.speed[:, j].tolist(), flow_m3_per_s=found.flow_m3_per_s[:, j].tolist(),
            power_w=found.power_w[:, j].tolist(), starts=int(starts[j]),
        )
        for j, p in enumerate(problem.network.pumps)
    ]  # fmt: skip


def _where_it_counts(limit: Floats | None, i: int, always: Floats) -> list[float] | None:
    """A tank's limit by step; None where it says no more than the one that always holds."""
    if limit is None or (limit[:, i] == always[i]).all():
        return None
    return [float(v) for v in limit[:, i]]


def _reasons(starts: list[datetime], solution: Solution) -> list[Reason]:
    return [Reason(pump=r.pump, time=starts[r.step], action=r.action, text=r.text, figures=r.figures) for r in solution.reasons]


def read_plan(case: Case, path: Path) -> PlanDocument:
    """Read a plan.json of this case. Raises FileError: no plan, or of another network or horizon."""
    try:
        document = PlanDocument.model_validate_json(read_bytes(path, _LARGEST_BYTES))
    except ValidationError as e:
        first = e.errors(include_url=False)[0]
        raise FileError(file=str(path), problem=f"is no plan: {'.'.join(str(x) for x in first['loc']) or 'the file'}: {first['msg']}", remedy="give the plan.json that `levada schedule` wrote") from None
    steps = case.problem.steps
    starts, own = document.step_starts, [from_np(t) for t in steps.times]
    fits = starts == own if case.problem.switch_resolution_s is None else set(own) <= set(starts) and document.ends_at == steps.window.end
    if document.network_sha256 != case.problem.network.sha256 or not fits:
        raise FileError(file=str(path), problem="is of another network or horizon than the case", remedy="make a plan of this case with `levada schedule`")
    return document
