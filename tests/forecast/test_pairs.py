from __future__ import annotations

import numpy as np
import pytest
from tests.forecast.made_up import NOW, ROME, measured

from levada.forecast.history import history
from levada.forecast.pairs import held_out_hours, recent_pairs, training_pairs

PAST = history(measured(noise=0.05).values, NOW, 48, ROME, {})


@pytest.mark.parametrize("any_hour", [True, False])
def test_training_pairs_look_ahead_only_and_end_at_the_limit(any_hour: bool) -> None:
    origin, target = training_pairs(PAST, 1000, 1, any_hour)
    assert ((target - origin >= 0) & (target - origin < 48)).all()
    assert target.max() < 1000


def test_a_model_for_any_hour_learns_from_every_hour_of_the_day() -> None:
    at_any, _ = training_pairs(PAST, PAST.known, 1, True)
    alike, _ = training_pairs(PAST, PAST.known, 1, False)
    assert len(np.unique(PAST.clock.slot[at_any])) == 24
    assert set((PAST.clock.slot[alike] - PAST.clock.slot[PAST.known]) % 6) == {0}


def test_a_choice_of_rows_favours_the_first_day_and_keeps_to_the_limit() -> None:
    origin, target = training_pairs(PAST, PAST.known, 1, False, most=400)
    assert len(origin) == 400
    assert (target - origin < 24).mean() > 0.6


def test_no_value_is_judged_that_a_first_fit_may_have_seen() -> None:
    held_out = held_out_hours(PAST)
    origin, target = recent_pairs(PAST, held_out, False)
    assert origin.min() >= PAST.known - held_out
    assert target.max() < PAST.known
