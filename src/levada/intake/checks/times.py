"""Refuse readings from the future and from long ago: a wrong year or a clock that ran away, not data.

A measurement may be stamped up to a day ahead (clocks, time zones). Prices are published ahead and forecasts reach further: a year.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from levada.domain.settings import Column
from levada.domain.time import Instants, to_np
from levada.domain.units import Quantity

__all__ = ["TOO_OLD", "ahead_of", "in_the_future", "too_long_ago"]

AHEAD = timedelta(days=1)
TOLD_AHEAD = timedelta(days=366)
TOO_OLD = timedelta(days=3653)

_TOLD_AHEAD = frozenset({Quantity.PRICE, Quantity.EMISSION})


def ahead_of(column: Column) -> timedelta:
    """How far after its receipt a value of this column may be stamped."""
    return TOLD_AHEAD if column.is_forecast or column.quantity in _TOLD_AHEAD else AHEAD


def in_the_future(times: Instants, column: Column, now: datetime) -> NDArray[np.bool_]:
    """True where a reading is for an instant that nobody can know of yet."""
    mask: NDArray[np.bool_] = times > to_np(now + ahead_of(column))
    return mask


def too_long_ago(times: Instants, now: datetime) -> NDArray[np.bool_]:
    """True where a reading is more than ten years old."""
    mask: NDArray[np.bool_] = times < to_np(now - TOO_OLD)
    return mask
