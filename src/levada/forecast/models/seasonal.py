"""The usual week, moved to the present level. Nothing is fitted, so it stands on little history and survives odd weeks."""

from __future__ import annotations

import numpy as np

from levada.domain.series import Floats
from levada.forecast.features import departure_before, floored_baseline
from levada.forecast.history import History
from levada.forecast.wall_clock import Ints

__all__ = ["seasonal"]

_LEVEL_LIMITS = (0.3, 3.0)
_LASTING, _PASSING, _MEMORY_H = 0.5, 0.4, 48.0


def seasonal(history: History, origin: Ints, target: Ints) -> Floats:
    """Mean flow of the target hours as seen at the origins, m3/s, (rows,): baseline x level ** weight.

    The level is flow over baseline in the three days before the origin (a week, where those are missing). The weight falls with
    lead time from 0.9 to 0.5: half of a departure from the usual tends to pass within days. Where there is no baseline, the mean flow
    stands for it.
    """
    three_days, week = departure_before(history, origin, 72), departure_before(history, origin, 168)
    level = np.where(np.isfinite(three_days), three_days, np.where(np.isfinite(week), week, 1.0))
    weight = _LASTING + _PASSING * np.exp(-(target - origin) / _MEMORY_H)
    base = np.where(np.isfinite(history.baseline), history.baseline, floored_baseline(history))
    flow: Floats = base[target] * np.clip(level, *_LEVEL_LIMITS) ** weight
    return flow
