"""What is at least still to pay from any levels of two or three tanks: a function on a grid that true steps hold up.

V_k(x) is meant to be below the cost of every way on from state x at instant k, so V_0 at the start is a lower bound. Backward from the end,

    g_k(x) = min over joint configurations of (cost of the step + V_k+1(state after it)),        V_k below g_k,

V_k being linear in each tank's level between the nodes of a grid. Steps are run in EPANET from the nodes and interpolated between them. V_k begins at g_k in the nodes; where it then lies
above g_k between them the nodes around are lowered, first at states drawn in all cells, then again and again in and beside those cells where it did. The same is done with true steps, whose
last, independent draw says what is left, s_k at most: along any way V_0 is below the sum of (cost + s_k).

V continues beyond what limits allow at a slope, the same for all tanks: a wall there would be smeared over a whole cell in each step back, the more the steeper it is. (Approximate linear
programming of de Farias and Van Roy, Operations Research 51, 2003, has the same inequality on sampled states; here a node is lowered no further than its samples ask.)

It mixes neither configurations nor states, and knows neither starts nor what is billed or limited over the horizon: leaving these out only lowers it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from levada.domain.pumping import Bools
from levada.domain.series import Floats
from levada.schedule.grid import Grid
from levada.schedule.grid_steps import Ends, GridSteps, true_steps
from levada.schedule.joint import JointConfigurations
from levada.schedule.plant import Ints

__all__ = ["SAFETY", "Asked", "GridValues", "Layer"]

SAFETY = 1.25

_DRAWN = 6
"""States drawn in each cell at first, and once more."""

_ROUNDS = 8
"""Rounds of looking into the cells where V was too high, and those beside them, with so many states for each, and these shares of a cell beyond."""
_NEAR, _BESIDE = 8, 0.3

_TRUE_ROUNDS = 8
"""Rounds with true steps, before the last that measures."""

_TOLERANCE, _FINE, _FAR = 3e-5, 2e-6, 8e-4
"""Shares of the scale of money: by which V may be too high before a cell is looked into again, and at a state before its nodes are lowered; states further below are let go."""

_NONE: Ints = np.zeros(0, np.int64)

_DAMPING, _SWEEPS, _WHOLE_SWEEPS = 0.15, 300, 5
"""Nodes are lowered by a share of what is asked, in so many sweeps, and in a few last ones by all of it: at once a node would be lowered for what its neighbours give already."""

_ON_EDGES = 0.1
"""Share of drawn states on either edge of their cell, by tank."""

_SPREAD = 0.02
"""Half of true steps are not of the best configuration but of those not far from it: shares of the range of values, in the mean."""


@dataclass(frozen=True, eq=False)
class Asked:
    """What all V share: joint configurations, the `slope` of V per full tank beyond limits, the scale of money, true steps drawn a round in each step of the horizon."""

    joint: JointConfigurations
    slope: float
    scale: float
    draws: int


@dataclass(frozen=True, eq=False)
class Layer:
    """An instant: its grid, the cells where states may be, by node the most that V is worth (size,), infinite where nothing is known: who must pay more is not looked for; and whether states (N, tanks)
    are among those that may be. `beyond` the grid V is what this says, that of the nearest edge where there is none."""

    grid: Grid
    cells: Ints
    most: Floats
    within: Callable[[Floats], Bools]
    beyond: Callable[[Floats], Floats] | None = None


class GridValues:
    """V at the instants 1 to n over `layers` (n + 1; those of the first and last instant are not used), steps between them and what is left of V above true steps, `short` (n,)."""

    def __init__(self, asked: Asked, layers: list[Layer], rng: np.random.Generator) -> None:
        n = asked.joint.plant.n
        self.asked, self.layers = asked, layers
        self.values: list[Floats] = [np.zeros(0)] * (n + 1)
        self.steps: dict[int, GridSteps] = {}
        self.short = np.zeros(n)
        self.samples = 0
        self._rng, self._plant = rng, asked.joint.plant

    @property
    def n(self) -> int:
        return len(self.short)

    def at(self, k: int, x: Floats) -> Floats:
        """V_k at states (N, tanks), k from 1 on."""
        if k == self.n:
            return self._plant.left_at_the_end(x, self.asked.slope)
        layer = self.layers[k]
        found = layer.grid.at(self.values[k], x)
        if layer.beyond is not None and (out := layer.grid.is_beyond(x)).any():
            found[out] = layer.beyond(x[out])
        return found

    def first_ends(self) -> Ends:
        """Ends of the first step by the configurations that hold all limits in it."""
        joint, plant = self.asked.joint, self._plant
        kinds = np.flatnonzero(joint.ready[0])
        ends = true_steps(joint, 0, np.repeat(plant.x0[None], len(kinds), axis=0), kinds)
        holds = ends.severity == 0
        return Ends(ends.cost[holds], ends.x[holds], ends.severity[holds])

    def start(self) -> float:
        """V_0 at the start, infinite where the first step allows no way."""
        ends = self.first_ends()
        return float((ends.cost + self.at(1, ends.x)).min(initial=np.inf))

    def bound(self) -> float:
        """Below the cost of every way, infinite where the first step allows none."""
        return self.start() - SAFETY * float(self.short.sum())

    def back(self, k: int, is_run: Bools) -> None:
        """V_k from V_k+1, with the configurations that are run from each node (configurations, size)."""
        layer = self.layers[k]
        self.steps[k] = GridSteps(self.asked.joint, k, layer.grid, is_run)
        value = self._at_nodes(k, layer)
        if len(layer.cells):
            value = self._lowered_truly(k, layer, self._lowered_between(k, layer, value))
            x, most = self._true(k, layer, _NONE)
            self.short[k] = max(float((layer.grid.at(value, x) - most).max(initial=0.0)), 0.0)
        self.values[k] = value

    def _at_nodes(self, k: int, layer: Layer) -> Floats:
        """g_k in the nodes, (size,)."""
        steps = self.steps[k]
        value: Floats = np.full(layer.grid.size, np.inf)
        for kind, run in enumerate(steps.is_run):
            node = np.flatnonzero(run)
            value[node] = np.minimum(value[node], self.with_rest(k, steps.from_nodes(kind, node)))
        value = np.minimum(value, layer.most)
        finite = np.isfinite(value)
        # Nodes of no cell are never asked for, but as edges of what lies outside.
        value[~finite] = value[finite].max(initial=0.0)
        return value

    def _lowered_between(self, k: int, layer: Layer, value: Floats) -> Floats:
        """Below g_k between the nodes too, as it is interpolated."""
        scale, many = self.asked.scale, _DRAWN * len(layer.cells)
        x, most = self._below(k, self._drawn(layer, many))
        value = self._lowered(layer, value, x, most)
        cells = layer.cells
        for attempt in range(_ROUNDS):
            more, least = self._below(k, self._near(layer, cells, min(_NEAR * len(cells), 2 * many)) if attempt else self._drawn(layer, many))
            corners, weights = layer.grid.around(more)
            over = (value[corners] * weights).sum(axis=1) - least
            # Those far below will not be above again for what is lowered since.
            close = over > -_FAR * scale
            x, most = np.concatenate([x, more[close]]), np.concatenate([most, least[close]])
            value = self._lowered(layer, value, x, most)
            cells = np.unique(corners[over > _TOLERANCE * scale, 0])
            if not len(cells):
                break
        return value

    def _lowered_truly(self, k: int, layer: Layer, value: Floats) -> Floats:
        """Below what true steps near the best configurations come to."""
        x, most, cells = np.zeros((0, layer.grid.tanks)), np.zeros(0), _NONE
        for _ in range(_TRUE_ROUNDS):
            more, least = self._true(k, layer, cells)
            over = layer.grid.at(value, more) - least
            x, most = np.concatenate([x, more]), np.concatenate([most, least])
            value = self._lowered(layer, value, x, most)
            cells = np.unique(layer.grid.around(more)[0][over > _TOLERANCE * self.asked.scale, 0])
            if not len(cells):
                break
        return value

    def totals(self, k: int, x: Floats) -> Floats:
        """By configuration and state (configurations, N), what step k costs from there with all that follows, interpolated; infinite where it was not run."""
        found = np.full((len(self.asked.joint), len(x)), np.inf)
        for kind, rows, ends in self.steps[k].between(x):
            found[kind, rows] = self.with_rest(k, ends)
        return found

    def with_rest(self, k: int, ends: Ends) -> Floats:
        """What ends of step k cost with all that follows, what they break being paid for at the slope."""
        return np.asarray(ends.cost + self.asked.slope * ends.severity + self.at(k + 1, ends.x), np.float64)

    def _drawn(self, layer: Layer, count: int) -> Floats:
        """Random states in the cells, up to `count` of them, (N, tanks)."""
        u = self._rng.uniform(-_ON_EDGES, 1 + _ON_EDGES, (count, layer.grid.tanks))
        cell = layer.cells[self._rng.integers(len(layer.cells), size=count)]
        x = np.asarray(layer.grid.states[cell] + np.clip(u, 0.0, 1.0) * layer.grid.width, np.float64)
        return x[layer.within(x)]

    def _near(self, layer: Layer, cells: Ints, count: int) -> Floats:
        """Random states in and beside some of the cells, (N, tanks)."""
        grid = layer.grid
        u = self._rng.uniform(-_BESIDE, 1 + _BESIDE, (count, grid.tanks))
        x = np.clip(grid.states[cells[self._rng.integers(len(cells), size=count)]] + u * grid.width, grid.low, grid.high)
        return np.asarray(x[np.isin(grid.around(x)[0][:, 0], layer.cells) & layer.within(x)], np.float64)

    def _true(self, k: int, layer: Layer, cells: Ints) -> tuple[Floats, Floats]:
        """True steps near the best configurations that hold all limits, half of them near `cells` if there are any: states, and what they cost with all that follows."""
        draws = self.asked.draws
        x = self._drawn(layer, draws // 2 if len(cells) else draws)
        if len(cells):
            x = np.concatenate([x, self._near(layer, cells, draws - len(x))])
        totals = self.totals(k, x)
        known = np.isfinite(totals).any(axis=0)
        x, totals = x[known], totals[:, known]
        if not len(x):
            return x, np.zeros(0)
        spread = _SPREAD * float(np.ptp(totals.min(axis=0)))
        aside = self._rng.exponential(max(spread, 1e-12), totals.shape) * (self._rng.random(len(x)) < 0.5)
        ends = true_steps(self.asked.joint, k, x, (totals + aside).argmin(axis=0))
        self.samples += len(x)
        holds = ends.severity == 0
        return x[holds], (ends.cost + self.at(k + 1, ends.x))[holds]

    def _below(self, k: int, x: Floats) -> tuple[Floats, Floats]:
        """g_k, interpolated, at those of states (N, tanks) from which a way is known."""
        least = self.totals(k, x).min(axis=0)
        known = np.isfinite(least)
        return x[known], least[known]

    def _lowered(self, layer: Layer, value: Floats, x: Floats, most: Floats) -> Floats:
        """Values of nodes lowered until they lie below `most` (N,) at states (N, tanks)."""
        corners, weights = layer.grid.around(x)
        # What is too high is taken off in the direction in which the least change of nodes does.
        share = weights / (weights**2).sum(axis=1, keepdims=True)
        fine = _FINE * self.asked.scale
        watched = np.arange(len(x))
        for sweep in range(_SWEEPS + _WHOLE_SWEEPS):
            is_last = sweep >= _SWEEPS
            if sweep == _SWEEPS:
                watched = np.arange(len(x))
            over = (value[corners[watched]] * weights[watched]).sum(axis=1) - most[watched]
            high = over > fine
            if not high.any():
                if len(watched) == len(x):
                    break
                watched = np.arange(len(x))
                continue
            at = watched[high]
            asked = np.zeros(len(value))
            np.maximum.at(asked, corners[at].ravel(), (share[at] * over[high][:, None]).ravel())
            value = value - (1.0 if is_last else _DAMPING) * asked
            if not is_last and sweep % 10 == 0:
                watched = watched[high]
        return value
