from __future__ import annotations

import numpy as np
import pytest
from tests.kpi.kpi_case import problem, trajectory

from levada.kpi import specific_energy


def test_energy_per_cubic_metre_pumped_as_worked_out_by_hand() -> None:
    asked = problem()
    found = specific_energy(asked, trajectory(asked))
    # 10 kW for 1 h + 20 kW for 2 h + 10 kW for 2 h = 70 kWh; 72 m3/h per running pump: 72 + 288 + 144 = 504 m3
    assert found is not None
    assert found.value == pytest.approx(70 / 504)
    assert found.unit == "kWh/m3"


def test_it_is_left_out_where_nothing_is_pumped() -> None:
    asked = problem()
    assert specific_energy(asked, trajectory(asked, power_w=np.zeros((4, 2)), flow=np.zeros((4, 2)))) is None
