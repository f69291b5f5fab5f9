"""The robustness run finds what it looks for: rejected schedules, and bounds above true schedules; its cases can be repeated."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from benchmarks.brute_force import enumerate_schedules
from benchmarks.cases.case import networks_folder
from tests.benchmarks.quadratic_case import small

from benchmarks import robust
from levada.domain.pumping import PumpSchedule

needs_data = pytest.mark.skipif(not networks_folder().exists(), reason=f"NO BENCHMARK DATA at {networks_folder()}: set LEVADA_BENCH_DATA to draw from it")


def answering(schedule: PumpSchedule, *, bound: float | None, feasible: bool = True) -> Any:
    def solve(problem: Any, *, engine: Any) -> Any:
        return SimpleNamespace(schedule=schedule, feasible=feasible, certificate=SimpleNamespace(lower_bound=bound, gap=None, kind="exact"))

    return solve


def best() -> tuple[PumpSchedule, float]:
    posed = small()
    found = enumerate_schedules(posed.engine(posed.problem), posed.judge)
    assert found is not None
    return found.schedule, found.cost


def outcome(monkeypatch: pytest.MonkeyPatch, answer: Any) -> robust.Outcome:
    monkeypatch.setattr(robust, "solve", answer)
    return robust.outcome_of(small(), True, np.random.default_rng(0), 300)


def test_an_optimal_schedule_with_a_bound_below_it_has_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule, cost = best()
    found = outcome(monkeypatch, answering(schedule, bound=cost))
    assert not set(found.findings) & {*robust.FAULTS, "missed"}
    assert {"feasible", "enumerated", "optimal"} <= set(found.findings)


def test_a_bound_above_the_best_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule, cost = best()
    found = outcome(monkeypatch, answering(schedule, bound=cost * 1.001))
    assert {"bound above best", "bound above own cost"} <= set(found.findings)


def test_a_schedule_called_feasible_that_the_judge_rejects_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    off = PumpSchedule(on=np.zeros((6, 2), bool), speed=np.zeros((6, 2)))
    assert "rejected" in outcome(monkeypatch, answering(off, bound=None)).findings
    assert "missed" in outcome(monkeypatch, answering(off, bound=None, feasible=False)).findings


def test_the_command_counts_by_kind_and_fails_on_faults(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(robust, "KINDS", {"small": lambda _: small()})
    schedule, cost = best()
    monkeypatch.setattr(robust, "solve", answering(schedule, bound=0.9 * cost))
    assert robust.main(["--count", "2", "--samples", "100"]) == 0
    monkeypatch.setattr(robust, "solve", answering(schedule, bound=2 * cost))
    assert robust.main(["--count", "2", "--samples", "100"]) == 2
    assert "bound above own cost" in capsys.readouterr().out


@needs_data
@pytest.mark.parametrize("kind", list(robust.KINDS))
def test_a_case_is_drawn_the_same_again_and_every_second_round_is_short(kind: str) -> None:
    number = list(robust.KINDS).index(kind)
    (one, is_small, _), (two, _, _) = (robust.drawn(kind, 1, number) for _ in range(2))
    assert not is_small
    assert one.problem.price_per_kwh.tobytes() == two.problem.price_per_kwh.tobytes()
    assert one.problem.network.inp == two.problem.network.inp
    short, is_small, _ = robust.drawn(kind, 1, number + len(robust.KINDS))
    assert is_small
    assert len(short.problem.steps) == robust.SMALL_STEPS
