from __future__ import annotations

from datetime import UTC, date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from tests.forecast.made_up import NOW, ROME, ahead, measured, rhythm

from levada.domain.series import Readings
from levada.domain.time import local_midnight
from levada.forecast.skill import last_week, mean_skill, score


def test_scores_are_those_of_the_contest_and_of_the_band() -> None:
    measured_flow = np.array([1.0] * 24 + [2.0] * 24)
    expected = measured_flow + np.array([0.5] * 23 + [1.0] + [0.25] * 24)
    found = score(np.stack([expected - 0.6, expected, expected + 0.6]), (0.05, 0.5, 0.95), measured_flow, 3600)
    assert (found.pi1, found.pi2, found.pi3) == pytest.approx((12.5 / 24, 1.0, 0.25))
    assert found.coverage_90 == pytest.approx(47 / 48)
    assert found.width_90 == pytest.approx(1.2)
    assert found.cumulated_m3 == pytest.approx(12.5 * 3600)
    assert np.isnan(found.coverage_80)


def test_what_was_not_measured_is_not_scored() -> None:
    truth = np.array([np.nan, 2.0] * 24)
    found = score(np.full((1, 48), 3.0), (0.5,), truth, 3600)
    assert (found.mae, found.pinball, found.cumulated_m3) == pytest.approx((1.0, 0.5, 12 * 3600))
    nothing = score(np.full((1, 48), 3.0), (0.5,), np.full(48, np.nan), 3600)
    assert np.isnan([nothing.mae, nothing.pi2, nothing.cumulated_m3]).all()
    assert mean_skill([found, nothing]).mae == found.mae


@pytest.mark.parametrize("sunday", [date(2025, 10, 26), date(2026, 3, 29)])
@pytest.mark.parametrize("step_s", [3600, 900])
def test_last_week_keeps_to_the_wall_clock_and_to_what_was_known(sunday: date, step_s: int) -> None:
    monday = local_midnight(sunday + timedelta(days=1), ZoneInfo(ROME)).astimezone(UTC)
    count = 168 * 3600 // step_s
    past = measured(until=monday, days=20, step_s=step_s, noise=0.0)
    found = last_week(past, monday, count, step_s, ROME)
    assert found == pytest.approx(rhythm(ahead(monday, count, step_s)))


def test_where_last_week_is_missing_the_week_before_stands_in() -> None:
    past = measured(days=20, noise=0.0)
    kept = (past.times < past.times[-100]) | (past.times > past.times[-60])
    gap = Readings.good(past.times[kept], past.values[kept])
    assert last_week(gap, NOW, 168, 3600, ROME) == pytest.approx(rhythm(ahead(NOW, 168)))
