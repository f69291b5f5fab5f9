from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.kpi.kpi_case import problem, trajectory

from levada.kpi import average_price


def test_price_weighted_by_energy_as_worked_out_by_hand() -> None:
    asked = problem()
    found = average_price(asked, trajectory(asked), "EUR")
    assert found is not None
    assert found.value == pytest.approx(11 / 70)
    # evenly: (0.1 + 0.2 + 2 x 0.1 + 2 x 0.3) / 6
    assert "0.1833" in found.description


def test_it_is_left_out_where_no_energy_is_used() -> None:
    asked = problem()
    assert average_price(asked, trajectory(asked, power_w=np.zeros((4, 2))), "EUR") is None


@given(arrays(np.float64, (4, 2), elements=st.floats(0, 1e5)))
def test_it_lies_between_the_lowest_and_the_highest_price(power_w: np.ndarray) -> None:
    asked = problem()
    found = average_price(asked, trajectory(asked, power_w=power_w), "EUR")
    if found is not None:
        assert 0.10 - 1e-9 <= found.value <= 0.30 + 1e-9
