from __future__ import annotations

import numpy as np
import pytest
from tests.kpi.kpi_case import problem, trajectory

from levada.kpi import energy_cost


def test_cost_per_cubic_metre_drawn_as_worked_out_by_hand() -> None:
    asked = problem()
    found = energy_cost(asked, trajectory(asked), "EUR")
    # 10 kWh at 0.10 + 40 kWh at 0.10 + 20 kWh at 0.30 = 11; 36 m3/h for 6 h = 216 m3
    assert found is not None
    assert found.value == pytest.approx(11 / 216)
    assert found.unit == "EUR/m3"


def test_it_is_left_out_where_nothing_is_drawn() -> None:
    asked = problem(demand_m3_per_s=np.zeros((4, 1)))
    assert energy_cost(asked, trajectory(asked), "EUR") is None


def test_water_fed_in_is_not_taken_off_what_is_drawn() -> None:
    demand = np.array([[0.01], [-0.05], [0.01], [0.01]])
    asked = problem(demand_m3_per_s=demand)
    found = energy_cost(asked, trajectory(asked), "EUR")
    assert found is not None
    assert found.value == pytest.approx(11 / 180)
