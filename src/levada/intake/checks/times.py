"""Refuse readings from the future and from long ago: a wrong year or a clock that ran away, not data.

A measurement may be stamped up to a day ahead (clocks, time zones). Prices are published ahead and forecasts of them further: a year.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from levada.domain.time import Instants, to_np
from levada.domain.units import Quantity

__all__ = ["AHEAD", "PRICES_AHEAD", "TOO_OLD", "in_the_future", "too_long_ago"]

AHEAD = timedelta(days=1)
PRICES_AHEAD = timedelta(days=366)
TOO_OLD = timedelta(days=3653)


def in_the_future(times: Instants, quantity: Quantity, now: datetime) -> NDArray[np.bool_]:
    """True where a reading is for an instant that nobody can have measured yet."""
    mask: NDArray[np.bool_] = times > to_np(now + (PRICES_AHEAD if quantity is Quantity.PRICE else AHEAD))
    return mask


def too_long_ago(times: Instants, now: datetime) -> NDArray[np.bool_]:
    """True where a reading is more than ten years old."""
    mask: NDArray[np.bool_] = times < to_np(now - TOO_OLD)
    return mask
