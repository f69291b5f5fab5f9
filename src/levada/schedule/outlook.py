"""What is still to pay from any levels: what a beam looks ahead by.

Where there are few tanks it is a dynamic programme over a grid of all their levels, on response surfaces: from each node the best action, with what follows interpolated
between nodes. It knows that pumps run or not, where water is stuck, and what an end costs, none of which a price of water tells. Where starts are few it knows also which pumps
run and how many starts are left that day, of all pumps together. It is no bound: surfaces and the interpolation are off by what they are off. With more tanks it is the value of
the water stored, from the duals of the bound.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from levada.domain.series import Floats
from levada.schedule.ahead import Forecast
from levada.schedule.bars import Bars
from levada.schedule.candidate import penalty
from levada.schedule.plant import Ints
from levada.schedule.search import BROKEN, Actions, Outlook

__all__ = ["Outlook", "outlook_by_levels", "outlook_by_water"]

_MOST_TANKS = 4
_NODES = (41, 31, 25, 21, 17, 15, 13, 11, 9, 7)
"""Levels of each tank that grids have: the most that the rows allow."""

_FEW_STARTS = 8
"""Up to so many a day are counted."""

_SOFT = 0.3
"""Share of the price of severity that is looked ahead by: between a node that breaks a limit and one that does not the interpolation puts it on a whole cell."""

_ROWS_A_START = 10
"""A step on surfaces takes as long as so many look-ups of what follows."""


def outlook_by_water(water: Floats) -> Outlook:
    """By the worth of a full tank's content at each instant, (n + 1, tanks)."""

    def outlook(k: int, x: Floats, counts: Ints, used: Ints) -> Floats:  # noqa: ARG001 - the price of water knows levels only
        return np.asarray(-(x @ water[k]), np.float64)

    return outlook


def outlook_by_levels(forecast: Forecast, actions: list[Actions], price: float, rows: int) -> Outlook | None:
    """By the levels of all tanks; None where there are too many of them. `price` is what a unit of severity costs, `rows` how many steps on surfaces it may take."""
    plant, starts = forecast.plant, _Starts(forecast, actions)
    choices = sum(len(a.counts) for a in actions)
    nodes = next((s for s in _NODES if choices * s**plant.tanks * (1 + starts.size // _ROWS_A_START) <= rows), None)
    if plant.tanks > _MOST_TANKS or nodes is None:
        return None
    ahead: list[Floats] = []
    for k in range(plant.n - 1, -1, -1):
        ahead.append(_back(forecast, actions[k], k, _SOFT * price, nodes, starts, ahead[-1] if ahead else None))
    ahead.reverse()

    def outlook(k: int, x: Floats, counts: Ints, used: Ints) -> Floats:
        return _between(ahead[k], starts.row(counts, used), nodes, x)

    return outlook


def _back(forecast: Forecast, a: Actions, k: int, price: float, nodes: int, starts: _Starts, after: Floats | None) -> Floats:
    """What is still to pay at instant k, (rows of `starts`, nodes of the grid), from what is at the next."""
    plant, axis = forecast.plant, np.linspace(0.0, 1.0, nodes)
    x = np.stack(np.meshgrid(*[axis] * plant.tanks, indexing="ij"), axis=-1).reshape(-1, plant.tanks)
    value = np.full((starts.size, len(x)), np.inf)
    for j in range(len(a.counts)):
        ahead = forecast.step(k, x, np.repeat(a.configuration[j : j + 1], len(x), axis=0), np.repeat(a.speeds[j : j + 1], len(x), axis=0))
        paid, amiss = ahead.cost, ahead.severity + forecast.beyond(k, ahead.x)
        if after is None:
            paid, amiss = paid + forecast.whole.stored(plant.volume(ahead.x)), amiss + forecast.end(ahead.x)
        paid = paid + price * penalty(amiss)
        to, wear, over = starts.ways(k, a.counts[j])
        rest = {r: 0.0 if after is None else _between(after, np.full(len(x), r), nodes, ahead.x) for r in sorted(set(to.tolist()))}
        for row, (r, worn, beyond) in enumerate(zip(to.tolist(), wear.tolist(), over.tolist(), strict=True)):
            value[row] = np.minimum(value[row], paid + rest[r] + worn + price * BROKEN * beyond)
    return value


class _Starts:
    """Rows of the outlook: where starts are few one for what runs (last counts) and the starts used that day of all classes together, else a single one."""

    def __init__(self, forecast: Forecast, actions: list[Actions]) -> None:
        plant = forecast.plant
        self._bars = bars = Bars(plant)
        self._most = bars.starts.sum(axis=1) if bars.total is None else np.minimum(bars.starts.sum(axis=1), bars.total)
        self._wear = np.array([forecast.whole.wear(c) for c in range(len(plant.classes))])
        self._kinds = np.unique(np.concatenate([plant.initial_count[None], *[a.counts for a in actions]]), axis=0)
        self._levels = int(self._most.max()) + 1 if self._most.max() <= _FEW_STARTS else 0
        self.size = len(self._kinds) * self._levels or 1

    def row(self, counts: Ints, used: Ints) -> Ints:
        """Rows of states with counts until then and starts used that day (N, classes)."""
        if not self._levels:
            return np.zeros(len(counts), np.int64)
        kind = (counts[:, None] == self._kinds[None]).all(axis=2).argmax(axis=1)
        return np.asarray(kind * self._levels + np.minimum(used.sum(axis=1), self._levels - 1), np.int64)

    def ways(self, k: int, counts: Ints) -> tuple[Ints, Floats, Ints]:
        """From each row by running `counts` (classes,) in step k: the row it leads to, wear paid, and starts beyond the limit; each (rows,)."""
        if not self._levels:
            return np.zeros(1, np.int64), np.zeros(1), np.zeros(1, np.int64)
        begun = self._bars.begun(k, self._kinds, counts)
        used = self._bars.used_before(k, np.arange(self._levels))[None] + begun.sum(axis=1)[:, None]
        over = np.where(begun.sum(axis=1)[:, None] > 0, np.maximum(used - self._most[self._bars.day[k]], 0), 0)
        kind = int((self._kinds == counts).all(axis=1).argmax())
        to = kind * self._levels + np.minimum(used, self._levels - 1)
        wear = np.repeat((begun @ self._wear)[:, None], self._levels, axis=1)
        return to.ravel(), wear.ravel(), over.ravel()


def _between(value: Floats, row: Ints, nodes: int, x: Floats) -> Floats:
    """Values (rows, nodes of the grid), interpolated at states (N, tanks) in rows (N,); states outside are taken to the edge."""
    tanks = x.shape[1]
    u = np.clip(x, 0.0, 1.0) * (nodes - 1)
    i: Ints = np.minimum(u.astype(np.int64), nodes - 2)
    share, stride = u - i, nodes ** np.arange(tanks - 1, -1, -1)
    first, found = row * nodes**tanks + i @ stride, np.zeros(len(x))
    flat = value.ravel()
    for corner in product((0, 1), repeat=tanks):
        weight = np.prod(np.where(np.array(corner, bool), share, 1.0 - share), axis=1)
        found += weight * flat[first + int(np.array(corner) @ stride)]
    return found
