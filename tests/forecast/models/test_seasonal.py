from __future__ import annotations

import numpy as np
import pytest
from tests.forecast.made_up import NOW, ROME, ahead, measured, rhythm

from levada.forecast.history import history
from levada.forecast.models.seasonal import seasonal


def test_the_usual_week_comes_again() -> None:
    past = history(measured(noise=0.0).values, NOW, 168, ROME, {})
    target = past.known + np.arange(168)
    assert seasonal(past, np.full(168, past.known), target) == pytest.approx(rhythm(ahead(NOW, 168)))


def test_a_raised_level_is_carried_on_and_fades_with_lead() -> None:
    hourly = measured(noise=0.0).values.copy()
    hourly[-72:] *= 1.2
    past = history(hourly, NOW, 168, ROME, {})
    target = past.known + np.arange(168)
    ratio = seasonal(past, np.full(168, past.known), target)[:96] / rhythm(ahead(NOW, 96))
    assert ratio[0] == pytest.approx(1.2**0.9)
    assert (np.diff(ratio) < 0).all()
    assert ratio[-1] > 1.2**0.5
