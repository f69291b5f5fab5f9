from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.kpi.kpi_case import problem, trajectory

from levada.kpi import load_factor


def test_mean_over_highest_power_as_worked_out_by_hand() -> None:
    asked = problem()
    found = load_factor(asked, trajectory(asked))
    # 70 kWh in 6 h, at most 20 kW
    assert found is not None
    assert found.value == pytest.approx(100 * (70 / 6) / 20)
    assert "20.0 kW" in found.description


def test_it_is_left_out_where_no_power_is_drawn() -> None:
    asked = problem()
    assert load_factor(asked, trajectory(asked, power_w=np.zeros((4, 2)))) is None


@given(arrays(np.float64, (4, 2), elements=st.just(0.0) | st.floats(1e-3, 1e5)))
def test_it_is_at_most_100_percent(power_w: np.ndarray) -> None:
    asked = problem()
    found = load_factor(asked, trajectory(asked, power_w=power_w))
    if found is not None:
        assert 0 < found.value <= 100 + 1e-9
