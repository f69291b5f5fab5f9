"""The judge: EPANET simulates a schedule and says whether every limit holds and what it costs.

The rules, of which the first five reproduce the published verdicts on published schedules:

1. Solves are at the beginning of each step and each hydraulic step after it, so at each switch; and in between whenever a tank reaches its minimum or maximum (EPANET's tank events, to the second).
2. Tanks get limits in EPANET so wide that it never closes a link of theirs in silence. *Saturation* is a violation: a
   tank at or above its maximum that still fills at a solve, or at or below its minimum that still drains. Reaching a limit is not.
3. A tank that may stand full keeps its maximum in EPANET, which then shuts its inlet.
4. Levels, reserves, pressures, flows, sources, power and supply (pumps that deliver, demands that are met, EPANET's own warnings) are
   judged at every solve. A solve at the edge of two steps belongs to the later one; the end of the horizon to the last.
5. Energy is EPANET's power of each pump at a solve times the time to the next.
6. A limit on power is one on what pumps draw: power made on site is not taken off.
7. A source's volume of a day is the sum over its steps of what is drawn; a step in which more flows back than is drawn counts nothing.
8. Valves stand from the first instant of a step as chosen for it. A valve that cannot deliver what it is set to is a fault of supply.
9. Limits hold at each of the other hydraulic steps asked for, in a simulation of its own; costs and courses are those of the first.
10. In a demand scenario only the tanks are judged, and not their levels at the end.
11. Where EPANET does not bring all solves into balance as the file asks it to, it may try longer and with smaller steps, as its manual advises for networks with valves: what settles then counts.

Nothing here is shared with the simulator of the search. Read `audit`, then `Run.solves` in audit_run.py. Limits: audit_operation.py (no
hydraulics needed), audit_limits.py (at every solve), audit_scenarios.py; how a tank is judged: audit_tank.py; valves: audit_valves.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from levada.domain.billing import Bill, bill_of
from levada.domain.pumping import Audit, PumpingProblem, PumpSchedule, Trajectory
from levada.domain.series import Floats
from levada.hydraulics.audit_findings import Findings, Moment, days, span
from levada.hydraulics.audit_limits import SolveLimits, TankLimits
from levada.hydraulics.audit_operation import judge_operation
from levada.hydraulics.audit_run import Run
from levada.hydraulics.audit_scenarios import judge_scenarios
from levada.hydraulics.audit_valves import check_choices
from levada.hydraulics.epanet import ENGINE, open_project

__all__ = ["ENGINE", "audit"]

_A_LITRE_M3 = 1e-3


def audit(problem: PumpingProblem, schedule: PumpSchedule) -> Audit:
    """Simulate `schedule` in EPANET and judge it by every limit of `problem`.

    Controls, rules, pump patterns and demand patterns of the INP do not act; reservoir head patterns do, beginning at the
    first step. Costs are those of the bill. Never raises for what a schedule does: an unsolvable hour is a violation.
    Raises ValueError when the schedule's shape is not the problem's or a valve's choice is none of its choices, ProblemError when a valve
    cannot be set as a choice says or scenarios do not fit, NetworkError when the INP cannot be opened.
    """
    if schedule.on.shape != problem.available.shape:
        raise ValueError(f"the schedule has shape {schedule.on.shape}, the problem {problem.available.shape}")
    check_choices(problem, schedule)
    found = _simulated(problem, schedule)
    if not found.is_settled and (calmer := _simulated(problem, schedule, damped=True)).is_settled:
        found = calmer
    run, findings = found.run, found.findings
    bill = bill_of(problem, schedule, run.power_w, run.source_m3, run.stored_m3())
    _judge_source_days(problem, run.source_m3, findings)
    _judge_emissions(problem, bill, findings)
    judge_scenarios(problem, schedule, findings)
    violations = findings.violations()
    for other in problem.at_other_hydraulic_steps():
        others = audit(other, schedule).trajectory.violations
        violations += tuple(replace(v, text=f"{v.text}, at hydraulic steps of {span(other.hydraulic_step_s)}") for v in others if v not in violations)
    trajectory = Trajectory(
        level_m=run.level_m,
        flow_m3_per_s=run.flow_m3_per_s,
        power_w=run.power_w,
        pressure_m=found.pressure_m,
        source_m3=run.source_m3,
        bill=bill,
        energy_kwh=run.energy_kwh,
        violations=violations,
    )
    return Audit(accepted=not violations, trajectory=trajectory, engine=ENGINE, hydraulic_step_s=problem.hydraulic_step_s)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Simulated:
    """One run of EPANET, the pressures at the nodes with a floor, what is amiss, and whether EPANET came to the end with all solves in balance."""

    run: Run
    pressure_m: Floats
    findings: Findings
    is_settled: bool


def _simulated(problem: PumpingProblem, schedule: PumpSchedule, *, damped: bool = False) -> _Simulated:
    """Simulate the schedule, and judge it by all that is seen at single solves or without any."""
    findings = Findings(problem.steps)
    judge_operation(problem, schedule, findings)
    with open_project(problem.network.inp, problem.network.name) as project:
        run = Run(project, problem, schedule, damped=damped)
        tank_limits, limits = TankLimits(problem, findings), SolveLimits(project, problem, schedule, findings)
        for solve in run.solves():
            tank_limits.look(run.tanks, solve.moment)
            limits.look(solve)
        if run.stopped is None:
            tank_limits.look_at_end(run.tanks, run.end)
        else:
            moment, why = run.stopped
            text = f"the rest of the horizon is neither simulated nor in the cost, because {why},"
            findings.observe("supply", problem.network.name, text, moment, kind="engine", amount=0.0)
        project.close()
        report = project.report_lines()
        _judge_warnings(report, findings)
    is_settled = run.stopped is None and not any(warning in line for line in report for warning in _UNSETTLED)
    return _Simulated(run=run, pressure_m=limits.pressure_m, findings=findings, is_settled=is_settled)


def _judge_source_days(problem: PumpingProblem, source_m3: Floats, findings: Findings) -> None:
    drawn = np.maximum(source_m3, 0.0)
    for i, source in enumerate(problem.sources):
        most = source.max_volume_m3_per_day
        if most is None:
            continue
        for d, (steps, moment) in enumerate(days(problem)):
            volume = float(drawn[steps, i].sum())
            if volume - most > _A_LITRE_M3 + 1e-9 * most:
                findings.observe(
                    "source", source.reservoir, moment=moment, kind=f"day {d}", amount=volume - most, unit="m3",
                    text=f"source {source.reservoir} gives {volume:.1f} m3 in the day, {volume - most:.1f} m3 more than the {most:g} m3 allowed",
                )  # fmt: skip


def _judge_emissions(problem: PumpingProblem, bill: Bill, findings: Findings) -> None:
    most = problem.max_co2_kg
    if most is not None and bill.co2_kg - most > 1e-9 * max(abs(most), 1.0):
        findings.observe(
            "co2", "all pumps", amount=bill.co2_kg - most, unit="kg",
            text=f"the energy drawn from the grid emits {bill.co2_kg:.1f} kg of CO2 over the horizon, {bill.co2_kg - most:.1f} kg more than the {most:g} kg allowed",
        )  # fmt: skip


_WARNING = re.compile(r"WARNING: (.*?)(?: at (\d+):(\d\d):(\d\d) hrs)?\.?(?: (EXECUTION HALTED|System may be unstable)\.)?$")
_JUDGED_ALREADY = ("Negative pressures", "Pump ")

_UNSETTLED = ("System unbalanced", "Maximum trials exceeded")
"""In EPANET's warnings of solves that are not in balance, or only just."""


def _judge_warnings(report: list[str], findings: Findings) -> None:
    """Every warning in EPANET's report that no rule above has judged: unbalanced, disconnected, a valve that cannot deliver."""
    last: Moment | None = None
    for line in report:
        if not (match := _WARNING.search(line.strip())):
            continue
        if match[2]:
            last = Moment(at_s=int(match[2]) * 3600 + int(match[3]) * 60 + int(match[4]))
        if match[1].startswith(_JUDGED_ALREADY):
            continue
        findings.observe("supply", "EPANET", f"EPANET warns: {match[1]}", last, kind=match[1], amount=0.0)
