"""A typical day from what little there is: the rung for the first weeks of a zone."""

from __future__ import annotations

import numpy as np

from levada.domain.series import Floats
from levada.forecast.history import History, mean_of_known
from levada.forecast.wall_clock import Ints

__all__ = ["typical_day"]


def typical_day(history: History, target: Ints) -> Floats:
    """Mean flow of the target hours, m3/s, (rows,): the mean of the same local hour on days of the same sort.

    The sorts are working days and free days (weekends, holidays). An hour that its sort has never had is taken from all days; one
    that no day has had is interpolated over the clock's circle. Needs at least one known hour.
    """
    clock = history.clock
    free = clock.free
    everyday = _around_the_clock(mean_of_known(history.by_day, axis=0))
    table = np.stack([np.where(np.isfinite(m := mean_of_known(history.by_day[free == sort], axis=0)), m, everyday) for sort in (False, True)])
    flow: Floats = table[free[clock.day[target]].astype(np.int64), clock.slot[target]]
    return flow


def _around_the_clock(day: Floats) -> Floats:
    known = np.flatnonzero(np.isfinite(day))
    filled: Floats = np.interp(np.arange(24), known, day[known], period=24)
    return filled
