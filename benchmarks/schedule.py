"""Pump schedules: cost, bound and time beside published results, one table over all cases.

`python -m benchmarks.schedule [--only REGEX] [--quick] [--repeats 5] [--plots DIR] [--list]`. The cases, their sources and rules are in
benchmarks/cases. Each answer is judged first, by the audit (EPANET) or by the equations' own judge; then it is timed: seconds are the
median of the repeats and include building the model. `ratio` is ours over published: 1 or less is as good as or better than published, where
the published figure is comparable (last column: what it is, whose it is, and the peer's time). Costs in the case's currency.
A verdict in capitals is a fault: REJECTED (called feasible, the judge says no), BOUND (above a proved optimum or the own cost), DIFFERS (repeats
gave different schedules).
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cases.anytown import optima_cases, tariff_cases
from benchmarks.cases.case import Case, DataMissing, Posed
from benchmarks.cases.gops import anytown_cases, simple_cases
from benchmarks.cases.large import large_cases
from benchmarks.cases.two_pumps import two_pumps_cases
from benchmarks.cases.van_zyl import van_zyl_cases
from benchmarks.schedule_plot import GapPoint, gap_plot
from levada.domain.errors import LevadaError
from levada.domain.pumping import Audit
from levada.schedule import solve

if TYPE_CHECKING:
    from levada.schedule import Progress, Solution

__all__ = ["Row", "all_cases", "chosen", "main", "measure", "verdict_of"]

_PUBLISHED_ROUNDING = 0.051
"""Published costs have one or two decimals."""
_OWN_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """A case as measured; `trace` is the first run's way to it."""

    case: Case
    solution: Solution
    audit: Audit
    seconds: tuple[float, ...]
    is_repeatable: bool
    trace: tuple[GapPoint, ...]


def all_cases() -> list[Case]:
    """Every case, those with published figures first."""
    return [*optima_cases(), *simple_cases(), *anytown_cases(), *van_zyl_cases(), *two_pumps_cases(), *tariff_cases(), *large_cases()]


def chosen(cases: Sequence[Case], only: str | None, quick: bool) -> list[Case]:
    """Cases whose name holds the regular expression `only`; with `quick` of these the quick ones."""
    return [c for c in cases if (only is None or re.search(only, c.name, re.IGNORECASE)) and (c.is_quick or not quick)]


def measure(case: Case, posed: Posed, repeats: int) -> Row:
    """Solve, judge, and solve again for the time."""
    trace: list[GapPoint] = []
    seconds: list[float] = []
    begin = time.perf_counter()

    def watch(progress: Progress) -> bool:
        trace.append(GapPoint(time.perf_counter() - begin, progress.cost, progress.bound))
        return True

    solution = solve(posed.problem, engine=posed.engine, progress=watch)
    seconds.append(time.perf_counter() - begin)
    certificate = solution.certificate
    trace.append(GapPoint(seconds[0], certificate.cost if solution.feasible else None, certificate.lower_bound))
    verdict = posed.judge(solution.problem, solution.schedule)
    is_repeatable = True
    for _ in range(repeats - 1):
        begin = time.perf_counter()
        again = solve(posed.problem, engine=posed.engine)
        seconds.append(time.perf_counter() - begin)
        is_repeatable &= again.schedule.speed.tobytes() == solution.schedule.speed.tobytes()
    return Row(case=case, solution=solution, audit=verdict, seconds=tuple(seconds), is_repeatable=is_repeatable, trace=tuple(trace))


def verdict_of(row: Row) -> str:
    """In capitals where something is wrong: see the module's docstring."""
    bound, case, cost = row.solution.certificate.lower_bound, row.case, row.audit.trajectory.cost
    if bound is not None and case.published is not None and case.what == "optimum" and bound > case.published + _PUBLISHED_ROUNDING:
        return "BOUND"
    if bound is not None and row.audit.accepted and bound > cost + _OWN_ROUNDING * max(1.0, abs(cost)):
        return "BOUND"
    if not row.is_repeatable:
        return "DIFFERS"
    if not row.solution.feasible:
        return "infeasible"
    return "accepted" if row.audit.accepted else "REJECTED"


_HEAD = f"{'case':44} {'ours':>10} {'published':>10} {'ratio':>8} {'bound':>10} {'gap':>8} {'kind':8} {'audited':>10} {'verdict':10} {'s':>8}   peer"


def line_of(row: Row) -> str:
    """The table's line of a row."""
    certificate, published = row.solution.certificate, row.case.published
    cost, bound, gap = certificate.cost, certificate.lower_bound, certificate.gap
    cells = [
        f"{row.case.name[:44]:44}", f"{cost:10.3f}", _cell(published, 10, ".2f"),
        _cell(cost / published if published and row.solution.feasible else None, 8, ".4f"), _cell(bound, 10, ".3f"), _cell(gap, 8, ".3%"),
        f"{certificate.kind:8}", f"{row.audit.trajectory.cost:10.3f}", f"{verdict_of(row):10}", f"{statistics.median(row.seconds):8.2f}",
    ]  # fmt: skip
    return " ".join(cells) + f"   {_peer(row.case)}"


def _cell(value: float | None, width: int, form: str) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:{width}{form}}"


def _peer(case: Case) -> str:
    return "; ".join(part for part in (case.what, case.peer) if part) or "nothing published"


def _file_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") + ".svg"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table. Returns 1 where data are missing, 2 where a verdict is a fault."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.schedule", description="Pump schedules beside published results.")
    parser.add_argument("--only", metavar="REGEX", help="cases whose name holds this")
    parser.add_argument("--quick", action="store_true", help="a few cases of each family")
    parser.add_argument("--repeats", type=int, default=5, help="solves of each case for the time (default 5)")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write an SVG of the gap over time for each case")
    parser.add_argument("--list", action="store_true", help="name the cases and stop")
    options = parser.parse_args(arguments)
    cases = chosen(all_cases(), options.only, options.quick)
    if options.list:
        print("\n".join(c.name for c in cases))
        return 0
    if not cases:
        print(f"no case's name holds {options.only!r}", file=sys.stderr)
        return 1
    if options.plots:
        options.plots.mkdir(parents=True, exist_ok=True)
    missing, faults, closed = 0, 0, 0
    print(f"{_HEAD}   (s: median of {options.repeats})")
    for case in cases:
        try:
            posed = case.pose()
        except DataMissing as e:
            missing += 1
            print(f"{case.name[:44]:44} NO DATA: {e}", file=sys.stderr, flush=True)
            continue
        try:
            row = measure(case, posed, max(options.repeats, 1))
        except LevadaError as e:
            faults += 1
            print(f"{case.name[:44]:44} REFUSED: {e}", flush=True)
            continue
        faults += verdict_of(row).isupper()
        gap = row.solution.certificate.gap
        closed += gap is not None and gap <= 1e-3
        print(line_of(row), flush=True)
        if options.plots:
            (options.plots / _file_name(case.name)).write_text(gap_plot(case.name, list(row.trace), _peer(case)), encoding="utf-8")
    print(f"{len(cases)} cases: {closed} with a gap of 0.1% at most, {faults} faults, {missing} without data")
    return 2 if faults else 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
