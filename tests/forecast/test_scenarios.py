from __future__ import annotations

import numpy as np
from tests.forecast.made_up import asked, measured

from levada.forecast import forecast
from levada.forecast.intervals import GRID
from levada.forecast.scenarios import draw_paths

RNG = np.random.default_rng(4)
COMMON = np.cumsum(RNG.normal(size=(80, 24)), axis=1)
MARGIN = 10 + np.linspace(-1, 1, len(GRID))[:, None] * np.ones((1, 24))


def _paths() -> np.ndarray:
    return draw_paths([MARGIN, MARGIN], [COMMON, COMMON + 0.3 * RNG.normal(size=COMMON.shape)], 1, 400, 7)


def test_each_step_has_the_quantiles_as_its_margin() -> None:
    paths = _paths()
    for level in (0.1, 0.5, 0.9):
        assert np.allclose(np.quantile(paths[:, 0], level, axis=0), np.interp(level, GRID, MARGIN[:, 0]), atol=0.02)


def test_paths_hang_together_over_time_and_zones_as_past_errors_did() -> None:
    paths = _paths()
    assert np.corrcoef(paths[:, 0, 10], paths[:, 0, 11])[0, 1] > 0.8
    assert np.corrcoef(paths[:, 0, 12], paths[:, 1, 12])[0, 1] > 0.8
    assert np.corrcoef(COMMON[:, 0], COMMON[:, 23])[0, 1] + 0.3 > np.corrcoef(paths[:, 0, 0], paths[:, 0, 23])[0, 1]


def test_a_zone_without_past_errors_is_always_equally_wrong() -> None:
    paths = draw_paths([MARGIN], [np.empty((0, 24))], 1, 50, 7)
    assert np.allclose(paths[:, 0, :1], paths[:, 0])
    assert len(np.unique(paths[:, 0, 0])) == 50


def test_the_forecast_draws_as_many_as_are_asked_for_none_negative_and_with_shorter_steps_too() -> None:
    zones = {"a": measured(days=30, step_s=900), "b": measured(days=3, step_s=900)}
    found = forecast(asked(zones, scenarios=20, step_s=1800, count=20))
    assert found.scenarios_m3_per_s.shape == (20, 2, 20)
    assert (found.scenarios_m3_per_s >= 0).all()
