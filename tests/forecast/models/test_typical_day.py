from __future__ import annotations

import numpy as np
from tests.forecast.made_up import NOW, ROME, ahead, measured, rhythm

from levada.forecast.history import history
from levada.forecast.models.typical_day import typical_day


def test_after_a_week_it_tells_working_days_from_free_ones() -> None:
    past = history(measured(days=8, noise=0.0).values, NOW, 24 * 5, ROME, {})
    truth = rhythm(ahead(NOW, 24 * 5))
    assert np.allclose(typical_day(past, past.known + np.arange(24 * 5)), truth)


def test_hours_that_no_day_has_had_are_interpolated() -> None:
    hourly = measured(days=1, noise=0.0).values.copy()
    hourly[[3, 4]] = np.nan
    past = history(hourly, NOW, 24, ROME, {})
    found = typical_day(past, past.known + np.arange(24))
    assert np.isfinite(found).all()
    low, high = sorted((found[2], found[5]))
    assert low <= found[3] <= high
