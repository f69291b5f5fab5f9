"""Building a linear programme for HiGHS, column by column and row by row."""

from __future__ import annotations

import highspy
import numpy as np
from highspy._core import _Highs
from numpy.typing import NDArray

from levada.domain.series import Floats
from levada.schedule.plant import Ints

__all__ = ["Builder", "solver"]


class Builder:
    """Columns, rows and entries of a linear programme, gathered as arrays. What is put in one place more than once adds up."""

    def __init__(self) -> None:
        self.cost: list[Floats] = []
        self.low: list[Floats] = []
        self.high: list[Floats] = []
        self.row_low: list[Floats] = []
        self.row_high: list[Floats] = []
        self.entries: list[tuple[NDArray[np.int64], NDArray[np.int64], Floats]] = []
        self.columns = self.rows = 0
        self.more_cost: list[tuple[Ints, Floats]] = []
        self.offset = 0.0
        self.moved: list[tuple[Ints, float]] = []

    def add_columns(self, cost: Floats, low: float | Floats = 0.0, high: float | Floats = np.inf) -> Ints:
        n = len(cost)
        self.cost.append(np.asarray(cost, np.float64))
        self.low.append(np.broadcast_to(low, n).astype(np.float64))
        self.high.append(np.broadcast_to(high, n).astype(np.float64))
        self.columns += n
        return np.arange(self.columns - n, self.columns)

    def add_rows(self, low: Floats, high: Floats) -> Ints:
        self.row_low.append(np.asarray(low, np.float64))
        self.row_high.append(np.asarray(high, np.float64))
        self.rows += len(low)
        return np.arange(self.rows - len(low), self.rows)

    def put(self, rows: Ints, columns: Ints, values: Floats) -> None:
        rows, columns, values = np.broadcast_arrays(rows, columns, values)
        keep = values != 0
        self.entries.append((rows[keep].ravel(), columns[keep].ravel(), values[keep].ravel()))

    def add_cost(self, columns: Ints, cost: Floats) -> None:
        """Add to the cost of columns that are there."""
        self.more_cost.append((columns, np.broadcast_to(cost, len(columns)).astype(np.float64)))

    def constant(self, cost: float) -> None:
        """Add a constant to the objective."""
        self.offset += cost

    def move_row(self, rows: Ints, by: float) -> None:
        """Add to the limits of rows that are there."""
        self.moved.append((rows, by))

    def model(self) -> highspy.HighsLp:
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = self.columns, self.rows
        cost = np.concatenate(self.cost)
        for columns, more in self.more_cost:
            np.add.at(cost, columns, more)
        lp.col_cost_, lp.offset_ = cost, self.offset
        lp.col_lower_, lp.col_upper_ = np.concatenate(self.low), np.concatenate(self.high)
        row_low, row_high = np.concatenate(self.row_low), np.concatenate(self.row_high)
        for moved, by in self.moved:
            row_low[moved] += by
            row_high[moved] += by
        lp.row_lower_, lp.row_upper_ = row_low, row_high
        rows, columns, values = (np.concatenate([e[i] for e in self.entries]) for i in range(3))
        order = np.lexsort((rows, columns))
        rows, columns, values = rows[order], columns[order], values[order]
        first = np.flatnonzero((np.diff(rows, prepend=-1) != 0) | (np.diff(columns, prepend=-1) != 0))
        if len(first) < len(values):
            rows, columns, values = rows[first], columns[first], np.add.reduceat(values, first)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_ = np.searchsorted(columns, np.arange(self.columns + 1)).astype(np.int32)
        lp.a_matrix_.index_, lp.a_matrix_.value_ = rows.astype(np.int32), values
        return lp


def solver() -> _Highs:
    """HiGHS, silent, on one thread, its random seed fixed: it stops on work, never on seconds."""
    # The class behind highspy.Highs: that one prints a banner while it is made, before any option can silence it.
    h = _Highs()
    for option, value in (("output_flag", False), ("threads", 1), ("random_seed", 0), ("parallel", "off")):
        h.setOptionValue(option, value)
    return h
