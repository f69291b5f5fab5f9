"""Which of many rows come to least in each step."""

from __future__ import annotations

import numpy as np

from levada.domain.series import Floats
from levada.schedule.plant import Ints

__all__ = ["least_of_each"]


def least_of_each(n: int, step: Ints, comes_to: Floats, each: int) -> Ints:
    """Rows of what comes to least in each of n steps, by their steps (N,) and what they come to (N,): so many at most, step by step and the least first."""
    order = np.lexsort((comes_to, step))
    rank = np.arange(len(order)) - np.searchsorted(step[order], np.arange(n))[step[order]]
    return order[rank < each]
