from __future__ import annotations

import numpy as np
import pytest
from tests.forecast.made_up import MEAN, NOW, ROME, ahead, measured, rhythm

from levada.forecast.features import feature_names, rows
from levada.forecast.history import history
from levada.forecast.models.boosted import Boosted, View, fit_boosted
from levada.forecast.pairs import training_pairs

PAST = history(measured(noise=0.03).values, NOW, 48, ROME, {})
AHEAD = rows(PAST, np.full(48, PAST.known), PAST.known + np.arange(48))


def _fit(view: View) -> Boosted:
    origin, target = training_pairs(PAST, PAST.known, 1, any_hour=False)
    return fit_boosted(rows(PAST, origin, target), PAST.flow[target], PAST.known - target, view, 1)


@pytest.mark.parametrize("view", list(View))
def test_it_forecasts_a_regular_zone_within_its_noise(view: View) -> None:
    assert np.abs(_fit(view).flow(AHEAD) - rhythm(ahead(NOW, 48))).mean() < 0.03 * MEAN


@pytest.mark.parametrize("view", list(View))
def test_its_text_gives_the_same_flows(view: View) -> None:
    fitted = _fit(view)
    assert np.array_equal(Boosted.from_text(fitted.text(), view).flow(AHEAD), fitted.flow(AHEAD))


def test_the_effects_of_the_features_are_one_for_each() -> None:
    effects = _fit(View.LEVEL).effects(AHEAD)
    assert effects.shape == (48, len(feature_names(PAST)))
    assert np.abs(effects).sum() > 0
