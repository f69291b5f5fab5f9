from __future__ import annotations

from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.forecast.made_up import NOW, ahead

from levada.domain.series import Quality, Readings
from levada.forecast.grid import even_steps, known_readings, usual_interval_s


def test_finer_readings_are_averaged_over_the_step() -> None:
    readings = Readings.good(ahead(NOW - timedelta(hours=2), 8, 900), np.array([1.0, 2, 3, 4, 5, 6, 7, 8]))
    assert even_steps(readings, 900, NOW, 3600).tolist() == [2.5, 6.5]


def test_coarser_readings_hold_over_their_whole_interval() -> None:
    readings = Readings.good(ahead(NOW - timedelta(hours=2), 2), np.array([1.0, 2]))
    assert even_steps(readings, 3600, NOW, 900).tolist() == [1, 1, 1, 1, 2, 2, 2, 2]


def test_a_step_of_which_less_than_half_is_covered_is_unknown() -> None:
    times = ahead(NOW - timedelta(hours=2), 8, 900)[[0, 4, 5]]
    assert np.isnan(even_steps(Readings.good(times, np.ones(3)), 900, NOW, 3600)).tolist() == [True, False]


def test_suspect_readings_and_intervals_that_have_not_ended_are_not_known() -> None:
    times = ahead(NOW - timedelta(hours=3), 5)
    quality = np.array([0, Quality.SUSPECT, Quality.LATE, 0, 0], np.uint8)
    known, interval_s = known_readings(Readings(times=times, values=np.arange(5.0), quality=quality), NOW)
    assert interval_s == 3600 * 2 or known.values.tolist() == [0, 2]
    known, _ = known_readings(Readings.good(times, np.arange(5.0)), NOW - timedelta(minutes=10))
    assert known.values.tolist() == [0, 1]


def test_the_usual_interval_survives_gaps() -> None:
    times = np.delete(ahead(NOW - timedelta(hours=30), 100, 900), [5, 6, 7, 40])
    assert usual_interval_s(Readings.good(times, np.ones(96))) == 900
    assert usual_interval_s(Readings.empty()) == 3600


@given(st.lists(st.floats(0, 1), min_size=4, max_size=60), st.sampled_from([900, 1800, 3600]))
def test_averaging_keeps_the_volume(values: list[float], step_s: int) -> None:
    whole = len(values) // 4 * 4
    readings = Readings.good(ahead(NOW - timedelta(minutes=15 * whole), whole, 900), np.array(values[:whole]))
    assert np.isclose(even_steps(readings, 900, NOW, step_s).sum() * step_s, readings.values.sum() * 900)
