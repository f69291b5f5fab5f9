from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.kpi.kpi_case import problem, trajectory

from levada.kpi import off_peak_share, peak_share


def test_shares_as_worked_out_by_hand() -> None:
    asked = problem()
    moved = trajectory(asked)
    dear, cheap = peak_share(asked, moved), off_peak_share(asked, moved)
    assert dear is not None
    assert cheap is not None
    # A third of six hours is two: the dearest are step 4 (20 of 70 kWh); of the three hours at 0.10 (50 kWh) two thirds are cheapest
    assert dear.value == pytest.approx(100 * 20 / 70)
    assert cheap.value == pytest.approx(100 * (2 / 3) * 50 / 70)


def test_under_a_flat_tariff_both_are_a_third() -> None:
    asked = problem(price_per_kwh=np.full((4, 2), 0.15))
    for share in (peak_share, off_peak_share):
        found = share(asked, trajectory(asked))
        assert found is not None
        assert found.value == pytest.approx(100 / 3)


def test_they_are_left_out_where_no_energy_is_used() -> None:
    asked = problem()
    assert peak_share(asked, trajectory(asked, power_w=np.zeros((4, 2)))) is None


@given(arrays(np.float64, (4, 2), elements=st.floats(0, 1e5)), arrays(np.float64, (4, 2), elements=st.floats(-0.5, 1)))
def test_shares_are_shares_and_never_overlap(power_w: np.ndarray, price: np.ndarray) -> None:
    asked = problem(price_per_kwh=price)
    moved = trajectory(asked, power_w=power_w)
    dear, cheap = peak_share(asked, moved), off_peak_share(asked, moved)
    if dear is not None and cheap is not None:
        assert -1e-9 <= dear.value <= 100 + 1e-9
        assert -1e-9 <= cheap.value <= 100 + 1e-9
        assert dear.value + cheap.value <= 100 + 1e-6


@given(arrays(np.float64, (4, 2), elements=st.floats(1, 1e5)))
def test_running_all_the_time_at_even_power_uses_a_third_in_each_third(power_w: np.ndarray) -> None:
    asked = problem()
    even = np.repeat(power_w[:1], 4, axis=0)
    found = peak_share(asked, trajectory(asked, power_w=even))
    assert found is not None
    assert found.value == pytest.approx(100 / 3)
