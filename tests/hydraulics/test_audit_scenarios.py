"""A schedule keeps the tanks within their limits in as many demand scenarios as asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.hydraulics.networks import problem_for, schedule_of, small_network, violations_of

from levada.domain.errors import ProblemError
from levada.domain.pumping import Audit
from levada.domain.pumping_terms import Scenarios
from levada.hydraulics import audit_run
from levada.hydraulics.audit import audit

FALL_M = 30 * 3.6 / (36 * np.pi)
"""What the tank falls in the first two hours, of 10 and 20 L/s, while the pump stands."""


def two_hours(factors: list[float], share: float, on: str = "00", **changes: Any) -> Audit:
    """Two hours from 3 m; the scenarios' demands are the expected one times the factors."""
    problem = problem_for(small_network(), hours=2, **changes)
    demand = np.array(factors)[:, None, None] * problem.demand_m3_per_s
    return audit(problem_for(small_network(), hours=2, scenarios=Scenarios(demand_m3_per_s=demand, share=share), **changes), schedule_of(on))


def test_enough_scenarios_hold_or_the_share_the_count_and_the_worst_are_told() -> None:
    """The minimum is 1 m: a factor of 2 still holds, one of 2.2 and 2.5 do not."""
    factors = [1.0, 2.2, 2.5, 2.0]
    assert two_hours(factors, 0.5).accepted
    result = two_hours(factors, 0.51)
    (violation,) = result.trajectory.violations
    assert (violation.limit, violation.element, violation.at_s, violation.unit) == ("scenario", "demand scenarios", None, "1")
    assert violation.amount == pytest.approx(0.01)
    below = 1 - (3 - 2.5 * FALL_M)
    assert violation.text.startswith(
        "the tanks keep their limits in 2 of 4 demand scenarios, asked for are 51%; 2 fail, the worst is scenario 3, "
        f"where tank T is up to {below:.2f} m below its minimum 1.00 m at 2026-03-02 02:00 UTC"
    )
    assert result.trajectory.level_m[-1, 0] == pytest.approx(3 - FALL_M, abs=1e-4)  # the trajectory is the expected one


def test_all_scenarios_may_be_asked_to_hold() -> None:
    assert two_hours([1.0, 1.2, 0.8], 1.0).accepted
    assert not two_hours([1.0, 1.2, 2.2], 1.0).accepted


def test_a_tank_that_runs_over_in_a_scenario_fails_it() -> None:
    """The pump fills 1.9 m in two hours where nothing is drawn, and the tank has room for 1.7 m."""
    result = two_hours([1.0, 0.0], 0.9, on="11", max_level_m=np.array([4.7]), initial_level_m=np.array([3.0]))
    (violation,) = violations_of(result, "scenario")
    assert "scenario 2, where tank T is up to" in violation.text
    assert "above its maximum 4.70 m" in violation.text


def test_reserves_are_judged_in_scenarios_and_levels_at_the_end_are_not() -> None:
    reserve = np.full((2, 1), 3 - 1.1 * FALL_M)
    assert two_hours([1.0, 1.05], 0.9, reserve_level_m=reserve).accepted
    (violation,) = two_hours([1.0, 1.2], 0.9, reserve_level_m=reserve).trajectory.violations
    assert "below its reserve" in violation.text
    assert two_hours([1.0, 1.2], 0.9, end_level_m=np.array([3 - 1.1 * FALL_M])).accepted


def test_a_scenario_that_is_not_simulated_to_its_end_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_run, "_MOST_SOLVES_A_DAY", 3)
    result = two_hours([1.0], 0.9, pressure_floors_m={"T": 0.0})
    (scenario,) = violations_of(result, "scenario")
    assert "the worst is scenario 1, where the tanks are not known any more because full tanks pass water" in scenario.text
    (supply,) = violations_of(result, "supply")
    assert supply.text.endswith("(3 hydraulic solves), at 2026-03-02 00:45 UTC")
    assert result.trajectory.level_m[1:, 0] == pytest.approx(np.full(2, 3 - 10 * 2.7 / (36 * np.pi)), abs=1e-4)
    assert result.trajectory.pressure_m[:, 0] == pytest.approx([3 - 10 * 1.8 / (36 * np.pi), 0.0], abs=1e-4)


@pytest.mark.parametrize(
    ("demand", "share", "message"),
    [
        (np.zeros((3, 4, 2)), 0.9, r"shape \(3, 4, 2\)"),
        (np.zeros((0, 2, 2)), 0.9, "at least one"),
        (np.zeros((2, 2)), 0.9, "shape"),
        (np.full((1, 2, 2), np.nan), 0.9, "not finite"),
        (np.zeros((1, 2, 2)), 1.1, "share"),
    ],
)
def test_scenarios_that_do_not_fit_are_a_fault_of_the_problem(demand: np.ndarray, share: float, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        audit(problem_for(small_network(), hours=2, scenarios=Scenarios(demand_m3_per_s=demand, share=share)), schedule_of("00"))
