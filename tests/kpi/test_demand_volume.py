from __future__ import annotations

import numpy as np
import pytest
from tests.kpi.kpi_case import problem

from levada.kpi import demand_volume


def test_volume_over_uneven_steps_as_worked_out_by_hand() -> None:
    demand = np.array([[0.01], [0.02], [0.01], [0.03]])
    # 36 + 72 + 72 + 216 m3
    assert demand_volume(problem(demand_m3_per_s=demand)).value == pytest.approx(396)
