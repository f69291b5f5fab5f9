"""Whether a schedule, followed as it is, keeps the tanks within their limits in enough of the demand scenarios."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from levada.domain.errors import ProblemError
from levada.domain.pumping import PumpingProblem, PumpSchedule, Violation
from levada.domain.pumping_terms import Scenarios
from levada.hydraulics.audit_findings import Findings
from levada.hydraulics.audit_limits import TankLimits
from levada.hydraulics.audit_run import Run
from levada.hydraulics.epanet import open_project

__all__ = ["judge_scenarios"]

_TANK_LIMITS = ("level", "saturation", "reserve")


def judge_scenarios(problem: PumpingProblem, schedule: PumpSchedule, findings: Findings) -> None:
    """Simulate each scenario's demand and see in which the tanks' minimum, maximum and reserve hold; scenarios are told by number, from 1.

    A scenario that EPANET cannot simulate to the end does not hold. Raises ProblemError where the scenarios do not fit the problem.
    """
    scenarios = problem.scenarios
    if scenarios is None:
        return
    _check(problem, scenarios)
    count = len(scenarios.demand_m3_per_s)
    failures: list[tuple[tuple[float, float], str]] = []
    for number in range(1, count + 1):
        fault = _worst_fault(replace(problem, demand_m3_per_s=scenarios.demand_m3_per_s[number - 1], scenarios=None), schedule)
        if fault is not None:
            size, text = fault
            failures.append((size, f"scenario {number}, where {text}"))
    held = count - len(failures)
    if held < scenarios.share * count - 1e-9:
        _, worst = max(failures, key=lambda f: f[0])
        findings.observe(
            "scenario", "demand scenarios", amount=scenarios.share - held / count,
            text=f"the tanks keep their limits in {held} of {count} demand scenarios, asked for are {scenarios.share:.0%}; {len(failures)} fail, the worst is {worst}",
        )  # fmt: skip


def _check(problem: PumpingProblem, scenarios: Scenarios) -> None:
    found, expected = scenarios.demand_m3_per_s.shape, problem.demand_m3_per_s.shape
    if len(found) != 3 or found[1:] != expected or found[0] == 0:
        raise ProblemError("scenarios", f"demand_m3_per_s has shape {found}, expected at least one scenario of {expected}")
    if not np.isfinite(scenarios.demand_m3_per_s).all():
        raise ProblemError("scenarios", "demand_m3_per_s has values that are not finite")
    if not 0 <= scenarios.share <= 1:
        raise ProblemError("scenarios", f"share is {scenarios.share:g}, expected 0 to 1")


def _worst_fault(problem: PumpingProblem, schedule: PumpSchedule) -> tuple[tuple[float, float], str] | None:
    """What is wrong with the tanks, with its size to compare scenarios by; None where nothing is."""
    findings = Findings(problem.steps)
    limits = TankLimits(problem, findings)
    with open_project(problem.network.inp, problem.network.name) as project:
        run = Run(project, problem, schedule)
        for solve in run.solves():
            limits.look(run.tanks, solve.moment)
        if run.stopped is not None:
            moment, why = run.stopped
            findings.observe("supply", problem.network.name, f"the tanks are not known any more because {why},", moment, amount=np.inf)
        else:
            limits.look_at_end(run.tanks, run.end)
    faults = [v for v in findings.violations() if v.limit in _TANK_LIMITS or v.limit == "supply"]
    if not faults:
        return None
    worst = max(faults, key=_size)
    return _size(worst), worst.text


def _size(violation: Violation) -> tuple[float, float]:
    """Metres beyond a limit weigh first; saturation, which is a flow, where no tank has gone beyond."""
    return (violation.amount, 0.0) if violation.unit != "m3/s" else (0.0, violation.amount)
