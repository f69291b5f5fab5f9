from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kpi.kpi_case import network, problem, trajectory

from levada.kpi.volumes import drawn_m3, energy_kwh, pumped_m3, tank_volume_m3

CURVE = ((0.0, 0.0), (2.0, 100.0), (5.0, 700.0))


def test_sums_agree_with_what_the_simulation_says() -> None:
    asked = problem()
    moved = trajectory(asked)
    assert energy_kwh(asked, moved).sum() == pytest.approx(moved.energy_kwh)
    assert pumped_m3(asked, moved) == pytest.approx(504)
    assert drawn_m3(asked) == pytest.approx(216)


def test_a_volume_curve_goes_on_beyond_its_ends() -> None:
    tank = network(volume_curve=CURVE).tanks[0]
    assert tank_volume_m3(tank, np.array([-1.0, 1.0, 2.0, 5.0, 6.0])) == pytest.approx([-50.0, 50.0, 100.0, 700.0, 900.0])


@given(st.floats(0, 5), st.floats(0, 5), st.booleans())
def test_a_higher_level_is_more_water(a: float, b: float, curved: bool) -> None:
    tank = network(volume_curve=CURVE if curved else ()).tanks[0]
    low, high = tank_volume_m3(tank, np.array(sorted((a, b))))
    assert low <= high
