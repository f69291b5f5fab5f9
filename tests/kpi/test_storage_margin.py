from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kpi.kpi_case import network, problem, trajectory

from levada.kpi import storage_margin


def test_hours_of_mean_demand_at_the_lowest_moment_as_worked_out_by_hand() -> None:
    asked = problem()
    found = storage_margin(asked, trajectory(asked, level_m=np.array([[2.0], [1.5], [1.18], [2.0], [2.0]])))
    # 0.18 m of 100 m2 are 18 m3; 36 m3/h are drawn
    assert found is not None
    assert found.value == pytest.approx(0.5)
    assert "2026-03-02T02:00:00Z" in found.description


def test_a_volume_curve_is_followed() -> None:
    asked = problem(network=network(volume_curve=((0.0, 0.0), (2.0, 100.0), (5.0, 700.0))))
    found = storage_margin(asked, trajectory(asked, level_m=np.full((5, 1), 3.0)))
    # 300 m3 at 3 m, 50 m3 at the minimum of 1 m
    assert found is not None
    assert found.value == pytest.approx(250 / 36)


def test_a_tank_below_its_minimum_shows_as_negative() -> None:
    asked = problem()
    found = storage_margin(asked, trajectory(asked, level_m=np.full((5, 1), 0.5)))
    assert found is not None
    assert found.value == pytest.approx(-50 / 36)


def test_it_is_left_out_where_nothing_is_drawn() -> None:
    asked = problem(demand_m3_per_s=np.zeros((4, 1)))
    assert storage_margin(asked, trajectory(asked)) is None


@given(st.lists(st.floats(1.0, 4.0), min_size=5, max_size=5), st.floats(0.0, 1.0))
def test_more_water_at_every_moment_is_never_less_margin(levels: list[float], more: float) -> None:
    asked = problem()
    lower = storage_margin(asked, trajectory(asked, level_m=np.array(levels)[:, None]))
    higher = storage_margin(asked, trajectory(asked, level_m=np.array(levels)[:, None] + more))
    assert lower is not None
    assert higher is not None
    assert higher.value == pytest.approx(lower.value + 100 * more / 36)
