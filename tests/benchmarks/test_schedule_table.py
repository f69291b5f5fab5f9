"""The table says plainly where a schedule is rejected, a bound is wrong or data are missing; its drawings are well-formed."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from benchmarks.cases.case import Case, DataMissing, Posed
from benchmarks.schedule_plot import GapPoint, gap_plot
from tests.benchmarks.quadratic_case import small

from benchmarks import schedule as table
from levada.domain.pumping import PumpSchedule

GOOD = (0, 2, 0, 0, 0, 2)


def plan(hours: tuple[int, ...]) -> PumpSchedule:
    on = np.array([[h >= 1, h >= 2] for h in hours])
    return PumpSchedule(on=on, speed=on.astype(float))


def solver(hours: tuple[int, ...] = GOOD, *, bound: float | None = 1.0, feasible: bool = True, alternate: bool = False) -> Any:
    """A stand-in for `solve` with a fixed answer, or with two in turn."""
    calls = []

    def solve(problem: Any, *, engine: Any, progress: Any = None) -> Any:
        calls.append(1)
        shown = (2, *hours[1:]) if alternate and len(calls) % 2 == 0 else hours
        schedule = plan(shown)
        cost = engine(problem).run(schedule).cost
        if progress is not None:
            assert progress(SimpleNamespace(stage="search", cost=None, bound=0.5, solves=1))
            assert progress(SimpleNamespace(stage="search", cost=1.1 * cost, bound=bound, solves=2))
        gap = None if bound is None or cost == 0 else (cost - bound) / cost
        return SimpleNamespace(problem=problem, schedule=schedule, feasible=feasible, certificate=SimpleNamespace(cost=cost, lower_bound=bound, gap=gap, kind="exact"))

    return solve


def case(**changes: Any) -> Case:
    fields: dict[str, Any] = {"name": "two pumps", "pose": small, "is_quick": True}
    return Case(**(fields | changes))


def row(monkeypatch: pytest.MonkeyPatch, answer: Any, of: Case | None = None, repeats: int = 2) -> table.Row:
    monkeypatch.setattr(table, "solve", answer)
    of = of or case()
    return table.measure(of, of.pose(), repeats)


def test_an_accepted_schedule_is_shown_with_ratio_gap_and_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    found = row(monkeypatch, solver(), case(published=10.0, what="best", peer="SPEA2 2009"))
    assert table.verdict_of(found) == "accepted"
    line = table.line_of(found)
    assert f"{found.solution.certificate.cost / 10:.4f}" in line
    assert line.endswith("best; SPEA2 2009")
    assert len(found.seconds) == 2


@pytest.mark.parametrize(
    ("answer", "changes", "verdict"),
    [
        (solver((0, 0, 0, 0, 0, 0)), {}, "REJECTED"),
        (solver((0, 0, 0, 0, 0, 0), feasible=False), {}, "infeasible"),
        (solver(bound=1e6), {}, "BOUND"),
        (solver(bound=9.5), {"published": 5.0, "what": "optimum"}, "BOUND"),
        (solver(alternate=True), {}, "DIFFERS"),
        (solver(bound=None), {}, "accepted"),
    ],
)
def test_what_is_wrong_stands_in_capitals(monkeypatch: pytest.MonkeyPatch, answer: Any, changes: dict[str, Any], verdict: str) -> None:
    assert table.verdict_of(row(monkeypatch, answer, case(**changes))) == verdict


def test_the_command_prints_rows_counts_faults_and_draws(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def nothing() -> Posed:
        raise DataMissing("no data at /nowhere: set LEVADA_BENCH_DATA")

    monkeypatch.setattr(table, "solve", solver())
    monkeypatch.setattr(table, "all_cases", lambda: [case(), replace(case(), name="gone", pose=nothing), replace(case(), name="slow", is_quick=False)])
    assert table.main(["--quick", "--repeats", "1", "--plots", str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert "two pumps" in shown.out
    assert "slow" not in shown.out
    assert "2 cases: 0 with a gap of 0.1% at most, 0 faults, 1 without data" in shown.out
    assert "NO DATA: no data at /nowhere" in shown.err
    ET.fromstring((tmp_path / "two-pumps.svg").read_text())
    monkeypatch.setattr(table, "solve", solver((0, 0, 0, 0, 0, 0)))
    assert table.main(["--only", "TWO PUMPS", "--repeats", "1"]) == 2
    assert table.main(["--only", "no such case"]) == 1


def test_a_plot_is_well_formed_with_and_without_a_gap() -> None:
    points = [GapPoint(0.1, None, None), GapPoint(0.5, 100.0, 80.0), GapPoint(2.0, 95.0, 94.9), GapPoint(3.0, 95.0, 95.0)]
    drawn = ET.fromstring(gap_plot("AT(M) <= 3 & more", points, "optimum"))
    line = next(e for e in drawn.iter() if e.tag.endswith("polyline"))
    heights = [float(pair.split(",")[1]) for pair in line.attrib["points"].split()]
    assert heights == sorted(heights)
    assert "no gap" in gap_plot("empty", [GapPoint(0.1, None, None)])
    assert "no gap" in gap_plot("nothing", [])


def test_a_gap_is_relative_to_the_size_of_the_cost_also_where_that_is_negative() -> None:
    assert GapPoint(0.0, -90.0, -100.0).gap == pytest.approx(1 / 9)
    assert GapPoint(0.0, 100.0, 101.0).gap == 0.0
