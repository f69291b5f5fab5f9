"""A search that is told to stop ends soon, wherever it is, with the best it has and what was proved so far."""

from __future__ import annotations

import numpy as np
import pytest
from tests.schedule.small_networks import Small

from levada.domain.pumping import PumpingProblem
from levada.schedule import Progress, relaxation_samples, solve
from levada.schedule.problem import Work


def two_tanks() -> PumpingProblem:
    return Small(demand_l_per_s=14, upper=True).problem(n=24, max_starts=np.full(3, 5))


def test_what_is_learnt_for_a_bound_is_left_amid_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relaxation_samples, "_LINKS_A_PIECE", 1000)
    told: list[Progress] = []

    def stop_amid_learning(now: Progress) -> bool:
        told.append(now)
        return [t.stage for t in told].count("learning") < 20

    problem = two_tanks()
    solution = solve(problem, work=Work(exact_solves=0), progress=stop_amid_learning)
    assert told[-1].stage == "learning"
    assert told[-1].bound is None
    assert solution.feasible
    assert solution.certificate.lower_bound is None
    assert "stopped" in solution.certificate.method
    assert solution.water_value_per_m3.any()
    # What comes after is the reasons', which look at what is near the schedule.
    assert solution.certificate.work["hydraulic_solves"] < told[-1].solves + 6000


@pytest.mark.parametrize("after", [1, 2, 4])
def test_a_bound_that_was_told_is_kept_where_the_search_is_stopped(after: int) -> None:
    bounds: list[float] = []

    def stop_after_bounds(now: Progress) -> bool:
        bounds.extend([] if now.bound is None else [now.bound])
        return len(bounds) < after

    solution = solve(two_tanks(), work=Work(exact_solves=0), progress=stop_after_bounds)
    assert solution.feasible
    assert solution.certificate.lower_bound is not None
    assert solution.certificate.lower_bound <= solution.certificate.cost
    # Margins that the schedule's own steps widened may have lowered it a little.
    assert solution.certificate.lower_bound > 0.95 * bounds[-1]


def test_a_search_among_instants_that_is_stopped_ends_without_learning_for_its_bound() -> None:
    told: list[Progress] = []

    def stop_at_instants(now: Progress) -> bool:
        told.append(now)
        return now.stage != "instants"

    problem = Small(demand_l_per_s=14, upper=True).problem(n=6, switch_resolution_s=600)
    solution = solve(problem, work=Work(exact_solves=0, fit_samples=12, audit_samples=300, beam=60, programmes=2), progress=stop_at_instants)
    assert told[-1].stage == "instants"
    assert solution.feasible
    assert "stopped before it was computed" in solution.certificate.method
    assert solution.certificate.work["hydraulic_solves"] < told[-1].solves + 6000
