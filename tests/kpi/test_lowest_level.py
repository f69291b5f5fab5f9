from __future__ import annotations

import numpy as np
import pytest
from tests.kpi.kpi_case import problem, trajectory

from levada.kpi import lowest_level


def test_the_nearest_approach_to_a_minimum_as_worked_out_by_hand() -> None:
    asked = problem()
    found = lowest_level(asked, trajectory(asked, level_m=np.array([[2.0], [1.3], [2.5], [4.0], [2.0]])))
    # 0.3 m above the minimum of a range of 3 m, after the first hour
    assert found is not None
    assert found.value == pytest.approx(10.0)
    assert found.description.startswith("Tank hill")
    assert "2026-03-02T01:00:00Z" in found.description


def test_below_the_minimum_it_is_negative() -> None:
    asked = problem()
    found = lowest_level(asked, trajectory(asked, level_m=np.full((5, 1), 0.7)))
    assert found is not None
    assert found.value == pytest.approx(-10.0)
