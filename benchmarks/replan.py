"""Planning anew through a day from the plan before: seconds of each, and what it costs beside planning from nothing at the same hour.

`python -m benchmarks.replan [--only REGEX] [--plans 24] [--cold 3]`. The cases are those without published figures (cases/large.py), each over a rolling
horizon of its own steps. Between two plans an hour passes (a step, where steps are longer) in which the first plan is followed with demand that comes
out otherwise than expected: a level error of 3 % for the day and an error of 2 % for each step, from a fixed seed. The next plan begins with the levels
that this gave and expects the day without the errors. Every plan is judged by EPANET's audit.

No peer publishes such figures. `ratio` is the cost of planning anew over that of planning from nothing, median and greatest of `--cold` hours.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from benchmarks.cases.case import DataMissing
from benchmarks.cases.large import large_cases
from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.domain.series import Floats
from levada.domain.time import Steps
from levada.hydraulics.audit import audit
from levada.hydraulics.simulate import Simulator
from levada.schedule import solve

__all__ = ["Replan", "main", "replans", "rolled"]

_HOUR_S = 3600
_DAY_ERROR, _STEP_ERROR = 0.03, 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Replan:
    """One plan of the chain. `cold_cost`: that of planning from nothing at the same time, where it was computed."""

    seconds: float
    cost: float
    is_feasible: bool
    is_accepted: bool
    cold_seconds: float | None = None
    cold_cost: float | None = None


def rolled(problem: PumpingProblem, by: int, level_m: Floats, on: Sequence[bool]) -> PumpingProblem:
    """The problem so many steps later, its day of demands and prices beginning anew, from these levels and running pumps."""
    start = problem.steps.start + timedelta(seconds=sum(problem.steps.durations_s[:by]))
    shift: dict[str, Floats] = {name: np.roll(getattr(problem, name), -by, axis=0) for name in ("demand_m3_per_s", "price_per_kwh")}
    level = np.clip(level_m, problem.min_level_m, problem.max_level_m)
    return replace(problem, steps=Steps(start, problem.steps.durations_s), initial_level_m=level, initial_on=np.array(on, bool), **shift)


def _moved(schedule: PumpSchedule, by: int) -> PumpSchedule:
    """The plan's rest, and for the steps after its end what it said a day before."""
    return PumpSchedule(on=np.roll(schedule.on, -by, axis=0), speed=np.roll(schedule.speed, -by, axis=0), valve_choice=np.roll(schedule.valve_choice, -by, axis=0))


def replans(problem: PumpingProblem, plans: int, cold: int, seed: int) -> Iterator[Replan]:
    """The chain of plans, the first from nothing and not among them. Of the rest `cold` are planned from nothing as well."""
    rng = np.random.default_rng(seed)
    day = 1.0 + rng.normal(0.0, _DAY_ERROR)
    by = max(1, _HOUR_S // int(problem.steps.durations_s[0]))
    schedule = solve(problem).schedule
    for i in range(1, plans + 1):
        came = problem.demand_m3_per_s * day * (1.0 + rng.normal(0.0, _STEP_ERROR, len(problem.steps)))[:, None]
        level = Simulator(replace(problem, demand_m3_per_s=came)).run(schedule).level_m[by]
        problem = rolled(problem, by, level, schedule.on[by - 1].tolist())
        began = time.perf_counter()
        solution = solve(problem, start=_moved(schedule, by))
        seconds = time.perf_counter() - began
        schedule = solution.schedule
        found = Replan(
            seconds=seconds, cost=solution.certificate.cost, is_feasible=solution.feasible, is_accepted=audit(solution.problem, schedule).accepted
        )  # fmt: skip
        if cold and i % max(plans // cold, 1) == 0:
            began = time.perf_counter()
            other = solve(problem)
            found = replace(found, cold_seconds=time.perf_counter() - began, cold_cost=other.certificate.cost if other.feasible else None)
        yield found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="REGEX", help="cases whose name holds this")
    parser.add_argument("--plans", type=int, default=24, help="plans in the chain of each case")
    parser.add_argument("--cold", type=int, default=3, help="how many of them are planned from nothing as well")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    print(f"{'case':28} {'plans':>5} {'p50 s':>7} {'p95 s':>7} {'cold s':>7} {'ratio':>7} {'worst':>7} {'feasible':>8} {'rejected':>8}", flush=True)
    faults = 0
    for case in large_cases():
        if asked.only and not re.search(asked.only, case.name, re.IGNORECASE):
            continue
        try:
            problem = case.pose().problem
        except DataMissing as e:
            print(f"{case.name:28} NO DATA: {e}")
            continue
        found = list(replans(problem, asked.plans, asked.cold, asked.seed))
        seconds, ratios = [f.seconds for f in found], [f.cost / f.cold_cost for f in found if f.cold_cost is not None and f.is_feasible]
        rejected = sum(f.is_feasible and not f.is_accepted for f in found)
        faults += rejected
        cold_s = [f.cold_seconds for f in found if f.cold_seconds is not None]
        print(
            f"{case.name:28} {len(found):5} {statistics.median(seconds):7.1f} {float(np.quantile(seconds, 0.95)):7.1f} "
            f"{statistics.median(cold_s) if cold_s else float('nan'):7.1f} {statistics.median(ratios) if ratios else float('nan'):7.4f} "
            f"{max(ratios, default=float('nan')):7.4f} {sum(f.is_feasible for f in found):8} {rejected:8}",
            flush=True,
        )  # fmt: skip
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
