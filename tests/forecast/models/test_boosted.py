from __future__ import annotations

import numpy as np
from tests.forecast.made_up import MEAN, NOW, ROME, ahead, measured, rhythm

from levada.forecast.history import history
from levada.forecast.models.boosted import fit_boosted, training_pairs


def test_it_learns_nothing_from_targets_after_its_limit() -> None:
    hourly = measured(noise=0.05).values
    changed = hourly.copy()
    # The other way round: the mean of all, by which flows are scaled, stays the same.
    changed[-24 * 10 :] = changed[-24 * 10 :][::-1]
    until = len(hourly) - 24 * 10
    origin, target = np.full(24, until), until + np.arange(24)
    a, b = (history(h, NOW, 24, ROME, {}) for h in (hourly, changed))
    # Both are asked on the same arrays: what differs can only come from the fit.
    flows = [fit_boosted(past, until, 24, 1).flow(a, origin, target) for past in (a, b)]  # type: ignore[union-attr]
    assert np.allclose(flows[0], flows[1], rtol=1e-6)


def test_training_pairs_look_ahead_only_and_end_at_the_limit() -> None:
    past = history(measured(noise=0.05).values, NOW, 48, ROME, {})
    origin, target = training_pairs(past, 1000, 48, 1)
    assert ((target - origin >= 0) & (target - origin < 48)).all()
    assert target.max() < 1000


def test_it_forecasts_a_regular_zone_within_its_noise() -> None:
    past = history(measured(noise=0.03).values, NOW, 48, ROME, {})
    model = fit_boosted(past, past.known, 48, 1)
    assert model is not None
    found = model.flow(past, np.full(48, past.known), past.known + np.arange(48))
    assert np.abs(found - rhythm(ahead(NOW, 48))).mean() < 0.03 * MEAN


def test_too_little_history_gives_no_model() -> None:
    past = history(measured(days=14.5).values, NOW, 48, ROME, {})
    assert fit_boosted(past, past.known, 48, 1) is None
