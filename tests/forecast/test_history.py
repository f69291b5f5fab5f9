from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.forecast.made_up import NOW, ROME, measured, rhythm

from levada.domain.time import local_midnight
from levada.forecast.history import history, median_of_known


@pytest.mark.parametrize("sunday", [date(2021, 10, 31), date(2022, 3, 27)])
def test_over_a_change_of_the_clock_the_baseline_keeps_to_the_wall_clock(sunday: date) -> None:
    start = local_midnight(sunday - timedelta(days=1), ZoneInfo(ROME))
    hourly = measured(until=start, days=40, noise=0.0).values
    found = history(hourly, start, 72, ROME, {})
    times = np.datetime64(start.replace(tzinfo=None), "us") + np.arange(72) * np.timedelta64(3600, "s")
    # By UTC, or by 168 hours, the peak would be an hour off: up to 0.006 m3/s.
    assert np.abs(found.baseline[found.known :] - rhythm(times)).max() < 1e-9


def test_a_holiday_is_expected_like_a_sunday_and_no_later_week_learns_from_it() -> None:
    holiday = {date(2026, 5, 13): "saint of the town", date(2026, 5, 21): "another"}
    readings = measured(noise=0.0, holidays=holiday)
    found = history(readings.values, NOW, 48, ROME, holiday)
    times = np.datetime64(NOW.replace(tzinfo=None), "us") + np.arange(48) * np.timedelta64(3600, "s")
    # Wednesday the 20th follows a Wednesday that was a holiday; Thursday the 21st is one itself.
    assert np.abs(found.baseline[found.known :] - rhythm(times, holidays=holiday)).max() < 1e-9


def test_the_baseline_of_an_hour_uses_nothing_of_the_week_before_it() -> None:
    hourly = measured(days=40, noise=0.05).values
    changed = hourly.copy()
    changed[-150:] *= 3.0
    a, b = (history(h, NOW, 1, ROME, {}).baseline for h in (hourly, changed))
    assert np.array_equal(a, b, equal_nan=True)


def test_gaps_leave_the_median_of_what_is_known() -> None:
    hourly = measured(days=40, noise=0.0).values.copy()
    hourly[-24 * 14 : -24 * 7] = np.nan
    assert np.isfinite(history(hourly, NOW, 48, ROME, {}).baseline[-48:]).all()


def test_full_days_are_local_days() -> None:
    found = history(measured(until=datetime(2026, 5, 20, 10, tzinfo=UTC), days=10).values, datetime(2026, 5, 20, 10, tzinfo=UTC), 24, ROME, {})
    assert found.full_days == 9


@given(arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=st.floats(-10, 10) | st.just(np.nan)))
def test_the_median_of_known_values_is_the_ordinary_one(values: np.ndarray) -> None:
    for row, found in zip(values, median_of_known(values, axis=1), strict=True):
        known = row[np.isfinite(row)]
        assert np.isnan(found) if not len(known) else found == pytest.approx(np.median(known))
