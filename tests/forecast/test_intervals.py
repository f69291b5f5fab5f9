from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from levada.forecast.intervals import conformal_band, interpolated


def _rows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    lead, free, slot = rng.uniform(0, 48, count), rng.random(count) < 0.5, rng.integers(0, 24, count)
    # Errors grow with lead and are larger by day.
    return rng.normal(size=count) * (1 + lead / 48) * np.where(slot > 6, 2.0, 0.5), lead, free, slot


def test_the_band_of_independent_errors_holds_four_in_five_of_new_ones_at_short_and_long_leads() -> None:
    error, lead, free, slot = _rows(20_000, 1)
    band = conformal_band(error=error, lead_h=lead, free=free, slot=slot, age_h=np.ones(20_000), days=400)
    new, lead, free, slot = _rows(20_000, 2)
    low, _, high = interpolated(band.around(np.full(20_000, 100.0), lead, free, slot), (0.1, 0.5, 0.9))
    inside = (100 + new >= low) & (100 + new <= high)
    for part in (lead < 6, lead > 40, slot < 6, slot > 12):
        assert inside[part].mean() == pytest.approx(0.8, abs=0.06)


def test_fewer_days_make_a_wider_band() -> None:
    error, lead, free, slot = _rows(2_000, 1)
    few, many = (conformal_band(error=error, lead_h=lead, free=free, slot=slot, age_h=np.ones(2_000), days=d) for d in (7, 80))
    assert (few.scaled[-1] >= many.scaled[-1]).all()
    assert (few.scaled[2] < many.scaled[2]).all()


@given(arrays(np.float64, 60, elements=st.floats(-5, 5)), arrays(np.float64, 10, elements=st.floats(0, 3)), st.integers(1, 100))
def test_quantiles_never_cross_and_are_never_negative(error: np.ndarray, flow: np.ndarray, days: int) -> None:
    lead = np.linspace(0, 47, 60)
    band = conformal_band(error=error, lead_h=lead, age_h=np.ones(60), free=np.zeros(60, np.bool_), slot=lead.astype(np.int64) % 24, days=days)
    low, _, high = interpolated(band.around(flow, np.linspace(0, 47, 10), np.ones(10, np.bool_), np.arange(10)), (0.1, 0.5, 0.9))
    assert (low >= 0).all()
    assert (low <= flow + 1e-12).all()
    assert (flow <= high + 1e-12).all()


def test_a_zone_that_has_erred_more_lately_gets_a_wider_band() -> None:
    error, lead, free, slot = _rows(2_000, 1)
    age = np.linspace(84 * 24, 0, 2_000)
    lately = np.where(age < 14 * 24, 2.0, 1.0) * error
    bands = [conformal_band(error=e, lead_h=lead, free=free, slot=slot, age_h=age, days=84) for e in (error, lately)]
    widths = [float((q[-1] - q[0]).mean()) for q in (band.around(np.full(2_000, 100.0), lead, free, slot) for band in bands)]
    assert widths[1] > 1.4 * widths[0]
