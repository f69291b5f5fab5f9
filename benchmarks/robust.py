"""Many random problems: is a schedule called feasible ever rejected by the judge, and is a bound ever above a true schedule's cost?

`python -m benchmarks.robust [--count 1000] [--seed 0] [--first 0] [--kind days|anytown|grown] [--samples 10000]`. Case i of a seed is the same
whatever else runs, so a fault is repeated with `--first i --count 1`. Kinds, in turn:

- days: Simple FSD on a day of two years of spot prices and demands, some with outages, narrower tanks, other or partly negative tariffs
- anytown: AnyTown-modified with a random tariff, start limits, outages, narrower tanks, higher floors, a power limit
- grown: a small random EPANET network (cases/grown.py) with the same

Every second case is cut to a few steps and all its schedules are tried (brute_force.py); each is compared with the cheapest of so many sampled
true schedules. Four counts must be 0: rejected, bound above the best, bound above the cheapest sampled, bound above its own audited cost.
`missed` are cases called infeasible for which a true schedule is known: allowed, but a pity.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from benchmarks import anytown_modified
from benchmarks.brute_force import enumerate_schedules, sample_schedules
from benchmarks.cases import gops
from benchmarks.cases.anytown import under_tariff
from benchmarks.cases.case import DataMissing, Posed, required, shortened
from benchmarks.cases.grown import grown_network
from benchmarks.cases.large import day_of
from benchmarks.cases.tariffs import random_day
from levada.domain.pumping import PumpingProblem
from levada.schedule import solve

__all__ = ["FAULTS", "KINDS", "Outcome", "drawn", "main", "outcome_of", "stressed"]

FAULTS = ("rejected", "bound above best", "bound above sampled", "bound above own cost")
SMALL_STEPS = 6
_ROUNDING = 1e-6

Random = np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a case came to: faults and other findings by name, figures for the message, seconds of the solve, the gap."""

    findings: tuple[str, ...]
    text: str
    seconds: float
    gap: float | None


def stressed(problem: PumpingProblem, rng: Random) -> PumpingProblem:
    """The problem with some of: an outage, tanks narrowed around their initial levels, a higher end, a power limit."""
    changes: dict[str, Any] = {}
    n, pumps = problem.available.shape
    if rng.random() < 0.4:
        available = problem.available.copy()
        first = int(rng.integers(0, n))
        available[first : first + int(rng.integers(1, max(n // 4, 2))), int(rng.integers(0, pumps))] = False
        changes["available"] = available
    if rng.random() < 0.4:
        share = rng.uniform(0.6, 1.0)
        start, low, high = problem.initial_level_m, problem.min_level_m, problem.max_level_m
        changes["min_level_m"] = start - share * (start - low)
        changes["max_level_m"] = start + share * (high - start)
        # A tank that starts at a limit keeps a little room there.
        changes["min_level_m"] = np.minimum(changes["min_level_m"], changes["max_level_m"] - 0.05)
        changes["end_level_m"] = np.minimum(problem.end_level_m, changes["max_level_m"])
    if rng.random() < 0.15:
        middle = (problem.initial_level_m + changes.get("max_level_m", problem.max_level_m)) / 2
        changes["end_level_m"] = np.maximum(problem.end_level_m, middle)
    return replace(problem, **changes)


def _days(rng: Random) -> Posed:
    read = _simple()
    days = _year(int(rng.choice([2011, 2012])))
    posed = gops.pose(read, days[int(rng.integers(0, len(days)))], int(rng.choice([24, 48])))
    problem = stressed(posed.problem, rng)
    if rng.random() < 0.5:
        problem = under_tariff(problem, random_day(rng))
    return replace(posed, problem=problem)


def _anytown(rng: Random) -> Posed:
    required("atm-anytown-modified")
    problem = under_tariff(anytown_modified.problem(int(rng.integers(1, 5))), random_day(rng))
    problem = stressed(problem, rng)
    if rng.random() < 0.3:
        problem = replace(problem, pressure_floors_m={node: floor + rng.uniform(0, 1.5) for node, floor in problem.pressure_floors_m.items()})
    if rng.random() < 0.3:
        # Three pumps draw about 800 kW together.
        problem = replace(problem, max_power_kw=rng.uniform(500, 800))
    return Posed(problem=problem)


def _grown(rng: Random) -> Posed:
    tanks = int(rng.integers(1, 4))
    stations = int(rng.integers(1, min(tanks, 2) + 1))
    network = grown_network(int(rng.integers(0, 1_000_000)), tanks=tanks, stations=stations)
    problem = day_of(network, hydraulic_step_s=int(rng.choice([1800, 3600])))
    problem = replace(
        problem, may_stand_full=np.full(tanks, rng.random() < 0.5), initial_on=np.zeros(len(network.pumps), bool),
        max_starts=np.full(len(network.pumps), int(rng.integers(2, 7)), np.int64),
    )  # fmt: skip
    return Posed(problem=stressed(under_tariff(problem, random_day(rng)), rng))


KINDS: dict[str, Callable[[Random], Posed]] = {"days": _days, "anytown": _anytown, "grown": _grown}


@cache
def _simple() -> gops.GopsNetwork:
    return gops.read_gops(required(gops.SIMPLE))


@cache
def _year(year: int) -> list[gops.Day]:
    return gops.days_of_year(year)


def drawn(kind: str, seed: int, case: int) -> tuple[Posed, bool, Random]:
    """Case number `case`: the problem as posed, whether it was cut short to be tried wholly, and the generator for its samples."""
    rng = np.random.default_rng([seed, case, list(KINDS).index(kind)])
    posed = KINDS[kind](rng)
    is_small = bool(case // len(KINDS) % 2)
    if is_small:
        problem = shortened(posed.problem, SMALL_STEPS)
        # So many starts as fit, so that identical pumps need not be told apart.
        problem = replace(problem, max_starts=np.full_like(problem.max_starts, SMALL_STEPS))
        posed = replace(posed, problem=problem)
    return posed, is_small, rng


def outcome_of(posed: Posed, is_small: bool, rng: Random, samples: int) -> Outcome:
    """Solve, judge, and compare with schedules found by other means."""
    problem = posed.problem
    began = time.perf_counter()
    solution = solve(problem, engine=posed.engine)
    seconds = time.perf_counter() - began
    verdict = posed.judge(problem, solution.schedule)
    bound = solution.certificate.lower_bound
    findings, notes = [], [f"cost {verdict.trajectory.cost:.4f}", "no bound" if bound is None else f"bound {bound:.4f} ({solution.certificate.kind})"]

    def compare(cost: float, what: str) -> None:
        if bound is not None and bound > cost + _ROUNDING * max(1.0, abs(cost)):
            findings.append(f"bound above {what}")

    if solution.feasible:
        findings.append("feasible")
        if not verdict.accepted:
            findings.append("rejected")
            notes += [v.text for v in verdict.trajectory.violations[:3]]
        else:
            compare(verdict.trajectory.cost, "own cost")
    known = None
    if is_small:
        try:
            known = enumerate_schedules(posed.engine(problem), posed.judge)
        except ValueError as e:  # too many: said, and left to the samples
            findings.append("not enumerated")
            notes.append(str(e))
        else:
            findings.append("enumerated")
        if known is not None:
            notes.append(f"best {known.cost:.4f} of {known.tried}")
            compare(known.cost, "best")
            if solution.feasible and verdict.trajectory.cost <= known.cost + _ROUNDING * max(1.0, abs(known.cost)):
                findings.append("optimal")
    sampled = sample_schedules(posed.engine(problem), posed.judge, rng, count=samples)
    if sampled is not None:
        notes.append(f"sampled {sampled.cost:.4f} of {sampled.tried}")
        compare(sampled.cost, "sampled")
        if verdict.accepted and sampled.cost < verdict.trajectory.cost - _ROUNDING * max(1.0, abs(sampled.cost)):
            findings.append("sampled is cheaper")
    if not solution.feasible and (known is not None or sampled is not None):
        findings.append("missed")
    return Outcome(findings=tuple(findings), text=", ".join(notes), seconds=seconds, gap=solution.certificate.gap)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print counts by kind. Returns 2 where a fault was found, 1 where data are missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.robust", description="Random problems: verdicts and bounds must hold.")
    parser.add_argument("--count", type=int, default=1000, help="cases (default 1000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--kind", choices=tuple(KINDS), help="only this kind (numbers stay as they are)")
    parser.add_argument("--samples", type=int, default=10_000, help="true schedules sampled for each case (default 10000)")
    options = parser.parse_args(arguments)
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    gaps: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for case in range(options.first, options.first + options.count):
        kind = list(KINDS)[case % len(KINDS)]
        if options.kind not in (None, kind):
            continue
        try:
            posed, is_small, rng = drawn(kind, options.seed, case)
        except DataMissing as e:
            if not counts[kind]["no data"]:
                print(f"{kind}: NO DATA: {e}", file=sys.stderr, flush=True)
            counts[kind]["no data"] += 1
            continue
        outcome = outcome_of(posed, is_small, rng, options.samples)
        counts[kind].update(["cases", *outcome.findings])
        seconds[kind].append(outcome.seconds)
        gaps[kind] += [outcome.gap] if outcome.gap is not None else []
        if set(outcome.findings) & {*FAULTS, "missed"}:
            print(f"case {case} ({kind}{', short' if is_small else ''}): {', '.join(outcome.findings)}; {outcome.text}", flush=True)
        if sys.stderr.isatty():
            print(f"\r{case + 1 - options.first}/{options.count}", end="", file=sys.stderr, flush=True)
    columns = ("cases", "feasible", *FAULTS, "missed", "enumerated", "optimal", "sampled is cheaper")
    print(f"{'kind':8} " + " ".join(f"{name:>{max(len(name), 6)}}" for name in columns) + f" {'gap, median':>12} {'s, median':>10}")
    for kind in KINDS:
        gap = f"{statistics.median(gaps[kind]):.3%}" if gaps[kind] else "-"
        second = f"{statistics.median(seconds[kind]):.2f}" if seconds[kind] else "-"
        print(f"{kind:8} " + " ".join(f"{counts[kind][name]:>{max(len(name), 6)}}" for name in columns) + f" {gap:>12} {second:>10}")
    faults = sum(counts[kind][name] for kind in KINDS for name in FAULTS)
    missing = sum(counts[kind]["no data"] for kind in KINDS)
    print(f"{faults} faults in {sum(c['cases'] for c in counts.values())} cases, seed {options.seed}" + (f"; {missing} WITHOUT DATA" if missing else ""))
    return 2 if faults else 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
