"""Grids over the levels of all tanks, and values at their nodes interpolated to states between."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from levada.domain.pumping import Bools
from levada.domain.series import Floats
from levada.schedule.plant import Ints

__all__ = ["Grid"]

_EDGE = 1e-9
"""States no further outside are on the edge."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Evenly spaced nodes, `nodes` of them for each tank, from states `low` to `high` (tanks,); numbered with the last tank's state running fastest.

    A cell goes by the number of its lowest node.
    """

    nodes: int
    low: Floats
    high: Floats

    @property
    def tanks(self) -> int:
        return len(self.low)

    @property
    def size(self) -> int:
        return int(self.nodes**self.tanks)

    @cached_property
    def width(self) -> Floats:
        """Width of a cell, (tanks,)."""
        return np.asarray((self.high - self.low) / (self.nodes - 1), np.float64)

    @cached_property
    def sides(self) -> Ints:
        """Corners of a cell as 0 or 1 by tank, the lowest first, (corners, tanks)."""
        return np.array(list(product((0, 1), repeat=self.tanks)), np.int64)

    @cached_property
    def corners(self) -> Ints:
        """What is added to the number of a cell for that of each of its corners, (corners,)."""
        return self.sides @ self._stride

    @cached_property
    def _stride(self) -> Ints:
        return np.asarray(self.nodes ** np.arange(self.tanks - 1, -1, -1), np.int64)

    @cached_property
    def states(self) -> Floats:
        """States of the nodes, (size, tanks)."""
        return np.asarray(self.low + self._places * self.width, np.float64)

    @cached_property
    def cells(self) -> Ints:
        """All cells."""
        return np.flatnonzero((self._places < self.nodes - 1).all(axis=1))

    @cached_property
    def _places(self) -> Ints:
        return np.stack(np.unravel_index(np.arange(self.size), (self.nodes,) * self.tanks), axis=1)

    def around(self, x: Floats) -> tuple[Ints, Floats]:
        """Corners of the cell that states (N, tanks) lie in, the cell's own number first, and their weights, (N, corners). States outside are taken to the edge."""
        u = np.clip((x - self.low) / np.maximum(self.width, 1e-12), 0.0, self.nodes - 1.0)
        i = np.minimum(u.astype(np.int64), self.nodes - 2)
        share = (u - i)[:, None, :]
        weight = np.where(self.sides == 1, share, 1.0 - share).prod(axis=2)
        return (i @ self._stride)[:, None] + self.corners, weight

    def is_beyond(self, x: Floats) -> Bools:
        """Which states (N, tanks) lie outside."""
        return np.asarray(((x < self.low - _EDGE) | (x > self.high + _EDGE)).any(axis=1), np.bool_)

    def at(self, values: Floats, x: Floats) -> Floats:
        """Values (size,) or (size, columns) of the nodes, interpolated at states (N, tanks)."""
        i, w = self.around(x)
        return np.asarray((values[i] * (w if values.ndim == 1 else w[:, :, None])).sum(axis=1), np.float64)
