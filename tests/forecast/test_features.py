from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.forecast.made_up import NOW, ROME, measured

from levada.forecast.features import FEATURES, features
from levada.forecast.history import History, history

PAST = history(measured(days=45, noise=0.1).values, NOW, 168, ROME, {})


def _without_what_follows(past: History, origin: int) -> History:
    """The same arrays with every hour from the origin on taken away, baselines left as they are."""
    flow = past.flow.copy()
    flow[origin:] = np.nan
    by_day = np.full(past.by_day.shape, np.nan)
    known = np.arange(origin)
    by_day[past.clock.day[known], past.clock.slot[known]] = flow[known]
    return replace(past, flow=flow, by_day=by_day)


@settings(max_examples=30)
@given(st.integers(24 * 21, 24 * 44), st.integers(0, 167))
def test_a_row_is_the_same_when_all_that_follows_its_origin_is_taken_away(origin: int, lead: int) -> None:
    at, target = np.array([origin]), np.array([origin + lead])
    assert np.array_equal(features(PAST, at, target), features(_without_what_follows(PAST, origin), at, target), equal_nan=True)


def test_there_is_a_column_for_each_name() -> None:
    assert features(PAST, np.array([900]), np.array([901])).shape == (1, len(FEATURES))
    assert len(set(FEATURES)) == len(FEATURES)


def test_they_do_not_depend_on_the_unit_of_flow() -> None:
    in_litres = history(measured(days=45, noise=0.1).values * 1000, NOW, 168, ROME, {})
    at, target = np.array([900, 950]), np.array([910, 1000])
    assert np.allclose(features(PAST, at, target), features(in_litres, at, target), rtol=1e-5, equal_nan=True)
