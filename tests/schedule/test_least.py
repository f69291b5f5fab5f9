"""Rows that come to least in each step: held against sorting them one step at a time."""

from __future__ import annotations

import numpy as np

from levada.schedule.least import least_of_each


def test_they_are_the_least_of_each_step_in_order() -> None:
    rng = np.random.default_rng(0)
    step, comes_to = rng.integers(0, 6, 200), rng.normal(size=200)
    step[step == 3] = 4  # a step without any
    one_by_one = [r for k in range(6) for r in sorted(np.flatnonzero(step == k).tolist(), key=lambda r: comes_to[r])[:5]]
    assert least_of_each(6, step, comes_to, 5).tolist() == one_by_one
    assert least_of_each(6, step[:0], comes_to[:0], 5).tolist() == []
