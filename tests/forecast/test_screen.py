from __future__ import annotations

from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.forecast.made_up import MEAN, measured, with_values

from levada.domain.series import Readings
from levada.forecast.screen import screen


def test_good_readings_are_left_alone() -> None:
    readings = measured(noise=0.05)
    found = screen(readings, 3600)
    assert found.left_out == ()
    assert found.readings.values.tolist() == readings.values.tolist()


def test_a_frozen_day_is_left_out_and_noted() -> None:
    readings = with_values(measured(), {timedelta(hours=-h): MEAN for h in range(40, 64)})
    found = screen(readings, 3600)
    assert len(readings) - len(found.readings) == 24
    assert (found.left_out[0].count, found.left_out[0].what) == (24, "readings of a frozen sensor")


def test_a_zone_that_draws_nothing_every_night_is_not_taken_for_frozen() -> None:
    readings = measured(noise=0.05)
    hour = readings.times.astype("datetime64[h]").astype(int) % 24
    quiet = Readings.good(readings.times, np.where(hour < 8, 0.0, readings.values))
    assert screen(quiet, 3600).left_out == ()


def test_three_spikes_are_left_out_and_noted() -> None:
    spikes = {timedelta(hours=-30): 9 * MEAN, timedelta(hours=-100): 7 * MEAN, timedelta(hours=-207): 12 * MEAN}
    found = screen(with_values(measured(), spikes), 3600)
    assert found.readings.values.max() < 3 * MEAN
    assert (found.left_out[0].count, found.left_out[0].what) == (3, "spikes")


def test_a_flow_below_zero_is_left_out() -> None:
    found = screen(with_values(measured(), {timedelta(hours=-5): -0.001}), 3600)
    assert (found.readings.values >= 0).all()
    assert (found.left_out[0].count, found.left_out[0].what) == (1, "readings below zero")


def test_a_burst_that_lasts_is_demand_and_stays() -> None:
    readings = measured()
    burst = with_values(readings, {timedelta(hours=-h): 3 * MEAN + 1e-5 * h for h in range(1, 20)})
    assert len(screen(burst, 3600).readings) == len(readings)


@given(st.lists(st.floats(-1, 1), max_size=80))
def test_what_is_left_is_a_part_of_what_came(values: list[float]) -> None:
    times = measured(days=len(values) / 24).times if values else Readings.empty().times
    found = screen(Readings.good(times, np.array(values, np.float64)), 3600).readings
    assert set(found.times.tolist()) <= set(times.tolist())
    assert (found.values >= 0).all()
