"""Where a schedule that costs less than one that is known can still lead, by what it would cost more than V says.

In each step a way pays r = cost + V_k+1(after) - V_k(before) more than V said, at least 0 but for what V may be wrong by. The sum of all r until a state, at least, is propagated forward over the
cells of the grid; where it is beyond the room between the schedule that is known and the bound, no cheaper way can be. (Reduced cost fixing, as in linear programmes, on the levels of tanks.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levada.domain.pumping import Bools
from levada.domain.series import Floats
from levada.schedule.grid import Grid
from levada.schedule.grid_values import GridValues

__all__ = ["Corridor", "corridor"]

_INSIDE = 8
"""Random states of a cell that are looked at beside its corners."""

_SPARE = 1.1
"""The room is taken for so much wider."""


@dataclass(frozen=True, eq=False)
class Corridor:
    """Above `values`: the room for r, and by instant what r comes to at least (size,) and the configurations by which cheaper ways may go on (configurations, size)."""

    values: GridValues
    room: float
    paid: list[Floats]
    taken: list[Bools]

    def holds(self, k: int, x: Floats) -> Bools:
        """Whether cheaper ways may pass states (N, tanks) at instant k."""
        grid = self.values.layers[k].grid
        return np.asarray((self.paid[k][grid.around(x)[0]] <= self.room).any(axis=1) & ~grid.is_beyond(x), np.bool_)

    def most(self, k: int, x: Floats) -> Floats:
        """What a better V_k can be worth at states (N, tanks) where a cheaper way passes."""
        return self.values.at(k, x) + self.room

    def goes_on_by(self, k: int, x: Floats) -> Bools:
        """Whether cheaper ways may go on from states by configurations, (configurations, N)."""
        return np.asarray(self.taken[k][:, self.values.layers[k].grid.around(x)[0]].any(axis=2), np.bool_)


def corridor(values: GridValues, cost: float, rng: np.random.Generator) -> Corridor:
    """The corridor of what costs no more than `cost`."""
    room = _SPARE * max(cost - values.bound(), 0.0) + 1e-6 * values.asked.scale
    grids, n, kinds = [layer.grid for layer in values.layers], values.n, len(values.asked.joint)
    paid = [np.full(grid.size, np.inf) for grid in grids]
    taken = [np.zeros((kinds, grid.size), bool) for grid in grids]
    first = values.first_ends()
    _reach(paid[1], grids[1], first.x, first.cost + values.at(1, first.x) - values.start())
    for k in range(1, n):
        grid, cells = grids[k], values.layers[k].cells
        least = paid[k][cells[:, None] + grid.corners].min(axis=1, initial=np.inf)
        cells, least = cells[least <= room], least[least <= room]
        for u in np.vstack([grid.sides, rng.random((_INSIDE, grid.tanks))]):
            x = grid.states[cells] + u * grid.width
            here = values.at(k, x)
            for kind, rows, ends in values.steps[k].between(x):
                total = least[rows] + np.maximum(values.with_rest(k, ends) - here[rows], 0.0)
                goes = total <= room
                _reach(paid[k + 1], grids[k + 1], ends.x[goes], total[goes])
                taken[k][kind, (cells[rows[goes], None] + grid.corners).ravel()] = True
    return Corridor(values, room, paid, taken)


def _reach(paid: Floats, grid: Grid, x: Floats, total: Floats) -> None:
    """Put what was paid to the corners of the cells that are reached, where it is the least yet."""
    corners = grid.around(x)[0]
    np.minimum.at(paid, corners.ravel(), np.repeat(total, corners.shape[1]))
