"""Refuse, of two values for one instant in one file, the one further up: loggers append what they correct."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from levada.domain.series import Floats
from levada.domain.time import Instants

__all__ = ["overridden"]


def overridden(times: Instants, values: Floats, lines: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """For readings in the order of the file: a mask of those for whose instant a later line has another value, and which line decides.

    Rows that repeat an instant with the same value are no problem and are not in the mask. Where the mask is False the line means nothing.
    """
    n = len(times)
    mask, decider = np.zeros(n, bool), np.zeros(n, np.int64)
    if n < 2:
        return mask, decider
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    ends = np.append(ordered[1:] != ordered[:-1], True)  # the last reading of each instant
    if ends.all():
        return mask, decider
    last = order[np.flatnonzero(ends)[np.cumsum(np.append(0, ends[:-1])).astype(np.int64)]]
    mask[order] = values[order] != values[last]
    decider[order] = lines[last]
    return mask, decider
