from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kpi.kpi_case import problem, trajectory

from levada.domain.pumping import Violation
from levada.kpi import savings


def test_the_same_water_left_for_less_money_is_saved_in_full() -> None:
    asked = problem()
    found = savings(asked, trajectory(asked, cost=9.0), trajectory(asked, cost=12.0), "EUR")
    assert found is not None
    assert found.value == pytest.approx(25.0)
    assert "3.00 EUR" in found.description


def test_water_that_the_plan_takes_from_the_tanks_is_charged() -> None:
    asked = problem()
    emptied = trajectory(asked, cost=9.0, level_m=np.array([[2.0], [2.0], [2.0], [2.0], [2.0]]))
    kept = trajectory(asked, cost=12.6, level_m=np.array([[2.0], [2.0], [2.0], [2.0], [2.5]]))
    found = savings(asked, emptied, kept, "EUR")
    # The baseline pumps 504 m3 for 12.60: 0.025 a cubic metre; it leaves 50 m3 more, worth 1.25
    assert found is not None
    assert found.value == pytest.approx(100 * (12.6 - 9.0 - 1.25) / 12.6)


def test_a_baseline_that_breaks_limits_is_named_as_such() -> None:
    asked = problem()
    low = Violation(limit="level", element="hill", at_s=0, amount=0.1, unit="m", text="")
    found = savings(asked, trajectory(asked), trajectory(asked, violations=(low,)), "EUR")
    assert found is not None
    assert "breaks 1 limits" in found.description


def test_it_is_left_out_where_the_baseline_costs_nothing() -> None:
    asked = problem()
    assert savings(asked, trajectory(asked), trajectory(asked, cost=0.0), "EUR") is None


@given(st.floats(0.1, 1e6))
def test_a_plan_beside_itself_saves_nothing(cost: float) -> None:
    asked = problem()
    same = trajectory(asked, cost=cost)
    found = savings(asked, same, same, "EUR")
    assert found is not None
    assert found.value == pytest.approx(0.0)
