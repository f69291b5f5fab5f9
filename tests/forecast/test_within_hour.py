from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.forecast.made_up import NOW, ROME, measured

from levada.forecast.history import history
from levada.forecast.within_hour import hours_of_steps, shape_within_hours, split_hours


def test_the_shape_within_an_hour_is_found_again() -> None:
    rising = np.tile([0.7, 0.9, 1.1, 1.3], 24 * 30) * 0.02
    within, hourly = hours_of_steps(rising, 4)
    clock = history(hourly, NOW, 2, ROME, {}).clock
    split = split_hours(np.array([0.02, 0.04]), np.array([720, 721]), clock, shape_within_hours(within, hourly, clock))
    # Drawn a little towards an even hour.
    assert split[0] == pytest.approx(np.array([0.7, 0.9, 1.1, 1.3]) * 0.02, rel=0.2)
    assert split[0, 0] < split[0, 1] < split[0, 2] < split[0, 3]


def test_an_hour_with_half_of_its_steps_is_known() -> None:
    _, hourly = hours_of_steps(np.array([1.0, np.nan, 3.0, np.nan, 5.0, np.nan, np.nan, np.nan]), 4)
    assert hourly[0] == 2.0
    assert np.isnan(hourly[1])


@given(st.sampled_from([1, 2, 4, 12]), arrays(np.float64, 24, elements=st.floats(0, 1)))
def test_splitting_keeps_the_volume_of_every_hour(per_hour: int, flow: np.ndarray) -> None:
    steps = measured(days=14, step_s=3600 // per_hour, noise=0.3).values.clip(0)
    within, hourly = hours_of_steps(steps, per_hour)
    clock = history(hourly, NOW, 24, ROME, {}).clock
    split = split_hours(flow, len(hourly) + np.arange(24), clock, shape_within_hours(within, hourly, clock))
    assert split.mean(axis=1) == pytest.approx(flow)
    assert (split >= 0).all()
