from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.forecast.made_up import NOW, ROME, measured

from levada.forecast.features import feature_names, rows
from levada.forecast.history import history

HOURLY = measured(days=45, noise=0.1).values
PAST = history(HOURLY, NOW, 168, ROME, {})
MEAN_COLUMN = feature_names(PAST).index("level")


def _seen(hourly: np.ndarray, origin: int, target: int, scale: float) -> np.ndarray:
    """A row without the scale of the whole, which is of all that is known."""
    past = history(hourly, NOW, 168, ROME, {})
    of = rows(past, np.array([origin]), np.array([target]))
    table = of.table[0].astype(np.float64)
    table[MEAN_COLUMN] *= past.scale / scale
    return np.concatenate([table, of.usual, of.level])


@settings(max_examples=30, deadline=None)
@given(st.integers(24 * 21, 24 * 44), st.integers(0, 167))
def test_a_row_is_the_same_when_all_that_follows_its_origin_is_otherwise(origin: int, lead: int) -> None:
    otherwise = HOURLY.copy()
    otherwise[origin:] *= 3.0
    found, expected = (_seen(h, origin, origin + lead, PAST.scale) for h in (otherwise, HOURLY))
    # The usual flow of an hour that draws next to nothing may be floored by the scale: departures alone.
    assert np.allclose(found, expected, rtol=1e-5, equal_nan=True)


def test_there_is_a_column_for_each_name() -> None:
    assert rows(PAST, np.array([900]), np.array([901])).table.shape == (1, len(feature_names(PAST)))
    assert len(set(feature_names(PAST))) == len(feature_names(PAST))


def test_they_do_not_depend_on_the_unit_of_flow() -> None:
    in_litres = history(HOURLY * 1000, NOW, 168, ROME, {})
    at, target = np.array([900, 950]), np.array([910, 1000])
    assert np.allclose(rows(PAST, at, target).table, rows(in_litres, at, target).table, rtol=1e-5, equal_nan=True)


def test_a_gap_is_looked_back_at_as_the_usual_flow() -> None:
    gap = HOURLY.copy()
    gap[-30:-6] = np.nan
    past = history(gap, NOW, 48, ROME, {})
    of = rows(past, np.full(24, past.known), past.known + np.arange(24))
    assert np.isfinite(of.table[:, feature_names(past).index("same_hour_1_days_back")]).all()
    assert np.isnan(past.flow[past.known - 20])


def test_weather_is_seen_by_the_hour_its_day_and_against_the_week_before() -> None:
    warm = np.full(len(HOURLY) + 168, 10.0)
    warm[len(HOURLY) + 24 :] = 16.0
    past = history(HOURLY, NOW, 168, ROME, {}, weather={"temperature_c": warm})
    target = np.array([past.known + 30])
    of = rows(past, np.array([past.known]), target)
    found = dict(zip(feature_names(past), of.table[0], strict=True))
    assert (found["temperature_c"], found["temperature_c_day"], found["temperature_c_against_week"]) == (16.0, 16.0, 6.0)
    assert of.without_weather().table.shape[1] == len(feature_names(PAST))
