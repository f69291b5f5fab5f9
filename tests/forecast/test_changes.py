from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from tests.forecast.made_up import MEAN, NOW, ROME, ahead, measured, rhythm

from levada.forecast.changes import follow_change

HOURLY = measured(noise=0.05).values


@pytest.mark.parametrize("days", [3, 5, 9, 14])
@pytest.mark.parametrize("factor", [1.2, 0.7])
def test_a_shifted_level_is_dated_and_what_lies_before_is_moved_to_it(days: int, factor: float) -> None:
    hourly = HOURLY.copy()
    hourly[-24 * days :] *= factor
    found = follow_change(hourly, NOW, ROME, {})
    assert found.change is not None
    assert found.change.since == NOW - timedelta(days=days)
    assert found.change.ratio == pytest.approx(factor, rel=0.03)
    assert found.hourly == pytest.approx(HOURLY * factor, rel=0.03)


def test_a_burst_adds_the_same_at_night() -> None:
    hourly = HOURLY.copy()
    hourly[-24 * 4 :] += 0.3 * MEAN
    found = follow_change(hourly, NOW, ROME, {})
    assert found.change is not None
    assert np.abs(found.hourly - (HOURLY + 0.3 * MEAN)).mean() < 0.02 * MEAN


def test_ordinary_days_two_odd_days_and_a_slow_season_are_no_change() -> None:
    odd = HOURLY.copy()
    odd[-48:] *= 1.5
    slow = HOURLY * np.linspace(1.0, 1.5, len(HOURLY))
    for hourly in (HOURLY, odd, slow, HOURLY[-24 * 20 :]):
        found = follow_change(hourly, NOW, ROME, {})
        assert found.change is None
        assert np.array_equal(found.hourly, hourly)


def test_after_a_closure_only_the_closure_is_moved() -> None:
    hourly = HOURLY.copy()
    hourly[-24 * 20 : -24 * 5] *= 0.6
    found = follow_change(hourly, NOW, ROME, {})
    assert found.change is not None
    assert found.hourly == pytest.approx(HOURLY, rel=0.06)


def test_a_holiday_week_is_no_change_where_the_calendar_knows_it() -> None:
    start = NOW - timedelta(days=60)
    holiday = {date(2026, 5, 16) + timedelta(days=i): "feast" for i in range(4)}
    hourly = rhythm(ahead(start, 60 * 24), holidays=holiday) * (1 + 0.02 * np.random.default_rng(1).normal(size=60 * 24))
    assert follow_change(hourly, NOW, ROME, holiday).change is None
