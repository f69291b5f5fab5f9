"""Refuse values outside the range that the contract calls plausible: the error codes and overflows of data loggers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from levada.domain.series import Floats
from levada.domain.settings import Column
from levada.domain.units import factor_to_si

__all__ = ["above", "below"]

_ROUNDING = 1e-12
"""Relative: limits are written in the file's unit and compared in SI, and must not refuse a value that equals them."""


def below(values: Floats, column: Column) -> NDArray[np.bool_]:
    """True where a value (SI) is below the column's minimum."""
    if column.minimum is None:
        return np.zeros(len(values), bool)
    limit = column.minimum * factor_to_si(column.quantity, column.unit)
    mask: NDArray[np.bool_] = values < limit - _ROUNDING * abs(limit)
    return mask


def above(values: Floats, column: Column) -> NDArray[np.bool_]:
    """True where a value (SI) is above the column's maximum."""
    if column.maximum is None:
        return np.zeros(len(values), bool)
    limit = column.maximum * factor_to_si(column.quantity, column.unit)
    mask: NDArray[np.bool_] = values > limit + _ROUNDING * abs(limit)
    return mask
