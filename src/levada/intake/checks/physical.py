"""Mark as suspect what the quantity cannot be. Kept, since it may tell of a fault (a status of 2), and not used for planning."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from levada.domain.series import Floats
from levada.domain.units import Quantity

__all__ = ["suspect"]

_NOT_NEGATIVE = frozenset({Quantity.POWER, Quantity.ENERGY, Quantity.VOLUME, Quantity.SPEED, Quantity.DURATION, Quantity.EMISSION})
"""Flows, levels, pressures and prices may well be negative."""

_FASTEST = 2.0
"""Relative speed: no pump runs at more than twice its nominal speed."""


def suspect(values: Floats, quantity: Quantity) -> NDArray[np.bool_]:
    """True where a value (SI) is not possible: a status other than 0 and 1, a negative power, energy, volume, speed, duration or emission, a speed above 2."""
    mask = np.zeros(len(values), bool)
    if quantity in _NOT_NEGATIVE:
        mask |= values < 0
    if quantity is Quantity.SPEED:
        mask |= values > _FASTEST
    if quantity is Quantity.STATUS:
        mask |= (values != 0) & (values != 1)
    return mask
