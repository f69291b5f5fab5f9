"""Counts that break what binds the pumps by themselves are made to fit."""

from typing import Any

import numpy as np
import pytest
from tests.schedule.small_networks import Small

from levada.schedule.assignment import Fits
from levada.schedule.mend import mend
from levada.schedule.plant import Plant


@pytest.mark.parametrize(
    "changes",
    [{"min_on_s": np.full(2, 7200.0), "min_off_s": np.full(2, 7200.0)}, {"max_starts": np.full(2, 1)}, {"max_simultaneous_starts": 1}, {"max_starts": np.full(2, 2), "count_starts": "periodic"}],
    ids=["times", "starts", "together", "periodic"],
)  # fmt: skip
def test_counts_that_do_not_fit_are_mended(changes: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)
    for identical in (True, False):
        plant = Plant(Small(identical=identical).problem(n=24, **changes))
        fits = Fits(plant)
        for _ in range(10):
            counts = rng.integers(0, plant.class_size + 1, (24, len(plant.classes)))
            assert fits(mend(plant, fits, counts))
